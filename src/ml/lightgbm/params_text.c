/* Parameters as text, both ways, and the checks that need more than one of them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/numtext.h"
#include "ml/lightgbm/lgbm_internal.h"
#include "ml/lightgbm/params_internal.h"
#include "ml/model_io/model_io.h"

/* Takes the next "key=value" out of text, which it cuts up: a part without '=' belongs to the value before it, as in
 * eval_at=1,3,5. False at the end. */
static bool next_pair(char **key, char **value, char **at) {
    char *s = *at + strspn(*at, " ,\n\t");
    if (*s == '\0') return false;
    *key = s;
    char *equals = strchr(s, '=');
    if (!equals) {
        *value = NULL;
        *at = s + strlen(s);
        return true;
    }
    *equals = '\0';
    char *v = equals + 1, *end = NULL;
    if (*v == '"') {
        v++;
        end = strchr(v, '"');
        if (!end) end = v + strlen(v);
        *at = end + (*end != '\0');
        *end = '\0';
    } else {
        char *next = strchr(v, '=');
        end = v + strlen(v);
        if (next) {
            end = next;
            while (end > v && *end != ',') end--;
        }
        *at = end + (*end != '\0');
        *end = '\0';
    }
    *value = v;
    for (char *k = equals; k > *key && (k[-1] == ' ' || k[-1] == '\t'); k--) k[-1] = '\0';
    *value += strspn(*value, " ");
    size_t length = strlen(*value);
    while (length > 0 && (*value)[length - 1] == ' ') (*value)[--length] = '\0';
    return true;
}

enum status lgbm_params_parse(struct lgbm_params *p, const char *text, uint32_t columns,
                              const char *const *names, struct err *err) {
    size_t size = strlen(text) + 1;
    char *copy = malloc(size), *at = copy, *key, *value;
    if (!copy) return err_set(err, ST_NO_MEMORY, "parameters");
    memcpy(copy, text, size);
    enum status st = ST_OK;
    while (st == ST_OK && next_pair(&key, &value, &at)) {
        if (!value)
            st = err_set(err, ST_INVALID, "parameter \"%s\" has no '=value'", key);
        else
            st = lgbm_params_set(p, key, value, columns, names, err);
    }
    free(copy);
    return st;
}

/* ---- checks ---- */

static enum status check_ranges(const struct lgbm_params *p, struct err *err) {
    for (size_t i = 0; i < lgbm_param_count; i++) {
        const struct param *param = &lgbm_param_table[i];
        if (param->kind != PARAM_U32 && param->kind != PARAM_I32 && param->kind != PARAM_F64)
            continue;
        double x = lgbm_param_number(p, param);
        if (!((param->low_open ? x > param->low : x >= param->low) && x <= param->high))
            return err_set(err, ST_INVALID, "%s=%.10g is not in %s%.10g to %.10g", param->name, x,
                           param->low_open ? "above " : "", param->low, param->high);
    }
    if (!(p->early_stopping_min_delta >= 0))
        return err_set(err, ST_INVALID, "early_stopping_min_delta must be from 0");
    return ST_OK;
}

static enum status check_sampling(const struct lgbm_params *p, struct err *err) {
    bool balanced = p->pos_bagging_fraction < 1 || p->neg_bagging_fraction < 1;
    if (balanced && p->objective != LGBM_BINARY)
        return err_set(err, ST_INVALID,
                       "pos_bagging_fraction and neg_bagging_fraction are for objective=binary");
    if (!p->goss) return ST_OK;
    if (!(p->top_rate + p->other_rate <= 1 && p->top_rate > 0 && p->other_rate > 0))
        return err_set(err, ST_INVALID,
                       "goss: top_rate=%g and other_rate=%g must be above 0 and sum to at most 1",
                       p->top_rate, p->other_rate);
    if (p->bagging_freq > 0 && (balanced || p->bagging_fraction < 1))
        return err_set(err, ST_INVALID, "goss takes the place of bagging: not both");
    return ST_OK;
}

