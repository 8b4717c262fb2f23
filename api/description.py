"""Write description.c: a text file as the C array behind description.h."""

import sys
from pathlib import Path

source, target = map(Path, sys.argv[1:])
numbers = [str(byte) for byte in source.read_bytes()]
rows = [", ".join(numbers[at:at + 16]) for at in range(0, len(numbers), 16)]
target.write_text(
    f"/* Made from {source.name} by api/description.py. */\n"
    '#include "api/description.h"\n\n'
    "static const unsigned char text[] = {\n    "
    + ",\n    ".join(rows)
    + "};\n\n"
    "struct view description_text(void)\n"
    "{\n"
    "    return (struct view){(const char *)text, sizeof(text)};\n"
    "}\n")
