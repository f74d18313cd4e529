/* One training step: forward and backward, cut where BatchNorm needs the whole batch.
 *
 * Stages are attention and feed-forward of each layer. Between two stages every part has finished, the statistics of all
 * groups are added in the order of the groups (forward) or of the parts (backward), and the next stage begins. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "ml/patchtst/patchtst_internal.h"

static size_t used_lanes(const struct pass *pass, size_t group) {
    size_t left = pass->sequences - group * LANES;
    return left < LANES ? left : LANES;
}

static lanes *stream(const struct pass *pass, size_t stage, size_t group) {
    const struct patchtst *p = pass->p;
    return pass->bb->z + (stage * p->groups_max + group) * p->d * p->tokens;
}

static bool batch_norm_before(const struct patchtst *p, size_t stage) {
    return p->config.norm == PATCHTST_BATCH_NORM && patchtst_norm_before(p, stage) >= 0;
}

static struct attention_arrays arrays_of(const struct pass *pass, size_t layer, size_t group) {
    const struct patchtst *p = pass->p;
    const struct backbone *bb = pass->bb;
    size_t n = p->inner * p->tokens, ht = p->heads * p->tokens;
    size_t kept = layer * p->groups_max + group;
    /* All layers of a group side by side where they share their scores, else a layer after the other. */
    size_t qk = p->config.res_attention ? group * p->slots : kept;
    return (struct attention_arrays){bb->q + qk * n,
                                     bb->k + qk * n,
                                     bb->o + kept * n,
                                     bb->top + kept * ht,
                                     bb->inverse + kept * ht,
                                     bb->dq + group * p->slots * n,
                                     bb->dk + group * p->slots * n};
}

static struct lanes_dropout dropout_at(const struct pass *pass, double p, size_t site,
                                       size_t group) {
    size_t backbone = (size_t)(pass->bb - pass->p->backbones);
    return lanes_dropout(1 - p, pass->seed, site * BACKBONES_MAX + backbone, group);
}

/* Dropout follows the output projection and then the attention branch: kept by both with (1 - p)^2. */
static double twice(double p) {
    return 1 - (1 - p) * (1 - p);
}

static size_t site_of(size_t layer, size_t place) {
    return SITE_LAYER + layer * SITES_A_LAYER + place;
}

/* ---- forward ---- */

static void count_stream(const struct pass *pass, size_t stage, size_t group) {
    const struct patchtst *p = pass->p;
    if (batch_norm_before(p, stage))
        p->kernels->moments(pass->bb->mean + group * p->d, pass->bb->squares + group * p->d,
                            stream(pass, stage, group), p->d, p->tokens, used_lanes(pass, group));
}

static void embed_part(void *context, uint32_t index) {
    const struct pass *pass = context;
    struct patchtst *p = pass->p;
    struct part *part = &p->parts[index];
    size_t first, end;
    patchtst_range(pass, index, &first, &end);
    for (size_t g = first; g < end; g++) {
        struct lanes_dropout drop = dropout_at(pass, p->config.dropout, SITE_EMBED, g);
        lanes *x = pass->bb->x + g * p->length;
        patchtst_gather(pass, part->raw, part->x, g);
        patchtst_revin(p, x, pass->bb->centre + g, pass->bb->dev + g, part->raw);
        patchtst_patched(p, pass->bb, part->x, x, g);
        patchtst_embed(p, pass->bb, stream(pass, 0, g), part->x, &drop);
        count_stream(pass, 0, g);
    }
}

static void stage_part(void *context, uint32_t index) {
    const struct pass *pass = context;
    struct patchtst *p = pass->p;
    struct part *part = &p->parts[index];
    size_t first, end, layer = pass->stage / 2;
    double drop = p->config.dropout;
    patchtst_range(pass, index, &first, &end);
    for (size_t g = first; g < end; g++) {
        lanes *u =
            patchtst_normalise(p, pass->bb, part->u, stream(pass, pass->stage, g), pass->stage);
        lanes *z = stream(pass, pass->stage + 1, g);
        if (pass->stage % 2 == 0) {
            struct attention_arrays a = arrays_of(pass, layer, g);
            struct lanes_dropout d = dropout_at(pass, twice(drop), site_of(layer, 0), g);
            patchtst_attention(p, pass->bb, layer, &a, part, z, u, &d);
        } else {
            struct lanes_dropout inner = dropout_at(pass, drop, site_of(layer, 1), g),
                                 outer = dropout_at(pass, drop, site_of(layer, 2), g);
            patchtst_feed_forward(p, pass->bb, layer, part, z, u, &inner, &outer);
        }
        count_stream(pass, pass->stage + 1, g);
    }
}

