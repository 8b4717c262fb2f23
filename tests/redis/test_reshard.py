"""Slots of a Redis Cluster move between masters while clients read and write.

Every slot that holds a shard of the keys moves at least once. No answer is
wrong, nothing is lost, and a write waits no longer than the move of its slot.
"""

import json
import sys
import threading
import time

import servers

PROGRAM = sys.argv[1]
THREADS, KEYS = 6, 40
ENOUGH = 10  # Slots moved.


def keys_in(node, slot):
    text = node.ask("CLUSTER", "GETKEYSINSLOT", slot, 1000)
    return text.split("\n") if text else []


def move(slot, source, target):
    """As redis-cli --cluster reshard does it, key by key."""
    names = {node: node.ask("CLUSTER", "MYID") for node in (source, target)}
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
    while keys := keys_in(source, slot):
        answer = source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000,
                            "KEYS", *keys[:3])
        assert answer in ("OK", "NOKEY"), answer
    for node in (target, source):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", names[target])


class Writer:
    def __init__(self, kistd, t):
        self.client = kistd.client()
        self.t = t
        self.values = {}
        self.hits = 0
        self.slowest = 0.0
        self.faults = []

    def timed(self, *what):
        began = time.monotonic()
        answer = self.client.ask(*what)
        self.slowest = max(self.slowest, time.monotonic() - began)
        return answer

    def step(self, n):
        path = f"/kv/{self.t}/{n % KEYS}"
        status, headers, body = self.timed("PUT", path, str(n))
        if status not in (201, 204):
            self.faults.append(f"PUT {path}: {status} {body}")
            return
        self.values[path] = n
        status, _, body = self.timed("GET", path)
        if (status, body) != (200, str(n).encode()):
            self.faults.append(f"GET {path}: {status} {body}, not {n}")
        status, _, body = self.timed("POST", f"/kv/hits/{n % 5}?op=incr")
        self.hits += status == 200
        if status != 200:
            self.faults.append(f"incr: {status} {body}")

    def run(self, stopping):
        n = 0
        try:
            while not stopping.is_set() and not self.faults:
                n += 1
                self.step(n)
        except Exception as error:
            self.faults.append(repr(error))


def main():
    with servers.scratch() as directory:
        cluster = servers.Cluster(directory, nodes=3, replicas=0)
        kistds = [servers.Kistd(PROGRAM, f"{directory}/kistd-{i}",
                                cluster.addresses()) for i in range(2)]
        for kistd in kistds:
            kistd.await_ready()
        writers = [Writer(kistds[t % 2], t) for t in range(THREADS)]
        stopping = threading.Event()
        threads = [threading.Thread(target=writer.run, args=(stopping,))
                   for writer in writers]
        for thread in threads:
            thread.start()
        time.sleep(1)

        moved, end = 0, time.monotonic() + 9
        for slot in range(0, 16384, 64):
            owners = [node for node in cluster.nodes if keys_in(node, slot)]
            if owners:
                i = cluster.nodes.index(owners[0])
                move(slot, owners[0], cluster.nodes[(i + 1) % 3])
                moved += 1
            if moved > ENOUGH and time.monotonic() > end:
                break
        stopping.set()
        for thread in threads:
            thread.join()

        client = kistds[0].client()
        faults = [fault for writer in writers for fault in writer.faults]
        for writer in writers:
            for path, n in writer.values.items():
                body = client.ask("GET", path)[2]
                if body != str(n).encode():
                    faults.append(f"{path} is {body}, not {n}")
        hits = sum(int(client.ask("GET", f"/kv/hits/{n}")[2])
                   for n in range(5))
        counted = sum(writer.hits for writer in writers)
        if hits != counted:
            faults.append(f"{hits} hits, {counted} were counted")
        listed = json.loads(client.ask("GET", "/kv?count=1")[2])["count"]
        there = sum(len(writer.values) for writer in writers) + 5
        if listed != there:
            faults.append(f"{listed} keys are listed, {there} are there")
        print(f"{moved} slots moved, {counted} rounds, slowest "
              f"{max(writer.slowest for writer in writers):.2f} s")
        assert moved > ENOUGH and counted > 300, (moved, counted)
        assert not faults, "\n".join(faults[:10])
        for kistd in kistds:
            kistd.stop()
        cluster.close()


main()
