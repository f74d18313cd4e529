/* The market of the exchange: where prices and liquidity come from, and what the public hears of it.
 *
 * A source moves the house's quotes, prints the trades of everybody else, sets mark and index, and
 * settles funding: market_advance(now) makes every such input that is due, in order of time,
 * through the function it is given. Sources: seeded synthetic (default), candles of a store
 * replayed, recorded trades, or none ("pure": only the users' orders; mark follows the book).
 *
 * The statistics half folds exchange events into candles, 24 h tickers and the tape's ring. Both
 * are pure and deterministic: blocks of memory without pointers; given the same calls, the same
 * outcome. Bars to be replayed are handed over by the caller (market_bar), who reads them from
 * wherever they are. */
#ifndef VENUE_MARKET_MARKET_H
#define VENUE_MARKET_MARKET_H

#include "domain/bar.h"
#include "venue/exchange/exchange.h"

/* ---- source ---- */

struct market;
enum market_source { MARKET_SYNTHETIC = 1, MARKET_CANDLES, MARKET_TRADES, MARKET_PURE };

struct market_config {
    enum market_source source;
    uint64_t seed;
    uint32_t instrument_count;
    const struct instrument *instruments; /* copied as far as needed */
    /* (instrument_count): first index price. Needed by synthetic and pure; replays may give NULL
     * and then begin with their first bar or trade. */
    const px_t *start_px;
    int64_t start_ns;       /* exchange time at which it begins */
    int64_t interval_ns;    /* candles: of the bars; 1 minute */
    int64_t quote_every_ns; /* 250 ms: how often the path is drawn and the house's quotes move */
    uint32_t levels;        /* 20 a side */
    double level_notional;  /* quote units a level, in the middle; 60000 */
    rate_t half_spread;     /* of the index price, 0.00005; the spread is at least one tick */
    double volatility_day;  /* synthetic: standard deviation of a day's log return, 0.04 */
    double trades_per_s;    /* synthetic: a contract, Poisson, 1 */
    /* Synthetic: there is something to learn. Takers lead: for half an hour at a time (market_phase) a contract drifts by
     * half a minute's deviation a minute times this, and takers buy or sell more; 0: prices are a random walk. */
    double lead;
    uint32_t funding_count_max; /* missed settlements of a contract made up for after a gap, 90 */
};
struct market_config market_config_defaults(void);

/* The way takers lead at a time: -1, 0 or 1. seed: the configuration's. */
int market_phase(uint64_t seed, uint32_t instrument, int64_t ts_ns);

size_t market_size(const struct market_config *config);
struct market *market_init(void *memory, const struct market_config *config);

/* The caller's hands: does one input (journal, exchange_step, events drawn and passed on). */
typedef void market_do(void *context, const struct exchange_input *input, int64_t ts_ns);
/* Everything due up to and including now_ns; how the time is cut into calls does not matter, but: a
 * call more than a minute behind the last one (the program was away) is a jump. The price moves as
 * far as it would have, the quotes in between are not made, missed settlements are, at their times
 * and the last mark. */
void market_advance(struct market *m, const struct exchange *ex, int64_t now_ns, market_do *act,
                    void *context);
/* When it has something to do next. */
int64_t market_deadline(const struct market *m);
/* Candle replay: the bar that starts at bar->open_ts_ns (exchange time) for a contract; trades
 * replay: the next trade. Ascending. ST_FULL if the queue is; ST_INVALID out of order, impossible,
 * or for another source. market_hungry: how many more it takes (of 4 bars, 256 trades). A contract
 * without its next bar stands at the close. */
enum status market_bar(struct market *m, uint32_t instrument, const struct bar *bar);
struct market_trade {
    int64_t ts_ns;
    px_t px;
    qty_t qty;
    bool buyer_is_maker;
};
enum status market_trade(struct market *m, uint32_t instrument, const struct market_trade *trade);
uint32_t market_hungry(const struct market *m, uint32_t instrument);
/* Rate of the running period as it would be settled now, and when it will be. */
void market_funding_rate_get(const struct market *m, uint32_t instrument, rate_t *rate,
                             int64_t *next_ns);
/* Funding rate of a period from its premium: [P + clamp(0.01 % - P, -0.05 %, 0.05 %)] / (8 h /
 * interval), within cap.
 * Source   Binance's funding rate page, as of 2025-09-18. */
rate_t market_funding_rate(rate_t premium, int64_t interval_ns, rate_t cap);
/* Cap (and, negated, floor) of a contract's rate: 0.75 of the maintenance rate of its first
 * bracket. */
rate_t market_funding_cap(const struct instrument *in);
/* Faults: true stops a contract's book and tape from moving, false lets them go on; mark and index
 * move anyway. */
