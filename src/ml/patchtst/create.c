/* A network's parameters under their official names, their first values, and its memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ml/patchtst/patchtst_internal.h"

/* ---- configuration ---- */

struct patchtst_config patchtst_config_defaults(void) {
    return (struct patchtst_config){.c_in = 7,
                                    .seq_len = 336,
                                    .pred_len = 96,
                                    .patch_len = 16,
                                    .stride = 8,
                                    .padding_patch = true,
                                    .d_model = 16,
                                    .n_heads = 4,
                                    .e_layers = 3,
                                    .d_ff = 128,
                                    .revin = true,
                                    .kernel_size = 25,
                                    .res_attention = true,
                                    .learn_pe = true,
                                    .dropout = 0.3};
}

struct patchtst_config patchtst_config_large(void) {
    struct patchtst_config c = patchtst_config_defaults();
    c.d_model = 128;
    c.n_heads = 16;
    c.d_ff = 256;
    c.dropout = 0.2;
    return c;
}

uint32_t patchtst_tokens(const struct patchtst_config *c) {
    if (c->stride == 0 || c->patch_len == 0 || c->patch_len > c->seq_len) return 0;
    return (c->seq_len - c->patch_len) / c->stride + 1 + (c->padding_patch ? 1 : 0);
}

static enum status check_config(const struct patchtst_config *c, size_t batch_max,
                                struct err *err) {
    enum { FIELD_MAX = 1 << 16 };
    const struct {
        const char *name;
        uint32_t value;
    } fields[] = {{"c_in", c->c_in},           {"seq_len", c->seq_len},   {"pred_len", c->pred_len},
                  {"patch_len", c->patch_len}, {"stride", c->stride},     {"d_model", c->d_model},
                  {"n_heads", c->n_heads},     {"e_layers", c->e_layers}, {"d_ff", c->d_ff}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].value == 0 || fields[i].value > FIELD_MAX)
            return err_set(err, ST_RANGE, "%s %u, 1 to %d is possible", fields[i].name,
                           fields[i].value, FIELD_MAX);
    if (patchtst_tokens(c) == 0)
        return err_set(err, ST_RANGE, "patch_len %u is longer than seq_len %u", c->patch_len,
                       c->seq_len);
    if (c->n_heads > c->d_model)
        return err_set(err, ST_RANGE, "n_heads %u, d_model is only %u", c->n_heads, c->d_model);
    if (c->decomposition && c->kernel_size % 2 == 0)
        return err_set(err, ST_RANGE, "kernel_size %u, must be odd", c->kernel_size);
    if (!(c->dropout >= 0 && c->dropout < 1) || !(c->head_dropout >= 0 && c->head_dropout < 1))
        return err_set(err, ST_RANGE, "dropout %g, head_dropout %g: 0 to below 1", c->dropout,
                       c->head_dropout);
    if (c->pe == PATCHTST_PE_SINCOS && c->d_model % 2)
        return err_set(err, ST_RANGE, "d_model %u, sines and cosines want it even", c->d_model);
    if (batch_max == 0 || batch_max > FIELD_MAX)
        return err_set(err, ST_RANGE, "batch of %zu windows, 1 to %d is possible", batch_max,
                       FIELD_MAX);
    return ST_OK;
}

/* ---- parameters ---- */

/* Where names are made and the first failure is kept. */
struct registrar {
    struct nn_params *params;
    char prefix[NN_NAME_SIZE];
    enum status st;
};

static struct nn_tensor *add(struct registrar *r, const char *name, bool trainable, uint32_t rank,
                             size_t rows, size_t columns) {
    char full[NN_NAME_SIZE];
    int n = snprintf(full, sizeof full, "%s.%s", r->prefix, name);
    enum status st = n < 0 || (size_t)n >= sizeof full ? ST_RANGE : ST_OK;
    if (st == ST_OK)
        st = nn_params_add(r->params, full, trainable, rank, (size_t[]){rows, columns});
    if (st != ST_OK && r->st == ST_OK) r->st = st;
    return st == ST_OK ? &r->params->tensors[r->params->count - 1] : NULL;
}

static struct linear_params add_linear(struct registrar *r, const char *name, size_t out,
                                       size_t in) {
    char w[NN_NAME_SIZE], b[NN_NAME_SIZE];
    snprintf(w, sizeof w, "%s.weight", name);
    snprintf(b, sizeof b, "%s.bias", name);
    struct nn_tensor *weight = add(r, w, true, 2, out, in);
    return (struct linear_params){weight, add(r, b, true, 1, out, 0)};
}

