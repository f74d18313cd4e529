#include "store/tradedb.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/tstamp.h"

struct place {
    char dir[64], path[96];
    struct err err;
    struct tradedb *db;
};

static int setup(void **state) {
    static struct place place;
    memset(&place, 0, sizeof place);
    snprintf(place.dir, sizeof place.dir, "/tmp/tradedb-test-XXXXXX");
    if (!mkdtemp(place.dir)) return -1;
    snprintf(place.path, sizeof place.path, "%s/trades.sqlite", place.dir);
    *state = &place;
    return 0;
}

static int teardown(void **state) {
    struct place *p = *state;
    tradedb_close(p->db);
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", p->path, suffixes[i]);
        unlink(path);
    }
    return rmdir(p->dir);
}

static void assert_ok(const struct place *p, enum status st) {
    if (st != ST_OK) print_error("%s: %s\n", status_name(st), p->err.text);
    assert_int_equal(st, ST_OK);
}

static void reopen(struct place *p, bool read_only) {
    tradedb_close(p->db);
    assert_ok(p, tradedb_open(&p->db, p->path, read_only, &p->err));
}

static struct trade_closed trade_make(struct rng *r, uint64_t id) {
    struct trade_closed t = {0};
    t.trade_id = id;
    t.intent_id = rng_u64(r); /* the whole range, top bit too */
    snprintf(t.symbol, sizeof t.symbol, "SYM%uUSDT", (unsigned)rng_below(r, 40));
    t.instrument_index = (uint32_t)rng_below(r, 512);
    t.side = (uint8_t)(1 + rng_below(r, 2));
    t.exit_reason = (uint8_t)rng_below(r, EXIT_REASON_COUNT);
    t.strategy = (uint8_t)rng_below(r, STRATEGY_COUNT);
    t.leverage = (uint8_t)rng_below(r, 126);
    t.entry_ts_ns = (int64_t)(id * (uint64_t)NS_PER_HOUR);
    t.exit_ts_ns = t.entry_ts_ns + (int64_t)rng_below(r, (uint64_t)NS_PER_DAY);
    t.entry_px.e8 = (int64_t)(rng_u64(r) >> 1);
    t.exit_px.e8 = (int64_t)(rng_u64(r) >> 8);
    t.qty.e8 = (int64_t)(rng_u64(r) >> 8);
    t.realized_pnl.e8 = (int64_t)rng_u64(r) >> 8;
    t.fees.e8 = (int64_t)(rng_u64(r) >> 20);
    t.funding.e8 = (int64_t)rng_u64(r) >> 20;
    t.net_pnl.e8 = t.realized_pnl.e8 - t.fees.e8 + t.funding.e8;
    t.risk.e8 = (int64_t)(rng_u64(r) >> 20);
    t.time_to_protected_ns = rng_below(r, 10) ? (int64_t)rng_below(r, 1000000000) : -1;
    t.confidence = rng_f64(r);
    t.expected_edge = rng_below(r, 5) ? rng_f64(r) - 0.5 : NAN;
    t.arm = (uint32_t)rng_below(r, ARM_NONE + 1);
    t.targets = (uint32_t)rng_below(r, 4);
    t.drawdown_max = rng_f64(r);
    return t;
}

static void assert_trade_equal(const struct trade_closed *a, const struct trade_closed *b) {
    assert_string_equal(a->symbol, b->symbol);
    assert_true(a->trade_id == b->trade_id && a->intent_id == b->intent_id);
    assert_true(a->instrument_index == b->instrument_index && a->leverage == b->leverage);
    assert_true(a->side == b->side && a->strategy == b->strategy);
    assert_int_equal(a->exit_reason, b->exit_reason);
    assert_true(a->entry_ts_ns == b->entry_ts_ns && a->exit_ts_ns == b->exit_ts_ns);
    assert_true(a->entry_px.e8 == b->entry_px.e8 && a->exit_px.e8 == b->exit_px.e8);
    assert_true(a->qty.e8 == b->qty.e8 && a->realized_pnl.e8 == b->realized_pnl.e8);
    assert_true(a->fees.e8 == b->fees.e8 && a->funding.e8 == b->funding.e8);
    assert_true(a->net_pnl.e8 == b->net_pnl.e8 && a->risk.e8 == b->risk.e8);
    assert_true(a->time_to_protected_ns == b->time_to_protected_ns);
    assert_true(a->confidence == b->confidence);
    assert_true(isnan(a->expected_edge) ? isnan(b->expected_edge)
                                        : a->expected_edge == b->expected_edge);
    assert_true(a->arm == b->arm && a->targets == b->targets);
    assert_true(a->drawdown_max == b->drawdown_max);
}

