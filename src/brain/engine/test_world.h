/* A made-up market whose future is known, and four models planted in it: one that is mostly right and says how
 * often, one that says one thing, one that always wants to buy, one that throws dice. */
#ifndef BRAIN_ENGINE_TEST_WORLD_H
#define BRAIN_ENGINE_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "brain/engine/engine.h"
#include "feature/feature.h"

enum { WORLD_SYMBOLS = 6, WORLD_BARS = 2600, WORLD_HORIZON = 12, WORLD_ROW = 128 };
static const int64_t world_begin = INT64_C(1704067200) * NS_PER_SECOND;
static const char world_names[WORLD_SYMBOLS][SYMBOL_SIZE] = {"UPUSDT",   "DOWNUSDT", "FLATUSDT",
                                                             "WILDUSDT", "TWINUSDT", "PAIRUSDT"};

struct world {
    struct bar bars[WORLD_SYMBOLS][WORLD_BARS];
    float rows[WORLD_SYMBOLS][WORLD_BARS][WORLD_ROW];
};
static struct world world;

static uint64_t world_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20261123;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* Up, down, around a level, wild around a level, and two that go together. */
static void world_make(uint64_t seed) {
    static const double drift[WORLD_SYMBOLS] = {0.0016, -0.0016, 0, 0, 0, 0};
    static const double noise[WORLD_SYMBOLS] = {0.004, 0.004, 0.006, 0.070, 0.008, 0.008};
    static const double back[WORLD_SYMBOLS] = {0, 0, 0.2, 0.05, 0.01, 0.01};
    struct rng r = rng_init(seed);
    double px[WORLD_SYMBOLS];
    struct feature_series *series = aligned_alloc(64, (feature_series_size() + 63) / 64 * 64);
    assert_non_null(series);
    assert_true(feature_count() <= WORLD_ROW);
    for (uint32_t i = 0; i < WORLD_SYMBOLS; i++) px[i] = 6;
    for (uint32_t t = 0; t < WORLD_BARS; t++) {
        double moves[4], twin[4];
        for (int m = 0; m < 4; m++) twin[m] = rng_normal(&r);
        for (uint32_t i = 0; i < WORLD_SYMBOLS; i++) {
            double open = px[i], top = open, bottom = open;
            for (int m = 0; m < 4; m++) {
                double own = rng_normal(&r);
                moves[m] = i >= 4 ? 0.97 * twin[m] + 0.243 * own : own;
                px[i] += drift[i] / 4 + noise[i] / 2 * moves[m] - back[i] / 4 * (px[i] - 6);
                top = fmax(top, px[i]);
                bottom = fmin(bottom, px[i]);
            }
            world.bars[i][t] = (struct bar){.open_ts_ns = world_begin + (int64_t)t * NS_PER_HOUR,
                                            .open = px_e8((int64_t)(exp(open) * 1e8)),
                                            .high = px_e8((int64_t)(exp(top) * 1e8)),
                                            .low = px_e8((int64_t)(exp(bottom) * 1e8)),
                                            .close = px_e8((int64_t)(exp(px[i]) * 1e8)),
                                            .volume = 1000,
                                            .quote_volume = NAN,
                                            .taker_buy_ratio = NAN,
                                            .trade_count = BAR_COUNT_UNKNOWN};
        }
    }
    for (uint32_t i = 0; i < WORLD_SYMBOLS; i++) {
        feature_series_init(series, NS_PER_HOUR);
        for (uint32_t t = 0; t < WORLD_BARS; t++)
            feature_step(world.rows[i][t], series, &world.bars[i][t]);
    }
    free(series);
}

static inline double world_distance(uint32_t i, uint32_t t) {
    return fmax(2 * (double)world.rows[i][t][FEATURE_ATR_FRACTION], 0.0042);
}

/* What will come true, by a look ahead; the return of the price until then. */
static inline enum label world_truth(double *ret, uint32_t i, uint32_t t) {
    double close = (double)world.bars[i][t].close.e8, d = world_distance(i, t);
    double up = close * (1 + d), down = close * (1 - d);
    *ret = 0;
    for (uint32_t u = t + 1; u <= t + WORLD_HORIZON && u < WORLD_BARS; u++) {
        const struct bar *b = &world.bars[i][u];
        bool is_up = (double)b->high.e8 >= up, is_down = (double)b->low.e8 <= down;
        *ret = (double)b->close.e8 / close - 1;
        if (is_up && is_down) return LABEL_HOLD;
        if (is_up) *ret = d;
        if (is_down) *ret = -d;
        if (is_up || is_down) return is_up ? LABEL_BUY : LABEL_SELL;
    }
    return LABEL_HOLD;
}

