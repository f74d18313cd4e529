/* Admission of commands: every rule of the venue that can refuse one, in docs/simex.md's order. */
#include <string.h>

#include "base/assert.h"
#include "venue/simex/simex_internal.h"

static bool is_conditional(uint8_t type) {
    return type >= ORDER_STOP_MARKET;
}
static bool is_stop(uint8_t type) {
    return type == ORDER_STOP_MARKET || type == ORDER_STOP;
}
static bool has_limit_px(uint8_t type) {
    return type == ORDER_LIMIT || type == ORDER_STOP || type == ORDER_TAKE_PROFIT;
}
static bool is_market_form(uint8_t type) {
    return !has_limit_px(type);
}

uint32_t simex_order_find(const struct simex *sx, uint32_t s, const char *client_order_id) {
    for (uint64_t mask = simex_symbol(sx, s)->order_mask; mask; mask &= mask - 1) {
        uint32_t slot = simex_bit(mask);
        if (strncmp(simex_order(sx, s, slot)->client_order_id, client_order_id,
                    CLIENT_ORDER_ID_SIZE) == 0)
            return slot;
    }
    return SIMEX_NO_INDEX;
}

/* ^[\.A-Z\:/a-z0-9_-]{1,36}$ */
static bool is_client_id(const char *id) {
    size_t n = strnlen(id, CLIENT_ORDER_ID_SIZE);
    if (n < 1 || n > 36) return false;
    for (size_t i = 0; i < n; i++) {
        char c = id[i];
        bool ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == ':' || c == '/' || c == '_' || c == '-';
        if (!ok) return false;
    }
    return true;
}

static int32_t check_status(const struct simex *sx, const struct venue_command *c) {
    if (c->instrument_index >= sx->config.instrument_count) return CODE_SYMBOL;
    const struct instrument *in = simex_instrument(sx, c->instrument_index);
    if (in->status == INSTRUMENT_CLOSED) return CODE_STATUS_CLOSED;
    if (in->status == INSTRUMENT_SETTLING && !c->reduce_only && !c->close_position)
        return CODE_STATUS_NO_OPENING;
    if (simex_symbol(sx, c->instrument_index)->bar.open_ts_ns == INT64_MIN) return CODE_NO_MARKET;
    return 0;
}

static int32_t check_form(const struct simex *sx, const struct venue_command *c) {
    if (c->side != SIDE_BUY && c->side != SIDE_SELL) return CODE_SIDE;
    if (c->order_type > ORDER_TAKE_PROFIT) return CODE_ORDER_TYPE;
    if (c->time_in_force > TIF_GTX) return CODE_TIF;
    if (c->working_type > WORKING_MARK_PRICE) return CODE_WORKING_TYPE;
    if (is_market_form(c->order_type) && c->time_in_force != TIF_GTC) return CODE_PARAM_UNUSED;
    if (c->close_position) {
        bool allowed = is_conditional(c->order_type) && is_market_form(c->order_type);
        if (!allowed || c->reduce_only) return CODE_PARAM_UNUSED;
        if (c->order_qty.e8 != 0) return CODE_CLOSE_POSITION_QTY;
    }
    if (!is_client_id(c->client_order_id)) return CODE_CLIENT_ID;
    if (simex_order_find(sx, c->instrument_index, c->client_order_id) != SIMEX_NO_INDEX)
        return CODE_CLIENT_ID_DUPLICATE;
    return 0;
}

static int32_t check_filters(const struct instrument *in, const struct venue_command *c) {
    int32_t code;
    if (has_limit_px(c->order_type)) {
        code = (int32_t)instrument_check_px(in, c->limit_px);
        if (code) return code;
    }
    if (is_conditional(c->order_type)) {
        code = (int32_t)instrument_check_px(in, c->stop_px);
        if (code == FILTER_PX_LE_ZERO) return CODE_STOP_LE_ZERO;
        if (code == FILTER_PX_HIGH) return CODE_STOP_HIGH;
        if (code) return code;
    }
    if (c->close_position) return 0;
    return (int32_t)instrument_check_qty(in, c->order_qty, is_market_form(c->order_type));
}

