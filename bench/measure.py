"""Rounds, samples and ratios: the arithmetic of the benchmark.

One round measures every contender once, in turn, so that what else the
machine does meets all of them alike. The first contender is compared with
each other one within each round; the figure is the median of these ratios.

A sample is a dict: per_second in the workload's unit, user_us and system_us
of CPU for each unit, resident_bytes, and, from wrk, percentiles in
microseconds. Or it has one entry: "error", why there is no figure, or
"absent", why there cannot be one.
"""

import contextlib
import os
import statistics
import time
from dataclasses import dataclass
from typing import Callable, Optional

import process
import raw_http
import wrk


# The generator leaves in the middle of requests. Webdis then gives answers to
# them to whoever comes next, for a moment.
SETTLES = (0.1, 1)


class Absent(Exception):
    """This contender does not have what would be measured."""


@dataclass
class Load:
    """Requests of one kind for one server."""

    server: object
    requests: object                # The file that wrk.write_requests() wrote.
    port: int
    probe: bytes                    # One of the requests ...
    status: int = 200               # ... and how it must be answered.
    body: Optional[bytes] = None    # Stands in the answer; None: anything.
    steady_size: bool = True        # All answers have the probe's size.
    units: float = 1                # In a request: 1000 in a batch of 1000.
    label: Optional[str] = None
    run: Callable = wrk.run         # The load generator.
    beside: Callable = lambda: contextlib.nullcontext({})   # Meanwhile.

    @property
    def name(self):
        return self.label or self.server.name


class Meter:
    """What a server's processes use while a measurement goes on."""

    def __init__(self, server):
        self.pids = server.pids()

    def __enter__(self):
        self.began = time.monotonic()
        self.user, self.system = process.cpu_seconds(self.pids)
        self.all = process.cpu_of_all() - process.cpu_of_children()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            everybody = process.cpu_of_all() - process.cpu_of_children()
            self.seconds = time.monotonic() - self.began
            user, system = process.cpu_seconds(self.pids)
            self.user, self.system = user - self.user, system - self.system
            self.others = everybody - self.all - self.user - self.system

    def others_share(self):
        """How much of the machine neither server nor generator used."""
        return max(self.others / self.seconds / os.cpu_count(), 0)

    def each(self, units):
        """A sample's entries about the processes, for so many units."""
        return cpu_of(self.user, self.system, units) | {
            "resident_bytes": process.resident_bytes(self.pids)}


def cpu_of(user, system, units):
    return {"user_us": user / units * 1e6, "system_us": system / units * 1e6,
            "cpu_us": (user + system) / units * 1e6}


def check_probe(load):
    answer = raw_http.ask(load.port, load.probe)
    if answer.status != load.status:
        raise wrk.Wrong(f"status {answer.status}, not {load.status}")
    if load.body is not None and load.body not in answer.body:
        raise wrk.Wrong(f"the body is {answer.body[:100]}")
    return answer


def check_settled(load):
    """The probe, again if what came before is still in the way."""
    for pause in SETTLES:
        time.sleep(pause)
        try:
            check_probe(load)
            return
        except wrk.Wrong as wrong:
            last = wrong
    raise last


def sample(load, connections, seconds, warm_up, seed):
    """One measurement; raises wrk.Wrong if any answer was wrong."""
    expected = check_probe(load)
    if warm_up:
        load.run(load.port, load.requests, connections, warm_up, seed)
    with load.beside() as figures, Meter(load.server) as meter:
        result = load.run(load.port, load.requests, connections, seconds,
                          seed + 1)
    if load.steady_size:
        wrk.check_size(result, expected.size, connections)
    check_settled(load)
    result["per_second"] *= load.units
    result |= meter.each(result["requests"] * load.units)
    if figures:     # A second generator is still at work: nothing to tell.
        return result | figures
    return result | {"others_share": meter.others_share()}


def attempt(measured, number):
    """A sample, or in its place what is wrong."""
    try:
        return measured(number)
    except Absent as absent:
        return {"absent": str(absent)}
    except Exception as wrong:  # One figure less; the others stay good.
        return {"error": f"{type(wrong).__name__}: {wrong}"}


def in_turn(contenders, rounds):
    """{name: [a sample a round]}; contenders: {name: a call that measures}."""
    samples = {name: [] for name in contenders}
    for number in range(rounds):
        for name, measured in contenders.items():
            samples[name].append(attempt(measured, number))
    return samples


def reason(samples):
    """(kind, why) of the first round without a figure, or None."""
    for each in samples:
        for kind in ("error", "absent"):
            if kind in each:
                return kind, each[kind]
    return None


def median_of(samples, field):
    """None if a round went wrong: a part of a figure is no figure."""
    if reason(samples) or not all(field in each for each in samples):
        return None
    return statistics.median(each[field] for each in samples)


def spread(figures):
    return {"median": statistics.median(figures), "min": min(figures),
            "max": max(figures)}


def spread_of(samples, field):
    """Median, least and greatest; None where median_of() is."""
    if median_of(samples, field) is None:
        return None
    return spread([each[field] for each in samples])


def ratios(ours, theirs, field):
    """Median, least and greatest of ours / theirs, round by round."""
    if median_of(ours, field) is None or median_of(theirs, field) is None \
            or not all(each[field] for each in theirs):
        return None
    return spread([a[field] / b[field]
                   for a, b in zip(ours, theirs, strict=True)])
