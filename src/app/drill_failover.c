/* quantum drill failover: the owner of a run is killed, or hangs, and a standby takes the run over. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/drill.h"
#include "app/run.h"
#include "base/tstamp.h"
#include "kernel/lease.h"

/* A look is two questions a position, and the run's own share the address's weight. Told to ask less: a pause, for who goes
 * on asking is banned. */
#define VENUE_LOOK_NS  (250 * NS_PER_MS) /* for each position */
#define VENUE_PAUSE_NS (10 * NS_PER_SECOND)

struct failover {
    struct drill_process *owner, *standby; /* standby NULL: it was there already */
    struct lease *lease;                   /* only looked at */
    pid_t standby_pid;
    uint64_t epoch;
    int64_t owned_ms; /* kill to the lock in the standby's hand */
    uint32_t venue_looks, naked, differing;
    bool old_is_gone, old_refuses;
    struct drill_settled settled;
    char log[RUN_PATH_SIZE + 32];
};

static enum status find_owner(struct failover *f, struct drill *d, struct err *err) {
    char run_dir[RUN_PATH_SIZE];
    struct lease_look look;
    enum status st = drill_process_find(&f->owner, d->before.pid, err);
    if (st == ST_OK) st = run_current(run_dir, sizeof run_dir, d->state, err);
    if (st == ST_OK) st = lease_open(&f->lease, run_dir, err);
    if (st != ST_OK) return st;
    lease_look(&look, f->lease);
    f->epoch = look.epoch;
    if (look.owner_pid == d->before.pid) return ST_OK;
    return err_set(err, ST_MISMATCH, "%s is not the run of process %d", run_dir,
                   (int)d->before.pid);
}

/* One that looks: what was there before, or another process of the same words. */
static enum status have_standby(struct failover *f, struct drill *d, struct err *err) {
    struct lease_look look;
    lease_look(&look, f->lease);
    bool is_there = look.standby_pid != 0 && look.standby_age_ns < 5 * LEASE_LOOK_NS;
    enum status st = ST_OK;
    if (!is_there) st = drill_process_find(&f->standby, d->before.pid, err);
    if (!is_there && st == ST_OK)
        st = drill_process_start(f->standby, DRILL_AS_STANDBY, f->log, err);
    if (st != ST_OK) return st;
    f->standby_pid = is_there ? look.standby_pid : drill_process_pid(f->standby);
    while (look.standby_pid != f->standby_pid) {
        if (drill_is_over(d)) return err_set(err, ST_TIMEOUT, "the standby does not come up");
        drill_nap();
        lease_look(&look, f->lease);
    }
    if (!d->json)
        printf("standby: process %d%s\n", (int)f->standby_pid, is_there ? ", there already" : "");
    return ST_OK;
}

/* With everything in place: what is on its way has no stop yet, and no owner to ask for one. */
static enum status all_protected(struct drill *d, struct err *err) {
    do {
        enum status st = drill_look_again(d, &d->before, err);
        if (st != ST_OK || drill_unprotected(&d->before) == 0) return st;
        drill_nap();
    } while (!drill_is_over(d));
    return err_set(err, ST_TIMEOUT, "there is always a position without a stop");
}

static int64_t held_of(const struct drill_holding *held, uint32_t count, const char *symbol) {
    for (uint32_t i = 0; i < count && i < DRILL_POSITIONS_MAX; i++)
        if (strcmp(held[i].symbol, symbol) == 0) return held[i].qty_e8;
    return 0;
}

