/* Correlations against a naive twin that keeps every close, planted pairs, clusters, what is
 * unknown.
 *
 * TEST_SEED=n repeats the random cases. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "brain/portfolio/portfolio.h"

static uint64_t seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t s = text ? strtoull(text, NULL, 10) : 360;
    print_message("TEST_SEED=%" PRIu64 "\n", s);
    return s;
}

enum { N = 12, BARS_MAX = 1200 };
static struct portfolio_series series[N];
static double (*z)[PORTFOLIO_BARS];
static struct portfolio_matrix *m, *other;
/* The twin's memory: close of every bar, NaN where there was none. */
static double closes[N][BARS_MAX];

static int setup(void **state) {
    (void)state;
    z = malloc(PORTFOLIO_SET_MAX * sizeof *z);
    m = malloc(sizeof *m);
    other = malloc(sizeof *other);
    return z && m && other ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    free(z);
    free(m);
    free(other);
    return 0;
}

static void clear(void) {
    for (uint32_t i = 0; i < N; i++) {
        portfolio_series_init(&series[i]);
        for (uint32_t t = 0; t < BARS_MAX; t++) closes[i][t] = NAN;
    }
}

static void bar(uint32_t i, int64_t t, double close) {
    px_t px = {fx_from_f64(close)};
    assert_true(portfolio_observe(&series[i], t, px));
    closes[i][t] = px_to_f64(px);
}

static void correlate(const struct portfolio_config *c, int64_t t) {
    static const uint32_t all[N] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    portfolio_correlate(m, z, c, series, all, N, t);
}

static double twin_return(uint32_t i, int64_t t) {
    return t < 1 ? NAN : closes[i][t] / closes[i][t - 1] - 1;
}

/* The textbook's sums over the last 360 bars both have. */
static double twin_rho(uint32_t i, uint32_t j, int64_t now, double half_life, double *sigma) {
    double w = 0, w2 = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (int age = 0; age < PORTFOLIO_BARS && age <= now; age++) {
        double a = twin_return(i, now - age), b = twin_return(j, now - age);
        if (isnan(a) || isnan(b)) continue;
        double weight = half_life > 0 ? pow(0.5, age / half_life) : 1;
        w += weight;
        w2 += weight * weight;
        x += weight * a;
        y += weight * b;
        xx += weight * a * a;
        yy += weight * b * b;
        xy += weight * a * b;
    }
    double vx = xx - x * x / w, vy = yy - y * y / w;
    *sigma = sqrt(vx / (w - w2 / w));
    return (xy - x * y / w) / sqrt(vx * vy);
}

static void the_matrix_is_the_naive_one(void **state) {
    (void)state;
    struct rng r = rng_init(seed());
    for (int round = 0; round < 30; round++) {
        clear();
        struct portfolio_config c = portfolio_config_defaults();
        if (round % 3 == 1) c.half_life_bars = 40 + 300 * rng_f64(&r);
        int64_t last = 200 + (int64_t)rng_below(&r, BARS_MAX - 200);
        double px[N], common = 0, holes = round % 2 ? 0.05 * rng_f64(&r) : 0;
        for (uint32_t i = 0; i < N; i++) px[i] = pow(10, 4 * rng_f64(&r) - 2);
        for (int64_t t = 0; t <= last; t++) {
            common = 0.01 * rng_normal(&r);
            for (uint32_t i = 0; i < N; i++) {
                px[i] *= exp(common * (i % 4) + 0.01 * rng_normal(&r));
                if (rng_f64(&r) >= holes) bar(i, t, px[i]);
            }
        }
        correlate(&c, last);
        for (uint32_t i = 0; i < N; i++)
            for (uint32_t j = 0; j < N; j++) {
                double sigma, rho = twin_rho(i, j, last, c.half_life_bars, &sigma);
                if (fabs(m->rho[i][j] - rho) > 2e-5)
                    fail_msg("round %d %u %u: %.9f, naive %.9f", round, i, j, m->rho[i][j], rho);
                if (i == j) assert_true(fabs(m->sigma[i] - sigma) < 1e-5 * sigma);
                assert_true(m->rho[i][j] == m->rho[j][i] && fabs(m->rho[i][j]) <= 1);
            }
    }
}

/* Contract i: share of a common factor that makes its correlation with contract 0 the planted
 * one. */
static void plant(const double *rho, uint64_t s, int64_t bars) {
    struct rng r = rng_init(s);
    clear();
    double px[N];
    for (uint32_t i = 0; i < N; i++) px[i] = 100;
    for (int64_t t = 0; t < bars; t++) {
        double factor = rng_normal(&r);
        for (uint32_t i = 0; i < N; i++) {
            double own = rng_normal(&r);
            px[i] *= exp(0.01 * (rho[i] * factor + sqrt(1 - rho[i] * rho[i]) * own));
            bar(i, t, px[i]);
        }
    }
}

