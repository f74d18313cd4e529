/* Where the market stands now, one contract or all of them. */
#include <assert.h>
#include <stdlib.h>

#include "venue/server/rest_internal.h"

/* One object for a symbol, an array for all: `write` fills the object, false leaves the contract out of
 * an array. */
static int32_t one_or_all(struct rest_call *c,
                          void (*write)(struct rest_call *c, uint32_t instrument,
                                        const struct instrument *in)) {
    uint32_t instrument, begin, end;
    int32_t code = rest_symbol_optional(c, &instrument);
    if (code) return code;
    rest_symbol_range(c, instrument, &begin, &end);
    bool all = instrument == ALL_INSTRUMENTS;
    if (all) json_write_array_begin(c->out);
    for (uint32_t i = begin; i < end; i++) {
        json_write_object_begin(c->out);
        write(c, i, rest_instrument(c, i));
        json_write_object_end(c->out);
    }
    if (all) json_write_array_end(c->out);
    return 0;
}

static void write_day(struct rest_call *c, uint32_t instrument, const struct instrument *in) {
    struct json_writer *w = c->out;
    struct tick_day d;
    int px_digits = render_px_decimals(in), qty_digits = render_qty_decimals(in);
    ticks_day(c->rest->world->ticks, instrument, c->now_ns, &d);
    int64_t change = d.last.e8 - d.open.e8;
    /* percent with three digits */
    int64_t percent =
        d.open.e8 > 0 ? fx_muldiv_half_even(change, 100000, d.open.e8) * (FX_ONE / 1000) : 0;
    render_key_text(w, "symbol", in->symbol);
    render_key_decimal(w, "priceChange", change, px_digits);
    render_key_decimal(w, "priceChangePercent", percent, 3);
    render_key_decimal(w, "weightedAvgPrice", d.weighted.e8, px_digits);
    render_key_decimal(w, "lastPrice", d.last.e8, px_digits);
    render_key_decimal(w, "lastQty", d.last_qty.e8, qty_digits);
    render_key_decimal(w, "openPrice", d.open.e8, px_digits);
    render_key_decimal(w, "highPrice", d.high.e8, px_digits);
    render_key_decimal(w, "lowPrice", d.low.e8, px_digits);
    render_key_decimal(w, "volume", d.volume.e8, qty_digits);
    render_key_decimal(w, "quoteVolume", d.quote.e8, 2);
    render_key_i64(w, "openTime", rest_ms(d.open_ns));
    render_key_i64(w, "closeTime", rest_ms(d.close_ns));
    /* -1 of a day without a trade. */
    render_key_i64(w, "firstId", d.count ? (int64_t)d.first_id : -1);
    render_key_i64(w, "lastId", d.count ? (int64_t)d.last_id : -1);
    render_key_u64(w, "count", d.count);
}
int32_t rest_ticker_day(struct rest_call *c) {
    return one_or_all(c, write_day);
}

static void write_price(struct rest_call *c, uint32_t instrument, const struct instrument *in) {
    struct exchange_prices p;
    exchange_prices_get(c->exchange, instrument, &p);
    render_key_text(c->out, "symbol", in->symbol);
    render_key_decimal(c->out, "price", p.last.e8, render_px_decimals(in));
    render_key_i64(c->out, "time", rest_ms(p.last_ns));
}
int32_t rest_ticker_price(struct rest_call *c) {
    return one_or_all(c, write_price);
}

static void write_best(struct rest_call *c, uint32_t instrument, const struct instrument *in) {
    struct exchange_prices p;
    int px_digits = render_px_decimals(in), qty_digits = render_qty_decimals(in);
    exchange_prices_get(c->exchange, instrument, &p);
    render_key_text(c->out, "symbol", in->symbol);
    render_key_decimal(c->out, "bidPrice", p.bid.e8, px_digits);
    render_key_decimal(c->out, "bidQty", p.bid_qty.e8, qty_digits);
    render_key_decimal(c->out, "askPrice", p.ask.e8, px_digits);
    render_key_decimal(c->out, "askQty", p.ask_qty.e8, qty_digits);
    render_key_i64(c->out, "time", rest_ms(c->now_ns));
    render_key_u64(c->out, "lastUpdateId", p.book_sequence);
}
int32_t rest_ticker_book(struct rest_call *c) {
    return one_or_all(c, write_best);
}

/* I of the funding formula: 0.01 % per 8 hours for every contract. */
static const int64_t INTEREST_RATE_E8 = FX_ONE / 10000;

