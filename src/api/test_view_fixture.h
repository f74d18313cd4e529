/* A view as a running paper system would publish it, filled by hand: three symbols (one long, one
 * that holds, one still warming), two positions, three orders, five trades. */
#ifndef API_TEST_VIEW_FIXTURE_H
#define API_TEST_VIEW_FIXTURE_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/tstamp.h"
#include "kernel/view.h"

/* 2025-12-20T22:00:00Z */
#define FIXTURE_MARKET_NS (INT64_C(1766268000) * NS_PER_SECOND)

static inline void fixture_copy(char *out, size_t size, const char *text) {
    snprintf(out, size, "%s", text);
}

static inline void fixture_symbols(struct view *v) {
    v->symbol_count = 3;
    v->warming = 1;
    struct view_symbol *b = &v->symbols[0], *e = &v->symbols[1], *s = &v->symbols[2];
    memset(v->symbols, 0, 3 * sizeof v->symbols[0]);
    fixture_copy(b->symbol, sizeof b->symbol, "BTCUSDT");
    fixture_copy(e->symbol, sizeof e->symbol, "ETHUSDT");
    fixture_copy(s->symbol, sizeof s->symbol, "SOLUSDT");
    b->last_px.e8 = b->mark_px.e8 = INT64_C(8278900000000);
    e->last_px.e8 = e->mark_px.e8 = INT64_C(297369000000);
    s->last_px.e8 = s->mark_px.e8 = INT64_C(12736000000);
    b->bar_ts_ns = e->bar_ts_ns = s->bar_ts_ns = FIXTURE_MARKET_NS;
    b->warm = e->warm = 1;
    s->bars_missing = 12;
    for (int i = 0; i < 2; i++) {
        struct view_symbol *x = &v->symbols[i];
        bool buy = i == 0;
        x->signal_id = UINT64_C(9007199254740993) + (uint64_t)i; /* does not fit a double */
        x->signal_ts_ns = FIXTURE_MARKET_NS;
        x->signal_expires_ns = FIXTURE_MARKET_NS + NS_PER_HOUR;
        x->votes[MODEL_XGBOOST] =
            (struct model_vote){.state = VOTE_PRESENT,
                                .p = {buy ? 0.2 : 0.25, buy ? 0.25 : 0.5, buy ? 0.55 : 0.25},
                                .move = 0.012};
        x->votes[MODEL_LIGHTGBM].state = VOTE_NO_SKILL;
        x->signal =
            (struct ensemble_signal){.action = buy ? LABEL_BUY : LABEL_HOLD,
                                     .consensus = 1,
                                     .voters = 1,
                                     .p = {buy ? 0.2 : 0.25, buy ? 0.25 : 0.5, buy ? 0.55 : 0.25},
                                     .confidence = buy ? 0.55 : 0.5,
                                     .edge = buy ? 0.0042 : 0.0,
                                     .weights = {1.0, 0, 0, 0}};
        x->leverage = 3;
    }
    b->stop_loss.e8 = INT64_C(8113322000000);
    b->take_profit.e8 = INT64_C(8527267000000);
    b->position_size.e8 = INT64_C(41394500000);
}

static inline void fixture_position(struct view_position *p, const char *symbol, enum side side,
                                    int64_t qty, int64_t entry, int64_t mark, int64_t pnl,
                                    uint32_t is_protected) {
    memset(p, 0, sizeof *p);
    fixture_copy(p->symbol, sizeof p->symbol, symbol);
    p->side = side;
    p->leverage = 3;
    p->protected_ = is_protected;
    p->qty.e8 = qty;
    p->entry_px.e8 = entry;
    p->mark_px.e8 = mark;
    p->stop_px.e8 = is_protected ? (side == SIDE_BUY ? entry / 100 * 98 : entry / 100 * 102) : 0;
    p->take_profit_px.e8 = side == SIDE_BUY ? entry / 100 * 103 : entry / 100 * 97;
    p->unrealized_pnl.e8 = pnl;
    p->fees.e8 = 20697250;
    p->funding.e8 = -413945;
    p->entry_ts_ns = FIXTURE_MARKET_NS - 3 * NS_PER_HOUR;
}

