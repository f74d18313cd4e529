/* Configuration, parameters under their official names, first values. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ml/nhits/nhits_internal.h"

/* ---- configuration ---- */

struct nhits_config nhits_config_defaults(void) {
    return (struct nhits_config){.input_size = 480,
                                 .h = 96,
                                 .outputs = 1,
                                 .stack_count = 3,
                                 .stacks = {{.blocks = 1, .pool = 2, .downsample = 4},
                                            {.blocks = 1, .pool = 2, .downsample = 2},
                                            {.blocks = 1, .pool = 1, .downsample = 1}},
                                 .mlp_count = 3,
                                 .mlp_units = {{512, 512}, {512, 512}, {512, 512}},
                                 .interpolation = NN_LINEAR,
                                 .activation = NN_RELU};
}

struct nhits_config nhits_config_paper(void) {
    static const uint32_t pools[3] = {8, 4, 1}, ratios[3] = {24, 12, 1};
    struct nhits_config c = nhits_config_defaults();
    c.impl = NHITS_PAPER;
    c.mlp_count = 0;
    for (int i = 0; i < 3; i++)
        c.stacks[i] = (struct nhits_stack){.blocks = 1,
                                           .pool = pools[i],
                                           .downsample = ratios[i],
                                           .layers = 2,
                                           .hidden = {512, 512}};
    return c;
}

enum { SIZE_FIELD_MAX = 1 << 16, BLOCKS_MAX = 64, EXOGENOUS_MAX = 4096 };

static enum status in_range(const char *name, uint32_t value, uint32_t least, uint32_t most,
                            struct err *err) {
    if (value >= least && value <= most) return ST_OK;
    return err_set(err, ST_RANGE, "%s %u, %u to %u is possible", name, value, least, most);
}

static enum status check_stack(const struct nhits_config *c, const struct nhits_stack *s,
                               struct err *err) {
    enum status st = in_range("n_blocks", s->blocks, 1, BLOCKS_MAX, err);
    if (st == ST_OK) st = in_range("n_pool_kernel_size", s->pool, 1, SIZE_FIELD_MAX, err);
    if (st == ST_OK) st = in_range("n_freq_downsample", s->downsample, 1, SIZE_FIELD_MAX, err);
    if (st != ST_OK || c->impl == NHITS_NEURALFORECAST) return st;
    st = in_range("n_layers", s->layers, 1, NHITS_LAYERS_MAX, err);
    for (uint32_t i = 0; st == ST_OK && i < s->layers; i++)
        st = in_range("n_theta_hidden", s->hidden[i], 1, SIZE_FIELD_MAX, err);
    return st;
}

static enum status check_mlp(const struct nhits_config *c, struct err *err) {
    enum status st = in_range("mlp_units' length", c->mlp_count, 1, NHITS_LAYERS_MAX, err);
    for (uint32_t i = 0; st == ST_OK && i < c->mlp_count; i++) {
        for (int side = 0; st == ST_OK && side < 2; side++)
            st = in_range("mlp_units", c->mlp_units[i][side], 1, SIZE_FIELD_MAX, err);
        if (st == ST_OK && i > 0 && c->mlp_units[i][0] != c->mlp_units[i - 1][1])
            st = err_set(err, ST_RANGE, "mlp_units %u: begins with %u where %u come from", i,
                         c->mlp_units[i][0], c->mlp_units[i - 1][1]);
    }
    return st;
}

static enum status check_layout(const struct nhits_config *c, struct err *err) {
    if (c->activation == NN_IDENTITY || c->activation == NN_GELU)
        return err_set(err, ST_UNSUPPORTED, "activation %d", (int)c->activation);
    if (c->outputs > 1 && c->interpolation == NN_CUBIC)
        return err_set(err, ST_UNSUPPORTED, "cubic interpolation is for a single output");
    if (c->impl == NHITS_PAPER && c->outputs > 1)
        return err_set(err, ST_UNSUPPORTED, "n-hits has a single output");
    if (c->impl == NHITS_PAPER && c->hist_exog)
        return err_set(err, ST_UNSUPPORTED, "n-hits has no hist_exog: one tensor serves for both");
    if (c->impl == NHITS_NEURALFORECAST &&
        (c->batch_normalization || c->shared_weights || c->stat_hidden))
        return err_set(err, ST_UNSUPPORTED,
                       "batch_normalization, shared_weights, n_s_hidden are n-hits' only");
    return ST_OK;
}

