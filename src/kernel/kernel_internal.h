/* Shared by the parts of the kernel: its state and what they call of each other. */
#ifndef KERNEL_KERNEL_INTERNAL_H
#define KERNEL_KERNEL_INTERNAL_H

#include "base/assert.h"
#include "feature/feature.h"
#include "kernel/kernel.h"
#include "trade/oms/oms.h"

enum {
    SMA_FAST = 20,
    SMA_SLOW = 100,
    OPEN_MAX = 64,
    RECENT_MAX = VIEW_TRADES_MAX,
    CURVE_MAX = VIEW_EQUITY_MAX
};

/* What the fold of an idle symbol touches: one cache line. */
struct hot {
    px_t last_px;
    int64_t last_ts_ns;      /* close time of the last bar, or a later tick */
    int64_t next_open_ts_ns; /* 0 before the first bar */
    int64_t fast_sum, slow_sum;
    uint32_t ring_next, ring_count;
    uint16_t busy;    /* phase is not FLAT, or an intent is on its way */
    uint16_t cooling; /* the cooldown after the last close may not be over */
    uint32_t trading; /* enum instrument_status */
    px_t day_ago_px;  /* close 24 h before the last bar, 0 unknown */
};
static_assert(sizeof(struct hot) == 64, "one cache line");

/* What is told so long after KERNEL_CLOSE_ALL was held by then, for all we know: the client's cycle of reconciliation and
 * its answers. */
#define CLOSE_ALL_NS (INT64_C(40) * 1000000000)

enum { SPAN_INTERRUPTED = 1, SPAN_COUNTED = 2 };

struct cold {
    struct oms_book book;
    struct exits_state exits;
    int64_t last_close_ts_ns;
    qty_t entry_qty;   /* decided by risk, waiting for the leverage */
    uint32_t leverage; /* as the venue confirmed it, 0 unknown */
    uint32_t waiting_leverage, intent_pending, reserved;
    int64_t asked_ts_ns;  /* of the leverage or entry that ENTERING waits for */
    int64_t answer_ns;    /* when to ask after it; 0: it was answered */
    uint64_t pending_id;  /* of the intent on its way */
    money_t pending_size; /* wanted notional */
    uint32_t pending_side, reserved2;
    int64_t pending_expires_ns;
    int64_t last_funding_ts_ns;
    int64_t opened_ts_ns; /* venue time: since then something has been held, if anything is */
    int64_t
        position_told_ns; /* venue time: what happened until then is in a position that was told as a whole */
    px_t bar_low, bar_high; /* of the last bar while busy */
    int64_t bar_open_ns;
    rate_t funding_rate; /* last settlement's */
    uint64_t last_tick_id;
    struct ensemble_signal signal;
    struct model_vote votes[MODEL_COUNT];
    uint64_t signal_id;
    int64_t signal_ts_ns;
    double atr;
    px_t plan_stop_px, plan_take_px;
    /* Held by the account, signed, and no trade's: left alone by the rule, or there is no room for it. */
    qty_t left_qty;
    px_t left_entry_px;    /* as the venue told it with the position; 0 it did not */
    uint32_t left_waiting; /* it is to be taken in when there is room */
    uint32_t span; /* SPAN_*: of the trade, from its first fill to its first confirmed stop */
    uint64_t near_told, behind_told; /* kernel_watch.c: the trades of which it was told */
    uint32_t has_found, reserved4;   /* orders of the book may be found ones: kernel_found.c */
};

/* How the Exit Brain ends the symbol's trade: of the newest intent, by its id. */
struct exit_watch {
    uint64_t intent_id;
    struct exit_choice choice, second;
    struct exit_monitor state;
    uint32_t has_second, leave; /* leave: enum exit_reason it was ended for; 0 it goes on */
    double p_side, p_other;     /* the models' last word; NaN none since the entry */
};

