/* Statistics, the reading half. */
#include "base/assert.h"
#include "venue/market/ticks_internal.h"

/* ---- candles ---- */

static int64_t interval_after(int interval, int64_t open_ns) {
    int64_t length = venue_interval_ns(interval);
    /* Whatever month it is, 32 days later is in the next one. */
    return length ? open_ns + length : venue_interval_open(interval, open_ns + 32 * NS_PER_DAY);
}

static int64_t interval_from(int interval, int64_t ts_ns) {
    int64_t open = venue_interval_open(interval, ts_ns);
    return open == ts_ns ? open : interval_after(interval, open);
}

/* Open of the oldest candle of the interval that is still known whole. */
static int64_t interval_oldest(const struct ticks *t, uint32_t i, int series, int interval) {
    const struct ticks_track *k = &t->contracts[i].track[series];
    int64_t oldest = INT64_MAX, length = venue_interval_ns(interval);
    for (int ring = 0; ring < TICKS_RINGS; ring++) {
        int64_t unit = TICKS_RING_NS[ring], first = k->begin_ns / unit * unit;
        uint64_t rows = t->rows[series][ring], pushed = k->pushed[ring];
        if (rows == 0 || (length != 0 && unit > length)) continue;
        int64_t known = pushed > rows
                            ? interval_from(interval, first + (int64_t)(pushed - rows) * unit)
                            : venue_interval_open(interval, k->begin_ns);
        if (known < oldest) oldest = known;
    }
    return oldest;
}

static void bar_out(struct tick_bar *out, const struct ticks_candle *c, int64_t open_ns,
                    int64_t end_ns, bool closed) {
    *out = (struct tick_bar){.open_ns = open_ns,
                             .close_ns = end_ns - NS_PER_MS,
                             .open = {c->open},
                             .high = {c->high},
                             .low = {c->low},
                             .close = {c->close},
                             .volume = {c->volume},
                             .taker_volume = {c->taker_volume},
                             .quote = {c->quote},
                             .taker_quote = {c->taker_quote},
                             .first_id = c->first_id,
                             .last_id = c->last_id,
                             .count = c->count,
                             .closed = closed};
}

/* The newest `max` that end with the candle at `last`. */
static int64_t newest_from(int interval, int64_t oldest, int64_t last, uint32_t max) {
    int64_t length = venue_interval_ns(interval), open = last;
    if (length) {
        if ((last - oldest) / length < max) return oldest;
        return last - (int64_t)(max - 1) * length;
    }
    for (uint32_t k = 1; k < max && open > oldest; k++)
        open = venue_interval_open(interval, open - 1);
    return open > oldest ? open : oldest;
}

uint32_t ticks_bars(const struct ticks *t, enum tick_series series, uint32_t instrument,
                    int interval, int64_t from_ns, int64_t to_ns, struct tick_bar *out,
                    uint32_t max) {
    ASSERT(instrument < t->limits.instrument_count && (int)series < TICKS_SERIES);
    ASSERT(interval >= 0 && interval < VENUE_INTERVALS);
    const struct ticks_track *k = &t->contracts[instrument].track[series];
    uint32_t n = 0;
    if (!k->begun || max == 0 || to_ns < from_ns || to_ns < 0) return 0;
    int64_t forming = ticks_forming(k), last = venue_interval_open(interval, forming);
    int64_t open = interval_oldest(t, instrument, (int)series, interval);
    if (to_ns < last) last = venue_interval_open(interval, to_ns);
    if (last < open) return 0;
    if (from_ns > last) return 0;
    if (from_ns > open)
        open = interval_from(interval, from_ns);
    else if (from_ns == 0)
        open = newest_from(interval, open, last, max);
    while (open <= last && n < max) {
        struct ticks_candle c;
        int64_t end = interval_after(interval, open);
        bool whole = ticks_fold(t, instrument, series, open, end, &c);
        ASSERT(whole && c.any);
        bar_out(&out[n++], &c, open, end, end <= forming);
        open = end;
    }
    return n;
}

bool ticks_bar_now(const struct ticks *t, uint32_t instrument, int interval, struct tick_bar *out) {
    ASSERT(instrument < t->limits.instrument_count);
    ASSERT(interval >= 0 && interval < VENUE_INTERVALS);
    const struct ticks_track *k = &t->contracts[instrument].track[TICKS_LAST];
    struct ticks_candle c;
    if (!k->begun) return false;
    int64_t open = venue_interval_open(interval, ticks_forming(k));
    int64_t end = interval_after(interval, open);
    bool whole = ticks_fold(t, instrument, TICKS_LAST, open, end, &c);
    ASSERT(whole && c.any);
    bar_out(out, &c, open, end, false);
    return true;
}

/* ---- 24 h ---- */

