#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/metrics.h"

static char out[1 << 16];

static void test_renders_text(void **state) {
    (void)state;
    static const double bounds[] = {0.005, 0.25, 10};
    struct metrics *m = metrics_create();
    assert_non_null(m);
    int denied_a = metrics_add(m, METRIC_COUNTER, "oms_order_denied_total", "reason=\"daily_loss\"",
                               "Orders denied.", NULL, 0);
    int up = metrics_add(m, METRIC_GAUGE, "engine_up", "", "One line\nand a \\.", NULL, 0);
    int latency = metrics_add(m, METRIC_HISTOGRAM, "venue_ack_latency_seconds", "venue=\"simex\"",
                              "Time to ack.", bounds, 3);
    /* Registered apart from its sister, printed beside it. */
    int denied_b = metrics_add(m, METRIC_COUNTER, "oms_order_denied_total",
                               "reason=\"a\\\"b\\\\c\\nd\"", "Orders denied.", NULL, 0);
    metrics_inc(m, denied_a, 1);
    metrics_inc(m, denied_a, 2.5);
    metrics_set(m, denied_b, 7);
    metrics_set(m, denied_b, 6); /* a counter does not go back */
    metrics_set(m, up, -0.5);
    metrics_observe(m, latency, 0.005); /* bounds include their own value */
    metrics_observe(m, latency, 0.1);
    metrics_observe(m, latency, 11);
    metrics_observe(m, latency, HUGE_VAL);
    size_t size;
    assert_int_equal(metrics_render(m, out, sizeof out, &size), ST_OK);
    assert_string_equal(out, "# HELP oms_order_denied_total Orders denied.\n"
                             "# TYPE oms_order_denied_total counter\n"
                             "oms_order_denied_total{reason=\"daily_loss\"} 3.5\n"
                             "oms_order_denied_total{reason=\"a\\\"b\\\\c\\nd\"} 7\n"
                             "# HELP engine_up One line\\nand a \\\\.\n"
                             "# TYPE engine_up gauge\n"
                             "engine_up -0.5\n"
                             "# HELP venue_ack_latency_seconds Time to ack.\n"
                             "# TYPE venue_ack_latency_seconds histogram\n"
                             "venue_ack_latency_seconds_bucket{venue=\"simex\",le=\"0.005\"} 1\n"
                             "venue_ack_latency_seconds_bucket{venue=\"simex\",le=\"0.25\"} 2\n"
                             "venue_ack_latency_seconds_bucket{venue=\"simex\",le=\"10\"} 2\n"
                             "venue_ack_latency_seconds_bucket{venue=\"simex\",le=\"+Inf\"} 4\n"
                             "venue_ack_latency_seconds_sum{venue=\"simex\"} +Inf\n"
                             "venue_ack_latency_seconds_count{venue=\"simex\"} 4\n");
    assert_int_equal(size, strlen(out));
    for (size_t capacity = 1; capacity <= size; capacity++) {
        size_t got;
        assert_int_equal(metrics_render(m, out, capacity, &got), ST_FULL);
        assert_true(got < capacity && out[got] == '\0');
    }
    assert_int_equal(metrics_render(m, out, size + 1, &size), ST_OK);
    metrics_set(m, up, (double)NAN);
    metrics_render(m, out, sizeof out, &size);
    assert_non_null(strstr(out, "engine_up NaN\n"));
    metrics_destroy(m);
}

struct shared {
    struct metrics *m;
    int counter, gauge, histogram;
};

enum { THREADS = 4, UPDATES = 20000 };

static void *update(void *arg) {
    struct shared *s = arg;
    for (int i = 0; i < UPDATES; i++) {
        metrics_inc(s->m, s->counter, 1);
        metrics_inc(s->m, s->gauge, i % 2 ? 1 : -1);
        metrics_observe(s->m, s->histogram, i % 4);
    }
    return NULL;
}

