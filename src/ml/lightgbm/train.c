/* Boosting: gradients, rows and columns, a tree of each output, its leaves shrunken, margins moved on; until the rounds
 * are up, nothing splits, the validation set has not improved for long enough, or progress says stop. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "ml/lightgbm/lgbm_internal.h"
#include "ml/lightgbm/train_internal.h"
#include "ml/model_io/model_io.h"

enum { TRAIN = 0, VALID, SETS };

struct training {
    const struct lgbm_params *params;
    const struct train_set *set[SETS]; /* VALID: NULL if there is none */
    train_progress_fn progress;
    void *context;
    struct workers *threads;
    struct lgbm_dataset *data[SETS];
    struct lgbm_loss *loss[SETS];
    double *margin[SETS];      /* (rows, outputs) */
    float *gradient, *hessian; /* (outputs, rows) of TRAIN */
    struct lgbm_grower *grower;
    struct lgbm_sampler *sampler;
    bool *usable;
    uint32_t outputs, usable_count;
    struct tree_model *model;
};

/* Starting margins below this are none. LightGBM's kEpsilon. */
static const double start_min = 1e-15;

/* LightGBM's 1e-35f: leaf values as small become zero. */
static double flushed(double x) {
    return fabs(x) <= 1.0000000180025095e-35 ? 0.0 : x;
}

/* ---- sets ---- */

static enum status check_set(const struct train_set *set, struct err *err) {
    if (set->rows == 0 || set->rows > INT32_MAX)
        return err_set(err, ST_RANGE, "%zu rows: must be 1 to %d", set->rows, INT32_MAX);
    if (set->columns == 0 || set->columns > LGBM_COLUMNS_MAX)
        return err_set(err, ST_RANGE, "%u columns: must be 1 to %d", set->columns,
                       LGBM_COLUMNS_MAX);
    if ((set->x64 != NULL) == (set->x32 != NULL))
        return err_set(err, ST_INVALID, "values are either double or float");
    if (set->stride != 0 && set->stride < set->columns)
        return err_set(err, ST_INVALID, "stride %zu is below the %u columns", set->stride,
                       set->columns);
    return ST_OK;
}

static enum status check_sets(const struct lgbm_params *p, const struct train_set *train,
                              const struct train_set *valid, struct err *err) {
    enum status st = check_set(train, err);
    if (st != ST_OK) return err_wrap(err, st, "training set");
    if (p->columns_given != 0 && p->columns_given != train->columns)
        return err_set(err, ST_INVALID, "parameters are for %u columns, the set has %u",
                       p->columns_given, train->columns);
    if (!valid) return ST_OK;
    st = check_set(valid, err);
    if (st != ST_OK) return err_wrap(err, st, "validation set");
    if (valid->columns != train->columns)
        return err_set(err, ST_INVALID, "validation set: %u columns, the training set has %u",
                       valid->columns, train->columns);
    if ((valid->init_margin != NULL) != (train->init_margin != NULL))
        return err_set(err, ST_INVALID, "one set has starting margins, the other has not");
    return ST_OK;
}

static const char *set_name(int which) {
    return which == TRAIN ? "training set" : "validation set";
}

