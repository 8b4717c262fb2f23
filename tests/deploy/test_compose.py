#!/usr/bin/env python3
"""docker-compose.yml and what it mounts fit together.

No engine runs here, so what one would find out at start is checked from the
files: every mounted file exists, every volume is declared, every service that
is waited for has a health check, Grafana finds its data source and dashboard.

Usage: test_compose.py <source root>
"""

import json
import os
import re
import sys
import unittest

import yaml

ROOT = sys.argv.pop(1)


def path(*parts):
    return os.path.join(ROOT, *parts)


def load(name):
    with open(path(name), encoding="utf-8") as file:
        return yaml.safe_load(file)


COMPOSE = load("docker-compose.yml")
SERVICES = COMPOSE["services"]


def mounts(service):
    """(source, target) pairs of a service."""
    return [mount.split(":")[:2] for mount in SERVICES[service]["volumes"]]


def on_host(service, inside):
    """The file of this tree that a service sees at the path inside."""
    for source, target in mounts(service):
        if inside == target or inside.startswith(target + "/"):
            return path(source + inside[len(target):])
    raise AssertionError(f"{service} has nothing at {inside}")


def members():
    """{name: service} of the cluster's nodes."""
    return {name: service for name, service in SERVICES.items()
            if "KIST_NODE_ID" in service.get("environment", {})}


def targets(name):
    """What a Prometheus configuration scrapes."""
    return [target for job in load(name)["scrape_configs"]
            for group in job["static_configs"]
            for target in group["targets"]]


class Compose(unittest.TestCase):
    def test_every_mount_is_a_file_or_a_declared_volume(self):
        for service in SERVICES:
            for source, _ in mounts(service):
                if source.startswith("./"):
                    self.assertTrue(os.path.exists(path(source)), source)
                else:
                    self.assertIn(source, COMPOSE["volumes"])

    def test_every_declared_volume_is_used(self):
        used = {source for name in SERVICES for source, _ in mounts(name)}
        self.assertLessEqual(set(COMPOSE["volumes"]), used)

    def test_who_is_waited_for_can_be_healthy(self):
        for service in SERVICES.values():
            for other, rule in service.get("depends_on", {}).items():
                self.assertEqual(rule["condition"], "service_healthy")
                self.assertEqual(SERVICES[other]["healthcheck"]["test"][0],
                                 "CMD", "exec form: no shell needed")

    def test_ports_are_open_on_this_machine_only(self):
        for service in SERVICES.values():
            for port in service.get("ports", []):
                self.assertTrue(port.startswith("127.0.0.1:"), port)

    def test_what_runs_together_shares_no_port_and_no_data(self):
        for profile in ("node", "cluster"):
            together = [name for name, service in SERVICES.items()
                        if profile in service["profiles"]]
            ports = [port.rpartition(":")[0] for name in together
                     for port in SERVICES[name].get("ports", [])]
            self.assertEqual(len(ports), len(set(ports)), profile)
            data = [source for name in together for source, _ in mounts(name)
                    if not source.startswith("./")]
            self.assertEqual(len(data), len(set(data)), profile)

    def test_who_is_waited_for_runs_whenever_the_waiting_one_does(self):
        for service in SERVICES.values():
            for other in service.get("depends_on", {}):
                self.assertLessEqual(set(service["profiles"]),
                                     set(SERVICES[other]["profiles"]))

    def test_one_node_is_what_runs_if_nothing_is_said(self):
        with open(path(".env"), encoding="utf-8") as file:
            self.assertIn("COMPOSE_PROFILES=node\n", file.readlines())
        self.assertEqual(SERVICES["kistd"]["profiles"], ["node"])

    def test_images_are_pinned(self):
        for service in SERVICES.values():
            if "build" not in service:
                self.assertRegex(service["image"], r":v?\d+\.\d+\.\d+$")


