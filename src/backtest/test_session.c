/* A run is one thing, however often it is interrupted, wherever it is kept, and whoever looks on. */
#include "backtest/session.h"

#include "backtest/test_run.h"
#include "kernel/journal.h"

static struct session_options momentum(struct feed *feed, const char *run_dir) {
    struct session_options o = session_options_defaults();
    o.feed = feed;
    o.strategy = STRATEGY_MOMENTUM;
    o.run_dir = run_dir;
    return o;
}

/* ---- the same again ---- */

static void same_options_same_run(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    struct feed *feed = open_tape();
    struct session_options nowhere = momentum(feed, NULL), somewhere = momentum(feed, new_dir(dir));
    struct session_result a = run(&nowhere), b = run(&nowhere), c = run(&somewhere);
    assert_true(a.totals.trades > 50);
    assert_same_run(&a, &b);
    assert_same_run(&a, &c);
    assert_false(c.resumed);
    assert_int_equal(a.totals.positions, a.totals.trades); /* whatever was opened was closed */
    feed_close(feed);
}

static void seed_decides_a_random_run(void **state) {
    (void)state;
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, NULL);
    o.strategy = STRATEGY_RANDOM;
    struct session_result a = run(&o), b = run(&o);
    o.seed++;
    struct session_result c = run(&o);
    assert_same_run(&a, &b);
    assert_true(a.fingerprint != c.fingerprint);
    feed_close(feed);
}

static void a_finished_run_stays_finished(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, new_dir(dir));
    struct session_result a = run(&o);
    char *before = outcome(dir);
    struct session_result b = run(&o);
    char *after = outcome(dir);
    assert_true(b.resumed);
    assert_same_run(&a, &b);
    assert_int_equal(a.journal_last_seq, b.journal_last_seq);
    assert_string_equal(before, after);
    free(before);
    free(after);
    feed_close(feed);
}

static void wallet_is_the_sum_of_what_happened(void **state) {
    (void)state;
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, NULL);
    struct session_result r = run(&o);
    const struct simex_account *a = &r.account;
    assert_int_equal(a->wallet_start.e8, o.wallet_start.e8);
    assert_int_equal(a->wallet.e8, a->wallet_start.e8 + a->realized_pnl.e8 - a->fees.e8 +
                                       a->funding.e8 - a->liquidation_fees.e8 + a->insurance.e8);
    /* What the kernel booked from events is what the venue has. */
    assert_int_equal(r.totals.wallet.e8, a->wallet.e8);
    assert_int_equal(r.totals.realized_pnl.e8, a->realized_pnl.e8);
    assert_int_equal(r.totals.fees.e8, a->fees.e8 + a->liquidation_fees.e8);
    assert_int_equal(r.totals.funding.e8, a->funding.e8);
    assert_true(a->fees.e8 > 0);
    assert_true(a->funding.e8 != 0);
    assert_int_equal(a->margin_used.e8, 0);
    assert_int_equal(r.totals.unprotected_ever, 0);
    feed_close(feed);
}

/* ---- interrupted ---- */

static void stops_leave_no_trace(void **state) {
    (void)state;
    static const uint64_t limits[] = {
        1, 700, 1441, 1999, TAPE_BARS / 2, TAPE_BARS - 2, TAPE_BARS - 1, TAPE_BARS};
    char dir[TAPE_PATH_SIZE + 32];
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, new_dir(dir));
    struct session_result whole = run(&o);
    char *expected = outcome(dir);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        o = momentum(feed, new_dir(dir));
        o.step_limit = limits[i];
        struct session_result r = run(&o);
        assert_int_equal(r.steps, limits[i]);
        if (limits[i] == 1) o.step_limit = 997; /* one step, then long ones */
        for (int rounds = 0; !r.complete; rounds++) {
            assert_true(rounds < 100);
            r = run(&o);
            assert_true(r.resumed);
        }
        assert_same_run(&whole, &r);
        char *got = outcome(dir);
        assert_string_equal(got, expected);
        free(got);
    }
    free(expected);
    feed_close(feed);
}

/* A stop that comes before the first step leaves a start on record; going on is not another one. */
static void a_stop_before_the_first_step_is_no_second_start(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, NULL);
    struct session_result whole = run(&o);
    o = momentum(feed, new_dir(dir));
    volatile sig_atomic_t stop = 1;
    o.stop = &stop;
    for (int i = 0; i < 2; i++) {
        struct session_result r = run(&o);
        assert_int_equal(r.steps, 0);
        assert_int_equal(r.journal_last_seq, 1);
    }
    stop = 0;
    struct session_result r = run(&o);
    assert_same_run(&whole, &r);
    struct err err;
    verify(&o, dir, ST_OK, &err);
    feed_close(feed);
}

