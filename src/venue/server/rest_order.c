/* Ordinary orders: place, amend, cancel, look at, and several at once. */
#include <stdio.h>
#include <string.h>

#include "venue/server/rest_internal.h"

/* ---- parameters ---- */

static bool is_conditional(uint8_t type) {
    return type != ORDER_MARKET && type != ORDER_LIMIT;
}
static bool has_limit_px(uint8_t type) {
    return type == ORDER_LIMIT || type == ORDER_STOP || type == ORDER_TAKE_PROFIT;
}

int32_t rest_response_type(struct rest_call *c, bool *result) {
    const char *text;
    *result = false;
    int32_t code = rest_text(c, "newOrderRespType", &text);
    if (code || !text) return code;
    *result = strcmp(text, "RESULT") == 0;
    return *result || strcmp(text, "ACK") == 0 ? 0 : rest_refuse(c, -1136, "");
}

static int32_t client_id(struct rest_call *c, struct exchange_input *in, const char *name) {
    const struct wire_param *p = wire_param_find(c->params, name);
    if (!p) return 0;
    if (p->value_size == 0) return rest_refuse(c, -1118, "");
    if (p->value_size > 36) return rest_refuse_alt(c, -4015, "");
    if (!venue_client_id_is_valid(p->value, p->value_size)) return rest_refuse(c, -4015, "");
    memcpy(in->client_id, p->value, p->value_size + 1);
    return 0;
}

static int32_t flag(struct rest_call *c, const char *name, uint8_t *out) {
    bool present, value;
    int32_t code = rest_bool(c, name, &present, &value);
    *out = value;
    return code;
}

int32_t rest_order_common(struct rest_call *c, struct exchange_input *in,
                          const char *client_id_name) {
    const char *side, *type;
    int32_t code = rest_symbol(c, &in->instrument);
    if (!code) code = rest_text_required(c, "side", &side);
    if (!code) code = rest_text_required(c, "type", &type);
    if (!code) code = rest_enum(c, "side", venue_side_find, -1117, SIDE_NONE, &in->side);
    if (!code) code = rest_enum(c, "type", venue_order_type_find, -1116, 0, &in->type);
    if (!code)
        code = rest_enum(c, "timeInForce", venue_tif_find, -1115, TIF_GTC, &in->time_in_force);
    if (!code)
        code = rest_enum(c, "positionSide", venue_position_side_find, -4060, POSITION_BOTH,
                         &in->position_side);
    if (!code)
        code = rest_enum(c, "workingType", venue_working_type_find, -4031, WORKING_CONTRACT_PRICE,
                         &in->working_type);
    if (!code)
        code = rest_enum(c, "priceMatch", venue_price_match_find, -5037, PRICE_MATCH_NONE,
                         &in->price_match);
    if (!code)
        code = rest_enum(c, "selfTradePreventionMode", venue_stp_find, -5039, STP_EXPIRE_MAKER,
                         &in->stp);
    if (!code) code = flag(c, "reduceOnly", &in->reduce_only);
    if (!code) code = flag(c, "closePosition", &in->close_position);
    if (!code) code = flag(c, "priceProtect", &in->price_protect);
    if (!code) code = client_id(c, in, client_id_name);
    in->account = c->account;
    return code;
}

int32_t rest_good_till(struct rest_call *c, struct exchange_input *in) {
    static const int64_t MS_MAX = INT64_C(253402300799000); /* the end of the year 9999 */
    bool present;
    int64_t ms;
    int32_t code = rest_integer(c, "goodTillDate", &present, &ms);
    if (code) return code;
    if (in->time_in_force != TIF_GTD)
        return present && ms ? rest_refuse(c, -1106, "goodtilldate") : 0;
    if (!present) return rest_missing(c, "goodTillDate");
    if (ms >= MS_MAX || ms <= rest_ms(c->now_ns) + 600000) return rest_refuse(c, -5040, "");
    /* Nanoseconds end in the year 2262. */
    in->until_ns = ms > INT64_MAX / NS_PER_MS ? INT64_MAX : ms * NS_PER_MS;
    return 0;
}

static int32_t price(struct rest_call *c, const char *name, const struct instrument *rules,
                     bool *present, px_t *out) {
    return rest_decimal(c, name, render_px_decimals(rules), -4002, present, &out->e8);
}

