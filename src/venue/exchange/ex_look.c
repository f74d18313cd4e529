/* What others may see of the exchange. Nothing here changes anything. */
#include <string.h>

#include "venue/exchange/exchange_internal.h"

/* ---- liquidation price ---- */

/* Margin beyond maintenance of the cell's legs at a mark, given what else backs them. */
static ex_i128 margin_at(const struct exchange *ex, const struct ex_cell *c, uint32_t s,
                         uint32_t first, uint32_t last, int64_t backing, int64_t mark) {
    ex_i128 sum = backing;
    for (uint32_t i = first; i <= last; i++) {
        const struct ex_leg *leg = &c->leg[i];
        if (leg->qty == 0) continue;
        int64_t value = fx_mul_half_even(leg->qty, mark);
        sum += (ex_i128)value - leg->entry_cost -
               instrument_maint_margin(ex_instrument(ex, s), money_e8(ex_abs(value))).e8;
    }
    return sum;
}

/* The mark at which margin falls to maintenance, on the side where the net position loses: the condition
 * itself is searched, so brackets need no guessing. 0: none. Margin is concave in the mark, so between the
 * present mark and the border it changes sign once. */
static int64_t liquidation_px(const struct exchange *ex, uint32_t account, uint32_t s,
                              uint32_t leg) {
    const struct ex_cell *c = ex_cell(ex, account, s);
    const struct ex_account *a = ex_account(ex, account);
    uint32_t first = c->isolated ? leg : 0, last = c->isolated ? leg : 1;
    int64_t backing = c->leg[leg].wallet, net = c->leg[leg].qty, gross = ex_abs(net);
    if (!c->isolated) {
        backing = ex_cross_wallet(a) + a->cross_upnl - c->upnl - (a->cross_mm - c->mm);
        net = c->leg[0].qty + c->leg[1].qty;
        gross = ex_abs(c->leg[0].qty) + ex_abs(c->leg[1].qty);
    }
    int64_t mark = ex_mark(ex, s);
    if (gross == 0 || net == 0) return 0;
    ex_i128 safe_sum = margin_at(ex, c, s, first, last, backing, mark);
    if (safe_sum <= 0) return mark;
    ex_i128 most = (ex_i128)INT64_C(4000000000000000000) * FX_ONE / gross;
    int64_t safe = mark, gone = net > 0 ? 1 : most > INT64_MAX / 4 ? INT64_MAX / 4 : (int64_t)most;
    if (gone <= safe && net < 0) return 0;
    ex_i128 gone_sum = margin_at(ex, c, s, first, last, backing, gone);
    if (gone_sum > 0) return 0;
    /* Within a bracket it is a line: where that would cross, and each third time the middle. */
    for (int step = 1; ex_abs(safe - gone) > 1; step++) {
        int64_t mid = gone + (safe - gone) / 2, one = safe > gone ? 1 : -1;
        if (step % 3 != 0)
            mid = gone + (int64_t)((ex_i128)(safe - gone) * -gone_sum / (safe_sum - gone_sum));
        if (mid == gone) mid = gone + one;
        if (mid == safe) mid = safe - one;
        ex_i128 sum = margin_at(ex, c, s, first, last, backing, mid);
        if (sum > 0) {
            safe = mid;
            safe_sum = sum;
        } else {
            gone = mid;
            gone_sum = sum;
        }
    }
    return gone;
}

/* ---- positions and accounts ---- */

void ex_position_fill(const struct exchange *ex, uint32_t account, uint32_t s, uint32_t leg_index,
                      bool with_liquidation_px, struct exchange_position *out) {
    const struct ex_cell *c = ex_cell(ex, account, s);
    const struct ex_leg *leg = &c->leg[leg_index];
    bool hedge = ex_account(ex, account)->hedge != 0;
    memset(out, 0, sizeof *out);
    out->qty = qty_e8(leg->qty);
    out->entry_cost = money_e8(leg->entry_cost);
    out->isolated_wallet = money_e8(leg->wallet);
    out->realized = money_e8(leg->realized);
    out->bid_notional = money_e8(leg->bid_notional);
    out->ask_notional = money_e8(leg->ask_notional);
    out->update_ns = leg->update_ns;
    if (account != EXCHANGE_HOUSE) {
        int64_t mine = leg_index == 0 ? leg->bid_notional : leg->ask_notional;
        out->open_order_margin =
            money_e8(hedge ? fx_muldiv_ceil(mine, 1, (int64_t)ex_leverage(ex, account, s)) : c->om);
    }
    if (leg->qty == 0) return;
    int64_t size = ex_abs(leg->qty), sign = leg->qty > 0 ? 1 : -1;
    out->entry_px = px_e8(fx_muldiv_half_even(sign * leg->entry_cost, FX_ONE, size));
    out->break_even_px =
        px_e8(fx_muldiv_half_even(sign * (leg->entry_cost + leg->fees), FX_ONE, size));
    out->unrealized = money_e8(ex_leg_upnl(ex, leg, s));
    if (account == EXCHANGE_HOUSE) return;
    out->initial_margin = money_e8(ex_leg_im(ex, account, s, leg));
    out->maint_margin = money_e8(ex_leg_mm(ex, leg, s));
    if (with_liquidation_px) out->liquidation_px = px_e8(liquidation_px(ex, account, s, leg_index));
}

