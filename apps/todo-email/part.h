#pragma once
/* part: the email worker as apps/shared/worker runs it: its settings, and what of the process its
 * library is wired to. */
#include "shared/worker.h"

extern const struct worker_spec email_spec;