static void planted_correlations_are_found(void **state) {
    (void)state;
    static const double rho[N] = {1, .95, .9, .8, .6, .4, .2, 0, -.5, -.9, .97, 0};
    const struct portfolio_config c = portfolio_config_defaults();
    uint64_t s = seed();
    double sum[N] = {0};
    enum { RUNS = 30 };
    for (uint64_t run = 0; run < RUNS; run++) {
        plant(rho, s + run, 400);
        correlate(&c, 399);
        for (uint32_t i = 0; i < N; i++) {
            /* Fisher: atanh(rho) has standard error 1 / sqrt(n - 3) */
            if (i > 0) assert_true(fabs(atanh(m->rho[0][i]) - atanh(rho[i])) < 5 / sqrt(357));
            sum[i] += m->rho[0][i];
            assert_true(fabs(m->sigma[i] - 0.01) < 0.002);
        }
    }
    for (uint32_t i = 0; i < N; i++) assert_true(fabs(sum[i] / RUNS - rho[i]) < 0.04);
}

static void the_order_of_asking_changes_no_bit(void **state) {
    (void)state;
    static const double rho[N] = {1, .95, .9, .8, .6, .4, .2, 0, -.5, -.9, .97, 0};
    struct rng r = rng_init(seed());
    const struct portfolio_config c = portfolio_config_defaults();
    plant(rho, 7, 500);
    correlate(&c, 499);
    *other = *m;
    for (int round = 0; round < 20; round++) {
        uint32_t order[N] = {0};
        for (uint32_t i = 0; i < N; i++) {
            uint32_t at = (uint32_t)rng_below(&r, i + 1);
            order[i] = order[at];
            order[at] = i;
        }
        portfolio_correlate(m, z, &c, series, order, N, 499);
        for (uint32_t i = 0; i < N; i++)
            for (uint32_t j = 0; j < N; j++) {
                assert_true(m->rho[i][j] == other->rho[order[i]][order[j]]);
                assert_int_equal(m->cluster[i] == m->cluster[j],
                                 other->cluster[order[i]] == other->cluster[order[j]]);
                assert_true(m->cluster[i] <= i && m->cluster[m->cluster[i]] == m->cluster[i]);
            }
    }
}

static void the_window_forgets(void **state) {
    (void)state;
    static const double alike[N] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const struct portfolio_config c = portfolio_config_defaults();
    plant(alike, 1, 400);
    correlate(&c, 399);
    assert_true(m->rho[0][1] > 0.999);
    struct rng r = rng_init(2);
    double a = closes[0][399], b = closes[1][399];
    for (int64_t t = 400; t < 400 + PORTFOLIO_BARS; t++) {
        a *= exp(0.01 * rng_normal(&r));
        b *= exp(0.01 * rng_normal(&r));
        bar(0, t, a);
        bar(1, t, b);
    }
    correlate(&c, 399 + PORTFOLIO_BARS);
    assert_true(fabs(m->rho[0][1]) < 0.25);
    /* contract 2 has stood still since: nothing of it is left in the window */
    assert_true(isnan(m->sigma[2]) && isnan(m->rho[0][2]) && isnan(m->rho[2][2]));
    struct portfolio_config quick = c;
    quick.half_life_bars = 30;
    plant(alike, 3, 300);
    a = closes[0][299], b = closes[1][299];
    for (int64_t t = 300; t < 400; t++) {
        a *= exp(0.01 * rng_normal(&r));
        b *= exp(0.01 * rng_normal(&r));
        bar(0, t, a);
        bar(1, t, b);
    }
    correlate(&c, 399);
    double plain = m->rho[0][1];
    correlate(&quick, 399);
    assert_true(m->rho[0][1] < plain - 0.2);
}