static struct norm_params add_norm(struct registrar *r, const char *name, size_t d, bool batch) {
    char full[NN_NAME_SIZE];
    const char *infix = batch ? ".1" : ""; /* between two transpositions in the official code */
    struct norm_params n = {0};
    snprintf(full, sizeof full, "%s%s.weight", name, infix);
    n.w = add(r, full, true, 1, d, 0);
    snprintf(full, sizeof full, "%s%s.bias", name, infix);
    n.b = add(r, full, true, 1, d, 0);
    if (!batch) return n;
    snprintf(full, sizeof full, "%s.1.running_mean", name);
    n.mean = add(r, full, false, 1, d, 0);
    snprintf(full, sizeof full, "%s.1.running_var", name);
    n.var = add(r, full, false, 1, d, 0);
    snprintf(full, sizeof full, "%s.1.num_batches_tracked", name);
    n.batches = add(r, full, false, 0, 0, 0);
    if (n.batches) n.batches->is_integer = true;
    return n;
}

static void add_layer(struct registrar *r, const struct patchtst *p, struct backbone *bb,
                      size_t index) {
    char outer[NN_NAME_SIZE];
    struct layer_params *l = &bb->layers[index];
    bool batch = p->config.norm == PATCHTST_BATCH_NORM;
    memcpy(outer, r->prefix, sizeof outer);
    snprintf(r->prefix, sizeof r->prefix, "%.40s.backbone.encoder.layers.%zu", outer, index);
    l->q = add_linear(r, "self_attn.W_Q", p->inner, p->d);
    l->k = add_linear(r, "self_attn.W_K", p->inner, p->d);
    l->v = add_linear(r, "self_attn.W_V", p->inner, p->d);
    l->scale = add(r, "self_attn.sdp_attn.scale", false, 0, 0, 0);
    l->out = add_linear(r, "self_attn.to_out.0", p->d, p->inner);
    bb->norms[2 * index] = add_norm(r, "norm_attn", p->d, batch);
    l->ff1 = add_linear(r, "ff.0", p->ff, p->d);
    l->ff2 = add_linear(r, "ff.3", p->d, p->ff);
    bb->norms[2 * index + 1] = add_norm(r, "norm_ffn", p->d, batch);
    memcpy(r->prefix, outer, sizeof outer);
}

static bool pe_is_column(enum patchtst_pe pe) {
    return pe == PATCHTST_PE_ZERO || pe == PATCHTST_PE_NORMAL || pe == PATCHTST_PE_UNIFORM;
}

static enum status add_backbone(struct patchtst *p, struct backbone *bb, const char *prefix,
                                struct err *err) {
    const struct patchtst_config *c = &p->config;
    struct registrar r = {&p->network.params, {0}, ST_OK};
    snprintf(r.prefix, sizeof r.prefix, "%s", prefix);
    if (c->revin && c->affine) {
        bb->revin_w = add(&r, "revin_layer.affine_weight", true, 1, p->channels, 0);
        bb->revin_b = add(&r, "revin_layer.affine_bias", true, 1, p->channels, 0);
    }
    bb->pos = add(&r, "backbone.W_pos", c->learn_pe && c->pe != PATCHTST_PE_NONE, 2, p->tokens,
                  pe_is_column(c->pe) ? 1 : p->d);
    bb->embed = add_linear(&r, "backbone.W_P", p->d, c->patch_len);
    for (size_t l = 0; l < p->layers; l++) add_layer(&r, p, bb, l);
    for (size_t h = 0; h < (c->individual ? p->channels : 1); h++) {
        char name[32];
        snprintf(name, sizeof name, c->individual ? "head.linears.%zu" : "head.linear", h);
        bb->heads[h] = add_linear(&r, name, p->horizon, p->d * p->tokens);
    }
    return r.st == ST_OK ? ST_OK : err_set(err, r.st, "parameters of %s", prefix);
}

/* Numbers of one backbone's gradients are neighbours in the block. */
static void find_gradients(struct patchtst *p, struct backbone *bb) {
    const struct nn_tensor *first = bb->revin_w     ? bb->revin_w
                                    : bb->pos->grad ? bb->pos
                                                    : bb->embed.w;
    const struct nn_tensor *last = bb->heads[p->config.individual ? p->channels - 1 : 0].b;
    bb->grad_first = (size_t)(first->grad - p->network.params.grad);
    bb->grad_size = (size_t)(last->grad - first->grad) + last->count;
}

