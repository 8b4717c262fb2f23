"""The engines side by side: `./dev bench --engines`, below 6 minutes.

Every contender is kistd on another engine, the last is Webdis before the same
Redis as one of them; the first is compared with each other one. A Redis and
its cluster are started and ended with the kistd that stands before them.
"""

import random
import time

import measure
import process
import raw_http
import servers
import stage as stages
from memory_group import MemoryGroup
from redis_servers import Redis, RedisCluster
from registry import get_load, load_of, measured_point, put_load, sampling, \
    workload

BATCH, BODIES, PAGE, CONNECTIONS = 100, 200, 100, 64
PATIENCE_S = 30


class OnDisk(servers.Kistd):
    """kistd with an engine of its own."""

    def __init__(self, program, engine, settings=()):
        super().__init__(program, ["--engine", engine, *settings])
        self.name = "kistd " + engine

    def parts(self):
        return {"kistd": self.pids()}


class OnRedis(servers.Kistd):
    """kistd before a Redis or a cluster of them."""

    def __init__(self, program, name, redis):
        super().__init__(program)
        self.name, self.redis = name, redis

    def launch(self):
        self.redis.start(self.folder / "redis")
        self.settings = ["--engine", "redis", "--redis-nodes",
                         self.redis.nodes()]
        super().launch()
        self.wait_for_redis()

    def wait_for_redis(self):
        """It serves before it has found Redis."""
        end = time.monotonic() + PATIENCE_S
        while raw_http.ask(self.port, raw_http.request(
                "GET", "/readyz")).status != 200:
            if time.monotonic() > end:
                raise RuntimeError("kistd did not find its Redis")
            time.sleep(0.02)

    def load(self, items):
        super().load(items, "async")    # More than that a Redis may refuse.

    def stop(self):
        super().stop()
        self.redis.stop()

    def pids(self):
        return super().pids() + self.redis.pids()

    def parts(self):
        return {"kistd": super().pids(), "redis-server": self.redis.pids()}


class Webdis(servers.Webdis):
    def parts(self):
        redis, webdis = self.children
        return {"webdis": process.family(webdis.pid),
                "redis-server": process.family(redis.pid)}


def contenders(stage, fsync, with_webdis=True):
    """All of them, running, with the usual items. fsync: Redis' appendfsync."""
    program = stage.program
    servers_of_all = [
        OnDisk(program, "leveldb"), OnDisk(program, "rocksdb"),
        OnRedis(program, "kistd redis", Redis(fsync)),
        OnRedis(program, "kistd redis cluster", RedisCluster(fsync))]
    if with_webdis:
        servers_of_all.append(Webdis(fsync))
    return [stage.start(server, stages.items()) for server in servers_of_all]


def cores_used(server):
    """{part: CPU seconds that its processes have used}"""
    return {name: sum(process.cpu_seconds(pids))
            for name, pids in server.parts().items()}


def with_accounts(stage, load):
    """A call that measures, and says how many cores each part kept busy.
    Warming up is part of that time."""
    sampled = sampling(stage, load, CONNECTIONS)

    def measured(number):
        before = cores_used(load.server)
        sample = sampled(number)
        seconds = sample["duration_us"] / 1e6 + \
            stage.scale.warm_up_in(number)
        return sample | {"cores": {
            name: (used - before[name]) / seconds
            for name, used in cores_used(load.server).items()}}
    return measured


def compared(stage, loads):
    return [measured_point(CONNECTIONS, {
        load.name: with_accounts(stage, load) for load in loads},
        stage.scale.rounds)]


@workload("engines-get", "GET", group="engines")
def engines_get(stage):
    """GET of random keys of 100,000, 93 bytes of JSON each. The engines on
    disk have them in kistd's object cache; a Redis is asked each time."""
    return compared(stage, [get_load(stage, server)
                            for server in contenders(stage, "no")])


def puts(stage, fsync, durability):
    return compared(stage, [put_load(stage, server, durability)
                            for server in contenders(stage, fsync)])


@workload("engines-put", "durable PUT", group="engines")
def engines_put(stage):
    """PUT of random keys of 100,000, on stable storage when it is answered: a
    Redis has `appendfsync always`."""
    return puts(stage, "always", "sync")


