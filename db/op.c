#include <string.h>

#include "base/mem.h"
#include "db/pool_int.h"

/* One block: the operation, its value pointers and their NUL-terminated bytes. */
struct db_op *op_new(const struct db_stmt *stmt, const db_param *params, db_result_fn fn, void *ctx)
{
    size_t count = (size_t)stmt->param_count;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += params[i].ptr ? params[i].len + 1 : 0;
    struct db_op *op = mem_alloc(sizeof(*op) + count * sizeof(char *) + bytes);
    if (!op)
        return NULL;
    *op = (struct db_op){.stmt = stmt, .fn = fn, .ctx = ctx};
    char *at = (char *)(op->values + count);
    for (size_t i = 0; i < count; i++) {
        op->values[i] = params[i].ptr ? at : NULL;
        if (!params[i].ptr)
            continue;
        memcpy(at, params[i].ptr, params[i].len);
        at[params[i].len] = '\0';
        at += params[i].len + 1;
    }
    return op;
}

void op_finish(struct db_op *op, int status, const struct error *err)
{
    op->fn(op->ctx, status, status ? NULL : (const struct db_result *)op->res, err);
    PQclear(op->res);
    mem_free(op);
}

void op_list_push(struct db_op_list *list, struct db_op *op)
{
    op->next = NULL;
    if (list->tail)
        list->tail->next = op;
    else
        list->head = op;
    list->tail = op;
    list->count++;
}

void op_list_push_front(struct db_op_list *list, struct db_op *op)
{
    op->next = list->head;
    list->head = op;
    if (!list->tail)
        list->tail = op;
    list->count++;
}

struct db_op *op_list_pop(struct db_op_list *list)
{
    struct db_op *op = list->head;
    if (!op)
        return NULL;
    list->head = op->next;
    if (!list->head)
        list->tail = NULL;
    list->count--;
    op->next = NULL;
    return op;
}

bool op_goes_alone(const struct db_op *op)
{
    return op->is_alone || op->stmt->is_slow;
}

struct db_op *op_list_take(const struct db_group *group)
{
    struct db_op *first = op_list_pop(group->list);
    struct db_op *last = first;
    for (uint32_t n = 1; !op_goes_alone(first) && n < group->max; n++) {
        const struct db_op *next = group->list->head;
        if (!next || op_goes_alone(next) || (group->only_lock_free && !next->stmt->is_lock_free))
            break;
        last->next = op_list_pop(group->list);
        last = last->next;
    }
    return first;
}

static const char *sqlstate_of(const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    return state ? state : "";
}

bool op_is_conflict(const PGresult *res)
{
    const char *state = sqlstate_of(res);
    return strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0;
}

bool op_is_statement_lost(const PGresult *res)
{
    const char *state = sqlstate_of(res);
    return strcmp(state, "26000") == 0 || strcmp(state, "0A000") == 0;
}

static int code_of_sqlstate(const char *state)
{
    static const struct {
        const char *prefix;
        int code;
    } table[] = {
        {"23505", DB_EUNIQUE},      {"23", DB_ECONSTRAINT},  {"22", DB_ECONSTRAINT},
        {"40", DB_ESERIALIZE},      {"57014", DB_ETIMEOUT},  {"55P03", DB_ETIMEOUT},
        {"57P", DB_EUNAVAILABLE},   {"53", DB_EUNAVAILABLE}, {"08", DB_EUNAVAILABLE},
        {"25006", DB_EUNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        if (strncmp(state, table[i].prefix, strlen(table[i].prefix)) == 0)
            return table[i].code;
    }
    return DB_EINTERNAL;
}

static const char *text_of(int code)
{
    switch (code) {
#define X(name, number, text, retriable)                                                           \
    case number:                                                                                   \
        return text;
        DB_ERRORS(X)
#undef X
    default:
        return "unknown";
    }
}

int op_error_of(const PGresult *res, struct error *err)
{
    int code = code_of_sqlstate(sqlstate_of(res));
    const char *constraint = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);
    return error_set(err, code, constraint, "%s", text_of(code));
}
