/* How much: the least of named limits, times what a table has learned from closed trades.
 *
 * Units. A size is notional / equity: 0.1 of 10,000 USDT of equity is a position of 1,000 USDT; the
 * caller converts. Returns, distances and costs are fractions of notional (0.01 is 1 %);
 * volatilities are standard deviations of them. Nothing is a percentage.
 *
 *     kelly       kelly_fraction * net edge / (variance of the trade + variance of the edge)
 *     learned     multiplier * min(kelly, volatility, portfolio_volatility)
 *     size      = min(every limit of SIZING_LIMIT_TABLE)
 *
 * The multiplier is in 0..1, so learning can only lower. Ceilings are compiled in: no configuration
 * passes them. What is not known makes the size small or the answer no, never larger.
 *
 * Source   Kelly, "A New Interpretation of Information Rate" (1956); Thorp, "The Kelly criterion in
 *          blackjack, sports betting and the stock market" (2006); Browne, Whitt, "Portfolio
 *          choice and the Bayesian Kelly criterion" (1996); docs/sizing.md has the reasons.
 * Tests    test_sizing.c, test_learner.c. */
#ifndef BRAIN_SIZING_SIZING_H
#define BRAIN_SIZING_SIZING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/status.h"

/* ---- limits -------------------------------------------------------------------------------- */

/* X(limit, text), in order: of two equal limits the earlier is named as the one that bound. */
#define SIZING_LIMIT_TABLE(X)                                                                      \
    X(SIZING_LIMIT_KELLY, "kelly")                                                                 \
    X(SIZING_LIMIT_VOLATILITY, "volatility")                                                       \
    X(SIZING_LIMIT_PORTFOLIO_VOLATILITY, "portfolio_volatility")                                   \
    X(SIZING_LIMIT_LEARNED, "learned")                                                             \
    X(SIZING_LIMIT_EVIDENCE, "evidence")                                                           \
    X(SIZING_LIMIT_STOP_RISK, "stop_risk")                                                         \
    X(SIZING_LIMIT_SYMBOL, "symbol")                                                               \
    X(SIZING_LIMIT_CLUSTER, "cluster")                                                             \
    X(SIZING_LIMIT_TOTAL, "total")                                                                 \
    X(SIZING_LIMIT_MARGIN, "margin")                                                               \
    X(SIZING_LIMIT_CEILING, "ceiling")

enum sizing_limit {
#define SIZING_LIMIT_ENUM(name, text) name,
    SIZING_LIMIT_TABLE(SIZING_LIMIT_ENUM)
#undef SIZING_LIMIT_ENUM
        SIZING_LIMIT_COUNT
};
const char *sizing_limit_text(enum sizing_limit limit); /* "?" beyond the last */

/* X(reason, text), in order of precedence. */
#define SIZING_REASON_TABLE(X)                                                                     \
    X(SIZING_ALLOW, "allow")                                                                       \
    X(SIZING_INPUT_UNKNOWN, "input_unknown") /* not a number or out of range: decision.input */    \
    X(SIZING_LEVERAGE_NONE, "leverage_none") /* asked for none, or the stop allows none */         \
    X(SIZING_EDGE_BELOW_COST, "edge_below_cost") /* after shrinking */                             \
    X(SIZING_NO_ROOM, "no_room")                 /* a limit is 0: decision.bound_by */             \
    X(SIZING_BELOW_MINIMUM, "below_minimum")     /* smaller than what can be traded */

enum sizing_reason {
#define SIZING_REASON_ENUM(name, text) name,
    SIZING_REASON_TABLE(SIZING_REASON_ENUM)
#undef SIZING_REASON_ENUM
        SIZING_REASON_COUNT
};
const char *sizing_reason_text(enum sizing_reason reason);

/* Ceilings. The risk gates have their own, on the order; these hold before it. */
#define SIZING_KELLY_CEILING      0.5  /* never beyond half of Kelly */
#define SIZING_STOP_RISK_CEILING  0.05 /* of equity lost at one stop */
#define SIZING_SYMBOL_CEILING     0.40 /* notional / equity of one contract */
#define SIZING_TOTAL_CEILING      3.0  /* notional / equity of all */
#define SIZING_VOLATILITY_CEILING 0.03 /* of one position, of equity, a day */
#define SIZING_PORTFOLIO_CEILING  0.06 /* of all positions, of equity, a day */
#define SIZING_EDGE_PRIOR_CEILING 0.02 /* believing in edges beyond this is not configurable */

