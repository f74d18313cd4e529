/* The breaker in the kernel: what the venue does and what equity does bars entries by name and never an exit; limits and
 * commands from outside hold at once. The venue is a few lines that obey, refuse or stay silent by symbol; the rule wants
 * something on every flat symbol at every bar. */
#include "kernel/test_answers.h"

enum { SYMBOLS = 4, CHANGES = 512 };
static const int64_t MINUTE = INT64_C(60000000000);
static const int64_t S = INT64_C(1000000000);
static const int64_t T0 = INT64_C(1727740800000000000); /* the first moment of a day */

struct world {
    struct instrument instruments[SYMBOLS];
    struct kernel_config config;
    struct kernel *kernel;
    struct kernel_out *out;
    int64_t now, open_ts, px[SYMBOLS];
    int32_t refuse[SYMBOLS]; /* entries, with this code; 0 obeys */
    bool silent[SYMBOLS];    /* answers no stop */
    bool mute;               /* answers nothing */
    char stop_id[SYMBOLS][CLIENT_ORDER_ID_SIZE];
    struct answers venue;
    uint32_t change_count, opened, closed, entries[SYMBOLS];
    struct risk_changed changes[CHANGES];
    struct trade_intent intents[SYMBOLS];
    uint32_t intent_count;
    char denied[TEXT_FIELD_SIZE]; /* newest reason */
};

static struct world *world_new(void) {
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        char name[SYMBOL_SIZE];
        snprintf(name, sizeof name, "C%uUSDT", i);
        instrument_defaults(&w->instruments[i], name);
        w->px[i] = 100 * FX_ONE;
    }
    w->config = (struct kernel_config){.mode = MODE_REPLAY,
                                       .seed = 1,
                                       .interval_ns = MINUTE,
                                       .instrument_count = SYMBOLS,
                                       .instruments = w->instruments,
                                       .wallet_start = {10000 * FX_ONE},
                                       .half_spread = {10000},
                                       .bot = bot_config_defaults(STRATEGY_RANDOM, MINUTE),
                                       .limits = risk_limits_defaults(),
                                       .exits = exits_config_defaults(),
                                       .breaker = breaker_config_defaults(MINUTE)};
    w->config.bot.seed = 1;
    w->config.bot.random_rate = 1;
    w->config.bot.horizon_bars = 0;
    w->config.limits.cost_gate = false;
    w->config.limits.cooldown_ns = 0;
    w->config.breaker.crash_bars = 0;
    w->out = calloc(1, sizeof *w->out);
    assert_non_null(w->out);
    w->now = w->open_ts = T0;
    w->venue.wallet = 10000 * FX_ONE;
    w->venue.even = true;
    return w;
}

static void world_start(struct world *w) {
    void *memory = aligned_alloc(64, kernel_size(&w->config));
    assert_non_null(memory);
    w->kernel = kernel_init(memory, &w->config);
}

static struct world *world_running(void) {
    struct world *w = world_new();
    world_start(w);
    return w;
}

static void world_free(struct world *w) {
    free(w->kernel);
    free(w->out);
    free(w);
}

static const struct kernel_totals *totals(const struct world *w) {
    return kernel_totals(w->kernel);
}

/* ---- the venue ---- */

static void on_command(struct world *w, const struct venue_command *c) {
    uint32_t i = c->instrument_index;
    if (w->mute) return;
    if (c->kind == COMMAND_LEVERAGE_SET) {
        say(&w->venue, VENUE_LEVERAGE_SET, c);
    } else if (c->kind == COMMAND_ORDER_CANCEL) {
        say(&w->venue, VENUE_ORDER_CANCELED, c);
    } else if (c->order_type == ORDER_MARKET && !c->reduce_only) {
        w->entries[i]++;
        if (w->refuse[i]) {
            say(&w->venue, VENUE_ORDER_REJECTED, c)->code = w->refuse[i];
            return;
        }
        say(&w->venue, VENUE_ORDER_ACCEPTED, c);
        fill(&w->venue, c, w->px[i], c->order_qty.e8);
    } else if (c->order_type == ORDER_MARKET) {
        int64_t held = llabs(w->venue.position[i]);
        say(&w->venue, VENUE_ORDER_ACCEPTED, c);
        fill(&w->venue, c, w->px[i], c->order_qty.e8 < held ? c->order_qty.e8 : held);
    } else if (!w->silent[i]) {
        if (c->order_type == ORDER_STOP_MARKET)
            memcpy(w->stop_id[i], c->client_order_id, CLIENT_ORDER_ID_SIZE);
        say(&w->venue, VENUE_ORDER_ACCEPTED, c);
    }
}

