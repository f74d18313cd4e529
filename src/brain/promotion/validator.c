#include "brain/promotion/validator.h"

#include <math.h>
#include <string.h>

/* 0.0194 against 0.97 * 0.0200 must be a tie whichever way the product was rounded. */
static const double tie = 1e-12;

const char *promotion_reason_text(enum promotion_reason reason) {
    static const char *const texts[PROMOTION_REASON_COUNT] = {
#define TEXT(name, text) text,
        PROMOTION_REASON_TABLE(TEXT)
#undef TEXT
    };
    return (unsigned)reason < PROMOTION_REASON_COUNT ? texts[reason] : "?";
}

const char *promotion_outcome_text(enum promotion_outcome outcome) {
    static const char *const texts[] = {"undecided", "accept", "reject"};
    return (unsigned)outcome <= PROMOTION_REJECTS ? texts[outcome] : "?";
}

struct promotion_config promotion_config_defaults(void) {
    const int64_t hour_ns = INT64_C(3600000000000);
    return (struct promotion_config){.improvement = 0.97,
                                     .alpha = 0.001,
                                     .watch_length = 10000,
                                     .pairs_min = 200,
                                     .bars_min = 200,
                                     .samples_min = 30,
                                     .shadow_min = 12,
                                     .shadow_ns_max = 30 * 24 * hour_ns,
                                     .horizon_ns = 12 * hour_ns,
                                     .horizon_bars = 12,
                                     .cost_side = 0.0007};
}

/* ---- the measures ---- */

bool promotion_error_add(struct promotion_error *e, double forecast, double outcome) {
    if (!promotion_is_return(forecast) || !promotion_is_return(outcome)) return false;
    e->error += fabs(outcome - forecast);
    e->outcome += fabs(outcome);
    e->count++;
    return true;
}

double promotion_error_mape(const struct promotion_error *e) {
    return e->outcome > 0 ? e->error / e->outcome : NAN;
}

void promotion_returns_add(struct promotion_returns *r, double value) {
    double delta = value - r->mean;
    r->count++;
    r->mean += delta / (double)r->count;
    r->squares += delta * (value - r->mean);
}

double promotion_returns_sharpe(const struct promotion_returns *r) {
    if (r->count < 2) return NAN;
    double deviation = sqrt(r->squares / (double)(r->count - 1));
    return r->mean == 0 && deviation == 0 ? 0 : r->mean / deviation;
}

double promotion_position_step(struct promotion_position *p, const struct promotion_config *config,
                               double forecast, double bar_return) {
    int32_t before = p->side;
    if (p->bars_left > 0) p->bars_left--;
    if (promotion_is_return(forecast) && fabs(forecast) > 2 * config->cost_side) {
        p->side = forecast > 0 ? 1 : -1;
        p->bars_left = config->horizon_bars;
    } else if (p->bars_left == 0) {
        p->side = 0;
    }
    double earned = promotion_is_return(bar_return) ? (double)p->side * bar_return : 0;
    return earned - config->cost_side * fabs((double)(p->side - before));
}

/* ---- trial and verdict ---- */

void promotion_trial_init(struct promotion_trial *t) {
    memset(t, 0, sizeof *t);
    promotion_evidence_init(&t->evidence);
}

void promotion_trial_forecast(struct promotion_trial *t, const struct promotion_config *config,
                              int64_t decision_ns, double forecast_old, double forecast_new,
                              double outcome) {
    if (promotion_is_return(forecast_old) && promotion_is_return(forecast_new)) {
        promotion_error_add(&t->error_old, forecast_old, outcome);
        promotion_error_add(&t->error_new, forecast_new, outcome);
    }
    promotion_evidence_add(&t->evidence, decision_ns, config->horizon_ns, forecast_old,
                           forecast_new, outcome);
}

void promotion_trial_bar(struct promotion_trial *t, double net_old, double net_new) {
    if (!promotion_is_return(net_old) || !promotion_is_return(net_new)) return;
    promotion_returns_add(&t->returns_old, net_old);
    promotion_returns_add(&t->returns_new, net_new);
}

