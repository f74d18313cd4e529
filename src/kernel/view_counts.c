#include "kernel/view_counts.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"

static void count_models(struct view_counts *c, const struct engine_decision *d,
                         const struct model_vote *votes) {
    for (uint32_t m = 0; m < MODEL_COUNT; m++) {
        struct view_model_counts *to = &c->models[m];
        const struct model_vote *v = &votes[m];
        bool has_answered = v->state == VOTE_PRESENT || v->state == VOTE_NO_SKILL;
        if (!has_answered || !ensemble_answer_is_usable(v->p, v->move)) continue;
        enum label best = ensemble_best_label(v->p);
        to->answered++;
        to->labels[best]++;
        if (d->signal.weights[m] <= 0) continue;
        to->voted++;
        to->agreed += best == (enum label)d->signal.action;
    }
}

static void count_confidence(struct view_counts *c, double confidence) {
    double bin = floor(confidence * VIEW_CONFIDENCE_BINS);
    uint32_t last = VIEW_CONFIDENCE_BINS - 1;
    c->confidence[bin <= 0 ? 0 : bin >= last ? last : (uint32_t)bin]++;
    c->confidence_sum += confidence;
    c->confidence_squares += confidence * confidence;
}

static void count_size(struct view_counts *c, const struct engine_decision *d) {
    ASSERT(d->leverage <= LEVERAGE_CEILING);
    c->sized++;
    c->leverage[d->leverage]++;
    c->why[d->choice.why]++;
    c->bound_by[d->sizing.bound_by]++;
    c->fraction_sum += d->fraction;
    c->leverage_sum += d->leverage;
    c->multiplier_sum += d->choice.multiplier;
    c->stop_loss_sum += d->sizing.stop_loss;
}

void view_counts_add(struct view_counts *c, const struct engine_decision *d,
                     const struct model_vote *votes) {
    c->asked++;
    c->reasons[d->reason]++;
    if (d->reason == ENGINE_SYMBOL_UNKNOWN || d->reason == ENGINE_NO_BAR) return;
    c->regimes[d->regime.regime]++;
    count_models(c, d, votes);
    if (d->signal.voters > 0) {
        c->voted++;
        c->actions[d->signal.action]++;
        count_confidence(c, d->signal.confidence);
    }
    if (d->signal.voters > 1) {
        c->several++;
        c->unanimous += d->signal.consensus == d->signal.voters;
    }
    if (d->reason == ENGINE_PORTFOLIO) c->portfolio[d->verdict.reason]++;
    if (d->reason == ENGINE_SIZING) c->sizing[d->sizing.reason]++;
    if (d->strategy.arm < STRATEGY_ARMS) {
        c->arms[d->strategy.arm]++;
        c->explored += d->strategy.explored != 0;
    }
    if (d->reason == ENGINE_ALLOW) count_size(c, d);
}

static void policies_get(struct view_learned *out, const struct strategy_state *s) {
    out->strategy.acting = s->acting;
    out->strategy.looks = s->looks;
    out->strategy.acting_since_ns = s->acting_since_ns == INT64_MIN ? 0 : s->acting_since_ns;
    out->strategy.reviews = s->reviews;
    out->strategy.adopted = s->adopted;
    out->strategy.returned = s->returned;
    memcpy(out->strategy.verdicts, s->verdicts, sizeof s->verdicts);
    memcpy(out->strategy.policies, s->newest, sizeof s->newest);
}

