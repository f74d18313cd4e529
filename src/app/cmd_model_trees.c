/* What the commands of `quantum model` ask of a model. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cmd_model.h"
#include "app/command.h"
#include "base/rng.h"

enum { ALIGN = 64 };

uint32_t model_iteration_count(const struct tree_model *m) {
    return m->tree_count / m->trees_per_iteration;
}

/* A number, or nothing: then absent. */
static bool bound_parse(uint32_t *out, const char *text, size_t size, uint32_t absent) {
    char copy[16];
    *out = absent;
    if (size == 0) return true;
    if (size >= sizeof copy) return false;
    memcpy(copy, text, size);
    copy[size] = 0;
    return command_u32_parse(out, copy, 0, UINT32_MAX);
}

enum status model_iterations(uint32_t *first, uint32_t *last, const struct tree_model *m,
                             const char *text, struct err *err) {
    uint32_t count = model_iteration_count(m);
    *first = 0;
    *last = m->best_iterations ? m->best_iterations : count;
    if (!text) return ST_OK;
    const char *colon = strchr(text, ':');
    bool ok = colon && bound_parse(first, text, (size_t)(colon - text), 0) &&
              bound_parse(last, colon + 1, strlen(colon + 1), count) && *first < *last &&
              *last <= count;
    return ok ? ST_OK
              : err_set(err, ST_RANGE, "--iterations %s: the model has the iterations 0:%u", text,
                        count);
}

enum status model_forest_build(struct forest **out, void **memory, const struct tree_model *m,
                               const struct forest_options *options, struct err *err) {
    size_t size = forest_size(m, options);
    if (size == 0) return err_set(err, ST_RANGE, "the model is too large to serve");
    void *block = aligned_alloc(ALIGN, (size + ALIGN - 1) / ALIGN * ALIGN);
    if (!block) return err_set(err, ST_NO_MEMORY, "no memory for a forest of %zu bytes", size);
    enum status st = forest_build(out, block, size, m, options);
    if (st != ST_OK) {
        free(block);
        return err_set(err, st, "forest: %s", status_text(st));
    }
    *memory = block;
    return ST_OK;
}

/* On one threshold, a step beside it, or nothing; a category of its set or one beyond. */
static double split_value(const struct tree_model *m, const struct tree *t, uint32_t split,
                          struct rng *rng) {
    uint64_t kind = rng_below(rng, 5);
    if (kind == 4) return NAN;
    double threshold = t->threshold[split];
    if (t->decision[split] & DECISION_CATEGORICAL) {
        uint32_t set = (uint32_t)threshold;
        return (double)rng_below(rng, 32 * (t->set_begin[set + 1] - t->set_begin[set]) + 2) - 1;
    }
    if (kind < 2) return threshold;
    double towards = kind == 2 ? -INFINITY : INFINITY;
    return m->dialect == TREES_XGBOOST ? (double)nextafterf((float)threshold, (float)towards)
                                       : nextafter(threshold, towards);
}

void model_row_draw(double *row, const struct tree_model *m, struct rng *rng) {
    for (uint32_t c = 0; c < m->columns; c++) {
        uint64_t kind = rng_below(rng, 8);
        row[c] = kind == 0 ? NAN : kind == 1 ? 0 : 3 * rng_normal(rng);
    }
    for (uint32_t i = 0; m->tree_count && i < 2 * m->columns; i++) {
        const struct tree *t = &m->trees[rng_below(rng, m->tree_count)];
        if (t->split_count == 0) continue;
        uint32_t split = (uint32_t)rng_below(rng, t->split_count);
        row[t->feature[split]] = split_value(m, t, split, rng);
    }
}

const char *model_column_name(char out[32], const struct tree_model *m, uint32_t column) {
    if (m->feature_names) return m->feature_names[column];
    snprintf(out, 32, "Column_%u", column);
    return out;
}