static void take_out(struct world *w) {
    for (uint32_t j = 0; j < w->out->count; j++) {
        const struct event *e = &w->out->events[j];
        struct err err = {0};
        assert_int_equal(event_validate(e, &err), ST_OK);
        switch (e->type) {
        case EVENT_RISK_CHANGED:
            assert_true(w->change_count < CHANGES);
            w->changes[w->change_count++] = e->u.risk_changed;
            break;
        case EVENT_ORDER_PLACED:
            on_command(w, &e->u.venue_command);
            break;
        case EVENT_TRADE_INTENT:
            assert_true(w->intent_count < SYMBOLS);
            w->intents[w->intent_count++] = e->u.trade_intent;
            break;
        case EVENT_INTENT_DENIED:
            memcpy(w->denied, e->u.intent_denied.reason, TEXT_FIELD_SIZE);
            break;
        default:
            w->opened += e->type == EVENT_TRADE_OPENED;
            w->closed += e->type == EVENT_TRADE_CLOSED;
            break;
        }
    }
    w->out->count = 0;
}

static void drain(struct world *w) {
    for (struct venue_event e; next_answer(&e, &w->venue, w->now);) {
        kernel_venue(w->kernel, w->out, &e, w->now);
        take_out(w);
    }
}

/* One bar of every symbol, the decisions; the intents are left where they are. */
static void bar(struct world *w) {
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        const struct bar b = {.open_ts_ns = w->open_ts,
                              .open = {w->px[i]},
                              .high = {w->px[i]},
                              .low = {w->px[i]},
                              .close = {w->px[i]},
                              .volume = 1};
        kernel_bar(w->kernel, i, &b, NULL);
    }
    w->open_ts += MINUTE;
    w->now = w->open_ts;
    const struct kernel_close_input in = {.close_ts_ns = w->now};
    kernel_close(w->kernel, w->out, &in);
    take_out(w);
    drain(w);
}

static void deliver(struct world *w) {
    for (uint32_t j = 0; j < w->intent_count; j++) {
        kernel_intent(w->kernel, w->out, &w->intents[j], w->now);
        take_out(w);
        drain(w);
    }
    w->intent_count = 0;
}

static void bars(struct world *w, uint32_t n) {
    while (n-- > 0) {
        bar(w);
        deliver(w);
    }
}

/* Only this symbol's intents are delivered, the others' are lost. */
static void bar_of(struct world *w, uint32_t symbol) {
    bar(w);
    uint32_t kept = 0;
    for (uint32_t j = 0; j < w->intent_count; j++)
        if (w->intents[j].instrument_index == symbol) w->intents[kept++] = w->intents[j];
    w->intent_count = kept;
    deliver(w);
}

static void stop_out(struct world *w, uint32_t i, int64_t px) {
    struct venue_command c = {.instrument_index = i,
                              .side = w->venue.position[i] > 0 ? SIDE_SELL : SIDE_BUY,
                              .order_type = ORDER_STOP_MARKET};
    memcpy(c.client_order_id, w->stop_id[i], CLIENT_ORDER_ID_SIZE);
    w->px[i] = px;
    fill(&w->venue, &c, px, llabs(w->venue.position[i]));
    drain(w);
}

static enum status command(struct world *w, const char *key, double value, const char *target) {
    struct operator_command c = {.value = value};
    snprintf(c.key, sizeof c.key, "%s", key);
    snprintf(c.target, sizeof c.target, "%s", target);
    snprintf(c.given_by, sizeof c.given_by, "test");
    enum status st = kernel_command(w->kernel, w->out, &c, w->now);
    take_out(w);
    drain(w);
    return st;
}

