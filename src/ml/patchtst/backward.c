/* Gradients of a group of eight sequences. Scores, values, hidden values are made again from what forward kept: that is
 * cheaper than to write them to memory and read them back. */
#include "ml/patchtst/patchtst_internal.h"

nn_real *patchtst_grad(const struct pass *pass, struct part *part, const struct nn_tensor *t) {
    return part->grads + (size_t)(t->grad - pass->p->network.params.grad) - pass->bb->grad_first;
}

/* dw (out, in) += dy x^T, db += row sums of dy; dy (out, columns), x (in, columns) */
static void linear_grads(const struct pass *pass, struct part *part, struct linear_params l,
                         struct lanes_view dy, struct lanes_view x, size_t columns) {
    const struct lanes_kernels *k = pass->p->kernels;
    size_t out = l.w->shape[0], in = l.w->shape[1];
    k->product_sum(patchtst_grad(pass, part, l.w), in, dy, x, out, in, columns);
    k->row_sum(patchtst_grad(pass, part, l.b), dy, out, columns);
}

/* dx (in, columns) = [dx +] w^T dy (out, columns) */
static void linear_dx(const struct patchtst *p, struct lanes_view dx, struct linear_params l,
                      struct lanes_view dy, size_t columns, bool add) {
    size_t out = l.w->shape[0], in = l.w->shape[1];
    p->kernels->linear(dx, dy, (struct weights_view){l.w->value, 1, in}, NULL, in, out, columns,
                       add);
}

/* ---- attention ---- */

/* One head's block of queries: slopes of its scores, and what they and its weights give. dv, dq, dk are the head's. */
static void block_back(const struct patchtst *p, const struct attention_arrays *head,
                       struct part *part, lanes *v, lanes *dv, lanes *dy, const lanes *dot,
                       size_t first, size_t rows, size_t slot) {
    const struct lanes_kernels *k = p->kernels;
    size_t t = p->tokens, inner = (slot + 1) * p->dk;
    bool add =
        slot + 1 < p->slots; /* later layers have written their share of these scores' gradients */
    struct lanes_view weights = lanes_view(part->scores, 1, t),
                      slopes = lanes_view(part->slopes, 1, t);
    patchtst_scores(p, part->scores, head->q, head->k, first, rows, slot);
    k->softmax_again(part->scores, head->top + first, head->inverse + first, rows, t);
    k->product(lanes_view(part->slopes, t, 1), lanes_view(dy + first, 1, t), lanes_view(v, 1, t),
               rows, t, p->dk, false);
    k->softmax_slope(part->slopes, part->scores, dot + first, rows, t);
    k->product(lanes_view(dv, t, 1), lanes_view(dy + first, t, 1), weights, p->dk, t, rows,
               first > 0);
    k->product(lanes_view(head->dq + first, t, 1), lanes_view(head->k, t, 1),
               lanes_view(part->slopes, t, 1), inner, rows, t, add);
    k->product(lanes_view(head->dk, t, 1), lanes_view(head->q + first, t, 1), slopes, inner, t,
               rows, add || first > 0);
}

