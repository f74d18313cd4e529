/* What follows from what is seen: by degrees, with reasons, with hysteresis, and never for all at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "brain/supervisor/supervisor.h"

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20240809;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void fresh(struct supervisor *s) {
    struct supervisor_config c = supervisor_config_defaults();
    struct supervisor_reference ref = {.loss_mean = 1, .label_share = {.3, .4, .3}};
    supervisor_init(s, &c, &ref);
}

static void healthy_answer(double p[LABEL_COUNT], struct rng *r) {
    double sum = 0;
    for (int l = 0; l < LABEL_COUNT; l++) sum += p[l] = exp(0.4 * rng_normal(r));
    for (int l = 0; l < LABEL_COUNT; l++) p[l] /= sum;
}

/* One decision time of ten symbols with healthy answers. */
static void healthy_step(struct supervisor *s, struct rng *r) {
    double p[10][LABEL_COUNT];
    for (int i = 0; i < 10; i++) healthy_answer(p[i], r);
    supervisor_outputs(s, (const double(*)[LABEL_COUNT])p, 10);
}

/* Losses whose mean is `level`: coefficient of variation 0.4. */
static double loss_at(double level, struct rng *r) {
    return level * exp(0.4 * rng_normal(r) - 0.08);
}

/* Errors climb one level an alarm; a model that mends comes down one level a long quiet time; one that does not, stays. */
static void errors_climb_and_mend_by_degrees(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    static struct supervisor s;
    fresh(&s);
    struct supervisor_event e;
    uint32_t seen[8] = {0}, changes = 0;
    for (int t = 0; t < 600; t++) {
        healthy_step(&s, &r);
        supervisor_error(&s, loss_at(t < 200 ? 1.0 : 1.4, &r));
        if (!supervisor_step(&s, &e, NULL, t)) continue;
        if (e.from == e.to) continue;
        assert_int_equal(e.to, e.from + 1);
        assert_true(e.reasons & SUPERVISOR_ERROR_RISE);
        assert_true(t >= 200 && e.loss_recent > 1.0 && e.loss_limit == s.error.limit);
        seen[changes++] = e.to;
    }
    assert_int_equal(changes, 3);
    assert_true(seen[0] == SUPERVISOR_DOWN_WEIGHT && seen[1] == SUPERVISOR_EXCLUDE &&
                seen[2] == SUPERVISOR_RETRAIN);
    assert_true(s.want_retrain == 1);
    /* Quiet but worse than allowed: 1.1 with a limit of 1.02. No alarm may come for long, and no mercy either. */
    for (int t = 0; t < 60; t++) supervisor_error(&s, 1.1);
    supervisor_step(&s, &e, NULL, 0);
    assert_int_equal(s.level, SUPERVISOR_RETRAIN);
    /* Mended. */
    int down = 0, last = 0;
    for (int t = 0; t < 3000 && s.level != SUPERVISOR_OK; t++) {
        healthy_step(&s, &r);
        supervisor_error(&s, loss_at(0.95, &r));
        if (!supervisor_step(&s, &e, NULL, t) || e.from == e.to) continue;
        assert_int_equal(e.to + 1, e.from);
        assert_true(down == 0 || t - last >= (int)s.config.recover_observations);
        last = t;
        down++;
    }
    assert_int_equal(down, 3);
    assert_true(s.level == SUPERVISOR_OK && s.reasons == 0 && s.want_retrain == 0);
}

