/* Sizes and places of a forest's arrays. */
#include "ml/forest/forest_build_internal.h"

/* How much there is of everything: exact, but for what is known only once thresholds are sorted. */
struct amounts {
    uint64_t splits, numeric, set_words, quantizers_max;
    uint64_t groups, perfect, ragged, signatures, leaves, blocks, slots, linears, terms;
    uint64_t splits_max, tree_nodes_max;
};

static bool range_of(const struct tree_model *m, const struct forest_options *o,
                     const struct tree **trees, uint32_t *count) {
    uint32_t per = m->trees_per_iteration, all = per ? m->tree_count / per : 0;
    uint32_t best = m->best_iterations && m->best_iterations < all ? m->best_iterations : all;
    uint32_t last = o->last_iteration ? o->last_iteration : best;
    if (o->first_iteration > last || last > all) return false;
    *trees = m->tree_count ? m->trees + (size_t)o->first_iteration * per : NULL;
    *count = (last - o->first_iteration) * per;
    return true;
}

static void tree_count(struct amounts *a, const struct tree *t, bool is_perfect) {
    uint64_t nodes = 2 * (uint64_t)t->split_count + 1;
    a->splits += t->split_count;
    a->splits_max = t->split_count > a->splits_max ? t->split_count : a->splits_max;
    for (uint32_t s = 0; s < t->split_count; s++)
        a->numeric += !(t->decision[s] & DECISION_CATEGORICAL);
    a->set_words += t->set_count ? t->set_begin[t->set_count] : 0;
    if (!is_perfect) {
        a->ragged += nodes;
        a->leaves += t->split_count + 1;
        a->tree_nodes_max = nodes > a->tree_nodes_max ? nodes : a->tree_nodes_max;
    }
    uint32_t depth = forest_perfect_depth(t);
    enum forest_block_kind kind = forest_block_plan(t, depth);
    if (kind == BLOCK_PERFECT && is_perfect)
        a->blocks += (1u << depth) - 1;
    else if (kind != BLOCK_WALK)
        a->slots += t->split_count;
    if (t->is_linear) {
        a->linears += t->split_count + 1;
        a->terms += t->linear_begin[t->split_count + 1];
    }
}

static bool amounts_of(struct amounts *a, const struct tree_model *m, const struct tree *trees,
                       uint32_t count) {
    *a = (struct amounts){0};
    for (uint32_t first = 0; first < count; first += FOREST_GROUP, a->groups++) {
        struct forest_group g;
        forest_group_plan(&g, trees, count, first);
        if (g.is_perfect) {
            a->perfect += (uint64_t)FOREST_GROUP << g.depth;
            a->leaves += (uint64_t)g.count << g.depth;
        }
        a->signatures += g.has_signature;
        for (uint32_t i = 0; i < g.count; i++) tree_count(a, &trees[first + i], g.is_perfect);
    }
    /* Each feature can be prepared in up to three ways (LightGBM's missing types). */
    uint64_t keys = m->dialect == TREES_XGBOOST ? m->columns : (uint64_t)m->columns * 3;
    a->quantizers_max =
        a->numeric / FOREST_QUANTIZER_THRESHOLDS + (keys < a->numeric ? keys : a->numeric);
    /* Numbers of nodes and columns are 32 bits, a column in a node 24. */
    uint64_t columns = 2 * a->quantizers_max + (a->splits - a->numeric) + 1;
    return a->splits < UINT32_MAX / 4 && a->perfect < UINT32_MAX && a->ragged < UINT32_MAX &&
           a->leaves < INT32_MAX && a->terms < UINT32_MAX && a->set_words < UINT32_MAX &&
           columns < 1u << 24;
}

static uint64_t place(uint64_t *end, uint64_t count, uint64_t size) {
    uint64_t at = *end;
    *end += (count * size + FOREST_ALIGN - 1) / FOREST_ALIGN * FOREST_ALIGN;
    return at;
}

/* Fills f's offsets and b's scratch as offsets too; returns the size of all. */
static uint64_t arrays_place(struct forest *f, uint64_t scratch[6], const struct tree_model *m,
                             const struct amounts *a, uint32_t trees) {
    uint64_t end = 0, q = a->quantizers_max, categories = a->splits - a->numeric;
    uint64_t columns = 2 * q + categories + 1;
    /* A table: pivots, and blocks that are full but for the last. */
    uint64_t table = a->numeric + 2 * q * FOREST_TABLE_BLOCK;
    bool xgboost = m->dialect == TREES_XGBOOST, linear = a->linears > 0;
    f->is_narrow = columns <= 256 && a->tree_nodes_max <= UINT16_MAX;
    place(&end, 1, sizeof *f);
    f->base_margin = place(&end, m->outputs, sizeof(double));
    f->quantizers = place(&end, q, sizeof(struct forest_quantizer));
    f->categories = place(&end, categories, sizeof(struct forest_category));
    f->columns_used = place(&end, columns, sizeof(struct forest_column));
    f->thresholds_f32 = place(&end, table, sizeof(float));
    f->thresholds_f64 = place(&end, xgboost ? 0 : table, sizeof(double));
    f->set_words = place(&end, a->set_words, sizeof(uint32_t));
    f->trees = place(&end, trees, sizeof(struct forest_tree));
    f->groups = place(&end, a->groups, sizeof(struct forest_group));
    f->perfect_nodes = place(&end, a->perfect,
                             f->is_narrow ? sizeof(struct forest_perfect_narrow)
                                          : sizeof(struct forest_perfect_wide));
    f->ragged_nodes = place(&end, a->ragged,
                            f->is_narrow ? sizeof(struct forest_ragged_narrow)
                                         : sizeof(struct forest_ragged_wide));
    f->node_leaf = place(&end, a->ragged, sizeof(uint32_t));
    f->signatures = place(&end, a->signatures, sizeof(struct forest_signatures));
    f->leaf_values = place(&end, a->leaves, xgboost ? sizeof(float) : sizeof(double));
    f->leaf_ids = place(&end, a->leaves, sizeof(int32_t));
    f->block_nodes = place(&end, a->blocks, sizeof(struct forest_block_node));
    f->slot_nodes = place(&end, a->slots, sizeof(struct forest_slot_node));
    f->linear_of_leaf = place(&end, linear ? a->leaves : 0, sizeof(uint32_t));
    f->linears = place(&end, a->linears, sizeof(struct forest_linear));
    f->terms = place(&end, a->terms, sizeof(struct forest_term));
    scratch[0] = place(&end, a->numeric, sizeof(struct build_entry));
    scratch[1] = place(&end, a->splits, sizeof(uint32_t));
    scratch[2] = place(&end, trees, sizeof(uint32_t));
    scratch[3] = place(&end, a->splits_max + 1, sizeof(uint32_t));
    scratch[4] = place(&end, a->splits_max + 1, sizeof(uint32_t));
    scratch[5] = place(&end, a->splits_max + 1, sizeof(uint32_t));
    return end;
}

