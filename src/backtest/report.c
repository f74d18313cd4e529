#include "backtest/report.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/tstamp.h"

static const double DAYS_PER_YEAR = 365; /* the market never closes */

/* Grows like a vector; items are of one size. */
struct series {
    void *items;
    size_t count, capacity, item_size;
};

static bool series_push(struct series *s, const void *item) {
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 1024;
        void *items = reallocarray(s->items, capacity, s->item_size);
        if (!items) return false;
        s->items = items;
        s->capacity = capacity;
    }
    memcpy((char *)s->items + s->count++ * s->item_size, item, s->item_size);
    return true;
}

/* A closed trade's part in a fall of equity. */
struct loss {
    int64_t exit_ts_ns;
    int64_t beyond_e8; /* lost at prices beyond the first stop */
    int64_t costs_e8;
};

struct gathered {
    struct series net, protected_ns, points; /* int64_t, int64_t, struct equity_point */
    struct series losses_of;                 /* struct loss */
    int64_t until_ns;                        /* points behind it are not looked at */
    struct report *r;
    int64_t cut_ns;                  /* closed trades up to here make the fallback ledger */
    money_t realized, fees, funding; /* sums over closed trades up to cut_ns */
    money_t win_sum, loss_sum;
    double r_sum;
    uint64_t r_count, losses;
    bool no_memory;
};

static bool gather_trade(void *context, const struct trade_closed *t) {
    struct gathered *g = context;
    struct report *r = g->r;
    struct report_exit *e = &r->exits[t->exit_reason];
    bool won = t->net_pnl.e8 > 0;
    r->trades++;
    r->wins += won;
    e->count++;
    e->wins += won;
    e->net_pnl.e8 += t->net_pnl.e8;
    if (won) g->win_sum.e8 += t->net_pnl.e8;
    if (t->net_pnl.e8 < 0) {
        g->loss_sum.e8 += t->net_pnl.e8;
        g->losses++;
    }
    if (t->risk.e8 > 0) {
        g->r_sum += (double)t->net_pnl.e8 / (double)t->risk.e8;
        g->r_count++;
    }
    if (t->exit_ts_ns <= g->cut_ns) {
        g->realized.e8 += t->realized_pnl.e8;
        g->fees.e8 += t->fees.e8;
        g->funding.e8 += t->funding.e8;
    }
    r->positions++;
    struct loss loss = {t->exit_ts_ns, -t->realized_pnl.e8 - t->risk.e8,
                        t->fees.e8 - t->funding.e8};
    if (loss.beyond_e8 <= 0 || t->risk.e8 <= 0) loss.beyond_e8 = 0;
    r->beyond_stops += loss.beyond_e8 > 0;
    r->beyond_stops_sum.e8 += loss.beyond_e8;
    if (loss.beyond_e8 > r->beyond_stops_max.e8) r->beyond_stops_max.e8 = loss.beyond_e8;
    bool ok = series_push(&g->losses_of, &loss) && series_push(&g->net, &t->net_pnl.e8);
    if (t->time_to_protected_ns < 0)
        r->unprotected_positions++;
    else
        ok = ok && series_push(&g->protected_ns, &t->time_to_protected_ns);
    g->no_memory = !ok;
    return ok && r->trades != r->trades_max;
}

struct last_trade {
    uint64_t left;
    int64_t exit_ts_ns;
};

static bool find_last(void *context, const struct trade_closed *t) {
    struct last_trade *last = context;
    last->exit_ts_ns = t->exit_ts_ns;
    return --last->left > 0;
}

static bool gather_point(void *context, const struct equity_point *p) {
    struct gathered *g = context;
    if (p->ts_ns > g->until_ns) return false;
    g->no_memory = !series_push(&g->points, p);
    return !g->no_memory;
}

