/* What is held beyond the portfolio's caps is reduced. Never asked: gates, breakers, the emergency stop; they are
 * about entries. */
#include <math.h>
#include <string.h>

#include "kernel/kernel_internal.h"

/* Held when everything that is on its way is done, so that nothing is reduced twice for one reason. Entries under
 * way are not: what they bring is looked at once it is there. */
static uint32_t held_fill(const struct kernel *k, struct portfolio_holding *out, double equity,
                          double *margin_used) {
    uint32_t count = 0;
    double margin = 0;
    for (uint32_t j = 0; j < k->open_count && count < PORTFOLIO_POSITIONS_CEILING; j++) {
        uint32_t i = k->open[j];
        const struct exits_state *x = &cold_of(k, i)->exits;
        int64_t qty = exits_remaining(x).e8;
        double notional = fx_to_f64(qty < 0 ? -qty : qty) * px_to_f64(hot_of(k, i)->last_px);
        if (!(notional > 0)) continue;
        out[count++] = (struct portfolio_holding){.instrument_index = i,
                                                  .side = qty > 0 ? SIDE_BUY : SIDE_SELL,
                                                  .fraction = notional / equity};
        margin += notional / (x->leverage > 1 ? x->leverage : 1);
    }
    *margin_used = margin / equity;
    return count;
}

/* The least the market takes of which no more than `to` is left; 0: it takes none. */
static qty_t qty_for(const struct kernel *k, uint32_t i, double keep_notional) {
    const struct instrument *in = instrument_of(k, i);
    px_t px = hot_of(k, i)->last_px;
    int64_t qty = exits_remaining(&cold_of(k, i)->exits).e8, held = qty < 0 ? -qty : qty;
    int64_t keep = fx_from_f64(keep_notional / px_to_f64(px));
    if (keep <= 0) return qty_e8(held);
    int64_t less = held > keep ? held - keep : 0, step = in->market_step_size.e8;
    qty_t least = instrument_least_qty(in, px, true);
    if (less <= least.e8) return least;
    return instrument_round_qty(in, qty_e8(less + (step > 0 ? step - 1 : 0)), true);
}

static void reduce(struct kernel *k, struct kernel_out *out, const struct portfolio_proposal *p,
                   double equity) {
    uint32_t i = p->instrument_index;
    struct exits_state *x = &cold_of(k, i)->exits;
    struct exits_actions actions;
    struct exits_context context = kernel_exits_context(k, i);
    /* Not protected yet, or something of it is on its way: the next close asks again. */
    if (!exits_reduce(&actions, x, &context, qty_for(k, i, p->to * equity))) return;
    struct event *e = kernel_emit(k, out, EVENT_POSITION_REDUCED);
    struct position_reduced *r = &e->u.position_reduced;
    const char *reason = portfolio_reason_text((enum portfolio_reason)p->reason);
    r->intent_id = x->intent.intent_id;
    memcpy(r->symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE);
    r->ts = k->now_ns;
    memcpy(r->reason, reason, strnlen(reason, TEXT_FIELD_SIZE - 1));
    r->before = p->from;
    r->after = p->to;
    r->whole = x->phase == EXITS_CLOSING;
    r->quantity = r->whole ? x->closing_qty : x->reduction.qty;
    kernel_seal(k, e);
    k->totals.reductions++;
    kernel_act(k, out, i, &actions, 0);
}

/* A rule has no caps of its own and knows of no clusters; its gates are asked at entry. What drifts beyond them it
 * keeps, as the baseline it is; what somebody has lowered since is obeyed. */
static uint32_t propose_for_rule(struct portfolio_proposal *out, const struct kernel *k,
                                 const struct portfolio_holding *holdings, uint32_t count) {
    const struct risk_limits *l = &k->config.limits;
    bool exposure = l->exposure_total_max < k->exposure_start;
    bool positions = l->positions_max < k->positions_start;
    if (!exposure && !positions) return 0;
    return portfolio_obey(out, holdings, count, exposure ? l->exposure_total_max : INFINITY,
                          positions ? l->positions_max : UINT32_MAX,
                          portfolio_config_defaults().band);
}

void kernel_rebalance(struct kernel *k, struct kernel_out *out, struct kernel_scratch *scratch) {
    money_t sum, exposure, margin;
    kernel_sum_up(k, &sum, &exposure, &margin);
    double equity = fx_to_f64(sum.e8), margin_used;
    if (k->open_count == 0 || !(equity > 0)) return;
    struct portfolio_holding holdings[PORTFOLIO_POSITIONS_CEILING];
    struct portfolio_proposal proposals[PORTFOLIO_POSITIONS_CEILING];
    uint32_t held = held_fill(k, holdings, equity, &margin_used), count;
    if (has_engine(k)) {
        const struct engine_account account = {
            .holdings = holdings, .holding_count = held, .margin_used = margin_used};
        count = engine_rebalance(proposals, engine_of(k), &scratch->engine, &account);
    } else {
        count = propose_for_rule(proposals, k, holdings, held);
    }
    for (uint32_t j = 0; j < count; j++) reduce(k, out, &proposals[j], equity);
}