struct sizing_config {
    double kelly_fraction;    /* 0.25 */
    double edge_prior_sd;     /* 0.003: how far from 0 gross edges are before one is seen */
    double edge_se_unknown;   /* 2: a missing standard error counts as this many prior_sd, >= 1 */
    double volatility_target; /* 0.01 of equity a day, one position */
    double portfolio_volatility; /* 0.02 of equity a day, all of them */
    double stop_risk;            /* 0.01 of equity lost at the stop, costs included */
    double symbol_max;           /* 0.20 notional / equity */
    double total_max;            /* 1.0 */
    double unproven_max;         /* 0.05: with no closed trade of this kind on record */
    /* 50, >= 1: this many closed trades go half way from unproven_max to symbol_max, and give a
     * poor record half of the say about the edge. */
    double evidence_half;
    double margin_buffer;  /* 0.05 of the free margin stays free */
    uint32_t leverage_max; /* 3; at most LEVERAGE_CEILING */
    uint32_t reserved;
};
struct sizing_config sizing_config_defaults(void);
/* Brings every value within its ceiling; one that is not a number or negative becomes 0, with which
 * nothing is traded. Returns how many it changed. sizing_decide() does so by itself. */
uint32_t sizing_config_clamp(struct sizing_config *config);

/* X(member, lowest, highest, may be unknown (NaN), meaning). A value outside is as bad as NaN: an
 * ATR in units of price does not get through. */
#define SIZING_INPUT_TABLE(X)                                                                      \
    X(edge, -1, 1, false, "expected gross return of the side over its horizon, calibrated")        \
    X(edge_se, 0, 1, true, "its standard error")                                                   \
    X(cost, 0, 0.5, false, "round trip: fees, spread, slippage, funding")                          \
    X(trade_sigma, 1e-5, 2, false, "standard deviation of the trade's return")                     \
    X(stop_distance, 1e-5, 0.5, false, "from the entry")                                           \
    X(sigma_day, 1e-5, 5, false, "volatility of the contract, a day")                              \
    X(variance_day, 0, 1000, false, "of the held positions' return on equity, a day")              \
    X(covariance_day, -1000, 1000, true, "of it with a unit of the new position, side included")   \
    X(memory_mean, -1, 1, true, "mean net return of closed trades of this kind")                   \
    X(memory_samples, 0, 1e12, false, "how many, recency-weighted")                                \
    X(exposure_symbol, 0, 1000, false, "notional / equity held or on its way in the contract")     \
    X(exposure_total, 0, 1000, false, "the same over all contracts")                               \
    X(cluster_room, 0, 1000, false, "what the contract's cluster may still take")                  \
    X(margin_available, 0, 1000, false, "free margin / equity")                                    \
    X(multiplier, 0, 1, false, "learned: sizing_choose()")                                         \
    X(fraction_min, 0, 1000, false, "least that can be traded / equity")

struct sizing_input {
#define SIZING_INPUT_MEMBER(member, low, high, unknown, meaning) double member; /* see the table */
    SIZING_INPUT_TABLE(SIZING_INPUT_MEMBER)
#undef SIZING_INPUT_MEMBER
    uint32_t leverage; /* wanted; 0 is "no trade" (leverage_intelligent) */
    uint32_t reserved;
};
enum sizing_input_id {
#define SIZING_INPUT_ENUM(member, low, high, unknown, meaning) SIZING_INPUT_##member,
    SIZING_INPUT_TABLE(SIZING_INPUT_ENUM)
#undef SIZING_INPUT_ENUM
        SIZING_INPUT_COUNT /* none */
};
const char *sizing_input_text(enum sizing_input_id id); /* the member's name, "" for none */

struct sizing_decision {
    uint32_t reason;   /* enum sizing_reason; anything but SIZING_ALLOW: fraction 0 */
    uint32_t bound_by; /* enum sizing_limit: the least one */
    uint32_t input;    /* enum sizing_input_id: the first bad one, SIZING_INPUT_COUNT none */
    uint32_t leverage; /* wanted, lowered by configuration, ceiling and stop; 0 unless allowed */
    double fraction;   /* the size */
    double limits[SIZING_LIMIT_COUNT]; /* each >= 0; all 0 if an input was unknown */
    double soft;            /* min(kelly, volatility, portfolio_volatility): what is multiplied */
    double hard;            /* least of the others, learned apart */
    double edge_shrunk;     /* gross, after shrinking by its uncertainty and by the record */
    double edge_net;        /* less cost */
    double stop_loss;       /* fraction of equity lost at the stop, costs included */
    double portfolio_sigma; /* of all positions with this one, of equity, a day */
    double marginal_sigma;  /* its derivative by the size: the position's marginal contribution */
};
/* Pure, O(1). No NaN leaves. fraction <= each of limits, always. Never rises with edge_se, cost,
 * trade_sigma, stop_distance, exposures; never falls with edge, memory_mean or any room.
 * An unknown covariance_day counts as a correlation of 1 with all that is held. */
