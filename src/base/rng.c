#include "base/rng.h"

#include <math.h>

double rng_normal(struct rng *r) {
    double u = rng_f64(r), v = rng_f64(r);
    return sqrt(-2.0 * log(1.0 - u)) * cos(6.283185307179586 * v);
}