static enum status make_params(struct patchtst *p, bool training, struct err *err) {
    static const char *const names[2][BACKBONES_MAX] = {{"model", NULL},
                                                        {"model_trend", "model_res"}};
    enum { TENSORS_A_LAYER = 23, TENSORS_BESIDE = 5 };
    size_t heads = p->config.individual ? p->channels : 1;
    size_t capacity =
        p->backbone_count * (TENSORS_BESIDE + TENSORS_A_LAYER * p->layers + 2 * heads);
    if (capacity > NN_TENSORS_MAX)
        return err_set(err, ST_RANGE, "%zu tensors, at most %d are possible", capacity,
                       NN_TENSORS_MAX);
    enum status st = nn_params_init(&p->network.params, (uint32_t)capacity, err);
    for (size_t i = 0; st == ST_OK && i < p->backbone_count; i++)
        st = add_backbone(p, &p->backbones[i], names[p->config.decomposition][i], err);
    if (st == ST_OK) st = nn_params_place(&p->network.params, training, err);
    for (size_t i = 0; st == ST_OK && training && i < p->backbone_count; i++)
        find_gradients(p, &p->backbones[i]);
    return st;
}

/* ---- first values: PyTorch's laws ---- */

static void draw_linear(struct linear_params l, struct rng *rng) {
    double bound = 1 / sqrt((double)l.w->shape[1]);
    nn_init_uniform(l.w->value, l.w->count, bound, rng);
    nn_init_uniform(l.b->value, l.b->count, bound, rng);
}

static void fill(struct nn_tensor *t, double value) {
    for (size_t i = 0; t && i < t->count; i++) t->value[i] = (nn_real)value;
}

static void draw_sincos(struct nn_tensor *t) {
    size_t d = t->shape[1], n = t->count;
    double mean = 0, squares = 0;
    for (int pass = 0; pass < 3; pass++)
        for (size_t i = 0; i < n; i++) {
            double angle =
                (double)(i / d) * exp(-log(10000.0) * (double)(i % d / 2 * 2) / (double)d);
            double value = i % 2 ? cos(angle) : sin(angle);
            if (pass == 0) mean += value / (double)n;
            if (pass == 1) squares += (value - mean) * (value - mean);
            if (pass == 2)
                t->value[i] = (nn_real)((value - mean) / (10 * sqrt(squares / (double)(n - 1))));
        }
}

static void draw_pos(struct nn_tensor *t, enum patchtst_pe pe, struct rng *rng) {
    switch (pe) {
    case PATCHTST_PE_ZEROS:
    case PATCHTST_PE_NONE:
    case PATCHTST_PE_ZERO:
        nn_init_uniform(t->value, t->count, 0.02, rng);
        break;
    case PATCHTST_PE_NORMAL:
        for (size_t i = 0; i < t->count; i++) t->value[i] = (nn_real)(0.1 * rng_normal(rng));
        break;
    case PATCHTST_PE_UNIFORM:
        for (size_t i = 0; i < t->count; i++) t->value[i] = (nn_real)(0.1 * rng_f64(rng));
        break;
    case PATCHTST_PE_SINCOS:
        draw_sincos(t);
        break;
    }
}

static void draw_backbone(struct patchtst *p, struct backbone *bb, struct rng *rng) {
    fill(bb->revin_w, 1);
    draw_pos(bb->pos, p->config.pe, rng);
    draw_linear(bb->embed, rng);
    for (size_t i = 0; i < p->layers; i++) {
        struct layer_params *l = &bb->layers[i];
        draw_linear(l->q, rng);
        draw_linear(l->k, rng);
        draw_linear(l->v, rng);
        draw_linear(l->out, rng);
        draw_linear(l->ff1, rng);
        draw_linear(l->ff2, rng);
        fill(l->scale, 1 / sqrt((double)p->dk));
    }
    for (size_t i = 0; i < 2 * p->layers; i++) {
        fill(bb->norms[i].w, 1);
        fill(bb->norms[i].var, 1);
    }
    for (size_t h = 0; h < (p->config.individual ? p->channels : 1); h++)
        draw_linear(bb->heads[h], rng);
}

/* ---- memory: one block, carved twice, first to learn its size ---- */

struct carver {
    unsigned char *base; /* NULL: only count */
    size_t used;
    bool overflow;
};

static void *carve(struct carver *m, size_t a, size_t b, size_t c, size_t bytes) {
    size_t n;
    if (__builtin_mul_overflow(a, b, &n) || __builtin_mul_overflow(n, c, &n) ||
        __builtin_mul_overflow(n, bytes, &n) || n > SIZE_MAX / 4 - m->used) {
        m->overflow = true;
        return NULL;
    }
    void *at = m->base ? m->base + m->used : NULL;
    m->used += (n + 63) / 64 * 64;
    return at;
}

