#include "brain/sizing/leverage.h"

#include <math.h>

#include "num/elementary.h"

static double clamp(double x, double low, double high) { /* NaN stays */
    return x < low ? low : x > high ? high : x;
}

static double at_least(double x, double low) {
    return x < low ? low : x;
}

void leverage_levels(struct leverage_levels *out, double leverage, double volatility) {
    *out = (struct leverage_levels){0};
    if (!(leverage >= 1 && leverage <= 125) || !(volatility >= 0 && volatility <= 5)) return;
    double lsf = 1 / (1 + num_log(leverage + 1)), wide = 1 + 0.4 * volatility;
    out->lsf = lsf;
    out->take[0] = 0.01 * (0.6 + lsf) * wide;
    out->take[1] = 0.01 * (1.2 + lsf / 2) * wide;
    out->take[2] = 0.01 * (1.8 + lsf / 4) * wide;
    out->stop = clamp(0.005 * (1 + 0.8 * (1 - lsf)) * (1 + 0.2 * volatility), 0.001, 0.02);
    out->stop_max = LEVERAGE_STOP_SHARE / leverage;
    static const double harvest[3][3] = {{0.3, 0.3, 0.4}, {0.4, 0.4, 0.2}, {0.5, 0.3, 0.2}};
    const double *share = harvest[leverage <= 10 ? 0 : leverage <= 30 ? 1 : 2];
    for (int k = 0; k < 3; k++) out->harvest[k] = share[k];
    out->valid = out->take[0] > 0 && out->take[0] < out->take[1] && out->take[1] < out->take[2] &&
                 out->stop > 0 && out->stop <= out->stop_max;
}

double leverage_feedback(double mean_result, double confidence) {
    double factor = 1;
    if (mean_result < 0) factor -= 0.10;
    if (mean_result > 0.3) factor += 0.10;
    if (!(confidence >= 0.5)) factor -= 0.05;
    return clamp(factor, 0.8, 1.2);
}

uint32_t leverage_max_for_stop(double stop_distance) {
    if (!(stop_distance > 0 && stop_distance < 1)) return 0;
    uint32_t leverage = LEVERAGE_CEILING;
    while (leverage > 0 && stop_distance > LEVERAGE_STOP_SHARE / leverage) leverage--;
    return leverage;
}

double leverage_formula(const struct leverage_inputs *in) {
    double confidence = clamp(in->confidence, 0, 1), volatility = clamp(in->volatility, 0, 3);
    double trend = clamp(in->trend, -1, 1), risk = clamp(in->symbol_risk, 0.5, 1.5);
    double margin = clamp(in->margin_used, 0, 1), divergence = clamp(in->divergence, 0, 1);
    double funding = clamp(fabs(in->funding), 0, 0.05);
    return (5 + 75 * confidence) * at_least(1.5 - volatility, 0.2) * (1 + 0.25 * trend) / risk *
           at_least(1 - margin, 0.3) * at_least(1 - divergence, 0.5) *
           at_least(1 - 10 * funding, 0.5) * 0.9;
}

double leverage_original(const struct leverage_inputs *in) {
    return clamp(leverage_formula(in), 5, 80);
}

uint32_t leverage_intelligent(const struct leverage_inputs *in, uint32_t cap) {
    double leverage = leverage_formula(in);
    if (!(leverage >= 1)) return 0;
    uint32_t most = cap < LEVERAGE_CEILING ? cap : LEVERAGE_CEILING;
    return leverage >= most ? most : (uint32_t)leverage;
}

double leverage_executor_notional(double balance, double confidence, double leverage) {
    if (!(balance >= 0 && leverage >= 0 && confidence >= 0.55)) return 0;
    double ratio = confidence / 0.55;
    double notional = balance * 0.01 * (ratio < 1.5 ? ratio : 1.5) * leverage;
    return floor((notional < 1000 ? notional : 1000) * 1000 + 0.5) / 1000;
}
