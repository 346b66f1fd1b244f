-- What a recurring task's successor is handed on, beside series_id and occurrence.

-- The time that the rule gave it, on the clock of its time zone. Where that clock skipped it, or the
-- due date was moved by hand, due_date is another. Null: the due date is a new start.
alter table todo.tasks add column series_at timestamp;
-- The occurrence from which on its rule holds: COUNT counts from there. Null: from the first.
alter table todo.tasks add column series_from integer;
