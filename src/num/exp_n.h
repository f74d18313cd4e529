/* e^x, the logistic function and log(1 + e^x) over arrays: made of +, -, *, / and bit moves alone, so the same bits
 * with any compiler, optimisation level and processor; about 3 ns a value, where libm's exp may
 * take another path (and give another last bit) on another machine.
 *
 * Source   Muller, Elementary Functions (3rd ed. 2016), ch. 11: x = k ln2 + r with ln2 in two parts,
 *          Taylor's series of degree 13 on |r| <= ln2/2, scaled by 2^k in the exponent's bits. */
#ifndef NUM_EXP_N_H
#define NUM_EXP_N_H

#include <stddef.h>

/* out[i] = e^x[i], within 1.5 ulp. x beyond [-708, 709] is taken as that bound (so never zero, never
 * infinite); NaN gives NaN. out may be x. */
void num_exp_n(double *out, const double *x, size_t count);

/* out[i] = 1 / (1 + e^-x[i]), within 3 ulp; |x| beyond 708 as above. out may be x. */
void num_logistic_n(double *out, const double *x, size_t count);

/* out[i] = log(1 + e^x[i]), relatively within 1e-15. |x| beyond 708 as above in e^x. out may be x. */
void num_softplus_n(double *out, const double *x, size_t count);

#endif
