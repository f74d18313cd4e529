/* LambdaRank: gradients that pull a query's documents towards the order that would gain the most NDCG.
 *
 * Source   Burges, From RankNet to LambdaRank to LambdaMART (2010), section 4; the truncation level and the
 *          normalisation are those of LightGBM's parameters lambdarank_truncation_level and lambdarank_norm. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ml/lightgbm/loss_internal.h"
#include "num/elementary.h"
#include "num/exp_n.h"

enum { QUERIES_PER_PART = 64 };

static double log2_of(double x) {
    return num_log(x) / 0.6931471805599453;
}

/* Best DCG of a group's labels within the first `level` places. */
static double ideal_dcg(const struct lgbm_loss *l, const double *labels, size_t count,
                        size_t level) {
    size_t of_grade[LGBM_LABEL_GAIN_MAX] = {0}, place = 0;
    for (size_t i = 0; i < count; i++) of_grade[(size_t)labels[i]]++;
    if (level > count) level = count;
    double sum = 0;
    /* Best first: by gain, which need not rise with the grade. */
    while (place < level) {
        size_t best = LGBM_LABEL_GAIN_MAX;
        for (size_t g = 0; g < LGBM_LABEL_GAIN_MAX; g++)
            if (of_grade[g] > 0 && (best == LGBM_LABEL_GAIN_MAX ||
                                    l->params->label_gain[g] > l->params->label_gain[best]))
                best = g;
        for (; of_grade[best] > 0 && place < level; of_grade[best]--)
            sum += l->params->label_gain[best] * l->discount[place++];
    }
    return sum;
}

enum status lgbm_rank_create(struct lgbm_loss *l, const struct train_set *set, struct err *err) {
    size_t longest = 0, row = 0;
    if (!set->group_rows || set->groups == 0)
        return err_set(err, ST_INVALID, "objective=lambdarank needs the rows of each query");
    l->groups = set->groups;
    for (size_t g = 0; g < set->groups; g++) {
        row += set->group_rows[g];
        if (set->group_rows[g] == 0) return err_set(err, ST_INVALID, "query %zu has no rows", g);
        if (set->group_rows[g] > longest) longest = set->group_rows[g];
    }
    if (row != set->rows)
        return err_set(err, ST_INVALID, "the queries have %zu rows, the set has %zu", row,
                       set->rows);
    l->group_begin = malloc((set->groups + 1) * sizeof *l->group_begin);
    l->ideal = malloc(set->groups * sizeof *l->ideal);
    l->discount = malloc(longest * sizeof *l->discount);
    l->ranked = malloc(set->rows * sizeof *l->ranked);
    l->pair = malloc(set->rows * sizeof *l->pair);
    l->lambda = malloc(set->rows * sizeof *l->lambda);
    l->curvature = malloc(set->rows * sizeof *l->curvature);
    if (!l->group_begin || !l->ideal || !l->discount || !l->ranked || !l->pair || !l->lambda ||
        !l->curvature)
        return err_set(err, ST_NO_MEMORY, "ranking of %zu rows", set->rows);
    for (size_t i = 0; i < longest; i++) l->discount[i] = 1.0 / log2_of(2.0 + (double)i);
    row = 0;
    for (size_t g = 0; g < set->groups; g++) {
        l->group_begin[g] = row;
        double best = ideal_dcg(l, set->labels + row, set->group_rows[g],
                                l->params->lambdarank_truncation_level);
        l->ideal[g] = best > 0 ? 1 / best : 0;
        row += set->group_rows[g];
    }
    l->group_begin[set->groups] = row;
    return ST_OK;
}

static int by_margin(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->margin < y->margin || x->margin > y->margin) return x->margin > y->margin ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Best margin first, earlier row first where equal. */
static const struct ranked *rank_group(struct lgbm_loss *l, size_t group, const double *margin) {
    size_t begin = l->group_begin[group], count = l->group_begin[group + 1] - begin;
    struct ranked *ranked = l->ranked + begin;
    for (size_t i = 0; i < count; i++) ranked[i] = (struct ranked){margin[begin + i], (uint32_t)i};
    qsort(ranked, count, sizeof *ranked, by_margin);
    return ranked;
}

