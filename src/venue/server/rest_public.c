/* The market as everybody may see it: book, tape, candles, tickers. */
#include <string.h>

#include "venue/server/rest_internal.h"

int32_t rest_ping(struct rest_call *c) {
    json_write_object_begin(c->out);
    json_write_object_end(c->out);
    return 0;
}

int32_t rest_time(struct rest_call *c) {
    json_write_object_begin(c->out);
    render_key_i64(c->out, "serverTime", rest_ms(c->now_ns));
    json_write_object_end(c->out);
    return 0;
}

/* ---- book ---- */

enum { DEPTH_MAX = 1000 };

static uint64_t write_levels(struct rest_call *c, const char *key, uint32_t instrument,
                             enum side side, uint32_t limit) {
    const struct instrument *in = rest_instrument(c, instrument);
    int px_digits = render_px_decimals(in), qty_digits = render_qty_decimals(in);
    struct exchange_level *levels = c->rest->p->rows;
    uint64_t sequence = 0;
    uint32_t count = exchange_depth(c->exchange, instrument, side, levels, limit, &sequence);
    json_write_key(c->out, key);
    json_write_array_begin(c->out);
    for (uint32_t i = 0; i < count; i++) {
        json_write_array_begin(c->out);
        render_decimal(c->out, levels[i].px.e8, px_digits);
        render_decimal(c->out, levels[i].qty.e8, qty_digits);
        json_write_array_end(c->out);
    }
    json_write_array_end(c->out);
    return sequence;
}

static int32_t write_book(struct rest_call *c, uint32_t instrument, uint32_t limit) {
    struct exchange_prices prices;
    exchange_prices_get(c->exchange, instrument, &prices);
    json_write_object_begin(c->out);
    render_key_u64(c->out, "lastUpdateId", prices.book_sequence);
    render_key_i64(c->out, "E", rest_ms(c->now_ns));
    render_key_i64(c->out, "T", rest_ms(c->rest->world->now_ns));
    write_levels(c, "bids", instrument, SIDE_BUY, limit);
    write_levels(c, "asks", instrument, SIDE_SELL, limit);
    json_write_object_end(c->out);
    return 0;
}

int32_t rest_depth(struct rest_call *c) {
    static const uint16_t allowed[] = {5, 10, 20, 50, 100, 500, 1000};
    uint32_t instrument;
    bool present;
    int64_t limit;
    int32_t code = rest_symbol(c, &instrument);
    if (!code) code = rest_integer(c, "limit", &present, &limit);
    if (code) return code;
    if (!present) limit = 500;
    if (limit > DEPTH_MAX) return rest_refuse(c, -1130, "limit");
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (limit == allowed[i]) return write_book(c, instrument, (uint32_t)limit);
    return rest_refuse(c, -4021, wire_param_find(c->params, "limit")->value);
}

/* There are no retail price improvement orders here, so the book with them is the book. */
int32_t rest_rpi_depth(struct rest_call *c) {
    uint32_t instrument, limit;
    int32_t code = rest_symbol(c, &instrument);
    if (!code) code = rest_limit(c, DEPTH_MAX, DEPTH_MAX, &limit);
    return code ? code : write_book(c, instrument, limit);
}

/* ---- tape ---- */

