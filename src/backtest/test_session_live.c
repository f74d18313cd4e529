/* A run whose venue is somewhere else: killed again and again, it never orders twice, never forgets what it holds, and its
 * journal leads to the same state.
 *
 * The venue is the bar exchange in memory shared with the processes that are killed, behind a port that loses the tail of
 * what it said whenever its client dies, as sockets do. Its clock moves only while somebody polls. TEST_SEED=n repeats. */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backtest/session.h"
#include "backtest/test_tape.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "trade/risk/risk.h"

enum { SYMBOLS = 6, BARS = 700, WARMUP = 130, LOG_MAX = 20000, BLOCK = 8 << 20 };
static const int64_t MINUTE = 60 * NS_PER_SECOND;
static const int64_t T0 = INT64_C(1735689600) * NS_PER_SECOND;

/* Lives in shared memory: what the venue is, whoever is connected to it. */
struct remote {
    int64_t now_ns;
    uint64_t bar; /* the one that is running */
    uint32_t log_count;
    int32_t polls_to_live; /* the client dies when it reaches 0; negative: lives on */
    uint32_t crash_where;  /* 0 while polling, 1 before a command is taken, 2 after */
    struct venue_event log[LOG_MAX];
    struct bar bars[SYMBOLS][BARS];
    struct instrument instruments[SYMBOLS];
    _Alignas(64) char exchange[BLOCK];
};

static struct remote *remote;
static struct simex *simex;
static uint32_t *crashes; /* (3) shared, by where */
static char root[TAPE_PATH_SIZE];

static struct simex_config venue_config(void) {
    struct simex_config c = simex_config_defaults();
    c.instrument_count = SYMBOLS;
    c.instruments = remote->instruments;
    c.wallet_start.e8 = 10000 * FX_ONE;
    c.interval_ns = MINUTE;
    c.depth_share.e8 = FX_ONE / 20;
    return c;
}

static void begin_bars_of(uint64_t bar) {
    for (uint32_t i = 0; i < SYMBOLS; i++) simex_bar_begin(simex, i, &remote->bars[i][bar], NULL);
}

static void remote_new(uint64_t seed) {
    struct synth_config s = synth_config_defaults();
    s.seed = seed;
    s.symbol_count = SYMBOLS;
    s.interval_ns = MINUTE;
    s.start_ts_ns = T0;
    s.volatility_annual = 6; /* so that stops and targets are met within hours */
    struct synth *synth = aligned_alloc(64, (synth_size(&s) + 63) & ~(size_t)63);
    struct bar row[SYMBOLS];
    memset(remote, 0, sizeof *remote);
    synth_init(synth, &s);
    synth_instruments(&s, remote->instruments);
    for (uint32_t b = 0; b < BARS; b++) {
        synth_next(synth, row);
        for (uint32_t i = 0; i < SYMBOLS; i++) remote->bars[i][b] = row[i];
    }
    free(synth);
    struct simex_config c = venue_config();
    assert_true(simex_size(&c) <= BLOCK);
    simex = simex_init(remote->exchange, &c);
    remote->bar = WARMUP;
    remote->now_ns = T0 + WARMUP * MINUTE;
    remote->polls_to_live = -1;
    begin_bars_of(WARMUP);
}

/* ---- the port ---- */

struct client {
    struct venue_sink sink;
    uint32_t told; /* of the log */
    bool dead;
};

static void die_at(uint32_t where) {
    if (remote->polls_to_live != 0 || remote->crash_where != where) return;
    crashes[where]++;
    kill(getpid(), SIGKILL);
}

static void p_attach(void *context, const struct venue_sink *sink) {
    ((struct client *)context)->sink = *sink;
}

static enum status p_bars(void *context, uint32_t i, int64_t from_ns, int64_t to_ns,
                          struct bar *out, size_t max, size_t *count, struct err *err) {
    (void)context, (void)err;
    *count = 0;
    for (uint64_t b = 0; b < remote->bar && *count < max; b++) {
        const struct bar *bar = &remote->bars[i][b];
        if (bar->open_ts_ns >= from_ns && bar->open_ts_ns < to_ns) out[(*count)++] = *bar;
    }
    return ST_OK;
}

