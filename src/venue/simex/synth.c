#include "venue/simex/synth.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "num/elementary.h"

/* The model and what each number is for: docs/synth.md. All noise is symmetric around zero and is
 * scaled by things known before the bar opens, so without the pattern returns are martingale
 * differences. Transcendental functions are num/'s: the same bits anywhere. */

static const double YEAR_NS = 365.0 * 86400e9;

/* GARCH(1,1) on variances of mean 1: h' = (1 - A - B) + A h z^2 + B h. */
static const double GARCH_A = 0.08, GARCH_B = 0.90, GARCH_MAX = 9.0;

/* The planted pattern. */
static const double BURST_VOLUME = 4.0;   /* volume of an accumulation bar over the usual one */
static const double BURST_SKEW = 0.22;    /* its taker-buy share is 0.5 +- this */
static const double BURST_CALM = 0.45;    /* its volatility over the usual one */
static const double DRIFT_MIN = 0.0125;   /* middle of the drift's size, in price terms … */
static const double DRIFT_SIGMAS = 11.25; /* … or in standard deviations of a bar, if larger */
static const double DRIFT_FOLLOWS = 0.88; /* share of accumulations the drift agrees with */
static const double DECOY_SHARE = 0.20;   /* bursts of volume without a side, which mean nothing */
static const double REGIME_DRIFT = 0.05;  /* drift of a trending regime, in bar sigmas */

enum phase { PHASE_IDLE = 0, PHASE_BURST, PHASE_DECOY, PHASE_DRIFT };
enum regime { REGIME_CALM = 0, REGIME_UP, REGIME_DOWN, REGIME_STORM, REGIME_COUNT };

/* Market-wide. */
struct factor {
    struct rng rng;
    double h;          /* GARCH variance */
    double value;      /* this bar's draw, unit scale */
    double drift;      /* this bar's, in sigmas */
    double volatility; /* the regime's multiple */
    uint32_t regime, bars_left;
};

struct stream {
    struct rng rng;
    int64_t close_e8, tick_e8, step_e8;
    double anchor;   /* price it started at */
    double sigma;    /* usual standard deviation of one bar's return */
    double loading;  /* correlation with the factor */
    double turnover; /* usual quote volume of a bar */
    double h, activity;
    double drift_per_bar;
    uint32_t phase, bars_left;
    int32_t direction; /* +1, -1; 0 outside an episode */
    uint32_t reserved;
};

struct synth {
    struct synth_config config;
    int64_t next_ts_ns;
    struct factor factor;
    struct stream streams[];
};

struct synth_config synth_config_defaults(void) {
    return (struct synth_config){
        .seed = 1,
        .symbol_count = 12,
        .interval_ns = NS_PER_MINUTE,
        .start_ts_ns = INT64_C(1704067200) * NS_PER_SECOND, /* 2024-01-01 */
        .volatility_annual = 0.8,
        .pattern = 1.0,
    };
}

size_t synth_size(const struct synth_config *config) {
    return sizeof(struct synth) + config->symbol_count * sizeof(struct stream);
}

static void normal_pair(double out[2], struct rng *rng) {
    double u = rng_f64(rng), turn = rng_f64(rng);
    num_normal_pair(out, u, turn);
}

static double clamp(double x, double lo, double hi) {
    return x < lo ? lo : x > hi ? hi : x;
}

static uint32_t range_u32(struct rng *rng, uint32_t lo, uint32_t hi) {
    return lo + (uint32_t)rng_below(rng, hi - lo + 1);
}

/* Greatest power of ten, in e8, that is not above x (in e8); from 1e-8 to 1.0. */
static int64_t power_below(double x_e8) {
    int64_t p = 1;
    while (p < FX_ONE && (double)(p * 10) <= x_e8) p *= 10;
    return p;
}

/* What a contract costs at the start and how finely it trades. */
struct shape {
    int64_t price_e8, tick_e8, step_e8;
};

static struct rng stream_rng(const struct synth_config *config, uint32_t index) {
    struct rng root = rng_init(config->seed);
    return rng_split(&root, 1 + index);
}

/* Log-uniform between 0.05 and 50,000; 10^4 to 10^5 ticks; a step is worth at most one quote unit. */
static struct shape shape_of(const struct synth_config *config, uint32_t index) {
    struct rng stream = stream_rng(config, index), rng = rng_split(&stream, 0);
    double price = 0.05 * num_exp(rng_f64(&rng) * 13.815510557964274);
    struct shape s = {.tick_e8 = power_below(price * 1e8 / 1e4)};
    s.price_e8 = fx_snap_nearest(fx_from_f64(price), s.tick_e8);
    s.step_e8 = power_below(1e8 / price);
    return s;
}