static void assert_last_change(const struct world *w, const char *scope, const char *before,
                               const char *after) {
    assert_true(w->change_count > 0);
    const struct risk_changed *c = &w->changes[w->change_count - 1];
    assert_string_equal(c->scope, scope);
    assert_string_equal(c->before, before);
    assert_string_equal(c->after, after);
}

/* ---- failures ---- */

static void a_symbol_that_is_refused_is_left_alone_and_no_other(void **state) {
    (void)state;
    struct world *w = world_running();
    w->refuse[0] = -4164;
    bars(w, 3);
    assert_int_equal(w->entries[0], 3);
    assert_last_change(w, "C0USDT", "closed", "open");
    assert_true(w->changes[0].until == w->now + 300 * S && w->changes[0].figure == 3);
    for (uint32_t i = 1; i < SYMBOLS; i++) assert_true(w->venue.position[i] != 0);
    uint64_t refused = totals(w)->refusals[RISK_BREAKER_SYMBOL];
    bars(w, 4);
    assert_int_equal(w->entries[0], 3);
    assert_int_equal(totals(w)->refusals[RISK_BREAKER_SYMBOL], refused + 4);
    bar(w); /* 300 s: half open, and its intent is out */
    assert_last_change(w, "C0USDT", "open", "half_open");
    deliver(w);
    assert_int_equal(w->entries[0], 4);
    assert_last_change(w, "C0USDT", "probing", "open");
    w->refuse[0] = 0;
    bars(w, 5);
    assert_last_change(w, "C0USDT", "probing", "closed");
    assert_true(w->venue.position[0] != 0);
    assert_int_equal(kernel_breaker(w->kernel)->all.opened, 0);
    world_free(w);
}

static void a_venue_that_fails_everywhere_is_left_alone_and_exits_go_on(void **state) {
    (void)state;
    struct world *w = world_running();
    bar_of(w, 3);
    assert_true(w->venue.position[3] != 0);
    for (uint32_t i = 0; i < SYMBOLS; i++) w->refuse[i] = -1001;
    bars(w, 2); /* intents of the first bar were lost: they hold their slots until they expire */
    for (int n = 0; n < 40 && kernel_breaker(w->kernel)->all.state != BREAKER_OPEN; n++) bars(w, 1);
    assert_int_equal(kernel_breaker(w->kernel)->all.state, BREAKER_OPEN);
    uint32_t entries = w->entries[0] + w->entries[1] + w->entries[2];
    uint64_t intents = totals(w)->intents;
    bars(w, 3);
    assert_int_equal(totals(w)->intents, intents);
    assert_int_equal(w->entries[0] + w->entries[1] + w->entries[2], entries);
    assert_true(totals(w)->refusals[RISK_BREAKER_OPEN] > 0);
    stop_out(w, 3, w->px[3]);
    assert_int_equal(w->venue.position[3], 0);
    assert_int_equal(w->closed, 1);
    assert_int_equal(kernel_breaker(w->kernel)->all.state, BREAKER_OPEN);
    world_free(w);
}

/* Half open, one entry in all: the others of that close are not even put out. */
static void one_entry_tries_for_all(void **state) {
    (void)state;
    struct world *w = world_new();
    w->config.breaker.symbol_failures_max = 0;
    w->config.breaker.venue_failures_max = 2;
    w->config.bot.intent_ttl_ns = 2 * MINUTE;
    world_start(w);
    w->refuse[0] = -1001;
    for (int n = 0; n < 2; n++) bar_of(w, 0); /* nobody's success comes between */
    assert_int_equal(kernel_breaker(w->kernel)->all.state, BREAKER_OPEN);
    bars(w, 4);
    uint64_t intents = totals(w)->intents;
    w->refuse[0] = 0;
    bar(w);
    assert_int_equal(kernel_breaker(w->kernel)->all.state, BREAKER_HALF_OPEN);
    assert_int_equal(totals(w)->intents, intents + 1);
    bar(w); /* on its way still */
    assert_int_equal(totals(w)->intents, intents + 1);
    deliver(w);
    assert_int_equal(kernel_breaker(w->kernel)->all.state, BREAKER_CLOSED);
    assert_int_equal(w->opened, 1);
    bars(w, 1);
    assert_true(totals(w)->intents > intents + 1);
    world_free(w);
}

