/* Every trade is credited once, whatever is told how often. */
#include "test_world.h"

static struct trader trader;

static uint64_t trades_in_memory(const struct engine *e) {
    return e->memory.all.count;
}

static void assert_counts(const struct engine *e, uint64_t opened, uint64_t dropped,
                          uint64_t credited) {
    struct engine_view v;
    struct err err = {0};
    engine_view_get(&v, e);
    assert_int_equal(e->opened, opened);
    assert_int_equal(e->dropped, dropped);
    assert_int_equal(e->credited, credited);
    assert_int_equal(v.open, opened - dropped - credited);
    assert_int_equal(e->strategy.settled, credited);
    assert_int_equal(e->strategy.pending_count, v.open);
    assert_int_equal(e->sizing.credited + e->sizing_lost, credited); /* all had a state */
    assert_int_equal(trades_in_memory(e), credited);
    if (engine_check(e, &err) != ST_OK) fail_msg("%s", err.text);
}

/* A decision that allows an entry, from a run of the world; the engine is left as it is then. */
static struct engine_decision allowed_decision(void) {
    struct engine_config config = world_config();
    trader_init(&trader, world_engine(&config));
    for (uint32_t t = 0; t < 1000; t++) {
        trader_step(&trader, t);
        for (uint32_t i = 0; i < WORLD_SYMBOLS; i++)
            if (t > 300 && trader.decisions[i].reason == ENGINE_ALLOW &&
                trader.decisions[i].regime.regime != REGIME_UNKNOWN)
                return trader.decisions[i];
    }
    fail_msg("nothing was allowed");
    return trader.decisions[0];
}

static void a_run_credits_every_trade_once(void **state) {
    (void)state;
    struct engine_config config = world_config();
    struct rng r = rng_init(world_seed());
    trader_init(&trader, world_engine(&config));
    uint64_t repeated = 0;
    for (uint32_t t = 0; t < 1500; t++) {
        trader_bars(&trader, t);
        struct world_trade before[PORTFOLIO_POSITIONS_CEILING];
        uint32_t count = trader.count;
        memcpy(before, trader.trades, sizeof before);
        trader_close(&trader, t);
        for (uint32_t j = 0; j < count; j++) {
            if (before[j].until > t || rng_below(&r, 2)) continue;
            /* Redelivered: the close, the intent, its denial. */
            struct engine_decision d = trader.decisions[before[j].symbol];
            d.reason = ENGINE_ALLOW;
            d.strategy.arm = 0;
            d.fraction = 0.1;
            assert_int_equal(engine_closed(trader.e, before[j].id, &before[j].outcome),
                             ENGINE_DUPLICATE);
            assert_int_equal(engine_opened(trader.e, before[j].id, &d), ENGINE_DUPLICATE);
            assert_int_equal(engine_dropped(trader.e, before[j].id), ENGINE_DUPLICATE);
            repeated += 3;
        }
        trader_decide(&trader, t);
    }
    assert_true(trader.closed > 200 && trader.dropped > 20 && repeated > 100);
    assert_int_equal(trader.e->refused, repeated);
    assert_counts(trader.e, trader.entered + trader.dropped, trader.dropped, trader.closed);
    free(trader.e);
    free(trader.scratch);
}

