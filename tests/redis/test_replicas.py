"""A write that waits for replicas is never said to be on them when nobody
knows: the connection ends between the write and the answer about replicas."""

import json
import socket
import sys
import threading
import unittest
from pathlib import Path

import servers

PROGRAM = sys.argv.pop(1)


class Cut:
    """Passes bytes on to a Redis, and cuts a connection that asks for WAIT
    once armed: what came before was done, and is answered."""

    def __init__(self, port):
        self.port = port
        self.armed = False
        self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            redis = socket.create_connection(("127.0.0.1", self.port))
            for way in (self.forth, self.back):
                threading.Thread(target=way, args=[client, redis],
                                 daemon=True).start()

    def forth(self, client, redis):
        while data := client.recv(1 << 16):
            at = data.find(b"*3\r\n$4\r\nWAIT")
            if at >= 0 and self.armed:
                self.armed = False
                self.cuts += 1
                data = data[:at]
                redis.sendall(data)
                redis.shutdown(socket.SHUT_WR)
                return
            redis.sendall(data)

    def back(self, client, redis):
        while data := redis.recv(1 << 16):
            client.sendall(data)
        client.close()


class WaitsForReplicas(unittest.TestCase):
    def setUp(self):
        scratch = servers.scratch()
        self.addCleanup(scratch.cleanup)
        self.redis = servers.Redis(Path(scratch.name, "redis"))
        self.addCleanup(self.redis.kill)
        self.redis.await_up()
        replica = servers.Redis(
            Path(scratch.name, "replica"), "--replicaof", "127.0.0.1",
            str(self.redis.port), "--repl-diskless-sync-delay", "0")
        self.addCleanup(replica.kill)
        servers.wait_for("the replica", lambda: "state=online" in
                         self.redis.ask("INFO", "replication"))
        self.cut = Cut(self.redis.port)
        self.kistd = servers.Kistd(
            PROGRAM, Path(scratch.name, "kistd"), self.cut.address,
            "--redis-wait", "1", "--redis-connections", "1")
        self.addCleanup(self.kistd.stop)
        self.kistd.await_ready()

    def test_nobody_knows_what_replicas_have_after_a_cut(self):
        client = self.kistd.client()
        self.assertEqual(client.ask("PUT", "/kv/a", "1")[0], 201)
        self.cut.armed = True
        status, _, text = client.ask("PUT", "/kv/b", "2")
        self.assertEqual(self.cut.cuts, 1)
        self.assertEqual((status, json.loads(text or "{}").get("outcome")),
                         (504, "unknown"))
        self.assertEqual(client.ask("PUT", "/kv/c", "3")[0], 201)


unittest.main(warnings="ignore")
