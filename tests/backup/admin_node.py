"""A kistd with --admin-listen, and what the tests of backups do with it."""

import http.client
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "deploy"))

from node import Node  # noqa: E402 (below its path)

SMALL_DISK = {"KIST_BALLAST_BYTES": "1MiB", "KIST_DISK_RESERVE_BYTES": "1MiB"}


class AdminNode(Node):
    """At self.port all is served, /admin too; at self.public_port the rest."""

    def __init__(self, kistd, directory, **settings):
        env = dict(os.environ, KIST_ADMIN_LISTEN="127.0.0.1:0", **SMALL_DISK)
        env.update({"KIST_" + name.upper(): value
                    for name, value in settings.items()})
        os.makedirs(directory, exist_ok=True)
        self.data = os.path.join(directory, "data")
        super().__init__([kistd], directory, env)
        self.public_port = self.port
        self.port = next(int(event["address"].rpartition(":")[2])
                         for event in self.events()
                         if event["event"] == "listening.admin")

    def events(self):
        return [json.loads(line) for line in self.output().splitlines()]

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method, path, body=None, headers=None, expect=(200,)):
        """(headers, body) of a request on a connection of its own."""
        connection = self.connect()
        try:
            return ask(connection, method, path, body, headers, expect)
        finally:
            connection.close()

    def backup(self, path):
        with open(path, "wb") as file:
            file.write(self.ask("GET", "/admin/backup")[1])

    def metric(self, name):
        text = self.ask("GET", "/metrics")[1].decode()
        return next(float(line.rpartition(" ")[2])
                    for line in text.splitlines() if line.startswith(name))

    def records(self):
        """Each live record, as the listing tells it."""
        lines = self.ask("GET", "/kv", headers={
            "Accept": "application/x-ndjson"})[1].splitlines()
        items = [json.loads(line) for line in lines]
        return {item["key"]: item for item in items}

    def value(self, key):
        return self.ask("GET", "/kv/" + key)[1]

    def peak_kib(self):
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file
                        if line.startswith("VmHWM"))


def ask(connection, method, path, body=None, headers=None, expect=(200,)):
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status in expect, (method, path, answer.status, text[:500])
    return answer.headers, text


def run(kistd, *arguments, stdin=None):
    """(status, what it says) of a kistd that ends by itself."""
    done = subprocess.run([kistd, *arguments], stdin=stdin, check=False,
                          capture_output=True, timeout=60,
                          env=dict(os.environ, **SMALL_DISK))
    return done.returncode, (done.stdout + done.stderr).decode()


def has_engine(kistd, scratch, name):
    try:
        with AdminNode(kistd, f"{scratch}/try-{name}", engine=name) as node:
            return node.stop() == 0
    except AssertionError:
        return False


def restore(kistd, backup, data):
    status, text = run(kistd, "--restore", backup, "--data", data)
    assert status == 0, text
    return text
