#pragma once
/* events/transport_direct: no broker: each event is POSTed to the subscribers of its topic.
 *
 * An event is acked when each of its topic's subscribers has answered 2xx: a subscriber answers
 * when its effect is committed. 4xx (but 408, 425, 429) means refused; anything else, unavailable.
 * A topic that nobody subscribes to is acked at once. A subscriber that has had the event may get
 * it again while another has not: it drops repeats by its inbox.
 *
 * The body is the CloudEvent in structured mode; with `token` the requests have the header
 * dapr-api-token, as a sidecar's have. Of a dead letter the body is what came, with the headers
 * todo-dead-letter-topic, -consumer, -attempts and -reason. */
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"

struct error;
struct secret;
struct transport;

#define TRANSPORT_DIRECT_SUBSCRIBERS_MAX 32
#define TRANSPORT_DIRECT_DEFAULT                                                                   \
    "task-reminders=http://127.0.0.1:8003/events/reminder-sent,"                                   \
    "task-recurrence=http://127.0.0.1:8004/events/task-completed"

struct transport_direct_options {
    const char *subscribers;    /* EVENT_SUBSCRIBERS: "topic=url,topic=url"; copied */
    const struct secret *token; /* APP_API_TOKEN; NULL or without a value: none. Borrowed */
    uint32_t timeout_ms;        /* of a request; 0: 60 s, which is what handlers may take */
};

/* Whether the text is a list of topic=url, each with a topic that there is and a URL of http or
 * https. 0, or BASE_EINVAL with a message that names the entry. */
__attribute__((warn_unused_result)) int transport_direct_check(const char *subscribers,
                                                               struct error *err);
/* 0 and *out, or as transport_direct_check, BASE_ENOMEM. */
__attribute__((warn_unused_result)) int
transport_direct_new(uv_loop_t *loop, const struct transport_direct_options *options,
                     struct transport **out, struct error *err);
