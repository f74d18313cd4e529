/* Which of the seven ways to manage a trade is taken: filters by regime, symbol tier, liquidity and
 * confidence, then a contextual bandit that learns from the net R of closed trades.
 *
 * Reward, in this one place: net_r of trade_closed = net_pnl / risk, both in quote units: price
 * difference less fees plus funding, over the loss at the first stop. One trade rewards one
 * choice once, by its id. Every choice is logged with the probability it had and with what four
 * other policies would have done, who learn from the same trades and act only after this log has
 * shown them to be better (strategy_review).
 *
 * The state is one block of fixed size without pointers; the generators are in it: the same state
 * and the same input give the same choices. Nothing allocates. */
#ifndef BRAIN_STRATEGY_STRATEGY_H
#define BRAIN_STRATEGY_STRATEGY_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rng.h"
#include "brain/memory/memory.h"
#include "brain/regime/regime.h"

/* X(id, text, sl, tp1, tp2, tp3, break even at, trail from, trail distance, risk factor, least
 * confidence,
 *   part closed at tp1, tp2, tp3, aggressiveness, reward to risk, trend, range, high volatility,
 *   l2)
 * Distances in ATR. The last four: suits that regime; suits a symbol of the lowest tier. */
#define STRATEGY_TABLE(X)                                                                          \
    X(STRATEGY_DEFENSIVE, "defensive", 1.0, 1.5, 2.5, 4.0, 1.0, 2.5, 0.8, 0.8, 0.45, 0.5, 0.3,     \
      0.2, STRATEGY_VERY_LOW, 1.8, 1, 1, 0, 1)                                                     \
    X(STRATEGY_MODERATE, "moderate", 1.0, 2.0, 3.5, 5.5, 1.2, 3.0, 1.0, 1.0, 0.48, 0.5, 0.3, 0.2,  \
      STRATEGY_LOW, 2.3, 1, 1, 1, 1)                                                               \
    X(STRATEGY_MODERATE_AGGRESSIVE, "moderate_aggressive", 1.0, 2.5, 4.0, 6.0, 1.5, 3.5, 1.0, 1.1, \
      0.50, 0.5, 0.3, 0.2, STRATEGY_MEDIUM, 3.0, 1, 0, 1, 0)                                       \
    X(STRATEGY_BALANCED_AGGRESSIVE, "balanced_aggressive", 1.5, 4.0, 6.0, 10.0, 2.0, 5.0, 1.2,     \
      1.2, 0.52, 0.5, 0.3, 0.2, STRATEGY_HIGH, 4.5, 1, 0, 1, 0)                                    \
    X(STRATEGY_ULTRA_AGGRESSIVE, "ultra_aggressive", 1.0, 3.0, 5.0, 8.0, 1.5, 4.0, 1.0, 1.0, 0.53, \
      0.5, 0.3, 0.2, STRATEGY_VERY_HIGH, 5.0, 1, 0, 1, 0)                                          \
    X(STRATEGY_SCALP, "scalp", 0.8, 1.2, 1.8, 2.5, 0.6, 1.5, 0.6, 0.7, 0.55, 0.6, 0.3, 0.1,        \
      STRATEGY_VERY_LOW, 1.5, 0, 1, 0, 0)                                                          \
    X(STRATEGY_TREND_RIDER, "trend_rider", 2.0, 5.0, 8.0, 12.0, 2.5, 6.0, 1.5, 1.3, 0.60, 0.3,     \
      0.3, 0.4, STRATEGY_VERY_HIGH, 6.5, 1, 0, 1, 0)

enum strategy_id {
#define STRATEGY_ENUM(id, ...) id,
    STRATEGY_TABLE(STRATEGY_ENUM)
#undef STRATEGY_ENUM
        STRATEGY_ARMS,
    STRATEGY_NONE = STRATEGY_ARMS /* no trade */
};
static_assert((int)STRATEGY_ARMS == (int)MEMORY_STRATEGIES, "one row of memory each");
const char *strategy_name(enum strategy_id id); /* "none" for STRATEGY_NONE */

enum strategy_aggressiveness {
    STRATEGY_VERY_LOW = 0,
    STRATEGY_LOW,
    STRATEGY_MEDIUM,
    STRATEGY_HIGH,
    STRATEGY_VERY_HIGH
};

