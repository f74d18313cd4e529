/* What a simple rule would have earned by each answer, net of costs, beside what chance and holding earn. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/train_report_internal.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "brain/promotion/validator.h"

/* Symbol-bars that all random twins of an entry may take together: about half a second. */
static const double shift_work_max = 4e8;
enum { SHIFTS_MIN = 50 };

/* The bars all voters were tested on, as a table. */
struct bars {
    size_t times, symbols;
    size_t first; /* time of train_rows it begins with */
    double *next; /* (times, symbols) return to the next close; NaN: no bar, or the last one */
    double *held; /* (symbols) scratch: the side held before */
};

static void bars_free(struct bars *b) {
    free(b->next);
    free(b->held);
}

static enum status bars_init(struct bars *b, struct train_report *r, struct err *err) {
    const struct train_rows *rows = &r->rows;
    *b = (struct bars){.symbols = rows->symbols};
    for (size_t t = 0; t < rows->times; t++) {
        int64_t at = rows->rows[rows->first[t]].decision_ns;
        if (at < r->from_ns) b->first = t + 1;
        if (at >= r->from_ns && at < r->to_ns) b->times++;
    }
    r->bars = (uint32_t)b->times;
    if (b->times == 0) return err_set(err, ST_RANGE, "no bar that all voters were tested on");
    b->next = malloc(b->times * b->symbols * sizeof *b->next);
    b->held = malloc(b->symbols * sizeof *b->held);
    if (!b->next || !b->held)
        return err_set(err, ST_NO_MEMORY, "returns of %zu bars", b->times * b->symbols);
    for (size_t i = 0; i < b->times * b->symbols; i++) b->next[i] = NAN;
    for (size_t t = 0; t < b->times; t++)
        for (size_t i = rows->first[b->first + t]; i < rows->first[b->first + t + 1]; i++)
            b->next[t * b->symbols + rows->rows[i].symbol] = rows->rows[i].next;
    return ST_OK;
}

enum status train_sides(int8_t *sides, const struct train_report *r, uint32_t entry,
                        struct err *err) {
    const struct train_rows *rows = &r->rows;
    struct promotion_config rule = promotion_config_defaults();
    rule.cost_side = r->cost_side;
    rule.horizon_bars = r->horizon_bars;
    size_t begin = 0;
    struct promotion_position *positions = calloc(rows->symbols, sizeof *positions);
    if (!positions) return err_set(err, ST_NO_MEMORY, "positions of %u symbols", rows->symbols);
    memset(sides, 0, (size_t)r->bars * rows->symbols);
    while (rows->rows[rows->first[begin]].decision_ns < r->from_ns) begin++;
    for (size_t t = 0; t < r->bars; t++) {
        for (size_t i = rows->first[begin + t]; i < rows->first[begin + t + 1]; i++) {
            struct train_answer answer;
            uint32_t s = rows->rows[i].symbol;
            bool said = train_answer(&answer, r, rows, entry, i);
            promotion_position_step(&positions[s], &rule, said ? answer.expected : NAN, 0);
            sides[t * rows->symbols + s] = (int8_t)positions[s].side;
        }
    }
    free(positions);
    return ST_OK;
}

/* What a run leaves behind; NULL: not wanted. */
struct run_out {
    double *returns;                    /* (times) */
    double *equity;                     /* (times + 1), from 1 */
    double *costs;                      /* sum */
    uint64_t *trades;                   /* sides taken */
    uint64_t *longs, *shorts, *present; /* symbol-bars */
};

/* Sides moved `shift` times ahead, in a ring. Each symbol with a return has an equal part of the equity, every bar anew; a change of
 * side costs. */
static double run(struct run_out *out, const struct bars *b, const int8_t *sides, size_t shift,
                  double cost_side) {
    double equity = 1;
    memset(b->held, 0, b->symbols * sizeof *b->held);
    if (out->equity) out->equity[0] = 1;
    for (size_t t = 0; t < b->times; t++) {
        size_t from = t + shift < b->times ? t + shift : t + shift - b->times;
        const int8_t *wanted = sides + from * b->symbols;
        const double *next = b->next + t * b->symbols;
        double net = 0, paid = 0;
        uint32_t present = 0;
        for (size_t s = 0; s < b->symbols; s++) {
            if (isnan(next[s])) continue;
            double side = wanted[s], change = fabs(side - b->held[s]);
            present++;
            net += side * next[s];
            paid += cost_side * change;
            if (out->trades) {
                *out->trades += change > 0 && side != 0;
                *out->longs += side > 0;
                *out->shorts += side < 0;
            }
            b->held[s] = side;
        }
        if (out->present) *out->present += present;
        double part = present ? 1.0 / present : 0, ret = (net - paid) * part;
        if (out->costs) *out->costs += paid * part;
        if (out->returns) out->returns[t] = ret;
        equity = fmax(0, equity * (1 + ret));
        if (out->equity) out->equity[t + 1] = equity;
    }
    return equity;
}

