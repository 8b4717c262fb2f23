"""Five kistd which know each other by the ports of the links between them."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from node import Node, die_with_parent, until

FOUNDERS = "abcde"
LATER = "fghijklmnopqrst"  # Who may join, each name once.
WITH_SMALL_DISKS = "de"


class Links:
    """The process of links.py. Any thread may call."""

    def __init__(self):
        self.child = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("links.py"), *FOUNDERS,
             *LATER],
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

    def close(self):
        self.child.kill()
        self.child.wait()


class Cluster:
    """
    Two of the first nodes have small disks, where that is allowed. nodes are
    those that run, or shall; lost are those among them that are no members.
    """

    def __init__(self, program, folder, more, preload, may_mount):
        secret = Path(folder) / "secret"
        secret.write_text("correct-horse-battery-staple\n", encoding="ascii")
        self.links = Links()
        peers = ",".join(f"{name}={self.address(name)}" for name in FOUNDERS)
        self.flags = ["--peer-secret-file", str(secret),
                      "--anti-entropy-period", "1s", "--write-timeout",
                      "800ms", "--read-timeout", "800ms", "--ballast-bytes",
                      "1MiB", "--inline-bytes", "4KiB", *more]
        self.program = os.environ.get("KISTD", program)
        self.folder = folder
        self.preload = preload
        self.made = []  # Whoever ever was there, to be cleared away.
        self.nodes = {name: self.make(name, ["--peers", peers])
                      for name in FOUNDERS}
        self.lost = set()
        self.has_parted = False
        self.later = iter(LATER)
        for name in WITH_SMALL_DISKS if may_mount else ():
            self.nodes[name].take_small_disk()

    def make(self, name, flags):
        node = Node(name, self.program, self.folder, self.links,
                    [*flags, *self.flags], self.preload)
        self.made.append(node)
        return node

    def address(self, name):
        """Where its peers reach it."""
        return f"127.0.0.1:{self.links.ports[name]}"

    def start(self):
        for node in self.nodes.values():
            node.start()
        for node in self.nodes.values():
            until(f"{node.name} is ready", node.is_ready)

    def next_to_join(self):
        """It asks all who are there, and is none of them yet."""
        known = ",".join(self.address(name) for name in self.nodes)
        return self.make(next(self.later), ["--join", known])

    def part(self, node):
        """A member no more: what it alone had went with it."""
        if not node.has_ended():
            node.kill()
        node.give_up_small_disk()
        del self.nodes[node.name]
        self.lost.discard(node.name)
        self.has_parted = True

    def lose(self, node):
        """It is no member any more, but for its name."""
        self.lost.add(node.name)

    def members(self):
        return [node for node in self.nodes.values()
                if node.name not in self.lost]

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
        for node in self.made:
            if node.child is not None:
                node.kill()
        self.links.close()

    def keep(self):
        for node in self.made:
            node.keep_small_disk()

    def unmount(self):
        for node in self.made:
            node.give_up_small_disk()
