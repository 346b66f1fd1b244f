#include "support/unit.h"

#include "base/mem.h"

static void only_the_nth_allocation_fails(void **state)
{
    (void)state;
    mem_fail_nth(2);
    void *first = mem_alloc(8);
    void *second = mem_alloc(8);
    void *third = mem_alloc(8);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    mem_free(first);
    mem_free(third);
    mem_fail_nth(0);
}

static void every_way_to_allocate_is_counted(void **state)
{
    (void)state;
    char *kept = mem_strdup("kept");
    mem_fail_nth(1);
    assert_null(mem_calloc(1, 8));
    mem_fail_nth(1);
    assert_null(mem_realloc(kept, 64));
    mem_fail_nth(1);
    assert_null(mem_strdup("x"));
    mem_fail_nth(0);
    assert_string_equal(kept, "kept"); /* a failed realloc leaves the old block */
    mem_free(kept);
}

static void happened_tells_whether_the_fault_was_met(void **state)
{
    (void)state;
    mem_fail_nth(1);
    assert_false(mem_fail_happened());
    assert_null(mem_alloc(1));
    assert_true(mem_fail_happened());
    mem_fail_nth(0);
    assert_false(mem_fail_happened());
}

static void zero_switches_the_fault_off(void **state)
{
    (void)state;
    mem_fail_nth(1);
    mem_fail_nth(0);
    void *ptr = mem_alloc(1);
    assert_non_null(ptr);
    mem_free(ptr);
}

static void calloc_clears(void **state)
{
    (void)state;
    static const char zeros[64];
    char *ptr = mem_calloc(8, 8);
    assert_memory_equal(ptr, zeros, sizeof(zeros));
    mem_free(ptr);
}

static void free_takes_null(void **state)
{
    (void)state;
    mem_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_nth_allocation_fails),
        cmocka_unit_test(every_way_to_allocate_is_counted),
        cmocka_unit_test(happened_tells_whether_the_fault_was_met),
        cmocka_unit_test(zero_switches_the_fault_off),
        cmocka_unit_test(calloc_clears),
        cmocka_unit_test(free_takes_null),
    };
    return cmocka_run_group_tests_name("base/mem", tests, NULL, NULL);
}
