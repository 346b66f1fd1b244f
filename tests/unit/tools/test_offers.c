/* Resources, prompts and completions by themselves: how the database's failures and a want of
 * memory end them. What they say is met in tests/integration/product. */
#include "support/unit.h"

#include "base/error.h"
#include "base/json.h"
#include "db/agenda.h"
#include "fake.h"
#include "mcp/prompt.h"
#include "mcp/resource.h"
#include "support/mem_loop.h"
#include "tools/prompts.h"
#include "tools/resources.h"

/* ---- the rest of the protocol library and of the database, of paper ---------------------------
 */

/* What a handler is called as, by the address of its server. */
struct stage {
    struct mcp_server server; /* first: what the registering functions get */
    struct tools tools;
    struct db_pool db;
    struct mcp_resource resources[8];
    int resource_count;
    struct mcp_prompt prompts[4];
    int prompt_count;
    mcp_call_fn complete_category;
    struct mcp_call call;
};

static int keep(struct mcp_server *s, const struct mcp_resource *resource)
{
    struct stage *stage = (struct stage *)s;
    stage->resources[stage->resource_count++] = *resource;
    return 0;
}

int mcp_server_add_resource(struct mcp_server *s, const struct mcp_resource *resource,
                            struct error *err)
{
    (void)err;
    return keep(s, resource);
}

int mcp_server_add_resource_template(struct mcp_server *s, const struct mcp_resource_template *t,
                                     struct error *err)
{
    (void)err;
    if (t->complete)
        ((struct stage *)s)->complete_category = t->complete;
    return keep(s, &t->resource);
}

int mcp_server_add_prompt(struct mcp_server *s, const struct mcp_prompt *prompt, struct error *err)
{
    struct stage *stage = (struct stage *)s;
    (void)err;
    stage->prompts[stage->prompt_count++] = *prompt;
    return 0;
}

const char *mcp_call_name(const struct mcp_call *call)
{
    return call->tool;
}

struct slice mcp_call_uri_variable(struct mcp_call *call, const char *name)
{
    assert_string_equal(name, "id");
    return slice_from_cstr(strstr(call->tool, "://") + 3);
}

const char *mcp_call_completing(const struct mcp_call *call)
{
    return call->tool;
}

const char *mcp_call_typed(const struct mcp_call *call)
{
    return call->given;
}

static void end_well(struct mcp_call *call, struct slice text)
{
    assert_int_equal(call->end, FAKE_OPEN);
    call->end = FAKE_RESULT;
    snprintf(call->structured_room, sizeof(call->structured_room), "%.*s", (int)text.len,
             text.len ? text.ptr : "");
}

void mcp_call_contents(struct mcp_call *call, struct slice contents)
{
    end_well(call, contents);
}

void mcp_call_messages(struct mcp_call *call, const char *description, struct slice messages)
{
    (void)description;
    end_well(call, messages);
}

void mcp_call_values(struct mcp_call *call, const char *const *values, size_t count, int64_t total)
{
    assert_int_equal(total, count);
    end_well(call, slice_from_cstr(count ? values[0] : "none"));
}

void mcp_call_not_found(struct mcp_call *call)
{
    assert_int_equal(call->end, FAKE_OPEN);
    call->end = FAKE_FAIL;
}

/* The database answers at once: start_status fails the start, `status` the operation. */
int db_agenda_get(struct db_pool *p, int64_t user_id, enum db_agenda which, int limit,
                  db_agenda_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    const struct db_task task = fake_full_task();
    const struct db_agenda_reply reply = {
        .is_found = true, .timezone = SLICE_LIT("UTC"), .tasks = &task, .count = 1, .total = 1};
    (void)which;
    *id = 1;
    (void)err;
    assert_int_equal(user_id, FAKE_USER);
    assert_true(limit > 0);
    if (p->start_status)
        return p->start_status;
    fn(ctx, p->status, p->status ? NULL : &reply, NULL);
    return 0;
}

int db_agenda_category(struct db_pool *p, int64_t user_id, int64_t category_id, int limit,
                       db_agenda_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    const struct db_agenda_reply none = {0};
    if (category_id == 3)
        return db_agenda_get(p, user_id, DB_TODAY, limit, fn, ctx, id, err);
    fn(ctx, 0, &none, NULL);
    return 0;
}

