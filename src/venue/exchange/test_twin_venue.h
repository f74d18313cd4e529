/* The naive twin: what is not an order: settings, mark, funding, settlement, timers; and one whole input. */
#ifndef VENUE_EXCHANGE_TEST_TWIN_VENUE_H
#define VENUE_EXCHANGE_TEST_TWIN_VENUE_H

#include "venue/exchange/test_twin_forced.h"

/* ---- settings ---- */

static inline int32_t tw_set_leverage(struct tw *w, const struct exchange_input *in,
                                      struct exchange_reply *reply) {
    struct tw_account *a = &w->account[in->account];
    uint32_t s = in->instrument, was = a->leverage[s], now = tw_leverage(w, in->account, s);
    const struct instrument *rules = &w->in[s];
    bool held = a->position[s][0].qty || a->position[s][1].qty;
    if (in->leverage < 1 || in->leverage > rules->brackets[0].leverage_max) return -4028;
    if (a->isolated[s] && held && in->leverage < now) return -4161;
    int64_t most = 0, need[2] = {0};
    for (uint32_t i = 0; i < rules->bracket_count; i++)
        if (rules->brackets[i].leverage_max >= in->leverage)
            most = tw_max(most, rules->brackets[i].notional_cap.e8);
    for (int leg = 0; leg < 2; leg++) {
        int64_t value = tw_value(w, s, a->position[s][leg].qty);
        if (value + tw_resting(w, in->account, s, leg, SIDE_BUY, true, 0) > most) return -2027;
        if (-value + tw_resting(w, in->account, s, leg, SIDE_SELL, true, 0) > most) return -2027;
    }
    int64_t available = tw_available(w, in->account);
    for (int i = 0; i < 2; i++) { /* what the contract needs, before and after */
        need[i] = tw_order_margin(w, in->account, s, 0, SIDE_NONE, 0, 0);
        for (int leg = 0; leg < 2 && !a->isolated[s]; leg++)
            need[i] += tw_position_margin(w, in->account, s, &a->position[s][leg]);
        a->leverage[s] = in->leverage;
    }
    if (need[1] - need[0] > available) {
        a->leverage[s] = was;
        return -2028;
    }
    reply->max_notional.e8 = most;
    return 0;
}

static inline bool tw_has_open(const struct tw *w, uint32_t account, uint32_t s) {
    for (int i = 0; i < w->order_count; i++)
        if (w->order[i].o.account == account && (s >= w->symbols || w->order[i].o.instrument == s))
            return true;
    for (int i = 0; i < w->algo_count; i++)
        if (w->algo[i].a.account == account && (s >= w->symbols || w->algo[i].a.instrument == s))
            return true;
    return false;
}

static inline int32_t tw_set_margin_type(struct tw *w, const struct exchange_input *in) {
    struct tw_account *a = &w->account[in->account];
    uint32_t s = in->instrument;
    if (a->isolated[s] == (in->flag != 0)) return -4046;
    if (tw_has_open(w, in->account, s)) return -4047;
    if (a->held[s]) return -4048;
    a->isolated[s] = in->flag;
    tw_count(w, TW_MARGIN_TYPES);
    return 0;
}

static inline int32_t tw_set_position_mode(struct tw *w, const struct exchange_input *in) {
    struct tw_account *a = &w->account[in->account];
    if (a->hedge == (in->flag != 0)) return -4059;
    if (tw_has_open(w, in->account, w->symbols)) return -4067;
    for (uint32_t s = 0; s < w->symbols; s++)
        if (a->held[s]) return -4068;
    a->hedge = in->flag;
    tw_count(w, TW_POSITION_MODES);
    for (uint32_t s = 0; s < w->symbols; s++)
        for (int leg = 0; leg < 2; leg++)
            a->position[s][leg].realized = a->position[s][leg].update_ns = 0;
    return 0;
}

