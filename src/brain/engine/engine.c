/* The block: layout, seats, keeping, what is shown of it. */
#include "brain/engine/engine.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "brain/engine/engine_internal.h"

static_assert(sizeof(struct engine) % 8 == 0 && sizeof(struct engine_symbol) % 8 == 0 &&
                  sizeof(struct portfolio_series) % 8 == 0,
              "the arrays behind the head are aligned");
/* Names of generators that come from one seed. */
enum { STREAM_STRATEGY = 1, STREAM_SIZING = 2 };

static const char *const event_texts[] = {"none",     "weights",        "level", "excluded",
                                          "restored", "retrain_wanted", "policy"};

const char *engine_event_text(enum engine_event_kind kind) {
    return (uint32_t)kind < sizeof event_texts / sizeof *event_texts ? event_texts[kind] : "?";
}

size_t engine_size(uint32_t symbol_count) {
    ASSERT(symbol_count >= 1 && symbol_count <= INSTRUMENTS_MAX);
    return sizeof(struct engine) +
           symbol_count * (sizeof(struct engine_symbol) + sizeof(struct portfolio_series));
}

struct engine_symbol *engine_symbols(struct engine *e) {
    return (struct engine_symbol *)(e + 1);
}

struct portfolio_series *engine_series(struct engine *e) {
    return (struct portfolio_series *)(engine_symbols(e) + e->symbol_count);
}

const struct engine_symbol *engine_symbol_get(const struct engine *e, uint32_t symbol) {
    ASSERT(symbol < e->symbol_count);
    return (const struct engine_symbol *)(e + 1) + symbol;
}

const struct portfolio_series *engine_series_get(const struct engine *e) {
    return (const struct portfolio_series *)((const struct engine_symbol *)(e + 1) +
                                             e->symbol_count);
}

static enum status names_check(const char (*names)[SYMBOL_SIZE], uint32_t count, struct err *err) {
    for (uint32_t i = 0; i < count; i++) {
        if (!names[i][0] || !memchr(names[i], 0, SYMBOL_SIZE))
            return err_set(err, ST_INVALID, "engine: symbol %u has no name, or too long a one", i);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                return err_set(err, ST_INVALID, "engine: symbols %u and %u are both %s", j, i,
                               names[i]);
    }
    return ST_OK;
}

static struct engine_limits configured(const struct engine_config *c) {
    return (struct engine_limits){.stop_risk = c->sizing.stop_risk,
                                  .total_max = c->sizing.total_max,
                                  .leverage_max = c->sizing.leverage_max,
                                  .positions_max = c->portfolio.positions_max};
}

static double least(double configured_value, double wanted) {
    if (!(wanted >= 0)) return 0;
    return wanted < configured_value ? wanted : configured_value;
}

void engine_limits_lower(struct engine *e, const struct engine_limits *wanted) {
    struct engine_limits l = configured(&e->config);
    l.stop_risk = least(l.stop_risk, wanted->stop_risk);
    l.total_max = least(l.total_max, wanted->total_max);
    if (wanted->leverage_max < l.leverage_max) l.leverage_max = wanted->leverage_max;
    if (wanted->positions_max < l.positions_max) l.positions_max = wanted->positions_max;
    e->limits = l;
}

/* Not above the configuration: whatever lowered them, nothing may have raised them. */
static bool limits_are_sound(const struct engine *e) {
    struct engine_limits c = configured(&e->config);
    const struct engine_limits *l = &e->limits;
    return l->stop_risk >= 0 && l->stop_risk <= c.stop_risk && l->total_max >= 0 &&
           l->total_max <= c.total_max && l->leverage_max <= c.leverage_max &&
           l->positions_max <= c.positions_max;
}

