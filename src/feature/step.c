/* One closed bar in, one row out. Groups of columns read the bar and the state as the last bar left
 * it; prices are doubles in e8 units, exact below 2^53, since every column is a ratio. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/tstamp.h"
#include "feature/feature_internal.h"
#include "num/elementary.h"

#define RETURN_UNIT 0x1p40 /* log returns are kept as integers of 2^-40 */
#define VOLUME_MAX  1e150  /* its square must stay finite */

enum lane {
    LANE_VOLUME,
    LANE_OBV,
    LANE_VPT,
    LANE_TAKER,
    LANE_TRADES,
    LANE_BASE,
    LANE_BASE_SQUARE,
    LANE_VWAP
};

size_t feature_series_size(void) {
    return sizeof(struct feature_series);
}

static void series_restart(struct feature_series *s, int64_t open_ts_ns) {
    int64_t interval_ns = s->interval_ns;
    memset(s, 0, sizeof *s);
    s->interval_ns = interval_ns;
    s->grid = (uint64_t)open_ts_ns / (uint64_t)interval_ns;
    for (int i = 0; i < FOLD_COLUMNS; i++) s->fold4.value[i] = s->fold16.value[i] = (double)NAN;
}

void feature_series_init(struct feature_series *s, int64_t interval_ns) {
    ASSERT(interval_ns > 0);
    s->interval_ns = interval_ns;
    series_restart(s, 0);
}

/* Pushes one value a lane and gives each lane's sum over the last 20. */
static void window_sum_push(struct window_sum *w, double *out, const double *x, uint32_t at) {
    double *own = w->part[at], *rest = w->part[at + 1];
    for (int i = 0; i < WINDOW_SUM_LANES; i++) {
        own[i] = x[i];
        w->prefix[i] += x[i];
        out[i] = w->prefix[i] + rest[i];
    }
    if (at + 1 < WINDOW_SUM_BARS) return;
    for (int k = WINDOW_SUM_BARS - 2; k >= 0; k--)
        for (int i = 0; i < WINDOW_SUM_LANES; i++) w->part[k][i] += w->part[k + 1][i];
    memset(w->prefix, 0, sizeof w->prefix);
}

static double higher(double a, double b) {
    return a > b ? a : b;
}
static double lower(double a, double b) {
    return a < b ? a : b;
}

/* Highest and lowest over the last `window` bars; right from the window-th push on. */
static void extreme_push(struct extreme *e, double *highs, double *lows, double *out_high,
                         double *out_low, double high, double low, uint32_t window) {
    uint32_t at = e->at;
    highs[at] = high;
    lows[at] = low;
    e->high = at ? higher(e->high, high) : high;
    e->low = at ? lower(e->low, low) : low;
    if (at + 1 < window) {
        *out_high = higher(e->high, highs[at + 1]);
        *out_low = lower(e->low, lows[at + 1]);
        e->at = at + 1;
        return;
    }
    *out_high = e->high;
    *out_low = e->low;
    e->at = 0;
    for (uint32_t k = window - 1; k-- > 0;) {
        highs[k] = higher(highs[k], highs[k + 1]);
        lows[k] = lower(lows[k], lows[k + 1]);
    }
}

static double candle_engulfing(const struct feature_series *s, const struct feature_step *in) {
    double body = in->close - in->open, before = s->close - s->open;
    if (fabs(body) <= fabs(before)) return 0;
    if (body > 0 && before < 0 && in->close >= s->open && in->open <= s->close) return 1;
    if (body < 0 && before > 0 && in->close <= s->open && in->open >= s->close) return -1;
    return 0;
}