static uint32_t thread_count(const struct lgbm_params *p) {
    if (p->num_threads > 0) return p->num_threads;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

static enum status prepare_set(struct training *t, int which, struct err *err) {
    const struct train_set *set = t->set[which];
    enum status st = lgbm_loss_create(&t->loss[which], t->params, set, t->threads, err);
    if (st == ST_OK)
        st = lgbm_dataset_create(&t->data[which], set, t->params,
                                 which == TRAIN ? NULL : t->data[TRAIN], t->threads, err);
    if (st != ST_OK) return err_wrap(err, st, "%s", set_name(which));
    size_t count = set->rows * t->outputs;
    t->margin[which] = calloc(count, sizeof(double));
    if (!t->margin[which])
        return err_set(err, ST_NO_MEMORY, "%zu margins of the %s", count, set_name(which));
    if (set->init_margin) memcpy(t->margin[which], set->init_margin, count * sizeof(double));
    return ST_OK;
}

static enum status prepare(struct training *t, struct err *err) {
    const struct train_set *set = t->set[TRAIN];
    t->outputs = t->params->num_class;
    enum status st = workers_create(&t->threads, thread_count(t->params), err);
    for (int which = 0; which < SETS && st == ST_OK; which++)
        if (t->set[which]) st = prepare_set(t, which, err);
    if (st != ST_OK) return st;
    size_t count = set->rows * t->outputs;
    t->gradient = malloc(count * sizeof *t->gradient);
    t->hessian = malloc(count * sizeof *t->hessian);
    t->usable = calloc(set->columns, sizeof *t->usable);
    if (!t->gradient || !t->hessian || !t->usable)
        return err_set(err, ST_NO_MEMORY, "%zu gradients", count);
    t->usable_count = lgbm_dataset_usable(t->data[TRAIN], t->usable);
    st = lgbm_grower_create(&t->grower, t->data[TRAIN], t->params, t->threads, err);
    if (st == ST_OK)
        st = lgbm_sampler_create(&t->sampler, t->params, set, t->outputs, t->usable, err);
    if (st == ST_OK) st = lgbm_model_create(&t->model, t->params, set, t->data[TRAIN], err);
    return st;
}

static void clean_up(struct training *t) {
    lgbm_sampler_destroy(t->sampler);
    lgbm_grower_destroy(t->grower);
    for (int which = SETS - 1; which >= 0; which--) {
        lgbm_dataset_destroy(t->data[which]);
        lgbm_loss_destroy(t->loss[which]);
        free(t->margin[which]);
    }
    free(t->gradient);
    free(t->hessian);
    free(t->usable);
    workers_destroy(t->threads);
    tree_model_destroy(t->model);
}

/* ---- one tree ---- */

static void add_constant(struct training *t, uint32_t output, double value) {
    for (int which = 0; which < SETS; which++)
        for (size_t i = 0; t->set[which] && i < t->set[which]->rows; i++)
            t->margin[which][i * t->outputs + output] += value;
}

/* The start an output's first tree carries; 0 without one. */
static double start_of(const struct training *t, uint32_t output) {
    double start = lgbm_loss_start(t->loss[TRAIN], output);
    return t->set[TRAIN]->init_margin || !(fabs(start) > start_min) ? 0.0 : start;
}

/* Margins move by the tree's leaves. Rows the grower has in its leaves need no walk. */
static void move_margins(struct training *t, const struct tree *tree, uint32_t output,
                         bool all_rows) {
    double *margin = t->margin[TRAIN] + output;
    if (!all_rows) {
        lgbm_add_tree(margin, t->outputs, tree, t->data[TRAIN], t->threads);
    } else {
        for (uint32_t leaf = 0; leaf <= tree->split_count; leaf++) {
            const uint32_t *rows;
            uint32_t count;
            lgbm_grown_leaf(t->grower, leaf, &rows, &count);
            for (uint32_t i = 0; i < count; i++)
                margin[(size_t)rows[i] * t->outputs] += tree->leaf_value[leaf];
        }
    }
    if (t->set[VALID])
        lgbm_add_tree(t->margin[VALID] + output, t->outputs, tree, t->data[VALID], t->threads);
}

static void shrink(struct tree *tree, double factor) {
    for (uint32_t i = 0; i < tree->split_count; i++)
        tree->split_value[i] = flushed(tree->split_value[i] * factor);
    for (uint32_t i = 0; i <= tree->split_count; i++)
        tree->leaf_value[i] = flushed(tree->leaf_value[i] * factor);
    tree->shrinkage = factor;
}

/* LightGBM folds the start into the first tree, which then counts as not shrunken. */
static void add_start(struct tree *tree, double start) {
    for (uint32_t i = 0; i < tree->split_count; i++) tree->split_value[i] += start;
    for (uint32_t i = 0; i <= tree->split_count; i++) tree->leaf_value[i] += start;
    tree->shrinkage = 1;
}

static void finish_tree(struct training *t, struct tree *tree, uint32_t output, bool first,
                        bool all_rows) {
    for (uint32_t leaf = 0; leaf <= tree->split_count; leaf++) {
        const uint32_t *rows;
        uint32_t count;
        double value;
        lgbm_grown_leaf(t->grower, leaf, &rows, &count);
        if (lgbm_loss_renew(t->loss[TRAIN], &value, t->margin[TRAIN], output, rows, count))
            tree->leaf_value[leaf] = value;
    }
    shrink(tree, t->params->learning_rate);
    move_margins(t, tree, output, all_rows);
    if (first && t->params->boost_from_average && start_of(t, output) != 0)
        add_start(tree, start_of(t, output));
}

/* A tree that does not split: in the first round it is the start, then nothing. */
static void finish_constant(struct training *t, struct tree *tree, uint32_t output, bool first) {
    double start = first ? start_of(t, output) : 0.0;
    /* Without boost_from_average the margins have not had it. */
    if (first && !t->params->boost_from_average && start != 0) add_constant(t, output, start);
    tree->leaf_value[0] = start;
    tree->shrinkage = 1;
}

static enum status grow_output(struct training *t, uint32_t iteration, uint32_t output,
                               const uint32_t *rows, uint32_t row_count, bool *split,
                               struct err *err) {
    uint64_t number = (uint64_t)iteration * t->outputs + output;
    size_t at = (size_t)output * t->set[TRAIN]->rows;
    struct rng extra = rng_init(lgbm_params_seed(t->params, LGBM_SEED_EXTRA));
    extra = rng_split(&extra, number);
    struct tree *tree = NULL;
    if (t->usable_count > 0 && lgbm_loss_trainable(t->loss[TRAIN], output)) {
        const struct lgbm_tree_input in = {.gradient = t->gradient + at,
                                           .hessian = t->hessian + at,
                                           .rows = rows,
                                           .row_count = row_count,
                                           .columns = lgbm_sampler_columns(t->sampler, number),
                                           .constant_hessian =
                                               lgbm_loss_constant_hessian(t->loss[TRAIN]) &&
                                               !lgbm_sampler_scales(t->sampler, iteration),
                                           .seed = rng_u64(&extra)};
        enum status st = lgbm_grow(t->grower, &tree, t->model, &in, err);
        if (st != ST_OK) return st;
    } else {
        tree = tree_model_add(t->model, &(struct tree_shape){0});
        if (!tree) return err_set(err, ST_NO_MEMORY, "tree");
    }
    tree->class_index = output;
    *split = tree->split_count > 0;
    if (*split)
        finish_tree(t, tree, output, iteration == 0, rows == NULL);
    else
        finish_constant(t, tree, output, iteration == 0);
    return ST_OK;
}

/* ---- rounds ---- */

static enum status grow_round(struct training *t, uint32_t iteration, bool *any_split,
                              struct err *err) {
    uint32_t row_count;
    *any_split = false;
    lgbm_loss_gradients(t->loss[TRAIN], t->margin[TRAIN], t->gradient, t->hessian);
    const uint32_t *rows =
        lgbm_sampler_rows(t->sampler, iteration, t->gradient, t->hessian, &row_count);
    for (uint32_t k = 0; k < t->outputs; k++) {
        bool split = false;
        enum status st = grow_output(t, iteration, k, rows, row_count, &split, err);
        if (st != ST_OK) return err_wrap(err, st, "round %u", iteration + 1);
        *any_split |= split;
    }
    return ST_OK;
}

struct stopper {
    double best;
    uint32_t best_round; /* 1 is the first */
};

/* Whether to go on after this round. */
static bool improve(struct stopper *s, const struct training *t, uint32_t round, double metric) {
    bool more;
    lgbm_metric_text(t->params, &more);
    double score = more ? metric : -metric;
    if (s->best_round == 0 || score - s->best > t->params->early_stopping_min_delta) {
        s->best = score;
        s->best_round = round;
    }
    return round - s->best_round < t->params->early_stopping_round;
}

static enum status boost(struct training *t, struct err *err) {
    const struct lgbm_params *p = t->params;
    struct stopper stopper = {0};
    bool stops = p->early_stopping_round > 0;
    for (uint32_t k = 0; k < t->outputs; k++)
        if (p->boost_from_average && start_of(t, k) != 0) add_constant(t, k, start_of(t, k));
    for (uint32_t round = 1; round <= p->num_iterations; round++) {
        bool any_split;
        enum status st = grow_round(t, round - 1, &any_split, err);
        if (st != ST_OK) return st;
        /* Nothing splits: later rounds would see the same gradients. The first round stays, it is the start. */
        if (!any_split && round > 1) {
            tree_model_truncate(t->model, (round - 1) * t->outputs);
            break;
        }
        double train_metric = NAN, valid_metric = NAN;
        if (t->progress) train_metric = lgbm_loss_metric(t->loss[TRAIN], t->margin[TRAIN]);
        if (t->set[VALID] && (t->progress || stops))
            valid_metric = lgbm_loss_metric(t->loss[VALID], t->margin[VALID]);
        if (t->progress &&
            !t->progress(t->context, round, p->num_iterations, train_metric, valid_metric))
            return err_set(err, ST_INTERRUPTED, "stopped after round %u", round);
        if (stops && !improve(&stopper, t, round, valid_metric)) break;
        if (!any_split) break;
    }
    if (stopper.best_round > 0) tree_model_truncate(t->model, stopper.best_round * t->outputs);
    return ST_OK;
}

enum status lgbm_train(struct tree_model **out, const struct lgbm_params *params,
                       const struct train_set *train, const struct train_set *valid,
                       train_progress_fn progress, void *context, struct err *err) {
    ASSERT(out && params && train);
    enum status st = lgbm_params_check(params, valid != NULL, err);
    if (st == ST_OK) st = check_sets(params, train, valid, err);
    if (st != ST_OK) return st;
    struct training t = {
        .params = params, .set = {train, valid}, .progress = progress, .context = context};
    st = prepare(&t, err);
    if (st == ST_OK) st = boost(&t, err);
    if (st == ST_OK) {
        *out = t.model;
        t.model = NULL;
    }
    clean_up(&t);
    return st;
}
