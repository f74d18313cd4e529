/* Accounts and their settings; mark, funding and status of contracts. */
#include "venue/exchange/exchange_internal.h"

/* ---- leverage, margin type, position mode ---- */

static bool has_position(const struct ex_cell *c) {
    return c->leg[0].qty != 0 || c->leg[1].qty != 0;
}

/* Could the account carry the contract at this leverage? */
static int32_t admit_leverage(const struct exchange *ex, uint32_t account, uint32_t s,
                              uint32_t leverage) {
    const struct instrument *in = ex_instrument(ex, s);
    const struct ex_cell *c = ex_cell(ex, account, s);
    const struct ex_account *a = ex_account(ex, account);
    uint32_t now = ex_leverage(ex, account, s);
    if (leverage < 1 || leverage > in->brackets[0].leverage_max) return CODE_LEVERAGE;
    if (c->isolated && has_position(c) && leverage < now) return CODE_LEVERAGE_REDUCTION;
    int64_t most = ex_notional_max(in, leverage), im = 0;
    for (uint32_t i = 0; i < 2; i++) {
        const struct ex_leg *leg = &c->leg[i];
        int64_t value = leg->qty ? ex_leg_value(ex, leg, s) : 0;
        ex_i128 bids = (ex_i128)value + leg->bid_notional;
        ex_i128 asks = (ex_i128)leg->ask_notional - value;
        if (bids > most || asks > most) return CODE_POSITION_MAX;
        im += fx_muldiv_ceil(ex_abs(value), 1, (int64_t)leverage);
    }
    int64_t om = ex_order_margin(ex, account, s, leverage, 0, SIDE_NONE, 0);
    int64_t more = om - c->om + (c->isolated ? 0 : im - c->im);
    return more > ex_available(a) ? CODE_LEVERAGE_MARGIN : 0;
}

int32_t ex_set_leverage(struct exchange *ex, const struct exchange_input *in,
                        struct exchange_reply *reply) {
    int32_t code = ex_admit_symbol(ex, in->account, in->instrument);
    if (code != 0) return code;
    reply->argument = in->leverage;
    if ((code = admit_leverage(ex, in->account, in->instrument, in->leverage)) != 0) return code;
    bool is_new = in->leverage != ex_leverage(ex, in->account, in->instrument);
    ex_cell(ex, in->account, in->instrument)->leverage = in->leverage;
    ex_cell_refresh(ex, in->account, in->instrument);
    reply->max_notional =
        money_e8(ex_notional_max(ex_instrument(ex, in->instrument), in->leverage));
    if (is_new) ex_event(ex, EXE_LEVERAGE, in->account, in->instrument)->leverage = in->leverage;
    return 0;
}

int32_t ex_set_margin_type(struct exchange *ex, const struct exchange_input *in) {
    int32_t code = ex_admit_symbol(ex, in->account, in->instrument);
    if (code != 0) return code;
    struct ex_cell *c = ex_cell(ex, in->account, in->instrument);
    bool isolated = in->flag != 0;
    if (isolated == (c->isolated != 0)) return CODE_MARGIN_TYPE_SAME;
    if (c->orders || c->algos) return CODE_MARGIN_TYPE_ORDERS;
    if (has_position(c)) return CODE_MARGIN_TYPE_POSITION;
    c->isolated = isolated;
    ex_account(ex, in->account)->isolated_cells += isolated ? 1 : UINT32_MAX;
    ex_event_account(ex, in->account, in->instrument, 0, REASON_MARGIN_TYPE_CHANGE, 0);
    return 0;
}

int32_t ex_set_position_mode(struct exchange *ex, const struct exchange_input *in) {
    if (!ex_account_is_valid(ex, in->account)) return CODE_ACCOUNT;
    struct ex_account *a = ex_account(ex, in->account);
    bool hedge = in->flag != 0;
    if (hedge == (a->hedge != 0)) return CODE_MODE_SAME;
    if (a->orders || a->algos) return CODE_MODE_ORDERS;
    if (a->held_legs) return CODE_MODE_POSITION;
    a->hedge = hedge;
    /* Sides start anew: what BOTH realized is not what LONG did. */
    for (uint32_t s = 0; s < ex->config.instrument_count; s++) {
        struct ex_cell *c = ex_cell(ex, in->account, s);
        c->leg[0].realized = c->leg[1].realized = 0;
        c->leg[0].update_ns = c->leg[1].update_ns = 0;
    }
    return 0;
}

