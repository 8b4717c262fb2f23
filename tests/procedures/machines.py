"""Three kistd, as if each had a machine of its own that one may log in to.

What a procedure calls on the way to them is found in a folder of programs
here: `ssh NODE COMMAND...` hands the command to this process, which does with
the node's kistd, clock and files what it says; `curl http://NODE:7700/...`
goes to where that node listens, and port 7702 to its --admin-listen; `kistd`
is the program under test, where the operator sits. Below /var/lib is the node's
disk, /usr/bin/kistd is the program that it starts, /etc/kist.ini what that
reads; and NODE:7701 in a script is where peers reach the node.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from node import Node, until

FIRST_PORT = 7701
FOUNDERS = 3
FIRST_ADMIN_PORT = 7801
STOP_S = 30

SSH = """#!{python}
import json, socket, sys
with socket.socket(socket.AF_UNIX) as way:
    way.connect({socket!r})
    way.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
    status, output = json.loads(way.makefile().read())
sys.stdout.write(output)
sys.exit(status)
"""

CURL = """#!/bin/bash
to=()
for node in {folder}/*/port; do
    name=$(basename "$(dirname "$node")")
    to+=(--connect-to "$name:7700:127.0.0.1:$(cat "$node")")
    to+=(--connect-to "$name:7702:$(cat "$(dirname "$node")/admin")")
done
exec {curl} "${{to[@]}}" "$@"
"""


class NoLinks:
    """Its peers reach a node directly."""

    def tell(self, *_, **__):
        pass


class Machine(Node):
    def __init__(self, name, program, folder, flags, preload, peers):
        super().__init__(name, program, folder, NoLinks(), flags, preload)
        self.peer = peers[name]
        address, _, port = self.peer.rpartition(":")
        self.admin = f"{address}:{int(port) - FIRST_PORT + FIRST_ADMIN_PORT}"
        (self.folder / "admin").write_text(self.admin, encoding="ascii")
        self.data = self.disk / "kist"
        self.program = str(self.folder / "kistd.installed")
        shutil.copy(program, self.program)
        self.settings = self.folder / "kist.ini"

    def set_up(self, *lines):
        self.settings.write_text("\n".join([f"peer-listen = {self.peer}",
                                            *lines, ""]), encoding="ascii")

    def command(self, more):
        return [self.program, "--config", str(self.settings),
                "--listen", "127.0.0.1:0", "--data", str(self.data),
                "--admin-listen", self.admin,
                "--loops", "1", *self.flags, *more]

    def meet(self, ports):
        super().meet(ports)
        (self.folder / "port").write_text(str(self.port), encoding="ascii")

    def stop(self):
        """As its supervisor would."""
        if self.has_ended():
            return
        self.signal(signal.SIGTERM)
        assert self.child.wait(STOP_S) == 0, f"see {self.log()}"

    def path(self, word):
        """A path on its machine as it is on this one."""
        for there, here in (("/var/lib", self.disk),
                            ("/tmp", self.folder),
                            ("/etc/kist.ini", self.settings),
                            ("/usr/bin/kistd", self.program)):
            if word == there or word.startswith(there + "/"):
                return str(here) + word[len(there):]
        return word

    def obey(self, words):
        """Exit status and output of a command that somebody gave there."""
        match words:
            case ["systemctl", "stop", "kistd"]:
                self.stop()
            case ["systemctl", "start", "kistd"]:
                self.start()
            case ["systemctl", "restart", "kistd"]:
                self.stop()
                self.start()
            case ["chronyc", "makestep"]:
                self.clock.set()
            case ["rm" | "df" | "install" | "sed", *_]:
                done = subprocess.run(
                    [self.path(word) for word in words], text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    check=False)
                return done.returncode, done.stdout
            case _:
                return 127, f"there is no {words} on {self.name}\n"
        return 0, ""


class Machines:
    """
    nodes and members() as the clients and checks of the nemesis want them. The
    first three are the cluster; others may join it.
    """

    def __init__(self, program, folder, names, flags, preload):
        self.folder = Path(folder)
        secret = self.folder / "secret"
        secret.write_text("correct-horse-battery-staple\n", encoding="ascii")
        pid = os.getpid()
        address = f"127.{64 + (pid >> 16) % 64}.{(pid >> 8) % 256}.{pid % 256}"
        self.peers = {name: f"{address}:{FIRST_PORT + i}"
                      for i, name in enumerate(names)}
        flags = ["--peer-secret-file", str(secret), *flags]
        self.machines = {name: Machine(name, program, folder, flags, preload,
                                       self.peers) for name in names}
        self.nodes = {name: self.machines[name] for name in names[:FOUNDERS]}
        self.set_up()
        self.programs = self.folder / "programs"
        self.programs.mkdir()
        self.listen()
        self.install("ssh", SSH.format(python=sys.executable,
                                       socket=self.listener.getsockname()))
        (self.programs / "kistd").symlink_to(Path(program).resolve())
        self.install("curl", CURL.format(folder=self.folder,
                                         curl=shutil.which("curl")))

    def set_up(self):
        listed = ",".join(f"{name}={self.peers[name]}" for name in self.nodes)
        asked = ",".join(self.peers[name] for name in self.nodes)
        for name, machine in self.machines.items():
            machine.set_up(f"node-id = {name}", f"peers = {listed}"
                           if name in self.nodes else f"join = {asked}")

    def install(self, name, text):
        path = self.programs / name
        path.write_text(text, encoding="ascii")
        path.chmod(0o755)

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.folder / "ssh"))
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                way, _ = self.listener.accept()
            except OSError:
                return  # Closed.
            with way, way.makefile("rw") as lines:
                name, *words = json.loads(lines.readline())
                try:
                    answer = self.machines[name].obey(words)
                except (AssertionError, OSError, KeyError) as failure:
                    answer = 255, f"{failure!r}\n"
                lines.write(json.dumps(answer))

    def start(self):
        for node in self.nodes.values():
            node.start()
        for node in self.nodes.values():
            until(f"{node.name} is ready", node.is_ready)

    def members(self):
        return list(self.nodes.values())

    def run(self, script, timeout_s):
        """By bash, which ends with the first command that fails."""
        path = f"{self.programs}:{os.environ['PATH']}"
        for name, address in self.peers.items():
            script = script.replace(f"{name}:{FIRST_PORT}", address)
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], text=True,
            env=os.environ | {"PATH": path}, timeout=timeout_s, check=False,
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)

    def close(self):
        self.listener.close()
        for node in self.machines.values():
            if node.child is not None:
                node.kill()
            node.give_up_small_disk()
