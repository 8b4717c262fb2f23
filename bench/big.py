"""Workloads by the size of the value, 1 KiB to 1 GiB."""

import os

import measure
import process
import raw_http
import servers
import transfer
import wrk
from registry import load_of, measured_point, sampling, workload

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
ALONE = 2 * MIB             # From here on one connection, ...
CONNECTIONS = 16            # ... and below this many.
AT_LEAST = 256 * MIB        # Of small large values, as many as this makes.
WEBDIS_MAX = 64 * KIB       # Webdis ends itself under larger ones.


def size_text(size):
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def put_once(kistd, size):
    """Seconds that it took; Absent if kistd has a limit below this size."""
    seconds, status = transfer.upload(kistd.port, f"/kv/big-{size}", size)
    if status == 413:
        raise measure.Absent("above the server's limit for a value")
    if status not in (201, 204):
        raise wrk.Wrong(f"status {status} for a PUT of {size} bytes")
    return seconds


def times(size):
    return max(1, AT_LEAST // size)


def up(server, size):
    def measured(_):
        os.sync()   # What others left behind is not this one's.
        with measure.Meter(server) as meter:
            seconds = sum(put_once(server, size) for _ in range(times(size)))
        amount = times(size) * size / MIB
        return {"per_second": amount / seconds} | meter.each(amount)
    return measured


def dd(stage, size):
    """The same bytes into a file with one fsync: what the disk can do."""
    def measured(_):
        path = stage.new_path()
        os.sync()
        runs = [process.run_measured([
            "dd", "if=/dev/zero", f"of={path}", "bs=1M",
            f"count={size // MIB}", "conv=fsync"])
            for _ in range(times(size))]
        path.unlink()
        seconds, user, system = (sum(run[place] for run in runs)
                                 for place in (1, 2, 3))
        amount = times(size) * size / MIB
        return {"per_second": amount / seconds,
                "resident_bytes": runs[-1][4]} | measure.cpu_of(
                    user, system, amount)
    return measured


def small_up(stage, server, texts):
    for text in texts:  # Every measured PUT replaces.
        raw_http.ask(server.port, text)
    load = load_of(stage, server, texts,
                   units=len(texts[0].partition(b"\r\n\r\n")[2]) / MIB)
    return sampling(stage, load, CONNECTIONS)


def upload_contenders(stage, size, kistd):
    if size >= ALONE:
        return {kistd.name: up(kistd, size), "dd": dd(stage, size)}
    each = [kistd]
    if size <= WEBDIS_MAX:  # One for each size: it may have ended itself.
        each.append(stage.start(servers.Webdis("always")))
    keys = [b"key-%d" % number for number in range(CONNECTIONS)]
    return {server.name: small_up(
        stage, server, [server.put_opaque(key, os.urandom(size))
                        for key in keys]) for server in each}


@workload("upload", "durable PUT by size of value", axis="value", unit="MiB")
def upload(stage):
    """Opaque bytes. Below 2 MiB 16 connections, up to 64 KiB against Webdis
    and Redis with `appendfsync always` (Webdis ended itself under larger
    ones); from there on one connection, against
    `dd conv=fsync`, which has no network to cross."""
    kistd = stage.kistd()
    points = []
    for size in stage.scale.sizes:
        points.append(measured_point(
            size_text(size), upload_contenders(stage, size, kistd),
            min(stage.scale.rounds, 3)))
    return points


def down(server, port, text, size):
    def measured(_):
        with measure.Meter(server) as meter:
            seconds = sum(transfer.download(port, text, size)
                          for _ in range(times(size)))
        amount = times(size) * size / MIB
        return {"per_second": amount / seconds} | meter.each(amount)
    return measured


def absent(why):
    def measured(_):
        raise measure.Absent(why)
    return measured


def download_point(stage, size, kistd, nginx, stored):
    text = kistd.get(b"big-%d" % size)
    contenders = {}
    for server in (kistd, nginx):
        if server is kistd and not stored:
            contenders[server.name] = absent(
                "above the server's limit for a value")
        elif size >= ALONE:
            contenders[server.name] = down(server, server.port, text, size)
        else:
            load = load_of(stage, server, [text], units=size / MIB)
            contenders[server.name] = sampling(stage, load, CONNECTIONS)
    return measured_point(size_text(size), contenders,
                          min(stage.scale.rounds, 3))


@workload("download", "GET by size of value", axis="value", unit="MiB")
def download(stage):
    """The same value again and again, against nginx that sends a file of that
    size (`sendfile on`, as Debian configures it). Below 2 MiB 16 connections,
    from there on one. Every file is in the page cache."""
    kistd = stage.kistd()
    nginx = servers.NginxFiles()
    stage.start(nginx)
    points = []
    for size in stage.scale.sizes:
        stored = True
        try:
            put_once(kistd, size)
        except measure.Absent:
            stored = False
        nginx.store(f"big-{size}", size)
        points.append(download_point(stage, size, kistd, nginx, stored))
    return points