static void step_candle(const struct feature_series *s, double *v, const struct feature_step *in) {
    double range = in->high - in->low, body = in->close - in->open, size = fabs(body);
    double above = in->high - higher(in->open, in->close),
           below = lower(in->open, in->close) - in->low;
    double per_range = range > 0 ? 1.0 / range : 0;
    v[FEATURE_HIGH_LOW_RANGE] = range / in->close;
    v[FEATURE_CANDLE_BODY] = body * per_range;
    v[FEATURE_UPPER_WICK] = above * per_range;
    v[FEATURE_LOWER_WICK] = below * per_range;
    v[FEATURE_CANDLE_DOJI] = range > 0 && size <= 0.1 * range;
    v[FEATURE_CANDLE_HAMMER] = size <= 0                                                 ? 0
                               : below >= 2 * size && above <= 2 * size && above < below ? 1
                               : above >= 2 * size && below <= 2 * size && below < above ? -1
                                                                                         : 0;
    if (in->n < 2) return;
    v[FEATURE_PRICE_CHANGE] = in->close / s->close - 1;
    v[FEATURE_GAP] = in->open / s->close - 1;
    v[FEATURE_LOG_RETURN_1] = in->log_return;
    v[FEATURE_CANDLE_ENGULFING] = candle_engulfing(s, in);
    if (in->n > 2) v[FEATURE_ACCELERATION] = in->log_return - s->log_return;
}

/* The last close is at now[0], the one k bars ago at now[-k]. */
static const double *closes_push(struct feature_series *s, double close) {
    uint32_t at = s->bars % RING_BARS;
    s->closes[at] = s->closes[at + RING_BARS] = close;
    return &s->closes[at + RING_BARS];
}

static void step_momentum(double *v, const struct feature_step *in, const double *now) {
    double c = in->close;
    uint32_t n = in->n;
    if (n > 3) v[FEATURE_MOMENTUM_3] = c / now[-3] - 1;
    if (n > 5) v[FEATURE_MOMENTUM_5] = c / now[-5] - 1;
    if (n > 10) v[FEATURE_MOMENTUM_10] = c / now[-10] - 1;
    if (n > 20) v[FEATURE_MOMENTUM_20] = c / now[-20] - 1;
    if (n > 24) v[FEATURE_RETURN_24] = c / now[-24] - 1;
    if (n > 96) v[FEATURE_RETURN_96] = c / now[-96] - 1;
}

static void step_averages(struct feature_series *s, double *v, const struct feature_step *in) {
    double c = in->close, per_close = 1.0 / c;
    uint32_t n = in->n;
    double e10 = feature_average(&s->ema10, c, n, 10, 2.0 / 11);
    double e12 = feature_average(&s->ema12, c, n, 12, 2.0 / 13);
    double e20 = feature_average(&s->ema20, c, n, 20, 2.0 / 21);
    double e26 = feature_average(&s->ema26, c, n, 26, 2.0 / 27);
    double e50 = feature_average(&s->ema50, c, n, 50, 2.0 / 51);
    double e200 = feature_average(&s->ema200, c, n, 200, 2.0 / 201);
    if (n < 10) return;
    v[FEATURE_EMA_10_DISTANCE] = c / e10 - 1;
    if (n < 20) return;
    v[FEATURE_EMA_20_DISTANCE] = c / e20 - 1;
    v[FEATURE_EMA_10_20_CROSS] = e10 / e20 - 1;
    if (n < 26) return;
    double macd = e12 - e26, signal = feature_average(&s->macd_signal, macd, n - 25, 9, 2.0 / 10);
    v[FEATURE_MACD] = macd * per_close;
    if (n < 34) return;
    v[FEATURE_MACD_SIGNAL] = signal * per_close;
    v[FEATURE_MACD_HIST] = (macd - signal) * per_close;
    if (n < 50) return;
    v[FEATURE_EMA_50_DISTANCE] = c / e50 - 1;
    v[FEATURE_EMA_10_50_CROSS] = e10 / e50 - 1;
    if (n >= 200) v[FEATURE_EMA_200_DISTANCE] = c / e200 - 1;
}

/* Means of 20 and 50 closes and the Bollinger band. Two exact passes over 20 closes rather than a
 * running sum of squares, which would cancel: four partial sums in fixed order keep it short. */
