#pragma once
/* tools/complete: suggests values while a person types: names and ids of categories and tags from
 * the database, statuses and priorities. `ctx` is the struct tools. */
struct mcp_call;

/* The id of the template category://{id}: by the first digits, or by the name's beginning. */
void complete_category_id(void *ctx, struct mcp_call *call);
/* An argument of a prompt: category, tag, status or priority; nothing for others. */
void complete_argument(void *ctx, struct mcp_call *call);
