#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "feature/feature.h"
#include "trade/oms/oms.h"

enum {
    SMA_FAST = 20,
    SMA_SLOW = 100,
    OPEN_MAX = 64,
    RECENT_MAX = VIEW_TRADES_MAX,
    CURVE_MAX = VIEW_EQUITY_MAX
};

/* What the fold of an idle symbol touches: one cache line. */
struct hot {
    px_t last_px;
    int64_t last_ts_ns;      /* close time of the last bar, or a later tick */
    int64_t next_open_ts_ns; /* 0 before the first bar */
    int64_t fast_sum, slow_sum;
    uint32_t ring_next, ring_count;
    uint16_t busy;    /* phase is not FLAT, or an intent is on its way */
    uint16_t cooling; /* the cooldown after the last close may not be over */
    uint32_t trading; /* enum instrument_status */
    px_t day_ago_px;  /* close 24 h before the last bar, 0 unknown */
};
static_assert(sizeof(struct hot) == 64, "one cache line");

struct cold {
    struct oms_book book;
    struct exits_state exits;
    int64_t last_close_ts_ns;
    qty_t entry_qty;   /* decided by risk, waiting for the leverage */
    uint32_t leverage; /* as the venue confirmed it, 0 unknown */
    uint32_t waiting_leverage, intent_pending, reserved;
    uint64_t pending_id; /* of the intent on its way */
    int64_t pending_expires_ns;
    int64_t last_funding_ts_ns;
    rate_t funding_rate; /* last settlement's */
    uint64_t last_tick_id;
    struct ensemble_signal signal;
    struct model_vote votes[MODEL_COUNT];
    uint64_t signal_id;
    int64_t signal_ts_ns;
    double atr;
    px_t plan_stop_px, plan_take_px;
};

struct kernel {
    struct kernel_config config; /* .instruments is not used after init */
    size_t hot_at, cold_at, instruments_at, rings_at, series_at, size;
    uint32_t n, day_bars, ring_capacity, stepped_count, open_count;
    uint32_t emergency_stop, closing, inflight, curve_count, curve_stride, curve_skip, recent_next,
        recent_count;
    int64_t now_ns;
    uint64_t trace_hash, next_trade_id;
    struct kernel_totals totals;
    uint32_t open[OPEN_MAX];
    uint32_t stepped[INSTRUMENTS_MAX];
    struct trade_closed recent[RECENT_MAX];
    struct view_equity curve[CURVE_MAX];
};

static struct hot *hot_of(const struct kernel *k, uint32_t i) {
    return (struct hot *)((char *)k + k->hot_at) + i;
}
static struct cold *cold_of(const struct kernel *k, uint32_t i) {
    return (struct cold *)((char *)k + k->cold_at) + i;
}
static struct instrument *instrument_of(const struct kernel *k, uint32_t i) {
    return (struct instrument *)((char *)k + k->instruments_at) + i;
}
static int64_t *ring_of(const struct kernel *k, uint32_t i) {
    return (int64_t *)((char *)k + k->rings_at) + (size_t)i * k->ring_capacity;
}
static struct feature_series *series_of(const struct kernel *k, uint32_t i) {
    return (struct feature_series *)((char *)k + k->series_at + (size_t)i * feature_series_size());
}

static size_t carve(size_t *at, size_t bytes) {
    size_t start = (*at + 63) & ~(size_t)63;
    *at = start + bytes;
    return start;
}

static uint32_t bars_of_day(const struct kernel_config *c) {
    int64_t day = INT64_C(86400000000000) / c->interval_ns;
    return day < 1 ? 1 : day > 100000 ? 100000 : (uint32_t)day;
}

/* Places of the arrays behind the header: the one size table. */
static void lay_out(struct kernel *k, const struct kernel_config *c) {
    size_t at = sizeof *k;
    k->n = c->instrument_count;
    k->day_bars = bars_of_day(c);
    k->ring_capacity = k->day_bars > SMA_SLOW ? k->day_bars : SMA_SLOW;
    k->hot_at = carve(&at, sizeof(struct hot) * k->n);
    k->cold_at = carve(&at, sizeof(struct cold) * k->n);
    k->instruments_at = carve(&at, sizeof(struct instrument) * k->n);
    k->rings_at = carve(&at, sizeof(int64_t) * k->ring_capacity * k->n);
    k->series_at = carve(&at, c->features ? feature_series_size() * k->n : 0);
    k->size = (at + 63) & ~(size_t)63;
}

size_t kernel_size(const struct kernel_config *config) {
    struct kernel k;
    lay_out(&k, config);
    return k.size;
}

struct kernel *kernel_init(void *memory, const struct kernel_config *config) {
    ASSERT(config->instrument_count > 0 && config->instrument_count <= INSTRUMENTS_MAX &&
           config->interval_ns > 0);
    struct kernel *k = memory;
    memset(k, 0, kernel_size(config));
    lay_out(k, config);
    k->config = *config;
    k->config.instruments = NULL;
    risk_limits_clamp(&k->config.limits);
    ASSERT(k->config.limits.positions_max <= OPEN_MAX);
    for (uint32_t i = 0; i < k->n; i++) {
        *instrument_of(k, i) = config->instruments[i];
        hot_of(k, i)->trading = config->instruments[i].status;
        cold_of(k, i)->exits.deadline_ns = INT64_MAX;
        cold_of(k, i)->atr = (double)NAN;
        cold_of(k, i)->signal.action = LABEL_HOLD;
        if (config->features) feature_series_init(series_of(k, i), config->interval_ns);
    }
    k->curve_stride = 1;
    k->totals.wallet_start = k->totals.wallet = k->totals.equity = k->totals.equity_peak =
        config->wallet_start;
    hist_init(&k->totals.time_to_protected);
    return k;
}