static inline void fixture_orders(struct view *v) {
    static const char *const ids[] = {"q-0000000000000001-e", "q-0000000000000001-s",
                                      "q-0000000000000001-t"};
    v->order_count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        struct view_order *o = &v->open_orders[i];
        memset(o, 0, sizeof *o);
        fixture_copy(o->client_order_id, sizeof o->client_order_id, ids[i]);
        fixture_copy(o->symbol, sizeof o->symbol, "BTCUSDT");
        o->side = i ? SIDE_SELL : SIDE_BUY;
        o->order_type = i == 0   ? ORDER_LIMIT
                        : i == 1 ? ORDER_STOP_MARKET
                                 : ORDER_TAKE_PROFIT_MARKET;
        o->state = i == 0 ? ORDER_PARTIALLY_FILLED : ORDER_NEW;
        o->reduce_only = i != 0;
        if (i == 0) o->limit_px.e8 = INT64_C(8278900000000);
        if (i != 0) o->stop_px.e8 = i == 1 ? INT64_C(8113322000000) : INT64_C(8527267000000);
        o->order_qty.e8 = 500000;
        o->cum_qty.e8 = i == 0 ? 250000 : 0;
        o->ts_ns = FIXTURE_MARKET_NS - NS_PER_MINUTE;
    }
}

static inline void fixture_trade(struct trade_closed *t, uint64_t id) {
    bool win = id % 5 < 2;
    memset(t, 0, sizeof *t);
    t->trade_id = id;
    t->intent_id = 100 + id;
    fixture_copy(t->symbol, sizeof t->symbol, id % 2 ? "BTCUSDT" : "ETHUSDT");
    t->side = id % 3 ? SIDE_BUY : SIDE_SELL;
    t->exit_reason = win ? EXIT_TAKE_PROFIT : EXIT_STOP;
    t->leverage = 3;
    t->entry_ts_ns = FIXTURE_MARKET_NS - (int64_t)(40 - id) * NS_PER_HOUR;
    t->exit_ts_ns = t->entry_ts_ns + 5 * NS_PER_HOUR;
    t->entry_px.e8 = INT64_C(8200000000000);
    t->exit_px.e8 = win ? INT64_C(8446000000000) : INT64_C(8036000000000);
    t->qty.e8 = 500000;
    t->realized_pnl.e8 = win ? 1230000000 : -820000000;
    t->fees.e8 = 41000000;
    t->funding.e8 = -820000;
    t->net_pnl.e8 = t->realized_pnl.e8 - t->fees.e8 + t->funding.e8;
    t->risk.e8 = 820000000;
    t->time_to_protected_ns = 120 * NS_PER_MS;
    t->confidence = 0.55;
    t->expected_edge = 0.0042;
    t->arm = STRATEGY_SCALP;
    t->targets = win ? 2 : 0;
    t->drawdown_max = 0.0125;
}

static inline void fixture_roles(struct view *v, int64_t now_ns) {
    static const char *const names[] = {"feed",    "engine",   "bot",     "executor",
                                        "monitor", "exchange", "learner", "api"};
    v->role_count = 8;
    for (uint32_t i = 0; i < 8; i++) {
        struct view_role *r = &v->roles[i];
        memset(r, 0, sizeof *r);
        fixture_copy(r->name, sizeof r->name, names[i]);
        bool on_demand = strcmp(names[i], "learner") == 0;
        r->last_work_wall_ns = on_demand ? 0 : now_ns;
        r->max_age_ns = on_demand ? 0 : 60 * NS_PER_SECOND;
        r->work_count = on_demand ? 0 : 1000 + i;
    }
}

