"""What is measured. Each workload starts its own servers and ends them.

A workload gives its points: where on its axis ("connections", say) it
measured, and each contender's samples there, one a round.
"""

import measure
import raw_http
import servers
import stage as stages

REGISTRY = {}


def workload(name, title, axis="connections"):
    def register(run):
        REGISTRY[name] = {"title": title, "axis": axis, "run": run}
        return run
    return register


def point(stage, at, loads, connections=None):
    """One place on the axis: every load in turn, for all the rounds."""
    scale = stage.scale

    def measured(load):
        return lambda number: measure.sample(
            load, connections or at, scale.seconds, scale.warm_up, number)

    return {"at": at, "samples": measure.in_turn(
        {load.name: measured(load) for load in loads}, scale.rounds)}


def get_load(stage, server, count=stages.KEYS, port=None):
    """Random keys; the answer has the value, as this server spells it."""
    texts = [server.get(stages.key_of(number)) for number in range(count)]
    return measure.Load(server, stage.requests(texts), port or server.port,
                        probe=texts[0])


def put_load(stage, server, durability=None):
    texts = [server.put(stages.key_of(number), stages.value_of(number),
                        durability) for number in range(stages.KEYS)]
    probe = raw_http.ask(server.port, texts[0])
    return measure.Load(server, stage.requests(texts), server.port,
                        probe=texts[0], status=probe.status,
                        steady_size=not isinstance(server, servers.Etcd))


def nginx_like(stage, kistd):
    """nginx with the answer that kistd gives, and kistd's own requests."""
    answer = raw_http.ask(kistd.port, kistd.get(stages.key_of(0)))
    return stage.start(servers.Nginx({"get": answer}))


@workload("get", "hot GET")
def hot_get(stage):
    items = stages.items()
    kistd = stage.kistd(items)
    loads = [get_load(stage, kistd)]
    nginx = nginx_like(stage, kistd)
    loads.append(measure.Load(nginx, loads[0].requests, nginx.port,
                              loads[0].probe))
    for peer in (servers.Webdis(), servers.Etcd()):
        loads.append(get_load(stage, stage.start(peer, items)))
    return [point(stage, 64, loads)]


def puts(stage, durability, fsync, connections, with_etcd):
    items = stages.items()
    contenders = [stage.kistd(items),
                  stage.start(servers.Webdis(fsync), items)]
    if with_etcd:
        contenders.append(stage.start(servers.Etcd(), items))
    loads = [put_load(stage, server, durability) for server in contenders]
    return [point(stage, at, loads) for at in connections]


@workload("put", "durable PUT")
def durable_put(stage):
    return puts(stage, None, "always", (64, 256), with_etcd=True)


@workload("async", "async PUT")
def async_put(stage):
    return puts(stage, "async", "no", (64,), with_etcd=False)
