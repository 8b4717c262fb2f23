#!/usr/bin/env python3
"""Replay the Dockerfile without an engine.

The build stage's steps run in a scratch copy of what the engine would be
sent; steps with apt-get do not run, their packages must be installed here.
Then the binary starts as the image's user with the image's environment, is
asked by its HEALTHCHECK and ended by its STOPSIGNAL; and each of its shared
libraries must come from a package that the runtime stage has.

Usage: replay_dockerfile.py <source root>
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from dockerfile import copy_context, exec_form, read_stages
from node import Node, free_port, get

ROOT = os.path.abspath(sys.argv.pop(1))
BUILD, RUNTIME = read_stages(os.path.join(ROOT, "Dockerfile"))


def run(*command, **more):
    return subprocess.run(command, check=True, text=True,
                          stdout=subprocess.PIPE, **more).stdout


def listed(name):
    """The packages of a list that the Dockerfile copies."""
    path = os.path.join(ROOT, "deploy/packages", name)
    with open(path, encoding="utf-8") as file:
        return set(re.sub(r"#.*", "", file.read()).split())


def owner(path):
    """The Debian package of a file; /lib and /usr/lib are one place."""
    for name in (path, "/usr" + path, path.removeprefix("/usr"),
                 os.path.realpath(path)):
        found = subprocess.run(["dpkg", "-S", name], text=True,
                               capture_output=True)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    raise AssertionError(f"no package has {path}")


def libraries(binary):
    """{path: package} of all shared libraries it loads."""
    paths = re.findall(r"(/\S+) \(0x", run("ldd", binary))
    assert paths, f"{binary} is not a dynamic program"
    return {path: owner(path) for path in paths}


def dependencies():
    """{package: packages it depends on}, of all that are installed."""
    found = {}
    for line in run("dpkg-query", "-Wf",
                    "${Package}\t${Pre-Depends}, ${Depends}\n").splitlines():
        name, _, needs = line.partition("\t")
        found[name] = {re.split(r"[ :(]", need.strip())[0]
                       for need in re.split(r"[,|]", needs) if need.strip()}
    return found


def closure(names):
    """The packages, and all that comes with them."""
    graph, seen, todo = dependencies(), set(), set(names)
    while todo:
        name = todo.pop()
        seen.add(name)
        todo |= graph.get(name, set()) - seen
    return seen


def base_image():
    """The least a Debian image has."""
    rows = run("dpkg-query", "-Wf", "${Package} ${Essential}\n").splitlines()
    return {row.split()[0] for row in rows if row.endswith(" yes")}


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp(prefix="kist-image-")
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        os.chmod(cls.scratch, 0o755)  # For the image's user.
        cls.build()

    @classmethod
    def inside(cls, path):
        return cls.scratch + path

    @classmethod
    def build(cls):
        """The build stage, then what the runtime stage takes from it."""
        place = "/"
        for step, text in BUILD.steps:
            if step == "WORKDIR":
                place = text
                os.makedirs(cls.inside(place))
            elif step == "COPY" and text == ". .":
                copy_context(ROOT, cls.inside(place))
            elif step == "RUN" and "apt-get" not in text:
                subprocess.run(["sh", "-ec", text], cwd=cls.inside(place),
                               check=True)
        [text] = [text for text in RUNTIME.of("COPY") if "--from" in text]
        stage, source, target = text.split()
        assert stage == f"--from={BUILD.name}"
        os.makedirs(os.path.dirname(cls.inside(target)), exist_ok=True)
        shutil.copy2(cls.inside(source), cls.inside(target))
        cls.binary = cls.inside(target)

    def test_what_it_was_built_with_is_listed(self):
        installed = set(dependencies())
        self.assertLessEqual(listed("build.txt"), installed)
        self.assertLessEqual(listed("runtime.txt"), installed)

    def test_every_shared_library_is_in_the_image(self):
        there = closure(listed("runtime.txt") | base_image())
        for path, package in libraries(self.binary).items():
            self.assertIn(package, there, path)

    def test_no_package_is_installed_for_nothing(self):
        self.assertLessEqual(listed("runtime.txt"),
                             set(libraries(self.binary).values()))

    def test_it_is_a_release(self):
        self.assertNotIn("libasan", run("ldd", self.binary))
        self.assertEqual(RUNTIME.image, "debian:12-slim")
        self.assertEqual(BUILD.image, "debian:12")

    def test_the_user_is_made_and_owns_the_data(self):
        uid, gid = RUNTIME.one("USER").split(":")
        [making] = [text for text in RUNTIME.of("RUN") if "useradd" in text]
        self.assertNotEqual(uid, "0")
        self.assertEqual(uid, gid)
        self.assertIn(f"--uid {uid} ", making)
        self.assertIn(f"-m 0750 {RUNTIME.one('VOLUME')}", making)
        self.assertEqual(RUNTIME.env()["KIST_DATA"], RUNTIME.one("VOLUME"))

    def test_it_listens_on_the_port_it_exposes(self):
        self.assertEqual(RUNTIME.env()["KIST_LISTEN"],
                         f"0.0.0.0:{RUNTIME.one('EXPOSE')}")

    def as_image_user(self, command):
        if os.geteuid() != 0:
            return command
        uid, gid = RUNTIME.one("USER").split(":")
        return ["setpriv", f"--reuid={uid}", f"--regid={gid}",
                "--clear-groups", "--no-new-privs", "--bounding-set=-all",
                "--inh-caps=-all", "--pdeathsig=KILL", *command]

    def environment(self):
        """Nothing but the image's, moved to the scratch place and a port."""
        env = RUNTIME.env()
        host = env["KIST_LISTEN"].rpartition(":")[0]
        data = self.inside(env["KIST_DATA"])
        os.makedirs(data, mode=0o750)
        if os.geteuid() == 0:
            os.chown(data, *map(int, RUNTIME.one("USER").split(":")))
        return env | {"KIST_LISTEN": f"{host}:{free_port()}",
                      "KIST_DATA": data}

    def program(self, instruction):
        """An exec form, as it is and moved to the scratch place."""
        command = exec_form(RUNTIME.one(instruction))
        return self.as_image_user([self.inside(command[0]), *command[1:]])

    def healthy(self, env):
        probe = subprocess.run(self.program("HEALTHCHECK"), env=env,
                               timeout=10)
        return probe.returncode == 0

    def test_it_runs_as_the_image_would(self):
        env = self.environment()
        with Node(self.program("ENTRYPOINT"), self.scratch, env) as node:
            self.assertTrue(self.healthy(env))
            url = f"{node.url}/kv/a"
            self.assertEqual(get(url, data=b"[1]", method="PUT")[0], 201)
            self.assertEqual(get(url)[2], b"[1]")

            stop = signal.Signals[RUNTIME.one("STOPSIGNAL")]
            self.assertEqual(node.stop(stop), 0)
        self.assertFalse(self.healthy(env))


if __name__ == "__main__":
    unittest.main()
