#pragma once
/* base/log: one line an event, to stderr: JSON, or human text on a terminal.
 * A message is a constant; values go in fields. Never tokens, titles or SQL values.
 * Use:    log_init -> log_info(log, "listening", log_str("address", a), log_int("port", p)).
 * Limits: a line has at most 4,096 bytes; fields that do not fit are dropped, and the line says so.
 * Thread: any one; each line is one write(2), made without the heap. */
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

struct log {
    enum log_level level;
    enum log_format format; /* AUTO is resolved by log_init */
    int fd;                 /* borrowed */
};

struct log_field {
    const char *key; /* NULL ends the list */
    enum { LOG_FIELD_STR, LOG_FIELD_INT } type;
    const char *str; /* borrowed for the call; NULL prints as null */
    int64_t num;
};

static inline struct log_field log_str(const char *key, const char *value)
{
    return (struct log_field){key, LOG_FIELD_STR, value, 0};
}

static inline struct log_field log_int(const char *key, int64_t value)
{
    return (struct log_field){key, LOG_FIELD_INT, 0, value};
}

/* AUTO: text when `fd` is a terminal, else JSON. */
void log_init(struct log *log, int fd, enum log_level level, enum log_format format);
/* "debug" … "error", "off"; false when the name is none of them. */
bool log_level_parse(const char *name, enum log_level *out);
/* `fields` ends with a field whose key is NULL. A NULL `log` writes nothing. */
void log_write(const struct log *log, enum log_level level, const char *message,
               const struct log_field *fields);

/* The first field only gives the comma, which ## drops when there is no other, its left side. */
#define LOG_AT(log_, level_, message_, ...)                                                        \
    do {                                                                                           \
        const struct log *log_at_ = (log_);                                                        \
        if (log_at_ && log_at_->level <= (level_))                                                 \
            log_write(log_at_, (level_), (message_),                                               \
                      &(const struct log_field[]){{0}, ##__VA_ARGS__, {0}}[1]);                    \
    } while (0)
#define log_debug(log_, ...) LOG_AT(log_, LOG_DEBUG, __VA_ARGS__)
#define log_info(log_, ...)  LOG_AT(log_, LOG_INFO, __VA_ARGS__)
#define log_warn(log_, ...)  LOG_AT(log_, LOG_WARN, __VA_ARGS__)
#define log_error(log_, ...) LOG_AT(log_, LOG_ERROR, __VA_ARGS__)
