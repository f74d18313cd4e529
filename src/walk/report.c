#include "walk/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/tstamp.h"

enum { PART_DAYS_MIN = 4 }; /* of the overfitting's parts: fewer parts in a short window */
static const double days_a_year = 365; /* the market never closes */

/* ---- answers ---- */

static void count_states(struct walk_report *r, const struct walk_decisions *d) {
    for (size_t c = 0; c < d->close_count; c++)
        for (uint32_t i = 0; i < d->closes[c].count; i++) {
            const struct walk_decision *w = &d->closes[c].decisions[i];
            for (uint32_t k = 0; k < MODEL_COUNT; k++)
                if (w->counted[k] < WALK_STATES) r->subjects[k].states[w->counted[k]]++;
        }
}

/* First of the month that a moment is in. */
static int64_t month_of(int64_t ns) {
    time_t at = (time_t)(ns / NS_PER_SECOND);
    struct tm tm;
    gmtime_r(&at, &tm);
    tm.tm_mday = 1;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    return (int64_t)timegm(&tm) * NS_PER_SECOND;
}

/* Closes [*first, *end) of a month; false behind the last one. A close at midnight ends the month before. */
static bool month_span(size_t *first, size_t *end, int64_t *month, const struct walk_decisions *d) {
    *first = *end;
    if (*first == d->close_count) return false;
    *month = month_of(d->closes[*first].close_ns - 1);
    while (*end < d->close_count && month_of(d->closes[*end].close_ns - 1) == *month) (*end)++;
    return true;
}

static enum status measure_months(struct walk_report *r, const struct walk_decisions *d,
                                  const struct walk_sample *s, size_t n, enum walk_subject subject,
                                  struct err *err) {
    size_t first, end = 0, at = 0;
    int64_t month;
    for (uint32_t m = 0; m < WALK_MONTHS_MAX && month_span(&first, &end, &month, d); m++) {
        size_t begin = at;
        struct walk_measures got;
        while (at < n && s[at].close < end) at++;
        enum status st = walk_measure(&got, s + begin, at - begin, r->horizon, err);
        if (st != ST_OK) return st;
        r->months[m].from_ns = month;
        r->months[m].of[subject].rows = got.rows;
        r->months[m].of[subject].ic = got.ic.value;
        r->months[m].of[subject].auc_side = got.auc_side;
        r->months[m].of[subject].gain = got.gain.value;
        if (m + 1 > r->month_count) r->month_count = m + 1;
    }
    return ST_OK;
}

static enum status measure_subjects(struct walk_report *r, const struct walk_decisions *d,
                                    const struct walk_outcome *outcomes, struct err *err) {
    struct walk_sample *s = calloc(d->count ? d->count : 1, sizeof *s);
    enum status st = s ? ST_OK : err_set(err, ST_NO_MEMORY, "%zu decisions: no memory", d->count);
    for (int k = 0; k < WALK_SUBJECT_COUNT && st == ST_OK; k++) {
        enum walk_subject subject = (enum walk_subject)k;
        struct walk_subject_report *out = &r->subjects[k];
        size_t n = walk_samples(s, d, outcomes, subject, false);
        st = walk_measure(&out->all, s, n, r->horizon, err);
        if (st == ST_OK) st = measure_months(r, d, s, n, subject, err);
        n = k != WALK_POOL_ALL ? walk_samples(s, d, outcomes, subject, true) : 0;
        if (st == ST_OK) st = walk_measure(&out->voted, s, n, r->horizon, err);
    }
    free(s);
    return st;
}

/* Coverage and weights by month. */
static void measure_ensemble(struct walk_report *r, const struct walk_decisions *d,
                             const struct walk_outcome *outcomes) {
    size_t first, end = 0;
    int64_t month;
    r->coverage = walk_coverage_of(d, outcomes, 0, d->close_count);
    for (uint32_t m = 0; m < WALK_MONTHS_MAX && month_span(&first, &end, &month, d); m++) {
        uint64_t voted = 0;
        r->months[m].coverage = walk_coverage_of(d, outcomes, first, end - first);
        for (size_t c = first; c < end; c++)
            for (uint32_t i = 0; i < d->closes[c].count; i++) {
                const struct walk_decision *w = &d->closes[c].decisions[i];
                voted += w->voters > 0;
                for (uint32_t k = 0; k < MODEL_COUNT && w->voters > 0; k++)
                    r->months[m].weights[k] += (double)w->weights[k];
            }
        for (uint32_t k = 0; k < MODEL_COUNT; k++)
            r->months[m].weights[k] = voted ? r->months[m].weights[k] / (double)voted : (double)NAN;
    }
}