static inline void fixture_money(struct view *v) {
    v->wallet_start.e8 = INT64_C(1000000000000);
    v->wallet.e8 = INT64_C(998712000000);
    v->equity.e8 = INT64_C(998954321000);
    v->realized_pnl.e8 = INT64_C(-1079000000);
    v->fees.e8 = 205000000;
    v->funding.e8 = -4100000;
    v->drawdown_max.e8 = INT64_C(2461000000);
    v->equity_count = 300;
    uint64_t noise = 42;
    int64_t equity = v->wallet_start.e8;
    for (uint32_t i = 0; i < v->equity_count; i++) {
        noise = noise * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        equity += (int64_t)(noise >> 33) % 400000000 - 202000000;
        v->equity_curve[i].ts_ns = FIXTURE_MARKET_NS - (int64_t)(300 - i) * NS_PER_HOUR;
        v->equity_curve[i].wallet.e8 = equity / 100000000 * 100000000;
        v->equity_curve[i].equity.e8 = equity;
    }
}

/* A forest: no weights, no path. */
static inline void fixture_model(struct view_model *m) {
    m->loaded = m->has_skill = 1;
    m->state = VOTE_PRESENT;
    fixture_copy(m->path, sizeof m->path, "models/xgboost.ubj");
    m->hash = UINT64_C(0x0123456789abcdef);
    m->train_from_ns = FIXTURE_MARKET_NS - 900 * NS_PER_DAY;
    m->train_to_ns = FIXTURE_MARKET_NS - 200 * NS_PER_DAY;
    m->data_end_ns = FIXTURE_MARKET_NS - 100 * NS_PER_DAY;
    m->trained_wall_ns = FIXTURE_MARKET_NS;
    m->logloss_test = 1.071;
    m->logloss_prior = 1.083;
    m->skill_t = 4.2;
    m->side_t = 3.4;
    fixture_copy(m->params, sizeof m->params, "objective=multi:softprob,num_class=3");
    m->rounds = 87;
    m->balanced_accuracy = 0.361;
    m->ece = 0.012;
    m->votes = 4321;
    m->predict_ns_p50 = 18000;
    m->predict_ns_p99 = 41000;
    m->mse_path = m->mse_persistence = m->mse_dlinear = (double)NAN;
}

/* A network that has not been asked yet. */
static inline void fixture_network(struct view_model *m) {
    fixture_model(m);
    fixture_copy(m->path, sizeof m->path, "models/nhits.safetensors");
    m->rounds = 6;
    m->weights = 123456;
    m->mse_path = 0.75;
    m->mse_persistence = 1.25;
    m->mse_dlinear = 1.125;
    m->votes = m->predict_ns_p50 = m->predict_ns_p99 = 0;
}

