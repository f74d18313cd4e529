/* One close, all symbols: what the voters say, then what is done about it. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "brain/engine/engine.h"
#include "brain/engine/engine_internal.h"

/* Ends of the ranges that leverage_inputs looks at: what is not known is taken at its worst. */
static const double funding_worst = 0.05, divergence_worst = 1, volatility_worst = 3,
                    cost_worst = 0.5;

const char *engine_reason_text(enum engine_reason reason) {
    switch (reason) {
#define ENGINE_REASON_TEXT(name, text)                                                             \
    case name:                                                                                     \
        return text;
        ENGINE_REASON_TABLE(ENGINE_REASON_TEXT)
#undef ENGINE_REASON_TEXT
    case ENGINE_REASON_COUNT:
        break;
    }
    return "?";
}

/* ---- the signal ---- */

/* The voters as the supervisor lets them stand: an empty seat has no vote, an excluded one is asked in vain. */
static void seat_votes(struct model_vote out[MODEL_COUNT], const struct engine *e,
                       const struct model_vote *votes) {
    memcpy(out, votes, MODEL_COUNT * sizeof *out);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        if (!e->seated[k])
            memset(&out[k], 0, sizeof out[k]);
        else if (e->governance.factor[k] == 0.0 && out[k].state == VOTE_PRESENT)
            out[k].state = VOTE_EXCLUDED;
    }
}

/* How unsure the gross edge is: how far the voters' own edges are apart, and the calibration error of what
 * was said so far, which moves p of a side and of the other one. NaN before enough was judged: sizing then believes
 * a fifth. */
static double edge_error(const struct engine *e, const struct engine_decision *d,
                         const struct model_vote *votes, enum label side) {
    if (e->reliability.count < e->config.reliability_min) return NAN;
    double mean = 0, square = 0;
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        double w = d->signal.weights[k];
        if (!(w > 0)) continue;
        double edge = votes[k].move * (votes[k].p[side] - votes[k].p[LABEL_BUY - side]);
        mean += w * edge;
        square += w * edge * edge;
    }
    double calibration = 2 * reliability_ece(&e->reliability) * d->signal.move;
    return sqrt(fmax(square - mean * mean, 0) + calibration * calibration);
}

static void note(struct engine *e, struct engine_symbol *s, const struct engine_decision *d) {
    int64_t at = s->bar.open_ts_ns / e->config.interval_ns % FORECASTS_HORIZON_MAX;
    struct engine_note *n = &s->notes[at];
    n->decided_ts_ns = s->bar.open_ts_ns;
    n->action = d->signal.action;
    n->regime = d->regime.regime;
    memcpy(n->p, d->signal.p, sizeof n->p);
    memcpy(n->pooled, d->pooled, sizeof n->pooled);
    n->confidence = d->signal.confidence;
}

/* Nobody votes: what those say together who answered all the same. */
static void opine(struct engine_decision *d, const struct engine *e,
                  const struct ensemble_config *ensemble, const struct model_vote *votes) {
    struct model_vote answers[MODEL_COUNT];
    memcpy(answers, votes, sizeof answers);
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (answers[k].state == VOTE_NO_SKILL) answers[k].state = VOTE_PRESENT;
    struct ensemble_signal opinion;
    ensemble_step_recalibrated(&opinion, d->pooled, ensemble, answers, &e->recalibration);
    if (opinion.voters == 0) return;
    d->is_opinion = 1;
    memcpy(d->signal.p, opinion.p, sizeof d->signal.p);
    d->signal.move = opinion.move;
    d->signal.confidence = opinion.p[LABEL_HOLD];
}

