/* Decisions at a close: what the ensemble or the rule wants, and which of it becomes an intent. */
#include <string.h>

#include "base/hash.h"
#include "kernel/kernel_internal.h"

/* ---- decisions ---- */

struct bot_input kernel_bot_input(const struct kernel *k, uint32_t i) {
    const struct hot *h = hot_of(k, i);
    bool slow = h->ring_count >= SMA_SLOW;
    struct bot_input in = {
        .instrument_index = i,
        .now_ns = k->now_ns,
        .last_px = h->last_px,
        .px_24h_ago = h->day_ago_px,
        .sma_fast_sum = slow ? h->fast_sum : 0,
        .sma_slow_sum = slow ? h->slow_sum : 0,
        .action = LABEL_HOLD, /* whoever was not asked */
    };
    if (!k->config.features && k->config.bot.strategy != STRATEGY_ENSEMBLE)
        return in; /* the rules read the hot line only: a replay's idle bar touches no other */
    const struct cold *c = cold_of(k, i);
    in.atr_fraction = c->atr;
    in.signal_id = c->signal_id;
    in.action = c->signal.action;
    in.confidence = c->signal.confidence;
    in.edge = c->signal.edge;
    in.move = c->signal.move;
    return in;
}

/* Within the cooldown after the symbol's last close; forgets it once it is over. */
static bool is_cooling(const struct kernel *k, struct hot *h, uint32_t i) {
    if (!h->cooling) return false;
    if (k->now_ns - cold_of(k, i)->last_close_ts_ns < k->config.limits.cooldown_ns) return true;
    h->cooling = 0;
    return false;
}

enum risk_reason kernel_entry_bar(struct kernel *k, uint32_t i) {
    struct hot *h = hot_of(k, i);
    if (k->emergency_stop) return RISK_EMERGENCY_STOP;
    if (k->closing) return RISK_CLOSING;
    enum risk_reason word = breaker_word(breaker_of(k), i);
    return word != RISK_ALLOW                                     ? word
           : h->trading != INSTRUMENT_TRADING                     ? RISK_SYMBOL_NOT_TRADING
           : is_cooling(k, h, i)                                  ? RISK_COOLDOWN
           : k->left_count > 0 && cold_of(k, i)->left_qty.e8 != 0 ? RISK_POSITION_OPEN
                                                                  : RISK_ALLOW;
}

enum risk_reason kernel_entry_word(struct kernel *k, uint32_t i, uint32_t slots) {
    enum risk_reason reason = kernel_entry_bar(k, i);
    if (reason != RISK_ALLOW) return reason;
    /* The guard reads the bars: last, and not where there is no room anyway. */
    return slots == 0 ? RISK_SLOTS_FULL : kernel_is_crash(k, i) ? RISK_FLASH_CRASH : RISK_ALLOW;
}

/* ---- the ensemble ---- */

static void tell_signal(struct kernel *k, struct kernel_out *out, uint32_t i) {
    const struct cold *c = cold_of(k, i);
    struct event *e = kernel_emit(k, out, EVENT_SIGNAL);
    struct signal *s = &e->u.signal;
    s->signal_id = c->signal_id;
    memcpy(s->symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE);
    s->ts = k->now_ns;
    s->action = c->signal.action;
    s->consensus = c->signal.consensus;
    s->voters = c->signal.voters;
    s->strategy = k->config.bot.strategy;
    s->confidence = c->signal.confidence;
    s->p_sell = c->signal.p[LABEL_SELL];
    s->p_hold = c->signal.p[LABEL_HOLD];
    s->p_buy = c->signal.p[LABEL_BUY];
    s->edge = c->signal.edge;
    s->weight_xgboost = c->signal.weights[MODEL_XGBOOST];
    s->weight_lightgbm = c->signal.weights[MODEL_LIGHTGBM];
    s->weight_nhits = c->signal.weights[MODEL_NHITS];
    s->weight_patchtst = c->signal.weights[MODEL_PATCHTST];
    kernel_seal(k, e);
}

