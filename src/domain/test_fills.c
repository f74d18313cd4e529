/* Fills told in any order and any number of times: each is new once. TEST_SEED=n repeats the streams. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "domain/fills.h"

static bool take(struct fills_seen *seen, uint64_t id) {
    if (!fills_is_new(seen, id)) return false;
    fills_add(seen, id);
    return true;
}

static void a_fill_is_new_once_in_any_order(void **state) {
    (void)state;
    struct fills_seen seen = {0};
    assert_false(take(&seen, 0));
    assert_true(take(&seen, 42));
    assert_true(take(&seen, 41)); /* late, not seen */
    assert_true(take(&seen, 44));
    assert_false(take(&seen, 41));
    assert_false(take(&seen, 42));
    assert_true(take(&seen, 43));
    assert_int_equal(seen.highest, 44);
}

static void what_is_forgotten_counts_as_seen(void **state) {
    (void)state;
    struct fills_seen seen = {0};
    for (uint64_t id = 1; id <= FILLS_REMEMBERED; id++) assert_true(take(&seen, 10 * id));
    assert_true(take(&seen, 15)); /* between two that are remembered; 10 is forgotten for it */
    assert_int_equal(seen.floor, 10);
    for (uint64_t id = 1; id <= 10; id++) assert_false(take(&seen, id));
    assert_true(take(&seen, 12)); /* lowest of all: not kept, and never new again */
    for (uint64_t id = 1; id <= 12; id++) assert_false(take(&seen, id));
    assert_false(take(&seen, 15));
}

/* Against a list of all ids: with delays shorter than what is remembered, exactly the first telling is new. */
static void random_orders_agree_with_a_list_of_all(void **state) {
    (void)state;
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20241001;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    enum { IDS = 20000, WINDOW = FILLS_REMEMBERED / 2 };
    static uint8_t told[IDS];
    memset(told, 0, sizeof told);
    struct rng rng = rng_init(seed);
    struct fills_seen seen = {0};
    uint32_t out_of_order = 0, oldest = 0;
    while (oldest < IDS) { /* each id is told within WINDOW of the oldest not told */
        uint32_t id = oldest + (uint32_t)rng_below(&rng, WINDOW);
        if (id >= IDS) id = oldest;
        out_of_order += !told[id] && id + 1 < seen.highest / 7;
        assert_int_equal(take(&seen, 7 * ((uint64_t)id + 1)), !told[id]);
        told[id] = 1;
        while (oldest < IDS && told[oldest]) oldest++;
    }
    assert_true(out_of_order > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fill_is_new_once_in_any_order),
        cmocka_unit_test(what_is_forgotten_counts_as_seen),
        cmocka_unit_test(random_orders_agree_with_a_list_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