enum status engine_init(struct engine *e, const struct engine_config *config,
                        const char (*names)[SYMBOL_SIZE], uint32_t symbol_count,
                        const struct conformal_table *table, struct err *err) {
    size_t size = engine_size(symbol_count);
    const char *fault = engine_config_fault(config);
    if (fault) return err_set(err, ST_INVALID, "engine: configuration: %s", fault);
    enum status st = names_check(names, symbol_count, err);
    if (st != ST_OK) return st;
    memset(e, 0, size);
    e->magic = ENGINE_MAGIC;
    e->version = ENGINE_VERSION;
    e->symbol_count = symbol_count;
    e->size_bytes = size;
    e->config = *config;
    e->limits = configured(config);
    e->close_ts_ns = INT64_MIN;
    governance_init(&e->governance, &config->governance);
    bias_init(&e->bias);
    conformal_init(&e->conformal, config->conformal_alpha, config->conformal_step, table);
    recalibration_init(&e->recalibration, &config->recalibration);
    memory_init(&e->memory, &config->memory);
    struct rng root = rng_init(config->seed);
    struct rng strategy = rng_split(&root, STREAM_STRATEGY),
               sizing = rng_split(&root, STREAM_SIZING);
    strategy_init(&e->strategy, rng_u64(&strategy), &config->strategy);
    sizing_learner_init(&e->sizing, rng_u64(&sizing));
    for (uint32_t i = 0; i < symbol_count; i++) {
        struct engine_symbol *s = &engine_symbols(e)[i];
        strcpy(s->name, names[i]);
        s->bar.open_ts_ns = INT64_MIN;
        s->market = (struct engine_market){NAN, NAN, NAN, NAN, NAN};
        s->adx = s->trend = s->atr = s->volatility_ratio = NAN;
        s->reading.reason = REGIME_REASON_NO_BAR;
        regime_init(&s->regime);
        forecasts_init(&s->forecasts, config->interval_ns, config->horizon);
        portfolio_series_init(&engine_series(e)[i]);
    }
    return ST_OK;
}

/* ---- seats ---- */

static enum status model_check(const struct engine_model *m, struct err *err) {
    double sum = 0;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) {
        if (!(m->test.label_share[l] >= 0))
            return err_set(err, ST_INVALID, "engine: model: label_share of %s",
                           label_text((enum label)l));
        sum += m->test.label_share[l];
    }
    if (!(fabs(sum - 1) <= 1e-6))
        return err_set(err, ST_INVALID, "engine: model: label_share sums to %g", sum);
    if (!(m->test.loss_mean > 0 && isfinite(m->test.loss_mean)))
        return err_set(err, ST_INVALID, "engine: model: loss_mean %g", m->test.loss_mean);
    if (m->inputs && m->features > DRIFT_FEATURES_MAX)
        return err_set(err, ST_INVALID, "engine: model: %u features, %d at most", m->features,
                       (int)DRIFT_FEATURES_MAX);
    for (uint32_t i = 0; m->inputs && m->importance && i < m->features; i++)
        if (!(m->importance[i] >= 0 && isfinite(m->importance[i])))
            return err_set(err, ST_INVALID, "engine: model: importance of feature %u", i);
    return ST_OK;
}

/* What its predecessor said is no forecast of this one. */
static void forget_forecasts(struct engine *e, enum model_kind kind) {
    const uint32_t keep = ~(1u << kind);
    for (uint32_t i = 0; i < e->symbol_count; i++) {
        struct engine_symbol *s = &engine_symbols(e)[i];
        for (uint32_t k = 0; k < FORECASTS_HORIZON_MAX; k++) {
            s->forecasts.pending[k].outcome.forecast_mask &= keep;
            s->forecasts.pending[k].outcome.voter_mask &= keep;
        }
        s->due.outcome.forecast_mask &= keep;
        s->due.outcome.voter_mask &= keep;
    }
}

void engine_model_removed(struct engine *e, enum model_kind kind) {
    ASSERT((uint32_t)kind < MODEL_COUNT);
    e->seated[kind] = 0;
    e->features[kind] = 0;
    memset(&e->supervisor[kind], 0, sizeof e->supervisor[kind]);
    memset(&e->drift[kind], 0, sizeof e->drift[kind]);
    memset(e->importance[kind], 0, sizeof e->importance[kind]);
    forget_forecasts(e, kind);
}

