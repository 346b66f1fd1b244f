/* The mail of a claimed event: made, handed over, and what became of it. */
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/smtp.h"
#include "email/desktop.h"
#include "email/mail.h"
#include "email/maildir.h"
#include "email_int.h"

#define MAIL_MAX 131072

/* ---- what became of it ---------------------------------------------------------------------- */

static void end_sent(struct email_op *op)
{
    email_metrics_mail(&op->email->metrics, EMAIL_SENT);
    email_op_went_well(op);
    email_op_mark(op);
}

/* The claim is given up, so that whoever gets the event next can try. */
static void end_failed(struct email_op *op, enum consumer_verdict verdict, uint64_t hold_ms)
{
    op->verdict = verdict;
    op->hold_ms = hold_ms;
    email_claim_release(op);
}

static void log_result(const struct email_op *op, const struct smtp_result *r, const char *message)
{
    struct trace_ids ids = email_op_trace(op);
    log_warn(op->email->log, message, log_str("event_id", op->event->envelope->id),
             log_str("trace_id", ids.trace_id), log_str("span_id", ids.span_id),
             log_str("phase", smtp_phase_word(r->phase)), log_int("code", r->code),
             log_str("reason", r->text), log_int("duration_ms", (int64_t)(r->took_us / 1000)));
}

static void explain(struct email_op *op, int code, const struct smtp_result *r)
{
    if (r->code)
        error_set(&op->err, code, NULL, "SMTP %s: %d %s", smtp_phase_word(r->phase), r->code,
                  r->text);
    else
        error_set(&op->err, code, NULL, "SMTP %s: %s", smtp_phase_word(r->phase), r->text);
}

static void start_span(struct email_op *op)
{
    struct trace_context delivery;
    bool has_delivery =
        trace_context_parse(slice_from_cstr(op->event->envelope->traceparent), &delivery);
    trace_span_start(op->email->options.tracer, has_delivery ? &delivery : NULL, &op->span);
}

/* Nothing of the mail is told, nor of the server's words, which may repeat an address. */
static void end_span(const struct email_op *op, const struct smtp_result *r)
{
    bool is_sent = r->outcome == SMTP_SENT;
    const struct trace_attribute attributes[] = {
        trace_text("network.protocol.name", "smtp"),
        trace_text("server.address", smtp_host(op->email->options.smtp)),
        trace_int("server.port", smtp_port(op->email->options.smtp)),
        trace_text("cloudevents.event_id", op->event->envelope->id),
        trace_text("smtp.phase", smtp_phase_word(r->phase)),
        trace_int("smtp.reply_code", r->code),
    };
    const struct trace_end end = {.name = "send mail",
                                  .kind = TRACE_CLIENT,
                                  .attributes = attributes,
                                  .attribute_count = sizeof(attributes) / sizeof(*attributes),
                                  .error = is_sent ? NULL : smtp_outcome_word(r->outcome)};
    if (op->span.is_recorded)
        trace_span_end(op->email->options.tracer, &op->span, &end);
}

static void on_smtp(void *ctx, const struct smtp_result *r)
{
    struct email_op *op = ctx;
    const struct email_metrics *m = &op->email->metrics;
    email_metrics_took(m, r->took_us);
    end_span(op, r);
    switch (r->outcome) {
    case SMTP_SENT:
        log_debug(op->email->log, "mail sent", log_str("event_id", op->event->envelope->id),
                  log_int("duration_ms", (int64_t)(r->took_us / 1000)));
        end_sent(op);
        break;
    case SMTP_TEMPORARY:
        log_result(op, r, "mail not sent, tried again later");
        email_metrics_mail(m, EMAIL_TEMPORARY);
        explain(op, EMAIL_ETEMPORARY, r);
        end_failed(op, CONSUMER_UNAVAILABLE, email_op_failed(op, r->phase <= SMTP_SENDER));
        break;
    case SMTP_PERMANENT:
        email_metrics_mail(m, EMAIL_PERMANENT);
        explain(op, EMAIL_EPERMANENT, r);
        end_failed(op, CONSUMER_REFUSED, 0);
        break;
    case SMTP_UNKNOWN:
        log_result(op, r, "mail perhaps sent, tried again later");
        email_metrics_mail(m, EMAIL_UNKNOWN);
        explain(op, EMAIL_EUNKNOWN, r);
        end_failed(op, CONSUMER_UNAVAILABLE, email_op_failed(op, false));
        break;
    }
}

