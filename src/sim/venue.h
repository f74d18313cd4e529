/* The exchange of a simulation: world, calls and streams of `quantum exchange` without a socket, on a seeded market. */
#ifndef SIM_VENUE_H
#define SIM_VENUE_H

#include "sim/net.h"
#include "venue/server/fault_act.h"
#include "venue/server/limits.h"
#include "venue/server/rest.h"
#include "venue/server/source.h"
#include "venue/server/streams.h"

/* Accounts, in the order they are opened. The hand is the trader's own account by another key: its owner. */
enum { SIM_TRADER = 1, SIM_STRANGER = 2 };
#define SIM_KEY_TRADER    "key-of-the-trader"
#define SIM_SECRET_TRADER "secret-of-the-trader"

struct sim_venue_options {
    uint64_t seed;
    uint32_t symbols;
    int64_t start_ns;
    double volatility_day;
    int64_t quote_every_ns; /* of a contract's price: at least 4 a bar */
    double trades_per_s;    /* of others, a contract */
    uint32_t levels;        /* quoted a side */
    double level_notional;  /* quote units a level */
    uint32_t history_days;
    double lead; /* of the market and its past: there is something to learn; 0 not */
    /* Every event of the exchange, behind the streams. */
    void (*on_event)(void *context, const struct exchange_event *e);
    void *context;
};

struct sim_venue {
    struct listing listing;
    struct keys keys;
    struct source *source;
    struct world *world;
    struct rest rest;
    struct sim_venue_options options;
    struct fault_act act; /* its faults: the owner's to set, before the first call */
    struct err prepare_failed;
    uint64_t calls;
};

/* What became of a call. */
struct sim_done {
    bool executed; /* by the exchange, which answered with code; else a fault stood before it */
    int32_t code;
    struct sim_answer answer; /* lent until the next call */
    int64_t delay_ns;
};

enum status sim_venue_open(struct sim_venue *v, const struct sim_venue_options *options,
                           struct err *err);
void sim_venue_close(struct sim_venue *v);
/* Market, timers and streams up to now_ns. */
void sim_venue_advance(struct sim_venue *v, int64_t now_ns);
/* When it has something to do next by itself. */
int64_t sim_venue_deadline(const struct sim_venue *v);
/* One call, through its faults, now. */
void sim_venue_call(struct sim_venue *v, const struct sim_request *r, int64_t now_ns,
                    struct sim_done *out);
/* Once a second: faults that last begin and end. */
void sim_venue_second(struct sim_venue *v, int64_t now_ns);
/* Whether a protective request would be answered: no maintenance, no limit, no ban. */
bool sim_venue_is_open(const struct sim_venue *v, int64_t now_ns);

#endif
