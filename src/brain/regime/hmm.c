#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/rng.h"
#include "brain/regime/regime.h"
#include "num/elementary.h"
#include "num/exp_n.h"

enum { STATES = REGIME_STATES_MAX, DIMS = REGIME_DIMS, KNOWN_PER_STATE_MIN = 50 };
static const double log_2pi = 1.8378770664093453;
/* Share of the whole sample's deviation below which no state's may fall. */
static const double sd_floor_share = 0.01;
/* Every state can be reached from every other: bounds the backward recursion by 1 / move_min, and
 * no bar is impossible. A change a million bars is beyond what can be measured. */
static const double move_min = 1e-6;
/* A state left alone is as likely to stay as a day of hours. */
static const double stay_at_first = 0.95;

struct regime_fit_options regime_fit_options_defaults(void) {
    return (struct regime_fit_options){
        .iterations_max = 200, .restarts = 5, .tolerance = 1e-6, .stay_least = 0.90, .seed = 1};
}

size_t regime_hmm_work_count(size_t count) {
    return count * (2 * STATES + 1);
}

static double log_normal(double x, double mean, double sd, double log_sd) {
    double z = (x - mean) / sd;
    return -0.5 * (z * z + log_2pi) - log_sd;
}

/* The logarithms a bar's densities take, once a model. */
struct prepared {
    double log_sd[STATES][DIMS];
};

static void prepare(struct prepared *out, const struct regime_hmm *m) {
    for (uint32_t j = 0; j < m->states; j++)
        for (uint32_t d = 0; d < DIMS; d++) out->log_sd[j][d] = num_log(m->sd[j][d]);
}

/* out (STATES): densities of the bar in each state / the greatest of them, whose log is
 * returned. */
static double emission(double *out, const struct regime_hmm *m, const struct prepared *logs,
                       const struct regime_bar *bar) {
    double largest = -INFINITY;
    for (uint32_t j = 0; j < STATES; j++) {
        out[j] = 0;
        for (uint32_t d = 0; d < DIMS && j < m->states; d++)
            if (!isnan(bar->x[d]))
                out[j] += log_normal(bar->x[d], m->mean[j][d], m->sd[j][d], logs->log_sd[j][d]);
        if (j < m->states && out[j] > largest) largest = out[j];
    }
    for (uint32_t j = 0; j < STATES; j++) out[j] -= largest;
    num_exp_n(out, out, STATES);
    return largest;
}

/* One step of the chain, then the bar's evidence: out (states) normalised. Returns the log of
 * what it was divided by, at least move_min: some state has density 1 and every state can be
 * reached. from NULL: the first bar. */
static double forward(double *out, double *scale, const struct regime_hmm *m, const double *from,
                      const double *density) {
    double sum = 0;
    for (uint32_t j = 0; j < m->states; j++) {
        double p = from ? 0 : m->start[j];
        for (uint32_t i = 0; from && i < m->states; i++) p += from[i] * m->move[i][j];
        out[j] = p * density[j];
        sum += out[j];
    }
    ASSERT(sum > 0);
    for (uint32_t j = 0; j < m->states; j++) out[j] /= sum;
    *scale = sum;
    return num_log(sum);
}

/* ---- Baum-Welch ---- */

/* Sums of one E-step; x is taken about `centre` so that squares do not cancel. */
struct sums {
    double start[STATES], move[STATES][STATES];
    double weight[STATES][DIMS], x[STATES][DIMS], square[STATES][DIMS];
    double log_likelihood;
};

struct sample {
    const struct regime_bar *bars;
    const size_t *lengths;
    size_t series_count, count;
    uint64_t known; /* bars with every dimension */
    double centre[DIMS], sd[DIMS];
};

static bool is_known(const struct regime_bar *b) {
    return !isnan(b->x[0]) && !isnan(b->x[1]);
}

static bool sample_measure(struct sample *s) {
    uint64_t n[DIMS] = {0};
    double sum[DIMS] = {0}, square[DIMS] = {0};
    for (size_t t = 0; t < s->count; t++) {
        s->known += is_known(&s->bars[t]);
        for (uint32_t d = 0; d < DIMS; d++)
            if (!isnan(s->bars[t].x[d])) sum[d] += s->bars[t].x[d], n[d]++;
    }
    for (uint32_t d = 0; d < DIMS; d++) {
        if (n[d] == 0) return false;
        s->centre[d] = sum[d] / (double)n[d];
    }
    for (size_t t = 0; t < s->count; t++)
        for (uint32_t d = 0; d < DIMS; d++) {
            double e = s->bars[t].x[d] - s->centre[d];
            if (!isnan(e)) square[d] += e * e;
        }
    for (uint32_t d = 0; d < DIMS; d++) {
        s->sd[d] = sqrt(square[d] / (double)n[d]);
        if (!(s->sd[d] > 0) || !isfinite(s->sd[d])) return false;
    }
    return true;
}

