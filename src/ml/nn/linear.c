#include <string.h>

#include "ml/nn/gemm.h"

enum {
    PART_ROWS = 256, /* of y and dx */
    PART_SUM = 1024, /* rows whose share of dw and db is summed by itself */
    PART_OUT = 64,   /* rows of dw, when each is summed over all rows of x */
    LONG_FACTOR = 16 /* x is this much longer than wide: dw is cut by rows of x */
};

struct job {
    nn_real *y, *dx, *dw, *db, *scratch;
    const nn_real *x, *w, *b, *dy;
    size_t n, in, out;
};

static size_t parts_of(size_t n, size_t part) {
    return (n + part - 1) / part;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static void forward_part(void *context, uint32_t part) {
    const struct job *j = context;
    size_t from = (size_t)part * PART_ROWS, rows = least(PART_ROWS, j->n - from);
    nn_real *y = j->y + from * j->out;
    if (j->b)
        for (size_t r = 0; r < rows; r++) memcpy(y + r * j->out, j->b, j->out * sizeof *y);
    nn_gemm(y, j->out, nn_rows(j->x + from * j->in, j->in), nn_transposed(j->w, j->in), rows,
            j->out, j->in, j->b != NULL);
}

void nn_linear_forward(nn_real *y, const nn_real *x, const nn_real *w, const nn_real *b, size_t n,
                       size_t in, size_t out, struct workers *workers) {
    struct job j = {.y = y, .x = x, .w = w, .b = b, .n = n, .in = in, .out = out};
    workers_run(workers, forward_part, &j, (uint32_t)parts_of(n, PART_ROWS));
}

static void dx_part(void *context, uint32_t part) {
    const struct job *j = context;
    size_t from = (size_t)part * PART_ROWS, rows = least(PART_ROWS, j->n - from);
    nn_gemm(j->dx + from * j->in, j->in, nn_rows(j->dy + from * j->out, j->out),
            nn_rows(j->w, j->in), rows, j->in, j->out, false);
}

/* Rows `from` .. of dw, over all of x. */
static void dw_part(void *context, uint32_t part) {
    const struct job *j = context;
    size_t from = (size_t)part * PART_OUT, rows = least(PART_OUT, j->out - from);
    if (j->dw)
        nn_gemm(j->dw + from * j->in, j->in, nn_transposed(j->dy + from, j->out),
                nn_rows(j->x, j->in), rows, j->in, j->n, true);
    if (!j->db) return;
    nn_real sums[PART_OUT] = {0};
    for (size_t r = 0; r < j->n; r++)
        for (size_t o = 0; o < rows; o++) sums[o] += j->dy[r * j->out + from + o];
    for (size_t o = 0; o < rows; o++) j->db[from + o] += sums[o];
}

/* Share of some rows of x in all of dw and db, into this part's scratch. */
static void share_part(void *context, uint32_t part) {
    const struct job *j = context;
    size_t from = (size_t)part * PART_SUM, rows = least(PART_SUM, j->n - from);
    nn_real *dw = j->scratch + (size_t)part * (j->in + 1) * j->out, *db = dw + j->in * j->out;
    const nn_real *dy = j->dy + from * j->out;
    if (j->dw)
        nn_gemm(dw, j->in, nn_transposed(dy, j->out), nn_rows(j->x + from * j->in, j->in), j->out,
                j->in, rows, false);
    if (!j->db) return;
    memset(db, 0, j->out * sizeof *db);
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < j->out; o++) db[o] += dy[r * j->out + o];
}

static bool is_long(size_t n, size_t in, size_t out) {
    return n > PART_SUM && n >= LONG_FACTOR * (in > out ? in : out);
}

size_t nn_linear_scratch(size_t n, size_t in, size_t out) {
    return is_long(n, in, out) ? parts_of(n, PART_SUM) * (in + 1) * out : 1;
}

void nn_linear_backward(nn_real *dx, nn_real *dw, nn_real *db, const nn_real *dy, const nn_real *x,
                        const nn_real *w, size_t n, size_t in, size_t out, nn_real *scratch,
                        struct workers *workers) {
    struct job j = {.dx = dx,
                    .dw = dw,
                    .db = db,
                    .dy = dy,
                    .x = x,
                    .w = w,
                    .n = n,
                    .in = in,
                    .out = out,
                    .scratch = scratch};
    if (dw || db) {
        if (!is_long(n, in, out)) {
            workers_run(workers, dw_part, &j, (uint32_t)parts_of(out, PART_OUT));
        } else {
            uint32_t parts = (uint32_t)parts_of(n, PART_SUM);
            workers_run(workers, share_part, &j, parts);
            for (uint32_t p = 0; p < parts; p++) {
                const nn_real *share = scratch + (size_t)p * (in + 1) * out;
                for (size_t i = 0; i < in * out && dw; i++) dw[i] += share[i];
                for (size_t o = 0; o < out && db; o++) db[o] += share[in * out + o];
            }
        }
    }
    if (dx) workers_run(workers, dx_part, &j, (uint32_t)parts_of(n, PART_ROWS));
}
