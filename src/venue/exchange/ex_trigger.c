/* Conditional orders at work: kept by the price that fires them, so that a print costs what it fires; then
 * TRIGGERING, a child order, TRIGGERED, FINISHED. */
#include <string.h>

#include "venue/exchange/exchange_internal.h"

/* ---- where they wait ---- */

/* +: fires or is activated at prices >= the level. */
static enum ex_direction direction_of(const struct exchange_algo *a) {
    bool is_buy = a->side == SIDE_BUY;
    switch ((enum order_type)a->type) {
    case ORDER_STOP:
    case ORDER_STOP_MARKET:
        return is_buy ? DIRECTION_UP : DIRECTION_DOWN;
    case ORDER_TAKE_PROFIT:
    case ORDER_TAKE_PROFIT_MARKET:
    case ORDER_TRAILING_STOP_MARKET: /* its activation */
        return is_buy ? DIRECTION_DOWN : DIRECTION_UP;
    case ORDER_LIMIT:
    case ORDER_MARKET:
        break;
    }
    ASSERT(0 && "not a conditional order");
    return DIRECTION_UP;
}

static int64_t level_of(const struct exchange_algo *a) {
    return a->type == ORDER_TRAILING_STOP_MARKET ? a->activate_price.e8 : a->trigger_price.e8;
}

static bool is_reached(enum ex_direction d, int64_t px, int64_t level) {
    return d == DIRECTION_UP ? px >= level : px <= level;
}

static struct ex_trail *trail_of(const struct exchange *ex, const struct exchange_algo *a) {
    return &ex_symbol(ex, a->instrument)->trail[a->working_type][a->side == SIDE_SELL];
}

/* Price at which a trailing order fires, given its extreme: p <= highest (1 - cb), p >= lowest (1 + cb). */
static int64_t trail_stop(const struct exchange_algo *a) {
    if (a->side == SIDE_SELL)
        return fx_mul_floor(a->extreme_price.e8, FX_ONE - a->callback_rate.e8);
    return fx_mul_ceil(a->extreme_price.e8, FX_ONE + a->callback_rate.e8);
}

/* The list's nearest extreme and stop: of sells the lowest extreme and the highest stop. */
static void trail_narrow(struct ex_trail *t, const struct ex_algo *a) {
    int64_t extreme = a->a.extreme_price.e8;
    if (a->a.side == SIDE_SELL) {
        t->extreme = ex_min(t->extreme, extreme);
        t->stop = ex_max(t->stop, a->stop);
    } else {
        t->extreme = ex_max(t->extreme, extreme);
        t->stop = ex_min(t->stop, a->stop);
    }
}

static void trail_widest(struct ex_trail *t, bool is_sell) {
    t->extreme = is_sell ? INT64_MAX : 0;
    t->stop = is_sell ? 0 : INT64_MAX;
}

void ex_algo_wait(struct exchange *ex, struct ex_algo *a) {
    enum ex_direction d = direction_of(&a->a);
    int64_t level = level_of(&a->a);
    a->place = PLACE_HEAP;
    /* The nearest first, then the oldest. */
    ex_heap_push(ex, &ex_symbol(ex, a->a.instrument)->heap1[a->a.working_type][d],
                 ex_algo_node1(ex, a), d == DIRECTION_UP ? level : -level,
                 a->classic ? a->a.actual_order_id : a->a.algo_id);
}

void ex_algo_wait_trail(struct exchange *ex, struct ex_algo *a, int64_t px) {
    struct ex_trail *t = trail_of(ex, &a->a);
    a->place = PLACE_TRAIL;
    a->a.activated = 1;
    a->a.extreme_price = px_e8(px);
    a->stop = trail_stop(&a->a);
    if (!t->ends.first1) trail_widest(t, a->a.side == SIDE_SELL);
    ex_list_append(&t->ends, EX_LINKS(ex_algos(ex), of_place), ex_algo_index1(ex, a));
    trail_narrow(t, a);
}

