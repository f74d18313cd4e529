/* What an account may ask about its past: trades, income, amendments. */
#include <stdio.h>
#include <string.h>

#include "venue/server/rest_internal.h"

int32_t rest_user_trades(struct rest_call *c) {
    bool has_order, has_from;
    int64_t order_id, from_id;
    struct history_query q = {.account = c->account, .now_ns = c->now_ns};
    int32_t code = rest_symbol(c, &q.instrument);
    if (!code) code = rest_integer(c, "orderId", &has_order, &order_id);
    if (!code) code = rest_integer(c, "fromId", &has_from, &from_id);
    if (!code) code = rest_limit(c, 500, 1000, &q.limit);
    if (!code)
        code = has_order || has_from ? rest_times(c, &q.from_ns, &q.to_ns)
                                     : rest_times_window(c, 7, &q.from_ns, &q.to_ns);
    if (code) return code;
    if (has_from && (q.from_ns || q.to_ns)) return rest_refuse(c, -1128, "");
    q.order_id = (uint64_t)order_id;
    q.from_id = has_from && from_id == 0 ? 1 : (uint64_t)from_id;
    const struct instrument *in = rest_instrument(c, q.instrument);
    struct history_trade *rows = c->rest->p->rows;
    uint32_t count = history_trades(c->rest->world->history, &q, rows, q.limit);
    json_write_array_begin(c->out);
    for (uint32_t i = 0; i < count; i++) {
        const struct history_trade *t = &rows[i];
        json_write_object_begin(c->out);
        render_key_text(c->out, "symbol", in->symbol);
        render_key_u64(c->out, "id", t->trade_id);
        render_key_u64(c->out, "orderId", t->order_id);
        render_key_text(c->out, "side", side_text((enum side)t->side));
        render_key_decimal(c->out, "price", t->px.e8, render_px_decimals(in));
        render_key_decimal(c->out, "qty", t->qty.e8, render_qty_decimals(in));
        render_key_decimal(c->out, "realizedPnl", t->realized.e8, 8);
        render_key_decimal(c->out, "quoteQty", t->quote_qty.e8, 2);
        render_key_decimal(c->out, "commission", t->commission.e8, 8);
        render_key_text(c->out, "commissionAsset", "USDT");
        render_key_text(c->out, "marginAsset", "USDT");
        render_key_i64(c->out, "time", rest_ms(t->ts_ns));
        render_key_text(c->out, "positionSide", venue_position_side_text(t->position_side));
        render_key_bool(c->out, "buyer", t->side == SIDE_BUY);
        render_key_bool(c->out, "maker", t->is_maker);
        json_write_object_end(c->out);
    }
    json_write_array_end(c->out);
    return 0;
}

/* ---- income ---- */

static const char *const income_types[] = {[INCOME_TRANSFER] = "TRANSFER",
                                           [INCOME_REALIZED_PNL] = "REALIZED_PNL",
                                           [INCOME_FUNDING_FEE] = "FUNDING_FEE",
                                           [INCOME_COMMISSION] = "COMMISSION",
                                           [INCOME_INSURANCE_CLEAR] = "INSURANCE_CLEAR"};
enum { INCOME_TYPES = sizeof income_types / sizeof *income_types, INCOME_NEVER = UINT8_MAX };

/* Kinds of income that the venue knows and that do not occur here. */
static const char *const income_others[] = {"WELCOME_BONUS",
                                            "SPECIAL_FUNDING_FEE",
                                            "REFERRAL_KICKBACK",
                                            "COMMISSION_REBATE",
                                            "API_REBATE",
                                            "CONTEST_REWARD",
                                            "CROSS_COLLATERAL_TRANSFER",
                                            "OPTIONS_PREMIUM_FEE",
                                            "OPTIONS_SETTLE_PROFIT",
                                            "INTERNAL_TRANSFER",
                                            "AUTO_EXCHANGE",
                                            "DELIVERED_SETTELMENT",
                                            "COIN_SWAP_DEPOSIT",
                                            "COIN_SWAP_WITHDRAW",
                                            "POSITION_LIMIT_INCREASE_FEE",
                                            "STRATEGY_UMFUTURES_TRANSFER",
                                            "FEE_RETURN",
                                            "BFUSD_REWARD"};

static int income_find(const char *text) {
    for (int i = INCOME_TRANSFER; i < INCOME_TYPES; i++)
        if (strcmp(text, income_types[i]) == 0) return i;
    for (size_t i = 0; i < sizeof income_others / sizeof *income_others; i++)
        if (strcmp(text, income_others[i]) == 0) return INCOME_NEVER;
    return -1;
}

