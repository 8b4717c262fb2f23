"""Of a node's disk: full, slow, failing, damaged."""

from connection import ask
from fault import Fault
from node import until
import small_disks


def reads_only(node):
    answer = ask(node.port, "GET /cluster")
    return answer is not None and b'"store":"read_only"' in answer.body


class Full(Fault):
    """Started with a reserve that no disk has; small ones refuse that."""

    def choose(self):
        large = [name for name in self.names
                 if not self.cluster.nodes[name].has_small_disk]
        self.node = self.some(1, large)[0]

    def begin(self):
        self.node.kill()
        self.node.start_full()

    def end(self):
        self.has_bitten = reads_only(self.node)
        self.node.kill()
        self.node.start()


class NoSpace(Fault):
    """Full to the last byte, while it runs; then there is room again."""

    least_s = 1.5

    def choose(self):
        small = [name for name in self.names
                 if self.cluster.nodes[name].has_small_disk]
        self.nodes = self.some(self.chance.choice((1, len(small))), small)

    def begin(self):
        for node in self.nodes:
            small_disks.fill(node.disk / "filler")

    def end(self):
        self.has_bitten = all(reads_only(node) for node in self.nodes)
        for node in self.nodes:
            (node.disk / "filler").unlink()


class SlowSync(Fault):
    """Each sync takes a good part of a second."""

    NAME = "kist_engine_write_duration_seconds_sum"
    LONG_S = 0.3
    least_s = 1.0

    def choose(self):
        self.nodes = self.some(self.chance.choice((1, 2)))

    def begin(self):
        self.before = [node.metric(self.NAME) for node in self.nodes]
        for node in self.nodes:
            node.fault("slow").touch()

    def end(self):
        self.has_bitten = all(node.metric(self.NAME) - before > self.LONG_S
                              for node, before in zip(self.nodes, self.before))
        for node in self.nodes:
            node.fault("slow").unlink()


class DiskError(Fault):
    """EIO: it says so and ends, for only recovery can tell what is there."""

    least_s = 1.5

    def choose(self):
        self.node = self.some(1)[0]
        self.call = self.chance.choice(("write", "fdatasync"))
        self.what += f" {self.call}"

    def begin(self):
        self.node.fault(self.call).touch()

    def end(self):
        self.node.fault(self.call).unlink()
        if self.node.has_ended():
            self.has_bitten = any(event["level"] == "error"
                                  for event in self.node.events())
            self.node.start()


class Damage(Fault):
    """
    A byte of a file of the engine is another one after a restart. It may
    refuse to start, or answer that something is damaged, but never wrongly.
    Then the byte is as it was.
    """

    SEEN = ("kist_engine_read_errors_total", "kist_corrupt_records_total",
            "kist_engine_write_errors_total")

    def choose(self):
        self.node = self.some(1)[0]

    def candidates(self):
        """The end of a log may be torn, and is no damage: not there."""
        for path in sorted(self.node.data.glob("**/*")):
            size = path.stat().st_size
            if path.suffix == ".ldb" and size > 0:
                yield path, size
            elif path.suffix == ".log" and size > 65536:
                yield path, size // 4

    def begin(self):
        self.node.kill()
        self.path = None
        found = list(self.candidates())
        if found:
            self.path, size = self.chance.choice(found)
            self.at = self.chance.randrange(size)
            self.what += f" {self.path.name} at {self.at}"
            self.flip()
        self.has_bitten = not self.node.start_if_it_can()

    def flip(self):
        """Twice is as before; it may be gone by then."""
        try:
            with open(self.path, "r+b") as file:
                file.seek(self.at)
                byte = file.read(1)[0]
                file.seek(self.at)
                file.write(bytes([byte ^ 0x10]))
        except FileNotFoundError:
            pass

    def is_noticed(self):
        ask(self.node.port, "GET /kv?values=1&limit=1000")
        return any(self.node.metric(name) > 0 for name in self.SEEN)

    def end(self):
        if not self.has_bitten and not self.node.has_ended():
            self.has_bitten = self.is_noticed()
        self.node.kill()
        if self.path is not None:
            self.flip()
        self.node.start()
