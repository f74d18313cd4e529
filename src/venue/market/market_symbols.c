/* The contracts of a plain exchange. The ten named ones carry the venue's rules: filters as
 * recorded in 2025 and 2026 (BTCUSDT in full; SOLUSDT, DOGEUSDT and AVAXUSDT only in their order of
 * magnitude), brackets of late 2025, of which the first four of BTCUSDT were seen again in August
 * 2026. Starting prices are round numbers of no particular day. */
#include <string.h>

#include "base/assert.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "num/elementary.h"
#include "venue/market/market.h"

enum { NAMED = 10, ROWS = 12 };

/* Decimals as e8. */
#define E8(x) ((int64_t)((x)*1e8 + 0.5))

struct row {
    int64_t cap; /* quote units; 0 ends the table */
    uint32_t leverage, rate_e6;
};

struct named {
    const char *symbol;
    int64_t price, tick, px_min, px_max, step, qty_max, market_qty_max;
    int64_t notional_min, onboard_ms;
    struct row rows[ROWS];
};

static const struct named NAMED_CONTRACTS[NAMED] = {
    {"BTCUSDT",
     E8(68000),
     E8(0.1),
     E8(556.8),
     E8(4529764),
     E8(0.001),
     E8(1000),
     E8(120),
     E8(50),
     INT64_C(1567965300000),
     {{300000, 150, 4000},
      {800000, 100, 5000},
      {3000000, 75, 6500},
      {12000000, 50, 10000},
      {70000000, 25, 20000},
      {100000000, 20, 25000},
      {230000000, 10, 50000},
      {480000000, 5, 100000},
      {600000000, 4, 125000},
      {800000000, 3, 150000},
      {1200000000, 2, 250000},
      {1800000000, 1, 500000}}},
    {"ETHUSDT",
     E8(3500),
     E8(0.01),
     E8(39.86),
     E8(306177),
     E8(0.001),
     E8(10000),
     E8(2000),
     E8(20),
     INT64_C(1569398400000),
     {{300000, 150, 4000},
      {800000, 100, 5000},
      {3000000, 75, 6500},
      {12000000, 50, 10000},
      {50000000, 25, 20000},
      {65000000, 20, 25000},
      {150000000, 10, 50000},
      {320000000, 5, 100000},
      {400000000, 4, 125000},
      {530000000, 3, 150000},
      {800000000, 2, 250000},
      {1200000000, 1, 500000}}},
    {"SOLUSDT",
     E8(150),
     E8(0.01),
     E8(0.42),
     E8(6857),
     E8(0.01),
     E8(1000000),
     E8(80000),
     E8(5),
     INT64_C(1600066800000),
     {{50000, 100, 5000},
      {400000, 75, 6500},
      {1000000, 50, 10000},
      {4000000, 25, 20000},
      {8000000, 20, 25000},
      {40000000, 10, 50000},
      {80000000, 5, 100000},
      {100000000, 4, 125000},
      {200000000, 2, 250000},
      {400000000, 1, 500000}}},
    {"BNBUSDT",
     E8(600),
     E8(0.01),
     E8(6.6),
     E8(100000),
     E8(0.01),
     E8(100000),
     E8(2000),
     E8(5),
     INT64_C(1569398400000),
     {{10000, 75, 5000},
      {200000, 50, 6000},
      {400000, 40, 10000},
      {1500000, 25, 20000},
      {3000000, 20, 25000},
      {15000000, 10, 50000},
      {30000000, 5, 100000},
      {37500000, 4, 125000},
      {75000000, 2, 250000},
      {150000000, 1, 500000}}},
    {"XRPUSDT",
     E8(2.2),
     E8(0.0001),
     E8(0.0143),
     E8(100000),
     E8(0.1),
     E8(10000000),
     E8(2000000),
     E8(5),
     INT64_C(1569398400000),
     {{40000, 100, 5000},
      {80000, 75, 6000},
      {150000, 50, 10000},
      {400000, 40, 12500},
      {1000000, 25, 20000},
      {2000000, 20, 25000},
      {10000000, 10, 50000},
      {20000000, 5, 100000},
      {25000000, 4, 125000},
      {50000000, 2, 250000},
      {100000000, 1, 500000}}},
    {"DOGEUSDT",
     E8(0.16),
     E8(0.00001),
     E8(0.00244),
     E8(30),
     E8(1),
     E8(50000000),
     E8(30000000),
     E8(5),
     INT64_C(1594278000000),
     {{80000, 75, 6500},
      {150000, 50, 10000},
      {750000, 40, 12500},
      {2000000, 25, 20000},
      {4000000, 20, 25000},
      {20000000, 10, 50000},
      {40000000, 5, 100000},
      {50000000, 4, 125000},
      {100000000, 2, 250000},
      {200000000, 1, 500000}}},
    {"ADAUSDT",
     E8(0.45),
     E8(0.0001),
     E8(0.0174),
     E8(20000),
     E8(1),
     E8(30000000),
     E8(3000000),
     E8(5),
     INT64_C(1569398400000),
     {{10000, 75, 5000},
      {50000, 50, 10000},
      {200000, 40, 15000},
      {1000000, 25, 20000},
      {2000000, 20, 25000},
      {10000000, 10, 50000},
      {20000000, 5, 100000},
      {25000000, 4, 125000},
      {50000000, 2, 250000},
      {100000000, 1, 500000}}},
    {"LTCUSDT",
     E8(85),
     E8(0.01),
     E8(3.61),
     E8(100000),
     E8(0.001),
     E8(10000),
     E8(5000),
     E8(5),
     INT64_C(1569398400000),
     {{10000, 75, 5000},
      {50000, 50, 10000},
      {160000, 40, 15000},
      {800000, 25, 20000},
      {1600000, 20, 25000},
      {8000000, 10, 50000},
      {16000000, 5, 100000},
      {20000000, 4, 125000},
      {40000000, 2, 250000},
      {80000000, 1, 500000}}},
    {"LINKUSDT",
     E8(15),
     E8(0.001),
     E8(0.464),
     E8(100000),
     E8(0.01),
     E8(200000),
     E8(20000),
     E8(5),
     INT64_C(1569398400000),
     {{10000, 75, 5000},
      {200000, 50, 10000},
      {400000, 40, 15000},
      {800000, 25, 20000},
      {1600000, 20, 25000},
      {8000000, 10, 50000},
      {16000000, 5, 100000},
      {20000000, 4, 125000},
      {40000000, 2, 250000},
      {80000000, 1, 500000}}},
    {"AVAXUSDT",
     E8(28),
     E8(0.001),
     E8(0.15),
     E8(10000),
     E8(1),
     E8(1000000),
     E8(50000),
     E8(5),
     INT64_C(1600758000000),
     {{25000, 75, 5000},
      {80000, 50, 10000},
      {160000, 40, 15000},
      {800000, 25, 20000},
      {1600000, 20, 25000},
      {8000000, 10, 50000},
      {16000000, 5, 100000},
      {20000000, 4, 125000},
      {40000000, 2, 250000},
      {80000000, 1, 500000}}},
};

