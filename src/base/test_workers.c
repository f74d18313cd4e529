#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/workers.h"

enum { PARTS = 97 };

struct job {
    _Atomic uint32_t done[PARTS];
    uint64_t plain[PARTS]; /* must be seen by the caller without any further care */
    uint64_t run;
};

static void task(void *context, uint32_t part) {
    struct job *j = context;
    atomic_fetch_add(&j->done[part], 1);
    j->plain[part] = j->run * 1000 + part;
}

static void run_many(uint32_t threads) {
    struct workers *w = NULL;
    struct err err;
    assert_int_equal(workers_create(&w, threads, &err), ST_OK);
    assert_true(threads == 0 ? workers_count(w) >= 1 : workers_count(w) == threads);
    struct job j;
    memset(&j, 0, sizeof j);
    for (uint32_t run = 1; run <= 3000; run++) {
        j.run = run;
        uint32_t parts = run % (PARTS + 1);
        workers_run(w, task, &j, parts);
        for (uint32_t p = 0; p < PARTS; p++) {
            assert_int_equal(atomic_exchange(&j.done[p], 0), p < parts);
            if (p < parts) assert_int_equal(j.plain[p], (uint64_t)run * 1000 + p);
        }
        if (run % 1000 == 0) usleep(1000); /* long enough for the threads to block */
    }
    workers_destroy(w);
}

static void test_each_part_once(void **state) {
    (void)state;
    run_many(1);
    run_many(2);
    run_many(5);
    run_many(0);
}

static void test_without_threads(void **state) {
    (void)state;
    struct job j;
    memset(&j, 0, sizeof j);
    assert_int_equal(workers_count(NULL), 1);
    workers_run(NULL, task, &j, PARTS);
    for (uint32_t p = 0; p < PARTS; p++) assert_int_equal(j.done[p], 1);
    workers_destroy(NULL);
}

static void test_too_many(void **state) {
    (void)state;
    struct workers *w = NULL;
    struct err err;
    assert_int_equal(workers_create(&w, WORKERS_MAX + 1, &err), ST_RANGE);
    assert_string_equal(err.text, "65 threads, at most 64");
    assert_null(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_part_once),
                                       cmocka_unit_test(test_without_threads),
                                       cmocka_unit_test(test_too_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
