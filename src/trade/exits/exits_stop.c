/* The stop: asked for, confirmed, lost, and moved. */
#include "trade/exits/exits_internal.h"

static bool is_crossed(const struct exits_state *state, px_t stop_px, px_t last_px) {
    return exits_gain((enum side)state->side, last_px, stop_px) <= 0;
}

static bool may_be_whole(const struct exits_state *state) {
    return state->whole_asked == 0 && !state->whole_foreign;
}

/* The next stop order: closePosition unless one may be alive, then reduce-only of what is held, rounded up. A price
 * that was on the grid when it was chosen may not be any more: it goes to the next one towards the market, for a
 * stop is never loosened. */
static struct exits_stop make_stop(struct exits_state *state, const struct exits_context *context,
                                   px_t px) {
    qty_t qty = exits_covering(state, context);
    bool whole = may_be_whole(state) || qty.e8 == 0;
    struct exits_stop stop = {.px = exits_rule_px(state, context, px),
                              .qty = whole ? qty_e8(0) : qty,
                              .attempt = state->stop_orders++};
    if (whole) state->whole_asked = stop.attempt + 1;
    return stop;
}

static void submit(struct exits_actions *out, const struct exits_stop *stop) {
    exits_add(out, &(struct exits_action){.kind = EXITS_SUBMIT_STOP,
                                          .px = stop->px,
                                          .qty = stop->qty,
                                          .attempt = stop->attempt});
}

static void wait_for_stop(struct exits_state *state, const struct exits_context *context) {
    int64_t ask_again = context->now_ns + context->config->stop_answer_ns_max;
    int64_t give_up = state->naked_ts_ns + context->config->unprotected_ns_max;
    state->deadline_ns = ask_again < give_up ? ask_again : give_up;
}

void exits_submit_stop(struct exits_actions *out, struct exits_state *state,
                       const struct exits_context *context) {
    state->stop_attempts++;
    state->stop = make_stop(state, context, state->stop_px);
    state->stop_px = state->stop.px;
    wait_for_stop(state, context);
    submit(out, &state->stop);
}

bool exits_awaits_stop(const struct exits_state *state) {
    return state->phase == EXITS_UNPROTECTED ||
           (state->phase == EXITS_PROTECTED && state->move == MOVE_ASKED);
}

uint32_t exits_awaited_stop(const struct exits_state *state) {
    return state->phase == EXITS_PROTECTED ? state->next.attempt : state->stop.attempt;
}

/* ---- moving it ---- */

static px_t wanted_px(const struct exits_state *state, const struct exits_context *context) {
    px_t floor = state->floor_px;
    px_t px = exits_wanted_stop_px(context->instrument, &state->intent,
                                   exits_average_px(state->entered_cost, state->entered_qty),
                                   state->cost, state->best_px, state->stop_px);
    return floor.e8 && exits_gain((enum side)state->side, floor, px) > 0 ? floor : px;
}

static bool is_worth_an_order(const struct exits_state *state, const struct exits_context *context,
                              px_t wanted) {
    int64_t step = exits_gain((enum side)state->side, wanted, state->stop_px);
    int64_t ticks = (int64_t)context->config->stop_step_ticks * context->instrument->tick_size.e8;
    return step > 0 && step >= ticks &&
           (double)step >= context->config->stop_step * (double)state->fill_px.e8;
}

static bool may_move(const struct exits_state *state) {
    const struct trade_intent *t = &state->intent;
    return t->break_even_distance > 0 || t->trail_distance > 0 || state->floor_px.e8 != 0;
}

/* It neither falls short of what is held nor says more of it than the step makes it. */
static bool covers(const struct exits_state *state, const struct exits_context *context) {
    int64_t said = state->stop.qty.e8, most = exits_covering(state, context).e8;
    if (said == 0 || most == 0) return true;
    if (said >= exits_held(state).e8) return said <= most || said == exits_held(state).e8;
    return said == most && !may_be_whole(state); /* one order cannot say more */
}

void exits_follow(struct exits_actions *out, struct exits_state *state,
                  const struct exits_context *context) {
    if (state->phase != EXITS_PROTECTED || state->position_qty.e8 == 0 || state->move != MOVE_NONE)
        return;
    /* While the entry goes on the average is not known yet. */
    bool may = state->entry_done && may_move(state);
    px_t wanted = may ? wanted_px(state, context) : state->stop_px;
    bool enough = covers(state, context);
    if (!is_worth_an_order(state, context, wanted)) {
        if (enough) return;
        wanted = state->stop_px;
    } else if (enough &&
               is_crossed(state, exits_rule_px(state, context, wanted), context->last_px)) {
        return; /* the grid has nothing between it and the market: the one that stands does */
    }
    if (context->now_ns < state->move_after_ns) {
        state->deadline_ns = state->move_after_ns;
        return;
    }
    state->move = MOVE_ASKED;
    state->next = make_stop(state, context, wanted);
    state->deadline_ns = context->now_ns + context->config->stop_answer_ns_max;
    submit(out, &state->next);
}

