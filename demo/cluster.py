#!/usr/bin/python3
"""A cluster to try on this machine: three kistd, HAProxy in front, Prometheus.

Everything listens on one loopback address that is this process's alone, and
keeps its data in a temporary directory. A kistd that is killed is started
again after a while, as its supervisor would; Ctrl-C ends all of it and removes
the data. Without an installed Prometheus there is none. With --demo it kills
one itself, under load, shows how the others go on and how it gets what it
missed; then a fourth one joins, and data moves to it; and ends.

Exit status: 0, or 1 if it did not become ready, something else than a kistd
ended, or the demo found an acknowledged write missing.
"""

import argparse
import ctypes
import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import load

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("a", "b", "c")
FOURTH = "d"
LIBC = ctypes.CDLL(None)  # Loaded before there are threads.
PR_SET_PDEATHSIG = 1
PATIENCE_S = 60
MOVE_S = 240  # Thousands of partitions, one after the other.
STOP_S = 15  # More than --shutdown-grace.
BAR = 20     # Characters of a progress bar.


class Failed(Exception):
    """The cluster cannot be, or go on."""


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def until(what, condition, pause=lambda: time.sleep(0.05), seconds=PATIENCE_S):
    """The first true value of condition()."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise Failed(f"not within {seconds} s: {what}")
        pause()
    return value


class Program:
    """One of the processes: it dies with this one, its output is in a file."""

    def __init__(self, name, url, command, directory, env=None):
        self.name = name
        self.url = url
        self.command = command
        self.log = f"{directory}/{name}.log"
        self.env = dict(os.environ, **(env or {}))
        self.start()

    def start(self):
        # A session of its own: Ctrl-C is for this process to hand on.
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.env, start_new_session=True,
                preexec_fn=die_with_parent)
        self.ended_at = None

    def runs(self):
        return self.child.poll() is None

    def answers(self, path):
        """The body of a 200; None otherwise."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=2) as answer:
                return answer.read()
        except (http.client.HTTPException, OSError):
            return None

    def asked_to(self, path, content=None):
        """What a POST that was accepted is answered with; None otherwise."""
        body = b"" if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.url + path, body, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except (http.client.HTTPException, OSError):
            return None

    def last_words(self):
        lines = Path(self.log).read_text(errors="replace").splitlines()
        return f"{self.name} has ended:\n" + "\n".join(lines[-10:])


class Node(Program):
    """A kistd. Ports: clients' 7711 and up, peers' 7701 and up."""

    def __init__(self, number, host, kistd, directory):
        name = (*NAMES, FOURTH)[number]
        address = f"{host}:{7711 + number}"
        self.peer_address = f"{host}:{7701 + number}"
        super().__init__(name, f"http://{address}", [
            kistd, "--listen", address,
            "--data", f"{directory}/{name}",
            "--ballast-bytes", "1MiB",
            "--node-id", name, *self.others(name, host),
            "--peer-listen", self.peer_address,
            "--peer-secret-file", f"{directory}/secret",
            # The proxy is all clients in one.
            "--max-connections-per-address", "0",
        ], directory)

    @staticmethod
    def others(name, host):
        """Whom it founds a cluster with, or asks to be taken in."""
        peers = {other: f"{host}:{7701 + i}" for i, other in enumerate(NAMES)}
        if name not in peers:
            return ["--join", ",".join(peers.values())]
        return ["--peers", ",".join(map("=".join, peers.items()))]

    def is_ready(self):
        """It takes requests, and has heard that all others do."""
        page = self.cluster() if self.answers("/readyz") else None
        return page is not None and all(
            member["clock"]["good"] for member in page["members"])

    def cluster(self):
        """The cluster as it sees it; None: it does not answer."""
        page = self.answers("/cluster")
        return page and json.loads(page)

    def place(self, name):
        """Of a member, as it sees it; None: it knows none."""
        page = self.cluster() or {"members": []}
        return next((member.get("place") for member in page["members"]
                     if member["name"] == name), None)


class Proxy(Program):
    def __init__(self, host, nodes, directory):
        address = f"{host}:7700"
        env = {f"KIST_NODE_{node.name.upper()}":
               node.url.removeprefix("http://") for node in nodes}
        super().__init__("proxy", f"http://{address}", [
            "haproxy", "-db", "-f", str(ROOT / "deploy/haproxy/haproxy.cfg"),
        ], directory, env | {"KIST_PROXY": address})

    def is_ready(self):
        return self.answers("/readyz") is not None