static void stream_init(struct stream *s, const struct synth_config *config, uint32_t index) {
    struct shape shape = shape_of(config, index);
    double bar_days = (double)config->interval_ns / (double)NS_PER_DAY;
    *s = (struct stream){
        .rng = stream_rng(config, index),
        .close_e8 = shape.price_e8,
        .tick_e8 = shape.tick_e8,
        .step_e8 = shape.step_e8,
        .anchor = fx_to_f64(shape.price_e8),
        .h = 1.0,
    };
    s->sigma = config->volatility_annual * sqrt((double)config->interval_ns / YEAR_NS) *
               (0.85 + 0.3 * rng_f64(&s->rng));
    s->loading = 0.4 + 0.3 * rng_f64(&s->rng);
    /* 50 million to 2 billion quote units a day. */
    s->turnover = 5e7 * num_exp(3.7 * rng_f64(&s->rng)) * bar_days;
    s->bars_left = range_u32(&s->rng, 6, 40);
}

struct synth *synth_init(void *memory, const struct synth_config *config) {
    ASSERT(config->symbol_count >= 1 && config->symbol_count <= INSTRUMENTS_MAX);
    ASSERT(config->interval_ns > 0 && config->start_ts_ns % config->interval_ns == 0);
    ASSERT(config->volatility_annual > 0 && config->pattern >= 0);
    struct synth *s = memory;
    struct rng root = rng_init(config->seed);
    memset(s, 0, sizeof *s);
    s->config = *config;
    s->next_ts_ns = config->start_ts_ns;
    s->factor = (struct factor){.rng = rng_split(&root, 0), .h = 1.0, .volatility = 1.0};
    for (uint32_t i = 0; i < config->symbol_count; i++) stream_init(&s->streams[i], config, i);
    return s;
}

static double garch_next(double h, double z) {
    double next = (1.0 - GARCH_A - GARCH_B) + GARCH_A * h * z * z + GARCH_B * h;
    return next < GARCH_MAX ? next : GARCH_MAX;
}

/* A regime lasts one to eight hours of 1m bars. Trending ones drift only as far as there is a
 * pattern at all: a drift that lasts makes signs predictable. */
static void factor_step(struct factor *f, double pattern) {
    static const double volatility[REGIME_COUNT] = {0.8, 1.0, 1.0, 1.7};
    static const double drift[REGIME_COUNT] = {0.0, REGIME_DRIFT, -REGIME_DRIFT, 0.0};
    if (f->bars_left == 0) {
        f->regime = (uint32_t)rng_below(&f->rng, REGIME_COUNT);
        f->bars_left = range_u32(&f->rng, 60, 480);
    }
    f->bars_left--;
    double z[2];
    normal_pair(z, &f->rng);
    f->value = sqrt(f->h) * z[0];
    f->drift = drift[f->regime] * pattern;
    f->volatility = volatility[f->regime];
    f->h = garch_next(f->h, z[0]);
}

/* Far from where it started, the side of an episode leans back: years of bars keep a usable price.
 * The lean is known before the accumulation shows its side, and the side is all a trader needs. */
static int32_t pick_direction(struct stream *s, double pattern) {
    double away = num_log(fx_to_f64(s->close_e8) / s->anchor);
    double p_up = 0.5 - (pattern > 0 ? clamp(0.15 * away, -0.3, 0.3) : 0.0);
    return rng_f64(&s->rng) < p_up ? 1 : -1;
}

static void start_drift(struct stream *s, double pattern) {
    double size = DRIFT_SIGMAS * s->sigma;
    if (size < DRIFT_MIN) size = DRIFT_MIN;
    size *= 0.8 + 0.4 * rng_f64(&s->rng);
    int32_t side = rng_f64(&s->rng) < DRIFT_FOLLOWS ? s->direction : -s->direction;
    s->phase = PHASE_DRIFT;
    s->bars_left = range_u32(&s->rng, 6, 12);
    s->drift_per_bar = side * size * pattern / s->bars_left;
}

/* Moves to the next phase when the present one is over. With pattern 0 the same phases come and go,
 * bursts and sides and all, and no drift follows. */
