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

from node import Node, get, until
from prometheus import Prometheus

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
    def setUp(self):
        super().setUp()
        self.prometheus = Prometheus(
            self.directory, os.path.join(ROOT, "deploy/prometheus/alerts.yml"),
            [f"127.0.0.1:{self.node.port}"])
        self.addCleanup(self.prometheus.__exit__)
        self.until_value = self.prometheus.until_value

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

        def last_error():
            _, _, body = get(f"{self.prometheus.url}/targets")
            [target] = json.loads(body)["data"]["activeTargets"]
            return target["lastError"]
        until("a scrape without an error", lambda: last_error() == "")

    def test_it_sees_kistd_go(self):
        self.until_value('up{job="kistd"}', 1)
        self.assertEqual(self.node.stop(), 0)
        self.until_value('up{job="kistd"}', 0)
        self.until_value('count(ALERTS{alertname="KistDown"})', 1)


if __name__ == "__main__":
    unittest.main()
