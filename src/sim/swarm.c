#include "sim/swarm.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "sim/sim_faults.h"

/* ---- what a seed draws ---- */

static const double venue_rates[FAULT_COUNT] = {
#define RATE(id, name, scope, rate, about) [id] = rate,
    FAULT_TABLE(RATE)
#undef RATE
};

static void add_fault(char text[SWARM_FAULTS_SIZE], const char *name, double rate) {
    size_t at = strlen(text);
    snprintf(text + at, SWARM_FAULTS_SIZE - at, "%s%s=%.6g", at ? "," : "", name,
             rate < 1 ? rate : 1);
}

/* A third of the seeds has everything at its usual rate; the others a random part, each kind up to eight times as often:
 * what happens together hides what happens alone. */
static void draw_faults(struct rng *r, char text[SWARM_FAULTS_SIZE]) {
    if (rng_below(r, 3) == 0) {
        snprintf(text, SWARM_FAULTS_SIZE, "all");
        return;
    }
    text[0] = '\0';
    double share = 0.15 + 0.7 * rng_f64(r);
    for (int k = 0; k < FAULT_COUNT; k++)
        if (rng_f64(r) < share)
            add_fault(text, fault_name((enum fault)k), venue_rates[k] * exp2(6 * rng_f64(r) - 3));
    for (int k = 0; k < SIM_FAULT_COUNT; k++)
        if (rng_f64(r) < share)
            add_fault(text, sim_fault_name((enum sim_fault)k),
                      sim_fault_rate((enum sim_fault)k) * exp2(6 * rng_f64(r) - 3));
    if (!text[0]) snprintf(text, SWARM_FAULTS_SIZE, "none");
}

struct sim_options swarm_vary(const struct sim_options *base, uint64_t seed,
                              char text[SWARM_FAULTS_SIZE]) {
    static const enum strategy_kind rules[] = {STRATEGY_MOMENTUM, STRATEGY_RANDOM,
                                               STRATEGY_SMA_CROSS};
    const uint64_t from[2] = {seed, UINT64_C(0x5357415246)};
    struct rng r = rng_init(hash64(from, sizeof from));
    struct sim_options o = *base;
    o.seed = seed;
    o.faults = text;
    if (strcmp(base->faults, "all") == 0)
        draw_faults(&r, text);
    else
        snprintf(text, SWARM_FAULTS_SIZE, "%s", base->faults);
    /* Models are trained for their contracts; rules take what comes. */
    if (o.strategy == STRATEGY_ENSEMBLE) return o;
    o.strategy = rules[rng_below(&r, sizeof rules / sizeof *rules)];
    o.symbols = base->symbols + (uint32_t)rng_below(&r, 5);
    if (rng_below(&r, 3) == 0) o.depth = base->depth * exp2(-4 - 4 * rng_f64(&r));
    return o;
}

void swarm_command(char out[SWARM_COMMAND_SIZE], const struct sim_options *o) {
    snprintf(out, SWARM_COMMAND_SIZE,
             "quantum sim --seed %" PRIu64
             " --hours %.6g --symbols %u --strategy %s --depth %.6g --faults %s%s%s",
             o->seed, o->hours, o->symbols, strategy_text(o->strategy), o->depth, o->faults,
             o->canary ? " --canary " : "", o->canary ? canary_name(o->canary) : "");
}

/* ---- one seed in a process of its own ---- */

struct job {
    pid_t pid; /* 0: free */
    int fd;
    uint64_t seed;
    size_t got;
    int64_t busy_ns; /* of a processor */
    struct sim_result result;
};

static void child(int fd, const struct sim_options *o) {
    static struct sim_result result;
    struct err err = {0};
    enum status st = sim_run(&result, o, &err);
    if (st != ST_OK) {
        fprintf(stderr, "seed %" PRIu64 ": %s\n", o->seed, err.text);
        _exit(1);
    }
    const char *at = (const char *)&result;
    for (size_t left = sizeof result; left > 0;) {
        ssize_t n = write(fd, at, left);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(1);
        at += n;
        left -= (size_t)n;
    }
    _exit(0);
}

static enum status job_start(struct job *j, const struct sim_options *o, struct err *err) {
    int ends[2];
    if (pipe(ends) != 0) return err_errno(err, ST_IO, "pipe");
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return err_errno(err, ST_IO, "fork");
    }
    if (pid == 0) {
        close(ends[0]);
        child(ends[1], o);
    }
    close(ends[1]);
    *j = (struct job){.pid = pid, .fd = ends[0], .seed = o->seed};
    return ST_OK;
}

