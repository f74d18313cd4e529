/* A group of eight sequences through the network: what training and inference share. */
#include <math.h>

#include "ml/patchtst/patchtst_internal.h"

/* ---- input ---- */

/* The backbone's own part of a window: moving average of width kernel_size with the ends repeated, or what it leaves. */
static void decompose(const struct patchtst *p, lanes *raw, lanes *scratch, bool trend) {
    size_t length = p->config.seq_len, half = p->config.kernel_size / 2;
    nn_real width = (nn_real)p->config.kernel_size;
    for (size_t t = 0; t < length; t++) {
        lanes sum = {0};
        for (size_t i = t; i <= t + 2 * half; i++) {
            size_t at = i < half ? 0 : i - half;
            sum += raw[at < length ? at : length - 1];
        }
        scratch[t] = sum / width;
    }
    for (size_t t = 0; t < length; t++) raw[t] = trend ? scratch[t] : raw[t] - scratch[t];
}

void patchtst_gather(const struct pass *pass, lanes *raw, lanes *scratch, size_t group) {
    const struct patchtst *p = pass->p;
    size_t length = p->config.seq_len, channels = p->channels, first = group * LANES;
    const nn_real *from[LANES];
    size_t used = pass->sequences - first < LANES ? pass->sequences - first : LANES;
    for (size_t i = 0; i < LANES; i++) {
        size_t s =
            i < used ? first + i : first; /* unused lanes repeat the first: no number is special */
        from[i] = pass->batch->x + s / channels * length * channels + s % channels;
    }
    for (size_t t = 0; t < length; t++)
        for (size_t i = 0; i < LANES; i++) raw[t][i] = from[i][t * channels];
    if (p->config.decomposition) decompose(p, raw, scratch, pass->bb == &p->backbones[0]);
}

void patchtst_revin(const struct patchtst *p, lanes *x, lanes *centre, lanes *dev,
                    const lanes *raw) {
    size_t length = p->config.seq_len;
    if (!p->config.revin) {
        for (size_t t = 0; t < length; t++) x[t] = raw[t];
        return;
    }
    for (size_t i = 0; i < LANES; i++) {
        double mean = 0, squares = 0;
        for (size_t t = 0; t < length; t++) mean += (double)raw[t][i];
        mean /= (double)length;
        for (size_t t = 0; t < length; t++) {
            double d = (double)raw[t][i] - mean;
            squares += d * d;
        }
        (*centre)[i] = p->config.subtract_last ? raw[length - 1][i] : (nn_real)mean;
        (*dev)[i] = (nn_real)sqrt(squares / (double)length + 1e-5);
    }
    for (size_t t = 0; t < length; t++) x[t] = (raw[t] - *centre) / *dev;
}

void patchtst_channel_values(const struct patchtst *p, lanes *out, const struct nn_tensor *t,
                             size_t group) {
    for (size_t i = 0; i < LANES; i++) (*out)[i] = t->value[(group * LANES + i) % p->channels];
}

void patchtst_patched(const struct patchtst *p, const struct backbone *bb, lanes *out,
                      const lanes *x, size_t group) {
    size_t length = p->config.seq_len;
    if (bb->revin_w) {
        lanes w, b;
        patchtst_channel_values(p, &w, bb->revin_w, group);
        patchtst_channel_values(p, &b, bb->revin_b, group);
        for (size_t t = 0; t < length; t++) out[t] = x[t] * w + b;
    } else if (out != x)
        for (size_t t = 0; t < length; t++) out[t] = x[t];
    for (size_t t = length; t < p->length; t++) out[t] = out[length - 1];
}

/* z (d, tokens) = dropout(w (d, patch) x (patch, tokens) + b + pos); patches overlap in place */
void patchtst_embed(const struct patchtst *p, const struct backbone *bb, lanes *z, lanes *x,
                    const struct lanes_dropout *drop) {
    size_t t = p->tokens, patch = p->config.patch_len, wide = bb->pos->shape[1];
    p->kernels->linear(lanes_view(z, t, 1), lanes_view(x, 1, p->config.stride),
                       (struct weights_view){bb->embed.w->value, patch, 1}, bb->embed.b->value,
                       p->d, patch, t, false);
    for (size_t i = 0; i < p->d; i++)
        for (size_t c = 0; c < t; c++)
            z[i * t + c] += bb->pos->value[c * wide + (wide > 1 ? i : 0)];
    if (drop->on) p->kernels->dropped(z, NULL, z, p->d, t, drop);
}

