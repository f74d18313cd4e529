/* Inside the grow side: bins, their two layouts, histograms and the search for splits.
 *
 * Gradients and hessians are whole numbers here. A tree's gradients are multiplied by a power of
 * two that lets their absolute sum fill some 50 bits, hessians likewise, and rounded: what a
 * float32 carries survives, and every sum is exact, as a double too. So a histogram is the same in
 * any order of additions, the larger child's by subtraction is the one that counting would give,
 * and threads need no fixed partition of the work. */
#ifndef ML_LIGHTGBM_LGBM_GROW_INTERNAL_H
#define ML_LIGHTGBM_LGBM_GROW_INTERNAL_H

#include "ml/lightgbm/lgbm_internal.h"

/* ---- bin.c: how the values of a column become bins ---- */

/* LightGBM's kZeroThreshold: smaller values are zero. */
#define LGBM_ZERO ((double)1e-35f)
/* Beyond it a threshold is not written. */
#define LGBM_THRESHOLD_MAX 1e300

/* Categories are bits of a set in the model: the largest decides its size. */
enum { LGBM_CATEGORY_MAX = 1 << 20, LGBM_BINS_MAX = 1 << 16 };

struct lgbm_bins {
    bool usable, categorical;
    enum missing_type missing;
    uint32_t count;          /* NaN's own bin, if there is one, is the last */
    uint32_t zero_bin;       /* numeric: bin of 0, where type zero's missing values are */
    uint32_t frequent_bin;   /* of the sample */
    uint32_t frequent_count; /* of sample_count */
    uint32_t sample_count;
    double *bounds; /* numeric, (count), upper and inclusive; the last is infinite, NaN's is NaN */
    int32_t *categories; /* categorical, (count); [0] -1: all others */
    int32_t *sorted;     /* (count - 1) pairs of category and bin, by category */
    double min, max;
};

struct lgbm_bin_rule {
    bool categorical, use_missing, zero_as_missing, pre_filter;
    uint32_t max_bin, min_data_in_bin;
    uint32_t filter_count; /* rows of the sample that either side of a split must be able to have */
};

/* Scratch of lgbm_bins_find for samples of `count` values. */
size_t lgbm_bins_scratch(size_t count);
/* sample (count). ST_INVALID: a category too large; ST_NO_MEMORY. */
enum status lgbm_bins_find(struct lgbm_bins *out, const double *sample, size_t count,
                           const struct lgbm_bin_rule *rule, void *scratch, struct err *err);
void lgbm_bins_free(struct lgbm_bins *b);
uint32_t lgbm_bins_of(const struct lgbm_bins *b, double x);
/* The same of count values. */
void lgbm_bins_of_rows(uint32_t *out, const struct lgbm_bins *b, const double *x, uint32_t count);
/* Bin that `missing` rows are in; UINT32_MAX if none are treated so. */
uint32_t lgbm_bins_missing(const struct lgbm_bins *b);

/* ---- dataset.c: bins of all rows, twice ---- */

/* A feature is a column that can split. By column, for partitions and walks: 8 or 16 bits a bin. By
 * row, for histograms: lanes of 4, 8 or 16 bits, four of one width to a quad; a lane is a feature
 * or a bundle. */
enum { LGBM_LANES = 4 };

struct lgbm_store {
    uint8_t *bins8; /* (rows), or NULL: */
    uint16_t *bins16;
};

struct lgbm_lane {
    uint32_t first, count; /* of members; 0 in a quad's empty lanes */
    uint32_t bins;
};

struct lgbm_quad {
    uint32_t row_offset; /* bytes in a packed row */
    uint32_t bits;       /* of a lane */
    uint32_t bins;       /* the most that a lane has */
    size_t hist_offset;  /* entries in a histogram */
    struct lgbm_lane lanes[LGBM_LANES];
    bool is_plain; /* every lane is one numeric feature or empty, no type zero */
};

struct lgbm_member {
    uint32_t feature;
    uint32_t base; /* first code in a bundle; its codes leave out elided */
    uint32_t elided;
};

