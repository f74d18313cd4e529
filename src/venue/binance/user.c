/* User data: what the stream says of orders, positions, balances and settings. */
#include <string.h>

#include "base/tstamp.h"
#include "venue/binance/binance_internal.h"

static void take_position(struct binance *b, uint32_t instrument, int64_t event_ns, qty_t qty,
                          px_t entry_px, money_t isolated_wallet) {
    if (event_ns < b->position_ns[instrument]) return; /* overtaken on the other socket */
    b->position_ns[instrument] = event_ns;
    b->positions[instrument].qty = qty;
    b->positions[instrument].entry_px = entry_px;
    b->positions[instrument].isolated_wallet = isolated_wallet;
}

static void on_account(struct binance *b, const struct stream_event *e) {
    const struct stream_account *a = &e->u.account;
    int funding_instrument = -1;
    for (uint32_t i = 0; i < a->count; i++) {
        int at = binance_symbol_find(b, a->positions[i].symbol);
        if (at < 0 || !a->positions[i].one_way) continue;
        funding_instrument = at;
        take_position(b, (uint32_t)at, e->event_ns, a->positions[i].qty, a->positions[i].entry_px,
                      a->positions[i].isolated_wallet);
    }
    if (a->cut) binance_reconcile(b);
    if (strcmp(a->reason, "ORDER") == 0) return;
    bool funding = strcmp(a->reason, "FUNDING_FEE") == 0;
    /* One contract of isolated margin names itself and the change is its payment; anything else (cross margin, several
     * at once, deposits) is read from the income history and the balance. */
    if (funding && a->count == 1 && funding_instrument >= 0 && a->has_wallet && a->change.e8 != 0)
        binance_orders_funding(&b->orders, (uint32_t)funding_instrument, e->ts_ns, a->change);
    else {
        b->reconcile.income_wanted |= funding;
        binance_reconcile(b);
    }
}

static void on_config(struct binance *b, const struct stream_event *e) {
    int at = binance_symbol_find(b, e->symbol);
    if (at >= 0 && e->u.config.leverage)
        binance_leverage_seen(b, (uint32_t)at, e->u.config.leverage);
}

void binance_user_event(struct binance *b, const struct stream_event *e) {
    int64_t now = binance_monotonic(b);
    int at = e->symbol[0] ? binance_symbol_find(b, e->symbol) : -1;
    switch (e->kind) {
    case STREAM_ORDER:
        if (at >= 0) binance_orders_stream(&b->orders, (uint32_t)at, &e->u.order, e->event_ns, now);
        return;
    case STREAM_ALGO:
        if (at >= 0)
            binance_orders_stream_algo(&b->orders, (uint32_t)at, &e->u.algo, e->event_ns, now);
        return;
    case STREAM_ACCOUNT:
        on_account(b, e);
        return;
    case STREAM_CONFIG:
        on_config(b, e);
        return;
    case STREAM_TRADE_LITE: /* the same fill comes as an execution report with what it cost */
    case STREAM_MARGIN_CALL:
    case STREAM_KEY_EXPIRED: /* session.c */
    case STREAM_OTHER:
    case STREAM_TRADE:
    case STREAM_KLINE:
    case STREAM_MARK:
    case STREAM_BOOK_TICKER:
    case STREAM_DEPTH:
    case STREAM_CONTRACT:
    case STREAM_REPLY:
        return;
    }
}