enum status engine_model_replaced(struct engine *e, struct engine_events *out, enum model_kind kind,
                                  const struct engine_model *model, int64_t ts_ns,
                                  struct err *err) {
    ASSERT((uint32_t)kind < MODEL_COUNT);
    out->count = 0;
    enum status st = model_check(model, err);
    if (st != ST_OK) return st;
    engine_model_removed(e, kind);
    e->seated[kind] = 1;
    supervisor_init(&e->supervisor[kind], &e->config.supervisor, &model->test);
    if (model->inputs) {
        e->features[kind] = model->features;
        drift_init(&e->drift[kind], &e->config.drift, model->inputs, model->features);
        for (uint32_t i = 0; i < model->features; i++)
            e->importance[kind][i] = model->importance ? model->importance[i] : 1;
    }
    struct engine_event *event = &out->items[0];
    memset(event, 0, sizeof *event);
    event->ts_ns = ts_ns;
    event->kind = ENGINE_WEIGHTS;
    event->model = (uint32_t)kind;
    if (governance_replace(&e->governance, &event->weights, kind, ts_ns)) out->count = 1;
    return ST_OK;
}

/* ---- views ---- */

/* An empty seat is no distrust: it has no weight here. */
double engine_trust(const struct engine *e) {
    uint32_t levels[MODEL_COUNT];
    double weights[MODEL_COUNT];
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        levels[k] = e->supervisor[k].level;
        weights[k] = e->seated[k] ? e->governance.served[k] : 0;
    }
    return supervisor_trust(levels, weights);
}

void engine_feedback(struct memory_feedback *out, const struct engine *e, int64_t now_ns) {
    memory_feedback(out, &e->memory, now_ns);
}

void engine_view_get(struct engine_view *out, const struct engine *e) {
    memset(out, 0, sizeof *out);
    governance_weights(out->weights, &e->governance);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        out->seated += e->seated[k];
        out->levels[k] = e->supervisor[k].level;
        out->reasons[k] = e->supervisor[k].reasons;
        out->losses[k] = supervisor_loss_recent(&e->supervisor[k]);
    }
    for (uint32_t i = 0; i < e->symbol_count; i++)
        out->regimes[engine_symbol_get(e, i)->reading.regime]++;
    out->open = engine_open_count(e);
    out->bias_blocked = e->bias.blocked;
    out->bias_buy_share = bias_buy_share(&e->bias);
    out->trust = engine_trust(e);
    out->ece = reliability_ece(&e->reliability);
    out->ece_chance = reliability_ece_chance(&e->reliability);
    out->pool_slope = e->recalibration.theta[0];
    out->coverage = conformal_coverage(&e->conformal);
    out->win_rate = sizing_win_rate(&e->sizing);
}

/* ---- keeping ---- */

static bool symbol_is_sound(const struct engine *e, const struct engine_symbol *s) {
    const struct forecasts *f = &s->forecasts;
    return s->name[0] && memchr(s->name, 0, SYMBOL_SIZE) && s->regime.regime < REGIME_COUNT &&
           s->reading.regime < REGIME_COUNT && s->reading.reason < REGIME_REASON_COUNT &&
           s->has_due <= 1 && s->is_decided <= 1 && f->horizon == e->config.horizon &&
           f->interval_ns == e->config.interval_ns && f->count <= f->horizon &&
           f->head < FORECASTS_HORIZON_MAX;
}

static bool model_is_sound(const struct engine *e, uint32_t k) {
    const struct supervisor *s = &e->supervisor[k];
    if (e->seated[k] > 1 || e->features[k] > DRIFT_FEATURES_MAX) return false;
    if (!e->seated[k]) return s->level == SUPERVISOR_OK && e->features[k] == 0;
    return s->level < SUPERVISOR_LEVEL_COUNT && s->error.limit > 0 && isfinite(s->error.limit) &&
           e->drift[k].features == e->features[k] &&
           e->governance.factor[k] == supervisor_factor((enum supervisor_level)s->level);
}

static bool conformal_is_sound(const struct conformal *c) {
    if (!(c->alpha > 0 && c->alpha < 1 && c->alpha_now <= 1 && isfinite(c->alpha_now)) ||
        c->count > CONFORMAL_WINDOW || c->head >= CONFORMAL_WINDOW)
        return false;
    for (uint32_t i = 0; i < c->count; i++)
        if (!(c->sorted[i] >= 0 && isfinite(c->sorted[i])) ||
            (i > 0 && c->sorted[i] < c->sorted[i - 1]))
            return false;
    return true;
}

