/* A crash with positions open: how far equity falls, and that it is no further than the limits and the market's own jump
 * explain. Every seed is another market: ten positions or so up to the cap of exposure, then one candle that jumps, or
 * slides, or takes some contracts up and others down, and a market that goes on falling behind it.
 *
 *     fall <= limit + cap of exposure x way + costs
 *
 * limit: where entries end (4 % below the day's highest; by the day's end its 10 %). way: from the last close to the worse of
 * a position's stop and the candle's open, which is what nobody can be kept from: a stop is at most 2 % below an entry that
 * may stand 4 % in gain, else the jump. Nothing behind that candle may cost anything: the stops have sold.
 *
 * TEST_SEED=n is the first seed; TEST_OPS=n how many. */
#include <math.h>

#include "backtest/test_run.h"

enum {
    CONTRACTS = 12,
    WARM = 1440, /* momentum looks back a day */
    BARS = WARM + 460,
    GUARD_BARS = 12, /* no entries behind a crash: breaker_config */
};
#define START_NS  TAPE_START_NS
#define TAKE      0.04 /* the rule's own distances */
#define STOP      0.02
#define WAY_CLOSE (STOP + TAKE)

enum crash { CRASH_GAP = 0, CRASH_SLIDE, CRASH_BOTH_WAYS, CRASH_KINDS };
static const char *const CRASHES[] = {"gap", "slide", "both ways"};

struct market {
    enum crash crash;
    uint32_t at;               /* bar of the crash */
    double jump[CONTRACTS];    /* of that bar, signed; 0: this one has none */
    double half_spread, depth; /* of the jump that is everybody's */
    money_t wallet;
    struct instrument instruments[CONTRACTS];
    struct bar bars[CONTRACTS][BARS];
};
static struct market market;

static int64_t to_tick(const struct instrument *in, double px) {
    int64_t tick = in->tick_size.e8, e8 = fx_from_f64(px);
    return e8 / tick * tick;
}

/* Open and close in a quiet minute; the crash candle; what comes behind it. */
static void bar_make(struct bar *b, const struct instrument *in, double open, double close,
                     uint32_t t) {
    double high = fmax(open, close), low = fmin(open, close);
    *b = (struct bar){.open_ts_ns = START_NS + (int64_t)t * NS_PER_MINUTE,
                      .open.e8 = to_tick(in, open),
                      .high.e8 = to_tick(in, high),
                      .low.e8 = to_tick(in, low),
                      .close.e8 = to_tick(in, close),
                      .volume = 1e7,
                      .quote_volume = 1e7 * close,
                      .taker_buy_ratio = 0.5F,
                      .trade_count = 100};
}

static void contract_make(uint32_t i, struct rng *r) {
    struct market *m = &market;
    double rising = m->crash == CRASH_BOTH_WAYS ? 0.6 : 0.95;
    double drift = (rng_f64(r) < rising ? 1 : -1) * (0.02 + 0.02 * rng_f64(r)) / WARM;
    double px = 40 + 400 * rng_f64(r), jump = 0;
    if (m->crash == CRASH_BOTH_WAYS)
        jump = rng_f64(r) < 0.3 ? 0 : (rng_f64(r) < 0.5 ? 1 : -1) * (0.03 + 0.27 * rng_f64(r));
    else
        jump = -m->depth * (0.9 + 0.1 * rng_f64(r));
    m->jump[i] = jump;
    for (uint32_t t = 0; t < BARS; t++) {
        double open = px, close;
        if (t == m->at && jump != 0) {
            close = px * (1 + jump);
            if (m->crash != CRASH_SLIDE) open = close;
        } else if (t > m->at && t <= m->at + 30 && jump != 0) {
            close = px * (1 + (jump < 0 ? -0.01 : 0.01)); /* it goes on: a quarter more */
        } else {
            close = px * exp(drift + 0.0003 * rng_normal(r));
        }
        bar_make(&m->bars[i][t], &m->instruments[i], open, close, t);
        px = close;
    }
}

