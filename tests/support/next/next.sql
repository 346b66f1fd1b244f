-- What a later version adds, for tests/stack/upgrade_test.py: to the two tables that every change
-- writes, in the order in which it does.
alter table todo.tasks add column next_weight integer not null default 1;
alter table todo.outbox add column next_note text;
create table todo.next (
    task_id bigint not null primary key
);
