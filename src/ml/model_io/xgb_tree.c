/* One tree of an XGBoost file: arrays over its nodes become splits and leaves, numbered breadth-first,
 * so that a child's number is above its parent's whatever the file's order. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ml/model_io/xgb_read.h"

/* Category numbers are held exactly by a float below this (the library's own limit). */
enum { CATEGORIES_MAX = 1 << 24 };
enum { NOT_REACHED = INT32_MIN };

static const char *const tree_keys[] = {"left_children",
                                        "right_children",
                                        "parents",
                                        "split_indices",
                                        "default_left",
                                        "split_type",
                                        "categories",
                                        "categories_nodes",
                                        "categories_segments",
                                        "categories_sizes",
                                        "split_conditions",
                                        "base_weights",
                                        "loss_changes",
                                        "sum_hessian",
                                        "tree_param",
                                        "id",
                                        NULL};
enum { KEY_PARAM = XGB_TREE_INTS + XGB_TREE_FLOATS, KEY_ID };

static void read_param(struct xgb_read *x) {
    static const char *const keys[] = {"num_nodes", "num_feature", "num_deleted",
                                       "size_leaf_vector", NULL};
    uint32_t seen = 0;
    int which;
    x->deleted_count = -1;
    x->tree_columns = -1;
    model_doc_object_begin(&x->d);
    while (xgb_next_key(x, keys, &seen, &which)) {
        if (which == 0)
            x->node_count = xgb_int_read(x, 1, INT32_MAX, "num_nodes");
        else if (which == 1)
            x->tree_columns = xgb_int_read(x, 0, MODEL_COLUMNS_MAX, "num_feature");
        else if (which == 2)
            x->deleted_count = xgb_int_read(x, 0, INT32_MAX, "num_deleted");
        else if (which == 3) {
            if (xgb_int_read(x, 0, INT32_MAX, "size_leaf_vector") > 1)
                model_doc_refuse(&x->d, ST_UNSUPPORTED, "vector leaves (multi-target trees)");
        } else
            model_doc_skip(&x->d);
    }
    xgb_all_seen(x, seen, 1, "tree_param lacks num_nodes");
}

static void read_value(struct xgb_read *x, int which) {
    static const struct {
        int64_t lo, hi;
    } ranges[XGB_TREE_INTS] = {
        [XGB_LEFT] = {-1, INT32_MAX},
        [XGB_RIGHT] = {-1, INT32_MAX},
        [XGB_PARENTS] = {INT32_MIN, INT32_MAX},
        [XGB_COLUMNS] = {0, INT32_MAX},
        [XGB_DEFAULT_LEFT] = {0, 1},
        [XGB_SPLIT_TYPE] = {0, 1},
        [XGB_CATEGORIES] = {0, CATEGORIES_MAX - 1},
        [XGB_CATEGORY_NODES] = {0, INT32_MAX},
        [XGB_CATEGORY_SEGMENTS] = {0, INT32_MAX},
        [XGB_CATEGORY_SIZES] = {0, INT32_MAX},
    };
    if (which < 0)
        model_doc_skip(&x->d);
    else if (which < XGB_TREE_INTS)
        xgb_ints_read(x, &x->ints[which], ranges[which].lo, ranges[which].hi);
    else if (which < KEY_PARAM)
        xgb_floats_read(x, &x->floats[which - XGB_TREE_INTS]);
    else if (which == KEY_PARAM)
        read_param(x);
    else if (xgb_int_read(x, 0, INT32_MAX, "id") != x->m->tree_count)
        /* The library stores the tree at this index. */
        model_doc_refuse(&x->d, ST_CORRUPT, "trees are not numbered in order");
}

/* Arrays that a tree may lack, then empty; every other has one value a node. */
static bool check_lengths(struct xgb_read *x) {
    static const bool optional[] = {[XGB_PARENTS] = true, [XGB_SPLIT_TYPE] = true};
    for (int i = 0; i < XGB_CATEGORIES; i++) {
        size_t count = x->ints[i].count;
        bool lacking = count == 0 && i < (int)sizeof optional && optional[i];
        if (!lacking && (int64_t)count != x->node_count)
            return model_doc_refuse(&x->d, ST_CORRUPT, "%s has %zu values for %lld nodes",
                                    tree_keys[i], count, (long long)x->node_count);
    }
    for (int i = 0; i < XGB_TREE_FLOATS; i++) {
        size_t count = x->floats[i].count;
        bool lacking = count == 0 && i != XGB_CONDITIONS;
        if (!lacking && (int64_t)count != x->node_count)
            return model_doc_refuse(&x->d, ST_CORRUPT, "%s has %zu values for %lld nodes",
                                    tree_keys[XGB_TREE_INTS + i], count, (long long)x->node_count);
    }
    if (x->ints[XGB_CATEGORY_SEGMENTS].count != x->ints[XGB_CATEGORY_NODES].count ||
        x->ints[XGB_CATEGORY_SIZES].count != x->ints[XGB_CATEGORY_NODES].count)
        return model_doc_refuse(&x->d, ST_CORRUPT, "categories of nodes: arrays differ in length");
    return true;
}

