"""Clients, and the history of all they did.

Each is a thread that asks one node at a time, never repeats a request, and
gives up after a second. No value is ever written twice. An operation is one
line of the history:

    proc, f (put, delete, get), kind (unique: written once; shared), key, value
    (written, or found; null: none), w or r, after (a version it was to be
    newer than), node, t0, t1 (seconds), status, version, acked (copies),
    problem (what was said of it), out: ok, fail (it was not and will not be
    applied) or unknown.
"""

import json
import random
import threading
import time
from collections import deque

from connection import Connection

TIMEOUT_S = 1.0
SHARED = 24          # Keys at a time ...
SHARED_FOR_S = 20.0  # ... and for how long.
RECENT = 40          # Keys of its own that a client reads again.
LARGE = 0.08         # Of the values, as part of all: a file in each store.
LARGE_SIZE = 12000


class History:
    def __init__(self, path):
        self.file = open(path, "w", encoding="ascii")
        self.lock = threading.Lock()
        self.operations = []

    def add(self, operation):
        with self.lock:
            self.operations.append(operation)
            self.file.write(json.dumps(operation) + "\n")

    def close(self):
        self.file.close()


def outcome(answer):
    """What a client knows of its request from the answer; None: no answer."""
    if answer is None:
        return "unknown"
    if answer.status < 300 or answer.status == 404:
        return "ok"
    if answer.status < 500 or b'"outcome":"not_applied"' in answer.body:
        return "fail"
    return "unknown"


def body_of(value):
    """The bytes that stand for it: a large one goes on with what is known."""
    return value.encode().ljust(LARGE_SIZE if value.endswith("L") else 0, b".")


def value_of(body):
    """Nobody's value, if a byte of it is another one."""
    value = body.decode("latin-1").rstrip(".")
    return value if body_of(value) == body else f"{len(body)} wrong bytes"


def copies_of(answer):
    for part in answer.headers.get("kist-receipt", "").split(","):
        name, _, number = part.strip().partition("=")
        if name == "acked":
            return int(number)
    return 0


class Client(threading.Thread):
    def __init__(self, number, seed, cluster, history, pause_s):
        super().__init__(daemon=True)
        self.number = number
        self.chance = random.Random(f"{seed} client {number}")
        self.cluster = cluster
        self.history = history
        self.pause_s = pause_s
        self.is_over = threading.Event()
        self.connection = None
        self.node = None
        self.count = 0
        self.mine = {}  # The last version of each key that it may rely on.
        self.unique = deque(maxlen=RECENT)  # Keys of acknowledged writes.
        self.failure = None

    def run(self):
        try:
            while not self.is_over.wait(self.chance.expovariate(
                    1 / self.pause_s)):
                self.step()
        except Exception as failure:  # Told by who waits for this thread.
            self.failure = failure
        self.hang_up()

    def hang_up(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def connect(self):
        """To another node now and then, and after each failure."""
        if self.connection is not None and self.chance.random() < 0.9:
            return
        self.hang_up()
        self.node = self.chance.choice(list(self.cluster.nodes.values()))
        self.connection = Connection(self.node.port, TIMEOUT_S)

    def exchange(self, what, headers, body):
        self.connection.send(what, headers, body)
        return self.connection.receive()

    def step(self):
        try:
            self.connect()
        except OSError:
            return  # Nothing was asked.
        dice = self.chance.random()
        if dice < 0.45:
            self.write("put", "unique", f"u-{self.number}-{self.count}")
        elif dice < 0.60:
            self.write("put", "shared", self.shared_key())
        elif dice < 0.65:
            self.write("delete", "shared", self.shared_key())
        elif dice < 0.75 and self.unique:
            self.read("unique", self.chance.choice(self.unique))
        else:
            self.read("shared", self.shared_key())

    def shared_key(self):
        era = int(time.monotonic() / SHARED_FOR_S)
        return f"s-{era}-{self.chance.randrange(SHARED)}"

    def write(self, f, kind, key):
        self.count += 1
        w = self.chance.choice((1, 2, 2, 2, 2, 3))
        size = "L" if self.chance.random() < LARGE else ""
        value = f"{self.number}-{self.count}{size}" if f == "put" else None
        after = self.mine.get(key)
        self.do({"f": f, "kind": kind, "key": key, "value": value, "w": w,
                 "after": after}, f"{f.upper()} /kv/{key}?w={w}", value)

    def read(self, kind, key):
        """Kist-After makes a node ask more of the others: not always."""
        after = self.mine.get(key) if self.chance.random() < 0.5 else None
        r = self.chance.choice((1, 2, 2, 3)) if after else 2
        self.do({"f": "get", "kind": kind, "key": key, "r": r,
                 "after": after}, f"GET /kv/{key}?r={r}", None)

    def do(self, operation, what, value):
        after = operation["after"]
        operation |= {"proc": self.number, "node": self.node.name,
                      "t0": time.monotonic()}
        try:
            answer = self.exchange(
                what, f"Kist-After: {after}\r\n" if after else "",
                body_of(value) if value is not None else None)
        except OSError:
            answer = None
            self.hang_up()
        operation |= {"t1": time.monotonic(), "out": outcome(answer),
                      "status": answer.status if answer else 0,
                      "version": answer.version if answer else None}
        if answer is not None:
            self.learn(operation, answer)
        self.history.add(operation)

    def learn(self, operation, answer):
        is_get = operation["f"] == "get"
        operation["acked"] = copies_of(answer)
        if answer.status >= 400 and answer.status != 404:
            operation["problem"] = json.loads(answer.body)["detail"]
        if is_get and answer.status == 200:
            operation["value"] = value_of(answer.body)
        is_majority = operation["r" if is_get else "w"] > 1
        if operation["out"] == "ok" and answer.version and is_majority:
            key = operation["key"]
            self.mine[key] = max(self.mine.get(key, ""), answer.version)
            if operation["kind"] == "unique" and not is_get:
                self.unique.append(key)

    def stop(self):
        self.is_over.set()
        self.join()
        if self.failure is not None:
            raise self.failure
