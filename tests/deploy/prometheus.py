"""Debian's Prometheus with our alerts, scraping twice a second."""

import json
import os
import urllib.parse

from node import Process, get, until


class Prometheus:
    """It dies with the test; its files are in the caller's directory."""

    def __init__(self, directory, rules, targets):
        config = os.path.join(directory, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({
                "global": {"scrape_interval": "500ms",
                           "scrape_timeout": "500ms",
                           "evaluation_interval": "500ms"},
                "rule_files": [rules],
                "scrape_configs": [{
                    "job_name": "kistd",
                    "static_configs": [{"targets": targets}]}],
            }, file)  # JSON is YAML.
        # Of this process alone: a free port may not be for long.
        pid = os.getpid()
        address = (f"127.{64 + (pid >> 16) % 64}.{pid >> 8 & 255}."
                   f"{pid & 255}:9091")
        self.url = f"http://{address}/api/v1"
        self.process = Process(
            ["prometheus", f"--config.file={config}",
             f"--storage.tsdb.path={directory}/tsdb",
             f"--web.listen-address={address}"],
            os.path.join(directory, "prometheus.log"))

    def __exit__(self, *_):
        self.process.__exit__()

    def value(self, query):
        """The value of a query with one result; None until there is one."""
        self.process.must_run()
        status, _, body = get(
            f"{self.url}/query?query={urllib.parse.quote(query)}")
        result = json.loads(body)["data"]["result"] if status == 200 else []
        return float(result[0]["value"][1]) if len(result) == 1 else None

    def until_value(self, query, value):
        until(f"{query} is {value}", lambda: self.value(query) == value)