static void what_cannot_be_used_changes_nothing(void **state) {
    (void)state;
    const struct engine_decision d = allowed_decision();
    struct engine *e = trader.e;
    size_t size = engine_size(WORLD_SYMBOLS);
    struct engine *was = malloc(size);
    assert_non_null(was);
    const struct engine_outcome good = {0.5, 0.01, 0.002, NS_PER_HOUR, d.ts_ns + NS_PER_HOUR};
    assert_int_equal(engine_opened(e, 77, &d), ENGINE_TAKEN);
    struct engine_outcome bad[8];
    for (int i = 0; i < 8; i++) bad[i] = good;
    bad[0].net_r = NAN;
    bad[1].net_r = 101;
    bad[2].result = -1;
    bad[3].result = NAN;
    bad[4].drawdown = 1.1;
    bad[5].held_ns = -1;
    bad[6].ts_ns = d.ts_ns - 1;
    bad[7].drawdown = NAN;
    memcpy(was, e, size);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(engine_closed(e, 77, &bad[i]), ENGINE_NOT_USABLE);
        assert_int_equal(e->refused, was->refused + 1);
        e->refused = was->refused;
        assert_memory_equal(e, was, size);
    }
    struct engine_decision hold = d;
    hold.reason = ENGINE_HOLD;
    assert_int_equal(engine_opened(e, 78, &hold), ENGINE_NOT_USABLE);
    assert_int_equal(engine_opened(e, 0, &d), ENGINE_NOT_USABLE);
    assert_int_equal(engine_opened(e, 77, &d), ENGINE_DUPLICATE);
    assert_int_equal(engine_closed(e, 0, &good), ENGINE_NOT_KNOWN);
    assert_int_equal(engine_closed(e, 79, &good), ENGINE_NOT_KNOWN);
    assert_int_equal(engine_dropped(e, 79), ENGINE_NOT_KNOWN);
    e->refused = was->refused;
    assert_memory_equal(e, was, size);
    assert_int_equal(engine_closed(e, 77, &good), ENGINE_TAKEN);
    assert_int_equal(engine_closed(e, 77, &good), ENGINE_DUPLICATE);
    free(was);
    free(e);
    free(trader.scratch);
}

static void the_table_fills_and_empties(void **state) {
    (void)state;
    const struct engine_decision d = allowed_decision();
    struct engine *e = trader.e;
    struct engine_view v;
    engine_view_get(&v, e);
    uint64_t id = 1000000, first = id, opened = e->opened, credited = e->credited;
    for (uint32_t i = v.open; i < ENGINE_OPEN_MAX; i++)
        assert_int_equal(engine_opened(e, id++, &d), ENGINE_TAKEN);
    assert_int_equal(engine_opened(e, id, &d), ENGINE_FULL);
    uint32_t from = (uint32_t)((d.ts_ns - world_begin) / NS_PER_HOUR);
    memset(trader.reasons, 0, sizeof trader.reasons);
    for (uint32_t t = from; t < from + 100; t++) {
        trader_bars(&trader, t);
        trader_close(&trader, t); /* the world's own trades leave */
        while (engine_opened(e, id, &d) == ENGINE_TAKEN) id++;
        trader_decide(&trader, t);
    }
    assert_true(trader.reasons[ENGINE_OPEN_FULL] > 0);
    assert_int_equal(trader.reasons[ENGINE_ALLOW], 0);
    /* Of more than the learner of sizes keeps, the oldest teach strategy and memory alone. */
    opened = e->opened - opened;
    credited = e->credited;
    const struct engine_outcome good = {0.5, 0.01, 0.002, NS_PER_HOUR, d.ts_ns + NS_PER_HOUR};
    for (uint64_t k = first; k < id; k++)
        assert_int_equal(engine_closed(e, k, &good), ENGINE_TAKEN);
    assert_int_equal(e->credited - credited, opened);
    assert_true(e->sizing_lost > ENGINE_OPEN_MAX / 2);
    assert_int_equal(e->sizing.credited + e->sizing_lost, e->credited);
    assert_int_equal(e->strategy.settled, e->credited);
    assert_int_equal(trades_in_memory(e), e->credited);
    for (uint64_t k = first; k < id; k++)
        assert_int_equal(engine_closed(e, k, &good), ENGINE_DUPLICATE);
    struct memory_feedback feedback;
    engine_feedback(&feedback, e, d.ts_ns + NS_PER_HOUR);
    assert_int_equal(feedback.count, e->credited);
    assert_int_not_equal(feedback.preferred_regime, REGIME_UNKNOWN);
    free(e);
    free(trader.scratch);
}

static int setup(void **state) {
    (void)state;
    world_make(world_seed());
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_credits_every_trade_once),
        cmocka_unit_test(what_cannot_be_used_changes_nothing),
        cmocka_unit_test(the_table_fills_and_empties),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
