#!/usr/bin/env python3
"""/metrics of a living kistd, as promtool and a real Prometheus see it.

Usage: test_metrics.py <source root> <kistd>
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

from node import Node, Process, free_port, get, until

ROOT, KISTD = map(os.path.abspath, sys.argv[1:3])
del sys.argv[1:3]
KISTD = os.environ.get("KISTD", KISTD)

OPENMETRICS = "application/openmetrics-text"
SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")
NAME = re.compile(r"\b(?:kist|process)_[a-z_]+\b")


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def samples(page):
    """{(name, labels): value} of a page."""
    found = {}
    for line in page.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            found[name, labels or ""] = float(value)
    return found


def names(page):
    return {name for name, _ in samples(page)}


class Scene(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.node = Node([KISTD], self.directory)
        self.addCleanup(self.node.__exit__)

    def page(self, accept=None):
        status, headers, body = get(f"{self.node.url}/metrics", accept)
        self.assertEqual(status, 200)
        return headers["Content-Type"], body.decode()

    def use(self):
        """One request of several kinds, a failed one too."""
        url = f"{self.node.url}/kv/a"
        get(url, data=b'{"b":1}', method="PUT")
        get(url)
        get(f"{url}?unknown=1")
        get(url, method="DELETE")
        get(url)


class Page(Scene):
    def test_promtool_has_no_complaint(self):
        self.use()
        _, page = self.page()
        check = subprocess.run(["promtool", "check", "metrics"], input=page,
                               capture_output=True, text=True)
        self.assertEqual((check.returncode, check.stderr), (0, ""))

    def test_the_format_follows_accept(self):
        kind, page = self.page()
        self.assertTrue(kind.startswith("text/plain; version=0.0.4"), kind)
        self.assertNotIn("# EOF", page)

        kind, page = self.page(f"{OPENMETRICS};version=1.0.0,*/*;q=0.1")
        self.assertTrue(kind.startswith(f"{OPENMETRICS}; version=1.0.0"), kind)
        self.assertTrue(page.endswith("\n# EOF\n"))

    def test_every_series_is_there_from_the_start(self):
        _, before = self.page()
        self.use()
        _, after = self.page()
        self.assertEqual(samples(before).keys(), samples(after).keys())

    def test_requests_are_counted_by_route_and_class(self):
        self.use()
        _, page = self.page()
        counted = {}
        for (name, labels), value in samples(page).items():
            if name == "kist_http_requests_total" and value > 0:
                counted[labels] = value
        self.assertEqual(counted, {
            'route="put_key",method="PUT",code="2xx"': 1,
            'route="get_key",method="GET",code="2xx"': 1,
            'route="get_key",method="GET",code="4xx"': 2,
            'route="delete_key",method="DELETE",code="2xx"': 1,
        })

    def test_no_label_tells_a_key(self):
        get(f"{self.node.url}/kv/secretkey", data=b"1", method="PUT")
        get(f"{self.node.url}/secretpath")
        _, page = self.page()
        self.assertNotIn("secret", page)

    def test_alerts_and_dashboard_use_only_what_is_exported(self):
        exported = names(self.page()[1])
        exported |= {name.removesuffix("_bucket") for name in exported}
        for file in ("deploy/prometheus/alerts.yml",
                     "deploy/grafana/dashboards/kist.json"):
            used = set(NAME.findall(read(file)))
            self.assertEqual(used - exported, set(), file)
            self.assertGreater(len(used), 10, file)


class Scraped(Scene):
    """Debian's Prometheus with our alerts, scraping twice a second."""

    def setUp(self):
        super().setUp()
        config = os.path.join(self.directory, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({
                "global": {"scrape_interval": "500ms",
                           "scrape_timeout": "500ms",
                           "evaluation_interval": "500ms"},
                "rule_files": [
                    os.path.join(ROOT, "deploy/prometheus/alerts.yml")],
                "scrape_configs": [{
                    "job_name": "kistd",
                    "static_configs": [
                        {"targets": [f"127.0.0.1:{self.node.port}"]}]}],
            }, file)  # JSON is YAML.
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/api/v1"
        self.prometheus = Process(
            ["prometheus", f"--config.file={config}",
             f"--storage.tsdb.path={self.directory}/tsdb",
             f"--web.listen-address=127.0.0.1:{port}"],
            os.path.join(self.directory, "prometheus.log"))
        self.addCleanup(self.prometheus.__exit__)

    def value(self, query):
        """The value of a query with one result; None until there is one."""
        self.prometheus.must_run()
        status, _, body = get(
            f"{self.url}/query?query={urllib.parse.quote(query)}")
        result = json.loads(body)["data"]["result"] if status == 200 else []
        return float(result[0]["value"][1]) if len(result) == 1 else None

    def until_value(self, query, value):
        until(f"{query} is {value}", lambda: self.value(query) == value)

    def test_a_real_prometheus_scrapes_it(self):
        self.until_value('up{job="kistd"}', 1)
        self.use()
        self.until_value(
            'kist_http_requests_total{route="get_key",code="4xx"}', 2)
        self.until_value('kist_http_request_duration_seconds_count'
                         '{route="put_key"}', 1)
        self.until_value('kist_engine_state{state="read_write"}', 1)
        self.until_value('count(kist_build_info)', 1)
        self.until_value('count(ALERTS) or vector(0)', 0)

        status, _, body = get(f"{self.url}/targets")
        [target] = json.loads(body)["data"]["activeTargets"]
        self.assertEqual((status, target["lastError"]), (200, ""))

    def test_it_sees_kistd_go(self):
        self.until_value('up{job="kistd"}', 1)
        self.assertEqual(self.node.stop(), 0)
        self.until_value('up{job="kistd"}', 0)
        self.until_value('count(ALERTS{alertname="KistDown"})', 1)


if __name__ == "__main__":
    unittest.main()
