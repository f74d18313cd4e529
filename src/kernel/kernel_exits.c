/* The Exit Brain's place in the kernel: every entry the engine wants is lived through under each profile, the profile
 * shown to be better than the strategy's own plan ends the trade, and what is held is looked at after each close. */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "kernel/kernel_internal.h"

static_assert((int)REGIME_COUNT <= (int)EXITBRAIN_GROUPS, "a group each");

static void copy_text(char out[TEXT_FIELD_SIZE], const char *text) {
    memset(out, 0, TEXT_FIELD_SIZE);
    memcpy(out, text, strnlen(text, TEXT_FIELD_SIZE - 1));
}

/* ---- entries, and what profiles make of them ---- */

void kernel_exits_bars(struct kernel *k) {
    if (!has_exit_brain(k)) return;
    struct exitbrain *b = exitbrain_of(k);
    for (uint32_t s = 0; s < k->stepped_count; s++) {
        const struct bar *bar = stepped_bar(k, s);
        exitbrain_bar(b, k->stepped[s], px_to_f64(bar->open), px_to_f64(bar->high),
                      px_to_f64(bar->low), px_to_f64(bar->close));
    }
}

void kernel_exits_gone(struct kernel *k, uint32_t i) {
    if (has_exit_brain(k)) exitbrain_gone(exitbrain_of(k), i);
}

/* The plan with a stop that the leverage allows: less leverage, and where the least there is is too much, a nearer
 * stop. Neither makes the trade larger. */
static void fit_stop(const struct kernel *k, struct bot_plan *plan) {
    const struct exit_monitor_config *c = &k->config.monitor;
    while (plan->leverage > 1 && plan->stop_distance > exitbrain_stop_max(c, plan->leverage))
        plan->leverage--;
    plan->stop_distance = fmin(plan->stop_distance, exitbrain_stop_max(c, plan->leverage));
}

static struct exit_plan own_plan(const struct kernel *k, const struct bot_plan *plan) {
    struct exit_plan own = {.stop = plan->stop_distance,
                            .part = {plan->take_part[0], plan->take_part[1]},
                            .break_even = plan->break_even_distance,
                            .trail_from = plan->trail_from_distance,
                            .trail = plan->trail_distance,
                            .horizon_bars = k->config.bot.horizon_bars};
    memcpy(own.take, plan->take_distance, sizeof own.take);
    return own;
}

/* Of a round trip on this side, as the gates count it. */
static double cost_of(const struct kernel *k, uint32_t i, enum side side, uint32_t bars) {
    const struct risk_state state = kernel_risk_state(k, i);
    const struct trade_intent t = {.side = side, .horizon_bars = bars};
    return risk_round_trip_cost(&state, &k->config.limits, instrument_of(k, i), &t);
}

/* A plan that may take longer may cost more than the gates allow: then it is not worth the trade. */
static bool passes_gates(const struct kernel *k, const struct engine_decision *d, enum side side,
                         const struct exit_plan *plan) {
    const struct risk_limits limits = kernel_limits(k);
    double cost = cost_of(k, d->symbol, side, plan->horizon_bars);
    return plan->stop >= cost * limits.stop_cost_multiple &&
           (!limits.cost_gate || d->signal.edge > cost * limits.edge_cost_multiple);
}

/* The profile, kept with what it was chosen by, and its plan. */
static void choose(struct kernel *k, struct exit_plan *out, const struct engine_decision *d,
                   enum side side, const struct exit_plan *own) {
    const struct exitbrain *b = exitbrain_of(k);
    struct exit_watch *w = watch_of(k, d->symbol);
    double atr = cold_of(k, d->symbol)->atr;
    *w = (struct exit_watch){.p_side = NAN, .p_other = NAN};
    exitbrain_choose(&w->choice, b, d->regime.regime);
    exitbrain_plan(out, (enum exit_profile)w->choice.profile, own, atr, k->config.interval_ns);
    if (out->horizon_bars > own->horizon_bars && !passes_gates(k, d, side, out)) {
        (void)exitbrain_look(&w->choice, b, w->choice.group, PROFILE_OWN);
        *out = *own;
    }
    w->has_second = exitbrain_second(&w->second, b, &w->choice);
}

