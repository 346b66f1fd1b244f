/* Two walks: one over the chain of `properties`, where annotations are allowed, and one over
 * everything, to find those that are not. */
#include "mcp/header_param_int.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"

#define KEYWORD "x-mcp-header"
#define PREFIX  "Mcp-Param-"

struct walk {
    struct header_params *params;
    const char *path[HEADER_PARAM_DEPTH + 1];
    size_t depth;
    struct error *err;
};

static bool is_token(const char *text)
{
    static const char also[] = "!#$%&'*+-.^_`|~";
    if (!*text)
        return false;
    for (; *text; text++) {
        bool is_alnum = (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') ||
                        (*text >= 'A' && *text <= 'Z');
        if (!is_alnum && !strchr(also, *text))
            return false;
    }
    return true;
}

static bool is_mirrored_type(const char *type)
{
    return type && (strcmp(type, "string") == 0 || strcmp(type, "integer") == 0 ||
                    strcmp(type, "boolean") == 0);
}

static bool is_taken(const struct header_params *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strcasecmp(p->list[i].header + sizeof(PREFIX) - 1, name) == 0)
            return true;
    }
    return false;
}

static const char *fault_of(const struct walk *walk, const cJSON *schema, const cJSON *value)
{
    if (!cJSON_IsString(value) || !is_token(value->valuestring))
        return "must be a token, as HTTP's field names are";
    if (!is_mirrored_type(json_get_string(schema, "type")))
        return "stands only on a string, an integer or a boolean";
    return is_taken(walk->params, value->valuestring) ? "is used twice" : NULL;
}

/* The header's name and the path, in one block. */
static int fill(struct mcp_header_param *param, const struct walk *walk, const char *name)
{
    size_t texts = sizeof(PREFIX) + strlen(name);
    for (size_t i = 0; i < walk->depth; i++)
        texts += strlen(walk->path[i]) + 1;
    const char **path = mem_alloc((walk->depth + 1) * sizeof(*path) + texts);
    if (!path)
        return BASE_ENOMEM;
    char *at = (char *)(path + walk->depth + 1);
    for (size_t i = 0; i < walk->depth; i++) {
        size_t size = strlen(walk->path[i]) + 1;
        path[i] = memcpy(at, walk->path[i], size);
        at += size;
    }
    path[walk->depth] = NULL;
    param->path = path;
    param->header = at;
    memcpy(at, PREFIX, sizeof(PREFIX) - 1);
    memcpy(at + sizeof(PREFIX) - 1, name, strlen(name) + 1);
    return 0;
}

static int add(struct walk *walk, const char *name)
{
    struct header_params *p = walk->params;
    struct mcp_header_param *list = mem_realloc(p->list, (p->count + 1) * sizeof(*list));
    if (!list)
        return error_set(walk->err, BASE_ENOMEM, name, "out of memory");
    p->list = list;
    if (fill(&list[p->count], walk, name))
        return error_set(walk->err, BASE_ENOMEM, name, "out of memory");
    p->count++;
    return 0;
}

static int read_property(struct walk *walk, const cJSON *schema);

/* NOLINTNEXTLINE(misc-no-recursion): HEADER_PARAM_DEPTH deep at most */
static int read_properties(struct walk *walk, const cJSON *schema)
{
    const cJSON *properties = json_get(schema, "properties");
    const cJSON *property;
    if (walk->depth == HEADER_PARAM_DEPTH)
        return 0;
    cJSON_ArrayForEach(property, properties)
    {
        walk->path[walk->depth++] = property->string;
        int status = read_property(walk, property);
        walk->depth--;
        if (status)
            return status;
    }
    return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): as above */
static int read_property(struct walk *walk, const cJSON *schema)
{
    const cJSON *value = json_get(schema, KEYWORD);
    if (!value)
        return read_properties(walk, schema);
    const char *fault = fault_of(walk, schema, value);
    if (fault)
        return error_set(walk->err, BASE_EINVAL, KEYWORD, KEYWORD " of \"%.60s\" %s",
                         schema->string, fault);
    return add(walk, value->valuestring);
}

/* How often the keyword stands anywhere below. */
/* NOLINTNEXTLINE(misc-no-recursion): a parsed tree is at most JSON_DEPTH_MAX deep */
static size_t count_all(const cJSON *tree)
{
    size_t count = json_get(tree, KEYWORD) != NULL;
    const cJSON *child;
    cJSON_ArrayForEach(child, tree) count += count_all(child);
    return count;
}

int header_params_read(struct header_params *p, const cJSON *schema, struct error *err)
{
    struct walk walk = {.params = p, .err = err};
    *p = (struct header_params){0};
    int status = read_properties(&walk, schema);
    if (!status && count_all(schema) != p->count)
        status = error_set(err, BASE_EINVAL, KEYWORD,
                           KEYWORD " stands where no chain of properties leads");
    return status;
}

void header_params_deinit(struct header_params *p)
{
    for (size_t i = 0; i < p->count; i++)
        mem_free((void *)(uintptr_t)p->list[i].path);
    mem_free(p->list);
    *p = (struct header_params){0};
}