void sizing_decide(struct sizing_decision *out, const struct sizing_config *config,
                   const struct sizing_input *in);

/* ---- learner ------------------------------------------------------------------------------- */

/* The state of the table: 5 regimes x 5 confidences x 4 exposures x 3 records.
 *     regime      HIGH_VOL_* if atr > 0.03; *_TREND if adx > 25 or, without adx, |trend| > 0.5;
 *                 CHOPPY if neither adx nor trend is known
 *     confidence  >= .85, >= .70, >= .55, >= .45, lower
 *     exposure    < .30, < .60, < .80, above: share of the allowed total in use
 *     record      won of the last 20 closed trades >= .60, >= .45, lower; .5 until 10 are closed */
enum sizing_regime {
    SIZING_HIGH_VOL_TREND = 0,
    SIZING_HIGH_VOL_RANGE,
    SIZING_LOW_VOL_TREND,
    SIZING_LOW_VOL_RANGE,
    SIZING_CHOPPY,
    SIZING_REGIME_COUNT
};
enum { SIZING_STATES = 300, SIZING_STATE_NONE = UINT16_MAX };
struct sizing_context {
    double atr;        /* ATR / price, 0 < atr < 0.5 */
    double adx;        /* 0..100, NaN unknown */
    double trend;      /* trend strength -1..1, NaN unknown */
    double confidence; /* 0..1 */
    double exposure;   /* >= 0 */
};
/* SIZING_STATE_NONE if atr, confidence, exposure or win_rate is unknown or out of range. */
uint32_t sizing_state(const struct sizing_context *context, double win_rate);
enum sizing_regime sizing_state_regime(uint32_t state);

/* Actions: 5 sizes x 5 leverages x 3 pairs = 75; index = (size * 5 + leverage - 1) * 3 + pair.
 * Multiplier = size * leverage / 5: size is margin, leverage makes it notional, 5x ends the grid. */
enum { SIZING_ACTIONS = 75, SIZING_PAIRS = 3, SIZING_SIZES = 5, SIZING_LEVERAGES = 5 };
enum sizing_pair { SIZING_CONSERVATIVE = 0, SIZING_BALANCED, SIZING_AGGRESSIVE };
const char *sizing_pair_text(enum sizing_pair pair); /* "conservative" ... */
struct sizing_action {
    double size; /* 10/8000, .10, .25, .50, 1.0 */
    double multiplier;
    double take_distance, stop_distance; /* 2.5/1, 3/1.5, 4/2 % as fractions */
    uint32_t leverage, pair;
};
struct sizing_action sizing_action_get(uint32_t action); /* action < SIZING_ACTIONS asserted */

/* The reward, here and nowhere else, in fractions of equity at entry:
 *     r - hold_per_day * days - drawdown * d + win * [r > 0] - risk_aversion / 2 * max(|r|, d)^2
 * r the trade's net result, d its worst loss on paper on the way, both / equity. One trade is one
 * reward: no next state, no discount. */
struct sizing_reward_config {
    double hold_per_day, drawdown, win, risk_aversion;
};
struct sizing_outcome {
    double result;   /* net of fees, spread and funding / notional at entry; -1 < . <= 10 */
    double drawdown; /* worst loss on the way / notional, 0..1 */
    int64_t held_ns; /* >= 0 */
};
/* fraction: notional / equity of the position. */
double sizing_reward(const struct sizing_reward_config *config,
                     const struct sizing_outcome *outcome, double fraction);

struct sizing_learner_config {
    struct sizing_reward_config reward;
    double epsilon;        /* share of choices that try something */
    double alpha;          /* least step toward a new reward */
    double caution;        /* standard errors an action must be better by to be left or taken */
    double untrained_mean; /* |mean Q| below it is untrained whatever the count; 0 off */
    uint32_t trained_min;  /* outcomes before a row of the table decides */
    bool average_first;    /* step max(alpha, 1/n) instead of alpha */
    /* One trade's return per notional tells what every size and leverage of its pair would have
     * earned within the limits of that day, so it trains all 25 of them; false: the taken one
     * alone. */
    bool credit_all_sizes;
    bool reserved[2];
};
/* Quadratic utility at risk aversion 4 (a quarter of Kelly), averages, all sizes credited, epsilon
 * 0.10, tried at no more than the neutral size. */
