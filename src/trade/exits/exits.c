#include <string.h>

#include "trade/exits/exits_internal.h"

const char *exits_phase_text(enum exits_phase phase) {
    switch (phase) {
#define EXITS_PHASE_TEXT(name, text)                                                               \
    case name:                                                                                     \
        return text;
        EXITS_PHASE_TABLE(EXITS_PHASE_TEXT)
#undef EXITS_PHASE_TEXT
    case EXITS_PHASE_COUNT:
        break;
    }
    return "?";
}

const char *exits_stray_text(enum exits_stray stray) {
    switch (stray) {
#define EXITS_STRAY_TEXT(name, text)                                                               \
    case name:                                                                                     \
        return text;
        EXITS_STRAY_TABLE(EXITS_STRAY_TEXT)
#undef EXITS_STRAY_TEXT
    case STRAY_COUNT:
        break;
    }
    return "?";
}

struct exits_config exits_config_defaults(void) {
    const int64_t second = INT64_C(1000000000);
    return (struct exits_config){.stop_answer_ns_max = second,
                                 .entry_answer_ns_max = 5 * second,
                                 .entry_unknown_ns_max = 60 * second,
                                 .unprotected_ns_max = 3 * second,
                                 .close_answer_ns_max = 2 * second,
                                 .reduce_unknown_ns_max = 60 * second,
                                 .stop_attempts_max = 3,
                                 .stop_step_ticks = 2,
                                 .stop_step = 0.0005,
                                 .stop_retry_ns = 10 * second,
                                 .stray_stop_distance = 0.02};
}

void exits_enter(struct exits_state *state, const struct trade_intent *intent, uint32_t leverage,
                 double cost) {
    ASSERT(state->phase == EXITS_FLAT && cost >= 0);
    *state = (struct exits_state){.phase = EXITS_ENTERING,
                                  .side = intent->side,
                                  .intent = *intent,
                                  .leverage = leverage,
                                  .cost = cost,
                                  .deadline_ns = INT64_MAX};
}

void exits_submit_close(struct exits_actions *out, struct exits_state *state,
                        const struct exits_context *context, enum exit_reason reason) {
    if (state->phase != EXITS_CLOSING) state->exit_reason = (uint32_t)reason;
    state->phase = EXITS_CLOSING;
    state->deadline_ns = context->now_ns + context->config->close_answer_ns_max;
    state->closing_qty = exits_held(state);
    /* More than one order may take goes in several; less than the step is a step, cut by the venue. Rules that
     * let nobody sell anything are waited out. */
    qty_t asked = exits_covering(state, context);
    if (asked.e8 != state->closing_asked.e8) state->closing_since = state->close_attempts;
    state->closing_asked = asked;
    if (asked.e8 > 0)
        exits_add(out, &(struct exits_action){.kind = EXITS_SUBMIT_CLOSE,
                                              .qty = asked,
                                              .attempt = state->close_attempts++});
}

/* ---- targets ---- */

px_t exits_nearest_target(const struct exits_state *state) {
    for (uint32_t j = 0; j < EXITS_TARGETS_MAX; j++)
        if (state->targets[j].state == TARGET_ASKED || state->targets[j].state == TARGET_LATER)
            return state->targets[j].px;
    return px_e8(0);
}

void exits_ask_targets(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context) {
    /* A single target needs no quantity; parts are parts of what is held when the entry is over. */
    bool single = !(state->intent.take_part_1 > 0);
    if (!state->targets_made && (single || state->entry_done)) {
        struct instrument scratch;
        state->targets_made = 1;
        exits_targets(state->targets, exits_rules(&scratch, state, context), &state->intent,
                      state->fill_px,
                      exits_held(state)); /* less than entered if the stop was met meanwhile */
        state->take_px = exits_nearest_target(state);
    }
    for (uint32_t j = 0; j < EXITS_TARGETS_MAX; j++) {
        struct exits_target *target = &state->targets[j];
        if (target->state != TARGET_LATER) continue;
        target->state = TARGET_ASKED;
        exits_add(out, &(struct exits_action){.kind = EXITS_SUBMIT_TAKE,
                                              .px = target->px,
                                              .qty = target->qty,
                                              .attempt = target->attempts++,
                                              .target = j});
    }
}

