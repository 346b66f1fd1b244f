#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

#define LOG_LINE_BYTES 4096 /* at most PIPE_BUF: lines of several processes do not mix */

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

void log_init(struct log *log, int fd, enum log_level level, enum log_format format)
{
    if (format == LOG_FORMAT_AUTO)
        format = isatty(fd) ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
    *log = (struct log){.level = level, .format = format, .fd = fd};
}

bool log_level_parse(const char *name, enum log_level *out)
{
    for (int i = LOG_DEBUG; i <= LOG_OFF; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void write_value(struct json_writer *w, const struct log_field *field)
{
    switch (field->type) {
    case LOG_FIELD_STR:
        json_string(w, field->str);
        break;
    case LOG_FIELD_INT:
        json_int(w, field->num);
        break;
    }
}

static void render_json(struct buf *line, enum log_level level, const char *message,
                        const struct log_field *fields)
{
    char time[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(clock_now_us(), time);
    struct json_writer w;
    json_writer_init(&w, line);
    json_begin_object(&w);
    json_key_string(&w, "ts", time);
    json_key_string(&w, "level", level_names[level]);
    json_key_string(&w, "msg", message);
    for (; fields->key; fields++) {
        json_key(&w, fields->key);
        write_value(&w, fields);
    }
    json_end_object(&w);
}

/* Values are JSON here too, so that no value can forge a second line or a terminal escape. */
static void render_text(struct buf *line, enum log_level level, const char *message,
                        const struct log_field *fields)
{
    char time[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(clock_now_us() / 1000000 * 1000000, time);
    buf_printf(line, "%s %-5s %s", time, level_names[level], message);
    for (; fields->key; fields++) {
        struct json_writer w;
        buf_printf(line, "  %s=", fields->key);
        json_writer_init(&w, line);
        write_value(&w, fields);
    }
}

static void render(const struct log *log, struct buf *line, enum log_level level,
                   const char *message, const struct log_field *fields)
{
    if (log->format == LOG_FORMAT_TEXT)
        render_text(line, level, message, fields);
    else
        render_json(line, level, message, fields);
}

/* On the stack: a line about memory running out must not need any. */
void log_write(const struct log *log, enum log_level level, const char *message,
               const struct log_field *fields)
{
    if (!log || level < log->level || level >= LOG_OFF)
        return;
    char storage[LOG_LINE_BYTES];
    struct buf line;
    buf_init_fixed(&line, storage, sizeof(storage) - 1); /* room for the newline */
    render(log, &line, level, message, fields);
    if (buf_status(&line)) {
        const struct log_field dropped[] = {log_str("dropped", "the fields are too long"), {0}};
        buf_reset(&line);
        render(log, &line, level, message, dropped);
    }
    storage[line.len] = '\n';
    ssize_t written;
    do
        written = write(log->fd, storage, line.len + 1);
    while (written < 0 && errno == EINTR);
    /* Any other failure has nowhere to be told. */
}
