/* Less of it: a part sold at market while the stop stands. */
#include "trade/exits/exits_internal.h"

static bool is_busy(const struct exits_state *state) {
    for (uint32_t j = 0; j < EXITS_TARGETS_MAX; j++)
        if (state->targets[j].state == TARGET_MARKET) return true;
    return state->reduction.qty.e8 != 0;
}

bool exits_reduce(struct exits_actions *out, struct exits_state *state,
                  const struct exits_context *context, qty_t qty) {
    out->count = 0;
    qty_t held = exits_held(state);
    if (state->phase != EXITS_PROTECTED || !state->entry_done || held.e8 == 0 || is_busy(state) ||
        context->instrument->status == INSTRUMENT_CLOSED)
        return false;
    struct instrument scratch;
    const struct instrument *in = exits_rules(&scratch, state, context);
    qty_t part = instrument_round_qty(in, qty, true);
    bool whole = qty.e8 >= held.e8;
    if (!whole && !exits_is_exitable(in, part, context->last_px)) return false;
    /* More than one order may take is sellable in several: the greatest of them is looked at. */
    qty_t rest = instrument_round_qty(in, qty_e8(held.e8 - part.e8), true);
    if (whole || !exits_is_exitable(in, rest, context->last_px)) {
        exits_submit_close(out, state, context, EXIT_REBALANCE);
        return true;
    }
    state->reduction = (struct exits_reduction){.qty = part,
                                                .attempt = state->close_attempts++,
                                                .asked_ts_ns = context->now_ns,
                                                .answer_ns = context->now_ns +
                                                             context->config->close_answer_ns_max};
    exits_add(out, &(struct exits_action){.kind = EXITS_SUBMIT_REDUCE,
                                          .qty = part,
                                          .attempt = state->reduction.attempt});
    return true;
}

qty_t exits_remaining(const struct exits_state *state) {
    if (state->phase == EXITS_CLOSING) return qty_e8(0);
    int64_t held = exits_held(state).e8;
    int64_t sold = state->reduction.qty.e8 - state->reduction.sold.e8;
    for (uint32_t j = 0; j < EXITS_TARGETS_MAX; j++)
        if (state->targets[j].state == TARGET_MARKET) sold += state->targets[j].qty.e8;
    int64_t left = held > sold ? held - sold : 0;
    return qty_e8(state->position_qty.e8 < 0 ? -left : left);
}

void exits_part_sold(struct exits_actions *out, struct exits_state *state,
                     const struct exits_context *context, qty_t qty) {
    struct exits_reduction *r = &state->reduction;
    r->sold.e8 += qty.e8 < r->qty.e8 - r->sold.e8 ? qty.e8 : r->qty.e8 - r->sold.e8;
    int64_t rest = exits_held(state).e8;
    for (uint32_t j = 0; j < EXITS_TARGETS_MAX; j++)
        if (state->targets[j].state == TARGET_ASKED) rest -= state->targets[j].qty.e8;
    /* From the last part down, as the plan was made: what leaves an unsellable rest is drawn into it. */
    for (uint32_t j = EXITS_TARGETS_MAX; j-- > 0;) {
        struct exits_target *target = &state->targets[j];
        if (target->state != TARGET_ASKED || target->qty.e8 == 0) continue;
        if (rest == 0 || exits_is_exitable(context->instrument, qty_e8(rest), target->px)) break;
        rest += target->qty.e8;
        target->state = TARGET_DROPPED;
        exits_add(out, &(struct exits_action){.kind = EXITS_CANCEL_TAKE,
                                              .attempt = target->attempts - 1,
                                              .target = j});
    }
    state->take_px = exits_nearest_target(state);
}

static bool is_waiting(const struct exits_state *state) {
    return state->reduction.qty.e8 != 0 &&
           (state->phase == EXITS_PROTECTED || state->phase == EXITS_UNPROTECTED);
}

void exits_reduction_late(struct exits_actions *out, struct exits_state *state,
                          const struct exits_context *context) {
    struct exits_reduction *r = &state->reduction;
    if (!is_waiting(state) || context->now_ns < r->answer_ns) return;
    int64_t give_up = r->asked_ts_ns + context->config->reduce_unknown_ns_max;
    if (context->now_ns >= give_up) {
        *r =
            (struct exits_reduction){0}; /* should it be filled after all, that is booked as ever */
        return;
    }
    int64_t again = context->now_ns + (context->now_ns - r->asked_ts_ns); /* ever more seldom */
    r->answer_ns = again < give_up ? again : give_up;
    exits_add(out, &(struct exits_action){.kind = EXITS_ASK_REDUCE, .attempt = r->attempt});
}

int64_t exits_deadline(const struct exits_state *state) {
    int64_t answer = is_waiting(state) ? state->reduction.answer_ns : INT64_MAX;
    int64_t deadline = answer < state->deadline_ns ? answer : state->deadline_ns;
    bool alarms = state->phase == EXITS_CLOSING && state->alarm_ns;
    return alarms && state->alarm_ns < deadline ? state->alarm_ns : deadline;
}
