-- The schema `todo`: users, their tasks and labels, and the outbox and inbox of events.
--
-- Rules that hold in every table:
--   * A row carries its user, and foreign keys are (user_id, id) pairs, so that no row of one
--     user can point at another's.
--   * What must never be stored is refused here, whatever the program does: lengths, formats,
--     and columns that depend on one another.
--   * Times that order rows are clock_timestamp(): several calls may share one transaction.
--   * An index names the query that needs it.

do $$
begin
    if current_setting('server_encoding') <> 'UTF8' then
        raise exception 'the database has the encoding %, but needs UTF8',
            current_setting('server_encoding')
            using hint = 'make one with CREATE DATABASE ... ENCODING UTF8 TEMPLATE template0',
                  errcode = 'feature_not_supported';
    end if;
end
$$;

create schema if not exists todo;

-- Trigram similarity (typing errors in a search). The extension may live in any schema, so the
-- statements reach it by two functions here; both are inlined into the query that calls them.
do $$
declare
    place name;
begin
    if not exists (select from pg_catalog.pg_extension where extname = 'pg_trgm') then
        begin
            create extension pg_trgm with schema todo;
        exception
            when insufficient_privilege then
                raise exception 'this database has no extension pg_trgm and the role % may not create it',
                    current_user
                    using hint = 'let an administrator run CREATE EXTENSION pg_trgm in this database',
                          errcode = 'insufficient_privilege';
            when undefined_file or feature_not_supported then
                raise exception 'the database server lacks the extension pg_trgm'
                    using hint = 'install the package postgresql-contrib of the server',
                          errcode = 'feature_not_supported';
        end;
    end if;
    select n.nspname into place
    from pg_catalog.pg_extension e
    join pg_catalog.pg_namespace n on n.oid = e.extnamespace
    where e.extname = 'pg_trgm';
    execute pg_catalog.format($f$
        create function todo.fuzzy_rank(query text, title text) returns real
        language sql immutable strict parallel safe
        as 'select %1$I.word_similarity(query, title)'$f$, place);
end
$$;

-- RFC 3339 in UTC, for event data. Stable only because to_char is.
create function todo.rfc3339(t timestamptz) returns text
language sql stable strict parallel safe
as $$ select to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- UUIDv7 (RFC 9562 section 5.7): 48 bits of milliseconds, then the version, then the random bits
-- and the variant of a version 4 UUID. An outbox row's id and its event's id.
create function todo.uuid_v7() returns uuid
language sql volatile parallel safe
as $$
    select (lpad(to_hex((date_part('epoch', clock_timestamp()) * 1000)::bigint), 12, '0')
            || '7' || substr(gen_random_uuid()::text, 16))::uuid
$$;

-- Searching.
--
-- A word is a run of letters and digits: ASCII punctuation and the common Unicode one part words,
-- so that "example" is found in "bob@example.com" and "src/example.c". The configuration is
-- 'simple': a user's language is unknown, and a stemmed index cannot be searched by prefix
-- ("runni" is no prefix of the stem "run"), while in an unstemmed one every prefix of a word as
-- it was written finds it.
--
-- Each lexeme starts with its user ("42/milk"), so that a word's or prefix's entries in the index
-- are that user's alone: a search costs what the user's own matches cost, however many tasks
-- others have. A plain index would walk every user's tasks that have the word.
--
-- PL/pgSQL because the server keeps its plan for a session; the expression of a generated column
-- is planned anew, with all that it inlines, by every single insert.
create function todo.search_text(t text) returns text
language plpgsql immutable strict parallel safe
as $$
begin
    t := translate(t, E'-_./:@+&%=#<>~?\\|\u2013\u2014\u2018\u2019\u201c\u201d\u2026',
                   '                        ');
    -- A lexeme has at most 2,046 bytes; longer runs (keys, encoded data) keep their start.
    if octet_length(t) > 1000 then
        t := regexp_replace(t, '(\S{200})\S+', '\1', 'g');
    end if;
    return t;
