/* Leverage: stop and target levels as a function of it, how much of it conditions allow, and the
 * first executor's rule of size. Plain functions, no state.
 *
 * Everything is a fraction (0.01 is 1 %) or a multiple (3 is 3x); nothing is a percentage. What is
 * not a number or out of its range gives "not valid" or "no trade", never a default.
 *
 * Source   docs/sizing.md, "Leverage": the formulas of the system this one follows, with its
 *          vectors. Tests: test_leverage.c. */
#ifndef BRAIN_SIZING_LEVERAGE_H
#define BRAIN_SIZING_LEVERAGE_H

#include <stdbool.h>
#include <stdint.h>

/* No configuration passes it; the same figure as the ceiling of the risk gates. */
enum { LEVERAGE_CEILING = 10 };
/* A stop may lie at most this far away, times 1 / leverage: the rest of the margin is for costs,
 * the maintenance margin and the way from the stop's trigger to its fill. */
#define LEVERAGE_STOP_SHARE 0.8

/* Levels for a leverage of 1..125 and a volatility factor of 0..5 (1 is usual).
 *     lsf  = 1 / (1 + ln(leverage + 1))
 *     take = 1 % (0.6 + lsf), 1 % (1.2 + lsf/2), 1 % (1.8 + lsf/4), each times 1 + 0.4 volatility
 *     stop = 0.5 % (1 + 0.8 (1 - lsf)) (1 + 0.2 volatility), within 0.1 % .. 2 %
 * The stop grows with leverage, which alone would end in liquidation: hence valid. */
struct leverage_levels {
    double lsf;
    double take[3];    /* distance from the entry, fraction, rising */
    double harvest[3]; /* share of the position closed at each; sum 1 */
    double stop;       /* distance, fraction */
    double stop_max;   /* LEVERAGE_STOP_SHARE / leverage */
    bool valid;        /* 0 < take rising, 0 < stop <= stop_max. If false, do not trade on it */
};
/* Inputs out of range: everything 0, valid false. Pure, O(1). */
void leverage_levels(struct leverage_levels *out, double leverage, double volatility);

/* Factor on the take-profit distances from the last 20 trades' mean result (R, or any unit in which
 * 0.3 is good; NaN unknown) and the confidence: 1, -0.10 if the mean is below 0, +0.10 if above
 * 0.3, -0.05 if the confidence is below 0.5 or unknown; within 0.8 .. 1.2. */
double leverage_feedback(double mean_result, double confidence);

/* Greatest whole leverage at which a stop this far away is still valid, at most LEVERAGE_CEILING;
 * 0 if there is none or the distance is not a number in (0, 1). */
uint32_t leverage_max_for_stop(double stop_distance);

/* What the second formula looks at. Values beyond a range are moved to its end, as the original
 * did; a value that is not a number is not. */
struct leverage_inputs {
    double confidence;  /* 0..1 */
    double volatility;  /* 0..3, 1 is usual */
    double trend;       /* -1..1, > 0 with the trade */
    double symbol_risk; /* 0.5..1.5 */
    double margin_used; /* 0..1 of the account's margin */
    double divergence;  /* 0..1 between venues, fraction */
    double funding;     /* -0.05..0.05 a settlement, fraction */
};
/* (5 + 75 confidence) max(0.2, 1.5 - volatility) (1 + trend/4) / symbol_risk
 *   max(0.3, 1 - margin) max(0.5, 1 - divergence) max(0.5, 1 - 10 |funding|) 0.9
 * Not limited. NaN if an input is NaN. Never falls with confidence or trend, never rises with any
 * of the others. */
double leverage_formula(const struct leverage_inputs *in);
/* The original's answer: the same, moved into 5..80. For comparison only: it forces 5x upon the
 * worst conditions. NaN if an input is NaN. */
double leverage_original(const struct leverage_inputs *in);
/* Ours: the whole part of the formula, at most cap and LEVERAGE_CEILING. 0 is "no trade": the
 * formula asks for less than 1x, or an input is not a number, or cap is 0. */
uint32_t leverage_intelligent(const struct leverage_inputs *in, uint32_t cap);

/* The first executor's notional in quote units:
 *     balance * 0.01 * min(confidence / 0.55, 1.5) * leverage, at most 1000, to 3 decimals.
 * Kept for its published orders. It is no measure of risk: no stop is in it, and leverage
 * multiplies. 0 if the confidence is below 0.55 or an input is not a number >= 0. */
double leverage_executor_notional(double balance, double confidence, double leverage);

#endif
