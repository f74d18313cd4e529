/* The planted models in a whole run; same bytes from the same inputs; snapshots; what is refused. */
#include "test_world.h"

enum { LAST = WORLD_BARS - WORLD_HORIZON - 1 };

static struct trader trader;

static void assert_good(const struct engine *e) {
    struct err err = {0};
    if (engine_check(e, &err) != ST_OK) fail_msg("%s", err.text);
}

static void planted_models_get_what_they_are_worth(void **state) {
    (void)state;
    struct engine_config config = world_config();
    trader_init(&trader, world_engine(&config));
    uint32_t regimes[WORLD_SYMBOLS][REGIME_COUNT] = {{0}};
    for (uint32_t t = 0; t < LAST; t++) {
        trader_step(&trader, t);
        for (uint32_t i = 0; i < WORLD_SYMBOLS; i++) {
            const struct engine_decision *d = &trader.decisions[i];
            double sum = 0;
            for (uint32_t k = 0; k < MODEL_COUNT; k++) sum += d->signal.weights[k];
            assert_true(d->signal.voters == 0 || fabs(sum - 1) < 1e-9);
            assert_true(d->reason == ENGINE_ALLOW || d->action == LABEL_HOLD);
            regimes[i][d->regime.regime]++;
        }
    }
    struct engine_view v;
    engine_view_get(&v, trader.e);
    print_message("weights %.3f %.3f %.3f %.3f  excluded at %u %u %u %u  wanted %u %u %u %u\n",
                  v.weights[0], v.weights[1], v.weights[2], v.weights[3], trader.excluded[0],
                  trader.excluded[1], trader.excluded[2], trader.excluded[3], trader.wanted[0],
                  trader.wanted[1], trader.wanted[2], trader.wanted[3]);
    print_message("ece %.4f (chance %.4f) coverage %.4f  entered %u dropped %u closed %u\n", v.ece,
                  v.ece_chance, v.coverage, trader.entered, trader.dropped, trader.closed);
    assert_true(v.ece <
                0.02); /* of all that was said, the time before anything was known included */
    for (uint32_t r = 0; r < ENGINE_REASON_COUNT; r++)
        print_message("%s %u  ", engine_reason_text((enum engine_reason)r), trader.reasons[r]);
    print_message("\n");
    assert_true(v.weights[WORLD_GOOD] > 0.80 && v.weights[WORLD_RANDOM] > 0);
    assert_true(v.weights[WORLD_CONSTANT] == 0 && v.weights[WORLD_BIASED] == 0);
    assert_true(v.reasons[WORLD_CONSTANT] & SUPERVISOR_CONSTANT);
    assert_true(v.reasons[WORLD_BIASED] & SUPERVISOR_COLLAPSED);
    assert_int_equal(v.levels[WORLD_GOOD], SUPERVISOR_OK);
    assert_int_equal(v.levels[WORLD_RANDOM], SUPERVISOR_OK);
    assert_int_equal(trader.excluded[WORLD_GOOD], 0);
    assert_true(trader.excluded[WORLD_CONSTANT] > 0 && trader.excluded[WORLD_CONSTANT] < 100);
    assert_true(trader.excluded[WORLD_BIASED] > 0 && trader.excluded[WORLD_BIASED] < 100);
    assert_true(trader.wanted[WORLD_BIASED] > 0 && trader.kinds[ENGINE_WEIGHTS] > 10);
    assert_true(v.coverage > 0.885 && v.coverage < 0.915);
    assert_true(regimes[0][REGIME_TREND_UP] > LAST / 2);
    assert_true(regimes[1][REGIME_TREND_DOWN] > LAST / 2);
    assert_true(regimes[2][REGIME_RANGE_LOW_VOL] > LAST / 2);
    assert_true(regimes[3][REGIME_HIGH_VOLATILITY] > LAST / 2);
    assert_true(trader.entered > 100 && trader.reasons[ENGINE_HOLD] > 100);
    assert_true(trader.reasons[ENGINE_BIAS_BLOCK] + trader.reasons[ENGINE_PORTFOLIO] > 0);
    assert_good(trader.e);
    free(trader.e);
    free(trader.scratch);
}

