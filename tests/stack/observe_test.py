#!/usr/bin/env python3
"""What an operator sees of the whole: one trace from an agent's call to the mail that it led to, by
daprd and Kafka, and metrics that Prometheus takes and that every alert and panel finds.

TODO_MCP names the server; the workers are found beside it."""

import datetime
import json
import os
import re
import subprocess
import sys
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import (Daprd, Kafka, OtlpCollector, SmtpSink, Worker, part,  # noqa: E402
                   pubsub_kafka, state_postgres)
from stack.process import TESTS  # noqa: E402
from todo_server import Client, Postgres, Server, wait_for  # noqa: E402

TRACE, AGENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CHART = os.path.join(TESTS, "..", "k8s", "helm", "todo-app")
# Of Kubernetes, of an exporter beside Kafka, and Prometheus' own: none of our programs has them.
OTHERS = {"container_memory_working_set_bytes", "kafka_consumergroup_lag", "up"}
CHAIN = ("tools/call set_reminder", "publish task-reminders", "process task-reminders", "send mail")
PARTS = re.compile(r"_(bucket|sum|count)$")


class Whole(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)
        cls.kafka, cls.collector, cls.sink = map(cls.begin, (Kafka(), OtlpCollector(), SmtpSink()))
        cls.folder = cls.sink.folder
        resources = os.path.join(cls.folder, "resources")
        os.makedirs(resources)
        pubsub_kafka(resources, cls.kafka.brokers)
        state_postgres(resources, cls.postgres.url)
        cls.workers, cls.sidecars = {}, {}
        for program, app_id, settings in (
                ("todo-email", "email-delivery-service", {
                    "SMTP_URL": cls.sink.url, "LOG_LEVEL": "debug"}),
                ("todo-recurring", "recurring-task-service", {}),
                ("todo-notification", "notification-service", {"USE_DAPR": ""})):
            worker = Worker(program, {"DATABASE_URL": cls.postgres.url, "USE_DAPR": "true",
                                      "OTEL_EXPORTER_OTLP_ENDPOINT": cls.collector.url, **settings})
            if worker.env["USE_DAPR"]:
                sidecar = cls.sidecar(app_id, resources, app_port=worker.port)
                worker.env["DAPR_HTTP_PORT"] = str(sidecar.port)
            cls.workers[program] = cls.begin(worker, wait=False)
        backend = cls.sidecar("backend", resources)
        cls.server = Server(cls.postgres.url, {
            "USE_DAPR": "true", "DAPR_HTTP_PORT": str(backend.port), "LOG_LEVEL": "debug",
            "TODO_USER": "ann", "TODO_EMAIL": "ann@example.org",
            "OTEL_EXPORTER_OTLP_ENDPOINT": cls.collector.url})
        cls.addClassCleanup(cls.server.stop)
        for worker in cls.workers.values():
            worker.wait_ready()
        cls.client = Client(cls.server.port)
        cls.addClassCleanup(cls.client.close)
        cls.follow()

    @classmethod
    def begin(cls, process, **kwargs):
        cls.addClassCleanup(process.close)
        return process.start(**kwargs)

    @classmethod
    def sidecar(cls, app_id, resources, **kwargs):
        cls.sidecars[app_id] = cls.begin(Daprd(app_id, resources, **kwargs), wait=False)
        return cls.sidecars[app_id]

    @classmethod
    def follow(cls):
        """The agent's only call with a trace: a reminder that is due at once."""
        task = cls.client.call("add_task", title="followed")
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
        params = {"name": "set_reminder", "arguments": {"task_id": task["id"],
                                                        "remind_at": at.isoformat()},
                  "_meta": {"traceparent": f"00-{TRACE}-{AGENT}-01",
                            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                            "io.modelcontextprotocol/clientCapabilities": {}}}
        status, answer = cls.client.request("tools/call", params)
        if status != 200 or answer["result"].get("isError"):
            raise AssertionError(answer)
        wanted = {*CHAIN, "publish task-events"}
        wait_for(lambda: wanted <= set(cls.spans()), 60, f"each of {wanted}")

    @classmethod
    def spans(cls):
        """By name."""
        return {s["name"]: s for s in cls.collector.spans() if s["traceId"] == TRACE}

    # ---- traces -----------------------------------------------------------------------------

    def test_one_trace_leads_from_the_agent_to_the_mail(self):
        spans = self.spans()
        parent = AGENT
        for name in CHAIN:
            self.assertEqual(spans[name]["parentSpanId"], parent, name)
            parent = spans[name]["spanId"]
        statement = next(s for s in spans.values() if s["kind"] == 3 and s["name"] != "send mail")
        self.assertEqual(statement["parentSpanId"], spans[CHAIN[0]]["spanId"])
        self.assertEqual(spans["publish task-events"]["parentSpanId"], spans[CHAIN[0]]["spanId"])
        services = [spans[name]["resource"]["service.name"] for name in CHAIN]
        self.assertEqual(services, ["backend", "backend", *2 * ["email-delivery-service"]])

    def test_the_mails_span_names_the_server_and_nobody(self):
        span = self.spans()["send mail"]
        values = {a["key"]: next(iter(a["value"].values())) for a in span["attributes"]}
        self.assertEqual(span["kind"], 3)
        self.assertEqual(values["server.address"], "127.0.0.1")
        self.assertEqual(int(values["server.port"]), int(self.sink.url.rsplit(":", 1)[1]))
        self.assertEqual(values["smtp.phase"], "end")
        self.assertNotIn("@", json.dumps(self.collector.spans()))
        self.assertNotIn("followed", json.dumps(self.collector.spans()))

    def test_log_lines_carry_the_spans_ids(self):
        spans = self.spans()
        calls = [json.loads(line) for line in self.server.lines if '"msg":"call"' in line]
        found = {(c["trace_id"], c["span_id"]) for c in calls}
        self.assertIn((TRACE, spans["tools/call set_reminder"]["spanId"]), found)
        handled = [line for line in self.workers["todo-email"].lines()
                   if line["msg"] == "event handled"]
        self.assertIn((TRACE, spans["process task-reminders"]["spanId"]),
                      {(h["trace_id"], h["span_id"]) for h in handled})

    # ---- metrics ----------------------------------------------------------------------------

    def text_of(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def ports(self):
        return {"todo-mcp": self.server.port, **{n: w.port for n, w in self.workers.items()}}

    def test_prometheus_takes_each_programs_metrics_and_has_nothing_to_mend(self):
        for name, port in self.ports().items():
            done = subprocess.run([part("promtool"), "check", "metrics"], check=False, text=True,
                                  input=self.text_of(port), stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            self.assertEqual((done.returncode, done.stdout), (0, ""), name)

    def test_each_metric_that_an_alert_or_a_panel_names_is_there(self):
        texts = [self.text_of(port) for port in self.ports().values()]
        there = {n for text in texts for n in re.findall(r"^# TYPE (\S+)", text, re.M)}
        with open(f"{CHART}/rules/todo-app.yaml", encoding="utf-8") as f:
            rules = "".join(re.findall(r"expr: (.*?)(?=\n +(?:for|labels):)", f.read(), re.S))
        with open(f"{CHART}/dashboards/todo-app.json", encoding="utf-8") as f:
            panels = "\n".join(t["expr"] for p in json.load(f)["panels"] for t in p["targets"])
        named = set(re.findall(r"\b((?:todo|http|process|kafka|container|dapr)_\w+|up)(?=[\[{)}\s])",
                               rules + "\n" + panels))
        self.assertGreater(len(named), 15)
        bases = {PARTS.sub("", n) if PARTS.sub("", n) in there else n for n in named}
        self.assertEqual(bases - there - OTHERS, set())

    def test_what_is_promised_is_measured(self):
        wanted = {"todo-mcp": ("todo_calls_total", "todo_call_seconds", "http_requests_total",
                               "http_request_duration_seconds", "todo_db_connections",
                               "todo_outbox_unpublished", "todo_outbox_oldest_seconds",
                               "todo_publish_seconds", "todo_publish_retries_total"),
                  "todo-email": ("todo_events_consumed_total", "todo_event_retries_total",
                                 "todo_mails_total", "todo_smtp_seconds"),
                  "todo-recurring": ("todo_events_consumed_total",),
                  "todo-notification": ("todo_reminder_late_seconds",)}
        for name, port in self.ports().items():
            types = re.findall(r"^# TYPE (\S+)", self.text_of(port), re.M)
            for metric in (*wanted[name], "process_resident_memory_bytes",
                           "process_cpu_seconds_total"):
                self.assertIn(metric, types, name)


if __name__ == "__main__":
    unittest.main()
