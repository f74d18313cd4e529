#include "walk/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double probability_min = 1e-15;

/* ---- a mean ---- */

static double autocovariance(const double *x, size_t n, double mean, size_t lag) {
    double sum = 0;
    for (size_t i = lag; i < n; i++) sum += (x[i] - mean) * (x[i - lag] - mean);
    return sum / (double)n;
}

struct walk_mean walk_mean_of(const double *x, size_t n, size_t lag) {
    struct walk_mean out = {NAN, NAN, NAN, n};
    if (n == 0) return out;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    out.value = sum / (double)n;
    double own = autocovariance(x, n, out.value, 0), variance = own;
    for (size_t k = 1; k <= lag && k < n; k++)
        variance += 2 * (1 - (double)k / (double)(lag + 1)) * autocovariance(x, n, out.value, k);
    /* What is left of equal numbers by rounding is no variance. */
    if (n < 2 || !(variance > 1e-28 * (own + out.value * out.value))) return out;
    out.se = sqrt(variance / (double)n);
    out.t = out.value / out.se;
    return out;
}

/* ---- ranks ---- */

struct keyed {
    double key;
    uint32_t index;
};

static int by_key(const void *a, const void *b) {
    const struct keyed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Sum of the ranks (1..n, ties at their mean) of the positives. */
static double rank_sum(const struct keyed *sorted, const uint8_t *positive, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i, hits = 0;
        while (end < n && sorted[end].key == sorted[i].key)
            hits += positive[sorted[end++].index] != 0;
        sum += (double)hits * ((double)(i + 1) + (double)end) / 2;
        i = end;
    }
    return sum;
}

enum status walk_auc(double *out, const double *score, const uint8_t *positive, size_t n,
                     struct err *err) {
    *out = NAN;
    size_t hits = 0;
    for (size_t i = 0; i < n; i++) hits += positive[i] != 0;
    if (hits == 0 || hits == n) return ST_OK;
    struct keyed *sorted = calloc(n, sizeof *sorted);
    if (!sorted) return err_set(err, ST_NO_MEMORY, "%zu scores: out of memory", n);
    for (size_t i = 0; i < n; i++) sorted[i] = (struct keyed){score[i], (uint32_t)i};
    qsort(sorted, n, sizeof *sorted, by_key);
    double p = (double)hits, q = (double)(n - hits);
    *out = (rank_sum(sorted, positive, n) - p * (p + 1) / 2) / (p * q);
    free(sorted);
    return ST_OK;
}

/* A close has tens of symbols: counting who is below is cheaper than sorting. */
static void ranks(double *out, const double *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t below = 0, same = 0;
        for (size_t j = 0; j < n; j++) {
            below += x[j] < x[i];
            same += x[j] == x[i];
        }
        out[i] = (double)below + ((double)same + 1) / 2;
    }
}

double walk_spearman(const double *x, const double *y, size_t n, double *scratch) {
    if (n < 3) return NAN;
    double *a = scratch, *b = scratch + n, middle = ((double)n + 1) / 2;
    double ab = 0, aa = 0, bb = 0;
    ranks(a, x, n);
    ranks(b, y, n);
    for (size_t i = 0; i < n; i++) {
        ab += (a[i] - middle) * (b[i] - middle);
        aa += (a[i] - middle) * (a[i] - middle);
        bb += (b[i] - middle) * (b[i] - middle);
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : (double)NAN;
}

/* ---- the rows ---- */

static enum status check(const struct walk_sample *s, size_t n, struct err *err) {
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (uint32_t l = 0; l < LABEL_COUNT; l++) sum += (double)s[i].p[l];
        if (s[i].label >= LABEL_COUNT || !(fabs(sum - 1) < 1e-3) || !isfinite(s[i].expected) ||
            !isfinite(s[i].came) || (i && s[i].close < s[i - 1].close))
            return err_set(err, ST_INVALID, "row %zu of %zu is no answer with its outcome", i, n);
    }
    return ST_OK;
}

static enum label best_of(const struct walk_sample *s) {
    const double p[LABEL_COUNT] = {(double)s->p[0], (double)s->p[1], (double)s->p[2]};
    return ensemble_best_label(p);
}

static void measure_labels(struct walk_measures *out, const struct walk_sample *s, size_t n) {
    uint64_t sided = 0, hits = 0, decided = 0, decided_hits = 0;
    double loss = 0, brier = 0;
    for (size_t i = 0; i < n; i++) {
        enum label best = best_of(&s[i]);
        bool hit = (uint32_t)best == s[i].label;
        out->share[s[i].label] += 1 / (double)n;
        loss -= log(fmax((double)s[i].p[s[i].label], probability_min));
        for (uint32_t l = 0; l < LABEL_COUNT; l++) {
            double d = (double)s[i].p[l] - (l == s[i].label ? 1 : 0);
            brier += d * d;
        }
        reliability_push(&out->reliability, fmin((double)s[i].p[best], 1), hit);
        if (best == LABEL_HOLD) continue;
        sided++;
        hits += hit;
        if (s[i].label == LABEL_HOLD) continue;
        decided++;
        decided_hits += hit;
    }
    out->log_loss = loss / (double)n;
    out->brier = brier / (double)n;
    out->sided = sided;
    out->hit = stat_rate(hits, sided);
    out->hit_side = stat_rate(decided_hits, decided);
    out->ece = reliability_ece(&out->reliability);
    out->ece_chance = reliability_ece_chance(&out->reliability);
}

