"""openapi.yaml and the tables in the code say the same.

Compared both ways: paths and methods, the query parameters of each, and the
problem types with their statuses. The table has no rows for HEAD, which is
GET without the bytes, nor for OPTIONS, which every path answers. Also: every problem type is reachable from
an operation, and every response that carries problems stands under the status
that its schema names.
"""

import subprocess
import sys

import yaml

METHODS = {"get", "head", "put", "patch", "post", "delete"}
PROBLEM = "application/problem+json"


def tables_of(executable):
    text = subprocess.run([executable], text=True, check=True,
                          capture_output=True).stdout
    rows = [line.split() for line in text.splitlines()]
    routes = {(row[2], row[1].lower()): set(row[3:]) for row in rows
              if row[0] == "route"}
    problems = {row[1]: int(row[2]) for row in rows if row[0] == "problem"}
    return routes, problems


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

    def operations(self):
        for path, item in self.root["paths"].items():
            for method in item.keys() & METHODS:
                yield path, method, item, item[method]

    def routes(self):
        """The query parameters of each path and method."""
        routes = {}
        for path, method, item, operation in self.operations():
            parameters = item.get("parameters", []) \
                + operation.get("parameters", [])
            parameters = [self.resolve(node) for node in parameters]
            routes[path, method] = {node["name"] for node in parameters
                                    if node["in"] == "query"}
        return routes

    def problem_schemas(self, response):
        """(types, status) of each schema of a response's problem document."""
        content = self.resolve(response).get("content", {})
        schema = self.resolve(content.get(PROBLEM, {}).get("schema", {}))
        for part in schema.get("anyOf", [schema] if schema else []):
            properties = self.resolve(part)["properties"]
            yield properties["type"]["enum"], properties["status"]["const"]

    def problems(self):
        """The problem types reachable from operations, and misplaced ones."""
        found, misplaced = {}, []
        for path, method, _, operation in self.operations():
            for status, response in operation["responses"].items():
                for types, code in self.problem_schemas(response):
                    found.update({name: code for name in types})
                    if status not in ("default", str(code)):
                        misplaced.append(f"{method} {path}: {code} under "
                                         f"{status}")
        return found, misplaced


def with_head(routes, described):
    """The routes, and HEAD where it is described and there is a GET."""
    heads = {(path, "head"): parameters
             for (path, method), parameters in routes.items()
             if method == "get" and (path, "head") in described}
    return routes | heads


def differences(what, code, document):
    for name in sorted(code.keys() | document.keys()):
        in_code, in_document = code.get(name), document.get(name)
        if in_code is None or in_document is None:
            missing = "the code" if in_code is None else "openapi.yaml"
            yield f"{what} {name}: not in {missing}"
        elif in_code != in_document:
            yield f"{what} {name}: {in_code} in the code, " \
                  f"{in_document} in openapi.yaml"


def main(executable, path):
    routes, problems = tables_of(executable)
    description = Description(path)
    described, faults = description.problems()
    served = description.routes()
    faults += differences("route", with_head(routes, served), served)
    faults += differences("problem", problems, described)
    print("\n".join(faults)
          or f"{len(routes)} routes and {len(problems)} problem types agree")
    return 1 if faults or not routes or not problems else 0


sys.exit(main(*sys.argv[1:]))
