"""The keys and values of bench/scale.py, and the processes that load them.

Key i is user/ and 8 hexadecimal digits that run all over the key space, so
that every table the load writes overlaps every other: the hard case for an
engine that keeps its tables sorted. scale_get.lua makes the same keys.

A value is a JSON document of 93 bytes, about half of it random: it compresses
as real documents do, not as a repeated one.
"""

import http.client
import multiprocessing
import os
import random
import resource
import time

SCATTER = 387420489  # Odd: no two keys below 2^32 are the same.
KEYS_MAX = 20_000_000  # Beyond, Lua's numbers would round.
VALUE_BYTES = 93
HEADERS = {"Content-Type": "application/x-ndjson"}


def key(number):
    return "user/%08x" % (number * SCATTER & 0xFFFFFFFF)


def value(number, noise):
    """noise: 40 random hexadecimal digits."""
    return ('{"id":%08d,"name":"%s","mail":"%s@example.org","code":%s}'
            % (number + 10_000_000, noise[:12], noise[12:28],
               str(int(noise[28:36], 16) + 10 ** 9)[:10].rjust(10, "1")))


def body(first, count, seed):
    noise = random.Random(seed * 1_000_003 + first).randbytes(20 * count).hex()
    lines = []
    for i in range(count):
        lines.append('{"op":"put","key":"%s","value":%s}\n'
                     % (key(first + i),
                        value(first + i, noise[40 * i:40 * i + 40])))
    return "".join(lines).encode()


def check():
    sample = value(0, "0" * 40)
    assert len(sample) == VALUE_BYTES, len(sample)


class Loader:
    """One process: makes its part of the bodies, waits, sends them all."""

    def __init__(self, port, ranges, seed, folder, query):
        self.ready = multiprocessing.Event()
        self.go = multiprocessing.Event()
        self.result = multiprocessing.SimpleQueue()
        self.process = multiprocessing.Process(
            target=self._run, args=(port, ranges, seed, folder, query))
        self.process.start()

    def _run(self, port, ranges, seed, folder, query):
        path = os.path.join(folder, "bodies-%d" % os.getpid())
        with open(path, "w+b") as file:
            os.unlink(path)
            sizes = []
            for first, count in ranges:
                sizes.append(file.write(body(first, count, seed)))
            file.seek(0)
            self.ready.set()
            self.go.wait()
            used = resource.getrusage(resource.RUSAGE_SELF)
            started = time.monotonic()
            times = self._send(port, file, sizes, query)
            seconds = time.monotonic() - started
            after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = (after.ru_utime + after.ru_stime
               - used.ru_utime - used.ru_stime)
        self.result.put((seconds, cpu, times))

    @staticmethod
    def _send(port, file, sizes, query):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        times = []
        for size in sizes:
            text = file.read(size)
            started = time.monotonic()
            connection.request("POST", "/batch" + query, text, HEADERS)
            response = connection.getresponse()
            answer = response.read()
            times.append(time.monotonic() - started)
            # Each result is {"status":201 or 204, ...}
            wrong = (text.count(b"\n") - answer.count(b'"status":201')
                     - answer.count(b'"status":204'))
            if response.status != 200 or wrong != 0:
                raise SystemExit("the batch failed: %d %r"
                                 % (response.status, answer[:300]))
        connection.close()
        return times


def load(port, first, count, processes, batch, folder, seed=1, query="",
         during=None):
    """Puts keys first ... first + count; the figures of it as a dict.

    during(), if given, is called when the load has begun and returns a
    function that is called when it has ended.
    """
    starts = list(range(first, first + count, batch))
    ranges = [(at, min(batch, first + count - at)) for at in starts]
    loaders = [Loader(port, ranges[i::processes], seed, folder, query)
               for i in range(processes)]
    for loader in loaders:
        loader.ready.wait()
    began = time.monotonic()
    for loader in loaders:
        loader.go.set()
    end = during() if during else None
    results = [loader.result.get() for loader in loaders]
    seconds = time.monotonic() - began
    for loader in loaders:
        loader.process.join()
    if end:
        end()
    times = sorted(t for result in results for t in result[2])
    return {
        "keys": count,
        "batch": batch,
        "processes": processes,
        "seconds": round(seconds, 2),
        "keys_per_second": round(count / seconds),
        "batch_ms": percentiles(times),
        # The share of its time a loader computed: near 1, it is the brake.
        "client_busy": round(max(cpu / s for s, cpu, _ in results), 2),
    }


def percentiles(times):
    times = sorted(times)
    if not times:
        return {}
    at = lambda share: round(
        1000 * times[min(len(times) - 1, int(share * len(times)))], 3)
    return {"count": len(times), "p50": at(0.5), "p99": at(0.99),
            "max": at(1)}