/* Closes of bars behind the first decisions at which nothing was logged: nobody could be asked, or the log is not whole. */
static void count_missing(struct walk_report *r, const struct walk_decisions *d,
                          const struct learn_series *series) {
    size_t closes = (size_t)((r->to_ns - r->from_ns) / r->interval_ns);
    uint8_t *ended = calloc(closes + 1, 1);
    if (!ended) return; /* a count less, no figure depends on it */
    for (uint32_t i = 0; i < d->symbol_count; i++)
        for (size_t b = 0; b < series[i].count; b++) {
            int64_t close = series[i].bars[b].open_ts_ns + r->interval_ns;
            if (d->close_count && close > d->closes[0].close_ns && close <= r->to_ns)
                ended[(close - r->from_ns) / r->interval_ns] = 1;
        }
    for (size_t c = 0; c < d->close_count; c++) {
        int64_t at = (d->closes[c].close_ns - r->from_ns) / r->interval_ns;
        if (at >= 0 && at <= (int64_t)closes) ended[at] = 0;
    }
    for (size_t i = 0; i <= closes; i++) r->closes_missing += ended[i];
    free(ended);
}

/* ---- variants ---- */

static double grown(const struct walk_days *days, bool compounds) {
    double equity = 1;
    for (size_t i = 0; i < days->count; i++)
        equity = compounds ? equity * (1 + days->returns[i]) : equity + days->returns[i];
    return equity - 1;
}

static enum status variant_figures(struct walk_variant *v, bool compounds, uint32_t draws,
                                   uint64_t seed, struct err *err) {
    double *curve = calloc(v->days.count + 1, sizeof *curve);
    if (!curve) return err_set(err, ST_NO_MEMORY, "%zu days: no memory", v->days.count);
    curve[0] = 1;
    for (size_t i = 0; i < v->days.count; i++)
        curve[i + 1] =
            compounds ? curve[i] * (1 + v->days.returns[i]) : curve[i] + v->days.returns[i];
    v->total_return = grown(&v->days, compounds);
    v->max_drawdown = stat_drawdown(curve, v->days.count + 1);
    v->sharpe = stat_sharpe(v->days.returns, v->days.count, days_a_year);
    free(curve);
    return walk_bootstrap_sharpe(&v->blocks, v->days.returns, v->days.count, days_a_year, 0, draws,
                                 seed, err);
}

static struct walk_variant *variant_new(struct walk_report *r, const char *name, const char *what) {
    ASSERT(r->variant_count < WALK_VARIANTS_MAX);
    struct walk_variant *v = &r->variants[r->variant_count++];
    snprintf(v->name, sizeof v->name, "%s", name);
    snprintf(v->what, sizeof v->what, "%s", what);
    v->win_rate = v->win_low = v->win_high = v->exposure = NAN;
    return v;
}

/* A run of the session: from its own journal of trades, drawdown and Sharpe of all its points. */
static enum status add_run(struct walk_report *r, struct walk_run *run, const char *name,
                           const char *what, uint32_t draws, struct err *err) {
    struct walk_variant *v = variant_new(r, name, what);
    v->days = run->days;
    memset(&run->days, 0, sizeof run->days);
    enum status st = variant_figures(v, true, draws, r->seed, err);
    v->trades = run->report.trades;
    v->win_rate = run->report.win_rate;
    v->win_low = run->report.win_rate_low;
    v->win_high = run->report.win_rate_high;
    v->max_drawdown = run->report.max_drawdown;
    v->exposure = run->report.exposure;
    return st;
}