/* The market has passed it: at market, which is no worse. */
static void take_at_market(struct exits_actions *out, struct exits_state *state,
                           const struct exits_context *context, uint32_t j) {
    struct instrument scratch;
    struct exits_target *target = &state->targets[j];
    qty_t held = exits_held(state);
    bool whole = target->qty.e8 == 0;
    target->qty = instrument_round_qty(exits_rules(&scratch, state, context), target->qty, true);
    if (!whole && target->qty.e8 == 0)
        return; /* less than a step by now: it stays under the stop */
    if (whole || target->qty.e8 >= held.e8) {
        target->state = TARGET_REACHED;
        state->targets_reached++;
        exits_submit_close(out, state, context, EXIT_TAKE_PROFIT);
        return;
    }
    target->state = TARGET_MARKET;
    exits_add(out, &(struct exits_action){.kind = EXITS_SUBMIT_TAKE,
                                          .qty = target->qty,
                                          .attempt = target->attempts++,
                                          .target = j});
}

enum { TARGET_ATTEMPTS_MAX = 3 };

/* What the other targets leave of the position. */
static qty_t rest_for(const struct exits_state *state, uint32_t j) {
    int64_t rest = exits_held(state).e8;
    for (uint32_t o = 0; o < EXITS_TARGETS_MAX; o++)
        if (o != j &&
            (state->targets[o].state == TARGET_ASKED || state->targets[o].state == TARGET_MARKET))
            rest -= state->targets[o].qty.e8;
    return qty_e8(rest > 0 ? rest : 0);
}

/* Once more, by the rules of now; qty 0: the whole. What is too small by now stays under the stop, or is the last
 * target's. */
static void ask_again(struct exits_actions *out, struct exits_state *state,
                      const struct exits_context *context, uint32_t j, qty_t qty, bool whole) {
    struct instrument scratch;
    const struct instrument *in = exits_rules(&scratch, state, context);
    struct exits_target *target = &state->targets[j];
    target->px = instrument_round_px(in, target->px, state->side == SIDE_BUY);
    target->qty = whole ? qty_e8(0) : instrument_round_qty(in, qty, true);
    if (!whole && !exits_is_exitable(in, target->qty, target->px)) return;
    target->state = TARGET_ASKED;
    state->take_px = exits_nearest_target(state);
    exits_add(out, &(struct exits_action){.kind = EXITS_SUBMIT_TAKE,
                                          .px = target->px,
                                          .qty = target->qty,
                                          .attempt = target->attempts++,
                                          .target = j});
}

void exits_take_ended(struct exits_actions *out, struct exits_state *state,
                      const struct exits_context *context, uint32_t target, bool filled,
                      int32_t code) {
    out->count = 0;
    ASSERT(target < EXITS_TARGETS_MAX);
    struct exits_target *t = &state->targets[target];
    if (t->state == TARGET_DROPPED) { /* cancelled, or it was reached before that */
        t->state = filled ? TARGET_REACHED : TARGET_NONE;
        state->targets_reached += filled;
        return;
    }
    if (t->state != TARGET_ASKED && t->state != TARGET_MARKET) return;
    bool asked = t->state == TARGET_ASKED, passed = code == CODE_WOULD_TRIGGER && asked;
    bool again = asked && !filled && t->attempts < TARGET_ATTEMPTS_MAX;
    if (!filled && exits_is_of_rules(code))
        exits_learn_rules(state, context, asked ? t->px : px_e8(0), t->qty);
    t->state = filled ? TARGET_REACHED : TARGET_LOST;
    state->targets_reached += filled;
    state->take_px = exits_nearest_target(state);
    if (state->phase != EXITS_PROTECTED || state->position_qty.e8 == 0) return;
    if (passed)
        take_at_market(out, state, context, target);
    else if (again && exits_is_of_rules(code))
        ask_again(out, state, context, target, t->qty, t->qty.e8 == 0);
    else if (again && code == CODE_WHOLE_EXISTS && t->qty.e8 == 0)
        ask_again(out, state, context, target, rest_for(state, target), false);
    /* Any other refusal leaves the position with its stop, its later targets and its time stop. */
}

/* ---- fills ---- */

static void first_fill(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context, px_t px) {
    enum side side = (enum side)state->side;
    state->phase = EXITS_UNPROTECTED;
    state->entry_ts_ns = state->naked_ts_ns = context->now_ns;
    state->fill_px = state->best_px = state->worst_px = px;
    state->stop_px = exits_stop_px(context->instrument, side, px, state->intent.stop_distance);
    if (state->intent.take_distance > 0)
        state->take_px = exits_take_px(context->instrument, side, px, state->intent.take_distance);
    exits_submit_stop(out, state, context);
}

