#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "learn/learn_internal.h"
#include "learn/test_market.h"

static struct learn_rows build(const struct market *m, const struct learn_config *c) {
    struct learn_rows rows;
    struct err err = {0};
    if (learn_rows_build(&rows, m->series, m->count, c, NULL, NULL, &err) != ST_OK)
        fail_msg("%s", err.text);
    return rows;
}

static struct learn_split split_of(const struct learn_rows *r, const struct learn_config *c) {
    struct learn_split split;
    struct err err;
    assert_int_equal(
        learn_split_init(&split, r->decision_ns[0], r->decision_ns[r->count - 1], c, &err), ST_OK);
    return split;
}

/* On the index sets themselves: no bar that decides a label of one part is at or after the first
 * decision of the next, and embargo_bars lie between; every row is in at most one part. */
static void parts_do_not_touch(void **state) {
    (void)state;
    struct market m;
    market_make(&m, 5, 1500, market_seed(), 0.5);
    m.series[1].bars += 400, m.series[1].count -= 400; /* listed later */
    m.series[2].count -= 500;                          /* delisted */
    struct learn_config c = learn_config_defaults();
    struct learn_rows r = build(&m, &c);
    struct learn_split split = split_of(&r, &c);
    int64_t label_end[PART_COUNT], first[PART_COUNT];
    size_t count[PART_COUNT] = {0};
    for (int k = 0; k < PART_COUNT; k++) label_end[k] = INT64_MIN, first[k] = INT64_MAX;
    for (size_t i = 0; i < r.count; i++) {
        enum learn_part part = learn_split_part(&split, r.decision_ns[i]);
        /* Close of the last bar its horizon may read. */
        const struct bar *bars = m.series[r.series[i]].bars;
        int64_t end = bars[r.bar[i] + c.labels.horizon_bars].open_ts_ns + c.interval_ns;
        assert_int_equal(bars[r.bar[i]].open_ts_ns + c.interval_ns, r.decision_ns[i]);
        assert_true(r.end[i] > r.bar[i] && r.end[i] <= r.bar[i] + c.labels.horizon_bars);
        assert_true(i == 0 || r.decision_ns[i] >= r.decision_ns[i - 1]);
        if (end > label_end[part]) label_end[part] = end;
        if (r.decision_ns[i] < first[part]) first[part] = r.decision_ns[i];
        count[part]++;
    }
    int64_t embargo = (int64_t)c.embargo_bars * c.interval_ns;
    assert_true(label_end[PART_TRAIN] + embargo <= first[PART_VALID]);
    assert_true(label_end[PART_VALID] + embargo <= first[PART_TEST]);
    assert_true(count[PART_TRAIN] > count[PART_VALID] && count[PART_VALID] > 0);
    /* Purged and embargoed: (horizon + embargo - 1) times at each of two borders, at most 5 rows each. */
    assert_true(count[PART_NONE] > 0);
    assert_true(count[PART_NONE] <= 2 * 5 * (c.labels.horizon_bars + c.embargo_bars));
    learn_rows_free(&r);
    market_free(&m);
}

static void split_refuses_nonsense(void **state) {
    (void)state;
    struct learn_split split;
    struct err err;
    struct learn_config c = learn_config_defaults();
    c.valid_share = 0.7;
    assert_int_equal(learn_split_init(&split, 0, NS_PER_DAY, &c, &err), ST_INVALID);
    c.valid_share = (double)NAN;
    assert_int_equal(learn_split_init(&split, 0, NS_PER_DAY, &c, &err), ST_INVALID);
}

/* What the service would compute: each series stepped afresh, bar by bar, crossed at each time. */
static void rows_equal_service_bit_for_bit(void **state) {
    (void)state;
    enum { SYMBOLS = 4, BARS = 900 };
    struct market m;
    market_make(&m, SYMBOLS, BARS, market_seed(), 0.5);
    struct learn_config c = learn_config_defaults();
    struct learn_rows r = build(&m, &c);
    uint32_t columns = feature_count();
    struct feature_series *series[SYMBOLS];
    for (int s = 0; s < SYMBOLS; s++) {
        series[s] = aligned_alloc(64, (feature_series_size() + 63) / 64 * 64);
        if (!series[s]) abort();
        feature_series_init(series[s], c.interval_ns);
    }
    float *rows = malloc(SYMBOLS * columns * sizeof *rows);
    size_t at = 0;
    for (size_t t = 0; t < BARS; t++) {
        for (uint32_t s = 0; s < SYMBOLS; s++)
            feature_step(rows + s * columns, series[s], &m.bars[s][t]);
        feature_cross(rows, SYMBOLS, columns);
        for (uint32_t s = 0; s < SYMBOLS && at < r.count; s++) {
            if (r.bar[at] != t || r.series[at] != s) continue;
            assert_memory_equal(r.features + at * columns, rows + s * columns,
                                columns * sizeof *rows);
            at++;
        }
    }
    assert_int_equal(at, r.count);
    assert_true(r.count > SYMBOLS * 500);
    for (int s = 0; s < SYMBOLS; s++) free(series[s]);
    free(rows);
    learn_rows_free(&r);
    market_free(&m);
}