static void constant_and_collapsed_lose_the_vote(void **state) {
    (void)state;
    static const struct {
        double p[LABEL_COUNT];
        double noise;
        uint32_t reason;
    } cases[] = {
        {{.2, .185, .615}, 0, SUPERVISOR_CONSTANT}, /* .6150 with deviation 0 */
        {{.1, .2, .7}, 0.02, SUPERVISOR_COLLAPSED}, /* always BUY, never twice the same */
        {{1. / 3, 1. / 3, 1. / 3}, 0.001, SUPERVISOR_FLAT},
        {{.0005, .0005, .999}, 0.0003, SUPERVISOR_CERTAIN},
    };
    struct rng r = rng_init(test_seed());
    for (size_t k = 0; k < 4; k++) {
        static struct supervisor s;
        fresh(&s);
        struct supervisor_event e;
        for (int t = 0; t < 100; t++) {
            healthy_step(&s, &r);
            assert_false(supervisor_step(&s, &e, NULL, t));
        }
        int excluded = -1, retrain = -1;
        for (int t = 0; t < 400; t++) {
            double p[10][LABEL_COUNT];
            for (int i = 0; i < 10; i++) {
                double d = cases[k].noise * (rng_f64(&r) - 0.5);
                p[i][0] = cases[k].p[0] + d;
                p[i][1] = cases[k].p[1];
                p[i][2] = cases[k].p[2] - d;
            }
            supervisor_outputs(&s, (const double(*)[LABEL_COUNT])p, 10);
            if (!supervisor_step(&s, &e, NULL, t)) continue;
            assert_true(e.from <= e.to);
            if (e.to == SUPERVISOR_EXCLUDE && excluded < 0) excluded = t;
            if (e.to == SUPERVISOR_RETRAIN && retrain < 0) retrain = t;
        }
        /* 256 answers, eight a step: the window is full of it after 32 steps. */
        assert_true(excluded >= 0 && excluded <= 32);
        assert_int_equal(retrain - excluded, (int)s.config.outputs_retrain_steps - 1);
        assert_true(s.reasons & cases[k].reason);
        assert_true(s.want_retrain == 1);
        /* Healthy again: it votes only when the window is clean and stays so. */
        int back = 0;
        while (s.level != SUPERVISOR_OK && back < 500) {
            healthy_step(&s, &r);
            supervisor_step(&s, &e, NULL, back++);
        }
        print_message("case %zu: excluded after %d, back after %d\n", k, excluded, back);
        assert_true(back >= (int)s.config.outputs_recover_steps && back < 100);
        assert_true(!(s.reasons & cases[k].reason));
    }
}

/* A market that moves as one for two bars is no collapse, and HOLD from a model that held in its test is none. */
static void a_market_as_one_is_no_collapse(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    static struct supervisor s;
    fresh(&s);
    struct supervisor_event e;
    for (int t = 0; t < 400; t++) {
        double p[100][LABEL_COUNT];
        for (int i = 0; i < 100; i++) {
            healthy_answer(p[i], &r);
            if (t % 50 < 2) { /* all say BUY */
                p[i][LABEL_BUY] += 3;
                for (int l = 0; l < LABEL_COUNT; l++) p[i][l] /= 4;
            }
        }
        supervisor_outputs(&s, (const double(*)[LABEL_COUNT])p, 100);
        supervisor_step(&s, &e, NULL, t);
        assert_int_equal(s.level, SUPERVISOR_OK);
    }
    struct supervisor_config c = supervisor_config_defaults();
    struct supervisor_reference ref = {.loss_mean = 1, .label_share = {.02, .95, .03}};
    supervisor_init(&s, &c, &ref);
    for (int t = 0; t < 200; t++) {
        double p[1][LABEL_COUNT] = {{.15 + .1 * rng_f64(&r), .6, 0}};
        p[0][LABEL_BUY] = .4 - p[0][LABEL_SELL];
        supervisor_outputs(&s, (const double(*)[LABEL_COUNT])p, 1);
        supervisor_step(&s, &e, NULL, t);
        assert_int_equal(s.level, SUPERVISOR_OK);
    }
}

static struct drift_summary inputs_of(double severe_share, uint32_t alarmed) {
    return (struct drift_summary){
        .watched = 80, .severe_share = severe_share, .alarmed = alarmed, .worst = 3};
}

/* Inputs halve the weight and may ask for a retraining; they never take the vote. */
static void inputs_never_take_the_vote(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    static struct supervisor s;
    fresh(&s);
    struct supervisor_event e;
    struct drift_summary d = inputs_of(0, 2);
    healthy_step(&s, &r);
    assert_true(supervisor_step(&s, &e, &d, 1));
    assert_true(e.to == SUPERVISOR_OK && e.reasons == SUPERVISOR_INPUT_SHIFT);
    d = inputs_of(0.09, 0);
    supervisor_step(&s, &e, &d, 2);
    assert_int_equal(s.level, SUPERVISOR_OK);
    d = inputs_of(1.0, 80);
    for (int t = 0; t < 2000; t++) {
        healthy_step(&s, &r);
        supervisor_step(&s, &e, &d, t);
        assert_int_equal(s.level, SUPERVISOR_DOWN_WEIGHT);
        assert_int_equal(s.want_retrain, t + 1 >= (int)s.config.input_retrain_steps);
    }
    assert_true(s.reasons & SUPERVISOR_INPUT_DRIFT_STAYS);
    assert_true(e.inputs.worst == 3 && e.inputs.severe_share == 1.0);
    /* Between half the limit and the limit it stays where it is. */
    d = inputs_of(0.06, 0);
    supervisor_step(&s, &e, &d, 0);
    assert_int_equal(s.level, SUPERVISOR_DOWN_WEIGHT);
    d = inputs_of(0.04, 0);
    supervisor_step(&s, &e, &d, 0);
    assert_int_equal(s.level, SUPERVISOR_OK);
    d = inputs_of(0.06, 0);
    supervisor_step(&s, &e, &d, 0);
    assert_int_equal(s.level, SUPERVISOR_OK);
    /* All four so: every vote stands, and half the trust. */
    const uint32_t halves[MODEL_COUNT] = {1, 1, 1, 1}, mixed[MODEL_COUNT] = {0, 1, 2, 3};
    const double w[MODEL_COUNT] = {.4, .3, .2, .1}, none[MODEL_COUNT] = {0};
    assert_true(fabs(supervisor_trust(halves, w) - 0.5) < 1e-15);
    assert_true(fabs(supervisor_trust(mixed, w) - 0.55) < 1e-15);
    assert_true(supervisor_trust(mixed, none) == 0);
}