struct sizing_learner_config sizing_learner_defaults(void);
/* The original's figures: hold 0.01, drawdown 0.5, win 0.1, alpha 0.20, epsilon 0.10, taken action
 * alone, untrained below |0.05|; and zero where it began with a liking for size. */
struct sizing_learner_config sizing_learner_original(void);

enum {
    SIZING_LEARNER_VERSION = 1,
    SIZING_ROWS = SIZING_STATES + SIZING_REGIME_COUNT, /* a row a state, then one a regime */
    SIZING_PENDING_MAX = 128, /* beyond it the oldest is given up, and counted */
    SIZING_DONE_MAX = 256,
    SIZING_RECORD = 20
};
struct sizing_cell {
    float q, variance; /* of rewards */
    uint32_t count;
};
struct sizing_pending {
    uint64_t trade_id; /* 0: free */
    uint64_t sequence; /* age */
    double soft, hard; /* of the decision */
    double multiplier; /* of the choice */
    uint32_t state, action;
};
/* Plain, without pointers: goes into a snapshot as it is (284 KB). */
struct sizing_learner {
    uint32_t version, rows;
    struct rng rng;
    uint64_t opened, credited, evicted, refused; /* refused: outcomes not credited */
    uint32_t record_count;                       /* closed trades seen, at most SIZING_RECORD */
    uint32_t record;                             /* bit 0 the newest: 1 won */
    uint32_t row_count[SIZING_ROWS];             /* outcomes of the row */
    uint32_t reserved;
    uint64_t done[SIZING_DONE_MAX]; /* ids credited last, a ring */
    struct sizing_pending pending[SIZING_PENDING_MAX];
    struct sizing_cell cells[SIZING_ROWS][SIZING_ACTIONS];
};
/* All zero: no size and no leverage is liked before a trade has closed. */
void sizing_learner_init(struct sizing_learner *l, uint64_t seed);
/* ST_OK; ST_VERSION; ST_CORRUPT if a count, a figure or a pending trade cannot be. */
enum status sizing_learner_check(const struct sizing_learner *l);
/* Won of the last 20, 0.5 until 10. */
double sizing_win_rate(const struct sizing_learner *l);

enum sizing_why {
    SIZING_WHY_UNKNOWN_STATE = 0, /* 0.3 size, 1x, conservative */
    SIZING_WHY_SAFE,              /* high volatility or no regime, untrained: the same */
    SIZING_WHY_NEUTRAL,           /* untrained: 0.5 size, 1x, balanced */
    SIZING_WHY_REGIME,            /* learned over all states of the regime */
    SIZING_WHY_LEARNED,
    SIZING_WHY_EXPLORED,
    SIZING_WHY_COUNT
};
const char *sizing_why_text(enum sizing_why why);
struct sizing_choice {
    uint32_t why, state;     /* state may be SIZING_STATE_NONE */
    uint32_t action;         /* what an outcome is credited to */
    uint32_t leverage, pair; /* pair: a proposal; the strategy may have its own levels */
    uint32_t samples;        /* outcomes of the row that decided */
    double multiplier;       /* for sizing_input.multiplier */
    double take_distance, stop_distance;
    double expected, expected_se; /* reward of the action, fraction of equity; NaN if untrained */
};
/* Draws from l->rng; O(75). */
void sizing_choose(struct sizing_choice *out, struct sizing_learner *l,
                   const struct sizing_learner_config *config,
                   const struct sizing_context *context);

/* A trade was decided with this choice. trade_id > 0 (asserted). ST_OK; ST_EXISTS if the id is
 * pending or was credited; ST_REFUSED if the choice had no state (nothing to learn). */
enum status sizing_learner_open(struct sizing_learner *l, uint64_t trade_id,
                                const struct sizing_choice *choice,
                                const struct sizing_decision *decision);
/* It closed: credited exactly once. ST_OK; ST_EXISTS credited before; ST_NOT_FOUND never opened,
 * given up or forgotten; ST_INVALID if the outcome is not possible (the trade stays pending). */
enum status sizing_learner_close(struct sizing_learner *l,
                                 const struct sizing_learner_config *config, uint64_t trade_id,
                                 const struct sizing_outcome *outcome);
/* It never became a position (denied, expired, rejected): true if it was pending. */
bool sizing_learner_forget(struct sizing_learner *l, uint64_t trade_id);

/* Known answers of this module and its leverage engines; for the health page. */
bool sizing_self_test(void);

#endif