@workload("engines-async", "async PUT", group="engines")
def engines_async(stage):
    """The same, answered when it would survive a crash of the server but not
    of the machine: `?durability=async`; a Redis has `appendfsync no`."""
    return puts(stage, "no", "async")


def batch_load(stage, server):
    draw = random.Random(1)
    texts = [server.batch(
        (server.put_line(stages.key_of(number), stages.value_of(number))
         for number in (draw.randrange(stages.KEYS) for _ in range(BATCH))),
        "sync") for _ in range(BODIES)]
    return load_of(stage, server, texts, units=BATCH, body=b'"status":20')


@workload("engines-batch", "durable batches of 100 puts", unit="put",
          group="engines")
def engines_batch(stage):
    """`POST /batch` with 100 puts of random keys as NDJSON."""
    return compared(stage, [
        batch_load(stage, server)
        for server in contenders(stage, "always", with_webdis=False)])


@workload("engines-list", "pages of 100 items", unit="item", group="engines")
def engines_list(stage):
    """`GET /kv` with 100 items and their values from a random key on."""
    loads = []
    for server in contenders(stage, "no", with_webdis=False):
        texts = [server.page(stages.key_of(number), PAGE)
                 for number in range(0, stages.KEYS - PAGE, 997)]
        loads.append(load_of(stage, server, texts, units=PAGE))
    return compared(stage, loads)


FAR_SETTINGS = ["--cache-bytes", "0", "--block-cache-bytes", "8MiB",
                "--write-buffer-bytes", "8MiB"]
FAR_VALUE, FAR_BATCH = 1000, 1000
FAR_MEMORY = 96 * stages.MIB    # At least; an eighth of more data.


def far_items(count):
    """In random order; the values are random, so that nothing shrinks them."""
    draw = random.Random(1)
    numbers = list(range(count))
    draw.shuffle(numbers)
    for number in numbers:
        yield stages.key_of(number), \
            b'"%s"' % draw.randbytes(FAR_VALUE // 2).hex().encode()


def fill(server, count):
    """Puts a second; the server is new and stays full."""
    began, used = time.monotonic(), process.cpu_seconds(server.pids())
    server.load(far_items(count), "async")
    seconds = time.monotonic() - began
    now = process.cpu_seconds(server.pids())
    return {"per_second": count / seconds,
            "resident_bytes": process.resident_bytes(server.pids())} | \
        measure.cpu_of(now[0] - used[0], now[1] - used[1], count)


def far_read(stage, server, count):
    texts = [server.get(stages.key_of(number))
             for number in range(0, count, max(count // 100_000, 1))]
    return sampling(stage, load_of(stage, server, texts), CONNECTIONS)(0)


def far_samples(stage, engine, count, limit):
    """Of the filling and of the reading, within that memory."""
    try:
        with MemoryGroup(limit) as group:
            server = stage.start(OnDisk(stage.program, engine, FAR_SETTINGS))
            group.add(server.pids())
            samples = [
                measure.attempt(lambda _: fill(server, count), 0),
                measure.attempt(lambda _: far_read(stage, server, count), 0)]
            server.stop()
            return samples
    except measure.Absent as why:
        return [{"absent": str(why)}] * 2


@workload("engines-far", "data beyond every cache", axis="GiB, what",
          group="far")
def engines_far(stage):
    """Records of 1 KB in random order by batches of 1000 into an empty kistd
    with 8 MiB of block cache, write buffers of 8 MiB and no object cache, then
    GET of random keys. kistd's memory, the machine's cache of its files with
    it, is limited to an eighth of the data, but to 96 MiB at least, by a
    control group of the kernel; where none can be made nothing is measured.
    Once, not in turns: the data is not made twice."""
    size = stages.GIB // 4 if stage.scale.quick else 2 * stages.GIB
    count = size // (FAR_VALUE + 100)
    limit = max(size // 8, FAR_MEMORY)
    filled, read = {}, {}
    for engine in ("leveldb", "rocksdb"):
        name = "kistd " + engine
        filled[name], read[name] = (
            [sample] for sample in far_samples(stage, engine, count, limit))
    at = f"{size / stages.GIB:.2f}"
    return [{"at": at + ", put", "samples": filled},
            {"at": at + ", GET", "samples": read}]
