/* The venue's rules where they are coarser than what is held, or other than what we were told. */
#include "trade/exits/exits_internal.h"

/* Ticks and steps are powers of ten of one another; more than a thousandfold at once is no change of rules. */
enum { COARSER_MAX = 3 };

bool exits_is_of_rules(int32_t code) {
    switch (code) {
    case -1111:
    case -4002:
    case -4004:
    case -4005:
    case -4013:
    case -4014:
    case -4023:
    case -4164:
        return true;
    default:
        return false;
    }
}

const struct instrument *exits_rules(struct instrument *scratch, const struct exits_state *state,
                                     const struct exits_context *context) {
    if (state->coarser == 0) return context->instrument;
    *scratch = *context->instrument;
    for (uint32_t n = 0; n < state->coarser; n++) {
        scratch->tick_size.e8 *= 10;
        scratch->market_step_size.e8 *= 10;
    }
    if (scratch->tick_size.e8 > 0)
        scratch->px_min.e8 = fx_snap_up(scratch->px_min.e8, scratch->tick_size.e8);
    if (scratch->market_step_size.e8 > 0)
        scratch->market_qty_min.e8 =
            fx_snap_up(scratch->market_qty_min.e8, scratch->market_step_size.e8);
    return scratch;
}

qty_t exits_covering_qty(const struct instrument *in, qty_t held) {
    qty_t below = instrument_round_qty(in, held, true);
    if (below.e8 == held.e8) return below;
    int64_t least = in->market_qty_min.e8 > 0 ? in->market_qty_min.e8 : in->market_step_size.e8;
    qty_t above = {below.e8 > 0 ? below.e8 + in->market_step_size.e8 : least};
    return above.e8 <= in->market_qty_max.e8 ? above : below;
}

px_t exits_rule_px(const struct exits_state *state, const struct exits_context *context, px_t px) {
    struct instrument scratch;
    return instrument_round_px(exits_rules(&scratch, state, context), px, state->side == SIDE_BUY);
}

qty_t exits_covering(const struct exits_state *state, const struct exits_context *context) {
    struct instrument scratch;
    return exits_covering_qty(exits_rules(&scratch, state, context), exits_held(state));
}

void exits_rules_told(struct exits_state *state) {
    state->coarser = 0;
}

static bool explains(const struct instrument *in, px_t px, qty_t qty) {
    return (px.e8 != 0 && instrument_check_px(in, px) != FILTER_OK) ||
           (qty.e8 != 0 && instrument_check_qty(in, qty, true) != FILTER_OK);
}

void exits_learn_rules(struct exits_state *state, const struct exits_context *context, px_t px,
                       qty_t qty) {
    struct instrument scratch;
    uint32_t before = state->coarser;
    state->coarser = 0;
    state->coarser_ns = context->now_ns;
    if (explains(context->instrument, px, qty)) return;
    for (state->coarser = before > 0 ? before : 1; state->coarser <= COARSER_MAX; state->coarser++)
        if (explains(exits_rules(&scratch, state, context), px, qty)) return;
    state->coarser = before;
}
