/* Prints the program's SQL, for the benchmark and for the tests that look at plans:
 *   statements NAME   that statement
 *   statements        all of them, each as "NAME<tab>SQL"
 *   statements -o     the settings of the program's sessions, as PGOPTIONS has them */
#include <stdio.h>
#include <string.h>

#include "db/agenda_int.h"
#include "db/api_key_int.h"
#include "db/dead_letter_int.h"
#include "db/inbox_int.h"
#include "db/label_int.h"
#include "db/outbox_int.h"
#include "db/pool_int.h"
#include "db/recipient_int.h"
#include "db/reminder_int.h"
#include "db/series_int.h"
#include "db/state_int.h"
#include "db/task_int.h"
#include "db/user_int.h"

/* 1 when it was printed, else 0. */
static int show(const struct db_stmt *stmt, const char *wanted)
{
    if (wanted && strcmp(wanted, stmt->name) != 0)
        return 0;
    if (wanted)
        printf("%s\n", stmt->sql);
    else
        printf("%s\t%s\n", stmt->name, stmt->sql);
    return 1;
}

int main(int argc, char **argv)
{
    const struct db_stmt *const single[] = {
        &task_add_stmt,
        &task_add_full_stmt,
        &task_get_stmt,
        &task_update_stmt,
        &task_complete_stmt,
        &task_delete_stmt,
        &task_tag_add_stmt,
        &task_tag_remove_stmt,
        &task_reminder_stmt,
        &task_reminder_clear_stmt,
        &task_search_stmt,
        &user_ensure_stmt,
        &agenda_stmts[DB_TODAY],
        &agenda_stmts[DB_OVERDUE],
        &agenda_stmts[DB_UPCOMING],
        &agenda_category_stmt,
        &day_stmt,
        &inbox_add_stmt,
        &inbox_look_stmt,
        &recipient_stmt,
        &reminder_fire_stmt,
        &reminder_next_stmt,
        &series_get_stmt,
        &series_continue_stmt,
    };
    const char *wanted = argc > 1 ? argv[1] : NULL;
    if (wanted && strcmp(wanted, "-o") == 0)
        return puts(DB_SESSION_OPTIONS) < 0;
    int found = 0;
    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
        found += show(single[i], wanted);
    for (size_t i = 0; i < TASK_LIST_STMTS; i++)
        found += show(&task_list_stmts[i], wanted);
    for (size_t i = 0; i < API_KEY_STMTS; i++)
        found += show(&api_key_stmts[i], wanted);
    for (size_t i = 0; i < DEAD_LETTER_STMTS; i++)
        found += show(&dead_letter_stmts[i], wanted);
    for (size_t i = 0; i < OUTBOX_STMTS; i++)
        found += show(&outbox_stmts[i], wanted);
    for (size_t i = 0; i < UPKEEP_STMTS; i++)
        found += show(&upkeep_stmts[i], wanted);
    for (size_t i = 0; i < STATE_STMTS; i++)
        found += show(&state_stmts[i], wanted);
    for (size_t kind = 0; kind < 2; kind++)
        for (size_t i = 0; i < LABEL_STMTS; i++)
            found += show(&label_stmts[kind][i], wanted);
    return found ? 0 : 1;
}
