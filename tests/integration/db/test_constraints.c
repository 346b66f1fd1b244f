/* No invalid row can be stored, whatever the program does: each constraint against plain SQL. */
#include "fixture.h"

#define U                 "(select min(id) from todo.users)"
#define V                 "(select max(id) from todo.users)"
#define A                 "(select min(id) from todo.tasks where user_id = " U ")"
#define B                 "(select min(id) from todo.tasks where user_id = " V ")"
#define CATEGORY_OF(user) "(select min(id) from todo.categories where user_id = " user ")"
#define TAG_OF(user)      "(select min(id) from todo.tags where user_id = " user ")"
#define TASK(columns, values)                                                                      \
    "insert into todo.tasks (user_id, title, timezone, " columns ") values (" U                    \
    ", 't', 'UTC', " values ")"
#define TITLE(title)                                                                               \
    "insert into todo.tasks (user_id, title, timezone) values (" U ", " title ", 'UTC')"
#define LABEL(table, name, color)                                                                  \
    "insert into todo." table " (user_id, name, color) values (" U ", " name ", " color ")"
#define OUTBOX(key, topic, type, data)                                                             \
    "insert into todo.outbox (id, key, topic, type, data) values (todo.uuid_v7(), " key ", " topic \
    ", " type ", " data ")"
#define KEY(user, name, hash)                                                                      \
    "insert into todo.api_keys (user_id, name, key_hash) values (" user ", " name ", " hash ")"

#define OUTBOX_WITH(column, value)                                                                 \
    "insert into todo.outbox (id, key, topic, type, data, " column                                 \
    ") values (todo.uuid_v7(), '1',"                                                               \
    " 'task-events', 'TaskCreatedEvent', '{}', " value ")"
#define DEAD(consumer, event_id, reason)                                                           \
    "insert into todo.dead_letters (consumer, event_id, topic, reason, attempts, event)"           \
    " values (" consumer ", " event_id ", 't', " reason ", 0, '')"

#define NOT_NULL    "23502"
#define FOREIGN_KEY "23503"
#define UNIQUE      "23505"
#define CHECK       "23514"
#define TOO_LONG    "22001"

