#pragma once
/* tools/error: what a failed tool call answers, for an agent to act on:
 * {code, message, field?, expected?, retryable, current?}. */
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "db/label.h"

struct json_writer;

/* code, text on the wire, whether the same call may succeed later */
#define TOOL_ERRORS(X)                                                                             \
    X(TOOL_VALIDATION_ERROR, "validation_error", false)                                            \
    X(TOOL_NOT_FOUND, "not_found", false)                                                          \
    X(TOOL_CONFLICT, "conflict", false)                                                            \
    X(TOOL_LIMIT_EXCEEDED, "limit_exceeded", false)                                                \
    X(TOOL_DUPLICATE_NAME, "duplicate_name", false)                                                \
    X(TOOL_FORBIDDEN, "forbidden", false)                                                          \
    X(TOOL_RATE_LIMITED, "rate_limited", true)                                                     \
    X(TOOL_UNAVAILABLE, "unavailable", true)

enum tool_error_code {
#define X(name, text, retryable) name,
    TOOL_ERRORS(X)
#undef X
};

struct tool_error {
    enum tool_error_code code;
    bool retryable;
    char field[64];     /* "" when no one field is at fault */
    char expected[192]; /* "" when the message says it all */
    char message[320];
    const struct db_task *current; /* conflict: the task as it is; borrowed from the reply */
};

const char *tool_error_code_name(enum tool_error_code code);

/* Fills `e`. `field` and `expected` may be NULL. */
__attribute__((format(printf, 5, 6))) void tool_error_set(struct tool_error *e,
                                                          enum tool_error_code code,
                                                          const char *field, const char *expected,
                                                          const char *format, ...);

/* What the call was about, for the words of a refusal. */
struct tool_subject {
    int64_t task_id, category_id;
    int64_t tag_id;           /* 0: the call named tag_ids */
    int64_t expected_version; /* 0: none */
    bool is_reminder;         /* the due date is missed by a reminder, not by a recurrence */
    enum db_label_kind kind;  /* labels */
    int64_t label_id;         /* labels; 0: a new one */
    struct slice name;        /* labels; "" when the call gives none */
    bool has_idempotency_key; /* a repeat of the call is known for what it is */
};
/* For an outcome other than DB_OK. `current` may be NULL. */
void tool_error_from_task(struct tool_error *e, enum db_outcome outcome,
                          const struct tool_subject *subject, const struct db_task *current);
void tool_error_from_label(struct tool_error *e, enum db_outcome outcome,
                           const struct tool_subject *subject);

/* For a DB_E* status. `is_repeatable`: doing it twice is as doing it once, so that an unknown
 * outcome can be answered with "call again". False when the status is a bug of ours, which has no
 * words for a caller. */
__attribute__((warn_unused_result)) bool tool_error_from_status(struct tool_error *e, int status,
                                                                bool is_repeatable);

/* The error object. */
void tool_error_write(struct json_writer *w, const struct tool_error *e);
