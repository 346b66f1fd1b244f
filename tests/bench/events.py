"""Measures how events leave and arrive: from the commit of a tool call to the broker's
acknowledgement and to a consumer's committed effect, and how many a second leave a backlog, through
each transport. Beside it, on the same parts and in interleaved rounds: what the parts do alone
(daprd's bulk publish by a load of ours, Kafka by its own kafka-producer-perf-test), and the plain
alternative, a publisher that polls the outbox in SQL. Prints what was measured, with the floors and goals, and, as
its last line, one JSON object. See docs/relay.md.

usage: ./todo bench events [--quick] [--size] [--transport NAME ...] [--report FILE]
  --quick      a check that the bench works, not a measurement
  --size       how large the outbox is while 1,000,000 events pass through it and none is kept
  --transport  only these of direct, kafka, dapr-kafka, dapr-redis
  --report     where the tables go, in Markdown

Both latencies begin when the row is written, before its commit. The first ends when the row is
marked as acknowledged; the second when the consumer's transaction commits, in which its effect and
its inbox row are."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import tabular  # noqa: E402
import todo_server  # noqa: E402
from event_rig import FILL, INSERT, EventRig, together, tool_call  # noqa: E402
from goals import AT_LEAST, AT_MOST, number, verdict  # noqa: E402
from instructions import Connection  # noqa: E402
from todo_server import wait_for  # noqa: E402

# Transport: who publishes through it, in the order of a round.
WHO = {"direct": ("nobody", "relay"), "kafka": ("relay", "poll 1000", "poll 100"),
       "dapr-kafka": ("relay",), "dapr-redis": ("relay",)}
RATES = (50, 500)
CONNECTIONS = {50: 1, 500: 8}
NAMES = {"direct": "direct", "kafka": "Kafka", "dapr-kafka": "Dapr to Kafka",
         "dapr-redis": "Dapr to Redis"}
CALL = tool_call("add_task", title="a task of the usual length", priority="high")

MEASURES = ("acked_p50", "acked_p95", "acked_p99", "effect_p50", "effect_p95", "effect_p99")
LATENCY = "select count(*), " + ", ".join(
    f"round(1000 * percentile_cont({share}) within group (order by {what})::numeric, 2)"
    for what in ("acked", "effect") for share in (.5, .95, .99)) + """
from (select extract(epoch from o.published_at - o.created_at) as acked,
             extract(epoch from pg_xact_commit_timestamp(i.xmin) - o.created_at) as effect
      from todo.outbox o
      left join todo.inbox i on i.event_id = o.id and i.consumer = 'recorder') x"""
WITHOUT_EFFECT = """select count(*) from todo.outbox o where not exists
    (select from todo.inbox i where i.event_id = o.id and i.consumer = 'recorder')"""
FORGET = "truncate todo.outbox, todo.inbox"
THROUGHPUT = """select count(*) / extract(epoch from max(published_at) - min(published_at))
from todo.outbox"""

# (transport, figure): which way it goes, floor, goal. Those of the latencies are for 500 a second.
GOALS = {("kafka", "acked_p95"): (AT_MOST, 50, 8),
         ("dapr-kafka", "acked_p95"): (AT_MOST, 100, 15),
         ("dapr-kafka", "effect_p95"): (AT_MOST, 200, 40),
         ("kafka", "ratio"): (AT_LEAST, .3, .8), ("dapr-kafka", "ratio"): (AT_LEAST, .5, .9),
         ("dapr-redis", "ratio"): (AT_LEAST, .5, .9)}


def call_at(port, rate, seconds):
    """add_task at a rate, by as many connections as it takes."""
    connections = CONNECTIONS[rate]
    end = time.monotonic() + seconds

    def work(number_of):
        connection = Connection(port)
        due = time.monotonic() + number_of / rate
        while due < end:
            time.sleep(max(0, due - time.monotonic()))
            connection.call("add_task", CALL)
            due += connections / rate
        connection.close()

    together(work, range(connections))


class Transport:
    """One transport's figures. Latencies come first: a backlog would wait for the recorder else."""

    def __init__(self, name, options):
        self.name = name
        self.count = 5000 if options.quick else 100000
        self.seconds = 2 if options.quick else 10
        self.rounds = 1 if options.quick else 3
        self.who = WHO[name]
        self.latencies = {(who, rate): [] for who in self.who for rate in RATES}
        self.rates = {who: [] for who in self.who}
        self.limits = []

    def latency(self, rig, who, rate):
        postgres = rig.postgres

        def arrived():
            rig.wait_published()
            if who != "nobody":
                wait_for(lambda: postgres.value(WITHOUT_EFFECT) == "0", 120, "the last effect")

        postgres.query(FORGET)
        with rig.serving(who) as server:
            call_at(server.port, 50, 1)  # the way is open before it is measured
            arrived()
            postgres.query(FORGET)
            call_at(server.port, rate, self.seconds)
            arrived()
            count, *values = postgres.query(LATENCY)[0]
        got = {"per_second": int(count) / self.seconds}
        return got | {name: float(v) for name, v in zip(MEASURES, values) if v}

    def throughput(self, rig, who):
        """A backlog, published by who has nothing else to do. What Kafka has then must be all."""
        rig.backlog(self.count)
        before = rig.in_kafka() if rig.kafka else None
        with rig.publisher(who, sink=True):
            rig.wait_published()
        if rig.kafka:
            assert rig.in_kafka() - before == self.count, "events did not reach Kafka once each"
        return float(rig.postgres.value(THROUGHPUT))

    def measure(self):
        with EventRig(self.name) as rig:
            rig.start()
            rig.warm()
            for _ in range(self.rounds):
                for who, rate in self.latencies:
                    self.latencies[who, rate].append(self.latency(rig, who, rate))
            assert rig.postgres.value("select count(*) from todo.dead_letters") == "0"
            for part in (rig.server, rig.recorder, *rig.sidecars[1:]):
                part.stop()
            for _ in range(self.rounds):
                for who in self.who:
                    self.rates[who].append(self.throughput(rig, who))
                if limit := rig.limit(self.count):
                    self.limits.append(limit)
        return self

    def figures(self):
        """{who: medians}"""
        limit = statistics.median(self.limits) if self.limits else None
        found = {}
        for who in self.who:
            got = {"per_second": statistics.median(self.rates[who])}
            if limit:
                got |= {"limit": limit, "ratio": got["per_second"] / limit}
            for rate in RATES:
                taken = self.latencies[who, rate]
                got[str(rate)] = {key: statistics.median(one[key] for one in taken)
                                  for key in taken[0]}
            found[who] = got
        return found


