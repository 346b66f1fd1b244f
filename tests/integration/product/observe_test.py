#!/usr/bin/env python3
"""What an operator sees of the server: metrics that add up, and traces that hang together."""

import os
import re
import sys
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import todo_server  # noqa: E402
from stack import OtlpCollector  # noqa: E402

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Observe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = todo_server.Postgres(fsync=False)
        cls.collector = OtlpCollector().start()
        cls.server = todo_server.Server(cls.postgres.url, env={
            "OTEL_EXPORTER_OTLP_ENDPOINT": cls.collector.url,
            "EVENT_SUBSCRIBERS": "task-recurrence=http://127.0.0.1:1/nobody"})
        cls.client = todo_server.Client(cls.server.port)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.stop()
        cls.collector.close()
        cls.postgres.close()

    def metrics(self):
        url = f"http://127.0.0.1:{self.server.port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            self.assertTrue(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
            text = answer.read().decode()
        found = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, value = re.fullmatch(r"(\S+(?:\{.*\})?) (\S+)", line).groups()
                self.assertNotIn(name, found, "a series that is there twice")
                found[name] = float(value)
        return found

    def test_each_call_is_counted_by_tool_and_outcome(self):
        def count(outcome):
            series = f'todo_calls_total{{method="tools/call",name="get_task",outcome="{outcome}"}}'
            return self.metrics().get(series, 0)
        good, bad = count("ok"), count("error")
        task = self.client.call("add_task", title="counted")
        self.client.call("get_task", task_id=task["id"])
        with self.assertRaises(todo_server.ToolError):
            self.client.call("get_task", task_id=987654321)
        self.assertEqual((count("ok"), count("error")), (good + 1, bad + 1))

    def test_an_event_that_went_out_is_counted(self):
        series = 'todo_events_published_total{topic="task-events"}'
        before = self.metrics().get(series, 0)
        self.client.call("add_task", title="published")
        todo_server.wait_for(lambda: self.metrics().get(series, 0) == before + 1, 10, series)
        self.assertEqual(self.metrics()["todo_relay_leader"], 1)

    def test_events_that_cannot_go_out_are_seen_to_wait(self):
        task = self.client.call("add_task", title="waits")
        self.client.call("complete_task", task_id=task["id"])
        todo_server.wait_for(lambda: self.metrics()["todo_outbox_unpublished"] == 1, 20, "the event")
        self.assertGreater(self.metrics()["todo_outbox_oldest_seconds"], 0)
        self.assertGreater(self.metrics()["todo_publish_retries_total"], 0)

    def test_what_a_client_makes_up_makes_no_series(self):
        for n in range(20):
            with self.assertRaises(Exception):
                self.client.call(f"no_such_tool_{n}")
        self.assertFalse([name for name in self.metrics() if "no_such_tool" in name])

    def test_one_trace_from_the_agent_to_the_statement_and_the_event(self):
        traceparent = f"00-{TRACE}-{PARENT}-01"
        self.client.request("tools/call", {"name": "add_task", "arguments": {"title": "traced"}},
                            headers={"traceparent": traceparent})
        spans = todo_server.wait_for(
            lambda: [s for s in self.collector.spans() if s["traceId"] == TRACE][1:] and
            {s["kind"]: s for s in self.collector.spans() if s["traceId"] == TRACE}, 10, "spans")
        call, statement = spans[2], spans[3]
        self.assertEqual(call["parentSpanId"], PARENT)
        self.assertEqual(call["name"], "tools/call add_task")
        self.assertEqual(call["resource"]["service.name"], "backend")
        self.assertEqual(statement["parentSpanId"], call["spanId"])
        kept = self.postgres.value(
            "select traceparent from todo.outbox where data->>'title' = 'traced'")
        self.assertEqual(kept, f"00-{TRACE}-{call['spanId']}-01")


if __name__ == "__main__":
    unittest.main()