static void test_no_update_is_lost(void **state) {
    (void)state;
    static const double bounds[] = {0, 1, 2};
    struct shared s = {.m = metrics_create()};
    assert_non_null(s.m);
    s.counter = metrics_add(s.m, METRIC_COUNTER, "c_total", "", "c", NULL, 0);
    s.gauge = metrics_add(s.m, METRIC_GAUGE, "g", "", "g", NULL, 0);
    s.histogram = metrics_add(s.m, METRIC_HISTOGRAM, "h", "", "h", bounds, 3);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, update, &s), 0);
    size_t size;
    for (int i = 0; i < 50; i++)
        assert_int_equal(metrics_render(s.m, out, sizeof out, &size), ST_OK);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(metrics_render(s.m, out, sizeof out, &size), ST_OK);
    assert_non_null(strstr(out, "\nc_total 80000\n"));
    assert_non_null(strstr(out, "\ng 0\n"));
    assert_non_null(strstr(out, "\nh_bucket{le=\"1\"} 40000\n"));
    assert_non_null(strstr(out, "\nh_bucket{le=\"+Inf\"} 80000\n"));
    assert_non_null(strstr(out, "\nh_sum 120000\n"));
    metrics_destroy(s.m);
}

static const double down[] = {2, 1}, flat[] = {1, 1}, one[] = {1};

/* Registrations that must not go through beside c_total{a="1"} and the histogram h. */
static const struct {
    const char *name, *labels, *help;
    const double *bounds;
    enum metric_type type;
    uint32_t bound_count;
} wrong[] = {
    {"0bad", "", "x", NULL, METRIC_GAUGE, 0},
    {"", "", "x", NULL, METRIC_GAUGE, 0},
    {"a-b", "", "x", NULL, METRIC_GAUGE, 0},
    {"g", "a=1", "x", NULL, METRIC_GAUGE, 0},
    {"g", "a=\"1\",", "x", NULL, METRIC_GAUGE, 0},
    {"g", "a=\"1", "x", NULL, METRIC_GAUGE, 0},
    {"g", "a=\"\\x\"", "x", NULL, METRIC_GAUGE, 0},
    {"g", "a=\"line\nbreak\"", "x", NULL, METRIC_GAUGE, 0},
    {"c_total", "a=\"1\"", "c", NULL, METRIC_COUNTER, 0},
    {"c_total", "a=\"2\"", "c", NULL, METRIC_GAUGE, 0},
    {"c_total", "a=\"2\"", "other", NULL, METRIC_COUNTER, 0},
    {"h2", "", "x", down, METRIC_HISTOGRAM, 2},
    {"h2", "", "x", flat, METRIC_HISTOGRAM, 2},
    {"h2", "", "x", NULL, METRIC_HISTOGRAM, 0},
    {"g", "", "x", one, METRIC_GAUGE, 1},
    {"h2", "le=\"1\"", "x", one, METRIC_HISTOGRAM, 1},
};
enum { WRONG = sizeof wrong / sizeof *wrong, MISTAKES = WRONG + 6 };

static void call(int which) {
    struct metrics *m = metrics_create();
    if (!m) _exit(3);
    int c = metrics_add(m, METRIC_COUNTER, "c_total", "a=\"1\"", "c", NULL, 0);
    int h = metrics_add(m, METRIC_HISTOGRAM, "h", "", "h", one, 1);
    if (which < WRONG) {
        metrics_add(m, wrong[which].type, wrong[which].name, wrong[which].labels, wrong[which].help,
                    wrong[which].bounds, wrong[which].bound_count);
        _exit(0);
    }
    switch (which - WRONG) {
    case 0:
        metrics_inc(m, c, -1);
        break;
    case 1:
        metrics_observe(m, c, 1);
        break;
    case 2:
        metrics_set(m, h, 1);
        break;
    case 3:
        metrics_inc(m, 99, 1);
        break;
    case 4:
        metrics_observe(m, h, (double)NAN);
        break;
    case 5:
        for (int i = 0; i <= METRICS_MAX; i++) {
            char name[32];
            snprintf(name, sizeof name, "n%d", i);
            metrics_add(m, METRIC_GAUGE, name, "", "x", NULL, 0);
        }
        break;
    default:
        break;
    }
    _exit(0);
}

static void test_our_mistakes_abort(void **state) {
    (void)state;
    for (int which = 0; which < MISTAKES; which++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            if (!freopen("/dev/null", "w", stderr)) _exit(3);
            signal(SIGABRT, SIG_DFL);
            call(which);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
            fail_msg("mistake %d went through", which);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renders_text),
        cmocka_unit_test(test_no_update_is_lost),
        cmocka_unit_test(test_our_mistakes_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
