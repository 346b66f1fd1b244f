#pragma once
/* events/event: what a task event is: its names, its topic and the members of its data. One table
 * gives them all: encoding, checking, the JSON Schemas and the AsyncAPI document come out of it.
 * The rules of evolution: a consumer ignores members that it does not know; a change that breaks
 * consumers raises the first number of schema_version. */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

struct error;
struct json_writer;

enum event_kind {
    EVENT_TASK_CREATED,
    EVENT_TASK_UPDATED,
    EVENT_TASK_DELETED,
    EVENT_TASK_COMPLETED,
    EVENT_REMINDER_SENT,
    EVENT_KINDS
};

#define EVENT_SCHEMA_VERSION "1.0"
#define EVENT_SCHEMA_MAJOR   1
#define EVENT_DLQ_TOPIC      "task-events-dlq"

/* The types that members have; each as JSON Schema and as a check. */
enum event_value {
    EVENT_ID,       /* an integer from 1 */
    EVENT_IDS,      /* an array of them */
    EVENT_COUNT,    /* an integer from 0 */
    EVENT_TEXT,     /* a string */
    EVENT_TIME,     /* RFC 3339 */
    EVENT_PRIORITY, /* low, medium, high, urgent */
    EVENT_UUID,
    EVENT_OBJECT,
};

struct event_member {
    const char *name;
    enum event_value value;
    bool is_nullable;
    const char *about; /* for the documents */
};

struct event_def {
    const char *type; /* the CloudEvents type: "TaskCreatedEvent" */
    const char *name; /* data.event_type: "task.created" */
    const char *topic;
    const char *about;
    const struct event_member *members; /* beyond those that all events have */
    size_t member_count;
};

struct event_topic {
    const char *name;
    const char *about; /* for the documents */
    int partitions;
    int retention_days;
};

const struct event_def *event_def(enum event_kind kind);
/* The topics, the one of the dead letters last. */
const struct event_topic *event_topics(size_t *count);
/* False when there is no such type. */
bool event_kind_of_type(const char *type, enum event_kind *out);
/* The members that each event has. */
const struct event_member *event_common_members(size_t *count);

/* Whether `data` is what the event's type promises: all members there, of their types, event_type
 * and schema_version the right ones; unknown members are let pass. 0; BASE_EINVAL with the member
 * in err->field; EVENTS_EVERSION when the major version is one that this program does not know. */
int event_check(enum event_kind kind, const cJSON *data, struct error *err);
/* The JSON Schema (2020-12) of the event's data, an object. */
void event_write_schema(struct json_writer *w, enum event_kind kind);
/* The same without its $schema and $id, as a part of another document. */
void event_write_subschema(struct json_writer *w, enum event_kind kind);
/* The address of that schema: the events' dataschema attribute. */
const char *event_schema_uri(enum event_kind kind);