static void add_bar(struct sums *out, const struct sample *s, const struct regime_bar *bar,
                    const double *gamma, uint32_t states) {
    for (uint32_t d = 0; d < DIMS; d++) {
        double e = bar->x[d] - s->centre[d];
        if (isnan(e)) continue;
        for (uint32_t j = 0; j < states; j++) {
            out->weight[j][d] += gamma[j];
            out->x[j][d] += gamma[j] * e;
            out->square[j][d] += gamma[j] * e * e;
        }
    }
}

/* One series. work: alpha (n, STATES), density (n, STATES), scale (n). */
static void expect_series(struct sums *out, const struct regime_hmm *m, const struct prepared *logs,
                          const struct sample *s, const struct regime_bar *bars, size_t n,
                          double *work) {
    double *alpha = work, *density = work + n * STATES, *scale = work + 2 * n * STATES;
    uint32_t k = m->states;
    for (size_t t = 0; t < n; t++) {
        double *b = density + t * STATES;
        out->log_likelihood += emission(b, m, logs, &bars[t]);
        out->log_likelihood +=
            forward(alpha + t * STATES, &scale[t], m, t ? alpha + (t - 1) * STATES : NULL, b);
    }
    double beta[STATES] = {1, 1, 1, 1}, ahead[STATES];
    for (size_t t = n; t-- > 0;) {
        const double *a = alpha + t * STATES;
        double gamma[STATES], sum = 0;
        for (uint32_t i = 0; i < k; i++) sum += gamma[i] = a[i] * beta[i];
        for (uint32_t i = 0; i < k; i++) gamma[i] /= sum;
        add_bar(out, s, &bars[t], gamma, k);
        if (t == 0) {
            for (uint32_t i = 0; i < k; i++) out->start[i] += gamma[i];
            return;
        }
        const double *before = alpha + (t - 1) * STATES, *b = density + t * STATES;
        for (uint32_t j = 0; j < k; j++) ahead[j] = b[j] * beta[j] / scale[t];
        for (uint32_t i = 0; i < k; i++) {
            beta[i] = 0;
            for (uint32_t j = 0; j < k; j++) {
                double through = m->move[i][j] * ahead[j];
                out->move[i][j] += before[i] * through;
                beta[i] += through;
            }
        }
    }
}

static void expect(struct sums *out, const struct regime_hmm *m, const struct sample *s,
                   double *work) {
    struct prepared logs;
    memset(out, 0, sizeof *out);
    prepare(&logs, m);
    size_t from = 0;
    for (size_t i = 0; i < s->series_count; i++) {
        if (s->lengths[i] > 0) expect_series(out, m, &logs, s, s->bars + from, s->lengths[i], work);
        from += s->lengths[i];
    }
}

/* A row nothing was added to stays as it was: the state was never visited. */
static void divide_row(double *row, const double *sums, uint32_t states) {
    double total = 0;
    for (uint32_t j = 0; j < states; j++) total += sums[j];
    if (!(total > 0)) return;
    double floored = 0;
    for (uint32_t j = 0; j < states; j++)
        floored += row[j] = sums[j] / total > move_min ? sums[j] / total : move_min;
    for (uint32_t j = 0; j < states; j++) row[j] /= floored;
}

/* The likeliest row whose entry j is at least `least`: the bound itself, the others in
 * proportion. */
static void stay_longer(double *row, uint32_t j, uint32_t states, double least) {
    if (row[j] >= least) return;
    double others = (1 - least) / (1 - row[j]);
    for (uint32_t i = 0; i < states; i++) row[i] *= others;
    row[j] = least;
}

static void maximise(struct regime_hmm *m, const struct sums *sums, const struct sample *s,
                     double stay_least) {
    uint32_t k = m->states;
    divide_row(m->start, sums->start, k);
    for (uint32_t i = 0; i < k; i++) {
        divide_row(m->move[i], sums->move[i], k);
        stay_longer(m->move[i], i, k, stay_least);
        for (uint32_t d = 0; d < DIMS; d++) {
            double w = sums->weight[i][d];
            if (!(w > 0)) continue;
            double mean = sums->x[i][d] / w, variance = sums->square[i][d] / w - mean * mean;
            double floor = sd_floor_share * s->sd[d];
            m->mean[i][d] = s->centre[d] + mean;
            m->sd[i][d] = variance > floor * floor ? sqrt(variance) : floor;
        }
    }
}