static enum status add_rules(struct walk_report *r, const struct walk_inputs *in, struct err *err) {
    enum status st = ST_OK;
    for (int k = 0; k < WALK_SUBJECT_COUNT && st == ST_OK; k++) {
        if (r->subjects[k].all.rows == 0) continue;
        char name[24];
        snprintf(name, sizeof name, "rule:%s", walk_subject_text((enum walk_subject)k));
        struct walk_variant *v =
            variant_new(r, name, "its expected return under the plain costed rule, on paper");
        st = walk_days_create(&v->days, r->from_ns, r->to_ns, err);
        if (st == ST_OK)
            st = walk_rule(&v->days, &r->subjects[k].rule, in->decisions, in->series,
                           (enum walk_subject)k, in->rule, err);
        if (st == ST_OK) st = variant_figures(v, false, in->draws, r->seed, err);
        v->trades = r->subjects[k].rule.changes / 2;
        v->exposure = r->subjects[k].rule.exposure;
    }
    return st;
}

static enum status add_holder(struct walk_report *r, const struct walk_inputs *in,
                              struct err *err) {
    struct walk_variant *v =
        variant_new(r, "buy_and_hold", "equal parts in every symbol, held to the end, no funding");
    enum status st = walk_days_create(&v->days, r->from_ns, r->to_ns, err);
    if (st != ST_OK) return st;
    walk_hold(&v->days, in->series, in->decisions->symbol_count, r->from_ns, r->to_ns,
              r->interval_ns, in->rule->cost_side);
    v->trades = in->decisions->symbol_count;
    return variant_figures(v, false, in->draws, r->seed, err);
}

static enum status add_baselines(struct walk_report *r, const struct walk_inputs *in,
                                 struct err *err) {
    enum status st = ST_OK;
    for (uint32_t i = 0; i < in->baseline_count && st == ST_OK; i++) {
        struct walk_run run;
        st = walk_run_read(&run, in->baselines[i].db, r->from_ns, r->to_ns, err);
        if (st != ST_OK) break;
        st = add_run(r, &run, in->baselines[i].name, in->baselines[i].what, in->draws, err);
        walk_run_free(&run);
    }
    return st;
}

/* ---- how much of it is chance ---- */

static enum status count_trials(struct walk_report *r, const struct walk_inputs *in,
                                struct err *err) {
    struct walk_trial *t = calloc(in->trial_count + WALK_VARIANTS_MAX, sizeof *t);
    if (!t) return err_set(err, ST_NO_MEMORY, "trials: out of memory");
    size_t n = in->trial_count;
    if (n) memcpy(t, in->trials, n * sizeof *t);
    for (uint32_t i = 0; i < r->variant_count; i++) {
        const struct walk_variant *v = &r->variants[i];
        struct walk_moments m = walk_moments_of(v->days.returns, v->days.count);
        t[n++] = (struct walk_trial){
            i == 0 ? WALK_TRIAL_RUN : WALK_TRIAL_RULE,
            i == 0 ? in->run_id : hash64_seed(v->name, strlen(v->name), in->run_id), m.sharpe, m.n};
    }
    enum status st = walk_trials_add(&r->trials, in->trials_path, t, n, err);
    free(t);
    if (st != ST_OK) return st;
    r->moments = walk_moments_of(r->variants[0].days.returns, r->variants[0].days.count);
    for (uint32_t i = 0; i < r->variant_count; i++) {
        struct walk_variant *v = &r->variants[i];
        struct walk_moments m = walk_moments_of(v->days.returns, v->days.count);
        v->deflated = walk_sharpe_deflated(&m, r->trials.variance, r->trials.count);
    }
    r->deflated = r->variants[0].deflated;
    return ST_OK;
}

static enum status measure_choice(struct walk_report *r, struct err *err) {
    size_t days = r->variants[0].days.count, n = r->variant_count;
    double *matrix = calloc(days * n, sizeof *matrix);
    if (!matrix) return err_set(err, ST_NO_MEMORY, "%zu days: no memory", days);
    for (size_t t = 0; t < days; t++)
        for (size_t v = 0; v < n; v++) matrix[t * n + v] = r->variants[v].days.returns[t];
    uint32_t parts = WALK_PBO_PARTS;
    while (parts > 2 && days / parts < PART_DAYS_MIN) parts -= 2;
    enum status st = walk_pbo(&r->pbo, matrix, days, (uint32_t)n, parts, err);
    free(matrix);
    return st;
}

