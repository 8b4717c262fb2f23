"""Records on their way from one kistd to another, as lines.

Nothing of a record changes on the way; to send it twice changes nothing; what
is wrong with a line is told with its number, and the others go on; what is cut
leaves what was applied.
"""

import base64
import json
import os
import random
import signal
import sys
import tempfile
import time

from admin_node import AdminNode, ask, has_engine
from node import until

LARGE = 400_000  # Above --inline-bytes, and three pieces.
LINES = {"Content-Type": "application/x-ndjson"}
OCTETS = {"Content-Type": "application/octet-stream"}
VERSION = "0180000000000000000000000000000a"


def export(node, query=""):
    return node.ask("GET", "/admin/export" + query)[1]


def load(node, lines, query="", expect=(200,)):
    _, body = node.ask("POST", "/admin/import" + query, lines, LINES, expect)
    return json.loads(body)


def fill(node):
    """Some of everything."""
    chance, connection = random.Random(7), node.connect()

    def put(key, body, headers, query=""):
        ask(connection, "PUT", "/kv/" + key + query, body, headers, (201,))

    for number in range(300):
        put(f"bytes/{number}", chance.randbytes(chance.randrange(500)), OCTETS,
            "?ttl=3600" if number % 3 == 0 else "")
    put("json/plain", b'{"a": [1, 2.50, "\\u00e9"]}', {})
    put("json/lines", b'{\r\n  "a": 1e400\n}\n', {})
    put("json/null", b"null", {})
    put("json/typed", b'"x"', {"Content-Type": "application/json; q=1"})
    put("json/large", json.dumps(
        {str(number): "x" * 100 for number in range(4000)}).encode(), {})
    put("empty", b"", OCTETS)
    put("image", b"\x89PNG", {"Content-Type": 'image/png; name="a\\"b"'})
    put("%C3%A9/%22%5C", b"1", {})
    for number in range(3):
        put(f"large/{number}", chance.randbytes(LARGE + number), OCTETS)
    # Too long for a line, and not too long for the engine.
    put("middle", chance.randbytes(250_000), OCTETS)


def same(one, other):
    """Every record and every byte."""
    ours, theirs = one.records(), other.records()
    assert ours == theirs, ours.keys() ^ theirs.keys()
    for key in ours:
        path = "/kv/" + "".join(f"%{byte:02X}" for byte in key.encode())
        mine, headers = one.ask("GET", path)[1], one.ask("HEAD", path)[0]
        assert mine == other.ask("GET", path)[1], key
        assert headers["ETag"] == other.ask("HEAD", path)[0]["ETag"], key


def pairs(names):
    """settings of two nodes: each engine beside the first."""
    return [(names[0], name) for name in names]


def test_there_and_back(kistd, scratch):
    """From engine to engine and back, all as it was."""
    engines = [name for name in ("leveldb", "rocksdb")
               if has_engine(kistd, scratch, name)]
    for number, (first, second) in enumerate(pairs(engines)):
        folder = f"{scratch}/there{number}"
        with AdminNode(kistd, folder + "/a", engine=first) as one, \
                AdminNode(kistd, folder + "/b", engine=second) as two, \
                AdminNode(kistd, folder + "/c", engine=first) as three:
            fill(one)
            lines = export(one)
            answer = load(two, lines)
            assert answer["failed"] == 0 and answer["whole"], answer
            assert answer["applied"] == answer["records"] > 300, answer
            same(one, two)
            load(three, export(two))
            same(one, three)
            assert export(three) == lines
            # Once more, which changes nothing.
            answer = load(two, lines)
            assert answer["unchanged"] == answer["records"], answer
            same(one, two)
            until("no file is too much", lambda: two.metric(
                "kist_large_dropped_files") == 0)
            assert two.metric("kist_large_files") == one.metric(
                "kist_large_files")
            for node in (one, two, three):
                assert node.stop() == 0


def record(key, version=VERSION, **members):
    return json.dumps({"key": key, "version": version, **members}) + "\n"


