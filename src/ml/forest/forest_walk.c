/* Row by row: eight trees of a group step together; then their leaves are summed in the trees' order. */
#include "ml/forest/forest_internal.h"

/* The compiler shall take the value as it is: left to itself it carries each lane's place among the
 * nodes inside the lane's index, two more instructions a step. */
static inline __attribute__((always_inline)) size_t kept(size_t x) {
    __asm__("" : "+r"(x));
    return x;
}

#define WALK(name)   narrow_##name
#define WALK_PERFECT struct forest_perfect_narrow
#define WALK_RAGGED  struct forest_ragged_narrow
#include "ml/forest/forest_walk_nodes.h"
#undef WALK
#undef WALK_PERFECT
#undef WALK_RAGGED
#define WALK(name)   wide_##name
#define WALK_PERFECT struct forest_perfect_wide
#define WALK_RAGGED  struct forest_ragged_wide
#include "ml/forest/forest_walk_nodes.h"

static inline void group_walk(uint32_t leaves[FOREST_GROUP], const struct forest *f,
                              const struct forest_group *g, const uint8_t *ranks) {
    if (g->has_signature) {
        forest_kernels_of((enum forest_kernel)f->kernel)->group_leaves(leaves, f, g, ranks);
    } else if (f->is_narrow) {
        if (g->is_perfect)
            narrow_perfect(leaves, f, g, ranks);
        else
            narrow_ragged(leaves, f, g, ranks);
    } else {
        if (g->is_perfect)
            wide_perfect(leaves, f, g, ranks);
        else
            wide_ragged(leaves, f, g, ranks);
    }
}

double forest_leaf_output(const struct forest *f, uint32_t leaf, const struct forest_rows *row) {
    if (f->dialect == TREES_XGBOOST)
        return (double)((const float *)forest_at(f, f->leaf_values))[leaf];
    double value = ((const double *)forest_at(f, f->leaf_values))[leaf];
    uint32_t linear = f->is_linear ? ((const uint32_t *)forest_at(f, f->linear_of_leaf))[leaf] : 0;
    if (!linear) return value;
    const struct forest_linear *l =
        (const struct forest_linear *)forest_at(f, f->linears) + linear - 1;
    const struct forest_term *terms = (const struct forest_term *)forest_at(f, f->terms);
    double sum = l->constant;
    for (uint32_t i = l->begin; i < l->end; i++) {
        double x = forest_rows_value(row, terms[i].feature);
        if (isnan(x)) return value;
        if (fabs(x) <= (double)FOREST_ZERO) x = 0;
        sum += terms[i].coefficient * x;
    }
    return sum;
}

/* The sum is inside the loop over groups: the adds of one group run beside the loads of the next. */
static void sum_f32(double *out, const struct forest *f, const uint8_t *ranks) {
    const struct forest_group *g = (const struct forest_group *)forest_at(f, f->groups);
    const float *values = (const float *)forest_at(f, f->leaf_values);
    float sum = (float)out[0];
    for (const struct forest_group *end = g + f->group_count; g < end; g++) {
        uint32_t leaves[FOREST_GROUP];
        group_walk(leaves, f, g, ranks);
        for (uint32_t i = 0; i < g->count; i++) sum += values[leaves[i]];
    }
    out[0] = (double)sum;
}

static void sum_f64(double *out, const struct forest *f, const uint8_t *ranks) {
    const struct forest_group *g = (const struct forest_group *)forest_at(f, f->groups);
    const double *values = (const double *)forest_at(f, f->leaf_values);
    double sum = out[0];
    for (const struct forest_group *end = g + f->group_count; g < end; g++) {
        uint32_t leaves[FOREST_GROUP];
        group_walk(leaves, f, g, ranks);
        for (uint32_t i = 0; i < g->count; i++) sum += values[leaves[i]];
    }
    out[0] = sum;
}

/* Several outputs, or leaves that look at the row. */
static void sum_any(double *out, const struct forest *f, const uint8_t *ranks,
                    const struct forest_rows *row) {
    const struct forest_group *g = (const struct forest_group *)forest_at(f, f->groups);
    const struct forest_tree *t = (const struct forest_tree *)forest_at(f, f->trees);
    for (const struct forest_group *end = g + f->group_count; g < end; g++) {
        uint32_t leaves[FOREST_GROUP];
        group_walk(leaves, f, g, ranks);
        for (uint32_t i = 0; i < g->count; i++, t++) {
            double *sum = &out[t->class_index], value = forest_leaf_output(f, leaves[i], row);
            *sum =
                f->dialect == TREES_XGBOOST ? (double)((float)*sum + (float)value) : *sum + value;
        }
    }
}

void forest_walk_margin(double *out, const struct forest *f, const uint8_t *ranks,
                        const struct forest_rows *row) {
    memcpy(out, forest_at(f, f->base_margin), f->outputs * sizeof *out);
    if (f->tree_count == 0) return;
    if (f->outputs > 1 || f->is_linear)
        sum_any(out, f, ranks, row);
    else if (f->dialect == TREES_XGBOOST)
        sum_f32(out, f, ranks);
    else
        sum_f64(out, f, ranks);
}

