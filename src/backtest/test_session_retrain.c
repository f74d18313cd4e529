/* Learning that goes on, unattended, in one run: a market in which takers lead, until one day they lead the other way.
 * What served is wrong from then on; it is found out, loses its vote, another is trained on what came since, tried in
 * shadow, promoted, and trades. Then: the same run twice, and killed and gone on with.
 *
 * The market is this test's own, and its truth is known: the sign of the next bars' drift is that of the takers' share,
 * and after the turn its opposite. */
#include "backtest/test_lead_market.h"
#include "backtest/test_run.h"
#include "kernel/journal.h"
#include "retrain/retrain.h"

enum {
    SYMBOLS = 6,
    BARS = 6800,
    LEARNED = 3000, /* bars before the run begins */
    TURN = 4200
};
static char registry_dir[TAPE_PATH_SIZE + 32], work_dir[TAPE_PATH_SIZE + 32];
static char names[SYMBOLS][SYMBOL_SIZE];
static struct bar *market; /* (SYMBOLS, BARS) */

/* ---- the market ---- */

static void make_market(uint64_t seed) {
    struct rng parent = rng_init(seed);
    market = calloc((size_t)SYMBOLS * BARS, sizeof *market);
    assert_non_null(market);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        snprintf(names[s], sizeof names[s], "T%02uUSDT", s);
        lead_bars(market + (size_t)s * BARS, BARS, TAPE_START_NS, TURN, rng_split(&parent, s));
    }
}

static void store_market(void) {
    struct rules rules[SYMBOLS];
    struct err err = {0};
    memset(rules, 0, sizeof rules);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        tape_put(store, names[s], market + (size_t)s * BARS, 0, BARS);
        lead_instrument(&rules[s].instrument, names[s]);
        rules[s].sources = RULES_FILTERS | RULES_BRACKETS | RULES_FUNDING;
    }
    tape_ok(rules_merge(store, rules, SYMBOLS, &err), &err);
}

/* Somebody presses Ctrl-C when this training has begun; 0: nobody. */
static uint32_t stop_at_training, trainings;
static volatile sig_atomic_t stop;

static enum status source_open(void *context, struct learn_series **out, size_t *count,
                               int64_t from_ns, int64_t to_ns, struct err *err) {
    (void)context, (void)err;
    if (++trainings == stop_at_training) stop = 1;
    struct learn_series *series = calloc(SYMBOLS, sizeof *series);
    assert_non_null(series);
    size_t a = from_ns > TAPE_START_NS
                   ? (size_t)((from_ns - TAPE_START_NS + NS_PER_MINUTE - 1) / NS_PER_MINUTE)
                   : 0;
    size_t b = (size_t)((to_ns - TAPE_START_NS) / NS_PER_MINUTE);
    assert_true(b <= BARS);
    for (uint32_t s = 0; s < SYMBOLS; s++)
        series[s] = (struct learn_series){names[s], market + (size_t)s * BARS + a, b - a};
    *out = series;
    *count = SYMBOLS;
    return ST_OK;
}

static void source_close(void *context, struct learn_series *series, size_t count) {
    (void)context, (void)count;
    free(series);
}

/* ---- a run ---- */

struct attempt {
    struct session_options options;
    struct retrain_config config;
    struct label_spec labels;
    char dir[TAPE_PATH_SIZE + 32];
};

static void attempt_open(struct attempt *a) {
    struct err err = {0};
    a->labels = label_spec_defaults();
    struct feed_tape_options fo = {.store = store,
                                   .market = "um",
                                   .interval_ns = NS_PER_MINUTE,
                                   .from_ns = TAPE_START_NS + LEARNED * NS_PER_MINUTE,
                                   .warmup_bars = 400};
    a->options = session_options_defaults();
    tape_ok(feed_open_tape(&a->options.feed, &fo, &err), &err);
    a->options.labels = &a->labels;
    a->options.run_dir = a->dir;
    a->options.retrain_hash = 77;
    a->config = retrain_config_defaults(NS_PER_MINUTE, &a->labels);
    a->config.registry_dir = registry_dir;
    a->config.work_dir = work_dir;
    a->config.kinds = 1u << MODEL_XGBOOST;
    a->config.symbol_count = SYMBOLS;
    a->config.window_ns = 2400 * NS_PER_MINUTE;
    a->config.schedule.period_ns = 14400 * NS_PER_SECOND;
    a->config.source = (struct retrain_source){NULL, source_open, source_close};
    a->config.threads = 1;
    a->config.stop = a->options.stop = &stop;
    const char *paths[MODEL_COUNT] = {[MODEL_XGBOOST] = model_path};
    tape_ok(
        retrain_create(&a->options.retrain, &a->config, paths, feed_from_ns(a->options.feed), &err),
        &err);
}

