/* Streams of the market but for the book: trades, candles, tickers, marks, liquidations, contracts. */
#include <string.h>

#include "venue/server/render.h"
#include "venue/server/stream_internal.h"
#include "venue/server/stream_text.h"

enum {
    MESSAGE_BYTES = 1024, /* any one object but contractInfo's brackets and the books */
    BRACKET_BYTES = 256,
    AGG_BATCH = 64,
    CANDLES_BEHIND_MAX = 32, /* closed candles told at once after the exchange's clock had jumped */
};

static int64_t to_ms(int64_t ns) {
    return ns / NS_PER_MS;
}

static const char *symbol_of(const struct streams *s, uint32_t contract) {
    return exchange_instrument(s->world->exchange, contract)->symbol;
}

/* {"e":"NAME","E":ms,"s":"SYMBOL" */
static char *put_begin(const struct streams *s, char *p, const char *event, uint32_t contract) {
    p = PUT(p, "{\"e\":");
    p = put_quoted(p, event);
    p = PUT(p, ",\"E\":");
    p = put_i64(p, to_ms(s->now_ns));
    p = PUT(p, ",\"s\":");
    return put_quoted(p, symbol_of(s, contract));
}

/* ---- trades ---- */

static void trade(struct streams *s, const struct exchange_event *e) {
    const struct stream_contract *c = &s->contracts[e->instrument];
    char *p = stream_payload(s, MESSAGE_BYTES);
    p = PUT(p, "{\"e\":\"trade\",\"E\":");
    p = put_i64(p, to_ms(s->now_ns));
    p = PUT(p, ",\"T\":");
    p = put_i64(p, to_ms(e->ts_ns));
    p = PUT(p, ",\"s\":");
    p = put_quoted(p, symbol_of(s, e->instrument));
    p = PUT(p, ",\"t\":");
    p = put_u64(p, e->trade_id);
    p = PUT(p, ",\"p\":");
    p = put_decimal(p, e->px.e8, c->px_decimals);
    p = PUT(p, ",\"q\":");
    p = put_decimal(p, e->qty.e8, c->qty_decimals);
    p = PUT(p, ",\"X\":\"MARKET\",\"m\":");
    p = put_bool(p, e->side == SIDE_SELL); /* the taker sells: the buyer is the maker */
    *p++ = '}';
    stream_publish(s, stream_number(e->instrument, SLOT_TRADE), p);
}

static void aggregate(struct streams *s, uint32_t contract, const struct tick_trade *t) {
    const struct stream_contract *c = &s->contracts[contract];
    char *p = stream_payload(s, MESSAGE_BYTES);
    p = put_begin(s, p, "aggTrade", contract);
    p = PUT(p, ",\"a\":");
    p = put_u64(p, t->agg_id);
    p = PUT(p, ",\"p\":");
    p = put_decimal(p, t->px.e8, c->px_decimals);
    p = PUT(p, ",\"q\":");
    p = put_decimal(p, t->qty.e8, c->qty_decimals);
    p = PUT(p, ",\"nq\":"); /* without RPI orders, of which there are none here */
    p = put_decimal(p, t->qty.e8, c->qty_decimals);
    p = PUT(p, ",\"f\":");
    p = put_u64(p, t->first_id);
    p = PUT(p, ",\"l\":");
    p = put_u64(p, t->last_id);
    p = PUT(p, ",\"T\":");
    p = put_i64(p, to_ms(t->ts_ns));
    p = PUT(p, ",\"m\":");
    p = put_bool(p, t->buyer_is_maker);
    p = PUT(p, ",\"st\":1}");
    stream_publish(s, stream_number(contract, SLOT_AGG), p);
}

/* Those of the last 100 ms. None of them grows any more: their inputs are done. */
static void aggregates(struct streams *s, uint32_t contract) {
    struct stream_contract *c = &s->contracts[contract];
    struct tick_trade rows[AGG_BATCH];
    c->dirty &= (uint8_t)~DIRTY_AGG;
    for (uint32_t n = AGG_BATCH; n == AGG_BATCH;) {
        n = ticks_trades(s->world->ticks, contract, true, c->agg_next, 0, INT64_MAX, rows,
                         AGG_BATCH);
        for (uint32_t i = 0; i < n; i++) aggregate(s, contract, &rows[i]);
        if (n) c->agg_next = rows[n - 1].agg_id + 1;
    }
}

