/* The Exit Brain in the loop: what is held is ended for each of its reasons and for no other, its stop comes nearer when
 * the leverage asks for it, every choice of a profile is told with what it was made by, and a copy of the memory goes on
 * as the original. The engine is the real one; its voters say what the test wants, the venue is a few lines that obey.
 *
 * TEST_SEED=n: another market. */
#include <math.h>

#include "base/hash.h"
#include "base/rng.h"
#include "kernel/kernel_internal.h"
#include "kernel/test_answers.h"

enum { SYMBOLS = 4, WARM = 120, TOLD = 4096 };
static const int64_t HOUR = INT64_C(3600000000000);
static const int64_t T0 = INT64_C(1727740800000000000);
static const char
    *const hold = "hold",
           *const buy = "buy", *const sell = "sell",
           *const leans = "leans"; /* to sell, so little that the interval leaves both sides open */

struct world {
    struct instrument in[SYMBOLS];
    struct kernel_config config;
    struct kernel *kernel;
    struct kernel_out *out;
    struct kernel_scratch *scratch;
    struct rng dice;
    int64_t now, open_ts, px[SYMBOLS], last_px[SYMBOLS];
    const char *said[SYMBOLS]; /* by the voters, at each close */
    double atr;                /* of the rows; NaN: as computed */
    bool ranges, wild;         /* regime of the rows; else a trend */
    struct answers venue;
    uint32_t intents, chosen_count, advised_count, closed, stops;
    struct trade_intent intent;
    struct exit_chosen chosen[TOLD];
    struct exit_advised advised;
    struct trade_closed trade;
    struct venue_command stop;
    uint64_t hash; /* of every event that came out */
};

static const struct kernel_totals *totals(const struct world *w) {
    return kernel_totals(w->kernel);
}

static uint64_t seed_of(void) {
    const char *text = getenv("TEST_SEED");
    return text ? strtoull(text, NULL, 10) : 7;
}

static void configure(struct world *w, uint64_t seed) {
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        char name[SYMBOL_SIZE];
        snprintf(name, sizeof name, "C%uUSDT", i);
        instrument_defaults(&w->in[i], name);
        w->in[i].tick_size.e8 = w->in[i].px_min.e8 = FX_ONE / 100;
        w->in[i].step_size.e8 = w->in[i].market_step_size.e8 = FX_ONE / 1000;
        w->in[i].qty_min.e8 = w->in[i].market_qty_min.e8 = FX_ONE / 1000;
        w->px[i] = w->last_px[i] = 100 * FX_ONE;
        w->said[i] = hold;
    }
    w->config = (struct kernel_config){.mode = MODE_REPLAY,
                                       .seed = seed,
                                       .interval_ns = HOUR,
                                       .instrument_count = SYMBOLS,
                                       .instruments = w->in,
                                       .wallet_start = {10000 * FX_ONE},
                                       .half_spread = {10000},
                                       .features = true,
                                       .bot = bot_config_defaults(STRATEGY_ENSEMBLE, HOUR),
                                       .limits = risk_limits_defaults(),
                                       .exits = exits_config_defaults(),
                                       .engine = engine_config_defaults(HOUR, 12),
                                       .exit_brain = true,
                                       .monitor = exit_monitor_config_defaults()};
    w->config.bot.horizon_bars =
        1000; /* none of these trades is ended by time, unless it is said */
    w->config.limits.cooldown_ns = 0;
    w->config.engine.seed = seed;
    w->config.engine.strategy.use_confidence = 0;
    w->config.engine.supervisor.outputs_min = UINT32_MAX / 4; /* whatever they say, they vote */
    w->atr = NAN;
    w->dice = rng_init(seed);
    w->now = w->open_ts = T0;
    w->venue.wallet = 10000 * FX_ONE;
}

static struct world *world_new(uint64_t seed) {
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->out = calloc(1, sizeof *w->out);
    w->scratch = calloc(1, sizeof *w->scratch);
    assert_true(w->out && w->scratch);
    configure(w, seed);
    return w;
}

static struct kernel *memory_for(const struct world *w) {
    void *memory = aligned_alloc(64, kernel_size(&w->config));
    assert_non_null(memory);
    return memory;
}

