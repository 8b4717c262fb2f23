"""One large value at a time, up or down, in constant memory."""

import contextlib
import os
import socket
import time

import raw_http
import wrk

BUFFER = 1 << 20


@contextlib.contextmanager
def pinned():
    """This program where wrk would run. Starts no child in there."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def read_head(connection):
    """(status, headers, bytes of the body that came with them)"""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            raise wrk.Wrong("the connection ended before the answer")
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    status, headers = raw_http.parse_head(head)
    return status, dict(headers), len(rest)


def download(port, text, size):
    """Seconds for the answer to a request, whose body must have that size."""
    buffer = bytearray(BUFFER)
    with pinned(), socket.create_connection(("127.0.0.1", port), 120) as link:
        began = time.monotonic()
        link.sendall(text)
        status, headers, got = read_head(link)
        if status != 200 or int(headers["Content-Length"]) != size:
            raise wrk.Wrong(f"status {status} for a value of {size} bytes")
        while got < size:
            count = link.recv_into(buffer)
            if count == 0:
                raise wrk.Wrong(f"the answer ended after {got} bytes")
            got += count
        return time.monotonic() - began


def drain(port, text):
    """(seconds, all bytes) of an answer that ends with its connection."""
    parts = []
    with pinned(), socket.create_connection(("127.0.0.1", port), 120) as link:
        began = time.monotonic()
        link.sendall(text)
        while not parts or parts[-1]:
            parts.append(link.recv(BUFFER))
        return time.monotonic() - began, b"".join(parts)


def upload(port, path, size):
    """(seconds, status) for putting that many bytes."""
    head = raw_http.request("PUT", path, None, [
        ("Content-Type", "application/octet-stream"),
        ("Content-Length", str(size)), ("Connection", "close")])
    chunk = memoryview(os.urandom(min(BUFFER, size)))
    with pinned(), socket.create_connection(("127.0.0.1", port), 120) as link:
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):  # Refused: it says why.
            link.sendall(head)
            for sent in range(0, size, BUFFER):
                link.sendall(chunk[:size - sent])
        status, _, _ = read_head(link)
        return time.monotonic() - began, status
