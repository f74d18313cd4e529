/* Inside the compiled forest. docs/forest.md tells the layout in words.
 *
 * A row is first turned into ranks: for each threshold table (quantizer) the number of its thresholds
 * that are at or below the row's value, one byte. A split is then the one test "rank > last", whatever
 * the dialect, the type of the row, the missing type and the default direction: all these are settled
 * when the rank is made. */
#ifndef ML_FOREST_FOREST_INTERNAL_H
#define ML_FOREST_FOREST_INTERNAL_H

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "ml/forest/forest.h"

enum {
    FOREST_ALIGN = 64,
    /* Thresholds of one quantizer: ranks 0 .. 255 are a byte. A feature with more has several. */
    FOREST_QUANTIZER_THRESHOLDS = 255,
    /* A table is this many pivots, then blocks of this many thresholds; two counts find a rank. */
    FOREST_TABLE_BLOCK = 16,
    /* Trees up to this depth may be stored as complete trees. */
    FOREST_PERFECT_DEPTH = 7,
    FOREST_PERFECT_SPLITS = (1 << FOREST_PERFECT_DEPTH) - 1,
    /* Trees walked at a time: what keeps a core busy while each waits for its load. */
    FOREST_GROUP = 8,
    /* Trees up to this many splits are evaluated whole for a block of rows; above, rows walk. */
    FOREST_SLOTS_SPLITS = 127,
    /* Rows find their leaves in ragged trees of up to this many splits by a signature of all splits, if
     * there are so few columns of ranks that they fit registers. */
    FOREST_SIGNATURE_SPLITS = 31,
    FOREST_SIGNATURE_NODES = 32,
    FOREST_SIGNATURE_RANKS = 128,
    /* Limits of the scratch on the stack. Beyond them: the walk that needs none (lazy), or the walk by
     * rows. */
    FOREST_ROW_RANKS = 32768,
    FOREST_TILE_BYTES = 65536,
    FOREST_SUMS_BYTES = 32768,
    FOREST_TILE_BLOCKS = 4,
    /* Rows of a block. */
    FOREST_LANES = 64,
};

/* How a value is prepared for its quantizer. */
enum forest_preparation {
    PREPARE_XGBOOST = 0,   /* NaN is missing */
    PREPARE_LIGHTGBM_NONE, /* NaN is 0; nothing is missing */
    PREPARE_LIGHTGBM_ZERO, /* zero and NaN are missing */
    PREPARE_LIGHTGBM_NAN,  /* NaN is missing */
    PREPARE_COUNT
};

/* Ranks of missing values are chosen so that every split of the column sends them the same way, so a
 * feature whose splits differ in their default has two columns. An unused one is the spare column. */
struct forest_quantizer {
    uint32_t feature;
    uint32_t table;       /* first value in the tables */
    uint32_t left, right; /* columns: missing has rank 0 there, 255 here */
};

/* A categorical split has a column of its own: rank 0 goes left, 1 right. */
struct forest_category {
    uint32_t feature, column;
    uint32_t word, word_count; /* the set */
    uint32_t default_left;     /* XGBoost: of NaN */
};

enum forest_column_kind { COLUMN_LEFT = 0, COLUMN_RIGHT, COLUMN_CATEGORY };
struct forest_column {
    uint32_t source; /* quantizer or category */
    uint32_t kind;
};

/* Up to FOREST_GROUP trees in a row that are walked together.
 * Perfect: complete trees of one depth, tree i's nodes are node + (i << depth), numbered from 1 as in a
 * heap (2j: left, 2j + 1: right; 0 unused), its leaves leaf + (i << depth).
 * Else: node j's children are j + delta and j + delta + 1, both above j; leaves have delta 0, are never
 * left, and name their value in node_leaf. */
struct forest_group {
    uint32_t first, count, depth, is_perfect;
    uint32_t node, leaf;
    uint32_t has_signature, signature;
    uint32_t root[FOREST_GROUP]; /* absent trees: the first one's */
};

