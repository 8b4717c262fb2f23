#!/usr/bin/python3
"""Compares kistd with what people would use instead, on this machine.

Without names every workload runs, and the figures become docs/performance.md
with its plots; with --quick or names they are shown, and kept in build/bench/.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import machine
import measure
import report
import servers
import stage as stages
from registry import WORKLOADS, names_of

# Each fills the registry; in the order of the report.
import small    # noqa: F401
import many     # noqa: F401
import big      # noqa: F401
import clients  # noqa: F401
import cluster  # noqa: F401
import outage   # noqa: F401
import engines  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent


def options():
    parser = argparse.ArgumentParser(
        prog="./dev bench", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="workload",
                        help=", ".join(WORKLOADS))
    parser.add_argument("--quick", action="store_true",
                        help="fewer and shorter rounds, under 4 minutes")
    parser.add_argument("--engines", action="store_true",
                        help="the engines side by side, under 6 minutes")
    parser.add_argument("--large", action="store_true",
                        help="10 million keys, too: some minutes, 3 GB of disk")
    parser.add_argument("--kistd", default="build/release/kistd",
                        help="the program to measure")
    parser.add_argument("--tools", default="build/release/bench",
                        help="where the C programs of bench/ are, built")
    parser.add_argument("--rounds", type=int, help="how often in turn")
    parser.add_argument("--seconds", type=int, help="of each measurement")
    parser.add_argument("--scratch", default="build/bench",
                        help="where the data is while measuring: on a disk")
    parser.add_argument("--json", type=Path, metavar="FILE",
                        help="where the figures go instead")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(WORKLOADS)
    if unknown:
        parser.error(f"there is no workload {', '.join(sorted(unknown))}")
    if chosen.engines:
        chosen.names += names_of("engines")
    return chosen


def scale_of(chosen):
    scale = stages.QUICK if chosen.quick else stages.Scale()
    if chosen.engines:
        scale = replace(scale, rounds=2, seconds=2)
    given = {name: getattr(chosen, name) for name in ("rounds", "seconds")
             if getattr(chosen, name)}
    if chosen.large:
        given["growth"] = stages.LARGE
    return replace(scale, **given)


def versions(kistd):
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always",
                           "--dirty"], capture_output=True, text=True)
    return {
        "kistd": " ".join([servers.Kistd(kistd).version().split()[-1],
                           done.stdout.strip()]).strip(),
        **{package: servers.package_version(package) for package in (
            "nginx-light", "webdis", "redis-server", "etcd-server",
            "libleveldb-dev", "librocksdb-dev", "libmicrohttpd-dev",
            "wrk")}}


def measured(name, chosen, scale):
    """The workload's points; or why there are none, which spoils no other."""
    entry = WORKLOADS[name]
    about = {key: entry[key] for key in ("title", "axis", "unit", "field",
                                         "figures", "text")}
    began = time.monotonic()
    try:
        with stages.Stage(chosen.kistd, chosen.tools, scale,
                          chosen.scratch) as stage:
            points = entry["run"](stage)
    except Exception as wrong:
        return about | {"error": f"{type(wrong).__name__}: {wrong}",
                        "points": []}
    for point in points:
        first = next(iter(point["samples"].values()))
        point["ratios"] = {
            peer: measure.ratios(first, samples, entry["field"])
            for peer, samples in point["samples"].items()
            if samples is not first}
    return about | {"points": points, "took": time.monotonic() - began}


def main():
    chosen = options()
    whole = not chosen.names and not chosen.quick
    began = time.monotonic()
    # Two ends of 10,000 connections.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    scale = scale_of(chosen)
    result = {
        "format": 1, "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine.description(chosen.scratch),
        "versions": versions(chosen.kistd), "scale": asdict(scale),
        "workloads": {}}
    for name in chosen.names or names_of(None):
        result["workloads"][name] = measured(name, chosen, scale)
        report.show(result["workloads"][name])
    result["took"] = time.monotonic() - began
    print(report.targets_text(result))

    folder = ROOT / "docs" if whole else Path(chosen.scratch)
    path = chosen.json or folder / "performance.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    report.write(result, path.parent)
    print(f"{result['took']:.0f} s; {path.with_suffix('.md')}",
          file=sys.stderr)
    return any("error" in entry for entry in result["workloads"].values())


if __name__ == "__main__":
    sys.exit(main())
