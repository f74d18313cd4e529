#include "ml/nn/nn.h"

void nn_init_uniform(nn_real *w, size_t n, double bound, struct rng *rng) {
    for (size_t i = 0; i < n; i++) w[i] = (nn_real)((2 * rng_f64(rng) - 1) * bound);
}
