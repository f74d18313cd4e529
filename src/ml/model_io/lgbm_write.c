/* LightGBM's text as the library writes it: which numbers have 17 digits and which six is part of the
 * format. */
#include <stdlib.h>
#include <string.h>

#include "ml/model_io/lgbm_format.h"

/* ---- lines of values ---- */

static void doubles(struct model_out *o, const char *key, const double *v, size_t count,
                    bool is_exact) {
    model_out_text(o, key);
    for (size_t i = 0; i < count; i++) {
        if (i) model_out_text(o, " ");
        if (is_exact)
            model_out_format(o, "%.17g", v[i]);
        else
            model_out_format(o, "%g", v[i]);
    }
    model_out_text(o, "\n");
}

static void int32s(struct model_out *o, const char *key, const int32_t *v, size_t count) {
    model_out_text(o, key);
    for (size_t i = 0; i < count; i++) model_out_format(o, i ? " %d" : "%d", v[i]);
    model_out_text(o, "\n");
}

static void uint32s(struct model_out *o, const char *key, const uint32_t *v, size_t count) {
    model_out_text(o, key);
    for (size_t i = 0; i < count; i++) model_out_format(o, i ? " %u" : "%u", v[i]);
    model_out_text(o, "\n");
}

static void counts(struct model_out *o, const char *key, const int64_t *v, size_t count) {
    model_out_text(o, key);
    /* Unknown (-1) is written as the library has it then. */
    for (size_t i = 0; i < count; i++)
        model_out_format(o, i ? " %lld" : "%lld", (long long)(v[i] < 0 ? 0 : v[i]));
    model_out_text(o, "\n");
}

static void words(struct model_out *o, const char *key, const char *const *v, size_t count) {
    model_out_text(o, key);
    for (size_t i = 0; i < count; i++) {
        if (i) model_out_text(o, " ");
        model_out_text(o, v[i]);
    }
    model_out_text(o, "\n");
}

/* ---- trees ---- */

static void print_linear(struct model_out *o, const struct tree *t) {
    size_t leaves = (size_t)t->split_count + 1;
    doubles(o, "leaf_const=", t->leaf_const, leaves, true);
    model_out_text(o, "num_features=");
    for (size_t l = 0; l < leaves; l++)
        model_out_format(o, l ? " %u" : "%u", t->linear_begin[l + 1] - t->linear_begin[l]);
    model_out_text(o, "\nleaf_features=");
    for (size_t l = 0; l < leaves; l++) {
        for (uint32_t k = t->linear_begin[l]; k < t->linear_begin[l + 1]; k++)
            model_out_format(o, "%d ", t->linear_feature[k]);
        model_out_text(o, " ");
    }
    model_out_text(o, "\nleaf_coeff=");
    for (size_t l = 0; l < leaves; l++) {
        for (uint32_t k = t->linear_begin[l]; k < t->linear_begin[l + 1]; k++)
            model_out_format(o, "%.17g ", t->linear_coefficient[k]);
        model_out_text(o, " ");
    }
    model_out_text(o, "\n");
}

