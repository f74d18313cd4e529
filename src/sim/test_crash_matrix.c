/* The crash matrix: the trader is killed before and after every journal write and every command of an order's life,
 * enumerated, and once more with its machine. In every cell the checker of the simulation watches every event at the
 * exchange (one entry an intent, a stop whenever the process lives, the wallet's identity to 1e-8, kernel and exchange
 * agree), the journal that is left replays to the same state, and here, from the exchange's own books: one entry is
 * executed, a leg never has two stops for longer than a replacement takes, and in the end all is flat and nothing rests.
 *
 * The life: intent, leverage, entry in three fills, stop, three targets, two of them reached, break-even, trailing
 * replacements, close by the stop, cancels. The bot is told when to want it and the book is thin when it is entered (calls
 * wrapped by the linker: src/sim/CMakeLists.txt); everything else is as it is.
 *
 * Default: every 11th cell. TEST_CELLS=n: every n-th; TEST_SEED=n shifts which. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/tstamp.h"
#include "sim/sim.h"
#include "sim/venue.h"
#include "trade/bot/bot.h"

enum { EVERY = 11, WORLD = 8, ALGOS_MAX = 64 };
static const double HOURS = 0.6;
/* 2026-03-01T10:02:00Z */
static const int64_t WANTED_NS = INT64_C(1772359320) * NS_PER_SECOND;
/* The restart of the process and the first reconciliation are in it. */
static const int64_t REPLACED_NS = 40 * NS_PER_SECOND;

/* ---- the bot wants it at one close ---- */

enum bot_answer __real_bot_decide(struct trade_intent *intent, const struct bot_config *config,
                                  const struct bot_input *input,
                                  const struct instrument *instrument);
enum side __real_bot_rule_side(const struct bot_config *config, const struct bot_input *input);
enum bot_answer __wrap_bot_decide(struct trade_intent *intent, const struct bot_config *config,
                                  const struct bot_input *input,
                                  const struct instrument *instrument);
enum side __wrap_bot_rule_side(const struct bot_config *config, const struct bot_input *input);

static struct bot_config dice_of(const struct bot_config *config, const struct bot_input *input) {
    struct bot_config c = *config;
    c.random_rate = input->now_ns == WANTED_NS ? 1 : 0;
    return c;
}

enum side __wrap_bot_rule_side(const struct bot_config *config, const struct bot_input *input) {
    struct bot_config c = dice_of(config, input);
    return __real_bot_rule_side(&c, input);
}

enum bot_answer __wrap_bot_decide(struct trade_intent *intent, const struct bot_config *config,
                                  const struct bot_input *input,
                                  const struct instrument *instrument) {
    static const struct bot_plan plan = {.position_size_usd = {1000 * FX_ONE},
                                         .leverage = 3,
                                         .arm = ARM_NONE,
                                         .stop_distance = 0.008,
                                         .take_distance = {0.003, 0.006, 0.03},
                                         .take_part = {0.4, 0.3, 0.3},
                                         .break_even_distance = 0.003,
                                         .trail_from_distance = 0.004,
                                         .trail_distance = 0.003};
    struct bot_config c = dice_of(config, input);
    struct bot_input in = *input;
    in.plan = &plan;
    return __real_bot_decide(intent, &c, &in, instrument);
}

/* ---- the exchange, looked at around every call ---- */

void __real_sim_venue_call(struct sim_venue *v, const struct sim_request *r, int64_t now_ns,
                           struct sim_done *out);
void __wrap_sim_venue_call(struct sim_venue *v, const struct sim_request *r, int64_t now_ns,
                           struct sim_done *out);

static struct {
    uint32_t entries, resting;
    qty_t held;
    money_t wallet;
    int64_t doubled_ns; /* two stops since then; 0: not */
    int64_t longest_doubled_ns;
} seen;

static bool has(const struct sim_request *r, const char *text) {
    return strstr(r->target, text) != NULL;
}

static bool is_entry(const struct sim_request *r) {
    return r->method == HTTP_POST && strncmp(r->target, "/fapi/v1/order?", 15) == 0 &&
           has(r, "type=MARKET") && !has(r, "reduceOnly=true");
}

/* Two small orders of somebody else, better than the book: the entry takes both and the rest from behind. */
static void thin_out(struct sim_venue *v, enum side taker, int64_t now_ns) {
    struct exchange_prices p;
    const struct instrument *rules = exchange_instrument(v->world->exchange, 0);
    exchange_prices_get(v->world->exchange, 0, &p);
    for (int64_t k = 1; k <= 2; k++) {
        int64_t step = k * rules->tick_size.e8;
        struct exchange_reply reply;
        struct exchange_input in = {
            .kind = EXI_ORDER_PLACE,
            .side = taker == SIDE_BUY ? SIDE_SELL : SIDE_BUY,
            .type = ORDER_LIMIT,
            .time_in_force = TIF_GTC,
            .account = SIM_STRANGER,
            .price = {taker == SIDE_BUY ? p.ask.e8 - step : p.bid.e8 + step},
            .qty = {3 * rules->step_size.e8}};
        world_do(v->world, &in, now_ns, &reply);
        assert_int_equal(reply.code, 0);
    }
}

