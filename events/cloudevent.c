#include "events/cloudevent.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"

#define NAME_MAX_LEN 20 /* the specification's advice for attribute names */

/* ---- writing ---- */

static void write_attribute(struct json_writer *w, const char *name, const char *value)
{
    if (value)
        json_key_string(w, name, value);
}

void cloudevent_write(struct json_writer *w, const struct cloudevent *event, struct slice data)
{
    json_begin_object(w);
    json_key_string(w, "specversion", "1.0");
    json_key_string(w, "id", event->id);
    json_key_string(w, "source", event->source);
    json_key_string(w, "type", event->type);
    write_attribute(w, "subject", event->subject);
    write_attribute(w, "time", event->time);
    json_key_string(w, "datacontenttype", "application/json");
    write_attribute(w, "dataschema", event->dataschema);
    write_attribute(w, "traceparent", event->traceparent);
    write_attribute(w, "partitionkey", event->partitionkey);
    json_key(w, "data");
    json_raw(w, data);
    json_end_object(w);
}

/* ---- reading ---- */

/* application/json, with parameters or without; also a +json type. */
static bool is_json_type(const char *type)
{
    size_t len = strcspn(type, "; \t");
    static const char plain[] = "application/json";
    static const char suffix[] = "+json";
    if (len == sizeof(plain) - 1 && strncasecmp(type, plain, len) == 0)
        return true;
    return len > sizeof(suffix) - 1 &&
           strncasecmp(type + len - (sizeof(suffix) - 1), suffix, sizeof(suffix) - 1) == 0;
}

/* Section 3.1: lower-case letters and digits. */
static int check_names(const cJSON *root, struct error *err)
{
    const cJSON *attribute;
    cJSON_ArrayForEach(attribute, root)
    {
        const char *name = attribute->string;
        bool is_data = strcmp(name, "data_base64") == 0;
        size_t valid = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");
        if (is_data || (valid > 0 && name[valid] == '\0'))
            continue;
        return error_set(err, BASE_EINVAL, name,
                         "\"%.40s\" is no attribute name: those have lower-case letters and digits",
                         name);
    }
    return 0;
}

/* A string attribute, which must not be empty; *out NULL where an optional one is absent or null.
 */
static int read_attribute(const cJSON *root, const char *name, bool is_required, const char **out,
                          struct error *err)
{
    const cJSON *value = json_get(root, name);
    *out = NULL;
    if (!value || cJSON_IsNull(value))
        return is_required ? error_set(err, BASE_EINVAL, name, "the attribute %s is missing", name)
                           : 0;
    if (!cJSON_IsString(value) || !*value->valuestring)
        return error_set(err, BASE_EINVAL, name, "the attribute %s must be a string, not empty",
                         name);
    *out = value->valuestring;
    return 0;
}

/* CloudEvents allows an empty one, and daprd writes `"traceparent": ""` into what it passes on
 * without a trace: as good as none. */
static int read_extension(const cJSON *root, const char *name, const char **out, struct error *err)
{
    const cJSON *value = json_get(root, name);
    *out = NULL;
    if (cJSON_IsString(value) && !*value->valuestring)
        return 0;
    return read_attribute(root, name, false, out, err);
}

static int read_attributes(struct cloudevent *e, struct error *err)
{
    const struct {
        const char *name;
        bool is_required;
        const char **out;
    } list[] = {
        {"id", true, &e->id},
        {"source", true, &e->source},
        {"type", true, &e->type},
        {"time", true, &e->time},
        {"subject", false, &e->subject},
        {"dataschema", false, &e->dataschema},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
        int status = read_attribute(e->root, list[i].name, list[i].is_required, list[i].out, err);
        if (status)
            return status;
    }
    int status = read_extension(e->root, "traceparent", &e->traceparent, err);
    return status ? status : read_extension(e->root, "partitionkey", &e->partitionkey, err);
}

