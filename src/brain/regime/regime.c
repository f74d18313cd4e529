#include "brain/regime/regime.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "feature/feature.h"
#include "num/elementary.h"

/* A true range of half the price, bar after bar, is no market: percent taken for a fraction. */
static const double atr_possible_max = 0.5;
/* Of |log range|: below a hundredth of a basis point the bar is flat. */
static const double range_min = 1e-6;
/* What the averages' distance is measured in. */
static const double strength_atr = 5.0;
/* The most that is claimed while the evidence is not of one mind: the rules' own "0.50". */
static const double confidence_mixed = 0.50;

static const char *const regime_texts[REGIME_COUNT] = {
#define REGIME_TEXT(id, text) text,
    REGIME_TABLE(REGIME_TEXT)
#undef REGIME_TEXT
};
static const char *const reason_texts[REGIME_REASON_COUNT] = {
    "none",        "no_bar",           "liquidity_missing", "atr_missing",
    "adx_missing", "strength_missing", "impossible",        "conflict"};

const char *regime_text(enum regime regime) {
    return (uint32_t)regime < REGIME_COUNT ? regime_texts[regime] : "?";
}

const char *regime_reason_text(enum regime_reason reason) {
    return (uint32_t)reason < REGIME_REASON_COUNT ? reason_texts[reason] : "?";
}

struct regime_config regime_config_defaults(void) {
    return (struct regime_config){.adx_trend = 25,
                                  .strength_trend = 0.3,
                                  .atr_extreme = 0.06,
                                  .atr_range_high = 0.04,
                                  .volume_min = 2e6,
                                  .depth_min = 50e3,
                                  .spread_bps_max = 10,
                                  .margin = 0.10,
                                  .confirm_bars = 3};
}

double regime_trend_strength(double ema_10_50_cross, double atr_fraction) {
    if (isnan(ema_10_50_cross) || !(atr_fraction > 0)) return NAN;
    double s = ema_10_50_cross / (strength_atr * atr_fraction);
    return s > 1 ? 1 : s < -1 ? -1 : s;
}

void regime_input_from_row(struct regime_input *out, const float *row) {
    double atr = (double)row[FEATURE_ATR_FRACTION];
    *out = (struct regime_input){
        .adx = (double)row[FEATURE_ADX_14],
        .trend_strength = regime_trend_strength((double)row[FEATURE_EMA_10_50_CROSS], atr),
        .atr_fraction = atr,
        .volume_24h = NAN,
        .depth = NAN,
        .spread_bps = NAN};
}

void regime_bar_from_row(struct regime_bar *out, const float *row) {
    double range = (double)row[FEATURE_HIGH_LOW_RANGE];
    out->x[0] = (double)row[FEATURE_LOG_RETURN_1];
    out->x[1] = isnan(range) ? NAN : num_log(range > range_min ? range : range_min);
}

static bool is_below(double value, double least) {
    return !isnan(value) && value < least;
}

static bool is_outside(double value, double lo, double hi) {
    return !isnan(value) && !(value >= lo && value <= hi);
}

/* A flat series has ATR 0: then nothing can be said of its trend either. */
static bool is_impossible(const struct regime_input *in) {
    return is_outside(in->adx, 0, 100) || is_outside(in->trend_strength, -1, 1) ||
           (!isnan(in->atr_fraction) &&
            !(in->atr_fraction > 0 && in->atr_fraction < atr_possible_max)) ||
           is_outside(in->volume_24h, 0, INFINITY) || is_outside(in->depth, 0, INFINITY) ||
           is_outside(in->spread_bps, 0, INFINITY);
}

static void unknown(struct regime_reading *out, enum regime_reason reason, double confidence) {
    out->regime = REGIME_UNKNOWN;
    out->reason = (uint32_t)reason;
    out->confidence = confidence;
}

/* Fills liquidity_missing; true if the rules end here. */
static bool classify_liquidity(struct regime_reading *out, const struct regime_config *c,
                               const struct regime_input *in) {
    uint32_t thin = 0;
    thin += is_below(in->volume_24h, c->volume_min);
    thin += is_below(in->depth, c->depth_min);
    thin += !isnan(in->spread_bps) && in->spread_bps > c->spread_bps_max;
    out->liquidity_missing = (uint32_t)isnan(in->volume_24h) + (uint32_t)isnan(in->depth) +
                             (uint32_t)isnan(in->spread_bps);
    if (thin >= 2) {
        out->regime = REGIME_ILLIQUID;
        out->confidence = 0.95;
        return true;
    }
    if (c->liquidity_required && thin + out->liquidity_missing >= 2) {
        unknown(out, REGIME_REASON_LIQUIDITY_MISSING, 0);
        return true;
    }
    return false;
}

