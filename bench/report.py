#!/usr/bin/python3
"""From figures to text: a line for the terminal, docs/performance.md.

    python3 bench/report.py docs/performance.json [another run's...]

writes the document anew from figures that are there; workloads of other runs
take the place of those of the first, and say when they were measured.
"""

import json
import statistics
import sys
from pathlib import Path

import measure
from targets import TARGETS, ratio_of

PLOTS = [
    ("throughput", "Throughput by number of connections"),
    ("latency", "Latency by number of connections"),
    ("sizes", "Throughput by size of the value"),
    ("growth", "GET by number of keys"),
]


def number(value, digits=3):
    """Three digits that count, and thousands apart."""
    if value is None:
        return ""
    if value >= 10 ** (digits - 1) or value == int(value):
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def span(ratio):
    return (f"{number(ratio['median'])} ({number(ratio['min'])} to "
            f"{number(ratio['max'])})")


def rate(entry):
    return "MiB/s" if entry["unit"] == "MiB" else entry["unit"] + "s/s"


def cells(entry, point, name, samples):
    """What is known of one contender at one place, as texts."""
    middle = {field: measure.median_of(samples, field) for field in (
        "per_second", "user_us", "system_us", "resident_bytes", "p50", "p99")}
    ratio = point["ratios"].get(name)
    times = {field: number(middle[field] / 1e3) if middle[field] else ""
             for field in ("p50", "p99")}
    cpu = ""
    if middle["user_us"] is not None:
        cpu = f"{number(middle['user_us'])} + {number(middle['system_us'])}"
    return [f"{number(middle['per_second'])}", span(ratio) if ratio else "",
            cpu, number(middle["resident_bytes"] / 2**20),
            times["p50"], times["p99"]]


def figure_cells(entry, samples):
    return [span(measure.spread_of(samples, field))
            for field in entry["figures"]]


def why_not(samples):
    kind, text = measure.reason(samples)
    return ("ERROR: " if kind == "error" else "n/a: ") + text


# ------------------------------------------------------------ the terminal

def show(entry):
    print(f"\n{entry['title']} ({entry.get('took', 0):.0f} s)")
    if "error" in entry:
        print("  ERROR:", entry["error"], flush=True)
    if entry.get("figures"):
        show_figures(entry)
        return
    for point in entry["points"]:
        print(f"  {point['at']} {entry['axis']}: {rate(entry)}, ratio, "
              "us of CPU user + system, MiB resident, p50 and p99 in ms")
        for name, samples in point["samples"].items():
            if measure.reason(samples):
                print(f"    {name:24} {why_not(samples)}")
                continue
            texts = cells(entry, point, name, samples)
            print("    {:24} {:>10} {:>22} {:>15} {:>6} {:>6} {:>6}".format(
                name, *texts), flush=True)
    for line in more_lines(entry):
        print("   ", line.strip())


def show_figures(entry):
    for point in entry["points"]:
        for name, samples in point["samples"].items():
            if measure.reason(samples):
                print(f"  {point['at']}, {name}: {why_not(samples)}")
                continue
            print(f"  {point['at']}, {name}:")
            for title, text in zip(entry["figures"].values(),
                                   figure_cells(entry, samples)):
                print(f"    {title:52} {text}", flush=True)


def rows(result):
    """(target, its ratio or figure as text, the verdict)"""
    for target in TARGETS:
        ratio, why = ratio_of(result, target)
        if ratio is None:
            yield target, why, ""
        else:
            yield target, span(ratio), ("yes" if target.reached(
                target.decisive(ratio)) else "**no**")


def targets_text(result):
    lines = [f"  {target.text:42} {target.peer:24} {text:24} {target.sense} "
             f"{number(target.bound)}: {verdict}"
             for target, text, verdict in rows(result)
             if target.workload in result["workloads"]]
    return "\n".join([f"\nother programs used {others(result)} of the "
                      "cores", *lines])


# ------------------------------------------------------------ the document

def table(head, lines):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for line in lines:
        yield "| " + " | ".join(text.replace("|", "\\|") for text in line) \
            + " |"


def target_lines(result):
    yield from table(
        ["Workload", "against", "ratio, or figure: median (least to greatest)",
         "to reach", "reached"],
        [[target.text, target.against, text,
          f"{target.sense} {number(target.bound)}", verdict]
         for target, text, verdict in rows(result)])


