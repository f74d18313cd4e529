/* Inside of the network: its parts, its memory, the passes over a group of eight sequences. */
#ifndef ML_PATCHTST_PATCHTST_INTERNAL_H
#define ML_PATCHTST_PATCHTST_INTERNAL_H

#include "ml/patchtst/lanes.h"
#include "ml/patchtst/patchtst.h"

/* Work is cut into this many parts at most, whatever the number of threads; each has scratch and gradients of its own. */
enum { PARTS = 16, BACKBONES_MAX = 2, GROUPS_AT_ONCE = 8 };
enum { SITE_EMBED = 0, SITE_HEAD = 1, SITE_LAYER = 2, SITES_A_LAYER = 3 };

struct linear_params {
    struct nn_tensor *w, *b;
};
struct norm_params {
    struct nn_tensor *w, *b, *mean, *var, *batches; /* the last three: BatchNorm */
};
struct layer_params {
    struct linear_params q, k, v, out, ff1, ff2;
    struct nn_tensor *scale;
};

/* Batch statistics of one normalisation and what follows from them (d each). */
struct norm_state {
    nn_real *mean, *inv;    /* of the batch */
    nn_real *scale, *shift; /* y = z * scale + shift; from running statistics in inference */
    nn_real *m1, *m2;       /* backward: see lanes_kernels.batchnorm_back */
};

/* Scratch of one part. */
struct part {
    lanes *raw;             /* (padded length) */
    lanes *x;               /* (padded length) */
    lanes *u;               /* (GROUPS_AT_ONCE, d, tokens) */
    lanes *v, *a, *b, *c;   /* (max(d, heads * dk), tokens) */
    lanes *dot;             /* (tokens) */
    lanes *scores, *slopes; /* (attention_rows, tokens) */
    lanes *h, *slope;       /* (d_ff, block_tokens) */
    lanes *y;               /* (GROUPS_AT_ONCE, horizon) */
    lanes *out;             /* (horizon): sum over backbones */
    lanes *sum, *product;   /* (d): slope sums of BatchNorm */
    lanes *patches;         /* (patch_len, tokens) */
    /* Inference only: one group's network. */
    lanes *z, *q, *k, *o; /* (d, tokens) (slots, inner, tokens) twice (inner, tokens) */
    nn_real *grads;       /* (backbone's trainable values) */
};

/* One transformer with its RevIN and head; two of them with decomposition. Arrays by group are (groups_max, …). */
struct backbone {
    struct nn_tensor *revin_w, *revin_b, *pos;
    struct linear_params embed;
    struct layer_params *layers;  /* (e_layers) */
    struct norm_params *norms;    /* (2 e_layers): attention's and feed-forward's of each layer */
    struct linear_params *heads;  /* (1 or c_in) */
    struct norm_state *states;    /* (2 e_layers) */
    size_t grad_first, grad_size; /* of the gradient block */
    /* training */
    lanes *x;            /* (padded length): standardised, affine not applied */
    lanes *centre, *dev; /* () */
    lanes *z; /* (2 e_layers + 1, groups, d, tokens): streams before their normalisation */
    lanes *q, *k, *dq, *dk;   /* (slots, inner, tokens) */
    lanes *o, *top, *inverse; /* (e_layers, groups, …) */
    lanes *d;                 /* (d, tokens): gradient on its way back */
    lanes *y;                 /* (horizon): head's output, then its gradient */
    double *mean, *squares;   /* (groups, d) */
};

struct patchtst {
    struct network network;
    struct patchtst_config config;
    const struct lanes_kernels *kernels;
    size_t tokens, length, d, heads, dk, inner, ff, layers, horizon, channels;
    size_t
        slots; /* layers whose queries and keys make the scores: all of them with res_attention, else 1 */
    size_t attention_rows, block_tokens;
    size_t backbone_count, groups_max, parts_max;
    bool training;
    struct backbone backbones[BACKBONES_MAX];
    struct part parts[PARTS];
    double *part_sums;         /* (PARTS, 2, d) */
    nn_real *y, *dy, *weights; /* (batch_max, horizon, channels) */
    void *memory;
};

/* One call of step or predict. */
struct pass {
    struct patchtst *p;
    struct backbone *bb;
    const struct nn_batch *batch;
    size_t sequences, groups, parts, stage;
    uint64_t seed;
    nn_real *y;
};

/* Scores are powers of 2: log2(e) goes into the queries, and ln(2) comes back with the keys' gradients. */
#define LOG2_E 1.4426950408889634074
#define LN_2   0.6931471805599453094
#define REVIN_AFFINE_EPS                                                                           \
    1e-10 /* the official code's eps * eps, beside the affine weight it divides by */

/* Arrays of one group: queries and keys (heads, slots, dk, tokens), o (inner, tokens). */
struct attention_arrays {
    lanes *q, *k, *o;
    lanes *top, *inverse; /* (heads, tokens); NULL in inference */
    lanes *dq, *dk;       /* as q and k; backward only */
};