static int32_t write_trades(struct rest_call *c, uint32_t absent, uint32_t max, bool from_id) {
    uint32_t instrument, limit;
    bool has_id = false;
    int64_t id = 0;
    int32_t code = rest_symbol(c, &instrument);
    if (!code) code = rest_limit(c, absent, max, &limit);
    if (!code && from_id) code = rest_integer(c, "fromId", &has_id, &id);
    if (code) return code;
    if (has_id && id == 0) id = 1; /* 0 asks for the newest ones, and ids begin at 1 */
    const struct instrument *in = rest_instrument(c, instrument);
    struct tick_trade *rows = c->rest->p->rows;
    uint32_t count = ticks_trades(c->rest->world->ticks, instrument, false, (uint64_t)id, 0,
                                  INT64_MAX, rows, limit);
    json_write_array_begin(c->out);
    for (uint32_t i = 0; i < count; i++) {
        const struct tick_trade *t = &rows[i];
        json_write_object_begin(c->out);
        render_key_u64(c->out, "id", t->first_id);
        render_key_decimal(c->out, "price", t->px.e8, render_px_decimals(in));
        render_key_decimal(c->out, "qty", t->qty.e8, render_qty_decimals(in));
        render_key_decimal(c->out, "quoteQty", money_mul_half_even(t->px, t->qty).e8, 2);
        render_key_i64(c->out, "time", rest_ms(t->ts_ns));
        render_key_bool(c->out, "isBuyerMaker", t->buyer_is_maker);
        render_key_bool(c->out, "isRPITrade", false);
        json_write_object_end(c->out);
    }
    json_write_array_end(c->out);
    return 0;
}

int32_t rest_trades(struct rest_call *c) {
    return write_trades(c, 500, 1000, false);
}
int32_t rest_historical_trades(struct rest_call *c) {
    return write_trades(c, 100, 500, true);
}

int32_t rest_agg_trades(struct rest_call *c) {
    uint32_t instrument, limit;
    bool has_id;
    int64_t id, from_ns, to_ns;
    int32_t code = rest_symbol(c, &instrument);
    if (!code) code = rest_limit(c, 500, 1000, &limit);
    if (!code) code = rest_integer(c, "fromId", &has_id, &id);
    if (!code) code = rest_times(c, &from_ns, &to_ns);
    if (code) return code;
    if (from_ns && to_ns && to_ns - from_ns > NS_PER_HOUR) return rest_refuse(c, -1127, "1");
    if (has_id && id == 0) id = 1;
    const struct instrument *in = rest_instrument(c, instrument);
    struct tick_trade *rows = c->rest->p->rows;
    uint32_t count = ticks_trades(c->rest->world->ticks, instrument, true, (uint64_t)id, from_ns,
                                  rest_until(to_ns), rows, limit);
    json_write_array_begin(c->out);
    for (uint32_t i = 0; i < count; i++) {
        const struct tick_trade *t = &rows[i];
        json_write_object_begin(c->out);
        render_key_u64(c->out, "a", t->agg_id);
        render_key_decimal(c->out, "p", t->px.e8, render_px_decimals(in));
        render_key_decimal(c->out, "q", t->qty.e8, render_qty_decimals(in));
        render_key_decimal(c->out, "nq", t->qty.e8, render_qty_decimals(in));
        render_key_u64(c->out, "f", t->first_id);
        render_key_u64(c->out, "l", t->last_id);
        render_key_i64(c->out, "T", rest_ms(t->ts_ns));
        render_key_bool(c->out, "m", t->buyer_is_maker);
        json_write_object_end(c->out);
    }
    json_write_array_end(c->out);
    return 0;
}

/* ---- candles ---- */

enum { KLINES_MAX = 1500 };

static void write_bar(struct rest_call *c, const struct instrument *in, const struct tick_bar *b,
                      bool volumes, int px_digits) {
    struct json_writer *w = c->out;
    int qty_digits = render_qty_decimals(in);
    json_write_array_begin(w);
    json_write_i64(w, rest_ms(b->open_ns));
    render_decimal(w, b->open.e8, px_digits);
    render_decimal(w, b->high.e8, px_digits);
    render_decimal(w, b->low.e8, px_digits);
    render_decimal(w, b->close.e8, px_digits);
    render_decimal(w, volumes ? b->volume.e8 : 0, volumes ? qty_digits : 0);
    json_write_i64(w, rest_ms(b->close_ns));
    render_decimal(w, volumes ? b->quote.e8 : 0, 0);
    json_write_u64(w, b->count);
    render_decimal(w, volumes ? b->taker_volume.e8 : 0, volumes ? qty_digits : 0);
    render_decimal(w, volumes ? b->taker_quote.e8 : 0, 0);
    json_write_string(w, "0");
    json_write_array_end(w);
}

