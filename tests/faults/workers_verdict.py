"""What must hold after a campaign of the workers, seen from outside: in the database, in the mails
that the SMTP server took and in what the recorder was told.

A todo-email that is killed after the server took a mail and before it has marked it as sent
leaves the mail to be sent again, with the same Message-ID and the same bytes: SMTP knows no way
around that. Such a repeat counts as one mail where its earlier copy came while there was doubt whether
it would be marked, as when a todo-email was killed just after it; any other fails."""

from collections import defaultdict

from todo_server import wait_for
from workers_rig import MAIL_DOMAIN

SHOWN = 20
# A mail and its mark take no longer, on a busy machine either.
SEND_S, AFTER_S = 3, 0.5


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def shown(ids):
    ids = sorted(ids)
    return f"{ids[:SHOWN]}{' …' if len(ids) > SHOWN else ''}"


class WorkersVerdict:
    """`doubts`: [(from, to)] between which a mail that is sent may have to be sent again."""

    def __init__(self, rig, load, doubts):
        self.rig, self.load, self.doubts = rig, load, doubts
        self.faults, self.figures, self.latencies = [], {}, []

    # ---- has all come?

    def _waits_for(self):
        """What is still to come, for a person."""
        row = self.rig.postgres.query(
            f"select (select count(*) from {self.rig.outbox} where published_at is null"
            "         and dead_reason is null),"
            f" (select count(*) from {self.rig.inbox} where consumer = 'email-delivery-service'),"
            " (select count(*) from todo.tasks where occurrence = 2),"
            " (select count(*) from recorder.recorded where type = 'TaskCreatedEvent')")[0]
        unpublished, mailed, successors, recorded = map(int, row)
        tasks, repeating = len(self.load.reminded), len(self.load.repeating)
        wanted = tasks + 2 * repeating
        return [word for is_open, word in (
            (unpublished > 0, f"{unpublished} events are not published"),
            (mailed < tasks, f"{tasks - mailed} of {tasks} reminders are not marked as mailed"),
            (successors < repeating, f"{repeating - successors} of {repeating} have no successor"),
            (recorded < wanted, f"{wanted - recorded} of {wanted} TaskCreatedEvents did not come"),
        ) if is_open]

    def wait_until_settled(self, seconds):
        try:
            wait_for(lambda: not self._waits_for(), seconds, "the end of the work")
        except TimeoutError:
            self.faults.append(f"after {seconds} s: {', '.join(self._waits_for())}")

    # ---- reminders and mails

    def check(self):
        self._check_reminders()
        self._check_mails()
        self._check_successors()
        self._check_letters()
        self.figures |= {"tasks": len(self.load.reminded), "completed": len(self.load.repeating),
                         "repeated calls": self.load.repeats()}
        return self

    def _check_reminders(self):
        rows = self.rig.postgres.query(
            f"select key, id from {self.rig.outbox} where type = 'ReminderSentEvent'")
        events = defaultdict(list)
        for key, event_id in rows:
            events[int(key)].append(event_id)
        wanted = {task.id for task in self.load.reminded}
        self._complain("no reminder was sent for", wanted - set(events))
        self._complain("a reminder was sent that nobody asked for, for", set(events) - wanted)
        self._complain("the reminder was sent twice for",
                       {key for key, ids in events.items() if len(ids) > 1})
        self.task_of = {event_id: int(key) for key, event_id in rows}

    def _complain(self, what, ids):
        if ids:
            self.faults.append(f"{what} {len(ids)} tasks: {shown(ids)}")

    def _check_mails(self):
        tasks = {task.id: task for task in self.load.reminded}
        mails = defaultdict(list)
        for mail in self.rig.sink.mails():
            event_id = mail.message["Message-ID"].strip("<>").removesuffix(f"@{MAIL_DOMAIN}")
            key = self.task_of.get(event_id)
            if key not in tasks:
                self.faults.append(f"a mail came from nowhere: {mail.message['Message-ID']}")
            else:
                mails[key].append(mail)
        self._complain("no mail came for", set(tasks) - set(mails))
        self._complain("a mail went to someone else for", {
            key for key, sent in mails.items() for mail in sent
            if mail.envelope["to"] != [self.load.users[tasks[key].user].email]
            or tasks[key].title not in mail.message["Subject"]})
        twice = {key for key, sent in mails.items() if len(sent) > 1}
        excused = {key for key in twice if self._is_excused(mails[key])}
        self._complain("a mail came twice for", twice - excused)
        for key in sorted(twice - excused)[:SHOWN]:
            self._tell(key, mails[key])
        for key, sent in mails.items():
            task = tasks[key]
            self.latencies.append(sent[0].envelope["at"] - max(task.at, task.known_at))
        self.figures |= {"mails": len(mails), "sent again by a kill": len(excused),
                         **self._latencies()}

    def _latencies(self):
        """To the mail, and to the two steps before it."""
        rows = self.rig.postgres.query(
            "select key, extract(epoch from created_at), extract(epoch from published_at)"
            f" from {self.rig.outbox} where type = 'ReminderSentEvent' and published_at is not null")
        tasks = {task.id: max(task.at, task.known_at) for task in self.load.reminded}
        steps = [[float(row[n]) - tasks[int(row[0])] for row in rows if int(row[0]) in tasks]
                 for n in (1, 2)]
        return {"p95 s to the outbox": round(percentile(steps[0], 0.95), 3),
                "to the broker": round(percentile(steps[1], 0.95), 3),
                "p50 s": round(percentile(self.latencies, 0.5), 3),
                "p95 s": round(percentile(self.latencies, 0.95), 3),
                "max s": round(max(self.latencies, default=0), 3)}

    def _is_excused(self, sent):
        """The server may read the end of a mail just after its sender has gone."""
        return (all(any(begin - SEND_S <= copy.envelope["at"] <= end + AFTER_S
                        for begin, end in self.doubts) for copy in sent[:-1])
                and all(copy.raw == sent[0].raw for copy in sent[1:]))

    def _tell(self, key, sent):
        """How a mail came to be there twice."""
        times = ", ".join(f"{copy.envelope['at'] - self.load.start_at:.3f}" for copy in sent)
        doubts = ", ".join("–".join(f"{at - self.load.start_at:.3f}" for at in pair)
                           for pair in self.doubts)
        same = all(copy.raw == sent[0].raw for copy in sent)
        self.faults.append(
            f"task {key}: {'the same' if same else 'different'} mails {sent[0].message['Message-ID']}"
            f" at {times} s; what may make it come twice was at {doubts} s")

    # ---- recurrence

    def _check_successors(self):
        rows = self.rig.postgres.query(
            "select t.series_id, t.id, count(o.id), count(o.published_at), count(r.event_id)"
            f" from todo.tasks t left join {self.rig.outbox} o on o.key = t.id::text"
            " and o.type = 'TaskCreatedEvent' left join recorder.recorded r on r.event_id = o.id"
            " where t.series_id is not null and t.occurrence > 1 group by t.series_id, t.id")
        successors = defaultdict(list)
        for series_id, *row in rows:
            successors[int(series_id)].append(tuple(map(int, row)))
        wanted = {task.id for task in self.load.repeating}
        self._complain("there is no successor of", wanted - set(successors))
        self._complain("there are several successors of",
                       {key for key, found in successors.items() if len(found) > 1})
        self._complain("a successor came that nobody asked for, of", set(successors) - wanted)
        self._complain("the TaskCreatedEvent was not published and recorded once, of successors",
                       {row[0] for found in successors.values() for row in found
                        if row[1:] != (1, 1, 1)})
        runs = self.rig.deliveries()
        self.figures |= {"successors": sum(map(len, successors.values())),
                         "deliveries repeated": len(runs) - len({r["event_id"] for r in runs})}

    def _check_letters(self):
        parked = self.rig.postgres.query(
            f"select id, dead_reason from {self.rig.outbox} where dead_reason is not null limit 5")
        letters = self.rig.postgres.query(
            "select consumer, event_id, reason from todo.dead_letters limit 5")
        if parked or letters:
            self.faults.append(f"parked: {parked}, dead letters: {letters}")

    def require(self, p95_limit_s):
        """An AssertionError with all that does not hold."""
        p95 = self.figures["p95 s"]
        if p95 > p95_limit_s:
            self.faults.append(f"p95 of {p95} s is over {p95_limit_s} s")
        if self.faults:
            raise AssertionError("\n".join([*self.faults, str(self.figures)]))
