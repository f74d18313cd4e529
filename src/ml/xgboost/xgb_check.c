/* libxgboost takes node indices, parents and columns from a file as they stand and indexes with
 * them; a damaged file would read outside its arrays. So the structure is proven here first. Keys as
 * written by XGBoost 1.x (doc/model.schema in its source tree). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "ml/xgboost/xgb_internal.h"

enum { NODES_MAX = 1 << 20, TREES_MAX = 1 << 20, COLUMNS_MAX = 1 << 16, CLASSES_MAX = 1 << 10 };

struct ints {
    int64_t *v;
    size_t count, capacity;
};

struct tree {
    struct ints left, right, parents, columns;
    size_t conditions, weights, default_left, loss_changes, hessians, split_types;
    int64_t nodes, column_count;
};

struct check {
    struct json_reader r;
    struct err *err;
    enum status st; /* first problem that is not one of JSON */
    struct tree tree;
    struct ints tree_info;
    unsigned char *visited;
    size_t visited_size;
    int64_t trees, class_count, class_count_objective, column_count;
    int64_t trees_stated, columns_seen_max, tree_columns_min, tree_columns_max;
    bool is_gbtree, is_softprob;
};

/* Keeps the first problem; the walk ends at the next key. */
static bool refuse(struct check *c, enum status st, const char *what) {
    if (c->st == ST_OK) c->st = err_set(c->err, st, "line %u: %s", json_error_line(&c->r), what);
    return false;
}

static bool going(const struct check *c) {
    return c->st == ST_OK && !c->r.error;
}

/* Next key as one of keys (names ended by NULL), its index in *which; -1 for one we don't read. Twice
 * the same known key or an escaped one could mean something else to the library: refused. */
static bool next_key(struct check *c, const char *const *keys, uint32_t *seen, int *which) {
    struct json_text key;
    if (!going(c) || !json_object_next(&c->r, &key)) return false;
    if (key.escaped) return refuse(c, ST_CORRUPT, "escaped key");
    *which = -1;
    for (int i = 0; keys[i]; i++)
        if (json_text_is(&key, keys[i])) *which = i;
    if (*which < 0) return true;
    if (*seen & (1u << *which)) return refuse(c, ST_CORRUPT, "key given twice");
    *seen |= 1u << *which;
    return true;
}

static bool all_seen(struct check *c, uint32_t seen, uint32_t required, const char *what) {
    if (!going(c)) return false;
    return (seen & required) == required || refuse(c, ST_CORRUPT, what);
}

static bool ints_push(struct check *c, struct ints *a, int64_t v) {
    if (a->count == a->capacity) {
        size_t capacity = a->capacity ? a->capacity * 2 : 256;
        int64_t *grown = realloc(a->v, capacity * sizeof *grown);
        if (!grown) return refuse(c, ST_NO_MEMORY, "too large");
        a->v = grown;
        a->capacity = capacity;
    }
    a->v[a->count++] = v;
    return true;
}

static void read_ints(struct check *c, struct ints *a) {
    a->count = 0;
    json_array_begin(&c->r);
    while (going(c) && json_array_next(&c->r)) {
        int64_t v = json_i64(&c->r);
        if (a->count >= NODES_MAX)
            refuse(c, ST_CORRUPT, "array too long");
        else
            ints_push(c, a, v);
    }
}

static size_t read_floats(struct check *c) {
    size_t count = 0;
    json_array_begin(&c->r);
    while (going(c) && json_array_next(&c->r)) {
        double v = json_f64(&c->r);
        if (!(fabs(v) <= 3.4028234663852886e38)) refuse(c, ST_CORRUPT, "number beyond float");
        count++;
    }
    return count;
}

/* An array that may hold only zeros: split types (0: by value), or nothing: categories. */
static size_t read_zeros(struct check *c, bool must_be_empty) {
    size_t count = 0;
    json_array_begin(&c->r);
    while (going(c) && json_array_next(&c->r)) {
        if (must_be_empty || json_i64(&c->r) != 0)
            refuse(c, ST_UNSUPPORTED, "categorical splits are not supported");
        count++;
    }
    return count;
}

