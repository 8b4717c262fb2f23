"""Of the network: the proof is what the lanes between the nodes counted."""

import time

from fault import Fault
from node import until


class LinkFault(Fault):
    """Lanes between nodes."""

    proof = "held"

    def all(self):
        return [(a, b) for a in self.names for b in self.names if a != b]

    def begin(self):
        self.before = self.links.tell("count", self.lanes)
        self.act()

    def end(self):
        after = self.links.tell("count", self.lanes)
        if self.chance.random() < 0.5:
            self.links.tell("cut", self.lanes)  # What is under way is lost.
        self.links.tell("release", self.lanes)
        self.has_bitten = after[self.proof] > self.before[self.proof]

    def act(self):
        self.links.tell("hold", self.lanes, after=0)


class OneWay(LinkFault):
    """One node hears another, which does not hear the first."""

    def choose(self):
        one, other = self.chance.sample(self.names, 2)
        self.what = f"{one}->{other}"
        self.lanes = [(one, other)]


class Mute(LinkFault):
    """Nothing that a node sends arrives: it takes writes and nobody hears."""

    def choose(self):
        name = self.some(1)[0].name
        self.lanes = [(name, other) for other in self.names
                      if other != name]


class Split(LinkFault):
    """Some do not reach the others."""

    def choose(self):
        few = [node.name for node in self.some(self.chance.choice((1, 2)))]
        self.lanes = [(a, b) for a, b in self.all()
                      if (a in few) != (b in few)]


class Stall(LinkFault):
    """Within a message, nothing comes any more."""

    def choose(self):
        name = self.some(1)[0].name
        self.lanes = [(name, other) for other in self.names
                      if other != name]

    def act(self):
        self.links.tell("hold", self.lanes,
                        after=self.chance.randrange(100, 3000))


class Slow(LinkFault):
    proof = "delayed"

    def choose(self):
        name = self.some(1)[0].name
        self.lanes = [(name, other) for other in self.names
                      if other != name]

    def act(self):
        self.links.tell("slow", self.lanes,
                        delay_s=self.chance.uniform(0.05, 0.8))


class Cut(LinkFault):
    """Connections end in the middle of whatever they carry."""

    proof = "cut"

    def choose(self):
        self.lanes = self.all()

    def act(self):
        for _ in range(5):
            self.links.tell("cut", self.lanes)
            time.sleep(0.05)


class Blackout(LinkFault):
    """
    All links, then all nodes at once; and before they hear of each other
    again, look at the copies that there are of what was just acknowledged.
    """

    def choose(self):
        self.lanes = self.all()
        self.look = None  # Set by who knows what was acknowledged.

    def act(self):
        super().act()
        self.at = time.monotonic()
        for node in self.cluster.nodes.values():
            node.kill()
        for node in self.cluster.nodes.values():
            node.start()
        for node in self.cluster.nodes.values():
            until(f"{node.name} has its ring", node.has_ring)
        self.look(self)

    def end(self):
        super().end()
        self.has_bitten = self.looked > 0
