/* A network reads windows, so a run with one has a memory: no stop, kill or bad snapshot may lose or change a bar of it. */
#include <dirent.h>
#include <fcntl.h>

#include "backtest/test_run.h"
#include "feature/feature.h"
#include "kernel/journal.h"

enum { TRADE_FROM_BAR = 3000 };
/* The quicker network: both read the same histories. test/e2e/voters.sh seats the other, too. */
static const enum model_kind seats[] = {MODEL_XGBOOST, MODEL_NHITS};
enum { SEATS = sizeof seats / sizeof seats[0] };
static struct served_model *models[MODEL_COUNT];

static int setup_models(void **state) {
    setup_group(state);
    for (int i = 0; i < SEATS; i++) {
        struct err err = {0};
        char path[TAPE_PATH_SIZE + 32];
        snprintf(path, sizeof path, "%s/model%s", root, learn_file_suffix(seats[i]));
        train_model(seats[i], path);
        tape_ok(served_model_load(&models[seats[i]], path, &err), &err);
    }
    return 0;
}

static int teardown_models(void **state) {
    for (int k = 0; k < MODEL_COUNT; k++) served_model_destroy(models[k]);
    return teardown_group(state);
}

static struct feed *open_with_warmup(uint32_t warmup_bars) {
    struct feed_tape_options fo = tape_options(store);
    struct feed *feed = NULL;
    struct err err = {0};
    fo.from_ns = TAPE_START_NS + TRADE_FROM_BAR * NS_PER_MINUTE;
    fo.warmup_bars = warmup_bars;
    tape_ok(feed_open_tape(&feed, &fo, &err), &err);
    return feed;
}

static uint32_t enough(void) {
    return feature_warmup_bars() + net_history_bars();
}

static struct session_options with_seats(struct feed *feed, const char *run_dir) {
    struct session_options o = session_options_defaults();
    o.feed = feed;
    o.run_dir = run_dir;
    o.labels = served_model_labels(models[MODEL_XGBOOST]);
    for (int i = 0; i < SEATS; i++) o.models[seats[i]] = models[seats[i]];
    return o;
}

/* ---- warm-up ---- */

/* Answers of each kind at the first decision: how many, and how many of them warming. */
static void first_answers(uint32_t answers[MODEL_COUNT], uint32_t warming[MODEL_COUNT],
                          const char *dir) {
    char path[TAPE_PATH_SIZE + 64];
    struct journal_reader *reader = NULL;
    struct journal_record record;
    struct model_answered a;
    struct err err = {0};
    int64_t first = 0;
    memset(answers, 0, MODEL_COUNT * sizeof *answers);
    memset(warming, 0, MODEL_COUNT * sizeof *warming);
    snprintf(path, sizeof path, "%s/journal", dir);
    tape_ok(journal_reader_open(&reader, path, 1, &err), &err);
    while (journal_next(reader, &record, &err) == ST_OK) {
        if (record.type != EVENT_MODEL_ANSWERED) continue;
        assert_int_equal(record.size, sizeof a);
        memcpy(&a, record.payload, sizeof a);
        if (first == 0) first = a.ts;
        if (a.ts != first) break;
        answers[a.model]++;
        warming[a.model] += a.state == VOTE_WARMING;
    }
    journal_reader_close(reader);
}

static void warm_at_the_first_decision_and_not_a_bar_sooner(void **state) {
    (void)state;
    for (uint32_t missing = 0; missing < 2; missing++) {
        char dir[TAPE_PATH_SIZE + 32];
        uint32_t answers[MODEL_COUNT], warming[MODEL_COUNT];
        uint32_t bars = missing ? net_history_bars() - 1 : enough();
        struct feed *feed = open_with_warmup(bars);
        struct session_options o = with_seats(feed, new_dir(dir));
        o.step_limit = bars + 3;
        run(&o);
        first_answers(answers, warming, dir);
        for (int i = 0; i < SEATS; i++) {
            assert_int_equal(answers[seats[i]], TAPE_SYMBOLS);
            assert_int_equal(warming[seats[i]], missing ? TAPE_SYMBOLS : 0);
        }
        feed_close(feed);
    }
}

/* ---- interrupted ---- */