/* Where a climb of two states begins: apart in log range, in returns, in both, or on two bars. */
static void begin_two(struct regime_hmm *m, const struct sample *s, uint32_t restart,
                      struct rng *rng) {
    memset(m, 0, sizeof *m);
    m->states = 2;
    for (uint32_t j = 0; j < 2; j++) {
        double apart = j == 0 ? -0.7 : 0.7;
        const struct regime_bar *bar = &s->bars[rng_below(rng, s->count)];
        m->start[j] = 0.5;
        m->move[j][j] = stay_at_first;
        m->move[j][1 - j] = 1 - stay_at_first;
        for (uint32_t d = 0; d < DIMS; d++) {
            bool along = restart == 2 || (restart == 0 && d == 1) || (restart == 1 && d == 0);
            m->mean[j][d] = s->centre[d] + (along ? apart * s->sd[d] : 0);
            if (restart >= 3 && is_known(bar)) m->mean[j][d] = bar->x[d];
            m->sd[j][d] = s->sd[d];
        }
    }
}

/* One more state than m has: its state j in two halves, apart along dimension d. In units of the
 * state's own deviation, so that a small difference within a calm state is found beside a wild
 * one. */
static void split(struct regime_hmm *m, uint32_t j, uint32_t d) {
    uint32_t added = m->states++;
    m->start[added] = m->start[j] *= 0.5;
    for (uint32_t i = 0; i < added; i++) m->move[i][added] = m->move[i][j] *= 0.5;
    memcpy(m->move[added], m->move[j], sizeof m->move[j]);
    double both = m->move[j][j] + m->move[j][added]; /* each half keeps to itself, as states do */
    m->move[j][j] = m->move[added][added] = stay_at_first * both;
    m->move[j][added] = m->move[added][j] = (1 - stay_at_first) * both;
    memcpy(m->mean[added], m->mean[j], sizeof m->mean[j]);
    memcpy(m->sd[added], m->sd[j], sizeof m->sd[j]);
    m->mean[j][d] -= 0.7 * m->sd[j][d];
    m->mean[added][d] += 0.7 * m->sd[j][d];
}

static void climb(struct regime_hmm *m, const struct sample *s,
                  const struct regime_fit_options *options, double *work) {
    struct sums sums;
    double before = -INFINITY;
    m->converged = 0;
    m->iterations = 0;
    for (;;) {
        expect(&sums, m, s, work);
        m->log_likelihood = sums.log_likelihood;
        double gain = sums.log_likelihood - before;
        if (gain < options->tolerance * fabs(sums.log_likelihood)) {
            m->converged = 1;
            return;
        }
        if (m->iterations == options->iterations_max) return;
        before = sums.log_likelihood;
        maximise(m, &sums, s, options->stay_least);
        m->iterations++;
    }
}

static void swap(double *a, double *b) {
    double t = *a;
    *a = *b;
    *b = t;
}

static void swap_states(struct regime_hmm *m, uint32_t a, uint32_t b) {
    swap(&m->start[a], &m->start[b]);
    for (uint32_t i = 0; i < m->states; i++) swap(&m->move[i][a], &m->move[i][b]);
    for (uint32_t i = 0; i < m->states; i++) swap(&m->move[a][i], &m->move[b][i]);
    for (uint32_t d = 0; d < DIMS; d++) {
        swap(&m->mean[a][d], &m->mean[b][d]);
        swap(&m->sd[a][d], &m->sd[b][d]);
    }
}

static void order_states(struct regime_hmm *m) {
    for (uint32_t i = 0; i < m->states; i++)
        for (uint32_t j = i + 1; j < m->states; j++)
            if (m->mean[j][1] < m->mean[i][1]) swap_states(m, i, j);
}

bool regime_hmm_fit(struct regime_hmm *out, const struct regime_bar *bars, const size_t *lengths,
                    size_t series_count, uint32_t states, const struct regime_fit_options *options,
                    double *work) {
    ASSERT(states >= REGIME_STATES_MIN && states <= REGIME_STATES_MAX && options->restarts > 0);
    ASSERT(options->stay_least >= 0 && options->stay_least < 1);
    memset(out, 0, sizeof *out);
    struct sample s = {.bars = bars, .lengths = lengths, .series_count = series_count};
    for (size_t i = 0; i < series_count; i++) s.count += lengths[i];
    if (!sample_measure(&s) || s.known < (uint64_t)states * KNOWN_PER_STATE_MIN) return false;

    struct rng rng = rng_init(options->seed);
    for (uint32_t r = 0; r < options->restarts; r++) {
        struct regime_hmm m;
        begin_two(&m, &s, r, &rng);
        climb(&m, &s, options, work);
        if (r == 0 || m.log_likelihood > out->log_likelihood) *out = m;
    }
    for (uint32_t k = 3; k <= states; k++) {
        struct regime_hmm fewer = *out;
        for (uint32_t i = 0; i < fewer.states * DIMS; i++) {
            struct regime_hmm m = fewer;
            split(&m, i / DIMS, i % DIMS);
            climb(&m, &s, options, work);
            if (i == 0 || m.log_likelihood > out->log_likelihood) *out = m;
        }
    }
    out->samples = s.known;
    out->parameters = states * (states - 1) + (states - 1) + 2 * DIMS * states;
    out->bic = out->parameters * num_log((double)s.known) - 2 * out->log_likelihood;
    order_states(out);
    return true;
}

