"""A process under test that dies with it: kistd, or a Prometheus.

Ports are the kernel's choice, directories are the caller's. Waiting looks at
what the process says or answers, never at the clock alone.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

PR_SET_PDEATHSIG = 1
PATIENCE_S = 60  # Sanitizer builds on a busy machine are slow.


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, condition):
    """The first true value of condition(); fails, naming what, at the end."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE_S} s: {what}")


def get(url, accept=None, data=None, method=None):
    """(status, headers, body) of a request; (0, {}, b"") if refused."""
    headers = {"Accept": accept} if accept else {}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()
    except OSError:
        return 0, {}, b""


class Process:
    """A child with its output in a file."""

    def __init__(self, command, log, env=None):
        self.log = log
        with open(log, "wb") as output:
            self.child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                preexec_fn=die_with_parent,
            )

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def must_run(self):
        assert self.child.poll() is None, f"it ended:\n{self.output()}"

    def stop(self, with_signal=signal.SIGTERM):
        """Its exit status."""
        self.child.send_signal(with_signal)
        try:
            return self.child.wait(PATIENCE_S)
        finally:
            self.child.kill()

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.child.kill()
        self.child.wait()


class Node(Process):
    """A kistd that is ready, at self.url."""

    def __init__(self, command, directory, env=None):
        env = dict(os.environ if env is None else env)
        env.setdefault("KIST_LISTEN", "127.0.0.1:0")
        env.setdefault("KIST_DATA", os.path.join(directory, "data"))
        env.setdefault("KIST_BALLAST_BYTES", "1MiB")
        super().__init__(command, os.path.join(directory, "kistd.log"), env)
        address = until("kistd is ready", self.ready_address)
        self.port = int(address.rpartition(":")[2])
        self.url = f"http://127.0.0.1:{self.port}"

    def ready_address(self):
        self.must_run()
        address = None
        for line in self.output().splitlines(keepends=True):
            event = json.loads(line) if line.endswith("\n") else {}
            if event.get("event") == "listening":
                address = event["address"]
            elif event.get("event") == "ready":
                return address
        return None