/* Five seconds pass at the venue. Returns the bar that closed, or -1. */
static int64_t advance(void) {
    struct venue_event e;
    remote->now_ns += 5 * NS_PER_SECOND;
    while (simex_next(simex, remote->now_ns, &e)) {
        assert_true(remote->log_count < LOG_MAX);
        remote->log[remote->log_count++] = e;
    }
    if (remote->now_ns % MINUTE != 0 || remote->bar + 1 >= BARS) return -1;
    begin_bars_of(++remote->bar);
    return (int64_t)remote->bar - 1;
}

static void tell(struct client *c, const struct venue_event *e) {
    c->sink.venue(c->sink.context, e);
}

/* What reconciliation finds: the log, as far as this client has not seen it. */
static enum status p_start(void *context, const struct kernel_live_order *live, uint32_t count,
                           const struct kernel_held *held, uint32_t held_count, struct err *err) {
    struct client *c = context;
    (void)err, (void)held, (void)held_count;
    (void)advance(); /* what is under way arrives before it may be called never placed */
    c->told = remote->log_count;
    bool heard[64] = {false};
    assert_true(count <= 64);
    for (uint32_t j = 0; j < c->told; j++) {
        const struct venue_event *e = &remote->log[j];
        for (uint32_t i = 0; i < count; i++) {
            if (strcmp(e->client_order_id, live[i].client_order_id) != 0) continue;
            heard[i] = true;
            if (e->kind == VENUE_ORDER_TRADE && e->trade_id <= live[i].last_trade_id) continue;
            if (e->kind == VENUE_CANCEL_REJECTED) continue;
            if (e->kind == VENUE_ORDER_ACCEPTED && live[i].state != ORDER_PENDING_NEW &&
                live[i].state != ORDER_UNKNOWN)
                continue;
            tell(c, e);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (heard[i]) continue;
        struct venue_event never = {.kind = VENUE_ORDER_REJECTED,
                                    .code = -2013,
                                    .order_type = live[i].order_type,
                                    .instrument_index = live[i].instrument_index,
                                    .ts_event_ns = remote->now_ns};
        struct simex_account a;
        simex_account_get(simex, &a);
        never.wallet = a.wallet;
        memcpy(never.client_order_id, live[i].client_order_id, CLIENT_ORDER_ID_SIZE);
        tell(c, &never);
    }
    return ST_OK;
}

static enum status p_submit(void *context, const struct venue_command *command,
                            enum venue_lane lane, struct err *err) {
    (void)context, (void)lane, (void)err;
    die_at(1);
    struct venue_command c = *command;
    c.ts_ns = remote->now_ns;
    assert_int_equal(simex_submit(simex, &c), ST_OK);
    die_at(2);
    return ST_OK;
}

static enum status p_poll(void *context, int64_t until_ns, struct err *err) {
    struct client *c = context;
    (void)until_ns, (void)err;
    if (remote->polls_to_live > 0) remote->polls_to_live--;
    die_at(0);
    int64_t closed = advance();
    while (c->told < remote->log_count) tell(c, &remote->log[c->told++]);
    for (uint32_t i = 0; closed >= 0 && i < SYMBOLS; i++)
        c->sink.bar(c->sink.context, i, &remote->bars[i][closed]);
    return ST_OK;
}

static int64_t p_now(void *context) {
    (void)context;
    return remote->now_ns;
}

/* ---- runs ---- */

static struct session_result live(const char *run_dir, uint64_t steps, bool verify) {
    struct client client = {.told = remote->log_count};
    const struct venue_port port = {.context = &client,
                                    .attach = p_attach,
                                    .bars = p_bars,
                                    .start = p_start,
                                    .submit = p_submit,
                                    .poll = p_poll,
                                    .now_ns = p_now};
    struct session_options o = session_options_defaults();
    struct session_result result;
    struct err err = {0};
    tape_ok(feed_open_live(&o.feed, remote->instruments, SYMBOLS, MINUTE, T0 + WARMUP * MINUTE, 1,
                           &err),
            &err);
    o.port = &port;
    o.mode = MODE_PAPER;
    o.strategy = STRATEGY_RANDOM;
    o.warmup_bars = WARMUP;
    o.run_dir = run_dir;
    o.step_limit = steps;
    o.verify = verify;
    tape_ok(session_run(&result, &o, &err), &err);
    feed_close(o.feed);
    return result;
}

/* In a process of its own, which may be killed inside. True: it came to its end. */
static bool live_in_child(const char *run_dir, uint64_t steps) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)live(run_dir, steps, false);
        _exit(0);
    }
    int how;
    assert_int_equal(waitpid(pid, &how, 0), pid);
    if (WIFSIGNALED(how)) {
        assert_int_equal(WTERMSIG(how), SIGKILL);
        return false;
    }
    assert_int_equal(WEXITSTATUS(how), 0);
    return true;
}

