"""Redis servers for the engines' comparison: one, or a cluster of masters."""

import subprocess
import time

import process
import servers

MASTERS = 3


class Redis(servers.Server):
    """One redis-server. fsync: its appendfsync."""

    def __init__(self, fsync):
        super().__init__()
        self.fsync = fsync

    def launch(self):
        self.port = self.redis(self.folder)

    def redis(self, folder, *more):
        port = process.free_port()
        # No snapshots: they would fork in the middle of a measurement.
        child = self.child(
            "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir",
            folder, "--save", "", "--appendonly", "yes", "--appendfsync",
            self.fsync, *more, log=f"redis-{port}.txt")
        process.wait_for_port(port, child)
        return port

    def nodes(self):
        return f"127.0.0.1:{self.port}"


class RedisCluster(Redis):
    """Masters without replicas: as many servers as share the work."""

    def launch(self):
        self.ports = [self.node(number) for number in range(MASTERS)]
        self.port = self.ports[0]
        self.cli("--cluster", "create", *self.nodes().split(","),
                 "--cluster-yes")
        deadline = time.monotonic() + 30
        while not all("cluster_state:ok" in self.cli(
                "-p", str(port), "cluster", "info") for port in self.ports):
            if time.monotonic() > deadline:
                raise RuntimeError("the Redis Cluster does not come up")
            time.sleep(0.1)

    def node(self, number):
        folder = self.folder / str(number)
        folder.mkdir()
        return self.redis(folder, "--cluster-enabled", "yes",
                          "--cluster-port", process.free_port())

    def cli(self, *arguments):
        done = subprocess.run(["redis-cli", *arguments], capture_output=True,
                              text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError("redis-cli: " + done.stdout + done.stderr)
        return done.stdout

    def nodes(self):
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)
