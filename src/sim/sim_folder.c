/* Folders of a simulation: made in memory where there is some, copied, removed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/sim_internal.h"

enum { COPY_BYTES = 1 << 16, PATH_BYTES = 4096 };

static const char *place_of(const char *work) {
    const char *tmp = getenv("TMPDIR");
    if (work) return work;
    if (access("/dev/shm", W_OK | X_OK) == 0) return "/dev/shm";
    return tmp && *tmp ? tmp : "/tmp";
}

enum status sim_folder_make(char *out, size_t size, const char *work, uint64_t seed,
                            struct err *err) {
    int n = snprintf(out, size, "%s/quantum-sim-%" PRIu64 "-XXXXXX", place_of(work), seed);
    if (n < 0 || (size_t)n >= size) return err_set(err, ST_INVALID, "--work: too long a path");
    return mkdtemp(out) ? ST_OK : err_errno(err, ST_IO, "%s", out);
}

static bool is_dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static enum status copy_bytes(int in, int out) {
    static char buffer[COPY_BYTES];
    ssize_t n;
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        if (write(out, buffer, (size_t)n) != n) return ST_IO;
    return n == 0 ? ST_OK : ST_IO;
}

static enum status copy_file(const char *from, const char *to, struct err *err) {
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) return err_errno(err, ST_IO, "%s", from);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    enum status st = out < 0 ? ST_IO : copy_bytes(in, out);
    if (st != ST_OK) err_errno(err, ST_IO, "%s", to);
    if (out >= 0) close(out);
    close(in);
    return st;
}

enum status sim_folder_copy(const char *from, const char *to, struct err *err) {
    char a[PATH_BYTES], b[PATH_BYTES];
    struct stat sb;
    DIR *d = opendir(from);
    if (!d) return err_errno(err, ST_IO, "%s", from);
    enum status st = mkdir(to, 0755) == 0 ? ST_OK : err_errno(err, ST_IO, "%s", to);
    for (struct dirent *e; st == ST_OK && (e = readdir(d)) != NULL;) {
        if (is_dots(e->d_name)) continue;
        snprintf(a, sizeof a, "%s/%s", from, e->d_name);
        snprintf(b, sizeof b, "%s/%s", to, e->d_name);
        if (lstat(a, &sb) != 0)
            st = err_errno(err, ST_IO, "%s", a);
        else
            st = S_ISDIR(sb.st_mode) ? sim_folder_copy(a, b, err) : copy_file(a, b, err);
    }
    closedir(d);
    return st;
}

void sim_folder_remove(const char *dir) {
    char path[PATH_BYTES];
    DIR *d = opendir(dir);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (is_dots(e->d_name)) continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (unlink(path) != 0) sim_folder_remove(path);
    }
    closedir(d);
    (void)rmdir(dir);
}