/* One symbol's answer, kept for whoever looks; its event if it is not HOLD. */
static void keep_answer(struct kernel *k, struct kernel_out *out, const struct engine_decision *d,
                        const struct model_vote *votes) {
    uint32_t i = d->symbol;
    struct cold *c = cold_of(k, i);
    if (d->reason == ENGINE_NO_BAR) return; /* answered already, or no bar of this close */
    memcpy(c->votes, votes, sizeof c->votes);
    c->signal = d->signal;
    c->signal_ts_ns = k->now_ns;
    const uint64_t id_from[3] = {k->config.seed, (uint64_t)k->now_ns, i};
    c->signal_id = hash64(id_from, sizeof id_from);
    *decision_of(k, i) = *d;
    k->totals.decisions[d->reason]++;
    if (d->signal.voters == 0) k->totals.warming++;
    if (d->signal.action != LABEL_HOLD) tell_signal(k, out, i);
}

void kernel_intent_arrived(struct kernel *k, uint32_t i) {
    struct cold *c = cold_of(k, i);
    c->intent_pending = 0;
    k->inflight--;
    if (c->exits.phase == EXITS_FLAT) hot_of(k, i)->busy = 0;
}

/* d: what the engine says of it at this close; NULL nothing. */
static void close_busy(struct kernel *k, struct kernel_out *out, uint32_t i,
                       const struct bot_input *input, const struct engine_decision *d) {
    struct cold *c = cold_of(k, i);
    if (c->intent_pending && k->now_ns >= c->pending_expires_ns) {
        /* Lost between bot and executor. It would be stale by now: the symbol need not wait for it. */
        k->totals.intents_lost++;
        kernel_engine_dropped(k, c->pending_id);
        kernel_intent_arrived(k, i);
    }
    if (c->bar_open_ns + k->config.interval_ns == hot_of(k, i)->next_open_ts_ns)
        kernel_extreme(k, out, i, c->bar_low, c->bar_high, c->bar_open_ns, k->now_ns);
    struct exits_actions actions;
    struct exits_context context = kernel_exits_context(k, i);
    exits_bar(&actions, &c->exits, &context);
    kernel_act(k, out, i, &actions, 0);
    kernel_exits_watch(k, out, i, d);
    if (k->config.bot.strategy == STRATEGY_SMA_CROSS && c->exits.phase == EXITS_PROTECTED) {
        enum side wants = bot_rule_side(&k->config.bot, input);
        if (wants != SIDE_NONE && (uint32_t)wants != c->exits.side) {
            exits_close(&actions, &c->exits, &context, EXIT_SIGNAL);
            kernel_act(k, out, i, &actions, 0);
        }
    }
}

struct candidate {
    struct trade_intent intent;
    double rank;
    const struct engine_decision *decision; /* NULL: a rule's */
};

static double rank_of(const struct kernel *k, const struct trade_intent *intent) {
    if (k->config.bot.strategy == STRATEGY_RANDOM) return (double)(intent->intent_id >> 11);
    return intent->confidence;
}

/* Keeps the best `limit` candidates, best first; ties stay in symbol order. */
static void keep_best(struct candidate *best, uint32_t *count, uint32_t limit,
                      const struct candidate *one) {
    uint32_t at = *count;
    while (at > 0 && one->rank > best[at - 1].rank) at--;
    if (at >= limit) return;
    uint32_t last = *count < limit ? *count : limit - 1;
    for (uint32_t j = last; j > at; j--) best[j] = best[j - 1];
    best[at] = *one;
    if (*count < limit) (*count)++;
}

static void emit_intents(struct kernel *k, struct kernel_out *out, const struct candidate *best,
                         uint32_t count) {
    for (uint32_t j = 0; j < count; j++) {
        uint32_t i = best[j].intent.instrument_index;
        struct event *e = kernel_emit(k, out, EVENT_TRADE_INTENT);
        e->u.trade_intent = best[j].intent;
        kernel_seal(k, e);
        hot_of(k, i)->busy = 1;
        cold_of(k, i)->intent_pending = 1;
        cold_of(k, i)->pending_id = best[j].intent.intent_id;
        cold_of(k, i)->pending_expires_ns = best[j].intent.expires;
        cold_of(k, i)->pending_size = best[j].intent.position_size_usd;
        cold_of(k, i)->pending_side = best[j].intent.side;
        if (best[j].decision) {
            kernel_engine_opened(k, best[j].intent.intent_id, best[j].decision);
            kernel_exits_wanted(k, out, &best[j].intent);
        }
        k->inflight++;
        k->totals.intents++;
    }
}

