#pragma once
/* mcp/header_param: the x-mcp-header annotations of a tool's input schema: arguments that HTTP
 * clients mirror into headers. Spec: basic/transports/streamable-http#schema-extension. */
#include <cjson/cJSON.h>
#include <stddef.h>

#include "mcp/peer.h"

#define HEADER_PARAM_DEPTH 8

struct error;

/* One annotation with the memory behind it. */
struct header_params {
    struct mcp_header_param *list;
    size_t count;
};

/* Reads them from an object schema. BASE_EINVAL where one breaks a rule of the spec (err->field is
 * its value), BASE_ENOMEM. To be ended also after a failure. */
int header_params_read(struct header_params *p, const cJSON *schema, struct error *err);
void header_params_deinit(struct header_params *p);
