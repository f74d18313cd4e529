/* The AI engine: what the parts of the brain know, in one block and one order of calls.
 *
 *     every closed bar      engine_bar()      regime, returns, outcomes whose horizon ended, inputs' drift
 *     once a close, after   engine_close()    what came true moves weights, levels, interval, reliability
 *     then, with the votes  engine_decide()   one answer a symbol, whole, with its reasons; HOLD is one
 *     when it becomes an intent, never was a trade, is over
 *                           engine_opened(), engine_dropped(), engine_closed()   credited once, by intent id
 *     when a model file takes a seat, the first time too
 *                           engine_model_replaced()
 *
 * What is decided at a close uses weights, levels and the bias block as they stood before its votes: no
 * answer is judged by itself, and no answer depends on the place of its symbol in the list but for the
 * generator's draws, which go by that order.
 *
 * The state is one block without pointers: memcpy is a snapshot, at any point between two calls. Pure:
 * nothing allocates, no clock but the bars'. Not safe for two threads at once.
 *
 * Units. Returns, distances, costs: fractions. Sizes: notional / equity. Times: ns UTC.
 * docs/engine.md. Tests: test_engine.c, test_trades.c, test_limits.c. */
#ifndef BRAIN_ENGINE_ENGINE_H
#define BRAIN_ENGINE_ENGINE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "brain/ensemble/conformal.h"
#include "brain/ensemble/ensemble.h"
#include "brain/ensemble/recalibration.h"
#include "brain/ensemble/reliability.h"
#include "brain/governance/forecasts.h"
#include "brain/governance/governance.h"
#include "brain/memory/memory.h"
#include "brain/portfolio/portfolio.h"
#include "brain/regime/regime.h"
#include "brain/sizing/leverage.h"
#include "brain/sizing/sizing.h"
#include "brain/strategy/strategy.h"
#include "brain/supervisor/supervisor.h"
#include "domain/bar.h"

/* ---- configuration ---- */

struct engine_config {
    int64_t interval_ns;           /* of a bar: 1 h */
    uint32_t horizon;              /* bars of a forecast: 12 */
    uint32_t input_rows_per_close; /* 1: symbols whose row the drift of inputs sees, in turn */
    double barrier_atr;            /* 2.0: barriers of the label in ATR … */
    double barrier_min;            /* 0.0042: … at least; both as in training */
    double cost;                   /* 0.0014 round trip, where an ask knows none of its own */
    double stop_cost_multiple;     /* 2.0: stops nearer than this many round trips are set there */
    double conformal_alpha;        /* 0.10 */
    double conformal_step;         /* 0.02 */
    uint64_t
        reliability_min; /* 200 statements before the calibration error says how sure an edge is */
    uint64_t seed;
    struct ensemble_config ensemble;           /* weights are governance's priors */
    struct recalibration_config recalibration; /* of the pool */
    struct governance_config governance;
    struct supervisor_config supervisor;
    struct drift_config drift;
    struct regime_config regime;
    struct memory_config memory;
    struct strategy_config strategy;
    struct sizing_config sizing;
    struct sizing_learner_config sizing_learner;
    struct portfolio_config portfolio;
};
/* The modules' own defaults; error_block is the horizon, bars_per_day follow from the interval. */
struct engine_config engine_config_defaults(int64_t interval_ns, uint32_t horizon);
/* The first value that is impossible, or pair of values that contradict each other, in words; NULL if
 * there is none. */
const char *engine_config_fault(const struct engine_config *config);

/* ---- state ---- */

/* What may be lowered while it runs; never above the configuration. */
struct engine_limits {
    double stop_risk; /* of equity lost at a stop */
    double total_max; /* notional / equity of all */
    uint32_t leverage_max, positions_max;
};

