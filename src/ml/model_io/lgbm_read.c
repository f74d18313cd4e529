/* LightGBM's text model, v3 and v4: a header of key=value lines, one block of such lines a tree, "end of
 * trees", then importances (recomputed when written), parameters and pandas' categories.
 *
 * tree_sizes, which let the library parse trees in parallel, are not used: trees say where they begin. That
 * their number is the number of trees is checked, for the library would read no more than that. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ml/model_io/lgbm_format.h"

struct text {
    const char *data; /* NULL: not there */
    size_t size;
};

struct lgbm_read {
    struct tree_model *m;
    struct err *err;
    enum status st;
    const char *cursor, *end;
    uint32_t line; /* of the line last read, from 1 */
    struct text current;
};

enum tree_key {
    KEY_NUM_LEAVES = 0,
    KEY_NUM_CAT,
    KEY_SPLIT_FEATURE,
    KEY_SPLIT_GAIN,
    KEY_THRESHOLD,
    KEY_DECISION_TYPE,
    KEY_LEFT_CHILD,
    KEY_RIGHT_CHILD,
    KEY_LEAF_VALUE,
    KEY_LEAF_WEIGHT,
    KEY_LEAF_COUNT,
    KEY_INTERNAL_VALUE,
    KEY_INTERNAL_WEIGHT,
    KEY_INTERNAL_COUNT,
    KEY_CAT_BOUNDARIES,
    KEY_CAT_THRESHOLD,
    KEY_IS_LINEAR,
    KEY_LEAF_CONST,
    KEY_NUM_FEATURES,
    KEY_LEAF_FEATURES,
    KEY_LEAF_COEFF,
    KEY_SHRINKAGE,
    TREE_KEY_COUNT
};
static const char *const tree_keys[TREE_KEY_COUNT] = {
    "num_leaves",    "num_cat",        "split_feature",   "split_gain",     "threshold",
    "decision_type", "left_child",     "right_child",     "leaf_value",     "leaf_weight",
    "leaf_count",    "internal_value", "internal_weight", "internal_count", "cat_boundaries",
    "cat_threshold", "is_linear",      "leaf_const",      "num_features",   "leaf_features",
    "leaf_coeff",    "shrinkage"};

/* Values of a tree's lines, and the line each stands in. */
struct tree_lines {
    struct text value[TREE_KEY_COUNT];
    uint32_t line[TREE_KEY_COUNT];
    uint32_t first_line;
};

static bool refuse(struct lgbm_read *x, enum status st, uint32_t line, const char *what,
                   const char *detail) {
    if (x->st == ST_OK) x->st = err_set(x->err, st, "line %u: %s%s", line, what, detail);
    return false;
}

/* ---- lines and numbers ---- */

static bool next_line(struct lgbm_read *x) {
    if (x->st != ST_OK || x->cursor == x->end) return false;
    const char *stop = memchr(x->cursor, '\n', (size_t)(x->end - x->cursor));
    const char *next = stop ? stop + 1 : x->end;
    if (!stop) stop = x->end;
    while (stop > x->cursor && stop[-1] == '\r') stop--;
    x->current = (struct text){x->cursor, (size_t)(stop - x->cursor)};
    x->cursor = next;
    x->line++;
    return true;
}

static bool line_is(const struct lgbm_read *x, const char *literal) {
    return x->current.size == strlen(literal) &&
           memcmp(x->current.data, literal, x->current.size) == 0;
}

/* Value of the current line if its key is this one. */
static bool line_value(const struct lgbm_read *x, const char *key, struct text *out) {
    size_t size = strlen(key);
    if (x->current.size <= size || x->current.data[size] != '=' ||
        memcmp(x->current.data, key, size) != 0)
        return false;
    *out = (struct text){x->current.data + size + 1, x->current.size - size - 1};
    return true;
}

