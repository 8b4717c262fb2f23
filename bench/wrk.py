"""The load generators: runs wrk, reads what it says, refuses what is wrong.

headload (bench/headload.c) is in its place where answers have no body.
"""

import json
import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).with_name("requests.lua")
ERRORS = ("connect", "read", "write", "timeout", "status")


class Wrong(Exception):
    """A figure that must not be shown: the answers were not as expected."""


def pinned(arguments):
    """On the last core, where there is one beside the server's."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        return arguments
    return ["taskset", "-c", str(cores[-1]), *arguments]


def write_requests(path, requests):
    with open(path, "wb") as file:
        for text in requests:
            file.write(b"%d\n" % len(text))
            file.write(text)


def parse(output):
    """wrk's result line, once nothing in it says that answers were wrong."""
    for line in output.splitlines():
        if line.startswith("RESULT "):
            result = json.loads(line.removeprefix("RESULT "))
            break
    else:
        raise Wrong("wrk gave no result: " + output.strip()[-200:])
    wrong = [f"{result[kind]} {kind} errors" for kind in ERRORS
             if result[kind]]
    if wrong:
        raise Wrong(", ".join(wrong) + f" in {result['requests']} requests")
    if not result["requests"]:
        raise Wrong("no request was answered")
    result["per_second"] = result["requests"] / result["duration_us"] * 1e6
    return result


def check_size(result, expected, connections):
    """A wrong answer that is no error (200 for 304, say) has another size."""
    surplus = abs(result["bytes"] - result["requests"] * expected)
    # The end of the run cuts one answer a connection; Date and numbers vary.
    if surplus > connections * expected + 0.02 * result["bytes"]:
        raise Wrong(f"{result['bytes'] / result['requests']:.0f} bytes an "
                    f"answer, not {expected}")


def command(port, requests, connections, seconds, seed, pin=True):
    arguments = ["wrk", "--threads", "1", "--connections", str(connections),
                 "--duration", f"{seconds}s", "--timeout", "30s", "--script",
                 str(SCRIPT), f"http://127.0.0.1:{port}", "--",
                 str(requests), str(seed)]
    return pinned(arguments) if pin else arguments


def result_of(arguments, seconds):
    done = subprocess.run(arguments, capture_output=True, text=True,
                          timeout=seconds + 120)
    return parse(done.stdout + done.stderr)


def run(port, requests, connections, seconds, seed):
    """Put load on a port for some seconds. requests: write_requests()'s."""
    return result_of(command(port, requests, connections, seconds, seed),
                     seconds)


def headload(program, status):
    """The same as run(), for answers without a body and with this status."""
    def run_headload(port, requests, connections, seconds, seed):
        return result_of(pinned([program] + [str(each) for each in (
            port, requests, connections, seconds, seed, status)]), seconds)
    return run_headload
