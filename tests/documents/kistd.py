"""A kistd for a test: a port the kernel chooses, a directory of its own."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import tempfile
import threading

PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def address_when_ready(process):
    """The bound address, once the log says that it is ready."""
    address = None
    for line in process.stderr:
        event = json.loads(line)
        if event["event"] == "listening":
            address = event["address"]
        if event["event"] == "ready":
            return address
    raise RuntimeError(f"kistd ended with {process.wait()}")


def drain(stream):
    for _ in stream:
        pass


@contextlib.contextmanager
def running(program):
    """Runs program, or what KISTD names; gives its host:port."""
    with tempfile.TemporaryDirectory(prefix="kist-") as folder:
        process = subprocess.Popen(
            [os.environ.get("KISTD", program), "--listen", "127.0.0.1:0",
             "--data", folder + "/data"],
            stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        try:
            address = address_when_ready(process)
            threading.Thread(target=drain, args=[process.stderr],
                             daemon=True).start()
            yield address
            process.terminate()
            assert process.wait(20) == 0, "kistd did not stop cleanly"
        finally:
            process.kill()
            process.wait()
