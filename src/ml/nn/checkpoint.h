/* A training run on disk, so that what goes on from it is bit for bit what would have gone on
 * without it.
 *
 * File     "QNNCKPT1", fixed fields (little-endian, 8 bytes each), values, m, v, the caller's
 *          bytes, and the xxHash3-64 of all before. Replaced whole: a crash leaves the old file or
 *          the new.
 * Tests    test_checkpoint.c: resumed training has the same bits; every damaged byte is found. */
#ifndef ML_NN_CHECKPOINT_H
#define ML_NN_CHECKPOINT_H

#include "ml/nn/optim.h"

struct nn_checkpoint {
    uint64_t step, epoch; /* the caller's count */
    uint64_t seed;
    struct rng rng;
    double best_loss; /* and whatever else in blob */
    const void *blob; /* save: borrowed; load: within `owned` */
    size_t blob_size;
    void *owned; /* load: nn_checkpoint_free; NULL else */
};

/* p placed for training. ST_IO, ST_RANGE, ST_NO_MEMORY. */
enum status nn_checkpoint_save(const char *path, const struct nn_params *p, const struct nn_adam *a,
                               const struct nn_checkpoint *c, struct err *err);
/* Into p (placed for training, the same tensors), a and c; all three stay as they were if it
 * fails. ST_NOT_FOUND, ST_CORRUPT (not a checkpoint, or damaged), ST_MISMATCH (of another
 * network), ST_IO, ST_NO_MEMORY. */
enum status nn_checkpoint_load(const char *path, struct nn_params *p, struct nn_adam *a,
                               struct nn_checkpoint *c, struct err *err);
void nn_checkpoint_free(struct nn_checkpoint *c);

#endif
