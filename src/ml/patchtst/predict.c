/* Inference: a group of eight sequences through the whole network while it is in the caches. */
#include <math.h>

#include "base/assert.h"
#include "ml/patchtst/patchtst_internal.h"

/* BatchNorm with its running statistics is a scale and a shift. Made anew on each call, as parameters may have changed
 * since: some hundred values. */
static void fold_norms(const struct patchtst *p, struct backbone *bb) {
    if (p->config.norm != PATCHTST_BATCH_NORM) return;
    for (size_t n = 0; n < 2 * p->layers; n++) {
        const struct norm_params *from = &bb->norms[n];
        struct norm_state *to = &bb->states[n];
        for (size_t i = 0; i < p->d; i++) {
            double scale =
                (double)from->w->value[i] / sqrt((double)from->var->value[i] + NN_NORM_EPS);
            to->scale[i] = (nn_real)scale;
            to->shift[i] =
                (nn_real)((double)from->b->value[i] - (double)from->mean->value[i] * scale);
        }
    }
}

static void encode(const struct patchtst *p, const struct backbone *bb, struct part *part) {
    const struct lanes_dropout off = {0};
    struct attention_arrays a = {.q = part->q, .k = part->k, .o = part->o};
    for (size_t stage = 0; stage < 2 * p->layers; stage++) {
        lanes *u = patchtst_normalise(p, bb, part->u, part->z, stage);
        if (stage % 2 == 0)
            patchtst_attention(p, bb, stage / 2, &a, part, part->z, u, &off);
        else
            patchtst_feed_forward(p, bb, stage / 2, part, part->z, u, &off, &off);
    }
}

static void group_forecast(struct pass *pass, struct part *part, size_t group) {
    const struct patchtst *p = pass->p;
    const struct lanes_dropout off = {0};
    for (size_t h = 0; h < p->horizon; h++) part->out[h] = (lanes){0};
    for (size_t i = 0; i < p->backbone_count; i++) {
        const struct backbone *bb = pass->bb = &pass->p->backbones[i];
        lanes centre = {0}, dev = {0};
        patchtst_gather(pass, part->raw, part->x, group);
        patchtst_revin(p, part->x, &centre, &dev, part->raw);
        patchtst_patched(p, bb, part->x, part->x, group);
        patchtst_embed(p, bb, part->z, part->x, &off);
        encode(p, bb, part);
        lanes *u = patchtst_normalise(p, bb, part->u, part->z, 2 * p->layers);
        patchtst_head(p, bb, part->y, u, part->y + p->horizon, group, 1);
        patchtst_unscale(p, bb, part->out, part->y, &centre, &dev, group);
    }
    patchtst_scatter(pass, pass->y, part->out, group);
}

static void predict_part(void *context, uint32_t index) {
    struct pass pass = *(const struct pass *)context;
    size_t first, end;
    patchtst_range(&pass, index, &first, &end);
    for (size_t g = first; g < end; g++) group_forecast(&pass, &pass.p->parts[index], g);
}

void patchtst_predict(struct network *net, nn_real *y, const struct nn_batch *batch) {
    struct patchtst *p = (struct patchtst *)net;
    ASSERT(batch->n > 0 && batch->n <= net->batch_max);
    struct pass pass = {.p = p, .batch = batch, .sequences = batch->n * p->channels, .y = y};
    pass.groups = (pass.sequences + LANES - 1) / LANES;
    pass.parts = pass.groups < PARTS ? pass.groups : PARTS;
    for (size_t i = 0; i < p->backbone_count; i++) fold_norms(p, &p->backbones[i]);
    workers_run(net->workers, predict_part, &pass, (uint32_t)pass.parts);
}