/* Normalised end of a few neighbouring groups, side by side. */
static lanes *last_stream(const struct pass *pass, struct part *part, size_t first, size_t n) {
    struct patchtst *p = pass->p;
    size_t stage = 2 * p->layers, size = p->d * p->tokens;
    if (patchtst_norm_before(p, stage) < 0) return stream(pass, stage, first);
    for (size_t i = 0; i < n; i++)
        patchtst_normalise(p, pass->bb, part->u + i * size, stream(pass, stage, first + i), stage);
    return part->u;
}

static void head_part(void *context, uint32_t index) {
    const struct pass *pass = context;
    struct patchtst *p = pass->p;
    struct part *part = &p->parts[index];
    size_t first, end;
    patchtst_range(pass, index, &first, &end);
    for (size_t g = first; g < end; g += GROUPS_AT_ONCE) {
        size_t n = end - g < GROUPS_AT_ONCE ? end - g : GROUPS_AT_ONCE;
        lanes *y = pass->bb->y + g * p->horizon;
        patchtst_head(p, pass->bb, y, last_stream(pass, part, g, n), part->out, g, n);
        for (size_t i = 0; i < n; i++, y += p->horizon) {
            struct lanes_dropout d = dropout_at(pass, p->config.head_dropout, SITE_HEAD, g + i);
            if (d.on) p->kernels->dropped(y, NULL, y, p->horizon, 1, &d);
        }
    }
}

static void output_part(void *context, uint32_t index) {
    const struct pass *pass = context;
    struct patchtst *p = pass->p;
    lanes *out = p->parts[index].out;
    size_t first, end;
    patchtst_range(pass, index, &first, &end);
    for (size_t g = first; g < end; g++) {
        for (size_t h = 0; h < p->horizon; h++) out[h] = (lanes){0};
        for (size_t i = 0; i < p->backbone_count; i++) {
            const struct backbone *bb = &p->backbones[i];
            patchtst_unscale(p, bb, out, bb->y + g * p->horizon, bb->centre + g, bb->dev + g, g);
        }
        patchtst_scatter(pass, p->y, out, g);
    }
}

/* Batch statistics of a normalisation from those of its groups (Chan, Golub, LeVeque 1983), and its running ones. */
static void finish_moments(const struct pass *pass, size_t stage) {
    const struct patchtst *p = pass->p;
    struct backbone *bb = pass->bb;
    if (!batch_norm_before(p, stage)) return;
    int norm = patchtst_norm_before(p, stage);
    const struct norm_params *params = &bb->norms[norm];
    struct norm_state *s = &bb->states[norm];
    for (size_t i = 0; i < p->d; i++) {
        double n = 0, mean = 0, squares = 0;
        for (size_t g = 0; g < pass->groups; g++) {
            double more = (double)(used_lanes(pass, g) * p->tokens);
            double delta = bb->mean[g * p->d + i] - mean;
            mean += delta * more / (n + more);
            squares += bb->squares[g * p->d + i] + delta * delta * n * more / (n + more);
            n += more;
        }
        double inv = 1 / sqrt(squares / n + NN_NORM_EPS);
        double unbiased = n > 1 ? squares / (n - 1) : NAN; /* as PyTorch has it */
        s->mean[i] = (nn_real)mean;
        s->inv[i] = (nn_real)inv;
        s->scale[i] = (nn_real)((double)params->w->value[i] * inv);
        s->shift[i] =
            (nn_real)((double)params->b->value[i] - mean * inv * (double)params->w->value[i]);
        nn_real *rm = &params->mean->value[i], *rv = &params->var->value[i];
        *rm = (nn_real)((double)*rm + NN_BATCHNORM_MOMENTUM * (mean - (double)*rm));
        *rv = (nn_real)((double)*rv + NN_BATCHNORM_MOMENTUM * (unbiased - (double)*rv));
    }
    params->batches->value[0] += 1;
}

static void run(struct pass *pass, void (*task)(void *context, uint32_t part)) {
    workers_run(pass->p->network.workers, task, pass, (uint32_t)pass->parts);
}

static void forward(struct pass *pass) {
    run(pass, embed_part);
    finish_moments(pass, 0);
    for (pass->stage = 0; pass->stage < 2 * pass->p->layers; pass->stage++) {
        run(pass, stage_part);
        finish_moments(pass, pass->stage + 1);
    }
    run(pass, head_part);
}

