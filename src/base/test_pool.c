#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <string.h>

#include "base/pool.h"
#include "base/rng.h"

enum { CAPACITY = 16, SLOT = 24 };
static _Alignas(16) unsigned char memory[1024];

static void test_limit_and_stale_ids(void **state) {
    (void)state;
    struct pool pool;
    struct pool_id ids[CAPACITY], extra, null = {0};
    assert_true(pool_size_bytes(SLOT, CAPACITY) <= sizeof memory);
    pool_init(&pool, memory, SLOT, CAPACITY);
    assert_null(pool_get(&pool, null));
    assert_false(pool_release(&pool, null));
    for (uint32_t i = 0; i < CAPACITY; i++) {
        unsigned char *slot = pool_acquire(&pool, &ids[i]);
        assert_non_null(slot);
        assert_int_equal((uintptr_t)slot % 16, 0);
        assert_false(pool_id_is_null(ids[i]));
        assert_int_equal(ids[i].index1, i + 1);
        memset(slot, 0xEE, SLOT);
    }
    extra = ids[0];
    assert_null(pool_acquire(&pool, &extra));
    assert_true(pool_id_is_null(extra));
    assert_true(pool_release(&pool, ids[5]));
    assert_null(pool_get(&pool, ids[5]));
    assert_false(pool_release(&pool, ids[5])); /* twice is once too often */
    unsigned char *slot = pool_acquire(&pool, &extra);
    assert_non_null(slot);
    assert_int_equal(extra.index1, ids[5].index1);
    assert_int_not_equal(extra.generation, ids[5].generation);
    for (int i = 0; i < SLOT; i++) assert_int_equal(slot[i], 0);
    assert_null(pool_get(&pool, ids[5]));
    assert_ptr_equal(pool_get(&pool, extra), slot);
    assert_null(pool_get(&pool, (struct pool_id){CAPACITY + 1, 1}));
    assert_null(pool_get(&pool, (struct pool_id){1, 0}));
}

/* A plain array as the twin: every id ever given out is either alive with its own content, or stale. */
static void test_random_use(void **state) {
    (void)state;
    enum { STEPS = 20000 };
    static struct pool_id given[STEPS];
    static bool alive[STEPS];
    struct rng rng = rng_init(31);
    struct pool pool;
    uint32_t count = 0, given_count = 0;
    pool_init(&pool, memory, SLOT, CAPACITY);
    for (uint32_t step = 0; step < STEPS; step++) {
        if (rng_below(&rng, 2)) {
            struct pool_id id;
            uint32_t *slot = pool_acquire(&pool, &id);
            assert_int_equal(slot != NULL, count < CAPACITY);
            if (slot) {
                *slot = given_count;
                given[given_count] = id;
                alive[given_count++] = true;
                count++;
            }
        } else if (given_count > 0) {
            uint32_t back = (uint32_t)rng_below(&rng, 40),
                     which = given_count - 1 - (back < given_count ? back : 0);
            assert_int_equal(pool_release(&pool, given[which]), alive[which]);
            count -= alive[which];
            alive[which] = false;
        }
        assert_int_equal(pool.count, count);
        for (uint32_t i = given_count > 60 ? given_count - 60 : 0; i < given_count; i++) {
            const uint32_t *slot = pool_get(&pool, given[i]);
            assert_int_equal(slot != NULL, alive[i]);
            if (slot) assert_int_equal(*slot, i);
        }
        uint32_t walked = 0, last = 0;
        for (struct pool_id id = {0}; pool_next(&pool, &id); walked++) {
            assert_true(id.index1 > last && pool_get(&pool, id));
            last = id.index1;
        }
        assert_int_equal(walked, count);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_and_stale_ids),
        cmocka_unit_test(test_random_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
