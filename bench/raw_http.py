"""HTTP/1.1 as text: requests for the load generator, and single answers."""

import socket
from dataclasses import dataclass


def request(method, path, body=None, headers=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


@dataclass
class Answer:
    status: int
    headers: list       # Of (name, value), in their order.
    body: bytes
    size: int           # Bytes on the wire.

    def header(self, wanted):
        for name, value in self.headers:
            if name.lower() == wanted.lower():
                return value
        return None


def parse_head(head):
    first, *lines = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), [tuple(line.split(": ", 1))
                                   for line in lines]


def has_body(method, status):
    return method != b"HEAD" and status not in (204, 304)


class Connection:
    """One kept-alive connection, one request at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def ask(self, text):
        self.socket.sendall(text)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.stream.readline()
            if not line:
                raise ConnectionError("the server closed the connection")
            head += line
        status, headers = parse_head(head[:-4])
        answer = Answer(status, headers, b"", len(head))
        if has_body(text.split(b" ", 1)[0], status):
            self.read_body(answer)
        return answer

    def read_body(self, answer):
        if answer.header("Transfer-Encoding") != "chunked":
            answer.body = self.stream.read(int(answer.header("Content-Length")))
            answer.size += len(answer.body)
            return
        chunks = []
        while not chunks or chunks[-1]:
            line = self.stream.readline()
            chunks.append(self.stream.read(int(line, 16)))
            answer.size += len(line) + len(chunks[-1]) + 2
            self.stream.readline()
        answer.body = b"".join(chunks)

    def close(self):
        self.stream.close()
        self.socket.close()


def ask(port, text):
    """The answer to one request on a connection of its own."""
    connection = Connection(port)
    try:
        return connection.ask(text)
    finally:
        connection.close()