static void world_start(struct world *w) {
    struct err err = {0};
    w->kernel = kernel_init(memory_for(w), &w->config);
    for (uint32_t m = 0; m < MODEL_COUNT; m++) {
        const struct engine_model model = {.test = {3, {0.33, 0.34, 0.33}}};
        assert_int_equal(kernel_model(w->kernel, w->out, (enum model_kind)m, &model, w->now, &err),
                         ST_OK);
    }
}

static void world_free(struct world *w) {
    free(w->kernel);
    free(w->out);
    free(w->scratch);
    free(w);
}

/* ---- the venue ---- */

static void on_command(struct world *w, const struct venue_command *c) {
    if (c->kind == COMMAND_LEVERAGE_SET) {
        say(&w->venue, VENUE_LEVERAGE_SET, c);
    } else if (c->kind == COMMAND_ORDER_CANCEL) {
        say(&w->venue, VENUE_ORDER_CANCELED, c);
    } else {
        say(&w->venue, VENUE_ORDER_ACCEPTED, c);
        if (c->order_type == ORDER_STOP_MARKET) {
            w->stop = *c;
            w->stops++;
        }
        if (c->order_type != ORDER_MARKET) return;
        if (c->reduce_only)
            assert_true(c->order_qty.e8 <= llabs(w->venue.position[c->instrument_index]));
        fill(&w->venue, c, w->px[c->instrument_index], c->order_qty.e8);
    }
}

/* An intent comes back from the bus at once; its choice was told with it. */
static void take_out(struct world *w) {
    struct trade_intent intents[SYMBOLS];
    uint32_t count = 0;
    for (uint32_t j = 0; j < w->out->count; j++) {
        const struct event *e = &w->out->events[j];
        struct err err = {0};
        if (event_validate(e, &err) != ST_OK) fail_msg("%s", err.text);
        w->hash = hash_chain(w->hash, &e->u, e->size);
        if (e->type == EVENT_ORDER_PLACED) on_command(w, &e->u.venue_command);
        if (e->type == EVENT_TRADE_INTENT) intents[count++] = e->u.trade_intent;
        if (e->type == EVENT_EXIT_CHOSEN) {
            assert_true(w->chosen_count < TOLD && count > 0);
            assert_int_equal(e->u.exit_chosen.intent_id, intents[count - 1].intent_id);
            w->chosen[w->chosen_count++] = e->u.exit_chosen;
        }
        if (e->type == EVENT_EXIT_ADVISED) {
            w->advised = e->u.exit_advised;
            w->advised_count++;
        }
        if (e->type != EVENT_TRADE_CLOSED) continue;
        w->trade = e->u.trade_closed;
        w->closed++;
    }
    w->out->count = 0;
    for (uint32_t j = 0; j < count; j++) {
        const struct trade_intent *t = &intents[j];
        double most = 0.10 / t->leverage; /* the stop's, from the entry on */
        assert_true(t->stop_distance <= most * (1 + 1e-12) || !w->config.exit_brain);
        w->intent = *t;
        w->intents++;
        kernel_intent(w->kernel, w->out, t, w->now);
        take_out(w);
    }
}

static void drain(struct world *w) {
    for (struct venue_event e; next_answer(&e, &w->venue, w->now);) {
        kernel_venue(w->kernel, w->out, &e, w->now);
        take_out(w);
    }
    assert_int_equal(kernel_unprotected_count(w->kernel), 0);
    for (uint32_t i = 0; i < SYMBOLS; i++)
        assert_int_equal(kernel_position_qty(w->kernel, i).e8, w->venue.position[i]);
}

/* ---- the market ---- */

/* Never twice the same: a voter of one answer would lose its vote. */
static void vote(struct model_vote *votes, const char *said, struct rng *dice) {
    for (uint32_t m = 0; m < MODEL_COUNT; m++) {
        double strong = 0.68 + 0.04 * rng_f64(dice), weak = 0.08 + 0.04 * rng_f64(dice);
        double even = 0.19 + 0.02 * rng_f64(dice);
        votes[m] = (struct model_vote){.state = VOTE_PRESENT, .move = 0.03};
        votes[m].p[LABEL_BUY] = said == hold ? even : said == buy ? strong : weak;
        votes[m].p[LABEL_SELL] = said == hold ? even : said == buy ? weak : strong;
        if (said == leans) {
            votes[m].p[LABEL_BUY] = 0.24 + even / 10;
            votes[m].p[LABEL_SELL] = 0.38 + even / 10;
        }
        votes[m].p[LABEL_HOLD] = 1 - votes[m].p[LABEL_BUY] - votes[m].p[LABEL_SELL];
    }
}