class Cluster(unittest.TestCase):
    def test_the_members_know_each_other_by_their_service_names(self):
        self.assertEqual(len(members()), 3)
        for name, service in members().items():
            environment = service["environment"]
            self.assertEqual(environment["KIST_NODE_ID"], name)
            self.assertEqual(environment["KIST_PEERS"],
                             ",".join(f"{other}={other}:7701"
                                      for other in members()))

    def test_the_members_share_a_secret(self):
        for service in members().values():
            [secret] = service["secrets"]
            self.assertIn(secret, COMPOSE["secrets"])
            self.assertEqual(service["environment"]["KIST_PEER_SECRET_FILE"],
                             f"/run/secrets/{secret}")

    def test_the_proxy_is_in_front_of_all_members(self):
        config = on_host("haproxy", "/usr/local/etc/haproxy/haproxy.cfg")
        with open(config, encoding="utf-8") as file:
            servers = re.findall(r'^ +server (\w+) "\$\{\w+-(\S+)\}" check$',
                                 file.read(), re.M)
        self.assertEqual(servers, [(name, f"{name}:7700")
                                   for name in members()])
        self.assertEqual(set(SERVICES["haproxy"]["depends_on"]),
                         set(members()))


class Watching(unittest.TestCase):
    def test_prometheus_reads_what_is_mounted(self):
        for service in ("prometheus", "prometheus-cluster"):
            [config] = [argument.partition("=")[2]
                        for argument in SERVICES[service]["command"]
                        if argument.startswith("--config.file=")]
            with open(on_host(service, config), encoding="utf-8") as file:
                settings = yaml.safe_load(file)
            for rules in settings["rule_files"]:
                inside = os.path.join(os.path.dirname(config), rules)
                self.assertTrue(os.path.isfile(on_host(service, inside)))

    def test_prometheus_scrapes_kistd_by_its_service_name(self):
        self.assertEqual(targets("deploy/prometheus/prometheus.yml"),
                         ["kistd:7700"])

    def test_prometheus_scrapes_each_member_of_the_cluster(self):
        self.assertEqual(targets("deploy/prometheus/cluster.yml"),
                         [f"{name}:7700" for name in members()])

    def test_grafana_finds_its_dashboard_and_data_source(self):
        provisioning = on_host("grafana", "/etc/grafana/provisioning")
        with open(f"{provisioning}/datasources/prometheus.yml",
                  encoding="utf-8") as file:
            [source] = yaml.safe_load(file)["datasources"]
        self.assertEqual(source["url"], "http://prometheus:9090")
        self.assertIn("prometheus", SERVICES["prometheus-cluster"]["networks"]
                      ["default"]["aliases"])

        with open(f"{provisioning}/dashboards/kist.yml",
                  encoding="utf-8") as file:
            [provider] = yaml.safe_load(file)["providers"]
        folder = on_host("grafana", provider["options"]["path"])
        for name in ("kist.json", "kist-cluster.json"):
            with open(f"{folder}/{name}", encoding="utf-8") as file:
                dashboard = json.load(file)
            self.assertEqual({panel["datasource"]["uid"]
                              for panel in dashboard["panels"]},
                             {source["uid"]}, name)

        home = SERVICES["grafana"]["environment"][
            "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        self.assertTrue(os.path.isfile(on_host("grafana", home)))


    def on_redis(self):
        return {name: service["environment"]
                for name, service in SERVICES.items()
                if service.get("environment", {}).get("KIST_ENGINE")
                == "redis"}

    def redis_nodes(self):
        return {name for name, service in SERVICES.items()
                if "--cluster-enabled" in service.get("command", [])}

    def test_two_kistd_share_the_redis_cluster_that_is_made(self):
        nodes = self.redis_nodes()
        self.assertEqual(len(nodes), 6)
        self.assertEqual(len(self.on_redis()), 2)
        for environment in self.on_redis().values():
            named = environment["KIST_REDIS_NODES"].split(",")
            self.assertLessEqual({node.partition(":")[0] for node in named},
                                 nodes)
        script = open(on_host("redis-cluster", "/make-cluster.sh"),
                      encoding="utf-8").read()
        numbers = re.search(r"for i in ([\d ]+);", script)[1].split()
        self.assertEqual({f"redis-{n}" for n in numbers}, nodes)
        self.assertEqual(set(SERVICES["redis-cluster"]["depends_on"]), nodes)

    def test_what_redis_acknowledges_is_on_its_disk(self):
        for node in self.redis_nodes():
            command = SERVICES[node]["command"]
            for flag, value in (("--appendonly", "yes"),
                                ("--appendfsync", "always"),
                                ("--maxmemory-policy", "noeviction")):
                self.assertEqual(command[command.index(flag) + 1], value)
            self.assertEqual([target for _, target in mounts(node)],
                             ["/data"])


if __name__ == "__main__":
    unittest.main()
