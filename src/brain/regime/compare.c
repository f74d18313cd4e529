/* Rules and model side by side: how far they agree, and what either knows of the next bar. */
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "brain/regime/regime.h"
#include "num/elementary.h"

enum { LAGS_MAX = 64, DIMS = REGIME_DIMS, STATES = REGIME_STATES_MAX };
/* Fewer bars after a regime than this do not make a normal of its own: the common one is used. */
static const double followers_min = 30;
/* RiskMetrics Technical Document (1996): decay of daily variance; its memory is 16 bars. */
static const double ewma_decay = 0.94;
static const double log_2pi = 1.8378770664093453;

static const char *const forecaster_texts[REGIME_FORECASTERS] = {"nothing", "rules", "hmm", "ewma"};

const char *regime_forecaster_text(enum regime_forecaster f) {
    return (uint32_t)f < REGIME_FORECASTERS ? forecaster_texts[f] : "?";
}

struct normal {
    double n, mean, square; /* square: sum of squared deviations from the mean */
};

static void normal_add(struct normal *s, double x) {
    double d = x - s->mean;
    s->n += 1;
    s->mean += d / s->n;
    s->square += d * (x - s->mean);
}

static double normal_log_density(const struct normal *s, double x) {
    double variance = s->square / s->n, d = x - s->mean;
    return -0.5 * (log_2pi + num_log(variance) + d * d / variance);
}

/* Of one forecaster's score less the rules', in order of time: sums for a Newey-West variance. */
struct difference {
    double n, sum, lagged[LAGS_MAX]; /* lagged[l]: sum of d_t d_(t-l) */
    double last[LAGS_MAX];           /* ring: last[t % LAGS_MAX] = d_t */
};

static void difference_add(struct difference *d, double x) {
    uint64_t t = (uint64_t)d->n;
    d->last[t % LAGS_MAX] = x;
    for (uint64_t l = 0; l < LAGS_MAX && l <= t; l++)
        d->lagged[l] += x * d->last[(t - l) % LAGS_MAX];
    d->sum += x;
    d->n += 1;
}

static double difference_t(const struct difference *d) {
    double n = d->n, mean = d->sum / n;
    if (n < 30) return NAN;
    uint32_t lags = (uint32_t)(4 * num_exp(2.0 / 9 * num_log(n / 100)));
    if (lags > LAGS_MAX - 1) lags = LAGS_MAX - 1;
    double variance = d->lagged[0] / n - mean * mean;
    for (uint32_t l = 1; l <= lags; l++)
        variance += 2 * (1 - (double)l / (lags + 1)) * (d->lagged[l] / n - mean * mean);
    return variance > 0 ? mean / sqrt(variance / n) : NAN;
}

struct compare {
    struct normal all[DIMS], after[REGIME_COUNT][DIMS];
    struct normal
        ewma[DIMS]; /* n: bars seen; mean and variance (in square) exponentially weighted */
    struct regime_filter filter;
    struct difference over_rules[REGIME_FORECASTERS][DIMS];
};

/* Variance of the return about zero and of the log range about its own running mean. */
static void ewma_add(struct normal *s, uint32_t dim, double x) {
    double d = x - s->mean, keep = s->n == 0 ? 0 : ewma_decay;
    if (dim == 1)
        s->mean += (1 - keep) * d;
    else
        d = x;
    s->square = keep * s->square + (1 - keep) * d * d;
    s->n += 1;
}

static bool ewma_is_ready(const struct normal *s) {
    return s->n >= 1 / (1 - ewma_decay) && s->square > 0;
}

static double ewma_log_density(const struct normal *s, double x) {
    double d = x - s->mean;
    return -0.5 * (log_2pi + num_log(s->square) + d * d / s->square);
}

static void learn_first_part(struct compare *c, const uint8_t *regimes,
                             const struct regime_bar *bars, size_t train) {
    for (size_t t = 0; t < train; t++)
        for (uint32_t d = 0; d < DIMS; d++) {
            double x = bars[t].x[d];
            if (isnan(x)) continue;
            normal_add(&c->all[d], x);
            if (t > 0) normal_add(&c->after[regimes[t - 1]][d], x);
        }
}

