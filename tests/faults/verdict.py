"""What must hold after a campaign: each acknowledged change has its one event in the outbox, each of
these was handled once, and those of a task in the order of its changes.

Order has one exception, which is counted and bounded: Redis under Dapr gives what a killed sidecar had
fetched again only once the processing timeout is over, after what came later. A sidecar has three
events in hand at most (queueDepth and concurrency of k8s/dapr/pubsub-redis.yaml)."""

from collections import Counter, defaultdict

from todo_server import wait_for


class Verdict:
    def __init__(self, rig, load, may_overtake=0, subject=None):
        """`may_overtake`: so many tasks may have events out of order. `subject`: the load's user,
        where there are others that do something else."""
        self.rig, self.load, self.may_overtake = rig, load, may_overtake
        self.subject = subject
        self.faults, self.figures = [], {}

    def wait_until_settled(self, seconds=120):
        """All is published and all is recorded."""
        try:
            wait_for(self._is_settled, seconds, "the last event")
        except TimeoutError as error:
            self.faults.append(str(error))

    def _is_settled(self):
        """Parked rows never are recorded, and are a fault of their own."""
        open_rows, rows, recorded = self.rig.postgres.query(
            "select count(*) filter (where published_at is null and dead_reason is null),"
            f" count(*) filter (where dead_reason is null and topic in {self._topics()}),"
            " (select count(*) from recorder.recorded) from " + self.rig.outbox)[0]
        return open_rows == "0" and int(recorded) >= int(rows)

    def _topics(self):
        return "({})".format(", ".join(f"'{topic}'" for topic in self.rig.recorded_topics))

    def check(self):
        whole = self.rig.postgres.query(
            "select o.id, key, topic, data->>'event_type', coalesce(data->>'version', ''),"
            " coalesce(dead_reason, ''), u.subject from "
            f"{self.rig.outbox} o left join todo.users u"
            " on u.id = (data->>'user_id')::bigint order by seq")
        outbox = [row[:6] for row in whole if row[2] in self.rig.recorded_topics]
        recorded = self.rig.postgres.query(
            "select event_id, key, topic from recorder.recorded order by seq")
        self._check_changes([row[:6] for row in whole if self.subject in (None, row[6])])
        self._check_sets(outbox, recorded)
        self._check_order(outbox, recorded)
        self._check_letters(outbox)
        runs = self.rig.deliveries()
        self.figures |= {
            "changes": sum(self.load.changes().values()), "outbox": len(outbox),
            "recorded": len(recorded), "repeated calls": self.load.repeats(),
            "deliveries": len(runs),
            "raw duplicates": len(runs) - len({run["event_id"] for run in runs})}
        return self

    def _check_changes(self, outbox):
        expected = self.load.changes()
        got = Counter((key, kind, int(version) if version else None)
                      for _, key, _, kind, version, _ in outbox)
        if got != expected:
            self.faults.append(f"changes without their event: {list(expected - got)[:5]}; "
                               f"events without their change: {list(got - expected)[:5]}")

    def _check_sets(self, outbox, recorded):
        sent, came = {row[0] for row in outbox}, {row[0] for row in recorded}
        if sent != came:
            self.faults.append(f"{len(sent - came)} events were lost: {sorted(sent - came)[:5]}; "
                               f"{len(came - sent)} came from nowhere")
        inbox = int(self.rig.postgres.value(
            f"select count(*) from {self.rig.inbox} where consumer = 'recorder'"))
        if len(recorded) != len(came) or inbox != len(came):
            self.faults.append(f"after the inbox: {len(recorded)} effects and {inbox} rows for "
                               f"{len(came)} events")

    def _check_order(self, outbox, recorded):
        """Within a topic; two topics are two ways."""
        wanted, got = defaultdict(list), defaultdict(list)
        for event_id, key, topic, *_ in outbox:
            wanted[(key, topic)].append(event_id)
        for event_id, key, topic in recorded:
            got[(key, topic)].append(event_id)
        overtaken = [pair for pair, ids in wanted.items() if got[pair] != ids]
        self.figures["tasks out of order"] = len(overtaken)
        if len(overtaken) > self.may_overtake:
            key, topic = overtaken[0]
            self.faults.append(f"{len(overtaken)} tasks have events out of order, as task "
                               f"{key}: {wanted[(key, topic)]} came as {got[(key, topic)]}")

    def _check_letters(self, outbox):
        parked = [row for row in outbox if row[5]]
        letters = self.rig.postgres.query(
            "select event_id, reason from todo.dead_letters limit 5")
        if parked or letters:
            self.faults.append(f"{len(parked)} events are parked ({parked[:2]}), "
                               f"dead letters: {letters}")

    def require(self):
        if self.faults:
            raise AssertionError("\n".join([*self.faults, str(self.figures)]))