/* Next word of a line of words; false at its end. */
static bool next_word(struct text *rest, struct text *word) {
    while (rest->size && *rest->data == ' ') rest->data++, rest->size--;
    if (rest->size == 0) return false;
    const char *stop = memchr(rest->data, ' ', rest->size);
    size_t size = stop ? (size_t)(stop - rest->data) : rest->size;
    *word = (struct text){rest->data, size};
    rest->data += size;
    rest->size -= size;
    return true;
}

static size_t count_words(struct text rest) {
    struct text word;
    size_t count = 0;
    while (next_word(&rest, &word)) count++;
    return count;
}

static bool word_double(struct text word, double *out) {
    char copy[64], *stop;
    if (word.size == 0 || word.size >= sizeof copy) return false;
    memcpy(copy, word.data, word.size);
    copy[word.size] = '\0';
    /* Decimal numbers, inf and nan; not strtod's hexadecimals. */
    if (copy[strspn(copy, "+-.0123456789eEinfatyINFATY")]) return false;
    *out = strtod(copy, &stop);
    return *stop == '\0';
}

static bool word_integer(struct text word, int64_t lo, int64_t hi, int64_t *out) {
    char copy[24], *stop;
    if (word.size == 0 || word.size >= sizeof copy) return false;
    memcpy(copy, word.data, word.size);
    copy[word.size] = '\0';
    if (copy[strspn(copy, "-0123456789")]) return false;
    errno = 0;
    *out = strtoll(copy, &stop, 10);
    return *stop == '\0' && !errno && *out >= lo && *out <= hi;
}

/* ---- arrays of a tree ---- */

static bool has_words(struct lgbm_read *x, const struct tree_lines *t, int key, size_t count) {
    if (count_words(t->value[key]) == count) return true;
    return refuse(x, ST_CORRUPT, t->line[key], tree_keys[key], ": wrong number of values");
}

/* count doubles; a line that is not there leaves zeros unless it is needed. */
static bool read_doubles(struct lgbm_read *x, const struct tree_lines *t, int key, bool needed,
                         size_t count, double *out) {
    struct text rest = t->value[key], word;
    if (!rest.data)
        return !needed || refuse(x, ST_CORRUPT, t->first_line, "tree lacks ", tree_keys[key]);
    if (!has_words(x, t, key, count)) return false;
    for (size_t i = 0; next_word(&rest, &word); i++)
        if (!word_double(word, &out[i]))
            return refuse(x, ST_CORRUPT, t->line[key], tree_keys[key], ": not a number");
    return true;
}

static bool read_int32s(struct lgbm_read *x, const struct tree_lines *t, int key, size_t count,
                        int32_t *out) {
    struct text rest = t->value[key], word;
    if (!rest.data) return refuse(x, ST_CORRUPT, t->first_line, "tree lacks ", tree_keys[key]);
    if (!has_words(x, t, key, count)) return false;
    for (size_t i = 0; next_word(&rest, &word); i++) {
        int64_t value;
        if (!word_integer(word, INT32_MIN, INT32_MAX, &value))
            return refuse(x, ST_CORRUPT, t->line[key], tree_keys[key], ": not an integer");
        out[i] = (int32_t)value;
    }
    return true;
}

/* Counts of rows; not there: unknown. */
static bool read_counts(struct lgbm_read *x, const struct tree_lines *t, int key, size_t count,
                        int64_t *out) {
    struct text rest = t->value[key], word;
    for (size_t i = 0; i < count; i++) out[i] = -1;
    if (!rest.data) return true;
    if (!has_words(x, t, key, count)) return false;
    for (size_t i = 0; next_word(&rest, &word); i++)
        if (!word_integer(word, INT32_MIN, INT32_MAX, &out[i]))
            return refuse(x, ST_CORRUPT, t->line[key], tree_keys[key], ": not an integer");
    return true;
}

