"""Two kistd on one Redis: what only shows where the keyspace is shared, or the
Redis goes away, forgets its scripts, or is not fit to be used."""

import json
import sys
import threading
import time
import unittest
from pathlib import Path

import servers

PROGRAM = sys.argv.pop(1)


ERRORS = []


def guard(run):
    """Its error is told by the test, not by the thread."""
    def guarded(i):
        try:
            run(i)
        except BaseException as error:
            ERRORS.append(f"{i}: {error!r}")
    return guarded


def in_threads(count, run):
    threads = [threading.Thread(target=guard(run), args=(i,))
               for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not ERRORS, ERRORS


class Shared(unittest.TestCase):
    FLAGS = ()
    DURABLE = ("--appendonly", "yes", "--appendfsync", "always")

    def setUp(self):
        self.scratch = servers.scratch()
        self.addCleanup(self.scratch.cleanup)
        self.redis = servers.Redis(self.path("redis"), *self.FLAGS)
        self.addCleanup(self.redis.kill)
        self.redis.await_up()
        self.kistds = []

    def path(self, name):
        return Path(self.scratch.name, name)

    def kistd(self, *flags, nodes=None, ready=True):
        kistd = servers.Kistd(
            PROGRAM, self.path(f"kistd-{len(self.kistds)}"),
            nodes or f"127.0.0.1:{self.redis.port}", *flags)
        self.kistds.append(kistd)
        self.addCleanup(kistd.stop)
        if ready:
            kistd.await_ready()
        return kistd

    def expect(self, client, status, *what, **rest):
        answer = client.ask(*what, **rest)
        self.assertEqual(answer[0], status, (what, answer[2]))
        return answer

    def outcome(self, answer):
        return json.loads(answer[2])["outcome"]


class TwoOnOne(Shared):
    def test_no_count_is_lost(self):
        pair = [self.kistd(), self.kistd()]

        def count(i):
            client = pair[i % 2].client()
            for _ in range(150):
                self.expect(client, 200, "POST", "/kv/hits?op=incr")

        in_threads(8, count)
        self.assertEqual(pair[0].client().ask("GET", "/kv/hits")[2], b"1200")

    def test_one_of_those_who_replace_a_version_does(self):
        pair = [self.kistd(), self.kistd()]
        won = []

        def race(i):
            client = pair[i % 2].client()
            for n in range(40):
                answer = client.ask("PUT", f"/kv/race/{n}", str(i),
                                    {"If-None-Match": "*"})
                if answer[0] == 201:
                    won.append(n)
                else:
                    self.assertEqual(answer[0], 412)
                    self.assertEqual(self.outcome(answer), "not_applied")

        in_threads(6, race)
        self.assertEqual(sorted(won), list(range(40)))

        def append(i):
            client = pair[i % 2].client()
            done = 0
            while done < 20:
                _, headers, body = client.ask("GET", "/kv/list")
                items = json.loads(body) if headers.get("ETag") else []
                condition = {"If-Match": headers["ETag"]} if \
                    headers.get("ETag") else {"If-None-Match": "*"}
                answer = client.ask("PUT", "/kv/list",
                                    json.dumps([*items, i]), condition)
                done += answer[0] in (201, 204)

        in_threads(4, append)
        items = json.loads(pair[0].client().ask("GET", "/kv/list")[2])
        self.assertEqual(sorted(items), sorted([0, 1, 2, 3] * 20))

    def test_each_sees_what_the_other_wrote(self):
        one, other = self.kistd().client(), self.kistd().client()
        for n in range(50):
            _, wrote, _ = self.expect(one, 201 if n == 0 else 204, "PUT",
                                      "/kv/a", str(n))
            _, read, body = self.expect(other, 200, "GET", "/kv/a")
            self.assertEqual((read["ETag"], body),
                             (wrote["ETag"], str(n).encode()))
        self.expect(other, 204, "DELETE", "/kv/a")
        self.expect(one, 404, "GET", "/kv/a")

    def test_a_write_at_one_ends_a_wait_at_the_other(self):
        one, other = self.kistd(), self.kistd()
        writer = one.client()
        waits = []

        def wait(path, seconds, headers={}):
            """Begun when kistd counts it; then (answer, seconds) at the end."""
            def run():
                began = time.monotonic()
                answer = other.client().ask("GET", path, None, {
                    "Prefer": f"wait={seconds}", **headers})
                waits.append((path, answer, time.monotonic() - began))

            thread = threading.Thread(target=run)
            before = waiting()
            thread.start()
            servers.wait_for("the wait", lambda: waiting() > before)
            return thread

        def waiting():
            text = other.client().ask("GET", "/metrics")[2].decode()
            return next(float(line.split()[1]) for line in text.splitlines()
                        if line.startswith("kist_waiting_requests "))

        def end(threads):
            for thread in threads:
                thread.join()
            done, waits[:] = list(waits), []
            return done

        absent = [wait(f"/kv/w{n}", 20) for n in range(8)] + \
            [wait("/kv/w0", 20)]
        for n in range(8):
            self.expect(writer, 201, "PUT", f"/kv/w{n}", str(n))
        for path, answer, seconds in end(absent):
            self.assertEqual((answer[0], answer[2]), (200, path[5:].encode()))
            self.assertEqual(answer[1]["Preference-Applied"], "wait")
            self.assertLess(seconds, 10)

        etag = self.expect(writer, 204, "PUT", "/kv/w0?ttl=2", "1")[1]["ETag"]
        expires = wait("/kv/w0", 20, {"If-None-Match": etag})
        old = writer.ask("HEAD", "/kv/w1")[1]["ETag"]
        changes = wait("/kv/w1", 20, {"If-None-Match": old})
        gone = wait("/kv/w2", 20, {
            "If-None-Match": writer.ask("HEAD", "/kv/w2")[1]["ETag"]})
        stays = wait("/kv/w3", 1, {
            "If-None-Match": writer.ask("HEAD", "/kv/w3")[1]["ETag"]})
        self.expect(writer, 200, "POST", "/kv/w1?op=incr")
        self.expect(writer, 204, "DELETE", "/kv/w2")
        answers = {path: answer for path, answer, _ in
                   end([expires, changes, gone, stays])}
        self.assertEqual({path: answer[0] for path, answer in answers.items()},
                         {"/kv/w0": 404, "/kv/w1": 200, "/kv/w2": 404,
                          "/kv/w3": 304})
        self.assertEqual(answers["/kv/w1"][2], b"2")
        self.assertEqual(waiting(), 0)

    def test_a_batch_is_atomic_within_a_tag_and_refused_beyond(self):
        client = self.kistd().client()
        keys = ["{t}a", "{t}b"]
        body = json.dumps({"operations": [
            {"op": "put", "key": key, "value": 1} for key in keys]})
        self.expect(client, 200, "POST", "/batch?atomic=1", body)
        self.expect(client, 200, "GET", "/kv/%7Bt%7Db")
        answer = self.expect(client, 422, "POST", "/batch?atomic=1",
                             body.replace("{t}b", "b"))
        self.assertEqual(self.outcome(answer), "not_applied")
        self.assertIn("{user7}", json.loads(answer[2])["detail"])
        self.expect(client, 200, "POST", "/batch", body.replace("{t}", ""))

    def test_a_long_listing_is_in_order_and_skips_what_has_expired(self):
        client = self.kistd("--redis-connections", "4").client()
        operations = [{"op": "put", "key": f"k/{n:05}", "value": n}
                      for n in range(3000)]
        for operation in operations[::3]:
            operation["ttl"] = 2
        self.expect(client, 200, "POST", "/batch",
                    json.dumps({"operations": operations}))
        self.expect(client, 200, "GET", "/kv?count=1")
        time.sleep(2.1)
        living = [f"k/{n:05}" for n in range(3000) if n % 3]
        for reverse in (0, 1):
            keys, cursor = [], ""
            while cursor is not None:
                page = json.loads(client.ask(
                    "GET", f"/kv?prefix=k/&limit=1000&reverse={reverse}"
                    + (f"&cursor={cursor}" if cursor else ""))[2])
                keys += [item["key"] for item in page["items"]]
                cursor = page.get("next")
            self.assertEqual(keys, living[::-1] if reverse else living)
        indexes = self.redis.ask("KEYS", "*#index").split()
        left = sum(int(self.redis.ask("ZCARD", name)) for name in indexes)
        self.assertEqual(left, len(living))
        lines = client.ask("GET", "/kv?prefix=k/&values=1", headers={
            "Accept": "application/x-ndjson"})[2].splitlines()
        self.assertEqual([json.loads(line)["key"] for line in lines], living)
        self.expect(client, 409, "DELETE", "/kv?prefix=k/&confirm=5")
        body = self.expect(client, 200, "DELETE",
                           f"/kv?prefix=k/&confirm={len(living)}")[2]
        self.assertEqual(json.loads(body), {"deleted": len(living)})

    def test_scripts_that_redis_forgets_are_sent_again(self):
        client = self.kistd().client()
        for n in range(5):
            self.assertEqual(self.redis.ask("SCRIPT", "FLUSH"), "OK")
            self.expect(client, 201, "PUT", f"/kv/{n}", "1")
            self.expect(client, 200, "POST", f"/kv/{n}?op=incr")


class ComesAndGoes(Shared):
    FLAGS = Shared.DURABLE

    def test_what_was_acknowledged_survives_a_kill_under_load(self):
        pair = [self.kistd(), self.kistd()]
        acked, stopping, refused = [{}, {}, {}, {}], threading.Event(), []

        def write(i):
            client = pair[i % 2].client()
            n = 0
            while not stopping.is_set():
                n += 1
                answer = client.ask("PUT", f"/kv/{i}/{n}", str(n))
                if answer[0] == 201:
                    self.assertEqual(answer[1]["Kist-Durable"], "sync")
                    acked[i][n] = answer[1]["ETag"]
                elif self.outcome(answer) == "not_applied":
                    refused.append(f"/kv/{i}/{n}")

        threads = [threading.Thread(target=guard(write), args=(i,))
                   for i in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        self.redis.kill()
        time.sleep(0.7)
        self.redis.start()
        self.redis.await_up()
        time.sleep(1)
        stopping.set()
        for thread in threads:
            thread.join()
        self.assertEqual(ERRORS, [])
        client = pair[0].client()
        for i, some in enumerate(acked):
            self.assertGreater(len(some), 20)
            for n, etag in some.items():
                _, headers, body = self.expect(client, 200, "GET",
                                               f"/kv/{i}/{n}")
                self.assertEqual((headers["ETag"], body),
                                 (etag, str(n).encode()))
        for path in refused:
            self.expect(client, 404, "GET", path)

    def test_without_redis_answers_say_so_and_kistd_recovers(self):
        kistd = self.kistd("--redis-timeout", "300ms")
        client = kistd.client()
        self.expect(client, 201, "PUT", "/kv/a", "1")
        self.redis.kill()
        answer = self.expect(client, 503, "PUT", "/kv/a", "2")
        self.assertEqual(self.outcome(answer), "not_applied")
        self.expect(client, 503, "GET", "/kv/a")
        self.expect(client, 503, "GET", "/kv")
        servers.wait_for("not ready", lambda: not kistd.is_ready())
        self.redis.start()
        kistd.await_ready()
        servers.wait_for("reads", lambda: client.ask("GET", "/kv/a")[2]
                         == b"1")

    def test_a_stop_ends_though_redis_is_away(self):
        kistd = servers.Kistd(PROGRAM, self.path("stops"),
                              f"127.0.0.1:{self.redis.port}",
                              "--redis-timeout", "2s")
        kistd.await_ready()
        self.expect(kistd.client(), 201, "PUT", "/kv/a", "1")
        self.redis.kill()
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(
            kistd.client().ask("PUT", "/kv/a", "2")[0])) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)  # They are under way, or refused at once: both do.
        began = time.monotonic()
        kistd.stop()
        self.assertLess(time.monotonic() - began, 10)
        for thread in threads:
            thread.join()
        self.assertEqual(statuses, [503] * 3)

    def test_a_start_without_redis_waits_for_it(self):
        self.redis.kill()
        kistd = self.kistd(ready=False)
        client = kistd.client()
        _, _, body = self.expect(client, 503, "GET", "/readyz?verbose")
        check = next(check for check in json.loads(body)["checks"]
                     if check["name"] == "redis")
        self.assertIn("--redis-nodes", check["why"])
        began = time.monotonic()
        answer = self.expect(client, 503, "PUT", "/kv/a", "1")
        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(self.outcome(answer), "not_applied")
        self.redis.start()
        kistd.await_ready()
        self.expect(client, 201, "PUT", "/kv/a", "1")

    def test_without_a_replica_that_is_to_have_it_nothing_is_written(self):
        client = self.kistd("--redis-wait", "1", "--redis-timeout",
                            "300ms").client()
        answer = self.expect(client, 503, "PUT", "/kv/a", "1")
        self.assertEqual(self.outcome(answer), "not_applied")
        self.expect(client, 404, "GET", "/kv/a")


