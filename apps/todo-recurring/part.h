#pragma once
/* part: the worker of recurring tasks as apps/shared/worker runs it. */
#include "shared/worker.h"

extern const struct worker_spec recurring_spec;
