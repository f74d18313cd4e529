#include "brain/promotion/seat.h"

#include "brain/promotion/test_planted.h"

/* A seat at work on the planted market: one decision a horizon, one bar a decision. */
struct world {
    struct planted market;
    struct promotion_config config, rule;
    struct promotion_seat seat;
    struct promotion_position served_at[PLANTED_SYMBOLS], challenger_at[PLANTED_SYMBOLS];
    struct planted_model served, challenger, predecessor;
    int64_t now;
    bool unscreened; /* the rule on held-out bars is passed over: shadow and test alone must do */
};

static const struct planted_model weak = {0.2, 0.006}, good = {1.0, 0.003}, bad = {0.0, 0.010},
                                  broken = {-0.3, 0.01};

static void world_init(struct world *w, uint64_t seed) {
    memset(w, 0, sizeof *w);
    w->market.rng = rng_init(seed);
    w->config = promotion_config_defaults();
    w->config.bars_min = 20; /* a bar is a decision here */
    w->rule = w->config;
    w->rule.horizon_bars = 1;
    w->served = weak;
    promotion_seat_init(&w->seat, 1, 0, 0);
}

static void world_decision(struct world *w) {
    double a[PLANTED_SYMBOLS], b[PLANTED_SYMBOLS], c[PLANTED_SYMBOLS], net_a = 0, net_b = 0;
    planted_next(&w->market);
    planted_forecast(a, &w->market, &w->served);
    planted_forecast(b, &w->market, &w->challenger);
    planted_forecast(c, &w->market, &w->predecessor);
    for (int i = 0; i < PLANTED_SYMBOLS; i++) {
        double r = w->market.outcome[i];
        promotion_seat_trial(&w->seat, &w->config, w->now, a[i], b[i], r);
        promotion_seat_service(&w->seat, &w->config, w->now, a[i], c[i], r);
        net_a += promotion_position_step(&w->served_at[i], &w->rule, a[i], r);
        net_b += promotion_position_step(&w->challenger_at[i], &w->rule, b[i], r);
    }
    promotion_seat_bar(&w->seat, net_a / PLANTED_SYMBOLS, net_b / PLANTED_SYMBOLS);
    w->now += w->config.horizon_ns;
}

/* Decisions until the challenger's trial is over; `held_out` of them are looked at only together. */
static enum promotion_event try_challenger(struct world *w, uint64_t model, int held_out,
                                           int decisions, int *used) {
    assert_int_equal(promotion_seat_admit(&w->seat, NULL, model, true, w->now), PROMOTION_PASS);
    for (*used = 0; *used < held_out; ++*used) world_decision(w);
    if (w->unscreened)
        assert_true(promotion_seat_apply(&w->seat, PROMOTION_SHADOW_BEGIN, model, w->now));
    for (;;) {
        struct promotion_step step;
        promotion_seat_next(&step, &w->seat, &w->config, w->now);
        if (step.has_event) {
            assert_int_equal(step.model, model);
            assert_true(promotion_seat_apply(&w->seat, step.event, step.model, w->now));
            if (step.event == PROMOTION_REJECT || step.event == PROMOTION_PROMOTE)
                return step.event;
            continue;
        }
        if (*used >= decisions) return PROMOTION_EVENT_COUNT;
        world_decision(w);
        ++*used;
    }
}

static void the_better_is_promoted_the_worse_never(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    enum { SEEDS = 100, HELD_OUT = 60, DECISIONS = 600 };
    static const struct {
        const char *what;
        struct planted_model model;
        bool promoted;
    } cases[] = {{"better", {1.0, 0.003}, true},
                 {"as good, other errors", {0.2, 0.006}, false},
                 {"a little worse", {0.15, 0.007}, false},
                 {"worse", {0.1, 0.009}, false},
                 {"on the wrong side", {-0.4, 0.002}, false},
                 {"noise", {0, 0.012}, false}};
    for (size_t k = 0; k < 2 * sizeof cases / sizeof cases[0]; k++) {
        int promotions = 0, longest = 0;
        for (uint64_t i = 0; i < SEEDS; i++) {
            static struct world w;
            world_init(&w, seed + 1000 * i + k);
            w.config.shadow_ns_max = INT64_MAX; /* no end to the patience: the test must hold */
            w.unscreened = k % 2;
            w.challenger = cases[k / 2].model;
            int used;
            enum promotion_event end = try_challenger(&w, 2, HELD_OUT, DECISIONS, &used);
            promotions += end == PROMOTION_PROMOTE;
            if (end == PROMOTION_PROMOTE && used > longest) longest = used;
            assert_int_equal(w.seat.served, end == PROMOTION_PROMOTE ? 2 : 1);
            if (end == PROMOTION_PROMOTE) assert_int_equal(w.seat.predecessor, 1);
        }
        print_message("%s%s: promoted in %d of %d seeds, within %d decisions\n", cases[k / 2].what,
                      k % 2 ? ", unscreened" : "", promotions, SEEDS, longest);
        assert_int_equal(promotions, cases[k / 2].promoted ? SEEDS : 0);
        if (cases[k / 2].promoted) assert_true(longest <= 150);
    }
}

