#pragma once
/* A database and a protocol library of paper, for the tools' own decisions: what a call asks of
 * db/, and what each reply becomes. The real ones are met in tests/integration/tools. */
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "db/label.h"
#include "db/task.h"
#include "mcp/call.h"
#include "mcp/tool.h"
#include "tools/tools.h"

#define FAKE_USER 7

enum fake_op {
    FAKE_NONE,
    FAKE_ADD,
    FAKE_GET,
    FAKE_UPDATE,
    FAKE_COMPLETE,
    FAKE_DELETE,
    FAKE_LIST,
    FAKE_SEARCH,
    FAKE_TAG,
    FAKE_REMINDER,
    FAKE_LABEL_CREATE,
    FAKE_LABEL_LIST,
    FAKE_LABEL_GET,
    FAKE_LABEL_UPDATE,
    FAKE_LABEL_DELETE,
};

/* The last operation that a tool started. Slices are borrowed from the call. */
struct db_pool {
    int start_status; /* what every operation's start returns */
    enum fake_op op;
    int64_t user_id, task_id, tag_id, label_id;
    struct db_task_new add;
    struct db_task_patch patch;
    struct db_task_filter filter;
    struct slice query;
    int status, limit;
    struct db_cursor cursor;
    bool is_adding;
    struct db_reminder_set reminder;
    enum db_label_kind kind;
    struct slice name, color;
    struct db_label_patch label_patch;
    db_task_fn on_task;
    db_task_list_fn on_list;
    db_label_fn on_label;
    void *ctx;
    db_op_id cancelled;
};

enum fake_end { FAKE_OPEN, FAKE_RESULT, FAKE_FAIL, FAKE_ERROR };

struct mcp_call {
    const char *tool;
    cJSON *args;
    struct arena arena;
    struct mcp_identity identity;
    enum fake_end end;
    char *structured, *text; /* NUL-terminated; NULL when empty */
    cJSON *answer;           /* structured, parsed */
    uint32_t capabilities;   /* of the client; kept over calls */
    const char *given;       /* the client's answer to a question, as JSON; kept over calls */
    cJSON *given_answer;
    char question[1024]; /* that was put */
    bool is_waiting;
    mcp_cancel_fn on_cancel;
    void *on_cancel_ctx;
    char structured_room[64 * 1024], text_room[16 * 1024];
};

struct mcp_server {
    struct mcp_tool tools[32];
    int tool_count;
};

struct fake {
    struct db_pool db;
    struct mcp_server server;
    struct tools tools;
    struct mcp_call call;
    int commits; /* calls of on_commit */
};

/* cmocka set-up and tear-down; *state is a struct fake. */
int fake_setup(void **state);
int fake_teardown(void **state);

/* Calls a tool with arguments as JSON text; the call before it is forgotten. */
struct mcp_call *fake_call(struct fake *f, const char *tool, const char *args);
/* The database's replies to it. */
void fake_reply_task(struct fake *f, const struct db_task_reply *reply);
void fake_reply_list(struct fake *f, const struct db_task_list_reply *reply);
void fake_reply_label(struct fake *f, const struct db_label_reply *reply);
/* The operation ends with a DB_E* status. */
void fake_reply_status(struct fake *f, int status);

/* A task with every member set, and one with as few as there can be. */
struct db_task fake_full_task(void);
struct db_task fake_bare_task(void);

/* The call's operation is well and answers fake_full_task(). */
void fake_reply_with_task(struct fake *f, bool changed);

void fake_assert_text(struct slice got, const char *want);
/* The call ended with an error result of this code and field, with words, in both forms. */
void fake_assert_failed(const struct mcp_call *call, const char *code, const char *field);

#define with_fake(test) cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

/* Of the answer: the text at a member, "" when there is none. */
const char *fake_string(const struct mcp_call *call, const char *key);
