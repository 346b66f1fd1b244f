#include "dapr/error.h"

const char *dapr_strerror(int code)
{
    switch (code) {
#define X(name, code, text, is_retriable, is_done_unknown)                                         \
    case name:                                                                                     \
        return text;
        DAPR_ERRORS(X)
#undef X
    default:
        return "unknown error";
    }
}

bool dapr_error_is_retriable(int code)
{
    switch (code) {
#define X(name, code, text, is_retriable, is_done_unknown)                                         \
    case name:                                                                                     \
        return is_retriable;
        DAPR_ERRORS(X)
#undef X
    default:
        return false;
    }
}

bool dapr_error_is_unknown(int code)
{
    switch (code) {
#define X(name, code, text, is_retriable, is_done_unknown)                                         \
    case name:                                                                                     \
        return is_done_unknown;
        DAPR_ERRORS(X)
#undef X
    default:
        return false;
    }
}