struct strategy_profile {
    const char *name;
    double stop_atr, take_atr[3], break_even_atr, trail_from_atr, trail_distance_atr;
    double risk_factor;    /* of the usual risk */
    double confidence_min; /* of the signal */
    double take_part[3];   /* of the position, sum 1 */
    uint32_t aggressiveness;
    double reward_to_risk; /* as the original's heuristic knows it */
    bool suits_trend, suits_range, suits_high_volatility, suits_l2;
};
const struct strategy_profile *strategy_profile(enum strategy_id id); /* id < STRATEGY_ARMS */

/* Symbol groups. */
enum strategy_tier { STRATEGY_MAIN = 0, STRATEGY_L1, STRATEGY_L2, STRATEGY_TIERS };
/* By quote volume of 24 h: 500 M and more, 50 M and more, less or not known (NaN). */
enum strategy_tier strategy_tier_of(double volume_24h);

struct strategy_context {
    uint32_t regime;   /* enum regime */
    uint32_t tier;     /* enum strategy_tier */
    double confidence; /* of the signal; NaN suits nothing */
    double spread_bps; /* NaN not known */
    double depth;      /* quote units near the touch; NaN not known */
    double win_rate;   /* of recent trades; NaN not known */
};

/* Bit i: strategy i suits. TREND_UP, TREND_DOWN: trend; RANGE_*: range; HIGH_VOLATILITY: high
 * volatility; UNKNOWN, ILLIQUID: defensive and moderate only. A spread over 10 bps or a depth
 * under 100,000, where known, bars HIGH and VERY_HIGH. use_confidence: also confidence >=
 * confidence_min. */
uint32_t strategy_suitable(const struct strategy_context *context, bool use_confidence);

enum strategy_algorithm { STRATEGY_THOMPSON = 0, STRATEGY_CLASSIC, STRATEGY_ALGORITHMS };

struct strategy_config {
    uint32_t algorithm;      /* STRATEGY_THOMPSON */
    uint32_t use_confidence; /* 1: the table's least confidences filter */
    /* Thompson. Each arm's net R is normal with unknown mean and variance; prior
     * normal-inverse-gamma. */
    double prior_mean;   /* 0 R */
    double prior_weight; /* 1: kappa, how many trades the prior mean counts as */
    double prior_shape;  /* 2: alpha */
    double prior_scale;  /* 1: beta; expected variance beta / (alpha - 1) = 1 R^2 */
    double forget; /* 0.9995: a trade's weight after each later one of its context, half at 1,386 */
    double floor;  /* 0.02 shared by all suitable arms: none ever has probability 0 */
    double symbol_samples; /* 10: samples at which a symbol's own mean counts half */
    double width;          /* 1: deviation of the posterior samples; below 1 explores less */
    uint32_t draws;        /* 32, 1..256: posterior samples behind a propensity */
    uint32_t
        review_trades; /* 128: closed trades from one review of the policy to the next; 0: none,
                               and nobody watches */
    /* Classic: the original's numbers. */
    double epsilon; /* 0.10 */
    double alpha;   /* 0.20 */
    double q_least; /* 0.40: below it, or with fewer than 5 trades, the heuristic */
};
struct strategy_config strategy_config_defaults(void);

/* What one context knows of one strategy. Both learners learn from every trade, whichever
 * chooses. */
struct strategy_arm {
    double weight, mean, square; /* discounted count, mean, sum of squared deviations */
    double q;                    /* classic */
    double total_r;
    uint32_t count, wins;
};

/* The policies: one acts, the others watch. Each is a configuration with its own learner, told of
 * every trade from the first one on; so one that begins to act goes on with exactly what it was
 * judged with. X(id, text)
 *   own         as configured; the first to act
 *   other_rule  the other algorithm: the original's where own is Thompson (by chance in 0.30 at least, so
 *               that its log tells of the others, too), Thompson where it is not
 *   sharp       Thompson with half the posterior's deviation (Chapelle, Li 2011, 3): explores less
 *   quick       Thompson that forgets at 0.99 a trade: half at 69
 *   local       Thompson that believes a symbol's own record at a quarter of the samples
 * All filter alike: what a filter keeps out is in no log, so there would be no way back. */