static inline int32_t tw_set_position_margin(struct tw *w, const struct exchange_input *in) {
    struct tw_account *a = &w->account[in->account];
    uint32_t s = in->instrument;
    if (in->position_side > POSITION_SHORT) return -4060;
    if (a->hedge == (in->position_side == POSITION_BOTH)) return -4061;
    if (in->flag != 1 && in->flag != 2) return -1130;
    struct tw_position *p = &a->position[s][tw_leg(in->position_side)];
    int64_t amount = in->amount.e8;
    if (!a->isolated[s]) return -4049;
    if (amount <= 0) return -4055;
    if (!p->qty) return -4054;
    struct exchange_account look;
    tw_look(w, in->account, &look);
    int64_t isolated_om = 0, removable = p->wallet + tw_unrealized(w, s, p) -
                                         tw_position_margin(w, in->account, s, p);
    for (uint32_t i = 0; i < w->symbols; i++)
        if (a->isolated[i]) isolated_om += tw_order_margin(w, in->account, i, 0, SIDE_NONE, 0, 0);
    int64_t addable = look.cross_wallet.e8 - isolated_om - tw_cross_of(w, in->account).maintenance;
    if (in->flag == 1 && amount > tw_max(0, tw_min(addable, look.available.e8))) return -4050;
    if (in->flag == 2 && amount > tw_max(0, tw_min(p->wallet, removable))) return -4051;
    p->wallet += in->flag == 1 ? amount : -amount;
    p->update_ns = w->now;
    tw_doubt(w, in->account, s);
    return 0;
}

static inline int32_t tw_set_multi_assets(const struct tw *w, const struct exchange_input *in) {
    if (!in->flag) return -4171;
    for (uint32_t s = 0; s < w->symbols; s++)
        if (w->account[in->account].isolated[s]) return -4167;
    return tw_has_open(w, in->account, w->symbols) ? -4170 : -4169;
}

static inline int32_t tw_deposit(struct tw *w, const struct exchange_input *in) {
    struct exchange_account look;
    int64_t amount = in->amount.e8;
    if (in->account >= w->accounts) return -1109;
    if (amount == 0) return -4055;
    tw_look(w, in->account, &look);
    if (amount < 0 && in->account != EXCHANGE_HOUSE && -amount > look.max_withdraw.e8) return -2018;
    struct tw_account *a = &w->account[in->account];
    a->wallet += amount;
    a->deposits += amount;
    a->update_ns = w->now;
    w->deposits += amount;
    tw_income(w, in->account, INCOME_TRANSFER, amount);
    return 0;
}

/* ---- contracts ---- */

/* Holders of a contract, in the order they came to hold it; after: rank of the one before. */
static inline bool tw_next_holder(const struct tw *w, uint32_t s, uint64_t after, uint32_t *out) {
    uint64_t best = 0;
    for (uint32_t i = 0; i < w->accounts; i++) {
        uint64_t rank = w->account[i].held[s];
        if (rank <= after || (best && rank > best)) continue;
        best = rank;
        *out = i;
    }
    return best != 0;
}

static inline int32_t tw_set_mark(struct tw *w, const struct exchange_input *in) {
    uint32_t s = in->instrument, account = 0;
    if (s >= w->symbols) return -1121;
    if (in->price.e8 <= 0) return -4001;
    w->market[s].mark = in->price.e8;
    w->market[s].index = in->price2.e8 > 0 ? in->price2.e8 : in->price.e8;
    for (uint64_t after = 0; tw_next_holder(w, s, after, &account);) {
        after = w->account[account].held[s];
        tw_doubt(w, account, s);
    }
    tw_algo_price(w, s, WORKING_MARK_PRICE, in->price.e8);
    return 0;
}

static inline int32_t tw_funding(struct tw *w, const struct exchange_input *in) {
    uint32_t s = in->instrument, account = 0;
    if (s >= w->symbols) return -1121;
    if (!w->market[s].mark) return -2016;
    w->market[s].funding_last = in->rate.e8;
    for (uint64_t after = 0; tw_next_holder(w, s, after, &account);) {
        struct tw_account *a = &w->account[account];
        after = a->held[s];
        for (int leg = 0; leg < 2; leg++) {
            struct tw_position *p = &a->position[s][leg];
            if (!p->qty) continue;
            int64_t amount = -tw_even(tw_value(w, s, p->qty), in->rate.e8, FX_ONE);
            a->wallet += amount;
            a->funding += amount;
            a->update_ns = w->now;
            w->funding_pool -= amount;
            tw_income(w, account, INCOME_FUNDING_FEE, amount);
            tw_count(w, TW_FUNDINGS);
            if (!a->isolated[s]) continue;
            p->wallet = tw_max(0, p->wallet + amount); /* what it lacks, the cross wallet pays */
            p->update_ns = w->now;
        }
        tw_doubt(w, account, s);
    }
    return 0;
}