/* ---- the local mailbox ---------------------------------------------------------------------- */

static void show_on_desktop(const struct email_op *op)
{
    char storage[MAIL_TITLE_MAX * 4 + 8];
    char due[256] = "";
    struct buf title;
    if (!op->email->options.desktop)
        return;
    buf_init_fixed(&title, storage, sizeof(storage));
    mail_append_title(&title, slice_from_cstr(json_get_string(op->event->data, "title")));
    if (op->due[0])
        snprintf(due, sizeof(due), "Due: %s (%s)", op->due, op->zone);
    desktop_notify(op->email->options.desktop, buf_slice(&title), slice_from_cstr(due));
}

static void on_written(void *ctx, int status)
{
    struct email_op *op = ctx;
    if (!status) {
        show_on_desktop(op);
        end_sent(op);
        return;
    }
    struct trace_ids ids = email_op_trace(op);
    log_error(op->email->log, "mail not written", log_str("event_id", op->event->envelope->id),
              log_str("trace_id", ids.trace_id), log_str("span_id", ids.span_id),
              log_int("code", status), log_str("reason", uv_strerror(status)));
    email_metrics_mail(&op->email->metrics, EMAIL_TEMPORARY);
    error_set(&op->err, EMAIL_ETEMPORARY, NULL, "the mailbox cannot be written: %s",
              uv_strerror(status));
    end_failed(op, CONSUMER_UNAVAILABLE, email_op_failed(op, true));
}

/* ---- the mail ------------------------------------------------------------------------------- */

static int render(const struct email_op *op, struct buf *out)
{
    const struct email_options *o = &op->email->options;
    const struct consumer_event *event = op->event;
    struct mail_reminder r = {
        .event_id = event->id,
        .task_id = event->task_id,
        .title = slice_from_cstr(json_get_string(event->data, "title")),
        .priority = slice_from_cstr(json_get_string(event->data, "priority")),
        .due = slice_from_cstr(op->due),
        .zone = slice_from_cstr(op->zone),
        .to = slice_from_cstr(op->to),
        .link_template = o->link_template,
        .from = o->sender,
    };
    struct error err;
    if (clock_parse_rfc3339(slice_from_cstr(event->envelope->time), &r.sent_us, &err))
        r.sent_us = clock_now_us();
    return mail_render(&r, out);
}

static int hand_over(struct email_op *op, struct slice mail)
{
    const struct email_options *o = &op->email->options;
    if (!o->smtp) {
        int status = maildir_put(o->maildir, op->event->id, mail, on_written, op);
        return status ? error_set(&op->err, status, NULL, "the mail cannot be written") : 0;
    }
    const struct smtp_mail letter = {
        .from = slice_from_cstr(o->sender->address), .to = slice_from_cstr(op->to), .text = mail};
    start_span(op);
    return smtp_send(o->smtp, &letter, on_smtp, op, &op->err);
}

void email_send(struct email_op *op)
{
    struct buf mail;
    buf_init(&mail, MAIL_MAX);
    int status = render(op, &mail);
    if (status)
        error_set(&op->err, status, NULL, "the mail cannot be made");
    else
        status = hand_over(op, buf_slice(&mail));
    buf_deinit(&mail);
    if (status)
        end_failed(op,
                   status == BASE_EINVAL || status == BASE_ELIMIT ? CONSUMER_FAILED
                                                                  : CONSUMER_UNAVAILABLE,
                   op->email->options.retry_min_ms);
}