uint64_t kernel_config_hash(const struct kernel_config *c) {
    /* Members one by one: structs have padding, and padding has no meaning. */
    uint64_t h = 1;
    const uint64_t words[] = {(uint64_t)c->mode,
                              c->seed,
                              (uint64_t)c->interval_ns,
                              (uint64_t)c->trade_from_ns,
                              c->instrument_count,
                              (uint64_t)c->wallet_start.e8,
                              (uint64_t)c->half_spread.e8,
                              c->features,
                              c->bot.strategy,
                              c->bot.leverage,
                              c->bot.seed,
                              (uint64_t)c->bot.intent_ttl_ns,
                              (uint64_t)c->bot.position_size_usd.e8,
                              c->bot.horizon_bars,
                              c->bot.exits_by_barrier,
                              c->limits.positions_max,
                              c->limits.leverage_max,
                              (uint64_t)c->limits.notional_symbol_max.e8,
                              (uint64_t)c->limits.cooldown_ns,
                              c->limits.cost_gate,
                              (uint64_t)c->exits.stop_answer_ns_max,
                              (uint64_t)c->exits.unprotected_ns_max,
                              c->exits.stop_attempts_max,
                              (uint64_t)c->exits.close_answer_ns_max,
                              (uint64_t)c->limits.market_age_ns_max};
    const double reals[] = {c->bot.confidence_min,        c->bot.barrier_atr,
                            c->bot.barrier_min,           c->bot.random_rate,
                            c->limits.confidence_min,     c->limits.risk_per_trade,
                            c->limits.exposure_total_max, c->limits.price_deviation_max,
                            c->limits.edge_cost_multiple, c->limits.stop_cost_multiple,
                            c->limits.slippage,           c->ensemble.confidence_min,
                            c->ensemble.weights[0],       c->ensemble.weights[1],
                            c->ensemble.weights[2],       c->ensemble.weights[3]};
    h = hash_chain(h, words, sizeof words);
    h = hash_chain(h, reals, sizeof reals);
    for (uint32_t i = 0; i < c->instrument_count; i++) {
        const struct instrument *in = &c->instruments[i];
        h = hash_chain(h, in->symbol, SYMBOL_SIZE);
        const int64_t rules[] = {
            in->tick_size.e8,         in->px_min.e8,           in->px_max.e8,
            in->step_size.e8,         in->qty_min.e8,          in->qty_max.e8,
            in->market_step_size.e8,  in->market_qty_min.e8,   in->market_qty_max.e8,
            in->notional_min.e8,      in->multiplier_up.e8,    in->multiplier_down.e8,
            in->market_take_bound.e8, in->liquidation_fee.e8,  in->fee_taker.e8,
            in->fee_maker.e8,         in->funding_interval_ns, in->status,
            in->orders_max,           in->bracket_count};
        h = hash_chain(h, rules, sizeof rules);
        for (uint32_t j = 0; j < in->bracket_count; j++) {
            const struct bracket *bracket = &in->brackets[j];
            const int64_t tier[] = {bracket->notional_floor.e8, bracket->notional_cap.e8,
                                    bracket->maint_margin_rate.e8, bracket->maint_amount.e8,
                                    bracket->leverage_max};
            h = hash_chain(h, tier, sizeof tier);
        }
    }
    return h;
}

/* ---- out ---- */

static struct event *emit(struct kernel *k, struct kernel_out *out, enum event_type type) {
    ASSERT(out->count < KERNEL_OUT_MAX);
    struct event *e = &out->events[out->count++];
    event_init(e, type, k->now_ns);
    return e;
}

/* Called when the event is complete: its bytes enter the running hash. */
static void seal(struct kernel *k, const struct event *e) {
    k->trace_hash = hash_chain(k->trace_hash, &e->u, e->size);
}

static void emit_command(struct kernel *k, struct kernel_out *out,
                         const struct venue_command *command) {
    struct event *e = emit(k, out, EVENT_ORDER_PLACED);
    e->u.venue_command = *command;
    if (command->kind == COMMAND_ORDER_SUBMIT) k->totals.orders++;
    seal(k, e);
}

static void refuse(struct kernel *k, enum risk_reason reason) {
    k->totals.refusals[reason]++;
}

/* ---- money ---- */

/* What a symbol is worth at the last price: its signed value, and what it would gain if closed there. */
static money_t value_of(const struct kernel *k, uint32_t i) {
    const struct cold *c = cold_of(k, i);
    int64_t qty = c->exits.position_qty.e8;
    if (qty == 0 && c->exits.phase == EXITS_ENTERING)
        qty = c->entry_qty.e8; /* on its way counts as held */
    return money_mul_half_even(hot_of(k, i)->last_px, qty_e8(qty));
}

static money_t gain_of(const struct kernel *k, uint32_t i, money_t value) {
    const struct exits_state *x = &cold_of(k, i)->exits;
    int64_t held = x->position_qty.e8;
    if (held == 0) return money_e8(0);
    /* cost of what is left = average entry cost * what is left; all of it is the usual case */
    bool whole = held == x->entered_qty.e8 || -held == x->entered_qty.e8;
    int64_t cost = whole ? (held < 0 ? -x->entered_cost.e8 : x->entered_cost.e8)
                         : fx_muldiv_half_even(x->entered_cost.e8, held, x->entered_qty.e8);
    return money_e8(value.e8 - cost);
}

static money_t unrealized_of(const struct kernel *k, uint32_t i) {
    return gain_of(k, i, value_of(k, i));
}

static void sum_up(const struct kernel *k, money_t *equity, money_t *exposure, money_t *margin) {
    *equity = k->totals.wallet;
    exposure->e8 = margin->e8 = 0;
    for (uint32_t j = 0; j < k->open_count; j++) {
        uint32_t i = k->open[j], leverage = cold_of(k, i)->exits.leverage;
        money_t value = value_of(k, i);
        int64_t notional = value.e8 < 0 ? -value.e8 : value.e8;
        equity->e8 += gain_of(k, i, value).e8;
        exposure->e8 += notional;
        margin->e8 += leverage > 1 ? notional / leverage : notional;
    }
}

/* ---- life of a position ---- */

static void open_add(struct kernel *k, uint32_t i) {
    ASSERT(k->open_count < OPEN_MAX);
    k->open[k->open_count++] = i;
}

static void open_remove(struct kernel *k, uint32_t i) {
    uint32_t j = 0;
    while (j < k->open_count && k->open[j] != i) j++;
    ASSERT(j < k->open_count);
    for (; j + 1 < k->open_count; j++) k->open[j] = k->open[j + 1]; /* order of opening is kept */
    k->open_count--;
}

static void submit(struct kernel *k, struct kernel_out *out, uint32_t i,
                   const struct oms_request *request) {
    struct venue_command command;
    /* Full only when the venue has stopped answering: one live order per leg is the rule. More of the
     * same would tell it nothing new, and the exits ask again at their deadline. */
    if (oms_submit(&command, &cold_of(k, i)->book, request, i, k->now_ns))
        emit_command(k, out, &command);
    else
        k->totals.orders_not_sent++;
}