static struct engine *run(uint32_t bars, uint64_t hop_seed) {
    struct engine_config config = world_config();
    size_t size = engine_size(WORLD_SYMBOLS);
    struct rng r = rng_init(hop_seed);
    trader_init(&trader, world_engine(&config));
    for (uint32_t t = 0; t < bars; t++)
        for (uint32_t phase = 0; phase < 3; phase++) {
            if (phase == 0) trader_bars(&trader, t);
            if (phase == 1) trader_close(&trader, t);
            if (phase == 2) trader_decide(&trader, t);
            if (!hop_seed || rng_below(&r, 40)) continue;
            struct engine *copy = malloc(size);
            assert_non_null(copy);
            memcpy(copy, trader.e, size);
            memset(trader.e, 0xA5, size);
            free(trader.e);
            trader.e = copy;
            memset(trader.scratch, 0x5A, sizeof *trader.scratch);
        }
    free(trader.scratch);
    return trader.e;
}

static void same_inputs_same_bytes_and_a_copy_goes_on_alike(void **state) {
    (void)state;
    struct engine *a = run(500, 0), *b = run(500, 0), *c = run(500, world_seed());
    assert_memory_equal(a, b, engine_size(WORLD_SYMBOLS));
    assert_memory_equal(a, c, engine_size(WORLD_SYMBOLS));
    struct engine *d = run(499, 0);
    assert_int_not_equal(memcmp(a, d, engine_size(WORLD_SYMBOLS)), 0);
    free(a);
    free(b);
    free(c);
    free(d);
}

static void a_sealed_block_comes_back_or_is_refused(void **state) {
    (void)state;
    size_t size = engine_size(WORLD_SYMBOLS);
    struct engine *a = run(300, 0), *b = malloc(size);
    struct rng r = rng_init(world_seed());
    struct err err = {0};
    assert_non_null(b);
    engine_seal(a);
    assert_int_equal(engine_restore(b, a, size, &err), ST_OK);
    assert_memory_equal(a, b, size);
    assert_int_equal(engine_restore(b, a, size - 8, &err), ST_VERSION);
    for (int i = 0; i < 60; i++) {
        unsigned char *byte = (unsigned char *)a + rng_below(&r, size);
        *byte = (unsigned char)(*byte ^ 0x10);
        enum status st = engine_restore(b, a, size, &err);
        assert_true(st == ST_CORRUPT || st == ST_VERSION);
        *byte = (unsigned char)(*byte ^ 0x10);
    }
    a->governance.served[0] += 0.5; /* sealed, but wrong */
    engine_seal(a);
    assert_int_equal(engine_restore(b, a, size, &err), ST_CORRUPT);
    assert_string_equal(err.text, "engine: governance");
    free(a);
    free(b);
}

static void a_new_model_is_not_judged_by_what_its_predecessor_said(void **state) {
    (void)state;
    struct engine_config config = world_config();
    struct engine_events events;
    struct err err;
    trader_init(&trader, world_engine(&config));
    for (uint32_t t = 0; t < 400; t++) trader_step(&trader, t);
    struct engine_model m = {.test = {0.74, {0.33, 0.34, 0.33}}};
    struct engine *e = trader.e;
    assert_true(e->governance.factor[WORLD_BIASED] == 0);
    assert_int_equal(engine_model_replaced(e, &events, WORLD_BIASED, &m, 1, &err), ST_OK);
    assert_int_equal(events.count, 1);
    assert_int_equal(events.items[0].weights.reason, GOVERNANCE_REPLACED);
    assert_true(e->governance.factor[WORLD_BIASED] == 1);
    for (uint32_t t = 400; t < 400 + WORLD_HORIZON; t++) {
        trader_step(&trader, t);
        assert_int_equal(e->supervisor[WORLD_BIASED].observations, 0);
        assert_int_equal(e->supervisor[WORLD_BIASED].block_count, 0);
        assert_true(e->governance.model_loss[WORLD_BIASED] == 0);
    }
    trader_step(&trader, 400 + WORLD_HORIZON); /* the first of its own */
    assert_int_equal(e->supervisor[WORLD_BIASED].block_count, 1);
    m.test.loss_mean = NAN;
    assert_int_equal(engine_model_replaced(e, &events, WORLD_BIASED, &m, 1, &err), ST_INVALID);
    assert_int_equal(e->supervisor[WORLD_BIASED].block_count, 1);
    engine_model_removed(e, WORLD_GOOD);
    trader_step(&trader, 401 + WORLD_HORIZON);
    for (uint32_t i = 0; i < WORLD_SYMBOLS; i++) {
        assert_int_equal(trader.decisions[i].states[WORLD_GOOD], VOTE_ABSENT);
        assert_true(trader.decisions[i].signal.weights[WORLD_GOOD] == 0);
    }
    assert_good(e);
    free(e);
    free(trader.scratch);
}

