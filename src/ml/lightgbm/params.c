#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rng.h"
#include "ml/lightgbm/lgbm_internal.h"
#include "ml/lightgbm/params_internal.h"

/* A name and what it stands for; the first name of a value is how it is written. */
struct name {
    const char *text;
    int value;
};

enum { NOT_HERE = -1 }; /* LightGBM knows the name, this trainer does not do it */

static const struct name objective_names[] = {
    {"regression", LGBM_REGRESSION},
    {"regression_l2", LGBM_REGRESSION},
    {"mean_squared_error", LGBM_REGRESSION},
    {"mse", LGBM_REGRESSION},
    {"l2", LGBM_REGRESSION},
    {"l2_root", LGBM_REGRESSION},
    {"root_mean_squared_error", LGBM_REGRESSION},
    {"rmse", LGBM_REGRESSION},
    {"regression_l1", LGBM_REGRESSION_L1},
    {"l1", LGBM_REGRESSION_L1},
    {"mean_absolute_error", LGBM_REGRESSION_L1},
    {"mae", LGBM_REGRESSION_L1},
    {"huber", LGBM_HUBER},
    {"quantile", LGBM_QUANTILE},
    {"binary", LGBM_BINARY},
    {"multiclass", LGBM_MULTICLASS},
    {"softmax", LGBM_MULTICLASS},
    {"lambdarank", LGBM_LAMBDARANK},
    {"custom", LGBM_CUSTOM},
    {"none", LGBM_CUSTOM},
    {"null", LGBM_CUSTOM},
    {"na", LGBM_CUSTOM},
    {"fair", NOT_HERE},
    {"poisson", NOT_HERE},
    {"mape", NOT_HERE},
    {"mean_absolute_percentage_error", NOT_HERE},
    {"gamma", NOT_HERE},
    {"tweedie", NOT_HERE},
    {"multiclassova", NOT_HERE},
    {"multiclass_ova", NOT_HERE},
    {"ova", NOT_HERE},
    {"ovr", NOT_HERE},
    {"cross_entropy", NOT_HERE},
    {"xentropy", NOT_HERE},
    {"cross_entropy_lambda", NOT_HERE},
    {"xentlambda", NOT_HERE},
    {"rank_xendcg", NOT_HERE},
    {"xendcg", NOT_HERE},
    {"xe_ndcg", NOT_HERE},
    {"xe_ndcg_mart", NOT_HERE},
    {"xendcg_mart", NOT_HERE},
    {NULL, 0},
};

static const struct name metric_names[] = {
    {"", LGBM_METRIC_AUTO},
    {"l2", LGBM_METRIC_L2},
    {"mean_squared_error", LGBM_METRIC_L2},
    {"mse", LGBM_METRIC_L2},
    {"regression_l2", LGBM_METRIC_L2},
    {"regression", LGBM_METRIC_L2},
    {"rmse", LGBM_METRIC_RMSE},
    {"root_mean_squared_error", LGBM_METRIC_RMSE},
    {"l2_root", LGBM_METRIC_RMSE},
    {"l1", LGBM_METRIC_L1},
    {"mean_absolute_error", LGBM_METRIC_L1},
    {"mae", LGBM_METRIC_L1},
    {"regression_l1", LGBM_METRIC_L1},
    {"huber", LGBM_METRIC_HUBER},
    {"quantile", LGBM_METRIC_QUANTILE},
    {"binary_logloss", LGBM_METRIC_BINARY_LOGLOSS},
    {"binary", LGBM_METRIC_BINARY_LOGLOSS},
    {"binary_error", LGBM_METRIC_BINARY_ERROR},
    {"auc", LGBM_METRIC_AUC},
    {"multi_logloss", LGBM_METRIC_MULTI_LOGLOSS},
    {"multiclass", LGBM_METRIC_MULTI_LOGLOSS},
    {"softmax", LGBM_METRIC_MULTI_LOGLOSS},
    {"multi_error", LGBM_METRIC_MULTI_ERROR},
    {"ndcg", LGBM_METRIC_NDCG},
    {"lambdarank", LGBM_METRIC_NDCG},
    {"None", LGBM_METRIC_NONE},
    {"none", LGBM_METRIC_NONE},
    {"na", LGBM_METRIC_NONE},
    {"null", LGBM_METRIC_NONE},
    {"custom", LGBM_METRIC_NONE},
    {"mape", NOT_HERE},
    {"mean_absolute_percentage_error", NOT_HERE},
    {"fair", NOT_HERE},
    {"poisson", NOT_HERE},
    {"gamma", NOT_HERE},
    {"gamma_deviance", NOT_HERE},
    {"tweedie", NOT_HERE},
    {"map", NOT_HERE},
    {"mean_average_precision", NOT_HERE},
    {"average_precision", NOT_HERE},
    {"auc_mu", NOT_HERE},
    {"cross_entropy", NOT_HERE},
    {"xentropy", NOT_HERE},
    {"cross_entropy_lambda", NOT_HERE},
    {"xentlambda", NOT_HERE},
    {"kullback_leibler", NOT_HERE},
    {"kldiv", NOT_HERE},
    {"multi_logloss_ova", NOT_HERE},
    {"r2", NOT_HERE},
    {NULL, 0},
};