static void a_stop_nobody_answers_is_a_failure(void **state) {
    (void)state;
    struct world *w = world_running();
    w->silent[1] = true;
    bar_of(w, 1);
    for (int64_t d; (d = kernel_deadline(w->kernel)) <= w->now + 10 * S;) {
        w->now = d > w->now ? d : w->now;
        kernel_time(w->kernel, w->out, w->now);
        take_out(w);
        drain(w);
    }
    assert_int_equal(w->venue.position[1], 0); /* closed, for it could not be protected */
    assert_true(kernel_breaker(w->kernel)->symbols[1].failures > 0 ||
                kernel_breaker(w->kernel)->symbols[1].opened > 0);
    world_free(w);
}

/* A leverage, too: asked for ever more seldom, a failure each time. */
static void an_entry_nobody_answers_is_a_failure(void **state) {
    (void)state;
    struct world *w = world_running();
    w->mute = true;
    bar(w);
    w->intent_count = 1;
    deliver(w);
    uint32_t i = w->intents[0].instrument_index;
    while (kernel_breaker(w->kernel)->symbols[i].state == BREAKER_CLOSED) {
        int64_t d = kernel_deadline(w->kernel);
        assert_true(d < w->now + 300 * S);
        w->now = d > w->now ? d : w->now;
        kernel_time(w->kernel, w->out, w->now);
        take_out(w);
    }
    assert_true(w->changes[0].figure == 3);
    assert_string_equal(w->changes[0].cause, "failures");
    world_free(w);
}

static void no_link_no_entry(void **state) {
    (void)state;
    struct world *w = world_running();
    bar(w);
    kernel_link(w->kernel, w->out, false, w->now);
    take_out(w);
    assert_last_change(w, "all", "up", "down");
    deliver(w);
    assert_int_equal(w->opened, 0);
    assert_string_equal(w->denied, "venue_down");
    bars(w, 1);
    assert_int_equal(totals(w)->refusals[RISK_VENUE_DOWN], 2 * SYMBOLS);
    kernel_link(w->kernel, w->out, true, w->now);
    take_out(w);
    bars(w, 1);
    assert_true(w->opened > 0);
    world_free(w);
}

/* The answer of the leverage comes after the word that stops entries: nothing is sent for it. */
static void an_entry_that_waits_for_its_leverage_is_stopped_too(void **state) {
    (void)state;
    static const char *const want[] = {"emergency_stop",    "closing_down", "closing_down",
                                       "venue_down",        "ess_tripped",  "breaker_symbol",
                                       "symbol_not_trading"};
    for (int what = 0; what < 7; what++) {
        struct world *w = world_new();
        w->config.bot.intent_ttl_ns = 20 * MINUTE;
        w->config.exits.entry_unknown_ns_max = 20 * MINUTE;
        world_start(w);
        w->mute = true;
        bar(w);
        w->intent_count = 1;
        const uint32_t i = w->intents[0].instrument_index;
        deliver(w);
        uint32_t leverage = kernel_leverage_wanted(w->kernel, i);
        assert_true(leverage > 0);
        if (what == 0) command(w, KERNEL_EMERGENCY_STOP, 1, "all");
        if (what == 1) kernel_flatten(w->kernel, w->out, EXIT_OPERATOR, w->now);
        if (what ==
            2) { /* resumed before the answer comes: that wish was to be closed all the same */
            command(w, KERNEL_CLOSE_ALL, 1, "all");
            command(w, KERNEL_EMERGENCY_STOP, 0, "all");
        }
        if (what == 3) kernel_link(w->kernel, w->out, false, w->now);
        if (what == 4) /* no bar for six minutes */
            kernel_time(w->kernel, w->out, w->now += 7 * MINUTE);
        while (what == 5 && kernel_breaker(w->kernel)->symbols[i].state == BREAKER_CLOSED) {
            w->now = kernel_deadline(w->kernel); /* asked again, and not answered */
            kernel_time(w->kernel, w->out, w->now);
            take_out(w);
        }
        if (what == 6) kernel_instrument_status(w->kernel, i, INSTRUMENT_SETTLING);
        take_out(w);
        w->mute = false;
        const struct venue_command c = {
            .kind = COMMAND_LEVERAGE_SET, .instrument_index = i, .leverage = leverage};
        say(&w->venue, VENUE_LEVERAGE_SET, &c);
        drain(w);
        assert_string_equal(w->denied, want[what]);
        assert_int_equal(w->entries[i], 0);
        assert_int_equal(kernel_open_count(w->kernel), 0);
        world_free(w);
    }
}