/* Cutting or changing the future leaves every row's features as they are. */
static void features_do_not_see_ahead(void **state) {
    (void)state;
    struct market m;
    market_make(&m, 3, 900, market_seed(), 0.5);
    struct learn_config c = learn_config_defaults();
    struct learn_rows whole = build(&m, &c);
    enum { CUT = 700 };
    int64_t cut_ns = MARKET_START_NS + (int64_t)CUT * c.interval_ns;
    for (size_t s = 0; s < m.count; s++)
        for (size_t i = CUT; i < 900; i++) {
            struct bar *b = &m.bars[s][i];
            b->open = b->high = b->low = b->close = px_e8(INT64_C(7) * 100000000);
        }
    struct learn_rows changed = build(&m, &c);
    c.to_ns = cut_ns;
    struct learn_rows cut = build(&m, &c);
    size_t same = 0;
    for (size_t i = 0; i < whole.count && whole.decision_ns[i] <= cut_ns; i++) {
        assert_memory_equal(whole.features + i * whole.columns,
                            changed.features + i * changed.columns, whole.columns * sizeof(float));
        if (whole.decision_ns[i] + (int64_t)c.labels.horizon_bars * c.interval_ns <= cut_ns) {
            assert_true(whole.labels[i] == changed.labels[i]);
            assert_true(i < cut.count && whole.labels[i] == cut.labels[i]);
            same++;
        }
    }
    /* And with `to` set, nothing that closes later is used, not even by a label. */
    assert_int_equal(cut.count, same);
    assert_true(same > 1000);
    learn_rows_free(&whole);
    learn_rows_free(&changed);
    learn_rows_free(&cut);
    market_free(&m);
}

static void thinning_keeps_whole_times_evenly(void **state) {
    (void)state;
    struct market m;
    market_make(&m, 4, 3000, market_seed(), 0.5);
    struct learn_config c = learn_config_defaults();
    struct learn_rows all = build(&m, &c);
    c.rows_max = 460; /* one time in 24: a fixed step would see one hour of the day only */
    struct learn_rows few = build(&m, &c);
    assert_true(all.stride == 1);
    assert_int_equal(few.stride, 24);
    assert_true(few.count > 400 && few.count <= 460);
    size_t hours[24] = {0}, i = 0;
    int64_t previous = 0;
    while (i < few.count) {
        int64_t t = few.decision_ns[i];
        size_t begin = i;
        while (i < few.count && few.decision_ns[i] == t) i++;
        assert_int_equal(i - begin, 4);
        assert_true(previous == 0 || t - previous < 2 * few.stride * c.interval_ns);
        hours[t / NS_PER_HOUR % 24]++;
        previous = t;
    }
    size_t distinct = 0;
    for (int h = 0; h < 24; h++) distinct += hours[h] > 0;
    assert_true(distinct >= 12);
    learn_rows_free(&all);
    learn_rows_free(&few);
    market_free(&m);
}

/* A hole starts the warm-up anew. */
static void rows_behind_a_hole_warm_up(void **state) {
    (void)state;
    struct market m;
    market_make(&m, 1, 1500, market_seed(), 0.5);
    for (size_t i = 800; i < 1500; i++) m.bars[0][i].open_ts_ns += 5 * NS_PER_HOUR;
    struct learn_config c = learn_config_defaults();
    struct learn_rows r = build(&m, &c);
    uint32_t warmup = feature_warmup_bars(), horizon = c.labels.horizon_bars;
    size_t before = 0, after = 0;
    for (size_t i = 0; i < r.count; i++) {
        assert_true(r.bar[i] >= warmup);
        assert_true(r.bar[i] + horizon < 800 || r.bar[i] >= 800 + warmup);
        before += r.bar[i] < 800;
        after += r.bar[i] >= 800;
    }
    assert_int_equal(before, 800 - horizon - warmup);
    assert_int_equal(after, 700 - horizon - warmup);
    learn_rows_free(&r);
    market_free(&m);
}

/* By hand: labels over bars (1..2), (2..3), (6..6) of one series, one of another.
 * Cover: bar 1: 1, bar 2: 2, bar 3: 1, bar 6: 1 -> uniqueness 0.75, 0.75, 1, and 1; mean 0.875. */
static void uniqueness_by_hand(void **state) {
    (void)state;
    const uint32_t series[] = {0, 0, 1, 0}, begin[] = {0, 1, 0, 5}, end[] = {2, 3, 4, 6};
    const size_t bars[] = {7, 9};
    float w[4];
    struct err err;
    assert_int_equal(learn_uniqueness(w, series, begin, end, 4, bars, 2, &err), ST_OK);
    const double expected[] = {0.75 / 0.875, 0.75 / 0.875, 1 / 0.875, 1 / 0.875};
    for (int i = 0; i < 4; i++) assert_true(fabs((double)w[i] - expected[i]) < 1e-6);
}

static void the_same_symbol_twice_is_refused(void **state) {
    (void)state;
    struct market m;
    market_make(&m, 2, 900, 1, 0);
    m.series[1].symbol = m.series[0].symbol;
    struct learn_config c = learn_config_defaults();
    struct learn_rows r;
    struct err err;
    assert_int_equal(learn_rows_build(&r, m.series, 2, &c, NULL, NULL, &err), ST_EXISTS);
    assert_non_null(strstr(err.text, "COIN00USDT"));
    market_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_do_not_touch),
        cmocka_unit_test(split_refuses_nonsense),
        cmocka_unit_test(rows_equal_service_bit_for_bit),
        cmocka_unit_test(features_do_not_see_ahead),
        cmocka_unit_test(thinning_keeps_whole_times_evenly),
        cmocka_unit_test(rows_behind_a_hole_warm_up),
        cmocka_unit_test(uniqueness_by_hand),
        cmocka_unit_test(the_same_symbol_twice_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
