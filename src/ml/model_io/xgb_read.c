/* XGBoost's learner, from JSON or UBJSON: everything about a model but the inside of its trees.
 *
 * Keys in any order, unknown ones passed over. Layouts: 1.0 to 1.7 as the library writes them; what 2.x
 * and 3.x changed after their documentation: base_score as a list ("[5E-1]"), num_target,
 * iteration_indptr, size_leaf_vector "1", cats. */
#include "ml/model_io/xgb_read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* ---- small readers ---- */

bool xgb_next_key(struct xgb_read *x, const char *const *keys, uint32_t *seen, int *which) {
    struct json_text key;
    if (!model_doc_object_next(&x->d, &key)) return false;
    *which = -1;
    for (int i = 0; keys[i]; i++)
        if (json_text_is(&key, keys[i])) *which = i;
    if (*which < 0) return true;
    if (*seen & (1u << *which))
        return model_doc_refuse(&x->d, ST_CORRUPT, "%s is given twice", keys[*which]);
    *seen |= 1u << *which;
    return true;
}

bool xgb_all_seen(struct xgb_read *x, uint32_t seen, uint32_t required, const char *what) {
    if (!model_doc_going(&x->d)) return false;
    return (seen & required) == required || model_doc_refuse(&x->d, ST_CORRUPT, "%s", what);
}

/* Room for one more; elements of size bytes. */
static bool grow(struct xgb_read *x, void **v, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) return true;
    size_t more = *capacity ? *capacity * 2 : 64;
    void *grown = realloc(*v, more * size);
    if (!grown) return model_doc_refuse(&x->d, ST_NO_MEMORY, "no memory");
    *v = grown;
    *capacity = more;
    return true;
}

bool xgb_int_push(struct xgb_read *x, struct xgb_ints *a, int32_t v) {
    void *data = a->v;
    if (!grow(x, &data, a->count, &a->capacity, sizeof v)) return false;
    a->v = data;
    ASSERT(a->v);
    a->v[a->count++] = v;
    return true;
}

bool xgb_float_push(struct xgb_read *x, struct xgb_floats *a, float v) {
    void *data = a->v;
    if (!grow(x, &data, a->count, &a->capacity, sizeof v)) return false;
    a->v = data;
    ASSERT(a->v);
    a->v[a->count++] = v;
    return true;
}

int64_t xgb_int_read(struct xgb_read *x, int64_t lo, int64_t hi, const char *what) {
    int64_t v = model_doc_i64(&x->d);
    if (!model_doc_going(&x->d)) return 0;
    if (v >= lo && v <= hi) return v;
    model_doc_refuse(&x->d, ST_CORRUPT, "%s is out of range", what);
    return 0;
}

void xgb_ints_read(struct xgb_read *x, struct xgb_ints *a, int64_t lo, int64_t hi) {
    a->count = 0;
    model_doc_array_begin(&x->d);
    while (model_doc_array_next(&x->d)) {
        /* Flags were true and false before 1.6. */
        enum json_type type = model_doc_peek(&x->d);
        int64_t v = type == JSON_TRUE || type == JSON_FALSE ? model_doc_bool(&x->d)
                                                            : xgb_int_read(x, lo, hi, "number");
        if (!model_doc_going(&x->d) || !xgb_int_push(x, a, (int32_t)v)) return;
    }
}

void xgb_floats_read(struct xgb_read *x, struct xgb_floats *a) {
    a->count = 0;
    model_doc_array_begin(&x->d);
    while (model_doc_array_next(&x->d)) {
        float v = model_doc_f32(&x->d);
        if (!model_doc_going(&x->d) || !xgb_float_push(x, a, v)) return;
    }
}

/* The string that comes next, decoded, in the model's memory; NULL on any problem. */
static const char *string_keep(struct xgb_read *x, const struct json_text *text) {
    if (!model_doc_going(&x->d)) return NULL;
    char *copy = tree_model_alloc(x->m, text->size + 1);
    if (!copy) {
        model_doc_refuse(&x->d, ST_NO_MEMORY, "no memory");
        return NULL;
    }
    size_t size = 0;
    if (json_text_copy(copy, text->size + 1, &size, text) == ST_OK && strlen(copy) == size)
        return copy;
    model_doc_refuse(&x->d, ST_CORRUPT, "a NUL in a string");
    return NULL;
}

static const char *string_read(struct xgb_read *x) {
    struct json_text text = model_doc_string(&x->d);
    return string_keep(x, &text);
}

/* ---- the booster ---- */

