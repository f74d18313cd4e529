#include "brain/governance/forecasts.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "num/elementary.h"

static const double probability_min = 1e-6;

double forecast_log_loss(const double *p, enum label label) {
    return -num_log(fmin(fmax(p[label], probability_min), 1));
}

void forecasts_init(struct forecasts *f, int64_t interval_ns, uint32_t horizon) {
    ASSERT(interval_ns > 0 && horizon >= 1 && horizon <= FORECASTS_HORIZON_MAX);
    memset(f, 0, sizeof *f);
    f->interval_ns = interval_ns;
    f->last_open_ns = INT64_MIN;
    f->horizon = horizon;
}

static void decide(struct forecast *p, enum label label, double px) {
    p->is_decided = 1;
    p->outcome.label = (uint32_t)label;
    p->outcome.realised_return = px / p->close - 1;
}

/* One more bar of one forecast's horizon; the order of questions is that of the label's contract. */
static void look(struct forecast *p, const struct bar *bar, uint32_t horizon) {
    p->age++;
    if (p->is_decided) return;
    double upper = p->close * (1 + p->distance), lower = p->close * (1 - p->distance);
    double open = (double)bar->open.e8, close = (double)bar->close.e8;
    bool up = (double)bar->high.e8 >= upper, down = (double)bar->low.e8 <= lower;
    if (open >= upper)
        decide(p, LABEL_BUY, open);
    else if (open <= lower)
        decide(p, LABEL_SELL, open);
    else if (up && down) /* which came first is not known */
        decide(p, LABEL_HOLD, close);
    else if (up)
        decide(p, LABEL_BUY, upper);
    else if (down)
        decide(p, LABEL_SELL, lower);
    else if (p->age == horizon)
        decide(p, LABEL_HOLD, close);
}

bool forecasts_bar(struct forecasts *f, struct forecast *out, const struct bar *bar) {
    ASSERT(bar->open_ts_ns > f->last_open_ns);
    bool is_next = f->count > 0 && bar->open_ts_ns - f->last_open_ns == f->interval_ns;
    f->last_open_ns = bar->open_ts_ns;
    if (!is_next) {
        f->lost += f->count;
        f->count = 0;
        return false;
    }
    for (uint32_t i = 0; i < f->count; i++)
        look(&f->pending[(f->head + i) % FORECASTS_HORIZON_MAX], bar, f->horizon);
    struct forecast *oldest = &f->pending[f->head];
    if (oldest->age < f->horizon) return false;
    *out = *oldest;
    f->head = (f->head + 1) % FORECASTS_HORIZON_MAX;
    f->count--;
    f->over++;
    return true;
}

bool forecasts_add(struct forecasts *f, const struct bar *bar, double distance,
                   const struct model_vote *votes, const struct ensemble_signal *signal,
                   const double *interval_width) {
    ASSERT(bar->open_ts_ns == f->last_open_ns && f->count < f->horizon);
    if (!(distance > 0) || !isfinite(distance)) return false;
    struct forecast *p = &f->pending[(f->head + f->count++) % FORECASTS_HORIZON_MAX];
    memset(p, 0, sizeof *p);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        const struct model_vote *v = &votes[k];
        bool has_answered = v->state != VOTE_ABSENT && v->state != VOTE_WARMING &&
                            ensemble_answer_is_usable(v->p, v->move);
        if (!has_answered) continue;
        p->outcome.forecast_mask |= 1u << k;
        if (signal->weights[k] > 0) p->outcome.voter_mask |= 1u << k;
        memcpy(p->outcome.p[k], v->p, sizeof v->p);
        p->outcome.move[k] = v->move;
    }
    p->decided_ts_ns = bar->open_ts_ns;
    p->close = (double)bar->close.e8;
    p->distance = distance;
    p->expected_return = ensemble_expected_return(signal);
    p->scale = signal->move;
    p->width = interval_width ? *interval_width : (double)NAN;
    return true;
}
