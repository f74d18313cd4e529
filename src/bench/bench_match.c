/* match: one book under the workload of the peers' figures (docs/match.md): a mid price that walks one
 * tick up or down every 25th operation; 45 % limits behind it (distance 1 + Exp(8) ticks, quantity 1
 * to 100), 40 % cancels of a random earlier order (most are gone by then), 10 % limits three ticks
 * through it, 5 % market orders (1 to 50). A limit takes what it crosses, and its rest comes to rest.
 *
 * Throughput is timed over whole rounds, everything in them. Latencies have a round of their own: each
 * operation between two readings of the clock, whose cost stands in match.clock and is not subtracted
 * (match.clock_max is what the clock alone needs at worst). An operation's parameters are read before,
 * and to a cancel's belongs the handle: it comes out of a list that is the caller's, of
 * all orders ever (18 MB here). */
#include <math.h>
#include <stdlib.h>

#include "base/hist.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "bench/bench.h"
#include "venue/match/match.h"

enum { OPERATIONS = 4000000, ROUNDS = 7, CROSS_TICKS = 3 };

enum operation_kind { OPERATION_LIMIT, OPERATION_CANCEL, OPERATION_MARKET };

struct operation {
    uint8_t kind, side;
    uint16_t qty;
    uint32_t px;
    uint32_t victim; /* cancel: number of the limit order; else 0 */
};

struct match_load {
    struct operation *operations; /* (OPERATIONS) */
    match_handle *handles;        /* of every limit order so far, 0 if nothing of it rested */
    void *book;
    struct hist latency;
};

/* A contract whose price has 45 million ticks, traded at one million; the book keeps some 30 thousand
 * orders on some hundred levels. */
static const struct match_limits limits = {
    .orders_max = 1 << 18, .levels_max = 1 << 13, .tick_max = 45000000};

static void operations_make(struct operation *out, uint64_t seed) {
    struct rng r = rng_init(seed);
    uint32_t mid = 1000000, limit_count = 0;
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        double walk = rng_f64(&r), what = rng_f64(&r);
        if (walk < 0.04) mid += walk < 0.02 ? 1 : UINT32_MAX;
        uint8_t side = (uint8_t)rng_below(&r, 2);
        struct operation op = {.kind = OPERATION_LIMIT, .side = side};
        if (what < 0.45) {
            uint32_t distance = 1 + (uint32_t)(-8 * log1p(-rng_f64(&r)));
            op.px = side == MATCH_BID ? mid - distance : mid + distance;
            op.qty = (uint16_t)(1 + rng_below(&r, 100));
        } else if (what < 0.85 && limit_count > 0) {
            op.kind = OPERATION_CANCEL;
            op.victim = (uint32_t)rng_below(&r, limit_count);
        } else if (what < 0.95) {
            op.px = side == MATCH_BID ? mid + CROSS_TICKS : mid - CROSS_TICKS;
            op.qty = (uint16_t)(1 + rng_below(&r, 100));
        } else {
            op.kind = OPERATION_MARKET;
            op.qty = (uint16_t)(1 + rng_below(&r, 50));
        }
        limit_count += op.kind == OPERATION_LIMIT;
        out[i] = op;
    }
}

struct match_sums {
    uint64_t executions, taken, cancels_late, refused;
};

static void fill_count(void *context, match_handle maker, const struct match_order *order,
                       int64_t qty) {
    (void)maker, (void)order, (void)qty;
    ((struct match_sums *)context)->executions++;
}

static inline match_handle operation_do(struct match *m, const struct operation *op,
                                        match_handle victim, struct match_sums *sums) {
    enum match_side side = (enum match_side)op->side;
    if (op->kind == OPERATION_CANCEL) {
        sums->cancels_late += !match_remove(m, victim);
        return 0;
    }
    int64_t taken = match_take(m, side, op->px, op->qty, fill_count, sums);
    sums->taken += (uint64_t)taken;
    if (op->kind == OPERATION_MARKET || taken == op->qty) return 0;
    struct match_order rest = {op->px, op->side, op->qty - taken, 0};
    match_handle h = match_add(m, &rest);
    sums->refused += h == 0;
    return h;
}