size_t forest_size(const struct tree_model *m, const struct forest_options *options) {
    const struct tree *trees;
    uint32_t count;
    struct amounts a;
    struct forest f = {0};
    uint64_t scratch[6];
    if (!range_of(m, options, &trees, &count) || !amounts_of(&a, m, trees, count)) return 0;
    return (size_t)arrays_place(&f, scratch, m, &a, count);
}

static enum forest_kernel kernel_best(void) {
    if (forest_kernel_available(FOREST_KERNEL_AVX512)) return FOREST_KERNEL_AVX512;
    if (forest_kernel_available(FOREST_KERNEL_AVX2)) return FOREST_KERNEL_AVX2;
    return FOREST_KERNEL_SCALAR;
}

/* Blocks of rows in a tile: as many as keep their ranks in the first cache beside a tree. */
static uint32_t tile_blocks(const struct forest *f, const struct forest_kernels *k) {
    uint64_t block = (uint64_t)f->rank_count * FOREST_LANES;
    if (!k->block_sums || f->is_linear || block > UINT16_MAX) return 0;
    uint64_t sums = (uint64_t)f->outputs * FOREST_LANES * sizeof(double);
    if (sums > FOREST_SUMS_BYTES) return 0;
    uint64_t blocks = 16384 / block, by_sums = FOREST_SUMS_BYTES / sums;
    blocks = blocks < by_sums ? blocks : by_sums;
    return blocks < 1 ? 1 : blocks < FOREST_TILE_BLOCKS ? (uint32_t)blocks : FOREST_TILE_BLOCKS;
}

static void header_fill(struct forest *f, const struct tree_model *m, uint32_t trees,
                        const struct amounts *a) {
    f->dialect = m->dialect;
    f->transform = m->transform;
    f->outputs = m->outputs;
    f->columns = m->columns;
    f->prediction_columns = tree_prediction_columns(m);
    f->tree_count = trees;
    f->iterations = m->trees_per_iteration ? trees / m->trees_per_iteration : 0;
    f->sigmoid = m->sigmoid;
    f->average_output = m->average_output;
    f->is_linear = a->linears > 0;
    memcpy((void *)(uintptr_t)forest_at(f, f->base_margin), m->base_margin,
           m->outputs * sizeof(double));
}

enum status forest_build(struct forest **out, void *memory, size_t size, const struct tree_model *m,
                         const struct forest_options *options) {
    struct forest_build b = {.m = m};
    struct amounts a;
    struct forest f = {0};
    uint64_t scratch[6];
    enum forest_kernel kernel = options->kernel ? options->kernel : kernel_best();
    if (!forest_kernel_available(kernel)) return ST_UNSUPPORTED;
    if (!range_of(m, options, &b.trees, &b.tree_count)) return ST_INVALID;
    if (!amounts_of(&a, m, b.trees, b.tree_count)) return ST_RANGE;
    f.size = arrays_place(&f, scratch, m, &a, b.tree_count);
    ASSERT(size >= f.size && (uintptr_t)memory % FOREST_ALIGN == 0);
    memset(memory, 0, f.size);
    b.f = memcpy(memory, &f, sizeof f);
    b.kernels = forest_kernels_of(kernel);
    b.entries = (struct build_entry *)forest_at(b.f, scratch[0]);
    b.tests = (uint32_t *)forest_at(b.f, scratch[1]);
    b.tree_word = (uint32_t *)forest_at(b.f, scratch[2]);
    b.node_of = (uint32_t *)forest_at(b.f, scratch[3]);
    b.first_of = (uint32_t *)forest_at(b.f, scratch[4]);
    b.below_of = (uint32_t *)forest_at(b.f, scratch[5]);
    header_fill(b.f, m, b.tree_count, &a);
    forest_build_ranks(&b);
    b.f->is_lazy = kernel == FOREST_KERNEL_REF || b.f->rank_count > FOREST_ROW_RANKS;
    b.f->kernel = b.f->is_lazy ? FOREST_KERNEL_REF : kernel;
    b.f->tile_blocks = b.f->is_lazy ? 0 : tile_blocks(b.f, b.kernels);
    forest_build_trees(&b);
    *out = b.f;
    return ST_OK;
}
