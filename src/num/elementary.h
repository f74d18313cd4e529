/* Logarithm, exponential and circle functions made of +, -, * and / alone.
 *
 * libm's log, sin and cos may pick another code path (fused multiply-add) on another processor and
 * then differ in the last bit; these give the same bits wherever IEEE doubles and
 * -ffp-contract=off hold, which is what lets a feature's hash be compared between machines.
 *
 * Source   Muller, Elementary Functions (3rd ed. 2016), ch. 3-4 and 11: log by the series of
 *          2 artanh((m - 1) / (m + 1)); sine and cosine by their Taylor series on [-pi/4, pi/4]. */
#ifndef NUM_ELEMENTARY_H
#define NUM_ELEMENTARY_H

/* Natural logarithm of a positive, finite, normal x; within 2 ulp of the true value. */
double num_log(double x);

/* Sine and cosine of 2 pi turn, 0 <= turn <= 1; within 4e-16. */
void num_circle(double *out_sin, double *out_cos, double turn);

/* e^x for |x| < 700; within 1e-15 (1 + |x|) of the true value, relatively. */
double num_exp(double x);

/* Two independent standard normals from two independent uniforms: 0 <= u < 1, 0 <= turn <= 1.
 * Source   Box and Muller, "A note on the generation of random normal deviates" (1958). */
void num_normal_pair(double out[2], double u, double turn);

#endif
