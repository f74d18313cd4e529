#include "brain/memory/memory.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "num/elementary.h"

static const double ln2 = 0.6931471805599453;
/* No trade earns a hundred times its risk: USD or percent taken for R. */
static const double net_r_max = 100;
/* Below this many samples a regime is not preferred, and leverage is not spoken of. */
static const double feedback_samples_min = 10;
/* Deviation of a trade's net R where little is known: about that of a stop at 1 R and a target at
 * 1.5. */
static const double sd_expected = 1.0;

static const char *const policy_texts[MEMORY_POLICIES] = {"CONSERVATIVE", "BALANCED", "AGGRESSIVE"};

const char *memory_policy_text(enum memory_policy policy) {
    return (uint32_t)policy < MEMORY_POLICIES ? policy_texts[policy] : "?";
}

struct memory_config memory_config_defaults(void) {
    return (struct memory_config){.half_life_ns = 30 * NS_PER_DAY, .prior_samples = 10};
}

void memory_init(struct memory_state *state, const struct memory_config *config) {
    ASSERT(config->half_life_ns > 0 && config->prior_samples > 0);
    memset(state, 0, sizeof *state);
    state->magic = MEMORY_MAGIC;
    state->version = MEMORY_VERSION;
    state->size_bytes = sizeof *state;
    state->config = *config;
}

/* ---- Weighted sums ---- */

/* 2^(-age / half-life), 0 once it is beyond what a double holds. */
static double faded(const struct memory_state *state, int64_t age_ns) {
    double halvings = (double)age_ns / (double)state->config.half_life_ns;
    return halvings > 900 ? 0 : num_exp(-halvings * ln2);
}

static void sum_fade(struct memory_sum *s, double keep) {
    s->weight *= keep;
    s->weight_square *= keep * keep;
    s->square *= keep;
    s->wins *= keep;
    s->confidence *= keep;
}

static void sum_add(struct memory_sum *s, const struct memory_state *state,
                    const struct memory_outcome *o) {
    double weight = 1;
    if (s->count == 0 || o->ts_ns >= s->last_ts_ns) {
        if (s->count > 0) sum_fade(s, faded(state, o->ts_ns - s->last_ts_ns));
        s->last_ts_ns = o->ts_ns;
    } else {
        weight = faded(state, s->last_ts_ns - o->ts_ns);
    }
    s->count++;
    if (!(weight > 0)) return;
    double before = s->weight, d = o->net_r - s->mean;
    s->weight += weight;
    s->weight_square += weight * weight;
    s->mean += d * weight / s->weight;
    s->square += d * d * weight * (before / s->weight);
    s->wins += o->net_r > 0 ? weight : 0;
    s->confidence += weight * o->confidence;
}

static void sum_view(struct memory_view *out, const struct memory_state *state,
                     const struct memory_sum *s, int64_t now_ns) {
    *out = (struct memory_view){.mean_r = NAN, .sd_r = NAN, .win_rate = NAN, .confidence = NAN};
    if (!s || s->count == 0 || !(s->weight > 0)) return;
    double keep = now_ns > s->last_ts_ns ? faded(state, now_ns - s->last_ts_ns) : 1;
    out->samples = s->weight * keep;
    out->effective = s->weight_square > 0 ? s->weight * s->weight / s->weight_square : 0;
    out->mean_r = s->mean;
    out->win_rate = s->wins / s->weight;
    out->confidence = s->confidence / s->weight;
    out->count = s->count;
    out->last_ts_ns = s->last_ts_ns;
    if (out->effective >= 2)
        out->sd_r = sqrt(s->square / s->weight * out->effective / (out->effective - 1));
}

/* ---- Cells ---- */

static uint32_t bucket_of(const char symbol[SYMBOL_SIZE], uint32_t regime, uint32_t row) {
    uint64_t words[SYMBOL_SIZE / 8], h = regime * MEMORY_ROWS + row;
    memcpy(words, symbol, sizeof words);
    for (size_t i = 0; i < SYMBOL_SIZE / 8; i++) h = rng_mix(h ^ words[i]) + 1;
    return (uint32_t)(h % MEMORY_BUCKETS);
}