static void inputs_far_from_training_halve_the_weight(void **state) {
    (void)state;
    static double sorted[2000];
    static float series[2000];
    struct engine_config config = world_config();
    struct engine_events events;
    struct err err;
    config.input_rows_per_close = WORLD_SYMBOLS;
    /* Trained where column 0, the change of price, was a hundredfold of what is served. */
    struct rng r = rng_init(1);
    for (uint32_t i = 0; i < 2000; i++) series[i] = (float)(1 + rng_f64(&r));
    for (uint32_t i = 0; i < 2000; i++) sorted[i] = 1 + (double)i / 2000;
    struct drift_reference reference;
    assert_true(drift_reference_fit(&reference, sorted, 2000, series, 2000));
    trader_init(&trader, world_engine(&config));
    struct engine_model m = {
        .test = {0.74, {0.33, 0.34, 0.33}}, .inputs = &reference, .features = 1};
    assert_int_equal(engine_model_replaced(trader.e, &events, WORLD_GOOD, &m, 1, &err), ST_OK);
    uint32_t found = 0;
    for (uint32_t t = 0; t < 700; t++) {
        trader_step(&trader, t);
        if (!found && trader.e->supervisor[WORLD_GOOD].level == SUPERVISOR_DOWN_WEIGHT) found = t;
    }
    assert_true(found > 0 && found < 60); /* a full window of 256 rows: 43 closes */
    assert_true(trader.e->governance.factor[WORLD_GOOD] == 0.5);
    assert_true(trader.decisions[0].trust < 1);
    assert_true(trader.wanted[WORLD_GOOD] > 0); /* it has stayed so */
    free(trader.e);
    free(trader.scratch);
}

static void contradictions_are_named(void **state) {
    (void)state;
    struct engine_config c = world_config();
    assert_null(engine_config_fault(&c));
    c.sizing.symbol_max = 0.30;
    assert_non_null(strstr(engine_config_fault(&c), "sizing.symbol_max"));
    c = world_config();
    c.supervisor.error_block = WORLD_HORIZON - 1;
    assert_non_null(strstr(engine_config_fault(&c), "error_block"));
    c = world_config();
    c.portfolio.fraction_min = 0.06;
    assert_non_null(strstr(engine_config_fault(&c), "unproven_max"));
    c = world_config();
    c.portfolio.refuse_at = 0.6;
    assert_non_null(strstr(engine_config_fault(&c), "refuse_at"));
    c = world_config();
    c.ensemble.weights[0] *= 3;
    assert_non_null(strstr(engine_config_fault(&c), "governance.priors"));
    ensemble_reported_weights(c.ensemble.weights);
    ensemble_reported_weights(c.governance.priors);
    assert_null(engine_config_fault(&c));
    c = world_config();
    c.cost = 0.002;
    assert_non_null(strstr(engine_config_fault(&c), "one round trip"));
    c = world_config();
    c.drift.psi_warn = NAN;
    assert_non_null(strstr(engine_config_fault(&c), "drift.psi_watch"));
    c = world_config();
    c.interval_ns = NS_PER_MINUTE;
    assert_non_null(strstr(engine_config_fault(&c), "bars_per_day"));
    c = engine_config_defaults(NS_PER_MINUTE, 48);
    assert_null(engine_config_fault(&c));
    c.horizon = 0;
    struct err err = {0};
    assert_int_equal(engine_init(NULL, &c, world_names, 2, NULL, &err), ST_INVALID);
    assert_string_equal(err.text, "engine: configuration: horizon");
}

