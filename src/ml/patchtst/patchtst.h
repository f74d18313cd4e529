/* PatchTST (Nie et al., "A Time Series is Worth 64 Words", ICLR 2023), the supervised network as its authors' code has it:
 * windows of several channels in, each channel cut into patches and read by one transformer, a forecast per channel out.
 *
 * Every value is computed in an order of additions of its own that depends on shapes alone, fused where the source says so
 * (no BLAS, no freedom for the compiler): training and inference give the same bits on every processor and compiler, for any number of
 * threads, and inference gives a window the same bits alone and in any batch. NaN or infinity in a channel of a window makes NaN
 * of that channel's forecast in inference, and of no other.
 *
 * Source   the paper; github.com/yuqinie98/PatchTST at 204c21e for names, shapes and what the paper leaves open (docs/patchtst.md)
 * Tests    test_patchtst.c, test_patchtst_double.c (finite differences); forecast/golden.h: the authors' own numbers */
#ifndef ML_PATCHTST_PATCHTST_H
#define ML_PATCHTST_PATCHTST_H

#include <stdbool.h>

#include "ml/nn/network.h"

enum patchtst_norm { PATCHTST_BATCH_NORM = 0, PATCHTST_LAYER_NORM };
enum patchtst_activation { PATCHTST_GELU = 0, PATCHTST_RELU };
/* What the positional term starts from; ZERO, NORMAL and UNIFORM are one number a token, shared by all features. */
enum patchtst_pe {
    PATCHTST_PE_ZEROS = 0, /* U(-0.02, 0.02), in spite of its name */
    PATCHTST_PE_NONE,      /* the same, never trained */
    PATCHTST_PE_ZERO,      /* U(-0.02, 0.02) */
    PATCHTST_PE_NORMAL,    /* N(0, 0.1) */
    PATCHTST_PE_UNIFORM,   /* U(0, 0.1) */
    PATCHTST_PE_SINCOS     /* sines and cosines, centred, a tenth of their standard deviation */
};

/* Names as the authors' scripts have them. */
struct patchtst_config {
    uint32_t c_in, seq_len, pred_len;
    uint32_t patch_len, stride;
    bool padding_patch; /* the last value repeated `stride` times ("end") */
    uint32_t d_model, n_heads, e_layers, d_ff;
    enum patchtst_norm norm;
    bool pre_norm; /* as the code has it: the skip path is normalised too */
    bool revin, affine, subtract_last;
    bool decomposition;   /* trend and rest through a network each */
    uint32_t kernel_size; /* of its moving average; odd */
    bool individual;      /* a head per channel */
    bool res_attention;
    enum patchtst_activation activation;
    enum patchtst_pe pe;
    bool learn_pe;
    double dropout, head_dropout;
};

/* The scripts' ETTh networks: 7 channels, 336 -> 96, patches of 16 by 8, 3 layers of 16, 4 heads, 128; dropout 0.3. */
struct patchtst_config patchtst_config_defaults(void);
/* The scripts' larger ones: 128, 16 heads, 256; dropout 0.2. */
struct patchtst_config patchtst_config_large(void);

/* Tokens a channel is cut into; 0 if the window is shorter than a patch. */
uint32_t patchtst_tokens(const struct patchtst_config *config);

/* A network with parameters drawn from `seed` by PyTorch's laws. Windows (n, seq_len, c_in), forecasts (n, pred_len, c_in);
 * batch n at most batch_max, more is an ASSERT. training false: no gradients, step is an ASSERT. Everything is allocated here.
 *
 * Parameters and buffers carry their state_dict names; load and save them by nn_params_load, nn_params_save.
 *
 * Returns  ST_OK; ST_RANGE (field), ST_NO_MEMORY (bytes wanted)
 * Out      out      to be destroyed by class_of->destroy
 * In       workers  borrowed for as long as the network lives; may be NULL */
enum status patchtst_create(struct network **out, const struct patchtst_config *config,
                            size_t batch_max, bool training, uint64_t seed, struct workers *workers,
                            struct err *err);
const struct patchtst_config *patchtst_config_of(const struct network *net);

#endif
