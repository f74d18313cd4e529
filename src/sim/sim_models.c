#include "sim/sim_models.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "feature/feature.h"
#include "num/elementary.h"

enum {
    MINUTES_A_DAY = 1440,
    LEARNED_DAYS = 4,
    WARM_DAYS = 2,
    SYMBOLS = 8,
    ROWS_MAX = 2000,
    EPOCHS = 1,
    PERIOD_HOURS = 4,
    PARTS = 4 /* of a bar's path */
};
#define LEARNED_SEED UINT64_C(0x51b0c0de)
/* As the market to come (venue/market): half a minute's deviation a minute, and a quarter of the flow. */
static const double DRIFT = 0.5, TAKERS = 0.25;

/* ---- the past ---- */

static struct bar bar_of(const struct instrument *in, const double path[PARTS + 1], struct rng *rng,
                         double share) {
    double high = path[0], low = path[0], step = qty_to_f64(in->step_size);
    for (int k = 1; k <= PARTS; k++) {
        high = fmax(high, path[k]);
        low = fmin(low, path[k]);
    }
    double quote = 50000.0 * num_exp(0.6 * rng_normal(rng));
    struct bar b = {.open = instrument_round_px(in, px_e8(fx_from_f64(path[0])), false),
                    .close = instrument_round_px(in, px_e8(fx_from_f64(path[PARTS])), false),
                    .high = instrument_round_px(in, px_e8(fx_from_f64(high)), true),
                    .low = instrument_round_px(in, px_e8(fx_from_f64(low)), false),
                    .volume = fmax(step, floor(quote / path[PARTS] / step) * step),
                    .taker_buy_ratio =
                        (float)fmin(0.95, fmax(0.05, share + 0.08 * rng_normal(rng))),
                    .trade_count = (uint32_t)(20 + rng_below(rng, 100))};
    b.quote_volume = b.volume * path[PARTS];
    return b;
}

void sim_past_bars(struct bar *out, size_t count, const struct sim_past *past, uint32_t instrument,
                   const struct instrument *in, px_t end_px) {
    struct rng root = rng_init(past->seed), rng = rng_split(&root, UINT64_C(2000000) + instrument);
    double sigma = past->volatility_day / sqrt(MINUTES_A_DAY), p = px_to_f64(end_px);
    double least = 100 * px_to_f64(in->tick_size);
    for (size_t t = count; t-- > 0;) { /* backwards, so that it ends where it must */
        int64_t open_ns = past->end_ns - (int64_t)(count - t) * NS_PER_MINUTE;
        double lead = past->lead * market_phase(past->seed, instrument, open_ns);
        double path[PARTS + 1];
        path[PARTS] = p;
        for (int k = PARTS; k-- > 0;)
            path[k] = fmax(least, path[k + 1] * num_exp(-sigma / 2 * rng_normal(&rng) -
                                                        DRIFT * lead * sigma / PARTS));
        p = path[0];
        out[t] = bar_of(in, path, &rng, 0.5 + TAKERS * lead);
        out[t].open_ts_ns = open_ns;
    }
}

/* ---- training ---- */

static struct learn_config learning(enum model_kind kind, int64_t end_ns) {
    struct learn_config c = learn_config_defaults();
    c.kind = kind;
    c.interval_ns = NS_PER_MINUTE;
    c.to_ns = end_ns;
    c.from_ns = end_ns - LEARNED_DAYS * NS_PER_DAY;
    c.rows_max = ROWS_MAX;
    c.epochs = EPOCHS;
    c.seed = LEARNED_SEED;
    c.threads = 1;
    return c;
}

static enum status path_of(char out[SIM_MODEL_PATH], const char *dir, const struct sim_past *past,
                           enum model_kind kind, struct err *err) {
    const uint64_t words[] = {feature_list_hash(),
                              learn_voter_hash(kind),
                              (uint64_t)past->end_ns,
                              LEARNED_SEED,
                              ROWS_MAX,
                              EPOCHS,
                              LEARNED_DAYS,
                              (uint64_t)(past->volatility_day * 1e9),
                              (uint64_t)(past->lead * 1e9)};
    int n = snprintf(out, SIM_MODEL_PATH, "%s/sim-%s-%016" PRIx64 "%s", dir, model_kind_text(kind),
                     hash64(words, sizeof words), learn_file_suffix(kind));
    return n > 0 && n < SIM_MODEL_PATH ? ST_OK : err_set(err, ST_RANGE, "%s: too long", dir);
}

static bool is_usable(const char *path) {
    struct served_model *m = NULL;
    if (access(path, R_OK) != 0 || served_model_load(&m, path, NULL) != ST_OK) return false;
    served_model_destroy(m);
    return true;
}

static bool go_on(void *context, const char *stage, uint32_t done, uint32_t total,
                  double train_loss, double valid_loss) {
    (void)context, (void)stage, (void)done, (void)total, (void)train_loss, (void)valid_loss;
    return true;
}

/* Another process may be making the same file: each writes its own and moves it there. */
static enum status train(const char *path, enum model_kind kind, const struct learn_series *series,
                         int64_t end_ns, struct err *err) {
    char made[SIM_MODEL_PATH + 32];
    struct learn_report report;
    struct learn_config c = learning(kind, end_ns);
    snprintf(made, sizeof made, "%s.%ld%s", path, (long)getpid(), learn_file_suffix(kind));
    enum status st = learn_train(&report, made, series, SYMBOLS, &c, go_on, NULL, err);
    if (st != ST_OK) return err_wrap(err, st, "training %s", model_kind_text(kind));
    return rename(made, path) == 0 ? ST_OK : err_errno(err, ST_IO, "%s", path);
}

