"""The way in from a real Kafka: each event has its effect once, in the order of its key, and an
offset is committed only after that, whatever becomes of broker, database and replicas."""

import json
import os
import signal
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import SCRAM_PASSWORD, SCRAM_USER, Authority, Kafka  # noqa: E402
from kafka_way import (GROUP, STRUCTURED, TASKS, Recorder, Topics, attributes, data_of,  # noqa: E402
                       event, forget)
from todo_server import Client, Postgres, Server, wait_for  # noqa: E402


def messages_of(events):
    return [(e["partitionkey"].encode(), json.dumps(e).encode(), STRUCTURED) for e in events]


class Case(unittest.TestCase):
    def setUp(self):
        self.kafka = Kafka(**self.broker_options()).start()
        self.addCleanup(self.kafka.close)
        self.postgres = Postgres(fsync=False)
        self.addCleanup(self.postgres.close)
        self.topics = Topics(self.kafka.brokers)

    def broker_options(self):
        return {}

    def recorder(self, brokers=None, **env):
        r = Recorder(brokers or self.kafka.brokers, self.postgres, **env)
        self.addCleanup(r.close)
        return r.start()

    def effects(self):
        has_table = self.postgres.value("select to_regclass('recorder.recorded') is not null")
        return has_table == "t" and int(
            self.postgres.value("select count(*) from recorder.recorded"))

    def wait_effects(self, count, seconds=60):
        wait_for(lambda: self.effects() >= count, seconds, f"{count} effects")

    def wait_committed(self, seconds=30):
        wait_for(lambda: self.topics.lag(GROUP, TASKS) == 0, seconds, "the last commit")

    def check_once_and_in_order(self, events):
        rows = self.postgres.query("select key, event_id from recorder.recorded order by seq")
        order, wanted = {}, {}
        for key, event_id in rows:
            order.setdefault(key, []).append(event_id)
        for e in events:
            wanted.setdefault(e["partitionkey"], []).append(e["id"])
        self.assertEqual(order, wanted)