static void write_premium(struct rest_call *c, uint32_t instrument, const struct instrument *in) {
    struct exchange_prices p;
    rate_t rate = {0};
    int64_t next_ns = 0;
    exchange_prices_get(c->exchange, instrument, &p);
    market_funding_rate_get(c->rest->world->market, instrument, &rate, &next_ns);
    render_key_text(c->out, "symbol", in->symbol);
    render_key_decimal(c->out, "markPrice", p.mark.e8, 8);
    render_key_decimal(c->out, "indexPrice", p.index.e8, 8);
    render_key_decimal(c->out, "estimatedSettlePrice", p.index.e8, 8);
    render_key_decimal(c->out, "lastFundingRate", rate.e8, 8);
    render_key_decimal(c->out, "interestRate", INTEREST_RATE_E8, 8);
    render_key_i64(c->out, "nextFundingTime", rest_ms(next_ns));
    render_key_i64(c->out, "time", rest_ms(c->now_ns));
}
int32_t rest_premium_index(struct rest_call *c) {
    return one_or_all(c, write_premium);
}

int32_t rest_open_interest(struct rest_call *c) {
    uint32_t instrument;
    int32_t code = rest_symbol(c, &instrument);
    if (code) return code;
    const struct instrument *in = rest_instrument(c, instrument);
    json_write_object_begin(c->out);
    render_key_text(c->out, "symbol", in->symbol);
    render_key_decimal(c->out, "openInterest", exchange_open_interest(c->exchange, instrument).e8,
                       render_qty_decimals(in));
    render_key_i64(c->out, "time", rest_ms(c->now_ns));
    json_write_object_end(c->out);
    return 0;
}

/* ---- funding ---- */

struct funding_row {
    struct tick_funding funding;
    uint32_t instrument;
};

static int by_time(const void *a, const void *b) {
    const struct funding_row *x = a, *y = b;
    if (x->funding.ts_ns != y->funding.ts_ns) return x->funding.ts_ns < y->funding.ts_ns ? -1 : 1;
    return (x->instrument > y->instrument) - (x->instrument < y->instrument);
}

/* Rows of several contracts are merged by time; with a start the oldest `limit` of them, else the newest. */
int32_t rest_funding_rate(struct rest_call *c) {
    enum { LIMIT_MAX = 1000 };
    uint32_t instrument, begin, end, limit, count = 0;
    int64_t from_ns, to_ns;
    int32_t code = rest_symbol_optional(c, &instrument);
    if (!code) code = rest_limit(c, 100, LIMIT_MAX, &limit);
    if (!code) code = rest_times(c, &from_ns, &to_ns);
    if (code) return code;
    rest_symbol_range(c, instrument, &begin, &end);
    struct tick_funding *one = c->rest->p->rows;
    struct funding_row *rows = (struct funding_row *)(void *)(one + LIMIT_MAX);
    static_assert(INSTRUMENTS_MAX * LIMIT_MAX * sizeof *rows + LIMIT_MAX * sizeof *one <
                      REST_ROWS_BYTES,
                  "fundings of all contracts");
    for (uint32_t i = begin; i < end; i++) {
        uint32_t n =
            ticks_fundings(c->rest->world->ticks, i, from_ns, rest_until(to_ns), one, limit);
        for (uint32_t k = 0; k < n; k++)
            rows[count++] = (struct funding_row){.funding = one[k], .instrument = i};
    }
    if (end - begin > 1) qsort(rows, count, sizeof *rows, by_time);
    uint32_t first = count > limit && !from_ns ? count - limit : 0;
    json_write_array_begin(c->out);
    for (uint32_t k = first; k < count && k < first + limit; k++) {
        const struct funding_row *row = &rows[k];
        json_write_object_begin(c->out);
        render_key_text(c->out, "symbol", rest_instrument(c, row->instrument)->symbol);
        render_key_i64(c->out, "fundingTime", rest_ms(row->funding.ts_ns));
        render_key_decimal(c->out, "fundingRate", row->funding.rate.e8, 8);
        render_key_decimal(c->out, "markPrice", row->funding.mark.e8, 8);
        render_key_text(c->out, "rateType", "Regular");
        json_write_object_end(c->out);
    }
    json_write_array_end(c->out);
    return 0;
}

int32_t rest_funding_info(struct rest_call *c) {
    uint32_t count = exchange_instrument_count(c->exchange);
    json_write_array_begin(c->out);
    for (uint32_t i = 0; i < count; i++) {
        const struct instrument *in = rest_instrument(c, i);
        int64_t cap = market_funding_cap(in).e8;
        json_write_object_begin(c->out);
        render_key_text(c->out, "symbol", in->symbol);
        render_key_decimal(c->out, "adjustedFundingRateCap", cap, 8);
        render_key_decimal(c->out, "adjustedFundingRateFloor", -cap, 8);
        render_key_i64(c->out, "fundingIntervalHours", in->funding_interval_ns / NS_PER_HOUR);
        render_key_bool(c->out, "disclaimer", false);
        json_write_key(c->out, "updateTime");
        json_write_null(c->out);
        json_write_object_end(c->out);
    }
    json_write_array_end(c->out);
    return 0;
}
