#pragma once
/* dapr/error: what a call of the sidecar can end with, besides BASE_ENOMEM, BASE_ELIMIT (too many
 * calls in flight), BASE_EINVAL (the arguments) and BASE_ECLOSED. `err->field` holds daprd's own
 * errorCode ("ERR_STATE_SAVE") where it gave one, `err->text` its message.
 * Dapr API reference, "Error codes returned by APIs".
 * X(name, code, text, is_retriable, is_done_unknown): worth trying again later; whether the sidecar
 * did what was asked cannot be told. */
#include <stdbool.h>

#define DAPR_ERRORS(X)                                                                             \
    X(DAPR_EUNAVAILABLE, -25001, "the sidecar cannot be reached; nothing was done", true, false)   \
    X(DAPR_EUNKNOWN, -25002, "the sidecar broke off; what was asked may be done", true, true)      \
    X(DAPR_ETIMEOUT, -25003, "the sidecar took too long; what was asked may be done", true, true)  \
    X(DAPR_ETOKEN, -25004, "the sidecar refuses the API token", false, false)                      \
    X(DAPR_EFORBIDDEN, -25005, "the sidecar's configuration forbids it", false, false)             \
    X(DAPR_ENOCOMPONENT, -25006, "the sidecar has no such component or route", true, false)        \
    X(DAPR_EREFUSED, -25007, "the sidecar refuses the request", false, false)                      \
    X(DAPR_ECONFLICT, -25008, "the state or job was changed by another", false, false)             \
    X(DAPR_ETOOLARGE, -25009, "the request is larger than the sidecar takes", false, false)        \
    X(DAPR_ECOMPONENT, -25010, "what is behind the sidecar failed", true, true)                    \
    X(DAPR_EPROTOCOL, -25011, "the sidecar's answer is not what its API says", true, true)

enum dapr_error {
#define X(name, code, text, is_retriable, is_done_unknown) name = (code),
    DAPR_ERRORS(X)
#undef X
};

/* One sentence; of a code that is none of the above: "unknown error". */
const char *dapr_strerror(int code);
bool dapr_error_is_retriable(int code);
bool dapr_error_is_unknown(int code);
