"""What kistd answers is what openapi.yaml says.

Each request below is sent to a fresh kistd, in order. Its status must be the
expected one and described for that operation; so must be each header of the
answer that is kist's or conditional, the media type, and the whole document.
"""

import contextlib
import http.client
import json
import re
import sys

import yaml

import kistd

MERGE = {"Content-Type": "application/merge-patch+json"}
PATCH = {"Content-Type": "application/json-patch+json"}
CSV = {"Content-Type": "text/csv"}
LINES = {"Accept": "application/x-ndjson"}
ENTRY = {"Accept": "application/vnd.kist.entry+json"}
NO_TAG = '"0123456789abcdef0123456789abcdef"'
FAR = "f" * 32

# Expected status, method, target, headers, body.
REQUESTS = [
    (201, "PUT", "/kv/a?ttl=60&durability=async&n=1&w=1&r=one", {}, "[1, 2]"),
    (204, "PUT", "/kv/a", {"Kist-Expires": "2035-01-01T00:00:00Z"}, "[1, 2]"),
    (200, "PUT", "/kv/a", {"Prefer": "return=representation"}, "[1, 2]"),
    (201, "PUT", "/kv/csv", CSV, "a,b"),
    (201, "PUT", "/kv/o", {}, '{"n": 1.50}'),
    (400, "PUT", "/kv/a?tll=1", {}, "1"),
    (400, "PUT", "/kv/a", {"If-Match": "x"}, "1"),
    (400, "PUT", "/kv/a", {"Content-Type": "application/json"}, "[1,]"),
    (400, "PUT", "/kv/a", {}, ""),
    (400, "PUT", "/kv/%00", {}, "1"),
    (409, "PUT", "/kv/a", {"Kist-After": FAR}, "1"),
    (412, "PUT", "/kv/a", {"If-Match": NO_TAG}, "1"),
    (412, "PUT", "/kv/a", {"If-None-Match": "*"}, "1"),
    (413, "PUT", "/kv/big", {}, '"' + "x" * (1 << 20) + '"'),
    (414, "PUT", "/kv/" + "k" * 1025, {}, "1"),
    (415, "PUT", "/kv/a", {}, "a,b"),
    (422, "PUT", "/kv/a?w=2", {}, "1"),

    (200, "GET", "/kv/a", {}, None),
    (200, "GET", "/kv/a", {"Cache-Control": "no-cache"}, None),
    (200, "GET", "/kv/csv", {}, None),
    (200, "GET", "/kv/a?ptr=/0", {}, None),
    (200, "GET", "/kv/a", ENTRY, None),
    (200, "GET", "/kv/csv", ENTRY, None),
    (206, "GET", "/kv/a", {"Range": "bytes=0-1"}, None),
    (304, "GET", "/kv/a", {"If-None-Match": "*"}, None),
    (400, "GET", "/kv/a?ptr=x", {}, None),
    (404, "GET", "/kv/none", {}, None),
    (404, "GET", "/kv/none", {"Prefer": "wait=1"}, None),
    (404, "GET", "/kv/a?ptr=/9", {}, None),
    (409, "GET", "/kv/a", {"Kist-After": FAR}, None),
    (412, "GET", "/kv/a", {"If-Match": NO_TAG}, None),
    (416, "GET", "/kv/a", {"Range": "bytes=99-"}, None),
    (422, "GET", "/kv/a?r=3", {}, None),
    (200, "HEAD", "/kv/a", {}, None),
    (404, "HEAD", "/kv/none", {}, None),

    (204, "PATCH", "/kv/o", MERGE, '{"m": 1}'),
    (200, "PATCH", "/kv/o", MERGE | {"Prefer": "return=representation"},
     '{"m": 2}'),
    (204, "PATCH", "/kv/o", PATCH, '[{"op":"remove","path":"/m"}]'),
    (400, "PATCH", "/kv/o", PATCH, '[{"op":"jump","path":"/m"}]'),
    (400, "PATCH", "/kv/o", MERGE, "{"),
    (201, "PATCH", "/kv/p", MERGE, '{"m": null}'),
    (404, "PATCH", "/kv/none", PATCH, "[]"),
    (409, "PATCH", "/kv/csv", MERGE, "{}"),
    (409, "PATCH", "/kv/o", PATCH, '[{"op":"test","path":"","value":1}]'),
    (415, "PATCH", "/kv/o", {}, "{}"),
    (422, "PATCH", "/kv/o", PATCH, '[{"op":"remove","path":"/m"}]'),

    (200, "POST", "/kv/n?op=incr&by=5", {}, None),
    (204, "POST", "/kv/a?op=append", {}, "3"),
    (201, "POST", "/kv/log?op=append", CSV, "a"),
    (204, "POST", "/kv/n?op=touch&ttl=60", {}, None),
    (204, "POST", "/kv/n?op=persist", {}, None),
    (200, "POST", "/kv/n?op=take", {}, None),
    (400, "POST", "/kv/n?op=jump", {}, None),
    (404, "POST", "/kv/n?op=take", {}, None),
    (409, "POST", "/kv/o?op=incr", {}, None),
    (412, "POST", "/kv/o?op=incr", {"If-Match": NO_TAG}, None),

    (204, "DELETE", "/kv/log", {}, None),
    (404, "DELETE", "/kv/log", {}, None),
    (412, "DELETE", "/kv/a", {"If-Match": NO_TAG}, None),

    (200, "GET", "/kv?limit=1&values=1", {}, None),
    (200, "GET", "/kv?delimiter=s&reverse=1&start=a&end=z", {}, None),
    (200, "GET", "/kv?count=1&prefix=a", {}, None),
    (200, "GET", "/kv?values=1", LINES, None),
    (400, "GET", "/kv?limit=0", {}, None),
    (400, "GET", "/kv?cursor=x", {}, None),
    (200, "DELETE", "/kv?prefix=a&dry_run=1", {}, None),
    (428, "DELETE", "/kv?prefix=a", {}, None),
    (409, "DELETE", "/kv?prefix=a&confirm=7", {}, None),
    (200, "DELETE", "/kv?prefix=a&confirm=1", {}, None),

    (200, "POST", "/batch", {"Content-Type": "application/json"},
     '{"operations":[{"op":"put","key":"a","value":[1]},'
     '{"op":"put","key":"b","base64":"AAE=","media_type":"image/png"},'
     '{"op":"put","key":"a","value":2,"if_absent":true},'
     '{"op":"get","key":"a"},{"op":"get","key":"b"},'
     '{"op":"get","key":"none"},{"op":"incr","key":"c","by":2},'
     '{"op":"patch","key":"o","merge":{}},{"op":"delete","key":"c"},'
     '{"op":"put","key":"","value":1}]}'),
    (200, "POST", "/batch", {"Content-Type": "application/x-ndjson"},
     '{"op":"get","key":"a"}\n{"op":"incr","key":"o"}\n'),
    (412, "POST", "/batch?atomic=1", {"Content-Type": "application/json"},
     '{"operations":[{"op":"put","key":"a","value":1,"if_absent":true}]}'),
    (400, "POST", "/batch", {"Content-Type": "application/json"}, "{}"),
    (415, "POST", "/batch", CSV, "a"),

    (200, "GET", "/livez", {}, None),
    (200, "GET", "/readyz", {}, None),
    (200, "GET", "/readyz?verbose", {}, None),
    (200, "GET", "/metrics", {}, None),
    (200, "GET", "/metrics",
     {"Accept": "application/openmetrics-text"}, None),
    (200, "GET", "/version", {}, None),
    (200, "GET", "/openapi.yaml", {}, None),
    (200, "GET", "/", {}, None),
    (400, "GET", "/version?x=1", {}, None),
    (405, "GET", "/batch", {}, None),
    (404, "GET", "/kv/none/x", {}, None),
]

