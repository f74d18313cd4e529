/* A month of two seats under a virtual clock, every 14,400 s, on a small market: both verdicts, drift, failures and
 * back-off, swaps, degradation, demotion and return; every decision in the registry's audit. Then by hand. */
#include "retrain/test_retrain_world.h"

int fdatasync(int fd) {
    return fd < 0;
}

int fsync(int fd) {
    return fd < 0;
}

enum { FAIL_FROM = FIRST + 5 * 24, FAIL_TO = FAIL_FROM + 24, DRIFT_AT = FIRST + 9 * 24 + 1 };

/* Every third one of a kind believes in the signal, every seventh has no skill; after the turn the good ones believe in
 * the contrary, once there are two days of it. N-HiTS trains one half period later in the row. */
static enum status month_plan(struct served_model *out, enum model_kind kind, int64_t to_ns) {
    size_t bar = bars_before(to_ns), turn = bar / 4 + (kind == MODEL_NHITS ? 1 : 0);
    if (kind == MODEL_XGBOOST && bar > FAIL_FROM && bar <= FAIL_TO) return ST_RANGE;
    bool good = turn % 3 == 0, contrary = bar > world.turned;
    out->share = good ? 0.9 : 0.05;
    out->error = good ? 0.003 : 0.008;
    if (contrary) out->share = good && bar > world.turned + 48 ? -0.9 : 0;
    out->report.has_skill = turn % 7 != 5;
    return ST_OK;
}

struct month {
    struct model_changed changes[4096];
    size_t count;
    unsigned char *state;
    size_t size;
};

static size_t count_of(const struct month *m, enum model_kind kind, const char *change,
                       const char *reason) {
    size_t n = 0;
    for (size_t i = 0; i < m->count; i++)
        n += m->changes[i].model == kind && is_change(&m->changes[i], change) &&
             (!reason || strcmp(m->changes[i].reason, reason) == 0);
    return n;
}

/* XGBoost's seat is given to one that knows a fifth, as from a command line; nobody has the other. */
static void month_run(struct month *m) {
    struct retrain_config c = world_config();
    struct retrain *r = NULL;
    int64_t start = close_ns_of(FIRST - 1);
    const char *paths[MODEL_COUNT] = {in_scratch("given")};
    struct served_model weak =
        planted_make(MODEL_XGBOOST, 0.2, 0.001, start - 20 * NS_PER_DAY, 40 * NS_PER_DAY);
    planted_write(paths[0], &weak);
    assert_ok(retrain_create_with(&r, &c, &planted_hooks, paths, start, &err));
    assert_non_null(retrain_model(r, MODEL_XGBOOST));
    assert_null(retrain_model(r, MODEL_NHITS));
    m->count = 0;
    for (size_t bar = FIRST; bar < BARS; bar++) {
        struct turn t;
        struct retrain_changes changes;
        turn_make(&t, r, bar);
        t.in.drift[MODEL_NHITS] = bar == DRIFT_AT;
        assert_ok(retrain_close(r, &changes, &t.in, &err));
        turn_check(r, &changes);
        assert_true(m->count + changes.count <= 4096);
        memcpy(m->changes + m->count, changes.items, changes.count * sizeof *m->changes);
        m->count += changes.count;
    }
    m->size = retrain_state_size(r);
    m->state = aligned_alloc(64, (m->size + 63) & ~(size_t)63);
    assert_non_null(m->state);
    retrain_state_save(r, m->state);
    retrain_destroy(r);
}

/* ---- what the month shows ---- */

/* Within the hour that must lie between two trainings, or at the same close. */
static bool demoted_lately(const struct month *m, size_t i) {
    for (size_t j = i; j-- > 0 && m->changes[j].ts >= m->changes[i].ts - NS_PER_HOUR;)
        if (m->changes[j].model == m->changes[i].model && is_change(&m->changes[j], "demoted"))
            return true;
    return false;
}

struct audit {
    const struct month *m;
    size_t rows, matched;
};

/* Each row of the audit is a change that was told, but for arrivals, removals and the other side of a swap. */
static bool audit_row(void *context, const struct registry_audit_row *row) {
    struct audit *a = context;
    static const struct {
        const char *event, *change;
    } pairs[] = {{"add", "trained"},     {"shadow_begin", "shadow"}, {"accept", "accepted"},
                 {"reject", "rejected"}, {"promote", "promoted"},    {"demote", "demoted"}};
    if (row->ts_ns < close_ns_of(FIRST)) return true; /* the one that was given */
    for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++) {
        if (strcmp(row->event, pairs[p].event) != 0) continue;
        a->rows++;
        for (size_t i = 0; i < a->m->count; i++)
            a->matched += a->m->changes[i].hash == row->hash && a->m->changes[i].ts == row->ts_ns &&
                          is_change(&a->m->changes[i], pairs[p].change);
    }
    return true;
}