static enum status check_config(const struct nhits_config *c, size_t batch_max, struct err *err) {
    enum status st = in_range("input_size", c->input_size, 1, SIZE_FIELD_MAX, err);
    if (st == ST_OK) st = in_range("h", c->h, 1, SIZE_FIELD_MAX, err);
    if (st == ST_OK) st = in_range("outputs", c->outputs, 1, EXOGENOUS_MAX, err);
    if (st == ST_OK) st = in_range("stacks", c->stack_count, 1, NHITS_STACKS_MAX, err);
    if (st == ST_OK) st = in_range("hist_exog", c->hist_exog, 0, EXOGENOUS_MAX, err);
    if (st == ST_OK) st = in_range("futr_exog", c->futr_exog, 0, EXOGENOUS_MAX, err);
    if (st == ST_OK) st = in_range("stat_exog", c->stat_exog, 0, EXOGENOUS_MAX, err);
    if (st == ST_OK) st = in_range("n_s_hidden", c->stat_hidden, 0, EXOGENOUS_MAX, err);
    for (uint32_t i = 0; st == ST_OK && i < c->stack_count; i++)
        st = check_stack(c, &c->stacks[i], err);
    if (st == ST_OK && c->impl == NHITS_NEURALFORECAST) st = check_mlp(c, err);
    if (st == ST_OK) st = check_layout(c, err);
    if (st != ST_OK) return st;
    if (!(c->dropout >= 0 && c->dropout < 1))
        return err_set(err, ST_RANGE, "dropout_prob_theta %g: 0 to below 1", c->dropout);
    if (batch_max == 0 || batch_max > SIZE_FIELD_MAX)
        return err_set(err, ST_RANGE, "batch of %zu windows, 1 to %d is possible", batch_max,
                       SIZE_FIELD_MAX);
    return ST_OK;
}

/* ---- blocks ---- */

static void add_layer(struct block *b, size_t in, size_t out, bool activated) {
    b->layers[b->layer_count++] = (struct layer){.in = in, .out = out, .activated = activated};
}

static void shape_inputs(const struct nhits *n, struct block *b) {
    const struct nhits_config *c = &n->config;
    size_t whole = n->length + n->horizon;
    b->windows = nn_pool_size(n->length, b->pool);
    b->exog_at = b->windows;
    b->encoded = c->impl == NHITS_PAPER && c->stat_exog && c->stat_hidden;
    if (c->impl == NHITS_NEURALFORECAST) {
        b->stat_at =
            b->exog_at + b->windows * c->hist_exog + nn_pool_size(whole, b->pool) * c->futr_exog;
        b->width = b->stat_at + c->stat_exog;
    } else {
        b->stat_at = b->exog_at + whole * c->futr_exog;
        b->width = b->stat_at + (b->encoded ? c->stat_hidden : 0);
    }
}

static void shape_block(const struct nhits *n, struct block *b, const struct nhits_stack *s,
                        size_t index) {
    const struct nhits_config *c = &n->config;
    b->pool = s->pool;
    b->knots = c->h / s->downsample > 1 ? c->h / s->downsample : 1;
    b->last = index + 1 == n->block_count;
    shape_inputs(n, b);
    size_t width = b->width;
    if (c->impl == NHITS_NEURALFORECAST) {
        add_layer(b, width, c->mlp_units[0][0], false);
        for (uint32_t i = 0; i < c->mlp_count; i++)
            add_layer(b, c->mlp_units[i][0], c->mlp_units[i][1], true);
        width = c->mlp_units[c->mlp_count - 1][1];
    } else {
        for (uint32_t i = 0; i < s->layers; width = s->hidden[i++])
            add_layer(b, width, s->hidden[i], true);
    }
    add_layer(b, width, n->length + n->outputs * b->knots, false);
    if (b->last) b->layers[b->layer_count - 1].skip = n->length;
    if (b->encoded)
        b->encoder = (struct layer){
            .in = c->stat_exog, .out = c->stat_hidden, .activated = true, .activation = NN_RELU};
    for (size_t l = 0; l < b->layer_count; l++) {
        b->layers[l].activation = c->activation;
        b->layers[l].site = (index * (NHITS_LAYERS_MAX + 2) + l) * 2;
    }
    b->encoder.site = index * (NHITS_LAYERS_MAX + 2) * 2 + 1;
}

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

static void derive_sizes(struct nhits *n) {
    for (size_t i = 0; i < n->block_count; i++) {
        const struct block *b = &n->blocks[i];
        n->knots_max = most(n->knots_max, b->knots);
        n->width_max = most(n->width_max, b->width);
        n->theta_max = most(n->theta_max, n->length + n->outputs * b->knots);
        for (size_t l = 0; l + 1 < b->layer_count; l++)
            n->hidden_max = most(n->hidden_max, b->layers[l].out);
        if (b->encoded) n->hidden_max = most(n->hidden_max, b->encoder.out);
    }
    n->parts_max = (n->network.batch_max + PART_ROWS - 1) / PART_ROWS;
    n->predict_parts = (n->network.batch_max + PREDICT_ROWS - 1) / PREDICT_ROWS;
}