void regime_classify(struct regime_reading *out, const struct regime_config *c,
                     const struct regime_input *in) {
    *out = (struct regime_reading){0};
    if (is_impossible(in)) {
        unknown(out, REGIME_REASON_IMPOSSIBLE, 0);
        return;
    }
    if (classify_liquidity(out, c, in)) return;
    if (isnan(in->atr_fraction)) {
        unknown(out, REGIME_REASON_ATR_MISSING, 0);
        return;
    }
    if (in->atr_fraction >= c->atr_extreme) {
        out->regime = REGIME_HIGH_VOLATILITY;
        out->confidence = 0.90;
        return;
    }
    if (isnan(in->adx) || isnan(in->trend_strength)) {
        unknown(out, isnan(in->adx) ? REGIME_REASON_ADX_MISSING : REGIME_REASON_STRENGTH_MISSING,
                0);
        return;
    }
    double strength = fabs(in->trend_strength);
    bool moves = in->adx >= c->adx_trend, leans = strength >= c->strength_trend;
    if (moves && leans) {
        out->regime = in->trend_strength > 0 ? REGIME_TREND_UP : REGIME_TREND_DOWN;
        out->confidence = fmin(0.95, 0.6 + 0.2 * in->adx / 100 + 0.15 * strength);
    } else if (!moves && !leans) {
        out->regime =
            in->atr_fraction >= c->atr_range_high ? REGIME_RANGE_HIGH_VOL : REGIME_RANGE_LOW_VOL;
        out->confidence = fmin(0.90, 0.65 + 0.25 * (1 - strength));
    } else {
        unknown(out, REGIME_REASON_CONFLICT, confidence_mixed);
    }
}

/* ---- Hysteresis ---- */

/* The thresholds moved by the margin in favour of the held regime. */
static struct regime_config favour(const struct regime_config *config, enum regime held) {
    ASSERT((uint32_t)held < REGIME_COUNT);
    struct regime_config c = *config;
    double easier = 1 - config->margin, harder = 1 + config->margin;
    switch (held) {
    case REGIME_UNKNOWN:
        return c;
    case REGIME_TREND_UP:
    case REGIME_TREND_DOWN:
        c.adx_trend *= easier;
        c.strength_trend *= easier;
        c.atr_extreme *= harder;
        return c;
    case REGIME_RANGE_LOW_VOL:
    case REGIME_RANGE_HIGH_VOL:
        c.adx_trend *= harder;
        c.strength_trend *= harder;
        c.atr_extreme *= harder;
        c.atr_range_high *= held == REGIME_RANGE_HIGH_VOL ? easier : harder;
        return c;
    case REGIME_HIGH_VOLATILITY:
        c.atr_extreme *= easier;
        return c;
    case REGIME_ILLIQUID:
        c.volume_min *= harder;
        c.depth_min *= harder;
        c.spread_bps_max *= easier;
        return c;
    case REGIME_COUNT:
        break;
    }
    return c;
}

static bool is_not_known(uint32_t regime, uint32_t reason) {
    return regime == REGIME_UNKNOWN && reason != REGIME_REASON_CONFLICT;
}

/* A danger, or knowledge that came or went: waiting would claim what is not so. */
static bool is_immediate(const struct regime_state *state, const struct regime_reading *read) {
    return read->regime == REGIME_ILLIQUID || read->regime == REGIME_HIGH_VOLATILITY ||
           is_not_known(read->regime, read->reason) || is_not_known(state->regime, state->reason);
}

void regime_init(struct regime_state *state) {
    memset(state, 0, sizeof *state);
    state->regime = REGIME_UNKNOWN;
    state->reason = REGIME_REASON_NO_BAR;
}

static void hold(struct regime_state *state, const struct regime_reading *read) {
    if (state->regime != read->regime) {
        state->switches += state->bars > 0;
        state->held_for = 0;
    }
    state->regime = read->regime;
    state->reason = read->reason;
    state->confidence = read->confidence;
    state->candidate = read->regime;
    state->candidate_bars = 0;
    state->away_bars = 0;
}

