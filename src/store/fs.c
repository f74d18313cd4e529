#include "store/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum status fs_path(char out[STORE_PATH_SIZE], struct err *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out, STORE_PATH_SIZE, format, args);
    va_end(args);
    if (n < 0 || n >= STORE_PATH_SIZE) return err_set(err, ST_RANGE, "path too long: %.100s…", out);
    return ST_OK;
}

enum status fs_make_dirs(const char *path, struct err *err) {
    char part[STORE_PATH_SIZE];
    enum status st = fs_path(part, err, "%s", path);
    if (st != ST_OK) return st;
    for (char *p = part + 1;; p++) {
        char c = *p;
        if (c != '/' && c != '\0') continue;
        *p = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return err_errno(err, ST_IO, "cannot make folder %s", part);
        if (c == '\0') return ST_OK;
        *p = '/';
    }
}

enum status fs_pwrite_all(int fd, const void *data, size_t size, size_t offset, const char *path,
                          struct err *err) {
    const char *p = data;
    while (size > 0) {
        ssize_t n = pwrite(fd, p, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return err_errno(err, ST_IO, "cannot write %s", path);
        p += n;
        size -= (size_t)n;
        offset += (size_t)n;
    }
    return ST_OK;
}

bool fs_is_plain_name(const char *name) {
    if (!*name || *name == '-') return false;
    for (; *name; name++) {
        char c = *name;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '_' || c == '-';
        if (!plain) return false;
    }
    return true;
}

enum status fs_map(void **out, size_t *out_size, const char *path, struct err *err) {
    *out = NULL;
    *out_size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? err_set(err, ST_NOT_FOUND, "%s does not exist", path)
                               : err_errno(err, ST_IO, "cannot open %s", path);
    struct stat info;
    enum status st = ST_OK;
    if (fstat(fd, &info) != 0) {
        st = err_errno(err, ST_IO, "cannot read %s", path);
    } else if (info.st_size > 0) {
        void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED) {
            st = err_errno(err, ST_IO, "cannot map %s", path);
        } else {
            *out = map;
            *out_size = (size_t)info.st_size;
        }
    }
    close(fd);
    return st;
}

static enum status sync_parent(const char *path, struct err *err) {
    char dir[STORE_PATH_SIZE];
    enum status st = fs_path(dir, err, "%s", path);
    if (st != ST_OK) return st;
    char *slash = strrchr(dir, '/');
    if (slash) *slash = '\0';
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_errno(err, ST_IO, "cannot open folder of %s", path);
    if (fsync(fd) != 0) st = err_errno(err, ST_IO, "cannot sync folder of %s", path);
    close(fd);
    return st;
}

enum status fs_replace(const char *path, const struct fs_part *parts, size_t count,
                       struct err *err) {
    char beside[STORE_PATH_SIZE];
    enum status st = fs_path(beside, err, "%s.tmp", path);
    if (st != ST_OK) return st;
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return err_errno(err, ST_IO, "cannot create %s", beside);
    for (size_t i = 0; i < count && st == ST_OK; i++)
        st = fs_pwrite_all(fd, parts[i].data, parts[i].size, parts[i].offset, beside, err);
    if (st == ST_OK && fdatasync(fd) != 0) st = err_errno(err, ST_IO, "cannot sync %s", beside);
    if (close(fd) != 0 && st == ST_OK) st = err_errno(err, ST_IO, "cannot close %s", beside);
    if (st == ST_OK && rename(beside, path) != 0)
        st = err_errno(err, ST_IO, "cannot rename %s to %s", beside, path);
    if (st != ST_OK) {
        unlink(beside);
        return st;
    }
    return sync_parent(path, err);
}

enum status fs_lock_dir(int *out, const char *path, struct err *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_errno(err, ST_IO, "cannot open folder %s", path);
    while (flock(fd, LOCK_EX) != 0) {
        if (errno == EINTR) continue;
        enum status st = err_errno(err, ST_IO, "cannot lock folder %s", path);
        close(fd);
        return st;
    }
    *out = fd;
    return ST_OK;
}

void fs_unlock(int fd) {
    close(fd);
}
