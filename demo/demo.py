#!/usr/bin/python3
"""Loads real data into a running kistd, reads it back, and shows the API.

Every value's JSON text is built once, sent, read back with GET and compared
byte for byte. The data: countries, languages, scripts and currencies from
Debian's iso-codes package (loaded by POST /batch as one JSON document a
batch) and the Debian package index (POST /batch as NDJSON).

Exit status: 0, or 1 if a byte differs or an answer is not as it should be.
"""

import argparse
import http.client
import json
import queue
import shlex
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

ISO_FOLDER = Path("/usr/share/iso-codes/json")
ISO_CODE = {  # Which member of an entry is its code.
    "3166-1": "alpha_2", "3166-2": "code", "3166-3": "alpha_4",
    "4217": "alpha_3", "639-2": "alpha_3", "639-3": "alpha_3",
    "639-5": "alpha_3", "15924": "alpha_4",
}
NUMBERS = {"Size", "Installed-Size"}
LISTS = {"Depends", "Pre-Depends", "Recommends", "Suggests", "Enhances",
         "Conflicts", "Breaks", "Replaces", "Provides", "Tag"}

BATCH = 500      # Operations a POST.
PIPELINE = 32    # GETs sent before the first answer is read.
TRIES = 20       # Of a request that is answered with 503.


class Wrong(Exception):
    """The server did not answer as it must."""


# ---------------------------------------------------------------- the data

def iso_values():
    for path in sorted(ISO_FOLDER.glob("iso_*.json")):
        standard, entries = next(iter(json.loads(path.read_text()).items()))
        for entry in entries:
            code = entry[ISO_CODE[standard]]
            # With line breaks, as in the package: every byte counts.
            text = json.dumps(entry, ensure_ascii=False, indent=2)
            yield f"iso/{standard}/{code}", text.encode()


def package_fields(paragraph):
    fields, name = {}, None
    for line in paragraph.split("\n"):
        if line[:1] in " \t":
            fields[name] += "\n" + line.strip()
        else:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    for name in fields.keys() & NUMBERS:
        fields[name] = int(fields[name])
    for name in fields.keys() & LISTS:
        fields[name] = fields[name].replace("\n", " ").split(", ")
    return fields


def package_values():
    index = subprocess.run(["apt-cache", "dumpavail"], check=True,
                           capture_output=True).stdout.decode()
    seen = set()
    for paragraph in filter(None, index.split("\n\n")):
        fields = package_fields(paragraph.strip("\n"))
        name = fields.get("Package")
        if name and name not in seen:  # The first is the newest.
            seen.add(name)
            yield f"debian/{name}", json.dumps(
                fields, ensure_ascii=False).encode()


# ------------------------------------------------------------- the terminal

class Terminal:
    def __init__(self):
        self.tty = sys.stdout.isatty()

    def paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.tty else text

    def title(self, text):
        print("\n" + self.paint("1", text), flush=True)

    def bar(self, label, done, total):
        if self.tty:
            filled = 30 * done // max(total, 1)
            bar = "█" * filled + "░" * (30 - filled)
            print(f"\r  {label:6} {bar} {done:>6,} / {total:,} ",
                  end="", flush=True)

    def line(self, text):
        print("\r\033[K" + text if self.tty else text, flush=True)


terminal = Terminal()


class Phase:
    """A measured phase with its progress bar. Any thread may call step()."""

    def __init__(self, label, values):
        self.label, self.total = label, len(values)
        self.bytes = sum(len(text) for _, text in values)
        self.lock, self.done, self.shown = threading.Lock(), 0, 0.0
        self.started = time.monotonic()

    def step(self, count):
        with self.lock:
            self.done += count
            now = time.monotonic()
            if now - self.shown > 0.05:
                self.shown = now
                terminal.bar(self.label, self.done, self.total)

    def finish(self):
        seconds = time.monotonic() - self.started
        terminal.line(f"  {self.label:6} {self.total:>7,} keys in "
                      f"{seconds:5.1f} s  {self.total / seconds:>8,.0f} keys/s"
                      f"  {self.bytes / seconds / 1e6:6.1f} MB/s")