/* ---- equity and the market ---- */

/* Every price moves against what is held by this share of its entry. */
static void against(struct world *w, double share) {
    for (uint32_t i = 0; i < SYMBOLS; i++)
        w->px[i] = fx_from_f64(100 * (1 + (w->venue.position[i] > 0 ? -share : share)));
}

static void a_fall_of_equity_bars_entries_and_lowers_limits(void **state) {
    (void)state;
    struct world *w = world_new();
    w->config.limits.notional_symbol_max.e8 = 10000 * FX_ONE;
    w->config.limits.risk_per_trade = 0.05;
    w->config.bot.position_size_usd.e8 = 2400 * FX_ONE;
    world_start(w);
    bars(w, 1);
    assert_int_equal(w->opened, SYMBOLS); /* 9600 of 10000 held */
    against(w, 0.022);
    bars(w, 1);
    assert_int_equal(kernel_breaker(w->kernel)->mode, BREAKER_CAUTIOUS);
    assert_last_change(w, "all", "normal", "cautious");
    assert_int_equal(kernel_limits(w->kernel).notional_symbol_max.e8, 300 * FX_ONE);
    assert_true(kernel_limits(w->kernel).confidence_min == 0.55);
    assert_int_equal(kernel_breaker(w->kernel)->all.state, BREAKER_CLOSED);
    stop_out(w, 0, w->px[0]);
    bars(w, 1); /* the random rule's confidence is 0.5 */
    assert_string_equal(w->denied, "confidence_low");
    against(w, 0.08);
    bars(w, 1);
    assert_int_equal(kernel_breaker(w->kernel)->mode, BREAKER_PROTECTIVE);
    assert_int_equal(kernel_breaker(w->kernel)->all.state, BREAKER_OPEN);
    assert_true(totals(w)->refusals[RISK_BREAKER_OPEN] > 0);
    against(w, 0.16);
    bars(w, 1);
    assert_true(kernel_breaker(w->kernel)->tripped >> BREAKER_DAILY_LOSS & 1);
    assert_true(totals(w)->refusals[RISK_ESS_TRIPPED] > 0);
    for (uint32_t i = 1; i < SYMBOLS; i++) stop_out(w, i, w->px[i]); /* exits go on */
    assert_int_equal(w->closed, SYMBOLS);
    uint64_t intents = totals(w)->intents;
    bars(w, 30);
    assert_int_equal(totals(w)->intents, intents);
    assert_int_equal(command(w, KERNEL_BREAKER_RESET, 1, "all"), ST_OK);
    assert_int_equal(kernel_breaker(w->kernel)->mode, BREAKER_NORMAL);
    bars(w, 1);
    assert_true(totals(w)->intents > intents);
    world_free(w);
}

static void silence_of_the_market_is_found_by_the_clock(void **state) {
    (void)state;
    struct world *w = world_running();
    assert_true(kernel_deadline(w->kernel) == INT64_MAX); /* it has not begun */
    bar(w);
    w->intent_count = 0;
    assert_true(kernel_deadline(w->kernel) == w->now + MINUTE + 300 * S + 1);
    w->now = kernel_deadline(w->kernel);
    kernel_time(w->kernel, w->out, w->now);
    take_out(w);
    assert_last_change(w, "all", "off", "market_stale");
    assert_true(kernel_deadline(w->kernel) == INT64_MAX);
    w->open_ts = w->now - w->now % MINUTE;
    bars(w, 1);
    assert_last_change(w, "all", "market_stale", "off");
    assert_int_equal(kernel_breaker(w->kernel)->trips[BREAKER_MARKET_STALE], 1);
    world_free(w);
}

