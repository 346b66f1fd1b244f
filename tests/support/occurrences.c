/* Reads series, one a line, parted by tabs: how many occurrences at most, the time zone, the first
 * due time in seconds since 1970, and the rule with "\n" for a line feed. Answers each with one
 * line: the due times from the first on, then "more", "ended", "rare", or "refused" and why. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/zone.h"
#include "tools/occurrence.h"

#define US_PER_S INT64_C(1000000)

/* Cuts the field off the front; the line ends with the last one. */
static char *take_field(char **rest)
{
    char *field = *rest;
    char *end = strchr(field, '\t');
    *rest = end ? end + 1 : field + strlen(field);
    if (end)
        *end = '\0';
    return field;
}

static void unescape(char *text)
{
    for (char *at = strstr(text, "\\n"); at; at = strstr(at, "\\n")) {
        *at = '\n';
        memmove(at + 1, at + 2, strlen(at + 2) + 1);
    }
}

static void walk(const struct recurrence_rule *rule, const struct zone *zone, int64_t start_s,
                 long limit)
{
    static const char *const words[] = {"more", "ended", "rare"};
    struct occurrence at = {.due_us = start_s * US_PER_S, .number = 1};
    enum occurrence_outcome outcome = OCCURRENCE_FOUND;
    for (long i = 0; i < limit && outcome == OCCURRENCE_FOUND; i++) {
        printf("%" PRId64 " ", at.due_us / US_PER_S);
        outcome = occurrence_next(rule, zone, &at, &at);
    }
    puts(words[outcome]);
}

static void answer(char *line)
{
    struct recurrence text;
    struct recurrence_rule rule;
    struct zone *zone = NULL;
    struct error err = {0};
    long limit = strtol(take_field(&line), NULL, 10);
    char *zone_name = take_field(&line);
    int64_t start_s = strtoll(take_field(&line), NULL, 10);
    unescape(line);
    if (recurrence_parse(slice_from_cstr(line), &text, &rule, &err) < 0 ||
        zone_open(ZONE_DIRECTORY, slice_from_cstr(zone_name), &zone, &err) < 0)
        printf("refused %s\n", err.text);
    else
        walk(&rule, zone, start_s, limit);
    zone_free(zone);
}

int main(void)
{
    char line[4096];
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        answer(line);
    }
    return 0;
}
