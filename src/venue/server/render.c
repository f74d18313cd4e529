#include "venue/server/render.h"

#include "base/tstamp.h"

int render_decimals(int64_t e8) {
    int decimals = 8;
    if (e8 == 0) return 8;
    while (decimals > 0 && e8 % 10 == 0) {
        e8 /= 10;
        decimals--;
    }
    return decimals;
}

int render_px_decimals(const struct instrument *in) {
    return render_decimals(in->tick_size.e8);
}
int render_qty_decimals(const struct instrument *in) {
    return render_decimals(in->step_size.e8);
}

void render_decimal(struct json_writer *w, int64_t e8, int decimals) {
    char text[FX_TEXT_SIZE];
    int needed = e8 == 0 ? 0 : render_decimals(e8);
    json_write_string_n(w, text, fx_format_fixed(text, e8, needed > decimals ? needed : decimals));
}

void render_key_decimal(struct json_writer *w, const char *key, int64_t e8, int decimals) {
    json_write_key(w, key);
    render_decimal(w, e8, decimals);
}
void render_key_text(struct json_writer *w, const char *key, const char *text) {
    json_write_key(w, key);
    json_write_string(w, text);
}
void render_key_i64(struct json_writer *w, const char *key, int64_t value) {
    json_write_key(w, key);
    json_write_i64(w, value);
}
void render_key_u64(struct json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_u64(w, value);
}
void render_key_bool(struct json_writer *w, const char *key, bool value) {
    json_write_key(w, key);
    json_write_bool(w, value);
}

const char *render_order_status(uint8_t status) {
    switch ((enum exchange_order_status)status) {
    case EXO_NEW:
        return "NEW";
    case EXO_PARTIALLY_FILLED:
        return "PARTIALLY_FILLED";
    case EXO_FILLED:
        return "FILLED";
    case EXO_CANCELED:
        return "CANCELED";
    case EXO_REJECTED:
        return "REJECTED";
    case EXO_EXPIRED:
        return "EXPIRED";
    case EXO_EXPIRED_IN_MATCH:
        return "EXPIRED_IN_MATCH";
    }
    return "?";
}

const char *render_algo_status(uint8_t status) {
    switch ((enum exchange_algo_status)status) {
    case EXA_NEW:
        return "NEW";
    case EXA_TRIGGERING:
        return "TRIGGERING";
    case EXA_TRIGGERED:
        return "TRIGGERED";
    case EXA_FINISHED:
        return "FINISHED";
    case EXA_CANCELED:
        return "CANCELED";
    case EXA_EXPIRED:
        return "EXPIRED";
    case EXA_REJECTED:
        return "REJECTED";
    }
    return "?";
}

px_t render_average(money_t quote, qty_t qty) {
    return px_e8(qty.e8 > 0 ? fx_muldiv_half_even(quote.e8, FX_ONE, qty.e8) : 0);
}

/* A price that is not there is "0", not "0.00". */
static void key_px(struct json_writer *w, const char *key, px_t px, int decimals) {
    render_key_decimal(w, key, px.e8, px.e8 ? decimals : 0);
}

/* Percent with one digit at least: 0.01 is "1.0". */
static void key_percent(struct json_writer *w, const char *key, rate_t rate) {
    render_key_decimal(w, key, rate.e8 * 100, 1);
}

void render_order(struct json_writer *w, const struct instrument *in,
                  const struct exchange_order *o, enum render_order_form form,
                  const struct exchange_algo *algo) {
    int px_digits = render_px_decimals(in), qty_digits = render_qty_decimals(in);
    bool queried = form == RENDER_QUERY;
    bool canceled = form == RENDER_CANCELED || form == RENDER_CANCELED_AVERAGE;
    bool average = form != RENDER_ACK && form != RENDER_CANCELED;
    render_key_u64(w, "orderId", o->order_id);
    render_key_text(w, "symbol", in->symbol);
    render_key_text(w, "status", render_order_status(o->status));
    render_key_text(w, "clientOrderId", o->client_order_id);
    key_px(w, "price", o->price, px_digits);
    render_key_decimal(w, "origQty", o->orig_qty.e8, qty_digits);
    render_key_decimal(w, "executedQty", o->cum_qty.e8, qty_digits);
    if (!queried) render_key_decimal(w, "cumQty", o->cum_qty.e8, qty_digits);
    if (average) {
        render_key_decimal(w, "avgPrice", render_average(o->cum_quote, o->cum_qty).e8, 5);
        render_key_decimal(w, "cumQuote", o->cum_quote.e8, 0);
    }
    render_key_text(w, "timeInForce", time_in_force_text((enum time_in_force)o->time_in_force));
    render_key_text(w, "type", order_type_text((enum order_type)o->type));
    render_key_text(w, "origType", order_type_text((enum order_type)o->orig_type));
    render_key_bool(w, "reduceOnly", o->reduce_only);
    render_key_bool(w, "closePosition", o->close_position);
    render_key_text(w, "side", side_text((enum side)o->side));
    render_key_text(w, "positionSide", venue_position_side_text(o->position_side));
    key_px(w, "stopPrice", o->stop_price, px_digits);
    if (canceled || algo) {
        key_px(w, "activatePrice", algo ? algo->activate_price : px_e8(0), px_digits);
        if (algo)
            key_percent(w, "priceRate", algo->callback_rate);
        else
            render_key_text(w, "priceRate", "0");
    }
    render_key_text(w, "workingType", venue_working_type_text(o->working_type));
    render_key_bool(w, "priceProtect", o->price_protect);
    render_key_text(w, "priceMatch", venue_price_match_text(o->price_match));
    render_key_text(w, "selfTradePreventionMode", venue_stp_text(o->stp));
    render_key_i64(w, "goodTillDate", o->good_till_ns / NS_PER_MS);
    if (queried) render_key_i64(w, "time", o->time_ns / NS_PER_MS);
    render_key_i64(w, "updateTime", o->update_ns / NS_PER_MS);
}