static void unwait(struct exchange *ex, struct ex_algo *a) {
    struct ex_links links = EX_LINKS(ex_algos(ex), of_place);
    uint32_t index1 = ex_algo_index1(ex, a);
    switch ((enum ex_place)a->place) {
    case PLACE_HEAP:
        ex_heap_remove(
            ex, &ex_symbol(ex, a->a.instrument)->heap1[a->a.working_type][direction_of(&a->a)],
            ex_algo_node1(ex, a));
        break;
    case PLACE_TRAIL:
        ex_list_remove(&trail_of(ex, &a->a)->ends, links, index1);
        break;
    case PLACE_FIRED:
        ex_list_remove(&ex->fired, links, index1);
        break;
    case PLACE_FREE:
    case PLACE_CHILD:
        break;
    }
    a->place = PLACE_FREE;
}

bool ex_algo_is_reached(const struct exchange_algo *a, int64_t px) {
    return is_reached(direction_of(a), px, level_of(a));
}

/* No longer an open conditional order: out of the account's list, count and clock. */
static void close_open(struct exchange *ex, struct ex_algo *a) {
    struct ex_account *account = ex_account(ex, a->a.account);
    struct ex_cell *c = ex_cell(ex, a->a.account, a->a.instrument);
    uint32_t index1 = ex_algo_index1(ex, a);
    unwait(ex, a);
    ex_algo_unindex(ex, a);
    ex_list_remove(&account->algo_ends, EX_LINKS(ex_algos(ex), of_account), index1);
    ex_list_remove(&c->algo_ends, EX_LINKS(ex_algos(ex), of_cell), index1);
    account->algos--;
    c->algos--;
    ex->algos_open--;
    if (a->a.good_till_ns) ex_heap_remove(ex, &ex->algo_till1, ex_algo_till_node1(ex, a));
}

/* ---- what is told ---- */

void ex_algo_as_order(const struct ex_algo *a, struct exchange_order *out) {
    const struct exchange_algo *from = &a->a;
    memset(out, 0, sizeof *out);
    out->order_id = from->actual_order_id;
    out->account = from->account;
    out->instrument = from->instrument;
    out->side = from->side;
    out->type = out->orig_type = from->type;
    out->time_in_force = from->time_in_force;
    out->position_side = from->position_side;
    out->working_type = from->working_type;
    out->stp = from->stp;
    out->price_match = from->price_match;
    out->reduce_only = from->reduce_only;
    out->close_position = from->close_position;
    out->price_protect = from->price_protect;
    out->price = from->price;
    out->stop_price =
        from->type == ORDER_TRAILING_STOP_MARKET ? from->activate_price : from->trigger_price;
    out->orig_qty = from->qty;
    out->good_till_ns = from->good_till_ns;
    out->time_ns = from->create_ns;
    out->update_ns = from->update_ns;
    memcpy(out->client_order_id, from->client_algo_id, CLIENT_ORDER_ID_SIZE);
}

static void algo_event(struct exchange *ex, const struct ex_algo *a) {
    struct exchange_event *e = ex_event(ex, EXE_ALGO, a->a.account, a->a.instrument);
    e->side = a->a.side;
    e->position_side = a->a.position_side;
    e->u.algo = a->a;
}

void ex_algo_state(struct exchange *ex, struct ex_algo *a, enum exchange_algo_status status) {
    a->a.status = (uint8_t)status;
    a->a.update_ns = ex->clock_ns;
    if (!a->classic) algo_event(ex, a);
}

static void algo_free(struct exchange *ex, struct ex_algo *a) {
    ex_slot_give(&ex->algo_slots, ex_algos(ex), sizeof *a, ex_algo_index1(ex, a));
}

void ex_algo_end(struct exchange *ex, struct ex_algo *a, enum exchange_algo_status status,
                 int32_t code, enum exchange_expiry expiry) {
    ASSERT(a->place != PLACE_CHILD && a->place != PLACE_FREE);
    close_open(ex, a);
    a->a.reject_code = code;
    ex_algo_state(ex, a, status);
    if (a->classic) {
        struct exchange_order o;
        ex_algo_as_order(a, &o);
        o.status = status == EXA_CANCELED ? EXO_CANCELED : EXO_EXPIRED;
        o.expiry = (uint8_t)(code ? EXPIRY_STOPPED : expiry);
        o.update_ns = ex->clock_ns;
        ex_event_order(ex, status == EXA_CANCELED ? EXEC_CANCELED : EXEC_EXPIRED, &o);
    }
    algo_free(ex, a);
}

