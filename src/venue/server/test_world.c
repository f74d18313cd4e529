/* A world survives what may happen to its process and its files, and is refused where it cannot be trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "venue/server/test_world.h"
#include "venue/server/world_internal.h"

/* Of all that a snapshot holds, not of the exchange alone (whose memory has unused bytes between its fields). */
static uint64_t state_hash(const struct world *w) {
    uint64_t hash = (uint64_t)w->now_ns ^ exchange_hash(w->exchange);
    for (int i = BLOCK_HISTORY; i <= BLOCK_TICKS; i++)
        hash = hash_chain(hash, w->p->blocks[i].memory, w->p->blocks[i].saved);
    return hash;
}

static struct world *open_world(const struct test_setup *s) {
    struct world *w = NULL;
    struct err err = {0};
    enum status st = world_open(&w, &s->options, &err);
    if (st != ST_OK) print_error("%s\n", err.text);
    assert_int_equal(st, ST_OK);
    return w;
}

static void close_world(struct world *w) {
    struct err err = {0};
    assert_int_equal(world_close(w, &err), ST_OK);
}

static void run_ops(struct world *w, const struct test_setup *s, uint64_t seed, uint64_t from,
                    uint64_t to) {
    struct test_op op;
    for (uint64_t i = from; i < to; i++) {
        test_op(&op, s, seed, i);
        test_op_run(w, &op);
    }
}

/* Newest first. */
static int by_name_down(const struct dirent **a, const struct dirent **b) {
    return -strcmp((*a)->d_name, (*b)->d_name);
}
static int is_snapshot(const struct dirent *e) {
    return strncmp(e->d_name, "snapshot-", 9) == 0;
}
/* Path of the rank-th newest snapshot; returns how many there are. */
static int snapshot_path(char *out, size_t size, const char *dir, int rank) {
    struct dirent **list;
    int n = scandir(dir, &list, is_snapshot, by_name_down);
    assert_true(n >= 0);
    if (rank < n) snprintf(out, size, "%s/%s", dir, list[rank]->d_name);
    for (int i = 0; i < n; i++) free(list[i]);
    free(list);
    return n;
}

static void flip_byte(const char *path, off_t at) {
    uint8_t byte = 0;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* ---- kill -9 ---- */

struct shared {
    _Atomic uint64_t acked; /* ops whose call returned */
    _Atomic int failed;
};

static _Noreturn void victim(const struct test_setup *s, struct shared *shared, uint64_t seed) {
    struct world *w;
    struct test_op op;
    struct err err = {0};
    if (world_open(&w, &s->options, &err) != ST_OK) {
        fprintf(stderr, "victim: %s\n", err.text);
        atomic_store(&shared->failed, 1);
        _exit(1);
    }
    for (uint64_t i = atomic_load(&shared->acked);; i++) {
        test_op(&op, s, seed, i);
        test_op_run(w, &op);
        atomic_store(&shared->acked, i + 1);
    }
}

static void test_kill(void **state) {
    (void)state;
    char dir[256];
    test_dir(dir, sizeof dir);
    uint64_t seed = test_seed();
    struct rng r = rng_init(seed);
    struct test_setup s, t;
    test_setup(&s, dir);
    s.options.snapshot_records = 700;
    test_setup(&t, NULL);
    struct world *twin = open_world(&t);
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    uint64_t recovered = 0, snapshots = 0;
    for (int round = 0; round < 12; round++) {
        uint64_t done = atomic_load(&shared->acked), until = done + 1 + rng_below(&r, 900);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) victim(&s, shared, seed);
        while (atomic_load(&shared->acked) < until && !atomic_load(&shared->failed)) sched_yield();
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        assert_int_equal(atomic_load(&shared->failed), 0);

        struct world *w = open_world(&s);
        uint64_t acked = atomic_load(&shared->acked);
        run_ops(twin, &t, seed, done, acked);
        /* Of the op under way when it was killed the journal has nothing, the advance in front of it, or all. */
        struct test_op op;
        test_op(&op, &t, seed, acked);
        if (state_hash(w) != state_hash(twin)) world_advance(twin, op.now_ns);
        if (state_hash(w) != state_hash(twin)) {
            test_op_run(twin, &op);
            atomic_store(&shared->acked, acked + 1);
        }
        assert_true(state_hash(w) == state_hash(twin));
        struct world_stats stats;
        world_stats_get(w, &stats);
        recovered += stats.recovered_records;
        char path[400];
        snapshots += (uint64_t)snapshot_path(path, sizeof path, dir, 0);
        close_world(w);
    }
    print_message("ops %llu, records applied again %llu\n",
                  (unsigned long long)atomic_load(&shared->acked), (unsigned long long)recovered);
    assert_true(recovered > 0 && snapshots >= 12);
    struct exchange_totals totals;
    exchange_totals_get(twin->exchange, &totals);
    assert_int_equal(totals.error.e8, 0);
    close_world(twin);
    munmap(shared, sizeof *shared);
    test_dir_remove(dir);
}

