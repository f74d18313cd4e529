/* quantum sim: the whole system, exchange included, in one thread under a virtual clock. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/command.h"
#include "app/version.h"
#include "base/json.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "sim/sim_faults.h"
#include "sim/swarm.h"

static const char help[] =
    "usage: quantum sim [options]\n"
    "\n"
    "The whole system in one thread under a virtual clock: the trader with its journal, its client "
    "of the\n"
    "venue, a network, and the exchange. The same seed and options give the same run, to the last "
    "event\n"
    "(trace_hash).\n"
    "\n"
    "  --seed N          first seed (1)\n"
    "  --hours H         simulated hours a seed (1)\n"
    "  --symbols N       contracts, 1 to 64 (8)\n"
    "  --strategy NAME   momentum, random, sma-cross or ensemble (momentum)\n"
    "  --depth X         quote units at each level of a book (60000); a thin one fills orders in "
    "part\n"
    "  --faults LIST     none, all, or NAME[=RATE],… (none)\n"
    "  --list-faults     the names, with their rates under all\n"
    "  --models DIR      where the trained voters of --strategy ensemble are kept (trained again "
    "else)\n"
    "  --work DIR        where run directories lie meanwhile (/dev/shm, else $TMPDIR, else /tmp)\n"
    "  --keep            leave the run directory, and say where it is\n"
    "  --canary NAME     plant a bug that the checker must see: double_order, naked, lost_fill or\n"
    "                    loosened_stop\n"
    "  --swarm K         seeds N to N+K-1, side by side; under --faults all each seed draws its "
    "own mix "
    "of faults,\n"
    "                    their rates, contracts and rule\n"
    "  --same            seeds of a swarm differ in nothing but the seed\n"
    "  --jobs N          at once (as many as processors)\n"
    "  --no-shrink       do not look for the least that still violates\n"
    "  --coverage        name what of the swarm's coverage was never met, on stderr\n"
    "  --csv FILE        append the swarm's figures there, a line; told in the end what its lines "
    "add up "
    "to\n"
    "  --no-verify       do not execute the journal again at the end\n"
    "  --verbose         the trader's own log, on stderr\n"
    "  --json            one line: seeds, hours, events, violations, ratio, coverage,\n"
    "                    time_to_protected_ms, trace_hash\n"
    "\n"
    "Exit code 1 if an invariant was violated. Example:\n"
    "  quantum sim --seed 7 --hours 24 --faults all --json\n"
    "  quantum sim --swarm 1000 --hours 4 --faults all --csv sim.csv\n";

struct sim_command {
    struct sim_options sim;
    uint32_t swarm, jobs; /* swarm 0: one seed, in this process */
    const char *csv;
    bool json, verbose, same, no_shrink, list_faults, coverage;
};

enum option_id {
    SEED = 1,
    HOURS,
    SYMBOLS,
    STRATEGY,
    DEPTH,
    FAULTS,
    LIST_FAULTS,
    MODELS,
    WORK,
    KEEP,
    CANARY,
    NO_VERIFY,
    VERBOSE,
    JSON,
    SWARM,
    SAME,
    JOBS,
    NO_SHRINK,
    COVERAGE,
    CSV
};

static volatile sig_atomic_t stop;

static void on_signal(int number) {
    (void)number;
    stop = 1;
}

/* The rule's name as everywhere, and as this command's page writes it. */
static bool strategy_of(enum strategy_kind *out, const char *text) {
    return strategy_find(out,
                         strcmp(text, "sma-cross") == 0 ? strategy_text(STRATEGY_SMA_CROSS) : text);
}

static bool number_of(double *out, const char *text, double max) {
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out > 0 && *out <= max;
}