static void symbol_pad(char out[SYMBOL_SIZE], const char *symbol) {
    memset(out, 0, SYMBOL_SIZE);
    for (size_t i = 0; i < SYMBOL_SIZE - 1 && symbol[i]; i++) out[i] = symbol[i];
}

static bool cell_is(const struct memory_cell *c, const char symbol[SYMBOL_SIZE], uint32_t regime,
                    uint32_t row) {
    return c->regime == regime && c->row == row && memcmp(c->symbol, symbol, SYMBOL_SIZE) == 0;
}

static const struct memory_cell *cell_find(const struct memory_state *state, const char *symbol,
                                           uint32_t regime, uint32_t row) {
    char padded[SYMBOL_SIZE];
    symbol_pad(padded, symbol);
    const struct memory_cell *bucket =
        state->cells + (size_t)bucket_of(padded, regime, row) * MEMORY_WAYS;
    for (uint32_t i = 0; i < MEMORY_WAYS; i++)
        if (bucket[i].symbol[0] && cell_is(&bucket[i], padded, regime, row)) return &bucket[i];
    return NULL;
}

/* True if a is to be given up before b. */
static bool weighs_less(const struct memory_state *state, const struct memory_cell *a,
                        const struct memory_cell *b, int64_t now_ns) {
    int64_t age_a = now_ns - a->sum.last_ts_ns, age_b = now_ns - b->sum.last_ts_ns;
    double wa = a->sum.weight * faded(state, age_a > 0 ? age_a : 0);
    double wb = b->sum.weight * faded(state, age_b > 0 ? age_b : 0);
    return wa < wb || (wa == wb && a->sum.last_ts_ns < b->sum.last_ts_ns);
}

/* The outcome's cell: found, free, or taken from another. */
static struct memory_cell *cell_take(struct memory_state *state, const struct memory_outcome *o) {
    char padded[SYMBOL_SIZE];
    symbol_pad(padded, o->symbol);
    struct memory_cell *bucket =
        state->cells + (size_t)bucket_of(padded, o->regime, o->row) * MEMORY_WAYS;
    struct memory_cell *least = NULL, *empty = NULL;
    for (uint32_t i = 0; i < MEMORY_WAYS; i++) {
        struct memory_cell *c = &bucket[i];
        if (!c->symbol[0]) {
            if (!empty) empty = c;
            continue;
        }
        if (cell_is(c, padded, o->regime, o->row)) return c;
        if (!least || weighs_less(state, c, least, o->ts_ns)) least = c;
    }
    struct memory_cell *taken = empty ? empty : least;
    ASSERT(taken != NULL);
    state->evictions += !empty;
    memset(taken, 0, sizeof *taken);
    memcpy(taken->symbol, padded, SYMBOL_SIZE);
    taken->regime = o->regime;
    taken->row = o->row;
    return taken;
}

static bool outcome_is_usable(const struct memory_outcome *o) {
    return o->symbol && o->symbol[0] && o->regime < REGIME_COUNT && o->row < MEMORY_ROWS &&
           fabs(o->net_r) <= net_r_max && o->confidence >= 0 && o->confidence <= 1 && o->ts_ns > 0;
}

bool memory_learn(struct memory_state *state, const struct memory_outcome *o) {
    if (!outcome_is_usable(o)) {
        state->refusals++;
        return false;
    }
    sum_add(&cell_take(state, o)->sum, state, o);
    sum_add(&state->by_regime_row[o->regime][o->row], state, o);
    if (o->row != MEMORY_FORECASTS) {
        sum_add(&state->by_regime[o->regime], state, o);
        sum_add(&state->all, state, o);
    }
    return true;
}

/* ---- Reading ---- */

void memory_get(struct memory_view *out, const struct memory_state *state, const char *symbol,
                enum regime regime, uint32_t row, int64_t now_ns) {
    ASSERT((uint32_t)regime < REGIME_COUNT && row < MEMORY_ROWS);
    const struct memory_sum *sum = &state->by_regime_row[regime][row];
    if (symbol) {
        const struct memory_cell *cell = cell_find(state, symbol, (uint32_t)regime, row);
        sum = cell ? &cell->sum : NULL;
    }
    sum_view(out, state, sum, now_ns);
}

static double drawn(double value, double samples, double to, double strength) {
    return samples > 0 && !isnan(value) ? (samples * value + strength * to) / (samples + strength)
                                        : to;
}

