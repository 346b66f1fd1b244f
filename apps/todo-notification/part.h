#pragma once
/* part: the notification worker as apps/shared/worker runs it: its settings, its job, and what of
 * the process its library is wired to. */
#include "shared/worker.h"

extern const struct worker_spec notification_spec;