void kernel_exits_plan(struct kernel *k, struct bot_plan *plan, const struct engine_decision *d) {
    if (!has_exit_brain(k)) return;
    fit_stop(k, plan);
    uint32_t i = d->symbol;
    enum side side = d->action == LABEL_BUY ? SIDE_BUY : SIDE_SELL;
    const struct exit_plan own = own_plan(k, plan);
    double cost = cost_of(k, i, side, 0);
    const struct exit_entry entry = {.close_ns = k->now_ns,
                                     .interval_ns = k->config.interval_ns,
                                     .symbol = i,
                                     .group = d->regime.regime,
                                     .side = side,
                                     .px = px_to_f64(hot_of(k, i)->last_px),
                                     .atr = cold_of(k, i)->atr,
                                     .cost = cost,
                                     .funding = cost_of(k, i, side, 1) - cost};
    struct exit_plan chosen;
    choose(k, &chosen, d, side, &own);
    (void)exitbrain_entered(exitbrain_of(k), &entry, &own);
    memcpy(plan->take_distance, chosen.take, sizeof plan->take_distance);
    memcpy(plan->take_part, chosen.part, sizeof chosen.part);
    plan->take_part[2] = 1 - chosen.part[0] - chosen.part[1];
    plan->break_even_distance = chosen.break_even;
    plan->trail_from_distance = chosen.trail_from;
    plan->trail_distance = chosen.trail;
    plan->horizon_bars = chosen.horizon_bars;
}

void kernel_exits_wanted(struct kernel *k, struct kernel_out *out,
                         const struct trade_intent *intent) {
    if (!has_exit_brain(k)) return;
    struct exit_watch *w = watch_of(k, intent->instrument_index);
    w->intent_id = intent->intent_id;
    k->totals.exit_profiles[w->choice.profile]++;
    struct event *e = kernel_emit(k, out, EVENT_EXIT_CHOSEN);
    struct exit_chosen *c = &e->u.exit_chosen;
    bool known = w->choice.count >= 2, second = known && w->has_second;
    c->intent_id = intent->intent_id;
    memcpy(c->symbol, intent->symbol, SYMBOL_SIZE);
    c->ts = k->now_ns;
    copy_text(c->profile, exitbrain_profile_text((enum exit_profile)w->choice.profile));
    copy_text(c->of,
              w->choice.group < REGIME_COUNT ? regime_text((enum regime)w->choice.group) : "all");
    c->count = w->choice.count;
    c->own = known ? w->choice.own_mean : (double)NAN;
    c->gain = known ? w->choice.mean : (double)NAN;
    c->gain_low = known ? w->choice.low : (double)NAN;
    c->gain_high = known ? w->choice.high : (double)NAN;
    copy_text(c->second,
              second ? exitbrain_profile_text((enum exit_profile)w->second.profile) : "none");
    c->second_gain = second ? w->second.mean : (double)NAN;
    c->second_low = second ? w->second.low : (double)NAN;
    c->second_high = second ? w->second.high : (double)NAN;
    kernel_seal(k, e);
}

/* ---- what is held ---- */

static bool suits(const struct exits_state *x, uint32_t regime) {
    /* Not known is no word against it; and how liquid or how large the contract is was asked at the entry. */
    if (regime == REGIME_UNKNOWN || x->intent.arm >= STRATEGY_ARMS) return true;
    const struct strategy_context context = {.regime = regime,
                                             .tier = STRATEGY_MAIN,
                                             .confidence = 1,
                                             .spread_bps = NAN,
                                             .depth = NAN,
                                             .win_rate = NAN};
    return strategy_suitable(&context, false) >> x->intent.arm & 1;
}

static struct exit_look look_at(const struct kernel *k, uint32_t i, px_t entry,
                                const struct engine_decision *d) {
    const struct cold *c = cold_of(k, i);
    const struct exits_state *x = &c->exits;
    double sign = side_sign((enum side)x->side), from = px_to_f64(entry);
    uint32_t mine = x->side == SIDE_BUY ? LABEL_BUY : LABEL_SELL;
    uint32_t other = x->side == SIDE_BUY ? LABEL_SELL : LABEL_BUY;
    struct exit_look look = {.side = (enum side)x->side,
                             /* As it stands at the venue, whoever set it. */
                             .leverage = c->leverage       ? c->leverage
                                         : x->leverage > 0 ? x->leverage
                                                           : 1,
                             .gain = sign * (px_to_f64(hot_of(k, i)->last_px) / from - 1),
                             .stop_gain = sign * (px_to_f64(x->stop_px) / from - 1),
                             .held_ns = k->now_ns - x->entry_ts_ns,
                             /* Models without a vote have an opinion, and no say. */
                             .has_answer = d && d->signal.voters > 0,
                             .is_suited = !d || suits(x, d->regime.regime)};
    if (!look.has_answer) return look;
    look.p_side = d->signal.p[mine];
    look.p_other = d->signal.p[other];
    look.has_high = d->has_interval != 0;
    look.high = x->side == SIDE_BUY ? d->interval.high : -d->interval.low;
    return look;
}