static bool read_one(struct lgbm_read *x, const struct tree_lines *t, int key, int64_t lo,
                     int64_t hi, int64_t *out) {
    if (!t->value[key].data)
        return refuse(x, ST_CORRUPT, t->first_line, "tree lacks ", tree_keys[key]);
    struct text rest = t->value[key], word = {0};
    next_word(&rest, &word);
    if (word_integer(word, lo, hi, out) && count_words(rest) == 0) return true;
    return refuse(x, ST_CORRUPT, t->line[key], tree_keys[key], " is out of range");
}

/* ---- one tree ---- */

static void read_tree_lines(struct lgbm_read *x, struct tree_lines *t) {
    *t = (struct tree_lines){.first_line = x->line};
    while (next_line(x) && x->current.size > 0) {
        int key = -1;
        struct text value = {0};
        for (int k = 0; k < TREE_KEY_COUNT && key < 0; k++)
            if (line_value(x, tree_keys[k], &value)) key = k;
        if (key < 0) {
            refuse(x, ST_CORRUPT, x->line, "not a line of a tree", "");
            return;
        }
        if (t->value[key].data) {
            refuse(x, ST_CORRUPT, x->line, tree_keys[key], " is given twice");
            return;
        }
        t->value[key] = value;
        t->line[key] = x->line;
    }
}

/* Numbers that memory is taken by, each backed by words that are really there. */
static bool read_shape(struct lgbm_read *x, const struct tree_lines *t, struct tree_shape *shape) {
    int64_t leaves, sets = 0, is_linear = 0;
    if (!read_one(x, t, KEY_NUM_LEAVES, 1, INT32_MAX, &leaves)) return false;
    if (t->value[KEY_NUM_CAT].data && !read_one(x, t, KEY_NUM_CAT, 0, INT32_MAX, &sets))
        return false;
    if (t->value[KEY_IS_LINEAR].data && !read_one(x, t, KEY_IS_LINEAR, 0, 1, &is_linear))
        return false;
    if (!t->value[KEY_LEAF_VALUE].data)
        return refuse(x, ST_CORRUPT, t->first_line, "tree lacks ", tree_keys[KEY_LEAF_VALUE]);
    if (!has_words(x, t, KEY_LEAF_VALUE, (size_t)leaves)) return false;
    shape->split_count = (uint32_t)(leaves - 1);
    shape->is_linear = is_linear;
    if (sets) {
        if (!t->value[KEY_CAT_BOUNDARIES].data || !t->value[KEY_CAT_THRESHOLD].data)
            return refuse(x, ST_CORRUPT, t->first_line, "tree lacks ", "its categories");
        if (!has_words(x, t, KEY_CAT_BOUNDARIES, (size_t)sets + 1)) return false;
        shape->set_count = (uint32_t)sets;
        shape->set_words = (uint32_t)count_words(t->value[KEY_CAT_THRESHOLD]);
    }
    if (is_linear) shape->linear_terms = (uint32_t)count_words(t->value[KEY_LEAF_FEATURES]);
    return true;
}

static bool read_sets(struct lgbm_read *x, const struct tree_lines *t, struct tree *tree,
                      const struct tree_shape *shape) {
    if (shape->set_count == 0) return true;
    struct text rest = t->value[KEY_CAT_BOUNDARIES], word;
    for (size_t i = 0; next_word(&rest, &word); i++) {
        int64_t value;
        if (!word_integer(word, i ? tree->set_begin[i - 1] : 0, i ? shape->set_words : 0, &value))
            return refuse(x, ST_CORRUPT, t->line[KEY_CAT_BOUNDARIES], "cat_boundaries",
                          " do not ascend within cat_threshold");
        tree->set_begin[i] = (uint32_t)value;
    }
    if (tree->set_begin[shape->set_count] != shape->set_words)
        return refuse(x, ST_CORRUPT, t->line[KEY_CAT_THRESHOLD], "cat_threshold",
                      ": more words than cat_boundaries say");
    rest = t->value[KEY_CAT_THRESHOLD];
    for (size_t i = 0; next_word(&rest, &word); i++) {
        int64_t value;
        if (!word_integer(word, 0, UINT32_MAX, &value))
            return refuse(x, ST_CORRUPT, t->line[KEY_CAT_THRESHOLD], "cat_threshold",
                          ": not a word of 32 bits");
        tree->set_words[i] = (uint32_t)value;
    }
    return true;
}

