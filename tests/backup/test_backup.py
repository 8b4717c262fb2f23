"""What a backup promises, on a kistd of its own.

Taken under writes it has everything that was acknowledged when it began, as of
one moment; it comes back byte for byte; damaged or cut it is refused at its
place and leaves nothing; and memory does not follow what is stored.
"""

import bisect
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from admin_node import SMALL_DISK, AdminNode, ask, restore, run
from node import die_with_parent, until

sys.path.insert(0, str(Path(__file__).parents[1] / "nemesis"))

import small_disks  # noqa: E402 (below its path)

LARGE = 150_000  # Above --inline-bytes.
OCTETS = {"Content-Type": "application/octet-stream"}


class History:
    """Every write of one client, in the order of its versions."""

    def __init__(self):
        self.lock = threading.Lock()
        self.by_key = {}  # key: [(version, value or None)]

    def add(self, key, version, value):
        with self.lock:
            self.by_key.setdefault(key, []).append((version, value))

    def at(self, key, version):
        """(version, value) that key had when version was the newest."""
        writes = sorted(self.by_key.get(key, []), key=lambda write: write[0])
        place = bisect.bisect_right([write[0] for write in writes], version)
        return writes[place - 1] if place else (None, None)


def put(connection, history, key, value, query=""):
    headers, _ = ask(connection, "PUT", f"/kv/{key}{query}", value, OCTETS,
                     (201, 204))
    history.add(key, headers["Kist-Version"], value)


def delete(connection, history, key):
    headers, _ = ask(connection, "DELETE", f"/kv/{key}", None, {}, (204, 404))
    if "Kist-Version" in headers:
        history.add(key, headers["Kist-Version"], None)


def some_value(chance):
    size = LARGE if chance.random() < 0.1 else chance.randrange(2000)
    return chance.randbytes(size)


def write_until(node, history, stop, keys, seed):
    """One client, whose keys are nobody else's."""
    chance, connection = random.Random(seed), node.connect()
    while not stop.is_set():
        key = chance.choice(keys)
        if chance.random() < 0.2:
            delete(connection, history, key)
        else:
            put(connection, history, key, some_value(chance),
                chance.choice(["", "?ttl=3600"]))
    connection.close()


def compare(node, history, before):
    """The restored node is the other one as of one moment, not before it."""
    records = node.records()
    cut = max(item["version"] for item in records.values())
    for key in history.by_key:
        version, value = history.at(key, cut)
        if key not in records:
            # Deletions leave no record that would tell how late it was.
            assert value is None or any(
                later > cut and gone is None
                for later, gone in history.by_key[key]), key
            assert before.get(key) is None or any(
                later > before[key] for later, _ in history.by_key[key]), key
            continue
        assert records[key]["version"] == version, (key, records[key], version)
        assert records[key]["version"] >= before.get(key, ""), key
        assert node.value(key) == value, key
    assert records.keys() <= history.by_key.keys()


def test_under_writes(kistd, scratch):
    """Backup under writes, the directory destroyed, restored, compared."""
    history, stop = History(), threading.Event()
    with AdminNode(kistd, scratch + "/old") as node:
        keys = [f"k{number:05}" for number in range(600)]
        connection, chance = node.connect(), random.Random(1)
        for key in keys:
            put(connection, history, key, some_value(chance))
        writers = [threading.Thread(target=write_until, args=[
            node, history, stop, keys[number::2], number])
            for number in range(2)]
        for writer in writers:
            writer.start()
        until("there are writes", lambda: sum(
            map(len, list(history.by_key.values()))) > len(keys) + 100)
        with history.lock:
            before = {key: writes[-1][0] for key, writes in
                      history.by_key.items() if writes[-1][1] is not None}
        # In pieces, so that much is written meanwhile.
        connection.request("GET", "/admin/backup")
        answer = connection.getresponse()
        with open(scratch + "/backup", "wb") as file:
            while piece := answer.read(100_000):
                file.write(piece)
                time.sleep(0.002)
        stop.set()
        for writer in writers:
            writer.join()
        assert node.metric('kist_backups_total{end="done"}') == 1
        expiries = {key: item.get("expires")
                    for key, item in node.records().items()}
        versions = {key: item["version"]
                    for key, item in node.records().items()}
        node.stop(signal.SIGKILL)
    shutil.rmtree(scratch + "/old")
    restore(kistd, scratch + "/backup", scratch + "/new.data")
    with AdminNode(kistd, scratch + "/new",
                   data=scratch + "/new.data") as node:
        compare(node, history, before)
        records = node.records()
        for key, item in records.items():
            if versions.get(key) == item["version"]:
                assert item.get("expires") == expiries[key], key
        # Its own versions are a new node's, and above all that it has.
        newest = max(item["version"] for item in records.values())
        headers, _ = node.ask("PUT", "/kv/fresh", "1", expect=(201,))
        assert headers["Kist-Version"] > newest
        assert headers["Kist-Version"][16:] != newest[16:]
        assert node.stop() == 0


