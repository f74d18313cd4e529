/* Candles, trades and mark prices of the followed contracts, gaps filled by REST. */
#include <string.h>

#include "base/tstamp.h"
#include "venue/binance/binance_internal.h"

/* How long after its end a candle may be missing before REST is asked for it. */
#define BAR_LATE_NS  (4 * NS_PER_SECOND)
#define BAR_RETRY_NS (3 * NS_PER_SECOND) /* doubled with every try in vain */
enum { KLINES_PAGE = 499 /* the most rows for a weight of 2 */, KLINES_WEIGHT = 2 };

static void tell_bar(struct binance *b, uint32_t instrument, const struct bar *bar) {
    struct market_symbol *m = &b->market[instrument];
    m->last_open_ns = bar->open_ts_ns;
    if (!b->options.handlers.on_bar) return;
    b->told = true;
    b->options.handlers.on_bar(b->options.handlers.context, instrument, bar);
}

/* What waited behind the gap and now joins on. */
static void drain(struct binance *b, uint32_t instrument) {
    struct market_symbol *m = &b->market[instrument];
    uint32_t done = 0;
    for (; done < m->held_count; done++) {
        if (m->held[done].open_ts_ns > m->last_open_ns + b->interval_ns) break;
        if (m->held[done].open_ts_ns == m->last_open_ns + b->interval_ns)
            tell_bar(b, instrument, &m->held[done]);
    }
    memmove(m->held, &m->held[done], (size_t)(m->held_count - done) * sizeof m->held[0]);
    m->held_count = (uint8_t)(m->held_count - done);
    if (m->held_count && m->ask_at_ns == 0) m->ask_at_ns = binance_monotonic(b);
}

static void take_bar(struct binance *b, uint32_t instrument, const struct bar *bar) {
    struct market_symbol *m = &b->market[instrument];
    if (bar->open_ts_ns <= m->last_open_ns) {
        b->stats.duplicates_dropped++;
        return;
    }
    if (bar->open_ts_ns == m->last_open_ns + b->interval_ns) {
        tell_bar(b, instrument, bar);
        drain(b, instrument);
        return;
    }
    b->stats.stream_gaps++;
    if (m->held_count == BARS_HELD_MAX) { /* the oldest will come with the gap */
        memmove(m->held, m->held + 1, (BARS_HELD_MAX - 1) * sizeof m->held[0]);
        m->held_count--;
    }
    m->held[m->held_count++] = *bar;
    if (m->ask_at_ns == 0) m->ask_at_ns = binance_monotonic(b);
}

void binance_market_event(struct binance *b, const struct stream_event *e) {
    const struct binance_handlers *h = &b->options.handlers;
    int at = binance_symbol_find(b, e->symbol);
    if (at < 0) return;
    uint32_t i = (uint32_t)at;
    struct market_symbol *m = &b->market[i];
    switch (e->kind) {
    case STREAM_KLINE:
        if (!e->u.kline.closed || strcmp(e->u.kline.interval, b->options.interval) != 0) return;
        b->stirred = true;
        take_bar(b, i, &e->u.kline.bar);
        return;
    case STREAM_TRADE:
        if (e->u.trade.id <= m->last_tick_id) {
            b->stats.duplicates_dropped++;
            return;
        }
        m->last_tick_id = e->u.trade.id;
        binance_orders_price(b, i, e->u.trade.px, false);
        if (!h->on_tick) return;
        b->told = true;
        h->on_tick(h->context, i, e->ts_ns, e->u.trade.id, e->u.trade.px, e->u.trade.qty);
        return;
    case STREAM_MARK:
        if (e->event_ns <= m->mark_ns) return; /* overtaken on the other socket */
        m->mark_ns = e->event_ns;
        b->orders.symbols[i].funding_rate = e->u.mark.funding;
        binance_orders_price(b, i, e->u.mark.mark, true);
        if (!h->on_mark) return;
        b->told = true;
        h->on_mark(h->context, i, e->event_ns, e->u.mark.mark, e->u.mark.funding,
                   e->u.mark.next_funding_ns);
        return;
    case STREAM_CONTRACT:
        if (b->instruments[i].status == e->u.contract.status) return;
        b->instruments[i].status = e->u.contract.status;
        if (e->u.contract.delivery_ns) b->instruments[i].delivery_ts_ns = e->u.contract.delivery_ns;
        binance_instrument_changed(b, i);
        return;
    case STREAM_OTHER:
    case STREAM_BOOK_TICKER:
    case STREAM_DEPTH:
    case STREAM_ORDER:
    case STREAM_ALGO:
    case STREAM_ACCOUNT:
    case STREAM_TRADE_LITE:
    case STREAM_CONFIG:
    case STREAM_MARGIN_CALL:
    case STREAM_KEY_EXPIRED:
    case STREAM_REPLY:
        return;
    }
}

/* ---- gaps ---- */

