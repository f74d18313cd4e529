/* The exchange with its market, its past and its statistics: what a server serves and what survives it.
 *
 * Every input goes through world_do: it is journaled (written before the reply, not synced), applied, and the events
 * it leads to go to history, statistics and the listener. A restart loads the newest snapshot and applies the journal
 * behind it, so the exchange stands where it stood, kill -9 included; power loss may cost what was not synced. */
#ifndef VENUE_SERVER_WORLD_H
#define VENUE_SERVER_WORLD_H

#include "base/err.h"
#include "venue/exchange/exchange.h"
#include "venue/exchange/history.h"
#include "venue/market/market.h"

struct world;

struct world_options {
    struct exchange_config exchange;
    struct market_config market;
    struct history_limits history;
    struct ticks_limits ticks;
    const char *state_dir; /* NULL: nothing is kept */
    int64_t start_ns;      /* of a fresh world */
    /* Called for a fresh world only, before the first advance: opens accounts, seeds candles. */
    void (*prepare)(void *context, struct world *w);
    /* Hands bars or trades to a hungry market, up to a time; NULL for sources that need none. */
    void (*feed)(void *context, struct world *w, int64_t until_ns);
    void *context;
};

struct world {
    struct exchange *exchange;
    struct history *history;
    struct market *market;
    struct ticks *ticks;
    int64_t now_ns; /* of the last input */
    bool recovering;
    /* Told every event once it is in history and statistics; not while recovering. */
    void (*on_event)(void *context, const struct exchange_event *event);
    void *on_event_context;
    struct world_private *p;
};
/* ST_MISMATCH: state_dir belongs to another configuration; ST_EXISTS: another process holds it. */
enum status world_open(struct world **out, const struct world_options *options, struct err *err);
/* Snapshot and close. */
enum status world_close(struct world *w, struct err *err);
/* One input now. now_ns is lifted to world->now_ns if it lies before it. */
void world_do(struct world *w, const struct exchange_input *in, int64_t now_ns,
              struct exchange_reply *reply);
/* Market and timers up to now_ns. */
void world_advance(struct world *w, int64_t now_ns);
int64_t world_deadline(const struct world *w);
/* The state of its disk: ST_OK, or the first error (the server then refuses orders with -1001). */
enum status world_failed(const struct world *w, struct err *err);
/* Contract number of a symbol, -1 none. */
int world_find(const struct world *w, const char *symbol, size_t size);
#endif