/* ---- snapshots ---- */

/* A process that ends without closing its world, at a known place, one snapshot on its way. */
static void leave_behind(const struct test_setup *s, uint64_t seed, uint64_t ops) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct world *w;
        struct world_stats stats = {0};
        if (world_open(&w, &s->options, NULL) != ST_OK) _exit(1);
        run_ops(w, s, seed, 0, ops / 2);
        world_snapshot_start(w);
        snapshot_reap(w->p, true);
        world_stats_get(w, &stats);
        run_ops(w, s, seed, ops / 2, ops);
        _exit(stats.snapshots == 2 ? 0 : 2); /* the first one, and this */
    }
    int code;
    waitpid(pid, &code, 0);
    assert_true(WIFEXITED(code) && WEXITSTATUS(code) == 0);
}

static void test_snapshot_and_journal(void **state) {
    (void)state;
    char dir[256], copy[300], command[700], path[400];
    test_dir(dir, sizeof dir);
    uint64_t seed = test_seed();
    struct test_setup s, t, none;
    test_setup(&s, dir);
    leave_behind(&s, seed, 1500);
    snprintf(copy, sizeof copy, "%s-copy", dir);
    snprintf(command, sizeof command, "cp -r '%s' '%s'", dir, copy);
    assert_int_equal(system(command), 0);
    assert_int_equal(snapshot_path(path, sizeof path, copy, 0), 2);
    assert_int_equal(unlink(path), 0);

    test_setup(&t, copy);
    test_setup(&none, NULL);
    struct world *a = open_world(&s), *b = open_world(&t), *c = open_world(&none);
    run_ops(c, &none, seed, 0, 1500);
    struct world_stats in_a, in_b;
    world_stats_get(a, &in_a);
    world_stats_get(b, &in_b);
    assert_true(in_a.recovered_records > 0 && in_b.recovered_records > in_a.recovered_records);
    assert_true(state_hash(a) == state_hash(b) && state_hash(a) == state_hash(c));

    /* And both go on alike. */
    run_ops(a, &s, seed, 1500, 1700);
    run_ops(b, &t, seed, 1500, 1700);
    assert_true(state_hash(a) == state_hash(b));
    close_world(a);
    close_world(b);
    close_world(c);
    a = open_world(&s); /* closed: nothing to be applied again */
    world_stats_get(a, &in_a);
    assert_int_equal(in_a.recovered_records, 0);
    close_world(a);
    test_dir_remove(dir);
    test_dir_remove(copy);
}

