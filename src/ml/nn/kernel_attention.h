/* One head of attention: tokens side by side in the lanes, so that a head of few columns fills the
 * vectors too. */
#ifndef ML_NN_KERNEL_ATTENTION_H
#define ML_NN_KERNEL_ATTENTION_H

#include "ml/nn/kernel_pointwise.h"

/* Columns of a head by tokens, transposed; larger heads take the plain way. */
enum { TILE = 4096 };

KERNEL_INLINE size_t padded_tokens(size_t tokens) {
    return (tokens + LANES - 1) / LANES * LANES;
}

/* t (dk, width) = x (tokens, dk) transposed, zeros behind. */
KERNEL_INLINE void transpose(nn_real *t, const nn_real *x, size_t tokens, size_t stride, size_t dk,
                             size_t width) {
    for (size_t c = 0; c < dk; c++) {
        for (size_t j = 0; j < tokens; j++) t[c * width + j] = x[j * stride + c];
        for (size_t j = tokens; j < width; j++) t[c * width + j] = 0;
    }
}

KERNEL_INLINE vec load_some(const nn_real *p, size_t count) {
    return count >= LANES ? v_load(p) : v_load_part(p, count);
}

KERNEL_INLINE void store_some(nn_real *p, vec v, size_t count) {
    if (count >= LANES)
        v_store(p, v);
    else
        v_store_part(p, v, count);
}

/* sum over c of x[c] * t[c][j], for LANES tokens. */
KERNEL_INLINE vec products(const nn_real *x, const nn_real *t, size_t dk, size_t width) {
    vec sum = v_splat(x[0]) * v_load(t);
    for (size_t c = 1; c < dk; c++) sum += v_splat(x[c]) * v_load(t + c * width);
    return sum;
}

/* out[c] = factor * sum over j of row[j] * t[c][j]; row has zeros behind the tokens. */
KERNEL_INLINE void gather(nn_real *out, const nn_real *row, const nn_real *t, size_t dk,
                          size_t width, nn_real factor) {
    for (size_t c = 0; c < dk; c++) {
        vec sum = v_load(row) * v_load(t + c * width);
        for (size_t j = LANES; j < width; j += LANES)
            sum += v_load(row + j) * v_load(t + c * width + j);
        out[c] = factor * v_sum(sum);
    }
}

static void attention_forward_tiled(const struct attention_head *h) {
    nn_real k[TILE], v[TILE], p[TILE];
    size_t n = h->tokens, width = padded_tokens(n);
    transpose(k, h->k, n, h->stride, h->dk, width);
    transpose(v, h->v, n, h->stride, h->dk, width);
    vec scale = v_splat(h->scale);
    memset(p, 0, width * sizeof *p);
    for (size_t i = 0; i < n; i++) {
        nn_real *scores = h->scores + i * n;
        const nn_real *previous = h->previous ? h->previous + i * n : NULL;
        for (size_t j = 0; j < n; j += LANES) {
            vec s = products(h->q + i * h->stride, k + j, h->dk, width) * scale;
            if (previous) s += load_some(previous + j, n - j);
            store_some(scores + j, s, n - j);
        }
        softmax_row(p, scores, n);
        for (size_t j = 0; j < n; j += LANES) store_some(h->p + i * n + j, v_load(p + j), n - j);
        gather(h->y + i * h->stride, p, v, h->dk, width, 1);
    }
}

static void attention_forward_plain(const struct attention_head *h) {
    size_t n = h->tokens;
    for (size_t i = 0; i < n; i++) {
        nn_real *scores = h->scores + i * n, *p = h->p + i * n;
        for (size_t j = 0; j < n; j++) {
            nn_real sum = 0;
            for (size_t c = 0; c < h->dk; c++)
                sum += h->q[i * h->stride + c] * h->k[j * h->stride + c];
            scores[j] = sum * h->scale + (h->previous ? h->previous[i * n + j] : 0);
        }
        softmax_row(p, scores, n);
        for (size_t c = 0; c < h->dk; c++) {
            nn_real sum = 0;
            for (size_t j = 0; j < n; j++) sum += p[j] * h->v[j * h->stride + c];
            h->y[i * h->stride + c] = sum;
        }
    }
}

