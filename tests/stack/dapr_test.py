"""dapr/ and events/transport_dapr against the real sidecar: each operation, the answers and errors as
daprd gives them, and what becomes of events when a part is killed, stopped or slow."""

import json
import os
import sys
import tempfile
import time
import unittest
import urllib.request
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import dapr_driver as said  # noqa: E402
from dapr_driver import ACKED, EVENT_REFUSED, WAY_DOWN, Driver  # noqa: E402
from stack import (SCRAM_PASSWORD, SCRAM_USER, Authority, Daprd, Kafka, Redis,  # noqa: E402
                   Scheduler, Worker, free_port, pubsub_kafka, pubsub_redis, secret_store,
                   state_postgres, take)
from stack.components import KAFKA, REDIS  # noqa: E402
from todo_server import Postgres, wait_for  # noqa: E402

BUS, STORE, TOKEN, APP_TOKEN = "pubsub-kafka", "statestore-postgres", "to-sidecar", "to-app"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def event(number, key="7", **more):
    return {"specversion": "1.0", "id": f"e{number}", "source": "/todo/mcp-server",
            "type": "TaskDeletedEvent", "subject": f"task/{key}", "time": "2026-11-24T10:00:00Z",
            "datacontenttype": "application/json", "dataschema": "urn:x", "partitionkey": key,
            "data": {"n": number, "large": 9007199254740991, "text": "<&> é \u2028"}, **more}


def entry(number, key="7", **more):
    return {"id": f"e{number}", "key": key, "event": json.dumps(event(number, key, **more))}


def ids(turns):
    return [json.loads(t["body"])["id"] for t in turns]


class Stack(unittest.TestCase):
    """What each test closes again, last first."""

    def use(self, part):
        self.addCleanup(part.__exit__, None, None, None)
        return part.__enter__()

    def folder(self):
        return self.use(tempfile.TemporaryDirectory(prefix="todo-dapr-"))

    def sidecar(self, resources, **more):
        """Not started yet; goes before the driver that is made after it."""
        daprd = Daprd("an-app", resources, api_token=TOKEN, app_token=APP_TOKEN, **more)
        self.addCleanup(daprd.close)
        return daprd

    def drive(self, daprd, timeout_ms=0, token=TOKEN):
        return self.use(Driver(daprd.port, token, timeout_ms))

    def listen(self, driver, port, token=APP_TOKEN, bulk_max=0):
        driver.call("app", port=port, token=token, subscriptions=[
            {"pubsub": BUS, "topic": "task-events", "route": "/events/t", "bulk_max": bulk_max,
             "bulk_wait_ms": 5},
            {"pubsub": BUS, "topic": "task-reminders", "route": "/events/r"}])


