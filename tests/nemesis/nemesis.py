"""Five kistd, clients, and one fault after the other.

    nemesis.py kistd [--seconds 60] [--seed N] [--minutes M] [--keep]

Afterwards everything is healed, and what the clients were told is compared
with what is there (checks.py). A run in which too little happened shows
nothing and fails. --minutes: one run after the other, each with a cluster and
a seed of its own. The seed gives the faults and the requests again, not how
the processes take turns; with odd ones there are no hints, so that comparing
has to bring whatever was missed. Data and history of a failed run are kept.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import checks
from clients import Client, History
from cluster import Cluster, until
from faults import MENU, OF_LINKS, OF_NODES, Blackout

CLIENTS = 8
PAUSE_S = 0.015  # Of a client, before each operation: others work here, too.
ACKED_PER_S = 25
BITTEN = 0.6
NO_HINTS = ["--hint-bytes", "0"]


class Run:
    def __init__(self, program, seed, folder):
        self.chance = random.Random(seed)
        self.cluster = Cluster(program, folder,
                               NO_HINTS if seed % 2 else [])
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
        that a node fails its network does, too.
        """
        while True:
            for kind in self.chance.sample(MENU, len(MENU)):
                kinds = [kind]
                if kind in OF_NODES and self.chance.random() < 1 / 3:
                    kinds.append(self.chance.choice(OF_LINKS))
                yield [kind(self.cluster, self.chance) for kind in kinds]

    def note(self, fault, begun):
        name = type(fault).__name__
        self.planned[name] += 1
        self.bitten[name] += fault.has_bitten
        print(f"# {name} {fault.what} {time.monotonic() - begun:.1f} s"
              f"{'' if fault.has_bitten else ', without effect'}", flush=True)

    def suffer(self, faults):
        begun = time.monotonic()
        for fault in faults:
            if isinstance(fault, Blackout):
                fault.look = self.witness.look
            fault.begin()
        time.sleep(self.chance.uniform(0.5, 5))
        for fault in reversed(faults):
            fault.end()
            self.note(fault, begun)
        for node in self.cluster.nodes.values():
            node.must_run()

    def load(self, seconds):
        begun = time.monotonic()
        for client in self.clients:
            client.start()
        time.sleep(1)
        for faults in self.plan():
            if time.monotonic() - begun > seconds:
                break
            self.suffer(faults)
            time.sleep(self.chance.uniform(0.5, 2.5))
        for client in self.clients:
            client.stop()
        self.load_s = time.monotonic() - begun

    def violations(self):
        operations = self.history.operations
        for node in self.cluster.nodes.values():
            until(f"{node.name} is ready", node.is_ready)
        healed = time.monotonic()
        copies, found = checks.converge(self.cluster,
                                        sorted(checks.by_key(operations)))
        print(f"# {len(copies.found)} keys, looked at until they were the "
              f"same: {time.monotonic() - healed:.1f} s")
        found += self.witness.violations
        found += checks.nothing_is_lost(operations, copies)
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

    def go(self, seconds):
        try:
            self.cluster.start()
            self.load(seconds)
            found = self.violations()
            found += self.too_little()
            found += self.cluster.stop()
            return found
        finally:
            self.cluster.close()
            self.history.close()


def run(program, seconds, seed, keep):
    folder = tempfile.mkdtemp(prefix="kist-nemesis-")
    print(f"# seed {seed}, {seconds} s", flush=True)
    try:
        found = Run(program, seed, folder).go(seconds)
    except (AssertionError, OSError) as failure:
        found = [repr(failure)]
    for violation in found[:20]:
        print(f"# {violation}")
    if found:
        print(f"# {len(found)} violations; data and history: {folder}")
    if not found and not keep:
        shutil.rmtree(folder)
    print("ok" if not found else "not ok", f"seed {seed}", flush=True)
    return not found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kistd")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000000)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--keep", action="store_true")
    asked = parser.parse_args()
    end = time.monotonic() + 60 * asked.minutes
    seed = asked.seed
    good = run(asked.kistd, asked.seconds, seed, asked.keep)
    while time.monotonic() < end:
        seed += 1
        good &= run(asked.kistd, asked.seconds, seed, asked.keep)
    sys.exit(not good)


if __name__ == "__main__":
    main()
