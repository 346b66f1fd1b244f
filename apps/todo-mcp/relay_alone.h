#pragma once
/* apps/todo-mcp/relay_alone: todo-mcp relay [SETTINGS]: the relay as a process of its own, without
 * MCP. As many as one likes: one leads, the others stand by. */

/* argv[0] is the command's own word. Returns the exit code. */
int relay_main(int argc, char **argv);
