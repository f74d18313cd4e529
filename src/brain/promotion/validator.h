/* May a candidate take the seat? The rule, its measures, and the verdict.
 *
 * Error. Forecast and outcome are returns over the horizon, fractions of the price at decision time. A percentage error
 * of the price would be ruled by "tomorrow = today", and one of the return divides by nothing whenever a price stands
 * still. So both sums stand over the same rows:
 *     MAPE = sum |outcome - forecast| / sum |outcome|.
 * Persistence (forecast 0) has exactly 1, whatever the market did; below 1 there is something to it.
 *
 * Sharpe. Of the costed rule below: one net return a bar over all symbols, mean / standard deviation, not annualised.
 * Both models are measured on the same rows and bars, or there is no verdict.
 *
 * The rule     accept iff MAPE_new < improvement * MAPE_old, MAPE_new < 1, and Sharpe_new > Sharpe_old.
 * An empty seat is held by persistence: forecast 0, no trade, MAPE 1, Sharpe 0.
 *
 * Pure; plain structs without pointers.
 * Source  the original's rule (3 %, Sharpe); Hyndman, Koehler, "Another look at measures of forecast accuracy", IJF 22
 *         (2006): relative errors against a naive one.
 * Tests   test_validator.c */
#ifndef BRAIN_PROMOTION_VALIDATOR_H
#define BRAIN_PROMOTION_VALIDATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "brain/promotion/evidence.h"

/* X(reason, text), in order of precedence: the first that applies is the one given. Values are stable. */
#define PROMOTION_REASON_TABLE(X)                                                                  \
    X(PROMOTION_PASS, "pass")                                                                      \
    X(PROMOTION_NO_SKILL, "no_skill")                                                              \
    X(PROMOTION_SAME_MODEL, "same_model")                                                          \
    X(PROMOTION_BUSY, "shadow_busy")                                                               \
    X(PROMOTION_DISPLACED, "displaced_by_newer")                                                   \
    X(PROMOTION_WORSE, "significantly_worse")                                                      \
    X(PROMOTION_PAIRS_MISSING, "too_few_forecasts")                                                \
    X(PROMOTION_BARS_MISSING, "too_few_bars")                                                      \
    X(PROMOTION_NOTHING_MOVED, "nothing_moved")                                                    \
    X(PROMOTION_NOT_FINITE, "measure_not_finite")                                                  \
    X(PROMOTION_ERROR_NOT_LOWER, "error_not_3_percent_lower")                                      \
    X(PROMOTION_PERSISTENCE, "persistence_not_beaten")                                             \
    X(PROMOTION_SHARPE_NOT_HIGHER, "sharpe_not_higher")                                            \
    X(PROMOTION_SAMPLES_MISSING, "too_few_observations")                                           \
    X(PROMOTION_SHADOW_SHORT, "too_short_in_shadow")                                               \
    X(PROMOTION_NOT_SIGNIFICANT, "not_significant_yet")                                            \
    X(PROMOTION_EXPIRED, "never_shown_better")                                                     \
    X(PROMOTION_WORSE_IN_SERVICE, "worse_in_service")

enum promotion_reason {
#define PROMOTION_REASON_ENUM(name, text) name,
    PROMOTION_REASON_TABLE(PROMOTION_REASON_ENUM)
#undef PROMOTION_REASON_ENUM
        PROMOTION_REASON_COUNT
};
const char *promotion_reason_text(enum promotion_reason reason);

enum promotion_outcome { PROMOTION_UNDECIDED = 0, PROMOTION_ACCEPTS, PROMOTION_REJECTS };
const char *promotion_outcome_text(enum promotion_outcome outcome); /* "undecided" "accept" … */