class State(Stack):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres()
        cls.scheduler = Scheduler().start()
        cls.place = tempfile.TemporaryDirectory(prefix="todo-dapr-")
        state_postgres(cls.place.name, cls.postgres.url)
        cls.app_port = free_port()
        cls.daprd = Daprd("an-app", cls.place.name, app_port=cls.app_port, scheduler=cls.scheduler,
                          api_token=TOKEN, app_token=APP_TOKEN).start()

    @classmethod
    def tearDownClass(cls):
        cls.daprd.close()
        cls.scheduler.close()
        cls.postgres.stop()
        cls.place.cleanup()

    def setUp(self):
        self.driver = self.drive(self.daprd)
        self.key = f"test:{uuid.uuid4()}"

    def get(self, key=None):
        return self.driver.call("state_get", store=STORE, key=key or self.key)

    def save(self, value, **item):
        return self.driver.status("state_save", store=STORE, items=[
            {"key": self.key, "value": json.dumps(value), **item}])

    def test_a_value_is_kept_and_deleted(self):
        self.assertFalse(self.get()["found"])
        self.assertEqual(self.save({"n": 9007199254740991}), 0)
        got = self.get()
        self.assertEqual((got["found"], json.loads(got["value"])), (True, {"n": 9007199254740991}))
        self.assertEqual(self.driver.status("state_delete", store=STORE, key=self.key), 0)
        self.assertFalse(self.get()["found"])
        self.assertEqual(self.driver.status("state_delete", store=STORE, key=self.key), 0)

    def test_only_the_etag_that_was_read_opens(self):
        self.save(1)
        etag = self.get()["etag"]
        self.assertEqual(self.save(2, etag=etag, first_write=True), 0)
        self.assertEqual(self.save(3, etag=etag, first_write=True), said.CONFLICT)
        self.assertEqual(self.driver.status("state_delete", store=STORE, key=self.key, etag=etag),
                         said.CONFLICT)
        self.assertEqual(self.get()["value"], "2")
        self.assertEqual(self.driver.status("state_delete", store=STORE, key=self.key,
                                            etag=self.get()["etag"]), 0)

    def test_the_first_write_wins_until_its_time_is_over(self):
        self.assertEqual(self.save("mine", first_write=True, ttl_s=1), 0)
        self.assertEqual(self.save("other's", first_write=True, ttl_s=60), said.CONFLICT)
        wait_for(lambda: not self.get()["found"], 10, "the end of the state's time")
        self.assertEqual(self.save("other's", first_write=True, ttl_s=60), 0)

    def test_of_many_first_writes_at_once_one_wins(self):
        begun = [self.driver.begin("state_save", store=STORE, items=[
            {"key": self.key, "value": str(i), "first_write": True}]) for i in range(20)]
        statuses = [b.get(timeout=30)["status"] for b in begun]
        self.assertEqual((statuses.count(0), statuses.count(said.CONFLICT)), (1, 19))

    def test_several_are_read_in_the_order_of_their_keys(self):
        keys = [f"{self.key}/{i} ü%?" for i in range(5)]
        for i in (0, 2, 4):
            self.driver.call("state_save", store=STORE,
                             items=[{"key": keys[i], "value": f'{{"i":{i}}}'}])
        got = self.driver.call("state_get_bulk", store=STORE, keys=keys)["values"]
        self.assertEqual([v["key"] for v in got], keys)
        self.assertEqual([v["found"] for v in got], [True, False, True, False, True])
        self.assertEqual(json.loads(got[4]["value"]), {"i": 4})
        self.assertEqual(json.loads(self.get(keys[2])["value"]), {"i": 2})

    def test_a_transaction_is_all_or_nothing(self):
        other = f"{self.key}-other"
        self.save(1)
        stale = self.get()["etag"]
        self.save(2)
        ops = [{"key": other, "value": "7"},
               {"key": self.key, "value": "3", "etag": stale, "first_write": True}]
        self.assertEqual(self.driver.status("state_transact", store=STORE, ops=ops), said.CONFLICT)
        self.assertFalse(self.get(other)["found"])
        ops[1]["etag"] = self.get()["etag"]
        self.assertEqual(self.driver.status("state_transact", store=STORE, ops=ops), 0)
        self.assertEqual((self.get(other)["value"], self.get()["value"]), ("7", "3"))
        self.assertEqual(self.driver.status("state_transact", store=STORE,
                                            ops=[{"key": other, "delete": True}]), 0)
        self.assertFalse(self.get(other)["found"])

    def test_errors_are_told_apart(self):
        self.assertEqual(self.driver.status("state_get", store="no-store", key="k"),
                         said.NO_COMPONENT)
        self.assertEqual(self.driver.status("state_get", store=STORE, key="a||b"), said.INVALID)
        self.assertEqual(self.save("x" * 5_000_000), said.TOO_LARGE)
        self.assertEqual(self.driver.status("publish", pubsub="no-bus", topic="t", body="{}"),
                         said.NO_COMPONENT)
        stranger = self.drive(self.daprd, token="wrong")
        answer = stranger.call("state_get", store=STORE, key="k")
        self.assertEqual(answer["status"], said.TOKEN)
        self.assertIn("invalid api token", answer["text"])

    def test_the_store_is_down(self):
        """What is behind the sidecar fails; the sidecar itself stays up, and all comes back."""
        self.save(1)
        self.postgres.kill()
        self.assertEqual(self.get()["status"], said.COMPONENT)
        self.assertEqual(self.save(2), said.COMPONENT)
        self.assertEqual(self.driver.status("wait", timeout_ms=2000), 0)
        self.postgres.start()
        wait_for(lambda: self.get()["status"] == 0, 30, "the store")
        self.assertEqual(self.save(3), 0)

    def test_a_component_tells_its_type(self):
        got = self.driver.call("component", name=STORE)
        self.assertEqual((got["type"].split(".")[0], got["status"]), ("state", 0))
        self.assertIsNone(self.driver.call("component", name="other")["type"])

    def schedule(self, **job):
        return self.driver.status("job_schedule", **{"name": "check-due-tasks", **job})

    def test_a_job_is_called_as_often_as_it_repeats(self):
        self.listen(self.driver, self.app_port)
        self.driver.call("job_delete", name="check-due-tasks")
        self.assertEqual(self.schedule(schedule="@every 1s", repeats=2, data='{"a":[1]}'), 0)
        turns = self.driver.wait_turns(2)
        self.assertEqual([(t["job"], json.loads(t["body"])) for t in turns],
                         [("check-due-tasks", {"a": [1]})] * 2)
        wait_for(lambda: not self.driver.call("job_get", name="check-due-tasks")["found"], 10,
                 "the end of the job")

    def test_a_job_that_the_app_gives_back_is_called_again(self):
        self.listen(self.driver, self.app_port)
        self.driver.call("mode", answer="ask")
        self.assertEqual(self.schedule(due_time="1s", overwrite=True, failure=2,
                                       failure_interval_s=1, failure_tries=5), 0)
        self.driver.wait_turns(1)
        self.driver.call("end", turn=0, answer="RETRY")
        self.driver.wait_turns(2)
        self.driver.call("end", turn=1, answer="SUCCESS")
        self.assertEqual(self.driver.turns[1]["body"], "{}")

    def test_jobs_are_read_replaced_and_removed(self):
        job = {"name": "nightly", "schedule": "0 15 3 * * *", "ttl": "48h", "data": "[1]"}
        self.driver.call("job_delete", name="nightly")
        self.assertFalse(self.driver.call("job_get", name="nightly")["found"])
        self.assertEqual(self.schedule(**job), 0)
        self.assertEqual(self.schedule(**job), said.CONFLICT)
        self.assertEqual(self.schedule(**{**job, "schedule": "@daily"}, overwrite=True), 0)
        got = self.driver.call("job_get", name="nightly")
        self.assertEqual((got["schedule"], got["ttl"], got["data"]), ("@daily", "48h", "[1]"))
        self.assertEqual(self.schedule(**{**job, "schedule": "at night"}, overwrite=True),
                         said.REFUSED)
        self.assertEqual(self.driver.status("job_delete", name="nightly"), 0)
        self.assertEqual(self.driver.status("job_delete", name="nightly"), 0)


