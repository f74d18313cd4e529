/* The life of one position: entry fill, stop, targets, end. One owner per position, one table of phases.
 *
 *   FLAT -> ENTERING -> UNPROTECTED -> PROTECTED -> CLOSING -> CLEANUP -> FLAT
 *
 * The stop is asked for before anything else, from the price of a verified fill; targets only once the
 * venue has confirmed the stop. A wish to leave that comes before the first fill is kept and done as
 * soon as the stop stands. A stop that cannot be confirmed in time ends in a reduce-only market order
 * and an alarm. Targets are cancelled only when the position is flat, a stop when it is or when a nearer
 * one has been confirmed. Pure: actions come out, evidence goes in.
 *
 * Targets: up to three. The last is a closePosition order, so it takes whatever is left; those before it
 * are reduce-only orders of a part of the entry, asked for when the entry is over and its quantity known.
 * Each leaves behind what can still be sold: parts too small for the venue are merged into the next.
 *
 * The stop is moved, towards the market only, by break-even and trailing of the intent, and from prices
 * that were seen before: the new one is asked for, and only when it is confirmed is the old one cancelled.
 * A venue takes one closePosition stop of a direction (-4130), so the two cannot both be of that kind: the
 * new one is a reduce-only order of what is held wherever a closePosition stop may be alive. When what is
 * held changes, a stop of a fixed quantity is replaced in the same way; the next is a closePosition order
 * again if none is alive. At no moment is the position without a confirmed stop.
 *
 * A part may be sold while all this stands: a reduction, one at a time. A closePosition stop covers what is
 * left by itself; parts of targets that no longer fit are cancelled, so that the last target takes the rest.
 * However the order ends, the position stays protected, and whoever wanted it less may ask again. */
#ifndef TRADE_EXITS_EXITS_H
#define TRADE_EXITS_EXITS_H

#include <stdbool.h>
#include <stdint.h>

#include "domain/instrument.h"
#include "domain/intent.h"
#include "domain/order.h"
#include "domain/trade.h"

#define EXITS_PHASE_TABLE(X)                                                                       \
    X(EXITS_FLAT, "flat")                                                                          \
    X(EXITS_ENTERING, "entering")       /* entry asked for, nothing filled */                      \
    X(EXITS_UNPROTECTED, "unprotected") /* filled, stop not confirmed */                           \
    X(EXITS_PROTECTED, "protected")                                                                \
    X(EXITS_CLOSING, "closing") /* reduce-only market order on the way */                          \
    X(EXITS_CLEANUP, "cleanup") /* flat, leftovers being cancelled */

enum exits_phase {
#define EXITS_PHASE_ENUM(name, text) name,
    EXITS_PHASE_TABLE(EXITS_PHASE_ENUM)
#undef EXITS_PHASE_ENUM
        EXITS_PHASE_COUNT
};
const char *exits_phase_text(enum exits_phase phase);

/* What becomes of a position that no order of ours explains (made by hand, left over). */
#define EXITS_STRAY_TABLE(X)                                                                       \
    X(STRAY_PROTECT, "protect") /* taken in: a stop at stray_stop_distance, no target */           \
    X(STRAY_FLATTEN, "flatten") /* the stop, and at once a closing order */                        \
    X(STRAY_LEAVE, "leave")     /* booked and told, not touched; nothing is entered beside it */

enum exits_stray {
#define EXITS_STRAY_ENUM(name, text) name,
    EXITS_STRAY_TABLE(EXITS_STRAY_ENUM)
#undef EXITS_STRAY_ENUM
        STRAY_COUNT
};
const char *exits_stray_text(enum exits_stray stray);

struct exits_config {
    int64_t stop_answer_ns_max; /* no answer to a stop by then: ask again. 1 s */
    /* No answer to an entry, or to the leverage before it: asked after, and at twice that again. 5 s */
    int64_t entry_answer_ns_max;
    int64_t entry_unknown_ns_max; /* and by then given up, with an alarm. 60 s */
    int64_t unprotected_ns_max; /* fill to confirmed stop; beyond it the position is closed. 3 s */
    int64_t
        close_answer_ns_max; /* no end of a closing order by then, or an end without a fill: ask again. 2 s */
    int64_t
        reduce_unknown_ns_max; /* a reduction nobody answers, though asked after: given up by then. 60 s */
    uint32_t stop_attempts_max; /* 3 */
    /* The stop is not moved by less than both of these: a venue counts every order. */
    uint32_t stop_step_ticks;   /* 2 */
    uint32_t stray;             /* enum exits_stray */
    double stop_step;           /* of the entry's price: 0.0005 */
    int64_t stop_retry_ns;      /* after a move that was refused or not answered: 10 s */
    double stray_stop_distance; /* of the price at which it was seen: 0.02, as the rules' */
};
struct exits_config exits_config_defaults(void);

