"""Measures how events leave: from the commit of a tool call to the broker's acknowledgement, and how
many a second, through each transport, beside what the parts themselves can do: daprd's bulk publish
by a load tool of ours, Kafka by its own kafka-producer-perf-test, and PostgreSQL reading and marking
alone. All on one machine, in one run. Prints what was measured and, as its last line, one JSON
object. See docs/benchmarks.md.

usage: ./todo bench events [--quick] [--size] [--transport NAME ...]
  --quick      a check that the bench works, not a measurement
  --size       how large the outbox is while 1,000,000 events pass through it and none is kept
  --transport  only these of nobody, direct, kafka, dapr-kafka, dapr-redis

A latency here is from the row's created_at to its published_at: it begins before the commit and ends
after the acknowledgement, when the row is marked."""

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import todo_server  # noqa: E402
from sink import Sink  # noqa: E402
from stack import Daprd, Kafka, Redis, pubsub_kafka, pubsub_redis  # noqa: E402
from todo_server import wait_for  # noqa: E402

TRANSPORTS = ("nobody", "direct", "kafka", "dapr-kafka", "dapr-redis")
BYTES = 400  # of an event as it goes out
BULK, BULK_CONNECTIONS = 100, 4

INSERT = """insert into todo.outbox (id, key, topic, type, data)
select todo.uuid_v7(), (n % 5000 + 1)::text, 'task-events', 'TaskUpdatedEvent',
       jsonb_build_object('n', n, 'fill', repeat('x', {fill})) from generate_series(1, {count}) n"""
LATENCY = """select count(*), round(1000 * percentile_cont(0.5) within group (order by s)::numeric, 2),
    round(1000 * percentile_cont(0.95) within group (order by s)::numeric, 2),
    round(1000 * percentile_cont(0.99) within group (order by s)::numeric, 2)
from (select extract(epoch from published_at - created_at) as s from todo.outbox
      where published_at is not null) x"""
THROUGHPUT = """select count(*) / extract(epoch from max(published_at) - min(published_at))
from todo.outbox"""