static void submit_entry(struct kernel *k, struct kernel_out *out, uint32_t i) {
    struct cold *c = cold_of(k, i);
    const struct oms_request request = {.leg = LEG_ENTRY,
                                        .side = (enum side)c->exits.intent.side,
                                        .order_type = ORDER_MARKET,
                                        .intent_id = c->exits.intent.intent_id,
                                        .order_qty = c->entry_qty};
    submit(k, out, i, &request);
}

static void cancel_orders(struct kernel *k, struct kernel_out *out, uint32_t i) {
    struct cold *c = cold_of(k, i);
    for (uint32_t o = 0; o < OMS_ORDERS_MAX; o++) {
        struct oms_order *order = &c->book.orders[o];
        struct venue_command command;
        if (order->used && !order_state_is_terminal((enum order_state)order->state) &&
            oms_cancel(&command, order, i, k->now_ns))
            emit_command(k, out, &command);
    }
}

static void tell_closed(struct kernel *k, struct kernel_out *out, uint32_t i) {
    struct cold *c = cold_of(k, i);
    struct event *e = emit(k, out, EVENT_TRADE_CLOSED);
    exits_trade(&e->u.trade_closed, &c->exits, ++k->next_trade_id);
    seal(k, e);
    k->totals.trades++;
    if (c->exits.protected_ts_ns == 0) k->totals.unprotected_ever++;
    c->last_close_ts_ns = k->now_ns;
    hot_of(k, i)->cooling = 1;
    k->recent[k->recent_next] = e->u.trade_closed;
    k->recent_next = (k->recent_next + 1) % RECENT_MAX;
    if (k->recent_count < RECENT_MAX) k->recent_count++;
}

static void tell_protected(struct kernel *k, struct kernel_out *out, uint32_t i) {
    const struct exits_state *x = &cold_of(k, i)->exits;
    struct event *e = emit(k, out, EVENT_POSITION_PROTECTED);
    e->u.position_protected.intent_id = x->intent.intent_id;
    memcpy(e->u.position_protected.symbol, x->intent.symbol, SYMBOL_SIZE);
    e->u.position_protected.ts = k->now_ns;
    e->u.position_protected.time_to_protected = x->protected_ts_ns - x->entry_ts_ns;
    e->u.position_protected.stop_loss = x->stop_px;
    seal(k, e);
    hist_add(&k->totals.time_to_protected, x->protected_ts_ns - x->entry_ts_ns);
}

static void tell_alarm(struct kernel *k, struct kernel_out *out, uint32_t i, const char *reason,
                       int32_t code) {
    const struct exits_state *x = &cold_of(k, i)->exits;
    struct event *e = emit(k, out, EVENT_POSITION_ALARM);
    e->u.position_alarm.intent_id = x->intent.intent_id;
    memcpy(e->u.position_alarm.symbol, x->intent.symbol, SYMBOL_SIZE);
    e->u.position_alarm.ts = k->now_ns;
    memcpy(e->u.position_alarm.reason, reason, strnlen(reason, TEXT_FIELD_SIZE - 1));
    e->u.position_alarm.code = code;
    seal(k, e);
    k->totals.alarms++;
}

static void act(struct kernel *k, struct kernel_out *out, uint32_t i,
                const struct exits_actions *actions, int32_t code) {
    struct cold *c = cold_of(k, i);
    enum side exit_side = side_opposite((enum side)c->exits.side);
    for (uint32_t a = 0; a < actions->count; a++) {
        const struct exits_action *action = &actions->items[a];
        struct oms_request request = {
            .side = exit_side, .intent_id = c->exits.intent.intent_id, .attempt = action->attempt};
        switch (action->kind) {
        case EXITS_SUBMIT_STOP:
        case EXITS_SUBMIT_TAKE:
            request.leg = action->kind == EXITS_SUBMIT_STOP ? LEG_STOP : LEG_TAKE_PROFIT;
            request.order_type =
                action->kind == EXITS_SUBMIT_STOP ? ORDER_STOP_MARKET : ORDER_TAKE_PROFIT_MARKET;
            request.close_position = true;
            request.stop_px = action->px;
            submit(k, out, i, &request);
            break;
        case EXITS_SUBMIT_CLOSE:
            request.leg = LEG_CLOSE;
            request.order_type = ORDER_MARKET;
            request.reduce_only = true;
            request.order_qty = action->qty;
            submit(k, out, i, &request);
            break;
        case EXITS_CANCEL_ORDERS:
            cancel_orders(k, out, i);
            break;
        case EXITS_TELL_PROTECTED:
            tell_protected(k, out, i);
            break;
        case EXITS_TELL_CLOSED:
            tell_closed(k, out, i);
            break;
        case EXITS_TELL_FAILED:
            break; /* the refusal is in the journal as the venue's own event */
        case EXITS_ALARM:
            tell_alarm(k, out, i, "stop not confirmed", code);
            break;
        case EXITS_ACTION_COUNT:
            break;
        }
    }
}

static struct exits_context context_of(const struct kernel *k, uint32_t i) {
    return (struct exits_context){.now_ns = k->now_ns,
                                  .last_px = hot_of(k, i)->last_px,
                                  .instrument = instrument_of(k, i),
                                  .config = &k->config.exits};
}

/* CLEANUP ends when no order of the symbol is live. */
static void finish_cleanup(struct kernel *k, uint32_t i) {
    struct cold *c = cold_of(k, i);
    if (c->exits.phase != EXITS_CLEANUP || oms_has_live(&c->book)) return;
    exits_orders_gone(&c->exits);
    c->waiting_leverage = 0;
    hot_of(k, i)->busy = 0;
    open_remove(k, i);
}

/* ---- market ---- */

