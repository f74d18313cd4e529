/* From thresholds to tables of ranks: every numeric split becomes "rank of a column > last". */
#include "ml/forest/forest_build_internal.h"

/* The next value above x, and nothing (NaN, which no value reaches) above the last one. */
static double next_up_f64(double x) {
    uint64_t bits;
    if (x == 0) x = 0; /* -0 */
    if (x == (double)INFINITY) return (double)NAN;
    memcpy(&bits, &x, sizeof bits);
    bits = x < 0 ? bits - 1 : bits + 1;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

static float next_up_f32(float x) {
    uint32_t bits;
    if (x == 0) x = 0;
    if (x == INFINITY) return NAN;
    memcpy(&bits, &x, sizeof bits);
    bits = x < 0 ? bits - 1 : bits + 1;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

static float next_down_f32(float x) {
    return x == -INFINITY ? x : -next_up_f32(-x);
}

/* The float t with: for every float x, x <= threshold iff x < t. */
static float float_above(double threshold) {
    float below = (float)threshold;
    if ((double)below > threshold) below = next_down_f32(below);
    return next_up_f32(below);
}

static enum forest_preparation preparation_of(const struct tree_model *m, uint8_t decision) {
    if (m->dialect == TREES_XGBOOST) return PREPARE_XGBOOST;
    switch ((enum missing_type)((decision & DECISION_MISSING_MASK) >> DECISION_MISSING_SHIFT)) {
    case MISSING_ZERO:
        return PREPARE_LIGHTGBM_ZERO;
    case MISSING_NAN:
        return PREPARE_LIGHTGBM_NAN;
    case MISSING_NONE:
        break;
    }
    return PREPARE_LIGHTGBM_NONE;
}

/* ---- order ---- */

static bool comes_before(const struct build_entry *a, const struct build_entry *b) {
    if (a->key != b->key) return a->key < b->key;
    return a->threshold < b->threshold;
}

static void sift_down(struct build_entry *e, size_t i, size_t n) {
    struct build_entry moved = e[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && comes_before(&e[child], &e[child + 1])) child++;
        if (!comes_before(&moved, &e[child])) break;
        e[i] = e[child];
    }
    e[i] = moved;
}

/* Heap sort: in place, and no input is slow. What is equal becomes one threshold, so its order among
 * itself does not matter. */
static void entries_sort(struct build_entry *e, size_t n) {
    for (size_t i = n / 2; i-- > 0;) sift_down(e, i, n);
    for (size_t end = n; end-- > 1;) {
        struct build_entry top = e[0];
        e[0] = e[end];
        e[end] = top;
        sift_down(e, 0, end);
    }
}

/* ---- quantizers ---- */

static size_t entries_collect(struct forest_build *b) {
    size_t n = 0;
    uint32_t split = 0;
    for (uint32_t i = 0; i < b->tree_count; i++) {
        const struct tree *t = &b->trees[i];
        for (uint32_t s = 0; s < t->split_count; s++, split++) {
            if (t->decision[s] & DECISION_CATEGORICAL) continue;
            enum forest_preparation p = preparation_of(b->m, t->decision[s]);
            b->entries[n++] =
                (struct build_entry){.key = (uint64_t)p << 32 | (uint32_t)t->feature[s],
                                     .threshold = t->threshold[s],
                                     .split = split,
                                     .default_left = p == PREPARE_LIGHTGBM_NONE ||
                                                     (t->decision[s] & DECISION_DEFAULT_LEFT)};
        }
    }
    return n;
}

static uint32_t column_add(struct forest *f, uint32_t source, enum forest_column_kind kind) {
    struct forest_column *columns = (struct forest_column *)forest_at(f, f->columns_used);
    columns[f->rank_count] = (struct forest_column){source, kind};
    return f->rank_count++;
}

static void threshold_put(const struct forest *f, size_t at, double threshold) {
    float *f32 = (float *)forest_at(f, f->thresholds_f32);
    double *f64 = (double *)forest_at(f, f->thresholds_f64);
    if (f->dialect == TREES_XGBOOST) {
        f32[at] = (float)threshold;
    } else {
        f32[at] = float_above(threshold);
        f64[at] = next_up_f64(threshold);
    }
}

static void threshold_copy(const struct forest *f, size_t to, size_t from) {
    float *f32 = (float *)forest_at(f, f->thresholds_f32);
    double *f64 = (double *)forest_at(f, f->thresholds_f64);
    f32[to] = f32[from];
    if (f->dialect == TREES_LIGHTGBM) f64[to] = f64[from];
}

static void threshold_absent(const struct forest *f, size_t at) {
    float *f32 = (float *)forest_at(f, f->thresholds_f32);
    double *f64 = (double *)forest_at(f, f->thresholds_f64);
    f32[at] = NAN;
    if (f->dialect == TREES_LIGHTGBM) f64[at] = (double)NAN;
}

/* One quantizer from the entries at e: up to its limit of thresholds of one key. Returns the entries
 * used; *table is moved behind it. */
static size_t quantizer_add(struct forest_build *b, const struct build_entry *e, size_t n,
                            uint32_t index, uint32_t *table) {
    struct forest *f = b->f;
    struct forest_quantizer *q = (struct forest_quantizer *)forest_at(f, f->quantizers) + index;
    const uint32_t none = UINT32_MAX;
    *q = (struct forest_quantizer){(uint32_t)e->key, *table, none, none};
    size_t first = (size_t)*table + FOREST_TABLE_BLOCK, used = 0;
    uint32_t thresholds = 0;
    for (; used < n && e[used].key == e->key; used++) {
        if (used == 0 || e[used].threshold != e[used - 1].threshold) {
            if (thresholds == FOREST_QUANTIZER_THRESHOLDS) break;
            threshold_put(f, first + thresholds++, e[used].threshold);
        }
        uint32_t *column = e[used].default_left ? &q->left : &q->right;
        if (*column == none)
            *column = column_add(f, index, e[used].default_left ? COLUMN_LEFT : COLUMN_RIGHT);
        b->tests[e[used].split] = (thresholds - 1) | *column << 8;
    }
    /* The last of each block is its pivot; the last of all is absent, so no count runs beyond. */
    uint32_t blocks = thresholds / FOREST_TABLE_BLOCK + 1;
    for (uint32_t i = thresholds; i < blocks * FOREST_TABLE_BLOCK; i++)
        threshold_absent(f, first + i);
    for (uint32_t i = 0; i < FOREST_TABLE_BLOCK; i++)
        if (i < blocks)
            threshold_copy(f, *table + i, first + (size_t)(i + 1) * FOREST_TABLE_BLOCK - 1);
        else
            threshold_absent(f, *table + i);
    *table += (blocks + 1) * FOREST_TABLE_BLOCK;
    return used;
}

static void sets_copy(struct forest_build *b) {
    uint32_t *words = (uint32_t *)forest_at(b->f, b->f->set_words), word = 0;
    for (uint32_t i = 0; i < b->tree_count; i++) {
        const struct tree *t = &b->trees[i];
        uint32_t n = t->set_count ? t->set_begin[t->set_count] : 0;
        b->tree_word[i] = word;
        if (n) memcpy(words + word, t->set_words, n * sizeof *words);
        word += n;
    }
}

static void categories_add(struct forest_build *b) {
    struct forest *f = b->f;
    struct forest_category *c = (struct forest_category *)forest_at(f, f->categories);
    uint32_t split = 0;
    sets_copy(b);
    for (uint32_t i = 0; i < b->tree_count; i++) {
        const struct tree *t = &b->trees[i];
        for (uint32_t s = 0; s < t->split_count; s++, split++) {
            if (!(t->decision[s] & DECISION_CATEGORICAL)) continue;
            uint32_t set = (uint32_t)t->threshold[s], index = f->category_count++;
            uint32_t column = column_add(f, index, COLUMN_CATEGORY);
            c[index] = (struct forest_category){
                (uint32_t)t->feature[s], column, b->tree_word[i] + t->set_begin[set],
                t->set_begin[set + 1] - t->set_begin[set], t->decision[s] & DECISION_DEFAULT_LEFT};
            b->tests[split] = column << 8; /* right iff the rank is above 0 */
        }
    }
}

void forest_build_ranks(struct forest_build *b) {
    struct forest *f = b->f;
    size_t n = entries_collect(b);
    entries_sort(b->entries, n);
    uint32_t index = 0, table = 0;
    for (size_t i = 0; i < n; index++) {
        uint32_t preparation = (uint32_t)(b->entries[i].key >> 32);
        i += quantizer_add(b, b->entries + i, n - i, index, &table);
        f->quantizer_end[preparation] = index + 1;
    }
    for (uint32_t p = 1; p < PREPARE_COUNT; p++)
        if (f->quantizer_end[p] < f->quantizer_end[p - 1])
            f->quantizer_end[p] = f->quantizer_end[p - 1];
    categories_add(b);
    uint32_t spare = f->rank_count++;
    struct forest_quantizer *q = (struct forest_quantizer *)forest_at(f, f->quantizers);
    for (uint32_t i = 0; i < index; i++) {
        if (q[i].left == UINT32_MAX) q[i].left = spare;
        if (q[i].right == UINT32_MAX) q[i].right = spare;
    }
}
