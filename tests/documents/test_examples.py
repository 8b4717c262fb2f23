"""The examples of a document do what it says, on a fresh kistd.

Every line after "$ " in a console block runs in one shell, in order; what
stands below it is its output. Compared word for word, save that "..." stands
for anything, and versions and times only have to look alike.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import kistd

MARK = "--- next example ---"
WRITTEN = "127.0.0.1:7700"
ALIKE = [
    (re.compile(r"\b[0-9a-f]{32}\b"), "<version>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<time>"),
    (re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"), "<date>"),
]


def examples_of(text):
    """(command, expected output) of every console block."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.S | re.M):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            end = re.search(r"(?<!\\)\n", part).start()
            yield part[:end], part[end:]


def run(commands, address):
    """The output of each; one shell, so that variables live on."""
    script = "".join(f"{command}\nprintf '\\n%s\\n' '{MARK}'\n"
                     for command in commands)
    with tempfile.TemporaryDirectory() as folder:  # For files they make.
        output = subprocess.run(
            ["bash", "-c", script.replace(WRITTEN, address)], cwd=folder,
            text=True, timeout=120, check=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return output.replace(address, WRITTEN).split(MARK + "\n")


def plain(text):
    for pattern, name in ALIKE:
        text = pattern.sub(name, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def matches(expected, output):
    pattern = ".*".join(map(re.escape, plain(expected).split("...")))
    return re.fullmatch(pattern, plain(output), re.S) is not None


def main(program, document):
    examples = list(examples_of(Path(document).read_text(encoding="utf-8")))
    with kistd.running(program) as address:
        outputs = run([command for command, _ in examples], address)
    faults = 0
    for (command, expected), output in zip(examples, outputs):
        if not matches(expected, output):
            faults += 1
            print(f"$ {command}\n-- shown:\n{plain(expected)}\n"
                  f"-- answered:\n{plain(output)}\n")
    print(f"{len(examples) - faults} of {len(examples)} examples are right")
    return 1 if faults or not examples else 0


sys.exit(main(*sys.argv[1:]))