static void attention_forward(const struct attention_head *h) {
    if (padded_tokens(h->tokens) * h->dk <= TILE)
        attention_forward_tiled(h);
    else
        attention_forward_plain(h);
}

/* t[c][j] += row[j] * x[c] */
KERNEL_INLINE void spread(nn_real *t, const nn_real *row, const nn_real *x, size_t dk,
                          size_t width) {
    for (size_t c = 0; c < dk; c++) {
        vec factor = v_splat(x[c]);
        for (size_t j = 0; j < width; j += LANES)
            v_store(t + c * width + j, v_load(t + c * width + j) + v_load(row + j) * factor);
    }
}

static void attention_backward_tiled(const struct attention_head *h) {
    nn_real k[TILE], v[TILE], dk[TILE], dv[TILE], p[TILE], ds[TILE];
    size_t n = h->tokens, width = padded_tokens(n);
    transpose(k, h->k, n, h->stride, h->dk, width);
    transpose(v, h->v, n, h->stride, h->dk, width);
    memset(dk, 0, width * h->dk * sizeof *dk);
    memset(dv, 0, width * h->dk * sizeof *dv);
    for (size_t i = 0; i < n; i++) {
        const nn_real *dy = h->dy + i * h->stride;
        vec dot = v_splat(0);
        for (size_t j = 0; j < n; j += LANES) {
            vec kept = load_some(h->p_kept + i * n + j, n - j),
                dp = products(dy, v + j, h->dk, width);
            dot += kept * dp;
            v_store(p + j, kept);
            v_store(ds + j, dp);
        }
        dot = v_splat(v_sum(dot));
        for (size_t j = 0; j < n; j += LANES) {
            vec s = v_load(p + j) * (v_load(ds + j) - dot);
            if (h->dscores) s += load_some(h->dscores + i * n + j, n - j);
            store_some(h->dscores_out + i * n + j, s, n - j);
            v_store(ds + j, s);
        }
        gather(h->dq + i * h->stride, ds, k, h->dk, width, h->scale);
        spread(dk, ds, h->q + i * h->stride, h->dk, width);
        spread(dv, p, dy, h->dk, width);
    }
    for (size_t j = 0; j < n; j++)
        for (size_t c = 0; c < h->dk; c++) {
            h->dk_out[j * h->stride + c] = h->scale * dk[c * width + j];
            h->dv[j * h->stride + c] = dv[c * width + j];
        }
}

static void attention_backward_plain(const struct attention_head *h) {
    size_t n = h->tokens, stride = h->stride;
    for (size_t j = 0; j < n; j++)
        for (size_t c = 0; c < h->dk; c++)
            h->dq[j * stride + c] = h->dk_out[j * stride + c] = h->dv[j * stride + c] = 0;
    for (size_t i = 0; i < n; i++) {
        const nn_real *p = h->p_kept + i * n;
        nn_real *dp = h->scratch, dot = 0;
        for (size_t j = 0; j < n; j++) {
            dp[j] = 0;
            for (size_t c = 0; c < h->dk; c++)
                dp[j] += h->dy[i * stride + c] * h->v[j * stride + c];
            dot += dp[j] * p[j];
        }
        for (size_t j = 0; j < n; j++) {
            nn_real s = p[j] * (dp[j] - dot) + (h->dscores ? h->dscores[i * n + j] : 0);
            h->dscores_out[i * n + j] = s;
            for (size_t c = 0; c < h->dk; c++) {
                h->dq[i * stride + c] += s * h->scale * h->k[j * stride + c];
                h->dk_out[j * stride + c] += s * h->scale * h->q[i * stride + c];
                h->dv[j * stride + c] += p[j] * h->dy[i * stride + c];
            }
        }
    }
}

static void attention_backward(const struct attention_head *h) {
    if (padded_tokens(h->tokens) * h->dk <= TILE)
        attention_backward_tiled(h);
    else
        attention_backward_plain(h);
}

#endif
