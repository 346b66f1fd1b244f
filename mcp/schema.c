/* Compile: copy the document -> nodes (schema_compile.c) -> follow each $ref -> refuse loops that
 * lead to the same value again. */
#include "mcp/schema.h"

#include "base/error.h"
#include "base/mem.h"
#include "mcp/schema_int.h"

#define KEY_BYTES 256

/* ---- $ref ---- */

static int hex_value(char c)
{
    const char *digits = "0123456789abcdefABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    int value = at ? (int)(at - digits) : -1;
    return value > 15 ? value - 6 : value;
}

/* "%25" -> "%", in place; false when malformed. */
static bool decode_percent(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        if (*in != '%') {
            *out++ = *in;
            continue;
        }
        int high = hex_value(in[1]);
        int low = high < 0 ? -1 : hex_value(in[2]);
        if (low < 0)
            return false;
        *out++ = (char)(high * 16 + low);
        in += 2;
    }
    *out = '\0';
    return true;
}

/* "~0" -> "~" and "~1" -> "/", in place. */
static void decode_tilde(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        bool is_escape = *in == '~' && (in[1] == '0' || in[1] == '1');
        in += is_escape;
        *out = *in;
        if (is_escape)
            *out = *in == '0' ? '~' : '/';
        out++;
    }
    *out = '\0';
}

/* One step of a JSON pointer within a URI fragment. *at moves past it; false when it is malformed
 * or too long. */
static bool read_step(const char **at, char *key)
{
    size_t len = strcspn(*at, "/");
    if (len >= KEY_BYTES)
        return false;
    memcpy(key, *at, len);
    key[len] = '\0';
    *at += len;
    if (!decode_percent(key))
        return false;
    decode_tilde(key);
    return true;
}

static const cJSON *find_step(const cJSON *in, const char *key)
{
    if (!cJSON_IsArray(in))
        return json_get(in, key);
    size_t index = 0;
    for (const char *c = key; *c; c++) {
        if (*c < '0' || *c > '9' || index > SCHEMA_NODES_MAX)
            return NULL;
        index = index * 10 + (size_t)(*c - '0');
    }
    const cJSON *item = *key ? in->child : NULL;
    while (item && index-- > 0)
        item = item->next;
    return item;
}

static const cJSON *find_pointer(const cJSON *document, const char *pointer)
{
    const cJSON *found = document;
    char key[KEY_BYTES];
    while (found && *pointer == '/') {
        pointer++;
        found = read_step(&pointer, key) ? find_step(found, key) : NULL;
    }
    return *pointer ? NULL : found;
}

static const cJSON *find_anchor(const struct mcp_schema *s, const char *name)
{
    for (const struct schema_node *node = s->nodes; node; node = node->next) {
        const char *anchor = json_get_string(node->source, "$anchor");
        const char *id = json_get_string(node->source, "$id"); /* draft-07's anchor */
        if ((anchor && strcmp(anchor, name) == 0) ||
            (id && id[0] == '#' && strcmp(id + 1, name) == 0))
            return node->source;
    }
    return NULL;
}

/* What is behind '#', or NULL when the reference leaves the document. */
static const char *local_part(const struct mcp_schema *s, const char *ref)
{
    const char *id = json_get_string(s->document, "$id");
    const char *hash = strchr(ref, '#');
    size_t len = hash ? (size_t)(hash - ref) : strlen(ref);
    size_t id_len = id ? strcspn(id, "#") : 0;
    if (len > 0 && (len != id_len || memcmp(id, ref, len) != 0))
        return NULL;
    return hash ? hash + 1 : ref + len;
}

static struct schema_node *find_node(const struct mcp_schema *s, const cJSON *source)
{
    struct schema_node *node = s->nodes;
    while (node && node->source != source)
        node = node->next;
    return node;
}

static int follow(struct mcp_schema *s, struct schema_node *node, struct error *err)
{
    const struct schema_place whole = {0};
    const struct schema_place place = schema_place_key(&whole, "$ref");
    const char *local = local_part(s, node->ref_text);
    if (!local)
        return schema_refuse(err, BASE_EINVAL, &place,
                             "$ref \"%.100s\" leaves the document, which is not fetched",
                             node->ref_text);
    bool is_pointer = *local == '\0' || *local == '/';
    const cJSON *target = is_pointer ? find_pointer(s->document, local) : find_anchor(s, local);
    if (!target)
        return schema_refuse(err, BASE_EINVAL, &place, "$ref \"%.100s\" leads nowhere",
                             node->ref_text);
    node->ref = find_node(s, target);
    return node->ref ? 0 : schema_compile_node(s, target, &place, &node->ref, err);
}