enum kernel_ingest kernel_bar(struct kernel *k, uint32_t i, const struct bar *bar, float *row) {
    ASSERT(i < k->n);
    struct hot *h = hot_of(k, i);
    enum kernel_ingest answer = KERNEL_BAR_NEW;
    if (bar->open_ts_ns != h->next_open_ts_ns && h->next_open_ts_ns != 0) {
        if (bar->open_ts_ns < h->next_open_ts_ns) {
            k->totals.duplicate_bars++;
            return bar->open_ts_ns == h->next_open_ts_ns - k->config.interval_ns
                       ? KERNEL_BAR_DUPLICATE
                       : KERNEL_BAR_OUT_OF_ORDER;
        }
        k->totals.gap_bars +=
            (uint64_t)((bar->open_ts_ns - h->next_open_ts_ns) / k->config.interval_ns);
        /* Sums over bars must not reach across the hole. */
        h->ring_count = h->ring_next = 0;
        h->fast_sum = h->slow_sum = 0;
        answer = KERNEL_BAR_AFTER_GAP;
    }
    h->next_open_ts_ns = bar->open_ts_ns + k->config.interval_ns;
    if (h->next_open_ts_ns >= h->last_ts_ns) { /* else a tick has told more already */
        h->last_ts_ns = h->next_open_ts_ns;
        h->last_px = bar->close;
    }
    int64_t *ring = ring_of(k, i);
    uint32_t cap = k->ring_capacity, at = h->ring_next;
    uint32_t day_ago = at >= k->day_bars ? at - k->day_bars : at + cap - k->day_bars;
    h->day_ago_px.e8 = h->ring_count >= k->day_bars ? ring[day_ago] : 0;
    if (k->config.bot.strategy == STRATEGY_SMA_CROSS) {
        h->fast_sum += bar->close.e8;
        h->slow_sum += bar->close.e8;
        if (h->ring_count >= SMA_FAST)
            h->fast_sum -= ring[at >= SMA_FAST ? at - SMA_FAST : at + cap - SMA_FAST];
        if (h->ring_count >= SMA_SLOW)
            h->slow_sum -= ring[at >= SMA_SLOW ? at - SMA_SLOW : at + cap - SMA_SLOW];
    }
    ring[at] = bar->close.e8;
    h->ring_next = at + 1 == cap ? 0 : at + 1;
    if (h->ring_count < cap) h->ring_count++;
    if (k->config.features) feature_step(row, series_of(k, i), bar);
    k->stepped[k->stepped_count++] = i;
    k->totals.bars++;
    return answer;
}

const uint32_t *kernel_stepped(const struct kernel *k, uint32_t *count) {
    *count = k->stepped_count;
    return k->stepped;
}

bool kernel_tick(struct kernel *k, uint32_t i, const struct tick *tick) {
    ASSERT(i < k->n);
    struct hot *h = hot_of(k, i);
    struct cold *c = cold_of(k, i);
    if (tick->ts < h->last_ts_ns || tick->trade_id <= c->last_tick_id || tick->price.e8 <= 0) {
        k->totals.ticks_ignored++;
        return false;
    }
    c->last_tick_id = tick->trade_id;
    h->last_ts_ns = tick->ts;
    h->last_px = tick->price;
    k->totals.ticks++;
    return true;
}

/* ---- decisions ---- */

static struct bot_input bot_input_of(const struct kernel *k, uint32_t i) {
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
    struct event *e = emit(k, out, EVENT_SIGNAL);
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
    seal(k, e);
}

