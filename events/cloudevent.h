#pragma once
/* events/cloudevent: the CloudEvents 1.0 envelope.
 * Written in structured mode (application/cloudevents+json); read in structured mode, or in binary
 * mode with the attributes given one by one. Reading is strict about what the specification
 * requires and about what this product needs (datacontenttype, time); extension attributes that it
 * does not know are kept. Spec: CloudEvents 1.0.2, sections 3.1 and 3.2; JSON format 1.0.2. */
#include <cjson/cJSON.h>

#include "base/slice.h"

struct error;
struct json_writer;

#define CLOUDEVENT_MIME "application/cloudevents+json"

/* Borrowed texts; NULL where an optional one is absent. */
struct cloudevent {
    const char *id, *source, *type; /* required, not empty */
    const char *subject;            /* "task/7" */
    const char *time;               /* RFC 3339; required here */
    const char *dataschema;
    const char *traceparent;  /* the distributed tracing extension */
    const char *partitionkey; /* the partitioning extension */
    const cJSON *data;        /* JSON, required here */
    cJSON *root;              /* owned: all of it, unknown attributes too; NULL before reading */
};

/* Writes the event; `data` is JSON text. Attributes that are NULL are left out. */
void cloudevent_write(struct json_writer *w, const struct cloudevent *event, struct slice data);

/* Structured mode: the text of one event. 0 and *out, which the caller ends with cloudevent_deinit;
 * BASE_ESYNTAX, BASE_EINVAL (err->field: the attribute), BASE_ELIMIT or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int cloudevent_parse(struct slice text, struct cloudevent *out,
                                                         struct error *err);
/* The same for a tree that is there already; takes it over. */
__attribute__((warn_unused_result)) int
cloudevent_from_tree(cJSON *take_tree, struct cloudevent *out, struct error *err);

/* Binary mode: attributes from headers without their prefix ("ce-" in HTTP, "ce_" in Kafka) and the
 * body, which must be JSON. Errors as cloudevent_parse. */
struct cloudevent_attribute {
    struct slice name, value;
};
__attribute__((warn_unused_result)) int
cloudevent_from_binary(const struct cloudevent_attribute *attributes, size_t count,
                       struct slice content_type, struct slice body, struct cloudevent *out,
                       struct error *err);
void cloudevent_deinit(struct cloudevent *event);