/* Asked about an earlier bar: nothing after it is seen. */
static void the_past_does_not_see_later_bars(void **state) {
    (void)state;
    static const double rho[N] = {1, .9, .5, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    struct portfolio_config c = portfolio_config_defaults();
    plant(rho, 17, 700);
    for (int64_t t = 700; t < 710; t++)
        for (uint32_t i = 0; i < 3; i++) bar(i, t, t % 2 ? 100 : 300);
    correlate(&c, 699);
    for (uint32_t i = 0; i < 3; i++)
        for (uint32_t j = 0; j < 3; j++) {
            double x = 0, y = 0, xx = 0, yy = 0, xy = 0, n = 0;
            for (int64_t t = 350; t < 700; t++, n++) { /* what the ring of 360 still has */
                double a = twin_return(i, t), b = twin_return(j, t);
                x += a;
                y += b;
                xx += a * a;
                yy += b * b;
                xy += a * b;
            }
            double naive = (xy - x * y / n) / sqrt((xx - x * x / n) * (yy - y * y / n));
            assert_true(fabs(m->rho[i][j] - naive) < 1e-6);
        }
}

static void holes_are_unknown_not_large_moves(void **state) {
    (void)state;
    struct portfolio_series s;
    portfolio_series_init(&s);
    assert_true(portfolio_observe(&s, 10, px_e8(100 * FX_ONE)));
    assert_true(isnan(s.returns[10]));
    assert_true(portfolio_observe(&s, 11, px_e8(101 * FX_ONE)));
    assert_true(fabsf(s.returns[11] - 0.01f) < 1e-7f);
    assert_true(portfolio_observe(&s, 14, px_e8(202 * FX_ONE)));
    assert_true(isnan(s.returns[12]) && isnan(s.returns[13]) && isnan(s.returns[14]));
    struct portfolio_series before = s;
    assert_false(portfolio_observe(&s, 14, px_e8(203 * FX_ONE))); /* told twice */
    assert_false(portfolio_observe(&s, 12, px_e8(203 * FX_ONE)));
    assert_false(portfolio_observe(&s, 15, px_e8(0)));
    assert_false(portfolio_observe(&s, 15, px_e8(-1)));
    assert_false(portfolio_observe(&s, -1, px_e8(1)));
    assert_memory_equal(&s, &before, sizeof s);
    assert_true(portfolio_observe(&s, 1000000, px_e8(FX_ONE)));
    for (uint32_t k = 0; k < PORTFOLIO_BARS; k++) assert_true(isnan(s.returns[k]));
}

static void too_little_in_common_is_unknown(void **state) {
    (void)state;
    const struct portfolio_config c = portfolio_config_defaults();
    struct rng r = rng_init(4);
    clear();
    for (int64_t t = 0; t < 400; t++) {
        if (t < 220) bar(0, t, 100 * exp(0.01 * rng_normal(&r)));
        if (t >= 160) bar(1, t, 100 * exp(0.01 * rng_normal(&r)));
        if (t >= 159) bar(2, t, 100 * exp(0.01 * rng_normal(&r)));
        if (t >= 340) bar(3, t, 100 * exp(0.01 * rng_normal(&r)));
        if (t >= 339) bar(4, t, 100 * exp(0.01 * rng_normal(&r)));
        bar(5, t, 100); /* does not move */
    }
    correlate(&c, 399);
    assert_true(isnan(m->rho[0][1]) != 0); /* 59 in common: the first return of 1 is at 161 */
    assert_true(!isnan(m->rho[0][2]));
    assert_true(isnan(m->sigma[3]) != 0); /* 59 returns */
    assert_true(!isnan(m->sigma[4]));
    assert_true(isnan(m->sigma[5]) && isnan(m->rho[0][5]));
    /* those without a history are one cluster; a pair with too little in common is taken for
     * alike */
    assert_int_equal(m->cluster[5], 3);
    assert_int_equal(m->cluster[6], 3);
    assert_int_equal(m->cluster[1], 0);
    assert_int_equal(m->cluster[2], 2);
}

static void clusters_are_chains(void **state) {
    (void)state;
    struct portfolio_config c = portfolio_config_defaults();
    /* 0 and 4 are each close to 2, less so to each other; 9 moves against; 7 and 11 alone */
    static const double rho[N] = {.9, .1, 1, .2, .9, .1, .2, 0, -.1, -.95, .3, 0};
    plant(rho, 11, 400);
    correlate(&c, 399);
    assert_true(m->rho[0][2] > 0.85 && m->rho[2][9] < -0.9);
    assert_int_equal(m->cluster[2], 0);
    assert_int_equal(m->cluster[4], 0);
    assert_int_equal(m->cluster[9], 0);
    for (uint32_t i = 0; i < N; i++)
        if (i != 2 && i != 4 && i != 9) assert_int_equal(m->cluster[i], i);
    c.cluster_at = 0.94;
    correlate(&c, 399);
    assert_int_equal(m->cluster[0], 0);
    assert_int_equal(m->cluster[4], 4);
    assert_int_equal(m->cluster[9], 2);
}

/* Naive twin: spread the least label over every pair above the line until nothing changes. */
static void clusters_are_those_of_a_naive_search(void **state) {
    (void)state;
    struct rng r = rng_init(seed());
    struct portfolio_config c = portfolio_config_defaults();
    for (int round = 0; round < 300; round++) {
        double rho[N];
        for (uint32_t i = 0; i < N; i++) rho[i] = 2 * rng_f64(&r) - 1;
        plant(rho, rng_u64(&r), 80);
        c.cluster_at = 0.3 + 0.6 * rng_f64(&r);
        correlate(&c, 79);
        uint32_t label[N];
        for (uint32_t i = 0; i < N; i++) label[i] = i;
        for (bool changed = true; changed;) {
            changed = false;
            for (uint32_t i = 0; i < N; i++)
                for (uint32_t j = 0; j < N; j++)
                    if (fabs(m->rho[i][j]) >= c.cluster_at && label[j] < label[i]) {
                        label[i] = label[j];
                        changed = true;
                    }
        }
        assert_memory_equal(label, m->cluster, sizeof label);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_matrix_is_the_naive_one),
        cmocka_unit_test(planted_correlations_are_found),
        cmocka_unit_test(the_order_of_asking_changes_no_bit),
        cmocka_unit_test(the_window_forgets),
        cmocka_unit_test(the_past_does_not_see_later_bars),
        cmocka_unit_test(holes_are_unknown_not_large_moves),
        cmocka_unit_test(too_little_in_common_is_unknown),
        cmocka_unit_test(clusters_are_chains),
        cmocka_unit_test(clusters_are_those_of_a_naive_search),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
