#include "walk/paper.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rng.h"
#include "base/tstamp.h"

/* ---- days ---- */

enum status walk_days_create(struct walk_days *out, int64_t from_ns, int64_t to_ns,
                             struct err *err) {
    ASSERT(from_ns < to_ns);
    int64_t first = from_ns / NS_PER_DAY, last = (to_ns - 1) / NS_PER_DAY;
    out->first_ns = first * NS_PER_DAY;
    out->count = (size_t)(last - first) + 1;
    out->returns = calloc(out->count, sizeof *out->returns);
    return out->returns ? ST_OK : err_set(err, ST_NO_MEMORY, "%zu days: no memory", out->count);
}

void walk_days_free(struct walk_days *d) {
    free(d->returns);
    memset(d, 0, sizeof *d);
}

void walk_days_add(struct walk_days *d, int64_t close_ns, double value) {
    int64_t day = (close_ns - 1 - d->first_ns) / NS_PER_DAY;
    if (close_ns > d->first_ns && day < (int64_t)d->count) d->returns[day] += value;
}

/* ---- the rule ---- */

struct held {
    struct promotion_position position;
    size_t bar; /* of the series, the newest looked at */
    double close;
    bool has_close;
};

/* Close of the bar that ends then; NaN if there is none. Moments ascend. */
static double close_at(struct held *h, const struct learn_series *s, int64_t open_ns) {
    while (h->bar < s->count && s->bars[h->bar].open_ts_ns < open_ns) h->bar++;
    bool hit = h->bar < s->count && s->bars[h->bar].open_ts_ns == open_ns;
    return hit ? px_to_f64(s->bars[h->bar].close) : (double)NAN;
}

static double forecast_of(const struct walk_close *c, uint32_t symbol, enum walk_subject subject) {
    float p[LABEL_COUNT], expected;
    const struct walk_decision *d = walk_close_find(c, symbol);
    return d && walk_answer(p, &expected, d, subject, false) ? (double)expected : (double)NAN;
}

static void rule_close(struct walk_days *days, struct walk_rule_totals *t, struct held *held,
                       const struct walk_decisions *d, size_t c, const struct learn_series *series,
                       enum walk_subject subject, const struct promotion_config *config) {
    bool is_last = c + 1 == d->close_count;
    int64_t now = d->closes[c].close_ns, next = is_last ? now : d->closes[c + 1].close_ns;
    double part = 1 / (double)d->symbol_count;
    for (uint32_t i = 0; i < d->symbol_count; i++) {
        struct held *h = &held[i];
        double price = close_at(h, &series[i], now - d->interval_ns);
        if (!isnan(price)) h->close = price, h->has_close = true;
        struct held ahead = *h;
        double later = is_last ? NAN : close_at(&ahead, &series[i], next - d->interval_ns);
        double earned = h->has_close && !isnan(later) ? later / h->close - 1 : 0;
        int32_t before = h->position.side;
        double forecast = is_last ? NAN : forecast_of(&d->closes[c], i, subject);
        if (is_last) h->position.bars_left = 0; /* everything is closed */
        double net = promotion_position_step(&h->position, config, forecast, earned);
        double turned = fabs((double)(h->position.side - before));
        t->changes += (uint64_t)turned;
        t->cost += part * turned * config->cost_side;
        t->exposure += part * fabs((double)h->position.side) / (double)d->close_count;
        t->net += part * net;
        walk_days_add(days, next, part * net);
    }
}

enum status walk_rule(struct walk_days *days, struct walk_rule_totals *totals,
                      const struct walk_decisions *d, const struct learn_series *series,
                      enum walk_subject subject, const struct promotion_config *config,
                      struct err *err) {
    *totals = (struct walk_rule_totals){0};
    struct held *held = calloc(d->symbol_count ? d->symbol_count : 1, sizeof *held);
    if (!held) return err_set(err, ST_NO_MEMORY, "rule of %u symbols: no memory", d->symbol_count);
    for (size_t c = 0; c < d->close_count; c++)
        rule_close(days, totals, held, d, c, series, subject, config);
    free(held);
    return ST_OK;
}

/* ---- a holder ---- */