/* The same bits said twice are no better. */
static void a_copy_is_never_promoted(void **state) {
    (void)state;
    struct promotion_config c = promotion_config_defaults();
    struct promotion_seat s;
    struct promotion_step step;
    struct planted p = {.rng = rng_init(test_seed())};
    promotion_seat_init(&s, 1, 0, 0);
    assert_int_equal(promotion_seat_admit(&s, NULL, 1, true, 0), PROMOTION_SAME_MODEL);
    assert_int_equal(promotion_seat_admit(&s, NULL, 2, true, 0), PROMOTION_PASS);
    for (int k = 0; k < 300; k++) {
        planted_next(&p);
        for (int i = 0; i < PLANTED_SYMBOLS; i++)
            promotion_seat_trial(&s, &c, k * c.horizon_ns, 0.01, 0.01, p.outcome[i]);
        promotion_seat_bar(&s, 0.001 * (k % 3), 0.001 * (k % 3));
    }
    promotion_seat_next(&step, &s, &c, 0);
    assert_true(step.has_event && step.event == PROMOTION_REJECT);
    assert_int_equal(step.verdict.reason, PROMOTION_ERROR_NOT_LOWER);
}

/* Degraded in service, the served one goes; who was better comes back, or nobody. */
static void degraded_in_service_it_is_demoted(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    int longest = 0;
    for (int empty = 0; empty < 2; empty++)
        for (uint64_t i = 0; i < 50; i++) {
            static struct world w;
            world_init(&w, seed + i);
            promotion_seat_init(&w.seat, 2, empty ? 0 : 1, 0);
            w.served = good;
            w.predecessor = weak;
            struct promotion_step step;
            for (int k = 0; k < 1000; k++) {
                world_decision(&w);
                promotion_seat_next(&step, &w.seat, &w.config, w.now);
                assert_false(step.has_event); /* fit for 1,000 decisions */
            }
            w.served = broken;
            int k = 0;
            while (!step.has_event) {
                world_decision(&w);
                promotion_seat_next(&step, &w.seat, &w.config, w.now);
                assert_true(++k <= 100);
            }
            if (k > longest) longest = k;
            assert_int_equal(step.event, PROMOTION_DEMOTE);
            assert_int_equal(step.verdict.reason, PROMOTION_WORSE_IN_SERVICE);
            assert_int_equal(step.next, empty ? 0 : 1);
            assert_true(promotion_seat_apply(&w.seat, step.event, step.model, w.now));
            assert_int_equal(w.seat.served, empty ? 0 : 1);
            assert_int_equal(w.seat.predecessor, 0);
            promotion_seat_next(&step, &w.seat, &w.config, w.now);
            assert_false(step.has_event);
        }
    print_message("degraded: demoted within %d decisions\n", longest);
}

/* A fit one is left in its seat: against its predecessor, and against persistence. */
static void a_fit_one_stays(void **state) {
    (void)state;
    uint64_t seed = test_seed();
    for (uint64_t i = 0; i < 20; i++) {
        static struct world w;
        world_init(&w, seed + i);
        promotion_seat_init(&w.seat, 2, i % 2, 0);
        w.served = weak;
        w.predecessor = (struct planted_model){0.1, 0.009};
        for (int k = 0; k < 500; k++) {
            struct promotion_step step;
            world_decision(&w);
            promotion_seat_next(&step, &w.seat, &w.config, w.now);
            assert_false(step.has_event);
        }
    }
}