static void market_make(uint64_t seed) {
    struct rng r = rng_init(seed);
    memset(&market, 0, sizeof market);
    market.crash = (enum crash)(seed % CRASH_KINDS);
    market.at = WARM + 120 + (uint32_t)rng_below(&r, 240);
    market.depth = 0.04 + 0.36 * rng_f64(&r);
    market.wallet = money_e8((1300 + (int64_t)rng_below(&r, 400)) * FX_ONE);
    market.half_spread = fx_to_f64(simex_config_defaults().half_spread.e8);
    for (uint32_t i = 0; i < CONTRACTS; i++) {
        char symbol[SYMBOL_SIZE];
        snprintf(symbol, sizeof symbol, "CRASH%02uUSDT", i);
        instrument_defaults(&market.instruments[i], symbol);
        market.instruments[i].tick_size.e8 = market.instruments[i].px_min.e8 = FX_ONE / 1000;
        market.instruments[i].step_size.e8 = market.instruments[i].market_step_size.e8 =
            FX_ONE / 1000;
        contract_make(i, &r);
    }
}

static void market_write(const char *dir) {
    static struct rules rules[CONTRACTS];
    struct err err = {0};
    memset(rules, 0, sizeof rules);
    for (uint32_t i = 0; i < CONTRACTS; i++) {
        tape_put(dir, market.instruments[i].symbol, market.bars[i], 0, BARS);
        rules[i].sources = RULES_FILTERS | RULES_BRACKETS | RULES_FUNDING;
        rules[i].instrument = market.instruments[i];
    }
    tape_ok(rules_merge(dir, rules, CONTRACTS, &err), &err);
}

/* ---- what came of it ---- */

static int64_t close_ns(uint32_t bar) {
    return START_NS + (int64_t)(bar + 1) * NS_PER_MINUTE;
}

struct look {
    uint32_t stopped, beyond; /* trades stopped in the crash candle; beyond their stop */
    double beyond_usdt;       /* at prices beyond the stop */
    double worst_way;         /* from the last close to where a position had to be sold */
    int64_t crash_ns, quiet_ns,
        calm_ns; /* close of the candle; no entry at all up to; of those that jumped up to */
};

/* Sold at its stop, or at the open where the candle jumped it, less the spread; at no worse price. */
static bool look_at(void *context, const struct trade_closed *t) {
    struct look *l = context;
    uint32_t i = t->instrument_index;
    int64_t begin = l->crash_ns - NS_PER_MINUTE;
    if (t->entry_ts_ns > l->crash_ns) {
        if (t->entry_ts_ns <= l->quiet_ns)
            fail_msg("%s entered %.0f s behind the crash, the circuit open", t->symbol,
                     (double)(t->entry_ts_ns - l->crash_ns) / 1e9);
        if (market.jump[i] != 0 && t->entry_ts_ns <= l->calm_ns)
            fail_msg("%s entered %.0f s behind its own crash", t->symbol,
                     (double)(t->entry_ts_ns - l->crash_ns) / 1e9);
        return true;
    }
    if (t->entry_ts_ns >= begin || t->exit_ts_ns <= begin) return true;
    double entry = px_to_f64(t->entry_px), exit = px_to_f64(t->exit_px);
    double sign = t->side == SIDE_BUY ? 1 : -1, stop = entry * (1 - sign * STOP);
    double open = px_to_f64(market.bars[i][market.at].open);
    double before = px_to_f64(market.bars[i][market.at - 1].close);
    double must = sign > 0 ? fmin(stop, open) : fmax(stop, open);
    double way = sign * (before - must) / before;
    if (t->exit_ts_ns <= l->crash_ns && t->exit_reason == EXIT_STOP) {
        double slack = must * 2 * market.half_spread + 0.003;
        l->stopped++;
        if (sign * (must - exit) > slack)
            fail_msg("%s sold at %.4f, had to be no worse than %.4f", t->symbol, exit, must);
        if (sign * (stop - exit) > slack) {
            l->beyond++;
            l->beyond_usdt += sign * (stop - exit) * qty_to_f64(t->qty);
        }
        l->worst_way = fmax(l->worst_way, way);
    } else if (sign * market.jump[i] < -WAY_CLOSE) {
        /* Whatever the candle carried beyond any stop of that position is gone with it. */
        if (t->exit_ts_ns > l->crash_ns)
            fail_msg("%s survived a jump of %.1f %%", t->symbol, 100 * market.jump[i]);
    }
    return true;
}