static void attempt_close(struct attempt *a) {
    retrain_destroy(a->options.retrain);
    feed_close(a->options.feed);
}

static void attempt_folder(struct attempt *a, const char *name) {
    memset(a, 0, sizeof *a);
    snprintf(a->dir, sizeof a->dir, "%s/%s", root, name);
    snprintf(registry_dir, sizeof registry_dir, "%s/%s-models", root, name);
    snprintf(work_dir, sizeof work_dir, "%s/%s-work", root, name);
}

static int learn_setup(void **state) {
    (void)state;
    tape_folder(root);
    snprintf(store, sizeof store, "%s/store", root);
    snprintf(model_path, sizeof model_path, "%s/model.json", root);
    make_market(11);
    store_market();
    struct learn_series *series;
    size_t count;
    struct learn_report report;
    struct err err = {0};
    source_open(NULL, &series, &count, 0, TAPE_START_NS + LEARNED * NS_PER_MINUTE, &err);
    struct learn_config config = learn_config_defaults();
    config.kind = MODEL_XGBOOST;
    config.interval_ns = NS_PER_MINUTE;
    config.from_ns = TAPE_START_NS;
    config.to_ns = TAPE_START_NS + LEARNED * NS_PER_MINUTE;
    config.threads = 1;
    tape_ok(learn_train(&report, model_path, series, count, &config, NULL, NULL, &err), &err);
    print_message("%s\n", report.verdict);
    assert_true(report.has_skill);
    source_close(NULL, series, count);
    return 0;
}

static int learn_teardown(void **state) {
    (void)state;
    free(market);
    tape_remove(root);
    return 0;
}

/* ---- what the journal tells ---- */

struct story {
    int64_t lost_ns, drift_ns,
        promoted_ns; /* lost: the first one's vote, by the supervisor or with its seat */
    uint64_t first, promoted;
    uint32_t rejected, shadows, trained;
    uint64_t intents_before, intents_without, intents_after;
};

static void read_story(struct story *s, const char *dir) {
    char path[TAPE_PATH_SIZE + 64];
    struct journal_reader *reader;
    struct journal_record r;
    struct err err = {0};
    memset(s, 0, sizeof *s);
    snprintf(path, sizeof path, "%s/journal", dir);
    tape_ok(journal_reader_open(&reader, path, 1, &err), &err);
    while (journal_next(reader, &r, &err) == ST_OK) {
        struct model_changed m;
        struct engine_changed e;
        if (r.type == EVENT_ENGINE_CHANGED) {
            memcpy(&e, r.payload, sizeof e);
            if (!strcmp(e.change, "excluded") && !s->lost_ns) s->lost_ns = e.ts;
        } else if (r.type == EVENT_MODEL_CHANGED) {
            memcpy(&m, r.payload, sizeof m);
            if (!strcmp(m.change, "demoted") && !s->lost_ns) s->lost_ns = m.ts;
            if (!strcmp(m.change, "training") && m.trigger == PROMOTION_DRIFT && !s->drift_ns)
                s->drift_ns = m.ts;
            s->trained += !strcmp(m.change, "trained");
            s->rejected += !strcmp(m.change, "rejected");
            s->shadows += !strcmp(m.change, "shadow");
            if (!s->first) s->first = m.serving;
            if (!strcmp(m.change, "promoted") && m.ts > s->lost_ns && s->lost_ns) {
                if (!s->promoted_ns) s->promoted_ns = m.ts;
                s->promoted = m.hash;
            }
        } else if (r.type == EVENT_TRADE_INTENT) {
            s->intents_before += s->lost_ns == 0;
            s->intents_without += s->lost_ns != 0 && r.ts_ns > s->lost_ns && s->promoted_ns == 0;
            s->intents_after += s->promoted_ns != 0;
        }
    }
    journal_reader_close(reader);
}