class Broker:
    """The tests of both brokers; a subclass gives `make` and `component`."""

    def setUp(self):
        self.broker = self.use(self.make())
        self.resources = self.folder()
        self.component(self.resources)
        self.port = free_port()
        self.daprd = self.sidecar(self.resources, app_port=self.port)

    def begin(self, bulk_max=0, timeout_ms=0):
        self.daprd.start()
        driver = self.drive(self.daprd, timeout_ms)
        self.assertEqual(driver.status("wait", timeout_ms=10000), 0)
        self.listen(driver, self.port, bulk_max=bulk_max)
        driver.call("transport", pubsub=BUS)
        return driver

    def publish(self, driver, entries, topic="task-events"):
        """Until all are taken, as the relay does."""
        def send():
            outcomes = driver.send(topic, entries)
            return all(outcome == ACKED for outcome in outcomes)
        wait_for(send, 60, "the broker's acknowledgement")

    def check_attributes(self, turn, sent):
        got = json.loads(turn["body"])
        for name in ("topic", "pubsubname", "traceid", "tracestate"):
            self.assertIn(name, got)
            del got[name]
        self.assertEqual(got, sent)

    def test_an_event_passes_unchanged(self):
        driver = self.begin()
        self.publish(driver, [entry(1, traceparent=TRACE, tenant="x", nothing=None)])
        driver.wait_turns(1)
        self.check_attributes(driver.turns[0], event(1, traceparent=TRACE, tenant="x", nothing=None))
        body = json.dumps(event(2, traceparent=TRACE))
        self.assertEqual(driver.status("publish", pubsub=BUS, topic="task-reminders", body=body), 0)
        driver.wait_turns(2)
        self.check_attributes(driver.turns[1], event(2, traceparent=TRACE))
        self.assertEqual(driver.turns[1]["topic"], "task-reminders")

    def test_an_event_that_cannot_be_sent_holds_up_no_other(self):
        driver = self.begin()
        entries = [entry(i, key=str(i)) for i in range(10)]
        entries[3]["event"] = "{\"torn"
        entries[5]["event"] = "[]"
        entries[7]["event"] = json.dumps(event(7, pad="x" * 950_000))
        outcomes = driver.send("task-events", entries)
        refused = [i for i, outcome in enumerate(outcomes) if outcome == EVENT_REFUSED]
        self.assertEqual((refused, outcomes.count(ACKED)), ([3, 5, 7], 7))
        driver.wait_turns(7)

    def test_many_large_events_are_parted_into_requests(self):
        driver = self.begin()
        entries = [entry(i, key=str(i), pad="x" * 60_000) for i in range(100)]
        self.assertEqual(driver.send("task-events", entries), [ACKED] * 100)
        self.assertEqual(len(set(ids(driver.wait_turns(100)))), 100)

    def test_dead_letters_carry_why(self):
        driver = self.begin()
        dead = [{"id": "0193569a-0000", "key": "1", "event": "\x01 no event", "dead": True},
                {**entry(8), "dead": True}]
        outcomes = driver.call("send", topic="task-reminders", entries=dead, death_topic="task-events")
        self.assertEqual([r["outcome"] for r in outcomes["results"]], [ACKED] * 2)
        letters = {e["id"]: e for e in (json.loads(t["body"]) for t in driver.wait_turns(2))}
        for letter in letters.values():
            self.assertEqual(
                [letter[f"deadletter{n}"] for n in ("reason", "attempts", "consumer", "topic")],
                ["it was no event", 3, "a-consumer", "task-events"])
        self.assertEqual(letters["0193569a-0000"]["data_base64"], "ASBubyBldmVudA==")
        self.assertEqual(letters["e8"]["data"], event(8)["data"])

    def test_while_the_broker_is_down_events_wait(self):
        driver = self.begin()
        self.publish(driver, [entry(0)])
        self.broker.kill()
        self.assertEqual(driver.send("task-events", [entry(i, str(i)) for i in (1, 2, 3)]),
                         [WAY_DOWN] * 3)
        self.broker.start()
        self.publish(driver, [entry(i, str(i)) for i in (1, 2, 3)])
        wait_for(lambda: {"e0", "e1", "e2", "e3"} <= set(ids(driver.turns)), 60, "the events")

    def test_a_sidecar_is_killed_and_comes_back(self):
        driver = self.begin()
        self.publish(driver, [entry(0)])
        self.daprd.kill()
        self.assertEqual(driver.send("task-events", [entry(1)]), [WAY_DOWN])
        wait_for(lambda: driver.is_up is False, 10, "the word that it is down")
        self.daprd.start()
        self.publish(driver, [entry(1)])
        wait_for(lambda: {"e0", "e1"} <= set(ids(driver.turns)), 60, "the events")

    def test_a_sidecar_that_stands_still_is_given_up_in_time(self):
        driver = self.begin(timeout_ms=1000)
        self.daprd.pause()
        begin = time.monotonic()
        self.assertEqual(driver.send("task-events", [entry(1)]), [WAY_DOWN])
        self.assertLess(time.monotonic() - begin, 4)
        wait_for(lambda: driver.is_up is False, 10, "the word that it is down")
        begin = time.monotonic()
        self.assertEqual(driver.send("task-events", [entry(2)]), [WAY_DOWN])
        self.assertLess(time.monotonic() - begin, 0.5)  # nothing is sent meanwhile
        self.daprd.resume()
        self.publish(driver, [entry(3)])

    def check_retries(self, bulk_max):
        """What is given back comes again, and before what follows it."""
        driver = self.begin(bulk_max)
        driver.call("mode", answer="ask")
        for i in range(5):
            self.publish(driver, [entry(i)])
        done = []
        for turn in range(8):
            driver.wait_turns(turn + 1)
            is_back = turn in (1, 2, 5)
            driver.call("end", turn=driver.turns[turn]["turn"],
                        answer="RETRY" if is_back else "SUCCESS")
            if not is_back:
                done += ids([driver.turns[turn]])
        self.assertEqual(done, ["e0", "e1", "e2", "e3", "e4"])

    def test_what_is_given_back_comes_again_in_order(self):
        self.check_retries(0)

    def test_what_is_given_back_of_a_bulk_comes_again_in_order(self):
        self.check_retries(10)

    def test_while_the_app_is_down_nothing_is_lost(self):
        publisher = self.begin()
        other = self.sidecar(self.resources, app_port=free_port())
        other.app_id = "another-app"
        listener = self.drive(other)
        self.listen(listener, other.app_port)
        other.start()
        self.publish(publisher, [entry(0)])
        listener.wait_turns(1)
        listener.close()  # the app goes; its sidecar stays
        for i in range(1, 6):
            self.publish(publisher, [entry(i)])
        time.sleep(1)  # so that the sidecar has tried
        again = self.drive(other)
        self.listen(again, other.app_port)
        self.assertEqual(ids(again.wait_turns(5)), [f"e{i}" for i in range(1, 6)])

    def test_a_sidecar_that_dies_with_events_in_hand_loses_none(self):
        publisher = self.begin()
        other = self.sidecar(self.resources, app_port=free_port())
        other.app_id = "another-app"
        listener = self.drive(other)
        self.listen(listener, other.app_port)
        other.start()
        sent = set()
        for lap in range(30):
            entries = [entry(f"{key}-{lap}", str(key)) for key in range(10)]
            self.publish(publisher, entries)
            sent |= {e["id"] for e in entries}
            if lap in (8, 18):
                other.kill()
                other.start(wait=False)
        wait_for(lambda: set(ids(listener.turns)) == sent, 60, "each event")

    def test_events_wait_for_an_app_that_knows_its_token(self):
        self.daprd.start()
        stranger = self.drive(self.daprd)
        self.listen(stranger, self.port, token="another")
        # Not even the question for its subscriptions is answered: nothing is delivered to it.
        driver = self.drive(self.daprd)
        driver.call("wait", timeout_ms=10000)
        driver.call("transport", pubsub=BUS)
        self.publish(driver, [entry(1)])
        time.sleep(1)
        self.assertEqual(stranger.turns, [])

    def test_the_transport_tells_its_broker(self):
        self.assertEqual(self.begin().call("identify")["identity"], self.identity)


