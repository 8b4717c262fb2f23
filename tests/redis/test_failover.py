"""A Redis Cluster of six loses a master under load, two kistd before it.

The history says what is true: what was answered with not_applied is never
read; what was read never goes back further than an asynchronous replica may
be behind; with --redis-wait 1 nothing acknowledged is lost, nothing is written
while the new master has no replica, and writes are back soon after it has one.
The keys of the other masters do not notice.
"""

import json
import sys
import threading
import time

import servers

PROGRAM = sys.argv[1]
WAITS = sys.argv[2:] == ["wait"]

THREADS = 8
KEYS = 6  # Of each thread.
BEFORE_S, AFTER_S = 2, 8
BEHIND_S = 2.0  # A replica that is further behind was not alive.
SLOW_S = 2.0    # For keys that are not concerned, on a busy machine.
AWAY_S = 5.0
LATER_S = 2.0  # Writes that wait for a replica, once there is one.


class Key:
    """What one writer knows of its key."""

    def __init__(self, name):
        self.name = name
        self.path = name.replace("{", "%7B").replace("}", "%7D")
        self.acked = []    # (time, number)
        self.maybe = set()
        self.never = set()
        self.last_ok = None
        self.gap = 0.0     # Longest without a success,
        self.gap_end = 0.0
        self.last_read = None
        self.read_gap = 0.0  # and without a read.
        self.slowest = 0.0
        self.faults = []

    def succeeded(self, now):
        if self.last_ok is not None and now - self.last_ok > self.gap:
            self.gap, self.gap_end = now - self.last_ok, now
        self.last_ok = now

    def was_read(self, now):
        if self.last_read is not None:
            self.read_gap = max(self.read_gap, now - self.last_read)
        self.last_read = now

    def check_read(self, number, killed_at):
        newest = self.acked[-1][1] if self.acked else 0
        allowed = {n for n in self.maybe if n > newest} | {newest}
        if killed_at is not None and not WAITS:
            # What the replica had not got by the kill.
            allowed |= {n for at, n in self.acked
                        if at > killed_at - BEHIND_S} | self.maybe
            older = [n for at, n in self.acked if at <= killed_at - BEHIND_S]
            allowed.add(older[-1] if older else 0)
        if number in self.never or number not in allowed:
            self.faults.append(f"{self.name}: read {number}, not one of "
                               f"{sorted(allowed)[-5:]}")
        # A loss is seen once: from here on this is what is there.
        if number != newest:
            self.acked.append((time.monotonic(), number))


class Load:
    def __init__(self, kistds):
        self.kistds = kistds
        self.stopping = False
        self.killed_at = None
        # All of a thread lie on one master: none waits for another one's.
        self.keys = [[Key(f"{{t{t}}}-{k}") for k in range(KEYS)]
                     for t in range(THREADS)]
        self.counted, self.maybe_counted = [0, 0], [0, 0]
        self.errors = []
        self.threads = [threading.Thread(target=self.guard, args=what)
                        for what in [(self.count, 0), (self.count, 1)] +
                        [(run, t) for t in range(THREADS)
                         for run in (self.run, self.watch)]]

    def timed(self, key, client, *what):
        began = time.monotonic()
        answer = client.ask(*what)
        key.slowest = max(key.slowest, time.monotonic() - began)
        return answer

    def write(self, key, client, number):
        status, _, body = self.timed(key, client, "PUT", "/kv/" + key.path,
                                     str(number))
        if status in (200, 201, 204):
            key.acked.append((time.monotonic(), number))
            key.succeeded(time.monotonic())
            return
        outcome = json.loads(body)["outcome"]
        if outcome == "unknown":
            key.maybe.add(number)
        else:
            assert outcome == "not_applied", outcome
            key.never.add(number)

    def read(self, key, client):
        status, _, body = self.timed(key, client, "GET", "/kv/" + key.path)
        if status == 200:
            key.check_read(int(body), self.killed_at)
        elif status == 404:
            key.check_read(0, self.killed_at)
        else:
            assert status == 503, (status, body)

    def count(self, i):
        client = self.kistds[i].client()
        while not self.stopping:
            status, _, body = client.ask("POST", "/kv/hits?op=incr")
            if status == 200:
                self.counted[i] += 1
            elif json.loads(body)["outcome"] == "unknown":
                self.maybe_counted[i] += 1

    def run(self, t):
        client = self.kistds[t % len(self.kistds)].client()
        number = 0
        while not self.stopping:
            number += 1
            key = self.keys[t][number % KEYS]
            self.write(key, client, number)
            self.read(key, client)

    def watch(self, t):
        """Reads that wait for no write."""
        client, key = self.kistds[t % len(self.kistds)].client(), \
            self.keys[t][0]
        while not self.stopping:
            if client.ask("GET", "/kv/" + key.path)[0] in (200, 404):
                key.was_read(time.monotonic())
            time.sleep(0.02)

    def guard(self, run, which):
        try:
            run(which)
        except Exception as error:  # Told by the test, not by the thread.
            self.errors.append(f"{run.__name__} {which}: {error!r}")