static bool read_linear(struct lgbm_read *x, const struct tree_lines *t, struct tree *tree,
                        const struct tree_shape *shape) {
    if (!shape->is_linear) return true;
    size_t leaves = (size_t)shape->split_count + 1;
    if (!read_doubles(x, t, KEY_LEAF_CONST, true, leaves, tree->leaf_const)) return false;
    struct text rest = t->value[KEY_NUM_FEATURES], word;
    if (!rest.data) return refuse(x, ST_CORRUPT, t->first_line, "tree lacks ", "num_features");
    if (!has_words(x, t, KEY_NUM_FEATURES, leaves)) return false;
    for (size_t i = 0; next_word(&rest, &word); i++) {
        int64_t value;
        uint32_t begin = tree->linear_begin[i];
        if (!word_integer(word, 0, shape->linear_terms - begin, &value))
            return refuse(x, ST_CORRUPT, t->line[KEY_NUM_FEATURES], "num_features",
                          " exceed leaf_features");
        tree->linear_begin[i + 1] = begin + (uint32_t)value;
    }
    if (tree->linear_begin[leaves] != shape->linear_terms)
        return refuse(x, ST_CORRUPT, t->line[KEY_LEAF_FEATURES], "leaf_features",
                      ": more than num_features say");
    return read_int32s(x, t, KEY_LEAF_FEATURES, shape->linear_terms, tree->linear_feature) &&
           read_doubles(x, t, KEY_LEAF_COEFF, true, shape->linear_terms, tree->linear_coefficient);
}

static bool read_splits(struct lgbm_read *x, const struct tree_lines *t, struct tree *tree) {
    size_t n = tree->split_count;
    struct text rest, word;
    if (!read_int32s(x, t, KEY_SPLIT_FEATURE, n, tree->feature) ||
        !read_doubles(x, t, KEY_THRESHOLD, true, n, tree->threshold) ||
        !read_int32s(x, t, KEY_LEFT_CHILD, n, tree->left) ||
        !read_int32s(x, t, KEY_RIGHT_CHILD, n, tree->right) ||
        !read_doubles(x, t, KEY_INTERNAL_VALUE, false, n, tree->split_value) ||
        !read_doubles(x, t, KEY_INTERNAL_WEIGHT, false, n, tree->split_weight) ||
        !read_counts(x, t, KEY_INTERNAL_COUNT, n, tree->split_rows))
        return false;
    if (t->value[KEY_SPLIT_GAIN].data) {
        if (!has_words(x, t, KEY_SPLIT_GAIN, n)) return false;
        rest = t->value[KEY_SPLIT_GAIN];
        for (size_t i = 0; next_word(&rest, &word); i++) {
            double gain;
            if (!word_double(word, &gain))
                return refuse(x, ST_CORRUPT, t->line[KEY_SPLIT_GAIN], "split_gain",
                              ": not a number");
            tree->gain[i] = (float)gain;
        }
    }
    if (!t->value[KEY_DECISION_TYPE].data) return true;
    if (!has_words(x, t, KEY_DECISION_TYPE, n)) return false;
    rest = t->value[KEY_DECISION_TYPE];
    for (size_t i = 0; next_word(&rest, &word); i++) {
        int64_t value;
        if (!word_integer(word, 0, 11, &value))
            return refuse(x, ST_CORRUPT, t->line[KEY_DECISION_TYPE], "decision_type",
                          " is out of range");
        tree->decision[i] = (uint8_t)value;
    }
    return true;
}

