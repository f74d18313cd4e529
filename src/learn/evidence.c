/* What a model brings with it for service: how it did on its test rows, and what its inputs looked like in training. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "brain/governance/forecasts.h"
#include "learn/net_internal.h"

/* Of DRIFT_WINDOW rows each: more would cost training time and tell little. */
enum { SAMPLE_WINDOWS = 24, SAMPLE_ROWS = SAMPLE_WINDOWS * DRIFT_WINDOW };

static int double_compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- test rows ---- */

static double atr_of(const struct learn_rows *rows, size_t row) {
    return rows->features ? (double)feature_atr_fraction(rows->features + row * rows->columns)
                          : (double)rows->atr[row];
}

enum status learn_evidence_test(struct model_evidence *out, const struct learn_rows *rows,
                                struct learn_range test, const double *p,
                                const struct label_spec *labels, struct err *err) {
    memset(&out->test, 0, sizeof out->test);
    memset(&out->reliability, 0, sizeof out->reliability);
    double *residuals = malloc((test.count ? test.count : 1) * sizeof *residuals);
    if (!residuals) return err_set(err, ST_NO_MEMORY, "residuals of %zu test rows", test.count);
    double times = 0, time_losses = 0, time_rows = 0;
    for (size_t i = 0; i < test.count; i++) {
        const double *q = p + i * LABEL_COUNT;
        size_t row = test.begin + i;
        enum label label = (enum label)rows->labels[row], best = ensemble_best_label(q);
        double move = label_barrier(labels, atr_of(rows, row));
        double expected = move * (q[LABEL_BUY] - q[LABEL_SELL]);
        residuals[i] = fabs(rows->returns[row] - expected) / move;
        reliability_push(&out->reliability, q[best], label == best);
        out->test.label_share[best] += 1;
        time_losses += forecast_log_loss(q, label);
        time_rows += 1;
        /* The supervisor is told one loss a decision time: the mean of its rows. */
        if (i + 1 < test.count && rows->decision_ns[row + 1] == rows->decision_ns[row]) continue;
        out->test.loss_mean += time_losses / time_rows;
        times += 1;
        time_losses = time_rows = 0;
    }
    out->test.loss_mean /= times;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) out->test.label_share[l] /= (double)test.count;
    qsort(residuals, test.count, sizeof *residuals, double_compare);
    bool is_sound = conformal_table_fit(&out->residuals, residuals, test.count) &&
                    out->reliability.refused == 0 && out->test.loss_mean > 0;
    free(residuals);
    if (is_sound) return ST_OK;
    return err_set(err, ST_RANGE, "cannot train: a forecast of a test row is no probability");
}

/* ---- training rows ---- */

struct sample {
    uint32_t rows[SAMPLE_ROWS];
    size_t count;
    double
        caution; /* factor of what the windows say of how much more their means vary than independent rows' */
};

/* A variance measured on few windows may be far too low by chance, and what is calm would then be called drift: the upper end of
 * what it may be, ten to one. stretches: windows that do not overlap.
 * Source  Wilson, Hilferty, "The distribution of chi-square", Proc. Natl. Acad. Sci. 17 (1931). */
static double caution(double stretches) {
    const double z = 1.2816; /* a normal's tenth */
    double spread = 2 / (9 * fmax(stretches - 1, 1)), root = 1 - spread - z * sqrt(spread);
    return 1 / (root * root * root);
}

/* Rows as the engine looks at them: of each decision time one symbol, in turn. So a window of the reference varies as one
 * of service does. Windows are stretches of consecutive times, spread evenly; those that overlap in time see
 * different symbols. Where one time in `stride` was kept, `stride` symbols of it make up for the others.
 * first (times + 1): a time's first row. */
static void sample(struct sample *out, const uint32_t *first, size_t times, size_t rows,
                   uint32_t stride) {
    size_t windows = rows / DRIFT_WINDOW, per_time = (DRIFT_WINDOW + times - 1) / times;
    if (windows > SAMPLE_WINDOWS) windows = SAMPLE_WINDOWS;
    if (windows == 0) windows = 1;
    if (per_time < stride) per_time = stride;
    size_t span = (DRIFT_WINDOW + per_time - 1) / per_time;
    out->count = 0;
    out->caution = caution(fmin((double)(times * per_time) / DRIFT_WINDOW, (double)windows));
    for (size_t w = 0; w < windows; w++) {
        size_t time = windows > 1 ? w * (times - span) / (windows - 1) : 0;
        for (size_t taken = 0; taken < DRIFT_WINDOW; time = (time + 1) % times) {
            size_t there = first[time + 1] - first[time], turn = (w + time) * per_time;
            for (size_t k = 0; k < per_time && k < there && taken < DRIFT_WINDOW; k++, taken++)
                out->rows[out->count++] = (uint32_t)(first[time] + (turn + k) % there);
        }
    }
}

