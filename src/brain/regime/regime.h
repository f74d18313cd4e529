/* What kind of market a symbol is in: one enum for the whole program, by stated rules with
 * hysteresis, and beside them a hidden Markov model fitted on data, with a function that compares
 * the two.
 *
 * An input that is not known is NaN, never 0. What cannot be known is REGIME_UNKNOWN with the
 * reason. States are fixed in size and hold no pointers. Nothing allocates. */
#ifndef BRAIN_REGIME_REGIME_H
#define BRAIN_REGIME_REGIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(id, text). The one table; values are permanent. */
#define REGIME_TABLE(X)                                                                            \
    X(REGIME_UNKNOWN, "unknown")                                                                   \
    X(REGIME_TREND_UP, "trend_up")                                                                 \
    X(REGIME_TREND_DOWN, "trend_down")                                                             \
    X(REGIME_RANGE_LOW_VOL, "range_low_vol")                                                       \
    X(REGIME_RANGE_HIGH_VOL, "range_high_vol")                                                     \
    X(REGIME_HIGH_VOLATILITY, "high_volatility")                                                   \
    X(REGIME_ILLIQUID, "illiquid")

enum regime {
#define REGIME_ENUM(id, text) id,
    REGIME_TABLE(REGIME_ENUM)
#undef REGIME_ENUM
        REGIME_COUNT
};
const char *regime_text(enum regime regime);

/* Why it is UNKNOWN; in order of precedence. */
enum regime_reason {
    REGIME_REASON_NONE = 0,          /* a rule fired: not UNKNOWN */
    REGIME_REASON_NO_BAR,            /* nothing was read yet */
    REGIME_REASON_LIQUIDITY_MISSING, /* only where config.liquidity_required */
    REGIME_REASON_ATR_MISSING,
    REGIME_REASON_ADX_MISSING,
    REGIME_REASON_STRENGTH_MISSING,
    REGIME_REASON_IMPOSSIBLE, /* an input outside its range: a unit mistaken, a frozen series */
    REGIME_REASON_CONFLICT,   /* ADX says trend and strength does not, or the reverse */
    REGIME_REASON_COUNT
};
const char *regime_reason_text(enum regime_reason reason);

/* NaN: not known. */
struct regime_input {
    double adx;            /* 0..100 */
    double trend_strength; /* -1..1, sign is the direction */
    double atr_fraction;   /* mean true range / price, 0 < x < 0.5 */
    double volume_24h;     /* quote units, >= 0 */
    double depth;          /* quote units near the touch, >= 0 */
    double spread_bps;     /* >= 0 */
};

/* adx_14 and atr_fraction of the row; trend strength from it (below); liquidity NaN, as it
 * is not in the row.
 * In      row  (feature_count()) of the registry */
void regime_input_from_row(struct regime_input *out, const float *row);

/* (EMA(10) / EMA(50) - 1) / (5 ATR fraction), clamped to -1..1: how far the averages are apart,
 * in units of five ATR, so that one threshold serves quiet and wild symbols. A steady drift of d
 * ATR a bar gives 4 d (the averages lag 4.5 and 24.5 bars): the threshold 0.3 is a drift of 0.075
 * ATR a bar. NaN if an argument is NaN or atr_fraction is not > 0. */
double regime_trend_strength(double ema_10_50_cross, double atr_fraction);

struct regime_config {
    double adx_trend;      /* 25 */
    double strength_trend; /* 0.3 */
    double atr_extreme;    /* 0.06 of price: HIGH_VOLATILITY */
    double atr_range_high; /* 0.04: between the two ranges */
    double volume_min;     /* 2e6 */
    double depth_min;      /* 50e3 */
    double spread_bps_max; /* 10 */
    /* Hysteresis: every threshold is moved by this share in favour of what is held … */
    double margin; /* 0.10 */
    /* … and a change must be read this many bars in a row. Not waited for: ILLIQUID,
     * HIGH_VOLATILITY, and what is not known or was not known before. */
    uint32_t confirm_bars; /* 3 */
    /* Nonzero: UNKNOWN while missing liquidity figures could hide ILLIQUID. 0: the other rules then
     * decide, and liquidity_missing shows it (a backtest on candles has no depth). */
    uint32_t liquidity_required; /* 0 */
};
struct regime_config regime_config_defaults(void);

