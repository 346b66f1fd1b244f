/* The key email:event:<id>: {"status":"claimed","owner":…,"until_us":…}, {"status":"sent"}.
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

#define TRIES_MAX  3
#define VALUE_SIZE 160

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

/* ---- claiming ------------------------------------------------------------------------------- */

static void look(struct email_op *op);

static void on_claimed(void *ctx, int status, const struct error *err)
{
    struct email_op *op = ctx;
    if (!status) {
        email_metrics_claim(&op->email->metrics, EMAIL_CLAIM_WON);
        email_send(op);
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
        email_metrics_claim(&op->email->metrics, EMAIL_CLAIM_TAKEN);
        email_send(op);
    } else if (status == STATE_ECONFLICT) {
        end_lost(op, op->email->options.retry_min_ms);
    } else {
        end_failed(op, err);
    }
}

/* `etag` empty: if absent. */
static void write_claim(struct email_op *op, struct slice etag)
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
    struct error err;
    if (state_save(e->options.state, &save, etag.len > 0 ? on_taken_over : on_claimed, op, &err))
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