enum { COLLECT_MAX = 512 };
struct collected {
    size_t count, stop_after;
    struct trade_closed trades[COLLECT_MAX];
    struct equity_point points[COLLECT_MAX];
};
static struct collected seen;

static bool collect_trade(void *context, const struct trade_closed *trade) {
    struct collected *c = context;
    assert_true(c->count < COLLECT_MAX);
    c->trades[c->count++] = *trade;
    return c->count != c->stop_after;
}

static bool collect_point(void *context, const struct equity_point *point) {
    struct collected *c = context;
    assert_true(c->count < COLLECT_MAX);
    c->points[c->count++] = *point;
    return c->count != c->stop_after;
}

static size_t read_trades(struct place *p, size_t limit) {
    memset(&seen, 0, sizeof seen);
    assert_ok(p, tradedb_trades(p->db, limit, collect_trade, &seen, &p->err));
    return seen.count;
}

static size_t read_points(struct place *p, size_t limit) {
    memset(&seen, 0, sizeof seen);
    assert_ok(p, tradedb_equity(p->db, limit, collect_point, &seen, &p->err));
    return seen.count;
}

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20260301;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void trades_come_back_as_they_were(void **state) {
    struct place *p = *state;
    struct rng r = rng_init(test_seed());
    static struct trade_closed put[200];
    reopen(p, false);
    assert_ok(p, tradedb_begin(p->db, &p->err));
    for (size_t i = 0; i < 200; i++) put[i] = trade_make(&r, i + 1);
    for (size_t i = 200; i-- > 0;) assert_ok(p, tradedb_trade_put(p->db, &put[i], &p->err));
    assert_ok(p, tradedb_commit(p->db, &p->err));
    reopen(p, true);
    assert_int_equal(read_trades(p, 0), 200);
    for (size_t i = 0; i < 200; i++) assert_trade_equal(&seen.trades[i], &put[i]);

    assert_int_equal(read_trades(p, 3), 3); /* the newest three, oldest of them first */
    for (size_t i = 0; i < 3; i++) assert_trade_equal(&seen.trades[i], &put[197 + i]);
    assert_int_equal(read_trades(p, 1000), 200);
    memset(&seen, 0, sizeof seen);
    seen.stop_after = 5;
    assert_ok(p, tradedb_trades(p->db, 0, collect_trade, &seen, &p->err));
    assert_int_equal(seen.count, 5);
}

static void every_reason_and_strategy_has_a_name(void **state) {
    struct place *p = *state;
    struct rng r = rng_init(1);
    reopen(p, false);
    struct trade_closed t = trade_make(&r, 1);
    t.exit_reason = EXIT_REASON_COUNT;
    assert_int_equal(tradedb_trade_put(p->db, &t, &p->err), ST_INVALID);
    t = trade_make(&r, 1);
    t.strategy = STRATEGY_COUNT;
    assert_int_equal(tradedb_trade_put(p->db, &t, &p->err), ST_INVALID);
    t = trade_make(&r, (uint64_t)INT64_MAX + 1);
    assert_int_equal(tradedb_trade_put(p->db, &t, &p->err), ST_RANGE);
    assert_int_equal(read_trades(p, 0), 0);
    uint64_t id = 0;
    for (int reason = 0; reason < EXIT_REASON_COUNT; reason++)
        for (int strategy = 0; strategy < STRATEGY_COUNT; strategy++) {
            t = trade_make(&r, ++id);
            t.exit_reason = (uint8_t)reason;
            t.strategy = (uint8_t)strategy;
            assert_ok(p, tradedb_trade_put(p->db, &t, &p->err));
        }
    assert_int_equal(read_trades(p, 0), id);
    for (uint64_t i = 0; i < id; i++) {
        assert_int_equal(seen.trades[i].exit_reason, i / STRATEGY_COUNT);
        assert_int_equal(seen.trades[i].strategy, i % STRATEGY_COUNT);
    }
}

