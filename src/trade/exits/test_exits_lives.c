/* Random lives of a ladder against a small venue with faults: replies late, lost or no; stops dropped by
 * the venue; orders filled in part; whatever the order of arrival.
 *
 * Now and then somebody wants a part of it sold while all that stands, and the venue's tick and step become coarser, or
 * finer again; the exits are told of it with the refusal, or only at the next bar.
 *
 * After every step: once protected, the venue has a live stop for the position as long as it has not
 * itself dropped one; a stop is never asked for, and never stands, farther away than one that stood; no
 * order says more than is held but for the step; nothing the rules refused is asked for again; what was sold is what was bought; and the life ends, with no order left.
 * TEST_SEED=n repeats the run, TEST_OPS=n makes it n lives. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "trade/exits/exits.h"

static const int64_t T0 = INT64_C(1727740800000000000);
static const int64_t MS = INT64_C(1000000);

enum {
    ORDERS_MAX = 600,
    QUEUE_MAX = 2048,
    REFUSED_MAX = 64,
    STEP_MAX = 1000,
    SAID_MAX = 1000 * STEP_MAX
};
enum kind { ENTRY, STOP, TAKE, CLOSE, REDUCE };
enum life_of_order { FLYING, LIVE, DONE };

struct order {
    enum kind kind;
    enum life_of_order life;
    bool told_end, cancel_asked, unheard;
    int64_t px, qty; /* qty 0: closePosition */
    uint32_t attempt, target;
};

enum message_kind { M_ACK, M_FILL, M_END };
struct message {
    enum message_kind kind;
    uint32_t order;
    int64_t px, qty;
    int32_t code;
    bool filled;
};

/* To the venue: place an order, cancel a stop, cancel all. */
struct command {
    enum { C_PLACE, C_CANCEL, C_CANCEL_ALL } kind;
    uint32_t order;
};

struct tally {
    uint32_t moved, reached, refitted, market_takes, alarms, closed, dropped, unanswered, refused;
    uint32_t reduced, whole, fitted, asked_after, given_up, parts;
    uint32_t changes, of_rules, rounded_up;
};

struct world {
    struct rng rng;
    struct instrument in, real;        /* as told, as the venue has them */
    struct order refused[REFUSED_MAX]; /* by the rules of now, and the exits have heard of it */
    uint32_t refused_count;
    struct exits_config config;
    struct exits_state state;
    struct exits_actions asked;
    int64_t now, px, low, high, bar_open, position; /* position: the venue's, >= 0 */
    int64_t bought, sold, floor_px;
    struct order orders[ORDERS_MAX];
    uint32_t order_count;
    struct command commands[QUEUE_MAX];
    uint32_t command_next, command_count;
    struct message messages[QUEUE_MAX];
    uint32_t message_next, message_count;
    bool faults, entry_over, over;
    enum kind last_sold;
    struct tally *tally;
};

static int64_t better(const struct world *w, int64_t a, int64_t b) {
    return w->state.side == SIDE_BUY ? a - b : b - a;
}
static bool chance(struct world *w, uint64_t one_in) {
    return w->faults && rng_below(&w->rng, one_in) == 0;
}
static struct exits_context context(struct world *w) {
    return (struct exits_context){w->now, {w->px}, &w->in, &w->config};
}

/* ---- the venue ---- */

static void say(struct world *w, const struct message *m) {
    assert_true(w->message_count < QUEUE_MAX);
    w->messages[w->message_count++] = *m;
}

static void say_end(struct world *w, uint32_t id, int32_t code, bool filled) {
    w->orders[id].life = DONE;
    if (w->orders[id].told_end) return;
    w->orders[id].told_end = true;
    say(w, &(struct message){.kind = M_END, .order = id, .code = code, .filled = filled});
}

static uint32_t live_stops(const struct world *w, bool whole) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->order_count; i++)
        count += w->orders[i].kind == STOP && w->orders[i].life == LIVE &&
                 (!whole || w->orders[i].qty == 0);
    return count;
}