void patchtst_attention_back(const struct pass *pass, size_t layer,
                             const struct attention_arrays *a, struct part *part, lanes *d,
                             lanes *u, const struct lanes_dropout *drop) {
    const struct patchtst *p = pass->p;
    const struct layer_params *l = &pass->bb->layers[layer];
    size_t t = p->tokens, slot = p->config.res_attention ? layer : 0, n = p->dk * t;
    lanes *branch = d, *dy = part->b, *dv = part->c, *dot = part->dot;
    if (drop->on) p->kernels->dropped(branch = part->a, NULL, d, p->d, t, drop);
    struct lanes_view uv = lanes_view(u, t, 1), bv = lanes_view(branch, t, 1),
                      dyv = lanes_view(dy, t, 1), dvv = lanes_view(dv, t, 1);
    linear_grads(pass, part, l->out, bv, lanes_view(a->o, t, 1), t);
    linear_dx(p, dyv, l->out, bv, t, false);
    patchtst_values(p, l, part->v, u);
    for (size_t h = 0; h < p->heads; h++) {
        size_t at = h * p->slots * n;
        struct attention_arrays head = {a->q + at,      a->k + at,          a->o + h * n,
                                        a->top + h * t, a->inverse + h * t, a->dq + at,
                                        a->dk + at};
        p->kernels->dot_rows(dot, lanes_view(dy + h * n, t, 1), lanes_view(head.o, t, 1), p->dk, t);
        for (size_t i = 0; i < t; i += p->attention_rows)
            block_back(p, &head, part, part->v + h * n, dv + h * n, dy + h * n, dot, i,
                       t - i < p->attention_rows ? t - i : p->attention_rows, slot);
    }
    /* This layer's queries and keys have now heard from every layer that used them. */
    linear_grads(pass, part, l->v, dvv, uv, t);
    linear_dx(p, lanes_view(d, t, 1), l->v, dvv, t, true);
    patchtst_to_slot(p, a->dq, dy, slot, l->scale->value[0], true);
    linear_grads(pass, part, l->q, dyv, uv, t);
    linear_dx(p, lanes_view(d, t, 1), l->q, dyv, t, true);
    patchtst_to_slot(p, a->dk, dy, slot, (nn_real)LN_2, true);
    linear_grads(pass, part, l->k, dyv, uv, t);
    linear_dx(p, lanes_view(d, t, 1), l->k, dyv, t, true);
}

/* ---- feed-forward ---- */

void patchtst_feed_forward_back(const struct pass *pass, size_t layer, struct part *part, lanes *d,
                                lanes *u, const struct lanes_dropout *inner,
                                const struct lanes_dropout *outer) {
    const struct patchtst *p = pass->p;
    const struct layer_params *l = &pass->bb->layers[layer];
    size_t t = p->tokens;
    bool relu = p->config.activation == PATCHTST_RELU;
    lanes *branch = part->a; /* d changes block by block */
    p->kernels->dropped(branch, NULL, d, p->d, t, outer);
    for (size_t i = 0; i < t; i += p->block_tokens) {
        size_t columns = t - i < p->block_tokens ? t - i : p->block_tokens;
        struct lanes_view hv = lanes_view(part->h, columns, 1), dy = lanes_view(branch + i, t, 1);
        patchtst_hidden(p, l, part->h, u, i, columns);
        p->kernels->activate(part->h, part->slope, (struct lanes_block){p->ff, columns, i, t},
                             inner, relu);
        linear_grads(pass, part, l->ff2, dy, hv, columns);
        linear_dx(p, hv, l->ff2, dy, columns, false);
        p->kernels->multiply(part->h, part->slope, p->ff * columns);
        linear_grads(pass, part, l->ff1, hv, lanes_view(u + i, t, 1), columns);
        linear_dx(p, lanes_view(d + i, t, 1), l->ff1, hv, columns, true);
    }
}

/* ---- head and scaling ---- */

static void one_head_back(const struct pass *pass, struct part *part, struct linear_params head,
                          lanes *d, lanes *y, lanes *u, size_t n, bool add) {
    const struct patchtst *p = pass->p;
    size_t in = p->d * p->tokens;
    struct lanes_view dy = lanes_view(y, 1, p->horizon);
    linear_grads(pass, part, head, dy, lanes_view(u, 1, in), n);
    linear_dx(p, lanes_view(d, 1, in), head, dy, n, add);
}

void patchtst_head_back(const struct pass *pass, struct part *part, lanes *d, lanes *y, lanes *u,
                        size_t first_group, size_t n) {
    const struct patchtst *p = pass->p;
    if (!p->config.individual) {
        one_head_back(pass, part, pass->bb->heads[0], d, y, u, n, false);
        return;
    }
    size_t in = p->d * p->tokens;
    for (size_t i = 0; i < n; i++) {
        bool add = false;
        for (size_t h = 0; h < p->channels; h++) {
            lanes one;
            if (patchtst_head_lanes(p, &one, first_group + i, h) == 0) continue;
            for (size_t j = 0; j < p->horizon; j++) part->out[j] = y[i * p->horizon + j] * one;
            one_head_back(pass, part, pass->bb->heads[h], d + i * in, part->out, u + i * in, 1,
                          add);
            add = true;
        }
    }
}

