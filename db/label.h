#pragma once
/* db/label: the SQL of categories and tags, which have the same shape: a name unique to the user
 * and an optional colour. Conventions as in db/task.h. */
#include "db/task.h"

enum db_label_kind { DB_CATEGORY, DB_TAG };
#define DB_CATEGORIES_MAX 50
#define DB_TAGS_MAX       100

struct db_label_reply {
    enum db_outcome outcome;
    const struct db_label *labels; /* one for create and update; all by name for list and get */
    int count;
    bool changed;
    int64_t tasks_affected; /* delete */
};
typedef void (*db_label_fn)(void *ctx, int status, const struct db_label_reply *reply,
                            const struct error *err);

/* Colour empty: none. DB_NAME_TAKEN, DB_LIMIT_EXCEEDED. */
int db_label_create(struct db_pool *p, enum db_label_kind kind, int64_t user_id, struct slice name,
                    struct slice color, db_label_fn fn, void *ctx, db_op_id *id, struct error *err);
int db_label_list(struct db_pool *p, enum db_label_kind kind, int64_t user_id, db_label_fn fn,
                  void *ctx, db_op_id *id, struct error *err);
/* As the list, with the one or none. */
int db_label_get(struct db_pool *p, enum db_label_kind kind, int64_t user_id, int64_t label_id,
                 db_label_fn fn, void *ctx, db_op_id *id, struct error *err);
struct db_label_patch {
    bool set_name, set_color;
    struct slice name, color; /* empty colour removes */
};
int db_label_update(struct db_pool *p, enum db_label_kind kind, int64_t user_id, int64_t label_id,
                    const struct db_label_patch *patch, db_label_fn fn, void *ctx, db_op_id *id,
                    struct error *err);
/* Tasks stay; each that lost the label has a task.updated in the outbox. */
int db_label_delete(struct db_pool *p, enum db_label_kind kind, int64_t user_id, int64_t label_id,
                    struct slice traceparent, db_label_fn fn, void *ctx, db_op_id *id,
                    struct error *err);