static void phase_step(struct stream *s, double pattern) {
    if (s->bars_left > 0) {
        s->bars_left--;
        return;
    }
    switch ((enum phase)s->phase) {
    case PHASE_IDLE:
        if (rng_f64(&s->rng) < DECOY_SHARE) {
            s->phase = PHASE_DECOY;
        } else {
            s->phase = PHASE_BURST;
            s->direction = pick_direction(s, pattern);
        }
        s->bars_left = range_u32(&s->rng, 2, 3);
        break;
    case PHASE_BURST:
        start_drift(s, pattern);
        break;
    case PHASE_DECOY:
    case PHASE_DRIFT:
        s->phase = PHASE_IDLE;
        s->direction = 0;
        s->drift_per_bar = 0;
        s->bars_left = range_u32(&s->rng, 6, 24);
        break;
    }
    s->bars_left--;
}

/* Relative return of the bar and, in *out_scale, the standard deviation its noise was drawn with;
 * *out_z is the noise in units of it. */
static double draw_return(struct stream *s, const struct factor *f, double *out_z,
                          double *out_scale) {
    double z[2];
    normal_pair(z, &s->rng);
    double own = sqrt(1.0 - s->loading * s->loading);
    double noise = s->loading * f->value + own * sqrt(s->h) * z[0];
    double scale = s->sigma * f->volatility;
    bool quiet = s->phase == PHASE_BURST || s->phase == PHASE_DECOY;
    if (quiet)
        scale *= BURST_CALM;
    else if (rng_f64(&s->rng) < 1.0 / 2000)
        noise += (z[1] > 0 ? 1 : -1) * (4.0 + fabs(z[1]));
    s->h = garch_next(s->h, z[0]);
    *out_z = noise;
    *out_scale = scale;
    double drift = quiet ? 0.0 : s->drift_per_bar + f->drift * s->sigma;
    return clamp(noise * scale + drift, -0.3, 0.3);
}

/* Extremes of a Brownian bridge from 0 to r: P(max > m) = exp(-2 m (m - r) / v). */
static void draw_extremes(struct stream *s, double r, double scale, double *out_up,
                          double *out_down) {
    double v2 = 2.0 * scale * scale;
    double a = -num_log(1.0 - rng_f64(&s->rng)), b = -num_log(1.0 - rng_f64(&s->rng));
    *out_up = 0.5 * (r + sqrt(r * r + v2 * a));
    *out_down = 0.5 * (r - sqrt(r * r + v2 * b));
}

static void draw_prices(struct stream *s, double r, double scale, struct bar *out) {
    double up, down, open = fx_to_f64(s->close_e8);
    draw_extremes(s, r, scale, &up, &down);
    int64_t tick = s->tick_e8, floor_e8 = 50 * tick;
    int64_t close = fx_snap_nearest(fx_from_f64(open * (1.0 + r)), tick);
    /* A price of a few ticks is not a market any more: it bounces. The start is 200 times higher or
     * more. */
    if (close < floor_e8) close = 2 * floor_e8 - close > floor_e8 ? 2 * floor_e8 - close : floor_e8;
    int64_t high = fx_snap_nearest(fx_from_f64(open * (1.0 + up)), tick);
    int64_t low = fx_snap_nearest(fx_from_f64(open * (1.0 + down)), tick);
    int64_t body_low = close < s->close_e8 ? close : s->close_e8;
    int64_t body_high = close < s->close_e8 ? s->close_e8 : close;
    if (high < body_high) high = body_high;
    if (low > body_low) low = body_low;
    if (low < tick) low = tick;
    out->open.e8 = s->close_e8;
    out->high.e8 = high;
    out->low.e8 = low;
    out->close.e8 = close;
    s->close_e8 = close;
}

static void draw_volume(struct stream *s, double z, double day_turn, struct bar *out) {
    double n[2], day_sin, day_cos;
    normal_pair(n, &s->rng);
    num_circle(&day_sin, &day_cos, day_turn);
    s->activity = 0.97 * s->activity + 0.08 * n[0]; /* slow; stationary deviation 0.33 */
    double quote = s->turnover * (1.0 - 0.25 * day_cos) * (0.55 + 0.55 * fabs(z)) *
                   num_exp(s->activity + 0.15 * n[1]);
    bool burst = s->phase == PHASE_BURST || s->phase == PHASE_DECOY;
    if (burst)
        quote *= BURST_VOLUME / (0.55 + 0.55 * fabs(z)); /* whatever the price does */
    else if (s->phase == PHASE_DRIFT)
        quote *= 1.4;

    double price = 0.25 * (px_to_f64(out->open) + px_to_f64(out->high) + px_to_f64(out->low) +
                           px_to_f64(out->close));
    double steps = nearbyint(quote / price * 1e8 / (double)s->step_e8);
    if (steps < 1.0) steps = 1.0;
    out->volume = steps * (double)s->step_e8 / 1e8;
    out->quote_volume = out->volume * price;
    out->trade_count = (uint32_t)clamp(nearbyint(out->quote_volume / 350.0), 1.0, 1e9);

    double skew = s->phase == PHASE_BURST ? BURST_SKEW * s->direction : 0.0;
    double pull = burst ? 0.0 : 0.03 * clamp(z, -2.5, 2.5);
    double ratio = 0.5 + skew + pull + 0.04 * clamp(n[0] * 0.6 + n[1] * 0.8, -4.0, 4.0);
    out->taker_buy_ratio = (float)clamp(ratio, 0.02, 0.98);
}

