#include "support/unit.h"

#include "base/http_host.h"

static void loopback_is_a_name_and_not_its_beginning(void **state)
{
    (void)state;
    static const struct {
        const char *authority;
        bool is_loopback;
    } rows[] = {
        {"localhost", true},
        {"LOCALHOST:8000", true},
        {"127.0.0.1", true},
        {"127.0.0.1:1", true},
        {"[::1]", true},
        {"[::1]:8000", true},
        {"", false},
        {":8000", false},
        {"[", false},
        {"[::1", false},
        {"[::1].evil.example", false},
        {"::1", false},
        {"localhost.", false},
        {"localhost.evil.example", false},
        {"127.0.0.1.evil.example:80", false},
        {"evil.example", false},
        {"evil.example:localhost", false},
        {"localhost@evil.example", false},
        {"127.1", false},
        {"0.0.0.0", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(http_host_is_loopback(slice_from_cstr(rows[i].authority)),
                         rows[i].is_loopback);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_is_a_name_and_not_its_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
