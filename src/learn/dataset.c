#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "learn/net_internal.h"

/* What is walked beside each series. */
struct walk {
    struct learn_series series; /* cut at config->to_ns */
    struct feature_series *state;
    float *atr;                  /* (count) */
    size_t next;                 /* bar to step */
    uint32_t run;                /* bars since the start or the last hole */
    struct net_history *history; /* of a network's training, else NULL */
};

struct builder {
    struct learn_rows *rows;
    struct walk *walks;
    size_t walk_count;
    const struct learn_config *config;
    float *scratch;    /* (walk_count, columns): the rows of one time */
    uint32_t *present; /* (walk_count) walks that have a bar at this time */
    bool *usable;      /* (walk_count) by present */
    struct rng pick;
    uint32_t warmup;
    uint32_t times_done, times_total;
};

static int series_compare(const void *a, const void *b) {
    return strcmp(((const struct walk *)a)->series.symbol, ((const struct walk *)b)->series.symbol);
}

void learn_rows_free(struct learn_rows *r) {
    free(r->features);
    free(r->labels);
    free(r->returns);
    free(r->decision_ns);
    free(r->series);
    free(r->bar);
    free(r->end);
    free(r->bar_counts);
    free(r->atr);
    free(r->inputs);
    free(r->values);
    free(r->first);
    memset(r, 0, sizeof *r);
}

static void builder_free(struct builder *b) {
    for (size_t i = 0; b->walks && i < b->walk_count; i++) {
        free(b->walks[i].state);
        free(b->walks[i].atr);
        free(b->walks[i].history);
    }
    free(b->walks);
    free(b->scratch);
    free(b->present);
    free(b->usable);
}

/* Bars whose close is at or before to_ns; bars beyond are as if they did not exist. */
static size_t bars_until(const struct learn_series *s, int64_t interval_ns, int64_t to_ns) {
    size_t lo = 0, hi = s->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->bars[mid].open_ts_ns <= to_ns - interval_ns)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static enum status series_check(const struct learn_series *s, int64_t interval_ns,
                                struct err *err) {
    for (size_t i = 0; i < s->count; i++) {
        const struct bar *b = &s->bars[i];
        if (!bar_is_possible(b))
            return err_set(err, ST_INVALID, "%s: bar %zu is not possible", s->symbol, i);
        if (i == 0) continue;
        int64_t step = b->open_ts_ns - b[-1].open_ts_ns;
        if (step <= 0 || step % interval_ns != 0)
            return err_set(err, ST_INVALID, "%s: bar %zu is not later on the grid", s->symbol, i);
    }
    return ST_OK;
}

static enum status walk_init(struct walk *w, const struct learn_config *config, struct err *err) {
    w->series.count = bars_until(&w->series, config->interval_ns, config->to_ns);
    enum status st = series_check(&w->series, config->interval_ns, err);
    if (st != ST_OK) return st;
    if (w->series.count > UINT32_MAX / 2)
        return err_set(err, ST_RANGE, "%s: too many bars", w->series.symbol);
    size_t size = (feature_series_size() + 63) / 64 * 64;
    w->state = aligned_alloc(64, size);
    w->atr = malloc((w->series.count + 1) * sizeof *w->atr);
    if (!w->state || !w->atr) return err_set(err, ST_NO_MEMORY, "%s", w->series.symbol);
    memset(w->state, 0, size);
    feature_series_init(w->state, config->interval_ns);
    if (!learn_is_network(config->kind)) return ST_OK;
    w->history = malloc(net_history_size());
    if (!w->history) return err_set(err, ST_NO_MEMORY, "%s", w->series.symbol);
    net_history_init(w->history, config->interval_ns);
    return ST_OK;
}

/* Rows there could be at most: one per bar behind the warm-up, decided in [from, to). */
static size_t rows_upper(const struct builder *b) {
    const struct learn_config *c = b->config;
    size_t sum = 0;
    for (size_t i = 0; i < b->walk_count; i++) {
        const struct learn_series *s = &b->walks[i].series;
        size_t before = bars_until(s, c->interval_ns, c->from_ns - 1);
        if (before < b->warmup) before = b->warmup;
        if (s->count > before) sum += s->count - before;
    }
    return sum;
}

