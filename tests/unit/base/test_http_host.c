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

static void an_address_stays_where_it_is_and_a_name_may_not(void **state)
{
    (void)state;
    static const char *const fixed[] = {"localhost:8000", "127.0.0.1",   "[::1]:1",
                                        "10.1.2.3:8000",  "192.168.0.1", "[fd00::1]:8000"};
    static const char *const others[] = {
        "",
        "[",
        "[]",
        "evil.example",
        "127.0.0.1.evil.example:80",
        "1.2.3",
        "fd00::1",
        "[10.0.0.1]",
        "a-name-that-is-longer-than-any-numeric-address-could-ever-be.evil.example:8000"};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
        assert_true(http_host_is_fixed(slice_from_cstr(fixed[i])));
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_false(http_host_is_fixed(slice_from_cstr(others[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_is_a_name_and_not_its_beginning),
        cmocka_unit_test(an_address_stays_where_it_is_and_a_name_may_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