enum promotion_reason promotion_rule(double mape_old, double sharpe_old, double mape_new,
                                     double sharpe_new, double improvement) {
    bool finite =
        isfinite(mape_old) && isfinite(sharpe_old) && isfinite(mape_new) && isfinite(sharpe_new);
    if (!finite) return PROMOTION_NOT_FINITE;
    if (!(mape_new < improvement * mape_old * (1 - tie))) return PROMOTION_ERROR_NOT_LOWER;
    if (!(mape_new < 1 - tie)) return PROMOTION_PERSISTENCE;
    if (!(sharpe_new > sharpe_old)) return PROMOTION_SHARPE_NOT_HIGHER;
    return PROMOTION_PASS;
}

static void measure(struct promotion_verdict *out, const struct promotion_trial *t) {
    *out = (struct promotion_verdict){.mape_old = promotion_error_mape(&t->error_old),
                                      .mape_new = promotion_error_mape(&t->error_new),
                                      .sharpe_old = promotion_returns_sharpe(&t->returns_old),
                                      .sharpe_new = promotion_returns_sharpe(&t->returns_new),
                                      .wealth = promotion_evidence_better(&t->evidence),
                                      .p = promotion_evidence_p(&t->evidence),
                                      .pairs = t->error_new.count,
                                      .bars = t->returns_new.count,
                                      .samples = t->evidence.pairs.observations};
}

static void conclude(struct promotion_verdict *out, enum promotion_outcome outcome,
                     enum promotion_reason reason) {
    out->outcome = (uint32_t)outcome;
    out->reason = (uint32_t)reason;
}

/* What is missing to apply the rule, or PASS. */
static enum promotion_reason missing(const struct promotion_verdict *v,
                                     const struct promotion_config *config) {
    if (v->pairs < config->pairs_min || v->pairs == 0) return PROMOTION_PAIRS_MISSING;
    if (v->bars < config->bars_min || v->bars < 2) return PROMOTION_BARS_MISSING;
    if (isnan(v->mape_new)) return PROMOTION_NOTHING_MOVED;
    return PROMOTION_PASS;
}

static enum promotion_reason apply_rule(const struct promotion_verdict *v,
                                        const struct promotion_config *config) {
    return promotion_rule(v->mape_old, v->sharpe_old, v->mape_new, v->sharpe_new,
                          config->improvement);
}

void promotion_screen(struct promotion_verdict *out, const struct promotion_trial *t,
                      const struct promotion_config *config) {
    measure(out, t);
    enum promotion_reason reason = missing(out, config);
    if (reason == PROMOTION_PASS) {
        reason = apply_rule(out, config);
        bool decided = reason != PROMOTION_NOT_FINITE;
        enum promotion_outcome no = decided ? PROMOTION_REJECTS : PROMOTION_UNDECIDED;
        conclude(out, reason == PROMOTION_PASS ? PROMOTION_ACCEPTS : no, reason);
    } else {
        conclude(out, PROMOTION_UNDECIDED, reason);
    }
}

void promotion_judge(struct promotion_verdict *out, const struct promotion_trial *t,
                     uint64_t shadow_samples, const struct promotion_config *config) {
    measure(out, t);
    if (t->evidence.worse_max >= 1 / config->alpha) {
        conclude(out, PROMOTION_REJECTS, PROMOTION_WORSE);
        return;
    }
    enum promotion_reason reason = missing(out, config);
    if (reason == PROMOTION_PASS) reason = apply_rule(out, config);
    if (reason == PROMOTION_PASS && out->samples < config->samples_min)
        reason = PROMOTION_SAMPLES_MISSING;
    if (reason == PROMOTION_PASS && shadow_samples < config->shadow_min)
        reason = PROMOTION_SHADOW_SHORT;
    if (reason == PROMOTION_PASS && t->evidence.better_max < 1 / config->alpha)
        reason = PROMOTION_NOT_SIGNIFICANT;
    conclude(out, reason == PROMOTION_PASS ? PROMOTION_ACCEPTS : PROMOTION_UNDECIDED, reason);
}