static int64_t read_int(struct check *c, int64_t lo, int64_t hi, const char *what) {
    int64_t v = json_i64(&c->r);
    if (going(c) && (v < lo || v > hi)) refuse(c, ST_CORRUPT, what);
    return v;
}

static bool text_is(struct check *c, const char *literal) {
    struct json_text text = json_string(&c->r);
    return going(c) && json_text_is(&text, literal);
}

static void read_tree_param(struct check *c) {
    static const char *const keys[] = {"num_nodes", "num_feature", "num_deleted",
                                       "size_leaf_vector", NULL};
    uint32_t seen = 0;
    int which;
    json_object_begin(&c->r);
    while (next_key(c, keys, &seen, &which)) {
        switch (which) {
        case 0:
            c->tree.nodes = read_int(c, 1, NODES_MAX, "num_nodes out of range");
            break;
        case 1:
            c->tree.column_count = read_int(c, 0, COLUMNS_MAX, "num_feature out of range");
            break;
        case 2:
            read_int(c, 0, NODES_MAX, "num_deleted out of range");
            break;
        case 3:
            read_int(c, 0, 0, "vector leaves are not supported");
            break;
        default:
            json_skip(&c->r);
        }
    }
    all_seen(c, seen, 0x7, "tree_param lacks num_nodes, num_feature or num_deleted");
}

/* Every node reached once from the root, children inside the array and agreeing with parents. */
static bool walk_tree(struct check *c) {
    const struct tree *t = &c->tree;
    size_t n = (size_t)t->nodes;
    if (n > c->visited_size) {
        unsigned char *grown = realloc(c->visited, n);
        if (!grown) return refuse(c, ST_NO_MEMORY, "tree too large");
        c->visited = grown;
        c->visited_size = n;
    }
    memset(c->visited, 0, n);
    c->visited[0] = 1;
    struct ints stack = {0};
    bool ok = ints_push(c, &stack, 0);
    while (ok && stack.count > 0) {
        size_t node = (size_t)stack.v[--stack.count];
        int64_t left = t->left.v[node], right = t->right.v[node];
        if (left == -1) continue;
        if (t->columns.v[node] < 0) ok = refuse(c, ST_CORRUPT, "negative split column");
        if (t->columns.v[node] > c->columns_seen_max) c->columns_seen_max = t->columns.v[node];
        const int64_t children[2] = {left, right};
        for (int k = 0; ok && k < 2; k++) {
            int64_t child = children[k];
            if (child <= 0 || child >= t->nodes || c->visited[child] ||
                t->parents.v[child] != (int64_t)node)
                ok = refuse(c, ST_CORRUPT, "tree's nodes do not form a tree");
            else {
                c->visited[child] = 1;
                ok = ints_push(c, &stack, child);
            }
        }
    }
    free(stack.v);
    return ok;
}

static void check_tree(struct check *c) {
    const struct tree *t = &c->tree;
    size_t n = (size_t)t->nodes;
    if (t->left.count != n || t->right.count != n || t->parents.count != n ||
        t->columns.count != n || t->conditions != n || t->weights != n || t->default_left != n ||
        t->loss_changes != n || t->hessians != n || (t->split_types != n && t->split_types != 0)) {
        refuse(c, ST_CORRUPT, "tree's arrays differ in length from num_nodes");
        return;
    }
    for (size_t i = 1; i < n; i++)
        if (t->parents.v[i] < 0 || t->parents.v[i] >= t->nodes) {
            refuse(c, ST_CORRUPT, "parent outside the tree");
            return;
        }
    if (c->trees == 0 || t->column_count < c->tree_columns_min)
        c->tree_columns_min = t->column_count;
    if (t->column_count > c->tree_columns_max) c->tree_columns_max = t->column_count;
    walk_tree(c);
}

enum { TREE_KEYS_NEEDED = 0xC1FF };
static const char *const tree_keys[] = {"left_children",
                                        "right_children",
                                        "parents",
                                        "split_indices",
                                        "split_conditions",
                                        "base_weights",
                                        "default_left",
                                        "loss_changes",
                                        "sum_hessian",
                                        "split_type",
                                        "categories",
                                        "categories_nodes",
                                        "categories_sizes",
                                        "categories_segments",
                                        "tree_param",
                                        "id",
                                        NULL};