enum {
    ENGINE_VERSION = 5,
    ENGINE_OPEN_MAX = STRATEGY_PENDING_MAX, /* intents and trades under way: beyond, refused */
    ENGINE_DONE_MAX = 4096,                 /* ids settled last, remembered */
    ENGINE_SIGNALS_PER_CLOSE = 8            /* that the bias block sees, another part each time */
};
static_assert((int)ENGINE_DONE_MAX >= (int)STRATEGY_LOG_MAX, "refused here before it is there");
#define ENGINE_MAGIC UINT64_C(0x454E49474E455451) /* "QTENGINE" */

/* What the market is like; NaN: not known, which never makes anything larger. */
struct engine_market {
    double volume_24h;   /* quote units */
    double depth;        /* quote units near the touch */
    double spread_bps;   /* … */
    double funding_rate; /* next settlement, fraction */
    double divergence;   /* between venues, 0..1 */
};

/* What was said at a close, until its horizon is over. */
struct engine_note {
    int64_t decided_ts_ns; /* open of the bar */
    uint32_t action, regime;
    double p[LABEL_COUNT], pooled[LABEL_COUNT]; /* pooled: before its calibration */
    double confidence;
};
struct engine_symbol {
    char name[SYMBOL_SIZE];
    struct bar bar; /* the newest; open_ts_ns INT64_MIN: none yet */
    struct engine_market market;
    struct regime_state regime;
    struct regime_reading reading;
    double adx, trend, atr, volatility_ratio; /* of its row; NaN not known */
    uint32_t has_due, is_decided;             /* is_decided: asked about its newest bar */
    struct forecast due;                      /* over since the last engine_close */
    struct engine_note notes[FORECASTS_HORIZON_MAX];
    struct forecasts forecasts;
};
/* One intent on its way or trade that is open. */
struct engine_open_trade {
    uint64_t intent_id; /* 0: free */
    int64_t ts_ns;
    uint32_t symbol, regime, arm;
    uint32_t is_sized; /* the sizing learner waits for it, too */
    double confidence;
};
/* What an answer of a model is compared with: its own test, its own training rows. */
struct engine_model {
    struct supervisor_reference test;
    const struct drift_reference *inputs; /* (features) in row order, or NULL: inputs not watched */
    const double *importance;             /* (features) >= 0, or NULL: all alike */
    uint32_t features, reserved;
};

/* Followed in the block by struct engine_symbol (symbol_count), then struct portfolio_series
 * (symbol_count). To be read, not written. */
struct engine {
    uint64_t magic;
    uint32_t version, symbol_count;
    uint64_t size_bytes;
    uint64_t checksum; /* of everything behind it; by engine_seal */
    struct engine_config config;
    struct engine_limits limits; /* in force: the configuration's, or lower */
    int64_t close_ts_ns;         /* of the last engine_close; INT64_MIN none */
    uint64_t closes, decisions, holds, entries, outcomes, outcomes_lost, bars, bars_refused;
    uint64_t opened, dropped, credited, refused, sizing_lost;
    uint32_t seated[MODEL_COUNT]; /* 1: a model file has this seat */
    uint32_t features[MODEL_COUNT];
    double label_buys, label_sells; /* barriers hit lately, faded */
    uint64_t done_count, done[ENGINE_DONE_MAX];
    struct engine_open_trade open[ENGINE_OPEN_MAX];
    struct governance governance;
    struct supervisor supervisor[MODEL_COUNT];
    struct drift drift[MODEL_COUNT];
    double importance[MODEL_COUNT][DRIFT_FEATURES_MAX];
    struct bias bias;
    struct conformal conformal;
    struct recalibration recalibration;
    struct reliability reliability; /* of the ensemble's best label, as it was said */
    struct memory_state memory;
    struct strategy_state strategy;
    struct sizing_learner sizing;
};

/* Scratch of one call, nothing of it outlives the call. */
struct engine_scratch {
    struct portfolio_book book;
    struct portfolio_wish wishes[INSTRUMENTS_MAX];
    uint32_t asked[INSTRUMENTS_MAX];
    struct governance_outcome outcomes[INSTRUMENTS_MAX];
    double residuals[INSTRUMENTS_MAX], widths[INSTRUMENTS_MAX];
    double answers[INSTRUMENTS_MAX][LABEL_COUNT], pooled[INSTRUMENTS_MAX][LABEL_COUNT];
    uint32_t labels[INSTRUMENTS_MAX];
    struct memory_state memory; /* engine_self_test alone */
    struct strategy_state strategy;
};

