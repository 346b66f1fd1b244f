#pragma once
/* tools/resources: the tasks as resources, JSON each:
 *   task://{id}       one task, as get_task answers it
 *   category://{id}   a category with its pending tasks
 *   tasks://today, tasks://overdue, tasks://upcoming
 *                     pending tasks by due date, in the user's time zone
 * Who subscribes is told of changes by tools/changes. */
struct error;
struct mcp_server;
struct tools;

#define RESOURCE_TASK     "task://"
#define RESOURCE_CATEGORY "category://"
#define RESOURCE_TODAY    "tasks://today"
#define RESOURCE_OVERDUE  "tasks://overdue"
#define RESOURCE_UPCOMING "tasks://upcoming"

/* After tools_register; `t` is borrowed for the server's life. 0, or the first one's error. */
__attribute__((warn_unused_result)) int
resources_register(struct tools *t, struct mcp_server *server, struct error *err);
