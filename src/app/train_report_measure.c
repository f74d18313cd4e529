/* Probabilities against what came true, over the test part. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/train_report_internal.h"
#include "base/assert.h"
#include "brain/promotion/validator.h"

/* As training's log-loss takes a probability of 0. */
static const double probability_min = 1e-15;
/* What "repeats its report" allows: rounding of sums in another order. */
static const double repeat_tolerance = 1e-9;

/* ---- curves ---- */

void train_curve_add(struct train_curve *c, bool is_network, double at, double train,
                     double valid) {
    /* A network tells of each step; its validation loss changes with a look. */
    bool same_look = is_network && c->count && c->valid[c->count - 1] == valid;
    if (c->failed || !isfinite(valid) || same_look) return;
    if (c->count == c->capacity) {
        size_t capacity = 2 * c->capacity + 64;
        double **arrays[] = {&c->at, &c->train, &c->valid};
        for (int i = 0; i < 3; i++) {
            double *grown = realloc(*arrays[i], capacity * sizeof *grown);
            if (grown) *arrays[i] = grown;
            c->failed |= !grown;
        }
        if (c->failed) return;
        c->capacity = capacity;
    }
    c->at[c->count] = at;
    c->train[c->count] = train;
    c->valid[c->count++] = valid;
}

/* ---- names ---- */

const char *train_entry_name(uint32_t entry) {
    static const char *const names[] = {"pool_served", "pool_all", "momentum", "buy_and_hold"};
    ASSERT(entry < TRAIN_ENTRIES);
    return entry < MODEL_COUNT ? model_kind_text((enum model_kind)entry)
                               : names[entry - MODEL_COUNT];
}

const char *train_entry_title(uint32_t entry) {
    static const char *const titles[] = {
        "XGBoost",     "LightGBM",       "N-HiTS",      "PatchTST", "pool of those with skill",
        "pool of all", "momentum, 24 h", "buy and hold"};
    static_assert(sizeof titles / sizeof *titles == TRAIN_ENTRIES, "one title each");
    ASSERT(entry < TRAIN_ENTRIES);
    return titles[entry];
}

bool train_entry_answers(const struct train_report *r, uint32_t entry) {
    if (entry < MODEL_COUNT) return r->models[entry].model != NULL;
    if (entry == TRAIN_POOL_SERVED) return r->trained > 1 && r->voters > 0;
    return entry == TRAIN_POOL_ALL && r->trained > 1 && r->voters < r->trained;
}

/* ---- answers ---- */

static bool vote_tells(const struct model_vote *v) {
    return (v->state == VOTE_PRESENT || v->state == VOTE_NO_SKILL) &&
           ensemble_answer_is_usable(v->p, v->move);
}

static bool pool_answer(struct train_answer *out, const struct model_vote *votes, bool all) {
    struct model_vote asked[MODEL_COUNT];
    struct ensemble_signal signal;
    struct ensemble_config config = ensemble_config_defaults();
    memcpy(asked, votes, sizeof asked);
    for (int k = 0; all && k < MODEL_COUNT; k++)
        if (asked[k].state == VOTE_NO_SKILL) asked[k].state = VOTE_PRESENT;
    ensemble_step(&signal, &config, asked);
    if (signal.voters == 0) return false;
    memcpy(out->p, signal.p, sizeof out->p);
    out->expected = ensemble_expected_return(&signal);
    return out->has_p = true;
}

/* Beyond any cost: the rule takes the side. */
static const double certain = 1;

bool train_answer(struct train_answer *out, const struct train_report *r,
                  const struct train_rows *rows, uint32_t entry, size_t row) {
    const struct model_vote *votes = rows->votes + row * MODEL_COUNT;
    *out = (struct train_answer){.expected = 0};
    if (entry == TRAIN_MOMENTUM) {
        out->expected = certain * rows->rows[row].momentum;
        return true;
    }
    if (entry == TRAIN_HOLD || !train_entry_answers(r, entry)) return false;
    if (entry >= MODEL_COUNT) return pool_answer(out, votes, entry == TRAIN_POOL_ALL);
    const struct model_vote *v = &votes[entry];
    if (!vote_tells(v)) return false;
    memcpy(out->p, v->p, sizeof out->p);
    out->expected = v->move * (v->p[LABEL_BUY] - v->p[LABEL_SELL]);
    return out->has_p = true;
}

/* ---- scores ---- */

