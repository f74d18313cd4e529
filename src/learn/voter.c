/* What makes two boosters and two networks four voters. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "learn/net_internal.h"

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

struct learn_schedule learn_schedule_of(enum model_kind kind) {
    struct learn_schedule s = {.epochs = 6,
                               .patience = 2,
                               .batch = 256,
                               .lr = 5e-4,
                               .weight_decay = 1e-2,
                               .clip_norm = 1,
                               .label_weight = 0.5,
                               .half_life_days = 180};
    if (kind == MODEL_PATCHTST) {
        s.batch = 128;
        s.lr = 1e-3;
    }
    return s;
}

void learn_schedule_text(char params[LEARN_PARAMS_SIZE], enum model_kind kind, size_t horizon,
                         const struct learn_schedule *s, uint64_t seed) {
    char network[NET_TEXT_SIZE];
    snprintf(params, LEARN_PARAMS_SIZE,
             "%s,epochs=%u,patience=%u,batch=%u,lr=%g,weight_decay=%g,clip_norm=%g,label_weight=%g,"
             "half_life_days=%g,channels=%08" PRIx32 ",seed=%" PRIu64,
             net_text(network, kind, horizon), s->epochs, s->patience, s->batch, s->lr,
             s->weight_decay, s->clip_norm, s->label_weight, s->half_life_days,
             (uint32_t)net_channels_hash(), seed);
}

uint64_t learn_voter_hash(enum model_kind kind) {
    char params[LEARN_PARAMS_SIZE];
    enum booster booster;
    if (learn_is_network(kind)) {
        struct learn_schedule s = learn_schedule_of(kind);
        learn_schedule_text(params, kind, label_spec_defaults().horizon_bars, &s, 0);
    } else if (learn_voter(&booster, params, kind, 0, NULL) != ST_OK) {
        return 0;
    }
    return hash64(params, strlen(params));
}

const char *learn_file_suffix(enum model_kind kind) {
    if (learn_is_network(kind)) return ".safetensors";
    return kind == MODEL_LIGHTGBM ? ".txt" : ".json";
}