static inline void fixture_fill(struct view *v, int64_t now_ns) {
    memset(v, 0, offsetof(struct view, symbols));
    v->mode = MODE_PAPER;
    v->synthetic = v->running = 1;
    v->speed = 60;
    v->started_wall_ns = now_ns - NS_PER_HOUR;
    v->published_wall_ns = now_ns;
    v->market_ts_ns = FIXTURE_MARKET_NS + NS_PER_MINUTE;
    v->market_from_ns = FIXTURE_MARKET_NS - 300 * NS_PER_HOUR;
    v->bar_interval_ns = NS_PER_HOUR;
    v->bars = 900;
    v->events = 12345;
    v->signals = 600;
    v->intents = 40;
    v->intents_denied = 23;
    v->orders = 51;
    v->fills = 17;
    v->trades = 5;
    v->venue_rejects = 1;
    v->reductions = 2;
    v->reject_count = 1;
    v->rejects[0] = (struct view_reject){.code = -4014, .count = 1};
    v->incidents.strays = 3;
    v->bus_published = 640;
    v->bus_delivered = 639;
    v->bus_lag = 1;
    v->journal_seq = 12345;
    v->journal_durable_seq = 12340;
    v->positions_unprotected_ever = 2;
    v->time_to_protected_ns_p50 = 110 * NS_PER_MS;
    v->time_to_protected_ns_p99 = 240 * NS_PER_MS;
    v->protected_counts[3] = 5, v->protected_counts[5] = 2;
    v->protected_counts[VIEW_PROTECTED_EDGES] = 1;
    v->protected_ns_sum = 91 * NS_PER_SECOND;
    v->protected_interrupted = 3;
    v->protected_interrupted_ns_max = 42 * NS_PER_SECOND;
    v->time_to_protected_ns_max = 260 * NS_PER_MS;
    fixture_model(&v->models[MODEL_XGBOOST]);
    v->disagreement =
        (struct view_disagreement){.decisions = 800, .differ = 96, .distance = 0.03125};
    fixture_roles(v, now_ns);
    fixture_money(v);
    fixture_symbols(v);
    v->position_count = 2;
    fixture_position(&v->positions[0], "BTCUSDT", SIDE_BUY, 500000, INT64_C(8200000000000),
                     INT64_C(8278900000000), 394500000, 1);
    fixture_position(&v->positions[1], "ETHUSDT", SIDE_SELL, 11600000, INT64_C(296000000000),
                     INT64_C(297369000000), -15880400, 1);
    v->positions[0].exits = (struct view_exits){.is_watched = 1,
                                                .profile = PROFILE_TREND,
                                                .against = 1,
                                                .unsuited = 2,
                                                .p_side = 0.3125,
                                                .p_other = 0.4375};
    v->exit_brain = (struct view_exit_brain){.is_on = 1, .stops_nearer = 4};
    v->exit_brain.chosen[PROFILE_TREND] = 7;
    v->exit_brain.advice[EXIT_EDGE_GONE] = 3;
    v->exit_brain.profiles[PROFILE_TREND] =
        (struct exit_choice){.profile = PROFILE_TREND, .count = 55, .mean = 0.125, .low = 0.0625};
    fixture_orders(v);
    v->trade_count = 5;
    for (uint32_t i = 0; i < 5; i++) fixture_trade(&v->recent[i], i + 1);
    v->reason_count = 2;
    fixture_copy(v->reasons[0].reason, VIEW_REASON_SIZE, "EDGE_BELOW_COST");
    v->reasons[0].count = 20;
    fixture_copy(v->reasons[1].reason, VIEW_REASON_SIZE, "EXPOSURE_MAX");
    v->reasons[1].count = 3;
}

/* ---- the same with the engine: BTCUSDT is to be bought, of ETHUSDT the voters' BUY is refused ---- */

static inline void fixture_decision(struct view_symbol *s, enum engine_reason reason) {
    bool allowed = reason == ENGINE_ALLOW;
    s->signal.action = LABEL_BUY;
    s->signal.voters = 2;
    s->signal.consensus = 1;
    s->signal.weights[MODEL_XGBOOST] = 0.6;
    s->signal.weights[MODEL_LIGHTGBM] = 0.4;
    s->votes[MODEL_LIGHTGBM] =
        (struct model_vote){.state = VOTE_PRESENT, .p = {0.3, 0.4, 0.3}, .move = 0.011};
    s->votes[MODEL_NHITS] =
        (struct model_vote){.state = VOTE_PRESENT, .p = {0.5, 0.3, 0.2}, .move = 0.012};
    s->leverage = allowed ? 2 : 0;
    s->decision = (struct view_decision){.reason = reason,
                                         .portfolio_reason = PORTFOLIO_CORRELATED,
                                         .action = allowed ? LABEL_BUY : LABEL_HOLD,
                                         .leverage = allowed ? 2 : 0,
                                         .arm = STRATEGY_SCALP,
                                         .has_interval = 1,
                                         .was_decided = 1,
                                         .fraction = allowed ? 0.04 : 0,
                                         .trust = 0.75,
                                         .expected_return = 0.0035,
                                         .interval_low = -0.011,
                                         .interval_high = 0.018,
                                         .cost = 0.0014,
                                         .edge_gross = 0.0042,
                                         .edge_net = 0.0028,
                                         .edge_se = 0.0011,
                                         .stop_distance = 0.02,
                                         .take_distance = {0.03, 0.045, 0.0625},
                                         .multiplier = 0.5};
    s->decision.states[MODEL_XGBOOST] = s->decision.states[MODEL_LIGHTGBM] = VOTE_PRESENT;
    s->decision.states[MODEL_NHITS] = VOTE_EXCLUDED;
    s->decision.regime = (struct regime_reading){.regime = REGIME_TREND_UP, .confidence = 0.82};
}