/* Statistics of leaves. A tree of one leaf has them empty once the library has read and written it. */
static bool read_leaf_statistics(struct lgbm_read *x, const struct tree_lines *t,
                                 struct tree *tree) {
    size_t leaves = (size_t)tree->split_count + 1;
    bool is_stump = tree->split_count == 0;
    struct tree_lines given = *t;
    const int keys[] = {KEY_LEAF_WEIGHT, KEY_LEAF_COUNT};
    for (size_t i = 0; i < 2; i++)
        if (is_stump && given.value[keys[i]].data && count_words(given.value[keys[i]]) == 0)
            given.value[keys[i]].data = NULL;
    return read_doubles(x, &given, KEY_LEAF_WEIGHT, false, leaves, tree->leaf_weight) &&
           read_counts(x, &given, KEY_LEAF_COUNT, leaves, tree->leaf_rows);
}

static void read_tree(struct lgbm_read *x) {
    struct tree_lines t;
    struct tree_shape shape = {0};
    read_tree_lines(x, &t);
    if (x->st != ST_OK || !read_shape(x, &t, &shape)) return;
    struct tree *tree = tree_model_add(x->m, &shape);
    if (!tree) {
        refuse(x, ST_NO_MEMORY, x->line, "no memory", "");
        return;
    }
    if (!t.value[KEY_IS_LINEAR].data) x->m->has_linear_lines = false;
    if (!read_doubles(x, &t, KEY_LEAF_VALUE, true, (size_t)shape.split_count + 1,
                      tree->leaf_value) ||
        !read_leaf_statistics(x, &t, tree) || (shape.split_count && !read_splits(x, &t, tree)) ||
        !read_sets(x, &t, tree, &shape) || !read_linear(x, &t, tree, &shape))
        return;
    if (t.value[KEY_SHRINKAGE].data) read_doubles(x, &t, KEY_SHRINKAGE, true, 1, &tree->shrinkage);
}

/* ---- header ---- */

enum header_key {
    HEAD_VERSION = 0,
    HEAD_NUM_CLASS,
    HEAD_TREES_PER_ITERATION,
    HEAD_LABEL_INDEX,
    HEAD_MAX_FEATURE_IDX,
    HEAD_OBJECTIVE,
    HEAD_FEATURE_NAMES,
    HEAD_MONOTONE,
    HEAD_FEATURE_INFOS,
    HEAD_TREE_SIZES,
    HEADER_KEY_COUNT
};
static const char *const header_keys[HEADER_KEY_COUNT] = {
    "version",   "num_class",     "num_tree_per_iteration", "label_index",   "max_feature_idx",
    "objective", "feature_names", "monotone_constraints",   "feature_infos", "tree_sizes"};

struct header {
    struct text value[HEADER_KEY_COUNT];
    uint32_t line[HEADER_KEY_COUNT];
};

/* Up to the first tree or the end of trees; that line is current then. Keys that are not known are passed
 * over, as the library does. */
static void read_header_lines(struct lgbm_read *x, struct header *h) {
    *h = (struct header){0};
    while (next_line(x)) {
        struct text value;
        if (line_value(x, "Tree", &value) || line_is(x, "end of trees")) return;
        if (line_is(x, "average_output")) x->m->average_output = true;
        for (int k = 0; k < HEADER_KEY_COUNT; k++) {
            if (!line_value(x, header_keys[k], &value)) continue;
            if (h->value[k].data) {
                refuse(x, ST_CORRUPT, x->line, header_keys[k], " is given twice");
                return;
            }
            h->value[k] = value;
            h->line[k] = x->line;
        }
    }
    refuse(x, ST_CORRUPT, x->line, "no trees", "");
}

static const char *keep(struct lgbm_read *x, struct text text) {
    const char *kept = tree_model_string(x->m, text.data, text.size);
    if (!kept) refuse(x, ST_NO_MEMORY, x->line, "no memory", "");
    return kept;
}

