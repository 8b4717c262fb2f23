"""The procedures of docs/operations.md, followed to the letter.

Each is what the sh blocks below one heading of its chapter about clusters say,
run as they stand there against three kistd, under load; the block above all
of them is known to each. Afterwards nothing that was acknowledged is missing
on any node. A procedure that no test here follows is an error.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "nemesis"))

import checks  # noqa: E402
import disk_faults  # noqa: E402
import small_disks  # noqa: E402
from clients import Client, History  # noqa: E402
from connection import ask  # noqa: E402
from machines import Machines  # noqa: E402
from node import until  # noqa: E402

DOCUMENT = TESTS.parent / "docs" / "operations.md"
CHAPTER = "## A cluster"
TIMEOUT_S = 240
FLAGS = ["--anti-entropy-period", "1s", "--write-timeout", "800ms",
         "--read-timeout", "800ms", "--ballast-bytes", "1MiB",
         "--inline-bytes", "4KiB"]
CLIENTS = 4
PAUSE_S = 0.01
REFUSED = 0.1  # Far above what is seen: three or six of a thousand.

asked = None  # The command line.


def procedures():
    """Heading to script; "" is what stands above all of them."""
    text = DOCUMENT.read_text(encoding="utf-8")
    chapter = text[text.index(f"\n{CHAPTER}\n") + 1:]
    chapter = chapter[:chapter.index("\n## ", 1)]
    parts = re.split(r"^### (.*)\n", chapter, flags=re.M)
    scripts = {}
    for name, body in zip(["", *parts[1::2]], parts[::2]):
        blocks = re.findall(r"^```sh\n(.*?)^```", body, re.S | re.M)
        if blocks:
            scripts[name] = "".join(blocks)
    return scripts


class Procedures(unittest.TestCase):
    followed = set()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kist-procedures-")
        self.history = None
        self.machines = Machines(asked.kistd, self.folder, "abcd", FLAGS,
                                 asked.preload)
        self.addCleanup(self.clean_up)

    def clean_up(self):
        self.machines.close()
        if self.history is not None:
            self.history.close()
        shutil.rmtree(self.folder)

    def start(self):
        self.machines.start()
        self.history = History(Path(self.folder) / "history")
        self.clients = [Client(i, 1, self.machines, self.history, PAUSE_S)
                        for i in range(CLIENTS)]
        for client in self.clients:
            client.start()

    def follow(self, name):
        scripts = procedures()
        Procedures.followed.add(name)
        done = self.machines.run(scripts[""] + scripts[name], TIMEOUT_S)
        self.assertEqual(done.returncode, 0, f"{name}: {done.stdout}")
        return done.stdout

    def finish(self, most_refused=1.0, of_two=False):
        """Nothing is lost, and not too much of what was asked was refused."""
        for client in self.clients:
            client.stop()
        operations = self.history.operations
        found = []
        for node in self.machines.members():
            until(f"{node.name} is ready", node.is_ready)
        found += checks.majorities_find(operations, self.machines)
        copies, differ = checks.converge(self.machines,
                                         sorted(checks.by_key(operations)))
        found += differ
        found += checks.nothing_is_lost(operations, copies,
                                        2 if of_two else 1)
        for check in checks.HISTORY_CHECKS:
            found += check(operations)
        self.assertEqual(found[:5], [])
        self.tell(operations, most_refused)

    def tell(self, operations, most_refused):
        of_majorities = [o for o in operations if o.get("w", o.get("r")) <= 2]
        count = {out: sum(o["out"] == out for o in of_majorities)
                 for out in ("ok", "fail", "unknown")}
        self.assertGreater(count["ok"], 100)
        print(f"# {self.id().rpartition('.')[2]}: of majorities "
              f"{count['ok']} ok, {count['fail']} refused, "
              f"{count['unknown']} without an answer", flush=True)
        self.assertLess(count["fail"] + count["unknown"],
                        most_refused * count["ok"])

    def test_restart(self):
        self.start()
        nodes = self.machines.members()
        self.follow("Restart the nodes one after the other")
        self.assertEqual([node.starts for node in nodes], [2, 2, 2])
        self.finish(REFUSED)

    def test_upgrade(self):
        self.start()
        nodes = self.machines.members()
        for node in nodes:
            shutil.copy(asked.kistd, node.path("/tmp/kistd"))
        before = [Path(node.program).stat().st_ino for node in nodes]
        self.follow("Upgrade a cluster")
        self.assertEqual([node.starts for node in nodes], [2, 2, 2])
        for node, inode in zip(nodes, before):
            self.assertNotEqual(Path(node.program).stat().st_ino, inode)
        self.finish(REFUSED)

    def test_full_disk(self):
        if not asked.may_mount:
            self.skipTest("not allowed to mount")
        node = self.machines.nodes["c"]
        node.take_small_disk()
        self.start()
        small_disks.fill(node.disk / "old-backup.tar")
        until("c only reads", lambda: disk_faults.reads_only(node))
        self.assertIn("100%", self.follow("A full disk"))
        self.assertFalse((node.disk / "old-backup.tar").exists())
        self.finish()

    def test_clock(self):
        if not asked.preload:
            self.skipTest("no clock to set")
        node = self.machines.nodes["b"]
        self.start()
        node.clock.set(ahead_s=3600)
        until("b does not stamp", lambda:
              node.page("/cluster").get("clock", "open") != "open")
        self.assertRegex(self.follow("A clock has gone wrong"),
                         r'"name":"b"[^}]*"ahead_seconds":3[56]\d\d\.')
        self.finish()

    def test_future(self):
        if not asked.preload:
            self.skipTest("no clock to set")
        nodes = self.machines.members()
        for node in nodes:
            node.clock.set(ahead_s=3600)
        self.machines.start()
        until("taken", lambda: self.put("later"))
        for node in nodes:
            node.clock.set()
        for node in nodes:
            until(f"{node.name} waits", lambda node=node:
                  node.page("/cluster").get("clock") == "behind")
        found = self.follow("Most clocks were wrong together")
        self.assertIn('"key":"later"', found)
        self.assertEqual(len(found.splitlines()), 1)
        self.assertEqual(ask(nodes[0].port, "GET /kv/later").status, 200)

    def test_one_more_and_one_less(self):
        self.start()
        machines = self.machines
        machines.nodes["d"] = machines.machines["d"]
        self.follow("Add a node")
        until("d owns some", lambda: machines.nodes["d"].page(
            "/cluster").get("state") == "member")
        self.follow("Remove a node")
        del machines.nodes["d"]
        self.finish()

    def test_dead_node(self):
        self.start()
        machines = self.machines
        machines.nodes["c"].kill()
        self.follow("Replace a dead node")
        del machines.nodes["c"]
        machines.nodes["d"] = machines.machines["d"]
        self.finish(of_two=True)

    def test_lost_disk(self):
        self.start()
        node = self.machines.nodes["c"]
        node.kill()
        self.follow("A lost disk")
        self.assertEqual(node.page("/cluster")["name"], "c2")
        del self.machines.nodes["c"]
        self.machines.nodes["c2"] = node
        node.name = "c2"
        self.finish(of_two=True)

    def test_all_lost(self):
        """Backups of different moments; then there is nothing but them."""
        self.start()
        large = os.urandom(300_000)
        until("a large value is taken", lambda: self.put("large", large))
        until("much is written", lambda: len(self.history.operations) > 600)
        self.follow("Back up all nodes")
        for client in self.clients:
            client.stop()
        # What came after the backups is lost: of the first ones, it is known
        # what they hold, for they were taken once more in peace.
        self.follow("Back up all nodes")
        before, differ = checks.converge(self.machines, sorted(
            checks.by_key(self.history.operations)))
        self.assertEqual(differ[:5], [])
        self.follow("All nodes are lost")
        self.assertEqual([node.starts for node in self.machines.members()],
                         [2, 2, 2])
        self.finish()
        after, _ = checks.converge(self.machines, sorted(
            checks.by_key(self.history.operations)))
        self.assertEqual(before.found, after.found)
        for node in self.machines.members():
            answer = ask(node.port, "GET /kv/large?r=1")
            self.assertEqual(answer.body, large)

    def put(self, key, value=b"1"):
        node = self.machines.members()[0]
        answer = ask(node.port, f"PUT /kv/{key}", body=value)
        return answer is not None and answer.status == 201

    @classmethod
    def tearDownClass(cls):
        if asked.all:
            missing = set(procedures()) - {""} - cls.followed
            assert not missing or not asked.may_mount, \
                f"no test follows {missing}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kistd")
    parser.add_argument("--preload", action="append", default=[])
    parser.add_argument("--only", action="append", default=[])
    asked = parser.parse_args()
    asked.kistd = os.environ.get("KISTD", asked.kistd)
    asked.all = not asked.only
    asked.may_mount = small_disks.begin()
    unittest.main(argv=[sys.argv[0],
                        *(f"Procedures.{name}" for name in asked.only)])