static void done_klines(void *context, const struct request *r, const struct answer *a) {
    struct binance *b = context;
    uint32_t i = (uint32_t)r->ref;
    struct market_symbol *m = &b->market[i];
    m->asking = false;
    if (a->outcome != OUTCOME_DONE || !binance_rest_is_whole(a->body, a->size)) {
        m->ask_at_ns = a->received_ns + BAR_RETRY_NS;
        return;
    }
    int64_t venue_ns = binance_clock_now(&b->clock, r->sent_ns), before_ns = m->last_open_ns;
    struct json_reader reader;
    struct bar bar;
    json_reader_init(&reader, a->body, a->size);
    json_array_begin(&reader);
    while (json_array_next(&reader) && binance_read_kline(&reader, &bar)) {
        if (bar.open_ts_ns + b->interval_ns > venue_ns) break; /* not closed when it was read */
        if (bar.open_ts_ns <= m->last_open_ns) continue;
        /* A hole that REST has too (the venue stood still) is the market's, not ours. */
        tell_bar(b, i, &bar);
        b->stats.gap_fills++;
    }
    drain(b, i);
    if (m->last_open_ns > before_ns) {
        m->misses = 0;
        return;
    }
    /* The venue has none either: a contract that stands still. */
    m->ask_at_ns = a->received_ns + (BAR_RETRY_NS << m->misses);
    if (m->misses < 5) m->misses++;
}

static void ask_klines(struct binance *b, uint32_t i) {
    struct market_symbol *m = &b->market[i];
    struct request *r = binance_request(b, LANE_DATA, HTTP_GET, AUTH_NONE, "/fapi/v1/klines",
                                        KLINES_WEIGHT, done_klines, i);
    if (!r) return;
    r->repeatable = true;
    r->tries_max = 5;
    binance_param(r, "symbol", b->instruments[i].symbol);
    binance_param(r, "interval", b->options.interval);
    binance_param_i64(r, "startTime", (m->last_open_ns + b->interval_ns) / NS_PER_MS);
    binance_param_i64(r, "limit", KLINES_PAGE);
    m->asking = true;
    m->ask_at_ns = 0;
}

int64_t binance_market_time(struct binance *b, int64_t now_ns) {
    int64_t deadline = INT64_MAX;
    if (!b->started || !b->clock.known) return deadline;
    int64_t venue_ns = binance_clock_now(&b->clock, now_ns);
    for (uint32_t i = 0; i < b->instrument_count; i++) {
        struct market_symbol *m = &b->market[i];
        if (m->asking || b->instruments[i].status == INSTRUMENT_CLOSED) continue;
        /* The one after the last must have ended, and somebody should have said so. */
        int64_t due_ns = m->last_open_ns + 2 * b->interval_ns + BAR_LATE_NS;
        if (m->ask_at_ns == 0 && venue_ns >= due_ns) m->ask_at_ns = now_ns;
        if (m->ask_at_ns && m->ask_at_ns <= now_ns) {
            ask_klines(b, i);
            continue;
        }
        int64_t at = m->ask_at_ns ? m->ask_at_ns : binance_clock_to_monotonic(&b->clock, due_ns);
        if (at < deadline) deadline = at;
    }
    return deadline;
}

void binance_market_start(struct binance *b) {
    int64_t venue_ns = binance_clock_now(&b->clock, binance_monotonic(b));
    for (uint32_t i = 0; i < b->instrument_count; i++)
        if (b->market[i].last_open_ns == 0)
            b->market[i].last_open_ns = venue_ns - venue_ns % b->interval_ns - b->interval_ns;
}

/* ---- history on demand ---- */

enum status binance_bars(struct binance *b, uint32_t instrument, int64_t from_ns, int64_t to_ns,
                         struct bar *out, size_t max, size_t *count, struct err *err) {
    *count = 0;
    if (!b->loaded || instrument >= b->instrument_count)
        return err_set(err, ST_INVALID, "no contract %u: load first", instrument);
    while (from_ns < to_ns && *count < max) {
        struct ask a;
        struct request *r = binance_request(b, LANE_DATA, HTTP_GET, AUTH_NONE, "/fapi/v1/klines",
                                            KLINES_WEIGHT, NULL, 0);
        if (!r) return err_set(err, ST_FULL, "too many requests are waiting");
        binance_param(r, "symbol", b->instruments[instrument].symbol);
        binance_param(r, "interval", b->options.interval);
        binance_param_i64(r, "startTime", (from_ns + NS_PER_MS - 1) / NS_PER_MS);
        binance_param_i64(r, "endTime", (to_ns - 1) / NS_PER_MS);
        binance_param_i64(r, "limit", KLINES_PAGE);
        int64_t asked_ns = binance_monotonic(b);
        enum status st = binance_ask(b, r, &a, asked_ns + 120 * NS_PER_SECOND, err);
        if (st != ST_OK)
            return err_wrap(err, st, "candles of %s", b->instruments[instrument].symbol);
        struct json_reader reader;
        struct bar bar;
        size_t rows = 0;
        bool open = false;
        int64_t venue_ns = binance_clock_now(&b->clock, asked_ns);
        json_reader_init(&reader, a.body, a.size);
        json_array_begin(&reader);
        while (json_array_next(&reader) && binance_read_kline(&reader, &bar)) {
            rows++;
            if (bar.open_ts_ns + b->interval_ns > venue_ns) {
                open = true;
                continue;
            }
            if (bar.open_ts_ns < from_ns || bar.open_ts_ns >= to_ns || *count == max) continue;
            out[(*count)++] = bar;
            from_ns = bar.open_ts_ns + b->interval_ns;
            if (bar.open_ts_ns > b->market[instrument].last_open_ns && !b->started)
                b->market[instrument].last_open_ns = bar.open_ts_ns;
        }
        st = reader.error || !binance_rest_is_whole(a.body, a.size) ? ST_INVALID : ST_OK;
        binance_ask_free(&a);
        if (st != ST_OK)
            return err_set(err, st, "candles of %s: the reply is not a list of candles",
                           b->instruments[instrument].symbol);
        if (rows < KLINES_PAGE || open) break;
    }
    return ST_OK;
}