static void intent_arrived(struct kernel *k, uint32_t i) {
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
        intent_arrived(k, i);
    }
    struct exits_actions actions;
    struct exits_context context = context_of(k, i);
    exits_bar(&actions, &c->exits, &context);
    act(k, out, i, &actions, 0);
    if (k->config.bot.strategy == STRATEGY_SMA_CROSS && c->exits.phase == EXITS_PROTECTED) {
        enum side wants = bot_rule_side(&k->config.bot, input);
        if (wants != SIDE_NONE && (uint32_t)wants != c->exits.side) {
            exits_close(&actions, &c->exits, &context, EXIT_SIGNAL);
            act(k, out, i, &actions, 0);
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
        struct event *e = emit(k, out, EVENT_TRADE_INTENT);
        e->u.trade_intent = best[j].intent;
        seal(k, e);
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
        refuse(k, reason);
        return;
    }
    struct trade_intent intent;
    switch (bot_decide(&intent, &k->config.bot, input, instrument_of(k, i))) {
    case BOT_INTENT:
        if (*count == slots) refuse(k, RISK_SLOTS_FULL); /* one of them, the worst, goes without */
        keep_best(best, count, slots, &intent, rank_of(k, &intent));
        break;
    case BOT_HOLD:
        refuse(k, RISK_CONFIDENCE_LOW);
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
    sum_up(k, &equity, &exposure, &margin);
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
        struct bot_input input = bot_input_of(k, i);
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

/* ---- intents ---- */

static void deny(struct kernel *k, struct kernel_out *out, const struct trade_intent *intent,
                 enum risk_reason reason, double cost) {
    refuse(k, reason);
    k->totals.denied++;
    struct event *e = emit(k, out, EVENT_INTENT_DENIED);
    struct intent_denied *d = &e->u.intent_denied;
    d->intent_id = intent->intent_id;
    memcpy(d->symbol, intent->symbol, SYMBOL_SIZE);
    d->ts = k->now_ns;
    const char *text = risk_reason_text(reason);
    memcpy(d->reason, text, strnlen(text, TEXT_FIELD_SIZE - 1));
    d->edge = intent->edge;
    d->cost = cost;
    seal(k, e);
}

static struct risk_state risk_state_of(const struct kernel *k, uint32_t i) {
    const struct hot *h = hot_of(k, i);
    const struct cold *c = cold_of(k, i);
    money_t equity, exposure, margin;
    sum_up(k, &equity, &exposure, &margin);
    return (struct risk_state){
        .now_ns = k->now_ns,
        .last_px_ts_ns = h->last_ts_ns,
        .last_close_ts_ns = c->last_close_ts_ns,
        .emergency_stop = k->emergency_stop != 0,
        .closing = k->closing != 0,
        .orders_working = oms_has_live(&c->book) || c->exits.phase != EXITS_FLAT,
        .positions_open = k->open_count,
        .position_qty = c->exits.position_qty,
        .equity = equity,
        .available = {k->totals.wallet.e8 - margin.e8},
        .exposure_total = exposure,
        .last_px = h->last_px,
        .half_spread = k->config.half_spread,
        .funding_rate = c->funding_rate,
        .interval_ns = k->config.interval_ns,
    };
}

static enum risk_reason intake_reason(enum oms_intake intake) {
    switch (intake) {
    case OMS_TAKEN:
        return RISK_ALLOW;
    case OMS_DUPLICATE:
        return RISK_DUPLICATE_INTENT;
    case OMS_STALE:
        return RISK_STALE_INTENT;
    case OMS_LEDGER_FULL:
        return RISK_LEDGER_FULL;
    }
    return RISK_INTENT_INVALID;
}

void kernel_intent(struct kernel *k, struct kernel_out *out, const struct trade_intent *intent,
                   int64_t now_ns) {
    if (now_ns > k->now_ns) k->now_ns = now_ns;
    uint32_t i = intent->instrument_index;
    k->totals.delivered++;
    k->trace_hash = hash_chain(k->trace_hash, intent, sizeof *intent);
    if (i >= k->n || memcmp(intent->symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE) != 0) {
        deny(k, out, intent, RISK_INTENT_INVALID, 0);
        return;
    }
    struct cold *c = cold_of(k, i);
    if (c->intent_pending && c->pending_id == intent->intent_id) intent_arrived(k, i);
    enum risk_reason reason = intake_reason(oms_intake(&c->book, intent, k->now_ns));
    /* The ledger is asked in any case, so that what is denied now is not executed when it comes again. */
    if (k->emergency_stop)
        reason = RISK_EMERGENCY_STOP;
    else if (k->closing)
        reason = RISK_CLOSING;
    struct risk_verdict verdict = {.reason = reason};
    if (reason == RISK_ALLOW) {
        struct risk_state state = risk_state_of(k, i);
        risk_check(&verdict, &state, &k->config.limits, instrument_of(k, i), intent);
    }
    if (verdict.reason != RISK_ALLOW) {
        deny(k, out, intent, verdict.reason, verdict.cost);
        return;
    }
    k->totals.cost_gate_would_deny += verdict.cost_gate_would_deny;
    exits_enter(&c->exits, intent, verdict.leverage);
    c->entry_qty = verdict.qty;
    hot_of(k, i)->busy = 1;
    open_add(k, i);
    if (c->leverage == verdict.leverage) {
        submit_entry(k, out, i);
        return;
    }
    /* Leverage is read back from the venue before anything is bought with it. */
    c->waiting_leverage = 1;
    const struct venue_command command = {.kind = COMMAND_LEVERAGE_SET,
                                          .instrument_index = i,
                                          .leverage = verdict.leverage,
                                          .ts_ns = k->now_ns};
    emit_command(k, out, &command);
}

/* ---- venue ---- */

static void count_reject(struct kernel *k, int32_t code) {
    struct kernel_totals *t = &k->totals;
    uint32_t j = 0;
    while (j < t->reject_codes && t->rejects[j].code != code) j++;
    if (j == t->reject_codes) {
        if (j == sizeof t->rejects / sizeof *t->rejects) return;
        t->rejects[t->reject_codes++].code = code;
    }
    t->rejects[j].count++;
}

static void book_money(struct kernel *k, const struct venue_event *event) {
    k->totals.wallet = event->wallet;
    k->totals.realized_pnl.e8 += event->realized_pnl.e8;
    k->totals.fees.e8 += event->commission.e8;
    k->totals.funding.e8 += event->funding.e8;
}

static void tell_opened(struct kernel *k, struct kernel_out *out, uint32_t i,
                        const struct venue_event *event) {
    const struct exits_state *x = &cold_of(k, i)->exits;
    struct event *e = emit(k, out, EVENT_TRADE_OPENED);
    struct trade_opened *t = &e->u.trade_opened;
    t->intent_id = x->intent.intent_id;
    memcpy(t->symbol, x->intent.symbol, SYMBOL_SIZE);
    t->ts = k->now_ns;
    t->side = x->side;
    t->leverage = x->leverage;
    t->entry_price = event->last_px;
    t->quantity = event->last_qty;
    t->stop_loss = x->stop_px;
    t->take_profit = x->take_px;
    seal(k, e);
    k->totals.positions++;
}

static enum exit_reason reason_of_leg(const struct exits_state *x, enum oms_leg leg) {
    switch (leg) {
    case LEG_STOP:
        return EXIT_STOP;
    case LEG_TAKE_PROFIT:
        return EXIT_TAKE_PROFIT;
    case LEG_ENTRY:
    case LEG_CLOSE:
    case LEG_COUNT:
        break;
    }
    return (enum exit_reason)x->exit_reason;
}

static void on_fill(struct kernel *k, struct kernel_out *out, uint32_t i,
                    const struct venue_event *event, enum exit_reason reason) {
    struct cold *c = cold_of(k, i);
    struct exits_actions actions;
    struct exits_context context = context_of(k, i);
    bool opening = c->exits.phase == EXITS_ENTERING;
    book_money(k, event);
    k->totals.fills++;
    exits_fill(&actions, &c->exits, &context, (enum side)event->side, event->last_px,
               event->last_qty, event->commission, event->realized_pnl, reason);
    if (opening && c->exits.phase == EXITS_UNPROTECTED) tell_opened(k, out, i, event);
    act(k, out, i, &actions, 0);
}

/* Liquidations and settlements: no order of ours, so the book knows only the fill's number. */
static void on_foreign_fill(struct kernel *k, struct kernel_out *out, uint32_t i,
                            const struct venue_event *event, enum exit_reason reason) {
    if (oms_foreign_fill(&cold_of(k, i)->book, event->trade_id))
        on_fill(k, out, i, event, reason);
    else
        k->totals.duplicate_fills++;
}

/* An order of ours reached an end without filling the rest. */
static void on_ended(struct kernel *k, struct kernel_out *out, uint32_t i, enum oms_leg leg,
                     int32_t code) {
    struct cold *c = cold_of(k, i);
    struct exits_actions actions = {0};
    struct exits_context context = context_of(k, i);
    switch (leg) {
    case LEG_ENTRY:
        exits_entry_ended(&actions, &c->exits, &context);
        break;
    case LEG_STOP:
        exits_stop_failed(&actions, &c->exits, &context, code);
        break;
    case LEG_TAKE_PROFIT:
        exits_take_failed(&actions, &c->exits, &context, code);
        break;
    case LEG_CLOSE:
        exits_close_ended(&actions, &c->exits, &context);
        break;
    case LEG_COUNT:
        break;
    }
    act(k, out, i, &actions, code);
}

static void on_order(struct kernel *k, struct kernel_out *out, uint32_t i,
                     const struct venue_event *event) {
    struct cold *c = cold_of(k, i);
    struct oms_update update;
    if (event->client_order_id[0] == '\0') {
        /* Without an id of ours it is the venue's own doing: settlement of a dead contract. */
        if (event->kind == VENUE_ORDER_TRADE) on_foreign_fill(k, out, i, event, EXIT_END_OF_DATA);
        return;
    }
    const struct oms_book before = {.illegal_events = c->book.illegal_events,
                                    .unknown_orders = c->book.unknown_orders,
                                    .duplicate_fills = c->book.duplicate_fills};
    oms_apply(&update, &c->book, event);
    k->totals.illegal_events += c->book.illegal_events - before.illegal_events;
    k->totals.unknown_orders += c->book.unknown_orders - before.unknown_orders;
    k->totals.duplicate_fills += c->book.duplicate_fills - before.duplicate_fills;
    if (!update.order) return;
    if (!update.applied) return;
    enum oms_leg leg = (enum oms_leg)update.order->leg;
    if (event->kind == VENUE_ORDER_TRADE) on_fill(k, out, i, event, reason_of_leg(&c->exits, leg));
    if (event->kind == VENUE_ORDER_ACCEPTED && leg == LEG_STOP) {
        struct exits_actions actions;
        struct exits_context context = context_of(k, i);
        exits_stop_confirmed(&actions, &c->exits, &context);
        act(k, out, i, &actions, 0);
    }
    if (order_state_is_terminal(update.after) && !order_state_is_terminal(update.before))
        on_ended(k, out, i, leg, update.after == ORDER_FILLED ? 0 : event->code);
    if (event->kind == VENUE_CANCEL_REJECTED && update.after == ORDER_UNKNOWN) {
        /* Nothing to cancel, yet no word of its end: asking once more turns the answer into evidence. */
        struct venue_command command;
        if (oms_cancel(&command, update.order, i, k->now_ns)) emit_command(k, out, &command);
    }
}

static void on_leverage(struct kernel *k, struct kernel_out *out, uint32_t i,
                        const struct venue_event *event) {
    struct cold *c = cold_of(k, i);
    c->leverage = event->leverage;
    if (!c->waiting_leverage) return;
    c->waiting_leverage = 0;
    if (event->leverage == c->exits.leverage && k->now_ns < c->exits.intent.expires) {
        submit_entry(k, out, i);
        return;
    }
    const struct trade_intent intent = c->exits.intent;
    enum risk_reason reason =
        event->leverage == c->exits.leverage ? RISK_STALE_INTENT : RISK_LEVERAGE;
    on_ended(k, out, i, LEG_ENTRY, 0);
    deny(k, out, &intent, reason, 0);
}

void kernel_venue(struct kernel *k, struct kernel_out *out, const struct venue_event *event,
                  int64_t recv_ts_ns) {
    uint32_t i = event->instrument_index;
    ASSERT(i < k->n);
    if (recv_ts_ns > k->now_ns) k->now_ns = recv_ts_ns;
    k->trace_hash = hash_chain(k->trace_hash, event, sizeof *event);
    struct cold *c = cold_of(k, i);
    switch ((enum venue_event_kind)event->kind) {
    case VENUE_LEVERAGE_SET:
        on_leverage(k, out, i, event);
        break;
    case VENUE_FUNDING:
        if (event->ts_event_ns <= c->last_funding_ts_ns) break; /* booked already */
        c->last_funding_ts_ns = event->ts_event_ns;
        book_money(k, event);
        c->funding_rate = event->funding_rate;
        exits_funding(&c->exits, event->funding);
        break;
    case VENUE_LIQUIDATION:
        on_foreign_fill(k, out, i, event, EXIT_LIQUIDATION);
        break;
    case VENUE_ORDER_REJECTED:
        count_reject(k, event->code);
        if (c->waiting_leverage && event->client_order_id[0] == '\0') {
            c->waiting_leverage = 0;
            on_ended(k, out, i, LEG_ENTRY, event->code);
            break;
        }
        on_order(k, out, i, event);
        break;
    case VENUE_ORDER_ACCEPTED:
    case VENUE_ORDER_TRIGGERED:
    case VENUE_ORDER_TRADE:
    case VENUE_ORDER_CANCELED:
    case VENUE_ORDER_EXPIRED:
    case VENUE_CANCEL_REJECTED:
        on_order(k, out, i, event);
        break;
    }
    finish_cleanup(k, i);
}

/* ---- time and orders from above ---- */

int64_t kernel_deadline(const struct kernel *k) {
    int64_t deadline = INT64_MAX;
    for (uint32_t j = 0; j < k->open_count; j++) {
        int64_t d = cold_of(k, k->open[j])->exits.deadline_ns;
        if (d < deadline) deadline = d;
    }
    return deadline;
}

void kernel_time(struct kernel *k, struct kernel_out *out, int64_t now_ns) {
    if (now_ns > k->now_ns) k->now_ns = now_ns;
    for (uint32_t j = 0; j < k->open_count; j++) {
        uint32_t i = k->open[j];
        struct cold *c = cold_of(k, i);
        if (c->exits.deadline_ns > k->now_ns) continue;
        struct oms_order *waiting =
            oms_live(&c->book, c->exits.phase == EXITS_CLOSING ? LEG_CLOSE : LEG_STOP);
        if (waiting) oms_timeout(waiting);
        struct exits_actions actions;
        struct exits_context context = context_of(k, i);
        exits_time(&actions, &c->exits, &context);
        act(k, out, i, &actions, 0);
    }
}

void kernel_flatten(struct kernel *k, struct kernel_out *out, enum exit_reason reason,
                    int64_t now_ns) {
    if (now_ns > k->now_ns) k->now_ns = now_ns;
    k->closing = 1;
    for (uint32_t j = 0; j < k->open_count; j++) {
        uint32_t i = k->open[j];
        struct exits_actions actions;
        struct exits_context context = context_of(k, i);
        exits_close(&actions, &cold_of(k, i)->exits, &context, reason);
        act(k, out, i, &actions, 0);
    }
}

void kernel_instrument_status(struct kernel *k, uint32_t i, enum instrument_status status) {
    ASSERT(i < k->n);
    instrument_of(k, i)->status = (uint32_t)status;
    hot_of(k, i)->trading = (uint32_t)status;
}

void kernel_instrument_rules(struct kernel *k, const struct instrument_changed *change) {
    ASSERT(change->instrument_index < k->n);
    struct instrument *in = instrument_of(k, change->instrument_index);
    in->tick_size = change->tick_size;
    in->px_min = change->px_min;
    in->px_max = change->px_max;
    in->step_size = change->step_size;
    in->qty_min = change->qty_min;
    in->qty_max = change->qty_max;
    in->market_step_size = change->market_step_size;
    in->market_qty_min = change->market_qty_min;
    in->market_qty_max = change->market_qty_max;
    in->notional_min = change->notional_min;
    in->multiplier_up = change->multiplier_up;
    in->multiplier_down = change->multiplier_down;
    kernel_instrument_status(k, change->instrument_index, (enum instrument_status)change->status);
    k->trace_hash = hash_chain(k->trace_hash, change, sizeof *change);
}

static bool policy_value(double *out, const struct kernel *k, const char *key) {
    const struct risk_limits *l = &k->config.limits;
    if (strcmp(key, "trading:emergency_stop") == 0)
        *out = (double)k->emergency_stop;
    else if (strcmp(key, "positions_max") == 0)
        *out = (double)l->positions_max;
    else if (strcmp(key, "confidence_min") == 0)
        *out = l->confidence_min;
    else if (strcmp(key, "risk_per_trade") == 0)
        *out = l->risk_per_trade;
    else if (strcmp(key, "exposure_total_max") == 0)
        *out = l->exposure_total_max;
    else
        return false;
    return true;
}

enum status kernel_policy(struct kernel *k, struct kernel_out *out, const char *key, double value,
                          const char *by, int64_t now_ns) {
    if (now_ns > k->now_ns) k->now_ns = now_ns;
    struct risk_limits *l = &k->config.limits;
    double old = 0, now = 0;
    if (!isfinite(value) || value < 0) return ST_RANGE;
    if (!policy_value(&old, k, key)) return ST_NOT_FOUND;
    if (strcmp(key, "trading:emergency_stop") == 0)
        k->emergency_stop = value != 0;
    else if (strcmp(key, "positions_max") == 0)
        l->positions_max =
            value > RISK_POSITIONS_CEILING ? RISK_POSITIONS_CEILING : (uint32_t)value;
    else if (strcmp(key, "confidence_min") == 0)
        l->confidence_min = value;
    else if (strcmp(key, "risk_per_trade") == 0)
        l->risk_per_trade = value;
    else
        l->exposure_total_max = value;
    risk_limits_clamp(l);
    (void)policy_value(&now, k, key);
    struct event *e = emit(k, out, EVENT_POLICY_UPDATED);
    e->u.policy_updated.ts = k->now_ns;
    e->u.policy_updated.old_value = old;
    e->u.policy_updated.new_value = now; /* what holds, which a ceiling may have lowered */
    memcpy(e->u.policy_updated.key, key, strnlen(key, TEXT_FIELD_SIZE - 1));
    memcpy(e->u.policy_updated.updated_by, by, strnlen(by, TEXT_FIELD_SIZE - 1));
    seal(k, e);
    return ST_OK;
}

/* ---- looking in ---- */

uint64_t kernel_hash(const struct kernel *k) {
    const struct kernel_totals *t = &k->totals;
    const uint64_t words[] = {k->trace_hash,
                              t->bars,
                              t->intents,
                              t->denied,
                              t->orders,
                              t->fills,
                              t->trades,
                              (uint64_t)t->wallet.e8,
                              (uint64_t)t->realized_pnl.e8,
                              (uint64_t)t->fees.e8,
                              (uint64_t)t->funding.e8,
                              k->open_count};
    uint64_t h = hash64(words, sizeof words);
    for (uint32_t j = 0; j < k->open_count; j++) {
        const struct cold *c = cold_of(k, k->open[j]);
        const int64_t position[] = {k->open[j],
                                    c->exits.phase,
                                    c->exits.position_qty.e8,
                                    c->exits.entered_cost.e8,
                                    c->exits.stop_px.e8,
                                    c->exits.entry_ts_ns};
        h = hash_chain(h, position, sizeof position);
        for (uint32_t o = 0; o < OMS_ORDERS_MAX; o++) {
            const int64_t order[] = {c->book.orders[o].state, c->book.orders[o].cum_qty.e8};
            h = hash_chain(h, order, sizeof order);
        }
    }
    return h;
}

const struct kernel_totals *kernel_totals(const struct kernel *k) {
    return &k->totals;
}

uint32_t kernel_open_count(const struct kernel *k) {
    return k->open_count;
}

uint32_t kernel_unprotected_count(const struct kernel *k) {
    uint32_t count = 0;
    for (uint32_t j = 0; j < k->open_count; j++)
        count += cold_of(k, k->open[j])->exits.phase == EXITS_UNPROTECTED;
    return count;
}

enum side kernel_position_side(const struct kernel *k, uint32_t i) {
    int64_t qty = cold_of(k, i)->exits.position_qty.e8;
    return qty > 0 ? SIDE_BUY : qty < 0 ? SIDE_SELL : SIDE_NONE;
}

qty_t kernel_position_qty(const struct kernel *k, uint32_t i) {
    return cold_of(k, i)->exits.position_qty;
}

uint32_t kernel_live_orders(const struct kernel *k, struct kernel_live_order *out, uint32_t max) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < k->n; i++) {
        const struct oms_book *book = &cold_of(k, i)->book;
        for (uint32_t o = 0; o < OMS_ORDERS_MAX; o++) {
            const struct oms_order *order = &book->orders[o];
            if (!order->used || order_state_is_terminal((enum order_state)order->state)) continue;
            if (count++ >= max) continue;
            struct kernel_live_order *v = &out[count - 1];
            memset(v, 0, sizeof *v);
            memcpy(v->client_order_id, order->client_order_id, CLIENT_ORDER_ID_SIZE);
            v->instrument_index = i;
            v->order_type = order->order_type;
            v->state = order->state;
            v->cum_qty = order->cum_qty;
            v->last_trade_id = book->last_trade_id;
        }
    }
    return count;
}