struct kernel {
    struct kernel_config config; /* .instruments is not used after init */
    size_t hot_at, cold_at, instruments_at, rings_at, series_at, size;
    /* Of the ensemble alone, else of no size: engine, and by symbol its last answer and row; by place in
     * `stepped` the bar; quote volume of the last day, as closes in rings. */
    size_t breaker_at;
    size_t engine_at, decisions_at, rows_at, bars_at, volumes_at;
    size_t exitbrain_at, watches_at; /* of no size unless has_exit_brain */
    uint32_t n, day_bars, ring_capacity, stepped_count, open_count;
    uint32_t emergency_stop, closing, inflight, curve_count, curve_stride, curve_skip, recent_next,
        recent_count;
    uint32_t left_count, waiting_count; /* symbols with left_qty, with left_waiting */
    int64_t now_ns;
    int64_t newest_ts_ns; /* of any symbol's price */
    int64_t close_all_ns; /* the last KERNEL_CLOSE_ALL; 0 none */
    uint64_t trace_hash, next_trade_id;
    /* kernel_found.c: marks of our orders' names, life 0 before a process took the run up; when another run's doing was seen
     * last, 0 never or long ago; margin that is bound by nothing we know of. */
    uint32_t run, life;
    int64_t other_run_ns;
    money_t bound_elsewhere;
    double exposure_start; /* limits as configured: what a rule holds beyond them stays */
    uint32_t positions_start, reserved;
    struct kernel_totals totals;
    uint32_t open[OPEN_MAX];
    uint32_t stepped[INSTRUMENTS_MAX];
    struct trade_closed recent[RECENT_MAX];
    struct view_equity curve[CURVE_MAX];
};

static inline struct hot *hot_of(const struct kernel *k, uint32_t i) {
    return (struct hot *)((char *)k + k->hot_at) + i;
}
static inline struct cold *cold_of(const struct kernel *k, uint32_t i) {
    return (struct cold *)((char *)k + k->cold_at) + i;
}
static inline struct instrument *instrument_of(const struct kernel *k, uint32_t i) {
    return (struct instrument *)((char *)k + k->instruments_at) + i;
}
static inline int64_t *ring_of(const struct kernel *k, uint32_t i) {
    return (int64_t *)((char *)k + k->rings_at) + (size_t)i * k->ring_capacity;
}
static inline struct feature_series *series_of(const struct kernel *k, uint32_t i) {
    return (struct feature_series *)((char *)k + k->series_at + (size_t)i * feature_series_size());
}
static inline bool has_engine(const struct kernel *k) {
    return k->config.bot.strategy == STRATEGY_ENSEMBLE;
}
static inline struct breaker *breaker_of(const struct kernel *k) {
    return (struct breaker *)((char *)k + k->breaker_at);
}
static inline struct engine *engine_of(const struct kernel *k) {
    return (struct engine *)((char *)k + k->engine_at);
}
static inline struct engine_decision *decision_of(const struct kernel *k, uint32_t i) {
    return (struct engine_decision *)((char *)k + k->decisions_at) + i;
}
static inline float *row_of(const struct kernel *k, uint32_t i) {
    return (float *)((char *)k + k->rows_at) + (size_t)i * FEATURE_COUNT_MAX;
}
static inline struct bar *stepped_bar(const struct kernel *k, uint32_t place) {
    return (struct bar *)((char *)k + k->bars_at) + place;
}
static inline double *volumes_of(const struct kernel *k, uint32_t i) {
    return (double *)((char *)k + k->volumes_at) + (size_t)i * k->day_bars;
}

static inline bool has_exit_brain(const struct kernel *k) {
    return has_engine(k) && k->config.exit_brain;
}
static inline struct exitbrain *exitbrain_of(const struct kernel *k) {
    return (struct exitbrain *)((char *)k + k->exitbrain_at);
}
static inline struct exit_watch *watch_of(const struct kernel *k, uint32_t i) {
    return (struct exit_watch *)((char *)k + k->watches_at) + i;
}

/* ---- kernel.c ---- */

/* The next event to fill; kernel_seal when it is complete: its bytes enter the running hash. */
struct event *kernel_emit(struct kernel *k, struct kernel_out *out, enum event_type type);
void kernel_seal(struct kernel *k, const struct event *e);
void kernel_refuse(struct kernel *k, enum risk_reason reason);
money_t kernel_unrealized(const struct kernel *k, uint32_t i);
void kernel_sum_up(const struct kernel *k, money_t *equity, money_t *exposure, money_t *margin);

