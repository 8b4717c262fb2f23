#!/usr/bin/python3
"""A cluster to try on this machine: three kistd, HAProxy in front, Prometheus.

Everything listens on one loopback address that is this process's alone, and
keeps its data in a temporary directory. A kistd that is killed is started
again after a while, as its supervisor would; Ctrl-C ends all of it and removes
the data. Without an installed Prometheus there is none.

Exit status: 0, or 1 if it did not become ready or something else than a kistd
ended.
"""

import argparse
import ctypes
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("a", "b", "c")
PR_SET_PDEATHSIG = 1
PATIENCE_S = 60
STOP_S = 15  # More than --shutdown-grace.


class Failed(Exception):
    """The cluster cannot be, or go on."""


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


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
        except (urllib.error.URLError, OSError):
            return None

    def last_words(self):
        lines = Path(self.log).read_text(errors="replace").splitlines()
        return f"{self.name} has ended:\n" + "\n".join(lines[-10:])


class Node(Program):
    """A kistd. Ports: clients' 7711 and up, peers' 7701 and up."""

    def __init__(self, number, host, kistd, directory):
        peers = ",".join(f"{name}={host}:{7701 + i}"
                         for i, name in enumerate(NAMES))
        address = f"{host}:{7711 + number}"
        super().__init__(NAMES[number], f"http://{address}", [
            kistd, "--listen", address,
            "--data", f"{directory}/{NAMES[number]}",
            "--ballast-bytes", "1MiB",
            "--node-id", NAMES[number], "--peers", peers,
            "--peer-listen", f"{host}:{7701 + number}",
            "--peer-secret-file", f"{directory}/secret",
            # The proxy is all clients in one.
            "--max-connections-per-address", "0",
        ], directory)

    def is_ready(self):
        """It takes requests, and has heard that all others do."""
        page = self.answers("/cluster") if self.answers("/readyz") else None
        return page is not None and all(
            member["clock"]["good"] for member in json.loads(page)["members"])


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
        shutil.copy(folder / "alerts.yml", directory)
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
        with open(f"{directory}/secret", "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(secrets.token_hex(32) + "\n")
        self.nodes = [Node(i, host, kistd, directory)
                      for i in range(len(NAMES))]
        self.proxy = Proxy(host, self.nodes, directory)
        self.programs = [*self.nodes, self.proxy]
        if shutil.which("prometheus"):
            self.programs.append(Prometheus(host, self.nodes, directory))

    def wait_until_ready(self):
        end = time.monotonic() + PATIENCE_S
        for program in self.programs:
            while not program.is_ready():
                if not program.runs():
                    raise Failed(program.last_words())
                if time.monotonic() > end:
                    raise Failed(f"{program.name} is not ready after "
                                 f"{PATIENCE_S} s: {program.log}")
                time.sleep(0.05)

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


def stop_on_signals():
    """Both ways of being asked to end are KeyboardInterrupt."""
    def interrupt(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)


def ignore_signals():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run(kistd, back_after, directory):
    cluster = Cluster(kistd, directory)
    try:
        cluster.wait_until_ready()
        cluster.announce(back_after)
        while True:
            cluster.look_after(back_after)
            time.sleep(0.1)
    except KeyboardInterrupt:
        ignore_signals()
        print("\nending", flush=True)
    finally:
        in_time = cluster.stop()
    return 0 if in_time else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kistd", default=str(ROOT / "build/release/kistd"))
    parser.add_argument("--back-after", type=float, default=15,
                        metavar="S", help="seconds until a dead node is back")
    arguments = parser.parse_args()
    stop_on_signals()
    with tempfile.TemporaryDirectory(prefix="kist-cluster-") as directory:
        try:
            return run(arguments.kistd, arguments.back_after, directory)
        except (Failed, OSError) as failure:
            print(f"\nFAILED: {failure}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