static void fill_plan(struct bot_plan *out, const struct engine_decision *d, money_t equity) {
    const struct strategy_profile *p = strategy_profile((enum strategy_id)d->strategy.arm);
    double unit = d->take_distance[0] / p->take_atr[0]; /* of the arm's distances */
    *out = (struct bot_plan){.position_size_usd =
                                 money_e8(fx_from_f64(fx_to_f64(equity.e8) * d->fraction)),
                             .leverage = d->leverage,
                             .arm = d->strategy.arm,
                             .stop_distance = d->stop_distance,
                             .break_even_distance = p->break_even_atr * unit,
                             .trail_from_distance = p->trail_from_atr * unit,
                             .trail_distance = p->trail_distance_atr * unit};
    memcpy(out->take_distance, d->take_distance, sizeof out->take_distance);
    memcpy(out->take_part, p->take_part, sizeof out->take_part);
}

/* The bot's word on a symbol without a position, among the best if it is an intent. */
static void ask_bot(struct kernel *k, struct candidate *best, uint32_t *count, uint32_t slots,
                    const struct bot_input *input, const struct engine_decision *d) {
    struct candidate one = {.decision = d};
    switch (
        bot_decide(&one.intent, &k->config.bot, input, instrument_of(k, input->instrument_index))) {
    case BOT_INTENT:
        if (*count == slots)
            kernel_refuse(k, RISK_SLOTS_FULL); /* one of them, the worst, goes without */
        one.rank = d ? d->edge_net : rank_of(k, &one.intent);
        keep_best(best, count, slots, &one);
        break;
    case BOT_HOLD:
        kernel_refuse(k, RISK_CONFIDENCE_LOW);
        break;
    case BOT_WARMING:
        k->totals.warming++;
        break;
    case BOT_CLOSE:
        break;
    }
}

/* One symbol without a position: what the rule says, and whether there is any use in asking. */
static void consider(struct kernel *k, struct candidate *best, uint32_t *count, uint32_t slots,
                     const struct bot_input *input) {
    if (bot_rule_side(&k->config.bot, input) == SIDE_NONE) {
        k->totals.holds++;
        return;
    }
    k->totals.signals++;
    enum risk_reason reason = kernel_entry_word(k, input->instrument_index, slots);
    if (reason == RISK_ALLOW)
        ask_bot(k, best, count, slots, input, NULL);
    else
        kernel_refuse(k, reason);
}

/* The same with the engine's answer. What it refused is counted by its own reasons. */
static void consider_answer(struct kernel *k, struct candidate *best, uint32_t *count,
                            uint32_t slots, const struct engine_decision *d, money_t equity) {
    if (d->reason == ENGINE_NO_BAR) return;
    if (d->signal.action == LABEL_HOLD) {
        k->totals.holds++;
        return;
    }
    k->totals.signals++;
    if (d->reason == ENGINE_ENTRY_BARRED) {
        enum risk_reason reason = kernel_entry_word(k, d->symbol, slots);
        kernel_refuse(k, reason == RISK_ALLOW ? RISK_SLOTS_FULL : reason);
    } else if (d->reason == ENGINE_ALLOW) {
        struct bot_input input = kernel_bot_input(k, d->symbol);
        struct bot_plan plan;
        fill_plan(&plan, d, equity);
        kernel_exits_plan(k, &plan, d);
        input.plan = &plan;
        ask_bot(k, best, count, slots, &input, d);
    }
}

