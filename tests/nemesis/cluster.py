"""Five kistd which know each other by the ports of the links between them."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from connection import ask

NAMES = "abcde"
PATIENCE_S = 60  # Sanitizer builds on a busy machine are slow.
PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def until(what, condition):
    end = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {PATIENCE_S} s: {what}")
        time.sleep(0.02)
    return value


class Links:
    """The process of links.py. Any thread may call."""

    def __init__(self):
        self.child = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("links.py"), *NAMES],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent)
        self.lock = threading.Lock()
        self.ports = json.loads(self.child.stdout.readline())

    def tell(self, do, lanes=(), **more):
        """What those lanes have done so far: bytes held, delayed; cuts."""
        with self.lock:
            self.child.stdin.write(
                json.dumps({"do": do, "lanes": list(lanes), **more}) + "\n")
            self.child.stdin.flush()
            return json.loads(self.child.stdout.readline())

    def all(self):
        return [(a, b) for a in NAMES for b in NAMES if a != b]

    def close(self):
        self.child.kill()
        self.child.wait()


class Node:
    """port is of its last start, and stays when it is down."""

    def __init__(self, name, program, folder, links, flags):
        self.name = name
        self.program = program
        self.folder = Path(folder) / name
        self.folder.mkdir()
        self.links = links
        self.flags = flags
        self.starts = 0
        self.child = None
        self.port = 0

    def command(self, more):
        return [self.program, "--listen", "127.0.0.1:0",
                "--data", str(self.folder / "data"), "--node-id", self.name,
                "--peer-listen", "127.0.0.1:0", "--loops", "1",
                *self.flags, *more]

    def log(self):
        return self.folder / f"log.{self.starts}"

    def start(self, more=()):
        self.starts += 1
        with open(self.log(), "wb") as log:
            self.child = subprocess.Popen(
                self.command(more), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=die_with_parent)
        ports = until(f"{self.name} listens", self.ports)
        self.port = ports["listening"]
        self.links.tell("node", name=self.name, pid=self.child.pid,
                        port=ports["listening.peers"])

    def ports(self):
        assert self.child.poll() is None, \
            f"{self.name} ended with {self.child.returncode}, see {self.log()}"
        found = {}
        for line in self.log().read_bytes().splitlines(keepends=True):
            event = json.loads(line) if line.endswith(b"\n") else {}
            if event.get("event") in ("listening", "listening.peers"):
                found[event["event"]] = int(event["address"].split(":")[-1])
        return found if len(found) == 2 else None

    def start_full(self):
        """With a reserve that is more than is free: it only reads."""
        disk = shutil.disk_usage(self.folder)
        self.start(["--disk-reserve-bytes",
                    str((disk.free + disk.total) // 2)])

    def kill(self):
        self.child.kill()
        self.child.wait()

    def signal(self, number):
        self.child.send_signal(number)

    def state(self):
        """As in ps: T is stopped."""
        return Path(f"/proc/{self.child.pid}/stat").read_text(
            encoding="ascii").rpartition(")")[2].split()[0]

    def must_run(self):
        assert self.child.poll() is None, \
            f"{self.name} ended with {self.child.returncode}, see {self.log()}"

    def has_ring(self):
        """It knows whose keys are whose, from its own disk if need be."""
        self.must_run()
        answer = ask(self.port, "GET /cluster/ring?key=k")
        return answer is not None and answer.status == 200

    def is_ready(self):
        self.must_run()
        answer = ask(self.port, "GET /readyz")
        return answer is not None and answer.status == 200


class Cluster:
    def __init__(self, program, folder, more):
        secret = Path(folder) / "secret"
        secret.write_text("correct-horse-battery-staple\n", encoding="ascii")
        self.links = Links()
        peers = ",".join(f"{name}=127.0.0.1:{port}"
                         for name, port in self.links.ports.items())
        flags = ["--peers", peers, "--peer-secret-file", str(secret),
                 "--anti-entropy-period", "1s", "--write-timeout", "800ms",
                 "--read-timeout", "800ms", "--ballast-bytes", "1MiB",
                 *more]
        program = os.environ.get("KISTD", program)
        self.nodes = {name: Node(name, program, folder, self.links, flags)
                      for name in NAMES}

    def start(self):
        for node in self.nodes.values():
            node.start()
        for node in self.nodes.values():
            until(f"{node.name} is ready", node.is_ready)

    def ports(self):
        return [node.port for node in self.nodes.values()]

    def stop(self):
        """In order; gives who did not end with 0 within 20 s."""
        for node in self.nodes.values():
            node.signal(signal.SIGTERM)
        for node in self.nodes.values():
            try:
                code = node.child.wait(20)
            except subprocess.TimeoutExpired:
                code = "nothing"
            if code != 0:
                yield f"{node.name} ended with {code}: {node.log()}"

    def close(self):
        for node in self.nodes.values():
            if node.child is not None:
                node.kill()
        self.links.close()