def entry_lines(entry):
    yield f"\n## {entry['title'][0].upper()}{entry['title'][1:]}\n"
    yield " ".join(entry["text"].split())
    yield ""
    if "later" in entry:
        yield f"Measured apart from the rest: {entry['later']}.\n"
    if "error" in entry:
        yield f"ERROR: {entry['error']}"
        return
    if entry.get("figures"):
        yield from figure_lines(entry)
        return
    unit = entry["unit"]
    head = [entry["axis"], "", rate(entry),
            "kistd : it" if entry["field"] == "per_second"
            else f"first : it, {entry['field']}",
            f"CPU us for a {unit}, user + system", "MiB resident",
            "p50 ms", "p99 ms"]
    lines = []
    for point in entry["points"]:
        for name, samples in point["samples"].items():
            start = [str(point["at"]), name]
            if measure.reason(samples):
                lines.append(start + [why_not(samples)] + [""] * 5)
            else:
                lines.append(start + cells(entry, point, name, samples))
    yield from table(head, lines)
    yield from more_lines(entry)


def figure_lines(entry):
    lines = []
    for point in entry["points"]:
        for name, samples in point["samples"].items():
            start = [str(point["at"]), name]
            if measure.reason(samples):
                lines.append(start + [why_not(samples)] +
                             [""] * (len(entry["figures"]) - 1))
            else:
                lines.append(start + figure_cells(entry, samples))
    yield from table([entry["axis"], "", *entry["figures"].values()], lines)


def more_lines(entry):
    """What only some workloads have to say."""
    for point in entry["points"]:
        for name, samples in point["samples"].items():
            idle = [sample["idle_bytes"] for sample in samples
                    if "idle_bytes" in sample]
            if idle:
                yield f"\n{name}: {number(max(idle))} bytes a connection."
            if all("cores" in sample for sample in samples):
                yield f"\n{name}: {cores_text(samples)}."
            puts = measure.median_of(samples, "beside_per_second")
            if puts:
                yield f"\n{name}: {number(puts)} PUT/s meanwhile."


def cores_text(samples):
    """Whose the CPU was: 0.62 cores of kistd, 0.35 of redis-server."""
    return ", ".join(
        number(statistics.median(sample["cores"][part] for sample in samples))
        + f" cores of {part}" for part in samples[0]["cores"])


def others(result):
    """What the machine did for others: figures of a busy one say little."""
    shares = [sample["others_share"] for entry in result["workloads"].values()
              for point in entry["points"]
              for samples in point["samples"].values()
              for sample in samples if "others_share" in sample]
    return f"{statistics.median(shares):.0%}" if shares else "an unknown part"


def machine_lines(result):
    about = result["machine"]
    yield (f"{about['cores']} cores of {about['cpu']}, "
           f"{about['memory_bytes'] / 2**30:.0f} GiB, {about['system']}, Linux "
           f"{about['kernel']}, {about['file_system']}; appending 4 KiB and "
           f"syncing takes {number(about['sync_us'])} us. While it was "
           f"measured, other programs used {others(result)} of the cores "
           f"(median; load average before the run: "
           f"{about['load_before']:.2f}).\n")
    yield from table(["Program", "Version"],
                     [list(pair) for pair in result["versions"].items()])


def document(result):
    scale = result["scale"]
    large = " --large" if max(scale["growth"]) > 1_000_000 else ""
    yield f"""# Performance

Written by `./dev bench` on {result['date']} from the figures in
[performance.json](performance.json), measured in one run of
{result['took'] / 60:.0f} minutes. [bench/README.md](../bench/README.md) says
what is measured and what makes it fair.

kistd and what it is compared with run in turn, {scale['rounds']} rounds of
{scale['seconds']} s each after warming up; a ratio is the median of the
rounds' ratios, with the least and the greatest. All run at their defaults. A
wrong answer would be shown as an error in place of the figure.

    {f"./dev bench{large}":23} # this page
    ./dev bench --quick     # a first look, under 4 minutes
    ./dev bench get put     # some workloads; --help lists them

## What was to be reached
"""
    yield from target_lines(result)
    yield "\n## Machine and versions\n"
    yield from machine_lines(result)
    yield "\n## Plots"
    for name, title in PLOTS:
        if name in result.get("plots", []):
            yield f"\n![{title}](performance/{name}.svg)"
    for entry in result["workloads"].values():
        yield from entry_lines(entry)


def merge(result, other):
    """Workloads of another run, in place of those that are there."""
    when = f"{other['date']}, kistd {other['versions']['kistd']}"
    for name, entry in other["workloads"].items():
        result["workloads"][name] = entry | {"later": when}


def write(result, folder):
    """performance.md and performance/*.svg, in the folder."""
    import plots    # Only here: it takes matplotlib, the rest does not.

    (folder / "performance").mkdir(exist_ok=True)
    result["plots"] = plots.draw(result, folder / "performance")
    (folder / "performance.md").write_text("\n".join(document(result)) + "\n")


if __name__ == "__main__":
    page = Path(sys.argv[1])
    figures = json.loads(page.read_text())
    for another in sys.argv[2:]:
        merge(figures, json.loads(Path(another).read_text()))
    if sys.argv[2:]:
        page.write_text(json.dumps(figures, indent=1) + "\n")
    write(figures, page.parent)
