/* What happens next to a symbol, and matching: the taker walking the book, limits resting in it,
 * triggers, and the winding up of a position (liquidation, settlement). */
#include <string.h>

#include "base/assert.h"
#include "venue/simex/simex_internal.h"

void simex_event_init(const struct simex *sx, struct venue_event *out, enum venue_event_kind kind,
                      uint32_t s) {
    memset(out, 0, sizeof *out);
    out->kind = (uint8_t)kind;
    out->instrument_index = s;
    out->ts_event_ns = sx->clock_ns;
    out->wallet = money_e8(sx->wallet);
    if (s < sx->config.instrument_count) {
        out->mark_px = px_e8(simex_mark_now(sx, s));
        out->leverage = simex_symbol(sx, s)->leverage;
    }
}

void simex_event_order(const struct simex *sx, struct venue_event *out, enum venue_event_kind kind,
                       const struct sx_order *o) {
    simex_event_init(sx, out, kind, o->symbol);
    out->side = o->side;
    out->order_type = o->type;
    out->venue_order_id = o->venue_order_id;
    out->cum_qty = qty_e8(o->cum_qty);
    out->leaves_qty = qty_e8(simex_leaves(o));
    out->avg_cost = money_e8(o->cum_cost);
    memcpy(out->client_order_id, o->client_order_id, CLIENT_ORDER_ID_SIZE);
}

static void event_fill(struct venue_event *out, struct sx_symbol *y, const struct sx_fill *fill) {
    out->trade_id = y->trade_id_next++;
    out->last_px = px_e8(fill->px);
    out->last_qty = qty_e8(fill->qty);
    out->commission = money_e8(fill->fee);
    out->realized_pnl = money_e8(fill->realized);
}

void simex_order_free(struct simex *sx, uint32_t s, uint32_t slot) {
    struct sx_order *o = simex_order(sx, s, slot);
    uint32_t index = s * sx->slots + slot, previous = SIMEX_NO_INDEX;
    struct sx_order *all = simex_order(sx, 0, 0);
    for (uint32_t at = sx->flight_head; at != SIMEX_NO_INDEX; at = all[at].flight_next) {
        if (at != index) {
            previous = at;
            continue;
        }
        if (previous == SIMEX_NO_INDEX)
            sx->flight_head = o->flight_next;
        else
            all[previous].flight_next = o->flight_next;
        if (sx->flight_tail == index) sx->flight_tail = previous;
        break;
    }
    sx->conditional_count -= o->phase == PHASE_WAITING;
    simex_symbol(sx, s)->order_mask &= ~(UINT64_C(1) << slot);
    memset(o, 0, sizeof *o);
}

static void expire_event(struct simex *sx, uint32_t s, uint32_t slot, int32_t code,
                         struct venue_event *out) {
    simex_event_order(sx, out, VENUE_ORDER_EXPIRED, simex_order(sx, s, slot));
    out->code = code;
    simex_order_free(sx, s, slot);
    simex_refresh(sx, s);
}

/* ---- schedule ---- */

/* +1 when the order acts at path >= level, -1 when at path <= level. */
static int order_direction(const struct sx_order *o) {
    if (o->phase == PHASE_RESTING) return o->side == SIDE_SELL ? 1 : -1;
    bool is_stop = o->type == ORDER_STOP_MARKET || o->type == ORDER_STOP;
    return is_stop == (o->side == SIDE_BUY) ? 1 : -1;
}

static int64_t order_level(const struct sx_order *o) {
    return o->phase == PHASE_RESTING ? o->pass_px : o->stop_px;
}

static bool order_uses_mark(const struct sx_order *o) {
    return o->phase == PHASE_WAITING && o->working_type == WORKING_MARK_PRICE;
}