static void step_bands(struct feature_series *s, double *v, const struct feature_step *in,
                       const double *now) {
    uint32_t n = in->n;
    /* From the ring both times: what entered the sum is what leaves it. */
    s->close50 += (feature_i128)now[0];
    if (n > SMA_LONG_BARS) s->close50 -= (feature_i128)now[-SMA_LONG_BARS];
    if (n >= SMA_LONG_BARS)
        v[FEATURE_SMA_50_DISTANCE] = SMA_LONG_BARS * in->close / (double)s->close50 - 1;
    if (n < 20) return;
    const double *x = now - 19;
    double a = 0, b = 0, c = 0, d = 0;
    for (int i = 0; i < 20; i += 4) a += x[i], b += x[i + 1], c += x[i + 2], d += x[i + 3];
    double mean = ((a + b) + (c + d)) / 20;
    a = b = c = d = 0;
    for (int i = 0; i < 20; i += 4) {
        double p = x[i] - mean, q = x[i + 1] - mean, r = x[i + 2] - mean, t = x[i + 3] - mean;
        a += p * p, b += q * q, c += r * r, d += t * t;
    }
    double deviation = sqrt(((a + b) + (c + d)) / 20);
    v[FEATURE_SMA_20_DISTANCE] = in->close / mean - 1;
    v[FEATURE_BB_WIDTH] = 4 * deviation / mean;
    v[FEATURE_BB_POSITION] = 0.5 + (deviation > 0 ? (in->close - mean) / (4 * deviation) : 0);
}

static void step_wilder(struct feature_series *s, double *v, const struct feature_step *in) {
    if (in->n < 2) return;
    uint32_t n = in->n - 1;
    double change = in->close - s->close, up = in->high - s->high, down = s->low - in->low;
    double gain = feature_wilder(&s->gain, change > 0 ? change : 0, n);
    double loss = feature_wilder(&s->loss, change < 0 ? -change : 0, n);
    double atr = feature_wilder(&s->atr, in->true_range, n);
    double plus = feature_wilder(&s->plus_dm, up > down && up > 0 ? up : 0, n);
    double minus = feature_wilder(&s->minus_dm, down > up && down > 0 ? down : 0, n);
    if (n < WILDER_BARS) return;
    double moved = plus + minus, per_atr = atr > 0 ? 100.0 / atr : 0;
    double directional = feature_ratio(100.0 * fabs(plus - minus), moved, 0);
    double adx = feature_wilder(&s->adx, directional, n - (WILDER_BARS - 1));
    v[FEATURE_RSI_14] = feature_rsi(gain, loss);
    v[FEATURE_ATR_FRACTION] = atr / in->close;
    v[FEATURE_RANGE_RATIO] = atr > 0 ? in->true_range * per_atr * 0.01 : 1;
    v[FEATURE_PLUS_DI_14] = plus * per_atr;
    v[FEATURE_MINUS_DI_14] = minus * per_atr;
    if (n >= 2 * WILDER_BARS - 1) v[FEATURE_ADX_14] = adx;
}

static void step_extremes(struct feature_series *s, double *v, const struct feature_step *in) {
    double high, low, k = (double)NAN;
    extreme_push(&s->extreme14, s->high14, s->low14, &high, &low, in->high, in->low,
                 STOCHASTIC_BARS);
    if (in->n >= STOCHASTIC_BARS) {
        k = feature_ratio(100.0 * (in->close - low), high - low, 50.0);
        v[FEATURE_STOCHASTIC_K] = k;
        if (in->n >= STOCHASTIC_BARS + 2)
            v[FEATURE_STOCHASTIC_D] = (k + (s->stochastic[0] + s->stochastic[1])) / 3;
    }
    s->stochastic[1] = s->stochastic[0];
    s->stochastic[0] = k;
    extreme_push(&s->extreme96, s->high96, s->low96, &high, &low, in->high, in->low, RANGE_BARS);
    if (in->n >= RANGE_BARS)
        v[FEATURE_RANGE_POSITION_96] = feature_ratio(in->close - low, high - low, 0.5);
}

