/* The table behind the multiplier: its states, actions and reward, what it learns on made-up
 * markets, and that a trade counts once.
 *
 * TEST_SEED=n repeats the random cases. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "brain/sizing/sizing.h"

static uint64_t seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t s = text ? strtoull(text, NULL, 10) : 300;
    print_message("TEST_SEED=%" PRIu64 "\n", s);
    return s;
}

static struct sizing_learner *fresh(uint64_t s) {
    struct sizing_learner *l = malloc(sizeof *l);
    assert_non_null(l);
    sizing_learner_init(l, s);
    assert_int_equal(sizing_learner_check(l), ST_OK);
    return l;
}

static const struct sizing_context CALM = {0.01, 30, 0.6, 0.6, 0.1};
static const struct sizing_context WILD = {0.05, 30, 0.6, 0.6, 0.1};
static const struct sizing_decision OPEN = {.soft = 0.5, .hard = 10};

/* ---- states and actions ---- */

static void states_have_the_published_buckets(void **state) {
    (void)state;
    bool seen[SIZING_STATES] = {false};
    static const double confidence[] = {.85, .84999, .70, .69999, .55, .54999, .45, .44999};
    static const uint32_t confidence_bucket[] = {0, 1, 1, 2, 2, 3, 3, 4};
    static const double exposure[] = {0, .29999, .30, .60, .79999, .80, 5};
    static const uint32_t exposure_bucket[] = {0, 0, 1, 2, 2, 3, 3};
    static const double record[] = {1, .60, .59999, .45, .44999, 0};
    static const uint32_t record_bucket[] = {0, 0, 1, 1, 2, 2};
    static const struct {
        double atr, adx, trend;
        enum sizing_regime regime;
    } regimes[] = {
        {.031, 26, 0, SIZING_HIGH_VOL_TREND},    {.031, 25, 1, SIZING_HIGH_VOL_RANGE},
        {.03, 26, NAN, SIZING_LOW_VOL_TREND},    {.03, 25, NAN, SIZING_LOW_VOL_RANGE},
        {.04, NAN, -.51, SIZING_HIGH_VOL_TREND}, {.04, NAN, .5, SIZING_HIGH_VOL_RANGE},
        {.01, 101, -.51, SIZING_LOW_VOL_TREND},  {.01, NAN, .5, SIZING_LOW_VOL_RANGE},
        {.01, NAN, NAN, SIZING_CHOPPY},          {.04, -1, 2, SIZING_CHOPPY},
    };
    uint32_t states = 0;
    for (int g = 0; g < 10; g++)
        for (int c = 0; c < 8; c++)
            for (int x = 0; x < 7; x++)
                for (int p = 0; p < 6; p++) {
                    struct sizing_context in = {regimes[g].atr, regimes[g].adx, regimes[g].trend,
                                                confidence[c], exposure[x]};
                    uint32_t s = sizing_state(&in, record[p]);
                    assert_true(s < SIZING_STATES);
                    assert_int_equal(sizing_state_regime(s), regimes[g].regime);
                    assert_int_equal(s % 60 / 12, confidence_bucket[c]);
                    assert_int_equal(s % 12 / 3, exposure_bucket[x]);
                    assert_int_equal(s % 3, record_bucket[p]);
                    states += !seen[s];
                    seen[s] = true;
                }
    assert_int_equal(states, 300);
}

static void an_impossible_context_has_no_state(void **state) {
    (void)state;
    const struct sizing_context bad[] = {
        {NAN, 30, 0, .6, .1},  {0, 30, 0, .6, .1},    {96e6, 30, 0, .6, .1},
        {-.01, 30, 0, .6, .1}, {.01, 30, 0, NAN, .1}, {.01, 30, 0, 1.05, .1},
        {.01, 30, 0, -.1, .1}, {.01, 30, 0, .6, NAN}, {.01, 30, 0, .6, -1},
    };
    struct sizing_learner *l = fresh(1);
    const struct sizing_learner_config c = sizing_learner_defaults();
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_int_equal(sizing_state(&bad[k], 0.5), SIZING_STATE_NONE);
        struct sizing_choice choice;
        sizing_choose(&choice, l, &c, &bad[k]);
        assert_int_equal(choice.why, SIZING_WHY_UNKNOWN_STATE);
        assert_int_equal(choice.leverage, 1);
        assert_true(choice.multiplier == 0.06);
        assert_int_equal(sizing_learner_open(l, 1, &choice, &OPEN), ST_REFUSED);
    }
    assert_int_equal(sizing_state(&CALM, NAN), SIZING_STATE_NONE);
    free(l);
}