/* PERCENT_PRICE: limits against mark, market orders by the best price they would meet, conditional
 * limits against their own trigger. A multiplier of 0 is "no such filter". */
static int32_t check_band(const struct simex *sx, const struct venue_command *c) {
    const struct instrument *in = simex_instrument(sx, c->instrument_index);
    bool is_buy = c->side == SIDE_BUY, conditional = is_conditional(c->order_type);
    if (conditional && is_market_form(c->order_type)) return 0;
    int64_t multiplier = is_buy ? in->multiplier_up.e8 : in->multiplier_down.e8;
    if (multiplier == 0) return 0;
    int64_t base = conditional ? c->stop_px.e8 : simex_mark_now(sx, c->instrument_index);
    int64_t px = c->order_type == ORDER_MARKET
                     ? simex_best_now(sx, c->instrument_index, (enum side)c->side)
                     : c->limit_px.e8;
    /* px <= base * up, px >= base * down, compared without rounding */
    simex_i128 left = (simex_i128)px * FX_ONE, right = (simex_i128)base * multiplier;
    if (is_buy ? left <= right : left >= right) return 0;
    if (c->order_type == ORDER_MARKET) return CODE_BEST_PX_BAND;
    if (conditional) return is_buy ? CODE_STOP_BAND_HIGH : CODE_STOP_BAND_LOW;
    return is_buy ? FILTER_BAND_HIGH : FILTER_BAND_LOW;
}

static int32_t check_notional(const struct simex *sx, const struct venue_command *c) {
    const struct instrument *in = simex_instrument(sx, c->instrument_index);
    if (c->close_position) return 0;
    int64_t px = c->order_type == ORDER_MARKET   ? simex_mark_now(sx, c->instrument_index)
                 : is_market_form(c->order_type) ? c->stop_px.e8
                                                 : c->limit_px.e8;
    if ((simex_i128)px * c->order_qty.e8 / FX_ONE > SIMEX_NOTIONAL_MAX) return CODE_POSITION_MAX;
    if (c->reduce_only) return 0;
    return (int32_t)instrument_check_notional(in, px_e8(px), c->order_qty);
}

/* Is the trigger's condition true already? */
static bool triggers_now(const struct simex *sx, const struct venue_command *c) {
    struct sx_path path;
    uint32_t s = c->instrument_index;
    if (c->working_type == WORKING_MARK_PRICE)
        simex_path_mark(sx, s, &path);
    else
        simex_path_last(sx, s, &path);
    if (is_stop(c->order_type) == (c->side == SIDE_BUY)) /* fires when p >= trigger */
        return simex_path_floor(&path, sx->clock_ns) >= c->stop_px.e8;
    return simex_path_ceil(&path, sx->clock_ns) <= c->stop_px.e8;
}

/* One closePosition stop and one closePosition target to a direction. */
static bool close_position_exists(const struct simex *sx, const struct venue_command *c) {
    uint32_t s = c->instrument_index;
    for (uint64_t mask = simex_symbol(sx, s)->order_mask; mask; mask &= mask - 1) {
        const struct sx_order *o = simex_order(sx, s, simex_bit(mask));
        if (o->phase == PHASE_WAITING && o->close_position && o->side == c->side &&
            is_stop(o->type) == is_stop(c->order_type))
            return true;
    }
    return false;
}

static int32_t check_room(const struct simex *sx, const struct venue_command *c) {
    const struct sx_symbol *y = simex_symbol(sx, c->instrument_index);
    bool conditional = is_conditional(c->order_type);
    uint32_t ordinary = 0;
    for (uint64_t mask = y->order_mask; mask; mask &= mask - 1)
        ordinary += simex_order(sx, c->instrument_index, simex_bit(mask))->phase != PHASE_WAITING;
    bool is_full = (uint32_t)__builtin_popcountll(y->order_mask) >= sx->slots;
    if (conditional)
        return is_full || sx->conditional_count >= SIMEX_CONDITIONAL_MAX ? CODE_CONDITIONAL_MAX : 0;
    uint32_t orders_max = simex_instrument(sx, c->instrument_index)->orders_max;
    return is_full || ordinary >= orders_max ? CODE_ORDERS_MAX : 0;
}

