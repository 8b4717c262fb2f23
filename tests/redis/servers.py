"""Redis, a Redis Cluster and kistd on them, for tests: in a directory of
their own, on ports that were free, ended with who started them."""

import ctypes
import http.client
import json
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
NAP_S, LATE_S = 0.02, 0.25
LIBC = ctypes.CDLL(None)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_free(port):
    with socket.socket() as it:
        try:
            it.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_port():
    """A port that is free, and so is that of the cluster bus beside it."""
    while True:
        with socket.socket() as it:
            it.bind(("127.0.0.1", 0))
            port = it.getsockname()[1]
        if port < 60000 and is_free(port + 1000):
            return port


def wait_for(what, true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s for: {what}"
        time.sleep(0.02)


class Stalls(threading.Thread):
    """For how long the machine let nobody here run: who only sleeps notices.
    That much later than alone may come what a test waits for."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seconds = 0.0
        self.start()

    def run(self):
        while True:
            began = time.monotonic()
            time.sleep(NAP_S)
            late = time.monotonic() - began - NAP_S
            if late > LATE_S:
                self.seconds += late


class Redis:
    def __init__(self, directory, *flags, port=None):
        self.directory = Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.flags = flags
        self.port = port or free_port()
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1",
             "--dir", str(self.directory), "--save", "", "--logfile",
             "redis.log", "--daemonize", "no", *self.flags],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent)

    def ask(self, *words):
        """One command; the answer as redis-cli prints it."""
        return subprocess.run(
            ["redis-cli", "-p", str(self.port), *map(str, words)],
            capture_output=True, text=True, timeout=20).stdout.strip()

    def await_up(self):
        wait_for("redis-server", lambda: self.ask("PING") == "PONG")

    def kill(self):
        self.process.kill()
        self.process.wait()


class Cluster:
    """Three masters, a replica each, as redis-cli makes them."""

    def __init__(self, directory, *flags, nodes=6, replicas=1):
        self.nodes = []
        for i in range(nodes):
            port = free_port()
            self.nodes.append(Redis(
                Path(directory, f"redis-{i}"), "--cluster-enabled", "yes",
                "--cluster-config-file", "nodes.conf",
                # Of greetings, too: one that is late is never sent again.
                "--cluster-node-timeout", "60000",
                "--cluster-port", str(port + 1000),
                "--repl-diskless-sync-delay", "0", *flags, port=port))
        for node in self.nodes:
            node.await_up()
        made = subprocess.run(
            ["redis-cli", "--cluster", "create",
             *[f"127.0.0.1:{node.port}" for node in self.nodes],
             "--cluster-replicas", str(replicas), "--cluster-yes"],
            capture_output=True, text=True, timeout=60)
        assert made.returncode == 0, made.stdout + made.stderr
        wait_for("cluster_state:ok", lambda: all(
            "cluster_state:ok" in node.ask("CLUSTER", "INFO")
            for node in self.nodes))
        wait_for("replicas", lambda: all(
            "master_link_status:up" in text or "role:master" in text
            for text in (node.ask("INFO", "replication")
                         for node in self.nodes)))
        for node in self.nodes:
            node.ask("CONFIG", "SET", "cluster-node-timeout", 1000)
            node.flags += ("--cluster-node-timeout", "1000")  # Started anew.

    def masters(self):
        return [node for node in self.nodes if node.process.poll() is None
                and "role:master" in node.ask("INFO", "replication")]

    def addresses(self):
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def close(self):
        for node in self.nodes:
            node.kill()


class Kistd:
    def __init__(self, program, directory, nodes, *flags):
        self.directory = Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.log = open(self.directory / "log", "wb")
        self.process = subprocess.Popen(
            [program, "--listen", "127.0.0.1:0", "--data",
             str(self.directory / "data"), "--engine", "redis",
             "--redis-nodes", nodes, *flags],
            stdout=subprocess.DEVNULL, stderr=self.log,
            preexec_fn=die_with_parent)
        wait_for("kistd's port", self.find_port)

    def lines(self):
        text = (self.directory / "log").read_text()
        return [json.loads(line) for line in text.splitlines()
                if line.endswith("}")]

    def find_port(self):
        assert self.process.poll() is None, "kistd ended"
        for line in self.lines():
            if line["event"] == "listening":
                self.port = int(line["address"].rpartition(":")[2])
                return True
        return False

    def client(self):
        return Client(self.port)

    def is_ready(self):
        return Client(self.port).ask("GET", "/readyz")[0] == 200

    def await_ready(self):
        wait_for("readiness", self.is_ready)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        self.log.close()
        assert status == 0, f"kistd ended with {status}"


class Client:
    """One connection, opened again when it was closed."""

    def __init__(self, port):
        self.port = port
        self.http = None

    def ask(self, method, path, body=None, headers={}):
        """(status, headers, body); a broken connection is an error."""
        if self.http is None:
            self.http = http.client.HTTPConnection("127.0.0.1", self.port,
                                                   timeout=30)
        try:
            self.http.request(method, path, body=body, headers=headers)
            answer = self.http.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.http.close()
            self.http = None
            raise
        return answer.status, answer.headers, text


def scratch():
    return tempfile.TemporaryDirectory(prefix="kist-redis-")
