/* The key email:event:<id>: {"status":"claimed","owner":…,"until_us":…}, {"status":"sent"}.
 * A claim is renewed while its mail is in hand, so that the lease can be shorter than a mail may
 * take: what a killed worker had in hand waits no longer than that.
 *
 *   absent                        -> written if still absent                  -> send
 *   claimed, its lease is over,
 *   or by this very process       -> replaced if unchanged (ETag)             -> send
 *   claimed                       -> given back: another is at it
 *   sent                          -> marked in the inbox as well, done */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "email_int.h"
#include "shared/state_store.h"

#define TRIES_MAX         3
#define VALUE_SIZE        160
#define RENEWALS_OF_LEASE 4 /* so that some may fail */

struct claim {
    bool is_sent;
    bool is_mine; /* of this process, though of no delivery that is in hand */
    int64_t until_us;
};

static void read_claim(const struct email_op *op, struct slice value, struct claim *out)
{
    struct error err;
    const struct email *e = op->email;
    cJSON *tree = json_parse(value, &err);
    const char *status = json_get_string(tree, "status");
    const char *owner = json_get_string(tree, "owner");
    *out = (struct claim){0}; /* what cannot be read has run out */
    out->is_sent = status && strcmp(status, "sent") == 0;
    out->is_mine = owner && strcmp(owner, e->owner) == 0;
    if (!json_as_int(json_get(tree, "until_us"), &out->until_us))
        out->until_us = 0;
    for (uint32_t i = 0; i < e->options.slots && out->is_mine; i++) {
        const struct email_op *other = e->in_hand[i];
        if (other && other != op && strcmp(other->key, op->key) == 0)
            out->is_mine = false;
    }
    cJSON_Delete(tree);
}

/* ---- giving up ------------------------------------------------------------------------------ */

static void end_lost(struct email_op *op, uint64_t ms)
{
    email_metrics_claim(&op->email->metrics, EMAIL_CLAIM_LOST);
    error_set(&op->err, EMAIL_ECLAIMED, NULL, "another worker is sending the mail");
    email_op_give_back(op, ms);
}

static void end_failed(struct email_op *op, const struct error *err)
{
    op->err = *err;
    email_op_give_back(op, op->email->options.retry_min_ms);
}

/* `etag` empty: if absent. */
static int save_claim(struct email_op *op, struct slice etag, state_done_fn fn, struct error *err)
{
    const struct email *e = op->email;
    char value[VALUE_SIZE];
    int64_t until_us = clock_now_us() + (int64_t)e->options.lease_ms * 1000;
    int len = snprintf(value, sizeof(value),
                       "{\"status\":\"claimed\",\"owner\":\"%s\",\"until_us\":%" PRId64 "}",
                       e->owner, until_us);
    const struct state_save save = {
        .key = slice_from_cstr(op->key),
        .value = {value, (size_t)len},
        .when = etag.len > 0 ? STATE_IF_UNCHANGED : STATE_IF_ABSENT,
        .etag = etag,
        .ttl_s = EMAIL_SENT_TTL_S,
    };
    return state_save(e->options.state, &save, fn, op, err);
}

/* ---- renewing ------------------------------------------------------------------------------- */

static void on_renewal_closed(uv_handle_t *handle)
{
    struct email_op *op = handle->data;
    op->on_claim_closed(op);
}

static void end_renewal(struct email_op *op)
{
    op->is_renewing = false;
    if (op->on_claim_closed)
        uv_close((uv_handle_t *)&op->renewal, on_renewal_closed);
}

/* One that failed is followed by the next. */
static void on_renewed(void *ctx, int status, const struct error *err)
{
    (void)status;
    (void)err;
    end_renewal(ctx);
}

/* It may be another's by now, marked, or given up. */
static void on_renewal_looked(void *ctx, int status, const struct state_entry *entry,
                              const struct error *err)
{
    struct email_op *op = ctx;
    struct claim claim = {0};
    (void)err;
    if (!status && entry->is_found)
        read_claim(op, entry->value, &claim);
    if (!claim.is_mine || save_claim(op, entry->etag, on_renewed, NULL))
        end_renewal(op);
}

static void renew(uv_timer_t *timer)
{
    struct email_op *op = timer->data;
    if (!op->is_renewing)
        op->is_renewing = state_get(op->email->options.state, slice_from_cstr(op->key),
                                    on_renewal_looked, op, NULL) == 0;
}