/* ---- normalisation ---- */

int patchtst_norm_before(const struct patchtst *p, size_t stage) {
    if (p->config.pre_norm) return stage < 2 * p->layers ? (int)stage : -1;
    return (int)stage - 1;
}

lanes *patchtst_normalise(const struct patchtst *p, const struct backbone *bb, lanes *u, lanes *z,
                          size_t stage) {
    int norm = patchtst_norm_before(p, stage);
    if (norm < 0) return z;
    if (p->config.norm == PATCHTST_BATCH_NORM)
        p->kernels->affine(u, z, bb->states[norm].scale, bb->states[norm].shift, p->d, p->tokens);
    else
        p->kernels->layernorm(u, z, bb->norms[norm].w->value, bb->norms[norm].b->value, p->d,
                              p->tokens);
    return u;
}

/* ---- attention ---- */

static void project(const struct patchtst *p, lanes *y, lanes *x, struct linear_params l,
                    size_t columns) {
    size_t out = l.w->shape[0], in = l.w->shape[1];
    p->kernels->linear(lanes_view(y, columns, 1), lanes_view(x, columns, 1),
                       (struct weights_view){l.w->value, in, 1}, l.b->value, out, in, columns,
                       false);
}

void patchtst_values(const struct patchtst *p, const struct layer_params *l, lanes *v, lanes *u) {
    project(p, v, u, l->v, p->tokens);
}

/* Rows of a head from (inner, tokens) into its slot of (heads, slots, dk, tokens), or back. */
void patchtst_to_slot(const struct patchtst *p, lanes *slots, lanes *plain, size_t slot,
                      nn_real factor, bool back) {
    size_t t = p->tokens, n = p->dk * t;
    for (size_t h = 0; h < p->heads; h++) {
        struct lanes_view in = lanes_view(plain + h * n, t, 1),
                          out = lanes_view(slots + (h * p->slots + slot) * n, t, 1);
        p->kernels->scaled(back ? in : out, back ? out : in, factor, p->dk, t);
    }
}

/* scores (rows, tokens) of a block of queries, base 2: residual scores are one product over the layers so far */
void patchtst_scores(const struct patchtst *p, lanes *scores, lanes *q, lanes *k, size_t first,
                     size_t rows, size_t slot) {
    size_t t = p->tokens;
    p->kernels->product(lanes_view(scores, t, 1), lanes_view(q + first, 1, t), lanes_view(k, 1, t),
                        rows, t, (slot + 1) * p->dk, false);
}

void patchtst_attention(const struct patchtst *p, const struct backbone *bb, size_t layer,
                        const struct attention_arrays *a, struct part *part, lanes *z, lanes *u,
                        const struct lanes_dropout *drop) {
    const struct layer_params *l = &bb->layers[layer];
    size_t t = p->tokens, slot = p->config.res_attention ? layer : 0, n = p->dk * t;
    project(p, part->a, u, l->q, t);
    /* scale and log2(e) go into the queries: scores come out ready for 2^x */
    patchtst_to_slot(p, a->q, part->a, slot, (nn_real)((double)l->scale->value[0] * LOG2_E), false);
    project(p, part->a, u, l->k, t);
    patchtst_to_slot(p, a->k, part->a, slot, 1, false);
    patchtst_values(p, l, part->v, u);
    for (size_t h = 0; h < p->heads; h++) {
        lanes *q = a->q + h * p->slots * n, *k = a->k + h * p->slots * n, *v = part->v + h * n;
        for (size_t i = 0; i < t; i += p->attention_rows) {
            size_t rows = t - i < p->attention_rows ? t - i : p->attention_rows;
            patchtst_scores(p, part->scores, q, k, i, rows, slot);
            p->kernels->softmax(part->scores, a->top ? a->top + h * t + i : NULL,
                                a->inverse ? a->inverse + h * t + i : NULL, rows, t);
            p->kernels->product(lanes_view(a->o + h * n + i, t, 1), lanes_view(v, t, 1),
                                lanes_view(part->scores, t, 1), p->dk, rows, t, false);
        }
    }
    project(p, part->a, a->o, l->out, t);
    p->kernels->dropped(z, u, part->a, p->d, t, drop);
}

/* ---- feed-forward: a block of tokens at a time, while its hidden values are near ---- */

void patchtst_hidden(const struct patchtst *p, const struct layer_params *l, lanes *h, lanes *u,
                     size_t first, size_t columns) {
    p->kernels->linear(lanes_view(h, columns, 1), lanes_view(u + first, p->tokens, 1),
                       (struct weights_view){l->ff1.w->value, p->d, 1}, l->ff1.b->value, p->ff,
                       p->d, columns, false);
}