/* ---- backward ---- */

static void clear_sums(const struct patchtst *p, struct part *part) {
    memset(part->sum, 0, p->d * sizeof *part->sum);
    memset(part->product, 0, p->d * sizeof *part->product);
}

/* What BatchNorm before this stage has to know of the gradient. */
static void count_slopes(const struct pass *pass, struct part *part, size_t stage, size_t group) {
    const struct patchtst *p = pass->p;
    if (!batch_norm_before(p, stage)) return;
    const struct norm_state *s = &pass->bb->states[patchtst_norm_before(p, stage)];
    p->kernels->slope_sums(part->sum, part->product, pass->bb->d + group * p->d * p->tokens,
                           stream(pass, stage, group), s->mean, s->inv, p->d, p->tokens);
}

static void save_sums(const struct patchtst *p, const struct part *part, uint32_t index) {
    double *to = p->part_sums + index * 2 * p->d;
    for (size_t i = 0; i < p->d; i++) {
        to[i] = to[p->d + i] = 0;
        for (size_t lane = 0; lane < LANES; lane++) {
            to[i] += (double)part->sum[i][lane];
            to[p->d + i] += (double)part->product[i][lane];
        }
    }
}

static void finish_slopes(const struct pass *pass, size_t stage) {
    const struct patchtst *p = pass->p;
    if (!batch_norm_before(p, stage)) return;
    int norm = patchtst_norm_before(p, stage);
    const struct norm_params *params = &pass->bb->norms[norm];
    struct norm_state *s = &pass->bb->states[norm];
    double n = (double)(pass->sequences * p->tokens);
    for (size_t i = 0; i < p->d; i++) {
        double sum = 0, product = 0;
        for (size_t part = 0; part < pass->parts; part++) {
            sum += p->part_sums[part * 2 * p->d + i];
            product += p->part_sums[part * 2 * p->d + p->d + i];
        }
        params->b->grad[i] += (nn_real)sum;
        params->w->grad[i] += (nn_real)product;
        s->m1[i] = (nn_real)(sum / n);
        s->m2[i] = (nn_real)(product / n * (double)s->inv[i]);
    }
}

/* Gradient of the stream before a stage from that of its normalised self. */
static void norm_back(const struct pass *pass, struct part *part, size_t stage, size_t group) {
    const struct patchtst *p = pass->p;
    int norm = patchtst_norm_before(p, stage);
    if (norm < 0) return;
    lanes *d = pass->bb->d + group * p->d * p->tokens, *z = stream(pass, stage, group);
    const struct norm_params *params = &pass->bb->norms[norm];
    const struct norm_state *s = &pass->bb->states[norm];
    if (p->config.norm == PATCHTST_BATCH_NORM)
        p->kernels->batchnorm_back(d, z, s->scale, s->m1, s->mean, s->m2, p->d, p->tokens,
                                   used_lanes(pass, group));
    else
        p->kernels->layernorm_back(d, patchtst_grad(pass, part, params->w),
                                   patchtst_grad(pass, part, params->b), z, params->w->value, p->d,
                                   p->tokens);
}

static void gather_slopes(const struct pass *pass, lanes *to, size_t group) {
    const struct patchtst *p = pass->p;
    for (size_t h = 0; h < p->horizon; h++) to[h] = (lanes){0};
    for (size_t i = 0; i < used_lanes(pass, group); i++) {
        size_t s = group * LANES + i;
        const nn_real *from = p->dy + s / p->channels * p->horizon * p->channels + s % p->channels;
        for (size_t h = 0; h < p->horizon; h++) to[h][i] = from[h * p->channels];
    }
}

static void head_back_part(void *context, uint32_t index) {
    const struct pass *pass = context;
    struct patchtst *p = pass->p;
    struct part *part = &p->parts[index];
    size_t first, end, size = p->d * p->tokens;
    patchtst_range(pass, index, &first, &end);
    memset(part->grads, 0, pass->bb->grad_size * sizeof *part->grads);
    clear_sums(p, part);
    for (size_t g = first; g < end; g += GROUPS_AT_ONCE) {
        size_t n = end - g < GROUPS_AT_ONCE ? end - g : GROUPS_AT_ONCE;
        lanes *y = pass->bb->y + g * p->horizon;
        for (size_t i = 0; i < n; i++) {
            struct lanes_dropout d = dropout_at(pass, p->config.head_dropout, SITE_HEAD, g + i);
            lanes *own = y + i * p->horizon;
            gather_slopes(pass, part->out, g + i);
            patchtst_unscale_back(pass, part, own, part->out, pass->bb->dev + g + i, g + i);
            if (d.on) p->kernels->dropped(own, NULL, own, p->horizon, 1, &d);
        }
        patchtst_head_back(pass, part, pass->bb->d + g * size, y, last_stream(pass, part, g, n), g,
                           n);
        for (size_t i = 0; i < n; i++) count_slopes(pass, part, 2 * p->layers, g + i);
    }
    save_sums(p, part, index);
}

