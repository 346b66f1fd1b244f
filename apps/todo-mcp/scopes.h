#pragma once
/* apps/todo-mcp/scopes: the names of what a caller may do. */
#include <stddef.h>
#include <stdint.h>

#include "mcp/auth.h"

#define SCOPES_COUNT     2
#define SCOPES_TEXT_SIZE 64 /* of all names, parted by spaces */

/* Each by itself: neither contains the other. */
extern const struct mcp_auth_scope scopes_table[SCOPES_COUNT];

/* Names parted by spaces or commas -> bits. False: one is unknown, and `bits` has the others. */
bool scopes_parse(struct slice text, uint32_t *bits);
/* The names, parted by spaces; returns `out`. */
const char *scopes_format(uint32_t bits, char out[SCOPES_TEXT_SIZE]);
