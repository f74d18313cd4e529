/* Conditional orders: what may be placed, and cancelling. */
#include <string.h>

#include "venue/exchange/exchange_internal.h"

/* ---- placing ---- */

static int64_t working_px(const struct exchange *ex, uint32_t s, uint8_t working_type) {
    const struct ex_symbol *y = ex_symbol(ex, s);
    return working_type == WORKING_CONTRACT_PRICE && y->last ? y->last : y->mark;
}

static int32_t admit_form(const struct exchange *ex, const struct exchange_input *in) {
    bool market = !ex_has_limit(in->type), trailing = in->type == ORDER_TRAILING_STOP_MARKET;
    bool hedge = ex_account(ex, in->account)->hedge != 0;
    if (in->reduce_only && hedge) return CODE_PARAM_UNUSED;
    if (market) {
        if (in->price_match != PRICE_MATCH_NONE) return CODE_PRICE_MATCH_TYPE;
        if (in->time_in_force != TIF_GTC && in->time_in_force != TIF_GTE_GTC)
            return CODE_PARAM_UNUSED;
        if (in->price.e8 != 0) return CODE_PARAM_UNUSED;
    } else if (in->price_match != PRICE_MATCH_NONE && in->price.e8 != 0) {
        return CODE_PARAM_UNUSED;
    }
    if (in->close_position) {
        if (!market || trailing || in->reduce_only) return CODE_PARAM_UNUSED;
        if (in->qty.e8 != 0) return CODE_CLOSE_POSITION_QTY;
        if (hedge && in->position_side != POSITION_BOTH && !ex_closes(in->position_side, in->side))
            return CODE_POSITION_SIDE_MODE;
    }
    /* Trailing: 0.1 … 20 percent. */
    if (trailing && (in->rate.e8 < FX_ONE / 1000 || in->rate.e8 > FX_ONE / 5))
        return CODE_PARAM_INVALID;
    return 0;
}

/* PRICE_FILTER on a trigger or activation price. */
static int32_t admit_stop_px(const struct instrument *in, int64_t px) {
    int32_t code = (int32_t)instrument_check_px(in, px_e8(px));
    if (code == FILTER_PX_LE_ZERO) return CODE_STOP_LE_ZERO;
    if (code == FILTER_PX_HIGH) return CODE_STOP_HIGH;
    return code;
}

/* PERCENT_PRICE of a limit against its own trigger. */
static int32_t admit_stop_band(const struct instrument *in, const struct exchange_input *in_order,
                               int64_t *argument) {
    bool is_buy = in_order->side == SIDE_BUY;
    int64_t multiplier = is_buy ? in->multiplier_up.e8 : in->multiplier_down.e8;
    if (multiplier == 0 || in_order->price_match != PRICE_MATCH_NONE) return 0;
    ex_i128 left = (ex_i128)in_order->price.e8 * FX_ONE;
    ex_i128 right = (ex_i128)in_order->price2.e8 * multiplier;
    if (is_buy ? left <= right : left >= right) return 0;
    *argument = fx_mul_half_even(in_order->price2.e8, multiplier);
    return is_buy ? CODE_STOP_BAND_HIGH : CODE_STOP_BAND_LOW;
}

static int32_t admit_filters(const struct exchange *ex, const struct exchange_input *in,
                             int64_t *argument) {
    const struct instrument *rules = ex_instrument(ex, in->instrument);
    bool market = !ex_has_limit(in->type), trailing = in->type == ORDER_TRAILING_STOP_MARKET;
    bool priced = !market && in->price_match == PRICE_MATCH_NONE;
    int32_t code;
    if (priced && (code = (int32_t)instrument_check_px(rules, in->price)) != 0) return code;
    if (priced && !ex_tick_of(ex_symbol(ex, in->instrument), in->price.e8)) return FILTER_PX_HIGH;
    if (!(trailing && in->price2.e8 == 0) && (code = admit_stop_px(rules, in->price2.e8)) != 0)
        return code;
    if (in->close_position) return 0;
    if ((code = (int32_t)instrument_check_qty(rules, in->qty, market)) != 0) return code;
    if (priced && (code = admit_stop_band(rules, in, argument)) != 0) return code;
    int64_t px = trailing ? ex_mark(ex, in->instrument) : priced ? in->price.e8 : in->price2.e8;
    if ((ex_i128)px * in->qty.e8 / FX_ONE > EX_NOTIONAL_MAX) return CODE_POSITION_MAX;
    if (in->reduce_only) return 0;
    *argument = rules->notional_min.e8;
    return (int32_t)instrument_check_notional(rules, px_e8(px), in->qty);
}

