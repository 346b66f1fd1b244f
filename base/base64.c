#include "base/base64.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

static const char standard_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* ---- encoding ---- */

static uint32_t byte_at(struct slice bytes, size_t i)
{
    return i < bytes.len ? (unsigned char)bytes.ptr[i] : 0;
}

static void encode(struct buf *b, struct slice bytes, const char *digits, bool is_padded)
{
    if (bytes.len > SIZE_MAX / 4 || buf_reserve(b, (bytes.len + 2) / 3 * 4))
        return;
    char *at = b->ptr + b->len;
    for (size_t i = 0; i < bytes.len; i += 3) {
        uint32_t bits =
            byte_at(bytes, i) << 16 | byte_at(bytes, i + 1) << 8 | byte_at(bytes, i + 2);
        size_t left = bytes.len - i;
        *at++ = digits[bits >> 18];
        *at++ = digits[bits >> 12 & 63];
        if (left > 1 || is_padded)
            *at++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        if (left > 2 || is_padded)
            *at++ = left > 2 ? digits[bits & 63] : '=';
    }
    *at = '\0';
    b->len = (size_t)(at - b->ptr);
}

void base64_append(struct buf *b, struct slice bytes)
{
    encode(b, bytes, standard_digits, true);
}

void base64url_append(struct buf *b, struct slice bytes)
{
    encode(b, bytes, url_digits, false);
}

/* ---- decoding ---- */

/* `past` are the two digits after 9. */
static int digit_value(char c, const char *past)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == past[0])
        return 62;
    return c == past[1] ? 63 : -1;
}

static int decode(struct slice text, const char *past, char *out, size_t *len)
{
    uint32_t bits = 0;
    int count = 0; /* of bits that are no byte yet */
    size_t made = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = digit_value(text.ptr[i], past);
        if (value < 0)
            return BASE_EINVAL;
        bits = (bits << 6 | (uint32_t)value) & 0xffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[made++] = (char)(bits >> count & 0xff);
        }
    }
    *len = made;
    bool is_canonical = count < 6 && (bits & ((1u << count) - 1)) == 0;
    return is_canonical ? 0 : BASE_EINVAL;
}

int base64_decode(struct slice text, char *out, size_t *len)
{
    if (text.len % 4 != 0)
        return BASE_EINVAL;
    for (int i = 0; i < 2 && text.len > 0 && text.ptr[text.len - 1] == '='; i++)
        text.len--;
    return decode(text, standard_digits + 62, out, len);
}

int base64url_decode(struct slice text, char *out, size_t *len)
{
    return decode(text, url_digits + 62, out, len);
}
