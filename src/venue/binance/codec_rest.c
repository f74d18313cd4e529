#include <math.h>
#include <string.h>

#include "base/tstamp.h"
#include "venue/binance/codec_internal.h"

enum status binance_rest_error(struct rest_error *out, const char *text, size_t size) {
    struct json_reader r;
    struct json_text key;
    bool has_code = false;
    memset(out, 0, sizeof *out);
    json_reader_init(&r, text, size);
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (json_text_is(&key, "code")) {
            int64_t code = json_i64(&r);
            has_code = code >= INT32_MIN && code <= INT32_MAX;
            out->code = has_code ? (int32_t)code : 0;
        } else if (json_text_is(&key, "msg")) {
            struct json_text t = json_string(&r);
            /* Too long a text is cut to nothing: the code decides. */
            (void)json_text_copy(out->message, sizeof out->message, NULL, &t);
        } else {
            json_skip(&r);
        }
    }
    return json_finish(&r) == ST_OK && has_code ? ST_OK : ST_INVALID;
}

bool binance_rest_is_whole(const char *text, size_t size) {
    struct json_reader r;
    json_reader_init(&r, text, size);
    json_skip(&r);
    return json_finish(&r) == ST_OK;
}

/* ---- rows ---- */

static bool order_price(struct json_reader *r, struct rest_order *o, const struct json_text *key) {
    if (json_text_is(key, "price"))
        o->price.e8 = binance_read_decimal(r);
    else if (json_text_is(key, "stopPrice"))
        o->stop_price.e8 = binance_read_decimal(r);
    else if (json_text_is(key, "reduceOnly"))
        o->reduce_only = binance_read_bool(r);
    else if (json_text_is(key, "closePosition"))
        o->close_position = binance_read_bool(r);
    else if (json_text_is(key, "updateTime"))
        o->update_ns = binance_read_ms(r);
    else
        return false;
    return true;
}

bool binance_read_order(struct json_reader *r, struct rest_order *out) {
    struct json_text key;
    uint32_t has = 0;
    memset(out, 0, sizeof *out);
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "symbol")) {
            binance_read_symbol(r, out->symbol);
        } else if (json_text_is(&key, "clientOrderId")) {
            binance_read_text(r, out->client_id, sizeof out->client_id);
            has |= 1;
        } else if (json_text_is(&key, "orderId")) {
            out->order_id = binance_read_id(r);
            has |= 2;
        } else if (json_text_is(&key, "status")) {
            out->status = binance_read_status(r);
            has |= 4;
        } else if (json_text_is(&key, "executedQty")) {
            out->cum_qty.e8 = binance_read_decimal(r);
            has |= 8;
        } else if (json_text_is(&key, "origQty")) {
            out->order_qty.e8 = binance_read_decimal(r);
        } else if (json_text_is(&key, "side")) {
            out->side = binance_read_side(r);
        } else if (json_text_is(&key, "type")) {
            out->type = binance_read_order_type(r);
        } else if (json_text_is(&key, "origType")) {
            out->orig_type = binance_read_order_type(r);
        } else if (!order_price(r, out, &key)) {
            json_skip(r);
        }
    }
    return !r->error && has == 15 && out->cum_qty.e8 >= 0;
}

static bool algo_extra(struct json_reader *r, struct rest_algo *a, const struct json_text *key) {
    if (json_text_is(key, "actualOrderId"))
        a->child_id = binance_read_id(r);
    else if (json_text_is(key, "triggerPrice"))
        a->trigger_px.e8 = binance_read_decimal(r);
    else if (json_text_is(key, "actualQty"))
        a->filled_qty.e8 = binance_read_decimal(r);
    else if (json_text_is(key, "reduceOnly"))
        a->reduce_only = binance_read_bool(r);
    else if (json_text_is(key, "closePosition"))
        a->close_position = binance_read_bool(r);
    else if (json_text_is(key, "updateTime"))
        a->update_ns = binance_read_ms(r);
    else
        return false;
    return true;
}

bool binance_read_algo(struct json_reader *r, struct rest_algo *out) {
    struct json_text key;
    uint32_t has = 0;
    memset(out, 0, sizeof *out);
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "symbol")) {
            binance_read_symbol(r, out->symbol);
        } else if (json_text_is(&key, "clientAlgoId")) {
            binance_read_text(r, out->client_id, sizeof out->client_id);
            has |= 1;
        } else if (json_text_is(&key, "algoId")) {
            out->algo_id = binance_read_id(r);
            has |= 2;
        } else if (json_text_is(&key, "algoStatus")) {
            out->status = binance_read_algo_status(r);
            has |= 4;
        } else if (json_text_is(&key, "side")) {
            out->side = binance_read_side(r);
        } else if (json_text_is(&key, "orderType")) {
            out->type = binance_read_order_type(r);
        } else if (json_text_is(&key, "quantity")) {
            out->order_qty.e8 = binance_read_decimal(r);
        } else if (!algo_extra(r, out, &key)) {
            json_skip(r);
        }
    }
    return !r->error && has == 7;
}