void exits_drop_move(struct exits_actions *out, struct exits_state *state) {
    state->move = MOVE_DROPPED;
    state->deadline_ns = INT64_MAX;
    exits_add(out,
              &(struct exits_action){.kind = EXITS_CANCEL_STOP, .attempt = state->next.attempt});
}

static void look_at_stop(struct exits_actions *out, struct exits_state *state,
                         const struct exits_context *context) {
    if (state->phase != EXITS_PROTECTED || !state->entry_done || !may_move(state)) return;
    px_t wanted = wanted_px(state, context);
    /* The best price was seen before the last one, so on the way from it the stop wanted was met. */
    if (state->move == MOVE_NONE && is_worth_an_order(state, context, wanted) &&
        is_crossed(state, wanted, context->last_px))
        exits_submit_close(out, state, context, EXIT_STOP);
    else
        exits_follow(out, state, context);
}

void exits_price(struct exits_actions *out, struct exits_state *state,
                 const struct exits_context *context, px_t low, px_t high, int64_t since_ns) {
    out->count = 0;
    if (state->position_qty.e8 == 0 || state->phase == EXITS_CLEANUP) return;
    enum side side = (enum side)state->side;
    px_t best = side == SIDE_BUY ? high : low, worst = side == SIDE_BUY ? low : high;
    if (since_ns < state->entry_ts_ns) {
        best = context->last_px;
        if (exits_gain(side, worst, state->stop_px) < 0) worst = state->stop_px;
    }
    if (exits_gain(side, best, state->best_px) > 0) state->best_px = best;
    if (exits_gain(side, worst, state->worst_px) < 0) state->worst_px = worst;
    look_at_stop(out, state, context);
}

bool exits_nearer(struct exits_actions *out, struct exits_state *state,
                  const struct exits_context *context, px_t px) {
    out->count = 0;
    enum side side = (enum side)state->side;
    if (state->position_qty.e8 == 0) return false;
    if (state->phase != EXITS_PROTECTED && state->phase != EXITS_UNPROTECTED) return false;
    px = instrument_round_px(context->instrument, px, side == SIDE_BUY);
    if (exits_gain(side, px, state->stop_px) <= 0) return false;
    if (state->floor_px.e8 != 0 && exits_gain(side, px, state->floor_px) <= 0) return false;
    state->floor_px = px;
    look_at_stop(out, state, context);
    return true;
}

/* ---- evidence ---- */

static void stands(struct exits_state *state, const struct exits_context *context,
                   const struct exits_stop *stop) {
    state->stop = *stop;
    state->stop_px = stop->px;
    state->stood_ts_ns = context->now_ns;
    state->deadline_ns = INT64_MAX;
}

void exits_stop_confirmed(struct exits_actions *out, struct exits_state *state,
                          const struct exits_context *context, const struct exits_stop *stop) {
    out->count = 0;
    if (state->protected_ts_ns == 0) state->protected_ts_ns = context->now_ns;
    if (state->phase == EXITS_UNPROTECTED) {
        /* An older one, from before a move, is a second line and no more. */
        if (exits_gain((enum side)state->side, stop->px, state->stop_px) < 0) return;
        stands(state, context, stop);
        state->phase = EXITS_PROTECTED;
        exits_tell(out, EXITS_TELL_PROTECTED);
        if (state->position_qty.e8 == 0) return; /* its fill overtook its confirmation */
        if (state->close_wanted != EXIT_NONE) {
            exits_submit_close(out, state, context, (enum exit_reason)state->close_wanted);
            return;
        }
        exits_ask_targets(out, state, context);
        exits_follow(out, state, context);
    } else if (state->phase == EXITS_PROTECTED && stop->attempt != state->stop.attempt) {
        if (state->move == MOVE_ASKED && stop->attempt == state->next.attempt) {
            state->move = MOVE_REPLACING;
            state->old_attempt = state->stop.attempt;
            stands(state, context, stop);
            exits_add(out, &(struct exits_action){.kind = EXITS_CANCEL_STOP,
                                                  .attempt = state->old_attempt});
        } else {
            /* One that was given up as unanswered stands after all. */
            exits_add(out,
                      &(struct exits_action){.kind = EXITS_CANCEL_STOP, .attempt = stop->attempt});
        }
    }
}