static int32_t write_klines(struct rest_call *c, uint32_t instrument, enum tick_series series) {
    const char *text;
    uint32_t limit;
    int64_t from_ns, to_ns;
    int32_t code = rest_text_required(c, "interval", &text);
    if (code) return code;
    int interval = venue_interval_find(text);
    if (interval < 0) return rest_refuse(c, -1120, "");
    code = rest_limit(c, 500, KLINES_MAX, &limit);
    if (!code) code = rest_times(c, &from_ns, &to_ns);
    if (code) return code;
    const struct instrument *in = rest_instrument(c, instrument);
    int px_digits = series == TICKS_LAST ? render_px_decimals(in) : 8;
    struct tick_bar *rows = c->rest->p->rows;
    uint32_t count = ticks_bars(c->rest->world->ticks, series, instrument, interval, from_ns,
                                rest_until(to_ns), rows, limit);
    json_write_array_begin(c->out);
    for (uint32_t i = 0; i < count; i++)
        write_bar(c, in, &rows[i], series == TICKS_LAST, px_digits);
    json_write_array_end(c->out);
    return 0;
}

static int32_t klines_of_symbol(struct rest_call *c, enum tick_series series) {
    uint32_t instrument;
    int32_t code = rest_symbol(c, &instrument);
    return code ? code : write_klines(c, instrument, series);
}

/* A pair's perpetual has the pair's name. */
static int32_t pair(struct rest_call *c, uint32_t *instrument) {
    const char *text;
    int32_t code = rest_text_required(c, "pair", &text);
    if (code) return code;
    int found = world_find(c->rest->world, text, strlen(text));
    *instrument = (uint32_t)found;
    return found < 0 ? rest_refuse(c, -4144, "") : 0;
}

/* *perpetual false: a kind of contract that exists on the venue and is not listed here. */
static int32_t contract_type(struct rest_call *c, bool *perpetual) {
    static const char *const others[] = {"CURRENT_MONTH", "NEXT_MONTH", "CURRENT_QUARTER",
                                         "NEXT_QUARTER", "TRADIFI_PERPETUAL"};
    const char *text;
    *perpetual = false;
    int32_t code = rest_text_required(c, "contractType", &text);
    if (code) return code;
    *perpetual = strcmp(text, "PERPETUAL") == 0;
    if (*perpetual) return 0;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(text, others[i]) == 0) return 0;
    return rest_refuse(c, -4104, "");
}

int32_t rest_klines(struct rest_call *c) {
    return klines_of_symbol(c, TICKS_LAST);
}
int32_t rest_mark_klines(struct rest_call *c) {
    return klines_of_symbol(c, TICKS_MARK);
}
int32_t rest_premium_klines(struct rest_call *c) {
    return klines_of_symbol(c, TICKS_PREMIUM);
}
int32_t rest_index_klines(struct rest_call *c) {
    uint32_t instrument;
    int32_t code = pair(c, &instrument);
    return code ? code : write_klines(c, instrument, TICKS_INDEX);
}
int32_t rest_continuous_klines(struct rest_call *c) {
    uint32_t instrument;
    bool perpetual;
    int32_t code = pair(c, &instrument);
    if (!code) code = contract_type(c, &perpetual);
    if (code) return code;
    return perpetual ? write_klines(c, instrument, TICKS_LAST) : rest_empty_list(c);
}

/* ---- statistics of /futures/data that the candles hold ---- */

static int32_t period(struct rest_call *c, int *interval, uint32_t *limit, int64_t *from_ns,
                      int64_t *to_ns) {
    static const char *const periods[] = {"5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d"};
    const char *text;
    *interval = -1;
    int32_t code = rest_text_required(c, "period", &text);
    if (code) return code;
    for (size_t i = 0; i < sizeof periods / sizeof *periods; i++)
        if (strcmp(text, periods[i]) == 0) *interval = venue_interval_find(text);
    if (*interval < 0) return rest_refuse(c, -1130, "period");
    code = rest_limit(c, 30, 500, limit);
    return code ? code : rest_times(c, from_ns, to_ns);
}