static int64_t return_at(const struct feature_series *s, uint32_t back) {
    return s->returns[(s->bars - back) % RING_BARS];
}

static feature_i128 times(int64_t a, int64_t b) {
    return (feature_i128)a * b;
}

/* Columns made of log returns, from exact integer sums. Slots of the ring not yet written are 0, so
 * what leaves a window that is not yet full is 0. */
static void step_returns(struct feature_series *s, double *v, const struct feature_step *in) {
    int64_t q = in->return_q, q1 = return_at(s, 1);
    int64_t q6 = return_at(s, 6), q20 = return_at(s, 20), q21 = return_at(s, 21),
            q96 = return_at(s, 96);
    s->returns[s->bars % RING_BARS] = q;
    feature_i128 square = times(q, q);
    int64_t before20 = s->return20;
    double deviation_before = s->deviation20_previous;
    s->square6 += square - times(q6, q6);
    s->square20 += square - times(q20, q20);
    s->square96 += square - times(q96, q96);
    s->product20 += times(q, q1) - times(q20, q21);
    s->return20 += q - q20;
    double deviation = sqrt((double)(20 * s->square20 - times(s->return20, s->return20)));
    s->deviation20_previous = deviation;

    uint32_t n = in->n - 1;
    if (n < 6) return;
    double volatility6 = sqrt((double)s->square6 * (0x1p-80 / 6));
    v[FEATURE_VOLATILITY_6] = volatility6;
    if (n < 20) return;
    v[FEATURE_VOLATILITY_20] = deviation * (0x1p-40 * 0.05129891760425771); /* 1 / sqrt(20 * 19) */
    if (n < 21) return;
    double both = deviation * deviation_before;
    double covariance = (double)(20 * s->product20 - times(s->return20, before20));
    v[FEATURE_AUTOCORRELATION_20] = feature_ratio(covariance, both, 0);
    v[FEATURE_SPREAD_ROLL] = covariance < 0 ? 2 * 0x1p-40 * sqrt(covariance * (-1.0 / 400)) : 0;
    if (n < 96) return;
    double volatility96 = sqrt((double)s->square96 * (0x1p-80 / 96));
    int64_t move3 = q + q1 + return_at(s, 2);
    v[FEATURE_VOLATILITY_96] = volatility96;
    v[FEATURE_VOLATILITY_RATIO] = feature_ratio(volatility6, volatility96, 1);
    v[FEATURE_MOVE_RATIO_3] = feature_ratio(fabs((double)move3) * (0x1p-40 * 0.5773502691896258),
                                            volatility96, 0); /* 1 / sqrt 3 */
}

/* How far the mean of the last 3 volumes is from the 20 before them. */
static double volume_z(double volume3, const double *sum) {
    double mean = sum[LANE_BASE] / 20,
           variance = (sum[LANE_BASE_SQUARE] - sum[LANE_BASE] * mean) / 19;
    double gap = volume3 / 3 - mean;
    if (sum[LANE_BASE] <= 0) return (double)NAN;
    /* Below 1e-12 of mean^2 the difference of sums is rounding, not variance. */
    if (variance <= 1e-12 * mean * mean) return fabs(gap) <= 1e-6 * mean ? 0 : gap > 0 ? 50 : -50;
    return gap * 1.7320508075688772 / sqrt(variance);
}