#define STRATEGY_POLICY_TABLE(X)                                                                   \
    X(STRATEGY_POLICY_OWN, "own")                                                                  \
    X(STRATEGY_POLICY_OTHER_RULE, "other_rule")                                                    \
    X(STRATEGY_POLICY_SHARP, "sharp")                                                              \
    X(STRATEGY_POLICY_QUICK, "quick")                                                              \
    X(STRATEGY_POLICY_LOCAL, "local")

enum strategy_policy_id {
#define STRATEGY_POLICY_ENUM(id, text) id,
    STRATEGY_POLICY_TABLE(STRATEGY_POLICY_ENUM)
#undef STRATEGY_POLICY_ENUM
        STRATEGY_POLICIES
};
const char *strategy_policy_text(enum strategy_policy_id id);

struct strategy_policy {
    struct strategy_config config;
    struct strategy_arm arms[REGIME_COUNT][STRATEGY_TIERS][STRATEGY_ARMS];
};

enum {
    STRATEGY_PENDING_MAX = 512, /* choices whose trade has not closed */
    STRATEGY_LOG_MAX = 1024,    /* settled ones kept for evaluation */
    STRATEGY_VERSION = 2,
};
#define STRATEGY_MAGIC UINT64_C(0x5941525453545451) /* "QTSTRATY" */

/* One choice, from the decision to its reward. */
struct strategy_row {
    uint64_t trade_id; /* 0: free */
    int64_t ts_ns;     /* of the choice */
    int64_t closed_ns; /* when its reward was known; 0 while pending */
    uint8_t regime, tier, arm;
    uint8_t eligible; /* bit mask */
    float propensity; /* probability with which arm was chosen, given all that was known */
    float net_r;      /* 0 while pending */
    float expected[STRATEGY_ARMS]; /* mean R foreseen for every arm by the policy that acted */
    /* Of each policy, p its probabilities at this choice: sum_a p(a) expected[a], and
     * p(arm) / propensity. Of the one that acted the weight is 1. */
    float direct[STRATEGY_POLICIES], weight[STRATEGY_POLICIES];
};
static_assert(sizeof(struct strategy_row) == 104, "no padding: the block is hashed");

enum strategy_verdict {
    STRATEGY_ALLOWED = 0,
    STRATEGY_TOO_FEW,    /* under 200 rows to judge on */
    STRATEGY_NO_OVERLAP, /* effective < 50, or over 5 % of weights clipped: it does other things */
    STRATEGY_NOT_BETTER, /* p_value above its level */
    STRATEGY_VERDICTS
};
const char *strategy_verdict_text(enum strategy_verdict verdict);

/* What a policy would have earned on the rows chosen since the present one acts. */
struct strategy_evaluation {
    uint32_t verdict, reserved;
    uint64_t rows;
    double value, value_low, value_high; /* net R a trade under the policy, 95 % */
    double logged;                       /* mean net R as it was, same rows */
    double gain, gain_low, gain_high;    /* over the policy that acts, paired by row, 95 % */
    double p_value;                      /* one-sided, of gain <= 0 */
    double level;                        /* what it must not exceed; NaN where none was spent */
    double effective;                    /* (sum w)^2 / sum w^2 of the importance weights */
    double clipped;                      /* share of rows whose weight was above 20 */
};

struct strategy_state {
    uint64_t magic;
    uint32_t version, size_bytes;
    uint64_t checksum; /* of everything behind it; by strategy_seal */
    struct rng rng;    /* of the one that acts */
    struct rng watch;  /* of the others: watching changes no choice */
    uint64_t decisions, explorations, settled, dropped;
    uint64_t refused_duplicate, refused_unknown, refused_full, refused_value;
    uint64_t log_total; /* rows ever; the newest is log[(log_total - 1) % STRATEGY_LOG_MAX] */
    uint32_t pending_count;
    uint32_t acting;         /* enum strategy_policy_id */
    int64_t acting_since_ns; /* choices from here on are its own; INT64_MIN from the first */
    double promised;         /* lower end of its value when it was adopted; NaN: own */
    uint64_t reviews, adopted, returned; /* returned: to own, for a promise that was not kept */
    uint64_t reviewed_at;                /* settled at the last review */
    uint64_t looks_began_at;             /* log_total at the first of the looks */
    uint32_t looks;                      /* at this log: each makes the next one's level smaller */
    uint32_t reserved;
    uint64_t verdicts[STRATEGY_VERDICTS];                 /* of all candidates of all reviews */
    struct strategy_evaluation newest[STRATEGY_POLICIES]; /* of the last review */
    struct strategy_policy policies[STRATEGY_POLICIES];
    struct strategy_row pending[STRATEGY_PENDING_MAX], log[STRATEGY_LOG_MAX];
};

