/* XGBoost's model, as JSON or UBJSON in the layout of 1.7, keys in the library's (alphabetical) order. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ml/model_io/model_io_internal.h"

/* What the library marks nodes with that were pruned away, and the root's parent. */
enum { DELETED_COLUMN = INT32_MAX, NO_PARENT = INT32_MAX };

/* One tree as arrays over its nodes. */
struct nodes {
    int32_t count, deleted;
    int32_t *left, *right, *parents, *columns;
    uint8_t *default_left, *split_type;
    float *conditions, *weights, *loss_changes, *hessians;
    void *block;
};

static int32_t split_id(const struct tree *t, uint32_t split) {
    return t->split_id ? t->split_id[split] : (int32_t)split;
}

static int32_t leaf_id(const struct tree *t, uint32_t leaf) {
    return t->leaf_id ? t->leaf_id[leaf] : (int32_t)(t->split_count + leaf);
}

static int32_t child_id(const struct tree *t, int32_t child) {
    return child >= 0 ? split_id(t, (uint32_t)child) : leaf_id(t, (uint32_t)~child);
}

/* Node numbers must be those of a tree read from a file, or of none: each once, the root 0. */
static const char *count_nodes(struct nodes *n, const struct tree *t) {
    int64_t total = 2 * (int64_t)t->split_count + 1, most = 0;
    for (uint32_t i = 0; i < t->split_count; i++) {
        if (split_id(t, i) < 0) return "a node's number is negative";
        if (split_id(t, i) > most) most = split_id(t, i);
    }
    for (uint32_t i = 0; i <= t->split_count; i++) {
        if (leaf_id(t, i) < 0) return "a node's number is negative";
        if (leaf_id(t, i) > most) most = leaf_id(t, i);
    }
    /* Holes are nodes pruned away; more of them than nodes were not made by pruning alone. */
    if (most >= 64 * total + 65536) return "node numbers have large holes";
    n->count = (int32_t)most + 1;
    n->deleted = n->count - (int32_t)total;
    if (child_id(t, t->split_count ? 0 : ~0) != 0) return "the root is not node 0";
    return n->deleted < 0 ? "a node's number is given twice" : NULL;
}

static bool nodes_alloc(struct nodes *n) {
    size_t count = (size_t)n->count;
    n->block = malloc(count * (8 * 4 + 2));
    if (!n->block) return false;
    n->left = n->block;
    n->right = n->left + count;
    n->parents = n->right + count;
    n->columns = n->parents + count;
    n->conditions = (float *)(void *)(n->columns + count);
    n->weights = n->conditions + count;
    n->loss_changes = n->weights + count;
    n->hessians = n->loss_changes + count;
    n->default_left = (uint8_t *)(void *)(n->hessians + count);
    n->split_type = n->default_left + count;
    for (size_t i = 0; i < count; i++) {
        n->left[i] = n->right[i] = -1;
        /* Of nodes pruned away, too, the library looks their parent up. */
        n->parents[i] = i ? 0 : NO_PARENT;
        n->columns[i] = DELETED_COLUMN;
        n->default_left[i] = 1;
        n->split_type[i] = 0;
        n->conditions[i] = n->weights[i] = n->loss_changes[i] = n->hessians[i] = 0;
    }
    return true;
}

static bool node_take(struct nodes *n, int32_t id) {
    if (n->columns[id] != DELETED_COLUMN) return false;
    n->columns[id] = 0;
    n->default_left[id] = 0;
    return true;
}

static bool fill_nodes(struct nodes *n, const struct tree *t) {
    for (uint32_t i = 0; i < t->split_count; i++) {
        int32_t id = split_id(t, i);
        if (!node_take(n, id)) return false;
        n->left[id] = child_id(t, t->left[i]);
        n->right[id] = child_id(t, t->right[i]);
        n->parents[n->left[id]] = n->parents[n->right[id]] = id;
        n->columns[id] = t->feature[i];
        n->default_left[id] = (t->decision[i] & DECISION_DEFAULT_LEFT) != 0;
        n->split_type[id] = t->decision[i] & DECISION_CATEGORICAL;
        n->conditions[id] = n->split_type[id] ? NAN : (float)t->threshold[i];
        n->weights[id] = (float)t->split_value[i];
        n->loss_changes[id] = t->gain[i];
        n->hessians[id] = (float)t->split_weight[i];
    }
    for (uint32_t i = 0; i <= t->split_count; i++) {
        int32_t id = leaf_id(t, i);
        if (!node_take(n, id)) return false;
        n->conditions[id] = n->weights[id] = (float)t->leaf_value[i];
        n->hessians[id] = (float)t->leaf_weight[i];
    }
    return true;
}

