/* Does anything of the pipeline look ahead? The whole of it (training, calibration, decisions, trades, learning, one
 * retraining) over 60 days before and 26 days of trading in five contracts, again and again with the bars behind a random moment t taken away or replaced
 * by others: every decision up to t must be the same, byte for byte, and the first models too.
 *
 * A tape that ends is flat one bar before its end, and what is decided at its very last close knows that. So where
 * bars are taken away one more is left behind t; where they are replaced, none is.
 *
 * TEST_OPS moments (24), TEST_SEED. */
#include "backtest/test_tape.h"

#include <math.h>
#include <sys/mman.h>

#include "backtest/session.h"
#include "store/fs.h"
#include "walk/bootstrap.h"
#include "walk/log.h"
#include "walk/outcome.h"
#include "walk/paper.h"

enum {
    SYMBOLS = 5,
    FROM_BAR = 60 * 24, /* trading begins */
    BARS = FROM_BAR + 26 * 24,
    WARMUP = 500,
    PERIOD_DAYS = 16, /* one retraining */
    FIRST_EVERY = 8   /* moments; the first models are trained anew, too */
};
static const enum model_kind kinds[] = {MODEL_XGBOOST, MODEL_LIGHTGBM};
enum { KINDS = sizeof kinds / sizeof *kinds };

static char root[TAPE_PATH_SIZE];
static struct instrument instruments[SYMBOLS];
static struct bar market[SYMBOLS][BARS], others[SYMBOLS][BARS];
static uint64_t seed;

static int64_t open_of(size_t bar) {
    return TAPE_START_NS + (int64_t)bar * NS_PER_HOUR;
}

static void make_market(struct bar out[SYMBOLS][BARS], uint64_t market_seed) {
    struct synth_config c = synth_config_defaults();
    struct bar step[SYMBOLS];
    c.seed = market_seed;
    c.symbol_count = SYMBOLS;
    c.interval_ns = NS_PER_HOUR;
    c.start_ts_ns = TAPE_START_NS;
    c.pattern = 7; /* so that models from so few bars have skill, and trade */
    struct synth *synth = aligned_alloc(64, (synth_size(&c) + 63) & ~(size_t)63);
    assert_non_null(synth);
    synth_init(synth, &c);
    synth_instruments(&c, instruments);
    for (size_t t = 0; t < BARS; t++) {
        synth_next(synth, step);
        for (size_t i = 0; i < SYMBOLS; i++) out[i][t] = step[i];
    }
    free(synth);
}

/* The other market goes on where this one was at bar `at`. */
static px_t moved(px_t px, double ratio, px_t tick) {
    int64_t v = (int64_t)llround((double)px.e8 * ratio / (double)tick.e8) * tick.e8;
    return px_e8(v > 0 ? v : tick.e8);
}

static void put_store(const char *dir, size_t kept, bool replace) {
    struct rules rules[SYMBOLS];
    struct candles_merge merged;
    struct err err = {0};
    static struct bar bars[BARS];
    memset(rules, 0, sizeof rules);
    for (size_t i = 0; i < SYMBOLS; i++) {
        memcpy(bars, market[i], sizeof bars);
        double ratio = (double)market[i][kept - 1].close.e8 / (double)others[i][kept - 1].close.e8;
        for (size_t t = kept; replace && t < BARS; t++) {
            px_t tick = instruments[i].tick_size;
            bars[t] = others[i][t];
            bars[t].open = moved(bars[t].open, ratio, tick);
            bars[t].high = moved(bars[t].high, ratio, tick);
            bars[t].low = moved(bars[t].low, ratio, tick);
            bars[t].close = moved(bars[t].close, ratio, tick);
        }
        tape_ok(candles_merge(&merged, dir, "um", NS_PER_HOUR, instruments[i].symbol,
                              INSTRUMENT_SYNTHETIC, bars, replace ? BARS : kept, &err),
                &err);
        rules[i].sources = RULES_FILTERS | RULES_BRACKETS | RULES_FUNDING;
        rules[i].instrument = instruments[i];
    }
    tape_ok(rules_merge(dir, rules, SYMBOLS, &err), &err);
}

/* ---- the pipeline ---- */

struct pipeline {
    char dir[TAPE_PATH_SIZE + 64], store[TAPE_PATH_SIZE + 80], log[TAPE_PATH_SIZE + 80];
    char models[KINDS][TAPE_PATH_SIZE + 96];
    struct candles candles[SYMBOLS];
    struct feed *feed;
    uint64_t model_hash[KINDS];
    struct session_result result;
};