static void an_absolute_end_is_reached_once(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, new_dir(dir));
    o.step_end = 2500;
    struct session_result a = run(&o), b = run(&o);
    assert_int_equal(a.steps, 2500);
    assert_int_equal(b.steps, 2500);
    assert_int_equal(a.state_hash, b.state_hash);
    assert_false(b.complete);
    feed_close(feed);
}

static void kills_leave_no_trace(void **state) {
    (void)state;
    enum { KILLS = 50 };
    char dir[TAPE_PATH_SIZE + 32];
    struct rng rng = rng_init(tape_seed());
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, new_dir(dir));
    int64_t begin = tstamp_monotonic_ns();
    struct session_result whole = run(&o);
    int64_t took = tstamp_monotonic_ns() - begin;
    char *expected = outcome(dir);
    int kills = 0, runs = 0, streak = 0;
    o = momentum(feed, new_dir(dir));
    while (kills < KILLS) {
        /* Never long without progress on a machine whose speed has changed since. */
        int64_t span = took + took / 4 + streak * took / 4;
        if (killed_child(&o, 1000 + (int64_t)rng_below(&rng, (uint64_t)span))) {
            kills++;
            streak++;
            continue;
        }
        struct session_result r = run(&o);
        assert_same_run(&whole, &r);
        char *got = outcome(dir);
        assert_string_equal(got, expected);
        free(got);
        runs++;
        streak = 0;
        o = momentum(feed, new_dir(dir));
    }
    print_message("%d kills, %d whole runs between them\n", kills, runs);
    struct session_result r = run(&o);
    assert_same_run(&whole, &r);
    free(expected);
    feed_close(feed);
}

static void another_configuration_is_refused(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, new_dir(dir));
    o.step_limit = 2000;
    run(&o);
    o.wallet_start.e8 += 1;
    struct session_result result;
    struct err err = {0};
    assert_int_equal(session_run(&result, &o, &err), ST_MISMATCH);
    assert_non_null(strstr(err.text, "another run"));
    feed_close(feed);
}

static void identity_names_what_decides(void **state) {
    (void)state;
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, NULL), p = o;
    uint64_t identity = session_identity(&o);
    p.run_dir = "elsewhere";
    p.speed = 600;
    p.step_limit = 7;
    p.bus_url = "redis://127.0.0.1:6379";
    assert_int_equal(session_identity(&p), identity);
    p = o, p.wallet_start.e8++;
    assert_true(session_identity(&p) != identity);
    p = o, p.strategy = STRATEGY_SMA_CROSS;
    assert_true(session_identity(&p) != identity);
    p = o, p.mode = MODE_PAPER;
    assert_true(session_identity(&p) != identity);
    p = o, p.barrier_exits = true;
    assert_true(session_identity(&p) != identity);
    /* What was chosen of the engine, where there is one. */
    p = o, p.engine.rule = ENSEMBLE_CLASSIC;
    assert_int_equal(session_identity(&p), identity);
    o.strategy = STRATEGY_ENSEMBLE;
    identity = session_identity(&o);
    p = o, p.engine.rule = ENSEMBLE_CLASSIC;
    assert_true(session_identity(&p) != identity);
    p = o, p.engine.strategy_confidence = 1;
    assert_true(session_identity(&p) != identity);
    p = o, p.engine.exit_brain = 0;
    assert_true(session_identity(&p) != identity);
    p = o, ensemble_reported_weights(p.engine.weights);
    assert_true(session_identity(&p) != identity);
    feed_close(feed);
}

/* ---- paper ---- */