/* Price and time in force of an order that will rest or match at a price. */
static int32_t limit_terms(struct rest_call *c, struct exchange_input *in, bool has_price) {
    const char *tif;
    if (!has_price && in->price_match == PRICE_MATCH_NONE) return rest_missing(c, "price");
    if (has_price && in->price_match != PRICE_MATCH_NONE) return rest_refuse(c, -1106, "price");
    if (in->type == ORDER_LIMIT) {
        int32_t code = rest_text_required(c, "timeInForce", &tif);
        if (code) return code;
    }
    return rest_good_till(c, in);
}

/* Before 2025-12-09 conditional orders came by this door, with stopPrice and activationPrice. */
static int32_t classic_terms(struct rest_call *c, struct exchange_input *in,
                             const struct instrument *rules) {
    bool present, has_rate;
    int64_t percent;
    bool trailing = in->type == ORDER_TRAILING_STOP_MARKET;
    int32_t code =
        price(c, trailing ? "activationPrice" : "stopPrice", rules, &present, &in->price2);
    if (code) return code;
    if (!trailing) return present ? 0 : rest_missing(c, "stopPrice");
    code = rest_decimal(c, "callbackRate", 6, -1130, &has_rate, &percent);
    if (code) return code;
    if (!has_rate) return rest_missing(c, "callbackRate");
    in->rate = rate_e8(percent / 100);
    return 0;
}

static int32_t combination(struct rest_call *c, const struct exchange_input *in, bool has_price,
                           bool has_qty) {
    bool market = !has_limit_px(in->type);
    if (in->close_position && !is_conditional(in->type))
        return rest_refuse(c, -1106, "closeposition");
    if (in->close_position && has_qty && in->qty.e8) return rest_refuse(c, -4137, "");
    if (in->close_position && in->reduce_only) return rest_refuse(c, -1106, "reduceonly");
    if (!has_qty && !in->close_position) return rest_missing(c, "quantity");
    if (!is_conditional(in->type) && wire_param_find(c->params, "stopPrice"))
        return rest_refuse(c, -1106, "stopprice");
    if (!market) return 0;
    if (in->price_match != PRICE_MATCH_NONE) return rest_refuse(c, -5038, "");
    if (has_price) return rest_refuse(c, -1106, "price");
    bool tif = in->type == ORDER_MARKET && wire_param_find(c->params, "timeInForce");
    return tif ? rest_refuse(c, -1106, "timeinforce") : 0;
}

static int32_t order_terms(struct rest_call *c, struct exchange_input *in) {
    bool has_price, has_qty;
    int32_t code = rest_order_common(c, in, "newClientOrderId");
    if (code) return code;
    in->flag = is_conditional(in->type);
    if (in->flag && !c->rest->options.classic_conditional) return rest_refuse(c, -4120, "");
    const struct instrument *rules = rest_instrument(c, in->instrument);
    const int64_t step =
        in->type == ORDER_MARKET ? rules->market_step_size.e8 : rules->step_size.e8;
    code = rest_decimal(c, "quantity", render_decimals(step), -4005, &has_qty, &in->qty.e8);
    if (!code) code = price(c, "price", rules, &has_price, &in->price);
    if (!code) code = combination(c, in, has_price, has_qty);
    if (!code && has_limit_px(in->type)) code = limit_terms(c, in, has_price);
    if (!code && in->flag) code = classic_terms(c, in, rules);
    return code;
}

/* ---- place ---- */

static int32_t place(struct rest_call *c, uint8_t kind) {
    struct exchange_input in = {.kind = kind};
    struct exchange_reply reply;
    bool result;
    int32_t code = order_terms(c, &in);
    if (!code) code = rest_response_type(c, &result);
    if (!code) code = rest_do(c, &in, &reply);
    if (code) return code;
    const struct exchange_order *o = result ? &reply.order : &reply.accepted;
    bool average = c->rest->options.ack_carries_average;
    json_write_object_begin(c->out);
    render_order(c->out, rest_instrument(c, o->instrument), o,
                 average ? RENDER_ACK_AVERAGE : RENDER_ACK, NULL);
    json_write_object_end(c->out);
    return 0;
}

int32_t rest_order_place(struct rest_call *c) {
    return place(c, EXI_ORDER_PLACE);
}
int32_t rest_order_test(struct rest_call *c) {
    return place(c, EXI_ORDER_TEST);
}

