/* Random orders on every contract of the recorded rules, rounded as a client rounds them: the exchange
 * may refuse them for what the account has, never for their numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>

#include "base/rng.h"
#include "base/tstamp.h"
#include "store/import.h"
#include "store/rules.h"
#include "venue/exchange/exchange.h"

static const char *reference;
static char dir[256];
static struct instrument *instruments;
static uint32_t instrument_count, recorded_count; /* recorded: filters too, these come first */
enum { BATCH = 300 };                             /* contracts of one exchange */

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    return text ? strtoull(text, NULL, 10) : 20261123;
}

static uint64_t test_ops(uint64_t usual) {
    const char *text = getenv("TEST_OPS");
    return text ? strtoull(text, NULL, 10) : usual;
}

/* ---- the rules ---- */

static int load_rules(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/qtest_XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(dir));
    char paths[2][4096];
    snprintf(paths[0], sizeof paths[0], "%s/data/reference/um-exchangeInfo.json", reference);
    snprintf(paths[1], sizeof paths[1], "%s/data/reference/um-leverage-brackets.csv.zst",
             reference);
    const char *list[] = {paths[0], paths[1]};
    struct err err = {0};
    struct import_totals totals;
    struct import_options o = {.store = dir, .problems_max = 5};
    if (import_paths(&totals, &o, list, 2, &err) != ST_OK || totals.files_failed > 0)
        fail_msg("%s", err.text);
    struct rules_map map;
    if (rules_open(&map, dir, &err) != ST_OK) fail_msg("%s", err.text);
    instruments = calloc(map.count, sizeof *instruments);
    assert_non_null(instruments);
    for (size_t i = 0; i < 2 * map.count; i++) {
        const struct rules *r = &map.rows[i % map.count];
        bool is_recorded = (r->sources & RULES_FILTERS) != 0;
        if (is_recorded != (i < map.count)) continue;
        struct instrument *in = &instruments[instrument_count++];
        instrument_defaults(in, r->instrument.symbol);
        if (is_recorded) {
            *in = r->instrument;
        } else { /* a grid as bars would tell it */
            instrument_infer(in, 1000, 100000);
            in->px_max.e8 = 40000 * FX_ONE;
            in->qty_max.e8 = in->market_qty_max.e8 = 1000000 * FX_ONE;
        }
        if (r->sources & RULES_BRACKETS) {
            in->bracket_count = r->instrument.bracket_count;
            memcpy(in->brackets, r->instrument.brackets, sizeof in->brackets);
        }
        recorded_count += is_recorded;
    }
    rules_close(&map);
    printf("%u contracts, %u with filters\n", instrument_count, recorded_count);
    return 0;
}

static int drop_rules(void **state) {
    (void)state;
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(instruments);
    return 0;
}

/* ---- the exchange ---- */

static struct exchange *ex;
static int64_t now = INT64_C(1790000000) * NS_PER_SECOND;

static int32_t step(const struct exchange_input *in) {
    static struct exchange_reply reply;
    now += NS_PER_MS;
    exchange_step(ex, in, now, &reply);
    while (exchange_event_next(ex)) {}
    return reply.code;
}

/* Between low and high, every order of magnitude alike: contracts cost from 1e-6 to 1e5. */
static int64_t spread(struct rng *g, int64_t low, int64_t high) {
    int64_t x = low < 1 ? 1 : low;
    while (x < high / 8 && rng_below(g, 8)) x *= 2 + (int64_t)rng_below(g, 6);
    x += (int64_t)rng_below(g, (uint64_t)x);
    return x > high ? high : x;
}

struct counters {
    uint64_t accepted, out_of_money, took, rested, orders;
};

