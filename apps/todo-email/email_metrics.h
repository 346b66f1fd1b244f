#pragma once
/* email_metrics: what the email worker counts. A struct of zero bytes counts nothing. */
#include <stdint.h>

struct error;
struct metric;
struct metrics;

#define EMAIL_OUTCOMES(X)                                                                          \
    X(EMAIL_SENT, "sent")                                                                          \
    X(EMAIL_TEMPORARY, "temporary")   /* a try that failed and is made again */                    \
    X(EMAIL_PERMANENT, "permanent")   /* a dead letter */                                          \
    X(EMAIL_UNKNOWN, "unknown")       /* sent, perhaps; made again */                              \
    X(EMAIL_DUPLICATE, "duplicate")   /* the event was handled before */                           \
    X(EMAIL_NO_ADDRESS, "no_address") /* of the user */                                            \
    X(EMAIL_NO_USER, "no_user")
enum email_outcome {
#define X(name, word) name,
    EMAIL_OUTCOMES(X)
#undef X
        EMAIL_OUTCOME_COUNT
};

#define EMAIL_CLAIMS(X)                                                                            \
    X(EMAIL_CLAIM_WON, "won")                                                                      \
    X(EMAIL_CLAIM_LOST, "lost")        /* another has it */                                        \
    X(EMAIL_CLAIM_TAKEN, "taken_over") /* its lease had run out */
enum email_claim {
#define X(name, word) name,
    EMAIL_CLAIMS(X)
#undef X
        EMAIL_CLAIM_COUNT
};

struct email_metrics {
    struct metric *mails, *claims, *seconds;
};

__attribute__((warn_unused_result)) int email_metrics_init(struct email_metrics *out,
                                                           struct metrics *m, struct error *err);
void email_metrics_mail(const struct email_metrics *m, enum email_outcome outcome);
void email_metrics_claim(const struct email_metrics *m, enum email_claim claim);
void email_metrics_took(const struct email_metrics *m, uint64_t took_us);
