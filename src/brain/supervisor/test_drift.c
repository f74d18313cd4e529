/* Drift of inputs: figures by hand and against a plain twin, false alarms, planted shifts, dependent rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "brain/supervisor/drift.h"

enum { SEEDS = 20, STATIONARY = 10000, WITHIN = 200, FEATURES = 20, TRAINED = 20000 };

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240808;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void fit(struct drift_reference *out, const float *series, size_t rows) {
    static double sorted[TRAINED];
    size_t finite = 0;
    for (size_t i = 0; i < rows; i++)
        if (isfinite(series[i])) sorted[finite++] = (double)series[i];
    qsort(sorted, finite, sizeof *sorted, ascending);
    assert_true(drift_reference_fit(out, sorted, finite, series, rows));
}

/* Features of a row: independent rows, unlike distributions; shift in standard deviations. */
static float value_of(int feature, struct rng *r, double shift) {
    double z = rng_normal(r) + shift;
    switch (feature % 4) {
    case 0:
        return (float)z;
    case 1:
        return (float)exp(z); /* heavy on one side */
    case 2:
        return (float)(z * z * z * 1e6); /* tails, another unit */
    default:
        return (float)floor(z * 2); /* a few values only */
    }
}

static void fit_world(struct drift_reference *refs, struct rng *r) {
    static float series[TRAINED];
    for (int f = 0; f < FEATURES; f++) {
        for (int i = 0; i < TRAINED; i++) series[i] = value_of(f, r, 0);
        fit(&refs[f], series, TRAINED);
    }
}

static void quiet_where_nothing_moves_and_found_where_it_does(void **state) {
    (void)state;
    uint64_t seed = test_seed(), alarms = 0, levels = 0;
    int slowest = 0, late = 0, seen_levels = 0;
    double mean = 0;
    for (uint64_t n = 0; n < SEEDS; n++) {
        struct rng r = rng_init(seed + n);
        static struct drift_reference refs[FEATURES];
        fit_world(refs, &r);
        static struct drift d;
        struct drift_config c = drift_config_defaults();
        drift_init(&d, &c, refs, FEATURES);
        float row[FEATURES];
        struct drift_summary s;
        uint64_t here = 0;
        for (int t = 0; t < STATIONARY; t++) {
            for (int f = 0; f < FEATURES; f++) row[f] = value_of(f, &r, 0);
            here += drift_row(&d, row);
            if (t % 16) continue;
            drift_summarise(&s, &d, NULL);
            levels += s.at_level[DRIFT_WATCH] + s.at_level[DRIFT_WARN] + s.at_level[DRIFT_SEVERE];
        }
        assert_true(here <= 3);
        alarms += here;
        /* One feature moves by half a standard deviation. */
        int moved = (int)(n % FEATURES), t = 0;
        double shift = n % 2 ? -0.5 : 0.5;
        bool found = false;
        while (!found) {
            for (int f = 0; f < FEATURES; f++) row[f] = value_of(f, &r, f == moved ? shift : 0);
            t++;
            if (drift_row(&d, row) == 0) continue;
            struct drift_figures fig;
            drift_figures(&fig, &d, (uint32_t)moved);
            found = fig.alarmed == (shift > 0 ? 1u : 2u);
            assert_true(found);
        }
        mean += t / (double)SEEDS;
        if (t > slowest) slowest = t;
        late += t > WITHIN;
        for (; t < DRIFT_WINDOW; t++) {
            for (int f = 0; f < FEATURES; f++) row[f] = value_of(f, &r, f == moved ? shift : 0);
            drift_row(&d, row);
        }
        drift_summarise(&s, &d, NULL);
        seen_levels += s.worst == (uint32_t)moved && s.at_level[DRIFT_NONE] == FEATURES - 1;
    }
    print_message(
        "20 features: %llu alarms and %llu levels in 200,000 rows; +-0.5 sd found after %.0f "
        "rows, at most %d; by PSI and KS too in %d of %d\n",
        (unsigned long long)alarms, (unsigned long long)levels, mean, slowest, seen_levels, SEEDS);
    assert_true(alarms <= SEEDS); /* one in 10,000 rows; promised is half of that */
    assert_true(levels <= 20);    /* a window in 1,000 at most; looked at every 16 rows */
    /* The evidence of 200 rows is 25 +- 7 nats where 13.6 are needed: one in 20 may be late, by a little. */
    assert_true(late <= 1 && slowest <= WITHIN + WITHIN / 2);
    assert_true(seen_levels >= SEEDS * 8 / 10);
}

