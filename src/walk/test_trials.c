#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "walk/trials.h"

static char path[300];

static int make_path(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/quantum-trials-XXXXXX", base ? base : "/tmp");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd) || unlink(path);
}

static int drop_path(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

static struct walk_trial_totals add(const struct walk_trial *t, size_t n) {
    struct walk_trial_totals out;
    struct err err = {0};
    if (walk_trials_add(&out, path, t, n, &err) != ST_OK) fail_msg("%s", err.text);
    return out;
}

static struct walk_trial_totals totals(void) {
    struct walk_trial_totals out;
    struct err err = {0};
    if (walk_trials_read(&out, path, &err) != ST_OK) fail_msg("%s", err.text);
    return out;
}

static void each_is_counted_once(void **state) {
    (void)state;
    const struct walk_trial t[] = {{WALK_TRIAL_MODEL, 1, NAN, 0},
                                   {WALK_TRIAL_RUN, 1, 0.1, 90},
                                   {WALK_TRIAL_RULE, 2, 0.3, 90},
                                   {WALK_TRIAL_RUN, UINT64_MAX, 0.2, 90}};
    assert_int_equal(totals().count, 0);
    assert_int_equal(access(path, F_OK), -1); /* looking makes nothing */
    add(t, 4);
    struct walk_trial_totals a = add(t, 4), b = totals();
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(a.count, 4);
    assert_int_equal(a.by_kind[WALK_TRIAL_MODEL], 1);
    assert_int_equal(a.by_kind[WALK_TRIAL_RUN], 2);
    assert_int_equal(a.known, 3);
    assert_true(fabs(a.variance - 0.01) < 1e-15);
}

static void a_ratio_told_later_counts(void **state) {
    (void)state;
    struct walk_trial t[] = {{WALK_TRIAL_RUN, 7, NAN, 0}, {WALK_TRIAL_RUN, 8, 0.5, 10}};
    assert_true(isnan(add(t, 2).variance));
    t[0].sharpe = 0.1;
    assert_int_equal(add(t, 1).known, 2);
    t[0].sharpe = NAN; /* forgets nothing */
    assert_int_equal(add(t, 1).known, 2);
    t[0].sharpe = 0.3;
    struct walk_trial_totals out = add(t, 1);
    assert_int_equal(out.count, 2);
    assert_true(fabs(out.variance - 0.02) < 1e-15);
    assert_true(fabs(totals().variance - 0.02) < 1e-15);
}

static void write_text(const char *text) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

#define LINE "{\"kind\":\"model\",\"id\":\"00000000000000ab\",\"sharpe\":null,\"periods\":0}\n"

static void half_a_line_is_left_out(void **state) {
    (void)state;
    const struct walk_trial t = {WALK_TRIAL_RUN, 3, 0.25, 30};
    write_text(LINE "{\"kind\":\"run\",\"id\":\"00");
    assert_int_equal(totals().count, 1);
    assert_int_equal(add(&t, 1).count, 2);
    assert_int_equal(totals().count, 2);
}

static void what_is_no_trial_is_named(void **state) {
    (void)state;
    const char *const wrong[] = {"nothing\n", "{}\n",
                                 "{\"kind\":\"pony\",\"id\":\"00000000000000ab\"}\n",
                                 "{\"kind\":\"run\",\"id\":\"AB\"}\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct walk_trial_totals out;
        struct err err = {0};
        char text[400];
        snprintf(text, sizeof text, "%s%s", LINE, wrong[i]);
        write_text(text);
        assert_int_equal(walk_trials_read(&out, path, &err), ST_CORRUPT);
        assert_non_null(strstr(err.text, "line 2"));
    }
}

/* Several at once: nobody's line is lost. */
static void writers_take_turns(void **state) {
    (void)state;
    enum { WRITERS = 4, EACH = 50 };
    for (uint64_t w = 0; w < WRITERS; w++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid) continue;
        for (uint64_t i = 0; i < EACH; i++) {
            struct walk_trial_totals out;
            const struct walk_trial t = {WALK_TRIAL_MODEL, w * 1000 + i, NAN, 0};
            if (walk_trials_add(&out, path, &t, 1, NULL) != ST_OK) _exit(1);
        }
        _exit(0);
    }
    for (int w = 0; w < WRITERS; w++) {
        int how;
        assert_true(wait(&how) > 0);
        assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    }
    assert_int_equal(totals().count, WRITERS * EACH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_is_counted_once, make_path, drop_path),
        cmocka_unit_test_setup_teardown(a_ratio_told_later_counts, make_path, drop_path),
        cmocka_unit_test_setup_teardown(half_a_line_is_left_out, make_path, drop_path),
        cmocka_unit_test_setup_teardown(what_is_no_trial_is_named, make_path, drop_path),
        cmocka_unit_test_setup_teardown(writers_take_turns, make_path, drop_path)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
