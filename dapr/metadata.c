#include "dapr/metadata.h"

#include <string.h>

#include "base/json.h"
#include "dapr/client_int.h"

/* The component of that name; one whose type is no text counts as not there. */
static bool find(const cJSON *root, const char *name, struct dapr_component *out)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, json_get(root, "components"))
    {
        const char *version = json_get_string(entry, "version");
        *out = (struct dapr_component){.name = json_get_string(entry, "name"),
                                       .type = json_get_string(entry, "type"),
                                       .version = version ? version : ""};
        if (out->name && out->type && strcmp(out->name, name) == 0)
            return true;
    }
    return false;
}

static void component_reply(struct dapr_call *call, int status, const struct dapr_reply *reply,
                            const struct error *err)
{
    size_t at = 0;
    struct dapr_component component;
    struct error why = {0};
    if (status) {
        call->fn.component(call->ctx, status, NULL, err);
        return;
    }
    cJSON *root = json_parse(reply->body, &why);
    bool is_found = root && find(root, call_next_name(call, &at).ptr, &component);
    if (root) {
        call->fn.component(call->ctx, 0, is_found ? &component : NULL, NULL);
    } else {
        int code = why.code == BASE_ENOMEM ? BASE_ENOMEM : DAPR_EPROTOCOL;
        error_set(&why, code, NULL, "%s",
                  code == BASE_ENOMEM ? "out of memory" : dapr_strerror(code));
        call->fn.component(call->ctx, code, NULL, &why);
    }
    cJSON_Delete(root);
}

int dapr_component_get(struct dapr_client *c, const char *name, dapr_component_fn fn, void *ctx,
                       struct error *err)
{
    int status = check_name("name", slice_from_cstr(name), err);
    if (status)
        return status;
    struct dapr_call *call = call_new(c, "GET", component_reply);
    if (!call)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    call->fn.component = fn;
    call->ctx = ctx;
    call->is_read = true;
    call_path(call, "/v1.0/metadata");
    call_name(call, slice_from_cstr(name));
    return call_start(call, err);
}