static struct venue_event fill_make(uint8_t kind, uint64_t id, int64_t ts, int64_t realized,
                                    int64_t paid) {
    struct venue_event e = {.kind = kind, .side = SIDE_BUY, .order_type = ORDER_MARKET};
    e.trade_id = id;
    e.venue_order_id = UINT64_MAX - id;
    e.ts_event_ns = ts;
    e.last_px.e8 = 3 * FX_ONE;
    e.last_qty.e8 = 2 * FX_ONE;
    e.realized_pnl.e8 = realized;
    e.commission.e8 = kind == VENUE_FUNDING ? 0 : paid;
    e.funding.e8 = kind == VENUE_FUNDING ? -paid : 0;
    snprintf(e.client_order_id, sizeof e.client_order_id, "q-%d", (int)id);
    return e;
}

static struct tradedb_ledger ledger(struct place *p, int64_t up_to) {
    struct tradedb_ledger l;
    assert_ok(p, tradedb_ledger(p->db, up_to, &l, &p->err));
    return l;
}

static void put_fill(struct place *p, const struct venue_event *e, const char *symbol) {
    assert_ok(p, tradedb_fill_put(p->db, e, symbol, &p->err));
}

static void writing_twice_changes_nothing(void **state) {
    struct place *p = *state;
    struct rng r = rng_init(7);
    reopen(p, false);
    struct trade_closed t = trade_make(&r, 9);
    struct venue_event fill = fill_make(VENUE_ORDER_TRADE, 5, 100, 700, 30);
    struct venue_event dead = fill_make(VENUE_LIQUIDATION, 6, 200, -900, 40);
    struct venue_event funding = fill_make(VENUE_FUNDING, 0, 300, 0, 11);
    for (int i = 0; i < 3; i++) {
        assert_ok(p, tradedb_trade_put(p->db, &t, &p->err));
        put_fill(p, &fill, "AUSDT");
        put_fill(p, &fill, "BUSDT"); /* trade ids are per symbol */
        put_fill(p, &dead, "AUSDT");
        put_fill(p, &funding, "AUSDT");
        put_fill(p, &funding, "BUSDT"); /* all symbols pay in the same instant */
        assert_ok(
            p, tradedb_equity_put(p->db, 100, money_e8(1), money_e8(2 + i), money_e8(3), &p->err));
        assert_ok(p, tradedb_meta_put(p->db, "mode", i == 2 ? "paper" : "replay", &p->err));
    }
    assert_int_equal(read_trades(p, 0), 1);
    assert_trade_equal(&seen.trades[0], &t);
    assert_int_equal(read_points(p, 0), 1);
    assert_int_equal(seen.points[0].equity.e8, 4); /* the last word counts */
    struct tradedb_ledger l = ledger(p, INT64_MAX);
    assert_int_equal(l.fills, 3);
    assert_int_equal(l.fundings, 2);
    assert_int_equal(l.realized_pnl.e8, 700 + 700 - 900);
    assert_int_equal(l.commission.e8, 30 + 30 + 40);
    assert_int_equal(l.funding.e8, -22);
    l = ledger(p, 199);
    assert_int_equal(l.fills, 2);
    assert_int_equal(l.fundings, 0);
    assert_int_equal(l.realized_pnl.e8, 1400);
    struct venue_event accepted = fill_make(VENUE_ORDER_ACCEPTED, 1, 1, 0, 0);
    assert_int_equal(tradedb_fill_put(p->db, &accepted, "AUSDT", &p->err), ST_INVALID);
    char mode[8];
    assert_ok(p, tradedb_meta_get(p->db, "mode", mode, sizeof mode, &p->err));
    assert_string_equal(mode, "paper");
}