/* Everything that does not depend on other symbols. bias_block: as it stood before this close. */
static void say(struct engine_decision *d, struct engine *e, const struct engine_ask *ask,
                const struct ensemble_config *ensemble, const struct bias *before) {
    memset(d, 0, sizeof *d);
    d->symbol = ask->symbol;
    d->action = LABEL_HOLD;
    d->signal.action = LABEL_HOLD;
    d->strategy.arm = STRATEGY_NONE;
    d->ts_ns = e->close_ts_ns;
    d->distance = NAN;
    d->edge_se = NAN;
    d->reason = ENGINE_SYMBOL_UNKNOWN;
    if (ask->symbol >= e->symbol_count) return;
    struct engine_symbol *s = &engine_symbols(e)[ask->symbol];
    d->reason = ENGINE_NO_BAR;
    if (s->is_decided || s->bar.open_ts_ns < 0 ||
        s->bar.open_ts_ns + e->config.interval_ns != e->close_ts_ns)
        return;
    s->is_decided = 1;
    struct model_vote votes[MODEL_COUNT];
    seat_votes(votes, e, ask->votes);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) d->states[k] = votes[k].state;
    ensemble_step_recalibrated(&d->signal, d->pooled, ensemble, votes, &e->recalibration);
    if (d->signal.voters == 0) opine(d, e, ensemble, votes);
    ensemble_spread(&d->spread, votes);
    d->trust = engine_trust(e);
    d->regime = s->reading;
    d->expected_return = ensemble_expected_return(&d->signal);
    d->has_interval =
        (d->signal.voters > 0 || d->is_opinion) &&
        conformal_interval(&d->interval, &e->conformal, d->expected_return, d->signal.move);
    /* As a label is made in training: no distance, no label. */
    if (s->atr > 0) d->distance = fmax(e->config.barrier_atr * s->atr, e->config.barrier_min);
    d->was_noted = forecasts_add(&s->forecasts, &s->bar, d->distance, votes, &d->signal,
                                 d->has_interval ? &d->interval.width : NULL);
    note(e, s, d);
    d->cost = isnan(ask->cost)                           ? e->config.cost
              : ask->cost >= 0 && ask->cost < cost_worst ? ask->cost
                                                         : cost_worst;
    if (d->signal.action != LABEL_HOLD) {
        d->edge_gross = d->signal.edge;
        d->edge_net = d->edge_gross - d->cost;
        d->edge_se = edge_error(e, d, votes, (enum label)d->signal.action);
    }
    d->reason = d->signal.voters == 0                               ? ENGINE_NO_VOTER
                : d->signal.action == LABEL_HOLD                    ? ENGINE_HOLD
                : isnan(d->distance)                                ? ENGINE_ATR_UNKNOWN
                : !ask->may_enter                                   ? ENGINE_ENTRY_BARRED
                : bias_blocks(before, (enum label)d->signal.action) ? ENGINE_BIAS_BLOCK
                                                                    : ENGINE_ALLOW;
}

/* The models' answers of this close, for their own windows: they count from the next close on. */
static void show_answers(struct engine *e, struct engine_scratch *w, const struct engine_ask *asks,
                         const struct engine_decision *decisions, uint32_t count) {
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t state = decisions[i].states[k];
            if (decisions[i].reason == ENGINE_SYMBOL_UNKNOWN ||
                decisions[i].reason == ENGINE_NO_BAR || state == VOTE_ABSENT ||
                state == VOTE_WARMING || state == VOTE_STALE)
                continue;
            memcpy(w->answers[n++], asks[i].votes[k].p, sizeof w->answers[0]);
        }
        if (n > 0)
            supervisor_outputs(&e->supervisor[k], (const double(*)[LABEL_COUNT])w->answers, n);
    }
}

/* A hundred symbols would fill the block's window twice in one close, and one turn of the market would look like
 * a bias of ours. */
static void show_signals(struct engine *e, struct engine_scratch *w,
                         const struct engine_decision *decisions, uint32_t count) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (decisions[i].signal.action != LABEL_HOLD) w->asked[n++] = decisions[i].signal.action;
    uint32_t takes = n < ENGINE_SIGNALS_PER_CLOSE ? n : ENGINE_SIGNALS_PER_CLOSE;
    for (uint32_t i = 0; i < takes; i++) {
        uint64_t at = (e->closes * ENGINE_SIGNALS_PER_CLOSE + i) % n;
        (void)bias_signal(&e->bias, (enum label)w->asked[at]);
    }
}