static struct session_options options_of(struct feed *feed, const char *dir) {
    struct session_options o = session_options_defaults();
    o.feed = feed;
    o.strategy = STRATEGY_MOMENTUM;
    o.wallet_start = market.wallet;
    o.run_dir = dir;
    return o;
}

static struct feed *open_market(const char *dir) {
    const struct feed_tape_options o = {.store = dir,
                                        .market = "um",
                                        .interval_ns = NS_PER_MINUTE,
                                        .from_ns = START_NS + (int64_t)WARM * NS_PER_MINUTE,
                                        .warmup_bars = WARM};
    struct feed *feed = NULL;
    struct err err = {0};
    tape_ok(feed_open_tape(&feed, &o, &err), &err);
    return feed;
}

static struct session_result run_to(struct session_options *o, uint64_t step_end) {
    o->step_end = step_end;
    return run(o);
}

struct falls {
    double before, crash, guard, day; /* deepest fall so far / highest equity then */
    double bound_crash, bound_day, tolerance;
    uint32_t held;
};

static double fall_of(const struct session_result *r, double peak) {
    return money_to_f64(r->totals.drawdown_money_max) / peak;
}

/* The report of the run says what the trades say. */
static struct report told(const char *dir, struct look *l) {
    static struct report r;
    char path[TAPE_PATH_SIZE + 64], *text = NULL;
    size_t size = 0;
    struct err err = {0};
    struct tradedb *db = NULL;
    snprintf(path, sizeof path, "%s/trades.sqlite", dir);
    tape_ok(tradedb_open(&db, path, true, &err), &err);
    tape_ok(report_load(&r, db, &err), &err);
    tape_ok(report_from_db(&r, db, &err), &err);
    tape_ok(tradedb_trades(db, 0, look_at, l, &err), &err);
    tradedb_close(db);
    assert_int_equal(r.identity_error.e8, 0);
    assert_int_equal(r.unprotected_positions, 0);
    assert_true(r.breaker_loss_max == 0.04 && r.breaker_daily_loss_max == 0.10 &&
                r.breaker_drawdown_max == 0.25);
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    report_print(f, &r);
    fclose(f);
    if (r.drawdown_to_ns) assert_non_null(strstr(text, "beyond first stops"));
    assert_non_null(strstr(text, "4.0 % below the day's highest equity"));
    free(text);
    return r;
}