static void measure(struct kernel *k) {
    money_t equity, exposure, margin;
    kernel_sum_up(k, &equity, &exposure, &margin);
    struct kernel_totals *t = &k->totals;
    t->equity = equity;
    t->exposure = exposure;
    if (equity.e8 > t->equity_peak.e8)
        t->equity_peak = equity;
    else if (equity.e8 < t->equity_peak.e8) {
        int64_t lost = t->equity_peak.e8 - equity.e8;
        if (lost > t->drawdown_money_max.e8) t->drawdown_money_max.e8 = lost;
    }
    if (++k->curve_skip < k->curve_stride) return;
    k->curve_skip = 0;
    if (k->curve_count == CURVE_MAX) {
        /* Full: keep every other point and take half as many from now on. */
        for (uint32_t j = 0; j < CURVE_MAX / 2; j++) k->curve[j] = k->curve[2 * j];
        k->curve_count = CURVE_MAX / 2;
        k->curve_stride *= 2;
    }
    k->curve[k->curve_count++] = (struct view_equity){k->now_ns, t->wallet, equity};
}

static uint32_t close_rules(struct kernel *k, struct kernel_out *out, struct candidate *best,
                            uint32_t slots) {
    uint32_t count = 0;
    for (uint32_t s = 0; s < k->stepped_count; s++) {
        uint32_t i = k->stepped[s];
        struct bot_input input = kernel_bot_input(k, i);
        if (hot_of(k, i)->busy)
            close_busy(k, out, i, &input, NULL);
        else
            consider(k, best, &count, slots, &input);
    }
    return count;
}

static uint32_t close_ensemble(struct kernel *k, struct kernel_out *out,
                               const struct kernel_close_input *in, struct candidate *best,
                               uint32_t slots, bool trading) {
    const struct kernel_scratch *w = in->scratch;
    kernel_exits_bars(k);
    bool asked = kernel_engine_decide(k, out, in, trading);
    uint32_t count = 0;
    if (!trading) return 0;
    for (uint32_t s = 0; asked && s < w->count; s++)
        keep_answer(k, out, &w->decisions[s], in->votes + (size_t)s * MODEL_COUNT);
    for (uint32_t s = 0; s < k->stepped_count; s++) {
        uint32_t i = k->stepped[s];
        if (hot_of(k, i)->busy) {
            struct bot_input input = kernel_bot_input(k, i);
            close_busy(k, out, i, &input, asked ? &w->decisions[s] : NULL);
        } else if (asked) {
            consider_answer(k, best, &count, slots, &w->decisions[s], w->equity);
        } else {
            k->totals.holds++; /* nobody was asked */
        }
    }
    return count;
}

uint32_t kernel_slots(const struct kernel *k) {
    uint32_t used = k->open_count + k->inflight, most = k->config.limits.positions_max;
    uint32_t free = used < most ? most - used : 0, tries = breaker_entries_max(breaker_of(k));
    tries = tries > k->inflight ? tries - k->inflight : 0;
    return free < tries ? free : tries;
}

void kernel_close(struct kernel *k, struct kernel_out *out, const struct kernel_close_input *in) {
    if (in->close_ts_ns > k->now_ns) k->now_ns = in->close_ts_ns;
    bool trading = in->close_ts_ns >= k->config.trade_from_ns;
    struct candidate best[OPEN_MAX];
    if (trading) kernel_risk_look(k, out);
    uint32_t count = 0, slots = kernel_slots(k);
    for (uint32_t s = 0; in->rows && s < k->stepped_count; s++)
        cold_of(k, k->stepped[s])->atr =
            (double)feature_atr_fraction(in->rows + (size_t)s * in->stride);
    if (has_engine(k))
        count = close_ensemble(k, out, in, best, slots, trading);
    else if (trading)
        count = close_rules(k, out, best, slots);
    if (trading) {
        k->totals.bars_trading += k->stepped_count;
        /* The exits of this close have spoken: nothing is reduced that is on its way out. What was decided found the
         * book as it is, so no entry takes room that is not free yet. */
        kernel_rebalance(k, out, in->scratch);
        emit_intents(k, out, best, count);
        measure(k);
        kernel_watch(k, out);
    }
    k->stepped_count = 0;
}