/* Bytes of the block for so many symbols, 1..INSTRUMENTS_MAX (asserted). */
size_t engine_size(uint32_t symbol_count);
/* names (symbol_count), different, not empty. e: engine_size() bytes, aligned to 8. No seat is taken; table:
 * residuals of out-of-time rows for the interval, or NULL. Returns ST_INVALID with the fault of the
 * configuration or the name, e untouched. */
enum status engine_init(struct engine *e, const struct engine_config *config,
                        const char (*names)[SYMBOL_SIZE], uint32_t symbol_count,
                        const struct conformal_table *table, struct err *err);
const struct engine_symbol *engine_symbol_get(const struct engine *e, uint32_t symbol);
/* From the next decision on each limit is the least of the configuration's and this one; so a later call may raise what
 * an earlier one lowered. What is not a number, or negative, is 0. */
void engine_limits_lower(struct engine *e, const struct engine_limits *limits);

/* ---- what has changed ---- */

enum engine_event_kind {
    ENGINE_WEIGHTS = 1,    /* weights: which, why, before and after, losses */
    ENGINE_LEVEL,          /* level: a change that takes or gives no vote */
    ENGINE_EXCLUDED,       /* level: has no vote from now on */
    ENGINE_RESTORED,       /* level: votes again */
    ENGINE_RETRAIN_WANTED, /* level: a new model is wanted, said once */
    ENGINE_POLICY          /* policy: another way to choose strategies acts from now on */
};
const char *engine_event_text(enum engine_event_kind kind); /* "weights" … */
struct engine_event {
    int64_t ts_ns;
    uint32_t kind;
    uint32_t model; /* MODEL_COUNT: all */
    struct governance_change weights;
    struct supervisor_event level;
    struct strategy_review policy;
};
enum { ENGINE_EVENTS_MAX = 2 + 3 * MODEL_COUNT };
struct engine_events {
    uint32_t count, reserved;
    struct engine_event items[ENGINE_EVENTS_MAX];
};

/* ---- the round ---- */

/* A closed bar and its row (feature_count()), cross-section columns filled. market NULL: nothing known.
 * False, nothing changed but a counter: an impossible bar, one not later than the last one, one whose
 * close engine_close has passed. symbol < symbol_count (asserted). */
bool engine_bar(struct engine *e, uint32_t symbol, const struct bar *bar, const float *row,
                const struct engine_market *market);
/* All bars that end at close_ts_ns are given. Outcomes that are over by now: a round of governance, an error
 * and a step of every seated model's supervisor, a round of the interval, the reliability table, the
 * market's share of BUY, the memory of forecasts; once in so many closed trades the strategies' policy is reviewed.
 * False, nothing changed: not later than the last one. */
bool engine_close(struct engine *e, struct engine_events *out, struct engine_scratch *scratch,
                  int64_t close_ts_ns);

/* X(reason, text), in order of precedence. */
#define ENGINE_REASON_TABLE(X)                                                                     \
    X(ENGINE_ALLOW, "allow")                                                                       \
    X(ENGINE_SYMBOL_UNKNOWN, "symbol_unknown")                                                     \
    X(ENGINE_NO_BAR, "no_bar")     /* no bar ended at this close, or it was asked about before */  \
    X(ENGINE_NO_VOTER, "no_voter") /* absent, warming, excluded, all of them */                    \
    X(ENGINE_HOLD, "hold")         /* the voters say so, or a tie, or below confidence_min */      \
    X(ENGINE_ATR_UNKNOWN, "atr_unknown")                                                           \
    X(ENGINE_ENTRY_BARRED, "entry_barred") /* the ask wants a signal only */                       \
    X(ENGINE_BIAS_BLOCK, "bias_block")                                                             \
    X(ENGINE_NO_STRATEGY, "no_strategy")         /* none suits: strategy.eligible */               \
    X(ENGINE_ACCOUNT_UNKNOWN, "account_unknown") /* holdings that cannot be */                     \
    X(ENGINE_PORTFOLIO, "portfolio")             /* verdict.reason says which */                   \
    X(ENGINE_SIZING, "sizing")                   /* sizing.reason says which */                    \
    X(ENGINE_OPEN_FULL, "open_full")             /* ENGINE_OPEN_MAX under way */
