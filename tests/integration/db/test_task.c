/* add_task, get_task, delete_task: rows, answers, events, and whose they are. */
#include "fixture.h"

#define DUE INT64_C(1795802645123456) /* 2026-11-27T18:04:05.123456Z */

static struct db_task_new plain(const char *title)
{
    return (struct db_task_new){.title = slice_from_cstr(title), .priority = DB_PRIORITY_MEDIUM};
}

static void an_added_task_comes_back_with_its_defaults(void **state)
{
    struct fixture *f = *state;
    struct db_task_new task = plain("milk");
    struct task_answer a = add_task(f, &task);
    assert_outcome(a, DB_OK);
    assert_true(a.reply.changed);
    assert_false(a.reply.replayed);
    assert_slice(a.task.title, "milk");
    assert_int_equal(a.task.description.len, 0);
    assert_false(a.task.completed);
    assert_int_equal(a.task.priority, DB_PRIORITY_MEDIUM);
    assert_false(a.task.has_due_date);
    assert_slice(a.task.timezone, "Europe/Berlin"); /* the user's */
    assert_int_equal(a.task.category.id, 0);
    assert_int_equal(a.task.tag_count, 0);
    assert_false(a.task.reminder.is_set);
    assert_int_equal(a.task.version, 1);
    assert_int_equal(a.task.created_at, a.task.updated_at);
    assert_int_equal(a.task.completed_at, 0);
}

/* A task with everything, by either statement's way. */
static void what_was_added_is_what_get_task_shows(void **state)
{
    struct fixture *f = *state;
    int64_t category = add_label(f, DB_CATEGORY, "home");
    int64_t red = add_label(f, DB_TAG, "red");
    int64_t blue = add_label(f, DB_TAG, "blue");
    struct db_task_new task = plain("a 'quoted' \\ title, \xe2\x82\xac");
    task.description = SLICE_LIT("line\nline \"two\"; drop table x --");
    task.priority = DB_PRIORITY_URGENT;
    task.has_due_date = true;
    task.due_date = DUE;
    task.recurrence_rule = SLICE_LIT("FREQ=DAILY");
    task.timezone = SLICE_LIT("Asia/Tokyo");
    task.category_id = category;
    task.tag_ids[0] = red;
    task.tag_ids[1] = blue;
    task.tag_count = 2;
    struct task_answer added = add_task(f, &task);
    struct task_answer a = get_task(f, f->user, added.task.id);
    for (int i = 0; i < 2; i++, a = added) {
        assert_outcome(a, DB_OK);
        assert_slice(a.task.title, "a 'quoted' \\ title, \xe2\x82\xac");
        assert_slice(a.task.description, "line\nline \"two\"; drop table x --");
        assert_int_equal(a.task.priority, DB_PRIORITY_URGENT);
        assert_true(a.task.has_due_date);
        assert_int_equal(a.task.due_date, DUE);
        assert_slice(a.task.recurrence_rule, "FREQ=DAILY");
        assert_slice(a.task.timezone, "Asia/Tokyo");
        assert_int_equal(a.task.category.id, category);
        assert_slice(a.task.category.name, "home");
        assert_int_equal(a.task.tag_count, 2);
        assert_slice(a.task.tags[0].name, "blue"); /* by name */
        assert_int_equal(a.task.tags[1].id, red);
    }
}

