/* The bot: what each rule wants, that HOLD stays HOLD, and what an intent carries. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "trade/bot/bot.h"

static const int64_t HOUR = INT64_C(3600000000000);
static const int64_t T0 = INT64_C(1727740800000000000);

static struct instrument contract(void) {
    struct instrument in;
    instrument_defaults(&in, "BTCUSDT");
    return in;
}

static struct bot_input at_price(int64_t last, int64_t day_ago) {
    return (struct bot_input){.instrument_index = 4,
                              .now_ns = T0,
                              .last_px = {last},
                              .px_24h_ago = {day_ago},
                              .atr_fraction = (double)NAN,
                              .action = 1};
}

static enum bot_answer decide(struct trade_intent *t, const struct bot_config *c,
                              const struct bot_input *in) {
    struct instrument i = contract();
    memset(t, 0xAA, sizeof *t);
    return bot_decide(t, c, in, &i);
}

/* system facts 11.6 */
static void momentum_vectors_of_the_original(void **state) {
    (void)state;
    assert_true(fabs(bot_momentum_confidence(-0.020) - 0.52) < 1e-12);
    assert_true(bot_momentum_confidence(0.008) == 0.30);
    assert_true(bot_momentum_confidence(0.45) == 0.80);
    assert_true(bot_momentum_confidence(-0.45) == 0.80);
    struct bot_config c = bot_config_defaults(STRATEGY_MOMENTUM, HOUR);
    struct trade_intent t;
    struct bot_input fell = at_price(98 * FX_ONE, 100 * FX_ONE);
    assert_int_equal(decide(&t, &c, &fell), BOT_INTENT);
    assert_int_equal(t.side, SIDE_SELL);
    assert_true(fabs(t.confidence - 0.52) < 1e-9);
    struct bot_input little = at_price(100 * FX_ONE + FX_ONE * 8 / 10, 100 * FX_ONE);
    assert_int_equal(decide(&t, &c, &little), BOT_HOLD);
    struct bot_input leapt = at_price(145 * FX_ONE, 100 * FX_ONE);
    assert_int_equal(decide(&t, &c, &leapt), BOT_INTENT);
    assert_int_equal(t.side, SIDE_BUY);
    assert_true(t.confidence == 0.80);
}