static bool header_integer(struct lgbm_read *x, const struct header *h, int key, int64_t lo,
                           int64_t hi, int64_t *out) {
    if (!h->value[key].data)
        return refuse(x, ST_CORRUPT, x->line, "header lacks ", header_keys[key]);
    if (word_integer(h->value[key], lo, hi, out)) return true;
    return refuse(x, ST_CORRUPT, h->line[key], header_keys[key], " is out of range");
}

static const char *const *header_words(struct lgbm_read *x, const struct header *h, int key) {
    struct text rest = h->value[key], word;
    if (!rest.data) {
        refuse(x, ST_CORRUPT, x->line, "header lacks ", header_keys[key]);
        return NULL;
    }
    if (count_words(rest) != x->m->columns) {
        refuse(x, ST_CORRUPT, h->line[key], header_keys[key], ": not one a column");
        return NULL;
    }
    const char **words = tree_model_alloc(x->m, x->m->columns * sizeof *words);
    if (!words) {
        refuse(x, ST_NO_MEMORY, x->line, "no memory", "");
        return NULL;
    }
    for (size_t i = 0; next_word(&rest, &word); i++) words[i] = keep(x, word);
    return words;
}

static bool read_counts_of_header(struct lgbm_read *x, const struct header *h) {
    int64_t classes, per_iteration, features;
    if (!header_integer(x, h, HEAD_NUM_CLASS, 1, MODEL_OUTPUTS_MAX, &classes)) return false;
    per_iteration = classes;
    if (h->value[HEAD_TREES_PER_ITERATION].data &&
        !header_integer(x, h, HEAD_TREES_PER_ITERATION, 1, MODEL_OUTPUTS_MAX, &per_iteration))
        return false;
    if (per_iteration != classes)
        return refuse(x, ST_UNSUPPORTED, h->line[HEAD_TREES_PER_ITERATION],
                      "num_tree_per_iteration differs from num_class", "");
    if (!header_integer(x, h, HEAD_MAX_FEATURE_IDX, 0, MODEL_COLUMNS_MAX - 1, &features))
        return false;
    x->m->outputs = x->m->trees_per_iteration = (uint32_t)per_iteration;
    x->m->columns = (uint32_t)features + 1;
    x->m->base_margin = tree_model_alloc(x->m, (size_t)per_iteration * sizeof *x->m->base_margin);
    return x->m->base_margin || refuse(x, ST_NO_MEMORY, x->line, "no memory", "");
}

static void read_header(struct lgbm_read *x, struct header *h) {
    struct tree_model *m = x->m;
    read_header_lines(x, h);
    if (x->st != ST_OK) return;
    struct text version = h->value[HEAD_VERSION];
    if (version.size != 2 ||
        (memcmp(version.data, "v3", 2) != 0 && memcmp(version.data, "v4", 2) != 0)) {
        refuse(x, ST_UNSUPPORTED, version.data ? h->line[HEAD_VERSION] : x->line,
               "version is neither v3 nor v4", "");
        return;
    }
    m->version = keep(x, version);
    if (!read_counts_of_header(x, h)) return;
    if (!h->value[HEAD_LABEL_INDEX].data) {
        refuse(x, ST_CORRUPT, x->line, "header lacks ", "label_index");
        return;
    }
    m->label_index = keep(x, h->value[HEAD_LABEL_INDEX]);
    if (h->value[HEAD_MONOTONE].data) m->monotone_constraints = keep(x, h->value[HEAD_MONOTONE]);
    m->feature_names = header_words(x, h, HEAD_FEATURE_NAMES);
    if (x->st == ST_OK) m->feature_infos = header_words(x, h, HEAD_FEATURE_INFOS);
    if (x->st != ST_OK || !h->value[HEAD_OBJECTIVE].data) return;
    m->objective = keep(x, h->value[HEAD_OBJECTIVE]);
    if (x->st != ST_OK) return;
    x->st = model_lgbm_objective(&m->transform, &m->sigmoid, m->objective, x->err);
    if (x->st != ST_OK) x->st = err_wrap(x->err, x->st, "line %u", h->line[HEAD_OBJECTIVE]);
}

