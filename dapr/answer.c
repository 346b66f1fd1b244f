/* What an HTTP answer of daprd means: its status, and of a failure the body
 *   {"errorCode": "ERR_PUBSUB_NOT_FOUND", "message": "…"}
 * which may also be plain text (of the token check) or nothing. */
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "base/json.h"
#include "dapr/client_int.h"

/* Where the HTTP status alone would mislead: daprd's errorCode and, where not NULL, words that its
 * message has. The first that fits counts. */
static const struct {
    const char *name, *words;
    int code;
} by_name[] = {
    {"ERR_STATE_STORE_NOT_FOUND", NULL, DAPR_ENOCOMPONENT},
    {"ERR_STATE_STORE_NOT_CONFIGURED", NULL, DAPR_ENOCOMPONENT},
    {"ERR_STATE_STORES_NOT_CONFIGURED", NULL, DAPR_ENOCOMPONENT},
    {"ERR_PUBSUB_NOT_FOUND", NULL, DAPR_ENOCOMPONENT},
    {"ERR_PUBSUB_NOT_CONFIGURED", NULL, DAPR_ENOCOMPONENT},
    {"ERR_PUBSUB_CLOUD_EVENTS_SER", NULL, DAPR_EREFUSED},
    {"ERR_PUBSUB_EVENTS_SER", "stream too large", DAPR_ETOOLARGE},
    {"ERR_MALFORMED_REQUEST", "stream too large", DAPR_ETOOLARGE},
    {"ERR_PUBSUB_PUBLISH_MESSAGE", "too large", DAPR_ETOOLARGE},
    {"ERR_PUBSUB_PUBLISH_MESSAGE", "larger than", DAPR_ETOOLARGE},
    /* First-write without an ETag, and the state is there. */
    {"ERR_STATE_SAVE", "no item was updated", DAPR_ECONFLICT},
    {"ERR_STATE_TRANSACTION", "no item was updated", DAPR_ECONFLICT},
    {"ERR_STATE_TRANSACTION", "etag mismatch", DAPR_ECONFLICT},
    {"DAPR_SCHEDULER_SCHEDULE_JOB", "failed validation", DAPR_EREFUSED},
};

static int code_of_http(int status)
{
    switch (status) {
    case 401:
        return DAPR_ETOKEN;
    case 403:
        return DAPR_EFORBIDDEN;
    case 404:
    case 405:
        return DAPR_ENOCOMPONENT;
    case 409:
        return DAPR_ECONFLICT;
    case 413:
        return DAPR_ETOOLARGE;
    default:
        break;
    }
    if (status >= 500)
        return DAPR_ECOMPONENT;
    return status >= 400 ? DAPR_EREFUSED : DAPR_EPROTOCOL;
}

static int code_of(const char *name, const char *message, int http_status)
{
    for (size_t i = 0; name && i < sizeof(by_name) / sizeof(*by_name); i++)
        if (strcmp(by_name[i].name, name) == 0 &&
            (!by_name[i].words || (message && strstr(message, by_name[i].words))))
            return by_name[i].code;
    return code_of_http(http_status);
}

int answer_entry_status(const char *reason)
{
    return reason ? code_of("ERR_PUBSUB_PUBLISH_MESSAGE", reason, 500) : DAPR_ECOMPONENT;
}

int answer_status(const struct dapr_reply *reply, struct error *err)
{
    if (reply->http_status >= 200 && reply->http_status <= 299)
        return 0;
    cJSON *root = json_parse(reply->body, NULL);
    const char *name = json_get_string(root, "errorCode");
    const char *message = json_get_string(root, "message");
    int code = code_of(name, message, reply->http_status);
    if (message)
        error_set(err, code, name, "%s", message);
    else if (!root && reply->body.len > 0 && reply->body.len < sizeof(err->text))
        error_set(err, code, NULL, "HTTP %d: %.*s", reply->http_status, (int)reply->body.len,
                  reply->body.ptr);
    else
        error_set(err, code, name, "%s (HTTP %d)", dapr_strerror(code), reply->http_status);
    cJSON_Delete(root);
    return code;
}

int answer_failure(int status, const struct error *why, struct error *err)
{
    int code;
    switch (status) {
    case BASE_ENOMEM:
    case BASE_EINVAL:
        code = status;
        break;
    case UV_ECANCELED:
        code = BASE_ECLOSED;
        break;
    case BASE_ELIMIT: /* the answer is too large */
        code = DAPR_EPROTOCOL;
        break;
    case UV_ETIMEDOUT:
        code = DAPR_ETIMEOUT;
        break;
    case UV_ECONNREFUSED:
    case UV_EAI_NONAME:
        code = DAPR_EUNAVAILABLE;
        break;
    default:
        code = DAPR_EUNKNOWN;
        break;
    }
    return error_set(err, code, NULL, "%s", why && why->text[0] ? why->text : dapr_strerror(code));
}

bool answer_says(struct slice text, const char *words)
{
    size_t len = strlen(words);
    for (size_t i = 0; i + len <= text.len; i++)
        if (strncasecmp(text.ptr + i, words, len) == 0)
            return true;
    return false;
}

int check_name(const char *field, struct slice name, struct error *err)
{
    bool is_good = name.len > 0;
    for (size_t i = 0; i < name.len; i++)
        is_good = is_good && (unsigned char)name.ptr[i] >= 0x20 && name.ptr[i] != 0x7f;
    return is_good ? 0
                   : error_set(err, BASE_EINVAL, field,
                               "%s must not be empty and have no control characters", field);
}