bool regime_hmm_select(struct regime_hmm *out, double *bic, const struct regime_bar *bars,
                       const size_t *lengths, size_t series_count,
                       const struct regime_fit_options *options, double *work) {
    memset(out, 0, sizeof *out);
    for (uint32_t k = 0; bic && k <= REGIME_STATES_MAX; k++) bic[k] = NAN;
    for (uint32_t k = REGIME_STATES_MIN; k <= REGIME_STATES_MAX; k++) {
        struct regime_hmm m;
        if (!regime_hmm_fit(&m, bars, lengths, series_count, k, options, work)) continue;
        if (bic) bic[k] = m.bic;
        if (out->states == 0 || m.bic < out->bic) *out = m;
    }
    return out->states > 0;
}

/* ---- Online ---- */

void regime_filter_init(struct regime_filter *filter) {
    memset(filter, 0, sizeof *filter);
}

double regime_filter_step(struct regime_filter *filter, const struct regime_hmm *model,
                          const struct regime_bar *bar) {
    double density[STATES], next[STATES] = {0}, scale;
    struct prepared logs;
    prepare(&logs, model);
    double log_density = emission(density, model, &logs, bar);
    log_density += forward(next, &scale, model, filter->bars > 0 ? filter->p : NULL, density);
    memcpy(filter->p, next, sizeof next);
    filter->bars++;
    return log_density;
}

double regime_filter_forecast(const struct regime_filter *filter, const struct regime_hmm *model,
                              uint32_t dim, double x) {
    ASSERT(filter->bars > 0 && dim < DIMS);
    double terms[STATES], largest = -INFINITY, sum = 0;
    for (uint32_t j = 0; j < model->states; j++) {
        double p = 0, sd = model->sd[j][dim];
        for (uint32_t i = 0; i < model->states; i++) p += filter->p[i] * model->move[i][j];
        terms[j] = num_log(p) + log_normal(x, model->mean[j][dim], sd, num_log(sd));
        if (terms[j] > largest) largest = terms[j];
    }
    for (uint32_t j = 0; j < model->states; j++) terms[j] -= largest;
    num_exp_n(terms, terms, model->states);
    for (uint32_t j = 0; j < model->states; j++) sum += terms[j];
    return largest + num_log(sum);
}

uint32_t regime_filter_best(const struct regime_filter *filter, const struct regime_hmm *model) {
    uint32_t best = 0;
    for (uint32_t j = 1; j < model->states; j++)
        if (filter->p[j] > filter->p[best]) best = j;
    return best;
}

enum regime regime_hmm_label(const struct regime_hmm *m, uint32_t state,
                             const struct regime_config *config) {
    ASSERT(state < m->states);
    /* Mean of a log-normal range; drift in the unit of regime_trend_strength. */
    double range = num_exp(m->mean[state][1] + 0.5 * m->sd[state][1] * m->sd[state][1]);
    double strength = 4 * m->mean[state][0] / range;
    if (range >= config->atr_extreme) return REGIME_HIGH_VOLATILITY;
    if (fabs(strength) >= config->strength_trend)
        return strength > 0 ? REGIME_TREND_UP : REGIME_TREND_DOWN;
    return range >= config->atr_range_high ? REGIME_RANGE_HIGH_VOL : REGIME_RANGE_LOW_VOL;
}

static bool are_chances(const double *p, uint32_t count) {
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!(p[i] >= 0.5 * move_min)) return false; /* half: what renormalising may take away */
        sum += p[i];
    }
    return fabs(sum - 1) < 1e-9;
}

bool regime_hmm_check(const struct regime_hmm *m) {
    if (m->states < REGIME_STATES_MIN || m->states > REGIME_STATES_MAX) return false;
    if (!are_chances(m->start, m->states)) return false;
    for (uint32_t i = 0; i < m->states; i++) {
        if (!are_chances(m->move[i], m->states)) return false;
        for (uint32_t d = 0; d < DIMS; d++)
            if (!isfinite(m->mean[i][d]) || !(m->sd[i][d] > 0) || !isfinite(m->sd[i][d]))
                return false;
    }
    return true;
}
