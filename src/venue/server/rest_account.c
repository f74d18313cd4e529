/* Balances, accounts and positions, in the shapes of v2 and v3. */
#include "base/rng.h"
#include "venue/server/rest_internal.h"

void rest_write_account_flags(struct rest_call *c, const struct exchange_account *a) {
    bool trades = c->key->permissions & KEY_TRADE;
    render_key_i64(c->out, "feeTier", 0);
    render_key_bool(c->out, "canTrade", trades);
    render_key_bool(c->out, "canDeposit", true);
    render_key_bool(c->out, "canWithdraw", c->key->permissions & KEY_WITHDRAW);
    render_key_bool(c->out, "multiAssetsMargin", false);
    render_key_i64(c->out, "tradeGroupId", -1);
    render_key_i64(c->out, "updateTime", rest_ms(a->update_ns));
}

static void key_money(struct json_writer *w, const char *key, money_t m) {
    render_key_decimal(w, key, m.e8, 8);
}

/* ---- balance ---- */

/* The alias is a short name of the account, as letters and digits. */
static void alias_of(uint32_t account, char out[17]) {
    uint64_t bits = rng_mix(account + 1);
    for (int i = 0; i < 16; i++, bits >>= 4) out[i] = "abcdefghijkmnpqr"[bits & 15];
    out[16] = '\0';
}

static int32_t write_balance(struct rest_call *c) {
    struct json_writer *w = c->out;
    struct exchange_account a;
    char alias[17];
    exchange_account_get(c->exchange, c->account, &a);
    alias_of(c->account, alias);
    json_write_array_begin(w);
    json_write_object_begin(w);
    render_key_text(w, "accountAlias", alias);
    render_key_text(w, "asset", "USDT");
    key_money(w, "balance", a.wallet);
    key_money(w, "crossWalletBalance", a.cross_wallet);
    key_money(w, "crossUnPnl", a.cross_unrealized);
    key_money(w, "availableBalance", a.available);
    key_money(w, "maxWithdrawAmount", a.max_withdraw);
    render_key_bool(w, "marginAvailable", true);
    render_key_i64(w, "updateTime", rest_ms(a.update_ns));
    json_write_object_end(w);
    json_write_array_end(w);
    return 0;
}
int32_t rest_balance_v2(struct rest_call *c) {
    return write_balance(c);
}
int32_t rest_balance_v3(struct rest_call *c) {
    return write_balance(c);
}

/* ---- positions ---- */

struct position_row {
    struct rest_call *c;
    const struct instrument *in;
    uint32_t instrument;
    enum venue_position_side side;
    struct exchange_position p;
    struct exchange_symbol_config config;
    struct exchange_prices prices;
    money_t notional;
};

typedef void write_row(const struct position_row *row);

enum listing { LIST_ALL, LIST_IN_USE };

/* Contracts on which the account has open orders, as bits. */
struct ordered_set {
    uint64_t bits[INSTRUMENTS_MAX / 64];
};
static void ordered_get(const struct rest_call *c, struct ordered_set *out) {
    struct exchange_order *rows = c->rest->p->rows;
    *out = (struct ordered_set){{0}};
    uint32_t count = exchange_open_orders(c->exchange, c->account, ALL_INSTRUMENTS, rows,
                                          REST_ROWS_BYTES / sizeof *rows);
    for (uint32_t i = 0; i < count; i++)
        out->bits[rows[i].instrument / 64] |= UINT64_C(1) << (rows[i].instrument % 64);
}
static bool is_ordered(const struct ordered_set *set, uint32_t instrument) {
    return set->bits[instrument / 64] >> (instrument % 64) & 1;
}

/* A row for each side that the position mode knows: BOTH, or LONG and SHORT. The old listing of a hedging
 * account has BOTH, too, which is empty then. */
static void write_sides(struct position_row *row, bool hedge, enum listing listing, bool ordered,
                        write_row *write) {
    for (int side = POSITION_BOTH; side <= POSITION_SHORT; side++) {
        bool idle_both = hedge && side == POSITION_BOTH;
        if (!hedge && side != POSITION_BOTH) break;
        if (idle_both && listing == LIST_IN_USE) continue;
        row->side = (enum venue_position_side)side;
        row->p = (struct exchange_position){0};
        if (!idle_both)
            exchange_position_get(row->c->exchange, row->c->account, row->instrument, row->side,
                                  &row->p);
        if (listing == LIST_IN_USE && row->p.qty.e8 == 0 && !ordered) continue;
        row->notional = money_mul_half_even(row->prices.mark, row->p.qty);
        json_write_object_begin(row->c->out);
        write(row);
        json_write_object_end(row->c->out);
    }
}