bool binance_read_trade(struct json_reader *r, struct rest_trade *out) {
    struct json_text key;
    uint32_t has = 0;
    memset(out, 0, sizeof *out);
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "symbol")) {
            binance_read_symbol(r, out->symbol);
        } else if (json_text_is(&key, "id")) {
            out->trade_id = binance_read_id(r);
            has |= 1;
        } else if (json_text_is(&key, "orderId")) {
            out->order_id = binance_read_id(r);
            has |= 2;
        } else if (json_text_is(&key, "side")) {
            out->side = binance_read_side(r);
            has |= 4;
        } else if (json_text_is(&key, "price")) {
            out->px.e8 = binance_read_decimal(r);
            has |= 8;
        } else if (json_text_is(&key, "qty")) {
            out->qty.e8 = binance_read_decimal(r);
            has |= 16;
        } else if (json_text_is(&key, "commission")) {
            out->commission.e8 = binance_read_decimal(r);
        } else if (json_text_is(&key, "realizedPnl")) {
            out->realized_pnl.e8 = binance_read_decimal(r);
        } else if (json_text_is(&key, "maker")) {
            out->is_maker = binance_read_bool(r);
        } else if (json_text_is(&key, "time")) {
            out->ts_ns = binance_read_ms(r);
        } else {
            json_skip(r);
        }
    }
    return !r->error && has == 31 &&
           binance_fill_is_possible(out->px, out->qty, out->commission, out->realized_pnl);
}

static uint32_t read_leverage(struct json_reader *r) {
    int64_t leverage = json_i64(r);
    return leverage > 0 && leverage <= 1000 ? (uint32_t)leverage : 0;
}

bool binance_read_position(struct json_reader *r, struct rest_position *out) {
    struct json_text key;
    uint32_t has = 0;
    memset(out, 0, sizeof *out);
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "symbol")) {
            binance_read_symbol(r, out->symbol);
            has |= 1;
        } else if (json_text_is(&key, "positionAmt")) {
            out->qty.e8 = binance_read_decimal(r);
            has |= 2;
        } else if (json_text_is(&key, "entryPrice")) {
            out->entry_px.e8 = binance_read_decimal(r);
        } else if (json_text_is(&key, "isolatedWallet")) {
            out->isolated_wallet.e8 = binance_read_decimal(r);
        } else if (json_text_is(&key, "leverage")) {
            out->leverage = read_leverage(r);
        } else if (json_text_is(&key, "updateTime")) {
            out->update_ns = binance_read_ms(r);
        } else if (json_text_is(&key, "positionSide")) {
            struct json_text t = json_string(r);
            out->one_way = json_text_is(&t, "BOTH");
        } else {
            json_skip(r);
        }
    }
    return !r->error && has == 3;
}

bool binance_read_income(struct json_reader *r, struct rest_income *out) {
    struct json_text key;
    uint32_t has = 0;
    memset(out, 0, sizeof *out);
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "symbol")) {
            binance_read_symbol(r, out->symbol);
        } else if (json_text_is(&key, "incomeType")) {
            struct json_text t = json_string(r);
            out->is_funding =
                json_text_is(&t, "FUNDING_FEE") || json_text_is(&t, "SPECIAL_FUNDING_FEE");
        } else if (json_text_is(&key, "income")) {
            out->amount.e8 = binance_read_decimal(r);
            has |= 1;
        } else if (json_text_is(&key, "time")) {
            out->ts_ns = binance_read_ms(r);
            has |= 2;
        } else {
            json_skip(r);
        }
    }
    return !r->error && has == 3;
}

bool binance_read_symbol_config(struct json_reader *r, struct rest_symbol_config *out) {
    struct json_text key;
    uint32_t has = 0;
    memset(out, 0, sizeof *out);
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "symbol")) {
            binance_read_symbol(r, out->symbol);
            has |= 1;
        } else if (json_text_is(&key, "marginType")) {
            struct json_text t = json_string(r);
            out->isolated = json_text_is(&t, "ISOLATED") || json_text_is(&t, "isolated");
            has |= 2;
        } else if (json_text_is(&key, "leverage")) {
            out->leverage = read_leverage(r);
        } else {
            json_skip(r);
        }
    }
    return !r->error && has == 3;
}

