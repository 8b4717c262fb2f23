"""What kist means to reach, as ratios within one run on two cores.

Each row: the workload, the place on its axis, who is compared with whom, and
the bound. The figure is the median of the rounds' ratios of what the workload
compares: throughput, but for "isolation" the 99th percentile. Or, where a row
names a field, that figure of our own, of which the worst round decides.
"""

from dataclasses import dataclass

import measure


@dataclass
class Target:
    text: str
    against: str
    workload: str
    at: object
    ours: str
    peer: str
    bound: float
    sense: str = "at least"     # Or "at most".
    field: str = ""             # Instead of a ratio.

    def reached(self, ratio):
        if self.sense == "at most":
            return ratio <= self.bound
        return ratio >= self.bound

    def decisive(self, figure):
        """Of a median, a least and a greatest."""
        if not self.field:
            return figure["median"]
        return figure["max" if self.sense == "at most" else "min"]


ALWAYS = "Webdis + Redis `appendfsync always`"

TARGETS = [
    Target("hot GET", "nginx `return 200` with the same bytes",
           "get", 64, "kistd", "nginx", 0.95),
    Target("hot GET", "Webdis + Redis",
           "get", 64, "kistd", "webdis+redis", 2.0),
    Target("hot GET", "etcd JSON gateway", "get", 64, "kistd", "etcd", 10),
    Target("durable PUT", ALWAYS,
           "put", 64, "kistd", "webdis+redis always", 1.5),
    Target("durable PUT, 256 connections", ALWAYS,
           "put", 256, "kistd", "webdis+redis always", 1.5),
    Target("durable PUT", "etcd put", "put", 64, "kistd", "etcd", 5),
    Target("async PUT", "Webdis + Redis without fsync",
           "async", 64, "kistd", "webdis+redis no fsync", 1.3),
    Target("batch of 1000 puts, durable", "raw LevelDB, same batches, the "
           "faster of one and four threads",
           "batch-put", 16, "kistd", "raw LevelDB, 4 threads", 0.5),
    Target("GET of 1 GiB", "nginx, static file",
           "download", "1 GiB", "kistd", "nginx", 0.8),
    Target("PUT of 1 GiB", "dd with fsync",
           "upload", "1 GiB", "kistd", "dd", 0.6),
    Target("p99 of GET during sustained durable PUTs", "p99 of GET alone",
           "isolation", 64, "kistd, during PUTs", "kistd, alone", 3,
           "at most"),
    Target("GET at 10,000,000 keys", "GET at 100,000 keys, both out of cache",
           "growth", 64, "10,000,000 keys", "100,000 keys", 0.7),
    Target("three nodes: durable PUT, w=2", "etcd put, three nodes",
           "cluster", "PUT", "kistd", "etcd", 4),
    Target("three nodes: GET, r=1", "etcd range, three nodes",
           "cluster", "GET, r=1", "kistd, r=1", "etcd", 8),
    Target("three nodes: GET, r=2", "etcd range, three nodes",
           "cluster", "GET, r=2", "kistd, r=2", "etcd", 3),
    Target("three nodes: longest gap between the acknowledged writes of a "
           "client", "`kill -9` of one of them, ms",
           "interruption", "kill -9", "kistd", "", 1000, "at most", "gap_ms"),
]


def ratio_of(result, target):
    """(the ratio or figure, or None; why there is none)"""
    workload = result["workloads"].get(target.workload)
    if workload is None:
        return None, "not measured"
    if "error" in workload:
        return None, "ERROR: " + workload["error"]
    for point in workload["points"]:
        names = list(point["samples"])
        if point["at"] != target.at or names[0] != target.ours:
            continue
        if target.field:
            ratio = measure.spread_of(point["samples"][target.ours],
                                      target.field)
        else:
            ratio = point["ratios"].get(target.peer)
        if ratio:
            return ratio, ""
        for name in (target.ours, target.peer):
            for sample in point["samples"].get(name, ()):
                if "absent" in sample:
                    return None, "n/a: " + sample["absent"]
                if "error" in sample:
                    return None, "ERROR: " + sample["error"]
    return None, "not measured"
