-- The relay, dead letters, the retention of what is published.

-- Who tells: null is the MCP server, else the app id of a worker.
alter table todo.outbox add column source text
    constraint outbox_source_check check (char_length(source) between 1 and 100);

-- The relay has a lane for each topic, so that one whose subscribers are down holds up no other.
drop index todo.outbox_unpublished;
create index outbox_unpublished on todo.outbox (topic, seq)
    where published_at is null and dead_reason is null;
-- todo-mcp outbox status and replay: what is parked.
create index outbox_parked on todo.outbox (seq) where dead_reason is not null;

-- Deliveries that no consumer could use, as they came: the relay publishes them to task-events-dlq.
create table todo.dead_letters (
    id           uuid not null primary key default todo.uuid_v7(),
    seq          bigint generated always as identity,
    consumer     text not null,
    event_id     text, -- null where it could not be read
    key          text not null default '',
    topic        text not null, -- where it came from
    reason       text not null,
    attempts     integer not null,
    event        bytea not null,
    created_at   timestamptz not null default clock_timestamp(),
    published_at timestamptz,
    replayed_at  timestamptz,
    constraint dead_letters_consumer_check check (char_length(consumer) between 1 and 100),
    constraint dead_letters_reason_check check (char_length(reason) <= 1000)
);
-- A delivery is dead once for a consumer, however often it comes again.
create unique index dead_letters_event_key on todo.dead_letters (consumer, event_id)
    where event_id is not null and replayed_at is null;
create index dead_letters_unpublished on todo.dead_letters (seq) where published_at is null;

-- The purge: by age.
create index inbox_by_time on todo.inbox (processed_at);