/* Value of tree_keys[which]; -1: one we do not read. */
static void read_tree_value(struct check *c, int which) {
    struct tree *t = &c->tree;
    struct ints *const indices[] = {&t->left, &t->right, &t->parents, &t->columns};
    size_t *const counts[] = {&t->conditions, &t->weights, &t->default_left, &t->loss_changes,
                              &t->hessians};
    if (which < 0)
        json_skip(&c->r);
    else if (which < 4)
        read_ints(c, indices[which]);
    else if (which < 9)
        *counts[which - 4] = read_floats(c);
    else if (which == 9)
        t->split_types = read_zeros(c, false);
    else if (which < 14)
        read_zeros(c, true);
    else if (which == 14)
        read_tree_param(c);
    /* The library stores the tree at this index without looking. */
    else
        read_int(c, c->trees, c->trees, "trees are not numbered in order");
}

static void read_tree(struct check *c) {
    uint32_t seen = 0;
    int which;
    c->tree.split_types = 0;
    json_object_begin(&c->r);
    while (next_key(c, tree_keys, &seen, &which)) read_tree_value(c, which);
    if (all_seen(c, seen, TREE_KEYS_NEEDED, "tree lacks an array or its id")) check_tree(c);
}

static void read_trees(struct check *c) {
    json_array_begin(&c->r);
    while (going(c) && json_array_next(&c->r)) {
        read_tree(c);
        if (++c->trees > TREES_MAX) refuse(c, ST_CORRUPT, "too many trees");
    }
}

static void read_gbtree_param(struct check *c) {
    static const char *const keys[] = {"num_trees", "num_parallel_tree", "size_leaf_vector", NULL};
    uint32_t seen = 0;
    int which;
    json_object_begin(&c->r);
    while (next_key(c, keys, &seen, &which)) {
        switch (which) {
        case 0:
            c->trees_stated = read_int(c, 0, TREES_MAX, "num_trees out of range");
            break;
        case 1:
            read_int(c, 1, 1, "parallel trees are not supported");
            break;
        case 2:
            read_int(c, 0, 0, "vector leaves are not supported");
            break;
        default:
            json_skip(&c->r);
        }
    }
    all_seen(c, seen, 0x1, "gbtree_model_param lacks num_trees");
}

static void read_model(struct check *c) {
    static const char *const keys[] = {"gbtree_model_param", "tree_info", "trees", NULL};
    uint32_t seen = 0;
    int which;
    json_object_begin(&c->r);
    while (next_key(c, keys, &seen, &which)) {
        switch (which) {
        case 0:
            read_gbtree_param(c);
            break;
        case 1:
            read_ints(c, &c->tree_info);
            break;
        case 2:
            read_trees(c);
            break;
        default:
            json_skip(&c->r);
        }
    }
    all_seen(c, seen, 0x7, "model lacks trees");
}

static void read_booster(struct check *c) {
    static const char *const keys[] = {"model", "name", NULL};
    uint32_t seen = 0;
    int which;
    json_object_begin(&c->r);
    while (next_key(c, keys, &seen, &which)) {
        switch (which) {
        case 0:
            read_model(c);
            break;
        case 1:
            c->is_gbtree = text_is(c, "gbtree");
            if (!c->is_gbtree) refuse(c, ST_UNSUPPORTED, "booster is not gbtree");
            break;
        default:
            json_skip(&c->r);
        }
    }
    all_seen(c, seen, 0x3, "gradient_booster lacks model or name");
}

static void read_softmax_param(struct check *c) {
    static const char *const keys[] = {"num_class", NULL};
    uint32_t seen = 0;
    int which;
    json_object_begin(&c->r);
    while (next_key(c, keys, &seen, &which)) {
        if (which == 0)
            c->class_count_objective = read_int(c, 2, CLASSES_MAX, "num_class out of range");
        else
            json_skip(&c->r);
    }
    all_seen(c, seen, 0x1, "objective lacks num_class");
}