/* Closes up to qty at the price, in one or two fills; sometimes it does not get it all. */
static void execute(struct world *w, uint32_t id, int64_t qty) {
    int64_t left = qty < w->position ? qty : w->position;
    bool all = !chance(w, 12) || left < 2;
    w->tally->parts += !all && w->orders[id].kind == REDUCE;
    if (!all) left /= 2;
    int64_t first = left > 1 && rng_below(&w->rng, 2) ? left / 2 : left;
    for (int n = 0; n < 2 && left > 0; n++) {
        int64_t part = n == 0 ? first : left;
        left -= part;
        w->position -= part;
        w->sold += part;
        say(w,
            &(struct message){
                .kind = M_FILL, .order = id, .px = w->px, .qty = part, .filled = all && left == 0});
    }
    say_end(w, id, all ? 0 : 9, all);
}

/* Said but not heard yet: the venue knows more than the exits. */
static bool news_of_stops(const struct world *w) {
    for (uint32_t n = w->message_next; n < w->message_count; n++)
        if (w->orders[w->messages[n].order].kind == STOP && w->messages[n].kind != M_ACK)
            return true;
    return false;
}

static bool is_passed(const struct world *w, const struct order *o) {
    return o->kind == STOP ? better(w, w->px, o->px) <= 0 : better(w, w->px, o->px) >= 0;
}

static void trigger(struct world *w) {
    for (uint32_t i = 0; i < w->order_count; i++) {
        struct order *o = &w->orders[i];
        if (o->life != LIVE || !is_passed(w, o)) continue;
        if (w->position == 0)
            say_end(w, i, o->qty ? -2022 : 6, false);
        else
            execute(w, i, o->qty ? o->qty : w->position);
    }
}

static void move_price(struct world *w) {
    w->px += ((int64_t)rng_below(&w->rng, 41) - 20) * (FX_ONE / 20);
    if (w->px < 50 * FX_ONE) w->px = 50 * FX_ONE;
    if (w->px < w->low) w->low = w->px;
    if (w->px > w->high) w->high = w->px;
    trigger(w);
}

static void place_entry(struct world *w, uint32_t id) {
    int64_t left = w->orders[id].qty;
    if (chance(w, 30)) {
        say_end(w, id, -2019, false);
        return;
    }
    for (int n = 0; n < 3 && left > 0; n++) {
        int64_t part = n == 2 ? left : 1 + (int64_t)rng_below(&w->rng, (uint64_t)left);
        left -= part;
        w->position += part;
        w->bought += part;
        say(w, &(struct message){
                   .kind = M_FILL, .order = id, .px = w->px, .qty = part, .filled = left == 0});
    }
    say_end(w, id, 0, left == 0);
}

static bool is_against_rules(const struct world *w, const struct order *o) {
    return (o->px != 0 && instrument_check_px(&w->real, px_e8(o->px)) != FILTER_OK) ||
           (o->qty != 0 && instrument_check_qty(&w->real, qty_e8(o->qty), true) != FILTER_OK);
}

static void rules_are(struct instrument *in, int64_t tick, int64_t step) {
    in->tick_size.e8 = in->px_min.e8 = tick;
    in->step_size.e8 = in->market_step_size.e8 = in->market_qty_min.e8 = step;
}

static void tell_rules(struct world *w) {
    w->in = w->real;
    w->refused_count = 0;
}

static void change_rules(struct world *w) {
    static const int64_t ticks[] = {FX_ONE / 100, FX_ONE / 10}, steps[] = {1, 10, STEP_MAX};
    rules_are(&w->real, ticks[rng_below(&w->rng, 2)], steps[rng_below(&w->rng, 3)]);
    w->refused_count = 0;
    w->tally->changes++;
}