def small_backup(kistd, scratch):
    """Some of everything, in a small file."""
    history = History()
    with AdminNode(kistd, scratch + "/small") as node:
        connection, chance = node.connect(), random.Random(2)
        for number in range(40):
            put(connection, history, f"s{number}", chance.randbytes(300))
        for number in range(2):
            put(connection, history, f"t{number}", chance.randbytes(LARGE))
        node.backup(scratch + "/small.backup")
        assert node.stop() == 0
    return scratch + "/small.backup"


def expect_refused(kistd, damaged, data, what):
    status, text = run(kistd, "--verify", damaged)
    assert status == 1 and ("byte" in text or "no backup" in text), (what, text)
    if what[1] % 7 != 0:  # It reads like the other, and takes longer.
        return
    status, text = run(kistd, "--restore", damaged, "--data", data)
    assert status == 1 and "backup" in text, (what, text)
    assert not os.path.exists(data), (what, os.listdir(data))


def test_damage(kistd, scratch):
    """Any flipped bit and any cut is refused, and nothing is left."""
    with open(small_backup(kistd, scratch), "rb") as file:
        whole = file.read()
    chance = random.Random(3)
    damaged, data = scratch + "/damaged", scratch + "/damaged.data"
    # Every bit of a frame: tests/storage/test_backup_frame.c.
    offsets = [*range(0, 60, 7)] + [chance.randrange(len(whole))
                                    for _ in range(16)] + [len(whole) - 1]
    for number, offset in enumerate(offsets):
        bad = bytearray(whole)
        bad[offset] ^= 1 << chance.randrange(8)
        with open(damaged, "wb") as file:
            file.write(bad)
        expect_refused(kistd, damaged, data, (f"bit at {offset}", number))
    lengths = [0, 1, 43, 44, len(whole) - 1] + [
        chance.randrange(len(whole)) for _ in range(10)]
    for number, length in enumerate(lengths):
        with open(damaged, "wb") as file:
            file.write(whole[:length])
        expect_refused(kistd, damaged, data, (f"cut to {length}", number))
    with open(damaged, "wb") as file:
        file.write(whole + b"x")
    expect_refused(kistd, damaged, data, ("a byte too much", 0))


