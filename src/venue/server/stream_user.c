/* User data: what happens to an account, to everyone who holds its listen key.
 *
 * One execution is three messages: TRADE_LITE, ACCOUNT_UPDATE, ORDER_TRADE_UPDATE, in this order (the venue does not
 * document one; this is what its logs mostly show). The exchange tells the account first, so that message waits for
 * the execution that comes right behind it. */
#include <string.h>

#include "venue/server/render.h"
#include "venue/server/stream_internal.h"
#include "venue/server/stream_text.h"

enum { MESSAGE_BYTES = 2048, ASSET_DECIMALS = 8 };
static const char ASSET[] = "USDT";

static int64_t to_ms(int64_t ns) {
    return ns / NS_PER_MS;
}

static char *put_begin(char *p, const char *name, const struct exchange_event *e) {
    p = PUT(p, "{\"e\":");
    p = put_quoted(p, name);
    p = PUT(p, ",\"E\":");
    p = put_i64(p, to_ms(e->ts_ns));
    p = PUT(p, ",\"T\":");
    return put_i64(p, to_ms(e->ts_ns));
}

/* ,"NAME": in front of a value */
static char *put_key(char *p, const char *name) {
    *p++ = ',';
    p = put_quoted(p, name);
    *p++ = ':';
    return p;
}
static char *key_text(char *p, const char *name, const char *text) {
    return put_quoted(put_key(p, name), text);
}
static char *key_decimal(char *p, const char *name, int64_t e8, int decimals) {
    return put_decimal(put_key(p, name), e8, decimals);
}
/* What is not there is "0", not "0.00". */
static char *key_px(char *p, const char *name, px_t px, int decimals) {
    return key_decimal(p, name, px.e8, px.e8 ? decimals : 0);
}
static char *key_money(char *p, const char *name, money_t m) {
    return key_decimal(p, name, m.e8, m.e8 ? ASSET_DECIMALS : 0);
}
static char *key_i64(char *p, const char *name, int64_t value) {
    return put_i64(put_key(p, name), value);
}
static char *key_u64(char *p, const char *name, uint64_t value) {
    return put_u64(put_key(p, name), value);
}
static char *key_bool(char *p, const char *name, bool value) {
    return put_bool(put_key(p, name), value);
}

static const char *exec_text(uint8_t exec) {
    switch ((enum exchange_exec)exec) {
    case EXEC_NEW:
        return "NEW";
    case EXEC_CANCELED:
        return "CANCELED";
    case EXEC_CALCULATED:
        return "CALCULATED";
    case EXEC_EXPIRED:
        return "EXPIRED";
    case EXEC_TRADE:
        return "TRADE";
    case EXEC_AMENDMENT:
        return "AMENDMENT";
    }
    return "?";
}

static const char *reason_text(uint8_t reason) {
    switch ((enum exchange_reason)reason) {
    case REASON_ORDER:
        return "ORDER";
    case REASON_FUNDING_FEE:
        return "FUNDING_FEE";
    case REASON_DEPOSIT:
        return "DEPOSIT";
    case REASON_WITHDRAW:
        return "WITHDRAW";
    case REASON_INSURANCE_CLEAR:
        return "INSURANCE_CLEAR";
    case REASON_MARGIN_TRANSFER:
        return "MARGIN_TRANSFER";
    case REASON_MARGIN_TYPE_CHANGE:
        return "MARGIN_TYPE_CHANGE";
    case REASON_ADJUSTMENT:
        return "ADJUSTMENT";
    }
    return "?";
}

static bool is_fill(const struct exchange_event *e) {
    return e->exec == EXEC_TRADE || e->exec == EXEC_CALCULATED;
}

/* ---- orders ---- */

static void trade_lite(struct streams *s, const struct exchange_event *e) {
    const struct stream_contract *c = &s->contracts[e->instrument];
    const struct exchange_order *o = &e->u.order;
    char *p = put_begin(stream_payload(s, MESSAGE_BYTES), "TRADE_LITE", e);
    p = key_text(p, "s", exchange_instrument(s->world->exchange, e->instrument)->symbol);
    p = key_decimal(p, "q", o->orig_qty.e8, c->qty_decimals);
    p = key_px(p, "p", o->price, c->px_decimals);
    p = key_bool(p, "m", e->is_maker);
    p = key_text(p, "c", o->client_order_id);
    p = key_text(p, "S", side_text((enum side)o->side));
    p = key_decimal(p, "L", e->px.e8, c->px_decimals);
    p = key_decimal(p, "l", e->qty.e8, c->qty_decimals);
    p = key_u64(p, "t", e->trade_id);
    p = key_u64(p, "i", o->order_id);
    *p++ = '}';
    stream_publish_user(s, e->account, USER_TRADE_LITE, p);
}