/* ---- candles ---- */

static char *put_candle(char *p, const struct stream_contract *c, const struct tick_bar *b,
                        bool closed) {
    p = PUT(p, ",\"f\":");
    p = b->first_id == UINT64_MAX ? PUT(p, "-1") : put_u64(p, b->first_id);
    p = PUT(p, ",\"L\":");
    p = b->last_id == UINT64_MAX ? PUT(p, "-1") : put_u64(p, b->last_id);
    p = PUT(p, ",\"o\":");
    p = put_decimal(p, b->open.e8, c->px_decimals);
    p = PUT(p, ",\"c\":");
    p = put_decimal(p, b->close.e8, c->px_decimals);
    p = PUT(p, ",\"h\":");
    p = put_decimal(p, b->high.e8, c->px_decimals);
    p = PUT(p, ",\"l\":");
    p = put_decimal(p, b->low.e8, c->px_decimals);
    p = PUT(p, ",\"v\":");
    p = put_decimal(p, b->volume.e8, c->qty_decimals);
    p = PUT(p, ",\"n\":");
    p = put_u64(p, b->count);
    p = PUT(p, ",\"x\":");
    p = put_bool(p, closed);
    p = PUT(p, ",\"q\":");
    p = put_decimal(p, b->quote.e8, c->quote_decimals);
    p = PUT(p, ",\"V\":");
    p = put_decimal(p, b->taker_volume.e8, c->qty_decimals);
    p = PUT(p, ",\"Q\":");
    p = put_decimal(p, b->taker_quote.e8, c->quote_decimals);
    return PUT(p, ",\"B\":\"0\"}");
}

static void candle(struct streams *s, uint32_t contract, int which, const struct tick_bar *b,
                   bool closed) {
    const struct stream_contract *c = &s->contracts[contract];
    bool continuous = which >= VENUE_INTERVALS;
    char *p = stream_payload(s, MESSAGE_BYTES);
    if (continuous) {
        p = PUT(p, "{\"e\":\"continuous_kline\",\"E\":");
        p = put_i64(p, to_ms(s->now_ns));
        p = PUT(p, ",\"ps\":");
        p = put_quoted(p, symbol_of(s, contract));
        p = PUT(p, ",\"ct\":\"PERPETUAL\"");
    } else {
        p = put_begin(s, p, "kline", contract);
    }
    p = PUT(p, ",\"k\":{\"t\":");
    p = put_i64(p, to_ms(b->open_ns));
    p = PUT(p, ",\"T\":");
    p = put_i64(p, to_ms(b->close_ns));
    if (!continuous) {
        p = PUT(p, ",\"s\":");
        p = put_quoted(p, symbol_of(s, contract));
    }
    p = PUT(p, ",\"i\":");
    p = put_quoted(p, venue_interval_text(which % VENUE_INTERVALS));
    p = put_candle(p, c, b, closed);
    p = PUT(p, ",\"st\":1}");
    stream_publish(s, stream_number(contract, SLOT_KLINE + which), p);
}

static struct kline_mark mark_of(const struct tick_bar *b) {
    return (struct kline_mark){b->open_ns, b->last_id, b->count};
}

/* Candles that closed since the one told last, each with x true, then the one that forms now. */
static void candles(struct streams *s, uint32_t contract, int which) {
    struct kline_mark *told = &s->contracts[contract].klines[which];
    int interval = which % VENUE_INTERVALS;
    struct tick_bar now, closed[CANDLES_BEHIND_MAX];
    if (!ticks_bar_now(s->world->ticks, contract, interval, &now)) return;
    if (told->open_ns != INT64_MIN && told->open_ns < now.open_ns) {
        uint32_t n = ticks_bars(s->world->ticks, TICKS_LAST, contract, interval, told->open_ns,
                                now.open_ns - 1, closed, CANDLES_BEHIND_MAX);
        for (uint32_t i = 0; i < n; i++) candle(s, contract, which, &closed[i], true);
    }
    struct kline_mark mark = mark_of(&now);
    if (mark.open_ns == told->open_ns && mark.last_id == told->last_id && mark.count == told->count)
        return;
    *told = mark;
    candle(s, contract, which, &now, false);
}

