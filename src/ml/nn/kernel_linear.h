/* Linear layers from packed panels, in the order of additions that nn.h states. */
#ifndef ML_NN_KERNEL_LINEAR_H
#define ML_NN_KERNEL_LINEAR_H

#include "ml/nn/kernels.h"
#include "ml/nn/vector.h"

/* The outputs of one panel. */
#if defined(__AVX512F__) && !defined(NN_DOUBLE)

typedef float panel __attribute__((vector_size(64)));
KERNEL_INLINE panel panel_zero(void) {
    return (panel){0};
}
KERNEL_INLINE panel panel_load(const nn_real *p) {
    panel v;
    memcpy(&v, p, sizeof v);
    return v;
}
KERNEL_INLINE void panel_store(nn_real *p, panel v) {
    memcpy(p, &v, sizeof v);
}
KERNEL_INLINE panel panel_add(panel a, panel b) {
    return a + b;
}
KERNEL_INLINE panel panel_step(panel sum, nn_real x, panel w) {
    return sum + (panel)_mm512_set1_ps(x) * w;
}

#else

enum { PANEL_VECS = NN_PANEL / LANES };
typedef struct {
    vec v[PANEL_VECS];
} panel;
#ifdef NN_DOUBLE
#define EACH(expression)                                                                           \
    (panel) {                                                                                      \
        { expression(0), expression(1), expression(2), expression(3) }                             \
    }
#else
#define EACH(expression)                                                                           \
    (panel) {                                                                                      \
        { expression(0), expression(1) }                                                           \
    }
#endif
#define ZERO(i) v_splat(0)
#define LOAD(i) v_load(p + (i)*LANES)
#define ADD(i)  a.v[i] + b.v[i]
#define STEP(i) sum.v[i] + factor *w.v[i]
KERNEL_INLINE panel panel_zero(void) {
    return EACH(ZERO);
}
KERNEL_INLINE panel panel_load(const nn_real *p) {
    return EACH(LOAD);
}
KERNEL_INLINE void panel_store(nn_real *p, panel v) {
    for (int i = 0; i < PANEL_VECS; i++) v_store(p + i * LANES, v.v[i]);
}
KERNEL_INLINE panel panel_add(panel a, panel b) {
    return EACH(ADD);
}
KERNEL_INLINE panel panel_step(panel sum, nn_real x, panel w) {
    vec factor = v_splat(x);
    return EACH(STEP);
}
#undef EACH
#undef ZERO
#undef LOAD
#undef ADD
#undef STEP

#endif

/* The first count outputs of a panel. */
KERNEL_INLINE void panel_give(nn_real *y, panel v, size_t count) {
    if (count >= NN_PANEL) {
        panel_store(y, v);
        return;
    }
    nn_real lanes[NN_PANEL];
    panel_store(lanes, v);
    for (size_t i = 0; i < count; i++) y[i] = lanes[i];
}

KERNEL_INLINE size_t block_end(size_t from, size_t in) {
    return in - from < NN_FIXED_BLOCK ? in : from + NN_FIXED_BLOCK;
}

/* One row, four panels side by side: enough independent sums to hide the addition's latency. */
static void row_by_four(nn_real *y, const nn_real *x, const nn_real *w, size_t in, size_t out) {
    size_t next = NN_PANEL * (in + 1);
    panel t0 = panel_zero(), t1 = t0, t2 = t0, t3 = t0;
    for (size_t from = 0; from < in; from += NN_FIXED_BLOCK) {
        panel s0 = panel_zero(), s1 = s0, s2 = s0, s3 = s0;
        for (size_t i = from, to = block_end(from, in); i < to; i++) {
            const nn_real *at = w + i * NN_PANEL;
            s0 = panel_step(s0, x[i], panel_load(at));
            s1 = panel_step(s1, x[i], panel_load(at + next));
            s2 = panel_step(s2, x[i], panel_load(at + 2 * next));
            s3 = panel_step(s3, x[i], panel_load(at + 3 * next));
        }
        t0 = panel_add(t0, s0), t1 = panel_add(t1, s1);
        t2 = panel_add(t2, s2), t3 = panel_add(t3, s3);
    }
    const nn_real *bias = w + in * NN_PANEL;
    panel_store(y, panel_add(t0, panel_load(bias)));
    panel_store(y + NN_PANEL, panel_add(t1, panel_load(bias + next)));
    panel_store(y + 2 * NN_PANEL, panel_add(t2, panel_load(bias + 2 * next)));
    panel_give(y + 3 * NN_PANEL, panel_add(t3, panel_load(bias + 3 * next)), out - 3 * NN_PANEL);
}

static void row_by_one(nn_real *y, const nn_real *x, const nn_real *w, size_t in, size_t out) {
    panel total = panel_zero();
    for (size_t from = 0; from < in; from += NN_FIXED_BLOCK) {
        panel sum = panel_zero();
        for (size_t i = from, to = block_end(from, in); i < to; i++)
            sum = panel_step(sum, x[i], panel_load(w + i * NN_PANEL));
        total = panel_add(total, sum);
    }
    panel_give(y, panel_add(total, panel_load(w + in * NN_PANEL)), out);
}

/* Four rows, one panel: a weight is read once for the four. */
static void four_by_one(nn_real *y, const nn_real *x, const nn_real *w, size_t in, size_t out,
                        size_t stride) {
    const nn_real *x1 = x + in, *x2 = x1 + in, *x3 = x2 + in;
    panel t0 = panel_zero(), t1 = t0, t2 = t0, t3 = t0;
    for (size_t from = 0; from < in; from += NN_FIXED_BLOCK) {
        panel s0 = panel_zero(), s1 = s0, s2 = s0, s3 = s0;
        for (size_t i = from, to = block_end(from, in); i < to; i++) {
            panel weights = panel_load(w + i * NN_PANEL);
            s0 = panel_step(s0, x[i], weights);
            s1 = panel_step(s1, x1[i], weights);
            s2 = panel_step(s2, x2[i], weights);
            s3 = panel_step(s3, x3[i], weights);
        }
        t0 = panel_add(t0, s0), t1 = panel_add(t1, s1);
        t2 = panel_add(t2, s2), t3 = panel_add(t3, s3);
    }
    panel bias = panel_load(w + in * NN_PANEL);
    panel_give(y, panel_add(t0, bias), out);
    panel_give(y + stride, panel_add(t1, bias), out);
    panel_give(y + 2 * stride, panel_add(t2, bias), out);
    panel_give(y + 3 * stride, panel_add(t3, bias), out);
}

static void linear_packed(nn_real *y, const nn_real *x, const nn_real *packed, size_t n, size_t in,
                          size_t out) {
    size_t panel_size = NN_PANEL * (in + 1), r = 0;
    /* Panels outside, so that one stays in the first cache while all rows pass. */
    size_t fours = n / 4 * 4;
    for (size_t o = 0; o < out && fours > 0; o += NN_PANEL)
        for (r = 0; r < fours; r += 4)
            four_by_one(y + r * out + o, x + r * in, packed + o / NN_PANEL * panel_size, in,
                        out - o, out);
    for (r = fours; r < n; r++) {
        size_t o = 0;
        for (; o + 3 * NN_PANEL < out; o += 4 * NN_PANEL)
            row_by_four(y + r * out + o, x + r * in, packed + o / NN_PANEL * panel_size, in,
                        out - o < 4 * NN_PANEL ? out - o : 4 * NN_PANEL);
        for (; o < out; o += NN_PANEL)
            row_by_one(y + r * out + o, x + r * in, packed + o / NN_PANEL * panel_size, in,
                       out - o);
    }
}

#endif