static void ledger_sum_does_not_wrap(void **state) {
    struct place *p = *state;
    reopen(p, false);
    struct venue_event a = fill_make(VENUE_ORDER_TRADE, 1, 1, INT64_MAX, 0);
    struct venue_event b = fill_make(VENUE_ORDER_TRADE, 2, 2, 1, 0);
    put_fill(p, &a, "AUSDT");
    assert_int_equal(ledger(p, INT64_MAX).realized_pnl.e8, INT64_MAX);
    put_fill(p, &b, "AUSDT");
    struct tradedb_ledger l;
    assert_int_equal(tradedb_ledger(p->db, INT64_MAX, &l, &p->err), ST_RANGE);
}

static void meta_says_what_is_missing_or_too_long(void **state) {
    struct place *p = *state;
    reopen(p, false);
    char out[4];
    assert_int_equal(tradedb_meta_get(p->db, "seed", out, sizeof out, &p->err), ST_NOT_FOUND);
    assert_non_null(strstr(p->err.text, "seed"));
    assert_ok(p, tradedb_meta_put(p->db, "seed", "123", &p->err));
    assert_ok(p, tradedb_meta_get(p->db, "seed", out, sizeof out, &p->err));
    assert_string_equal(out, "123");
    assert_ok(p, tradedb_meta_put(p->db, "seed", "1234", &p->err));
    assert_int_equal(tradedb_meta_get(p->db, "seed", out, sizeof out, &p->err), ST_RANGE);
}

static void put_series(struct place *p, int count) {
    struct rng r = rng_init(3);
    for (int i = 1; i <= count; i++) {
        struct trade_closed t = trade_make(&r, (uint64_t)i);
        struct venue_event e = fill_make(VENUE_ORDER_TRADE, (uint64_t)i, i * 10, 1, 0);
        struct venue_event f = fill_make(VENUE_FUNDING, 0, i * 10, 0, 1);
        assert_ok(p, tradedb_trade_put(p->db, &t, &p->err));
        put_fill(p, &e, "AUSDT");
        put_fill(p, &f, "AUSDT");
        assert_ok(
            p, tradedb_equity_put(p->db, i * 10, money_e8(i), money_e8(i), money_e8(0), &p->err));
    }
}

static void truncation_cuts_behind_the_snapshot(void **state) {
    struct place *p = *state;
    reopen(p, false);
    put_series(p, 20);
    assert_ok(p, tradedb_meta_put(p->db, "kept", "yes", &p->err));
    assert_ok(p, tradedb_truncate(p->db, 15, 120, &p->err));
    assert_int_equal(read_trades(p, 0), 15);
    assert_int_equal(seen.trades[14].trade_id, 15);
    assert_int_equal(read_points(p, 0), 12);
    assert_int_equal(seen.points[11].ts_ns, 120); /* at ts_ns itself stays */
    assert_int_equal(ledger(p, INT64_MAX).fills, 12);
    assert_int_equal(ledger(p, INT64_MAX).fundings, 12);
    char out[8];
    assert_ok(p, tradedb_meta_get(p->db, "kept", out, sizeof out, &p->err));

    assert_ok(p, tradedb_begin(p->db, &p->err)); /* inside a transaction it can be taken back */
    assert_ok(p, tradedb_truncate(p->db, 0, 0, &p->err));
    assert_int_equal(read_trades(p, 0), 0);
    assert_ok(p, tradedb_rollback(p->db, &p->err));
    assert_int_equal(read_trades(p, 0), 15);
    assert_ok(p, tradedb_truncate(p->db, UINT64_MAX, INT64_MAX, &p->err));
    assert_int_equal(read_trades(p, 0), 15);
    assert_int_equal(read_points(p, 2), 2);
    assert_int_equal(seen.points[0].ts_ns, 110);
}

