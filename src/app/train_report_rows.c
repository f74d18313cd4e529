/* The test part's rows: what service would have said of each, what came. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/train_report_internal.h"
#include "base/tstamp.h"
#include "domain/trade.h"
#include "trade/bot/bot.h"

enum { ALIGN = 64, PROGRESS_BARS = 4096 };

struct train_walk_series {
    struct learn_series given; /* cut at config->to_ns */
    struct feature_series *state;
    struct net_history *history;
    float *atr;
    size_t next;  /* bar to step */
    uint32_t run; /* bars since the start or the last hole */
};

static void *aligned_zeros(size_t size) {
    size_t bytes = (size + ALIGN - 1) / ALIGN * ALIGN;
    void *block = aligned_alloc(ALIGN, bytes);
    if (block) memset(block, 0, bytes);
    return block;
}

static int by_name(const void *a, const void *b) {
    const struct train_walk_series *x = a, *y = b;
    return strcmp(x->given.symbol, y->given.symbol);
}

void train_walk_free(struct train_walk *w) {
    for (uint32_t i = 0; w->series && i < w->symbols; i++) {
        free(w->series[i].state);
        free(w->series[i].history);
        free(w->series[i].atr);
    }
    free(w->series);
    free(w->symbol);
    free(w->bar);
    free(w->is_usable);
    free(w->rows);
    free(w->histories);
    *w = (struct train_walk){0};
}

static bool reads_histories(const struct train_report *r) {
    for (int k = 0; k < MODEL_COUNT; k++)
        if (r->models[k].model && served_model_reads_history(r->models[k].model)) return true;
    return false;
}

static enum status series_init(struct train_walk_series *s, const struct learn_config *config,
                               bool histories, struct err *err) {
    struct learn_series *g = &s->given;
    while (g->count && g->bars[g->count - 1].open_ts_ns > config->to_ns - config->interval_ns)
        g->count--;
    s->state = aligned_zeros(feature_series_size());
    s->atr = malloc((g->count + 1) * sizeof *s->atr);
    if (histories) s->history = aligned_zeros(net_history_size());
    if (!s->state || !s->atr || (histories && !s->history))
        return err_set(err, ST_NO_MEMORY, "%s", g->symbol);
    feature_series_init(s->state, config->interval_ns);
    if (histories) net_history_init(s->history, config->interval_ns);
    return ST_OK;
}

enum status train_walk_init(struct train_walk *w, const struct train_report *r, struct err *err) {
    size_t n = r->series_count;
    bool histories = reads_histories(r);
    *w = (struct train_walk){
        .columns = feature_count(), .symbols = (uint32_t)n, .interval_ns = r->config->interval_ns};
    w->series = calloc(n, sizeof *w->series);
    w->symbol = malloc(n * sizeof *w->symbol);
    w->bar = malloc(n * sizeof *w->bar);
    w->is_usable = malloc(n * sizeof *w->is_usable);
    w->rows = malloc(n * w->columns * sizeof *w->rows);
    if (histories) w->histories = malloc(n * sizeof *w->histories);
    enum status st = ST_OK;
    if (!w->series || !w->symbol || !w->bar || !w->is_usable || !w->rows ||
        (histories && !w->histories))
        st = err_set(err, ST_NO_MEMORY, "%zu series", n);
    for (size_t i = 0; i < n && st == ST_OK; i++) w->series[i].given = r->series[i];
    if (st == ST_OK) qsort(w->series, n, sizeof *w->series, by_name);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        st = series_init(&w->series[i], r->config, histories, err);
        w->total += w->series[i].given.count;
    }
    if (st != ST_OK) train_walk_free(w);
    return st;
}

static void series_step(struct train_walk *w, uint32_t at, uint32_t i) {
    struct train_walk_series *s = &w->series[i];
    const struct bar *b = &s->given.bars[s->next];
    float *row = w->rows + (size_t)at * w->columns;
    feature_step(row, s->state, b);
    bool follows = s->next > 0 && b->open_ts_ns - b[-1].open_ts_ns == w->interval_ns;
    s->run = follows ? s->run + 1 : 0;
    s->atr[s->next] = feature_atr_fraction(row);
    w->is_usable[at] = s->run >= feature_warmup_bars() && isfinite(s->atr[s->next]);
    w->symbol[at] = i;
    w->bar[at] = (uint32_t)s->next++;
}