static void close_bar(struct world *w) {
    static float rows[SYMBOLS][FEATURE_COUNT_MAX];
    static struct model_vote votes[SYMBOLS][MODEL_COUNT];
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        int64_t from = w->last_px[i], to = w->px[i];
        const struct bar b = {.open_ts_ns = w->open_ts,
                              .open = {from},
                              .high = {from > to ? from : to},
                              .low = {from < to ? from : to},
                              .close = {to},
                              .volume = 1e6,
                              .quote_volume = NAN,
                              .taker_buy_ratio = NAN,
                              .trade_count = BAR_COUNT_UNKNOWN};
        w->last_px[i] = to;
        kernel_bar(w->kernel, i, &b, rows[i]);
        if (!isnan(w->atr)) rows[i][FEATURE_ATR_FRACTION] = (float)w->atr;
        rows[i][FEATURE_ADX_14] = w->ranges ? 10 : 40;
        rows[i][FEATURE_EMA_10_50_CROSS] = w->ranges ? 0 : 0.1F;
        if (w->wild) rows[i][FEATURE_ATR_FRACTION] = 0.09F;
        vote(votes[i], w->said[i], &w->dice);
    }
    w->open_ts += HOUR;
    w->now = w->open_ts;
    const struct kernel_close_input in = {.close_ts_ns = w->now,
                                          .rows = rows[0],
                                          .stride = FEATURE_COUNT_MAX,
                                          .votes = votes[0],
                                          .scratch = w->scratch};
    kernel_close(w->kernel, w->out, &in);
    take_out(w);
    drain(w);
}

static void move(struct world *w, uint32_t i, double gain) {
    int64_t tick = FX_ONE / 100, px = (int64_t)((double)w->venue.entry_px[i] * (1 + gain));
    w->px[i] = px / tick * tick;
}

/* Around where it is, until everything is warm. */
static void shake(struct world *w, double size) {
    int64_t base[SYMBOLS];
    memcpy(base, w->px, sizeof base);
    for (uint32_t n = 0; n < WARM; n++) {
        for (uint32_t i = 0; i < SYMBOLS; i++)
            w->px[i] = (int64_t)((double)base[i] * (1 + size * rng_normal(&w->dice)));
        close_bar(w);
    }
    memcpy(w->px, base, sizeof base);
    close_bar(w);
}

/* Contract 0 is held long under a confirmed stop; the voters say no more than hold from then on. */
static struct world *world_holding(uint64_t seed, double atr) {
    struct world *w = world_new(seed);
    world_start(w);
    w->atr = atr;
    shake(w, 0.004);
    assert_int_equal(w->intents, 0);
    w->said[0] = buy;
    close_bar(w);
    w->said[0] = hold;
    if (w->intents != 1)
        for (int r = 0; r < ENGINE_REASON_COUNT; r++)
            if (totals(w)->decisions[r])
                print_message("%s %llu\n", engine_reason_text((enum engine_reason)r),
                              (unsigned long long)totals(w)->decisions[r]);
    assert_int_equal(w->intents, 1);
    assert_true(w->venue.position[0] > 0);
    assert_int_equal(w->chosen_count, 1);
    return w;
}

static struct view_exits seen(const struct world *w) {
    struct view *v = calloc(1, sizeof *v);
    assert_non_null(v);
    kernel_view(w->kernel, v);
    assert_int_equal(v->position_count, 1);
    struct view_exits x = v->positions[0].exits;
    free(v);
    return x;
}

static void assert_ended(const struct world *w, enum exit_reason reason) {
    assert_int_equal(w->closed, 1);
    assert_int_equal(w->venue.position[0], 0);
    assert_int_equal(w->trade.exit_reason, reason);
    assert_int_equal(w->trade.intent_id, w->intent.intent_id);
    assert_int_equal(w->advised_count, 1);
    assert_string_equal(w->advised.advice, exit_reason_text(reason));
    assert_int_equal(w->advised.intent_id, w->intent.intent_id);
    assert_int_equal(totals(w)->exit_advice[reason], 1);
    assert_int_equal(kernel_open_count(w->kernel), 0);
    assert_int_equal(kernel_live_orders(w->kernel, NULL, 0), 0);
}