static enum status measure_run(struct walk_report *r, const struct walk_inputs *in,
                               const struct walk_run *run, struct err *err) {
    struct walk_trade *trades = calloc(run->trade_count + 1, sizeof *trades);
    struct walk_order *orders = calloc(2 * run->trade_count + 1, sizeof *orders);
    enum status st = ST_OK;
    if (trades && orders) {
        uint32_t n = in->decisions->symbol_count;
        walk_run_dice_trades(trades, run);
        walk_run_orders(orders, run, in->series, n, r->interval_ns);
        walk_capacity(&r->capacity, orders, 2 * run->trade_count,
                      money_to_f64(run->report.wallet_start));
        st = walk_dice(&r->dice, trades, run->trade_count, in->series, n, r->from_ns, r->to_ns,
                       r->interval_ns, in->draws, r->seed, err);
    } else
        st = err_set(err, ST_NO_MEMORY, "%zu trades: no memory", run->trade_count);
    free(trades);
    free(orders);
    r->turnover = walk_run_turnover(run, (double)run->days.count);
    r->run = run->report;
    return st;
}

/* ---- seats ---- */

static void count_changes(struct walk_report *r) {
    for (size_t i = 0; i < r->change_count; i++) {
        const struct walk_change *c = &r->changes[i];
        struct walk_seat *s = &r->seats[c->kind];
        s->trained += strcmp(c->event, "add") == 0;
        s->shadows += strcmp(c->event, "shadow_begin") == 0;
        s->promoted += strcmp(c->event, "promote") == 0;
        s->rejected += strcmp(c->event, "reject") == 0;
        s->no_skill += strcmp(c->event, "reject") == 0 && strstr(c->reason, "no_skill") != NULL;
        s->demoted += strcmp(c->event, "demote") == 0;
        s->rolled_back += strcmp(c->event, "roll_back") == 0;
    }
}

/* ---- all ---- */

static enum status make_answers(struct walk_report *r, const struct walk_inputs *in,
                                struct err *err) {
    const struct walk_decisions *d = in->decisions;
    struct walk_outcome *outcomes = calloc(d->count ? d->count : 1, sizeof *outcomes);
    if (!outcomes) return err_set(err, ST_NO_MEMORY, "%zu decisions: no memory", d->count);
    enum status st = walk_outcomes(outcomes, d, in->series, in->labels, err);
    for (size_t i = 0; i < d->count && st == ST_OK; i++) r->outcomes += outcomes[i].label >= 0;
    r->closes = d->close_count;
    r->decisions = d->count;
    if (st == ST_OK) st = measure_subjects(r, d, outcomes, err);
    if (st == ST_OK) {
        count_states(r, d);
        count_missing(r, d, in->series);
        measure_ensemble(r, d, outcomes);
    }
    free(outcomes);
    return st;
}

static void month_money(struct walk_report *r) {
    const struct walk_days *d = &r->variants[0].days;
    for (size_t i = 0; i < d->count; i++) {
        int64_t month = month_of(d->first_ns + (int64_t)i * NS_PER_DAY);
        for (uint32_t m = 0; m < r->month_count; m++)
            if (r->months[m].from_ns == month) r->months[m].net += d->returns[i];
    }
}

enum status walk_report_make(struct walk_report *r, const struct walk_inputs *in, struct err *err) {
    struct walk_run run;
    ASSERT(r->to_ns > r->from_ns && r->interval_ns > 0 && in->draws >= 100);
    enum status st = make_answers(r, in, err);
    if (st != ST_OK) return st;
    st = walk_run_read(&run, in->run_db, r->from_ns, r->to_ns, err);
    if (st != ST_OK) return st;
    st = measure_run(r, in, &run, err);
    if (st == ST_OK)
        st = add_run(r, &run, "run", "the engine, its entries, sizes and exits", in->draws, err);
    walk_run_free(&run);
    if (st == ST_OK) st = add_baselines(r, in, err);
    if (st == ST_OK) st = add_holder(r, in, err);
    if (st == ST_OK) st = add_rules(r, in, err);
    if (st == ST_OK) st = count_trials(r, in, err);
    if (st == ST_OK) st = measure_choice(r, err);
    if (st != ST_OK) return st;
    month_money(r);
    count_changes(r);
    return ST_OK;
}

void walk_report_free(struct walk_report *r) {
    for (uint32_t i = 0; i < r->variant_count; i++) walk_days_free(&r->variants[i].days);
    free(r->changes);
    r->changes = NULL;
    r->variant_count = 0;
}
