"""What every fault has in common.

It begins, lasts, and ends; has_bitten says afterwards whether it did anything:
one that nobody noticed does not count. All leave what they took as it was,
with every node running and every link open.
"""


class Fault:
    least_s = 0.0  # How long it has to last for anybody to notice.

    def __init__(self, cluster, chance):
        self.cluster = cluster
        self.links = cluster.links
        self.names = sorted(cluster.nodes)
        self.chance = chance
        self.has_bitten = False
        self.what = ""
        self.choose()

    def some(self, number, names=None):
        chosen = self.chance.sample(names or self.names, number)
        self.what = "".join(sorted(chosen))
        return [self.cluster.nodes[name] for name in chosen]