/* A market of this contract: mark somewhere inside its limits, a house that quotes around it. */
static int64_t make_market(struct rng *g, const struct instrument *in, uint32_t s) {
    int64_t low = in->px_min.e8 > in->tick_size.e8 ? in->px_min.e8 : in->tick_size.e8;
    int64_t high = in->px_max.e8 > 0 ? in->px_max.e8 : 100000 * FX_ONE;
    int64_t mark = spread(g, low * 30, high / 4);
    struct exchange_input m = {
        .kind = EXI_MARK, .instrument = s, .price = {mark}, .price2 = {mark}};
    assert_int_equal(step(&m), 0);
    for (int side = SIDE_BUY; side <= SIDE_SELL; side++) {
        bool up = side == SIDE_SELL;
        px_t px = instrument_round_px(in, px_e8(up ? mark + mark / 500 : mark - mark / 500), up);
        struct exchange_input q = {
            .kind = EXI_QUOTE,
            .instrument = s,
            .side = (uint8_t)side,
            .price = px,
            .qty = instrument_round_qty(in, qty_e8(in->qty_min.e8 * 50 + in->step_size.e8), false)};
        assert_int_equal(step(&q), 0);
    }
    return mark;
}

static bool is_about_numbers(int32_t code) {
    return code == -1111 || (code <= -4001 && code >= -4007) || code == -4013 || code == -4014 ||
           code == -4016 || code == -4023 || code == -4024 || code == -4164 || code == -5029;
}

/* Wanted: any price near the mark and any worth; sent: what the client's rounding makes of it. */
static bool round_order(struct rng *g, const struct instrument *in, int64_t mark,
                        struct exchange_input *o) {
    bool market = o->type == ORDER_MARKET, buy = o->side == SIDE_BUY;
    int64_t away = mark / 8 > 0 ? mark / 8 : 1;
    int64_t wanted = mark - away + (int64_t)rng_below(g, 2 * (uint64_t)away);
    px_t px = {mark};
    if (!market) {
        px = instrument_round_limit_px(in, px_e8(wanted), buy, px_e8(mark));
        if (px.e8 == 0) return false;
        o->price = px;
    }
    qty_t least = instrument_least_qty(in, px, market);
    if (least.e8 == 0) return false;
    qty_t want = {spread(g, least.e8, market ? in->market_qty_max.e8 : in->qty_max.e8)};
    o->qty = instrument_round_qty(in, want.e8 < least.e8 ? least : want, market);
    return o->qty.e8 >= least.e8;
}

static void one_order(struct rng *g, const struct instrument *in, uint32_t s, int64_t mark,
                      struct counters *n) {
    struct exchange_input o = {.kind = EXI_ORDER_PLACE,
                               .account = 1,
                               .instrument = s,
                               .side = rng_below(g, 2) ? SIDE_BUY : SIDE_SELL,
                               .type = rng_below(g, 4) ? ORDER_LIMIT : ORDER_MARKET,
                               .stp = STP_EXPIRE_MAKER};
    if (o.type == ORDER_LIMIT && !rng_below(g, 4)) o.time_in_force = TIF_IOC;
    if (!round_order(g, in, mark, &o)) return;
    n->orders++;
    int32_t code = step(&o);
    if (is_about_numbers(code))
        fail_msg("%s: %d for %s %s %lld at %lld, mark %lld", in->symbol, code,
                 side_text((enum side)o.side), order_type_text((enum order_type)o.type),
                 (long long)o.qty.e8, (long long)o.price.e8, (long long)mark);
    /* -2019 margin, -2027 bracket, -2025 room: what the account has. -4131: the best price there is lies
     * beyond the band, which is the book's doing. */
    if (code != 0 && code != -2019 && code != -2027 && code != -2025 && code != -4131)
        fail_msg("%s: unexpected refusal %d", in->symbol, code);
    n->accepted += code == 0;
    n->out_of_money += code != 0;
    n->took += code == 0 && (o.type == ORDER_MARKET || o.time_in_force == TIF_IOC);
    n->rested += code == 0 && o.type == ORDER_LIMIT && o.time_in_force == TIF_GTC;
}

static void add(struct counters *sum, const struct counters *n) {
    sum->orders += n->orders;
    sum->accepted += n->accepted;
    sum->out_of_money += n->out_of_money;
    sum->took += n->took;
    sum->rested += n->rested;
}

