/* What the server is, and its life. */
#include "mcp/server.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "mcp/call_int.h"
#include "mcp/server_int.h"
#include "mcp/subscribe_int.h"
#include "mcp/task_int.h"

#define IDENTITY_BYTES_MAX  (1u << 20)
#define CALLS_DEFAULT       4096
#define TASKS_DEFAULT       1024
#define SUBSCRIBERS_DEFAULT 16384
#define ASK_MS_DEFAULT      (10 * 60 * 1000)

static const char *const revision_names[MCP_REVISIONS] = {"2025-03-26", "2025-06-18", "2025-11-25",
                                                          "2026-07-28"};

const char *mcp_revision_name(enum mcp_revision revision)
{
    return revision_names[revision];
}

bool mcp_revision_parse(const char *name, enum mcp_revision *out)
{
    for (int i = 0; i < MCP_REVISIONS; i++) {
        if (strcmp(name, revision_names[i]) == 0) {
            *out = (enum mcp_revision)i;
            return true;
        }
    }
    return false;
}

bool text_copy(const char **text)
{
    if (!*text)
        return true;
    *text = mem_strdup(*text);
    return *text != NULL;
}

void text_free(const char *text)
{
    mem_free((void *)(uintptr_t)text);
}

void write_icons(struct json_writer *w, const struct mcp_icon *icon)
{
    if (!icon->src)
        return;
    json_key(w, "icons");
    json_begin_array(w);
    json_begin_object(w);
    json_key_string(w, "src", icon->src);
    if (icon->mime_type)
        json_key_string(w, "mimeType", icon->mime_type);
    if (icon->sizes) {
        json_key(w, "sizes");
        json_begin_array(w);
        for (const char *at = icon->sizes; *at;) {
            size_t len = strcspn(at, " ");
            json_slice(w, (struct slice){at, len});
            at += len + strspn(at + len, " ");
        }
        json_end_array(w);
    }
    json_end_object(w);
    json_end_array(w);
}

static void render_identity(struct mcp_server *s)
{
    struct json_writer w;
    json_writer_init(&w, &s->identity_json);
    json_begin_object(&w);
    json_key_string(&w, "name", s->info.name);
    if (s->info.title)
        json_key_string(&w, "title", s->info.title);
    json_key_string(&w, "version", s->info.version);
    if (s->info.website_url)
        json_key_string(&w, "websiteUrl", s->info.website_url);
    write_icons(&w, &s->info.icon);
    json_end_object(&w);
}

static void set_default(uint32_t *value, uint32_t fallback)
{
    if (*value == 0)
        *value = fallback;
}

static int take_seal_key(struct mcp_server *s)
{
    if (s->info.seal_key)
        memcpy(s->seal_key, s->info.seal_key, SEAL_KEY_BYTES);
    else if (getrandom(s->seal_key, SEAL_KEY_BYTES, 0) != SEAL_KEY_BYTES)
        return -errno;
    s->info.seal_key = NULL;
    return 0;
}

/* All are tried, so that none stays borrowed: free_texts frees them all. */
static bool copy_texts(struct mcp_server_info *info)
{
    const char **const texts[] = {&info->name,           &info->title,        &info->version,
                                  &info->website_url,    &info->instructions, &info->icon.src,
                                  &info->icon.mime_type, &info->icon.sizes};
    bool is_copied = true;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        is_copied = text_copy(texts[i]) && is_copied;
    return is_copied;
}

static void free_texts(struct mcp_server_info *info)
{
    text_free(info->name);
    text_free(info->title);
    text_free(info->version);
    text_free(info->website_url);
    text_free(info->instructions);
    text_free(info->icon.src);
    text_free(info->icon.mime_type);
    text_free(info->icon.sizes);
}

int mcp_server_new(const struct mcp_server_info *info, const struct log *log,
                   struct mcp_server **out)
{
    struct mcp_server *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return BASE_ENOMEM;
    s->info = *info;
    s->log = log;
    set_default(&s->info.calls_max, CALLS_DEFAULT);
    set_default(&s->info.tasks_max, TASKS_DEFAULT);
    set_default(&s->info.subscribers_max, SUBSCRIBERS_DEFAULT);
    set_default(&s->info.ask_ms, ASK_MS_DEFAULT);
    buf_init(&s->identity_json, IDENTITY_BYTES_MAX);
    int status = copy_texts(&s->info) ? 0 : BASE_ENOMEM;
    if (!status)
        status = take_seal_key(s);
    if (!status)
        render_identity(s);
    if (!status)
        status = buf_status(&s->identity_json);
    if (status)
        mcp_server_free(s);
    else
        *out = s;
    return status;
}

void mcp_server_stop(struct mcp_server *s)
{
    s->is_stopping = true;
    listen_end_all(s);
    while (s->waiting)
        call_cancel(s->waiting);
    tasks_stop(s);
}

void mcp_server_free(struct mcp_server *s)
{
    if (!s)
        return;
    tasks_free(s);
    assert(s->stats.in_flight == 0);
    assert(!s->subscribers);
    catalog_deinit(&s->tools);
    catalog_deinit(&s->resources);
    catalog_deinit(&s->templates);
    catalog_deinit(&s->prompts);
    subscription_table_deinit(&s->subscriptions);
    buf_deinit(&s->identity_json);
    free_texts(&s->info);
    mem_free(s);
}

void mcp_server_tick(struct mcp_server *s)
{
    calls_expire(s, clock_monotonic_us());
    tasks_expire(s, clock_monotonic_us());
    listen_expire(s, clock_now_us());
}

void mcp_server_stats(const struct mcp_server *s, struct mcp_server_stats *out)
{
    *out = s->stats;
}