/* Delisting: orders expire, positions are settled at mark. */
static inline void tw_settle(struct tw *w, uint32_t s) {
    uint32_t account = 0;
    for (int i = 0; i < w->quote_count; i++)
        if (w->quote[i].s == s) tw_quote_drop(w, &w->quote[i--]);
    for (int i = 0; i < w->order_count; i++)
        if (w->order[i].o.instrument == s) {
            tw_end(w, &w->order[i], EXO_EXPIRED, EXPIRY_DELIST);
            i = -1;
        }
    for (int i = 0; i < w->algo_count; i++)
        if (w->algo[i].a.instrument == s) tw_algo_end(w, &w->algo[i--], EXA_EXPIRED, EXPIRY_DELIST);
    while (tw_next_holder(w, s, 0, &account))
        for (int leg = 0; leg < 2; leg++) {
            int64_t qty = w->account[account].position[s][leg].qty, mark = w->market[s].mark;
            if (!qty) continue;
            struct exchange_order o = tw_forced_order(w, account, s, leg, FORCED_SETTLEMENT, mark);
            struct tw_booked b =
                tw_book_fill(w, account, s, leg, o.side, mark, tw_abs(qty), 0, false);
            w->funding_pool += tw_sign(o.side) * b.cost; /* rounding: values of longs and shorts */
            if (account == EXCHANGE_HOUSE) continue;
            w->market[s].trade_id++;
            tw_income(w, account, INCOME_REALIZED_PNL, b.realized);
            tw_forced_count(w, &o, tw_abs(qty), b.cost);
            tw_doubt(w, account, s);
            tw_count(w, TW_SETTLED);
        }
}

static inline int32_t tw_set_status(struct tw *w, const struct exchange_input *in) {
    if (in->instrument >= w->symbols) return -1121;
    if (in->status > INSTRUMENT_CLOSED) return -1130;
    bool closes = in->status == INSTRUMENT_CLOSED && w->in[in->instrument].status != in->status;
    w->in[in->instrument].status = in->status;
    if (closes) tw_settle(w, in->instrument);
    return 0;
}

static inline int32_t tw_print(struct tw *w, const struct exchange_input *in) {
    uint32_t s = in->instrument;
    if (s >= w->symbols) return -1121;
    if (in->side != SIDE_BUY && in->side != SIDE_SELL) return -1117;
    if (in->price.e8 <= 0) return -4001;
    if (in->qty.e8 <= 0) return -4003;
    w->market[s].last = in->price.e8;
    w->log->trade[w->log->trade_count++] =
        (struct tw_trade){s, in->side, in->price.e8, in->qty.e8, ++w->market[s].trade_id};
    tw_algo_price(w, s, WORKING_CONTRACT_PRICE, in->price.e8);
    return 0;
}

/* ---- cancelling ---- */

static inline void tw_cancel_all(struct tw *w, uint32_t account, uint32_t s, bool orders,
                                 bool algos, bool classic) {
    for (int i = 0; orders && i < w->order_count; i++)
        if (w->order[i].o.account == account && w->order[i].o.instrument == s) {
            tw_end(w, &w->order[i], EXO_CANCELED, EXPIRY_NONE);
            i = -1;
        }
    for (int i = 0; i < w->algo_count; i++)
        if (w->algo[i].a.account == account && w->algo[i].a.instrument == s &&
            (w->algo[i].classic ? classic : algos))
            tw_algo_end(w, &w->algo[i--], EXA_CANCELED, EXPIRY_NONE);
}

static inline struct tw_algo *tw_algo_named(struct tw *w, const struct exchange_input *in,
                                            bool classic) {
    for (int i = 0; i < w->algo_count; i++) {
        const struct exchange_algo *a = &w->algo[i].a;
        if (w->algo[i].classic != classic || a->account != in->account) continue;
        uint64_t id = classic ? a->actual_order_id : a->algo_id;
        if (in->order_id ? id == in->order_id : strcmp(a->client_algo_id, in->client_id) == 0)
            return &w->algo[i];
    }
    return NULL;
}

static inline void tw_order_cancel(struct tw *w, const struct exchange_input *in,
                                   struct exchange_reply *reply) {
    struct tw_order *r =
        tw_order_named(w, in->account, in->instrument, in->order_id, in->client_id);
    struct tw_algo *x = r ? NULL : tw_algo_named(w, in, true);
    if (x && x->a.instrument != in->instrument) x = NULL;
    if (!r && !x) {
        reply->code = -2011;
        return;
    }
    tw_count(w, TW_CANCELED);
    reply->has_order = true;
    reply->order = r ? r->o : tw_algo_as_order(&x->a);
    reply->order.status = EXO_CANCELED;
    reply->order.update_ns = w->now;
    reply->accepted = reply->order;
    if (r)
        tw_end(w, r, EXO_CANCELED, EXPIRY_NONE);
    else
        tw_algo_end(w, x, EXA_CANCELED, EXPIRY_NONE);
}

