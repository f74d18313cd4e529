#include "brain/sizing/sizing.h"

#include <math.h>

#include "brain/sizing/leverage.h"

const char *sizing_limit_text(enum sizing_limit limit) {
    switch (limit) {
#define SIZING_LIMIT_TEXT(name, text)                                                              \
    case name:                                                                                     \
        return text;
        SIZING_LIMIT_TABLE(SIZING_LIMIT_TEXT)
#undef SIZING_LIMIT_TEXT
    case SIZING_LIMIT_COUNT:
        break;
    }
    return "?";
}

const char *sizing_reason_text(enum sizing_reason reason) {
    switch (reason) {
#define SIZING_REASON_TEXT(name, text)                                                             \
    case name:                                                                                     \
        return text;
        SIZING_REASON_TABLE(SIZING_REASON_TEXT)
#undef SIZING_REASON_TEXT
    case SIZING_REASON_COUNT:
        break;
    }
    return "?";
}

const char *sizing_input_text(enum sizing_input_id id) {
    switch (id) {
#define SIZING_INPUT_TEXT(member, low, high, unknown, meaning)                                     \
    case SIZING_INPUT_##member:                                                                    \
        return #member;
        SIZING_INPUT_TABLE(SIZING_INPUT_TEXT)
#undef SIZING_INPUT_TEXT
    case SIZING_INPUT_COUNT:
        break;
    }
    return "";
}

struct sizing_config sizing_config_defaults(void) {
    return (struct sizing_config){
        .kelly_fraction = 0.25,
        .edge_prior_sd = 0.003,
        .edge_se_unknown = 2,
        .volatility_target = 0.01,
        .portfolio_volatility = 0.02,
        .stop_risk = 0.01,
        .symbol_max = 0.20,
        .total_max = 1.0,
        .unproven_max = 0.05,
        .evidence_half = 50,
        .margin_buffer = 0.05,
        .leverage_max = 3,
    };
}

/* Into 0..ceiling; what is not a number or negative becomes 0. */
static uint32_t lower(double *value, double ceiling) {
    if (*value >= 0 && *value <= ceiling) return 0;
    *value = *value > ceiling ? ceiling : 0;
    return 1;
}

/* Raised to least: for values whose smallness would loosen something. */
static uint32_t raise(double *value, double least) {
    if (*value >= least && isfinite(*value)) return 0;
    *value = least;
    return 1;
}

uint32_t sizing_config_clamp(struct sizing_config *c) {
    uint32_t changed =
        lower(&c->kelly_fraction, SIZING_KELLY_CEILING) +
        lower(&c->edge_prior_sd, SIZING_EDGE_PRIOR_CEILING) + raise(&c->edge_se_unknown, 1) +
        lower(&c->volatility_target, SIZING_VOLATILITY_CEILING) +
        lower(&c->portfolio_volatility, SIZING_PORTFOLIO_CEILING) +
        lower(&c->stop_risk, SIZING_STOP_RISK_CEILING) +
        lower(&c->symbol_max, SIZING_SYMBOL_CEILING) + lower(&c->total_max, SIZING_TOTAL_CEILING) +
        lower(&c->unproven_max, SIZING_SYMBOL_CEILING) + raise(&c->evidence_half, 1);
    /* A buffer that is no share of the margin leaves none to use. */
    if (!(c->margin_buffer >= 0 && c->margin_buffer <= 1)) {
        c->margin_buffer = 1;
        changed++;
    }
    if (c->leverage_max > LEVERAGE_CEILING) {
        c->leverage_max = LEVERAGE_CEILING;
        changed++;
    }
    return changed;
}

static enum sizing_input_id first_bad(const struct sizing_input *in) {
    /* A chain, not a table of offsets: the bounds stand once, in SIZING_INPUT_TABLE. */
#define SIZING_INPUT_CHECK(member, low, high, unknown, meaning)                                    \
    if (!(in->member >= (low) && in->member <= (high)) && !((unknown) && isnan(in->member)))       \
        return SIZING_INPUT_##member;
    SIZING_INPUT_TABLE(SIZING_INPUT_CHECK)
#undef SIZING_INPUT_CHECK
    return SIZING_INPUT_COUNT;
}

static double positive(double x) {
    return x > 0 ? x : 0;
}

/* Weight of the record of closed trades of this kind: 0 none, toward 1 with their number. */
static double record_weight(const struct sizing_config *c, const struct sizing_input *in) {
    double n = isnan(in->memory_mean) ? 0 : in->memory_samples;
    return n / (n + c->evidence_half);
}

/* The gross edge as it is believed, and the variance that belief keeps.
 *
 * Normal prior around 0 with edge_prior_sd, normal forecast error: the posterior mean is the edge
 * times prior / (prior + error). Costs are certain and come off afterwards. A record of closed
 * trades below it draws it down; one above does not lift it, so a lucky streak is no permission. */
