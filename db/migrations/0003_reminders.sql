-- The default reminder, and what the notification worker reads.
--
-- A task with a due date, for which set_reminder was never called, has a default reminder. It is no
-- row: that would cost each add_task one, and how long before the due date it comes is a setting of
-- the worker. The worker finds it by the index below and writes down which due date it was for, so
-- that a new due date arms it again whoever writes that.

-- The due date that the default reminder was sent for; 'infinity' once set_reminder was called:
-- from then on the user decides, also that there is none.
alter table todo.tasks add column reminded_for timestamptz;
update todo.tasks t set reminded_for = 'infinity'
where exists (select from todo.reminders r where r.user_id = t.user_id and r.task_id = t.id);
-- The notification worker: tasks whose default reminder is still to come.
create index tasks_default_reminder on todo.tasks (due_date)
    where not completed and due_date is not null
          and (reminded_for is null or (reminded_for <> due_date and reminded_for <> 'infinity'));

comment on column todo.reminders.active is
    'false while it must not be sent: the task is completed, its time had passed already when the '
    'reminder was set, moved or the task reopened, or it is too late to be of use';