void forest_walk_leaves(int32_t *out, const struct forest *f, const uint8_t *ranks) {
    const struct forest_group *g = (const struct forest_group *)forest_at(f, f->groups);
    const int32_t *ids = (const int32_t *)forest_at(f, f->leaf_ids);
    for (const struct forest_group *end = g + f->group_count; g < end; g++) {
        uint32_t leaves[FOREST_GROUP];
        group_walk(leaves, f, g, ranks);
        for (uint32_t i = 0; i < g->count; i++) *out++ = ids[leaves[i]];
    }
}

void forest_walk_block(uint32_t *out, const struct forest *f, uint32_t t, const uint8_t *ranks) {
    const struct forest_tree *tree = (const struct forest_tree *)forest_at(f, f->trees) + t;
    const struct forest_group *g =
        (const struct forest_group *)forest_at(f, f->groups) + tree->group;
    if (f->is_narrow)
        narrow_block(out, f, g, tree->lane, ranks);
    else
        wide_block(out, f, g, tree->lane, ranks);
}

/* ---- without ranks ---- */

/* The test of a node, from its threshold itself. */
static bool goes_right(const struct forest *f, uint32_t column, uint32_t last,
                       const struct forest_rows *row) {
    const struct forest_column c =
        ((const struct forest_column *)forest_at(f, f->columns_used))[column];
    if (c.kind == COLUMN_CATEGORY) {
        const struct forest_category *category =
            (const struct forest_category *)forest_at(f, f->categories) + c.source;
        return forest_category_right(f, category, forest_rows_value(row, category->feature));
    }
    const struct forest_quantizer *q =
        (const struct forest_quantizer *)forest_at(f, f->quantizers) + c.source;
    const float *f32 = (const float *)forest_at(f, f->thresholds_f32);
    const double *f64 = (const double *)forest_at(f, f->thresholds_f64);
    size_t at = (size_t)q->table + FOREST_TABLE_BLOCK + last;
    double x = forest_rows_value(row, q->feature);
    bool missing = isnan(x);
    if (f->dialect == TREES_XGBOOST) return missing ? c.kind : f32[at] <= (float)x;
    if (fabs(x) <= (double)FOREST_ZERO) x = 0;
    if (c.source < f->quantizer_end[PREPARE_LIGHTGBM_NONE]) {
        x = missing ? 0 : x;
        missing = false;
    } else if (c.source < f->quantizer_end[PREPARE_LIGHTGBM_ZERO]) {
        missing |= x == 0;
    }
    return missing ? c.kind : row->f32 ? f32[at] <= (float)x : f64[at] <= x;
}

static bool perfect_right(const struct forest *f, size_t at, const struct forest_rows *row) {
    const struct forest_perfect_narrow *narrow =
        (const struct forest_perfect_narrow *)forest_at(f, f->perfect_nodes);
    const struct forest_perfect_wide *wide =
        (const struct forest_perfect_wide *)forest_at(f, f->perfect_nodes);
    return f->is_narrow ? goes_right(f, narrow[at].column, narrow[at].last, row)
                        : goes_right(f, wide[at].column, wide[at].last, row);
}

/* The next node; the same one if it is a leaf. */
static uint32_t ragged_next(const struct forest *f, uint32_t j, const struct forest_rows *row) {
    const struct forest_ragged_narrow *narrow =
        (const struct forest_ragged_narrow *)forest_at(f, f->ragged_nodes);
    const struct forest_ragged_wide *wide =
        (const struct forest_ragged_wide *)forest_at(f, f->ragged_nodes);
    uint32_t delta = f->is_narrow ? narrow[j].delta : wide[j].delta;
    if (delta == 0) return j;
    return j + delta +
           (f->is_narrow ? goes_right(f, narrow[j].column, narrow[j].last, row)
                         : goes_right(f, wide[j].column, wide[j].last, row));
}

uint32_t forest_walk_lazy(const struct forest *f, uint32_t t, const struct forest_rows *row) {
    const struct forest_tree *tree = (const struct forest_tree *)forest_at(f, f->trees) + t;
    const struct forest_group *g =
        (const struct forest_group *)forest_at(f, f->groups) + tree->group;
    if (g->is_perfect) {
        size_t nodes = (size_t)g->node + (tree->lane << g->depth);
        uint32_t j = 1;
        while (j < 1u << g->depth) j = 2 * j + perfect_right(f, nodes + j, row);
        return tree->leaf + j - (1u << g->depth);
    }
    uint32_t j = g->root[tree->lane], next;
    while ((next = ragged_next(f, j, row)) != j) j = next;
    return ((const uint32_t *)forest_at(f, f->node_leaf))[j];
}