/* Pairs of the document at place i with all below it. Returns the sum of |lambda| they add. */
static double pairs_of(struct lgbm_loss *l, size_t group, const struct ranked *ranked, size_t i,
                       bool norm) {
    const struct lgbm_params *p = l->params;
    size_t begin = l->group_begin[group], count = l->group_begin[group + 1] - begin;
    const double *labels = l->labels + begin;
    double *pair = l->pair + begin, *lambda = l->lambda + begin, *curvature = l->curvature + begin;
    double label = labels[ranked[i].row], sum = 0;
    /* rho = 1 / (1 + e^(sigmoid (better - worse))) */
    for (size_t j = i + 1; j < count; j++) {
        double lead = ranked[i].margin - ranked[j].margin;
        pair[j] = p->sigmoid * (label > labels[ranked[j].row] ? -lead : lead);
    }
    if (i + 1 < count) num_logistic_n(pair + i + 1, pair + i + 1, count - i - 1);
    for (size_t j = i + 1; j < count; j++) {
        double other = labels[ranked[j].row], rho = pair[j];
        if (!(label < other || label > other)) continue;
        double gap = p->label_gain[(size_t)label] - p->label_gain[(size_t)other];
        double delta =
            (label > other ? gap : -gap) * (l->discount[i] - l->discount[j]) * l->ideal[group];
        if (norm) delta /= 0.01 + fabs(ranked[i].margin - ranked[j].margin);
        double force = p->sigmoid * delta * rho;
        double stiffness = p->sigmoid * p->sigmoid * delta * rho * (1 - rho);
        size_t better = label > other ? ranked[i].row : ranked[j].row;
        size_t worse = label > other ? ranked[j].row : ranked[i].row;
        lambda[better] -= force;
        lambda[worse] += force;
        curvature[better] += stiffness;
        curvature[worse] += stiffness;
        sum += 2 * force;
    }
    return sum;
}

static void group_gradients(struct lgbm_loss *l, size_t group) {
    const struct lgbm_params *p = l->params;
    size_t begin = l->group_begin[group], count = l->group_begin[group + 1] - begin;
    memset(l->lambda + begin, 0, count * sizeof *l->lambda);
    memset(l->curvature + begin, 0, count * sizeof *l->curvature);
    double scale = 1;
    if (l->ideal[group] > 0) {
        const struct ranked *ranked = rank_group(l, group, l->margin);
        bool norm = p->lambdarank_norm && ranked[0].margin > ranked[count - 1].margin;
        double sum = 0;
        for (size_t i = 0; i + 1 < count && i < p->lambdarank_truncation_level; i++)
            sum += pairs_of(l, group, ranked, i, norm);
        if (p->lambdarank_norm && sum > 0) scale = log2_of(1 + sum) / sum;
    }
    for (size_t i = begin; i < begin + count; i++) {
        double weight = l->weights ? l->weights[i] : 1;
        l->gradient[i] = (float)(l->lambda[i] * scale * weight);
        l->hessian[i] = (float)(l->curvature[i] * scale * weight);
    }
}

static void gradients_part(void *context, uint32_t part) {
    struct lgbm_loss *l = context;
    size_t first = (size_t)part * QUERIES_PER_PART, last = first + QUERIES_PER_PART;
    for (size_t g = first; g < last && g < l->groups; g++) group_gradients(l, g);
}

void lgbm_rank_gradients(struct lgbm_loss *l) {
    lgbm_loss_run(l, gradients_part, (l->groups + QUERIES_PER_PART - 1) / QUERIES_PER_PART);
}

double lgbm_rank_ndcg(struct lgbm_loss *l, const double *margin) {
    uint32_t level = 0;
    for (uint32_t i = 0; i < l->params->eval_at_count; i++)
        if (l->params->eval_at[i] > level) level = l->params->eval_at[i];
    double sum = 0, total = 0;
    for (size_t g = 0; g < l->groups; g++) {
        size_t begin = l->group_begin[g], count = l->group_begin[g + 1] - begin;
        const double *labels = l->labels + begin;
        double weight = 1, ideal = ideal_dcg(l, labels, count, level), ndcg = 1;
        if (l->weights) {
            weight = 0;
            for (size_t i = 0; i < count; i++) weight += l->weights[begin + i] / (double)count;
        }
        if (ideal > 0) {
            const struct ranked *ranked = rank_group(l, g, margin);
            ndcg = 0;
            for (size_t i = 0; i < count && i < level; i++)
                ndcg += l->params->label_gain[(size_t)labels[ranked[i].row]] * l->discount[i];
            ndcg /= ideal;
        }
        sum += weight * ndcg;
        total += weight;
    }
    return sum / total;
}