def test_only_into_emptiness(kistd, scratch):
    """What is there stays; a killed restore is no data directory."""
    backup = scratch + "/small.backup"
    data = scratch + "/taken"
    os.mkdir(data)
    with open(data + "/mine", "w", encoding="ascii") as file:
        file.write("mine")
    status, text = run(kistd, "--restore", backup, "--data", data)
    assert status == 1 and "not empty" in text, text
    assert os.listdir(data) == ["mine"]

    data = scratch + "/killed"
    with open(backup, "rb") as file:
        whole = file.read()
    for share in (0.1, 0.5, 0.9, 0.99):
        with subprocess.Popen(
                [kistd, "--restore", "-", "--data", data],
                stdin=subprocess.PIPE, preexec_fn=die_with_parent,
                env=dict(os.environ, **SMALL_DISK)) as child:
            child.stdin.write(whole[:int(len(whole) * share)])
            child.stdin.flush()
            until("it has begun",
                  lambda: os.path.exists(data + "/kist-restore.tmp/FORMAT"))
            child.kill()
        status, text = run(kistd, "--data", data, "--listen", "127.0.0.1:0")
        assert status != 0 and "--restore again" in text, text
    restore(kistd, backup, data)
    assert "kist-restore.tmp" not in os.listdir(data)
    status, text = run(kistd, "--restore", backup, "--data", data)
    assert status == 1 and "not empty" in text, text
    with AdminNode(kistd, scratch + "/killed.node", data=data) as node:
        assert len(node.records()) == 42
        assert node.stop() == 0


def slow_backup(node):
    """Begun, and read no further than its first bytes."""
    connection = node.connect()
    connection.request("GET", "/admin/backup")
    answer = connection.getresponse()
    return connection, answer, answer.read(1000)


def test_files_are_held(kistd, scratch):
    """What is replaced and deleted during a backup is in it all the same."""
    history, chance = History(), random.Random(4)
    with AdminNode(kistd, scratch + "/held") as node:
        connection = node.connect()
        keys = [f"l{number:02}" for number in range(80)]
        for key in keys:
            put(connection, history, key, chance.randbytes(LARGE))
        connection, answer, first = slow_backup(node)
        busy, _ = node.ask("GET", "/admin/backup", expect=(503,))
        assert busy["Retry-After"]
        for key in keys[::2]:
            node.ask("DELETE", "/kv/" + key, expect=(204,))
        for key in keys[1::2]:
            node.ask("PUT", "/kv/" + key, b"small", OCTETS, (204,))
        assert node.metric("kist_large_dropped_files") == len(keys)
        with open(scratch + "/held.backup", "wb") as file:
            file.write(first + answer.read())
        connection.close()
        until("the files go", lambda: node.metric("kist_large_files") == 0)
        # One whose client leaves is over, too, and the next may begin.
        slow_backup(node)[0].close()
        until("the next begins", lambda: node.ask(
            "GET", "/admin/backup", expect=(200, 503))[0].get(
                "Retry-After") is None)
        assert node.stop() == 0
    restore(kistd, scratch + "/held.backup", scratch + "/held.data")
    with AdminNode(kistd, scratch + "/held.new",
                   data=scratch + "/held.data") as node:
        for key in keys:
            assert node.value(key) == history.by_key[key][-1][1], key
        assert node.stop() == 0


def test_gives_way(kistd, scratch):
    """Room that writes need is worth more than a backup under way."""
    if not MAY_MOUNT:
        print("# not allowed to mount: a full disk was not tried")
        return
    folder = Path(scratch, "small-disk")
    folder.mkdir()
    small_disks.mount(folder)
    try:
        with AdminNode(kistd, str(folder), **{
                name.removeprefix("KIST_").lower(): value
                for name, value in small_disks.SETTINGS.items()}) as node:
            connection, value = node.connect(), random.Random(6).randbytes(
                LARGE)
            for number in range(80):
                ask(connection, "PUT", f"/kv/d{number}", value, OCTETS, (201,))
            _, answer, _ = slow_backup(node)
            fill(folder / "filler", node)
            try:
                answer.read()
                raise AssertionError("the backup came to its end")
            except http.client.IncompleteRead:
                pass
            failed = next(event for event in node.events()
                          if event["event"] == "backup.failed")
            assert failed["status"] == "disk_full", failed
            # Writes went on all the time, and the next backup is whole.
            ask(connection, "PUT", "/kv/after", b"x", OCTETS, (201,))
            (folder / "filler").unlink()
            until("there is room", lambda: not is_scarce(node))
            node.backup(scratch + "/roomy.backup")
            assert node.stop() == 0
            # Of the one that was given up, nothing is left to wait for.
            assert node.events()[-1]["why"] == "all requests were answered"
        assert run(kistd, "--verify", scratch + "/roomy.backup")[0] == 0
    finally:
        small_disks.unmount(folder)