static void place(struct world *w, uint32_t id) {
    struct order *o = &w->orders[id];
    if (o->kind == REDUCE && chance(w, 8)) {
        o->life = DONE; /* it never got there, and nobody says so */
        return;
    }
    if (o->kind == ENTRY) {
        place_entry(w, id);
        return;
    }
    bool heard = !(o->kind == STOP && chance(w, 12));
    w->tally->unanswered += !heard;
    int32_t code = 0;
    if (chance(w, o->kind == STOP ? 8 : 6))
        code = -1001;
    else if (is_against_rules(w, o))
        code = -1111;
    else if (o->kind == STOP && o->qty == 0 && live_stops(w, true) > 0)
        code = -4130;
    else if (o->px != 0 && is_passed(w, o))
        code = -2021;
    else if (o->px == 0 && w->position == 0)
        code = -2022;
    w->tally->refused += code != 0;
    w->tally->of_rules += code == -1111;
    /* What the exits rely on: two closePosition stops are not asked for. */
    assert_int_not_equal(code, -4130);
    if (code != 0) {
        o->life = DONE;
        if (heard) say_end(w, id, code, false);
        return;
    }
    if (o->px == 0) {
        execute(w, id, o->qty);
        return;
    }
    o->life = LIVE;
    o->unheard = !heard;
    if (heard) say(w, &(struct message){.kind = M_ACK, .order = id});
}

/* What was not heard at the time is heard much later. */
static void say_late(struct world *w) {
    for (uint32_t i = 0; i < w->order_count; i++)
        if (w->orders[i].unheard && w->orders[i].life == LIVE && rng_below(&w->rng, 2)) {
            w->orders[i].unheard = false;
            say(w, &(struct message){.kind = M_ACK, .order = i});
        }
}

static void cancel(struct world *w, uint32_t id) {
    struct order *o = &w->orders[id];
    if (o->life == LIVE && o->kind == STOP && w->position != 0 &&
        w->state.phase == EXITS_PROTECTED && !news_of_stops(w))
        assert_true(live_stops(w, false) > 1); /* never the last one */
    say_end(w, id, 0, false);                  /* gone, or nothing to cancel */
}

static void venue_step(struct world *w) {
    if (w->command_next == w->command_count) return;
    struct command c = w->commands[w->command_next++];
    if (c.kind == C_PLACE) {
        place(w, c.order);
    } else if (c.kind == C_CANCEL) {
        cancel(w, c.order);
    } else {
        for (uint32_t i = 0; i < w->order_count; i++)
            if (w->orders[i].life != FLYING && !w->orders[i].told_end) cancel(w, i);
    }
}

/* ---- what the exits ask for ---- */

static void ask(struct world *w, enum kind kind, const struct exits_action *a) {
    assert_true(w->order_count < ORDERS_MAX && w->command_count < QUEUE_MAX);
    for (uint32_t i = 0; i < w->refused_count; i++) {
        const struct order *o = &w->refused[i];
        assert_false(o->kind == kind && o->px == a->px.e8 && o->qty == a->qty.e8);
    }
    w->orders[w->order_count] = (struct order){
        .kind = kind, .px = a->px.e8, .qty = a->qty.e8, .attempt = a->attempt, .target = a->target};
    w->commands[w->command_count++] = (struct command){.kind = C_PLACE, .order = w->order_count++};
}

static uint32_t order_of(const struct world *w, enum kind kind, uint32_t attempt, uint32_t target) {
    for (uint32_t i = 0; i < w->order_count; i++)
        if (w->orders[i].kind == kind && w->orders[i].attempt == attempt &&
            w->orders[i].target == target)
            return i;
    fail_msg("no order %u of kind %d", attempt, (int)kind);
    return 0;
}
static uint32_t stop_of(const struct world *w, uint32_t attempt) {
    return order_of(w, STOP, attempt, 0);
}

static void ask_cancel(struct world *w, uint32_t id) {
    w->orders[id].cancel_asked = true;
    w->commands[w->command_count++] = (struct command){.kind = C_CANCEL, .order = id};
}