/* ---- kernel_decide.c ---- */

struct bot_input kernel_bot_input(const struct kernel *k, uint32_t i);
/* Entries that may be thought of now. */
uint32_t kernel_slots(const struct kernel *k);
/* The symbol's intent is no longer on its way. */
void kernel_intent_arrived(struct kernel *k, uint32_t i);

/* ---- kernel_rebalance.c ---- */

/* What is held beyond a cap is asked to be less; scratch as kernel_close's. */
void kernel_rebalance(struct kernel *k, struct kernel_out *out, struct kernel_scratch *scratch);

/* ---- kernel_engine.c ---- */

void kernel_engine_init(struct kernel *k, const struct kernel_config *config);
/* One bar's place in the day's volume. */
void kernel_engine_volume(struct kernel *k, uint32_t i, const struct bar *bar);
/* Bars and rows of the step into the engine, and what follows from them; then the answers, into scratch. False:
 * there are none, for this close was passed before. */
bool kernel_engine_decide(struct kernel *k, struct kernel_out *out,
                          const struct kernel_close_input *in, bool trading);
/* The intent was put out; was denied or came to nothing; its trade is over. */
void kernel_engine_opened(struct kernel *k, uint64_t intent_id, const struct engine_decision *d);
void kernel_engine_dropped(struct kernel *k, uint64_t intent_id);
void kernel_engine_closed(struct kernel *k, const struct trade_closed *trade);
/* Why a symbol may not enter now, whatever is said of it; RISK_ALLOW. */
enum risk_reason kernel_entry_bar(struct kernel *k, uint32_t i);
/* The same with room for so many more, and the guard against crashes. */
enum risk_reason kernel_entry_word(struct kernel *k, uint32_t i, uint32_t slots);
struct risk_state kernel_risk_state(const struct kernel *k, uint32_t i);

/* ---- kernel_exits.c: each does nothing in a run without the Exit Brain ---- */

/* The step's bars, before anything is decided by them. */
void kernel_exits_bars(struct kernel *k);
/* The contract has ended. */
void kernel_exits_gone(struct kernel *k, uint32_t i);
/* An entry the engine wants, with the strategy's plan: lived through from now on, and the plan its profile's. */
void kernel_exits_plan(struct kernel *k, struct bot_plan *plan, const struct engine_decision *d);
/* The intent made of it is put out: it is told how it will be ended. */
void kernel_exits_wanted(struct kernel *k, struct kernel_out *out,
                         const struct trade_intent *intent);
/* What is held, after a close; d: what the engine says of the symbol, NULL nothing. */
void kernel_exits_watch(struct kernel *k, struct kernel_out *out, uint32_t i,
                        const struct engine_decision *d);
uint64_t kernel_exits_hash(const struct kernel *k, uint64_t h);
void kernel_exits_view(const struct kernel *k, struct view_position *out, uint32_t i);

/* ---- kernel_risk.c ---- */

void kernel_risk_init(struct kernel *k, const struct kernel_config *config);
/* Whether the symbol has just crashed, or flown up: no entries for a while. */
bool kernel_is_crash(const struct kernel *k, uint32_t i);
/* When the market's silence becomes a finding; INT64_MAX never. */
int64_t kernel_risk_deadline(const struct kernel *k);
/* A close, a timer: equity, the market's age, cooldowns. */
void kernel_risk_look(struct kernel *k, struct kernel_out *out);
/* The venue's word, before it is applied: what it proves of the venue's health. */
void kernel_risk_evidence(struct kernel *k, struct kernel_out *out,
                          const struct venue_event *event);
/* A command that nobody answered. */
void kernel_risk_unanswered(struct kernel *k, struct kernel_out *out, uint32_t i);
void kernel_risk_entered(struct kernel *k, struct kernel_out *out, uint32_t i);
/* The entry under way came to nothing. */
void kernel_risk_lost(struct kernel *k, struct kernel_out *out, uint32_t i);
void kernel_risk_closed(struct kernel *k, struct kernel_out *out, const struct trade_closed *t);
void kernel_risk_contract(struct kernel *k, uint32_t i, bool is_trading);
/* Another run trades the account, or does not any more. true: it is news. */
bool kernel_risk_other_run(struct kernel *k, struct kernel_out *out, bool is_there);