static void read_objective(struct check *c) {
    static const char *const keys[] = {"name", "softmax_multiclass_param", NULL};
    uint32_t seen = 0;
    int which;
    json_object_begin(&c->r);
    while (next_key(c, keys, &seen, &which)) {
        switch (which) {
        case 0:
            c->is_softprob = text_is(c, "multi:softprob");
            if (!c->is_softprob) refuse(c, ST_UNSUPPORTED, "objective is not multi:softprob");
            break;
        case 1:
            read_softmax_param(c);
            break;
        default:
            json_skip(&c->r);
        }
    }
    all_seen(c, seen, 0x3, "objective lacks name or softmax_multiclass_param");
}

static void read_learner_param(struct check *c) {
    static const char *const keys[] = {"num_class", "num_feature", "num_target", NULL};
    uint32_t seen = 0;
    int which;
    json_object_begin(&c->r);
    while (next_key(c, keys, &seen, &which)) {
        switch (which) {
        case 0:
            c->class_count = read_int(c, 2, CLASSES_MAX, "num_class out of range");
            break;
        case 1:
            c->column_count = read_int(c, 1, COLUMNS_MAX, "num_feature out of range");
            break;
        case 2:
            read_int(c, 1, 1, "several targets are not supported");
            break;
        default:
            json_skip(&c->r);
        }
    }
    all_seen(c, seen, 0x3, "learner_model_param lacks num_class or num_feature");
}

static void read_learner(struct check *c) {
    static const char *const keys[] = {"gradient_booster", "learner_model_param", "objective",
                                       "attributes", NULL};
    uint32_t seen = 0;
    int which;
    json_object_begin(&c->r);
    while (next_key(c, keys, &seen, &which)) {
        switch (which) {
        case 0:
            read_booster(c);
            break;
        case 1:
            read_learner_param(c);
            break;
        case 2:
            read_objective(c);
            break;
        default:
            json_skip(&c->r);
        }
    }
    all_seen(c, seen, 0x7, "learner lacks gradient_booster, learner_model_param or objective");
}

static void check_whole(struct check *c) {
    if (!going(c)) return;
    if (c->trees != c->trees_stated || (size_t)c->trees != c->tree_info.count)
        refuse(c, ST_CORRUPT, "num_trees, trees and tree_info disagree");
    else if (c->trees == 0 || c->trees % c->class_count != 0)
        refuse(c, ST_CORRUPT, "number of trees is not a multiple of num_class");
    else if (c->class_count != c->class_count_objective)
        refuse(c, ST_CORRUPT, "num_class differs between learner and objective");
    else if (c->columns_seen_max >= c->column_count)
        refuse(c, ST_CORRUPT, "a split uses a column beyond num_feature");
    else if (c->tree_columns_min != c->column_count || c->tree_columns_max != c->column_count)
        refuse(c, ST_CORRUPT, "num_feature differs between learner and trees");
    for (size_t i = 0; c->st == ST_OK && i < c->tree_info.count; i++)
        if (c->tree_info.v[i] != (int64_t)i % c->class_count)
            refuse(c, ST_CORRUPT, "tree_info is not one tree per class and round");
}

enum status xgb_check(struct xgb_shape *out, const char *text, size_t size, struct err *err) {
    static const char *const keys[] = {"learner", "version", NULL};
    struct check c = {.err = err};
    uint32_t seen = 0;
    int which;
    json_reader_init(&c.r, text, size);
    json_object_begin(&c.r);
    while (next_key(&c, keys, &seen, &which)) {
        if (which == 0)
            read_learner(&c);
        else
            json_skip(&c.r);
    }
    all_seen(&c, seen, 0x1, "no learner: not an XGBoost model");
    if (c.st == ST_OK && json_finish(&c.r) != ST_OK)
        c.st = err_set(err, ST_CORRUPT, "line %u, byte %zu: %s", json_error_line(&c.r),
                       c.r.error_offset, c.r.error);
    check_whole(&c);
    free(c.tree.left.v);
    free(c.tree.right.v);
    free(c.tree.parents.v);
    free(c.tree.columns.v);
    free(c.tree_info.v);
    free(c.visited);
    if (c.st == ST_OK)
        *out = (struct xgb_shape){(uint32_t)c.class_count, (uint32_t)c.column_count,
                                  (uint32_t)c.trees};
    return c.st;
}
