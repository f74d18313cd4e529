#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "num/elementary.h"
#include "trade/exitbrain/exitbrain.h"

void exitbrain_init(struct exitbrain *b) {
    memset(b, 0, sizeof *b);
}

/* ---- one profile through one bar ---- */

struct gains {
    double open, worst, best, close; /* of the bar, in the position's direction */
};

static void leave(struct exit_shadow_leg *leg, double part, double at) {
    if (part > leg->left) part = leg->left;
    leg->gain += part * at;
    leg->left -= part;
}

static void leave_all(struct exit_shadow_leg *leg, double at) {
    leave(leg, leg->left, at);
    leg->is_over = 1;
}

/* The share closed at a target; the last one takes what is left. */
static double part_at(const struct exit_plan *plan, uint32_t target) {
    bool is_last = target == 2 || plan->take[target + 1] <= 0 || plan->part[target] <= 0;
    return is_last ? 1 : plan->part[target];
}

/* At break-even the costs are covered, the funding of the plan's whole time among them, as in trade/exits. */
static void move_stop(struct exit_shadow_leg *leg, const struct exit_plan *plan,
                      const struct exit_shadow *s) {
    double best = s->best, cost = s->cost + s->funding * plan->horizon_bars;
    if (plan->break_even > 0 && best >= plan->break_even && cost > leg->stop) leg->stop = cost;
    if (plan->trail > 0 && best >= plan->trail_from && best - plan->trail > leg->stop)
        leg->stop = best - plan->trail;
}

static void step(struct exit_shadow_leg *leg, const struct exit_plan *plan, const struct gains *g,
                 const struct exit_shadow *s) {
    leg->gain -= s->funding * leg->left;
    if (g->worst <= leg->stop) { /* a gap is met at its far side */
        leave_all(leg, g->open < leg->stop ? g->open : leg->stop);
        return;
    }
    while (leg->next < 3 && plan->take[leg->next] > 0 && g->best >= plan->take[leg->next]) {
        leave(leg, part_at(plan, leg->next), plan->take[leg->next]);
        leg->next++;
        if (leg->left <= 1e-12) {
            leg->is_over = 1;
            return;
        }
    }
    move_stop(leg, plan, s);
    bool is_passed = leg->stop >= g->close,
         is_time = plan->horizon_bars && s->bars >= plan->horizon_bars;
    if (is_passed || is_time) leave_all(leg, g->close);
}

/* ---- entries ---- */

static struct exit_moment *moment_of(struct exitbrain *b, int64_t close_ns, uint32_t group,
                                     uint32_t *index) {
    uint32_t free = EXITBRAIN_MOMENTS;
    for (uint32_t m = 0; m < EXITBRAIN_MOMENTS; m++) {
        struct exit_moment *x = &b->moments[m];
        if (x->is_used && x->close_ns == close_ns && x->group == group) {
            *index = m;
            return x;
        }
        if (!x->is_used && free == EXITBRAIN_MOMENTS) free = m;
    }
    if (free == EXITBRAIN_MOMENTS) return NULL;
    *index = free;
    b->moments[free] = (struct exit_moment){.is_used = 1, .group = group, .close_ns = close_ns};
    return &b->moments[free];
}

static uint32_t shadow_free(const struct exitbrain *b) {
    uint32_t i = 0;
    while (i < EXITBRAIN_SHADOWS && b->owners[i]) i++;
    return i;
}

static bool is_usable(const struct exit_entry *e, const struct exit_plan *own) {
    return e->px > 0 && isfinite(e->px) && own->stop > 0 && own->stop < EXITBRAIN_STOP_END &&
           e->cost >= 0 && e->cost < 1 && e->funding >= 0 && e->funding < 1;
}

bool exitbrain_entered(struct exitbrain *b, const struct exit_entry *e,
                       const struct exit_plan *own) {
    ASSERT(e->group < EXITBRAIN_GROUPS);
    ASSERT(e->side == SIDE_BUY || e->side == SIDE_SELL);
    uint32_t i = is_usable(e, own) ? shadow_free(b) : EXITBRAIN_SHADOWS, at = 0;
    struct exit_moment *m = i < EXITBRAIN_SHADOWS ? moment_of(b, e->close_ns, e->group, &at) : NULL;
    if (!m) {
        b->left_out++;
        return false;
    }
    struct exit_shadow *s = &b->shadows[i];
    b->owners[i] = e->symbol + 1;
    *s = (struct exit_shadow){.side = (uint32_t)e->side,
                              .group = e->group,
                              .moment = at,
                              .entry = e->px,
                              .cost = e->cost,
                              .funding = e->funding};
    for (uint32_t p = 0; p < PROFILE_COUNT; p++) {
        exitbrain_plan(&s->plans[p], (enum exit_profile)p, own, e->atr, e->interval_ns);
        s->legs[p] = (struct exit_shadow_leg){.stop = -own->stop, .left = 1};
    }
    m->open++;
    m->count++;
    b->entries++;
    return true;
}

/* ---- results ---- */

