"""Who may include whom (docs/architecture.md).

An include names its folder and points to the same or a lower rank; a header
of somebody else's library is seen by its owners alone; x.c begins with its
own header, which proves that the header stands alone. The files of the program
put the process together: they see everything, nobody else sees them, and no
library holds them.
"""

import re
import sys
from pathlib import Path

RANKS = {"base": 0, "storage": 1, "replication": 2, "service": 3, "api": 4}
PROGRAM = {"service/main.c", "service/node.c"}
OUTSIDE = {"cli": {"base", "cli"}}  # The command speaks HTTP only.

OWNERS = {  # Regular expressions of paths.
    "uv.h": r"base/",
    "nettle/sha2.h": r"api/digest\.c",
    "zstd.h": r"storage/backup_frame\.c",
    "xxhash.h": r"storage/|replication/",
    "leveldb/c.h": r"storage/engine_leveldb\w*\.c",
    "rocksdb/c.h": r"storage/engine_rocksdb\w*\.c",
    "hiredis/hiredis.h": r"storage/redis_link\.c",
    "curl/curl.h": r"replication/transport\w*\.c|cli/",
    "ini.h": r"service/settings_ini\.c",
    "microhttpd.h": r"api/",
    "jansson.h": r"api/|cli/",
}
SYSTEM = set(
    "assert ctype dirent errno fcntl fnmatch getopt inttypes limits locale"
    " math netdb poll pthread sched signal stdalign stdarg stdatomic stdbool"
    " stddef stdint stdio stdlib string strings syslog termios time unistd"
    .split())
SYSTEM_FOLDERS = {"arpa", "linux", "net", "netinet", "sys"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def folder_fault(path, target):
    folder, _, name = target.rpartition("/")
    mine = path.parts[0]
    if not folder:
        return "does not name its folder"
    if name.endswith("_internal.h") and folder != mine:
        return "is private to its folder"
    if str(path) in PROGRAM:
        return None
    if str(Path(target).with_suffix(".c")) in PROGRAM \
            and str(path) != target:
        return "belongs to the program"
    if mine in OUTSIDE:
        return None if folder in OUTSIDE[mine] else "is not for this folder"
    if folder not in RANKS:
        return "is in no known folder"
    if RANKS[folder] > RANKS[mine]:
        return "points upwards"
    return None


def library_fault(path, target):
    head = target.split("/")[0]
    if head in SYSTEM_FOLDERS or target.removesuffix(".h") in SYSTEM:
        return None
    if target not in OWNERS:
        return "has no owner in tests/layers"
    if not re.match(OWNERS[target], str(path)):
        return "belongs to " + OWNERS[target]
    return None


def faults_of(path, text, own_header):
    found = INCLUDE.findall(text)
    for kind, target in found:
        fault = (folder_fault if kind == '"' else library_fault)(path, target)
        if fault:
            yield f"{path}: {target} {fault}"
    if own_header and (not found or found[0][1] != str(own_header)):
        yield f"{path}: does not begin with {own_header}"


def main(root):
    faults, seen = [], 0
    for folder in [*RANKS, *OUTSIDE]:
        for source in sorted((root / folder).rglob("*.[ch]")):
            path = source.relative_to(root)
            own = path.with_suffix(".h")
            has_own = path.suffix == ".c" and (root / own).exists()
            faults += faults_of(path, source.read_text(),
                                own if has_own else None)
            seen += 1
    print("\n".join(faults) or f"{seen} files keep to their layers")
    return 1 if faults or not seen else 0


sys.exit(main(Path(sys.argv[1])))