/* The defensive way earns and the bold one loses, the original's rule prefers the bold one: another policy is adopted, and
 * as early and to the same bytes where the block is sealed, thrown away and restored at every fiftieth close. */
static void a_better_policy_is_adopted_restored_or_not(void **state) {
    (void)state;
    const double arm_r[STRATEGY_ARMS] = {
        [STRATEGY_DEFENSIVE] = 0.5, [STRATEGY_MODERATE] = -0.3, [STRATEGY_TREND_RIDER] = -0.5};
    struct engine_config config = world_config();
    size_t size = engine_size(WORLD_SYMBOLS);
    struct err err = {0};
    struct engine *whole = NULL, *kept = malloc(size);
    struct strategy_review first = {0};
    assert_non_null(kept);
    config.strategy.algorithm = STRATEGY_CLASSIC;
    config.strategy.epsilon = 0.7;
    for (int restored = 0; restored < 2; restored++) {
        trader_init(&trader, world_engine(&config));
        trader.arm_r = arm_r;
        for (uint32_t t = 0; t < 2000; t++) {
            trader_step(&trader, t);
            if (!restored || t % 50) continue;
            engine_seal(trader.e);
            memcpy(kept, trader.e, size);
            memset(trader.e, 0, size);
            if (engine_restore(trader.e, kept, size, &err) != ST_OK) fail_msg("%s", err.text);
        }
        engine_seal(trader.e);
        const struct strategy_state *s = &trader.e->strategy;
        assert_int_equal(s->reviews, trader.closed / 128);
        assert_int_equal(trader.kinds[ENGINE_POLICY], s->adopted + s->returned);
        assert_true(trader.kinds[ENGINE_POLICY] >= 1);
        const struct strategy_review *r = &trader.policies[0];
        assert_int_equal(r->why, STRATEGY_BETTER);
        assert_int_equal(r->from, STRATEGY_POLICY_OWN);
        assert_true(r->judged.gain_low > 0 && r->judged.rows >= 200 && r->ts_ns > world_begin);
        if (!restored) {
            print_message("%u trades: %s at review %llu of %llu, gain %.2f R [%.2f, %.2f]\n",
                          trader.closed, strategy_policy_text((enum strategy_policy_id)r->to),
                          (unsigned long long)r->review, (unsigned long long)s->reviews,
                          r->judged.gain, r->judged.gain_low, r->judged.gain_high);
            first = *r;
            whole = trader.e;
        } else {
            assert_memory_equal(r, &first, sizeof first);
            assert_memory_equal(trader.e, whole, size);
            free(trader.e);
        }
        free(trader.scratch);
    }
    free(whole);
    free(kept);
}

static void parts_pass_their_self_tests(void **state) {
    (void)state;
    struct engine_scratch *scratch = calloc(1, sizeof *scratch);
    assert_non_null(scratch);
    assert_int_equal(engine_self_test(scratch), 0);
    free(scratch);
}

static int setup(void **state) {
    (void)state;
    world_make(world_seed());
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_models_get_what_they_are_worth),
        cmocka_unit_test(same_inputs_same_bytes_and_a_copy_goes_on_alike),
        cmocka_unit_test(a_sealed_block_comes_back_or_is_refused),
        cmocka_unit_test(a_new_model_is_not_judged_by_what_its_predecessor_said),
        cmocka_unit_test(inputs_far_from_training_halve_the_weight),
        cmocka_unit_test(contradictions_are_named),
        cmocka_unit_test(a_better_policy_is_adopted_restored_or_not),
        cmocka_unit_test(parts_pass_their_self_tests),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
