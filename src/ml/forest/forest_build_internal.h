/* Compiling a forest: first the size of every array, then the ranks, then the trees. */
#ifndef ML_FOREST_FOREST_BUILD_INTERNAL_H
#define ML_FOREST_FOREST_BUILD_INTERNAL_H

#include "ml/forest/forest_internal.h"

/* A numeric split on its way to a rank. */
struct build_entry {
    uint64_t key; /* preparation, feature */
    double threshold;
    uint32_t split;
    uint32_t default_left;
};

struct forest_build {
    struct forest *f;
    const struct tree_model *m;
    const struct tree *trees; /* of the range */
    uint32_t tree_count;
    const struct forest_kernels *kernels;
    /* Scratch at the end of the block. */
    struct build_entry *entries; /* (numeric splits) */
    uint32_t *tests;             /* (splits): last | column << 8 */
    uint32_t *tree_word;         /* (trees): where its sets begin */
    uint32_t *node_of;           /* (splits of the largest tree + 1) */
    uint32_t *first_of;          /* the same: first leaf below a split, from left to right */
    uint32_t *below_of;          /* the same: leaves below it */
};

/* Fills quantizers, tables, categories, columns and b->tests. */
void forest_build_ranks(struct forest_build *b);
/* Fills groups, trees, nodes and leaves. */
void forest_build_trees(struct forest_build *b);

/* Depth of a tree of few splits if it is at most FOREST_PERFECT_DEPTH, else UINT32_MAX. */
uint32_t forest_perfect_depth(const struct tree *t);
/* The group that begins with tree first; root, node and leaf are left alone. */
void forest_group_plan(struct forest_group *out, const struct tree *trees, uint32_t count,
                       uint32_t first);
enum forest_block_kind forest_block_plan(const struct tree *t, uint32_t depth);

#endif
