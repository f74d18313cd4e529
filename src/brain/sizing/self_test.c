/* Known answers, small enough for a health page: computed by hand from the formulas in the
 * headers. */
#include <math.h>

#include "brain/sizing/leverage.h"
#include "brain/sizing/sizing.h"

static bool near(double x, double expected) {
    return fabs(x - expected) <= 1e-12 * fabs(expected);
}

bool sizing_self_test(void) {
    const struct leverage_inputs worst = {.3, 2, -1, 1.5, .9, .5, .05},
                                 plain = {.7, 1, 0, 1, 0, 0, 0};
    struct leverage_levels levels;
    leverage_levels(&levels, 100, 1);
    if (levels.valid || !near(levels.stop_max, 0.008)) return false;
    if (leverage_intelligent(&worst, 3) != 0 || !near(leverage_formula(&plain), 25.875))
        return false;

    struct sizing_config config = sizing_config_defaults();
    struct sizing_input in = {.edge = 0.004,
                              .edge_se = 0.003, /* equal to the prior: half is believed */
                              .cost = 0.001,
                              .trade_sigma = 0.1,
                              .stop_distance = 0.02,
                              .sigma_day = 0.01,
                              .memory_mean = NAN,
                              .cluster_room = 1,
                              .margin_available = 1,
                              .multiplier = 1,
                              .leverage = 2};
    struct sizing_decision out;
    sizing_decide(&out, &config, &in);
    if (out.reason != SIZING_ALLOW || out.bound_by != SIZING_LIMIT_KELLY || out.leverage != 2 ||
        !near(out.fraction, 0.25 * 0.001 / (0.01 + 0.0000045)))
        return false;
    in.sigma_day = NAN;
    sizing_decide(&out, &config, &in);
    if (out.reason != SIZING_INPUT_UNKNOWN || out.fraction != 0 ||
        out.input != SIZING_INPUT_sigma_day)
        return false;
    const struct sizing_reward_config reward = {0.01, 0.5, 0.1, 4};
    const struct sizing_outcome outcome = {0.02, 0.01, INT64_C(86400000000000)};
    return near(sizing_reward(&reward, &outcome, 0.5), 0.01 - 0.01 - 0.0025 + 0.1 - 0.0002);
}