int db_day_get(struct db_pool *p, int64_t user_id, struct slice date, struct slice category,
               struct slice tag, db_day_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    const struct db_day_reply reply = {.is_found = true,
                                       .timezone = SLICE_LIT("UTC"),
                                       .date = SLICE_LIT("2026-12-01"),
                                       .weekday = SLICE_LIT("Tuesday")};
    (void)user_id;
    (void)date;
    (void)category;
    (void)tag;
    *id = 1;
    (void)err;
    if (p->start_status)
        return p->start_status;
    fn(ctx, p->status, p->status ? NULL : &reply, NULL);
    return 0;
}

/* ---- the stage ------------------------------------------------------------------------------ */

static int setup(void **state)
{
    struct stage *s = test_calloc(1, sizeof(*s));
    s->tools = (struct tools){.pool = &s->db};
    assert_int_equal(resources_register(&s->tools, &s->server, NULL), 0);
    assert_int_equal(prompts_register(&s->tools, &s->server, NULL), 0);
    *state = s;
    return 0;
}

static void end_call(struct mcp_call *call)
{
    cJSON_Delete(call->args);
    arena_deinit(&call->arena);
    call->args = NULL;
}

static int teardown(void **state)
{
    test_free(*state);
    return 0;
}

/* `name` is a URI, the name of a prompt, or the argument to be completed. */
static enum fake_end run(struct stage *s, mcp_call_fn fn, const char *name, const char *args)
{
    struct mcp_call *call = &s->call;
    *call = (struct mcp_call){.tool = name, .given = ""};
    call->identity.user_id = FAKE_USER;
    call->args = cJSON_Parse(args);
    arena_init(&call->arena, 1 << 20);
    fn(&s->tools, call);
    return call->end;
}

static const struct mcp_resource *resource_of(const struct stage *s, const char *uri)
{
    for (int i = 0; i < s->resource_count; i++) {
        const char *known = s->resources[i].uri;
        size_t len = strcspn(known, "{");
        if (strncmp(uri, known, len) == 0 && (known[len] || !uri[len]))
            return &s->resources[i];
    }
    fail_msg("no resource %s", uri);
    return NULL;
}

static enum fake_end read_resource(struct stage *s, const char *uri)
{
    return run(s, resource_of(s, uri)->read, uri, "{}");
}

static const char *const uris[] = {"category://3", RESOURCE_TODAY, RESOURCE_OVERDUE,
                                   RESOURCE_UPCOMING};
#define URIS (sizeof(uris) / sizeof(uris[0]))

/* ---- tests ---------------------------------------------------------------------------------- */

static void all_need_the_read_scope(void **state)
{
    const struct stage *s = *state;
    assert_int_equal(s->resource_count, 5);
    assert_int_equal(s->prompt_count, 3);
    for (int i = 0; i < s->resource_count; i++)
        assert_int_equal(s->resources[i].scopes, TOOLS_SCOPE_READ);
    for (int i = 0; i < s->prompt_count; i++)
        assert_int_equal(s->prompts[i].scopes, TOOLS_SCOPE_READ);
}

static void a_read_ends_well_or_says_why_not(void **state)
{
    struct stage *s = *state;
    for (size_t i = 0; i < URIS; i++) {
        s->db.start_status = s->db.status = 0;
        assert_int_equal(read_resource(s, uris[i]), FAKE_RESULT);
        assert_non_null(strstr(s->call.structured_room, uris[i]));
        end_call(&s->call);
        s->db.status = DB_EUNAVAILABLE;
        assert_int_equal(read_resource(s, uris[i]), FAKE_ERROR);
        assert_non_null(strstr(s->call.text, "call again"));
        end_call(&s->call);
        s->db.status = DB_EINTERNAL;
        assert_int_equal(read_resource(s, uris[i]), FAKE_ERROR);
        assert_string_equal(s->call.text, "internal error");
        end_call(&s->call);
        s->db.start_status = DB_EBUSY;
        assert_int_equal(read_resource(s, uris[i]), FAKE_ERROR);
        end_call(&s->call);
    }
}

static void what_is_no_id_is_not_found_without_a_look(void **state)
{
    static const char *const wrong[] = {"task://",      "task://0",
                                        "task://012",   "task://1x",
                                        "category://",  "category://9007199254740992",
                                        "category://-3"};
    struct stage *s = *state;
    s->db.start_status = DB_EBUSY;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(read_resource(s, wrong[i]), FAKE_FAIL);
        assert_int_equal(s->db.op, FAKE_NONE);
        end_call(&s->call);
    }
    s->db.start_status = 0;
    assert_int_equal(read_resource(s, "category://4"), FAKE_FAIL);
    end_call(&s->call);
}

