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
import subprocess
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
AWAY_S = 1  # From when find() is called.
DEMO_S = 480


def put(url, key, value):
    return get(f"{url}/kv/{key}", data=value, method="PUT")[0]


def put_at_last(url, key, value):
    """A busy machine can be late: what was not acknowledged is sent again."""
    until(f"{key} is acknowledged",
          lambda: put(url, key, value) in (201, 204))


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
        self.addCleanup(self.end)

    def end(self):
        """Nobody writes below a directory that is removed."""
        if self.program.child.poll() is None:
            self.program.child.send_signal(signal.SIGCONT)
            self.program.stop(signal.SIGINT)

    def start_to_stay(self):
        self.start("--back-after", str(AWAY_S))
        self.said("Ctrl-C ends all of it.")
        rows = ROW.findall(self.program.output())
        self.url = {name: url for name, url, _ in rows}
        self.pid = {name: int(pid) for name, _, pid in rows}

    def ends_by_itself(self):
        try:
            return self.program.child.wait(DEMO_S)
        except subprocess.TimeoutExpired:
            return f"not within {DEMO_S} s"

    def said(self, words):
        def condition():
            self.program.must_run()
            return words in self.program.output()
        until(f"it says: {words}", condition)

    def finds(self, node, key, value):
        until(f"{node} finds {key}", lambda: get(
            f"{self.url[node]}/kv/{key}")[2] == value)

    def own_copy(self, node, key):
        return get(f"{self.url[node]}/kv/{key}?r=1")[2]

    def lose(self, node):
        """It is away until find() is called: nobody starts it meanwhile."""
        self.program.child.send_signal(signal.SIGSTOP)
        os.kill(self.pid[node], signal.SIGKILL)

    def find(self, node):
        self.program.child.send_signal(signal.SIGCONT)
        self.said(f"{node} is started again")

    def expect_a_clean_end(self):
        self.assertEqual(self.program.stop(signal.SIGINT), 0)
        for pid in self.pid.values():
            self.assertFalse(os.path.exists(f"/proc/{pid}"), pid)
        self.assertEqual(os.listdir(self.places), [])

    def test_it_serves_through_the_loss_of_a_node_and_ends(self):
        self.start_to_stay()
        proxy = self.url["proxy"]
        put_at_last(proxy, "before", b"1")
        for node in "abc":
            self.finds(node, "before", b"1")

        # What the node has taken with it is 502, and tried again here.
        self.lose("c")
        for i in range(20):
            put_at_last(proxy, f"after/{i}", b"2")
        self.assertEqual(get(f"{self.url['c']}/livez")[0], 0)
        self.finds("b", "after/19", b"2")

        self.find("c")
        for i in range(20):
            until("the node that was away has its copy",
                  lambda i=i: self.own_copy("c", f"after/{i}") == b"2")
        self.expect_a_clean_end()

    def test_the_demo_shows_a_node_killed_under_load_and_one_that_joins(self):
        self.start("--demo", "--keys", "2000", "--seconds", "2")
        self.assertEqual(self.ends_by_itself(), 0, self.program.output())
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
        return float(until(f"{node} exports {series}", lambda: re.search(
            rf"^{re.escape(series)} (\S+)$",
            get(f"{self.url[node]}/metrics")[2].decode(), re.M))[1])

    def failures(self, operation):
        outcomes = {"write": ("not_applied", "unknown"), "read": ("failed",)}
        series = 'kist_quorum_failures_total{{operation="{}",outcome="{}"}}'
        return sum(self.metric("a", series.format(operation, outcome))
                   for outcome in outcomes[operation])

    def fails(self, operation, ask):
        """For want of owners, not of time: that would not be counted."""
        def is_counted():
            before = self.failures(operation)
            self.assertIn(ask(), (0, 503, 504))
            return self.failures(operation) == before + 1
        until(f"a {operation} that fails is counted", is_counted)

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
        lag = "kist_replication_lag_seconds_count"
        compared = "kist_anti_entropy_last_success_timestamp_seconds"
        oldest = "kist_hints_oldest_seconds"
        self.start_to_stay()
        until("all owners have it", lambda: put(self.url["a"], "k", b"1") and
              self.metric("a", lag) > 0)
        until("it was compared", lambda: self.metric("a", compared) > 1e9)
        until("none missed it", lambda: self.metric("a", oldest) == 0)

        self.lose("c")
        put_at_last(self.url["a"], "k", b"2")
        until("it is kept for the one that is away", lambda: self.metric(
            "a", "kist_hints_pending") > 0)
        self.assertGreater(self.metric("a", oldest), 0)

        self.fails("write", lambda: put(self.url["a"], "k?w=all", b"3"))
        self.fails("read", lambda: get(f"{self.url['a']}/kv/k?r=all")[0])

    def watch(self, rules):
        """A Prometheus of the test's, which looks more often."""
        seen = Prometheus(os.path.join(self.places, ".."), rules,
                          [self.url[node].removeprefix("http://")
                           for node in "abc"])
        self.addCleanup(seen.__exit__)
        return seen

    @unittest.skipUnless(shutil.which("prometheus"), "no prometheus")
    def test_prometheus_answers_each_query_of_the_dashboard(self):
        self.start_to_stay()
        seen = self.watch(ALERTS)
        put_at_last(self.url["a"], "k", b"1")
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
        seen = self.watch(os.path.abspath(rules))
        firing = 'count(ALERTS{alertstate="firing"}) or vector(0)'
        away = ('count(ALERTS{alertname="KistPeerAway",peer="c",'
                'alertstate="firing"})')

        seen.until_value("sum(kist_peer_up)", 6)
        seen.until_value(firing, 0)
        self.lose("c")
        seen.until_value(away, 2)
        self.find("c")
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
