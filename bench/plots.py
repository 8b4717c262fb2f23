"""The plots of docs/performance.md, as SVG. The same figures give the same
bytes."""

import matplotlib

import measure

matplotlib.use("svg")
matplotlib.rcParams.update({
    "svg.hashsalt": "kist", "svg.fonttype": "none", "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.alpha": 0.3, "legend.frameon": False,
})
from matplotlib import pyplot  # noqa: E402

COLOURS = {"kistd": "#0b6e4f", "nginx": "#7a7a7a", "dd": "#7a7a7a",
           "etcd": "#3465a4"}
OTHERS = "#c4421a"     # Webdis and Redis.
PERCENTILES = {"p50": ":", "p90": "--", "p99": "-"}


def colour(name):
    return COLOURS.get(name, OTHERS)


def series(entry, field):
    """{contender: [(at, median)]}, only where there is a figure."""
    found = {}
    for point in entry["points"]:
        for name, samples in point["samples"].items():
            value = measure.median_of(samples, field)
            if value:
                found.setdefault(name, []).append((point["at"], value))
    return found


def by_connections(entry, axes, field, style="-", label="{}"):
    for name, points in series(entry, field).items():
        if len(points) > 1:
            axes.plot(*zip(*sorted(points)), style, color=colour(name),
                      marker="o", markersize=3, label=label.format(name))
    ticks = sorted(point["at"] for point in entry["points"])
    axes.set_xscale("log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("connections")


def throughput(workloads, figure):
    axes = figure.subplots()
    by_connections(workloads["get"], axes, "per_second")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("GET/s")
    axes.legend()


def latency(workloads, figure):
    axes = figure.subplots()
    for field, style in PERCENTILES.items():
        by_connections(workloads["get"], axes, field, style, "{} " + field)
    axes.set_yscale("log")
    axes.set_ylabel("latency of a GET, µs")
    axes.legend(fontsize=8)


def sizes(workloads, figure):
    both = figure.subplots(1, 2, sharey=True)
    for axes, name, title in zip(both, ("download", "upload"),
                                 ("GET", "durable PUT")):
        entry = workloads[name]
        places = [point["at"] for point in entry["points"]]
        for peer, points in series(entry, "per_second").items():
            axes.plot([places.index(at) for at, _ in points],
                      [value for _, value in points], color=colour(peer),
                      marker="o", markersize=3, label=peer)
        axes.set_xticks(range(len(places)), places, rotation=60)
        axes.set_yscale("log")
        axes.set_title(title)
        axes.legend(fontsize=8)
    both[0].set_ylabel("MiB/s")


def growth(workloads, figure):
    point = workloads["growth"]["points"][0]
    counts, values = [], []
    for name, samples in point["samples"].items():
        value = measure.median_of(samples, "per_second")
        if value:
            counts.append(int(name.split()[0].replace(",", "")))
            values.append(value)
    axes = figure.subplots()
    axes.plot(counts, values, color=COLOURS["kistd"], marker="o",
              markersize=4)
    axes.set_xscale("log")
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("keys")
    axes.set_ylabel("GET/s")


DRAWN = {   # Plot, what it needs, its size in inches.
    "throughput": (throughput, ["get"], (7, 3.8)),
    "latency": (latency, ["get"], (7, 4.2)),
    "sizes": (sizes, ["download", "upload"], (9, 4.2)),
    "growth": (growth, ["growth"], (7, 3.2)),
}


def draw(result, folder):
    """The names of the plots that these figures allow."""
    drawn = []
    for name, (fill, needed, size) in DRAWN.items():
        if not all(result["workloads"].get(each, {}).get("points")
                   for each in needed):
            continue
        figure = pyplot.figure(figsize=size, layout="constrained")
        fill(result["workloads"], figure)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        pyplot.close(figure)
        drawn.append(name)
    return drawn