int32_t ex_set_position_margin(struct exchange *ex, const struct exchange_input *in) {
    int32_t code = ex_admit_symbol(ex, in->account, in->instrument);
    if (code != 0) return code;
    struct ex_account *a = ex_account(ex, in->account);
    struct ex_cell *c = ex_cell(ex, in->account, in->instrument);
    if (in->position_side >= POSITION_SIDE_COUNT) return CODE_POSITION_SIDE;
    if ((a->hedge != 0) != (in->position_side != POSITION_BOTH)) return CODE_POSITION_SIDE_MODE;
    if (in->flag != 1 && in->flag != 2) return CODE_PARAM_INVALID;
    uint32_t leg_index = ex_leg_of(in->position_side);
    struct ex_leg *leg = &c->leg[leg_index];
    int64_t amount = in->amount.e8;
    if (!c->isolated) return CODE_ADD_MARGIN_CROSS;
    if (amount <= 0) return CODE_AMOUNT;
    if (leg->qty == 0) return CODE_ADD_MARGIN_FLAT;
    if (in->flag == 1) {
        int64_t by_wallet = ex_cross_wallet(a) - a->isolated_om - a->cross_mm;
        if (amount > ex_max(0, ex_min(by_wallet, ex_available(a)))) return CODE_CROSS_BALANCE;
    } else {
        int64_t spare = leg->wallet + ex_leg_upnl(ex, leg, in->instrument) -
                        ex_leg_im(ex, in->account, in->instrument, leg);
        if (amount > ex_max(0, ex_min(leg->wallet, spare))) return CODE_ISOLATED_BALANCE;
        amount = -amount;
    }
    leg->wallet += amount;
    a->isolated += amount;
    leg->update_ns = ex->clock_ns;
    ex_cell_dirty(ex, in->account, in->instrument);
    ex_event_account(ex, in->account, in->instrument, leg_index, REASON_MARGIN_TRANSFER, 0);
    return 0;
}

/* Only single-asset mode is there: the nearest thing the venue says to a change it does not make. */
int32_t ex_set_multi_assets(const struct exchange *ex, const struct exchange_input *in) {
    if (!ex_account_is_valid(ex, in->account)) return CODE_ACCOUNT;
    const struct ex_account *a = ex_account(ex, in->account);
    if (!in->flag) return CODE_MULTI_SAME;
    if (a->isolated_cells) return CODE_MULTI_ISOLATED;
    return a->orders || a->algos ? CODE_MULTI_ORDERS : CODE_MULTI_MARGIN;
}

/* ---- accounts ---- */

static void deposit(struct exchange *ex, uint32_t account, int64_t amount,
                    enum exchange_reason reason) {
    struct ex_account *a = ex_account(ex, account);
    a->wallet += amount;
    a->deposits += amount;
    a->update_ns = ex->clock_ns;
    ex->deposits += amount;
    if (account == EXCHANGE_HOUSE) return;
    ex_event_account(ex, account, UINT32_MAX, 0, reason, amount);
    ex_event_income(ex, account, UINT32_MAX, INCOME_TRANSFER, amount, 0);
}

int32_t ex_account_open(struct exchange *ex, const struct exchange_input *in,
                        struct exchange_reply *reply) {
    if (ex->account_count >= ex->config.accounts_max) return CODE_ACCOUNT;
    if (in->amount.e8 < 0) return CODE_AMOUNT;
    reply->account = ex->account_count++;
    if (in->amount.e8) deposit(ex, reply->account, in->amount.e8, REASON_DEPOSIT);
    return 0;
}

int32_t ex_deposit(struct exchange *ex, const struct exchange_input *in) {
    int64_t amount = in->amount.e8;
    if (in->account >= ex->account_count) return CODE_ACCOUNT;
    if (amount == 0) return CODE_AMOUNT;
    if (amount < 0 && in->account != EXCHANGE_HOUSE &&
        -amount > ex_max_withdraw(ex_account(ex, in->account)))
        return CODE_BALANCE;
    deposit(ex, in->account, amount, amount > 0 ? REASON_DEPOSIT : REASON_WITHDRAW);
    return 0;
}

int32_t ex_set_fees(struct exchange *ex, const struct exchange_input *in) {
    if (!ex_account_is_valid(ex, in->account)) return CODE_ACCOUNT;
    /* A rebate may not exceed what the other side pays, nor a fee the trade itself. */
    if (ex_abs(in->rate.e8) > FX_ONE / 10 || ex_abs(in->rate2.e8) > FX_ONE / 10)
        return CODE_PARAM_INVALID;
    struct ex_account *a = ex_account(ex, in->account);
    a->fee_maker = in->rate.e8;
    a->fee_taker = in->rate2.e8;
    a->fees_set = 1;
    return 0;
}

/* ---- countdown ---- */

