/* A run on a venue that learns while it trades: it keeps its candles, trains on them, tries, promotes, trades with whom it
 * promoted. Killed while it polls, before and after commands, at syncs of the disk, at the beginning of trainings: what is
 * on record is not done again, its candles have no hole and none twice, its journal leads to the same state. With a
 * thread for the trainings it ends when it is told to. TEST_SEED=n repeats. */
#include <sched.h>
#include <stdatomic.h>

#include "backtest/live_candles.h"
#include "backtest/test_lead_market.h"
#include "base/log.h"
#include "feature/feature.h"
#include "kernel/journal.h"
#include "registry/registry.h"
#include "store/candles.h"

enum { SYMBOLS = 6, LEARNED = 2600, LIVE = 900, BARS = LEARNED + LIVE, HISTORY = 2400 };
static const int64_t MINUTE = 60 * NS_PER_SECOND;
static const int64_t T0 = INT64_C(1735689600) * NS_PER_SECOND;
#define POLL_SECONDS 20

#include "backtest/test_live_venue.h"

enum { ROUNDS = 3 };
enum { AT_SYNC = 3, AT_TRAINING = 4, PLACES = 5 };
static char root[TAPE_PATH_SIZE];
static int32_t *syncs_to_live; /* shared; 0: they harm nobody */
static uint32_t *opened;       /* shared: trainings begun */

static int sync_or_die(int fd) {
    if (*syncs_to_live > 0 && --*syncs_to_live == 0) {
        crashes[AT_SYNC]++;
        kill(getpid(), SIGKILL);
    }
    return fd < 0;
}

int fdatasync(int fd) {
    return sync_or_die(fd);
}

int fsync(int fd) {
    return sync_or_die(fd);
}

static void market_new(uint64_t seed) {
    struct rng parent = rng_init(seed);
    memset(remote, 0, sizeof *remote);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        char name[SYMBOL_SIZE];
        snprintf(name, sizeof name, "T%02uUSDT", s);
        lead_instrument(&remote->instruments[s], name);
        lead_bars(remote->bars[s], BARS, T0, BARS, rng_split(&parent, s));
    }
    remote_begin(LEARNED);
}

/* ---- a run ---- */

struct life {
    char dir[TAPE_PATH_SIZE + 32], store[TAPE_PATH_SIZE + 64], models[TAPE_PATH_SIZE + 64],
        work[TAPE_PATH_SIZE + 64];
    uint64_t steps; /* 0: no limit */
    bool verify, threaded, patient;
    volatile sig_atomic_t *stop;
    struct session_result result;
};

static struct life life_in(const char *name) {
    struct life l = {0};
    snprintf(l.dir, sizeof l.dir, "%s/%s", root, name);
    snprintf(l.store, sizeof l.store, "%s/store", l.dir);
    snprintf(l.models, sizeof l.models, "%s/models", l.dir);
    snprintf(l.work, sizeof l.work, "%s/training", l.dir);
    return l;
}

static struct retrain_source inner; /* this process's */
static atomic_uint prepared, shut;  /* rounds of trainings begun, over */

static enum status counted_open(void *context, struct learn_series **out, size_t *count,
                                int64_t from_ns, int64_t to_ns, struct err *err) {
    ++*opened;
    die_at(AT_TRAINING);
    return inner.open(context, out, count, from_ns, to_ns, err);
}

static enum status counted_prepare(void *context, struct err *err) {
    atomic_fetch_add(&prepared, 1);
    return inner.prepare(context, err);
}

/* Behind it a thread has nothing left to do but to sleep: its results are there. */
static void counted_close(void *context, struct learn_series *series, size_t count) {
    inner.close(context, series, count);
    atomic_fetch_add(&shut, 1);
}

/* A market in which nothing happens while models are trained. */
static enum status patient_poll(void *context, int64_t until_ns, struct err *err) {
    while (atomic_load(&prepared) > atomic_load(&shut)) sched_yield();
    return p_poll(context, until_ns, err);
}

static struct retrain_config retraining(const struct life *l, const struct label_spec *labels) {
    struct retrain_config c = retrain_config_defaults(MINUTE, labels);
    c.registry_dir = l->models;
    c.work_dir = l->work;
    c.kinds = 1u << MODEL_XGBOOST;
    c.symbol_count = SYMBOLS;
    c.window_ns = HISTORY * MINUTE;
    c.rows_max = 6000;
    c.at_once = true;
    c.threaded = l->threaded;
    c.keep_rejected_bytes = UINT64_MAX;
    c.source = inner;
    c.source.prepare = counted_prepare;
    c.source.open = counted_open;
    c.source.close = counted_close;
    return c;
}

