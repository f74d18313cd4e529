/* Conditional orders: rest outside the book until their price comes. */
#include <string.h>

#include "venue/server/rest_internal.h"

/* ---- place ---- */

struct algo_terms {
    bool has_price, has_qty, has_trigger, has_activate, has_callback;
    px_t trigger, activate;
    int64_t callback_percent_e8;
};

static int32_t numbers(struct rest_call *c, struct exchange_input *in, struct algo_terms *t) {
    const struct instrument *rules = rest_instrument(c, in->instrument);
    int px = render_px_decimals(rules);
    bool market = in->type != ORDER_STOP && in->type != ORDER_TAKE_PROFIT;
    int qty = render_decimals(market ? rules->market_step_size.e8 : rules->step_size.e8);
    int32_t code = rest_decimal(c, "quantity", qty, -4005, &t->has_qty, &in->qty.e8);
    if (!code) code = rest_decimal(c, "price", px, -4002, &t->has_price, &in->price.e8);
    if (!code) code = rest_decimal(c, "triggerPrice", px, -4007, &t->has_trigger, &t->trigger.e8);
    /* The name before 2025-12; one client still sends it. */
    bool old = !wire_param_find(c->params, "activatePrice");
    if (!code)
        code = rest_decimal(c, old ? "activationPrice" : "activatePrice", px, -4135,
                            &t->has_activate, &t->activate.e8);
    /* Percent; as a fraction two digits more. */
    if (!code)
        code = rest_decimal(c, "callbackRate", 6, -1130, &t->has_callback, &t->callback_percent_e8);
    return code;
}

static int32_t trailing_terms(struct rest_call *c, struct exchange_input *in,
                              const struct algo_terms *t) {
    static const int64_t PERCENT_MIN = FX_ONE / 10, PERCENT_MAX = 20 * FX_ONE;
    if (!t->has_callback) return rest_missing(c, "callbackRate");
    if (t->callback_percent_e8 < PERCENT_MIN || t->callback_percent_e8 > PERCENT_MAX)
        return rest_refuse(c, -1130, "callbackRate");
    if (t->has_trigger) return rest_refuse(c, -1106, "triggerprice");
    if (t->has_activate && t->activate.e8 == 0) return rest_refuse(c, -4135, "");
    in->rate = rate_e8(t->callback_percent_e8 / 100);
    in->price2 = t->activate;
    return 0;
}

static int32_t trigger_terms(struct rest_call *c, struct exchange_input *in,
                             const struct algo_terms *t) {
    if (!t->has_trigger) return rest_missing(c, "triggerPrice");
    if (t->has_activate) return rest_refuse(c, -1106, "activateprice");
    if (t->has_callback) return rest_refuse(c, -1106, "callbackrate");
    in->price2 = t->trigger;
    return 0;
}

static int32_t combination(struct rest_call *c, const struct exchange_input *in,
                           const struct algo_terms *t) {
    bool limit = in->type == ORDER_STOP || in->type == ORDER_TAKE_PROFIT;
    bool matched = in->price_match != PRICE_MATCH_NONE;
    if (in->close_position) {
        if (in->type != ORDER_STOP_MARKET && in->type != ORDER_TAKE_PROFIT_MARKET)
            return rest_refuse(c, -1106, "closeposition");
        if (t->has_qty && in->qty.e8) return rest_refuse(c, -4137, "");
        if (in->reduce_only) return rest_refuse(c, -1106, "reduceonly");
    } else if (!t->has_qty) {
        return rest_missing(c, "quantity");
    }
    if (!limit) {
        if (matched) return rest_refuse(c, -5038, "");
        return t->has_price ? rest_refuse(c, -1106, "price") : 0;
    }
    if (t->has_price == matched)
        return matched ? rest_refuse(c, -1106, "price") : rest_missing(c, "price");
    return 0;
}

static int32_t algo_terms(struct rest_call *c, struct exchange_input *in) {
    struct algo_terms t = {0};
    const char *algo_type;
    int32_t code = rest_text_required(c, "algoType", &algo_type);
    if (code) return code;
    if (strcmp(algo_type, "CONDITIONAL") != 0) return rest_refuse(c, -1130, "algoType");
    code = rest_order_common(c, in, "clientAlgoId");
    if (code) return code;
    if (in->type == ORDER_LIMIT || in->type == ORDER_MARKET) return rest_refuse(c, -1116, "");
    code = numbers(c, in, &t);
    if (!code) code = combination(c, in, &t);
    if (!code)
        code = in->type == ORDER_TRAILING_STOP_MARKET ? trailing_terms(c, in, &t)
                                                      : trigger_terms(c, in, &t);
    return code ? code : rest_good_till(c, in);
}