/* Position limit of the leverage, counting what already rests on the same side. */
static int32_t check_bracket(const struct simex *sx, uint32_t s, enum side side, int64_t qty) {
    const struct sx_symbol *y = simex_symbol(sx, s);
    simex_i128 held = (simex_i128)y->qty * side_sign(side) + qty;
    for (uint64_t mask = y->order_mask; mask; mask &= mask - 1) {
        const struct sx_order *o = simex_order(sx, s, simex_bit(mask));
        if (o->phase != PHASE_WAITING && o->side == side && !o->reduce_only && !o->close_position)
            held += simex_leaves(o);
    }
    if (held <= 0) return 0;
    simex_i128 notional = held * simex_mark_now(sx, s) / FX_ONE;
    if (notional > SIMEX_NOTIONAL_MAX) return CODE_POSITION_MAX;
    uint32_t leverage_max =
        instrument_leverage_max(simex_instrument(sx, s), money_e8((int64_t)notional));
    return y->leverage > leverage_max ? CODE_POSITION_MAX : 0;
}

/* What margin assumes an order trades at; binance-usdm 9.5. */
static int64_t assumed_px(const struct simex *sx, uint32_t s, enum side side, uint8_t type,
                          int64_t limit_px) {
    int64_t mark = simex_mark_now(sx, s);
    bool is_limit = has_limit_px(type);
    if (side == SIDE_BUY)
        return is_limit ? limit_px
                        : fx_mul_ceil(simex_best_now(sx, s, SIDE_BUY), FX_ONE + FX_ONE / 2000);
    int64_t px = simex_max(simex_best_now(sx, s, SIDE_SELL), mark);
    return is_limit ? simex_max(px, limit_px) : px;
}

/* Cost = initial margin + open loss + taker fee of the part that opens. Counting the fee is our
 * choice (the venue's is not documented): without it the fill itself could fail. */
static int32_t check_margin(const struct simex *sx, uint32_t s, enum side side, uint8_t type,
                            int64_t limit_px, int64_t qty) {
    const struct sx_symbol *y = simex_symbol(sx, s);
    int64_t opening = qty - simex_min(qty, simex_reducible(sx, s, side));
    if (opening == 0) return 0;
    int64_t px = assumed_px(sx, s, side, type, limit_px), mark = simex_mark_now(sx, s);
    if ((simex_i128)px * qty / FX_ONE > SIMEX_NOTIONAL_MAX) return CODE_POSITION_MAX;
    int64_t after = simex_order_margin(sx, s, side, fx_mul_half_even(px, qty));
    int64_t margin = simex_max(0, after - y->order_margin);
    int64_t loss_px = simex_max(0, (px - mark) * side_sign(side));
    int64_t loss = fx_mul_ceil(loss_px, opening);
    int64_t fee = fx_mul_ceil(fx_mul_half_even(px, opening), simex_instrument(sx, s)->fee_taker.e8);
    return (simex_i128)margin + loss + fee > simex_available(sx) ? CODE_MARGIN : 0;
}

/* Quantity the book offers up to the limit, at least `enough`? */
static bool is_fillable(const struct simex *sx, uint32_t s, enum side side, int64_t limit_px,
                        int64_t enough) {
    int64_t best = simex_best_now(sx, s, side);
    int64_t room = (limit_px - best) * side_sign(side);
    if (room < 0) return false;
    simex_i128 levels = room / simex_level_spacing(sx, s, best) + 1;
    return levels * simex_level_depth(sx, s) >= enough;
}

static int32_t check_match(const struct simex *sx, uint32_t s, enum side side, uint8_t tif,
                           int64_t limit_px, int64_t qty) {
    if (tif == TIF_GTX && is_fillable(sx, s, side, limit_px, 1)) return CODE_GTX;
    if (tif == TIF_FOK && !is_fillable(sx, s, side, limit_px, qty)) return CODE_FOK;
    return 0;
}