static void hold_claim(struct email_op *op, enum email_claim outcome)
{
    uint64_t every_ms = op->email->options.lease_ms / RENEWALS_OF_LEASE;
    email_metrics_claim(&op->email->metrics, outcome);
    uv_timer_start(&op->renewal, renew, every_ms, every_ms);
    email_send(op);
}

void email_claim_init(struct email_op *op)
{
    uv_timer_init(op->email->loop, &op->renewal);
    op->renewal.data = op;
}

void email_claim_close(struct email_op *op, void (*fn)(struct email_op *op))
{
    op->on_claim_closed = fn;
    uv_timer_stop(&op->renewal);
    if (!op->is_renewing)
        end_renewal(op);
}

/* ---- claiming ------------------------------------------------------------------------------- */

static void look(struct email_op *op);

static void on_claimed(void *ctx, int status, const struct error *err)
{
    struct email_op *op = ctx;
    if (!status) {
        hold_claim(op, EMAIL_CLAIM_WON);
    } else if (status == STATE_ECONFLICT) {
        look(op);
    } else {
        end_failed(op, err);
    }
}

static void on_taken_over(void *ctx, int status, const struct error *err)
{
    struct email_op *op = ctx;
    if (!status) {
        hold_claim(op, EMAIL_CLAIM_TAKEN);
    } else if (status == STATE_ECONFLICT) {
        end_lost(op, op->email->options.retry_min_ms);
    } else {
        end_failed(op, err);
    }
}

/* `etag` empty: if absent. */
static void write_claim(struct email_op *op, struct slice etag)
{
    struct error err;
    if (save_claim(op, etag, etag.len > 0 ? on_taken_over : on_claimed, &err))
        end_failed(op, &err);
}

static void on_entry(struct email_op *op, const struct state_entry *entry)
{
    struct claim claim;
    int64_t now_us = clock_now_us();
    read_claim(op, entry->value, &claim);
    if (claim.is_sent) {
        op->is_in_state = true;
        email_metrics_mail(&op->email->metrics, EMAIL_DUPLICATE);
        email_op_mark(op);
    } else if (claim.until_us > now_us && !claim.is_mine) {
        end_lost(op, (uint64_t)(claim.until_us - now_us) / 1000 + 1);
    } else {
        write_claim(op, entry->etag);
    }
}

static void on_looked(void *ctx, int status, const struct state_entry *entry,
                      const struct error *err)
{
    struct email_op *op = ctx;
    if (status)
        end_failed(op, err);
    else if (++op->claim_tries > TRIES_MAX)
        end_lost(op, op->email->options.retry_min_ms);
    else if (entry->is_found)
        on_entry(op, entry);
    else
        write_claim(op, SLICE_EMPTY); /* it has just gone */
}

static void look(struct email_op *op)
{
    struct error err;
    if (state_get(op->email->options.state, slice_from_cstr(op->key), on_looked, op, &err))
        end_failed(op, &err);
}

void email_claim(struct email_op *op)
{
    write_claim(op, SLICE_EMPTY);
}

/* ---- afterwards ----------------------------------------------------------------------------- */

static void end_released(struct email_op *op)
{
    if (op->verdict == CONSUMER_UNAVAILABLE)
        email_op_give_back(op, op->hold_ms);
    else
        email_op_end(op, op->verdict);
}

/* Where the key could not be removed the lease ends by itself. */
static void on_released(void *ctx, int status, const struct error *err)
{
    (void)status;
    (void)err;
    end_released(ctx);
}

void email_claim_release(struct email_op *op)
{
    uv_timer_stop(&op->renewal);
    if (state_delete(op->email->options.state, slice_from_cstr(op->key), on_released, op, NULL))
        end_released(op);
}

static void on_marked(void *ctx, int status, const struct error *err)
{
    struct email_op *op = ctx;
    (void)err;
    op->on_marked(op, status == 0);
}

void email_claim_mark(struct email_op *op, void (*fn)(struct email_op *op, bool is_done))
{
    const struct state_save save = {
        .key = slice_from_cstr(op->key),
        .value = SLICE_LIT("{\"status\":\"sent\"}"),
        .when = STATE_ALWAYS,
        .ttl_s = EMAIL_SENT_TTL_S,
    };
    op->on_marked = fn;
    if (state_save(op->email->options.state, &save, on_marked, op, NULL))
        fn(op, false);
}