/* Child of node as it should be: inside the arrays, new, and naming its parent. */
static bool child_take(struct xgb_read *x, int32_t node, int32_t child) {
    if (child <= 0 || child >= x->node_count)
        return model_doc_refuse(&x->d, ST_CORRUPT, "node %d: child %d is outside the tree", node,
                                child);
    if (x->place.v[child] != NOT_REACHED)
        return model_doc_refuse(&x->d, ST_CORRUPT, "node %d has two parents", child);
    if (x->ints[XGB_PARENTS].count && x->ints[XGB_PARENTS].v[child] != node)
        return model_doc_refuse(&x->d, ST_CORRUPT, "node %d names another parent than %d", child,
                                node);
    x->place.v[child] = 0;
    return xgb_int_push(x, &x->queue, child);
}

/* Fills queue and place; *splits counts the nodes with children. */
static bool order_nodes(struct xgb_read *x, uint32_t *splits) {
    const int32_t *left = x->ints[XGB_LEFT].v, *right = x->ints[XGB_RIGHT].v;
    x->queue.count = x->place.count = 0;
    for (int64_t i = 0; i < x->node_count; i++)
        if (!xgb_int_push(x, &x->place, NOT_REACHED)) return false;
    int32_t leaves = 0;
    *splits = 0;
    x->place.v[0] = 0;
    if (!xgb_int_push(x, &x->queue, 0)) return false;
    for (size_t head = 0; head < x->queue.count; head++) {
        int32_t node = x->queue.v[head];
        if ((left[node] < 0) != (right[node] < 0))
            return model_doc_refuse(&x->d, ST_CORRUPT, "node %d has one child", node);
        if (left[node] < 0) {
            x->place.v[node] = ~leaves++;
            continue;
        }
        x->place.v[node] = (int32_t)(*splits)++;
        if (!child_take(x, node, left[node]) || !child_take(x, node, right[node])) return false;
    }
    int64_t unreached = x->node_count - (int64_t)x->queue.count;
    if (x->deleted_count >= 0 && unreached != x->deleted_count)
        return model_doc_refuse(&x->d, ST_CORRUPT,
                                "%lld nodes are not reached, num_deleted is %lld",
                                (long long)unreached, (long long)x->deleted_count);
    return true;
}

static bool is_categorical(const struct xgb_read *x, int32_t node) {
    return x->ints[XGB_SPLIT_TYPE].count && x->ints[XGB_SPLIT_TYPE].v[node] == 1 &&
           x->ints[XGB_LEFT].v[node] >= 0;
}

/* Words of every listed set. A node that was pruned to a leaf may still be listed: its set is empty. */
static bool measure_sets(struct xgb_read *x, struct tree_shape *shape) {
    const struct xgb_ints *categories = &x->ints[XGB_CATEGORIES];
    const struct xgb_ints *nodes = &x->ints[XGB_CATEGORY_NODES];
    size_t words = 0;
    for (size_t s = 0; s < nodes->count; s++) {
        int64_t begin = x->ints[XGB_CATEGORY_SEGMENTS].v[s],
                size = x->ints[XGB_CATEGORY_SIZES].v[s];
        int32_t node = nodes->v[s], most = -1;
        if (node >= x->node_count)
            return model_doc_refuse(&x->d, ST_CORRUPT, "categories of node %d, which is not there",
                                    node);
        if (s > 0 && nodes->v[s - 1] >= node)
            return model_doc_refuse(&x->d, ST_CORRUPT, "categories_nodes do not ascend");
        if (begin + size > (int64_t)categories->count)
            return model_doc_refuse(&x->d, ST_CORRUPT, "categories of node %d are beyond the array",
                                    node);
        if (!is_categorical(x, node)) continue;
        for (int64_t k = begin; k < begin + size; k++)
            if (categories->v[k] > most) most = categories->v[k];
        words += (size_t)(most + 32) / 32;
        if (words > x->set_words_left)
            return model_doc_refuse(&x->d, ST_RANGE, "categories too large for the file's size");
    }
    x->set_words_left -= words;
    shape->set_count = (uint32_t)nodes->count;
    shape->set_words = (uint32_t)words;
    return true;
}