/* The entry is over and nothing is held. */
static void flat(struct exits_actions *out, struct exits_state *state) {
    if (state->exit_reason == EXIT_NONE) state->exit_reason = state->fill_reason;
    state->phase = EXITS_CLEANUP;
    state->deadline_ns = INT64_MAX;
    exits_tell(out, EXITS_TELL_CLOSED);
    exits_tell(out, EXITS_CANCEL_ORDERS);
}

/* The position was ended while its entry was still filling, and here is more of it: the orders that
 * covered it are spent. */
static void filled_after_exit(struct exits_actions *out, struct exits_state *state,
                              const struct exits_context *context) {
    if (state->phase == EXITS_PROTECTED || state->phase == EXITS_UNPROTECTED ||
        state->phase == EXITS_CLOSING)
        exits_submit_close(out, state, context, (enum exit_reason)state->fill_reason);
}

void exits_fill(struct exits_actions *out, struct exits_state *state,
                const struct exits_context *context, enum side side, px_t px, qty_t qty,
                money_t commission, money_t realized_pnl, enum exit_reason reason) {
    out->count = 0;
    ASSERT(qty.e8 > 0 && px.e8 > 0);
    money_t cost = money_mul_half_even(px, qty);
    state->fees.e8 += commission.e8;
    state->realized_pnl.e8 += realized_pnl.e8;
    state->position_qty.e8 += (int64_t)side_sign(side) * qty.e8;
    if ((uint32_t)side == state->side) {
        state->entered_qty.e8 += qty.e8;
        state->entered_cost.e8 += cost.e8;
        if (state->phase == EXITS_ENTERING)
            first_fill(out, state, context, px);
        else if (state->position_qty.e8 == (int64_t)side_sign(side) * qty.e8)
            filled_after_exit(out, state, context);
        exits_follow(out, state, context);
        int64_t per_unit = px.e8 - state->stop_px.e8;
        state->risk.e8 += fx_mul_half_even(per_unit < 0 ? -per_unit : per_unit, qty.e8);
        return;
    }
    state->exited_qty.e8 += qty.e8;
    state->exited_cost.e8 += cost.e8;
    state->exit_ts_ns = context->now_ns;
    state->fill_reason = (uint32_t)reason;
    if (exits_gain((enum side)state->side, px, state->worst_px) < 0) state->worst_px = px;
    if (state->phase == EXITS_CLEANUP || state->phase == EXITS_FLAT) return;
    if (state->position_qty.e8 != 0) {
        if (reason == EXIT_REBALANCE) exits_part_sold(out, state, context, qty);
        exits_follow(out, state, context);
        return;
    }
    /* A partly filled entry may still add to the position: flat is final once the entry has ended. */
    if (state->entry_done)
        flat(out, state);
    else
        state->deadline_ns = INT64_MAX; /* nothing to protect or to close while nothing is held */
}

void exits_funding(struct exits_state *state, money_t amount) {
    state->funding.e8 += amount.e8;
}

void exits_entry_ended(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context) {
    out->count = 0;
    state->entry_done = 1;
    if (state->phase == EXITS_ENTERING) {
        state->phase = EXITS_CLEANUP;
        exits_tell(out, EXITS_TELL_FAILED);
    } else if (state->position_qty.e8 == 0 && state->phase != EXITS_CLEANUP &&
               state->phase != EXITS_FLAT) {
        flat(out, state);
    } else if (state->phase == EXITS_PROTECTED) {
        exits_ask_targets(out, state, context);
        exits_follow(out, state, context);
    }
}

void exits_give_up_protecting(struct exits_actions *out, struct exits_state *state,
                              const struct exits_context *context) {
    state->alarms++;
    exits_tell(out, EXITS_ALARM);
    exits_submit_close(out, state, context, EXIT_UNPROTECTED);
}

/* ---- the rest ---- */

void exits_close_ended(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context, uint32_t attempt, int32_t code) {
    out->count = 0;
    bool of_rules = exits_is_of_rules(code);
    if (state->reduction.qty.e8 != 0 && attempt == state->reduction.attempt) {
        if (of_rules) exits_learn_rules(state, context, px_e8(0), state->reduction.qty);
        state->reduction = (struct exits_reduction){0};
        return;
    }
    int64_t left = exits_held(state).e8;
    if (state->phase != EXITS_CLOSING || left == 0) return;
    bool again = left < state->closing_qty.e8;
    if (of_rules && attempt >= state->closing_since) {
        exits_learn_rules(state, context, px_e8(0), state->closing_asked);
        again |= exits_covering(state, context).e8 != state->closing_asked.e8;
    }
    if (again) exits_submit_close(out, state, context, (enum exit_reason)state->exit_reason);
}