uint32_t kernel_held(const struct kernel *k, struct kernel_held *out, uint32_t max) {
    uint32_t count = 0;
    for (uint32_t j = 0; j < k->open_count && count < max; j++) {
        const struct cold *c = cold_of(k, k->open[j]);
        if (c->exits.position_qty.e8 == 0) continue;
        out[count++] = (struct kernel_held){.instrument_index = k->open[j],
                                            .qty = c->exits.position_qty,
                                            .last_trade_id = c->book.last_trade_id,
                                            .last_funding_ns = c->last_funding_ts_ns};
    }
    return count;
}

uint32_t kernel_leverage_wanted(const struct kernel *k, uint32_t i) {
    const struct cold *c = cold_of(k, i);
    return c->waiting_leverage ? c->exits.leverage : 0;
}

/* A voter without skill has answered all the same: the symbol is warm. */
static bool has_answer(const struct model_vote *votes) {
    for (uint32_t m = 0; m < MODEL_COUNT; m++)
        if (votes[m].state == VOTE_NO_SKILL) return true;
    return false;
}

static void view_symbol_fill(const struct kernel *k, struct view_symbol *v, uint32_t i) {
    const struct hot *h = hot_of(k, i);
    const struct cold *c = cold_of(k, i);
    memset(v, 0, sizeof *v);
    memcpy(v->symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE);
    v->last_px = v->mark_px = h->last_px;
    v->bar_ts_ns = h->next_open_ts_ns;
    v->status = h->trading;
    v->strategy = k->config.bot.strategy;
    v->leverage = k->config.bot.leverage;
    v->signal = c->signal;
    memcpy(v->votes, c->votes, sizeof v->votes);
    v->signal_id = c->signal_id;
    v->signal_ts_ns = c->signal_ts_ns;
    v->signal_expires_ns = c->signal_ts_ns + k->config.bot.intent_ttl_ns;
    struct bot_input input = bot_input_of(k, i);
    if (k->config.bot.strategy == STRATEGY_ENSEMBLE) {
        v->warm = c->signal.voters > 0 || has_answer(c->votes);
    } else {
        /* A rule's answer is made on demand, from the same function the bot asks. */
        enum side side = h->next_open_ts_ns ? bot_rule_side(&k->config.bot, &input) : SIDE_NONE;
        v->warm = h->next_open_ts_ns != 0 &&
                  (k->config.bot.strategy != STRATEGY_SMA_CROSS || h->ring_count >= SMA_SLOW) &&
                  (k->config.bot.strategy != STRATEGY_MOMENTUM || h->day_ago_px.e8 > 0);
        v->signal.action = side == SIDE_BUY    ? LABEL_BUY
                           : side == SIDE_SELL ? LABEL_SELL
                                               : LABEL_HOLD;
        v->signal_ts_ns = h->next_open_ts_ns;
        v->signal_expires_ns = h->next_open_ts_ns + k->config.bot.intent_ttl_ns;
    }
    struct trade_intent intent;
    if (v->warm && bot_decide(&intent, &k->config.bot, &input, instrument_of(k, i)) == BOT_INTENT) {
        v->signal.confidence = intent.confidence;
        v->stop_loss = intent.stop_loss;
        v->take_profit = intent.take_profit;
        v->position_size = intent.position_size_usd;
        if (!v->signal_id) v->signal_id = intent.intent_id;
    }
}