static void kline_begin(struct streams *s, uint32_t contract, int which) {
    struct tick_bar now;
    bool any = ticks_bar_now(s->world->ticks, contract, which % VENUE_INTERVALS, &now);
    s->contracts[contract].klines[which] =
        any ? mark_of(&now) : (struct kline_mark){.open_ns = INT64_MIN};
}

/* ---- tickers ---- */

/* Percent with three digits; 0 without an opening price. */
static int64_t percent_e8(px_t change, px_t open) {
    if (open.e8 <= 0) return 0;
    return fx_muldiv_half_even(change.e8, 100000, open.e8) * (FX_ONE / 1000);
}

static char *put_ticker(struct streams *s, char *p, uint32_t contract, bool full) {
    const struct stream_contract *c = &s->contracts[contract];
    struct tick_day d;
    ticks_day(s->world->ticks, contract, s->now_ns, &d);
    p = put_begin(s, p, full ? "24hrTicker" : "24hrMiniTicker", contract);
    if (full) {
        px_t change = px_e8(d.last.e8 - d.open.e8);
        p = PUT(p, ",\"p\":");
        p = put_decimal(p, change.e8, c->px_decimals);
        p = PUT(p, ",\"P\":");
        p = put_decimal(p, percent_e8(change, d.open), 3);
        p = PUT(p, ",\"w\":");
        p = put_decimal(p, d.weighted.e8, c->px_decimals);
    }
    p = PUT(p, ",\"c\":");
    p = put_decimal(p, d.last.e8, c->px_decimals);
    if (full) {
        p = PUT(p, ",\"Q\":");
        p = put_decimal(p, d.last_qty.e8, c->qty_decimals);
    }
    p = PUT(p, ",\"o\":");
    p = put_decimal(p, d.open.e8, c->px_decimals);
    p = PUT(p, ",\"h\":");
    p = put_decimal(p, d.high.e8, c->px_decimals);
    p = PUT(p, ",\"l\":");
    p = put_decimal(p, d.low.e8, c->px_decimals);
    p = PUT(p, ",\"v\":");
    p = put_decimal(p, d.volume.e8, c->qty_decimals);
    p = PUT(p, ",\"q\":");
    p = put_decimal(p, d.quote.e8, c->quote_decimals);
    if (full) {
        p = PUT(p, ",\"O\":");
        p = put_i64(p, to_ms(d.open_ns));
        p = PUT(p, ",\"C\":");
        p = put_i64(p, to_ms(d.close_ns));
        p = PUT(p, ",\"F\":");
        p = put_i64(p, (int64_t)d.first_id);
        p = PUT(p, ",\"L\":");
        p = put_i64(p, (int64_t)d.last_id);
        p = PUT(p, ",\"n\":");
        p = put_u64(p, d.count);
    }
    p = PUT(p, ",\"ps\":");
    p = put_quoted(p, symbol_of(s, contract));
    return PUT(p, ",\"st\":1}");
}

static void ticker(struct streams *s, uint32_t contract, int slot) {
    char *p = put_ticker(s, stream_payload(s, MESSAGE_BYTES), contract, slot == SLOT_TICKER);
    stream_publish(s, stream_number(contract, slot), p);
}

/* All that traded since the last time, as one array. */
static void ticker_array(struct streams *s, int global, uint8_t dirty, bool full) {
    if (!stream_global_active(s, global)) return;
    char *begin = stream_payload(s, (size_t)s->contract_count * MESSAGE_BYTES), *p = begin;
    *p++ = '[';
    for (uint32_t i = 0; i < s->contract_count; i++) {
        if (!(s->contracts[i].dirty & dirty)) continue;
        s->contracts[i].dirty &= (uint8_t)~dirty;
        if (p[-1] != '[') *p++ = ',';
        p = put_ticker(s, p, i, full);
    }
    *p++ = ']';
    if (p - begin > 2) stream_publish(s, stream_global_number(s, global), p);
}

