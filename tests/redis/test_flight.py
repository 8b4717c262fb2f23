"""Commands are said while others are unanswered, and a Redis that is silent is
found out while more is said to it."""

import sys
import threading
import unittest
from pathlib import Path

import servers
from between import Between

PROGRAM = sys.argv.pop(1)


class Holds(Between):
    """What Redis answers on connections that are there when hold() is called
    comes when, and if, the words were said."""

    def __init__(self, port):
        self.holding = set()
        self.seen = b""
        self.words = None
        self.changed = threading.Condition()
        super().__init__(port)

    def hold(self, words):
        with self.changed:
            self.seen = b""
            self.words = words
            self.holding = set(range(1, self.accepted + 1))

    def saw(self, words):
        with self.changed:
            assert self.changed.wait_for(lambda: words in self.seen, 20), words

    def forth(self, client, redis, number):
        while data := client.recv(1 << 16):
            with self.changed:
                self.seen += data
                if self.words is not None and self.words in self.seen:
                    self.holding = set()
                self.changed.notify_all()
            redis.sendall(data)
        redis.close()

    def back(self, client, redis, number):
        while data := redis.recv(1 << 16):
            with self.changed:
                self.changed.wait_for(lambda: number not in self.holding)
            client.sendall(data)
        client.close()


class Flight(unittest.TestCase):
    def setUp(self):
        scratch = servers.scratch()
        self.addCleanup(scratch.cleanup)
        self.redis = servers.Redis(Path(scratch.name, "redis"))
        self.addCleanup(self.redis.kill)
        self.redis.await_up()
        self.between = Holds(self.redis.port)
        self.kistd = servers.Kistd(PROGRAM, Path(scratch.name, "kistd"),
                                   self.between.address)
        self.addCleanup(self.kistd.stop)
        self.kistd.await_ready()
        for key in ("first", "second"):
            self.assertEqual(
                self.kistd.client().ask("PUT", "/kv/" + key, "1")[0], 201)

    def get(self, key):
        """In a thread of its own; where the answer's status will be."""
        status = []
        thread = threading.Thread(target=lambda: status.append(
            self.kistd.client().ask("GET", "/kv/" + key)[0]))
        thread.start()
        self.addCleanup(thread.join)
        return thread, status

    def test_the_next_command_does_not_wait_for_an_answer(self):
        accepted = self.between.accepted
        self.between.hold(b":second")
        first, first_status = self.get("first")
        self.between.saw(b":first")
        second, second_status = self.get("second")
        first.join()
        second.join()
        self.assertEqual((first_status, second_status), ([200], [200]))
        self.assertEqual(self.between.accepted, accepted)

    def test_a_silent_redis_is_found_out_while_more_is_asked(self):
        accepted = self.between.accepted
        self.between.hold(b"never said")
        asked = [self.get("first")]
        while self.between.accepted == accepted:
            asked.append(self.get("second"))
            asked[-1][0].join(0.1)
            self.assertLess(len(asked), 60)
        for thread, status in asked:
            thread.join()
            self.assertEqual(status, [200])


unittest.main(warnings="ignore")