def is_scarce(node):
    """Less is free than a quarter above the reserve, as kistd sees it."""
    reserve = node.metric("kist_disk_reserve_bytes")
    return node.metric("kist_disk_free_bytes") <= reserve * 5 / 4


def fill(path, node):
    """Up to the middle between giving up backups and refusing writes."""
    disk = os.statvfs(path.parent)
    reserve = int(node.metric("kist_disk_reserve_bytes"))
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize
                           - reserve - reserve // 8)
    until("room is scarce", lambda: is_scarce(node))


def is_sanitized(kistd):
    with open(kistd, "rb") as file:
        program = file.read()
    return b"__asan_init" in program or b"__tsan_init" in program


def test_memory(kistd, scratch):
    """100 MiB go out and come back in a few MiB."""
    block = random.Random(5).randbytes(1 << 20)
    with AdminNode(kistd, scratch + "/much", cache_bytes="1MiB",
                   write_buffer_bytes="4MiB") as node:
        connection = node.connect()
        for number in range(90):
            ask(connection, "PUT", f"/kv/m{number}", block, OCTETS, (201,))
        small = [{"op": "put", "key": f"n{number}", "value": "x" * 1000}
                 for number in range(5000)]
        for _ in range(3):
            for one in small:
                one["key"] += "n"
            ask(connection, "POST", "/batch", json.dumps({"operations": small}),
                {"Content-Type": "application/json"})
        before = node.peak_kib()
        node.backup(scratch + "/much.backup")
        grown = node.peak_kib() - before
        size = os.path.getsize(scratch + "/much.backup")
        assert size > 90 << 20, size
        if not is_sanitized(kistd):
            assert grown < 24 << 10, f"{grown} KiB for {size} bytes"
        assert node.stop() == 0
    with subprocess.Popen(
            [kistd, "--restore", scratch + "/much.backup", "--data",
             scratch + "/much.data", "--write-buffer-bytes", "4MiB"],
            preexec_fn=die_with_parent, env=dict(os.environ, **SMALL_DISK),
            stdout=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    if not is_sanitized(kistd):
        assert usage.ru_maxrss < 96 << 10, usage.ru_maxrss


def test_served_apart(kistd, scratch):
    """/admin is not where everybody is served, nor are members changed."""
    with AdminNode(kistd, scratch + "/apart") as node:
        headers, _ = node.ask("HEAD", "/admin/backup")
        assert headers["Content-Type"] == "application/zstd"
        assert node.metric("kist_backup_running") == 0
        node.port, admin = node.public_port, node.port
        _, body = node.ask("GET", "/admin/backup", expect=(404,))
        assert "--admin-listen" in json.loads(body)["detail"]
        for method, path, code in (("POST", "/cluster/plan", 405),
                                   ("DELETE", "/cluster/plan", 405),
                                   ("POST", "/cluster/plan/commit", 404)):
            _, body = node.ask(method, path, expect=(code,))
            assert "--admin-listen" in json.loads(body)["detail"]
        node.port = admin
        node.ask("DELETE", "/cluster/plan", expect=(404,))
        node.ask("POST", "/admin/backup", expect=(405,))
        node.ask("GET", "/readyz")
        assert node.stop() == 0


TESTS = [test_under_writes, test_damage, test_only_into_emptiness,
         test_files_are_held, test_gives_way, test_memory, test_served_apart]


def main(kistd):
    kistd = os.environ.get("KISTD", kistd)
    with tempfile.TemporaryDirectory(prefix="kist-backup-") as scratch:
        for test in TESTS:
            began = time.monotonic()
            test(kistd, scratch)
            print(f"{test.__name__}: {time.monotonic() - began:.1f} s",
                  flush=True)


MAY_MOUNT = small_disks.begin()
main(sys.argv[1])