/* ---- marks ---- */

/* NULL: no mark yet. */
static char *put_mark(struct streams *s, char *p, uint32_t contract) {
    struct exchange_prices prices;
    rate_t rate;
    int64_t next_ns;
    exchange_prices_get(s->world->exchange, contract, &prices);
    if (prices.mark.e8 == 0) return NULL;
    market_funding_rate_get(s->world->market, contract, &rate, &next_ns);
    p = put_begin(s, p, "markPriceUpdate", contract);
    p = PUT(p, ",\"p\":");
    p = put_decimal(p, prices.mark.e8, 8);
    p = PUT(p, ",\"ap\":"); /* no average is kept: the mark itself */
    p = put_decimal(p, prices.mark.e8, 8);
    p = PUT(p, ",\"i\":");
    p = put_decimal(p, prices.index.e8, 8);
    p = PUT(p, ",\"P\":"); /* of use in a contract's last hour only */
    p = put_decimal(p, prices.index.e8, 8);
    p = PUT(p, ",\"r\":");
    p = put_decimal(p, rate.e8, 8);
    p = PUT(p, ",\"T\":");
    p = put_i64(p, to_ms(next_ns));
    return PUT(p, ",\"st\":1}");
}

static void mark(struct streams *s, uint32_t contract, int slot) {
    char *p = put_mark(s, stream_payload(s, MESSAGE_BYTES), contract);
    if (p) stream_publish(s, stream_number(contract, slot), p);
}

static void mark_array(struct streams *s, int global) {
    if (!stream_global_active(s, global)) return;
    char *begin = stream_payload(s, (size_t)s->contract_count * MESSAGE_BYTES), *p = begin;
    *p++ = '[';
    for (uint32_t i = 0; i < s->contract_count; i++) {
        char *from = p[-1] == '[' ? p : p + 1, *end = put_mark(s, from, i);
        if (!end) continue;
        if (from != p) *p = ',';
        p = end;
    }
    *p++ = ']';
    if (p - begin > 2) stream_publish(s, stream_global_number(s, global), p);
}

/* ---- liquidations: the largest of a contract in each second ---- */

static void forced_note(struct streams *s, const struct exchange_event *e) {
    struct stream_contract *c = &s->contracts[e->instrument];
    const struct exchange_order *was = &c->forced.u.order, *is = &e->u.order;
    bool newer =
        !c->forced_set || was->order_id == is->order_id ||
        fx_mul_floor(is->orig_qty.e8, is->price.e8) > fx_mul_floor(was->orig_qty.e8, was->price.e8);
    if (newer) c->forced = *e;
    c->forced_set = 1;
}

static void forced(struct streams *s, uint32_t contract) {
    const struct stream_contract *c = &s->contracts[contract];
    const struct exchange_order *o = &c->forced.u.order;
    char *p = stream_payload(s, MESSAGE_BYTES);
    p = PUT(p, "{\"e\":\"forceOrder\",\"E\":");
    p = put_i64(p, to_ms(s->now_ns));
    p = PUT(p, ",\"o\":{\"s\":");
    p = put_quoted(p, symbol_of(s, contract));
    p = PUT(p, ",\"S\":");
    p = put_quoted(p, side_text((enum side)o->side));
    p = PUT(p, ",\"o\":");
    p = put_quoted(p, order_type_text((enum order_type)o->type));
    p = PUT(p, ",\"f\":");
    p = put_quoted(p, time_in_force_text((enum time_in_force)o->time_in_force));
    p = PUT(p, ",\"q\":");
    p = put_decimal(p, o->orig_qty.e8, c->qty_decimals);
    p = PUT(p, ",\"p\":");
    p = put_decimal(p, o->price.e8, c->px_decimals);
    p = PUT(p, ",\"ap\":");
    p = put_decimal(p, render_average(o->cum_quote, o->cum_qty).e8, c->px_decimals);
    p = PUT(p, ",\"X\":");
    p = put_quoted(p, render_order_status(o->status));
    p = PUT(p, ",\"l\":");
    p = put_decimal(p, c->forced.qty.e8, c->qty_decimals);
    p = PUT(p, ",\"z\":");
    p = put_decimal(p, o->cum_qty.e8, c->qty_decimals);
    p = PUT(p, ",\"T\":");
    p = put_i64(p, to_ms(c->forced.ts_ns));
    p = PUT(p, "},\"st\":1}");
    if (c->active & SLOT_BIT(SLOT_FORCE)) stream_publish(s, stream_number(contract, SLOT_FORCE), p);
    if (stream_global_active(s, GLOBAL_FORCE))
        stream_publish(s, stream_global_number(s, GLOBAL_FORCE), p);
}

