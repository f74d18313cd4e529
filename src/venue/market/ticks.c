/* Statistics, the writing half: events become candles, the tape and the funding history. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "venue/market/ticks_internal.h"

__extension__ typedef __int128 i128;

const int64_t TICKS_RING_NS[TICKS_RINGS] = {NS_PER_MINUTE, 5 * NS_PER_MINUTE, NS_PER_HOUR,
                                            NS_PER_DAY};

/* Rows as stored. Prices are px * 10^exponent: a contract has less than 2^31 ticks, and what comes
 * with more digits (nobody's prices do) keeps nine of them. Ids are relative to the contract's
 * first. */
struct row_price {
    int32_t px[4];
    uint8_t exponent, traded;
    uint16_t reserved;
};
struct row_last {
    struct row_price price;
    uint32_t count, first, span; /* span: last id less first */
    int64_t volume, taker_volume, quote, taker_quote;
};
static_assert(sizeof(struct row_price) == 20 && sizeof(struct row_last) == 64, "stored rows");

/* ---- layout ---- */

/* To fold an hour there must be its minutes, whatever is asked to be kept. */
static uint32_t rows_of(const struct ticks_limits *l, int series, int ring) {
    static const uint32_t part[2][TICKS_RINGS] = {{1, 1, 1, 4}, {3, 0, 3, 12}};
    uint32_t p = part[series != TICKS_LAST][ring], n = p ? l->bars / p : 0;
    return p && n < 60 ? 60 : n;
}

static size_t aligned(size_t size) {
    return (size + 63) & ~(size_t)63;
}

static size_t layout(struct ticks *t, const struct ticks_limits *l) {
    size_t at = 0;
    for (int series = 0; series < TICKS_SERIES; series++)
        for (int ring = 0; ring < TICKS_RINGS; ring++) {
            size_t row = series == TICKS_LAST ? sizeof(struct row_last) : sizeof(struct row_price);
            t->rows[series][ring] = rows_of(l, series, ring);
            t->ring_at[series][ring] = at;
            at = aligned(at + row * t->rows[series][ring]);
        }
    t->tape_at = at;
    at = aligned(at + sizeof(struct ticks_row_trade) * l->trades);
    t->funding_at = at;
    t->stride = aligned(at + sizeof(struct tick_funding) * l->fundings);
    t->rows_at = aligned(sizeof *t + sizeof *t->contracts * l->instrument_count);
    return t->rows_at + t->stride * l->instrument_count;
}

size_t ticks_size(const struct ticks_limits *limits) {
    struct ticks t;
    return layout(&t, limits);
}

struct ticks *ticks_init(void *memory, const struct ticks_limits *limits) {
    struct ticks *t = memory;
    ASSERT(limits->instrument_count >= 1 && limits->trades >= 1 && limits->fundings >= 1);
    memset(t, 0, sizeof *t + sizeof *t->contracts * limits->instrument_count);
    layout(t, limits);
    t->limits = *limits;
    t->close_ns = INT64_MIN;
    return t;
}

/* A part of a contract's rows. */
static void *part_of(struct ticks *t, uint32_t i, size_t at) {
    return (char *)t + t->rows_at + t->stride * i + at;
}

/* ---- rows ---- */

static size_t row_at(const struct ticks *t, int series, int ring, uint64_t number) {
    size_t row = series == TICKS_LAST ? sizeof(struct row_last) : sizeof(struct row_price);
    return t->ring_at[series][ring] + row * (size_t)(number % t->rows[series][ring]);
}

static int64_t magnitude_max(const struct ticks_candle *c) {
    int64_t high = c->high < 0 ? -c->high : c->high, low = c->low < 0 ? -c->low : c->low;
    return high > low ? high : low;
}

/* Half away from zero. */
static int32_t scaled(int64_t x, int64_t unit) {
    return (int32_t)((x + (x < 0 ? -unit / 2 : unit / 2)) / unit);
}

static void price_pack(struct row_price *out, const struct ticks_candle *c) {
    int64_t unit = 1, most = magnitude_max(c);
    uint8_t exponent = 0;
    while (most / unit >= INT32_MAX) {
        unit *= 10;
        exponent++;
    }
    *out = (struct row_price){.px = {scaled(c->open, unit), scaled(c->high, unit),
                                     scaled(c->low, unit), scaled(c->close, unit)},
                              .exponent = exponent,
                              .traded = c->traded};
}

