/* A small market whose truth is known, models that know a stated part of it, and a kernel's part of the calls.
 *
 * The share of taker buys tells the next bar's return: 0.015 a deviation, behind it noise of 0.01 a bar. From `turned` on it
 * tells the contrary. A model file is a line of text: how much of the signal it believes in, and how far it errs. */
#ifndef RETRAIN_TEST_RETRAIN_WORLD_H
#define RETRAIN_TEST_RETRAIN_WORLD_H

#include <math.h>

#include "base/log.h"
#include "feature/feature.h"
#include "registry/test_registry_fixture.h"
#include "retrain/retrain_internal.h"

enum {
    SYMBOLS = 5,
    HORIZON = 2,
    PAST_DAYS = 60,
    DAYS = 30,
    BARS = (PAST_DAYS + DAYS) * 24,
    FIRST = PAST_DAYS * 24 /* bar of the first close */
};
#define WORLD_START_NS (INT64_C(1704067200) * NS_PER_SECOND) /* 2024-01-01 */

static struct world {
    struct bar bars[SYMBOLS][BARS];
    float *rows; /* (BARS, SYMBOLS, feature_count()) */
    char names[SYMBOLS][16];
    size_t turned; /* first bar of the contrary market; BARS: never */
    uint64_t seed;
} world;

static inline int64_t close_ns_of(size_t bar) {
    return WORLD_START_NS + (int64_t)(bar + 1) * NS_PER_HOUR;
}

static inline void world_bars(void) {
    struct rng root = rng_init(world.seed), common = rng_split(&root, 99);
    double market[BARS];
    for (size_t t = 0; t < BARS; t++) market[t] = 0.006 * rng_normal(&common);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        struct rng r = rng_split(&root, s);
        double price = 1e10, signal = 0;
        snprintf(world.names[s], sizeof world.names[s], "COIN%02uUSDT", s);
        for (size_t t = 0; t < BARS; t++) {
            double open = price, known = t > world.turned ? -signal : signal;
            price *= exp(known + market[t] + 0.008 * rng_normal(&r));
            double high = fmax(open, price) * 1.002, low = fmin(open, price) * 0.998;
            double z = fmax(-4, fmin(4, rng_normal(&r)));
            signal = 0.015 * z;
            world.bars[s][t] = (struct bar){.open_ts_ns = WORLD_START_NS + (int64_t)t * NS_PER_HOUR,
                                            .open = px_e8((int64_t)open),
                                            .high = px_e8((int64_t)high),
                                            .low = px_e8((int64_t)low),
                                            .close = px_e8((int64_t)price),
                                            .volume = 1000,
                                            .quote_volume = (double)NAN,
                                            .taker_buy_ratio = (float)(0.5 + 0.1 * z),
                                            .trade_count = 500};
        }
    }
}

static inline void world_rows(void) {
    size_t size = (feature_series_size() + 63) & ~(size_t)63;
    unsigned char *states = aligned_alloc(64, SYMBOLS * size);
    if (!world.rows) world.rows = malloc(sizeof(float) * BARS * SYMBOLS * feature_count());
    assert_true(states && world.rows);
    memset(states, 0, SYMBOLS * size);
    for (uint32_t s = 0; s < SYMBOLS; s++)
        feature_series_init((struct feature_series *)(void *)(states + s * size), NS_PER_HOUR);
    for (size_t t = 0; t < BARS; t++) {
        float *rows = world.rows + t * SYMBOLS * feature_count();
        for (uint32_t s = 0; s < SYMBOLS; s++)
            feature_step(rows + s * feature_count(),
                         (struct feature_series *)(void *)(states + s * size), &world.bars[s][t]);
        feature_cross(rows, SYMBOLS, feature_count());
    }
    free(states);
}

static inline void world_make(uint64_t seed, size_t turned) {
    world.seed = seed;
    world.turned = turned;
    world_bars();
    world_rows();
}

static inline size_t bars_before(int64_t ts) {
    int64_t n = (ts - WORLD_START_NS) / NS_PER_HOUR;
    return n < 0 ? 0 : n > BARS ? BARS : (size_t)n;
}

static inline enum status world_open(void *context, struct learn_series **out, size_t *count,
                                     int64_t from_ns, int64_t to_ns, struct err *e) {
    (void)context;
    (void)e;
    size_t from = bars_before(from_ns), to = bars_before(to_ns);
    struct learn_series *series = calloc(SYMBOLS, sizeof *series);
    assert_non_null(series);
    for (uint32_t s = 0; s < SYMBOLS; s++)
        series[s] = (struct learn_series){world.names[s], world.bars[s] + from, to - from};
    *out = series;
    *count = SYMBOLS;
    return ST_OK;
}

