#include "trade/exits/exits.h"

#include <string.h>

#include "base/assert.h"

/* The venue's "order would immediately trigger". */
enum { CODE_WOULD_TRIGGER = -2021 };

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

struct exits_config exits_config_defaults(void) {
    const int64_t second = INT64_C(1000000000);
    return (struct exits_config){.stop_answer_ns_max = second,
                                 .unprotected_ns_max = 3 * second,
                                 .close_answer_ns_max = 2 * second,
                                 .stop_attempts_max = 3};
}

static void add(struct exits_actions *out, enum exits_action_kind kind, px_t px, qty_t qty,
                uint32_t attempt) {
    ASSERT(out->count < EXITS_ACTIONS_MAX);
    out->items[out->count++] = (struct exits_action){kind, px, qty, (uint8_t)attempt};
}

static void tell(struct exits_actions *out, enum exits_action_kind kind) {
    add(out, kind, px_e8(0), qty_e8(0), 0);
}

/* px moved by +-distance, rounded outward, at least one tick away. */
static px_t away_px(const struct instrument *in, px_t px, double distance, bool up) {
    int64_t step = fx_from_f64(px_to_f64(px) * distance);
    if (step < in->tick_size.e8) step = in->tick_size.e8;
    return instrument_round_px(in, px_e8(up ? px.e8 + step : px.e8 - step), up);
}

px_t exits_stop_px(const struct instrument *instrument, enum side side, px_t px, double distance) {
    return away_px(instrument, px, distance, side == SIDE_SELL);
}

px_t exits_take_px(const struct instrument *instrument, enum side side, px_t px, double distance) {
    return away_px(instrument, px, distance, side == SIDE_BUY);
}

void exits_enter(struct exits_state *state, const struct trade_intent *intent, uint32_t leverage) {
    ASSERT(state->phase == EXITS_FLAT);
    *state = (struct exits_state){.phase = EXITS_ENTERING,
                                  .side = intent->side,
                                  .intent = *intent,
                                  .leverage = leverage,
                                  .deadline_ns = INT64_MAX};
}

static px_t average_px(money_t cost, qty_t qty) {
    return px_e8(qty.e8 > 0 ? fx_muldiv_half_even(cost.e8, FX_ONE, qty.e8) : 0);
}

static void submit_close(struct exits_actions *out, struct exits_state *state,
                         const struct exits_context *context, enum exit_reason reason) {
    if (state->phase != EXITS_CLOSING) state->exit_reason = (uint32_t)reason;
    state->phase = EXITS_CLOSING;
    state->deadline_ns = context->now_ns + context->config->close_answer_ns_max;
    state->closing_qty =
        qty_e8(state->position_qty.e8 < 0 ? -state->position_qty.e8 : state->position_qty.e8);
    add(out, EXITS_SUBMIT_CLOSE, px_e8(0), state->closing_qty, state->close_attempts++);
}

static bool stop_is_crossed(const struct exits_state *state, px_t last_px) {
    return state->side == SIDE_BUY ? last_px.e8 <= state->stop_px.e8
                                   : last_px.e8 >= state->stop_px.e8;
}

static void submit_stop(struct exits_actions *out, struct exits_state *state,
                        const struct exits_context *context) {
    state->stop_attempts++;
    int64_t ask_again = context->now_ns + context->config->stop_answer_ns_max;
    int64_t give_up = state->entry_ts_ns + context->config->unprotected_ns_max;
    state->deadline_ns = ask_again < give_up ? ask_again : give_up;
    add(out, EXITS_SUBMIT_STOP, state->stop_px, qty_e8(0), state->stop_attempts - 1);
}

static void first_fill(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context, px_t px) {
    state->phase = EXITS_UNPROTECTED;
    state->entry_ts_ns = context->now_ns;
    state->stop_px =
        exits_stop_px(context->instrument, (enum side)state->side, px, state->intent.stop_distance);
    if (state->intent.take_distance > 0)
        state->take_px = exits_take_px(context->instrument, (enum side)state->side, px,
                                       state->intent.take_distance);
    submit_stop(out, state, context);
}

/* The entry is over and nothing is held. */
static void flat(struct exits_actions *out, struct exits_state *state) {
    if (state->exit_reason == EXIT_NONE) state->exit_reason = state->fill_reason;
    state->phase = EXITS_CLEANUP;
    state->deadline_ns = INT64_MAX;
    tell(out, EXITS_TELL_CLOSED);
    tell(out, EXITS_CANCEL_ORDERS);
}

/* The position was ended while its entry was still filling, and here is more of it: the orders that
 * covered it are spent. */
static void filled_after_exit(struct exits_actions *out, struct exits_state *state,
                              const struct exits_context *context) {
    if (state->phase == EXITS_PROTECTED || state->phase == EXITS_UNPROTECTED ||
        state->phase == EXITS_CLOSING)
        submit_close(out, state, context, (enum exit_reason)state->fill_reason);
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
        int64_t per_unit = px.e8 - state->stop_px.e8;
        state->risk.e8 += fx_mul_half_even(per_unit < 0 ? -per_unit : per_unit, qty.e8);
        return;
    }
    state->exited_qty.e8 += qty.e8;
    state->exited_cost.e8 += cost.e8;
    state->exit_ts_ns = context->now_ns;
    state->fill_reason = (uint32_t)reason;
    if (state->position_qty.e8 != 0 || state->phase == EXITS_CLEANUP || state->phase == EXITS_FLAT)
        return;
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
    (void)context; /* every answer has the same shape */
    out->count = 0;
    state->entry_done = 1;
    if (state->phase == EXITS_ENTERING) {
        state->phase = EXITS_CLEANUP;
        tell(out, EXITS_TELL_FAILED);
    } else if (state->position_qty.e8 == 0 && state->phase != EXITS_CLEANUP &&
               state->phase != EXITS_FLAT) {
        flat(out, state);
    }
}