/* One at a time: whatever was asked for before has ended, or was asked after until it was given up. */
static void ask_reduce(struct world *w, const struct exits_action *a, int64_t held) {
    assert_true(w->state.phase == EXITS_PROTECTED && a->qty.e8 > 0 && a->qty.e8 < held);
    for (uint32_t i = 0; i < w->order_count; i++) {
        const struct order *o = &w->orders[i];
        assert_true((o->kind != REDUCE && o->kind != CLOSE) || o->attempt != a->attempt);
        if (o->kind == REDUCE) assert_true(o->told_end || o->cancel_asked);
    }
    ask(w, REDUCE, a);
    w->tally->reduced++;
}

static void ask_stop(struct world *w, const struct exits_action *a, int64_t held) {
    assert_true(held > 0 && a->px.e8 > 0 && a->qty.e8 < held + SAID_MAX);
    assert_true(a->qty.e8 == 0 || a->qty.e8 >= held);
    if (w->floor_px) assert_true(better(w, a->px.e8, w->floor_px) >= 0);
    for (uint32_t i = 0; i < w->order_count; i++) /* every one is another order */
        if (w->orders[i].kind == STOP) assert_int_not_equal(w->orders[i].attempt, a->attempt);
    if (w->state.move == MOVE_ASKED) {
        w->tally->moved += a->px.e8 != w->state.stop_px.e8;
        w->tally->refitted += a->px.e8 == w->state.stop_px.e8;
    }
    ask(w, STOP, a);
}

static void ask_take(struct world *w, const struct exits_action *a, int64_t held) {
    assert_true(w->state.phase == EXITS_PROTECTED && held > 0 && a->qty.e8 < held);
    w->tally->market_takes += a->px.e8 == 0;
    int64_t sum = 0;
    ask(w, TAKE, a);
    for (uint32_t i = 0; i < w->order_count; i++)
        if (w->orders[i].kind == TAKE && w->orders[i].life != DONE) sum += w->orders[i].qty;
    assert_true(sum < w->state.entered_qty.e8);
}

static void carry_out(struct world *w) {
    int64_t held = llabs(w->state.position_qty.e8);
    for (uint32_t n = 0; n < w->asked.count; n++) {
        const struct exits_action *a = &w->asked.items[n];
        switch (a->kind) {
        case EXITS_SUBMIT_STOP:
            ask_stop(w, a, held);
            break;
        case EXITS_SUBMIT_TAKE:
            ask_take(w, a, held);
            break;
        case EXITS_SUBMIT_CLOSE:
            assert_true(held > 0 && a->qty.e8 >= held && a->qty.e8 < held + SAID_MAX);
            w->tally->rounded_up += a->qty.e8 > held;
            ask(w, CLOSE, a);
            break;
        case EXITS_CANCEL_STOP:
            assert_int_not_equal(a->attempt, w->state.stop.attempt);
            ask_cancel(w, stop_of(w, a->attempt));
            break;
        case EXITS_SUBMIT_REDUCE:
            ask_reduce(w, a, held);
            break;
        case EXITS_ASK_REDUCE:
            ask_cancel(w, order_of(w, REDUCE, a->attempt, 0));
            w->tally->asked_after++;
            break;
        case EXITS_CANCEL_TAKE:
            ask_cancel(w, order_of(w, TAKE, a->attempt, a->target));
            w->tally->fitted++;
            break;
        case EXITS_CANCEL_ORDERS:
            assert_true(held == 0 && w->entry_over);
            w->commands[w->command_count++] = (struct command){.kind = C_CANCEL_ALL};
            break;
        case EXITS_TELL_PROTECTED:
            break;
        case EXITS_TELL_CLOSED:
            assert_true(!w->over && held == 0 && w->entry_over && w->position == 0);
            assert_true(w->bought == w->sold && w->state.exited_qty.e8 == w->bought);
            w->over = true;
            w->tally->closed++;
            w->tally->reached += w->state.targets_reached;
            break;
        case EXITS_TELL_FAILED:
            assert_true(w->bought == 0 && w->entry_over);
            w->over = true;
            break;
        case EXITS_ALARM:
            w->tally->alarms++;
            break;
        case EXITS_ACTION_COUNT:
            break;
        }
    }
    w->asked.count = 0;
}

