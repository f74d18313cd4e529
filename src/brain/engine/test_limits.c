/* Whatever comes in: nothing above a limit, no NaN where a number is acted on, a tie is HOLD. */
#include "test_world.h"

static struct trader trader;

/* A finished engine to ask anything of: 300 closes of the world. */
static struct engine *seasoned(const struct engine_config *config) {
    trader_init(&trader, world_engine(config));
    for (uint32_t t = 0; t < 300; t++) trader_step(&trader, t);
    return trader.e;
}

static double odd_number(struct rng *r) {
    static const double odd[] = {NAN, INFINITY, -INFINITY, -1, 0, 1e308, 5, 1e-300, -0.0, 0.3};
    return odd[rng_below(r, sizeof odd / sizeof *odd)];
}

/* Mostly a number of this size, at times one that nobody expects. */
static double any(struct rng *r, double size) {
    return rng_below(r, 12) ? size * rng_f64(r) : odd_number(r);
}

static void any_vote(struct model_vote *v, struct rng *r) {
    double sum = 0;
    v->state = rng_below(r, 5) ? VOTE_PRESENT : (uint32_t)rng_below(r, 9);
    v->move = any(r, 0.05);
    for (uint32_t l = 0; l < LABEL_COUNT; l++) sum += v->p[l] = pow(rng_f64(r), 3) + 1e-9;
    for (uint32_t l = 0; l < LABEL_COUNT; l++) v->p[l] /= sum;
    if (rng_below(r, 8) == 0) v->p[rng_below(r, LABEL_COUNT)] = odd_number(r);
}

