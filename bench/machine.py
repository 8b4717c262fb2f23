"""What the figures depend on: this machine, and how busy it was before."""

import os
import platform
import statistics
import subprocess
import time
from pathlib import Path


def field_of(path, name):
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"


def file_system(folder):
    done = subprocess.run(["findmnt", "-no", "FSTYPE,OPTIONS", "-T", folder],
                          capture_output=True, text=True)
    return " ".join(done.stdout.split()) or "unknown"


def sync_us(folder, times=200):
    """Median time to append 4 KiB to a file and sync it."""
    path = Path(folder) / "sync-probe"
    taken = []
    with open(path, "wb", buffering=0) as file:
        for _ in range(times):
            began = time.monotonic()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            taken.append(time.monotonic() - began)
    path.unlink()
    return statistics.median(taken) * 1e6


def description(folder):
    return {
        "cpu": field_of("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int(field_of("/proc/meminfo",
                                     "MemTotal").split()[0]) * 1024,
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release()["PRETTY_NAME"],
        "file_system": file_system(folder),
        "sync_us": sync_us(folder),
        "load_before": os.getloadavg()[0],
    }