static void adding_writes_one_event_that_tells_the_task(void **state)
{
    struct fixture *f = *state;
    int64_t tag = add_label(f, DB_TAG, "red");
    struct db_task_new task = plain("pay rent");
    task.description = SLICE_LIT("by transfer");
    task.priority = DB_PRIORITY_HIGH;
    task.has_due_date = true;
    task.due_date = DUE;
    task.traceparent = SLICE_LIT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    task.tag_ids[0] = tag;
    task.tag_count = 1;
    new_events(f);
    struct task_answer a = add_task(f, &task);
    assert_int_equal(new_events(f), 1);
    assert_string_equal(newest_event(f, "event_type"), "task.created");
    assert_string_equal(newest_event(f, "title"), "pay rent");
    assert_string_equal(newest_event(f, "description"), "by transfer");
    assert_string_equal(newest_event(f, "priority"), "high");
    assert_string_equal(newest_event(f, "due_date"), "2026-11-27T18:04:05.123456Z");
    assert_string_equal(newest_event(f, "schema_version"), "1.0");
    assert_int_equal(newest_event_int(f, "task_id"), a.task.id);
    assert_int_equal(newest_event_int(f, "user_id"), f->user);
    assert_int_equal(newest_event_int(f, "tag_ids,0"), tag);
    /* The row around it: key, topic, type, and an id that is the event's and a UUIDv7. */
    assert_string_equal(
        postgres_text(f->pg,
                      "select concat_ws(' ', key = data ->> 'task_id', topic, type, traceparent,"
                      " id::text = data ->> 'event_id', substr(id::text, 15, 1))"
                      " from todo.outbox order by seq desc limit 1"),
        "t task-events TaskCreatedEvent 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 "
        "t 7");
}

static void a_short_add_writes_the_same_event_keys_as_a_full_one(void **state)
{
    struct fixture *f = *state;
    static const char keys[] = "select string_agg(k, ' ' order by k) from todo.outbox,"
                               " jsonb_object_keys(data) k where seq = (select max(seq)"
                               " from todo.outbox)";
    add_titled(f, "short");
    char *short_keys = arena_strdup(&f->arena, postgres_text(f->pg, keys));
    struct db_task_new task = plain("full");
    task.idempotency_key = SLICE_LIT("k");
    add_task(f, &task);
    assert_string_equal(postgres_text(f->pg, keys), short_keys);
}

static void add_refuses_labels_that_are_not_the_users(void **state)
{
    struct fixture *f = *state;
    int64_t category = create_label(f, DB_CATEGORY, f->other, "theirs", NULL).reply.labels[0].id;
    int64_t tag = create_label(f, DB_TAG, f->other, "theirs", NULL).reply.labels[0].id;
    struct db_task_new task = plain("x");
    task.category_id = category;
    assert_outcome(add_task(f, &task), DB_CATEGORY_NOT_FOUND);
    task = plain("x");
    task.tag_ids[0] = tag;
    task.tag_count = 1;
    assert_outcome(add_task(f, &task), DB_TAG_NOT_FOUND);
    assert_int_equal(new_events(f), 0);
    assert_int_equal(postgres_int(f->pg, "select count(*) from todo.tasks where user_id = %lld",
                                  (long long)f->user),
                     0);
}

/* ---- idempotency ---- */

static void a_repeated_key_answers_with_the_first_task(void **state)
{
    struct fixture *f = *state;
    struct db_task_new task = plain("once");
    task.idempotency_key = SLICE_LIT("key 1");
    struct task_answer first = add_task(f, &task);
    assert_int_equal(new_events(f), 1);
    task.title = SLICE_LIT("another title");
    struct task_answer second = add_task(f, &task);
    assert_outcome(second, DB_OK);
    assert_true(second.reply.replayed);
    assert_false(second.reply.changed);
    assert_int_equal(second.task.id, first.task.id);
    assert_slice(second.task.title, "once");
    assert_int_equal(new_events(f), 0);
}

static void a_key_belongs_to_its_user(void **state)
{
    struct fixture *f = *state;
    struct db_task_new task = plain("mine");
    task.idempotency_key = SLICE_LIT("shared key");
    struct task_answer mine = add_task(f, &task);
    int64_t user = f->user;
    f->user = f->other;
    struct task_answer theirs = add_task(f, &task);
    f->user = user;
    assert_false(theirs.reply.replayed);
    assert_int_not_equal(theirs.task.id, mine.task.id);
}

static void a_key_of_a_deleted_task_does_not_bring_it_back(void **state)
{
    struct fixture *f = *state;
    struct db_task_new task = plain("gone");
    task.idempotency_key = SLICE_LIT("key");
    struct task_answer first = add_task(f, &task);
    assert_outcome(delete_task(f, f->user, first.task.id), DB_OK);
    struct task_answer again = add_task(f, &task);
    assert_outcome(again, DB_NOT_FOUND);
    assert_null(again.reply.task);
}