struct promotion_config {
    double improvement;  /* 0.97 */
    double alpha;        /* chance that a model no better is ever found better: 0.001 a candidate */
    double watch_length; /* observations between false demotions, on average, at least: 10,000 */
    uint32_t pairs_min;  /* forecasts of each: 200 (the original's rows) */
    uint32_t bars_min;   /* of the rule's returns: 200 */
    uint32_t samples_min; /* independent observations in the test: 30 */
    uint32_t shadow_min;  /* of these made in shadow: 12 */
    int64_t
        shadow_ns_max;  /* a shadow that has not been shown better by then is rejected: 30 days */
    int64_t horizon_ns; /* of forecasts: 12 h */
    /* The costed rule. */
    uint32_t horizon_bars; /* 12 */
    uint32_t reserved;
    double cost_side; /* fee, half spread, slippage, a fraction of the price: 0.0007 */
};
struct promotion_config promotion_config_defaults(void);

/* ---- the measures ---- */

struct promotion_error {
    uint64_t count;
    double error, outcome; /* sums of magnitudes */
};
/* False, and nothing added, unless both are returns. */
bool promotion_error_add(struct promotion_error *e, double forecast, double outcome);
/* NaN while nothing has moved. */
double promotion_error_mape(const struct promotion_error *e);

struct promotion_returns {
    uint64_t count;
    double mean, squares; /* squares: of distances from the mean (Welford) */
};
void promotion_returns_add(struct promotion_returns *r, double value);
/* Per bar; 0 if nothing was ever earned or lost; NaN with fewer than two bars. */
double promotion_returns_sharpe(const struct promotion_returns *r);

/* The costed rule, one symbol. At a close: a forecast beyond the round trip's cost takes its side, whatever side was
 * held, and holds it for the horizon from then on; none for a horizon: flat. Positions are of size 1. */
struct promotion_position {
    int32_t side; /* -1, 0, 1 */
    uint32_t bars_left;
};
/* Net return of the bar after the close at which forecast was known: side * bar_return - cost_side * |change of side|.
 * A forecast that is no return is none; a bar_return that is none earns 0. */
double promotion_position_step(struct promotion_position *p, const struct promotion_config *config,
                               double forecast, double bar_return);

/* ---- trial and verdict ---- */

/* Old against new, on the same rows. */
struct promotion_trial {
    struct promotion_error error_old, error_new;
    struct promotion_returns returns_old, returns_new;
    struct promotion_evidence evidence;
};
void promotion_trial_init(struct promotion_trial *t);
/* One resolved pair of forecasts; any of the three missing: not used for either (and counted in evidence.pairs). */
void promotion_trial_forecast(struct promotion_trial *t, const struct promotion_config *config,
                              int64_t decision_ns, double forecast_old, double forecast_new,
                              double outcome);
/* Net returns of one bar, means over the same symbols. */
void promotion_trial_bar(struct promotion_trial *t, double net_old, double net_new);

struct promotion_verdict {
    uint32_t outcome, reason; /* enum promotion_outcome, promotion_reason */
    double mape_old, mape_new, sharpe_old, sharpe_new;
    double wealth, p;              /* of the test; 1, 1 before any observation */
    uint64_t pairs, bars, samples; /* samples: observations of the test */
};

/* The rule on four numbers alone. PASS, NOT_FINITE, or what it failed by. A tie to rounding is a tie. */
enum promotion_reason promotion_rule(double mape_old, double sharpe_old, double mape_new,
                                     double sharpe_new, double improvement);
/* Candidate: rule on out-of-time bars. Too little measured: UNDECIDED, the candidate is kept. */
void promotion_screen(struct promotion_verdict *out, const struct promotion_trial *t,
                      const struct promotion_config *config);
/* Shadow: rule and test. shadow_samples: observations since it became one. ACCEPTS when the rule holds, enough was
 * observed and the wealth is at 1/alpha; REJECTS when wealth on the old one is; else UNDECIDED. */
void promotion_judge(struct promotion_verdict *out, const struct promotion_trial *t,
                     uint64_t shadow_samples, const struct promotion_config *config);

#endif
