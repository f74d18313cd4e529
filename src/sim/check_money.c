/* Three books of the account's money, which must be one: what the exchange says the wallet is, what its executions and
 * settlements come to, and its income history. */
#include "sim/check_internal.h"

/* Whatever goes with the last word on the wallet has been told by the time of the next, or of any other fact. */
void check_money_settle(struct check *c) {
    if (!c->money_open) return;
    c->money_open = false;
    if (c->wallet != c->by_fills)
        check_fail(c, CHECK_MONEY, CHECK_ALL, "wallet %.8f, fills and settlements make %.8f",
                   (double)c->wallet * 1e-8, (double)c->by_fills * 1e-8);
    if (c->wallet != c->by_income)
        check_fail(c, CHECK_MONEY, CHECK_ALL, "wallet %.8f, the income history makes %.8f",
                   (double)c->wallet * 1e-8, (double)c->by_income * 1e-8);
    c->by_fills = c->by_income = c->wallet; /* each error is told once */
    for (uint32_t i = 0; i < c->config.instrument_count; i++) {
        struct check_symbol *s = &c->symbols[i];
        if (s->qty == s->qty_account) continue;
        check_fail(c, CHECK_MONEY, i, "%.8f held, its fills make %.8f",
                   (double)s->qty_account * 1e-8, (double)s->qty * 1e-8);
        s->qty = s->qty_account;
    }
}

void check_money_account(struct check *c, const struct exchange_event *e) {
    check_money_settle(c);
    c->money_open = true;
    if (e->wallet.e8 != c->wallet) c->money_ns = c->now_ns;
    c->wallet = e->wallet.e8;
    if (!e->has_position || e->instrument >= c->config.instrument_count) return;
    struct check_symbol *s = &c->symbols[e->instrument];
    if (e->position_side != POSITION_BOTH) {
        check_fail(c, CHECK_DIRECTION, e->instrument, "the account is in hedge mode");
        return;
    }
    s->qty_account = e->position.qty.e8;
    s->entry_cost = e->position.entry_cost.e8;
    struct check_fact *f = check_record(c, FACT_ACCOUNT, e->instrument);
    f->a = e->reason;
    f->px = e->wallet.e8;
    f->qty = e->position.qty.e8;
}

void check_money_income(struct check *c, const struct exchange_event *e) {
    c->money_open = true;
    c->by_income += e->amount.e8;
    switch ((enum exchange_income)e->income) {
    case INCOME_REALIZED_PNL:
    case INCOME_COMMISSION:
        return; /* in the execution report */
    case INCOME_FUNDING_FEE:
        break;
    case INCOME_TRANSFER:
        c->transfers += e->amount.e8;
        break;
    case INCOME_INSURANCE_CLEAR:
        c->insurance += e->amount.e8;
        break;
    }
    c->by_fills += e->amount.e8;
}
