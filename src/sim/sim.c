/* One seed: the world is made, the trader lives in it, and what happened is told. */
#include "sim/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rng.h"
#include "sim/sim_internal.h"

enum { HISTORY_DAYS = 2, PAST_DAYS = 6 /* to learn from, and before it the features' warm-up */ };
#define VOLATILITY 0.08
#define LEAD       1.0 /* where voters are asked, there is something to know */
/* 2026-03-01T10:00:00Z; machines begin to count somewhere else. */
#define START_NS (INT64_C(1772359200000) * NS_PER_MS)
#define MONO_NS  (1234567 * NS_PER_MS)
/* Behind the last fault: the checker asks after ten minutes whether everything is possible again. */
#define CALM_NS (16 * NS_PER_MINUTE)

struct sim_options sim_options_defaults(void) {
    return (struct sim_options){.seed = 1,
                                .hours = 1,
                                .symbols = 8,
                                .strategy = STRATEGY_MOMENTUM,
                                .faults = "none",
                                .depth = 60000,
                                .verify = true};
}

/* ---- what happened ---- */

void sim_trace(struct sim *s, const uint64_t *words, uint32_t count) {
    uint64_t h = s->out->trace_hash;
    for (uint32_t i = 0; i < count; i++) h = rng_mix(h ^ words[i]) + 0x9E3779B97F4A7C15u;
    s->out->trace_hash = h;
    s->out->events++;
}

void sim_violation(struct sim *s, const char *format, ...) {
    va_list args;
    if (s->own_violations++ > 0) return;
    size_t at = (size_t)snprintf(s->out->violation, sizeof s->out->violation,
                                 "event %llu: ", (unsigned long long)s->out->events);
    va_start(args, format);
    vsnprintf(s->out->violation + at, sizeof s->out->violation - at, format, args);
    va_end(args);
}

static void on_event(void *context, const struct exchange_event *e) {
    struct sim *s = context;
    const uint64_t words[] = {((uint64_t)e->kind << 56) | ((uint64_t)e->exec << 48) |
                                  ((uint64_t)e->side << 40) | ((uint64_t)e->account << 20) |
                                  e->instrument,
                              (uint64_t)e->ts_ns, (uint64_t)e->px.e8, (uint64_t)e->qty.e8,
                              e->trade_id ^ (uint64_t)e->wallet.e8};
    sim_trace(s, words, sizeof words / sizeof *words);
    check_exchange_event(s->check, e);
}

/* ---- the exchange's end of the network ---- */

static void on_request(void *context, const struct sim_request *r) {
    struct sim *s = context;
    struct sim_done done;
    sim_venue_call(&s->venue, r, s->clock.now_ns, &done);
    s->out->requests++;
    if (s->faulty) sim_check_venue(s);
    int64_t told_ns = sim_net_answer(s->net, r->ticket, &done.answer, done.delay_ns);
    sim_check_request(s, r, &done, told_ns);
}

static struct stream_client *on_open(void *context, const char *path, size_t size,
                                     const struct streams_sink *sink) {
    struct sim *s = context;
    return streams_open(s->venue.rest.streams, (struct net_text){path, size},
                        (struct net_text){"", 0}, sink, s->clock.now_ns);
}

static void on_message(void *context, struct stream_client *c, const char *text, size_t size) {
    struct sim *s = context;
    streams_message(s->venue.rest.streams, c, (struct net_text){text, size}, s->clock.now_ns);
}

static void on_close(void *context, struct stream_client *c) {
    struct sim *s = context;
    streams_close(s->venue.rest.streams, c);
}

/* ---- time ---- */

/* So that what must be possible again can be seen to be: the end of a run is undisturbed. */
static void calm_down(struct sim *s) {
    s->calm = true;
    sim_act_end(s);
    check_calm(s->check, s->clock.now_ns);
}