def test_merge_and_overwrite(kistd, scratch):
    """Newer stays, older goes; or what comes is written anew."""
    with AdminNode(kistd, scratch + "/merge") as node:
        headers, _ = node.ask("PUT", "/kv/here", "1", expect=(201,))
        node.ask("PUT", "/kv/gone", "1", expect=(201,))
        newest = headers["Kist-Version"][:-1] + "f"
        lines = record("here", value=2) + record("new", value=3) + \
            record("gone", deleted=True) + record("absent", deleted=True)
        answer = load(node, lines)
        assert (answer["applied"], answer["unchanged"]) == (1, 3), answer
        assert not answer["whole"] and answer["failed"] == 0
        assert node.value("here") == b"1" and node.value("new") == b"3"
        assert node.records()["new"]["version"] == VERSION
        load(node, record("here", newest, value=4))
        assert node.records()["here"]["version"] == newest
        # What is written now is above what was imported.
        headers, _ = node.ask("PUT", "/kv/here", "5", expect=(204,))
        assert headers["Kist-Version"] > newest

        answer = load(node, lines, "?mode=overwrite")
        assert answer["applied"] == 3 and answer["unchanged"] == 1, answer
        assert node.value("here") == b"2"
        assert node.records()["here"]["version"] > newest
        assert "gone" not in node.records()
        load(node, '{"key":"bare","value":[]}', "?mode=overwrite")
        assert node.value("bare") == b"[]"
        assert node.stop() == 0


def wrong_lines():
    """Each is refused alone: the line, and a word of what is told."""
    far = "ffff000000000000000000000000000a"
    yield "nonsense", "words"
    yield '{"key":"a"', ""
    yield "[]", "object"
    yield '{"key":"a","key":"b"}', "name"
    yield record("a", typo=1), "a line is"
    yield record("a"), "one of"
    yield record("a", value=1, base64=""), "one of"
    yield record("", value=1), ""
    yield record("a/../b", value=1), ""
    yield record("k" * 1025, value=1), ""
    yield record("a", "12", value=1), "version"
    yield record("a", far, value=1), "future"
    yield '{"key":"a","value":1}', "version"
    yield record("a", value=1, type="object"), "type"
    yield record("a", base64="AAA=", type="number"), ""
    yield record("a", base64="MQ==", type="string"), "type"
    yield record("a", base64="A"), "base64"
    yield record("a", base64="MQ==", media_type="no type"), "media_type"
    yield record("a", base64="MQ==", media_type="application/json"), "media"
    yield record("a", value=1, created="yesterday"), "created"
    yield record("a", value=1, expires=5), "expires"
    yield record("a", deleted=False), "deleted"
    yield record("a", deleted=True, value=1), "deleted"
    yield record("a", size=0), "size"
    yield record("a", size=1 << 40), "max-value-bytes"
    yield record("a", size=1 << 30, type="object"), "max-json-bytes"
    yield '{"key":"a","offset":0,"base64":"MQ=="}', "without its record"
    yield '{"end":false,"records":1}', "end"
    yield record("a", value="x").replace("x", "\udc80"), ""


def test_hostile_lines(kistd, scratch):
    """Each fault names its line, and the lines around it are taken."""
    with AdminNode(kistd, scratch + "/hostile") as node:
        lines, expected = [], []
        for line, word in wrong_lines():
            lines.append(record(f"good{len(lines)}", value=1).encode())
            lines.append(line.rstrip("\n").encode(errors="surrogatepass")
                         + b"\r\n")
            expected.append((len(lines), word))
        answer = load(node, b"\n".join(lines).replace(b"\n\n", b"\n"))
        told = [(fault["line"], fault["detail"])
                for fault in answer["problems"]]
        assert [line for line, _ in told] == [
            line for line, _ in expected], (told, expected)
        for (_, word), (_, detail) in zip(expected, told):
            assert word in detail, (word, detail)
        assert answer["failed"] == len(expected)
        assert answer["applied"] == len(expected)
        assert set(node.records()) == {f"good{2 * number}"
                                       for number in range(len(expected))}

        # Pieces that do not fit: nothing of that value is left.
        for number, pieces in enumerate([[], [(0, 100)], [(1, 300_000)],
                                         [(0, 200_000), (0, 100_000)],
                                         [(0, 200_000), (200_000, 100_001)],
                                         [(0, 200_000), (200_000, 0)]]):
            value = record(f"p{number}", size=300_000) + "".join(
                json.dumps({"key": f"p{number}", "offset": offset,
                            "base64": base64.b64encode(
                                bytes(size)).decode()}) + "\n"
                for offset, size in pieces)
            answer = load(node, value + record("after", value=number))
            assert answer["failed"] == 1, (number, answer)
            assert f"p{number}" not in node.records()
        assert node.metric("kist_large_files") == 0
        assert node.metric("kist_large_uploads") == 0

        body = load(node, record("long", value="x" * (3 << 20)), expect=(413,))
        assert body["limit"] == 2 << 20, body
        node.ask("POST", "/admin/import?mode=both", "", LINES, (400,))
        load(node, b"")
        assert node.stop() == 0


