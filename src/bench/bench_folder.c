#include "bench/bench_folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { OPEN_MAX_FOLDERS = 16 };

enum status bench_folder_make(char *out, size_t size, struct err *err) {
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(out, size, "%s/quantum-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (n > 0 && (size_t)n < size && mkdtemp(out)) return ST_OK;
    out[0] = '\0';
    return err_errno(err, ST_IO, "cannot make a folder in %s", tmp && *tmp ? tmp : "/tmp");
}

static int remove_one(const char *path, const struct stat *sb, int flag, struct FTW *ftw) {
    (void)sb, (void)flag, (void)ftw;
    return remove(path);
}

void bench_folder_remove(const char *path) {
    if (path[0]) nftw(path, remove_one, OPEN_MAX_FOLDERS, FTW_DEPTH | FTW_PHYS);
}
