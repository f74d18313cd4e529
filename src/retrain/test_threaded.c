/* Trainings beside the kernel: a training here does not go on before the test lets it, so a close that came back did not
 * wait for one. Run under the thread sanitizer. */
#include <sched.h>
#include <semaphore.h>

#include "retrain/test_retrain_world.h"

int fdatasync(int fd) {
    return fd < 0;
}

int fsync(int fd) {
    return fd < 0;
}

static sem_t entered;      /* a training has begun */
static atomic_uint passes; /* trainings that may go on */
static atomic_uint cancelled;

static enum status good_plan(struct served_model *out, enum model_kind kind, int64_t to_ns) {
    (void)kind;
    (void)to_ns;
    out->share = 0.9;
    out->error = 0.003;
    return ST_OK;
}

static bool pass_take(void) {
    unsigned n = atomic_load(&passes);
    while (n > 0)
        if (atomic_compare_exchange_weak(&passes, &n, n - 1)) return true;
    return false;
}

static enum status gated_train(struct learn_report *out, const char *path,
                               const struct learn_series *series, size_t count,
                               const struct learn_config *config, learn_progress_fn progress,
                               void *context, struct err *e) {
    sem_post(&entered);
    while (!pass_take()) {
        if (!progress(context, "train", 0, 1, NAN, NAN)) {
            atomic_fetch_add(&cancelled, 1);
            return err_set(e, ST_INTERRUPTED, "stopped");
        }
        sched_yield();
    }
    return planted_train(out, path, series, count, config, progress, context, e);
}

static void entered_wait(void) {
    while (sem_wait(&entered) != 0) assert_int_equal(errno, EINTR);
}

static int gate_setup(void **state) {
    scratch_setup(state);
    assert_int_equal(sem_init(&entered, 0, 0), 0);
    atomic_store(&passes, 0);
    atomic_store(&cancelled, 0);
    world_make(test_seed(), BARS);
    plan = good_plan;
    return 0;
}

static struct retrain *handle_open(void) {
    struct retrain *r = NULL;
    struct retrain_config c = world_config();
    static struct retrain_hooks hooks;
    hooks = planted_hooks;
    hooks.train = gated_train;
    c.threaded = true;
    c.at_once = true;
    c.promotion.alpha = 0.01;
    assert_ok(retrain_create_with(&r, &c, &hooks, NULL, close_ns_of(FIRST - 1), &err));
    return r;
}

enum { CLOSES = 240 }; /* room; a trial takes some dozens */
static struct retrain_changes record[CLOSES];
static size_t closes; /* made so far */

static const struct retrain_changes *next_close(struct retrain *r) {
    struct turn t;
    assert_true(closes < CLOSES);
    turn_make(&t, r, FIRST + closes);
    assert_ok(retrain_close(r, &record[closes], &t.in, &err));
    turn_check(r, &record[closes]);
    return &record[closes++];
}

static void finished_wait(struct retrain *r, uint32_t kind) {
    while (!(trainer_finished(r->trainer) >> kind & 1)) sched_yield();
}

static unsigned char *state_make(struct retrain *r) {
    unsigned char *bytes = calloc(1, retrain_state_size(r));
    assert_non_null(bytes);
    retrain_state_save(r, bytes);
    return bytes;
}

