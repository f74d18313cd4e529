/* What LightGBM's objectives do to raw scores: their ConvertOutput. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ml/model_io/lgbm_format.h"

static const struct {
    const char *name;
    enum tree_transform transform;
} objectives[] = {
    {"regression", TRANSFORM_NONE},
    {"regression_l1", TRANSFORM_NONE},
    {"huber", TRANSFORM_NONE},
    {"fair", TRANSFORM_NONE},
    {"quantile", TRANSFORM_NONE},
    {"mape", TRANSFORM_NONE},
    {"lambdarank", TRANSFORM_NONE},
    {"rank_xendcg", TRANSFORM_NONE},
    {"custom", TRANSFORM_NONE},
    {"poisson", TRANSFORM_EXP},
    {"gamma", TRANSFORM_EXP},
    {"tweedie", TRANSFORM_EXP},
    {"binary", TRANSFORM_SIGMOID},
    {"multiclass", TRANSFORM_SOFTMAX},
    {"multiclassova", TRANSFORM_SIGMOID},
    {"cross_entropy", TRANSFORM_SIGMOID},
    {"cross_entropy_lambda", TRANSFORM_LOG1P_EXP},
};

static bool word_is(const char *word, size_t size, const char *text) {
    return strlen(text) == size && memcmp(word, text, size) == 0;
}

enum status model_lgbm_objective(enum tree_transform *transform, double *sigmoid, const char *text,
                                 struct err *err) {
    size_t size = strcspn(text, " ");
    bool is_known = size == 0; /* none: raw scores are the prediction */
    *transform = TRANSFORM_NONE;
    *sigmoid = 1;
    for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++)
        if (word_is(text, size, objectives[i].name)) {
            *transform = objectives[i].transform;
            is_known = true;
        }
    if (!is_known) return err_set(err, ST_UNSUPPORTED, "objective %.64s is not known", text);
    for (const char *word = text + size; *word;) {
        word += strspn(word, " ");
        size = strcspn(word, " ");
        if (word_is(word, size, "sqrt") && *transform == TRANSFORM_NONE)
            *transform = TRANSFORM_SQUARE;
        if (size > 8 && memcmp(word, "sigmoid:", 8) == 0) {
            char *stop;
            *sigmoid = strtod(word + 8, &stop);
            if (stop != word + size || !(*sigmoid > 0) || !isfinite(*sigmoid))
                return err_set(err, ST_CORRUPT, "objective %.64s: sigmoid is not above 0", text);
        }
        word += size;
    }
    return ST_OK;
}