/* ---- the whole ---- */

static void read_trees(struct lgbm_read *x, const struct header *h) {
    for (;;) {
        struct text value;
        int64_t index;
        if (line_is(x, "end of trees")) break;
        if (x->current.size > 0) {
            if (!line_value(x, "Tree", &value) || !word_integer(value, 0, INT32_MAX, &index) ||
                index != x->m->tree_count) {
                refuse(x, ST_CORRUPT, x->line, "expected the next tree", "");
                return;
            }
            read_tree(x);
        }
        if (x->st != ST_OK) return;
        if (!next_line(x)) {
            refuse(x, ST_CORRUPT, x->line, "the text ends before \"end of trees\"", "");
            return;
        }
    }
    struct tree_model *m = x->m;
    for (uint32_t i = 0; i < m->tree_count; i++)
        m->trees[i].class_index = i % m->trees_per_iteration;
    if (h->value[HEAD_TREE_SIZES].data && count_words(h->value[HEAD_TREE_SIZES]) != m->tree_count)
        refuse(x, ST_CORRUPT, h->line[HEAD_TREE_SIZES], "tree_sizes: not one a tree", "");
}

/* A line "[key: value]". */
static void read_parameter(struct lgbm_read *x) {
    struct text line = x->current;
    const char *colon = memchr(line.data, ':', line.size);
    if (line.size < 4 || line.data[0] != '[' || line.data[line.size - 1] != ']' || !colon ||
        (size_t)(colon - line.data) + 2 >= line.size || colon[1] != ' ') {
        refuse(x, ST_CORRUPT, x->line, "a parameter is not \"[key: value]\"", "");
        return;
    }
    size_t key_size = (size_t)(colon - line.data) - 1;
    if (!model_attribute_add(x->m, line.data + 1, key_size, colon + 2, line.size - key_size - 4))
        refuse(x, ST_NO_MEMORY, x->line, "no memory", "");
}

/* Behind the trees: parameters are kept; importances are what the trees say again. */
static void read_tail(struct lgbm_read *x) {
    static const char pandas[] = "pandas_categorical:";
    bool in_parameters = false;
    while (next_line(x)) {
        if (line_is(x, "parameters:")) {
            in_parameters = true;
            x->m->has_parameters = true;
        } else if (line_is(x, "end of parameters")) {
            in_parameters = false;
        } else if (x->current.size >= sizeof pandas - 1 &&
                   memcmp(x->current.data, pandas, sizeof pandas - 1) == 0) {
            x->m->pandas_categorical =
                keep(x, (struct text){x->current.data + sizeof pandas - 1,
                                      x->current.size - (sizeof pandas - 1)});
        } else if (in_parameters && x->current.size > 0) {
            read_parameter(x);
        }
    }
}

enum status model_lgbm_read(struct tree_model **out, const char *text, size_t size,
                            struct err *err) {
    *out = NULL;
    struct lgbm_read x = {.err = err, .cursor = text, .end = text + size};
    x.m = tree_model_create(TREES_LIGHTGBM, 1, 0);
    if (!x.m) return err_set(err, ST_NO_MEMORY, "no memory");
    struct header h;
    if (memchr(text, 0, size))
        refuse(&x, ST_CORRUPT, 1, "a NUL in the text", "");
    else if (!next_line(&x) || !line_is(&x, "tree"))
        refuse(&x, ST_CORRUPT, 1, "the first line is not \"tree\"", "");
    if (x.st == ST_OK) read_header(&x, &h);
    if (x.st == ST_OK) read_trees(&x, &h);
    if (x.st == ST_OK) read_tail(&x);
    if (x.st == ST_OK)
        *out = x.m;
    else
        tree_model_destroy(x.m);
    return x.st;
}