/* How many snapshots it made; killed behind the last of these calls. */
static int killed_behind(const struct test_setup *s, uint64_t seed, uint64_t from, uint64_t to) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct world *w;
        struct world_stats stats = {0};
        if (world_open(&w, &s->options, NULL) != ST_OK) _exit(100);
        run_ops(w, s, seed, from, to);
        snapshot_reap(w->p, true);
        world_stats_get(w, &stats);
        _exit((int)stats.snapshots);
    }
    int code;
    waitpid(pid, &code, 0);
    assert_true(WIFEXITED(code) && WEXITSTATUS(code) < 100);
    return WEXITSTATUS(code);
}

/* A snapshot is due five minutes behind the last one, and no life is that long. */
static void test_killed_too_often_for_a_snapshot(void **state) {
    (void)state;
    enum { LIFE = 390, LIVES = 7 }; /* calls, four a second */
    char dir[256];
    test_dir(dir, sizeof dir);
    uint64_t seed = test_seed();
    struct test_setup s;
    test_setup(&s, dir);
    int made = 0;
    for (uint64_t i = 0; i < LIVES; i++) {
        int here = killed_behind(&s, seed, i * LIFE, (i + 1) * LIFE);
        assert_int_equal(here, i == 0 || i == 4); /* a new world, and behind 6.5 minutes */
        made += here;
    }
    assert_int_equal(made, 2);
    struct world *w = open_world(&s);
    struct world_stats stats;
    world_stats_get(w, &stats);
    assert_in_range(stats.recovered_records, 1, 2 * 4 * (uint64_t)LIFE);
    close_world(w);
    test_dir_remove(dir);
}

static void test_broken_snapshots(void **state) {
    (void)state;
    char dir[256], path[400];
    test_dir(dir, sizeof dir);
    struct test_setup s, none;
    test_setup(&s, dir);
    test_setup(&none, NULL);
    leave_behind(&s, 7, 600);
    struct world *twin = open_world(&none);
    run_ops(twin, &none, 7, 0, 600);
    assert_int_equal(snapshot_path(path, sizeof path, dir, 0), 2);
    flip_byte(path, 4096 + 64);
    struct world *w = open_world(&s); /* the older one and more of the journal */
    assert_true(state_hash(w) == state_hash(twin));
    close_world(w);
    close_world(twin);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(snapshot_path(path, sizeof path, dir, i), 2);
        flip_byte(path, 4096 + 128);
    }
    struct err err = {0};
    assert_int_equal(world_open(&w, &s.options, &err), ST_CORRUPT);
    assert_non_null(strstr(err.text, "no snapshot"));
    test_dir_remove(dir);
}

/* A snapshot made behind a journal whose end the disk lost: its record numbers are not given out again. */
static void test_lost_journal_end(void **state) {
    (void)state;
    char dir[256], command[600];
    test_dir(dir, sizeof dir);
    struct test_setup s;
    test_setup(&s, dir);
    struct world *w = open_world(&s);
    run_ops(w, &s, 3, 0, 300);
    uint64_t hash = state_hash(w), seq = journal_last_seq(w->p->journal);
    close_world(w);
    snprintf(command, sizeof command, "rm '%s'/journal/*", dir);
    assert_int_equal(system(command), 0);
    w = open_world(&s);
    assert_true(state_hash(w) == hash && journal_last_seq(w->p->journal) == seq);
    run_ops(w, &s, 3, 300, 400);
    hash = state_hash(w);
    close_world(w);
    w = open_world(&s);
    assert_true(state_hash(w) == hash);
    close_world(w);
    test_dir_remove(dir);
}

/* ---- refusals ---- */

