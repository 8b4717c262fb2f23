#!/usr/bin/env python3
"""What `./dev cluster` starts is a cluster behind a proxy, goes on without a
node, and leaves nothing behind. Skipped without HAProxy.

Usage: test_cluster.py <source root> <kistd>
"""

import json
import os
import re
import shutil
import signal
import sys
import tempfile
import unittest
import urllib.parse

from node import Process, get, until
from prometheus import Prometheus

ROOT, KISTD = map(os.path.abspath, sys.argv[1:3])
del sys.argv[1:3]

ALERTS = os.path.join(ROOT, "deploy/prometheus/cluster-alerts.yml")
DASHBOARD = os.path.join(ROOT, "deploy/grafana/dashboards/kist-cluster.json")
ROW = re.compile(r"^  (\w+) +(http://\S+) +pid (\d+)$", re.M)
AWAY_S = 10


def put(url, key, value):
    return get(f"{url}/kv/{key}", data=value, method="PUT")[0]


class Cluster(unittest.TestCase):
    def start(self, *arguments):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.places = os.path.join(directory.name, "places")
        os.mkdir(self.places)
        self.program = Process(
            [sys.executable, os.path.join(ROOT, "demo/cluster.py"),
             "--kistd", KISTD, *arguments],
            os.path.join(directory.name, "output"),
            os.environ | {"TMPDIR": self.places})
        self.addCleanup(self.program.__exit__)

    def start_to_stay(self):
        self.start("--back-after", str(AWAY_S))
        self.said("Ctrl-C ends all of it.")
        rows = ROW.findall(self.program.output())
        self.url = {name: url for name, url, _ in rows}
        self.pid = {name: int(pid) for name, _, pid in rows}

    def said(self, words):
        def condition():
            self.program.must_run()
            return words in self.program.output()
        until(f"it says: {words}", condition)

    def own_copy(self, node, key):
        return get(f"{self.url[node]}/kv/{key}?r=1")[2]

    def expect_a_clean_end(self):
        self.assertEqual(self.program.stop(signal.SIGINT), 0)
        for pid in self.pid.values():
            self.assertFalse(os.path.exists(f"/proc/{pid}"), pid)
        self.assertEqual(os.listdir(self.places), [])

    def test_it_serves_through_the_loss_of_a_node_and_ends(self):
        self.start_to_stay()
        proxy = self.url["proxy"]
        self.assertEqual(put(proxy, "before", b"1"), 201)
        for node in "abc":
            self.assertEqual(get(f"{self.url[node]}/kv/before")[2], b"1")

        # What the node has taken with it is 502, and tried again here.
        os.kill(self.pid["c"], signal.SIGKILL)
        for i in range(20):
            until("a node takes it", lambda i=i: put(
                proxy, f"after/{i}", b"2") in (201, 204))
        self.assertEqual(get(f"{self.url['c']}/livez")[0], 0)
        self.assertEqual(get(f"{self.url['b']}/kv/after/19")[2], b"2")

        self.said("c is started again")
        for i in range(20):
            until("the node that was away has its copy",
                  lambda i=i: self.own_copy("c", f"after/{i}") == b"2")
        self.expect_a_clean_end()

    def test_the_demo_shows_a_node_killed_under_load_and_one_that_joins(self):
        self.start("--demo", "--keys", "2000", "--seconds", "2")
        self.assertEqual(self.program.child.wait(240), 0,
                         self.program.output())
        for words in ("[1-9][0-9]* writes were acknowledged while c was away; "
                      "it lacks 0 of them now",
                      "would move about [1-9][0-9]* records",
                      "now: a 3072, b 3072, c 3072, d 3072",
                      "Of [1-9][0-9]* acknowledged writes d finds all but 0",
                      "0 of all reads gave something else"):
            self.assertRegex(self.program.output(), words)
        self.assertEqual(os.listdir(self.places), [])

    def metric(self, node, series):
        """Its value, of a node."""
        page = get(f"{self.url[node]}/metrics")[2].decode()
        found = re.search(rf"^{re.escape(series)} (\S+)$", page, re.M)
        self.assertIsNotNone(found, series)
        return float(found[1])

    def test_alerts_and_dashboard_use_only_what_is_exported(self):
        self.start_to_stay()
        page = get(f"{self.url['a']}/metrics")[2].decode()
        for path in (ALERTS, DASHBOARD):
            with open(path, encoding="utf-8") as file:
                used = set(re.findall(r"\bkist_[a-z_]+\b", file.read()))
            self.assertGreater(len(used), 4)
            for name in used:
                self.assertRegex(page, f"(?m)^{name}[ {{]", path)

    def test_what_too_few_owners_and_hints_come_to_is_counted(self):
        failures = "kist_quorum_failures_total"
        lag = "kist_replication_lag_seconds_count"
        compared = "kist_anti_entropy_last_success_timestamp_seconds"
        self.start_to_stay()
        self.assertEqual(put(self.url["a"], "k", b"1"), 201)
        until("all owners have it", lambda: self.metric("a", lag) == 1)
        until("it was compared", lambda: self.metric("a", compared) > 1e9)
        self.assertEqual(self.metric("a", "kist_hints_oldest_seconds"), 0)

        os.kill(self.pid["c"], signal.SIGKILL)
        self.assertEqual(put(self.url["a"], "k", b"2"), 204)
        until("it is kept for the one that is away", lambda: self.metric(
            "a", "kist_hints_pending") == 1)
        self.assertGreater(self.metric("a", "kist_hints_oldest_seconds"), 0)
        self.assertIn(put(self.url["a"], "k?w=all", b"3"), (503, 504))
        self.assertEqual(self.metric(
            "a", f'{failures}{{operation="write",outcome="not_applied"}}') +
            self.metric(
            "a", f'{failures}{{operation="write",outcome="unknown"}}'), 1)
        self.assertIn(get(f"{self.url['a']}/kv/k?r=all")[0], (503, 504))
        self.assertEqual(self.metric(
            "a", f'{failures}{{operation="read",outcome="failed"}}'), 1)

    @unittest.skipUnless(shutil.which("prometheus"), "no prometheus")
    def test_prometheus_answers_each_query_of_the_dashboard(self):
        self.start_to_stay()
        seen = Prometheus(os.path.join(self.places, ".."), ALERTS,
                          [self.url[node].removeprefix("http://")
                           for node in "abc"])
        self.addCleanup(seen.__exit__)
        self.assertEqual(put(self.url["a"], "k", b"1"), 201)
        with open(DASHBOARD, encoding="utf-8") as file:
            queries = [target["expr"] for panel in json.load(file)["panels"]
                       for target in panel["targets"]]
        self.assertGreater(len(queries), 20)
        for query in queries:
            query = query.replace("$instance", ".*")
            query = query.replace("$__rate_interval", "10s")
            until(f"{query} has a result", lambda query=query: get(
                f"{seen.url}/query?query={urllib.parse.quote(query)}"
            )[2].count(b'"metric"'))

    @unittest.skipUnless(shutil.which("prometheus"), "no prometheus")
    def test_an_alert_fires_while_a_node_is_away(self):
        self.start_to_stay()
        rules = os.path.join(self.places, "..", "rules.yml")
        with open(ALERTS, encoding="utf-8") as file:
            text = re.sub(r"for: \w+", "for: 1s", file.read())
        with open(rules, "w", encoding="utf-8") as file:
            file.write(text)
        seen = Prometheus(os.path.dirname(rules), os.path.abspath(rules),
                          [self.url[node].removeprefix("http://")
                           for node in "abc"])
        self.addCleanup(seen.__exit__)
        firing = 'count(ALERTS{alertstate="firing"}) or vector(0)'
        away = ('count(ALERTS{alertname="KistPeerAway",peer="c",'
                'alertstate="firing"})')

        seen.until_value("sum(kist_peer_up)", 6)
        seen.until_value(firing, 0)
        os.kill(self.pid["c"], signal.SIGKILL)
        seen.until_value(away, 2)
        self.said("c is started again")
        seen.until_value("sum(kist_peer_up)", 6)
        seen.until_value(firing, 0)

    @unittest.skipUnless(shutil.which("prometheus"), "no prometheus")
    def test_prometheus_scrapes_each_node(self):
        self.start_to_stay()

        def targets():
            _, _, body = get(f"{self.url['prometheus']}/api/v1/targets")
            return {target["labels"]["instance"]
                    for target in json.loads(body)["data"]["activeTargets"]}

        nodes = {self.url[node].removeprefix("http://") for node in "abc"}
        until("it has found all three", lambda: targets() == nodes)


if __name__ == "__main__":
    if not shutil.which("haproxy"):
        print("haproxy is not installed")
        sys.exit(77)
    unittest.main()
