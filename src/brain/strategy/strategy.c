/* The table, what suits, the policies, attribution by trade id, keeping. */
#include "brain/strategy/strategy.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "brain/strategy/strategy_internal.h"

/* The original's bar for bold strategies. */
static const double spread_bps_bar = 10, depth_bar = 100e3;
/* Tiers by daily turnover: about the first ten and the first hundred contracts. */
static const double volume_main = 500e6, volume_l1 = 50e6;
/* In what the candidates differ. */
static const double sharp_width = 0.5, quick_forget = 0.99, local_samples = 0.25;
/* At most six strategies suit a context: each has 0.05, so on its own log no weight is above 20 and it
 * can be left again on evidence. */
static const double classic_epsilon = 0.30;
enum { STREAM_WATCH = 1 }; /* a generator split off the seed's */

static const struct strategy_profile profiles[STRATEGY_ARMS] = {
#define STRATEGY_PROFILE(id, text, sl, tp1, tp2, tp3, be, from, distance, risk, conf, p1, p2, p3,  \
                         bold, reward, trend, range, high, l2)                                     \
    {.name = text,                                                                                 \
     .stop_atr = sl,                                                                               \
     .take_atr = {tp1, tp2, tp3},                                                                  \
     .break_even_atr = be,                                                                         \
     .trail_from_atr = from,                                                                       \
     .trail_distance_atr = distance,                                                               \
     .risk_factor = risk,                                                                          \
     .confidence_min = conf,                                                                       \
     .take_part = {p1, p2, p3},                                                                    \
     .aggressiveness = bold,                                                                       \
     .reward_to_risk = reward,                                                                     \
     .suits_trend = trend,                                                                         \
     .suits_range = range,                                                                         \
     .suits_high_volatility = high,                                                                \
     .suits_l2 = l2},
    STRATEGY_TABLE(STRATEGY_PROFILE)
#undef STRATEGY_PROFILE
};

static const char *const how_texts[] = {"nothing", "posterior", "chance", "heuristic", "q"};
static const char *const answer_texts[] = {"taken", "duplicate", "not_known", "full", "not_usable"};
static const char *const verdict_texts[STRATEGY_VERDICTS] = {"allowed", "too_few", "no_overlap",
                                                             "not_better"};
static const char *const why_texts[] = {"none", "better", "promise_broken"};
static const char *const policy_texts[STRATEGY_POLICIES] = {
#define STRATEGY_POLICY_TEXT(id, text) text,
    STRATEGY_POLICY_TABLE(STRATEGY_POLICY_TEXT)
#undef STRATEGY_POLICY_TEXT
};

const char *strategy_name(enum strategy_id id) {
    if (id == STRATEGY_NONE) return "none";
    return (uint32_t)id < STRATEGY_ARMS ? profiles[id].name : "?";
}

const char *strategy_how_text(enum strategy_how how) {
    return (uint32_t)how < sizeof how_texts / sizeof *how_texts ? how_texts[how] : "?";
}

const char *strategy_answer_text(enum strategy_answer answer) {
    return (uint32_t)answer < sizeof answer_texts / sizeof *answer_texts ? answer_texts[answer]
                                                                         : "?";
}

const char *strategy_verdict_text(enum strategy_verdict verdict) {
    return (uint32_t)verdict < STRATEGY_VERDICTS ? verdict_texts[verdict] : "?";
}

const char *strategy_why_text(enum strategy_why why) {
    return (uint32_t)why < sizeof why_texts / sizeof *why_texts ? why_texts[why] : "?";
}

const char *strategy_policy_text(enum strategy_policy_id id) {
    return (uint32_t)id < STRATEGY_POLICIES ? policy_texts[id] : "?";
}

const struct strategy_profile *strategy_profile(enum strategy_id id) {
    ASSERT((uint32_t)id < STRATEGY_ARMS);
    return &profiles[id];
}

