#include "events/event.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/slice.h"
#include "events/error.h"

#define UUID_LEN     36
#define SCHEMA_BASE  "urn:todo:event:"
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct event_member common[] = {
    {"event_id", EVENT_UUID, false, "the same as the CloudEvent's id"},
    {"event_type", EVENT_TEXT, false, "what happened"},
    {"timestamp", EVENT_TIME, false, "when it happened"},
    {"user_id", EVENT_ID, false, "whose task it is"},
    {"schema_version", EVENT_TEXT, false, "of this data: MAJOR.MINOR"},
    {"task_id", EVENT_ID, false, "the task"},
};

static const struct event_member created[] = {
    {"title", EVENT_TEXT, false, "the task's title"},
    {"description", EVENT_TEXT, true, "the task's description"},
    {"priority", EVENT_PRIORITY, false, "the task's priority"},
    {"due_date", EVENT_TIME, true, "when it is due"},
    {"recurrence_rule", EVENT_TEXT, true, "an RFC 5545 RRULE"},
    {"category_id", EVENT_ID, true, "its category"},
    {"tag_ids", EVENT_IDS, false, "its tags"},
};

static const struct event_member updated[] = {
    {"updated_fields", EVENT_OBJECT, false, "the new value of each field that changed"},
    {"version", EVENT_COUNT, false, "the task's version after the change"},
};

static const struct event_member completed[] = {
    {"completed_at", EVENT_TIME, false, "when it was completed"},
    {"recurrence_rule", EVENT_TEXT, true, "an RFC 5545 RRULE"},
    {"due_date", EVENT_TIME, true, "when it was due"},
    {"timezone", EVENT_TEXT, false, "the IANA zone that the rule counts in"},
};

static const struct event_member reminded[] = {
    {"reminder_time", EVENT_TIME, false, "when the reminder was due"},
    {"title", EVENT_TEXT, false, "the task's title"},
    {"due_date", EVENT_TIME, true, "when the task is due"},
    {"priority", EVENT_PRIORITY, false, "the task's priority"},
};

static const struct event_def defs[EVENT_KINDS] = {
    [EVENT_TASK_CREATED] = {"TaskCreatedEvent", "task.created", "task-events", "A task was added.",
                            created, COUNT(created)},
    [EVENT_TASK_UPDATED] = {"TaskUpdatedEvent", "task.updated", "task-events",
                            "Fields of a task changed.", updated, COUNT(updated)},
    [EVENT_TASK_DELETED] = {"TaskDeletedEvent", "task.deleted", "task-events",
                            "A task was deleted.", NULL, 0},
    [EVENT_TASK_COMPLETED] = {"TaskCompletedEvent", "task.completed", "task-recurrence",
                              "A task was completed.", completed, COUNT(completed)},
    [EVENT_REMINDER_SENT] = {"ReminderSentEvent", "reminder.sent", "task-reminders",
                             "A reminder became due.", reminded, COUNT(reminded)},
};

static const struct event_topic topics[] = {
    {"task-events", "What becomes of tasks.", 3, 7},
    {"task-recurrence", "Tasks that were completed: what recurs is made anew.", 1, 7},
    {"task-reminders", "Reminders that became due: mails are sent.", 3, 1},
    {EVENT_DLQ_TOPIC, "Events that a consumer could not use, as they came.", 1, 14},
};

const struct event_topic *event_topics(size_t *count)
{
    *count = COUNT(topics);
    return topics;
}

const struct event_def *event_def(enum event_kind kind)
{
    return &defs[kind];
}

const struct event_member *event_common_members(size_t *count)
{
    *count = COUNT(common);
    return common;
}

bool event_kind_of_type(const char *type, enum event_kind *out)
{
    for (size_t i = 0; i < EVENT_KINDS; i++) {
        if (strcmp(defs[i].type, type) == 0) {
            *out = (enum event_kind)i;
            return true;
        }
    }
    return false;
}