/* ---- tests ---- */

static void what_gives_no_reason_is_left_to_its_plan(void **state) {
    (void)state;
    struct world *w = world_holding(seed_of(), 0.01);
    move(w, 0, -0.001);
    for (int n = 0; n < 60; n++) close_bar(w);
    assert_int_equal(w->closed, 0);
    assert_int_equal(w->advised_count, 0);
    const struct view_exits x = seen(w);
    assert_true(x.is_watched && x.profile == PROFILE_OWN && x.leave == EXIT_NONE);
    assert_true(x.p_side > 0 && fabs(x.p_side - x.p_other) < 0.01);
    world_free(w);
}

static void the_other_side_twice_in_a_row_ends_it(void **state) {
    (void)state;
    struct world *w = world_holding(seed_of(), 0.01);
    for (int n = 0; n < 3; n++) { /* once, and again once: the row is broken */
        w->said[0] = leans;
        close_bar(w);
        assert_int_equal(seen(w).against, 1);
        w->said[0] = hold;
        close_bar(w);
        assert_int_equal(seen(w).against, 0);
    }
    assert_int_equal(w->closed, 0);
    w->said[0] = leans;
    close_bar(w);
    close_bar(w);
    assert_ended(w, EXIT_EDGE_GONE);
    assert_true(w->advised.p_other - w->advised.p_side > 0.10);
    assert_true(w->advised.interval_high > 0);
    assert_int_equal(w->advised.against, 2);
    world_free(w);
}

static void once_is_enough_where_the_interval_leaves_it_nothing(void **state) {
    (void)state;
    struct world *w = world_holding(seed_of(), 0.01);
    w->said[0] = sell;
    close_bar(w);
    assert_ended(w, EXIT_EDGE_GONE);
    assert_true(w->advised.interval_high < 0);
    assert_int_equal(w->advised.against, 1);
    world_free(w);
}

/* Way by way of managing: which is drawn is the bandit's affair. */
static void a_regime_that_does_not_suit_ends_what_is_in_loss(void **state) {
    (void)state;
    uint32_t ended = 0, kept = 0;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        struct world *w = world_holding(seed, 0.01);
        bool suits = strategy_profile((enum strategy_id)w->intent.arm)->suits_range;
        double gain = seed % 4 == 0 ? 0.001 : -0.001;
        move(w, 0, gain);
        w->ranges = true;
        for (int n = 0; n < 12 && w->closed == 0; n++) close_bar(w);
        if (suits || gain > 0) {
            assert_int_equal(w->closed, 0);
            kept++;
        } else {
            assert_ended(w, EXIT_REGIME);
            assert_int_equal(w->advised.unsuited, 3);
            ended++;
        }
        world_free(w);
    }
    print_message("%u ended, %u kept\n", ended, kept);
    assert_true(ended > 3 && kept > 3);
}

static void a_share_of_the_margin_lost_ends_it(void **state) {
    (void)state;
    struct world *w = world_holding(seed_of(), 0.01);
    uint32_t leverage = w->intent.leverage;
    move(w, 0, -0.124 / leverage); /* beyond the stop; the venue has not met it */
    close_bar(w);
    assert_true(w->advised_count == 0 ||
                strcmp(w->advised.advice, "loss_guard") != 0); /* not yet */
    world_free(w);
    w = world_holding(seed_of(), 0.01);
    move(w, 0, -0.126 / leverage);
    close_bar(w);
    assert_ended(w, EXIT_LOSS_GUARD);
    assert_int_equal(w->advised.leverage, leverage);
    world_free(w);
}

static void leverage(struct world *w, uint32_t to) {
    const struct venue_command c = {.leverage = to};
    say(&w->venue, VENUE_LEVERAGE_SET, &c);
    drain(w);
}