static const struct name boosting_names[] = {
    {"gbdt", 0},        {"gbrt", 0},      {"goss", 1},
    {"dart", NOT_HERE}, {"rf", NOT_HERE}, {"random_forest", NOT_HERE},
    {NULL, 0},
};

static const struct name strategy_names[] = {{"bagging", 0}, {"goss", 1}, {NULL, 0}};

static const char *name_of(const struct name *names, int value) {
    while (names->text && names->value != value) names++;
    return names->text;
}

const char *lgbm_objective_text(enum lgbm_objective objective) {
    const char *text = name_of(objective_names, (int)objective);
    return text ? text : "";
}

const char *lgbm_metric_name(enum lgbm_metric metric) {
    const char *text = name_of(metric_names, (int)metric);
    return text ? text : "";
}

enum lgbm_metric lgbm_params_metric(const struct lgbm_params *p) {
    if (p->metric != LGBM_METRIC_AUTO) return p->metric;
    switch (p->objective) {
    case LGBM_REGRESSION:
        return p->l2_root ? LGBM_METRIC_RMSE : LGBM_METRIC_L2;
    case LGBM_REGRESSION_L1:
        return LGBM_METRIC_L1;
    case LGBM_HUBER:
        return LGBM_METRIC_HUBER;
    case LGBM_QUANTILE:
        return LGBM_METRIC_QUANTILE;
    case LGBM_BINARY:
        return LGBM_METRIC_BINARY_LOGLOSS;
    case LGBM_MULTICLASS:
        return LGBM_METRIC_MULTI_LOGLOSS;
    case LGBM_LAMBDARANK:
        return LGBM_METRIC_NDCG;
    case LGBM_CUSTOM:
    case LGBM_OBJECTIVE_COUNT:
        break;
    }
    return LGBM_METRIC_NONE;
}

const char *lgbm_metric_text(const struct lgbm_params *params, bool *more_is_better) {
    enum lgbm_metric metric = lgbm_params_metric(params);
    if (more_is_better) *more_is_better = metric == LGBM_METRIC_AUC || metric == LGBM_METRIC_NDCG;
    return lgbm_metric_name(metric);
}

static void default_gain(double *gain) {
    for (uint32_t i = 0; i < LGBM_LABEL_GAIN_MAX; i++) gain[i] = (double)((UINT64_C(1) << i) - 1);
}

void lgbm_params_init(struct lgbm_params *p) {
    *p = (struct lgbm_params){.num_class = 1,
                              .num_iterations = 100,
                              .num_leaves = 31,
                              .max_depth = -1,
                              .learning_rate = 0.1,
                              .min_data_in_leaf = 20,
                              .min_sum_hessian_in_leaf = 1e-3,
                              .max_bin = 255,
                              .min_data_in_bin = 3,
                              .bin_construct_sample_cnt = 200000,
                              .bagging_fraction = 1,
                              .pos_bagging_fraction = 1,
                              .neg_bagging_fraction = 1,
                              .feature_fraction = 1,
                              .feature_fraction_bynode = 1,
                              .top_rate = 0.2,
                              .other_rate = 0.1,
                              .use_missing = true,
                              .enable_bundle = true,
                              .feature_pre_filter = true,
                              .boost_from_average = true,
                              .min_data_per_group = 100,
                              .max_cat_threshold = 32,
                              .max_cat_to_onehot = 4,
                              .cat_l2 = 10,
                              .cat_smooth = 10,
                              .sigmoid = 1,
                              .alpha = 0.9,
                              .scale_pos_weight = 1,
                              .lambdarank_truncation_level = 30,
                              .lambdarank_norm = true,
                              .eval_at = {1, 2, 3, 4, 5},
                              .eval_at_count = 5,
                              .num_threads = 1};
    default_gain(p->label_gain);
    for (uint32_t i = 0; i < LGBM_SEED_COUNT; i++) p->seeds[i] = -1;
}