static inline void fixture_seats(struct view_retrain *r) {
    r->enabled = 1;
    r->period_ns = 14400 * NS_PER_SECOND;
    r->last_ns = FIXTURE_MARKET_NS - NS_PER_HOUR;
    r->next_ns = FIXTURE_MARKET_NS + 3 * NS_PER_HOUR;
    r->runs = 5;
    r->succeeded = 4;
    r->failed = 1;
    for (int m = 0; m < MODEL_COUNT; m++) promotion_seat_init(&r->seats[m], 0, 0, 0);
    struct promotion_seat *s = &r->seats[MODEL_XGBOOST];
    s->served = UINT64_C(0x0123456789abcdef);
    s->served_ns = FIXTURE_MARKET_NS - NS_PER_DAY;
    s->challenger = UINT64_C(0xfedcba9876543210);
    s->challenger_state = PROMOTION_SHADOW;
    s->challenger_ns = FIXTURE_MARKET_NS - 2 * NS_PER_HOUR;
    s->admitted = 4;
    s->rejected = 2;
    s->promoted = 1;
    s->served_error = (struct promotion_error){.count = 250, .error = 0.9, .outcome = 1.0};
    r->verdicts[MODEL_XGBOOST] = (struct promotion_verdict){.outcome = PROMOTION_UNDECIDED,
                                                            .reason = PROMOTION_NOT_SIGNIFICANT,
                                                            .mape_old = 0.97,
                                                            .mape_new = 0.93,
                                                            .sharpe_old = 0.01,
                                                            .sharpe_new = 0.03,
                                                            .wealth = 17.5,
                                                            .p = 1 / 17.5,
                                                            .pairs = 420,
                                                            .bars = 300,
                                                            .samples = 41};
}

static inline void fixture_counts(struct view_counts *c) {
    c->asked = 1000;
    c->voted = 900;
    c->several = 800;
    c->unanimous = 600;
    c->actions[LABEL_HOLD] = 700;
    c->actions[LABEL_BUY] = 200;
    c->reasons[ENGINE_ALLOW] = 40;
    c->reasons[ENGINE_HOLD] = 860;
    c->reasons[ENGINE_PORTFOLIO] = 60;
    c->reasons[ENGINE_SIZING] = 40;
    c->portfolio[PORTFOLIO_CORRELATED] = 60;
    c->sizing[SIZING_EDGE_BELOW_COST] = 40;
    c->confidence[8] = 300; /* [0.40, 0.45) */
    c->confidence[9] = 600;
    c->confidence_sum = 300 * 0.42 + 600 * 0.47;
    c->confidence_squares = 300 * 0.42 * 0.42 + 600 * 0.47 * 0.47;
    c->models[MODEL_XGBOOST] =
        (struct view_model_counts){.answered = 900, .voted = 800, .agreed = 700};
    c->arms[STRATEGY_SCALP] = 30;
    c->arms[STRATEGY_DEFENSIVE] = 10;
    c->explored = 4;
    c->sized = 40;
    c->fraction_sum = 1.6;
    c->leverage_sum = 80;
    c->multiplier_sum = 20;
    c->stop_loss_sum = 0.032;
    c->leverage[2] = 40;
    c->bound_by[SIZING_LIMIT_EVIDENCE] = 40;
}

