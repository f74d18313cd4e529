/* The reports a run wrote by itself: their list, and each as the file it is. Only names of the form a run gives them are
 * looked at, so nothing else of the folder, or of the machine, can be asked for. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api_internal.h"
#include "api/put.h"

/* "trades-000050.html": a kind, a number of at least six digits. *out: the number. */
static bool name_parse(uint64_t *out, const char *name, size_t size) {
    static const char *const kinds[] = {"trades-", "status-"};
    static const char ending[] = ".html";
    size_t at = 7;
    bool known = false;
    for (size_t k = 0; k < 2; k++) known = known || (size > at && memcmp(name, kinds[k], at) == 0);
    if (!known) return false;
    for (*out = 0; at < size && name[at] >= '0' && name[at] <= '9' && at < 25; at++)
        *out = *out * 10 + (uint64_t)(name[at] - '0');
    return at >= 13 && size - at == sizeof ending - 1 && memcmp(name + at, ending, size - at) == 0;
}

static int newest_first(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

static void put_one(struct json_writer *w, const char *dir, uint64_t trades) {
    char name[64], path[API_REPORT_PATH_SIZE];
    struct stat at;
    snprintf(name, sizeof name, "trades-%06llu.html", (unsigned long long)trades);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path ||
        stat(path, &at) != 0)
        return;
    json_write_object_begin(w);
    put_u64(w, "trades", trades);
    put_ms(w, "written", (int64_t)at.st_mtim.tv_sec * NS_PER_SECOND + at.st_mtim.tv_nsec);
    snprintf(path, sizeof path, "/reports/%s", name);
    put_text(w, "report", path);
    snprintf(name, sizeof name, "status-%06llu.html", (unsigned long long)trades);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (access(path, R_OK) == 0) {
        snprintf(path, sizeof path, "/reports/%s", name);
        put_text(w, "status", path);
    } else {
        put_null(w, "status");
    }
    json_write_object_end(w);
}

void api_render_reports(struct json_writer *w, const struct api_shot *shot, const char *dir) {
    static uint64_t found[API_REPORTS_MAX]; /* the service thread's */
    size_t count = 0;
    DIR *d = dir ? opendir(dir) : NULL;
    /* As many as fit: at 50 trades each, the first hundred thousand. */
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (count < API_REPORTS_MAX && e->d_name[0] == 't' &&
            name_parse(&found[count], e->d_name, strlen(e->d_name)))
            count++;
    if (d) closedir(d);
    qsort(found, count, sizeof *found, newest_first);
    json_write_object_begin(w);
    api_put_stamp(w, shot);
    put_u64(w, "count", count);
    json_write_key(w, "data");
    json_write_array_begin(w);
    for (size_t i = 0; i < count && i < API_REPORTS_SHOWN; i++) put_one(w, dir, found[i]);
    json_write_array_end(w);
    json_write_object_end(w);
}

bool api_report_read(char *out, size_t capacity, size_t *out_size, const char *dir,
                     const char *name, size_t size) {
    char path[API_REPORT_PATH_SIZE];
    uint64_t trades;
    if (!dir || !name_parse(&trades, name, size) ||
        (size_t)snprintf(path, sizeof path, "%s/%.*s", dir, (int)size, name) >= sizeof path)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return false;
    ssize_t n = 0;
    *out_size = 0;
    while (*out_size < capacity && (n = read(fd, out + *out_size, capacity - *out_size)) != 0) {
        if (n < 0 && errno != EINTR) break;
        if (n > 0) *out_size += (size_t)n;
    }
    close(fd);
    return n == 0; /* whole: it fits, and nothing failed */
}
