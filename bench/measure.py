"""Rounds, samples and ratios: the arithmetic of the benchmark.

One round measures every contender once, in turn, so that what else the
machine does meets all of them alike. kistd is compared with a peer within
each round; the figure is the median of these ratios.
"""

import statistics
import time
from dataclasses import dataclass
from typing import Callable, Optional

import process
import raw_http
import wrk


@dataclass
class Load:
    """Requests of one kind for one server."""

    server: object
    requests: object                # The file that wrk.write_requests() wrote.
    port: int
    probe: bytes                    # One of the requests ...
    status: int = 200               # ... and how it must be answered.
    body: Optional[bytes] = None    # Within the answer; None: any.
    steady_size: bool = True        # All answers have the probe's size.
    label: Optional[str] = None
    before: Optional[Callable] = None

    @property
    def name(self):
        return self.label or self.server.name


def check_probe(load):
    answer = raw_http.ask(load.port, load.probe)
    if answer.status != load.status:
        raise wrk.Wrong(f"status {answer.status}, not {load.status}")
    if load.body is not None and load.body not in answer.body:
        raise wrk.Wrong(f"the body is {answer.body[:100]}")
    return answer


def sample(load, connections, seconds, warm_up, seed):
    """One measurement; raises wrk.Wrong if any answer was wrong."""
    expected = check_probe(load)
    if warm_up:
        wrk.run(load.port, load.requests, connections, warm_up, seed)
    pids = load.server.pids()
    user, system = process.cpu_seconds(pids)
    result = wrk.run(load.port, load.requests, connections, seconds, seed + 1)
    user_end, system_end = process.cpu_seconds(pids)
    if load.steady_size:
        wrk.check_size(result, expected.size)
    check_probe(load)
    result["user_us"] = (user_end - user) / result["requests"] * 1e6
    result["system_us"] = (system_end - system) / result["requests"] * 1e6
    result["cpu_us"] = result["user_us"] + result["system_us"]
    result["resident_bytes"] = process.resident_bytes(pids)
    return result


def attempt(measure):
    """measure()'s sample, or what is wrong with it in its place."""
    try:
        return measure()
    except (wrk.Wrong, OSError, RuntimeError) as wrong:
        return {"error": str(wrong)}


def in_turn(contenders, rounds, pause=0.1):
    """{name: [a sample a round]}; contenders: {name: a call that measures}."""
    samples = {name: [] for name in contenders}
    for number in range(rounds):
        for name, measure in contenders.items():
            time.sleep(pause)
            samples[name].append(attempt(lambda: measure(number)))
    return samples


def good(samples):
    return [sample for sample in samples if "error" not in sample]


def median_of(samples, field):
    values = [sample[field] for sample in good(samples) if field in sample]
    return statistics.median(values) if values else None


def ratios(ours, theirs, field):
    """Median, least and greatest of ours / theirs, round by round.

    None if any round of the two went wrong: a figure of which a part is
    missing is no figure.
    """
    if not ours or len(good(ours + theirs)) != 2 * len(ours) \
            or not all(sample[field] for sample in theirs):
        return None
    each = [a[field] / b[field] for a, b in zip(ours, theirs, strict=True)]
    return {"median": statistics.median(each), "min": min(each),
            "max": max(each)}