static int32_t income_query(struct rest_call *c, struct history_query *q, uint8_t *type) {
    bool has_page;
    int64_t page;
    int32_t code = rest_symbol_optional(c, &q->instrument);
    if (!code) {
        const char *text;
        code = rest_text(c, "incomeType", &text);
        int found = text ? income_find(text) : 0;
        if (!code && found < 0) code = rest_refuse(c, -1130, "incomeType");
        *type = (uint8_t)found;
    }
    if (!code) code = rest_limit(c, 100, 1000, &q->limit);
    if (!code) code = rest_integer(c, "page", &has_page, &page);
    if (!code) code = rest_times(c, &q->from_ns, &q->to_ns);
    if (code) return code;
    if (page > INT32_MAX || (has_page && page < 1)) return rest_refuse(c, -1130, "page");
    q->type = *type;
    q->page = (uint32_t)page;
    return q->from_ns || q->to_ns ? 0 : rest_times_window(c, 7, &q->from_ns, &q->to_ns);
}

int32_t rest_income(struct rest_call *c) {
    struct history_query q = {.account = c->account, .now_ns = c->now_ns};
    uint8_t type = 0;
    int32_t code = income_query(c, &q, &type);
    if (code) return code;
    struct history_income *rows = c->rest->p->rows;
    uint32_t count =
        type == INCOME_NEVER ? 0 : history_incomes(c->rest->world->history, &q, rows, q.limit);
    json_write_array_begin(c->out);
    for (uint32_t i = 0; i < count; i++) {
        const struct history_income *r = &rows[i];
        bool listed = r->instrument < exchange_instrument_count(c->exchange);
        char trade[24] = "";
        if (r->trade_id) snprintf(trade, sizeof trade, "%llu", (unsigned long long)r->trade_id);
        json_write_object_begin(c->out);
        render_key_text(c->out, "symbol", listed ? rest_instrument(c, r->instrument)->symbol : "");
        render_key_text(c->out, "incomeType", income_types[r->type]);
        render_key_decimal(c->out, "income", r->amount.e8, 8);
        render_key_text(c->out, "asset", "USDT");
        /* What the venue puts here: the trade's id, or the name of the income. */
        render_key_text(c->out, "info", r->trade_id ? trade : income_types[r->type]);
        render_key_i64(c->out, "time", rest_ms(r->ts_ns));
        render_key_u64(c->out, "tranId", r->tran_id);
        render_key_text(c->out, "tradeId", trade);
        json_write_object_end(c->out);
    }
    json_write_array_end(c->out);
    return 0;
}

/* ---- amendments ---- */

static void write_change(struct json_writer *w, const char *key, int64_t before, int64_t after,
                         int decimals) {
    json_write_key(w, key);
    json_write_object_begin(w);
    render_key_decimal(w, "before", before, decimals);
    render_key_decimal(w, "after", after, decimals);
    json_write_object_end(w);
}

/* Amendments are kept by order number: a client id is looked up first. */
static int32_t amended_order(struct rest_call *c, struct history_query *q) {
    char client[CLIENT_ORDER_ID_SIZE];
    bool by_id = wire_param_find(c->params, "orderId") != NULL;
    bool by_client = wire_param_find(c->params, "origClientOrderId") != NULL;
    if (!by_id && !by_client) return 0;
    int32_t code = rest_order_id(c, "orderId", "origClientOrderId", &q->order_id, client);
    if (code || q->order_id) return code;
    const struct exchange_order *o =
        history_order(c->rest->world->history, c->account, q->instrument, 0, client, c->now_ns);
    if (!o) return rest_refuse(c, -2013, "");
    q->order_id = o->order_id;
    return 0;
}

int32_t rest_amendments(struct rest_call *c) {
    struct history_query q = {.account = c->account, .now_ns = c->now_ns};
    int32_t code = rest_symbol(c, &q.instrument);
    if (!code) code = amended_order(c, &q);
    if (!code) code = rest_limit(c, 50, 100, &q.limit);
    if (!code) code = rest_times(c, &q.from_ns, &q.to_ns);
    if (code) return code;
    const struct instrument *in = rest_instrument(c, q.instrument);
    struct json_writer *w = c->out;
    struct history_amendment *rows = c->rest->p->rows;
    uint32_t count = history_amendments(c->rest->world->history, &q, rows, q.limit);
    json_write_array_begin(w);
    for (uint32_t i = 0; i < count; i++) {
        const struct history_amendment *a = &rows[i];
        json_write_object_begin(w);
        render_key_u64(w, "amendmentId", a->amendment_id);
        render_key_text(w, "symbol", in->symbol);
        json_write_key(w, "pair");
        json_write_string_n(w, in->symbol, strcspn(in->symbol, "_"));
        render_key_u64(w, "orderId", a->order_id);
        render_key_text(w, "clientOrderId", a->client_order_id);
        render_key_i64(w, "time", rest_ms(a->ts_ns));
        json_write_key(w, "amendment");
        json_write_object_begin(w);
        write_change(w, "price", a->price_before.e8, a->price_after.e8, render_px_decimals(in));
        write_change(w, "origQty", a->qty_before.e8, a->qty_after.e8, render_qty_decimals(in));
        render_key_u64(w, "count", a->count);
        json_write_object_end(w);
        render_key_text(w, "priceMatch", "NONE");
        json_write_object_end(w);
    }
    json_write_array_end(w);
    return 0;
}