static void view_position_fill(const struct kernel *k, struct view *out, uint32_t i) {
    const struct cold *c = cold_of(k, i);
    for (uint32_t o = 0; o < OMS_ORDERS_MAX && out->order_count < VIEW_ORDERS_MAX; o++) {
        const struct oms_order *order = &c->book.orders[o];
        if (!order->used || order_state_is_terminal((enum order_state)order->state)) continue;
        struct view_order *v = &out->open_orders[out->order_count++];
        *v = (struct view_order){.side = order->side,
                                 .order_type = order->order_type,
                                 .state = order->state,
                                 .reduce_only =
                                     (uint32_t)(order->reduce_only || order->close_position),
                                 .limit_px = order->limit_px,
                                 .stop_px = order->stop_px,
                                 .order_qty = order->order_qty,
                                 .cum_qty = order->cum_qty,
                                 .ts_ns = order->submitted_ts_ns};
        memcpy(v->client_order_id, order->client_order_id, CLIENT_ORDER_ID_SIZE);
        memcpy(v->symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE);
    }
    if (c->exits.position_qty.e8 == 0 || out->position_count == VIEW_POSITIONS_MAX) return;
    struct view_position *v = &out->positions[out->position_count++];
    *v = (struct view_position){.instrument_index = i,
                                .side = c->exits.side,
                                .leverage = c->exits.leverage,
                                .protected_ = c->exits.phase == EXITS_PROTECTED,
                                .qty = c->exits.position_qty,
                                .entry_px = {fx_muldiv_half_even(c->exits.entered_cost.e8, FX_ONE,
                                                                 c->exits.entered_qty.e8)},
                                .mark_px = hot_of(k, i)->last_px,
                                .stop_px = c->exits.stop_px,
                                .take_profit_px = c->exits.take_px,
                                .unrealized_pnl = unrealized_of(k, i),
                                .fees = c->exits.fees,
                                .funding = c->exits.funding,
                                .entry_ts_ns = c->exits.entry_ts_ns};
    memcpy(v->symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE);
}