static void print_tree(struct model_out *o, const struct tree_model *m, const struct tree *t) {
    size_t n = t->split_count, leaves = n + 1;
    model_out_format(o, "num_leaves=%zu\nnum_cat=%u\n", leaves, t->set_count);
    int32s(o, "split_feature=", t->feature, n);
    model_out_text(o, "split_gain=");
    for (size_t i = 0; i < n; i++) model_out_format(o, i ? " %g" : "%g", (double)t->gain[i]);
    model_out_text(o, "\n");
    doubles(o, "threshold=", t->threshold, n, true);
    model_out_text(o, "decision_type=");
    for (size_t i = 0; i < n; i++) model_out_format(o, i ? " %u" : "%u", t->decision[i]);
    model_out_text(o, "\n");
    int32s(o, "left_child=", t->left, n);
    int32s(o, "right_child=", t->right, n);
    doubles(o, "leaf_value=", t->leaf_value, leaves, true);
    /* A tree of one leaf that the library has read once has no statistics. */
    size_t known = n == 0 && t->leaf_rows[0] < 0 ? 0 : leaves;
    doubles(o, "leaf_weight=", t->leaf_weight, known, true);
    counts(o, "leaf_count=", t->leaf_rows, known);
    doubles(o, "internal_value=", t->split_value, n, false);
    doubles(o, "internal_weight=", t->split_weight, n, false);
    counts(o, "internal_count=", t->split_rows, n);
    if (t->set_count) {
        uint32s(o, "cat_boundaries=", t->set_begin, (size_t)t->set_count + 1);
        uint32s(o, "cat_threshold=", t->set_words, t->set_begin[t->set_count]);
    }
    if (m->has_linear_lines || t->is_linear) model_out_format(o, "is_linear=%d\n", t->is_linear);
    if (t->is_linear) print_linear(o, t);
    model_out_format(o, "shrinkage=%g\n\n\n", t->shrinkage);
}

/* All trees, and the bytes each takes. */
static void print_trees(struct model_out *o, size_t *sizes, const struct tree_model *m) {
    for (uint32_t i = 0; i < m->tree_count; i++) {
        size_t before = o->size;
        model_out_format(o, "Tree=%u\n", i);
        print_tree(o, m, &m->trees[i]);
        sizes[i] = o->size - before;
    }
}

/* ---- header and tail ---- */

static void default_words(struct model_out *o, const struct tree_model *m) {
    model_out_text(o, "feature_names=");
    for (uint32_t c = 0; c < m->columns; c++)
        model_out_format(o, c ? " Column_%u" : "Column_%u", c);
    model_out_text(o, "\n");
}

static void print_header(struct model_out *o, const struct tree_model *m) {
    model_out_text(o, "tree\nversion=");
    model_out_text(o, *m->version ? m->version : "v4");
    model_out_format(o, "\nnum_class=%u\nnum_tree_per_iteration=%u\nlabel_index=", m->outputs,
                     m->trees_per_iteration);
    model_out_text(o, m->label_index ? m->label_index : "0");
    model_out_format(o, "\nmax_feature_idx=%u\n", m->columns - 1);
    if (*m->objective) {
        model_out_text(o, "objective=");
        model_out_text(o, m->objective);
        model_out_text(o, "\n");
    }
    if (m->average_output) model_out_text(o, "average_output\n");
    if (m->feature_names)
        words(o, "feature_names=", m->feature_names, m->columns);
    else
        default_words(o, m);
    if (m->monotone_constraints) {
        model_out_text(o, "monotone_constraints=");
        model_out_text(o, m->monotone_constraints);
        model_out_text(o, "\n");
    }
    if (m->feature_infos) {
        words(o, "feature_infos=", m->feature_infos, m->columns);
    } else {
        model_out_text(o, "feature_infos=");
        for (uint32_t c = 0; c < m->columns; c++) model_out_text(o, c ? " none" : "none");
        model_out_text(o, "\n");
    }
}

struct importance {
    uint64_t value;
    uint32_t column;
};

static int by_importance(const void *a, const void *b) {
    const struct importance *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? 1 : -1;
    return x->column < y->column ? -1 : x->column > y->column;
}

static const char *column_name(const struct tree_model *m, uint32_t column, char buffer[32]) {
    if (m->feature_names) return m->feature_names[column];
    struct model_out o = {.data = buffer, .capacity = 32};
    model_out_format(&o, "Column_%u", column);
    buffer[o.size] = '\0';
    return buffer;
}