void ticks_day(const struct ticks *t, uint32_t instrument, int64_t now_ns, struct tick_day *out) {
    ASSERT(instrument < t->limits.instrument_count);
    const struct ticks_contract *k = &t->contracts[instrument];
    int64_t from = (now_ns / NS_PER_MINUTE + 1) * NS_PER_MINUTE - NS_PER_DAY;
    struct ticks_candle c;
    /* Where fewer minutes are kept than a day has, the day begins with a longer row that is. */
    for (int ring = 0; !ticks_fold(t, instrument, TICKS_LAST, from, INT64_MAX, &c); ring++) {
        ASSERT(ring < TICKS_RINGS);
        from = (from + TICKS_RING_NS[ring] - 1) / TICKS_RING_NS[ring] * TICKS_RING_NS[ring];
    }
    *out = (struct tick_day){.open = {c.open},
                             .high = {c.high},
                             .low = {c.low},
                             .last = {k->last},
                             .last_qty = {k->last_qty},
                             .volume = {c.volume},
                             .quote = {c.quote},
                             .first_id = c.first_id,
                             .last_id = c.last_id,
                             .count = c.count,
                             .open_ns = from,
                             .close_ns = now_ns};
    __extension__ __int128 average = c.volume > 0 ? (__int128)c.quote * FX_ONE / c.volume : 0;
    out->weighted.e8 = c.volume > 0 ? (int64_t)average : k->last;
}

/* ---- tape ---- */

/* Calls for each trade or aggregate in order; start at row *at. False: no more. */
static bool trade_next(const struct ticks *t, uint32_t i, bool aggregate, uint64_t *at,
                       struct tick_trade *out) {
    const struct ticks_row_trade *tape = ticks_tape(t, i);
    const struct ticks_contract *k = &t->contracts[i];
    if (*at >= k->trades) return false;
    const struct ticks_row_trade *row = &tape[(*at)++ % t->limits.trades];
    *out = (struct tick_trade){.agg_id = row->agg / 4,
                               .first_id = row->id,
                               .last_id = row->id,
                               .px = {row->px},
                               .qty = {row->qty},
                               .ts_ns = row->ts_ns,
                               .buyer_is_maker = (row->agg & 2) != 0};
    while (aggregate && *at < k->trades) {
        row = &tape[*at % t->limits.trades];
        if ((row->agg & 1) == 0) break;
        out->last_id = row->id;
        out->qty.e8 += row->qty;
        (*at)++;
    }
    return true;
}

/* Number of the oldest row that is kept, less an aggregate whose beginning is gone. */
static uint64_t tape_first(const struct ticks *t, uint32_t i, bool aggregate) {
    const struct ticks_contract *k = &t->contracts[i];
    uint64_t at = k->trades > t->limits.trades ? k->trades - t->limits.trades : 0;
    while (aggregate && at < k->trades && (ticks_tape(t, i)[at % t->limits.trades].agg & 1) != 0)
        at++;
    return at;
}

static bool trade_matches(const struct tick_trade *trade, bool aggregate, uint64_t from_id,
                          int64_t from_ns, int64_t to_ns) {
    if (from_id != 0) return (aggregate ? trade->agg_id : trade->first_id) >= from_id;
    return trade->ts_ns >= from_ns && trade->ts_ns <= to_ns;
}

/* First row, from `at` on, of a trade or aggregate of at least that id: the tape is ascending. */
static uint64_t tape_find(const struct ticks *t, uint32_t i, bool aggregate, uint64_t at,
                          uint64_t from_id) {
    const struct ticks_row_trade *tape = ticks_tape(t, i);
    uint64_t end = t->contracts[i].trades;
    while (at < end) {
        uint64_t middle = at + (end - at) / 2;
        const struct ticks_row_trade *row = &tape[middle % t->limits.trades];
        if ((aggregate ? row->agg / 4 : row->id) >= from_id)
            end = middle;
        else
            at = middle + 1;
    }
    return at;
}

uint32_t ticks_trades(const struct ticks *t, uint32_t instrument, bool aggregate, uint64_t from_id,
                      int64_t from_ns, int64_t to_ns, struct tick_trade *out, uint32_t max) {
    ASSERT(instrument < t->limits.instrument_count);
    uint64_t first = tape_first(t, instrument, aggregate), found = 0, skip = 0;
    struct tick_trade trade;
    uint32_t n = 0;
    if (from_id != 0) first = tape_find(t, instrument, aggregate, first, from_id);
    bool newest = from_id == 0 && from_ns == 0;
    for (uint64_t at = first; newest && trade_next(t, instrument, aggregate, &at, &trade);)
        found += trade_matches(&trade, aggregate, from_id, from_ns, to_ns);
    if (newest && found > max) skip = found - max;
    for (uint64_t at = first; n < max && trade_next(t, instrument, aggregate, &at, &trade);) {
        if (!trade_matches(&trade, aggregate, from_id, from_ns, to_ns)) continue;
        if (skip > 0)
            skip--;
        else
            out[n++] = trade;
    }
    return n;
}

uint32_t ticks_fundings(const struct ticks *t, uint32_t instrument, int64_t from_ns, int64_t to_ns,
                        struct tick_funding *out, uint32_t max) {
    ASSERT(instrument < t->limits.instrument_count);
    const struct tick_funding *rows = ticks_funding_rows(t, instrument);
    uint64_t count = t->contracts[instrument].fundings, size = t->limits.fundings;
    uint64_t first = count > size ? count - size : 0, end = count;
    uint32_t n = 0;
    while (first < end && rows[first % size].ts_ns < from_ns) first++;
    while (first < end && rows[(end - 1) % size].ts_ns > to_ns) end--;
    if (from_ns == 0 && end - first > max) first = end - max;
    for (; first < end && n < max; first++) out[n++] = rows[first % size];
    return n;
}
