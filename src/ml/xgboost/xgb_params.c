/* "k=v,k=v" in XGBoost's own names: split, known or not, ours or the library's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ml/xgboost/xgb_internal.h"

enum { THREADS_MAX = 1024 };

/* What the documentation of XGBoost 1.7 lists for tree boosters, aliases included. The library itself only
 * warns of a name it does not know, and a misspelt parameter would train another model than was asked for.
 * Source: XGBoost 1.7, doc/parameter.rst. */
static const char *const known[] = {
    /* general */
    "booster", "verbosity", "validate_parameters", "disable_default_eval_metric",
    /* trees */
    "eta", "learning_rate", "gamma", "min_split_loss", "max_depth", "min_child_weight",
    "max_delta_step", "subsample", "sampling_method", "colsample_bytree", "colsample_bylevel",
    "colsample_bynode", "lambda", "reg_lambda", "alpha", "reg_alpha", "tree_method",
    "scale_pos_weight", "updater", "refresh_leaf", "process_type", "grow_policy", "max_leaves",
    "max_bin", "predictor", "num_parallel_tree", "monotone_constraints", "interaction_constraints",
    "max_cat_to_onehot", "max_cat_threshold", "gpu_id",
    /* dart */
    "sample_type", "normalize_type", "rate_drop", "one_drop", "skip_drop",
    /* task */
    "objective", "base_score", "eval_metric", "seed", "random_state", "seed_per_iteration",
    "num_class", "tweedie_variance_power", "huber_slope", "aft_loss_distribution",
    "aft_loss_distribution_scale", "num_pairsample", "fix_list_weight"};

static bool is_known(const char *key) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (!strcmp(known[i], key)) return true;
    return false;
}

static bool is_one_of(const char *key, const char *a, const char *b, const char *c) {
    return !strcmp(key, a) || !strcmp(key, b) || !strcmp(key, c);
}

static enum status count_parse(uint32_t *out, const char *key, const char *value, uint32_t min,
                               uint32_t max, struct err *err) {
    char *end;
    errno = 0;
    unsigned long v = strtoul(value, &end, 10);
    if (errno || *end || *value < '0' || *value > '9' || v < min || v > max)
        return err_set(err, ST_INVALID, "%s=%s: a whole number from %u to %u", key, value, min,
                       max);
    *out = (uint32_t)v;
    return ST_OK;
}

static enum status flag_parse(bool *out, const char *key, const char *value, struct err *err) {
    bool yes = is_one_of(value, "1", "true", "True");
    if (!yes && !is_one_of(value, "0", "false", "False"))
        return err_set(err, ST_INVALID, "%s=%s: true or false", key, value);
    *out = yes;
    return ST_OK;
}

/* Parameters of the training loop are ours to keep; the library never sees them. */
static enum status apply(struct xgb_config *c, const char *key, char *value, struct err *err) {
    if (is_one_of(key, "num_boost_round", "n_estimators", "num_round"))
        return count_parse(&c->rounds, key, value, 1, 1000000, err);
    if (!strcmp(key, "early_stopping_rounds"))
        return count_parse(&c->early_stopping_rounds, key, value, 1, 1000000, err);
    if (is_one_of(key, "nthread", "n_jobs", "n_thread"))
        return count_parse(&c->threads, key, value, 0, THREADS_MAX, err);
    if (!strcmp(key, "maximize")) {
        c->maximize_given = true;
        return flag_parse(&c->maximize, key, value, err);
    }
    if (!strcmp(key, "feature_types")) {
        c->feature_types = value;
        return ST_OK;
    }
    if (!is_known(key))
        return err_set(err, ST_NOT_FOUND, "XGBoost has no parameter '%.60s' for tree models", key);
    if (!strcmp(key, "booster") && !is_one_of(value, "gbtree", "dart", "dart"))
        return err_set(err, ST_UNSUPPORTED, "booster=%.40s: gbtree or dart, which are trees",
                       value);
    if (!strcmp(key, "objective")) c->objective = value;
    if (!strcmp(key, "num_class")) {
        enum status st = count_parse(&c->class_count, key, value, 0, 1 << 20, err);
        if (st != ST_OK) return st;
    }
    if (c->pair_count == XGB_PARAMS_MAX)
        return err_set(err, ST_RANGE, "more than %d parameters", XGB_PARAMS_MAX);
    c->pairs[c->pair_count++] = (struct xgb_pair){key, value};
    return ST_OK;
}

/* Lists stand in brackets, whose commas belong to the value; NULL: brackets or quotes do not close. */
static char *item_end(char *at) {
    int depth = 0;
    bool quoted = false;
    for (; *at; at++) {
        if (*at == '"') quoted = !quoted;
        if (quoted) continue;
        if (strchr("([{", *at)) depth++;
        if (strchr(")]}", *at)) depth--;
        if (depth < 0) return NULL;
        if (*at == ',' && depth == 0) return at;
    }
    return quoted || depth ? NULL : at;
}

static char *trim(char *text) {
    while (*text == ' ') text++;
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == ' ') text[--n] = 0;
    if (n >= 2 && text[0] == '"' && text[n - 1] == '"') {
        text[n - 1] = 0;
        text++;
    }
    return text;
}

static enum status item_apply(struct xgb_config *c, char *item, struct err *err) {
    char *equals = strchr(item, '=');
    if (!equals) return err_set(err, ST_INVALID, "'%.60s': not name=value", item);
    *equals = 0;
    char *key = trim(item), *value = trim(equals + 1);
    if (!*key || !*value)
        return err_set(err, ST_INVALID, "'%.60s=%.60s': not name=value", key, value);
    return apply(c, key, value, err);
}

void xgb_config_free(struct xgb_config *c) {
    free(c->text);
    c->text = NULL;
}

enum status xgb_config_parse(struct xgb_config *out, const char *params, struct err *err) {
    *out = (struct xgb_config){.rounds = 10, .threads = 1, .objective = "reg:squarederror"};
    if (!(out->text = strdup(params))) return err_set(err, ST_NO_MEMORY, "parameters");
    enum status st = ST_OK;
    for (char *at = out->text; st == ST_OK && *at;) {
        char *end = item_end(at);
        if (!end) {
            st = err_set(err, ST_INVALID, "'%.60s': brackets or quotes do not close", at);
            break;
        }
        bool more = *end == ',';
        *end = 0;
        st = item_apply(out, at, err);
        at = more ? end + 1 : end;
    }
    if (st == ST_OK && out->threads == 0) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        out->threads = n > 1 ? (uint32_t)n : 1;
    }
    if (st != ST_OK) xgb_config_free(out);
    return st == ST_OK ? st : err_wrap(err, st, "parameters");
}
