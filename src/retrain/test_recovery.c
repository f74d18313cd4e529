/* What a journal and a state bring back: executed again from records, gone on from any close, killed at any write. */
#include "retrain/test_retrain_world.h"

/* Syncs until the process dies; 0: never. */
static int dies_at;

static int sync_or_die(int fd) {
    if (dies_at > 0 && --dies_at == 0) _exit(42);
    return fd < 0;
}

int fdatasync(int fd) {
    return sync_or_die(fd);
}

int fsync(int fd) {
    return sync_or_die(fd);
}

enum { CLOSES = 12 * 24, STATE_MAX = 1 << 16, TURNED = FIRST + 5 * 24 };

static enum status short_plan(struct served_model *out, enum model_kind kind, int64_t to_ns) {
    size_t bar = bars_before(to_ns), turn = bar / 4 + (kind == MODEL_NHITS ? 1 : 0);
    if (kind == MODEL_XGBOOST && turn % 11 == 4) return ST_RANGE;
    bool good = turn % 3 == 0;
    out->share = good ? 0.9 : 0.05;
    out->error = good ? 0.003 : 0.008;
    if (bar > world.turned) out->share = good && bar > world.turned + 24 ? -0.9 : 0;
    out->report.has_skill = turn % 7 != 5;
    return ST_OK;
}

struct tape {
    struct retrain_changes changes[CLOSES];
    unsigned char *states; /* (CLOSES + 1, size): before each close, and behind the last */
    size_t size;
};

static unsigned char *state_of(const struct tape *tape, size_t close) {
    return tape->states + close * tape->size;
}

static struct retrain_config recovery_config(bool keep) {
    struct retrain_config c = world_config();
    c.keep_rejected_bytes = keep ? UINT64_MAX : 0;
    c.at_once = true;
    c.promotion.alpha = 0.01;
    return c;
}

static struct retrain *handle_open(const struct retrain_config *c) {
    struct retrain *r = NULL;
    assert_ok(retrain_create_with(&r, c, &planted_hooks, NULL, close_ns_of(FIRST - 1), &err));
    return r;
}

static struct retrain *handle_at(const struct retrain_config *c, const struct tape *tape,
                                 size_t close) {
    struct retrain *r = handle_open(c);
    assert_ok(retrain_state_restore(r, state_of(tape, close), tape->size, &err));
    return r;
}

static void close_run(struct retrain *r, struct retrain_changes *out, size_t close) {
    struct turn t;
    turn_make(&t, r, FIRST + close);
    assert_ok(retrain_close(r, out, &t.in, &err));
    turn_check(r, out);
}

static void tape_start(struct tape *tape, struct retrain *r) {
    tape->size = retrain_state_size(r);
    assert_true(tape->size < STATE_MAX);
    tape->states = malloc((CLOSES + 1) * tape->size);
    assert_non_null(tape->states);
    retrain_state_save(r, tape->states);
}

static void tape_run(struct tape *tape, const struct retrain_config *c) {
    struct retrain *r = handle_open(c);
    tape_start(tape, r);
    for (size_t i = 0; i < CLOSES; i++) {
        close_run(r, &tape->changes[i], i);
        retrain_state_save(r, state_of(tape, i + 1));
    }
    retrain_destroy(r);
}

static void same_changes(const struct retrain_changes *a, const struct retrain_changes *b) {
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->items, b->items, a->count * sizeof a->items[0]);
}

static void same_state(struct retrain *r, const struct tape *tape, size_t close) {
    static _Alignas(64) unsigned char bytes[STATE_MAX];
    retrain_state_save(r, bytes);
    assert_memory_equal(bytes, state_of(tape, close), tape->size);
}

/* Close `close` again, the first `cut` of its changes on record. */
static void again(struct retrain *r, const struct tape *tape, size_t close, uint32_t cut,
                  bool recovering) {
    struct turn t;
    struct retrain_changes out;
    const struct retrain_changes *want = &tape->changes[close];
    turn_make(&t, r, FIRST + close);
    t.in.recovering = recovering;
    t.in.recorded = want->items;
    t.in.recorded_count = cut;
    assert_ok(retrain_close(r, &out, &t.in, &err));
    same_changes(&out, want);
    same_state(r, tape, close + 1);
}