enum { EXITS_TARGETS_MAX = 3 };

#define EXITS_TARGET_TABLE(X)                                                                      \
    X(TARGET_NONE, "none")   /* not wanted, or merged into the next */                             \
    X(TARGET_LATER, "later") /* to be asked for */                                                 \
    X(TARGET_ASKED, "asked")                                                                       \
    X(TARGET_MARKET, "market") /* the market had passed it: taken by a market order */             \
    X(TARGET_REACHED, "reached")                                                                   \
    X(TARGET_LOST, "lost") /* refused, or ended unfilled: the stop and later targets remain */     \
    X(TARGET_DROPPED, "dropped") /* its part does not fit what is left: being cancelled */

enum exits_target_state {
#define EXITS_TARGET_ENUM(name, text) name,
    EXITS_TARGET_TABLE(EXITS_TARGET_ENUM)
#undef EXITS_TARGET_ENUM
        TARGET_STATE_COUNT
};

struct exits_target {
    px_t px;
    qty_t qty; /* 0: all that is left when it triggers (closePosition) */
    uint32_t state, attempts;
};

/* One stop order: what it is about, and which of this trade's stop orders, counted from 0. */
struct exits_stop {
    px_t px;
    qty_t qty; /* 0: closePosition */
    uint32_t attempt, reserved;
};

enum exits_move {
    MOVE_NONE = 0,
    MOVE_ASKED,    /* `next` is on its way, `stop` stands */
    MOVE_DROPPED,  /* `next` was not answered: being cancelled, `stop` stands */
    MOVE_REPLACING /* `stop` is the new one and confirmed; the one before is being cancelled */
};

/* A part that is being sold while the stop stands. */
struct exits_reduction {
    qty_t qty;  /* asked for; 0: none is on its way */
    qty_t sold; /* of it */
    uint32_t attempt, reserved;
    int64_t asked_ts_ns;
    int64_t answer_ns; /* when to ask after it */
};

struct exits_state {
    uint32_t phase;                         /* enum exits_phase */
    uint32_t side;                          /* of the entry */
    uint32_t exit_reason;                   /* why it is being or was ended */
    uint32_t stop_attempts, close_attempts; /* stops asked for since one stood for a while */
    uint32_t stop_orders;                   /* stops asked for at all */
    uint32_t bars_held, alarms;
    uint32_t close_wanted,
        fill_reason; /* enum exit_reason: asked for while entering; of the last exit fill */
    struct trade_intent intent;
    uint32_t leverage, entry_done;
    qty_t position_qty; /* signed, from fills */
    qty_t entered_qty, exited_qty;
    money_t entered_cost, exited_cost; /* sums of px * qty */
    money_t realized_pnl, fees, funding, risk;
    int64_t entry_ts_ns, exit_ts_ns, protected_ts_ns; /* 0 not yet */
    int64_t naked_ts_ns;                              /* since when no stop is confirmed */
    int64_t stood_ts_ns;                              /* when `stop` was confirmed */
    int64_t deadline_ns;                              /* of the stop or the close; INT64_MAX none */
    qty_t closing_qty;   /* held when the last closing order was asked for */
    qty_t closing_asked; /* its quantity: more than that where the step is too coarse */
    uint32_t
        closing_since; /* first attempt at that quantity: a refusal of any since then is of it, too */
    double cost;       /* of the round trip, fraction */
    px_t fill_px;      /* of the first fill: distances are fractions of it */
    px_t best_px, worst_px; /* seen while it was open */
    px_t stop_px;           /* of `stop`; 0 before the first fill */
    px_t take_px;           /* of the nearest target not reached; 0 none */
    struct exits_stop stop; /* that stands, or in UNPROTECTED is waited for */
    struct exits_stop next;
    uint32_t move;         /* enum exits_move */
    uint32_t old_attempt;  /* MOVE_REPLACING: the one being cancelled */
    int64_t move_after_ns; /* no move before: the last one failed */
    px_t floor_px;         /* nearest that exits_nearer was asked for; 0 never */
    /* 1 + attempt of the closePosition stop that may be alive, 0 none; 1: the venue says there is one
     * that is not ours. */
    uint32_t whole_asked, whole_foreign;
    struct exits_target targets[EXITS_TARGETS_MAX];
    uint32_t targets_made, targets_reached;
    uint32_t is_bare; /* CLOSING without a stop beneath it, since naked_ts_ns */
    int64_t alarm_ns; /* and somebody must know of it by then; 0 told, or nothing to tell */
    /* Powers of ten by which the venue's tick and step are coarser than those told: a refusal that they do not
     * explain said so. Until others are told, or the end of a bar a minute later: by then they have been asked for. */
    uint32_t coarser;
    int64_t coarser_ns; /* the last such refusal */
    struct exits_reduction reduction;
};

