#include "dapr/error.h"

#include <stddef.h>

static const struct row {
    int code;
    const char *text;
    bool is_retriable, is_done_unknown;
} rows[] = {
#define X(name, code, text, is_retriable, is_done_unknown)                                         \
    {code, text, is_retriable, is_done_unknown},
    DAPR_ERRORS(X)
#undef X
};

static const struct row *find(int code)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (rows[i].code == code)
            return &rows[i];
    }
    return NULL;
}

const char *dapr_strerror(int code)
{
    const struct row *row = find(code);
    return row ? row->text : "unknown error";
}

bool dapr_error_is_retriable(int code)
{
    const struct row *row = find(code);
    return row && row->is_retriable;
}

bool dapr_error_is_unknown(int code)
{
    const struct row *row = find(code);
    return row && row->is_done_unknown;
}