/* Each trade under way is known to the strategy, too, and to nobody twice. */
static bool trades_are_sound(const struct engine *e) {
    for (uint32_t i = 0; i < ENGINE_OPEN_MAX; i++) {
        const struct engine_open_trade *t = &e->open[i];
        if (t->intent_id == 0) continue;
        if (t->symbol >= e->symbol_count || t->regime >= REGIME_COUNT || t->arm >= STRATEGY_ARMS ||
            !strategy_pending(&e->strategy, t->intent_id))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (e->open[j].intent_id == t->intent_id) return false;
    }
    return engine_open_count(e) == e->strategy.pending_count &&
           e->opened == e->dropped + e->credited + engine_open_count(e);
}

enum status engine_check(const struct engine *e, struct err *err) {
    if (e->magic != ENGINE_MAGIC)
        return err_set(err, ST_CORRUPT, "engine: magic: not such a block");
    if (e->version != ENGINE_VERSION)
        return err_set(err, ST_VERSION, "engine: version %u, not %d", e->version,
                       (int)ENGINE_VERSION);
    if (e->symbol_count < 1 || e->symbol_count > INSTRUMENTS_MAX ||
        e->size_bytes != engine_size(e->symbol_count))
        return err_set(err, ST_CORRUPT, "engine: %u symbols in a block of its size",
                       e->symbol_count);
    const char *fault = engine_config_fault(&e->config);
    if (fault) return err_set(err, ST_CORRUPT, "engine: configuration: %s", fault);
    if (!limits_are_sound(e))
        return err_set(err, ST_CORRUPT, "engine: limits above those configured");
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (!model_is_sound(e, k))
            return err_set(err, ST_CORRUPT, "engine: supervisor of %s",
                           model_kind_text((enum model_kind)k));
    for (uint32_t i = 0; i < e->symbol_count; i++)
        if (!symbol_is_sound(e, engine_symbol_get(e, i)))
            return err_set(err, ST_CORRUPT, "engine: symbol %u", i);
    if (!governance_is_sound(&e->governance)) return err_set(err, ST_CORRUPT, "engine: governance");
    if (!recalibration_is_sound(&e->recalibration))
        return err_set(err, ST_CORRUPT, "engine: calibration of the pool");
    if (!conformal_is_sound(&e->conformal)) return err_set(err, ST_CORRUPT, "engine: conformal");
    if (!memory_check(&e->memory)) return err_set(err, ST_CORRUPT, "engine: memory");
    if (!strategy_check(&e->strategy)) return err_set(err, ST_CORRUPT, "engine: strategy");
    if (sizing_learner_check(&e->sizing) != ST_OK)
        return err_set(err, ST_CORRUPT, "engine: sizing");
    if (!trades_are_sound(e)) return err_set(err, ST_CORRUPT, "engine: trades under way");
    return ST_OK;
}

uint32_t engine_self_test(struct engine_scratch *scratch) {
    uint32_t failed = regime_self_test() ? 0 : 1u;
    failed |= memory_self_test(&scratch->memory) ? 0 : 2u;
    failed |= strategy_self_test(&scratch->strategy) ? 0 : 4u;
    failed |= sizing_self_test() ? 0 : 8u;
    return failed;
}

static uint64_t checksum_of(const struct engine *e) {
    size_t from = offsetof(struct engine, checksum) + sizeof e->checksum;
    return hash64((const char *)e + from, (size_t)e->size_bytes - from);
}

void engine_seal(struct engine *e) {
    memory_seal(&e->memory);
    strategy_seal(&e->strategy);
    e->checksum = checksum_of(e);
}

enum status engine_restore(struct engine *out, const void *bytes, size_t size, struct err *err) {
    struct {
        uint64_t magic;
        uint32_t version, symbol_count;
        uint64_t size_bytes;
    } head;
    if (size < sizeof *out)
        return err_set(err, ST_VERSION, "engine: %zu bytes are too few for a block", size);
    memcpy(&head, bytes, sizeof head);
    if (head.magic != ENGINE_MAGIC)
        return err_set(err, ST_CORRUPT, "engine: magic: not such a block");
    if (head.version != ENGINE_VERSION || head.size_bytes != size || head.symbol_count < 1 ||
        head.symbol_count > INSTRUMENTS_MAX || engine_size(head.symbol_count) != size)
        return err_set(err, ST_VERSION, "engine: version %u of %zu bytes, not %d", head.version,
                       size, (int)ENGINE_VERSION);
    memcpy(out, bytes, size);
    if (out->checksum != checksum_of(out))
        return err_set(err, ST_CORRUPT, "engine: checksum does not hold");
    return engine_check(out, err);
}