void lgbm_params_free(struct lgbm_params *p) {
    free(p->is_categorical);
    free(p->monotone_constraints);
    free(p->class_weight);
    p->is_categorical = NULL;
    p->monotone_constraints = NULL;
    p->class_weight = NULL;
}

uint64_t lgbm_params_seed(const struct lgbm_params *p, enum lgbm_seed which) {
    /* LightGBM's defaults where no seed is given at all. */
    static const uint64_t defaults[LGBM_SEED_COUNT] = {[LGBM_SEED_DATA] = 1,
                                                       [LGBM_SEED_FEATURE] = 2,
                                                       [LGBM_SEED_BAGGING] = 3,
                                                       [LGBM_SEED_EXTRA] = 6};
    if (p->seeds[which] >= 0) return (uint64_t)p->seeds[which];
    if (p->seed == 0) return defaults[which];
    struct rng r = rng_init(p->seed), stream = rng_split(&r, (uint64_t)which);
    return rng_u64(&stream) >> 33;
}

double lgbm_param_number(const struct lgbm_params *p, const struct param *param) {
    const char *field = (const char *)p + param->offset;
    uint32_t u;
    int32_t i;
    double f;
    if (param->kind == PARAM_U32) {
        memcpy(&u, field, sizeof u);
        return u;
    }
    if (param->kind == PARAM_I32) {
        memcpy(&i, field, sizeof i);
        return i;
    }
    ASSERT(param->kind == PARAM_F64);
    memcpy(&f, field, sizeof f);
    return f;
}

/* ---- setting ---- */

static bool has_alias(const char *aliases, const char *key) {
    size_t size = strlen(key);
    for (const char *at = aliases; at && *at;) {
        size_t length = strcspn(at, " ");
        if (length == size && memcmp(at, key, size) == 0) return true;
        at += length + (at[length] == ' ');
    }
    return false;
}

static const struct param *find(const char *key) {
    for (size_t i = 0; i < lgbm_param_count; i++) {
        const struct param *param = &lgbm_param_table[i];
        if (strcmp(param->name, key) == 0 || has_alias(param->aliases, key)) return param;
    }
    return NULL;
}

static enum status out_of_range(const struct param *param, const char *value, struct err *err) {
    const char *open = param->low_open ? "above " : "from ";
    if (param->high >= 1e300 && param->low <= -1e300)
        return err_set(err, ST_INVALID, "%s=%s: must be a finite number", param->name, value);
    if (param->high >= 1e300)
        return err_set(err, ST_INVALID, "%s=%s: must be a number %s%.10g", param->name, value, open,
                       param->low);
    return err_set(err, ST_INVALID, "%s=%s: must be %s %s%.10g to %.10g", param->name, value,
                   param->kind == PARAM_F64 ? "a number" : "an integer", open, param->low,
                   param->high);
}

static bool in_range(const struct param *param, double x) {
    return (param->low_open ? x > param->low : x >= param->low) && x <= param->high;
}

static bool parse_number(double *out, const char *text) {
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out) && errno != ERANGE;
}

static bool parse_integer(int64_t *out, const char *text) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *out = value;
    return end != text && *end == '\0' && errno == 0;
}

static bool parse_bool(bool *out, const char *text) {
    static const char *const yes[] = {"true", "True", "1", "+"};
    static const char *const no[] = {"false", "False", "0", "-"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(text, yes[i]) == 0) return *out = true, true;
        if (strcmp(text, no[i]) == 0) return *out = false, true;
    }
    return false;
}

static enum status set_integer(struct lgbm_params *p, const struct param *param, const char *value,
                               struct err *err) {
    int64_t x;
    char *field = (char *)p + param->offset;
    if (!parse_integer(&x, value) || !in_range(param, (double)x))
        return out_of_range(param, value, err);
    uint32_t u = (uint32_t)x;
    int32_t i = (int32_t)x;
    if (param->kind == PARAM_U32)
        memcpy(field, &u, sizeof u);
    else
        memcpy(field, &i, sizeof i);
    return ST_OK;
}