class One(Case):
    def test_each_event_has_its_effect_once_and_in_order(self):
        events = [event(1 + i % 25) for i in range(2000)]
        self.topics.produce(TASKS, messages_of(events[:1000]))
        r = self.recorder()
        self.wait_effects(1000)
        self.topics.produce(TASKS, messages_of(events[1000:]))
        self.wait_effects(2000)
        self.check_once_and_in_order(events)
        self.assertEqual(len(r.deliveries()), 2000)
        self.wait_committed()
        self.assertEqual(r.stop(), 0)

    def test_binary_mode_and_an_envelope_without_headers_are_taken_too(self):
        binary, bare = event(1), event(2)
        head = attributes(1, binary["id"])
        headers = [("content-type", b"application/json")] + [
            (f"ce_{name}", value.encode()) for name, value in head.items()
            if name != "datacontenttype"]
        self.topics.produce(TASKS, [(b"1", json.dumps(data_of(head)).encode(), headers),
                                    (b"2", json.dumps(bare).encode(), [])])
        self.recorder()
        self.wait_effects(2)
        self.assertEqual({row[0] for row in self.postgres.query(
            "select event_id from recorder.recorded")}, {binary["id"], bare["id"]})

    def test_hostile_messages_become_dead_letters_and_the_partition_goes_on(self):
        good = event(7)
        text = json.dumps(good).encode()
        large = json.dumps({**event(7), "pad": "x" * 1_000_000}).encode()
        hostile = [
            (b"7", None, []), (b"7", None, STRUCTURED), (None, b"", STRUCTURED), (b"", b"", []),
            (b"7", b"\0" * 100, STRUCTURED), (b"7", os.urandom(1000), STRUCTURED),
            (os.urandom(500), os.urandom(1000), []), (b"7", b"x" * 1_000_000, STRUCTURED),
            (b"7", text[:-5], STRUCTURED), (b"7", text + b"}", STRUCTURED),
            (b"7", b"[" * 100_000, STRUCTURED), (b"7", b"null", STRUCTURED),
            (b"7", text, [("content-type", b"text/xml")]), (b"7", text, [("content-type", b"")]),
            (b"7", text, [("content-type", b"application/json"), ("ce_id", b"1")]),
            (b"7", text, [("content-type", b"application/json"), ("ce_specversion", b"0.3"),
                          ("ce_id", b"1"), ("ce_id", b"2"), ("ce_source", b"\xff\xfe")]),
            (b"7", text, [(f"ce_x{n}", b"y") for n in range(2000)]),
            (b"7", text, [("ce_" + "z" * 5000, b""), ("content-type", b"application/json")]),
            (b"7", text, [("ce_", b""), ("content-type", b"a" * 5000)]),
            (b"7", json.dumps({**good, "type": "Unknown"}).encode(), STRUCTURED),
            (b"7", json.dumps({**good, "specversion": "2.0"}).encode(), STRUCTURED),
        ]
        self.topics.produce(TASKS, [*hostile, (b"7", large, STRUCTURED), (b"7", text, STRUCTURED)])
        r = self.recorder()
        self.wait_effects(1)
        wait_for(lambda: int(self.postgres.value("select count(*) from todo.dead_letters")) >=
                 len(hostile) - 1, 30, "the dead letters")
        self.wait_committed()
        dead = int(self.postgres.value("select count(*) from todo.dead_letters"))
        # The empty content type alone is as none; the large one is an event like another.
        self.assertEqual((dead, self.effects()), (len(hostile) - 1, 2))
        self.assertEqual(r.stop(), 0)

    def test_what_is_given_back_comes_again_and_holds_only_its_key(self):
        events = [event(1 + i % 10) for i in range(400)]
        r = self.recorder(RECORDER_FAULT="unavailable", RECORDER_EVERY="9")
        self.topics.produce(TASKS, messages_of(events))
        self.wait_effects(400)
        self.check_once_and_in_order(events)
        self.assertGreater(len(r.deliveries()), 400)
        self.wait_committed()
        self.assertEqual(r.stop(), 0)

    def test_an_offset_is_committed_only_after_the_effect(self):
        self.topics.produce(TASKS, messages_of([event(1 + i) for i in range(20)]))
        r = self.recorder(RECORDER_FAULT="stall", RECORDER_STALL_MS="4000")
        wait_for(lambda: len(r.deliveries()) == 20, 60, "the deliveries")
        self.assertEqual((self.effects(), self.topics.lag(GROUP, TASKS)), (0, 20))
        self.wait_effects(20)
        self.wait_committed()

    def test_no_more_is_taken_than_can_be_in_hand(self):
        self.topics.produce(TASKS, messages_of([event(1 + i) for i in range(2000)]))
        r = self.recorder(RECORDER_FAULT="stall", RECORDER_STALL_MS="1500")
        wait_for(lambda: len(r.deliveries()) >= 256, 60, "the first deliveries")
        self.assertEqual(self.effects(), 0)
        self.assertEqual(len(r.deliveries()), 256)
        self.wait_effects(2000)
        self.assertEqual(len(r.deliveries()), 2000)
        self.wait_committed()

    def test_a_database_that_is_killed_costs_nothing(self):
        events = [event(1 + i % 20) for i in range(3000)]
        self.topics.produce(TASKS, messages_of(events))
        r = self.recorder(RECORDER_FAULT="stall", RECORDER_STALL_MS="50", RECORDER_EVERY="3")
        self.wait_effects(300)
        self.postgres.kill()
        wait_for(lambda: r.logged("event given back"), 30, "an event that was given back")
        self.postgres.start()
        self.wait_effects(3000, 90)
        self.check_once_and_in_order(events)
        self.wait_committed()
        self.assertEqual(self.postgres.value("select count(*) from todo.dead_letters"), "0")
        self.assertEqual(r.stop(), 0)

    def test_a_broker_that_is_killed_costs_nothing(self):
        events = [event(1 + i % 20) for i in range(2000)]
        self.topics.produce(TASKS, messages_of(events[:1500]))
        r = self.recorder(RECORDER_FAULT="stall", RECORDER_STALL_MS="30", RECORDER_EVERY="2")
        self.wait_effects(200)
        self.kafka.kill()
        self.kafka.start()
        self.topics.produce(TASKS, messages_of(events[1500:]))
        self.wait_effects(2000, 90)
        self.check_once_and_in_order(events)
        self.wait_committed()
        self.assertEqual(r.stop(), 0)

    def test_a_broker_that_lost_its_data_is_used_again(self):
        self.topics.produce(TASKS, messages_of([event(1 + i) for i in range(300)]))
        r = self.recorder()
        self.wait_effects(300)
        self.kafka.kill()
        forget(self.kafka)
        self.kafka.start()
        self.topics.produce(TASKS, messages_of([event(1 + i) for i in range(100)]))
        self.wait_effects(400)
        self.wait_committed()
        self.assertEqual(r.stop(), 0)

    def test_a_broker_that_is_away_is_waited_for_at_the_start_and_not_at_the_end(self):
        self.kafka.stop()
        r = self.recorder()
        wait_for(lambda: r.logged("the Kafka client complains"), 30, "a word about the broker")
        self.kafka.start()
        self.topics.produce(TASKS, messages_of([event(1)]))
        self.wait_effects(1)
        self.kafka.kill()
        self.assertEqual(r.stop(15), 0)

    def test_a_second_start_takes_nothing_again(self):
        self.topics.produce(TASKS, messages_of([event(1 + i) for i in range(300)]))
        first = self.recorder()
        self.wait_effects(300)
        self.assertEqual(first.stop(), 0)
        self.assertEqual(self.topics.lag(GROUP, TASKS), 0)
        second = self.recorder().wait_joined()
        self.topics.produce(TASKS, messages_of([event(1)]))
        self.wait_effects(301)
        self.assertEqual(len(second.deliveries()), 1)