static size_t times_of(uint32_t *first, const struct learn_rows *rows, struct learn_range part) {
    size_t times = 0;
    for (size_t i = part.begin; i < part.begin + part.count; i++)
        if (i == part.begin || rows->decision_ns[i] != rows->decision_ns[i - 1])
            first[times++] = (uint32_t)i;
    first[times] = (uint32_t)(part.begin + part.count);
    return times;
}

struct sorter {
    uint32_t keys[SAMPLE_ROWS], other[SAMPLE_ROWS];
    float series[SAMPLE_ROWS]; /* by row, NaN where missing */
    double sorted[SAMPLE_ROWS];
};

enum { DIGITS = 3, DIGIT_BITS = 11, DIGIT_VALUES = 1 << DIGIT_BITS };

/* The finite values of s->series (n) ascending into s->sorted; returns their count. Digit by digit: comparing them, column by
 * column, would be a tenth of a small forest's training. */
static size_t sort_finite(struct sorter *s, size_t n) {
    uint32_t counts[DIGITS][DIGIT_VALUES] = {{0}}, *from = s->keys, *to = s->other;
    size_t finite = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        if (!isfinite(s->series[i])) continue;
        memcpy(&bits, &s->series[i], sizeof bits);
        from[finite] = bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
        for (uint32_t d = 0; d < DIGITS; d++)
            counts[d][from[finite] >> (d * DIGIT_BITS) & (DIGIT_VALUES - 1)]++;
        finite++;
    }
    for (uint32_t d = 0; d < DIGITS; d++) {
        uint32_t sum = 0;
        for (uint32_t v = 0; v < DIGIT_VALUES; v++) {
            uint32_t count = counts[d][v];
            counts[d][v] = sum;
            sum += count;
        }
        for (size_t i = 0; i < finite; i++)
            to[counts[d][from[i] >> (d * DIGIT_BITS) & (DIGIT_VALUES - 1)]++] = from[i];
        uint32_t *t = from;
        from = to;
        to = t;
    }
    for (size_t i = 0; i < finite; i++) {
        uint32_t bits = from[i] >> 31 ? from[i] ^ UINT32_C(1) << 31 : ~from[i];
        float value;
        memcpy(&value, &bits, sizeof value);
        s->sorted[i] = (double)value;
    }
    return finite;
}

/* One column of the sampled rows. A column that was never known there is not watched. */
static void fit_column(struct drift_reference *out, const struct sample *s, struct sorter *sorter,
                       const float *column, size_t stride) {
    for (size_t i = 0; i < s->count; i++) sorter->series[i] = column[s->rows[i] * stride];
    size_t finite = sort_finite(sorter, s->count);
    if (drift_reference_fit(out, sorter->sorted, finite, sorter->series, s->count))
        out->inflation = fmin(out->inflation * s->caution, DRIFT_WINDOW);
}

enum status learn_evidence_inputs(struct model_evidence *out, const struct learn_rows *rows,
                                  struct learn_range train, const bool *reads, struct err *err) {
    memset(out->inputs, 0, sizeof out->inputs);
    uint32_t *first = malloc((train.count + 1) * sizeof *first);
    struct sample *s = malloc(sizeof *s);
    struct sorter *sorter = malloc(sizeof *sorter);
    enum status st = ST_OK;
    if (first && s && sorter) {
        sample(s, first, times_of(first, rows, train), train.count, rows->stride);
        for (uint32_t k = 0; rows->features && k < rows->columns; k++)
            if (reads[k]) fit_column(&out->inputs[k], s, sorter, rows->features + k, rows->columns);
        for (uint32_t k = 0; rows->inputs && k < NET_INPUTS; k++)
            fit_column(&out->inputs[net_input_column(k)], s, sorter, rows->inputs + k, NET_INPUTS);
    } else {
        st = err_set(err, ST_NO_MEMORY, "a sample of the training rows");
    }
    free(first);
    free(s);
    free(sorter);
    return st;
}