/* More of the result. false: the process has ended. */
static bool job_read(struct job *j) {
    char rest[256];
    char *to = j->got < sizeof j->result ? (char *)&j->result + j->got : rest;
    size_t room = j->got < sizeof j->result ? sizeof j->result - j->got : sizeof rest;
    ssize_t n = read(j->fd, to, room);
    if (n < 0 && errno == EINTR) return true;
    if (n > 0) j->got += (size_t)n;
    return n > 0;
}

static int64_t ns_of(struct timeval t) {
    return (int64_t)t.tv_sec * NS_PER_SECOND + (int64_t)t.tv_usec * 1000;
}

/* A whole result and a clean end; else what became of it, as a violation. */
static bool job_end(struct job *j) {
    int how = 0;
    struct rusage used = {0};
    close(j->fd);
    while (wait4(j->pid, &how, 0, &used) < 0 && errno == EINTR) continue;
    j->busy_ns = ns_of(used.ru_utime) + ns_of(used.ru_stime);
    j->pid = 0;
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0 && j->got == sizeof j->result) return true;
    memset(&j->result, 0, sizeof j->result);
    j->result.seed = j->seed;
    j->result.violations = 1;
    if (WIFSIGNALED(how))
        snprintf(j->result.violation, sizeof j->result.violation, "ended by signal %d (%s)",
                 WTERMSIG(how), strsignal(WTERMSIG(how)));
    else
        snprintf(j->result.violation, sizeof j->result.violation,
                 "the simulation could not go on: exit code %d",
                 WIFEXITED(how) ? WEXITSTATUS(how) : -1);
    return false;
}

/* ---- shrinking ---- */

/* The same invariant is violated: another violation is another bug. */
static bool still_wrong(struct sim_result *out, const struct sim_options *o, int number) {
    struct job j;
    struct err err = {0};
    if (job_start(&j, o, &err) != ST_OK) return false;
    while (job_read(&j)) continue;
    job_end(&j);
    *out = j.result;
    return out->violations > 0 && out->violation_number == number;
}

/* Takes one item out of a list of faults; false: there is no such item. */
static bool drop_item(char out[SWARM_FAULTS_SIZE], const char *list, uint32_t item) {
    uint32_t at = 0;
    bool found = false;
    out[0] = '\0';
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        if (at++ == item) {
            found = true;
        } else {
            size_t end = strlen(out);
            snprintf(out + end, SWARM_FAULTS_SIZE - end, "%s%.*s", end ? "," : "", (int)n, p);
        }
        p += n + (p[n] == ',');
    }
    if (!out[0]) snprintf(out, SWARM_FAULTS_SIZE, "none");
    return found;
}

static void name_all(char out[SWARM_FAULTS_SIZE]) {
    out[0] = '\0';
    for (int k = 0; k < FAULT_COUNT; k++) add_fault(out, fault_name((enum fault)k), venue_rates[k]);
    for (int k = 0; k < SIM_FAULT_COUNT; k++)
        add_fault(out, sim_fault_name((enum sim_fault)k), sim_fault_rate((enum sim_fault)k));
}

/* Hours first (a violation at 0.7 h needs no 4), then each kind of fault, then contracts. What is drawn for one kind does
 * not depend on the others, so most of the run stays as it was. */
static void shrink(struct swarm_result *r, const struct sim_options *wrong) {
    static char list[SWARM_FAULTS_SIZE], fewer[SWARM_FAULTS_SIZE];
    static struct sim_result got;
    struct sim_options o = *wrong;
    snprintf(list, sizeof list, "%s", wrong->faults);
    if (strcmp(list, "all") == 0) name_all(list);
    o.faults = list;
    snprintf(r->shrunk, sizeof r->shrunk, "%s", r->wrong);
    for (double part = 0.5; o.hours * part >= 1.0 / 60;) {
        struct sim_options less = o;
        less.hours *= part;
        if (still_wrong(&got, &less, r->wrong_number))
            o.hours = less.hours;
        else if (part < 0.75)
            part = 0.8;
        else
            break;
    }
    for (uint32_t item = 0; strcmp(list, "none") != 0 && drop_item(fewer, list, item);) {
        struct sim_options less = o;
        less.faults = fewer;
        if (still_wrong(&got, &less, r->wrong_number))
            snprintf(list, sizeof list, "%s", fewer);
        else
            item++;
    }
    while (o.symbols > 1) {
        struct sim_options less = o;
        less.symbols = o.symbols > 4 ? o.symbols / 2 : o.symbols - 1;
        if (!still_wrong(&got, &less, r->wrong_number)) break;
        o.symbols = less.symbols;
    }
    if (still_wrong(&got, &o, r->wrong_number))
        snprintf(r->shrunk, sizeof r->shrunk, "%s", got.violation);
    swarm_command(r->shrunk_command, &o);
}