/* ---- prices ---- */

static bool is_protected(const struct exchange *ex, const struct exchange_algo *a) {
    const struct ex_symbol *y = ex_symbol(ex, a->instrument);
    if (!a->price_protect) return false;
    int64_t apart = y->last ? ex_abs(y->mark - y->last) : 0;
    return (ex_i128)apart * FX_ONE >= (ex_i128)y->mark * ex->config.trigger_protect.e8;
}

static void algo_fire(struct exchange *ex, struct ex_algo *a) {
    unwait(ex, a);
    a->place = PLACE_FIRED;
    a->a.trigger_ns = ex->clock_ns;
    ex_list_append(&ex->fired, EX_LINKS(ex_algos(ex), of_place), ex_algo_index1(ex, a));
    ex_algo_state(ex, a, EXA_TRIGGERING);
}

static void heap_price(struct exchange *ex, uint32_t s, enum ex_feed feed, enum ex_direction d,
                       int64_t px) {
    uint32_t *root1 = &ex_symbol(ex, s)->heap1[feed][d];
    uint32_t skipped1 = 0;
    while (*root1) {
        int64_t key = ex_nodes(ex)[*root1 - 1].key;
        if (!is_reached(d, px, d == DIRECTION_UP ? key : -key)) break;
        struct ex_algo *a = &ex_algos(ex)[*root1 - ex->order_slots.capacity - 1];
        if (a->a.type == ORDER_TRAILING_STOP_MARKET) {
            unwait(ex, a);
            ex_algo_wait_trail(ex, a, px);
        } else if (is_protected(ex, &a->a)) {
            unwait(ex, a);
            a->skip_next1 = skipped1;
            skipped1 = ex_algo_index1(ex, a);
        } else {
            algo_fire(ex, a);
        }
    }
    while (skipped1) { /* they wait for a print that is not too far from mark */
        struct ex_algo *a = &ex_algos(ex)[skipped1 - 1];
        skipped1 = a->skip_next1;
        a->skip_next1 = 0;
        ex_algo_wait(ex, a);
    }
}

static void trail_price(struct exchange *ex, struct ex_trail *t, bool is_sell, int64_t px) {
    if (!t->ends.first1) return;
    bool moves = is_sell ? px > t->extreme : px < t->extreme;
    bool fires = is_sell ? px <= t->stop : px >= t->stop;
    if (!moves && !fires) return;
    trail_widest(t, is_sell);
    uint32_t at1 = t->ends.first1;
    while (at1) {
        struct ex_algo *a = &ex_algos(ex)[at1 - 1];
        at1 = a->of_place.next1;
        if (is_sell ? px > a->a.extreme_price.e8 : px < a->a.extreme_price.e8) {
            a->a.extreme_price = px_e8(px);
            a->stop = trail_stop(&a->a);
        } else if ((is_sell ? px <= a->stop : px >= a->stop) && !is_protected(ex, &a->a)) {
            algo_fire(ex, a);
            continue;
        }
        trail_narrow(t, a);
    }
}

void ex_algo_price(struct exchange *ex, uint32_t s, enum ex_feed feed, int64_t px) {
    struct ex_symbol *y = ex_symbol(ex, s);
    heap_price(ex, s, feed, DIRECTION_UP, px);
    heap_price(ex, s, feed, DIRECTION_DOWN, px);
    trail_price(ex, &y->trail[feed][0], false, px);
    trail_price(ex, &y->trail[feed][1], true, px);
}

/* ---- execution ---- */

/* The order it becomes; 0 or why it cannot. */
static int32_t child_shape(struct exchange *ex, const struct ex_algo *a, struct exchange_order *o) {
    ex_algo_as_order(a, o);
    o->type = ex_has_limit(o->type) ? ORDER_LIMIT : ORDER_MARKET;
    if (o->time_in_force == TIF_GTE_GTC) o->time_in_force = TIF_GTC;
    o->algo_id = a->a.algo_id;
    if (a->a.close_position) {
        const struct ex_cell *c = ex_cell(ex, o->account, o->instrument);
        o->orig_qty = qty_e8(ex_reducible(&c->leg[ex_leg_of(o->position_side)], o->side));
        o->reduce_only = o->position_side == POSITION_BOTH;
    }
    if (o->price_match == PRICE_MATCH_NONE) return 0;
    int32_t code = ex_admit_price_match(ex, o->instrument, o->side, o->price_match, &o->price.e8);
    return code ? code : (int32_t)instrument_check_px(ex_instrument(ex, o->instrument), o->price);
}

