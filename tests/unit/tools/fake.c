/* tests/unit/tools/fake.c */
#include "fake.h"

#include "support/unit.h"

#include "base/error.h"
#include "base/json.h"

#define OP_ID 41

/* ---- the protocol library ------------------------------------------------------------------- */

int mcp_server_add_tool(struct mcp_server *s, const struct mcp_tool *tool, struct error *err)
{
    (void)err;
    s->tools[s->tool_count++] = *tool;
    return 0;
}

const cJSON *mcp_call_arguments(const struct mcp_call *call)
{
    return call->args;
}

struct arena *mcp_call_arena(struct mcp_call *call)
{
    return &call->arena;
}

const struct mcp_identity *mcp_call_identity(const struct mcp_call *call)
{
    return &call->identity;
}

struct slice mcp_call_traceparent(const struct mcp_call *call)
{
    (void)call;
    return SLICE_LIT("00-trace-01");
}

void mcp_call_on_cancel(struct mcp_call *call, mcp_cancel_fn fn, void *ctx)
{
    call->on_cancel = fn;
    call->on_cancel_ctx = ctx;
}

/* Not on the heap: cmocka counts what a test leaves there until its tear-down. */
static char *copy(struct slice s, char *room, size_t size)
{
    if (s.len == 0)
        return NULL;
    assert_true(s.len < size);
    memcpy(room, s.ptr, s.len);
    room[s.len] = '\0';
    return room;
}

static void end(struct mcp_call *call, enum fake_end how, struct slice structured,
                struct slice text)
{
    assert_int_equal(call->end, FAKE_OPEN);
    call->end = how;
    call->structured = copy(structured, call->structured_room, sizeof(call->structured_room));
    call->text = copy(text, call->text_room, sizeof(call->text_room));
    if (call->structured) {
        call->answer = cJSON_Parse(call->structured);
        assert_non_null(call->answer);
    }
}

void mcp_call_result(struct mcp_call *call, struct slice structured, struct slice text)
{
    end(call, FAKE_RESULT, structured, text);
}

void mcp_call_fail(struct mcp_call *call, struct slice structured, struct slice text)
{
    end(call, FAKE_FAIL, structured, text);
}

void mcp_call_error(struct mcp_call *call, enum mcp_error_code code, const char *message)
{
    (void)code;
    end(call, FAKE_ERROR, SLICE_EMPTY, slice_from_cstr(message));
}

uint32_t mcp_call_client_capabilities(const struct mcp_call *call)
{
    return call->capabilities;
}

const cJSON *mcp_call_ask(struct mcp_call *call, const char *key, const char *method,
                          struct slice params)
{
    assert_string_equal(key, "confirm");
    assert_string_equal(method, "elicitation/create");
    snprintf(call->question, sizeof(call->question), "%.*s", (int)params.len, params.ptr);
    if (call->given && !call->given_answer)
        call->given_answer = cJSON_Parse(call->given);
    return call->given_answer;
}

void mcp_call_wait(struct mcp_call *call)
{
    assert_int_equal(call->end, FAKE_OPEN);
    call->is_waiting = true;
}

/* ---- the database --------------------------------------------------------------------------- */

static int start(struct db_pool *p, enum fake_op op, int64_t user_id, void *ctx, db_op_id *id)
{
    p->op = op;
    p->user_id = user_id;
    p->ctx = ctx;
    if (p->start_status == 0 && id)
        *id = OP_ID;
    return p->start_status;
}

int db_task_add(struct db_pool *p, int64_t user_id, const struct db_task_new *task, db_task_fn fn,
                void *ctx, db_op_id *id, struct error *err)
{
    (void)err;
    p->add = *task;
    p->on_task = fn;
    return start(p, FAKE_ADD, user_id, ctx, id);
}

int db_task_get(struct db_pool *p, int64_t user_id, int64_t task_id, db_task_fn fn, void *ctx,
                db_op_id *id, struct error *err)
{
    (void)err;
    p->task_id = task_id;
    p->on_task = fn;
    return start(p, FAKE_GET, user_id, ctx, id);
}

int db_task_update(struct db_pool *p, int64_t user_id, int64_t task_id,
                   const struct db_task_patch *patch, db_task_fn fn, void *ctx, db_op_id *id,
                   struct error *err)
{
    (void)err;
    p->task_id = task_id;
    p->patch = *patch;
    p->on_task = fn;
    return start(p, FAKE_UPDATE, user_id, ctx, id);
}

