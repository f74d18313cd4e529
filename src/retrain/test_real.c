/* Small models, really trained, on made-up hours with a planted pattern: a forest that knows it takes the seat of one that
 * does not, and serves; one that does not never takes the seat of one that does, even if its trainer swears by it; a
 * network goes on from the one that serves. TEST_OPS: seeds of the second (2 by default). */
#include <time.h>

#include "base/log.h"
#include "feature/feature.h"
#include "learn/test_market.h"
#include "registry/test_registry_fixture.h"
#include "retrain/retrain_internal.h"

int fdatasync(int fd) {
    return fd < 0;
}

int fsync(int fd) {
    return fd < 0;
}

enum { SYMBOLS = 6, FIRST = 3000, CLOSES = 420, BARS = FIRST + CLOSES };

static struct market market;
static struct label_spec labels;
static enum model_kind kind; /* that is trained */
static bool shuffles;        /* candidates learn shuffled labels */
static bool swears;          /* the trainer says that they have skill, whatever they have */

static int64_t close_ns_of(size_t bar) {
    return MARKET_START_NS + (int64_t)(bar + 1) * NS_PER_HOUR;
}

static enum status market_open(void *context, struct learn_series **out, size_t *count,
                               int64_t from_ns, int64_t to_ns, struct err *e) {
    (void)context;
    (void)e;
    struct learn_series *series = calloc(SYMBOLS, sizeof *series);
    assert_non_null(series);
    for (size_t s = 0; s < SYMBOLS; s++) {
        const struct learn_series *all = &market.series[s];
        size_t a = 0, b = all->count;
        while (a < b && all->bars[a].open_ts_ns < from_ns) a++;
        while (b > a && all->bars[b - 1].open_ts_ns + NS_PER_HOUR > to_ns) b--;
        series[s] = (struct learn_series){all->symbol, all->bars + a, b - a};
    }
    *out = series;
    *count = SYMBOLS;
    return ST_OK;
}

static void market_shut(void *context, struct learn_series *series, size_t count) {
    (void)context;
    (void)count;
    free(series);
}

static enum status train_as_told(struct learn_report *out, const char *path,
                                 const struct learn_series *series, size_t count,
                                 const struct learn_config *config, learn_progress_fn progress,
                                 void *context, struct err *e) {
    struct learn_config c = *config;
    c.shuffle_labels = shuffles;
    enum status st = learn_train(out, path, series, count, &c, progress, context, e);
    if (st == ST_OK && swears) {
        out->has_skill = true;
        out->shuffled = false;
    }
    return st;
}

/* Who serves at the start: trained on the bars before, its labels shuffled or not. */
static void first_train(const char *path, bool shuffled) {
    struct learn_config c = learn_config_defaults();
    struct learn_report report;
    c.kind = kind;
    c.epochs = 1;
    c.labels = labels;
    c.to_ns = close_ns_of(FIRST - 100);
    c.shuffle_labels = shuffled;
    assert_ok(learn_train(&report, path, market.series, market.count, &c, NULL, NULL, &err));
    print_message("serves first: %s\n", report.verdict);
}

struct run {
    struct retrain *r;
    unsigned char *states, *histories;
    float *rows;
    uint32_t promoted, rejected, trained;
    bool warm, tried;
    uint64_t first, candidate, served;
};

static void feed(struct run *run, size_t bar) {
    size_t size = (feature_series_size() + 63) & ~(size_t)63;
    uint32_t stepped[SYMBOLS];
    double closes[SYMBOLS];
    const struct net_history *histories[SYMBOLS];
    struct model_vote answers[SYMBOLS], votes[SYMBOLS * MODEL_COUNT] = {0};
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        stepped[s] = s;
        closes[s] = px_to_f64(market.bars[s][bar].close);
        feature_step(run->rows + s * feature_count(),
                     (struct feature_series *)(void *)(run->states + s * size),
                     &market.bars[s][bar]);
    }
    feature_cross(run->rows, SYMBOLS, feature_count());
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        struct net_history *h =
            (struct net_history *)(void *)(run->histories + s * net_history_size());
        net_history_push(h, close_ns_of(bar), run->rows + s * feature_count());
        histories[s] = h;
    }
    if (bar < FIRST) return;
    struct served_model *m = retrain_model(run->r, kind);
    if (m) {
        assert_ok(
            served_model_vote(answers, m, run->rows, histories, SYMBOLS, feature_count(), &err));
        for (uint32_t s = 0; s < SYMBOLS; s++) votes[s * MODEL_COUNT + kind] = answers[s];
    }
    const struct retrain_close in = {.close_ns = close_ns_of(bar),
                                     .stepped = stepped,
                                     .count = SYMBOLS,
                                     .stride = feature_count(),
                                     .rows = run->rows,
                                     .histories = histories,
                                     .votes = votes,
                                     .closes = closes};
    struct retrain_changes out;
    assert_ok(retrain_close(run->r, &out, &in, &err));
    for (uint32_t i = 0; i < out.count; i++) {
        const struct model_changed *x = &out.items[i];
        print_message("  bar %zu: %s %s %.4g -> %.4g, sharpe %.3f -> %.3f, wealth %.4g\n", bar,
                      x->change, x->reason, x->mape_old, x->mape_new, x->sharpe_old, x->sharpe_new,
                      x->wealth);
        run->promoted += strcmp(x->change, "promoted") == 0;
        run->rejected += strcmp(x->change, "rejected") == 0;
        run->tried |= isfinite(x->mape_old) && isfinite(x->mape_new);
        if (strcmp(x->change, "trained") != 0) continue;
        run->trained++;
        run->candidate = x->hash;
        run->warm = strcmp(x->reason, "warm") == 0;
    }
}

