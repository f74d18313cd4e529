/* Blocks of rows. The including file defines the vector of FOREST_LANES bytes, what is done with
 * it, and count_f32, count_f64; VECTOR_KERNELS names the result.
 *
 * A tree is evaluated whole: for a block the tests of all its splits cost less than one path a row, for
 * they need no gather. Each split chooses between its children's leaf numbers, from the bottom up. */
#include "ml/forest/forest_ranks_all.h"
#include "ml/forest/forest_signature.h"

/* A vector of a leaf's number in every row; they stand first among the slots. */
static inline const uint8_t *leaf_number(const uint8_t *numbers, uint32_t number) {
    return numbers + (size_t)number * FOREST_LANES;
}

/* A complete subtree; number: of its first leaf. Its nodes end with its root. */
static inline __attribute__((always_inline)) vector
perfect_1(const struct forest_block_node *n, const uint8_t *ranks, const uint8_t *numbers) {
    return vector_bottom(n->limit, ranks + n->offset, vector_load(leaf_number(numbers, 1)));
}
#define PERFECT(height, below, how)                                                                \
    static how vector perfect_##height(const struct forest_block_node *n, const uint8_t *ranks,    \
                                       const uint8_t *numbers) {                                   \
        const uint32_t half = 1u << (height - 1);                                                  \
        vector left = perfect_##below(n, ranks, numbers);                                          \
        vector right = perfect_##below(n + half - 1, ranks, leaf_number(numbers, half));           \
        const struct forest_block_node *root = n + 2 * half - 2;                                   \
        return vector_choose(root->limit, ranks + root->offset, left, right);                      \
    }
PERFECT(2, 1, inline __attribute__((always_inline)))
PERFECT(3, 2, inline __attribute__((always_inline)))
PERFECT(4, 3, __attribute__((noinline)))
PERFECT(5, 4, inline __attribute__((always_inline)))
PERFECT(6, 5, inline __attribute__((always_inline)))
PERFECT(7, 6, inline __attribute__((always_inline)))
#undef PERFECT

static vector block_perfect(const struct forest_block_node *n, uint32_t depth, uint32_t shift,
                            const uint8_t *ranks, const uint8_t *numbers) {
    vector v = vector_load(numbers);
    switch (depth) {
    case 1:
        v = perfect_1(n, ranks, numbers);
        break;
    case 2:
        v = perfect_2(n, ranks, numbers);
        break;
    case 3:
        v = perfect_3(n, ranks, numbers);
        break;
    case 4:
        v = perfect_4(n, ranks, numbers);
        break;
    case 5:
        v = perfect_5(n, ranks, numbers);
        break;
    case 6:
        v = perfect_6(n, ranks, numbers);
        break;
    case 7:
        v = perfect_7(n, ranks, numbers);
        break;
    }
    for (; shift; shift--) v = vector_double(v);
    return v;
}

/* Children are numbered above their parents, so from the last split to the first. */
static vector block_slots(const struct forest_slot_node *n, uint32_t split_count,
                          const uint8_t *ranks, uint8_t *slots) {
    for (uint32_t i = split_count; i-- > 0;)
        vector_store(slots + (size_t)(FOREST_SLOT_LEAVES + i) * FOREST_LANES,
                     vector_choose(n[i].limit, ranks + n[i].offset, vector_load(slots + n[i].left),
                                   vector_load(slots + n[i].right)));
    return vector_load(slots + (split_count ? (size_t)FOREST_SLOT_LEAVES * FOREST_LANES : 0));
}

/* Leaf numbers within the tree, a byte each. Not for BLOCK_WALK. */
static inline vector tree_evaluate(const struct forest *f, const struct forest_tree *t,
                                   const uint8_t *ranks, uint8_t *slots) {
    if (t->block_kind == BLOCK_PERFECT)
        return block_perfect((const struct forest_block_node *)forest_at(f, f->block_nodes) +
                                 t->block_node,
                             t->block_depth, t->block_shift, ranks, slots);
    return block_slots((const struct forest_slot_node *)forest_at(f, f->slot_nodes) + t->block_node,
                       t->split_count, ranks, slots);
}

static void slots_init(uint8_t *slots) {
    for (uint32_t i = 0; i < FOREST_SLOT_LEAVES; i++)
        vector_store(slots + (size_t)i * FOREST_LANES, vector_set((uint8_t)i));
}

