/* The evidence as attributes of a model file: text that a person can read and that reads back as the same bits.
 *
 *   quantum.evidence.loss, .share.*      of the test rows' answers
 *   quantum.evidence.residuals           rows, then the quantiles of struct conformal_table
 *   quantum.evidence.reliability         count:sum of p:hits of each bin
 *   quantum.evidence.inputs              for each column 1 if it is watched
 *   quantum.evidence.input.NAME          of a watched one: rows, edges, inflation; the edges; rows by cell, missing first; the
 *                                        cells' scores, missing left out */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/numtext.h"
#include "learn/learn_internal.h"

enum {
    /* Of the longest text, the residuals'; an input's has at most 3 + 9 + 11 + 10 numbers. */
    TEXT_SIZE = (CONFORMAL_LEVELS + 1) * NUMTEXT_SIZE,
    KEY_SIZE = 96
};
static const char loss_key[] = "quantum.evidence.loss";
static const char residuals_key[] = "quantum.evidence.residuals";
static const char reliability_key[] = "quantum.evidence.reliability";
static const char inputs_key[] = "quantum.evidence.inputs";
/* Sums of shares, means and variances of scores: exact but for the rounding of a few additions. */
static const double rounding = 1e-9;

static void share_key(char out[KEY_SIZE], uint32_t label) {
    snprintf(out, KEY_SIZE, "quantum.evidence.share.%s", label_text((enum label)label));
}

static void input_key(char out[KEY_SIZE], uint32_t column) {
    snprintf(out, KEY_SIZE, "quantum.evidence.input.%s", feature_at(column)->name);
}

/* ---- writing ---- */

struct line {
    size_t used;
    char text[TEXT_SIZE];
};

static void put_separator(struct line *l, char separator) {
    if (l->used > 0) l->text[l->used++] = separator;
}

static void put_f64(struct line *l, char separator, double x) {
    put_separator(l, separator);
    ASSERT(l->used + NUMTEXT_SIZE <= sizeof l->text);
    l->used += numtext_f64(l->text + l->used, x);
}

static void put_u64(struct line *l, char separator, uint64_t x) {
    put_separator(l, separator);
    ASSERT(l->used + NUMTEXT_SIZE <= sizeof l->text);
    l->used += (size_t)snprintf(l->text + l->used, NUMTEXT_SIZE, "%" PRIu64, x);
}

static enum status f64_write(const struct attributes *a, const char *key, double x,
                             struct err *err) {
    char text[NUMTEXT_SIZE];
    numtext_f64(text, x);
    return a->set(a->context, key, text, err);
}

static enum status test_write(const struct attributes *a, const struct supervisor_reference *test,
                              struct err *err) {
    char key[KEY_SIZE];
    enum status st = f64_write(a, loss_key, test->loss_mean, err);
    for (uint32_t l = 0; l < LABEL_COUNT && st == ST_OK; l++) {
        share_key(key, l);
        st = f64_write(a, key, test->label_share[l], err);
    }
    return st;
}

static enum status residuals_write(const struct attributes *a, const struct conformal_table *table,
                                   struct err *err) {
    struct line line = {0};
    put_u64(&line, ' ', table->rows);
    for (uint32_t i = 0; i < CONFORMAL_LEVELS; i++) put_f64(&line, ' ', table->quantile[i]);
    return a->set(a->context, residuals_key, line.text, err);
}

static enum status reliability_write(const struct attributes *a, const struct reliability *r,
                                     struct err *err) {
    struct line line = {0};
    for (uint32_t b = 0; b < RELIABILITY_BINS; b++) {
        put_u64(&line, ' ', r->bins[b].count);
        put_f64(&line, ':', r->bins[b].p_sum);
        put_u64(&line, ':', r->bins[b].hits);
    }
    return a->set(a->context, reliability_key, line.text, err);
}