static void closes_go_on(void **state) {
    (void)state;
    closes = 0;
    struct retrain *r = handle_open();
    unsigned char *start = state_make(r);
    const struct retrain_changes *got = next_close(r);
    assert_int_equal(got->count, 2);
    assert_true(is_change(&got->items[0], "training") && is_change(&got->items[1], "training"));
    entered_wait();
    /* Two periods pass: nothing is begun, nothing has ended. */
    for (int i = 0; i < 9; i++) assert_int_equal(next_close(r)->count, 0);
    struct view_retrain view;
    retrain_view(&view, r);
    assert_int_equal(view.running, PROMOTION_PERIOD);
    atomic_store(&passes, 1);
    finished_wait(r, MODEL_XGBOOST);
    got = next_close(r);
    assert_int_equal(got->count, 2);
    assert_true(is_change(&got->items[0], "trained") && is_change(&got->items[1], "shadow"));
    assert_int_equal(got->items[0].model, MODEL_XGBOOST);
    for (int i = 0; i < 3; i++) assert_int_equal(next_close(r)->count, 0);
    atomic_store(&passes, 1);
    finished_wait(r, MODEL_NHITS);
    got = next_close(r);
    assert_int_equal(got->items[0].model, MODEL_NHITS);
    assert_true(is_change(&got->items[0], "trained"));
    /* Their trials, while others are being trained and do not end: one that ended might take a challenger's place, and
     * when it does is the threads' to say. */
    while (!retrain_model(r, MODEL_XGBOOST) || !retrain_model(r, MODEL_NHITS)) next_close(r);
    /* Served, and asked here while others are trained there, and end whenever they do. */
    atomic_store(&passes, 1000);
    for (int i = 0; i < 30; i++) next_close(r);
    assert_true(retrain_model(r, MODEL_XGBOOST) && retrain_model(r, MODEL_NHITS));
    unsigned char *end = state_make(r);
    retrain_destroy(r);
    /* From the record, without one training. */
    atomic_store(&passes, 0);
    r = handle_open();
    assert_ok(retrain_state_restore(r, start, retrain_state_size(r), &err));
    for (size_t i = 0; i < closes; i++) {
        struct turn t;
        struct retrain_changes out;
        turn_make(&t, r, FIRST + i);
        t.in.recovering = true;
        t.in.recorded = record[i].items;
        t.in.recorded_count = record[i].count;
        assert_ok(retrain_close(r, &out, &t.in, &err));
        assert_int_equal(out.count, record[i].count);
        assert_memory_equal(out.items, record[i].items, out.count * sizeof out.items[0]);
    }
    assert_null(r->trainer);
    unsigned char *replayed = state_make(r);
    assert_memory_equal(replayed, end, retrain_state_size(r));
    retrain_destroy(r);
    free(start);
    free(end);
    free(replayed);
}

static void destroyed_while_training(void **state) {
    (void)state;
    closes = 0;
    struct retrain *r = handle_open();
    next_close(r);
    entered_wait();
    retrain_destroy(r);
    assert_int_equal(atomic_load(&cancelled), 1); /* the other kind's is not begun */
}

/* A process that ends while it trains: told at the first close that is not on record, tried again after a back-off. */
static void restarted_while_training(void **state) {
    (void)state;
    closes = 0;
    struct retrain *r = handle_open();
    next_close(r);
    entered_wait();
    next_close(r);
    unsigned char *bytes = state_make(r);
    retrain_destroy(r);
    r = handle_open();
    assert_ok(retrain_state_restore(r, bytes, retrain_state_size(r), &err));
    atomic_store(&passes, 1000);
    struct turn t;
    turn_make(&t, r, FIRST + closes);
    t.in.recovering = true; /* this close is on record still: nothing happened at it */
    assert_ok(retrain_close(r, &record[closes++], &t.in, &err));
    assert_int_equal(record[closes - 1].count, 0);
    const struct retrain_changes *got = next_close(r);
    assert_int_equal(got->count, 2);
    for (int i = 0; i < 2; i++) {
        assert_true(is_change(&got->items[i], "failed"));
        assert_string_equal(got->items[i].reason, "restart");
        assert_int_equal(got->items[i].trigger, PROMOTION_PERIOD);
    }
    /* The fifth close is a period's: after one failure it is used. */
    got = next_close(r);
    assert_int_equal(got->count, 2);
    assert_true(is_change(&got->items[0], "training") && is_change(&got->items[1], "training"));
    retrain_destroy(r);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(closes_go_on, gate_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(destroyed_while_training, gate_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(restarted_while_training, gate_setup, scratch_teardown),
    };
    log_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
