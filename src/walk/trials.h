/* How much was tried in a state directory: the N of a deflated Sharpe ratio, counted by the program.
 *
 * A file of lines, one JSON object each, only ever appended to:
 *     {"kind":"model","id":"9f3c…","sharpe":null,"periods":0}
 * A trial is whatever could have been chosen for having done well: a model file that was trained ("model"), a
 * configuration that was run ("run"), a rule its answers were put under ("rule"). The same one again is not counted again;
 * its ratio (per day, not annual) counts as last told. Half a line at the end (a killed process) is left out.
 *
 * Tests   test_trials.c */
#ifndef WALK_TRIALS_H
#define WALK_TRIALS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum walk_trial_kind { WALK_TRIAL_MODEL = 0, WALK_TRIAL_RUN, WALK_TRIAL_RULE, WALK_TRIAL_KINDS };
const char *walk_trial_kind_text(enum walk_trial_kind kind); /* "model" "run" "rule" */

struct walk_trial {
    enum walk_trial_kind kind;
    uint64_t id;
    double sharpe;    /* per day; NaN: not known */
    uint64_t periods; /* days it is of */
};

struct walk_trial_totals {
    uint64_t count, by_kind[WALK_TRIAL_KINDS];
    uint64_t known;  /* with a ratio */
    double variance; /* of those, n - 1; NaN with fewer than two */
};
/* No file: nothing was tried. ST_CORRUPT: a line that is none (file and line in err). */
enum status walk_trials_read(struct walk_trial_totals *out, const char *path, struct err *err);
/* Appends what the file does not say yet, under a lock; then as walk_trials_read. */
enum status walk_trials_add(struct walk_trial_totals *out, const char *path,
                            const struct walk_trial *trials, size_t count, struct err *err);

#endif
