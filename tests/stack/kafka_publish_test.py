"""The way out to a real Kafka: what is acknowledged is there, what is not is said so, whatever
becomes of the broker meanwhile."""

import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import SCRAM_PASSWORD, SCRAM_USER, Authority, Kafka  # noqa: E402
from kafka_way import TASKS, Publisher, Topics, event, forget, line  # noqa: E402
from todo_server import wait_for  # noqa: E402


class Publish(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="todo-kafka-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.authority = Authority(cls.folder.name)
        plain = ("org.apache.kafka.common.security.plain.PlainLoginModule required "
                 f'user_{SCRAM_USER}="{SCRAM_PASSWORD}";')
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        prefix = "listener.name.sasl_plaintext"
        cls.kafka = Kafka(sasl=True, tls=cls.authority.issue(), settings=(
            f"{prefix}.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN",
            f"{prefix}.plain.sasl.jaas.config={plain}",
            f"{prefix}.scram-sha-512.sasl.jaas.config={scram}")).start()
        cls.addClassCleanup(cls.kafka.close)
        cls.topics = Topics(cls.kafka.brokers)

    def publisher(self, *words, brokers=None, **env):
        p = Publisher(brokers or self.kafka.brokers, *words, **env)
        self.addCleanup(p.kill)
        return p

    def topic(self, name, partitions=3):
        self.kafka.create_topic(name, partitions)
        return name

    def test_events_arrive_as_they_are_with_their_key_and_headers(self):
        topic = self.topic("as-they-are")
        events = [event(i % 7) for i in range(50)]
        p = self.publisher()
        p.send(*(line(topic, e["partitionkey"], e) for e in events))
        self.assertEqual(p.end(), 0)
        self.assertEqual(p.count(), 50)
        messages = self.topics.read(topic)
        self.assertEqual(sorted(m.value for m in messages),
                         sorted(json.dumps(e).encode() for e in events))
        partition_of = {}
        for m in messages:
            self.assertEqual(m.key.decode(), json.loads(m.value)["partitionkey"])
            self.assertEqual(m.headers, [("content-type", b"application/cloudevents+json")])
            self.assertEqual(partition_of.setdefault(m.key, m.partition), m.partition)
        self.assertGreater(len(set(partition_of.values())), 1)

    def test_a_key_goes_to_the_partition_that_daprs_component_picks(self):
        topic = self.topic("partitions")
        p = self.publisher()
        p.send(*(line(topic, key, event(key)) for key in range(30)))
        self.assertEqual(p.end(), 0)
        for m in self.topics.read(topic):
            fnv = 0x811C9DC5  # FNV-1a of 32 bits as a signed number, without its sign
            for byte in m.key:
                fnv = (fnv ^ byte) * 0x01000193 & 0xFFFFFFFF
            self.assertEqual(m.partition, abs(fnv - (fnv >> 31 << 32)) % 3)

    def test_a_dead_letter_carries_why_and_the_bytes_that_came(self):
        topic = self.topic("dead", 1)
        death = {"topic": TASKS, "consumer": "email", "reason": "no type\u00e9", "attempts": 4}
        p = self.publisher()
        p.send(line(topic, "7", event(7), death=death), line(topic, "", "no JSON", death=death))
        self.assertEqual(p.end(), 0)
        for m in self.topics.read(topic):
            headers = dict(m.headers)
            self.assertEqual(headers.pop("content-type"),
                             b"application/cloudevents+json" if m.value != b"no JSON"
                             else b"application/octet-stream")
            self.assertEqual(headers, {"dlq-topic": TASKS.encode(), "dlq-consumer": b"email",
                                       "dlq-reason": "no type\u00e9".encode(),
                                       "dlq-attempts": b"4"})
            self.assertEqual(m.key, b"7" if m.value != b"no JSON" else None)

    def test_a_message_that_is_too_large_is_refused_and_its_neighbours_arrive(self):
        topic = self.topic("large")
        p = self.publisher()
        p.send(line(topic, 1, event(1)), line(topic, 2, event(2), pad=2 << 20),
               line(topic, 3, event(3), pad=900_000), line(topic, 4, event(4)))
        self.assertEqual(p.end(), 0)
        self.assertEqual({o["n"]: o["outcome"] for o in p.outcomes},
                         {0: "acked", 1: "refused", 2: "acked", 3: "acked"})
        self.assertIn("too large", next(o["reason"] for o in p.outcomes if o["n"] == 1))
        self.assertEqual(len(self.topics.read(topic)), 3)

    def test_what_the_topic_itself_has_no_room_for_is_refused(self):
        topic = self.topic("small", 1)
        self.kafka.tool("kafka.admin.ConfigCommand", "--bootstrap-server", self.kafka.brokers,
                        "--alter", "--topic", topic, "--add-config", "max.message.bytes=2000")
        p = self.publisher()
        p.send(line(topic, 1, event(1), pad=5000))
        wait_for(lambda: p.outcomes, 30, "the outcome")
        p.send(line(topic, 1, event(1)))
        self.assertEqual(p.end(), 0)
        self.assertEqual([o["outcome"] for o in p.outcomes], ["refused", "acked"])

    def test_the_user_and_the_password_are_asked_for(self):
        user = {"KAFKA_SASL_MECHANISM": "SCRAM-SHA-256", "KAFKA_SASL_USERNAME": SCRAM_USER}
        right = self.publisher(brokers=self.kafka.sasl_brokers,
                               KAFKA_SASL_PASSWORD=SCRAM_PASSWORD, **user)
        right.send(line(TASKS, 1, event(1)))
        self.assertEqual(right.end(), 0)
        self.assertEqual(right.count(), 1)
        wrong = self.publisher(brokers=self.kafka.sasl_brokers, PUBLISH_TIMEOUT_MS="3000",
                               KAFKA_SASL_PASSWORD="a wrong one", **user)
        wrong.send(line(TASKS, 1, event(1)))
        self.assertEqual(wrong.end(), 0)
        self.assertEqual(wrong.count("unavailable"), 1)
        self.assertIn("Kafka refuses us", "".join(wrong.log))
        self.assertNotIn("a wrong one", "".join(wrong.log) + str(wrong.outcomes))
        self.assertNotIn(SCRAM_PASSWORD, "".join(right.log))

    def test_each_mechanism_is_spoken(self):
        self.kafka.tool("kafka.admin.ConfigCommand", "--bootstrap-server", self.kafka.brokers,
                        "--alter", "--entity-type", "users", "--entity-name", SCRAM_USER,
                        "--add-config", f"SCRAM-SHA-512=[password={SCRAM_PASSWORD}]")
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"):
            p = self.publisher(brokers=self.kafka.sasl_brokers, KAFKA_SASL_MECHANISM=mechanism,
                               KAFKA_SASL_USERNAME=SCRAM_USER, KAFKA_SASL_PASSWORD=SCRAM_PASSWORD)
            p.send(line(TASKS, 1, event(1)))
            self.assertEqual(p.end(), 0)
            self.assertEqual(p.count(), 1, mechanism)

    def test_tls_is_verified(self):
        user = {"KAFKA_SASL_MECHANISM": "SCRAM-SHA-256", "KAFKA_SASL_USERNAME": SCRAM_USER,
                "KAFKA_SASL_PASSWORD": SCRAM_PASSWORD, "KAFKA_TLS": "true"}
        stranger = Authority(self.folder.name, "stranger")
        right = self.publisher(brokers=self.kafka.sasl_ssl_brokers,
                               KAFKA_CA_FILE=self.authority.certificate, **user)
        right.send(line(TASKS, 1, event(1)))
        self.assertEqual(right.end(), 0)
        self.assertEqual(right.count(), 1)
        for authority in ({"KAFKA_CA_FILE": stranger.certificate}, {}):
            wrong = self.publisher(brokers=self.kafka.sasl_ssl_brokers, PUBLISH_TIMEOUT_MS="3000",
                                   **authority, **user)
            wrong.send(line(TASKS, 1, event(1)))
            self.assertEqual(wrong.end(), 0)
            self.assertEqual(wrong.count("unavailable"), 1, authority)
            self.assertIn("certificate", "".join(wrong.log))


class Outage(unittest.TestCase):
    def setUp(self):
        self.kafka = Kafka().start()
        self.addCleanup(self.kafka.close)
        self.topics = Topics(self.kafka.brokers)

    def publisher(self, *words, **env):
        p = Publisher(self.kafka.brokers, *words, **env)
        self.addCleanup(p.kill)
        return p

    def check_all_there(self, events):
        """Each at least once, and the first time of each in the order of its key."""
        seen, order = set(), {}
        for m in self.topics.read(TASKS):
            value = json.loads(m.value)
            if value["id"] not in seen:
                seen.add(value["id"])
                order.setdefault(m.key.decode(), []).append(value["id"])
        wanted = {}
        for e in events:
            wanted.setdefault(e["partitionkey"], []).append(e["id"])
        self.assertEqual(order, wanted)

    def flow(self, disturb):
        """Events by the relay's rule while the broker is disturbed in the middle."""
        events = [event(i % 40) for i in range(1200)]
        p = self.publisher("relay", PUBLISH_TIMEOUT_MS="3000")
        lines = [line(TASKS, e["partitionkey"], e) for e in events]
        p.send(*lines[:400])
        wait_for(lambda: p.count() >= 100, 30, "the first acknowledgements")
        disturb(p, lines[400:800])
        p.send(*lines[800:])
        self.assertEqual(p.end(), 0)
        self.assertEqual(p.count(), len(events))
        self.check_all_there(events)

    def test_a_killed_broker_loses_nothing_that_was_acknowledged(self):
        def disturb(p, lines):
            self.kafka.kill()
            p.send(*lines)
            wait_for(lambda: p.count("unavailable") > 0, 30, "an outcome without the broker")
            self.kafka.start()
        self.flow(disturb)

    def test_a_broker_that_lost_its_data_is_used_again(self):
        p = self.publisher("relay", PUBLISH_TIMEOUT_MS="3000")
        p.send(*(line(TASKS, n, event(n)) for n in range(1, 50)))
        wait_for(lambda: p.count() == 49, 30, "the acknowledgements")
        self.kafka.kill()
        forget(self.kafka)
        self.kafka.start()
        later = [event(n) for n in range(1, 50)]
        p.send(*(line(TASKS, e["partitionkey"], e) for e in later))
        self.assertEqual(p.end(), 0)
        self.assertEqual(p.count(), 98)
        self.check_all_there(later)

    def test_a_broker_that_stands_still_is_as_one_that_is_away(self):
        def disturb(p, lines):
            self.kafka.pause()
            p.send(*lines)
            wait_for(lambda: p.count("unavailable") > 0, 30, "an outcome without the broker")
            self.kafka.resume()
        self.flow(disturb)

    def test_a_broker_that_is_away_at_the_start_is_waited_for(self):
        self.kafka.stop()
        p = self.publisher("relay", PUBLISH_TIMEOUT_MS="1000")
        p.send(line(TASKS, 1, event(1)))
        wait_for(lambda: p.count("unavailable") > 1, 30, "two outcomes without the broker")
        self.assertIn("Connection refused", p.outcomes[0]["reason"])
        self.kafka.start()
        self.assertEqual(p.end(), 0)
        self.assertEqual(p.count(), 1)

    def test_the_end_does_not_wait_for_a_broker_for_ever(self):
        self.kafka.pause()
        p = self.publisher(PUBLISH_TIMEOUT_MS="2000")
        p.send(line(TASKS, 1, event(1)))
        self.assertEqual(p.end(15), 0)
        self.assertEqual(p.count("unavailable"), 1)


if __name__ == "__main__":
    unittest.main()
