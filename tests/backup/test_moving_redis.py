"""Records on their way from LevelDB to RocksDB, to a Redis Cluster and back:
everything about them stays, versions and times included. What Redis takes by
mode=merge it decides itself, as the other engines do."""

import json
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "redis"))

import servers  # noqa: E402 (below its path)
from admin_node import AdminNode, ask, has_engine  # noqa: E402
from node import get, until  # noqa: E402

LINES = {"Content-Type": "application/x-ndjson"}
OCTETS = {"Content-Type": "application/octet-stream"}
FRESH = ("version", "created", "modified")  # With mode=overwrite.


def fill(node):
    """What Redis takes, and one value that it does not."""
    connection = node.connect()

    def put(key, body, headers, query=""):
        ask(connection, "PUT", "/kv/" + key + query, body, headers, (201,))

    for number in range(200):
        put(f"bytes/{number}", os.urandom(number), OCTETS,
            "?ttl=3600" if number % 3 == 0 else "")
    put("json/plain", b'{"a": [1, 2.50, "\\u00e9"]}', {})
    put("json/lines", b'{\r\n  "a": 1e400\n}\n', {})
    put("json/null", b"null", {})
    put("empty", b"", OCTETS)
    put("image", b"\x89PNG", {"Content-Type": 'image/png; name="a\\"b"'})
    put("%C3%A9/%22%5C", b"1", {})
    put("large", os.urandom(200_000), OCTETS)
    put("middle", os.urandom(60_000), OCTETS)
    time.sleep(0.01)  # Another time than when it was created.
    ask(connection, "PUT", "/kv/json/null", b"[]", {}, (204,))


def give(node, lines, query=""):
    _, body = node.ask("POST", "/admin/import" + query, lines, LINES)
    return json.loads(body)


def move(one, other, query=""):
    _, lines = one.ask("GET", "/admin/export")
    return give(other, lines, query)


def told(node, without=()):
    """Of each key all that is told, and the bytes."""
    records = node.records()
    return {key: ({name: value for name, value in item.items()
                   if name not in without},
                  node.value("".join(f"%{byte:02X}" for byte in
                                     key.encode())))
            for key, item in records.items()}


def main(kistd):
    kistd = os.environ.get("KISTD", kistd)
    with tempfile.TemporaryDirectory(prefix="kist-moving-") as scratch:
        second = "rocksdb" if has_engine(kistd, scratch, "rocksdb") \
            else "leveldb"
        cluster = servers.Cluster(scratch, nodes=3, replicas=0)
        on_redis = {"engine": "redis", "redis_nodes": cluster.addresses(),
                    "inline_bytes": "64KiB"}
        try:
            with AdminNode(kistd, scratch + "/one") as one, \
                    AdminNode(kistd, scratch + "/rocks",
                              engine=second) as rocks, \
                    AdminNode(kistd, scratch + "/on", **on_redis) as redis, \
                    AdminNode(kistd, scratch + "/by", **on_redis) as other, \
                    AdminNode(kistd, scratch + "/back") as back:
                for node in (redis, other):
                    until("Redis is found",
                          lambda: get(node.url + "/readyz")[0] == 200)
                there_and_back(one, rocks, redis, back)
                the_newer_one_stays(redis, other)
                written_anew(one, redis)
                an_export_is_the_backup(redis, cluster)
                for node in (one, rocks, redis, other, back):
                    assert node.stop() == 0
        finally:
            cluster.close()


def there_and_back(one, rocks, redis, back):
    fill(one)
    ours = told(one)
    answer = move(one, rocks)
    assert answer["failed"] == 0 and answer["whole"], answer
    assert told(rocks) == ours

    answer = move(rocks, redis)
    assert [fault["key"] for fault in answer["problems"]] == ["large"], answer
    assert answer["whole"] and answer["applied"] == answer["records"] - 1
    del ours["large"]
    assert told(redis) == ours

    answer = move(redis, back)
    assert answer["failed"] == 0 and answer["whole"], answer
    assert told(back) == ours

    applied = redis.metric('kist_import_records_total{result="applied"}')
    answer = move(rocks, redis)  # Once more, which changes nothing.
    assert answer["unchanged"] == answer["records"] - 1, answer
    assert answer["applied"] == 0, answer
    assert applied == redis.metric(
        'kist_import_records_total{result="applied"}') == len(ours)
    assert told(redis) == ours


def version_at(ms):
    return f"{int(ms) << 16:016x}{1:016x}"


def line(key, ms, **rest):
    return json.dumps({"key": key, "version": version_at(ms), **rest}) + "\n"


def the_newer_one_stays(redis, other):
    now = time.time() * 1000
    answer = give(redis, line("m/ahead", now + 8000, value=1) +
                  line("m/gone", now - 1000, value=1) +
                  line("m/stays", now - 1000, value=1) +
                  line("m/gone", now, deleted=True) +
                  line("m/stays", now - 2000, deleted=True) +
                  line("m/stays", now - 2000, value=2) +
                  line("m/never", now + 8000, deleted=True) +
                  line("m/far", now + 3_600_000, value=1) +
                  line("m/over", now - 2000, value=1,
                       expires="2001-01-01T00:00:00.000Z"))
    assert [fault["key"] for fault in answer["problems"]] == ["m/far"], answer
    assert "future" in answer["problems"][0]["detail"], answer
    assert (answer["applied"], answer["unchanged"]) == (5, 3), answer
    here = {key: item for key, item in redis.records().items()
            if key.startswith("m/")}
    assert sorted(here) == ["m/ahead", "m/stays"], here
    assert redis.value("m/stays") == b"1"
    assert here["m/ahead"]["version"] == version_at(now + 8000), here

    # What is given afterwards is above, by whichever kistd.
    for node, key, code in ((other, "m/ahead", 204), (redis, "m/never", 201),
                            (other, "m/over", 201)):
        headers, _ = node.ask("PUT", "/kv/" + key, b"2", expect=(code,))
        assert headers["Kist-Version"] > version_at(now + 8000) or \
            key == "m/over", (key, headers)
    answer = give(redis, line("m/ahead", now + 8000, value=1))
    assert answer["unchanged"] == 1 and redis.value("m/ahead") == b"2", answer
    # Keys that are newer than this clock go as well, if they were counted.
    _, body = redis.ask("DELETE", "/kv?prefix=m/&confirm=4")
    assert json.loads(body) == {"deleted": 4}, body


def written_anew(one, redis):
    before = told(redis)
    answer = move(one, redis, "?mode=overwrite")
    assert answer["applied"] == answer["records"] - 1, answer
    ours = told(one, FRESH)
    del ours["large"]
    assert told(redis, FRESH) == ours
    after = told(redis)
    assert all(after[key][0]["version"] > before[key][0]["version"]
               for key in before)


def an_export_is_the_backup(redis, cluster):
    _, body = redis.ask("GET", "/admin/backup", expect=(422,))
    assert "/admin/export" in json.loads(body)["detail"], body
    before = told(redis)
    _, lines = redis.ask("GET", "/admin/export")
    for node in cluster.nodes:
        assert node.ask("FLUSHALL") == "OK"
    assert redis.records() == {}
    answer = give(redis, lines)
    assert answer["applied"] == answer["records"] and answer["whole"], answer
    assert told(redis) == before


main(sys.argv[1])