struct regime_reading {
    uint32_t regime;            /* enum regime */
    uint32_t reason;            /* enum regime_reason */
    uint32_t liquidity_missing; /* of volume, depth, spread */
    uint32_t pending;           /* a change waits for confirmation */
    double confidence;          /* 0..1 */
};

/* The rules alone, without memory, in this order:
 *   ILLIQUID 0.95         two known ones of volume < min, depth < min, spread > max
 *   HIGH_VOLATILITY 0.90  ATR >= atr_extreme
 *   TREND_UP, _DOWN       ADX >= adx_trend and |s| >= strength_trend;
 *                         min(0.95, 0.6 + 0.2 ADX/100 + 0.15 |s|)
 *   RANGE_HIGH/LOW_VOL    both below; HIGH where ATR >= atr_range_high;
 *                         min(0.90, 0.65 + 0.25 (1 - |s|))
 *   UNKNOWN 0.50          CONFLICT;  0 where something is missing or impossible
 * s is the trend strength. Pure. */
void regime_classify(struct regime_reading *out, const struct regime_config *config,
                     const struct regime_input *input);

struct regime_state {
    uint32_t regime, reason; /* held */
    uint32_t candidate;      /* read last, if it is not the held one */
    uint32_t candidate_bars; /* in a row */
    uint32_t away_bars;      /* in a row that were not the held one, whatever they were */
    uint32_t reserved;
    uint64_t bars;     /* stepped */
    uint64_t held_for; /* bars since the last change */
    uint64_t switches;
    double confidence;
};
void regime_init(struct regime_state *state);

/* One closed bar. While a change waits, the held regime is told with confidence <= 0.50. When 3
 * times confirm_bars in a row were not the held one, though not the same either, the last one
 * read is taken.
 * Out     out  what is held now */
void regime_step(struct regime_reading *out, struct regime_state *state,
                 const struct regime_config *config, const struct regime_input *input);

/* ---- Hidden Markov model: normal, independent dimensions in each state ---- */

enum { REGIME_STATES_MIN = 2, REGIME_STATES_MAX = 4, REGIME_DIMS = 2 };

/* One bar as the model sees it: log return, and the log of (high - low) / close. */
struct regime_bar {
    double x[REGIME_DIMS]; /* NaN: not known; the bar then only moves the chain on */
};
/* log_return_1 and log(high_low_range) of the row; a range below 1e-6 counts as 1e-6. */
void regime_bar_from_row(struct regime_bar *out, const float *row);

struct regime_hmm {
    uint32_t states; /* 0: not fitted */
    uint32_t parameters, iterations, converged;
    uint64_t samples; /* known bars it was fitted on */
    double log_likelihood;
    double bic; /* parameters ln(samples) - 2 log_likelihood: lower is better */
    double start[REGIME_STATES_MAX];
    double move[REGIME_STATES_MAX][REGIME_STATES_MAX]; /* [from][to], rows sum to 1 */
    double mean[REGIME_STATES_MAX][REGIME_DIMS], sd[REGIME_STATES_MAX][REGIME_DIMS];
};

struct regime_fit_options {
    uint32_t iterations_max; /* 200 */
    /* 5 beginnings of two states: apart in range, in return, in both; the others on random bars. */
    uint32_t restarts;
    double tolerance; /* 1e-6: stops when the log-likelihood gains less than this share */
    /* Least chance to stay: 0.90, ten bars on average. What passes with the bar is no regime;
     * without it states sort single bars by size, as return and range of one bar go together. */
    double stay_least;
    uint64_t seed;
};
struct regime_fit_options regime_fit_options_defaults(void);

/* Doubles of scratch that fitting `count` bars takes. */
size_t regime_hmm_work_count(size_t count);

/* Fits by Baum-Welch. Cold path. Series follow each other in `bars` and share the model, not the
 * chain. Two states are climbed to from several beginnings; each further one by splitting every
 * state of the model with one fewer, along each dimension, and keeping the best. States are
 * ordered by the mean of the log range, ascending.
 *
 * Returns  false, out->states 0, with fewer than 50 known bars a state, or where a dimension never
 *          varies
 * In       bars (sum of lengths), lengths (series_count), states 2..4; work (regime_hmm_work_count)
 * Source   Baum, Petrie, Soules, Weiss, Ann. Math. Stat. 41 (1970); scaling: Rabiner, Proc. IEEE 77
 *          (1989), V.A. The bound on staying: after the sticky HMM of Fox, Sudderth, Jordan,
 *          Willsky, Ann. Appl. Stat. 5 (2011). Deviations have a floor of 1 % of the dimension's
 *          own: no state can collapse onto one bar. */