static inline void fixture_learned(struct view_learned *l) {
    l->closes = 500;
    l->bars = 1500;
    l->outcomes = 1400;
    l->reliability_count = 1390;
    l->interval_rounds = 480;
    l->interval_alpha = 0.10;
    l->strategy.decisions = 40;
    l->strategy.settled = 30;
    l->strategy.floor = 0.02;
    for (int a = 0; a < STRATEGY_ARMS; a++)
        l->strategy.arms[a].mean_r = l->strategy.arms[a].q = (double)NAN;
    l->strategy.arms[STRATEGY_SCALP].trades = 25;
    l->strategy.arms[STRATEGY_SCALP].wins = 10;
    l->strategy.arms[STRATEGY_SCALP].mean_r = -0.12;
    l->strategy.acting = STRATEGY_POLICY_SHARP;
    l->strategy.reviews = 3;
    l->strategy.adopted = 1;
    l->strategy.verdicts[STRATEGY_NO_OVERLAP] = 4;
    l->strategy.policies[STRATEGY_POLICY_OWN] =
        (struct strategy_evaluation){.verdict = STRATEGY_NOT_BETTER,
                                     .rows = 256,
                                     .value = 0.11,
                                     .gain = -0.04,
                                     .p_value = 0.9,
                                     .level = 0.0076};
    l->sizing.opened = 32;
    l->sizing.credited = 30;
    l->sizing.rows = SIZING_ROWS;
    l->sizing.rows_trained = 6;
    l->sizing.win_rate = 0.4;
    l->sizing.epsilon = 0.1;
    l->governance.rounds = 480;
    l->governance.changes = 7;
    for (int m = 0; m < MODEL_COUNT; m++)
        l->governance.models[m].factor = l->governance.models[m].learned = 0.25;
    l->supervisor[MODEL_XGBOOST].steps = l->supervisor[MODEL_LIGHTGBM].steps = 500;
    l->supervisor[MODEL_XGBOOST].error_alarms = 2;
    l->supervisor[MODEL_XGBOOST].input_alarms = 3;
    l->supervisor[MODEL_XGBOOST].loss_limit = 1.12;
    l->memory_trades = 30;
    l->memory_cells = 12;
}

static inline void fixture_engine(struct view *v) {
    v->has_engine = 1;
    fixture_model(&v->models[MODEL_LIGHTGBM]);
    fixture_copy(v->models[MODEL_LIGHTGBM].path, sizeof v->models[0].path, "models/lightgbm.txt");
    v->engine =
        (struct engine_view){.weights = {0.45, 0.30, 0, 0.25}, /* an empty seat has its own */
                             .levels = {SUPERVISOR_DOWN_WEIGHT, 0, SUPERVISOR_EXCLUDE, 0},
                             .reasons = {SUPERVISOR_ERROR_RISE | SUPERVISOR_INPUT_DRIFT},
                             .losses = {1.08, 0, 0, 0},
                             .seated = 1,
                             .open = 2,
                             .bias_blocked = LABEL_HOLD,
                             .bias_buy_share = 0.45,
                             .trust = 0.75,
                             .ece = 0.0125,
                             .ece_chance = 0.009,
                             .coverage = 0.905,
                             .win_rate = 0.4};
    v->engine.regimes[REGIME_TREND_UP] = 2;
    v->engine.regimes[REGIME_UNKNOWN] = 1;
    v->memory = (struct memory_feedback){.preferred_regime = REGIME_TREND_UP,
                                         .updated_policy = MEMORY_BALANCED,
                                         .confidence_boost = 0.3,
                                         .leverage_hint = 1.1,
                                         .samples = 22.5,
                                         .count = 30,
                                         .mean_r = 0.15,
                                         .win_rate = 0.55};
    fixture_counts(&v->counts);
    fixture_learned(&v->learned);
    fixture_seats(&v->retrain);
    fixture_decision(&v->symbols[0], ENGINE_ALLOW);
    fixture_decision(&v->symbols[1], ENGINE_PORTFOLIO);
    v->symbols[2].decision.action = LABEL_HOLD;
    v->symbols[2].decision.arm = STRATEGY_NONE;
}

#endif
