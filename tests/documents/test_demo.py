"""The demo runs to its end, and its comparison is one: it passes on what was
stored, and it notices a single byte that differs."""

import sys
import urllib.request
from pathlib import Path

import kistd

sys.path.insert(0, str(Path(__file__).parents[2] / "demo"))
import demo  # noqa: E402

VALUES = [(f"try/{n}+{n}/ä", b'{\n "n": %d.50, "text": "\\u00e4 \xc3\xa4"}' % n)
          for n in range(2000)]


def load_both_ways(address):
    for media_type in ("application/json", "application/x-ndjson"):
        values = [(key, text if media_type == "application/json"
                   else text.replace(b"\n", b"")) for key, text in VALUES]
        demo.load_and_compare("try", address, 3, media_type, values)


def notices_a_changed_byte(base, address):
    key, text = VALUES[1234]
    urllib.request.urlopen(urllib.request.Request(
        base + "/kv/" + urllib.request.quote(key),
        text.replace(b".50", b".5"), method="PUT"))
    try:
        demo.on_connections(demo.read_part, address, 3, None, VALUES,
                            demo.Phase("read", VALUES))
    except demo.Wrong as wrong:
        return key in str(wrong)
    return False


def main(program):
    with kistd.running(program) as host_and_port:
        host, _, port = host_and_port.rpartition(":")
        address, base = (host, int(port)), "http://" + host_and_port
        load_both_ways(address)
        demo.load_and_compare("try", address, 3, "application/json", VALUES)
        noticed = notices_a_changed_byte(base, address)
        status = demo.run(base, 4)
    print("a changed byte was " + ("noticed" if noticed else "NOT noticed"))
    return status if noticed else 1


sys.exit(main(sys.argv[1]))
