"""A write that waits for replicas is never said to be on them when nobody
knows: the connection ends between the write and the answer about replicas. And
none is written where it is known that they are missing."""

import json
import signal
import socket
import sys
import unittest
from pathlib import Path

import servers
from between import Between

PROGRAM = sys.argv.pop(1)


class Cut(Between):
    """Cuts a connection that asks for WAIT once armed: what came before was
    done, and is answered."""

    armed = False
    cuts = 0

    def forth(self, client, redis, number):
        while data := client.recv(1 << 16):
            at = data.find(b"*3\r\n$4\r\nWAIT")
            if at >= 0 and self.armed:
                self.armed = False
                self.cuts += 1
                redis.sendall(data[:at])
                redis.shutdown(socket.SHUT_WR)
                return
            redis.sendall(data)
        redis.close()


class WaitsForReplicas(unittest.TestCase):
    def setUp(self):
        scratch = servers.scratch()
        self.addCleanup(scratch.cleanup)
        self.redis = servers.Redis(Path(scratch.name, "redis"))
        self.addCleanup(self.redis.kill)
        self.redis.await_up()
        self.replica = servers.Redis(
            Path(scratch.name, "replica"), "--replicaof", "127.0.0.1",
            str(self.redis.port), "--repl-diskless-sync-delay", "0")
        self.addCleanup(self.replica.kill)
        servers.wait_for("the replica", lambda: "state=online" in
                         self.redis.ask("INFO", "replication"))
        self.cut = Cut(self.redis.port)
        self.kistd = servers.Kistd(
            PROGRAM, Path(scratch.name, "kistd"), self.cut.address,
            "--redis-wait", "1", "--redis-connections", "1",
            "--redis-timeout", "2s")
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

    def test_nothing_is_written_while_the_replica_is_known_to_be_behind(self):
        client = self.kistd.client()
        self.assertEqual(client.ask("PUT", "/kv/a", "1")[0], 201)
        self.replica.process.send_signal(signal.SIGSTOP)
        status, headers, text = client.ask("PUT", "/kv/b", "2")
        self.assertEqual((status, json.loads(text or "{}").get("outcome")),
                         (504, "unknown"))
        status, read, _ = client.ask("GET", "/kv/b")
        self.assertEqual((status, read["Kist-Version"]),
                         (200, headers["Kist-Version"]))
        status, _, text = client.ask("PUT", "/kv/c", "3")
        self.assertEqual((status, json.loads(text or "{}").get("outcome")),
                         (503, "not_applied"))
        self.assertEqual(client.ask("GET", "/kv/c")[0], 404)
        self.replica.process.send_signal(signal.SIGCONT)
        self.assertEqual(client.ask("PUT", "/kv/c", "3")[0], 201)
        self.assertIn("c", self.replica.ask("KEYS", "*:c"))


unittest.main(warnings="ignore")