/* As set_integer, for what has a field of another type. */
static enum status own_integer(int64_t *out, const struct param *param, const char *value,
                               struct err *err) {
    if (!parse_integer(out, value) || !in_range(param, (double)*out))
        return out_of_range(param, value, err);
    return ST_OK;
}

static enum status set_name(int *out, const struct param *param, const struct name *names,
                            const char *value, struct err *err) {
    char list[ERR_TEXT_SIZE - 128] = "";
    size_t used = 0;
    int last = NOT_HERE;
    for (; names->text; names++) {
        if (strcmp(names->text, value) == 0) {
            if (names->value == NOT_HERE)
                return err_set(err, ST_UNSUPPORTED, "%s=%s is LightGBM's, but not of this trainer",
                               param->name, value);
            *out = names->value;
            return ST_OK;
        }
        size_t size = strlen(names->text);
        if (names->value == NOT_HERE || names->value == last || used + size + 2 > sizeof list)
            continue;
        memcpy(list + used, names->text, size);
        list[used + size] = ' ';
        used += size + 1;
        last = names->value;
    }
    list[used] = '\0';
    return err_set(err, ST_INVALID, "%s=%s: must be one of %s", param->name, value, list);
}

/* ---- lists ---- */

/* The next element of a list separated by commas, or colons as LightGBM's command line cannot have; false at its end. */
static bool next_element(char *out, size_t size, const char **at, const char *separators) {
    *at += strspn(*at, " ");
    if (**at == '\0') return false;
    size_t length = strcspn(*at, separators), kept = length;
    while (kept > 0 && (*at)[kept - 1] == ' ') kept--;
    if (kept >= size) kept = size - 1;
    memcpy(out, *at, kept);
    out[kept] = '\0';
    *at += length + ((*at)[length] != '\0');
    return true;
}

enum { ELEMENT_SIZE = 256 };

static enum status column_arrays(struct lgbm_params *p, const struct param *param, uint32_t columns,
                                 struct err *err) {
    if (columns == 0 || columns > LGBM_COLUMNS_MAX)
        return err_set(err, ST_INVALID, "%s needs a data set of 1 to %d columns", param->name,
                       LGBM_COLUMNS_MAX);
    if (p->columns_given != 0 && p->columns_given != columns)
        return err_set(err, ST_INVALID, "%s: %u columns, where another parameter was for %u",
                       param->name, columns, p->columns_given);
    p->columns_given = columns;
    return ST_OK;
}

static enum status set_categorical(struct lgbm_params *p, const struct param *param,
                                   const char *value, uint32_t columns, const char *const *names,
                                   struct err *err) {
    enum status st = column_arrays(p, param, columns, err);
    if (st != ST_OK) return st;
    bool *is = calloc(columns, sizeof *is);
    if (!is) return err_set(err, ST_NO_MEMORY, "%s", param->name);
    bool by_name = strncmp(value, "name:", 5) == 0;
    char element[ELEMENT_SIZE];
    const char *at = value + (by_name ? 5 : 0);
    while (next_element(element, sizeof element, &at, by_name ? "," : ",:")) {
        int64_t column = -1;
        if (by_name) {
            for (uint32_t i = 0; names && i < columns && column < 0; i++)
                if (strcmp(names[i], element) == 0) column = i;
        } else if (!parse_integer(&column, element)) {
            column = -1;
        }
        if (column < 0 || column >= columns) {
            free(is);
            return err_set(err, ST_INVALID,
                           "%s: no column %s (a number from 0 to %u, or name:a,b with names)",
                           param->name, element, columns - 1);
        }
        is[column] = true;
    }
    free(p->is_categorical);
    p->is_categorical = is;
    return ST_OK;
}