static enum status check_classes(const struct lgbm_params *p, struct err *err) {
    uint32_t classes = p->objective == LGBM_BINARY ? 2 : p->num_class;
    if (p->objective == LGBM_MULTICLASS && p->num_class < 2)
        return err_set(err, ST_INVALID, "objective=multiclass needs num_class from 2");
    if (p->objective != LGBM_MULTICLASS && p->objective != LGBM_CUSTOM && p->num_class != 1)
        return err_set(err, ST_INVALID, "num_class=%u: objective=%s has 1", p->num_class,
                       lgbm_objective_text(p->objective));
    if (p->is_unbalance && (p->scale_pos_weight < 1 || p->scale_pos_weight > 1))
        return err_set(err, ST_INVALID, "is_unbalance and scale_pos_weight: not both");
    if (!p->class_weight) return ST_OK;
    if (p->objective != LGBM_BINARY && p->objective != LGBM_MULTICLASS)
        return err_set(err, ST_INVALID, "class_weight: objective=%s has no classes",
                       lgbm_objective_text(p->objective));
    if (p->class_weight_count != classes)
        return err_set(err, ST_INVALID, "class_weight: %u values for %u classes",
                       p->class_weight_count, classes);
    return ST_OK;
}

static enum status check_metric(const struct lgbm_params *p, bool has_valid, struct err *err) {
    enum lgbm_metric metric = lgbm_params_metric(p);
    bool fits = true;
    switch (metric) {
    case LGBM_METRIC_BINARY_LOGLOSS:
    case LGBM_METRIC_BINARY_ERROR:
    case LGBM_METRIC_AUC:
        fits = p->objective == LGBM_BINARY || (p->objective == LGBM_CUSTOM && p->num_class == 1);
        break;
    case LGBM_METRIC_MULTI_LOGLOSS:
    case LGBM_METRIC_MULTI_ERROR:
        fits = p->objective == LGBM_MULTICLASS || (p->objective == LGBM_CUSTOM && p->num_class > 1);
        break;
    case LGBM_METRIC_L2:
    case LGBM_METRIC_RMSE:
    case LGBM_METRIC_L1:
    case LGBM_METRIC_HUBER:
    case LGBM_METRIC_QUANTILE:
        fits = p->objective != LGBM_MULTICLASS && p->objective != LGBM_LAMBDARANK &&
               p->objective != LGBM_BINARY && p->num_class == 1;
        break;
    case LGBM_METRIC_NDCG:
        fits =
            p->objective == LGBM_LAMBDARANK || (p->objective == LGBM_CUSTOM && p->num_class == 1);
        break;
    case LGBM_METRIC_AUTO:
    case LGBM_METRIC_NONE:
    case LGBM_METRIC_COUNT:
        break;
    }
    if (!fits)
        return err_set(err, ST_INVALID, "metric=%s does not go with objective=%s",
                       lgbm_metric_name(metric), lgbm_objective_text(p->objective));
    if (p->early_stopping_round == 0) return ST_OK;
    if (!has_valid) return err_set(err, ST_INVALID, "early_stopping_round needs a validation set");
    if (metric == LGBM_METRIC_NONE)
        return err_set(err, ST_INVALID, "early_stopping_round needs a metric");
    return ST_OK;
}

enum status lgbm_params_check(const struct lgbm_params *p, bool has_valid, struct err *err) {
    enum status st = check_ranges(p, err);
    if (st == ST_OK) st = check_sampling(p, err);
    if (st == ST_OK) st = check_classes(p, err);
    if (st == ST_OK) st = check_metric(p, has_valid, err);
    if (st != ST_OK) return st;
    if (p->objective == LGBM_QUANTILE && !(p->alpha < 1))
        return err_set(err, ST_INVALID, "alpha=%g: objective=quantile needs one between 0 and 1",
                       p->alpha);
    if (p->objective == LGBM_CUSTOM && !p->custom)
        return err_set(err, ST_INVALID, "objective=custom needs a function");
    if (p->reg_sqrt && p->objective != LGBM_REGRESSION)
        return err_set(err, ST_INVALID, "reg_sqrt is for objective=regression");
    if (p->monotone_constraints &&
        (p->objective == LGBM_REGRESSION_L1 || p->objective == LGBM_QUANTILE))
        return err_set(err, ST_INVALID,
                       "monotone_constraints: objective=%s sets its leaves again after the split",
                       lgbm_objective_text(p->objective));
    if (p->path_smooth > 0 && p->min_data_in_leaf < 2)
        return err_set(err, ST_INVALID, "path_smooth needs min_data_in_leaf from 2");
    return ST_OK;
}

/* ---- the section of a model's text ---- */

/* Text that grows; failed: no memory. */
struct text {
    char *bytes;
    size_t size, room;
    bool failed;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *format, ...) {
    char piece[64];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    ASSERT(length >= 0 && (size_t)length < sizeof piece);
    if (t->failed) return;
    if (t->size + (size_t)length + 1 > t->room) {
        size_t room = t->room * 2 + sizeof piece;
        char *bytes = realloc(t->bytes, room);
        if (!bytes) {
            t->failed = true;
            return;
        }
        t->bytes = bytes;
        t->room = room;
    }
    memcpy(t->bytes + t->size, piece, (size_t)length + 1);
    t->size += (size_t)length;
}

