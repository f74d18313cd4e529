#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "brain/ensemble/calibration_beta.h"
#include "learn/learn_internal.h"

/* Fewer predictions than this per knot and the knot follows noise. */
enum { KNOT_ROWS_MIN = 100 };
/* A beta curve is fitted to one row in four, drawn: a search over all of them would take longer than the rest of the calibration by
 * far, and three parameters from a quarter of the rows still cost less log-loss than isotonic's knots, up to 64, from all. */
enum { BETA_ROWS_SHARE = 4, BETA_ROWS_MIN = 1024, BETA_ROWS_MAX = 4096 };

struct pair {
    double x;
    bool hit;
};

struct block {
    double x_sum, hits, rows;
};

static int pair_compare(const void *a, const void *b) {
    double x = ((const struct pair *)a)->x, y = ((const struct pair *)b)->x;
    if (x != y) return x < y ? -1 : 1;
    return (int)((const struct pair *)a)->hit - (int)((const struct pair *)b)->hit;
}

/* Sorted pairs into at most CALIBRATION_KNOTS_MAX blocks of like size; equal x stay together. */
static uint32_t bin(struct block *blocks, const struct pair *pairs, size_t n) {
    size_t rows_min = (n + CALIBRATION_KNOTS_MAX - 1) / CALIBRATION_KNOTS_MAX;
    if (rows_min < KNOT_ROWS_MIN) rows_min = KNOT_ROWS_MIN;
    uint32_t count = 0;
    for (size_t i = 0; i < n;) {
        struct block b = {0};
        size_t begin = i;
        while (i < n && (i - begin < rows_min || pairs[i].x == pairs[i - 1].x)) {
            b.x_sum += pairs[i].x;
            b.hits += pairs[i].hit;
            b.rows += 1;
            i++;
        }
        if (b.rows < (double)rows_min && count > 0) { /* the rest joins the last */
            blocks[count - 1].x_sum += b.x_sum;
            blocks[count - 1].hits += b.hits;
            blocks[count - 1].rows += b.rows;
        } else {
            blocks[count++] = b;
        }
    }
    return count;
}

/* Pool adjacent violators: merges neighbours until the hit rate rises along the blocks.
 * Source: Ayer et al., Annals of Mathematical Statistics 26 (1955). */
static uint32_t pool_violators(struct block *blocks, uint32_t count) {
    uint32_t top = 0;
    for (uint32_t i = 0; i < count; i++) {
        blocks[top++] = blocks[i];
        while (top > 1 && blocks[top - 2].hits * blocks[top - 1].rows >=
                              blocks[top - 1].hits * blocks[top - 2].rows) {
            blocks[top - 2].x_sum += blocks[top - 1].x_sum;
            blocks[top - 2].hits += blocks[top - 1].hits;
            blocks[top - 2].rows += blocks[top - 1].rows;
            top--;
        }
    }
    return top;
}

enum status learn_isotonic(struct calibration *out, const double *x, const bool *hit, size_t n,
                           struct err *err) {
    memset(out, 0, sizeof *out);
    if (n == 0) return err_set(err, ST_INVALID, "nothing to calibrate on");
    struct pair *pairs = malloc(n * sizeof *pairs);
    if (!pairs) return err_set(err, ST_NO_MEMORY, "calibration");
    for (size_t i = 0; i < n; i++) pairs[i] = (struct pair){x[i], hit[i]};
    qsort(pairs, n, sizeof *pairs, pair_compare);
    struct block blocks[CALIBRATION_KNOTS_MAX + 1];
    uint32_t count = pool_violators(blocks, bin(blocks, pairs, n));
    free(pairs);
    for (uint32_t i = 0; i < count; i++) {
        /* Never 0 or 1: half a row's doubt, which keeps the order. */
        double floor_p = 0.5 / (blocks[i].rows + 1);
        double y = blocks[i].hits / blocks[i].rows;
        y = fmin(fmax(y, floor_p), 1 - floor_p);
        if (i > 0 && y < out->y[i - 1]) y = out->y[i - 1];
        out->x[i] = blocks[i].x_sum / blocks[i].rows;
        out->y[i] = y;
    }
    out->knot_count = count;
    return ST_OK;
}

const char *learn_calibration_text(enum learn_calibration calibration) {
    static const char *const texts[LEARN_CALIBRATION_COUNT] = {"identity", "isotonic", "beta"};
    return (uint32_t)calibration < LEARN_CALIBRATION_COUNT ? texts[calibration] : "?";
}

