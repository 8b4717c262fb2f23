"""Five kistd, clients, and one fault after the other.

    nemesis.py kistd [--seconds 60] [--seed N] [--minutes M] [--first 0-2]
               [--only fault]... [--preload library]... [--keep]

Afterwards everything is healed, and what the clients were told is compared
with what is there (checks.py). After every second run one node's data is wiped
first: what was acknowledged by two must be there without it. A run in which
too little happened shows nothing and fails. --minutes: one run after the
other, each with a cluster and a seed of its own. The seed gives the faults and
the requests again, not how the processes take turns; with odd ones there are
no hints, so that comparing has to bring whatever was missed. --first: which
third of the faults comes first; --only: no others. Data and history of a failed
run are kept.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import checks
import faults
import small_disks
from clients import Client, History
from cluster import Cluster
from link_faults import Blackout
from node import until

CLIENTS = 8
PAUSE_S = 0.015  # Of a client, before each operation: others work here, too.
ACKED_PER_S = 15  # A loaded machine and a sanitizer have 24.
BITTEN = 0.6
NO_HINTS = ["--hint-bytes", "0"]


class Run:
    def __init__(self, asked, seed, folder):
        self.chance = random.Random(seed)
        self.first = asked.first + seed - asked.seed
        self.kinds = faults.menu(asked.may_mount, asked.only)
        self.cluster = Cluster(asked.kistd, folder,
                               NO_HINTS if seed % 2 else [], asked.preload,
                               asked.may_mount)
        self.history = History(Path(folder) / "history")
        self.witness = checks.Witness(self.cluster, self.history)
        self.clients = [Client(i, seed, self.cluster, self.history, PAUSE_S)
                        for i in range(CLIENTS)]
        self.planned = Counter()
        self.bitten = Counter()
        self.load_s = 0.0

    def plan(self):
        """
        Each kind of fault comes once before any comes again. Every third time
        another one happens meanwhile.
        """
        while True:
            for kind in faults.order(self.kinds, self.first, self.chance):
                kinds = [kind]
                other = faults.companion(kind, self.kinds, self.chance)
                if other is not None and self.chance.random() < 1 / 3:
                    kinds.append(other)
                yield [kind(self.cluster, self.chance)
                       for kind in faults.together(kinds)]

    def note(self, fault, begun):
        name = type(fault).__name__
        self.planned[name] += 1
        self.bitten[name] += fault.has_bitten
        print(f"# {name} {fault.what} {time.monotonic() - begun:.1f} s"
              f"{'' if fault.has_bitten else ', without effect'}", flush=True)

    def suffer(self, together):
        begun = time.monotonic()
        for fault in together:
            if isinstance(fault, Blackout):
                fault.look = self.witness.look
            fault.begin()
        time.sleep(max(self.chance.uniform(0.5, 4),
                       *(fault.least_s for fault in together)))
        for fault in reversed(together):
            fault.end()
            self.note(fault, begun)
        for node in self.cluster.nodes.values():
            node.must_run()

    def load(self, seconds):
        begun = time.monotonic()
        for client in self.clients:
            client.start()
        time.sleep(1)
        for together in self.plan():
            if time.monotonic() - begun > seconds:
                break
            self.suffer(together)
            time.sleep(self.chance.uniform(0.5, 2))
        for client in self.clients:
            client.stop()
        self.load_s = time.monotonic() - begun

    def wipe(self):
        """One node is not to be counted on any more."""
        node = self.chance.choice(list(self.cluster.nodes.values()))
        node.kill()
        shutil.rmtree(node.data)
        node.start()
        self.cluster.lose(node)
        print(f"# {node.name} was wiped")
        yield from checks.stays_outside(node)

    def violations(self, wiped):
        operations = self.history.operations
        found = list(self.wipe()) if wiped else []
        for node in self.cluster.members():
            until(f"{node.name} is ready", node.is_ready)
        found += checks.majorities_find(operations, self.cluster)
        healed = time.monotonic()
        copies, differ = checks.converge(self.cluster,
                                         sorted(checks.by_key(operations)))
        print(f"# {len(copies.found)} keys, looked at until they were the "
              f"same: {time.monotonic() - healed:.1f} s")
        found += differ
        found += self.witness.violations
        found += checks.nothing_is_lost(operations, copies,
                                        2 if self.cluster.lost or
                                        self.cluster.has_parted else 1)
        for check in checks.HISTORY_CHECKS:
            found += check(operations)
        return found

    def too_little(self):
        acked = sum(map(checks.is_acknowledged, self.history.operations))
        done = Counter((o["f"], o["out"]) for o in self.history.operations)
        print("#", ", ".join(f"{f} {out} {n}"
                             for (f, out), n in sorted(done.items())))
        print(f"# {acked / self.load_s:.0f} acknowledged writes/s, "
              f"{sum(self.bitten.values())} of {sum(self.planned.values())} "
              f"faults had an effect, {self.witness.seen} writes counted "
              "after blackouts")
        if acked < ACKED_PER_S * self.load_s:
            yield f"void: fewer than {ACKED_PER_S} acknowledged writes/s"
        if sum(self.bitten.values()) < BITTEN * sum(self.planned.values()):
            yield "void: too few faults had an effect"

    def go(self, seconds, wiped):
        try:
            self.cluster.start()
            self.load(seconds)
            found = self.violations(wiped)
            found += self.too_little()
            found += self.cluster.stop()
            return found
        finally:
            self.cluster.close()
            self.history.close()


def run(asked, seed):
    folder = tempfile.mkdtemp(prefix="kist-nemesis-")
    print(f"# seed {seed}, {asked.seconds} s", flush=True)
    this = Run(asked, seed, folder)
    try:
        found = this.go(asked.seconds, seed // 2 % 2 == 1)
    except (AssertionError, OSError) as failure:
        found = [repr(failure)]
    for violation in found[:20]:
        print(f"# {violation}")
    if found:
        print(f"# {len(found)} violations; data and history: {folder}")
        this.cluster.keep()
    this.cluster.unmount()
    if not found and not asked.keep:
        shutil.rmtree(folder)
    print("ok" if not found else "not ok", f"seed {seed}", flush=True)
    return not found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kistd")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000000)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--preload", action="append", default=[])
    parser.add_argument("--keep", action="store_true")
    asked = parser.parse_args()
    if "KISTD" in os.environ:
        asked.first = 2  # See meson.build.
    asked.may_mount = small_disks.begin()
    if not asked.may_mount:
        print("# not allowed to mount: no disk is full to the last byte")
    end = time.monotonic() + 60 * asked.minutes
    seed = asked.seed
    good = run(asked, seed)
    while time.monotonic() < end:
        seed += 1
        good &= run(asked, seed)
    sys.exit(not good)


if __name__ == "__main__":
    main()