static enum status source_open(void *context, struct learn_series **out, size_t *count,
                               int64_t from_ns, int64_t to_ns, struct err *err) {
    struct pipeline *p = context;
    (void)err;
    *out = calloc(SYMBOLS, sizeof **out);
    assert_non_null(*out);
    *count = SYMBOLS;
    for (size_t i = 0; i < SYMBOLS; i++) {
        size_t a = 0, b = p->candles[i].count;
        while (a < b && p->candles[i].bars[a].open_ts_ns < from_ns) a++;
        while (b > a && p->candles[i].bars[b - 1].open_ts_ns + NS_PER_HOUR > to_ns) b--;
        (*out)[i] = (struct learn_series){p->candles[i].symbol, p->candles[i].bars + a, b - a};
    }
    return ST_OK;
}

static void source_close(void *context, struct learn_series *series, size_t count) {
    (void)context, (void)count;
    free(series);
}

/* Every bar the store has is offered; the training must not look beyond `to`. shuffle: seed of labels permuted in time; 0:
 * as they are. */
static void train_first(struct pipeline *p, uint64_t shuffle) {
    struct learn_series series[SYMBOLS];
    struct learn_report report;
    struct err err = {0};
    for (size_t i = 0; i < SYMBOLS; i++)
        series[i] =
            (struct learn_series){p->candles[i].symbol, p->candles[i].bars, p->candles[i].count};
    for (int k = 0; k < KINDS; k++) {
        struct learn_config c = learn_config_defaults();
        struct served_model *m = NULL;
        c.kind = kinds[k];
        c.interval_ns = NS_PER_HOUR;
        c.from_ns = TAPE_START_NS;
        c.to_ns = open_of(FROM_BAR);
        c.shuffle_labels = shuffle != 0;
        c.seed += shuffle;
        char path[sizeof p->models[k]]; /* of one struct, so gcc's sanitizers see an overlap */
        snprintf(path, sizeof path, "%s/first%s", p->dir, learn_file_suffix(kinds[k]));
        memcpy(p->models[k], path, sizeof path);
        tape_ok(learn_train(&report, p->models[k], series, SYMBOLS, &c, NULL, NULL, &err), &err);
        tape_ok(served_model_load(&m, p->models[k], &err), &err);
        p->model_hash[k] = served_model_hash(m);
        served_model_destroy(m);
    }
}

static struct retrain *make_retrainer(struct pipeline *p, const struct label_spec *labels) {
    static char registry[TAPE_PATH_SIZE + 96], work[TAPE_PATH_SIZE + 96];
    struct retrain_config c = retrain_config_defaults(NS_PER_HOUR, labels);
    const char *paths[MODEL_COUNT] = {NULL};
    struct retrain *r = NULL;
    struct err err = {0};
    snprintf(registry, sizeof registry, "%s/registry", p->dir);
    snprintf(work, sizeof work, "%s/work", p->dir);
    c.registry_dir = registry;
    c.work_dir = work;
    c.kinds = 0;
    for (int k = 0; k < KINDS; k++) {
        c.kinds |= 1U << kinds[k];
        paths[kinds[k]] = p->models[k];
    }
    c.symbol_count = SYMBOLS;
    c.window_ns = c.window_warm_ns = 40 * NS_PER_DAY;
    c.schedule.period_ns = PERIOD_DAYS * NS_PER_DAY;
    c.seed = 3;
    c.source = (struct retrain_source){p, source_open, source_close};
    tape_ok(retrain_create(&r, &c, paths, open_of(FROM_BAR), &err), &err);
    return r;
}