static void second(struct sim *s) {
    if (s->faulty && s->clock.now_ns >= s->calm_ns && !s->calm) calm_down(s);
    if (s->faulty) {
        sim_act_second(s);
        sim_check_venue(s);
    }
    check_time(s->check, s->clock.now_ns);
}

void sim_pass(struct sim *s, int64_t until_ns, bool for_client) {
    for (;;) {
        if (s->aimed_count) sim_act_moment(s);
        int64_t venue = sim_venue_deadline(&s->venue), net = sim_net_deadline(s->net);
        int64_t next = venue < net ? venue : net;
        if (s->second_ns < next) next = s->second_ns;
        if (next > until_ns) break;
        if (check_violation(s->check, 0) && !s->explained) sim_check_explain(s);
        if (next > s->clock.now_ns) s->clock.now_ns = next;
        if (s->second_ns <= next) {
            s->second_ns += NS_PER_SECOND;
            second(s);
        } else if (venue <= net)
            sim_venue_advance(&s->venue, s->clock.now_ns);
        else if (sim_net_deliver(s->net) && for_client)
            return;
    }
    if (until_ns > s->clock.now_ns) s->clock.now_ns = until_ns;
}

static void on_wait(void *context, int64_t until_ns) {
    sim_pass(context, until_ns, true);
}

/* ---- life ---- */

/* In memory where there is a place for it. */
static enum status folder_make(struct sim *s, struct err *err) {
    const char *tmp = getenv("TMPDIR"), *place = s->o.work;
    if (!place)
        place = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : tmp && *tmp ? tmp : "/tmp";
    int n =
        snprintf(s->root, sizeof s->root, "%s/quantum-sim-%" PRIu64 "-XXXXXX", place, s->o.seed);
    if (n < 0 || (size_t)n >= sizeof s->root) {
        s->root[0] = '\0';
        return err_set(err, ST_INVALID, "--work: too long a path");
    }
    if (mkdtemp(s->root)) return ST_OK;
    err_errno(err, ST_IO, "%s", s->root);
    s->root[0] = '\0';
    return ST_IO;
}

/* The voters, and what service needs to know of them. */
static enum status learn(struct sim *s, struct err *err) {
    char dir[SIM_WORK_SIZE + 32];
    const struct sim_past past = {.volatility_day = VOLATILITY, .lead = LEAD, .end_ns = START_NS};
    struct served_model *m = NULL;
    snprintf(dir, sizeof dir, "%s/models", s->root);
    s->model_paths = calloc(MODEL_COUNT, sizeof *s->model_paths);
    s->learner = calloc(1, sizeof *s->learner);
    if (!s->model_paths || !s->learner) return err_set(err, ST_NO_MEMORY, "voters");
    enum status st = sim_models_train(s->model_paths, s->o.models ? s->o.models : dir, &past, err);
    if (st == ST_OK) st = served_model_load(&m, s->model_paths[MODEL_XGBOOST], err);
    if (st != ST_OK) return st;
    s->learner->labels = *served_model_labels(m);
    served_model_destroy(m);
    return ST_OK;
}