/* Stationary and healthy in everything, 20 seeds: who is ever down-weighted, and for how long. */
static void stationary_models_keep_their_vote(void **state) {
    (void)state;
    uint64_t seed = test_seed(), changed = 0, excluded = 0;
    for (uint64_t n = 0; n < 20; n++) {
        struct rng r = rng_init(seed + n);
        static struct supervisor s;
        fresh(&s);
        struct supervisor_event e;
        for (int t = 0; t < 10000; t++) {
            double p[3][LABEL_COUNT];
            for (int i = 0; i < 3; i++) healthy_answer(p[i], &r);
            supervisor_outputs(&s, (const double(*)[LABEL_COUNT])p, 3);
            supervisor_error(&s, loss_at(1, &r));
            if (t % 10 == 0 && supervisor_step(&s, &e, NULL, t)) changed += e.to > e.from;
            excluded += s.level >= SUPERVISOR_EXCLUDE;
        }
    }
    print_message("%llu steps down in 200,000 samples, excluded %llu\n",
                  (unsigned long long)changed, (unsigned long long)excluded);
    assert_true(changed <= 20);
    assert_int_equal(excluded, 0);
}

static void bias_blocks_one_side(void **state) {
    (void)state;
    struct bias b;
    bias_init(&b);
    /* Nineteen BUYs are too few to judge. */
    for (int i = 0; i < 19; i++) assert_false(bias_signal(&b, LABEL_BUY));
    assert_false(bias_blocks(&b, LABEL_BUY));
    assert_false(bias_signal(&b, LABEL_HOLD));
    assert_true(bias_signal(&b, LABEL_BUY));
    assert_true(bias_blocks(&b, LABEL_BUY) && !bias_blocks(&b, LABEL_SELL));
    assert_false(bias_blocks(&b, LABEL_HOLD));
    /* 20 of 20; SELLs until BUY is no more than 60 %: 20 of 34 is 58.8, 20 of 33 60.6. */
    int sells = 0;
    while (b.blocked == LABEL_BUY) {
        bias_signal(&b, LABEL_SELL);
        sells++;
    }
    assert_int_equal(sells, 14);
    assert_int_equal(b.blocks, 1);

    /* Exactly 70 % is not more than 70 %. */
    bias_init(&b);
    for (int i = 0; i < 50; i++) bias_signal(&b, i % 10 < 3 ? LABEL_BUY : LABEL_SELL);
    assert_true(b.blocked == LABEL_HOLD && fabs(bias_buy_share(&b) - .3) < 1e-12);
    bias_signal(&b, LABEL_SELL); /* a BUY leaves the window: 72 % SELL */
    assert_true(bias_blocks(&b, LABEL_SELL) && !bias_blocks(&b, LABEL_BUY));

    /* A market that itself went 75 % one way allows up to 95 %. */
    bias_init(&b);
    bias_market(&b, 0.75);
    for (int i = 0; i < 50; i++) bias_signal(&b, i % 10 ? LABEL_BUY : LABEL_SELL);
    assert_int_equal(b.blocked, LABEL_HOLD);
    for (int i = 0; i < 50; i++) bias_signal(&b, LABEL_BUY);
    assert_true(bias_blocks(&b, LABEL_BUY));
    bias_market(&b, (double)NAN);
    assert_true(b.market_buy_share == 0.75);
}

