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

/* The ensemble's answer for one symbol, and its event if it is not HOLD. */
static void step_ensemble(struct kernel *k, struct kernel_out *out, uint32_t i,
                          const struct model_vote *votes) {
    struct cold *c = cold_of(k, i);
    memcpy(c->votes, votes, sizeof c->votes);
    ensemble_step(&c->signal, &k->config.ensemble, votes);
    c->signal_ts_ns = k->now_ns;
    const uint64_t id_from[3] = {k->config.seed, (uint64_t)k->now_ns, i};
    c->signal_id = hash64(id_from, sizeof id_from);
    if (c->signal.voters == 0) {
        k->totals.warming++;
        return;
    }
    if (c->signal.action == LABEL_HOLD || k->now_ns < k->config.trade_from_ns) return;
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

void kernel_intent_arrived(struct kernel *k, uint32_t i) {
    struct cold *c = cold_of(k, i);
    c->intent_pending = 0;
    k->inflight--;
    if (c->exits.phase == EXITS_FLAT) hot_of(k, i)->busy = 0;
}

static void close_busy(struct kernel *k, struct kernel_out *out, uint32_t i,
                       const struct bot_input *input) {
    struct cold *c = cold_of(k, i);
    if (c->intent_pending && k->now_ns >= c->pending_expires_ns) {
        /* Lost between bot and executor. It would be stale by now: the symbol need not wait for it. */
        k->totals.intents_lost++;
        kernel_intent_arrived(k, i);
    }
    struct exits_actions actions;
    struct exits_context context = kernel_exits_context(k, i);
    exits_bar(&actions, &c->exits, &context);
    kernel_act(k, out, i, &actions, 0);
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
};

static double rank_of(const struct kernel *k, const struct trade_intent *intent) {
    if (k->config.bot.strategy == STRATEGY_ENSEMBLE) return intent->edge;
    if (k->config.bot.strategy == STRATEGY_RANDOM) return (double)(intent->intent_id >> 11);
    return intent->confidence;
}

/* Keeps the best `limit` candidates, best first; ties stay in symbol order. */
static void keep_best(struct candidate *best, uint32_t *count, uint32_t limit,
                      const struct trade_intent *intent, double rank) {
    uint32_t at = *count;
    while (at > 0 && rank > best[at - 1].rank) at--;
    if (at >= limit) return;
    uint32_t last = *count < limit ? *count : limit - 1;
    for (uint32_t j = last; j > at; j--) best[j] = best[j - 1];
    best[at] = (struct candidate){*intent, rank};
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
        k->inflight++;
        k->totals.intents++;
    }
}

/* One symbol without a position: what the bot says, and whether there is any use in asking. */
static void consider(struct kernel *k, struct candidate *best, uint32_t *count, uint32_t slots,
                     const struct bot_input *input) {
    uint32_t i = input->instrument_index;
    struct hot *h = hot_of(k, i);
    if (bot_rule_side(&k->config.bot, input) == SIDE_NONE) {
        k->totals.holds++;
        return;
    }
    k->totals.signals++;
    enum risk_reason reason = RISK_ALLOW;
    if (k->emergency_stop)
        reason = RISK_EMERGENCY_STOP;
    else if (k->closing)
        reason = RISK_CLOSING;
    else if (h->trading != INSTRUMENT_TRADING)
        reason = RISK_SYMBOL_NOT_TRADING;
    else if (is_cooling(k, h, i))
        reason = RISK_COOLDOWN;
    else if (slots == 0)
        reason = RISK_SLOTS_FULL;
    if (reason != RISK_ALLOW) {
        kernel_refuse(k, reason);
        return;
    }
    struct trade_intent intent;
    switch (bot_decide(&intent, &k->config.bot, input, instrument_of(k, i))) {
    case BOT_INTENT:
        if (*count == slots)
            kernel_refuse(k, RISK_SLOTS_FULL); /* one of them, the worst, goes without */
        keep_best(best, count, slots, &intent, rank_of(k, &intent));
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

void kernel_close(struct kernel *k, struct kernel_out *out, int64_t close_ts_ns,
                  const struct model_vote *votes, const float *atr) {
    if (close_ts_ns > k->now_ns) k->now_ns = close_ts_ns;
    bool trading = close_ts_ns >= k->config.trade_from_ns;
    struct candidate best[OPEN_MAX];
    uint32_t count = 0, used = k->open_count + k->inflight, max = k->config.limits.positions_max;
    uint32_t slots = used < max ? max - used : 0;
    for (uint32_t s = 0; s < k->stepped_count; s++) {
        uint32_t i = k->stepped[s];
        if (atr) cold_of(k, i)->atr = (double)atr[s];
        if (votes) step_ensemble(k, out, i, votes + (size_t)s * MODEL_COUNT);
        if (!trading) continue;
        struct bot_input input = kernel_bot_input(k, i);
        if (hot_of(k, i)->busy)
            close_busy(k, out, i, &input);
        else
            consider(k, best, &count, slots, &input);
    }
    if (trading) {
        k->totals.bars_trading += k->stepped_count;
        emit_intents(k, out, best, count);
        measure(k);
    }
    k->stepped_count = 0;
}