static void actions_have_the_published_grid(void **state) {
    (void)state;
    static const double size[] = {10.0 / 8000, .10, .25, .50, 1.0};
    static const double take[] = {.025, .03, .04}, stop[] = {.01, .015, .02};
    uint32_t a = 0;
    for (int s = 0; s < 5; s++)
        for (uint32_t leverage = 1; leverage <= 5; leverage++)
            for (uint32_t pair = 0; pair < 3; pair++, a++) {
                struct sizing_action x = sizing_action_get(a);
                assert_true(x.size == size[s] && x.leverage == leverage && x.pair == pair);
                assert_true(x.take_distance == take[pair] && x.stop_distance == stop[pair]);
                assert_true(x.multiplier > 0 && x.multiplier <= 1);
                assert_true(fabs(x.multiplier - size[s] * leverage / 5) < 1e-16);
            }
    assert_int_equal(a, SIZING_ACTIONS);
    assert_true(sizing_action_get(74).multiplier == 1);
    assert_string_equal(sizing_pair_text(SIZING_BALANCED), "balanced");
}

/* ---- reward ---- */

static void the_reward_is_in_fractions_of_equity(void **state) {
    (void)state;
    const int64_t day = INT64_C(86400000000000);
    struct sizing_reward_config c = sizing_learner_original().reward;
    /* 8 % on the whole equity, held a day and a half, 3 % down on the way: by hand */
    struct sizing_outcome o = {.08, .03, day * 3 / 2};
    assert_true(fabs(sizing_reward(&c, &o, 1) - (.08 - .015 - .015 + .1)) < 1e-15);
    o.result = -.08;
    assert_true(fabs(sizing_reward(&c, &o, 1) - (-.08 - .015 - .015)) < 1e-15);
    /* a tenth of the position is a tenth of result and loss, not of time */
    assert_true(fabs(sizing_reward(&c, &o, .1) - (-.008 - .015 - .0015)) < 1e-15);
    c = sizing_learner_defaults().reward;
    assert_true(fabs(sizing_reward(&c, &o, 1) - (-.08 - 2 * .0064)) < 1e-15);
    o.result = .01; /* the way down counts where it was the worst */
    assert_true(fabs(sizing_reward(&c, &o, 1) - (.01 - 2 * .0009)) < 1e-15);
}

/* ---- start ---- */

static void it_starts_without_a_liking_for_size(void **state) {
    (void)state;
    struct sizing_learner *l = fresh(seed());
    const struct sizing_learner_config configs[] = {sizing_learner_defaults(),
                                                    sizing_learner_original()};
    for (int k = 0; k < 2; k++) {
        struct sizing_learner_config c = configs[k];
        c.epsilon = 0;
        struct sizing_choice choice;
        sizing_choose(&choice, l, &c, &CALM);
        assert_int_equal(choice.why, SIZING_WHY_NEUTRAL);
        assert_true(choice.multiplier == 0.1);
        assert_int_equal(choice.leverage, 1);
        assert_true(isnan(choice.expected) && choice.samples == 0);
        sizing_choose(&choice, l, &c, &WILD);
        assert_int_equal(choice.why, SIZING_WHY_SAFE);
        assert_true(choice.multiplier == 0.06);
        assert_int_equal(choice.leverage, 1);
        assert_int_equal(choice.pair, SIZING_CONSERVATIVE);
        const struct sizing_context nothing = {0.01, NAN, NAN, 0.6, 0.1};
        sizing_choose(&choice, l, &c, &nothing);
        assert_int_equal(choice.why, SIZING_WHY_SAFE);
    }
    for (uint32_t row = 0; row < SIZING_ROWS; row++)
        for (uint32_t a = 0; a < SIZING_ACTIONS; a++)
            assert_true(l->cells[row][a].q == 0 && l->cells[row][a].count == 0);
    free(l);
}

