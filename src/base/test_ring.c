#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "base/hash.h"
#include "base/ring.h"
#include "base/rng.h"

struct record {
    uint64_t number, check;
    char pad[8];
};

static struct record make(uint64_t number) {
    struct record r = {.number = number};
    r.check = hash64(&number, sizeof number);
    return r;
}

static void test_limit_and_order(void **state) {
    (void)state;
    struct record memory[4], out;
    struct ring ring;
    ring_init(&ring, memory, sizeof *memory, 4);
    assert_false(ring_pop(&out, &ring));
    for (uint64_t i = 0; i < 4; i++) assert_true(ring_push(&ring, &(struct record){.number = i}));
    assert_false(ring_push(&ring, &(struct record){.number = 99}));
    assert_int_equal(ring_count(&ring), 4);
    for (uint64_t i = 0; i < 4; i++) {
        assert_true(ring_pop(&out, &ring));
        assert_int_equal(out.number, i);
    }
    out.number = 77;
    assert_false(ring_pop(&out, &ring));
    assert_int_equal(out.number, 77);
}

/* A counter pair as the naive twin, for odd record sizes and a ring of one. */
static void test_random_use_of_one_thread(void **state) {
    (void)state;
    struct rng rng = rng_init(21);
    static const uint32_t capacities[] = {1, 2, 8, 64};
    for (size_t c = 0; c < 4; c++) {
        unsigned char memory[64 * 3], record[3];
        uint64_t in = 0, out = 0;
        struct ring ring;
        ring_init(&ring, memory, sizeof record, capacities[c]);
        for (int i = 0; i < 20000; i++) {
            assert_int_equal(ring_count(&ring), in - out);
            if (rng_below(&rng, 2)) {
                memset(record, (int)(in & 0xFF), sizeof record);
                bool pushed = ring_push(&ring, record);
                assert_int_equal(pushed, in - out < capacities[c]);
                in += pushed;
            } else {
                bool popped = ring_pop(record, &ring);
                assert_int_equal(popped, in > out);
                if (popped) assert_true(record[0] == (out & 0xFF) && record[2] == (out & 0xFF));
                out += popped;
            }
        }
    }
}

enum { PASSED = 200000 };

static void *push_all(void *arg) {
    struct ring *ring = arg;
    for (uint64_t i = 0; i < PASSED;) {
        struct record r = make(i);
        if (ring_push(ring, &r)) i++;
    }
    return NULL;
}

static void test_two_threads(void **state) {
    (void)state;
    static struct record memory[64];
    static struct ring ring;
    ring_init(&ring, memory, sizeof *memory, 64);
    pthread_t pusher;
    assert_int_equal(pthread_create(&pusher, NULL, push_all, &ring), 0);
    for (uint64_t i = 0; i < PASSED;) {
        struct record r;
        if (!ring_pop(&r, &ring)) continue;
        if (r.number != i || r.check != make(i).check)
            fail_msg("record %d arrived as %d", (int)i, (int)r.number);
        i++;
    }
    pthread_join(pusher, NULL);
    assert_int_equal(ring_count(&ring), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_and_order),
        cmocka_unit_test(test_random_use_of_one_thread),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