void patchtst_feed_forward(const struct patchtst *p, const struct backbone *bb, size_t layer,
                           struct part *part, lanes *z, lanes *u, const struct lanes_dropout *inner,
                           const struct lanes_dropout *outer) {
    const struct layer_params *l = &bb->layers[layer];
    size_t t = p->tokens;
    bool relu = p->config.activation == PATCHTST_RELU;
    for (size_t i = 0; i < t; i += p->block_tokens) {
        size_t columns = t - i < p->block_tokens ? t - i : p->block_tokens;
        patchtst_hidden(p, l, part->h, u, i, columns);
        p->kernels->activate(part->h, NULL, (struct lanes_block){p->ff, columns, i, t}, inner,
                             relu);
        p->kernels->linear(lanes_view(part->a + i, t, 1), lanes_view(part->h, columns, 1),
                           (struct weights_view){l->ff2.w->value, p->ff, 1}, l->ff2.b->value, p->d,
                           p->ff, columns, false);
    }
    p->kernels->dropped(z, u, part->a, p->d, t, outer);
}

/* ---- head ---- */

size_t patchtst_head_lanes(const struct patchtst *p, lanes *one, size_t group, size_t head) {
    size_t count = 0;
    for (size_t i = 0; i < LANES; i++) {
        bool ours = !p->config.individual || (group * LANES + i) % p->channels == head;
        (*one)[i] = ours ? 1 : 0;
        count += ours;
    }
    return count;
}

static void head_of(const struct patchtst *p, struct linear_params head, lanes *y, lanes *u,
                    size_t n) {
    size_t in = p->d * p->tokens;
    p->kernels->linear(lanes_view(y, 1, p->horizon), lanes_view(u, 1, in),
                       (struct weights_view){head.w->value, in, 1}, head.b->value, p->horizon, in,
                       n, false);
}

/* Channels of one group have heads of their own: each runs over all lanes, its own are kept. Costs up to eight times the
 * head's share of the work, some tenths of the network's; such heads are rare. */
static void individual_heads(const struct patchtst *p, const struct backbone *bb, lanes *y,
                             lanes *u, lanes *scratch, size_t group) {
    for (size_t h = 0; h < p->channels; h++) {
        lanes one;
        if (patchtst_head_lanes(p, &one, group, h) == 0) continue;
        head_of(p, bb->heads[h], scratch, u, 1);
        for (size_t i = 0; i < p->horizon; i++)
            for (size_t lane = 0; lane < LANES; lane++)
                if (one[lane] > 0) y[i][lane] = scratch[i][lane];
    }
}

void patchtst_head(const struct patchtst *p, const struct backbone *bb, lanes *y, lanes *u,
                   lanes *scratch, size_t first_group, size_t n) {
    if (!p->config.individual) {
        head_of(p, bb->heads[0], y, u, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        individual_heads(p, bb, y + i * p->horizon, u + i * p->d * p->tokens, scratch,
                         first_group + i);
}

/* ---- output ---- */

void patchtst_unscale(const struct patchtst *p, const struct backbone *bb, lanes *out,
                      const lanes *y, const lanes *centre, const lanes *dev, size_t group) {
    lanes w, b;
    if (bb->revin_w) {
        patchtst_channel_values(p, &w, bb->revin_w, group);
        patchtst_channel_values(p, &b, bb->revin_b, group);
    }
    for (size_t i = 0; i < p->horizon; i++) {
        lanes v = y[i];
        if (bb->revin_w) v = (v - b) / (w + (nn_real)REVIN_AFFINE_EPS);
        out[i] += p->config.revin ? v * *dev + *centre : v;
    }
}

void patchtst_scatter(const struct pass *pass, nn_real *y, const lanes *from, size_t group) {
    const struct patchtst *p = pass->p;
    for (size_t i = 0; i < LANES && group * LANES + i < pass->sequences; i++) {
        size_t s = group * LANES + i;
        nn_real *to = y + s / p->channels * p->horizon * p->channels + s % p->channels;
        for (size_t h = 0; h < p->horizon; h++) to[h * p->channels] = from[h][i];
    }
}

void patchtst_range(const struct pass *pass, uint32_t part, size_t *first, size_t *end) {
    *first = pass->groups * part / pass->parts;
    *end = pass->groups * (part + 1) / pass->parts;
}
