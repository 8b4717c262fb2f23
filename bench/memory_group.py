"""A bound on the memory of processes, with the pages of files that they use.

A control group of the kernel, version 1 or 2, whichever is there. Without one
nothing is bounded: who asks for it is told so and measures nothing.
"""

import contextlib
import os
from pathlib import Path

import measure

ROOT = Path("/sys/fs/cgroup")
KINDS = ((ROOT / "memory", "memory.limit_in_bytes"), (ROOT, "memory.max"))


class MemoryGroup:
    """One of this program's own, as long as it is entered."""

    def __init__(self, limit):
        self.limit, self.folder = limit, None

    def __enter__(self):
        reasons = []
        for parent, limit in KINDS:
            folder = parent / f"kist-bench-{os.getpid()}"
            try:
                folder.mkdir()
            except OSError as why:
                reasons.append(f"{folder}: {why.strerror}")
                continue
            try:
                (folder / limit).write_text(str(self.limit))
            except OSError as why:  # Its parent does not hand memory on.
                reasons.append(f"{folder / limit}: {why.strerror}")
                folder.rmdir()
                continue
            self.folder = folder
            return self
        raise measure.Absent("memory cannot be limited here, " +
                             "; ".join(reasons))

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # A process of it still ends.
            self.folder.rmdir()

    def add(self, pids):
        """What they use from now on counts."""
        for pid in pids:
            (self.folder / "cgroup.procs").write_text(str(pid))