/* Made-up contracts take these in turn: a larger, a middling and a small one. */
static const struct row MADE_ROWS[3][ROWS] = {
    {{25000, 75, 5000},
     {80000, 50, 10000},
     {160000, 40, 15000},
     {800000, 25, 20000},
     {1600000, 20, 25000},
     {8000000, 10, 50000},
     {16000000, 5, 100000},
     {20000000, 4, 125000},
     {40000000, 2, 250000},
     {80000000, 1, 500000}},
    {{20000, 75, 10000},
     {200000, 50, 15000},
     {1000000, 25, 20000},
     {2000000, 20, 25000},
     {5000000, 10, 50000},
     {7500000, 5, 100000},
     {10000000, 4, 125000},
     {12500000, 2, 250000},
     {15000000, 1, 500000}},
    {{5000, 50, 15000},
     {10000, 25, 20000},
     {50000, 20, 25000},
     {500000, 10, 50000},
     {1000000, 5, 100000},
     {1250000, 4, 125000},
     {2500000, 2, 250000},
     {5000000, 1, 500000}},
};

/* cum follows from the curve of the maintenance margin having no jumps. */
static void brackets_set(struct instrument *out, const struct row *rows) {
    int64_t floor_e8 = 0, cum_e8 = 0, rate_e8 = 0;
    uint32_t n = 0;
    for (; n < ROWS && rows[n].cap > 0; n++) {
        int64_t rate = (int64_t)rows[n].rate_e6 * 100;
        if (n > 0) cum_e8 += fx_mul_half_even(floor_e8, rate - rate_e8);
        rate_e8 = rate;
        out->brackets[n] = (struct bracket){.notional_floor = {floor_e8},
                                            .notional_cap = {rows[n].cap * FX_ONE},
                                            .maint_margin_rate = {rate},
                                            .maint_amount = {cum_e8},
                                            .leverage_max = rows[n].leverage};
        floor_e8 = rows[n].cap * FX_ONE;
    }
    out->bracket_count = n;
}