static void test_mismatch(void **state) {
    (void)state;
    char dir[256];
    test_dir(dir, sizeof dir);
    struct test_setup s;
    struct err err = {0};
    struct world *w;
    test_setup(&s, dir);
    close_world(open_world(&s));

    s.options.exchange.accounts_max = 17;
    assert_int_equal(world_open(&w, &s.options, &err), ST_MISMATCH);
    assert_non_null(strstr(err.text, "exchange.accounts_max 16"));
    assert_non_null(strstr(err.text, "exchange.accounts_max 17"));
    test_setup(&s, dir);
    s.instruments[1].step_size.e8 *= 10;
    assert_int_equal(world_open(&w, &s.options, &err), ST_MISMATCH);
    assert_non_null(strstr(err.text, s.instruments[1].symbol));
    test_setup(&s, dir);
    s.options.market.seed = 99;
    assert_int_equal(world_open(&w, &s.options, &err), ST_MISMATCH);
    assert_non_null(strstr(err.text, "market.seed"));
    test_setup(&s, dir);
    s.options.start_ns += 5 * NS_PER_DAY; /* of a fresh world only */
    w = open_world(&s);
    assert_true(w->now_ns < s.options.start_ns);
    close_world(w);
    test_dir_remove(dir);
}

static void test_second_opener(void **state) {
    (void)state;
    char dir[256];
    test_dir(dir, sizeof dir);
    struct test_setup s;
    struct err err = {0};
    test_setup(&s, dir);
    struct world *w = open_world(&s), *other;
    assert_int_equal(world_open(&other, &s.options, &err), ST_EXISTS);
    /* Nor does a snapshot's child hold the lock longer than its parent. */
    world_snapshot_start(w);
    close_world(w);
    close_world(open_world(&s));
    test_dir_remove(dir);
}

static void test_wrong_hash(void **state) {
    (void)state;
    char dir[256], journal_dir[300];
    test_dir(dir, sizeof dir);
    struct test_setup s;
    struct err err = {0};
    test_setup(&s, dir);
    struct world *w = open_world(&s);
    run_ops(w, &s, 5, 0, 50);
    uint64_t right = exchange_hash(w->exchange);
    close_world(w);
    for (int wrong = 0; wrong < 2; wrong++) {
        struct journal *j;
        struct journal_options options = journal_options_defaults();
        uint64_t hash = right + (uint64_t)wrong;
        snprintf(journal_dir, sizeof journal_dir, "%s/journal", dir);
        options.segment_bytes = 16 << 20;
        assert_int_equal(journal_open(&j, NULL, journal_dir, &options, &err), ST_OK);
        journal_append(j, RECORD_HASH, 1, 0, &hash, sizeof hash);
        assert_int_equal(journal_close(j, &err), ST_OK);
        enum status st = world_open(&w, &s.options, &err);
        assert_int_equal(st, wrong ? ST_CORRUPT : ST_OK);
        if (st == ST_OK) close_world(w);
    }
    assert_non_null(strstr(err.text, "does not lead where it led"));
    test_dir_remove(dir);
}

/* What cannot be written is not done, and said so. */
static void test_disk_full(void **state) {
    (void)state;
    char dir[256];
    test_dir(dir, sizeof dir);
    struct test_setup s;
    test_setup(&s, dir);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct world *w;
        if (world_open(&w, &s.options, NULL) != ST_OK) _exit(1);
        struct rlimit limit = {8192, 8192};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        struct test_op op;
        uint64_t i = 0, before = 0;
        int32_t code = -1001;
        for (; i < 20000 && world_failed(w, NULL) == ST_OK; i++) {
            test_op(&op, &s, 11, i);
            world_advance(w, op.now_ns);
            before = exchange_hash(w->exchange);
            code = test_op_run(w, &op);
        }
        struct err err = {0};
        if (i == 0 || world_failed(w, &err) != ST_IO || !err.text[0]) _exit(2);
        if (exchange_hash(w->exchange) != before) _exit(3);
        if (!op.is_advance && code != -1001) _exit(4);
        before = exchange_hash(w->exchange);
        struct exchange_reply reply;
        struct exchange_input deposit = {
            .kind = EXI_DEPOSIT, .account = 1, .amount = money_e8(FX_ONE)};
        world_do(w, &deposit, w->now_ns, &reply);
        world_advance(w, w->now_ns + NS_PER_MINUTE);
        if (reply.code != -1001 || exchange_hash(w->exchange) != before) _exit(5);
        if (world_close(w, &err) == ST_OK) _exit(6);
        _exit(0);
    }
    int code;
    waitpid(pid, &code, 0);
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), 0);
    test_dir_remove(dir);
}

