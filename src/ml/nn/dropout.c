#include "ml/nn/dropout.h"

#include <string.h>

#include "ml/nn/kernels.h"

enum { GROUP = 16 };

void nn_dropout(nn_real *y, const nn_real *x, size_t n, nn_real p, uint64_t seed,
                uint64_t first_index) {
    struct dropout_law law = dropout_law(p, seed);
    if (law.threshold == 0) {
        if (y != x) memcpy(y, x, n * sizeof *y);
        return;
    }
    /* Single values up to a group's beginning, whole groups, and what is left. */
    size_t head = (size_t)((GROUP - first_index % GROUP) % GROUP);
    if (head > n) head = n;
    size_t groups = (n - head) / GROUP, tail = head + groups * GROUP;
    for (size_t i = 0; i < head; i++)
        y[i] = dropout_keeps(&law, first_index + i) ? x[i] * law.scale : 0;
    nn_kernels()->dropout(y + head, x + head, groups, p, seed, (first_index + head) / GROUP);
    for (size_t i = tail; i < n; i++)
        y[i] = dropout_keeps(&law, first_index + i) ? x[i] * law.scale : 0;
}
