/* What the three fuzz targets share: any bytes are refused with a reason, or are a model that can be
 * walked and that comes back the same from its own text. */
#ifndef ML_MODEL_IO_FUZZ_MODEL_H
#define ML_MODEL_IO_FUZZ_MODEL_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ml/model_io/model_io.h"

static void fuzz_walk(const struct tree_model *m) {
    static const double values[] = {0, NAN, INFINITY, -INFINITY, 1e30, -1, 3, 0.5};
    enum { ROWS = sizeof values / sizeof *values };
    double *row = malloc(m->columns * sizeof *row);
    double *margin = malloc(m->outputs * sizeof *margin);
    ASSERT(row && margin);
    uint32_t iterations = m->tree_count / m->trees_per_iteration;
    for (uint32_t r = 0; r < ROWS + 1; r++) {
        for (uint32_t c = 0; c < m->columns; c++) row[c] = values[r == ROWS ? c % ROWS : r];
        for (uint32_t i = 0; i < m->tree_count; i++)
            ASSERT(tree_walk_ref(m, &m->trees[i], row) <= m->trees[i].split_count);
        tree_margin_ref(margin, m, 0, iterations, row);
        tree_transform(margin, m, iterations, margin);
    }
    free(row);
    free(margin);
}

static void fuzz_prove(const struct tree_model *m) {
    uint32_t most = 0, tree;
    for (uint32_t i = 0; i < m->tree_count; i++)
        if (m->trees[i].split_count > most) most = m->trees[i].split_count;
    uint8_t *visited = malloc((size_t)most + 1);
    ASSERT(visited);
    ASSERT(tree_model_problem(m, visited, &tree) == NULL);
    free(visited);
}

/* The model's text in a format; NULL if it cannot be said there. */
static char *fuzz_print(const struct tree_model *m, enum model_format format, size_t *size) {
    char *text = NULL;
    struct err err = {0};
    enum status st = model_print(&text, size, m, format, &err);
    ASSERT(st == ST_OK || (st == ST_UNSUPPORTED && err.text[0]));
    return st == ST_OK ? text : NULL;
}

/* Through format `by` and back, the model prints the same in its own text. */
static void fuzz_round_trip(const struct tree_model *m, const char *text, size_t size,
                            enum model_format by) {
    size_t by_size = 0, again_size = 0;
    struct tree_model *back = NULL;
    struct err err = {0};
    char *bytes = fuzz_print(m, by, &by_size);
    if (!bytes) return;
    ASSERT(model_parse(&back, bytes, by_size, "printed", &err) == ST_OK);
    char *again = fuzz_print(back, MODEL_FORMAT_AUTO, &again_size);
    ASSERT(again && again_size == size && memcmp(again, text, size) == 0);
    tree_model_destroy(back);
    free(bytes);
    free(again);
}

static void fuzz_model(const uint8_t *data, size_t size) {
    enum { COLUMNS_MAX = 4096, OUTPUTS_MAX = 256 }; /* rows that are quick to fill */
    struct tree_model *m = NULL;
    struct err err = {0};
    if (model_parse(&m, data, size, "input", &err) != ST_OK) {
        ASSERT(!m && err.text[0]);
        return;
    }
    fuzz_prove(m);
    if (m->columns <= COLUMNS_MAX && m->outputs <= OUTPUTS_MAX) {
        fuzz_walk(m);
        size_t text_size = 0;
        char *text = fuzz_print(m, MODEL_FORMAT_AUTO, &text_size);
        if (text) {
            fuzz_round_trip(m, text, text_size, MODEL_FORMAT_AUTO);
            if (m->dialect == TREES_XGBOOST) fuzz_round_trip(m, text, text_size, MODEL_XGBOOST_UBJ);
        }
        free(text);
        struct tree_model *converted = NULL;
        char *lgbm = fuzz_print(m, MODEL_LIGHTGBM_TEXT, &text_size);
        ASSERT(!lgbm || model_parse(&converted, lgbm, text_size, "converted", &err) == ST_OK);
        tree_model_destroy(converted);
        free(lgbm);
    }
    tree_model_destroy(m);
}

#endif