static void step_takers(const struct feature_series *s, double *v, const struct feature_step *in,
                        const double *sum, double volume3) {
    double taker3 = in->taker_signed + (s->taker_lag[0] + s->taker_lag[1]);
    v[FEATURE_TAKER_IMBALANCE] = feature_ratio(in->taker_signed, in->volume, (double)NAN);
    if (in->n < 3) return;
    double imbalance3 = feature_ratio(taker3, volume3, (double)NAN);
    v[FEATURE_TAKER_IMBALANCE_3] = imbalance3;
    if (in->n < 20) return;
    v[FEATURE_TAKER_IMBALANCE_20] = feature_ratio(sum[LANE_TAKER], sum[LANE_VOLUME], (double)NAN);
    v[FEATURE_TRADE_COUNT_RATIO] =
        feature_ratio(20 * in->trade_count, sum[LANE_TRADES], (double)NAN);
    v[FEATURE_TRADE_SIZE_RATIO] = feature_ratio(in->volume * sum[LANE_TRADES],
                                                in->trade_count * sum[LANE_VOLUME], (double)NAN);
    v[FEATURE_ABSORPTION_3] = v[FEATURE_VOLUME_Z_3] * imbalance3 / (1 + v[FEATURE_MOVE_RATIO_3]);
}

static void step_volume(struct feature_series *s, double *v, const struct feature_step *in) {
    double x[WINDOW_SUM_LANES], sum[WINDOW_SUM_LANES], volume = in->volume;
    double change = in->n > 1 ? in->close - s->close : 0;
    double delayed = s->volume_lag[1]; /* 3 bars ago */
    double volume3 = volume + (s->volume + s->volume_lag[0]);
    x[LANE_VOLUME] = volume;
    x[LANE_OBV] = change > 0 ? volume : change < 0 ? -volume : 0;
    x[LANE_VPT] = in->n > 1 ? volume * (change / s->close) : 0;
    x[LANE_TAKER] = in->taker_signed;
    x[LANE_TRADES] = in->trade_count;
    x[LANE_BASE] = delayed;
    x[LANE_BASE_SQUARE] = delayed * delayed;
    x[LANE_VWAP] = volume * (in->high + in->low + in->close);
    window_sum_push(&s->sum20, sum, x, s->at20);
    s->at20 = s->at20 + 1 < WINDOW_SUM_BARS ? s->at20 + 1 : 0;
    double average96 = feature_average(&s->volume_ema96, volume, in->n, 96, 2.0 / 97);

    double total = sum[LANE_VOLUME];
    if (in->n >= 2) v[FEATURE_VOLUME_CHANGE] = feature_ratio(volume, s->volume, (double)NAN) - 1;
    if (in->n >= 20) {
        v[FEATURE_VOLUME_MA_RATIO] = feature_ratio(20 * volume, total, (double)NAN);
        v[FEATURE_VWAP_20_DISTANCE] =
            feature_ratio(3 * in->close * total, sum[LANE_VWAP], (double)NAN) - 1;
    }
    if (in->n >= 21) {
        v[FEATURE_OBV_20] = feature_ratio(sum[LANE_OBV], total, (double)NAN);
        v[FEATURE_VPT_20] = feature_ratio(sum[LANE_VPT], total, (double)NAN);
    }
    if (in->n >= 23) v[FEATURE_VOLUME_Z_3] = volume_z(volume3, sum);
    if (in->n >= 96)
        v[FEATURE_VOLUME_TREND] = feature_ratio(total * 0.05, average96, (double)NAN) - 1;
    step_takers(s, v, in, sum, volume3);
}

static void step_clock(double *v, int64_t close_ts_ns) {
    /* 1970-01-01 was a Thursday: Monday is 4 days on, 3 days back. */
    const int64_t week = 7 * NS_PER_DAY;
    double day = (double)(close_ts_ns % NS_PER_DAY) / (double)NS_PER_DAY;
    double of_week = (double)((close_ts_ns + 3 * NS_PER_DAY) % week) / (double)week;
    num_circle(&v[FEATURE_DAY_SIN], &v[FEATURE_DAY_COS], day);
    num_circle(&v[FEATURE_WEEK_SIN], &v[FEATURE_WEEK_COS], of_week);
}

