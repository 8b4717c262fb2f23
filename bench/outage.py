"""Workloads of three nodes, one of which is killed: what writers notice of
it, and how long it takes until the node has what it missed."""

import json
import time

import raw_http
import stage as stages
from cluster import NAMES, PATIENCE_S, KistdCluster
from registry import measured_point, workload
from writers import Writers

CLIENTS = 9
CALM_S, AWAY_S = 2, 3       # A part of the measurement each.
CATCH_UP_S = 300            # More than two periods of comparing.
BATCH = 1000                # Operations of a request.
GAPS = {
    "gap_ms": "longest gap of a client, ms",
    "gap_of_all_ms": "of all clients together, ms",
    "gap_before_ms": "of a client before the kill, ms",
    "gap_when_back_ms": "of a client while the node comes back, ms",
    "per_second": "writes/s without the node",
}
CATCHING_UP = {
    "converge_s": "until it has all, s",
    "start_s": "of that, until it is up, s",
    "write_s": "the writes took, s",
    "hints": "brought by hints",
    "compared": "by comparing",
}


def until(what, condition, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s: {what}")
        time.sleep(0.01)


def ask(port, method, path, body=None, headers=()):
    return raw_http.ask(port, raw_http.request(method, path, body, headers))


def page(port, path):
    return json.loads(ask(port, "GET", path).body)


class Mortal(KistdCluster):
    """Three kistd of which each can be killed and started again."""

    def kill(self, number):
        self.children[number].kill()
        self.children[number].wait()

    def revive(self, number):
        """It answers; whether the others know is another matter."""
        child = self.children[number]
        log = self.folder / f"again-{time.monotonic_ns()}.txt"
        self.child(*child.args, log=log.name)
        self.children[number] = self.children.pop()
        self.ports[number] = self.port_in(log, self.children[number])

    def is_whole(self):
        """Everybody sees everybody, and owes nobody anything."""
        return all(
            self.is_ready(port) and page(port, "/cluster/hints")["pending"] == 0
            and all(member["standing"] == "alive" and member["clock"]["good"]
                    for member in page(port, "/cluster")["members"])
            for port in self.ports)


def write_text(client, count):
    number = client * 1_000_000 + count
    return raw_http.request("PUT", f"/kv/w/{number}", stages.value_of(number),
                            [("Content-Type", "application/json")])


def killing(cluster):
    """Each round kills another node, and starts it again."""
    def measured(round_number):
        victim = round_number % len(NAMES)
        with Writers(CLIENTS, cluster.ports, write_text) as writers:
            began = time.monotonic()
            time.sleep(CALM_S)
            killed = time.monotonic()
            cluster.kill(victim)
            time.sleep(AWAY_S)
            revived = time.monotonic()
            cluster.revive(victim)
            until("all are there again", cluster.is_whole)
            ended = time.monotonic()
        calm = writers.figures(began, killed)
        away = writers.figures(killed, revived)
        back = writers.figures(revived, ended)
        return {"per_second": away["count"] / (revived - killed),
                "gap_ms": away["of_one_ms"],
                "gap_of_all_ms": away["of_all_ms"],
                "gap_when_back_ms": back["of_one_ms"],
                "gap_before_ms": calm["of_one_ms"]}
    return measured


@workload("interruption", "a node is killed under load", axis="what",
          figures=GAPS)
def interruption(stage):
    """Nine clients write durably (n = 3, w = 2), a request at a time, three of
    them at each node; who gets no answer goes on at the next node. One node
    after the other gets `kill -9`. The gap is the longest that any client
    waited from one acknowledged write to the next, in the three seconds after
    the kill; the clients of the node that was killed are among them. Requests
    are few because the clients are: the three programs and they share two
    cores."""
    cluster = stage.start(Mortal(stage.program))
    until("all are there", cluster.is_whole)
    rounds = len(NAMES) if stage.scale.quick else 2 * len(NAMES)
    return [measured_point("kill -9", {"kistd": killing(cluster)}, rounds)]


# ------------------------------------------------------------ catching up

def value_in(number, round_number):
    return b'{"id":%d,"round":%d,"text":"%s"}' % (number, round_number,
                                                 b"x" * 60)


def write_all(port, count, round_number):
    lines = [b'{"op":"put","key":"%s","value":%s}\n' % (
        stages.key_of(number), value_in(number, round_number))
        for number in range(count)]
    connection = raw_http.Connection(port)
    for at in range(0, count, BATCH):
        part = lines[at:at + BATCH]
        answer = connection.ask(raw_http.request(
            "POST", "/batch", b"".join(part),
            [("Content-Type", "application/x-ndjson")]))
        if answer.body.count(b'"status":20') != len(part):
            raise RuntimeError(f"not all was written: {answer.body[:300]}")
    connection.close()


def has(connection, numbers, round_number):
    """How many of them, from the first on, that node has of this round."""
    answer = connection.ask(raw_http.request(
        "POST", "/batch?r=1", b"".join(
            b'{"op":"get","key":"%s"}\n' % stages.key_of(number)
            for number in numbers), [("Content-Type", "application/x-ndjson")]))
    there = 0
    for number, line in zip(numbers, answer.body.splitlines()):
        if value_in(number, round_number) not in line:
            break
        there += 1
    return there


def wait_for_all(port, count, round_number):
    """Until the node's own copy of each key is of this round. A copy never
    goes back, so each one is looked at until it is there, and then no more."""
    connection = raw_http.Connection(port)
    at = 0

    def all_are_there():
        nonlocal at
        more = BATCH
        while at < count and more == BATCH:
            more = has(connection, range(at, min(at + BATCH, count)),
                       round_number)
            at += more
        return at == count

    until("the node has all", all_are_there, CATCH_UP_S)
    connection.close()


def brought(cluster):
    """Records that the nodes have given each other, by what."""
    survivors = cluster.ports[:-1]      # Their counts go on.
    hints = sum(page(port, "/cluster/hints")["delivered"]
                for port in survivors)
    compared = sum(page(port, "/cluster/divergence")["pushed"]
                   for port in survivors)
    return {"hints": hints,
            "compared": compared + page(cluster.ports[-1],
                                        "/cluster/divergence")["fetched"]}


def missing(cluster, count):
    """Each round one node is away for all the writes, and gets them."""
    def measured(round_number):
        victim = len(NAMES) - 1
        before = brought(cluster)
        cluster.kill(victim)
        began = time.monotonic()
        write_all(cluster.ports[0], count, round_number)
        wrote = time.monotonic() - began
        for port in cluster.ports[:victim]:
            wait_for_all(port, count, round_number)
        began = time.monotonic()
        cluster.revive(victim)
        ready = time.monotonic()
        wait_for_all(cluster.ports[victim], count, round_number)
        seconds = time.monotonic() - began
        until("all are there again", cluster.is_whole)
        return {"converge_s": seconds, "start_s": ready - began,
                "write_s": wrote} | {
                    by: amount - before[by]
                    for by, amount in brought(cluster).items()}
    return measured


@workload("convergence", "a node that missed 100,000 writes", axis="by",
          figures=CATCHING_UP)
def convergence(stage):
    """100,000 records are written while one of three nodes is down. Counted
    is the time from its start until its own copy of each (`r=1`, asked of
    itself) is the new one, as those of the others are: by hints, which the
    others kept for it in memory, and by comparing alone (`hint-bytes 0`), in
    which there is the pause of `write-timeout` that a comparison makes."""
    count = stage.scale.missed
    points = []
    for name, settings in (("hints", ()),
                           ("comparing", ("--hint-bytes", "0"))):
        cluster = stage.start(Mortal(stage.program, settings))
        points.append(measured_point(name, {"kistd": missing(cluster, count)},
                                     min(stage.scale.rounds, 3)))
        cluster.stop()
    return points