/* clang-format off: one case a row */
static const struct {
    const char *sql;
    const char *state;
    const char *constraint; /* "": none is named */
} cases[] = {
    /* tasks: what one column may hold */
    {TITLE("''"), CHECK, "task_title_check"},
    {TITLE("' '"), CHECK, "task_title_check"},
    {TITLE("' x'"), CHECK, "task_title_check"},
    {TITLE("e'x\\n'"), CHECK, "task_title_check"},
    {TITLE("repeat('x', 201)"), CHECK, "task_title_check"},
    {TITLE("null"), NOT_NULL, ""},
    {TASK("description", "''"), CHECK, "task_description_check"},
    {TASK("description", "repeat('x', 10001)"), CHECK, "task_description_check"},
    {TASK("priority", "-1"), CHECK, "priority_check"},
    {TASK("priority", "4"), CHECK, "priority_check"},
    {TASK("priority", "null"), NOT_NULL, ""},
    {TASK("due_date", "'infinity'"), CHECK, "finite_time_check"},
    {TASK("due_date", "'-infinity'"), CHECK, "finite_time_check"},
    {TASK("due_date, recurrence_rule", "now(), ''"), CHECK, "recurrence_rule_check"},
    {TASK("due_date, recurrence_rule", "now(), repeat('x', 1001)"), CHECK, "recurrence_rule_check"},
    {"insert into todo.tasks (user_id, title, timezone) values (" U ", 't', '')", CHECK,
     "timezone_check"},
    {"insert into todo.tasks (user_id, title, timezone) values (" U ", 't', repeat('x', 65))",
     CHECK, "timezone_check"},
    {"insert into todo.tasks (user_id, title) values (" U ", 't')", NOT_NULL, ""},
    /* tasks: columns that depend on one another, and rows elsewhere */
    {TASK("completed", "true"), CHECK, "tasks_completed_check"},
    {TASK("completed_at", "now()"), CHECK, "tasks_completed_check"},
    {TASK("recurrence_rule", "'FREQ=DAILY'"), CHECK, "tasks_recurrence_check"},
    {TASK("series_id", "1"), CHECK, "tasks_recurrence_check"},
    {TASK("occurrence", "2"), CHECK, "tasks_recurrence_check"},
    {TASK("series_id, occurrence", "77, 2"), UNIQUE, "tasks_series_key"},
    {TASK("category_id", CATEGORY_OF(V)), FOREIGN_KEY, "tasks_category_fkey"},
    {TASK("category_id", "-1"), FOREIGN_KEY, "tasks_category_fkey"},
    {"insert into todo.tasks (user_id, title, timezone) values (-1, 't', 'UTC')", FOREIGN_KEY,
     "tasks_user_fkey"},
    {"update todo.tasks set user_id = " V " where id = " A " and user_id = " U, FOREIGN_KEY,
     "task_tags_task_fkey"},
    {TASK("search", "''"), "428C9", ""},
    /* labels */
    {LABEL("categories", "''", "null"), CHECK, "label_name_check"},
    {LABEL("categories", "' x'", "null"), CHECK, "label_name_check"},
    {LABEL("categories", "repeat('x', 51)", "null"), CHECK, "label_name_check"},
    {LABEL("categories", "e'a\\x1fb'", "null"), CHECK, "label_name_check"},
    {LABEL("categories", "e'a\\nb'", "null"), CHECK, "label_name_check"},
    {LABEL("categories", "'x'", "'red'"), CHECK, "color_check"},
    {LABEL("categories", "'x'", "'#12345'"), CHECK, "color_check"},
    {LABEL("categories", "'x'", "'#1234567'"), CHECK, "color_check"},
    {LABEL("categories", "'x'", "e'#123456\\n'"), CHECK, "color_check"},
    {LABEL("categories", "'x'", "''"), CHECK, "color_check"},
    {LABEL("categories", "'there'", "null"), UNIQUE, "categories_name_key"},
    {LABEL("tags", "'there'", "null"), UNIQUE, "tags_name_key"},
    {LABEL("tags", "repeat('x', 31)", "null"), CHECK, "tags_name_check"},
    {LABEL("tags", "e'a\\x1eb'", "null"), CHECK, "label_name_check"},
    {"insert into todo.categories (user_id, name) select " U ", 'n' || n from"
     " generate_series(1, 50) n",
     CHECK, "users_category_count_check"},
    {"insert into todo.tags (user_id, name) select " U ", 'n' || n from generate_series(1, 100) n",
     CHECK, "users_tag_count_check"},
    {"delete from todo.categories where user_id = " V, FOREIGN_KEY, "tasks_category_fkey"},
    {"delete from todo.tags where user_id = " U, FOREIGN_KEY, "task_tags_tag_fkey"},
    /* task_tags and reminders */
    {"insert into todo.task_tags values (" U ", " A ", " TAG_OF(V) ")", FOREIGN_KEY,
     "task_tags_tag_fkey"},
    {"insert into todo.task_tags values (" U ", " B ", " TAG_OF(U) ")", FOREIGN_KEY,
     "task_tags_task_fkey"},
    {"insert into todo.task_tags values (" U ", " A ", " TAG_OF(U) ")", UNIQUE, "task_tags_pkey"},
    {"insert into todo.reminders (user_id, task_id, remind_at) values (" U ", " B ", now())",
     FOREIGN_KEY, "reminders_task_fkey"},
    {"insert into todo.reminders (user_id, task_id) values (" U ", " A ")", CHECK,
     "reminders_kind_check"},
    {"insert into todo.reminders (user_id, task_id, before_minutes) values (" U ", " A ", -1)",
     CHECK, "reminders_before_check"},
    {"insert into todo.reminders (user_id, task_id, before_minutes) values (" U ", " A ", 525601)",
     CHECK, "reminders_before_check"},
    {"insert into todo.reminders (user_id, task_id, remind_at) values (" U ", " A ", 'infinity')",
     CHECK, "finite_time_check"},
    {"insert into todo.reminders (user_id, task_id, before_minutes, sent_at)"
     " values (" U ", " A ", 5, now())",
     CHECK, "reminders_sent_check"},
    {"insert into todo.reminders (user_id, task_id, remind_at) values (" V ", " B ", now())",
     UNIQUE, "reminders_pkey"},
    /* users */
    {"insert into todo.users (subject) values ('')", CHECK, "users_subject_check"},
    {"insert into todo.users (subject) values (repeat('x', 256))", CHECK, "users_subject_check"},
    {"insert into todo.users (subject) values (null)", NOT_NULL, ""},
    {"insert into todo.users (subject) select subject from todo.users", UNIQUE,
     "users_subject_key"},
    {"insert into todo.users (subject, email) values ('s', '@x')", CHECK, "users_email_check"},
    {"insert into todo.users (subject, email) values ('s', repeat('x', 255))", CHECK,
     "users_email_check"},
    {"insert into todo.users (subject, timezone) values ('s', '')", CHECK, "timezone_check"},
    {"update todo.users set category_count = 51", CHECK, "users_category_count_check"},
    {"update todo.users set tag_count = -1", CHECK, "users_tag_count_check"},
    /* events */
    {OUTBOX("'1'", "'elsewhere'", "'TaskCreatedEvent'", "'{}'"), CHECK, "event_topic_check"},
    {OUTBOX("'1'", "'task-events'", "'OtherEvent'", "'{}'"), CHECK, "event_type_check"},
    {OUTBOX("null", "'task-events'", "'TaskCreatedEvent'", "'{}'"), NOT_NULL, ""},
    {OUTBOX("'1'", "'task-events'", "'TaskCreatedEvent'", "null"), NOT_NULL, ""},
    {"insert into todo.outbox (id, key, topic, type, data, traceparent) values (todo.uuid_v7(),"
     " '1', 'task-events', 'TaskCreatedEvent', '{}', repeat('x', 256))",
     TOO_LONG, ""},
    {"insert into todo.outbox (id, key, topic, type, data) select id, key, topic, type, data"
     " from todo.outbox limit 1",
     UNIQUE, "outbox_pkey"},
    {"insert into todo.inbox (consumer, event_id) values ('', gen_random_uuid())", CHECK,
     "inbox_consumer_check"},
    {"insert into todo.inbox (consumer, event_id) values (repeat('x', 101), gen_random_uuid())",
     CHECK, "inbox_consumer_check"},
    {"insert into todo.inbox (consumer, event_id) values ('c', null)", NOT_NULL, ""},
    {"insert into todo.inbox (consumer, event_id) select 'c', g from (select gen_random_uuid() g)"
     " x, generate_series(1, 2)",
     UNIQUE, "inbox_pkey"},
    {OUTBOX_WITH("source", "''"), CHECK, "outbox_source_check"},
    {"insert into todo.state (key, value) values ('', '1')", CHECK, "state_key_check"},
    {"insert into todo.state (key, value) values (repeat('x', 513), '1')", CHECK,
     "state_key_check"},
    {"insert into todo.state (key, value) select 'k', '1' from generate_series(1, 2)", UNIQUE,
     "state_pkey"},
    {"insert into todo.relay (broker) values ('')", CHECK, "relay_broker_check"},
    {"insert into todo.relay (is_only, broker) values (false, 'b')", CHECK, "relay_is_only_check"},
    {"insert into todo.relay (broker) select 'b' from generate_series(1, 2)", UNIQUE, "relay_pkey"},
    {DEAD("''", "'e'", "'r'"), CHECK, "dead_letters_consumer_check"},
    {DEAD("'c'", "'e'", "repeat('x', 1001)"), CHECK, "dead_letters_reason_check"},
    {"insert into todo.dead_letters (consumer, event_id, topic, reason, attempts, event)"
     " select 'c', 'e', 't', 'r', 0, '' from generate_series(1, 2)",
     UNIQUE, "dead_letters_event_key"},
    /* keys */
    {KEY(U, "''", "sha256('x')"), CHECK, "api_keys_name_check"},
    {KEY(U, "repeat('x', 101)", "sha256('x')"), CHECK, "api_keys_name_check"},
    {KEY(U, "'k'", "'short'"), CHECK, "api_keys_key_hash_check"},
    {KEY(U, "'k'", "sha256('there')"), UNIQUE, "api_keys_key_hash_key"},
    {KEY("-1", "'k'", "sha256('x')"), FOREIGN_KEY, "api_keys_user_id_fkey"},
    {"insert into todo.idempotency_keys (user_id, key) values (" U ", '')", CHECK,
     "idempotency_keys_key_check"},
    {"insert into todo.idempotency_keys (user_id, key) values (" U ", repeat('x', 129))", CHECK,
     "idempotency_keys_key_check"},
    {"insert into todo.idempotency_keys (user_id, key, task_id) values (" U ", 'k', " B ")",
     FOREIGN_KEY, "idempotency_keys_task_fkey"},
    {"insert into todo.idempotency_keys (user_id, key) values (" U ", 'there')", UNIQUE,
     "idempotency_keys_pkey"},
};
/* clang-format on */

