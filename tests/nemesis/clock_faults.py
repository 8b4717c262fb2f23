"""Of a node's wall clock. The proof is that the node itself stops stamping.

What the clock does to versions is seen by checks.py: none may be ahead of its
time. Never of a majority: what most agree on is the time.
"""

from fault import Fault

HOUR_S = 3600


class ClockFault(Fault):
    least_s = 2.5  # Peers' clocks are heard twice a second.

    def choose(self):
        self.nodes = self.some(self.chance.choice((1, 1, 2)))

    def end(self):
        self.has_bitten = all(self.is_fenced(node) for node in self.nodes)
        for node in self.nodes:
            node.clock.set()

    def is_fenced(self, node):
        return node.page("/cluster").get("clock", "open") != "open"


class Jump(ClockFault):
    """A second later it is another time, and some time later right again."""

    def begin(self):
        ahead_s = self.chance.choice((10, HOUR_S, -HOUR_S))
        self.what += f" {ahead_s:+} s"
        for node in self.nodes:
            node.clock.set(ahead_s=ahead_s)


class Drift(ClockFault):
    """Much too fast, or too slow."""

    def begin(self):
        drift = self.chance.choice((0.3, -0.3))
        self.what += f" {drift:+}"
        for node in self.nodes:
            node.clock.set(drift=drift)


class Freeze(ClockFault):
    """It stands still."""

    def begin(self):
        for node in self.nodes:
            node.clock.set(drift=-1)


class StepBack(ClockFault):
    """The machine restarts with a clock that has forgotten an hour."""

    def begin(self):
        for node in self.nodes:
            node.kill()
            node.clock.set(ahead_s=-HOUR_S)
        for node in self.nodes:
            node.start()