static void paper_goes_on_where_it_was(void **state) {
    (void)state;
    enum { STEPS = 3000 };
    static const uint64_t limits[] = {1, 333, 1777};
    char dir[TAPE_PATH_SIZE + 32];
    struct synth_config config = tape_synth(8);
    struct feed *feed = NULL;
    struct err err = {0};
    tape_ok(feed_open_synth(&feed, &config, config.start_ts_ns + 500 * config.interval_ns, &err),
            &err);
    struct session_options o = session_options_defaults();
    o.feed = feed;
    o.mode = MODE_PAPER;
    o.strategy = STRATEGY_SMA_CROSS;
    o.run_dir = new_dir(dir);
    o.step_end = STEPS;
    struct session_result whole = run(&o);
    char *expected = outcome(dir);
    assert_true(whole.totals.trades > 20);
    assert_true(whole.totals.ticks > STEPS);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        o.run_dir = new_dir(dir);
        o.durable = i == 0;
        o.step_limit = limits[i];
        struct session_result r = run(&o);
        o.step_limit = limits[i] == 1 ? 1100 : limits[i];
        while (r.steps < STEPS) r = run(&o);
        assert_int_equal(r.fingerprint, whole.fingerprint);
        assert_int_equal(r.state_hash, whole.state_hash);
        char *got = outcome(dir);
        assert_string_equal(got, expected);
        free(got);
    }
    free(expected);
    feed_close(feed);
}

/* A bit of the journal turned over on the disk: the records from there on are lost, and so is the snapshot that holds
 * them. Other records get their numbers; no later start may take that snapshot for theirs. */
static void a_snapshot_of_lost_records_is_removed(void **state) {
    (void)state;
    enum { STEPS = 2500 };
    char dir[TAPE_PATH_SIZE + 32], path[TAPE_PATH_SIZE + 128];
    struct synth_config config = tape_synth(8);
    struct journal_options jo = journal_options_defaults();
    struct journal_repair repair;
    struct journal *journal = NULL;
    struct feed *feed = NULL;
    struct err err = {0};
    tape_ok(feed_open_synth(&feed, &config, config.start_ts_ns + 500 * config.interval_ns, &err),
            &err);
    struct session_options o = session_options_defaults();
    o.feed = feed;
    o.mode = MODE_PAPER;
    o.strategy = STRATEGY_SMA_CROSS;
    o.run_dir = new_dir(dir);
    o.step_end = STEPS;
    struct session_result whole = run(&o);
    o.run_dir = new_dir(dir);
    o.step_limit = 1800;
    uint64_t held = run(&o).journal_last_seq;
    snprintf(path, sizeof path, "%s/journal/00000000000000000001.seg", dir);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    fseek(f, ftell(f) / 2, SEEK_SET);
    int byte = fgetc(f);
    fseek(f, -1, SEEK_CUR);
    fputc(byte ^ 4, f);
    fclose(f);
    snprintf(path, sizeof path, "%s/journal", dir);
    tape_ok(journal_open(&journal, &repair, path, &jo, &err), &err);
    tape_ok(journal_close(journal, &err), &err);
    assert_true(repair.bytes_dropped > 0 && repair.last_seq < held);
    snprintf(path, sizeof path, "%s/snapshots/snapshot-%020" PRIu64 ".bin", dir, held);
    assert_int_equal(access(path, F_OK), 0);
    o.step_limit = 1;
    struct session_result r = run(&o);
    assert_true(access(path, F_OK) != 0);
    o.step_limit = 0;
    while (r.steps < STEPS) r = run(&o);
    assert_int_equal(r.fingerprint, whole.fingerprint);
    assert_int_equal(r.state_hash, whole.state_hash);
    feed_close(feed);
}

/* ---- the journal ---- */

struct change {
    uint64_t seq;     /* 0: none */
    uint32_t offset;  /* of the byte turned over */
    bool drop, extra; /* leave the record out; put one more behind the last */
};

/* A run folder that has the journal of another, with one thing changed. */
static void copy_journal(const char *to, const char *from, const struct change *change) {
    char source[TAPE_PATH_SIZE + 64], target[TAPE_PATH_SIZE + 64];
    static unsigned char payload[65536];
    struct journal_options jo = journal_options_defaults();
    struct journal_repair repair;
    struct journal_reader *reader = NULL;
    struct journal_record record;
    struct journal *journal = NULL;
    struct err err = {0};
    snprintf(source, sizeof source, "%s/journal", from);
    snprintf(target, sizeof target, "%s/journal", to);
    assert_int_equal(mkdir(to, 0755), 0);
    tape_ok(journal_open(&journal, &repair, target, &jo, &err), &err);
    tape_ok(journal_reader_open(&reader, source, 1, &err), &err);
    enum status st;
    while ((st = journal_next(reader, &record, &err)) == ST_OK) {
        assert_true(record.size <= sizeof payload);
        memcpy(payload, record.payload, record.size);
        if (record.seq == change->seq && change->drop) continue;
        if (record.seq == change->seq) payload[change->offset % record.size] ^= 0x01;
        journal_append(journal, record.type, record.version, record.ts_ns, payload, record.size);
    }
    assert_int_equal(st, ST_END);
    if (change->extra)
        journal_append(journal, record.type, record.version, record.ts_ns, payload, record.size);
    journal_reader_close(reader);
    tape_ok(journal_close(journal, &err), &err);
}

