/* The process's own metrics, under the names that Prometheus's client libraries give them. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/metrics.h"

#define STAT_UTIME  11 /* counted from the state, which follows the name: proc(5) */
#define STAT_START  19
#define STAT_VSIZE  20
#define STAT_RSS    21
#define STAT_FIELDS 22

/* The numbers of /proc/self/stat behind the program's name, which may hold blanks. */
static int read_stat(double out[STAT_FIELDS])
{
    char text[1024] = "";
    FILE *file = fopen("/proc/self/stat", "re");
    size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    if (file)
        fclose(file);
    text[len] = '\0';
    char *at = strrchr(text, ')');
    if (!at || strlen(at) < 3)
        return -1;
    at += 3; /* the state, a letter: field 0 */
    for (int i = 1; i < STAT_FIELDS; i++)
        out[i] = strtod(at, &at);
    return 0;
}

static double stat_field(int which)
{
    double fields[STAT_FIELDS] = {0};
    return read_stat(fields) ? 0 : fields[which];
}

static double cpu_seconds(void *ctx)
{
    struct rusage use = {0};
    (void)ctx;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static double resident_bytes(void *ctx)
{
    (void)ctx;
    return stat_field(STAT_RSS) * (double)sysconf(_SC_PAGESIZE);
}

static double virtual_bytes(void *ctx)
{
    (void)ctx;
    return stat_field(STAT_VSIZE);
}

/* The start is counted in ticks since the machine's. */
static double start_seconds(void *ctx)
{
    double boot = 0;
    char line[128];
    (void)ctx;
    FILE *file = fopen("/proc/stat", "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "btime ", 6) == 0)
            boot = strtod(line + 6, NULL);
    }
    if (file)
        fclose(file);
    return boot + stat_field(STAT_START) / (double)sysconf(_SC_CLK_TCK);
}

static double open_fds(void *ctx)
{
    double count = 0;
    (void)ctx;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count > 3 ? count - 3 : 0; /* "." and "..", and the directory itself */
}

static double max_fds(void *ctx)
{
    struct rlimit limit = {0};
    (void)ctx;
    return getrlimit(RLIMIT_NOFILE, &limit) ? 0 : (double)limit.rlim_cur;
}

int metrics_add_process(struct metrics *m, struct error *err)
{
    static const struct {
        struct metric_def def;
        metric_read_fn read;
    } list[] = {
        {{"process_cpu_seconds_total",
          "CPU time of the process, user and system, in seconds.",
          METRIC_COUNTER,
          {0},
          NULL,
          0},
         cpu_seconds},
        {{"process_resident_memory_bytes", "Resident memory in bytes.", METRIC_GAUGE, {0}, NULL, 0},
         resident_bytes},
        {{"process_virtual_memory_bytes", "Virtual memory in bytes.", METRIC_GAUGE, {0}, NULL, 0},
         virtual_bytes},
        {{"process_start_time_seconds",
          "When the process started, in seconds since 1970 UTC.",
          METRIC_GAUGE,
          {0},
          NULL,
          0},
         start_seconds},
        {{"process_open_fds", "Open file descriptors.", METRIC_GAUGE, {0}, NULL, 0}, open_fds},
        {{"process_max_fds",
          "Largest number of open file descriptors.",
          METRIC_GAUGE,
          {0},
          NULL,
          0},
         max_fds},
    };
    int status = 0;
    for (size_t i = 0; i < sizeof(list) / sizeof(*list) && !status; i++)
        status = metrics_add_read(m, &list[i].def, list[i].read, NULL, err);
    return status;
}