void ex_countdown_min(struct exchange *ex) {
    ex->countdown_min = EX_NEVER;
    for (uint32_t at1 = ex->countdowns.first1; at1; at1 = ex_cells(ex)[at1 - 1].of_countdown.next1)
        ex->countdown_min = ex_min(ex->countdown_min, ex_cells(ex)[at1 - 1].countdown_ns);
}

int32_t ex_set_countdown(struct exchange *ex, const struct exchange_input *in) {
    int32_t code = ex_admit_symbol(ex, in->account, in->instrument);
    if (code != 0) return code;
    struct ex_cell *c = ex_cell(ex, in->account, in->instrument);
    struct ex_links links = EX_LINKS(ex_cells(ex), of_countdown);
    uint32_t index1 = ex_cell_index(ex, in->account, in->instrument) + 1;
    if (c->counting) ex_list_remove(&ex->countdowns, links, index1);
    c->counting = in->until_ns > 0;
    c->countdown_ns = c->counting ? in->until_ns : 0;
    if (c->counting) ex_list_append(&ex->countdowns, links, index1);
    ex_countdown_min(ex);
    return 0;
}

/* ---- contracts ---- */

int32_t ex_set_mark(struct exchange *ex, const struct exchange_input *in) {
    if (in->instrument >= ex->config.instrument_count) return CODE_SYMBOL;
    if (in->price.e8 <= 0) return FILTER_PX_LE_ZERO;
    struct ex_symbol *y = ex_symbol(ex, in->instrument);
    y->mark = in->price.e8;
    y->index = in->price2.e8 > 0 ? in->price2.e8 : in->price.e8;
    y->mark_ns = ex->clock_ns;
    struct exchange_event *e = ex_event(ex, EXE_MARK, 0, in->instrument);
    e->px = px_e8(y->mark);
    e->px2 = px_e8(y->index);
    for (uint32_t at1 = y->cell_ends.first1; at1; at1 = ex_cells(ex)[at1 - 1].of_symbol.next1) {
        uint32_t account = (at1 - 1) / ex->config.instrument_count;
        ex_cell_refresh(ex, account, in->instrument);
        ex_cell_dirty(ex, account, in->instrument);
    }
    ex_algo_price(ex, in->instrument, FEED_MARK, y->mark);
    return 0;
}

static void leg_funding(struct exchange *ex, uint32_t account, uint32_t s, uint32_t leg_index,
                        int64_t rate) {
    struct ex_account *a = ex_account(ex, account);
    struct ex_cell *c = ex_cell(ex, account, s);
    struct ex_leg *leg = &c->leg[leg_index];
    int64_t amount = -fx_mul_half_even(ex_leg_value(ex, leg, s), rate);
    a->wallet += amount;
    a->funding += amount;
    a->update_ns = ex->clock_ns;
    ex->funding_pool -= amount;
    if (c->isolated) { /* its wallet pays first, the cross wallet what it lacks */
        int64_t part = ex_max(amount, -leg->wallet);
        leg->wallet += part;
        a->isolated += part;
        leg->update_ns = ex->clock_ns;
    }
    if (account == EXCHANGE_HOUSE || amount == 0) return;
    ex_event_account(ex, account, c->isolated ? s : UINT32_MAX, leg_index, REASON_FUNDING_FEE,
                     amount);
    ex_event_income(ex, account, s, INCOME_FUNDING_FEE, amount, 0);
}

int32_t ex_funding(struct exchange *ex, const struct exchange_input *in) {
    uint32_t s = in->instrument;
    if (s >= ex->config.instrument_count) return CODE_SYMBOL;
    struct ex_symbol *y = ex_symbol(ex, s);
    if (y->mark == 0) return CODE_NO_MARKET;
    y->funding_last = in->rate.e8;
    for (uint32_t at1 = y->cell_ends.first1; at1; at1 = ex_cells(ex)[at1 - 1].of_symbol.next1) {
        uint32_t account = (at1 - 1) / ex->config.instrument_count;
        for (uint32_t i = 0; i < 2; i++)
            if (ex_cells(ex)[at1 - 1].leg[i].qty) leg_funding(ex, account, s, i, in->rate.e8);
        ex_cell_dirty(ex, account, s);
    }
    return 0;
}

int32_t ex_set_status(struct exchange *ex, const struct exchange_input *in) {
    if (in->instrument >= ex->config.instrument_count) return CODE_SYMBOL;
    if (in->status > INSTRUMENT_CLOSED) return CODE_PARAM_INVALID;
    struct instrument *rules = ex_instrument(ex, in->instrument);
    bool closes = in->status == INSTRUMENT_CLOSED && rules->status != INSTRUMENT_CLOSED;
    rules->status = in->status;
    ex_event(ex, EXE_STATUS, 0, in->instrument)->status = in->status;
    if (closes) ex_settle_symbol(ex, in->instrument);
    return 0;
}