static enum status set_monotone(struct lgbm_params *p, const struct param *param, const char *value,
                                uint32_t columns, struct err *err) {
    enum status st = column_arrays(p, param, columns, err);
    if (st != ST_OK) return st;
    int8_t *constraint = calloc(columns, sizeof *constraint);
    if (!constraint) return err_set(err, ST_NO_MEMORY, "%s", param->name);
    char element[ELEMENT_SIZE];
    const char *at = value;
    uint32_t count = 0;
    while (next_element(element, sizeof element, &at, ",:")) {
        int64_t x;
        if (!parse_integer(&x, element) || x < -1 || x > 1) {
            free(constraint);
            return err_set(err, ST_INVALID, "%s: %s of column %u must be -1, 0 or 1", param->name,
                           element, count);
        }
        if (count < columns) constraint[count] = (int8_t)x;
        count++;
    }
    if (count != 0 && count != columns) {
        free(constraint);
        return err_set(err, ST_INVALID, "%s: %u values for %u columns", param->name, count,
                       columns);
    }
    free(p->monotone_constraints);
    p->monotone_constraints = count ? constraint : NULL;
    if (!count) free(constraint);
    return ST_OK;
}

static enum status set_class_weight(struct lgbm_params *p, const struct param *param,
                                    const char *value, struct err *err) {
    size_t room = strlen(value) / 2 + 1;
    double *weight = calloc(room, sizeof *weight);
    if (!weight) return err_set(err, ST_NO_MEMORY, "%s", param->name);
    char element[ELEMENT_SIZE];
    const char *at = value;
    uint32_t count = 0;
    while (next_element(element, sizeof element, &at, ",:")) {
        if (count >= room || !parse_number(&weight[count], element) || !(weight[count] > 0)) {
            free(weight);
            return err_set(err, ST_INVALID, "%s: %s of class %u must be a number above 0",
                           param->name, element, count);
        }
        count++;
    }
    free(p->class_weight);
    p->class_weight = count ? weight : NULL;
    p->class_weight_count = count;
    if (!count) free(weight);
    return ST_OK;
}

static enum status set_label_gain(struct lgbm_params *p, const struct param *param,
                                  const char *value, struct err *err) {
    double gain[LGBM_LABEL_GAIN_MAX] = {0};
    char element[ELEMENT_SIZE];
    const char *at = value;
    uint32_t count = 0;
    while (next_element(element, sizeof element, &at, ",:")) {
        if (count == LGBM_LABEL_GAIN_MAX)
            return err_set(err, ST_INVALID, "%s: more than %d grades", param->name,
                           LGBM_LABEL_GAIN_MAX);
        if (!parse_number(&gain[count], element) || gain[count] < 0)
            return err_set(err, ST_INVALID, "%s: %s of grade %u must be a number from 0",
                           param->name, element, count);
        count++;
    }
    if (count == 0) { /* empty: LightGBM's default */
        default_gain(p->label_gain);
        return ST_OK;
    }
    /* Grades beyond the list have no gain: lgbm_loss_create refuses such labels. */
    for (uint32_t i = count; i < LGBM_LABEL_GAIN_MAX; i++) gain[i] = -1;
    memcpy(p->label_gain, gain, sizeof gain);
    return ST_OK;
}

static enum status set_eval_at(struct lgbm_params *p, const struct param *param, const char *value,
                               struct err *err) {
    uint32_t list[LGBM_NDCG_AT_MAX], count = 0;
    char element[ELEMENT_SIZE];
    const char *at = value;
    while (next_element(element, sizeof element, &at, ",:")) {
        int64_t x;
        if (!parse_integer(&x, element) || x < 1 || x > INT32_MAX)
            return err_set(err, ST_INVALID, "%s: %s must be an integer from 1", param->name,
                           element);
        if (count == LGBM_NDCG_AT_MAX)
            return err_set(err, ST_INVALID, "%s: more than %d positions", param->name,
                           LGBM_NDCG_AT_MAX);
        list[count++] = (uint32_t)x;
    }
    if (count == 0) /* empty: LightGBM's default */
        for (; count < 5; count++) list[count] = count + 1;
    memcpy(p->eval_at, list, count * sizeof *list);
    p->eval_at_count = count;
    return ST_OK;
}

/* ---- one parameter ---- */

static enum status set_fixed(const struct param *param, const char *value, struct err *err) {
    double have, want;
    bool have_bool;
    if (strcmp(value, param->text) == 0) return ST_OK;
    if (parse_number(&want, param->text)) {
        if (parse_number(&have, value) && !(have < want) && !(have > want)) return ST_OK;
        if (parse_bool(&have_bool, value) && (want > 0) == have_bool &&
            (strcmp(param->text, "0") == 0 || strcmp(param->text, "1") == 0))
            return ST_OK;
    }
    return err_set(err, ST_UNSUPPORTED, "%s=%s: this trainer has only %s=%s", param->name, value,
                   param->name, param->text);
}