static void an_empty_seat_is_held_by_persistence(void **state) {
    (void)state;
    static struct world w;
    int used;
    world_init(&w, test_seed());
    promotion_seat_init(&w.seat, 0, 0, 0);
    w.served = (struct planted_model){NAN, NAN}; /* nobody there says anything */
    w.challenger = (struct planted_model){0, 0.004};
    assert_int_equal(try_challenger(&w, 7, 40, 600, &used), PROMOTION_REJECT);
    assert_int_equal(w.seat.served, 0);
    w.challenger = good;
    assert_int_equal(try_challenger(&w, 8, 40, 600, &used), PROMOTION_PROMOTE);
    assert_int_equal(w.seat.served, 8);
    assert_int_equal(w.seat.predecessor, 0);
}

static void who_may_ask(void **state) {
    (void)state;
    static struct world w;
    uint64_t displaced;
    world_init(&w, test_seed());
    struct promotion_seat *s = &w.seat;
    assert_int_equal(promotion_seat_admit(s, &displaced, 5, false, 0), PROMOTION_NO_SKILL);
    assert_int_equal(s->challenger, 0);
    assert_int_equal(promotion_seat_admit(s, &displaced, 5, true, 0), PROMOTION_PASS);
    assert_int_equal(displaced, 0);
    assert_int_equal(promotion_seat_admit(s, &displaced, 5, true, 0), PROMOTION_SAME_MODEL);
    /* Not yet a shadow: the newer one has seen more. */
    assert_int_equal(promotion_seat_admit(s, &displaced, 6, true, 0), PROMOTION_PASS);
    assert_int_equal(displaced, 5);
    w.challenger = good;
    for (int k = 0; k < 40; k++) world_decision(&w);
    assert_true(promotion_seat_apply(s, PROMOTION_SHADOW_BEGIN, 6, w.now));
    assert_int_equal(promotion_seat_admit(s, &displaced, 7, true, w.now), PROMOTION_BUSY);
    assert_int_equal(displaced, 0);
    assert_int_equal(s->challenger, 6);
    w.challenger = bad; /* evidence turns */
    while (promotion_evidence_better(&s->trial.evidence) >= 1) world_decision(&w);
    assert_int_equal(promotion_seat_admit(s, &displaced, 7, true, w.now), PROMOTION_PASS);
    assert_int_equal(displaced, 6);
    assert_int_equal(s->challenger_state, PROMOTION_CANDIDATE);
    assert_int_equal(s->trial.error_new.count, 0);
}

static void a_shadow_does_not_wait_for_ever(void **state) {
    (void)state;
    static struct world w;
    int used;
    world_init(&w, test_seed());
    w.challenger = good;
    w.config.alpha = 1e-300; /* never significant */
    assert_int_equal(try_challenger(&w, 2, 40, 1000, &used), PROMOTION_REJECT);
    assert_int_equal(used, 40 + w.config.shadow_ns_max / w.config.horizon_ns);
    assert_int_equal(w.seat.served, 1);
    assert_int_equal(w.seat.rejected, 1);
}

/* Missing data: kept as it is, asked again. */
static void without_data_the_candidate_is_kept(void **state) {
    (void)state;
    static struct world w;
    world_init(&w, test_seed());
    struct promotion_step step;
    assert_int_equal(promotion_seat_admit(&w.seat, NULL, 2, true, 0), PROMOTION_PASS);
    for (int i = 0; i < 1000; i++)
        promotion_seat_trial(&w.seat, &w.config, i * w.config.horizon_ns, 0.01, NAN, 0.01);
    promotion_seat_next(&step, &w.seat, &w.config, w.config.shadow_ns_max * 2);
    assert_false(step.has_event);
    assert_int_equal(step.verdict.reason, PROMOTION_PAIRS_MISSING);
    assert_int_equal(w.seat.challenger, 2);
    w.now = 1000 * w.config.horizon_ns;
    w.challenger = good;
    for (int k = 0; k < 40; k++) world_decision(&w);
    promotion_seat_next(&step, &w.seat, &w.config, w.now);
    assert_true(step.has_event && step.event == PROMOTION_SHADOW_BEGIN);
}