/* ---- kernel_trade.c ---- */

/* A command leaves. */
void kernel_command_out(struct kernel *k, struct kernel_out *out,
                        const struct venue_command *command);
/* Everything held, and what is on its way to be, is closed at market. */
void kernel_close_all(struct kernel *k, struct kernel_out *out, enum exit_reason reason);

void kernel_open_add(struct kernel *k, uint32_t i); /* there is room: asserted */
void kernel_submit(struct kernel *k, struct kernel_out *out, uint32_t i,
                   const struct oms_request *request);
void kernel_tell_opened(struct kernel *k, struct kernel_out *out, uint32_t i, px_t px, qty_t qty);
void kernel_tell_alarm(struct kernel *k, struct kernel_out *out, uint32_t i, const char *reason,
                       int32_t code);
/* One fill, or a part of one, into the life of the symbol's position. */
void kernel_fold_fill(struct kernel *k, struct kernel_out *out, uint32_t i,
                      const struct venue_event *event, qty_t qty, bool money,
                      enum exit_reason reason);
/* Whatever the trade under way still waits for, it is over: nothing of it is held. */
void kernel_end_life(struct kernel *k, struct kernel_out *out, uint32_t i);

struct exits_context kernel_exits_context(const struct kernel *k, uint32_t i);
/* Does what the exits ask for; code: of the venue's refusal that led to it, 0 none. */
void kernel_act(struct kernel *k, struct kernel_out *out, uint32_t i,
                const struct exits_actions *actions, int32_t code);

/* ---- kernel_watch.c ---- */

struct holding {
    enum side side;
    px_t entry_px; /* > 0 */
    qty_t qty;     /* > 0 */
    money_t funding;
    uint32_t leverage; /* > 0 */
};
/* Where isolated margin is used up; 0: nowhere above nothing. */
px_t kernel_liquidation_px(const struct kernel *k, uint32_t i, const struct holding *h);
/* Once a close: alarms of positions that are near it. */
void kernel_watch(struct kernel *k, struct kernel_out *out);

/* ---- kernel_found.c ---- */

void kernel_found_init(struct kernel *k);
/* VENUE_ORDER_FOUND. false: the book has it, alive, so that it is no more than accepted. */
bool kernel_order_found(struct kernel *k, struct kernel_out *out, uint32_t i,
                        const struct venue_event *event);
/* Found orders of the symbol are cancelled as soon as nothing hangs on them. */
void kernel_found_settle(struct kernel *k, struct kernel_out *out, uint32_t i);
/* An order of another run did something, or is there. */
void kernel_other_run(struct kernel *k, struct kernel_out *out, uint32_t i,
                      const char *client_order_id);
/* Whether there has been no sign of another run for long enough. */
bool kernel_other_run_is_gone(const struct kernel *k);
void kernel_balance_told(struct kernel *k, const struct venue_event *event);

/* ---- kernel_stray.c ---- */

enum fill_of { FILL_OF_TRADE, FILL_OF_VENUE, FILL_OURS_LATE, FILL_FOREIGN };
void kernel_book_money(struct kernel *k, const struct venue_event *event);
/* A fill: its money into the books, its quantity into the trade under way or what is left. */
void kernel_fill(struct kernel *k, struct kernel_out *out, uint32_t i,
                 const struct venue_event *event, enum exit_reason reason, enum fill_of whose);
/* The same of an order the book does not have: liquidations and settlements, somebody else's, ours of long ago. */
void kernel_strange_fill(struct kernel *k, struct kernel_out *out, uint32_t i,
                         const struct venue_event *event, enum exit_reason reason,
                         enum fill_of whose);
/* VENUE_POSITION. */
void kernel_position_told(struct kernel *k, struct kernel_out *out, uint32_t i,
                          const struct venue_event *event);
/* Positions for which there was no room, as far as there is now. */
void kernel_take_waiting(struct kernel *k, struct kernel_out *out);

#endif
