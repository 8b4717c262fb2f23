"""HTTP over a socket of our own, which never sends anything twice."""

import socket
from typing import NamedTuple


class Answer(NamedTuple):
    status: int
    headers: dict
    body: bytes

    @property
    def version(self):
        return self.headers.get("kist-version")


class Connection:
    """To a node on the loopback. After an OSError there is nothing left."""

    def __init__(self, port, timeout_s):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, what, headers="", body=None):
        length = "" if body is None else \
            f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        self.socket.sendall(
            f"{what} HTTP/1.1\r\nHost: k\r\n{headers}{length}\r\n".encode() +
            (body or b""))

    def receive(self):
        first = self.file.readline()
        if not first.endswith(b"\n"):
            raise ConnectionError("closed within an answer")
        status = int(first.split(None, 2)[1])
        headers = {}
        while (line := self.file.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if not line:
            raise ConnectionError("closed within an answer")
        size = int(headers.get("content-length", 0))
        body = self.file.read(size)
        if len(body) < size:
            raise ConnectionError("closed within an answer")
        return Answer(status, headers, body)


def ask(port, what, headers="", body=None, timeout_s=1.0):
    """On a connection of its own; None: no answer."""
    try:
        connection = Connection(port, timeout_s)
    except OSError:
        return None
    try:
        connection.send(what, headers, body)
        return connection.receive()
    except OSError:
        return None
    finally:
        connection.close()


def ask_all(port, whats, timeout_s=20.0, window=64):
    """Answers to GETs in their order, many under way at a time."""
    connection = Connection(port, timeout_s)
    answers = []
    try:
        for begin in range(0, len(whats), window):
            some = whats[begin:begin + window]
            connection.socket.sendall("".join(
                f"{what} HTTP/1.1\r\nHost: k\r\n\r\n" for what in some
            ).encode())
            answers += [connection.receive() for _ in some]
    finally:
        connection.close()
    return answers