enum engine_reason {
#define ENGINE_REASON_ENUM(name, text) name,
    ENGINE_REASON_TABLE(ENGINE_REASON_ENUM)
#undef ENGINE_REASON_ENUM
        ENGINE_REASON_COUNT
};
const char *engine_reason_text(enum engine_reason reason);

struct engine_ask {
    uint32_t symbol;
    uint32_t may_enter;                   /* 0: only a signal is wanted: held, cooling, halted */
    struct model_vote votes[MODEL_COUNT]; /* by kind, calibrated */
    double cost;         /* round trip, fraction; NaN: the configuration's; out of 0..0.5: 0.5 */
    double fraction_min; /* least the venue takes, of equity */
};
struct engine_account {
    const struct portfolio_holding *holdings; /* held or on its way */
    uint32_t holding_count, reserved;
    double margin_available; /* free margin / equity */
    double margin_used;      /* share of the account's margin, 0..1 */
};

/* Everything that was said of one symbol. Parts not reached are zero, with reason telling why. */
struct engine_decision {
    uint32_t symbol, reason; /* enum engine_reason */
    uint32_t action;         /* what to do: enum label; HOLD unless reason is ENGINE_ALLOW */
    uint32_t leverage;       /* 0 unless allowed */
    double fraction;         /* size, notional / equity; 0 unless allowed */
    int64_t ts_ns;           /* the close */

    struct ensemble_signal
        signal; /* what the voters say: label, p (calibrated), confidence, effective weights */
    double pooled[LABEL_COUNT]; /* p before its calibration */
    /* Without a voter p, move, confidence and interval of `signal` are those of all models that answered, by the same
     * pool: what is thought, and kept calibrated, though nobody has shown enough to act on it. action is HOLD,
     * voters and weights 0. 1: that is so. */
    uint32_t is_opinion, reserved;
    uint32_t states[MODEL_COUNT]; /* enum vote_state, the supervisor's word included */
    struct vote_spread spread;
    double trust;           /* share of the weights that stands by its vote: multiplies the size */
    double expected_return; /* of the price until a barrier, or the horizon's end if none is met */
    struct conformal_interval interval; /* of the return; all zero where has_interval is 0 */
    uint32_t has_interval;
    uint32_t was_noted; /* it will be judged when its horizon is over */
    double distance;    /* of the label's barriers; NaN unknown */

    struct regime_reading regime;
    struct strategy_decision strategy;          /* arm: enum strategy_id */
    double stop_distance, take_distance[3];     /* of the arm, fractions of price */
    double cost, edge_gross, edge_net, edge_se; /* se NaN: not enough judged yet */
    struct sizing_choice choice;
    struct sizing_input input;
    struct sizing_decision sizing; /* limits by name, edge after shrinking */
    struct portfolio_room room;
    struct portfolio_verdict verdict;
};
/* One answer an ask, in their order. asks (count), count <= INSTRUMENTS_MAX (asserted); a symbol twice
 * gets ENGINE_NO_BAR the second time. Best edges are sized first. fraction <= each of sizing.limits and of
 * the rooms of the portfolio; fraction / leverage summed <= margin_available. An entry that is
 * not told engine_opened() has no consequence. Between engine_close and the next engine_bar. */
void engine_decide(struct engine_decision *out, struct engine *e, struct engine_scratch *scratch,
                   const struct engine_ask *asks, uint32_t count,
                   const struct engine_account *account);
