/* The two networks at trading size, with the head that makes voters of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "learn/net_internal.h"
#include "ml/nhits/nhits.h"
#include "ml/patchtst/patchtst.h"
#include "num/elementary.h"

enum { ALIGN = 64, NHITS_HIDDEN = 128, NHITS_OUTPUTS = 8, NHITS_STACKS = 3 };

/* ---- what they are ---- */

/* The scripts' small network on eight channels. No RevIN: windows are normalised, and a return's zero is to be seen. */
static struct patchtst_config patchtst_config_trading(size_t horizon) {
    struct patchtst_config c = patchtst_config_defaults();
    c.c_in = NET_CHANNELS;
    c.seq_len = NET_WINDOW;
    c.pred_len = (uint32_t)horizon;
    c.revin = false;
    c.dropout = 0.2;
    return c;
}

/* neuralforecast's layout: three stacks of a block, coarse to fine; the other channels are its history's exogenous ones. */
static struct nhits_config nhits_config_trading(size_t horizon) {
    static const uint32_t pools[NHITS_STACKS] = {8, 4, 1}, ratios[NHITS_STACKS] = {4, 2, 1};
    struct nhits_config c = {.impl = NHITS_NEURALFORECAST,
                             .input_size = NET_WINDOW,
                             .h = (uint32_t)horizon,
                             .outputs = NHITS_OUTPUTS,
                             .stack_count = NHITS_STACKS,
                             .mlp_count = 1,
                             .mlp_units = {{NHITS_HIDDEN, NHITS_HIDDEN}},
                             .interpolation = NN_LINEAR,
                             .activation = NN_RELU,
                             .dropout = 0.5,
                             .hist_exog = NET_CHANNELS - 1};
    for (int i = 0; i < NHITS_STACKS; i++)
        c.stacks[i] = (struct nhits_stack){.blocks = 1, .pool = pools[i], .downsample = ratios[i]};
    return c;
}

const char *net_text(char out[NET_TEXT_SIZE], enum model_kind kind, size_t horizon) {
    if (kind == MODEL_PATCHTST) {
        struct patchtst_config c = patchtst_config_trading(horizon);
        snprintf(out, NET_TEXT_SIZE,
                 "c_in=%u,seq_len=%u,pred_len=%u,patch_len=%u,stride=%u,d_model=%u,n_heads=%u,e_"
                 "layers=%u,"
                 "d_ff=%u,revin=%d,dropout=%g",
                 c.c_in, c.seq_len, c.pred_len, c.patch_len, c.stride, c.d_model, c.n_heads,
                 c.e_layers, c.d_ff, c.revin, c.dropout);
    } else {
        struct nhits_config c = nhits_config_trading(horizon);
        snprintf(out, NET_TEXT_SIZE,
                 "input_size=%u,h=%u,outputs=%u,hist_exog=%u,pools=%u-%u-%u,downsample=%u-%u-%u,"
                 "hidden=%u,"
                 "dropout=%g",
                 c.input_size, c.h, c.outputs, c.hist_exog, c.stacks[0].pool, c.stacks[1].pool,
                 c.stacks[2].pool, c.stacks[0].downsample, c.stacks[1].downsample,
                 c.stacks[2].downsample, c.mlp_units[0][0], c.dropout);
    }
    return out;
}

/* ---- inputs ---- */

