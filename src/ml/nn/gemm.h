/* Matrix products for training: fast, and safe to call from many threads at once (which Debian's
 * serial OpenBLAS is not: its threads hand each other the same buffers).
 *
 * Every entry of the product is a sum in a fixed order, by fused multiply-adds: k in blocks of
 * NN_GEMM_BLOCK, each summed from zero, blocks added in order. The same bits on every processor and
 * compiler, for any part of a larger product.
 *
 * Source   Goto, van de Geijn, "Anatomy of high-performance matrix multiplication" (2008): panels,
 *          blocks, caches
 * Tests    test_gemm.c: bits of all kernels against the plain sum in that order */
#ifndef ML_NN_GEMM_H
#define ML_NN_GEMM_H

#include "ml/nn/nn.h"

enum { NN_GEMM_BLOCK = 192 };

/* A matrix in memory: entry (row, column) at p[row * row_step + column * column_step]; one of the
 * steps is 1. */
struct nn_matrix {
    const nn_real *p;
    size_t row_step, column_step;
};
static inline struct nn_matrix nn_rows(const nn_real *p, size_t step) {
    return (struct nn_matrix){p, step, 1};
}
static inline struct nn_matrix nn_transposed(const nn_real *p, size_t step) {
    return (struct nn_matrix){p, 1, step};
}

/* c (m, n), rows c_step apart, = a (m, k) b (k, n), or += if add. Scratch is on the stack (less
 * than half a megabyte). */
void nn_gemm(nn_real *c, size_t c_step, struct nn_matrix a, struct nn_matrix b, size_t m, size_t n,
             size_t k, bool add);

/* Each way of doing so, the plainest first; NULL behind the last. For tests: ask can_run. */
struct nn_gemm_kernel {
    const char *name;
    bool (*can_run)(void);
    void (*gemm)(nn_real *c, size_t c_step, struct nn_matrix a, struct nn_matrix b, size_t m,
                 size_t n, size_t k, bool add);
};
const struct nn_gemm_kernel *nn_gemm_kernel_at(size_t index);
extern const struct nn_gemm_kernel nn_gemm_base, nn_gemm_fma, nn_gemm_avx512;

#endif
