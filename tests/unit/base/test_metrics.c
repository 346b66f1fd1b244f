/* base/metrics: what is counted, and a text that a strict reader takes. */
#include "support/unit.h"

#include <ctype.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/metrics.h"
#include "support/mem_loop.h"

/* ---- a strict reader of the text format 0.0.4 ---- */

struct reader {
    const char *at;
    char family[128], type[16]; /* of the lines that follow */
    int samples;
};

static void expect(struct reader *r, const char *text)
{
    if (strncmp(r->at, text, strlen(text)) != 0)
        fail_msg("expected \"%s\" at \"%.60s\"", text, r->at);
    r->at += strlen(text);
}

static void read_name(struct reader *r, char *out, size_t size)
{
    size_t len = strspn(r->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");
    assert_true(len > 0 && len < size && !isdigit((unsigned char)*r->at));
    memcpy(out, r->at, len);
    out[len] = '\0';
    r->at += len;
}

static void read_value(struct reader *r)
{
    char *end;
    (void)strtod(r->at, &end);
    assert_ptr_not_equal(end, r->at);
    assert_false(isspace((unsigned char)*r->at));
    r->at = end;
    expect(r, "\n");
}

static void read_label(struct reader *r)
{
    char name[64];
    read_name(r, name, sizeof(name));
    assert_null(strchr(name, ':'));
    expect(r, "=\"");
    while (*r->at != '"') {
        assert_true(*r->at && *r->at != '\n');
        if (*r->at == '\\') {
            r->at++;
            assert_non_null(strchr("\\\"n", *r->at));
        }
        r->at++;
    }
    expect(r, "\"");
}

static bool is_of_family(const struct reader *r, const char *name)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    size_t len = strlen(r->family);
    if (strcmp(name, r->family) == 0)
        return strcmp(r->type, "histogram") != 0;
    for (size_t i = 0; i < 3; i++) {
        if (strncmp(name, r->family, len) == 0 && strcmp(name + len, suffixes[i]) == 0)
            return strcmp(r->type, "histogram") == 0;
    }
    return false;
}

static void read_sample(struct reader *r)
{
    char name[128];
    read_name(r, name, sizeof(name));
    assert_true(is_of_family(r, name));
    if (*r->at == '{') {
        do {
            r->at++;
            read_label(r);
        } while (*r->at == ',');
        expect(r, "}");
    }
    expect(r, " ");
    read_value(r);
    r->samples++;
}

static void read_family(struct reader *r)
{
    char name[128];
    expect(r, "# HELP ");
    read_name(r, r->family, sizeof(r->family));
    expect(r, " ");
    r->at += strcspn(r->at, "\n");
    expect(r, "\n# TYPE ");
    read_name(r, name, sizeof(name));
    assert_string_equal(name, r->family);
    expect(r, " ");
    read_name(r, r->type, sizeof(r->type));
    assert_true(strcmp(r->type, "counter") == 0 || strcmp(r->type, "gauge") == 0 ||
                strcmp(r->type, "histogram") == 0);
    expect(r, "\n");
    while (*r->at && *r->at != '#')
        read_sample(r);
}

/* The number of samples; the test fails where the text is not of the format. */
static int read_all(const char *text)
{
    struct reader r = {.at = text};
    while (*r.at)
        read_family(&r);
    return r.samples;
}

/* ---- definitions ---- */

static const struct metric_def requests_def = {"app_requests_total", "Requests.", METRIC_COUNTER,
                                               {"route", "code"},    NULL,        0};
static const struct metric_def depth_def = {
    "app_queue_depth", "Waiting\nnow \\ here.", METRIC_GAUGE, {NULL}, NULL, 0};
static const double bounds[] = {0.1, 1};
static const struct metric_def seconds_def = {"app_seconds", "Time.", METRIC_HISTOGRAM,
                                              {"route"},     bounds,  2};

static struct metrics *make(void)
{
    struct metrics *m;
    assert_int_equal(metrics_new(&m), 0);
    return m;
}

static struct metric *add(struct metrics *m, const struct metric_def *def)
{
    struct metric *f;
    assert_int_equal(metrics_add(m, def, &f, NULL), 0);
    return f;
}

