/* Reductions: by hand, and that after them nothing is left to reduce.
 *
 * TEST_SEED=n repeats the random cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "brain/portfolio/test_market.h"

static struct portfolio_book *book;

static int setup(void **state) {
    (void)state;
    book = malloc(sizeof *book);
    return book ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    free(book);
    return 0;
}

static uint32_t propose(struct portfolio_proposal *out, const struct portfolio_config *c,
                        uint32_t instruments, const struct portfolio_holding *h, uint32_t holdings,
                        double margin_used) {
    portfolio_open(book, c, market, instruments, MARKET_LAST, h, holdings, NULL, 0);
    return portfolio_rebalance(out, book, margin_used);
}

static const uint32_t GROUP[] = {1, 1, 1, 0, 0, 0};
static const double RHO[] = {.95, .95, -.95, 0, 0, 0};

static void a_book_within_its_caps_is_left_alone(void **state) {
    (void)state;
    market_make(6, GROUP, RHO, 1);
    const struct portfolio_config c = portfolio_config_defaults();
    struct portfolio_proposal p[6];
    const struct portfolio_holding h[] = {{0, SIDE_BUY, .2}, {3, SIDE_SELL, .01}};
    assert_int_equal(propose(p, &c, 6, h, 2, 0.85), 0);
    assert_int_equal(propose(p, &c, 6, h, 2, NAN), 0);
    assert_int_equal(propose(p, &c, 6, NULL, 0, 1), 0);
    /* two positions are fewer than five: nothing says that a cap is broken by it, whatever the
     * share of the one in what is held (95 %) */
}

static void each_cap_reduces_by_hand(void **state) {
    (void)state;
    market_make(6, GROUP, RHO, 1);
    struct portfolio_config c = portfolio_config_defaults();
    struct portfolio_proposal p[6];
    const struct portfolio_holding one[] = {{3, SIDE_BUY, .1}, {4, SIDE_BUY, .3}};
    assert_int_equal(propose(p, &c, 6, one, 2, 0), 1);
    assert_int_equal(p[0].instrument_index, 4);
    assert_int_equal(p[0].reason, PORTFOLIO_SYMBOL_CAP);
    assert_true(p[0].from == .3 && p[0].to == .2);
    /* a cluster, whatever the sides: .6 of .66 would be within the band's 5 %: .63 */
    const struct portfolio_holding drift[] = {
        {0, SIDE_BUY, .2}, {1, SIDE_SELL, .21}, {2, SIDE_BUY, .21}};
    assert_int_equal(propose(p, &c, 6, drift, 3, 0), 0);
    c.cluster_max = 0.4;
    assert_int_equal(propose(p, &c, 6, drift, 3, 0), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(p[i].reason, PORTFOLIO_CLUSTER_CAP);
        assert_true(fabs(p[i].to - drift[i].fraction * .4 / .62) < 1e-15);
    }
    c = portfolio_config_defaults();
    c.total_max = 0.25;
    const struct portfolio_holding two[] = {{3, SIDE_BUY, .2}, {4, SIDE_BUY, .2}};
    assert_int_equal(propose(p, &c, 6, two, 2, 0), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(p[i].reason, PORTFOLIO_TOTAL_CAP);
        assert_true(fabs(p[i].to - .125) < 1e-15);
    }
    c = portfolio_config_defaults();
    assert_int_equal(propose(p, &c, 6, two, 2, 0.95), 2);
    assert_int_equal(p[0].reason, PORTFOLIO_MARGIN);
    assert_true(fabs(p[0].to - .2 * .85 / .95) < 1e-15);
}

static void too_many_positions_are_closed_from_the_smallest_up(void **state) {
    (void)state;
    market_make(6, GROUP, RHO, 1);
    struct portfolio_config c = portfolio_config_defaults();
    c.positions_max = 3;
    struct portfolio_proposal p[6];
    const struct portfolio_holding h[] = {{0, SIDE_BUY, .1},
                                          {3, SIDE_BUY, .2},
                                          {1, SIDE_SELL, .05},
                                          {4, SIDE_BUY, .1},
                                          {5, SIDE_BUY, .11}};
    assert_int_equal(propose(p, &c, 6, h, 5, 0), 2);
    assert_int_equal(p[0].instrument_index, 1);
    assert_int_equal(p[1].instrument_index, 4); /* of two alike the one of the higher number */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(p[i].reason, PORTFOLIO_SLOTS);
        assert_true(p[i].to == 0);
    }
    /* the same without a book; then what is left is too much */
    struct portfolio_proposal q[6];
    assert_int_equal(portfolio_obey(q, h, 5, 0.6, 3, 0.05), 2);
    assert_memory_equal(p, q, 2 * sizeof *p);
    assert_int_equal(portfolio_obey(q, h, 5, 0.41 / 1.05 + 1e-9, 3, 0.05), 2);
    assert_int_equal(portfolio_obey(q, h, 5, 0.2, 3, 0.05), 5);
    for (int i = 0; i < 5; i++) {
        bool gone = i == 2 || i == 3;
        assert_int_equal(q[i].reason, gone ? PORTFOLIO_SLOTS : PORTFOLIO_TOTAL_CAP);
        assert_true(fabs(q[i].to - (gone ? 0 : h[i].fraction * .2 / .41)) < 1e-15);
    }
    assert_int_equal(portfolio_obey(q, h, 5, INFINITY, UINT32_MAX, 0.05), 0);
    assert_int_equal(portfolio_obey(q, h, 5, NAN, UINT32_MAX, 0.05),
                     5); /* unknown: the strictest */
    assert_int_equal(portfolio_obey(q, h, 0, 0, 0, 0), 0);
}