/* ---- what reaches the exits ---- */

static void deliver_end(struct world *w, const struct exits_context *c, const struct message *m) {
    const struct order *o = &w->orders[m->order];
    if (o->kind == ENTRY) {
        w->entry_over = true;
        exits_entry_ended(&w->asked, &w->state, c);
    } else if (o->kind == STOP) {
        exits_stop_ended(&w->asked, &w->state, c, o->attempt, m->code);
    } else if (o->kind == TAKE) {
        if (m->filled) return; /* told before its last fill */
        exits_take_ended(&w->asked, &w->state, c, o->target, false, m->code);
    } else {
        exits_close_ended(&w->asked, &w->state, c, o->attempt, m->code);
    }
}

static void deliver(struct world *w) {
    if (w->message_next == w->message_count) return;
    const struct message m = w->messages[w->message_next++];
    const struct order *o = &w->orders[m.order];
    if (m.kind == M_END && m.code == -1111) {
        if (is_against_rules(w, o)) w->refused[w->refused_count++ % REFUSED_MAX] = *o;
        if (rng_below(&w->rng, 4)) tell_rules(w);
    }
    const struct exits_context c = context(w);
    enum side side = (enum side)w->state.side;
    enum exit_reason reason = o->kind == STOP   ? EXIT_STOP
                              : o->kind == TAKE ? EXIT_TAKE_PROFIT
                              : w->state.exit_reason == EXIT_NONE
                                  ? EXIT_REBALANCE
                                  : (enum exit_reason)w->state.exit_reason;
    switch (m.kind) {
    case M_ACK: {
        if (o->kind != STOP || o->cancel_asked) return;
        const struct exits_stop stop = {{o->px}, {o->qty}, o->attempt, 0};
        exits_stop_confirmed(&w->asked, &w->state, &c, &stop);
        break;
    }
    case M_FILL:
        if (o->kind == TAKE && m.filled)
            exits_take_ended(&w->asked, &w->state, &c, o->target, true, 0);
        w->last_sold = o->kind;
        exits_fill(&w->asked, &w->state, &c, o->kind == ENTRY ? side : side_opposite(side),
                   px_e8(m.px), qty_e8(m.qty), money_e8(0), money_e8(0), reason);
        break;
    case M_END:
        deliver_end(w, &c, &m);
        break;
    }
    carry_out(w);
}

static void pass_time(struct world *w, int64_t ns) {
    w->now += ns;
    if (w->now < exits_deadline(&w->state)) return;
    const struct exits_context c = context(w);
    bool waits = w->state.reduction.qty.e8 != 0;
    exits_time(&w->asked, &w->state, &c);
    w->tally->given_up += waits && w->state.reduction.qty.e8 == 0;
    carry_out(w);
}

static void see(struct world *w, bool bar) {
    const struct exits_context c = context(w);
    exits_price(&w->asked, &w->state, &c, px_e8(bar ? w->low : w->px), px_e8(bar ? w->high : w->px),
                bar ? w->bar_open : w->now);
    carry_out(w);
    if (!bar) return;
    tell_rules(w);
    exits_bar(&w->asked, &w->state, &c);
    carry_out(w);
    w->low = w->high = w->px;
    w->bar_open = w->now;
}

static void want_less(struct world *w) {
    const struct exits_context c = context(w);
    uint64_t held = (uint64_t)llabs(w->state.position_qty.e8);
    const struct exits_state before = w->state;
    bool asked = exits_reduce(&w->asked, &w->state, &c,
                              qty_e8((int64_t)rng_below(&w->rng, held + held / 8 + 2)));
    if (!asked) assert_memory_equal(&before, &w->state, sizeof before);
    w->tally->whole += w->state.phase == EXITS_CLOSING && before.phase == EXITS_PROTECTED;
    assert_true(llabs(exits_remaining(&w->state).e8) <= (int64_t)held);
    carry_out(w);
}