static void common_set(struct instrument *out, int64_t onboard_ms) {
    out->flags = 0;
    out->onboard_ts_ns = onboard_ms * NS_PER_MS;
}

static void named_make(struct instrument *out, px_t *start_px, const struct named *n) {
    instrument_defaults(out, n->symbol);
    common_set(out, n->onboard_ms);
    out->tick_size.e8 = n->tick;
    out->px_min.e8 = n->px_min;
    out->px_max.e8 = n->px_max;
    out->step_size.e8 = out->qty_min.e8 = n->step;
    out->market_step_size.e8 = out->market_qty_min.e8 = n->step;
    out->qty_max.e8 = n->qty_max;
    out->market_qty_max.e8 = n->market_qty_max;
    out->notional_min.e8 = n->notional_min;
    brackets_set(out, n->rows);
    start_px->e8 = n->price;
}

/* Greatest power of ten, in e8, that is not above x; from 1e-8 to 1.0. */
static int64_t power_below(int64_t x_e8) {
    int64_t p = 1;
    while (p < FX_ONE && p * 10 <= x_e8) p *= 10;
    return p;
}

/* "SYN011USDT". */
static void made_name(char out[SYMBOL_SIZE], uint32_t number) {
    memcpy(out, "SYN000USDT", sizeof "SYN000USDT");
    for (int at = 5; number > 0; number /= 10) out[at--] = (char)('0' + number % 10);
}

/* Everything follows from the number. The price is log-uniform between 0.01 and 5000 and has 10^4
 * to 10^5 ticks; a step is worth at most one quote unit. Every other contract settles funding each
 * 4 h. */
static void made_make(struct instrument *out, px_t *start_px, uint32_t number) {
    char symbol[SYMBOL_SIZE];
    struct rng rng = rng_init(number);
    double price = 0.01 * num_exp(rng_f64(&rng) * num_log(500000.0));
    int64_t tick = power_below(fx_from_f64(price) / 10000);
    int64_t px = fx_snap_nearest(fx_from_f64(price), tick);
    int64_t unit = fx_muldiv_floor(FX_ONE, FX_ONE, px), step = power_below(unit);
    made_name(symbol, number);
    instrument_defaults(out, symbol);
    common_set(out, INT64_C(1704067200000) + (int64_t)number * 86400000);
    out->flags = INSTRUMENT_SYNTHETIC;
    out->tick_size.e8 = tick;
    out->px_min.e8 = fx_snap_up(px / 50, tick);
    out->px_max.e8 = fx_snap_down(px * 50, tick);
    out->step_size.e8 = out->qty_min.e8 = step;
    out->market_step_size.e8 = out->market_qty_min.e8 = step;
    out->qty_max.e8 = fx_snap_up(unit * 5000000, step);
    out->market_qty_max.e8 = fx_snap_up(unit * 1000000, step);
    out->funding_interval_ns = (number % 2 ? 4 : 8) * NS_PER_HOUR;
    brackets_set(out, MADE_ROWS[number % 3]);
    start_px->e8 = px;
}

void market_symbols_default(struct instrument *out, px_t *start_px, uint32_t count) {
    ASSERT(count <= MARKET_SYMBOLS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (i < NAMED)
            named_make(&out[i], &start_px[i], &NAMED_CONTRACTS[i]);
        else
            made_make(&out[i], &start_px[i], i + 1);
    }
}