class Bench:
    def __init__(self, options):
        self.options = options
        self.count = 5000 if options.quick else 100000
        self.seconds = 2 if options.quick else 15
        self.postgres = todo_server.Postgres(fsync=True)
        self.closers = [self.postgres.close]
        self.figures = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0],
                        "events": self.count, "transports": {}}
        subprocess.run([todo_server.server_binary(), "migrate"], check=True, env=self.env(),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.kafka = self.redis = None

    def env(self, **more):
        return {**os.environ, "DATABASE_URL": self.postgres.url, "LOG_LEVEL": "warn", **more}

    def close(self):
        for close in reversed(self.closers):
            close()

    def opened(self, part):
        part.start()
        self.closers.append(part.close)
        return part

    # ---- the ways out ----------------------------------------------------------------------------

    def need_kafka(self):
        if not self.kafka:
            self.kafka = self.opened(Kafka())
        return self.kafka

    def sidecar(self, kind):
        folder = os.path.join(self.postgres.dir, f"components-{kind}")
        if kind == "kafka":
            pubsub_kafka(folder, self.need_kafka().brokers)
        else:
            self.redis = self.redis or self.opened(Redis())
            pubsub_redis(folder, f"127.0.0.1:{self.redis.port}")
        return self.opened(Daprd(f"backend-{kind}", folder))

    def settings(self, transport):
        """The settings of one, and the sidecar that it needs."""
        if transport == "nobody":
            return {"EVENT_SUBSCRIBERS": " "}, None
        if transport == "direct":
            sink = Sink()
            self.closers.append(sink.close)
            return {"EVENT_SUBSCRIBERS": f"task-events={sink.url}"}, None
        if transport == "kafka":
            return {"KAFKA_BROKERS": self.need_kafka().brokers}, None
        daprd = self.sidecar(transport.split("-")[1])
        return {"USE_DAPR": "true", "DAPR_HTTP_PORT": str(daprd.port)}, daprd

    # ---- figures ---------------------------------------------------------------------------------

    def throughput(self, settings):
        """A backlog, published by a relay that has nothing else to do."""
        self.postgres.query("truncate todo.outbox, todo.relay")
        self.postgres.query(INSERT.format(fill=max(0, BYTES - 330), count=self.count))
        self.postgres.query("analyze todo.outbox")
        relay = subprocess.Popen([todo_server.server_binary(), "relay"], env=self.env(**settings),
                                 stdout=subprocess.DEVNULL)
        try:
            self.wait_published()
        finally:
            relay.terminate()
            relay.wait(30)
        return float(self.postgres.value(THROUGHPUT))

    def latency(self, settings, rate):
        """Tool calls at a rate, by as many connections as it takes."""
        server = todo_server.Server(self.postgres.url, {"TODO_USER": "bench", "LOG_LEVEL": "info",
                                                        **settings})
        try:
            self.call(server.port, 50, 1)  # the way is open before it is measured
            self.wait_published()
            self.postgres.query("truncate todo.outbox")
            self.call(server.port, rate, self.seconds)
            self.wait_published()
            count, p50, p95, p99 = self.postgres.query(LATENCY)[0]
        finally:
            server.stop()
        return {"per_second": int(count) / self.seconds, "p50_ms": float(p50), "p95_ms": float(p95),
                "p99_ms": float(p99)}

    def wait_published(self):
        wait_for(lambda: self.postgres.value(
            "select count(*) from todo.outbox where published_at is null") == "0", 300, "relay")

    def call(self, port, rate, seconds):
        workers = 8 if rate > 100 else 1
        end = time.monotonic() + seconds

        def work(number):
            client = todo_server.Client(port)
            due = time.monotonic() + number / rate
            while due < end:
                time.sleep(max(0, due - time.monotonic()))
                client.call("add_task", title="a task of the usual length", priority="high")
                due += workers / rate
            client.close()

        threads = [threading.Thread(target=work, args=(n,)) for n in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # ---- the limits of the parts -----------------------------------------------------------------

    def daprd_limit(self, daprd):
        """Events a second by the sidecar's bulk publish, without us."""
        event = {"specversion": "1.0", "id": "0", "source": "/bench", "type": "TaskUpdatedEvent",
                 "datacontenttype": "application/json", "data": {"fill": ""}}
        event["data"]["fill"] = "x" * (BYTES - len(json.dumps(event)))
        body = json.dumps([{"entryId": str(n), "contentType": "application/cloudevents+json",
                            "event": event, "metadata": {"partitionKey": str(n)}}
                           for n in range(BULK)])
        publishes = self.count // BULK

        def work(share):
            connection = http.client.HTTPConnection("127.0.0.1", daprd.port)
            for _ in range(share):
                connection.request("POST", "/v1.0/publish/bulk/pubsub-kafka/task-events", body,
                                   {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.status not in (200, 204):
                    raise RuntimeError(f"daprd answered {answer.status}")

        work(3)
        threads = [threading.Thread(target=work, args=(publishes // BULK_CONNECTIONS,))
                   for _ in range(BULK_CONNECTIONS)]
        before = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return publishes // BULK_CONNECTIONS * BULK_CONNECTIONS * BULK / (time.monotonic() - before)

    def kafka_limit(self):
        out = self.need_kafka().tool(
            "org.apache.kafka.tools.ProducerPerformance", "--topic", "task-events",
            "--num-records", str(self.count), "--record-size", str(BYTES), "--throughput", "-1",
            "--producer-props", f"bootstrap.servers={self.kafka.brokers}", "acks=all",
            "enable.idempotence=true")
        return float(re.findall(r"([\d.]+) records/sec", out)[-1])

    # ---- the table -------------------------------------------------------------------------------

    def size(self):
        """Events come as fast as they leave, and are deleted as soon as they have left."""
        count, step = (20000, 5000) if self.options.quick else (1000000, 10000)
        self.postgres.query("truncate todo.outbox, todo.relay")
        relay = subprocess.Popen(
            [todo_server.server_binary(), "relay"], stdout=subprocess.DEVNULL,
            env=self.env(EVENT_SUBSCRIBERS=" ", OUTBOX_RETENTION_HOURS="0"))
        largest, before = 0, time.monotonic()

        def look():
            nonlocal largest
            waiting, size = self.postgres.query(
                "select (select count(*) from (select from todo.outbox where published_at is null"
                " limit 60000) x), pg_total_relation_size('todo.outbox')")[0]
            largest = max(largest, int(size))
            return int(waiting)

        try:
            for _ in range(count // step):
                self.postgres.query(INSERT.format(fill=BYTES - 330, count=step))
                wait_for(lambda: look() < 50000, 120, "the relay")
            wait_for(lambda: look() == 0, 120, "the relay")
            seconds = time.monotonic() - before
            wait_for(lambda: self.postgres.value("select count(*) from todo.outbox") == "0", 120,
                     "the purge")
            final = int(self.postgres.value("select pg_total_relation_size('todo.outbox')"))
        finally:
            relay.terminate()
            relay.wait(30)
        self.figures["size"] = {"events": count, "seconds": seconds, "largest_bytes": largest,
                                "final_bytes": final}
        print(f"{count} events in {seconds:.0f} s: the outbox had at most {largest / 1e6:.0f} MB, "
              f"{final / 1e6:.0f} MB at the end", flush=True)

    # ---- all of it -------------------------------------------------------------------------------

    def measure(self, transport):
        settings, daprd = self.settings(transport)
        got = {"limit": None}
        if transport == "kafka":
            got["limit"] = self.kafka_limit()
        elif daprd:
            got["limit"] = self.daprd_limit(daprd)
        got["per_second"] = self.throughput(settings)
        got["latency"] = {str(rate): self.latency(settings, rate) for rate in (50, 500)}
        if daprd:
            daprd.stop()
        self.figures["transports"][transport] = got
        ratio = got["per_second"] / got["limit"] if got["limit"] else None
        print(f"{transport:11} {got['per_second']:9.0f} {got['limit'] or 0:9.0f} "
              f"{ratio or 0:6.2f}  " + "  ".join(
                  f"{rate}/s: {g['p50_ms']:.1f} {g['p95_ms']:.1f} {g['p99_ms']:.1f} ms"
                  for rate, g in got["latency"].items()), flush=True)

    def run(self):
        if self.options.size:
            self.size()
            print(json.dumps(self.figures))
            return
        print("transport    events/s  its part  ratio  commit to marked: p50 p95 p99")
        for transport in self.options.transport or TRANSPORTS:
            self.measure(transport)
        self.figures["load_after"] = os.getloadavg()[0]
        print(json.dumps(self.figures))


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--size", action="store_true")
    parser.add_argument("--transport", action="append", choices=TRANSPORTS)
    bench = Bench(parser.parse_args())
    try:
        bench.run()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