static void add_number(struct text *t, double x) {
    char number[NUMTEXT_SIZE];
    numtext_f64(number, x);
    add(t, "%s", number);
}

static void print_lists(struct text *t, const struct param *param, const struct lgbm_params *p) {
    const char *comma = "";
    struct lgbm_params defaults;
    lgbm_params_init(&defaults);
    if (param->kind == PARAM_CATEGORICAL && p->is_categorical) {
        for (uint32_t i = 0; i < p->columns_given; i++) {
            if (!p->is_categorical[i]) continue;
            add(t, "%s%u", comma, i);
            comma = ",";
        }
    } else if (param->kind == PARAM_MONOTONE && p->monotone_constraints) {
        for (uint32_t i = 0; i < p->columns_given; i++)
            add(t, "%s%d", i ? "," : "", p->monotone_constraints[i]);
    } else if (param->kind == PARAM_CLASS_WEIGHT) {
        for (uint32_t i = 0; i < p->class_weight_count; i++) {
            add(t, "%s", i ? "," : "");
            add_number(t, p->class_weight[i]);
        }
    } else if (param->kind == PARAM_LABEL_GAIN) {
        /* LightGBM leaves its default out. */
        if (memcmp(p->label_gain, defaults.label_gain, sizeof p->label_gain) == 0) return;
        for (uint32_t i = 0; i < LGBM_LABEL_GAIN_MAX && p->label_gain[i] >= 0; i++) {
            add(t, "%s", i ? "," : "");
            add_number(t, p->label_gain[i]);
        }
    } else if (param->kind == PARAM_EVAL_AT) {
        if (p->eval_at_count == defaults.eval_at_count &&
            memcmp(p->eval_at, defaults.eval_at, p->eval_at_count * sizeof *p->eval_at) == 0)
            return;
        for (uint32_t i = 0; i < p->eval_at_count; i++) add(t, "%s%u", i ? "," : "", p->eval_at[i]);
    }
}

static void print_value(struct text *t, const struct param *param, const struct lgbm_params *p) {
    bool b;
    switch (param->kind) {
    case PARAM_U32:
    case PARAM_I32:
        add(t, "%.0f", lgbm_param_number(p, param));
        return;
    case PARAM_F64:
        add_number(t, lgbm_param_number(p, param));
        return;
    case PARAM_BOOL:
        memcpy(&b, (const char *)p + param->offset, sizeof b);
        add(t, "%d", b);
        return;
    case PARAM_OBJECTIVE:
        add(t, "%s", lgbm_objective_text(p->objective));
        return;
    case PARAM_METRIC:
        add(t, "%s", lgbm_metric_name(lgbm_params_metric(p)));
        return;
    case PARAM_BOOSTING:
        add(t, "gbdt");
        return;
    case PARAM_STRATEGY:
        add(t, "%s", p->goss ? "goss" : "bagging");
        return;
    case PARAM_SEED:
        add(t, "%llu", (unsigned long long)p->seed);
        return;
    case PARAM_DERIVED_SEED:
        add(t, "%llu", (unsigned long long)lgbm_params_seed(p, (enum lgbm_seed)param->offset));
        return;
    case PARAM_STOPPING:
        add(t, "%u", p->early_stopping_round);
        return;
    case PARAM_THREADS:
        /* Not how many there were: a model does not depend on that, so neither does its file. */
        add(t, "0");
        return;
    case PARAM_FIXED:
    case PARAM_FREE:
        add(t, "%s", param->text);
        return;
    case PARAM_CATEGORICAL:
    case PARAM_MONOTONE:
    case PARAM_CLASS_WEIGHT:
    case PARAM_LABEL_GAIN:
    case PARAM_EVAL_AT:
        print_lists(t, param, p);
        return;
    }
}

enum status lgbm_params_print(struct tree_model *m, const struct lgbm_params *p, struct err *err) {
    struct text t = {0};
    enum status st = ST_OK;
    for (size_t i = 0; i < lgbm_param_count && st == ST_OK; i++) {
        const struct param *param = &lgbm_param_table[i];
        if (param->hidden && !(param->kind == PARAM_CLASS_WEIGHT && p->class_weight)) continue;
        t.size = 0;
        add(&t, "%s", "");
        print_value(&t, param, p);
        if (t.failed)
            st = err_set(err, ST_NO_MEMORY, "parameter section");
        else
            st = tree_model_attribute_set(m, param->name, t.bytes, err);
    }
    free(t.bytes);
    return st;
}
