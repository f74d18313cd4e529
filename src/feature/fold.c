/* Columns of a coarser timeframe, from the same base bars. A fold is known when its last base bar
 * closes; until then the columns keep saying what the last whole fold said. A fold whose first bars
 * were not seen (start, hole) is never counted. */
#include <math.h>

#include "feature/feature_internal.h"

enum { FOLD_RETURN, FOLD_RSI, FOLD_EMA, FOLD_ATR, FOLD_VOLATILITY };

static double fold_deviation(const struct fold *fold) {
    feature_i128 square = 0, sum = 0;
    for (uint32_t i = 0; i < FOLD_VOLATILITY_BARS; i++) {
        int64_t q = fold->returns[(fold->closed - i) % FOLD_RING];
        sum += q;
        square += (feature_i128)q * q;
    }
    const double n = FOLD_VOLATILITY_BARS;
    return sqrt((double)(FOLD_VOLATILITY_BARS * square - sum * sum) / (n * (n - 1))) * 0x1p-40;
}

static void fold_close(struct fold *fold) {
    fold->closed += fold->closed < UINT32_MAX / 2;
    fold->returns[fold->closed % FOLD_RING] = fold->return_q;
    uint32_t n = fold->closed;
    double c = fold->close, previous = fold->last_close;
    double ema = feature_average(&fold->ema, c, n, 10, 2.0 / 11);
    if (n >= 10) fold->value[FOLD_EMA] = c / ema - 1;
    if (n >= 2) {
        double top = fold->high > previous ? fold->high : previous;
        double bottom = fold->low < previous ? fold->low : previous;
        double atr = feature_wilder(&fold->atr, top - bottom, n - 1);
        double gain = feature_wilder(&fold->gain, c > previous ? c - previous : 0, n - 1);
        double loss = feature_wilder(&fold->loss, c < previous ? previous - c : 0, n - 1);
        fold->value[FOLD_RETURN] = c / previous - 1;
        if (n > WILDER_BARS) {
            fold->value[FOLD_RSI] = feature_rsi(gain, loss);
            fold->value[FOLD_ATR] = atr / c;
        }
        if (n > FOLD_VOLATILITY_BARS) fold->value[FOLD_VOLATILITY] = fold_deviation(fold);
    }
    fold->last_close = c;
}

void feature_fold_step(struct fold *fold, double *out, const struct feature_step *in, uint64_t grid,
                       uint32_t size) {
    uint32_t phase = (uint32_t)(grid & (size - 1));
    if (phase == 0) {
        fold->high = in->high;
        fold->low = in->low;
        fold->return_q = 0;
        fold->filled = 0;
    }
    fold->high = in->high > fold->high ? in->high : fold->high;
    fold->low = in->low < fold->low ? in->low : fold->low;
    fold->close = in->close;
    fold->return_q += in->return_q;
    fold->filled++;
    if (phase == size - 1 && fold->filled == size) fold_close(fold);
    for (int i = 0; i < FOLD_COLUMNS; i++) out[i] = fold->value[i];
}
