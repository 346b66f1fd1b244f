"""The rig of a soak: PostgreSQL on the machine's disk, safe against a power cut as it is meant to run, and
a relay that purges all the time. What it purges is remembered elsewhere, for the verdict: the
triggers see the rows that go and change nothing of what the product does."""

from stack import PostgresServer
from workers_rig import WorkersRig

KEEP = """
create schema soak;
create table soak.purged_outbox as
    select id, seq, created_at, published_at, key, topic, type, dead_reason, data
    from todo.outbox with no data;
create table soak.purged_inbox as select * from todo.inbox with no data;
create function soak.keep_outbox() returns trigger language plpgsql as $$ begin
    insert into soak.purged_outbox select id, seq, created_at, published_at, key, topic, type,
        dead_reason, jsonb_build_object('event_type', data->'event_type',
        'version', data->'version', 'user_id', data->'user_id') from gone;
    return null;
end $$;
create function soak.keep_inbox() returns trigger language plpgsql as $$ begin
    insert into soak.purged_inbox select * from gone;
    return null;
end $$;
create trigger keep after delete on todo.outbox referencing old table as gone
    for each statement execute function soak.keep_outbox();
create trigger keep after delete on todo.inbox referencing old table as gone
    for each statement execute function soak.keep_inbox();
create view soak.outbox as
    select id, seq, created_at, published_at, key, topic, type, dead_reason, data from todo.outbox
    union all select * from soak.purged_outbox;
create view soak.inbox as select * from todo.inbox union all select * from soak.purged_inbox;
"""


class SoakRig(WorkersRig):
    # All rows that there ever were.
    outbox, inbox = "soak.outbox", "soak.inbox"

    def __init__(self, transport, replicas, inbox_s):
        """The inbox forgets after so many seconds."""
        self.inbox_s = inbox_s
        super().__init__(transport, replicas)

    def make_postgres(self):
        return PostgresServer()

    def settings(self, number):
        """Published rows go within 10 s. The least that the inbox may keep is a day, so its rows
        are nearly a day old when they come (start)."""
        return super().settings(number) | {"OUTBOX_RETENTION_HOURS": "0",
                                           "INBOX_RETENTION_DAYS": "1"}

    def start(self, parts=None):
        super().start(parts)
        self.postgres.query(KEEP)
        self.postgres.query(
            "alter table todo.inbox alter column processed_at set default"
            f" clock_timestamp() - interval '1 day' + interval '{self.inbox_s} s'")
        return self
