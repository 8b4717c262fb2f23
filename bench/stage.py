"""Where a workload runs: its scale, its folder, its servers, its data."""

import contextlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import servers
import wrk

KEYS = 100_000
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass
class Scale:
    """How much is measured."""

    rounds: int = 5
    seconds: int = 3
    warm_up: int = 1
    quick: bool = False
    connections: tuple = (1, 16, 256, 1000)     # Beside the 64 of everything.
    etcd_keys: int = KEYS
    asked: int = KEYS           # Different keys that are asked for.
    idle: int = 10_000
    missed: int = 100_000       # Writes, while a node is down.
    growth: tuple = (KEYS, 1_000_000)
    sizes: tuple = (KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 16 * MIB,
                    128 * MIB, GIB)


    def warm_up_in(self, number):
        """Seconds before a measurement in this round."""
        return 0 if self.quick and number else self.warm_up


QUICK = Scale(rounds=2, seconds=1, quick=True, connections=(256,),
              etcd_keys=10_000, asked=10_000, growth=(KEYS, 300_000),
              idle=2000, missed=20_000, sizes=(KIB, MIB, 128 * MIB))
LARGE = (KEYS, 1_000_000, 10_000_000)


def key_of(number):
    return b"key-%08d" % number


def value_of(number):
    """JSON of 93 bytes, whatever the number is."""
    return (b'{"id":"%08d","name":"Ada Lovelace","mail":"ada@example.org",'
            b'"langs":["c","lua"],"n":%04d}' % (number, 1000 + number % 7))


def padded(number, size):
    """JSON of that size."""
    head = b'{"id":"%08d","text":"' % number
    return head + b"x" * (size - len(head) - 2) + b'"}'


def items(count=KEYS):
    return [(key_of(number), value_of(number)) for number in range(count)]


def bytes_of(text):
    """64MiB, as kistd spells sizes."""
    number, unit = re.fullmatch(r"(\d+)([KMGT]?)(?:iB)?", text).groups()
    return int(number) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[unit]


class Stage:
    """One workload's folder and running servers; all end with it."""

    def __init__(self, kistd, tools, scale, parent):
        self.program, self.scale = kistd, scale
        self.raw_leveldb = Path(tools) / "raw_leveldb"
        self.mhd_ceiling = Path(tools) / "mhd_ceiling"
        self.headload = Path(tools) / "headload"
        self.folder = Path(tempfile.mkdtemp(prefix="run-",
                                            dir=parent)).resolve()
        self.running = contextlib.ExitStack()
        self.files = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.running.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_path(self):
        self.files += 1
        return self.folder / str(self.files)

    def start(self, server, items=()):
        """The server, running, with the items in it."""
        self.running.callback(server.stop)
        server.start(self.new_path())
        if items:
            server.load(items)
        return server

    def kistd(self, items=(), settings=()):
        return self.start(servers.Kistd(self.program, settings), items)

    def requests(self, texts):
        """A file of requests for wrk."""
        path = self.new_path()
        wrk.write_requests(path, texts)
        return path

    def setting(self, name):
        """What this kistd has by default; None if there is no such setting."""
        found = re.search(rf"^{name} = (\S+)", servers.output_of(
            self.program, "--check-config"), re.M)
        return found and found[1]

    def small_cache(self):
        """Settings, and the bytes of cache that kistd has with them."""
        if not self.setting("cache-bytes"):
            return [], bytes_of(self.setting("block-cache-bytes"))
        if self.scale.quick:
            return ["--cache-bytes", "4MiB"], 4 * MIB
        return [], bytes_of(self.setting("cache-bytes"))

    def without_caches(self):
        """No object cache, and the engine's block cache at its least."""
        wanted = {"cache-bytes": "0", "block-cache-bytes": "64KiB"}
        return [word for name, value in wanted.items() if self.setting(name)
                for word in ("--" + name, value)]
