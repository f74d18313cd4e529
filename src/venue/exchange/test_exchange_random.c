/* Money is conserved and sums hold after every input of random streams; same inputs, same state; a snapshot
 * goes on like the original. TEST_SEED and TEST_OPS choose another run. */
#include <stdio.h>

#include "base/rng.h"
#include "venue/exchange/test_exchange.h"

#define SEED        20240601
#define OPS         60000
#define FINGERPRINT UINT64_C(0xf978715719ab4d74)

static uint64_t from_env(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

static struct rng rng;

static int64_t roll(int64_t low, int64_t high) {
    return low + (int64_t)rng_below(&rng, (uint64_t)(high - low + 1));
}
static bool chance(int64_t percent) {
    return roll(1, 100) <= percent;
}

static int64_t tick_px(const struct tx *w, uint32_t s, int64_t bps) {
    struct exchange_prices p;
    exchange_prices_get(w->ex, s, &p);
    int64_t tick = exchange_instrument(w->ex, s)->tick_size.e8;
    return fx_snap_nearest(p.mark.e8 + p.mark.e8 / 10000 * bps, tick);
}

static struct exchange_input random_order(const struct tx *w, uint32_t s) {
    struct exchange_account a;
    struct exchange_input in = {.kind = EXI_ORDER_PLACE, .instrument = s};
    in.account = (uint32_t)roll(1, exchange_account_count(w->ex) - 1);
    exchange_account_get(w->ex, in.account, &a);
    in.side = chance(50) ? SIDE_BUY : SIDE_SELL;
    in.type = chance(30) ? ORDER_MARKET : ORDER_LIMIT;
    if (in.type == ORDER_LIMIT) {
        in.time_in_force = chance(60) ? TIF_GTC : (uint8_t)roll(TIF_IOC, TIF_GTD);
        in.until_ns = w->now + roll(601, 700) * SECOND;
        if (chance(10))
            in.price_match = (uint8_t)roll(PRICE_MATCH_OPPONENT, PRICE_MATCH_QUEUE_20);
        else
            in.price.e8 = tick_px(w, s, roll(-40, 40));
    }
    in.stp = (uint8_t)roll(STP_NONE, STP_EXPIRE_BOTH);
    in.qty.e8 = roll(1, 400) * E8(0.001) * (s == ETH ? 25 : 1);
    in.reduce_only = !a.hedge && chance(20);
    if (a.hedge) in.position_side = chance(50) ? POSITION_LONG : POSITION_SHORT;
    return in;
}

static struct exchange_input random_algo(const struct tx *w, uint32_t s) {
    struct exchange_input in = random_order(w, s);
    in.kind = EXI_ALGO_PLACE;
    in.type = (uint8_t)roll(ORDER_STOP_MARKET, ORDER_TRAILING_STOP_MARKET);
    in.price_match = PRICE_MATCH_NONE;
    in.price.e8 = 0;
    in.time_in_force = chance(20) ? TIF_GTE_GTC : TIF_GTC;
    in.working_type = chance(50);
    in.price_protect = chance(20);
    bool up = chance(50);
    in.price2.e8 = tick_px(w, s, up ? roll(1, 60) : roll(-60, -1));
    in.rate.e8 = E8(0.001) * roll(1, 10);
    if (in.type == ORDER_TRAILING_STOP_MARKET && chance(50)) in.price2.e8 = 0;
    if (in.type == ORDER_STOP || in.type == ORDER_TAKE_PROFIT)
        in.price.e8 = tick_px(w, s, roll(-60, 60));
    if (in.type <= ORDER_TAKE_PROFIT_MARKET && chance(30)) {
        in.close_position = 1;
        in.reduce_only = 0;
        in.qty.e8 = 0;
    }
    return in;
}

/* An amendment or a cancellation of something open. */
static struct exchange_input random_change(const struct tx *w, uint32_t s) {
    struct exchange_order open[64];
    struct exchange_input in = {.kind = EXI_TIME};
    uint32_t account = (uint32_t)roll(1, exchange_account_count(w->ex) - 1);
    uint32_t n = exchange_open_orders(w->ex, account, s, open, 64);
    if (n == 0) return in;
    const struct exchange_order *o = &open[roll(0, n - 1)];
    in = (struct exchange_input){
        .account = account, .instrument = s, .side = o->side, .order_id = o->order_id};
    in.kind = chance(50) ? EXI_ORDER_CANCEL : EXI_ORDER_AMEND;
    in.price.e8 = tick_px(w, s, roll(-30, 30));
    in.qty.e8 = roll(1, 300) * E8(0.001);
    return in;
}

static struct exchange_input random_setting(const struct tx *w, uint32_t s) {
    struct exchange_input in = {.instrument = s};
    in.flag = chance(50);
    in.account = (uint32_t)roll(1, exchange_account_count(w->ex) - 1);
    switch (roll(0, 8)) {
    case 0:
        in.kind = EXI_LEVERAGE;
        in.leverage = (uint32_t)roll(5, 125);
        break;
    case 1:
        in.kind = EXI_MARGIN_TYPE;
        break;
    case 2:
        in.kind = EXI_POSITION_MODE;
        break;
    case 3:
        in.kind = EXI_POSITION_MARGIN;
        in.flag = (uint8_t)roll(1, 2);
        in.amount.e8 = roll(1, 200) * FX_ONE;
        in.position_side = (uint8_t)roll(0, 2);
        break;
    case 4:
        in.kind = EXI_DEPOSIT;
        in.amount.e8 = roll(-500, 1000) * FX_ONE + 7;
        break;
    case 5:
        in.kind = EXI_CANCEL_ALL;
        break;
    case 6:
        in.kind = EXI_ALGO_CANCEL_ALL;
        break;
    case 7:
        in.kind = EXI_COUNTDOWN;
        in.until_ns = chance(80) ? w->now + roll(0, 20) * SECOND : 0;
        break;
    default:
        in.kind = EXI_FEES;
        in.rate.e8 = roll(-5000, 20000);
        in.rate2.e8 = roll(20000, 60000);
        break;
    }
    return in;
}

static struct exchange_input random_market(const struct tx *w, uint32_t s) {
    struct exchange_input in = {.instrument = s, .side = chance(50) ? SIDE_BUY : SIDE_SELL};
    int64_t kind = roll(1, 100);
    if (kind <= 70) {
        in.kind = EXI_QUOTE;
        in.price.e8 = tick_px(w, s, in.side == SIDE_BUY ? roll(-30, 2) : roll(-2, 30));
        in.qty.e8 = chance(30) ? 0 : roll(1, 3000) * E8(0.001);
    } else if (kind <= 90) {
        in.kind = EXI_MARK;
        in.price.e8 = tick_px(w, s, chance(95) ? roll(-20, 20) : roll(-400, 400));
        in.price.e8 += roll(0, 9);
        in.price2.e8 = in.price.e8;
    } else if (kind <= 96) {
        in.kind = EXI_PRINT;
        in.price.e8 = tick_px(w, s, roll(-30, 30));
        in.qty.e8 = E8(0.01);
    } else {
        in.kind = EXI_FUNDING;
        in.rate.e8 = roll(-300000, 300000) + 1;
    }
    return in;
}

static struct exchange_input random_input(const struct tx *w) {
    uint32_t s = chance(70) ? BTC : ETH;
    int64_t kind = roll(1, 100);
    if (kind <= 35) return random_market(w, s);
    if (kind <= 70) return random_order(w, s);
    if (kind <= 83) return random_algo(w, s);
    if (kind <= 95) return random_change(w, s);
    return random_setting(w, s);
}

/* Sums of an account against its parts. */
static void check_account(const struct tx *w, uint32_t account) {
    struct exchange_account a;
    exchange_account_get(w->ex, account, &a);
    assert_int_equal(a.wallet.e8,
                     a.deposits.e8 + a.realized_pnl.e8 - a.fees.e8 + a.funding.e8 + a.insurance.e8);
    if (account == EXCHANGE_HOUSE) return;
    int64_t isolated = 0, upnl = 0, im = 0, mm = 0, bids[2] = {0, 0}, asks[2] = {0, 0};
    for (uint32_t s = 0; s < 2; s++)
        for (int side = a.hedge ? 1 : 0; side <= (a.hedge ? 2 : 0); side++) {
            struct exchange_position p;
            exchange_position_get(w->ex, account, s, (enum venue_position_side)side, &p);
            isolated += p.isolated_wallet.e8;
            upnl += p.unrealized.e8;
            im += p.initial_margin.e8;
            mm += p.maint_margin.e8;
            bids[s] += p.bid_notional.e8;
            asks[s] += p.ask_notional.e8;
            assert_true(p.isolated_wallet.e8 >= 0);
            if (side == POSITION_LONG) assert_true(p.qty.e8 >= 0);
            if (side == POSITION_SHORT) assert_true(p.qty.e8 <= 0);
        }
    assert_int_equal(a.wallet.e8 - a.cross_wallet.e8, isolated);
    assert_int_equal(a.unrealized.e8, upnl);
    assert_int_equal(a.position_margin.e8, im);
    assert_int_equal(a.maint_margin.e8, mm);
    struct exchange_order open[512];
    uint32_t n = exchange_open_orders(w->ex, account, UINT32_MAX, open, 512);
    assert_int_equal(n, a.open_orders);
    bool any[2][3] = {{false}};
    for (uint32_t i = 0; i < n; i++) {
        assert_true(i == 0 || open[i - 1].order_id < open[i].order_id);
        assert_true(open[i].cum_qty.e8 < open[i].orig_qty.e8);
        any[open[i].instrument][open[i].side] = true;
    }
    for (uint32_t s = 0; s < 2; s++) {
        if (!any[s][SIDE_BUY]) assert_int_equal(bids[s], 0);
        if (!any[s][SIDE_SELL]) assert_int_equal(asks[s], 0);
    }
}

static void check_book(const struct tx *w, uint32_t s) {
    struct exchange_prices p;
    exchange_prices_get(w->ex, s, &p);
    assert_true(p.bid.e8 == 0 || p.ask.e8 == 0 || p.bid.e8 < p.ask.e8);
    int64_t net = 0;
    for (uint32_t a = 0; a < exchange_account_count(w->ex); a++)
        for (int side = 0; side < 3; side++) {
            struct exchange_position q;
            exchange_position_get(w->ex, a, s, (enum venue_position_side)side, &q);
            net += q.qty.e8;
        }
    assert_int_equal(net, 0); /* every contract has two sides */
}

/* Ids of trades and books rise one by one. Forced trades are numbered and not printed. */
struct counters {
    uint64_t trade[2], sequence[2], events, fills, forced, triggered;
};

static void count_events(const struct tx *w, struct counters *c) {
    for (uint32_t i = 0; i < w->events; i++) {
        const struct exchange_event *e = &w->event[i];
        c->events++;
        if (e->kind == EXE_TRADE) {
            c->fills++;
            assert_true(e->trade_id > c->trade[e->instrument]);
            c->trade[e->instrument] = e->trade_id;
        } else if (e->kind == EXE_LEVEL) {
            assert_int_equal(e->sequence, ++c->sequence[e->instrument]);
        } else if (e->kind == EXE_ORDER) {
            assert_int_not_equal(e->account, EXCHANGE_HOUSE);
        } else if (e->kind == EXE_FORCED) {
            c->forced++;
        } else if (e->kind == EXE_ALGO) {
            c->triggered += e->u.algo.status == EXA_TRIGGERED;
        }
    }
}

static struct tx *random_world(uint64_t seed) {
    struct tx *w = tx_open(NULL);
    rng = rng_init(seed);
    for (int i = 0; i < 6; i++) tx_account(w, (double)roll(500, 20000));
    return w;
}

static void test_random_streams_conserve_money(void **state) {
    (void)state;
    uint64_t seed = from_env("TEST_SEED", SEED), ops = from_env("TEST_OPS", OPS);
    printf("TEST_SEED=%llu TEST_OPS=%llu\n", (unsigned long long)seed, (unsigned long long)ops);
    struct tx *w = random_world(seed);
    struct counters c = {.sequence = {0, 0}};
    for (uint64_t i = 0; i < ops; i++) {
        struct exchange_input in = random_input(w);
        w->now += roll(0, 200) * 1000000;
        tx_do(w, &in);
        count_events(w, &c);
        for (uint32_t a = 0; a < exchange_account_count(w->ex); a++) check_account(w, a);
        check_book(w, in.instrument);
    }
    printf("%llu events, %llu fills, %llu forced, %llu triggered\n", (unsigned long long)c.events,
           (unsigned long long)c.fills, (unsigned long long)c.forced,
           (unsigned long long)c.triggered);
    printf("state %016llx\n", (unsigned long long)exchange_hash(w->ex));
    /* One fingerprint for gcc and clang, -O0 and -O2: a change of it is a change of behaviour. */
    if (seed == SEED && ops == OPS) assert_int_equal(exchange_hash(w->ex), FINGERPRINT);
    assert_true(c.fills > ops / 20 && c.forced > ops / 2000 && c.triggered > ops / 500);
    /* To the end: both contracts are delisted, nobody holds anything. */
    for (uint32_t s = 0; s < 2; s++)
        TX(w, .kind = EXI_STATUS, .instrument = s, .status = INSTRUMENT_CLOSED);
    struct exchange_totals t;
    exchange_totals_get(w->ex, &t);
    assert_int_equal(t.entry_cost.e8, 0);
    for (uint32_t a = 1; a < exchange_account_count(w->ex); a++) {
        assert_int_equal(tx_account_of(w, a).open_orders, 0);
        assert_int_equal(tx_account_of(w, a).open_algos, 0);
        assert_int_equal(tx_account_of(w, a).initial_margin.e8, 0);
        assert_true(tx_account_of(w, a).wallet.e8 >= 0);
    }
    tx_close(w);
}

static void test_a_snapshot_goes_on_the_same(void **state) {
    (void)state;
    struct tx *w = random_world(7), *copy = tx_open(NULL);
    for (int i = 0; i < 4000; i++) {
        struct exchange_input in = random_input(w);
        tx_do(w, &in);
    }
    memcpy(copy->memory, w->memory, exchange_state_size(w->ex));
    copy->now = w->now;
    assert_int_equal(exchange_hash(copy->ex), exchange_hash(w->ex));
    uint64_t before = exchange_hash(w->ex);
    for (int i = 0; i < 4000; i++) {
        struct exchange_input in = random_input(w);
        tx_do(w, &in);
        tx_do(copy, &in);
        assert_int_equal(copy->events, w->events);
        assert_memory_equal(copy->event, w->event, w->events * sizeof *w->event);
        assert_memory_equal(&copy->r, &w->r, sizeof w->r);
    }
    assert_int_equal(exchange_hash(copy->ex), exchange_hash(w->ex));
    assert_int_not_equal(exchange_hash(w->ex), before);
    tx_close(copy);
    tx_close(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_streams_conserve_money),
        cmocka_unit_test(test_a_snapshot_goes_on_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
