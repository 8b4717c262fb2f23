"""Processes that are measured: started, accounted for, ended."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
TICKS = os.sysconf("SC_CLK_TCK")


def die_with_parent():
    # SIGTERM, not SIGKILL: nginx's master must take its workers with it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port():
    """A loopback port nobody has now; for programs that cannot choose one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, child, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise RuntimeError(f"{child.args[0]} ended with {child.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{child.args[0]} does not listen on {port}")


def start(arguments, log):
    """A child in this folder's log file, ended with the benchmark at least."""
    with open(log, "ab") as output:
        return subprocess.Popen([str(word) for word in arguments],
                                stdin=subprocess.DEVNULL, stdout=output,
                                stderr=output, preexec_fn=die_with_parent)


def stop(child, seconds=30):
    child.terminate()
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def family(pid):
    """The process and all its descendants: nginx's workers, for one."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def cpu_seconds(pids):
    """(user, system) seconds that the processes have used so far."""
    user = system = 0
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            raise RuntimeError("a process of the server ended") from None
        fields = stat.rpartition(")")[2].split()
        user += int(fields[11])
        system += int(fields[12])
    return user / TICKS, system / TICKS


def cpu_of_all():
    """Seconds that all programs of this machine have used, but no interrupts,
    which belong to nobody."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return sum(map(int, fields[1:4])) / TICKS


def cpu_of_children():
    """Seconds that children of this program had used when they ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def resident_bytes(pids):
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE")


def run_measured(arguments):
    """(output, seconds, user, system, greatest resident bytes) of a child."""
    began = time.monotonic()
    child = subprocess.Popen([str(word) for word in arguments],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             preexec_fn=die_with_parent)
    output = child.stdout.read().decode()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stdout.close()
    if child.returncode != 0:
        raise RuntimeError(f"{arguments[0]}: {output[-200:]}")
    return (output, time.monotonic() - began, used.ru_utime, used.ru_stime,
            used.ru_maxrss * 1024)