/* Positions of before that are held at the venue, and whose stop was not there when it was asked for before that. */
static enum status look_at_venue(struct failover *f, const struct drill *d,
                                 struct drill_venue *venue, struct err *err) {
    static struct drill_holding held[DRILL_POSITIONS_MAX];
    bool bare[DRILL_POSITIONS_MAX] = {false}, any = false;
    enum status st = ST_OK;
    for (uint32_t i = 0; i < d->before.position_count && st == ST_OK; i++) {
        struct drill_stop stop;
        st = drill_venue_stop(&stop, venue, d->before.positions[i].symbol, NULL, err);
        bare[i] = st == ST_OK && stop.id == 0;
        any = any || bare[i];
    }
    uint32_t count = 0;
    if (st == ST_OK && any) st = drill_venue_held(held, &count, venue, err);
    if (st == ST_AGAIN) return ST_OK; /* no look */
    for (uint32_t i = 0; i < d->before.position_count && st == ST_OK; i++)
        f->naked += bare[i] && held_of(held, count, d->before.positions[i].symbol) != 0;
    f->venue_looks += st == ST_OK;
    return st;
}

/* Until the standby owns the run and tells its state. */
static enum status taken_over(struct failover *f, struct drill *d, struct drill_venue *venue,
                              int64_t begin_ns, struct err *err) {
    int64_t look_ns = 0, every_ns = VENUE_LOOK_NS * (1 + (int64_t)d->before.position_count);
    for (;;) {
        struct lease_look look;
        lease_look(&look, f->lease);
        if (f->owned_ms < 0 && look.epoch != f->epoch && look.owner_pid != 0) {
            f->owned_ms = drill_ms_since(begin_ns);
            f->old_is_gone = !drill_process_is_there(f->owner);
            f->epoch = look.epoch;
        }
        int64_t now = tstamp_monotonic_ns();
        if (venue && now >= look_ns) {
            uint32_t looks = f->venue_looks;
            enum status st = look_at_venue(f, d, venue, err);
            if (st != ST_OK) return st;
            look_ns = now + (f->venue_looks > looks ? every_ns : VENUE_PAUSE_NS);
        }
        if (f->owned_ms >= 0 && drill_look(&d->after, (uint16_t)d->port, err) == ST_OK &&
            d->after.running && d->after.pid == f->standby_pid)
            return ST_OK;
        *err = (struct err){0};
        if (drill_is_over(d)) return err_set(err, ST_TIMEOUT, "the standby does not take over");
        drill_nap();
    }
}

/* What the run holds is what the venue holds: an entry that was executed twice would show here. */
static enum status same_at_venue(struct failover *f, struct drill *d, struct drill_venue *venue,
                                 struct err *err) {
    static struct drill_holding held[DRILL_POSITIONS_MAX];
    for (;;) {
        uint32_t count;
        enum status st = drill_venue_held(held, &count, venue, err);
        f->differing = count != d->after.position_count;
        for (uint32_t i = 0; i < d->after.position_count && st == ST_OK; i++) {
            const struct drill_position *p = &d->after.positions[i];
            int64_t want = strcmp(p->side, "BUY") == 0 ? p->qty_e8 : -p->qty_e8;
            f->differing += held_of(held, count, p->symbol) != want;
        }
        if (st != ST_OK && st != ST_AGAIN) return st;
        if (st == ST_OK && (f->differing == 0 || drill_is_over(d))) return ST_OK;
        if (drill_is_over(d)) return st;
        /* Something was under way between the two, or it is asked too much. */
        int64_t pause_ns = st == ST_AGAIN ? VENUE_PAUSE_NS : NS_PER_SECOND;
        for (int64_t until = tstamp_monotonic_ns() + pause_ns; tstamp_monotonic_ns() < until;)
            drill_nap();
        if ((st = drill_look_again(d, &d->after, err)) != ST_OK) return st;
    }
}

/* The old owner's words again: another owns the run, so it refuses, and nothing changes. */
static enum status old_refuses(struct failover *f, struct drill *d, struct err *err) {
    int code = -1;
    enum status st = drill_process_start(f->owner, DRILL_AS_OWNER, f->log, err);
    if (st == ST_OK) st = drill_process_wait(&code, f->owner, d->end_ns, err);
    f->old_refuses = code == EXIT_REFUSED;
    if (st == ST_OK) st = drill_look_again(d, &d->after, err);
    return st;
}