static bool apply(void *options, int option) {
    struct sim_command *c = options;
    switch (option) {
    case SEED:
        return command_u64_parse(&c->sim.seed, optarg, 0, UINT64_MAX);
    case HOURS:
        return number_of(&c->sim.hours, optarg, 10000);
    case SYMBOLS:
        return command_u32_parse(&c->sim.symbols, optarg, 1, 64);
    case STRATEGY:
        return strategy_of(&c->sim.strategy, optarg);
    case DEPTH:
        return number_of(&c->sim.depth, optarg, 1e9);
    case FAULTS:
        c->sim.faults = optarg;
        return true;
    case LIST_FAULTS:
        c->list_faults = true;
        return true;
    case MODELS:
        c->sim.models = optarg;
        return true;
    case WORK:
        c->sim.work = optarg;
        return true;
    case KEEP:
        c->sim.keep = true;
        return true;
    case CANARY: {
        int kind = canary_find(optarg);
        c->sim.canary = kind < 0 ? CANARY_NONE : (enum canary_kind)kind;
        return kind >= 0;
    }
    case NO_VERIFY:
        c->sim.verify = false;
        return true;
    case VERBOSE:
        c->verbose = true;
        return true;
    case JSON:
        c->json = true;
        return true;
    case SWARM:
        return command_u32_parse(&c->swarm, optarg, 1, 10000000);
    case SAME:
        c->same = true;
        return true;
    case JOBS:
        return command_u32_parse(&c->jobs, optarg, 1, SWARM_JOBS_MAX);
    case NO_SHRINK:
        c->no_shrink = true;
        return true;
    case COVERAGE:
        c->coverage = true;
        return true;
    case CSV:
        c->csv = optarg;
        return true;
    default:
        return false;
    }
}

static int read_options(struct sim_command *c, int argc, char **argv) {
    static const struct option table[] = {{"seed", required_argument, NULL, SEED},
                                          {"hours", required_argument, NULL, HOURS},
                                          {"symbols", required_argument, NULL, SYMBOLS},
                                          {"strategy", required_argument, NULL, STRATEGY},
                                          {"depth", required_argument, NULL, DEPTH},
                                          {"faults", required_argument, NULL, FAULTS},
                                          {"list-faults", no_argument, NULL, LIST_FAULTS},
                                          {"models", required_argument, NULL, MODELS},
                                          {"work", required_argument, NULL, WORK},
                                          {"keep", no_argument, NULL, KEEP},
                                          {"canary", required_argument, NULL, CANARY},
                                          {"no-verify", no_argument, NULL, NO_VERIFY},
                                          {"verbose", no_argument, NULL, VERBOSE},
                                          {"json", no_argument, NULL, JSON},
                                          {"swarm", required_argument, NULL, SWARM},
                                          {"same", no_argument, NULL, SAME},
                                          {"jobs", required_argument, NULL, JOBS},
                                          {"no-shrink", no_argument, NULL, NO_SHRINK},
                                          {"coverage", no_argument, NULL, COVERAGE},
                                          {"csv", required_argument, NULL, CSV},
                                          {"help", no_argument, NULL, COMMAND_HELP},
                                          {NULL, 0, NULL, 0}};
    const struct command_options o = {
        .command = "sim", .help = help, .table = table, .apply = apply};
    int code = command_options_read(c, &o, argc, argv);
    if (code < 0 && optind < argc)
        code = command_usage_error("sim", help, "'%s' is no option", argv[optind]);
    if (code < 0 && !c->swarm && (c->same || c->jobs || c->no_shrink || c->coverage || c->csv))
        code = command_usage_error(
            "sim", help, "--same, --jobs, --no-shrink, --coverage and --csv are of --swarm");
    if (code < 0 && c->swarm && c->sim.keep)
        code = command_usage_error("sim", help, "--keep is of one seed");
    return code;
}

/* ---- output ---- */

/* What both forms say in the end. */
struct figures {
    uint64_t seeds, events, violations, coverage, trace_hash;
    double hours, ratio;
    const struct hist *protected_ns;
};

static void write_u64(struct json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_u64(w, value);
}

static double ms_of(int64_t ns) {
    return (double)ns / (double)NS_PER_MS;
}

static int print_json(const struct figures *r) {
    char text[4096], hash[24];
    struct json_writer w;
    json_writer_init(&w, text, sizeof text);
    json_write_object_begin(&w);
    write_u64(&w, "seeds", r->seeds);
    json_write_key(&w, "hours");
    json_write_f64(&w, r->hours);
    write_u64(&w, "events", r->events);
    write_u64(&w, "violations", r->violations);
    json_write_key(&w, "ratio");
    json_write_f64(&w, r->ratio);
    write_u64(&w, "coverage", r->coverage);
    json_write_key(&w, "time_to_protected_ms");
    json_write_object_begin(&w);
    json_write_key(&w, "p50");
    json_write_f64(&w, ms_of(hist_quantile(r->protected_ns, 0.50)));
    json_write_key(&w, "p99");
    json_write_f64(&w, ms_of(hist_quantile(r->protected_ns, 0.99)));
    json_write_key(&w, "max");
    json_write_f64(&w, ms_of(r->protected_ns->count ? r->protected_ns->max : 0));
    json_write_object_end(&w);
    json_write_key(&w, "trace_hash");
    snprintf(hash, sizeof hash, "%016" PRIx64, r->trace_hash);
    json_write_string(&w, hash);
    json_write_object_end(&w);
    if (json_writer_finish(&w) != ST_OK) return EXIT_FAILED;
    return printf("%s\n", text) < 0 || fflush(stdout) != 0 ? EXIT_FAILED : EXIT_DONE;
}

