#!/usr/bin/env python3
"""The systemd unit is one that systemd takes, stays sandboxed, and agrees
with the defaults of the settings it runs under. Skipped without systemd."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(sys.argv[1])
UNIT = (ROOT / "deploy/kistd.service").read_text()
TABLE = (ROOT / "service/settings_table.c").read_text()
MOST_EXPOSED = 15  # Of 100, as `systemd-analyze security` counts it.


def default(setting):
    row = re.search(
        r'\.name = "%s".*?\.fallback = "([^"]*)"' % setting, TABLE, re.S
    )
    return row.group(1)


def value(key):
    return re.search(r"^%s=(.*)$" % key, UNIT, re.M).group(1)


def check_numbers():
    descriptors = int(default("max-connections")) + int(
        default("max-open-files")
    )
    assert int(value("LimitNOFILE")) >= descriptors + 512
    grace = int(default("shutdown-grace").removesuffix("s"))
    assert int(value("TimeoutStopSec").removesuffix("s")) >= grace + 5


def check_with_systemd():
    with tempfile.TemporaryDirectory() as directory:
        # verify wants the program to be there.
        unit = pathlib.Path(directory) / "kistd.service"
        unit.write_text(UNIT.replace("/usr/bin/kistd", "/bin/true"))

        verify = ["systemd-analyze", "verify", str(unit)]
        done = subprocess.run(verify, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "kistd.service" not in done.stderr, done.stderr

        security = ["systemd-analyze", "security", "--offline=true"]
        security += ["--threshold=%d" % MOST_EXPOSED, "--no-pager", str(unit)]
        done = subprocess.run(security, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


check_numbers()
if shutil.which("systemd-analyze") is None:
    print("systemd-analyze is not installed")
    sys.exit(77)
check_with_systemd()
