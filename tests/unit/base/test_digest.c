#include "support/unit.h"

#include "base/digest.h"

static void assert_digest(struct slice text, const char *hex)
{
    unsigned char digest[DIGEST_SIZE];
    char got[2 * DIGEST_SIZE + 1];
    assert_int_equal(digest_sha256(text, digest), 0);
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        snprintf(got + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(got, hex);
}

/* FIPS 180-4's examples. */
static void digests_are_sha_256(void **state)
{
    (void)state;
    assert_digest(SLICE_EMPTY, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_digest(SLICE_LIT("abc"),
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void a_difference_in_any_byte_is_seen(void **state)
{
    (void)state;
    unsigned char a[DIGEST_SIZE] = {1, 2, 3};
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        unsigned char b[DIGEST_SIZE];
        memcpy(b, a, sizeof(b));
        assert_true(digest_is_equal(a, b));
        b[i] ^= 0x80;
        assert_false(digest_is_equal(a, b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_sha_256),
        cmocka_unit_test(a_difference_in_any_byte_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