/* Window sums are those of a plain recount, over random signals. */
static void bias_equals_a_plain_count(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    struct bias b;
    bias_init(&b);
    static uint8_t all[20000];
    for (int t = 0; t < 20000; t++) {
        double lean = 0.5 + 0.45 * sin(t / 300.0);
        all[t] = rng_f64(&r) < lean;
        bias_signal(&b, all[t] ? LABEL_BUY : LABEL_SELL);
        uint32_t buys = 0, n = t + 1 < BIAS_WINDOW ? (uint32_t)t + 1 : BIAS_WINDOW;
        for (uint32_t i = 0; i < n; i++) buys += all[(uint32_t)t - i];
        assert_int_equal(b.buys, buys);
        if (n < BIAS_SIGNALS_MIN) continue;
        double share = (double)buys / n;
        if (share > 0.70 + 1e-9) assert_int_equal(b.blocked, LABEL_BUY);
        if (share < 0.30 - 1e-9) assert_int_equal(b.blocked, LABEL_SELL);
        if (share <= 0.60 && share >= 0.40) assert_int_equal(b.blocked, LABEL_HOLD);
    }
}

static void figures_of_answers_by_hand(void **state) {
    (void)state;
    static struct outputs o;
    const double p[4][LABEL_COUNT] = {{.5, .25, .25}, {.25, .25, .5}, {.25, .25, .5}, {NAN, 0, 1}};
    outputs_step(&o, p, 4);
    struct outputs_figures f;
    const double reference[LABEL_COUNT] = {1. / 3, 1. / 3, 1. / 3};
    outputs_figures(&f, &o, reference);
    assert_true(f.count == 3 && o.refused == 1 && f.top_label == LABEL_BUY);
    assert_true(fabs(f.share[LABEL_BUY] - 2. / 3) < 1e-12);
    assert_true(fabs(f.confidence - .5) < 1e-9 && f.confidence_std < 1e-9);
    /* entropy of (1/2, 1/4, 1/4): 1.5 bits of log2(3) = 1.58496 */
    assert_true(fabs(f.entropy - 1.5 / 1.5849625007211562) < 1e-7);
    /* values .5 .25 .25: deviation .25 * sqrt(2)/3 */
    assert_true(fabs(f.spread - .25 * sqrt(2) / 3) < 1e-7);
    memset(&o, 0, sizeof o);
    outputs_figures(&f, &o, reference);
    assert_true(f.count == 0 && f.psi == 0);
}

/* Copied in the middle, both go on the same; texts. */
static void state_is_plain_memory(void **state) {
    (void)state;
    struct rng r = rng_init(test_seed());
    static struct supervisor a, b;
    fresh(&a);
    for (int t = 0; t < 600; t++) {
        double p[3][LABEL_COUNT], loss = loss_at(t < 300 ? 1 : 1.5, &r);
        for (int i = 0; i < 3; i++) healthy_answer(p[i], &r);
        struct supervisor_event x, y;
        supervisor_outputs(&a, (const double(*)[LABEL_COUNT])p, 3);
        supervisor_error(&a, loss);
        bool changed = supervisor_step(&a, &x, NULL, t);
        if (t == 350) b = a;
        if (t <= 350) continue;
        supervisor_outputs(&b, (const double(*)[LABEL_COUNT])p, 3);
        supervisor_error(&b, loss);
        assert_int_equal(supervisor_step(&b, &y, NULL, t), changed);
        assert_memory_equal(&x, &y, sizeof x);
    }
    assert_memory_equal(&a, &b, sizeof a);
    assert_string_equal(supervisor_level_text(SUPERVISOR_DOWN_WEIGHT), "down_weight");
    assert_string_equal(supervisor_level_text(SUPERVISOR_LEVEL_COUNT), "?");
    assert_string_equal(supervisor_reason_text(SUPERVISOR_COLLAPSED), "collapsed");
    assert_string_equal(supervisor_reason_text(3), "?");
    for (uint32_t i = 0; i < SUPERVISOR_REASON_COUNT; i++)
        assert_true(strlen(supervisor_reason_sentence(1u << i)) > 5);
    assert_true(supervisor_factor(SUPERVISOR_OK) == 1 &&
                supervisor_factor(SUPERVISOR_EXCLUDE) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_climb_and_mend_by_degrees),
        cmocka_unit_test(constant_and_collapsed_lose_the_vote),
        cmocka_unit_test(a_market_as_one_is_no_collapse),
        cmocka_unit_test(inputs_never_take_the_vote),
        cmocka_unit_test(stationary_models_keep_their_vote),
        cmocka_unit_test(bias_blocks_one_side),
        cmocka_unit_test(bias_equals_a_plain_count),
        cmocka_unit_test(figures_of_answers_by_hand),
        cmocka_unit_test(state_is_plain_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
