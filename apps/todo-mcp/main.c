/* todo-mcp: the MCP server of the task manager. `todo-mcp --help` lists its settings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "base/buf.h"
#include "base/error.h"
#include "command.h"
#include "dlq.h"
#include "keys.h"
#include "migrate.h"
#include "outbox.h"
#include "relay_alone.h"
#include "settings.h"

#define EXIT_USAGE 2

static int print_help(void)
{
    struct buf text;
    buf_init(&text, 65536);
    settings_help(&text);
    return command_print(&text);
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct error err = {0};
    if (argc > 1 && strcmp(argv[1], "key") == 0)
        return keys_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "migrate") == 0 && shared_action_of(argc, argv) == SHARED_RUN)
        return migrate_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "relay") == 0)
        return relay_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "outbox") == 0)
        return outbox_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "dlq") == 0)
        return dlq_main(argc - 1, argv + 1);
    enum shared_action action = shared_action_of(argc, argv);
    if (action == SHARED_HELP)
        return print_help();
    if (action == SHARED_VERSION)
        return puts("todo-mcp " TODO_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    if (settings_load(&settings, argc, argv, &err)) {
        fprintf(stderr, "todo-mcp: %s\nTry todo-mcp --help.\n", err.text);
        return EXIT_USAGE;
    }
    if (app_run(&settings, &err)) {
        fprintf(stderr, "todo-mcp: %s\n", err.text);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