/* ---- amend ---- */

int32_t rest_order_amend(struct rest_call *c) {
    struct exchange_input in = {.kind = EXI_ORDER_AMEND, .account = c->account};
    struct exchange_reply reply;
    const char *side;
    bool has_price, has_qty, present;
    int64_t modify_id;
    int32_t code = rest_symbol(c, &in.instrument);
    if (!code) code = rest_text_required(c, "side", &side);
    if (!code) code = rest_enum(c, "side", venue_side_find, -1117, SIDE_NONE, &in.side);
    if (!code) code = rest_order_id(c, "orderId", "origClientOrderId", &in.order_id, in.client_id);
    if (!code)
        code = rest_enum(c, "priceMatch", venue_price_match_find, -5037, PRICE_MATCH_NONE,
                         &in.price_match);
    if (!code) code = flag(c, "reduceOnly", &in.reduce_only);
    if (!code) code = rest_integer(c, "modifyId", &present, &modify_id);
    if (code) return code;
    const struct instrument *rules = rest_instrument(c, in.instrument);
    code = rest_decimal(c, "quantity", render_qty_decimals(rules), -4005, &has_qty, &in.qty.e8);
    if (!code && !has_qty) return rest_missing(c, "quantity");
    if (!code) code = price(c, "price", rules, &has_price, &in.price);
    if (!code) code = limit_terms(c, &in, has_price);
    if (!code) code = rest_do(c, &in, &reply);
    if (code) return code;
    bool average = c->rest->options.ack_carries_average;
    json_write_object_begin(c->out);
    render_order(c->out, rules, &reply.order, average ? RENDER_ACK_AVERAGE : RENDER_ACK, NULL);
    json_write_key(c->out, "pair");
    json_write_string_n(c->out, rules->symbol, strcspn(rules->symbol, "_"));
    if (present) render_key_i64(c->out, "modifyId", modify_id);
    json_write_object_end(c->out);
    return 0;
}

/* ---- cancel ---- */

void rest_write_canceled(struct rest_call *c, const struct exchange_reply *reply) {
    const struct exchange_order *o = &reply->order;
    bool average = c->rest->options.ack_carries_average;
    json_write_object_begin(c->out);
    render_order(c->out, rest_instrument(c, o->instrument), o,
                 average ? RENDER_CANCELED_AVERAGE : RENDER_CANCELED, NULL);
    json_write_object_end(c->out);
}

int32_t rest_order_cancel(struct rest_call *c) {
    struct exchange_input in = {.kind = EXI_ORDER_CANCEL, .account = c->account};
    struct exchange_reply reply;
    int32_t code = rest_symbol(c, &in.instrument);
    if (!code) code = rest_order_id(c, "orderId", "origClientOrderId", &in.order_id, in.client_id);
    if (!code) code = rest_do(c, &in, &reply);
    if (code) return code;
    rest_write_canceled(c, &reply);
    return 0;
}

static int32_t write_done(struct rest_call *c) {
    json_write_object_begin(c->out);
    render_key_i64(c->out, "code", 200);
    render_key_text(c->out, "msg", "The operation of cancel all open order is done.");
    json_write_object_end(c->out);
    return 0;
}

static int32_t cancel_all(struct rest_call *c, uint8_t kind) {
    struct exchange_input in = {.kind = kind, .account = c->account};
    struct exchange_reply reply;
    int32_t code = rest_symbol(c, &in.instrument);
    if (!code) code = rest_do(c, &in, &reply);
    return code ? code : write_done(c);
}
int32_t rest_cancel_all(struct rest_call *c) {
    return cancel_all(c, EXI_CANCEL_ALL);
}
int32_t rest_algo_cancel_all(struct rest_call *c) {
    return cancel_all(c, EXI_ALGO_CANCEL_ALL);
}

int32_t rest_countdown(struct rest_call *c) {
    struct exchange_input in = {.kind = EXI_COUNTDOWN, .account = c->account};
    struct exchange_reply reply;
    int64_t ms;
    int32_t code = rest_symbol(c, &in.instrument);
    if (!code) code = rest_integer_required(c, "countdownTime", &ms);
    if (code) return code;
    if (ms > 365 * (NS_PER_DAY / NS_PER_MS)) return rest_refuse(c, -1130, "countdownTime");
    in.until_ns = ms ? c->now_ns + ms * NS_PER_MS : 0;
    code = rest_do(c, &in, &reply);
    if (code) return code;
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)ms);
    json_write_object_begin(c->out);
    render_key_text(c->out, "symbol", rest_instrument(c, in.instrument)->symbol);
    render_key_text(c->out, "countdownTime", text);
    json_write_object_end(c->out);
    return 0;
}

