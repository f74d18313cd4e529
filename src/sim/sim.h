/* The whole system in one thread under one virtual clock: the real run (backtest/session with a port), the real client of
 * the venue over a simulated network, the real exchange with its faults, and whatever else may go wrong, seeded.
 *
 * Same seed and options, same trace: every event of the exchange and every command of the trader goes into one hash.
 * Time passes only when nobody has anything left to do at the present moment. While a simulation runs, the process's
 * clock (base/tstamp) is the simulated trader's machine's: one simulation a process at a time. docs/simulation.md */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "backtest/session.h"
#include "base/err.h"
#include "base/hist.h"
#include "sim/canary.h"
#include "sim/check.h"

enum { SIM_WORK_SIZE = 512, SIM_TEXT_SIZE = 512, SIM_EXPLAIN_SIZE = 1 << 17 };

struct sim_options {
    uint64_t seed;
    double hours;     /* simulated */
    uint32_t symbols; /* 8; at most 64 */
    enum strategy_kind strategy;
    double
        depth; /* quote units at each of six levels of a book; where it is thin, orders are filled in part */
    /* "none", "all", or names of sim_faults.h and of `quantum exchange --faults`, NAME[=RATE] with commas. */
    const char *faults;
    const char
        *work; /* where run directories are kept while they run; NULL: /dev/shm, $TMPDIR, /tmp */
    const char *
        models; /* folder of trained voters (ensemble); made if missing. NULL: in work, for this run alone */
    enum canary_kind canary; /* a planted bug; CANARY_NONE */
    /* Crash matrix: the process dies at this point of those from the first intent on (each journal append and each command
     * of the port, before and after it); 0: at none. power: its machine dies with it. */
    uint64_t crash_at;
    bool crash_power;
    bool verify; /* at the end the journal is executed again and must lead to the same state */
    bool keep;   /* the run directory stays, result says where */
    const volatile sig_atomic_t *stop; /* NULL never */
};
struct sim_options sim_options_defaults(void);

struct sim_result {
    uint64_t seed, events, trace_hash; /* events: of the exchange and commands, all in the trace */
    double hours;                      /* simulated */
    int64_t wall_ns;                   /* really taken */
    bool stopped;                      /* by options->stop, before its hours were over */
    uint32_t lives, kills,
        restarts; /* of the trader: processes; killed by us; ended by themselves and begun again */
    uint64_t commands, requests, fills, orders, trades, faults_fired, records_verified;
    uint64_t crash_points; /* passed; see crash_at */
    /* Violations of the invariants: a run ends with the first one, but for what the same moment brings. That one in words,
     * the number of its invariant (enum check_number), and the last facts before it, a line each. */
    uint64_t violations;
    int violation_number;
    char violation[SIM_TEXT_SIZE], explained[SIM_EXPLAIN_SIZE];
    struct hist
        protected_ns; /* from a fill to the stop that the venue confirmed, of spans nothing interrupted */
    uint64_t coverage; /* different (state, event) pairs and fault x phase pairs seen */
    struct check_report report;
    struct check_coverage coverage_bits;
    uint64_t canary_struck;
    char run_dir[SIM_WORK_SIZE]; /* keep: what is left */
};

/* Runs one seed. ST_OK also with violations; anything else means that the simulation itself could not go on. */
enum status sim_run(struct sim_result *out, const struct sim_options *options, struct err *err);

#endif
