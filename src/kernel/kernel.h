/* The kernel: one deterministic thread's worth of trading. Market, venue and bus go in as events with
 * a time; signals, intents, orders and closed trades come out. It knows no clock, does no I/O, and its
 * state is one block of memory without pointers, so a snapshot is a memcpy of kernel_size() bytes.
 *
 * One step of the feed, in this order:
 *     kernel_bar        for each symbol that has a bar at this step
 *     kernel_close      once: the AI engine learns what came true and decides; what is held beyond a cap
 *                       is reduced; intents come out
 *     kernel_intent     for each intent the bus delivers; orders come out
 * and, in between, whenever the venue speaks or time passes:
 *     kernel_venue, kernel_time
 * The caller journals what comes out before acting on it. */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hist.h"
#include "brain/engine/engine.h"
#include "domain/bar.h"
#include "kernel/events.h"
#include "kernel/view.h"
#include "trade/bot/bot.h"
#include "trade/breaker/breaker.h"
#include "trade/exitbrain/exitbrain.h"
#include "trade/exits/exits.h"
#include "trade/risk/risk.h"

struct kernel;

struct kernel_config {
    enum run_mode mode;
    uint64_t seed;
    int64_t interval_ns;
    int64_t trade_from_ns; /* bars closing before it only warm up */
    uint32_t instrument_count;
    const struct instrument *instruments; /* (instrument_count), copied */
    money_t wallet_start;
    rate_t half_spread; /* of the venue, for the cost gate */
    bool features;      /* step the feature columns (ensemble, barrier exits) */
    bool synthetic;
    struct bot_config bot;
    struct risk_limits limits;
    struct exits_config exits;
    struct breaker_config breaker; /* all zero: nothing is watched */
    struct engine_config engine; /* read with STRATEGY_ENSEMBLE alone; without a fault (asserted) */
    bool exit_brain;             /* with STRATEGY_ENSEMBLE alone: profiles and monitor … */
    struct exit_monitor_config monitor;      /* … by these figures */
    const struct conformal_table *residuals; /* the engine's interval begins with them; NULL none */
};

/* What one input led to. The caller empties it (count = 0) before each call. */
enum { KERNEL_OUT_MAX = INSTRUMENTS_MAX + 448 };
struct kernel_out {
    uint32_t count;
    struct event events[KERNEL_OUT_MAX];
};

/* Working memory of kernel_close; nothing in it outlives the call. Needed with STRATEGY_ENSEMBLE alone. */
struct kernel_scratch {
    struct engine_scratch engine;
    struct engine_events events;
    struct engine_ask asks[INSTRUMENTS_MAX];
    struct engine_decision decisions[INSTRUMENTS_MAX]; /* of the last close, in the order of asks */
    uint32_t count, reserved;
    money_t equity; /* fractions of the decisions are fractions of it */
};

size_t kernel_size(const struct kernel_config *config);
struct kernel *kernel_init(void *memory, const struct kernel_config *config);
/* Hash of every figure in config that steers decisions. */
uint64_t kernel_config_hash(const struct kernel_config *config);

enum kernel_ingest {
    KERNEL_BAR_NEW = 0,
    KERNEL_BAR_AFTER_GAP,
    KERNEL_BAR_DUPLICATE,
    KERNEL_BAR_OUT_OF_ORDER
};

/* Folds one closed bar. A bar at or before the last one is not folded again (duplicate, out of order);
 * one after a hole is folded and the hole counted. row (feature_count()) is written if features are
 * on (may be NULL otherwise). */
enum kernel_ingest kernel_bar(struct kernel *k, uint32_t instrument_index, const struct bar *bar,
                              float *row);
/* Symbols folded since the last kernel_close, in order; borrowed until then. */
const uint32_t *kernel_stepped(const struct kernel *k, uint32_t *count);

/* A trade of the market between bars: moves the last price. Returns false (and counts) for a tick that
 * is older than the last one or seen before. */
bool kernel_tick(struct kernel *k, uint32_t instrument_index, const struct tick *tick);
/* Prices the symbol traded at between since_ns and now, the last of them its last price: what is held there
 * may get a nearer stop. kernel_close does this with the bar's; a live feed does it with each tick that
 * kernel_tick took (low = high). Ticks that only show a bar's inside are not for this. */
void kernel_extreme(struct kernel *k, struct kernel_out *out, uint32_t instrument_index, px_t low,
                    px_t high, int64_t since_ns, int64_t now_ns);