static void expect_text(const struct metrics *m, const char *expected)
{
    struct buf b;
    buf_init(&b, 1u << 20);
    metrics_write(m, &b);
    assert_int_equal(buf_status(&b), 0);
    read_all(b.len ? b.ptr : "");
    assert_string_equal(b.len ? b.ptr : "", expected);
    buf_deinit(&b);
}

/* ---- tests ---- */

static void a_counter_counts_by_its_labels(void **state)
{
    struct metrics *m = make();
    struct metric *f = add(m, &requests_def);
    (void)state;
    metric_count(metric_with(f, (const char *[]){"/mcp", "200"}), 1);
    metric_count(metric_with(f, (const char *[]){"/mcp", "200"}), 1.5);
    metric_count(metric_with(f, (const char *[]){"/mcp", "404"}), 1);
    expect_text(m, "# HELP app_requests_total Requests.\n"
                   "# TYPE app_requests_total counter\n"
                   "app_requests_total{route=\"/mcp\",code=\"200\"} 2.5\n"
                   "app_requests_total{route=\"/mcp\",code=\"404\"} 1\n");
    metrics_free(m);
}

static void a_gauge_without_labels_is_there_from_the_start(void **state)
{
    struct metrics *m = make();
    struct metric *f = add(m, &depth_def);
    (void)state;
    expect_text(m, "# HELP app_queue_depth Waiting\\nnow \\\\ here.\n"
                   "# TYPE app_queue_depth gauge\napp_queue_depth 0\n");
    metric_set(metric_with(f, NULL), -0.1);
    metric_count(metric_with(f, NULL), 1e15);
    expect_text(m, "# HELP app_queue_depth Waiting\\nnow \\\\ here.\n"
                   "# TYPE app_queue_depth gauge\napp_queue_depth 999999999999999.88\n");
    metrics_free(m);
}

static void a_histogram_counts_up_to_each_bound(void **state)
{
    struct metrics *m = make();
    struct metric_series *s = metric_with(add(m, &seconds_def), (const char *[]){"a"});
    (void)state;
    metric_observe(s, 0.1); /* a bound belongs to its bucket */
    metric_observe(s, 0.5);
    metric_observe(s, 7);
    expect_text(m, "# HELP app_seconds Time.\n# TYPE app_seconds histogram\n"
                   "app_seconds_bucket{route=\"a\",le=\"0.1\"} 1\n"
                   "app_seconds_bucket{route=\"a\",le=\"1\"} 2\n"
                   "app_seconds_bucket{route=\"a\",le=\"+Inf\"} 3\n"
                   "app_seconds_sum{route=\"a\"} 7.6\n"
                   "app_seconds_count{route=\"a\"} 3\n");
    metrics_free(m);
}

static void a_label_with_any_text_stays_one_label(void **state)
{
    struct metrics *m = make();
    struct metric *f = add(m, &requests_def);
    (void)state;
    metric_count(metric_with(f, (const char *[]){"a\"b\\c\nd} 7", ""}), 1);
    expect_text(m, "# HELP app_requests_total Requests.\n"
                   "# TYPE app_requests_total counter\n"
                   "app_requests_total{route=\"a\\\"b\\\\c\\nd} 7\",code=\"\"} 1\n");
    metrics_free(m);
}

static void what_is_past_the_limit_is_counted_together(void **state)
{
    struct metrics *m = make();
    struct metric *f = add(m, &requests_def);
    struct buf b;
    (void)state;
    for (int i = 0; i < 2 * METRIC_SERIES_MAX; i++) {
        char route[16];
        snprintf(route, sizeof(route), "%d", i);
        metric_count(metric_with(f, (const char *[]){route, "200"}), 1);
    }
    buf_init(&b, 1u << 20);
    metrics_write(m, &b);
    assert_int_equal(read_all(b.ptr), METRIC_SERIES_MAX);
    assert_non_null(strstr(b.ptr, "{route=\"_other\",code=\"_other\"} 201\n"));
    buf_deinit(&b);
    metrics_free(m);
}

