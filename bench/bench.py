#!/usr/bin/python3
"""Compares kistd with what people would use instead, on this machine.

Without names, every workload runs and the documents are written anew. With
names, only those run, and their figures are shown.
"""

import argparse
import sys
import time
from dataclasses import replace

import measure
import stage as stages
import workloads


def options():
    parser = argparse.ArgumentParser(
        prog="./dev bench", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="workload",
                        help=", ".join(workloads.REGISTRY))
    parser.add_argument("--quick", action="store_true",
                        help="fewer and shorter rounds")
    parser.add_argument("--kistd", default="build/release/kistd",
                        help="the program to measure")
    parser.add_argument("--rounds", type=int, help="how often in turn")
    parser.add_argument("--seconds", type=int, help="of each measurement")
    parser.add_argument("--scratch", default="build/bench",
                        help="where the data is while measuring: on a disk")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(workloads.REGISTRY)
    if unknown:
        parser.error(f"there is no workload {', '.join(sorted(unknown))}")
    return chosen


def scale_of(chosen):
    scale = stages.QUICK if chosen.quick else stages.Scale()
    given = {name: getattr(chosen, name) for name in ("rounds", "seconds")
             if getattr(chosen, name)}
    return replace(scale, **given)


def line(name, samples, ours):
    wrong = [sample["error"] for sample in samples if "error" in sample]
    if wrong:
        return f"  {name:24} ERROR {wrong[0]}"
    middle = {field: measure.median_of(samples, field) for field in (
        "per_second", "user_us", "system_us", "resident_bytes", "p50", "p99")}
    text = (f"  {name:24} {middle['per_second']:9,.0f}/s"
            f"  cpu {middle['user_us']:5.1f} + {middle['system_us']:5.1f} us"
            f"  {middle['resident_bytes'] / 2**20:6.0f} MiB"
            f"  p50 {middle['p50'] / 1e3:7.2f} ms"
            f"  p99 {middle['p99'] / 1e3:7.2f} ms")
    ratio = measure.ratios(ours, samples, "per_second")
    if ratio and ours is not samples:
        text += ("  ratio {median:.2f} ({min:.2f}-{max:.2f})"
                 .format(**ratio))
    cpu = measure.ratios(ours, samples, "cpu_us")
    if cpu and ours is not samples:
        text += f"  of cpu {cpu['median']:.2f}"
    return text


def show(title, axis, points):
    for point in points:
        print(f"{title}, {point['at']} {axis}", flush=True)
        ours = next(iter(point["samples"].values()))
        for name, samples in point["samples"].items():
            print(line(name, samples, ours), flush=True)


def main():
    chosen = options()
    scale = scale_of(chosen)
    began = time.monotonic()
    for name in chosen.names or workloads.REGISTRY:
        entry = workloads.REGISTRY[name]
        with stages.Stage(chosen.kistd, scale, chosen.scratch) as stage:
            show(entry["title"], entry["axis"], entry["run"](stage))
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