/* Of closePosition orders one stop and one take profit of a direction may wait. */
static bool is_second_of_whole(const struct exchange *ex, const struct exchange_input *in) {
    const struct ex_algo *all = ex_algos(ex);
    for (uint32_t at1 = ex_cell(ex, in->account, in->instrument)->algo_ends.first1; at1;) {
        const struct ex_algo *a = &all[at1 - 1];
        at1 = a->of_cell.next1;
        if (a->a.close_position && a->a.status == EXA_NEW && a->a.side == in->side &&
            a->a.type == in->type && a->a.position_side == in->position_side)
            return true;
    }
    return false;
}

static int32_t admit_algo(struct exchange *ex, const struct exchange_input *in, bool classic,
                          int64_t *until_ns, int64_t *argument) {
    const struct instrument *rules = ex_instrument(ex, in->instrument);
    bool hedge = ex_account(ex, in->account)->hedge != 0;
    int32_t code;
    if (rules->status == INSTRUMENT_CLOSED) return CODE_STATUS_CLOSED;
    if (rules->status == INSTRUMENT_SETTLING && !in->reduce_only && !in->close_position &&
        !ex_closes(in->position_side, in->side))
        return CODE_STATUS_NO_OPENING;
    if (ex_mark(ex, in->instrument) == 0) return CODE_NO_MARKET;
    if ((code = admit_form(ex, in)) != 0) return code;
    if ((code = ex_admit_good_till(ex, in->time_in_force, until_ns)) != 0) return code;
    if ((code = ex_admit_client_id(in->client_id)) != 0) return code;
    if (in->client_id[0] != 0 &&
        (ex_algo_find(ex, in->account, 0, in->client_id, classic) ||
         (classic && ex_order_find(ex, in->account, UINT32_MAX, 0, in->client_id))))
        return CODE_CLIENT_ID_DUPLICATE;
    if ((code = admit_filters(ex, in, argument)) != 0) return code;
    if (hedge != (in->position_side != POSITION_BOTH)) return CODE_POSITION_SIDE_MODE;
    return 0;
}

static bool triggers_now(const struct exchange *ex, const struct exchange_algo *a) {
    if (a->type == ORDER_TRAILING_STOP_MARKET && a->activate_price.e8 == 0) return false;
    return ex_algo_is_reached(a, working_px(ex, a->instrument, a->working_type));
}

static void algo_of_input(const struct exchange *ex, const struct exchange_input *in,
                          int64_t until_ns, struct exchange_algo *a) {
    memset(a, 0, sizeof *a);
    a->account = in->account;
    a->instrument = in->instrument;
    a->side = in->side;
    a->type = in->type;
    a->time_in_force = in->time_in_force;
    a->position_side = in->position_side;
    a->working_type = in->working_type;
    a->stp = in->stp;
    a->price_match = in->price_match;
    a->reduce_only = in->reduce_only != 0;
    a->close_position = in->close_position != 0;
    a->price_protect = in->price_protect != 0;
    if (in->type == ORDER_TRAILING_STOP_MARKET) {
        a->activate_price = in->price2;
        a->callback_rate = in->rate;
    } else {
        a->trigger_price = in->price2;
    }
    a->price = in->price;
    a->qty = in->qty;
    a->good_till_ns = until_ns;
    a->create_ns = a->update_ns = ex->clock_ns;
    memcpy(a->client_algo_id, in->client_id, strnlen(in->client_id, CLIENT_ORDER_ID_SIZE - 1));
}