bool binance_read_kline(struct json_reader *r, struct bar *out) {
    double taker = NAN;
    int column = 0;
    *out = (struct bar){.quote_volume = NAN, .trade_count = BAR_COUNT_UNKNOWN};
    json_array_begin(r);
    for (; json_array_next(r); column++) {
        int64_t count;
        switch (column) {
        case 0:
            out->open_ts_ns = binance_read_ms(r);
            break;
        case 1:
            out->open.e8 = json_e8(r);
            break;
        case 2:
            out->high.e8 = json_e8(r);
            break;
        case 3:
            out->low.e8 = json_e8(r);
            break;
        case 4:
            out->close.e8 = json_e8(r);
            break;
        case 5:
            out->volume = json_f64(r);
            break;
        case 7:
            out->quote_volume = json_f64(r);
            break;
        case 8:
            count = json_i64(r);
            if (count >= 0 && count < (int64_t)UINT32_MAX) out->trade_count = (uint32_t)count;
            break;
        case 9:
            taker = json_f64(r);
            break;
        default:
            json_skip(r);
        }
    }
    out->taker_buy_ratio = out->volume > 0 ? (float)(taker / out->volume) : NAN;
    return !r->error && column >= 6 && bar_is_possible(out);
}

/* ---- whole replies ---- */

enum status binance_rest_order(struct rest_order *out, const char *text, size_t size) {
    struct json_reader r;
    json_reader_init(&r, text, size);
    bool whole = binance_read_order(&r, out);
    return json_finish(&r) == ST_OK && whole ? ST_OK : ST_INVALID;
}

enum status binance_rest_algo(struct rest_algo *out, const char *text, size_t size) {
    struct json_reader r;
    json_reader_init(&r, text, size);
    bool whole = binance_read_algo(&r, out);
    return json_finish(&r) == ST_OK && whole ? ST_OK : ST_INVALID;
}

/* Stands on the value of a field of the outermost object; false if there is none (r then stands at the end). */
static bool find_field(struct json_reader *r, const char *field, const char *text, size_t size) {
    struct json_text key;
    json_reader_init(r, text, size);
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, field)) return true;
        json_skip(r);
    }
    return false;
}

/* The rest of the object must be JSON too. */
static enum status finish_object(struct json_reader *r) {
    struct json_text key;
    while (json_object_next(r, &key)) json_skip(r);
    return json_finish(r);
}

enum status binance_rest_time(int64_t *server_ns, const char *text, size_t size) {
    struct json_reader r;
    if (!find_field(&r, "serverTime", text, size)) return ST_INVALID;
    int64_t ns = binance_read_ms(&r);
    if (finish_object(&r) != ST_OK || ns <= 0) return ST_INVALID;
    *server_ns = ns;
    return ST_OK;
}

enum status binance_rest_leverage(uint32_t *leverage, const char *text, size_t size) {
    struct json_reader r;
    if (!find_field(&r, "leverage", text, size)) return ST_INVALID;
    uint32_t value = read_leverage(&r);
    if (finish_object(&r) != ST_OK || value == 0) return ST_INVALID;
    *leverage = value;
    return ST_OK;
}

enum status binance_rest_listen_key(char out[LISTEN_KEY_TEXT_SIZE], const char *text, size_t size) {
    struct json_reader r;
    if (!find_field(&r, "listenKey", text, size)) return ST_INVALID;
    binance_read_text(&r, out, LISTEN_KEY_TEXT_SIZE);
    if (finish_object(&r) != ST_OK || out[0] == '\0') return ST_INVALID;
    /* It becomes part of a URL. */
    for (const char *p = out; *p; p++)
        if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
              *p == '-' || *p == '_'))
            return ST_INVALID;
    return ST_OK;
}

enum status binance_rest_wallet(struct rest_wallet *out, const char *text, size_t size) {
    struct json_reader r;
    bool found = false;
    *out = (struct rest_wallet){0};
    json_reader_init(&r, text, size);
    json_array_begin(&r);
    while (json_array_next(&r)) {
        struct json_text key;
        struct rest_wallet row = {0};
        bool usdt = false;
        json_object_begin(&r);
        while (json_object_next(&r, &key)) {
            if (json_text_is(&key, "asset")) {
                struct json_text t = json_string(&r);
                usdt = json_text_is(&t, "USDT");
            } else if (json_text_is(&key, "balance")) {
                row.balance.e8 = binance_read_decimal(&r);
            } else if (json_text_is(&key, "availableBalance")) {
                row.available.e8 = binance_read_decimal(&r);
            } else if (json_text_is(&key, "updateTime")) {
                row.update_ns = binance_read_ms(&r);
            } else {
                json_skip(&r);
            }
        }
        if (!usdt) continue;
        found = true;
        *out = row;
    }
    if (json_finish(&r) != ST_OK) return ST_INVALID;
    return found ? ST_OK : ST_NOT_FOUND;
}

