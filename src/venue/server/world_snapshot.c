/* Snapshots of a world: blocks of memory as files with holes, written by a forked child. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "venue/server/world_internal.h"

enum {
    /* Zeros are looked for and left out in such pieces. Smaller ones save little and break the file into so many
     * extents that deleting it takes seconds on a disk that is told of every one (mount option discard). */
    CHUNK_BYTES = 1 << 18,
    PAGE_BYTES = 4096, /* header, and what blocks begin at */
    NAME_SIZE = 48,
    FOUND_MAX = 64, /* snapshots looked at in a folder; two are kept */
};
static const char TEMPORARY[] = "snapshot.tmp";
static const char MAGIC[8] = "QTWORLD";

struct snapshot_header {
    char magic[8];
    uint32_t version, block_count;
    uint64_t identity_hash, seq;
    uint64_t sizes[BLOCK_COUNT];
    uint64_t blocks_hash;
    uint64_t header_hash; /* of all above */
};

static void name_of(char out[NAME_SIZE], uint64_t seq) {
    snprintf(out, NAME_SIZE, "snapshot-%020" PRIu64, seq);
}

static uint64_t header_hash_of(const struct snapshot_header *h) {
    return hash64(h, offsetof(struct snapshot_header, header_hash));
}

static uint64_t round_up(uint64_t n) {
    return (n + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static bool is_zero(const uint8_t *p, size_t size) {
    return p[0] == 0 && memcmp(p, p + 1, size - 1) == 0;
}

/* ---- writing: nothing here allocates or locks, as a child of a program with threads must not ---- */

static int write_all(int fd, const void *data, size_t size, uint64_t at) {
    const uint8_t *p = data;
    while (size > 0) {
        ssize_t n = pwrite(fd, p, size, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : ENOSPC;
        p += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

static int write_block(int fd, const struct world_block *b, uint64_t at) {
    const uint8_t *p = b->memory;
    for (size_t done = 0; done < b->saved;) {
        size_t n = b->saved - done < CHUNK_BYTES ? b->saved - done : (size_t)CHUNK_BYTES;
        int e = is_zero(p + done, n) ? 0 : write_all(fd, p + done, n, at + done);
        if (e) return e;
        done += n;
    }
    return 0;
}

static int write_file(const struct world_private *p, int fd, uint64_t seq) {
    struct snapshot_header h = {.version = WORLD_FORMAT,
                                .block_count = BLOCK_COUNT,
                                .identity_hash = p->identity_hash,
                                .seq = seq};
    memcpy(h.magic, MAGIC, sizeof h.magic);
    uint64_t at = PAGE_BYTES;
    for (int i = 0; i < BLOCK_COUNT; i++) {
        const struct world_block *b = &p->blocks[i];
        h.sizes[i] = b->saved;
        h.blocks_hash = hash_chain(h.blocks_hash, b->memory, b->saved);
        int e = write_block(fd, b, at);
        if (e) return e;
        at += round_up(b->saved);
    }
    h.header_hash = header_hash_of(&h);
    int e = write_all(fd, &h, sizeof h, 0);
    if (e) return e;
    if (ftruncate(fd, (off_t)at) || fsync(fd)) return errno;
    return 0;
}

/* Returns 0 or errno. name: of the finished file (made before a fork). */
static int write_snapshot(const struct world_private *p, int dir_fd, uint64_t seq,
                          const char *name) {
    int fd = openat(dir_fd, TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    int e = write_file(p, fd, seq);
    if (close(fd) && !e) e = errno;
    if (!e && (renameat(dir_fd, TEMPORARY, dir_fd, name) || fsync(dir_fd))) e = errno;
    return e;
}

/* Names of what goes once there is a newer one; looked up before a fork. */
struct doomed {
    uint32_t count;
    char names[FOUND_MAX][NAME_SIZE];
};

static uint32_t list(const struct world_private *p, uint64_t seqs[FOUND_MAX]);

/* All but the newest `keep`. */
static void doomed_list(const struct world_private *p, struct doomed *out, uint32_t keep) {
    uint64_t seqs[FOUND_MAX];
    uint32_t count = list(p, seqs);
    out->count = 0;
    for (uint32_t i = keep; i < count; i++) name_of(out->names[out->count++], seqs[i]);
}

static int delete_all(const struct doomed *d, int dir_fd) {
    for (uint32_t i = 0; i < d->count; i++)
        if (unlinkat(dir_fd, d->names[i], 0) && errno != ENOENT) return errno;
    return 0;
}

/* The newest is that of seq. What lies in front of the older one kept is of no more use. */
static void snapshot_done(struct world_private *p, uint64_t seq) {
    char name[NAME_SIZE];
    struct stat sb;
    struct err err = {0};
    name_of(name, seq);
    p->stats.snapshots++;
    if (fstatat(p->dir_fd, name, &sb, 0) == 0)
        p->stats.snapshot_bytes = (uint64_t)sb.st_blocks * 512;
    uint64_t seqs[FOUND_MAX];
    uint32_t count = list(p, seqs);
    p->kept_seq = seq;
    if (count > 0 && journal_retain(p->journal, seqs[count - 1] + 1, &err) != ST_OK)
        log_warn("exchange", "old journal segments stay", "why=\"%s\"", err.text);
}

enum status snapshot_save(struct world_private *p, uint32_t keep, struct err *err) {
    char name[NAME_SIZE];
    struct doomed old;
    uint64_t seq = journal_last_seq(p->journal);
    ASSERT(!p->snapshot_pid); /* one temporary file */
    name_of(name, seq);
    int e = write_snapshot(p, p->dir_fd, seq, name);
    doomed_list(p, &old, keep);
    if (!e) e = delete_all(&old, p->dir_fd);
    if (e) {
        errno = e;
        return err_errno(err, ST_IO, "write %s/%s", p->dir, name);
    }
    p->snapshot_at_ns = tstamp_monotonic_ns();
    snapshot_done(p, seq);
    return ST_OK;
}

/* The child keeps nothing of its parent open: the lock of the journal, sockets of clients and the port itself must
 * be free the moment the parent is killed, and then it dies too. It also deletes: that may take as long as writing. */
static _Noreturn void child_run(const struct world_private *p, pid_t parent, uint64_t seq,
                                const char *name, const struct doomed *old) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent) _exit(1);
    int dir_fd = dup2(p->dir_fd, 3);
    if (dir_fd < 0 || close_range(4, ~0u, 0)) _exit(2);
    if (write_snapshot(p, dir_fd, seq, name)) _exit(3);
    _exit(delete_all(old, dir_fd) ? 4 : 0);
}

void snapshot_start(struct world_private *p) {
    if (!p->journal || p->snapshot_pid) return;
    char name[NAME_SIZE];
    struct doomed old;
    uint64_t seq = journal_last_seq(p->journal);
    if (seq == p->kept_seq) return;
    name_of(name, seq);
    doomed_list(p, &old, WORLD_SNAPSHOTS_KEPT - 1);
    int64_t from = tstamp_monotonic_ns();
    pid_t parent = getpid();
    /* Handlers of the parent's loop must not run in the child: it ends by itself or with its parent. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) child_run(p, parent, seq, name, &old);
    int e = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    int64_t took = tstamp_monotonic_ns() - from;
    if (took > p->stats.fork_ns_max) p->stats.fork_ns_max = took;
    p->snapshot_at_ns = from;
    if (pid < 0) {
        p->stats.snapshots_failed++;
        log_error("exchange", "no snapshot: fork failed", "why=\"%s\"", strerror(e));
        return;
    }
    p->snapshot_pid = pid;
    p->writing_seq = seq;
}

void snapshot_reap(struct world_private *p, bool wait) {
    if (!p->snapshot_pid) return;
    int code = 0;
    pid_t got;
    do got = waitpid(p->snapshot_pid, &code, wait ? 0 : WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got == 0) return;
    p->snapshot_pid = 0;
    if (got > 0 && WIFEXITED(code) && WEXITSTATUS(code) == 0) {
        snapshot_done(p, p->writing_seq);
        return;
    }
    /* Nothing is lost by it: the journal behind the last good one is still there. */
    p->stats.snapshots_failed++;
    log_error("exchange", "a snapshot could not be written", "dir=%s status=%d", p->dir, code);
}

/* ---- reading ---- */

static uint32_t list(const struct world_private *p, uint64_t seqs[FOUND_MAX]) {
    uint32_t count = 0;
    int fd = openat(p->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0) close(fd);
        return 0;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char name[NAME_SIZE];
        if (strncmp(e->d_name, "snapshot-", 9) != 0) continue;
        uint64_t seq = strtoull(e->d_name + 9, NULL, 10);
        name_of(name, seq);
        if (strcmp(name, e->d_name) != 0) continue;
        uint32_t at = count < FOUND_MAX ? count++ : FOUND_MAX - 1;
        for (; at > 0 && seqs[at - 1] < seq; at--) seqs[at] = seqs[at - 1];
        seqs[at] = seq;
    }
    closedir(d);
    return count;
}

static enum status read_at(int fd, void *out, size_t size, uint64_t at, struct err *err) {
    uint8_t *p = out;
    while (size > 0) {
        ssize_t n = pread(fd, p, size, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_errno(err, ST_IO, "read");
        if (n == 0) return err_set(err, ST_CORRUPT, "it ends early");
        p += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return ST_OK;
}

/* Zeros are not copied, so that memory nobody used stays untouched. The block may hold another snapshot's remains. */
static enum status read_block(int fd, const struct world_block *b, uint64_t at, uint8_t *chunk,
                              struct err *err) {
    uint8_t *p = b->memory;
    for (size_t done = 0; done < b->saved;) {
        size_t n = b->saved - done < CHUNK_BYTES ? b->saved - done : (size_t)CHUNK_BYTES;
        enum status st = read_at(fd, chunk, n, at + done, err);
        if (st != ST_OK) return st;
        for (size_t page = 0; page < n; page += PAGE_BYTES) {
            size_t m = n - page < PAGE_BYTES ? n - page : (size_t)PAGE_BYTES;
            uint8_t *to = p + done + page;
            if (!is_zero(chunk + page, m) || !is_zero(to, m)) memcpy(to, chunk + page, m);
        }
        done += n;
    }
    return ST_OK;
}

static enum status read_file(struct world_private *p, int fd, uint64_t seq, uint8_t *chunk,
                             struct err *err) {
    struct snapshot_header h;
    enum status st = read_at(fd, &h, sizeof h, 0, err);
    if (st != ST_OK) return st;
    if (memcmp(h.magic, MAGIC, sizeof h.magic) != 0 || h.header_hash != header_hash_of(&h) ||
        h.seq != seq)
        return err_set(err, ST_CORRUPT, "header does not check out");
    if (h.version != WORLD_FORMAT || h.block_count != BLOCK_COUNT)
        return err_set(err, ST_VERSION, "format %" PRIu32, h.version);
    if (h.identity_hash != p->identity_hash)
        return err_set(err, ST_MISMATCH, "of another configuration");
    uint64_t at = PAGE_BYTES, hash = 0;
    for (int i = 0; i < BLOCK_COUNT; i++) {
        const struct world_block *b = &p->blocks[i];
        if (h.sizes[i] != b->saved)
            return err_set(err, ST_MISMATCH, "block %d has %" PRIu64 " bytes, not %zu", i,
                           h.sizes[i], b->saved);
        st = read_block(fd, b, at, chunk, err);
        if (st != ST_OK) return st;
        hash = hash_chain(hash, b->memory, b->saved);
        at += round_up(b->saved);
    }
    return hash == h.blocks_hash ? ST_OK : err_set(err, ST_CORRUPT, "checksum does not hold");
}

enum status snapshot_load(struct world_private *p, uint64_t *seq, struct err *err) {
    uint64_t seqs[FOUND_MAX];
    uint32_t count = list(p, seqs);
    uint8_t *chunk = malloc(CHUNK_BYTES);
    if (!chunk) return err_set(err, ST_NO_MEMORY, "snapshot buffer");
    enum status st = ST_NOT_FOUND;
    for (uint32_t i = 0; i < count && st != ST_OK; i++) {
        char name[NAME_SIZE];
        struct err why = {0};
        name_of(name, seqs[i]);
        int fd = openat(p->dir_fd, name, O_RDONLY | O_CLOEXEC);
        st = fd < 0 ? err_errno(&why, ST_IO, "open") : read_file(p, fd, seqs[i], chunk, &why);
        if (fd >= 0) close(fd);
        if (st == ST_OK) {
            *seq = seqs[i];
            break;
        }
        log_warn("exchange", "a snapshot is not used", "name=%s why=\"%s\"", name, why.text);
    }
    free(chunk);
    if (st == ST_OK) return st;
    return err_set(err, count ? ST_CORRUPT : ST_NOT_FOUND,
                   count ? "no snapshot in %s checks out" : "no snapshot in %s", p->dir);
}
