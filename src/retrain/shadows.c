/* What came of forecasts, the costed rule, and who is asked beside those that serve. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "retrain/retrain_internal.h"

/* ---- what came ---- */

static void outcome_of(struct retrain *r, enum model_kind kind, const struct retrain_forecast *f,
                       double outcome) {
    struct promotion_seat *seat = &r->state->seat[kind];
    const struct promotion_config *config = &r->config.promotion;
    const double *by = f->by[kind];
    promotion_seat_service(seat, config, f->decision_ns, by[ROLE_SERVED], by[ROLE_PREDECESSOR],
                           outcome);
    if (retrain_has_shadow(seat))
        promotion_seat_trial(seat, config, f->decision_ns, by[ROLE_SERVED], by[ROLE_CHALLENGER],
                             outcome);
}

static void outcomes(struct close *c) {
    struct retrain *r = c->r;
    int64_t decision_ns = c->in->close_ns - r->config.promotion.horizon_ns;
    for (uint32_t j = 0; j < c->in->count; j++) {
        struct retrain_forecast *f = retrain_forecast_at(r, c->in->stepped[j], decision_ns);
        if (f->decision_ns != decision_ns) continue;
        double outcome = c->in->closes[j] / f->close - 1;
        for (uint32_t k = 0; k < MODEL_COUNT; k++) outcome_of(r, (enum model_kind)k, f, outcome);
    }
    /* All symbols of that decision are in. */
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        struct promotion_seat *seat = &r->state->seat[k];
        promotion_watch_close(&seat->watch);
        if (retrain_has_shadow(seat)) promotion_evidence_close(&seat->trial.evidence);
    }
}

bool retrain_costed_bar(double *net_old, double *net_new, struct promotion_position positions[2],
                        const struct promotion_config *config, double forecast_old,
                        double forecast_new, double bar_return) {
    bool both = promotion_is_return(forecast_old) && promotion_is_return(forecast_new);
    bool held = positions[0].side != 0 || positions[1].side != 0;
    if (!both) forecast_old = forecast_new = NAN;
    *net_old += promotion_position_step(&positions[0], config, forecast_old, bar_return);
    *net_new += promotion_position_step(&positions[1], config, forecast_new, bar_return);
    return both || held;
}

/* The bar that ends now, under the forecasts of the close before it. */
static void costed_bars(struct close *c, enum model_kind kind) {
    struct retrain *r = c->r;
    struct promotion_seat *seat = &r->state->seat[kind];
    double net_old = 0, net_new = 0;
    uint32_t symbols = 0;
    bool tells = false;
    if (!retrain_has_shadow(seat)) return;
    for (uint32_t j = 0; j < c->in->count; j++) {
        uint32_t i = c->in->stepped[j];
        struct retrain_symbol *s = &r->symbols[i];
        if (s->close_ns == INT64_MIN) continue;
        const struct retrain_forecast *f = retrain_forecast_at(r, i, s->close_ns);
        ASSERT(f->decision_ns == s->close_ns);
        double served = seat->served ? f->by[kind][ROLE_SERVED] : 0;
        tells |=
            retrain_costed_bar(&net_old, &net_new, s->positions[kind], &r->config.promotion, served,
                               f->by[kind][ROLE_CHALLENGER], c->in->closes[j] / s->close - 1);
        symbols++;
    }
    if (tells) promotion_seat_bar(seat, net_old / symbols, net_new / symbols);
}

void retrain_positions_clear(struct retrain *r, enum model_kind kind) {
    for (uint32_t i = 0; i < r->config.symbol_count; i++)
        memset(r->symbols[i].positions[kind], 0, sizeof r->symbols[i].positions[kind]);
}

void retrain_learn(struct close *c) {
    outcomes(c);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) costed_bars(c, (enum model_kind)k);
}

/* ---- who is asked ---- */

static void forecasts_start(struct close *c) {
    struct retrain *r = c->r;
    for (uint32_t j = 0; j < c->in->count; j++) {
        uint32_t i = c->in->stepped[j];
        struct retrain_forecast *f = retrain_forecast_at(r, i, c->in->close_ns);
        f->decision_ns = c->in->close_ns;
        f->close = c->in->closes[j];
        r->symbols[i].close_ns = c->in->close_ns;
        r->symbols[i].close = c->in->closes[j];
        for (uint32_t k = 0; k < MODEL_COUNT; k++) {
            const struct model_vote *vote = &c->in->votes[(size_t)j * MODEL_COUNT + k];
            bool serves = r->state->seat[k].served != 0;
            f->by[k][ROLE_SERVED] = serves ? retrain_expected(vote) : (double)NAN;
            f->by[k][ROLE_PREDECESSOR] = f->by[k][ROLE_CHALLENGER] = NAN;
        }
    }
}

static enum status ask(struct close *c, enum model_kind kind, enum retrain_role role) {
    struct retrain *r = c->r;
    struct served_model *m = r->slot[kind][role].model;
    ASSERT(m);
    enum status st = r->hooks->vote(r->answers, m, c->in->rows, c->in->histories, c->in->count,
                                    c->in->stride, c->err);
    if (st != ST_OK)
        return err_wrap(c->err, st, "%s %s", model_kind_text(kind),
                        role == ROLE_CHALLENGER ? "in shadow" : "before");
    for (uint32_t j = 0; j < c->in->count; j++)
        retrain_forecast_at(r, c->in->stepped[j], c->in->close_ns)->by[kind][role] =
            retrain_expected(&r->answers[j]);
    return ST_OK;
}

enum status retrain_ask(struct close *c) {
    forecasts_start(c);
    enum status st = ST_OK;
    for (uint32_t k = 0; k < MODEL_COUNT && st == ST_OK && c->in->count > 0; k++) {
        const struct promotion_seat *seat = &c->r->state->seat[k];
        if (seat->predecessor) st = ask(c, (enum model_kind)k, ROLE_PREDECESSOR);
        if (st == ST_OK && retrain_has_shadow(seat))
            st = ask(c, (enum model_kind)k, ROLE_CHALLENGER);
    }
    return st;
}

void retrain_roles_move(struct retrain *r, enum model_kind kind,
                        const enum retrain_role from[ROLE_COUNT]) {
    size_t count = (size_t)r->config.symbol_count * r->config.labels.horizon_bars;
    for (size_t i = 0; i < count; i++) {
        double *by = r->forecasts[i].by[kind], old[ROLE_COUNT];
        if (r->forecasts[i].decision_ns == INT64_MIN) continue;
        memcpy(old, by, sizeof old);
        for (int role = 0; role < ROLE_COUNT; role++)
            by[role] = from[role] == ROLE_COUNT ? (double)NAN : old[from[role]];
    }
}
