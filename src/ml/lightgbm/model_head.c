#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/numtext.h"
#include "ml/lightgbm/train_internal.h"
#include "ml/model_io/model_io.h"

enum { NAME_SIZE_MAX = 1024, OBJECTIVE_SIZE = 64 };

static int by_text(const void *a, const void *b) {
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* LightGBM's own rule: white space becomes '_', what JSON uses is refused, a name stands once. */
static enum status copy_name(const char **out, struct tree_model *m, const char *name,
                             uint32_t column, struct err *err) {
    char text[NAME_SIZE_MAX];
    size_t size = strlen(name);
    if (size == 0 || size >= sizeof text)
        return err_set(err, ST_INVALID, "column %u: a name has 1 to %d bytes", column,
                       NAME_SIZE_MAX - 1);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c == ' ' || (c >= '\t' && c <= '\r'))
            text[i] = '_';
        else if (c < ' ' || c == 127 || strchr("\",:[]{}", c))
            return err_set(err, ST_INVALID,
                           "column %u: a LightGBM model cannot have the name %.100s", column, name);
        else
            text[i] = name[i];
    }
    *out = tree_model_string(m, text, size);
    return *out ? ST_OK : err_set(err, ST_NO_MEMORY, "names");
}

static enum status check_unique(const char *const *names, uint32_t columns, struct err *err) {
    const char **sorted = malloc((columns + 1) * sizeof *sorted);
    if (!sorted) return err_set(err, ST_NO_MEMORY, "names");
    memcpy(sorted, names, columns * sizeof *sorted);
    qsort(sorted, columns, sizeof *sorted, by_text);
    enum status st = ST_OK;
    for (uint32_t i = 1; i < columns && st == ST_OK; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            st = err_set(err, ST_INVALID, "two columns have the name %.100s", sorted[i]);
    free(sorted);
    return st;
}

static enum status set_names(struct tree_model *m, const struct train_set *set,
                             const struct lgbm_dataset *data, struct err *err) {
    const char **names = tree_model_alloc(m, set->columns * sizeof *names);
    const char **infos = tree_model_alloc(m, set->columns * sizeof *infos);
    if (!names || !infos) return err_set(err, ST_NO_MEMORY, "names");
    for (uint32_t i = 0; i < set->columns; i++) {
        char made[32];
        snprintf(made, sizeof made, "Column_%u", i);
        enum status st = copy_name(&names[i], m, set->names ? set->names[i] : made, i, err);
        if (st != ST_OK) return st;
        infos[i] = lgbm_dataset_info(data, i, m);
        if (!infos[i]) return err_set(err, ST_NO_MEMORY, "names");
    }
    m->feature_names = names;
    m->feature_infos = infos;
    return check_unique(names, set->columns, err);
}

static enum status set_objective(struct tree_model *m, const struct lgbm_params *p,
                                 struct err *err) {
    char text[OBJECTIVE_SIZE], sigmoid[NUMTEXT_SIZE];
    const char *name = lgbm_objective_text(p->objective);
    int size = 0;
    switch (p->objective) {
    case LGBM_BINARY:
        m->transform = TRANSFORM_SIGMOID;
        m->sigmoid = p->sigmoid;
        numtext_f64(sigmoid, p->sigmoid);
        size = snprintf(text, sizeof text, "%s sigmoid:%s", name, sigmoid);
        break;
    case LGBM_MULTICLASS:
        m->transform = TRANSFORM_SOFTMAX;
        size = snprintf(text, sizeof text, "%s num_class:%u", name, p->num_class);
        break;
    case LGBM_REGRESSION:
        if (p->reg_sqrt) m->transform = TRANSFORM_SQUARE;
        size = snprintf(text, sizeof text, "%s%s", name, p->reg_sqrt ? " sqrt" : "");
        break;
    case LGBM_CUSTOM:
        return ST_OK; /* LightGBM's text has no objective line then */
    case LGBM_REGRESSION_L1:
    case LGBM_HUBER:
    case LGBM_QUANTILE:
    case LGBM_LAMBDARANK:
    case LGBM_OBJECTIVE_COUNT:
        size = snprintf(text, sizeof text, "%s", name);
        break;
    }
    m->objective = tree_model_string(m, text, (size_t)size);
    return m->objective ? ST_OK : err_set(err, ST_NO_MEMORY, "objective");
}

/* The header's line: "1 0 -1", a number per column. */
static enum status set_constraints(struct tree_model *m, const struct lgbm_params *p,
                                   struct err *err) {
    if (!p->monotone_constraints) return ST_OK;
    char *text = malloc((size_t)p->columns_given * 3);
    if (!text) return err_set(err, ST_NO_MEMORY, "monotone_constraints");
    size_t size = 0;
    for (uint32_t i = 0; i < p->columns_given; i++) {
        if (i > 0) text[size++] = ' ';
        if (p->monotone_constraints[i] < 0) text[size++] = '-';
        text[size++] = p->monotone_constraints[i] == 0 ? '0' : '1';
    }
    m->monotone_constraints = tree_model_string(m, text, size);
    free(text);
    return m->monotone_constraints ? ST_OK : err_set(err, ST_NO_MEMORY, "monotone_constraints");
}

enum status lgbm_model_create(struct tree_model **out, const struct lgbm_params *params,
                              const struct train_set *set, const struct lgbm_dataset *data,
                              struct err *err) {
    struct tree_model *m = tree_model_create(TREES_LIGHTGBM, params->num_class, set->columns);
    if (!m) return err_set(err, ST_NO_MEMORY, "model");
    *out = m; /* the caller's, also on failure */
    m->trees_per_iteration = params->num_class;
    m->version = tree_model_string(m, "v4", 2);
    m->label_index = tree_model_string(m, "0", 1);
    enum status st = m->version && m->label_index ? ST_OK : err_set(err, ST_NO_MEMORY, "model");
    if (st == ST_OK) st = set_objective(m, params, err);
    if (st == ST_OK) st = set_constraints(m, params, err);
    if (st == ST_OK) st = set_names(m, set, data, err);
    if (st == ST_OK) st = lgbm_params_print(m, params, err);
    return st;
}
