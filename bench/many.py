"""Workloads of many keys a request, and of very many keys."""

import json
import random

import measure
import process
import servers
import stage as stages
import transfer
import wrk
from registry import get_load, load_of, measured_point, point, sampling, workload

BATCH = 1000
BODIES = 200    # Different batches, sent in random order.
PAGE = 100


def random_batches():
    """The numbers of each batch's keys, the same in every run."""
    draw = random.Random(1)
    return [[draw.randrange(stages.KEYS) for _ in range(BATCH)]
            for _ in range(BODIES)]


def raw_leveldb(stage, threads):
    """A call that measures LevelDB without a server, on a new directory."""
    def measured(number):
        output, _, user, system, resident = process.run_measured([
            stage.raw_leveldb, stage.new_path(), f"threads={threads}",
            f"seconds={stage.scale.seconds}", f"puts={BATCH}",
            f"value={len(stages.value_of(0))}", f"keys={stages.KEYS}"])
        result = json.loads(output)
        return {"per_second": result["puts_per_second"],
                "resident_bytes": resident} | measure.cpu_of(
                    user, system, result["puts"])
    return measured


@workload("batch-put", "durable batches of 1000 puts", unit="put")
def batch_put(stage):
    """`POST /batch` with 1000 puts of random keys as NDJSON, against a program
    that writes the same batches to LevelDB with kistd's options, one synced
    write each, and does nothing else (`bench/raw_leveldb.c`): from one thread,
    and from four, which overlap one's preparation with another's sync. 16
    connections: of 64, kistd turns some away, since so many writes are more
    than `--commit-queue-bytes` lets wait."""
    kistd = stage.kistd(stages.items())
    texts = [kistd.batch(kistd.put_line(stages.key_of(number),
                                        stages.value_of(number))
                         for number in numbers)
             for numbers in random_batches()]
    load = load_of(stage, kistd, texts, units=BATCH, body=b'"status":20')
    return [measured_point(16, {
        kistd.name: sampling(stage, load, 16),
        "raw LevelDB, 4 threads": raw_leveldb(stage, 4),
        "raw LevelDB, 1 thread": raw_leveldb(stage, 1)}, stage.scale.rounds)]


@workload("batch-get", "batches of 1000 gets", unit="get")
def batch_get(stage):
    """`POST /batch` with 1000 gets of random keys, against Webdis with one
    `MGET` of 1000 keys."""
    items = stages.items()
    kistd, webdis = stage.kistd(items), stage.start(servers.Webdis(), items)
    chosen = [[stages.key_of(number) for number in numbers]
              for numbers in random_batches()]
    loads = [load_of(stage, kistd, [kistd.batch(map(kistd.get_line, keys))
                                    for keys in chosen], units=BATCH),
             load_of(stage, webdis, [webdis.get_all(keys) for keys in chosen],
                     units=BATCH)]
    return [point(stage, 64, loads)]


@workload("list", "listing pages of 100", unit="key")
def listing(stage):
    """Pages of 100 keys with their values from random places of 100,000,
    against etcd's range with a limit."""
    loads = []
    for server, count in ((servers.Kistd(stage.program), stages.KEYS),
                          (servers.Etcd(), stage.scale.etcd_keys)):
        stage.start(server, stages.items(count))
        texts = [server.page(stages.key_of(number), PAGE)
                 for number in range(0, count - PAGE, 17)]
        loads.append(load_of(stage, server, texts, units=PAGE,
                             body=server.shown(stages.value_of(PAGE - 1))))
    return [point(stage, 64, loads)]


def whole_export(server, count):
    """A call that reads everything once, on one connection."""
    def measured(_):
        with measure.Meter(server) as meter:
            seconds, answer = transfer.drain(server.port, server.everything())
        found = answer.count(b'"key":')
        if not answer.startswith(b"HTTP/1.1 200") or found != count:
            raise wrk.Wrong(f"{found} keys of {count} in {answer[:100]}...")
        return {"per_second": count / seconds} | meter.each(count)
    return measured


@workload("export", "export of everything", unit="key")
def export(stage):
    """All keys and values on one connection: as NDJSON from kistd, as one JSON
    document from etcd."""
    contenders = {}
    for server, count in ((servers.Kistd(stage.program), stages.KEYS),
                          (servers.Etcd(), stage.scale.etcd_keys)):
        stage.start(server, stages.items(count))
        contenders[server.name] = whole_export(server, count)
    return [measured_point(1, contenders, stage.scale.rounds)]


@workload("growth", "GET by number of keys")
def growth(stage):
    """Random keys of 100,000 up to 10 million, out of cache: without the object
    cache, and with the block cache at its least, which would hold all of the
    smallest. The client asks for 100,000 different keys, spread over all."""
    loads = []
    for count in reversed(stage.scale.growth):
        kistd = stage.kistd(settings=stage.without_caches())
        kistd.load(((stages.key_of(number), stages.value_of(number))
                    for number in range(count)), durability="async")
        loads.append(get_load(stage, kistd, count, label=f"{count:,} keys"))
    return [point(stage, 64, loads)]
