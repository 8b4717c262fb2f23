#!/usr/bin/env python3
"""Ten million keys on one node: bench/scale.py [--keys N] [--output FILE]

Loads N keys (93-byte JSON values, keys in no order) through POST /batch into a
kistd with default settings, and a second kistd with 100,000, and measures what
grows with the number of keys and what may not. Prints one JSON object; what it
does goes to stderr. Needs wrk, and disk space of about 400 bytes a key.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import scale_keys
from scale_keys import key, percentiles
from scale_node import Node, Probe, Sampler, machine, write_between

HERE = os.path.dirname(os.path.abspath(__file__))
NDJSON = {"Accept": "application/x-ndjson"}
REWRITTEN = 300_000  # Keys: most of a write buffer, for the kill -9.


def say(text):
    print("scale: " + text, file=sys.stderr, flush=True)


def mebibytes(size):
    return "%d MiB" % (size >> 20)


def table(result):
    """The figures for docs/tuning.md."""
    load, start, listing = result["load"], result["start"], result["listing"]
    count = listing["count"]
    rows = [
        ("Load, batches of %d from %d connections"
         % (load["batch"], load["processes"]),
         "%.0f s, %d keys/s, %.1f us of CPU a key" % (
             load["seconds"], load["keys_per_second"],
             load["cpu_us_per_key"])),
        ("Single durable PUT meanwhile, p50 and p99",
         "%.0f and %.0f ms" % (load["put_ms"]["p50"], load["put_ms"]["p99"])),
        ("GET meanwhile, p50 and p99",
         "%.1f and %.1f ms" % (load["get_ms"]["p50"], load["get_ms"]["p99"])),
        ("Written to the disk in all", mebibytes(load["written_bytes"])),
        ("Tables on disk", mebibytes(load["disk"]["tables"])),
        ("Anonymous memory, peak of the load",
         mebibytes(load["peak_anonymous"])),
        ("The same after a start", mebibytes(start["memory"]["anonymous"])),
        ("Start after an orderly stop", "%.3f s" % (
            start["clean"]["start_seconds"])),
        ("Start after kill -9 with a log of %s"
         % mebibytes(start["kill"]["log_left_bytes"]),
         "%.2f s" % start["kill"]["start_seconds"]),
        ("A page of 100 in the middle, p50",
         "%.1f ms" % listing["page_ms"]["p50"]),
        ("Counting all", "%.1f s, %d keys/s" % (
            count["seconds"], count["keys_per_second"])),
        ("GET while all are counted, p99",
         "%.1f ms" % count["get_ms_meanwhile"]["p99"]),
        ("NDJSON export with values", "%.1f s, %d keys/s" % (
            listing["export"]["seconds"],
            listing["export"]["keys_per_second"])),
    ]
    if "get" in result:
        rows += get_rows(result["get"])
    return ("%d keys, values of %d bytes. %s.\n\n| | |\n|---|---|\n"
            % (result["keys"], result["value_bytes"], machine())
            + "".join("| %s | %s |\n" % row for row in rows))


def get_rows(get):
    rows = [("Random GETs of %d keys" % get["keys"][name],
             "%d/s, %.1f us of CPU each" % (get["per_second"][name],
                                            get["cpu_us"][name]))
            for name in ("many", "few")]
    ratio = get["ratio"]
    return rows + [("Ratio of the two, median (range)", "%.2f (%.2f to %.2f)"
                    % (ratio["median"], ratio["min"], ratio["max"]))]


def supports(kistd, flag):
    return subprocess.run(
        [kistd, flag, "0", "--check-config"], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, check=False).returncode == 0


class Scale:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.settings = list(options.kistd_option)
        # GETs are to be measured out of the object cache.
        if supports(options.kistd, "--cache-bytes"):
            self.settings.append("--cache-bytes=0")

    def node(self, name):
        return Node(self.options.kistd, os.path.join(self.folder, name),
                    self.settings)

    def load(self, node, keys):
        """The keys, with single writes and reads beside them."""
        say("loading %d keys" % keys)
        sampler = Sampler(node)
        probes = []

        def begin():
            probes.append(Probe(node, "PUT", lambda n: "/kv/probe/%d" % n,
                                body=b'{"probe":true}'))
            probes.append(Probe(node, "GET",
                                lambda n: "/kv/" + key(n * 7919 % keys)))
            return lambda: [probe.end() for probe in probes]

        cpu, written = node.cpu_seconds(), node.written_bytes()
        result = scale_keys.load(node.port, 0, keys, self.options.processes,
                                 self.options.batch, self.folder,
                                 during=begin)
        result["put_ms"] = percentiles(probes[0].times)
        result["get_ms"] = percentiles(probes[1].times)
        result["cpu_us_per_key"] = round(
            1e6 * (node.cpu_seconds() - cpu) / keys, 2)
        result["settle_seconds"] = node.settle()
        result["written_bytes"] = node.written_bytes() - written
        result["peak_anonymous"] = sampler.end()
        result["memory"] = node.memory()
        result["disk"] = node.disk()
        return result

    def restarts(self, node):
        """A stop in good order with a log to take over, and a kill -9."""
        again = min(REWRITTEN, self.options.keys)
        result = {}
        for name, how in (("clean", signal.SIGTERM), ("kill", signal.SIGKILL)):
            say("start after " + name)
            scale_keys.load(node.port, 0, again, 2, 10_000, self.folder,
                            seed=2)
            node.settle(quiet=1.0)
            log = node.disk()["log"]
            stopped = node.stop(how)
            result[name] = {"log_bytes": log, "stop_seconds": stopped,
                            "log_left_bytes": node.disk()["log"],
                            "start_seconds": node.start()}
        node.settle(quiet=1.0)
        node.stop()
        result["idle"] = {"log_bytes": node.disk()["log"],
                          "start_seconds": node.start()}
        result["memory"] = node.memory()
        return result

    def listings(self, node):
        say("listings")
        result = {}
        for name, query in (("page_ms", ""), ("page_values_ms", "&values=1")):
            times = []
            for i in range(50):
                began = time.monotonic()
                status, body = node.get(
                    "/kv?prefix=user/&start=user/%02x80&limit=100%s"
                    % (64 + i, query))
                times.append(time.monotonic() - began)
                assert status == 200 and body.count(b'"key"') > 0
            result[name] = percentiles(times)
        for name, prefix in (("count_part", "user/8"), ("count", "user/")):
            reads = Probe(node, "GET", lambda n: "/kv/" + key(n), rest=0.002)
            began = time.monotonic()
            cpu = node.cpu_seconds()
            count = json.loads(node.get("/kv?prefix=%s&count=1"
                                        % prefix)[1])["count"]
            seconds = time.monotonic() - began
            result[name] = {
                "keys": count, "seconds": round(seconds, 3),
                "keys_per_second": round(count / seconds),
                "cpu_us_per_key": round(
                    1e6 * (node.cpu_seconds() - cpu) / count, 3),
                "get_ms_meanwhile": percentiles(reads.end())}
        if result["count"]["keys"] != self.options.keys:
            raise SystemExit("%d keys were loaded, %d are there" % (
                self.options.keys, result["count"]["keys"]))
        result["export"] = self.export(node)
        return result

    @staticmethod
    def export(node):
        say("export")
        connection = node.connect()
        cpu, began = node.cpu_seconds(), time.monotonic()
        connection.request("GET", "/kv?prefix=user/&values=1", headers=NDJSON)
        response = connection.getresponse()
        lines = size = 0
        while block := response.read(1 << 20):
            lines += block.count(b"\n")
            size += len(block)
        seconds = time.monotonic() - began
        connection.close()
        return {"keys": lines, "bytes": size, "seconds": round(seconds, 2),
                "keys_per_second": round(lines / seconds),
                "cpu_us_per_key": round(
                    1e6 * (node.cpu_seconds() - cpu) / lines, 3)}

    def wrk(self, node, keys, seconds, seed):
        cpu, faults = node.cpu_seconds(), node.major_faults()
        output = subprocess.run(
            ["wrk", "-t1", "-c%d" % self.options.connections,
             "-d%ds" % seconds, "-s", os.path.join(HERE, "scale_get.lua"),
             "http://127.0.0.1:%d" % node.port, "--", str(keys), str(seed)],
            stdout=subprocess.PIPE, check=True, text=True).stdout
        result = json.loads(output.splitlines()[-1])
        if result["status_errors"] or result["socket_errors"]:
            raise SystemExit("GETs failed: %r" % result)
        result["per_second"] = round(result["requests"] * 1e6 / result["us"])
        result["major_faults"] = node.major_faults() - faults
        result["cpu_us"] = round(
            1e6 * (node.cpu_seconds() - cpu) / result["requests"], 2)
        return result

    def gets(self, many, few):
        say("GETs")
        rounds = []
        nodes = (("many", many, self.options.keys),
                 ("few", few, self.options.few))
        for name, node, keys in nodes:
            # All tables mapped, their pages in memory, no compaction left.
            node.get("/kv?prefix=user/&count=1")
            self.wrk(node, keys, self.options.seconds, 99)
            node.settle()
        for number in range(self.options.rounds):
            rounds.append({name: self.wrk(node, keys, self.options.seconds,
                                          number)
                           for name, node, keys in nodes})
        middle = lambda name, figure: statistics.median(
            r[name][figure] for r in rounds)
        ratios = [r["many"]["per_second"] / r["few"]["per_second"]
                  for r in rounds]
        return {
            "keys": {name: keys for name, _, keys in nodes},
            "per_second": {n: middle(n, "per_second") for n in ("many", "few")},
            "cpu_us": {n: middle(n, "cpu_us") for n in ("many", "few")},
            "p99_us": {n: middle(n, "p99_us") for n in ("many", "few")},
            "ratio": {"median": round(statistics.median(ratios), 3),
                      "min": round(min(ratios), 3),
                      "max": round(max(ratios), 3)},
            "rounds": rounds,
            "memory": many.memory(),
        }

    def run(self):
        result = {"kistd": subprocess.run(
            [self.options.kistd, "--version"], stdout=subprocess.PIPE,
            text=True, check=True).stdout.strip(),
            "settings": self.settings, "cores": os.cpu_count(),
            "keys": self.options.keys, "value_bytes": scale_keys.VALUE_BYTES}
        many, few = self.node("many"), self.node("few")
        try:
            result["first_start_seconds"] = many.start()
            result["memory_empty"] = many.memory()
            result["load"] = self.load(many, self.options.keys)
            result["start"] = self.restarts(many)
            result["listing"] = self.listings(many)
            few.start()
            scale_keys.load(few.port, 0, self.options.few, 2, 10_000,
                            self.folder)
            few.settle()
            few.stop()  # Out of the write buffer, as the many are.
            few.start()
            if self.options.rounds > 0:
                result["get"] = self.gets(many, few)
        finally:
            many.stop(signal.SIGKILL)
            few.stop(signal.SIGKILL)
        return result


def main():
    default = os.path.join(HERE, "..", "build", "release", "kistd")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=10_000_000)
    parser.add_argument("--few", type=int, default=100_000)
    parser.add_argument("--kistd", default=default)
    parser.add_argument("--kistd-option", action="append", default=[],
                        metavar="--NAME=VALUE")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5,
                        help="of GETs; 0: none")
    parser.add_argument("--folder", help="where the data goes for the time")
    parser.add_argument("--write", metavar="FILE",
                        help="put a table between the marks in it")
    parser.add_argument("--output", help="the result; default: stdout")
    options = parser.parse_args()
    if not 0 < options.keys <= scale_keys.KEYS_MAX:
        parser.error("--keys takes 1 to %d" % scale_keys.KEYS_MAX)
    scale_keys.check()
    with tempfile.TemporaryDirectory(prefix="kist-scale-",
                                     dir=options.folder) as folder:
        result = Scale(options, folder).run()
    text = json.dumps(result, indent=1)
    if options.write:
        write_between(options.write, "scale.py", table(result))
    if options.output:
        with open(options.output, "w", encoding="ascii") as file:
            file.write(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