/* ---- forward.c: a group's pass, what training and inference share ---- */

/* The group's sequences of the batch, raw (seq_len); with decomposition what this backbone gets. scratch (seq_len) */
void patchtst_gather(const struct pass *pass, lanes *raw, lanes *scratch, size_t group);
void patchtst_scatter(const struct pass *pass, nn_real *y, const lanes *from, size_t group);
/* raw (seq_len) -> x (seq_len), and what was taken out */
void patchtst_revin(const struct patchtst *p, lanes *x, lanes *centre, lanes *dev,
                    const lanes *raw);
/* out[lane] = t's value for the lane's channel */
void patchtst_channel_values(const struct patchtst *p, lanes *out, const struct nn_tensor *t,
                             size_t group);
/* x (seq_len) -> out (padded length), what patches are cut from: affine part and padding. out may be x. */
void patchtst_patched(const struct patchtst *p, const struct backbone *bb, lanes *out,
                      const lanes *x, size_t group);
void patchtst_embed(const struct patchtst *p, const struct backbone *bb, lanes *z, lanes *x,
                    const struct lanes_dropout *drop);
/* Number of the normalisation before stage s (stages 2l: attention, 2l + 1: feed-forward, 2 layers: head); -1: none. */
int patchtst_norm_before(const struct patchtst *p, size_t stage);
/* Gives u, normalised z, or z itself where nothing stands before the stage. */
lanes *patchtst_normalise(const struct patchtst *p, const struct backbone *bb, lanes *u, lanes *z,
                          size_t stage);
void patchtst_values(const struct patchtst *p, const struct layer_params *l, lanes *v, lanes *u);
void patchtst_to_slot(const struct patchtst *p, lanes *slots, lanes *plain, size_t slot,
                      nn_real factor, bool back);
void patchtst_scores(const struct patchtst *p, lanes *scores, lanes *q, lanes *k, size_t first,
                     size_t rows, size_t slot);
/* z = u + dropout(attention(u)) */
void patchtst_attention(const struct patchtst *p, const struct backbone *bb, size_t layer,
                        const struct attention_arrays *arrays, struct part *part, lanes *z,
                        lanes *u, const struct lanes_dropout *drop);
void patchtst_hidden(const struct patchtst *p, const struct layer_params *l, lanes *h, lanes *u,
                     size_t first, size_t columns);
/* z = u + outer(w2 inner(activation(w1 u + b1)) + b2) */
void patchtst_feed_forward(const struct patchtst *p, const struct backbone *bb, size_t layer,
                           struct part *part, lanes *z, lanes *u, const struct lanes_dropout *inner,
                           const struct lanes_dropout *outer);
/* Ones in the lanes whose sequence belongs to a head; returns how many. */
size_t patchtst_head_lanes(const struct patchtst *p, lanes *one, size_t group, size_t head);
/* y (n, horizon) from u (n, d, tokens) of n groups; scratch (horizon) */
void patchtst_head(const struct patchtst *p, const struct backbone *bb, lanes *y, lanes *u,
                   lanes *scratch, size_t first_group, size_t n);
/* out (horizon) += y as it was before standardisation */
void patchtst_unscale(const struct patchtst *p, const struct backbone *bb, lanes *out,
                      const lanes *y, const lanes *centre, const lanes *dev, size_t group);
/* A part's groups: first .. end - 1. */
void patchtst_range(const struct pass *pass, uint32_t part, size_t *first, size_t *end);

/* ---- backward.c: the same of gradients; d (d, tokens) is of z in and of u out ---- */

/* Where a part adds the gradient of a tensor of its backbone. */
nn_real *patchtst_grad(const struct pass *pass, struct part *part, const struct nn_tensor *t);
void patchtst_attention_back(const struct pass *pass, size_t layer,
                             const struct attention_arrays *arrays, struct part *part, lanes *d,
                             lanes *u, const struct lanes_dropout *drop);
void patchtst_feed_forward_back(const struct pass *pass, size_t layer, struct part *part, lanes *d,
                                lanes *u, const struct lanes_dropout *inner,
                                const struct lanes_dropout *outer);
/* d (n, d, tokens) from y (n, horizon), gradients of the head's output */
void patchtst_head_back(const struct pass *pass, struct part *part, lanes *d, lanes *y, lanes *u,
                        size_t first_group, size_t n);
/* y: head's output in, its gradient out, from dy (horizon), that of the forecast */
void patchtst_unscale_back(const struct pass *pass, struct part *part, lanes *y, const lanes *dy,
                           const lanes *dev, size_t group);
void patchtst_embed_back(const struct pass *pass, struct part *part, lanes *d, const lanes *x,
                         const struct lanes_dropout *drop, size_t group);

double patchtst_step(struct network *net, nn_real *y, const struct nn_batch *batch,
                     const struct nn_loss_choice *loss, uint64_t seed);
void patchtst_predict(struct network *net, nn_real *y, const struct nn_batch *batch);

#endif