/* Go right iff the rank of the column is above last. Narrow ones where columns and deltas fit. */
struct forest_perfect_narrow {
    uint8_t last, column;
};
struct forest_perfect_wide {
    uint32_t column;
    uint8_t last, zero[3];
};
struct forest_ragged_narrow {
    uint8_t last, column;
    uint16_t delta;
};
struct forest_ragged_wide {
    uint32_t column, delta;
    uint8_t last, zero[3];
};

/* Ragged trees whose leaves are numbered from left to right. A split that sends the row right rules out
 * the leaves on its left; of those that no split rules out, the first is the row's (every other one is
 * to the right of it: their paths part where the row went left). Splits that are not there send all
 * rows left. mask: leaves that stay if the split goes right; mask i belongs to the split that
 * forest_signature_split(i) tells, the order in which bytes widen.
 * Source: Lucchese et al., QuickScorer: a Fast Algorithm to Rank Documents with Additive Ensembles of
 * Regression Trees (SIGIR 2015): there a feature's splits at a time, here a tree's. */
struct forest_signature {
    uint8_t column[FOREST_SIGNATURE_NODES], last[FOREST_SIGNATURE_NODES];
    uint32_t mask[FOREST_SIGNATURE_NODES];
};
struct forest_signatures {
    uint32_t leaf[FOREST_GROUP], zero[FOREST_GROUP];
    struct forest_signature tree[FOREST_GROUP];
};
/* Unpacking bytes to 16 and to 32 bits, low half and high half, inside each 128 bits: of the vectors
 * low-low, low-high, high-low, high-high in this order, which byte a 32-bit element comes from. */
static inline uint32_t forest_signature_split(uint32_t i) {
    return i % 4 + 4 * (i / 8) + 16 * (i / 4 % 2);
}

/* Ways to find the leaves of a block of rows in one tree. */
enum forest_block_kind {
    BLOCK_PERFECT = 0, /* every split, in registers, bottom up */
    BLOCK_SLOTS,       /* every split, results in memory, last split first */
    BLOCK_WALK         /* each row walks */
};
struct forest_tree {
    uint32_t class_index;
    uint32_t leaf; /* first of its values */
    uint32_t block_kind, block_node, block_depth, block_shift, split_count;
    uint32_t group, lane;
};

/* Nodes of blocks. offset: of the column in the block's ranks, bytes. limit: last + 1, with its top bit
 * turned, as the ranks of blocks are: vectors compare signed bytes. */
struct forest_block_node {
    uint16_t offset;
    uint8_t limit, zero;
};
/* left, right: where the child's result stands, bytes; first the leaves' numbers, then splits. */
struct forest_slot_node {
    uint16_t offset;
    uint8_t limit, zero;
    uint16_t left, right;
};
enum { FOREST_SLOT_LEAVES = 128, FOREST_SLOTS = FOREST_SLOT_LEAVES + FOREST_SLOTS_SPLITS + 1 };

struct forest_linear {
    double constant;
    uint32_t begin, end; /* terms */
};
struct forest_term {
    double coefficient;
    uint32_t feature, zero;
};

/* Arrays are offsets from the start of the block. */
struct forest {
    uint64_t size;
    uint32_t dialect, transform, kernel;
    uint32_t outputs, columns, prediction_columns, tree_count, iterations;
    double sigmoid;
    uint32_t average_output, is_linear;
    uint32_t is_lazy;     /* no ranks: conditions are evaluated on the row */
    uint32_t is_narrow;   /* columns and deltas fit the small nodes */
    uint32_t rank_count;  /* columns of ranks, the spare one included */
    uint32_t tile_blocks; /* blocks of rows in a tile; 0: no blocks */
    uint32_t quantizer_end[PREPARE_COUNT];
    uint32_t category_count, group_count;
    /* double (outputs) */
    uint64_t base_margin;
    /* struct forest_quantizer, forest_category, forest_column */
    uint64_t quantizers, categories, columns_used;
    /* float and double tables, same numbering; uint32_t sets of categories */
    uint64_t thresholds_f32, thresholds_f64, set_words;
    uint64_t trees, groups;
    /* struct forest_perfect_*, forest_ragged_*; uint32_t (ragged nodes) */
    uint64_t perfect_nodes, ragged_nodes, node_leaf;
    uint64_t signatures;
    /* float (XGBoost) or double (LightGBM) leaf_values; int32_t leaf_ids */
    uint64_t leaf_values, leaf_ids;
    uint64_t block_nodes, slot_nodes;
    /* uint32_t (leaf): 0 or 1 + the leaf's linear */
    uint64_t linear_of_leaf, linears, terms;
};

