"""The benchmark's arithmetic, and that wrong answers never make a figure."""

import http.server
import os
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.path.insert(0, sys.argv.pop(1))
import measure      # noqa: E402
import memory_group  # noqa: E402
import raw_http     # noqa: E402
import report       # noqa: E402
import sizes        # noqa: E402
import targets      # noqa: E402
import writers      # noqa: E402
import wrk          # noqa: E402

RESULT = ('RESULT {"requests":%d,"duration_us":2000000,"bytes":100000,'
          '"connect":0,"read":0,"write":0,"timeout":%d,"status":%d,'
          '"mean":1.0,"max":9,"p50":1,"p90":2,"p99":3,"p999":4}\n')


def samples(*rates):
    return [{"per_second": rate} for rate in rates]


class Arithmetic(unittest.TestCase):
    def test_a_ratio_is_the_median_of_the_rounds_ratios(self):
        # The second round was slow for both: 2, 3, 4. Of the medians: 200/50.
        found = measure.ratios(samples(200, 30, 400), samples(100, 10, 100),
                               "per_second")
        self.assertEqual(found, {"median": 3, "min": 2, "max": 4})

    def test_a_round_that_went_wrong_leaves_no_ratio(self):
        good, bad = samples(1, 1), samples(1) + [{"error": "status 500"}]
        self.assertIsNone(measure.ratios(good, bad, "per_second"))
        self.assertIsNone(measure.ratios(bad, good, "per_second"))
        self.assertIsNone(measure.median_of(bad, "per_second"))
        self.assertEqual(measure.reason(bad), ("error", "status 500"))

    def test_every_round_measures_all_in_turn(self):
        order = []

        def contender(name):
            return lambda number: order.append((number, name)) or {}

        measure.in_turn({name: contender(name) for name in "ab"}, 2)
        self.assertEqual(order, [(0, "a"), (0, "b"), (1, "a"), (1, "b")])

    def test_what_raises_is_an_error_of_its_round_alone(self):
        def measured(number):
            if number == 1:
                raise wrk.Wrong("no")
            return {"per_second": 1}

        found = measure.in_turn({"a": measured}, 3)["a"]
        self.assertEqual(["error" in each for each in found],
                         [False, True, False])

    def test_what_a_server_cannot_do_is_no_error(self):
        def measured(_):
            raise measure.Absent("a limit")

        found = measure.in_turn({"a": measured}, 1)["a"]
        self.assertEqual(measure.reason(found), ("absent", "a limit"))

    def test_cpu_is_for_one_unit(self):
        self.assertEqual(measure.cpu_of(2, 1, 1_000_000),
                         {"user_us": 2, "system_us": 1, "cpu_us": 3})


    def test_a_figure_is_shown_with_its_least_and_greatest(self):
        found = [{"gap_ms": 30}, {"gap_ms": 10}, {"gap_ms": 900}]
        self.assertEqual(measure.spread_of(found, "gap_ms"),
                         {"median": 30, "min": 10, "max": 900})
        self.assertIsNone(measure.spread_of(found + [{"error": "no"}],
                                            "gap_ms"))


class Gaps(unittest.TestCase):
    """When writes were acknowledged, in seconds; the window is 10 to 20."""

    def test_a_gap_lies_between_two_acknowledgements(self):
        self.assertEqual(writers.longest_gap([11, 12, 15, 19], 10, 20), 4)

    def test_silence_counts_from_the_windows_beginning_and_to_its_end(self):
        self.assertEqual(writers.longest_gap([16, 19], 10, 20), 6)
        self.assertEqual(writers.longest_gap([11, 13], 10, 20), 7)
        self.assertEqual(writers.longest_gap([], 10, 20), 10)

    def test_what_is_outside_the_window_shortens_nothing(self):
        self.assertEqual(writers.longest_gap([9, 13, 19, 21], 10, 20), 6)

    def test_order_does_not_matter(self):
        self.assertEqual(writers.longest_gap([19, 12, 15, 11], 10, 20), 4)

    def test_one_client_that_waits_is_not_hidden_by_the_others(self):
        steady = [10 + each / 10 for each in range(1, 100)]
        found = writers.figures([steady, [11, 19]], 10, 20)
        self.assertAlmostEqual(found["of_one_ms"], 8000)
        self.assertAlmostEqual(found["of_all_ms"], 100)
        self.assertEqual(found["count"], 101)


