/* Admission of orders: every rule of the venue that can refuse one, in docs/exchange.md's order. */
#include <string.h>

#include "venue/exchange/exchange_internal.h"

int32_t ex_admit_symbol(const struct exchange *ex, uint32_t account, uint32_t s) {
    if (account == EXCHANGE_HOUSE || account >= ex->account_count) return CODE_ACCOUNT;
    if (s >= ex->config.instrument_count) return CODE_SYMBOL;
    return 0;
}

int32_t ex_admit_enums(const struct exchange_input *in) {
    if (in->side != SIDE_BUY && in->side != SIDE_SELL) return CODE_SIDE;
    if (in->type > ORDER_TRAILING_STOP_MARKET) return CODE_ORDER_TYPE;
    if (in->time_in_force > TIF_GTE_GTC) return CODE_TIF;
    if (in->working_type > WORKING_MARK_PRICE) return CODE_WORKING_TYPE;
    if (in->position_side >= POSITION_SIDE_COUNT) return CODE_POSITION_SIDE;
    if (in->stp > STP_EXPIRE_BOTH) return CODE_STP;
    if (in->price_match > PRICE_MATCH_QUEUE_20) return CODE_PRICE_MATCH;
    return 0;
}

int32_t ex_admit_client_id(const char *id) {
    size_t n = strnlen(id, CLIENT_ORDER_ID_SIZE);
    return n == 0 || venue_client_id_is_valid(id, n) ? 0 : CODE_CLIENT_ID;
}

int32_t ex_admit_good_till(const struct exchange *ex, uint8_t tif, int64_t *until_ns) {
    const int64_t second = INT64_C(1000000000);
    if (tif != TIF_GTD) {
        *until_ns = 0;
        return 0;
    }
    if (*until_ns < 0) return CODE_GOOD_TILL;
    *until_ns -= *until_ns % second; /* parts of a second are ignored */
    return *until_ns > ex->clock_ns + 600 * second ? 0 : CODE_GOOD_TILL;
}

static int32_t admit_status(const struct exchange *ex, const struct exchange_order *o) {
    const struct instrument *in = ex_instrument(ex, o->instrument);
    if (in->status == INSTRUMENT_CLOSED) return CODE_STATUS_CLOSED;
    if (in->status == INSTRUMENT_SETTLING && !ex_reduces(o)) return CODE_STATUS_NO_OPENING;
    if (ex_mark(ex, o->instrument) == 0) return CODE_NO_MARKET;
    return 0;
}

/* Parameters that do not go together. */
static int32_t admit_combination(const struct exchange *ex, const struct exchange_order *o) {
    if (o->close_position) return CODE_PARAM_UNUSED;
    if (o->reduce_only && ex_account(ex, o->account)->hedge) return CODE_PARAM_UNUSED;
    if (o->time_in_force == TIF_GTE_GTC) return CODE_TIF;
    if (o->type == ORDER_MARKET) {
        if (o->price_match != PRICE_MATCH_NONE) return CODE_PRICE_MATCH_TYPE;
        if (o->time_in_force != TIF_GTC || o->price.e8 != 0) return CODE_PARAM_UNUSED;
    } else if (o->price_match != PRICE_MATCH_NONE && o->price.e8 != 0) {
        return CODE_PARAM_UNUSED;
    }
    return 0;
}

int64_t ex_best(const struct exchange *ex, uint32_t s, enum match_side side) {
    uint32_t tick = match_best(ex_book(ex, s), side);
    return tick ? ex_px_of(ex_symbol(ex, s), tick) : 0;
}

int32_t ex_admit_price_match(const struct exchange *ex, uint32_t s, uint8_t side, uint8_t mode,
                             int64_t *out_px) {
    static const uint8_t depth[] = {0, 1, 5, 10, 20, 1, 5, 10, 20};
    bool opponent = mode <= PRICE_MATCH_OPPONENT_20;
    enum match_side of = opponent ? ex_other_side(side) : ex_book_side(side);
    const struct match *book = ex_book(ex, s);
    uint32_t tick = match_best(book, of);
    for (uint8_t i = 1; tick && i < depth[mode]; i++) tick = match_worse(book, of, tick);
    if (!tick) return CODE_NO_DEPTH;
    *out_px = ex_px_of(ex_symbol(ex, s), tick);
    return 0;
}

