/* Which contracts the exchange lists, by whose rules, and where their prices begin.
 *
 * From the venue's own table (market_symbols_default), from JSON files of the venue (exchangeInfo, and if wanted
 * leverageBracket, fundingInfo), or from what is replayed: a candle store or files of aggregate trades. */
#ifndef VENUE_SERVER_LISTING_H
#define VENUE_SERVER_LISTING_H

#include "base/err.h"
#include "store/candles.h"
#include "venue/market/market.h"

struct listing_options {
    enum market_source source;
    const char *path;      /* candles: store; trades: FILE[,FILE…] of SYMBOL-aggTrades-….csv */
    const char *symbols;   /* "N" or "A,B,…"; NULL: 10, or all that the source has */
    const char *rules;     /* FILE[,FILE…], or NULL */
    uint32_t history_days; /* candles: so much of the store lies before the replay */
};
struct listing {
    uint32_t count;
    struct instrument *instruments; /* (count) */
    px_t *start_px;                 /* (count) */
    /* Replays. Prices of bars are as they were; times are the store's. */
    struct candles *candles; /* (count), candles only */
    char **trade_files;      /* (count), trades only */
    int64_t interval_ns;     /* of the bars */
    int64_t replay_from_ns;  /* the source's time that becomes "now" */
};
/* ST_INVALID, ST_NOT_FOUND, ST_IO … with what is wrong with what. */
enum status listing_make(struct listing *out, const struct listing_options *options,
                         struct err *err);
void listing_free(struct listing *l);

/* One line of Binance's aggTrades: id, price, quantity, first, last, time in ms (or us), maker flag. False: not one
 * (a header, or damaged). */
bool listing_trade_parse(struct market_trade *out, const char *line);

#endif
