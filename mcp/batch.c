/* Batches, which only 2025-03-26 has: each member is a message on its own, and the answers come
 * back as one array when the last of them is there. */
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "mcp/server_int.h"

struct batch {
    struct mcp_out *out;
    struct buf answers;
    size_t pending; /* members, and one for the loop that starts them */
};

struct batch_member {
    struct mcp_out out;
    struct batch *batch;
};

static void batch_release(struct batch *batch)
{
    if (--batch->pending > 0)
        return;
    struct mcp_out *out = batch->out;
    if (batch->answers.len == 0 && !buf_status(&batch->answers)) {
        out->finish(out, SLICE_EMPTY, 202);
        buf_deinit(&batch->answers);
    } else {
        buf_append_char(&batch->answers, ']');
        finish_with(&batch->answers, 200, out);
    }
    mem_free(batch);
}

static void batch_send(struct mcp_out *out, struct slice json)
{
    struct batch_member *member = (struct batch_member *)out;
    member->batch->out->send(member->batch->out, json);
}

static void batch_finish(struct mcp_out *out, struct slice json, int http_status)
{
    struct batch_member *member = (struct batch_member *)out;
    struct batch *batch = member->batch;
    (void)http_status;
    if (json.len > 0) {
        buf_append_char(&batch->answers, batch->answers.len > 0 ? ',' : '[');
        buf_append_slice(&batch->answers, json);
    }
    mem_free(member);
    batch_release(batch);
}

static void start_member(const struct mcp_request_context *rx, struct batch *batch,
                         cJSON *take_tree)
{
    struct batch_member *member = mem_calloc(1, sizeof(*member));
    if (!member) {
        cJSON_Delete(take_tree);
        batch->answers.status = BASE_ENOMEM;
        return;
    }
    struct mcp_message m;
    member->out = (struct mcp_out){.send = batch_send, .finish = batch_finish};
    member->batch = batch;
    batch->pending++;
    mcp_message_from_tree(&m, take_tree);
    if (m.kind == MCP_BATCH) {
        m.kind = MCP_INVALID;
        m.error_code = MCP_INVALID_REQUEST;
        snprintf(m.error_text, sizeof(m.error_text), "a batch within a batch");
    }
    dispatch_one(&(struct exchange){.rx = rx, .message = &m, .out = &member->out});
    mcp_message_deinit(&m); /* nothing to free where a call took it over */
}

void dispatch_batch(struct exchange *x)
{
    const struct mcp_peer *peer = x->rx->peer;
    bool has_batches = peer && peer->is_initialized && peer->revision == MCP_2025_03_26;
    struct batch *batch = has_batches ? mem_calloc(1, sizeof(*batch)) : NULL;
    if (!batch) {
        finish_error(x->rx, NULL, true, has_batches ? MCP_INTERNAL_ERROR : MCP_INVALID_REQUEST,
                     has_batches ? "out of memory" : "this protocol revision has no batches", 400,
                     x->out);
        return;
    }
    batch->out = x->out;
    batch->pending = 1;
    buf_init(&batch->answers, MCP_ANSWER_BYTES_MAX);
    cJSON *root = x->message->root;
    while (root->child)
        start_member(x->rx, batch, cJSON_DetachItemViaPointer(root, root->child));
    batch_release(batch);
}