enum status binance_rest_fees(rate_t *maker, rate_t *taker, const char *text, size_t size) {
    struct json_reader r;
    struct json_text key;
    uint32_t has = 0;
    json_reader_init(&r, text, size);
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (json_text_is(&key, "makerCommissionRate")) {
            maker->e8 = json_e8(&r);
            has |= 1;
        } else if (json_text_is(&key, "takerCommissionRate")) {
            taker->e8 = json_e8(&r);
            has |= 2;
        } else {
            json_skip(&r);
        }
    }
    return json_finish(&r) == ST_OK && has == 3 ? ST_OK : ST_INVALID;
}

enum status binance_rest_flag(bool *out, const char *field, const char *text, size_t size) {
    struct json_reader r;
    if (!find_field(&r, field, text, size))
        return json_finish(&r) == ST_OK ? ST_NOT_FOUND : ST_INVALID;
    bool value = binance_read_bool(&r);
    if (finish_object(&r) != ST_OK) return ST_INVALID;
    *out = value;
    return ST_OK;
}

/* ---- exchangeInfo ---- */

static void read_limit(struct json_reader *r, struct rest_limits *limits) {
    struct json_text key, type = {"", 0, false}, interval = {"", 0, false};
    int64_t count = 0, limit = 0;
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "rateLimitType"))
            type = json_string(r);
        else if (json_text_is(&key, "interval"))
            interval = json_string(r);
        else if (json_text_is(&key, "intervalNum"))
            count = json_i64(r);
        else if (json_text_is(&key, "limit"))
            limit = json_i64(r);
        else
            json_skip(r);
    }
    if (r->error || limit <= 0 || limit > 100000000) return;
    bool minute = count == 1 && json_text_is(&interval, "MINUTE");
    if (json_text_is(&type, "REQUEST_WEIGHT") && minute)
        limits->weight_1m = (uint32_t)limit;
    else if (json_text_is(&type, "ORDERS") && minute)
        limits->orders_1m = (uint32_t)limit;
    else if (json_text_is(&type, "ORDERS") && count == 10 && json_text_is(&interval, "SECOND"))
        limits->orders_10s = (uint32_t)limit;
}

static void read_listing(struct json_reader *r, struct rest_listing *l) {
    struct json_text key;
    bool margin_usdt = false;
    memset(l, 0, sizeof *l);
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "symbol")) {
            binance_read_symbol(r, l->symbol);
        } else if (json_text_is(&key, "contractType")) {
            struct json_text t = json_string(r);
            l->perpetual = json_text_is(&t, "PERPETUAL");
        } else if (json_text_is(&key, "quoteAsset")) {
            struct json_text t = json_string(r);
            l->quoted_usdt = json_text_is(&t, "USDT");
        } else if (json_text_is(&key, "marginAsset")) {
            struct json_text t = json_string(r);
            margin_usdt = json_text_is(&t, "USDT");
        } else if (json_text_is(&key, "status")) {
            struct json_text t = json_string(r);
            l->trading = json_text_is(&t, "TRADING");
        } else {
            json_skip(r);
        }
    }
    l->quoted_usdt = l->quoted_usdt && margin_usdt;
}

enum status binance_rest_listings(struct rest_limits *limits, const char *text, size_t size,
                                  void (*each)(void *context, const struct rest_listing *l),
                                  void *context) {
    struct json_reader r;
    struct json_text key;
    bool has_symbols = false;
    memset(limits, 0, sizeof *limits);
    json_reader_init(&r, text, size);
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (json_text_is(&key, "rateLimits")) {
            json_array_begin(&r);
            while (json_array_next(&r)) read_limit(&r, limits);
        } else if (json_text_is(&key, "symbols")) {
            has_symbols = true;
            json_array_begin(&r);
            while (json_array_next(&r)) {
                struct rest_listing l;
                read_listing(&r, &l);
                if (!r.error) each(context, &l);
            }
        } else {
            json_skip(&r);
        }
    }
    return json_finish(&r) == ST_OK && has_symbols ? ST_OK : ST_INVALID;
}