# ------------------------------------------------------------------ loading

def document(values):
    """A batch as one JSON document; the values' text is not touched."""
    parts = [b'{"op":"put","key":%s,"value":%s}' % (json.dumps(key).encode(),
                                                    text)
             for key, text in values]
    return b'{"operations":[' + b",".join(parts) + b"]}"


def lines(values):
    """A batch as NDJSON, one operation a line."""
    return b"".join(b'{"op":"put","key":%s,"value":%s}\n'
                    % (json.dumps(key).encode(), text) for key, text in values)


def results_of(media_type, body):
    if media_type == "application/json":
        return json.loads(body)["results"]
    return [json.loads(line) for line in body.splitlines()]


def post_batch(connection, media_type, body):
    for _ in range(TRIES):
        connection.request("POST", "/batch", body,
                           {"Content-Type": media_type, "Accept": media_type})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 503:
            break
        time.sleep(float(answer.headers.get("Retry-After", 1)))
    if answer.status != 200:
        raise Wrong(f"POST /batch: {answer.status} {text[:500]!r}")
    return results_of(media_type, text)


def load_part(address, media_type, values, phase):
    connection = http.client.HTTPConnection(*address)
    build = document if media_type == "application/json" else lines
    results = post_batch(connection, media_type, build(values))
    if len(results) != len(values):
        raise Wrong(f"{len(values)} operations, {len(results)} results")
    for (key, _), result in zip(values, results):
        if result["key"] != key or result["status"] not in (201, 204):
            raise Wrong(f"put {key}: {result}")
    connection.close()
    phase.step(len(values))


# ------------------------------------------------------------- reading back

def read_answer(stream):
    status = stream.readline().split(b" ", 2)
    size = None
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
    if len(status) < 2 or size is None:
        raise Wrong("an answer that is not complete")
    return int(status[1]), stream.read(size)


def read_part(address, _, values, phase):
    """GETs the values, PIPELINE at a time on one connection."""
    connection = http.client.HTTPConnection(*address)
    connection.connect()
    stream = connection.sock.makefile("rb")
    for at in range(0, len(values), PIPELINE):
        some = values[at:at + PIPELINE]
        connection.sock.sendall(b"".join(
            b"GET /kv/%s HTTP/1.1\r\nHost: %s\r\n\r\n"
            % (urllib.parse.quote(key).encode(), address[0].encode())
            for key, _ in some))
        for key, text in some:
            status, body = read_answer(stream)
            if (status, body) != (200, text):
                raise Wrong(f"{key}: sent {text!r}, got {status} {body!r}")
        phase.step(len(some))
    connection.close()


def on_connections(work, address, connections, media_type, values, phase):
    """Runs work on the values in parts; the first failure is raised here."""
    parts, failures = queue.SimpleQueue(), []
    for at in range(0, len(values), BATCH):
        parts.put(values[at:at + BATCH])

    def run():
        while not failures:
            try:
                work(address, media_type, parts.get_nowait(), phase)
            except queue.Empty:
                return
            except (Wrong, OSError, http.client.HTTPException) as failure:
                failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    phase.finish()


def load_and_compare(title, address, connections, media_type, values):
    size = sum(len(text) for _, text in values) / 1e6
    terminal.title(f"{title}: {len(values):,} keys, {size:.1f} MB, "
                   f"POST /batch as {media_type}")
    on_connections(load_part, address, connections, media_type, values,
                   Phase("load", values))
    on_connections(read_part, address, connections, media_type, values,
                   Phase("read", values))
    terminal.line("  every byte came back as it was sent")


# ----------------------------------------------------------------- examples

MERGE = "application/merge-patch+json"
PATCH = "application/json-patch+json"