/* Somebody raises it by hand: 10 % of the margin is nearer now. */
static void the_stop_comes_nearer_with_the_leverage(void **state) {
    (void)state;
    struct world *w = world_holding(seed_of(), 0.01);
    assert_int_equal(w->stops, 1);
    int64_t first = w->stop.stop_px.e8;
    leverage(w, 25);
    close_bar(w);
    assert_int_equal(w->advised_count, 1);
    assert_string_equal(w->advised.advice, "stop_nearer");
    assert_int_equal(w->advised.stop_before.e8, first);
    assert_int_equal(w->stops, 2);
    assert_true(w->stop.stop_px.e8 > first);
    double distance = 1 - (double)w->stop.stop_px.e8 / (double)w->venue.entry_px[0];
    assert_true(distance < 0.0040001 && distance > 0.0039);
    assert_int_equal(w->advised.stop_after.e8, w->stop.stop_px.e8);
    assert_true(seen(w).is_nearer);
    leverage(w, 3); /* and lower again: it stays where it is */
    for (int n = 0; n < 5; n++) close_bar(w);
    assert_int_equal(w->stops, 2);
    assert_int_equal(w->advised_count, 1);
    assert_int_equal(w->closed, 0);
    leverage(w, 51); /* nothing farther than 0.2 % would be left */
    w->advised_count = 0;
    close_bar(w);
    assert_ended(w, EXIT_LOSS_GUARD);
    world_free(w);
}

static void a_nearer_stop_that_was_passed_already_is_done_at_once(void **state) {
    (void)state;
    struct world *w = world_holding(seed_of(), 0.01);
    leverage(w, 25);
    move(w, 0, -0.0045);
    close_bar(w);
    assert_int_equal(w->stops, 1);
    assert_int_equal(w->closed, 1);
    assert_int_equal(w->trade.exit_reason, EXIT_STOP);
    world_free(w);
}

static void what_is_old_and_in_loss_is_ended(void **state) {
    (void)state;
    struct world *w = world_holding(seed_of(), 0.03);
    assert_true(w->intent.stop_distance > 0.021);
    move(w, 0, -0.0205);
    for (int n = 0; n < 48; n++) close_bar(w);
    assert_int_equal(w->closed, 0);
    close_bar(w);
    assert_ended(w, EXIT_STALE);
    assert_true(w->advised.held > 48 * HOUR);
    world_free(w);
}

/* What no close of this kernel has put out is somebody else's to end. */
static void an_intent_from_elsewhere_is_left_to_its_plan(void **state) {
    (void)state;
    struct world *w = world_holding(seed_of(), 0.01);
    struct trade_intent t = w->intent;
    t.intent_id++;
    t.instrument_index = 1;
    t.created = w->now;
    t.expires = w->now + HOUR;
    memcpy(t.symbol, w->in[1].symbol, SYMBOL_SIZE);
    kernel_intent(w->kernel, w->out, &t, w->now);
    take_out(w);
    drain(w);
    assert_true(w->venue.position[1] > 0);
    w->said[0] = w->said[1] = sell;
    for (int n = 0; n < 2 && w->closed == 0; n++) close_bar(w);
    assert_int_equal(w->venue.position[0], 0);
    assert_true(w->venue.position[1] > 0);
    assert_int_equal(w->advised_count, 1);
    world_free(w);
}

static void without_it_there_is_nothing_of_it(void **state) {
    (void)state;
    struct world *w = world_new(seed_of());
    size_t with = kernel_size(&w->config);
    uint64_t identity = kernel_config_hash(&w->config);
    w->config.exit_brain = false;
    assert_true(kernel_size(&w->config) + sizeof(struct exitbrain) <= with);
    assert_true(kernel_config_hash(&w->config) != identity);
    world_start(w);
    w->atr = 0.01;
    shake(w, 0.004);
    w->said[0] = buy;
    close_bar(w);
    assert_true(w->venue.position[0] > 0);
    w->said[0] = sell;
    leverage(w, 25);
    for (int n = 0; n < 10; n++) close_bar(w);
    assert_true(w->venue.position[0] > 0);
    assert_int_equal(w->chosen_count + w->advised_count, 0);
    assert_false(seen(w).is_watched);
    world_free(w);
}

/* ---- the choice ---- */

/* What every profile would have earned is made up, on a contract that is not traded: a market that always comes back,
 * where near targets are reached and far ones are not. */