/* What a step's close is decided on, in the order of kernel_stepped. */
struct kernel_close_input {
    int64_t close_ts_ns;
    const float
        *rows; /* (stepped, stride), cross-section columns filled; NULL where features are off */
    uint32_t stride, reserved;
    const struct model_vote *votes; /* (stepped, MODEL_COUNT); NULL: nobody was asked */
    struct kernel_scratch *scratch; /* NULL where the strategy needs none */
};
void kernel_close(struct kernel *k, struct kernel_out *out, const struct kernel_close_input *in);
/* A model file takes the seat (NULL: it is empty from now on), the first time too. Ensemble alone (asserted).
 * ST_INVALID: references that cannot be; nothing changed. */
enum status kernel_model(struct kernel *k, struct kernel_out *out, enum model_kind kind,
                         const struct engine_model *model, int64_t now_ns, struct err *err);
/* NULL: the strategy is not the ensemble. */
const struct engine *kernel_engine(const struct kernel *k);
void kernel_intent(struct kernel *k, struct kernel_out *out, const struct trade_intent *intent,
                   int64_t now_ns);
void kernel_venue(struct kernel *k, struct kernel_out *out, const struct venue_event *event,
                  int64_t recv_ts_ns);
/* Timers; call whenever time has reached kernel_deadline(). INT64_MAX: none. */
void kernel_time(struct kernel *k, struct kernel_out *out, int64_t now_ns);
int64_t kernel_deadline(const struct kernel *k);
/* A limit changes: key is "trading:emergency_stop", "positions_max", "leverage_max", "confidence_min",
 * "risk_per_trade", "exposure_total_max". ST_NOT_FOUND for any other, ST_RANGE for a value that is none; ceilings
 * still hold, and the AI engine's own limits follow downwards, never above its configuration. */
enum status kernel_policy(struct kernel *k, struct kernel_out *out, const char *key, double value,
                          const char *by, int64_t now_ns);
/* What somebody outside asks for, an input like any other. key: a policy; KERNEL_CLOSE_ALL: everything held is closed,
 * and what somebody else holds and is told within 40 s of it, and the emergency stop set; KERNEL_BREAKER_RESET of target "all" or a contract. Statuses as above; ST_NOT_FOUND for a
 * target that is no contract of the run, too. */
#define KERNEL_EMERGENCY_STOP "trading:emergency_stop"
#define KERNEL_CLOSE_ALL      "positions:close_all"
#define KERNEL_BREAKER_RESET  "breaker:reset"
enum status kernel_command(struct kernel *k, struct kernel_out *out,
                           const struct operator_command *command, int64_t now_ns);
/* Whether such a command could be obeyed, its target aside: what can be said without a run. */
enum status kernel_command_check(const char *key, double value);
/* A process takes the run up at a venue that is not ours: from now on the names of orders say which run asked, and in which
 * of its lives. Before it, and where it is never called, they have no marks. */
void kernel_executor_started(struct kernel *k, int64_t now_ns);
/* Whose an order is that the kernel has not asked for, by its name: of a life of this run that the journal forgot (it ends
 * it), of another run of this program on the account (it leaves it alone), or neither. */
enum kernel_owner { KERNEL_OWNER_NOBODY = 0, KERNEL_OWNER_RUN, KERNEL_OWNER_OTHER_RUN };
enum kernel_owner kernel_order_owner(const struct kernel *k, const char *client_order_id);
/* The connection to the venue is lost, or back. */
void kernel_link(struct kernel *k, struct kernel_out *out, bool is_up, int64_t now_ns);
/* The limits in force: policies under the recovery mode. */
struct risk_limits kernel_limits(const struct kernel *k);
const struct breaker *kernel_breaker(const struct kernel *k);
/* Stop opening; close what is open (end of data, operator). */
void kernel_flatten(struct kernel *k, struct kernel_out *out, enum exit_reason reason,
                    int64_t now_ns);
/* New filters of a contract (its brackets stay): what is sent from now on obeys them. */
void kernel_instrument_rules(struct kernel *k, const struct instrument_changed *change);
/* A contract's life ends or changes: no new entries. */
void kernel_instrument_status(struct kernel *k, uint32_t instrument_index,
                              enum instrument_status status);

/* The running hash of every event put out and taken in, plus orders and positions. */
uint64_t kernel_hash(const struct kernel *k);

