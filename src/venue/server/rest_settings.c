/* How an account trades: leverage, margin, modes, fees, brackets; and its listen key. */
#include <string.h>

#include "venue/server/rest_internal.h"

static int32_t write_success(struct rest_call *c) {
    json_write_object_begin(c->out);
    render_key_i64(c->out, "code", 200);
    render_key_text(c->out, "msg", "success");
    json_write_object_end(c->out);
    return 0;
}

/* ---- leverage and margin ---- */

int32_t rest_leverage(struct rest_call *c) {
    struct exchange_input in = {.kind = EXI_LEVERAGE, .account = c->account};
    struct exchange_reply reply;
    int64_t leverage;
    const char *text;
    int32_t code = rest_symbol(c, &in.instrument);
    if (!code) code = rest_text_required(c, "leverage", &text);
    if (!code) code = rest_integer_required(c, "leverage", &leverage);
    if (code) return code;
    if (leverage < 1 || leverage > UINT16_MAX) return rest_refuse(c, -4028, text);
    in.leverage = (uint32_t)leverage;
    code = rest_do(c, &in, &reply);
    if (code) return code;
    json_write_object_begin(c->out);
    render_key_text(c->out, "symbol", rest_instrument(c, in.instrument)->symbol);
    render_key_i64(c->out, "leverage", leverage);
    render_key_decimal(c->out, "maxNotionalValue", reply.max_notional.e8, 0);
    json_write_object_end(c->out);
    return 0;
}

int32_t rest_margin_type(struct rest_call *c) {
    struct exchange_input in = {.kind = EXI_MARGIN_TYPE, .account = c->account};
    struct exchange_reply reply;
    const char *text;
    int32_t code = rest_symbol(c, &in.instrument);
    if (!code) code = rest_text_required(c, "marginType", &text);
    if (code) return code;
    in.flag = strcmp(text, "ISOLATED") == 0;
    /* The second spelling is what queries answer. */
    if (!in.flag && strcmp(text, "CROSSED") != 0 && strcmp(text, "CROSS") != 0)
        return rest_refuse(c, -1130, "marginType");
    code = rest_do(c, &in, &reply);
    return code ? code : write_success(c);
}

int32_t rest_position_margin(struct rest_call *c) {
    struct exchange_input in = {.kind = EXI_POSITION_MARGIN, .account = c->account};
    struct exchange_reply reply;
    bool present;
    int64_t type;
    int32_t code = rest_symbol(c, &in.instrument);
    if (!code) code = rest_decimal(c, "amount", 8, -1130, &present, &in.amount.e8);
    if (!code && !present) code = rest_missing(c, "amount");
    if (!code) code = rest_integer_required(c, "type", &type);
    if (!code)
        code = rest_enum(c, "positionSide", venue_position_side_find, -4060, POSITION_BOTH,
                         &in.position_side);
    if (code) return code;
    if (type != 1 && type != 2) return rest_refuse(c, -1130, "type");
    in.flag = (uint8_t)type;
    code = rest_do(c, &in, &reply);
    if (code) return code;
    json_write_object_begin(c->out);
    json_write_key(c->out, "amount");
    json_write_e8_number(c->out, in.amount.e8);
    render_key_i64(c->out, "code", 200);
    render_key_text(c->out, "msg", "Successfully modify position margin.");
    render_key_i64(c->out, "type", type);
    json_write_object_end(c->out);
    return 0;
}

/* Margin moved by hand is not among what history keeps. */
int32_t rest_margin_history(struct rest_call *c) {
    uint32_t instrument, limit;
    int32_t code = rest_symbol(c, &instrument);
    if (!code) code = rest_limit(c, 500, 500, &limit);
    return code ? code : rest_empty_list(c);
}

static void write_bracket(struct json_writer *w, const struct bracket *b, uint32_t number) {
    json_write_object_begin(w);
    render_key_u64(w, "bracket", number);
    render_key_u64(w, "initialLeverage", b->leverage_max);
    json_write_key(w, "notionalCap");
    json_write_e8_number(w, b->notional_cap.e8);
    json_write_key(w, "notionalFloor");
    json_write_e8_number(w, b->notional_floor.e8);
    json_write_key(w, "maintMarginRatio");
    json_write_e8_number(w, b->maint_margin_rate.e8);
    json_write_key(w, "cum");
    json_write_e8_number(w, b->maint_amount.e8);
    json_write_object_end(w);
}