static void after_a_crash_nothing_is_opened_for_a_while_and_exits_go_on(void **state) {
    (void)state;
    struct world *w = world_new();
    w->config.breaker = breaker_config_defaults(MINUTE);
    w->config.breaker.loss_max = 0;
    w->config.bot.intent_ttl_ns = 5 * MINUTE;
    world_start(w);
    command(w, KERNEL_EMERGENCY_STOP, 1, "all");
    bars(w, 80);
    command(w, KERNEL_EMERGENCY_STOP, 0, "all");
    w->px[0] = 96 * FX_ONE;
    bar(w);
    assert_int_equal(totals(w)->refusals[RISK_FLASH_CRASH], 1);
    deliver(w);
    assert_int_equal(w->venue.position[0], 0);
    for (uint32_t i = 1; i < SYMBOLS; i++) assert_true(w->venue.position[i] != 0);
    bars(w, 13);
    assert_int_equal(w->venue.position[0], 0);
    bars(w, 1);
    assert_true(w->venue.position[0] != 0);
    /* One that comes while the intent is on its way; and a position in the crash is closed all the same. */
    stop_out(w, 1, w->px[1]);
    bar(w);
    assert_int_equal(w->intent_count, 1);
    const struct trade_intent late = w->intents[0];
    w->intent_count = 0;
    w->px[1] = w->px[0] = 80 * FX_ONE;
    bar(w);
    kernel_intent(w->kernel, w->out, &late, w->now);
    take_out(w);
    assert_string_equal(w->denied, "flash_crash");
    stop_out(w, 0, w->px[0]);
    assert_int_equal(w->venue.position[0], 0);
    world_free(w);
}

/* ---- from outside ---- */

static void close_all_leaves_nothing_and_opens_nothing_until_resumed(void **state) {
    (void)state;
    struct world *w = world_running();
    bars(w, 1);
    assert_int_equal(w->opened, SYMBOLS);
    assert_int_equal(command(w, KERNEL_CLOSE_ALL, 1, "all"), ST_OK);
    assert_int_equal(w->closed, SYMBOLS);
    for (uint32_t i = 0; i < SYMBOLS; i++) assert_int_equal(w->venue.position[i], 0);
    assert_int_equal(kernel_live_orders(w->kernel, NULL, 0), 0);
    bars(w, 10);
    assert_int_equal(w->opened, SYMBOLS);
    assert_int_equal(command(w, KERNEL_EMERGENCY_STOP, 0, "all"), ST_OK);
    bars(w, 1);
    assert_true(w->opened > SYMBOLS);
    world_free(w);
}

static void a_reset_names_a_contract_of_the_run(void **state) {
    (void)state;
    struct world *w = world_running();
    w->refuse[0] = w->refuse[1] = -4164;
    bars(w, 3);
    assert_int_equal(kernel_breaker(w->kernel)->not_closed, 2);
    assert_int_equal(command(w, KERNEL_BREAKER_RESET, 1, "NOSUCHUSDT"), ST_NOT_FOUND);
    assert_int_equal(command(w, "no_such_key", 1, "all"), ST_NOT_FOUND);
    assert_int_equal(command(w, "positions_max", -1, "all"), ST_RANGE);
    assert_int_equal(kernel_breaker(w->kernel)->not_closed, 2);
    assert_int_equal(command(w, KERNEL_BREAKER_RESET, 1, "C1USDT"), ST_OK);
    assert_last_change(w, "C1USDT", "open", "closed");
    assert_int_equal(kernel_breaker(w->kernel)->symbols[0].state, BREAKER_OPEN);
    world_free(w);
}