/* What this bar's volume still fills of resting orders of a side. */
static int64_t passive_capacity(const struct simex *sx, uint32_t s, uint8_t side) {
    const struct sx_symbol *y = simex_symbol(sx, s);
    int64_t depth = simex_level_depth(sx, s);
    if (y->passive_ts != y->bar.open_ts_ns) return depth;
    return simex_max(0, depth - y->passive_used[side == SIDE_SELL]);
}

static int64_t order_next_ts(const struct simex *sx, uint32_t s, const struct sx_order *o,
                             const struct sx_path *last, const struct sx_path *mark) {
    if (o->phase != PHASE_WAITING && o->phase != PHASE_RESTING) return SIMEX_NEVER;
    if (o->phase == PHASE_RESTING && passive_capacity(sx, s, o->side) == 0) {
        bool has_work = !o->reduce_only || simex_reducible(sx, s, (enum side)o->side) > 0;
        if (has_work) return SIMEX_NEVER; /* until the next bar brings volume */
    }
    return simex_path_first(order_uses_mark(o) ? mark : last, sx->clock_ns, order_level(o),
                            order_direction(o));
}

/* Does a come before b when both are due at one instant? Limits before triggers; limits by side,
 * then better price; then age. A total order, so the outcome does not hang on slots. */
static bool order_precedes(const struct sx_order *a, const struct sx_order *b) {
    if (a->phase != b->phase) return a->phase == PHASE_RESTING;
    if (a->phase == PHASE_RESTING) {
        if (a->side != b->side) return a->side == SIDE_BUY;
        if (a->limit_px != b->limit_px) return (a->limit_px > b->limit_px) == (a->side == SIDE_BUY);
    }
    return a->venue_order_id < b->venue_order_id;
}

static void path_min_update(struct simex *sx, uint32_t s) {
    const int64_t *next_ts = simex_next_ts(sx);
    if (next_ts[s] < sx->path_min_ts || (next_ts[s] == sx->path_min_ts && s < sx->path_min_index)) {
        sx->path_min_ts = next_ts[s];
        sx->path_min_index = s;
    } else if (s == sx->path_min_index && next_ts[s] != sx->path_min_ts) {
        sx->path_min_ts = next_ts[0];
        sx->path_min_index = 0;
        for (uint32_t i = 1; i < sx->config.instrument_count; i++) {
            if (next_ts[i] >= sx->path_min_ts) continue;
            sx->path_min_ts = next_ts[i];
            sx->path_min_index = i;
        }
    }
}

void simex_schedule(struct simex *sx, uint32_t s) {
    struct sx_symbol *y = simex_symbol(sx, s);
    int64_t first = SIMEX_NEVER;
    y->next_kind = PATH_NONE;
    if (y->order_mask != 0 || y->liquidation_px != 0) {
        struct sx_path last, mark;
        simex_path_last(sx, s, &last);
        simex_path_mark(sx, s, &mark);
        if (y->liquidation_px != 0) {
            first = simex_path_first(&mark, sx->clock_ns, y->liquidation_px, y->qty > 0 ? -1 : 1);
            if (first != SIMEX_NEVER) y->next_kind = PATH_LIQUIDATION;
        }
        for (uint64_t mask = y->order_mask; mask; mask &= mask - 1) {
            uint32_t slot = simex_bit(mask);
            const struct sx_order *o = simex_order(sx, s, slot);
            int64_t ts = order_next_ts(sx, s, o, &last, &mark);
            bool earlier = ts < first;
            if (ts == first && ts != SIMEX_NEVER && y->next_kind != PATH_LIQUIDATION)
                earlier = order_precedes(o, simex_order(sx, s, y->next_slot));
            if (!earlier) continue;
            first = ts;
            y->next_slot = slot;
            y->next_kind = o->phase == PHASE_RESTING ? PATH_LIMIT : PATH_TRIGGER;
        }
    }
    simex_next_ts(sx)[s] = first;
    path_min_update(sx, s);
}