uint32_t ex_tick_of(const struct ex_symbol *y, int64_t px) {
    int64_t tick = (px - y->base) / y->tick;
    bool is_on = tick >= 1 && tick <= UINT32_MAX && (px - y->base) % y->tick == 0;
    return is_on ? (uint32_t)tick : 0;
}

/* PERCENT_PRICE: limits against mark, market orders by the best price they would meet. A multiplier of 0 is
 * "no such filter". */
static int32_t admit_band(const struct exchange *ex, const struct exchange_order *o,
                          int64_t *argument) {
    const struct instrument *in = ex_instrument(ex, o->instrument);
    bool is_buy = o->side == SIDE_BUY, is_market = o->type == ORDER_MARKET;
    int64_t multiplier = is_buy ? in->multiplier_up.e8 : in->multiplier_down.e8;
    int64_t px = is_market ? ex_best(ex, o->instrument, ex_other_side(o->side)) : o->price.e8;
    if (multiplier == 0 || px == 0) return 0;
    /* px <= mark * up, px >= mark * down, compared without rounding */
    ex_i128 left = (ex_i128)px * FX_ONE, right = (ex_i128)ex_mark(ex, o->instrument) * multiplier;
    if (is_buy ? left <= right : left >= right) return 0;
    *argument = fx_mul_half_even(ex_mark(ex, o->instrument), multiplier);
    if (is_market) return CODE_BEST_PX_BAND;
    return is_buy ? FILTER_BAND_HIGH : FILTER_BAND_LOW;
}

static int32_t admit_filters(const struct exchange *ex, const struct exchange_order *o,
                             int64_t *argument) {
    const struct instrument *in = ex_instrument(ex, o->instrument);
    int32_t code;
    if (o->type == ORDER_LIMIT) {
        if ((code = (int32_t)instrument_check_px(in, o->price)) != 0) return code;
        /* The book counts prices in 32 bits of ticks. */
        if (!ex_tick_of(ex_symbol(ex, o->instrument), o->price.e8)) return FILTER_PX_HIGH;
    }
    code = (int32_t)instrument_check_qty(in, o->orig_qty, o->type == ORDER_MARKET);
    if (code != 0) return code;
    if ((code = admit_band(ex, o, argument)) != 0) return code;
    px_t px = o->type == ORDER_MARKET ? px_e8(ex_mark(ex, o->instrument)) : o->price;
    if ((ex_i128)px.e8 * o->orig_qty.e8 / FX_ONE > EX_NOTIONAL_MAX) return CODE_POSITION_MAX;
    if (o->reduce_only) return 0;
    *argument = in->notional_min.e8;
    return (int32_t)instrument_check_notional(in, px, o->orig_qty);
}

int32_t ex_admit_form(struct exchange *ex, struct exchange_order *o, int64_t *argument) {
    int32_t code;
    if ((code = admit_status(ex, o)) != 0) return code;
    if ((code = admit_combination(ex, o)) != 0) return code;
    if ((code = ex_admit_good_till(ex, o->time_in_force, &o->good_till_ns)) != 0) return code;
    if ((code = ex_admit_client_id(o->client_order_id)) != 0) return code;
    if (o->client_order_id[0] != 0 &&
        (ex_order_find(ex, o->account, UINT32_MAX, 0, o->client_order_id) ||
         ex_algo_find(ex, o->account, 0, o->client_order_id, true)))
        return CODE_CLIENT_ID_DUPLICATE;
    if (o->price_match != PRICE_MATCH_NONE) {
        code = ex_admit_price_match(ex, o->instrument, o->side, o->price_match, &o->price.e8);
        if (code != 0) return code;
    }
    return admit_filters(ex, o, argument);
}

static int32_t admit_position(const struct exchange *ex, const struct exchange_order *o) {
    bool hedge = ex_account(ex, o->account)->hedge != 0;
    if (hedge != (o->position_side != POSITION_BOTH)) return CODE_POSITION_SIDE_MODE;
    const struct ex_leg *leg =
        &ex_cell(ex, o->account, o->instrument)->leg[ex_leg_of(o->position_side)];
    int64_t reducible = ex_reducible(leg, o->side);
    if ((o->reduce_only || o->close_position) && reducible == 0) return CODE_REDUCE_ONLY;
    /* Closing more than is held is refused in hedge mode, not cut. */
    if (hedge && ex_closes(o->position_side, o->side) && ex_leaves(o) > reducible)
        return CODE_REDUCE_ONLY;
    return 0;
}