/* ---- toy markets ---- */

/* Result of a trade of a pair: one of two values with equal chance, so that its optimum is
 * known. */
struct toy {
    double mean[3], sd[3];
};
static double toy_result(const struct toy *toy, uint32_t pair, struct rng *r) {
    double u = rng_f64(r) < 0.5 ? -1 : 1;
    return toy->mean[pair] + toy->sd[pair] * u;
}

static double toy_value(const struct toy *toy, const struct sizing_learner_config *c,
                        uint32_t action) {
    struct sizing_action a = sizing_action_get(action);
    double sum = 0;
    for (int u = -1; u <= 1; u += 2) {
        double x = toy->mean[a.pair] + toy->sd[a.pair] * u;
        struct sizing_outcome o = {x, x < 0 ? -x : 0, 0};
        sum += sizing_reward(&c->reward, &o, fmin(a.multiplier * OPEN.soft, OPEN.hard)) / 2;
    }
    return sum;
}

static uint32_t toy_best(const struct toy *toy, const struct sizing_learner_config *c) {
    uint32_t best = 0;
    for (uint32_t a = 1; a < SIZING_ACTIONS; a++)
        if (toy_value(toy, c, a) > toy_value(toy, c, best)) best = a;
    return best;
}

/* Trades; returns how many of the last 200 took an action worth 85 % of the best or more. */
static uint32_t toy_run(struct sizing_learner *l, const struct toy *toy,
                        const struct sizing_learner_config *c, const struct sizing_context *context,
                        int trades, uint64_t s) {
    struct rng r = rng_init(s);
    double best = toy_value(toy, c, toy_best(toy, c));
    uint32_t hits = 0;
    for (int n = 0; n < trades; n++) {
        struct sizing_choice choice;
        sizing_choose(&choice, l, c, context);
        uint64_t id = (uint64_t)n + 1;
        assert_int_equal(sizing_learner_open(l, id, &choice, &OPEN), ST_OK);
        double x = toy_result(toy, choice.pair, &r);
        struct sizing_outcome o = {x, x < 0 ? -x : 0, 0};
        assert_int_equal(sizing_learner_close(l, c, id, &o), ST_OK);
        if (n >= trades - 200)
            hits += toy_value(toy, c, choice.action) >= best - 0.15 * fabs(best) - 1e-5;
    }
    assert_int_equal(sizing_learner_check(l), ST_OK);
    return hits;
}

static void the_toy_optimum_is_learned(void **state) {
    (void)state;
    struct sizing_learner_config c = sizing_learner_defaults();
    uint64_t s = seed();
    /* All of the size is best, its pair half a standard deviation above the next; a part of it is:
     * 0.08 / (4 * 0.5 * 0.4^2) = 0.25; none of it is. */
    const struct toy toys[] = {{{.004, .014, .001}, {.02, .02, .02}},
                               {{.080, .080, .080}, {.40, .40, .40}},
                               {{-.01, -.012, -.02}, {.02, .02, .02}}};
    const double multiplier[] = {1, 0.25, 10.0 / 8000 / 5};
    for (int k = 0; k < 3; k++) {
        struct sizing_action best = sizing_action_get(toy_best(&toys[k], &c));
        assert_true(fabs(best.multiplier - multiplier[k]) < 0.06);
        assert_true(k != 0 || best.pair == 1);
        uint32_t hits = 0;
        c.alpha = k == 1 ? 0.002 : 0.02; /* a part of it needs the mean to a tenth */
        for (uint64_t run = 0; run < 20; run++) {
            struct sizing_learner *l = fresh(s + run);
            hits += toy_run(l, &toys[k], &c, &CALM, k == 1 ? 10000 : 1000, s * 31 + run);
            free(l);
        }
        print_message("toy %d: %u of 4000 choices at its optimum\n", k, hits);
        assert_true(hits > 3400); /* of which 400 are tries */
    }
}

