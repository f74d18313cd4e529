/* A network's parameters and buffers under their official names, their gradients and optimiser
 * state. */
#ifndef ML_NN_PARAMS_H
#define ML_NN_PARAMS_H

#include "base/err.h"
#include "ml/nn/nn.h"

enum { NN_NAME_SIZE = 96, NN_RANK_MAX = 4, NN_TENSORS_MAX = 1024 };

struct nn_tensor {
    char name[NN_NAME_SIZE]; /* as PyTorch's state_dict has it */
    uint32_t rank;
    size_t shape[NN_RANK_MAX];
    size_t count;    /* product of shape; 1 for a scalar (rank 0) */
    bool trainable;  /* else a buffer: it travels with the weights, the optimiser leaves it alone */
    bool is_integer; /* num_batches_tracked: I64 in files */
    bool is_tied;    /* another name of a tensor before it (nn_params_tie) */
    uint32_t tied_to;              /* its index, if so */
    nn_real *value, *grad, *m, *v; /* grad, m, v NULL for buffers and for inference */
};

/* All tensors of a network: values lie in one block, gradients in another, so that they can be
 * cleared, clipped, summed and copied as one. Trainable ones first in the blocks, each aligned to
 * 64 bytes (padding is zero). */
struct nn_params {
    uint32_t count, capacity;
    struct nn_tensor *tensors; /* (count), in state_dict order */
    size_t size;               /* values in the block, padding included */
    size_t trainable_size;     /* of them, the leading ones the optimiser works on */
    nn_real *value, *grad, *m, *v;
    /* Of values: loads and steps count it up, and so must who writes them by hand; networks that
     * keep weights in another layout look at it. */
    uint64_t changes;
};

/* Two steps: nn_params_add for each tensor, then nn_params_place carves the blocks. training
 * false: values only. */
enum status nn_params_init(struct nn_params *p, uint32_t capacity, struct err *err);
/* ST_FULL, ST_EXISTS (name), ST_RANGE (name or rank too long, a zero in shape). shape (rank) */
enum status nn_params_add(struct nn_params *p, const char *name, bool trainable, uint32_t rank,
                          const size_t *shape);
/* One more name for a tensor added before: weights used in several places, all of whose names
 * PyTorch's state_dict has. It shares the values and has no gradient of its own. Files may lack it;
 * where several names are given, the last one's values are taken, as load_state_dict does. Saved
 * under every name. ST_NOT_FOUND (original), else as nn_params_add. */
enum status nn_params_tie(struct nn_params *p, const char *name, const char *original);
enum status nn_params_place(struct nn_params *p, bool training, struct err *err);
void nn_params_free(struct nn_params *p);
struct nn_tensor *nn_params_find(struct nn_params *p, const char *name); /* NULL: none */

/* ---- safetensors: u64 little-endian header length, JSON header, raw little-endian data ---- */

/* Every tensor of p must be there with its shape; F32, F64, F16, BF16 are converted, I64 for
 * integers. Tensors p does not know and values that are not finite are errors that name them; p is
 * then as it was. ST_CORRUPT (byte or key), ST_MISMATCH (name, both shapes), ST_NOT_FOUND (file or
 * tensor), ST_UNSUPPORTED (type). */
enum status nn_params_load(struct nn_params *p, const char *path, struct err *err);
enum status nn_params_parse(struct nn_params *p, const void *bytes, size_t size, const char *name,
                            struct err *err);
/* F32 and I64 (these first: every value is aligned to its size), names as given, no holes;
 * metadata: "key\0value\0…\0" pairs into __metadata__, or NULL. Atomic. */
enum status nn_params_save(const struct nn_params *p, const char *path, const char *metadata,
                           struct err *err);

/* Any safetensors file, read only: for reference data and for tools. */
struct safetensors;
struct safetensor {
    const char *name, *dtype; /* "F32" … */
    uint32_t rank;
    size_t shape[NN_RANK_MAX + 2];
    size_t count;
    const void *data; /* unaligned, little-endian */
};
enum status safetensors_open(struct safetensors **out, const char *path, struct err *err);
enum status safetensors_parse(struct safetensors **out, const void *bytes, size_t size,
                              const char *name,
                              struct err *err); /* bytes are borrowed until closed */
void safetensors_close(struct safetensors *s);
uint32_t safetensors_count(const struct safetensors *s);
const struct safetensor *safetensors_at(const struct safetensors *s, uint32_t index);
const struct safetensor *safetensors_find(const struct safetensors *s,
                                          const char *name);                    /* NULL: none */
const char *safetensors_metadata(const struct safetensors *s, const char *key); /* NULL: none */
/* Values widened to double; ST_UNSUPPORTED: dtype. out (count) */
enum status safetensor_f64(double *out, const struct safetensor *t);

#endif
