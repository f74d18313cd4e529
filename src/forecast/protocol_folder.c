/* The folder of a run. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "forecast/protocol_internal.h"
#include "ml/nn/file.h"

/* mkdir -p */
static enum status make_dirs(const char *dir, struct err *err) {
    char path[FORECAST_PATH_SIZE];
    size_t size = strlen(dir);
    if (size == 0 || size >= sizeof path)
        return err_set(err, ST_RANGE, "folder '%.60s': an impossible name", dir);
    memcpy(path, dir, size + 1);
    for (char *p = path + 1;; p++) {
        char c = *p;
        if (c != '/' && c != 0) continue;
        *p = 0;
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return err_errno(err, ST_IO, "cannot make folder %s", path);
        *p = c;
        if (c == 0) return ST_OK;
    }
}

enum status run_folder_open(struct run_folder *f, const char *dir, struct err *err) {
    *f = (struct run_folder){dir, -1};
    enum status st = make_dirs(dir, err);
    if (st != ST_OK) return st;
    f->lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->lock < 0) return err_errno(err, ST_IO, "cannot open folder %s", dir);
    if (flock(f->lock, LOCK_EX | LOCK_NB) == 0) return ST_OK;
    if (errno != EWOULDBLOCK) return err_errno(err, ST_IO, "cannot lock folder %s", dir);
    return err_set(err, ST_EXISTS, "another process trains in %s", dir);
}

void run_folder_close(struct run_folder *f) {
    if (f->lock >= 0) close(f->lock);
    f->lock = -1;
}

enum status run_folder_path(char out[FORECAST_PATH_SIZE], const struct run_folder *f,
                            const char *name, struct err *err) {
    int n = snprintf(out, FORECAST_PATH_SIZE, "%s/%s", f->dir, name);
    return n > 0 && n < FORECAST_PATH_SIZE ? ST_OK
                                           : err_set(err, ST_RANGE, "%s: path too long", f->dir);
}

bool run_folder_has(const struct run_folder *f, const char *name) {
    char path[FORECAST_PATH_SIZE];
    return run_folder_path(path, f, name, NULL) == ST_OK && access(path, F_OK) == 0;
}

enum status run_folder_remove(const struct run_folder *f, const char *name, struct err *err) {
    char path[FORECAST_PATH_SIZE];
    enum status st = run_folder_path(path, f, name, err);
    if (st == ST_OK && unlink(path) != 0 && errno != ENOENT)
        st = err_errno(err, ST_IO, "cannot remove %s", path);
    return st;
}

enum status run_folder_write(const struct run_folder *f, const char *name, const char *text,
                             struct err *err) {
    char path[FORECAST_PATH_SIZE];
    enum status st = run_folder_path(path, f, name, err);
    const struct nn_file_part part = {text, strlen(text)};
    return st == ST_OK ? nn_file_replace(path, &part, 1, err) : st;
}

enum status run_folder_read(char **out, const struct run_folder *f, const char *name,
                            struct err *err) {
    char path[FORECAST_PATH_SIZE];
    void *bytes;
    size_t size;
    enum status st = run_folder_path(path, f, name, err);
    if (st == ST_OK) st = nn_file_read(&bytes, &size, path, err);
    if (st != ST_OK) return st;
    *out = malloc(size + 1);
    if (*out) {
        memcpy(*out, bytes, size);
        (*out)[size] = 0;
    }
    free(bytes);
    return *out ? ST_OK : err_set(err, ST_NO_MEMORY, "%s: no memory", path);
}