/* Bought once in equal parts, each symbol that trades at the first bar; kept. */
static double run_hold(struct run_out *out, const struct bars *b, double cost_side) {
    size_t bought = 0;
    double equity = 1;
    for (size_t s = 0; s < b->symbols; s++) {
        b->held[s] = isnan(b->next[s]) ? 0 : 1 - cost_side;
        bought += b->held[s] > 0;
    }
    out->equity[0] = 1;
    for (size_t t = 0; t < b->times; t++) {
        const double *next = b->next + t * b->symbols;
        double worth = 0;
        for (size_t s = 0; s < b->symbols; s++) {
            if (!isnan(next[s])) b->held[s] *= 1 + next[s];
            worth += b->held[s];
            *out->longs += b->held[s] > 0 && !isnan(next[s]) ? 1 : 0;
            *out->present += isnan(next[s]) ? 0 : 1;
        }
        worth = bought ? worth / (double)bought : 1;
        out->returns[t] = equity > 0 ? worth / equity - 1 : 0;
        out->equity[t + 1] = equity = worth;
    }
    *out->costs = bought ? cost_side : 0;
    *out->trades = bought;
    return equity;
}

static size_t point_at(const struct train_report *r, const struct bars *b, size_t point) {
    return r->points > 1 ? (point * b->times + (r->points - 1) / 2) / (r->points - 1) : 0;
}

static enum status points_init(struct train_report *r, const struct bars *b, struct err *err) {
    const struct train_rows *rows = &r->rows;
    if (r->seconds) return ST_OK;
    r->points = b->times + 1 < TRAIN_POINTS_MAX ? b->times + 1 : TRAIN_POINTS_MAX;
    r->seconds = malloc(r->points * sizeof *r->seconds);
    if (!r->seconds) return err_set(err, ST_NO_MEMORY, "points");
    for (size_t p = 0; p < r->points; p++) {
        size_t t = point_at(r, b, p);
        int64_t at = rows->rows[rows->first[b->first + (t ? t - 1 : 0)]].decision_ns;
        r->seconds[p] = (double)((at + (t ? r->config->interval_ns : 0)) / NS_PER_SECOND);
    }
    return ST_OK;
}

/* ---- chance ---- */

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double nearest_rank(const double *sorted, size_t n, double q) {
    size_t rank = (size_t)ceil(q * (double)n);
    return sorted[rank ? rank - 1 : 0];
}

/* Nearer than two horizons a moved side is still the answer it was moved from. */
static size_t shift_least(const struct train_report *r) {
    return 2 * (size_t)r->horizon_bars;
}

static uint32_t shift_count(const struct train_report *r, const struct bars *b) {
    size_t least = shift_least(r);
    if (b->times < 2 * least + 1) return 0;
    double work = (double)b->times * (double)b->symbols;
    double most = fmin(TRAIN_SHIFTS_MAX, fmax(SHIFTS_MIN, floor(shift_work_max / work)));
    return (uint32_t)fmin(most, (double)(b->times - 2 * least + 1));
}

/* Different ones of least … times - least, drawn without putting back. */
static enum status shifts_draw(size_t **out, const struct train_report *r, const struct bars *b,
                               uint32_t count, struct err *err) {
    size_t least = shift_least(r), n = b->times - 2 * least + 1;
    size_t *shifts = malloc(n * sizeof *shifts);
    if (!shifts) return err_set(err, ST_NO_MEMORY, "shifts");
    for (size_t i = 0; i < n; i++) shifts[i] = least + i;
    struct rng root = rng_init(r->config->seed), rng = rng_split(&root, 17);
    for (size_t i = 0; i < count; i++) {
        size_t k = i + (size_t)rng_below(&rng, n - i), chosen = shifts[k];
        shifts[k] = shifts[i];
        shifts[i] = chosen;
    }
    *out = shifts;
    return ST_OK;
}

