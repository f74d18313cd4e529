/* The formula of the system this program follows, fed with what each model itself forecast. */
#include <math.h>

#include "brain/governance/governance_internal.h"

static const double weight_min = 0.01, score_min = 0.01, old_part = 0.7, new_part = 0.3;
static const double mape_min = 1e-8;

void governance_classic_step(double w[MODEL_COUNT], const double mape[MODEL_COUNT],
                             const double pnl[MODEL_COUNT], const uint64_t samples[MODEL_COUNT],
                             double score_max) {
    double sum = 0, kept = 0, moved = 0, next[MODEL_COUNT];
    for (uint32_t k = 0; k < MODEL_COUNT; k++) sum += w[k];
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        if (samples[k] < 2) {
            kept += w[k] / sum;
            continue;
        }
        double score = fmin(fmax(score_min, pnl[k] / (mape[k] + mape_min)), score_max);
        next[k] = fmax(weight_min, new_part * score + old_part * w[k]);
        moved += next[k];
    }
    if (!(moved > 0)) return;
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        w[k] = samples[k] < 2 ? w[k] / sum : next[k] / moved * (1 - kept);
}

/* |forecast price - price| / price: both start from the price of the decision, which cancels. */
static double mape_of(const struct governance_outcome *o, uint32_t model) {
    const double *p = o->p[model];
    double expected = o->move[model] * (p[LABEL_BUY] - p[LABEL_SELL]);
    return fmin(fabs(expected - o->realised_return) / (1 + o->realised_return), 1);
}

/* What one unit on the side the model itself preferred would have returned. */
static double pnl_of(const struct governance_outcome *o, uint32_t model, double cost) {
    enum label side = ensemble_best_label(o->p[model]);
    if (side == LABEL_HOLD) return 0;
    return (side == LABEL_BUY ? 1 : -1) * o->realised_return - cost;
}

void governance_classic_note(struct governance *g, const struct governance_outcome *outcomes,
                             size_t n) {
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        double mape = 0, pnl = 0, count = 0;
        for (size_t i = 0; i < n; i++) {
            if (!(governance_awake(&outcomes[i]) >> k & 1)) continue;
            mape += mape_of(&outcomes[i], k);
            pnl += pnl_of(&outcomes[i], k, g->config.classic_cost);
            count += 1;
        }
        if (!(count > 0)) continue;
        struct governance_classic *c = &g->classic[k];
        c->mape[c->samples % GOVERNANCE_CLASSIC_WINDOW] = mape / count;
        c->pnl[c->samples % GOVERNANCE_CLASSIC_WINDOW] = pnl / count;
        c->samples++;
    }
}

static double mean_of(const double *values, uint64_t samples) {
    uint64_t n = samples < GOVERNANCE_CLASSIC_WINDOW ? samples : GOVERNANCE_CLASSIC_WINDOW;
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) sum += values[i];
    return n ? sum / (double)n : 0;
}

double governance_classic_mape(const struct governance *g, enum model_kind model) {
    return mean_of(g->classic[model].mape, g->classic[model].samples);
}

double governance_classic_pnl(const struct governance *g, enum model_kind model) {
    return mean_of(g->classic[model].pnl, g->classic[model].samples);
}
