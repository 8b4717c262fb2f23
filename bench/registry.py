"""The list of workloads, and what they are made of.

A workload starts its own servers and gives points: where on its axis
("connections", say) it measured, and there the samples of each contender, one
a round. The first contender is the one that is compared with the others.
"""

import measure
import raw_http
import stage as stages

WORKLOADS = {}


def workload(name, title, axis="connections", unit="request",
             field="per_second", figures=None, group=None):
    """field: what of a sample is compared. figures: {field: its name}, if
    something else than rates is to be shown. group: it runs only when that is
    asked for."""
    def register(run):
        WORKLOADS[name] = {"title": title, "axis": axis, "unit": unit,
                           "field": field, "figures": figures,
                           "group": group, "text": run.__doc__, "run": run}
        return run
    return register


def names_of(group):
    return [name for name, entry in WORKLOADS.items()
            if entry["group"] == group]


def point(stage, at, loads, connections=None, rounds=None):
    """One place on the axis: every load in turn, for all the rounds."""
    return measured_point(
        at, {load.name: sampling(stage, load, connections or at)
             for load in loads}, rounds or stage.scale.rounds)


def sampling(stage, load, connections):
    """A call that measures the load once."""
    scale = stage.scale
    return lambda number: measure.sample(load, connections, scale.seconds,
                                         scale.warm_up_in(number), number)


def measured_point(at, contenders, rounds):
    """The same for contenders that measure by themselves."""
    return {"at": at, "samples": measure.in_turn(contenders, rounds)}


def load_of(stage, server, texts, **more):
    """A load of these requests, answered as the first of them is now."""
    answer = raw_http.ask(server.port, texts[0])
    if not 200 <= answer.status < 400:
        raise RuntimeError(f"{server.name} answers {answer.status} to "
                           f"{texts[0][:80]}: {answer.body[:200]}")
    return measure.Load(server, stage.requests(texts), server.port, texts[0],
                        status=answer.status, **more)


def asked(stage, count=stages.KEYS):
    """Numbers of keys that are spread over all of them."""
    return range(0, count, -(-count // stage.scale.asked))


def get_load(stage, server, count=stages.KEYS, value=None, **more):
    """Random keys; the first one's value is looked for in its answer."""
    texts = [server.get(stages.key_of(number))
             for number in asked(stage, count)]
    return load_of(stage, server, texts,
                   body=server.shown(value or stages.value_of(0)), **more)


def put_load(stage, server, durability=None, **more):
    texts = [server.put(stages.key_of(number), stages.value_of(number),
                        durability) for number in asked(stage)]
    # etcd's answers count the writes: they grow.
    return load_of(stage, server, texts,
                   steady_size=server.name != "etcd", **more)