/* What became of it at the matching engine: all empty before it fired. */
static void render_actual(struct json_writer *w, const struct exchange_algo *a, int qty_digits) {
    bool fired = a->actual_order_id != 0;
    bool limit = a->type == ORDER_STOP || a->type == ORDER_TAKE_PROFIT;
    char id[24] = "";
    struct json_writer number;
    if (fired) {
        json_writer_init(&number, id, sizeof id);
        json_write_u64(&number, a->actual_order_id);
        (void)json_writer_finish(&number); /* 20 digits fit */
    }
    render_key_text(w, "actualOrderId", id);
    render_key_decimal(w, "actualPrice", render_average(a->actual_quote, a->actual_qty).e8, 5);
    render_key_text(w, "actualType", !fired ? "" : limit ? "LIMIT" : "MARKET");
    json_write_key(w, "actualQty");
    if (fired)
        render_decimal(w, a->actual_qty.e8, qty_digits);
    else
        json_write_string(w, "");
    render_key_text(w, "tpOrderType", "");
}

void render_algo(struct json_writer *w, const struct instrument *in, const struct exchange_algo *a,
                 bool with_actual) {
    int px_digits = render_px_decimals(in), qty_digits = render_qty_decimals(in);
    bool trailing = a->type == ORDER_TRAILING_STOP_MARKET;
    render_key_u64(w, "algoId", a->algo_id);
    render_key_text(w, "clientAlgoId", a->client_algo_id);
    render_key_text(w, "algoType", "CONDITIONAL");
    render_key_text(w, "orderType", order_type_text((enum order_type)a->type));
    render_key_text(w, "symbol", in->symbol);
    render_key_text(w, "side", side_text((enum side)a->side));
    render_key_text(w, "positionSide", venue_position_side_text(a->position_side));
    render_key_text(w, "timeInForce", time_in_force_text((enum time_in_force)a->time_in_force));
    render_key_decimal(w, "quantity", a->qty.e8, qty_digits);
    render_key_text(w, "algoStatus", render_algo_status(a->status));
    if (with_actual) render_actual(w, a, qty_digits);
    json_write_key(w, "triggerPrice");
    if (trailing)
        json_write_string(w, "");
    else
        render_decimal(w, a->trigger_price.e8, px_digits);
    render_key_decimal(w, "price", a->price.e8, px_digits);
    json_write_key(w, "icebergQuantity");
    json_write_null(w);
    render_key_text(w, "selfTradePreventionMode", venue_stp_text(a->stp));
    render_key_text(w, "workingType", venue_working_type_text(a->working_type));
    render_key_text(w, "priceMatch", venue_price_match_text(a->price_match));
    render_key_bool(w, "closePosition", a->close_position);
    render_key_bool(w, "priceProtect", a->price_protect);
    render_key_bool(w, "reduceOnly", a->reduce_only);
    if (trailing) {
        render_key_decimal(w, "activatePrice", a->activate_price.e8, px_digits);
        key_percent(w, "callbackRate", a->callback_rate);
    } else {
        render_key_text(w, "activatePrice", "");
        render_key_text(w, "callbackRate", "");
    }
    render_key_i64(w, "createTime", a->create_ns / NS_PER_MS);
    render_key_i64(w, "updateTime", a->update_ns / NS_PER_MS);
    render_key_i64(w, "triggerTime", a->trigger_ns / NS_PER_MS);
    render_key_i64(w, "goodTillDate", a->good_till_ns / NS_PER_MS);
}
