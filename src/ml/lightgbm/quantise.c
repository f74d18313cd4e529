/* Gradients and hessians of one tree as whole numbers. */
#include <math.h>
#include <string.h>

#include "ml/lightgbm/lgbm_grow_internal.h"

/* Sums stay below 2^51, so that a double takes them by adding 1.5 2^52. */
enum { BLOCK_ROWS = 8192, SUM_BITS = 51 };

struct quantise {
    const struct lgbm_tree_input *in;
    uint32_t row_count;
    double gradient_scale, hessian_scale;
    lgbm_pair *pairs;
    uint32_t *rows;
    struct lgbm_block_sums *blocks;
};

static uint32_t block_end(const struct quantise *q, uint32_t part) {
    uint32_t left = q->row_count - part * BLOCK_ROWS;
    return part * BLOCK_ROWS + (left < BLOCK_ROWS ? left : BLOCK_ROWS);
}

static void block_sum(void *context, uint32_t part) {
    struct quantise *q = context;
    const struct lgbm_tree_input *in = q->in;
    uint32_t end = block_end(q, part);
    double g = 0, h = 0, h_min = 0;
    for (uint32_t i = part * BLOCK_ROWS; i < end; i++) {
        uint32_t row = in->rows ? in->rows[i] : i;
        double hessian = (double)in->hessian[row];
        g += fabs((double)in->gradient[row]);
        h += hessian;
        h_min = hessian < h_min ? hessian : h_min;
    }
    q->blocks[part].gradient = g;
    q->blocks[part].hessian = h;
    q->blocks[part].is_valid = isfinite(g) && isfinite(h) && h_min >= 0;
}

/* Rounds to nearest by the unit in the last place of 1.5 2^52; for what is below 2^51. */
static inline int64_t whole(double x) {
    const double magic = 6755399441055744.0;
    double y = x + magic;
    int64_t a, b;
    memcpy(&a, &y, sizeof a);
    memcpy(&b, &magic, sizeof b);
    return a - b;
}

static void block_quantise(void *context, uint32_t part) {
    struct quantise *q = context;
    const struct lgbm_tree_input *in = q->in;
    uint32_t end = block_end(q, part);
    lgbm_pair sum = {0, 0};
    for (uint32_t i = part * BLOCK_ROWS; i < end; i++) {
        uint32_t row = in->rows ? in->rows[i] : i;
        int64_t g = whole((double)in->gradient[row] * q->gradient_scale);
        int64_t h = whole((double)in->hessian[row] * q->hessian_scale);
        lgbm_pair x = {(uint64_t)g, (uint64_t)h};
        q->pairs[row] = x;
        q->rows[i] = row;
        sum += x;
    }
    q->blocks[part].whole = (struct lgbm_sums){(int64_t)sum[0], (int64_t)sum[1]};
}

/* The power of two that brings sum to between 2^(bits-2) and 2^(bits-1): rounding adds half of the
 * number of rows at most, less than the factor of two that is left. */
static double scale_for(double sum, int bits) {
    int exponent;
    if (!(sum > 0)) return 1;
    frexp(sum, &exponent);
    exponent = bits - 1 - exponent;
    return ldexp(1, exponent < 1000 ? exponent : 1000);
}

size_t lgbm_quantise_blocks(size_t rows) {
    return rows / BLOCK_ROWS + 1;
}

enum status lgbm_quantise(struct lgbm_rule *rule, struct lgbm_sums *total, lgbm_pair *pairs,
                          uint32_t *rows, const struct lgbm_tree_input *in, uint32_t row_count,
                          struct lgbm_block_sums *blocks, struct workers *threads,
                          struct err *err) {
    struct quantise q = {
        .in = in, .row_count = row_count, .pairs = pairs, .rows = rows, .blocks = blocks};
    uint32_t count = (row_count + BLOCK_ROWS - 1) / BLOCK_ROWS;
    workers_run(threads, block_sum, &q, count);
    double gradient = 0, hessian = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!blocks[i].is_valid)
            return err_set(err, ST_INVALID,
                           "a gradient or hessian is not a number, or a hessian is negative");
        gradient += blocks[i].gradient;
        hessian += blocks[i].hessian;
    }
    q.gradient_scale = scale_for(gradient, SUM_BITS);
    q.hessian_scale = scale_for(hessian, SUM_BITS);
    workers_run(threads, block_quantise, &q, count);
    *total = (struct lgbm_sums){0, 0};
    for (uint32_t i = 0; i < count; i++) {
        total->gradient += blocks[i].whole.gradient;
        total->hessian += blocks[i].whole.hessian;
    }
    rule->gradient_unit = 1 / q.gradient_scale;
    rule->hessian_unit = 1 / q.hessian_scale;
    return ST_OK;
}