/* No client order id was ever accepted twice, and no order twice its quantity filled. */
static void no_order_was_executed_twice(void) {
    for (uint32_t i = 0; i < remote->log_count; i++) {
        const struct venue_event *e = &remote->log[i];
        if (e->kind != VENUE_ORDER_ACCEPTED) continue;
        for (uint32_t j = 0; j < i; j++)
            if (remote->log[j].kind == VENUE_ORDER_ACCEPTED)
                assert_string_not_equal(remote->log[j].client_order_id, e->client_order_id);
    }
}

static uint32_t stops_resting(uint32_t instrument) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < remote->log_count; i++) {
        const struct venue_event *e = &remote->log[i];
        if (e->instrument_index != instrument || e->order_type != ORDER_STOP_MARKET) continue;
        count += e->kind == VENUE_ORDER_ACCEPTED;
        count -= e->kind == VENUE_ORDER_CANCELED || e->kind == VENUE_ORDER_EXPIRED ||
                 e->kind == VENUE_ORDER_TRIGGERED;
    }
    return count;
}

static void both_sides_agree(const struct session_result *r) {
    struct simex_account a;
    simex_account_get(simex, &a);
    assert_int_equal(r->totals.wallet.e8, a.wallet.e8);
    assert_int_equal(r->totals.realized_pnl.e8, a.realized_pnl.e8);
    assert_int_equal(r->totals.fees.e8, a.fees.e8);
    uint32_t held = 0;
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        struct simex_position p;
        simex_position_get(simex, i, &p);
        held += p.qty.e8 != 0;
        assert_int_equal(stops_resting(i), p.qty.e8 != 0);
    }
    assert_int_equal(r->totals.positions - r->totals.trades, held);
    no_order_was_executed_twice();
}

static void killed_anywhere_it_goes_on_and_both_sides_agree(void **state) {
    (void)state;
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20260901;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    uint32_t kills = 0;
    uint64_t trades = 0;
    for (uint32_t round = 0; round < 4; round++) {
        char dir[TAPE_PATH_SIZE + 32];
        struct rng rng = rng_init(seed + round);
        snprintf(dir, sizeof dir, "%s/live-%u", root, round);
        remote_new(seed + round);
        for (uint64_t steps = WARMUP; steps < BARS - 40;) {
            remote->crash_where = (uint32_t)rng_below(&rng, 3);
            remote->polls_to_live = 1 + (int32_t)rng_below(&rng, 300);
            if (live_in_child(dir, steps + 60)) break;
            kills++;
            steps = remote->bar;
        }
        /* Let what is on its way arrive: the last minute before the end opens nothing new to wait for. */
        remote->polls_to_live = -1;
        struct session_result r = live(dir, 0 + remote->bar + 3, false);
        while (r.totals.positions - r.totals.trades > 0 && remote->bar < BARS - 2) {
            bool settled = true;
            for (uint32_t i = 0; i < SYMBOLS; i++) {
                struct simex_position p;
                simex_position_get(simex, i, &p);
                settled = settled && stops_resting(i) == (p.qty.e8 != 0);
            }
            if (settled) break;
            r = live(dir, remote->bar + 1, false);
        }
        both_sides_agree(&r);
        trades += r.totals.trades;
        struct session_result again = live(dir, 0, true);
        assert_int_equal(again.state_hash, r.state_hash);
        assert_true(again.records_checked > 100);
    }
    print_message("%u kills (%u polling, %u before and %u after a command), %" PRIu64 " trades\n",
                  kills, crashes[0], crashes[1], crashes[2], trades);
    assert_true(kills >= 60);
    assert_true(trades >= 60);
}

static int setup(void **state) {
    (void)state;
    remote = mmap(NULL, sizeof *remote, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    crashes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(remote != MAP_FAILED && crashes != MAP_FAILED);
    tape_folder(root);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    tape_remove(root);
    return munmap(remote, sizeof *remote) + munmap(crashes, 4096);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_anywhere_it_goes_on_and_both_sides_agree),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