static void the_original_learns_its_toy_one_action_at_a_time(void **state) {
    (void)state;
    struct sizing_learner_config c = sizing_learner_original();
    uint64_t s = seed();
    const struct toy toy = {{.05, .20, .10}, {0, 0, 0}};
    uint32_t hits = 0;
    for (uint64_t run = 0; run < 20; run++) {
        struct sizing_learner *l = fresh(s + run);
        hits += toy_run(l, &toy, &c, &CALM, 20000, s * 37 + run);
        assert_true(sizing_action_get(toy_best(&toy, &c)).multiplier == 1);
        free(l);
    }
    print_message("%u of 4000 choices at its optimum\n", hits);
    assert_true(hits > 3400);
}

static void high_volatility_is_earned(void **state) {
    (void)state;
    const struct sizing_learner_config c = sizing_learner_defaults();
    struct sizing_learner *l = fresh(seed());
    /* A calm market that pays teaches nothing about a wild one. */
    const struct toy toy = {{.02, .02, .02}, {.01, .01, .01}};
    toy_run(l, &toy, &c, &CALM, 500, 1);
    struct sizing_choice choice;
    for (int n = 0; n < 9; n++) {
        sizing_choose(&choice, l, &c, &WILD);
        assert_int_equal(choice.why, SIZING_WHY_SAFE);
        assert_true(choice.multiplier == 0.06 && choice.leverage == 1);
        sizing_learner_open(l, 1000 + (uint64_t)n, &choice, &OPEN);
        const struct sizing_outcome o = {.02, 0, 0};
        sizing_learner_close(l, &c, 1000 + (uint64_t)n, &o);
    }
    sizing_choose(&choice, l, &c, &WILD);
    assert_int_equal(choice.why, SIZING_WHY_SAFE);
    sizing_learner_open(l, 2000, &choice, &OPEN);
    sizing_learner_close(l, &c, 2000, &(struct sizing_outcome){.02, 0, 0});
    struct sizing_learner_config greedy = c;
    greedy.epsilon = 0;
    sizing_choose(&choice, l, &greedy, &WILD);
    assert_int_equal(choice.why, SIZING_WHY_LEARNED);
    assert_true(choice.multiplier > 0.9 && choice.samples == 10 && choice.expected > 0);
    free(l);
}

static void a_calm_state_borrows_from_its_regime(void **state) {
    (void)state;
    struct sizing_learner_config c = sizing_learner_defaults();
    struct sizing_learner *l = fresh(seed());
    const struct toy toy = {{.02, .02, .02}, {.01, .01, .01}};
    toy_run(l, &toy, &c, &CALM, 100, 1);
    c.epsilon = 0;
    struct sizing_context other = CALM;
    other.confidence = 0.9;
    struct sizing_choice choice;
    sizing_choose(&choice, l, &c, &other);
    assert_int_equal(choice.why, SIZING_WHY_REGIME);
    assert_true(choice.multiplier > 0.9);
    other.adx = 10; /* another regime */
    sizing_choose(&choice, l, &c, &other);
    assert_int_equal(choice.why, SIZING_WHY_NEUTRAL);
    free(l);
}

/* Twelve trades whose mean is half a standard error from 0 move nothing, up or down; two do. */
static void it_takes_evidence_to_leave_the_neutral_size(void **state) {
    (void)state;
    struct sizing_learner_config c = sizing_learner_defaults();
    c.epsilon = 0;
    static const struct {
        double mean, multiplier;
    } rows[] = {{.5, .1}, {-.5, .1}, {2, 1}, {-2, 10.0 / 8000 / 5}};
    for (int k = 0; k < 4; k++) {
        struct sizing_learner *l = fresh(1);
        struct sizing_choice choice;
        sizing_choose(&choice, l, &c, &CALM);
        for (uint64_t id = 1; id <= 12; id++) {
            double x = .01 * (rows[k].mean / sqrt(12) + (id % 2 ? 1 : -1));
            const struct sizing_outcome o = {x, 0, 0};
            sizing_learner_open(l, id, &choice, &OPEN);
            sizing_learner_close(l, &c, id, &o);
        }
        sizing_choose(&choice, l, &c, &CALM);
        assert_int_equal(choice.why, SIZING_WHY_LEARNED);
        assert_true(fabs(choice.multiplier - rows[k].multiplier) < 1e-12);
        free(l);
    }
}