/* ---- the strategy ---- */

/* Stops and targets of an arm are in ATR, floored as the label's barrier is. */
static void choose_strategy(struct engine_decision *d, struct engine *e) {
    const struct engine_symbol *s = engine_symbol_get(e, d->symbol);
    struct strategy_context context = {.regime = d->regime.regime,
                                       .tier = strategy_tier_of(s->market.volume_24h),
                                       .confidence = d->signal.confidence,
                                       .spread_bps = s->market.spread_bps,
                                       .depth = s->market.depth,
                                       .win_rate = sizing_win_rate(&e->sizing)};
    struct strategy_prior priors[STRATEGY_ARMS];
    strategy_priors(priors, &e->memory, s->name, (enum regime)d->regime.regime, d->ts_ns);
    strategy_choose(&d->strategy, &e->strategy, &context, priors);
    if (d->strategy.arm == STRATEGY_NONE) {
        d->reason = ENGINE_NO_STRATEGY;
        return;
    }
    const struct strategy_profile *p = strategy_profile((enum strategy_id)d->strategy.arm);
    double unit = d->distance / e->config.barrier_atr;
    /* A nearer stop would cost more than it saves. */
    d->stop_distance = fmax(p->stop_atr * unit, e->config.stop_cost_multiple * d->cost);
    for (uint32_t i = 0; i < 3; i++) d->take_distance[i] = p->take_atr[i] * unit;
}

/* ---- the size ---- */

struct sizing_state {
    double used, margin; /* notional / equity in use; free margin / equity left */
    double sigma_mean;   /* of the wishes' daily volatility */
    uint32_t places;     /* for intents under way */
};

static double known(double x, double otherwise) {
    return isfinite(x) ? x : otherwise;
}

static uint32_t wanted_leverage(const struct engine *e, const struct engine_decision *d,
                                const struct sizing_state *state, double margin_used) {
    const struct engine_symbol *s = engine_symbol_get(e, d->symbol);
    double sign = d->signal.action == LABEL_BUY ? 1 : -1;
    struct leverage_inputs in = {.confidence = d->signal.confidence,
                                 .volatility = known(s->volatility_ratio, volatility_worst),
                                 .trend = known(sign * s->trend, -1),
                                 .symbol_risk = d->room.sigma_day / state->sigma_mean,
                                 .margin_used = margin_used,
                                 .divergence = known(s->market.divergence, divergence_worst),
                                 .funding = known(s->market.funding_rate, funding_worst)};
    uint32_t formula = leverage_intelligent(&in, e->limits.leverage_max);
    return formula < d->choice.leverage ? formula : d->choice.leverage;
}

static void fill_input(struct engine_decision *d, const struct engine *e,
                       const struct engine_ask *ask, const struct sizing_state *state,
                       double margin_used) {
    const struct engine_symbol *s = engine_symbol_get(e, d->symbol);
    struct memory_prior prior;
    memory_prior(&prior, &e->memory, s->name, (enum regime)d->regime.regime, d->strategy.arm,
                 d->ts_ns);
    /* A return within +-b of mean m deviates by at most sqrt(b^2 - m^2). */
    double bound = fmax(d->signal.move, d->stop_distance);
    const struct strategy_profile *p = strategy_profile((enum strategy_id)d->strategy.arm);
    d->input = (struct sizing_input){
        .edge = d->edge_gross,
        .edge_se = d->edge_se,
        .cost = d->cost,
        .trade_sigma = sqrt(fmax(bound * bound - d->edge_gross * d->edge_gross, 0)),
        .stop_distance = d->stop_distance,
        .sigma_day = d->room.sigma_day,
        .variance_day = d->room.variance_day,
        .covariance_day = d->room.covariance_day,
        .memory_mean = prior.pool_samples > 0 ? prior.mean_r * d->stop_distance : NAN,
        .memory_samples = prior.pool_samples,
        .exposure_total = state->used,
        .cluster_room = d->room.cluster,
        .margin_available = state->margin,
        .multiplier = fmin(d->choice.multiplier * d->trust * p->risk_factor, 1),
        .fraction_min = ask->fraction_min,
        .leverage = wanted_leverage(e, d, state, margin_used)};
}

