/* What the rest of the process may see of the kernel: one plain snapshot, published by the kernel
 * thread, copied out by readers. Everything shown anywhere (page, /health, /metrics, status line)
 * comes from it, so no two places can disagree. */
#ifndef KERNEL_VIEW_H
#define KERNEL_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "brain/engine/engine.h"
#include "brain/promotion/schedule.h"
#include "brain/promotion/seat.h"
#include "domain/instrument.h"
#include "domain/order.h"
#include "domain/trade.h"
#include "feature/feature.h"
#include "kernel/view_counts.h"
#include "trade/exitbrain/exitbrain.h"

enum run_mode { MODE_REPLAY = 0, MODE_PAPER, MODE_TESTNET, MODE_LIVE };
const char *run_mode_text(enum run_mode mode);

enum {
    VIEW_POSITIONS_MAX = 64,
    VIEW_ORDERS_MAX = 256,
    VIEW_TRADES_MAX = 64,
    VIEW_EQUITY_MAX = 512,
    VIEW_ROLES_MAX = 12,
    VIEW_REASONS_MAX = 48,
    VIEW_REJECTS_MAX = 32,
    VIEW_REASON_SIZE = 32
};

/* What the AI engine said at the symbol's last close, as of view_symbol.signal_ts_ns. Parts that were not reached
 * are zero; fractions are of price (distances, returns, cost) and of equity (fraction). */
struct view_decision {
    uint32_t reason;           /* enum engine_reason: the first that said no, else ENGINE_ALLOW */
    uint32_t portfolio_reason; /* enum portfolio_reason, where reason is ENGINE_PORTFOLIO */
    uint32_t sizing_reason;    /* enum sizing_reason, where reason is ENGINE_SIZING */
    uint32_t action;           /* to do: enum label */
    uint32_t leverage;         /* 0 unless allowed */
    uint32_t arm;              /* enum strategy_id; STRATEGY_NONE without one */
    uint32_t states[MODEL_COUNT];       /* enum vote_state, the supervisor's word included */
    uint32_t has_interval, was_decided; /* was_decided: 0, the engine was not asked yet */
    struct regime_reading regime;
    double fraction, trust, expected_return, interval_low, interval_high;
    double cost, edge_gross, edge_net, edge_se; /* se NaN: not known yet */
    double stop_distance, take_distance[3];
    double multiplier; /* of the size learner's choice */
};

/* What may be opened, and why not. Times are the market's; fractions of equity. */
struct view_risk {
    uint32_t emergency_stop, closing; /* by hand; the run is ending */
    uint32_t mode, tripped;           /* enum breaker_mode; bits 1 << enum breaker_trigger */
    uint32_t circuit, cause;          /* the common one: enum breaker_state, breaker_cause */
    uint32_t failures, is_down;       /* in a row; the link to the venue */
    uint32_t symbols_open, symbols_halted;
    uint32_t positions_max, leverage_max; /* limits in force, the mode's included */
    int64_t until_ns;                     /* of the common circuit's cooldown, 0 none */
    uint64_t opened, symbols_opened;      /* times: the common circuit, all others */
    uint64_t trips[5], downs;             /* by trigger */
    uint64_t commands_taken; /* of this process's queue, obeyed or refused, and on record */
    uint64_t live_orders;
    double day_result, fall;
    double confidence_min, risk_per_trade, exposure_total_max;
    money_t notional_symbol_max;
};

struct view_symbol {
    char symbol[SYMBOL_SIZE];
    px_t last_px, mark_px;
    int64_t bar_ts_ns;               /* close time of the last bar, 0 none yet */
    uint32_t warm;                   /* features complete */
    uint32_t bars_missing;           /* until warm; 0 when warm or not known */
    uint32_t status;                 /* enum instrument_status */
    uint32_t circuit, circuit_cause; /* enum breaker_state, breaker_cause */
    int64_t circuit_until_ns;
    uint64_t signal_id;
    int64_t signal_ts_ns, signal_expires_ns;
    struct ensemble_signal signal;
    struct model_vote votes[MODEL_COUNT];
    px_t stop_loss, take_profit; /* what the exits would be if taken now; 0 on HOLD */
    money_t position_size;       /* what sizing would take now */
    uint32_t leverage;
    uint32_t strategy; /* enum strategy_kind that made the signal */
    struct view_decision decision;
    float row
        [FEATURE_COUNT_MAX]; /* the models were asked about; NaN not known; 0 with strategies that have none */
};