static void write_algo(struct rest_call *c, const struct exchange_algo *a, bool with_actual,
                       bool with_legs) {
    json_write_object_begin(c->out);
    render_algo(c->out, rest_instrument(c, a->instrument), a, with_actual);
    if (with_legs) {
        /* Of orders with a take profit and a stop of their own, which do not exist here. */
        render_key_text(c->out, "tpTriggerPrice", "0.000");
        render_key_text(c->out, "tpPrice", "0.000");
        render_key_text(c->out, "slTriggerPrice", "0.000");
        render_key_text(c->out, "slPrice", "0.000");
    }
    json_write_object_end(c->out);
}

int32_t rest_algo_place(struct rest_call *c) {
    struct exchange_input in = {.kind = EXI_ALGO_PLACE};
    struct exchange_reply reply;
    bool result; /* both answers have one shape, and nothing has happened yet */
    int32_t code = algo_terms(c, &in);
    if (!code) code = rest_response_type(c, &result);
    if (!code) code = rest_do(c, &in, &reply);
    if (code) return code;
    write_algo(c, &reply.algo, false, false);
    return 0;
}

/* ---- cancel and look ---- */

int32_t rest_algo_cancel(struct rest_call *c) {
    struct exchange_input in = {.kind = EXI_ALGO_CANCEL, .account = c->account};
    struct exchange_reply reply;
    int32_t code = rest_order_id(c, "algoId", "clientAlgoId", &in.order_id, in.client_id);
    if (code) return code;
    /* The contract of an algo order is found by the order, so that symbol may be left out. */
    in.instrument = ALL_INSTRUMENTS;
    code = rest_do(c, &in, &reply);
    if (code) return code;
    json_write_object_begin(c->out);
    render_key_u64(c->out, "algoId", reply.algo.algo_id);
    render_key_text(c->out, "clientAlgoId", reply.algo.client_algo_id);
    render_key_text(c->out, "code", "200");
    render_key_text(c->out, "msg", "success");
    json_write_object_end(c->out);
    return 0;
}

int32_t rest_algo_get(struct rest_call *c) {
    uint64_t id;
    char client[CLIENT_ORDER_ID_SIZE];
    int32_t code = rest_order_id(c, "algoId", "clientAlgoId", &id, client);
    if (code) return code;
    const struct exchange_algo *a =
        history_algo(c->rest->world->history, c->account, id, client, c->now_ns);
    if (!a) return rest_refuse(c, -2013, "");
    write_algo(c, a, true, false);
    return 0;
}

int32_t rest_algo_open(struct rest_call *c) {
    uint32_t instrument;
    bool has_id;
    int64_t id;
    const char *algo_type;
    int32_t code = rest_text(c, "algoType", &algo_type);
    if (!code) code = rest_symbol_optional(c, &instrument);
    if (!code) code = rest_integer(c, "algoId", &has_id, &id);
    if (code) return code;
    if (algo_type && strcmp(algo_type, "CONDITIONAL") != 0)
        return rest_refuse(c, -1130, "algoType");
    struct exchange_algo *rows = c->rest->p->rows;
    uint32_t count = exchange_open_algos(c->exchange, c->account, instrument, rows,
                                         REST_ROWS_BYTES / sizeof *rows);
    json_write_array_begin(c->out);
    for (uint32_t i = 0; i < count; i++)
        if (!has_id || rows[i].algo_id == (uint64_t)id) write_algo(c, &rows[i], true, true);
    json_write_array_end(c->out);
    return 0;
}

int32_t rest_algo_all(struct rest_call *c) {
    struct history_query q;
    int32_t code = rest_history_query(c, "algoId", &q);
    if (code) return code;
    struct exchange_algo *rows = c->rest->p->rows;
    uint32_t count = history_algos(c->rest->world->history, &q, rows, q.limit);
    json_write_array_begin(c->out);
    for (uint32_t i = 0; i < count; i++) write_algo(c, &rows[i], true, true);
    json_write_array_end(c->out);
    return 0;
}