static struct run life(const char *first) {
    static char dirs[2][256];
    struct run run = {0};
    size_t size = (feature_series_size() + 63) & ~(size_t)63;
    static struct retrain_hooks hooks;
    hooks = retrain_hooks_learn;
    hooks.train = train_as_told;
    snprintf(dirs[0], sizeof dirs[0], "%s/models", scratch);
    snprintf(dirs[1], sizeof dirs[1], "%s/work", scratch);
    struct retrain_config c = retrain_config_defaults(NS_PER_HOUR, &labels);
    c.registry_dir = dirs[0];
    c.work_dir = dirs[1];
    c.kinds = 1U << kind;
    c.epochs = 1;
    c.symbol_count = SYMBOLS;
    c.window_ns = (int64_t)FIRST * NS_PER_HOUR;
    c.at_once = true;
    c.schedule.period_ns = 1000 * NS_PER_DAY;
    c.source = (struct retrain_source){NULL, market_open, market_shut};
    const char *paths[MODEL_COUNT] = {NULL};
    paths[kind] = first;
    run.states = aligned_alloc(64, SYMBOLS * size);
    run.rows = calloc((size_t)SYMBOLS * feature_count(), sizeof *run.rows);
    run.histories = aligned_alloc(64, SYMBOLS * net_history_size());
    assert_true(run.states && run.rows && run.histories);
    for (uint32_t s = 0; s < SYMBOLS; s++)
        net_history_init((struct net_history *)(void *)(run.histories + s * net_history_size()),
                         NS_PER_HOUR);
    memset(run.states, 0, SYMBOLS * size);
    for (uint32_t s = 0; s < SYMBOLS; s++)
        feature_series_init((struct feature_series *)(void *)(run.states + s * size), NS_PER_HOUR);
    assert_ok(retrain_create_with(&run.r, &c, &hooks, paths, close_ns_of(FIRST - 1), &err));
    run.first = served_model_hash(retrain_model(run.r, kind));
    for (size_t bar = 0; bar < BARS; bar++) feed(&run, bar);
    run.served = served_model_hash(retrain_model(run.r, kind));
    retrain_destroy(run.r);
    free(run.states);
    free(run.histories);
    free(run.rows);
    return run;
}

static void the_better_one_serves(void **state) {
    (void)state;
    kind = MODEL_XGBOOST;
    labels = label_spec_defaults();
    market_make(&market, SYMBOLS, BARS, market_seed(), 0.5);
    char path[256];
    snprintf(path, sizeof path, "%s", in_scratch("first.json"));
    first_train(path, true);
    shuffles = swears = false;
    clock_t before = clock();
    struct run run = life(path);
    print_message("processor time of the run: %.1f s\n",
                  (double)(clock() - before) / CLOCKS_PER_SEC);
    assert_int_equal(run.trained, 1);
    assert_int_equal(run.promoted, 1);
    assert_int_equal(run.served, run.candidate);
    reopen(false);
    struct registry_entry entry;
    assert_ok(registry_serving(reg, &entry, kind, &err));
    assert_int_equal(entry.hash, run.served);
    assert_int_equal(problems(tell, NULL), 0);
    market_free(&market);
}

static void the_worse_one_never_does(void **state) {
    (void)state;
    const char *ops = getenv("TEST_OPS");
    uint64_t seeds = ops ? strtoull(ops, NULL, 10) : 2, seed = market_seed();
    kind = MODEL_XGBOOST;
    labels = label_spec_defaults();
    size_t by_rule = 0;
    for (uint64_t i = 0; i < seeds; i++) {
        scratch_empty();
        market_make(&market, SYMBOLS, BARS, seed + i, 0.5);
        char path[256];
        snprintf(path, sizeof path, "%s", in_scratch("first.json"));
        first_train(path, false);
        shuffles = swears = true;
        struct run run = life(path);
        assert_int_equal(run.trained, 1);
        assert_int_equal(run.promoted, 0);
        assert_int_equal(run.served, run.first);
        by_rule += run.rejected;
        market_free(&market);
    }
    print_message("%llu seeds: %zu rejected by the rule, none promoted\n",
                  (unsigned long long)seeds, by_rule);
}

static void a_network_goes_on(void **state) {
    (void)state;
    kind = MODEL_NHITS;
    labels = label_spec_defaults();
    market_make(&market, SYMBOLS, BARS, market_seed(), 0.5);
    char path[256];
    snprintf(path, sizeof path, "%s", in_scratch("first.safetensors"));
    first_train(path, false);
    shuffles = false;
    swears = true;
    struct run run = life(path);
    assert_int_equal(run.trained, 1);
    assert_true(run.warm);
    assert_true(run.tried); /* on windows, as in service */
    reopen(false);
    struct registry_entry entry;
    assert_ok(registry_get_hash(reg, &entry, run.candidate, &err));
    assert_int_equal(entry.parent, run.first);
    assert_int_equal(problems(tell, NULL), 0);
    market_free(&market);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_better_one_serves, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(the_worse_one_never_does, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(a_network_goes_on, scratch_setup, scratch_teardown),
    };
    log_stderr_set(getenv("TEST_LOG") != NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
