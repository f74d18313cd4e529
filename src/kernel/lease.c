#include "kernel/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"

enum { PAGE_SIZE = 4096, PATH_SIZE = 4200 };
#define MAGIC UINT64_C(0x01455341454c51) /* "QLEASE", 1 */
/* More between two looks, and the standby itself stood still. */
#define LOOK_NS_MAX (500 * NS_PER_MS)

/* Shared by the owner, who alone writes the first part, and standbys. */
struct lease_page {
    _Atomic uint64_t magic, epoch, renewals, state;
    _Atomic uint64_t pid; /* written last; 0 none */
    _Atomic uint64_t
        pid_start; /* clock ticks since the machine's start: tells it from a later process of that number */
    _Atomic uint64_t machine;
    _Atomic int64_t renewed_ns, longest_ns; /* monotonic */
    _Atomic uint64_t standby_pid;
    _Atomic int64_t standby_ns;
};
_Static_assert(sizeof(struct lease_page) <= PAGE_SIZE, "one page");

struct lease {
    struct lease_page *page;
    int fd;
    atomic_bool mine;
    uint64_t machine;
    /* A standby's count. */
    uint64_t seen_epoch, seen_renewals;
    int64_t looked_ns, silent_ns;
    bool told;
    char path[PATH_SIZE];
};

const char *lease_state_text(enum lease_state state) {
    switch (state) {
    case LEASE_NONE:
        return "none";
    case LEASE_STARTING:
        return "starting";
    case LEASE_RUNNING:
        return "running";
    case LEASE_ENDING:
        return "ending";
    }
    return "?";
}

/* ---- processes ---- */

/* One start of one machine, and one space of process numbers: only there a number names a process. 0: not known. */
static uint64_t machine_of(void) {
    char text[128] = "";
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    size_t n = f ? fread(text, 1, 64, f) : 0;
    if (f) fclose(f);
    ssize_t link = readlink("/proc/self/ns/pid", text + n, sizeof text - n);
    return n > 0 && link > 0 ? hash64(text, n + (size_t)link) | 1 : 0;
}

/* The 22nd field of /proc/PID/stat; its second is a name that may hold anything. 0: no such process. */
static uint64_t start_of(pid_t pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f) fclose(f);
    text[n] = '\0';
    const char *p = strrchr(text, ')');
    for (int field = 2; p && field < 22; field++) p = strchr(p + 1, ' ');
    return p ? strtoull(p, NULL, 10) : 0;
}

/* ---- the file ---- */

enum status lease_open(struct lease **out, const char *dir, struct err *err) {
    static const unsigned char zeros[PAGE_SIZE];
    struct stat sb;
    *out = NULL;
    struct lease *l = calloc(1, sizeof *l);
    if (!l) return err_set(err, ST_NO_MEMORY, "lease %s", dir);
    l->fd = -1;
    enum status st = ST_OK;
    if (snprintf(l->path, sizeof l->path, "%s/lease", dir) >= (int)sizeof l->path)
        st = err_set(err, ST_RANGE, "lease %s: name too long", dir);
    if (st == ST_OK) l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (st == ST_OK && (l->fd < 0 || fstat(l->fd, &sb) != 0))
        st = err_errno(err, ST_IO, "%s", l->path);
    /* Written, not only lengthened: a page of a full disk must fail here and not when it is first touched. Two who begin at
     * once write the same zeros, and nobody owns what is not there yet. */
    if (st == ST_OK && sb.st_size < PAGE_SIZE && pwrite(l->fd, zeros, sizeof zeros, 0) != PAGE_SIZE)
        st = err_errno(err, ST_IO, "%s", l->path);
    void *map = MAP_FAILED;
    if (st == ST_OK) map = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, l->fd, 0);
    if (st == ST_OK && map == MAP_FAILED) st = err_errno(err, ST_IO, "map %s", l->path);
    if (st != ST_OK) {
        if (l->fd >= 0) close(l->fd);
        free(l);
        return st;
    }
    l->page = map;
    l->machine = machine_of();
    *out = l;
    return ST_OK;
}

void lease_close(struct lease *l) {
    if (!l) return;
    uint64_t own = (uint64_t)getpid();
    if (l->mine) {
        atomic_store(&l->page->pid, 0);
        atomic_store(&l->page->state, LEASE_NONE);
    }
    if (atomic_load(&l->page->standby_pid) == own) atomic_store(&l->page->standby_pid, 0);
    munmap(l->page, PAGE_SIZE);
    close(l->fd); /* the lock goes with it */
    free(l);
}