static lanes *carve_lanes(struct carver *m, size_t a, size_t b, size_t c) {
    return carve(m, a, b, c, sizeof(lanes));
}

static void carve_part(struct carver *m, struct patchtst *p, struct part *s) {
    size_t t = p->tokens, wide = p->d > p->inner ? p->d : p->inner;
    s->raw = carve_lanes(m, p->length, 1, 1);
    s->x = carve_lanes(m, p->length, 1, 1);
    s->u = carve_lanes(m, p->training ? GROUPS_AT_ONCE : 1, p->d, t);
    s->y = carve_lanes(m, GROUPS_AT_ONCE, p->horizon, 1);
    s->out = carve_lanes(m, p->horizon, 1, 1);
    s->v = carve_lanes(m, p->inner, t, 1);
    s->a = carve_lanes(m, wide, t, 1);
    s->scores = carve_lanes(m, p->attention_rows, t, 1);
    s->h = carve_lanes(m, p->ff, p->block_tokens, 1);
    s->z = carve_lanes(m, p->d, t, 1);
    s->q = carve_lanes(m, p->slots, p->inner, t);
    s->k = carve_lanes(m, p->slots, p->inner, t);
    s->o = carve_lanes(m, p->inner, t, 1);
    if (!p->training) return;
    s->dot = carve_lanes(m, t, 1, 1);
    s->b = carve_lanes(m, wide, t, 1);
    s->c = carve_lanes(m, wide, t, 1);
    s->slopes = carve_lanes(m, p->attention_rows, t, 1);
    s->slope = carve_lanes(m, p->ff, p->block_tokens, 1);
    s->patches = carve_lanes(m, p->config.patch_len, t, 1);
    s->sum = carve_lanes(m, p->d, 1, 1);
    s->product = carve_lanes(m, p->d, 1, 1);
    s->grads = carve(m, p->backbones[0].grad_size, 1, 1, sizeof(nn_real));
}

static void carve_backbone(struct carver *m, struct patchtst *p, struct backbone *bb) {
    size_t t = p->tokens, groups = p->groups_max, stages = 2 * p->layers;
    for (size_t i = 0; i < stages; i++) {
        struct norm_state *n = &bb->states[i];
        nn_real **fields[] = {&n->mean, &n->inv, &n->scale, &n->shift, &n->m1, &n->m2};
        for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
            *fields[f] = carve(m, p->d, 1, 1, sizeof(nn_real));
    }
    if (!p->training) return;
    bb->x = carve_lanes(m, groups, p->length, 1);
    bb->centre = carve_lanes(m, groups, 1, 1);
    bb->dev = carve_lanes(m, groups, 1, 1);
    bb->z = carve_lanes(m, (stages + 1) * groups, p->d, t);
    bb->q = carve_lanes(m, p->layers * groups, p->inner, t);
    bb->k = carve_lanes(m, p->layers * groups, p->inner, t);
    bb->dq = carve_lanes(m, p->slots * groups, p->inner, t);
    bb->dk = carve_lanes(m, p->slots * groups, p->inner, t);
    bb->o = carve_lanes(m, p->layers * groups, p->inner, t);
    bb->top = carve_lanes(m, p->layers * groups, p->heads, t);
    bb->inverse = carve_lanes(m, p->layers * groups, p->heads, t);
    bb->d = carve_lanes(m, groups, p->d, t);
    bb->y = carve_lanes(m, groups, p->horizon, 1);
    bb->mean = carve(m, groups, p->d, 1, sizeof(double));
    bb->squares = carve(m, groups, p->d, 1, sizeof(double));
}

static void carve_all(struct carver *m, struct patchtst *p) {
    for (size_t i = 0; i < p->backbone_count; i++) carve_backbone(m, p, &p->backbones[i]);
    for (size_t i = 0; i < p->parts_max; i++) carve_part(m, p, &p->parts[i]);
    if (!p->training) return;
    nn_real **fields[] = {&p->y, &p->dy, &p->weights};
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
        *fields[f] = carve(m, p->network.batch_max, p->horizon, p->channels, sizeof(nn_real));
    p->part_sums = carve(m, PARTS, 2, p->d, sizeof(double));
}

