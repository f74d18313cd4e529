#ifndef ML_MODEL_IO_MODEL_IO_INTERNAL_H
#define ML_MODEL_IO_MODEL_IO_INTERNAL_H

#include "ml/model_io/model_io.h"

/* Adds a pair as a file states it, any bytes but NUL; false: no memory. */
bool model_attribute_add(struct tree_model *m, const char *key, size_t key_size, const char *value,
                         size_t value_size);

#endif
