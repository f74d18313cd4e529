/* The traded path inside a bar, and the book around it. All exact: positions on the path are
 * rationals compared in 128 bits, never rounded before a comparison. */
#include "base/assert.h"
#include "venue/simex/simex_internal.h"

static simex_i128 div_floor(simex_i128 n, simex_i128 d) {
    simex_i128 q = n / d;
    return (n % d != 0 && n < 0) ? q - 1 : q;
}

/* open -> first extreme -> second extreme -> close at 0, 1/3, 2/3 and the last ns of the interval:
 * the close is printed inside its own bar. A rising bar visits its low first: of the two orders the
 * shorter walk, and the one that meets a long's stop before its target. */
static void path_build(struct sx_path *out, int64_t open_ts, int64_t interval, int64_t open,
                       int64_t high, int64_t low, int64_t close) {
    bool rising = close >= open;
    *out = (struct sx_path){
        .ts = {open_ts, open_ts + interval / 3, open_ts + interval - interval / 3,
               open_ts + interval - 1},
        .px = {open, rising ? low : high, rising ? high : low, close},
    };
}

void simex_path_last(const struct simex *sx, uint32_t s, struct sx_path *out) {
    const struct bar *b = &simex_symbol(sx, s)->bar;
    path_build(out, b->open_ts_ns, sx->config.interval_ns, b->open.e8, b->high.e8, b->low.e8,
               b->close.e8);
}

void simex_path_mark(const struct simex *sx, uint32_t s, struct sx_path *out) {
    const struct sx_symbol *y = simex_symbol(sx, s);
    path_build(out, y->bar.open_ts_ns, sx->config.interval_ns, y->mark_open, y->mark_high,
               y->mark_low, y->mark_close);
}

int64_t simex_path_floor(const struct sx_path *path, int64_t ts) {
    if (ts <= path->ts[0]) return path->px[0];
    for (int k = 0; k < 3; k++) {
        if (ts >= path->ts[k + 1]) continue;
        simex_i128 rise = (simex_i128)(path->px[k + 1] - path->px[k]) * (ts - path->ts[k]);
        return path->px[k] + (int64_t)div_floor(rise, path->ts[k + 1] - path->ts[k]);
    }
    return path->px[3];
}

int64_t simex_path_ceil(const struct sx_path *path, int64_t ts) {
    if (ts <= path->ts[0]) return path->px[0];
    for (int k = 0; k < 3; k++) {
        if (ts >= path->ts[k + 1]) continue;
        simex_i128 rise = (simex_i128)(path->px[k + 1] - path->px[k]) * (ts - path->ts[k]);
        return path->px[k] - (int64_t)div_floor(-rise, path->ts[k + 1] - path->ts[k]);
    }
    return path->px[3];
}

int64_t simex_path_first(const struct sx_path *path, int64_t from, int64_t level, int direction) {
    int64_t goal = level * direction;
    if (from < path->ts[0]) from = path->ts[0];
    for (int k = 0; k < 3; k++) {
        if (from >= path->ts[k + 1]) continue;
        int64_t start = path->px[k] * direction, end = path->px[k + 1] * direction;
        int64_t width = path->ts[k + 1] - path->ts[k], at = simex_max(from, path->ts[k]);
        simex_i128 needed = (simex_i128)(goal - start) * width; /* of rise * time */
        if ((simex_i128)(end - start) * (at - path->ts[k]) >= needed) return at;
        if (end >= goal) return path->ts[k] - (int64_t)div_floor(-needed, end - start);
    }
    /* After its last bar a symbol stands at the close. */
    if (path->px[3] * direction >= goal) return simex_max(from, path->ts[3]);
    return SIMEX_NEVER;
}

int64_t simex_mark_now(const struct simex *sx, uint32_t s) {
    struct sx_path mark;
    if (simex_symbol(sx, s)->bar.open_ts_ns == INT64_MIN) return 0;
    simex_path_mark(sx, s, &mark);
    return simex_path_floor(&mark, sx->clock_ns);
}

int64_t simex_best_px(const struct simex *sx, uint32_t s, enum side taker, int64_t floor,
                      int64_t ceil) {
    int64_t tick = simex_instrument(sx, s)->tick_size.e8, half_tick = tick - tick / 2;
    int64_t half = sx->config.half_spread.e8;
    if (taker == SIDE_BUY)
        return fx_snap_up(simex_max(fx_mul_ceil(ceil, FX_ONE + half), ceil + half_tick), tick);
    int64_t bid =
        fx_snap_down(simex_min(fx_mul_floor(floor, FX_ONE - half), floor - half_tick), tick);
    return simex_max(bid, tick); /* a bid cannot be nothing */
}

int64_t simex_best_now(const struct simex *sx, uint32_t s, enum side taker) {
    struct sx_path path;
    simex_path_last(sx, s, &path);
    return simex_best_px(sx, s, taker, simex_path_floor(&path, sx->clock_ns),
                         simex_path_ceil(&path, sx->clock_ns));
}

int64_t simex_level_spacing(const struct simex *sx, uint32_t s, int64_t best) {
    int64_t tick = simex_instrument(sx, s)->tick_size.e8;
    return simex_max(tick, fx_snap_up(fx_mul_ceil(best, sx->config.half_spread.e8), tick));
}

int64_t simex_level_depth(const struct simex *sx, uint32_t s) {
    /* volume is in base units and the share in e8, so the product is a quantity in e8 */
    double depth = simex_symbol(sx, s)->bar.volume * (double)sx->config.depth_share.e8;
    int64_t step = simex_instrument(sx, s)->market_step_size.e8;
    int64_t qty = depth < 4e18 ? (int64_t)depth : INT64_C(4000000000000000000);
    return simex_max(step, fx_snap_down(qty, step));
}
