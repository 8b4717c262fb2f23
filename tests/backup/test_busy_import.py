"""An import waits for an engine that is behind with its tables: RocksDB refuses
writes then, and takes them later.

Usage: test_busy_import.py <kistd> <faulty.so>
"""

import json
import os
import sys
import tempfile

from admin_node import AdminNode

KISTD, FAULTY = sys.argv[1:]
RECORDS, VALUE = 6000, "x" * 1000


def main():
    with tempfile.TemporaryDirectory(prefix="kist-busy-") as scratch:
        fault = os.path.join(scratch, "fault")
        os.environ.update(LD_PRELOAD=FAULTY, FAULTY=fault,
                          FAULTY_BELOW=os.path.join(scratch, "node/data/"))
        with AdminNode(KISTD, os.path.join(scratch, "node"), engine="rocksdb",
                       write_buffer_bytes="1MiB") as node:
            with open(fault + ".slow", "w", encoding="ascii"):
                pass
            lines = "".join(json.dumps({
                "key": f"{number:06d}", "version": f"{number + 1:032x}",
                "value": VALUE}) + "\n" for number in range(RECORDS))
            _, text = node.ask("POST", "/admin/import?durability=async", lines,
                               {"Content-Type": "application/x-ndjson"})
            answer = json.loads(text.splitlines()[-1])
            assert answer["applied"] == RECORDS, answer
            os.remove(fault + ".slow")


main()
