/* Ordinary orders: placed, resting, amended, cancelled, ended. */
#include <string.h>

#include "venue/exchange/exchange_internal.h"

/* "prefix" and the number behind it. */
void ex_client_id_make(char out[CLIENT_ORDER_ID_SIZE], const char *prefix, uint64_t id) {
    char digits[20];
    size_t n = 0, at = strlen(prefix);
    memset(out, 0, CLIENT_ORDER_ID_SIZE);
    memcpy(out, prefix, at);
    do {
        digits[n++] = (char)('0' + id % 10);
        id /= 10;
    } while (id);
    ASSERT(at + n < CLIENT_ORDER_ID_SIZE);
    while (n) out[at++] = digits[--n];
}

struct ex_order *ex_order_create(struct exchange *ex, const struct exchange_order *shape) {
    struct ex_order *all = ex_orders(ex);
    uint32_t index1 = ex_slot_take(&ex->order_slots, all, sizeof *all);
    if (!index1) return NULL;
    struct ex_order *order = &all[index1 - 1];
    struct ex_account *a = ex_account(ex, shape->account);
    struct ex_cell *c = ex_cell(ex, shape->account, shape->instrument);
    order->o = *shape;
    if (order->o.order_id == 0) order->o.order_id = ex->order_id_next++;
    order->o.time_ns = order->o.update_ns = ex->clock_ns;
    order->o.status = EXO_NEW;
    if (order->o.client_order_id[0] == 0)
        ex_client_id_make(order->o.client_order_id, "auto-", order->o.order_id);
    order->assumed_px = ex_assumed_px(ex, &order->o);
    ex_order_index(ex, order);
    ex_list_append(&a->order_ends, EX_LINKS(all, of_account), index1);
    ex_list_append(&c->order_ends, EX_LINKS(all, of_cell), index1);
    a->orders++;
    c->orders++;
    ex_event_order(ex, EXEC_NEW, &order->o);
    return order;
}

void ex_order_hold(struct exchange *ex, struct ex_order *order) {
    const struct exchange_order *o = &order->o;
    struct ex_leg *leg = &ex_cell(ex, o->account, o->instrument)->leg[ex_leg_of(o->position_side)];
    int64_t qty = order->handle && !ex_reduces(o) ? ex_leaves(o) : 0;
    int64_t notional = qty ? fx_mul_half_even(order->assumed_px, qty) : 0;
    if (o->side == SIDE_BUY) {
        leg->bid_qty += qty - order->held_qty;
        leg->bid_notional += notional - order->held_notional;
    } else {
        leg->ask_qty += qty - order->held_qty;
        leg->ask_notional += notional - order->held_notional;
    }
    order->held_qty = qty;
    order->held_notional = notional;
    ex_cell_refresh(ex, o->account, o->instrument);
}

/* Out of the book, its reservation with it. */
static void order_unrest(struct exchange *ex, struct ex_order *order) {
    if (!order->handle) return;
    const struct exchange_order *o = &order->o;
    bool was_there = match_remove(ex_book(ex, o->instrument), order->handle);
    ASSERT(was_there);
    order->handle = 0;
    ex_event_level(ex, o->instrument, ex_book_side(o->side),
                   ex_tick_of(ex_symbol(ex, o->instrument), o->price.e8));
    ex_order_hold(ex, order);
}

static void order_untime(struct exchange *ex, struct ex_order *order) {
    if (!order->timed) return;
    ex_heap_remove(ex, &ex->order_till1, ex_order_node1(ex, order));
    order->timed = 0;
}

void ex_order_end(struct exchange *ex, struct ex_order *order, enum exchange_order_status status,
                  enum exchange_expiry expiry, enum exchange_exec exec) {
    struct ex_order *all = ex_orders(ex);
    uint32_t index1 = ex_order_index1(ex, order);
    struct exchange_order *o = &order->o;
    struct ex_account *a = ex_account(ex, o->account);
    struct ex_cell *c = ex_cell(ex, o->account, o->instrument);
    order_unrest(ex, order);
    o->status = (uint8_t)status;
    o->expiry = (uint8_t)expiry;
    o->update_ns = ex->clock_ns;
    /* The last fill told FILLED already. */
    if (status != EXO_FILLED) ex_event_order(ex, exec, o);
    ex_order_unindex(ex, order);
    ex_list_remove(&a->order_ends, EX_LINKS(all, of_account), index1);
    ex_list_remove(&c->order_ends, EX_LINKS(all, of_cell), index1);
    a->orders--;
    c->orders--;
    order_untime(ex, order);
    uint32_t algo1 = order->algo1;
    struct exchange_order child = *o;
    ex_slot_give(&ex->order_slots, all, sizeof *all, index1);
    if (algo1) ex_algo_finish(ex, algo1, &child);
}