class Whole(Case):
    """From the tool's call to the worker's effect."""

    def server(self):
        s = Server(self.postgres.url, {"KAFKA_BROKERS": self.kafka.brokers})
        self.addCleanup(lambda: s.is_running() and s.kill())
        return s

    def changes(self):
        return self.postgres.query("select key, id from todo.outbox order by seq")

    def check_all_changes_have_their_effect(self):
        changes = self.changes()
        self.wait_effects(len(changes))
        order, wanted = {}, {}
        for key, event_id in self.postgres.query(
                "select key, event_id from recorder.recorded where topic = 'task-events' "
                "order by seq"):
            order.setdefault(key, []).append(event_id)
        for key, event_id in self.postgres.query(
                "select key, id from todo.outbox where topic = 'task-events' order by seq"):
            wanted.setdefault(key, []).append(event_id)
        self.assertEqual(order, wanted)
        self.assertEqual(self.effects(), len(changes))

    def test_each_change_of_a_task_reaches_the_worker_though_all_are_killed(self):
        first, second, r = self.server(), self.server(), self.recorder()
        client = Client(first.port)
        self.addCleanup(client.close)
        ids = [client.call("add_task", title=f"task {n}")["id"] for n in range(60)]
        self.wait_effects(60)
        self.kafka.kill()
        for n, task_id in enumerate(ids):
            client.call("update_task", task_id=task_id, title=f"new {n}")
        self.assertEqual(self.effects(), 60)
        first.kill()
        r.kill()
        self.kafka.start()
        r.start()
        client = Client(second.port)
        self.addCleanup(client.close)
        for task_id in ids:
            client.call("complete_task", task_id=task_id)
        self.check_all_changes_have_their_effect()
        self.assertEqual(self.postgres.value("select count(*) from todo.dead_letters"), "0")
        second.stop()
        self.assertEqual(r.stop(), 0)