/* What the Exit Brain says of a position. */
struct view_exits {
    uint32_t is_watched; /* 0: it does not look at this one; the rest is 0 */
    uint32_t profile;    /* enum exit_profile: by what it is ended */
    uint32_t leave;      /* enum exit_reason it is being ended for; EXIT_NONE: stay */
    uint32_t against,
        unsuited; /* closes in a row: the models say the other side; the regime suits it not */
    uint32_t is_nearer;     /* its stop was wanted nearer */
    double p_side, p_other; /* the models' last word of its side and of the other; NaN none */
};

struct view_position {
    char symbol[SYMBOL_SIZE];
    uint32_t instrument_index, side, leverage,
        protected_; /* protected_: stop confirmed, whole size */
    qty_t qty;
    px_t entry_px, mark_px, stop_px, take_profit_px;
    money_t unrealized_pnl, fees, funding;
    int64_t entry_ts_ns;
    struct view_exits exits;
};

/* Of a run with the Exit Brain; zero without. */
struct view_exit_brain {
    uint32_t is_on, reserved;
    uint64_t entries, left_out, moments; /* lived through, for want of room not, results known */
    uint64_t chosen[PROFILE_COUNT], advice[EXIT_REASON_COUNT], stops_nearer;
    struct exit_choice profiles[PROFILE_COUNT]; /* over all regimes: R gained over the own plans */
};

struct view_order {
    char client_order_id[CLIENT_ORDER_ID_SIZE];
    char symbol[SYMBOL_SIZE];
    uint32_t side, order_type, state, reduce_only;
    px_t limit_px, stop_px;
    qty_t order_qty, cum_qty;
    int64_t ts_ns;
};

struct view_equity {
    int64_t ts_ns;
    money_t wallet, equity;
};

struct view_role {
    char name[16];             /* feed engine bot executor monitor learner exchange api */
    int64_t last_work_wall_ns; /* wall clock of the last piece of work, 0 never */
    int64_t max_age_ns; /* older than this is not OK; 0: works on demand, age is not judged */
    uint64_t work_count;
};

struct view_reason {
    char reason[VIEW_REASON_SIZE];
    uint64_t count;
};

/* Spans from fill to stop are counted up to these, inclusive; one more count is of what is beyond the last. */
enum { VIEW_PROTECTED_EDGES = 14 };
extern const int64_t view_protected_edges_ns[VIEW_PROTECTED_EDGES];

struct view_reject { /* by the venue, of one code */
    int32_t code;
    uint32_t reserved;
    uint64_t count;
};

/* What has befallen positions besides trades: X(member, name). Counts, as in kernel_totals. */
#define VIEW_INCIDENT_TABLE(X)                                                                     \
    X(strays, "taken_in")                                                                          \
    X(strays_left, "left_alone")                                                                   \
    X(strays_refused, "no_room")                                                                   \
    X(positions_corrected, "corrected")                                                            \
    X(forced_beyond, "forced_beyond")                                                              \
    X(entries_quarantined, "entry_quarantined")                                                    \
    X(targets_not_sent, "target_not_sent")                                                         \
    X(near_liquidation, "near_liquidation")                                                        \
    X(stops_behind, "stop_behind_liquidation")

struct view_incidents {
#define VIEW_INCIDENT_MEMBER(member, name) uint64_t member;
    VIEW_INCIDENT_TABLE(VIEW_INCIDENT_MEMBER)
#undef VIEW_INCIDENT_MEMBER
};

struct view_model {
    uint32_t kind, loaded, has_skill, state; /* state: enum vote_state */
    char path[160];                          /* its name, as people are shown it */
    char file[512]; /* where it is read from, shown nowhere; "": not known */
    uint64_t hash;
    int64_t train_from_ns, train_to_ns, data_end_ns, trained_wall_ns;
    double logloss_test, logloss_prior, skill_t, side_t, balanced_accuracy, ece;
    char params[320];                                       /* it was trained with */
    uint64_t rounds, votes, predict_ns_p50, predict_ns_p99; /* rounds: of boosting, or epochs */
    /* A network's alone: its weights (0: it is none), and the mean squared error of its price path on its test rows, beside
     * those of a path that stands still and of a linear one. NaN: none. */
    uint64_t weights;
    double mse_path, mse_persistence, mse_dlinear;
};

/* Decisions that two or more models answered; distance: mean |p - p'|, NaN without any. */
struct view_disagreement {
    uint64_t decisions, differ;
    double distance;
};