void simex_refresh(struct simex *sx, uint32_t s) {
    struct sx_symbol *y = simex_symbol(sx, s);
    int64_t margin = simex_order_margin(sx, s, SIDE_NONE, 0);
    sx->order_margin_total += margin - y->order_margin;
    y->order_margin = margin;
    y->hi_last = y->hi_mark = INT64_MAX;
    y->lo_last = y->lo_mark = INT64_MIN;
    if (y->liquidation_px != 0) {
        if (y->qty > 0)
            y->lo_mark = y->liquidation_px;
        else
            y->hi_mark = y->liquidation_px;
    }
    for (uint64_t mask = y->order_mask; mask; mask &= mask - 1) {
        const struct sx_order *o = simex_order(sx, s, simex_bit(mask));
        if (o->phase != PHASE_WAITING && o->phase != PHASE_RESTING) continue;
        int64_t *hi = order_uses_mark(o) ? &y->hi_mark : &y->hi_last;
        int64_t *lo = order_uses_mark(o) ? &y->lo_mark : &y->lo_last;
        if (order_direction(o) > 0)
            *hi = simex_min(*hi, order_level(o));
        else
            *lo = simex_max(*lo, order_level(o));
    }
    simex_schedule(sx, s);
}

/* ---- taker ---- */

void simex_taker_start(struct simex *sx, uint32_t s, uint32_t slot, int64_t floor, int64_t ceil) {
    const struct instrument *in = simex_instrument(sx, s);
    enum side side;
    int64_t bound;
    ASSERT(!sx->taker.active);
    if (slot == SIMEX_NO_INDEX) {
        side = simex_symbol(sx, s)->qty > 0 ? SIDE_SELL : SIDE_BUY;
        bound = 0;
    } else {
        struct sx_order *o = simex_order(sx, s, slot);
        side = (enum side)o->side;
        o->phase = PHASE_IN_FLIGHT;
        int64_t mark = simex_mark_now(sx, s), take = in->market_take_bound.e8;
        if (o->limit_px != 0)
            bound = o->limit_px;
        else if (take == 0)
            bound = side == SIDE_BUY ? INT64_MAX : 1;
        else if (side == SIDE_BUY)
            bound = fx_mul_floor(mark, FX_ONE + take);
        else
            bound = fx_mul_ceil(mark, FX_ONE - take);
    }
    int64_t best = simex_best_px(sx, s, side, floor, ceil);
    sx->taker = (struct sx_taker){
        .symbol = s,
        .slot = slot,
        .active = 1,
        .side = (uint8_t)side,
        .best = best,
        .spacing = simex_level_spacing(sx, s, best),
        .depth = simex_level_depth(sx, s),
        .bound = bound,
    };
}

static int64_t taker_px(const struct simex *sx) {
    const struct sx_taker *t = &sx->taker;
    simex_i128 px = t->best + (simex_i128)t->spacing * t->level * side_sign((enum side)t->side);
    return px > INT64_MAX / 4 ? INT64_MAX / 4 : px < 0 ? 0 : (int64_t)px;
}

/* Own order on the other side that the taker would meet at or before px: best, then oldest. */
static uint32_t self_trade_slot(const struct simex *sx, uint32_t s, enum side side, int64_t px) {
    uint32_t found = SIMEX_NO_INDEX;
    for (uint64_t mask = simex_symbol(sx, s)->order_mask; mask; mask &= mask - 1) {
        uint32_t slot = simex_bit(mask);
        const struct sx_order *o = simex_order(sx, s, slot);
        if (o->phase != PHASE_RESTING || o->side == side) continue;
        if ((px - o->limit_px) * side_sign(side) < 0) continue;
        if (found == SIMEX_NO_INDEX || order_precedes(o, simex_order(sx, s, found))) found = slot;
    }
    return found;
}

