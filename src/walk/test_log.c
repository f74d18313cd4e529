/* What was told is read back; what is told again is held against it; damage is seen. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "walk/log.h"

enum { SYMBOLS = 7, CLOSES = 50 };
static char dir[256], path[300];

static int make_dir(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/quantum-walk-XXXXXX", base ? base : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    return rmdir(dir);
}

static int new_path(void **state) {
    (void)state;
    snprintf(path, sizeof path, "%s/log", dir);
    return 0;
}

static int drop_path(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

static int64_t close_of(int c) {
    return NS_PER_HOUR * (1000 + c + (c > 30 ? 5 : 0)); /* one hole */
}

/* The c-th close, always the same. */
static uint32_t make(struct engine_decision d[SYMBOLS], struct model_vote v[SYMBOLS * MODEL_COUNT],
                     int c) {
    struct rng root = rng_init(77), r = rng_split(&root, (uint64_t)c);
    uint32_t count = (uint32_t)rng_below(&r, SYMBOLS + 1);
    memset(d, 0, SYMBOLS * sizeof *d);
    memset(v, 0, SYMBOLS * MODEL_COUNT * sizeof *v);
    for (uint32_t i = 0; i < count; i++) {
        d[i].symbol = i;
        d[i].reason = (uint32_t)rng_below(&r, ENGINE_REASON_COUNT);
        d[i].action = (uint32_t)rng_below(&r, LABEL_COUNT);
        d[i].signal.action = (uint32_t)rng_below(&r, LABEL_COUNT);
        d[i].signal.voters = 3;
        d[i].signal.p[LABEL_BUY] = rng_f64(&r);
        d[i].expected_return = 0.01 * rng_normal(&r);
        d[i].interval.low = -0.02;
        d[i].interval.high = 0.03;
        d[i].has_interval = 1;
        d[i].distance = i == 2 ? (double)NAN : 0.02;
        d[i].fraction = 0.1;
        d[i].states[MODEL_NHITS] = VOTE_EXCLUDED;
        for (uint32_t k = 0; k < MODEL_COUNT; k++) {
            struct model_vote *m = &v[i * MODEL_COUNT + k];
            m->state = VOTE_NO_SKILL;
            m->p[LABEL_SELL] = rng_f64(&r);
            m->move = 0.03;
        }
    }
    return count;
}

static struct walk_log *open_log(enum status want) {
    struct walk_log *log = NULL;
    struct err err = {0};
    enum status st = walk_log_open(&log, path, 0xABCDEF, NS_PER_HOUR, SYMBOLS, &err);
    if (st != want) fail_msg("%s: %s", status_name(st), err.text);
    return log;
}

static void tell(struct walk_log *log, int first, int end) {
    struct engine_decision d[SYMBOLS];
    struct model_vote v[SYMBOLS * MODEL_COUNT];
    for (int c = first; c < end; c++) {
        uint32_t count = make(d, v, c);
        walk_log_decided(log, close_of(c), d, v, count);
    }
}

static void close_log(struct walk_log *log) {
    struct err err = {0};
    if (walk_log_close(log, &err) != ST_OK) fail_msg("%s", err.text);
}

static void assert_whole(int closes) {
    struct walk_decisions w;
    struct engine_decision d[SYMBOLS];
    struct model_vote v[SYMBOLS * MODEL_COUNT];
    struct err err = {0};
    if (walk_decisions_read(&w, path, &err) != ST_OK) fail_msg("%s", err.text);
    assert_int_equal(w.close_count, closes);
    assert_int_equal(w.symbol_count, SYMBOLS);
    assert_int_equal(w.identity, 0xABCDEF);
    size_t first = 0;
    for (int c = 0; c < closes; c++) {
        uint32_t count = make(d, v, c);
        const struct walk_close *k = &w.closes[c];
        assert_int_equal(k->close_ns, close_of(c));
        assert_int_equal(k->count, count);
        assert_int_equal(k->first, first);
        for (uint32_t i = 0; i < count; i++) {
            const struct walk_decision *x = &k->decisions[i];
            assert_int_equal(x->symbol, i);
            assert_int_equal(x->reason, d[i].reason);
            assert_int_equal(x->action, d[i].action);
            assert_int_equal(x->says, d[i].signal.action);
            assert_int_equal(x->counted[MODEL_NHITS], VOTE_EXCLUDED);
            assert_int_equal(x->answered[MODEL_NHITS], VOTE_NO_SKILL);
            assert_true(x->p[LABEL_BUY] == (float)d[i].signal.p[LABEL_BUY]);
            assert_true(x->expected == (float)d[i].expected_return);
            assert_true(i == 2 ? isnan(x->distance) : x->distance == 0.02f);
            assert_true(x->model_p[3][0] == (float)v[i * MODEL_COUNT + 3].p[0]);
            assert_true(x->model_move[1] == 0.03f && x->low == -0.02f && x->high == 0.03f);
        }
        first += count;
    }
    assert_int_equal(w.count, first);
    walk_decisions_free(&w);
}

static void told_and_read(void **state) {
    (void)state;
    struct walk_log *log = open_log(ST_OK);
    tell(log, 0, CLOSES);
    close_log(log);
    assert_whole(CLOSES);
}