static void write_positions(struct rest_call *c, uint32_t instrument, enum listing listing,
                            write_row *write) {
    struct exchange_account a;
    struct ordered_set ordered;
    struct position_row row = {.c = c};
    uint32_t begin, end;
    exchange_account_get(c->exchange, c->account, &a);
    ordered_get(c, &ordered);
    rest_symbol_range(c, instrument, &begin, &end);
    json_write_array_begin(c->out);
    for (uint32_t i = begin; i < end; i++) {
        row.instrument = i;
        row.in = rest_instrument(c, i);
        exchange_symbol_config_get(c->exchange, c->account, i, &row.config);
        exchange_prices_get(c->exchange, i, &row.prices);
        write_sides(&row, a.hedge, listing, is_ordered(&ordered, i), write);
    }
    json_write_array_end(c->out);
}

static void write_head(const struct position_row *r) {
    struct json_writer *w = r->c->out;
    render_key_text(w, "symbol", r->in->symbol);
    render_key_text(w, "positionSide", venue_position_side_text((int)r->side));
    render_key_decimal(w, "positionAmt", r->p.qty.e8, render_qty_decimals(r->in));
}

/* What an isolated position would be worth on its own; 0 of a cross one. */
static money_t isolated_margin(const struct position_row *r) {
    bool held = r->config.isolated && r->p.qty.e8;
    return money_e8(held ? r->p.isolated_wallet.e8 + r->p.unrealized.e8 : 0);
}

static money_t initial_margin(const struct position_row *r) {
    return money_e8(r->p.initial_margin.e8 + r->p.open_order_margin.e8);
}

static void write_entry(const struct position_row *r) {
    struct json_writer *w = r->c->out;
    render_key_decimal(w, "entryPrice", r->p.entry_px.e8, r->p.entry_px.e8 ? 5 : 1);
    render_key_decimal(w, "breakEvenPrice", r->p.break_even_px.e8, r->p.break_even_px.e8 ? 5 : 1);
}

static void write_risk(const struct position_row *r) {
    struct json_writer *w = r->c->out;
    write_head(r);
    write_entry(r);
    key_money(w, "markPrice", money_e8(r->prices.mark.e8));
    key_money(w, "unRealizedProfit", r->p.unrealized);
    render_key_decimal(w, "liquidationPrice", r->p.liquidation_px.e8, 0);
    key_money(w, "isolatedMargin", isolated_margin(r));
    key_money(w, "notional", r->notional);
    key_money(w, "isolatedWallet", r->p.isolated_wallet);
    render_key_i64(w, "updateTime", rest_ms(r->p.update_ns));
}

static void write_risk_v3(const struct position_row *r) {
    struct json_writer *w = r->c->out;
    write_risk(r);
    render_key_text(w, "marginAsset", "USDT");
    key_money(w, "initialMargin", initial_margin(r));
    key_money(w, "maintMargin", r->p.maint_margin);
    key_money(w, "positionInitialMargin", r->p.initial_margin);
    key_money(w, "openOrderInitialMargin", r->p.open_order_margin);
    render_key_i64(w, "adl", 0); /* nobody is deleveraged here */
    key_money(w, "bidNotional", r->p.bid_notional);
    key_money(w, "askNotional", r->p.ask_notional);
}

static void write_risk_v2(const struct position_row *r) {
    struct json_writer *w = r->c->out;
    write_risk(r);
    render_key_decimal(w, "leverage", (int64_t)r->config.leverage * FX_ONE, 0);
    render_key_decimal(w, "maxNotionalValue", r->config.max_notional.e8, 0);
    render_key_text(w, "marginType", r->config.isolated ? "isolated" : "cross");
    render_key_text(w, "isAutoAddMargin", "false");
}

static int32_t risk(struct rest_call *c, enum listing listing, write_row *write) {
    uint32_t instrument;
    int32_t code = rest_symbol_optional(c, &instrument);
    if (code) return code;
    write_positions(c, instrument, listing, write);
    return 0;
}
int32_t rest_position_v2(struct rest_call *c) {
    return risk(c, LIST_ALL, write_risk_v2);
}
int32_t rest_position_v3(struct rest_call *c) {
    return risk(c, LIST_IN_USE, write_risk_v3);
}

/* ---- account ---- */

static void write_position_v3(const struct position_row *r) {
    struct json_writer *w = r->c->out;
    write_head(r);
    key_money(w, "unrealizedProfit", r->p.unrealized);
    key_money(w, "isolatedMargin", isolated_margin(r));
    key_money(w, "notional", r->notional);
    key_money(w, "isolatedWallet", r->p.isolated_wallet);
    key_money(w, "initialMargin", initial_margin(r));
    key_money(w, "maintMargin", r->p.maint_margin);
    render_key_i64(w, "updateTime", rest_ms(r->p.update_ns));
}