const char *event_schema_uri(enum event_kind kind)
{
    static const char *const uris[EVENT_KINDS] = {
        [EVENT_TASK_CREATED] = SCHEMA_BASE "task.created:" EVENT_SCHEMA_VERSION,
        [EVENT_TASK_UPDATED] = SCHEMA_BASE "task.updated:" EVENT_SCHEMA_VERSION,
        [EVENT_TASK_DELETED] = SCHEMA_BASE "task.deleted:" EVENT_SCHEMA_VERSION,
        [EVENT_TASK_COMPLETED] = SCHEMA_BASE "task.completed:" EVENT_SCHEMA_VERSION,
        [EVENT_REMINDER_SENT] = SCHEMA_BASE "reminder.sent:" EVENT_SCHEMA_VERSION,
    };
    return uris[kind];
}

/* ---- checking ---- */

static bool is_id(const cJSON *value)
{
    int64_t number;
    return json_as_int(value, &number) && number >= 1;
}

static bool is_count(const cJSON *value)
{
    int64_t number;
    return json_as_int(value, &number) && number >= 0;
}

static bool is_id_list(const cJSON *value)
{
    const cJSON *item;
    if (!cJSON_IsArray(value))
        return false;
    cJSON_ArrayForEach(item, value)
    {
        if (!is_id(item))
            return false;
    }
    return true;
}

static bool is_time(const cJSON *value)
{
    int64_t time_us;
    return cJSON_IsString(value) &&
           clock_parse_rfc3339(slice_from_cstr(value->valuestring), &time_us, NULL) == 0;
}

static bool is_priority(const cJSON *value)
{
    static const char *const names[] = {"low", "medium", "high", "urgent"};
    for (size_t i = 0; cJSON_IsString(value) && i < COUNT(names); i++) {
        if (strcmp(value->valuestring, names[i]) == 0)
            return true;
    }
    return false;
}

/* RFC 9562 section 4, lower-case as we write it and upper-case as others may. */
static bool is_uuid(const cJSON *value)
{
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    if (strlen(text) != UUID_LEN)
        return false;
    for (size_t i = 0; i < UUID_LEN; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i]))
            return false;
    }
    return true;
}

static bool is_value(const struct event_member *member, const cJSON *value)
{
    if (cJSON_IsNull(value))
        return member->is_nullable;
    switch (member->value) {
    case EVENT_ID:
        return is_id(value);
    case EVENT_IDS:
        return is_id_list(value);
    case EVENT_COUNT:
        return is_count(value);
    case EVENT_TEXT:
        return cJSON_IsString(value);
    case EVENT_TIME:
        return is_time(value);
    case EVENT_PRIORITY:
        return is_priority(value);
    case EVENT_UUID:
        return is_uuid(value);
    case EVENT_OBJECT:
        return cJSON_IsObject(value);
    }
    return false;
}

static int check_members(const struct event_member *members, size_t count, const cJSON *data,
                         struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const cJSON *value = json_get(data, members[i].name);
        if (!value)
            return error_set(err, BASE_EINVAL, members[i].name, "data.%s is missing",
                             members[i].name);
        if (!is_value(&members[i], value))
            return error_set(err, BASE_EINVAL, members[i].name, "data.%s has the wrong type",
                             members[i].name);
    }
    return 0;
}

/* "1.7" -> 1; -1 when it is no version. */
static int major_of(const char *version)
{
    int major = 0;
    size_t digits = strspn(version, "0123456789");
    if (digits == 0 || digits > 4 || version[digits] != '.')
        return -1;
    for (size_t i = 0; i < digits; i++)
        major = major * 10 + (version[i] - '0');
    size_t minor = strspn(version + digits + 1, "0123456789");
    return minor > 0 && version[digits + 1 + minor] == '\0' ? major : -1;
}

/* The version comes first: of another major one nothing else is known. */
static int check_version(const cJSON *data, struct error *err)
{
    const char *version = json_get_string(data, "schema_version");
    int major = version ? major_of(version) : -1;
    if (major < 0)
        return error_set(err, BASE_EINVAL, "schema_version",
                         "data.schema_version must be MAJOR.MINOR");
    if (major != EVENT_SCHEMA_MAJOR)
        return error_set(err, EVENTS_EVERSION, "schema_version",
                         "schema version %.16s is not one that this program knows", version);
    return 0;
}