/* Room in the book for one more order of this price. */
static bool has_place(const struct exchange *ex, const struct exchange_order *o) {
    const struct match *book = ex_book(ex, o->instrument);
    uint32_t tick = ex_tick_of(ex_symbol(ex, o->instrument), o->price.e8);
    int64_t there = match_level_qty(book, ex_book_side(o->side), tick);
    uint32_t levels = match_level_count(book, MATCH_BID) + match_level_count(book, MATCH_ASK);
    return there <= EX_LEVEL_QTY_MAX - o->orig_qty.e8 &&
           (there != 0 || levels < ex->config.book_levels_max) &&
           match_order_count(book) < ex->config.book_orders_max;
}

static int32_t admit_room(const struct exchange *ex, const struct exchange_order *o) {
    bool rests =
        o->type == ORDER_LIMIT && o->time_in_force != TIF_IOC && o->time_in_force != TIF_FOK;
    if (ex->order_slots.count >= ex->order_slots.capacity) return CODE_ORDERS_MAX;
    if (!rests) return 0;
    uint32_t open = ex_cell(ex, o->account, o->instrument)->orders;
    bool full = open >= ex_instrument(ex, o->instrument)->orders_max;
    return full || !has_place(ex, o) ? CODE_ORDERS_MAX : 0;
}

/* Position limit of the leverage, counting what already rests on the same side. */
static int32_t admit_bracket(const struct exchange *ex, const struct exchange_order *o, int64_t qty,
                             int64_t *argument) {
    const struct ex_leg *leg =
        &ex_cell(ex, o->account, o->instrument)->leg[ex_leg_of(o->position_side)];
    ex_i128 held = (ex_i128)leg->qty * side_sign((enum side)o->side) + qty;
    held += o->side == SIDE_BUY ? leg->bid_qty : leg->ask_qty;
    if (held <= 0) return 0;
    uint32_t leverage = ex_leverage(ex, o->account, o->instrument);
    int64_t most = ex_notional_max(ex_instrument(ex, o->instrument), leverage);
    *argument = most;
    ex_i128 notional = held * ex_mark(ex, o->instrument) / FX_ONE;
    return notional > most || notional > EX_NOTIONAL_MAX ? CODE_POSITION_MAX : 0;
}

/* What margin assumes an order trades at; binance-usdm 9.5. */
int64_t ex_assumed_px(const struct exchange *ex, const struct exchange_order *o) {
    int64_t mark = ex_mark(ex, o->instrument);
    int64_t best = ex_best(ex, o->instrument, ex_other_side(o->side));
    if (o->side == SIDE_BUY) {
        if (o->type == ORDER_LIMIT) return o->price.e8;
        return fx_mul_ceil(best ? best : mark, FX_ONE + FX_ONE / 2000);
    }
    int64_t px = ex_max(best, mark);
    return o->type == ORDER_LIMIT ? ex_max(px, o->price.e8) : px;
}

/* Cost = initial margin + open loss + taker fee of the part that opens. Counting the fee is our choice (the
 * venue's is not documented): without it the fill itself could not be paid. */
static int32_t admit_margin(const struct exchange *ex, const struct exchange_order *o, int64_t qty,
                            int64_t before) {
    uint32_t leg_index = ex_leg_of(o->position_side);
    const struct ex_cell *c = ex_cell(ex, o->account, o->instrument);
    int64_t px = ex_assumed_px(ex, o), mark = ex_mark(ex, o->instrument);
    if ((ex_i128)px * qty / FX_ONE > EX_NOTIONAL_MAX) return CODE_POSITION_MAX;
    int64_t after =
        ex_order_margin(ex, o->account, o->instrument, ex_leverage(ex, o->account, o->instrument),
                        leg_index, o->side, fx_mul_half_even(px, qty));
    int64_t opening = qty - ex_min(qty, ex_reducible(&c->leg[leg_index], o->side));
    /* A limit order's loss is at its own price: a sell below mark is valued at mark, and may trade there. */
    int64_t order_px = o->type == ORDER_LIMIT ? o->price.e8 : px;
    int64_t loss_px = ex_max(0, (order_px - mark) * side_sign((enum side)o->side));
    int64_t fee = fx_mul_ceil(fx_mul_half_even(px, opening),
                              ex_fee_rate(ex, o->account, o->instrument, false));
    ex_i128 cost =
        (ex_i128)ex_max(0, after - before) + fx_mul_ceil(loss_px, opening) + ex_max(0, fee);
    return cost > ex_available(ex_account(ex, o->account)) ? CODE_MARGIN : 0;
}