static void look(struct sim_venue *v, int64_t now_ns) {
    static struct exchange_algo algos[ALGOS_MAX];
    struct exchange_position p;
    struct exchange_account a;
    uint32_t n = exchange_open_algos(v->world->exchange, SIM_TRADER, 0, algos, ALGOS_MAX),
             stops = 0;
    for (uint32_t i = 0; i < n; i++) stops += algos[i].type == ORDER_STOP_MARKET;
    exchange_position_get(v->world->exchange, SIM_TRADER, 0, POSITION_BOTH, &p);
    exchange_account_get(v->world->exchange, SIM_TRADER, &a);
    seen.resting = n;
    seen.held = p.qty;
    seen.wallet = a.wallet;
    if (stops < 2)
        seen.doubled_ns = 0;
    else if (seen.doubled_ns == 0)
        seen.doubled_ns = now_ns;
    else if (now_ns - seen.doubled_ns > seen.longest_doubled_ns)
        seen.longest_doubled_ns = now_ns - seen.doubled_ns;
}

void __wrap_sim_venue_call(struct sim_venue *v, const struct sim_request *r, int64_t now_ns,
                           struct sim_done *out) {
    bool entry = is_entry(r);
    if (entry) thin_out(v, has(r, "side=BUY") ? SIDE_BUY : SIDE_SELL, now_ns);
    __real_sim_venue_call(v, r, now_ns, out);
    if (entry && out->executed && out->code == 0) seen.entries++;
    look(v, now_ns);
}

/* ---- cells ---- */

static struct sim_result result;

static void cell(uint64_t at, bool power) {
    struct sim_options o = sim_options_defaults();
    struct err err = {0};
    const char *where = power ? ", power lost" : "";
    o.seed = WORLD;
    o.symbols = 1;
    o.hours = HOURS;
    o.strategy = STRATEGY_RANDOM;
    o.crash_at = at;
    o.crash_power = power;
    memset(&seen, 0, sizeof seen);
    if (sim_run(&result, &o, &err) != ST_OK)
        fail_msg("cell %" PRIu64 "%s: %s", at, where, err.text);
    if (result.violations > 0)
        fail_msg("cell %" PRIu64 "%s: %s\n%s", at, where, result.violation, result.explained);
    if (result.kills != (at > 0)) fail_msg("cell %" PRIu64 "%s: not killed", at, where);
    if (seen.entries != 1)
        fail_msg("cell %" PRIu64 "%s: %u entries were executed", at, where, seen.entries);
    if (seen.held.e8 != 0 || seen.resting != 0)
        fail_msg("cell %" PRIu64 "%s: the end is not flat: %" PRId64 "e-8 held, %u orders rest", at,
                 where, seen.held.e8, seen.resting);
    if (seen.longest_doubled_ns > REPLACED_NS)
        fail_msg("cell %" PRIu64 "%s: two stops for %.3f s", at, where,
                 (double)seen.longest_doubled_ns / 1e9);
}

static void the_life_is_a_whole_one(void **state) {
    (void)state;
    cell(0, false);
    print_message("%" PRIu64 " crash points, %" PRIu64 " commands, %" PRIu64 " fills, %" PRIu64
                  " stops, wallet %" PRId64 "e-8\n",
                  result.crash_points, result.commands, result.fills, result.report.stops,
                  seen.wallet.e8);
    assert_int_equal(result.trades, 1);
    assert_int_equal(result.report.entries, 1);
    assert_true(result.fills >= 6);        /* entry in three, two targets, the close */
    assert_true(result.report.stops >= 3); /* replaced twice and more */
    assert_true(result.commands >= 1 + 1 + 1 + 3 + 2 * 2);
    assert_true(result.crash_points > 300);
}

static void killed_at_every_point(void **state) {
    const bool *power = *state;
    const char *every = getenv("TEST_CELLS"), *shift = getenv("TEST_SEED");
    uint64_t n = every ? strtoull(every, NULL, 10) : EVERY, cells = 0;
    if (n == 0) n = 1;
    cell(0, false);
    uint64_t points = result.crash_points, first = shift ? strtoull(shift, NULL, 10) % n : 0;
    for (uint64_t at = 1 + first; at <= points; at += n, cells++) cell(at, *power);
    print_message("%" PRIu64 " of %" PRIu64 " cells\n", cells, points);
    assert_true(cells > 0);
}

int main(void) {
    static bool kill = false, power = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_life_is_a_whole_one),
        cmocka_unit_test_prestate(killed_at_every_point, &kill),
        {"killed_at_every_point_with_its_machine", killed_at_every_point, NULL, NULL, &power},
    };
    log_level_set(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