/* ---- contracts ---- */

static char *put_bracket(char *p, const struct instrument *in, uint32_t i) {
    const struct bracket *b = &in->brackets[i];
    uint32_t least = i + 1 < in->bracket_count ? b[1].leverage_max + 1 : 1;
    p = PUT(p, "{\"bs\":");
    p = put_u64(p, i + 1);
    p = PUT(p, ",\"bnf\":");
    p = put_e8(p, b->notional_floor.e8, 0);
    p = PUT(p, ",\"bnc\":");
    p = put_e8(p, b->notional_cap.e8, 0);
    p = PUT(p, ",\"mmr\":");
    p = put_e8(p, b->maint_margin_rate.e8, 0);
    p = PUT(p, ",\"cf\":");
    p = put_e8(p, b->maint_amount.e8, 0);
    p = PUT(p, ",\"mi\":");
    p = put_u64(p, least);
    p = PUT(p, ",\"ma\":");
    p = put_u64(p, b->leverage_max);
    *p++ = '}';
    return p;
}

static void contract_info(struct streams *s, uint32_t contract) {
    if (!stream_global_active(s, GLOBAL_CONTRACT)) return;
    static const char *const texts[] = {[INSTRUMENT_TRADING] = "TRADING",
                                        [INSTRUMENT_SETTLING] = "SETTLING",
                                        [INSTRUMENT_CLOSED] = "CLOSE"};
    const struct instrument *in = exchange_instrument(s->world->exchange, contract);
    char *p = stream_payload(s, MESSAGE_BYTES + (size_t)BRACKETS_MAX * BRACKET_BYTES);
    p = put_begin(s, p, "contractInfo", contract);
    p = PUT(p, ",\"ps\":");
    p = put_quoted(p, in->symbol);
    p = PUT(p, ",\"ct\":\"PERPETUAL\",\"dt\":");
    p = put_i64(p, to_ms(in->delivery_ts_ns));
    p = PUT(p, ",\"ot\":");
    p = put_i64(p, to_ms(in->onboard_ts_ns));
    p = PUT(p, ",\"cs\":");
    p = put_quoted(p, texts[in->status]);
    p = PUT(p, ",\"bks\":[");
    for (uint32_t i = 0; i < in->bracket_count; i++) {
        if (i) *p++ = ',';
        p = put_bracket(p, in, i);
    }
    p = PUT(p, "]}");
    stream_publish(s, stream_global_number(s, GLOBAL_CONTRACT), p);
}

/* ---- what happens, and time ---- */

void stream_market_begin(struct streams *s, uint32_t contract, int slot) {
    struct stream_contract *c = &s->contracts[contract];
    if (slot >= SLOT_KLINE) {
        kline_begin(s, contract, slot - SLOT_KLINE);
    } else if (slot >= SLOT_DEPTH) {
        stream_book_begin(s, contract, slot);
    } else if (slot == SLOT_AGG) {
        struct tick_trade last;
        uint32_t n = ticks_trades(s->world->ticks, contract, true, 0, 0, INT64_MAX, &last, 1);
        c->agg_next = n ? last.agg_id + 1 : 1;
    } else if (slot == SLOT_MINI || slot == SLOT_TICKER) {
        c->dirty |= slot == SLOT_MINI ? DIRTY_MINI
                                      : DIRTY_TICKER; /* how it stands, even if nobody trades */
    }
}