struct seen {
    uint64_t seq;
    uint32_t size;
};

/* Records of each type: how many, and a random one. */
static uint64_t pick_records(struct seen *out, size_t types, const char *dir, struct rng *rng) {
    char path[TAPE_PATH_SIZE + 64];
    struct journal_reader *reader = NULL;
    struct journal_record record;
    struct err err = {0};
    uint64_t counts[256] = {0}, last = 0;
    snprintf(path, sizeof path, "%s/journal", dir);
    memset(out, 0, types * sizeof *out);
    tape_ok(journal_reader_open(&reader, path, 1, &err), &err);
    while (journal_next(reader, &record, &err) == ST_OK) {
        assert_true(record.type < types);
        last = record.seq;
        if (rng_below(rng, ++counts[record.type]) == 0)
            out[record.type] = (struct seen){record.seq, record.size};
    }
    journal_reader_close(reader);
    return last;
}

static uint64_t named_record(const struct err *err) {
    const char *at = strstr(err->text, "record ");
    return at ? strtoull(at + 7, NULL, 10) : 0;
}

static void verify_follows_a_journal(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32], copy[TAPE_PATH_SIZE + 32];
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, new_dir(dir));
    struct err err;
    struct session_result whole = run(&o);
    struct session_result seen = verify(&o, dir, ST_OK, &err);
    assert_int_equal(seen.records_checked, whole.journal_last_seq);
    assert_same_run(&whole, &seen);
    copy_journal(new_dir(copy), dir, &(struct change){0});
    seen = verify(&o, copy, ST_OK, &err);
    assert_same_run(&whole, &seen);
    copy_journal(new_dir(copy), dir, &(struct change){.extra = true});
    verify(&o, copy, ST_CORRUPT, &err);
    assert_int_equal(named_record(&err), whole.journal_last_seq + 1);
    /* A stopped run's journal is followed to its end. */
    o = momentum(feed, new_dir(dir));
    o.step_limit = 2222;
    struct session_result part = run(&o);
    seen = verify(&o, dir, ST_OK, &err);
    assert_int_equal(seen.records_checked, part.journal_last_seq);
    feed_close(feed);
}

static void verify_names_the_altered_record(void **state) {
    (void)state;
    enum { TYPES = 64, ROUNDS = 4 };
    char dir[TAPE_PATH_SIZE + 32], copy[TAPE_PATH_SIZE + 32];
    struct rng rng = rng_init(tape_seed());
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, new_dir(dir));
    run(&o);
    int tried = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct seen picked[TYPES];
        uint64_t last = pick_records(picked, TYPES, dir, &rng);
        for (size_t type = 0; type < TYPES; type++) {
            if (!picked[type].seq) continue;
            struct change change = {.seq = picked[type].seq,
                                    .offset = (uint32_t)rng_below(&rng, picked[type].size)};
            struct err err;
            copy_journal(new_dir(copy), dir, &change);
            verify(&o, copy, ST_CORRUPT, &err);
            if (named_record(&err) != change.seq)
                fail_msg("%s, byte %u of record %" PRIu64 ": %s", event_info((uint16_t)type)->name,
                         change.offset, change.seq, err.text);
            tape_remove(copy);
            tried++;
        }
        struct change dropped = {.seq = 2 + rng_below(&rng, last - 2), .drop = true};
        struct err err;
        copy_journal(new_dir(copy), dir, &dropped);
        verify(&o, copy, ST_CORRUPT, &err);
        assert_int_equal(named_record(&err), dropped.seq);
        tape_remove(copy);
    }
    print_message("%d bytes turned over, each found at its record\n", tried);
    assert_true(tried >= ROUNDS * 6);
    feed_close(feed);
}

/* A restart holds what it executes again against the journal; a journal that was tampered with, or
 * another program's, is not silently gone on with. */
