#include "shared/tracing.h"

#include "base/trace.h"
#include "shared/settings.h"

int tracing_open(const struct shared_settings *s, uv_loop_t *loop, const char *service,
                 const struct log *log, struct tracer **out, struct error *err)
{
    const struct tracer_options options = {.endpoint = s->otlp_endpoint,
                                           .service_name = service,
                                           .service_version = TODO_VERSION,
                                           .sample_percent = s->trace_percent};
    *out = NULL;
    return s->otlp_endpoint ? tracer_new(loop, &options, log, out, err) : 0;
}
