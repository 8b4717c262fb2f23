"""The servers that are compared, each at its defaults, on loopback ports.

Every one of them offers the same: start() in a folder, stop(), port, pids()
of all that it runs, and the requests for one key as it wants them. load()
brings data in by the fastest way it has; that is never measured.
"""

import base64
import json
import os
import re
import socket
import subprocess
import time
from itertools import islice
from pathlib import Path

import process
import raw_http


def slices(items, length):
    items = iter(items)
    while part := list(islice(items, length)):
        yield part


def output_of(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip()


def package_version(package):
    return output_of("dpkg-query", "-W", "-f", "${Version}", package)


class Server:
    """What all have: a folder, children, a port."""

    def __init__(self):
        self.children = []
        self.folder = self.port = None

    def start(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.launch()
        return self

    def child(self, *arguments, log="log.txt"):
        self.children.append(process.start(arguments, self.folder / log))
        return self.children[-1]

    def stop(self):
        for child in reversed(self.children):
            process.stop(child)
        self.children = []

    def pids(self):
        return [pid for child in self.children
                for pid in process.family(child.pid)]


class Kistd(Server):
    """kistd with its default settings."""

    name = "kistd"

    def __init__(self, program, settings=()):
        super().__init__()
        self.program, self.settings = program, settings

    def launch(self):
        child = self.child(self.program, "--listen", "127.0.0.1:0", "--data",
                           self.folder / "data", *self.settings)
        self.port = self.port_in(self.folder / "log.txt", child)

    def port_in(self, log, child):
        while child.poll() is None:
            text = log.read_text()
            if '"event":"ready"' in text:
                return int(re.findall(r'"event":"listening","address":"[^"]+:'
                                      r'(\d+)"', text)[-1])
            time.sleep(0.01)
        raise RuntimeError("kistd did not start: " + log.read_text())

    def version(self):
        return output_of(self.program, "--version")

    def load(self, items, durability="sync"):
        connection = raw_http.Connection(self.port)
        for part in slices(items, 1000):
            answer = connection.ask(self.batch(
                (self.put_line(*item) for item in part), durability))
            if answer.body.count(b'"status":20') != len(part):
                raise RuntimeError(f"kistd did not load: {answer.body[:300]}")
        connection.close()

    def shown(self, value):
        return value

    def get(self, key):
        return raw_http.request("GET", f"/kv/{key.decode()}")

    def get_unless(self, key, tag):
        return raw_http.request("GET", f"/kv/{key.decode()}", None,
                                [("If-None-Match", tag)])

    def head(self, key):
        return raw_http.request("HEAD", f"/kv/{key.decode()}")

    def put_opaque(self, key, value):
        return raw_http.request("PUT", f"/kv/{key.decode()}", value,
                                [("Content-Type", "application/octet-stream")])

    def put_line(self, key, value):
        return b'{"op":"put","key":"%s","value":%s}\n' % (key, value)

    def get_line(self, key):
        return b'{"op":"get","key":"%s"}\n' % key

    def batch(self, lines, durability="sync"):
        return raw_http.request(
            "POST", "/batch?durability=" + durability, b"".join(lines),
            [("Content-Type", "application/x-ndjson")])

    def page(self, start, limit):
        return raw_http.request("GET", f"/kv?start={start.decode()}"
                                f"&limit={limit}&values=1")

    def everything(self):
        return raw_http.request("GET", "/kv?values=1", None,
                                [("Accept", "application/x-ndjson"),
                                 ("Connection", "close")])

    def put(self, key, value, durability=None):
        query = f"?durability={durability}" if durability else ""
        return raw_http.request("PUT", f"/kv/{key.decode()}{query}", value,
                                [("Content-Type", "application/json")])


class Nginx(Server):
    """nginx as Debian configures it, except for what cuts long runs short."""

    name = "nginx"

    def launch(self):
        self.port = process.free_port()
        self.serve(f"""
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        {self.locations()}
    }}""")

    def serve(self, sites):
        (self.folder / "nginx.conf").write_text(f"""
daemon off;
user root;
worker_processes auto;
worker_rlimit_nofile 20000;
pid {self.folder}/pid;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    server_tokens off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    default_type application/json;
    {sites}
}}
""")
        child = self.child("nginx", "-p", self.folder, "-c",
                           self.folder / "nginx.conf", "-e",
                           self.folder / "error.log")
        process.wait_for_port(self.port, child)


class NginxFiles(Nginx):
    """nginx that sends files: /kv/<name>."""

    def locations(self):
        (self.folder / "kv").mkdir()
        return f"root {self.folder};"

    def store(self, name, size):
        chunk = os.urandom(min(size, 1 << 20))
        with open(self.folder / "kv" / name, "wb") as file:
            for at in range(0, size, len(chunk)):
                file.write(chunk[:size - at])


class NginxAnswers(Nginx):
    """Constant answers with the bytes of another server's, a port for each."""

    def __init__(self, answers):
        super().__init__()
        self.answers, self.ports = answers, {}

    def launch(self):
        self.ports = {name: process.free_port() for name in self.answers}
        self.port = next(iter(self.ports.values()))
        # nginx adds headers of its own. How much they are, it tells itself.
        self.serve_cut({name: 0 for name in self.answers})
        surplus = {name: self.size_of(name) - answer.size
                   for name, answer in self.answers.items()}
        self.stop()
        self.serve_cut(surplus)
        for name, answer in self.answers.items():
            if self.size_of(name) != answer.size:
                raise RuntimeError(f"nginx answers {self.size_of(name)} bytes"
                                   f" for {name}, not {answer.size}")

    def size_of(self, name):
        method = "HEAD" if name == "HEAD" else "GET"
        return raw_http.ask(self.ports[name],
                            raw_http.request(method, "/kv/x")).size

    def serve_cut(self, surplus):
        self.serve("".join(self.site(name, surplus[name])
                           for name in self.answers))

    def site(self, name, surplus):
        """The answer, its longest headers shorter by surplus bytes."""
        answer = self.answers[name]
        headers = {header: value for header, value in answer.headers
                   if header not in ("Date", "Content-Type", "Content-Length")}
        for header in sorted(headers, key=lambda name: -len(headers[name])):
            value = headers[header]
            cut = min(surplus, len(value) - 2)
            headers[header] = value[cut:] if cut > 0 else value + "x" * -cut
            surplus -= cut
        lines = " ".join(f"add_header {header} '{value}';"
                         for header, value in headers.items())
        body = f" '{answer.body.decode()}'" if answer.body else ""
        return f"""
    server {{
        listen 127.0.0.1:{self.ports[name]} backlog=4096;
        {lines}
        location / {{ return {answer.status}{body}; }}
    }}"""


class MhdCeiling(Server):
    """libmicrohttpd alone: a constant answer with the bytes of another's."""

    name = "libmicrohttpd alone"

    def __init__(self, program, answer):
        super().__init__()
        self.program, self.answer = program, answer

    def launch(self):
        self.port = process.free_port()
        # libmicrohttpd adds these by itself.
        head = "".join(f"{name}: {value}\n"
                       for name, value in self.answer.headers
                       if name not in ("Date", "Content-Length"))
        path = self.folder / "answer"
        path.write_bytes(head.encode() + b"\n" + self.answer.body)
        child = self.child(self.program, self.port, path)
        process.wait_for_port(self.port, child)


class Webdis(Server):
    """Webdis before a Redis. fsync: Redis' appendfsync, None for no file."""

    def __init__(self, fsync=None):
        super().__init__()
        self.fsync, self.redis_port = fsync, None
        self.name = {None: "webdis+redis", "always": "webdis+redis always",
                     "no": "webdis+redis no fsync"}[fsync]

    def launch(self):
        self.redis_port, self.port = process.free_port(), process.free_port()
        durability = (["--appendonly", "yes", "--appendfsync", self.fsync]
                      if self.fsync else [])
        # No snapshots: they would fork in the middle of a measurement.
        redis = self.child("redis-server", "--port", self.redis_port, "--bind",
                           "127.0.0.1", "--dir", self.folder, "--save", "",
                           *durability, log="redis.txt")
        process.wait_for_port(self.redis_port, redis)
        settings = self.folder / "webdis.json"
        settings.write_text(json.dumps({
            "redis_host": "127.0.0.1", "redis_port": self.redis_port,
            "http_host": "127.0.0.1", "http_port": self.port,
            "threads": os.cpu_count(), "daemonize": False, "verbosity": 3,
            "database": 0, "acl": [{"disabled": ["DEBUG"]}],
            "logfile": str(self.folder / "webdis.log"),
        }))
        process.wait_for_port(self.port, self.child("webdis", settings))

    def load(self, items):
        with socket.create_connection(("127.0.0.1", self.redis_port)) as redis:
            stream = redis.makefile("rb")
            for part in slices(items, 1000):
                redis.sendall(b"".join(
                    b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n"
                    % (len(key), key, len(value), value)
                    for key, value in part))
                for _ in part:
                    if stream.readline() != b"+OK\r\n":
                        raise RuntimeError("redis did not load")

    def shown(self, value):
        return value

    def get_all(self, keys):
        return raw_http.request("POST", "/",
                                b"MGET/" + b"/".join(keys))

    def put_opaque(self, key, value):
        return self.put(key, value)

    def get(self, key):
        # .txt: the value as it is, the least that Webdis can do.
        return raw_http.request("GET", f"/GET/{key.decode()}.txt")

    def put(self, key, value, durability=None):
        return raw_http.request("PUT", f"/SET/{key.decode()}", value)


def base64_text(data):
    return base64.b64encode(data).decode()


class Etcd(Server):
    """One etcd node and its JSON gateway."""

    name = "etcd"

    def launch(self):
        self.port, peer = process.free_port(), process.free_port()
        client_url, peer_url = (f"http://127.0.0.1:{port}"
                                for port in (self.port, peer))
        child = self.child(
            "etcd", "--data-dir", self.folder / "data",
            "--listen-client-urls", client_url, "--advertise-client-urls",
            client_url, "--listen-peer-urls", peer_url,
            "--initial-advertise-peer-urls", peer_url, "--initial-cluster",
            f"default={peer_url}", "--logger", "zap", "--log-level", "error")
        process.wait_for_port(self.port, child)
        self.wait_for_leader()

    def wait_for_leader(self):
        for _ in range(200):
            if raw_http.ask(self.port, self.get(b"x")).status == 200:
                return
            time.sleep(0.1)
        raise RuntimeError("etcd has no leader")

    def post(self, path, content, headers=()):
        return raw_http.request("POST", "/v3/kv/" + path,
                                json.dumps(content).encode(), headers)

    def load(self, items):
        connection = raw_http.Connection(self.port)
        for part in slices(items, 128):  # As many as a transaction takes.
            answer = connection.ask(self.post("txn", {"success": [
                {"requestPut": {"key": base64_text(key),
                                "value": base64_text(value)}}
                for key, value in part]}))
            if answer.status != 200:
                raise RuntimeError(f"etcd did not load: {answer.body[:300]}")
        connection.close()

    def shown(self, value):
        return base64_text(value).encode()

    def get(self, key):
        return self.post("range", {"key": base64_text(key)})

    def page(self, start, limit):
        return self.post("range", {"key": base64_text(start),
                                   "range_end": base64_text(b"\0"),
                                   "limit": limit})

    def everything(self):
        return self.post("range", {"key": "AA==", "range_end": "AA=="},
                         [("Connection", "close")])

    def put(self, key, value, durability=None):
        return self.post("put", {"key": base64_text(key),
                                 "value": base64_text(value)})