static int minute(int64_t ts_ns) {
    return (int)((ts_ns - TAPE_START_NS) / NS_PER_MINUTE);
}

static void a_market_that_turns_is_learned_again(void **state) {
    (void)state;
    struct attempt a;
    struct story s;
    attempt_folder(&a, "whole");
    attempt_open(&a);
    struct session_result r = run(&a.options);
    attempt_close(&a);
    read_story(&s, a.dir);
    print_message(
        "turn at minute %d; vote lost %d, training for drift %d, promoted %d; %u trained, %u "
        "rejected, %u shadows; intents %" PRIu64 " before, %" PRIu64 " without a voter, %" PRIu64
        " after\n",
        TURN, minute(s.lost_ns), minute(s.drift_ns), minute(s.promoted_ns), s.trained, s.rejected,
        s.shadows, s.intents_before, s.intents_without, s.intents_after);
    assert_true(r.complete);
    assert_true(s.intents_before > 20);
    /* Found out: not before the turn, and before the day is over. */
    assert_true(minute(s.lost_ns) > TURN && minute(s.lost_ns) < TURN + 1440);
    assert_int_equal(s.intents_without, 0); /* nobody votes, nothing is traded */
    assert_true(s.drift_ns >= s.lost_ns);   /* no period is waited for */
    /* Another one serves, and is let trade. */
    assert_true(s.promoted_ns > s.drift_ns && s.promoted != 0 && s.promoted != s.first);
    assert_true(s.shadows > 0 && s.rejected > 0);
    assert_true(s.intents_after > 20);
    assert_int_equal(r.retrain.seats[MODEL_XGBOOST].served != 0, 1);
    assert_true(r.retrain.runs >= (BARS - LEARNED) / 240 - 1);
}

/* The same again, killed at moments of its own and gone on with: one outcome. */
static void a_killed_run_comes_to_the_same(void **state) {
    (void)state;
    struct attempt whole, killed;
    attempt_folder(&killed, "killed");
    uint32_t kills = 0;
    for (int k = 0; k < 6; k++) {
        attempt_open(&killed);
        bool died = killed_child(&killed.options, (300 + 450 * k) * NS_PER_MS);
        attempt_close(&killed);
        kills += died;
        if (!died) break;
    }
    assert_true(kills >= 2);
    attempt_open(&killed);
    struct session_result r = run(&killed.options);
    attempt_close(&killed);
    attempt_folder(&whole, "whole");
    assert_true(r.complete);
    char *a = outcome(killed.dir), *b = outcome(whole.dir);
    assert_string_equal(a, b);
    free(a);
    free(b);
    struct story s, t;
    read_story(&s, killed.dir);
    read_story(&t, whole.dir);
    assert_memory_equal(&s, &t, sizeof s);
}

/* Ctrl-C during a training inside a close: the run ends there, cleanly, and the next start begins that training anew. */
static void stopped_inside_trainings(void **state) {
    (void)state;
    struct attempt whole, stopped;
    struct session_result r;
    attempt_folder(&stopped, "stopped");
    for (uint32_t k = 1; k <= 3; k++) {
        attempt_open(&stopped);
        trainings = 0;
        stop_at_training = k;
        r = run(&stopped.options);
        attempt_close(&stopped);
        assert_false(r.complete);
        assert_int_equal(stop, 1);
        assert_int_equal(trainings, k); /* and nothing more was begun */
        stop = 0;
    }
    stop_at_training = 0;
    attempt_open(&stopped);
    r = run(&stopped.options);
    attempt_close(&stopped);
    assert_true(r.complete);
    attempt_folder(&whole, "whole");
    char *a = outcome(stopped.dir), *b = outcome(whole.dir);
    assert_string_equal(a, b);
    free(a);
    free(b);
    struct story s, t;
    read_story(&s, stopped.dir);
    read_story(&t, whole.dir);
    assert_memory_equal(&s, &t, sizeof s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_market_that_turns_is_learned_again),
        cmocka_unit_test(a_killed_run_comes_to_the_same),
        cmocka_unit_test(stopped_inside_trainings),
    };
    return cmocka_run_group_tests(tests, learn_setup, learn_teardown);
}
