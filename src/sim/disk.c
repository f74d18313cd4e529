#include "sim/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/journal_internal.h"

enum { BLOCK_BYTES = 4096, PATH_BYTES = 4096 };

/* ---- the probe ---- */

static void on_append(void *context, bool after, uint16_t type, uint64_t seq) {
    struct sim_disk *d = context;
    if (after) d->appended = seq;
    if (d->next && d->next->append) d->next->append(d->next->context, after, type, seq);
}

static bool happens(struct sim_disk *d, double chance) {
    return chance > 0 && rng_f64(&d->rng) < chance;
}

/* What the call fails with, 0 if it does not. */
static int fault_of(struct sim_disk *d, enum journal_io what, size_t *size) {
    const struct sim_disk_faults *f = &d->faults;
    bool is_write = what == JOURNAL_WRITE;
    if (what == JOURNAL_SYNC) return happens(d, f->sync_error) ? EIO : 0;
    if ((is_write || what == JOURNAL_ALLOCATE) && happens(d, f->no_space)) {
        if (is_write) *size = (size_t)rng_below(&d->rng, *size);
        return ENOSPC;
    }
    if (is_write && *size > 1 && happens(d, f->short_write)) {
        *size = 1 + (size_t)rng_below(&d->rng, *size - 1);
        d->shortened++;
    }
    return 0;
}

static int on_io(void *context, enum journal_io what, size_t *size) {
    struct sim_disk *d = context;
    d->calls[what]++;
    int fault = fault_of(d, what, size);
    if (fault == 0 && d->next && d->next->io) fault = d->next->io(d->next->context, what, size);
    if (fault) d->failed++;
    /* The writer flushes all there is before it syncs anything. */
    if (fault == 0 && what == JOURNAL_SYNC) d->durable = d->appended;
    return fault;
}

void sim_disk_init(struct sim_disk *d, uint64_t seed, const struct journal_probe *next) {
    *d = (struct sim_disk){.rng = rng_init(seed), .next = next};
    d->probe = (struct journal_probe){.context = d, .append = on_append, .io = on_io};
}

/* ---- images ---- */

static bool is_dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool is_zero(const char *data, size_t size) {
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

/* One extent; blocks of zeros are left out, as holes. */
static int copy_extent(int in, int out, off_t from, off_t to) {
    static char buffer[16 * BLOCK_BYTES];
    while (from < to) {
        size_t want = sizeof buffer - (size_t)from % BLOCK_BYTES;
        if ((off_t)want > to - from) want = (size_t)(to - from);
        ssize_t n = pread(in, buffer, want, from);
        if (n <= 0) return n < 0 ? -1 : 0; /* cut while it was read */
        for (size_t at = 0; at < (size_t)n;) {
            size_t part = BLOCK_BYTES - (size_t)(from + (off_t)at) % BLOCK_BYTES;
            if (part > (size_t)n - at) part = (size_t)n - at;
            if (!is_zero(buffer + at, part) &&
                pwrite(out, buffer + at, part, from + (off_t)at) != (ssize_t)part)
                return -1;
            at += part;
        }
        from += n;
    }
    return 0;
}

static int copy_data(int in, int out) {
    struct stat sb;
    if (fstat(in, &sb) != 0) return -1;
    for (off_t at = 0; at < sb.st_size;) {
        off_t data = lseek(in, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) break;
        off_t hole = data < 0 ? -1 : lseek(in, data, SEEK_HOLE);
        if (hole < 0) return -1;
        if (hole > sb.st_size) hole = sb.st_size;
        if (copy_extent(in, out, data, hole) != 0) return -1;
        at = hole;
    }
    return ftruncate(out, sb.st_size);
}

static enum status copy_file(const char *from, const char *to, struct err *err) {
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) return err_errno(err, ST_IO, "%s", from);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    enum status st = ST_OK;
    if (out < 0 || copy_data(in, out) != 0) st = err_errno(err, ST_IO, "%s", to);
    if (out >= 0) close(out);
    close(in);
    return st;
}

static bool has_end(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

/* The newest plain segment is the one that is written to; "" if there is none. */
static void newest_segment(char out[JOURNAL_NAME_SIZE], const char *dir) {
    DIR *d = opendir(dir);
    out[0] = '\0';
    if (!d) return;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (has_end(e->d_name, ".seg") && strlen(e->d_name) < JOURNAL_NAME_SIZE &&
            strcmp(e->d_name, out) > 0)
            snprintf(out, JOURNAL_NAME_SIZE, "%s", e->d_name);
    closedir(d);
}

static bool is_closed(const char *name, const char *newest) {
    if (has_end(name, ".seg")) return strcmp(name, newest) != 0;
    return has_end(name, ".seg.zst") ||
           (strncmp(name, "snapshot-", 9) == 0 && has_end(name, ".bin"));
}

enum status sim_disk_image(const char *dir, const char *image, struct err *err) {
    char from[PATH_BYTES], to[PATH_BYTES], newest[JOURNAL_NAME_SIZE];
    struct stat sb;
    DIR *d = opendir(dir);
    if (!d) return err_errno(err, ST_IO, "%s", dir);
    newest_segment(newest, dir);
    enum status st = mkdir(image, 0755) == 0 ? ST_OK : err_errno(err, ST_IO, "%s", image);
    for (struct dirent *e; st == ST_OK && (e = readdir(d)) != NULL;) {
        if (is_dots(e->d_name)) continue;
        snprintf(from, sizeof from, "%s/%s", dir, e->d_name);
        snprintf(to, sizeof to, "%s/%s", image, e->d_name);
        if (lstat(from, &sb) != 0)
            st = err_errno(err, ST_IO, "%s", from);
        else if (S_ISDIR(sb.st_mode))
            st = sim_disk_image(from, to, err);
        else if (!is_closed(e->d_name, newest) || link(from, to) != 0)
            st = copy_file(from, to, err); /* also where links are not to be had */
    }
    closedir(d);
    return st;
}

void sim_disk_remove(const char *dir) {
    char path[PATH_BYTES];
    DIR *d = opendir(dir);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (is_dots(e->d_name)) continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (unlink(path) != 0) sim_disk_remove(path);
    }
    closedir(d);
    (void)rmdir(dir);
}
