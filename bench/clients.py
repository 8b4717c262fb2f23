"""Workloads about connections: idle ones, and readers beside writers."""

import contextlib
import socket
import subprocess
import time

import measure
import process
import servers
import stage as stages
import wrk
from registry import get_load, measured_point, put_load, sampling, workload

SOURCES = 4     # Client addresses; kistd allows 4096 connections each.


def open_idle(port, text, count):
    """Connections that have had one answer each and stay open."""
    connections = contextlib.ExitStack()
    for number in range(count):
        link = connections.enter_context(socket.create_connection(
            ("127.0.0.1", port), 60,
            source_address=(f"127.0.0.{2 + number % SOURCES}", 0)))
        link.sendall(text)
        if not link.recv(4096).startswith(b"HTTP/1.1 200"):
            connections.close()
            raise wrk.Wrong("an idle connection got no answer")
    return connections


def with_idle(stage, load):
    """A call that measures the load while many others have nothing to say."""
    def measured(number):
        pids = load.server.pids()
        before = process.resident_bytes(pids)
        with open_idle(load.port, load.probe, stage.scale.idle):
            each = (process.resident_bytes(pids) - before) / stage.scale.idle
            return measure.sample(load, 64, stage.scale.seconds, 0, number) | {
                "idle_bytes": max(each, 0)}
    return measured


@workload("idle", "GET beside 10,000 idle connections")
def idle(stage):
    """64 connections ask for random keys while 10,000 others, which have had
    one answer each, are silent. kistd runs with `--max-connections 16384`,
    since its default is 10,000 in all. Bytes for each idle connection are
    resident memory of all processes, before and after, divided; a later round
    finds the memory of an earlier one, so the greatest of the rounds counts,
    and the kernel's buffers are not in it."""
    items = stages.items()
    kistd = stage.kistd(items, ["--max-connections", "16384"])
    webdis = stage.start(servers.Webdis(), items)
    contenders = {}
    for server in [kistd] if stage.scale.quick else [kistd, webdis]:
        load = get_load(stage, server)
        crowded = f"{server.name}, {stage.scale.idle:,} idle"
        contenders[crowded] = with_idle(stage, load)
        contenders[server.name] = sampling(stage, load, 64)
    return [measured_point(64, contenders, min(stage.scale.rounds, 3))]


@contextlib.contextmanager
def writing(load, connections, seconds):
    """Sustained PUTs beside a measurement, checked like any other. Gives a
    dict that has their rate in the end. They are not pinned to the generator's
    core: two that wait for each other would look like a slow server."""
    child = subprocess.Popen(
        wrk.command(load.port, load.requests, connections, seconds + 2, 99,
                    pin=False),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    figures = {}
    try:
        time.sleep(1)   # wrk reads its requests and gets going.
        yield figures
        figures["beside_per_second"] = wrk.parse(
            child.communicate()[0])["per_second"]
    finally:
        child.kill()
        child.wait()


@workload("isolation", "latency of GET while PUTs go on", field="p99")
def isolation(stage):
    """64 connections GET as fast as they can, alone, and then while 64 others
    PUT durably as fast as they can. Compared is the 99th percentile of the
    latency of GET."""
    items = stages.items()
    contenders = {}
    compared = [servers.Kistd(stage.program), servers.Webdis("always")]
    for server in compared[:1] if stage.scale.quick else compared:
        stage.start(server, items)
        puts = put_load(stage, server)
        alone = get_load(stage, server)
        beside = get_load(stage, server, beside=lambda puts=puts: writing(
            puts, 64, stage.scale.seconds))
        contenders[f"{server.name}, during PUTs"] = sampling(stage, beside, 64)
        contenders[f"{server.name}, alone"] = sampling(stage, alone, 64)
    return [measured_point(64, contenders, stage.scale.rounds)]