static size_t beta_rows(size_t n) {
    size_t rows = n / BETA_ROWS_SHARE;
    if (rows < BETA_ROWS_MIN) rows = BETA_ROWS_MIN;
    if (rows > BETA_ROWS_MAX) rows = BETA_ROWS_MAX;
    return rows < n ? rows : n;
}

/* Row number i of so many out of n: one of each stretch of like length. A fixed step would see some symbols only. */
static size_t row_of(size_t i, size_t rows, size_t n, struct rng *r) {
    size_t from = i * n / rows, to = (i + 1) * n / rows;
    return from + (size_t)rng_below(r, to - from);
}

/* One method for all labels; *fits false: a label has no beta curve (it never or always came true, or is told apart
 * without a miss). */
static enum status fit(struct calibration out[LABEL_COUNT], bool *fits,
                       enum learn_calibration method, const double *p, const float *labels,
                       size_t n, struct err *err) {
    double *x = malloc((n ? n : 1) * sizeof *x);
    bool *hit = malloc((n ? n : 1) * sizeof *hit);
    enum status st = x && hit ? ST_OK : err_set(err, ST_NO_MEMORY, "calibration");
    size_t rows = method == LEARN_BETA ? beta_rows(n) : n;
    *fits = true;
    for (uint32_t l = 0; l < LABEL_COUNT && st == ST_OK && *fits; l++) {
        struct rng r = rng_init(1);
        for (size_t i = 0; i < rows; i++) {
            size_t row = row_of(i, rows, n, &r);
            x[i] = p[row * LABEL_COUNT + l];
            hit[i] = (uint32_t)labels[row] == l;
        }
        struct calibration_beta beta;
        if (method == LEARN_ISOTONIC)
            st = learn_isotonic(&out[l], x, hit, n, err);
        else if ((*fits = calibration_beta_fit(&beta, x, hit, rows)))
            calibration_beta_knots(&out[l], &beta);
    }
    free(x);
    free(hit);
    return st;
}

/* Log-loss of the rows behind the first half by a fit on that half; INFINITY if there is no such fit. q: scratch for their
 * probabilities. */
static enum status try_method(double *loss, double *q, enum learn_calibration method,
                              const double *p, const float *labels, size_t n, struct err *err) {
    struct calibration trial[LABEL_COUNT];
    size_t half = n / 2, rest = n - half;
    bool fits;
    *loss = INFINITY;
    enum status st = fit(trial, &fits, method, p, labels, half, err);
    if (st != ST_OK || !fits) return st;
    memcpy(q, p + half * LABEL_COUNT, rest * LABEL_COUNT * sizeof *q);
    for (size_t i = 0; i < rest; i++) calibration_apply(q + i * LABEL_COUNT, trial);
    *loss = learn_logloss(q, labels + half, rest);
    return ST_OK;
}

enum status learn_calibrate(struct calibration out[LABEL_COUNT], enum learn_calibration *method,
                            const double *p, const float *labels, size_t n, struct err *err) {
    double losses[LEARN_CALIBRATION_COUNT];
    size_t half = n / 2;
    memset(out, 0, LABEL_COUNT * sizeof *out);
    *method = LEARN_IDENTITY;
    if (half < KNOT_ROWS_MIN) return ST_OK;
    double *q = malloc((n - half) * LABEL_COUNT * sizeof *q);
    if (!q) return err_set(err, ST_NO_MEMORY, "calibration");
    enum status st = ST_OK;
    losses[LEARN_IDENTITY] = learn_logloss(p + half * LABEL_COUNT, labels + half, n - half);
    for (int k = LEARN_ISOTONIC; k < LEARN_CALIBRATION_COUNT && st == ST_OK; k++)
        st = try_method(&losses[k], q, (enum learn_calibration)k, p, labels, n, err);
    free(q);
    /* The next best one where the best has no fit on all the rows. */
    for (bool fits = false; st == ST_OK && !fits;) {
        enum learn_calibration best = LEARN_IDENTITY;
        for (int k = LEARN_ISOTONIC; k < LEARN_CALIBRATION_COUNT; k++)
            if (losses[k] < losses[best]) best = (enum learn_calibration)k;
        *method = best;
        if (best == LEARN_IDENTITY) break;
        st = fit(out, &fits, best, p, labels, n, err);
        losses[best] = INFINITY;
    }
    if (*method == LEARN_IDENTITY) memset(out, 0, LABEL_COUNT * sizeof *out);
    return st;
}
