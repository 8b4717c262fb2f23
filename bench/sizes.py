#!/usr/bin/python3
"""What a cluster costs each of its nodes, by the number of members: what one
can measure here (a heartbeat), and what follows from the code's constants.

    python3 bench/sizes.py build/release/kistd --write docs/ring.md
"""

import argparse
import os
import re
import tempfile
import time
from pathlib import Path

import process
from cluster import KistdCluster
from outage import page, until

ROOT = Path(__file__).resolve().parent.parent
MEMBERS = (3, 10, 30, 100, 256, 1000)
COPIES = 3
LOOPS = 8           # Of a node with eight cores: seven, and the home loop.
PERIOD_S = 60       # --anti-entropy-period, and ...
SETTLE_S = 2        # ... --write-timeout: what a comparison waits for writes.
SMALL, LARGE = 3, 9     # Clusters that are measured.
MEASURED_S = 20
BEGIN, END = "<!-- sizes.py: begin -->", "<!-- sizes.py: end -->"


def constant(file, name):
    text = (ROOT / file).read_text()
    return int(re.search(rf"{name}\s*=?\s*(\d+)", text)[1])


PARTITIONS = 1 << constant("replication/ring.h", "define RING_BITS ")
BEATS_A_SECOND = 1000 / constant("replication/members.h",
                                 "define MEMBERS_BEAT_MS")
AT_ONCE = 1 + 2 + 2 + 2     # Requests of a loop to a peer, by lane.


def is_whole(cluster):
    return all(cluster.is_ready(port) and all(
        member["standing"] == "alive"
        for member in page(port, "/cluster")["members"])
        for port in cluster.ports)


def idle_us(program, count):
    """Microseconds of CPU a second, of one of so many idle nodes."""
    names = [f"n{number}" for number in range(count)]
    with tempfile.TemporaryDirectory(prefix="kist-sizes-") as folder:
        cluster = KistdCluster(
            program, ("--ballast-bytes", "1MiB",
                      "--anti-entropy-period", "1d"), names)
        try:
            cluster.start(Path(folder) / "nodes")
            until("all are there", lambda: is_whole(cluster))
            before = process.cpu_seconds(cluster.pids())
            time.sleep(MEASURED_S)
            after = process.cpu_seconds(cluster.pids())
        finally:
            cluster.stop()
    return (sum(after) - sum(before)) / count / MEASURED_S * 1e6


def beat_us(program):
    """Of asking once and being asked once, by what more members cost."""
    more = idle_us(program, LARGE) - idle_us(program, SMALL)
    return more / (LARGE - SMALL) / BEATS_A_SECOND


def row(members, beat):
    others = members - 1
    owned = PARTITIONS * COPIES / members
    beats = others * BEATS_A_SECOND
    peers = min(others, 2 * owned)      # With which it shares a partition.
    return [f"{members:,}", f"{others * LOOPS * AT_ONCE:,}",
            f"{beats:,.0f}", f"{beats * beat / 1e4:.1f}",
            f"{members * beats:,.0f}", f"{owned:,.0f}", f"{peers:,.0f}",
            f"{PERIOD_S + peers * SETTLE_S:,.0f}"]


def table(beat):
    head = ["Members", "Connections out, at most", "Beats a second",
            "% of a core for them", "Of all nodes", "Partitions", "Peers to "
            "compare with", "Round, s"]
    yield "| " + " | ".join(head) + " |"
    yield "|" + "--:|" * len(head)
    for members in MEMBERS:
        yield "| " + " | ".join(row(members, beat)) + " |"
    yield ""
    yield (f"A beat, asked and answered, took {beat:.0f} us of CPU: what "
           f"{LARGE} idle nodes use more than {SMALL}. (Load average "
           f"{os.getloadavg()[0]:.0f}: an upper bound.)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("kistd")
    parser.add_argument("--write", type=Path, metavar="PAGE",
                        help="between its marks")
    chosen = parser.parse_args()
    text = "\n".join(table(beat_us(chosen.kistd)))
    print(text)
    if chosen.write:
        before, _, rest = chosen.write.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        chosen.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
