"""What must hold, whatever went wrong; each check gives its violations.

A write that was acknowledged is never lost, and a deleted value never comes
back. A majority read finds what was acknowledged by a majority, or read by
one, before it began; and any read what its Kist-After says. What was refused
as not applied is nowhere. Versions are given once. Copies become the same.
"""

import bisect
import json
import time
from collections import defaultdict

from clients import value_of
from connection import ask_all
from node import until

MAJORITY = 2
CONVERGE_S = 40
LOOK_BACK_S = 3.0
AHEAD_S = 5.0  # A lease after a restart, and what good clocks are apart.
WALL_S = time.time() - time.monotonic()  # Ours is true.


def told(operation):
    return json.dumps(operation, sort_keys=True)


def is_acknowledged(operation):
    return operation["f"] != "get" and operation["out"] == "ok"


def may_be_there(operation):
    return operation["f"] != "get" and operation["out"] != "fail"


def by_key(operations):
    keys = defaultdict(list)
    for operation in operations:
        keys[operation["key"]].append(operation)
    return keys


def deletes_explain(operations, version, before):
    """Whether a delete can have made version of a key go away by then."""
    return any(o["f"] == "delete" and may_be_there(o) and o["t0"] < before and
               (o["version"] is None or o["version"] >= version)
               for o in operations)


# --------------------------------------------------------- the history alone


class Known:
    """The newest version that a majority is known to have, by time."""

    def __init__(self, operations):
        self.times, self.versions = [], []
        newest = ""
        for o in sorted(operations, key=lambda o: o["t1"]):
            copies = o["r"] if o["f"] == "get" else o["w"]
            if o["out"] == "ok" and o["version"] and copies >= MAJORITY:
                newest = max(newest, o["version"])
                self.times.append(o["t1"])
                self.versions.append(newest)

    def before(self, moment):
        at = bisect.bisect_left(self.times, moment)
        return self.versions[at - 1] if at > 0 else ""


def reads_go_forward(operations):
    for of_key in by_key(operations).values():
        known = Known(of_key)
        for o in of_key:
            if o["f"] != "get" or o["out"] != "ok":
                continue
            least = o["after"] or ""
            if o["r"] >= MAJORITY:
                least = max(least, known.before(o["t0"]))
            if o["version"]:
                if o["version"] < least:
                    yield f"a read went behind {least}: {told(o)}"
            elif least and not deletes_explain(of_key, least, o["t1"]):
                yield f"a read did not find {least}: {told(o)}"


def reads_find_what_was_written(operations):
    writes = {o["value"]: o for o in operations if o["f"] == "put"}
    for o in operations:
        if o["f"] != "get" or o["status"] != 200:
            continue
        write = writes.get(o["value"])
        if write is None or write["key"] != o["key"]:
            yield f"nobody wrote what was read: {told(o)}"
        elif write["out"] == "fail" or write["t0"] > o["t1"]:
            yield f"read, but not applied: {told(o)}, {told(write)}"
        elif write["version"] not in (None, o["version"]):
            yield f"stamped anew: {told(o)}, {told(write)}"


def versions_are_given_once(operations):
    seen = {}
    for o in operations:
        if not may_be_there(o) or o["version"] is None:
            continue
        if o["version"] in seen:
            yield f"given twice: {told(o)}, {told(seen[o['version']])}"
        seen[o["version"]] = o
        if o["after"] and o["version"] <= o["after"]:
            yield f"a write is not after what it was to follow: {told(o)}"


def versions_are_of_their_time(operations):
    """An hour ahead, none could replace it for an hour."""
    for o in operations:
        if is_acknowledged(o) and o["version"] and \
                int(o["version"][:12], 16) / 1e3 > WALL_S + o["t1"] + AHEAD_S:
            yield f"a version is ahead of its time: {told(o)}"


def receipts_keep_their_word(operations):
    for o in operations:
        if is_acknowledged(o) and o["acked"] < o["w"]:
            yield f"acknowledged by fewer than w: {told(o)}"


HISTORY_CHECKS = [reads_go_forward, reads_find_what_was_written,
                  versions_are_given_once, versions_are_of_their_time,
                  receipts_keep_their_word]


# ------------------------------------------------------------------- copies


