/* apps/shared/trim: what was given back is not resident, and all goes on. */
#include "support/unit.h"

#include <math.h>

#include "shared/trim.h"

/* kB of code that is resident, of files that are not this program's sanitizers'. */
static long resident_code(void)
{
    char line[1024];
    long sum = 0;
    bool is_code = false;
    FILE *file = fopen("/proc/self/smaps", "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' '))
            is_code = strstr(line, " r-xp ") && strchr(line, '/');
        else if (is_code && strncmp(line, "Rss:", 4) == 0)
            sum += strtol(line + 4, NULL, 10);
    }
    fclose(file);
    return sum;
}

static double call_a_library(double x)
{
    return sin(x) + cos(x) + lgamma(x);
}

static void code_that_is_not_running_is_given_back(void **state)
{
    (void)state;
    double before = call_a_library(7);
    long resident = resident_code();
    trim_memory();
    assert_true(resident_code() < resident);
    assert_true(call_a_library(7) == before);
    trim_memory();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(code_that_is_not_running_is_given_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