static struct falls crash_of(uint64_t seed, const char *store_dir, const char *run_dir) {
    struct falls f = {0};
    market_make(seed);
    market_write(store_dir);
    struct feed *feed = open_market(store_dir);
    struct session_options o = options_of(feed, run_dir);
    struct session_result before = run_to(&o, market.at);
    struct session_result crash = run_to(&o, market.at + 1);
    struct session_result guard = run_to(&o, market.at + 1 + GUARD_BARS);
    struct session_result end = run_to(&o, 0);
    feed_close(feed);
    assert_true(end.complete);
    double peak = money_to_f64(before.totals.equity_peak), jump = 0;
    for (uint32_t i = 0; i < CONTRACTS; i++)
        if (market.crash != CRASH_SLIDE) jump = fmax(jump, fabs(market.jump[i]));
    f.held = (uint32_t)(before.totals.positions - before.totals.trades);
    f.before = fall_of(&before, peak);
    f.crash = fall_of(&crash, peak);
    f.guard = fall_of(&guard, peak);
    f.day = fall_of(&end, peak);
    const struct risk_limits limits = risk_limits_defaults();
    const struct breaker_config breaker = breaker_config_defaults(NS_PER_MINUTE);
    /* Positions may have grown by their gain up to the target since they were measured; fees in and out, spread, a tick. */
    double cap = limits.exposure_total_max * (1 + TAKE);
    double costs =
        cap * (2 * fx_to_f64(market.instruments[0].fee_taker.e8) + 4 * market.half_spread + 1e-4);
    f.tolerance = cap * fmax(jump, WAY_CLOSE) + costs;
    f.bound_crash = fmax(f.before, breaker.loss_max) + f.tolerance;
    f.bound_day = fmax(f.before, breaker.daily_loss_max) + f.tolerance;
    struct look l = {.crash_ns = close_ns(market.at), .calm_ns = close_ns(market.at + GUARD_BARS)};
    if (f.crash >= breaker.loss_max) l.quiet_ns = l.crash_ns + breaker.cooldown_ns;
    struct report r = told(run_dir, &l);
    double sum = money_to_f64(r.beyond_stops_sum);
    if (fabs(sum - l.beyond_usdt) > 0.02 * l.beyond_usdt + 0.5)
        fail_msg("the report tells %.2f USDT beyond stops, the trades %.2f", sum, l.beyond_usdt);
    assert_true(r.beyond_stops >= l.beyond);
    if (market.crash == CRASH_GAP && market.depth > WAY_CLOSE + 0.02) /* no stop is that far away */
        assert_true(l.beyond > 0 && r.drawdown_beyond_stops > 0);
    if (market.crash == CRASH_SLIDE) assert_int_equal(l.beyond, 0);
    return f;
}

static void a_crash_costs_no_more_than_limits_and_jump_explain(void **state) {
    (void)state;
    uint64_t first = tape_seed();
    const char *ops = getenv("TEST_OPS");
    uint32_t seeds = ops ? (uint32_t)strtoul(ops, NULL, 10) : 18, held = 0;
    double nearest[CRASH_KINDS] = {0}, deepest = 0;
    for (uint32_t n = 0; n < seeds; n++) {
        char store_dir[TAPE_PATH_SIZE + 32], dir[TAPE_PATH_SIZE + 32];
        snprintf(store_dir, sizeof store_dir, "%s/market-%u", root, n);
        struct falls f = crash_of(first + n, store_dir, new_dir(dir));
        const char *what = CRASHES[market.crash];
        if (f.crash > f.bound_crash || f.guard > f.bound_crash)
            fail_msg("seed %llu, %s: fell by %.2f %% (%.2f %% a quarter of an hour later), bound "
                     "%.2f %%",
                     (unsigned long long)(first + n), what, 100 * f.crash, 100 * f.guard,
                     100 * f.bound_crash);
        if (f.day > f.bound_day)
            fail_msg("seed %llu, %s: fell by %.2f %% in the day, bound %.2f %%",
                     (unsigned long long)(first + n), what, 100 * f.day, 100 * f.bound_day);
        nearest[market.crash] = fmax(nearest[market.crash], f.guard / f.bound_crash);
        deepest = fmax(deepest, f.day);
        held += f.held;
        tape_remove(store_dir);
        tape_remove(dir);
    }
    print_message("%u crashes, %.1f positions open at each; deepest fall %.1f %%; nearest to the "
                  "bound: gap %.0f %%, slide %.0f %%, both ways %.0f %% of it\n",
                  seeds, (double)held / seeds, 100 * deepest, 100 * nearest[CRASH_GAP],
                  100 * nearest[CRASH_SLIDE], 100 * nearest[CRASH_BOTH_WAYS]);
    assert_true(held >= 6 * seeds);
    /* Not so wide that nothing could pass it. */
    if (seeds >= 18) assert_true(nearest[CRASH_GAP] > 0.75);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_costs_no_more_than_limits_and_jump_explain),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