static void view_totals_fill(const struct kernel_totals *t, struct view *out) {
    out->bars = t->bars;
    out->signals = t->signals;
    out->intents = t->intents;
    out->orders = t->orders;
    out->fills = t->fills;
    out->trades = t->trades;
    out->intents_denied = t->denied;
    out->venue_rejects = 0;
    for (uint32_t j = 0; j < t->reject_codes; j++) out->venue_rejects += t->rejects[j].count;
    out->wallet_start = t->wallet_start;
    out->wallet = t->wallet;
    out->equity = t->equity;
    out->realized_pnl = t->realized_pnl;
    out->fees = t->fees;
    out->funding = t->funding;
    out->drawdown_max = t->drawdown_money_max;
    out->positions_unprotected_ever = t->unprotected_ever;
    out->time_to_protected_ns_p50 = hist_quantile(&t->time_to_protected, 0.50);
    out->time_to_protected_ns_p99 = hist_quantile(&t->time_to_protected, 0.99);
    out->time_to_protected_ns_max = t->time_to_protected.count ? t->time_to_protected.max : 0;
    out->reason_count = 0;
    for (uint32_t r = 1; r < RISK_REASON_COUNT && out->reason_count < VIEW_REASONS_MAX; r++) {
        if (!t->refusals[r]) continue;
        struct view_reason *v = &out->reasons[out->reason_count++];
        memset(v, 0, sizeof *v);
        const char *text = risk_reason_text((enum risk_reason)r);
        memcpy(v->reason, text, strnlen(text, VIEW_REASON_SIZE - 1));
        v->count = t->refusals[r];
    }
}

void kernel_view(const struct kernel *k, struct view *out) {
    out->mode = (uint32_t)k->config.mode;
    out->strategy = k->config.bot.strategy;
    out->synthetic = k->config.synthetic;
    out->market_ts_ns = k->now_ns;
    out->symbol_count = k->n;
    out->position_count = out->order_count = out->trade_count = out->warming = 0;
    out->positions_unprotected_now = kernel_unprotected_count(k);
    for (uint32_t i = 0; i < k->n; i++) {
        view_symbol_fill(k, &out->symbols[i], i);
        out->warming += !out->symbols[i].warm;
    }
    for (uint32_t j = 0; j < k->open_count; j++) view_position_fill(k, out, k->open[j]);
    for (uint32_t j = 0; j < k->recent_count; j++)
        out->recent[out->trade_count++] =
            k->recent[(k->recent_next + RECENT_MAX - k->recent_count + j) % RECENT_MAX];
    out->equity_count = k->curve_count;
    memcpy(out->equity_curve, k->curve, sizeof(struct view_equity) * k->curve_count);
    view_totals_fill(&k->totals, out);
}