/* The configuration under the limits in force. */
static struct sizing_config sizing_in_force(const struct engine *e) {
    struct sizing_config c = e->config.sizing;
    c.stop_risk = e->limits.stop_risk;
    c.total_max = e->limits.total_max;
    c.leverage_max = e->limits.leverage_max;
    return c;
}

static struct portfolio_config portfolio_in_force(const struct engine *e) {
    struct portfolio_config c = e->config.portfolio;
    c.total_max = e->limits.total_max;
    c.positions_max = e->limits.positions_max;
    return c;
}

static void refuse(struct engine_decision *d, enum engine_reason reason) {
    d->reason = (uint32_t)reason;
}

/* One wish whose turn has come. */
static void size_wish(struct engine_decision *d, struct engine *e, struct portfolio_book *book,
                      uint32_t wish, const struct engine_ask *ask, struct sizing_state *state,
                      double margin_used) {
    const struct engine_symbol *s = engine_symbol_get(e, d->symbol);
    if (d->room.reason != PORTFOLIO_ALLOW) {
        d->verdict =
            *portfolio_admit(book, wish, 0); /* keeps the reason in the book, takes nothing */
        refuse(d, ENGINE_PORTFOLIO);
        return;
    }
    if (state->places == 0) {
        refuse(d, ENGINE_OPEN_FULL);
        return;
    }
    struct sizing_context context = {
        .atr = s->atr,
        .adx = s->adx,
        .trend = s->trend,
        .confidence = d->signal.confidence,
        .exposure = book->caps.total > 0 ? state->used / book->caps.total : INFINITY};
    sizing_choose(&d->choice, &e->sizing, &e->config.sizing_learner, &context);
    fill_input(d, e, ask, state, margin_used);
    const struct sizing_config sizing = sizing_in_force(e);
    sizing_decide(&d->sizing, &sizing, &d->input);
    if (d->sizing.reason != SIZING_ALLOW) {
        refuse(d, ENGINE_SIZING);
        return;
    }
    d->verdict = *portfolio_admit(book, wish, d->sizing.fraction);
    if (d->verdict.reason != PORTFOLIO_ALLOW) {
        refuse(d, ENGINE_PORTFOLIO);
        return;
    }
    d->action = d->signal.action;
    d->fraction = d->verdict.fraction;
    d->leverage = d->sizing.leverage;
    state->places--;
    state->used += d->fraction;
    state->margin -= d->fraction / d->leverage;
}

static bool account_is_possible(const struct engine *e, const struct engine_account *a) {
    if (a->holding_count > PORTFOLIO_POSITIONS_CEILING || !(a->margin_used >= 0)) return false;
    for (uint32_t i = 0; i < a->holding_count; i++) {
        const struct portfolio_holding *h = &a->holdings[i];
        if (h->instrument_index >= e->symbol_count || !isfinite(h->fraction) ||
            !(h->fraction > 0) || (h->side != SIDE_BUY && h->side != SIDE_SELL))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (a->holdings[j].instrument_index == h->instrument_index) return false;
    }
    return true;
}