static void teach(struct world *w) {
    static const struct exit_plan plan = {.stop = 0.02, .take = {0.04}, .horizon_bars = 10};
    struct exitbrain *b = exitbrain_of(w->kernel);
    struct exit_choice c;
    int64_t at = 1;
    do {
        double x = 0;
        const struct exit_entry e = {.close_ns = at++,
                                     .interval_ns = HOUR,
                                     .symbol = SYMBOLS - 1,
                                     .group = REGIME_TREND_UP,
                                     .side = SIDE_BUY,
                                     .px = 100,
                                     .atr = 0.01,
                                     .cost = 0.0005};
        assert_true(exitbrain_entered(b, &e, &plan));
        for (int i = 0; i < 10; i++) {
            double high = x, low = x, open = x;
            for (int t = 0; t < 16; t++) {
                x += -0.1 * x + 0.002 * rng_normal(&w->dice);
                high = fmax(high, x);
                low = fmin(low, x);
            }
            exitbrain_bar(b, SYMBOLS - 1, 100 * (1 + open), 100 * (1 + high), 100 * (1 + low),
                          100 * (1 + x));
        }
        exitbrain_choose(&c, b, REGIME_TREND_UP);
    } while (c.profile == PROFILE_OWN && at < 5000);
    assert_true(c.profile != PROFILE_OWN);
}

static void a_profile_shown_to_be_better_ends_the_trade(void **state) {
    (void)state;
    struct world *w = world_new(seed_of());
    world_start(w);
    w->atr = 0.01;
    shake(w, 0.004);
    teach(w);
    struct exit_choice expected;
    exitbrain_choose(&expected, exitbrain_of(w->kernel), REGIME_TREND_UP);
    w->said[0] = buy;
    close_bar(w);
    assert_int_equal(w->chosen_count, 1);
    const struct exit_chosen *c = &w->chosen[0];
    print_message("%s of %s: %+.3f R [%.3f, %.3f] over %.3f in %" PRIu64 " closes; then %s %+.3f "
                  "[%.3f, %.3f]\n",
                  c->profile, c->of, c->gain, c->gain_low, c->gain_high, c->own, c->count,
                  c->second, c->second_gain, c->second_low, c->second_high);
    enum exit_profile chosen = (enum exit_profile)expected.profile;
    assert_string_equal(c->profile, exitbrain_profile_text(chosen));
    assert_string_equal(c->of, "trend_up");
    assert_true(c->gain_low > 0 && c->gain_low == expected.low && c->count == expected.count);
    assert_string_not_equal(c->second, c->profile);
    assert_true(c->second_low <= c->gain_low);
    /* The intent carries it, in R of the strategy's stop. */
    const struct exit_plan own = {.stop = w->intent.stop_distance};
    struct exit_plan plan;
    exitbrain_plan(&plan, chosen, &own, 0.01, HOUR);
    assert_true(w->intent.take_distance == plan.take[0]);
    assert_true(w->intent.take_distance_2 == plan.take[1]);
    assert_true(w->intent.take_part_1 == plan.part[0] && w->intent.take_part_2 == plan.part[1]);
    assert_true(w->intent.break_even_distance == plan.break_even);
    assert_true(w->intent.trail_distance == plan.trail);
    assert_true(w->venue.position[0] > 0);
    assert_int_equal(seen(w).profile, chosen);
    assert_int_equal(totals(w)->exit_profiles[chosen], 1);
    world_free(w);
}

static void nothing_shown_is_the_strategys_own(void **state) {
    (void)state;
    struct world *w = world_holding(seed_of(), 0.01);
    const struct exit_chosen *c = &w->chosen[0];
    assert_string_equal(c->profile, "own");
    assert_string_equal(c->of, "all");
    assert_string_equal(c->second, "none");
    assert_int_equal(c->count, 0);
    assert_true(isnan(c->own) && isnan(c->gain) && isnan(c->gain_low) && isnan(c->second_gain));
    const struct strategy_profile *p = strategy_profile((enum strategy_id)w->intent.arm);
    double unit = w->intent.take_distance / p->take_atr[0];
    assert_true(fabs(w->intent.take_distance_3 - unit * p->take_atr[2]) < 1e-12);
    assert_true(w->intent.horizon_bars == 1000);
    assert_int_equal(exitbrain_of(w->kernel)->entries, 1);
    world_free(w);
}