/* Puts the rest of a limit order into the book, and on the clock if it has an end. */
static void order_rest(struct exchange *ex, struct ex_order *order) {
    struct exchange_order *o = &order->o;
    uint32_t tick = ex_tick_of(ex_symbol(ex, o->instrument), o->price.e8);
    struct match_order m = {.px = tick,
                            .side = (uint32_t)ex_book_side(o->side),
                            .qty = ex_leaves(o),
                            .tag = ex_order_index1(ex, order)};
    order->handle = match_add(ex_book(ex, o->instrument), &m);
    ASSERT(order->handle); /* room was made sure of at admission; matching only makes more */
    ex_event_level(ex, o->instrument, ex_book_side(o->side), tick);
    ex_order_hold(ex, order);
    if (o->time_in_force != TIF_GTD) return;
    ex_heap_push(ex, &ex->order_till1, ex_order_node1(ex, order), o->good_till_ns, o->order_id);
    order->timed = 1;
}

void ex_order_work(struct exchange *ex, struct ex_order *order, struct exchange_order *final) {
    struct exchange_order *o = &order->o;
    const struct ex_symbol *y = ex_symbol(ex, o->instrument);
    bool is_market = o->type == ORDER_MARKET;
    struct ex_taker t = {
        .o = o,
        .account = o->account,
        .s = o->instrument,
        .leg = ex_leg_of(o->position_side),
        .side = o->side,
        .reduces = ex_reduces(o),
        .limit =
            is_market ? ex_market_bound(ex, o->instrument, o->side) : ex_tick_of(y, o->price.e8),
        .leaves = ex_leaves(o),
        .stp = o->stp,
    };
    ex_match(ex, &t);
    enum exchange_order_status status = EXO_EXPIRED;
    enum exchange_expiry expiry = EXPIRY_NONE;
    if (t.leaves == 0)
        status = EXO_FILLED;
    else if (t.status != EXO_NEW) {
        status = (enum exchange_order_status)t.status;
        expiry = (enum exchange_expiry)t.expiry;
    } else if (is_market)
        expiry = EXPIRY_MARKET;
    else if (o->time_in_force == TIF_IOC || o->time_in_force == TIF_FOK)
        expiry = EXPIRY_IOC;
    else {
        order_rest(ex, order);
        *final = *o;
        return;
    }
    /* As ex_order_end will leave it. */
    *final = *o;
    final->status = (uint8_t)status;
    final->expiry = (uint8_t)expiry;
    final->update_ns = ex->clock_ns;
    ex_order_end(ex, order, status, expiry, EXEC_EXPIRED);
}

static void shape_of_input(const struct exchange_input *in, struct exchange_order *o) {
    memset(o, 0, sizeof *o);
    o->account = in->account;
    o->instrument = in->instrument;
    o->side = in->side;
    o->type = o->orig_type = in->type;
    o->time_in_force = in->time_in_force;
    o->position_side = in->position_side;
    o->working_type = in->working_type;
    o->stp = in->stp;
    o->price_match = in->price_match;
    o->reduce_only = in->reduce_only != 0;
    o->close_position = in->close_position != 0;
    o->price = in->price;
    o->orig_qty = in->qty;
    o->good_till_ns = in->until_ns;
    memcpy(o->client_order_id, in->client_id, strnlen(in->client_id, CLIENT_ORDER_ID_SIZE - 1));
}

void ex_order_place(struct exchange *ex, const struct exchange_input *in,
                    struct exchange_reply *reply) {
    struct exchange_order shape;
    if ((reply->code = ex_admit_symbol(ex, in->account, in->instrument)) != 0) return;
    if ((reply->code = ex_admit_enums(in)) != 0) return;
    if (ex_is_conditional(in->type)) {
        if (ex->config.classic_conditional)
            ex_algo_place(ex, in, true, reply);
        else
            reply->code = CODE_USE_ALGO;
        return;
    }
    shape_of_input(in, &shape);
    reply->code = ex_admit_form(ex, &shape, &reply->argument);
    if (reply->code == 0) reply->code = ex_admit_rest(ex, &shape, false, &reply->argument);
    if (reply->code != 0) return;
    reply->has_order = true;
    reply->argument = 0;
    if (in->kind == EXI_ORDER_TEST) {
        shape.time_ns = shape.update_ns = ex->clock_ns;
        reply->accepted = reply->order = shape;
        return;
    }
    struct ex_order *order = ex_order_create(ex, &shape);
    ASSERT(order);
    reply->accepted = order->o;
    ex_order_work(ex, order, &reply->order);
}