static void the_engines_limits_follow_down_and_back_but_not_beyond(void **state) {
    (void)state;
    struct world *w = world_new();
    w->config.bot = bot_config_defaults(STRATEGY_ENSEMBLE, MINUTE);
    w->config.features = true;
    w->config.engine = engine_config_defaults(MINUTE, 12);
    assert_null(engine_config_fault(&w->config.engine));
    world_start(w);
    const struct engine *e = kernel_engine(w->kernel);
    const struct engine_limits whole = e->limits;
    assert_true(whole.stop_risk == w->config.engine.sizing.stop_risk && whole.total_max == 1.0);
    static const struct {
        const char *key;
        double value;
        struct engine_limits want;
    } rows[] = {{"risk_per_trade", 0.004, {0.004, 1.0, 3, 10}},
                {"exposure_total_max", 0.25, {0.004, 0.25, 3, 10}},
                {"positions_max", 2, {0.004, 0.25, 3, 2}},
                {"leverage_max", 1, {0.004, 0.25, 1, 2}},
                {"exposure_total_max", 2.5, {0.004, 1.0, 1, 2}},
                {"risk_per_trade", 0.05, {0.01, 1.0, 1, 2}},
                {"positions_max", 40, {0.01, 1.0, 1, 10}},
                {"leverage_max", 10, {0.01, 1.0, 3, 10}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(command(w, rows[i].key, rows[i].value, "all"), ST_OK);
        assert_true(e->limits.stop_risk == rows[i].want.stop_risk);
        assert_true(e->limits.total_max == rows[i].want.total_max);
        assert_int_equal(e->limits.leverage_max, rows[i].want.leverage_max);
        assert_int_equal(e->limits.positions_max, rows[i].want.positions_max);
        struct err err = {0};
        assert_int_equal(engine_check(e, &err), ST_OK);
    }
    assert_memory_equal(&whole, &e->limits, sizeof whole);
    world_free(w);
}

static void the_state_is_part_of_the_block_and_of_the_hash(void **state) {
    (void)state;
    struct world *w = world_running(), *v = world_running();
    w->refuse[0] = v->refuse[0] = -4164;
    bars(w, 4);
    bars(v, 4);
    assert_int_equal(kernel_hash(w->kernel), kernel_hash(v->kernel));
    size_t size = kernel_size(&w->config);
    void *copy = aligned_alloc(64, size);
    assert_non_null(copy);
    memcpy(copy, v->kernel, size);
    free(v->kernel);
    v->kernel = copy;
    bars(w, 20);
    bars(v, 20);
    assert_int_equal(kernel_hash(w->kernel), kernel_hash(v->kernel));
    assert_int_equal(w->change_count, v->change_count);
    assert_memory_equal(w->changes, v->changes, w->change_count * sizeof *w->changes);
    command(v, KERNEL_BREAKER_RESET, 1, "C0USDT");
    assert_true(kernel_hash(w->kernel) != kernel_hash(v->kernel));
    struct kernel_config c = w->config;
    c.breaker.loss_max *= 2;
    assert_true(kernel_config_hash(&c) != kernel_config_hash(&w->config));
    world_free(w);
    world_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_symbol_that_is_refused_is_left_alone_and_no_other),
        cmocka_unit_test(a_venue_that_fails_everywhere_is_left_alone_and_exits_go_on),
        cmocka_unit_test(one_entry_tries_for_all),
        cmocka_unit_test(a_stop_nobody_answers_is_a_failure),
        cmocka_unit_test(an_entry_nobody_answers_is_a_failure),
        cmocka_unit_test(no_link_no_entry),
        cmocka_unit_test(an_entry_that_waits_for_its_leverage_is_stopped_too),
        cmocka_unit_test(a_fall_of_equity_bars_entries_and_lowers_limits),
        cmocka_unit_test(silence_of_the_market_is_found_by_the_clock),
        cmocka_unit_test(after_a_crash_nothing_is_opened_for_a_while_and_exits_go_on),
        cmocka_unit_test(close_all_leaves_nothing_and_opens_nothing_until_resumed),
        cmocka_unit_test(a_reset_names_a_contract_of_the_run),
        cmocka_unit_test(the_engines_limits_follow_down_and_back_but_not_beyond),
        cmocka_unit_test(the_state_is_part_of_the_block_and_of_the_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