/* ---- the swarm ---- */

static void add_up(struct swarm_result *out, const struct sim_result *one, uint64_t seed,
                   int64_t busy_ns) {
    out->seeds++;
    out->hours += one->hours;
    out->busy_ns += busy_ns;
    out->events += one->events;
    out->violations += one->violations;
    out->kills += one->kills;
    out->restarts += one->restarts;
    out->lives += one->lives;
    out->orders += one->orders;
    out->fills += one->fills;
    out->trades += one->trades;
    out->faults_fired += one->faults_fired;
    if (one->protected_ns.count > 0 &&
        (out->protected_ns.count == 0 || one->protected_ns.max > out->protected_ns.max))
        out->longest_seed = seed;
    hist_merge(&out->protected_ns, &one->protected_ns);
    check_report_merge(&out->report, &one->report);
    check_coverage_merge(&out->coverage, &one->coverage_bits);
}

static uint32_t jobs_of(uint32_t wanted) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t n = wanted ? wanted : processors > 0 ? (uint32_t)processors : 1;
    return n < SWARM_JOBS_MAX ? n : SWARM_JOBS_MAX;
}

struct swarm {
    const struct swarm_options *o;
    struct swarm_result *out;
    struct job *jobs;
    uint64_t *traces; /* (seeds) */
    uint32_t job_count, started, running;
};

static struct sim_options options_of(const struct swarm *s, uint64_t seed,
                                     char text[SWARM_FAULTS_SIZE]) {
    if (s->o->vary) return swarm_vary(&s->o->base, seed, text);
    struct sim_options o = s->o->base;
    o.seed = seed;
    return o;
}

static void take_result(struct swarm *s, struct job *j) {
    bool is_whole = job_end(j);
    struct swarm_result *out = s->out;
    s->running--;
    out->failed += !is_whole;
    if (is_whole &&
        j->result.stopped) { /* by Ctrl-C: its hours are not whole, so it counts as not run */
        out->stopped = true;
        return;
    }
    s->traces[j->seed - s->o->base.seed] = j->result.trace_hash;
    add_up(out, &j->result, j->seed, j->busy_ns);
    if (j->result.violations > 0 && (!out->has_wrong || j->seed < out->first_seed_wrong)) {
        out->has_wrong = true;
        out->first_seed_wrong = j->seed;
        out->wrong_number = j->result.violation_number;
        snprintf(out->wrong, sizeof out->wrong, "%s", j->result.violation);
        snprintf(out->explained, sizeof out->explained, "%s", j->result.explained);
    }
    if (s->o->progress) s->o->progress(s->o->context, &j->result, out->seeds, !is_whole);
}

static bool is_stopped(const struct swarm *s) {
    return s->o->base.stop && *s->o->base.stop;
}

static enum status go_on(struct swarm *s, struct err *err) {
    struct pollfd polls[SWARM_JOBS_MAX];
    struct job *of[SWARM_JOBS_MAX];
    static char text[SWARM_FAULTS_SIZE];
    for (uint32_t j = 0; j < s->job_count && s->started < s->o->seeds && !is_stopped(s); j++) {
        if (s->jobs[j].pid) continue;
        const struct sim_options o = options_of(s, s->o->base.seed + s->started, text);
        enum status st = job_start(&s->jobs[j], &o, err);
        if (st != ST_OK) return st;
        s->started++;
        s->running++;
    }
    nfds_t count = 0;
    for (uint32_t j = 0; j < s->job_count; j++) {
        if (!s->jobs[j].pid) continue;
        of[count] = &s->jobs[j];
        polls[count++] = (struct pollfd){.fd = s->jobs[j].fd, .events = POLLIN};
    }
    if (count == 0) return ST_OK;
    if (poll(polls, count, -1) < 0) return errno == EINTR ? ST_OK : err_errno(err, ST_IO, "poll");
    for (nfds_t k = 0; k < count; k++)
        if (polls[k].revents && !job_read(of[k])) take_result(s, of[k]);
    return ST_OK;
}