class Sizes(unittest.TestCase):
    """What follows for a node from the number of members; a beat of 100 us."""

    def test_three_members_own_everything(self):
        self.assertEqual(sizes.row(3, 100), [
            "3", "112", "4", "0.0", "12", "4,096", "2", "64"])

    def test_beats_of_all_grow_with_the_square(self):
        self.assertEqual(sizes.row(101, 100)[2:5], ["200", "2.0", "20,200"])

    def test_who_owns_little_shares_it_with_few(self):
        self.assertEqual(sizes.row(1000, 100)[-3:], ["12", "25", "109"])


class Targets(unittest.TestCase):
    def result(self, ratio):
        return {"workloads": {"w": {"points": [{
            "at": 64, "samples": {"kistd": [], "peer": []},
            "ratios": {"peer": ratio}}]}}}

    def target(self, sense):
        return targets.Target("", "", "w", 64, "kistd", "peer", 3, sense)

    def test_a_bound_is_kept_from_its_side(self):
        for ratio, least, most in ((2.9, False, True), (3, True, True),
                                   (3.1, True, False)):
            self.assertEqual(self.target("at least").reached(ratio), least)
            self.assertEqual(self.target("at most").reached(ratio), most)

    def test_the_ratio_is_found_at_its_place(self):
        ratio = {"median": 3, "min": 2, "max": 4}
        target = self.target("at least")
        self.assertEqual(targets.ratio_of(self.result(ratio), target),
                         (ratio, ""))
        self.assertEqual(targets.ratio_of({"workloads": {}}, target),
                         (None, "not measured"))

    def test_a_target_without_a_figure_says_why(self):
        result = self.result(None)
        result["workloads"]["w"]["points"][0]["samples"]["peer"] = [
            {"error": "it ended"}]
        self.assertEqual(targets.ratio_of(result, self.target("at least")),
                         (None, "ERROR: it ended"))


    def test_the_worst_round_decides_about_a_figure_of_our_own(self):
        for sense, decisive, good in (("at most", 1200, False),
                                      ("at least", 20, False)):
            target = targets.Target("", "", "w", "kill", "kistd", "", 1000,
                                    sense, "gap_ms")
            result = {"workloads": {"w": {"points": [{
                "at": "kill", "ratios": {},
                "samples": {"kistd": [{"gap_ms": each}
                                      for each in (20, 30, 1200)]}}]}}}
            figure, _ = targets.ratio_of(result, target)
            self.assertEqual(figure["median"], 30)
            self.assertEqual(target.decisive(figure), decisive)
            self.assertEqual(target.reached(target.decisive(figure)), good)

    def test_a_figure_of_our_own_that_failed_says_why(self):
        target = targets.Target("", "", "w", "kill", "kistd", "", 1000,
                                "at most", "gap_ms")
        result = {"workloads": {"w": {"points": [{
            "at": "kill", "ratios": {},
            "samples": {"kistd": [{"gap_ms": 1}, {"error": "it ended"}]}}]}}}
        self.assertEqual(targets.ratio_of(result, target),
                         (None, "ERROR: it ended"))


class Report(unittest.TestCase):
    def entry(self, *samples):
        return {"title": "x", "axis": "what", "unit": "request", "text": "",
                "field": "per_second", "figures": {"gap_ms": "gap, ms"},
                "points": [{"at": "kill", "ratios": {},
                            "samples": {"kistd": list(samples)}}]}

    def test_figures_of_our_own_have_their_columns(self):
        lines = list(report.entry_lines(self.entry({"gap_ms": 20},
                                                   {"gap_ms": 40})))
        self.assertEqual(lines[-3:], ["| what |  | gap, ms |", "|---|---|---|",
                                      "| kill | kistd | 30 (20 to 40) |"])

    def test_workloads_of_another_run_replace_and_say_so(self):
        first = {"workloads": {"get": self.entry(), "put": self.entry()}}
        report.merge(first, {
            "date": "2026-12-24", "versions": {"kistd": "0.2.0"},
            "workloads": {"put": self.entry({"gap_ms": 7})}})
        self.assertNotIn("later", first["workloads"]["get"])
        lines = "\n".join(report.entry_lines(first["workloads"]["put"]))
        self.assertIn("Measured apart from the rest: 2026-12-24, kistd 0.2.0.",
                      lines)
        self.assertIn("7 (7 to 7)", lines)

    def test_a_round_without_a_figure_is_shown_as_that(self):
        lines = list(report.entry_lines(self.entry({"gap_ms": 20},
                                                   {"error": "no"})))
        self.assertEqual(lines[-1], "| kill | kistd | ERROR: no |")