/* first: whose models it begins with; NULL: it trains its own. shuffle: their labels are permuted, and they stay. */
static void run_pipeline(struct pipeline *p, const char *name, size_t kept, bool replace,
                         const struct pipeline *first, uint64_t shuffle) {
    struct err err = {0};
    struct label_spec labels = label_spec_defaults();
    struct walk_log *log = NULL;
    memset(p, 0, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "%s/%s", root, name);
    tape_ok(fs_make_dirs(p->dir, &err), &err);
    snprintf(p->store, sizeof p->store, "%s/store", p->dir);
    snprintf(p->log, sizeof p->log, "%s/decisions", p->dir);
    put_store(p->store, kept, replace);
    for (size_t i = 0; i < SYMBOLS; i++)
        tape_ok(
            candles_open(&p->candles[i], p->store, "um", NS_PER_HOUR, instruments[i].symbol, &err),
            &err);
    if (first)
        memcpy(p->models, first->models, sizeof p->models);
    else
        train_first(p, shuffle);
    struct feed_tape_options fo = {.store = p->store,
                                   .market = "um",
                                   .interval_ns = NS_PER_HOUR,
                                   .from_ns = open_of(FROM_BAR),
                                   .warmup_bars = WARMUP};
    tape_ok(feed_open_tape(&p->feed, &fo, &err), &err);
    tape_ok(walk_log_open(&log, p->log, 1, NS_PER_HOUR, SYMBOLS, &err), &err);
    const struct session_observer observer = {walk_log_decided, log};
    struct session_options o = session_options_defaults();
    o.feed = p->feed;
    o.labels = &labels;
    if (!shuffle) o.retrain = make_retrainer(p, &labels);
    o.retrain_hash = !shuffle;
    for (int k = 0; shuffle && k < KINDS; k++)
        tape_ok(served_model_load(&o.models[kinds[k]], p->models[k], &err), &err);
    o.observer = &observer;
    tape_ok(session_run(&p->result, &o, &err), &err);
    retrain_destroy(o.retrain);
    for (int k = 0; k < MODEL_COUNT; k++) served_model_destroy(o.models[k]);
    tape_ok(walk_log_close(log, &err), &err);
    assert_true(p->result.complete);
}

static void release(struct pipeline *p) {
    for (size_t i = 0; i < SYMBOLS; i++) candles_close(&p->candles[i]);
    feed_close(p->feed);
    tape_remove(p->dir);
}

static struct walk_decisions decisions_of(const struct pipeline *p) {
    struct walk_decisions d;
    struct err err = {0};
    tape_ok(walk_decisions_read(&d, p->log, &err), &err);
    return d;
}

/* ---- the tests ---- */

static struct pipeline whole;
static struct walk_decisions whole_decisions;

static int setup(void **state) {
    (void)state;
    seed = tape_seed();
    tape_folder(root);
    /* In one market of six the models of so few bars have no skill, and nothing is traded: the next one. */
    for (int tries = 0; tries < 8; tries++, seed += 1000) {
        make_market(others, seed + 1);
        make_market(market, seed);
        run_pipeline(&whole, "whole", BARS, false, NULL, 0);
        if (whole.result.totals.trades > 0) break;
        release(&whole);
    }
    whole_decisions = decisions_of(&whole);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    walk_decisions_free(&whole_decisions);
    release(&whole);
    tape_remove(root);
    return 0;
}

/* The run is one in which all of it happens: else nothing would be shown. */
static void everything_happens(void **state) {
    (void)state;
    size_t allowed = 0, answered = 0;
    for (size_t c = 0; c < whole_decisions.close_count; c++)
        for (uint32_t i = 0; i < whole_decisions.closes[c].count; i++) {
            const struct walk_decision *d = &whole_decisions.closes[c].decisions[i];
            allowed += d->reason == ENGINE_ALLOW;
            answered += d->model_p[MODEL_XGBOOST][0] > 0 && d->model_p[MODEL_LIGHTGBM][0] > 0;
        }
    print_message("%zu closes, %zu decisions, %zu answered by both, %zu entries, %llu trades, "
                  "%llu retrainings\n",
                  whole_decisions.close_count, whole_decisions.count, answered, allowed,
                  (unsigned long long)whole.result.totals.trades,
                  (unsigned long long)whole.result.retrain.succeeded);
    assert_true(whole_decisions.close_count >= BARS - FROM_BAR - 1);
    assert_true(answered > 2000);
    assert_true(allowed > 5 && whole.result.totals.trades > 5);
    assert_int_equal(whole.result.retrain.succeeded, 1);
}

static void assert_same_up_to(const struct pipeline *p, int64_t t_ns, bool replaced) {
    struct walk_decisions d = decisions_of(p);
    size_t c = 0;
    for (int k = 0; k < KINDS; k++)
        if (p->model_hash[k]) assert_int_equal(p->model_hash[k], whole.model_hash[k]);
    for (; c < whole_decisions.close_count && whole_decisions.closes[c].close_ns <= t_ns; c++) {
        const struct walk_close *a = &whole_decisions.closes[c], *b = &d.closes[c];
        if (c >= d.close_count || a->close_ns != b->close_ns || a->count != b->count ||
            memcmp(a->decisions, b->decisions, a->count * sizeof *a->decisions) != 0) {
            char at[TSTAMP_TEXT_SIZE], t[TSTAMP_TEXT_SIZE];
            fail_msg("bars behind %.16s %s: the decisions at %.16s are others",
                     tstamp_format(t, t_ns), replaced ? "replaced" : "taken away",
                     tstamp_format(at, a->close_ns));
        }
    }
    assert_true(c > 0);
    walk_decisions_free(&d);
}

