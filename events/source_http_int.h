#pragma once
/* events/source_http_int: what the ways by HTTP share. */
#include "base/http_server.h"
#include "events/source_http.h"

/* The attributes of an event in binary mode, from the headers ce-…: decoded into the request's
 * arena. 0; BASE_ELIMIT, BASE_EINVAL (a value that is malformed), BASE_ENOMEM. */
__attribute__((warn_unused_result)) int source_http_attributes(struct http_request *req,
                                                               struct cloudevent_attribute *out,
                                                               size_t *count, struct error *err);