static inline void tw_algo_cancel(struct tw *w, const struct exchange_input *in,
                                  struct exchange_reply *reply) {
    struct tw_algo *x = tw_algo_named(w, in, false);
    if (!x) {
        reply->code = -2011;
        return;
    }
    reply->has_algo = true;
    reply->algo = x->a;
    reply->algo.status = EXA_CANCELED;
    reply->algo.update_ns = w->now;
    tw_algo_end(w, x, EXA_CANCELED, EXPIRY_NONE);
}

/* ---- one input ---- */

/* What has run out by now: orders, then conditional orders, then countdowns. */
static inline void tw_timers(struct tw *w) {
    for (int i = 0; i < w->order_count; i++)
        if (w->order[i].rank && w->order[i].o.good_till_ns &&
            w->order[i].o.good_till_ns <= w->now) {
            tw_count(w, TW_GTD_EXPIRED);
            tw_end(w, &w->order[i], EXO_EXPIRED, EXPIRY_NONE);
            i = -1;
        }
    for (int i = 0; i < w->algo_count; i++)
        if (w->algo[i].a.good_till_ns && w->algo[i].a.good_till_ns <= w->now)
            tw_algo_end(w, &w->algo[i--], EXA_EXPIRED, EXPIRY_NONE);
    for (uint32_t a = 1; a < w->accounts; a++)
        for (uint32_t s = 0; s < w->symbols; s++) {
            int64_t *at = &w->account[a].countdown[s];
            if (!*at || *at > w->now) continue;
            tw_count(w, TW_COUNTDOWNS);
            *at = 0;
            tw_cancel_all(w, a, s, true, w->config.countdown_cancels_algos, true);
        }
}

static inline void tw_order_input(struct tw *w, const struct exchange_input *in,
                                  struct exchange_reply *reply) {
    reply->code = tw_admit_enums(in);
    if (reply->code) return;
    if (!tw_is_conditional(in->type))
        tw_order_place(w, in, reply);
    else if (w->config.classic_conditional)
        tw_algo_place(w, in, true, reply);
    else
        reply->code = -4120;
}

static inline void tw_amend_input(struct tw *w, const struct exchange_input *in,
                                  struct exchange_reply *reply) {
    if (in->price_match > PRICE_MATCH_QUEUE_20)
        reply->code = -5037;
    else
        tw_order_amend(w, in, reply, tw_algo_named(w, in, true) != NULL);
}

static inline void tw_countdown(struct tw *w, const struct exchange_input *in) {
    w->account[in->account].countdown[in->instrument] = in->until_ns > 0 ? in->until_ns : 0;
}

static inline int32_t tw_set_fees(struct tw *w, const struct exchange_input *in) {
    if (tw_abs(in->rate.e8) > FX_ONE / 10 || tw_abs(in->rate2.e8) > FX_ONE / 10) return -1130;
    w->account[in->account].fee_maker = in->rate.e8;
    w->account[in->account].fee_taker = in->rate2.e8;
    w->account[in->account].fees_set = true;
    return 0;
}

/* Inputs of one account, which is there (and the contract where the input names one). */
static inline void tw_account_input(struct tw *w, const struct exchange_input *in,
                                    struct exchange_reply *reply) {
    switch ((enum exchange_input_kind)in->kind) {
    case EXI_ORDER_PLACE:
    case EXI_ORDER_TEST:
        tw_order_input(w, in, reply);
        break;
    case EXI_ORDER_CANCEL:
        tw_order_cancel(w, in, reply);
        break;
    case EXI_ORDER_AMEND:
        tw_amend_input(w, in, reply);
        break;
    case EXI_CANCEL_ALL:
        tw_cancel_all(w, in->account, in->instrument, true, false, true);
        break;
    case EXI_COUNTDOWN:
        tw_countdown(w, in);
        break;
    case EXI_ALGO_PLACE:
        reply->code = tw_admit_enums(in);
        if (!reply->code) tw_algo_place(w, in, false, reply);
        break;
    case EXI_ALGO_CANCEL:
        tw_algo_cancel(w, in, reply);
        break;
    case EXI_ALGO_CANCEL_ALL:
        tw_cancel_all(w, in->account, in->instrument, false, true, false);
        break;
    case EXI_LEVERAGE:
        reply->code = tw_set_leverage(w, in, reply);
        break;
    case EXI_MARGIN_TYPE:
        reply->code = tw_set_margin_type(w, in);
        break;
    case EXI_POSITION_MODE:
        reply->code = tw_set_position_mode(w, in);
        break;
    case EXI_POSITION_MARGIN:
        reply->code = tw_set_position_margin(w, in);
        break;
    case EXI_MULTI_ASSETS:
        reply->code = tw_set_multi_assets(w, in);
        break;
    case EXI_FEES:
        reply->code = tw_set_fees(w, in);
        break;
    case EXI_ACCOUNT_OPEN:
    case EXI_DEPOSIT:
    case EXI_QUOTE:
    case EXI_PRINT:
    case EXI_MARK:
    case EXI_FUNDING:
    case EXI_STATUS:
    case EXI_FILTERS:
    case EXI_TIME:
        fail_msg("not an input of an account");
        break;
    }
}