/* config becomes STRATEGY_POLICY_OWN and acts without a trial: there is nothing to judge it on. */
void strategy_init(struct strategy_state *state, uint64_t seed,
                   const struct strategy_config *config);
/* The policy that acts. */
const struct strategy_policy *strategy_acting(const struct strategy_state *state);

/* What a symbol's own trades say of one strategy in this regime. samples 0: nothing. */
struct strategy_prior {
    double mean_r, samples;
};
/* out (STRATEGY_ARMS) from the memory's cells of that symbol. */
void strategy_priors(struct strategy_prior *out, const struct memory_state *memory,
                     const char *symbol, enum regime regime, int64_t now_ns);

enum strategy_how {
    STRATEGY_BY_NOTHING = 0, /* nothing suits: no trade */
    STRATEGY_BY_POSTERIOR,   /* Thompson */
    STRATEGY_BY_CHANCE,      /* classic: explored */
    STRATEGY_BY_HEURISTIC,   /* classic: too little known */
    STRATEGY_BY_Q            /* classic: the highest Q */
};
const char *strategy_how_text(enum strategy_how how);

struct strategy_decision {
    uint32_t arm;      /* enum strategy_id */
    uint32_t eligible; /* bit mask */
    uint32_t how;      /* enum strategy_how */
    uint32_t explored; /* not the arm of the highest expected R (classic: chosen by chance) */
    double propensity; /* = probability[arm] */
    /* Thompson: share of posterior samples in which the arm is best. Classic: 0.50 by chance, 0.60
     * heuristic, min(0.95, 0.6 + 0.5 (Q - 0.4)). 0 for none. */
    double confidence;
    double probability[STRATEGY_ARMS]; /* sum 1 over eligible arms */
    double expected_r[STRATEGY_ARMS];  /* posterior mean with the symbol's shift; classic: Q */
    double shift[STRATEGY_ARMS];
    struct strategy_context context;
    struct strategy_prior priors[STRATEGY_ARMS]; /* as given; samples 0 without */
};

/* Chooses for one intent. A symbol's own mean m_s of s samples shifts the context's mean m of
 * that arm by s / (s + symbol_samples) (m_s - m); priors (STRATEGY_ARMS) or NULL.
 *
 * Thompson: `draws` samples of all means; an arm's frequency f of being best, p = (1 - floor) f +
 * floor / n; the arm is drawn from p, so p is its exact propensity, and on average it is what one
 * sample would have chosen.
 * Source  Thompson, Biometrika 25 (1933); Chapelle, Li, NIPS 2011; posterior: Murphy, Conjugate
 *         Bayesian analysis of the Gaussian distribution (2007); forgetting: Raj, Kalyani, arXiv
 *         1707.09727; gamma draws: Marsaglia, Tsang, ACM TOMS 26 (2000).
 * `width` scales each sample's distance from its mean: Chapelle, Li, NIPS 2011, section 3.
 * Time    O(draws arms) */
void strategy_choose(struct strategy_decision *out, struct strategy_state *state,
                     const struct strategy_context *context, const struct strategy_prior *priors);

enum strategy_answer {
    STRATEGY_TAKEN = 0,
    STRATEGY_DUPLICATE, /* this id is pending, or was settled among the last STRATEGY_LOG_MAX */
    STRATEGY_NOT_KNOWN, /* no such id is pending */
    STRATEGY_FULL,      /* STRATEGY_PENDING_MAX are pending: the trade will not be learned from */
    STRATEGY_NOT_USABLE /* id 0, no arm, |net_r| > 100 or NaN, closed before it was chosen */
};
const char *strategy_answer_text(enum strategy_answer answer);