static double believed_edge(double *variance, const struct sizing_config *c,
                            const struct sizing_input *in) {
    double prior = c->edge_prior_sd * c->edge_prior_sd;
    double se = isnan(in->edge_se) ? c->edge_se_unknown * c->edge_prior_sd : in->edge_se;
    double sum = prior + se * se;
    double share = sum > 0 ? prior / sum : 0, mean = in->edge * share;
    *variance = se * se * share;
    double weight = record_weight(c, in);
    if (weight > 0) {
        double seen = in->memory_mean + in->cost; /* gross, as the forecast is */
        double both = mean + weight * (seen - mean);
        if (both < mean) mean = both;
    }
    return mean;
}

/* Covariance with the book: within what two volatilities allow; unknown is the worst of it. */
static double covariance(const struct sizing_input *in) {
    double most = in->sigma_day * sqrt(in->variance_day), c = in->covariance_day;
    if (isnan(c) || c > most) return most;
    return c < -most ? -most : c;
}

/* Greatest w >= 0 with V + 2 w c + w^2 s^2 <= target^2. A book already beyond its target may take
 * what lowers its volatility, as far as that goes on. */
static double portfolio_room(double target, const struct sizing_input *in) {
    double c = covariance(in), s2 = in->sigma_day * in->sigma_day;
    double left = target * target - in->variance_day;
    if (left <= 0) return positive(-c / s2);
    double root = sqrt(c * c + s2 * left);
    /* The form without cancellation for either sign of c. */
    return c > 0 ? left / (c + root) : (root - c) / s2;
}

static void fill_limits(struct sizing_decision *out, const struct sizing_config *c,
                        const struct sizing_input *in) {
    double variance, sigma2 = in->trade_sigma * in->trade_sigma;
    out->edge_shrunk = believed_edge(&variance, c, in);
    out->edge_net = out->edge_shrunk - in->cost;
    double *limit = out->limits;
    limit[SIZING_LIMIT_KELLY] = positive(c->kelly_fraction * out->edge_net / (sigma2 + variance));
    limit[SIZING_LIMIT_VOLATILITY] = c->volatility_target / in->sigma_day;
    limit[SIZING_LIMIT_PORTFOLIO_VOLATILITY] = portfolio_room(c->portfolio_volatility, in);
    out->soft = fmin(fmin(limit[SIZING_LIMIT_KELLY], limit[SIZING_LIMIT_VOLATILITY]),
                     limit[SIZING_LIMIT_PORTFOLIO_VOLATILITY]);
    limit[SIZING_LIMIT_LEARNED] = in->multiplier * out->soft;
    limit[SIZING_LIMIT_EVIDENCE] =
        c->unproven_max + positive(c->symbol_max - c->unproven_max) * record_weight(c, in);
    limit[SIZING_LIMIT_STOP_RISK] = c->stop_risk / (in->stop_distance + in->cost);
    limit[SIZING_LIMIT_SYMBOL] = positive(c->symbol_max - in->exposure_symbol);
    limit[SIZING_LIMIT_CLUSTER] = in->cluster_room;
    limit[SIZING_LIMIT_TOTAL] = positive(c->total_max - in->exposure_total);
    /* Entry and exit cost of the position come out of the same margin. */
    double leverage = out->leverage;
    limit[SIZING_LIMIT_MARGIN] =
        in->margin_available * (1 - c->margin_buffer) * leverage / (1 + in->cost * leverage);
    limit[SIZING_LIMIT_CEILING] = SIZING_SYMBOL_CEILING;
    out->hard = limit[SIZING_LIMIT_EVIDENCE];
    for (int k = SIZING_LIMIT_STOP_RISK; k < SIZING_LIMIT_COUNT; k++)
        out->hard = fmin(out->hard, limit[k]);
}

void sizing_decide(struct sizing_decision *out, const struct sizing_config *config,
                   const struct sizing_input *in) {
    struct sizing_config c = *config;
    (void)sizing_config_clamp(&c);
    *out = (struct sizing_decision){.reason = SIZING_INPUT_UNKNOWN, .input = first_bad(in)};
    if (out->input != SIZING_INPUT_COUNT) return;
    uint32_t most = leverage_max_for_stop(in->stop_distance);
    if (c.leverage_max < most) most = c.leverage_max;
    out->leverage = in->leverage < most ? in->leverage : most;
    fill_limits(out, &c, in);
    double size = out->limits[0];
    for (uint32_t k = 1; k < SIZING_LIMIT_COUNT; k++)
        if (out->limits[k] < size) {
            size = out->limits[k];
            out->bound_by = k;
        }
    double cov = covariance(in), s2 = in->sigma_day * in->sigma_day;
    if (out->leverage == 0)
        out->reason = SIZING_LEVERAGE_NONE;
    else if (!(out->edge_net > 0))
        out->reason = SIZING_EDGE_BELOW_COST;
    else if (!(size > 0))
        out->reason = SIZING_NO_ROOM;
    else if (size < in->fraction_min)
        out->reason = SIZING_BELOW_MINIMUM;
    else
        out->reason = SIZING_ALLOW;
    if (out->reason != SIZING_ALLOW) {
        size = 0;
        out->leverage = 0;
    }
    out->fraction = size;
    out->stop_loss = size * (in->stop_distance + in->cost);
    out->portfolio_sigma = sqrt(positive(in->variance_day + 2 * size * cov + size * size * s2));
    if (out->portfolio_sigma > 0) out->marginal_sigma = (cov + size * s2) / out->portfolio_sigma;
}