static enum status set_objective(struct lgbm_params *p, const struct param *param,
                                 const char *value, struct err *err) {
    int x = 0;
    enum status st = set_name(&x, param, objective_names, value, err);
    if (st != ST_OK) return st;
    p->objective = (enum lgbm_objective)x;
    p->l2_root = strcmp(value, "l2_root") == 0 || strcmp(value, "rmse") == 0 ||
                 strcmp(value, "root_mean_squared_error") == 0;
    return ST_OK;
}

static enum status set_metric(struct lgbm_params *p, const struct param *param, const char *value,
                              struct err *err) {
    int x = 0;
    if (strchr(value, ','))
        return err_set(err, ST_UNSUPPORTED, "%s=%s: one metric, not several", param->name, value);
    enum status st = set_name(&x, param, metric_names, value, err);
    if (st == ST_OK) p->metric = (enum lgbm_metric)x;
    return st;
}

static enum status set_own(struct lgbm_params *p, const struct param *param, const char *value,
                           struct err *err) {
    int name = 0;
    int64_t x = 0;
    enum status st;
    if (param->kind == PARAM_BOOSTING || param->kind == PARAM_STRATEGY) {
        st = set_name(&name, param, param->kind == PARAM_BOOSTING ? boosting_names : strategy_names,
                      value, err);
        /* boosting=gbdt says nothing about the sampling, boosting=goss does. */
        if (st == ST_OK && (name == 1 || param->kind == PARAM_STRATEGY)) p->goss = name == 1;
        return st;
    }
    if (param->kind == PARAM_STOPPING && parse_integer(&x, value) && x < 0) {
        p->early_stopping_round = 0;
        return ST_OK;
    }
    st = own_integer(&x, param, value, err);
    if (st != ST_OK) return st;
    if (param->kind == PARAM_SEED)
        p->seed = (uint64_t)x;
    else if (param->kind == PARAM_DERIVED_SEED)
        p->seeds[param->offset] = x;
    else if (param->kind == PARAM_STOPPING)
        p->early_stopping_round = (uint32_t)x;
    else
        p->num_threads = (uint32_t)x;
    return ST_OK;
}

static enum status set_param(struct lgbm_params *p, const struct param *param, const char *value,
                             uint32_t columns, const char *const *names, struct err *err) {
    double x;
    bool b;
    switch (param->kind) {
    case PARAM_U32:
    case PARAM_I32:
        return set_integer(p, param, value, err);
    case PARAM_F64:
        if (!parse_number(&x, value) || !in_range(param, x)) return out_of_range(param, value, err);
        memcpy((char *)p + param->offset, &x, sizeof x);
        return ST_OK;
    case PARAM_BOOL:
        if (!parse_bool(&b, value))
            return err_set(err, ST_INVALID, "%s=%s: must be true or false", param->name, value);
        memcpy((char *)p + param->offset, &b, sizeof b);
        return ST_OK;
    case PARAM_OBJECTIVE:
        return set_objective(p, param, value, err);
    case PARAM_METRIC:
        return set_metric(p, param, value, err);
    case PARAM_CATEGORICAL:
        return set_categorical(p, param, value, columns, names, err);
    case PARAM_MONOTONE:
        return set_monotone(p, param, value, columns, err);
    case PARAM_CLASS_WEIGHT:
        return set_class_weight(p, param, value, err);
    case PARAM_LABEL_GAIN:
        return set_label_gain(p, param, value, err);
    case PARAM_EVAL_AT:
        return set_eval_at(p, param, value, err);
    case PARAM_FIXED:
        return set_fixed(param, value, err);
    case PARAM_FREE:
        return ST_OK;
    case PARAM_BOOSTING:
    case PARAM_STRATEGY:
    case PARAM_SEED:
    case PARAM_DERIVED_SEED:
    case PARAM_STOPPING:
    case PARAM_THREADS:
        break;
    }
    return set_own(p, param, value, err);
}

enum status lgbm_params_set(struct lgbm_params *p, const char *key, const char *value,
                            uint32_t columns, const char *const *names, struct err *err) {
    const struct param *param = find(key);
    if (!param) return err_set(err, ST_NOT_FOUND, "no parameter \"%s\"", key);
    return set_param(p, param, value, columns, names, err);
}
