"""Each check of a history, on one that breaks its rule, and on one that not."""

import unittest
from types import SimpleNamespace

import checks
from clients import body_of, value_of


def operation(f, t0, version=None, **more):
    made = {"proc": 0, "f": f, "kind": "shared", "key": "k", "after": None,
            "value": None, "w": 2, "r": 2, "acked": 2, "t0": t0,
            "t1": t0 + 1, "out": "ok", "version": version,
            "status": 404 if f == "get" and version is None else 200}
    return made | more


def put(t0, version, **more):
    return operation("put", t0, version, **{"value": f"v{version}"} | more)


def get(t0, version, **more):
    value = f"v{version}" if version else None
    return operation("get", t0, version, **{"value": value} | more)


def delete(t0, version, **more):
    return operation("delete", t0, version, **more)


class Histories(unittest.TestCase):
    def bad(self, check, *operations):
        self.assertTrue(list(check(operations)))

    def good(self, check, *operations):
        self.assertEqual(list(check(operations)), [])

    def test_a_read_finds_what_was_acknowledged_before(self):
        check = checks.reads_go_forward
        self.bad(check, put(0, "1"), put(2, "2"), get(4, "1"))
        self.bad(check, put(0, "1"), get(4, None))
        self.good(check, put(0, "1"), put(2, "2"), get(2.5, "1"))
        self.good(check, put(0, "1"), put(2, "2", w=1), get(4, "1"))
        self.good(check, put(0, "1"), put(2, "2", out="unknown"), get(4, "1"))

    def test_a_read_finds_what_another_one_found(self):
        check = checks.reads_go_forward
        self.bad(check, put(0, "1"), put(0, "2", out="unknown"), get(2, "2"),
                 get(4, "1"))

    def test_a_deleted_value_does_not_come_back(self):
        check = checks.reads_go_forward
        self.bad(check, put(0, "1"), delete(2, "2"), get(4, "1"))
        self.good(check, put(0, "1"), delete(2, "2"), get(4, None))
        self.good(check, put(0, "1"), delete(2, None, out="unknown"),
                  get(4, None))
        self.bad(check, put(0, "1"), delete(2, None, out="fail"),
                 get(4, None))

    def test_a_session_sees_what_it_knows(self):
        check = checks.reads_go_forward
        self.bad(check, get(4, "1", r=1, after="2"))
        self.good(check, get(4, "2", r=1, after="2"))

    def test_what_is_read_was_written(self):
        check = checks.reads_find_what_was_written
        self.bad(check, get(4, "1"))
        self.bad(check, put(0, "1", out="fail"), get(4, "1"))
        self.bad(check, put(0, "1"), get(4, "1") | {"version": "2"})
        self.good(check, put(0, "1"), get(4, "1"))
        self.good(check, put(0, None, out="unknown", value="v1"), get(4, "1"))

    def test_no_version_is_given_twice(self):
        check = checks.versions_are_given_once
        self.bad(check, put(0, "1"), delete(2, "1"))
        self.bad(check, put(0, "1", after="2"))
        self.good(check, put(0, "1"), delete(2, "2", after="1"))

    def test_no_version_is_ahead_of_its_time(self):
        check = checks.versions_are_of_their_time
        now_ms = int((checks.WALL_S + 1) * 1e3)
        at = f"{now_ms:012x}" + 20 * "0"
        later = f"{now_ms + 9000:012x}" + 20 * "0"
        self.bad(check, put(0, later))
        self.good(check, put(0, at))

    def test_a_receipt_says_at_least_w(self):
        check = checks.receipts_keep_their_word
        self.bad(check, put(0, "1", acked=1))
        self.good(check, put(0, "1", acked=3))


class Values(unittest.TestCase):
    def test_large_ones_are_known_to_the_last_byte(self):
        for value in ("1-2", "1-2L"):
            self.assertEqual(value_of(body_of(value)), value)
        body = body_of("1-2L")
        self.assertNotEqual(value_of(body[:-1]), "1-2L")
        self.assertNotEqual(value_of(body[:500] + b"x" + body[501:]), "1-2L")


class Ends(unittest.TestCase):
    def found(self, copy, *operations):
        copies = SimpleNamespace(found={"k": {"a": copy}})
        return list(checks.nothing_is_lost(operations, copies))

    def test_what_was_acknowledged_is_there(self):
        self.assertTrue(self.found(("", None), put(0, "1")))
        self.assertTrue(self.found(("1", "v1"), put(0, "1"), put(2, "2")))
        self.assertFalse(self.found(("2", "v2"), put(0, "1"), put(2, "2")))
        self.assertFalse(self.found(("2", "v2"), put(0, "1"),
                                    put(2, "2", out="unknown")))

    def test_what_one_had_may_go_with_it(self):
        copies = SimpleNamespace(found={"k": {"a": ("", None)}})
        one, two = put(0, "1", acked=1), put(0, "1", acked=2)
        self.assertFalse(list(checks.nothing_is_lost([one], copies, 2)))
        self.assertTrue(list(checks.nothing_is_lost([two], copies, 2)))

    def test_what_was_deleted_is_not(self):
        self.assertTrue(self.found(("1", "v1"), put(0, "1"), delete(2, "2")))
        self.assertFalse(self.found(("", None), put(0, "1"), delete(2, "2")))

    def test_what_was_refused_is_nowhere(self):
        self.assertTrue(self.found(("1", "v1"), put(0, "1", out="fail")))

    def test_other_bytes_are_noticed(self):
        self.assertTrue(self.found(("1", "else"), put(0, "1")))


if __name__ == "__main__":
    unittest.main()