/* Where a split sends a row. */
struct lgbm_goes {
    struct lgbm_store store;
    uint32_t threshold;             /* left: bin <= threshold, unless it is: */
    uint32_t missing, missing_left; /* bin, UINT32_MAX: none; 1: goes left */
    const uint32_t *set;            /* categorical: bins that go left; else NULL */
};

/* A split as a walk by bins sees it. */
struct lgbm_walk_node {
    struct lgbm_goes goes;
    int32_t child[2]; /* right, left */
};

struct lgbm_dataset {
    size_t rows;
    uint32_t columns, feature_count;
    struct lgbm_bins *bins;    /* (columns) */
    bool owns_bins;            /* false: they are another set's */
    uint32_t *feature_column;  /* (feature_count) ascending */
    uint32_t *column_feature;  /* (columns), UINT32_MAX: not usable */
    struct lgbm_store *stores; /* (feature_count) */
    uint8_t *store_memory;
    /* Room of lgbm_add_tree, for the largest tree that the parameters allow. */
    uint32_t walk_splits;
    uint32_t walk_words; /* of a split's set */
    struct lgbm_walk_node *walk_nodes;
    uint32_t *walk_sets;
    /* Training sets only. */
    uint32_t quad_count;
    struct lgbm_quad *quads;
    uint32_t member_count;
    struct lgbm_member *members; /* (feature_count) */
    size_t row_stride;           /* bytes */
    uint8_t *packed;             /* (rows, row_stride) and 8 more, as lanes are read by words */
    size_t hist_entries;
};

static inline uint32_t lgbm_store_get(const struct lgbm_store *s, size_t row) {
    return s->bins8 ? s->bins8[row] : s->bins16[row];
}

static inline bool lgbm_goes_left(const struct lgbm_goes *g, size_t row) {
    uint32_t bin = lgbm_store_get(&g->store, row);
    if (g->set) return g->set[bin / 32] >> (bin % 32) & 1;
    return bin == g->missing ? g->missing_left : bin <= g->threshold;
}

/* bundle.c: lanes of all features. members (feature_count) and lanes (feature_count) are filled,
 * sparse features that are never set together in one lane; returns the lanes' number, 0: no
 * memory. */
uint32_t lgbm_bundle(struct lgbm_lane *lanes, struct lgbm_member *members,
                     const struct lgbm_dataset *d, bool enable);

/* ---- hist.c ---- */

/* Gradient and hessian of some rows, two's complement. A histogram of a quad is (bins,
 * LGBM_LANES). */
typedef uint64_t lgbm_pair __attribute__((vector_size(16)));

enum { LGBM_BLOCK = 1024 }; /* rows whose pairs stay in the nearest cache */

/* Adds the block's rows to quads [from, to) of the list. rows NULL: first .. first+count-1. */
void lgbm_hist_add(lgbm_pair *hist, const struct lgbm_dataset *d, const uint32_t *quads,
                   uint32_t from, uint32_t to, const uint32_t *rows, size_t first,
                   const lgbm_pair *pairs, uint32_t count);
/* The pairs of rows, or minus them; asks for the rows' bins on the way. */
void lgbm_hist_gather(lgbm_pair *out, const lgbm_pair *pairs, const struct lgbm_dataset *d,
                      const uint32_t *rows, uint32_t count, bool negative);
/* a -= b */
void lgbm_hist_subtract(lgbm_pair *a, const lgbm_pair *b, size_t entries);

/* ---- split.c ---- */

struct lgbm_sums {
    int64_t gradient, hessian;
};

/* What holds for a whole tree. */
struct lgbm_rule {
    const struct lgbm_dataset *d;
    const struct lgbm_params *p;
    double gradient_unit, hessian_unit; /* powers of two: real = whole * unit */
    int64_t hessian_min;                /* whole, above 0: so that neither side is empty */
    uint64_t seed;
    bool constrained; /* there is a monotone constraint */
    bool plain;       /* gains need no output: no constraint, smoothing or limit of the step */
    bool vector;      /* this processor has AVX2 */
};

/* quantise.c: gradients and hessians of a tree's rows as whole numbers. Fills the units of rule,
 * the pairs of the rows, and rows in their order. blocks: scratch. ST_INVALID: not numbers, or
 * hessians below 0. */