static void life_run(void *context) {
    struct life *l = context;
    struct client client;
    struct venue_port port = client_port(&client);
    struct label_spec labels = label_spec_defaults();
    struct session_options o = session_options_defaults();
    struct live_candles *candles = NULL;
    struct err err = {0};
    tape_ok(feed_open_live(&o.feed, remote->instruments, SYMBOLS, MINUTE, T0 + LEARNED * MINUTE, 1,
                           &err),
            &err);
    if (!l->verify)
        tape_ok(live_candles_open(&candles, l->store, remote->instruments, SYMBOLS, MINUTE, &err),
                &err);
    inner = live_candles_source(candles);
    atomic_store(&prepared, 0);
    atomic_store(&shut, 0);
    if (l->patient) port.poll = patient_poll;
    const struct retrain_config c = retraining(l, &labels);
    tape_ok(retrain_create(&o.retrain, &c, NULL, feed_from_ns(o.feed), &err), &err);
    o.port = &port;
    o.mode = MODE_PAPER;
    o.warmup_bars = feature_warmup_bars() + 8;
    o.history_bars = HISTORY;
    o.candles = candles;
    o.labels = &labels;
    o.retrain_hash = 5;
    o.run_dir = l->dir;
    o.durable = true;
    o.step_limit = l->steps;
    o.stop = l->stop;
    o.verify = l->verify;
    tape_ok(session_run(&l->result, &o, &err), &err);
    retrain_destroy(o.retrain);
    live_candles_close(candles);
    feed_close(o.feed);
}

/* Steps until the venue's bar `bar` has closed. */
static uint64_t steps_at(uint64_t bar) {
    return bar - LEARNED + feature_warmup_bars() + 8;
}

/* ---- what is left ---- */

struct told {
    uint32_t begun, trained, failed, promoted, shadows, intents_before, intents;
};

static void read_told(struct told *t, const struct life *l) {
    char path[TAPE_PATH_SIZE + 64];
    struct journal_reader *reader;
    struct journal_record r;
    struct err err = {0};
    uint64_t last = 0;
    memset(t, 0, sizeof *t);
    snprintf(path, sizeof path, "%s/journal", l->dir);
    tape_ok(journal_reader_open(&reader, path, 1, &err), &err);
    while (journal_next(reader, &r, &err) == ST_OK) {
        struct model_changed m;
        t->intents += r.type == EVENT_TRADE_INTENT && t->promoted > 0;
        t->intents_before += r.type == EVENT_TRADE_INTENT && t->promoted == 0;
        if (r.type != EVENT_MODEL_CHANGED) continue;
        memcpy(&m, r.payload, sizeof m);
        t->begun += !strcmp(m.change, "training");
        t->failed += !strcmp(m.change, "failed");
        t->promoted += !strcmp(m.change, "promoted");
        t->shadows += !strcmp(m.change, "shadow");
        if (strcmp(m.change, "trained") != 0) continue;
        t->trained++;
        assert_int_not_equal(m.hash, last);
        last = m.hash;
    }
    journal_reader_close(reader);
}

/* Every bar from the history's first to the last that closed, once, as the venue had it. */
static void candles_are_whole(const struct life *l, uint64_t last_bar) {
    struct err err = {0};
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        struct candles all;
        tape_ok(candles_open(&all, l->store, "um", MINUTE, remote->instruments[s].symbol, &err),
                &err);
        tape_ok(candles_verify(&all, &err), &err);
        size_t first = LEARNED - HISTORY;
        assert_int_equal(all.count, last_bar + 1 - first);
        assert_memory_equal(all.bars, &remote->bars[s][first], all.count * sizeof *all.bars);
        candles_close(&all);
    }
}

static void is_verified(struct life l, uint64_t state_hash, uint64_t from) {
    l.verify = true;
    l.threaded = false;
    l.steps = 0;
    uint32_t before = *opened;
    life_run(&l);
    assert_int_equal(l.result.state_hash, state_hash);
    assert_int_equal(*opened, before); /* nothing is trained for that */
    if (from)
        assert_int_equal(l.result.verified_from, from);
    else
        assert_true(l.result.verified_from > 1);
}

static bool is_rejected(void *context, const struct registry_entry *entry) {
    struct registry_entry *out = context;
    if (entry->state != PROMOTION_REJECTED || entry->removed_ns != 0) return true;
    *out = *entry;
    return false;
}

/* The file of a model that was tried and rejected goes, as it would for want of room: what lies before is not executed
 * again, the rest is. */