enum status sim_models_train(char paths[MODEL_COUNT][SIM_MODEL_PATH], const char *dir,
                             const struct sim_past *past, struct err *err) {
    enum { COUNT = (LEARNED_DAYS + WARM_DAYS) * MINUTES_A_DAY };
    struct instrument contracts[SYMBOLS];
    px_t start_px[SYMBOLS];
    struct learn_series series[SYMBOLS];
    struct sim_past own = *past;
    bool missing = false;
    own.seed = LEARNED_SEED;
    if (mkdir(dir, 0755) != 0 && errno != EEXIST) return err_errno(err, ST_IO, "%s", dir);
    enum status st = ST_OK;
    for (uint32_t k = 0; k < MODEL_COUNT && st == ST_OK; k++) {
        st = path_of(paths[k], dir, past, (enum model_kind)k, err);
        missing = missing || (st == ST_OK && !is_usable(paths[k]));
    }
    if (st != ST_OK || !missing) return st;
    struct bar *bars = calloc((size_t)SYMBOLS * COUNT, sizeof *bars);
    if (!bars) return err_set(err, ST_NO_MEMORY, "a past to learn from");
    market_symbols_default(contracts, start_px, SYMBOLS);
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        sim_past_bars(bars + (size_t)i * COUNT, COUNT, &own, i, &contracts[i], start_px[i]);
        series[i] = (struct learn_series){contracts[i].symbol, bars + (size_t)i * COUNT, COUNT};
    }
    for (uint32_t k = 0; k < MODEL_COUNT && st == ST_OK; k++)
        if (!is_usable(paths[k]))
            st = train(paths[k], (enum model_kind)k, series, past->end_ns, err);
    free(bars);
    return st;
}

/* ---- the learner ---- */

static size_t take(struct bar *out, const struct world *w, uint32_t i, int64_t from_ns,
                   int64_t to_ns, size_t max) {
    enum { BATCH = 500 };
    static struct tick_bar rows[BATCH];
    int minute = venue_interval_find("1m");
    size_t n = 0;
    for (uint32_t got = BATCH; got == BATCH && n < max;) {
        got = ticks_bars(w->ticks, TICKS_LAST, i, minute, from_ns, to_ns - NS_PER_MINUTE, rows,
                         BATCH);
        for (uint32_t k = 0; k < got && n < max && rows[k].closed; k++) {
            const struct tick_bar *b = &rows[k];
            double volume = qty_to_f64(b->volume);
            out[n++] =
                (struct bar){.open_ts_ns = b->open_ns,
                             .open = b->open,
                             .high = b->high,
                             .low = b->low,
                             .close = b->close,
                             .volume = volume,
                             .quote_volume = money_to_f64(b->quote),
                             .taker_buy_ratio =
                                 volume > 0 ? (float)(qty_to_f64(b->taker_volume) / volume) : 0.5F,
                             .trade_count = b->count};
            from_ns = b->open_ns + NS_PER_MINUTE;
        }
    }
    return n;
}

static void source_close(void *context, struct learn_series *series, size_t count) {
    (void)context;
    if (count > 0) free((void *)(uintptr_t)series[0].bars);
    free(series);
}

static enum status source_open(void *context, struct learn_series **out, size_t *count,
                               int64_t from_ns, int64_t to_ns, struct err *err) {
    const struct sim_learner *l = context;
    size_t most = (size_t)((to_ns - from_ns) / NS_PER_MINUTE) + 1;
    struct learn_series *series = calloc(l->count, sizeof *series);
    struct bar *bars = calloc(l->count * most, sizeof *bars);
    if (!series || !bars) {
        free(series);
        free(bars);
        return err_set(err, ST_NO_MEMORY, "candles of %u symbols", l->count);
    }
    for (uint32_t i = 0; i < l->count; i++) {
        const char *symbol = l->contracts[i].symbol;
        int at = world_find(l->world, symbol, strlen(symbol));
        struct bar *own = bars + i * most;
        size_t n = at < 0 ? 0 : take(own, l->world, (uint32_t)at, from_ns, to_ns, most);
        series[i] = (struct learn_series){symbol, own, n};
    }
    *out = series;
    *count = l->count;
    return ST_OK;
}

enum status sim_learner_open(struct retrain **out, struct sim_learner *l, const char *dir,
                             const char *const paths[MODEL_COUNT], uint64_t seed, int64_t from_ns,
                             struct err *err) {
    struct retrain_config *c = &l->config;
    snprintf(l->registry_dir, sizeof l->registry_dir, "%s/models", dir);
    snprintf(l->work_dir, sizeof l->work_dir, "%s/training", dir);
    *c = retrain_config_defaults(NS_PER_MINUTE, &l->labels);
    c->registry_dir = l->registry_dir;
    c->work_dir = l->work_dir;
    c->symbol_count = l->count;
    c->window_ns = LEARNED_DAYS * NS_PER_DAY;
    if (c->window_warm_ns > c->window_ns) c->window_warm_ns = c->window_ns;
    c->epochs = EPOCHS;
    c->rows_max = c->trial_rows_max = ROWS_MAX;
    c->threads = 1;
    c->seed = seed;
    c->warm_networks = true;
    c->keep_rejected_bytes = UINT64_MAX;
    c->schedule.period_ns = PERIOD_HOURS * NS_PER_HOUR;
    c->source = (struct retrain_source){l, source_open, source_close};
    return retrain_create(out, c, paths, from_ns, err);
}
