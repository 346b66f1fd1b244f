-- Small values under keys with a time to live: what Dapr's state store is with a sidecar, for
-- workers without one (apps/shared/state_store).
create table todo.state (
    key        text not null primary key,
    value      json not null,
    etag       uuid not null default gen_random_uuid(), -- of this very value
    expires_at timestamptz, -- null: it stays
    constraint state_key_check check (octet_length(key) between 1 and 512)
);
-- state_prune: what has expired.
create index state_by_expiry on todo.state (expires_at) where expires_at is not null;
