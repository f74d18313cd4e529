#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/rng.h"

static bool is_zero(const unsigned char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

static void test_limit_is_exact(void **state) {
    (void)state;
    struct arena a;
    assert_int_equal(arena_create(&a, 4096), ST_OK);
    assert_null(arena_alloc(&a, 4097));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 63));
    assert_int_equal(a.used, 0); /* a refusal takes nothing */
    unsigned char *whole = arena_alloc(&a, 4096);
    assert_non_null(whole);
    whole[4095] = 1;
    assert_null(arena_alloc(&a, 1));
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 1));
    assert_null(arena_alloc(&a, 4096 - 63));
    assert_non_null(arena_alloc(&a, 4096 - 64));
    arena_destroy(&a);
    assert_null(a.base);
    arena_destroy(&a);
}

static void test_blocks_are_zero_aligned_and_apart(void **state) {
    (void)state;
    struct arena a;
    struct rng rng = rng_init(11);
    assert_int_equal(arena_create(&a, 1 << 16), ST_OK);
    for (int round = 0; round < 200; round++) {
        unsigned char *last_end = a.base;
        for (;;) {
            size_t size = 1 + rng_below(&rng, 3000);
            unsigned char *p = arena_alloc(&a, size);
            if (!p) break;
            assert_int_equal((uintptr_t)p % 64, 0);
            assert_true(p >= last_end && p + size <= a.base + a.size);
            if (!is_zero(p, size)) fail_msg("round %d: not zero after reset", round);
            memset(p, 0xA5, size);
            last_end = p + size;
            if (rng_below(&rng, 20) == 0) break; /* so that high-water marks differ */
        }
        assert_true(a.high_water >= a.used && a.high_water <= a.size);
        arena_reset(&a);
        assert_int_equal(a.used, 0);
    }
    arena_destroy(&a);
}

static void test_impossible_size_is_refused(void **state) {
    (void)state;
    struct arena a;
    assert_int_equal(arena_create(&a, SIZE_MAX / 2), ST_NO_MEMORY);
    assert_int_equal(arena_create(&a, 0), ST_NO_MEMORY);
}

static void test_sealed_arena_stops_the_process(void **state) {
    (void)state;
    struct arena a;
    assert_int_equal(arena_create(&a, 4096), ST_OK);
    arena_seal(&a);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(3);
        signal(SIGABRT, SIG_DFL);
        arena_alloc(&a, 1);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    arena_destroy(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_is_exact),
        cmocka_unit_test(test_blocks_are_zero_aligned_and_apart),
        cmocka_unit_test(test_impossible_size_is_refused),
        cmocka_unit_test(test_sealed_arena_stops_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