#define AT_ONCE 16

static void calls_with_one_key_at_once_make_one_task(void **state)
{
    struct fixture *f = *state;
    struct db_task_new task = plain("race");
    struct task_answer answers[AT_ONCE] = {0};
    task.idempotency_key = SLICE_LIT("race");
    for (int i = 0; i < AT_ONCE; i++) {
        answers[i].f = f;
        assert_int_equal(db_task_add(f->pool, f->user, &task, on_task, &answers[i], NULL, NULL), 0);
        if (i % 4 == 3) /* several groups on both connections, not one */
            uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    int made = 0;
    for (int i = 0; i < AT_ONCE; i++) {
        fixture_wait(f, &answers[i].is_done);
        assert_int_equal(answers[i].status, 0);
        assert_outcome(answers[i], DB_OK);
        assert_int_equal(answers[i].task.id, answers[0].task.id);
        made += !answers[i].reply.replayed;
    }
    assert_int_equal(made, 1);
    assert_int_equal(new_events(f), 1);
}

/* Another process holds the key, uncommitted, when ours comes: ours waits and sees its task. */
static void a_key_claimed_by_another_process_is_waited_for(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "theirs");
    struct db_task_new task = plain("ours");
    struct task_answer a = {.f = f};
    task.idempotency_key = SLICE_LIT("held");
    postgres_run(f->pg, "begin");
    postgres_run(f->pg,
                 "insert into todo.idempotency_keys (user_id, key, task_id)"
                 " values (%lld, 'held', %lld)",
                 (long long)f->user, (long long)id);
    assert_int_equal(db_task_add(f->pool, f->user, &task, on_task, &a, NULL, NULL), 0);
    fixture_wait_for_lock(f);
    assert_false(a.is_done);
    postgres_run(f->pg, "commit");
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    assert_outcome(a, DB_OK);
    assert_true(a.reply.replayed);
    assert_int_equal(a.task.id, id);
}

/* ---- others' tasks ---- */

static void a_task_of_another_user_is_not_found_by_any_call(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "mine");
    int64_t tag = create_label(f, DB_TAG, f->other, "t", NULL).reply.labels[0].id;
    const struct db_task_patch patch = {.set = DB_FIELD_TITLE, .title = SLICE_LIT("hacked")};
    const struct db_reminder_set reminder = {.remind_before_minutes = -1, .remind_at = DUE};
    const struct db_reminder_set clear = {.clear = true};
    new_events(f);
    assert_outcome(get_task(f, f->other, id), DB_NOT_FOUND);
    assert_outcome(update_task(f, f->other, id, &patch), DB_NOT_FOUND);
    assert_outcome(complete_task(f, f->other, id), DB_NOT_FOUND);
    assert_outcome(delete_task(f, f->other, id), DB_NOT_FOUND);
    assert_outcome(tag_task(f, f->other, id, tag, true), DB_NOT_FOUND);
    assert_outcome(tag_task(f, f->other, id, tag, false), DB_NOT_FOUND);
    assert_outcome(set_reminder(f, f->other, id, &reminder), DB_NOT_FOUND);
    assert_outcome(set_reminder(f, f->other, id, &clear), DB_NOT_FOUND);
    assert_int_equal(new_events(f), 0);
    struct task_answer a = get_task(f, f->user, id);
    assert_slice(a.task.title, "mine");
    assert_int_equal(a.task.version, 1);
}

/* ---- deleting ---- */

