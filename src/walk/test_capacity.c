/* Orders whose impact is a round number. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "walk/capacity.h"

static void near(double a, double b, double within) {
    if (!(fabs(a - b) <= within * fabs(b))) fail_msg("%.17g is not %.17g", a, b);
}

/* 1e-4 of a day's volume at 4 % a day: 0.04 * 0.01 = 4 bps. */
static void one_order(void **state) {
    (void)state;
    const struct walk_order o = {.notional = 1e4, .day_volume = 1e8, .day_sigma = 0.04};
    struct walk_capacity c;
    walk_capacity(&c, &o, 1, 2e4);
    near(c.impact_bps, 4, 1e-12);
    near(c.participation, 1e-4, 1e-12);
    near(c.capital[0], 2e4 / 16, 1e-12); /* a quarter of the impact: a sixteenth of the size */
    near(c.capital[1], 2e4 * 25 / 16, 1e-12);
    near(c.capital[2], 2e4 * 100 / 16, 1e-12);
    near(c.participation_at[2], 1e-4 * 100 / 16, 1e-12);
}

/* What it says is so: orders that much larger have that impact. */
static void at_that_capital_it_is_so(void **state) {
    (void)state;
    struct walk_order o[] = {{.notional = 500, .day_volume = 3e7, .day_sigma = 0.05},
                             {.notional = 900, .day_volume = 2e9, .day_sigma = 0.03},
                             {.notional = 100, .day_volume = 1e6, .day_sigma = 0.09}};
    struct walk_capacity c, again;
    walk_capacity(&c, o, 3, 10000);
    for (int i = 0; i < WALK_CAPACITY_LEVELS; i++) {
        struct walk_order larger[3];
        for (int k = 0; k < 3; k++) {
            larger[k] = o[k];
            larger[k].notional *= c.capital[i] / 10000;
        }
        walk_capacity(&again, larger, 3, c.capital[i]);
        near(again.impact_bps, walk_capacity_bps[i], 1e-12);
        near(again.participation, c.participation_at[i], 1e-12);
    }
}

static void what_is_not_known_is_left_out(void **state) {
    (void)state;
    const struct walk_order o[] = {{.notional = 1e4, .day_volume = 1e8, .day_sigma = 0.04},
                                   {.notional = 1e9, .day_volume = 0, .day_sigma = 0.04},
                                   {.notional = 1e9, .day_volume = 1e8, .day_sigma = NAN}};
    struct walk_capacity c;
    walk_capacity(&c, o, 3, 2e4);
    assert_int_equal(c.orders, 1);
    assert_int_equal(c.left_out, 2);
    near(c.impact_bps, 4, 1e-12);
    walk_capacity(&c, NULL, 0, 1);
    assert_true(isnan(c.impact_bps) && isnan(c.capital[1]) && isnan(c.participation_at[1]));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_order),
                                       cmocka_unit_test(at_that_capital_it_is_so),
                                       cmocka_unit_test(what_is_not_known_is_left_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