void exits_orders_gone(struct exits_state *state) {
    if (state->phase != EXITS_CLEANUP) return;
    *state = (struct exits_state){.phase = EXITS_FLAT, .deadline_ns = INT64_MAX};
}

static bool is_alarm_due(const struct exits_state *state, int64_t now_ns) {
    return state->phase == EXITS_CLOSING && state->alarm_ns && now_ns >= state->alarm_ns;
}

void exits_time(struct exits_actions *out, struct exits_state *state,
                const struct exits_context *context) {
    out->count = 0;
    exits_reduction_late(out, state, context);
    if (is_alarm_due(state, context->now_ns)) {
        state->alarm_ns = 0;
        state->alarms++;
        exits_tell(out, EXITS_ALARM);
    }
    if (context->now_ns < state->deadline_ns) return;
    if (state->phase == EXITS_UNPROTECTED) {
        bool late = context->now_ns >= state->naked_ts_ns + context->config->unprotected_ns_max;
        if (late || state->stop_attempts >= context->config->stop_attempts_max)
            exits_give_up_protecting(out, state, context);
        else
            exits_submit_stop(out, state, context);
    } else if (state->phase == EXITS_CLOSING) {
        exits_submit_close(out, state, context, (enum exit_reason)state->exit_reason);
    } else if (state->phase == EXITS_PROTECTED && state->move == MOVE_ASKED) {
        exits_drop_move(out, state);
    } else {
        state->deadline_ns = INT64_MAX;
        exits_follow(out, state, context); /* a move that failed, once more */
    }
}

void exits_bar(struct exits_actions *out, struct exits_state *state,
               const struct exits_context *context) {
    out->count = 0;
    if (context->now_ns - state->coarser_ns >= RULES_TOLD_NS) state->coarser = 0;
    if (state->phase != EXITS_PROTECTED && state->phase != EXITS_UNPROTECTED) return;
    if (state->position_qty.e8 == 0) return;
    state->bars_held++;
    if (state->intent.horizon_bars > 0 && state->bars_held >= state->intent.horizon_bars &&
        state->phase == EXITS_PROTECTED)
        exits_submit_close(out, state, context, EXIT_TIME);
}

void exits_close(struct exits_actions *out, struct exits_state *state,
                 const struct exits_context *context, enum exit_reason reason) {
    out->count = 0;
    if (state->phase == EXITS_ENTERING)
        state->close_wanted = (uint32_t)reason;
    else if (state->position_qty.e8 == 0)
        return;
    else if (state->phase == EXITS_PROTECTED || state->phase == EXITS_UNPROTECTED)
        exits_submit_close(out, state, context, reason);
}

/* The price's worst way against the entry, as a part of it. */
static double worst_loss(const struct exits_state *state, px_t entry) {
    int64_t lost = exits_gain((enum side)state->side, entry, state->worst_px);
    if (lost <= 0 || entry.e8 <= 0) return 0;
    return lost >= entry.e8 ? 1.0 : (double)lost / (double)entry.e8;
}

void exits_trade(struct trade_closed *out, const struct exits_state *state, uint64_t trade_id) {
    memset(out, 0, sizeof *out);
    out->trade_id = trade_id;
    out->intent_id = state->intent.intent_id;
    memcpy(out->symbol, state->intent.symbol, SYMBOL_SIZE);
    out->instrument_index = state->intent.instrument_index;
    out->side = (uint8_t)state->side;
    out->exit_reason = (uint8_t)state->exit_reason;
    out->strategy = (uint8_t)state->intent.strategy;
    out->leverage = (uint8_t)state->leverage;
    out->entry_ts_ns = state->entry_ts_ns;
    out->exit_ts_ns = state->exit_ts_ns;
    out->entry_px = exits_average_px(state->entered_cost, state->entered_qty);
    out->exit_px = exits_average_px(state->exited_cost, state->exited_qty);
    out->qty = state->entered_qty;
    out->realized_pnl = state->realized_pnl;
    out->fees = state->fees;
    out->funding = state->funding;
    out->net_pnl.e8 = state->realized_pnl.e8 - state->fees.e8 + state->funding.e8;
    out->risk = state->risk;
    out->time_to_protected_ns =
        state->protected_ts_ns ? state->protected_ts_ns - state->entry_ts_ns : -1;
    out->confidence = state->intent.confidence;
    out->expected_edge = state->intent.edge;
    out->arm = state->intent.arm;
    out->targets = state->targets_reached;
    out->drawdown_max = worst_loss(state, out->entry_px);
}
