#include "base/metrics.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"

#define OTHER "_other"

const double metric_bounds_seconds[METRIC_BOUNDS_SECONDS_COUNT] = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

struct metric_series {
    struct metric_series *next;
    const struct metric *family;
    double value;    /* of a histogram: the sum */
    uint64_t *below; /* of a histogram: observations in each bucket, the last one without bound */
    char *values[METRIC_LABELS_MAX]; /* in this block */
};

struct metric {
    struct metric *next;
    const struct metric_def *def;
    size_t label_count;
    struct metric_series *first, **last; /* in the order they came */
    size_t series_count;
    metric_read_fn read; /* NULL: the series */
    void *read_ctx;
};

struct metrics {
    struct metric *first, **last;
};

/* ---- series ---- */

static size_t bucket_count(const struct metric_def *def)
{
    return def->type == METRIC_HISTOGRAM ? def->bound_count + 1 : 0;
}

static struct metric_series *series_new(struct metric *f, const char *const *values)
{
    size_t buckets = bucket_count(f->def) * sizeof(uint64_t);
    size_t size = sizeof(struct metric_series) + buckets;
    for (size_t i = 0; i < f->label_count; i++)
        size += strlen(values[i]) + 1;
    struct metric_series *s = mem_calloc(1, size);
    if (!s)
        return NULL;
    s->family = f;
    s->below = (uint64_t *)(void *)(s + 1);
    char *at = (char *)(s + 1) + buckets;
    for (size_t i = 0; i < f->label_count; i++) {
        size_t len = strlen(values[i]) + 1;
        memcpy(at, values[i], len);
        s->values[i] = at;
        at += len;
    }
    *f->last = s;
    f->last = &s->next;
    f->series_count++;
    return s;
}

static bool has_values(const struct metric_series *s, const char *const *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(s->values[i], values[i]) != 0)
            return false;
    }
    return true;
}

/* The first series is that of "_other", or the only one. */
struct metric_series *metric_with(struct metric *f, const char *const *values)
{
    if (!f || f->label_count == 0)
        return f ? f->first : NULL;
    for (struct metric_series *s = f->first; s; s = s->next) {
        if (has_values(s, values, f->label_count))
            return s;
    }
    struct metric_series *made = f->series_count < METRIC_SERIES_MAX ? series_new(f, values) : NULL;
    return made ? made : f->first;
}

void metric_count(struct metric_series *s, double by)
{
    if (s)
        s->value += by;
}

void metric_set(struct metric_series *s, double value)
{
    if (s)
        s->value = value;
}

void metric_observe(struct metric_series *s, double value)
{
    if (!s)
        return;
    const struct metric_def *def = s->family->def;
    assert(def->type == METRIC_HISTOGRAM);
    size_t bucket = 0;
    while (bucket < def->bound_count && value > def->bounds[bucket])
        bucket++;
    s->below[bucket]++;
    s->value += value;
}

/* ---- families ---- */

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

static bool is_label_name(const char *name)
{
    return *name && strspn(name, LETTERS) > 0 && !name[strspn(name, LETTERS "0123456789")] &&
           strncmp(name, "__", 2) != 0;
}

static bool is_metric_name(const struct metric_def *def)
{
    static const char total[] = "_total";
    size_t len = strlen(def->name);
    size_t tail = sizeof(total) - 1;
    bool is_total = len > tail && strcmp(def->name + len - tail, total) == 0;
    return is_label_name(def->name) && is_total == (def->type == METRIC_COUNTER);
}

static size_t count_labels(const struct metric_def *def)
{
    size_t count = 0;
    while (count < METRIC_LABELS_MAX && def->labels[count])
        count++;
    return count;
}

static bool is_definition(const struct metrics *m, const struct metric_def *def)
{
    bool is_good = is_metric_name(def);
    for (size_t i = 0; i < count_labels(def); i++)
        is_good = is_good && is_label_name(def->labels[i]) && strcmp(def->labels[i], "le") != 0;
    for (size_t i = 1; i < def->bound_count; i++)
        is_good = is_good && def->bounds[i - 1] < def->bounds[i];
    for (const struct metric *f = m->first; f; f = f->next)
        is_good = is_good && strcmp(f->def->name, def->name) != 0;
    return is_good;
}

static void family_free(struct metric *f)
{
    while (f->first) {
        struct metric_series *next = f->first->next;
        mem_free(f->first);
        f->first = next;
    }
    mem_free(f);
}