static void assert_finite_answer(const struct engine_decision *d) {
    const double numbers[] = {d->fraction,
                              d->signal.confidence,
                              d->signal.edge,
                              d->signal.move,
                              d->expected_return,
                              d->interval.low,
                              d->interval.high,
                              d->trust,
                              d->edge_gross,
                              d->edge_net,
                              d->cost,
                              d->stop_distance,
                              d->take_distance[2],
                              d->sizing.fraction,
                              d->sizing.edge_net,
                              d->verdict.fraction};
    for (uint32_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_true(isfinite(numbers[i]));
    for (uint32_t l = 0; l < LABEL_COUNT; l++)
        assert_true(d->signal.p[l] >= 0 && d->signal.p[l] <= 1);
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        assert_true(d->signal.weights[k] >= 0 && d->signal.weights[k] <= 1);
    assert_true(d->reason < ENGINE_REASON_COUNT);
}

static void assert_within(const struct engine_decision *d, const struct engine_ask *ask,
                          const struct engine_config *config) {
    if (d->reason != ENGINE_ALLOW) {
        assert_int_equal(d->action, LABEL_HOLD);
        assert_true(d->fraction == 0 && d->leverage == 0);
        return;
    }
    assert_true(d->action == d->signal.action && d->action != LABEL_HOLD && ask->may_enter);
    assert_true(d->fraction > 0 && d->fraction <= config->portfolio.symbol_max);
    assert_true(d->fraction <= d->sizing.fraction && d->edge_net > 0);
    for (uint32_t k = 0; k < SIZING_LIMIT_COUNT; k++)
        assert_true(d->fraction <= d->sizing.limits[k]);
    assert_true(d->fraction <= d->room.symbol && d->fraction <= d->room.cluster &&
                d->fraction <= d->room.total);
    assert_true(d->fraction >= ask->fraction_min * (1 - 1e-12));
    assert_true(d->leverage >= 1 && d->leverage <= config->sizing.leverage_max);
    assert_true(d->stop_distance > 0 && d->stop_distance <= LEVERAGE_STOP_SHARE / d->leverage);
    assert_true(d->fraction * (d->stop_distance + d->cost) <= config->sizing.stop_risk + 1e-12);
    assert_true(d->strategy.eligible >> d->strategy.arm & 1);
}

static void nothing_passes_a_limit_on_random_input(void **state) {
    (void)state;
    struct engine_config config = world_config();
    struct engine *e = seasoned(&config);
    struct rng r = rng_init(world_seed());
    uint64_t allowed = 0, held = 0, accounts = 0;
    for (uint32_t t = 300; t < WORLD_BARS; t++) {
        for (uint32_t i = 0; i < WORLD_SYMBOLS; i++) {
            struct engine_market market = {any(&r, 1e9), any(&r, 1e6), any(&r, 20), any(&r, 0.001),
                                           any(&r, 0.1)};
            if (rng_below(&r, 20))
                (void)engine_bar(e, i, &world.bars[i][t], world.rows[i][t], &market);
        }
        (void)engine_close(e, &trader.events, trader.scratch,
                           world_begin + (int64_t)(t + 1) * NS_PER_HOUR);
        struct engine_ask asks[WORLD_SYMBOLS + 1];
        struct engine_decision out[WORLD_SYMBOLS + 1];
        struct portfolio_holding holdings[3];
        struct engine_account account = {.holdings = holdings,
                                         .holding_count = (uint32_t)rng_below(&r, 3),
                                         .margin_available = any(&r, 1),
                                         .margin_used = any(&r, 1)};
        double used = 0;
        for (uint32_t j = 0; j < account.holding_count; j++) {
            holdings[j] = (struct portfolio_holding){j + (uint32_t)rng_below(&r, 2) * 3,
                                                     1 + (uint32_t)rng_below(&r, 2), any(&r, 0.2)};
            used += holdings[j].fraction;
        }
        for (uint32_t i = 0; i <= WORLD_SYMBOLS; i++) {
            asks[i] = (struct engine_ask){.symbol = i,
                                          .may_enter = rng_below(&r, 8) != 0,
                                          .cost = rng_below(&r, 4) ? NAN : any(&r, 0.004),
                                          .fraction_min = any(&r, 0.01)};
            for (uint32_t k = 0; k < MODEL_COUNT; k++) any_vote(&asks[i].votes[k], &r);
        }
        engine_decide(out, e, trader.scratch, asks, WORLD_SYMBOLS + 1, &account);
        assert_int_equal(out[WORLD_SYMBOLS].reason, ENGINE_SYMBOL_UNKNOWN);
        double fresh = 0, margin = 0;
        for (uint32_t i = 0; i <= WORLD_SYMBOLS; i++) {
            assert_finite_answer(&out[i]);
            assert_within(&out[i], &asks[i], &config);
            if (out[i].reason != ENGINE_ALLOW) continue;
            fresh += out[i].fraction;
            margin += out[i].fraction / out[i].leverage;
        }
        allowed += fresh > 0;
        held += out[0].reason == ENGINE_HOLD;
        accounts += out[0].reason == ENGINE_ACCOUNT_UNKNOWN;
        if (fresh > 0) {
            assert_true(used + fresh <= config.portfolio.total_max + 1e-12);
            assert_true(margin <= account.margin_available + 1e-12);
        }
    }
    print_message("closes with an entry %llu, hold %llu, account unknown %llu\n",
                  (unsigned long long)allowed, (unsigned long long)held,
                  (unsigned long long)accounts);
    assert_true(allowed > 20 && held > 20 && accounts > 0);
    struct err err = {0};
    if (engine_check(e, &err) != ST_OK) fail_msg("%s", err.text);
    free(e);
    free(trader.scratch);
}

/* One close of the seasoned engine, answered from the same state each time. */
static void ask_again(struct engine_decision *out, const struct engine *from, struct engine *e,
                      const struct engine_ask *asks, uint32_t count) {
    struct engine_account account = {.margin_available = 1};
    memcpy(e, from, engine_size(WORLD_SYMBOLS));
    engine_decide(out, e, trader.scratch, asks, count, &account);
}

static void ties_hold_and_nan_votes_are_absent_ones(void **state) {
    (void)state;
    struct engine_config config = world_config();
    size_t size = engine_size(WORLD_SYMBOLS);
    struct engine *from = seasoned(&config), *e = malloc(size), *other = malloc(size);
    assert_true(e && other);
    trader_bars(&trader, 300);
    trader_close(&trader, 300);
    struct engine_ask asks[2];
    struct engine_decision out[2], clean[2];
    memset(asks, 0, sizeof asks);
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        asks[0].votes[k] =
            (struct model_vote){.state = VOTE_PRESENT, .p = {0.45, 0.10, 0.45}, .move = 0.02};
    asks[0].may_enter = 1;
    ask_again(out, from, e, asks, 1);
    assert_int_equal(out[0].reason, ENGINE_HOLD);
    assert_int_equal(out[0].action, LABEL_HOLD);
    assert_int_equal(out[0].signal.voters, 2); /* constant and biased are out by now */
    assert_int_equal(out[0].states[WORLD_CONSTANT], VOTE_EXCLUDED);

    /* A voter of NaN, and no voter, give the same answer and the same state but for the word of its vote. */
    world_votes(asks[0].votes, 0, 300);
    asks[0].votes[WORLD_RANDOM].p[1] = NAN;
    ask_again(out, from, e, asks, 1);
    asks[0].votes[WORLD_RANDOM] = (struct model_vote){.state = VOTE_ABSENT};
    ask_again(clean, from, other, asks, 1);
    assert_int_equal(e->supervisor[WORLD_RANDOM].outputs.refused,
                     other->supervisor[WORLD_RANDOM].outputs.refused + 1);
    memcpy(&e->supervisor[WORLD_RANDOM], &other->supervisor[WORLD_RANDOM], sizeof e->supervisor[0]);
    assert_memory_equal(e, other, size);
    out[0].states[WORLD_RANDOM] = clean[0].states[WORLD_RANDOM];
    assert_memory_equal(&out[0], &clean[0], sizeof out[0]);

    /* All of them: no voter, and a symbol asked twice has no bar. */
    for (uint32_t k = 0; k < MODEL_COUNT; k++) asks[0].votes[k].p[0] = NAN;
    asks[0].votes[WORLD_RANDOM].state = VOTE_PRESENT;
    asks[1] = asks[0];
    ask_again(out, from, e, asks, 2);
    assert_int_equal(out[0].reason, ENGINE_NO_VOTER);
    assert_int_equal(out[1].reason, ENGINE_NO_BAR);
    free(e);
    free(other);
    free(from);
    free(trader.scratch);
}

static void the_place_in_the_list_does_not_matter_to_a_signal(void **state) {
    (void)state;
    struct engine_config config = world_config();
    struct engine *from = seasoned(&config), *e = malloc(engine_size(WORLD_SYMBOLS));
    assert_non_null(e);
    trader_bars(&trader, 300);
    trader_close(&trader, 300);
    struct engine_ask asks[WORLD_SYMBOLS], turned[WORLD_SYMBOLS];
    struct engine_decision a[WORLD_SYMBOLS], b[WORLD_SYMBOLS];
    for (uint32_t i = 0; i < WORLD_SYMBOLS; i++) {
        asks[i] = (struct engine_ask){.symbol = i, .may_enter = 1, .cost = NAN};
        world_votes(asks[i].votes, i, 300);
        turned[WORLD_SYMBOLS - 1 - i] = asks[i];
    }
    ask_again(a, from, e, asks, WORLD_SYMBOLS);
    ask_again(b, from, e, turned, WORLD_SYMBOLS);
    for (uint32_t i = 0; i < WORLD_SYMBOLS; i++) {
        const struct engine_decision *x = &a[i], *y = &b[WORLD_SYMBOLS - 1 - i];
        assert_memory_equal(&x->signal, &y->signal, sizeof x->signal);
        assert_memory_equal(&x->interval, &y->interval, sizeof x->interval);
        assert_true((x->reason == ENGINE_BIAS_BLOCK) == (y->reason == ENGINE_BIAS_BLOCK));
    }
    free(e);
    free(from);
    free(trader.scratch);
}

static void bars_that_cannot_be_are_refused(void **state) {
    (void)state;
    struct engine_config config = world_config();
    struct engine *e = seasoned(&config);
    uint64_t refused = e->bars_refused;
    struct bar bar = world.bars[0][300];
    assert_false(engine_bar(e, 0, &world.bars[0][299], world.rows[0][299], NULL));
    bar.high.e8 = 1;
    assert_false(engine_bar(e, 0, &bar, world.rows[0][300], NULL));
    bar = world.bars[0][300];
    bar.open_ts_ns = INT64_MAX - 5;
    assert_false(engine_bar(e, 0, &bar, world.rows[0][300], NULL));
    assert_int_equal(e->bars_refused, refused + 3);
    assert_false(engine_close(e, &trader.events, trader.scratch, e->close_ts_ns));
    float row[WORLD_ROW];
    for (int i = 0; i < WORLD_ROW; i++) row[i] = NAN;
    assert_true(engine_bar(e, 0, &world.bars[0][300], row, NULL));
    assert_true(engine_close(e, &trader.events, trader.scratch, e->close_ts_ns + NS_PER_HOUR));
    struct engine_ask ask = {.may_enter = 1, .cost = NAN};
    struct engine_account account = {.margin_available = 1};
    struct engine_decision out;
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        ask.votes[k] = (struct model_vote){.state = VOTE_PRESENT, .p = {0, 0.1, 0.9}, .move = 0.02};
    engine_decide(&out, e, trader.scratch, &ask, 1, &account);
    assert_int_equal(out.reason, ENGINE_ATR_UNKNOWN);
    assert_int_equal(out.signal.action, LABEL_BUY);
    assert_int_equal(out.regime.reason, REGIME_REASON_ATR_MISSING);
    assert_false(out.was_noted);
    free(e);
    free(trader.scratch);
}

/* Entries and reductions obey the same caps, so what was entered is not reduced at the next close; nor is anything by
 * being asked. What is lowered afterwards is. */
static void what_is_entered_is_not_reduced_and_what_is_lowered_is(void **state) {
    (void)state;
    struct engine_config config = world_config();
    struct engine *e = seasoned(&config), *before = malloc(engine_size(WORLD_SYMBOLS));
    assert_non_null(before);
    struct engine_limits all = {
        .stop_risk = 1, .total_max = 3, .leverage_max = 50, .positions_max = 50};
    uint32_t books = 0;
    for (uint32_t t = 300; t < WORLD_BARS; t++) {
        struct engine_ask asks[WORLD_SYMBOLS];
        struct engine_decision out[WORLD_SYMBOLS];
        struct portfolio_holding holdings[WORLD_SYMBOLS];
        struct portfolio_proposal p[WORLD_SYMBOLS];
        struct engine_account account = {.holdings = holdings, .margin_available = 1};
        trader_bars(&trader, t);
        trader_close(&trader, t);
        for (uint32_t i = 0; i < WORLD_SYMBOLS; i++) {
            asks[i] = (struct engine_ask){.symbol = i, .may_enter = 1, .cost = NAN};
            world_votes(asks[i].votes, i, t);
        }
        engine_decide(out, e, trader.scratch, asks, WORLD_SYMBOLS, &account);
        double total = 0;
        for (uint32_t i = 0; i < WORLD_SYMBOLS; i++) {
            if (out[i].reason != ENGINE_ALLOW) continue;
            holdings[account.holding_count++] = (struct portfolio_holding){
                i, out[i].action == LABEL_BUY ? SIDE_BUY : SIDE_SELL, out[i].fraction};
            account.margin_used += out[i].fraction / out[i].leverage;
            total += out[i].fraction;
        }
        memcpy(before, e, engine_size(WORLD_SYMBOLS));
        assert_int_equal(engine_rebalance(p, e, trader.scratch, &account), 0);
        assert_memory_equal(before, e, engine_size(WORLD_SYMBOLS));
        if (account.holding_count == 0) continue;
        books++;
        struct engine_limits less = all;
        less.total_max = total / 2;
        engine_limits_lower(e, &less);
        assert_int_equal(engine_rebalance(p, e, trader.scratch, &account), account.holding_count);
        for (uint32_t j = 0; j < account.holding_count; j++) {
            assert_int_equal(p[j].instrument_index, holdings[j].instrument_index);
            assert_int_equal(p[j].reason, PORTFOLIO_TOTAL_CAP);
            assert_true(fabs(p[j].to - p[j].from / 2) < 1e-12);
        }
        less = all;
        less.positions_max = account.holding_count - 1;
        engine_limits_lower(e, &less);
        uint32_t count = engine_rebalance(p, e, trader.scratch, &account), closed = 0;
        for (uint32_t j = 0; j < count; j++) closed += p[j].to == 0;
        assert_true(closed >= 1 && (closed == 1 || less.positions_max == 0));
        engine_limits_lower(e, &all);
        holdings[0].fraction = NAN;
        assert_int_equal(engine_rebalance(p, e, trader.scratch, &account), 0);
    }
    print_message("%u books\n", books);
    assert_true(books > 20);
    free(before);
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
        cmocka_unit_test(nothing_passes_a_limit_on_random_input),
        cmocka_unit_test(ties_hold_and_nan_votes_are_absent_ones),
        cmocka_unit_test(the_place_in_the_list_does_not_matter_to_a_signal),
        cmocka_unit_test(bars_that_cannot_be_are_refused),
        cmocka_unit_test(what_is_entered_is_not_reduced_and_what_is_lowered_is),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
