/* A made-up market for this module's tests: returns of a few groups and of no group. */
#ifndef BRAIN_PORTFOLIO_TEST_MARKET_H
#define BRAIN_PORTFOLIO_TEST_MARKET_H

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "brain/portfolio/portfolio.h"

enum { MARKET_MAX = 256, MARKET_LAST = 399 };
static struct portfolio_series market[MARKET_MAX];

/* Contract i follows factor group[i] (0 none) with correlation rho[i] to it, and may stand still
 * (rho NaN): no history. Closes of bars 0..MARKET_LAST. */
static void market_make(uint32_t count, const uint32_t *group, const double *rho, uint64_t seed) {
    struct rng r = rng_init(seed);
    double px[MARKET_MAX];
    for (uint32_t i = 0; i < count; i++) {
        portfolio_series_init(&market[i]);
        px[i] = 100;
    }
    for (int64_t t = 0; t <= MARKET_LAST; t++) {
        double factor[16] = {0};
        for (uint32_t g = 1; g < 16; g++) factor[g] = rng_normal(&r);
        for (uint32_t i = 0; i < count; i++) {
            double own = rng_normal(&r), share = group[i] ? rho[i] : 0;
            if (isnan(share)) share = own = 0;
            double step = share * factor[group[i]] + sqrt(1 - share * share) * own;
            if (!isnan(rho[i])) px[i] *= exp((0.005 + 0.0005 * (i % 20)) * step);
            (void)portfolio_observe(&market[i], t, (px_t){fx_from_f64(px[i])});
        }
    }
}

static struct rng market_dice(uint64_t usual) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : usual;
    printf("TEST_SEED=%" PRIu64 "\n", seed);
    return rng_init(seed);
}

#endif