int db_task_complete(struct db_pool *p, int64_t user_id, int64_t task_id, struct slice traceparent,
                     db_task_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    (void)err;
    (void)traceparent;
    p->task_id = task_id;
    p->on_task = fn;
    return start(p, FAKE_COMPLETE, user_id, ctx, id);
}

int db_task_delete(struct db_pool *p, int64_t user_id, int64_t task_id, struct slice traceparent,
                   db_task_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    (void)err;
    (void)traceparent;
    p->task_id = task_id;
    p->on_task = fn;
    return start(p, FAKE_DELETE, user_id, ctx, id);
}

int db_task_list(struct db_pool *p, int64_t user_id, const struct db_task_filter *filter,
                 db_task_list_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    (void)err;
    p->filter = *filter;
    p->on_list = fn;
    return start(p, FAKE_LIST, user_id, ctx, id);
}

int db_task_search(struct db_pool *p, int64_t user_id, struct slice query, int status, int limit,
                   const struct db_cursor *cursor, db_task_list_fn fn, void *ctx, db_op_id *id,
                   struct error *err)
{
    (void)err;
    p->query = query;
    p->status = status;
    p->limit = limit;
    p->cursor = *cursor;
    p->on_list = fn;
    return start(p, FAKE_SEARCH, user_id, ctx, id);
}

int db_task_tag(struct db_pool *p, int64_t user_id, int64_t task_id, int64_t tag_id, bool add,
                struct slice traceparent, db_task_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    (void)err;
    (void)traceparent;
    p->task_id = task_id;
    p->tag_id = tag_id;
    p->is_adding = add;
    p->on_task = fn;
    return start(p, FAKE_TAG, user_id, ctx, id);
}

int db_task_set_reminder(struct db_pool *p, int64_t user_id, int64_t task_id,
                         const struct db_reminder_set *set, db_task_fn fn, void *ctx, db_op_id *id,
                         struct error *err)
{
    (void)err;
    p->task_id = task_id;
    p->reminder = *set;
    p->on_task = fn;
    return start(p, FAKE_REMINDER, user_id, ctx, id);
}

int db_label_create(struct db_pool *p, enum db_label_kind kind, int64_t user_id, struct slice name,
                    struct slice color, db_label_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    (void)err;
    p->kind = kind;
    p->name = name;
    p->color = color;
    p->on_label = fn;
    return start(p, FAKE_LABEL_CREATE, user_id, ctx, id);
}

int db_label_list(struct db_pool *p, enum db_label_kind kind, int64_t user_id, db_label_fn fn,
                  void *ctx, db_op_id *id, struct error *err)
{
    (void)err;
    p->kind = kind;
    p->on_label = fn;
    return start(p, FAKE_LABEL_LIST, user_id, ctx, id);
}

int db_label_get(struct db_pool *p, enum db_label_kind kind, int64_t user_id, int64_t label_id,
                 db_label_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    (void)err;
    p->kind = kind;
    p->label_id = label_id;
    p->on_label = fn;
    return start(p, FAKE_LABEL_GET, user_id, ctx, id);
}

int db_label_update(struct db_pool *p, enum db_label_kind kind, int64_t user_id, int64_t label_id,
                    const struct db_label_patch *patch, db_label_fn fn, void *ctx, db_op_id *id,
                    struct error *err)
{
    (void)err;
    p->kind = kind;
    p->label_id = label_id;
    p->label_patch = *patch;
    p->on_label = fn;
    return start(p, FAKE_LABEL_UPDATE, user_id, ctx, id);
}

int db_label_delete(struct db_pool *p, enum db_label_kind kind, int64_t user_id, int64_t label_id,
                    struct slice traceparent, db_label_fn fn, void *ctx, db_op_id *id,
                    struct error *err)
{
    (void)err;
    (void)traceparent;
    p->kind = kind;
    p->label_id = label_id;
    p->on_label = fn;
    return start(p, FAKE_LABEL_DELETE, user_id, ctx, id);
}

void db_pool_cancel(struct db_pool *p, db_op_id id)
{
    p->cancelled = id;
}

/* ---- the stage ------------------------------------------------------------------------------ */

static void count_commit(void *ctx)
{
    (*(int *)ctx)++;
}

int fake_setup(void **state)
{
    struct fake *f = test_calloc(1, sizeof(*f));
    struct error err;
    f->tools =
        (struct tools){.pool = &f->db, .on_commit = count_commit, .on_commit_ctx = &f->commits};
    assert_int_equal(tools_register(&f->tools, &f->server, &err), 0);
    *state = f;
    return 0;
}