void memory_prior(struct memory_prior *out, const struct memory_state *state, const char *symbol,
                  enum regime regime, uint32_t row, int64_t now_ns) {
    struct memory_view own, pool;
    double k = state->config.prior_samples;
    memory_get(&own, state, symbol, regime, row, now_ns);
    memory_get(&pool, state, NULL, regime, row, now_ns);
    *out = (struct memory_prior){
        .mean_r = drawn(own.mean_r, own.samples, drawn(pool.mean_r, pool.samples, 0, k), k),
        .sd_r = drawn(own.sd_r, own.samples, drawn(pool.sd_r, pool.samples, sd_expected, k), k),
        .win_rate = drawn(own.win_rate, own.samples, drawn(pool.win_rate, pool.samples, 0.5, k), k),
        .samples = own.samples,
        .pool_samples = pool.samples};
}

/* Mean R / its standard error. */
static double surety(const struct memory_view *v, const struct memory_config *config,
                     double *error) {
    double sd = drawn(v->sd_r, v->samples, sd_expected, config->prior_samples);
    /* A deviation of 0 (every trade the same) is no certainty about the next. */
    *error = fmax(sd, 0.01) / sqrt(v->samples);
    return v->mean_r / *error;
}

static enum memory_policy policy_for(enum regime regime, const struct memory_view *v) {
    bool trend = regime == REGIME_TREND_UP || regime == REGIME_TREND_DOWN;
    bool range = regime == REGIME_RANGE_LOW_VOL || regime == REGIME_RANGE_HIGH_VOL;
    if (trend && v->win_rate > 0.6 && v->mean_r > 0.2) return MEMORY_AGGRESSIVE;
    if (trend && v->win_rate > 0.5 && v->mean_r > 0.1) return MEMORY_BALANCED;
    if (range && v->win_rate > 0.55) return MEMORY_BALANCED;
    return MEMORY_CONSERVATIVE;
}

void memory_feedback(struct memory_feedback *out, const struct memory_state *state,
                     int64_t now_ns) {
    *out = (struct memory_feedback){.preferred_regime = REGIME_UNKNOWN,
                                    .updated_policy = MEMORY_CONSERVATIVE,
                                    .leverage_hint = 1};
    struct memory_view all;
    double best = 0, error;
    sum_view(&all, state, &state->all, now_ns);
    out->count = all.count;
    out->samples = all.samples;
    if (all.samples >= feedback_samples_min) {
        double z = surety(&all, &state->config, &error);
        out->leverage_hint = num_exp(fmax(-1, fmin(1, z / 2)) * ln2);
    }
    for (uint32_t r = 0; r < REGIME_COUNT; r++) {
        struct memory_view v;
        if (r == REGIME_UNKNOWN || r == REGIME_ILLIQUID) continue;
        sum_view(&v, state, &state->by_regime[r], now_ns);
        if (!(v.samples >= feedback_samples_min)) continue;
        double z = surety(&v, &state->config, &error);
        if (!(v.mean_r - error > best)) continue;
        best = v.mean_r - error;
        out->preferred_regime = r;
        out->updated_policy = (uint32_t)policy_for((enum regime)r, &v);
        out->confidence_boost = fmin(1, fmax(0, 1 - erfc(z / sqrt(2.0))));
        out->samples = v.samples;
        out->mean_r = v.mean_r;
        out->win_rate = v.win_rate;
    }
}

/* ---- Keeping ---- */

static uint64_t checksum_of(const struct memory_state *state) {
    size_t from = offsetof(struct memory_state, config);
    return hash64((const char *)state + from, sizeof *state - from);
}

void memory_seal(struct memory_state *state) {
    state->checksum = checksum_of(state);
}

static bool sum_is_sound(const struct memory_sum *s) {
    if (s->count == 0)
        return s->weight == 0 && s->weight_square == 0 && s->square == 0 && s->mean == 0;
    double most = s->weight * (1 + 1e-9);
    return isfinite(s->weight) && s->weight >= 0 && s->weight_square >= 0 &&
           s->weight_square <= most && fabs(s->mean) <= net_r_max * (1 + 1e-9) &&
           isfinite(s->square) && s->square >= 0 && s->wins >= 0 && s->wins <= most &&
           s->confidence >= 0 && s->confidence <= most && s->last_ts_ns > 0 &&
           s->weight <= (double)s->count * (1 + 1e-9);
}