class User(Case):
    def broker_options(self):
        folder = tempfile.TemporaryDirectory(prefix="todo-kafka-")
        self.addCleanup(folder.cleanup)
        self.authority = Authority(folder.name)
        return {"sasl": True, "tls": self.authority.issue()}

    def test_events_come_over_tls_to_a_user_with_the_right_password(self):
        env = {"KAFKA_SASL_MECHANISM": "SCRAM-SHA-256", "KAFKA_SASL_USERNAME": SCRAM_USER,
               "KAFKA_TLS": "true", "KAFKA_CA_FILE": self.authority.certificate}
        self.topics.produce(TASKS, messages_of([event(1)]))
        wrong = self.recorder(self.kafka.sasl_ssl_brokers, KAFKA_SASL_PASSWORD="no", **env)
        wait_for(lambda: wrong.logged("Kafka refuses us"), 30, "the refusal")
        self.assertEqual(wrong.stop(15), 0)
        self.recorder(self.kafka.sasl_ssl_brokers, KAFKA_SASL_PASSWORD=SCRAM_PASSWORD, **env)
        self.wait_effects(1)


class Group(Case):
    def start_three(self, **env):
        replicas = []
        for _ in range(3):
            replicas.append(self.recorder(**env).wait_joined())
        wait_for(lambda: all(r.partitions() for r in replicas), 60, "a partition for each")
        return replicas

    def test_a_killed_replica_is_replaced_and_no_effect_happens_twice(self):
        events = [event(1 + i % 40) for i in range(6000)]
        replicas = self.start_three(RECORDER_FAULT="stall", RECORDER_STALL_MS="20",
                                    RECORDER_EVERY="2")
        self.topics.produce(TASKS, messages_of(events[:4000]))
        self.wait_effects(500)
        replicas[0].kill()
        replicas[0].start()
        self.topics.produce(TASKS, messages_of(events[4000:]))
        self.wait_effects(6000, 90)
        self.check_once_and_in_order(events)
        self.wait_committed()
        for r in replicas:
            self.assertEqual(r.stop(), 0)

    def test_others_take_over_within_ten_seconds(self):
        replicas = self.start_three()
        replicas[0].kill()
        self.topics.produce(TASKS, messages_of([event(1 + i) for i in range(100)]))
        self.wait_effects(100, 10)

    def test_a_replica_that_stood_still_changes_nothing_when_it_goes_on(self):
        events = [event(1 + i % 40) for i in range(3000)]
        replicas = self.start_three(RECORDER_FAULT="stall", RECORDER_STALL_MS="20",
                                    RECORDER_EVERY="2")
        self.topics.produce(TASKS, messages_of(events[:2000]))
        self.wait_effects(300)
        replicas[0].process.send_signal(signal.SIGSTOP)
        wait_for(lambda: sum(r.partitions() for r in replicas[1:]) == 7, 30, "the others")
        self.wait_effects(2000)
        replicas[0].process.send_signal(signal.SIGCONT)
        wait_for(lambda: replicas[0].logged("partitions were lost"), 30, "the loss")
        self.topics.produce(TASKS, messages_of(events[2000:]))
        self.wait_effects(3000, 60)
        self.check_once_and_in_order(events)
        self.wait_committed()

    def test_an_orderly_end_hands_over_without_a_second_delivery(self):
        events = [event(1 + i % 40) for i in range(3000)]
        replicas = self.start_three(RECORDER_FAULT="stall", RECORDER_STALL_MS="20",
                                    RECORDER_EVERY="2")
        self.topics.produce(TASKS, messages_of(events))
        self.wait_effects(500)
        self.assertEqual(replicas[0].stop(), 0)
        self.wait_effects(1200)
        late = self.recorder().wait_joined()
        self.wait_effects(3000, 60)
        self.wait_committed()
        self.check_once_and_in_order(events)
        self.assertEqual(sum(len(r.deliveries()) for r in [*replicas, late]), 3000)


if __name__ == "__main__":
    unittest.main()