static struct match_sums round_run(struct match_load *load, struct match *m) {
    struct match_sums sums = {0};
    uint32_t limit_count = 0;
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        const struct operation *op = &load->operations[i];
        match_handle h = operation_do(m, op, load->handles[op->victim], &sums);
        load->handles[limit_count] = h;
        limit_count += op->kind == OPERATION_LIMIT;
    }
    return sums;
}

static struct match_sums round_run_timed(struct match_load *load, struct match *m) {
    struct match_sums sums = {0};
    uint32_t limit_count = 0;
    hist_init(&load->latency);
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        const struct operation *op = &load->operations[i];
        const volatile match_handle *given = &load->handles[op->victim];
        match_handle victim = *given, h;
        int64_t from = tstamp_monotonic_ns();
        h = operation_do(m, op, victim, &sums);
        hist_add(&load->latency, tstamp_monotonic_ns() - from);
        load->handles[limit_count] = h;
        limit_count += op->kind == OPERATION_LIMIT;
    }
    return sums;
}

/* Cost of a reading, and the longest that a loop of nothing but readings stood still: what the machine
 * itself adds to the longest operation. */
static double clock_cost(int64_t *gap_max) {
    int64_t from = tstamp_monotonic_ns(), last = from;
    *gap_max = 0;
    for (int i = 0; i < OPERATIONS; i++) {
        int64_t now = tstamp_monotonic_ns();
        if (now - last > *gap_max) *gap_max = now - last;
        last = now;
    }
    return (double)(last - from) / OPERATIONS;
}

static void emit(const char *name, double value, const char *unit) {
    bench_emit(&(struct bench_figure){name, value, unit, OPERATIONS, "", 0});
}

static enum status load_run(struct match_load *load, struct err *err) {
    double ns[ROUNDS];
    struct match_sums first = {0};
    uint32_t orders = 0, levels = 0;
    operations_make(load->operations, 1);
    for (int round = 0; round <= ROUNDS; round++) {
        struct match *m = match_init(load->book, &limits);
        int64_t from = tstamp_monotonic_ns();
        struct match_sums sums = round < ROUNDS ? round_run(load, m) : round_run_timed(load, m);
        if (round < ROUNDS) ns[round] = (double)(tstamp_monotonic_ns() - from) / OPERATIONS;
        if (round == 0) first = sums;
        if (sums.refused > 0 || sums.taken != first.taken || sums.executions != first.executions)
            return err_set(err, ST_CORRUPT, "match: round %d went another way", round);
        orders = match_order_count(m);
        levels = match_level_count(m, MATCH_BID) + match_level_count(m, MATCH_ASK);
    }
    double median = bench_median(ns, ROUNDS);
    int64_t gap_max;
    double clock_ns = clock_cost(&gap_max);
    emit("match", 1e9 / median, "1/s");
    emit("match.ns_per_op", median, "ns");
    emit("match.p50", (double)hist_quantile(&load->latency, 0.5), "ns");
    emit("match.p99", (double)hist_quantile(&load->latency, 0.99), "ns");
    emit("match.p99.9", (double)hist_quantile(&load->latency, 0.999), "ns");
    emit("match.max", (double)load->latency.max, "ns");
    emit("match.clock", clock_ns, "ns");
    emit("match.clock_max", (double)gap_max, "ns");
    emit("match.executions", (double)first.executions, "1");
    emit("match.cancels_late", (double)first.cancels_late, "1");
    emit("match.orders_left", orders, "1");
    emit("match.levels_left", levels, "1");
    return ST_OK;
}

enum status bench_match(struct err *err) {
    struct match_load load = {0};
    load.operations = calloc(OPERATIONS, sizeof *load.operations);
    load.handles = calloc(OPERATIONS + 1, sizeof *load.handles);
    load.book = aligned_alloc(64, match_size(&limits));
    enum status st = load.operations && load.handles && load.book
                         ? load_run(&load, err)
                         : err_set(err, ST_NO_MEMORY, "match");
    free(load.operations);
    free(load.handles);
    free(load.book);
    return st;
}