end
$$;

create function todo.search_lexemes(prefix text, t text) returns tsvector
language plpgsql immutable strict parallel safe
as $$
begin
    return replace(' ' || to_tsvector('pg_catalog.simple', todo.search_text(t))::text,
                   ' ''', ' ''' || prefix)::tsvector;
end
$$;

create function todo.search_vector(user_id bigint, title text, description text) returns tsvector
language plpgsql immutable parallel safe
as $$
begin
    if description is null then
        return setweight(todo.search_lexemes(user_id || '/', title), 'A');
    end if;
    return setweight(todo.search_lexemes(user_id || '/', title), 'A')
           || setweight(todo.search_lexemes(user_id || '/', description), 'B');
end
$$;

-- Every word of `t` as a prefix, all of them wanted. No text can make a syntax error: what is cast
-- to tsquery was printed by tsvector. Null when `t` has no word.
create function todo.search_query(prefix text, t text) returns tsquery
language plpgsql immutable strict parallel safe
as $$
declare
    lexemes text := strip(to_tsvector('pg_catalog.simple', todo.search_text(t)))::text;
begin
    if lexemes = '' then
        return null;
    end if;
    return ('''' || prefix || replace(ltrim(lexemes, ''''), ''' ''', ''':* & ''' || prefix)
            || ':*')::tsquery;
end
$$;

-- Any word of `t` as a prefix, or only its first `chars` characters. Null when `t` has no word.
create function todo.search_any(prefix text, t text, chars integer) returns tsquery
language plpgsql immutable strict parallel safe
as $$
begin
    return (
        select string_agg('''' || prefix
                          || replace(replace(left(w, chars), '\', '\\'), '''', '''''')
                          || ''':*', ' | ')::tsquery
        from unnest(tsvector_to_array(to_tsvector('pg_catalog.simple', todo.search_text(t)))) w
    );
end
$$;

-- What one column may hold is a domain, not a CHECK of the table: the server reads a table's
-- CHECKs anew for every statement, a domain's once a session, and add_task feels the difference.
create domain todo.task_title as text constraint task_title_check
    check (char_length(value) between 1 and 200 and value = btrim(value, E' \t\n\r'));
create domain todo.task_description as text constraint task_description_check
    check (char_length(value) between 1 and 10000);
create domain todo.priority as smallint constraint priority_check
    check (value between 0 and 3); -- 0 low … 3 urgent
create domain todo.finite_time as timestamptz constraint finite_time_check
    check (isfinite(value));
create domain todo.recurrence_rule as text constraint recurrence_rule_check
    check (char_length(value) between 1 and 1000);
create domain todo.timezone as text constraint timezone_check
    check (char_length(value) between 1 and 64);
-- No control characters: the tags of a task travel as text parted by them.
create domain todo.label_name as text constraint label_name_check
    check (char_length(value) between 1 and 50 and value = btrim(value)
           and value !~ '[\x01-\x1f\x7f]');
create domain todo.color as text constraint color_check
    check (value ~ '^#[0-9A-Fa-f]{6}$');
create domain todo.event_type as text constraint event_type_check
    check (value in ('TaskCreatedEvent', 'TaskUpdatedEvent', 'TaskDeletedEvent',
                     'TaskCompletedEvent', 'ReminderSentEvent'));
create domain todo.event_topic as text constraint event_topic_check
    check (value in ('task-events', 'task-recurrence', 'task-reminders'));

create table todo.users (
    id             bigint generated always as identity primary key,
    subject        text not null unique, -- found by each authentication (user_ensure)
    email          text,
    timezone       todo.timezone not null default 'UTC',
    category_count smallint not null default 0, -- kept by label_count
    tag_count      smallint not null default 0,
    created_at     timestamptz not null default clock_timestamp(),
    constraint users_subject_check check (char_length(subject) between 1 and 255),
    constraint users_email_check check (char_length(email) between 3 and 254),
    constraint users_category_count_check check (category_count between 0 and 50),
    constraint users_tag_count_check check (tag_count between 0 and 100)
);

create table todo.categories (
    user_id    bigint not null references todo.users (id) on delete cascade,
    id         bigint generated always as identity,
    name       todo.label_name not null,
    color      todo.color,
    created_at timestamptz not null default clock_timestamp(),
    primary key (user_id, id),
    constraint categories_name_key unique (user_id, name)
);

create table todo.tags (
    user_id    bigint not null references todo.users (id) on delete cascade,
    id         bigint generated always as identity,
    name       todo.label_name not null,
    color      todo.color,
    created_at timestamptz not null default clock_timestamp(),
    primary key (user_id, id),
    constraint tags_name_key unique (user_id, name),
    constraint tags_name_check check (char_length(name) <= 30)
);

-- Counts a user's labels in the user's row, where the limits are constraints: a count of the rows
-- would miss those of a concurrent transaction.
create function todo.label_count() returns trigger
language plpgsql
as $$
declare
    step constant integer := case tg_op when 'INSERT' then 1 else -1 end;
begin
    update todo.users u
    set category_count = category_count + case tg_table_name when 'categories' then step else 0 end,
        tag_count = tag_count + case tg_table_name when 'tags' then step else 0 end
    where u.id = case tg_op when 'INSERT' then new.user_id else old.user_id end;
    return null;
end
$$;
create trigger categories_count after insert or delete on todo.categories
    for each row execute function todo.label_count();
create trigger tags_count after insert or delete on todo.tags
    for each row execute function todo.label_count();

create table todo.tasks (
    user_id         bigint not null constraint tasks_user_fkey
                        references todo.users (id) on delete cascade,
    id              bigint generated always as identity,
    category_id     bigint,
    version         bigint not null default 1,
    created_at      timestamptz not null default clock_timestamp(),
    updated_at      timestamptz not null default clock_timestamp(),
    due_date        todo.finite_time,
    completed_at    timestamptz,
    series_id       bigint, -- a recurring task's successors: the id of the first
    occurrence      integer, -- their number, from 2
    priority        todo.priority not null default 1,
    completed       boolean not null default false,
    title           todo.task_title not null,
    timezone        todo.timezone not null,
    recurrence_rule todo.recurrence_rule,
    description     todo.task_description,
    search          tsvector not null generated always as (
                        todo.search_vector(user_id, title, description)
                    ) stored,
    primary key (user_id, id),
    constraint tasks_category_fkey foreign key (user_id, category_id)
        references todo.categories (user_id, id),
    constraint tasks_completed_check check (completed = (completed_at is not null)),
    constraint tasks_recurrence_check
        check ((recurrence_rule is null or due_date is not null)
               and (series_id is null) = (occurrence is null))
);
-- Lists: one index a sort. `completed` stands before the sort key, so that a page of pending,
-- completed or all tasks (the two merged) is a range read in order.
create index tasks_by_created on todo.tasks (user_id, completed, created_at, id);
create index tasks_by_updated on todo.tasks (user_id, completed, updated_at, id);
create index tasks_by_due on todo.tasks (user_id, completed, due_date, id);
create index tasks_by_priority on todo.tasks (user_id, completed, priority, id);
-- Lists of one category, its count of tasks and its deletion.
create index tasks_by_category on todo.tasks (user_id, category_id, completed, created_at, id)
    where category_id is not null;
-- One successor for each completion of a recurring task.
create unique index tasks_series_key on todo.tasks (user_id, series_id, occurrence)
    where series_id is not null;
-- search_tasks. New entries wait in a list that every search reads from end to end and that some
-- insert empties into the index; at its default length of 4 MB a search takes four times as long,
-- and that insert tens of milliseconds.
create index tasks_search on todo.tasks using gin (search) with (gin_pending_list_limit = 64);

create table todo.task_tags (
    user_id bigint not null,
    task_id bigint not null,
    tag_id  bigint not null,
    primary key (user_id, task_id, tag_id),
    constraint task_tags_task_fkey foreign key (user_id, task_id)
        references todo.tasks (user_id, id) on delete cascade,
    constraint task_tags_tag_fkey foreign key (user_id, tag_id)
        references todo.tags (user_id, id)
);
-- Lists by tag, a tag's count of tasks and its deletion.
create index task_tags_by_tag on todo.task_tags (user_id, tag_id, task_id);

-- At most one reminder a task. `remind_at` is when to send it; a relative one follows the due
-- date and has none while there is no due date. `active` is false while the task is completed.
create table todo.reminders (
    user_id        bigint not null,
    task_id        bigint not null,
    remind_at      todo.finite_time,
    sent_at        timestamptz,
    before_minutes integer,
    active         boolean not null default true,
    primary key (user_id, task_id),
    constraint reminders_task_fkey foreign key (user_id, task_id)
        references todo.tasks (user_id, id) on delete cascade,
    constraint reminders_before_check check (before_minutes between 0 and 525600),
    constraint reminders_kind_check check (before_minutes is not null or remind_at is not null),
    constraint reminders_sent_check check (sent_at is null or remind_at is not null)
);
-- The notification worker: what is due.
create index reminders_due on todo.reminders (remind_at)
    where active and sent_at is null and remind_at is not null;

-- Events, written with the change that they tell of. A task's events have the order of its
-- commits by `seq`, because the task's row is locked before they are written.
create table todo.outbox (
    id           uuid not null primary key, -- UUIDv7: ranges by id are ranges in time (replay, purge)
    seq          bigint generated always as identity,
    created_at   timestamptz not null default clock_timestamp(),
    published_at timestamptz,
    attempts     integer not null default 0,
    key          text not null, -- the task's id: events of one key stay in order
    topic        todo.event_topic not null,
    type         todo.event_type not null,
    traceparent  varchar(255),
    dead_reason  text,
    data         jsonb not null
);
-- The relay: what is not published yet, in order.
create index outbox_unpublished on todo.outbox (seq)
    where published_at is null and dead_reason is null;

-- What a consumer has done already.
create table todo.inbox (
    consumer     text not null,
    event_id     uuid not null,
    processed_at timestamptz not null default clock_timestamp(),
    primary key (consumer, event_id),
    constraint inbox_consumer_check check (char_length(consumer) between 1 and 100)
);

create table todo.api_keys (
    user_id      bigint not null references todo.users (id) on delete cascade,
    id           bigint generated always as identity,
    name         text not null,
    key_hash     bytea not null,
    scopes       text[] not null default '{}',
    created_at   timestamptz not null default clock_timestamp(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    primary key (user_id, id),
    constraint api_keys_key_hash_key unique (key_hash), -- found by each authentication
    constraint api_keys_name_check check (char_length(name) between 1 and 100),
    constraint api_keys_key_hash_check check (octet_length(key_hash) = 32)
);

-- The answer to a repeated add_task: which task the key made. Null once that task is deleted: a
-- late repeat must not bring it back.
create table todo.idempotency_keys (
    user_id    bigint not null references todo.users (id) on delete cascade,
    key        text not null,
    task_id    bigint,
    created_at timestamptz not null default clock_timestamp(),
    primary key (user_id, key),
    constraint idempotency_keys_task_fkey foreign key (user_id, task_id)
        references todo.tasks (user_id, id) on delete set null (task_id),
    constraint idempotency_keys_key_check check (char_length(key) between 1 and 128)
);
-- The deletion of a task looks for its key.
create index idempotency_keys_by_task on todo.idempotency_keys (user_id, task_id)
    where task_id is not null;