/* The choice became a trade with this id: any number that the closed trade carries back (its
 * intent_id). What the other policies would have done is written beside it. All but TAKEN change
 * nothing but a counter. Time O(policies draws arms). */
enum strategy_answer strategy_opened(struct strategy_state *state, uint64_t trade_id,
                                     const struct strategy_decision *decision, int64_t ts_ns);
/* The trade closed at ts_ns: its choice is rewarded and leaves the table. Told twice: refused. */
enum strategy_answer strategy_closed(struct strategy_state *state, uint64_t trade_id, double net_r,
                                     int64_t ts_ns);
/* The trade never was (denied, expired, rejected): its choice leaves without reward. */
enum strategy_answer strategy_dropped(struct strategy_state *state, uint64_t trade_id);
/* The pending choice, NULL if there is none; until the next change. */
const struct strategy_row *strategy_pending(const struct strategy_state *state, uint64_t trade_id);

/* ---- Judging policies on what one of them logged ---- */

/* Doubly robust value of a policy on the rows of the log chosen since the present one acts:
 *     v_i = direct_i + w_i (r_i - expected_i(a_i)),   w_i = min(20, weight_i)
 * expected is what the acting policy foresaw, made of trades closed before, direct its mean under
 * the policy: the mean of v is unbiased but for clipping, whatever the quality of what was
 * expected. Gain: against v of the policy that acts. Interval: mean +- 1.96 error, the error by the
 * larger of the plain variance and that of Newey and West (1987; lags 4 (n/100)^(2/9), at most 8),
 * as trades open together share the market's moves. Verdict 0, level NaN. All NaN with fewer
 * than 2 rows.
 * Source  Dudik, Langford, Li, "Doubly robust policy evaluation and learning" (ICML 2011). */
void strategy_evaluate(struct strategy_evaluation *out, const struct strategy_state *state,
                       enum strategy_policy_id policy);

enum strategy_why { STRATEGY_BETTER = 1, STRATEGY_PROMISE_BROKEN };
const char *strategy_why_text(enum strategy_why why); /* "better", "promise_broken" */

/* A change of the policy that acts. */
struct strategy_review {
    int64_t ts_ns;
    uint32_t from, to; /* enum strategy_policy_id */
    uint32_t why;      /* enum strategy_why */
    uint32_t look;     /* of this log; 0: none was needed */
    uint64_t review;
    double promised;                   /* PROMISE_BROKEN: what it was to earn at least */
    struct strategy_evaluation before; /* the policy that leaves, on its own rows */
    struct strategy_evaluation judged; /* BETTER: the policy that comes; else that which leaves */
};

/* Once in review_trades closed trades, in order:
 *   - one that was adopted, and whose own rows (100 at least) lie with their whole interval below 0
 *     and below the lower end promised when it was: own acts again;
 *   - fewer than 200 rows of the present policy: nothing, and too_few is counted;
 *   - look k at this log: each other policy is judged at the level 0.05 6 / (pi^2 k^2) / 4, which
 *     sum to 0.05 over all looks and candidates; of those allowed the one of the largest gain acts
 *     from now on. The looks begin anew when the log has been wholly replaced.
 * A new policy has no rows: nothing but its own failure can follow it before 200 trades of its own.
 * True: out says what has changed. False: nothing changed but counts and `newest`.
 * Time  O(policies rows), once in review_trades; else O(1). */
bool strategy_review(struct strategy_review *out, struct strategy_state *state, int64_t now_ns);

/* ---- Keeping ---- */

bool strategy_config_check(const struct strategy_config *config);
/* Sets the checksum; the block may then be written as it is. */
void strategy_seal(struct strategy_state *state);
/* bytes (size) as strategy_seal left them. ST_VERSION, ST_CORRUPT: out is not to be used. */
enum status strategy_restore(struct strategy_state *out, const void *bytes, size_t size,
                             struct err *err);
/* True if numbers are finite and in range, ids unique, counts what they count. */
bool strategy_check(const struct strategy_state *state);
/* A toy problem in `scratch`: true if the best arm is found and every trade counts once. */
bool strategy_self_test(struct strategy_state *scratch);

#endif