def test_cut(kistd, scratch):
    """A stream that breaks off leaves what was applied, and says where."""
    with AdminNode(kistd, scratch + "/cut") as node:
        assert json.loads(node.ask("GET", "/admin/import")[1])[
            "state"] == "never"
        lines = "".join(record(f"c{number:06}", value="x" * 100)
                        for number in range(20_000)).encode()
        connection = node.connect()
        connection.putrequest("POST", "/admin/import")
        connection.putheader("Content-Length", str(len(lines)))
        connection.endheaders()
        connection.send(lines[:2_000_000])
        node.ask("POST", "/admin/import", "", LINES, (503,))

        def progress():
            return json.loads(node.ask("GET", "/admin/import")[1])

        until("it has begun", lambda: progress()["lines"] > 1000)
        assert progress()["state"] == "running"
        connection.close()
        until("it is over", lambda: progress()["state"] == "cut")
        state = progress()
        assert state["applied"] == len(node.records()), state
        assert state["lines"] <= state["applied"] < 20_000, state
        answer = load(node, lines)
        assert answer["applied"] + state["applied"] == 20_000, answer
        assert answer["unchanged"] == state["applied"]
        assert progress()["state"] == "done"
        # Killed in the middle: the same, once more.
        node.stop(signal.SIGKILL)


def test_parts(kistd, scratch):
    """An export goes on from a key, and keeps to a prefix."""
    with AdminNode(kistd, scratch + "/parts") as node:
        fill(node)
        whole = export(node).splitlines(keepends=True)
        keys = [json.loads(line).get("key") for line in whole]
        behind = keys.index("empty")
        tail = export(node, "?start=empty").splitlines(keepends=True)
        assert tail[:-1] == whole[behind:-1]
        part = export(node, "?prefix=json/").splitlines()
        assert len(part) == 4 + 4 + 1, len(part)
        assert json.loads(part[-1]) == {"end": True, "records": 5}
        assert node.stop() == 0


def test_memory(kistd, scratch):
    """Neither follows the values."""
    block = random.Random(8).randbytes(1 << 20)
    with AdminNode(kistd, scratch + "/from", cache_bytes="1MiB") as one, \
            AdminNode(kistd, scratch + "/to", cache_bytes="1MiB") as two:
        connection = one.connect()
        for number in range(40):
            ask(connection, "PUT", f"/kv/m{number}", block, OCTETS, (201,))
        ours, theirs = one.peak_kib(), two.peak_kib()
        source, target = one.connect(), two.connect()
        source.request("GET", "/admin/export")
        answer = source.getresponse()
        target.request("POST", "/admin/import",
                       iter(lambda: answer.read(1 << 16), b""), LINES,
                       encode_chunked=True)
        done = json.loads(target.getresponse().read())
        assert done["applied"] == 40 and done["whole"], done
        same(one, two)
        with open(kistd, "rb") as file:
            if b"__asan_init" not in file.read():
                assert one.peak_kib() - ours < 16 << 10
                assert two.peak_kib() - theirs < 24 << 10
        assert one.stop() == 0 and two.stop() == 0


TESTS = [test_hostile_lines,test_there_and_back, test_merge_and_overwrite,
         test_cut, test_parts, test_memory]


def main(kistd):
    kistd = os.environ.get("KISTD", kistd)
    with tempfile.TemporaryDirectory(prefix="kist-moving-") as scratch:
        for test in TESTS:
            began = time.monotonic()
            test(kistd, scratch)
            print(f"{test.__name__}: {time.monotonic() - began:.1f} s",
                  flush=True)


main(sys.argv[1])