/* Retraining and the seats' life; all zero where no retrainer runs. Times are the market's. */
struct view_retrain {
    uint32_t enabled, running; /* running: enum promotion_trigger of the run under way */
    int64_t period_ns, last_ns,
        next_ns; /* last: end of the last success, INT64_MIN none; next: due */
    uint64_t runs, succeeded, failed, missed;
    struct promotion_seat seats[MODEL_COUNT];
    struct promotion_verdict verdicts[MODEL_COUNT]; /* newest of each seat */
};

/* What lies between a start and the state the run has. Until then what is published is older than the run. */
enum view_recovery {
    VIEW_RECOVERED = 0,
    VIEW_GOING_OVER, /* the journal */
    VIEW_ASKING      /* the venue: candles missed, and what became of orders and positions */
};

struct view {
    uint64_t version; /* increases with every publication */
    uint32_t mode, strategy, synthetic, running;
    uint32_t recovery, reserved_recovery; /* enum view_recovery */
    double speed; /* market seconds per wall second; 0 = as fast as possible */
    int64_t started_wall_ns, published_wall_ns;
    int64_t market_ts_ns, market_from_ns, market_to_ns; /* market_to 0 = open end */
    int64_t bar_interval_ns; /* of the bars the models were trained on; 0 not known */
    uint64_t bars, events, signals, intents, orders, fills, trades, venue_rejects, intents_denied;
    uint64_t reductions; /* of positions, to obey the portfolio's caps */
    uint64_t bus_published, bus_delivered, bus_lag;
    int64_t bus_oldest_pending_ns;
    uint64_t journal_seq, journal_durable_seq;
    money_t wallet_start, wallet, equity, realized_pnl, fees, funding, drawdown_max;
    uint64_t positions_unprotected_now, positions_unprotected_ever;
    /* Of trades whose span from fill to stop nothing interrupted; protected_counts: kernel_totals'. */
    int64_t time_to_protected_ns_p50, time_to_protected_ns_p99, time_to_protected_ns_max;
    uint64_t protected_counts[VIEW_PROTECTED_EDGES + 1], protected_ns_sum;
    /* Of the others: the venue was out of reach, or the process dead, in between. */
    uint64_t protected_interrupted;
    int64_t protected_interrupted_ns_max;
    uint32_t symbol_count, position_count, order_count, trade_count, equity_count, role_count,
        reason_count, warming;
    struct view_model models[MODEL_COUNT];
    struct view_disagreement disagreement;
    uint32_t has_engine; /* the ensemble trades, so there is one */
    struct engine_view engine;
    struct memory_feedback memory;
    struct view_counts counts;   /* since the start, the restart's re-execution included */
    struct view_learned learned; /* zero without an engine */
    struct view_retrain retrain;
    struct view_risk risk;
    struct view_exit_brain exit_brain;
    struct view_role roles[VIEW_ROLES_MAX];
    struct view_reject rejects[VIEW_REJECTS_MAX];
    uint32_t reject_count, reserved_count;
    struct view_incidents incidents;
    struct view_reason reasons[VIEW_REASONS_MAX]; /* refusals by reason */
    struct view_position positions[VIEW_POSITIONS_MAX];
    struct view_order open_orders[VIEW_ORDERS_MAX];
    struct trade_closed recent[VIEW_TRADES_MAX];      /* newest last */
    struct view_equity equity_curve[VIEW_EQUITY_MAX]; /* thinned, oldest first */
    struct view_symbol symbols[INSTRUMENTS_MAX];
};

/* Shared between one writer and any readers.
 *
 * The writer never waits: there are more buffers than the readers let in at one time can hold, so a
 * free one always exists. A reader may wait a moment for another reader, never for the writer, and
 * copies only the used part of each table: entries beyond the counts of `out` are left as they were.
 * Tests   test_view.c: two readers against a writer, checksums; run under the thread sanitizer. */
struct view_box;
struct view_box *view_box_create(void); /* NULL: no memory */
void view_box_destroy(struct view_box *box);
/* Writer: the buffer to fill, then publish it. Single thread. The buffer holds some older
 * publication, not the last one: set every field. publish asserts the counts, and sets `version`. */
struct view *view_begin(struct view_box *box);
void view_publish(struct view_box *box);
/* Reader, any thread: copies the newest; false if nothing was published yet (out untouched). */
bool view_read(struct view_box *box, struct view *out);
/* Version of the newest publication, 0 before the first: whether reading would bring anything new. Any thread. */
uint64_t view_version(const struct view_box *box);

#endif