void exchange_account_get(const struct exchange *ex, uint32_t account,
                          struct exchange_account *out) {
    ASSERT(account < ex->account_count);
    const struct ex_account *a = ex_account(ex, account);
    memset(out, 0, sizeof *out);
    out->wallet = money_e8(a->wallet);
    out->cross_wallet = money_e8(ex_cross_wallet(a));
    out->unrealized = money_e8(a->cross_upnl + a->isolated_upnl);
    out->cross_unrealized = money_e8(a->cross_upnl);
    out->position_margin = money_e8(a->cross_im + a->isolated_im);
    out->order_margin = money_e8(a->cross_om + a->isolated_om);
    out->initial_margin = money_e8(out->position_margin.e8 + out->order_margin.e8);
    out->maint_margin = money_e8(a->cross_mm + a->isolated_mm);
    out->available = money_e8(ex_available(a));
    out->max_withdraw = money_e8(ex_max_withdraw(a));
    out->realized_pnl = money_e8(a->realized);
    out->fees = money_e8(a->fees);
    out->funding = money_e8(a->funding);
    out->deposits = money_e8(a->deposits);
    out->insurance = money_e8(a->insurance);
    out->fee_maker = rate_e8(ex_fee_rate(ex, account, 0, true));
    out->fee_taker = rate_e8(ex_fee_rate(ex, account, 0, false));
    out->hedge = a->hedge != 0;
    out->open_orders = a->orders;
    out->open_algos = a->algos;
    out->update_ns = a->update_ns;
}

rate_t exchange_fee_rate(const struct exchange *ex, uint32_t account, uint32_t instrument,
                         bool maker) {
    ASSERT(account < ex->account_count && instrument < ex->config.instrument_count);
    return rate_e8(ex_fee_rate(ex, account, instrument, maker));
}

uint32_t exchange_account_count(const struct exchange *ex) {
    return ex->account_count;
}

void exchange_position_get(const struct exchange *ex, uint32_t account, uint32_t instrument,
                           enum venue_position_side side, struct exchange_position *out) {
    ASSERT(account < ex->account_count && instrument < ex->config.instrument_count);
    bool hedge = ex_account(ex, account)->hedge != 0;
    if (hedge == (side != POSITION_BOTH)) {
        ex_position_fill(ex, account, instrument, ex_leg_of((uint8_t)side), true, out);
        return;
    }
    memset(out, 0, sizeof *out); /* a side the account's mode has not got */
}

void exchange_symbol_config_get(const struct exchange *ex, uint32_t account, uint32_t instrument,
                                struct exchange_symbol_config *out) {
    ASSERT(account < ex->account_count && instrument < ex->config.instrument_count);
    memset(out, 0, sizeof *out);
    out->leverage = ex_leverage(ex, account, instrument);
    out->isolated = ex_cell(ex, account, instrument)->isolated != 0;
    out->max_notional = money_e8(ex_notional_max(ex_instrument(ex, instrument), out->leverage));
}

/* ---- orders: two lists, ordinary and classic conditional ones, each in order of ids ---- */

static uint32_t next_order(const struct exchange *ex, uint32_t at1, uint32_t s) {
    const struct ex_order *all = ex_orders(ex);
    while (at1 && s != UINT32_MAX && all[at1 - 1].o.instrument != s)
        at1 = all[at1 - 1].of_account.next1;
    return at1;
}

static uint32_t next_algo(const struct exchange *ex, uint32_t at1, uint32_t s, bool classic) {
    const struct ex_algo *all = ex_algos(ex);
    while (at1 && ((s != UINT32_MAX && all[at1 - 1].a.instrument != s) ||
                   (all[at1 - 1].classic != 0) != classic))
        at1 = all[at1 - 1].of_account.next1;
    return at1;
}

/* Children of classic conditional orders keep the id of their parent and come late into the list. */
static void sort_in(struct exchange_order *out, uint32_t count) {
    struct exchange_order o = out[count - 1];
    uint32_t i = count - 1;
    for (; i > 0 && out[i - 1].order_id > o.order_id; i--) out[i] = out[i - 1];
    out[i] = o;
}

