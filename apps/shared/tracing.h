#pragma once
/* apps/shared/tracing: the tracer that the settings ask for. */
#include <uv.h>

struct error;
struct log;
struct shared_settings;
struct tracer;

/* *out stays NULL where OTEL_EXPORTER_OTLP_ENDPOINT is not set. Else as tracer_new. */
__attribute__((warn_unused_result)) int tracing_open(const struct shared_settings *s,
                                                     uv_loop_t *loop, const char *service,
                                                     const struct log *log, struct tracer **out,
                                                     struct error *err);