/* The close has to do it alone. */
static void bare(struct exits_state *state, const struct exits_context *context) {
    state->is_bare = 1;
    if (state->alarms == 0)
        state->alarm_ns = state->naked_ts_ns + context->config->unprotected_ns_max;
}

static void unprotected_ended(struct exits_actions *out, struct exits_state *state,
                              const struct exits_context *context, uint32_t attempt, int32_t code) {
    if (code == CODE_WOULD_TRIGGER || is_crossed(state, state->stop_px, context->last_px)) {
        /* The market is already beyond the stop: what the stop would have done is done now. */
        bare(state, context);
        exits_submit_close(out, state, context, EXIT_STOP);
        return;
    }
    /* Of whichever attempt: the last one says the same. */
    if (exits_is_of_rules(code)) exits_learn_rules(state, context, state->stop.px, state->stop.qty);
    if (attempt != state->stop.attempt) return; /* another has been asked for since */
    if (state->stop_attempts >= context->config->stop_attempts_max)
        exits_give_up_protecting(out, state, context);
    else
        exits_submit_stop(out, state, context);
}

/* The stop that stood is gone, and something is held. */
static void lost(struct exits_actions *out, struct exits_state *state,
                 const struct exits_context *context, int32_t code) {
    state->naked_ts_ns = context->now_ns;
    if (code == CODE_WOULD_TRIGGER || is_crossed(state, state->stop_px, context->last_px)) {
        bare(state, context);
        exits_submit_close(out, state, context, EXIT_STOP);
        return;
    }
    state->phase = EXITS_UNPROTECTED;
    enum exits_move move = (enum exits_move)state->move;
    state->move = MOVE_NONE;
    /* A venue that takes a stop only to drop it at once has so many attempts and no more. */
    if (context->now_ns - state->stood_ts_ns >= context->config->stop_retry_ns)
        state->stop_attempts = 0;
    if (move == MOVE_ASKED) { /* what was to replace it is on its way */
        state->stop = state->next;
        state->stop_px = state->next.px;
        state->stop_attempts++;
        wait_for_stop(state, context);
    } else if (state->stop_attempts >= context->config->stop_attempts_max) {
        exits_give_up_protecting(out, state, context);
    } else {
        exits_submit_stop(out, state, context);
    }
}

static void move_failed(struct exits_actions *out, struct exits_state *state,
                        const struct exits_context *context, int32_t code) {
    if (code == CODE_WOULD_TRIGGER) {
        exits_submit_close(out, state, context, EXIT_STOP);
        return;
    }
    if (exits_is_of_rules(code)) exits_learn_rules(state, context, state->next.px, state->next.qty);
    state->move = MOVE_NONE;
    state->move_after_ns = context->now_ns + context->config->stop_retry_ns;
    if (code == CODE_WHOLE_EXISTS) state->move_after_ns = context->now_ns;
    state->deadline_ns = state->move_after_ns;
}

void exits_stop_ended(struct exits_actions *out, struct exits_state *state,
                      const struct exits_context *context, uint32_t attempt, int32_t code) {
    out->count = 0;
    if (state->whole_asked == attempt + 1) state->whole_asked = 0;
    if (code == CODE_WHOLE_EXISTS) state->whole_foreign = 1;
    if (state->phase == EXITS_CLOSING && attempt == state->stop.attempt && !state->is_bare) {
        state->naked_ts_ns = context->now_ns;
        bare(state, context);
    }
    if (state->phase != EXITS_UNPROTECTED && state->phase != EXITS_PROTECTED) return;
    if (state->position_qty.e8 == 0)
        return; /* it triggered into a flat position, or was cancelled after */
    if (context->instrument->status == INSTRUMENT_CLOSED)
        return; /* the venue is settling the position */
    if (state->phase == EXITS_UNPROTECTED) {
        unprotected_ended(out, state, context, attempt, code);
    } else if (attempt == state->stop.attempt) {
        lost(out, state, context, code);
    } else if ((state->move == MOVE_ASKED || state->move == MOVE_DROPPED) &&
               attempt == state->next.attempt) {
        move_failed(out, state, context, code);
    } else if (state->move == MOVE_REPLACING && attempt == state->old_attempt) {
        state->move = MOVE_NONE;
        exits_follow(out, state, context);
    }
}