void walk_hold(struct walk_days *days, const struct learn_series *series, size_t count,
               int64_t from_ns, int64_t to_ns, int64_t interval_ns, double cost_side) {
    double part = 1 / (double)count;
    for (size_t i = 0; i < count; i++) {
        double entry = 0, last = 0;
        int64_t last_ns = 0;
        for (size_t b = 0; b < series[i].count; b++) {
            int64_t close = series[i].bars[b].open_ts_ns + interval_ns;
            double px = px_to_f64(series[i].bars[b].close);
            if (close <= from_ns || close > to_ns) continue;
            if (entry > 0) {
                walk_days_add(days, close, part * (1 - cost_side) * (px - last) / entry);
            } else {
                entry = px;
                walk_days_add(days, close, -part * cost_side);
            }
            last = px;
            last_ns = close;
        }
        if (entry > 0)
            walk_days_add(days, last_ns, -part * (1 - cost_side) * cost_side * last / entry);
    }
}

/* ---- the dice ---- */

struct span {
    size_t first, count; /* bars of a series that close in the window */
};

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* One trade somewhere else; NaN if no symbol has that many bars. */
static double throw_one(struct rng *r, const struct walk_trade *t,
                        const struct learn_series *series, const struct span *spans, size_t count,
                        int64_t interval_ns) {
    size_t bars = (size_t)((t->exit_ns - t->entry_ns + interval_ns / 2) / interval_ns);
    uint64_t places = 0;
    if (bars == 0) bars = 1;
    for (size_t i = 0; i < count; i++)
        if (spans[i].count > bars) places += spans[i].count - bars;
    if (places == 0) return NAN;
    uint64_t at = rng_below(r, places);
    for (size_t i = 0;; i++) {
        uint64_t here = spans[i].count > bars ? spans[i].count - bars : 0;
        if (at >= here) {
            at -= here;
            continue;
        }
        const struct bar *b = series[i].bars + spans[i].first + at;
        double gain = px_to_f64(b[bars].close) / px_to_f64(b[0].close) - 1;
        double side = rng_below(r, 2) ? 1 : -1;
        return t->share * (side * gain - t->cost);
    }
}

static void spans_of(struct span *out, const struct learn_series *series, size_t count,
                     int64_t from_ns, int64_t to_ns, int64_t interval_ns) {
    for (size_t i = 0; i < count; i++) {
        size_t a = 0, b = series[i].count;
        while (a < b && series[i].bars[a].open_ts_ns + interval_ns <= from_ns) a++;
        while (b > a && series[i].bars[b - 1].open_ts_ns + interval_ns > to_ns) b--;
        out[i] = (struct span){a, b - a};
    }
}

enum status walk_dice(struct walk_dice *out, const struct walk_trade *trades, size_t n,
                      const struct learn_series *series, size_t count, int64_t from_ns,
                      int64_t to_ns, int64_t interval_ns, uint32_t draws, uint64_t seed,
                      struct err *err) {
    ASSERT(draws >= 100);
    *out = (struct walk_dice){0, 0, NAN, NAN, NAN, NAN, NAN};
    if (n == 0) return ST_OK;
    struct span *spans = calloc(count ? count : 1, sizeof *spans);
    double *sums = calloc(draws, sizeof *sums);
    enum status st = ST_OK;
    if (spans && sums) {
        double own = 0, mean = 0;
        uint32_t as_good = 0;
        struct rng root = rng_init(seed);
        spans_of(spans, series, count, from_ns, to_ns, interval_ns);
        for (size_t i = 0; i < n; i++) own += trades[i].net;
        for (uint32_t k = 0; k < draws; k++) {
            struct rng r = rng_split(&root, k);
            for (size_t i = 0; i < n; i++)
                sums[k] += throw_one(&r, &trades[i], series, spans, count, interval_ns);
            mean += sums[k] / draws;
            as_good += sums[k] >= own;
        }
        out->own = own;
        if (!isnan(mean)) {
            qsort(sums, draws, sizeof *sums, by_value);
            out->draws = draws;
            out->mean = mean;
            out->low = sums[(size_t)ceil(0.025 * draws) - 1];
            out->high = sums[(size_t)ceil(0.975 * draws) - 1];
            out->at_least_own = (as_good + 1.0) / (draws + 1.0);
        }
    } else
        st = err_set(err, ST_NO_MEMORY, "%u draws: out of memory", draws);
    free(spans);
    free(sums);
    return st;
}
