-- What keeps the outbox small and the relay's way through it short.

-- todo-mcp dlq list, and the purge.
create index dead_letters_by_seq on todo.dead_letters (seq);

-- What the broker said of a dead letter that it would not have: no further try is made.
alter table todo.dead_letters add column refused text;

-- Through which broker the relay published last: where that changed, what the old one took may not
-- be delivered, and is published again. One row.
create table todo.relay (
    is_only    boolean primary key default true constraint relay_is_only_check check (is_only),
    broker     text not null,
    changed_at timestamptz not null default clock_timestamp(),
    constraint relay_broker_check check (char_length(broker) between 1 and 300)
);

-- An outbox row is written, changed once and deleted: the table is all turnover, and what is dead
-- in it stands in the relay's way. Autovacuum comes by the number of dead rows, not by the table's
-- size, and does not pause.
alter table todo.outbox set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000,
    autovacuum_vacuum_cost_delay = 0
);
alter table todo.inbox set (
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0
);