static enum status csv_append(const struct swarm_result *r, const struct swarm_options *o,
                              struct err *err) {
    char now[TSTAMP_TEXT_SIZE];
    FILE *f = fopen(o->csv, "a");
    if (!f) return err_errno(err, ST_IO, "%s", o->csv);
    if (ftell(f) == 0) fprintf(f, SWARM_CSV_HEADER "\n");
    fprintf(f,
            "%s,%s,%s,\"%s\",%" PRIu64 ",%u,%.4g,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
            ",%" PRIu64 ",%.1f,%.1f,%.0f,%016" PRIx64 "\n",
            tstamp_format(now, tstamp_wall_ns()), o->commit ? o->commit : "",
            o->vary && o->base.strategy != STRATEGY_ENSEMBLE ? "rules"
                                                             : strategy_text(o->base.strategy),
            o->vary ? "varied" : o->base.faults, o->base.seed, r->seeds, r->hours, r->events,
            r->violations, r->kills, r->restarts, r->fills,
            (double)hist_quantile(&r->protected_ns, 0.99) / 1e6,
            r->protected_ns.count ? (double)r->protected_ns.max / 1e6 : 0, swarm_ratio(r),
            r->trace_hash);
    bool ok = fflush(f) == 0 && fsync(fileno(f)) == 0;
    if (fclose(f) != 0 || !ok) return err_errno(err, ST_IO, "%s", o->csv);
    return ST_OK;
}

enum status swarm_csv_total(double *hours, uint64_t *seeds, uint64_t *violations, const char *path,
                            struct err *err) {
    char line[4096];
    uint32_t number = 0;
    FILE *f = fopen(path, "r");
    *hours = 0;
    *seeds = *violations = 0;
    if (!f) return err_errno(err, ST_IO, "%s", path);
    enum status st = ST_OK;
    while (st == ST_OK && fgets(line, sizeof line, f)) {
        double h;
        uint64_t events, wrong, n;
        if (++number == 1) continue;
        /* utc, commit, strategy, "faults" (which may hold commas), seed, seeds, hours, events, violations */
        const char *rest = strrchr(line, '"');
        uint64_t first;
        if (!rest || sscanf(rest + 1, ",%" SCNu64 ",%" SCNu64 ",%lf,%" SCNu64 ",%" SCNu64, &first,
                            &n, &h, &events, &wrong) != 5) {
            st = err_set(err, ST_INVALID, "%s: line %u is none of a swarm", path, number);
            break;
        }
        *hours += h;
        *seeds += n;
        *violations += wrong;
    }
    fclose(f);
    return st;
}

double swarm_ratio(const struct swarm_result *r) {
    return r->busy_ns > 0 ? r->hours * 3.6e12 / (double)r->busy_ns : 0;
}

enum status swarm_run(struct swarm_result *out, const struct swarm_options *o, struct err *err) {
    static char text[SWARM_FAULTS_SIZE];
    memset(out, 0, sizeof *out);
    hist_init(&out->protected_ns);
    struct swarm s = {.o = o, .out = out, .job_count = jobs_of(o->jobs)};
    int64_t began = tstamp_monotonic_ns();
    if (o->seeds == 0) return err_set(err, ST_INVALID, "a swarm of no seeds");
    s.jobs = calloc(s.job_count, sizeof *s.jobs);
    s.traces = calloc(o->seeds, sizeof *s.traces);
    enum status st =
        s.jobs && s.traces ? ST_OK : err_set(err, ST_NO_MEMORY, "swarm: out of memory");
    while (st == ST_OK && (s.running > 0 || (s.started < o->seeds && !is_stopped(&s))))
        st = go_on(&s, err);
    for (uint32_t j = 0; s.jobs && j < s.job_count; j++) {
        if (!s.jobs[j].pid) continue; /* after an error alone */
        kill(s.jobs[j].pid, SIGKILL);
        job_end(&s.jobs[j]);
    }
    out->stopped = out->stopped || is_stopped(&s);
    if (s.traces) out->trace_hash = hash64(s.traces, sizeof *s.traces * o->seeds);
    free(s.jobs);
    free(s.traces);
    out->wall_ns = tstamp_monotonic_ns() - began;
    if (st == ST_OK && out->has_wrong) {
        const struct sim_options wrong = options_of(&s, out->first_seed_wrong, text);
        swarm_command(out->wrong_command, &wrong);
        if (o->shrink && !out->stopped) shrink(out, &wrong);
    }
    if (st == ST_OK && o->csv && out->seeds > 0) st = csv_append(out, o, err);
    return st;
}