/* ---- what is journaled besides orders ---- */

static int events_of_filters;
static void count_filters(void *context, const struct exchange_event *e) {
    (void)context;
    events_of_filters += e->kind == EXE_FILTERS;
}

static void test_operator_inputs(void **state) {
    (void)state;
    char dir[256];
    test_dir(dir, sizeof dir);
    struct test_setup s, none;
    test_setup(&s, dir);
    test_setup(&none, NULL);
    struct world *twin = NULL;
    for (int life = 0; life < 2; life++) {
        pid_t pid = life == 0 ? fork() : 0; /* first in a process that just ends, then here */
        assert_true(pid >= 0);
        if (life == 1 || pid == 0) {
            struct world *w = open_world(life == 0 ? &s : &none);
            struct exchange_reply reply;
            struct instrument rules = *exchange_instrument(w->exchange, 0);
            rules.notional_min.e8 *= 3;
            w->on_event = count_filters;
            events_of_filters = 0;
            run_ops(w, &s, 21, 0, 100);
            world_filters(w, 0, &rules, w->now_ns, &reply);
            bool told = reply.code == 0 && events_of_filters == 1;
            world_classic_set(w, true, w->now_ns);
            world_stale_set(w, 1, true, w->now_ns);
            struct exchange_input settle = {
                .kind = EXI_STATUS, .instrument = 2, .status = INSTRUMENT_SETTLING};
            world_do(w, &settle, w->now_ns, &reply);
            told = told && reply.code == 0;
            run_ops(w, &s, 21, 100, 300);
            if (life == 0) _exit(told ? 0 : 1);
            assert_true(told);
            twin = w;
        } else {
            int code;
            waitpid(pid, &code, 0);
            assert_true(WIFEXITED(code) && WEXITSTATUS(code) == 0);
        }
    }
    events_of_filters = 0;
    struct world *w = open_world(&s);
    assert_int_equal(events_of_filters, 0);
    assert_true(state_hash(w) == state_hash(twin));
    assert_int_equal(exchange_instrument(w->exchange, 2)->status, INSTRUMENT_SETTLING);
    close_world(w);
    close_world(twin);
    test_dir_remove(dir);
}

/* Hands out minute bars that rise; it can do so once only. */
struct feeder {
    int64_t next_ns;
    uint64_t given;
};
static void feed_bars(void *context, struct world *w, int64_t until_ns) {
    struct feeder *f = context;
    for (; f->next_ns <= until_ns + NS_PER_MINUTE; f->next_ns += NS_PER_MINUTE) {
        int64_t k = (f->next_ns - TEST_START_NS) / NS_PER_MINUTE;
        for (uint32_t i = 0; i < TEST_CONTRACTS; i++) {
            int64_t px = (1000 + k) * FX_ONE;
            struct bar bar = {.open_ts_ns = f->next_ns,
                              .open = {px},
                              .high = {px + FX_ONE},
                              .low = {px},
                              .close = {px + FX_ONE},
                              .volume = 1000,
                              .quote_volume = 1000,
                              .taker_buy_ratio = 0.5F,
                              .trade_count = 10};
            if (world_bar(w, i, &bar) != ST_OK) abort();
            f->given++;
        }
    }
}