static int check_content(struct cloudevent *e, struct error *err)
{
    const char *version = json_get_string(e->root, "specversion");
    const char *type = NULL;
    int64_t time_us;
    if (!version || strcmp(version, "1.0") != 0)
        return error_set(err, BASE_EINVAL, "specversion", "specversion must be \"1.0\"");
    int status = read_attribute(e->root, "datacontenttype", true, &type, err);
    if (status)
        return status;
    if (!type || !is_json_type(type))
        return error_set(err, BASE_EINVAL, "datacontenttype",
                         "datacontenttype must be application/json");
    if (clock_parse_rfc3339(slice_from_cstr(e->time), &time_us, NULL))
        return error_set(err, BASE_EINVAL, "time", "time must be RFC 3339");
    if (json_get(e->root, "data_base64") || !e->data)
        return error_set(err, BASE_EINVAL, "data", "the event needs data as JSON");
    return 0;
}

int cloudevent_from_tree(cJSON *take_tree, struct cloudevent *out, struct error *err)
{
    *out = (struct cloudevent){.root = take_tree};
    int status = cJSON_IsObject(take_tree)
                     ? check_names(take_tree, err)
                     : error_set(err, BASE_EINVAL, "", "an event is a JSON object");
    if (!status)
        status = read_attributes(out, err);
    if (!status) {
        out->data = json_get(take_tree, "data");
        status = check_content(out, err);
    }
    if (status)
        cloudevent_deinit(out);
    return status;
}

int cloudevent_parse(struct slice text, struct cloudevent *out, struct error *err)
{
    struct error why = {0};
    cJSON *root = json_parse(text, &why);
    if (!root) {
        *out = (struct cloudevent){0};
        return error_set(err, why.code, why.field, "%s", why.text);
    }
    return cloudevent_from_tree(root, out, err);
}

/* ---- binary mode ---- */

/* Header names are in any case; the attribute's is lower. */
static bool lower_name(struct slice name, char out[NAME_MAX_LEN + 1])
{
    if (name.len == 0 || name.len > NAME_MAX_LEN)
        return false;
    for (size_t i = 0; i < name.len; i++)
        out[i] = (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] + 32 : name.ptr[i]);
    out[name.len] = '\0';
    return true;
}

static bool is_text(struct slice value)
{
    for (size_t at = 0, len; at < value.len; at += len) {
        len = utf8_length_at(value.ptr + at, value.len - at);
        if (len == 0 || value.ptr[at] == '\0')
            return false;
    }
    return true;
}

static int add_text(cJSON *root, const char *name, struct slice value, struct error *err)
{
    char text[1024];
    if (value.len >= sizeof(text) || !is_text(value))
        return error_set(err, BASE_EINVAL, name, "the attribute %s is too long or no UTF-8 text",
                         name);
    if (value.len > 0)
        memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    if (json_get(root, name))
        return error_set(err, BASE_EINVAL, name, "the attribute %s came twice", name);
    return cJSON_AddStringToObject(root, name, text)
               ? 0
               : error_set(err, BASE_ENOMEM, name, "out of memory");
}

static int fill_binary(cJSON *root, const struct cloudevent_attribute *attributes, size_t count,
                       struct slice content_type, struct slice body, struct error *err)
{
    char name[NAME_MAX_LEN + 1];
    int status = 0;
    for (size_t i = 0; i < count && !status; i++) {
        if (!lower_name(attributes[i].name, name) || strcmp(name, "data") == 0)
            status = error_set(err, BASE_EINVAL, NULL, "a header's attribute name is malformed");
        else
            status = add_text(root, name, attributes[i].value, err);
    }
    if (!status)
        status = add_text(root, "datacontenttype", content_type, err);
    struct error why = {0};
    cJSON *data = status ? NULL : json_parse(body, &why);
    if (!status && !data)
        return error_set(err, why.code, "data", "%s", why.text);
    if (data && !cJSON_AddItemToObject(root, "data", data)) {
        cJSON_Delete(data);
        return error_set(err, BASE_ENOMEM, "data", "out of memory");
    }
    return status;
}

int cloudevent_from_binary(const struct cloudevent_attribute *attributes, size_t count,
                           struct slice content_type, struct slice body, struct cloudevent *out,
                           struct error *err)
{
    cJSON *root = cJSON_CreateObject();
    *out = (struct cloudevent){0};
    if (!root)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    int status = fill_binary(root, attributes, count, content_type, body, err);
    if (status) {
        cJSON_Delete(root);
        return status;
    }
    return cloudevent_from_tree(root, out, err);
}

void cloudevent_deinit(struct cloudevent *event)
{
    cJSON_Delete(event->root);
    *event = (struct cloudevent){0};
}