static enum status rows_reserve(struct learn_rows *r, size_t capacity, struct err *err) {
    if (capacity == 0)
        return err_set(err, ST_RANGE, "cannot train: no bars behind the warm-up of %u bars",
                       feature_warmup_bars());
    r->capacity = capacity;
    if (r->values) {
        r->atr = malloc(capacity * sizeof *r->atr);
        r->inputs = malloc(capacity * NET_INPUTS * sizeof *r->inputs);
    } else {
        r->features = malloc(capacity * r->columns * sizeof *r->features);
    }
    r->labels = malloc(capacity * sizeof *r->labels);
    r->returns = malloc(capacity * sizeof *r->returns);
    r->decision_ns = malloc(capacity * sizeof *r->decision_ns);
    r->series = malloc(capacity * sizeof *r->series);
    r->bar = malloc(capacity * sizeof *r->bar);
    r->end = malloc(capacity * sizeof *r->end);
    bool has_inputs = r->values ? r->atr && r->inputs : r->features != NULL;
    if (!has_inputs || !r->labels || !r->returns || !r->decision_ns || !r->series || !r->bar ||
        !r->end)
        return err_set(err, ST_NO_MEMORY, "%zu rows of %u columns", capacity, r->columns);
    return ST_OK;
}

/* Room for every bar's channels: a window is a stretch of them. */
static enum status values_reserve(struct learn_rows *r, struct err *err) {
    size_t bars = 0;
    r->first = malloc(r->series_count * sizeof *r->first);
    for (size_t i = 0; r->first && i < r->series_count; i++) {
        r->first[i] = bars;
        bars += r->bar_counts[i];
    }
    r->values = malloc((bars + 1) * NET_CHANNELS * sizeof *r->values);
    if (!r->first || !r->values) return err_set(err, ST_NO_MEMORY, "channels of %zu bars", bars);
    return ST_OK;
}

static enum status builder_init(struct builder *b, struct learn_rows *out,
                                const struct learn_series *series, size_t count,
                                const struct learn_config *config, struct err *err) {
    *b = (struct builder){.rows = out, .config = config, .warmup = feature_warmup_bars()};
    out->columns = feature_count();
    b->walks = calloc(count, sizeof *b->walks);
    b->scratch = malloc(count * out->columns * sizeof *b->scratch);
    b->present = malloc(count * sizeof *b->present);
    b->usable = malloc(count * sizeof *b->usable);
    out->bar_counts = malloc(count * sizeof *out->bar_counts);
    if (!b->walks || !b->scratch || !b->present || !b->usable || !out->bar_counts)
        return err_set(err, ST_NO_MEMORY, "%zu series", count);
    b->walk_count = out->series_count = count;
    for (size_t i = 0; i < count; i++) b->walks[i].series = series[i];
    qsort(b->walks, count, sizeof *b->walks, series_compare);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && !strcmp(b->walks[i].series.symbol, b->walks[i - 1].series.symbol))
            return err_set(err, ST_EXISTS, "%s is given twice", b->walks[i].series.symbol);
        enum status st = walk_init(&b->walks[i], config, err);
        if (st != ST_OK) return st;
        out->bar_counts[i] = b->walks[i].series.count;
    }
    if (learn_is_network(config->kind)) {
        enum status st = values_reserve(out, err);
        if (st != ST_OK) return st;
    }
    size_t upper = rows_upper(b);
    size_t rows_max = config->rows_max ? config->rows_max : upper;
    out->stride = (uint32_t)(upper > rows_max ? (upper + rows_max - 1) / rows_max : 1);
    struct rng root = rng_init(config->seed);
    b->pick = rng_split(&root, 1);
    /* A column whose input a source may lack (taker share, trade count) can be NaN at any time. */
    for (uint32_t k = 0; k < out->columns && !out->values; k++)
        out->required[k] = strcmp(feature_at(k)->on_missing, "NaN") != 0;
    /* Which of each `stride` times is kept is drawn, so a part may hold a few rows more than its
     * even share; one block more of every series covers it. */
    return rows_reserve(out, upper / out->stride + (upper > 0 ? 2 * count : 0), err);
}

static int64_t next_time(const struct builder *b) {
    int64_t t = INT64_MAX;
    for (size_t i = 0; i < b->walk_count; i++) {
        const struct walk *w = &b->walks[i];
        if (w->next < w->series.count && w->series.bars[w->next].open_ts_ns < t)
            t = w->series.bars[w->next].open_ts_ns;
    }
    return t;
}