/* Ticks that were passed over come again at their own times. */
static void traded(struct streams *s, int64_t now_ns) {
    for (int c = CADENCE_100MS; c < CADENCE_COUNT; c++) {
        int64_t ns = stream_cadence_ns((enum stream_cadence)c);
        if (s->traded[c]) continue;
        s->traded[c] = true;
        if (s->next_ns[c] <= now_ns) s->next_ns[c] = (now_ns / ns + 1) * ns;
    }
}

void stream_market_event(struct streams *s, const struct exchange_event *e) {
    switch ((enum exchange_event_kind)e->kind) {
    case EXE_TRADE:
        s->contracts[e->instrument].dirty |= DIRTY_ALL;
        traded(s, e->ts_ns);
        if (s->contracts[e->instrument].active & SLOT_BIT(SLOT_TRADE)) trade(s, e);
        break;
    case EXE_LEVEL:
        stream_book_event(s, e);
        break;
    case EXE_FORCED:
        if ((s->contracts[e->instrument].active & SLOT_BIT(SLOT_FORCE)) ||
            stream_global_active(s, GLOBAL_FORCE))
            forced_note(s, e);
        break;
    case EXE_FILTERS:
        stream_contract_decimals(s, e->instrument);
        contract_info(s, e->instrument);
        break;
    case EXE_STATUS:
        contract_info(s, e->instrument);
        break;
    case EXE_ORDER:
    case EXE_ALGO:
    case EXE_ACCOUNT:
    case EXE_INCOME:
    case EXE_MARGIN_CALL:
    case EXE_LEVERAGE:
    case EXE_AMENDED:
    case EXE_MARK:
        break;
    }
}

/* due: slots of this cadence that somebody listens to. */
static void contract_tick(struct streams *s, uint32_t i, uint64_t due, bool minute) {
    struct stream_contract *c = &s->contracts[i];
    if ((due & SLOT_BIT(SLOT_AGG)) && (c->dirty & DIRTY_AGG)) aggregates(s, i);
    if (due & (DEPTH_BITS | TOP_BITS)) stream_book_tick(s, i, due);
    if ((due & KLINE_BITS) && (minute || (c->dirty & DIRTY_KLINE))) {
        c->dirty &= (uint8_t)~DIRTY_KLINE;
        for (int k = 0; k < 2 * VENUE_INTERVALS; k++)
            if (due & SLOT_BIT(SLOT_KLINE + k)) candles(s, i, k);
    }
    if (due & SLOT_BIT(SLOT_MARK_1S)) mark(s, i, SLOT_MARK_1S);
    if (due & SLOT_BIT(SLOT_MARK_3S)) mark(s, i, SLOT_MARK_3S);
    if ((due & SLOT_BIT(SLOT_MINI)) && (c->dirty & DIRTY_MINI)) {
        c->dirty &= (uint8_t)~DIRTY_MINI;
        ticker(s, i, SLOT_MINI);
    }
    if ((due & SLOT_BIT(SLOT_TICKER)) && (c->dirty & DIRTY_TICKER)) {
        c->dirty &= (uint8_t)~DIRTY_TICKER;
        ticker(s, i, SLOT_TICKER);
    }
}

static void forced_tick(struct streams *s) {
    for (uint32_t i = 0; i < s->contract_count; i++) {
        if (s->contracts[i].forced_set) forced(s, i);
        s->contracts[i].forced_set = 0;
    }
}

void stream_market_tick(struct streams *s, enum stream_cadence cadence) {
    uint64_t slots = s->cadence_slots[cadence];
    bool minute = false;
    if (cadence == CADENCE_250MS) {
        int64_t now = s->now_ns / NS_PER_MINUTE;
        minute = now != s->kline_minute;
        s->kline_minute = now;
    }
    for (uint32_t i = 0; i < s->contract_count; i++) {
        uint64_t due = s->contracts[i].active & slots;
        if (due) contract_tick(s, i, due, minute);
    }
    if (cadence == CADENCE_1S) {
        forced_tick(s);
        mark_array(s, GLOBAL_MARK_1S);
        ticker_array(s, GLOBAL_MINI, DIRTY_MINIS, false);
        ticker_array(s, GLOBAL_TICKER, DIRTY_TICKERS, true);
    }
    if (cadence == CADENCE_3S) mark_array(s, GLOBAL_MARK_3S);
}