/* ---- tests ---- */

static void from_the_beginning(void **state) {
    (void)state;
    static struct tape tape;
    world_make(test_seed(), TURNED);
    plan = short_plan;
    struct retrain_config c = recovery_config(true);
    tape_run(&tape, &c);
    size_t total = 0;
    for (size_t i = 0; i < CLOSES; i++) total += tape.changes[i].count;
    print_message("%zu changes in %d closes, %zu bytes of state\n", total, CLOSES, tape.size);
    /* Without a state: as of the start nobody served, whatever the registry says today. */
    struct retrain *r = handle_open(&c);
    for (size_t i = 0; i < CLOSES; i++) again(r, &tape, i, tape.changes[i].count, true);
    retrain_destroy(r);
    /* The figures of its trials are lost: they are made again from the candles. */
    char command[400];
    snprintf(command, sizeof command, "rm -f %s/*.trial", c.work_dir);
    assert_int_equal(system(command), 0);
    r = handle_at(&c, &tape, 0);
    for (size_t i = 0; i < CLOSES; i++) again(r, &tape, i, tape.changes[i].count, true);
    retrain_destroy(r);
    free(tape.states);
}

static void on_from_any_close(void **state) {
    (void)state;
    static struct tape tape;
    uint64_t seed = test_seed();
    struct rng rng = rng_init(seed);
    world_make(seed, TURNED);
    plan = short_plan;
    struct retrain_config c = recovery_config(true);
    tape_run(&tape, &c);
    for (int n = 0; n < 12; n++) {
        size_t from = rng_below(&rng, CLOSES - 30), replayed = rng_below(&rng, 10);
        struct retrain *r = handle_at(&c, &tape, from);
        for (size_t i = from; i < from + 30; i++)
            again(r, &tape, i, i < from + replayed ? tape.changes[i].count : 0,
                  i < from + replayed);
        retrain_destroy(r);
    }
    reopen(false);
    assert_int_equal(problems(tell, NULL), 0);
    free(tape.states);
}

/* The record ends behind each of a close's changes; the registry has them all already. */
static void record_ends_anywhere(void **state) {
    (void)state;
    static struct tape tape;
    world_make(test_seed(), TURNED);
    plan = short_plan;
    struct retrain_config c = recovery_config(false);
    struct retrain *r = handle_open(&c);
    size_t cuts = 0;
    tape_start(&tape, r);
    for (size_t i = 0; i < CLOSES; i++) {
        close_run(r, &tape.changes[i], i);
        retrain_state_save(r, state_of(&tape, i + 1));
        for (uint32_t cut = 0; tape.changes[i].count && cut <= tape.changes[i].count; cut++) {
            struct retrain *other = handle_at(&c, &tape, i);
            again(other, &tape, i, cut, false);
            retrain_destroy(other);
            cuts++;
        }
    }
    retrain_destroy(r);
    print_message("%zu places\n", cuts);
    reopen(false);
    assert_int_equal(problems(tell, NULL), 0);
    free(tape.states);
}

static void shell(const char *format, const char *a, const char *b) {
    char command[700];
    snprintf(command, sizeof command, format, a, b);
    assert_int_equal(system(command), 0);
}

static bool worth_killing(const struct retrain_changes *changes, uint32_t *seen) {
    static const char *const kinds[] = {"shadow", "promoted", "demoted", "rejected", "installed"};
    uint32_t here = 0;
    for (uint32_t i = 0; i < changes->count; i++)
        for (uint32_t k = 0; k < 5; k++)
            if (is_change(&changes->items[i], kinds[k])) here |= 1U << k;
    bool is_new = (here & ~*seen) != 0;
    *seen |= here;
    return is_new;
}

static char saved[256], models[256], work[256];