static void a_task_s_read_ends_by_its_outcome(void **state)
{
    struct stage *s = *state;
    const struct db_task task = fake_full_task();
    assert_int_equal(read_resource(s, "task://9007199254740991"), FAKE_OPEN);
    assert_int_equal(s->db.task_id, INT64_C(9007199254740991));
    s->db.on_task(s->db.ctx, 0, &(struct db_task_reply){.outcome = DB_OK, .task = &task}, NULL);
    assert_int_equal(s->call.end, FAKE_RESULT);
    end_call(&s->call);
    assert_int_equal(read_resource(s, "task://1"), FAKE_OPEN);
    s->db.on_task(s->db.ctx, 0, &(struct db_task_reply){.outcome = DB_NOT_FOUND}, NULL);
    assert_int_equal(s->call.end, FAKE_FAIL);
    end_call(&s->call);
}

static void a_cancelled_read_is_given_up(void **state)
{
    struct stage *s = *state;
    assert_int_equal(read_resource(s, "task://1"), FAKE_OPEN);
    s->call.on_cancel(s->call.on_cancel_ctx, &s->call);
    assert_int_not_equal(s->db.cancelled, 0);
    s->db.on_task(s->db.ctx, DB_ECANCELLED, NULL, NULL);
    assert_int_equal(s->call.end, FAKE_ERROR);
    end_call(&s->call);
}

static void a_prompt_ends_well_or_says_why_not(void **state)
{
    struct stage *s = *state;
    for (int i = 0; i < s->prompt_count; i++) {
        const struct mcp_prompt *p = &s->prompts[i];
        s->db.status = 0;
        assert_int_equal(run(s, p->get, p->name, "{\"category\":\"a \\\"b\\\"\"}"), FAKE_RESULT);
        assert_non_null(strstr(s->call.structured_room, "no category named"));
        end_call(&s->call);
        s->db.status = DB_ETIMEOUT;
        assert_int_equal(run(s, p->get, p->name, "{}"), FAKE_ERROR);
        end_call(&s->call);
    }
}

static void a_failed_look_up_suggests_nothing(void **state)
{
    struct stage *s = *state;
    const struct db_label label = {.id = 31, .name = SLICE_LIT("Home")};
    const struct db_label_reply reply = {.labels = &label, .count = 1};
    assert_int_equal(run(s, s->complete_category, "id", "{}"), FAKE_OPEN);
    s->db.on_label(s->db.ctx, 0, &reply, NULL);
    assert_string_equal(s->call.structured_room, "31");
    end_call(&s->call);
    assert_int_equal(run(s, s->prompts[0].complete, "category", "{}"), FAKE_OPEN);
    s->db.on_label(s->db.ctx, DB_EUNAVAILABLE, NULL, NULL);
    assert_string_equal(s->call.structured_room, "none");
    end_call(&s->call);
    s->db.start_status = DB_EBUSY;
    assert_int_equal(run(s, s->prompts[0].complete, "tag", "{}"), FAKE_RESULT);
    assert_string_equal(s->call.structured_room, "none");
    end_call(&s->call);
}

static void each_ends_whatever_memory_is_out(void **state)
{
    struct stage *s = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        enum fake_end end = read_resource(s, RESOURCE_TODAY);
        assert_int_equal(end, mem_loop_has_failed(&loop) ? FAKE_ERROR : FAKE_RESULT);
        end_call(&s->call);
    }
    for (int i = 0; i < s->prompt_count; i++) {
        loop = (struct mem_loop){0};
        while (mem_loop_next(&loop)) {
            enum fake_end end = run(s, s->prompts[i].get, s->prompts[i].name, "{}");
            assert_int_equal(end, mem_loop_has_failed(&loop) ? FAKE_ERROR : FAKE_RESULT);
            end_call(&s->call);
        }
    }
    loop = (struct mem_loop){0};
    while (mem_loop_next(&loop)) {
        if (run(s, s->prompts[0].complete, "category", "{}") == FAKE_OPEN)
            s->db.on_label(s->db.ctx, 0, &(struct db_label_reply){0}, NULL);
        assert_int_equal(s->call.end, FAKE_RESULT);
        (void)mem_loop_has_failed(&loop);
        end_call(&s->call);
    }
}

#define with_stage(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_stage(all_need_the_read_scope),
        with_stage(a_read_ends_well_or_says_why_not),
        with_stage(what_is_no_id_is_not_found_without_a_look),
        with_stage(a_task_s_read_ends_by_its_outcome),
        with_stage(a_cancelled_read_is_given_up),
        with_stage(a_prompt_ends_well_or_says_why_not),
        with_stage(a_failed_look_up_suggests_nothing),
        with_stage(each_ends_whatever_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
