"""Clients that write and read through a proxy, and remember what was
acknowledged: what `./dev cluster --demo` looks at while a node is killed."""

import http.client
import threading
import time

CLIENTS = 4
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


def missing_at(address, values):
    """How many of the values a node does not have in its own copy."""
    connection = http.client.HTTPConnection(address, timeout=10)
    missing = sum(ask(connection, "GET", path + "?r=1") != value
                  for path, value in values)
    connection.close()
    return missing
