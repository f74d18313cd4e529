/* What may be traded and under which rules: exchangeInfo and the calls that have nothing to tell. */
#include <string.h>

#include "venue/server/rest_internal.h"

/* Of a perpetual that is not being delisted: the venue writes the end of the year 2100. */
static const int64_t DELIVERY_NEVER_MS = INT64_C(4133404800000);

/* The money everything is settled in. */
static const char MARGIN_ASSET[] = "USDT";

static void filter_begin(struct json_writer *w, const char *type) {
    json_write_object_begin(w);
    render_key_text(w, "filterType", type);
}

static void write_grid(struct json_writer *w, const char *type, const char *const names[3],
                       int64_t min, int64_t max, int64_t grid) {
    filter_begin(w, type);
    int digits = render_decimals(grid);
    if (grid == 0) digits = 0; /* no such rule: "0" */
    render_key_decimal(w, names[0], min, digits);
    render_key_decimal(w, names[1], max, 0);
    render_key_decimal(w, names[2], grid, digits);
    json_write_object_end(w);
}

static void write_filters(struct json_writer *w, const struct instrument *in) {
    static const char *const px[] = {"minPrice", "maxPrice", "tickSize"};
    static const char *const qty[] = {"minQty", "maxQty", "stepSize"};
    json_write_key(w, "filters");
    json_write_array_begin(w);
    write_grid(w, "PRICE_FILTER", px, in->px_min.e8, in->px_max.e8, in->tick_size.e8);
    write_grid(w, "LOT_SIZE", qty, in->qty_min.e8, in->qty_max.e8, in->step_size.e8);
    write_grid(w, "MARKET_LOT_SIZE", qty, in->market_qty_min.e8, in->market_qty_max.e8,
               in->market_step_size.e8);
    filter_begin(w, "MAX_NUM_ORDERS");
    render_key_u64(w, "limit", in->orders_max);
    json_write_object_end(w);
    filter_begin(w, "MIN_NOTIONAL");
    render_key_decimal(w, "notional", in->notional_min.e8, 0);
    json_write_object_end(w);
    filter_begin(w, "PERCENT_PRICE");
    render_key_decimal(w, "multiplierUp", in->multiplier_up.e8, 4);
    render_key_decimal(w, "multiplierDown", in->multiplier_down.e8, 4);
    render_key_text(w, "multiplierDecimal", "4");
    json_write_object_end(w);
    filter_begin(w, "POSITION_RISK_CONTROL");
    render_key_text(w, "positionControlSide", "NONE");
    json_write_object_end(w);
    json_write_array_end(w);
}

static void write_texts(struct json_writer *w, const char *key, const char *const *texts,
                        size_t count) {
    json_write_key(w, key);
    json_write_array_begin(w);
    for (size_t i = 0; i < count; i++) json_write_string(w, texts[i]);
    json_write_array_end(w);
}

/* "BTCUSDT" is BTC against USDT, "BTCUSDT_251226" the same pair with a delivery. What ends in no currency
 * known here is all base, quoted in the money everything is settled in. */
static void write_assets_of(struct json_writer *w, const struct instrument *in) {
    static const char *const quotes[] = {"USDT", "USDC", "BUSD", "USD1", "FDUSD", "BTC"};
    size_t pair = strcspn(in->symbol, "_"), base = pair;
    const char *quote = MARGIN_ASSET;
    for (size_t i = 0; i < sizeof quotes / sizeof *quotes; i++) {
        size_t n = strlen(quotes[i]);
        if (pair > n && memcmp(in->symbol + pair - n, quotes[i], n) == 0) {
            quote = quotes[i];
            base = pair - n;
            break;
        }
    }
    bool dated = in->symbol[pair] == '_';
    json_write_key(w, "pair");
    json_write_string_n(w, in->symbol, pair);
    render_key_text(w, "contractType", dated ? "CURRENT_QUARTER" : "PERPETUAL");
    json_write_key(w, "baseAsset");
    json_write_string_n(w, in->symbol, base);
    render_key_text(w, "quoteAsset", quote);
    render_key_text(w, "marginAsset", MARGIN_ASSET);
}

static const char *status_of(const struct instrument *in) {
    switch ((enum instrument_status)in->status) {
    case INSTRUMENT_TRADING:
        return "TRADING";
    case INSTRUMENT_SETTLING:
        return "SETTLING";
    case INSTRUMENT_CLOSED:
        return "CLOSE";
    }
    return "?";
}