/* Whether the path still names the file that is locked: a folder that was put aside keeps its lease. */
static bool is_current(const struct lease *l) {
    struct stat held, named;
    return fstat(l->fd, &held) == 0 && stat(l->path, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

static enum status owned(const struct lease *l, struct err *err) {
    struct lease_look look;
    lease_look(&look, l);
    if (look.owner_pid == 0) return err_set(err, ST_EXISTS, "another process owns this run");
    return err_set(
        err, ST_EXISTS, "process %d owns this run (epoch %" PRIu64 ", %s, renewed %.1f s ago)",
        (int)look.owner_pid, look.epoch, lease_state_text(look.state), (double)look.age_ns / 1e9);
}

enum status lease_take(struct lease *l, struct err *err) {
    ASSERT(!l->mine);
    if (flock(l->fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? owned(l, err) : err_errno(err, ST_IO, "lock %s", l->path);
    if (!is_current(l)) {
        flock(l->fd, LOCK_UN);
        return err_set(err, ST_STALE, "%s is another file by now", l->path);
    }
    struct lease_page *p = l->page;
    uint64_t own = (uint64_t)getpid();
    if (atomic_load(&p->magic) != MAGIC) {
        memset(p, 0, PAGE_SIZE);
        atomic_store(&p->magic, MAGIC);
    }
    atomic_store(&p->pid, 0); /* until the rest is its */
    atomic_store(&p->machine, l->machine);
    atomic_store(&p->pid_start, start_of(getpid()));
    atomic_store(&p->state, LEASE_STARTING);
    atomic_store(&p->longest_ns, 0);
    atomic_store(&p->renewed_ns, tstamp_monotonic_ns());
    atomic_fetch_add(&p->epoch, 1);
    atomic_store(&p->pid, own);
    if (atomic_load(&p->standby_pid) == own) atomic_store(&p->standby_pid, 0);
    atomic_store(&l->mine, true);
    return ST_OK;
}

void lease_renew(struct lease *l, enum lease_state state) {
    struct lease_page *p = l->page;
    ASSERT(l->mine);
    /* The one writer: nothing here needs to be atomic as a whole, and this is called at every turn. */
    int64_t now = tstamp_monotonic_ns();
    int64_t gap = now - atomic_load_explicit(&p->renewed_ns, memory_order_relaxed);
    uint64_t was = atomic_load_explicit(&p->state, memory_order_relaxed);
    bool runs = state == LEASE_RUNNING && was == LEASE_RUNNING;
    if (runs && gap > atomic_load_explicit(&p->longest_ns, memory_order_relaxed))
        atomic_store_explicit(&p->longest_ns, gap, memory_order_relaxed);
    atomic_store_explicit(&p->state, (uint64_t)state, memory_order_relaxed);
    atomic_store_explicit(&p->renewed_ns, now, memory_order_relaxed);
    uint64_t renewals = atomic_load_explicit(&p->renewals, memory_order_relaxed);
    atomic_store_explicit(&p->renewals, renewals + 1, memory_order_release);
}

static int64_t age_of(int64_t now, int64_t then) {
    return now > then ? now - then
                      : 0; /* of an earlier start of the machine: its clock was another */
}

void lease_look(struct lease_look *out, const struct lease *l) {
    const struct lease_page *p = l->page;
    int64_t now = tstamp_monotonic_ns();
    *out = (struct lease_look){
        .epoch = atomic_load(&p->epoch),
        .owner_pid = (pid_t)atomic_load(&p->pid),
        .state = (enum lease_state)(atomic_load(&p->state) & 3),
        .age_ns = age_of(now, atomic_load(&p->renewed_ns)),
        .longest_ns = atomic_load(&p->longest_ns),
        .standby_pid = (pid_t)atomic_load(&p->standby_pid),
        .standby_age_ns = age_of(now, atomic_load(&p->standby_ns)),
        .is_mine = atomic_load(&l->mine),
    };
}

/* ---- standing by ---- */

/* Ends the owner that is silent. Its number is turned into a handle first, and then the process behind the handle compared
 * with the recorded one: a number that was given to another process meanwhile has another start. */
static enum status fence(struct lease *l, struct err *err) {
    struct lease_page *p = l->page;
    pid_t pid = (pid_t)atomic_load(&p->pid);
    if (pid <= 1 || pid == getpid() || l->machine == 0 || atomic_load(&p->machine) != l->machine)
        return err_set(
            err, ST_REFUSED,
            "the owner is silent, and cannot be ended from here: it is no process of this "
            "machine, or of this container");
    int handle = pidfd_open(pid, 0);
    if (handle < 0 && errno == ESRCH) return ST_AGAIN; /* ended: the lock comes free */
    if (handle < 0)
        return err_errno(err, ST_REFUSED, "the owner, process %d, is silent and cannot be ended",
                         (int)pid);
    bool is_owner = start_of(pid) == atomic_load(&p->pid_start) &&
                    atomic_load(&p->epoch) == l->seen_epoch &&
                    atomic_load(&p->renewals) == l->seen_renewals;
    int failed = is_owner ? pidfd_send_signal(handle, SIGKILL, NULL, 0) : 0;
    enum status st = ST_AGAIN;
    if (failed && errno != ESRCH)
        st = err_errno(err, ST_REFUSED, "the owner, process %d, is silent and cannot be ended",
                       (int)pid);
    else if (is_owner && !l->told)
        log_warn("lease", "owner silent and ended",
                 "owner_pid=%d epoch=%" PRIu64 " silent_ms=%" PRId64, (int)pid, l->seen_epoch,
                 l->silent_ns / NS_PER_MS);
    l->told = l->told || (is_owner && !failed);
    close(handle);
    return st;
}

enum status lease_stand_by(struct lease *l, int64_t now_ns, int64_t silent_ns, struct err *err) {
    struct lease_page *p = l->page;
    enum status st = lease_take(l, err);
    if (st != ST_EXISTS) return st;
    atomic_store(&p->standby_ns, tstamp_monotonic_ns());
    atomic_store(&p->standby_pid, (uint64_t)getpid());
    uint64_t epoch = atomic_load(&p->epoch), renewals = atomic_load(&p->renewals);
    int64_t since = now_ns - l->looked_ns;
    bool is_new = l->looked_ns == 0 || epoch != l->seen_epoch || renewals != l->seen_renewals;
    if (is_new) l->told = false;
    l->silent_ns = is_new ? 0 : l->silent_ns + (since < LOOK_NS_MAX ? since : LOOK_NS_MAX);
    l->looked_ns = now_ns;
    l->seen_epoch = epoch;
    l->seen_renewals = renewals;
    uint64_t state = atomic_load(&p->state);
    int64_t limit =
        state == LEASE_RUNNING || silent_ns > LEASE_START_NS ? silent_ns : LEASE_START_NS;
    return l->silent_ns >= limit ? fence(l, err) : ST_AGAIN;
}
