/* The network's memory: one block, carved twice, first to learn its size. */
#include <stdlib.h>
#include <string.h>

#include "ml/nhits/nhits_internal.h"

struct carver {
    unsigned char *base; /* NULL: only count */
    size_t used;
    bool overflow;
};

static void *carve(struct carver *m, size_t a, size_t b, size_t bytes) {
    size_t n;
    if (__builtin_mul_overflow(a, b, &n) || __builtin_mul_overflow(n, bytes, &n) ||
        n > SIZE_MAX / 4 - m->used) {
        m->overflow = true;
        return NULL;
    }
    void *at = m->base ? m->base + m->used : NULL;
    m->used += (n + 63) / 64 * 64;
    return at;
}

static nn_real *reals(struct carver *m, size_t a, size_t b) {
    return carve(m, a, b, sizeof(nn_real));
}

static void carve_layer(struct carver *m, const struct nhits *n, struct layer *l) {
    size_t rows = n->network.batch_max, out = nhits_used(l);
    l->packed = reals(m, nn_linear_pack_size(l->in, out), 1);
    if (!n->training) return;
    /* What ReLU gave tells where it was above zero: even behind dropout, which multiplies by what
     * is not negative. */
    if (l->activated && l->activation != NN_RELU) l->pre = reals(m, rows, out);
    l->act = reals(m, rows, out);
    l->y = l->scale ? reals(m, rows, out) : l->act;
    l->dy = reals(m, rows, out);
    if (!l->scale) return;
    l->batch_mean = reals(m, out, 1);
    l->batch_inv = reals(m, out, 1);
}

static void carve_block(struct carver *m, const struct nhits *n, struct block *b) {
    size_t rows = n->network.batch_max;
    for (size_t l = 0; l < b->layer_count; l++) carve_layer(m, n, &b->layers[l]);
    if (b->encoded) carve_layer(m, n, &b->encoder);
    if (!n->training) return;
    b->x = reals(m, rows, b->width);
    b->arg = carve(m, rows, b->windows, sizeof *b->arg);
    if (b->encoded) b->stat = reals(m, rows, n->config.stat_exog);
}

static void carve_predict(struct carver *m, const struct nhits *n, struct predict_part *s,
                          size_t rows) {
    size_t widest = n->hidden_max > n->theta_max ? n->hidden_max : n->theta_max;
    s->residual = reals(m, rows, n->length);
    s->x = reals(m, rows, n->width_max);
    s->a = reals(m, rows, widest);
    s->b = reals(m, rows, widest);
    s->knots = reals(m, rows, n->outputs * n->knots_max);
    s->forecast = reals(m, rows, n->outputs * n->horizon);
}

/* Rows of dx, or what BatchNorm wants there. */
static size_t dx_size(const struct nhits *n) {
    size_t size = n->network.batch_max * n->width_max,
           norm = nn_batchnorm_scratch(n->network.batch_max, n->hidden_max);
    return n->config.batch_normalization && norm > size ? norm : size;
}

static void carve_all(struct carver *m, struct nhits *n) {
    size_t rows = n->network.batch_max, steps = n->horizon * n->outputs;
    for (size_t i = 0; i < n->block_count; i++) carve_block(m, n, &n->blocks[i]);
    n->parts = carve(m, n->predict_parts, 1, sizeof *n->parts);
    for (size_t i = 0; i < n->predict_parts; i++) {
        struct predict_part counted;
        size_t left = rows - i * PREDICT_ROWS;
        carve_predict(m, n, m->base ? &n->parts[i] : &counted,
                      left < PREDICT_ROWS ? left : PREDICT_ROWS);
    }
    if (!n->training) return;
    n->residual = reals(m, rows, n->length);
    n->dx = reals(m, dx_size(n), 1);
    n->knots = reals(m, rows, n->outputs * n->knots_max);
    n->forecast = reals(m, rows, steps);
    n->y = reals(m, rows, steps);
    n->dy = reals(m, rows, steps);
    n->weights = reals(m, rows, steps);
    n->slopes = reals(m, n->block_count, n->parts_max);
}

/* A layer's gradient in products of about PART_OUT outputs each. */
static void list_layer(struct nhits *n, size_t block, const struct layer *l, const nn_real *x) {
    size_t out = nhits_used(l), parts = (out + PART_OUT - 1) / PART_OUT,
           size = (out + parts - 1) / parts;
    size = (size + 15) / 16 * 16;
    for (size_t first = 0; first < out; first += size)
        n->shares[n->share_count++] =
            (struct share){l, x, block, first, out - first < size ? out - first : size};
}

static enum status list_shares(struct nhits *n, struct err *err) {
    size_t most = 1; /* never a memory of 0 */
    for (size_t i = 0; i < n->block_count; i++) {
        const struct block *b = &n->blocks[i];
        for (size_t l = 0; l < b->layer_count; l++) most += nhits_used(&b->layers[l]) / 128 + 1;
        if (b->encoded) most += b->encoder.out / 128 + 1;
    }
    n->shares = calloc(most, sizeof *n->shares);
    if (!n->shares) return err_set(err, ST_NO_MEMORY, "%zu products", most);
    for (size_t i = 0; i < n->block_count; i++) {
        const struct block *b = &n->blocks[i];
        const nn_real *x = b->x;
        for (size_t l = 0; l < b->layer_count; x = b->layers[l++].y)
            list_layer(n, i, &b->layers[l], x);
        if (b->encoded) list_layer(n, i, &b->encoder, b->stat);
    }
    return ST_OK;
}

enum status nhits_make_memory(struct nhits *n, struct err *err) {
    struct carver count = {0};
    carve_all(&count, n);
    if (count.overflow) return err_set(err, ST_RANGE, "a network beyond any memory");
    n->memory = aligned_alloc(64, count.used);
    if (!n->memory) return err_set(err, ST_NO_MEMORY, "%zu bytes of workspace", count.used);
    memset(n->memory, 0, count.used);
    struct carver m = {n->memory, 0, false};
    carve_all(&m, n);
    return n->training ? list_shares(n, err) : ST_OK;
}