static void resuming_on_an_altered_journal_is_refused(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32], copy[TAPE_PATH_SIZE + 32];
    struct rng rng = rng_init(tape_seed());
    struct seen picked[64];
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, new_dir(dir));
    o.step_limit = 2500;
    run(&o);
    pick_records(picked, 64, dir, &rng);
    struct change change = {.seq = picked[EVENT_EXECUTION_RESULT].seq, .offset = 40};
    assert_true(change.seq > 0);
    copy_journal(new_dir(copy), dir, &change);
    struct session_result result;
    struct err err = {0};
    o.run_dir = copy;
    assert_int_equal(session_run(&result, &o, &err), ST_CORRUPT);
    assert_int_equal(named_record(&err), change.seq);
    feed_close(feed);
}

/* ---- the bus ---- */

static void publish_intent(const char *dir, uint64_t intent_id, const char *payload) {
    char url[TAPE_PATH_SIZE + 64];
    struct bus_options bo = bus_options_defaults();
    struct bus_entry *entry = calloc(1, sizeof *entry);
    struct bus *bus = NULL;
    struct event e;
    struct err err = {0};
    size_t size = payload ? strlen(payload) : 0;
    mkdir(dir, 0755);
    snprintf(url, sizeof url, "embedded:%s/bus", dir);
    bo.url = url;
    tape_ok(bus_open(&bus, &bo, &err), &err);
    assert_non_null(entry);
    event_init(&e, EVENT_TRADE_INTENT, TAPE_START_NS);
    struct trade_intent *t = &e.u.trade_intent;
    t->intent_id = intent_id;
    t->side = SIDE_BUY;
    t->leverage = 1;
    t->position_size_usd = money_e8(500 * FX_ONE);
    t->entry_price = px_e8(FX_ONE);
    t->stop_loss = px_e8(FX_ONE / 2);
    t->stop_distance = 0.5;
    t->confidence = 0.9;
    t->created = TAPE_START_NS;
    t->expires = INT64_MAX / 2;
    snprintf(t->symbol, sizeof t->symbol, "SYN01USDT");
    if (payload)
        memcpy(entry->payload, payload, size + 1);
    else
        tape_ok(event_encode(entry->payload, sizeof entry->payload, &size, &e), &err);
    entry->payload_size = (uint32_t)size;
    entry->ts_ns = TAPE_START_NS;
    entry->schema = e.version;
    snprintf(entry->event_type, sizeof entry->event_type, "trade.intent");
    snprintf(entry->source, sizeof entry->source, "stranger");
    snprintf(entry->trace_id, sizeof entry->trace_id, "%016" PRIx64, intent_id);
    tape_ok(bus_publish(bus, entry, &err), &err);
    tape_ok(bus_flush(bus, &err), &err);
    bus_close(bus);
    free(entry);
}

static void a_strangers_intent_is_not_traded(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32];
    struct feed *feed = open_tape();
    struct session_options o = momentum(feed, NULL);
    struct session_result whole = run(&o);
    o.run_dir = new_dir(dir);
    publish_intent(dir, 0xDEADBEEF, NULL);
    publish_intent(dir, 0xDEADBEEF + 1, "{\"no\":\"intent\"}");
    o.step_limit = 2000;
    struct session_result r = run(&o);
    assert_int_equal(r.bus_refused, 2);
    /* Once more in the middle, as an intent of a kind the executor will meet again after a restart. */
    publish_intent(dir, 0xDEADBEEF, NULL);
    o.step_limit = 0;
    r = run(&o);
    assert_int_equal(r.bus_refused, 2); /* the unreadable one, not acknowledged, comes again */
    assert_same_run(&whole, &r);
    struct err err;
    verify(&o, dir, ST_OK, &err);
    feed_close(feed);
}

/* ---- the model ---- */

/* What is shown of the engine is what was decided and learned, all of it. */
static void the_view_has_counted(struct view_box *box, const struct session_result *r) {
    static struct view v;
    uint64_t decisions = 0, confident = 0;
    assert_true(view_read(box, &v));
    for (uint32_t i = 0; i < ENGINE_REASON_COUNT; i++) {
        assert_int_equal(v.counts.reasons[i], r->totals.decisions[i]);
        decisions += v.counts.reasons[i];
    }
    for (uint32_t b = 0; b < VIEW_CONFIDENCE_BINS; b++) confident += v.counts.confidence[b];
    assert_true(decisions > 1000);
    assert_int_equal(v.counts.asked, decisions);
    assert_int_equal(confident, v.counts.voted);
    assert_true(v.counts.models[MODEL_LIGHTGBM].voted > 0);
    assert_int_equal(v.learned.credited, r->totals.trades);
    assert_int_equal(v.learned.strategy.settled, r->totals.trades);
    assert_int_equal(v.learned.opened, r->totals.intents);
}

