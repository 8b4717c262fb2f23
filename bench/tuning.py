#!/usr/bin/env python3
"""What LevelDB's options cost: bench/tuning.py [--keys N] [--write FILE]

Loads the same keys as bench/scale.py with one option changed at a time, all
variants in turn, several rounds, and prints the medians as JSON. --write puts
them as a table into FILE, between the marks <!-- tuning.py: begin --> and end.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import scale_keys
from scale_keys import percentiles
from scale_node import Node, Probe, Sampler, machine, write_between

HERE = os.path.dirname(os.path.abspath(__file__))

# What is changed; kistd's settings; LevelDB's options through the preload.
VARIANTS = (
    ("the defaults", {}, {}),
    ("`write-buffer-bytes` 16 MiB", {"write-buffer-bytes": "16MiB"}, {}),
    ("`write-buffer-bytes` 64 MiB", {"write-buffer-bytes": "64MiB"}, {}),
    ("`write-buffer-bytes` 128 MiB", {"write-buffer-bytes": "128MiB"}, {}),
    ("`block-cache-bytes` 64 KiB", {"block-cache-bytes": "64KiB"}, {}),
    ("`block-cache-bytes` 256 MiB", {"block-cache-bytes": "256MiB"}, {}),
    ("blocks of 2 KiB, not 4", {}, {"LEVELDB_BLOCK_SIZE": 2 << 10}),
    ("blocks of 16 KiB", {}, {"LEVELDB_BLOCK_SIZE": 16 << 10}),
    ("no compression", {}, {"LEVELDB_COMPRESSION": 0}),
    ("tables of 2 MiB, not 8", {}, {"LEVELDB_MAX_FILE_SIZE": 2 << 20}),
    ("tables of 32 MiB", {}, {"LEVELDB_MAX_FILE_SIZE": 32 << 20}),
    ("no bloom filter", {}, {"LEVELDB_BLOOM_BITS": 0}),
)

COLUMNS = (
    ("Changed", "name", lambda v: v),
    ("keys/s loaded", "keys_per_second", lambda v: "%d" % (v // 1000 * 1000)),
    ("CPU us/key", "load_cpu_us", lambda v: "%.1f" % v),
    ("MiB written", "written", lambda v: "%d" % (v >> 20)),
    ("PUT p99 ms", "put_p99_ms", lambda v: "%.0f" % v),
    ("GET p99 ms", "get_p99_ms", lambda v: "%.1f" % v),
    ("MiB on disk", "disk", lambda v: "%d" % (v >> 20)),
    ("MiB in memory", "anonymous", lambda v: "%d" % (v >> 20)),
    ("start after kill s", "start_seconds", lambda v: "%.2f" % v),
    ("CPU us/GET", "get_cpu_us", lambda v: "%.1f" % v),
    ("CPU us/GET absent", "absent_cpu_us", lambda v: "%.1f" % v),
)


def say(text):
    print("tuning: " + text, file=sys.stderr, flush=True)


class Variant:
    def __init__(self, tuning, name, settings, environment):
        self.tuning, self.name = tuning, name
        self.settings, self.environment = settings, environment
        self.rounds = []

    def node(self, folder):
        options = self.tuning.options
        # Data and block cache in the same proportion as 10 million keys and
        # the default have; a variant that sets the cache means its size.
        settings = dict(self.tuning.common, **self.settings)
        environment = {k: str(v) for k, v in self.environment.items()}
        environment["LD_PRELOAD"] = self.tuning.preload
        return Node(options.kistd, os.path.join(folder, "node"),
                    ["--%s=%s" % item for item in settings.items()],
                    environment)

    def run(self, number):
        folder = tempfile.mkdtemp(dir=self.tuning.folder)
        node = self.node(folder)
        try:
            self.rounds.append(self._measure(node, number, folder))
        finally:
            node.stop(signal.SIGKILL)
            shutil.rmtree(folder)

    def _measure(self, node, number, folder):
        keys = self.tuning.options.keys
        node.start()
        sampler, probes = Sampler(node), []

        def begin():
            probes.append(Probe(node, "PUT", lambda n: "/kv/probe/%d" % n,
                                body=b'{"probe":true}'))
            probes.append(Probe(node, "GET", lambda n: "/kv/"
                                + scale_keys.key(n * 7919 % keys)))
            return lambda: [probe.end() for probe in probes]

        load = scale_keys.load(node.port, 0, keys, 4, 1000, folder,
                               seed=number, during=begin)
        node.settle()
        result = {
            "keys_per_second": load["keys_per_second"],
            "load_cpu_us": 1e6 * node.cpu_seconds() / keys,
            "written": node.written_bytes(),
            "put_p99_ms": percentiles(probes[0].times)["p99"],
            "get_p99_ms": percentiles(probes[1].times)["p99"],
            "anonymous": sampler.end(),
            "disk": node.disk()["tables"],
        }
        node.stop(signal.SIGKILL)
        result["start_seconds"] = node.start()
        node.settle()
        node.stop()
        node.start()
        seconds = self.tuning.options.seconds
        self.gets(node, seconds, 1)
        result["get_cpu_us"] = self.gets(node, seconds, 2)
        result["absent_cpu_us"] = self.gets(node, seconds, 3, "absent")
        return result

    def gets(self, node, seconds, seed, *more):
        cpu = node.cpu_seconds()
        output = subprocess.run(
            ["wrk", "-t1", "-c64", "-d%ds" % seconds, "-s",
             os.path.join(HERE, "scale_get.lua"),
             "http://127.0.0.1:%d" % node.port, "--",
             str(self.tuning.options.keys), str(seed)] + list(more),
            stdout=subprocess.PIPE, check=True, text=True).stdout
        result = json.loads(output.splitlines()[-1])
        if bool(more) != bool(result["status_errors"]):
            raise SystemExit("GETs were not what they should be: %r" % result)
        return 1e6 * (node.cpu_seconds() - cpu) / result["requests"]

    def medians(self):
        result = {figure: statistics.median(r[figure] for r in self.rounds)
                  for figure in self.rounds[0]}
        return dict(result, name=self.name, rounds=self.rounds)


class Tuning:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.preload = os.path.join(folder, "leveldb_options.so")
        subprocess.run(
            ["cc", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", "-o",
             self.preload, os.path.join(HERE, "leveldb_options.c")],
            check=True)
        self.common = {"block-cache-bytes":
                       str(max(64 << 10, (64 << 20) * options.keys
                               // 10_000_000))}
        if subprocess.run([options.kistd, "--cache-bytes=0", "--check-config"],
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL,
                          check=False).returncode == 0:
            self.common["cache-bytes"] = "0"

    def run(self):
        chosen = [Variant(self, *variant) for variant in VARIANTS
                  if not self.options.only
                  or any(part in variant[0] for part in self.options.only)]
        for number in range(self.options.rounds):
            for variant in chosen:
                say("round %d: %s" % (number + 1, variant.name))
                variant.run(number + 1)
                say(json.dumps(variant.rounds[-1]))
        return [variant.medians() for variant in chosen]


def table(results, options):
    lines = ["%d keys loaded in no order, batches of 1000 from 4 connections, "
             "medians of %d rounds, object cache off, block cache of %d KiB "
             "where it is not what was changed. %s." % (options.keys, options.rounds,
                        max(64, (64 << 10) * options.keys // 10_000_000),
                        machine()), ""]
    lines.append("| " + " | ".join(title for title, _, _ in COLUMNS) + " |")
    lines.append("|---" + "|--:" * (len(COLUMNS) - 1) + "|")
    for result in results:
        lines.append("| " + " | ".join(
            show(result[figure]) for _, figure, show in COLUMNS) + " |")
    return "\n".join(lines) + "\n"


def main():
    default = os.path.join(HERE, "..", "build", "release", "kistd")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=2_000_000)
    parser.add_argument("--kistd", default=default)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", action="append", metavar="PART",
                        help="variants with this in their name; repeatable")
    parser.add_argument("--folder", help="where the data goes for the time")
    parser.add_argument("--write", metavar="FILE")
    options = parser.parse_args()
    scale_keys.check()
    with tempfile.TemporaryDirectory(prefix="kist-tuning-",
                                     dir=options.folder) as folder:
        results = Tuning(options, folder).run()
    print(json.dumps(results, indent=1))
    if options.write:
        write_between(options.write, "tuning.py", table(results, options))


if __name__ == "__main__":
    main()