/* A feature with a long memory: each window is unlike training as a whole, and that is how training was, too. */
static void memory_is_no_drift(void **state) {
    (void)state;
    uint64_t seed = test_seed(), tempered = 0, plain = 0, levels = 0, plain_levels = 0;
    double inflation = 0;
    int found_late = 0;
    for (uint64_t n = 0; n < SEEDS; n++) {
        struct rng r = rng_init(seed + n);
        static float series[TRAINED];
        const double memory = 0.95;
        double x = 0;
        for (int i = 0; i < TRAINED; i++) {
            x = memory * x + sqrt(1 - memory * memory) * rng_normal(&r);
            series[i] = (float)x;
        }
        struct drift_reference ref, without;
        fit(&ref, series, TRAINED);
        without = ref;
        without.inflation = 1;
        inflation += ref.inflation / SEEDS;
        static struct drift d, p;
        struct drift_config c = drift_config_defaults();
        drift_init(&d, &c, &ref, 1);
        drift_init(&p, &c, &without, 1);
        for (int t = 0; t < STATIONARY; t++) {
            x = memory * x + sqrt(1 - memory * memory) * rng_normal(&r);
            float row = (float)x;
            tempered += drift_row(&d, &row);
            plain += drift_row(&p, &row);
            if (t % 64) continue;
            struct drift_summary s;
            drift_summarise(&s, &d, NULL);
            levels += s.at_level[DRIFT_SEVERE];
            drift_summarise(&s, &p, NULL);
            plain_levels += s.at_level[DRIFT_SEVERE];
        }
        /* Two standard deviations are found all the same. */
        bool found = false;
        for (int t = 0; t < 1000 && !found; t++) {
            x = memory * x + sqrt(1 - memory * memory) * rng_normal(&r);
            float row = (float)(x + 2);
            found = drift_row(&d, &row) > 0;
        }
        found_late += found;
    }
    print_message("inflation %.1f; alarms %llu, plain %llu; severe %llu, plain %llu; found %d\n",
                  inflation, (unsigned long long)tempered, (unsigned long long)plain,
                  (unsigned long long)levels, (unsigned long long)plain_levels, found_late);
    assert_true(inflation > 15 && inflation < 45); /* (1 + .95) / (1 - .95) = 39 for long windows */
    assert_true(tempered <= SEEDS && plain > 100);
    assert_true(levels <= 5 && plain_levels > 100);
    assert_int_equal(found_late, SEEDS);
}

/* Plain twin: PSI and KS from counts of the last rows, with edges found by sorting. */
static void figures_equal_a_plain_twin(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    static float series[TRAINED];
    for (int i = 0; i < TRAINED; i++)
        series[i] = rng_below(&r, 20) ? value_of(0, &r, 0) : (float)NAN;
    struct drift_reference ref;
    fit(&ref, series, TRAINED);
    assert_int_equal(ref.edge_count, DRIFT_BINS - 1);
    static struct drift d;
    struct drift_config c = drift_config_defaults();
    drift_init(&d, &c, &ref, 1);
    static float rows[1000];
    for (int t = 0; t < 1000; t++) {
        rows[t] = rng_below(&r, 10) ? value_of(0, &r, 0.3) : t % 2 ? (float)NAN : (float)INFINITY;
        drift_row(&d, &rows[t]);
        if (t % 37) continue;
        int first = t + 1 > DRIFT_WINDOW ? t + 1 - DRIFT_WINDOW : 0;
        double now[DRIFT_CELLS] = {0}, then[DRIFT_CELLS] = {0};
        for (int i = first; i <= t; i++) {
            int cell = !isfinite(rows[i]) ? 0 : 1;
            for (int e = 0; cell && e < DRIFT_BINS - 1; e++) cell += (double)rows[i] >= ref.edge[e];
            now[cell]++;
        }
        for (int i = 0; i < TRAINED; i++) {
            int cell = !isfinite(series[i]) ? 0 : 1;
            for (int e = 0; cell && e < DRIFT_BINS - 1; e++)
                cell += (double)series[i] >= ref.edge[e];
            then[cell]++;
        }
        double n = t + 1 - first, psi = 0, ks = 0, gap = 0;
        for (int b = 0; b < DRIFT_CELLS; b++) {
            double p = (then[b] + .5) / (TRAINED + 5.5), q = (now[b] + .5) / (n + 5.5);
            psi += (q - p) * log(q / p);
            gap += now[b] / n - then[b] / TRAINED;
            ks = fmax(ks, fabs(gap));
        }
        struct drift_figures f;
        drift_figures(&f, &d, 0);
        assert_true(fabs(f.psi - psi) < 1e-9 && fabs(f.ks - ks) < 1e-12);
    }
}

