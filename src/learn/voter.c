/* What makes the two boosters two voters. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "learn/learn_internal.h"

/* Draws depend on seed and round alone: nothing before a round can shift them. */
static const char xgboost_params[] =
    "objective=multi:softprob,num_class=3,tree_method=hist,max_depth=4,max_bin=64,eta=0.1,"
    "subsample=0.8,colsample_bytree=0.8,min_child_weight=20,num_boost_round=150,"
    "early_stopping_rounds=15,seed_per_iteration=1,seed=%" PRIu64;

/* Best leaf first instead of level by level, few leaves of any depth; each round sees half of the rows, each tree
 * half of the columns. Chosen on validation rows: docs/learn.md. */
static const char lightgbm_params[] =
    "objective=multiclass,num_class=3,num_leaves=7,learning_rate=0.1,min_data_in_leaf=100,"
    "feature_fraction=0.5,bagging_fraction=0.5,bagging_freq=1,num_iterations=200,"
    "early_stopping_round=20,num_threads=0,seed=%" PRIu64;

enum status learn_voter(enum booster *booster, char params[LEARN_PARAMS_SIZE], enum model_kind kind,
                        uint64_t seed, struct err *err) {
    seed &= INT32_MAX;
    if (kind == MODEL_XGBOOST) {
        *booster = BOOSTER_XGBOOST;
        snprintf(params, LEARN_PARAMS_SIZE, xgboost_params, seed);
    } else if (kind == MODEL_LIGHTGBM) {
        *booster = BOOSTER_LIGHTGBM;
        snprintf(params, LEARN_PARAMS_SIZE, lightgbm_params, seed);
    } else {
        return err_set(err, ST_UNSUPPORTED, "%s is not trained here", model_kind_text(kind));
    }
    return ST_OK;
}

uint64_t learn_voter_hash(enum model_kind kind) {
    char params[LEARN_PARAMS_SIZE];
    enum booster booster;
    if (learn_voter(&booster, params, kind, 0, NULL) != ST_OK) return 0;
    return hash64(params, strlen(params));
}

const char *learn_file_suffix(enum model_kind kind) {
    return kind == MODEL_LIGHTGBM ? ".txt" : ".json";
}
