#include "harness.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "support/unit.h"

static const char *text_of(struct texts *texts, struct slice s)
{
    char *text = texts->bytes + texts->used;
    assert_in_range(s.len, 0, HARNESS_TEXTS - texts->used - 1);
    if (s.len > 0)
        memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    texts->used += s.len + 1;
    return text;
}

static void on_send(struct mcp_out *out, struct slice json)
{
    struct request *r = (struct request *)out;
    assert_false(r->is_finished);
    assert_in_range(r->sent_count, 0, HARNESS_SENT_MAX - 1);
    r->sent[r->sent_count++] = text_of(&r->texts, json);
}

static void on_finish(struct mcp_out *out, struct slice json, int http_status)
{
    struct request *r = (struct request *)out;
    assert_false(r->is_finished);
    r->is_finished = true;
    r->http_status = http_status;
    r->missing_scopes = out->missing_scopes;
    r->answer = text_of(&r->texts, json);
}

static void on_notify(struct mcp_peer *peer, struct slice json)
{
    struct harness *h = (struct harness *)((char *)peer - offsetof(struct harness, peer));
    assert_in_range(h->notified_count, 0, HARNESS_SENT_MAX - 1);
    h->notified[h->notified_count++] = text_of(&h->texts, json);
}

void harness_init(struct harness *h, const struct mcp_server_info *info)
{
    memset(h, 0, sizeof(*h));
    h->identity = (struct mcp_identity){.user_id = 1, .subject = "ann", .scopes = 3};
    assert_int_equal(mcp_server_new(info, NULL, &h->server), 0);
    mcp_peer_init(&h->peer, h->server, &h->identity);
    h->peer.notify = on_notify;
}

void harness_deinit(struct harness *h)
{
    mcp_server_stop(h->server);
    mcp_peer_deinit(&h->peer);
    mcp_server_free(h->server);
}

static void dispatch(struct harness *h, struct request *r, const char *text, bool is_stateless,
                     const struct mcp_identity *identity)
{
    struct mcp_request_context rx = {.server = h->server,
                                     .peer = is_stateless ? NULL : &h->peer,
                                     .identity = identity,
                                     .is_stateless = is_stateless};
    struct mcp_message m;
    memset(r, 0, sizeof(*r));
    r->out = (struct mcp_out){.send = on_send, .finish = on_finish};
    mcp_message_parse(&m, slice_from_cstr(text));
    mcp_dispatch(&rx, &m, &r->out);
}

void harness_send(struct harness *h, struct request *r, const char *text)
{
    dispatch(h, r, text, false, &h->identity);
}

void harness_initialize(struct harness *h, const char *version, const char *capabilities)
{
    struct request r;
    char text[1024];
    snprintf(text, sizeof(text),
             "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{"
             "\"protocolVersion\":\"%s\",\"capabilities\":%s,\"clientInfo\":{}}}",
             version, capabilities);
    harness_send(h, &r, text);
    assert_has(r.answer, version);
    request_deinit(&r);
}

void harness_call(struct harness *h, struct request *r, const struct mcp_identity *identity, int id,
                  const char *method, const char *params, const char *capabilities)
{
    char text[8192];
    snprintf(text, sizeof(text),
             "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\",\"params\":{\"_meta\":{"
             "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
             "\"io.modelcontextprotocol/clientCapabilities\":%s}%s%s}}",
             id, method, capabilities, *params ? "," : "", params);
    dispatch(h, r, text, true, identity);
}

void request_deinit(struct request *r)
{
    assert_true(r->is_finished);
}

cJSON *request_answer(const struct request *r)
{
    assert_true(r->is_finished);
    cJSON *tree = json_parse(slice_from_cstr(r->answer), NULL);
    assert_non_null(tree);
    return tree;
}

int request_error_code(const struct request *r)
{
    cJSON *tree = request_answer(r);
    int64_t code = 0;
    (void)json_as_int(json_get(json_get(tree, "error"), "code"), &code);
    cJSON_Delete(tree);
    return (int)code;
}

void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("expected %s\nin %s", part, text);
}

void assert_has_not(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("did not expect %s\nin %s", part, text);
}