class Parser(unittest.TestCase):
    def test_wrks_result_becomes_a_rate(self):
        result = wrk.parse("Running 2s test\n" + RESULT % (1000, 0, 0))
        self.assertEqual(result["per_second"], 500)
        self.assertEqual(result["p99"], 3)

    def test_a_bad_status_or_a_timeout_is_no_result(self):
        for timeouts, statuses in ((0, 1), (1, 0)):
            with self.assertRaises(wrk.Wrong):
                wrk.parse(RESULT % (1000, timeouts, statuses))

    def test_no_request_or_no_line_is_no_result(self):
        for text in (RESULT % (0, 0, 0), "unable to connect"):
            with self.assertRaises(wrk.Wrong):
                wrk.parse(text)

    def test_answers_of_another_size_are_noticed(self):
        result = wrk.parse(RESULT % (1000, 0, 0))
        wrk.check_size(result, 100, 2)
        with self.assertRaises(wrk.Wrong):
            wrk.check_size(result, 140, 2)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status = self.server.status_of(self.path)
        body = b"fine"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Itself:
    """The server that is measured is this program."""

    name = "itself"

    def pids(self):
        return [os.getpid()]


class Samples(unittest.TestCase):
    """A real wrk against a server that answers as it is told."""

    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # wrk just goes away.
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()
        self.folder = tempfile.TemporaryDirectory(prefix="kist-")

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()

    def sample(self, status_of, **more):
        self.server.status_of = status_of
        requests = Path(self.folder.name) / "requests"
        texts = [raw_http.request("GET", path) for path in ("/a", "/b")]
        wrk.write_requests(requests, texts)
        load = measure.Load(Itself(), requests, self.server.server_address[1],
                            texts[0], **more)
        return measure.attempt(
            lambda number: measure.sample(load, 2, 1, 0, number), 1)

    def test_right_answers_are_counted(self):
        found = self.sample(lambda path: 200, body=b"fine")
        self.assertNotIn("error", found)
        self.assertGreater(found["requests"], 0)

    def test_one_key_of_two_that_fails_is_an_error(self):
        found = self.sample(lambda path: 200 if path == "/a" else 503)
        self.assertRegex(found["error"], r"\d+ status errors in \d+ requests")

    def test_the_probe_is_held_to_its_status_and_body(self):
        found = self.sample(lambda path: 201)
        self.assertIn("status 201, not 200", found["error"])
        found = self.sample(lambda path: 200, body=b"other")
        self.assertIn("the body is", found["error"])


class Memory(unittest.TestCase):
    def setUp(self):
        self.kinds = memory_group.KINDS
        self.folder = tempfile.TemporaryDirectory()

    def tearDown(self):
        memory_group.KINDS = self.kinds
        self.folder.cleanup()

    def test_without_a_limit_nothing_is_measured(self):
        memory_group.KINDS = (Path(self.folder.name) / "none", "limit"),
        with self.assertRaises(measure.Absent):
            with memory_group.MemoryGroup(1000):
                self.fail("it was entered")

    def test_the_next_kind_is_tried_and_processes_are_put_in(self):
        here = Path(self.folder.name)
        memory_group.KINDS = (here / "none", "limit"), (here, "limit")
        with memory_group.MemoryGroup(1000) as group:
            group.add([77])
            self.assertEqual((group.folder / "limit").read_text(), "1000")
            self.assertEqual((group.folder / "cgroup.procs").read_text(), "77")


if __name__ == "__main__":
    unittest.main()