#define WORLD_GOOD     MODEL_XGBOOST
#define WORLD_CONSTANT MODEL_LIGHTGBM
#define WORLD_BIASED   MODEL_NHITS
#define WORLD_RANDOM   MODEL_PATCHTST

static inline void world_votes(struct model_vote *votes, uint32_t i, uint32_t t) {
    struct rng r = rng_init((uint64_t)t * 64 + i);
    double ret, sure = 0.60 + 0.30 * rng_f64(&r);
    enum label truth = world_truth(&ret, i, t);
    uint32_t other = (uint32_t)rng_below(&r, 2);
    uint32_t said = rng_f64(&r) < sure ? (uint32_t)truth : ((uint32_t)truth + 1 + other) % 3;
    uint32_t dice = (uint32_t)rng_below(&r, 3);
    double strong = 0.80 + 0.1 * rng_f64(&r), weak = 0.45 + 0.1 * rng_f64(&r);
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        votes[k] = (struct model_vote){.state = VOTE_PRESENT, .move = world_distance(i, t)};
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        votes[WORLD_GOOD].p[l] = l == said ? sure : (1 - sure) / 2;
        votes[WORLD_CONSTANT].p[l] = l == LABEL_HOLD ? 0.4 : 0.3;
        votes[WORLD_BIASED].p[l] = l == LABEL_BUY ? strong : (1 - strong) / 2;
        votes[WORLD_RANDOM].p[l] = l == dice ? weak : (1 - weak) / 2;
    }
}

/* ---- a trader on top ---- */

struct world_trade {
    uint64_t id;
    uint32_t symbol, side, until, reserved;
    double fraction;
    struct engine_outcome outcome;
};
struct trader {
    struct engine *e;
    struct engine_scratch *scratch;
    struct engine_events events;
    struct engine_decision decisions[WORLD_SYMBOLS];
    struct world_trade trades[PORTFOLIO_POSITIONS_CEILING];
    struct portfolio_holding holdings[PORTFOLIO_POSITIONS_CEILING];
    uint32_t count, entered, dropped, closed;
    const double *arm_r; /* (STRATEGY_ARMS) planted: what an arm earns, NULL as the market has it */
    uint32_t kinds[8];   /* events by kind */
    struct strategy_review policies[8]; /* the first of their kind */
    uint32_t reasons[ENGINE_REASON_COUNT];
    uint32_t excluded[MODEL_COUNT], wanted[MODEL_COUNT]; /* close of the first such event */
};

static inline struct engine_config world_config(void) {
    struct engine_config c = engine_config_defaults(NS_PER_HOUR, WORLD_HORIZON);
    c.seed = 7;
    return c;
}

static inline struct engine *world_engine(const struct engine_config *config) {
    static const double losses[MODEL_COUNT] = {0.74, 1.09, 0.90, 1.155};
    struct engine *e = malloc(engine_size(WORLD_SYMBOLS));
    struct engine_events events;
    struct err err;
    assert_non_null(e);
    assert_int_equal(engine_init(e, config, world_names, WORLD_SYMBOLS, NULL, &err), ST_OK);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        struct engine_model m = {.test = {losses[k], {0.33, 0.34, 0.33}}};
        assert_int_equal(
            engine_model_replaced(e, &events, (enum model_kind)k, &m, world_begin, &err), ST_OK);
        assert_int_equal(events.count, 0); /* at its prior it was already */
    }
    return e;
}

static inline void trader_init(struct trader *tr, struct engine *e) {
    memset(tr, 0, sizeof *tr);
    tr->e = e;
    tr->scratch = calloc(1, sizeof *tr->scratch);
    assert_non_null(tr->scratch);
}

static inline void trader_bars(struct trader *tr, uint32_t t) {
    struct engine_market market = {2e8, 3e5, 2, 1e-4, 0};
    for (uint32_t i = 0; i < WORLD_SYMBOLS; i++)
        assert_true(engine_bar(tr->e, i, &world.bars[i][t], world.rows[i][t], &market));
}