static enum status go_through(struct failover *f, struct drill *d, struct drill_venue *venue,
                              struct err *err) {
    enum status st = find_owner(f, d, err);
    if (st == ST_OK) st = have_standby(f, d, err);
    if (st == ST_OK) st = all_protected(d, err);
    if (st != ST_OK) return st;
    if (!d->json)
        printf("%s of process %d, which holds %u position(s)\n", d->hang ? "SIGSTOP" : "kill -9",
               (int)d->before.pid, d->before.position_count);
    int64_t begin = tstamp_monotonic_ns();
    st = d->hang ? drill_process_halt(f->owner, err) : drill_process_kill(f->owner, err);
    if (st == ST_OK) st = taken_over(f, d, venue, begin, err);
    f->settled.down_ms = drill_ms_since(begin);
    if (st == ST_OK) st = drill_settle(&f->settled, d, err);
    if (st == ST_OK && venue) st = same_at_venue(f, d, venue, err);
    if (st == ST_OK) st = old_refuses(f, d, err);
    return st;
}

static int report(const struct drill *d, const struct failover *f, bool has_venue) {
    const struct drill_settled *s = &f->settled;
    const char *fault = !f->old_is_gone    ? "the standby owns the run, and its owner still lives"
                        : f->naked > 0     ? "a stop was not at the venue meanwhile"
                        : f->differing > 0 ? "the venue holds something else than the run"
                        : !f->old_refuses  ? "the old owner does not refuse"
                        : d->after.pid != f->standby_pid
                            ? "the standby does not own the run any more"
                            : drill_settled_fault(s, d);
    if (d->json) {
        drill_json_head(d, fault);
        printf(",\"how\":\"%s\",\"positions\":%u,\"trades\":%u,\"lost\":%u,\"doubled\":%u,"
               "\"changed\":%u,\"closed\":%u,\"opened\":%u,\"owned_ms\":%" PRId64
               ",\"down_ms\":%" PRId64 ",\"protected_ms\":%" PRId64,
               d->hang ? "hang" : "kill", d->before.position_count, d->before.trade_count,
               s->was.lost, s->was.doubled, s->was.changed, s->was.closed, s->was.opened,
               f->owned_ms, s->down_ms, s->protected_ms);
        if (has_venue)
            printf(",\"venue_looks\":%u,\"naked\":%u,\"differing\":%u", f->venue_looks, f->naked,
                   f->differing);
        else
            printf(",\"venue_looks\":null,\"naked\":null,\"differing\":null");
        printf(",\"old_refuses\":%s,\"epoch\":%" PRIu64 ",\"pid\":%d}\n",
               f->old_refuses ? "true" : "false", f->epoch, (int)d->after.pid);
    } else {
        printf("owned by process %d after %" PRId64 " ms (epoch %" PRIu64
               "), told by it after %" PRId64 " ms (its words: %s)\n"
               "before: %u position(s), %u trade(s); lost %u, doubled %u, changed %u; since then "
               "closed %u, opened %u\n",
               (int)f->standby_pid, f->owned_ms, f->epoch, s->down_ms, f->log,
               d->before.position_count, d->before.trade_count, s->was.lost, s->was.doubled,
               s->was.changed, s->was.closed, s->was.opened);
        if (has_venue)
            printf("at the venue, in %u look(s): %u time(s) without its stop; %u position(s) "
                   "unlike the "
                   "run's\n",
                   f->venue_looks, f->naked, f->differing);
        printf("the old owner, started again, %s\n",
               f->old_refuses ? "refuses: another owns the run" : "does not refuse");
    }
    return drill_verdict(d, fault);
}

int drill_failover(struct drill *d, struct drill_venue *venue) {
    struct err err = {0};
    struct failover f = {.owned_ms = -1, .settled = {.protected_ms = -1}};
    snprintf(f.log, sizeof f.log, "%s/drill-failover.log", d->state);
    enum status st = go_through(&f, d, venue, &err);
    int code = st == ST_OK ? report(d, &f, venue != NULL) : drill_failed(d, &err);
    if (f.owner) drill_process_free(f.owner);
    if (f.standby) drill_process_free(f.standby);
    lease_close(f.lease);
    return code;
}