int32_t simex_admit(const struct simex *sx, const struct venue_command *c) {
    int32_t code;
    uint32_t s = c->instrument_index;
    enum side side = (enum side)c->side;
    if ((code = check_status(sx, c)) != 0) return code;
    if ((code = check_form(sx, c)) != 0) return code;
    if ((code = check_filters(simex_instrument(sx, s), c)) != 0) return code;
    if ((code = check_band(sx, c)) != 0) return code;
    if ((code = check_notional(sx, c)) != 0) return code;
    if (is_conditional(c->order_type)) {
        /* Margin, position limit and reduceOnly are looked at when it triggers. */
        if (triggers_now(sx, c)) return CODE_TRIGGERS_NOW;
        if (c->close_position && close_position_exists(sx, c)) return CODE_CLOSE_POSITION_EXISTS;
        return check_room(sx, c);
    }
    if (c->reduce_only && simex_reducible(sx, s, side) == 0) return CODE_REDUCE_ONLY;
    if ((code = check_room(sx, c)) != 0) return code;
    if (!c->reduce_only) {
        if ((code = check_bracket(sx, s, side, c->order_qty.e8)) != 0) return code;
        code = check_margin(sx, s, side, c->order_type, c->limit_px.e8, c->order_qty.e8);
        if (code != 0) return code;
    }
    if (c->order_type != ORDER_LIMIT) return 0;
    return check_match(sx, s, side, c->time_in_force, c->limit_px.e8, c->order_qty.e8);
}

int32_t simex_admit_triggered(const struct simex *sx, const struct sx_order *o) {
    int32_t code;
    enum side side = (enum side)o->side;
    const struct instrument *in = simex_instrument(sx, o->symbol);
    if (o->close_position || o->reduce_only) {
        if (simex_reducible(sx, o->symbol, side) == 0)
            return o->close_position ? (int32_t)EXPIRY_POSITION_GONE : (int32_t)CODE_REDUCE_ONLY;
    } else {
        if (in->status != INSTRUMENT_TRADING) return CODE_STATUS_NO_OPENING;
        if ((code = check_bracket(sx, o->symbol, side, o->qty)) != 0) return code;
        code = check_margin(sx, o->symbol, side, o->type, o->limit_px, o->qty);
        if (code != 0) return code;
    }
    if (!has_limit_px(o->type)) return 0;
    return check_match(sx, o->symbol, side, o->tif, o->limit_px, o->qty);
}

/* Puts an admitted order in a slot. */
static uint32_t order_place(struct simex *sx, const struct venue_command *c) {
    uint32_t s = c->instrument_index;
    struct sx_symbol *y = simex_symbol(sx, s);
    uint32_t slot = simex_bit(~y->order_mask);
    ASSERT(slot < sx->slots);
    struct sx_order *o = simex_order(sx, s, slot);
    *o = (struct sx_order){
        .venue_order_id = sx->order_id_next++,
        .limit_px = has_limit_px(c->order_type) ? c->limit_px.e8 : 0,
        .stop_px = is_conditional(c->order_type) ? c->stop_px.e8 : 0,
        .qty = c->order_qty.e8,
        .symbol = s,
        .flight_next = SIMEX_NO_INDEX,
        .phase = is_conditional(c->order_type) ? PHASE_WAITING : PHASE_IN_FLIGHT,
        .side = c->side,
        .type = c->order_type,
        .tif = c->time_in_force,
        .working_type = c->working_type,
        .reduce_only = c->reduce_only != 0,
        .close_position = c->close_position != 0,
    };
    memcpy(o->client_order_id, c->client_order_id,
           strnlen(c->client_order_id, CLIENT_ORDER_ID_SIZE - 1));
    o->assumed_px = assumed_px(sx, s, (enum side)c->side, c->order_type, o->limit_px);
    sx->conditional_count += o->phase == PHASE_WAITING;
    y->order_mask |= UINT64_C(1) << slot;
    return slot;
}

static void flight_push(struct simex *sx, uint32_t s, uint32_t slot) {
    uint32_t index = s * sx->slots + slot;
    if (sx->flight_tail == SIMEX_NO_INDEX)
        sx->flight_head = index;
    else
        simex_order(sx, 0, 0)[sx->flight_tail].flight_next = index;
    sx->flight_tail = index;
}