static bool what_is_gone_is_left_out(const struct life *l, uint64_t state_hash) {
    struct registry *registry;
    struct registry_entry entry = {0};
    struct err err = {0};
    tape_ok(registry_open(&registry, l->models, false, &err), &err);
    tape_ok(registry_list(registry, is_rejected, &entry, &err), &err);
    const struct registry_change change = {"test", "room", NULL, entry.added_ns};
    if (entry.id) tape_ok(registry_remove(registry, entry.id, &change, &err), &err);
    registry_close(registry);
    if (entry.id) is_verified(*l, state_hash, 0);
    return entry.id != 0;
}

static uint32_t lives_until_the_end(struct life *l, struct rng *rng) {
    uint32_t kills = 0;
    while (remote->bar < BARS - 30) {
        uint64_t most = remote->bar + 20 + rng_below(rng, 120), last = BARS - 25;
        remote->crash_where = (uint32_t)rng_below(rng, PLACES);
        remote->polls_to_live = remote->crash_where > 2 ? 0 : 1 + (int32_t)rng_below(rng, 100);
        *syncs_to_live = remote->crash_where == AT_SYNC ? 1 + (int32_t)rng_below(rng, 40) : 0;
        l->steps = steps_at(most < last ? most : last);
        kills += !in_child(life_run, l);
    }
    remote->polls_to_live = -1;
    *syncs_to_live = 0;
    l->steps = steps_at(BARS - 20);
    life_run(l);
    return kills;
}

static void killed_anywhere_it_has_learned_the_same(void **state) {
    (void)state;
    struct rng rng = rng_init(tape_seed());
    struct told sum = {0};
    uint32_t kills = 0, left_out = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        char name[32];
        struct told t;
        snprintf(name, sizeof name, "killed-%u", round);
        struct life l = life_in(name);
        market_new(rng_u64(&rng));
        *opened = 0;
        uint32_t died = lives_until_the_end(&l, &rng);
        read_told(&t, &l);
        assert_true(t.trained >= 3 && t.trained + t.failed == t.begun);
        assert_true(*opened <= t.begun + died); /* on record is done */
        assert_int_equal(t.intents_before, 0);
        candles_are_whole(&l, remote->bar - 1);
        is_verified(l, l.result.state_hash, 1);
        left_out += what_is_gone_is_left_out(&l, l.result.state_hash);
        kills += died;
        sum.begun += t.begun;
        sum.trained += t.trained;
        sum.promoted += t.promoted;
        sum.shadows += t.shadows;
        sum.intents += t.intents;
    }
    print_message("%u kills (%u polling, %u before and %u after a command, %u at a sync, %u in a "
                  "training); %u begun, %u trained, %u shadows, %u promoted, %u intents\n",
                  kills, crashes[0], crashes[1], crashes[2], crashes[3], crashes[4], sum.begun,
                  sum.trained, sum.shadows, sum.promoted, sum.intents);
    assert_true(kills >= 8 * ROUNDS);
    assert_true(crashes[0] > 0 && crashes[1] + crashes[2] > 0);
    assert_true(crashes[AT_SYNC] > 0 && crashes[AT_TRAINING] > 0);
    assert_true(sum.promoted >= 2 && sum.intents > 0 && left_out > 0);
}

/* Trainings in a thread: a run ends while one is under way, says so when it goes on, and takes what later ones bring. */
static void a_thread_ends_with_its_run(void **state) {
    (void)state;
    struct life l = life_in("threaded");
    struct told t;
    market_new(5);
    l.threaded = true;
    l.steps = steps_at(LEARNED + 60);
    life_run(&l);
    candles_are_whole(&l, remote->bar - 1);
    l.patient = true;
    l.steps = steps_at(LEARNED + 800);
    life_run(&l);
    candles_are_whole(&l, remote->bar - 1);
    read_told(&t, &l);
    print_message("%u begun, %u trained, %u failed, %u shadows, %u promoted\n", t.begun, t.trained,
                  t.failed, t.shadows, t.promoted);
    assert_true(t.trained >= 2 && t.failed <= 1 && t.promoted >= 1);
    is_verified(l, l.result.state_hash, 1);
}

static int setup(void **state) {
    (void)state;
    remote_map();
    syncs_to_live = (int32_t *)(crashes + 8);
    opened = crashes + 9;
    tape_folder(root);
    log_stderr_set(getenv("TEST_LOG") != NULL);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    tape_remove(root);
    return remote_unmap();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_anywhere_it_has_learned_the_same),
        cmocka_unit_test(a_thread_ends_with_its_run),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