static int compare_i64(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static const int64_t BUCKETS_NS[] = {
    10 * NS_PER_MS,     20 * NS_PER_MS,     50 * NS_PER_MS,     100 * NS_PER_MS,
    200 * NS_PER_MS,    300 * NS_PER_MS,    500 * NS_PER_MS,    NS_PER_SECOND,
    2 * NS_PER_SECOND,  3 * NS_PER_SECOND,  5 * NS_PER_SECOND,  10 * NS_PER_SECOND,
    20 * NS_PER_SECOND, 30 * NS_PER_SECOND, NS_PER_MINUTE,      2 * NS_PER_MINUTE,
    5 * NS_PER_MINUTE,  10 * NS_PER_MINUTE, 30 * NS_PER_MINUTE, NS_PER_HOUR,
    4 * NS_PER_HOUR,    NS_PER_DAY,         INT64_MAX};
enum { BUCKET_COUNT = sizeof BUCKETS_NS / sizeof *BUCKETS_NS };
static_assert(BUCKET_COUNT <= (int)REPORT_BUCKETS_MAX, "buckets fit");

/* Quantiles are of the exact values; the histogram, from the first bucket in use to the last, only
 * shows their shape. */
static void time_to_protected(struct report *r, int64_t *values, size_t n) {
    r->ttp_p50_ns = r->ttp_p99_ns = r->ttp_max_ns = -1;
    r->ttp_bucket_count = 0;
    if (n == 0) return;
    qsort(values, n, sizeof *values, compare_i64);
    r->ttp_p50_ns = stat_quantile(values, n, 0.5);
    r->ttp_p99_ns = stat_quantile(values, n, 0.99);
    r->ttp_max_ns = values[n - 1];
    size_t i = 0;
    for (size_t b = 0; b < BUCKET_COUNT && i < n; b++) {
        struct report_bucket bucket = {BUCKETS_NS[b], 0};
        for (; i < n && values[i] <= BUCKETS_NS[b]; i++) bucket.count++;
        if (bucket.count || r->ttp_bucket_count) r->ttp_buckets[r->ttp_bucket_count++] = bucket;
    }
}

/* Equity of each UTC day's last point; a day without points (the system was down) keeps the day
 * before. The first return is against the starting wallet. */
static bool daily_returns(struct series *out, const struct report *r, const struct equity_point *p,
                          size_t n) {
    double before = money_to_f64(r->wallet_start);
    for (size_t i = 0; i < n; i++) {
        double now = money_to_f64(p[i].equity);
        int64_t day = p[i].ts_ns / NS_PER_DAY;
        int64_t next = i + 1 < n ? p[i + 1].ts_ns / NS_PER_DAY : day + 1;
        for (; day < next; day++) {
            double change = before > 0 ? now / before - 1 : NAN;
            if (!series_push(out, &change)) return false;
            before = now;
        }
    }
    return true;
}

/* Where the largest fall lay, and what of it is beyond stops and costs. */
static void drawdown_figures(struct report *r, const struct gathered *g) {
    const struct equity_point *p = g->points.items;
    const struct loss *losses = g->losses_of.items;
    double peak = money_to_f64(r->wallet_start), deepest = 0, top = peak;
    int64_t peak_ns = r->from_ns;
    for (size_t i = 0; i < g->points.count; i++) {
        double equity = money_to_f64(p[i].equity);
        if (equity > peak) {
            peak = equity;
            peak_ns = p[i].ts_ns;
        }
        if (!(peak > 0) || (peak - equity) / peak <= deepest) continue;
        deepest = (peak - equity) / peak;
        top = peak;
        r->drawdown_from_ns = peak_ns;
        r->drawdown_to_ns = p[i].ts_ns;
    }
    if (r->drawdown_to_ns == 0) return;
    int64_t beyond = 0, costs = 0;
    for (size_t i = 0; i < g->losses_of.count; i++) {
        if (losses[i].exit_ts_ns <= r->drawdown_from_ns || losses[i].exit_ts_ns > r->drawdown_to_ns)
            continue;
        beyond += losses[i].beyond_e8;
        costs += losses[i].costs_e8;
    }
    r->drawdown_beyond_stops = fx_to_f64(beyond) / top;
    r->drawdown_costs = fx_to_f64(costs) / top;
}

static bool equity_figures(struct report *r, const struct equity_point *p, size_t n) {
    struct series returns = {.item_size = sizeof(double)}, curve = {.item_size = sizeof(double)};
    double start = money_to_f64(r->wallet_start), weighted = 0, span = 0;
    bool ok = n == 0 || series_push(&curve, &start);
    for (size_t i = 0; ok && i < n; i++) {
        double equity = money_to_f64(p[i].equity);
        ok = series_push(&curve, &equity);
        if (i + 1 == n || equity <= 0) continue;
        double dt = (double)(p[i + 1].ts_ns - p[i].ts_ns);
        weighted += money_to_f64(p[i].exposure) / equity * dt;
        span += dt;
    }
    ok = ok && daily_returns(&returns, r, p, n);
    r->max_drawdown = stat_drawdown(curve.items, curve.count);
    r->exposure = span > 0 ? weighted / span : NAN;
    r->sharpe = stat_sharpe(returns.items, returns.count, DAYS_PER_YEAR);
    free(returns.items);
    free(curve.items);
    return ok;
}

static enum status money_figures(struct report *r, const struct gathered *g, struct tradedb *db,
                                 struct err *err) {
    struct tradedb_ledger ledger;
    enum status st = tradedb_ledger(db, g->cut_ns, &ledger, err);
    if (st != ST_OK) return st;
    r->ledger_fills = ledger.fills;
    r->ledger_fundings = ledger.fundings;
    bool from_fills = ledger.fills > 0;
    r->realized_pnl = from_fills ? ledger.realized_pnl : g->realized;
    r->fees = from_fills ? ledger.commission : g->fees;
    r->funding = ledger.fundings > 0 ? ledger.funding : g->funding;
    r->wallet_change.e8 = r->wallet_end.e8 - r->wallet_start.e8;
    r->identity_error.e8 = r->wallet_change.e8 - (r->realized_pnl.e8 - r->fees.e8 + r->funding.e8);
    return ST_OK;
}

static void trade_figures(struct report *r, struct gathered *g) {
    struct interval rate = stat_rate(r->wins, r->trades);
    r->win_rate = rate.value;
    r->win_rate_low = rate.low;
    r->win_rate_high = rate.high;
    struct interval mean = stat_mean_e8(g->net.items, g->net.count);
    r->expectancy = mean.value;
    r->expectancy_low = mean.low;
    r->expectancy_high = mean.high;
    r->expectancy_r = g->r_count ? g->r_sum / (double)g->r_count : NAN;
    r->profit_factor = stat_profit_factor(g->net.items, g->net.count);
    r->average_win = r->wins ? money_to_f64(g->win_sum) / (double)r->wins : NAN;
    r->average_loss = g->losses ? money_to_f64(g->loss_sum) / (double)g->losses : NAN;
    time_to_protected(r, g->protected_ns.items, g->protected_ns.count);
}

static enum status gather_and_fill(struct gathered *g, struct tradedb *db, struct err *err) {
    struct report *r = g->r;
    struct last_trade last = {.left = r->trades_max};
    enum status st = ST_OK;
    if (r->trades_max > 0) {
        st = tradedb_trades(db, 0, find_last, &last, err);
        if (last.left == 0) g->until_ns = r->to_ns = last.exit_ts_ns;
    }
    if (st == ST_OK) st = tradedb_equity(db, 0, gather_point, g, err);
    const struct equity_point *p = g->points.items;
    size_t n = g->points.count;
    if (st == ST_OK && n > 0) {
        g->cut_ns = p[n - 1].ts_ns;
        if (r->wallet_start.e8 == 0) r->wallet_start = p[0].wallet;
        if (r->from_ns == 0 && r->to_ns == 0) {
            r->from_ns = p[0].ts_ns;
            r->to_ns = p[n - 1].ts_ns;
        }
    }
    r->wallet_end = n > 0 ? p[n - 1].wallet : r->wallet_start;
    r->equity_points = n;
    if (st == ST_OK && !g->no_memory) st = tradedb_trades(db, 0, gather_trade, g, err);
    if (st == ST_OK && !g->no_memory) st = money_figures(r, g, db, err);
    if (st != ST_OK) return st;
    if (g->no_memory || !equity_figures(r, p, n))
        return err_set(err, ST_NO_MEMORY, "report: out of memory");
    drawdown_figures(r, g);
    trade_figures(r, g);
    return ST_OK;
}

enum status report_from_db(struct report *r, struct tradedb *db, struct err *err) {
    struct gathered g = {.net.item_size = sizeof(int64_t),
                         .protected_ns.item_size = sizeof(int64_t),
                         .points.item_size = sizeof(struct equity_point),
                         .losses_of.item_size = sizeof(struct loss),
                         .until_ns = INT64_MAX,
                         .r = r,
                         .cut_ns = INT64_MAX};
    r->trades = r->wins = r->positions = r->unprotected_positions = 0;
    r->beyond_stops = 0;
    r->beyond_stops_sum = r->beyond_stops_max = money_e8(0);
    r->drawdown_from_ns = r->drawdown_to_ns = 0;
    r->drawdown_beyond_stops = r->drawdown_costs = 0;
    memset(r->exits, 0, sizeof r->exits);
    enum status st = gather_and_fill(&g, db, err);
    free(g.net.items);
    free(g.protected_ns.items);
    free(g.points.items);
    free(g.losses_of.items);
    return st;
}

void report_count_add(struct report_count *counts, uint32_t *inout_count, const char *key,
                      uint64_t by) {
    char cut[REPORT_KEY_SIZE];
    size_t length = strnlen(key, sizeof cut - 1);
    memcpy(cut, key, length);
    cut[length] = '\0';
    uint32_t i = 0;
    while (i < *inout_count && strcmp(counts[i].key, cut) != 0) i++;
    if (i == *inout_count) {
        bool last = i + 1 >= REPORT_KEYS_MAX;
        if (i >= REPORT_KEYS_MAX) {
            i = REPORT_KEYS_MAX - 1;
        } else {
            memcpy(counts[i].key, cut, sizeof cut);
            counts[i].count = 0;
            ++*inout_count;
        }
        if (last) memcpy(counts[i].key, "other", sizeof "other");
    }
    counts[i].count += by;
}

static void put_u64(unsigned char **p, uint64_t value) {
    for (int i = 0; i < 8; i++) *(*p)++ = (unsigned char)(value >> (8 * i));
}

static void put_f64(unsigned char **p, double value) {
    uint64_t bits = UINT64_C(0x7ff8000000000000); /* every NaN is the same NaN */
    if (!isnan(value)) memcpy(&bits, &value, sizeof bits);
    put_u64(p, bits);
}

uint64_t report_trade_hash(uint64_t running, const struct trade_closed *t) {
    unsigned char bytes[SYMBOL_SIZE + 20 * 8], *p = bytes;
    size_t length = strnlen(t->symbol, SYMBOL_SIZE);
    memset(bytes, 0, sizeof bytes);
    memcpy(p, t->symbol, length);
    p += SYMBOL_SIZE;
    put_u64(&p, t->trade_id);
    put_u64(&p, t->intent_id);
    put_u64(&p, t->instrument_index);
    put_u64(&p, t->side);
    put_u64(&p, t->exit_reason);
    put_u64(&p, t->strategy);
    put_u64(&p, t->leverage);
    put_u64(&p, (uint64_t)t->entry_ts_ns);
    put_u64(&p, (uint64_t)t->exit_ts_ns);
    put_u64(&p, (uint64_t)t->entry_px.e8);
    put_u64(&p, (uint64_t)t->exit_px.e8);
    put_u64(&p, (uint64_t)t->qty.e8);
    put_u64(&p, (uint64_t)t->realized_pnl.e8);
    put_u64(&p, (uint64_t)t->fees.e8);
    put_u64(&p, (uint64_t)t->funding.e8);
    put_u64(&p, (uint64_t)t->net_pnl.e8);
    put_u64(&p, (uint64_t)t->risk.e8);
    put_u64(&p, (uint64_t)t->time_to_protected_ns);
    put_f64(&p, t->confidence);
    put_f64(&p, t->expected_edge);
    ASSERT(p == bytes + sizeof bytes);
    return hash_chain(running, bytes, sizeof bytes);
}

static bool hash_trade(void *context, const struct trade_closed *trade) {
    uint64_t *running = context;
    *running = report_trade_hash(*running, trade);
    return true;
}

enum status report_trades_hash(uint64_t *out, struct tradedb *db, struct err *err) {
    uint64_t running = 0;
    enum status st = tradedb_trades(db, 0, hash_trade, &running, err);
    if (st == ST_OK) *out = running;
    return st;
}
