/* Inside the statistics: rows as they are stored, candles as they are reckoned with. */
#ifndef VENUE_MARKET_TICKS_INTERNAL_H
#define VENUE_MARKET_TICKS_INTERNAL_H

#include "base/tstamp.h"
#include "venue/market/market.h"

enum { TICKS_SERIES = 4, TICKS_RINGS = 4 };

/* A candle with all its digits. traded: something happened in it; else it repeats the close before. */
struct ticks_candle {
    int64_t open, high, low, close;
    int64_t volume, taker_volume, quote, taker_quote;
    uint64_t first_id, last_id;
    uint32_t count;
    bool any, traded;
};

/* One series of one contract: rings of closed candles without holes, and the minute now forming. */
struct ticks_track {
    bool begun;
    int64_t begin_ns; /* open of its first minute */
    uint64_t pushed
        [TICKS_RINGS]; /* rows ever; the row of number n starts at n lengths behind the first */
    struct ticks_candle now;
};

struct ticks_row_trade {
    uint64_t id;
    int64_t ts_ns, px, qty;
    uint64_t
        agg; /* number of its aggregate * 4 + buyer_is_maker * 2 + (it is not the aggregate's first) */
};

struct ticks_contract {
    struct ticks_track track[TICKS_SERIES];
    uint64_t trades, aggs, fundings; /* ever */
    uint64_t base_id;                /* of the first trade seen: rows keep ids relative to it */
    int64_t last, last_qty;
    uint64_t last_taker; /* taker order of the last trade */
};

struct ticks {
    struct ticks_limits limits;
    int64_t close_ns; /* when the next minute ends */
    uint32_t rows[TICKS_SERIES][TICKS_RINGS];
    size_t ring_at[TICKS_SERIES][TICKS_RINGS], tape_at, funding_at, stride, rows_at;
    struct ticks_contract contracts[];
};

/* Lengths of the stored intervals: 1m 5m 1h 1d. Each divides the next. */
extern const int64_t TICKS_RING_NS[TICKS_RINGS];

/* Folds everything of a series in [from_ns, to_ns), the forming minute too, from the coarsest rows
 * there are. False if rows of it are gone; out->any is false if there is nothing. */
bool ticks_fold(const struct ticks *t, uint32_t instrument, enum tick_series series,
                int64_t from_ns, int64_t to_ns, struct ticks_candle *out);

static inline const struct ticks_row_trade *ticks_tape(const struct ticks *t, uint32_t i) {
    return (const struct ticks_row_trade *)(const void *)((const char *)t + t->rows_at +
                                                          t->stride * i + t->tape_at);
}
static inline const struct tick_funding *ticks_funding_rows(const struct ticks *t, uint32_t i) {
    return (const struct tick_funding *)(const void *)((const char *)t + t->rows_at +
                                                       t->stride * i + t->funding_at);
}
/* Open of the minute now forming. */
static inline int64_t ticks_forming(const struct ticks_track *k) {
    return k->begin_ns + (int64_t)k->pushed[0] * NS_PER_MINUTE;
}

#endif