static inline int32_t tw_open(struct tw *w, const struct exchange_input *in,
                              struct exchange_reply *reply) {
    if (w->accounts >= w->config.accounts_max) return -1109;
    if (in->amount.e8 < 0) return -4055;
    reply->account = w->accounts++;
    struct exchange_input deposit = {.account = reply->account, .amount = in->amount};
    return in->amount.e8 ? tw_deposit(w, &deposit) : 0;
}

static inline void tw_input(struct tw *w, const struct exchange_input *in,
                            struct exchange_reply *reply) {
    bool names_symbol = true;
    switch ((enum exchange_input_kind)in->kind) {
    case EXI_ACCOUNT_OPEN:
        reply->code = tw_open(w, in, reply);
        return;
    case EXI_DEPOSIT:
        reply->code = tw_deposit(w, in);
        return;
    case EXI_QUOTE:
        reply->code = tw_house_quote(w, in);
        return;
    case EXI_PRINT:
        reply->code = tw_print(w, in);
        return;
    case EXI_MARK:
        reply->code = tw_set_mark(w, in);
        return;
    case EXI_FUNDING:
        reply->code = tw_funding(w, in);
        return;
    case EXI_STATUS:
        reply->code = tw_set_status(w, in);
        return;
    case EXI_FILTERS:
        reply->code = in->instrument >= w->symbols ? -1121 : 0;
        return;
    case EXI_TIME:
        return;
    case EXI_ALGO_CANCEL:
    case EXI_POSITION_MODE:
    case EXI_MULTI_ASSETS:
    case EXI_FEES:
        names_symbol = false;
        break;
    case EXI_ORDER_PLACE:
    case EXI_ORDER_TEST:
    case EXI_ORDER_CANCEL:
    case EXI_ORDER_AMEND:
    case EXI_CANCEL_ALL:
    case EXI_COUNTDOWN:
    case EXI_ALGO_PLACE:
    case EXI_ALGO_CANCEL_ALL:
    case EXI_LEVERAGE:
    case EXI_MARGIN_TYPE:
    case EXI_POSITION_MARGIN:
        break;
    }
    reply->code = tw_admit_account(w, in->account, names_symbol ? in->instrument : 0);
    if (!reply->code) tw_account_input(w, in, reply);
}

static inline void tw_step(struct tw *w, const struct exchange_input *in, int64_t now,
                           struct exchange_reply *reply) {
    *reply = (struct exchange_reply){0};
    w->now = now;
    tw_timers(w);
    tw_input(w, in, reply);
    /* Margin first: what fired comes to a book whose liquidations are done. */
    while (w->doubt_count > 0 || tw_algo_any_fired(w)) {
        if (w->doubt_count == 0) {
            tw_algo_execute(w);
            continue;
        }
        struct tw_doubt d = w->doubt[0];
        memmove(w->doubt, w->doubt + 1, (size_t)--w->doubt_count * sizeof d);
        tw_check(w, d.account, d.s);
    }
}

static inline void tw_init(struct tw *w, struct tw_log *log, const struct exchange_config *config) {
    memset(w, 0, sizeof *w);
    memset(log, 0, sizeof *log);
    w->log = log;
    w->config = *config;
    w->symbols = config->instrument_count;
    memcpy(w->in, config->instruments, w->symbols * sizeof *w->in);
    w->accounts = 1;
    w->next_order_id = config->first_order_id;
    w->next_algo_id = config->first_algo_id;
    for (uint32_t s = 0; s < w->symbols; s++) w->market[s].trade_id = config->first_trade_id - 1;
}

#endif