/* Splits of each column, or their gain if the model was saved that way; most first. */
static bool print_importances(struct model_out *o, const struct tree_model *m) {
    const char *type = tree_model_attribute(m, "saved_feature_importance_type");
    bool by_gain = type && strcmp(type, "1") == 0;
    double *gain = calloc(m->columns, sizeof *gain);
    uint64_t *splits = calloc(m->columns, sizeof *splits);
    struct importance *list = calloc(m->columns, sizeof *list);
    bool ok = gain && splits && list;
    if (ok) {
        tree_importance(gain, splits, m);
        for (uint32_t c = 0; c < m->columns; c++) list[c] = (struct importance){splits[c], c};
        /* Whole units only, as the library casts it; what is beyond 2^63 is not a gain. */
        for (uint32_t c = 0; c < m->columns && by_gain; c++)
            list[c].value = gain[c] > 0 && gain[c] < 9e18 ? (uint64_t)gain[c] : 0;
        qsort(list, m->columns, sizeof *list, by_importance);
        model_out_text(o, "\nfeature_importances:\n");
        for (uint32_t c = 0; c < m->columns && list[c].value > 0; c++) {
            char buffer[32];
            model_out_text(o, column_name(m, list[c].column, buffer));
            model_out_format(o, "=%llu\n", (unsigned long long)list[c].value);
        }
    }
    free(gain);
    free(splits);
    free(list);
    return ok;
}

static void print_parameters(struct model_out *o, const struct tree_model *m) {
    if (m->has_parameters || m->attribute_count) {
        model_out_text(o, "\nparameters:\n");
        for (uint32_t i = 0; i < m->attribute_count; i++) {
            model_out_text(o, "[");
            model_out_text(o, m->attributes[i].key);
            model_out_text(o, ": ");
            model_out_text(o, m->attributes[i].value);
            model_out_text(o, "]\n");
        }
        model_out_text(o, "\nend of parameters\n");
    }
    if (!m->pandas_categorical) return;
    model_out_text(o, "\npandas_categorical:");
    model_out_text(o, m->pandas_categorical);
    model_out_text(o, "\n");
}

static bool is_word(const char *text) {
    return *text && !strpbrk(text, " \n\r");
}

static enum status check_words(const struct tree_model *m, struct err *err) {
    if (m->outputs != m->trees_per_iteration)
        return err_set(err, ST_UNSUPPORTED, "LightGBM text has no parallel trees");
    for (uint32_t c = 0; c < m->columns; c++) {
        if (m->feature_names && !is_word(m->feature_names[c]))
            return err_set(err, ST_UNSUPPORTED,
                           "LightGBM text separates names by spaces: column %u has one", c);
        if (m->feature_infos && !is_word(m->feature_infos[c]))
            return err_set(err, ST_UNSUPPORTED, "feature_infos of column %u is not a word", c);
    }
    for (uint32_t i = 0; i < m->tree_count; i++)
        if (m->trees[i].class_index != i % m->outputs)
            return err_set(err, ST_UNSUPPORTED, "LightGBM text has one tree an output in turn");
    return ST_OK;
}

enum status model_lgbm_print(struct model_out *o, const struct tree_model *m, struct err *err) {
    enum status st = check_words(m, err);
    if (st != ST_OK) return st;
    struct model_out trees = {0};
    size_t *sizes = calloc((size_t)m->tree_count + 1, sizeof *sizes);
    bool ok = sizes;
    if (ok) {
        print_trees(&trees, sizes, m);
        print_header(o, m);
        model_out_text(o, "tree_sizes=");
        for (uint32_t i = 0; i < m->tree_count; i++)
            model_out_format(o, i ? " %zu" : "%zu", sizes[i]);
        model_out_text(o, "\n\n");
        model_out_bytes(o, trees.data, trees.size);
        model_out_text(o, "end of trees\n");
        ok = print_importances(o, m) && !trees.no_memory && !o->no_memory;
        print_parameters(o, m);
    }
    free(trees.data);
    free(sizes);
    return ok && !o->no_memory ? ST_OK : err_set(err, ST_NO_MEMORY, "no memory");
}