struct lgbm_block_sums {
    double gradient, hessian;
    struct lgbm_sums whole;
    bool is_valid;
};
size_t lgbm_quantise_blocks(size_t rows);
enum status lgbm_quantise(struct lgbm_rule *rule, struct lgbm_sums *total, lgbm_pair *pairs,
                          uint32_t *rows, const struct lgbm_tree_input *in, uint32_t row_count,
                          struct lgbm_block_sums *blocks, struct workers *threads, struct err *err);

struct lgbm_node {
    struct lgbm_sums sums;
    uint32_t count;       /* rows */
    uint32_t number;      /* of all nodes of the tree, for its random draws */
    double parent_value;  /* path_smooth */
    double low, high;     /* bounds of its value from monotone splits above */
    const bool *features; /* (feature_count) that may split it */
};

struct lgbm_split {
    double gain; /* above what a split must gain; 0 or less: none */
    uint32_t feature, threshold;
    bool default_left;
    uint32_t category_count; /* > 0: categorical, categories[] are bins that go left */
    struct lgbm_sums left;
    double left_value, right_value;
    uint16_t *categories; /* caller's, (max_cat_threshold) */
};

struct lgbm_split_scratch {
    lgbm_pair *entries; /* (most bins of a feature) */
    uint32_t *order;    /* the same */
    double *key;
};

/* Value of a leaf with these sums among children of n; count matters to path_smooth. */
double lgbm_node_value(const struct lgbm_rule *r, const struct lgbm_node *n,
                       const struct lgbm_sums *s, double count, double l2_extra);
/* Better split among the features of quad, if there is one; hist: the quad's. */
void lgbm_split_search(struct lgbm_split *best, const struct lgbm_rule *r,
                       const struct lgbm_node *n, const struct lgbm_quad *q, const lgbm_pair *hist,
                       struct lgbm_split_scratch *scratch);
/* Whether a is to be preferred to b: more gain, then the lower column. */
bool lgbm_split_better(const struct lgbm_split *a, const struct lgbm_split *b);
void lgbm_split_copy(struct lgbm_split *to, const struct lgbm_split *from);

/* ---- lanes.c: what AVX2 makes of a plain quad, and its scalar twin; the same bits ---- */

struct lgbm_lane_best {
    double gain[2][LGBM_LANES];       /* [0]: missing goes left; the floor if none is above it */
    int64_t threshold[2][LGBM_LANES]; /* -1: none */
};
struct lgbm_lane_query {
    const lgbm_pair *hist; /* (bins, LGBM_LANES) */
    uint32_t bins;
    int64_t last[LGBM_LANES];        /* last bin of values; -1: lane is not to be split */
    bool has_missing;                /* a lane has rows in a bin behind its last: look both ways */
    double gradient, hessian, count; /* of the node; sums in whole units, as all that follow */
    double count_factor;             /* rows per unit of hessian */
    double count_min, hessian_min;   /* what a side needs */
    double l1, l2, floor;
};
void lgbm_lanes_scan(struct lgbm_lane_best *out, const struct lgbm_lane_query *q);
void lgbm_lanes_scan_avx2(struct lgbm_lane_best *out, const struct lgbm_lane_query *q);

/* ---- partition.c ---- */

struct lgbm_partition_scratch {
    uint32_t *left, *right; /* (rows) */
    uint32_t *counts;
};
enum status lgbm_partition_scratch_init(struct lgbm_partition_scratch *s, size_t rows,
                                        struct err *err);
void lgbm_partition_scratch_deinit(struct lgbm_partition_scratch *s);
/* Rows that go left, then those that go right, each in their order. Returns the number of the
 * first. */
uint32_t lgbm_partition(const struct lgbm_goes *goes, uint32_t *rows, uint32_t count,
                        struct lgbm_partition_scratch *scratch, struct workers *threads);

/* ---- grow.c ---- */

/* lgbm_grower_create with at most so many bytes of histograms, though never fewer than three. */
enum status lgbm_grower_create_within(struct lgbm_grower **out, const struct lgbm_dataset *d,
                                      const struct lgbm_params *params, struct workers *threads,
                                      size_t pool_bytes, struct err *err);

#endif