def main():
    with servers.scratch() as directory:
        cluster = servers.Cluster(directory,
                                  "--cluster-require-full-coverage", "no")
        flags = ["--redis-wait", "1"] if WAITS else []
        kistds = [servers.Kistd(PROGRAM, f"{directory}/kistd-{i}",
                                cluster.addresses(), *flags)
                  for i in range(2)]
        for kistd in kistds:
            kistd.await_ready()
        load = Load(kistds)
        stalls = servers.Stalls()
        for thread in load.threads:
            thread.start()
        time.sleep(BEFORE_S)

        victim = cluster.masters()[0]
        lost = set(victim.ask("KEYS", "*").split())
        concerned = {name.partition("}:")[2] for name in lost}
        load.killed_at = time.monotonic()
        victim.kill()
        replica_at = load.killed_at
        if WAITS:  # It comes back as a replica, so that there is one again.
            servers.wait_for("the failover", lambda: len(
                cluster.masters()) == 3)
            victim.start()
            servers.wait_for("the replica", lambda: [
                "state=online" in node.ask("INFO", "replication")
                for node in cluster.masters()] == [True] * 3)
            replica_at = time.monotonic()
        time.sleep(AFTER_S)
        load.stopping = True
        for thread in load.threads:
            thread.join()

        late_s = stalls.seconds
        keys = [key for some in load.keys for key in some]
        faults = load.errors + [fault for key in keys for fault in key.faults]
        ended = time.monotonic()
        client = kistds[0].client()
        for key in keys:
            status, _, body = client.ask("GET", "/kv/" + key.path)
            key.check_read(int(body) if status == 200 else 0, load.killed_at)
        hits = int(client.ask("GET", "/kv/hits")[2])
        counted = sum(load.counted)
        maybe = counted + sum(load.maybe_counted)
        behind = 0 if WAITS else counted
        if not counted - behind <= hits <= maybe:
            faults.append(f"hits is {hits}, of {counted} to {maybe}")
        for key in keys:
            away = max(key.gap, ended - (key.last_ok or load.killed_at))
            is_lost = key.name in concerned
            if is_lost and max(key.read_gap, 0 if WAITS else away) > \
                    AWAY_S + late_s:
                faults.append(f"{key.name} was away for {away:.1f} s, to "
                              f"reads for {key.read_gap:.1f}")
            if is_lost and WAITS and (away > key.gap or
                                      key.gap_end >
                                      replica_at + LATER_S + late_s):
                faults.append(f"{key.name} took no write for {away:.1f} s, "
                              f"until {key.gap_end - replica_at:.1f} after "
                              "there was a replica")
            if not is_lost and key.slowest > SLOW_S + late_s:
                faults.append(f"{key.name} took {key.slowest:.1f} s, on "
                              "another master")
        writes = sum(len(key.acked) for key in keys)
        gaps = [key.gap for key in keys if key.name in concerned]
        print(f"{writes} writes acknowledged, "
              f"{sum(len(key.maybe) for key in keys)} unknown, "
              f"{sum(len(key.never) for key in keys)} not applied; hits "
              f"{hits} of {counted}; {len(gaps)} of {len(keys)} keys away for "
              f"{max(gaps, default=0):.1f} s (a replica after "
              f"{replica_at - load.killed_at:.1f}), to reads for "
              f"{max(key.read_gap for key in keys):.1f}, the others at most "
              f"{max(k.slowest for k in keys if k.name not in concerned):.2f}")
        assert writes > 500, "there was no load to speak of"
        assert gaps, "no key was concerned"
        assert not faults, "\n".join(faults[:20])
        for kistd in kistds:
            kistd.stop()
        cluster.close()


main()