/* What is tried is never larger than what an untrained state would take. */
static void exploring_is_never_large(void **state) {
    (void)state;
    struct sizing_learner_config c = sizing_learner_defaults();
    struct sizing_learner *l = fresh(seed());
    const struct toy toy = {{-.02, -.02, -.02}, {.01, .01, .01}};
    toy_run(l, &toy, &c, &CALM, 300, 1);
    uint32_t explored = 0, pairs[3] = {0};
    for (int n = 0; n < 10000; n++) {
        struct sizing_choice choice;
        sizing_choose(&choice, l, &c, &CALM);
        if (choice.why != SIZING_WHY_EXPLORED) continue;
        explored++;
        pairs[choice.pair]++;
        assert_true(choice.multiplier == 0.1);
    }
    assert_in_range(explored, 850, 1150);
    for (int k = 0; k < 3; k++) assert_true(pairs[k] > 200);
    free(l);
}

/* ---- once ---- */

static void a_trade_is_credited_exactly_once(void **state) {
    (void)state;
    const struct sizing_learner_config c = sizing_learner_defaults();
    struct sizing_learner *l = fresh(1);
    struct sizing_choice choice;
    sizing_choose(&choice, l, &c, &CALM);
    const struct sizing_outcome o = {.01, 0, 0}, bad = {NAN, 0, 0};
    assert_int_equal(sizing_learner_close(l, &c, 7, &o), ST_NOT_FOUND);
    assert_int_equal(sizing_learner_open(l, 7, &choice, &OPEN), ST_OK);
    assert_int_equal(sizing_learner_open(l, 7, &choice, &OPEN), ST_EXISTS);
    assert_int_equal(sizing_learner_close(l, &c, 7, &bad), ST_INVALID);
    assert_int_equal(sizing_learner_close(l, &c, 7, &o), ST_OK);
    struct sizing_learner *before = malloc(sizeof *before);
    assert_non_null(before);
    *before = *l;
    assert_int_equal(sizing_learner_close(l, &c, 7, &o), ST_EXISTS);
    assert_int_equal(sizing_learner_open(l, 7, &choice, &OPEN), ST_EXISTS); /* an intent again */
    assert_int_equal(sizing_learner_close(l, &c, 0, &o), ST_NOT_FOUND);
    assert_memory_equal(l->cells, before->cells, sizeof l->cells);
    assert_int_equal(l->credited, 1);
    assert_int_equal(l->refused, before->refused + 2);
    /* one that never became a position teaches nothing */
    assert_int_equal(sizing_learner_open(l, 8, &choice, &OPEN), ST_OK);
    assert_true(sizing_learner_forget(l, 8));
    assert_false(sizing_learner_forget(l, 8));
    assert_int_equal(sizing_learner_close(l, &c, 8, &o), ST_NOT_FOUND);
    assert_memory_equal(l->cells, before->cells, sizeof l->cells);
    free(before);
    free(l);
}

static void the_oldest_is_given_up_when_all_places_are_taken(void **state) {
    (void)state;
    const struct sizing_learner_config c = sizing_learner_defaults();
    struct sizing_learner *l = fresh(1);
    struct sizing_choice choice;
    sizing_choose(&choice, l, &c, &CALM);
    for (uint64_t id = 1; id <= SIZING_PENDING_MAX + 2; id++)
        assert_int_equal(sizing_learner_open(l, id, &choice, &OPEN), ST_OK);
    assert_int_equal(l->evicted, 2);
    const struct sizing_outcome o = {.01, 0, 0};
    assert_int_equal(sizing_learner_close(l, &c, 1, &o), ST_NOT_FOUND);
    assert_int_equal(sizing_learner_close(l, &c, 2, &o), ST_NOT_FOUND);
    for (uint64_t id = 3; id <= SIZING_PENDING_MAX + 2; id++)
        assert_int_equal(sizing_learner_close(l, &c, id, &o), ST_OK);
    assert_int_equal(l->credited, SIZING_PENDING_MAX);
    free(l);
}