/* Clamped to the registry's range, NaN made one NaN, rounded to float. */
static void row_write(float *row, const double *v) {
    static const float lo[FEATURE_COUNT] = {
#define FEATURE_LO(id, name, unit, low, ...) low,
        FEATURE_TABLE(FEATURE_LO)
#undef FEATURE_LO
    };
    static const float hi[FEATURE_COUNT] = {
#define FEATURE_HI(id, name, unit, low, high, ...) high,
        FEATURE_TABLE(FEATURE_HI)
#undef FEATURE_HI
    };
    for (uint32_t i = 0; i < FEATURE_OWN_COUNT; i++) {
        float x = (float)v[i];
        x = x < lo[i] ? lo[i] : x;
        x = x > hi[i] ? hi[i] : x;
        row[i] = x == x ? x : NAN;
    }
    for (uint32_t i = FEATURE_OWN_COUNT; i < FEATURE_COUNT; i++) row[i] = NAN;
}

static void step_input(struct feature_step *in, const struct feature_series *s,
                       const struct bar *bar) {
    in->open = (double)bar->open.e8;
    in->high = (double)bar->high.e8;
    in->low = (double)bar->low.e8;
    in->close = (double)bar->close.e8;
    in->volume = bar->volume < VOLUME_MAX ? bar->volume : VOLUME_MAX;
    /* Nothing traded is known to be balanced, whatever the source says about the share. */
    in->taker_signed = in->volume > 0 ? in->volume * (2.0 * (double)bar->taker_buy_ratio - 1) : 0;
    in->trade_count =
        bar->trade_count == BAR_COUNT_UNKNOWN ? (double)NAN : (double)bar->trade_count;
    in->n = s->bars + 1;
    in->log_return = 0;
    in->return_q = 0;
    in->true_range = in->high - in->low;
    if (in->n < 2) return;
    double r = num_log(in->close / s->close);
    in->log_return = r;
    in->return_q = (int64_t)(r * RETURN_UNIT + (r < 0 ? -0.5 : 0.5));
    in->true_range = higher(in->high, s->close) - lower(in->low, s->close);
}

static void step_keep(struct feature_series *s, const struct feature_step *in, int64_t open_ts_ns) {
    s->open_ts_ns = open_ts_ns;
    s->open = in->open;
    s->high = in->high;
    s->low = in->low;
    s->close = in->close;
    s->log_return = in->log_return;
    s->volume_lag[1] = s->volume_lag[0];
    s->volume_lag[0] = s->volume;
    s->volume = in->volume;
    s->taker_lag[1] = s->taker_lag[0];
    s->taker_lag[0] = in->taker_signed;
    s->bars = in->n;
    s->grid++;
}

void feature_step(float *row, struct feature_series *s, const struct bar *bar) {
    ASSERT(bar_is_possible(bar));
    ASSERT(bar->open_ts_ns >= 0 && (s->bars == 0 || bar->open_ts_ns > s->open_ts_ns));
    if (s->bars == 0 || bar->open_ts_ns != s->open_ts_ns + s->interval_ns)
        series_restart(s, bar->open_ts_ns);

    double v[FEATURE_OWN_COUNT];
    for (uint32_t i = 0; i < FEATURE_OWN_COUNT; i++) v[i] = (double)NAN;
    struct feature_step in;
    step_input(&in, s, bar);
    const double *now = closes_push(s, in.close);
    step_candle(s, v, &in);
    step_momentum(v, &in, now);
    step_averages(s, v, &in);
    step_bands(s, v, &in, now);
    step_wilder(s, v, &in);
    step_extremes(s, v, &in);
    step_returns(s, v, &in);
    step_volume(s, v, &in);
    feature_fold_step(&s->fold4, &v[FEATURE_X4_RETURN], &in, s->grid, 4);
    feature_fold_step(&s->fold16, &v[FEATURE_X16_RETURN], &in, s->grid, 16);
    step_clock(v, bar->open_ts_ns + s->interval_ns);
    row_write(row, v);
    step_keep(s, &in, bar->open_ts_ns);
}
