"""Where a workload runs: its scale, its folder, its servers."""

import contextlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import servers
import wrk

KEYS = 100_000


def key_of(number):
    return b"key-%08d" % number


def value_of(number):
    """JSON of 93 bytes, whatever the number is."""
    return (b'{"id":"%08d","name":"Ada Lovelace","mail":"ada@example.org",'
            b'"langs":["c","lua"],"n":%04d}' % (number, 1000 + number % 7))


@dataclass
class Scale:
    """How much is measured."""

    rounds: int = 7
    seconds: int = 4
    warm_up: int = 2
    large: bool = False
    quick: bool = False


QUICK = Scale(rounds=3, seconds=1, warm_up=1, quick=True)


class Stage:
    """One workload's folder and running servers; all end with it."""

    def __init__(self, kistd, scale, parent):
        self.program, self.scale = kistd, scale
        self.folder = Path(tempfile.mkdtemp(prefix="bench-", dir=parent)).resolve()
        self.running = contextlib.ExitStack()
        self.files = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.running.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, server, items=()):
        """The server, running, with the items in it."""
        self.running.callback(server.stop)
        self.files += 1
        server.start(self.folder / str(self.files))
        if items:
            server.load(items)
        return server

    def kistd(self, items=(), settings=()):
        return self.start(servers.Kistd(self.program, settings), items)

    def requests(self, texts):
        """A file of requests for wrk."""
        self.files += 1
        path = self.folder / f"requests-{self.files}"
        wrk.write_requests(path, texts)
        return path


def items(count=KEYS):
    return [(key_of(number), value_of(number)) for number in range(count)]