#define EXITS_ACTION_TABLE(X)                                                                      \
    X(EXITS_SUBMIT_STOP)   /* px: trigger; qty: reduce-only, 0 closePosition */                    \
    X(EXITS_SUBMIT_TAKE)   /* the same of target `target`; px 0: at market */                      \
    X(EXITS_SUBMIT_CLOSE)  /* qty: all of it or more, reduce-only market: the venue cuts it */     \
    X(EXITS_SUBMIT_REDUCE) /* qty: a part, reduce-only market; `attempt` counts with the closes */ \
    X(EXITS_ASK_REDUCE)    /* that one was not answered: ask after it */                           \
    X(EXITS_CANCEL_STOP)   /* the stop order `attempt` */                                          \
    X(EXITS_CANCEL_TAKE)   /* the order `attempt` of target `target` */                            \
    X(EXITS_CANCEL_ORDERS) /* every live protective order of the symbol */                         \
    X(EXITS_TELL_PROTECTED)                                                                        \
    X(EXITS_TELL_CLOSED) /* the trade is over: take it with exits_trade, before the next input */  \
    X(EXITS_TELL_FAILED) /* the entry came to nothing */                                           \
    X(EXITS_ALARM)       /* a position is being closed because it could not be protected */

enum exits_action_kind {
#define EXITS_ACTION_ENUM(name) name,
    EXITS_ACTION_TABLE(EXITS_ACTION_ENUM)
#undef EXITS_ACTION_ENUM
        EXITS_ACTION_COUNT
};

enum { EXITS_ACTIONS_MAX = 8 };
struct exits_action {
    enum exits_action_kind kind;
    px_t px;
    qty_t qty;
    uint32_t attempt, target;
};
struct exits_actions {
    uint32_t count;
    struct exits_action items[EXITS_ACTIONS_MAX];
};

/* The moment an input arrives and what the market says. */
struct exits_context {
    int64_t now_ns;
    px_t last_px;
    const struct instrument *instrument;
    const struct exits_config *config;
};

/* The entry order was asked for. state must be FLAT. cost: of the round trip, fraction >= 0; a stop at
 * break-even stands that far beyond the entry. */
void exits_enter(struct exits_state *state, const struct trade_intent *intent, uint32_t leverage,
                 double cost);

/* One fill on the symbol: of an order of ours, a liquidation, or a settlement by the venue. */
void exits_fill(struct exits_actions *out, struct exits_state *state,
                const struct exits_context *context, enum side side, px_t px, qty_t qty,
                money_t commission, money_t realized_pnl, enum exit_reason reason);
/* Funding booked on the open position. */
void exits_funding(struct exits_state *state, money_t amount);

/* What became of our orders.
 *
 * A target refused by the contract's rules is asked for again under those of now, three times at the most: whoever
 * tells the refusal has asked for the rules first. A last target refused because somebody else's closePosition order
 * is there (-4130) is asked for as a reduce-only order of what the other targets leave.
 *
 * A stop that ended (code 0: filled or cancelled) without the position being flat is asked for again; one
 * that was to replace another leaves that one standing. A target that the market has passed is taken at
 * market; any other end of one leaves the rest of the plan as it is. A closing order that ended with
 * something left is followed by another at once if it closed anything, else at the deadline: a venue that
 * refuses is not flooded; one refused by the contract's rules at once by those of now. A reduction (told apart by its
 * attempt) that has ended, however, is over.
 *
 * What the rules refused is never asked for again as it was: where those told do not explain the refusal, the next
 * order obeys coarser ones. */
