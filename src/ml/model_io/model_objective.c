/* What XGBoost's objectives do to base scores and margins (its "regression_loss" and friends; checked
 * against the library by test_model_xgb.c). */
#include <math.h>
#include <string.h>

#include "ml/model_io/model_io_internal.h"

#define REG_LOSS "{\"reg_loss_param\":{\"scale_pos_weight\":\"1\"}}"
#define RANK     "{\"lambda_rank_param\":{\"fix_list_weight\":\"0\",\"num_pairsample\":\"1\"}}"

static const struct model_objective objectives[] = {
    {"reg:squarederror", MODEL_LINK_IDENTITY, TRANSFORM_NONE, REG_LOSS},
    {"reg:linear", MODEL_LINK_IDENTITY, TRANSFORM_NONE, REG_LOSS},
    {"reg:squaredlogerror", MODEL_LINK_IDENTITY, TRANSFORM_NONE, REG_LOSS},
    {"reg:logistic", MODEL_LINK_LOGIT, TRANSFORM_SIGMOID, REG_LOSS},
    {"reg:pseudohubererror", MODEL_LINK_IDENTITY, TRANSFORM_NONE,
     "{\"pseudo_huber_param\":{\"huber_slope\":\"1\"}}"},
    {"reg:absoluteerror", MODEL_LINK_IDENTITY, TRANSFORM_NONE, "{}"},
    {"reg:quantileerror", MODEL_LINK_IDENTITY, TRANSFORM_NONE, "{}"},
    {"binary:logistic", MODEL_LINK_LOGIT, TRANSFORM_SIGMOID, REG_LOSS},
    {"binary:logitraw", MODEL_LINK_IDENTITY, TRANSFORM_NONE, REG_LOSS},
    {"binary:hinge", MODEL_LINK_IDENTITY, TRANSFORM_HINGE, "{}"},
    {"count:poisson", MODEL_LINK_LOG, TRANSFORM_EXP,
     "{\"poisson_regression_param\":{\"max_delta_step\":\"0.699999988\"}}"},
    {"survival:cox", MODEL_LINK_LOG, TRANSFORM_EXP, "{}"},
    {"survival:aft", MODEL_LINK_LOG, TRANSFORM_EXP,
     "{\"aft_loss_param\":{\"aft_loss_distribution\":\"normal\","
     "\"aft_loss_distribution_scale\":\"1\"}}"},
    /* num_class is the model's own */
    {"multi:softmax", MODEL_LINK_IDENTITY, TRANSFORM_ARGMAX, NULL},
    {"multi:softprob", MODEL_LINK_IDENTITY, TRANSFORM_SOFTMAX, NULL},
    {"rank:pairwise", MODEL_LINK_IDENTITY, TRANSFORM_NONE, RANK},
    {"rank:ndcg", MODEL_LINK_IDENTITY, TRANSFORM_NONE, RANK},
    {"rank:map", MODEL_LINK_IDENTITY, TRANSFORM_NONE, RANK},
    {"reg:gamma", MODEL_LINK_LOG, TRANSFORM_EXP, "{}"},
    {"reg:tweedie", MODEL_LINK_LOG, TRANSFORM_EXP,
     "{\"tweedie_regression_param\":{\"tweedie_variance_power\":\"1.5\"}}"},
};

const struct model_objective *model_objective_find(const char *name) {
    for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++)
        if (strcmp(objectives[i].name, name) == 0) return &objectives[i];
    return NULL;
}

float model_objective_margin(const struct model_objective *o, float base_score, bool is_clamped) {
    switch (o->link) {
    case MODEL_LINK_LOGIT:
        if (is_clamped) base_score = fminf(fmaxf(base_score, 1e-6f), 1.0f - 1e-6f);
        return base_score > 0 && base_score < 1 ? -logf(1.0f / base_score - 1.0f) : NAN;
    case MODEL_LINK_LOG:
        return base_score > 0 ? logf(base_score) : NAN;
    case MODEL_LINK_IDENTITY:
        break;
    }
    return base_score;
}
