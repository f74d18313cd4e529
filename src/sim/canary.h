/* Planted bugs: a filter between a run and its venue that makes the trader wrong in one way, so that the checker can be
 * shown to see it. Production code has no part in it: the filter is a venue_port around a venue_port.
 *
 *     struct canary canary;
 *     canary_init(&canary, (enum canary_kind)canary_find("naked"), seed);
 *     struct venue_port port = canary_port(&canary, &real_port);   // options.port = &port
 *
 * What leaves the canary is what leaves the trader: check_command is told behind it, check_told before it. So the port
 * it wraps is the one that tells the checker: session -> canary -> checker's port -> client of the venue. canary and
 * port are the caller's and stay where they are as long as the run. CANARY_NONE passes everything on.
 *
 * A planted bug strikes one of `every` chances (4: the first some trades into a run), for ever. */
#ifndef SIM_CANARY_H
#define SIM_CANARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "domain/instrument.h"
#include "kernel/venue_port.h"

/* X(id, name, text, number of the invariant that must be named) */
#define CANARY_TABLE(X)                                                                            \
    X(CANARY_NONE, "none", "nothing is wrong", CHECK_NONE)                                         \
    X(CANARY_DOUBLE_ORDER, "double_order", "an entry leaves twice, the second under another id",   \
      CHECK_ENTRY_ONCE)                                                                            \
    X(CANARY_NAKED, "naked",                                                                       \
      "the first stop of a trade never leaves, and the trader is told that it stands",             \
      CHECK_PROTECTED)                                                                             \
    X(CANARY_LOST_FILL, "lost_fill", "the trader is never told of the fills of an entry",          \
      CHECK_PROTECTED)                                                                             \
    X(CANARY_LOOSENED_STOP, "loosened_stop",                                                       \
      "a farther stop takes the place of the one that stands", CHECK_RATCHET)

enum canary_kind {
#define CANARY_ENUM(id, name, text, number) id,
    CANARY_TABLE(CANARY_ENUM)
#undef CANARY_ENUM
        CANARY_COUNT
};
int canary_find(const char *name); /* -1 unknown */
const char *canary_name(enum canary_kind kind);
const char *canary_text(enum canary_kind kind);
int canary_invariant(enum canary_kind kind); /* enum check_number */

enum { CANARY_PENDING = 32, CANARY_HIT = 64 };

enum canary_loosen { LOOSEN_NOT = 0, LOOSEN_STANDING, LOOSEN_FAR_ASKED };

struct canary {
    enum canary_kind kind;
    struct rng rng;
    uint32_t every; /* may be changed after canary_init */
    uint64_t struck;
    struct venue_port inner;
    struct venue_sink sink;
    /* Stops that never left, to be told as accepted; entries whose fills are not told. */
    struct venue_event pending[CANARY_PENDING];
    uint32_t pending_count, hit_next;
    char hit[CANARY_HIT][CLIENT_ORDER_ID_SIZE];
    int64_t held[INSTRUMENTS_MAX];              /* of fills told, signed */
    struct venue_command stop[INSTRUMENTS_MAX]; /* the last stop that left */
    enum canary_loosen loosen[INSTRUMENTS_MAX];
    uint64_t venue_order_id;
};
void canary_init(struct canary *c, enum canary_kind kind, uint64_t seed);
struct venue_port canary_port(struct canary *c, const struct venue_port *inner);

#endif