void exits_entry_ended(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context);
/* Not for a stop whose cancellation has been asked for: it is not to be relied on. */
void exits_stop_confirmed(struct exits_actions *out, struct exits_state *state,
                          const struct exits_context *context, const struct exits_stop *stop);
void exits_stop_ended(struct exits_actions *out, struct exits_state *state,
                      const struct exits_context *context, uint32_t attempt, int32_t code);
void exits_take_ended(struct exits_actions *out, struct exits_state *state,
                      const struct exits_context *context, uint32_t target, bool filled,
                      int32_t code);
void exits_close_ended(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context, uint32_t attempt, int32_t code);
/* No order of the symbol is live any more: CLEANUP ends. */
void exits_orders_gone(struct exits_state *state);

/* Prices were seen, between since_ns and now: a tick (low = high), or a bar's extremes when it has closed.
 * A bar that began before the entry tells nothing of the best price since, and of the worst no more than
 * that the stop was not reached.
 *
 * Moves the stop by the intent's break-even and trailing. What was seen may have come in any order, but
 * before context->last_px: a stop that would stand beyond that was passed on the way, and the position
 * is closed at market. */
void exits_price(struct exits_actions *out, struct exits_state *state,
                 const struct exits_context *context, px_t low, px_t high, int64_t since_ns);
/* The instrument's rules are others now, as the venue tells them. */
void exits_rules_told(struct exits_state *state);
/* The next moment exits_time has something to do; INT64_MAX none. */
int64_t exits_deadline(const struct exits_state *state);
/* Time passed (call when now >= exits_deadline), a bar closed, somebody wants out. */
void exits_time(struct exits_actions *out, struct exits_state *state,
                const struct exits_context *context);
void exits_bar(struct exits_actions *out, struct exits_state *state,
               const struct exits_context *context);
void exits_close(struct exits_actions *out, struct exits_state *state,
                 const struct exits_context *context, enum exit_reason reason);
/* Somebody wants the stop at px or nearer to the market, whatever the plan says: it is moved as by trailing, tried
 * again if that fails, and never taken back. A market that has passed px already ends the position, as a stop. False,
 * nothing changed: nothing is held under a stop, or px is not nearer than the stop or what was asked for before. */
bool exits_nearer(struct exits_actions *out, struct exits_state *state,
                  const struct exits_context *context, px_t px);
/* Somebody wants less: qty of it is sold at market, floored to the market step, while the stop stands. A rest that
 * could not be sold any more (below the market's least quantity or notional) goes with it: the position is closed.
 * False, nothing changed: there is no confirmed stop, the entry goes on, another reduction, a target at market or the
 * close is on its way, or so little is wanted that the market takes no order of it. */
bool exits_reduce(struct exits_actions *out, struct exits_state *state,
                  const struct exits_context *context, qty_t qty);
/* What will be held when what is on its way is done: signed like position_qty. */
qty_t exits_remaining(const struct exits_state *state);

/* The closed trade, valid at EXITS_TELL_CLOSED. trade_id is the caller's. */
void exits_trade(struct trade_closed *out, const struct exits_state *state, uint64_t trade_id);

/* The stop order whose answer the deadline is about; only if exits_awaits_stop. */
bool exits_awaits_stop(const struct exits_state *state);
uint32_t exits_awaited_stop(const struct exits_state *state);

/* The targets of an entry of `entered` filled first at px. States are TARGET_LATER or TARGET_NONE; the
 * sum of quantities is below `entered`, exactly one wanted target has quantity 0 (none if the intent has
 * no target). A part below the market's least quantity or notional goes to the next target; a rest below
 * them draws in the part before it. Returns how many are wanted. */
uint32_t exits_targets(struct exits_target out[EXITS_TARGETS_MAX],
                       const struct instrument *instrument, const struct trade_intent *intent,
                       px_t px, qty_t entered);
/* Where the intent wants the stop, given the best price seen: never farther from the market than stop_px.
 * entry: the position's average price. */
px_t exits_wanted_stop_px(const struct instrument *instrument, const struct trade_intent *intent,
                          px_t entry, double cost, px_t best, px_t stop_px);

/* Stop and target for a fill at px: snapped to tick away from rounding in our favour (stop outward,
 * target outward), > 0, at least one tick from px, on the right side. */
px_t exits_stop_px(const struct instrument *instrument, enum side side, px_t px, double distance);
px_t exits_take_px(const struct instrument *instrument, enum side side, px_t px, double distance);

#endif
