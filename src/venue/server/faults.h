/* What may go wrong on purpose: kinds, rates, and the draws.
 *
 * Each kind has a rate and random numbers of its own, so what one of them draws does not move the others, and one
 * seed gives one sequence a kind. Rates count calls (of the class in the table), messages, or seconds.
 * Faults stand between the sockets and the exchange: they hide, delay, repeat or refuse, and never change what
 * the exchange did. What each does: docs/faults.md. Tests: test_faults.c; fuzz_faults.c. */
#ifndef VENUE_SERVER_FAULTS_H
#define VENUE_SERVER_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rng.h"

/* Drawn for: each signed trading call; each algo placement; each signed call; each call; each stream message to a
 * client; each second. */
enum fault_scope {
    FAULT_PER_TRADE = 0,
    FAULT_PER_ALGO,
    FAULT_PER_SIGNED,
    FAULT_PER_CALL,
    FAULT_PER_MESSAGE,
    FAULT_PER_SECOND
};

/* X(id, name, scope, rate under "all", about). In order of precedence: of several drawn for one call the first wins. */
#define FAULT_TABLE(X)                                                                             \
    X(FAULT_UNAVAILABLE, unavailable, FAULT_PER_CALL, 0.005, "503, not executed")                  \
    X(FAULT_RESET_BEFORE, reset_before, FAULT_PER_CALL, 0.005, "reset, not executed")              \
    X(FAULT_LIMIT, limit_429, FAULT_PER_SIGNED, 0.003, "429 with Retry-After, not executed")       \
    X(FAULT_BAN, ban_418, FAULT_PER_SIGNED, 0.001, "418 with Retry-After, not executed")           \
    X(FAULT_CLOCK, clock_1021, FAULT_PER_SIGNED, 0.005, "-1021, not executed")                     \
    X(FAULT_UNKNOWN_NOT_DONE, unknown_not_done, FAULT_PER_TRADE, 0.01,                             \
      "503 of unknown outcome, not executed")                                                      \
    X(FAULT_UNKNOWN_DONE, unknown_done, FAULT_PER_TRADE, 0.01, "503 of unknown outcome, executed") \
    X(FAULT_LOST_ACK, lost_ack, FAULT_PER_TRADE, 0.02,                                             \
      "executed, connection closed without an answer")                                             \
    X(FAULT_RESET_AFTER, reset_after, FAULT_PER_TRADE, 0.005, "executed, then reset")              \
    X(FAULT_LATE_ACK, late_ack, FAULT_PER_TRADE, 0.02, "executed, answered 0.3 to 3 s later")      \
    X(FAULT_DOUBLED_ACK, doubled_ack, FAULT_PER_TRADE, 0.02,                                       \
      "executed, its user events delivered twice")                                                 \
    X(FAULT_ALGO_HIDDEN, algo_hidden, FAULT_PER_ALGO, 0.1,                                         \
      "a new conditional order is not in queries for 3 s")                                         \
    X(FAULT_DROP, stream_drop, FAULT_PER_MESSAGE, 0.002, "a message is not delivered")             \
    X(FAULT_SWAP, stream_swap, FAULT_PER_MESSAGE, 0.002, "a message comes behind the next one")    \
    X(FAULT_DOUBLE, stream_double, FAULT_PER_MESSAGE, 0.002, "a message is delivered twice")       \
    X(FAULT_SILENT, user_silent, FAULT_PER_SECOND, 0.008, "no user data for 20 s")                 \
    X(FAULT_KEY_EXPIRED, key_expired, FAULT_PER_SECOND, 0.003, "listen keys expire")               \
    X(FAULT_STALE, stale_book, FAULT_PER_SECOND, 0.008, "one book stands still for 10 s")          \
    X(FAULT_FILTERS, filter_change, FAULT_PER_SECOND, 0.005,                                       \
      "tick or step of one contract ten times coarser for 60 s")                                   \
    X(FAULT_DELISTING, delisting, FAULT_PER_SECOND, 0.001,                                         \
      "one contract SETTLING, CLOSED 30 s later")                                                  \
    X(FAULT_MAINTENANCE, maintenance, FAULT_PER_SECOND, 0.003, "all calls 503 for 10 s")           \
    X(FAULT_CONDITIONAL, conditional_switch, FAULT_PER_SECOND, 0.003,                              \
      "conditional types on the other endpoint for 20 s")

enum fault {
#define FAULT_ID(id, name, scope, rate, about) id,
    FAULT_TABLE(FAULT_ID)
#undef FAULT_ID
        FAULT_COUNT
};

struct fault_row {
    double rate;
    struct rng rng;
    uint64_t asked, fired;
    uint32_t forced; /* happens at the next so many questions, whatever the rate */
};
struct faults {
    struct fault_row rows[FAULT_COUNT];
    uint64_t seed;
};

const char *fault_name(enum fault kind);
const char *fault_about(enum fault kind);
enum fault_scope fault_scope_of(enum fault kind);
int fault_find(const char *name); /* -1 unknown */

/* All rates 0. */
void faults_init(struct faults *f, uint64_t seed);
/* "none", or ITEM[,ITEM…][:SEED] with ITEM `all` (the rates of the table) or KIND=RATE, 0 <= RATE <= 1; later items
 * win. Without a seed the present one stays. ST_INVALID: f is as it was, err names the item. */
enum status faults_parse(struct faults *f, const char *spec, struct err *err);
/* One kind anew: rate, and its sequence from the start if there is a seed. */
void fault_set(struct faults *f, enum fault kind, double rate, const uint64_t *seed);
void fault_force(struct faults *f, enum fault kind);
/* Whether any rate or force is on. */
bool faults_are_on(const struct faults *f);
/* One draw. */
bool fault_ask(struct faults *f, enum fault kind);
/* Uniform in [low, high] from the kind's own numbers: how long, which one. */
uint64_t fault_draw(struct faults *f, enum fault kind, uint64_t low, uint64_t high);

#endif
