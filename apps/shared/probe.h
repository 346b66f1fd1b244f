#pragma once
/* apps/shared/probe: the answers of a program to an operator, never kept by a cache. */
#include "base/slice.h"

struct http_request;
struct metrics;

void probe_answer(struct http_request *req, int status, struct slice json);
/* GET /metrics; from this machine at localhost or a numeric address only. */
void probe_answer_metrics(struct http_request *req, const struct metrics *m);