/* Quantiles over the shifts at each point; column (shifts) is scratch. */
static void band(struct train_trading *out, const struct train_report *r, const double *values,
                 double *column) {
    size_t n = out->shifts;
    for (size_t p = 0; p < r->points; p++) {
        for (size_t k = 0; k < n; k++) column[k] = values[k * r->points + p];
        qsort(column, n, sizeof *column, ascending);
        out->low[p] = nearest_rank(column, n, 0.05);
        out->middle[p] = nearest_rank(column, n, 0.5);
        out->high[p] = nearest_rank(column, n, 0.95);
    }
    out->random_total = out->middle[r->points - 1] - 1;
}

/* The same sides at other times: exposure, its direction, turnover and what symbols do together stay, the moment is chance. */
static enum status random_twins(struct train_trading *out, const struct train_report *r,
                                const struct bars *b, const int8_t *sides, double *equity,
                                struct err *err) {
    uint32_t count = shift_count(r, b);
    if (count == 0) return ST_OK;
    size_t *shifts = NULL, as_good = 1;
    double *values = malloc(((size_t)count * r->points + count) * sizeof *values);
    out->low = malloc(r->points * sizeof(double));
    out->middle = malloc(r->points * sizeof(double));
    out->high = malloc(r->points * sizeof(double));
    enum status st = values && out->low && out->middle && out->high
                         ? shifts_draw(&shifts, r, b, count, err)
                         : err_set(err, ST_NO_MEMORY, "random entries");
    struct run_out each = {.equity = equity};
    out->shifts = st == ST_OK ? count : 0;
    for (uint32_t k = 0; k < out->shifts; k++) {
        double end = run(&each, b, sides, shifts[k], r->cost_side);
        as_good += end >= 1 + out->total;
        for (size_t p = 0; p < r->points; p++)
            values[k * r->points + p] = equity[point_at(r, b, p)];
    }
    if (st == ST_OK) {
        out->p_random = (double)as_good / (count + 1.0);
        band(out, r, values, values + (size_t)count * r->points);
    }
    free(values);
    free(shifts);
    return st;
}

/* ---- an entry ---- */

static enum status trade(struct train_report *r, struct bars *b, uint32_t entry, double *memory,
                         int8_t *sides, struct err *err) {
    struct train_trading *out = &r->trading[entry];
    uint64_t longs = 0, shorts = 0, present = 0;
    struct run_out all = {.returns = memory,
                          .equity = memory + b->times,
                          .costs = &out->costs,
                          .trades = &out->trades,
                          .longs = &longs,
                          .shorts = &shorts,
                          .present = &present};
    if (entry != TRAIN_HOLD) {
        enum status sided = train_sides(sides, r, entry, err);
        if (sided != ST_OK) return sided;
    }
    double end = entry == TRAIN_HOLD ? run_hold(&all, b, r->cost_side)
                                     : run(&all, b, sides, 0, r->cost_side);
    out->is_traded = true;
    out->total = end - 1;
    out->sharpe = stat_sharpe(all.returns, b->times,
                              365.25 * (double)NS_PER_DAY / (double)r->config->interval_ns);
    out->drawdown = stat_drawdown(all.equity, b->times + 1);
    out->longs = present ? (double)longs / (double)present : 0;
    out->shorts = present ? (double)shorts / (double)present : 0;
    enum status st = points_init(r, b, err);
    out->equity = st == ST_OK ? malloc(r->points * sizeof *out->equity) : NULL;
    if (st == ST_OK && !out->equity) st = err_set(err, ST_NO_MEMORY, "equity");
    for (size_t p = 0; p < r->points && st == ST_OK; p++)
        out->equity[p] = all.equity[point_at(r, b, p)];
    if (st == ST_OK && entry < TRAIN_MOMENTUM) st = random_twins(out, r, b, sides, all.equity, err);
    return st;
}

enum status train_trading_measure(struct train_report *r, uint32_t entry, struct err *err) {
    if (entry < TRAIN_MOMENTUM && !train_entry_answers(r, entry)) return ST_OK;
    struct bars b;
    enum status st = bars_init(&b, r, err);
    double *memory = NULL;
    int8_t *sides = NULL;
    if (st == ST_OK) {
        memory = malloc((2 * b.times + 1) * sizeof *memory);
        sides = malloc(b.times * b.symbols);
        st = memory && sides ? trade(r, &b, entry, memory, sides, err)
                             : err_set(err, ST_NO_MEMORY, "sides of %zu bars", b.times);
    }
    free(memory);
    free(sides);
    bars_free(&b);
    return st;
}