/* A limit order that found no more to take rests, unless told otherwise. */
static bool taker_done(struct simex *sx, struct sx_order *o, int32_t code,
                       struct venue_event *out) {
    uint32_t s = sx->taker.symbol, slot = sx->taker.slot;
    sx->taker.active = 0;
    bool rests =
        o->limit_px != 0 && code == EXPIRY_MARKET && (o->tif == TIF_GTC || o->tif == TIF_GTX);
    if (!rests) {
        if (o->limit_px != 0 && code == EXPIRY_MARKET) code = EXPIRY_IOC;
        expire_event(sx, s, slot, code, out);
        return true;
    }
    struct sx_path path;
    simex_path_last(sx, s, &path);
    /* Strictly through: beyond the limit, and beyond where the market stood when it came to rest
     * (a price inside the spread is not passed by a market that stands still). */
    o->phase = PHASE_RESTING;
    if (o->side == SIDE_BUY)
        o->pass_px = simex_min(o->limit_px, simex_path_floor(&path, sx->clock_ns)) - 1;
    else
        o->pass_px = simex_max(o->limit_px, simex_path_ceil(&path, sx->clock_ns)) + 1;
    simex_refresh(sx, s);
    return false;
}

/* Books one fill of an order of ours; the order is freed when it is complete. */
static void order_fill(struct simex *sx, uint32_t s, uint32_t slot, const struct sx_fill *fill,
                       bool is_maker, struct venue_event *out) {
    struct sx_order *o = simex_order(sx, s, slot);
    o->cum_qty += fill->qty;
    o->cum_cost += fill->cost;
    simex_fill_apply(sx, s, (enum side)o->side, fill);
    simex_event_order(sx, out, VENUE_ORDER_TRADE, o);
    out->is_maker = is_maker;
    event_fill(out, simex_symbol(sx, s), fill);
    if (simex_leaves(o) == 0) {
        if (!is_maker) sx->taker.active = 0;
        simex_order_free(sx, s, slot);
    }
    simex_refresh(sx, s);
}

/* How much of the order may trade now, and at what consequence; 0 with the reason in *code. */
static int64_t order_plan(const struct simex *sx, const struct sx_order *o, int64_t qty, int64_t px,
                          int64_t fee_rate, struct sx_fill *fill, int32_t *code) {
    enum side side = (enum side)o->side;
    int64_t reducible = simex_reducible(sx, o->symbol, side);
    *code = 0;
    if (o->reduce_only || o->close_position) {
        qty = simex_min(qty, reducible);
        if (qty == 0) *code = o->close_position ? EXPIRY_POSITION_GONE : EXPIRY_REDUCE_ONLY;
        if (qty == 0) return 0;
    }
    if (simex_fill_plan(sx, o->symbol, side, qty, px, fee_rate, fill)) return qty;
    /* Cannot pay for opening: what closes still trades. */
    qty = simex_min(qty, reducible);
    if (qty == 0) {
        *code = CODE_MARGIN;
        return 0;
    }
    (void)simex_fill_plan(sx, o->symbol, side, qty, px, fee_rate, fill);
    return qty;
}

static bool taker_liquidation_step(struct simex *sx, struct venue_event *out) {
    struct sx_taker *t = &sx->taker;
    struct sx_symbol *y = simex_symbol(sx, t->symbol);
    int64_t px = taker_px(sx), bankruptcy = simex_bankruptcy_px(sx, t->symbol);
    int64_t held = simex_abs(y->qty), qty = simex_min(held, t->depth);
    if ((px - bankruptcy) * side_sign((enum side)t->side) >= 0) {
        px = bankruptcy; /* the insurance fund takes over what is left */
        qty = held;
    }
    struct sx_fill fill;
    simex_fill_liquidate(sx, t->symbol, qty, px, &fill);
    simex_event_init(sx, out, VENUE_LIQUIDATION, t->symbol);
    out->side = t->side;
    out->venue_order_id = sx->order_id_next;
    out->cum_qty = qty_e8(qty);
    out->leaves_qty = qty_e8(simex_abs(y->qty));
    out->avg_cost = money_e8(fill.cost);
    event_fill(out, y, &fill);
    t->level++;
    if (y->qty == 0) {
        t->active = 0;
        sx->order_id_next++;
    }
    simex_refresh(sx, t->symbol);
    return true;
}

