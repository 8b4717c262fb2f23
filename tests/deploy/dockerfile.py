"""A Dockerfile, read into stages of instructions; no more than ours needs."""

import json
import os
import re
import shlex
import shutil


class Stage:
    def __init__(self, image, name):
        self.image = image
        self.name = name
        self.steps = []  # (instruction, arguments as written)

    def of(self, instruction):
        """The arguments of each such instruction."""
        return [text for step, text in self.steps if step == instruction]

    def one(self, instruction):
        [text] = self.of(instruction)
        return text

    def env(self):
        return dict(pair.split("=", 1) for text in self.of("ENV")
                    for pair in shlex.split(text))


def logical_lines(text):
    """Lines without comments, continued ones joined."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.M)
    text = text.replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_stages(path):
    stages = []
    with open(path, encoding="utf-8") as file:
        for line in logical_lines(file.read()):
            step, _, text = line.partition(" ")
            if step == "FROM":
                image, _, name = text.partition(" AS ")
                stages.append(Stage(image, name))
            else:
                stages[-1].steps.append((step, text.strip()))
    return stages


def exec_form(text):
    """The command of an ENTRYPOINT, or of a HEALTHCHECK after its options."""
    return json.loads(text[text.index("["):])


def copy_context(root, target):
    """What `COPY . .` sees: .dockerignore of `*` and `!path` lines only."""
    with open(os.path.join(root, ".dockerignore"), encoding="utf-8") as file:
        lines = [line.strip() for line in file
                 if line.strip() and not line.startswith("#")]
    assert lines[0] == "*" and all(line[0] == "!" for line in lines[1:])

    for line in lines[1:]:
        source = os.path.join(root, line[1:])
        copy = os.path.join(target, line[1:])
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, copy)
        elif os.path.exists(source):
            shutil.copy2(source, copy)
