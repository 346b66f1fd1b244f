#include "email/email_metrics.h"

#include "base/metrics.h"

static const struct metric_def mails_def = {.name = "todo_mails_total",
                                            .help = "Mails of reminders, by what became of them.",
                                            .type = METRIC_COUNTER,
                                            .labels = {"outcome"}};
static const struct metric_def claims_def = {.name = "todo_mail_claims_total",
                                             .help = "Claims on events, by outcome.",
                                             .type = METRIC_COUNTER,
                                             .labels = {"outcome"}};
static const struct metric_def seconds_def = {.name = "todo_smtp_seconds",
                                              .help = "From handing a mail over to its end.",
                                              .type = METRIC_HISTOGRAM,
                                              .bounds = metric_bounds_seconds,
                                              .bound_count = METRIC_BOUNDS_SECONDS_COUNT};

static const char *const outcomes[EMAIL_OUTCOME_COUNT] = {
#define X(name, word) word,
    EMAIL_OUTCOMES(X)
#undef X
};
static const char *const claims[EMAIL_CLAIM_COUNT] = {
#define X(name, word) word,
    EMAIL_CLAIMS(X)
#undef X
};

int email_metrics_init(struct email_metrics *out, struct metrics *m, struct error *err)
{
    *out = (struct email_metrics){0};
    int status = metrics_add(m, &mails_def, &out->mails, err);
    if (!status)
        status = metrics_add(m, &claims_def, &out->claims, err);
    if (!status)
        status = metrics_add(m, &seconds_def, &out->seconds, err);
    if (status)
        return status;
    /* So that they are shown as 0 before the first. */
    for (size_t i = 0; i < EMAIL_OUTCOME_COUNT; i++)
        metric_with(out->mails, &outcomes[i]);
    for (size_t i = 0; i < EMAIL_CLAIM_COUNT; i++)
        metric_with(out->claims, &claims[i]);
    metric_with(out->seconds, NULL);
    return 0;
}

void email_metrics_mail(const struct email_metrics *m, enum email_outcome outcome)
{
    metric_count(metric_with(m->mails, &outcomes[outcome]), 1);
}

void email_metrics_claim(const struct email_metrics *m, enum email_claim claim)
{
    metric_count(metric_with(m->claims, &claims[claim]), 1);
}

void email_metrics_took(const struct email_metrics *m, uint64_t took_us)
{
    metric_observe(metric_with(m->seconds, NULL), (double)took_us / 1e6);
}
