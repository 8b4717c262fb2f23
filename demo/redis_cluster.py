#!/usr/bin/python3
"""Two kistd over a Redis Cluster of six, on this machine's loopback.

Starts all of it in a temporary directory, shows that the two share one
keyspace, counts through both at once, kills a Redis master under load, and
ends. Exit status: 0, or 1 if something was not as promised.
"""

import argparse
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/redis"))  # What the tests stand on, too.

import servers  # noqa: E402

THREADS = 8
LOAD_S = 8
KILL_S = 2


def say(text):
    print(text, flush=True)


def show_sharing(one, other):
    client, reader = one.client(), other.client()
    client.ask("PUT", "/kv/user/ada", '{"name": "Ada"}')
    body = reader.ask("GET", "/kv/user/ada")[2].decode()
    say(f"PUT at the first, GET at the second:  {body}")
    assert body == '{"name": "Ada"}', body
    etag = reader.ask("GET", "/kv/user/ada")[1]["ETag"]
    client.ask("PUT", "/kv/user/ada", '{"name": "Ada L."}')
    status = reader.ask("PUT", "/kv/user/ada", "{}", {"If-Match": etag})[0]
    say(f"If-Match with the version before it:  {status}")
    assert status == 412, status


class Load:
    def __init__(self, kistds):
        self.kistds = kistds
        self.stopping = False
        self.good, self.unknown, self.refused = 0, 0, 0
        self.slowest = 0.0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(t,))
                        for t in range(THREADS)]
        for thread in self.threads:
            thread.start()

    def run(self, t):
        client, n = self.kistds[t % 2].client(), 0
        while not self.stopping:
            n += 1
            began = time.monotonic()
            status = client.ask("POST", f"/kv/hits/{n % 100}?op=incr")[0]
            took = time.monotonic() - began
            with self.lock:
                self.good += status == 200
                self.unknown += status == 504
                self.refused += status == 503
                self.slowest = max(self.slowest, took)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


def show_failover(cluster, kistds):
    load = Load(kistds)
    time.sleep(KILL_S)
    before, load.slowest = load.good, 0.0
    victim = cluster.masters()[0]
    say(f"{before / KILL_S:,.0f} counts a second through both; now the Redis "
        f"master at port {victim.port} is killed")
    victim.kill()
    time.sleep(LOAD_S - KILL_S)
    load.stop()
    client = kistds[0].client()
    there = sum(int(client.ask("GET", f"/kv/hits/{n}")[2])
                for n in range(100))
    say(f"{load.good:,} counts acknowledged, {load.unknown} unknown, "
        f"{load.refused} refused; {there:,} are there; the slowest took "
        f"{load.slowest:.1f} s")
    lost = load.good - there
    if lost > 0:
        say(f"{lost} were acknowledged by the master and not yet on its "
            "replica: that is what a failover can lose (docs/engines.md)")
    assert there <= load.good + load.unknown, "counted what was not applied"
    assert load.slowest < 10, "a failover takes too long"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", choices=["redis-cluster"])
    parser.add_argument("--kistd", default=str(ROOT / "build/release/kistd"))
    options = parser.parse_args()
    with servers.scratch() as directory:
        say("starting six redis-server and two kistd")
        cluster = servers.Cluster(directory)
        kistds = [servers.Kistd(options.kistd, f"{directory}/kistd-{i}",
                                cluster.addresses()) for i in range(2)]
        for kistd in kistds:
            kistd.await_ready()
        say("Redis at ports " + ", ".join(
            str(node.port) for node in cluster.nodes) + "; kistd at "
            + " and ".join(f"http://127.0.0.1:{kistd.port}"
                           for kistd in kistds))
        show_sharing(*kistds)
        show_failover(cluster, kistds)
        for kistd in kistds:
            kistd.stop()
        cluster.close()
    say("all as promised")


main()