static void write_position_v2(const struct position_row *r) {
    struct json_writer *w = r->c->out;
    write_head(r);
    write_entry(r);
    key_money(w, "unrealizedProfit", r->p.unrealized);
    key_money(w, "initialMargin", initial_margin(r));
    key_money(w, "maintMargin", r->p.maint_margin);
    key_money(w, "positionInitialMargin", r->p.initial_margin);
    key_money(w, "openOrderInitialMargin", r->p.open_order_margin);
    render_key_decimal(w, "leverage", (int64_t)r->config.leverage * FX_ONE, 0);
    render_key_bool(w, "isolated", r->config.isolated);
    key_money(w, "isolatedWallet", r->p.isolated_wallet);
    key_money(w, "notional", r->notional);
    render_key_decimal(w, "maxNotional", r->config.max_notional.e8, 0);
    key_money(w, "bidNotional", r->p.bid_notional);
    key_money(w, "askNotional", r->p.ask_notional);
    render_key_i64(w, "updateTime", rest_ms(r->p.update_ns));
}

static void write_asset(struct json_writer *w, const struct exchange_account *a, bool v2) {
    json_write_object_begin(w);
    render_key_text(w, "asset", "USDT");
    key_money(w, "walletBalance", a->wallet);
    key_money(w, "unrealizedProfit", a->unrealized);
    key_money(w, "marginBalance", money_e8(a->wallet.e8 + a->unrealized.e8));
    key_money(w, "maintMargin", a->maint_margin);
    key_money(w, "initialMargin", a->initial_margin);
    key_money(w, "positionInitialMargin", a->position_margin);
    key_money(w, "openOrderInitialMargin", a->order_margin);
    key_money(w, "crossWalletBalance", a->cross_wallet);
    key_money(w, "crossUnPnl", a->cross_unrealized);
    key_money(w, "availableBalance", a->available);
    key_money(w, "maxWithdrawAmount", a->max_withdraw);
    if (v2) render_key_bool(w, "marginAvailable", true);
    render_key_i64(w, "updateTime", rest_ms(a->update_ns));
    json_write_object_end(w);
}

static int32_t write_account(struct rest_call *c, bool v2) {
    struct json_writer *w = c->out;
    struct exchange_account a;
    exchange_account_get(c->exchange, c->account, &a);
    json_write_object_begin(w);
    if (v2) {
        rest_write_account_flags(c, &a);
        render_key_bool(w, "feeBurn", false);
    }
    key_money(w, "totalInitialMargin", a.initial_margin);
    key_money(w, "totalMaintMargin", a.maint_margin);
    key_money(w, "totalWalletBalance", a.wallet);
    key_money(w, "totalUnrealizedProfit", a.unrealized);
    key_money(w, "totalMarginBalance", money_e8(a.wallet.e8 + a.unrealized.e8));
    key_money(w, "totalPositionInitialMargin", a.position_margin);
    key_money(w, "totalOpenOrderInitialMargin", a.order_margin);
    key_money(w, "totalCrossWalletBalance", a.cross_wallet);
    key_money(w, "totalCrossUnPnl", a.cross_unrealized);
    key_money(w, "availableBalance", a.available);
    key_money(w, "maxWithdrawAmount", a.max_withdraw);
    json_write_key(w, "assets");
    json_write_array_begin(w);
    write_asset(w, &a, v2);
    json_write_array_end(w);
    json_write_key(w, "positions");
    write_positions(c, ALL_INSTRUMENTS, v2 ? LIST_ALL : LIST_IN_USE,
                    v2 ? write_position_v2 : write_position_v3);
    json_write_object_end(w);
    return 0;
}
int32_t rest_account_v2(struct rest_call *c) {
    return write_account(c, true);
}
int32_t rest_account_v3(struct rest_call *c) {
    return write_account(c, false);
}

/* ---- place in the queue of deleveraging ---- */

/* Losses beyond a position's margin are the fund's here, so nobody stands in that queue. */
int32_t rest_adl(struct rest_call *c) {
    uint32_t instrument, begin, end;
    struct exchange_account a;
    int32_t code = rest_symbol_optional(c, &instrument);
    if (code) return code;
    exchange_account_get(c->exchange, c->account, &a);
    rest_symbol_range(c, instrument, &begin, &end);
    json_write_array_begin(c->out);
    for (uint32_t i = begin; i < end; i++) {
        bool held = false;
        for (int side = a.hedge ? POSITION_LONG : POSITION_BOTH;
             side <= (a.hedge ? POSITION_SHORT : POSITION_BOTH); side++) {
            struct exchange_position p;
            exchange_position_get(c->exchange, c->account, i, (enum venue_position_side)side, &p);
            held |= p.qty.e8 != 0;
        }
        if (!held) continue;
        json_write_object_begin(c->out);
        render_key_text(c->out, "symbol", rest_instrument(c, i)->symbol);
        json_write_key(c->out, "adlQuantile");
        json_write_object_begin(c->out);
        render_key_i64(c->out, "LONG", 0);
        render_key_i64(c->out, "SHORT", 0);
        render_key_i64(c->out, a.hedge ? "HEDGE" : "BOTH", 0);
        json_write_object_end(c->out);
        json_write_object_end(c->out);
    }
    json_write_array_end(c->out);
    return 0;
}
