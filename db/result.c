/* Binary results: integers in network byte order, times as microseconds since 2000-01-01. */
#include <assert.h>
#include <endian.h>
#include <libpq-fe.h>
#include <string.h>

#include "db/pool.h"

#define EPOCH_2000_US INT64_C(946684800000000)

static const PGresult *pg(const struct db_result *res)
{
    return (const PGresult *)res;
}

int db_result_rows(const struct db_result *res)
{
    return PQntuples(pg(res));
}

int db_result_columns(const struct db_result *res)
{
    return PQnfields(pg(res));
}

bool db_result_is_null(const struct db_result *res, int row, int col)
{
    return PQgetisnull(pg(res), row, col);
}

/* PQgetlength gives 0 for null too. */
struct slice db_result_text(const struct db_result *res, int row, int col)
{
    int len = PQgetlength(pg(res), row, col);
    if (len == 0 && db_result_is_null(res, row, col))
        return SLICE_EMPTY;
    return (struct slice){PQgetvalue(pg(res), row, col), (size_t)len};
}

static uint64_t read_big_endian(const char *bytes, int width)
{
    uint64_t value = 0;
    if (width == 8) {
        memcpy(&value, bytes, 8);
        return be64toh(value);
    }
    for (int i = 0; i < width; i++)
        value = value << 8 | (unsigned char)bytes[i];
    return value;
}

int64_t db_result_int(const struct db_result *res, int row, int col)
{
    int width = PQgetlength(pg(res), row, col);
    if (width == 0)
        return 0;
    uint64_t raw = read_big_endian(PQgetvalue(pg(res), row, col), width);
    assert(width == 2 || width == 4 || width == 8);
    if (width == 2)
        return (int16_t)raw;
    return width == 4 ? (int32_t)raw : (int64_t)raw;
}

bool db_result_bool(const struct db_result *res, int row, int col)
{
    return *PQgetvalue(pg(res), row, col) != 0; /* null gives "" */
}

int64_t db_result_time(const struct db_result *res, int row, int col)
{
    int width = PQgetlength(pg(res), row, col);
    if (width == 0)
        return 0;
    assert(width == 8);
    return (int64_t)read_big_endian(PQgetvalue(pg(res), row, col), width) + EPOCH_2000_US;
}

double db_result_double(const struct db_result *res, int row, int col)
{
    if (db_result_is_null(res, row, col))
        return 0;
    int width = PQgetlength(pg(res), row, col);
    uint64_t raw = read_big_endian(PQgetvalue(pg(res), row, col), width);
    if (width == 4) {
        uint32_t bits = (uint32_t)raw;
        float value;
        memcpy(&value, &bits, sizeof(value));
        return (double)value;
    }
    assert(width == 8);
    double value;
    memcpy(&value, &raw, sizeof(value));
    return value;
}
