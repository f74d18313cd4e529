/* A venue in memory shared with the processes that are killed: the bar exchange behind a port that loses the tail of what
 * it said whenever its client dies, as sockets do. Its clock moves only while somebody polls. The includer says SYMBOLS,
 * BARS, MINUTE, T0; POLL_SECONDS divides a minute. */
#ifndef BACKTEST_TEST_LIVE_VENUE_H
#define BACKTEST_TEST_LIVE_VENUE_H

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backtest/session.h"
#include "backtest/test_tape.h"
#include "base/tstamp.h"

#ifndef POLL_SECONDS
#define POLL_SECONDS 5
#endif
enum { LOG_MAX = 20000, BLOCK = 8 << 20 };

/* Lives in shared memory: what the venue is, whoever is connected to it. */
struct remote {
    int64_t now_ns;
    uint64_t bar; /* the one that is running */
    uint32_t log_count;
    int32_t polls_to_live; /* the client dies when it reaches 0; negative: lives on */
    uint32_t
        crash_where; /* 0 while polling, 1 before a command is taken, 2 after; more is the includer's */
    struct venue_event log[LOG_MAX];
    struct bar bars[SYMBOLS][BARS];
    struct instrument instruments[SYMBOLS];
    _Alignas(64) char exchange[BLOCK];
};

static struct remote *remote;
static struct simex *simex;
static uint32_t *crashes; /* shared, by where */

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

/* Bars and instruments are there; the venue stands at the beginning of bar `first`. */
static void remote_begin(uint32_t first) {
    struct simex_config c = venue_config();
    assert_true(simex_size(&c) <= BLOCK);
    simex = simex_init(remote->exchange, &c);
    remote->bar = first;
    remote->now_ns = T0 + first * MINUTE;
    remote->polls_to_live = -1;
    begin_bars_of(first);
}

static void remote_map(void) {
    remote = mmap(NULL, sizeof *remote, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    crashes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(remote != MAP_FAILED && crashes != MAP_FAILED);
}

static int remote_unmap(void) {
    return munmap(remote, sizeof *remote) + munmap(crashes, 4096);
}

/* ---- the port ---- */

struct client {
    struct venue_sink sink;
    uint32_t told; /* of the log */
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

/* Some seconds pass at the venue. Returns the bar that closed, or -1. */
static int64_t advance(void) {
    struct venue_event e;
    remote->now_ns += POLL_SECONDS * NS_PER_SECOND;
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

/* In a process of its own, which may be killed inside. True: it came to its end. */
static bool in_child(void (*work)(void *context), void *context) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        work(context);
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

static inline struct venue_port client_port(struct client *client) {
    *client = (struct client){.told = remote->log_count};
    return (struct venue_port){.context = client,
                               .attach = p_attach,
                               .bars = p_bars,
                               .start = p_start,
                               .submit = p_submit,
                               .poll = p_poll,
                               .now_ns = p_now};
}

#endif
