/* Judges the data of events: lines of "TYPE<tab>DATA" on stdin; one line on stdout for each fault.
 * Ends with 1 when there was one. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "events/event.h"

static int judge(const char *type, const char *data)
{
    enum event_kind kind;
    struct error err = {0};
    if (!event_kind_of_type(type, &kind)) {
        printf("%s: unknown type\n", type);
        return 1;
    }
    cJSON *tree = json_parse(slice_from_cstr(data), &err);
    int status = tree ? event_check(kind, tree, &err) : err.code;
    cJSON_Delete(tree);
    if (status)
        printf("%s: %s: %s\n", type, err.text, data);
    return status != 0;
}

int main(void)
{
    char line[65536];
    int faults = 0;
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        char *tab = strchr(line, '\t');
        if (tab)
            *tab = '\0';
        faults += judge(line, tab ? tab + 1 : "");
    }
    return faults > 0;
}