int32_t rest_data_empty(struct rest_call *c) {
    uint32_t instrument, limit;
    int interval;
    int64_t from_ns, to_ns;
    int32_t code = rest_symbol(c, &instrument);
    if (!code) code = period(c, &interval, &limit, &from_ns, &to_ns);
    return code ? code : rest_empty_list(c);
}

int32_t rest_data_taker(struct rest_call *c) {
    uint32_t instrument, limit;
    int interval;
    int64_t from_ns, to_ns;
    int32_t code = rest_symbol(c, &instrument);
    if (!code) code = period(c, &interval, &limit, &from_ns, &to_ns);
    if (code) return code;
    struct tick_bar *rows = c->rest->p->rows;
    uint32_t count = ticks_bars(c->rest->world->ticks, TICKS_LAST, instrument, interval, from_ns,
                                rest_until(to_ns), rows, limit);
    json_write_array_begin(c->out);
    for (uint32_t i = 0; i < count; i++) {
        int64_t buy = rows[i].taker_volume.e8, sell = rows[i].volume.e8 - buy;
        json_write_object_begin(c->out);
        render_key_decimal(c->out, "buySellRatio",
                           sell > 0 ? fx_muldiv_half_even(buy, 10000, sell) * 10000 : 0, 4);
        render_key_decimal(c->out, "buyVol", buy, 4);
        render_key_decimal(c->out, "sellVol", sell, 4);
        render_key_i64(c->out, "timestamp", rest_ms(rows[i].open_ns));
        json_write_object_end(c->out);
    }
    json_write_array_end(c->out);
    return 0;
}

int32_t rest_data_basis(struct rest_call *c) {
    uint32_t instrument, limit;
    int interval;
    int64_t from_ns, to_ns;
    bool perpetual;
    int32_t code = pair(c, &instrument);
    if (!code) code = contract_type(c, &perpetual);
    if (!code) code = period(c, &interval, &limit, &from_ns, &to_ns);
    if (code) return code;
    if (!perpetual) return rest_empty_list(c);
    const struct instrument *in = rest_instrument(c, instrument);
    const struct ticks *ticks = c->rest->world->ticks;
    struct tick_bar *last = c->rest->p->rows, *index = last + KLINES_MAX;
    uint32_t n = ticks_bars(ticks, TICKS_LAST, instrument, interval, from_ns, rest_until(to_ns),
                            last, limit);
    uint32_t m = ticks_bars(ticks, TICKS_INDEX, instrument, interval, from_ns, rest_until(to_ns),
                            index, limit);
    json_write_array_begin(c->out);
    for (uint32_t i = 0, j = 0; i < n; i++) {
        while (j < m && index[j].open_ns < last[i].open_ns) j++;
        if (j == m || index[j].open_ns != last[i].open_ns || index[j].close.e8 <= 0) continue;
        int64_t basis = last[i].close.e8 - index[j].close.e8;
        json_write_object_begin(c->out);
        render_key_decimal(c->out, "indexPrice", index[j].close.e8, 8);
        render_key_text(c->out, "contractType", "PERPETUAL");
        render_key_decimal(c->out, "basisRate",
                           fx_muldiv_half_even(basis, 10000, index[j].close.e8) * 10000, 4);
        render_key_decimal(c->out, "futuresPrice", last[i].close.e8, render_px_decimals(in));
        render_key_text(c->out, "annualizedBasisRate", "");
        render_key_decimal(c->out, "basis", basis, 8);
        render_key_text(c->out, "pair", in->symbol);
        render_key_i64(c->out, "timestamp", rest_ms(last[i].open_ns));
        json_write_object_end(c->out);
    }
    json_write_array_end(c->out);
    return 0;
}