KINDS = {"object": dict, "array": list, "string": str, "boolean": bool}
OURS = re.compile(r"etag|last-modified|accept-ranges|content-range|link|allow"
                  r"|retry-after|preference-applied|request-id|kist-.*")


class Description:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.root = yaml.safe_load(file)

    def resolve(self, node):
        while "$ref" in node:
            at = self.root
            for name in node["$ref"].removeprefix("#/").split("/"):
                at = at[name]
            node = at
        return node

    def response(self, method, target, status):
        path = target.split("?")[0]
        path = "/kv/{key}" if path.startswith("/kv/") else path
        operation = self.root["paths"][path].get(method.lower())
        if operation is None:  # 405: any operation's default says it.
            operation = next(iter(self.root["paths"]["/livez"].values()))
        responses = operation["responses"]
        found = responses.get(str(status), responses["default"])
        return self.resolve(found)

    def faults(self, schema, value, at="answer"):
        """What of a JSON value the schema does not allow."""
        schema = self.resolve(schema)
        for part in schema.get("allOf", []):
            yield from self.faults(part, value, at)
        for choice in ("oneOf", "anyOf"):
            tries = [list(self.faults(part, value, at))
                     for part in schema.get(choice, [])]
            if tries and all(tries):
                yield from min(tries, key=len)
        if "const" in schema and value != schema["const"]:
            yield f"{at} is {value!r}, not {schema['const']!r}"
        if "enum" in schema and value not in schema["enum"]:
            yield f"{at} is {value!r}, not one of {schema['enum']}"
        kind = schema.get("type")
        if kind == "integer" and type(value) is not int \
                or kind in KINDS and not isinstance(value, KINDS[kind]):
            yield f"{at} is no {kind}: {value!r}"
        elif isinstance(value, str) and "pattern" in schema \
                and not re.search(schema["pattern"], value):
            yield f"{at} is {value!r}, not {schema['pattern']}"
        elif isinstance(value, list):
            for n, element in enumerate(value):
                yield from self.faults(schema.get("items", {}), element,
                                       f"{at}/{n}")
        elif isinstance(value, dict) and "properties" in schema:
            yield from self.member_faults(schema, value, at)

    def member_faults(self, schema, value, at):
        known = schema["properties"]
        for name in schema.get("required", []):
            if name not in value:
                yield f"{at} lacks {name}"
        for name, member in value.items():
            if name in known:
                yield from self.faults(known[name], member, f"{at}/{name}")
            elif not schema.get("additionalProperties", True):
                yield f"{at} has {name}"