/* Activation price and callback rate in percent, of a trailing order's child. */
static char *put_trailing(const struct streams *s, char *p, const struct exchange_event *e) {
    const struct exchange_order *o = &e->u.order;
    if (o->orig_type != ORDER_TRAILING_STOP_MARKET || !o->algo_id) return p;
    const struct exchange_algo *a =
        history_algo(s->world->history, e->account, o->algo_id, NULL, e->ts_ns);
    if (!a) return p;
    p = key_px(p, "AP", a->activate_price, s->contracts[e->instrument].px_decimals);
    return key_decimal(p, "cr", a->callback_rate.e8 * 100, 1);
}

static char *put_execution(const struct streams *s, char *p, const struct exchange_event *e) {
    const struct stream_contract *c = &s->contracts[e->instrument];
    const struct exchange_order *o = &e->u.order;
    bool fill = is_fill(e);
    p = key_text(p, "x", exec_text(e->exec));
    p = key_text(p, "X",
                 o->forced == FORCED_ADL && o->status == EXO_NEW ? "NEW_ADL"
                                                                 : render_order_status(o->status));
    p = key_u64(p, "i", o->order_id);
    p = key_px(p, "l", px_e8(fill ? e->qty.e8 : 0), c->qty_decimals);
    p = key_px(p, "z", px_e8(o->cum_qty.e8), c->qty_decimals);
    p = key_px(p, "L", px_e8(fill ? e->px.e8 : 0), c->px_decimals);
    if (fill) {
        p = key_text(p, "N", ASSET);
        p = key_money(p, "n", e->commission);
    }
    p = key_i64(p, "T", to_ms(e->ts_ns));
    p = key_u64(p, "t", fill ? e->trade_id : 0);
    p = key_money(p, "b", e->bid_notional);
    p = key_money(p, "a", e->ask_notional);
    return key_bool(p, "m", e->is_maker);
}

static void order(struct streams *s, const struct exchange_event *e) {
    const struct stream_contract *c = &s->contracts[e->instrument];
    const struct exchange_order *o = &e->u.order;
    char *p = put_begin(stream_payload(s, MESSAGE_BYTES), "ORDER_TRADE_UPDATE", e);
    p = PUT(p, ",\"o\":{\"s\":");
    p = put_quoted(p, exchange_instrument(s->world->exchange, e->instrument)->symbol);
    p = key_text(p, "c", o->client_order_id);
    p = key_text(p, "S", side_text((enum side)o->side));
    p = key_text(p, "o", order_type_text((enum order_type)o->type));
    p = key_text(p, "f", time_in_force_text((enum time_in_force)o->time_in_force));
    p = key_decimal(p, "q", o->orig_qty.e8, c->qty_decimals);
    p = key_px(p, "p", o->price, c->px_decimals);
    p = key_px(p, "ap", render_average(o->cum_quote, o->cum_qty), c->px_decimals);
    p = key_px(p, "sp", o->stop_price, c->px_decimals);
    p = put_execution(s, p, e);
    p = key_bool(p, "R", o->reduce_only);
    p = key_text(p, "wt", venue_working_type_text(o->working_type));
    p = key_text(p, "ot", order_type_text((enum order_type)o->orig_type));
    p = key_text(p, "ps", venue_position_side_text(o->position_side));
    p = key_bool(p, "cp", o->close_position);
    p = put_trailing(s, p, e);
    p = key_bool(p, "pP", o->price_protect);
    p = PUT(p, ",\"si\":0,\"ss\":0");
    p = key_money(p, "rp", is_fill(e) ? e->realized : money_e8(0));
    p = key_text(p, "V", venue_stp_text(o->stp));
    p = key_text(p, "pm", venue_price_match_text(o->price_match));
    p = key_i64(p, "gtd", to_ms(o->good_till_ns));
    p = put_text(put_key(p, "er"), "\"");
    p = put_u64(p, o->expiry);
    p = PUT(p, "\"}}");
    stream_publish_user(s, e->account, USER_ORDER, p);
}

/* ---- conditional orders ---- */

