"""Clients that write and read through a proxy, and remember what was
acknowledged: what `./dev cluster --demo` looks at while a node is killed and
while one joins."""

import http.client
import json
import threading
import time

CLIENTS = 4
BATCH = 1000
PATIENCE_S = 60
PAUSE_S = 0.005  # Between two rounds of a client: this is no benchmark.


class Load:
    """Rounds of a PUT of a new key and a GET of the same, on each client."""

    def __init__(self, address):
        self.address = address
        self.lock = threading.Lock()
        self.acknowledged = []  # (key, value)
        self.done = self.failed = self.wrong = 0
        self.slowest_s = 0.0
        self.ending = threading.Event()
        self.clients = [threading.Thread(target=self.client, args=[number])
                        for number in range(CLIENTS)]
        for client in self.clients:
            client.start()

    def client(self, number):
        connection = http.client.HTTPConnection(self.address, timeout=10)
        count = 0
        while not self.ending.wait(PAUSE_S):
            count += 1
            self.round(connection, f"/kv/demo/{number}/{count}",
                       b"%d" % count)
        connection.close()

    def round(self, connection, path, value):
        if self.timed(connection, "PUT", path, value) is None:
            return
        with self.lock:
            self.acknowledged.append((path, value))
        body = self.timed(connection, "GET", path, None)
        if body is not None and body != value:
            with self.lock:
                self.wrong += 1

    def timed(self, connection, method, path, body):
        """The body of a good answer, and of a 404; None after a failure."""
        begin = time.monotonic()
        answer = ask(connection, method, path, body)
        with self.lock:
            self.slowest_s = max(self.slowest_s, time.monotonic() - begin)
            if answer is None:
                self.failed += 1
            else:
                self.done += 1
        return answer

    def take_figures(self):
        """(answered, failed, slowest in seconds) since the last call."""
        with self.lock:
            figures = self.done, self.failed, self.slowest_s
            self.done = self.failed = 0
            self.slowest_s = 0.0
        return figures

    def end(self):
        self.ending.set()
        for client in self.clients:
            client.join()


def ask(connection, method, path, body=None):
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        content = answer.read()
    except (http.client.HTTPException, OSError):
        connection.close()  # The next request opens it again.
        return None
    return content if answer.status < 300 or answer.status == 404 else None


def fill(address, count):
    """Values that are there before anything happens, in batches."""
    connection = http.client.HTTPConnection(address, timeout=60)
    for first in range(0, count, BATCH):
        operations = [{"op": "put", "key": f"there/{number}",
                       "value": {"number": number}}
                      for number in range(first, min(first + BATCH, count))]
        put_all(connection, operations)
    connection.close()


def put_all(connection, operations):
    """What a busy disk delayed for too long is sent again."""
    end = time.monotonic() + PATIENCE_S
    while operations:
        if time.monotonic() > end:
            raise OSError("the first values were not written")
        answer = ask(connection, "POST", "/batch",
                     json.dumps({"operations": operations}))
        if answer is not None:
            results = json.loads(answer)["results"]
            operations = [operation for operation, result
                          in zip(operations, results)
                          if result["status"] not in (200, 201, 204)]


def missing_at(address, values):
    """How many of the values a node does not have: in its own copy, if it is
    one of their owners."""
    connection = http.client.HTTPConnection(address, timeout=60)
    missing = 0
    for first in range(0, len(values), BATCH):
        part = values[first:first + BATCH]
        operations = [{"op": "get", "key": path.removeprefix("/kv/")}
                      for path, _ in part]
        answer = ask(connection, "POST", "/batch?r=1",
                     json.dumps({"operations": operations}))
        found = json.loads(answer)["results"] if answer else [{}] * len(part)
        missing += sum(result.get("value") != json.loads(value)
                       for result, (_, value) in zip(found, part))
    connection.close()
    return missing