/* One of each `stride` decision times, drawn anew per block: a fixed step would see only some hours
 * of the day. */
static bool time_is_kept(const struct builder *b, int64_t decision_ns) {
    const struct learn_config *c = b->config;
    if (decision_ns < c->from_ns || decision_ns >= c->to_ns) return false;
    uint64_t index = (uint64_t)(decision_ns / c->interval_ns);
    uint64_t stride = b->rows->stride;
    struct rng block = rng_split(&b->pick, index / stride);
    return index % stride == rng_below(&block, stride);
}

/* Steps every series that has a bar at open_ts; returns how many there are. */
static uint32_t step_all(struct builder *b, int64_t open_ts) {
    uint32_t count = 0, columns = b->rows->columns;
    int64_t interval = b->config->interval_ns;
    for (uint32_t i = 0; i < b->walk_count; i++) {
        struct walk *w = &b->walks[i];
        if (w->next >= w->series.count || w->series.bars[w->next].open_ts_ns != open_ts) continue;
        const struct bar *bar = &w->series.bars[w->next];
        float *row = b->scratch + (size_t)count * columns;
        feature_step(row, w->state, bar);
        bool follows = w->next > 0 && bar->open_ts_ns - bar[-1].open_ts_ns == interval;
        w->run = follows ? w->run + 1 : 0;
        w->atr[w->next] = feature_atr_fraction(row);
        b->usable[count] = w->run >= b->warmup && isfinite(w->atr[w->next]);
        b->present[count++] = i;
        w->next++;
    }
    return count;
}

/* What was NaN in a usable row, once, cannot tell a row that is still warming up. */
static void note_required(struct builder *b, uint32_t count) {
    struct learn_rows *r = b->rows;
    for (uint32_t i = 0; i < count; i++) {
        if (!b->usable[i]) continue;
        const float *row = b->scratch + (size_t)i * r->columns;
        for (uint32_t k = 0; k < r->columns; k++)
            if (isnan(row[k])) r->required[k] = false;
    }
}

/* Histories see every bar, as in service, whether its row is kept or not. */
static void push_histories(struct builder *b, int64_t decision_ns, uint32_t count) {
    struct learn_rows *r = b->rows;
    for (uint32_t i = 0; i < count; i++) {
        struct walk *w = &b->walks[b->present[i]];
        const float *row = b->scratch + (size_t)i * r->columns;
        net_channels(r->values + (r->first[b->present[i]] + w->next - 1) * NET_CHANNELS, row);
        net_history_push(w->history, decision_ns, row);
        b->usable[i] = b->usable[i] && net_history_is_full(w->history);
    }
}

/* What the row holds of the columns a network reads. */
static void keep_inputs(struct learn_rows *r, const float *row) {
    r->atr[r->count] = feature_atr_fraction(row);
    for (uint32_t k = 0; k < NET_INPUTS; k++)
        r->inputs[r->count * NET_INPUTS + k] = row[net_input_column(k)];
}

/* Rows are whole, cross-section included. */
static enum status keep(struct builder *b, int64_t decision_ns, uint32_t count, struct err *err) {
    struct learn_rows *r = b->rows;
    for (uint32_t i = 0; i < count; i++) {
        if (!b->usable[i]) continue;
        if (r->count == r->capacity) return err_set(err, ST_FULL, "more rows than reckoned");
        const float *row = b->scratch + (size_t)i * r->columns;
        if (r->features)
            memcpy(r->features + r->count * r->columns, row, r->columns * sizeof *row);
        else
            keep_inputs(r, row);
        r->decision_ns[r->count] = decision_ns;
        r->series[r->count] = b->present[i];
        r->bar[r->count] = (uint32_t)(b->walks[b->present[i]].next - 1);
        r->count++;
    }
    return ST_OK;
}

