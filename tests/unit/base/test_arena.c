#include "support/unit.h"

#include "base/arena.h"
#include "base/error.h"
#include "support/mem_loop.h"

#define MIB ((size_t)1024 * 1024)

static void allocations_are_aligned_and_apart(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, MIB);
    for (size_t size = 0; size < 300; size++) {
        char *ptr = arena_alloc(&a, size);
        assert_non_null(ptr);
        assert_int_equal((uintptr_t)ptr % 16, 0);
        memset(ptr, (int)size, size);
        char *next = arena_alloc(&a, 1);
        *next = '#';
        for (size_t i = 0; i < size; i++)
            assert_int_equal((unsigned char)ptr[i], (unsigned char)size);
    }
    arena_deinit(&a);
}

static void many_blocks_are_freed_at_once(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 8 * MIB);
    for (int i = 0; i < 20000; i++)
        assert_non_null(arena_calloc(&a, 10, 10));
    arena_deinit(&a);
    assert_null(a.head);
    assert_int_equal(a.used_bytes, 0);
}

static void a_large_allocation_leaves_the_open_block_in_use(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, MIB);
    char *before = arena_alloc(&a, 16);
    assert_non_null(arena_alloc(&a, 100000));
    char *after = arena_alloc(&a, 16);
    assert_ptr_equal(after, before + 16);
    arena_deinit(&a);
}

static void past_the_limit_comes_null_and_what_fits_still_goes(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64);
    assert_non_null(arena_alloc(&a, 40)); /* takes 48 */
    assert_null(arena_alloc(&a, 17));
    assert_non_null(arena_alloc(&a, 16));
    assert_null(arena_alloc(&a, 0));
    arena_deinit(&a);
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    assert_null(arena_calloc(&a, SIZE_MAX / 2, 3));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 15));
    arena_deinit(&a);
}

static void calloc_clears(void **state)
{
    (void)state;
    static const char zeros[48];
    struct arena a;
    arena_init(&a, MIB);
    assert_memory_equal(arena_calloc(&a, 3, 16), zeros, 48);
    arena_deinit(&a);
}

static void copies_end_with_nul(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, MIB);
    assert_string_equal(arena_strdup(&a, "text"), "text");
    assert_string_equal(arena_copy(&a, (struct slice){"text", 2}), "te");
    assert_string_equal(arena_copy(&a, SLICE_EMPTY), "");
    assert_string_equal(arena_join(&a, SLICE_LIT("task/"), (struct slice){"71", 1}), "task/7");
    assert_string_equal(arena_join(&a, SLICE_EMPTY, SLICE_EMPTY), "");
    assert_string_equal(arena_printf(&a, "%s-%d", "a", 7), "a-7");
    arena_deinit(&a);
}

static void deinit_of_an_unused_arena_does_nothing(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, MIB);
    arena_deinit(&a);
    arena_deinit(&a);
}

static int fill(struct arena *a)
{
    for (int i = 0; i < 100; i++) {
        if (!arena_alloc(a, 500) || !arena_printf(a, "%d", i) || !arena_strdup(a, "text"))
            return BASE_ENOMEM;
    }
    return arena_alloc(a, 70000) ? 0 : BASE_ENOMEM;
}

static void a_failed_allocation_gives_null_and_the_rest_is_freed(void **state)
{
    (void)state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct arena a;
        arena_init(&a, MIB);
        mem_loop_expect(&loop, fill(&a), BASE_ENOMEM);
        assert_non_null(arena_alloc(&a, 5000)); /* it goes on working */
        arena_deinit(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(many_blocks_are_freed_at_once),
        cmocka_unit_test(a_large_allocation_leaves_the_open_block_in_use),
        cmocka_unit_test(past_the_limit_comes_null_and_what_fits_still_goes),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(calloc_clears),
        cmocka_unit_test(copies_end_with_nul),
        cmocka_unit_test(deinit_of_an_unused_arena_does_nothing),
        cmocka_unit_test(a_failed_allocation_gives_null_and_the_rest_is_freed),
    };
    return cmocka_run_group_tests_name("base/arena", tests, NULL, NULL);
}
