#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backtest/session_internal.h"
#include "base/hash.h"
#include "base/log.h"

/* Raised whenever a struct inside the state block changes its meaning. */
enum {
    SNAPSHOT_VERSION = 18,
    SNAPSHOTS_KEPT = 2,
    /* Older ones of a market that goes on: 2^19 records are about a segment of the journal, 64 MiB. */
    ANCHORS_MAX = 8,
    ANCHOR_RECORDS = 1 << 19
};
#define SNAPSHOT_MAGIC UINT64_C(0x31504E5351545851) /* "QXTQSNP1" */

struct snapshot_header {
    uint64_t magic, version, identity, seq, state_size, kernel_size, simex_size, histories_size,
        retrain_size, kernel_hash, body_hash, header_hash;
};

static enum status write_all(int fd, const void *data, size_t size) {
    const char *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return ST_IO;
        p += n;
        size -= (size_t)n;
    }
    return ST_OK;
}

static uint64_t body_hash(const struct session *s) {
    uint64_t h = hash64(s->state, sizeof *s->state);
    h = hash_chain(h, s->kernel, s->kernel_size);
    h = hash_chain(h, s->simex, s->simex_size);
    h = hash_chain(h, s->histories, s->histories_size);
    return hash_chain(h, s->retrain_block, s->retrain_size);
}

static int newest_first(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static size_t list_snapshots(uint64_t *seqs, size_t max, const char *dir) {
    size_t n = 0;
    DIR *d = opendir(dir);
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d)) && n < max;) {
        char *end;
        if (strncmp(e->d_name, "snapshot-", 9) != 0) continue;
        uint64_t seq = strtoull(e->d_name + 9, &end, 10);
        if (strcmp(end, ".bin") == 0) seqs[n++] = seq;
    }
    closedir(d);
    qsort(seqs, n, sizeof *seqs, newest_first);
    return n;
}

/* The name, too: what it makes superfluous goes next. */
static enum status sync_folder(const char *dir, struct err *err) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status st = fd < 0 || fsync(fd) != 0 ? err_errno(err, ST_IO, "%s", dir) : ST_OK;
    if (fd >= 0) close(fd);
    return st;
}

size_t session_snapshot_list(uint64_t *seqs, size_t max, const struct session *s) {
    return list_snapshots(seqs, max, s->snapshot_dir);
}

/* Which go, of seqs (n), newest first; the oldest that stays. The newest two are for restarts. Of those before, a market
 * that goes on keeps a few, far apart, for a verification to begin from: from the oldest on, each that is far enough
 * behind the one before it, so that what stays does not change with every new one. */
static uint64_t choose(bool gone[SESSION_SNAPSHOTS_MAX], const uint64_t *seqs, size_t n,
                       bool goes_on) {
    size_t anchors = 0;
    uint64_t last = 0, oldest = 0;
    for (size_t i = n; i-- > 0;) {
        bool far = anchors == 0 || seqs[i] - last >= ANCHOR_RECORDS;
        gone[i] = i >= SNAPSHOTS_KEPT && !(goes_on && far);
        if (gone[i] || i < SNAPSHOTS_KEPT) continue;
        last = seqs[i];
        anchors++;
    }
    for (size_t i = n; i-- > 0 && anchors > ANCHORS_MAX;) {
        anchors -= !gone[i];
        gone[i] = true;
    }
    for (size_t i = 0; i < n; i++)
        if (!gone[i]) oldest = seqs[i];
    return oldest;
}

static void forget_old(struct session *s) {
    uint64_t seqs[SESSION_SNAPSHOTS_MAX];
    bool gone[SESSION_SNAPSHOTS_MAX];
    char path[4200];
    size_t n = list_snapshots(seqs, SESSION_SNAPSHOTS_MAX, s->snapshot_dir);
    uint64_t oldest = choose(gone, seqs, n, s->o.mode != MODE_REPLAY);
    for (size_t i = 0; i < n; i++) {
        if (!gone[i]) continue;
        snprintf(path, sizeof path, "%s/snapshot-%020" PRIu64 ".bin", s->snapshot_dir, seqs[i]);
        unlink(path);
    }
    /* A long-running market needs no more of its journal than the oldest kept snapshot does. A replay
     * keeps all of it, so that it can be verified from its first record. */
    if (s->o.mode != MODE_REPLAY && n >= SNAPSHOTS_KEPT && oldest > 0) {
        struct err err = {0};
        if (journal_retain(s->journal, oldest, &err) != ST_OK)
            log_warn("journal", "retention failed", "error=\"%s\"", err.text);
    }
}