/* The folders as they were before a close, and `die` at its n-th sync, in a process of its own: true if it got there. */
static bool kill_at(const struct retrain_config *c, const struct tape *tape, size_t close, int n) {
    shell("rm -rf %s %s", models, work);
    shell("cp -a %s/* %s", saved, scratch);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct retrain_changes out;
        struct retrain *r = handle_at(c, tape, close);
        dies_at = n;
        close_run(r, &out, close);
        _exit(0);
    }
    int code;
    assert_int_equal(waitpid(pid, &code, 0), pid);
    assert_true(WIFEXITED(code) && (WEXITSTATUS(code) == 0 || WEXITSTATUS(code) == 42));
    return WEXITSTATUS(code) == 42;
}

/* At each write of closes that promote, demote, try, reject: the process dies, another one takes over. */
static void killed_at_each_write(void **state) {
    (void)state;
    static struct tape tape;
    world_make(test_seed(), TURNED);
    plan = short_plan;
    struct retrain_config c = recovery_config(false);
    uint32_t seen = 0;
    size_t kills = 0;
    snprintf(saved, sizeof saved, "%s", in_scratch("saved"));
    snprintf(models, sizeof models, "%s", c.registry_dir);
    snprintf(work, sizeof work, "%s", c.work_dir);
    tape_run(&tape, &c);
    shell("rm -rf %s %s", models, work);
    struct retrain *r = handle_open(&c);
    for (size_t i = 0; i < CLOSES; i++) {
        if (worth_killing(&tape.changes[i], &seen)) {
            retrain_destroy(r);
            shell("rm -rf %s && mkdir %s", saved, saved);
            shell("cp -a %s %s", models, saved);
            shell("cp -a %s %s", work, saved);
            bool died = true;
            for (int n = 1; died; n++) {
                died = kill_at(&c, &tape, i, n);
                r = handle_at(&c, &tape, i);
                again(r, &tape, i, 0, false);
                retrain_destroy(r);
                reopen(false);
                assert_int_equal(problems(tell, NULL), 0);
                registry_close(reg);
                reg = NULL;
                kills += died;
            }
            r = handle_at(&c, &tape, i + 1);
        } else {
            again(r, &tape, i, 0, false);
        }
    }
    retrain_destroy(r);
    print_message("%zu deaths; kinds of closes: %#x\n", kills, seen);
    assert_int_equal(seen & 0xf, 0xf);
    free(tape.states);
}

/* ---- records that do not hold ---- */

static void refused(const struct retrain_config *c, const struct tape *tape, size_t close,
                    const struct model_changed *recorded, uint32_t count, const char *word) {
    struct retrain *r = handle_at(c, tape, close);
    struct turn t;
    struct retrain_changes out;
    turn_make(&t, r, FIRST + close);
    t.in.recovering = true;
    t.in.recorded = recorded;
    t.in.recorded_count = count;
    assert_status(retrain_close(r, &out, &t.in, &err), ST_CORRUPT);
    if (!strstr(err.text, word)) print_error("%s\n", err.text);
    assert_non_null(strstr(err.text, word));
    retrain_destroy(r);
}

static void false_records(void **state) {
    (void)state;
    static struct tape tape;
    static struct retrain_changes bad;
    world_make(test_seed(), TURNED);
    plan = short_plan;
    struct retrain_config c = recovery_config(true);
    tape_run(&tape, &c);
    size_t checked = 0;
    for (size_t i = 0; i < CLOSES; i++) {
        const struct retrain_changes *good = &tape.changes[i];
        if (good->count < 3) continue;
        bool shadow = false;
        for (uint32_t k = 0; k < good->count; k++) shadow |= is_change(&good->items[k], "shadow");
        if (!shadow) continue;
        refused(&c, &tape, i, good->items, good->count - 1, "the record has no more");
        bad = *good;
        bad.items[bad.count] = bad.items[0];
        refused(&c, &tape, i, bad.items, bad.count + 1, "made no such change");
        for (uint32_t k = 0; k < good->count; k++) {
            if (is_change(&good->items[k], "trained") || is_change(&good->items[k], "failed"))
                continue;
            bad = *good;
            bad.items[k].wealth = 3.25;
            refused(&c, &tape, i, bad.items, bad.count, "on record");
        }
        if (++checked == 3) break;
    }
    assert_int_equal(checked, 3);
    free(tape.states);
}