/* ---- parameters ---- */

/* Where names are made and the first failure is kept. */
struct registrar {
    struct nn_params *params;
    size_t block;
    size_t module; /* number in the block's Sequential */
    enum status st;
};

static struct nn_tensor *add(struct registrar *r, const char *name, bool trainable, uint32_t rank,
                             size_t rows, size_t columns) {
    enum status st = nn_params_add(r->params, name, trainable, rank, (size_t[]){rows, columns});
    if (st != ST_OK && r->st == ST_OK) r->st = st;
    return st == ST_OK ? &r->params->tensors[r->params->count - 1] : NULL;
}

static struct nn_tensor *add_numbered(struct registrar *r, const char *what, bool trainable,
                                      uint32_t rank, size_t rows, size_t columns) {
    char name[NN_NAME_SIZE];
    snprintf(name, sizeof name, "blocks.%zu.layers.%zu.%s", r->block, r->module, what);
    return add(r, name, trainable, rank, rows, columns);
}

static void add_linear(struct registrar *r, struct layer *l) {
    l->w = add_numbered(r, "weight", true, 2, l->out, l->in);
    l->b = add_numbered(r, "bias", true, 1, l->out, 0);
    r->module++;
}

/* One module behind every layer of a block: the same parameter under several names. */
static void add_activation(struct registrar *r, struct layer *l, struct nn_tensor *first) {
    if (l->activation == NN_PRELU && !first)
        l->slope = add_numbered(r, "weight", true, 1, 1, 0);
    else if (first) {
        char name[NN_NAME_SIZE];
        snprintf(name, sizeof name, "blocks.%zu.layers.%zu.weight", r->block, r->module);
        enum status st = nn_params_tie(r->params, name, first->name);
        if (st != ST_OK && r->st == ST_OK) r->st = st;
        l->slope = first;
    }
    r->module++;
}

static void add_norm(struct registrar *r, struct layer *l) {
    l->scale = add_numbered(r, "weight", true, 1, l->out, 0);
    l->shift = add_numbered(r, "bias", true, 1, l->out, 0);
    l->mean = add_numbered(r, "running_mean", false, 1, l->out, 0);
    l->var = add_numbered(r, "running_var", false, 1, l->out, 0);
    l->batches = add_numbered(r, "num_batches_tracked", false, 0, 0, 0);
    if (l->batches) l->batches->is_integer = true;
    r->module++;
}

static void add_block(struct registrar *r, const struct nhits_config *c, struct block *b) {
    char name[NN_NAME_SIZE];
    struct nn_tensor *slope = NULL;
    r->module = 0;
    if (b->encoded) {
        snprintf(name, sizeof name, "blocks.%zu.static_encoder.encoder.1.weight", r->block);
        b->encoder.w = add(r, name, true, 2, b->encoder.out, b->encoder.in);
        snprintf(name, sizeof name, "blocks.%zu.static_encoder.encoder.1.bias", r->block);
        b->encoder.b = add(r, name, true, 1, b->encoder.out, 0);
    }
    for (size_t i = 0; i < b->layer_count; i++) {
        struct layer *l = &b->layers[i];
        add_linear(r, l);
        if (!l->activated) continue;
        add_activation(r, l, slope);
        slope = l->slope;
        if (c->batch_normalization && r->block == 0) add_norm(r, l);
        if (c->dropout > 0) r->module++;
    }
}

/* A block of its stack's first block's weights: other names, the same tensors. */
static void tie_block(struct registrar *r, struct block *b, const struct block *original,
                      size_t original_index, uint32_t first, uint32_t end) {
    char prefix[32];
    size_t skip = (size_t)snprintf(prefix, sizeof prefix, "blocks.%zu.", original_index);
    for (uint32_t i = first; i < end; i++) {
        char name[NN_NAME_SIZE];
        const char *of = r->params->tensors[i].name;
        snprintf(name, sizeof name, "blocks.%zu.%s", r->block, of + skip);
        enum status st = nn_params_tie(r->params, name, of);
        if (st != ST_OK && r->st == ST_OK) r->st = st;
    }
    for (size_t i = 0; i < b->layer_count; i++) {
        struct layer *l = &b->layers[i];
        const struct layer *o = &original->layers[i];
        l->w = o->w, l->b = o->b, l->slope = o->slope;
        l->scale = o->scale, l->shift = o->shift;
        l->mean = o->mean, l->var = o->var, l->batches = o->batches;
    }
    b->encoder.w = original->encoder.w, b->encoder.b = original->encoder.b;
}