static void after_it_every_cap_holds_and_nothing_is_left_to_do(void **state) {
    (void)state;
    struct rng r = market_dice(63);
    enum { COUNT = 40 };
    uint32_t seen[PORTFOLIO_REASON_COUNT] = {0};
    for (int n = 0; n < 400; n++) {
        if (n % 20 == 0) {
            uint32_t group[COUNT];
            double rho[COUNT];
            for (uint32_t i = 0; i < COUNT; i++) {
                group[i] = (uint32_t)rng_below(&r, 4);
                rho[i] = rng_below(&r, 20) == 0 ? NAN : 2 * sqrt(rng_f64(&r)) - 1;
            }
            market_make(COUNT, group, rho, rng_u64(&r));
        }
        struct portfolio_config c = portfolio_config_defaults();
        c.symbol_max = 0.4 * rng_f64(&r);
        c.cluster_max = rng_f64(&r);
        c.total_max = 3 * rng_f64(&r);
        c.symbols_min = 1 + (uint32_t)rng_below(&r, 20);
        c.positions_max = rng_below(&r, 2) ? 40 : 1 + (uint32_t)rng_below(&r, 15);
        c.band = rng_below(&r, 2) ? 0 : 0.2 * rng_f64(&r);
        double margin = rng_below(&r, 3) ? 1.5 * rng_f64(&r) : NAN, before = 0, after = 0;
        struct portfolio_holding h[COUNT];
        uint32_t holdings = 0;
        for (uint32_t i = 0; i < COUNT; i++)
            if (rng_below(&r, 3) == 0)
                h[holdings++] = (struct portfolio_holding){
                    i, rng_below(&r, 2) ? SIDE_BUY : SIDE_SELL, 0.0001 + 0.3 * rng_f64(&r)};
        struct portfolio_proposal p[COUNT];
        uint32_t count = propose(p, &c, COUNT, h, holdings, margin), at = 0;
        for (uint32_t i = 0; i < holdings; i++) {
            before += h[i].fraction;
            if (at < count && p[at].instrument_index == h[i].instrument_index) {
                assert_true(p[at].from == h[i].fraction && p[at].to < p[at].from && p[at].to >= 0);
                seen[p[at].reason]++;
                h[i].fraction = p[at++].to;
            }
            after += h[i].fraction;
        }
        assert_int_equal(at, count); /* in the order of the holdings */
        struct portfolio_caps caps;
        portfolio_caps_derive(&caps, &c);
        double slack = 1 + c.band + 1e-9, cluster[COUNT] = {0};
        assert_true(after <= caps.total * slack);
        for (uint32_t i = 0; i < holdings; i++) {
            assert_true(h[i].fraction <= caps.symbol * slack);
            cluster[book->matrix.cluster[i]] += h[i].fraction;
        }
        for (uint32_t i = 0; i < holdings; i++) assert_true(cluster[i] <= caps.cluster * slack);
        margin *= before > 0 ? after / before : 1;
        if (!isnan(margin) && before > 0) assert_true(margin <= c.margin_max * (1 + 1e-12));
        /* what is reduced to nothing is no longer held */
        uint32_t still = 0;
        for (uint32_t i = 0; i < holdings; i++)
            if (h[i].fraction > 0) h[still++] = h[i];
        assert_true(still <= caps.positions);
        c.band += 1e-9;
        assert_int_equal(propose(p, &c, COUNT, h, still, margin * (1 - 1e-12)), 0);
    }
    static const enum portfolio_reason reasons[] = {PORTFOLIO_SLOTS, PORTFOLIO_SYMBOL_CAP,
                                                    PORTFOLIO_CLUSTER_CAP, PORTFOLIO_TOTAL_CAP,
                                                    PORTFOLIO_MARGIN};
    for (int k = 0; k < 5; k++)
        if (seen[reasons[k]] < 20)
            fail_msg("%s: %u times", portfolio_reason_text(reasons[k]), seen[reasons[k]]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_book_within_its_caps_is_left_alone),
        cmocka_unit_test(each_cap_reduces_by_hand),
        cmocka_unit_test(too_many_positions_are_closed_from_the_smallest_up),
        cmocka_unit_test(after_it_every_cap_holds_and_nothing_is_left_to_do),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