/* Sums of RevIN's two gradients to the channels of their lanes; lanes without a sequence hold zeros. */
static void add_affine(const struct pass *pass, struct part *part, const lanes *dw, const lanes *db,
                       size_t group) {
    nn_real *w = patchtst_grad(pass, part, pass->bb->revin_w),
            *b = patchtst_grad(pass, part, pass->bb->revin_b);
    for (size_t i = 0; i < LANES; i++) {
        size_t channel = (group * LANES + i) % pass->p->channels;
        w[channel] += (*dw)[i];
        b[channel] += (*db)[i];
    }
}

void patchtst_unscale_back(const struct pass *pass, struct part *part, lanes *y, const lanes *dy,
                           const lanes *dev, size_t group) {
    const struct patchtst *p = pass->p;
    const struct backbone *bb = pass->bb;
    if (!bb->revin_w) {
        for (size_t i = 0; i < p->horizon; i++) y[i] = p->config.revin ? dy[i] * *dev : dy[i];
        return;
    }
    lanes w, b, dw = {0}, db = {0};
    patchtst_channel_values(p, &w, bb->revin_w, group);
    patchtst_channel_values(p, &b, bb->revin_b, group);
    w += (nn_real)REVIN_AFFINE_EPS;
    for (size_t i = 0; i < p->horizon; i++) {
        lanes slope = dy[i] * *dev / w;
        db -= slope;
        dw -= slope * ((y[i] - b) / w);
        y[i] = slope;
    }
    add_affine(pass, part, &dw, &db, group);
}

/* ---- embedding ---- */

static void pos_back(const struct pass *pass, struct part *part, const lanes *d) {
    const struct patchtst *p = pass->p;
    size_t wide = pass->bb->pos->shape[1];
    nn_real *to = patchtst_grad(pass, part, pass->bb->pos);
    for (size_t i = 0; i < p->d; i++)
        for (size_t t = 0; t < p->tokens; t++) {
            lanes v = d[i * p->tokens + t];
            nn_real sum = 0;
            for (size_t lane = 0; lane < LANES; lane++) sum += v[lane];
            to[t * wide + (wide > 1 ? i : 0)] += sum;
        }
}

/* Gradient of RevIN's affine part through the patches; x (seq_len): standardised, d (d, tokens) */
static void affine_back(const struct pass *pass, struct part *part, lanes *d, const lanes *x,
                        size_t group) {
    const struct patchtst *p = pass->p;
    size_t t = p->tokens, patch = p->config.patch_len, stride = p->config.stride;
    lanes dw = {0}, db = {0}, *dx = part->raw;
    linear_dx(p, lanes_view(part->patches, t, 1), pass->bb->embed, lanes_view(d, t, 1), t, false);
    for (size_t i = 0; i < p->length; i++) dx[i] = (lanes){0};
    for (size_t i = 0; i < patch; i++)
        for (size_t c = 0; c < t; c++) dx[c * stride + i] += part->patches[i * t + c];
    for (size_t i = 0; i < p->length; i++) {
        db += dx[i];
        dw += dx[i] * x[i < p->config.seq_len ? i : p->config.seq_len - 1];
    }
    add_affine(pass, part, &dw, &db, group);
}

void patchtst_embed_back(const struct pass *pass, struct part *part, lanes *d, const lanes *x,
                         const struct lanes_dropout *drop, size_t group) {
    const struct patchtst *p = pass->p;
    size_t t = p->tokens;
    if (drop->on) p->kernels->dropped(d, NULL, d, p->d, t, drop);
    patchtst_patched(p, pass->bb, part->x, x, group);
    linear_grads(pass, part, pass->bb->embed, lanes_view(d, t, 1),
                 lanes_view(part->x, 1, p->config.stride), t);
    if (pass->bb->pos->grad) pos_back(pass, part, d);
    if (pass->bb->revin_w) affine_back(pass, part, d, x, group);
}
