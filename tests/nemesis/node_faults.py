"""Of a node's process: it ends, stands still, gets little to run on."""

import signal
import threading
import time

from connection import ask
from fault import Fault
from node import until


class Crash(Fault):
    """Killed with no notice, started again."""

    def choose(self):
        self.nodes = self.some(self.chance.choice((1, 1, 2, 3, 5)))

    def begin(self):
        for node in self.nodes:
            node.kill()
        self.has_bitten = all(ask(node.port, "GET /livez") is None
                              for node in self.nodes)

    def end(self):
        for node in self.nodes:
            node.start()


class Pause(Fault):
    """Stands still, and goes on as if no time had passed."""

    def choose(self):
        self.nodes = self.some(self.chance.choice((1, 1, 2)))

    def begin(self):
        for node in self.nodes:
            node.signal(signal.SIGSTOP)
        until("stopped", lambda: all(n.state() == "T" for n in self.nodes))
        self.has_bitten = all(
            ask(node.port, "GET /livez", timeout_s=0.3) is None
            for node in self.nodes)

    def end(self):
        for node in self.nodes:
            node.signal(signal.SIGCONT)


class Starve(Fault):
    """It gets a tenth of a processor, in slices."""

    AWAY_S, HERE_S = 0.18, 0.02
    least_s = 1.0

    def choose(self):
        self.node = self.some(1)[0]

    def begin(self):
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.starve, daemon=True)
        self.thread.start()

    def starve(self):
        while not self.is_over.wait(self.HERE_S):
            self.node.signal(signal.SIGSTOP)
            self.is_over.wait(self.AWAY_S)
            self.node.signal(signal.SIGCONT)

    def end(self):
        end = time.monotonic() + 2 * self.AWAY_S
        while time.monotonic() < end:
            begun = time.monotonic()
            ask(self.node.port, "GET /livez")
            self.has_bitten |= time.monotonic() - begun > self.AWAY_S / 2
        self.is_over.set()
        self.thread.join()
