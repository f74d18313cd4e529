#include <math.h>

#include "base/assert.h"
#include "brain/portfolio/portfolio.h"
#include "num/elementary.h"

/* A bar's volatility below this is a price that does not move, not a small one. */
static const double SIGMA_MIN = 1e-9;

void portfolio_series_init(struct portfolio_series *s) {
    s->bar = -1;
    s->last_close = 0;
    for (uint32_t k = 0; k < PORTFOLIO_BARS; k++) s->returns[k] = NAN;
}

bool portfolio_observe(struct portfolio_series *s, int64_t bar, px_t close) {
    if (bar < 0 || bar <= s->bar || close.e8 <= 0) return false;
    double px = px_to_f64(close);
    int64_t holes = s->bar < 0 ? 0 : bar - s->bar - 1;
    bool known = s->bar >= 0 && holes == 0;
    if (holes > PORTFOLIO_BARS) holes = PORTFOLIO_BARS;
    for (int64_t k = 1; k <= holes; k++) s->returns[(bar - k) % PORTFOLIO_BARS] = NAN;
    s->returns[bar % PORTFOLIO_BARS] = known ? (float)(px / s->last_close - 1) : NAN;
    s->last_close = px;
    s->bar = bar;
    return true;
}

/* Return of the bar `age` bars before `bar`; NaN if the series has not come that far or is gone. */
static double return_at(const struct portfolio_series *s, int64_t bar, uint32_t age) {
    int64_t n = bar - age;
    if (n < 0 || n > s->bar || n <= s->bar - PORTFOLIO_BARS) return NAN;
    return s->returns[n % PORTFOLIO_BARS];
}

static void weights(double *w, const struct portfolio_config *c) {
    double step = c->half_life_bars > 0 ? num_exp(-0.69314718055994531 / c->half_life_bars) : 1;
    w[0] = 1;
    for (uint32_t k = 1; k < PORTFOLIO_BARS; k++) w[k] = w[k - 1] * step;
}

/* Centres and scales the returns in z. Returns sigma, NaN if unknown; whole: no return is missing.
 * The divisor makes the variance unbiased: n - 1 if all weights are 1. */
static double centre(double *z, bool *whole, const double *w, uint32_t bars_min) {
    double sum = 0, sum_w = 0, sum_w2 = 0, squares = 0;
    uint32_t n = 0;
    for (uint32_t k = 0; k < PORTFOLIO_BARS; k++) {
        if (isnan(z[k])) continue;
        sum += w[k] * z[k];
        sum_w += w[k];
        sum_w2 += w[k] * w[k];
        n++;
    }
    *whole = n == PORTFOLIO_BARS;
    if (n < 2 || n < bars_min) return NAN;
    double mean = sum / sum_w;
    for (uint32_t k = 0; k < PORTFOLIO_BARS; k++) {
        if (isnan(z[k])) continue;
        z[k] -= mean;
        squares += w[k] * z[k] * z[k];
    }
    double sigma = sqrt(squares / (sum_w - sum_w2 / sum_w));
    if (!(sigma > SIGMA_MIN)) return NAN;
    double length = sqrt(squares);
    for (uint32_t k = 0; k < PORTFOLIO_BARS; k++) z[k] *= sqrt(w[k]) / length;
    return sigma;
}

static double clamp_rho(double rho) {
    return rho > 1 ? 1 : rho < -1 ? -1 : rho;
}

static double dot(const double *x, const double *y) {
    double sum[4] = {0, 0, 0, 0}; /* four sums in a fixed order, so that they need not wait */
    for (uint32_t k = 0; k < PORTFOLIO_BARS; k += 4)
        for (uint32_t j = 0; j < 4; j++) sum[j] += x[k + j] * y[k + j];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Over the bars that both have. z of each is its returns less a constant, times a constant and the
 * root of the bar's weight: dividing by that root leaves what a correlation does not see. */
static double rho_common(const double *x, const double *y, const double *w, uint32_t bars_min) {
    double sum_w = 0, mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
    uint32_t n = 0;
    for (uint32_t k = 0; k < PORTFOLIO_BARS; k++) {
        if (isnan(x[k] + y[k])) continue;
        double root = sqrt(w[k]);
        sum_w += w[k];
        mean_x += root * x[k];
        mean_y += root * y[k];
        n++;
    }
    if (n < 2 || n < bars_min) return NAN;
    mean_x /= sum_w;
    mean_y /= sum_w;
    for (uint32_t k = 0; k < PORTFOLIO_BARS; k++) {
        if (isnan(x[k] + y[k])) continue;
        double root = sqrt(w[k]), dx = x[k] - root * mean_x, dy = y[k] - root * mean_y;
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    /* As a share of the whole series' length of 1: a part in which one stood still says nothing. */
    if (!(xx > 1e-15) || !(yy > 1e-15)) return NAN;
    return clamp_rho(xy / sqrt(xx * yy));
}

/* Union-find whose root is the least place, so the result does not depend on the order of
 * joining. */
static uint32_t root_of(uint32_t *parent, uint32_t place) {
    while (parent[place] != place) {
        parent[place] = parent[parent[place]];
        place = parent[place];
    }
    return place;
}

static void join(uint32_t *parent, uint32_t i, uint32_t j) {
    uint32_t a = root_of(parent, i), b = root_of(parent, j);
    parent[a < b ? b : a] = a < b ? a : b;
}

static void find_clusters(struct portfolio_matrix *m, double cluster_at) {
    for (uint32_t i = 0; i < m->count; i++) m->cluster[i] = i;
    for (uint32_t i = 0; i < m->count; i++)
        for (uint32_t j = 0; j < i; j++) {
            bool i_known = !isnan(m->sigma[i]), j_known = !isnan(m->sigma[j]);
            /* Those without a history are one cluster of their own; two with one each but too
             * little in common are taken for alike. */
            bool alike = i_known != j_known ? false : !(fabs(m->rho[i][j]) < cluster_at);
            if (alike) join(m->cluster, i, j);
        }
    for (uint32_t i = 0; i < m->count; i++) m->cluster[i] = root_of(m->cluster, i);
}

void portfolio_correlate(struct portfolio_matrix *out, double (*z)[PORTFOLIO_BARS],
                         const struct portfolio_config *config,
                         const struct portfolio_series *series, const uint32_t *instruments,
                         uint32_t count, int64_t bar) {
    ASSERT(count <= PORTFOLIO_SET_MAX);
    double w[PORTFOLIO_BARS];
    bool whole[PORTFOLIO_SET_MAX];
    weights(w, config);
    out->count = count;
    for (uint32_t i = 0; i < count; i++) {
        out->instrument[i] = instruments[i];
        for (uint32_t k = 0; k < PORTFOLIO_BARS; k++)
            z[i][k] = return_at(&series[instruments[i]], bar, k);
        out->sigma[i] = centre(z[i], &whole[i], w, config->bars_min);
    }
    for (uint32_t i = 0; i < count; i++) {
        out->rho[i][i] = isnan(out->sigma[i]) ? NAN : 1;
        for (uint32_t j = 0; j < i; j++) {
            double rho = NAN;
            if (!isnan(out->sigma[i]) && !isnan(out->sigma[j]))
                rho = whole[i] && whole[j] ? clamp_rho(dot(z[i], z[j]))
                                           : rho_common(z[i], z[j], w, config->bars_min);
            out->rho[i][j] = out->rho[j][i] = rho;
        }
    }
    find_clusters(out, config->cluster_at);
}
