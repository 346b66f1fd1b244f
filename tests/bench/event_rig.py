"""What carries events while they are measured: the rig of the fault campaigns with one todo-mcp and
a disk that is waited for, the plain alternative to the relay, and what the parts can do alone."""

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "faults"))
from rig import TOKEN, Rig  # noqa: E402
from sink import Sink  # noqa: E402
from stack import PostgresServer, Process, kafka_python  # noqa: E402
from todo_server import server_binary, wait_for  # noqa: E402
from world import META  # noqa: E402

BYTES = 400  # of an event as it goes out
BULK, BULK_CONNECTIONS = 100, 4
RECORDS_MIN = 50000  # until a JVM has compiled what it runs
PARTITIONS = 3  # of task-events

INSERT = """insert into todo.outbox (id, key, topic, type, data)
select todo.uuid_v7(), (n % 5000 + 1)::text, 'task-events', 'TaskUpdatedEvent',
       jsonb_build_object('n', n, 'fill', repeat('x', {fill})) from generate_series(1, {count}) n"""
FILL = BYTES - 330  # the rest is the envelope


class Publisher(Process):
    """The relay as a process of its own, or what stands in its place. It says nothing when it is
    ready; what it publishes is waited for."""

    name = "publisher"

    def __init__(self, words, settings):
        super().__init__()
        self.words, self.env = words, settings

    def command(self):
        return self.words

    def is_ready(self):
        return True


def poller():
    """The program of the plain alternative."""
    return subprocess.run(["bash", f"{HERE}/../lib/built.sh", f"{HERE}/outbox_poller"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


class EventRig(Rig):
    def __init__(self, transport):
        super().__init__(transport, replicas=1)

    def make_postgres(self):
        return PostgresServer(settings=["track_commit_timestamp=on"])

    def settings(self, number):
        return super().settings(number) | {"LOG_LEVEL": "warn"}

    @property
    def server(self):
        return self.replicas[0]

    # ---- who publishes: "relay" and "nobody" (to whom it has nobody to publish), or "poll N" (ms)

    @contextlib.contextmanager
    def publisher(self, who, sink=False):
        """Alone. With `sink` the direct way ends at a subscriber that does nothing."""
        with contextlib.ExitStack() as stack:
            settings = self.settings(0)
            if who.startswith("poll"):
                words = [poller()]
                settings["POLL_MS"] = who.split()[1]
            else:
                if who == "nobody":
                    settings["EVENT_SUBSCRIBERS"] = " "
                elif sink and self.transport == "direct":
                    there = stack.enter_context(contextlib.closing(Sink()))
                    settings["EVENT_SUBSCRIBERS"] = f"task-events={there.url}"
                words = [server_binary(), "relay"]
            yield stack.enter_context(Publisher(words, settings))

    @contextlib.contextmanager
    def serving(self, who):
        """todo-mcp with its relay, or with none and the poller beside it."""
        with contextlib.ExitStack() as stack:
            settings = self.settings(0)
            if who.startswith("poll"):
                settings["RELAY"] = "false"
                stack.enter_context(self.publisher(who))
            elif who == "nobody":
                settings["EVENT_SUBSCRIBERS"] = " "
            self.server.stop()
            self.server.set(settings)
            self.server.start()
            yield self.server
            self.server.stop()

    # ---- the backlog

    def backlog(self, count):
        self.postgres.query("truncate todo.outbox, todo.relay")
        self.postgres.query(INSERT.format(fill=FILL, count=count))
        self.postgres.query("analyze todo.outbox")

    def wait_published(self):
        wait_for(lambda: self.postgres.value(
            "select count(*) from todo.outbox where published_at is null") == "0", 300,
            "the last publication")

    def in_kafka(self):
        """How many events the topic has ever had."""
        kafka = kafka_python()
        consumer = kafka.KafkaConsumer(bootstrap_servers=self.kafka.brokers)
        try:
            parts = [kafka.TopicPartition("task-events", n) for n in range(PARTITIONS)]
            return sum(consumer.end_offsets(parts).values())
        finally:
            consumer.close()

    # ---- the limits of the parts: events a second, without us

    def limit(self, count):
        if self.transport == "kafka":
            return self.kafka_limit(max(3 * count, RECORDS_MIN))  # its start is in the count
        return self.daprd_limit(count) if self.sidecars else None

    def daprd_limit(self, count):
        """By the sidecar's bulk publish."""
        event = {"specversion": "1.0", "id": "0", "source": "/bench", "type": "TaskUpdatedEvent",
                 "datacontenttype": "application/json", "data": {"fill": ""}}
        event["data"]["fill"] = "x" * (BYTES - len(json.dumps(event)))
        body = json.dumps([{"entryId": str(n), "contentType": "application/cloudevents+json",
                            "event": event, "metadata": {"partitionKey": str(n)}}
                           for n in range(BULK)])
        share = count // BULK // BULK_CONNECTIONS

        def work(publishes):
            connection = http.client.HTTPConnection("127.0.0.1", self.sidecars[0].port)
            for _ in range(publishes):
                connection.request("POST", "/v1.0/publish/bulk/pubsub-kafka/task-events", body,
                                   {"Content-Type": "application/json", "dapr-api-token": TOKEN})
                answer = connection.getresponse()
                answer.read()
                if answer.status not in (200, 204):
                    raise RuntimeError(f"daprd answered {answer.status}")
            connection.close()

        work(3)
        before = time.monotonic()
        together(work, [share] * BULK_CONNECTIONS)
        return share * BULK_CONNECTIONS * BULK / (time.monotonic() - before)

    def warm(self):
        """A Kafka that has just been started interprets its code."""
        if self.kafka:
            self.kafka.create_topic("warm")
            self.kafka_limit(RECORDS_MIN, "warm")

    def kafka_limit(self, count, topic="task-events"):
        """By Kafka's own kafka-producer-perf-test."""
        out = self.kafka.tool(
            "org.apache.kafka.tools.ProducerPerformance", "--topic", topic,
            "--num-records", str(count), "--record-size", str(BYTES), "--throughput", "-1",
            "--producer-props", f"bootstrap.servers={self.kafka.brokers}", "acks=all",
            "enable.idempotence=true")
        return float(re.findall(r"([\d.]+) records/sec", out)[-1])


def tool_call(tool, **arguments):
    """The message of a call."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": tool, "arguments": arguments, "_meta": META}})


def together(work, arguments):
    """`work` for each of the arguments, in a thread each; the first failure is raised."""
    failures = []

    def run(argument):
        try:
            work(argument)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(argument,)) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