static void nothing_looks_ahead(void **state) {
    (void)state;
    const char *ops = getenv("TEST_OPS");
    unsigned long moments = ops ? strtoul(ops, NULL, 10) : 24;
    struct rng r = rng_init(seed + 2);
    for (unsigned long i = 0; i < moments; i++) {
        static struct pipeline p;
        bool replace = i % 2, late = i % 3 == 0;
        /* Bars 0 .. bar close by t; a third of the moments behind the retraining. */
        size_t first = FROM_BAR + (late ? PERIOD_DAYS * 24 : 0) + 2;
        size_t bar = first + rng_below(&r, BARS - 3 - first);
        run_pipeline(&p, "cut", bar + (replace ? 1 : 2), replace, i % FIRST_EVERY ? &whole : NULL,
                     0);
        assert_same_up_to(&p, open_of(bar + 1), replace);
        release(&p);
    }
}

/* A comparison that could not fail would show nothing: with bars replaced from earlier on, decisions do differ. */
static void the_comparison_can_fail(void **state) {
    (void)state;
    static struct pipeline p;
    size_t bar = FROM_BAR + 100, differ = 0;
    run_pipeline(&p, "earlier", bar, true, &whole, 0);
    struct walk_decisions d = decisions_of(&p);
    for (size_t c = 0; c < whole_decisions.close_count && c < d.close_count; c++) {
        const struct walk_close *a = &whole_decisions.closes[c], *b = &d.closes[c];
        bool same = memcmp(a->decisions, b->decisions, a->count * sizeof *a->decisions) == 0;
        if (a->close_ns <= open_of(bar))
            assert_true(same);
        else
            differ += !same;
    }
    assert_true(differ > 300);
    walk_decisions_free(&d);
    release(&p);
}

/* ---- labels shuffled in time ---- */

/* The pool's answers at every close of the whole run's window, asked of these models; under the plain rule. */
static struct walk_bootstrap sharpe_of(const struct walk_decisions *d) {
    struct promotion_config rule = promotion_config_defaults();
    struct learn_series series[SYMBOLS];
    struct walk_days days;
    struct walk_rule_totals totals;
    struct walk_bootstrap out;
    struct err err = {0};
    for (size_t i = 0; i < SYMBOLS; i++)
        series[i] = (struct learn_series){instruments[i].symbol, market[i], BARS};
    tape_ok(walk_days_create(&days, open_of(FROM_BAR), open_of(BARS), &err), &err);
    tape_ok(walk_rule(&days, &totals, d, series, WALK_POOL_ALL, &rule, &err), &err);
    tape_ok(walk_bootstrap_sharpe(&out, days.returns, days.count, 365, 0, 1000, seed, &err), &err);
    walk_days_free(&days);
    return out;
}

/* Whoever learned from labels that stand at other times may not vote; and what they answer, put under a rule that
 * takes every answer, earns nothing that is significant, on a market where true labels do. */
static void shuffled_labels_earn_nothing(void **state) {
    (void)state;
    enum { SHUFFLES = 2 };
    struct walk_bootstrap honest = sharpe_of(&whole_decisions);
    int significant = 0;
    print_message("Sharpe of true labels: %.1f (%.1f to %.1f)\n", honest.value, honest.low,
                  honest.high);
    assert_true(honest.low > 0);
    for (uint64_t i = 1; i <= SHUFFLES; i++) {
        static struct pipeline p;
        run_pipeline(&p, "shuffled", BARS, false, NULL, i);
        struct walk_decisions d = decisions_of(&p);
        for (size_t k = 0; k < d.closes[0].count; k++)
            for (int m = 0; m < KINDS; m++)
                assert_int_equal(d.closes[0].decisions[k].counted[kinds[m]], VOTE_NO_SKILL);
        struct walk_bootstrap got = sharpe_of(&d);
        print_message("shuffled: %.1f (%.1f to %.1f), %u draws\n", got.value, got.low, got.high,
                      got.draws);
        significant += got.draws > 0 && got.low > 0;
        assert_int_equal(p.result.totals.trades, 0);
        walk_decisions_free(&d);
        release(&p);
    }
    assert_true(significant < SHUFFLES); /* each by chance with 2.5 % */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_happens), cmocka_unit_test(the_comparison_can_fail),
        cmocka_unit_test(nothing_looks_ahead), cmocka_unit_test(shuffled_labels_earn_nothing)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
