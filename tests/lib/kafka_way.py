"""For the tests of the way through Kafka: events, the program that publishes them, the worker that
records them, and what the broker itself says."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import uuid

from stack import free_port, kafka_python
from todo_server import wait_for

kafka_python()
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition  # noqa: E402

GROUP = "recorder"
STRUCTURED = [("content-type", b"application/cloudevents+json")]
TASKS, REMINDERS = "task-events", "task-reminders"


def attributes(task_id, event_id=None):
    return {"specversion": "1.0", "id": event_id or str(uuid.uuid4()), "source": "/todo/mcp-server",
            "type": "TaskDeletedEvent", "subject": f"task/{task_id}",
            "time": "2026-11-24T10:00:00Z", "datacontenttype": "application/json",
            "partitionkey": str(task_id)}


def data_of(attribute, **changes):
    return {"event_id": attribute["id"], "event_type": "task.deleted",
            "timestamp": attribute["time"], "user_id": 1, "schema_version": "1.0",
            "task_id": int(attribute["partitionkey"]), **changes}


def event(task_id, event_id=None, **changes):
    """A CloudEvent in structured mode, as a dict."""
    head = attributes(task_id, event_id)
    return {**head, "data": data_of(head, **changes)}


def forget(kafka):
    """Gives a stopped broker the data of a new one."""
    shutil.rmtree(kafka.data)
    shutil.copytree(os.path.join(kafka.home, "template"), kafka.data)


def line(topic, key, value, **more):
    """What kafka_publish reads."""
    text = value if isinstance(value, str) else json.dumps(value)
    return {"topic": topic, "key": str(key), "event": text, **more}


class Publisher:
    """kafka_publish over a pipe; `outcomes` in the order in which they came."""

    def __init__(self, brokers, *words, **env):
        self.process = subprocess.Popen(
            [os.environ["TODO_KAFKA_PUBLISH"], *words], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "KAFKA_BROKERS": brokers, **env})
        self.outcomes, self.log = [], []
        self.threads = [threading.Thread(target=self._read, args=(self.process.stdout,
                                                                  self._take), daemon=True),
                        threading.Thread(target=self._read, args=(self.process.stderr,
                                                                  self.log.append), daemon=True)]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def _read(stream, take):
        for text in stream:
            take(text)

    def _take(self, text):
        self.outcomes.append(json.loads(text))

    def send(self, *lines):
        for each in lines:
            self.process.stdin.write(json.dumps(each) + "\n")
        self.process.stdin.flush()

    def count(self, outcome="acked"):
        return sum(o["outcome"] == outcome for o in list(self.outcomes))

    def end(self, seconds=60):
        """Once each line has its last outcome; the exit code."""
        self.process.stdin.close()
        code = self.process.wait(seconds)
        for thread in self.threads:
            thread.join(10)
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except OSError:
                pass


class Recorder:
    """One replica of the worker of the tests, which takes events from Kafka."""

    def __init__(self, brokers, postgres, **env):
        self.port = free_port()
        self.brokers, self.postgres, self.more = brokers, postgres, env
        self.folder = tempfile.TemporaryDirectory(prefix="todo-recorder-")
        self.path = os.path.join(self.folder.name, "deliveries")
        self.log = os.path.join(self.folder.name, "log")
        self.process = None

    def start(self):
        env = {**os.environ, "KAFKA_BROKERS": self.brokers, "DATABASE_URL": self.postgres.url,
               "HTTP_PORT": str(self.port), "RECORDER_LOG": self.path, "LOG_LEVEL": "debug",
               "LOG_FORMAT": "json", "DRAIN_MS": "5000", **self.more}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([os.environ["TODO_RECORDER"]], env=env, stdout=log,
                                            stderr=log)
        return self

    def deliveries(self):
        """The runs of the handler, in their order."""
        if not os.path.exists(self.path):
            return []
        with open(self.path, encoding="utf-8") as f:
            return [json.loads(text) for text in f if text.endswith("\n")]

    def logged(self, message):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return [entry for entry in map(self._parse, f) if entry.get("msg") == message]

    @staticmethod
    def _parse(text):
        try:
            return json.loads(text)
        except ValueError:
            return {}

    def partitions(self):
        """How many are its own."""
        changes = (self.logged("partitions were given to us") +
                   self.logged("partitions were given back") +
                   self.logged("partitions were lost"))
        return max(changes, key=lambda e: e["ts"])["partitions"] if changes else 0

    def wait_joined(self, seconds=60):
        wait_for(lambda: self.logged("partitions were given to us") or self._died(), seconds,
                 "the group")
        return self

    def _died(self):
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                raise RuntimeError("the recorder ended:\n" + f.read()[-4000:])

    def stop(self, seconds=30):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)

    def close(self):
        self.kill()
        self.folder.cleanup()


class Topics:
    """What the broker has: messages and committed offsets."""

    def __init__(self, brokers):
        self.brokers = brokers

    def produce(self, topic, messages):
        """Each (key, value, headers), bytes or None; in this order. Waits for the acknowledgement."""
        producer = KafkaProducer(bootstrap_servers=self.brokers, acks="all", linger_ms=5,
                                 max_request_size=2 << 20)
        sent = [producer.send(topic, key=key, value=value, headers=headers or [],
                              partition=None if key is not None else 0)
                for key, value, headers in messages]
        for future in sent:
            future.get(30)
        producer.close(10)

    def read(self, topic):
        """All that is in it, by partition and offset."""
        consumer = KafkaConsumer(bootstrap_servers=self.brokers, enable_auto_commit=False,
                                 auto_offset_reset="earliest", consumer_timeout_ms=10000,
                                 max_partition_fetch_bytes=4 << 20)
        parts = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(parts)
        ends = consumer.end_offsets(parts)
        begins = consumer.beginning_offsets(parts)
        left = sum(ends[p] - begins[p] for p in parts)
        messages = []
        while left > len(messages):
            for batch in consumer.poll(1000).values():
                messages.extend(batch)
        consumer.close()
        return messages

    def lag(self, group, topic):
        """Messages that the group has not committed; None while it has committed nothing."""
        admin = KafkaAdminClient(bootstrap_servers=self.brokers)
        committed = admin.list_consumer_group_offsets(group)
        admin.close()
        consumer = KafkaConsumer(bootstrap_servers=self.brokers)
        parts = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        ends = consumer.end_offsets(parts)
        consumer.close()
        return sum(ends[p] - max(committed[p].offset if p in committed else 0, 0) for p in parts)