/* ---- categories ---- */

struct categories {
    int32_t *values, *nodes;
    int64_t *segments, *sizes;
    size_t value_count, node_count;
};

static size_t set_size(const struct tree *t, uint32_t set) {
    size_t bits = 0;
    for (uint32_t w = t->set_begin[set]; w < t->set_begin[set + 1]; w++)
        bits += (size_t)__builtin_popcount(t->set_words[w]);
    return bits;
}

static void list_set(struct categories *c, const struct tree *t, uint32_t set) {
    for (uint32_t w = t->set_begin[set]; w < t->set_begin[set + 1]; w++)
        for (uint32_t b = 0; b < 32; b++)
            if (t->set_words[w] >> b & 1)
                c->values[c->value_count++] = (int32_t)((w - t->set_begin[set]) * 32 + b);
}

/* Sets in the order of their nodes' numbers, as the library expects them. */
static bool list_categories(struct categories *c, const struct nodes *n, const struct tree *t) {
    size_t splits = 0, values = 0;
    for (uint32_t i = 0; i < t->split_count; i++)
        if (t->decision[i] & DECISION_CATEGORICAL) {
            splits++;
            values += set_size(t, (uint32_t)t->threshold[i]);
        }
    int32_t *split_of = calloc((size_t)n->count, sizeof *split_of);
    c->values = malloc((values + 1) * sizeof *c->values);
    c->nodes = malloc((splits + 1) * sizeof *c->nodes);
    c->segments = malloc((splits + 1) * sizeof *c->segments);
    c->sizes = malloc((splits + 1) * sizeof *c->sizes);
    bool ok = split_of && c->values && c->nodes && c->segments && c->sizes;
    if (ok) {
        for (uint32_t i = 0; i < t->split_count; i++) split_of[split_id(t, i)] = (int32_t)i;
        for (int32_t id = 0; id < n->count; id++) {
            if (!n->split_type[id]) continue;
            c->nodes[c->node_count] = id;
            c->segments[c->node_count] = (int64_t)c->value_count;
            list_set(c, t, (uint32_t)t->threshold[split_of[id]]);
            c->sizes[c->node_count] = (int64_t)c->value_count - c->segments[c->node_count];
            c->node_count++;
        }
    }
    free(split_of);
    return ok;
}

/* ---- trees ---- */

static void number_string(struct model_sink *s, const char *key, int64_t value) {
    char text[24];
    struct model_out o = {.data = text, .capacity = sizeof text};
    model_out_format(&o, "%lld", (long long)value);
    model_sink_key(s, key);
    model_sink_string(s, text, o.size);
}

static void print_tree_param(struct model_sink *s, const struct nodes *n,
                             const struct tree_model *m) {
    model_sink_key(s, "tree_param");
    model_sink_object_begin(s);
    number_string(s, "num_deleted", n->deleted);
    number_string(s, "num_feature", m->columns);
    number_string(s, "num_nodes", n->count);
    number_string(s, "size_leaf_vector", 0);
    model_sink_object_end(s);
}

static void print_nodes(struct model_sink *s, const struct nodes *n, const struct categories *c,
                        const struct tree_model *m, uint32_t index) {
    size_t count = (size_t)n->count;
    model_sink_object_begin(s);
    model_sink_key(s, "base_weights");
    model_sink_f32_array(s, n->weights, count);
    model_sink_key(s, "categories");
    model_sink_i32_array(s, c->values, c->value_count);
    model_sink_key(s, "categories_nodes");
    model_sink_i32_array(s, c->nodes, c->node_count);
    model_sink_key(s, "categories_segments");
    model_sink_i64_array(s, c->segments, c->node_count);
    model_sink_key(s, "categories_sizes");
    model_sink_i64_array(s, c->sizes, c->node_count);
    model_sink_key(s, "default_left");
    model_sink_u8_array(s, n->default_left, count);
    model_sink_key(s, "id");
    model_sink_i64(s, index);
    model_sink_key(s, "left_children");
    model_sink_i32_array(s, n->left, count);
    model_sink_key(s, "loss_changes");
    model_sink_f32_array(s, n->loss_changes, count);
    model_sink_key(s, "parents");
    model_sink_i32_array(s, n->parents, count);
    model_sink_key(s, "right_children");
    model_sink_i32_array(s, n->right, count);
    model_sink_key(s, "split_conditions");
    model_sink_f32_array(s, n->conditions, count);
    model_sink_key(s, "split_indices");
    model_sink_i32_array(s, n->columns, count);
    model_sink_key(s, "split_type");
    model_sink_u8_array(s, n->split_type, count);
    model_sink_key(s, "sum_hessian");
    model_sink_f32_array(s, n->hessians, count);
    print_tree_param(s, n, m);
    model_sink_object_end(s);
}