bool train_walk_next(struct train_walk *w) {
    int64_t open = INT64_MAX;
    for (uint32_t i = 0; i < w->symbols; i++) {
        const struct train_walk_series *s = &w->series[i];
        if (s->next < s->given.count && s->given.bars[s->next].open_ts_ns < open)
            open = s->given.bars[s->next].open_ts_ns;
    }
    w->count = 0;
    if (open == INT64_MAX) return false;
    for (uint32_t i = 0; i < w->symbols; i++) {
        const struct train_walk_series *s = &w->series[i];
        if (s->next < s->given.count && s->given.bars[s->next].open_ts_ns == open)
            series_step(w, w->count++, i);
    }
    w->decision_ns = open + w->interval_ns;
    w->done += w->count;
    feature_cross(w->rows, w->count, w->columns);
    for (uint32_t at = 0; w->histories && at < w->count; at++) {
        struct net_history *h = w->series[w->symbol[at]].history;
        net_history_push(h, w->decision_ns, w->rows + (size_t)at * w->columns);
        w->histories[at] = h;
    }
    return true;
}

const struct learn_series *train_walk_series(const struct train_walk *w, uint32_t symbol) {
    return &w->series[symbol].given;
}

const float *train_walk_atr(const struct train_walk *w, uint32_t symbol) {
    return w->series[symbol].atr;
}

enum status train_report_progress(learn_progress_fn progress, void *context, size_t done,
                                  size_t total, struct err *err) {
    if (!progress || progress(context, "measure", (uint32_t)done, (uint32_t)total, NAN, NAN))
        return ST_OK;
    return err_set(err, ST_INTERRUPTED, "stopped while measuring");
}

/* ---- rows ---- */

void train_rows_free(struct train_rows *rows) {
    free(rows->rows);
    free(rows->votes);
    free(rows->first);
    *rows = (struct train_rows){0};
}

static enum status rows_reserve(struct train_rows *out, size_t more, struct err *err) {
    if (out->count + more > out->capacity) {
        size_t capacity = 2 * out->capacity + more + 1024;
        struct train_row *rows = realloc(out->rows, capacity * sizeof *rows);
        if (rows) out->rows = rows;
        struct model_vote *votes = realloc(out->votes, capacity * MODEL_COUNT * sizeof *votes);
        if (votes) out->votes = votes;
        if (!rows || !votes) return err_set(err, ST_NO_MEMORY, "%zu rows", capacity);
        out->capacity = capacity;
    }
    if (out->times + 2 > out->times_capacity) {
        size_t capacity = 2 * out->times_capacity + 1024;
        size_t *first = realloc(out->first, capacity * sizeof *first);
        if (!first) return err_set(err, ST_NO_MEMORY, "%zu times", capacity);
        out->first = first;
        out->times_capacity = capacity;
    }
    return ST_OK;
}

/* The close a day before bar i, if the series has that very bar; else 0, as in service. */
static px_t day_ago(const struct learn_series *s, size_t i, int64_t interval_ns) {
    size_t bars = (size_t)(NS_PER_DAY / interval_ns);
    bool known =
        bars > 0 && i >= bars && s->bars[i].open_ts_ns - s->bars[i - bars].open_ts_ns == NS_PER_DAY;
    return known ? s->bars[i - bars].close : (px_t){0};
}

static int8_t momentum_of(const struct learn_series *s, size_t i, const struct bot_config *bot) {
    struct bot_input input = {.last_px = s->bars[i].close,
                              .px_24h_ago = day_ago(s, i, bot->interval_ns)};
    enum side side = bot_rule_side(bot, &input);
    return side == SIDE_BUY ? 1 : side == SIDE_SELL ? -1 : 0;
}

static struct train_row row_of(const struct train_walk *w, uint32_t at,
                               const struct bot_config *bot) {
    const struct learn_series *s = train_walk_series(w, w->symbol[at]);
    size_t i = w->bar[at];
    double next = NAN;
    if (i + 1 < s->count) next = px_to_f64(s->bars[i + 1].close) / px_to_f64(s->bars[i].close) - 1;
    return (struct train_row){.decision_ns = w->decision_ns,
                              .symbol = w->symbol[at],
                              .bar = w->bar[at],
                              .label = -1,
                              .momentum = momentum_of(s, i, bot),
                              .is_usable = w->is_usable[at],
                              .next = next};
}