static void size_all(struct engine_decision *out, struct engine *e, struct engine_scratch *w,
                     const struct engine_ask *asks, uint32_t wishes,
                     const struct engine_account *account) {
    struct portfolio_book *book = &w->book;
    const struct portfolio_config portfolio = portfolio_in_force(e);
    /* What would be reduced at the next close for the margin it binds is not entered at this one. */
    double margin = fmax(portfolio.margin_max - account->margin_used, 0);
    struct sizing_state state = {.margin = fmin(account->margin_available, margin),
                                 .places = ENGINE_OPEN_MAX - engine_open_count(e)};
    for (uint32_t i = 0; i < account->holding_count; i++)
        state.used += account->holdings[i].fraction;
    int64_t bar = e->close_ts_ns / e->config.interval_ns - 1;
    portfolio_open(book, &portfolio, engine_series_get(e), e->symbol_count, bar, account->holdings,
                   account->holding_count, w->wishes, wishes);
    uint32_t ranked, known_sigma = 0;
    const uint32_t *order = portfolio_rank(book, &ranked);
    double sum = 0;
    for (uint32_t i = 0; i < wishes; i++) {
        struct portfolio_room *room = &out[w->asked[i]].room;
        portfolio_consider(room, book, i);
        if (!(room->sigma_day > 0)) continue;
        sum += room->sigma_day;
        known_sigma++;
    }
    state.sigma_mean = known_sigma ? sum / known_sigma : NAN;
    for (uint32_t k = 0; k < ranked; k++) {
        struct engine_decision *d = &out[w->asked[order[k]]];
        portfolio_consider(&d->room, book, order[k]);
        size_wish(d, e, book, order[k], &asks[w->asked[order[k]]], &state, account->margin_used);
    }
    for (uint32_t i = 0; i < wishes; i++) {
        struct engine_decision *d = &out[w->asked[i]];
        if (d->reason != ENGINE_ALLOW || d->fraction > 0) continue;
        d->verdict = book->verdict[i]; /* not ranked: its edge is below its cost */
        refuse(d, ENGINE_PORTFOLIO);
    }
}

uint32_t engine_rebalance(struct portfolio_proposal *out, const struct engine *e,
                          struct engine_scratch *w, const struct engine_account *account) {
    if (account->holding_count == 0 || e->close_ts_ns < 0 || !account_is_possible(e, account))
        return 0;
    int64_t bar = e->close_ts_ns / e->config.interval_ns - 1;
    const struct portfolio_config portfolio = portfolio_in_force(e);
    portfolio_open(&w->book, &portfolio, engine_series_get(e), e->symbol_count, bar,
                   account->holdings, account->holding_count, NULL, 0);
    return portfolio_rebalance(out, &w->book, account->margin_used);
}

void engine_decide(struct engine_decision *out, struct engine *e, struct engine_scratch *w,
                   const struct engine_ask *asks, uint32_t count,
                   const struct engine_account *account) {
    ASSERT(count <= INSTRUMENTS_MAX);
    struct ensemble_config ensemble = e->config.ensemble;
    governance_weights(ensemble.weights, &e->governance);
    const struct bias before = e->bias;
    for (uint32_t i = 0; i < count; i++) say(&out[i], e, &asks[i], &ensemble, &before);
    show_answers(e, w, asks, out, count);
    show_signals(e, w, out, count);
    uint32_t wishes = 0;
    bool is_possible = account_is_possible(e, account);
    for (uint32_t i = 0; i < count; i++) {
        struct engine_decision *d = &out[i];
        if (d->reason == ENGINE_ALLOW) choose_strategy(d, e);
        if (d->reason != ENGINE_ALLOW) continue;
        if (!is_possible) {
            refuse(d, ENGINE_ACCOUNT_UNKNOWN);
            continue;
        }
        w->asked[wishes] = i;
        w->wishes[wishes++] =
            (struct portfolio_wish){.instrument_index = d->symbol,
                                    .side = d->signal.action == LABEL_BUY ? SIDE_BUY : SIDE_SELL,
                                    .edge_net = d->edge_net};
    }
    if (wishes > 0) size_all(out, e, w, asks, wishes, account);
    for (uint32_t i = 0; i < count; i++) {
        e->entries += out[i].reason == ENGINE_ALLOW;
        e->holds += out[i].reason == ENGINE_HOLD || out[i].reason == ENGINE_NO_VOTER;
    }
    e->decisions += count;
}