static void reader_sees_commits_of_a_writer_at_work(void **state) {
    struct place *p = *state;
    struct rng r = rng_init(11);
    reopen(p, false);
    struct trade_closed t = trade_make(&r, 1);
    assert_ok(p, tradedb_trade_put(p->db, &t, &p->err));
    struct tradedb *writer = p->db;
    assert_ok(p, tradedb_begin(writer, &p->err));
    t = trade_make(&r, 2);
    assert_ok(p, tradedb_trade_put(writer, &t, &p->err));
    assert_ok(p, tradedb_open(&p->db, p->path, true, &p->err)); /* while the writer is inside */
    assert_int_equal(read_trades(p, 0), 1);
    assert_int_equal(tradedb_trade_put(p->db, &t, &p->err), ST_REFUSED);
    assert_int_equal(tradedb_meta_put(p->db, "a", "b", &p->err), ST_REFUSED);
    assert_ok(p, tradedb_commit(writer, &p->err));
    assert_int_equal(read_trades(p, 0), 2);
    tradedb_close(writer);
    assert_int_equal(read_trades(p, 0), 2);
}

/* The child commits 100 trades, writes 50 more and waits inside the transaction to be killed. */
static void child_writes_and_waits(const char *path, int ready) {
    struct tradedb *db;
    struct rng r = rng_init(5);
    if (tradedb_open(&db, path, false, NULL) != ST_OK) _exit(1);
    for (uint64_t id = 1; id <= 150; id++) {
        struct trade_closed t = trade_make(&r, id);
        if ((id == 1 || id == 101) && tradedb_begin(db, NULL) != ST_OK) _exit(1);
        if (tradedb_trade_put(db, &t, NULL) != ST_OK) _exit(1);
        if (id == 100 && tradedb_commit(db, NULL) != ST_OK) _exit(1);
    }
    if (write(ready, "x", 1) != 1) _exit(1);
    for (;;) pause();
}

static void killed_writer_leaves_whole_transactions(void **state) {
    struct place *p = *state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ready[0]);
        child_writes_and_waits(p->path, ready[1]);
    }
    close(ready[1]);
    char byte;
    ssize_t got = read(ready[0], &byte, 1); /* 0: the child failed before */
    close(ready[0]);
    kill(child, SIGKILL);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(got, 1);
    assert_true(WIFSIGNALED(how));

    reopen(p, true); /* a reader alone may be the first to come after the crash */
    assert_int_equal(read_trades(p, 0), 100);
    reopen(p, false);
    assert_int_equal(read_trades(p, 0), 100);
    struct rng r = rng_init(5);
    for (uint64_t id = 1; id <= 150; id++) { /* the same ground again, then further */
        struct trade_closed t = trade_make(&r, id);
        assert_ok(p, tradedb_trade_put(p->db, &t, &p->err));
    }
    assert_int_equal(read_trades(p, 0), 150);
}

static void write_file(const char *path, const void *data, size_t size, off_t at) {
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, size, at), (ssize_t)size);
    close(fd);
}

static void missing_and_damaged_files_are_named(void **state) {
    struct place *p = *state;
    assert_int_equal(tradedb_open(&p->db, p->path, true, &p->err), ST_NOT_FOUND);
    assert_null(p->db);
    assert_non_null(strstr(p->err.text, p->path));
    assert_int_equal(access(p->path, F_OK), -1); /* looking made no file */
    assert_int_equal(tradedb_open(&p->db, "/nonexistent-folder/t.sqlite", false, &p->err), ST_IO);
    assert_non_null(strstr(p->err.text, "/nonexistent-folder/t.sqlite"));

    char noise[4096];
    memset(noise, 'n', sizeof noise);
    write_file(p->path, noise, sizeof noise, 0);
    for (int read_only = 0; read_only < 2; read_only++) {
        assert_int_equal(tradedb_open(&p->db, p->path, read_only, &p->err), ST_CORRUPT);
        assert_non_null(strstr(p->err.text, p->path));
    }
    unlink(p->path);

    reopen(p, false); /* a journal whose pages were overwritten */
    put_series(p, 200);
    tradedb_close(p->db);
    p->db = NULL;
    for (off_t page = 1; page < 8; page++) write_file(p->path, noise, sizeof noise, page * 4096);
    assert_ok(p, tradedb_open(&p->db, p->path, true, &p->err));
    memset(&seen, 0, sizeof seen);
    assert_int_equal(tradedb_trades(p->db, 0, collect_trade, &seen, &p->err), ST_CORRUPT);
    assert_non_null(strstr(p->err.text, p->path));
}

