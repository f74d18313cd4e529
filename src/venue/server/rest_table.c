/* Every call of the venue: docs/venue-api.md is this table in words. */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "venue/server/rest_internal.h"

#define V1 "/fapi/v1/"
#define V2 "/fapi/v2/"
#define V3 "/fapi/v3/"
#define FD "/futures/data/"
#define GET_(path, ws, security, weight, all, name)                                                \
    { NET_GET, path, ws, security, WEIGH_FIXED, weight, all, 0, 0, POOL_WEIGHT, rest_##name }
#define SET_(method, path, weight, name)                                                           \
    {                                                                                              \
        method, path, NULL, SECURITY_TRADE, WEIGH_FIXED, weight, weight, 0, 0, POOL_WEIGHT,        \
            rest_##name                                                                            \
    }
#define POOLED_(path, weigh, weight, pool, name)                                                   \
    { NET_GET, path, NULL, SECURITY_NONE, weigh, weight, weight, 0, 0, pool, rest_##name }
/* The calls that count as orders. */
#define ORDER_(method, path, ws, weight, in_10s, in_1m, name)                                      \
    {                                                                                              \
        method, path, ws, SECURITY_TRADE, WEIGH_FIXED, weight, weight, in_10s, in_1m, POOL_WEIGHT, \
            rest_##name                                                                            \
    }
#define CANCEL_(path, ws, name)                                                                    \
    { NET_DELETE, path, ws, SECURITY_TRADE, WEIGH_FIXED, 1, 1, 0, 0, POOL_WEIGHT, rest_##name }
#define KEY_(method, ws, name)                                                                     \
    { method, V1 "listenKey", ws, SECURITY_KEY, WEIGH_FIXED, 1, 1, 0, 0, POOL_WEIGHT, rest_##name }

const struct rest_row rest_table[] = {
    /* the market */
    GET_(V1 "ping", "ping", SECURITY_NONE, 1, 1, ping),
    GET_(V1 "time", "time", SECURITY_NONE, 1, 1, time),
    GET_(V1 "exchangeInfo", NULL, SECURITY_NONE, 1, 1, exchange_info),
    {NET_GET, V1 "depth", "depth", SECURITY_NONE, WEIGH_DEPTH, 0, 0, 0, 0, POOL_WEIGHT, rest_depth},
    GET_(V1 "rpiDepth", NULL, SECURITY_NONE, 20, 20, rpi_depth),
    GET_(V1 "trades", NULL, SECURITY_NONE, 5, 5, trades),
    GET_(V1 "historicalTrades", NULL, SECURITY_KEY, 20, 20, historical_trades),
    GET_(V1 "aggTrades", NULL, SECURITY_NONE, 20, 20, agg_trades),
    POOLED_(V1 "klines", WEIGH_KLINES, 0, POOL_WEIGHT, klines),
    POOLED_(V1 "continuousKlines", WEIGH_KLINES, 0, POOL_WEIGHT, continuous_klines),
    POOLED_(V1 "indexPriceKlines", WEIGH_KLINES, 0, POOL_WEIGHT, index_klines),
    POOLED_(V1 "markPriceKlines", WEIGH_KLINES, 0, POOL_WEIGHT, mark_klines),
    POOLED_(V1 "premiumIndexKlines", WEIGH_KLINES, 0, POOL_WEIGHT, premium_klines),
    GET_(V1 "premiumIndex", NULL, SECURITY_NONE, 1, 10, premium_index),
    POOLED_(V1 "fundingRate", WEIGH_FIXED, 1, POOL_FUNDING, funding_rate),
    POOLED_(V1 "fundingInfo", WEIGH_FIXED, 1, POOL_FUNDING, funding_info),
    GET_(V1 "ticker/24hr", NULL, SECURITY_NONE, 1, 40, ticker_day),
    GET_(V1 "ticker/price", NULL, SECURITY_NONE, 1, 2, ticker_price),
    GET_(V2 "ticker/price", "ticker.price", SECURITY_NONE, 1, 2, ticker_price),
    GET_(V1 "ticker/bookTicker", "ticker.book", SECURITY_NONE, 2, 5, ticker_book),
    GET_(V1 "openInterest", NULL, SECURITY_NONE, 1, 1, open_interest),
    GET_(V1 "constituents", NULL, SECURITY_NONE, 2, 2, constituents),
    GET_(V1 "indexInfo", NULL, SECURITY_NONE, 1, 1, empty_list),
    GET_(V1 "assetIndex", NULL, SECURITY_NONE, 1, 10, empty_list),
    POOLED_(FD "openInterestHist", WEIGH_FIXED, 1, POOL_DATA, data_empty),
    POOLED_(FD "topLongShortAccountRatio", WEIGH_FIXED, 1, POOL_DATA, data_empty),
    POOLED_(FD "topLongShortPositionRatio", WEIGH_FIXED, 1, POOL_DATA, data_empty),
    POOLED_(FD "globalLongShortAccountRatio", WEIGH_FIXED, 1, POOL_DATA, data_empty),
    POOLED_(FD "takerlongshortRatio", WEIGH_FIXED, 1, POOL_DATA, data_taker),
    POOLED_(FD "basis", WEIGH_FIXED, 1, POOL_DATA, data_basis),
    /* what clients ask of the venue's other parts while they load their markets */
    GET_("/sapi/v1/capital/config/getall", NULL, SECURITY_NONE, 1, 1, empty_list),
    GET_("/sapi/v1/margin/allPairs", NULL, SECURITY_NONE, 1, 1, empty_list),
    GET_("/sapi/v1/margin/isolated/allPairs", NULL, SECURITY_NONE, 1, 1, empty_list),
    GET_("/api/v3/exchangeInfo", NULL, SECURITY_NONE, 1, 1, empty_symbols),
    GET_("/dapi/v1/exchangeInfo", NULL, SECURITY_NONE, 1, 1, empty_symbols),
    /* orders */
    ORDER_(NET_POST, V1 "order", "order.place", 0, 1, 1, order_place),
    ORDER_(NET_POST, V1 "order/test", NULL, 0, 0, 0, order_test),
    ORDER_(NET_PUT, V1 "order", "order.modify", 1, 1, 1, order_amend),
    ORDER_(NET_POST, V1 "batchOrders", NULL, 5, 5, 1, batch_place),
    ORDER_(NET_PUT, V1 "batchOrders", NULL, 5, 5, 1, batch_amend),
    ORDER_(NET_POST, V1 "algoOrder", "algoOrder.place", 0, 1, 1, algo_place),
    CANCEL_(V1 "order", "order.cancel", order_cancel),
    CANCEL_(V1 "batchOrders", NULL, batch_cancel),
    CANCEL_(V1 "allOpenOrders", NULL, cancel_all),
    CANCEL_(V1 "algoOrder", "algoOrder.cancel", algo_cancel),
    CANCEL_(V1 "algoOpenOrders", NULL, algo_cancel_all),
    SET_(NET_POST, V1 "countdownCancelAll", 10, countdown),
    GET_(V1 "order", "order.status", SECURITY_USER, 1, 1, order_get),
    GET_(V1 "openOrder", NULL, SECURITY_USER, 1, 1, open_order),
    GET_(V1 "openOrders", NULL, SECURITY_USER, 1, 40, open_orders),
    GET_(V1 "allOrders", NULL, SECURITY_USER, 5, 5, all_orders),
    GET_(V1 "orderAmendment", NULL, SECURITY_USER, 1, 1, amendments),
    GET_(V1 "algoOrder", NULL, SECURITY_USER, 1, 1, algo_get),
    GET_(V1 "openAlgoOrders", NULL, SECURITY_USER, 1, 40, algo_open),
    GET_(V1 "allAlgoOrders", NULL, SECURITY_USER, 5, 5, algo_all),
    /* the account */
    SET_(NET_POST, V1 "leverage", 1, leverage),
    SET_(NET_POST, V1 "marginType", 1, margin_type),
    SET_(NET_POST, V1 "positionSide/dual", 1, mode_set),
    SET_(NET_POST, V1 "multiAssetsMargin", 1, multi_set),
    SET_(NET_POST, V1 "positionMargin", 1, position_margin),
    SET_(NET_POST, V1 "feeBurn", 1, fee_burn_set),
    GET_(V1 "positionSide/dual", NULL, SECURITY_USER, 30, 30, mode_get),
    GET_(V1 "multiAssetsMargin", NULL, SECURITY_USER, 30, 30, multi_get),
    GET_(V1 "positionMargin/history", NULL, SECURITY_USER, 1, 1, margin_history),
    GET_(V1 "leverageBracket", NULL, SECURITY_USER, 1, 1, brackets),
    GET_(V1 "commissionRate", NULL, SECURITY_USER, 20, 20, commission),
    GET_(V1 "symbolConfig", NULL, SECURITY_USER, 5, 5, symbol_config),
    GET_(V1 "accountConfig", NULL, SECURITY_USER, 5, 5, account_config),
    GET_(V1 "rateLimit/order", NULL, SECURITY_USER, 1, 1, rate_limit_order),
    GET_(V1 "feeBurn", NULL, SECURITY_USER, 30, 30, fee_burn_get),
    GET_(V1 "apiTradingStatus", NULL, SECURITY_USER, 1, 10, trading_status),
    GET_(V1 "adlQuantile", NULL, SECURITY_USER, 5, 5, adl),
    GET_(V2 "balance", "account.balance", SECURITY_USER, 5, 5, balance_v2),
    GET_(V3 "balance", "v2/account.balance", SECURITY_USER, 5, 5, balance_v3),
    GET_(V2 "account", "account.status", SECURITY_USER, 5, 5, account_v2),
    GET_(V3 "account", "v2/account.status", SECURITY_USER, 5, 5, account_v3),
    GET_(V2 "positionRisk", "account.position", SECURITY_USER, 5, 5, position_v2),
    GET_(V3 "positionRisk", "v2/account.position", SECURITY_USER, 5, 5, position_v3),
    GET_(V1 "userTrades", NULL, SECURITY_USER, 5, 5, user_trades),
    GET_(V1 "income", NULL, SECURITY_USER, 30, 30, income),
    GET_(V1 "forceOrders", NULL, SECURITY_USER, 20, 50, force_orders),
    KEY_(NET_POST, "userDataStream.start", key_start),
    KEY_(NET_PUT, "userDataStream.ping", key_ping),
    KEY_(NET_DELETE, "userDataStream.stop", key_stop),
};
const uint32_t rest_table_count = sizeof rest_table / sizeof *rest_table;
static_assert(2 * (sizeof rest_table / sizeof *rest_table) < REST_ROUTE_SLOTS, "room for routes");

static uint32_t route_slot(const char *text, size_t size, uint32_t seed) {
    return (uint32_t)(hash64_seed(text, size, seed) % REST_ROUTE_SLOTS);
}

void rest_routes_init(struct rest_private *p) {
    for (uint32_t i = 0; i < rest_table_count; i++) {
        const struct rest_row *row = &rest_table[i];
        uint32_t slot = route_slot(row->path, strlen(row->path), row->method);
        while (p->routes[slot]) slot = (slot + 1) % REST_ROUTE_SLOTS;
        p->routes[slot] = (uint16_t)(i + 1);
        if (!row->ws_method) continue;
        slot = route_slot(row->ws_method, strlen(row->ws_method), 0);
        while (p->ws_routes[slot]) slot = (slot + 1) % REST_ROUTE_SLOTS;
        p->ws_routes[slot] = (uint16_t)(i + 1);
    }
}

static bool text_is(const char *text, const char *data, size_t size) {
    return strlen(text) == size && memcmp(text, data, size) == 0;
}

const struct rest_row *rest_row_find(const struct rest *r, enum net_method method,
                                     struct net_text path) {
    uint32_t slot = route_slot(path.data, path.size, method);
    for (; r->p->routes[slot]; slot = (slot + 1) % REST_ROUTE_SLOTS) {
        const struct rest_row *row = &rest_table[r->p->routes[slot] - 1];
        if (row->method == method && text_is(row->path, path.data, path.size)) return row;
    }
    return NULL;
}

const struct rest_row *rest_row_find_ws(const struct rest *r, const char *method, size_t size) {
    uint32_t slot = route_slot(method, size, 0);
    for (; r->p->ws_routes[slot]; slot = (slot + 1) % REST_ROUTE_SLOTS) {
        const struct rest_row *row = &rest_table[r->p->ws_routes[slot] - 1];
        if (text_is(row->ws_method, method, size)) return row;
    }
    return NULL;
}

/* What the call will look at; a limit that is no number weighs as if it were not there. */
static uint32_t limit_asked(const struct wire_params *params, uint32_t absent) {
    const struct wire_param *p = wire_param_find(params, "limit");
    uint32_t value = 0;
    if (!p || p->value_size == 0 || p->value_size > 6) return absent;
    for (const char *s = p->value; *s; s++) {
        if (*s < '0' || *s > '9') return absent;
        value = value * 10 + (uint32_t)(*s - '0');
    }
    return value;
}

uint32_t rest_row_weight(const struct rest_row *row, const struct wire_params *params) {
    uint32_t limit = limit_asked(params, 500);
    switch ((enum rest_weigh)row->weigh) {
    case WEIGH_FIXED:
        return row->weight == row->weight_all || wire_param_find(params, "symbol")
                   ? row->weight
                   : row->weight_all;
    case WEIGH_KLINES:
        return limit < 100 ? 1 : limit < 500 ? 2 : limit <= 1000 ? 5 : 10;
    case WEIGH_DEPTH:
        return limit <= 50 ? 2 : limit <= 100 ? 5 : limit <= 500 ? 10 : 20;
    }
    return 1;
}