static enum status make_memory(struct patchtst *p, struct err *err) {
    struct carver count = {0};
    carve_all(&count, p);
    if (count.overflow) return err_set(err, ST_RANGE, "a network beyond any memory");
    p->memory = aligned_alloc(64, count.used);
    if (!p->memory) return err_set(err, ST_NO_MEMORY, "%zu bytes of workspace", count.used);
    memset(p->memory, 0, count.used);
    struct carver m = {p->memory, 0, false};
    carve_all(&m, p);
    return ST_OK;
}

/* ---- creation ---- */

static void destroy(struct network *net) {
    if (!net) return;
    struct patchtst *p = (struct patchtst *)net;
    for (size_t i = 0; i < BACKBONES_MAX; i++) {
        free(p->backbones[i].layers);
        free(p->backbones[i].norms);
        free(p->backbones[i].heads);
        free(p->backbones[i].states);
    }
    nn_params_free(&net->params);
    free(p->memory);
    free(p);
}

static const struct network_class patchtst_class = {"patchtst", patchtst_step, patchtst_predict,
                                                    destroy};

/* Blocks of columns as equal as can be, an even number each, of at most about `most`. */
static size_t even_block(size_t n, size_t most) {
    size_t blocks = (n + most - 1) / most, size = (n + blocks - 1) / blocks;
    return size + (size & 1);
}

static void derive(struct patchtst *p, size_t batch_max) {
    /* Score rows of a block fill about half of a 32 KiB L1; hidden values of a block stay in L2. */
    enum { SCORES_AT_ONCE = 768, TOKENS_AT_ONCE = 24 };
    const struct patchtst_config *c = &p->config;
    p->tokens = patchtst_tokens(c);
    p->length = c->seq_len + (c->padding_patch ? c->stride : 0);
    p->d = c->d_model;
    p->heads = c->n_heads;
    p->dk = c->d_model / c->n_heads;
    p->inner = p->heads * p->dk;
    p->ff = c->d_ff;
    p->layers = c->e_layers;
    p->horizon = c->pred_len;
    p->channels = c->c_in;
    p->slots = c->res_attention ? p->layers : 1;
    size_t rows = SCORES_AT_ONCE / p->tokens;
    p->attention_rows = even_block(p->tokens, rows < 2 ? 2 : rows);
    p->block_tokens = even_block(p->tokens, TOKENS_AT_ONCE);
    p->backbone_count = c->decomposition ? 2 : 1;
    p->groups_max = (batch_max * p->channels + LANES - 1) / LANES;
    p->parts_max = p->groups_max < PARTS ? p->groups_max : PARTS;
    struct network *n = &p->network;
    n->class_of = &patchtst_class;
    n->input = c->seq_len;
    n->horizon = c->pred_len;
    n->channels = n->outputs = c->c_in;
    n->batch_max = batch_max;
}

static enum status build(struct patchtst *p, uint64_t seed, struct err *err) {
    for (size_t i = 0; i < p->backbone_count; i++) {
        struct backbone *bb = &p->backbones[i];
        bb->layers = calloc(p->layers, sizeof *bb->layers);
        bb->norms = calloc(2 * p->layers, sizeof *bb->norms);
        bb->heads = calloc(p->config.individual ? p->channels : 1, sizeof *bb->heads);
        bb->states = calloc(2 * p->layers, sizeof *bb->states);
        if (!bb->layers || !bb->norms || !bb->heads || !bb->states)
            return err_set(err, ST_NO_MEMORY, "%zu layers", p->layers);
    }
    enum status st = make_params(p, p->training, err);
    if (st == ST_OK) st = make_memory(p, err);
    struct rng rng = rng_init(seed);
    for (size_t i = 0; st == ST_OK && i < p->backbone_count; i++)
        draw_backbone(p, &p->backbones[i], &rng);
    return st;
}

enum status patchtst_create(struct network **out, const struct patchtst_config *config,
                            size_t batch_max, bool training, uint64_t seed, struct workers *workers,
                            struct err *err) {
    enum status st = check_config(config, batch_max, err);
    if (st != ST_OK) return err_wrap(err, st, "patchtst");
    struct patchtst *p = calloc(1, sizeof *p);
    if (!p) return err_set(err, ST_NO_MEMORY, "patchtst");
    p->config = *config;
    p->training = training;
    p->kernels = patchtst_kernels();
    p->network.workers = workers;
    derive(p, batch_max);
    st = build(p, seed, err);
    if (st != ST_OK) {
        destroy(&p->network);
        return err_wrap(err, st, "patchtst");
    }
    *out = &p->network;
    return ST_OK;
}

const struct patchtst_config *patchtst_config_of(const struct network *net) {
    return &((const struct patchtst *)net)->config;
}
