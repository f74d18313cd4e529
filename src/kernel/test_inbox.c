/* The queue of commands: order, numbers, the limit; and two threads, also under the thread sanitizer. */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/inbox.h"

static struct operator_command command(uint64_t n) {
    struct operator_command c = {.value = (double)n};
    snprintf(c.key, sizeof c.key, "key-%" PRIu64, n);
    return c;
}

static void what_is_put_comes_out_in_order_with_its_number(void **state) {
    (void)state;
    struct inbox *inbox = inbox_create();
    struct operator_command got;
    uint64_t number = 0;
    assert_non_null(inbox);
    assert_false(inbox_take(&got, inbox));
    for (uint64_t round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < INBOX_MAX; i++) {
            const struct operator_command c = command(i);
            assert_true(inbox_put(inbox, &number, &c));
            assert_int_equal(number, round * INBOX_MAX + i + 1);
        }
        const struct operator_command late = command(99);
        assert_false(inbox_put(inbox, &number, &late)); /* full, and it has no number */
        assert_int_equal(number, (round + 1) * INBOX_MAX);
        for (uint64_t i = 0; i < INBOX_MAX; i++) {
            const struct operator_command c = command(i);
            assert_true(inbox_take(&got, inbox));
            assert_memory_equal(&got, &c, sizeof c);
        }
        assert_false(inbox_take(&got, inbox));
    }
    inbox_destroy(inbox);
}

enum { COMMANDS = 20000 };

static void *putter(void *argument) {
    uint64_t number;
    for (uint64_t i = 0; i < COMMANDS; i++) {
        const struct operator_command c = command(i);
        while (!inbox_put(argument, &number, &c)) sched_yield();
    }
    return NULL;
}

static void two_threads_lose_nothing(void **state) {
    (void)state;
    struct inbox *inbox = inbox_create();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, putter, inbox), 0);
    for (uint64_t i = 0; i < COMMANDS;) {
        struct operator_command got;
        const struct operator_command want = command(i);
        if (!inbox_take(&got, inbox)) {
            sched_yield();
            continue;
        }
        assert_memory_equal(&got, &want, sizeof got);
        i++;
    }
    pthread_join(thread, NULL);
    inbox_destroy(inbox);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_comes_out_in_order_with_its_number),
        cmocka_unit_test(two_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