struct kernel_totals {
    uint64_t bars, bars_trading, gap_bars, duplicate_bars, holds, warming, signals, intents,
        delivered, denied, orders, fills, trades, positions, unprotected_ever, alarms,
        illegal_events, unknown_orders, duplicate_fills, ticks, ticks_ignored, cost_gate_would_deny,
        orders_not_sent, /* eight orders of one symbol are unanswered: asked again at the next deadline */
        intents_lost, /* put out, and not delivered before they expired: their slots are free again */
        reductions,   /* positions of which less was asked for, to obey the portfolio's caps */
        entries_quarantined, /* never answered: given up with an alarm, no entry there before the venue speaks */
        strays; /* positions no trade of ours explained: protected or closed by rule, each with an alarm */
    uint64_t strays_left, /* such positions left alone by the rule */
        targets_not_sent, /* so many conditional orders wait that stops come first */
        near_liquidation, /* trades that came nearer to it than a quarter of the way */
        stops_behind,     /* trades whose stop lay behind it */
        strays_refused,   /* there was no room for: asked to be closed, taken in when there was */
        positions_corrected, /* told by the venue as a whole */
        forced_beyond, /* liquidations and settlements of more than was held: the rest opens nothing */
        orders_found; /* of ours, open, that the journal had forgotten */
    uint64_t refusals[RISK_REASON_COUNT];
    uint64_t
        decisions[ENGINE_REASON_COUNT]; /* of the AI engine; ENGINE_ALLOW: what became an intent */
    uint64_t exit_profiles[PROFILE_COUNT], exit_advice[EXIT_REASON_COUNT], exit_stops_nearer;
    struct {
        int32_t code;
        uint32_t reserved;
        uint64_t count;
    } rejects[32];
    uint32_t reject_codes, reserved;
    money_t wallet_start, wallet, realized_pnl, fees, funding; /* sums of venue events */
    money_t
        unexplained; /* the rest: wallet = wallet_start + realized_pnl - fees + funding + unexplained */
    money_t equity, equity_peak, exposure;
    money_t drawdown_money_max; /* deepest fall from the peak, quote units */
    /* First entry fill to the stop that the venue confirmed, once a trade: of those whose venue could be asked all the
     * while by a process that lived; counted exactly up to view_protected_edges_ns, the last count is of what is beyond.
     * Interrupted ones apart. */
    struct hist time_to_protected, protected_interrupted;
    uint64_t protected_counts[VIEW_PROTECTED_EDGES + 1];
};
const struct kernel_totals *kernel_totals(const struct kernel *k);
uint32_t kernel_open_count(const struct kernel *k);
/* Close of the newest bar that was folded, of whatever symbol; 0 before the first. */
int64_t kernel_bars_until(const struct kernel *k);
/* Positions whose stop the venue has not confirmed yet. */
uint32_t kernel_unprotected_count(const struct kernel *k);
/* Side held on a symbol, SIDE_NONE flat. */
enum side kernel_position_side(const struct kernel *k, uint32_t instrument_index);
/* Net quantity held on a symbol, signed. */
qty_t kernel_position_qty(const struct kernel *k, uint32_t instrument_index);
/* Orders the venue may still know something about, to be asked after when its word was missed: every one
 * that has not ended. Returns how many there are; at most max are written. */
struct kernel_live_order {
    char client_order_id[CLIENT_ORDER_ID_SIZE];
    uint32_t instrument_index;
    uint8_t order_type, state, reserved[2]; /* enum order_type, order_state */
    qty_t cum_qty;                          /* fills seen */
    uint64_t last_trade_id;                 /* of the symbol, highest seen */
};
uint32_t kernel_live_orders(const struct kernel *k, struct kernel_live_order *out, uint32_t max);
/* Positions held, in the order they were opened; returns how many (at most RISK_POSITIONS_CEILING). */
struct kernel_held {
    uint32_t instrument_index, reserved;
    qty_t qty;               /* signed, not 0 */
    uint64_t last_trade_id;  /* of the symbol, highest seen */
    int64_t last_funding_ns; /* of the symbol, latest seen; 0 none */
    int64_t opened_ns;       /* venue time of what began it */
    int64_t
        told_ns; /* venue time: fills until then are in a position told as a whole; 0 none was */
};
uint32_t kernel_held(const struct kernel *k, struct kernel_held *out, uint32_t max);
/* The leverage asked for and not answered yet, 0 none: safe to ask again. */
uint32_t kernel_leverage_wanted(const struct kernel *k, uint32_t instrument_index);
/* Fills the kernel's part of a view (symbols, positions, orders, trades, totals). */
void kernel_view(const struct kernel *k, struct view *out);

#endif
