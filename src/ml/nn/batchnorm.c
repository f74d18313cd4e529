#include <math.h>

#include "ml/nn/kernels.h"

/* Rows whose sums are taken by themselves, in nn_real; the parts are added in double. */
enum { PART_ROWS = 256 };

struct job {
    nn_real *y, *scratch;
    const nn_real *x, *dy, *mean, *inv_std, *shift;
    nn_real *a, *b, *c; /* (d) each, behind the parts in scratch */
    size_t n, d;
};

static uint32_t parts_of(size_t n) {
    return (uint32_t)((n + PART_ROWS - 1) / PART_ROWS);
}

size_t nn_batchnorm_scratch(size_t n, size_t d) {
    return (parts_of(n) * (size_t)2 + 3) * d;
}

static struct job job_of(const nn_real *x, size_t n, size_t d, nn_real *scratch) {
    nn_real *tail = scratch + parts_of(n) * (size_t)2 * d;
    return (struct job){
        .x = x, .n = n, .d = d, .scratch = scratch, .a = tail, .b = tail + d, .c = tail + 2 * d};
}

static size_t rows_of(const struct job *j, uint32_t part, size_t *from) {
    *from = (size_t)part * PART_ROWS;
    return j->n - *from < PART_ROWS ? j->n - *from : PART_ROWS;
}

static void moments_part(void *context, uint32_t part) {
    const struct job *j = context;
    size_t from, rows = rows_of(j, part, &from);
    nn_real *out = j->scratch + (size_t)part * 2 * j->d;
    nn_kernels()->column_moments(out, out + j->d, j->x + from * j->d, j->x, rows, j->d);
}

static void affine_part(void *context, uint32_t part) {
    const struct job *j = context;
    size_t from, rows = rows_of(j, part, &from), d = j->d;
    nn_kernels()->column_affine(j->y + from * d, j->x + from * d, j->mean, j->a, j->shift, rows, d,
                                d);
}

/* Chan, Golub, LeVeque (1979): moments of two sets from those of each. Parts count from the first
 * row. */
static void whole_moments(const struct job *j, size_t column, double *mean, double *square) {
    double count = 0;
    *mean = *square = 0;
    for (uint32_t p = 0; p < parts_of(j->n); p++) {
        size_t from;
        double rows = (double)rows_of(j, p, &from);
        const nn_real *part = j->scratch + (size_t)p * 2 * j->d + column;
        double off = (double)part[0] - *mean, total = count + rows;
        *mean += off * rows / total;
        *square += (double)part[j->d] + off * off * count * rows / total;
        count = total;
    }
    *mean += (double)j->x[column];
}

static nn_real moved(nn_real running, double now) {
    return (nn_real)((1 - NN_BATCHNORM_MOMENTUM) * (double)running + NN_BATCHNORM_MOMENTUM * now);
}

void nn_batchnorm_train(nn_real *y, nn_real *mean, nn_real *inv_std, nn_real *running_mean,
                        nn_real *running_var, const nn_real *x, const nn_real *scale,
                        const nn_real *shift, size_t n, size_t d, nn_real *scratch,
                        struct workers *workers) {
    struct job j = job_of(x, n, d, scratch);
    workers_run(workers, moments_part, &j, parts_of(n));
    for (size_t c = 0; c < d; c++) {
        double centre, square;
        whole_moments(&j, c, &centre, &square);
        double factor = 1 / sqrt(square / (double)n + NN_NORM_EPS);
        mean[c] = (nn_real)centre;
        inv_std[c] = (nn_real)factor;
        j.a[c] = (nn_real)(factor * (double)scale[c]);
        running_mean[c] = moved(running_mean[c], centre);
        running_var[c] = moved(running_var[c], square / (double)(n > 1 ? n - 1 : n));
    }
    j.y = y;
    j.mean = mean;
    j.shift = shift;
    workers_run(workers, affine_part, &j, parts_of(n));
}

void nn_batchnorm_infer(nn_real *y, const nn_real *x, const nn_real *scale, const nn_real *shift,
                        const nn_real *running_mean, const nn_real *running_var, size_t n,
                        size_t d) {
    enum { CHUNK = 64 };
    for (size_t c = 0; c < d; c += CHUNK) {
        nn_real factor[CHUNK];
        size_t some = d - c < CHUNK ? d - c : CHUNK;
        for (size_t i = 0; i < some; i++)
            factor[i] =
                (nn_real)((double)scale[c + i] / sqrt((double)running_var[c + i] + NN_NORM_EPS));
        nn_kernels()->column_affine(y + c, x + c, running_mean + c, factor, shift + c, n, some, d);
    }
}

static void sums_part(void *context, uint32_t part) {
    const struct job *j = context;
    size_t from, rows = rows_of(j, part, &from), d = j->d;
    nn_real *out = j->scratch + (size_t)part * 2 * d;
    nn_kernels()->column_sums(out, out + d, j->dy + from * d, j->x + from * d, j->mean, j->inv_std,
                              rows, d);
}

static void backward_part(void *context, uint32_t part) {
    const struct job *j = context;
    size_t from, rows = rows_of(j, part, &from), d = j->d;
    nn_kernels()->column_backward(j->y + from * d, j->dy + from * d, j->x + from * d, j->mean, j->a,
                                  j->b, j->c, rows, d);
}

void nn_batchnorm_backward(nn_real *dx, nn_real *dscale, nn_real *dshift, const nn_real *dy,
                           const nn_real *x, const nn_real *mean, const nn_real *inv_std,
                           const nn_real *scale, size_t n, size_t d, nn_real *scratch,
                           struct workers *workers) {
    struct job j = job_of(x, n, d, scratch);
    j.dy = dy;
    j.mean = mean;
    j.inv_std = inv_std;
    workers_run(workers, sums_part, &j, parts_of(n));
    for (size_t c = 0; c < d; c++) {
        double sum = 0, dot = 0;
        for (uint32_t p = 0; p < parts_of(n); p++) {
            sum += (double)scratch[(size_t)p * 2 * d + c];
            dot += (double)scratch[((size_t)p * 2 + 1) * d + c];
        }
        double slope = (double)scale[c] * (double)inv_std[c];
        dscale[c] += (nn_real)dot;
        dshift[c] += (nn_real)sum;
        j.a[c] = (nn_real)slope;
        j.b[c] = (nn_real)(slope * sum / (double)n);
        j.c[c] = (nn_real)(slope * (double)inv_std[c] * dot / (double)n);
    }
    if (!dx) return;
    j.y = dx;
    workers_run(workers, backward_part, &j, parts_of(n));
}