int event_check(enum event_kind kind, const cJSON *data, struct error *err)
{
    const struct event_def *def = &defs[kind];
    if (!cJSON_IsObject(data))
        return error_set(err, BASE_EINVAL, "data", "data must be an object");
    int status = check_version(data, err);
    if (!status)
        status = check_members(common, COUNT(common), data, err);
    if (!status && strcmp(json_get_string(data, "event_type"), def->name) != 0)
        status = error_set(err, BASE_EINVAL, "event_type", "data.event_type of a %s must be %s",
                           def->type, def->name);
    return status ? status : check_members(def->members, def->member_count, data, err);
}

/* ---- JSON Schema ---- */

static void write_type(struct json_writer *w, const char *type, bool is_nullable)
{
    json_key(w, "type");
    if (!is_nullable) {
        json_string(w, type);
        return;
    }
    json_begin_array(w);
    json_string(w, type);
    json_string(w, "null");
    json_end_array(w);
}

static void write_integer(struct json_writer *w, int64_t minimum, bool is_nullable)
{
    write_type(w, "integer", is_nullable);
    json_key_int(w, "minimum", minimum);
}

static void write_value(struct json_writer *w, const struct event_member *m)
{
    switch (m->value) {
    case EVENT_ID:
        write_integer(w, 1, m->is_nullable);
        break;
    case EVENT_COUNT:
        write_integer(w, 0, m->is_nullable);
        break;
    case EVENT_IDS:
        write_type(w, "array", m->is_nullable);
        json_key(w, "items");
        json_begin_object(w);
        write_integer(w, 1, false);
        json_end_object(w);
        break;
    case EVENT_TEXT:
        write_type(w, "string", m->is_nullable);
        break;
    case EVENT_TIME:
        write_type(w, "string", m->is_nullable);
        json_key_string(w, "format", "date-time");
        break;
    case EVENT_UUID:
        write_type(w, "string", m->is_nullable);
        json_key_string(w, "format", "uuid");
        break;
    case EVENT_PRIORITY:
        json_key(w, "enum");
        json_raw(w, SLICE_LIT("[\"low\",\"medium\",\"high\",\"urgent\"]"));
        break;
    case EVENT_OBJECT:
        write_type(w, "object", m->is_nullable);
        break;
    }
}

/* The two members whose value the type itself fixes. */
static void write_fixed(struct json_writer *w, const struct event_member *m,
                        const struct event_def *def)
{
    if (strcmp(m->name, "event_type") == 0)
        json_key_string(w, "const", def->name);
    if (strcmp(m->name, "schema_version") == 0)
        json_key_string(w, "pattern", "^1\\.[0-9]+$");
}

static void write_members(struct json_writer *w, const struct event_member *members, size_t count,
                          const struct event_def *def)
{
    for (size_t i = 0; i < count; i++) {
        json_key(w, members[i].name);
        json_begin_object(w);
        write_value(w, &members[i]);
        write_fixed(w, &members[i], def);
        json_key_string(w, "description", members[i].about);
        json_end_object(w);
    }
}

static void write_required(struct json_writer *w, const struct event_def *def)
{
    json_key(w, "required");
    json_begin_array(w);
    for (size_t i = 0; i < COUNT(common); i++)
        json_string(w, common[i].name);
    for (size_t i = 0; i < def->member_count; i++)
        json_string(w, def->members[i].name);
    json_end_array(w);
}

static void write_schema(struct json_writer *w, const struct event_def *def)
{
    json_key_string(w, "title", def->type);
    json_key_string(w, "description", def->about);
    json_key_string(w, "type", "object");
    json_key(w, "properties");
    json_begin_object(w);
    write_members(w, common, COUNT(common), def);
    write_members(w, def->members, def->member_count, def);
    json_end_object(w);
    write_required(w, def);
}

void event_write_subschema(struct json_writer *w, enum event_kind kind)
{
    json_begin_object(w);
    write_schema(w, &defs[kind]);
    json_end_object(w);
}

void event_write_schema(struct json_writer *w, enum event_kind kind)
{
    json_begin_object(w);
    json_key_string(w, "$schema", "https://json-schema.org/draft/2020-12/schema");
    json_key_string(w, "$id", event_schema_uri(kind));
    write_schema(w, &defs[kind]);
    json_end_object(w);
}
