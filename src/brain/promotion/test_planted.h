/* A market with a known truth, for the tests: outcome = signal + noise, part of it common to all symbols. A model
 * knows a share of the signal and adds an error of its own. */
#ifndef BRAIN_PROMOTION_TEST_PLANTED_H
#define BRAIN_PROMOTION_TEST_PLANTED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define HOUR INT64_C(3600000000000)
enum { PLANTED_SYMBOLS = 10 };

struct planted {
    struct rng rng;
    double signal[PLANTED_SYMBOLS], outcome[PLANTED_SYMBOLS];
};

struct planted_model {
    double share; /* of the signal */
    double error; /* standard deviation */
};

static inline uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20261101;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* Signal of 1.5 %, noise of 2 % of which a third of the variance is the market's. */
static inline void planted_next(struct planted *p) {
    double market = rng_normal(&p->rng);
    for (int i = 0; i < PLANTED_SYMBOLS; i++) {
        p->signal[i] = 0.015 * rng_normal(&p->rng);
        p->outcome[i] =
            p->signal[i] + 0.02 * (sqrt(1.0 / 3) * market + sqrt(2.0 / 3) * rng_normal(&p->rng));
    }
}

static inline void planted_forecast(double out[PLANTED_SYMBOLS], struct planted *p,
                                    const struct planted_model *m) {
    for (int i = 0; i < PLANTED_SYMBOLS; i++)
        out[i] = m->share * p->signal[i] + m->error * rng_normal(&p->rng);
}

#endif
