/* mcp_serve: starts that fail, the end by a signal, memory that runs out. stdio and the answers are
 * tested by the conformance suite and the installed server. */
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/error.h"
#include "base/mem.h"
#include "mcp/http.h"
#include "mcp/serve.h"
#include "mcp/server.h"
#include "support/mem_loop.h"
#include "support/unit.h"

struct served {
    uv_loop_t loop;
    struct mcp_server *server;
    struct error err;
};

static const struct mcp_server_info info = {.name = "test", .version = "1"};

static int set_up(void **state)
{
    struct served *served = mem_calloc(1, sizeof(*served));
    assert_non_null(served);
    *state = served;
    assert_int_equal(uv_loop_init(&served->loop), 0);
    return mcp_server_new(&info, NULL, &served->server);
}

/* Whatever happened, no handle is left. */
static int tear_down(void **state)
{
    struct served *served = *state;
    mcp_server_free(served->server);
    assert_int_equal(uv_loop_close(&served->loop), 0);
    mem_free(served);
    return 0;
}

static void refuses_an_address_that_others_reach_while_nobody_authenticates(void **state)
{
    struct served *served = *state;
    const struct mcp_serve_options options = {.host = "0.0.0.0"};
    assert_int_equal(mcp_serve(&served->loop, served->server, &options, NULL, &served->err),
                     BASE_EINVAL);
    assert_string_equal(served->err.field, "host");
}

static void says_that_its_port_is_taken(void **state)
{
    struct served *served = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int taken = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(taken, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(taken, 1), 0);
    assert_int_equal(getsockname(taken, (struct sockaddr *)&address, &len), 0);
    const struct mcp_serve_options options = {.port = ntohs(address.sin_port)};
    assert_int_equal(mcp_serve(&served->loop, served->server, &options, NULL, &served->err),
                     UV_EADDRINUSE);
    close(taken);
}

static void raise_when_watched(uv_handle_t *handle, void *is_raised)
{
    if (uv_handle_get_type(handle) != UV_SIGNAL || !uv_is_active(handle) || *(bool *)is_raised)
        return;
    *(bool *)is_raised = true;
    raise(SIGTERM);
}

/* No start, no signal: it would end this program. */
static void on_timer(uv_timer_t *timer)
{
    bool is_raised = false;
    uv_close((uv_handle_t *)timer, NULL);
    uv_walk(timer->loop, raise_when_watched, &is_raised);
}

/* Serves until a signal that comes at once. */
static int serve_shortly(struct served *served)
{
    const struct mcp_serve_options options = {0};
    uv_timer_t timer;
    uv_timer_init(&served->loop, &timer);
    uv_timer_start(&timer, on_timer, 0, 0);
    return mcp_serve(&served->loop, served->server, &options, NULL, &served->err);
}

static void ends_on_a_signal(void **state)
{
    struct served *served = *state;
    assert_int_equal(serve_shortly(served), 0);
}

static void a_start_without_memory_leaves_nothing_open(void **state)
{
    struct served *served = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        int status = serve_shortly(served);
        if (mem_loop_has_failed(&loop) && status)
            assert_int_equal(status, BASE_ENOMEM);
        else
            assert_int_equal(status, 0);
        assert_int_equal(uv_loop_alive(&served->loop), 0);
        mcp_server_free(served->server);
        assert_int_equal(mcp_server_new(&info, NULL, &served->server), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            refuses_an_address_that_others_reach_while_nobody_authenticates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_that_its_port_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_on_a_signal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_start_without_memory_leaves_nothing_open, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