/* The constant that knows what share of each label was to come. */
static void measure_constant(struct walk_measures *out) {
    out->log_loss_constant = 0;
    out->brier_constant = 1;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        if (out->share[l] > 0) out->log_loss_constant -= out->share[l] * log(out->share[l]);
        out->brier_constant -= out->share[l] * out->share[l];
    }
}

static enum status measure_auc(struct walk_measures *out, const struct walk_sample *s, size_t n,
                               struct err *err) {
    double *score = calloc(n, sizeof *score);
    uint8_t *positive = calloc(n, 1);
    enum status st = score && positive ? ST_OK : err_set(err, ST_NO_MEMORY, "%zu rows", n);
    for (uint32_t l = 0; l < LABEL_COUNT && st == ST_OK; l++) {
        for (size_t i = 0; i < n; i++) {
            score[i] = (double)s[i].p[l];
            positive[i] = s[i].label == l;
        }
        st = walk_auc(&out->auc[l], score, positive, n, err);
    }
    size_t m = 0;
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        if (s[i].label == LABEL_HOLD) continue;
        double buy = (double)s[i].p[LABEL_BUY], sell = (double)s[i].p[LABEL_SELL];
        score[m] = buy + sell > 0 ? buy / (buy + sell) : 0.5;
        positive[m++] = s[i].label == LABEL_BUY;
    }
    if (st == ST_OK) st = walk_auc(&out->auc_side, score, positive, m, err);
    free(score);
    free(positive);
    return st;
}

/* ---- one observation a close ---- */

static double gain_of(const struct walk_measures *m, const struct walk_sample *s, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += log(fmax((double)s[i].p[s[i].label], probability_min)) -
               log(fmax(m->share[s[i].label], probability_min));
    return sum / (double)n;
}

static double ic_of(const struct walk_sample *s, size_t n, double *scratch) {
    if (n < WALK_IC_SYMBOLS_MIN) return NAN;
    double *x = scratch + 4 * n, *y = x + n;
    for (size_t i = 0; i < n; i++) {
        x[i] = (double)s[i].expected;
        y[i] = (double)s[i].came;
    }
    return walk_spearman(x, y, n, scratch);
}

static size_t close_size(const struct walk_sample *s, size_t n) {
    size_t k = 1;
    while (k < n && s[k].close == s[0].close) k++;
    return k;
}

static enum status measure_closes(struct walk_measures *out, const struct walk_sample *s, size_t n,
                                  uint32_t lag, struct err *err) {
    size_t largest = 0, ics = 0;
    for (size_t i = 0, k; i < n; i += k) {
        k = close_size(s + i, n - i);
        out->closes++;
        if (k > largest) largest = k;
    }
    double *gains = calloc(out->closes, sizeof *gains), *ic = calloc(out->closes, sizeof *ic),
           *scratch = calloc(6 * largest, sizeof *scratch);
    enum status st = ST_OK;
    if (gains && ic && scratch) {
        size_t c = 0;
        for (size_t i = 0, k; i < n; i += k) {
            k = close_size(s + i, n - i);
            gains[c++] = gain_of(out, s + i, k);
            ic[ics] = ic_of(s + i, k, scratch);
            if (!isnan(ic[ics])) ics++;
        }
        out->gain = walk_mean_of(gains, c, lag);
        out->ic = walk_mean_of(ic, ics, lag);
    } else
        st = err_set(err, ST_NO_MEMORY, "%zu rows: out of memory", n);
    free(gains);
    free(ic);
    free(scratch);
    return st;
}

enum status walk_measure(struct walk_measures *out, const struct walk_sample *samples, size_t n,
                         uint32_t lag, struct err *err) {
    const struct interval none = {NAN, NAN, NAN};
    const struct walk_mean no_mean = {NAN, NAN, NAN, 0};
    *out = (struct walk_measures){.rows = n,
                                  .auc = {NAN, NAN, NAN},
                                  .auc_side = NAN,
                                  .log_loss = NAN,
                                  .log_loss_constant = NAN,
                                  .brier = NAN,
                                  .brier_constant = NAN,
                                  .gain = no_mean,
                                  .ece = NAN,
                                  .ece_chance = NAN,
                                  .ic = no_mean,
                                  .hit = none,
                                  .hit_side = none};
    enum status st = check(samples, n, err);
    if (st != ST_OK || n == 0) return st;
    measure_labels(out, samples, n);
    measure_constant(out);
    st = measure_auc(out, samples, n, err);
    return st == ST_OK ? measure_closes(out, samples, n, lag, err) : st;
}
