"""What an object file exports, and what it keeps (objdump).

- A global symbol of x.c begins with x, with its folder, or with a noun that
  x.h defines (its structs and enums): a reader finds the file from the name.
- Nothing has writable memory at file scope.
- The files of the program (test_layers.py) are in no library.
"""

import re
import subprocess
import sys
from pathlib import Path

# name -> why it may be called so.
ALLOWED = {
    "read_u16": "base/bytes.c: reads what blob_append_u16() wrote",
    "read_u32": "the same",
    "read_u64": "the same",
}
PROGRAM = {"service/main.c", "service/node.c"}

SYMBOL = re.compile(r"^[0-9a-f]+ (.).{6} (\S+)\s+[0-9a-f]+ +(?:\.hidden )?"
                    r"(\S+)$")
TAG = re.compile(r"^\s*(?:struct|enum|union)\s+(\w+)", re.M)


def objects(library):
    """The object files of a library: their source and their symbols."""
    text = subprocess.run(["objdump", "-t", library], text=True, check=True,
                          capture_output=True).stdout
    for part in re.split(r"^(?=\S+:\s+file format)", text, flags=re.M)[1:]:
        name = part.split(":")[0]
        symbols = [SYMBOL.match(line) for line in part.splitlines()]
        yield name, [symbol.groups() for symbol in symbols if symbol]


def source_of(root, library, object_name):
    """bytes.c.o in build/base/libkist-base.a comes from base/bytes.c."""
    source = Path(Path(library).parent.name, Path(object_name).stem)
    return source if (root / source).exists() else None


def nouns_of(root, source):
    header = (root / source).with_suffix(".h")
    tags = TAG.findall(header.read_text()) if header.exists() else []
    return {source.stem, source.parts[0], *tags}


def begins_with(name, nouns):
    return any(name == noun or name.startswith(noun + "_") for noun in nouns)


def faults_of(root, source, symbols, used):
    nouns = nouns_of(root, source)
    sanitized = any(name.startswith("__asan") for _, _, name in symbols)
    for binding, section, name in symbols:
        if section in ("*UND*", "*ABS*") or name.startswith(("_", ".")):
            continue
        if binding == "g" and name in ALLOWED:
            used.add(name)
        elif binding == "g" and not begins_with(name, nouns):
            yield f"{source}: exports {name}, no noun of its own"
        kept = section.startswith((".data", ".bss", ".tbss", ".tdata", "*COM"))
        relocated = section.startswith(".data.rel.ro")
        if kept and not relocated and not sanitized and name != section:
            yield f"{source}: {name} is writable memory at file scope"


def main(root, libraries):
    faults, used, seen = [], set(), 0
    for library in libraries:
        for name, symbols in objects(library):
            source = source_of(root, library, name)
            if source is None:
                continue  # Generated.
            seen += 1
            if str(source) in PROGRAM:
                faults.append(f"{source}: is in {library}")
            faults += faults_of(root, source, symbols, used)
    faults += [f"{name} is allowed here but is no more"
               for name in sorted(ALLOWED.keys() - used)]
    print("\n".join(faults) or f"{seen} objects export their own names")
    return 1 if faults or not seen else 0


sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
