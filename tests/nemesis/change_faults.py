"""Of the members: one joins, leaves or takes another one's place under load.

In the middle of it somebody is killed, most times: who comes, who goes, who
was asked for it, or another one. The proof is another ring, with the change.
"""

import json

from connection import ask
from fault import Fault
from node import until

MOST = 6          # Members; no fewer than at first.
PATIENCE_S = 240  # Thousands of partitions move, one after the other.


class Change(Fault):
    """What was begun is done by the end of it, or given up."""

    def choose(self):
        self.coming = self.going = self.victim = None
        if len(self.names) >= MOST:
            kind = self.chance.choice(("leave", "replace"))
        else:
            kind = self.chance.choice(("join", "replace"))
        if kind != "join":
            self.going = self.some(1)[0]
        self.asked = self.some(1)[0]
        if kind != "leave":
            self.coming = self.cluster.next_to_join()
        if self.coming and self.going and self.going.has_small_disk:
            self.coming.take_small_disk()
        self.is_dead = kind == "replace" and self.chance.random() < 0.5
        self.kind = kind
        self.what = " ".join([kind, *(node.name for node in
                                      (self.going, self.coming) if node)])

    def wish(self):
        peer = self.coming and \
            f"{self.coming.name}={self.cluster.address(self.coming.name)}"
        if self.kind == "join":
            return {"join": peer}
        if self.kind == "leave":
            return {"leave": self.going.name}
        return {"replace": self.going.name, "with": peer}

    def begin(self):
        if self.is_dead:
            self.going.kill()
            self.cluster.lose(self.going)
            self.what += ", which is dead"
        if self.asked is self.going:
            self.asked = self.chance.choice(
                [node for node in self.cluster.members()
                 if node is not self.going])
        if self.coming:
            self.coming.start()
        self.before = self.epoch()
        until(f"{self.asked.name} takes the plan", self.is_committed)
        if self.coming:
            self.cluster.nodes[self.coming.name] = self.coming
        self.kill_somebody()

    def is_committed(self):
        """Others may ask for something, too, or be away just now."""
        draft = ask(self.asked.port, "POST /cluster/plan",
                    body=json.dumps(self.wish()).encode(), timeout_s=5)
        if draft is None or draft.status != 200:
            return self.epoch() > self.before
        plan = json.loads(draft.body)["plan"]
        done = ask(self.asked.port, f"POST /cluster/plan/commit?plan={plan}",
                   body=b"", timeout_s=5)
        return done is not None and done.status == 202

    def kill_somebody(self):
        candidates = [node for node in
                      (self.coming, self.going, self.asked,
                       self.chance.choice(self.cluster.members()), None)
                      if node is None or not node.has_ended()]
        self.victim = self.chance.choice(candidates)
        if self.victim:
            self.victim.kill()
            self.what += f", {self.victim.name} killed"

    def epoch(self):
        return max((node.page("/cluster")["ring"]["epoch"]
                    for node in self.cluster.members()
                    if node.page("/cluster").get("ring")), default=0)

    def ring(self, node):
        """Names of the members, as this one sees them; None: it is unsure."""
        page = node.page("/cluster")
        plan = ask(node.port, "GET /cluster/plan")
        if not page.get("ring") or plan is None or \
                (plan.status == 200 and
                 json.loads(plan.body)["state"] == "pending"):
            return None
        return page["ring"]["epoch"], {member["name"] for member in
                                       page["members"]
                                       if member.get("partitions", 0) > 0}

    def is_in_ring(self):
        wanted = set(self.names)
        wanted -= {self.going.name} if self.going else set()
        wanted |= {self.coming.name} if self.coming else set()
        rings = [self.ring(node) for node in self.cluster.members()
                 if node.name in wanted and not node.has_ended()]
        return None not in rings and len({ring[0] for ring in rings}) == 1 \
            and all(ring[1] == wanted for ring in rings)

    def end(self):
        if self.victim:
            self.victim.start()
        until(f"done: {self.what}", self.is_in_ring, PATIENCE_S)
        self.has_bitten = self.epoch() > self.before
        if self.going:
            self.cluster.part(self.going)