# ---- the tables ----------------------------------------------------------------------------------


def label(transport, who):
    if who == "nobody":
        return "nobody subscribes"
    polls = f", polled every {who.split()[1]} ms" if who.startswith("poll") else ""
    return NAMES[transport] + polls


def judged(transport, who, figure, value):
    """(floor and goal, verdict) of the relay's."""
    goal = GOALS.get((transport, figure)) if who == "relay" else None
    if not goal or value is None:
        return "", ""
    return f"{number(goal[1])}, {number(goal[2])}", verdict(value, *goal)


def rows_of(figures):
    """Both tables: [heading, rows]."""
    backlog, latencies = [], []
    for transport, whole in figures.items():
        for who, got in whole.items():
            name = label(transport, who)
            limit, ratio = got.get("limit"), got.get("ratio")
            backlog.append([name, number(got["per_second"]), number(limit), number(ratio),
                            *judged(transport, who, "ratio", ratio)])
            for rate in RATES:
                at = got[str(rate)]
                row = [name, number(at["per_second"])]
                for end in ("acked", "effect"):
                    row += [number(at.get(f"{end}_p{p}")) for p in (50, 95, 99)]
                    figure = f"{end}_p95"
                    row += (judged(transport, who, figure, at.get(figure)) if rate == 500
                            else ["", ""])
                latencies.append(row)
    judge = ["floor, goal", ""]
    p = ["p50", "p95", "p99"]
    return [[["way", "events/s from a backlog", "its part alone", "ratio", *judge], backlog],
            [["way", "calls/s", *(f"acked {x} ms" for x in p), *judge,
              *(f"effect {x} ms" for x in p), *judge], latencies]]


# ---- the outbox's size ---------------------------------------------------------------------------


def size(quick):
    """Events come as fast as they leave, and are deleted as soon as they have left."""
    count, step = (20000, 5000) if quick else (1000000, 10000)
    postgres = todo_server.Postgres(fsync=True)
    env = {**os.environ, "DATABASE_URL": postgres.url, "LOG_LEVEL": "warn",
           "EVENT_SUBSCRIBERS": " ", "OUTBOX_RETENTION_HOURS": "0"}
    largest = 0

    def look():
        nonlocal largest
        waiting, now = postgres.query(
            "select (select count(*) from (select from todo.outbox where published_at is null"
            " limit 60000) x), pg_total_relation_size('todo.outbox')")[0]
        largest = max(largest, int(now))
        return int(waiting)

    try:
        subprocess.run([todo_server.server_binary(), "migrate"], check=True, env=env,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        relay = subprocess.Popen([todo_server.server_binary(), "relay"], env=env,
                                 stdout=subprocess.DEVNULL)
        before = time.monotonic()
        try:
            for _ in range(count // step):
                postgres.query(INSERT.format(fill=FILL, count=step))
                wait_for(lambda: look() < 50000, 120, "the relay")
            wait_for(lambda: look() == 0, 120, "the relay")
            seconds = time.monotonic() - before
            wait_for(lambda: postgres.value("select count(*) from todo.outbox") == "0", 120,
                     "the purge")
            final = int(postgres.value("select pg_total_relation_size('todo.outbox')"))
        finally:
            relay.terminate()
            relay.wait(30)
    finally:
        postgres.close()
    print(f"{count} events in {seconds:.0f} s: the outbox had at most {largest / 1e6:.0f} MB, "
          f"{final / 1e6:.0f} MB at the end", flush=True)
    return {"events": count, "seconds": seconds, "largest_bytes": largest, "final_bytes": final}


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--size", action="store_true")
    parser.add_argument("--transport", action="append", choices=WHO)
    parser.add_argument("--report")
    options = parser.parse_args()
    figures = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0], "transports": {}}
    if options.size:
        print(json.dumps(figures | {"size": size(options.quick)}))
        return
    for name in options.transport or WHO:
        figures["transports"][name] = Transport(name, options).measure().figures()
        for table in rows_of({name: figures["transports"][name]}):
            print(tabular.plain(*table), flush=True)
    figures["load_after"] = os.getloadavg()[0]
    if options.report:
        tabular.write(options.report, rows_of(figures["transports"]))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