/* The venue refuses what it has just fired. */
static void child_refused(struct exchange *ex, struct ex_algo *a, struct exchange_order *o,
                          int32_t code) {
    bool is_flat = a->a.close_position && o->orig_qty.e8 == 0;
    a->a.reject_code = is_flat ? 0 : code;
    ex_algo_state(ex, a, is_flat ? EXA_EXPIRED : EXA_REJECTED);
    if (a->classic) {
        o->status = EXO_EXPIRED;
        o->expiry = is_flat ? EXPIRY_GTE : EXPIRY_STOPPED;
        o->update_ns = ex->clock_ns;
        ex_event_order(ex, EXEC_EXPIRED, o);
    }
    algo_free(ex, a);
}

void ex_algo_execute(struct exchange *ex) {
    struct ex_algo *a = &ex_algos(ex)[ex->fired.first1 - 1];
    struct exchange_order o, final;
    int64_t argument = 0;
    close_open(ex, a);
    int32_t code = child_shape(ex, a, &o);
    if (code == 0) code = ex_admit_rest(ex, &o, true, &argument);
    if (code != 0) {
        child_refused(ex, a, &o, code);
        return;
    }
    struct ex_order *order = ex_order_create(ex, &o);
    ASSERT(order);
    a->place = PLACE_CHILD;
    a->a.actual_order_id = order->o.order_id;
    ex_order_work(ex, order, &final);
    if (a->classic) {
        algo_free(ex, a);
        return;
    }
    ex_algo_state(ex, a, EXA_TRIGGERED);
    uint32_t algo1 = ex_algo_index1(ex, a);
    if (final.status == EXO_NEW || final.status == EXO_PARTIALLY_FILLED)
        order->algo1 = algo1; /* it rests: FINISHED comes when it ends */
    else
        ex_algo_finish(ex, algo1, &final);
}

void ex_algo_finish(struct exchange *ex, uint32_t algo1, const struct exchange_order *child) {
    struct ex_algo *a = &ex_algos(ex)[algo1 - 1];
    a->a.actual_qty = child->cum_qty;
    a->a.actual_quote = child->cum_quote;
    ex_algo_state(ex, a, EXA_FINISHED);
    algo_free(ex, a);
}

/* ---- the system ends them ---- */

void ex_algo_position_gone(struct exchange *ex, uint32_t account, uint32_t s, uint32_t leg) {
    uint32_t at1 = ex_cell(ex, account, s)->algo_ends.first1;
    while (at1) {
        struct ex_algo *a = &ex_algos(ex)[at1 - 1];
        at1 = a->of_cell.next1;
        if (a->a.time_in_force == TIF_GTE_GTC && ex_leg_of(a->a.position_side) == leg)
            ex_algo_end(ex, a, EXA_EXPIRED, 0, EXPIRY_GTE);
    }
}

void ex_algo_expire_symbol(struct exchange *ex, uint32_t s, enum exchange_expiry expiry) {
    struct ex_symbol *y = ex_symbol(ex, s);
    struct ex_algo *all = ex_algos(ex);
    for (int feed = 0; feed < FEED_COUNT; feed++)
        for (int i = 0; i < 2; i++) {
            while (y->heap1[feed][i])
                ex_algo_end(ex, &all[y->heap1[feed][i] - ex->order_slots.capacity - 1], EXA_EXPIRED,
                            0, expiry);
            while (y->trail[feed][i].ends.first1)
                ex_algo_end(ex, &all[y->trail[feed][i].ends.first1 - 1], EXA_EXPIRED, 0, expiry);
        }
    uint32_t at1 = ex->fired.first1;
    while (at1) {
        struct ex_algo *a = &all[at1 - 1];
        at1 = a->of_place.next1;
        if (a->a.instrument == s) ex_algo_end(ex, a, EXA_EXPIRED, 0, expiry);
    }
}