static bool cells_are_sound(const struct memory_state *state) {
    for (uint32_t i = 0; i < MEMORY_CELLS; i++) {
        const struct memory_cell *c = &state->cells[i];
        if (!c->symbol[0]) {
            if (c->sum.count != 0) return false;
            continue;
        }
        if (c->symbol[SYMBOL_SIZE - 1] || c->regime >= REGIME_COUNT || c->row >= MEMORY_ROWS)
            return false;
        if (bucket_of(c->symbol, c->regime, c->row) != i / MEMORY_WAYS) return false;
        if (c->sum.count == 0 || !sum_is_sound(&c->sum)) return false;
        for (uint32_t j = i / MEMORY_WAYS * MEMORY_WAYS; j < i; j++)
            if (cell_is(&state->cells[j], c->symbol, c->regime, c->row)) return false;
    }
    return true;
}

bool memory_check(const struct memory_state *state) {
    if (state->magic != MEMORY_MAGIC || state->version != MEMORY_VERSION ||
        state->size_bytes != sizeof *state)
        return false;
    if (state->config.half_life_ns <= 0 || !(state->config.prior_samples > 0)) return false;
    uint64_t trades = 0;
    for (uint32_t r = 0; r < REGIME_COUNT; r++) {
        for (uint32_t k = 0; k < MEMORY_ROWS; k++) {
            if (!sum_is_sound(&state->by_regime_row[r][k])) return false;
            trades += k == MEMORY_FORECASTS ? 0 : state->by_regime_row[r][k].count;
        }
        if (!sum_is_sound(&state->by_regime[r])) return false;
    }
    return sum_is_sound(&state->all) && state->all.count == trades && cells_are_sound(state);
}

enum status memory_restore(struct memory_state *out, const void *bytes, size_t size,
                           struct err *err) {
    struct memory_config config = memory_config_defaults();
    enum status st = ST_OK;
    if (size != sizeof *out) {
        st = err_set(err, ST_VERSION, "memory: %zu bytes, not %zu", size, sizeof *out);
    } else {
        memcpy(out, bytes, size);
        if (out->magic != MEMORY_MAGIC)
            st = err_set(err, ST_CORRUPT, "memory: magic: not a memory block");
        else if (out->version != MEMORY_VERSION || out->size_bytes != size)
            st = err_set(err, ST_VERSION, "memory: version %u, not %d", out->version,
                         (int)MEMORY_VERSION);
        else if (out->checksum != checksum_of(out))
            st = err_set(err, ST_CORRUPT, "memory: checksum does not hold");
        else if (!memory_check(out))
            st = err_set(err, ST_CORRUPT, "memory: a sum or a cell is impossible");
    }
    if (st != ST_OK) memory_init(out, &config);
    return st;
}

bool memory_self_test(struct memory_state *scratch) {
    struct memory_config config = memory_config_defaults();
    int64_t now = INT64_C(1704067200) * NS_PER_SECOND;
    memory_init(scratch, &config);
    for (int i = 0; i < 40; i++) {
        struct memory_outcome o = {.symbol = "BTCUSDT",
                                   .regime = REGIME_TREND_UP,
                                   .row = 1,
                                   .net_r = i % 4 ? 1 : -1,
                                   .confidence = 0.6,
                                   .ts_ns = now};
        if (!memory_learn(scratch, &o)) return false;
        o.regime = REGIME_RANGE_LOW_VOL;
        o.net_r = -o.net_r;
        if (!memory_learn(scratch, &o)) return false;
        o.net_r = NAN;
        if (memory_learn(scratch, &o)) return false;
    }
    struct memory_view view;
    memory_get(&view, scratch, "BTCUSDT", REGIME_TREND_UP, 1, now + config.half_life_ns);
    if (fabs(view.mean_r - 0.5) > 1e-9 || fabs(view.samples - 20) > 1e-9 || view.count != 40)
        return false;
    struct memory_feedback feedback;
    memory_feedback(&feedback, scratch, now);
    return feedback.preferred_regime == REGIME_TREND_UP &&
           feedback.updated_policy == MEMORY_AGGRESSIVE && memory_check(scratch);
}
