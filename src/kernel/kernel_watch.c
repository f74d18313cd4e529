/* How far what is held is from its liquidation: estimated as the venue computes it for isolated margin, and told once a
 * trade when little is left of the way, or when the stop lies behind it. */
#include "kernel/kernel_internal.h"

/* Of the way from the entry to the liquidation: what is left of it when it is told. */
#define LIQUIDATION_NEAR 0.25

px_t kernel_liquidation_px(const struct kernel *k, uint32_t i, const struct holding *h) {
    double entry = px_to_f64(h->entry_px), qty = qty_to_f64(h->qty);
    money_t notional = money_mul_half_even(h->entry_px, h->qty);
    const struct instrument *in = instrument_of(k, i);
    if (notional.e8 <= 0) return px_e8(0);
    /* The bracket of the entry: near enough, for the curve has no steps. */
    double maint = money_to_f64(instrument_maint_margin(in, notional)) / money_to_f64(notional);
    double margin = entry / (double)h->leverage + money_to_f64(h->funding) / qty;
    double px =
        h->side == SIDE_BUY ? (entry - margin) / (1 - maint) : (entry + margin) / (1 + maint);
    /* Beyond 0 there is none; a short's is as far as numbers go. */
    const double most = 9e10;
    if (!(px > 0)) return px_e8(0);
    return px_e8(fx_from_f64(px < most ? px : most));
}

static bool told_before(uint64_t *told_of, uint64_t intent_id) {
    bool before = *told_of == intent_id;
    *told_of = intent_id;
    return before;
}

static void watch(struct kernel *k, struct kernel_out *out, uint32_t i) {
    struct cold *c = cold_of(k, i);
    const struct exits_state *x = &c->exits;
    px_t last = hot_of(k, i)->last_px;
    if (x->position_qty.e8 == 0 || x->entered_qty.e8 == 0 || last.e8 <= 0) return;
    const struct holding h = {
        .side = (enum side)x->side,
        .entry_px = {fx_muldiv_half_even(x->entered_cost.e8, FX_ONE, x->entered_qty.e8)},
        .qty = {x->position_qty.e8 < 0 ? -x->position_qty.e8 : x->position_qty.e8},
        .funding = x->funding,
        /* As it stands at the venue, whoever set it. */
        .leverage = c->leverage   ? c->leverage
                    : x->leverage ? x->leverage
                                  : 1};
    int64_t liquidation = kernel_liquidation_px(k, i, &h).e8, sign = side_sign(h.side);
    int64_t way = sign * (h.entry_px.e8 - liquidation), left = sign * (last.e8 - liquidation);
    int64_t stop = sign * (x->stop_px.e8 - liquidation);
    if ((double)left <= LIQUIDATION_NEAR * (double)way &&
        !told_before(&c->near_told, x->intent.intent_id)) {
        k->totals.near_liquidation++;
        kernel_tell_alarm(k, out, i, "near liquidation", 0);
    }
    if (stop <= 0 && !told_before(&c->behind_told, x->intent.intent_id)) {
        k->totals.stops_behind++;
        kernel_tell_alarm(k, out, i, "stop behind liquidation", 0);
    }
}

void kernel_watch(struct kernel *k, struct kernel_out *out) {
    for (uint32_t j = 0; j < k->open_count; j++) watch(k, out, k->open[j]);
}