static inline void world_close(void *context, struct learn_series *series, size_t count) {
    (void)context;
    (void)count;
    free(series);
}

/* ---- planted models ---- */

struct served_model {
    double share, error; /* of the signal believed in; deviation of its own error */
    uint64_t seed, hash;
    int64_t data_end_ns;
    int kind;
    struct learn_report report;
};

/* What a training of `kind` on candles up to to_ns makes of it; ST_OK, or how it fails. */
static enum status (*plan)(struct served_model *out, enum model_kind kind, int64_t to_ns);

static inline void planted_write(const char *path, const struct served_model *m) {
    char text[512];
    const struct learn_report *r = &m->report;
    int size = snprintf(text, sizeof text, "%d %.17g %.17g %llu %d %lld %lld %lld %lld\n", m->kind,
                        m->share, m->error, (unsigned long long)m->seed, (int)r->has_skill,
                        (long long)m->data_end_ns, (long long)r->train_from_ns,
                        (long long)r->valid_to_ns, (long long)r->test_from_ns);
    file_write(path, text, (size_t)size);
}

static inline struct served_model planted_make(enum model_kind kind, double share, double error,
                                               int64_t to_ns, int64_t window_ns) {
    struct served_model m = {.share = share,
                             .error = error,
                             .seed = (uint64_t)(to_ns / NS_PER_HOUR),
                             .kind = (int)kind,
                             .data_end_ns = to_ns};
    m.report = report_make(m.seed);
    m.report.train_from_ns = to_ns - window_ns;
    m.report.valid_to_ns = to_ns - window_ns * 17 / 100;
    m.report.test_from_ns = to_ns - window_ns * 15 / 100;
    return m;
}

static inline enum status planted_train(struct learn_report *out, const char *path,
                                        const struct learn_series *series, size_t series_count,
                                        const struct learn_config *config,
                                        learn_progress_fn progress, void *context, struct err *e) {
    (void)series;
    assert_int_equal(series_count, SYMBOLS);
    struct served_model m =
        planted_make(config->kind, 0, 0, config->to_ns, config->to_ns - config->from_ns);
    enum status st = plan(&m, config->kind, config->to_ns);
    if (st != ST_OK) return err_set(e, st, "the plan says so");
    if (!progress(context, "train", 1, 1, 0, 0)) return err_set(e, ST_INTERRUPTED, "stopped");
    planted_write(path, &m);
    *out = m.report;
    return ST_OK;
}

static inline enum status planted_load(struct served_model **out, const char *path, struct err *e) {
    FILE *f = fopen(path, "rb");
    if (!f) return err_errno(e, ST_NOT_FOUND, "%s", path);
    char text[512];
    size_t size = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[size] = '\0';
    struct served_model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    unsigned long long seed;
    int skill;
    long long end, train_from, valid_to, test_from;
    int got = sscanf(text, "%d %lg %lg %llu %d %lld %lld %lld %lld", &m->kind, &m->share, &m->error,
                     &seed, &skill, &end, &train_from, &valid_to, &test_from);
    assert_int_equal(got, 9);
    m->seed = seed;
    m->hash = hash64(text, size);
    m->data_end_ns = end;
    m->report.has_skill = skill != 0;
    m->report.train_from_ns = train_from;
    m->report.valid_to_ns = valid_to;
    m->report.test_from_ns = test_from;
    *out = m;
    return ST_OK;
}

static inline void planted_destroy(struct served_model *m) {
    free(m);
}

/* How much of the forecast is right is the file's to say; the error is drawn from row and model. */
static inline enum status planted_vote(struct model_vote *out, struct served_model *m,
                                       const float *features,
                                       const struct net_history *const *histories, size_t rows,
                                       uint32_t stride, struct err *e) {
    (void)histories;
    (void)e;
    for (size_t i = 0; i < rows; i++) {
        const float *row = features + i * stride;
        float imbalance = row[FEATURE_TAKER_IMBALANCE];
        struct rng r = rng_init(hash64_seed(&row[FEATURE_LOG_RETURN_1], sizeof(float), m->seed) ^
                                (uint64_t)m->kind);
        double f = m->share * 0.075 * (double)imbalance + m->error * rng_normal(&r);
        double d = fmax(-0.8, fmin(0.8, f / 0.2));
        out[i] = (struct model_vote){.state = m->report.has_skill ? VOTE_PRESENT : VOTE_NO_SKILL,
                                     .move = 0.2};
        if (isnan(imbalance)) {
            out[i] = (struct model_vote){.state = VOTE_WARMING};
            continue;
        }
        out[i].p[LABEL_SELL] = 0.4 - d / 2;
        out[i].p[LABEL_HOLD] = 0.2;
        out[i].p[LABEL_BUY] = 0.4 + d / 2;
    }
    return ST_OK;
}