void exits_stop_confirmed(struct exits_actions *out, struct exits_state *state,
                          const struct exits_context *context) {
    out->count = 0;
    if (state->protected_ts_ns == 0) state->protected_ts_ns = context->now_ns;
    if (state->phase != EXITS_UNPROTECTED) return;
    state->phase = EXITS_PROTECTED;
    state->deadline_ns = INT64_MAX;
    tell(out, EXITS_TELL_PROTECTED);
    if (state->position_qty.e8 == 0) return; /* the stop's fill overtook its confirmation */
    if (state->close_wanted != EXIT_NONE)
        submit_close(out, state, context, (enum exit_reason)state->close_wanted);
    else if (state->take_px.e8 > 0)
        add(out, EXITS_SUBMIT_TAKE, state->take_px, qty_e8(0), state->take_attempts++);
}

static void give_up_protecting(struct exits_actions *out, struct exits_state *state,
                               const struct exits_context *context) {
    state->alarms++;
    tell(out, EXITS_ALARM);
    submit_close(out, state, context, EXIT_UNPROTECTED);
}

void exits_stop_failed(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context, int32_t code) {
    out->count = 0;
    if (state->phase != EXITS_UNPROTECTED && state->phase != EXITS_PROTECTED) return;
    if (state->position_qty.e8 == 0)
        return; /* it triggered into a flat position, or was cancelled after */
    if (context->instrument->status == INSTRUMENT_CLOSED)
        return; /* the venue is settling the position */
    if (code == CODE_WOULD_TRIGGER || stop_is_crossed(state, context->last_px)) {
        /* The market is already beyond the stop: what the stop would have done is done now. */
        submit_close(out, state, context, EXIT_STOP);
        return;
    }
    state->phase = EXITS_UNPROTECTED;
    if (state->stop_attempts >= context->config->stop_attempts_max)
        give_up_protecting(out, state, context);
    else
        submit_stop(out, state, context);
}

void exits_take_failed(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context, int32_t code) {
    out->count = 0;
    if (state->phase != EXITS_PROTECTED || state->position_qty.e8 == 0) return;
    if (code == CODE_WOULD_TRIGGER) submit_close(out, state, context, EXIT_TAKE_PROFIT);
    /* Any other refusal leaves the position with its stop and its time stop. */
}

void exits_close_ended(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context) {
    out->count = 0;
    int64_t left = state->position_qty.e8 < 0 ? -state->position_qty.e8 : state->position_qty.e8;
    if (state->phase == EXITS_CLOSING && left != 0 && left < state->closing_qty.e8)
        submit_close(out, state, context, (enum exit_reason)state->exit_reason);
}

void exits_orders_gone(struct exits_state *state) {
    if (state->phase != EXITS_CLEANUP) return;
    *state = (struct exits_state){.phase = EXITS_FLAT, .deadline_ns = INT64_MAX};
}

void exits_time(struct exits_actions *out, struct exits_state *state,
                const struct exits_context *context) {
    out->count = 0;
    if (context->now_ns < state->deadline_ns) return;
    if (state->phase == EXITS_UNPROTECTED) {
        bool late = context->now_ns >= state->entry_ts_ns + context->config->unprotected_ns_max;
        if (late || state->stop_attempts >= context->config->stop_attempts_max)
            give_up_protecting(out, state, context);
        else
            submit_stop(out, state, context);
    } else if (state->phase == EXITS_CLOSING) {
        submit_close(out, state, context, (enum exit_reason)state->exit_reason);
    } else {
        state->deadline_ns = INT64_MAX;
    }
}

void exits_bar(struct exits_actions *out, struct exits_state *state,
               const struct exits_context *context) {
    out->count = 0;
    if (state->phase != EXITS_PROTECTED && state->phase != EXITS_UNPROTECTED) return;
    if (state->position_qty.e8 == 0) return;
    state->bars_held++;
    if (state->intent.horizon_bars > 0 && state->bars_held >= state->intent.horizon_bars &&
        state->phase == EXITS_PROTECTED)
        submit_close(out, state, context, EXIT_TIME);
}

void exits_close(struct exits_actions *out, struct exits_state *state,
                 const struct exits_context *context, enum exit_reason reason) {
    out->count = 0;
    if (state->phase == EXITS_ENTERING)
        state->close_wanted = (uint32_t)reason;
    else if (state->position_qty.e8 == 0)
        return;
    else if (state->phase == EXITS_PROTECTED || state->phase == EXITS_UNPROTECTED)
        submit_close(out, state, context, reason);
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
    out->entry_px = average_px(state->entered_cost, state->entered_qty);
    out->exit_px = average_px(state->exited_cost, state->exited_qty);
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
}
