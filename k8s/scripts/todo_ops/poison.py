"""test-simplified-operations: see its --help."""

import contextlib
import json

from .probe import Probe
from .report import Failure, until

TRIES = 4
REASON = "refused by test-simplified-operations"
RULE = """create function todo.{name}() returns trigger language plpgsql as $$ begin
 if new.title = '{title}' and new.occurrence > 1 then raise exception '{reason}'; end if;
 return new; end $$;
create trigger {name} before insert on todo.tasks for each row execute function todo.{name}()"""
NO_RULE = ("set client_min_messages = warning;"
           " drop function if exists todo.{name}() cascade")


def letter_of(site, task_id):
    """The dead letter of this task's event that was not replayed, once it is published too."""
    found = json.loads(site.todo_mcp("dlq", "list", "--json"))["dead_letters"]
    return next((letter for letter in found
                 if letter["published_at"] and letter["key"] == str(task_id)), None)


def follow(site, report, arguments, poisoned, healthy, rule):
    with report.step("poison", "an event that its handler cannot use"):
        site.sql(RULE.format(**rule), arguments)
        poisoned.complete()
        healthy.complete()
    with report.step("others go on", "one bad event must not hold up the others") as entry:
        until(healthy.successors, arguments.timeout, "the healthy task's successor")
        entry["found"] = "the task completed after it has its successor"
    with report.step("dead letter", "after three more tries a person has to look") as entry:
        letter = until(lambda: letter_of(site, poisoned.id), arguments.timeout,
                       "the dead letter")
        if letter["attempts"] != TRIES:
            raise Failure(f"{letter['attempts']} attempts, not {TRIES}")
        if poisoned.successors():
            raise Failure("there is a successor all the same")
        entry["found"] = (f"{letter['consumer']}, after {letter['attempts']} attempts: "
                          f"{letter['reason']}")
    with report.step("mend", "what was wrong is put right"):
        site.sql(NO_RULE.format(**rule), arguments)
    with report.step("replay", "the event is handled as if it had just come") as entry:
        site.todo_mcp("dlq", "replay", letter["id"])
        until(poisoned.successors, arguments.timeout, "the poisoned task's successor")
        numbers = len(poisoned.successors()), len(healthy.successors())
        if numbers != (1, 1):
            raise Failure(f"successors of the poisoned and the healthy task: {numbers}")
        if letter_of(site, poisoned.id):
            raise Failure("the dead letter is still listed")
        entry["found"] = "one successor, no dead letter left"


def run(site, report, arguments):
    with report.step("before", "what cannot be asked cannot be followed") as entry:
        waiting = json.loads(site.todo_mcp("dlq", "list", "--json"))["dead_letters"]
        entry["found"] = f"{len(waiting)} dead letters of others"
    poisoned, healthy = Probe(site, "poison"), Probe(site, "healthy")
    rule = {"name": poisoned.title.replace(" ", "_"), "title": poisoned.title, "reason": REASON}
    try:
        follow(site, report, arguments, poisoned, healthy, rule)
    finally:
        with contextlib.suppress(Failure):
            site.sql(NO_RULE.format(**rule), arguments)
            if letter := letter_of(site, poisoned.id):
                site.todo_mcp("dlq", "replay", letter["id"])
        for probe in (poisoned, healthy):
            with contextlib.suppress(Failure):
                probe.remove()