class IsWhatItIs(Shared):
    def test_durability_is_what_redis_has(self):
        kistd = self.kistd()
        client = kistd.client()
        _, headers, _ = self.expect(client, 201, "PUT", "/kv/a", "1")
        self.assertEqual(headers["Kist-Durable"], "async")
        answer = self.expect(client, 422, "PUT", "/kv/a?durability=sync", "2")
        self.assertEqual(self.outcome(answer), "not_applied")
        self.expect(client, 204, "PUT", "/kv/a?durability=async", "2")
        _, _, body = client.ask("GET", "/readyz?verbose")
        self.assertIn(b"can lose acknowledged writes", body)
        self.assertTrue(any(line["event"] == "redis.configured" and
                            "appendonly no" in line["config"]
                            for line in kistd.lines()))

    def test_a_redis_that_drops_keys_is_not_used(self):
        self.redis.ask("CONFIG", "SET", "maxmemory", "100mb")
        self.redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        kistd = self.kistd(ready=False)
        servers.wait_for("the verdict", lambda: any(
            line["event"] == "redis.moved" and line["to"] == "evicts"
            for line in kistd.lines()))
        client = kistd.client()
        _, _, body = self.expect(client, 503, "GET", "/readyz?verbose")
        self.assertIn(b"noeviction", body)
        self.expect(client, 503, "PUT", "/kv/a", "1")

    def test_a_full_redis_is_a_full_disk(self):
        client = self.kistd().client()
        self.expect(client, 201, "PUT", "/kv/a", "1")
        self.redis.ask("CONFIG", "SET", "maxmemory", "1mb")
        answer = self.expect(client, 507, "PUT", "/kv/b", "1")
        self.assertEqual(self.outcome(answer), "not_applied")
        self.expect(client, 200, "GET", "/kv/a")
        self.expect(client, 404, "GET", "/kv/b")

    def test_a_password_and_a_user_are_shown(self):
        # As docs/engines.md has it.
        self.redis.ask("ACL", "SETUSER", "kist", "on", ">secret", "~kist*",
                       "+@read", "+@write", "+@scripting", "+info",
                       "+config|get", "+cluster|slots", "+asking", "+wait")
        self.redis.ask("CONFIG", "SET", "requirepass", "other")
        file = self.path("password")
        file.write_text("secret\n")
        kistd = self.kistd("--redis-user", "kist", "--redis-password-file",
                           str(file))
        client = kistd.client()
        self.expect(client, 201, "PUT", "/kv/a?ttl=100", "1")
        self.expect(client, 204, "PUT", "/kv/a", "1")
        self.expect(client, 200, "POST", "/kv/a?op=incr")
        self.expect(client, 200, "GET", "/kv?values=1")
        self.expect(client, 204, "DELETE", "/kv/a")
        bare = self.kistd(ready=False)
        servers.wait_for("the refusal", lambda: any(
            "NOAUTH" in line.get("seen", "") for line in bare.lines()))
        self.assertNotIn("secret", (kistd.directory / "log").read_text())

    def test_what_is_damaged_in_redis_is_not_served(self):
        client = self.kistd().client()
        self.expect(client, 201, "PUT", "/kv/a", '"value"')
        name = self.redis.ask("KEYS", "*}:a")
        self.redis.ask("SETRANGE", name, "70", "X")
        self.assertNotEqual(client.ask("GET", "/kv/a")[0], 200)
        self.assertNotEqual(client.ask("PATCH", "/kv/a", "{}", {
            "Content-Type": "application/merge-patch+json"})[0], 204)

    def test_several_that_are_no_cluster_are_refused(self):
        other = servers.Redis(self.path("other"))
        self.addCleanup(other.kill)
        other.await_up()
        kistd = self.kistd(
            ready=False,
            nodes=f"127.0.0.1:{self.redis.port},127.0.0.1:{other.port}")
        servers.wait_for("the verdict", lambda: any(
            line.get("to") == "no_cluster" for line in kistd.lines()))
        self.expect(kistd.client(), 503, "PUT", "/kv/a", "1")


unittest.main(warnings="ignore")
