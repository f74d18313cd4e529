/* Shared by the parts of exits. */
#ifndef TRADE_EXITS_EXITS_INTERNAL_H
#define TRADE_EXITS_EXITS_INTERNAL_H

#include "base/assert.h"
#include "trade/exits/exits.h"

/* The venue's "order would immediately trigger". */
enum { CODE_WOULD_TRIGGER = -2021 };
/* "An open stop or take profit order with GTE and closePosition in the direction is existing." */
enum { CODE_WHOLE_EXISTS = -4130 };

static inline void exits_add(struct exits_actions *out, const struct exits_action *action) {
    ASSERT(out->count < EXITS_ACTIONS_MAX);
    out->items[out->count++] = *action;
}

static inline void exits_tell(struct exits_actions *out, enum exits_action_kind kind) {
    exits_add(out, &(struct exits_action){.kind = kind});
}

static inline qty_t exits_held(const struct exits_state *state) {
    return qty_e8(state->position_qty.e8 < 0 ? -state->position_qty.e8 : state->position_qty.e8);
}

/* By how much price a is better for the position than b. */
static inline int64_t exits_gain(enum side side, px_t a, px_t b) {
    return side == SIDE_BUY ? a.e8 - b.e8 : b.e8 - a.e8;
}

static inline px_t exits_average_px(money_t cost, qty_t qty) {
    return px_e8(qty.e8 > 0 ? fx_muldiv_half_even(cost.e8, FX_ONE, qty.e8) : 0);
}

/* ---- exits.c ---- */

/* All of the position, at market. */
void exits_submit_close(struct exits_actions *out, struct exits_state *state,
                        const struct exits_context *context, enum exit_reason reason);
void exits_give_up_protecting(struct exits_actions *out, struct exits_state *state,
                              const struct exits_context *context);

px_t exits_nearest_target(const struct exits_state *state);
/* Those of the plan that can be asked for now. */
void exits_ask_targets(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context);

/* ---- exits_plan.c ---- */

/* May this much be closed by an order of its own? Reduce-only orders need no least notional, but what is
 * worth less than that is not worth an order's fee and risk. */
bool exits_is_exitable(const struct instrument *in, qty_t qty, px_t px);

/* ---- exits_rules.c ---- */

/* Precision, price, tick, quantity, step, notional. */
bool exits_is_of_rules(int32_t code);
/* Whoever tells the rules has asked for them by then, if the venue answers at all. */
#define RULES_TOLD_NS INT64_C(60000000000)
/* The rules to make an order by: those told, or so much coarser as a refusal says they are by now. Borrowed: of the
 * context, or scratch. */
const struct instrument *exits_rules(struct instrument *scratch, const struct exits_state *state,
                                     const struct exits_context *context);
/* The least quantity at market that covers what is held: rounded up, for a reduce-only order beyond the position is
 * cut to it; rounded down only where one order may not take that much; 0 where there is none at all. */
qty_t exits_covering_qty(const struct instrument *in, qty_t held);
qty_t exits_covering(const struct exits_state *state, const struct exits_context *context);
/* A price as the rules want it, towards the market from a stop of the trade. */
px_t exits_rule_px(const struct exits_state *state, const struct exits_context *context, px_t px);
/* An order of this price and quantity (0: without one) was refused by the contract's rules. Where those told explain
 * it, they are the new ones; where they do not, nobody has told the new ones yet, and what is asked for next obeys the
 * least coarser ones, by powers of ten, that do: the same request is never refused twice. */
void exits_learn_rules(struct exits_state *state, const struct exits_context *context, px_t px,
                       qty_t qty);

/* ---- exits_reduce.c ---- */

/* So much of a reduction was filled and something is left: targets whose parts leave nothing sellable are
 * cancelled. */
void exits_part_sold(struct exits_actions *out, struct exits_state *state,
                     const struct exits_context *context, qty_t qty);
/* It was not answered in time. */
void exits_reduction_late(struct exits_actions *out, struct exits_state *state,
                          const struct exits_context *context);

/* ---- exits_stop.c ---- */

void exits_submit_stop(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context);
/* Starts a move of the stop if one is wanted and none is on its way. */
void exits_follow(struct exits_actions *out, struct exits_state *state,
                  const struct exits_context *context);
/* The move was not answered in time. */
void exits_drop_move(struct exits_actions *out, struct exits_state *state);

#endif