class OnKafka(Broker, Stack):
    identity = "pubsub.kafka/v1"
    make = Kafka

    def component(self, folder):
        pubsub_kafka(folder, self.broker.brokers)

    def test_a_bulk_keeps_its_order(self):
        driver = self.begin(10)
        self.publish(driver, [entry(i) for i in range(60)])
        self.assertEqual(ids(driver.wait_turns(60)), [f"e{i}" for i in range(60)])


class OnRedis(Broker, Stack):
    identity = "pubsub.redis/v1"
    make = Redis

    def component(self, folder):
        pubsub_redis(folder, self.broker.address)


class Manifests(Stack):
    """The files of k8s/dapr as they are, but for the addresses: with their secrets, their scopes and
    Kafka's SCRAM."""

    def files(self, broker, secrets):
        """`broker`: manifest, address in the cluster, address here."""
        folder = self.folder()
        manifest, there, here = broker
        secret_store(folder, secrets)
        take(folder, manifest, {there: here})
        take(folder, "resiliency")
        take(folder, "subscriptions")
        return folder

    def begin(self, folder, app_id="notification-service", **more):
        daprd = self.sidecar(folder, **more)
        daprd.app_id = app_id
        daprd.start()
        driver = self.drive(daprd)
        driver.call("wait", timeout_ms=10000)
        driver.call("transport", pubsub=BUS)
        return daprd, driver

    def check(self, folder, identity):
        daprd, driver = self.begin(folder)
        self.assertEqual(driver.call("identify")["identity"], identity)
        wait_for(lambda: driver.send("task-events", [entry(1)]) == [ACKED], 30, "a publish")
        self.assertIn("Resiliency configuration", daprd.log_tail(100000))
        stranger = self.begin(folder, "another-app")[1]
        self.assertEqual(stranger.call("publish", pubsub=BUS, topic="t", body="{}")["status"],
                         said.NO_COMPONENT)
        return driver

    def on_kafka(self, kafka, password=SCRAM_PASSWORD, **more):
        secrets = {"kafka-secrets": {"username": SCRAM_USER, "password": password}, **more}
        return self.files(("pubsub-kafka", KAFKA, kafka.sasl_brokers), secrets)

    def test_on_kafka_with_state(self):
        kafka = self.use(Kafka(sasl=True))
        postgres = Postgres()
        self.addCleanup(postgres.stop)
        folder = self.on_kafka(kafka, **{"todo-app-secrets": {"DATABASE_URL": postgres.url}})
        take(folder, "statestore-postgres", settings={"cleanupInterval": "1s"})
        driver = self.check(folder, "pubsub.kafka/v1")
        item = {"key": "k", "value": "1", "first_write": True}
        self.assertEqual(driver.status("state_save", store=STORE, items=[item]), 0)
        self.assertEqual(driver.status("state_save", store=STORE, items=[item]), said.CONFLICT)
        names = postgres.query("SELECT relname FROM pg_class WHERE relname LIKE 'dapr%' "
                               "AND relkind = 'r' ORDER BY 1")
        self.assertEqual(names, [["dapr_state_metadata"], ["dapr_state_store"]])
        rows = "SELECT count(*) FROM dapr_state_store"
        driver.call("state_save", store=STORE, items=[{"key": "short", "value": "2", "ttl_s": 1}])
        self.assertEqual(postgres.value(rows), "2")
        wait_for(lambda: postgres.value(rows) == "1", 30, "the clean-up")

    def test_on_kafka_over_tls(self):
        authority = Authority(self.folder())
        kafka = self.use(Kafka(tls=authority.issue()))
        folder = self.on_kafka(kafka)
        with open(authority.certificate, encoding="ascii") as f:
            take(folder, "pubsub-kafka", {KAFKA: kafka.sasl_ssl_brokers},
                 {"disableTls": "false", "caCert": f.read()})
        driver = self.begin(folder)[1]
        wait_for(lambda: driver.send("task-events", [entry(1)]) == [ACKED], 30, "a publish")

    def test_a_wrong_password_of_kafka_is_refused(self):
        folder = self.on_kafka(self.use(Kafka(sasl=True)), "wrong")
        daprd = self.sidecar(folder)
        daprd.app_id = "backend"
        daprd.start(wait=False)
        wait_for(lambda: not daprd.is_running(), 30, "the sidecar's end")
        self.assertIn("SASL", daprd.log_tail(100000))

    def on_redis(self, password=""):
        redis = self.use(Redis())
        redis.cli("config", "set", "requirepass", password)
        return self.files(("pubsub-redis", REDIS, redis.address),
                          {"redis-secrets": {"password": password}})

    def test_on_redis(self):
        self.check(self.on_redis("a-secret"), "pubsub.redis/v1")

    # ---- subscriptions: the application's own, and those of the file ----

    def subscriptions(self, daprd):
        """What a sidecar is subscribed to: {topic: (who says so, how)}."""
        request = urllib.request.Request(f"{daprd.url}/v1.0/metadata",
                                         headers={"dapr-api-token": TOKEN})
        with urllib.request.urlopen(request, timeout=10) as answer:
            said_there = json.load(answer)["subscriptions"]
        return {s["topic"]: (s.pop("type"), s) for s in said_there}

    def test_the_file_says_what_the_workers_say(self):
        folder = self.on_redis()
        for program, app_id in (("todo-email", "email-delivery-service"),
                                ("todo-recurring", "recurring-task-service")):
            worker = Worker(program, {"USE_DAPR": "true", "APP_API_TOKEN": APP_TOKEN,
                                      "DATABASE_URL": "postgresql:///none?host=/nowhere"})
            self.addCleanup(worker.close)
            worker.start(wait=False)
            wait_for(worker.is_healthy, 30, program)
            found = []
            for arguments in ((), ("--disable-init-endpoints", "subscribe")):
                daprd = self.sidecar(folder, app_port=worker.port, arguments=arguments)
                daprd.app_id = app_id
                daprd.start()
                wait_for(lambda d=daprd: self.subscriptions(d), 10, "a subscription")
                found.append(self.subscriptions(daprd))
            own, files = found
            self.assertEqual((len(own), own.keys()), (1, files.keys()))
            for topic, (kind, how) in own.items():
                self.assertEqual((kind, files[topic]), ("PROGRAMMATIC", ("DECLARATIVE", how)))

    def deliver(self, *arguments):
        """60 events, over three keys, to an application that subscribes as the file does."""
        daprd = self.sidecar(self.on_redis(), app_port=free_port(), arguments=arguments)
        daprd.app_id = "email-delivery-service"
        driver = self.drive(daprd)
        driver.call("app", port=daprd.app_port, token=APP_TOKEN, subscriptions=[
            {"pubsub": BUS, "topic": "task-reminders", "route": "/events/reminder-sent",
             "bulk_max": 10, "bulk_wait_ms": 2}])
        daprd.start()
        driver.call("wait", timeout_ms=10000)
        driver.call("transport", pubsub=BUS)
        for i in range(20):
            entries = [entry(f"{i}-{key}", str(key)) for key in range(3)]
            wait_for(lambda e=entries: driver.send("task-reminders", e) == [ACKED] * 3, 30, "a publish")
        driver.wait_turns(60)
        # What came twice would have come before this one.
        driver.send("task-reminders", [entry("last")])
        self.assertEqual(ids(driver.wait_turns(61))[-1], "elast")
        self.assertEqual(len(set(ids(driver.turns))), 61)

    def test_what_both_subscribe_to_is_delivered_once(self):
        self.deliver()

    def test_the_files_subscriptions_alone_deliver_too(self):
        self.deliver("--disable-init-endpoints", "subscribe")


if __name__ == "__main__":
    unittest.main(verbosity=2)
