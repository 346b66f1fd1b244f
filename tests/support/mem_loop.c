#include "support/mem_loop.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"

#define ROUNDS_MAX 100000

bool mem_loop_next(struct mem_loop *loop)
{
    bool is_over = loop->nth > 0 && !mem_loop_has_failed(loop);
    if (is_over && loop->nth == 1)
        fail_msg("the operation allocates nothing: the loop tests nothing");
    if (loop->nth == ROUNDS_MAX)
        fail_msg("the operation still fails after %d rounds", ROUNDS_MAX);
    loop->nth++;
    loop->has_failed = false;
    mem_fail_nth(is_over ? 0 : loop->nth);
    return !is_over;
}

bool mem_loop_has_failed(struct mem_loop *loop)
{
    loop->has_failed = loop->has_failed || mem_fail_happened();
    mem_fail_nth(0);
    return loop->has_failed;
}

void mem_loop_expect(struct mem_loop *loop, int status, int expected)
{
    assert_int_equal(status, mem_loop_has_failed(loop) ? expected : 0);
}

void mem_loop_hook_cjson(void)
{
    cJSON_Hooks hooks = {.malloc_fn = mem_alloc, .free_fn = mem_free};
    cJSON_InitHooks(&hooks);
}