static inline bool planted_reads_history(const struct served_model *m) {
    (void)m;
    return false;
}
static inline uint64_t planted_hash(const struct served_model *m) {
    return m->hash;
}
static inline int64_t planted_interval(const struct served_model *m) {
    (void)m;
    return NS_PER_HOUR;
}
static inline int64_t planted_end(const struct served_model *m) {
    return m->data_end_ns;
}
static inline enum model_kind planted_kind(const struct served_model *m) {
    return (enum model_kind)m->kind;
}
static struct label_spec world_labels;
static inline const struct label_spec *planted_labels(const struct served_model *m) {
    (void)m;
    return &world_labels;
}
static inline const struct learn_report *planted_report(const struct served_model *m) {
    return &m->report;
}

static const struct retrain_hooks planted_hooks = {
    planted_train,         planted_load,   planted_destroy,  planted_vote,
    planted_reads_history, planted_hash,   planted_interval, planted_end,
    planted_kind,          planted_labels, planted_report,
};

/* ---- the kernel's part ---- */

static inline struct retrain_config world_config(void) {
    static char dirs[2][256];
    world_labels = label_spec_defaults();
    world_labels.horizon_bars = HORIZON;
    snprintf(dirs[0], sizeof dirs[0], "%s/models", scratch);
    snprintf(dirs[1], sizeof dirs[1], "%s/work", scratch);
    struct retrain_config c = retrain_config_defaults(NS_PER_HOUR, &world_labels);
    c.registry_dir = dirs[0];
    c.work_dir = dirs[1];
    c.kinds = 1U << MODEL_XGBOOST | 1U << MODEL_NHITS;
    c.symbol_count = SYMBOLS;
    c.window_ns = 40 * NS_PER_DAY;
    c.window_warm_ns = 40 * NS_PER_DAY;
    c.warm_networks = false;
    c.promotion.bars_min = 100;
    c.source = (struct retrain_source){NULL, world_open, world_close};
    return c;
}

/* Input of a close and room for its votes. */
struct turn {
    struct retrain_close in;
    struct model_vote votes[SYMBOLS * MODEL_COUNT];
    double closes[SYMBOLS];
    uint32_t stepped[SYMBOLS];
};

static inline void turn_make(struct turn *t, struct retrain *r, size_t bar) {
    memset(t, 0, sizeof *t);
    const float *rows = world.rows + bar * SYMBOLS * feature_count();
    struct model_vote answers[SYMBOLS];
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        t->stepped[s] = s;
        t->closes[s] = px_to_f64(world.bars[s][bar].close);
    }
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        struct served_model *m = retrain_model(r, (enum model_kind)k);
        if (!m) continue;
        assert_ok(r->hooks->vote(answers, m, rows, NULL, SYMBOLS, feature_count(), &err));
        for (uint32_t s = 0; s < SYMBOLS; s++) t->votes[s * MODEL_COUNT + k] = answers[s];
    }
    t->in = (struct retrain_close){.close_ns = close_ns_of(bar),
                                   .stepped = t->stepped,
                                   .count = SYMBOLS,
                                   .stride = feature_count(),
                                   .rows = rows,
                                   .votes = t->votes,
                                   .closes = t->closes};
}

/* What everybody may rely on behind each close. */
static inline void turn_check(struct retrain *r, const struct retrain_changes *changes) {
    struct view_retrain view;
    retrain_view(&view, r);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        struct served_model *m = retrain_model(r, (enum model_kind)k);
        assert_int_equal(m ? r->hooks->hash(m) : 0, view.seats[k].served);
    }
    for (uint32_t i = 0; i < changes->count; i++) {
        struct event e;
        event_init(&e, EVENT_MODEL_CHANGED, changes->items[i].ts);
        e.u.model_changed = changes->items[i];
        assert_ok(event_validate(&e, &err));
    }
}

static inline bool is_change(const struct model_changed *m, const char *change) {
    return strcmp(m->change, change) == 0;
}

static inline void log_quiet(void) {
    log_stderr_set(getenv("TEST_LOG") != NULL);
}

#endif