static void tell_advice(struct kernel *k, struct kernel_out *out, uint32_t i,
                        const struct exit_look *look, px_t stop_before, const char *advice) {
    const struct exits_state *x = &cold_of(k, i)->exits;
    const struct exit_watch *w = watch_of(k, i);
    struct event *e = kernel_emit(k, out, EVENT_EXIT_ADVISED);
    struct exit_advised *a = &e->u.exit_advised;
    a->intent_id = x->intent.intent_id;
    memcpy(a->symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE);
    a->ts = k->now_ns;
    copy_text(a->advice, advice);
    a->gain = look->gain;
    a->p_side = w->p_side;
    a->p_other = w->p_other;
    a->interval_high = look->has_high ? look->high : (double)NAN;
    a->held = look->held_ns;
    a->stop_before = stop_before;
    a->stop_after = x->floor_px;
    a->leverage = look->leverage;
    a->against = w->state.against;
    a->unsuited = w->state.unsuited;
    kernel_seal(k, e);
}

void kernel_exits_watch(struct kernel *k, struct kernel_out *out, uint32_t i,
                        const struct engine_decision *d) {
    struct exits_state *x = &cold_of(k, i)->exits;
    struct exit_watch *w = has_exit_brain(k) ? watch_of(k, i) : NULL;
    if (!w || w->intent_id != x->intent.intent_id) return; /* somebody else's position */
    if (x->phase != EXITS_PROTECTED || x->position_qty.e8 == 0 || x->entered_qty.e8 == 0) return;
    px_t entry = {fx_muldiv_half_even(x->entered_cost.e8, FX_ONE, x->entered_qty.e8)};
    const struct exit_look look = look_at(k, i, entry, d);
    struct exit_word word;
    exitbrain_monitor(&word, &w->state, &k->config.monitor, &look);
    if (look.has_answer) {
        w->p_side = look.p_side;
        w->p_other = look.p_other;
    }
    struct exits_actions actions;
    struct exits_context context = kernel_exits_context(k, i);
    px_t before = x->stop_px;
    if (word.leave != EXIT_NONE) {
        w->leave = (uint32_t)word.leave;
        k->totals.exit_advice[word.leave]++;
        exits_close(&actions, x, &context, word.leave);
        tell_advice(k, out, i, &look, before, exit_reason_text(word.leave));
    } else if (!isnan(word.stop_gain)) {
        double at = px_to_f64(entry) * (1 + side_sign((enum side)x->side) * word.stop_gain);
        if (!exits_nearer(&actions, x, &context, px_e8(fx_from_f64(at)))) return;
        k->totals.exit_stops_nearer++;
        tell_advice(k, out, i, &look, before, "stop_nearer");
    } else {
        return;
    }
    kernel_act(k, out, i, &actions, 0);
}

uint64_t kernel_exits_hash(const struct kernel *k, uint64_t h) {
    if (!has_exit_brain(k)) return h;
    const struct exitbrain *b = exitbrain_of(k);
    const struct exit_tally *all = &b->tallies[EXITBRAIN_GROUPS];
    const uint64_t counts[] = {b->entries, b->left_out, b->moments_done};
    h = hash_chain(h, counts, sizeof counts);
    h = hash_chain(h, all->mean, sizeof all->mean);
    for (uint32_t j = 0; j < k->open_count; j++) {
        const struct exit_watch *w = watch_of(k, k->open[j]);
        const uint32_t now[] = {w->choice.profile, w->state.against, w->state.unsuited, w->leave};
        h = hash_chain(h, now, sizeof now);
    }
    return h;
}

void kernel_exits_view(const struct kernel *k, struct view_position *out, uint32_t i) {
    out->exits = (struct view_exits){0};
    const struct exit_watch *w = has_exit_brain(k) ? watch_of(k, i) : NULL;
    const struct exits_state *x = &cold_of(k, i)->exits;
    if (!w || w->intent_id != x->intent.intent_id) return;
    out->exits = (struct view_exits){.is_watched = 1,
                                     .profile = w->choice.profile,
                                     .leave = w->leave,
                                     .against = w->state.against,
                                     .unsuited = w->state.unsuited,
                                     .is_nearer = x->floor_px.e8 != 0,
                                     .p_side = w->p_side,
                                     .p_other = w->p_other};
}