static void a_malformed_definition_is_refused(void **state)
{
    static const double unordered[] = {1, 1};
    static const struct metric_def bad[] = {
        {"app_requests", "No _total.", METRIC_COUNTER, {NULL}, NULL, 0},
        {"app_total", "A gauge is none.", METRIC_GAUGE, {NULL}, NULL, 0},
        {"1app", "A digit.", METRIC_GAUGE, {NULL}, NULL, 0},
        {"app-x", "A dash.", METRIC_GAUGE, {NULL}, NULL, 0},
        {"", "None.", METRIC_GAUGE, {NULL}, NULL, 0},
        {"app_x", "A label.", METRIC_GAUGE, {"a b"}, NULL, 0},
        {"app_x", "Reserved.", METRIC_GAUGE, {"__a"}, NULL, 0},
        {"app_x", "Of buckets.", METRIC_HISTOGRAM, {"le"}, bounds, 2},
        {"app_x", "Bounds.", METRIC_HISTOGRAM, {NULL}, unordered, 2},
        {"app_queue_depth", "Twice.", METRIC_GAUGE, {NULL}, NULL, 0},
    };
    struct metrics *m = make();
    (void)state;
    add(m, &depth_def);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct metric *f;
        struct error err = {0};
        assert_int_equal(metrics_add(m, &bad[i], &f, &err), BASE_EINVAL);
        assert_null(f);
        assert_true(*err.text);
    }
    metrics_free(m);
}

static void nothing_counts_nothing(void **state)
{
    struct metric *f;
    (void)state;
    assert_int_equal(metrics_add(NULL, &requests_def, &f, NULL), 0);
    assert_null(f);
    metric_count(metric_with(f, (const char *[]){"a", "b"}), 1);
    metric_set(NULL, 1);
    metric_observe(NULL, 1);
    metrics_free(NULL);
}

static double value_after(const char *text, const char *name)
{
    char line[80];
    snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(text, line);
    assert_non_null(at);
    return strtod(at + strlen(line), NULL);
}

static void the_process_tells_what_it_is_made_of(void **state)
{
    struct metrics *m = make();
    struct buf b;
    (void)state;
    assert_int_equal(metrics_add_process(m, NULL), 0);
    buf_init(&b, 65536);
    metrics_write(m, &b);
    assert_int_equal(read_all(b.ptr), 6);
    assert_true(value_after(b.ptr, "process_resident_memory_bytes") > 100000);
    assert_true(value_after(b.ptr, "process_open_fds") >= 3);
    assert_true(value_after(b.ptr, "process_max_fds") >= 3);
    assert_true(value_after(b.ptr, "process_cpu_seconds_total") >= 0);
    assert_true(value_after(b.ptr, "process_start_time_seconds") > 1.7e9);
    buf_deinit(&b);
    metrics_free(m);
}

static void a_failed_allocation_is_counted_elsewhere(void **state)
{
    struct mem_loop loop = {0};
    (void)state;
    while (mem_loop_next(&loop)) {
        struct metrics *m = NULL;
        struct metric *f = NULL;
        int status = metrics_new(&m);
        if (!status)
            status = metrics_add(m, &requests_def, &f, NULL);
        if (!status) /* never fails: "_other" takes what finds no memory */
            metric_count(metric_with(f, (const char *[]){"a", "b"}), 1);
        bool has_failed = mem_loop_has_failed(&loop);
        assert_true(status == 0 || (has_failed && status == BASE_ENOMEM));
        metrics_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_counts_by_its_labels),
        cmocka_unit_test(a_gauge_without_labels_is_there_from_the_start),
        cmocka_unit_test(a_histogram_counts_up_to_each_bound),
        cmocka_unit_test(a_label_with_any_text_stays_one_label),
        cmocka_unit_test(what_is_past_the_limit_is_counted_together),
        cmocka_unit_test(a_malformed_definition_is_refused),
        cmocka_unit_test(nothing_counts_nothing),
        cmocka_unit_test(the_process_tells_what_it_is_made_of),
        cmocka_unit_test(a_failed_allocation_is_counted_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
