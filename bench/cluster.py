"""The workload of three nodes on this machine, which share its cores."""

import time

import process
import raw_http
import servers
import stage as stages
from registry import get_load, point, put_load, workload

NAMES = ("a", "b", "c")
PATIENCE_S = 60


class KistdCluster(servers.Kistd):
    """Three kistd with default settings: n = 3, w = 2. The first is asked."""

    def __init__(self, program, settings=(), names=NAMES):
        super().__init__(program, settings)
        self.names = names

    def launch(self):
        ports = [process.free_port() for _ in self.names]
        peers = ",".join(f"{name}=127.0.0.1:{port}"
                         for name, port in zip(self.names, ports))
        self.ports = [self.node(name, port, peers)
                      for name, port in zip(self.names, ports)]
        self.port = self.ports[0]
        end = time.monotonic() + PATIENCE_S
        while not all(self.is_ready(port) for port in self.ports):
            if time.monotonic() > end:
                raise RuntimeError("the nodes did not become a cluster")
            time.sleep(0.05)

    def node(self, name, port, peers):
        folder = self.folder / name
        folder.mkdir()
        child = self.child(
            self.program, "--listen", "127.0.0.1:0", "--data", folder / "data",
            "--node-id", name, "--peers", peers,
            "--peer-listen", f"127.0.0.1:{port}", *self.settings,
            log=f"{name}/log.txt")
        return self.port_in(folder / "log.txt", child)

    @staticmethod
    def is_ready(port):
        return raw_http.ask(port, raw_http.request(
            "GET", "/readyz")).status == 200

    def get_of(self, r):
        """A server that is this one, but asked for r copies."""
        return AskedFor(self, r)


class AskedFor:
    def __init__(self, cluster, r):
        self.cluster, self.r = cluster, r
        self.name, self.port = f"kistd, r={r}", cluster.port
        self.pids, self.shown = cluster.pids, cluster.shown

    def get(self, key):
        return raw_http.request("GET", f"/kv/{key.decode()}?r={self.r}")


class EtcdCluster(servers.Etcd):
    """Three etcd nodes. The first is asked, leader or not."""

    def launch(self):
        ports = [(process.free_port(), process.free_port()) for _ in NAMES]
        peers = ",".join(f"{name}=http://127.0.0.1:{peer}"
                         for name, (_, peer) in zip(NAMES, ports))
        children = [self.node(name, *each, peers)
                    for name, each in zip(NAMES, ports)]
        self.port = ports[0][0]
        process.wait_for_port(self.port, children[0])
        self.wait_for_leader()

    def node(self, name, port, peer, peers):
        client_url, peer_url = (f"http://127.0.0.1:{each}"
                                for each in (port, peer))
        return self.child(
            "etcd", "--name", name, "--data-dir", self.folder / name,
            "--listen-client-urls", client_url, "--advertise-client-urls",
            client_url, "--listen-peer-urls", peer_url,
            "--initial-advertise-peer-urls", peer_url, "--initial-cluster",
            peers, "--logger", "zap", "--log-level", "error",
            log=f"{name}.txt")


@workload("cluster", "three nodes", axis="request")
def three_nodes(stage):
    """Three nodes on the same two cores, of which the first is asked: durable
    PUT (kistd with n = 3 and w = 2, etcd's put), and GET of random keys (kistd
    with r = 1, its own copy, and r = 2, a majority; etcd's range, which is
    linearizable). The CPU is that of all three."""
    items = stages.items(stage.scale.etcd_keys)
    kistd = stage.start(KistdCluster(stage.program), items)
    etcd = stage.start(EtcdCluster(), items)
    theirs = get_load(stage, etcd, len(items))
    return [point(stage, "PUT", [put_load(stage, kistd),
                                 put_load(stage, etcd)], 64)] + [
        point(stage, f"GET, r={r}", [
            get_load(stage, kistd.get_of(r), len(items)), theirs], 64)
        for r in (1, 2)]
