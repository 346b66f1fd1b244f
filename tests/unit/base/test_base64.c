#include "base/base64.h"

#include "base/buf.h"
#include "base/error.h"
#include "support/mem_loop.h"
#include "support/unit.h"

/* RFC 4648 section 10. */
static const struct vector {
    const char *plain, *padded;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};
#define VECTORS (sizeof(vectors) / sizeof(*vectors))

static void assert_text(const struct buf *b, const char *expected)
{
    assert_int_equal(buf_status(b), 0);
    assert_int_equal(b->len, strlen(expected));
    assert_memory_equal(b->ptr ? b->ptr : "", expected, b->len);
}

static void encodes_the_vectors_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTORS; i++) {
        struct buf b;
        buf_init(&b, 100);
        base64_append(&b, slice_from_cstr(vectors[i].plain));
        assert_text(&b, vectors[i].padded);
        buf_deinit(&b);
    }
}

static void decodes_the_vectors_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTORS; i++) {
        char out[16];
        size_t len;
        assert_int_equal(base64_decode(slice_from_cstr(vectors[i].padded), out, &len), 0);
        assert_int_equal(len, strlen(vectors[i].plain));
        assert_memory_equal(out, vectors[i].plain, len);
    }
}

static void the_url_alphabet_has_neither_padding_nor_slashes(void **state)
{
    (void)state;
    struct buf b;
    char out[16];
    size_t len;
    buf_init(&b, 100);
    base64url_append(&b, SLICE_LIT("\xff\xef\xfe\xff"));
    assert_text(&b, "_-_-_w");
    assert_int_equal(base64url_decode(buf_slice(&b), out, &len), 0);
    assert_int_equal(len, 4);
    assert_memory_equal(out, "\xff\xef\xfe\xff", 4);
    buf_deinit(&b);
}

static void any_bytes_come_back_in_place(void **state)
{
    (void)state;
    char bytes[256];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    for (size_t count = 0; count <= sizeof(bytes); count++) {
        struct buf b;
        size_t len;
        buf_init(&b, 1000);
        buf_append_cstr(&b, "x");
        base64_append(&b, (struct slice){bytes, count});
        struct slice text = {b.ptr + 1, b.len - 1};
        assert_int_equal(base64_decode(text, b.ptr + 1, &len), 0);
        assert_int_equal(len, count);
        assert_memory_equal(b.ptr + 1, bytes, count);
        buf_deinit(&b);
    }
}

static void what_is_not_canonical_is_refused(void **state)
{
    (void)state;
    static const char *const padded[] = {
        "Zg",       "Zg=",  "Zh==",      "Zm9=", "Z===", "====",  "Zg=a",     "Z g==",
        "Zm9v\nYg", "Zm-_", "Zm9vYg===", "=Zg=", "Z",    "Zm9v ", "Zm9v\x80", "Zg==Zg=="};
    static const char *const url[] = {"Z", "Zh", "Zg==", "Zm9vY", "Zm+/", "Zm9vYh"};
    char out[16];
    size_t len;
    for (size_t i = 0; i < sizeof(padded) / sizeof(*padded); i++)
        assert_int_equal(base64_decode(slice_from_cstr(padded[i]), out, &len), BASE_EINVAL);
    for (size_t i = 0; i < sizeof(url) / sizeof(*url); i++)
        assert_int_equal(base64url_decode(slice_from_cstr(url[i]), out, &len), BASE_EINVAL);
    assert_int_equal(base64_decode((struct slice){"Zg\0=", 4}, out, &len), BASE_EINVAL);
}

static void a_full_buffer_is_marked(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 7);
    base64_append(&b, SLICE_LIT("foob"));
    assert_int_equal(buf_status(&b), BASE_ELIMIT);
    assert_int_equal(b.len, 0);
    buf_deinit(&b);
}

static void a_failed_allocation_is_marked(void **state)
{
    (void)state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct buf b;
        buf_init(&b, 100);
        base64_append(&b, SLICE_LIT("foob"));
        mem_loop_expect(&loop, buf_status(&b), BASE_ENOMEM);
        buf_deinit(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_the_vectors_of_the_rfc),
        cmocka_unit_test(decodes_the_vectors_of_the_rfc),
        cmocka_unit_test(the_url_alphabet_has_neither_padding_nor_slashes),
        cmocka_unit_test(any_bytes_come_back_in_place),
        cmocka_unit_test(what_is_not_canonical_is_refused),
        cmocka_unit_test(a_full_buffer_is_marked),
        cmocka_unit_test(a_failed_allocation_is_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