void ex_order_cancel(struct exchange *ex, const struct exchange_input *in,
                     struct exchange_reply *reply) {
    if ((reply->code = ex_admit_symbol(ex, in->account, in->instrument)) != 0) return;
    struct ex_order *order =
        ex_order_find(ex, in->account, in->instrument, in->order_id, in->client_id);
    reply->has_order = true;
    if (order) {
        reply->order = order->o;
        reply->order.status = EXO_CANCELED;
        reply->order.update_ns = ex->clock_ns;
        ex_order_end(ex, order, EXO_CANCELED, EXPIRY_NONE, EXEC_CANCELED);
        reply->accepted = reply->order;
        return;
    }
    struct ex_algo *a = ex_algo_find(ex, in->account, in->order_id, in->client_id, true);
    if (a && a->a.instrument == in->instrument) {
        ex_algo_as_order(a, &reply->order);
        reply->order.status = EXO_CANCELED;
        reply->order.update_ns = ex->clock_ns;
        reply->accepted = reply->order;
        ex_algo_end(ex, a, EXA_CANCELED, 0, EXPIRY_NONE);
        return;
    }
    reply->has_order = false;
    reply->code = CODE_CANCEL_UNKNOWN;
}

void ex_cancel_all(struct exchange *ex, uint32_t account, uint32_t s) {
    const struct ex_cell *c = ex_cell(ex, account, s);
    while (c->order_ends.first1)
        ex_order_end(ex, &ex_orders(ex)[c->order_ends.first1 - 1], EXO_CANCELED, EXPIRY_NONE,
                     EXEC_CANCELED);
    ex_algo_cancel_all(ex, account, s, true);
}

/* ---- amendment ---- */

static int32_t admit_amendment(struct exchange *ex, struct ex_order *order,
                               const struct exchange_input *in, int64_t px, int64_t *argument) {
    const struct exchange_order *o = &order->o;
    if (ex_instrument(ex, o->instrument)->status != INSTRUMENT_TRADING) return CODE_AMEND_STATUS;
    if (in->side != o->side) return CODE_SIDE;
    if (in->reduce_only && !o->reduce_only) return CODE_AMEND_REDUCE;
    if (px == o->price.e8 && in->qty.e8 == o->orig_qty.e8) return CODE_AMEND_SAME;
    if (o->amendments >= EX_AMENDMENTS_MAX) return CODE_AMEND_MAX;
    return ex_admit_amended(ex, order, px, in->qty.e8, argument);
}

static void amendment_event(struct exchange *ex, const struct exchange_order *o, px_t px_before,
                            qty_t qty_before) {
    ex_event_order(ex, EXEC_AMENDMENT, o);
    struct exchange_event *e = ex_event(ex, EXE_AMENDED, o->account, o->instrument);
    e->side = o->side;
    e->px = o->price;
    e->px2 = px_before;
    e->qty = o->orig_qty;
    e->qty2 = qty_before;
    e->sequence = ex->tran_id_next++;
    e->u.order = *o;
}

void ex_order_amend(struct exchange *ex, const struct exchange_input *in,
                    struct exchange_reply *reply) {
    int64_t px = in->price.e8;
    if ((reply->code = ex_admit_symbol(ex, in->account, in->instrument)) != 0) return;
    if (in->price_match > PRICE_MATCH_QUEUE_20) reply->code = CODE_PRICE_MATCH;
    if (in->price_match != PRICE_MATCH_NONE && px != 0) reply->code = CODE_PARAM_UNUSED;
    if (reply->code != 0) return;
    struct ex_order *order =
        ex_order_find(ex, in->account, in->instrument, in->order_id, in->client_id);
    if (!order) {
        bool classic = ex_algo_find(ex, in->account, in->order_id, in->client_id, true) != NULL;
        reply->code = classic ? CODE_AMEND_TYPE : CODE_ORDER_UNKNOWN;
        return;
    }
    struct exchange_order *o = &order->o;
    if (in->price_match != PRICE_MATCH_NONE)
        reply->code = ex_admit_price_match(ex, o->instrument, o->side, in->price_match, &px);
    if (reply->code == 0) reply->code = admit_amendment(ex, order, in, px, &reply->argument);
    if (reply->code != 0) return;
    reply->has_order = true;
    reply->argument = 0;
    uint32_t best = match_best(ex_book(ex, o->instrument), ex_other_side(o->side));
    uint32_t tick = ex_tick_of(ex_symbol(ex, o->instrument), px);
    bool crosses = best && (o->side == SIDE_BUY ? best <= tick : best >= tick);
    if (in->qty.e8 <= o->cum_qty.e8 || (o->time_in_force == TIF_GTX && crosses)) {
        reply->order = *o;
        reply->order.status = EXO_CANCELED;
        reply->order.update_ns = ex->clock_ns;
        reply->accepted = reply->order;
        ex_order_end(ex, order, EXO_CANCELED, EXPIRY_NONE, EXEC_CANCELED);
        return;
    }
    px_t px_before = o->price;
    qty_t qty_before = o->orig_qty;
    order_unrest(ex, order); /* a new place at the end of the line */
    order_untime(ex, order);
    o->price = px_e8(px);
    o->orig_qty = in->qty;
    o->price_match = in->price_match;
    o->amendments++;
    o->update_ns = ex->clock_ns;
    order->assumed_px = ex_assumed_px(ex, o);
    amendment_event(ex, o, px_before, qty_before);
    reply->accepted = *o;
    ex_order_work(ex, order, &reply->order);
}