class Copies:
    """Of each key: what each of its owners has, (version, value)."""

    def __init__(self, cluster, keys):
        self.nodes = {node.name: node for node in cluster.members()}
        self.owners = {}
        any_port = cluster.members()[0].port
        pages = ask_all(any_port, [f"GET /cluster/ring?key={key}"
                                   for key in keys])
        for key, page in zip(keys, pages):
            self.owners[key] = json.loads(page.body)["owners"]
        self.found = {key: {} for key in keys}
        self.look(keys)

    def look(self, keys):
        for name, node in self.nodes.items():
            mine = [key for key in keys if name in self.owners[key]]
            answers = ask_all(node.port, [f"GET /kv/{key}?r=1"
                                          for key in mine])
            for key, answer in zip(mine, answers):
                assert answer.status in (200, 404), \
                    f"{name} does not tell its copy of {key}: {answer}"
                self.found[key][name] = (answer.version or "",
                                         value_of(answer.body)
                                         if answer.status == 200 else None)

    def different(self):
        return [key for key, copies in self.found.items()
                if len(set(copies.values())) > 1]


def converge(cluster, keys):
    """The copies, as soon as those of each key are the same; and violations."""
    end = time.monotonic() + CONVERGE_S
    copies = Copies(cluster, keys)
    while (keys := copies.different()) and time.monotonic() < end:
        time.sleep(0.5)
        copies.look(keys)
    return copies, [f"copies differ after {CONVERGE_S} s: {key}: "
                    f"{copies.found[key]}" for key in keys]


def newest_acknowledged(operations, least):
    """By at least so many copies; "": nothing."""
    return max((o["version"] for o in operations
                if is_acknowledged(o) and o["acked"] >= least), default="")


def stays_outside(node):
    """Its machine has lost its data: it is no copy, and says so."""
    state = until(f"{node.name} knows what it is",
                  lambda: node.page("/cluster").get("state") in
                  ("stranger", "outsider", "candidate") or node.is_ready())
    if node.is_ready() or not state:
        yield f"{node.name} was wiped, and is ready"


def read_of_majority(node, keys):
    """Key to answer; a node that hears nobody just now is asked again."""
    end = None
    found = {}
    while keys:
        answers = ask_all(node.port, [f"GET /kv/{key}?r=2" for key in keys])
        found |= zip(keys, answers)
        keys = [key for key in keys if found[key].status >= 500]
        # The first look, at all of them, can take as long itself.
        end = end or time.monotonic() + CONVERGE_S
        if keys and time.monotonic() > end:
            break
        time.sleep(0.5 if keys else 0)
    return found


def majorities_find(operations, cluster):
    """What a majority has, before comparing has brought it to all."""
    keys = by_key(operations)
    nodes = cluster.members()
    for number, node in enumerate(nodes):
        some = sorted(keys)[number::len(nodes)]
        for key, answer in read_of_majority(node, some).items():
            newest = newest_acknowledged(keys[key], MAJORITY)
            if answer.status not in (200, 404):
                yield f"{node.name} cannot read {key}: {answer}"
            elif (answer.version or "") < newest and not (
                    answer.version is None and
                    deletes_explain(keys[key], newest, float("inf"))):
                yield f"a majority has {answer.version} of {key}, " \
                      f"{newest} was acked"


def nothing_is_lost(operations, copies, least=1):
    """least: by how many a write was acknowledged that has to be there."""
    for key, of_key in by_key(operations).items():
        newest = newest_acknowledged(of_key, least)
        for name, (version, value) in copies.found[key].items():
            if value is not None and version < newest:
                yield f"{name} has {version} of {key}, {newest} was acked"
            elif value is None and newest and \
                    not deletes_explain(of_key, newest, float("inf")):
                yield f"{name} has lost {newest} of {key}"
            if value is not None and not any(
                    o["f"] == "put" and may_be_there(o) and
                    o["value"] == value and
                    o["version"] in (None, version) for o in of_key):
                yield f"{name} has {value} as {version} of {key}: not applied"


class Witness:
    """At a blackout: are there as many copies as was said?"""

    def __init__(self, cluster, history):
        self.cluster = cluster
        self.history = history
        self.violations = []
        self.seen = 0

    def look(self, blackout):
        with self.history.lock:
            recent = [o for o in self.history.operations[-3000:]
                      if is_acknowledged(o) and o["kind"] == "unique" and
                      blackout.at - LOOK_BACK_S < o["t1"] < blackout.at]
        blackout.looked = len(recent)
        self.seen += len(recent)
        copies = Copies(self.cluster, [o["key"] for o in recent])
        for o in recent:
            there = [name for name, copy in copies.found[o["key"]].items()
                     if copy == (o["version"], o["value"])]
            if len(there) < o["acked"]:
                self.violations.append(
                    f"copies at {there} after all were killed: {told(o)}")
