#pragma once
/* events/error: what may be wrong with an event. */

#define EVENTS_ERRORS(X)                                                                           \
    X(EVENTS_EVERSION, -23001, "the event's schema_version is newer than this program")            \
    X(EVENTS_ETYPE, -23002, "the event's type is unknown")

enum events_error {
#define X(name, code, text) name = (code),
    EVENTS_ERRORS(X)
#undef X
};
