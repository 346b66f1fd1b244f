-- The call that set a reminder, as the trace that its mail is the end of.
alter table todo.reminders add column traceparent varchar(255);