static float *floats(size_t n) {
    size_t bytes = (n * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
    float *block = aligned_alloc(ALIGN, bytes ? bytes : ALIGN);
    if (block) memset(block, 0, bytes);
    return block;
}

void net_input_free(struct net_input *in) {
    free(in->x);
    free(in->exog);
    *in = (struct net_input){0};
}

enum status net_input_init(struct net_input *in, size_t channels, bool exog, size_t batch_max,
                           struct err *err) {
    size_t bars = batch_max * NET_WINDOW;
    *in = (struct net_input){.channels = channels, .x = floats(bars * channels)};
    if (exog) in->exog = floats(bars * (NET_CHANNELS - 1));
    if (in->x && (in->exog || !exog)) return ST_OK;
    net_input_free(in);
    return err_set(err, ST_NO_MEMORY, "windows of a batch of %zu", batch_max);
}

static_assert(NET_TARGET_CHANNEL == 0, "the target is the first channel, the others follow it");

void net_input_set(struct net_input *in, size_t i, const float *window) {
    float *x = in->x + i * NET_WINDOW * in->channels;
    if (in->channels == NET_CHANNELS) {
        memcpy(x, window, NET_WINDOW * NET_CHANNELS * sizeof *x);
        return;
    }
    for (size_t k = 0; k < NET_WINDOW; k++) x[k] = window[k * NET_CHANNELS];
    if (!in->exog) return;
    float *exog = in->exog + i * NET_WINDOW * (NET_CHANNELS - 1);
    for (size_t k = 0; k < NET_WINDOW; k++)
        memcpy(exog + k * (NET_CHANNELS - 1), window + k * NET_CHANNELS + 1,
               (NET_CHANNELS - 1) * sizeof *exog);
}

float net_context(double barrier, double sigma, size_t horizon) {
    double ratio = barrier / (sigma * sqrt((double)horizon));
    return (float)num_log(fmin(fmax(ratio, 1.0 / 16), 16));
}

/* ---- creation ---- */

void net_destroy(struct net *net) {
    if (!net) return;
    if (net->network) net->network->class_of->destroy(net->network);
    net_head_free(&net->head);
    net_input_free(&net->input);
    free(net->packed);
    free(net->context);
    free(net->y);
    free(net->rows);
    free(net->z);
    free(net->path);
    free(net);
}

static enum status inference_memory(struct net *net, struct err *err) {
    size_t n = net->batch_max;
    net->packed = floats(nn_linear_pack_size(net->head.inputs, net->head.outputs));
    net->context = floats(n * NET_CONTEXT);
    net->y = floats(n * net->head.values);
    net->rows = floats(n * net->head.inputs);
    net->z = floats(n * net->head.outputs);
    net->path = malloc(n * net->horizon * NET_QUANTILES * sizeof *net->path);
    if (!net->path || !net->packed || !net->context || !net->y || !net->rows || !net->z)
        return err_set(err, ST_NO_MEMORY, "forecasts of %zu windows", n);
    return net_input_init(&net->input, net->network->channels, net->kind == MODEL_NHITS, n, err);
}

static enum status create(struct net *net, bool training, uint64_t seed, struct workers *workers,
                          struct err *err) {
    enum status st;
    if (net->kind == MODEL_PATCHTST) {
        struct patchtst_config c = patchtst_config_trading(net->horizon);
        st = patchtst_create(&net->network, &c, net->batch_max, training, seed, workers, err);
    } else {
        struct nhits_config c = nhits_config_trading(net->horizon);
        st = nhits_create(&net->network, &c, net->batch_max, training, seed, workers, err);
    }
    if (st != ST_OK) return st;
    size_t values = net->network->horizon * net->network->outputs;
    st = net_head_init(&net->head, net->horizon, values, net->batch_max, training, seed, workers,
                       err);
    return st == ST_OK && !training ? inference_memory(net, err) : st;
}

enum status net_create(struct net **out, enum model_kind kind, size_t horizon, size_t batch_max,
                       bool training, uint64_t seed, struct workers *workers, struct err *err) {
    *out = NULL;
    if (kind != MODEL_NHITS && kind != MODEL_PATCHTST)
        return err_set(err, ST_UNSUPPORTED, "%s is no network", model_kind_text(kind));
    if (horizon == 0 || horizon > NET_HORIZON_MAX)
        return err_set(err, ST_UNSUPPORTED, "%s: a label horizon of %zu bars, 1 to %d are possible",
                       model_kind_text(kind), horizon, NET_HORIZON_MAX);
    struct net *net = calloc(1, sizeof *net);
    if (!net) return err_set(err, ST_NO_MEMORY, "%s", model_kind_text(kind));
    *net = (struct net){.kind = kind, .horizon = horizon, .batch_max = batch_max};
    enum status st = create(net, training, seed, workers, err);
    if (st != ST_OK) {
        net_destroy(net);
        return st;
    }
    *out = net;
    return ST_OK;
}

/* ---- forecasts ---- */

void net_predict(double *p, double *path, struct net *net, size_t n) {
    ASSERT(net->packed && n <= net->batch_max);
    const struct net_head *h = &net->head;
    struct nn_batch batch = {.n = n, .x = net->input.x, .hist_exog = net->input.exog};
    net->network->class_of->predict(net->network, net->y, &batch);
    for (size_t i = 0; i < n; i++) {
        float *row = net->rows + i * h->inputs;
        memcpy(row, net->y + i * h->values, h->values * sizeof *row);
        memcpy(row + h->values, net->context + i * NET_CONTEXT, NET_CONTEXT * sizeof *row);
    }
    nn_linear_packed(net->z, net->rows, net->packed, n, h->inputs, h->outputs);
    for (size_t i = 0; i < n; i++)
        net_head_spread(path ? path + i * h->horizon * NET_QUANTILES : NULL,
                        p ? p + i * NET_CLASSES : NULL, h, net->z + i * h->outputs);
}

/* ---- tensors ---- */

static enum status join_one(struct nn_params *out, const struct nn_params *from, struct err *err) {
    for (uint32_t i = 0; i < from->count; i++) {
        const struct nn_tensor *t = &from->tensors[i];
        enum status st = t->is_tied ? nn_params_tie(out, t->name, from->tensors[t->tied_to].name)
                                    : nn_params_add(out, t->name, t->trainable, t->rank, t->shape);
        if (st != ST_OK) return err_set(err, st, "tensor %s", t->name);
        out->tensors[out->count - 1].is_integer = t->is_integer;
    }
    return ST_OK;
}

enum status net_params_join(struct nn_params *out, struct net *net, struct err *err) {
    struct nn_params *parts[] = {&net->network->params, &net->head.params};
    enum status st = nn_params_init(out, parts[0]->count + parts[1]->count, err);
    for (int k = 0; k < 2 && st == ST_OK; k++) st = join_one(out, parts[k], err);
    if (st == ST_OK) st = nn_params_place(out, false, err);
    if (st != ST_OK) {
        nn_params_free(out);
        return st;
    }
    for (uint32_t k = 0, at = 0; k < 2; k++)
        for (uint32_t i = 0; i < parts[k]->count; i++, at++)
            memcpy(out->tensors[at].value, parts[k]->tensors[i].value,
                   out->tensors[at].count * sizeof(nn_real));
    return ST_OK;
}

void net_params_take(struct net *net, const struct nn_params *joined) {
    struct nn_params *parts[] = {&net->network->params, &net->head.params};
    ASSERT(joined->count == parts[0]->count + parts[1]->count);
    for (uint32_t k = 0, at = 0; k < 2; k++) {
        for (uint32_t i = 0; i < parts[k]->count; i++, at++)
            memcpy(parts[k]->tensors[i].value, joined->tensors[at].value,
                   joined->tensors[at].count * sizeof(nn_real));
        parts[k]->changes++;
    }
    if (net->packed)
        nn_linear_pack(net->packed, nn_params_find(parts[1], "head.weight")->value,
                       nn_params_find(parts[1], "head.bias")->value, net->head.inputs,
                       net->head.outputs);
}