static enum status walk_through(struct builder *b, learn_progress_fn progress, void *context,
                                struct err *err) {
    size_t done = 0, total = 0, reported = 0;
    for (size_t i = 0; i < b->walk_count; i++) total += b->walks[i].series.count;
    for (int64_t t = next_time(b); t != INT64_MAX; t = next_time(b)) {
        uint32_t count = step_all(b, t);
        int64_t decision_ns = t + b->config->interval_ns;
        bool kept = time_is_kept(b, decision_ns);
        if (kept && b->rows->features) note_required(b, count);
        if (kept || b->rows->values) feature_cross(b->scratch, count, b->rows->columns);
        if (b->rows->values) push_histories(b, decision_ns, count);
        if (kept) {
            enum status st = keep(b, decision_ns, count, err);
            if (st != ST_OK) return st;
        }
        done += count;
        if (progress && (done - reported >= 4096 || done == total)) {
            reported = done;
            if (!progress(context, "features", (uint32_t)done, (uint32_t)total, NAN, NAN))
                return err_set(err, ST_INTERRUPTED, "stopped while computing features");
        }
    }
    return ST_OK;
}

/* Row `from` becomes row `to`, which is not behind it. */
static void move_row(struct learn_rows *r, size_t to, size_t from) {
    if (r->features) {
        memmove(r->features + to * r->columns, r->features + from * r->columns,
                r->columns * sizeof *r->features);
    } else {
        r->atr[to] = r->atr[from];
        memmove(r->inputs + to * NET_INPUTS, r->inputs + from * NET_INPUTS,
                NET_INPUTS * sizeof *r->inputs);
    }
    r->decision_ns[to] = r->decision_ns[from];
    r->series[to] = r->series[from];
    r->bar[to] = r->bar[from];
}

/* Labels of every series, then rows whose label is unknown leave. */
static enum status label_rows(struct builder *b, struct err *err) {
    struct learn_rows *r = b->rows;
    size_t longest = 1, kept = 0;
    for (size_t i = 0; i < b->walk_count; i++)
        if (r->bar_counts[i] > longest) longest = r->bar_counts[i];
    size_t walks = b->walk_count ? b->walk_count : 1;
    int8_t **labels = calloc(walks, sizeof *labels);
    uint32_t **ends = calloc(walks, sizeof *ends);
    float *move = malloc(longest * sizeof *move);
    enum status st = labels && ends && move ? ST_OK : err_set(err, ST_NO_MEMORY, "labels");
    for (size_t i = 0; i < b->walk_count && st == ST_OK; i++) {
        const struct walk *w = &b->walks[i];
        labels[i] = malloc(w->series.count + 1);
        ends[i] = malloc((w->series.count + 1) * sizeof *ends[i]);
        if (!labels[i] || !ends[i])
            st = err_set(err, ST_NO_MEMORY, "labels");
        else
            label_make(labels[i], move, ends[i], w->series.bars, w->atr, w->series.count,
                       b->config->interval_ns, &b->config->labels);
    }
    for (size_t i = 0; i < r->count && st == ST_OK; i++) {
        int8_t label = labels[r->series[i]][r->bar[i]];
        if (label < 0) continue;
        const struct walk *w = &b->walks[r->series[i]];
        uint32_t bar = r->bar[i], end = ends[r->series[i]][bar];
        move_row(r, kept, i);
        r->labels[kept] = (float)label;
        r->returns[kept] = label_return(w->series.bars, bar, end, (enum label)label,
                                        label_barrier(&b->config->labels, (double)w->atr[bar]));
        r->end[kept++] = end;
    }
    r->count = kept;
    for (size_t i = 0; i < b->walk_count; i++) {
        if (labels) free(labels[i]);
        if (ends) free(ends[i]);
    }
    free(labels);
    free(ends);
    free(move);
    return st;
}

enum status learn_rows_build(struct learn_rows *out, const struct learn_series *series,
                             size_t series_count, const struct learn_config *config,
                             learn_progress_fn progress, void *context, struct err *err) {
    memset(out, 0, sizeof *out);
    if (series_count == 0) return err_set(err, ST_INVALID, "cannot train: no series");
    if (config->interval_ns <= 0 || config->labels.horizon_bars == 0)
        return err_set(err, ST_INVALID, "cannot train: interval and label horizon must be above 0");
    struct builder b;
    enum status st = builder_init(&b, out, series, series_count, config, err);
    if (st == ST_OK) st = walk_through(&b, progress, context, err);
    if (st == ST_OK) st = label_rows(&b, err);
    builder_free(&b);
    if (st != ST_OK) learn_rows_free(out);
    return st;
}
