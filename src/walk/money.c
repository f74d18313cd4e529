#include "walk/money.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/tstamp.h"

/* ---- reading ---- */

struct gathered {
    struct walk_run *run;
    struct equity_point *points;
    size_t point_count, point_capacity, trade_capacity;
    bool no_memory;
};

static bool grow(void **items, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) return true;
    size_t more = *capacity ? 2 * *capacity : 1024;
    void *bigger = reallocarray(*items, more, size);
    if (!bigger) return false;
    *items = bigger;
    *capacity = more;
    return true;
}

static bool take_trade(void *context, const struct trade_closed *t) {
    struct gathered *g = context;
    void *items = g->run->trades;
    g->no_memory = !grow(&items, g->run->trade_count, &g->trade_capacity, sizeof *t);
    g->run->trades = items;
    if (!g->no_memory) g->run->trades[g->run->trade_count++] = *t;
    return !g->no_memory;
}

static bool take_point(void *context, const struct equity_point *p) {
    struct gathered *g = context;
    void *items = g->points;
    g->no_memory = !grow(&items, g->point_count, &g->point_capacity, sizeof *p);
    g->points = items;
    if (!g->no_memory) g->points[g->point_count++] = *p;
    return !g->no_memory;
}

enum status walk_run_read(struct walk_run *out, const char *path, int64_t from_ns, int64_t to_ns,
                          struct err *err) {
    struct gathered g = {.run = out};
    struct tradedb *db = NULL;
    memset(out, 0, sizeof *out);
    enum status st = tradedb_open(&db, path, true, err);
    if (st != ST_OK) return st;
    st = report_load(&out->report, db, err);
    if (st == ST_OK) st = report_from_db(&out->report, db, err);
    if (st == ST_OK) st = tradedb_trades(db, 0, take_trade, &g, err);
    if (st == ST_OK && !g.no_memory) st = tradedb_equity(db, 0, take_point, &g, err);
    if (st == ST_OK && g.no_memory) st = err_set(err, ST_NO_MEMORY, "%s: out of memory", path);
    if (st == ST_OK) st = walk_days_create(&out->days, from_ns, to_ns, err);
    if (st == ST_OK)
        walk_days_equity(&out->days, g.points, g.point_count,
                         money_to_f64(out->report.wallet_start));
    free(g.points);
    tradedb_close(db);
    if (st != ST_OK) walk_run_free(out);
    return st;
}

void walk_run_free(struct walk_run *run) {
    walk_days_free(&run->days);
    free(run->trades);
    memset(run, 0, sizeof *run);
}

/* ---- days ---- */

void walk_days_equity(struct walk_days *out, const struct equity_point *points, size_t n,
                      double wallet_start) {
    double before = wallet_start;
    size_t i = 0;
    for (size_t day = 0; day < out->count; day++) {
        int64_t end = out->first_ns + (int64_t)(day + 1) * NS_PER_DAY;
        double now = before;
        while (i < n && points[i].ts_ns <= end) now = money_to_f64(points[i++].equity);
        out->returns[day] = before > 0 ? now / before - 1 : 0;
        before = now;
    }
}

/* ---- trades ---- */

static double notional_in(const struct trade_closed *t) {
    return px_to_f64(t->entry_px) * fx_to_f64(t->qty.e8);
}

static double notional_out(const struct trade_closed *t) {
    return px_to_f64(t->exit_px) * fx_to_f64(t->qty.e8);
}

void walk_run_dice_trades(struct walk_trade *out, const struct walk_run *run) {
    const struct trade_closed *t = run->trades;
    for (size_t i = 0; i < run->trade_count; i++) {
        double equity = money_to_f64(run->report.wallet_start), in = notional_in(&t[i]);
        for (size_t k = 0; k < i; k++) /* in order of their ends, some thousands at most */
            if (t[k].exit_ts_ns <= t[i].entry_ts_ns) equity += money_to_f64(t[k].net_pnl);
        if (!(equity > 0)) equity = money_to_f64(run->report.wallet_start);
        out[i] = (struct walk_trade){.entry_ns = t[i].entry_ts_ns,
                                     .exit_ns = t[i].exit_ts_ns,
                                     .share = in / equity,
                                     .net = money_to_f64(t[i].net_pnl) / equity,
                                     .cost = in > 0 ? money_to_f64(t[i].fees) / in : 0};
    }
}

/* Volume and deviation of the day whose bars close at or before the moment. */
static void day_before(struct walk_order *o, const struct learn_series *s, int64_t at_ns,
                       int64_t interval_ns) {
    size_t lo = 0, hi = s->count;
    while (lo < hi) { /* bars that closed by then */
        size_t mid = lo + (hi - lo) / 2;
        if (s->bars[mid].open_ts_ns + interval_ns <= at_ns)
            lo = mid + 1;
        else
            hi = mid;
    }
    double volume = 0, squares = 0;
    size_t moves = 0;
    for (size_t i = lo; i > 0; i--) {
        const struct bar *b = &s->bars[i - 1];
        if (b->open_ts_ns + interval_ns <= at_ns - NS_PER_DAY) break;
        volume += isfinite(b->quote_volume) ? b->quote_volume : b->volume * px_to_f64(b->close);
        if (i < 2) break;
        double r = log(px_to_f64(b->close) / px_to_f64(s->bars[i - 2].close));
        squares += r * r;
        moves++;
    }
    o->day_volume = volume;
    o->day_sigma =
        moves ? sqrt(squares / (double)moves * (double)NS_PER_DAY / (double)interval_ns) : 0;
}

void walk_run_orders(struct walk_order *out, const struct walk_run *run,
                     const struct learn_series *series, size_t count, int64_t interval_ns) {
    for (size_t i = 0; i < run->trade_count; i++) {
        const struct trade_closed *t = &run->trades[i];
        ASSERT(t->instrument_index < count);
        const struct learn_series *s = &series[t->instrument_index];
        out[2 * i] = (struct walk_order){.notional = notional_in(t)};
        out[2 * i + 1] = (struct walk_order){.notional = notional_out(t)};
        day_before(&out[2 * i], s, t->entry_ts_ns, interval_ns);
        day_before(&out[2 * i + 1], s, t->exit_ts_ns, interval_ns);
    }
}

double walk_run_turnover(const struct walk_run *run, double days) {
    double notional = 0, start = money_to_f64(run->report.wallet_start);
    for (size_t i = 0; i < run->trade_count; i++)
        notional += notional_in(&run->trades[i]) + notional_out(&run->trades[i]);
    return start > 0 && days > 0 ? notional / start / (days / 365) : (double)NAN;
}