uint32_t exchange_open_orders(const struct exchange *ex, uint32_t account, uint32_t instrument,
                              struct exchange_order *out, uint32_t max) {
    ASSERT(account < ex->account_count);
    const struct ex_account *a = ex_account(ex, account);
    uint32_t order1 = next_order(ex, a->order_ends.first1, instrument), count = 0;
    uint32_t algo1 = next_algo(ex, a->algo_ends.first1, instrument, true);
    while (order1 && count < max) {
        const struct ex_order *o = &ex_orders(ex)[order1 - 1];
        out[count++] = o->o;
        sort_in(out, count);
        order1 = next_order(ex, o->of_account.next1, instrument);
    }
    while (algo1 && count < max) {
        const struct ex_algo *algo = &ex_algos(ex)[algo1 - 1];
        ex_algo_as_order(algo, &out[count++]);
        sort_in(out, count);
        algo1 = next_algo(ex, algo->of_account.next1, instrument, true);
    }
    return count;
}

uint32_t exchange_open_algos(const struct exchange *ex, uint32_t account, uint32_t instrument,
                             struct exchange_algo *out, uint32_t max) {
    ASSERT(account < ex->account_count);
    uint32_t count = 0;
    uint32_t at1 = next_algo(ex, ex_account(ex, account)->algo_ends.first1, instrument, false);
    while (at1 && count < max) {
        const struct ex_algo *algo = &ex_algos(ex)[at1 - 1];
        out[count++] = algo->a;
        at1 = next_algo(ex, algo->of_account.next1, instrument, false);
    }
    return count;
}

/* ---- the market ---- */

const struct instrument *exchange_instrument(const struct exchange *ex, uint32_t instrument) {
    ASSERT(instrument < ex->config.instrument_count);
    return ex_instrument(ex, instrument);
}

uint32_t exchange_instrument_count(const struct exchange *ex) {
    return ex->config.instrument_count;
}

uint32_t exchange_depth(const struct exchange *ex, uint32_t instrument, enum side side,
                        struct exchange_level *out, uint32_t max, uint64_t *sequence) {
    ASSERT(instrument < ex->config.instrument_count);
    ASSERT(side == SIDE_BUY || side == SIDE_SELL);
    const struct match *book = ex_book(ex, instrument);
    enum match_side of = ex_book_side((uint8_t)side);
    uint32_t count = 0;
    for (uint32_t t = match_best(book, of); t && count < max; t = match_worse(book, of, t))
        out[count++] = (struct exchange_level){.px = px_e8(ex_px_of(ex_symbol(ex, instrument), t)),
                                               .qty = qty_e8(match_level_qty(book, of, t))};
    if (sequence) *sequence = ex_symbol(ex, instrument)->sequence;
    return count;
}

void exchange_prices_get(const struct exchange *ex, uint32_t instrument,
                         struct exchange_prices *out) {
    ASSERT(instrument < ex->config.instrument_count);
    const struct ex_symbol *y = ex_symbol(ex, instrument);
    const struct match *book = ex_book(ex, instrument);
    memset(out, 0, sizeof *out);
    out->last = px_e8(y->last);
    out->mark = px_e8(y->mark);
    out->index = px_e8(y->index);
    out->bid = px_e8(ex_best(ex, instrument, MATCH_BID));
    out->ask = px_e8(ex_best(ex, instrument, MATCH_ASK));
    out->bid_qty = qty_e8(match_level_qty(book, MATCH_BID, match_best(book, MATCH_BID)));
    out->ask_qty = qty_e8(match_level_qty(book, MATCH_ASK, match_best(book, MATCH_ASK)));
    out->last_ns = y->last_ns;
    out->mark_ns = y->mark_ns;
    out->book_sequence = y->sequence;
    out->last_trade_id = y->trade_id;
    out->funding_last = rate_e8(y->funding_last);
}

qty_t exchange_open_interest(const struct exchange *ex, uint32_t instrument) {
    ASSERT(instrument < ex->config.instrument_count);
    return qty_e8(ex_symbol(ex, instrument)->open_interest);
}

/* Added up anew from accounts and positions, so that it is a check and not an echo. */
void exchange_totals_get(const struct exchange *ex, struct exchange_totals *out) {
    int64_t wallets = 0, entry_cost = 0;
    for (uint32_t i = 0; i < ex->account_count; i++) {
        const struct ex_account *a = ex_account(ex, i);
        wallets += a->wallet;
        for (uint32_t at1 = a->cell_ends.first1; at1;
             at1 = ex_cells(ex)[at1 - 1].of_account.next1) {
            const struct ex_cell *c = &ex_cells(ex)[at1 - 1];
            entry_cost += c->leg[0].entry_cost + c->leg[1].entry_cost;
        }
    }
    memset(out, 0, sizeof *out);
    out->deposits = money_e8(ex->deposits);
    out->wallets = money_e8(wallets);
    out->entry_cost = money_e8(entry_cost);
    out->fees = money_e8(ex->fees);
    out->insurance = money_e8(ex->insurance);
    out->funding_pool = money_e8(ex->funding_pool);
    out->error = money_e8(ex->deposits -
                          (wallets - entry_cost + ex->fees + ex->insurance + ex->funding_pool));
}
