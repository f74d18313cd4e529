/* PatchTST in evaluation mode, written plainly from docs/patchtst.md: double, one sequence at a time, loops as in the formulas.
 * Parameters are found by their names. Nothing of the network under test is used but its configuration and values. */
#ifndef ML_PATCHTST_PATCHTST_TWIN_H
#define ML_PATCHTST_PATCHTST_TWIN_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ml/patchtst/patchtst.h"

enum { TWIN_MAX = 4096 };

struct twin {
    struct nn_params *params;
    const struct patchtst_config *c;
    const char *prefix;
    size_t tokens, dk, inner, channel;
    double u[TWIN_MAX];      /* (tokens, d) */
    double scores[TWIN_MAX]; /* (heads, tokens, tokens): the sum so far */
};

static const nn_real *twin_values(struct twin *w, const char *name) {
    char full[NN_NAME_SIZE];
    snprintf(full, sizeof full, "%s.%s", w->prefix, name);
    struct nn_tensor *t = nn_params_find(w->params, full);
    if (!t) fprintf(stderr, "no parameter %s\n", full);
    return t->value;
}

static const nn_real *twin_layer(struct twin *w, size_t layer, const char *name) {
    char full[NN_NAME_SIZE];
    snprintf(full, sizeof full, "backbone.encoder.layers.%zu.%s", layer, name);
    return twin_values(w, full);
}

/* y (rows, out) = x (rows, in) weight^T + bias of a layer's linear map */
static void twin_linear(struct twin *w, double *y, const double *x, size_t layer, const char *name,
                        size_t rows, size_t in, size_t out) {
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    const nn_real *a = twin_layer(w, layer, weight), *b = twin_layer(w, layer, bias);
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < out; o++) {
            double sum = (double)b[o];
            for (size_t i = 0; i < in; i++) sum += (double)a[o * in + i] * x[r * in + i];
            y[r * out + o] = sum;
        }
}

static void twin_norm(struct twin *w, size_t layer, const char *name) {
    bool batch = w->c->norm == PATCHTST_BATCH_NORM;
    char full[64];
    const nn_real *values[4] = {NULL};
    static const char *const fields[4] = {"weight", "bias", "running_mean", "running_var"};
    for (int i = 0; i < (batch ? 4 : 2); i++) {
        snprintf(full, sizeof full, "%s%s.%s", name, batch ? ".1" : "", fields[i]);
        values[i] = twin_layer(w, layer, full);
    }
    size_t d = w->c->d_model;
    for (size_t t = 0; t < w->tokens; t++) {
        double mean = 0, var = 0, *u = w->u + t * d;
        for (size_t i = 0; i < d; i++) mean += u[i] / (double)d;
        for (size_t i = 0; i < d; i++) var += (u[i] - mean) * (u[i] - mean) / (double)d;
        for (size_t i = 0; i < d; i++) {
            double m = batch ? (double)values[2][i] : mean, v = batch ? (double)values[3][i] : var;
            u[i] = (u[i] - m) / sqrt(v + 1e-5) * (double)values[0][i] + (double)values[1][i];
        }
    }
}

static void twin_attention(struct twin *w, size_t layer) {
    static double q[TWIN_MAX], k[TWIN_MAX], v[TWIN_MAX], o[TWIN_MAX], out[TWIN_MAX];
    size_t n = w->tokens, d = w->c->d_model;
    double scale = (double)twin_layer(w, layer, "self_attn.sdp_attn.scale")[0];
    twin_linear(w, q, w->u, layer, "self_attn.W_Q", n, d, w->inner);
    twin_linear(w, k, w->u, layer, "self_attn.W_K", n, d, w->inner);
    twin_linear(w, v, w->u, layer, "self_attn.W_V", n, d, w->inner);
    for (size_t h = 0; h < w->c->n_heads; h++)
        for (size_t i = 0; i < n; i++) {
            double *s = w->scores + (h * n + i) * n, sum = 0;
            double *to = o + i * w->inner + h * w->dk;
            for (size_t j = 0; j < n; j++) {
                double score = 0;
                for (size_t e = h * w->dk; e < (h + 1) * w->dk; e++)
                    score += q[i * w->inner + e] * k[j * w->inner + e] * scale;
                s[j] = score + (w->c->res_attention && layer > 0 ? s[j] : 0);
                sum += exp(s[j]);
            }
            for (size_t e = 0; e < w->dk; e++) {
                to[e] = 0;
                for (size_t j = 0; j < n; j++)
                    to[e] += exp(s[j]) / sum * v[j * w->inner + h * w->dk + e];
            }
        }
    twin_linear(w, out, o, layer, "self_attn.to_out.0", n, w->inner, d);
    for (size_t i = 0; i < n * d; i++) w->u[i] += out[i];
}

static void twin_feed_forward(struct twin *w, size_t layer) {
    static double h[TWIN_MAX], out[TWIN_MAX];
    size_t n = w->tokens, d = w->c->d_model, ff = w->c->d_ff;
    twin_linear(w, h, w->u, layer, "ff.0", n, d, ff);
    for (size_t i = 0; i < n * ff; i++)
        h[i] = w->c->activation == PATCHTST_GELU ? h[i] * 0.5 * (1 + erf(h[i] / sqrt(2.0)))
                                                 : fmax(h[i], 0);
    twin_linear(w, out, h, layer, "ff.3", n, ff, d);
    for (size_t i = 0; i < n * d; i++) w->u[i] += out[i];
}