/* Two users: each with a task and a category; the first with a tag on its task, a series, a key;
 * the second with a tag, a reminder. */
static int rows_setup(void **state)
{
    struct postgres *p;
    if (postgres_setup(state))
        return -1;
    p = *state;
    postgres_run(p, "insert into todo.users (subject) values ('first'), ('second')");
    postgres_run(p, "insert into todo.categories (user_id, name) values (" U ", 'there'),"
                    " (" V ", 'theirs')");
    postgres_run(p, "insert into todo.tags (user_id, name) values (" U ", 'there'),"
                    " (" V ", 'theirs')");
    postgres_run(p, "insert into todo.tasks (user_id, title, timezone, category_id) values"
                    " (" U ", 'a', 'UTC', null), (" V ", 'b', 'UTC', " CATEGORY_OF(V) ")");
    postgres_run(p, TASK("series_id, occurrence", "77, 2"));
    postgres_run(p, "insert into todo.task_tags values (" U ", " A ", " TAG_OF(U) ")");
    postgres_run(p, "insert into todo.reminders (user_id, task_id, remind_at)"
                    " values (" V ", " B ", now())");
    postgres_run(p, OUTBOX("'1'", "'task-events'", "'TaskCreatedEvent'", "'{}'"));
    postgres_run(p, KEY(U, "'k'", "sha256('there')"));
    postgres_run(p, "insert into todo.idempotency_keys (user_id, key) values (" U ", 'there')");
    return 0;
}

