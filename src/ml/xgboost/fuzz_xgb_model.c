/* Any bytes as a model file: refused with a reason, or loaded and able to predict. */
#include <stdlib.h>

#include "base/assert.h"
#include "ml/xgboost/xgb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct xgb_model *m = NULL;
    struct err err = {0};
    if (xgb_load_buffer(&m, data, size, &err) != ST_OK) {
        ASSERT(err.text[0] != 0);
        return 0;
    }
    enum { ROWS = 4 };
    size_t columns = xgb_column_count(m), classes = xgb_class_count(m);
    float *features = calloc(ROWS * columns, sizeof *features);
    double *p = calloc(ROWS * classes, sizeof *p);
    ASSERT(features && p);
    for (size_t i = 0; i < columns; i++) features[columns + i] = (float)i - 1.5F;
    enum status st = xgb_predict(p, m, features, ROWS, (uint32_t)columns, &err);
    ASSERT(st == ST_OK || err.text[0] != 0);
    free(features);
    free(p);
    xgb_destroy(m);
    return 0;
}
