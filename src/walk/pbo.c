#include "walk/pbo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct sums {
    double x, xx;
};

/* Around the variant's own mean over all periods, so that squares do not cancel. */
static void part_sums(struct sums *out, double *centre, const double *returns, size_t first,
                      size_t length, uint32_t variants, uint32_t parts) {
    size_t n = length * parts;
    memset(out, 0, sizeof *out * parts * variants);
    for (uint32_t v = 0; v < variants; v++) {
        centre[v] = 0;
        for (size_t i = 0; i < n; i++) centre[v] += returns[(first + i) * variants + v] / (double)n;
        for (size_t i = 0; i < n; i++) {
            double d = returns[(first + i) * variants + v] - centre[v];
            struct sums *s = &out[i / length * variants + v];
            s->x += d;
            s->xx += d * d;
        }
    }
}

/* Ratio of each variant over the parts whose bit is set. */
static void ratios(double *out, const struct sums *sums, const double *centre, uint32_t chosen,
                   uint32_t parts, uint32_t variants, size_t length) {
    double n = (double)length * parts / 2;
    for (uint32_t v = 0; v < variants; v++) {
        double x = 0, xx = 0;
        for (uint32_t p = 0; p < parts; p++) {
            if (!(chosen >> p & 1)) continue;
            x += sums[p * variants + v].x;
            xx += sums[p * variants + v].xx;
        }
        double mean = x / n, variance = (xx - x * mean) / (n - 1);
        double value = centre[v] + mean;
        out[v] = variance > 1e-28 * value * value ? value / sqrt(variance) : 0;
    }
}

static double rank_of(const double *x, uint32_t n, uint32_t who) {
    uint32_t below = 0, same = 0;
    for (uint32_t i = 0; i < n; i++) {
        below += x[i] < x[who];
        same += x[i] == x[who];
    }
    return (double)below + ((double)same + 1) / 2;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

struct fold {
    double in, out, logit;
};

static struct fold judge(const double *in, const double *out, uint32_t variants) {
    uint32_t best = 0;
    for (uint32_t v = 1; v < variants; v++)
        if (in[v] > in[best]) best = v;
    double w = rank_of(out, variants, best) / ((double)variants + 1);
    return (struct fold){in[best], out[best], log(w / (1 - w))};
}

static void conclude(struct walk_pbo *out, const struct fold *folds, double *logits, size_t n) {
    double below = 0, loss = 0, mx = 0, my = 0, xy = 0, xx = 0;
    for (size_t i = 0; i < n; i++) {
        logits[i] = folds[i].logit;
        below += folds[i].logit <= 1e-12; /* the middle rank's is 0 but for rounding */
        loss += folds[i].out < 0;
        mx += folds[i].in / (double)n;
        my += folds[i].out / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        xy += (folds[i].in - mx) * (folds[i].out - my);
        xx += (folds[i].in - mx) * (folds[i].in - mx);
    }
    qsort(logits, n, sizeof *logits, by_value);
    out->choices = n;
    out->pbo = below / (double)n;
    out->loss = loss / (double)n;
    out->slope = xx > 0 ? xy / xx : (double)NAN;
    out->logit_median = (logits[(n - 1) / 2] + logits[n / 2]) / 2;
}

enum status walk_pbo(struct walk_pbo *out, const double *returns, size_t periods, uint32_t variants,
                     uint32_t parts, struct err *err) {
    ASSERT(parts >= 2 && parts <= WALK_PBO_PARTS && parts % 2 == 0);
    size_t length = periods / parts;
    *out = (struct walk_pbo){variants, parts, length * parts, 0, NAN, NAN, NAN, NAN};
    if (variants > WALK_PBO_VARIANTS_MAX)
        return err_set(err, ST_RANGE, "%u variants, at most %d", variants, WALK_PBO_VARIANTS_MAX);
    for (size_t i = 0; i < periods * variants; i++)
        if (!isfinite(returns[i]))
            return err_set(err, ST_INVALID, "return %zu of variant %zu is no number", i / variants,
                           i % variants);
    if (variants < 2 || length < 2) return ST_OK;
    size_t choices = 1; /* C(parts, parts / 2) */
    for (uint32_t i = 1; i <= parts / 2; i++) choices = choices * (parts / 2 + i) / i;
    struct sums *sums = calloc((size_t)parts * variants, sizeof *sums);
    struct fold *folds = calloc(choices, sizeof *folds);
    double *logits = calloc(choices, sizeof *logits);
    enum status st = ST_OK;
    if (sums && folds && logits) {
        double centre[WALK_PBO_VARIANTS_MAX], in[WALK_PBO_VARIANTS_MAX],
            rest[WALK_PBO_VARIANTS_MAX];
        uint32_t all = (uint32_t)((UINT64_C(1) << parts) - 1);
        size_t n = 0;
        part_sums(sums, centre, returns, periods - length * parts, length, variants, parts);
        for (uint32_t chosen = 0; chosen <= all; chosen++) {
            if ((uint32_t)__builtin_popcount(chosen) != parts / 2) continue;
            ratios(in, sums, centre, chosen, parts, variants, length);
            ratios(rest, sums, centre, all & ~chosen, parts, variants, length);
            folds[n++] = judge(in, rest, variants);
        }
        conclude(out, folds, logits, n);
    } else
        st = err_set(err, ST_NO_MEMORY, "%zu choices: out of memory", choices);
    free(sums);
    free(folds);
    free(logits);
    return st;
}