enum status session_snapshot_save(struct session *s, struct err *err) {
    char path[4200], temp[4300];
    uint64_t seq = journal_last_seq(s->journal);
    enum status st =
        s->o.durable ? journal_commit(s->journal, err) : journal_flush(s->journal, err);
    if (st != ST_OK) return st;
    if (s->o.retrain) retrain_state_save(s->o.retrain, s->retrain_block);
    struct snapshot_header h = {.magic = SNAPSHOT_MAGIC,
                                .version = SNAPSHOT_VERSION,
                                .identity = session_identity(&s->o),
                                .seq = seq,
                                .state_size = sizeof *s->state,
                                .kernel_size = s->kernel_size,
                                .simex_size = s->simex_size,
                                .histories_size = s->histories_size,
                                .retrain_size = s->retrain_size,
                                .kernel_hash = kernel_hash(s->kernel),
                                .body_hash = body_hash(s)};
    h.header_hash = hash64(&h, offsetof(struct snapshot_header, header_hash));
    snprintf(path, sizeof path, "%s/snapshot-%020" PRIu64 ".bin", s->snapshot_dir, seq);
    snprintf(temp, sizeof temp, "%s.tmp", path);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return err_errno(err, ST_IO, "%s", temp);
    st = write_all(fd, &h, sizeof h);
    if (st == ST_OK) st = write_all(fd, s->state, sizeof *s->state);
    if (st == ST_OK) st = write_all(fd, s->kernel, s->kernel_size);
    if (st == ST_OK) st = write_all(fd, s->simex, s->simex_size);
    if (st == ST_OK) st = write_all(fd, s->histories, s->histories_size);
    if (st == ST_OK) st = write_all(fd, s->retrain_block, s->retrain_size);
    if (st == ST_OK && s->o.durable && fdatasync(fd) != 0) st = ST_IO;
    if (st != ST_OK) err_errno(err, st, "%s", temp);
    if (close(fd) != 0 && st == ST_OK) st = err_errno(err, ST_IO, "%s", temp);
    if (st == ST_OK && rename(temp, path) != 0) st = err_errno(err, ST_IO, "%s", path);
    if (st == ST_OK && s->o.durable) st = sync_folder(s->snapshot_dir, err);
    if (st == ST_OK) forget_old(s);
    return st;
}

static enum status read_all(int fd, void *data, size_t size) {
    char *p = data;
    while (size > 0) {
        ssize_t n = read(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return ST_CORRUPT;
        p += n;
        size -= (size_t)n;
    }
    return ST_OK;
}

static enum status load_one(struct session *s, const char *path, uint64_t seq, struct err *err) {
    struct snapshot_header h;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_errno(err, ST_IO, "%s", path);
    enum status st = read_all(fd, &h, sizeof h);
    /* The version first: it says how long the header is. */
    if (st == ST_OK && h.magic == SNAPSHOT_MAGIC && h.version != SNAPSHOT_VERSION)
        st = err_set(err, ST_VERSION, "%s: written by another version of this program", path);
    if (st == ST_OK &&
        (h.magic != SNAPSHOT_MAGIC ||
         h.header_hash != hash64(&h, offsetof(struct snapshot_header, header_hash)) ||
         h.seq != seq))
        st = err_set(err, ST_CORRUPT, "%s: header does not check out", path);
    if (st == ST_OK && h.identity != session_identity(&s->o))
        st = err_set(err, ST_MISMATCH, "%s: belongs to another run", path);
    if (st == ST_OK && (h.state_size != sizeof *s->state || h.kernel_size != s->kernel_size ||
                        h.simex_size != s->simex_size || h.histories_size != s->histories_size ||
                        h.retrain_size != s->retrain_size))
        st = err_set(err, ST_VERSION, "%s: written by another version of this program", path);
    if (st == ST_OK) st = read_all(fd, s->state, sizeof *s->state);
    if (st == ST_OK) st = read_all(fd, s->kernel, s->kernel_size);
    if (st == ST_OK) st = read_all(fd, s->simex, s->simex_size);
    if (st == ST_OK) st = read_all(fd, s->histories, s->histories_size);
    if (st == ST_OK) st = read_all(fd, s->retrain_block, s->retrain_size);
    close(fd);
    if (st == ST_OK && (h.body_hash != body_hash(s) || h.kernel_hash != kernel_hash(s->kernel)))
        st = err_set(err, ST_CORRUPT, "%s: checksum does not hold", path);
    if (st == ST_OK && s->o.retrain)
        st = retrain_state_restore(s->o.retrain, s->retrain_block, s->retrain_size, err);
    return st;
}

enum status session_snapshot_load_at(struct session *s, uint64_t seq, struct err *err) {
    char path[4200];
    snprintf(path, sizeof path, "%s/snapshot-%020" PRIu64 ".bin", s->snapshot_dir, seq);
    return load_one(s, path, seq, err);
}

enum status session_snapshot_load(struct session *s, uint64_t *seq, struct err *err) {
    uint64_t seqs[SESSION_SNAPSHOTS_MAX];
    char path[4200];
    size_t n = list_snapshots(seqs, SESSION_SNAPSHOTS_MAX, s->snapshot_dir);
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/snapshot-%020" PRIu64 ".bin", s->snapshot_dir, seqs[i]);
        if (s->journal && seqs[i] > journal_last_seq(s->journal)) {
            /* Ahead of a repaired journal. Other records will have these numbers: it must not be met again then. */
            log_warn("journal", "snapshot of lost records removed", "path=%s", path);
            if (unlink(path) != 0) return err_errno(err, ST_IO, "%s", path);
            continue;
        }
        struct err why = {0};
        enum status st = load_one(s, path, seqs[i], &why);
        if (st == ST_OK) {
            *seq = seqs[i];
            return ST_OK;
        }
        if (st == ST_MISMATCH) return err_set(err, st, "%s", why.text);
        log_warn("journal", "snapshot passed over", "error=\"%s\"", why.text);
    }
    return ST_NOT_FOUND;
}