static void stops_and_kills_leave_no_trace(void **state) {
    (void)state;
    enum { KILLS = 10 };
    static const uint64_t limits[] = {311, 1, 577};
    char dir[TAPE_PATH_SIZE + 32];
    struct err err = {0};
    struct rng rng = rng_init(tape_seed());
    struct feed *feed = open_with_warmup(enough());
    struct session_options o = with_seats(feed, new_dir(dir));
    int64_t begin = tstamp_monotonic_ns();
    struct session_result whole = run(&o);
    int64_t took = tstamp_monotonic_ns() - begin;
    char *expected = outcome(dir);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        o = with_seats(feed, new_dir(dir));
        /* One step behind each stop: a window would lack a bar in it for the next 128. */
        o.step_limit = limits[i] == 1 ? enough() + 40 : limits[i];
        struct session_result r = run(&o);
        if (limits[i] == 1) o.step_limit = 1;
        for (int rounds = 0; limits[i] == 1 && rounds < 20; rounds++) r = run(&o);
        if (limits[i] == 1) o.step_limit = 0;
        while (!r.complete) r = run(&o);
        assert_true(r.resumed && r.snapshot_step > 0);
        assert_same_run(&whole, &r);
        char *got = outcome(dir);
        assert_string_equal(got, expected);
        free(got);
    }
    struct session_result seen = verify(&o, dir, ST_OK, &err);
    assert_same_run(&whole, &seen);
    assert_int_equal(seen.predict_rows, 0);

    o = with_seats(feed, new_dir(dir));
    for (int kills = 0, streak = 0; kills < KILLS;) {
        int64_t span = took + took / 4 + streak * took / 4;
        if (killed_child(&o, 1000 + (int64_t)rng_below(&rng, (uint64_t)span))) {
            kills++;
            streak++;
            continue;
        }
        struct session_result r = run(&o);
        assert_same_run(&whole, &r);
        streak = 0;
        o = with_seats(feed, new_dir(dir));
    }
    struct session_result r = run(&o);
    assert_same_run(&whole, &r);
    free(expected);
    feed_close(feed);
}

/* ---- snapshots ---- */

/* Turns over one byte of the newest snapshot, counted from its beginning or (negative) from its end. */
static void turn_over(const char *run_dir, off_t at) {
    char path[2 * TAPE_PATH_SIZE + 64], newest[TAPE_PATH_SIZE] = "";
    snprintf(path, sizeof path, "%s/snapshots", run_dir);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (strncmp(e->d_name, "snapshot-", 9) == 0 && strcmp(e->d_name, newest) > 0)
            snprintf(newest, sizeof newest, "%.255s", e->d_name);
    closedir(d);
    assert_true(newest[0]);
    snprintf(path, sizeof path, "%s/snapshots/%s", run_dir, newest);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    unsigned char byte;
    off_t from = at < 0 ? lseek(fd, at, SEEK_END) : at;
    assert_true(from >= 0);
    assert_int_equal(pread(fd, &byte, 1, from), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, from), 1);
    close(fd);
}

/* Another program's snapshot (its version stands behind the magic), one whose memory is not what was written:
 * both are passed over, and the journal makes the run again. */
static void a_snapshot_that_does_not_hold_is_passed_over(void **state) {
    (void)state;
    const off_t bytes[] = {8, -1, -(off_t)net_history_size()};
    struct feed *feed = open_with_warmup(enough());
    struct session_options o = with_seats(feed, NULL);
    struct session_result whole = run(&o);
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        char dir[TAPE_PATH_SIZE + 32];
        o.run_dir = new_dir(dir);
        o.step_limit = enough() + 200;
        run(&o);
        turn_over(dir, bytes[i]);
        o.step_limit = 0;
        struct session_result r = run(&o);
        assert_true(r.resumed);
        assert_int_equal(r.snapshot_step, 0);
        assert_same_run(&whole, &r);
    }
    feed_close(feed);
}

/* Who is seated decides what a run is; a seat left empty is another run. */
static void each_seat_is_part_of_the_identity(void **state) {
    (void)state;
    struct feed *feed = open_with_warmup(enough());
    uint64_t seen[1 << SEATS];
    for (uint32_t set = 0; set < 1U << SEATS; set++) {
        struct session_options o = with_seats(feed, NULL);
        for (int i = 0; i < SEATS; i++)
            if (!(set >> i & 1)) o.models[seats[i]] = NULL;
        seen[set] = session_identity(&o);
        for (uint32_t other = 0; other < set; other++) assert_true(seen[other] != seen[set]);
    }
    feed_close(feed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warm_at_the_first_decision_and_not_a_bar_sooner),
        cmocka_unit_test(stops_and_kills_leave_no_trace),
        cmocka_unit_test(a_snapshot_that_does_not_hold_is_passed_over),
        cmocka_unit_test(each_seat_is_part_of_the_identity),
    };
    return cmocka_run_group_tests(tests, setup_models, teardown_models);
}