static inline const void *forest_at(const struct forest *f, uint64_t offset) {
    return (const unsigned char *)f + offset;
}

/* Rows of either type. */
struct forest_rows {
    const float *f32;
    const double *f64; /* if f32 is NULL */
    size_t stride;
};
static inline struct forest_rows forest_rows_from(const struct forest_rows *rows, size_t from) {
    return (struct forest_rows){rows->f32 ? rows->f32 + from * rows->stride : NULL,
                                rows->f32 ? NULL : rows->f64 + from * rows->stride, rows->stride};
}
static inline double forest_rows_value(const struct forest_rows *rows, size_t feature) {
    return rows->f32 ? (double)rows->f32[feature] : rows->f64[feature];
}

/* Whether category c's split sends x right; the rules of tree_walk_ref. */
static inline bool forest_category_right(const struct forest *f, const struct forest_category *c,
                                         double x) {
    uint32_t category;
    if (f->dialect == TREES_XGBOOST) {
        float v = (float)x;
        if (isnan(v)) return !c->default_left;
        if (!(v >= 0 && v < 16777216.0f)) return false;
        category = (uint32_t)v;
    } else {
        if (!(x > -1 && x < 2147483648.0)) return true;
        category = (uint32_t)(int32_t)x;
    }
    const uint32_t *words = (const uint32_t *)forest_at(f, f->set_words) + c->word;
    bool in_set = category / 32 < c->word_count && (words[category / 32] >> (category % 32) & 1);
    return f->dialect == TREES_XGBOOST ? in_set : !in_set;
}

/* LightGBM's kZeroThreshold. */
#define FOREST_ZERO 1e-35f

/* ---- kernels ---- */

/* What a processor's kernel has. Ranks of a row: out (rank_count). Of a block: out (rank_count, LANES),
 * top bits turned, rows beyond count as if of rank 0. */
struct forest_kernels {
    uint32_t block_rows_min;
    void (*row_ranks)(uint8_t *out, const struct forest *f, const struct forest_rows *rows);
    /* Values' numbers of a group with signatures; ranks may be read to FOREST_SIGNATURE_RANKS. NULL: the
     * kernel has no use for signatures. */
    void (*group_leaves)(uint32_t out[FOREST_GROUP], const struct forest *f,
                         const struct forest_group *g, const uint8_t *ranks);
    void (*block_ranks)(uint8_t *out, const struct forest *f, const struct forest_rows *rows,
                        uint32_t count);
    /* Leaves of tree t for a block: their values' numbers, out (LANES) */
    void (*block_leaves)(uint32_t *out, const struct forest *f, uint32_t t, const uint8_t *ranks);
    /* sums (outputs, blocks * LANES) += all trees, ranks (blocks, rank_count, LANES) */
    void (*block_sums)(void *sums, const struct forest *f, const uint8_t *ranks, uint32_t blocks);
};
extern const struct forest_kernels forest_kernels_scalar, forest_kernels_avx2,
    forest_kernels_avx512;

const struct forest_kernels *forest_kernels_of(enum forest_kernel kernel);

/* Walks by rows. ranks (rank_count) */
void forest_walk_margin(double *out, const struct forest *f, const uint8_t *ranks,
                        const struct forest_rows *row);
void forest_walk_leaves(int32_t *out, const struct forest *f, const uint8_t *ranks);
/* A block of rows through one tree; ranks (rank_count, LANES), top bits turned. */
void forest_walk_block(uint32_t *out, const struct forest *f, uint32_t t, const uint8_t *ranks);
/* One row through one tree without ranks, as plain as can be. */
uint32_t forest_walk_lazy(const struct forest *f, uint32_t t, const struct forest_rows *row);
/* What a leaf adds. */
double forest_leaf_output(const struct forest *f, uint32_t leaf, const struct forest_rows *row);

#endif