static void false_states(void **state) {
    (void)state;
    static struct tape tape;
    world_make(test_seed(), TURNED);
    plan = short_plan;
    struct retrain_config c = recovery_config(false);
    struct retrain *r = handle_open(&c);
    tape_start(&tape, r);
    unsigned char *bytes = malloc(tape.size);
    assert_non_null(bytes);
    struct rng rng = rng_init(test_seed());
    for (int n = 0; n < 300; n++) {
        memcpy(bytes, tape.states, tape.size);
        bytes[rng_below(&rng, tape.size)] ^= (unsigned char)(1U << rng_below(&rng, 8));
        assert_int_not_equal(retrain_state_restore(r, bytes, tape.size, &err), ST_OK);
        assert_int_not_equal(retrain_state_restore(r, bytes, rng_below(&rng, tape.size), &err),
                             ST_OK);
    }
    assert_ok(retrain_state_restore(r, tape.states, tape.size, &err));
    retrain_destroy(r);
    c.labels.barrier_atr = 3;
    r = handle_open(&c);
    assert_status(retrain_state_restore(r, tape.states, tape.size, &err), ST_MISMATCH);
    retrain_destroy(r);
    free(bytes);
    free(tape.states);
}

/* ---- by hand ---- */

/* Somebody promotes and rolls back in the registry while it runs; then all of it again from the record. */
static void by_hand(void **state) {
    (void)state;
    static struct tape tape;
    world_make(test_seed(), BARS);
    plan = short_plan;
    struct retrain_config c = recovery_config(true);
    struct retrain *r = handle_open(&c);
    tape_start(&tape, r);
    size_t closes = 0, installed = 0, asked = 0;
    struct registry_entry entry, other;
    for (size_t i = 0; i < 40; i++) {
        struct turn t;
        reopen(false);
        struct registry_change say = {"cli", "by hand", NULL, close_ns_of(FIRST + i) - 1};
        if (i == 10 || i == 20) {
            char path[300];
            struct served_model m = planted_make(MODEL_NHITS, 0.1 * (double)i, 0.01,
                                                 close_ns_of(FIRST), 40 * NS_PER_DAY);
            snprintf(path, sizeof path, "%s", in_scratch("hand"));
            planted_write(path, &m);
            const struct registry_card card = {.kind = MODEL_NHITS,
                                               .interval_ns = NS_PER_HOUR,
                                               .data_end_ns = m.data_end_ns,
                                               .report = &m.report,
                                               .labels = &world_labels,
                                               .trigger = "hand"};
            assert_ok(registry_add(reg, &entry, path, &card, &say, &err));
            assert_ok(registry_promote(reg, entry.id, PROMOTION_INSTALL, &say, &err));
        }
        if (i == 30)
            assert_ok(registry_retreat(reg, &other, MODEL_NHITS, PROMOTION_ROLL_BACK, &say, &err));
        registry_close(reg);
        reg = NULL;
        turn_make(&t, r, FIRST + i);
        t.in.by_hand = i == 15;
        assert_ok(retrain_close(r, &tape.changes[i], &t.in, &err));
        turn_check(r, &tape.changes[i]);
        retrain_state_save(r, state_of(&tape, i + 1));
        for (uint32_t k = 0; k < tape.changes[i].count; k++) {
            const struct model_changed *m = &tape.changes[i].items[k];
            installed += is_change(m, "installed");
            asked += is_change(m, "training") && m->trigger == PROMOTION_HAND;
            if (!is_change(m, "installed")) continue;
            assert_int_equal(m->hash, i == 30 ? other.hash : entry.hash);
            assert_string_equal(m->reason, i == 30 ? "rolled_back" : "by_hand");
        }
        closes++;
    }
    retrain_destroy(r);
    assert_int_equal(installed, 3);
    assert_int_equal(asked, 2);
    r = handle_at(&c, &tape, 0);
    for (size_t i = 0; i < closes; i++) again(r, &tape, i, tape.changes[i].count, true);
    retrain_destroy(r);
    free(tape.states);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(from_the_beginning, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(on_from_any_close, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(record_ends_anywhere, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(killed_at_each_write, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(false_records, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(false_states, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(by_hand, scratch_setup, scratch_teardown),
    };
    log_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