static void price_unpack(const struct row_price *row, struct ticks_candle *out) {
    int64_t unit = 1;
    for (int k = 0; k < row->exponent; k++) unit *= 10;
    *out = (struct ticks_candle){.open = row->px[0] * unit,
                                 .high = row->px[1] * unit,
                                 .low = row->px[2] * unit,
                                 .close = row->px[3] * unit,
                                 .first_id = UINT64_MAX,
                                 .last_id = UINT64_MAX,
                                 .any = true,
                                 .traded = row->traded != 0};
}

static void row_push(struct ticks *t, uint32_t i, int series, int ring,
                     const struct ticks_candle *c) {
    struct ticks_contract *k = &t->contracts[i];
    void *at = part_of(t, i, row_at(t, series, ring, k->track[series].pushed[ring]++));
    if (series != TICKS_LAST) {
        price_pack(at, c);
        return;
    }
    struct row_last *row = at;
    bool ids = c->first_id != UINT64_MAX;
    price_pack(&row->price, c);
    row->count = c->count;
    row->first = ids ? (uint32_t)(c->first_id - k->base_id) : UINT32_MAX;
    row->span = ids ? (uint32_t)(c->last_id - c->first_id) : 0;
    row->volume = c->volume;
    row->taker_volume = c->taker_volume;
    row->quote = c->quote;
    row->taker_quote = c->taker_quote;
}

static void row_read(const struct ticks *t, uint32_t i, int series, int ring, uint64_t number,
                     struct ticks_candle *out) {
    const void *at = (const char *)t + t->rows_at + t->stride * i + row_at(t, series, ring, number);
    if (series != TICKS_LAST) {
        price_unpack(at, out);
        return;
    }
    const struct row_last *row = at;
    price_unpack(&row->price, out);
    out->count = row->count;
    out->volume = row->volume;
    out->taker_volume = row->taker_volume;
    out->quote = row->quote;
    out->taker_quote = row->taker_quote;
    if (row->first == UINT32_MAX) return;
    out->first_id = t->contracts[i].base_id + row->first;
    out->last_id = out->first_id + row->span;
}

/* ---- folding ---- */