static void read_gbtree_param(struct xgb_read *x) {
    static const char *const keys[] = {"num_trees", "num_parallel_tree", "size_leaf_vector", NULL};
    uint32_t seen = 0;
    int which;
    model_doc_object_begin(&x->d);
    while (xgb_next_key(x, keys, &seen, &which)) {
        if (which == 0) {
            x->tree_count = xgb_int_read(x, 0, INT32_MAX, "num_trees");
        } else if (which == 1) {
            x->parallel_count = xgb_int_read(x, 0, INT32_MAX, "num_parallel_tree");
            x->has_parallel_count = x->parallel_count > 0;
        } else if (which == 2) {
            if (xgb_int_read(x, 0, INT32_MAX, "size_leaf_vector") > 1)
                model_doc_refuse(&x->d, ST_UNSUPPORTED, "vector leaves (multi-target trees)");
        } else {
            model_doc_skip(&x->d);
        }
    }
    xgb_all_seen(x, seen, 1, "gbtree_model_param lacks num_trees");
}

static void read_model(struct xgb_read *x) {
    static const char *const keys[] = {"gbtree_model_param", "tree_info", "trees",
                                       "iteration_indptr",   "weights",   NULL};
    uint32_t seen = 0;
    int which;
    model_doc_object_begin(&x->d);
    while (xgb_next_key(x, keys, &seen, &which)) {
        switch (which) {
        case 0:
            read_gbtree_param(x);
            break;
        case 1:
            xgb_ints_read(x, &x->tree_info, 0, MODEL_OUTPUTS_MAX);
            break;
        case 2:
            model_doc_array_begin(&x->d);
            while (model_doc_array_next(&x->d)) xgb_tree_read(x);
            break;
        case 3:
            xgb_ints_read(x, &x->iteration_begin, 0, INT32_MAX);
            break;
        case 4: /* before the booster's name, as the library writes it */
            model_doc_refuse(&x->d, ST_UNSUPPORTED, "booster gblinear: it has no trees");
            break;
        default:
            model_doc_skip(&x->d);
        }
    }
    xgb_all_seen(x, seen, 7, "model lacks gbtree_model_param, tree_info or trees");
}

static void read_booster_name(struct xgb_read *x, bool is_inner) {
    struct json_text text = model_doc_string(&x->d);
    if (!model_doc_going(&x->d)) return;
    if (json_text_is(&text, "gbtree")) return;
    if (json_text_is(&text, "dart") && !is_inner)
        x->m->is_dart = true;
    else if (json_text_is(&text, "gblinear"))
        model_doc_refuse(&x->d, ST_UNSUPPORTED, "booster gblinear: it has no trees");
    else
        model_doc_refuse(&x->d, ST_UNSUPPORTED, "booster is neither gbtree nor dart");
}

/* DART holds a gbtree of its own, hence the depth of one. */
static void read_booster(struct xgb_read *x, bool is_inner) {
    static const char *const keys[] = {"model", "name", "weight_drop", "gbtree", NULL};
    uint32_t seen = 0;
    int which;
    model_doc_object_begin(&x->d);
    while (xgb_next_key(x, keys, &seen, &which)) {
        if (which == 0 && x->tree_count >= 0)
            model_doc_refuse(&x->d, ST_CORRUPT, "two models");
        else if (which == 0)
            read_model(x);
        else if (which == 1)
            read_booster_name(x, is_inner);
        else if (which == 2)
            xgb_floats_read(x, &x->weight_drop), x->has_weight_drop = true;
        else if (which == 3 && !is_inner)
            read_booster(x, true);
        else
            model_doc_skip(&x->d);
    }
    if (!xgb_all_seen(x, seen, 2, "gradient_booster lacks name")) return;
    if (x->tree_count < 0) model_doc_refuse(&x->d, ST_CORRUPT, "gradient_booster lacks model");
}

/* ---- the learner ---- */

static void read_attributes(struct xgb_read *x) {
    struct json_text key;
    model_doc_object_begin(&x->d);
    while (model_doc_object_next(&x->d, &key)) {
        const char *name = string_keep(x, &key), *value = string_read(x);
        if (!name || !value) return;
        if (!model_attribute_add(x->m, name, strlen(name), value, strlen(value)))
            model_doc_refuse(&x->d, ST_NO_MEMORY, "no memory");
    }
}