/* What a reference leads to may be compiled only now, and hold references itself: new nodes come
 * to the front of the list, so start over until nothing is left. */
static int follow_all(struct mcp_schema *s, struct error *err)
{
    struct schema_node *node = s->nodes;
    while (node) {
        size_t count = s->node_count;
        int status = node->ref_text && !node->ref ? follow(s, node, err) : 0;
        if (status)
            return status;
        node = s->node_count > count ? s->nodes : node->next;
    }
    return 0;
}

/* ---- loops ---- */

static bool has_loop(struct schema_node *node);

/* NOLINTNEXTLINE(misc-no-recursion): each node is opened once. */
static bool has_loop_in(const struct schema_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (has_loop(list->at[i]))
            return true;
    }
    return false;
}

/* True when the node comes to itself again with the same value in hand. */
/* NOLINTNEXTLINE(misc-no-recursion): each node is opened once. */
static bool has_loop(struct schema_node *node)
{
    if (!node || node->visit == SCHEMA_DONE)
        return false;
    if (node->visit == SCHEMA_OPEN)
        return true;
    node->visit = SCHEMA_OPEN;
    bool found = has_loop(node->ref) || has_loop(node->negated) || has_loop(node->condition) ||
                 has_loop(node->consequence) || has_loop(node->alternative) ||
                 has_loop_in(&node->all_of) || has_loop_in(&node->any_of) ||
                 has_loop_in(&node->one_of);
    for (size_t i = 0; i < node->dependent_schemas.count && !found; i++)
        found = has_loop(node->dependent_schemas.at[i].node);
    node->visit = SCHEMA_DONE;
    return found;
}

static int refuse_loops(struct mcp_schema *s, struct error *err)
{
    for (struct schema_node *node = s->nodes; node; node = node->next) {
        if (has_loop(node))
            return error_set(err, BASE_EINVAL, "/$ref",
                             "$ref \"%.100s\" comes back to itself without going into the value",
                             node->ref_text ? node->ref_text : "");
    }
    return 0;
}

/* ---- the public functions ---- */

/* NOLINTNEXTLINE(misc-no-recursion): bounded by `left`. */
static bool is_deeper_than(const cJSON *tree, unsigned left)
{
    if (!tree->child)
        return false;
    for (const cJSON *child = tree->child; left > 0 && child; child = child->next) {
        if (is_deeper_than(child, left - 1))
            return true;
    }
    return left == 0;
}

static int compile(struct mcp_schema *s, const cJSON *source, struct error *err)
{
    const struct schema_place whole = {0};
    if (!source || is_deeper_than(source, JSON_DEPTH_MAX))
        return error_set(err, source ? BASE_ELIMIT : BASE_EINVAL, "",
                         source ? "nested deeper than %d levels" : "no schema", JSON_DEPTH_MAX);
    s->document = cJSON_Duplicate(source, true);
    if (!s->document)
        return error_set(err, BASE_ENOMEM, "", "out of memory");
    const char *dialect = json_get_string(s->document, "$schema");
    s->is_draft_07 = dialect && strstr(dialect, "draft-07");
    int status = schema_compile_node(s, s->document, &whole, &s->root, err);
    if (!status)
        status = follow_all(s, err);
    return status ? status : refuse_loops(s, err);
}

int mcp_schema_compile(const cJSON *schema, struct mcp_schema **out, struct error *err)
{
    struct mcp_schema *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_set(err, BASE_ENOMEM, "", "out of memory");
    arena_init(&s->arena, SCHEMA_ARENA_BYTES);
    int status = compile(s, schema, err);
    if (status) {
        mcp_schema_free(s);
        return status;
    }
    *out = s;
    return 0;
}

void mcp_schema_free(struct mcp_schema *s)
{
    if (!s)
        return;
    for (struct schema_pattern *p = s->patterns; p; p = p->next)
        regfree(&p->regex);
    cJSON_Delete(s->document);
    arena_deinit(&s->arena);
    mem_free(s);
}

int mcp_schema_check(const struct mcp_schema *s, const cJSON *value, struct mcp_schema_fault *fault)
{
    struct schema_check c = {.fault = fault};
    const struct schema_place whole = {0};
    bool is_fit = schema_check_node(&c, s->root, value, &whole);
    if (c.is_exhausted && fault)
        schema_fault_exhausted(fault);
    return is_fit && !c.is_exhausted ? 0 : BASE_EINVAL;
}