static void strategy_get(struct view_learned *out, const struct strategy_state *s) {
    policies_get(out, s);
    out->strategy.decisions = s->decisions;
    out->strategy.explorations = s->explorations;
    out->strategy.settled = s->settled;
    out->strategy.dropped = s->dropped;
    out->strategy.refused =
        s->refused_duplicate + s->refused_unknown + s->refused_full + s->refused_value;
    out->strategy.pending = s->pending_count;
    out->strategy.algorithm = strategy_acting(s)->config.algorithm;
    out->strategy.epsilon = strategy_acting(s)->config.epsilon;
    out->strategy.floor = strategy_acting(s)->config.floor;
    for (uint32_t a = 0; a < STRATEGY_ARMS; a++) {
        double weight = 0, mean = 0, q = 0;
        for (uint32_t r = 0; r < REGIME_COUNT; r++)
            for (uint32_t t = 0; t < STRATEGY_TIERS; t++) {
                const struct strategy_arm *arm = &strategy_acting(s)->arms[r][t][a];
                weight += arm->weight;
                mean += arm->weight * arm->mean;
                q += arm->weight * arm->q;
                out->strategy.arms[a].trades += arm->count;
                out->strategy.arms[a].wins += arm->wins;
                out->strategy.arms[a].total_r += arm->total_r;
            }
        out->strategy.arms[a].mean_r = weight > 0 ? mean / weight : (double)NAN;
        out->strategy.arms[a].q = weight > 0 ? q / weight : (double)NAN;
    }
}

static void sizing_get(struct view_learned *out, const struct sizing_learner *s,
                       const struct sizing_learner_config *config) {
    out->sizing.opened = s->opened;
    out->sizing.credited = s->credited;
    out->sizing.evicted = s->evicted;
    out->sizing.refused = s->refused;
    out->sizing.rows = SIZING_ROWS;
    for (uint32_t i = 0; i < SIZING_ROWS; i++) out->sizing.rows_trained += s->row_count[i] > 0;
    out->sizing.win_rate = sizing_win_rate(s);
    out->sizing.epsilon = config->epsilon;
}

static void governance_get(struct view_learned *out, const struct governance *g) {
    out->governance.rounds = g->rounds;
    out->governance.outcomes = g->outcomes;
    out->governance.changes = g->sequence;
    out->governance.rule = g->config.rule;
    for (int m = 0; m < MODEL_COUNT; m++) {
        uint64_t n = g->since_forecasts[m];
        out->governance.models[m].learned = g->learned[m];
        out->governance.models[m].factor = g->factor[m];
        out->governance.models[m].mape = governance_classic_mape(g, (enum model_kind)m);
        out->governance.models[m].pnl = governance_classic_pnl(g, (enum model_kind)m);
        out->governance.models[m].samples = g->classic[m].samples;
        out->governance.models[m].loss = n ? g->since_loss[m] / (double)n : (double)NAN;
    }
}

static void supervisors_get(struct view_learned *out, const struct engine *e) {
    for (int m = 0; m < MODEL_COUNT; m++) {
        const struct supervisor *s = &e->supervisor[m];
        if (!e->seated[m]) continue;
        out->supervisor[m].observations = s->observations;
        out->supervisor[m].error_alarms = s->error.alarms;
        out->supervisor[m].input_alarms = e->drift[m].alarms;
        out->supervisor[m].inputs_watched = e->drift[m].watched;
        out->supervisor[m].changes = s->changes;
        out->supervisor[m].steps = s->steps;
        out->supervisor[m].want_retrain = s->want_retrain;
        out->supervisor[m].loss_limit = s->error.limit;
    }
}

void view_learned_get(struct view_learned *out, const struct engine *e) {
    memset(out, 0, sizeof *out);
    strategy_get(out, &e->strategy);
    sizing_get(out, &e->sizing, &e->config.sizing_learner);
    governance_get(out, &e->governance);
    supervisors_get(out, e);
    out->closes = e->closes;
    out->bars = e->bars;
    out->bars_refused = e->bars_refused;
    out->outcomes = e->outcomes;
    out->outcomes_lost = e->outcomes_lost;
    out->entries = e->entries;
    out->opened = e->opened;
    out->dropped = e->dropped;
    out->credited = e->credited;
    out->refused = e->refused;
    out->reliability_count = e->reliability.count;
    out->interval_rounds = e->conformal.rounds;
    out->interval_alpha = e->conformal.alpha;
    out->memory_trades = e->memory.all.count;
    for (uint32_t i = 0; i < MEMORY_CELLS; i++)
        out->memory_cells += e->memory.cells[i].symbol[0] != '\0';
}