/* Scores bar t as it was seen from the bar before. */
static void score_bar(struct regime_comparison *out, struct compare *c,
                      const struct regime_hmm *model, uint32_t regime,
                      const struct regime_bar *bar) {
    double score[REGIME_FORECASTERS][DIMS];
    for (uint32_t d = 0; d < DIMS; d++) {
        double x = bar->x[d];
        const struct normal *own = &c->after[regime][d];
        if (isnan(x) || !ewma_is_ready(&c->ewma[d]) || !(c->all[d].square > 0)) return;
        bool enough = own->n >= followers_min && own->square > 0;
        score[REGIME_BY_NOTHING][d] = normal_log_density(&c->all[d], x);
        score[REGIME_BY_RULES][d] = normal_log_density(enough ? own : &c->all[d], x);
        score[REGIME_BY_HMM][d] = regime_filter_forecast(&c->filter, model, d, x);
        score[REGIME_BY_EWMA][d] = ewma_log_density(&c->ewma[d], x);
    }
    out->scored++;
    for (uint32_t f = 0; f < REGIME_FORECASTERS; f++)
        for (uint32_t d = 0; d < DIMS; d++) {
            out->score[f][d] += score[f][d];
            difference_add(&c->over_rules[f][d], score[f][d] - score[REGIME_BY_RULES][d]);
        }
}

static double entropy(const double *p, uint32_t count) {
    double h = 0;
    for (uint32_t i = 0; i < count; i++)
        if (p[i] > 0) h -= p[i] * num_log(p[i]);
    return h;
}

static void measure_agreement(struct regime_comparison *out, uint32_t states) {
    double rows[REGIME_COUNT] = {0}, columns[STATES] = {0}, labels[REGIME_COUNT] = {0}, joint = 0,
           same = 0, chance = 0, n = (double)out->bars;
    for (uint32_t r = 0; r < REGIME_COUNT; r++)
        for (uint32_t j = 0; j < states; j++) {
            double p = (double)out->counts[r][j] / n;
            rows[r] += p;
            columns[j] += p;
            labels[out->labels[j]] += p;
            if (out->labels[j] == r) same += p;
            joint += p > 0 ? -p * num_log(p) : 0;
        }
    for (uint32_t r = 0; r < REGIME_COUNT; r++) chance += rows[r] * labels[r];
    double h_rows = entropy(rows, REGIME_COUNT), h_states = entropy(columns, states);
    out->agreement = same;
    out->kappa = chance < 1 ? (same - chance) / (1 - chance) : NAN;
    out->mutual_information = h_rows > 0 && h_states > 0
                                  ? fmax(0, h_rows + h_states - joint) / sqrt(h_rows * h_states)
                                  : NAN;
}

void regime_compare(struct regime_comparison *out, const struct regime_hmm *model,
                    const struct regime_config *config, const uint8_t *regimes,
                    const struct regime_bar *bars, size_t count, size_t train) {
    ASSERT(train <= count && regime_hmm_check(model));
    memset(out, 0, sizeof *out);
    struct compare c;
    memset(&c, 0, sizeof c);
    for (uint32_t j = 0; j < model->states; j++)
        out->labels[j] = (uint32_t)regime_hmm_label(model, j, config);
    learn_first_part(&c, regimes, bars, train);

    for (size_t t = 0; t < count; t++) {
        ASSERT(regimes[t] < REGIME_COUNT);
        if (t >= train && t > 0) score_bar(out, &c, model, regimes[t - 1], &bars[t]);
        regime_filter_step(&c.filter, model, &bars[t]);
        for (uint32_t d = 0; d < DIMS; d++)
            if (!isnan(bars[t].x[d])) ewma_add(&c.ewma[d], d, bars[t].x[d]);
        if (t < train || regimes[t] == REGIME_UNKNOWN) continue;
        out->bars++;
        out->counts[regimes[t]][regime_filter_best(&c.filter, model)]++;
    }
    for (uint32_t f = 0; f < REGIME_FORECASTERS; f++)
        for (uint32_t d = 0; d < DIMS; d++) {
            out->score[f][d] = out->scored ? out->score[f][d] / (double)out->scored : NAN;
            out->t_over_rules[f][d] =
                f == REGIME_BY_RULES ? NAN : difference_t(&c.over_rules[f][d]);
        }
    out->agreement = out->kappa = out->mutual_information = NAN;
    if (out->bars > 0) measure_agreement(out, model->states);
}