/* What of the holdings should be less, by the caps in force and the bars up to the last engine_close: out
 * (holding_count). Returns how many; 0 for holdings that cannot be. Nothing is changed, however often it is asked;
 * what is on its way out is for the caller to leave out. */
uint32_t engine_rebalance(struct portfolio_proposal *out, const struct engine *e,
                          struct engine_scratch *scratch, const struct engine_account *account);

/* ---- trades ---- */

enum engine_answer {
    ENGINE_TAKEN = 0,
    ENGINE_DUPLICATE, /* known already, or settled among the last ENGINE_DONE_MAX */
    ENGINE_NOT_KNOWN, /* no such id is under way */
    ENGINE_FULL,
    ENGINE_NOT_USABLE /* id 0, a decision that allows nothing, an outcome that cannot be */
};
const char *engine_answer_text(enum engine_answer answer); /* "taken" … */

struct engine_outcome {
    double net_r;    /* net PnL / loss at the first stop, -100..100 */
    double result;   /* net PnL / notional at entry, > -1, <= 10 */
    double drawdown; /* worst loss on the way / notional, 0..1 */
    int64_t held_ns, ts_ns;
};
/* All but ENGINE_TAKEN change nothing but a counter. Told in the order of the kernel: opened when the intent
 * is sent, dropped when it was denied, expired or rejected, closed with the trade's numbers: strategy,
 * sizing and memory learn from it, each once. */
enum engine_answer engine_opened(struct engine *e, uint64_t intent_id,
                                 const struct engine_decision *decision);
enum engine_answer engine_dropped(struct engine *e, uint64_t intent_id);
enum engine_answer engine_closed(struct engine *e, uint64_t intent_id,
                                 const struct engine_outcome *outcome);

/* ---- models, keeping ---- */

/* A model file takes the seat: its supervisor and its inputs begin anew, its weight at its prior; forecasts of its
 * predecessor that are still open are forgotten and credited to no one. ST_INVALID: a reference that cannot be,
 * nothing changed. out: at most one event. */
enum status engine_model_replaced(struct engine *e, struct engine_events *out, enum model_kind kind,
                                  const struct engine_model *model, int64_t ts_ns, struct err *err);
/* No file: its votes are absent until one comes. */
void engine_model_removed(struct engine *e, enum model_kind kind);

/* quantum:feedback:strategic_memory as it is now. */
void engine_feedback(struct memory_feedback *out, const struct engine *e, int64_t now_ns);

/* For the health page. */
struct engine_view {
    double weights[MODEL_COUNT];   /* effective */
    uint32_t levels[MODEL_COUNT];  /* enum supervisor_level */
    uint32_t reasons[MODEL_COUNT]; /* bits of enum supervisor_reason */
    double losses[MODEL_COUNT];    /* newest errors, nats; 0 none */
    uint32_t seated, open;
    uint32_t regimes[REGIME_COUNT]; /* symbols */
    uint32_t bias_blocked;          /* enum label, HOLD none */
    double bias_buy_share, trust;
    double ece, ece_chance, coverage, win_rate;
    double pool_slope; /* of the pool's calibration: 1 as pooled, above 1 the pool is too modest */
};
void engine_view_get(struct engine_view *out, const struct engine *e);

/* Whether every part is what it can be, and the parts agree. ST_CORRUPT names the first that is not. */
enum status engine_check(const struct engine *e, struct err *err);
/* Known answers of the parts that have some, in scratch: bit 0 regime, 1 memory, 2 strategy, 3 sizing are
 * set where one fails; 0 is good. Cold: tens of milliseconds. */
uint32_t engine_self_test(struct engine_scratch *scratch);
/* Sets the checksums; the block may then be written as it is. */
void engine_seal(struct engine *e);
/* bytes (size) as engine_seal left them, into out (size bytes). ST_VERSION, ST_CORRUPT: out is not to
 * be used. */
enum status engine_restore(struct engine *out, const void *bytes, size_t size, struct err *err);

#endif
