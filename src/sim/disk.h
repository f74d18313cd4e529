/* The disk of a simulated trader's machine: what a run directory holds when its process dies (an image), what is left of
 * that when the power goes with it, and a probe for journals that makes the disk a bad one.
 *
 * What was synced survives anything. Of what was not, a power loss leaves any piece: whole sectors or none of them,
 * a record cut in two, bits that turned over. docs/simulation.md, docs/journal.md */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include <stdint.h>

#include "base/err.h"
#include "base/rng.h"
#include "kernel/journal.h"

/* Chances that one call of the journal's writer goes wrong. */
struct sim_disk_faults {
    double no_space;    /* a write or an allocation: ENOSPC, any part of it written */
    double short_write; /* a write: only a part is taken, no error; the writer has to go on */
    double sync_error;  /* EIO */
};

/* Watches one journal over all lives of its processes. Its address goes into the probe: it must not move. */
struct sim_disk {
    struct journal_probe probe; /* for journal_options */
    struct rng rng;
    struct sim_disk_faults faults;    /* in force now; all 0: a good disk. The owner's to set */
    const struct journal_probe *next; /* asked as well, after it; NULL: nobody */
    uint64_t appended, durable;       /* last record; last one that a sync has covered */
    uint64_t calls[JOURNAL_IO_COUNT], failed, shortened;
};

void sim_disk_init(struct sim_disk *d, uint64_t seed, const struct journal_probe *next);

/* dir as it is at this instant, for a process killed now: image must not exist. Holes stay holes, files that are never
 * written again (closed segments, snapshots) are linked. */
enum status sim_disk_image(const char *dir, const char *image, struct err *err);

struct sim_disk_loss {
    uint64_t last_seq; /* of the journal: the last record that can be read now */
    uint64_t
        bytes_torn; /* behind the last synced record: bytes that differ from what was written */
};
/* The image of a run directory (journal in image/journal, watched by d) becomes what a power loss leaves: records up to
 * d->durable and a torn piece of the rest. d goes on with it. */
enum status sim_disk_power_loss(struct sim_disk *d, const char *image, struct sim_disk_loss *out,
                                struct err *err);
/* The same for one journal's folder. */
enum status sim_disk_tear(struct sim_disk_loss *out, const char *journal_dir, uint64_t durable_seq,
                          struct rng *rng, struct err *err);

/* Turns over one bit of record seq in its segment. ST_NOT_FOUND: it is not in a plain segment. */
enum status sim_disk_rot(const char *journal_dir, uint64_t seq, struct rng *rng, struct err *err);

/* dir and all in it; what is not there is gone already. */
void sim_disk_remove(const char *dir);

#endif