static void a_contract_that_ends_frees_what_was_lived_through_on_it(void **state) {
    (void)state;
    struct world *w = world_holding(seed_of(), 0.01);
    const struct exitbrain *b = exitbrain_of(w->kernel);
    assert_int_equal(b->owners[0], 1);
    assert_int_equal(b->moments_done, 0);
    kernel_instrument_status(w->kernel, 0, INSTRUMENT_SETTLING);
    assert_int_equal(b->owners[0], 1);
    kernel_instrument_status(w->kernel, 0, INSTRUMENT_CLOSED);
    assert_int_equal(b->owners[0], 0);
    assert_int_equal(b->moments_done, 1);
    world_free(w);
}

/* ---- memory ---- */

static void random_close(struct world *w) {
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        uint64_t dice = rng_below(&w->dice, 8);
        w->said[i] = dice == 0 ? buy : dice == 1 ? sell : dice == 2 ? hold : w->said[i];
        double to = 1 + 0.006 * rng_normal(&w->dice);
        w->px[i] = (int64_t)((double)w->px[i] * to) / (FX_ONE / 100) * (FX_ONE / 100);
    }
    w->ranges = rng_below(&w->dice, 10) == 0 ? !w->ranges : w->ranges;
    if (rng_below(&w->dice, 40) == 0) leverage(w, 1 + (uint32_t)rng_below(&w->dice, 40));
    close_bar(w);
}

static struct world *random_life(uint64_t seed, bool copies) {
    struct world *w = world_new(seed);
    struct rng chance = rng_init(seed + 1);
    w->config.bot.horizon_bars = 12;
    world_start(w);
    shake(w, 0.004);
    for (int n = 0; n < 1500; n++) {
        random_close(w);
        if (!copies || rng_below(&chance, 10) != 0) continue;
        struct kernel *other = memory_for(w);
        memcpy(other, w->kernel, kernel_size(&w->config));
        memset(w->kernel, 0xA5, kernel_size(&w->config));
        free(w->kernel);
        w->kernel = other;
    }
    return w;
}

static void a_copy_of_the_memory_goes_on_as_the_original(void **state) {
    (void)state;
    uint64_t seed = seed_of();
    struct world *a = random_life(seed, false), *b = random_life(seed, true);
    const struct kernel_totals *t = totals(a);
    print_message("TEST_SEED=%" PRIu64 ": %u intents, %u closed, edge %" PRIu64 ", regime %" PRIu64
                  ", guard %" PRIu64 ", nearer %" PRIu64 ", %" PRIu64 " closes known\n",
                  seed, a->intents, a->closed, t->exit_advice[EXIT_EDGE_GONE],
                  t->exit_advice[EXIT_REGIME], t->exit_advice[EXIT_LOSS_GUARD],
                  t->exit_stops_nearer, exitbrain_of(a->kernel)->moments_done);
    assert_true(a->closed > 10 && t->exit_advice[EXIT_EDGE_GONE] > 3);
    assert_true(exitbrain_of(a->kernel)->moments_done > 5);
    assert_int_equal(a->hash, b->hash);
    assert_int_equal(kernel_hash(a->kernel), kernel_hash(b->kernel));
    assert_memory_equal(exitbrain_of(a->kernel), exitbrain_of(b->kernel), sizeof(struct exitbrain));
    world_free(a);
    world_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_gives_no_reason_is_left_to_its_plan),
        cmocka_unit_test(the_other_side_twice_in_a_row_ends_it),
        cmocka_unit_test(once_is_enough_where_the_interval_leaves_it_nothing),
        cmocka_unit_test(a_regime_that_does_not_suit_ends_what_is_in_loss),
        cmocka_unit_test(a_share_of_the_margin_lost_ends_it),
        cmocka_unit_test(the_stop_comes_nearer_with_the_leverage),
        cmocka_unit_test(a_nearer_stop_that_was_passed_already_is_done_at_once),
        cmocka_unit_test(what_is_old_and_in_loss_is_ended),
        cmocka_unit_test(an_intent_from_elsewhere_is_left_to_its_plan),
        cmocka_unit_test(without_it_there_is_nothing_of_it),
        cmocka_unit_test(a_profile_shown_to_be_better_ends_the_trade),
        cmocka_unit_test(nothing_shown_is_the_strategys_own),
        cmocka_unit_test(a_contract_that_ends_frees_what_was_lived_through_on_it),
        cmocka_unit_test(a_copy_of_the_memory_goes_on_as_the_original),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
