/* search_tasks: words first, and where they find nothing, what looks alike.
 *
 *   q      the query's words as prefixes of this user's lexemes (todo.search_query)
 *   hit    the page of tasks that have them all, best rank first; the title weighs over the
 *          description
 *   near   only where a first page has no hit: tasks whose title is similar by trigrams
 *   page   whichever of the two it was, with highlights made for its rows alone
 *
 * Similarity has no index of its own: a trigram index on titles would cost every add_task about as
 * much again as all its other indexes together. Candidates come from the word index instead: a
 * typing error seldom touches a word's first two letters, so the tasks with any word that starts
 * like one of the query's are taken, and the newest tasks for the errors that do.
 *
 * Params: 1 user, 2 query, 3 limit + 1, 4 statuses, 5 and 6 the cursor's rank and id,
 * 7 mode: 0 a first page, 1 a page of words, 2 a page of similar ones. */
#include "base/error.h"
#include "base/mem.h"
#include "db/task_int.h"

#define FUZZY_MIN     "0.35" /* word_similarity: "recieve" against "receive" has 0.375 */
#define FUZZY_ALIKE   "2000"
#define FUZZY_NEWEST  "1000"
#define TITLE_OPTIONS "'StartSel=**, StopSel=**, HighlightAll=true'"
#define TEXT_OPTIONS  "'StartSel=**, StopSel=**, MaxFragments=1, MaxWords=30, MinWords=10'"

/* `user_id + 0`: a lexeme names its user already, so a second index would only add its cost. */
#define OWN_AND_STATUS "t.user_id + 0 = $1::bigint and t.completed = any($4::boolean[])"

#define SEARCH_HIT                                                                                 \
    "hit as materialized (select h.id, h.rank from (select t.id,"                                  \
    " ts_rank(t.search, (select q.words from q))::float8 as rank from todo.tasks t"                \
    " where t.search @@ (select q.words from q) and $7::integer <> 2 and " OWN_AND_STATUS ") h"    \
    " where (h.rank, h.id) < ($5::float8, $6::bigint)"                                             \
    " order by h.rank desc, h.id desc limit $3::integer)"
#define SEARCH_NEAR                                                                                \
    "alike as materialized (select t.id, t.title from todo.tasks t"                                \
    " where t.search @@ (select q.starts from q) and " OWN_AND_STATUS                              \
    " and ($7 = 2 or $7 = 0 and not exists (select from hit)) limit " FUZZY_ALIKE "),"             \
    " newest as materialized (select t.id, t.title from todo.tasks t where t.user_id = $1"         \
    " and t.completed = any($4) and ($7 = 2 or $7 = 0 and not exists (select from hit))"           \
    " order by t.id desc limit " FUZZY_NEWEST "),"                                                 \
    " near as materialized (select s.id, s.rank from (select a.id,"                                \
    " todo.fuzzy_rank($2, a.title)::float8 as rank"                                                \
    " from (select * from alike union select * from newest) a) s"                                  \
    " where s.rank >= " FUZZY_MIN " and (s.rank, s.id) < ($5, $6)"                                 \
    " order by s.rank desc, s.id desc limit $3)"
#define HIGHLIGHT_TITLE                                                                            \
    "case when p.is_fuzzy then null"                                                               \
    " else ts_headline('pg_catalog.simple', t.title, (select q.plain from q), " TITLE_OPTIONS      \
    ") end"
#define HIGHLIGHT_TEXT                                                                             \
    "case when not p.is_fuzzy and ts_filter(t.search, '{b}') @@ (select q.some from q)"            \
    " then ts_headline('pg_catalog.simple', t.description, (select q.plain from q), " TEXT_OPTIONS \
    ") end"

/* clang-format off */

const struct db_stmt task_search_stmt = {
    .name = "task_search",
    .sql = "with q as materialized (select todo.search_query($1::bigint || '/', $2::text) as words,"
           " todo.search_query('', $2) as plain, todo.search_any($1 || '/', $2, 500) as some,"
           " todo.search_any($1 || '/', $2, 2) as starts), " SEARCH_HIT ", " SEARCH_NEAR ","
           " page as materialized (select id, rank, false as is_fuzzy from hit"
           " union all select id, rank, true from near)"
           " select -1::bigint, "
           TASK_LIST_COLUMNS
           ", p.rank, " HIGHLIGHT_TITLE ", " HIGHLIGHT_TEXT ", p.is_fuzzy"
           " from page p join todo.tasks t on t.user_id = $1 and t.id = p.id" TASK_JOINS
           " order by p.rank desc, p.id desc",
    .param_count = 7,
    .is_slow = true,
};

/* clang-format on */

enum { MODE_FIRST, MODE_WORDS, MODE_SIMILAR };

int db_task_search(struct db_pool *p, int64_t user_id, struct slice query, int status, int limit,
                   const struct db_cursor *cursor, db_task_list_fn fn, void *ctx, db_op_id *id,
                   struct error *err)
{
    static const char *const statuses[] = {"{f,t}", "{f}", "{t}"};
    bool has_cursor = cursor && cursor->is_set;
    struct db_args args = {0};
    params_int(&args, user_id);
    params_text(&args, query);
    params_int(&args, limit + 1);
    params_text(&args, slice_from_cstr(statuses[status + 1]));
    if (has_cursor) {
        params_double(&args, cursor->rank);
        params_int(&args, cursor->id);
        params_int(&args, cursor->is_fuzzy ? MODE_SIMILAR : MODE_WORDS);
    } else {
        params_text(&args, SLICE_LIT("infinity"));
        params_int(&args, 0);
        params_int(&args, MODE_FIRST);
    }
    struct db_call call = {.pool = p,
                           .stmt = &task_search_stmt,
                           .done = task_list_done,
                           .fn.list = fn,
                           .ctx = ctx,
                           .limit = limit,
                           .is_search = true};
    return call_submit(&call, &args, id, err);
}