static void a_deleted_task_is_gone_with_tags_and_reminder(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "x");
    int64_t tag = add_label(f, DB_TAG, "t");
    const struct db_reminder_set reminder = {.remind_before_minutes = -1, .remind_at = DUE};
    tag_task(f, f->user, id, tag, true);
    set_reminder(f, f->user, id, &reminder);
    new_events(f);
    struct task_answer a = delete_task(f, f->user, id);
    assert_outcome(a, DB_OK);
    assert_null(a.reply.task);
    assert_int_equal(new_events(f), 1);
    assert_string_equal(newest_event(f, "event_type"), "task.deleted");
    assert_int_equal(newest_event_int(f, "task_id"), id);
    assert_outcome(get_task(f, f->user, id), DB_NOT_FOUND);
    assert_int_equal(postgres_int(f->pg,
                                  "select (select count(*) from todo.task_tags where task_id"
                                  " = %lld) + (select count(*) from todo.reminders where"
                                  " task_id = %lld)",
                                  (long long)id, (long long)id),
                     0);
    assert_outcome(delete_task(f, f->user, id), DB_NOT_FOUND);
    assert_int_equal(new_events(f), 0);
}

static void a_title_that_the_schema_refuses_is_an_error_with_its_constraint(void **state)
{
    struct fixture *f = *state;
    struct db_task_new task = plain(" untrimmed");
    struct task_answer a = {.f = f};
    assert_int_equal(db_task_add(f->pool, f->user, &task, on_task, &a, NULL, NULL), 0);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, DB_ECONSTRAINT);
    assert_string_equal(a.err.field, "task_title_check");
    assert_int_equal(new_events(f), 0);
}

static void assert_add_ends_with(struct fixture *f, const char *title, int status,
                                 const char *constraint)
{
    struct db_task_new task = plain(title);
    struct task_answer a = {.f = f};
    assert_int_equal(db_task_add(f->pool, f->user, &task, on_task, &a, NULL, NULL), 0);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, status);
    assert_string_equal(a.err.field, constraint);
    assert_int_equal(new_events(f), 0);
}

static void rules_of_a_newer_schema_are_no_race(void **state)
{
    struct fixture *f = *state;
    postgres_run(f->pg, "alter table todo.tasks add constraint newer_check"
                        " check (title <> 'no more')");
    postgres_run(f->pg, "create unique index newer_key on todo.tasks (user_id, title)"
                        " where title = 'once'");
    add_titled(f, "once");
    new_events(f);
    assert_add_ends_with(f, "no more", DB_ECONSTRAINT, "newer_check");
    assert_add_ends_with(f, "once", DB_EUNIQUE, "newer_key");
    postgres_run(f->pg, "alter table todo.tasks drop constraint newer_check");
    postgres_run(f->pg, "drop index todo.newer_key");
}

/* As when the user is removed between the statement's look and its end. */
static void a_key_of_a_row_that_went_meanwhile_is_a_race(void **state)
{
    struct fixture *f = *state;
    postgres_run(f->pg, "create function todo.refuse() returns trigger language plpgsql as"
                        " $$ begin raise foreign_key_violation using constraint ="
                        " 'tasks_user_fkey'; end $$");
    postgres_run(f->pg, "create trigger refuse before insert on todo.tasks for each row"
                        " execute function todo.refuse()");
    assert_add_ends_with(f, "x", DB_ESERIALIZE, "");
    postgres_run(f->pg, "drop function todo.refuse cascade");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(an_added_task_comes_back_with_its_defaults),
        db_test(what_was_added_is_what_get_task_shows),
        db_test(adding_writes_one_event_that_tells_the_task),
        db_test(a_short_add_writes_the_same_event_keys_as_a_full_one),
        db_test(add_refuses_labels_that_are_not_the_users),
        db_test(a_repeated_key_answers_with_the_first_task),
        db_test(a_key_belongs_to_its_user),
        db_test(a_key_of_a_deleted_task_does_not_bring_it_back),
        db_test(calls_with_one_key_at_once_make_one_task),
        db_test(a_key_claimed_by_another_process_is_waited_for),
        db_test(a_task_of_another_user_is_not_found_by_any_call),
        db_test(a_deleted_task_is_gone_with_tags_and_reminder),
        db_test(a_title_that_the_schema_refuses_is_an_error_with_its_constraint),
        db_test(rules_of_a_newer_schema_are_no_race),
        db_test(a_key_of_a_row_that_went_meanwhile_is_a_race),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