static void twin_embed(struct twin *w, const double *x) {
    const nn_real *weight = twin_values(w, "backbone.W_P.weight"),
                  *bias = twin_values(w, "backbone.W_P.bias"),
                  *pos = twin_values(w, "backbone.W_pos");
    bool column = w->c->pe == PATCHTST_PE_ZERO || w->c->pe == PATCHTST_PE_NORMAL ||
                  w->c->pe == PATCHTST_PE_UNIFORM;
    size_t d = w->c->d_model, patch = w->c->patch_len;
    for (size_t t = 0; t < w->tokens; t++)
        for (size_t i = 0; i < d; i++) {
            double sum = (double)bias[i] + (double)pos[column ? t : t * d + i];
            for (size_t j = 0; j < patch; j++)
                sum += (double)weight[i * patch + j] * x[t * w->c->stride + j];
            w->u[t * d + i] = sum;
        }
}

static void twin_head(struct twin *w, double *y) {
    char name[64], weight[80], bias[80];
    snprintf(name, sizeof name, w->c->individual ? "head.linears.%zu" : "head.linear", w->channel);
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    const nn_real *a = twin_values(w, weight), *b = twin_values(w, bias);
    size_t d = w->c->d_model, n = w->tokens;
    for (size_t h = 0; h < w->c->pred_len; h++) {
        y[h] = (double)b[h];
        for (size_t i = 0; i < d; i++)
            for (size_t t = 0; t < n; t++)
                y[h] += (double)a[h * d * n + i * n + t] * w->u[t * d + i];
    }
}

/* y (pred_len) += forecast of one backbone from x (seq_len), one channel of one window */
static void twin_backbone(struct twin *w, double *y, const double *x) {
    static double s[TWIN_MAX], own[TWIN_MAX];
    size_t length = w->c->seq_len;
    double mean = 0, var = 0, centre, dev, aw = 1, ab = 0;
    for (size_t t = 0; t < length; t++) mean += x[t] / (double)length;
    for (size_t t = 0; t < length; t++) var += (x[t] - mean) * (x[t] - mean) / (double)length;
    centre = w->c->revin ? (w->c->subtract_last ? x[length - 1] : mean) : 0;
    dev = w->c->revin ? sqrt(var + 1e-5) : 1;
    if (w->c->revin && w->c->affine) {
        aw = (double)twin_values(w, "revin_layer.affine_weight")[w->channel];
        ab = (double)twin_values(w, "revin_layer.affine_bias")[w->channel];
    }
    for (size_t t = 0; t < length + w->c->stride; t++)
        s[t] = (x[t < length ? t : length - 1] - centre) / dev * aw + ab;
    twin_embed(w, s);
    for (size_t l = 0; l < w->c->e_layers; l++) {
        if (w->c->pre_norm) twin_norm(w, l, "norm_attn");
        twin_attention(w, l);
        twin_norm(w, l, w->c->pre_norm ? "norm_ffn" : "norm_attn");
        twin_feed_forward(w, l);
        if (!w->c->pre_norm) twin_norm(w, l, "norm_ffn");
    }
    twin_head(w, own);
    for (size_t h = 0; h < w->c->pred_len; h++) y[h] += (own[h] - ab) / (aw + 1e-10) * dev + centre;
}

/* y (pred_len, c_in) of one window x (seq_len, c_in) */
static void twin_predict(struct network *net, double *y, const nn_real *x) {
    static struct twin w;
    static double own[TWIN_MAX], trend[TWIN_MAX], out[TWIN_MAX];
    const struct patchtst_config *c = patchtst_config_of(net);
    w = (struct twin){.params = &net->params, .c = c, .tokens = patchtst_tokens(c)};
    w.dk = c->d_model / c->n_heads;
    w.inner = w.dk * c->n_heads;
    for (w.channel = 0; w.channel < c->c_in; w.channel++) {
        long length = (long)c->seq_len, half = (long)c->kernel_size / 2;
        for (long t = 0; t < length; t++) own[t] = (double)x[(size_t)t * c->c_in + w.channel];
        memset(out, 0, sizeof out);
        for (long t = 0; t < length; t++) {
            trend[t] = 0;
            for (long i = t - half; i <= t + half; i++)
                trend[t] += own[i < 0 ? 0 : i >= length ? length - 1 : i] / (double)c->kernel_size;
        }
        w.prefix = c->decomposition ? "model_trend" : "model";
        twin_backbone(&w, out, c->decomposition ? trend : own);
        if (c->decomposition) {
            for (long t = 0; t < length; t++) own[t] -= trend[t];
            w.prefix = "model_res";
            twin_backbone(&w, out, own);
        }
        for (size_t h = 0; h < c->pred_len; h++) y[h * c->c_in + w.channel] = out[h];
    }
}

#endif