static void print_words(const struct sim_result *r, double ratio) {
    printf("seed %" PRIu64 ": %.2f h in %.2f s (%.0fx), %" PRIu64 " events, trace %016" PRIx64 "\n",
           r->seed, r->hours, (double)r->wall_ns / 1e9, ratio, r->events, r->trace_hash);
    printf("trader: %u lives (%u killed, %u begun again), %" PRIu64 " commands, %" PRIu64
           " requests, %" PRIu64 " orders, %" PRIu64 " fills, %" PRIu64 " trades, %" PRIu64
           " records verified\n",
           r->lives, r->kills, r->restarts, r->commands, r->requests, r->orders, r->fills,
           r->trades, r->records_verified);
    if (r->protected_ns.count > 0)
        printf("protected after: p50 %.1f ms, p99 %.1f ms, max %.1f ms, %" PRIu64 " positions\n",
               ms_of(hist_quantile(&r->protected_ns, 0.50)),
               ms_of(hist_quantile(&r->protected_ns, 0.99)), ms_of(r->protected_ns.max),
               r->protected_ns.count);
    if (r->run_dir[0]) printf("run directory: %s\n", r->run_dir);
}

static int64_t busy_ns(void) {
    struct timespec t = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* not the simulated clock: what it costs */
    return (int64_t)t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

static int run_one(const struct sim_command *c) {
    static struct sim_result r;
    struct err err = {0};
    int64_t began = busy_ns();
    if (sim_run(&r, &c->sim, &err) != ST_OK) {
        fprintf(stderr, "quantum sim: seed %" PRIu64 ": %s\n", c->sim.seed, err.text);
        return EXIT_FAILED;
    }
    int64_t busy = busy_ns() - began;
    if (r.violations > 0)
        fprintf(stderr, "%squantum sim: seed %" PRIu64 ", %" PRIu64 " violations, first: %s\n",
                r.explained, r.seed, r.violations, r.violation);
    const struct figures f = {.seeds = 1,
                              .events = r.events,
                              .violations = r.violations,
                              .coverage = r.coverage,
                              .trace_hash = r.trace_hash,
                              .hours = r.hours,
                              .ratio = busy > 0 ? r.hours * 3.6e12 / (double)busy : 0,
                              .protected_ns = &r.protected_ns};
    int code = EXIT_DONE;
    if (c->json)
        code = print_json(&f);
    else
        print_words(&r, f.ratio);
    return r.violations > 0 ? EXIT_FAILED : code;
}

static void on_progress(void *context, const struct sim_result *one, uint32_t done, bool failed) {
    const struct sim_command *c = context;
    if (one->violations > 0 || failed)
        fprintf(stderr, "seed %" PRIu64 ": %s\n", one->seed, one->violation);
    else if (done % 100 == 0)
        fprintf(stderr, "%u of %u seeds\n", done, c->swarm);
}

static void print_swarm(const struct swarm_result *r) {
    const struct check_coverage_counts seen = check_coverage_count(&r->coverage);
    printf("%u seeds, %.1f h in %.1f s of processor time (%.0fx), %" PRIu64 " events, %" PRIu64
           " violations%s\n",
           r->seeds, r->hours, (double)r->busy_ns / 1e9, swarm_ratio(r), r->events, r->violations,
           r->stopped ? ", stopped early" : "");
    printf("%" PRIu64 " faults, %" PRIu64 " kills, %" PRIu64 " lives, %" PRIu64 " orders, %" PRIu64
           " fills, %" PRIu64 " trades\n",
           r->faults_fired, r->kills, r->lives, r->orders, r->fills, r->trades);
    printf("coverage: %u of %u legal (state, event) pairs, %u illegal ones met, %u of %u faults x "
           "phases\n",
           seen.legal, seen.legal_all, seen.illegal, seen.phases, seen.phases_all);
    if (r->protected_ns.count > 0)
        printf("protected after: p50 %.1f ms, p99 %.1f ms, max %.1f ms (seed %" PRIu64 "), %" PRIu64
               " positions; longest while dead or shut out %.1f s\n",
               ms_of(hist_quantile(&r->protected_ns, 0.50)),
               ms_of(hist_quantile(&r->protected_ns, 0.99)), ms_of(r->protected_ns.max),
               r->longest_seed, r->protected_ns.count,
               (double)r->report.longest_interrupted_ns / 1e9);
}

static void print_pair(const char *words, int state, int event) {
    fprintf(stderr, "%s: (%s, %s)\n", words, order_state_text((enum order_state)state),
            order_event_text((enum order_event)event));
}

static void print_missed(const struct check_coverage *c) {
    for (int state = 0; state < ORDER_STATE_COUNT; state++)
        for (int event = 0; event < ORDER_EVENT_COUNT; event++) {
            bool legal = order_state_next((enum order_state)state, (enum order_event)event) >= 0;
            bool met = (c->pairs[state] >> event) & 1;
            /* Not `legal != met`: gcc 12.2 gets that wrong at -O1 and above (a sign against a bit of a shift). */
            if (legal && !met) print_pair("never met", state, event);
            if (!legal && met) print_pair("illegal, met", state, event);
        }
    for (uint32_t kind = 0; kind < INJECT_COUNT; kind++)
        for (int phase = 0; phase < EXITS_PHASE_COUNT; phase++)
            if (!((c->phases[kind] >> phase) & 1))
                fprintf(stderr, "never met: %s while %s\n", check_injection_name(kind),
                        exits_phase_text((enum exits_phase)phase));
}

static void print_wrong(const struct swarm_result *r) {
    fprintf(stderr, "quantum sim: seed %" PRIu64 ": %s\n  %s\n", r->first_seed_wrong, r->wrong,
            r->wrong_command);
    if (r->shrunk_command[0]) fprintf(stderr, "shrunk: %s\n  %s\n", r->shrunk, r->shrunk_command);
}

static int run_swarm(struct sim_command *c) {
    static struct swarm_result r;
    struct err err = {0};
    const struct swarm_options o = {.base = c->sim,
                                    .seeds = c->swarm,
                                    .jobs = c->jobs,
                                    .vary = !c->same,
                                    .shrink = !c->no_shrink,
                                    .csv = c->csv,
                                    .commit = QUANTUM_COMMIT,
                                    .progress = on_progress,
                                    .context = c};
    if (swarm_run(&r, &o, &err) != ST_OK) {
        fprintf(stderr, "quantum sim: %s\n", err.text);
        return EXIT_FAILED;
    }
    if (r.has_wrong) print_wrong(&r);
    if (c->coverage) print_missed(&r.coverage);
    double hours = 0;
    uint64_t seeds = 0, wrong = 0;
    if (c->csv && swarm_csv_total(&hours, &seeds, &wrong, c->csv, &err) != ST_OK)
        fprintf(stderr, "quantum sim: %s\n", err.text);
    else if (c->csv)
        fprintf(stderr, "%s: %.0f h over %" PRIu64 " seeds, %" PRIu64 " violations so far\n",
                c->csv, hours, seeds, wrong);
    const struct check_coverage_counts seen = check_coverage_count(&r.coverage);
    const struct figures f = {.seeds = r.seeds,
                              .events = r.events,
                              .violations = r.violations,
                              .coverage = seen.legal + seen.illegal + seen.phases,
                              .trace_hash = r.trace_hash,
                              .hours = r.hours,
                              .ratio = swarm_ratio(&r),
                              .protected_ns = &r.protected_ns};
    int code = EXIT_DONE;
    if (c->json)
        code = print_json(&f);
    else
        print_swarm(&r);
    return r.violations > 0 ? EXIT_FAILED : code;
}

static int print_faults(void) {
    puts("of a simulation, with their rates under all:");
    for (int k = 0; k < SIM_FAULT_COUNT; k++)
        printf("  %-20s %-8g %s\n", sim_fault_name((enum sim_fault)k),
               sim_fault_rate((enum sim_fault)k), sim_fault_about((enum sim_fault)k));
    puts("of the exchange (docs/faults.md):");
    for (int k = 0; k < FAULT_COUNT; k++)
        printf("  %-20s          %s\n", fault_name((enum fault)k), fault_about((enum fault)k));
    return EXIT_DONE;
}

int cmd_sim(int argc, char **argv) {
    static struct sim_command c;
    c.sim = sim_options_defaults();
    int code = read_options(&c, argc, argv);
    if (code >= 0) return code;
    if (c.list_faults) return print_faults();
    log_level_set(c.verbose ? LOG_INFO : LOG_ERROR);
    c.sim.stop = &stop;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    return c.swarm ? run_swarm(&c) : run_one(&c);
}
