/* The synthetic set of the tree benches: normal columns, a label that depends on the first nine by sums,
 * products, steps and waves, with noise. Anyone can make it again from this:
 *
 * State s = seed. next(): s += 0x9E3779B97F4A7C15, then SplitMix64's finaliser of s. U() = (next() >> 11)
 * 2^-53; N() = sqrt(-2 ln(1 - U())) cos(2 pi U()), the draws in that order. A row: x0 .. x(m-1) = N()
 * each, as float; z = 1.2 x0 x1 + 0.8 sin 2 x2 + 0.6 [x3 > 0.5] - 0.5 x4^2 + 0.5 x5 + 0.4 |x6| +
 * 0.3 x7 x8 - 0.1 + 0.5 N(); y = 1 iff U() < 1 / (1 + e^-z). */
#ifndef BENCH_BENCH_TABULAR_H
#define BENCH_BENCH_TABULAR_H

#include <stddef.h>
#include <stdint.h>

enum { TABULAR_COLUMNS_MIN = 9 };

/* x (rows, columns), y (rows) 0 or 1; columns >= TABULAR_COLUMNS_MIN */
void bench_tabular(uint64_t seed, size_t rows, uint32_t columns, float *x, double *y);

#endif
