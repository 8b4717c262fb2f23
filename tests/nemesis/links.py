"""The network between the nodes: what one sends another goes through here.

A process of its own. Each node has one port at which the others reach it. Who
a connection comes from is found out by asking the kernel which process has its
other end, because all nodes are told the same addresses. So there is a lane
for each ordered pair of nodes, for what goes from the one to the other:
requests of the one and answers to the other. A lane can hold back what it is
given, late or for ever, be slow, or lose its connections, as a network does.

Commands are lines of JSON on stdin, each answered by one on stdout; the end of
stdin ends the process.
"""

import asyncio
import json
import os
import socket
import struct
import sys

PIECE = 65536
SOCK_DIAG = 4  # Of linux/netlink.h and linux/sock_diag.h.
BY_FAMILY = 20
NLM_F_REQUEST = 1
ANY_STATE = 0xFFFFFFFF
NO_COOKIE = (0xFFFFFFFF, 0xFFFFFFFF)
RESET = struct.pack("ii", 1, 0)


class Lane:
    """What goes from one node to another."""

    def __init__(self):
        self.may_pass = asyncio.Event()
        self.may_pass.set()
        self.passes_yet = None  # Bytes until it holds; None: no such end.
        self.delay_s = 0.0
        self.held = 0
        self.delayed = 0
        self.cut = 0

    def hold(self, after=0):
        self.passes_yet = after
        if after == 0:
            self.may_pass.clear()

    def release(self):
        self.passes_yet = None
        self.delay_s = 0.0
        self.may_pass.set()

    async def carry(self, piece, write):
        if self.delay_s > 0:
            self.delayed += len(piece)
            await asyncio.sleep(self.delay_s)
        if self.passes_yet:
            first, piece = piece[:self.passes_yet], piece[self.passes_yet:]
            self.passes_yet -= len(first)
            if self.passes_yet == 0:
                self.may_pass.clear()
            write(first)
        if not self.may_pass.is_set():
            self.held += len(piece)
            await self.may_pass.wait()
        write(piece)


def end_of(address):
    return struct.pack("!4s12x", socket.inet_aton(address[0]))


def inode_of(here, there):
    """
    The socket of this machine whose ends are these, as the kernel's
    sock_diag(7) has it; None: gone.
    """
    request = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0,
                          ANY_STATE)
    request += struct.pack("!HH", here[1], there[1])
    request += end_of(here) + end_of(there) + struct.pack("=III", 0, *NO_COOKIE)
    head = struct.pack("=IHHII", 16 + len(request), BY_FAMILY, NLM_F_REQUEST,
                       0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                       SOCK_DIAG) as kernel:
        kernel.send(head + request)
        answer = kernel.recv(4096)
    if struct.unpack_from("=H", answer, 4)[0] != BY_FAMILY:
        return None
    return struct.unpack_from("=I", answer, 84)[0]


def has_socket(pid, inode):
    name = f"socket:[{inode}]"
    folder = f"/proc/{pid}/fd"
    try:
        for number in os.listdir(folder):
            try:
                if os.readlink(f"{folder}/{number}") == name:
                    return True
            except OSError:
                continue  # Closed since.
    except OSError:
        pass  # Ended since.
    return False


def reset(writer):
    if not writer.is_closing():
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


class Links:
    def __init__(self, names):
        self.lanes = {(a, b): Lane() for a in names for b in names if a != b}
        self.pids = {}
        self.ports = {}  # Where each node listens really.
        self.open = {}   # Writers of each pair that has connections.

    def sender(self, writer):
        inode = inode_of(writer.get_extra_info("peername"),
                         writer.get_extra_info("sockname"))
        for name, pid in self.pids.items():
            if inode is not None and has_socket(pid, inode):
                return name
        return None

    async def pump(self, lane, reader, writer):
        try:
            while piece := await reader.read(PIECE):
                await lane.carry(piece, writer.write)
                await writer.drain()
        except OSError:
            pass
        await lane.may_pass.wait()  # An end does not arrive, either.

    async def serve(self, target, reader, writer):
        try:
            back, onward = await asyncio.open_connection(
                "127.0.0.1", self.ports[target])
        except (OSError, KeyError):
            writer.transport.abort()
            return
        sender = self.sender(writer)
        if sender in (None, target):
            writer.transport.abort()
            onward.transport.abort()
            return
        ends = (writer, onward)
        self.open.setdefault((sender, target), set()).add(ends)
        pumps = [asyncio.ensure_future(self.pump(*of)) for of in (
            (self.lanes[sender, target], reader, onward),
            (self.lanes[target, sender], back, writer))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        self.open.get((sender, target), set()).discard(ends)
        for end in ends:
            end.transport.abort()

    def cut(self, pairs):
        for pair in pairs:
            for ends in self.open.pop(pair, ()):
                self.lanes[pair].cut += 1
                for end in ends:
                    reset(end)

    def obey(self, command):
        pairs = [tuple(pair) for pair in command.get("lanes", ())]
        lanes = [self.lanes[pair] for pair in pairs]
        if command["do"] == "node":
            self.pids[command["name"]] = command["pid"]
            self.ports[command["name"]] = command["port"]
        elif command["do"] == "hold":
            for lane in lanes:
                lane.hold(command["after"])
        elif command["do"] == "slow":
            for lane in lanes:
                lane.delay_s = command["delay_s"]
        elif command["do"] == "cut":
            self.cut(pairs)
        elif command["do"] == "release":
            for lane in lanes:
                lane.release()
        return {what: sum(getattr(lane, what) for lane in lanes)
                for what in ("held", "delayed", "cut")}


async def main(names):
    links = Links(names)
    ports = {}
    for name in names:
        server = await asyncio.start_server(
            lambda r, w, name=name: links.serve(name, r, w), "127.0.0.1", 0)
        ports[name] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        print(json.dumps(links.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