/* The reason's text without what would fill its variables. */
static char *put_reason(char *p, int32_t code) {
    const char *text = code ? venue_error_text(code) : NULL;
    for (; text && *text; text++) {
        if (text[0] == '%' && text[1] == 's') {
            text++;
            continue;
        }
        if (*text == '"' || *text == '\\') *p++ = '\\';
        *p++ = *text;
    }
    return p;
}

static char *put_actual(char *p, const struct exchange_algo *a, const struct stream_contract *c) {
    bool limit = a->type == ORDER_STOP || a->type == ORDER_TAKE_PROFIT;
    p = put_text(put_key(p, "ai"), "\"");
    if (a->actual_order_id) p = put_u64(p, a->actual_order_id);
    *p++ = '"';
    if (!a->actual_order_id) return p;
    p = key_px(p, "ap", render_average(a->actual_quote, a->actual_qty), c->px_decimals);
    p = key_px(p, "aq", px_e8(a->actual_qty.e8), c->qty_decimals);
    return key_text(p, "act", limit ? "LIMIT" : "MARKET");
}

static void algo(struct streams *s, const struct exchange_event *e) {
    const struct stream_contract *c = &s->contracts[e->instrument];
    const struct exchange_algo *a = &e->u.algo;
    char *p = put_begin(stream_payload(s, MESSAGE_BYTES), "ALGO_UPDATE", e);
    p = PUT(p, ",\"o\":{\"caid\":");
    p = put_quoted(p, a->client_algo_id);
    p = key_u64(p, "aid", a->algo_id);
    p = key_text(p, "at", "CONDITIONAL");
    p = key_text(p, "o", order_type_text((enum order_type)a->type));
    p = key_text(p, "s", exchange_instrument(s->world->exchange, e->instrument)->symbol);
    p = key_text(p, "S", side_text((enum side)a->side));
    p = key_text(p, "ps", venue_position_side_text(a->position_side));
    p = key_text(p, "f", time_in_force_text((enum time_in_force)a->time_in_force));
    p = key_px(p, "q", px_e8(a->qty.e8), c->qty_decimals);
    p = key_text(p, "X", render_algo_status(a->status));
    p = put_actual(p, a, c);
    p = key_px(p, "tp", a->trigger_price, c->px_decimals);
    p = key_px(p, "p", a->price, c->px_decimals);
    p = key_text(p, "V", venue_stp_text(a->stp));
    p = key_text(p, "wt", venue_working_type_text(a->working_type));
    p = key_text(p, "pm", venue_price_match_text(a->price_match));
    p = key_bool(p, "cp", a->close_position);
    p = key_bool(p, "pP", a->price_protect);
    p = key_bool(p, "R", a->reduce_only);
    p = key_i64(p, "tt", to_ms(a->trigger_ns));
    p = key_i64(p, "gtd", to_ms(a->good_till_ns));
    p = put_text(put_key(p, "rm"), "\"");
    p = put_reason(p, a->reject_code);
    *p++ = '"';
    p = key_bool(p, "ia", a->activated);
    p = PUT(p, "}}");
    stream_publish_user(s, e->account, USER_ALGO, p);
}

/* ---- accounts ---- */

static void account(struct streams *s, const struct exchange_event *e) {
    char *p = put_begin(stream_payload(s, MESSAGE_BYTES), "ACCOUNT_UPDATE", e);
    p = PUT(p, ",\"a\":{\"m\":");
    p = put_quoted(p, reason_text(e->reason));
    p = PUT(p, ",\"B\":[{\"a\":");
    p = put_quoted(p, ASSET);
    p = key_decimal(p, "wb", e->wallet.e8, ASSET_DECIMALS);
    p = key_decimal(p, "cw", e->cross_wallet.e8, ASSET_DECIMALS);
    p = key_money(p, "bc", e->amount);
    p = PUT(p, "}],\"P\":[");
    if (e->has_position) {
        const struct stream_contract *c = &s->contracts[e->instrument];
        const struct exchange_position *x = &e->position;
        p = PUT(p, "{\"s\":");
        p = put_quoted(p, exchange_instrument(s->world->exchange, e->instrument)->symbol);
        p = key_px(p, "pa", px_e8(x->qty.e8), c->qty_decimals);
        p = key_px(p, "ep", x->entry_px, c->px_decimals);
        p = key_px(p, "bep", x->break_even_px, c->px_decimals);
        p = key_money(p, "cr", x->realized);
        p = key_money(p, "up", x->unrealized);
        p = key_text(p, "mt", e->isolated ? "isolated" : "cross");
        p = key_money(p, "iw", x->isolated_wallet);
        p = key_text(p, "ps", venue_position_side_text(e->position_side));
        *p++ = '}';
    }
    p = PUT(p, "]}}");
    stream_publish_user(s, e->account, USER_ACCOUNT, p);
}

