"""One kistd, which is started, broken and looked at."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import small_disks
from connection import ask
from wrong_clock import Clock

PATIENCE_S = 60  # Sanitizer builds on a busy machine are slow.
PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def until(what, condition, patience_s=PATIENCE_S):
    end = time.monotonic() + patience_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience_s} s: {what}")
        time.sleep(0.02)
    return value


class Node:
    """
    port is of its last start, and stays when it is down. Its disk and its
    clock fail by libraries that are preloaded (faulty.c, wrong_clock.c).
    """

    def __init__(self, name, program, folder, links, flags, preload):
        self.name = name
        self.program = program
        self.folder = Path(folder) / name
        self.folder.mkdir()
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        self.data = self.disk / "data"
        self.clock = Clock(self.folder / "clock")
        self.links = links
        self.flags = flags
        self.preload = preload
        self.has_small_disk = False
        self.starts = 0
        self.child = None
        self.port = 0

    def take_small_disk(self):
        small_disks.mount(self.disk)
        self.has_small_disk = True

    def give_up_small_disk(self):
        if self.has_small_disk:
            small_disks.unmount(self.disk)
        self.has_small_disk = False

    def keep_small_disk(self):
        """Its data, where it stays when this process ends."""
        if self.has_small_disk and self.data.exists():
            shutil.copytree(self.data, self.folder / "data", symlinks=True)

    def environment(self):
        more = small_disks.SETTINGS if self.has_small_disk else {}
        return os.environ | more | {
            "LD_PRELOAD": ":".join(self.preload),
            "WRONG_CLOCK": str(self.clock.path),
            "FAULTY": str(self.folder / "fault"),
            "FAULTY_BELOW": f"{self.data}/"}

    def fault(self, call):
        """The file that is there as long as this fails."""
        return self.folder / f"fault.{call}"

    def command(self, more):
        return [self.program, "--listen", "127.0.0.1:0",
                "--data", str(self.data), "--node-id", self.name,
                "--peer-listen", "127.0.0.1:0", "--loops", "1",
                *self.flags, *more]

    def log(self):
        return self.folder / f"log.{self.starts}"

    def events(self):
        """The lines of its log, as far as they are whole."""
        for line in self.log().read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and line.startswith(b"{"):
                yield json.loads(line)

    def launch(self, more=()):
        self.starts += 1
        with open(self.log(), "wb") as log:
            self.child = subprocess.Popen(
                self.command(more), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, preexec_fn=die_with_parent,
                env=self.environment())

    def start(self, more=()):
        self.launch(more)
        self.meet(until(f"{self.name} listens", self.ports))

    def meet(self, ports):
        self.port = ports["listening"]
        self.links.tell("node", name=self.name, pid=self.child.pid,
                        port=ports["listening.peers"])

    def start_if_it_can(self):
        """Whether it listens; it may end instead, and say why."""
        self.launch()
        until(f"{self.name} listens or ends",
              lambda: self.has_ended() or self.ports())
        if self.has_ended():
            return False
        self.meet(self.ports())
        return True

    def has_ended(self):
        return self.child.poll() is not None

    def ports(self):
        assert not self.has_ended(), \
            f"{self.name} ended with {self.child.returncode}, see {self.log()}"
        found = {event["event"]: int(event["address"].split(":")[-1])
                 for event in self.events()
                 if event["event"] in ("listening", "listening.peers")}
        return found if len(found) == 2 else None

    def start_full(self):
        """With a reserve that is more than is free: it only reads."""
        disk = shutil.disk_usage(self.disk)
        self.start(["--disk-reserve-bytes",
                    str((disk.free + disk.total) // 2)])

    def kill(self):
        self.child.kill()
        self.child.wait()

    def signal(self, number):
        self.child.send_signal(number)

    def state(self):
        """As in ps: T is stopped."""
        return Path(f"/proc/{self.child.pid}/stat").read_text(
            encoding="ascii").rpartition(")")[2].split()[0]

    def page(self, path):
        """What it says of itself; {}: nothing now."""
        answer = ask(self.port, f"GET {path}")
        return json.loads(answer.body) if answer and answer.status == 200 \
            else {}

    def metric(self, name):
        """The sum of its series of that name; 0 also: no answer."""
        answer = ask(self.port, "GET /metrics")
        lines = answer.body.decode().splitlines() if answer else []
        return sum(float(line.split()[-1]) for line in lines
                   if line.startswith((name + " ", name + "{")))

    def must_run(self):
        assert not self.has_ended(), \
            f"{self.name} ended with {self.child.returncode}, see {self.log()}"

    def has_ring(self):
        """It knows whose keys are whose, from its own disk if need be."""
        self.must_run()
        answer = ask(self.port, "GET /cluster/ring?key=k")
        return answer is not None and answer.status == 200

    def is_ready(self):
        self.must_run()
        answer = ask(self.port, "GET /readyz")
        return answer is not None and answer.status == 200