static enum status input_write(const struct attributes *a, const struct drift_reference *r,
                               uint32_t column, struct err *err) {
    struct line line = {0};
    char key[KEY_SIZE];
    put_u64(&line, ' ', r->rows);
    put_u64(&line, ' ', r->edge_count);
    put_f64(&line, ' ', r->inflation);
    for (uint32_t i = 0; i < r->edge_count; i++) put_f64(&line, ' ', r->edge[i]);
    for (uint32_t c = 0; c < r->edge_count + 2; c++) {
        uint64_t count = (uint64_t)llround(r->share[c] * (double)r->rows);
        ASSERT((double)count / (double)r->rows == r->share[c]);
        put_u64(&line, ' ', count);
    }
    for (uint32_t c = 1; c < r->edge_count + 2; c++) put_f64(&line, ' ', r->score[c]);
    input_key(key, column);
    return a->set(a->context, key, line.text, err);
}

enum status model_evidence_write(const struct attributes *a, const struct model_evidence *e,
                                 struct err *err) {
    char watched[FEATURE_COUNT_MAX + 1];
    uint32_t columns = feature_count();
    for (uint32_t k = 0; k < columns; k++) watched[k] = e->inputs[k].rows > 0 ? '1' : '0';
    watched[columns] = 0;
    enum status st = test_write(a, &e->test, err);
    if (st == ST_OK) st = residuals_write(a, &e->residuals, err);
    if (st == ST_OK) st = reliability_write(a, &e->reliability, err);
    if (st == ST_OK) st = a->set(a->context, inputs_key, watched, err);
    for (uint32_t k = 0; k < columns && st == ST_OK; k++)
        if (e->inputs[k].rows > 0) st = input_write(a, &e->inputs[k], k, err);
    return st;
}

/* ---- reading ---- */

/* Numbers with one separator before each but the first; false: there is none, or not such a one. */
struct reader {
    const char *text, *at;
};

static bool take_separator(struct reader *r, char separator) {
    if (r->at == r->text) return true;
    return *r->at == separator && *++r->at != ' ';
}

static bool take_f64(double *out, struct reader *r, char separator) {
    return take_separator(r, separator) && model_f64_parse(out, &r->at);
}

/* Counts: beyond 2^53 a double would not hold them all. */
static bool take_u64(uint64_t *out, struct reader *r, char separator) {
    double x;
    if (!take_f64(&x, r, separator) || !(x >= 0 && x <= 0x1p53) || floor(x) != x) return false;
    *out = (uint64_t)x;
    return true;
}

static enum status f64_read(double *out, const struct attributes *a, const char *key, double min,
                            double max, struct err *err) {
    const char *text, *at;
    enum status st = model_attribute_need(&text, a, key, err);
    if (st != ST_OK) return st;
    at = text;
    if (!model_f64_parse(out, &at) || *at || !(*out >= min && *out <= max))
        return model_attribute_bad(err, key, text);
    return ST_OK;
}

static enum status test_read(struct supervisor_reference *out, const struct attributes *a,
                             struct err *err) {
    char key[KEY_SIZE];
    double sum = 0;
    /* Above 0, and not beyond -ln of the least probability that counts, 1e-6. */
    enum status st = f64_read(&out->loss_mean, a, loss_key, 1e-12, 14, err);
    for (uint32_t l = 0; l < LABEL_COUNT && st == ST_OK; l++) {
        share_key(key, l);
        st = f64_read(&out->label_share[l], a, key, 0, 1, err);
        sum += out->label_share[l];
    }
    if (st == ST_OK && !(fabs(sum - 1) <= rounding))
        st = err_set(err, ST_CORRUPT, "attributes quantum.evidence.share.*: their sum is %.17g",
                     sum);
    return st;
}

static bool residuals_parse(struct conformal_table *t, const char *text, size_t rows_test) {
    struct reader r = {text, text};
    if (!take_u64(&t->rows, &r, ' ') || t->rows != rows_test) return false;
    for (uint32_t i = 0; i < CONFORMAL_LEVELS; i++)
        if (!take_f64(&t->quantile[i], &r, ' ') ||
            !(t->quantile[i] >= (i > 0 ? t->quantile[i - 1] : 0)))
            return false;
    return *r.at == 0;
}