static void momentum_needs_more_than_one_percent_exactly(void **state) {
    (void)state;
    struct bot_config c = bot_config_defaults(STRATEGY_MOMENTUM, HOUR);
    static const struct {
        int64_t last, before;
        enum side side;
    } rows[] = {
        {101, 100, SIDE_NONE},    {10101, 10000, SIDE_BUY}, {99, 100, SIDE_NONE},
        {9899, 10000, SIDE_SELL}, {100, 100, SIDE_NONE},    {100, 0, SIDE_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bot_input in = at_price(rows[i].last, rows[i].before);
        assert_int_equal(bot_rule_side(&c, &in), rows[i].side);
    }
}

/* The original bought on momentum whenever the engine answered HOLD or nothing (lesson L46). */
static void hold_never_becomes_an_intent(void **state) {
    (void)state;
    struct bot_config c = bot_config_defaults(STRATEGY_ENSEMBLE, HOUR);
    struct trade_intent t;
    struct bot_input in = at_price(145 * FX_ONE, 100 * FX_ONE); /* momentum would shout */
    in.confidence = 0.99;
    in.edge = 0.5;
    in.move = 0.02;
    in.action = 1; /* HOLD */
    assert_int_equal(decide(&t, &c, &in), BOT_HOLD);
    in.action = 7; /* no such answer */
    assert_int_equal(decide(&t, &c, &in), BOT_HOLD);
    in.action = 2;
    in.confidence = 0.39; /* below its own threshold: HOLD, and nothing raises it */
    assert_int_equal(decide(&t, &c, &in), BOT_HOLD);
    in.confidence = 0.40;
    assert_int_equal(decide(&t, &c, &in), BOT_INTENT);
    assert_true(t.confidence == 0.40);
}

static void an_ensemble_without_a_barrier_waits(void **state) {
    (void)state;
    struct bot_config c = bot_config_defaults(STRATEGY_ENSEMBLE, HOUR);
    struct trade_intent t;
    struct bot_input in = at_price(100 * FX_ONE, 0);
    in.action = 0;
    in.confidence = 0.6;
    in.move = (double)NAN;
    assert_int_equal(decide(&t, &c, &in), BOT_WARMING);
    in.move = 0.6; /* a barrier half the price away is no barrier */
    assert_int_equal(decide(&t, &c, &in), BOT_WARMING);
    in.move = 0.001;
    assert_int_equal(decide(&t, &c, &in), BOT_INTENT);
    assert_true(t.stop_distance == c.barrier_min && t.take_distance == c.barrier_min);
}

static void an_intent_is_whole(void **state) {
    (void)state;
    struct bot_config c = bot_config_defaults(STRATEGY_ENSEMBLE, HOUR);
    struct trade_intent t;
    struct bot_input in = at_price(200 * FX_ONE, 0);
    in.signal_id = 99;
    in.action = 0;
    in.confidence = 0.6;
    in.edge = 0.004;
    in.move = 0.01;
    assert_int_equal(decide(&t, &c, &in), BOT_INTENT);
    assert_int_equal(t.signal_id, 99);
    assert_string_equal(t.symbol, "BTCUSDT");
    assert_int_equal(t.instrument_index, 4);
    assert_int_equal(t.side, SIDE_SELL);
    assert_int_equal(t.position_size_usd.e8, 1000 * FX_ONE);
    assert_int_equal(t.leverage, 3);
    assert_int_equal(t.strategy, STRATEGY_ENSEMBLE);
    assert_int_equal(t.entry_price.e8, 200 * FX_ONE);
    assert_int_equal(t.stop_loss.e8, 202 * FX_ONE);
    assert_int_equal(t.take_profit.e8, 198 * FX_ONE);
    assert_true(t.stop_distance == 0.01 && t.take_distance == 0.01 && t.edge == 0.004);
    assert_int_equal(t.horizon_bars, 12);
    assert_int_equal(t.arm, ARM_NONE);
    /* A rule has one target and leaves its stop where it is. */
    assert_true(t.take_distance_2 == 0 && t.take_distance_3 == 0);
    assert_true(t.take_part_1 == 0 && t.take_part_2 == 0);
    assert_true(t.break_even_distance == 0 && t.trail_distance == 0);
    assert_int_equal(t.created, T0);
    assert_int_equal(t.expires, T0 + HOUR);
}

/* The original had them the wrong way round for SELL (lesson L11). */
static void stop_and_target_lie_on_their_sides_at_any_price(void **state) {
    (void)state;
    struct rng rng = rng_init(3);
    struct bot_config c = bot_config_defaults(STRATEGY_MOMENTUM, HOUR);
    for (int n = 0; n < 100000; n++) {
        int64_t before = (int64_t)(rng_u64(&rng) >> (14 + rng_below(&rng, 46))) + 200;
        bool up = rng_below(&rng, 2);
        struct bot_input in = at_price(up ? before + before / 50 : before - before / 50, before);
        struct trade_intent t;
        assert_int_equal(decide(&t, &c, &in), BOT_INTENT);
        assert_int_equal(t.side, up ? SIDE_BUY : SIDE_SELL);
        int64_t stop = t.stop_loss.e8, take = t.take_profit.e8, px = t.entry_price.e8;
        if (up)
            assert_true(0 < stop && stop < px && px < take);
        else
            assert_true(0 < take && take < px && px < stop);
    }
    /* Down to where 2 % is less than the smallest step of a price. */
    struct bot_config any = bot_config_defaults(STRATEGY_RANDOM, HOUR);
    any.random_rate = 1.0;
    for (int64_t px = 2; px < 200; px++) {
        struct bot_input in = at_price(px, 0);
        struct trade_intent t;
        in.now_ns += px;
        assert_int_equal(decide(&t, &any, &in), BOT_INTENT);
        int64_t sign = side_sign((enum side)t.side);
        assert_true(t.stop_loss.e8 > 0 && t.take_profit.e8 > 0);
        assert_true((px - t.stop_loss.e8) * sign > 0 && (t.take_profit.e8 - px) * sign > 0);
    }
}

static void a_position_is_neither_doubled_nor_reversed(void **state) {
    (void)state;
    struct trade_intent t;
    struct bot_config momentum = bot_config_defaults(STRATEGY_MOMENTUM, HOUR);
    struct bot_input in = at_price(98 * FX_ONE, 100 * FX_ONE);
    in.position_side = SIDE_SELL;
    assert_int_equal(decide(&t, &momentum, &in), BOT_HOLD);
    in.position_side = SIDE_BUY;
    assert_int_equal(decide(&t, &momentum, &in), BOT_HOLD);
    struct bot_config sma = bot_config_defaults(STRATEGY_SMA_CROSS, HOUR);
    in.sma_fast_sum = 19 * FX_ONE;
    in.sma_slow_sum = 100 * FX_ONE;                     /* fast below slow */
    assert_int_equal(decide(&t, &sma, &in), BOT_CLOSE); /* long, and the rule wants short */
    in.position_side = SIDE_SELL;
    assert_int_equal(decide(&t, &sma, &in), BOT_HOLD);
}

static void sma_cross_follows_the_faster_mean(void **state) {
    (void)state;
    struct bot_config c = bot_config_defaults(STRATEGY_SMA_CROSS, HOUR);
    struct bot_input in = at_price(100, 0);
    assert_int_equal(bot_rule_side(&c, &in), SIDE_NONE); /* not enough bars */
    in.sma_slow_sum = 100 * 50;                          /* mean 50 */
    in.sma_fast_sum = 20 * 50;
    assert_int_equal(bot_rule_side(&c, &in), SIDE_NONE);
    in.sma_fast_sum++;
    assert_int_equal(bot_rule_side(&c, &in), SIDE_BUY);
    in.sma_fast_sum -= 2;
    assert_int_equal(bot_rule_side(&c, &in), SIDE_SELL);
    struct trade_intent t;
    assert_int_equal(decide(&t, &c, &in), BOT_INTENT);
    assert_true(t.stop_distance > 0 && t.take_distance == 0 && t.take_profit.e8 == 0);
}

static void random_trades_at_its_rate_on_both_sides(void **state) {
    (void)state;
    enum { DRAWS = 480000 };
    struct bot_config c = bot_config_defaults(STRATEGY_RANDOM, HOUR);
    c.seed = 12;
    uint32_t buys = 0, sells = 0;
    struct bot_input in = at_price(100 * FX_ONE, 0);
    for (uint32_t n = 0; n < DRAWS; n++) {
        in.now_ns = T0 + (int64_t)(n / 100) * HOUR;
        in.instrument_index = n % 100;
        enum side side = bot_rule_side(&c, &in);
        buys += side == SIDE_BUY;
        sells += side == SIDE_SELL;
    }
    /* Binomial, six standard deviations. */
    double p = 1.0 / 48, sigma = sqrt(DRAWS * p * (1 - p)), wants = buys + sells;
    assert_true(fabs(wants - DRAWS * p) < 6 * sigma);
    assert_true(fabs(buys - wants / 2) < 6 * sqrt(wants / 4));
    struct bot_config other = c;
    other.seed = 13;
    uint32_t differ = 0;
    for (uint32_t n = 0; n < 4800; n++) {
        in.now_ns = T0 + (int64_t)n * HOUR;
        differ += bot_rule_side(&c, &in) != bot_rule_side(&other, &in);
    }
    assert_true(differ > 50);
}

static int by_value(const void *a, const void *b) {
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static void a_million_intents_have_a_million_ids(void **state) {
    (void)state;
    enum { SYMBOLS = 100, TIMES = 5000, IDS = SYMBOLS * TIMES * 2 };
    uint64_t *ids = calloc(IDS, sizeof *ids);
    assert_non_null(ids);
    struct bot_config c = bot_config_defaults(STRATEGY_MOMENTUM, HOUR);
    c.seed = 1;
    struct instrument in = contract();
    size_t n = 0;
    for (uint32_t s = 0; s < SYMBOLS; s++)
        for (int64_t t = 0; t < TIMES; t++)
            for (int up = 0; up < 2; up++) {
                struct bot_input input = at_price(up ? 110 : 90, 100);
                input.instrument_index = s;
                input.now_ns = T0 + t * HOUR;
                struct trade_intent intent;
                assert_int_equal(bot_decide(&intent, &c, &input, &in), BOT_INTENT);
                ids[n++] = intent.intent_id;
            }
    qsort(ids, IDS, sizeof *ids, by_value);
    for (size_t i = 1; i < IDS; i++) assert_true(ids[i - 1] != ids[i]);
    free(ids);
}

static void the_same_input_gives_the_same_intent_and_another_seed_another_id(void **state) {
    (void)state;
    struct bot_config c = bot_config_defaults(STRATEGY_MOMENTUM, HOUR), d = c;
    d.seed = 2;
    struct bot_input in = at_price(98 * FX_ONE, 100 * FX_ONE);
    struct trade_intent a, b, other;
    assert_int_equal(decide(&a, &c, &in), BOT_INTENT);
    assert_int_equal(decide(&b, &c, &in), BOT_INTENT);
    assert_int_equal(decide(&other, &d, &in), BOT_INTENT);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(a.intent_id != other.intent_id);
}

/* Row 64: a fallback is a strategy of its own, asked for by name and tagged. */
static void every_intent_names_its_rule(void **state) {
    (void)state;
    for (int k = 0; k < STRATEGY_COUNT; k++) {
        struct bot_config c = bot_config_defaults((enum strategy_kind)k, HOUR);
        c.random_rate = 1.0;
        struct bot_input in = at_price(98 * FX_ONE, 100 * FX_ONE);
        in.action = 0;
        in.confidence = 0.9;
        in.edge = 0.01;
        in.move = 0.01;
        in.sma_fast_sum = 1;
        in.sma_slow_sum = 100;
        struct trade_intent t;
        assert_int_equal(decide(&t, &c, &in), BOT_INTENT);
        assert_int_equal(t.strategy, k);
        assert_int_equal(isnan(t.edge),
                         k != STRATEGY_ENSEMBLE); /* only the ensemble claims an edge */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(momentum_vectors_of_the_original),
        cmocka_unit_test(momentum_needs_more_than_one_percent_exactly),
        cmocka_unit_test(hold_never_becomes_an_intent),
        cmocka_unit_test(an_ensemble_without_a_barrier_waits),
        cmocka_unit_test(an_intent_is_whole),
        cmocka_unit_test(stop_and_target_lie_on_their_sides_at_any_price),
        cmocka_unit_test(a_position_is_neither_doubled_nor_reversed),
        cmocka_unit_test(sma_cross_follows_the_faster_mean),
        cmocka_unit_test(random_trades_at_its_rate_on_both_sides),
        cmocka_unit_test(a_million_intents_have_a_million_ids),
        cmocka_unit_test(the_same_input_gives_the_same_intent_and_another_seed_another_id),
        cmocka_unit_test(every_intent_names_its_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
