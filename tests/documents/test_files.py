"""docs/architecture.md has a line for each source file, and no stale one.

A line says what the file itself says first: "name - one sentence." in its
header, or in the .c where there is none. With --write the list is brought up
to date. docs/testing.md has a row for each folder of tests. Whatever a
document links to or names as a path is there, and no merge was left halfway.
"""

import difflib
import re
import sys
import textwrap
from pathlib import Path

FOLDERS = ["base", "storage", "replication", "service", "api", "cli"]
BEGIN = "<!-- From each file's first line: tests/documents/test_files.py -->\n"


def sentence_of(source):
    """The first sentence of a file's first comment, without "name - "."""
    comment = re.match(r"(?:#\w.*\n|\s)*/\*(.*?)\*/", source.read_text(), re.S)
    if not comment:
        return None
    text = re.sub(r"\n \*", "\n", comment[1])
    text = " ".join(text.strip().split("\n\n")[0].split())
    text = re.split(r"(?<=[.?!])\s", text)[0].removesuffix(".")
    return text.removeprefix(source.stem + " - ")


def files_of(folder):
    """(names, sentence) of each file, a pair of .c and .h being one."""
    stems = {}
    for source in sorted(folder.rglob("*.[ch]"), reverse=True):
        stems.setdefault(source.with_suffix(""), []).append(source)
    for stem, sources in sorted(stems.items()):
        names = ", ".join(f"`{source.relative_to(folder)}`"
                          for source in sources)
        yield names, sentence_of(sources[0])


def list_of(root):
    lines, silent = [], []
    for folder in filter(Path.is_dir, (root / name for name in FOLDERS)):
        files = list(files_of(folder))
        if files:
            lines.append(f"\n### {folder.name}/\n\n")
        for names, sentence in files:
            if sentence is None:
                silent.append(f"{folder.name}/: {names} has no first comment")
            lines.append(textwrap.fill(f"- {names}: {sentence}", 80,
                                       subsequent_indent="  ",
                                       break_long_words=False,
                                       break_on_hyphens=False) + "\n")
    return "".join(lines), silent


def missing_folders(root):
    described = (root / "docs/testing.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)/` \|", described, re.M))
    folders = {path.parent.name for path in root.glob("tests/*/meson.build")}
    return [f"docs/testing.md: tests/{name}/ is there, or there only"
            for name in sorted(rows ^ folders)]


def documents_of(root):
    return [root / "README.md", *sorted(root.glob("docs/*.md"))]


def halves_of_merges(root):
    for document in documents_of(root):
        if re.search(r"(?m)^(<<<<<<<|>>>>>>>) ", document.read_text()):
            yield f"{document.relative_to(root)}: two versions of a passage"


def missing_targets(root):
    for document in documents_of(root):
        text = re.sub(r"(?ms)^```.*?^```", "", document.read_text())
        links = re.findall(r"\]\((?!http)([^)#]+)", text)
        paths = re.findall(r"`((?:%s|tests|docs|deploy)/[\w./-]*)`"
                           % "|".join(FOLDERS), text)
        for base, targets in ((document.parent, links), (root, paths)):
            for target in targets:
                if not (base / target).exists():
                    yield f"{document.relative_to(root)}: no {target}"


def main(root, *options):
    root = Path(root)
    document = root / "docs/architecture.md"
    before, marker, listed = document.read_text().partition(BEGIN)
    expected, faults = list_of(root)
    if "--write" in options:
        document.write_text(before + BEGIN + expected)
        return 0
    if not marker:
        faults.append("docs/architecture.md has no list")
    faults += [line.rstrip() for line in difflib.unified_diff(
        listed.splitlines(), expected.splitlines(), "docs/architecture.md",
        "the tree", n=0, lineterm="")]
    faults += missing_folders(root)
    faults += missing_targets(root)
    faults += halves_of_merges(root)
    print("\n".join(faults) or "every file has its line")
    if faults:
        print("To update the list: "
              "python3 tests/documents/test_files.py . --write")
    return 1 if faults else 0


sys.exit(main(*sys.argv[1:]))