static void fill_sets(struct xgb_read *x, struct tree *t) {
    const struct xgb_ints *nodes = &x->ints[XGB_CATEGORY_NODES];
    uint32_t word = 0;
    for (size_t s = 0; s < nodes->count; s++) {
        const int32_t *category = x->ints[XGB_CATEGORIES].v + x->ints[XGB_CATEGORY_SEGMENTS].v[s];
        int32_t size = x->ints[XGB_CATEGORY_SIZES].v[s], most = -1, node = nodes->v[s];
        if (!is_categorical(x, node)) size = 0;
        for (int32_t k = 0; k < size; k++) {
            t->set_words[word + (uint32_t)category[k] / 32] |= 1u << (category[k] % 32);
            if (category[k] > most) most = category[k];
        }
        word += (uint32_t)(most + 32) / 32;
        t->set_begin[s + 1] = word;
        if (is_categorical(x, node) && x->place.v[node] >= 0)
            t->threshold[x->place.v[node]] = (double)s;
    }
}

static float value_at(const struct xgb_read *x, int array, int32_t node) {
    return x->floats[array].count ? x->floats[array].v[node] : 0;
}

static void fill_split(struct xgb_read *x, struct tree *t, int32_t split, int32_t node) {
    t->feature[split] = x->ints[XGB_COLUMNS].v[node];
    if (x->ints[XGB_DEFAULT_LEFT].v[node]) t->decision[split] |= DECISION_DEFAULT_LEFT;
    if (is_categorical(x, node)) {
        t->decision[split] |= DECISION_CATEGORICAL;
        t->threshold[split] = -1; /* until fill_sets finds its set */
    } else {
        t->threshold[split] = (double)x->floats[XGB_CONDITIONS].v[node];
    }
    t->left[split] = x->place.v[x->ints[XGB_LEFT].v[node]];
    t->right[split] = x->place.v[x->ints[XGB_RIGHT].v[node]];
    t->gain[split] = value_at(x, XGB_LOSS_CHANGES, node);
    t->split_value[split] = (double)value_at(x, XGB_WEIGHTS, node);
    t->split_weight[split] = (double)value_at(x, XGB_HESSIANS, node);
    t->split_rows[split] = -1;
    t->split_id[split] = node;
}

static void build_tree(struct xgb_read *x) {
    struct tree_shape shape = {.has_ids = true};
    if (!check_lengths(x) || !order_nodes(x, &shape.split_count) || !measure_sets(x, &shape))
        return;
    struct tree *t = tree_model_add(x->m, &shape);
    if (!t) {
        model_doc_refuse(&x->d, ST_NO_MEMORY, "no memory");
        return;
    }
    for (size_t i = 0; i < x->queue.count; i++) {
        int32_t node = x->queue.v[i], place = x->place.v[node];
        if (place >= 0) {
            fill_split(x, t, place, node);
        } else {
            t->leaf_value[~place] = (double)x->floats[XGB_CONDITIONS].v[node];
            t->leaf_weight[~place] = (double)value_at(x, XGB_HESSIANS, node);
            t->leaf_rows[~place] = -1;
            t->leaf_id[~place] = node;
        }
    }
    fill_sets(x, t);
    for (uint32_t i = 0; i < t->split_count; i++)
        if (t->threshold[i] < 0 && (t->decision[i] & DECISION_CATEGORICAL))
            model_doc_refuse(&x->d, ST_CORRUPT, "node %d has no categories", t->split_id[i]);
}

void xgb_tree_read(struct xgb_read *x) {
    enum {
        NEEDED = 1 << XGB_LEFT | 1 << XGB_RIGHT | 1 << XGB_COLUMNS | 1 << XGB_DEFAULT_LEFT |
                 1 << (XGB_TREE_INTS + XGB_CONDITIONS) | 1 << KEY_PARAM
    };
    uint32_t seen = 0;
    int which;
    for (int i = 0; i < XGB_TREE_INTS; i++) x->ints[i].count = 0;
    for (int i = 0; i < XGB_TREE_FLOATS; i++) x->floats[i].count = 0;
    model_doc_object_begin(&x->d);
    while (xgb_next_key(x, tree_keys, &seen, &which)) read_value(x, which);
    for (int i = 0; i <= KEY_PARAM; i++)
        if (NEEDED >> i & 1 && !(seen >> i & 1) && model_doc_going(&x->d))
            model_doc_refuse(&x->d, ST_CORRUPT, "tree %u lacks %s", x->m->tree_count, tree_keys[i]);
    if (!model_doc_going(&x->d)) return;
    build_tree(x);
    if (x->tree_columns < 0) return;
    if (x->tree_columns < x->tree_columns_min) x->tree_columns_min = x->tree_columns;
    if (x->tree_columns > x->tree_columns_max) x->tree_columns_max = x->tree_columns;
}