static enum status make(struct sim *s, struct err *err) {
    struct rng root = rng_init(s->o.seed), venue = rng_split(&root, 1), net = rng_split(&root, 2),
               disk = rng_split(&root, 4);
    bool learns = s->o.strategy == STRATEGY_ENSEMBLE;
    const struct sim_venue_options v = {.seed = rng_u64(&venue),
                                        .symbols = s->o.symbols,
                                        .start_ns = START_NS,
                                        .volatility_day = VOLATILITY,
                                        .quote_every_ns = 15 * NS_PER_SECOND,
                                        .trades_per_s = 0.1,
                                        .levels = 6,
                                        .level_notional = s->o.depth,
                                        .history_days = learns ? PAST_DAYS : HISTORY_DAYS,
                                        .lead = learns ? LEAD : 0,
                                        .on_event = on_event,
                                        .context = s};
    struct sim_peer peer = {.context = s,
                            .request = on_request,
                            .open = on_open,
                            .message = on_message,
                            .close = on_close,
                            .wait = on_wait};
    s->rng = rng_split(&root, 3);
    s->aimed_at = CHECK_ALL;
    s->second_ns = START_NS + NS_PER_SECOND;
    sim_crash_probe(s, rng_u64(&disk));
    sim_check_observer(s);
    canary_init(&s->canary, s->o.canary, s->o.seed);
    s->begin_ns = START_NS;
    s->end_ns = START_NS + (int64_t)(s->o.hours * (double)NS_PER_HOUR);
    s->calm_ns = s->end_ns - CALM_NS;
    sim_clock_start(&s->clock, START_NS, MONO_NS);
    sim_clock_install(&s->clock);
    enum status st = sim_venue_open(&s->venue, &v, err);
    if (st == ST_OK) st = sim_check_make(s, err);
    if (st == ST_OK)
        st = sim_faults_parse(&s->faults, &s->venue.act.faults, s->o.faults, s->o.seed, err);
    if (st == ST_OK && sim_faults_are_on(&s->faults)) peer.fate = sim_act_fate;
    s->faulty = st == ST_OK && (peer.fate || faults_are_on(&s->venue.act.faults));
    if (s->faulty) {
        fault_rates_changed(&s->venue.act);
        s->inbox = inbox_create();
        if (!s->inbox) st = err_set(err, ST_NO_MEMORY, "inbox");
    }
    if (st == ST_OK) st = sim_net_create(&s->net, &s->clock, rng_u64(&net), &peer, err);
    if (st == ST_OK) st = folder_make(s, err);
    snprintf(s->run_dir, sizeof s->run_dir, "%s/run", s->root);
    return st == ST_OK && learns ? learn(s, err) : st;
}

static void unmake(struct sim *s) {
    sim_net_destroy(s->net);
    check_destroy(s->check);
    sim_venue_close(&s->venue);
    sim_clock_install(NULL);
    if (s->root[0] && !s->o.keep) sim_disk_remove(s->root);
    if (s->o.keep) snprintf(s->out->run_dir, sizeof s->out->run_dir, "%.511s", s->run_dir);
    if (s->inbox) inbox_destroy(s->inbox);
    free(s->contracts);
    free(s->model_paths);
    free(s->learner);
    free(s);
}

static enum status check_options(const struct sim_options *o, struct err *err) {
    if (o->symbols < 1 || o->symbols > SIM_SYMBOLS_MAX)
        return err_set(err, ST_RANGE, "1 to %d symbols", SIM_SYMBOLS_MAX);
    if (!(o->hours > 0 && o->hours <= 10000))
        return err_set(err, ST_RANGE, "hours: above 0, at most 10000");
    return ST_OK;
}

enum status sim_run(struct sim_result *out, const struct sim_options *options, struct err *err) {
    int64_t began_ns = tstamp_machine_ns();
    memset(out, 0, sizeof *out);
    hist_init(&out->protected_ns);
    out->seed = options->seed;
    enum status st = check_options(options, err);
    if (st != ST_OK) return st;
    struct sim *s = calloc(1, sizeof *s);
    if (!s) return err_set(err, ST_NO_MEMORY, "simulation");
    s->o = *options;
    s->out = out;
    st = make(s, err);
    if (st == ST_OK) st = sim_live(s, err);
    out->hours = (double)(s->clock.now_ns - START_NS) / (double)NS_PER_HOUR;
    out->stopped = s->o.stop && *s->o.stop;
    if (st == ST_OK && s->o.verify && !out->stopped) st = sim_verify(s, err);
    if (st == ST_OK) sim_check_over(s);
    out->canary_struck = s->canary.struck;
    unmake(s);
    out->wall_ns = tstamp_machine_ns() - began_ns;
    return st;
}