static void write_symbol(const struct rest_call *c, const struct instrument *in) {
    static const char *const types[] = {"LIMIT",
                                        "MARKET",
                                        "STOP",
                                        "STOP_MARKET",
                                        "TAKE_PROFIT",
                                        "TAKE_PROFIT_MARKET",
                                        "TRAILING_STOP_MARKET"};
    static const char *const tifs[] = {"GTC", "IOC", "FOK", "GTX", "GTD"};
    struct json_writer *w = c->out;
    json_write_object_begin(w);
    render_key_text(w, "symbol", in->symbol);
    write_assets_of(w, in);
    render_key_i64(w, "deliveryDate",
                   in->delivery_ts_ns ? rest_ms(in->delivery_ts_ns) : DELIVERY_NEVER_MS);
    render_key_i64(w, "onboardDate", rest_ms(in->onboard_ts_ns));
    render_key_text(w, "status", status_of(in));
    /* The venue says these two of every contract; what counts are the brackets. */
    render_key_text(w, "maintMarginPercent", "2.5000");
    render_key_text(w, "requiredMarginPercent", "5.0000");
    render_key_i64(w, "pricePrecision", render_px_decimals(in));
    render_key_i64(w, "quantityPrecision", render_qty_decimals(in));
    render_key_i64(w, "baseAssetPrecision", 8);
    render_key_i64(w, "quotePrecision", 8);
    render_key_text(w, "underlyingType", "COIN");
    write_texts(w, "underlyingSubType", NULL, 0);
    render_key_decimal(w, "triggerProtect", c->rest->options.trigger_protect.e8, 4);
    render_key_decimal(w, "liquidationFee", in->liquidation_fee.e8, 6);
    render_key_decimal(w, "marketTakeBound", in->market_take_bound.e8, 2);
    render_key_i64(w, "maxMoveOrderLimit", 10000);
    write_filters(w, in);
    write_texts(w, "orderTypes", types, sizeof types / sizeof *types);
    write_texts(w, "timeInForce", tifs, sizeof tifs / sizeof *tifs);
    json_write_object_end(w);
}

static void write_rate_limit(struct json_writer *w, const char *type, const char *interval,
                             int64_t count, uint32_t limit) {
    json_write_object_begin(w);
    render_key_text(w, "rateLimitType", type);
    render_key_text(w, "interval", interval);
    render_key_i64(w, "intervalNum", count);
    render_key_u64(w, "limit", limit);
    json_write_object_end(w);
}

int32_t rest_exchange_info(struct rest_call *c) {
    struct json_writer *w = c->out;
    const struct limiter_config *limits = limiter_config_of(c->rest->limiter);
    json_write_object_begin(w);
    render_key_text(w, "timezone", "UTC");
    render_key_i64(w, "serverTime", rest_ms(c->now_ns));
    render_key_text(w, "futuresType", "U_MARGINED");
    json_write_key(w, "rateLimits");
    json_write_array_begin(w);
    write_rate_limit(w, "REQUEST_WEIGHT", "MINUTE", 1, limits->weight_1m);
    write_rate_limit(w, "ORDERS", "MINUTE", 1, limits->orders_1m);
    write_rate_limit(w, "ORDERS", "SECOND", 10, limits->orders_10s);
    json_write_array_end(w);
    write_texts(w, "exchangeFilters", NULL, 0);
    json_write_key(w, "assets");
    json_write_array_begin(w);
    json_write_object_begin(w);
    render_key_text(w, "asset", MARGIN_ASSET);
    render_key_bool(w, "marginAvailable", true);
    render_key_text(w, "autoAssetExchange", "0");
    json_write_object_end(w);
    json_write_array_end(w);
    json_write_key(w, "symbols");
    json_write_array_begin(w);
    uint32_t count = exchange_instrument_count(c->exchange);
    for (uint32_t i = 0; i < count; i++) write_symbol(c, rest_instrument(c, i));
    json_write_array_end(w);
    json_write_object_end(w);
    return 0;
}

int32_t rest_rate_limit_order(struct rest_call *c) {
    const struct limiter_config *limits = limiter_config_of(c->rest->limiter);
    json_write_array_begin(c->out);
    write_rate_limit(c->out, "ORDERS", "SECOND", 10, limits->orders_10s);
    write_rate_limit(c->out, "ORDERS", "MINUTE", 1, limits->orders_1m);
    json_write_array_end(c->out);
    return 0;
}

/* ---- calls with nothing to tell ---- */

int32_t rest_empty_list(struct rest_call *c) {
    json_write_array_begin(c->out);
    json_write_array_end(c->out);
    return 0;
}

int32_t rest_empty_symbols(struct rest_call *c) {
    json_write_object_begin(c->out);
    write_texts(c->out, "symbols", NULL, 0);
    json_write_object_end(c->out);
    return 0;
}

/* The index is the exchange's own price source: it has no constituents. */
int32_t rest_constituents(struct rest_call *c) {
    uint32_t instrument;
    int32_t code = rest_symbol(c, &instrument);
    if (code) return code;
    json_write_object_begin(c->out);
    render_key_text(c->out, "symbol", rest_instrument(c, instrument)->symbol);
    render_key_i64(c->out, "time", rest_ms(c->now_ns));
    write_texts(c->out, "constituents", NULL, 0);
    json_write_object_end(c->out);
    return 0;
}