/* A run that was killed begins again at its snapshot, wherever that is, and goes further. */
static void told_again_is_checked(void **state) {
    (void)state;
    for (int from = 0; from <= 30; from += 6) {
        struct walk_log *log = open_log(ST_OK);
        uint64_t checked, appended;
        tell(log, 0, 30);
        close_log(log);
        log = open_log(ST_OK);
        tell(log, from, CLOSES);
        walk_log_counts(log, &checked, &appended);
        assert_int_equal(checked, 30 - from);
        assert_int_equal(appended, CLOSES - 30);
        close_log(log);
        assert_whole(CLOSES);
        unlink(path);
    }
}

/* However little of it a float shows. */
static void another_decision_is_an_error(void **state) {
    (void)state;
    for (int what = 0; what < 4; what++) {
        struct engine_decision d[SYMBOLS];
        struct model_vote v[SYMBOLS * MODEL_COUNT];
        struct err err = {0};
        int c = 0;
        struct walk_log *log = open_log(ST_OK);
        tell(log, 0, CLOSES);
        close_log(log);
        while (make(d, v, c) < 2) c++;
        uint32_t count = make(d, v, c);
        if (what == 0) d[1].action = (d[1].action + 1) % LABEL_COUNT;
        if (what == 1) d[1].expected_return = nextafter(d[1].expected_return, 1);
        if (what == 2) v[MODEL_COUNT + 2].p[0] = nextafter(v[MODEL_COUNT + 2].p[0], 2);
        if (what == 3) count--;
        log = open_log(ST_OK);
        walk_log_decided(log, close_of(c), d, v, count);
        assert_int_equal(walk_log_status(log, &err), ST_CORRUPT);
        assert_non_null(strstr(err.text, "not those on record"));
        tell(log, CLOSES, CLOSES + 1); /* sticks */
        assert_int_equal(walk_log_close(log, &err), ST_CORRUPT);
        assert_whole(CLOSES);
        unlink(path);
    }
}

static void cut(off_t size) {
    assert_int_equal(truncate(path, size), 0);
}

static off_t size_of(void) {
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_size;
}

/* Killed while a block was being written: it is dropped, told again, and all is there. */
static void half_a_block_is_dropped(void **state) {
    (void)state;
    struct walk_log *log = open_log(ST_OK);
    tell(log, 0, CLOSES);
    close_log(log);
    off_t whole = size_of();
    struct rng r = rng_init(5);
    for (int round = 0; round < 30; round++) {
        cut(whole - 1 - (off_t)rng_below(&r, (uint64_t)whole - 1));
        log = open_log(ST_OK);
        tell(log, 0, CLOSES);
        close_log(log);
        assert_int_equal(size_of(), whole);
        assert_whole(CLOSES);
    }
}

static void damage_is_seen(void **state) {
    (void)state;
    struct err err = {0};
    struct walk_decisions w;
    struct walk_log *log = open_log(ST_OK);
    tell(log, 0, CLOSES);
    close_log(log);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    for (int at = 20; at < 3000; at += 2900) {
        fseek(f, at, SEEK_SET);
        int byte = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(byte ^ 1, f);
        fflush(f);
        assert_int_equal(walk_decisions_read(&w, path, &err), ST_CORRUPT);
        open_log(ST_CORRUPT);
        fseek(f, at, SEEK_SET);
        fputc(byte, f);
        fflush(f);
    }
    fclose(f);
    assert_whole(CLOSES);
    assert_int_equal(walk_log_open(&log, path, 1, NS_PER_HOUR, SYMBOLS, &err), ST_MISMATCH);
    assert_int_equal(walk_log_open(&log, path, 0xABCDEF, NS_PER_MINUTE, SYMBOLS, &err),
                     ST_MISMATCH);
    unlink(path);
    assert_int_equal(walk_decisions_read(&w, path, &err), ST_NOT_FOUND);
}

static void time_goes_on(void **state) {
    (void)state;
    struct err err = {0};
    struct walk_log *log = open_log(ST_OK);
    tell(log, 3, 5);
    tell(log, 4, 5);
    assert_int_equal(walk_log_close(log, &err), ST_INVALID);
}

static void symbols_ascend(void **state) {
    (void)state;
    struct engine_decision d[SYMBOLS];
    struct model_vote v[SYMBOLS * MODEL_COUNT];
    struct err err = {0};
    int c = 0;
    while (make(d, v, c) < 3) c++;
    struct walk_log *log = open_log(ST_OK);
    walk_log_decided(log, close_of(c), d, v, 3);
    d[2].symbol = d[1].symbol;
    walk_log_decided(log, close_of(c + 1), d, v, 3);
    assert_int_equal(walk_log_close(log, &err), ST_INVALID);
    struct walk_decision records[3] = {{.symbol = 2}, {.symbol = 5}, {.symbol = 9}};
    const struct walk_close close = {0, records, 3, 0, 0};
    for (uint32_t s = 0; s < 12; s++) {
        const struct walk_decision *got = walk_close_find(&close, s);
        assert_ptr_equal(got, s == 2   ? &records[0]
                              : s == 5 ? &records[1]
                              : s == 9 ? &records[2]
                                       : NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(told_and_read, new_path, drop_path),
        cmocka_unit_test_setup_teardown(told_again_is_checked, new_path, drop_path),
        cmocka_unit_test_setup_teardown(another_decision_is_an_error, new_path, drop_path),
        cmocka_unit_test_setup_teardown(half_a_block_is_dropped, new_path, drop_path),
        cmocka_unit_test_setup_teardown(damage_is_seen, new_path, drop_path),
        cmocka_unit_test_setup_teardown(time_goes_on, new_path, drop_path),
        cmocka_unit_test_setup_teardown(symbols_ascend, new_path, drop_path)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