static void stage_back_part(void *context, uint32_t index) {
    const struct pass *pass = context;
    struct patchtst *p = pass->p;
    struct part *part = &p->parts[index];
    size_t first, end, layer = pass->stage / 2;
    double drop = p->config.dropout;
    patchtst_range(pass, index, &first, &end);
    clear_sums(p, part);
    for (size_t g = first; g < end; g++) {
        lanes *d = pass->bb->d + g * p->d * p->tokens;
        norm_back(pass, part, pass->stage + 1, g);
        lanes *u =
            patchtst_normalise(p, pass->bb, part->u, stream(pass, pass->stage, g), pass->stage);
        if (pass->stage % 2 == 0) {
            struct attention_arrays a = arrays_of(pass, layer, g);
            struct lanes_dropout at = dropout_at(pass, twice(drop), site_of(layer, 0), g);
            patchtst_attention_back(pass, layer, &a, part, d, u, &at);
        } else {
            struct lanes_dropout inner = dropout_at(pass, drop, site_of(layer, 1), g),
                                 outer = dropout_at(pass, drop, site_of(layer, 2), g);
            patchtst_feed_forward_back(pass, layer, part, d, u, &inner, &outer);
        }
        count_slopes(pass, part, pass->stage, g);
    }
    save_sums(p, part, index);
}

static void embed_back_part(void *context, uint32_t index) {
    const struct pass *pass = context;
    struct patchtst *p = pass->p;
    struct part *part = &p->parts[index];
    size_t first, end;
    patchtst_range(pass, index, &first, &end);
    for (size_t g = first; g < end; g++) {
        struct lanes_dropout drop = dropout_at(pass, p->config.dropout, SITE_EMBED, g);
        norm_back(pass, part, 0, g);
        patchtst_embed_back(pass, part, pass->bb->d + g * p->d * p->tokens,
                            pass->bb->x + g * p->length, &drop, g);
    }
}

/* Gradients of the parts, added in their order; cut by parameters. */
static void reduce_part(void *context, uint32_t index) {
    const struct pass *pass = context;
    const struct patchtst *p = pass->p;
    size_t size = pass->bb->grad_size, first = size * index / PARTS,
           end = size * (index + 1) / PARTS;
    nn_real *to = p->network.params.grad + pass->bb->grad_first;
    for (size_t part = 0; part < pass->parts; part++) {
        const nn_real *from = p->parts[part].grads;
        for (size_t i = first; i < end; i++) to[i] += from[i];
    }
}

static void backward(struct pass *pass) {
    const struct patchtst *p = pass->p;
    run(pass, head_back_part);
    finish_slopes(pass, 2 * p->layers);
    for (pass->stage = 2 * p->layers; pass->stage-- > 0;) {
        run(pass, stage_back_part);
        finish_slopes(pass, pass->stage);
    }
    run(pass, embed_back_part);
    workers_run(p->network.workers, reduce_part, pass, PARTS);
}

/* ---- the step ---- */

double patchtst_step(struct network *net, nn_real *y, const struct nn_batch *batch,
                     const struct nn_loss_choice *loss, uint64_t seed) {
    struct patchtst *p = (struct patchtst *)net;
    ASSERT(p->training && batch->n > 0 && batch->n <= net->batch_max &&
           (batch->target || loss->own));
    struct pass pass = {.p = p, .batch = batch, .sequences = batch->n * p->channels, .seed = seed};
    pass.groups = (pass.sequences + LANES - 1) / LANES;
    pass.parts = pass.groups < PARTS ? pass.groups : PARTS;
    for (size_t i = 0; i < p->backbone_count; i++) {
        pass.bb = &p->backbones[i];
        forward(&pass);
    }
    run(&pass, output_part);
    double value = network_loss(net, p->dy, p->y, batch, loss, p->weights);
    if (y) memcpy(y, p->y, batch->n * p->horizon * p->channels * sizeof *y);
    for (size_t i = 0; i < p->backbone_count; i++) {
        pass.bb = &p->backbones[i];
        backward(&pass);
    }
    return value;
}