static enum status make_params(struct nhits *n, struct err *err) {
    enum { TENSORS_A_LAYER = 8 };
    const struct nhits_config *c = &n->config;
    size_t capacity = n->block_count * (n->blocks[0].layer_count * TENSORS_A_LAYER + 2);
    for (size_t i = 0; i < n->block_count; i++)
        capacity =
            most(capacity, n->block_count * (n->blocks[i].layer_count * TENSORS_A_LAYER + 2));
    struct registrar r = {.params = &n->network.params};
    if (capacity > NN_TENSORS_MAX) capacity = NN_TENSORS_MAX;
    enum status st = nn_params_init(r.params, (uint32_t)capacity, err);
    if (st != ST_OK) return st;
    for (uint32_t s = 0; s < c->stack_count; s++) {
        size_t original = r.block;
        uint32_t first = r.params->count, end = first;
        for (uint32_t i = 0; i < c->stacks[s].blocks; i++, r.block++) {
            if (i > 0 && c->shared_weights) {
                tie_block(&r, &n->blocks[r.block], &n->blocks[original], original, first, end);
            } else {
                add_block(&r, c, &n->blocks[r.block]);
                end = r.params->count;
            }
        }
    }
    if (r.st != ST_OK) return err_set(err, r.st, "parameters: at most %d tensors", NN_TENSORS_MAX);
    return nn_params_place(r.params, n->training, err);
}

/* ---- first values: PyTorch's laws ---- */

static void draw_linear(const struct layer *l, struct rng *rng) {
    double bound = 1 / sqrt((double)l->in);
    nn_init_uniform(l->w->value, l->w->count, bound, rng);
    nn_init_uniform(l->b->value, l->b->count, bound, rng);
}

static void fill(struct nn_tensor *t, double value) {
    for (size_t i = 0; t && i < t->count; i++) t->value[i] = (nn_real)value;
}

static void draw(struct nhits *n, uint64_t seed) {
    struct rng rng = rng_init(seed);
    for (size_t i = 0; i < n->block_count; i++) {
        const struct block *b = &n->blocks[i];
        if (b->encoded) draw_linear(&b->encoder, &rng);
        for (size_t k = 0; k < b->layer_count; k++) {
            const struct layer *l = &b->layers[k];
            draw_linear(l, &rng);
            fill(l->slope, 0.25); /* PReLU's */
            fill(l->scale, 1);
            fill(l->var, 1);
        }
    }
}

/* ---- creation ---- */

static void destroy(struct network *net) {
    if (!net) return;
    struct nhits *n = (struct nhits *)net;
    nn_params_free(&net->params);
    free(n->shares);
    free(n->blocks);
    free(n->memory);
    free(n);
}

static const struct network_class nhits_class = {"nhits", nhits_step, nhits_predict, destroy};

static void set_shapes(struct nhits *n, size_t batch_max) {
    const struct nhits_config *c = &n->config;
    struct network *net = &n->network;
    net->class_of = &nhits_class;
    net->input = n->length = c->input_size;
    net->horizon = n->horizon = c->h;
    net->channels = 1;
    net->outputs = n->outputs = c->outputs;
    net->batch_max = batch_max;
    for (uint32_t i = 0; i < c->stack_count; i++) n->block_count += c->stacks[i].blocks;
}

static enum status build(struct nhits *n, uint64_t seed, struct err *err) {
    size_t index = 0;
    n->blocks = calloc(n->block_count + 1, sizeof *n->blocks);
    if (!n->blocks) return err_set(err, ST_NO_MEMORY, "%zu blocks", n->block_count);
    for (uint32_t s = 0; s < n->config.stack_count; s++)
        for (uint32_t i = 0; i < n->config.stacks[s].blocks; i++, index++)
            shape_block(n, &n->blocks[index], &n->config.stacks[s], index);
    derive_sizes(n);
    enum status st = make_params(n, err);
    if (st != ST_OK) return st;
    draw(n, seed);
    return nhits_make_memory(n, err);
}

enum status nhits_create(struct network **out, const struct nhits_config *config, size_t batch_max,
                         bool training, uint64_t seed, struct workers *workers, struct err *err) {
    *out = NULL;
    enum status st = check_config(config, batch_max, err);
    if (st != ST_OK) return err_wrap(err, st, "N-HiTS");
    struct nhits *n = calloc(1, sizeof *n);
    if (!n) return err_set(err, ST_NO_MEMORY, "N-HiTS: %zu bytes", sizeof *n);
    n->config = *config;
    n->training = training;
    n->network.workers = workers;
    set_shapes(n, batch_max);
    st = build(n, seed, err);
    if (st != ST_OK) {
        destroy(&n->network);
        return err_wrap(err, st, "N-HiTS");
    }
    *out = &n->network;
    return ST_OK;
}

const struct nhits_config *nhits_config_of(const struct network *net) {
    return &((const struct nhits *)net)->config;
}