static const char *const *read_strings(struct xgb_read *x, uint32_t *count) {
    const char **list = NULL, **kept = NULL;
    size_t used = 0, capacity = 0;
    model_doc_array_begin(&x->d);
    while (model_doc_array_next(&x->d)) {
        void *data = (void *)list;
        const char *text = string_read(x);
        if (!text || !grow(x, &data, used, &capacity, sizeof *list)) break;
        list = data;
        ASSERT(list);
        list[used++] = text;
    }
    if (used && model_doc_going(&x->d)) {
        kept = tree_model_alloc(x->m, used * sizeof *kept);
        if (kept)
            memcpy((void *)kept, (void *)list, used * sizeof *kept);
        else
            model_doc_refuse(&x->d, ST_NO_MEMORY, "no memory");
    }
    free((void *)list);
    *count = (uint32_t)used;
    return kept;
}

/* Numbers of a list; a lone number is a list of one. */
static void read_scores_of(struct xgb_read *x, struct model_doc *d) {
    if (model_doc_peek(d) != JSON_ARRAY) {
        xgb_float_push(x, &x->base_scores, model_doc_f32(d));
        return;
    }
    model_doc_array_begin(d);
    while (model_doc_array_next(d)) {
        float v = model_doc_f32(d);
        if (!xgb_float_push(x, &x->base_scores, v)) return;
    }
}

/* "5E-1", or since 3.1 "[5E-1,2E-1]": text of a list in a string. */
static void read_base_score(struct xgb_read *x) {
    if (model_doc_peek(&x->d) != JSON_STRING) {
        read_scores_of(x, &x->d);
        return;
    }
    const char *text = string_read(x);
    if (!text) return;
    struct model_doc inner;
    model_doc_init(&inner, false, text, strlen(text), NULL);
    read_scores_of(x, &inner);
    if (model_doc_finish(&inner) != ST_OK)
        model_doc_refuse(&x->d, ST_CORRUPT, "base_score is neither a number nor a list");
}

static void read_learner_param(struct xgb_read *x) {
    static const char *const keys[] = {"base_score", "num_class", "num_feature", "num_target",
                                       NULL};
    uint32_t seen = 0;
    int which;
    model_doc_object_begin(&x->d);
    while (xgb_next_key(x, keys, &seen, &which)) {
        if (which == 0)
            read_base_score(x);
        else if (which == 1)
            x->class_count = xgb_int_read(x, 0, MODEL_OUTPUTS_MAX, "num_class");
        else if (which == 2)
            x->column_count = xgb_int_read(x, 1, MODEL_COLUMNS_MAX, "num_feature");
        else if (which == 3)
            x->target_count = xgb_int_read(x, 0, MODEL_OUTPUTS_MAX, "num_target");
        else
            model_doc_skip(&x->d);
    }
    xgb_all_seen(x, seen, 5, "learner_model_param lacks base_score or num_feature");
}

/* Parameters beside the name are kept as they are: the library wants them back. */
static void read_objective(struct xgb_read *x) {
    struct model_out out = {0};
    struct model_sink sink = {.out = &out};
    struct json_text key;
    bool has_name = false, has_config = false;
    model_doc_object_begin(&x->d);
    model_sink_object_begin(&sink);
    while (model_doc_object_next(&x->d, &key)) {
        if (json_text_is(&key, "name")) {
            if (has_name) model_doc_refuse(&x->d, ST_CORRUPT, "name is given twice");
            has_name = true;
            const char *name = string_read(x);
            if (name) x->m->objective = name;
            continue;
        }
        const char *name = string_keep(x, &key);
        if (!name) break;
        has_config = true;
        model_sink_key(&sink, name);
        model_sink_copy(&sink, &x->d);
    }
    model_sink_object_end(&sink);
    if (out.no_memory) model_doc_refuse(&x->d, ST_NO_MEMORY, "no memory");
    if (model_doc_going(&x->d) && !has_name)
        model_doc_refuse(&x->d, ST_CORRUPT, "objective lacks name");
    if (model_doc_going(&x->d) && has_config) {
        x->m->objective_config = tree_model_string(x->m, out.data, out.size);
        if (!x->m->objective_config) model_doc_refuse(&x->d, ST_NO_MEMORY, "no memory");
    }
    free(out.data);
}