bool simex_taker_step(struct simex *sx, struct venue_event *out) {
    struct sx_taker *t = &sx->taker;
    if (t->slot == SIMEX_NO_INDEX) return taker_liquidation_step(sx, out);
    uint32_t s = t->symbol, slot = t->slot;
    struct sx_order *o = simex_order(sx, s, slot);
    enum side side = (enum side)t->side;
    int64_t px = taker_px(sx);
    if (px <= 0 || (px > t->bound && side == SIDE_BUY) || (px < t->bound && side == SIDE_SELL))
        return taker_done(sx, o, EXPIRY_MARKET, out);
    uint32_t own = self_trade_slot(sx, s, side, px);
    if (own != SIMEX_NO_INDEX) {
        expire_event(sx, s, own, EXPIRY_SELF_TRADE, out);
        return true;
    }
    struct sx_fill fill;
    int32_t code;
    int64_t qty = order_plan(sx, o, simex_min(simex_leaves(o), t->depth), px,
                             simex_instrument(sx, s)->fee_taker.e8, &fill, &code);
    if (qty == 0) return taker_done(sx, o, code, out);
    t->level++;
    order_fill(sx, s, slot, &fill, false, out);
    return true;
}

/* ---- events of the path ---- */

/* Price of a passive fill: the limit; the open where the market opened beyond it; for the rest of
 * an order the market went through before, the limit as far as this bar traded there. */
static int64_t maker_px(const struct simex *sx, uint32_t s, const struct sx_order *o) {
    const struct bar *b = &simex_symbol(sx, s)->bar;
    int64_t tick = simex_instrument(sx, s)->tick_size.e8;
    if (o->side == SIDE_BUY) {
        if (o->passed) return simex_min(o->limit_px, fx_snap_up(b->high.e8, tick));
        if (sx->clock_ns > b->open_ts_ns) return o->limit_px;
        return simex_min(o->limit_px, fx_snap_up(b->open.e8, tick));
    }
    if (o->passed) return simex_max(o->limit_px, fx_snap_down(b->low.e8, tick));
    if (sx->clock_ns > b->open_ts_ns) return o->limit_px;
    return simex_max(o->limit_px, fx_snap_down(b->open.e8, tick));
}

static void maker_event(struct simex *sx, uint32_t s, uint32_t slot, struct venue_event *out) {
    struct sx_symbol *y = simex_symbol(sx, s);
    struct sx_order *o = simex_order(sx, s, slot);
    int64_t capacity = passive_capacity(sx, s, o->side);
    struct sx_fill fill;
    int32_t code;
    int64_t qty = order_plan(sx, o, simex_min(simex_leaves(o), capacity), maker_px(sx, s, o),
                             simex_instrument(sx, s)->fee_maker.e8, &fill, &code);
    if (qty == 0) {
        expire_event(sx, s, slot, code, out);
        return;
    }
    if (y->passive_ts != y->bar.open_ts_ns) {
        y->passive_ts = y->bar.open_ts_ns;
        y->passive_used[0] = y->passive_used[1] = 0;
    }
    y->passive_used[o->side == SIDE_SELL] += qty;
    o->passed = 1;
    order_fill(sx, s, slot, &fill, true, out);
}