/* ---- rules ---- */

static void check(struct world *w) {
    const struct exits_state *x = &w->state;
    if (x->phase != EXITS_PROTECTED || w->position == 0 || news_of_stops(w)) return;
    if (w->floor_px) assert_true(better(w, x->stop_px.e8, w->floor_px) >= 0);
    w->floor_px = x->stop_px.e8;
    /* The one that the exits believe in is there, and it covers. */
    const struct order *stop = &w->orders[stop_of(w, x->stop.attempt)];
    assert_int_equal(stop->life, LIVE);
    assert_int_equal(stop->px, x->stop_px.e8);
    bool quiet = w->message_next == w->message_count && x->move == MOVE_NONE && x->entry_done &&
                 w->now >= x->move_after_ns;
    if (quiet && stop->qty != 0)
        assert_true(stop->qty >= w->position && stop->qty < w->position + SAID_MAX);
    /* Nor do the targets that a reduction left say more than there is. */
    int64_t parts = 0;
    for (uint32_t i = 0; i < w->order_count; i++)
        if (w->orders[i].kind == TAKE && w->orders[i].life == LIVE && !w->orders[i].cancel_asked)
            parts += w->orders[i].qty;
    if (quiet && w->last_sold == REDUCE) assert_true(parts <= w->position);
}

/* ---- a life ---- */

static void drop_a_stop(struct world *w) {
    for (uint32_t i = 0; i < w->order_count; i++)
        if (w->orders[i].kind == STOP && w->orders[i].life == LIVE && rng_below(&w->rng, 2)) {
            w->tally->dropped++;
            say_end(w, i, 0, false);
            return;
        }
}

static void step(struct world *w) {
    switch (rng_below(&w->rng, 17)) {
    case 0:
    case 1:
    case 2:
    case 3:
        venue_step(w);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        deliver(w);
        break;
    case 8:
    case 9:
    case 10:
        move_price(w);
        break;
    case 11:
        see(w, false);
        break;
    case 12:
        see(w, true);
        break;
    case 13:
        if (chance(w, 8)) drop_a_stop(w);
        if (chance(w, 4)) say_late(w);
        if (chance(w, 6)) change_rules(w);
        break;
    case 14:
        if (rng_below(&w->rng, 3) == 0) want_less(w);
        break;
    default:
        pass_time(w, (int64_t)rng_below(&w->rng, 900) * MS);
        break;
    }
    check(w);
}

static double at_most(struct rng *rng, double high) {
    return rng_f64(rng) * high;
}

static void begin(struct world *w, struct rng *rng, struct tally *tally) {
    memset(w, 0, sizeof *w);
    w->rng = rng_init(rng_u64(rng));
    w->tally = tally;
    w->faults = rng_below(&w->rng, 5) != 0;
    instrument_defaults(&w->in, "BTCUSDT");
    w->in.notional_min.e8 = 0;
    rules_are(&w->in, FX_ONE / 100, 1);
    w->real = w->in;
    w->config = exits_config_defaults();
    w->config.reduce_unknown_ns_max = 3500 * MS;
    w->now = T0;
    w->px = w->low = w->high = 100 * FX_ONE;
    w->bar_open = w->now;
    w->state.deadline_ns = INT64_MAX;
    double first = 0.005 + at_most(&w->rng, 0.02);
    struct trade_intent t = {.intent_id = 1,
                             .symbol = "BTCUSDT",
                             .side = rng_below(&w->rng, 2) ? SIDE_BUY : SIDE_SELL,
                             .stop_distance = 0.005 + at_most(&w->rng, 0.03),
                             .take_distance = first,
                             .take_distance_2 = first * 1.5,
                             .take_distance_3 = first * 2.5,
                             .take_part_1 = 0.2 + at_most(&w->rng, 0.4),
                             .take_part_2 = at_most(&w->rng, 0.3),
                             .break_even_distance = at_most(&w->rng, 0.02),
                             .trail_from_distance = at_most(&w->rng, 0.03),
                             .trail_distance = 0.002 + at_most(&w->rng, 0.02),
                             .horizon_bars = rng_below(&w->rng, 2) ? 60 : 0};
    exits_enter(&w->state, &t, 3, 0.001);
    const struct exits_action entry = {.qty = qty_e8(100 + (int64_t)rng_below(&w->rng, 100000))};
    ask(w, ENTRY, &entry);
}

