"""Workloads of one small value a request: 93 bytes of JSON, 100,000 keys."""

import measure
import raw_http
import servers
import stage as stages
import wrk
from registry import get_load, load_of, point, put_load, workload


def as_nginx(stage, answers):
    """nginx that gives these answers: {name: an Answer}."""
    return stage.start(servers.NginxAnswers(answers))


def canned(nginx, answer, load):
    """The requests of another load, on nginx' port for this answer."""
    return measure.Load(nginx, load.requests, nginx.ports[answer], load.probe,
                        status=load.status, run=load.run)


@workload("get", "hot GET")
def hot_get(stage):
    """GET of random keys of 100,000; all of them fit in every cache. nginx
    gives one constant answer (`return 200`) with the same headers and as many
    bytes; libmicrohttpd alone (`bench/mhd_ceiling.c`), the library that kistd
    stands on, gives the very bytes from one shared response. Webdis is asked for `/GET/key.txt`, the value as it is; etcd for
    `/v3/kv/range`, base64 in JSON."""
    items = stages.items()
    kistd = stage.kistd(items)
    ours = get_load(stage, kistd)
    answer = raw_http.ask(kistd.port, ours.probe)
    nginx = as_nginx(stage, {"get": answer})
    ceiling = stage.start(servers.MhdCeiling(stage.mhd_ceiling, answer))
    webdis = stage.start(servers.Webdis(), items)
    loads = [ours, canned(nginx, "get", ours),
             measure.Load(ceiling, ours.requests, ceiling.port, ours.probe,
                          status=ours.status, run=ours.run),
             get_load(stage, webdis)]
    etcd = stage.start(servers.Etcd(), items[:stage.scale.etcd_keys])
    return [point(stage, 64, loads + [
        get_load(stage, etcd, stage.scale.etcd_keys)])] + [
        point(stage, at, loads, rounds=3) for at in stage.scale.connections]


@workload("cold", "GET with ten times more data than cache")
def cold_get(stage):
    """Random keys again, of values of 1 KiB that make up ten times the bytes
    of kistd's object cache (64 MiB by default; 4 MiB in a quick run). Redis
    has all of them in memory."""
    settings, cache = stage.small_cache()
    count = 10 * cache // 1024
    loads = []
    for server in (servers.Kistd(stage.program, settings), servers.Webdis()):
        stage.start(server, ((stages.key_of(number),
                              stages.padded(number, 1024))
                             for number in range(count)))
        loads.append(get_load(stage, server, count, stages.padded(0, 1024)))
    return [point(stage, 64, loads)]


@workload("head", "HEAD, and GET answered with 304", axis="answer")
def head_and_304(stage):
    """HEAD of random keys, and GET with `If-None-Match` and the current ETag.
    nginx gives a constant answer of the same size. The load comes from
    `bench/headload.c`: wrk waits for bodies that such answers do not have."""
    kistd = stage.kistd(stages.items())
    keys = [stages.key_of(number) for number in range(10_000)]
    connection = raw_http.Connection(kistd.port)
    tags = [connection.ask(kistd.get(key)).header("ETag") for key in keys]
    connection.close()
    ours = {
        "HEAD": load_of(stage, kistd, [kistd.head(key) for key in keys],
                        run=wrk.headload(stage.headload, 200)),
        "304": load_of(stage, kistd, [kistd.get_unless(key, tag) for key, tag
                                      in zip(keys, tags)],
                       run=wrk.headload(stage.headload, 304))}
    nginx = as_nginx(stage, {name: raw_http.ask(load.port, load.probe)
                             for name, load in ours.items()})
    return [point(stage, name, [load, canned(nginx, name, load)], 64)
            for name, load in ours.items()]


def puts(stage, durability, fsync, connections, with_etcd):
    items = stages.items()
    contenders = [stage.kistd(items),
                  stage.start(servers.Webdis(fsync), items)]
    if with_etcd:
        contenders.append(stage.start(servers.Etcd()))
    loads = [put_load(stage, server, durability) for server in contenders]
    return [point(stage, at, loads if at == 64 else loads[:2])
            for at in connections]


@workload("put", "durable PUT")
def durable_put(stage):
    """PUT that replaces random keys of 100,000, on stable storage before it is
    answered: kistd's default, Redis with `appendfsync always`, etcd (with 64
    connections)."""
    return puts(stage, None, "always", (64, 256), with_etcd=True)


@workload("async", "async PUT")
def async_put(stage):
    """The same, answered when it would survive a crash of the server but not
    of the machine: kistd with `?durability=async`, Redis with an append-only
    file and `appendfsync no`."""
    return puts(stage, "async", "no", (64,), with_etcd=False)


@workload("mix", "90 % GET, 10 % durable PUT")
def mix(stage):
    """Random keys of 100,000; one request in ten replaces the value."""
    loads = []
    items = stages.items()
    for server in (servers.Kistd(stage.program), servers.Webdis("always")):
        stage.start(server, items)
        texts = [server.get(key) if number % 10 else server.put(key, value)
                 for number, (key, value) in enumerate(items)]
        loads.append(load_of(stage, server, texts, steady_size=False))
    return [point(stage, 64, loads)]
