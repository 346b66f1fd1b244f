#include "migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/secret.h"
#include "db/migrate.h"
#include "settings.h"

#define EXIT_USAGE 2

int migrate_main(int argc, char **argv)
{
    struct settings settings;
    struct error err = {0};
    struct log log;
    int status = settings_load(&settings, argc, argv, &err);
    if (!status && !secret_text(&settings.shared.database_url))
        status = error_set(&err, BASE_EINVAL, "DATABASE_URL",
                           "migrate needs DATABASE_URL: the private PostgreSQL is brought up to "
                           "date whenever it starts");
    if (status) {
        fprintf(stderr, "todo-mcp: %s\nTry todo-mcp --help.\n", err.text);
        return EXIT_USAGE;
    }
    log_init(&log, STDERR_FILENO, settings.shared.log_level, settings.shared.log_format);
    if (db_migrate(secret_text(&settings.shared.database_url), &log, &err)) {
        fprintf(stderr, "todo-mcp: %s\n", err.text);
        return EXIT_FAILURE;
    }
    return puts("the schema is up to date") < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