void regime_step(struct regime_reading *out, struct regime_state *state,
                 const struct regime_config *config, const struct regime_input *input) {
    struct regime_config favoured = favour(config, (enum regime)state->regime);
    struct regime_reading read;
    regime_classify(&read, &favoured, input);
    if (read.regime == state->regime || is_immediate(state, &read)) {
        hold(state, &read);
    } else {
        bool again = state->candidate_bars > 0 && state->candidate == read.regime;
        state->candidate = read.regime;
        state->candidate_bars = again ? state->candidate_bars + 1 : 1;
        state->away_bars++;
        if (state->candidate_bars >= config->confirm_bars ||
            state->away_bars >= 3 * config->confirm_bars)
            hold(state, &read);
    }
    state->bars++;
    state->held_for++;
    *out = (struct regime_reading){.regime = state->regime,
                                   .reason = state->reason,
                                   .liquidity_missing = read.liquidity_missing,
                                   .pending = state->away_bars > 0,
                                   .confidence = state->away_bars > 0
                                                     ? fmin(state->confidence, confidence_mixed)
                                                     : state->confidence};
}

/* ---- Self-test ---- */

static bool rules_answer(void) {
    static const struct {
        struct regime_input in;
        enum regime regime;
    } known[] = {
        {{30, 0.5, 0.01, 1e9, 1e6, 1}, REGIME_TREND_UP},
        {{30, -0.5, 0.01, 1e9, 1e6, 1}, REGIME_TREND_DOWN},
        {{10, 0.1, 0.01, 1e9, 1e6, 1}, REGIME_RANGE_LOW_VOL},
        {{10, 0.1, 0.05, 1e9, 1e6, 1}, REGIME_RANGE_HIGH_VOL},
        {{10, 0.1, 0.08, 1e9, 1e6, 1}, REGIME_HIGH_VOLATILITY},
        {{30, 0.5, 0.01, 1e6, 1e6, 20}, REGIME_ILLIQUID},
        {{30, 0.1, 0.01, 1e9, 1e6, 1}, REGIME_UNKNOWN},
    };
    struct regime_config c = regime_config_defaults();
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct regime_reading r;
        regime_classify(&r, &c, &known[i].in);
        if (r.regime != (uint32_t)known[i].regime) return false;
        struct regime_input missing = known[i].in;
        missing.atr_fraction = NAN;
        regime_classify(&r, &c, &missing);
        if (r.regime != REGIME_ILLIQUID && r.reason != REGIME_REASON_ATR_MISSING) return false;
    }
    return true;
}

static bool a_change_is_confirmed(void) {
    struct regime_config c = regime_config_defaults();
    struct regime_state s;
    struct regime_reading r;
    struct regime_input trend = {30, 0.5, 0.01, NAN, NAN, NAN}, range = trend;
    range.adx = 10, range.trend_strength = 0;
    regime_init(&s);
    regime_step(&r, &s, &c, &trend);
    for (uint32_t i = 1; i < c.confirm_bars; i++) {
        regime_step(&r, &s, &c, &range);
        if (r.regime != REGIME_TREND_UP || !r.pending) return false;
    }
    regime_step(&r, &s, &c, &range);
    return r.regime == REGIME_RANGE_LOW_VOL && !r.pending && s.switches == 1;
}

static bool a_filter_finds_its_state(void) {
    struct regime_hmm m = {.states = 2,
                           .start = {0.5, 0.5},
                           .move = {{0.95, 0.05}, {0.05, 0.95}},
                           .mean = {{0, -5}, {0, -3}},
                           .sd = {{0.005, 0.4}, {0.03, 0.4}}};
    struct regime_filter f;
    regime_filter_init(&f);
    for (int i = 0; i < 5; i++) regime_filter_step(&f, &m, &(struct regime_bar){{0.02, -3.1}});
    if (regime_filter_best(&f, &m) != 1 || !(f.p[1] > 0.99)) return false;
    for (int i = 0; i < 5; i++) regime_filter_step(&f, &m, &(struct regime_bar){{0.001, -5.2}});
    return regime_filter_best(&f, &m) == 0 && regime_hmm_check(&m);
}

bool regime_self_test(void) {
    return rules_answer() && a_change_is_confirmed() && a_filter_finds_its_state();
}