/* ---- look ---- */

static void write_order(struct rest_call *c, const struct exchange_order *o) {
    const struct exchange_algo *algo = NULL;
    if (o->orig_type == ORDER_TRAILING_STOP_MARKET && o->algo_id)
        algo = history_algo(c->rest->world->history, c->account, o->algo_id, NULL, c->now_ns);
    json_write_object_begin(c->out);
    render_order(c->out, rest_instrument(c, o->instrument), o, RENDER_QUERY, algo);
    json_write_object_end(c->out);
}

static int32_t look(struct rest_call *c, bool open_only) {
    uint32_t instrument;
    uint64_t id;
    char client[CLIENT_ORDER_ID_SIZE];
    int32_t code = rest_symbol(c, &instrument);
    if (!code) code = rest_order_id(c, "orderId", "origClientOrderId", &id, client);
    if (code) return code;
    const struct exchange_order *o =
        history_order(c->rest->world->history, c->account, instrument, id, client, c->now_ns);
    bool open = o && (o->status == EXO_NEW || o->status == EXO_PARTIALLY_FILLED);
    if (!o || (open_only && !open)) return rest_refuse(c, -2013, "");
    write_order(c, o);
    return 0;
}
int32_t rest_order_get(struct rest_call *c) {
    return look(c, false);
}
int32_t rest_open_order(struct rest_call *c) {
    return look(c, true);
}

static void write_orders(struct rest_call *c, const struct exchange_order *rows, uint32_t count) {
    json_write_array_begin(c->out);
    for (uint32_t i = 0; i < count; i++) write_order(c, &rows[i]);
    json_write_array_end(c->out);
}

int32_t rest_open_orders(struct rest_call *c) {
    uint32_t instrument;
    int32_t code = rest_symbol_optional(c, &instrument);
    if (code) return code;
    struct exchange_order *rows = c->rest->p->rows;
    write_orders(c, rows,
                 exchange_open_orders(c->exchange, c->account, instrument, rows,
                                      REST_ROWS_BYTES / sizeof *rows));
    return 0;
}

int32_t rest_all_orders(struct rest_call *c) {
    struct history_query q;
    int32_t code = rest_history_query(c, "orderId", &q);
    if (code) return code;
    struct exchange_order *rows = c->rest->p->rows;
    write_orders(c, rows, history_orders(c->rest->world->history, &q, rows, q.limit));
    return 0;
}

/* Liquidation and deleveraging orders of the account, newest `limit` ascending. */
int32_t rest_force_orders(struct rest_call *c) {
    uint32_t limit, kept = 0;
    const char *type;
    struct history_query q = {.account = c->account, .now_ns = c->now_ns};
    int32_t code = rest_symbol_optional(c, &q.instrument);
    if (!code) code = rest_text(c, "autoCloseType", &type);
    if (!code) code = rest_limit(c, 50, 100, &limit);
    if (!code) code = rest_times_window(c, 7, &q.from_ns, &q.to_ns);
    if (code) return code;
    int wanted = FORCED_NO;
    if (type) {
        wanted = strcmp(type, "LIQUIDATION") == 0 ? FORCED_LIQUIDATION
                 : strcmp(type, "ADL") == 0       ? FORCED_ADL
                                                  : -1;
        if (wanted < 0) return rest_refuse(c, -1130, "autoCloseType");
    }
    struct exchange_order *rows = c->rest->p->rows;
    q.limit = REST_ROWS_BYTES / sizeof *rows;
    uint32_t count = history_orders(c->rest->world->history, &q, rows, q.limit);
    for (uint32_t i = 0; i < count; i++)
        if (wanted ? rows[i].forced == wanted
                   : rows[i].forced == FORCED_LIQUIDATION || rows[i].forced == FORCED_ADL)
            rows[kept++] = rows[i];
    uint32_t first = kept > limit ? kept - limit : 0;
    write_orders(c, rows + first, kept - first);
    return 0;
}
