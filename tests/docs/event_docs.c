/* Prints what docs/asyncapi.json and docs/schemas/ say, made from the table in events/event.c:
 *   {"asyncapi": an AsyncAPI 3.0 document, "schemas": {event_type: its data's JSON Schema}} */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "events/cloudevent.h"
#include "events/event.h"

#define TEXT_MAX (1u << 20)
#define DAY_MS   INT64_C(86400000)
#define ABOUT_DLQ                                                                                  \
    "A dead letter: the bytes as they came to a consumer, with reason, attempts, consumer and "    \
    "topic. Over Dapr an event with the attributes deadletterreason, deadletterattempts, "         \
    "deadletterconsumer and deadlettertopic; over Kafka with headers dlq-reason and so on."

/* ---- small parts ---- */

static void write_ref(struct json_writer *w, const char *format, const char *a, const char *b)
{
    char text[256];
    struct buf ref;
    buf_init_fixed(&ref, text, sizeof(text));
    buf_append_cstr(&ref, format);
    buf_append_cstr(&ref, a);
    buf_append_cstr(&ref, b ? "/messages/" : "");
    buf_append_cstr(&ref, b ? b : "");
    json_begin_object(w);
    json_key_string(w, "$ref", text);
    json_end_object(w);
}

static void write_string_property(struct json_writer *w, const char *name, const char *format,
                                  const char *about)
{
    json_key(w, name);
    json_begin_object(w);
    json_key_string(w, "type", "string");
    if (format)
        json_key_string(w, "format", format);
    else
        json_key_int(w, "minLength", 1);
    json_key_string(w, "description", about);
    json_end_object(w);
}

static void write_const_property(struct json_writer *w, const char *name, const char *value)
{
    json_key(w, name);
    json_begin_object(w);
    json_key_string(w, "const", value);
    json_end_object(w);
}

/* ---- components ---- */

static void write_required(struct json_writer *w, const char *const *names, size_t count)
{
    json_key(w, "required");
    json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        json_string(w, names[i]);
    json_end_array(w);
}

static void write_envelope(struct json_writer *w, enum event_kind kind)
{
    static const char *const required[] = {"specversion",  "id",   "source",          "type",
                                           "subject",      "time", "datacontenttype", "dataschema",
                                           "partitionkey", "data"};
    const struct event_def *def = event_def(kind);
    json_begin_object(w);
    json_key_string(w, "type", "object");
    write_required(w, required, sizeof(required) / sizeof(*required));
    json_key(w, "properties");
    json_begin_object(w);
    write_const_property(w, "specversion", "1.0");
    write_string_property(w, "id", "uuid", "the event's id: the same in each delivery of it");
    write_string_property(w, "source", NULL,
                          "/todo/mcp-server, or /todo/<app id> of the worker that tells");
    write_const_property(w, "type", def->type);
    write_string_property(w, "subject", NULL, "task/<task_id>");
    write_string_property(w, "time", "date-time", "when it was told");
    write_const_property(w, "datacontenttype", "application/json");
    write_const_property(w, "dataschema", event_schema_uri(kind));
    write_string_property(w, "traceparent", NULL, "W3C Trace Context, where the change was traced");
    write_string_property(w, "partitionkey", NULL,
                          "the task's id: events of a task keep their order");
    json_key(w, "data");
    write_ref(w, "#/components/schemas/", def->type, NULL);
    json_end_object(w);
    json_end_object(w);
}

static void write_messages(struct json_writer *w)
{
    json_key(w, "messages");
    json_begin_object(w);
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        const struct event_def *def = event_def((enum event_kind)kind);
        json_key(w, def->type);
        json_begin_object(w);
        json_key_string(w, "name", def->type);
        json_key_string(w, "title", def->name);
        json_key_string(w, "summary", def->about);
        json_key_string(w, "contentType", CLOUDEVENT_MIME);
        json_key(w, "payload");
        write_envelope(w, (enum event_kind)kind);
        json_end_object(w);
    }
    json_key(w, "DeadLetter");
    json_begin_object(w);
    json_key_string(w, "name", "DeadLetter");
    json_key_string(w, "summary", ABOUT_DLQ);
    json_key_string(w, "contentType", CLOUDEVENT_MIME);
    json_key(w, "payload");
    json_raw(w, SLICE_LIT("{}"));
    json_end_object(w);
    json_end_object(w);
}