bool regime_hmm_fit(struct regime_hmm *out, const struct regime_bar *bars, const size_t *lengths,
                    size_t series_count, uint32_t states, const struct regime_fit_options *options,
                    double *work);

/* The one of 2..4 states with the lowest BIC (Schwarz 1978). bic, if not NULL, (REGIME_STATES_MAX
 * + 1): by number of states, NaN where there is no fit. False if none could be fitted. */
bool regime_hmm_select(struct regime_hmm *out, double *bic, const struct regime_bar *bars,
                       const size_t *lengths, size_t series_count,
                       const struct regime_fit_options *options, double *work);

/* P(state | bars up to now), for one symbol. */
struct regime_filter {
    double p[REGIME_STATES_MAX];
    uint64_t bars; /* 0: nothing seen, p is not used */
};
void regime_filter_init(struct regime_filter *filter);
/* O(states^2). Returns the log density of what is known of the bar given the past, 0 if nothing
 * is. */
double regime_filter_step(struct regime_filter *filter, const struct regime_hmm *model,
                          const struct regime_bar *bar);
/* Log density of dimension `dim` of the next bar at x. filter->bars > 0 (asserted). */
double regime_filter_forecast(const struct regime_filter *filter, const struct regime_hmm *model,
                              uint32_t dim, double x);
/* Index of the likeliest state. */
uint32_t regime_filter_best(const struct regime_filter *filter, const struct regime_hmm *model);

/* What a state would be called by the rules' thresholds: its mean range as ATR, 4 mean / range as
 * trend strength. Never ILLIQUID or UNKNOWN. */
enum regime regime_hmm_label(const struct regime_hmm *model, uint32_t state,
                             const struct regime_config *config);

/* True if probabilities are >= 5e-7 and sum to 1 (1e-9), deviations > 0, all finite: what
 * regime_filter_step asks of a model. */
bool regime_hmm_check(const struct regime_hmm *model);

/* ---- Rules and model beside each other ---- */

enum regime_forecaster {
    REGIME_BY_NOTHING = 0, /* one normal: mean and deviation of the first part */
    REGIME_BY_RULES,       /* one normal a regime, from the bars after it in the first part */
    REGIME_BY_HMM,         /* the model's mixture */
    REGIME_BY_EWMA,        /* exponential weights 0.94 (RiskMetrics): what knows no regimes */
    REGIME_FORECASTERS
};
const char *regime_forecaster_text(enum regime_forecaster forecaster);

struct regime_comparison {
    uint64_t bars;                                    /* of the second part, rules not UNKNOWN */
    uint64_t scored;                                  /* bars with all four forecasts */
    uint64_t counts[REGIME_COUNT][REGIME_STATES_MAX]; /* rules' regime, model's likeliest state */
    uint32_t labels[REGIME_STATES_MAX];               /* enum regime of each state */
    double agreement; /* share of bars where the state's label is the rules' regime */
    double kappa;     /* Cohen's: agreement above chance / what there is to have */
    double
        mutual_information; /* of regime and state / sqrt of the product of their entropies, 0..1 */
    /* Mean log density of the next bar's [log return, log range], nats: higher is better. */
    double score[REGIME_FORECASTERS][REGIME_DIMS];
    /* t of the mean difference to the rules' score (Newey, West 1987, lags 4 (n/100)^(2/9)). */
    double t_over_rules[REGIME_FORECASTERS][REGIME_DIMS];
};
/* One symbol. The first `train` bars fit what BY_NOTHING and BY_RULES need (and, it is the
 * caller's to see to, the model); the second part is only forecast. NaN where there is nothing to
 * say.
 * In      regimes (count) as the rules told them at each bar; bars (count)
 * Source  Gneiting, Raftery, J. Am. Stat. Assoc. 102 (2007): the logarithmic score is proper. */
void regime_compare(struct regime_comparison *out, const struct regime_hmm *model,
                    const struct regime_config *config, const uint8_t *regimes,
                    const struct regime_bar *bars, size_t count, size_t train);

/* Runs the rules, the hysteresis and a filter on made-up input: true if every answer is the known
 * one. */
bool regime_self_test(void);

#endif