static void the_record_is_of_the_last_twenty(void **state) {
    (void)state;
    const struct sizing_learner_config c = sizing_learner_defaults();
    struct sizing_learner *l = fresh(1);
    struct sizing_choice choice;
    sizing_choose(&choice, l, &c, &CALM);
    for (uint64_t id = 1; id <= 40; id++) {
        double expected = id <= 10 ? 0.5 : id <= 21 ? 1 : id <= 40 ? 1 - (double)(id - 21) / 20 : 0;
        assert_true(fabs(sizing_win_rate(l) - expected) < 1e-12);
        sizing_learner_open(l, id, &choice, &OPEN);
        const struct sizing_outcome o = {id <= 20 ? .01 : -.01, 0, 0};
        sizing_learner_close(l, &c, id, &o);
    }
    assert_true(sizing_win_rate(l) == 0);
    free(l);
}

/* Twin: every reward of every trade kept, and averaged at the end. */
static void averages_are_those_of_all_rewards(void **state) {
    (void)state;
    struct sizing_learner_config c = sizing_learner_defaults();
    c.alpha = 1e-6;
    c.epsilon = 1;
    struct sizing_learner *l = fresh(seed());
    struct rng r = rng_init(seed());
    static double sum[SIZING_ACTIONS], squares[SIZING_ACTIONS];
    static uint32_t count[SIZING_ACTIONS];
    for (uint64_t id = 1; id <= 500; id++) {
        struct sizing_choice choice;
        sizing_choose(&choice, l, &c, &CALM);
        struct sizing_decision d = {.soft = rng_f64(&r), .hard = 0.2 * rng_f64(&r)};
        struct sizing_outcome o = {0.05 * rng_normal(&r), 0.05 * rng_f64(&r), (int64_t)id};
        assert_int_equal(sizing_learner_open(l, id, &choice, &d), ST_OK);
        assert_int_equal(sizing_learner_close(l, &c, id, &o), ST_OK);
        for (uint32_t a = 0; a < SIZING_ACTIONS; a++) {
            struct sizing_action action = sizing_action_get(a);
            if (action.pair != choice.pair) continue;
            double f = action.multiplier * d.soft < d.hard ? action.multiplier * d.soft : d.hard;
            double x = sizing_reward(&c.reward, &o, f);
            sum[a] += x;
            squares[a] += x * x;
            count[a]++;
        }
    }
    uint32_t row = SIZING_STATES + SIZING_LOW_VOL_TREND; /* the record moves the state, not this */
    for (uint32_t a = 0; a < SIZING_ACTIONS; a++) {
        const struct sizing_cell *cell = &l->cells[row][a];
        assert_int_equal(cell->count, count[a]);
        double mean = sum[a] / count[a], variance = squares[a] / count[a] - mean * mean;
        assert_true(fabs(cell->q - mean) < 1e-4 * sqrt(variance));
        assert_true(fabs(cell->variance - variance) < 1e-3 * variance);
    }
    free(l);
}