/* What a person would do at the end: no more faults, close it, and wait. */
static void finish(struct world *w) {
    w->faults = false;
    tell_rules(w); /* whatever they are by now */
    for (int n = 0; n < 4000 && w->state.phase != EXITS_FLAT; n++) {
        if (n % 50 == 0) {
            const struct exits_context c = context(w);
            exits_close(&w->asked, &w->state, &c, EXIT_OPERATOR);
            carry_out(w);
        }
        venue_step(w);
        deliver(w);
        pass_time(w, 100 * MS);
        check(w);
        bool quiet = w->command_next == w->command_count && w->message_next == w->message_count;
        if (w->over && quiet) exits_orders_gone(&w->state);
    }
    assert_true(w->over);
    assert_int_equal(w->state.phase, EXITS_FLAT);
    assert_int_equal(w->position, 0);
    for (uint32_t i = 0; i < w->order_count; i++) assert_int_equal(w->orders[i].life, DONE);
}

static uint64_t number(const char *name, uint64_t fallback) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : fallback;
}

static void random_lives_are_never_naked_and_never_turn_back(void **state) {
    (void)state;
    uint64_t seed = number("TEST_SEED", 20241001), lives = number("TEST_OPS", 20000);
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    struct rng rng = rng_init(seed);
    struct tally tally = {0};
    struct world *w = malloc(sizeof *w);
    assert_non_null(w);
    for (uint64_t n = 0; n < lives; n++) {
        begin(w, &rng, &tally);
        for (int k = 0; k < 400 && w->state.phase != EXITS_FLAT; k++) {
            step(w);
            bool quiet = w->command_next == w->command_count && w->message_next == w->message_count;
            if (w->over && quiet) exits_orders_gone(&w->state);
        }
        finish(w);
    }
    free(w);
    print_message(
        "%u closed, %u moves, %u refits, %u targets, %u at market, %u alarms, %u dropped, "
        "%u unanswered, %u refused\n",
        tally.closed, tally.moved, tally.refitted, tally.reached, tally.market_takes, tally.alarms,
        tally.dropped, tally.unanswered, tally.refused);
    print_message("%u reduced, %u of them in part, %u wholly closed, %u targets dropped, %u asked "
                  "after, %u given up\n",
                  tally.reduced, tally.parts, tally.whole, tally.fitted, tally.asked_after,
                  tally.given_up);
    print_message("%u changes of rules, %u refused by them, %u closes rounded up\n", tally.changes,
                  tally.of_rules, tally.rounded_up);
    if (lives < 20000) return;
    /* It did happen. */
    assert_true(tally.closed > 15000 && tally.moved > 10000 && tally.refitted > 500);
    assert_true(tally.reached > 5000 && tally.market_takes > 100 && tally.alarms > 50);
    assert_true(tally.reduced > 5000 && tally.parts > 100 && tally.whole > 500);
    assert_true(tally.changes > 5000 && tally.of_rules > 1000 && tally.rounded_up > 1000);
    assert_true(tally.fitted > 500 && tally.asked_after > 500 && tally.given_up > 10);
    assert_true(tally.dropped > 1000 && tally.unanswered > 1000 && tally.refused > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lives_are_never_naked_and_never_turn_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