enum strategy_tier strategy_tier_of(double volume_24h) {
    if (volume_24h >= volume_main) return STRATEGY_MAIN;
    return volume_24h >= volume_l1 ? STRATEGY_L1 : STRATEGY_L2;
}

static bool suits_regime(enum strategy_id id, enum regime regime) {
    ASSERT((uint32_t)regime < REGIME_COUNT);
    const struct strategy_profile *p = &profiles[id];
    switch (regime) {
    case REGIME_TREND_UP:
    case REGIME_TREND_DOWN:
        return p->suits_trend;
    case REGIME_RANGE_LOW_VOL:
    case REGIME_RANGE_HIGH_VOL:
        return p->suits_range;
    case REGIME_HIGH_VOLATILITY:
        return p->suits_high_volatility;
    case REGIME_UNKNOWN:
    case REGIME_ILLIQUID:
        /* What is not known, or cannot be left, is met with the two smallest. */
        return id == STRATEGY_DEFENSIVE || id == STRATEGY_MODERATE;
    case REGIME_COUNT:
        break;
    }
    return false;
}

uint32_t strategy_suitable(const struct strategy_context *context, bool use_confidence) {
    bool thin = context->spread_bps > spread_bps_bar || context->depth < depth_bar;
    uint32_t mask = 0;
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
        const struct strategy_profile *p = &profiles[a];
        bool suits = suits_regime((enum strategy_id)a, (enum regime)context->regime) &&
                     (context->tier != STRATEGY_L2 || p->suits_l2) &&
                     !(thin && p->aggressiveness >= STRATEGY_HIGH) &&
                     (!use_confidence || context->confidence >= p->confidence_min);
        mask |= suits ? 1U << a : 0;
    }
    return mask;
}

struct strategy_config strategy_config_defaults(void) {
    return (struct strategy_config){.algorithm = STRATEGY_THOMPSON,
                                    .use_confidence = 1,
                                    .prior_mean = 0,
                                    .prior_weight = 1,
                                    .prior_shape = 2,
                                    .prior_scale = 1,
                                    .forget = 0.9995,
                                    .floor = 0.02,
                                    .symbol_samples = 10,
                                    .width = 1,
                                    .draws = 32,
                                    .review_trades = 128,
                                    .epsilon = 0.10,
                                    .alpha = 0.20,
                                    .q_least = 0.40};
}

bool strategy_config_check(const struct strategy_config *c) {
    return c->algorithm < STRATEGY_ALGORITHMS && fabs(c->prior_mean) <= net_r_max &&
           c->prior_weight > 0 && isfinite(c->prior_weight) && c->prior_shape >= 1 &&
           isfinite(c->prior_shape) && c->prior_scale > 0 && isfinite(c->prior_scale) &&
           c->forget > 0 && c->forget <= 1 && c->floor > 0 && c->floor < 1 &&
           c->symbol_samples > 0 && isfinite(c->symbol_samples) && c->width > 0 &&
           isfinite(c->width) && c->draws >= 1 && c->draws <= 256 && c->epsilon > 0 &&
           c->epsilon < 1 && c->alpha > 0 && c->alpha <= 1 && isfinite(c->q_least);
}

/* Another configuration of the same figures; what it leaves out of the table's text is own's. */
static struct strategy_config policy_config(const struct strategy_config *own,
                                            enum strategy_policy_id id) {
    struct strategy_config c = *own;
    if (id == STRATEGY_POLICY_OWN) return c;
    bool classic = id == STRATEGY_POLICY_OTHER_RULE && own->algorithm == STRATEGY_THOMPSON;
    c.algorithm = classic ? STRATEGY_CLASSIC : STRATEGY_THOMPSON;
    if (classic) c.epsilon = fmax(c.epsilon, classic_epsilon);
    if (id == STRATEGY_POLICY_SHARP) c.width *= sharp_width;
    if (id == STRATEGY_POLICY_QUICK) c.forget = fmin(c.forget, quick_forget);
    if (id == STRATEGY_POLICY_LOCAL) c.symbol_samples *= local_samples;
    return c;
}

