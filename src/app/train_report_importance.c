/* Which columns a voter leans on: a forest's gain, as its file tells; of a network, how much worse it scores when one column's windows
 * are dealt out to other rows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/train_report_internal.h"
#include "base/rng.h"

enum { SHUFFLES = 2, BATCH = 64, ALIGN = 64 };
static const double probability_min = 1e-15;

static void values_set(struct train_importance *out, const double *values, uint32_t columns,
                       const bool *is_read) {
    static_assert(FEATURE_COUNT_MAX <= sizeof out->columns / sizeof *out->columns, "room for all");
    out->count = 0;
    for (uint32_t c = 0; c < columns; c++) {
        if (!is_read[c]) continue;
        uint32_t at = out->count++;
        for (; at > 0 && out->values[at - 1] < values[c]; at--) {
            out->values[at] = out->values[at - 1];
            out->columns[at] = out->columns[at - 1];
        }
        out->values[at] = values[c];
        out->columns[at] = c;
    }
}

static void by_gain(struct train_importance *out, const struct served_evidence *evidence) {
    bool is_read[FEATURE_COUNT_MAX] = {false};
    for (uint32_t c = 0; c < evidence->features; c++) is_read[c] = evidence->importance[c] > 0;
    out->by_gain = true;
    values_set(out, evidence->importance, evidence->features, is_read);
}

/* ---- a network's sample ---- */

/* Some labelled rows of the test part, each with the feature rows of its window. */
struct sample {
    uint32_t count, columns, bars;
    size_t *rows;   /* (count) of train_rows, ascending */
    float *windows; /* (count, bars, columns), oldest first */
    struct model_vote *votes;
    const struct net_history **pointers; /* (BATCH) */
    unsigned char *histories;            /* (BATCH, net_history_size()) */
    uint32_t *order;                     /* (count) whose column a row gets */
};

static void sample_free(struct sample *s) {
    free(s->rows);
    free(s->windows);
    free(s->votes);
    free(s->pointers);
    free(s->histories);
    free(s->order);
}

/* Evenly over the rows the network was scored on. */
static enum status sample_choose(struct sample *s, const struct train_report *r, uint32_t kind,
                                 struct err *err) {
    const struct learn_report *l = served_model_report(r->models[kind].model);
    const struct train_rows *rows = &r->rows;
    uint64_t all = r->models[kind].scores.rows, seen = 0;
    struct train_answer answer;
    *s = (struct sample){.columns = feature_count(), .bars = net_history_bars()};
    uint32_t wanted = all < TRAIN_SAMPLE ? (uint32_t)all : TRAIN_SAMPLE;
    s->rows = malloc((wanted + 1) * sizeof *s->rows);
    s->windows = malloc((size_t)wanted * s->bars * s->columns * sizeof *s->windows);
    s->votes = malloc((wanted + 1) * sizeof *s->votes);
    s->pointers = malloc(BATCH * sizeof *s->pointers);
    s->histories = aligned_alloc(ALIGN, BATCH * net_history_size());
    s->order = malloc((wanted + 1) * sizeof *s->order);
    if (!s->rows || !s->windows || !s->votes || !s->pointers || !s->histories || !s->order)
        return err_set(err, ST_NO_MEMORY, "windows of %u rows", wanted);
    for (size_t i = 0; i < rows->count && s->count < wanted; i++) {
        const struct train_row *row = &rows->rows[i];
        bool counts = row->is_usable && row->label >= 0 && row->decision_ns >= l->test_from_ns &&
                      row->decision_ns < l->test_to_ns;
        if (!counts || !train_answer(&answer, r, rows, kind, i)) continue;
        if (seen++ * wanted / all == s->count) s->rows[s->count++] = i;
    }
    return ST_OK;
}

/* The newest `bars` feature rows of each symbol, as a ring. */
struct rings {
    float *values;  /* (symbols, bars, columns) */
    uint32_t *next; /* (symbols) */
};

static void window_copy(float *out, const struct rings *g, const struct sample *s,
                        uint32_t symbol) {
    size_t row = s->columns, size = (size_t)s->bars * row;
    const float *ring = g->values + symbol * size;
    size_t older = (s->bars - g->next[symbol]) * row;
    memcpy(out, ring + g->next[symbol] * row, older * sizeof *out);
    memcpy(out + older, ring, (size - older) * sizeof *out);
}

static enum status sample_walk(struct sample *s, const struct train_report *r, struct rings *g,
                               struct err *err) {
    struct train_walk w;
    enum status st = train_walk_init(&w, r, err);
    if (st != ST_OK) return st;
    const struct train_row *rows = r->rows.rows;
    for (uint32_t found = 0; found < s->count && train_walk_next(&w);) {
        for (uint32_t at = 0; at < w.count; at++) {
            uint32_t k = w.symbol[at];
            memcpy(g->values + ((size_t)k * s->bars + g->next[k]) * s->columns,
                   w.rows + (size_t)at * s->columns, s->columns * sizeof(float));
            g->next[k] = (g->next[k] + 1) % s->bars;
            const struct train_row *row = &rows[s->rows[found]];
            if (row->decision_ns != w.decision_ns || row->symbol != k) continue;
            window_copy(s->windows + (size_t)found * s->bars * s->columns, g, s, k);
            if (++found == s->count) break;
        }
    }
    train_walk_free(&w);
    return ST_OK;
}