/* `ops` orders on an exchange of the contracts first … first + count - 1. */
static struct counters trade(struct rng *g, uint32_t first, uint32_t count, uint64_t ops) {
    struct exchange_config config = exchange_config_defaults();
    config.instrument_count = count;
    config.instruments = instruments + first;
    config.accounts_max = 2;
    config.orders_max = 1024;
    config.algos_max = 16;
    config.book_orders_max = 512;
    config.book_levels_max = 512;
    void *memory = aligned_alloc(64, (exchange_size(&config) + 63) / 64 * 64);
    assert_non_null(memory);
    ex = exchange_init(memory, &config);
    struct exchange_input open = {.kind = EXI_ACCOUNT_OPEN, .amount = {50000000 * FX_ONE}};
    assert_int_equal(step(&open), 0);
    struct counters n = {0};
    for (uint32_t s = 0; n.orders < ops; s = (s + 1) % count) {
        struct exchange_input cancel = {.kind = EXI_CANCEL_ALL, .account = 1, .instrument = s};
        assert_int_equal(step(&cancel), 0);
        int64_t mark = make_market(g, &config.instruments[s], s);
        for (int i = 0; i < 50; i++) one_order(g, &config.instruments[s], s, mark, &n);
    }
    free(memory);
    return n;
}

static void rounded_orders_are_never_refused_for_their_numbers(void **state) {
    (void)state;
    struct rng g = rng_init(test_seed());
    uint64_t ops = test_ops(1000000);
    printf("seed %llu, %llu orders\n", (unsigned long long)test_seed(), (unsigned long long)ops);
    struct counters n = {0};
    /* Those with recorded filters stand first: half of the orders are theirs. */
    struct counters part = trade(&g, 0, recorded_count, ops / 2);
    add(&n, &part);
    for (uint32_t first = recorded_count; first < instrument_count; first += BATCH) {
        uint32_t count = instrument_count - first < BATCH ? instrument_count - first : BATCH;
        part = trade(&g, first, count, ops / 2 * count / (instrument_count - recorded_count) + 1);
        add(&n, &part);
    }
    printf("%llu orders: %llu accepted (%llu rest, %llu take), %llu beyond the account\n",
           (unsigned long long)n.orders, (unsigned long long)n.accepted,
           (unsigned long long)n.rested, (unsigned long long)n.took,
           (unsigned long long)n.out_of_money);
    assert_true(n.orders >= ops / 2 * 2);
    assert_true(n.accepted > n.orders / 4 && n.rested > 0 && n.took > 0 && n.out_of_money > 0);
}

/* The test can fail: what a client wants, sent as it is. */
static void unrounded_orders_are_refused(void **state) {
    (void)state;
    struct rng g = rng_init(test_seed());
    struct exchange_config config = exchange_config_defaults();
    config.instrument_count = recorded_count;
    config.instruments = instruments;
    config.accounts_max = 2;
    void *memory = aligned_alloc(64, (exchange_size(&config) + 63) / 64 * 64);
    assert_non_null(memory);
    ex = exchange_init(memory, &config);
    struct exchange_input open = {.kind = EXI_ACCOUNT_OPEN, .amount = {50000000 * FX_ONE}};
    assert_int_equal(step(&open), 0);
    uint64_t seen[5000] = {0};
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t s = i % recorded_count;
        const struct instrument *in = &instruments[s];
        int64_t mark = i < recorded_count || i % 100 < recorded_count ? make_market(&g, in, s) : 0;
        if (mark == 0) continue;
        for (int k = 0; k < 5; k++) {
            struct exchange_input o = {
                .kind = EXI_ORDER_PLACE, .account = 1, .instrument = s, .type = ORDER_LIMIT};
            o.side = rng_below(&g, 2) ? SIDE_BUY : SIDE_SELL;
            o.price.e8 = mark / 8 * 7 + (int64_t)rng_below(&g, (uint64_t)mark / 4);
            if (k > 0) o.price = instrument_round_px(in, o.price, false);
            o.qty.e8 = spread(&g, in->qty_min.e8, in->qty_max.e8);
            if (k > 1) o.qty = instrument_round_qty(in, o.qty, false);
            seen[-step(&o)]++;
        }
    }
    assert_true(seen[4014] && seen[4016] && seen[4023] && seen[4024] && seen[4164]);
    free(memory);
}

int main(void) {
    reference = getenv("QUANTUM_REFERENCE");
    if (!reference) {
        puts("skipped: QUANTUM_REFERENCE does not name the folder of the reference data");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounded_orders_are_never_refused_for_their_numbers),
        cmocka_unit_test(unrounded_orders_are_refused),
    };
    return cmocka_run_group_tests(tests, load_rules, drop_rules);
}