static void ensemble_is_one_run_too(void **state) {
    (void)state;
    char dir[TAPE_PATH_SIZE + 32], copy[TAPE_PATH_SIZE + 32];
    struct err err = {0};
    struct feed *feed = NULL;
    struct served_model *models[2] = {NULL, NULL};
    for (int k = MODEL_XGBOOST; k <= MODEL_LIGHTGBM; k++) {
        train_model((enum model_kind)k, model_path);
        tape_ok(served_model_load(&models[k], model_path, &err), &err);
    }
    struct feed_tape_options fo = tape_options(store);
    fo.from_ns = TAPE_START_NS + 3000 * NS_PER_MINUTE;
    fo.warmup_bars = 400;
    tape_ok(feed_open_tape(&feed, &fo, &err), &err);
    struct session_options o = momentum(feed, NULL);
    o.strategy = STRATEGY_ENSEMBLE;
    struct label_spec labels = *served_model_labels(models[0]);
    o.labels = &labels;
    /* Each alone and both together are different runs. */
    uint64_t identity[3];
    for (int k = MODEL_XGBOOST; k <= MODEL_LIGHTGBM; k++) {
        o.models[MODEL_XGBOOST] = o.models[MODEL_LIGHTGBM] = NULL;
        o.models[k] = models[k];
        identity[k] = session_identity(&o);
    }
    o.models[MODEL_XGBOOST] = models[MODEL_XGBOOST];
    identity[2] = session_identity(&o);
    assert_true(identity[0] != identity[1] && identity[1] != identity[2] &&
                identity[0] != identity[2]);
    o.view_box = view_box_create();
    assert_non_null(o.view_box);
    struct session_result whole = run(&o);
    assert_true(whole.totals.trades > 20);
    uint64_t chosen = 0;
    for (int p = 0; p < PROFILE_COUNT; p++) chosen += whole.totals.exit_profiles[p];
    assert_int_equal(chosen, whole.totals.intents);
    assert_true(whole.totals.exit_advice[EXIT_EDGE_GONE] > 0);
    the_view_has_counted(o.view_box, &whole);
    view_box_destroy(o.view_box);
    o.view_box = NULL;
    o.run_dir = new_dir(dir);
    o.step_limit = 311;
    struct session_result r = run(&o);
    while (!r.complete) r = run(&o);
    assert_same_run(&whole, &r);
    /* The answers are taken from the journal: verifying asks the model nothing. */
    r = verify(&o, dir, ST_OK, &err);
    assert_int_equal(r.predict_rows, 0);
    assert_same_run(&whole, &r);
    /* An answer somebody changed is found, at the latest in the state hash. */
    struct rng rng = rng_init(tape_seed());
    for (int round = 0; round < 8; round++) {
        struct seen picked[64];
        pick_records(picked, 64, dir, &rng);
        struct seen *answer = &picked[EVENT_MODEL_ANSWERED];
        assert_true(answer->seq > 0);
        struct change change = {.seq = answer->seq,
                                .offset = (uint32_t)rng_below(&rng, answer->size)};
        copy_journal(new_dir(copy), dir, &change);
        verify(&o, copy, ST_CORRUPT, &err);
        assert_true(named_record(&err) >= change.seq);
        tape_remove(copy);
    }
    for (int k = 0; k < 2; k++) served_model_destroy(models[k]);
    feed_close(feed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_options_same_run),
        cmocka_unit_test(seed_decides_a_random_run),
        cmocka_unit_test(a_finished_run_stays_finished),
        cmocka_unit_test(wallet_is_the_sum_of_what_happened),
        cmocka_unit_test(stops_leave_no_trace),
        cmocka_unit_test(a_stop_before_the_first_step_is_no_second_start),
        cmocka_unit_test(an_absolute_end_is_reached_once),
        cmocka_unit_test(kills_leave_no_trace),
        cmocka_unit_test(another_configuration_is_refused),
        cmocka_unit_test(identity_names_what_decides),
        cmocka_unit_test(paper_goes_on_where_it_was),
        cmocka_unit_test(a_snapshot_of_lost_records_is_removed),
        cmocka_unit_test(verify_follows_a_journal),
        cmocka_unit_test(verify_names_the_altered_record),
        cmocka_unit_test(resuming_on_an_altered_journal_is_refused),
        cmocka_unit_test(a_strangers_intent_is_not_traded),
        cmocka_unit_test(ensemble_is_one_run_too),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