/* Into a slot, the indexes, and where it waits. */
static struct ex_algo *algo_create(struct exchange *ex, const struct exchange_algo *shape,
                                   bool classic) {
    struct ex_algo *all = ex_algos(ex);
    uint32_t index1 = ex_slot_take(&ex->algo_slots, all, sizeof *all);
    if (!index1) return NULL;
    struct ex_algo *a = &all[index1 - 1];
    struct ex_account *account = ex_account(ex, shape->account);
    struct ex_cell *c = ex_cell(ex, shape->account, shape->instrument);
    a->a = *shape;
    a->classic = classic;
    uint64_t id = classic ? ex->order_id_next++ : ex->algo_id_next++;
    if (classic)
        a->a.actual_order_id = id;
    else
        a->a.algo_id = id;
    if (a->a.client_algo_id[0] == 0) ex_client_id_make(a->a.client_algo_id, "auto-", id);
    ex_algo_index(ex, a);
    ex_list_append(&account->algo_ends, EX_LINKS(all, of_account), index1);
    ex_list_append(&c->algo_ends, EX_LINKS(all, of_cell), index1);
    account->algos++;
    c->algos++;
    ex->algos_open++;
    if (a->a.good_till_ns)
        ex_heap_push(ex, &ex->algo_till1, ex_algo_till_node1(ex, a), a->a.good_till_ns, id);
    if (a->a.type == ORDER_TRAILING_STOP_MARKET && a->a.activate_price.e8 == 0) {
        a->a.activate_price = px_e8(working_px(ex, a->a.instrument, a->a.working_type));
        ex_algo_wait_trail(ex, a, a->a.activate_price.e8);
    } else {
        ex_algo_wait(ex, a);
    }
    return a;
}

void ex_algo_place(struct exchange *ex, const struct exchange_input *in, bool classic,
                   struct exchange_reply *reply) {
    struct exchange_algo shape;
    int64_t until_ns = in->until_ns;
    if ((reply->code = ex_admit_symbol(ex, in->account, in->instrument)) != 0) return;
    if ((reply->code = ex_admit_enums(in)) != 0) return;
    if (!ex_is_conditional(in->type)) reply->code = CODE_ORDER_TYPE;
    if (reply->code == 0) reply->code = admit_algo(ex, in, classic, &until_ns, &reply->argument);
    if (reply->code != 0) return;
    algo_of_input(ex, in, until_ns, &shape);
    if (triggers_now(ex, &shape))
        reply->code = CODE_TRIGGERS_NOW;
    else if (in->close_position && is_second_of_whole(ex, in))
        reply->code = CODE_CLOSE_POSITION_EXISTS;
    else if (ex_account(ex, in->account)->algos >= EX_ALGOS_PER_ACCOUNT)
        reply->code = CODE_ALGOS_MAX;
    if (reply->code != 0) return;
    if (in->kind == EXI_ORDER_TEST) {
        struct ex_algo as_if = {.a = shape};
        reply->has_order = true;
        ex_algo_as_order(&as_if, &reply->order);
        reply->accepted = reply->order;
        return;
    }
    struct ex_algo *a =
        ex->algos_open < ex->config.algos_max ? algo_create(ex, &shape, classic) : NULL;
    if (!a) {
        reply->code = CODE_ALGOS_MAX;
        return;
    }
    reply->argument = 0;
    ex_algo_state(ex, a, EXA_NEW);
    reply->has_algo = !classic;
    reply->algo = a->a;
    if (!classic) return;
    reply->has_order = true;
    ex_algo_as_order(a, &reply->order);
    reply->accepted = reply->order;
    ex_event_order(ex, EXEC_NEW, &reply->order);
}

/* ---- cancelling ---- */

void ex_algo_cancel(struct exchange *ex, const struct exchange_input *in,
                    struct exchange_reply *reply) {
    if (in->account == EXCHANGE_HOUSE || in->account >= ex->account_count) {
        reply->code = CODE_ACCOUNT;
        return;
    }
    struct ex_algo *a = ex_algo_find(ex, in->account, in->order_id, in->client_id, false);
    if (!a) {
        reply->code = CODE_CANCEL_UNKNOWN;
        return;
    }
    if (a->place == PLACE_FIRED) { /* its execution waits for the next input */
        reply->code = CODE_TRIGGERING;
        return;
    }
    reply->has_algo = true;
    reply->algo = a->a;
    reply->algo.status = EXA_CANCELED;
    reply->algo.update_ns = ex->clock_ns;
    ex_algo_end(ex, a, EXA_CANCELED, 0, EXPIRY_NONE);
}

void ex_algo_cancel_all(struct exchange *ex, uint32_t account, uint32_t s, bool classic) {
    uint32_t at1 = ex_cell(ex, account, s)->algo_ends.first1;
    while (at1) {
        struct ex_algo *a = &ex_algos(ex)[at1 - 1];
        at1 = a->of_cell.next1;
        if ((a->classic != 0) == classic) ex_algo_end(ex, a, EXA_CANCELED, 0, EXPIRY_NONE);
    }
}
