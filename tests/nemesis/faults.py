"""What goes wrong, on purpose.

Each fault begins, lasts, and ends; has_bitten says afterwards whether it did
anything: one that nobody noticed does not count. All leave what they took as
it was, with every node running and every link open.
"""

import signal
import time

from cluster import NAMES, until
from connection import ask


class Fault:
    def __init__(self, cluster, chance):
        self.cluster = cluster
        self.links = cluster.links
        self.chance = chance
        self.has_bitten = False
        self.what = ""
        self.choose()

    def some(self, number):
        names = self.chance.sample(NAMES, number)
        self.what = "".join(sorted(names))
        return [self.cluster.nodes[name] for name in names]


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


class Full(Fault):
    """A disk without space: started with a reserve that no disk has."""

    def choose(self):
        self.nodes = self.some(1)

    def begin(self):
        for node in self.nodes:
            node.kill()
            node.start_full()

    def end(self):
        self.has_bitten = all(self.only_reads(node) for node in self.nodes)
        for node in self.nodes:
            node.kill()
            node.start()

    def only_reads(self, node):
        answer = ask(node.port, "GET /cluster")
        return answer is not None and b'"store":"read_only"' in answer.body


class LinkFault(Fault):
    """Lanes between nodes; the proof is what they counted."""

    proof = "held"

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
        one, other = self.chance.sample(NAMES, 2)
        self.what = f"{one}->{other}"
        self.lanes = [(one, other)]


class Mute(LinkFault):
    """Nothing that a node sends arrives: it takes writes and nobody hears."""

    def choose(self):
        name = self.some(1)[0].name
        self.lanes = [(name, other) for other in NAMES if other != name]


class Split(LinkFault):
    """Some do not reach the others."""

    def choose(self):
        few = [node.name for node in self.some(self.chance.choice((1, 2)))]
        self.lanes = [(a, b) for a, b in self.links.all()
                      if (a in few) != (b in few)]


class Stall(LinkFault):
    """Within a message, nothing comes any more."""

    def choose(self):
        name = self.some(1)[0].name
        self.lanes = [(name, other) for other in NAMES if other != name]

    def act(self):
        self.links.tell("hold", self.lanes,
                        after=self.chance.randrange(100, 3000))


class Slow(LinkFault):
    proof = "delayed"

    def choose(self):
        name = self.some(1)[0].name
        self.lanes = [(name, other) for other in NAMES if other != name]

    def act(self):
        self.links.tell("slow", self.lanes,
                        delay_s=self.chance.uniform(0.05, 0.8))


class Cut(LinkFault):
    """Connections end in the middle of whatever they carry."""

    proof = "cut"

    def choose(self):
        self.lanes = self.links.all()

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
        self.lanes = self.links.all()
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


OF_NODES = [Crash, Pause, Full]
OF_LINKS = [OneWay, Mute, Split, Stall, Slow, Cut]
MENU = [*OF_NODES, *OF_LINKS, Blackout]