static void margin_call(struct streams *s, const struct exchange_event *e) {
    struct exchange_prices prices;
    char *p = stream_payload(s, MESSAGE_BYTES);
    p = PUT(p, "{\"e\":\"MARGIN_CALL\",\"E\":");
    p = put_i64(p, to_ms(e->ts_ns));
    p = key_decimal(p, "cw", e->cross_wallet.e8, ASSET_DECIMALS);
    p = PUT(p, ",\"p\":[");
    if (e->has_position) {
        const struct stream_contract *c = &s->contracts[e->instrument];
        const struct exchange_position *x = &e->position;
        exchange_prices_get(s->world->exchange, e->instrument, &prices);
        p = PUT(p, "{\"s\":");
        p = put_quoted(p, exchange_instrument(s->world->exchange, e->instrument)->symbol);
        p = key_text(p, "ps", venue_position_side_text(e->position_side));
        p = key_px(p, "pa", px_e8(x->qty.e8), c->qty_decimals);
        p = key_text(p, "mt", e->isolated ? "ISOLATED" : "CROSSED");
        p = key_money(p, "iw", x->isolated_wallet);
        p = key_px(p, "mp", prices.mark, c->px_decimals);
        p = key_money(p, "up", x->unrealized);
        p = key_money(p, "mm", x->maint_margin);
        *p++ = '}';
    }
    p = PUT(p, "]}");
    stream_publish_user(s, e->account, USER_MARGIN_CALL, p);
}

static void leverage(struct streams *s, const struct exchange_event *e) {
    char *p = put_begin(stream_payload(s, MESSAGE_BYTES), "ACCOUNT_CONFIG_UPDATE", e);
    p = PUT(p, ",\"ac\":{\"s\":");
    p = put_quoted(p, exchange_instrument(s->world->exchange, e->instrument)->symbol);
    p = key_u64(p, "l", e->leverage);
    p = PUT(p, "}}");
    stream_publish_user(s, e->account, USER_CONFIG, p);
}

void stream_user_expired(struct streams *s, uint32_t account_number, const char *key,
                         int64_t now_ns) {
    if (s->user_silent || s->user_streams[account_number].count == 0) return;
    char *p = stream_payload(s, MESSAGE_BYTES);
    p = PUT(p, "{\"e\":\"listenKeyExpired\",\"E\":");
    p = put_i64(p, to_ms(now_ns));
    p = key_text(p, "listenKey", key);
    *p++ = '}';
    stream_publish_user(s, account_number, USER_KEY, p);
}

/* ---- */

void stream_user_flush(struct streams *s) {
    if (!s->balance_waits) return;
    s->balance_waits = false;
    account(s, &s->balance);
}

static bool is_heard(const struct streams *s, const struct exchange_event *e) {
    return e->account < s->user_count && s->user_streams[e->account].count > 0 && !s->user_silent;
}

void stream_user_event(struct streams *s, const struct exchange_event *e) {
    enum exchange_event_kind kind = (enum exchange_event_kind)e->kind;
    bool fill = kind == EXE_ORDER && is_fill(e);
    if (fill && is_heard(s, e)) trade_lite(s, e);
    stream_user_flush(s);
    switch (kind) {
    case EXE_ORDER:
        if (is_heard(s, e)) order(s, e);
        break;
    case EXE_ALGO:
        if (is_heard(s, e)) algo(s, e);
        break;
    case EXE_ACCOUNT:
        if (!is_heard(s, e)) break;
        s->balance = *e;
        s->balance_waits = true;
        break;
    case EXE_MARGIN_CALL:
        if (is_heard(s, e)) margin_call(s, e);
        break;
    case EXE_LEVERAGE:
        if (is_heard(s, e)) leverage(s, e);
        break;
    case EXE_INCOME:
    case EXE_AMENDED:
    case EXE_TRADE:
    case EXE_LEVEL:
    case EXE_FORCED:
    case EXE_MARK:
    case EXE_STATUS:
    case EXE_FILTERS:
        break;
    }
}
