/* apps/shared/trim: what was given back is not resident, and all goes on. */
#include "support/unit.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/trim.h"

/* kB that is resident of files' mappings with these permissions. */
static long resident(const char *permissions)
{
    char line[1024];
    long sum = 0;
    bool is_wanted = false;
    FILE *file = fopen("/proc/self/smaps", "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' '))
            is_wanted = strstr(line, permissions) && strchr(line, '/');
        else if (is_wanted && strncmp(line, "Rss:", 4) == 0)
            sum += strtol(line + 4, NULL, 10);
    }
    fclose(file);
    return sum;
}

static double call_a_library(double x)
{
    return sin(x) + cos(x) + lgamma(x);
}

static void what_is_not_used_is_given_back(void **state)
{
    (void)state;
    double before = call_a_library(7);
    long code = resident(" r-xp "), tables = resident(" r--p ");
    trim_memory();
    assert_true(resident(" r-xp ") < code);
    assert_true(resident(" r--p ") < tables);
    assert_true(call_a_library(7) == before);
    trim_memory();
}

/* As the linker leaves relocated data: read-only, but not as it is in the file. */
static void what_was_written_to_stays(void **state)
{
    (void)state;
    char name[] = "/tmp/test-trim-XXXXXX";
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    int fd = mkstemp(name);
    assert_true(fd >= 0 && unlink(name) == 0 && ftruncate(fd, (off_t)(2 * size)) == 0);
    char *page = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_true(page != MAP_FAILED);
    page[size] = 'x';
    assert_int_equal(mprotect(page, 2 * size, PROT_READ), 0);
    trim_memory();
    assert_int_equal(page[size], 'x');
    munmap(page, 2 * size);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_used_is_given_back),
        cmocka_unit_test(what_was_written_to_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
