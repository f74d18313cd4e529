#include "ml/nn/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

/* Grows as the file does not say its size truly (a pipe, or written meanwhile). */
static enum status read_all(int fd, size_t expected, void **out, size_t *size, const char *path,
                            struct err *err) {
    size_t capacity = expected + 1, used = 0;
    char *bytes = malloc(capacity);
    if (!bytes) return err_set(err, ST_NO_MEMORY, "%s: %zu bytes", path, capacity);
    for (;;) {
        if (used == capacity) {
            char *more = capacity > SIZE_MAX / 2 ? NULL : realloc(bytes, capacity * 2);
            if (!more) {
                free(bytes);
                return err_set(err, ST_NO_MEMORY, "%s: %zu bytes", path, capacity);
            }
            bytes = more;
            capacity *= 2;
        }
        ssize_t n = read(fd, bytes + used, capacity - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            free(bytes);
            return err_errno(err, ST_IO, "cannot read %s", path);
        }
        if (n == 0) break;
        used += (size_t)n;
    }
    *out = bytes;
    *size = used;
    return ST_OK;
}

enum status nn_file_read(void **out, size_t *size, const char *path, struct err *err) {
    *out = NULL;
    *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? err_set(err, ST_NOT_FOUND, "%s does not exist", path)
                               : err_errno(err, ST_IO, "cannot open %s", path);
    struct stat info;
    enum status st = ST_OK;
    if (fstat(fd, &info) != 0)
        st = err_errno(err, ST_IO, "cannot read %s", path);
    else
        st = read_all(fd, info.st_size > 0 ? (size_t)info.st_size : 0, out, size, path, err);
    close(fd);
    return st;
}

static enum status write_all(int fd, const void *data, size_t size, const char *path,
                             struct err *err) {
    for (const char *p = data; size > 0;) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return err_errno(err, ST_IO, "cannot write %s", path);
        p += n;
        size -= (size_t)n;
    }
    return ST_OK;
}

static enum status sync_folder(const char *path, struct err *err) {
    char folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_errno(err, ST_IO, "cannot open the folder of %s", path);
    enum status st =
        fsync(fd) ? err_errno(err, ST_IO, "cannot sync the folder of %s", path) : ST_OK;
    close(fd);
    return st;
}

enum status nn_file_replace(const char *path, const struct nn_file_part *parts, size_t count,
                            struct err *err) {
    char beside[PATH_SIZE];
    int n = snprintf(beside, sizeof beside, "%s.tmp", path);
    if (n < 0 || n >= PATH_SIZE) return err_set(err, ST_RANGE, "path too long: %.100s...", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return err_errno(err, ST_IO, "cannot create %s", beside);
    enum status st = ST_OK;
    for (size_t i = 0; i < count && st == ST_OK; i++)
        st = write_all(fd, parts[i].data, parts[i].size, beside, err);
    if (st == ST_OK && fsync(fd) != 0) st = err_errno(err, ST_IO, "cannot sync %s", beside);
    if (close(fd) != 0 && st == ST_OK) st = err_errno(err, ST_IO, "cannot close %s", beside);
    if (st == ST_OK && rename(beside, path) != 0)
        st = err_errno(err, ST_IO, "cannot rename %s to %s", beside, path);
    if (st != ST_OK) {
        unlink(beside);
        return st;
    }
    return sync_folder(path, err);
}