static bool reliability_parse(struct reliability *out, const char *text, size_t rows_test) {
    struct reader r = {text, text};
    for (uint32_t b = 0; b < RELIABILITY_BINS; b++) {
        uint64_t count, hits;
        double p_sum;
        if (!take_u64(&count, &r, ' ') || !take_f64(&p_sum, &r, ':') || !take_u64(&hits, &r, ':') ||
            hits > count)
            return false;
        /* As many p as there are, each within the bin. */
        double width = (double)count / RELIABILITY_BINS, slack = rounding * (double)count;
        if (!(p_sum >= b * width - slack && p_sum <= (b + 1) * width + slack)) return false;
        out->bins[b].count = count;
        out->bins[b].p_sum = p_sum;
        out->bins[b].hits = hits;
        out->count += count;
    }
    return *r.at == 0 && out->count == rows_test;
}

/* Mean 0 and variance 1 over the rows that are there, or 0 throughout where all have one value. */
static bool scores_are_sound(const struct drift_reference *r) {
    double present = 1 - r->share[0], mean = 0, square = 0;
    for (uint32_t c = 1; c < r->edge_count + 2; c++) {
        if (c > 1 && r->score[c] < r->score[c - 1]) return false;
        mean += r->share[c] / present * r->score[c];
        square += r->share[c] / present * r->score[c] * r->score[c];
    }
    return fabs(mean) <= rounding && (fabs(square - 1) <= rounding || square == 0);
}

static bool input_parse(struct drift_reference *out, const char *text) {
    struct reader r = {text, text};
    uint64_t edges, count, sum = 0;
    if (!take_u64(&out->rows, &r, ' ') || out->rows == 0) return false;
    if (!take_u64(&edges, &r, ' ') || edges > DRIFT_BINS - 1) return false;
    if (!take_f64(&out->inflation, &r, ' ') ||
        !(out->inflation >= 1 && out->inflation <= DRIFT_WINDOW))
        return false;
    out->edge_count = (uint32_t)edges;
    for (uint32_t i = 0; i < out->edge_count; i++)
        if (!take_f64(&out->edge[i], &r, ' ') || (i > 0 && !(out->edge[i] > out->edge[i - 1])))
            return false;
    for (uint32_t c = 0; c < out->edge_count + 2; c++) {
        if (!take_u64(&count, &r, ' ')) return false;
        out->share[c] = (double)count / (double)out->rows;
        sum += count;
    }
    if (sum != out->rows || out->share[0] == 1) return false;
    for (uint32_t c = 1; c < out->edge_count + 2; c++)
        if (!take_f64(&out->score[c], &r, ' ')) return false;
    return *r.at == 0 && scores_are_sound(out);
}

static enum status inputs_read(struct model_evidence *out, const struct attributes *a,
                               struct err *err) {
    const char *watched, *text;
    char key[KEY_SIZE];
    uint32_t columns = feature_count();
    enum status st = model_attribute_need(&watched, a, inputs_key, err);
    if (st != ST_OK) return st;
    if (strlen(watched) != columns || strspn(watched, "01") != columns)
        return model_attribute_bad(err, inputs_key, watched);
    for (uint32_t k = 0; k < columns; k++) {
        if (watched[k] == '0') continue;
        input_key(key, k);
        st = model_attribute_need(&text, a, key, err);
        if (st != ST_OK) return st;
        if (!input_parse(&out->inputs[k], text)) return model_attribute_bad(err, key, text);
    }
    return ST_OK;
}

enum status model_evidence_read(struct model_evidence *out, const struct attributes *a,
                                size_t rows_test, struct err *err) {
    const char *text;
    memset(out, 0, sizeof *out);
    enum status st = test_read(&out->test, a, err);
    if (st == ST_OK) st = model_attribute_need(&text, a, residuals_key, err);
    if (st == ST_OK && !residuals_parse(&out->residuals, text, rows_test))
        st = model_attribute_bad(err, residuals_key, text);
    if (st == ST_OK) st = model_attribute_need(&text, a, reliability_key, err);
    if (st == ST_OK && !reliability_parse(&out->reliability, text, rows_test))
        st = model_attribute_bad(err, reliability_key, text);
    return st == ST_OK ? inputs_read(out, a, err) : st;
}