static void sql(const char *path, const char *text) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_file_of_version_1_is_read_and_brought_up_to_date(void **state) {
    struct place *p = *state;
    struct rng r = rng_init(3);
    struct trade_closed old = trade_make(&r, 1), new = trade_make(&r, 2);
    new.arm = 5, new.targets = 2, new.drawdown_max = 0.25;
    reopen(p, false);
    assert_ok(p, tradedb_trade_put(p->db, &old, &p->err));
    tradedb_close(p->db);
    p->db = NULL;
    sql(p->path, "ALTER TABLE trades DROP COLUMN arm; ALTER TABLE trades DROP COLUMN targets;"
                 "ALTER TABLE trades DROP COLUMN drawdown_max; PRAGMA user_version = 1");
    for (int limit = 0; limit < 2; limit++) {
        reopen(p, true);
        assert_int_equal(read_trades(p, (size_t)limit), 1);
        assert_int_equal(seen.trades[0].arm, ARM_NONE);
        assert_int_equal(seen.trades[0].targets, 0);
        assert_true(isnan(seen.trades[0].drawdown_max));
        assert_true(seen.trades[0].net_pnl.e8 == old.net_pnl.e8);
    }
    for (int again = 0; again < 2; again++) {
        reopen(p, false);
        assert_ok(p, tradedb_trade_put(p->db, &new, &p->err));
        assert_int_equal(read_trades(p, 0), 2);
        assert_int_equal(seen.trades[0].arm, ARM_NONE);
        assert_trade_equal(&seen.trades[1], &new);
    }
    reopen(p, true);
    assert_int_equal(read_trades(p, 1), 1);
    assert_trade_equal(&seen.trades[0], &new);
}

static void other_formats_are_refused(void **state) {
    struct place *p = *state;
    reopen(p, false);
    tradedb_close(p->db);
    p->db = NULL;
    sql(p->path, "PRAGMA user_version = 3");
    for (int read_only = 0; read_only < 2; read_only++) {
        assert_int_equal(tradedb_open(&p->db, p->path, read_only, &p->err), ST_VERSION);
        assert_non_null(strstr(p->err.text, p->path));
        assert_non_null(strstr(p->err.text, "newer"));
    }
    unlink(p->path);
    sql(p->path, "CREATE TABLE photos (name TEXT)");
    for (int read_only = 0; read_only < 2; read_only++)
        assert_int_equal(tradedb_open(&p->db, p->path, read_only, &p->err), ST_MISMATCH);
    unlink(p->path);
    reopen(p, false);
    struct rng r = rng_init(2);
    struct trade_closed t = trade_make(&r, 77);
    assert_ok(p, tradedb_trade_put(p->db, &t, &p->err));
    sql(p->path, "UPDATE trades SET exit_reason = 'boredom'");
    assert_int_equal(tradedb_trades(p->db, 0, collect_trade, &seen, &p->err), ST_CORRUPT);
    assert_non_null(strstr(p->err.text, "77"));
}

static void assert_query(const char *path, const char *query, const char *expected) {
    sqlite3 *db;
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, query, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(s, 0), expected);
    sqlite3_finalize(s);
    sqlite3_close(db);
}

