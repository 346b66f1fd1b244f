"""Hostile deliveries to each route of a worker: from the relay's side and from daprd's. Every row of
the tables is one test; the worker lives on, records what is good, buries what is not, and its log
stays free of sanitizer reports."""

import collections
import itertools
import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from todo_server import Postgres, exchange, wait_for  # noqa: E402
from workers import CLOUDEVENT, PATHS, Worker, bulk, event  # noqa: E402
from events_tables import BINARY, BODIES, BULKS, EVENTS, FROM_PAGES, RAW, broken  # noqa: E402
from tables import post  # noqa: E402

JSON = "application/json"


class WorkerCase(unittest.TestCase):
    env = {}

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)
        cls.worker = Worker(cls.postgres.url, cls.env)
        cls.addClassCleanup(cls.worker.stop)
        wait_for(lambda: "no database" not in cls.worker.get("/readyz")[1], 60, "the database")
        cls.routes = itertools.cycle(PATHS.values())

    @classmethod
    def tearDownClass(cls):
        """What was counted is what is in the tables."""
        outcomes = cls.outcomes()
        assert outcomes["done"] == cls.count("recorder.recorded"), outcomes
        assert outcomes["dead_letter"] == cls.count("todo.dead_letters"), outcomes

    @classmethod
    def outcomes(cls):
        counts = collections.Counter()
        for outcome, count in re.findall(
                r'^todo_events_consumed_total\{.*outcome="(\w+)"\} (\d+)$',
                cls.worker.get("/metrics")[1], re.M):
            counts[outcome] += int(count)
        return counts

    @classmethod
    def count(cls, table):
        return int(cls.postgres.value(f"select count(*) from {table}"))

    def assert_alive(self):
        """A good event is done as ever."""
        self.assertTrue(self.worker.is_running(), "the worker died")
        self.assertEqual(self.worker.post(event()), 200)

    def recorded(self, *events):
        ids = ", ".join(f"'{e['id']}'" for e in events)
        return self.count(f"recorder.recorded where event_id in ({ids})")

    def check_buried(self, deliver, buried):
        """What `deliver` does has no effect and makes so many dead letters."""
        before = self.outcomes()
        deliver()
        after = self.outcomes()
        self.assertEqual(after["done"], before["done"])
        self.assertEqual(after["dead_letter"] - before["dead_letter"], buried)
        self.assert_alive()


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer else 0


