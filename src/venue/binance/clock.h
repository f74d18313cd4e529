/* The venue's clock, told from what it says. Pure.
 *
 * Base is this machine's monotonic clock; the wall clock is never asked. A server time s read between sending and
 * receiving puts the offset (venue - monotonic) into [s - received, s + resolution - sent]: the intersection of such
 * intervals, widened by what two clocks may drift apart since, is what is known. The quickest answers are the narrowest
 * and decide by themselves; nothing is averaged.
 *
 * Source   Marzullo, Owicki, "Maintaining the time in a distributed system" (1985).
 * Tests    test_clock.c */
#ifndef VENUE_BINANCE_CLOCK_H
#define VENUE_BINANCE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct binance_clock {
    bool known;      /* stays so: an old reading is better than none for what is not signed */
    bool trusted;    /* good enough to sign with */
    bool doubtful;   /* something contradicted it: ask again */
    int64_t base_ns; /* monotonic time at which the bounds were good */
    int64_t low_ns, high_ns; /* of venue - monotonic */
    uint64_t samples, resets;
};

/* The venue refused a timestamp: what is known is wrong, the next reading replaces it. */
void binance_clock_reset(struct binance_clock *c);
/* The venue's clock read server_ns, cut to resolution_ns, at some time between sent and received (monotonic). A reading
 * that contradicts what is known replaces it: one of the two clocks was set. */
void binance_clock_sample(struct binance_clock *c, int64_t sent_ns, int64_t received_ns,
                          int64_t server_ns, int64_t resolution_ns);
/* The venue stamped something server_ns before it was received: narrows the lower bound, never creates one. Beyond the
 * upper bound it only makes the clock doubtful, as stamps come from several machines of the venue. */
void binance_clock_not_before(struct binance_clock *c, int64_t received_ns, int64_t server_ns);
/* Asserts known. */
int64_t binance_clock_now(const struct binance_clock *c, int64_t monotonic_ns);
/* A time that is not later than the venue's; 0: not known. */
int64_t binance_clock_least(const struct binance_clock *c, int64_t monotonic_ns);
/* Half the width of what is known, INT64_MAX if nothing is. */
int64_t binance_clock_error(const struct binance_clock *c, int64_t monotonic_ns);
/* Monotonic time at which the venue's clock shows venue_ns. Asserts known. */
int64_t binance_clock_to_monotonic(const struct binance_clock *c, int64_t venue_ns);

#endif