void synth_next(struct synth *s, struct bar *out) {
    int64_t ts_ns = s->next_ts_ns;
    double day_turn = (double)(ts_ns % NS_PER_DAY) / (double)NS_PER_DAY;
    factor_step(&s->factor, s->config.pattern);
    for (uint32_t i = 0; i < s->config.symbol_count; i++) {
        struct stream *stream = &s->streams[i];
        double z, scale;
        phase_step(stream, s->config.pattern);
        double r = draw_return(stream, &s->factor, &z, &scale);
        out[i] = (struct bar){.open_ts_ns = ts_ns};
        draw_prices(stream, r, scale, &out[i]);
        draw_volume(stream, z, day_turn, &out[i]);
        ASSERT(bar_is_possible(&out[i]));
    }
    s->next_ts_ns += s->config.interval_ns;
}

/* "SYN01USDT" … "SYN512USDT". */
static void symbol_name(char out[SYMBOL_SIZE], uint32_t number) {
    char digits[12];
    size_t n = 0, size = 0;
    for (; number || n < 2; number /= 10) digits[n++] = (char)('0' + number % 10);
    for (const char *p = "SYN"; *p; p++) out[size++] = *p;
    while (n) out[size++] = digits[--n];
    memcpy(out + size, "USDT", 5);
}

/* Notional caps, leverages and rates in the shape of the venue's own tables for a middling
 * contract; the amounts follow from continuity of the maintenance margin. */
static void brackets_of(struct instrument *out) {
    static const struct {
        int64_t cap;
        uint32_t leverage;
        int64_t rate_e8;
    } rows[] = {{20000, 75, 1000000},    {200000, 50, 1500000},   {1000000, 25, 2000000},
                {2000000, 20, 2500000},  {5000000, 10, 5000000},  {7500000, 5, 10000000},
                {10000000, 4, 12500000}, {12500000, 2, 25000000}, {15000000, 1, 50000000}};
    int64_t floor_e8 = 0, amount_e8 = 0, rate_e8 = 0;
    out->bracket_count = sizeof rows / sizeof *rows;
    for (uint32_t i = 0; i < out->bracket_count; i++) {
        if (i) amount_e8 += fx_mul_half_even(floor_e8, rows[i].rate_e8 - rate_e8);
        rate_e8 = rows[i].rate_e8;
        out->brackets[i] = (struct bracket){.notional_floor = {floor_e8},
                                            .notional_cap = {rows[i].cap * FX_ONE},
                                            .maint_margin_rate = {rate_e8},
                                            .maint_amount = {amount_e8},
                                            .leverage_max = rows[i].leverage};
        floor_e8 = rows[i].cap * FX_ONE;
    }
}

void synth_instruments(const struct synth_config *config, struct instrument *out) {
    for (uint32_t i = 0; i < config->symbol_count; i++) {
        struct shape s = shape_of(config, i);
        char symbol[SYMBOL_SIZE] = {0};
        struct instrument *in = &out[i];
        symbol_name(symbol, i + 1);
        instrument_defaults(in, symbol);
        instrument_infer(in, s.tick_e8, s.step_e8);
        double unit = 1e8 / fx_to_f64(s.price_e8); /* e8 base units worth one quote unit */
        in->qty_max.e8 = fx_snap_down((int64_t)clamp(unit * 1e6, 1e8, 1e16), s.step_e8);
        in->market_qty_max.e8 = fx_snap_down(in->qty_max.e8 / 4, s.step_e8);
        in->flags = INSTRUMENT_SYNTHETIC | INSTRUMENT_FUNDING_ASSUMED;
        in->onboard_ts_ns = config->start_ts_ns;
        brackets_of(in);
    }
}
