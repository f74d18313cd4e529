/* The real exchange: driven rightly it breaks no invariant, over random orders, moves, hands and prices; with a planted
 * bug the checker names the one it breaks. TEST_SEED and TEST_OPS choose another run. */
#include <time.h>

#include "sim/test_check_desk.h"

static uint64_t from_env(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void show(struct desk *d, uint64_t seed, const char *what) {
    size_t size = check_explain(d->c, NULL, 0);
    char *text = malloc(size + 1);
    assert_non_null(text);
    (void)check_explain(d->c, text, size + 1);
    /* Violations come first, the last facts at the end; cmocka's own printing cuts. */
    fprintf(stderr, "seed %llu: %s\n%.1500s\n…\n%s\n", (unsigned long long)seed, what, text,
            size > 6000 ? text + size - 6000 : "");
    free(text);
    fail();
}

static void test_right(void **state) {
    (void)state;
    uint64_t seed = from_env("TEST_SEED", 1), ops = from_env("TEST_OPS", 3000);
    struct check_report sum = {0};
    struct check_coverage coverage = {0};
    for (uint64_t n = 0; n < 8; n++, seed++) {
        struct desk *d = desk_open(CANARY_NONE, seed, n % 2 != 0, n >= 4);
        for (uint64_t i = 0; i < ops; i++) {
            desk_step(d);
            if (check_violations(d->c)) show(d, seed, "a violation of a right trader");
        }
        struct check_report one;
        struct check_coverage part;
        check_end(d->c, d->w->now);
        check_report(d->c, &one);
        check_report_merge(&sum, &one);
        check_coverage(d->c, &part);
        check_coverage_merge(&coverage, &part);
        assert_int_equal(d->canary.struck, 0);
        desk_close(d);
    }
    const struct hist *h = &sum.time_to_protected[CAUSE_FILL];
    print_message(
        "%llu entries, %llu stops, %llu fills (%llu by others), %llu beliefs of which %llu "
        "full agreements; fill to stop %.3f s p99, %.3f s max; %u of %u legal pairs\n",
        (unsigned long long)sum.entries, (unsigned long long)sum.stops,
        (unsigned long long)sum.fills, (unsigned long long)sum.foreign_fills,
        (unsigned long long)sum.beliefs, (unsigned long long)sum.agreements,
        (double)hist_quantile(h, 0.99) * 1e-9, (double)h->max * 1e-9,
        check_coverage_count(&coverage).legal, check_coverage_count(&coverage).legal_all);
    /* It was looked at: of each thing there was plenty. */
    assert_true(sum.entries > ops / 2 && sum.stops > sum.entries && sum.agreements > 20);
    assert_true(sum.foreign_fills > 20 && h->count > ops / 2 && h->max < SECOND);
}

static void test_canaries(void **state) {
    (void)state;
    uint64_t first = from_env("TEST_SEED", 1), ops = from_env("TEST_OPS", 400);
    for (int kind = CANARY_NONE + 1; kind < CANARY_COUNT; kind++) {
        for (uint64_t seed = first; seed < first + 20; seed++) {
            struct desk *d = desk_open((enum canary_kind)kind, seed, seed % 2 != 0, false);
            uint64_t i = 0;
            while (i < ops && check_violations(d->c) == 0) desk_step(d), i++;
            const struct check_violation *v = check_violation(d->c, 0);
            if (!v) show(d, seed, canary_name((enum canary_kind)kind));
            if ((int)v->number != canary_invariant((enum canary_kind)kind))
                show(d, seed, canary_name((enum canary_kind)kind));
            assert_true(d->canary.struck > 0);
            desk_close(d);
        }
    }
}

static void test_canary_names(void **state) {
    (void)state;
    assert_int_equal(canary_find("naked"), CANARY_NAKED);
    assert_int_equal(canary_find("no such bug"), -1);
    for (int kind = 0; kind < CANARY_COUNT; kind++)
        assert_int_equal(canary_find(canary_name((enum canary_kind)kind)), kind);
}

/* What a fact costs, of a run that is right: shown, not asserted. */
static void test_cost(void **state) {
    (void)state;
    struct desk *d = desk_open(CANARY_NONE, 7, false, false);
    enum { FACTS = 4096 };
    struct exchange_event *kept = calloc(FACTS, sizeof *kept);
    assert_non_null(kept);
    uint32_t n = 0;
    while (n < FACTS) {
        desk_step(d);
        for (uint32_t i = 0; i < d->w->events && n < FACTS; i++) kept[n++] = d->w->event[i];
    }
    struct check_config config = check_config_defaults();
    config.account = d->account;
    config.instrument_count = DESK_SYMBOLS;
    struct check *c = check_create(&config);
    assert_non_null(c);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (uint32_t i = 0; i < FACTS; i++) check_exchange_event(c, &kept[i]);
    clock_gettime(CLOCK_MONOTONIC, &b);
    double ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
    print_message("%.0f ns an event\n", ns / FACTS);
    check_destroy(c);
    free(kept);
    desk_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_canaries),
        cmocka_unit_test(test_canary_names),
        cmocka_unit_test(test_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