static void read_learner(struct xgb_read *x) {
    static const char *const keys[] = {
        "gradient_booster", "learner_model_param", "objective", "attributes",
        "feature_names",    "feature_types",       NULL};
    uint32_t seen = 0;
    int which;
    model_doc_object_begin(&x->d);
    while (xgb_next_key(x, keys, &seen, &which)) {
        switch (which) {
        case 0:
            read_booster(x, false);
            break;
        case 1:
            read_learner_param(x);
            break;
        case 2:
            read_objective(x);
            break;
        case 3:
            read_attributes(x);
            break;
        case 4:
            x->m->feature_names = read_strings(x, &x->name_count);
            break;
        case 5:
            x->m->feature_types = read_strings(x, &x->type_count);
            break;
        default:
            model_doc_skip(&x->d);
        }
    }
    xgb_all_seen(x, seen, 7, "learner lacks gradient_booster, learner_model_param or objective");
}

static void read_version(struct xgb_read *x) {
    struct xgb_ints version = {0};
    xgb_ints_read(x, &version, 0, 999);
    if (model_doc_going(&x->d) && version.count == 3) {
        char text[16];
        memcpy(x->version, version.v, sizeof x->version);
        snprintf(text, sizeof text, "%d.%d.%d", version.v[0], version.v[1], version.v[2]);
        x->m->version = tree_model_string(x->m, text, strlen(text));
        if (!x->m->version) model_doc_refuse(&x->d, ST_NO_MEMORY, "no memory");
    } else if (model_doc_going(&x->d)) {
        model_doc_refuse(&x->d, ST_CORRUPT, "version is not three numbers");
    }
    free(version.v);
}

/* ---- what only the whole can tell ---- */

static void check_strings(struct xgb_read *x) {
    if (x->name_count && x->name_count != x->m->columns)
        model_doc_refuse(&x->d, ST_CORRUPT, "%u feature_names for %u columns", x->name_count,
                         x->m->columns);
    if (x->type_count && x->type_count != x->m->columns)
        model_doc_refuse(&x->d, ST_CORRUPT, "%u feature_types for %u columns", x->type_count,
                         x->m->columns);
}

static void settle_margins(struct xgb_read *x) {
    struct tree_model *m = x->m;
    const struct model_objective *objective = model_objective_find(m->objective);
    if (!objective) {
        model_doc_refuse(&x->d, ST_UNSUPPORTED, "objective %.64s is not known", m->objective);
        return;
    }
    m->transform = objective->transform;
    if (x->base_scores.count != 1 && x->base_scores.count != m->outputs) {
        model_doc_refuse(&x->d, ST_CORRUPT, "%zu base scores for %u outputs", x->base_scores.count,
                         m->outputs);
        return;
    }
    m->base_margin = tree_model_alloc(m, m->outputs * sizeof *m->base_margin);
    if (!m->base_margin) {
        model_doc_refuse(&x->d, ST_NO_MEMORY, "no memory");
        return;
    }
    bool is_clamped = x->version[0] > 3 || (x->version[0] == 3 && x->version[1] >= 1);
    m->base_score = (double)x->base_scores.v[0];
    for (uint32_t k = 0; k < m->outputs; k++) {
        float score = x->base_scores.v[x->base_scores.count == 1 ? 0 : k];
        float margin = model_objective_margin(objective, score, is_clamped);
        if (!isfinite(margin)) {
            model_doc_refuse(&x->d, ST_CORRUPT, "base_score %g is none for %s", (double)score,
                             m->objective);
            return;
        }
        m->base_margin[k] = (double)margin;
    }
}

/* Trees of one output that follow each other at the beginning, where the file does not say. */
static int64_t guess_parallel(const struct xgb_read *x) {
    if (x->m->outputs == 1) return 1;
    int64_t run = 0;
    while ((size_t)run < x->tree_info.count && x->tree_info.v[run] == 0) run++;
    return run > 0 ? run : 1;
}

static void settle_trees(struct xgb_read *x) {
    struct tree_model *m = x->m;
    if (x->tree_count != m->tree_count || x->tree_info.count != m->tree_count) {
        model_doc_refuse(&x->d, ST_CORRUPT, "num_trees %lld, %zu in tree_info, %u trees",
                         (long long)x->tree_count, x->tree_info.count, m->tree_count);
        return;
    }
    if (m->tree_count && (x->tree_columns_min < m->columns || x->tree_columns_max > m->columns)) {
        model_doc_refuse(&x->d, ST_CORRUPT, "num_feature differs between learner and trees");
        return;
    }
    if (!x->has_parallel_count) x->parallel_count = guess_parallel(x);
    int64_t step = x->parallel_count * m->outputs;
    ASSERT(step > 0);
    /* Without trees it says nothing, and any number would do. */
    if (m->tree_count == 0) step = m->outputs;
    if (m->tree_count % step != 0) {
        model_doc_refuse(&x->d, ST_CORRUPT, "%u trees are no multiple of %lld an iteration",
                         m->tree_count, (long long)step);
        return;
    }
    m->trees_per_iteration = (uint32_t)step;
    for (size_t i = 0; i < x->iteration_begin.count; i++)
        if (x->iteration_begin.v[i] != (int64_t)i * step) {
            model_doc_refuse(&x->d, ST_UNSUPPORTED, "iterations of different numbers of trees");
            return;
        }
    if (m->is_dart != x->has_weight_drop || (m->is_dart && x->weight_drop.count != m->tree_count)) {
        model_doc_refuse(&x->d, ST_CORRUPT, "weight_drop: %zu weights for %u trees",
                         x->weight_drop.count, m->tree_count);
        return;
    }
    for (uint32_t i = 0; i < m->tree_count; i++) {
        m->trees[i].class_index = (uint32_t)x->tree_info.v[i];
        if (m->is_dart) m->trees[i].weight = x->weight_drop.v[i];
    }
}