void strategy_init(struct strategy_state *state, uint64_t seed,
                   const struct strategy_config *config) {
    ASSERT(strategy_config_check(config));
    memset(state, 0, sizeof *state);
    state->magic = STRATEGY_MAGIC;
    state->version = STRATEGY_VERSION;
    state->size_bytes = sizeof *state;
    for (uint32_t k = 0; k < STRATEGY_POLICIES; k++)
        state->policies[k].config = policy_config(config, (enum strategy_policy_id)k);
    state->acting_since_ns = INT64_MIN;
    state->promised = NAN;
    state->rng = rng_init(seed);
    state->watch = rng_split(&state->rng, STREAM_WATCH);
}

const struct strategy_policy *strategy_acting(const struct strategy_state *state) {
    return &state->policies[state->acting];
}

void strategy_priors(struct strategy_prior *out, const struct memory_state *memory,
                     const char *symbol, enum regime regime, int64_t now_ns) {
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
        struct memory_view view;
        memory_get(&view, memory, symbol, regime, a, now_ns);
        out[a] = (struct strategy_prior){.mean_r = view.samples > 0 ? view.mean_r : 0,
                                         .samples = view.samples};
    }
}

/* ---- Attribution ---- */

static uint32_t pending_index(const struct strategy_state *state, uint64_t trade_id) {
    uint32_t i = 0;
    while (i < state->pending_count && state->pending[i].trade_id != trade_id) i++;
    return i;
}

const struct strategy_row *strategy_pending(const struct strategy_state *state, uint64_t trade_id) {
    uint32_t i = pending_index(state, trade_id);
    return i < state->pending_count ? &state->pending[i] : NULL;
}

static bool is_settled(const struct strategy_state *state, uint64_t trade_id) {
    for (uint32_t i = 0; i < STRATEGY_LOG_MAX; i++)
        if (state->log[i].trade_id == trade_id) return true;
    return false;
}

/* What every policy would have done here: of the one that acts it is known already; of the others
 * nobody asks where nothing is reviewed. */
static void watch(struct strategy_row *row, struct strategy_state *state,
                  const struct strategy_decision *d) {
    bool is_reviewed = state->policies[STRATEGY_POLICY_OWN].config.review_trades > 0;
    for (uint32_t k = 0; k < STRATEGY_POLICIES; k++) {
        if (k != state->acting && !is_reviewed) continue;
        struct answer answer;
        const double *p = d->probability;
        if (k != state->acting) {
            struct question q;
            bandit_question(&q, &state->policies[k], &d->context, d->eligible, d->priors);
            bandit_answer(&answer, &state->policies[k], &state->watch, &q);
            p = answer.probability;
        }
        double direct = 0;
        for (uint32_t a = 0; a < STRATEGY_ARMS; a++) direct += p[a] * d->expected_r[a];
        row->direct[k] = (float)direct;
        row->weight[k] = (float)(p[d->arm] / d->propensity);
    }
}

enum strategy_answer strategy_opened(struct strategy_state *state, uint64_t trade_id,
                                     const struct strategy_decision *d, int64_t ts_ns) {
    if (trade_id == 0 || d->arm >= STRATEGY_ARMS) {
        state->refused_value++;
        return STRATEGY_NOT_USABLE;
    }
    if (strategy_pending(state, trade_id) || is_settled(state, trade_id)) {
        state->refused_duplicate++;
        return STRATEGY_DUPLICATE;
    }
    if (state->pending_count == STRATEGY_PENDING_MAX) {
        state->refused_full++;
        return STRATEGY_FULL;
    }
    struct strategy_row *row = &state->pending[state->pending_count++];
    *row = (struct strategy_row){.trade_id = trade_id,
                                 .ts_ns = ts_ns,
                                 .regime = (uint8_t)d->context.regime,
                                 .tier = (uint8_t)d->context.tier,
                                 .arm = (uint8_t)d->arm,
                                 .eligible = (uint8_t)d->eligible,
                                 .propensity = (float)d->propensity};
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) row->expected[a] = (float)d->expected_r[a];
    watch(row, state, d);
    return STRATEGY_TAKEN;
}