void market_stale_set(struct market *m, uint32_t instrument, bool stale);
/* The drawn price of a contract moves by so many parts in 1e6 at once, all else being equal: a crash, a gap. Nothing for
 * other sources. Quotes and mark follow at their next times. */
void market_shock(struct market *m, const struct exchange *ex, uint32_t instrument,
                  int32_t move_ppm);

/* ---- the contracts of a plain exchange ---- */

enum { MARKET_SYMBOLS_MAX = 400 };
/* BTCUSDT, ETHUSDT … with the venue's rules as of late 2025, then made-up ones, SYN011USDT …; and
 * the price each starts at. count <= MARKET_SYMBOLS_MAX (asserted). */
void market_symbols_default(struct instrument *out, px_t *start_px, uint32_t count);

/* ---- statistics ---- */

struct ticks; /* candles of all 15 intervals, 24 h statistics, last trades */
struct ticks_limits {
    uint32_t instrument_count;
    /* Kept of the stored intervals of the last price (1m 5m 1h; a quarter of it of 1d); mark, index
     * and premium keep a third (1m 1h; a twelfth of 1d). Never fewer than 60. */
    uint32_t bars;
    uint32_t trades;   /* kept of the tape a contract: 1000 */
    uint32_t fundings; /* kept settlements a contract: 1000 */
};
/* The block is written from the front of each ring only: give zeroed memory that is made on first
 * touch (calloc, mmap), and what no history has filled yet costs nothing. */
size_t ticks_size(const struct ticks_limits *limits);
struct ticks *ticks_init(void *memory, const struct ticks_limits *limits);
/* EXE_TRADE and EXE_MARK are looked at. A candle without a trade repeats the last close, volume 0. */
void ticks_event(struct ticks *t, const struct exchange_event *event);
/* Closes candles that ended by now_ns. */
void ticks_time(struct ticks *t, int64_t now_ns);
/* History from before the exchange's start, oldest first, 1m bars (closed, all before the first
 * event). Holes are filled with candles without a trade. */
void ticks_seed(struct ticks *t, uint32_t instrument, const struct bar *bar);
void ticks_funding(struct ticks *t, uint32_t instrument, int64_t ts_ns, rate_t rate, px_t mark);

struct tick_bar {
    int64_t open_ns, close_ns; /* close_ns: last ms of it, as the venue writes */
    px_t open, high, low, close;
    qty_t volume, taker_volume; /* saturating */
    money_t quote, taker_quote; /* saturating */
    uint64_t first_id, last_id; /* of its trades; UINT64_MAX none */
    uint32_t count;
    bool closed;
};
enum tick_series { TICKS_LAST = 0, TICKS_MARK, TICKS_INDEX, TICKS_PREMIUM };
/* Bars of an interval (venue_interval index) that start in [from_ns, to_ns], ascending, the newest
 * `max` if from_ns is 0, else the oldest. The last may be the one now forming. MARK, INDEX, PREMIUM
 * carry no volume; premium is (mark - index) / index in e8. Intervals not stored are folded from
 * finer ones, exactly, as far as these reach back. */
uint32_t ticks_bars(const struct ticks *t, enum tick_series series, uint32_t instrument,
                    int interval, int64_t from_ns, int64_t to_ns, struct tick_bar *out,
                    uint32_t max);
/* The candle now forming. False: no trade yet. */
bool ticks_bar_now(const struct ticks *t, uint32_t instrument, int interval, struct tick_bar *out);

struct tick_day { /* rolling 24 h, in whole minutes: between 23:59 and 24:00 long */
    px_t open, high, low, last, weighted;
    qty_t last_qty, volume;
    money_t quote;
    uint64_t first_id, last_id, count;
    int64_t open_ns, close_ns;
};
void ticks_day(const struct ticks *t, uint32_t instrument, int64_t now_ns, struct tick_day *out);

struct tick_trade { /* one aggregate trade: equal price and side, from one taker order */
    uint64_t agg_id, first_id, last_id;
    px_t px;
    qty_t qty;
    int64_t ts_ns;
    bool buyer_is_maker;
};
/* aggregate: aggTrades; else single trades (first_id = last_id = id, agg_id that of its aggregate).
 * Ascending: those from from_id on (agg_id or id); from_id 0: in [from_ns, to_ns], the newest `max`
 * if from_ns is 0, else the oldest. */
uint32_t ticks_trades(const struct ticks *t, uint32_t instrument, bool aggregate, uint64_t from_id,
                      int64_t from_ns, int64_t to_ns, struct tick_trade *out, uint32_t max);
struct tick_funding {
    int64_t ts_ns;
    rate_t rate;
    px_t mark;
};
/* In [from_ns, to_ns], ascending, the newest `max` if from_ns is 0, else the oldest. */
uint32_t ticks_fundings(const struct ticks *t, uint32_t instrument, int64_t from_ns, int64_t to_ns,
                        struct tick_funding *out, uint32_t max);
#endif