static void tally(struct exit_tally *t, const struct exit_moment *m) {
    double n = (double)++t->count, of = (double)m->count;
    t->own_mean += (m->own / of - t->own_mean) / n;
    for (uint32_t p = 0; p < PROFILE_COUNT; p++) { /* Welford */
        double x = m->difference[p] / of, before = x - t->mean[p];
        t->mean[p] += before / n;
        t->square[p] += before * (x - t->mean[p]);
    }
}

static void end_shadow(struct exitbrain *b, uint32_t i) {
    const struct exit_shadow *s = &b->shadows[i];
    struct exit_moment *m = &b->moments[s->moment];
    double r[PROFILE_COUNT];
    for (uint32_t p = 0; p < PROFILE_COUNT; p++)
        r[p] = (s->legs[p].gain - s->cost) / s->plans[PROFILE_OWN].stop;
    m->own += r[PROFILE_OWN];
    for (uint32_t p = 0; p < PROFILE_COUNT; p++) m->difference[p] += r[p] - r[PROFILE_OWN];
    b->owners[i] = 0;
    if (--m->open > 0) return;
    tally(&b->tallies[m->group], m);
    tally(&b->tallies[EXITBRAIN_GROUPS], m);
    b->moments_done++;
    m->is_used = 0;
}

void exitbrain_bar(struct exitbrain *b, uint32_t symbol, double open, double high, double low,
                   double close) {
    for (uint32_t i = 0; i < EXITBRAIN_SHADOWS; i++) {
        if (b->owners[i] != symbol + 1) continue;
        struct exit_shadow *s = &b->shadows[i];
        double sign = s->side == SIDE_BUY ? 1 : -1;
        double a = sign * (high / s->entry - 1), c = sign * (low / s->entry - 1);
        const struct gains g = {.open = sign * (open / s->entry - 1),
                                .worst = a < c ? a : c,
                                .best = a < c ? c : a,
                                .close = sign * (close / s->entry - 1)};
        s->bars++;
        s->last = g.close;
        if (g.best > s->best) s->best = g.best;
        bool is_over = true;
        for (uint32_t p = 0; p < PROFILE_COUNT; p++) {
            if (!s->legs[p].is_over) step(&s->legs[p], &s->plans[p], &g, s);
            is_over = is_over && s->legs[p].is_over;
        }
        if (is_over) end_shadow(b, i);
    }
}

void exitbrain_gone(struct exitbrain *b, uint32_t symbol) {
    for (uint32_t i = 0; i < EXITBRAIN_SHADOWS; i++) {
        if (b->owners[i] != symbol + 1) continue;
        struct exit_shadow *s = &b->shadows[i];
        for (uint32_t p = 0; p < PROFILE_COUNT; p++)
            if (!s->legs[p].is_over) leave_all(&s->legs[p], s->last);
        end_shadow(b, i);
    }
}

/* ---- the choice ---- */

/* Half width of the sequence for the mean of n observations of variance v. RHO is such that it is narrowest at about 200. */
static double half_width(double n, double v) {
    const double rho2 = 0.04, alpha = EXITBRAIN_ALPHA / (PROFILE_COUNT - 1);
    double a = n * rho2 + 1;
    return sqrt(v * 2 * a / (n * n * rho2) * num_log(sqrt(a) / alpha));
}

bool exitbrain_look(struct exit_choice *out, const struct exitbrain *b, uint32_t group,
                    enum exit_profile profile) {
    ASSERT(group <= EXITBRAIN_GROUPS);
    ASSERT(profile < PROFILE_COUNT);
    const struct exit_tally *t = &b->tallies[group];
    *out = (struct exit_choice){
        .profile = profile, .group = group, .count = t->count, .own_mean = t->own_mean};
    if (t->count < 2) return false;
    double n = (double)t->count, half = half_width(n, t->square[profile] / (n - 1));
    out->mean = t->mean[profile];
    out->low = out->mean - half;
    out->high = out->mean + half;
    return true;
}

void exitbrain_choose(struct exit_choice *out, const struct exitbrain *b, uint32_t group) {
    ASSERT(group < EXITBRAIN_GROUPS);
    uint32_t of = b->tallies[group].count >= EXITBRAIN_ENTRIES_MIN ? group : EXITBRAIN_GROUPS;
    struct exit_choice one;
    exitbrain_look(out, b, of, PROFILE_OWN);
    if (b->tallies[of].count < EXITBRAIN_ENTRIES_MIN) return;
    for (uint32_t p = PROFILE_OWN + 1; p < PROFILE_COUNT; p++)
        if (exitbrain_look(&one, b, of, (enum exit_profile)p) && one.low > 0 && one.low > out->low)
            *out = one;
}

bool exitbrain_second(struct exit_choice *out, const struct exitbrain *b,
                      const struct exit_choice *chosen) {
    struct exit_choice one;
    bool any = false;
    *out = (struct exit_choice){.group = chosen->group};
    for (uint32_t p = 0; p < PROFILE_COUNT; p++) {
        if (p == chosen->profile || !exitbrain_look(&one, b, chosen->group, (enum exit_profile)p))
            continue;
        if (!any || one.low > out->low) *out = one;
        any = true;
    }
    return any;
}