static void views_show_exact_decimals_and_dates(void **state) {
    struct place *p = *state;
    reopen(p, false);
    struct trade_closed t = {.trade_id = 1, .side = SIDE_SELL, .symbol = "BTCUSDT"};
    t.exit_reason = EXIT_TAKE_PROFIT;
    t.entry_ts_ns = INT64_C(1730098800123000000); /* 2024-10-28T07:00:00.123Z by date(1) */
    t.net_pnl.e8 = -1;
    t.entry_px.e8 = INT64_C(9007199254740993); /* 2^53 + 1: lost by any detour through double */
    assert_ok(p, tradedb_trade_put(p->db, &t, &p->err));
    assert_query(p->path,
                 "SELECT side || ' ' || entry_utc || ' ' || entry_px || ' ' || net_pnl || ' ' ||"
                 " exit_reason FROM trades_readable",
                 "SELL 2024-10-28T07:00:00Z 90071992.54740993 -0.00000001 take_profit");
    t.trade_id = 2;
    t.net_pnl.e8 = 5 * FX_ONE;
    assert_ok(p, tradedb_trade_put(p->db, &t, &p->err));
    assert_query(p->path,
                 "SELECT symbol || ' ' || trades || ' ' || wins || ' ' || net_pnl"
                 " FROM by_symbol",
                 "BTCUSDT 2 1 4.99999999");
    struct venue_event e = fill_make(VENUE_LIQUIDATION, 4, t.entry_ts_ns, -250000000, 1);
    put_fill(p, &e, "BTCUSDT");
    assert_query(p->path,
                 "SELECT kind || ' ' || realized_pnl || ' ' || client_order_id"
                 " FROM fills_readable",
                 "liquidation -2.50000000 q-4");
    assert_ok(p, tradedb_equity_put(p->db, 0, money_e8(1), money_e8(-FX_ONE), money_e8(0), NULL));
    assert_query(p->path, "SELECT utc || ' ' || equity FROM equity_readable",
                 "1970-01-01T00:00:00Z -1.00000000");
}

static void begin_twice_is_an_error(void **state) {
    struct place *p = *state;
    reopen(p, false);
    assert_int_not_equal(tradedb_commit(p->db, &p->err), ST_OK);
    assert_ok(p, tradedb_begin(p->db, &p->err));
    assert_int_not_equal(tradedb_begin(p->db, &p->err), ST_OK);
    assert_ok(p, tradedb_commit(p->db, &p->err));
    tradedb_close(NULL);
}

/* For reading, not judged: `TRADEDB_RATE=1 store_test_tradedb` says rows per second. */
static void rate(void **state) {
    struct place *p = *state;
    if (!getenv("TRADEDB_RATE")) skip();
    enum { ROWS = 300000 };
    struct rng r = rng_init(5);
    static struct trade_closed t[1000];
    for (size_t i = 0; i < 1000; i++) t[i] = trade_make(&r, i);
    reopen(p, false);
    int64_t start = tstamp_monotonic_ns();
    assert_ok(p, tradedb_begin(p->db, &p->err));
    for (uint64_t i = 0; i < ROWS; i++) {
        t[i % 1000].trade_id = i + 1;
        assert_ok(p, tradedb_trade_put(p->db, &t[i % 1000], &p->err));
    }
    assert_ok(p, tradedb_commit(p->db, &p->err));
    double s = (double)(tstamp_monotonic_ns() - start) / 1e9;
    print_message("%d trade rows in %.3f s: %.0f rows/s\n", ROWS, s, ROWS / s);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(trades_come_back_as_they_were),
        TEST(every_reason_and_strategy_has_a_name),
        TEST(writing_twice_changes_nothing),
        TEST(ledger_sum_does_not_wrap),
        TEST(meta_says_what_is_missing_or_too_long),
        TEST(truncation_cuts_behind_the_snapshot),
        TEST(reader_sees_commits_of_a_writer_at_work),
        TEST(killed_writer_leaves_whole_transactions),
        TEST(missing_and_damaged_files_are_named),
        TEST(a_file_of_version_1_is_read_and_brought_up_to_date),
        TEST(other_formats_are_refused),
        TEST(views_show_exact_decimals_and_dates),
        TEST(begin_twice_is_an_error),
        TEST(rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
