"""Records on their way to a Redis Cluster and back.

Redis gives versions itself, so each record is written anew there: key, bytes,
types and expiry stay, versions and creation times do not.
"""

import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "redis"))

import servers  # noqa: E402 (below its path)
from admin_node import AdminNode, ask  # noqa: E402
from node import get, until  # noqa: E402

LINES = {"Content-Type": "application/x-ndjson"}
OCTETS = {"Content-Type": "application/octet-stream"}
FRESH = ("version", "created", "modified")


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


def move(one, other, query=""):
    _, lines = one.ask("GET", "/admin/export")
    _, body = other.ask("POST", "/admin/import" + query, lines, LINES)
    return json.loads(body)


def told(node):
    """Of each key what stays, and the bytes."""
    records = node.records()
    return {key: ({name: value for name, value in item.items()
                   if name not in FRESH},
                  node.value("".join(f"%{byte:02X}" for byte in
                                     key.encode())))
            for key, item in records.items()}


def main(kistd):
    kistd = os.environ.get("KISTD", kistd)
    with tempfile.TemporaryDirectory(prefix="kist-moving-") as scratch:
        cluster = servers.Cluster(scratch, nodes=3, replicas=0)
        try:
            with AdminNode(kistd, scratch + "/from") as one, \
                    AdminNode(kistd, scratch + "/on", engine="redis",
                              redis_nodes=cluster.addresses(),
                              inline_bytes="64KiB") as two, \
                    AdminNode(kistd, scratch + "/to") as three:
                there_and_back(one, two, three)
        finally:
            cluster.close()


def there_and_back(one, two, three):
    until("Redis is found", lambda: get(two.url + "/readyz")[0] == 200)
    fill(one)
    # Versions are not what Redis takes from elsewhere, and it says so.
    two.ask("POST", "/admin/import", "", LINES, (422,))
    answer = move(one, two, "?mode=overwrite")
    assert [fault["key"] for fault in answer["problems"]] == ["large"], answer
    assert answer["whole"] and answer["applied"] == answer["records"] - 1
    ours = told(one)
    del ours["large"]
    assert told(two) == ours

    answer = move(two, three)
    assert answer["failed"] == 0 and answer["whole"], answer
    assert told(three) == ours
    assert three.records() == two.records()  # Versions, too, on this way.
    for node in (one, two, three):
        assert node.stop() == 0


main(sys.argv[1])