static enum status print_tree(struct model_sink *s, const struct tree_model *m, uint32_t index,
                              struct err *err) {
    const struct tree *t = &m->trees[index];
    struct nodes n = {0};
    struct categories c = {0};
    const char *problem = count_nodes(&n, t);
    if (problem) return err_set(err, ST_UNSUPPORTED, "tree %u: %s", index, problem);
    enum status st = ST_OK;
    if (!nodes_alloc(&n))
        st = err_set(err, ST_NO_MEMORY, "no memory");
    else if (!fill_nodes(&n, t))
        st = err_set(err, ST_UNSUPPORTED, "tree %u: a node's number is given twice", index);
    else if (!list_categories(&c, &n, t))
        st = err_set(err, ST_NO_MEMORY, "no memory");
    else
        print_nodes(s, &n, &c, m, index);
    free(c.values);
    free(c.nodes);
    free(c.segments);
    free(c.sizes);
    free(n.block);
    return st;
}

static enum status print_gbtree(struct model_sink *s, const struct tree_model *m, struct err *err) {
    enum status st = ST_OK;
    model_sink_object_begin(s);
    model_sink_key(s, "model");
    model_sink_object_begin(s);
    model_sink_key(s, "gbtree_model_param");
    model_sink_object_begin(s);
    number_string(s, "num_parallel_tree", m->trees_per_iteration / m->outputs);
    number_string(s, "num_trees", m->tree_count);
    number_string(s, "size_leaf_vector", 0);
    model_sink_object_end(s);
    model_sink_key(s, "tree_info");
    model_sink_array_begin(s, m->tree_count);
    for (uint32_t i = 0; i < m->tree_count; i++) model_sink_i64(s, m->trees[i].class_index);
    model_sink_array_end(s);
    model_sink_key(s, "trees");
    model_sink_array_begin(s, m->tree_count);
    for (uint32_t i = 0; i < m->tree_count && st == ST_OK; i++) st = print_tree(s, m, i, err);
    model_sink_array_end(s);
    model_sink_object_end(s);
    model_sink_key(s, "name");
    model_sink_string(s, "gbtree", 6);
    model_sink_object_end(s);
    return st;
}

static enum status print_booster(struct model_sink *s, const struct tree_model *m,
                                 struct err *err) {
    model_sink_key(s, "gradient_booster");
    if (!m->is_dart) return print_gbtree(s, m, err);
    model_sink_object_begin(s);
    model_sink_key(s, "gbtree");
    enum status st = print_gbtree(s, m, err);
    model_sink_key(s, "name");
    model_sink_string(s, "dart", 4);
    model_sink_key(s, "weight_drop");
    model_sink_array_begin(s, m->tree_count);
    for (uint32_t i = 0; i < m->tree_count; i++) model_sink_f32(s, m->trees[i].weight);
    model_sink_array_end(s);
    model_sink_object_end(s);
    return st;
}

/* ---- learner ---- */

static void print_strings(struct model_sink *s, const char *key, const char *const *v,
                          uint32_t count) {
    model_sink_key(s, key);
    model_sink_array_begin(s, v ? count : 0);
    for (uint32_t i = 0; v && i < count; i++) model_sink_string(s, v[i], strlen(v[i]));
    model_sink_array_end(s);
}

/* Text of what the library must read to arrive at the model's margins. */
static enum status base_score_text(struct model_out *o, const struct tree_model *m,
                                   const struct model_objective *objective, struct err *err) {
    struct model_sink sink = {.out = o};
    float score = (float)m->base_score;
    bool is_one = true;
    for (uint32_t k = 1; k < m->outputs; k++) is_one &= m->base_margin[k] == m->base_margin[0];
    bool identity = objective->link == MODEL_LINK_IDENTITY;
    if (identity) score = (float)m->base_margin[0];
    float plain = model_objective_margin(objective, score, false);
    float clamped = model_objective_margin(objective, score, true);
    if (is_one && ((double)plain == m->base_margin[0] || (double)clamped == m->base_margin[0])) {
        model_sink_f32(&sink, score);
        return ST_OK;
    }
    if (!identity) return err_set(err, ST_UNSUPPORTED, "base_score does not give the base margins");
    model_sink_array_begin(&sink, m->outputs);
    for (uint32_t k = 0; k < m->outputs; k++) model_sink_f32(&sink, (float)m->base_margin[k]);
    model_sink_array_end(&sink);
    return ST_OK;
}