def header_faults(description, response, answer):
    described = {name.lower(): node
                 for name, node in response.get("headers", {}).items()}
    for name, value in answer.getheaders():
        name = name.lower()
        if name in described:
            schema = description.resolve(described[name])["schema"]
            if name != "retry-after":
                yield from description.faults(schema, value, name)
        elif OURS.fullmatch(name):
            yield f"the header {name} is not described"


def body_faults(description, response, answer, text):
    content = response.get("content", {})
    media_type = answer.headers.get("Content-Type", "")
    if not text:
        return
    if media_type not in content and "*/*" not in content:
        yield f"{media_type} is not described"
    schema = content.get(media_type, content.get("*/*", {})).get("schema", {})
    if media_type.endswith(("/json", "+json")) and answer.status != 206:
        yield from description.faults(schema, json.loads(text))


def line_faults(description, target, answer, text):
    """The lines of NDJSON, by the schema of what they stand for."""
    if answer.headers.get("Content-Type") != "application/x-ndjson":
        return
    name = "Result" if target.startswith("/batch") else "Item"
    for line in text.splitlines():
        yield from description.faults(
            {"$ref": f"#/components/schemas/{name}"}, json.loads(line), line)


def check(description, connection, request):
    expected, method, target, headers, body = request
    with contextlib.suppress(BrokenPipeError):  # 413 before all was sent.
        connection.request(method, target, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != expected:
        yield f"{answer.status} instead of {expected}: {text[:300]!r}"
    response = description.response(method, target, answer.status)
    yield from header_faults(description, response, answer)
    yield from body_faults(description, response, answer, text)
    yield from line_faults(description, target, answer, text)


def main(program, path):
    description = Description(path)
    failed = 0
    with kistd.running(program) as address:
        connection = http.client.HTTPConnection(address, timeout=30)
        for request in REQUESTS:
            faults = list(check(description, connection, request))
            failed += bool(faults)
            for fault in faults:
                print(f"{request[1]} {request[2][:60]} {request[3]}: {fault}")
    print(f"{len(REQUESTS) - failed} of {len(REQUESTS)} answers are as "
          "described")
    return 1 if failed else 0


sys.exit(main(*sys.argv[1:]))