static enum status sample_fill(struct sample *s, const struct train_report *r, struct err *err) {
    size_t each = (size_t)s->bars * s->columns;
    struct rings g = {malloc(r->series_count * each * sizeof *g.values),
                      calloc(r->series_count, sizeof *g.next)};
    enum status st = g.values && g.next
                         ? sample_walk(s, r, &g, err)
                         : err_set(err, ST_NO_MEMORY, "windows of %zu symbols", r->series_count);
    free(g.values);
    free(g.next);
    return st;
}

/* ---- permutation ---- */

/* Pushes a row's window with one column taken from another row's; the last feature row, so made, to last. column UINT32_MAX: as it is. */
static void history_make(struct net_history *h, float *last, const struct sample *s,
                         int64_t interval_ns, uint32_t i, uint32_t column) {
    size_t each = (size_t)s->bars * s->columns;
    const float *own = s->windows + i * each, *other = s->windows + s->order[i] * each;
    net_history_init(h, interval_ns);
    for (uint32_t b = 0; b < s->bars; b++) {
        memcpy(last, own + (size_t)b * s->columns, s->columns * sizeof *last);
        if (column < s->columns) last[column] = other[(size_t)b * s->columns + column];
        net_history_push(h, (int64_t)(b + 1) * interval_ns, last);
    }
}

/* Mean log-loss of the sample with one column dealt out by s->order. */
static enum status sample_loss(double *out, struct sample *s, const struct train_report *r,
                               struct served_model *m, uint32_t column, struct err *err) {
    enum status st = ST_OK;
    size_t size = net_history_size();
    float *last = malloc((size_t)BATCH * s->columns * sizeof *last);
    if (!last) return err_set(err, ST_NO_MEMORY, "rows");
    for (uint32_t done = 0; done < s->count && st == ST_OK; done += BATCH) {
        uint32_t n = s->count - done < BATCH ? s->count - done : BATCH;
        for (uint32_t i = 0; i < n; i++) {
            struct net_history *h = (struct net_history *)(void *)(s->histories + i * size);
            history_make(h, last + (size_t)i * s->columns, s, r->config->interval_ns, done + i,
                         column);
            s->pointers[i] = h;
        }
        st = served_model_vote(s->votes + done, m, last, s->pointers, n, s->columns, err);
    }
    free(last);
    double sum = 0;
    for (uint32_t i = 0; i < s->count && st == ST_OK; i++) {
        double p = s->votes[i].p[(size_t)r->rows.rows[s->rows[i]].label];
        sum += -log(fmax(p, probability_min));
    }
    *out = sum / s->count;
    return st;
}

static void order_draw(struct sample *s, struct rng *rng) {
    for (uint32_t i = 0; i < s->count; i++) s->order[i] = i;
    for (uint32_t i = s->count; i > 1; i--) {
        uint32_t k = (uint32_t)rng_below(rng, i), t = s->order[i - 1];
        s->order[i - 1] = s->order[k];
        s->order[k] = t;
    }
}

static enum status by_permutation(struct train_importance *out, struct sample *s,
                                  const struct train_report *r, struct served_model *m,
                                  learn_progress_fn progress, void *context, struct err *err) {
    const struct served_evidence *evidence = served_model_evidence(m);
    double values[FEATURE_COUNT_MAX] = {0}, plain, worse;
    bool is_read[FEATURE_COUNT_MAX] = {false};
    struct rng root = rng_init(r->config->seed);
    order_draw(s, &root); /* any: it is not looked at for no column */
    enum status st = sample_loss(&plain, s, r, m, UINT32_MAX, err);
    for (uint32_t c = 0; c < s->columns && st == ST_OK; c++) {
        is_read[c] = evidence->inputs[c].rows > 0;
        for (uint32_t k = 0; is_read[c] && k < SHUFFLES && st == ST_OK; k++) {
            struct rng rng = rng_split(&root, (uint64_t)c * SHUFFLES + k);
            order_draw(s, &rng);
            st = sample_loss(&worse, s, r, m, c, err);
            values[c] += (worse - plain) / SHUFFLES;
            if (st == ST_OK) st = train_report_progress(progress, context, c, s->columns, err);
        }
    }
    out->rows = s->count;
    values_set(out, values, s->columns, is_read);
    return st;
}

enum status train_importance_measure(struct train_report *r, learn_progress_fn progress,
                                     void *context, struct err *err) {
    enum status st = ST_OK;
    for (uint32_t k = 0; k < MODEL_COUNT && st == ST_OK; k++) {
        struct train_model *m = &r->models[k];
        if (!m->model) continue;
        if (!served_model_reads_history(m->model)) {
            by_gain(&m->importance, served_model_evidence(m->model));
            continue;
        }
        struct sample s;
        st = sample_choose(&s, r, k, err);
        if (st == ST_OK) st = sample_fill(&s, r, err);
        if (st == ST_OK)
            st = by_permutation(&m->importance, &s, r, m->model, progress, context, err);
        sample_free(&s);
    }
    return st;
}