static inline void trader_close(struct trader *tr, uint32_t t) {
    assert_true(engine_close(tr->e, &tr->events, tr->scratch,
                             world_begin + (int64_t)(t + 1) * NS_PER_HOUR));
    for (uint32_t i = 0; i < tr->events.count; i++) {
        const struct engine_event *event = &tr->events.items[i];
        if (event->kind == ENGINE_POLICY && tr->kinds[ENGINE_POLICY] < 8)
            tr->policies[tr->kinds[ENGINE_POLICY]] = event->policy;
        tr->kinds[event->kind]++;
        if (event->kind == ENGINE_EXCLUDED && !tr->excluded[event->model])
            tr->excluded[event->model] = t;
        if (event->kind == ENGINE_RETRAIN_WANTED && !tr->wanted[event->model])
            tr->wanted[event->model] = t;
    }
    for (uint32_t j = 0; j < tr->count;) {
        struct world_trade *x = &tr->trades[j];
        if (x->until > t) {
            j++;
            continue;
        }
        assert_int_equal(engine_closed(tr->e, x->id, &x->outcome), ENGINE_TAKEN);
        tr->closed++;
        *x = tr->trades[--tr->count];
    }
}

/* Every tenth intent is denied, the others fill at once. */
static inline void trader_enter(struct trader *tr, const struct engine_decision *d, uint32_t t) {
    uint64_t id = ((uint64_t)t + 1) * 100 + d->symbol;
    double ret, sign = d->action == LABEL_BUY ? 1 : -1;
    (void)world_truth(&ret, d->symbol, t);
    assert_int_equal(engine_opened(tr->e, id, d), ENGINE_TAKEN);
    if ((t + d->symbol) % 10 == 3) {
        assert_int_equal(engine_dropped(tr->e, id), ENGINE_TAKEN);
        tr->dropped++;
        return;
    }
    double result = sign * ret - d->cost;
    if (tr->arm_r) {
        struct rng dice = rng_init(id);
        result = (tr->arm_r[d->strategy.arm] + rng_normal(&dice)) * d->stop_distance;
        result = fmax(result, -0.9);
    }
    tr->entered++;
    tr->trades[tr->count++] = (struct world_trade){
        .id = id,
        .symbol = d->symbol,
        .side = d->action == LABEL_BUY ? SIDE_BUY : SIDE_SELL,
        .until = t + WORLD_HORIZON,
        .fraction = d->fraction,
        .outcome = {.net_r = result / d->stop_distance,
                    .result = result,
                    .drawdown = fmax(0, -result),
                    .held_ns = WORLD_HORIZON * NS_PER_HOUR,
                    .ts_ns = world_begin + (int64_t)(t + 1 + WORLD_HORIZON) * NS_PER_HOUR}};
}

static inline void trader_decide(struct trader *tr, uint32_t t) {
    struct engine_ask asks[WORLD_SYMBOLS];
    struct engine_account account = {.holdings = tr->holdings, .margin_available = 1};
    for (uint32_t i = 0; i < WORLD_SYMBOLS; i++) {
        asks[i] = (struct engine_ask){.symbol = i, .may_enter = 1, .cost = NAN};
        world_votes(asks[i].votes, i, t);
    }
    for (uint32_t j = 0; j < tr->count; j++) {
        const struct world_trade *x = &tr->trades[j];
        tr->holdings[account.holding_count++] = (struct portfolio_holding){
            .instrument_index = x->symbol, .side = x->side, .fraction = x->fraction};
        account.margin_available -= x->fraction;
        asks[x->symbol].may_enter = 0;
    }
    engine_decide(tr->decisions, tr->e, tr->scratch, asks, WORLD_SYMBOLS, &account);
    for (uint32_t i = 0; i < WORLD_SYMBOLS; i++) {
        tr->reasons[tr->decisions[i].reason]++;
        if (tr->decisions[i].reason == ENGINE_ALLOW) trader_enter(tr, &tr->decisions[i], t);
    }
}

static inline void trader_step(struct trader *tr, uint32_t t) {
    trader_bars(tr, t);
    trader_close(tr, t);
    trader_decide(tr, t);
}

#endif