static void call_free(struct mcp_call *call)
{
    cJSON_Delete(call->args);
    cJSON_Delete(call->answer);
    cJSON_Delete(call->given_answer);
    arena_deinit(&call->arena);
    call->end = FAKE_OPEN;
    call->args = call->answer = call->given_answer = NULL;
    call->question[0] = '\0';
    call->is_waiting = false;
    call->structured = call->text = NULL;
    call->on_cancel = NULL;
}

int fake_teardown(void **state)
{
    struct fake *f = *state;
    call_free(&f->call);
    tools_deinit(&f->tools);
    test_free(f);
    return 0;
}

struct mcp_call *fake_call(struct fake *f, const char *tool, const char *args)
{
    struct mcp_call *call = &f->call;
    call_free(call);
    call->tool = tool;
    call->args = cJSON_Parse(args);
    assert_non_null(call->args);
    call->identity.user_id = FAKE_USER;
    arena_init(&call->arena, 1 << 20);
    f->db.op = FAKE_NONE;
    for (int i = 0; i < f->server.tool_count; i++) {
        if (strcmp(f->server.tools[i].name, tool) == 0) {
            f->server.tools[i].call(f->server.tools[i].ctx, call);
            return call;
        }
    }
    fail_msg("no tool %s", tool);
    return NULL;
}

void fake_reply_task(struct fake *f, const struct db_task_reply *reply)
{
    f->db.on_task(f->db.ctx, 0, reply, NULL);
}

void fake_reply_list(struct fake *f, const struct db_task_list_reply *reply)
{
    f->db.on_list(f->db.ctx, 0, reply, NULL);
}

void fake_reply_label(struct fake *f, const struct db_label_reply *reply)
{
    f->db.on_label(f->db.ctx, 0, reply, NULL);
}

void fake_reply_status(struct fake *f, int status)
{
    struct error err = {.code = status, .text = "secret internals"};
    if (f->db.op == FAKE_LIST || f->db.op == FAKE_SEARCH)
        f->db.on_list(f->db.ctx, status, NULL, &err);
    else if (f->db.op >= FAKE_LABEL_CREATE)
        f->db.on_label(f->db.ctx, status, NULL, &err);
    else
        f->db.on_task(f->db.ctx, status, NULL, &err);
}

struct db_task fake_bare_task(void)
{
    return (struct db_task){.id = 12,
                            .title = SLICE_LIT("Buy milk"),
                            .priority = DB_PRIORITY_MEDIUM,
                            .timezone = SLICE_LIT("UTC"),
                            .version = 1,
                            .created_at = INT64_C(1795802645123456),
                            .updated_at = INT64_C(1795802645123456)};
}

struct db_task fake_full_task(void)
{
    struct db_task t = fake_bare_task();
    t.description = SLICE_LIT("two litres");
    t.completed = true;
    t.priority = DB_PRIORITY_URGENT;
    t.has_due_date = true;
    t.due_date = INT64_C(1796083200000000); /* 2026-12-01T00:00:00Z */
    t.recurrence_rule = SLICE_LIT("FREQ=WEEKLY;BYDAY=MO");
    t.timezone = SLICE_LIT("Europe/Berlin");
    t.category =
        (struct db_label){.id = 3, .name = SLICE_LIT("Home"), .color = SLICE_LIT("#FF0000")};
    t.tags[0] = (struct db_label){.id = 4, .name = SLICE_LIT("shop")};
    t.tag_count = 1;
    t.reminder = (struct db_reminder){true, INT64_C(1796079600000000), 60, false};
    t.version = 5;
    t.completed_at = INT64_C(1795802645123456);
    return t;
}

const char *fake_string(const struct mcp_call *call, const char *key)
{
    const char *text = json_get_string(call->answer, key);
    return text ? text : "";
}

void fake_reply_with_task(struct fake *f, bool changed)
{
    struct db_task t = fake_full_task();
    const struct db_task_reply reply = {.outcome = DB_OK, .task = &t, .changed = changed};
    fake_reply_task(f, &reply);
}

void fake_assert_text(struct slice got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.len ? got.ptr : "", want, got.len);
}

void fake_assert_failed(const struct mcp_call *call, const char *code, const char *field)
{
    if (call->end != FAKE_FAIL)
        fail_msg("the call did not fail: %s", call->structured ? call->structured : "still open");
    assert_string_equal(fake_string(call, "code"), code);
    assert_string_equal(fake_string(call, "field"), field);
    assert_true(strlen(fake_string(call, "message")) > 10);
    assert_int_equal(strncmp(call->text, code, strlen(code)), 0);
}
