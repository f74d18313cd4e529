/* Files of weights and checkpoints, and of what lies beside them: read whole, replaced whole. */
#ifndef ML_NN_FILE_H
#define ML_NN_FILE_H

#include <stddef.h>

#include "base/err.h"

/* The caller frees *out (never NULL on success). ST_NOT_FOUND, ST_IO, ST_NO_MEMORY. */
enum status nn_file_read(void **out, size_t *size, const char *path, struct err *err);

/* The parts one behind the other become the file: written beside it, synced, renamed, the folder
 * synced. A crash leaves the old file or the new. ST_IO, ST_RANGE (path too long). */
struct nn_file_part {
    const void *data;
    size_t size;
};
enum status nn_file_replace(const char *path, const struct nn_file_part *parts, size_t count,
                            struct err *err);

#endif