static void block_leaves(uint32_t *out, const struct forest *f, uint32_t t, const uint8_t *ranks) {
    __attribute__((aligned(64))) uint8_t slots[FOREST_SLOTS * FOREST_LANES], number[FOREST_LANES];
    const struct forest_tree *tree = (const struct forest_tree *)forest_at(f, f->trees) + t;
    if (tree->block_kind == BLOCK_WALK) {
        forest_walk_block(out, f, t, ranks);
        return;
    }
    slots_init(slots);
    vector_store(number, tree_evaluate(f, tree, ranks, slots));
    for (uint32_t r = 0; r < FOREST_LANES; r++) out[r] = tree->leaf + number[r];
}

/* sums (FOREST_LANES) += the tree's values: loads by fours, which beats gathers and single adds. */
typedef float four_f32 __attribute__((vector_size(16), aligned(16)));
typedef double four_f64 __attribute__((vector_size(32), aligned(32)));
static inline void add_f32(float *sums, const float *values, const uint8_t *number) {
    four_f32 *four = (four_f32 *)(void *)sums;
    for (uint32_t r = 0; r < FOREST_LANES; r += 4)
        four[r / 4] += (four_f32){values[number[r]], values[number[r + 1]], values[number[r + 2]],
                                  values[number[r + 3]]};
}
static inline void add_f64(double *sums, const double *values, const uint8_t *number) {
    four_f64 *four = (four_f64 *)(void *)sums;
    for (uint32_t r = 0; r < FOREST_LANES; r += 4)
        four[r / 4] += (four_f64){values[number[r]], values[number[r + 1]], values[number[r + 2]],
                                  values[number[r + 3]]};
}

/* The tree's values for one block, added to sums of its type. */
static void tree_add(void *sums, size_t at, const struct forest *f, uint32_t t,
                     const uint8_t *ranks, uint8_t *slots) {
    const struct forest_tree *tree = (const struct forest_tree *)forest_at(f, f->trees) + t;
    const float *f32 = (const float *)forest_at(f, f->leaf_values);
    const double *f64 = (const double *)forest_at(f, f->leaf_values);
    if (tree->block_kind == BLOCK_WALK) {
        uint32_t leaf[FOREST_LANES];
        forest_walk_block(leaf, f, t, ranks);
        for (uint32_t r = 0; r < FOREST_LANES; r++)
            if (f->dialect == TREES_XGBOOST)
                ((float *)sums)[at + r] += f32[leaf[r]];
            else
                ((double *)sums)[at + r] += f64[leaf[r]];
        return;
    }
    __attribute__((aligned(64))) uint8_t number[FOREST_LANES];
    vector_store(number, tree_evaluate(f, tree, ranks, slots));
    if (f->dialect == TREES_XGBOOST)
        add_f32((float *)sums + at, f32 + tree->leaf, number);
    else
        add_f64((double *)sums + at, f64 + tree->leaf, number);
}

static void block_sums(void *sums, const struct forest *f, const uint8_t *ranks, uint32_t blocks) {
    __attribute__((aligned(64))) uint8_t slots[FOREST_SLOTS * FOREST_LANES];
    const struct forest_tree *trees = (const struct forest_tree *)forest_at(f, f->trees);
    slots_init(slots);
    for (uint32_t t = 0; t < f->tree_count; t++)
        for (uint32_t b = 0; b < blocks; b++)
            tree_add(sums, ((size_t)trees[t].class_index * blocks + b) * FOREST_LANES, f, t,
                     ranks + (size_t)b * f->rank_count * FOREST_LANES, slots);
}

static void row_ranks(uint8_t *out, const struct forest *f, const struct forest_rows *rows) {
    ranks_of(out, f, rows, 1, 1, 0);
}

static void block_ranks(uint8_t *out, const struct forest *f, const struct forest_rows *rows,
                        uint32_t count) {
    if (count < FOREST_LANES) memset(out, 128, (size_t)f->rank_count * FOREST_LANES);
    ranks_of(out, f, rows, count, FOREST_LANES, 128);
}

const struct forest_kernels VECTOR_KERNELS = {.block_rows_min = FOREST_LANES / 2,
                                              .row_ranks = row_ranks,
                                              .group_leaves = group_leaves,
                                              .block_ranks = block_ranks,
                                              .block_leaves = block_leaves,
                                              .block_sums = block_sums};