/* By hand, and what is refused. */
static void hands_and_refusals(void **state) {
    (void)state;
    struct promotion_seat s, before;
    promotion_seat_init(&s, 2, 1, 0);
    before = s;
    assert_false(promotion_seat_apply(&s, PROMOTION_PROMOTE, 3, 9)); /* no challenger */
    assert_false(promotion_seat_apply(&s, PROMOTION_DEMOTE, 1, 9));  /* does not serve */
    assert_false(promotion_seat_apply(&s, PROMOTION_INSTALL, 2, 9)); /* serves already */
    assert_false(promotion_seat_apply(&s, PROMOTION_INSTALL, 0, 9));
    assert_false(promotion_seat_apply(&s, PROMOTION_RETIRE, 2, 9));
    assert_false(promotion_seat_apply(&s, PROMOTION_EVENT_COUNT, 2, 9));
    assert_memory_equal(&s, &before, sizeof s);

    assert_true(promotion_seat_apply(&s, PROMOTION_ROLL_BACK, 2, 10));
    assert_int_equal(s.served, 1);
    assert_false(promotion_seat_apply(&s, PROMOTION_ROLL_BACK, 1, 11)); /* nobody before it */
    assert_true(promotion_seat_apply(&s, PROMOTION_RESTORE, 2, 12));
    assert_int_equal(s.served, 2);
    assert_int_equal(s.predecessor, 1);
    assert_int_equal(promotion_seat_admit(&s, NULL, 3, true, 13), PROMOTION_PASS);
    assert_false(promotion_seat_apply(&s, PROMOTION_ACCEPT, 3, 14)); /* was never a shadow */
    assert_false(promotion_seat_apply(&s, PROMOTION_PROMOTE, 3, 14));
    assert_true(promotion_seat_apply(&s, PROMOTION_SHADOW_BEGIN, 3, 14));
    assert_true(promotion_seat_apply(&s, PROMOTION_ACCEPT, 3, 15));
    /* A swap that failed: accepted it stays, and is proposed again. */
    struct promotion_config c = promotion_config_defaults();
    struct promotion_step step;
    promotion_seat_next(&step, &s, &c, 16);
    assert_true(step.has_event && step.event == PROMOTION_PROMOTE && step.model == 3);
    /* The opponent changes by hand: measured anew. */
    assert_true(promotion_seat_apply(&s, PROMOTION_INSTALL, 9, 17));
    assert_int_equal(s.challenger, 3);
    assert_int_equal(s.challenger_state, PROMOTION_SHADOW);
    assert_int_equal(s.predecessor, 2);
    assert_true(promotion_seat_apply(&s, PROMOTION_INSTALL, 3, 18)); /* the challenger itself */
    assert_int_equal(s.challenger, 0);
    assert_int_equal(s.served, 3);
    assert_int_equal(s.predecessor, 9);
}

/* State is one block: a copy made at any point goes on as the original does. */
static void a_copy_continues(void **state) {
    (void)state;
    static struct world a, b;
    world_init(&a, test_seed());
    a.challenger = good;
    assert_int_equal(promotion_seat_admit(&a.seat, NULL, 2, true, 0), PROMOTION_PASS);
    for (int k = 0; k < 200; k++) {
        if (k == 77) b = a;
        if (k < 60) { /* held out: looked at together */
            world_decision(&a);
            continue;
        }
        for (int twice = 0; twice < (k >= 77 ? 2 : 1); twice++) {
            struct world *w = twice ? &b : &a;
            struct promotion_step step;
            world_decision(w);
            promotion_seat_next(&step, &w->seat, &w->config, w->now);
            if (step.has_event)
                assert_true(promotion_seat_apply(&w->seat, step.event, step.model, w->now));
        }
    }
    assert_int_equal(a.seat.served, 2);
    assert_memory_equal(&a.seat, &b.seat, sizeof a.seat);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_better_is_promoted_the_worse_never),
        cmocka_unit_test(a_copy_is_never_promoted),
        cmocka_unit_test(degraded_in_service_it_is_demoted),
        cmocka_unit_test(a_fit_one_stays),
        cmocka_unit_test(an_empty_seat_is_held_by_persistence),
        cmocka_unit_test(who_may_ask),
        cmocka_unit_test(a_shadow_does_not_wait_for_ever),
        cmocka_unit_test(without_data_the_candidate_is_kept),
        cmocka_unit_test(hands_and_refusals),
        cmocka_unit_test(a_copy_continues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
