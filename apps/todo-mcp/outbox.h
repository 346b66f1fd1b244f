#pragma once
/* apps/todo-mcp/outbox: todo-mcp outbox status | parked | replay | purge: what waits to be
 * published, what is parked, what is to be published again. */

/* argv[0] is the command's own word. Returns the exit code. */
int outbox_main(int argc, char **argv);