static void write_components(struct json_writer *w)
{
    json_key(w, "components");
    json_begin_object(w);
    write_messages(w);
    json_key(w, "schemas");
    json_begin_object(w);
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        json_key(w, event_def((enum event_kind)kind)->type);
        event_write_subschema(w, (enum event_kind)kind);
    }
    json_end_object(w);
    json_end_object(w);
}

/* ---- channels and operations ---- */

static bool is_of(const struct event_topic *topic, int kind)
{
    return strcmp(event_def((enum event_kind)kind)->topic, topic->name) == 0;
}

static void write_channel(struct json_writer *w, const struct event_topic *topic)
{
    bool is_dlq = strcmp(topic->name, EVENT_DLQ_TOPIC) == 0;
    json_key(w, topic->name);
    json_begin_object(w);
    json_key_string(w, "address", topic->name);
    json_key_string(w, "description", topic->about);
    json_key(w, "messages");
    json_begin_object(w);
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        if (!is_of(topic, kind))
            continue;
        json_key(w, event_def((enum event_kind)kind)->type);
        write_ref(w, "#/components/messages/", event_def((enum event_kind)kind)->type, NULL);
    }
    if (is_dlq) {
        json_key(w, "DeadLetter");
        write_ref(w, "#/components/messages/", "DeadLetter", NULL);
    }
    json_end_object(w);
    json_key(w, "bindings");
    json_begin_object(w);
    json_key(w, "kafka");
    json_begin_object(w);
    json_key_string(w, "topic", topic->name);
    json_key_int(w, "partitions", topic->partitions);
    json_key(w, "topicConfiguration");
    json_begin_object(w);
    json_key_int(w, "retention.ms", topic->retention_days * DAY_MS);
    json_end_object(w);
    json_end_object(w);
    json_end_object(w);
    json_end_object(w);
}

static void write_operation(struct json_writer *w, const char *name, const char *action,
                            const char *topic, const char *about)
{
    json_key(w, name);
    json_begin_object(w);
    json_key_string(w, "action", action);
    json_key(w, "channel");
    write_ref(w, "#/channels/", topic, NULL);
    json_key_string(w, "summary", about);
    json_end_object(w);
}

static void write_operations(struct json_writer *w)
{
    json_key(w, "operations");
    json_begin_object(w);
    write_operation(w, "tellOfTasks", "send", "task-events",
                    "backend: for each task that was added, changed or deleted");
    write_operation(w, "tellOfCompletion", "send", "task-recurrence",
                    "backend: for each task that was completed");
    write_operation(w, "tellOfReminders", "send", "task-reminders",
                    "notification-service: for each reminder that became due");
    write_operation(w, "bury", "send", EVENT_DLQ_TOPIC,
                    "backend: for each event that a consumer could not use");
    write_operation(w, "mail", "receive", "task-reminders", "email-delivery-service: sends a mail");
    write_operation(w, "recur", "receive", "task-recurrence",
                    "recurring-task-service: adds the next task of a series");
    json_end_object(w);
}

static void write_asyncapi(struct json_writer *w)
{
    size_t count;
    const struct event_topic *topics = event_topics(&count);
    json_begin_object(w);
    json_key_string(w, "asyncapi", "3.0.0");
    json_key(w, "info");
    json_begin_object(w);
    json_key_string(w, "title", "Todo events");
    json_key_string(w, "version", EVENT_SCHEMA_VERSION);
    json_key_string(
        w, "description",
        "What the task manager tells: CloudEvents 1.0, at least once, in order for each "
        "task. See docs/events.md.");
    json_end_object(w);
    json_key_string(w, "defaultContentType", CLOUDEVENT_MIME);
    json_key(w, "channels");
    json_begin_object(w);
    for (size_t i = 0; i < count; i++)
        write_channel(w, &topics[i]);
    json_end_object(w);
    write_operations(w);
    write_components(w);
    json_end_object(w);
}

static void write_schemas(struct json_writer *w)
{
    json_begin_object(w);
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        json_key(w, event_def((enum event_kind)kind)->name);
        event_write_schema(w, (enum event_kind)kind);
    }
    json_end_object(w);
}

int main(void)
{
    struct buf text;
    struct json_writer w;
    buf_init(&text, TEXT_MAX);
    json_writer_init(&w, &text);
    json_begin_object(&w);
    json_key(&w, "asyncapi");
    write_asyncapi(&w);
    json_key(&w, "schemas");
    write_schemas(&w);
    json_end_object(&w);
    bool is_printed = !buf_status(&text) && puts(text.ptr) >= 0 && fflush(stdout) == 0;
    buf_deinit(&text);
    return is_printed ? EXIT_SUCCESS : EXIT_FAILURE;
}