static void its_state_survives_and_a_spoilt_one_is_seen(void **state) {
    (void)state;
    const struct sizing_learner_config c = sizing_learner_defaults();
    const struct toy toy = {{.004, .006, .001}, {.02, .02, .02}};
    struct sizing_learner *l = fresh(5), *copy = malloc(sizeof *copy);
    assert_non_null(copy);
    toy_run(l, &toy, &c, &CALM, 500, 1);
    memcpy(copy, l, sizeof *l);
    for (uint64_t id = 10000; id < 10500; id++) { /* the same life, from a copy of its bytes */
        struct sizing_choice a, b;
        sizing_choose(&a, l, &c, &CALM);
        sizing_choose(&b, copy, &c, &CALM);
        assert_memory_equal(&a, &b, sizeof a);
        const struct sizing_outcome o = {id % 3 ? .01 : -.01, .01, 0};
        sizing_learner_open(l, id, &a, &OPEN);
        sizing_learner_open(copy, id, &b, &OPEN);
        sizing_learner_close(l, &c, id, &o);
        sizing_learner_close(copy, &c, id, &o);
    }
    assert_memory_equal(l, copy, sizeof *l);
    copy->version++;
    assert_int_equal(sizing_learner_check(copy), ST_VERSION);
    *copy = *l;
    copy->cells[7][7].q = NAN;
    assert_int_equal(sizing_learner_check(copy), ST_CORRUPT);
    *copy = *l;
    copy->row_count[SIZING_STATES]++;
    assert_int_equal(sizing_learner_check(copy), ST_CORRUPT);
    *copy = *l;
    copy->pending[3] = (struct sizing_pending){.trade_id = 1, .state = 300};
    assert_int_equal(sizing_learner_check(copy), ST_CORRUPT);
    *copy = *l;
    copy->credited++;
    assert_int_equal(sizing_learner_check(copy), ST_CORRUPT);
    free(copy);
    free(l);
}

/* Whatever has been learned, the multiplier is in 0..1 and the decision within its limits. */
static void learning_only_lowers(void **state) {
    (void)state;
    struct sizing_learner *l = fresh(seed());
    struct rng r = rng_init(seed());
    const struct sizing_config limits = sizing_config_defaults();
    for (uint64_t id = 1; id <= 20000; id++) {
        struct sizing_learner_config c =
            rng_below(&r, 2) ? sizing_learner_defaults() : sizing_learner_original();
        const struct sizing_context context = {0.06 * rng_f64(&r), 50 * rng_f64(&r), NAN,
                                               rng_f64(&r), rng_f64(&r)};
        struct sizing_choice choice;
        sizing_choose(&choice, l, &c, &context);
        assert_true(choice.multiplier > 0 && choice.multiplier <= 1);
        struct sizing_input in = {.edge = 0.02 * rng_f64(&r),
                                  .edge_se = NAN,
                                  .trade_sigma = 0.02,
                                  .stop_distance = 0.01,
                                  .sigma_day = 0.05,
                                  .memory_mean = NAN,
                                  .cluster_room = rng_f64(&r),
                                  .margin_available = rng_f64(&r),
                                  .multiplier = choice.multiplier,
                                  .leverage = choice.leverage};
        struct sizing_decision out;
        sizing_decide(&out, &limits, &in);
        if (out.reason != SIZING_ALLOW) continue;
        assert_true(out.fraction <= out.soft && out.fraction <= out.hard);
        sizing_learner_open(l, id, &choice, &out);
        const struct sizing_outcome o = {10.999 * rng_f64(&r) - 0.999, rng_f64(&r), (int64_t)id};
        assert_int_equal(sizing_learner_close(l, &c, id, &o), ST_OK);
    }
    assert_true(l->credited > 10000);
    assert_int_equal(sizing_learner_check(l), ST_OK);
    free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_have_the_published_buckets),
        cmocka_unit_test(an_impossible_context_has_no_state),
        cmocka_unit_test(actions_have_the_published_grid),
        cmocka_unit_test(the_reward_is_in_fractions_of_equity),
        cmocka_unit_test(it_starts_without_a_liking_for_size),
        cmocka_unit_test(the_toy_optimum_is_learned),
        cmocka_unit_test(the_original_learns_its_toy_one_action_at_a_time),
        cmocka_unit_test(high_volatility_is_earned),
        cmocka_unit_test(a_calm_state_borrows_from_its_regime),
        cmocka_unit_test(it_takes_evidence_to_leave_the_neutral_size),
        cmocka_unit_test(exploring_is_never_large),
        cmocka_unit_test(a_trade_is_credited_exactly_once),
        cmocka_unit_test(the_oldest_is_given_up_when_all_places_are_taken),
        cmocka_unit_test(the_record_is_of_the_last_twenty),
        cmocka_unit_test(averages_are_those_of_all_rewards),
        cmocka_unit_test(its_state_survives_and_a_spoilt_one_is_seen),
        cmocka_unit_test(learning_only_lowers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
