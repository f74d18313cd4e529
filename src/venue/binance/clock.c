#include "venue/binance/clock.h"

#include "base/assert.h"

/* A clock being slewed by NTP runs off by at most this (the kernel's limit); crystals by far less. */
enum { DRIFT_PPM = 500 };

void binance_clock_reset(struct binance_clock *c) {
    c->trusted = false;
    c->resets++;
}

static int64_t drift(const struct binance_clock *c, int64_t monotonic_ns) {
    int64_t age = monotonic_ns - c->base_ns;
    return age > 0 ? age / (1000000 / DRIFT_PPM) : 0;
}

void binance_clock_sample(struct binance_clock *c, int64_t sent_ns, int64_t received_ns,
                          int64_t server_ns, int64_t resolution_ns) {
    ASSERT(sent_ns <= received_ns && resolution_ns >= 0);
    int64_t low = server_ns - received_ns, high = server_ns + resolution_ns - sent_ns;
    c->samples++;
    if (c->trusted) {
        int64_t d = drift(c, received_ns);
        int64_t known_low = c->low_ns - d, known_high = c->high_ns + d;
        if (known_low > high || known_high < low) {
            c->resets++;
        } else {
            if (known_low > low) low = known_low;
            if (known_high < high) high = known_high;
        }
    }
    c->known = c->trusted = true;
    c->doubtful = false;
    c->base_ns = received_ns;
    c->low_ns = low;
    c->high_ns = high;
}

void binance_clock_not_before(struct binance_clock *c, int64_t received_ns, int64_t server_ns) {
    if (!c->trusted || received_ns < c->base_ns) return;
    int64_t low = server_ns - received_ns, d = drift(c, received_ns);
    if (low > c->high_ns + d) {
        c->doubtful = true;
        return;
    }
    if (low <= c->low_ns - d) return;
    c->high_ns += d;
    c->low_ns = low;
    c->base_ns = received_ns;
}

int64_t binance_clock_now(const struct binance_clock *c, int64_t monotonic_ns) {
    ASSERT(c->known);
    return monotonic_ns + c->low_ns + (c->high_ns - c->low_ns) / 2;
}

int64_t binance_clock_least(const struct binance_clock *c, int64_t monotonic_ns) {
    return c->trusted ? monotonic_ns + c->low_ns - drift(c, monotonic_ns) : 0;
}

int64_t binance_clock_error(const struct binance_clock *c, int64_t monotonic_ns) {
    if (!c->trusted) return INT64_MAX;
    return (c->high_ns - c->low_ns) / 2 + drift(c, monotonic_ns);
}

int64_t binance_clock_to_monotonic(const struct binance_clock *c, int64_t venue_ns) {
    ASSERT(c->known);
    return venue_ns - c->low_ns - (c->high_ns - c->low_ns) / 2;
}
