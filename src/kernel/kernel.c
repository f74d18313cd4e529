#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "kernel/kernel_internal.h"

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
    k->breaker_at = carve(&at, breaker_size(k->n));
    size_t n = c->bot.strategy == STRATEGY_ENSEMBLE ? k->n : 0;
    k->engine_at = carve(&at, n ? engine_size(k->n) : 0);
    k->decisions_at = carve(&at, sizeof(struct engine_decision) * n);
    k->rows_at = carve(&at, sizeof(float) * FEATURE_COUNT_MAX * n);
    k->bars_at = carve(&at, sizeof(struct bar) * n);
    k->volumes_at = carve(&at, sizeof(double) * k->day_bars * n);
    bool exits = n && c->exit_brain;
    k->exitbrain_at = carve(&at, exits ? sizeof(struct exitbrain) : 0);
    k->watches_at = carve(&at, exits ? sizeof(struct exit_watch) * n : 0);
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
    k->config.residuals = NULL;
    risk_limits_clamp(&k->config.limits);
    ASSERT(k->config.limits.positions_max <= OPEN_MAX);
    k->exposure_start = k->config.limits.exposure_total_max;
    k->positions_start = k->config.limits.positions_max;
    for (uint32_t i = 0; i < k->n; i++) {
        *instrument_of(k, i) = config->instruments[i];
        hot_of(k, i)->trading = config->instruments[i].status;
        cold_of(k, i)->exits.deadline_ns = INT64_MAX;
        cold_of(k, i)->atr = (double)NAN;
        cold_of(k, i)->signal.action = LABEL_HOLD;
        if (config->features) feature_series_init(series_of(k, i), config->interval_ns);
    }
    if (has_engine(k)) kernel_engine_init(k, config);
    if (has_exit_brain(k)) exitbrain_init(exitbrain_of(k));
    kernel_risk_init(k, config);
    kernel_found_init(k);
    k->curve_stride = 1;
    k->totals.wallet_start = k->totals.wallet = k->totals.equity = k->totals.equity_peak =
        config->wallet_start;
    hist_init(&k->totals.time_to_protected);
    hist_init(&k->totals.protected_interrupted);
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
                              (uint64_t)c->exits.entry_answer_ns_max,
                              (uint64_t)c->exits.entry_unknown_ns_max,
                              (uint64_t)c->exits.unprotected_ns_max,
                              c->exits.stop_attempts_max,
                              c->exits.stop_step_ticks,
                              c->exits.stray,
                              (uint64_t)c->exits.stop_retry_ns,
                              (uint64_t)c->exits.close_answer_ns_max,
                              (uint64_t)c->limits.market_age_ns_max};
    const double reals[] = {c->bot.confidence_min,        c->bot.barrier_atr,
                            c->bot.barrier_min,           c->bot.random_rate,
                            c->limits.confidence_min,     c->limits.risk_per_trade,
                            c->limits.exposure_total_max, c->limits.price_deviation_max,
                            c->limits.edge_cost_multiple, c->limits.stop_cost_multiple,
                            c->exits.stop_step,           c->limits.slippage,
                            c->exits.stray_stop_distance};
    h = hash_chain(h, words, sizeof words);
    h = hash_chain(h, reals, sizeof reals);
    /* No member of these is followed by padding: their bytes are their figures. */
    h = hash_chain(h, &c->breaker, sizeof c->breaker);
    if (c->bot.strategy == STRATEGY_ENSEMBLE) h = hash_chain(h, &c->engine, sizeof c->engine);
    if (c->bot.strategy == STRATEGY_ENSEMBLE && c->exit_brain)
        h = hash_chain(h, &c->monitor, sizeof c->monitor);
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

struct event *kernel_emit(struct kernel *k, struct kernel_out *out, enum event_type type) {
    ASSERT(out->count < KERNEL_OUT_MAX);
    struct event *e = &out->events[out->count++];
    event_init(e, type, k->now_ns);
    return e;
}

/* Called when the event is complete: its bytes enter the running hash. */
void kernel_seal(struct kernel *k, const struct event *e) {
    k->trace_hash = hash_chain(k->trace_hash, &e->u, e->size);
}

