/* The guard against flash crashes: closes in, yes or no out. */
#include <math.h>

#include "trade/breaker/breaker_internal.h"

uint32_t breaker_crash_closes(const struct breaker_config *c) {
    if (c->crash_bars == 0) return 0;
    return c->crash_history_bars + c->crash_hold_bars + c->crash_bars;
}

/* Standard deviation of one bar's return about 0: a drift is not what is usual, it is part of a move. */
static double usual(const int64_t *closes, uint32_t count) {
    double sum = 0;
    for (uint32_t i = 1; i < count; i++) {
        double r = (double)(closes[i] - closes[i - 1]) / (double)closes[i - 1];
        sum += r * r;
    }
    return sqrt(sum / (double)(count - 1));
}

bool breaker_is_crash(const struct breaker_config *c, const int64_t *closes, uint32_t count) {
    uint32_t need = breaker_crash_closes(c);
    if (need == 0 || count < need || c->crash_history_bars < 2) return false;
    closes += count - need; /* the newest */
    for (uint32_t i = 0; i < need; i++)
        if (closes[i] <= 0) return false;
    double sigma = usual(closes, c->crash_history_bars) * sqrt((double)c->crash_bars);
    double least = fmax(c->crash_move_min, c->crash_sigmas * sigma);
    for (uint32_t end = need - c->crash_hold_bars; end < need; end++) {
        const int64_t from = closes[end - c->crash_bars];
        if (fabs((double)(closes[end] - from) / (double)from) >= least) return true;
    }
    return false;
}