static int64_t add_saturating(int64_t a, int64_t b) {
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* c comes behind out. A candle without a trade adds nothing to one that has any. */
static void fold(struct ticks_candle *out, const struct ticks_candle *c) {
    if (!c->any || (out->any && !c->traded)) return;
    if (!out->any || !out->traded) {
        *out = *c;
        return;
    }
    if (c->high > out->high) out->high = c->high;
    if (c->low < out->low) out->low = c->low;
    out->close = c->close;
    out->volume = add_saturating(out->volume, c->volume);
    out->taker_volume = add_saturating(out->taker_volume, c->taker_volume);
    out->quote = add_saturating(out->quote, c->quote);
    out->taker_quote = add_saturating(out->taker_quote, c->taker_quote);
    out->count += c->count;
    if (out->first_id == UINT64_MAX) out->first_id = c->first_id;
    if (c->last_id != UINT64_MAX) out->last_id = c->last_id;
}

/* The coarsest row that starts at *at, or where the series begins if that is later, and ends by
 * `to`. */
static bool row_next(const struct ticks *t, uint32_t i, int series, int64_t *at, int64_t to,
                     struct ticks_candle *out) {
    const struct ticks_track *k = &t->contracts[i].track[series];
    for (int ring = TICKS_RINGS - 1; ring >= 0; ring--) {
        int64_t length = TICKS_RING_NS[ring], first = k->begin_ns / length * length;
        int64_t open = *at > first ? *at : first;
        if (open % length != 0 || open > to - length) continue;
        uint64_t number = (uint64_t)((open - first) / length);
        if (number >= k->pushed[ring] || number + t->rows[series][ring] < k->pushed[ring]) continue;
        row_read(t, i, series, ring, number, out);
        *at = open + length;
        return true;
    }
    return false;
}

bool ticks_fold(const struct ticks *t, uint32_t instrument, enum tick_series series,
                int64_t from_ns, int64_t to_ns, struct ticks_candle *out) {
    const struct ticks_track *k = &t->contracts[instrument].track[series];
    struct ticks_candle row;
    memset(out, 0, sizeof *out);
    out->first_id = out->last_id = UINT64_MAX;
    if (!k->begun) return true;
    int64_t forming = ticks_forming(k), end = to_ns < forming ? to_ns : forming;
    if (to_ns <= k->begin_ns) return true;
    for (int64_t at = from_ns; at < end && k->begin_ns < end;) {
        if (!row_next(t, instrument, (int)series, &at, end, &row)) return false;
        fold(out, &row);
    }
    if (from_ns <= forming && forming < to_ns) fold(out, &k->now);
    return true;
}

/* ---- time ---- */

/* The forming minute is over: its row, and the rows of the longer intervals that end with it. */
static void minute_close(struct ticks *t, uint32_t i, int series) {
    struct ticks_track *k = &t->contracts[i].track[series];
    int64_t end = ticks_forming(k) + NS_PER_MINUTE, close = k->now.close;
    row_push(t, i, series, 0, &k->now);
    k->now = (struct ticks_candle){.open = close,
                                   .high = close,
                                   .low = close,
                                   .close = close,
                                   .first_id = UINT64_MAX,
                                   .last_id = UINT64_MAX,
                                   .any = true};
    for (int ring = 1; ring < TICKS_RINGS; ring++) {
        struct ticks_candle c;
        if (end % TICKS_RING_NS[ring] != 0) break; /* lengths divide each other */
        if (t->rows[series][ring] == 0) continue;
        bool whole = ticks_fold(t, i, (enum tick_series)series, end - TICKS_RING_NS[ring], end, &c);
        ASSERT(whole && c.any);
        row_push(t, i, series, ring, &c);
    }
}

/* Closes what ended by now. */
static void track_time(struct ticks *t, uint32_t i, int series, int64_t now_ns) {
    const struct ticks_track *k = &t->contracts[i].track[series];
    while (k->begun && ticks_forming(k) + NS_PER_MINUTE <= now_ns) minute_close(t, i, series);
}

/* The forming minute is the one that holds ts. */
static struct ticks_candle *track_at(struct ticks *t, uint32_t i, int series, int64_t ts_ns) {
    struct ticks_track *k = &t->contracts[i].track[series];
    if (k->begun) {
        track_time(t, i, series, ts_ns);
    } else {
        k->begun = true;
        k->begin_ns = ts_ns / NS_PER_MINUTE * NS_PER_MINUTE;
    }
    ASSERT(ts_ns >= ticks_forming(k)); /* time does not go back */
    return &k->now;
}

void ticks_time(struct ticks *t, int64_t now_ns) {
    if (now_ns < t->close_ns) return;
    for (uint32_t i = 0; i < t->limits.instrument_count; i++)
        for (int series = 0; series < TICKS_SERIES; series++) track_time(t, i, series, now_ns);
    t->close_ns = (now_ns / NS_PER_MINUTE + 1) * NS_PER_MINUTE;
}

/* ---- events ---- */

static void value_add(struct ticks_candle *c, int64_t value) {
    const struct ticks_candle one = {.open = value,
                                     .high = value,
                                     .low = value,
                                     .close = value,
                                     .first_id = UINT64_MAX,
                                     .last_id = UINT64_MAX,
                                     .any = true,
                                     .traded = true};
    fold(c, &one);
}

static void tape_add(struct ticks *t, const struct exchange_event *e) {
    struct ticks_contract *k = &t->contracts[e->instrument];
    struct ticks_row_trade *tape = part_of(t, e->instrument, t->tape_at);
    bool buyer_is_maker = e->side == SIDE_SELL, same = false;
    if (k->trades > 0) {
        const struct ticks_row_trade *last = &tape[(k->trades - 1) % t->limits.trades];
        same = k->last_taker == e->sequence && last->px == e->px.e8 &&
               ((last->agg & 2) != 0) == buyer_is_maker;
    }
    if (!same) k->aggs++;
    tape[k->trades++ % t->limits.trades] =
        (struct ticks_row_trade){.id = e->trade_id,
                                 .ts_ns = e->ts_ns,
                                 .px = e->px.e8,
                                 .qty = e->qty.e8,
                                 .agg = k->aggs * 4 + (buyer_is_maker ? 2 : 0) + (same ? 1 : 0)};
    k->last_taker = e->sequence;
}

static void trade_add(struct ticks *t, const struct exchange_event *e) {
    struct ticks_contract *k = &t->contracts[e->instrument];
    i128 product = (i128)e->px.e8 * e->qty.e8 / FX_ONE;
    int64_t quote = product > INT64_MAX ? INT64_MAX : (int64_t)product;
    bool taker_buys = e->side == SIDE_BUY;
    if (k->trades == 0) k->base_id = e->trade_id;
    tape_add(t, e);
    k->last = e->px.e8;
    k->last_qty = e->qty.e8;
    const struct ticks_candle one = {.open = e->px.e8,
                                     .high = e->px.e8,
                                     .low = e->px.e8,
                                     .close = e->px.e8,
                                     .volume = e->qty.e8,
                                     .taker_volume = taker_buys ? e->qty.e8 : 0,
                                     .quote = quote,
                                     .taker_quote = taker_buys ? quote : 0,
                                     .first_id = e->trade_id,
                                     .last_id = e->trade_id,
                                     .count = 1,
                                     .any = true,
                                     .traded = true};
    fold(track_at(t, e->instrument, TICKS_LAST, e->ts_ns), &one);
}

void ticks_event(struct ticks *t, const struct exchange_event *e) {
    if (e->kind == EXE_TRADE) {
        ASSERT(e->instrument < t->limits.instrument_count);
        trade_add(t, e);
    } else if (e->kind == EXE_MARK && e->px2.e8 > 0) {
        ASSERT(e->instrument < t->limits.instrument_count);
        int64_t premium = fx_muldiv_half_even(e->px.e8 - e->px2.e8, FX_ONE, e->px2.e8);
        value_add(track_at(t, e->instrument, TICKS_MARK, e->ts_ns), e->px.e8);
        value_add(track_at(t, e->instrument, TICKS_INDEX, e->ts_ns), e->px2.e8);
        value_add(track_at(t, e->instrument, TICKS_PREMIUM, e->ts_ns), premium);
    }
}

static int64_t amount_of(double x) {
    return x >= 9e10 ? INT64_MAX : fx_from_f64(x);
}

void ticks_seed(struct ticks *t, uint32_t instrument, const struct bar *bar) {
    ASSERT(instrument < t->limits.instrument_count && bar_is_possible(bar));
    ASSERT(bar->open_ts_ns > 0 && bar->open_ts_ns % NS_PER_MINUTE == 0);
    struct ticks_contract *k = &t->contracts[instrument];
    double taker = isnan(bar->taker_buy_ratio) ? 0 : (double)bar->taker_buy_ratio;
    double quote =
        isnan(bar->quote_volume) ? bar->volume * px_to_f64(bar->close) : bar->quote_volume;
    ASSERT(k->trades == 0);
    struct ticks_candle *c = track_at(t, instrument, TICKS_LAST, bar->open_ts_ns);
    *c =
        (struct ticks_candle){.open = bar->open.e8,
                              .high = bar->high.e8,
                              .low = bar->low.e8,
                              .close = bar->close.e8,
                              .volume = amount_of(bar->volume),
                              .taker_volume = amount_of(bar->volume * taker),
                              .quote = amount_of(quote),
                              .taker_quote = amount_of(quote * taker),
                              .first_id = UINT64_MAX,
                              .last_id = UINT64_MAX,
                              .count = bar->trade_count == BAR_COUNT_UNKNOWN ? 0 : bar->trade_count,
                              .any = true,
                              .traded = bar->volume > 0 || bar->high.e8 > bar->low.e8};
    track_time(t, instrument, TICKS_LAST, bar->open_ts_ns + NS_PER_MINUTE);
    k->last = bar->close.e8;
}

void ticks_funding(struct ticks *t, uint32_t instrument, int64_t ts_ns, rate_t rate, px_t mark) {
    ASSERT(instrument < t->limits.instrument_count);
    struct tick_funding *rows = part_of(t, instrument, t->funding_at);
    rows[t->contracts[instrument].fundings++ % t->limits.fundings] =
        (struct tick_funding){.ts_ns = ts_ns, .rate = rate, .mark = mark};
}
