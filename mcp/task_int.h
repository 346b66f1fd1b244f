#pragma once
/* mcp/task: the extension io.modelcontextprotocol/tasks: calls that go on after their request was
 * answered with a handle. Kept in memory until their time to live is over.
 * Spec: SEP-2663. */
#include "mcp/call_int.h"

/* The call waits for the client's answers (mcp_call_wait). */
void task_wait(struct mcp_call *call);
/* The call has ended: keeps `answer`, the object of its result or error, which it empties. */
void task_finish(struct mcp_task *task, struct buf *answer, bool is_error);
/* True when the task is there and this caller's. */
bool task_is_known(const struct mcp_request_context *rx, const char *id);
/* Forgets those whose time is over. */
void tasks_expire(struct mcp_server *s, int64_t now_us);
/* Cancels what still runs. */
void tasks_stop(struct mcp_server *s);
void tasks_free(struct mcp_server *s);