static int32_t admit_match(struct exchange *ex, const struct exchange_order *o) {
    if (o->type != ORDER_LIMIT) return 0;
    uint32_t limit = ex_tick_of(ex_symbol(ex, o->instrument), o->price.e8);
    if (o->time_in_force == TIF_GTX) {
        uint32_t best = match_best(ex_book(ex, o->instrument), ex_other_side(o->side));
        bool takes = best && (o->side == SIDE_BUY ? best <= limit : best >= limit);
        return takes ? CODE_GTX : 0;
    }
    if (o->time_in_force == TIF_FOK && ex_fillable(ex, o, limit, o->orig_qty.e8) < o->orig_qty.e8)
        return CODE_FOK;
    return 0;
}

int32_t ex_admit_rest(struct exchange *ex, const struct exchange_order *o, bool triggered,
                      int64_t *argument) {
    int32_t code;
    if (triggered && (code = admit_status(ex, o)) != 0) return code;
    if ((code = admit_position(ex, o)) != 0) return code;
    if ((code = admit_room(ex, o)) != 0) return code;
    if (!ex_reduces(o)) {
        const struct ex_cell *c = ex_cell(ex, o->account, o->instrument);
        if ((code = admit_bracket(ex, o, o->orig_qty.e8, argument)) != 0) return code;
        if ((code = admit_margin(ex, o, o->orig_qty.e8, c->om)) != 0) return code;
    }
    return admit_match(ex, o);
}

int32_t ex_admit_amended(struct exchange *ex, struct ex_order *order, int64_t px, int64_t qty,
                         int64_t *argument) {
    struct exchange_order o = order->o;
    const struct instrument *in = ex_instrument(ex, o.instrument);
    int32_t code;
    o.price = px_e8(px);
    o.orig_qty = qty_e8(qty);
    if ((code = (int32_t)instrument_check_px(in, o.price)) != 0) return code;
    if (!ex_tick_of(ex_symbol(ex, o.instrument), px)) return FILTER_PX_HIGH;
    if ((code = (int32_t)instrument_check_qty(in, o.orig_qty, false)) != 0) return code;
    if ((code = admit_band(ex, &o, argument)) != 0) return code;
    if ((ex_i128)px * qty / FX_ONE > EX_NOTIONAL_MAX) return CODE_POSITION_MAX;
    if (!o.reduce_only) {
        *argument = in->notional_min.e8;
        if (instrument_check_notional(in, o.price, o.orig_qty) != FILTER_OK)
            return CODE_AMEND_NOTIONAL;
    }
    int64_t leaves = qty - o.cum_qty.e8;
    if (leaves <= 0) return 0; /* it will be cancelled */
    if (!has_place(ex, &o)) return CODE_ORDERS_MAX;
    if ((code = admit_position(ex, &o)) != 0) return code;
    if (ex_reduces(&o)) return 0;
    /* Without what is reserved for it as it stands. */
    struct ex_cell *c = ex_cell(ex, o.account, o.instrument);
    struct ex_leg *leg = &c->leg[ex_leg_of(o.position_side)];
    int64_t *qty_sum = o.side == SIDE_BUY ? &leg->bid_qty : &leg->ask_qty;
    int64_t *notional_sum = o.side == SIDE_BUY ? &leg->bid_notional : &leg->ask_notional;
    *qty_sum -= order->held_qty;
    *notional_sum -= order->held_notional;
    code = admit_bracket(ex, &o, leaves, argument);
    if (code == 0) code = admit_margin(ex, &o, leaves, c->om);
    *qty_sum += order->held_qty;
    *notional_sum += order->held_notional;
    return code;
}