int metrics_add(struct metrics *m, const struct metric_def *def, struct metric **out,
                struct error *err)
{
    static const char *const other[METRIC_LABELS_MAX] = {OTHER, OTHER, OTHER, OTHER};
    *out = NULL;
    if (!m)
        return 0;
    if (!is_definition(m, def))
        return error_set(err, BASE_EINVAL, def->name, "the metric %s is malformed or there twice",
                         def->name);
    struct metric *f = mem_calloc(1, sizeof(*f));
    if (!f)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    f->def = def;
    f->last = &f->first;
    f->label_count = count_labels(def);
    if (!series_new(f, other)) {
        family_free(f);
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    }
    *m->last = f;
    m->last = &f->next;
    *out = f;
    return 0;
}

int metrics_add_read(struct metrics *m, const struct metric_def *def, metric_read_fn read,
                     void *ctx, struct error *err)
{
    struct metric *f;
    assert(def->type != METRIC_HISTOGRAM && !def->labels[0]);
    int status = metrics_add(m, def, &f, err);
    if (!status && f) {
        f->read = read;
        f->read_ctx = ctx;
    }
    return status;
}

int metrics_new(struct metrics **out)
{
    *out = mem_calloc(1, sizeof(**out));
    if (!*out)
        return BASE_ENOMEM;
    (*out)->last = &(*out)->first;
    return 0;
}

void metrics_free(struct metrics *m)
{
    while (m && m->first) {
        struct metric *next = m->first->next;
        family_free(m->first);
        m->first = next;
    }
    mem_free(m);
}

/* ---- the text ---- */

static void write_escaped(struct buf *out, const char *text, bool with_quotes)
{
    for (; *text; text++) {
        if (*text == '\n')
            buf_append_cstr(out, "\\n");
        else if (*text == '\\' || (with_quotes && *text == '"'))
            buf_printf(out, "\\%c", *text);
        else
            buf_append_char(out, *text);
    }
}

/* The shortest of two that reads back as the same number. */
static void write_number(struct buf *out, double value)
{
    char text[32];
    snprintf(text, sizeof(text), "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof(text), "%.17g", value);
    buf_append_cstr(out, text);
}

static void write_label(struct buf *out, bool is_first, const char *name, const char *value)
{
    buf_append_cstr(out, is_first ? "{" : ",");
    buf_append_cstr(out, name);
    buf_append_cstr(out, "=\"");
    write_escaped(out, value, true);
    buf_append_char(out, '"');
}

/* `bound` NULL: no label le. */
static void write_sample(struct buf *out, const struct metric_series *s, const char *suffix,
                         const char *bound, double value)
{
    const struct metric *f = s->family;
    buf_append_cstr(out, f->def->name);
    buf_append_cstr(out, suffix);
    for (size_t i = 0; i < f->label_count; i++)
        write_label(out, i == 0, f->def->labels[i], s->values[i]);
    if (bound)
        write_label(out, f->label_count == 0, "le", bound);
    if (f->label_count > 0 || bound)
        buf_append_char(out, '}');
    buf_append_char(out, ' ');
    write_number(out, value);
    buf_append_char(out, '\n');
}

static void write_histogram(struct buf *out, const struct metric_series *s)
{
    const struct metric_def *def = s->family->def;
    uint64_t sum = 0;
    for (size_t i = 0; i <= def->bound_count; i++) {
        char bound[32] = "+Inf";
        if (i < def->bound_count)
            snprintf(bound, sizeof(bound), "%g", def->bounds[i]);
        sum += s->below[i];
        write_sample(out, s, "_bucket", bound, (double)sum);
    }
    write_sample(out, s, "_sum", NULL, s->value);
    write_sample(out, s, "_count", NULL, (double)sum);
}

/* "_other" is shown once something fell into it; a series without labels from the start. */
static bool is_shown(const struct metric_series *s)
{
    const struct metric *f = s->family;
    bool has_counted = s->value != 0;
    for (size_t i = 0; i < bucket_count(f->def); i++)
        has_counted = has_counted || s->below[i] > 0;
    return f->label_count == 0 || s != f->first || has_counted;
}

static void write_family(struct buf *out, const struct metric *f)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    buf_printf(out, "# HELP %s ", f->def->name);
    write_escaped(out, f->def->help, false);
    buf_printf(out, "\n# TYPE %s %s\n", f->def->name, types[f->def->type]);
    if (f->read)
        f->first->value = f->read(f->read_ctx);
    for (const struct metric_series *s = f->first; s; s = s->next) {
        if (!is_shown(s))
            continue;
        if (f->def->type == METRIC_HISTOGRAM)
            write_histogram(out, s);
        else
            write_sample(out, s, "", NULL, s->value);
    }
}

void metrics_write(const struct metrics *m, struct buf *out)
{
    for (const struct metric *f = m->first; f; f = f->next)
        write_family(out, f);
}