/* Rows and votes of one time. answers (symbols) is scratch. */
static enum status rows_add(struct train_rows *out, const struct train_report *r,
                            const struct train_walk *w, struct model_vote *answers,
                            const struct bot_config *bot, struct err *err) {
    enum status st = rows_reserve(out, w->count, err);
    if (st != ST_OK) return st;
    struct model_vote *votes = out->votes + out->count * MODEL_COUNT;
    memset(votes, 0, w->count * MODEL_COUNT * sizeof *votes); /* absent */
    for (int k = 0; k < MODEL_COUNT; k++) {
        if (!r->models[k].model) continue;
        st = served_model_vote(answers, r->models[k].model, w->rows, w->histories, w->count,
                               w->columns, err);
        if (st != ST_OK) return err_wrap(err, st, "%s", model_kind_text((enum model_kind)k));
        for (uint32_t at = 0; at < w->count; at++)
            votes[at * MODEL_COUNT + (uint32_t)k] = answers[at];
    }
    out->first[out->times++] = out->count;
    for (uint32_t at = 0; at < w->count; at++) out->rows[out->count++] = row_of(w, at, bot);
    out->first[out->times] = out->count;
    return ST_OK;
}

/* Labels of a whole series, as training gave them; the caller frees. NULL: no memory. */
static int8_t *series_labels(const struct train_walk *w, uint32_t symbol,
                             const struct label_spec *spec) {
    const struct learn_series *s = train_walk_series(w, symbol);
    int8_t *labels = malloc(s->count + 1);
    float *move = malloc((s->count + 1) * sizeof *move);
    uint32_t *end = malloc((s->count + 1) * sizeof *end);
    bool full = !labels || !move || !end;
    if (!full)
        label_make(labels, move, end, s->bars, train_walk_atr(w, symbol), s->count, w->interval_ns,
                   spec);
    free(move);
    free(end);
    if (!full) return labels;
    free(labels);
    return NULL;
}

/* The walk is over: each bar's ATR is known. */
static enum status rows_label(struct train_rows *out, const struct train_walk *w,
                              const struct label_spec *spec, struct err *err) {
    int8_t **labels = calloc(w->symbols, sizeof *labels);
    enum status st = labels ? ST_OK : err_set(err, ST_NO_MEMORY, "labels");
    for (uint32_t k = 0; k < w->symbols && st == ST_OK; k++) {
        labels[k] = series_labels(w, k, spec);
        if (!labels[k]) st = err_set(err, ST_NO_MEMORY, "labels");
    }
    for (size_t i = 0; i < out->count && st == ST_OK; i++)
        out->rows[i].label = labels[out->rows[i].symbol][out->rows[i].bar];
    for (uint32_t k = 0; labels && k < w->symbols; k++) free(labels[k]);
    free(labels);
    return st;
}

static const struct label_spec *labels_of(const struct train_report *r) {
    for (int k = 0; k < MODEL_COUNT; k++)
        if (r->models[k].model) return served_model_labels(r->models[k].model);
    return &r->config->labels;
}

static enum status rows_walk(struct train_rows *out, struct train_walk *w,
                             const struct train_report *r, int64_t from_ns, int64_t to_ns,
                             learn_progress_fn progress, void *context, struct err *err) {
    struct bot_config bot = bot_config_defaults(STRATEGY_MOMENTUM, w->interval_ns);
    struct model_vote *answers = malloc(w->symbols * sizeof *answers);
    enum status st = answers ? ST_OK : err_set(err, ST_NO_MEMORY, "votes");
    size_t told = 0;
    while (st == ST_OK && train_walk_next(w)) {
        if (w->done - told >= PROGRESS_BARS || w->done == w->total) {
            told = w->done;
            st = train_report_progress(progress, context, w->done, w->total, err);
        }
        if (st == ST_OK && w->decision_ns >= from_ns && w->decision_ns < to_ns)
            st = rows_add(out, r, w, answers, &bot, err);
    }
    free(answers);
    return st;
}

enum status train_rows_build(struct train_rows *out, const struct train_report *r, int64_t from_ns,
                             int64_t to_ns, learn_progress_fn progress, void *context,
                             struct err *err) {
    struct train_walk w;
    *out = (struct train_rows){.symbols = (uint32_t)r->series_count};
    enum status st = train_walk_init(&w, r, err);
    if (st != ST_OK) return st;
    st = rows_walk(out, &w, r, from_ns, to_ns, progress, context, err);
    if (st == ST_OK) st = rows_label(out, &w, labels_of(r), err);
    train_walk_free(&w);
    if (st == ST_OK && out->times == 0)
        st = err_set(err, ST_RANGE, "no bar in the test part to measure");
    if (st != ST_OK) train_rows_free(out);
    return st;
}