int32_t rest_brackets(struct rest_call *c) {
    uint32_t instrument, begin, end;
    struct json_writer *w = c->out;
    int32_t code = rest_symbol_optional(c, &instrument);
    if (code) return code;
    rest_symbol_range(c, instrument, &begin, &end);
    json_write_array_begin(w);
    for (uint32_t i = begin; i < end; i++) {
        const struct instrument *in = rest_instrument(c, i);
        json_write_object_begin(w);
        render_key_text(w, "symbol", in->symbol);
        json_write_key(w, "notionalCoef");
        json_write_raw(w, "1.0", 3);
        json_write_key(w, "brackets");
        json_write_array_begin(w);
        for (uint32_t k = 0; k < in->bracket_count; k++) write_bracket(w, &in->brackets[k], k + 1);
        json_write_array_end(w);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    return 0;
}

int32_t rest_symbol_config(struct rest_call *c) {
    uint32_t instrument, begin, end;
    int32_t code = rest_symbol_optional(c, &instrument);
    if (code) return code;
    rest_symbol_range(c, instrument, &begin, &end);
    json_write_array_begin(c->out);
    for (uint32_t i = begin; i < end; i++) {
        struct exchange_symbol_config config;
        exchange_symbol_config_get(c->exchange, c->account, i, &config);
        json_write_object_begin(c->out);
        render_key_text(c->out, "symbol", rest_instrument(c, i)->symbol);
        render_key_text(c->out, "marginType", config.isolated ? "ISOLATED" : "CROSSED");
        render_key_bool(c->out, "isAutoAddMargin", false);
        render_key_u64(c->out, "leverage", config.leverage);
        render_key_decimal(c->out, "maxNotionalValue", config.max_notional.e8, 0);
        json_write_object_end(c->out);
    }
    json_write_array_end(c->out);
    return 0;
}

/* ---- modes ---- */

static int32_t set_mode(struct rest_call *c, uint8_t kind, const char *name) {
    struct exchange_input in = {.kind = kind, .account = c->account};
    struct exchange_reply reply;
    bool present, value;
    int32_t code = rest_bool(c, name, &present, &value);
    if (!code && !present) code = rest_missing(c, name);
    if (code) return code;
    in.flag = value;
    code = rest_do(c, &in, &reply);
    return code ? code : write_success(c);
}
int32_t rest_mode_set(struct rest_call *c) {
    return set_mode(c, EXI_POSITION_MODE, "dualSidePosition");
}
int32_t rest_multi_set(struct rest_call *c) {
    return set_mode(c, EXI_MULTI_ASSETS, "multiAssetsMargin");
}

static int32_t write_flag(struct rest_call *c, const char *name, bool value) {
    json_write_object_begin(c->out);
    render_key_bool(c->out, name, value);
    json_write_object_end(c->out);
    return 0;
}
int32_t rest_mode_get(struct rest_call *c) {
    struct exchange_account a;
    exchange_account_get(c->exchange, c->account, &a);
    return write_flag(c, "dualSidePosition", a.hedge);
}
int32_t rest_multi_get(struct rest_call *c) {
    return write_flag(c, "multiAssetsMargin", false);
}

/* There is no BNB to pay fees with: off, and cannot be switched on. */
int32_t rest_fee_burn_get(struct rest_call *c) {
    return write_flag(c, "feeBurn", false);
}
int32_t rest_fee_burn_set(struct rest_call *c) {
    bool present, value;
    int32_t code = rest_bool(c, "feeBurn", &present, &value);
    if (!code && !present) code = rest_missing(c, "feeBurn");
    if (code) return code;
    return value ? rest_refuse(c, -1020, "") : write_success(c);
}

/* ---- what the account may and pays ---- */

int32_t rest_commission(struct rest_call *c) {
    uint32_t instrument;
    int32_t code = rest_symbol(c, &instrument);
    if (code) return code;
    int64_t maker = exchange_fee_rate(c->exchange, c->account, instrument, true).e8;
    int64_t taker = exchange_fee_rate(c->exchange, c->account, instrument, false).e8;
    json_write_object_begin(c->out);
    render_key_text(c->out, "symbol", rest_instrument(c, instrument)->symbol);
    render_key_decimal(c->out, "makerCommissionRate", maker, 4);
    render_key_decimal(c->out, "takerCommissionRate", taker, 4);
    render_key_decimal(c->out, "rpiCommissionRate", 0, 4); /* no such orders here */
    json_write_object_end(c->out);
    return 0;
}

int32_t rest_account_config(struct rest_call *c) {
    struct exchange_account a;
    exchange_account_get(c->exchange, c->account, &a);
    json_write_object_begin(c->out);
    rest_write_account_flags(c, &a);
    render_key_bool(c->out, "dualSidePosition", a.hedge);
    json_write_object_end(c->out);
    return 0;
}

/* No rule here locks an account out of trading. */
int32_t rest_trading_status(struct rest_call *c) {
    uint32_t instrument;
    int32_t code = rest_symbol_optional(c, &instrument);
    if (code) return code;
    json_write_object_begin(c->out);
    json_write_key(c->out, "indicators");
    json_write_object_begin(c->out);
    json_write_object_end(c->out);
    render_key_i64(c->out, "updateTime", rest_ms(c->now_ns));
    json_write_object_end(c->out);
    return 0;
}

/* ---- listen key ---- */

static int32_t write_listen_key(struct rest_call *c, const char *key) {
    json_write_object_begin(c->out);
    render_key_text(c->out, "listenKey", key);
    json_write_object_end(c->out);
    return 0;
}

int32_t rest_key_start(struct rest_call *c) {
    char key[LISTEN_KEY_SIZE];
    streams_key_start(c->rest->streams, c->account, c->now_ns, key);
    return write_listen_key(c, key);
}
int32_t rest_key_ping(struct rest_call *c) {
    char key[LISTEN_KEY_SIZE];
    int code = streams_key_ping(c->rest->streams, c->account, c->now_ns, key);
    return code ? rest_refuse(c, code, "") : write_listen_key(c, key);
}
int32_t rest_key_stop(struct rest_call *c) {
    int code = streams_key_stop(c->rest->streams, c->account);
    return code ? rest_refuse(c, code, "") : rest_ping(c);
}