# Title, method, target, headers, body, expected status.
ISO_EXAMPLES = [
    ("How many currencies?",
     "GET", "/kv?prefix=iso/4217/&count=1", {}, None, 200),
    ("Three of them, from E on",
     "GET", "/kv?prefix=iso/4217/&start=iso/4217/E&limit=3", {}, None, 200),
    ("A delimiter shows folders",
     "GET", "/kv?prefix=iso/&delimiter=/", {}, None, 200),
    ("The last two countries, with their values",
     "GET", "/kv?prefix=iso/3166-1/&reverse=1&limit=2&values=1", {}, None,
     200),
    ("One member, by JSON Pointer",
     "GET", "/kv/iso/3166-1/SE?ptr=/official_name", {}, None, 200),
    ("A counter",
     "POST", "/kv/demo/runs?op=incr", {}, None, 200),
    ("Create only: the key is taken",
     "PUT", "/kv/iso/3166-1/SE", {"If-None-Match": "*"}, '"mine"', 412),
]
PACKAGE_EXAMPLES = [
    ("How many packages begin with libc?",
     "GET", "/kv?prefix=debian/libc&count=1", {}, None, 200),
    ("What does curl depend on first?",
     "GET", "/kv/debian/curl?ptr=/Depends/0", {}, None, 200),
    ("A merge patch adds a note and removes a member",
     "PATCH", "/kv/debian/curl",
     {"Content-Type": MERGE}, '{"note": {"stars": 5}, "MD5sum": null}', 204),
    ("A JSON patch tests before it writes",
     "PATCH", "/kv/debian/curl", {"Content-Type": PATCH},
     '[{"op": "test", "path": "/Package", "value": "curl"},'
     ' {"op": "replace", "path": "/note/stars", "value": 6}]', 204),
    ("Both are there",
     "GET", "/kv/debian/curl?ptr=/note", {}, None, 200),
    ("A patch whose test fails changes nothing",
     "PATCH", "/kv/debian/curl", {"Content-Type": PATCH},
     '[{"op": "test", "path": "/note/stars", "value": 1}]', 409),
]


def curl_line(base, method, target, headers, body):
    words = ["curl"]
    if method != "GET":
        words += ["-X", method]
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    if body is not None:
        words += ["-d", body]
    return shlex.join(words + [base + target])


def shorten(text, width=300):
    return text if len(text) <= width else text[:width] + " ..."


def show(base, address, examples):
    connection = http.client.HTTPConnection(*address)
    for title, method, target, headers, body, expected in examples:
        terminal.title(title)
        print(terminal.paint("36", "  $ " + curl_line(base, method, target,
                                                      headers, body)))
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        print("  " + (shorten(text) or f"{answer.status} {answer.reason}"))
        if answer.status != expected:
            raise Wrong(f"expected {expected}, got {answer.status}")
    connection.close()


# --------------------------------------------------------------------- main

def read_packages():
    try:
        return list(package_values())
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no package index: {error}")
        return []


def run(base, connections):
    url = urllib.parse.urlsplit(base)
    address = (url.hostname, url.port or 80)

    iso = list(iso_values())
    if not iso:
        print(f"{ISO_FOLDER} is empty: apt-get install iso-codes")
        return 1
    load_and_compare("iso-codes", address, connections, "application/json",
                     iso)
    packages = read_packages()
    if packages:
        load_and_compare("Debian packages", address, connections,
                         "application/x-ndjson", packages)
    else:
        print("\nNo Debian packages: apt-get update fetches their index.")

    show(base, address, ISO_EXAMPLES)
    if any(key == "debian/curl" for key, _ in packages):
        show(base, address, PACKAGE_EXAMPLES)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:7700")
    parser.add_argument("--connections", type=int, default=4)
    arguments = parser.parse_args()
    try:
        return run(arguments.url.rstrip("/"), arguments.connections)
    except (Wrong, http.client.HTTPException) as failure:
        print(f"\nFAILED: {failure}", file=sys.stderr)
    except ConnectionRefusedError:
        print(f"\nNothing answers at {arguments.url}: start a kistd there, "
              "./dev run does it.", file=sys.stderr)
    except OSError as failure:
        print(f"\n{arguments.url}: {failure}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
