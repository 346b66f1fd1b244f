#include "notification/last_poll.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "shared/state_store.h"

static void end(struct last_poll *l)
{
    if (--l->in_flight == 0 && l->on_idle)
        l->on_idle(l->ctx);
}

static void note(struct last_poll *l, int status)
{
    if (status && !l->is_failing)
        log_warn(l->log, "the state store cannot be used: going on without",
                 log_int("code", status));
    else if (!status && l->is_failing)
        log_info(l->log, "the state store is back");
    l->is_failing = status != 0;
}

/* {"at":"2026-11-24T12:00:00Z"}; 0 when it is anything else. */
static int64_t parse(struct slice value)
{
    struct error err;
    int64_t at_us = 0;
    cJSON *tree = json_parse(value, &err);
    const char *at = json_get_string(tree, "at");
    if (!at || clock_parse_rfc3339(slice_from_cstr(at), &at_us, &err))
        at_us = 0;
    cJSON_Delete(tree);
    return at_us;
}

static void on_loaded(void *ctx, int status, const struct state_entry *entry,
                      const struct error *err)
{
    struct last_poll *l = ctx;
    (void)err;
    note(l, status);
    if (!status && entry->is_found)
        l->found_us = parse(entry->value);
    end(l);
}

static void on_saved(void *ctx, int status, const struct error *err)
{
    struct last_poll *l = ctx;
    (void)err;
    note(l, status);
    end(l);
}

void last_poll_load(struct last_poll *l)
{
    struct error err;
    int status = l->state ? state_get(l->state, SLICE_LIT(LAST_POLL_KEY), on_loaded, l, &err) : 0;
    if (status)
        note(l, status);
    else if (l->state)
        l->in_flight++;
}

/* The clock may have been set back: then what was saved lies ahead, and is replaced. */
static bool is_early(const struct last_poll *l, int64_t now_us)
{
    return now_us >= l->saved_us && now_us - l->saved_us < LAST_POLL_EVERY_US;
}

void last_poll_save(struct last_poll *l, int64_t now_us)
{
    struct error err;
    char at[CLOCK_RFC3339_SIZE];
    char value[CLOCK_RFC3339_SIZE + sizeof("{\"at\":\"\"}")];
    if (!l->state || l->in_flight > 0 || is_early(l, now_us))
        return;
    clock_format_rfc3339(now_us, at);
    int len = snprintf(value, sizeof(value), "{\"at\":\"%s\"}", at);
    const struct state_save save = {
        .key = SLICE_LIT(LAST_POLL_KEY),
        .value = {value, (size_t)len},
        .when = STATE_ALWAYS,
        .ttl_s = LAST_POLL_TTL_S,
    };
    int status = state_save(l->state, &save, on_saved, l, &err);
    if (status) {
        note(l, status);
        return;
    }
    l->in_flight++;
    l->saved_us = now_us;
}

bool last_poll_is_idle(const struct last_poll *l)
{
    return l->in_flight == 0;
}