/* num_class stands in the objective a second time; the library walks by either. */
static void check_class_count(struct xgb_read *x) {
    const char *config = x->m->objective_config;
    if (!config || strncmp(x->m->objective, "multi:", 6) != 0) return;
    struct xgb_read inner = {0};
    static const char *const outer_keys[] = {"softmax_multiclass_param", NULL};
    static const char *const keys[] = {"num_class", NULL};
    uint32_t seen = 0, seen_inner = 0;
    int which;
    int64_t count = -1;
    model_doc_init(&inner.d, false, config, strlen(config), NULL);
    model_doc_object_begin(&inner.d);
    while (xgb_next_key(&inner, outer_keys, &seen, &which)) {
        if (which < 0) {
            model_doc_skip(&inner.d);
            continue;
        }
        model_doc_object_begin(&inner.d);
        while (xgb_next_key(&inner, keys, &seen_inner, &which)) {
            if (which == 0)
                count = model_doc_i64(&inner.d);
            else
                model_doc_skip(&inner.d);
        }
    }
    if (model_doc_finish(&inner.d) != ST_OK || (count >= 0 && count != x->m->outputs))
        model_doc_refuse(&x->d, ST_CORRUPT, "num_class differs between learner and objective");
}

static void settle(struct xgb_read *x) {
    struct tree_model *m = x->m;
    m->columns = (uint32_t)x->column_count;
    m->outputs = (uint32_t)(x->class_count > 1    ? x->class_count
                            : x->target_count > 1 ? x->target_count
                                                  : 1);
    check_strings(x);
    if (model_doc_going(&x->d)) settle_margins(x);
    if (model_doc_going(&x->d)) settle_trees(x);
    if (model_doc_going(&x->d)) check_class_count(x);
}

enum status model_xgb_read(struct tree_model **out, bool is_ubj, const char *text, size_t size,
                           struct err *err) {
    static const char *const keys[] = {"learner", "version", NULL};
    /* A set of one large category takes more memory than file: all sets together stay within this. */
    enum { SET_BYTES_FREE = 16 << 20, SET_BYTES_PER_BYTE = 32 };
    *out = NULL;
    struct xgb_read x = {.tree_count = -1, .tree_columns_min = INT64_MAX, .tree_columns_max = -1};
    x.set_words_left = (SET_BYTES_FREE + SET_BYTES_PER_BYTE * size) / sizeof(uint32_t);
    x.m = tree_model_create(TREES_XGBOOST, 1, 0);
    if (!x.m) return err_set(err, ST_NO_MEMORY, "no memory");
    uint32_t seen = 0;
    int which;
    model_doc_init(&x.d, is_ubj, text, size, err);
    model_doc_object_begin(&x.d);
    while (xgb_next_key(&x, keys, &seen, &which)) {
        if (which == 0)
            read_learner(&x);
        else if (which == 1)
            read_version(&x);
        else
            model_doc_skip(&x.d);
    }
    xgb_all_seen(&x, seen, 1, "no learner: not an XGBoost model");
    if (model_doc_finish(&x.d) == ST_OK) settle(&x);
    for (int i = 0; i < XGB_TREE_INTS; i++) free(x.ints[i].v);
    for (int i = 0; i < XGB_TREE_FLOATS; i++) free(x.floats[i].v);
    free(x.queue.v);
    free(x.place.v);
    free(x.tree_info.v);
    free(x.iteration_begin.v);
    free(x.weight_drop.v);
    free(x.base_scores.v);
    if (x.d.st == ST_OK)
        *out = x.m;
    else
        tree_model_destroy(x.m);
    return x.d.st;
}