static enum status print_learner_param(struct model_sink *s, const struct tree_model *m,
                                       const struct model_objective *objective, struct err *err) {
    struct model_out score = {0};
    bool is_multi = strncmp(m->objective, "multi:", 6) == 0;
    enum status st = base_score_text(&score, m, objective, err);
    model_sink_key(s, "learner_model_param");
    model_sink_object_begin(s);
    model_sink_key(s, "base_score");
    model_sink_string(s, score.data ? score.data : "", score.size);
    number_string(s, "boost_from_average", 0);
    number_string(s, "num_class", is_multi ? m->outputs : 0);
    number_string(s, "num_feature", m->columns);
    number_string(s, "num_target", is_multi ? 1 : m->outputs);
    model_sink_object_end(s);
    s->out->no_memory |= score.no_memory;
    free(score.data);
    return st;
}

/* The name and the parameters, in the library's order: all keys sorted. */
static enum status print_objective(struct model_sink *s, const struct tree_model *m,
                                   const struct model_objective *objective, struct err *err) {
    const char *config = m->objective_config ? m->objective_config : objective->config;
    model_sink_key(s, "objective");
    model_sink_object_begin(s);
    bool has_name = false;
    struct model_doc d;
    struct json_text key;
    model_doc_init(&d, false, config ? config : "{}", config ? strlen(config) : 2, err);
    model_doc_object_begin(&d);
    while (model_doc_object_next(&d, &key)) {
        char name[128];
        if (json_text_copy(name, sizeof name, NULL, &key) != ST_OK)
            return err_set(err, ST_UNSUPPORTED, "objective: a parameter's name is too long");
        if (!has_name && strcmp(name, "name") > 0) {
            model_sink_key(s, "name");
            model_sink_string(s, m->objective, strlen(m->objective));
            has_name = true;
        }
        model_sink_key(s, name);
        model_sink_copy(s, &d);
    }
    if (!has_name) {
        model_sink_key(s, "name");
        model_sink_string(s, m->objective, strlen(m->objective));
    }
    if (!config) { /* multi: */
        model_sink_key(s, "softmax_multiclass_param");
        model_sink_object_begin(s);
        number_string(s, "num_class", m->outputs);
        model_sink_object_end(s);
    }
    model_sink_object_end(s);
    enum status st = model_doc_finish(&d);
    return st == ST_OK ? st : err_wrap(err, st, "parameters of the objective");
}

static void print_version(struct model_sink *s, const struct tree_model *m) {
    const char *text = *m->version ? m->version : "1.7.4";
    model_sink_key(s, "version");
    model_sink_array_begin(s, 3);
    for (int i = 0; i < 3; i++) {
        char *stop;
        model_sink_i64(s, strtol(text, &stop, 10));
        text = *stop == '.' ? stop + 1 : stop;
    }
    model_sink_array_end(s);
}

enum status model_xgb_print(struct model_out *o, const struct tree_model *m, bool is_ubj,
                            struct err *err) {
    const struct model_objective *objective = model_objective_find(m->objective);
    if (!objective)
        return err_set(err, ST_UNSUPPORTED, "objective %.64s is none of XGBoost's", m->objective);
    struct model_sink sink = {.out = o, .is_ubj = is_ubj}, *s = &sink;
    model_sink_object_begin(s);
    model_sink_key(s, "learner");
    model_sink_object_begin(s);
    model_sink_key(s, "attributes");
    model_sink_object_begin(s);
    for (uint32_t i = 0; i < m->attribute_count; i++) {
        model_sink_key(s, m->attributes[i].key);
        model_sink_string(s, m->attributes[i].value, strlen(m->attributes[i].value));
    }
    model_sink_object_end(s);
    print_strings(s, "feature_names", m->feature_names, m->columns);
    print_strings(s, "feature_types", m->feature_types, m->columns);
    enum status st = print_booster(s, m, err);
    if (st == ST_OK) st = print_learner_param(s, m, objective, err);
    if (st == ST_OK) st = print_objective(s, m, objective, err);
    model_sink_object_end(s);
    print_version(s, m);
    model_sink_object_end(s);
    return st == ST_OK && o->no_memory ? err_set(err, ST_NO_MEMORY, "no memory") : st;
}