static void test_feed(void **state) {
    (void)state;
    char dir[256];
    test_dir(dir, sizeof dir);
    struct test_setup s, t;
    struct feeder twins = {.next_ns =
                               TEST_START_NS / NS_PER_MINUTE * NS_PER_MINUTE + NS_PER_MINUTE};
    test_setup(&s, dir);
    test_setup(&t, NULL);
    s.options.market.source = t.options.market.source = MARKET_CANDLES;
    s.options.feed = t.options.feed = feed_bars;
    t.options.context = &twins;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct feeder mine = twins;
        s.options.context = &mine;
        struct world *w = open_world(&s);
        for (int i = 0; i < 3000; i++) world_advance(w, TEST_START_NS + i * 200 * NS_PER_MS);
        _exit(0);
    }
    int code;
    waitpid(pid, &code, 0);
    assert_true(WIFEXITED(code) && WEXITSTATUS(code) == 0);
    struct world *twin = open_world(&t);
    for (int i = 0; i < 3000; i++) world_advance(twin, TEST_START_NS + i * 200 * NS_PER_MS);
    struct feeder again = {.next_ns = INT64_MAX / 2};
    s.options.context = &again;
    struct world *w = open_world(&s);
    assert_int_equal(again.given, 0);
    assert_true(twins.given > 0);
    assert_true(state_hash(w) == state_hash(twin));
    assert_int_equal(world_fed_ns(w, 0), twins.next_ns - NS_PER_MINUTE);
    struct exchange_prices prices;
    exchange_prices_get(w->exchange, 0, &prices);
    assert_true(prices.last.e8 > 1000 * FX_ONE && prices.last.e8 < 1013 * FX_ONE);
    close_world(w);
    close_world(twin);
    test_dir_remove(dir);
}

/* ---- looking, time ---- */

static void test_find_and_time(void **state) {
    (void)state;
    struct test_setup s;
    test_setup(&s, NULL);
    struct world *w = open_world(&s);
    for (int i = 0; i < TEST_CONTRACTS; i++)
        assert_int_equal(world_find(w, s.instruments[i].symbol, strlen(s.instruments[i].symbol)),
                         i);
    assert_int_equal(world_find(w, "BTCUSD", 6), -1);
    assert_int_equal(world_find(w, "btcusdt", 7), -1);
    assert_int_equal(world_find(w, "", 0), -1);
    assert_int_equal(world_find(w, "NOSUCHCONTRACTTHATLONG", 22), -1);
    /* Time does not go back; what is due happens at its time; the minute closes without a trade. */
    int64_t deadline = world_deadline(w);
    assert_true(deadline > TEST_START_NS - NS_PER_SECOND &&
                deadline <= TEST_START_NS + NS_PER_MINUTE);
    world_advance(w, TEST_START_NS + 10 * NS_PER_SECOND);
    assert_int_equal(w->now_ns, TEST_START_NS + 10 * NS_PER_SECOND);
    struct exchange_reply reply;
    struct exchange_input in = {.kind = EXI_DEPOSIT, .account = 1, .amount = money_e8(FX_ONE)};
    world_do(w, &in, TEST_START_NS, &reply);
    assert_int_equal(reply.code, 0);
    assert_int_equal(w->now_ns, TEST_START_NS + 10 * NS_PER_SECOND);
    struct exchange_prices prices;
    exchange_prices_get(w->exchange, 0, &prices);
    assert_true(prices.bid.e8 > 0 && prices.ask.e8 > prices.bid.e8 && prices.mark.e8 > 0);
    struct tick_bar bars[4];
    world_advance(w, TEST_START_NS + 130 * NS_PER_SECOND);
    assert_true(ticks_bars(w->ticks, TICKS_LAST, 0, 0, 1, INT64_MAX / 2, bars, 4) >= 2);
    assert_true(bars[0].closed);
    close_world(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_and_time),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_snapshot_and_journal),
        cmocka_unit_test(test_killed_too_often_for_a_snapshot),
        cmocka_unit_test(test_broken_snapshots),
        cmocka_unit_test(test_lost_journal_end),
        cmocka_unit_test(test_mismatch),
        cmocka_unit_test(test_second_opener),
        cmocka_unit_test(test_wrong_hash),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_operator_inputs),
        cmocka_unit_test(test_feed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