static void audit_check(const struct month *m) {
    struct audit a = {.m = m};
    reopen(false);
    assert_ok(registry_audit(reg, 0, 0, audit_row, &a, &err));
    assert_int_equal(a.rows, a.matched);
    size_t told = 0;
    for (size_t i = 0; i < m->count; i++)
        told += !is_change(&m->changes[i], "training") && !is_change(&m->changes[i], "failed");
    assert_int_equal(a.rows, told);
    assert_int_equal(problems(tell, NULL), 0);
}

static void files_check(void) {
    size_t files = 0;
    const char *const dirs[] = {"models/objects", "work"};
    for (int i = 0; i < 2; i++) {
        char command[400];
        snprintf(command, sizeof command, "ls %s | wc -l", in_scratch(dirs[i]));
        FILE *p = popen(command, "r");
        assert_non_null(p);
        assert_int_equal(fscanf(p, "%zu", &files), 1);
        pclose(p);
        print_message("%s: %zu files\n", dirs[i], files);
        assert_true(files <= 2 * (2 * RETRAIN_LEAVING_MAX + 3));
    }
}

static void a_month(void **state) {
    (void)state;
    static struct month m, again;
    uint64_t seed = test_seed();
    world_make(seed, FIRST + 18 * 24);
    plan = month_plan;
    month_run(&m);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        enum model_kind kind = (enum model_kind)k;
        if (kind != MODEL_XGBOOST && kind != MODEL_NHITS) {
            assert_int_equal(count_of(&m, kind, "training", NULL), 0);
            continue;
        }
        size_t attempts = count_of(&m, kind, "training", NULL);
        size_t failed = count_of(&m, kind, "failed", NULL);
        print_message("%s: %zu trainings, %zu failed, %zu shadows, %zu promoted, %zu demoted; "
                      "rejected: %zu without skill, %zu by the rule, %zu busy, %zu displaced\n",
                      model_kind_text(kind), attempts, failed, count_of(&m, kind, "shadow", NULL),
                      count_of(&m, kind, "promoted", NULL), count_of(&m, kind, "demoted", NULL),
                      count_of(&m, kind, "rejected", "no_skill"),
                      count_of(&m, kind, "rejected", "error_not_3_percent_lower") +
                          count_of(&m, kind, "rejected", "sharpe_not_higher"),
                      count_of(&m, kind, "rejected", "shadow_busy"),
                      count_of(&m, kind, "rejected", "displaced_by_newer"));
        assert_int_equal(attempts, failed + count_of(&m, kind, "trained", NULL));
        assert_true(count_of(&m, kind, "promoted", NULL) >= 2);
        assert_true(count_of(&m, kind, "rejected", "no_skill") >= 10);
        assert_true(count_of(&m, kind, "rejected", "error_not_3_percent_lower") >= 10);
        assert_true(count_of(&m, kind, "demoted", NULL) >= 1);
    }
    /* The first is due a period after the start: 179 in 30 days less the first close. The failing day: three attempts,
     * waits of 1, 2, 4 periods. Drift asks for one more, and so does a demotion. */
    assert_int_equal(count_of(&m, MODEL_XGBOOST, "failed", NULL), 3);
    assert_int_equal(count_of(&m, MODEL_XGBOOST, "training", "period"), DAYS * 6 - 1 - 4);
    assert_int_equal(count_of(&m, MODEL_NHITS, "failed", NULL), 0);
    assert_int_equal(count_of(&m, MODEL_NHITS, "training", "period"), DAYS * 6 - 1);
    size_t rolled_back = 0, emptied = 0, drifted = 0;
    for (size_t i = 0; i < m.count; i++) {
        const struct model_changed *x = &m.changes[i];
        if (is_change(x, "training") && x->trigger == PROMOTION_DRIFT) {
            bool asked = x->model == MODEL_NHITS && x->ts == close_ns_of(DRIFT_AT);
            assert_true(asked || demoted_lately(&m, i));
            drifted += asked;
        }
        if (is_change(x, "promoted")) assert_int_equal(x->serving, x->hash);
        if (is_change(x, "demoted")) assert_true(x->serving != x->hash);
        rolled_back += is_change(x, "demoted") && x->serving != 0;
        emptied += is_change(x, "demoted") && x->serving == 0;
    }
    print_message("demotions: the predecessor serves again in %zu, nobody in %zu\n", rolled_back,
                  emptied);
    assert_true(rolled_back >= 1 && emptied >= 1);
    assert_int_equal(drifted, 1);
    audit_check(&m);
    files_check();
    /* The same again elsewhere: the same changes, the same bytes. */
    scratch_empty();
    month_run(&again);
    assert_int_equal(m.count, again.count);
    assert_memory_equal(m.changes, again.changes, m.count * sizeof *m.changes);
    assert_int_equal(m.size, again.size);
    assert_memory_equal(m.state, again.state, m.size);
    free(m.state);
    free(again.state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_month, scratch_setup, scratch_teardown),
    };
    log_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
