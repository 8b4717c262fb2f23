#!/usr/bin/env python3
"""Count the cases of test runs: `N passed, N failed` on the last line.

Arguments are logs: meson's testlog.json (one test a line) or TAP files. A
test that speaks TAP counts by its cases; one that ends badly without a case
that failed (a crash, a time-out, a plan not kept) counts as one failure.
Failed cases are named first, and tests with the number of cases that were
skipped. Exits with 1 if anything failed, or if nothing was run at all.
"""

import json
import re
import sys
from collections import Counter

CASE = re.compile(r"^(not )?ok\b[ \d]*-? *(.*?)( # (?:SKIP|skip)\b.*)?$")
PLAN = re.compile(r"^1\.\.\d+", re.M)  # Such output is TAP.
GOOD = ("OK", "EXPECTEDFAIL", "SKIP")


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = Counter()

    def tap(self, origin, text):
        """Count TAP lines; the number of failed ones."""
        before = len(self.failed)
        for line in text.splitlines():
            case = CASE.match(line)
            if not case:
                continue
            refused, name, skip = case.groups()
            if skip:
                self.skipped[origin] += 1
            elif refused:
                self.failed.append(f"{origin}: {name}")
            else:
                self.passed += 1
        return len(self.failed) - before

    def test(self, log, test):
        origin = f"{log}: {test['name']}"
        output = test.get("stdout", "")
        if PLAN.search(output):
            if self.tap(origin, output) == 0 and test["result"] not in GOOD:
                self.failed.append(f"{origin} ended with {test['result']}")
        elif test["result"] == "SKIP":
            self.skipped[origin] += 1
        elif test["result"] in GOOD:
            self.passed += 1
        else:
            self.failed.append(f"{origin} ended with {test['result']}")

    def file(self, path):
        with open(path, encoding="utf-8", errors="replace") as log:
            if path.endswith(".json"):
                for line in log:
                    self.test(path, json.loads(line))
            else:
                self.tap(path, log.read())


def main(paths):
    count = Count()
    for path in paths:
        count.file(path)
    for name, cases in count.skipped.items():
        print(f"skipped  {name}: {cases}")
    for name in count.failed:
        print(f"FAILED   {name}")
    print(f"{count.passed} passed, {len(count.failed)} failed")
    return 0 if count.passed > 0 and not count.failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