static void known_values(void **state) {
    (void)state;
    /* Kolmogorov's limit: P(K > 1.3581) = 0.05, P(K > 1.6276) = 0.01 (tables of the distribution). */
    double root = sqrt(1e8 * 1e8 / 2e8), unit = root + 0.12 + 0.11 / root;
    assert_true(fabs(drift_ks_probability(1.3581 / unit, 1e8, 1e8) - 0.05) < 1e-5);
    assert_true(fabs(drift_ks_probability(1.6276 / unit, 1e8, 1e8) - 0.01) < 1e-5);
    assert_true(drift_ks_probability(0, 100, 100) == 1);
    assert_true(drift_ks_probability(1, 300, 300) < 1e-100);

    /* Quarters of a uniform, all rows in one: the reference's bins are deciles. */
    static float series[1000];
    for (int i = 0; i < 1000; i++) series[i] = (float)i;
    struct drift_reference ref;
    fit(&ref, series, 1000);
    for (int b = 1; b <= DRIFT_BINS; b++) assert_true(fabs(ref.share[b] - 0.1) < 1e-12);
    assert_true(ref.edge[0] == 100 && ref.share[0] == 0 && ref.inflation == 1);
    double mean = 0, square = 0;
    for (int b = 1; b <= DRIFT_BINS; b++) {
        mean += ref.score[b] / 10;
        square += ref.score[b] * ref.score[b] / 10;
    }
    assert_true(fabs(mean) < 1e-12 && fabs(square - 1) < 1e-12);
}

/* A column that stops coming, one that was constant, one that never came, one not watched. */
static void odd_columns(void **state) {
    (void)state;
    static float series[TRAINED];
    struct rng r = rng_init(test_seed());
    struct drift_reference refs[3];
    for (int i = 0; i < TRAINED; i++) series[i] = value_of(0, &r, 0);
    fit(&refs[0], series, TRAINED);
    for (int i = 0; i < TRAINED; i++) series[i] = 7;
    fit(&refs[1], series, TRAINED);
    assert_true(refs[1].edge_count == 0 && refs[1].share[1] == 1 && refs[1].score[1] == 0);
    double none = 0;
    assert_false(drift_reference_fit(&refs[2], &none, 0, series, 100));
    assert_true(refs[2].rows == 0);
    double unsorted[2] = {2, 1};
    assert_false(drift_reference_fit(&refs[2], unsorted, 2, series, 2));
    unsorted[1] = (double)NAN;
    assert_false(drift_reference_fit(&refs[2], unsorted, 2, series, 2));

    static struct drift d;
    struct drift_config c = drift_config_defaults();
    drift_init(&d, &c, refs, 3);
    assert_int_equal(d.watched, 2);
    for (int t = 0; t < DRIFT_WINDOW; t++) {
        float row[3] = {(float)NAN, 7, 5};
        drift_row(&d, row);
    }
    struct drift_figures f;
    drift_figures(&f, &d, 0);
    assert_int_equal(f.level, DRIFT_SEVERE);
    drift_figures(&f, &d, 1);
    assert_true(f.level == DRIFT_NONE && f.psi == 0 && f.alarmed == 0);
    drift_figures(&f, &d, 2);
    assert_true(f.psi == 0 && f.ks_p == 1);
    struct drift_summary s;
    const double importance[3] = {0.2, 0.6, 0.2};
    drift_summarise(&s, &d, importance);
    assert_true(s.worst == 0 && fabs(s.severe_share - 0.25) < 1e-12);
    /* The constant that is one no more. */
    for (int t = 0; t < DRIFT_WINDOW; t++) {
        float row[3] = {(float)rng_normal(&r), (float)NAN, 5};
        drift_row(&d, row);
    }
    drift_figures(&f, &d, 1);
    assert_int_equal(f.level, DRIFT_SEVERE);
    drift_figures(&f, &d, 0);
    assert_int_equal(f.level, DRIFT_NONE);
    assert_string_equal(drift_level_text(DRIFT_SEVERE), "severe");
    assert_string_equal(drift_level_text(DRIFT_LEVEL_COUNT), "?");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_where_nothing_moves_and_found_where_it_does),
        cmocka_unit_test(memory_is_no_drift),
        cmocka_unit_test(figures_equal_a_plain_twin),
        cmocka_unit_test(known_values),
        cmocka_unit_test(odd_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