/* Keeps the order of the others: the block depends on what happened, not on which slot was free. */
static void pending_remove(struct strategy_state *state, uint32_t index) {
    uint32_t behind = --state->pending_count - index;
    memmove(&state->pending[index], &state->pending[index + 1], behind * sizeof *state->pending);
    memset(&state->pending[state->pending_count], 0, sizeof *state->pending);
}

enum strategy_answer strategy_closed(struct strategy_state *state, uint64_t trade_id, double net_r,
                                     int64_t ts_ns) {
    uint32_t i = pending_index(state, trade_id);
    if (i == state->pending_count || trade_id == 0) {
        bool again = trade_id != 0 && is_settled(state, trade_id);
        if (again)
            state->refused_duplicate++;
        else
            state->refused_unknown++;
        return again ? STRATEGY_DUPLICATE : STRATEGY_NOT_KNOWN;
    }
    if (!(fabs(net_r) <= net_r_max) || ts_ns < state->pending[i].ts_ns) {
        state->refused_value++;
        return STRATEGY_NOT_USABLE;
    }
    struct strategy_row row = state->pending[i];
    row.net_r = (float)net_r;
    row.closed_ns = ts_ns;
    bandit_learn(state, row.regime, row.tier, row.arm, net_r);
    pending_remove(state, i);
    state->log[state->log_total++ % STRATEGY_LOG_MAX] = row;
    state->settled++;
    return STRATEGY_TAKEN;
}

enum strategy_answer strategy_dropped(struct strategy_state *state, uint64_t trade_id) {
    uint32_t i = pending_index(state, trade_id);
    if (i == state->pending_count || trade_id == 0) {
        state->refused_unknown++;
        return STRATEGY_NOT_KNOWN;
    }
    pending_remove(state, i);
    state->dropped++;
    return STRATEGY_TAKEN;
}

/* ---- Keeping ---- */

static uint64_t checksum_of(const struct strategy_state *state) {
    size_t from = offsetof(struct strategy_state, rng);
    return hash64((const char *)state + from, sizeof *state - from);
}

void strategy_seal(struct strategy_state *state) {
    state->checksum = checksum_of(state);
}

static bool row_is_sound(const struct strategy_row *r) {
    bool sound = r->trade_id != 0 && r->regime < REGIME_COUNT && r->tier < STRATEGY_TIERS &&
                 r->arm < STRATEGY_ARMS && r->eligible < 1U << STRATEGY_ARMS &&
                 (r->eligible >> r->arm & 1) && r->propensity > 0 && r->propensity <= 1.0001F &&
                 fabs((double)r->net_r) <= net_r_max;
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) sound = sound && isfinite(r->expected[a]);
    for (uint32_t k = 0; k < STRATEGY_POLICIES; k++)
        sound = sound && isfinite(r->direct[k]) && r->weight[k] >= 0 && isfinite(r->weight[k]);
    return sound;
}

static bool row_is_settled(const struct strategy_row *r) {
    return row_is_sound(r) && r->closed_ns >= r->ts_ns;
}

static bool arms_are_sound(const struct strategy_state *state, uint32_t policy) {
    const struct strategy_arm *arm = &state->policies[policy].arms[0][0][0];
    uint64_t trades = 0;
    for (uint32_t i = 0; i < REGIME_COUNT * STRATEGY_TIERS * STRATEGY_ARMS; i++, arm++) {
        if (!(arm->weight >= 0 && arm->weight <= (double)arm->count * (1 + 1e-9))) return false;
        if (!(fabs(arm->mean) <= net_r_max * (1 + 1e-9)) || !(fabs(arm->q) <= net_r_max))
            return false;
        if (!(arm->square >= 0) || !isfinite(arm->square) || arm->wins > arm->count) return false;
        if (!isfinite(arm->total_r)) return false;
        trades += arm->count;
    }
    return trades == state->settled;
}