static void submit_event(struct simex *sx, const struct venue_command *c, struct venue_event *out) {
    int32_t code = simex_admit(sx, c);
    uint32_t s = c->instrument_index;
    if (code != 0) {
        simex_event_init(sx, out, VENUE_ORDER_REJECTED, s);
        out->side = c->side;
        out->order_type = c->order_type;
        out->code = code;
        out->leaves_qty = qty_e8(0);
        memcpy(out->client_order_id, c->client_order_id, CLIENT_ORDER_ID_SIZE);
        return;
    }
    uint32_t slot = order_place(sx, c);
    struct sx_order *o = simex_order(sx, s, slot);
    simex_event_order(sx, out, VENUE_ORDER_ACCEPTED, o);
    if (o->type == ORDER_MARKET) {
        o->match_ts = sx->clock_ns + sx->config.fill_delay_ns;
        flight_push(sx, s, slot);
    } else if (o->type == ORDER_LIMIT) {
        struct sx_path path;
        simex_path_last(sx, s, &path);
        simex_taker_start(sx, s, slot, simex_path_floor(&path, sx->clock_ns),
                          simex_path_ceil(&path, sx->clock_ns));
    }
    simex_refresh(sx, s);
}

static void cancel_event(struct simex *sx, const struct venue_command *c, struct venue_event *out) {
    uint32_t s = c->instrument_index, slot = SIMEX_NO_INDEX;
    if (s < sx->config.instrument_count) slot = simex_order_find(sx, s, c->client_order_id);
    /* A market order between acknowledgement and fill is already the matching engine's. */
    if (slot == SIMEX_NO_INDEX || simex_order(sx, s, slot)->phase == PHASE_IN_FLIGHT) {
        simex_event_init(sx, out, VENUE_CANCEL_REJECTED, s);
        out->code = CODE_CANCEL_UNKNOWN;
        memcpy(out->client_order_id, c->client_order_id, CLIENT_ORDER_ID_SIZE);
        return;
    }
    simex_event_order(sx, out, VENUE_ORDER_CANCELED, simex_order(sx, s, slot));
    simex_order_free(sx, s, slot);
    simex_refresh(sx, s);
}

static int32_t check_leverage(const struct simex *sx, const struct venue_command *c) {
    if (c->instrument_index >= sx->config.instrument_count) return CODE_SYMBOL;
    const struct instrument *in = simex_instrument(sx, c->instrument_index);
    const struct sx_symbol *y = simex_symbol(sx, c->instrument_index);
    if (c->leverage < 1 || c->leverage > instrument_leverage_max(in, money_e8(0)))
        return CODE_LEVERAGE;
    if (y->qty == 0) return 0;
    if (c->leverage < y->leverage) return CODE_LEVERAGE_REDUCTION;
    int64_t notional = simex_abs(fx_mul_half_even(y->qty, simex_mark_now(sx, c->instrument_index)));
    return c->leverage > instrument_leverage_max(in, money_e8(notional)) ? CODE_POSITION_MAX : 0;
}

static void leverage_event(struct simex *sx, const struct venue_command *c,
                           struct venue_event *out) {
    int32_t code = check_leverage(sx, c);
    if (code == 0) {
        simex_symbol(sx, c->instrument_index)->leverage = c->leverage;
        simex_refresh(sx, c->instrument_index);
    }
    simex_event_init(sx, out, VENUE_LEVERAGE_SET, c->instrument_index);
    out->code = code;
    if (code != CODE_SYMBOL) out->leverage = simex_symbol(sx, c->instrument_index)->leverage;
    memcpy(out->client_order_id, c->client_order_id, CLIENT_ORDER_ID_SIZE);
}

bool simex_command_event(struct simex *sx, const struct venue_command *c, struct venue_event *out) {
    switch (c->kind) {
    case COMMAND_ORDER_SUBMIT:
        submit_event(sx, c, out);
        return true;
    case COMMAND_ORDER_CANCEL:
        cancel_event(sx, c, out);
        return true;
    case COMMAND_LEVERAGE_SET:
        leverage_event(sx, c, out);
        return true;
    }
    ASSERT(0 && "a command of no kind");
    return false;
}
