/* Who owns a run, and with it every position its journal knows of: one process at a time, and a named one.
 *
 * Two things in DIR/lease say so. The lock on that file: who holds it owns the run. It is the system's, so it ends with the
 * process, and not before its last thread has made its last call. And the lease written in it, renewed by the loop that trades:
 * it says that the owner not only lives but works.
 *
 * A standby takes over when either ends. Lock free: the owner is gone, at once. Lease not renewed for T: the owner hangs. It
 * might wake at any moment, between a look at some number and the next byte it sends, so no number it could look at keeps it
 * from sending: it is killed (SIGKILL: it runs no instruction of its own any more, stopped or not), and only with the lock
 * in hand, that is after its end, is anything of the run touched. That is the fence; the epoch counts how often it was passed.
 *
 * T is counted by the standby, in looks at which nothing was renewed: no clock of the owner's and no wall clock is in it, and
 * time in which the standby itself stood still (the machine was asleep, both were paused) does not count. */
#ifndef KERNEL_LEASE_H
#define KERNEL_LEASE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/tstamp.h"

#define LEASE_LOOK_NS   (100 * NS_PER_MS)    /* how often a standby looks */
#define LEASE_SILENT_NS (10 * NS_PER_SECOND) /* T unless told otherwise */
#define LEASE_START_NS                                                                             \
    (300 *                                                                                         \
     NS_PER_SECOND) /* T of an owner that begins or ends: it sends nothing then, or is brought up */

/* LEASE_NONE: ended in order, or never owned. */
enum lease_state { LEASE_NONE = 0, LEASE_STARTING, LEASE_RUNNING, LEASE_ENDING };
const char *lease_state_text(enum lease_state state);

struct lease;

/* Opens DIR's lease, making it if there is none; nothing is taken. ST_IO. */
enum status lease_open(struct lease **out, const char *dir, struct err *err);
/* Gives up what it holds. NULL is fine. */
void lease_close(struct lease *l);

/* ST_OK: this process owns the run, under a new epoch, until lease_close or its end. ST_EXISTS: another does, err names it;
 * nothing was changed. ST_STALE: the folder is another one by now (a run begun anew): open again. */
enum status lease_take(struct lease *l, struct err *err);
/* One look of a standby at now_ns (monotonic), silent_ns being its T: as lease_take; but ST_AGAIN while another owns the run,
 * ST_REFUSED once that one is silent and cannot be ended from here (another machine or container, another user): err says why,
 * and looks go on. An owner silent for T has been killed when this returns ST_AGAIN for it; the lock follows. */
enum status lease_stand_by(struct lease *l, int64_t now_ns, int64_t silent_ns, struct err *err);

/* The owner's loop, each time it has gone round. */
void lease_renew(struct lease *l, enum lease_state state);

struct lease_look {
    uint64_t epoch;  /* how often the run has got an owner; 0 never */
    pid_t owner_pid; /* the last one; 0 none */
    enum lease_state state;
    int64_t age_ns;     /* since it was renewed, 0 before */
    int64_t longest_ns; /* between two renewals of this owner while LEASE_RUNNING */
    pid_t standby_pid;  /* the last that looked; 0 none */
    int64_t standby_age_ns;
    bool is_mine;
};
/* Any thread. A process that was killed is told as it was: lease_take alone knows that it is gone. */
void lease_look(struct lease_look *out, const struct lease *l);

#endif
