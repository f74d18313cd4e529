/* Many seeds, side by side: each in a process of its own, so that what stops one (an assertion of the product is a finding
 * like any other) stops nothing else, and what one leaks is gone with it.
 *
 * Variation: a seed also draws the mix of faults, their rates, the number of contracts and the rule that trades, so that
 * not every seed looks for the same thing; swarm_vary says what it drew, and the same options run by hand do the same.
 * Shrinking: a seed that violates is run again with less of everything, for as long as the same invariant is violated.
 *
 * Tests: test_swarm.c */
#ifndef SIM_SWARM_H
#define SIM_SWARM_H

#include "sim/sim.h"

enum {
    SWARM_JOBS_MAX = 64,
    SWARM_FAULTS_SIZE = 2048,
    SWARM_COMMAND_SIZE = SWARM_FAULTS_SIZE + 256
};

struct swarm_options {
    struct sim_options base; /* base.seed: the first; base.stop ends the swarm cleanly */
    uint32_t seeds, jobs;    /* jobs 0: as many as processors, at most SWARM_JOBS_MAX */
    bool vary;               /* swarm_vary each seed; else all run with the base's own options */
    bool shrink;             /* the first seed that violates */
    const char *csv;         /* a line is appended there at the end; NULL none */
    const char *commit;      /* of the line */
    /* After each seed, in the order they end. NULL: nobody. failed: it ended by a signal or could not run. */
    void (*progress)(void *context, const struct sim_result *one, uint32_t done, bool failed);
    void *context;
};

/* What the swarm runs for this seed: options whose faults lie in text. */
struct sim_options swarm_vary(const struct sim_options *base, uint64_t seed,
                              char text[SWARM_FAULTS_SIZE]);
/* The command that repeats one run. */
void swarm_command(char out[SWARM_COMMAND_SIZE], const struct sim_options *options);

struct swarm_result {
    uint32_t seeds,
        failed; /* ended; of them by a signal or without a result: each is a violation */
    double hours;
    int64_t wall_ns, busy_ns;                /* busy: processor time of the seeds */
    uint64_t events, violations, trace_hash; /* of the hashes in order of their seeds */
    uint64_t kills, restarts, lives, orders, fills, trades, faults_fired;
    struct hist protected_ns;
    uint64_t longest_seed;          /* of the longest of them */
    struct check_report report;     /* sums */
    struct check_coverage coverage; /* union */
    uint64_t first_seed_wrong;      /* has_wrong */
    bool has_wrong, stopped;
    int wrong_number; /* enum check_number; CHECK_NONE: ended without a result */
    char wrong[SIM_TEXT_SIZE], explained[SIM_EXPLAIN_SIZE]; /* its violation, the facts before it */
    char wrong_command[SWARM_COMMAND_SIZE];                 /* as it was run, and … */
    char shrunk_command[SWARM_COMMAND_SIZE]; /* … the least that still violates; "" not shrunk */
    char shrunk[SIM_TEXT_SIZE];
};
/* Simulated hours / hours of one processor. */
double swarm_ratio(const struct swarm_result *r);

/* ST_OK also with violations. ST_IO: no process, or the csv. */
enum status swarm_run(struct swarm_result *out, const struct swarm_options *options,
                      struct err *err);

/* Columns of the csv, and what its lines add up to: hours of all lines of this version of the columns. */
#define SWARM_CSV_HEADER                                                                           \
    "utc,commit,strategy,faults,first_seed,seeds,hours,events,violations,kills,restarts,fills,"    \
    "protected_p99_ms,protected_max_ms,ratio,trace_hash"
enum status swarm_csv_total(double *hours, uint64_t *seeds, uint64_t *violations, const char *path,
                            struct err *err);

#endif