/* The candidates are those of the first configuration, and all have seen the same trades. */
static bool policies_are_sound(const struct strategy_state *state) {
    if (!strategy_config_check(&state->policies[0].config) || state->acting >= STRATEGY_POLICIES)
        return false;
    for (uint32_t k = 0; k < STRATEGY_POLICIES; k++) {
        struct strategy_config c =
            policy_config(&state->policies[0].config, (enum strategy_policy_id)k);
        if (memcmp(&c, &state->policies[k].config, sizeof c) != 0 || !arms_are_sound(state, k))
            return false;
    }
    return true;
}

bool strategy_check(const struct strategy_state *state) {
    if (state->magic != STRATEGY_MAGIC || state->version != STRATEGY_VERSION ||
        state->size_bytes != sizeof *state)
        return false;
    if (state->pending_count > STRATEGY_PENDING_MAX || state->log_total != state->settled ||
        state->looks_began_at > state->log_total || state->reviewed_at > state->settled ||
        state->adopted + state->returned > state->reviews)
        return false;
    for (uint32_t i = 0; i < state->pending_count; i++) {
        const struct strategy_row *r = &state->pending[i];
        if (!row_is_sound(r) || pending_index(state, r->trade_id) != i ||
            is_settled(state, r->trade_id))
            return false;
    }
    for (uint32_t i = 0; i < STRATEGY_LOG_MAX; i++)
        if (i < state->log_total ? !row_is_settled(&state->log[i]) : state->log[i].trade_id != 0)
            return false;
    return policies_are_sound(state);
}

enum status strategy_restore(struct strategy_state *out, const void *bytes, size_t size,
                             struct err *err) {
    if (size != sizeof *out)
        return err_set(err, ST_VERSION, "strategy: %zu bytes, not %zu", size, sizeof *out);
    memcpy(out, bytes, size);
    if (out->magic != STRATEGY_MAGIC)
        return err_set(err, ST_CORRUPT, "strategy: magic: not a block of strategies");
    if (out->version != STRATEGY_VERSION || out->size_bytes != size)
        return err_set(err, ST_VERSION, "strategy: version %u, not %d", out->version,
                       (int)STRATEGY_VERSION);
    if (out->checksum != checksum_of(out))
        return err_set(err, ST_CORRUPT, "strategy: checksum does not hold");
    if (!strategy_check(out))
        return err_set(err, ST_CORRUPT,
                       "strategy: a row, an arm, a policy or a count is impossible");
    return ST_OK;
}

bool strategy_self_test(struct strategy_state *scratch) {
    struct strategy_config config = strategy_config_defaults();
    struct strategy_context context = {.regime = REGIME_TREND_UP,
                                       .tier = STRATEGY_MAIN,
                                       .confidence = 0.7,
                                       .spread_bps = 1,
                                       .depth = 1e6,
                                       .win_rate = 0.5};
    uint32_t best = 0;
    strategy_init(scratch, 1, &config);
    for (uint64_t id = 1; id <= 300; id++) {
        struct strategy_decision d;
        strategy_choose(&d, scratch, &context, NULL);
        if (d.arm == STRATEGY_SCALP || d.arm >= STRATEGY_ARMS) return false;
        double net_r = (d.arm == STRATEGY_TREND_RIDER ? 0.5 : -0.5) + (id % 2 ? 0.5 : -0.5);
        if (strategy_opened(scratch, id, &d, 1) != STRATEGY_TAKEN) return false;
        if (strategy_closed(scratch, id, net_r, 2) != STRATEGY_TAKEN) return false;
        if (strategy_closed(scratch, id, net_r, 2) != STRATEGY_DUPLICATE) return false;
        best += id > 200 && d.arm == STRATEGY_TREND_RIDER;
    }
    return best > 85 && scratch->settled == 300 && strategy_check(scratch);
}
