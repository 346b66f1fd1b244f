#pragma once
/* apps/todo-mcp/migrate: todo-mcp migrate [SETTINGS]: brings the schema of DATABASE_URL up to date
 * and ends: for a step of a deployment before the programs of a new version start. */

/* argv[0] is the command's own word. Returns the exit code. */
int migrate_main(int argc, char **argv);