class DirectTest(WorkerCase):
    """The relay's deliveries."""

    def check_status(self, deliver, status):
        def expect():
            got = deliver()
            self.assertEqual(got, status)
        self.check_buried(expect, 1 if status == 200 else 0)

    def test_a_type_in_another_case_with_a_parameter_is_ours(self):
        self.assertEqual(self.worker.post(
            event(), content_type="Application/CloudEvents+JSON; charset=utf-8"), 200)

    def test_an_unknown_attribute_is_let_pass(self):
        self.assertEqual(self.worker.post({**event(), "tenant": "x"}), 200)

    def test_an_event_in_binary_mode_is_recorded(self):
        e = event()
        headers = {"CE-SpecVersion": "1.0", "ce-id": e["id"], "ce-source": "%2Ftodo", "ce-type":
                   e["type"], "ce-time": e["time"], "Content-Type": JSON}
        self.assertEqual(self.worker.exchange("POST", "/events/task-events",
                                              json.dumps(e["data"]), headers)[0], 200)
        self.assertEqual(self.recorded(e), 1)

    def test_many_bodies_on_one_connection_are_answered_one_by_one(self):
        good = json.dumps(event()).encode()
        request = (b"POST /events/task-events HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                   b"application/cloudevents+json\r\nContent-Length: %d\r\n\r\n")
        data = (request % len(good) + good + request % 1 + b"x") * 10
        answers = exchange(self.worker.port, data, close_write=True)
        self.assertEqual([a[:3] for a in answers.split(b"HTTP/1.1 ")[1:]], [b"200", b"400"] * 10)

    def test_a_client_that_goes_leaves_its_event_done(self):
        e = event()
        body = json.dumps(e).encode()
        exchange(self.worker.port, b"POST /events/task-events HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                 b"application/cloudevents+json\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
                 seconds=0.001)
        wait_for(lambda: self.recorded(e), 30, "the record")
        self.assert_alive()


class DaprTest(WorkerCase):
    """daprd's deliveries: what is no event is buried, since nobody is there to be told."""

    env = {"USE_DAPR": "true", "DAPR_HTTP_PORT": "1"}

    def post_bulk(self, message):
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        status, _, text = self.worker.exchange("POST", "/events/task-events", body,
                                               {"Content-Type": JSON})
        return status, [s["status"] for s in json.loads(text).get("statuses", [])]

    def test_one_bad_entry_among_ten_leaves_the_nine(self):
        for name, (change, _) in EVENTS.items():
            with self.subTest(name):
                good = [event() for _ in range(9)]
                letters = self.outcomes()["dead_letter"]
                status, answers = self.post_bulk(bulk(good[:4] + [broken(change)] + good[4:]))
                self.assertEqual((status, answers), (200, ["SUCCESS"] * 10))
                self.assertEqual(self.recorded(*good), 9)
                self.assertEqual(self.outcomes()["dead_letter"], letters + 1)
        self.assert_alive()

    def test_entries_of_one_id_are_both_handled(self):
        events = [event(), event()]
        self.assertEqual(self.post_bulk(bulk(events, ["1", "1"])), (200, ["SUCCESS"] * 2))
        self.assertEqual(self.recorded(*events), 2)

    def test_an_event_twice_in_a_bulk_is_recorded_once(self):
        e = event()
        self.assertEqual(self.post_bulk(bulk([e, e, e])), (200, ["SUCCESS"] * 3))
        self.assertEqual(self.recorded(e), 1)

    def test_entries_that_are_no_objects_are_not_answered(self):
        e = event()
        message = bulk([e])
        message["entries"] = [7, None, "x", [], {"event": event()}, {"entryId": 7}] + \
            message["entries"]
        self.assertEqual(self.post_bulk(message), (200, ["SUCCESS"]))
        self.assertEqual(self.recorded(e), 1)
        self.assert_alive()

    def test_an_entry_without_an_event_is_buried(self):
        self.check_buried(lambda: self.post_bulk({"entries": [{"entryId": "1"}]}), 1)

    def test_an_empty_bulk_is_an_empty_answer(self):
        self.assertEqual(self.post_bulk({"entries": []}), (200, []))

    def test_a_job_that_is_none_is_not_found(self):
        self.assertEqual(self.worker.exchange("POST", "/job/check-due-tasks", "{}")[0], 404)

    def test_another_method_is_refused(self):
        for method, path in (("GET", "/events/task-events"), ("POST", "/dapr/subscribe"),
                             ("PUT", "/events/reminder-sent")):
            self.assertEqual(self.worker.exchange(method, path, "{}")[0], 405)


class TokenTest(WorkerCase):
    env = {"APP_API_TOKEN": "se cret"}

    def test_only_the_token_opens_a_route(self):
        body = json.dumps(event()).encode()
        for token in (b"", b"x", b"se cre", b"se crett", b"SE CRET", b"Bearer se cret", b"\xff"):
            for path in PATHS.values():
                with self.subTest(token=token, path=path):
                    answer = exchange(self.worker.port, (
                        b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\ndapr-api-token: %s"
                        b"\r\nContent-Type: application/cloudevents+json\r\nContent-Length: %d"
                        b"\r\n\r\n" % (path.encode(), token, len(body))) + body)
                    self.assertEqual(status_of(answer), 401)
        self.assertEqual(self.worker.post(event()), 401)
        twice = exchange(self.worker.port, (
            b"POST /events/task-events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"dapr-api-token: se cret\r\ndapr-api-token: se cret\r\n"
            b"Content-Length: 0\r\n\r\n"))
        self.assertEqual(status_of(twice), 401)
        self.assertEqual(self.count("recorder.recorded"), 0)
        self.assertEqual(self.worker.post(event(), headers={"dapr-api-token": "se cret"}), 200)
        self.assertNotIn("cret", "".join(self.worker.lines))


class PageTest(WorkerCase):
    """A page in a browser on this machine: its requests come from loopback too, so without a token
    they are told by the Origin that a browser sends with each POST, and by the Host's name when a
    page has its own name resolve to this machine."""

    def refused(self, worker, path, body, **headers):
        answer = exchange(worker.port, post(
            body, path=path, drop=("Accept", "MCP-Protocol-Version", "Mcp-Method"), **headers))
        self.assertEqual(status_of(answer), 403, answer[:300])

    def test_a_page_can_forge_no_event(self):
        forged = event()
        body = json.dumps(forged).encode()
        for path in PATHS.values():
            for page in FROM_PAGES:
                with self.subTest(path=path, page=page):
                    self.refused(self.worker, path, body, Content_Type=CLOUDEVENT, **page)
        self.assertEqual(self.recorded(forged), 0)
        self.assert_alive()

    def test_a_page_can_play_no_sidecar(self):
        worker = Worker(self.postgres.url, DaprTest.env)
        self.addCleanup(worker.stop)
        wait_for(lambda: "no database" not in worker.get("/readyz")[1], 60, "the database")
        forged = event()
        body = json.dumps(bulk([forged])).encode()
        for path in PATHS.values():
            for page in FROM_PAGES:
                with self.subTest(path=path, page=page):
                    self.refused(worker, path, body, Content_Type="text/plain", **page)
        self.assertEqual(self.recorded(forged), 0)


def add_table_tests():
    def add(case, name, function):
        setattr(case, "test_" + "".join(c if c.isalnum() else "_" for c in name), function)

    for name, (change, is_cloudevent) in EVENTS.items():
        status = 200 if is_cloudevent else 422
        add(DirectTest, f"event {name}", lambda self, c=change, s=status: self.check_status(
            lambda: self.worker.post(broken(c), next(self.routes)), s))
        add(DaprTest, f"event {name}", lambda self, c=change: self.check_buried(
            lambda: self.assertEqual(self.worker.post(broken(c), next(self.routes)), 200), 1))
    for name, (body, status) in BODIES.items():
        add(DirectTest, f"body {name}", lambda self, b=body, s=status: self.check_status(
            lambda: self.worker.post(b, next(self.routes)), s))
        add(DaprTest, f"body {name}", lambda self, b=body: self.check_buried(
            lambda: self.assertEqual(self.worker.post(b, next(self.routes)), 200), 1))
    for name, ((headers, body), status) in BINARY.items():
        add(DirectTest, f"binary {name}", lambda self, h=headers, b=body, s=status:
            self.check_status(lambda: self.worker.exchange(
                "POST", "/events/task-events", b, h)[0], s))
    for name, (data, status) in RAW.items():
        def test_raw(self, data=data, status=status):
            self.assertEqual(status_of(exchange(self.worker.port, data, close_write=True)), status)
            self.assert_alive()
        add(DirectTest, f"raw {name}", test_raw)
    for name, (body, status) in BULKS.items():
        def test_bulk(self, body=body, status=status):
            self.check_buried(lambda: self.assertEqual(self.post_bulk(body)[0], status), 0)
        add(DaprTest, f"bulk {name}", test_bulk)


add_table_tests()

if __name__ == "__main__":
    unittest.main()