static void every_invalid_row_is_refused_by_its_constraint(void **state)
{
    struct postgres *p = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *constraint = postgres_refusal(p, cases[i].sql);
        if (strcmp(p->text, cases[i].state) != 0 || strcmp(constraint, cases[i].constraint) != 0)
            fail_msg("%s: %s %s, not %s %s", cases[i].sql, p->text, constraint, cases[i].state,
                     cases[i].constraint);
    }
}

/* So that a new constraint comes with its case above. */
static void every_constraint_has_a_case(void **state)
{
    struct postgres *p = *state;
    /* What a case would only repeat: keys that are drawn from a sequence, and foreign keys of rows
     * that go with their user. */
    static const char *const without[] = {"users_pkey",
                                          "categories_pkey",
                                          "tags_pkey",
                                          "tasks_pkey",
                                          "api_keys_pkey",
                                          "dead_letters_pkey",
                                          "schema_migrations_pkey",
                                          "categories_user_id_fkey",
                                          "tags_user_id_fkey",
                                          "idempotency_keys_user_id_fkey"};
    PGresult *res = PQexec(p->admin, "select c.conname from pg_constraint c join pg_namespace n"
                                     " on n.oid = c.connamespace where n.nspname = 'todo'"
                                     " and c.contype <> 'n'"
                                     " union select i.relname from pg_index x join pg_class i on"
                                     " i.oid = x.indexrelid join pg_namespace n on n.oid ="
                                     " i.relnamespace where n.nspname = 'todo' and x.indisunique");
    assert_true(PQntuples(res) > 30);
    for (int row = 0; row < PQntuples(res); row++) {
        const char *name = PQgetvalue(res, row, 0);
        bool is_known = false;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
            is_known |= strcmp(cases[i].constraint, name) == 0;
        for (size_t i = 0; i < sizeof(without) / sizeof(*without); i++)
            is_known |= strcmp(without[i], name) == 0;
        if (!is_known)
            fail_msg("no case for %s", name);
    }
    PQclear(res);
}

static void a_users_rows_go_with_the_user(void **state)
{
    struct postgres *p = *state;
    postgres_run(p, "insert into todo.users (subject) values ('leaves')");
    postgres_run(p, "insert into todo.categories (user_id, name) values (" V ", 'c')");
    postgres_run(p, "insert into todo.tags (user_id, name) values (" V ", 't')");
    postgres_run(p, "insert into todo.tasks (user_id, title, timezone) values (" V ", 't', 'UTC')");
    postgres_run(p, "insert into todo.reminders (user_id, task_id, remind_at)"
                    " values (" V ", " B ", now())");
    postgres_run(p, "insert into todo.idempotency_keys (user_id, key, task_id)"
                    " values (" V ", 'k', " B ")");
    postgres_run(p, KEY(V, "'k'", "sha256('leaves')"));
    int64_t id = postgres_int(p, "select " V);
    postgres_run(p, "delete from todo.users where id = %lld", (long long)id);
    assert_int_equal(
        postgres_int(p,
                     "select (select count(*) from todo.tasks where user_id = %1$lld)"
                     " + (select count(*) from todo.categories where user_id = %1$lld)"
                     " + (select count(*) from todo.tags where user_id = %1$lld)"
                     " + (select count(*) from todo.reminders where user_id = %1$lld)"
                     " + (select count(*) from todo.api_keys where user_id = %1$lld)"
                     " + (select count(*) from todo.idempotency_keys where user_id = %1$lld)",
                     (long long)id),
        0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_invalid_row_is_refused_by_its_constraint),
        cmocka_unit_test(every_constraint_has_a_case),
        cmocka_unit_test(a_users_rows_go_with_the_user),
    };
    return cmocka_run_group_tests(tests, rows_setup, postgres_teardown);
}