/* Ties go to the first label, as in training's own figures. */
static uint32_t best_of(const double *p) {
    uint32_t best = 0;
    for (uint32_t l = 1; l < LABEL_COUNT; l++)
        if (p[l] > p[best]) best = l;
    return best;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* confidences (s->rows) are sorted. */
static void confidences_measure(struct train_scores *s, double *confidences) {
    static const double least = 1.0 / LABEL_COUNT;
    size_t n = s->rows;
    double squares = 0;
    qsort(confidences, n, sizeof *confidences, ascending);
    for (size_t i = 0; i < n; i++) {
        double share = (confidences[i] - least) / (1 - least) * TRAIN_BINS;
        size_t bin = share > 0 ? (size_t)share : 0;
        s->histogram[bin < TRAIN_BINS ? bin : TRAIN_BINS - 1]++;
        s->distinct += i == 0 || confidences[i] != confidences[i - 1];
        s->p_mean += confidences[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++)
        squares += (confidences[i] - s->p_mean) * (confidences[i] - s->p_mean);
    s->p_min = confidences[0];
    s->p_max = confidences[n - 1];
    s->p_deviation = sqrt(squares / (double)n);
}

static void scores_add(struct train_scores *s, double *confidences, const double *p,
                       uint32_t label) {
    uint32_t best = best_of(p);
    s->logloss += -log(fmax(p[label], probability_min));
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        double gap = p[l] - (l == label);
        s->brier += gap * gap;
        reliability_push(&s->label[l], p[l], l == label);
    }
    reliability_push(&s->best, p[best], best == label);
    s->accuracy += best == label;
    confidences[s->rows++] = p[best];
}

enum status train_scores_measure(struct train_scores *out, const struct train_report *r,
                                 uint32_t entry, int64_t from_ns, int64_t to_ns, struct err *err) {
    const struct train_rows *rows = &r->rows;
    double *confidences = malloc((rows->count + 1) * sizeof *confidences);
    *out = (struct train_scores){0};
    if (!confidences) return err_set(err, ST_NO_MEMORY, "%zu rows", rows->count);
    for (size_t i = 0; i < rows->count; i++) {
        const struct train_row *row = &rows->rows[i];
        struct train_answer answer;
        bool counts = row->is_usable && row->label >= 0 && row->decision_ns >= from_ns &&
                      row->decision_ns < to_ns;
        if (counts && train_answer(&answer, r, rows, entry, i) && answer.has_p)
            scores_add(out, confidences, answer.p, (uint32_t)row->label);
    }
    if (out->rows) {
        out->logloss /= (double)out->rows;
        out->brier /= (double)out->rows;
        out->accuracy /= (double)out->rows;
        confidences_measure(out, confidences);
    }
    free(confidences);
    return ST_OK;
}

/* ---- all of it ---- */

/* Where training kept every row, what is served must score as its own report says. */
static enum status check_repeats(const struct train_report *r, int k, struct err *err) {
    const struct learn_report *l = served_model_report(r->models[k].model);
    const struct train_scores *s = &r->models[k].scores;
    const char *name = model_kind_text((enum model_kind)k);
    if (s->rows < l->rows_test)
        return err_set(err, ST_CORRUPT, "%s: %zu test rows in its report, %llu found again", name,
                       l->rows_test, (unsigned long long)s->rows);
    if (s->rows == l->rows_test && !(fabs(s->logloss - l->logloss_test) <= repeat_tolerance))
        return err_set(err, ST_CORRUPT,
                       "%s: log-loss %.12g in its report, %.12g of what it would serve", name,
                       l->logloss_test, s->logloss);
    return ST_OK;
}

/* Windows: of each model for itself, the union to walk, what all share. */
static enum status windows_find(struct train_report *r, int64_t *first_ns, int64_t *last_ns,
                                struct err *err) {
    *first_ns = r->to_ns = INT64_MAX;
    *last_ns = r->from_ns = INT64_MIN;
    r->trained = r->voters = 0;
    for (int k = 0; k < MODEL_COUNT; k++) {
        if (!r->models[k].model) continue;
        const struct learn_report *l = served_model_report(r->models[k].model);
        r->trained++;
        r->voters += l->has_skill && !l->shuffled;
        if (l->test_from_ns < *first_ns) *first_ns = l->test_from_ns;
        if (l->test_to_ns > *last_ns) *last_ns = l->test_to_ns;
        if (l->test_from_ns > r->from_ns) r->from_ns = l->test_from_ns;
        if (l->test_to_ns < r->to_ns) r->to_ns = l->test_to_ns;
    }
    if (r->trained == 0) return err_set(err, ST_RANGE, "no model to measure");
    return r->from_ns < r->to_ns ? ST_OK : err_set(err, ST_RANGE, "the test parts do not overlap");
}

static enum status scores_of_all(struct train_report *r, struct err *err) {
    enum status st = ST_OK;
    for (int k = 0; k < MODEL_COUNT && st == ST_OK; k++) {
        if (!r->models[k].model) continue;
        const struct learn_report *l = served_model_report(r->models[k].model);
        st = train_scores_measure(&r->models[k].scores, r, (uint32_t)k, l->test_from_ns,
                                  l->test_to_ns, err);
        if (st == ST_OK) st = check_repeats(r, k, err);
    }
    for (uint32_t e = 0; e < TRAIN_ENTRIES && st == ST_OK; e++)
        st = train_scores_measure(&r->common[e], r, e, r->from_ns, r->to_ns, err);
    return st;
}

enum status train_report_measure(struct train_report *r, learn_progress_fn progress, void *context,
                                 struct err *err) {
    int64_t first_ns, last_ns;
    const struct label_spec *labels = &r->config->labels;
    enum status st = windows_find(r, &first_ns, &last_ns, err);
    r->cost_side = labels->cost_round_trip / 2;
    r->horizon_bars = labels->horizon_bars;
    if (st == ST_OK) st = train_rows_build(&r->rows, r, first_ns, last_ns, progress, context, err);
    if (st == ST_OK) st = scores_of_all(r, err);
    for (uint32_t e = 0; e < TRAIN_ENTRIES && st == ST_OK; e++) {
        st = train_trading_measure(r, e, err);
        if (st == ST_OK) st = train_report_progress(progress, context, e + 1, TRAIN_ENTRIES, err);
    }
    if (st == ST_OK) st = train_importance_measure(r, progress, context, err);
    r->is_measured = st == ST_OK;
    return st;
}

void train_report_free(struct train_report *r) {
    for (int k = 0; k < MODEL_COUNT; k++) {
        struct train_curve *c = &r->models[k].curve;
        served_model_destroy(r->models[k].model);
        free(c->at);
        free(c->train);
        free(c->valid);
    }
    for (int e = 0; e < TRAIN_ENTRIES; e++) {
        free(r->trading[e].equity);
        free(r->trading[e].low);
        free(r->trading[e].middle);
        free(r->trading[e].high);
    }
    free(r->seconds);
    train_rows_free(&r->rows);
}
