#pragma once
/* db/error: what a database operation can end with. */

#define DB_ERRORS(X)                                                                               \
    X(DB_ENOMEM, -22001, "out of memory", false)                                                   \
    X(DB_EBUSY, -22002, "too many statements are waiting for the database", true)                  \
    X(DB_ECLOSED, -22003, "the pool is closed", false)                                             \
    X(DB_EUNAVAILABLE, -22004, "the database cannot be reached; nothing was changed", true)        \
    X(DB_EUNKNOWN, -22005, "the database connection broke; the change may or may not be stored",   \
      true)                                                                                        \
    X(DB_ETIMEOUT, -22006, "the database took too long; nothing was changed", true)                \
    X(DB_ECANCELLED, -22007, "cancelled; nothing was changed", false)                              \
    X(DB_EUNIQUE, -22008, "a row with that value exists", false)                                   \
    X(DB_ECONSTRAINT, -22009, "the row breaks a constraint", false)                                \
    X(DB_ESERIALIZE, -22010, "the change met a concurrent one", true)                              \
    X(DB_EINTERNAL, -22011, "the database refused the statement", false)                           \
    X(DB_ENEWER, -22012, "the schema is newer than this program", false)

enum db_error {
#define X(name, code, text, retriable) name = (code),
    DB_ERRORS(X)
#undef X
};