void kernel_refuse(struct kernel *k, enum risk_reason reason) {
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

money_t kernel_unrealized(const struct kernel *k, uint32_t i) {
    return gain_of(k, i, value_of(k, i));
}

void kernel_sum_up(const struct kernel *k, money_t *equity, money_t *exposure, money_t *margin) {
    *equity = k->totals.wallet;
    exposure->e8 = margin->e8 = 0;
    for (uint32_t j = 0; j < k->open_count; j++) {
        uint32_t i = k->open[j], leverage = cold_of(k, i)->exits.leverage;
        money_t value = value_of(k, i);
        int64_t notional = value.e8 < 0 ? -value.e8 : value.e8;
        money_t gain = gain_of(k, i, value);
        int64_t paid = value.e8 - gain.e8;
        equity->e8 += gain.e8;
        exposure->e8 += notional;
        /* What was put aside at the entry stays aside though the price has gone elsewhere since. */
        int64_t bound = paid < 0 ? -paid : paid;
        if (bound < notional) bound = notional;
        margin->e8 += leverage > 1 ? bound / leverage : bound;
    }
    /* What is left alone binds margin all the same; what it gains is not ours to know. */
    for (uint32_t i = 0; k->left_count > 0 && i < k->n; i++) {
        const struct cold *c = cold_of(k, i);
        int64_t notional = money_mul_half_even(hot_of(k, i)->last_px, c->left_qty).e8;
        if (notional < 0) notional = -notional;
        exposure->e8 += notional;
        margin->e8 += c->leverage > 1 ? notional / c->leverage : notional;
    }
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
    if (h->next_open_ts_ns > k->newest_ts_ns) k->newest_ts_ns = h->next_open_ts_ns;
    if (h->next_open_ts_ns >= h->last_ts_ns) { /* else a tick has told more already */
        h->last_ts_ns = h->next_open_ts_ns;
        h->last_px = bar->close;
    }
    if (h->busy) {
        struct cold *c = cold_of(k, i);
        c->bar_low = bar->low;
        c->bar_high = bar->high;
        c->bar_open_ns = bar->open_ts_ns;
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
    if (has_engine(k)) {
        kernel_engine_volume(k, i, bar);
        *stepped_bar(k, k->stepped_count) = *bar;
    }
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
    if (tick->ts > k->newest_ts_ns) k->newest_ts_ns = tick->ts;
    k->totals.ticks++;
    return true;
}

void kernel_instrument_status(struct kernel *k, uint32_t i, enum instrument_status status) {
    ASSERT(i < k->n);
    instrument_of(k, i)->status = (uint32_t)status;
    hot_of(k, i)->trading = (uint32_t)status;
    kernel_risk_contract(k, i, status == INSTRUMENT_TRADING);
    if (status == INSTRUMENT_CLOSED) kernel_exits_gone(k, i);
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
    exits_rules_told(&cold_of(k, change->instrument_index)->exits);
    kernel_instrument_status(k, change->instrument_index, (enum instrument_status)change->status);
    k->trace_hash = hash_chain(k->trace_hash, change, sizeof *change);
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
                              k->open_count,
                              k->left_count};
    uint64_t h = hash64(words, sizeof words);
    h = hash_chain(h, breaker_of(k), breaker_size(k->n));
    if (has_engine(k)) {
        const struct engine *e = engine_of(k);
        const uint64_t learned[] = {e->closes, e->decisions, e->entries,  e->outcomes,
                                    e->opened, e->dropped,   e->credited, e->refused};
        double weights[MODEL_COUNT];
        governance_weights(weights, &e->governance);
        h = hash_chain(h, learned, sizeof learned);
        h = hash_chain(h, weights, sizeof weights);
    }
    h = kernel_exits_hash(k, h);
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

int64_t kernel_bars_until(const struct kernel *k) {
    int64_t until = 0;
    for (uint32_t i = 0; i < k->n; i++)
        if (hot_of(k, i)->next_open_ts_ns > until) until = hot_of(k, i)->next_open_ts_ns;
    return until;
}

uint32_t kernel_unprotected_count(const struct kernel *k) {
    uint32_t count = 0;
    for (uint32_t j = 0; j < k->open_count; j++)
        count += cold_of(k, k->open[j])->exits.phase == EXITS_UNPROTECTED;
    return count;
}

enum side kernel_position_side(const struct kernel *k, uint32_t i) {
    int64_t qty = kernel_position_qty(k, i).e8;
    return qty > 0 ? SIDE_BUY : qty < 0 ? SIDE_SELL : SIDE_NONE;
}

qty_t kernel_position_qty(const struct kernel *k, uint32_t i) {
    const struct cold *c = cold_of(k, i);
    return qty_e8(c->exits.position_qty.e8 + c->left_qty.e8);
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
            v->last_trade_id = book->fills.highest;
        }
    }
    return count;
}

static struct kernel_held held_of(const struct kernel *k, uint32_t i, qty_t qty) {
    const struct cold *c = cold_of(k, i);
    return (struct kernel_held){.instrument_index = i,
                                .qty = qty,
                                .last_trade_id = c->book.fills.highest,
                                .last_funding_ns = c->last_funding_ts_ns,
                                .opened_ns = c->opened_ts_ns,
                                .told_ns = c->position_told_ns};
}

uint32_t kernel_held(const struct kernel *k, struct kernel_held *out, uint32_t max) {
    uint32_t count = 0;
    for (uint32_t j = 0; j < k->open_count && count < max; j++) {
        qty_t qty = cold_of(k, k->open[j])->exits.position_qty;
        if (qty.e8 != 0) out[count++] = held_of(k, k->open[j], qty);
    }
    for (uint32_t i = 0; k->left_count > 0 && i < k->n && count < max; i++) {
        qty_t qty = cold_of(k, i)->left_qty;
        if (qty.e8 != 0) out[count++] = held_of(k, i, qty);
    }
    return count;
}

uint32_t kernel_leverage_wanted(const struct kernel *k, uint32_t i) {
    const struct cold *c = cold_of(k, i);
    return c->waiting_leverage ? c->exits.leverage : 0;
}
