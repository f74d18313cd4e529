/* The exchange with its market, its past and its statistics: what a server serves and what survives it.
 *
 * Every input goes through world_do: it is journaled (written before the reply, not synced), applied, and the events
 * it leads to go to history, statistics and the listener. A restart loads the newest snapshot and applies the journal
 * behind it, so the exchange stands where it stood, kill -9 included; power loss may cost what was not synced.
 *
 * What is journaled: every input of a user or operator, every advance as its time alone (the market is deterministic:
 * the same advance makes the same inputs again), every bar or trade handed to the market (a feeder need not be able to
 * repeat itself), and from time to time exchange_hash, which recovery checks. Snapshots are written by a forked child
 * while the exchange goes on; the two newest are kept, and the journal behind the older of them.
 *
 * One thread owns a world. Tests: test_world.c. */
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
    /* Hands bars or trades to a hungry market, up to a time, by world_bar and world_trade; NULL for sources
     * that need none. Called before an advance, not while recovering; world_fed_ns says where to go on. */
    void (*feed)(void *context, struct world *w, int64_t until_ns);
    void *context;
    uint64_t snapshot_records; /* a snapshot after so many journaled records; 0: 1,000,000 */
    int64_t snapshot_ns;       /* and after so long, if anything was journaled; 0: 5 minutes */
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
/* ST_MISMATCH: state_dir belongs to another configuration, err says in what; ST_EXISTS: another process holds it;
 * ST_CORRUPT: no snapshot checks out, or the journal leads to another state than it did. */
enum status world_open(struct world **out, const struct world_options *options, struct err *err);
/* Snapshot and close. */
enum status world_close(struct world *w, struct err *err);
/* One input now: what the market and the timers have due comes first. now_ns is lifted to world->now_ns if it lies
 * before it. Once the disk failed nothing is applied any more and the answer is -1001. */
void world_do(struct world *w, const struct exchange_input *in, int64_t now_ns,
              struct exchange_reply *reply);
/* Market and timers up to now_ns. */
void world_advance(struct world *w, int64_t now_ns);
int64_t world_deadline(const struct world *w);
/* The state of its disk: ST_OK, or the first error (the server then refuses orders with -1001). */
enum status world_failed(const struct world *w, struct err *err);
/* Contract number of a symbol, -1 none. */
int world_find(const struct world *w, const char *symbol, size_t size);

/* New rules of a contract (same symbol; asserted), with its EXE_FILTERS event. A new status goes through world_do
 * (EXI_STATUS). */
void world_filters(struct world *w, uint32_t instrument, const struct instrument *rules,
                   int64_t now_ns, struct exchange_reply *reply);
/* Conditional types on the ordinary endpoint (before 2025-12-09) or not. */
void world_classic_set(struct world *w, bool classic_conditional, int64_t now_ns);
/* Fault: a contract's book stops moving, or goes on. */
void world_stale_set(struct world *w, uint32_t instrument, bool stale, int64_t now_ns);
/* A made-up market: a contract's price is another at once (market_shock). */
void world_shock(struct world *w, uint32_t instrument, int32_t move_ppm, int64_t now_ns);

/* For feed: market_bar and market_trade, journaled when they were taken. */
enum status world_bar(struct world *w, uint32_t instrument, const struct bar *bar);
enum status world_trade(struct world *w, uint32_t instrument, const struct market_trade *trade);
/* Start of the newest bar, or time of the newest trade, taken for a contract; INT64_MIN none. */
int64_t world_fed_ns(const struct world *w, uint32_t instrument);

/* Starts a snapshot beside the running exchange if none is being written. world_advance collects it. */
void world_snapshot_start(struct world *w);
struct world_stats {
    uint64_t records, snapshots, snapshots_failed,
        snapshot_bytes; /* of the newest: written, holes left out */
    uint64_t recovered_records, journal_seq;
    int64_t fork_ns_max; /* how long the exchange stood still for a snapshot */
    size_t memory_bytes; /* of the blocks, touched or not */
};
void world_stats_get(const struct world *w, struct world_stats *out);
#endif