/* A conditional order fires: it is announced now and matched in the following steps. */
static void trigger_event(struct simex *sx, uint32_t s, uint32_t slot, struct venue_event *out) {
    struct sx_order *o = simex_order(sx, s, slot);
    struct sx_path path;
    simex_path_last(sx, s, &path);
    int64_t floor = simex_path_floor(&path, sx->clock_ns),
            ceil = simex_path_ceil(&path, sx->clock_ns);
    if (!order_uses_mark(o) && sx->clock_ns > path.ts[0] && sx->clock_ns <= path.ts[3])
        floor = ceil = o->stop_px; /* the path is continuous: it met the trigger itself */
    if (o->close_position) {
        o->qty = simex_reducible(sx, s, (enum side)o->side);
        o->reduce_only = 1;
    }
    int32_t code = simex_admit_triggered(sx, o);
    sx->conditional_count--;
    simex_taker_start(sx, s, slot, floor, ceil);
    o->assumed_px = o->limit_px != 0 ? o->limit_px : sx->taker.best;
    simex_event_order(sx, out, VENUE_ORDER_TRIGGERED, o);
    if (code != 0) {
        out->kind = VENUE_ORDER_EXPIRED;
        out->code = code;
        sx->taker.active = 0;
        simex_order_free(sx, s, slot);
    }
    simex_refresh(sx, s);
}

bool simex_path_event(struct simex *sx, uint32_t s, struct venue_event *out) {
    struct sx_symbol *y = simex_symbol(sx, s);
    switch ((enum sx_path_kind)y->next_kind) {
    case PATH_LIQUIDATION:
        sx->sweep = SWEEP_LIQUIDATION;
        sx->sweep_symbol = s;
        return false;
    case PATH_LIMIT:
        maker_event(sx, s, y->next_slot, out);
        return true;
    case PATH_TRIGGER:
        trigger_event(sx, s, y->next_slot, out);
        return true;
    case PATH_NONE:
        break;
    }
    ASSERT(0 && "an event of the path without a cause");
    return false;
}

/* ---- winding up ---- */

static void settle_event(struct simex *sx, uint32_t s, struct venue_event *out) {
    struct sx_symbol *y = simex_symbol(sx, s);
    enum side side = y->qty > 0 ? SIDE_SELL : SIDE_BUY;
    struct sx_path path;
    simex_path_last(sx, s, &path);
    int64_t px = simex_path_floor(&path, sx->clock_ns);
    px = simex_max(1, fx_snap_nearest(px, simex_instrument(sx, s)->tick_size.e8));
    struct sx_fill fill;
    (void)simex_fill_plan(sx, s, side, simex_abs(y->qty), px, 0, &fill);
    simex_fill_apply(sx, s, side, &fill);
    simex_event_init(sx, out, VENUE_ORDER_TRADE, s);
    out->side = (uint8_t)side;
    out->venue_order_id = sx->order_id_next++;
    out->cum_qty = qty_e8(fill.qty);
    out->avg_cost = money_e8(fill.cost);
    event_fill(out, y, &fill);
    simex_refresh(sx, s);
}

bool simex_sweep_step(struct simex *sx, struct venue_event *out) {
    uint32_t s = sx->sweep_symbol;
    struct sx_symbol *y = simex_symbol(sx, s);
    bool settles = sx->sweep == SWEEP_SETTLEMENT;
    uint32_t oldest = SIMEX_NO_INDEX;
    for (uint64_t mask = y->order_mask; mask; mask &= mask - 1) {
        uint32_t slot = simex_bit(mask);
        if (oldest == SIMEX_NO_INDEX ||
            simex_order(sx, s, slot)->venue_order_id < simex_order(sx, s, oldest)->venue_order_id)
            oldest = slot;
    }
    if (oldest != SIMEX_NO_INDEX) {
        expire_event(sx, s, oldest, settles ? EXPIRY_DELISTED : EXPIRY_LIQUIDATION, out);
        return true;
    }
    sx->sweep = SWEEP_NONE;
    if (y->qty == 0) return false;
    if (settles) {
        settle_event(sx, s, out);
        return true;
    }
    struct sx_path path;
    simex_path_last(sx, s, &path);
    simex_taker_start(sx, s, SIMEX_NO_INDEX, simex_path_floor(&path, sx->clock_ns),
                      simex_path_ceil(&path, sx->clock_ns));
    return false;
}