class Prometheus(Program):
    def __init__(self, host, nodes, directory):
        folder = ROOT / "deploy/prometheus"
        config = (folder / "cluster.yml").read_text()
        for node in nodes:
            config = config.replace(f"'{node.name}:7700'",
                                    f"'{node.url.removeprefix('http://')}'")
        Path(directory, "prometheus.yml").write_text(config)
        for rules in ("alerts.yml", "cluster-alerts.yml"):
            shutil.copy(folder / rules, directory)
        address = f"{host}:9090"
        super().__init__("prometheus", f"http://{address}", [
            "prometheus", f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/prometheus",
            f"--web.listen-address={address}",
        ], directory)

    def is_ready(self):
        return self.answers("/-/ready") is not None


class Cluster:
    def __init__(self, kistd, directory):
        # Its own address: no port is anybody else's, a dead node's neither.
        pid = os.getpid()
        host = f"127.{64 + (pid >> 16) % 64}.{pid >> 8 & 255}.{pid & 255}"
        self.directory = directory
        self.host, self.kistd = host, kistd
        with open(f"{directory}/secret", "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(secrets.token_hex(32) + "\n")
        self.nodes = [Node(i, host, kistd, directory)
                      for i in range(len(NAMES))]
        self.proxy = Proxy(host, self.nodes, directory)
        self.programs = [*self.nodes, self.proxy]
        if shutil.which("prometheus"):
            self.programs.append(Prometheus(host, self.nodes, directory))

    def add_node(self):
        """The fourth one, which nobody has been told of yet."""
        node = Node(len(NAMES), self.host, self.kistd, self.directory)
        self.nodes.append(node)
        self.programs.append(node)
        return node

    def wait_until_ready(self):
        for program in self.programs:
            def is_ready(program=program):
                if not program.runs():
                    raise Failed(program.last_words())
                return program.is_ready()
            until(f"{program.name} is ready: {program.log}", is_ready)

    def look_after(self, back_after):
        """Start nodes again that ended; raises if something else has."""
        for program in self.programs:
            if program.runs():
                continue
            if program not in self.nodes:
                raise Failed(program.last_words())
            if program.ended_at is None:
                program.ended_at = time.monotonic()
                print(f"{program.name} has ended; it is started again in "
                      f"{back_after:g} s", flush=True)
            elif time.monotonic() >= program.ended_at + back_after:
                program.start()
                print(f"{program.name} is started again, pid "
                      f"{program.child.pid}", flush=True)

    def stop(self):
        """True if all of them ended by themselves."""
        for program in self.programs:
            if program.runs():
                program.child.terminate()
        end = time.monotonic() + STOP_S
        in_time = True
        for program in self.programs:
            try:
                program.child.wait(max(0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                program.child.kill()
                program.child.wait()
                in_time = False
        return in_time

    def announce(self, back_after):
        a, b, c = self.nodes
        rows = [f"  {program.name:<11} {program.url}   pid {program.child.pid}"
                for program in self.programs]
        print(f"""
Three nodes, each value on all of them. Their logs and data: {self.directory}

{chr(10).join(rows)}

Write through the proxy, read at another node, see who is there:

  curl -X PUT {self.proxy.url}/kv/greeting --json '{{"hello":"world"}}'
  curl -i {b.url}/kv/greeting
  curl {a.url}/cluster
  curl '{a.url}/cluster/ring?key=greeting'

Lose one and go on; who took the write keeps it for the one that is away, which
is started again {back_after:g} s later and gets it (r=1: its own copy):

  kill -9 {c.child.pid}
  curl -i -X PUT {self.proxy.url}/kv/greeting --json '{{"hello":"you two"}}'
  curl {a.url}/cluster/hints {b.url}/cluster/hints
  curl '{c.url}/kv/greeting?r=1'

Ctrl-C ends all of it.
""", flush=True)


def missing_at(node, values):
    """How many it lacks for good: two others can have acknowledged a write
    before its copy is there."""
    address = node.url.removeprefix("http://")
    end = time.monotonic() + PATIENCE_S
    while (missing := load.missing_at(address, values)) > 0:
        if time.monotonic() > end:
            break
    return missing


class Demo:
    """A node is killed under load, and gets what it has missed; then another
    one joins."""

    def __init__(self, cluster, keys, seconds):
        self.cluster, self.seconds = cluster, seconds
        self.address = cluster.proxy.url.removeprefix("http://")
        print(f"\n{keys} values are there to begin with")
        load.fill(self.address, keys)
        self.load = load.Load(self.address)
        self.begin = time.monotonic()

    def hints(self):
        pages = [node.answers("/cluster/hints") for node in self.cluster.nodes]
        return sum(json.loads(page)["pending"] for page in pages if page)

    def show_second(self, phase, more=None):
        time.sleep(1)
        answered, failed, slowest_s = self.load.take_figures()
        more = more or f"{self.hints():7} hints"
        print(f"{time.monotonic() - self.begin:5.0f} s  {phase:<14}"
              f"{answered:6} answered {failed:4} failed {slowest_s * 1e3:7.0f}"
              f" ms slowest {more}", flush=True)

    def run(self):
        print(f"\n{load.CLIENTS} clients write and read through the proxy\n")
        good = self.lose_one()
        return self.take_one_in() and good

    def lose_one(self):
        victim = self.cluster.nodes[-1]
        for _ in range(self.seconds):
            self.show_second("all are there")
        first = len(self.load.acknowledged)
        victim.child.kill()
        victim.child.wait()
        for _ in range(self.seconds):
            self.show_second(f"{victim.name} is killed")
        until("there are writes to miss",
              lambda: len(self.load.acknowledged) > first,
              lambda: self.show_second(f"{victim.name} is killed"))
        missed = self.load.acknowledged[first:]
        victim.start()
        until("the hints drain",
              lambda: victim.is_ready() and self.hints() == 0,
              lambda: self.show_second(f"{victim.name} is back"))
        missing = missing_at(victim, missed)
        print(f"\n{len(missed)} writes were acknowledged while {victim.name} "
              f"was away; it lacks {missing} of them now.\n", flush=True)
        return missing == 0 and len(missed) > 0

    def take_one_in(self):
        node = self.cluster.add_node()
        first = self.cluster.nodes[0]
        change = {"join": f"{node.name}={node.peer_address}"}
        plan = until(f"{node.name} is there to be taken in",
                     lambda: first.asked_to("/cluster/plan", change))
        print(f"{node.name} is started; to take it in would move about "
              f"{plan['keys']} records to it. It is taken in:\n", flush=True)
        # The answer may be late: what counts is that the cluster knows of it.
        until(f"{node.name} is taken in", lambda: first.asked_to(
            f"/cluster/plan/commit?plan={plan['plan']}") or
            first.place(node.name))
        until(f"{node.name} gets its data", self.has_moved,
              lambda: self.show_second(f"{node.name} joins",
                                       self.progress(plan)), MOVE_S)
        return self.judge_all(node)

    def has_moved(self):
        """All know that: they hear of it one after the other."""
        return all(node.is_ready() and
                   node.place(self.cluster.nodes[-1].name) == "steady"
                   for node in self.cluster.nodes)

    def progress(self, plan):
        page = self.cluster.nodes[0].answers("/cluster/transfers")
        records = sum(member.get("records", 0)
                      for member in json.loads(page)["members"]) if page else 0
        bar = "#" * min(BAR, BAR * records // max(plan["keys"], 1))
        return f"[{bar:.<{BAR}}] {records:7} records moved"

    def judge_all(self, node):
        self.load.end()
        missing = missing_at(node, self.load.acknowledged)
        members = until(f"{node.name} answers", node.cluster)["members"]
        shares = ", ".join(f"{member['name']} {member['partitions']}"
                           for member in members)
        print(f"\nParts that each node has a copy of now: {shares}.\n"
              f"Of {len(self.load.acknowledged)} acknowledged writes "
              f"{node.name} finds all but {missing}.\n"
              f"{self.load.wrong} of all reads gave something else than what "
              "had been acknowledged before.", flush=True)
        return missing == 0 and self.load.wrong == 0


def stop_on_signals():
    """Both ways of being asked to end are KeyboardInterrupt."""
    def interrupt(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)


def ignore_signals():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def show(cluster, arguments):
    demo = Demo(cluster, arguments.keys, arguments.seconds)
    try:
        return demo.run()
    finally:
        demo.load.end()


def stay(cluster, back_after):
    cluster.announce(back_after)
    while True:
        cluster.look_after(back_after)
        time.sleep(0.1)


def run(arguments, directory):
    cluster = Cluster(arguments.kistd, directory)
    good = True
    try:
        cluster.wait_until_ready()
        if arguments.demo:
            good = show(cluster, arguments)
        else:
            stay(cluster, arguments.back_after)
    except KeyboardInterrupt:
        ignore_signals()
        print("\nending", flush=True)
    finally:
        in_time = cluster.stop()
    return 0 if good and in_time else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kistd", default=str(ROOT / "build/release/kistd"))
    parser.add_argument("--back-after", type=float, default=15,
                        metavar="S", help="seconds until a dead node is back")
    parser.add_argument("--demo", action="store_true",
                        help="kill a node under load, add one, show it, and "
                        "end")
    parser.add_argument("--keys", type=int, default=50_000, metavar="N",
                        help="values that are there before the demo")
    parser.add_argument("--seconds", type=int, default=5, metavar="S",
                        help="all is well for so long, and as long a node is "
                        "away")
    arguments = parser.parse_args()
    stop_on_signals()
    with tempfile.TemporaryDirectory(prefix="kist-cluster-") as directory:
        try:
            return run(arguments, directory)
        except (Failed, OSError) as failure:
            print(f"\nFAILED: {failure}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
