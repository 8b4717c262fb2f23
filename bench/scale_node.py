"""A kistd of its own for bench/scale.py: started, watched, stopped."""

import http.client
import os
import platform
import signal
import socket
import subprocess
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def machine():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        model = next(line.split(":")[1].strip() for line in file
                     if line.startswith("model name"))
    return "%s, %d cores, Linux %s, load average %.0f" % (
        model, os.cpu_count(), platform.release(), os.getloadavg()[2])


def write_between(path, program, text):
    """Puts text between the marks of program in the file."""
    begin = "<!-- %s: begin -->\n" % program
    end = "<!-- %s: end -->\n" % program
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split(begin)
    after = rest.split(end)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + begin + text + end + after)


class Node:
    def __init__(self, kistd, data, options=(), environment=None):
        self.kistd, self.data, self.options = kistd, data, list(options)
        self.environment = dict(os.environ, **(environment or {}))
        self.log = open(data + ".log", "ab")
        self.port = 0
        self.child = None

    def start(self):
        """Seconds until /readyz answers 200."""
        self.port = free_port()
        began = time.monotonic()
        self.child = subprocess.Popen(
            [self.kistd, "--data", self.data,
             "--listen", "127.0.0.1:%d" % self.port] + self.options,
            stderr=self.log, env=self.environment)
        while not self._is_ready():
            if self.child.poll() is not None:
                raise SystemExit("kistd ended: see " + self.log.name)
            time.sleep(0.001)
        return round(time.monotonic() - began, 4)

    def _is_ready(self):
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def stop(self, how=signal.SIGTERM):
        """Seconds until the process is gone."""
        began = time.monotonic()
        if self.child is not None:
            self.child.send_signal(how)
            self.child.wait()
        self.child = None
        return round(time.monotonic() - began, 4)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def get(self, target, headers=None):
        connection = self.connect()
        connection.request("GET", target, headers=headers or {})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body

    def metric(self, name):
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise SystemExit("no metric " + name)

    def _proc(self, name):
        with open("/proc/%d/%s" % (self.child.pid, name)) as file:
            return file.read()

    def cpu_seconds(self):
        fields = self._proc("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def major_faults(self):
        """Reads from disk for mapped tables: none, if the pages are warm."""
        return int(self._proc("stat").rsplit(")", 1)[1].split()[9])

    def memory(self):
        """Bytes. file is what of the tables is mapped: page cache."""
        of = {line.split(":")[0]: int(line.split()[1]) << 10
              for line in self._proc("status").splitlines()
              if line.endswith(" kB")}
        return {"resident": of["VmRSS"], "anonymous": of["RssAnon"],
                "file": of["RssFile"], "peak_resident": of["VmHWM"]}

    def written_bytes(self):
        for line in self._proc("io").splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
        return 0

    def disk(self):
        """Bytes of the engine, of them its log, and of the ballast."""
        tables = log = 0
        engine = os.path.join(self.data, "leveldb")
        for name in os.listdir(engine):
            try:
                size = os.stat(os.path.join(engine, name)).st_blocks * 512
            except FileNotFoundError:
                continue
            if name.endswith(".log"):
                log += size
            else:
                tables += size
        ballast = os.stat(os.path.join(self.data, "ballast")).st_blocks * 512
        return {"tables": tables, "log": log, "ballast": ballast}

    def settle(self, quiet=2.0, limit=600):
        """Waits until compactions rest; the seconds it took."""
        began = last_change = time.monotonic()
        before = self.cpu_seconds()
        while time.monotonic() - last_change < quiet:
            time.sleep(0.2)
            now = self.cpu_seconds()
            if now - before > 0.03:
                last_change = time.monotonic()
            before = now
            if time.monotonic() - began > limit:
                raise SystemExit("the engine does not come to rest")
        return round(last_change - began, 2)


class Sampler(threading.Thread):
    """The highest anonymous memory, and tables waiting at level 0."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.peak, self.over = node, 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.1):
            self.peak = max(self.peak, self.node.memory()["anonymous"])

    def end(self):
        self.over.set()
        self.join()
        return self.peak


class Probe(threading.Thread):
    """One request after another, with a rest between: how long each took."""

    def __init__(self, node, method, target_of, rest=0.01, body=None):
        super().__init__(daemon=True)
        self.node, self.method, self.target_of = node, method, target_of
        self.rest, self.body = rest, body
        self.times, self.over = [], threading.Event()
        self.start()

    def run(self):
        connection = self.node.connect()
        headers = {"Content-Type": "application/json"} if self.body else {}
        number = 0
        while not self.over.wait(self.rest):
            began = time.monotonic()
            connection.request(self.method, self.target_of(number),
                               self.body, headers)
            connection.getresponse().read()
            self.times.append(time.monotonic() - began)
            number += 1
        connection.close()

    def end(self):
        self.over.set()
        self.join()
        return self.times
