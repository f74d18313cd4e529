/* The exchange itself: accounts, orders, positions, margin, funding and liquidation over one order
 * book a contract. Pure and deterministic: it knows the time it is given, and its state is one block
 * of memory without pointers (a snapshot is a memcpy of exchange_size() bytes).
 *
 * One thing goes in (exchange_input), an answer comes back (exchange_reply), and what everybody must be
 * told lies in a queue of events (exchange_event_next) to be drawn before the next input.
 *
 * Account 0 is the house: the liquidity source quotes and trades as it, without margin. It is a
 * counterparty like any other, so money is conserved over all accounts:
 *     sum(wallets) - sum(signed entry costs of positions) + fees + insurance + funding_pool
 * is what was deposited, to 1e-8, after every input (exchange_totals, asserted in tests).
 *
 * Rules and their sources: docs/exchange.md. */
#ifndef VENUE_EXCHANGE_EXCHANGE_H
#define VENUE_EXCHANGE_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "domain/instrument.h"
#include "domain/order.h"
#include "venue/names/names.h"

struct exchange;

enum { EXCHANGE_HOUSE = 0 };

struct exchange_config {
    uint32_t instrument_count;
    const struct instrument *instruments; /* (instrument_count), copied */
    uint32_t accounts_max;                /* house included */
    uint32_t orders_max; /* open ordinary orders of all accounts (house quotes not counted) */
    uint32_t algos_max;  /* open conditional orders of all accounts; 200 an account */
    uint32_t book_orders_max, book_levels_max; /* a contract */
    uint32_t events_max;       /* room for what one input leads to; raised to what the rest needs */
    uint32_t leverage_default; /* 20 */
    rate_t trigger_protect;    /* 0.05: priceProtect fires while |mark - last| / mark is below it */
    bool classic_conditional;  /* conditional types on the ordinary endpoint: before 2025-12-09 */
    bool countdown_cancels_algos; /* open point of the contract; default false */
    uint64_t first_order_id, first_algo_id, first_trade_id;
};
struct exchange_config exchange_config_defaults(void);

size_t exchange_size(const struct exchange_config *config);
struct exchange *exchange_init(void *memory, const struct exchange_config *config);
/* Bytes that make a snapshot, <= exchange_size(): the rest is the queue of events, empty between
 * inputs. To restore: exchange_size() bytes of memory, the snapshot copied to its start. */
size_t exchange_state_size(const struct exchange *ex);

/* ---- orders ---- */

enum exchange_order_status {
    EXO_NEW = 0,
    EXO_PARTIALLY_FILLED,
    EXO_FILLED,
    EXO_CANCELED,
    EXO_REJECTED,
    EXO_EXPIRED,
    EXO_EXPIRED_IN_MATCH
};
/* Binance's expiry reasons, event field "er". */
enum exchange_expiry {
    EXPIRY_NONE = 0,
    EXPIRY_STP = 1,
    EXPIRY_IOC = 2,
    EXPIRY_IOC_STP = 3,
    EXPIRY_REDUCE = 4,
    EXPIRY_LIQUIDATION = 5,
    EXPIRY_GTE = 6,
    EXPIRY_DELIST = 7,
    EXPIRY_STOPPED = 8,
    EXPIRY_MARKET = 9
};
enum exchange_forced { FORCED_NO = 0, FORCED_LIQUIDATION, FORCED_ADL, FORCED_SETTLEMENT };

struct exchange_order {
    uint64_t order_id, algo_id; /* algo_id: of the conditional order it came from, 0 none */
    uint32_t account, instrument;
    uint8_t side, type, orig_type, time_in_force;          /* domain/order.h */
    uint8_t position_side, working_type, stp, price_match; /* venue/names/names.h */
    uint8_t status, expiry, reduce_only, close_position;
    uint8_t price_protect, forced, reserved[2];
    uint32_t amendments, reserved2;
    px_t price, stop_price;
    qty_t orig_qty, cum_qty;
    money_t cum_quote; /* sum of px * qty of its fills */
    int64_t good_till_ns, time_ns, update_ns;
    char client_order_id[CLIENT_ORDER_ID_SIZE];
};

enum exchange_algo_status {
    EXA_NEW = 0,
    EXA_TRIGGERING,
    EXA_TRIGGERED,
    EXA_FINISHED,
    EXA_CANCELED,
    EXA_EXPIRED,
    EXA_REJECTED
};
struct exchange_algo {
    uint64_t algo_id, actual_order_id; /* 0 before it fired */
    uint32_t account, instrument;
    uint8_t side, type, time_in_force, position_side;
    uint8_t working_type, stp, price_match, status;
    uint8_t reduce_only, close_position, price_protect, activated; /* activated: trailing */
    int32_t reject_code; /* why REJECTED or EXPIRED, 0 none */
    uint32_t reserved[2];
    px_t trigger_price, price, activate_price,
        extreme_price;    /* extreme: of a trailing one, so far */
    rate_t callback_rate; /* fraction: 1 % is 0.01 */
    qty_t qty, actual_qty;
    money_t actual_quote;
    int64_t create_ns, update_ns, trigger_ns, good_till_ns;
    char client_algo_id[CLIENT_ORDER_ID_SIZE];
};

/* ---- input ---- */

enum exchange_input_kind {
    EXI_ORDER_PLACE = 1,
    EXI_ORDER_TEST,
    EXI_ORDER_CANCEL,
    EXI_ORDER_AMEND,
    EXI_CANCEL_ALL,
    EXI_COUNTDOWN,
    EXI_ALGO_PLACE,
    EXI_ALGO_CANCEL,
    EXI_ALGO_CANCEL_ALL,
    EXI_LEVERAGE,
    EXI_MARGIN_TYPE,
    EXI_POSITION_MODE,
    EXI_POSITION_MARGIN,
    EXI_MULTI_ASSETS, /* refused with what the venue says when it cannot be changed: only single-asset */
    EXI_ACCOUNT_OPEN, /* amount: deposit; reply.account is its number */
    EXI_DEPOSIT,      /* amount, may be negative (withdrawal) */
    EXI_FEES,         /* fee_maker, fee_taker of an account (tier) */
    /* from the market and the operator */
    EXI_QUOTE, /* house: side, price, qty: makes the house's own quantity at that price qty (0 none) */
    EXI_PRINT, /* a trade between others: price, qty, side of the taker; tape and last price only */
    EXI_MARK,  /* price = mark, price2 = index */
    EXI_FUNDING, /* rate; settles now */
    EXI_STATUS,  /* instrument status (delisting): SETTLING, CLOSED settles positions at mark */
    EXI_FILTERS, /* new filters of a contract: exchange_set_instrument */
    EXI_TIME,    /* timers: GTD, countdown, margin calls */
};

/* Zero what does not apply. client_id is the client order id or the client algo id. */
struct exchange_input {
    uint8_t kind, side, type, time_in_force;
    uint8_t position_side, working_type, stp, price_match;
    uint8_t reduce_only, close_position, price_protect, flag; /* flag: see the kind */
    uint32_t account, instrument;
    uint32_t leverage, status;
    uint64_t order_id;  /* or algo_id; 0: by client_id */
    px_t price, price2; /* price2: trigger, activate or index */
    rate_t rate;        /* callback, funding, maker fee */
    rate_t rate2;       /* taker fee */
    qty_t qty;
    money_t amount;
    int64_t until_ns;                     /* GTD, countdown (absolute; 0 stops it) */
    char client_id[CLIENT_ORDER_ID_SIZE]; /* "" on a placement: one is made */
};
/* flag: EXI_MARGIN_TYPE 1 isolated, 0 cross; EXI_POSITION_MODE 1 hedge, 0 one-way; EXI_POSITION_MARGIN
 * 1 add, 2 reduce; EXI_ORDER_PLACE 1: came from the ordinary endpoint as a conditional type (classic). */

struct exchange_reply {
    int32_t code; /* 0, or the venue's refusal */
    uint32_t account;
    int64_t argument; /* what the text of the code speaks of: a limit in e8, a leverage … */
    bool has_order, has_algo;
    /* As it stood right after being accepted (status NEW) and after the match; equal where nothing matched. */
    struct exchange_order accepted, order;
    struct exchange_algo algo;
    money_t max_notional; /* leverage */
};

/* now_ns never goes back (asserted). Events must have been drawn (asserted). Timers due by now_ns (GTD,
 * countdown) run before the input, whatever its kind: nothing trades after its time. */
void exchange_step(struct exchange *ex, const struct exchange_input *in, int64_t now_ns,
                   struct exchange_reply *reply);
/* The contract's new rules, at once; orders resting stay, its status stays. Symbol must be the same. The
 * input EXI_FILTERS tells everybody (EXE_FILTERS). */
void exchange_set_instrument(struct exchange *ex, uint32_t instrument, const struct instrument *in);
void exchange_set_classic(struct exchange *ex, bool classic_conditional);
/* Earliest time at which EXI_TIME has something to do; INT64_MAX none. */
int64_t exchange_deadline(const struct exchange *ex);

/* ---- events ---- */

enum exchange_exec {
    EXEC_NEW = 1,
    EXEC_CANCELED,
    EXEC_CALCULATED,
    EXEC_EXPIRED,
    EXEC_TRADE,
    EXEC_AMENDMENT
};
enum exchange_reason { /* ACCOUNT_UPDATE.m */
                       REASON_ORDER = 1,
                       REASON_FUNDING_FEE,
                       REASON_DEPOSIT,
                       REASON_WITHDRAW,
                       REASON_INSURANCE_CLEAR,
                       REASON_MARGIN_TRANSFER,
                       REASON_MARGIN_TYPE_CHANGE,
                       REASON_ADJUSTMENT
};
enum exchange_income {
    INCOME_TRANSFER = 1,
    INCOME_REALIZED_PNL,
    INCOME_FUNDING_FEE,
    INCOME_COMMISSION,
    INCOME_INSURANCE_CLEAR
};
enum exchange_event_kind {
    EXE_ORDER = 1, /* one execution report of a user's order (never of the house) */
    EXE_ALGO,
    EXE_ACCOUNT, /* wallet or position changed */
    EXE_INCOME,  /* one row of the income history */
    EXE_MARGIN_CALL,
    EXE_LEVERAGE, /* account, instrument, leverage */
    EXE_AMENDED,  /* order amended: before/after, for the amendment history */
    EXE_TRADE,    /* the public tape */
    EXE_LEVEL, /* quantity at a price is now qty (0: gone); several changes of one input are one each */
    EXE_FORCED, /* a liquidation order's execution, public */
    EXE_MARK,
    EXE_STATUS,
    EXE_FILTERS,
};

struct exchange_position {
    qty_t qty;                                     /* signed */
    px_t entry_px;                                 /* half-even, for display */
    px_t break_even_px;                            /* entry with the fees paid so far, §docs */
    money_t entry_cost;                            /* exact, signed as qty */
    money_t isolated_wallet, unrealized, realized; /* realized: cumulative of this position side */
    money_t initial_margin, maint_margin, open_order_margin, bid_notional, ask_notional;
    px_t liquidation_px; /* 0 none; 0 in events, where nobody reads it */
    int64_t update_ns;
};

struct exchange_event {
    uint8_t kind, exec, reason, side; /* side: of the taker (EXE_TRADE), of the level (EXE_LEVEL) */
    uint8_t is_maker, isolated, position_side, income;
    uint32_t account, instrument;
    uint32_t leverage, status;
    int64_t ts_ns;
    uint64_t trade_id; /* EXE_ORDER of a fill, EXE_TRADE; income's trade */
    uint64_t sequence; /* EXE_LEVEL: update id of the contract's book; EXE_INCOME: tranId;
                          EXE_TRADE: number of the taker order, equal for all its fills
                          (aggregate trades) */
    px_t px;           /* last fill, trade, level, mark */
    px_t px2;          /* index (EXE_MARK); price before (EXE_AMENDED) */
    qty_t qty;         /* last fill, trade, level now */
    qty_t qty2;        /* before (EXE_AMENDED) */
    money_t commission, realized;       /* of this fill */
    money_t amount;                     /* income; balance change of EXE_ACCOUNT ("bc") */
    money_t wallet, cross_wallet;       /* after, EXE_ACCOUNT */
    money_t bid_notional, ask_notional; /* EXE_ORDER "b", "a" */
    bool has_position;                  /* EXE_ACCOUNT: position is the one that changed */
    struct exchange_position position;
    union {
        struct exchange_order order; /* EXE_ORDER, EXE_AMENDED, EXE_FORCED */
        struct exchange_algo algo;   /* EXE_ALGO */
    } u;
};
/* The oldest event not drawn yet; borrowed until the next step. NULL: none. */
const struct exchange_event *exchange_event_next(struct exchange *ex);

/* ---- looking ---- */

struct exchange_account {
    money_t wallet, cross_wallet; /* cross = wallet less what is in isolated wallets */
    money_t unrealized, cross_unrealized;
    money_t initial_margin, position_margin, order_margin, maint_margin;
    money_t available, max_withdraw;
    /* Cumulative; wallet = deposits + realized_pnl - fees + funding + insurance. insurance: refills by
     * the fund less liquidation fees. */
    money_t realized_pnl, fees, funding, deposits, insurance;
    rate_t fee_maker, fee_taker;
    bool hedge;
    uint32_t open_orders, open_algos;
    int64_t update_ns;
};
void exchange_account_get(const struct exchange *ex, uint32_t account,
                          struct exchange_account *out);
uint32_t exchange_account_count(const struct exchange *ex);
void exchange_position_get(const struct exchange *ex, uint32_t account, uint32_t instrument,
                           enum venue_position_side side, struct exchange_position *out);
struct exchange_symbol_config {
    uint32_t leverage;
    bool isolated;
    money_t max_notional; /* at this leverage */
};
void exchange_symbol_config_get(const struct exchange *ex, uint32_t account, uint32_t instrument,
                                struct exchange_symbol_config *out);
/* Open orders of an account in order of their ids; instrument UINT32_MAX: all. Returns how many were written. */
uint32_t exchange_open_orders(const struct exchange *ex, uint32_t account, uint32_t instrument,
                              struct exchange_order *out, uint32_t max);
uint32_t exchange_open_algos(const struct exchange *ex, uint32_t account, uint32_t instrument,
                             struct exchange_algo *out, uint32_t max);
/* What the account pays in a contract: its own tier, or the contract's. */
rate_t exchange_fee_rate(const struct exchange *ex, uint32_t account, uint32_t instrument,
                         bool maker);
const struct instrument *exchange_instrument(const struct exchange *ex, uint32_t instrument);
uint32_t exchange_instrument_count(const struct exchange *ex);

struct exchange_level {
    px_t px;
    qty_t qty;
};
/* Best levels of a side, best first; returns how many (<= max). *sequence: the book's last update id. */
uint32_t exchange_depth(const struct exchange *ex, uint32_t instrument, enum side side,
                        struct exchange_level *out, uint32_t max, uint64_t *sequence);
struct exchange_prices {
    px_t last, mark, index, bid, ask; /* 0 none yet */
    qty_t bid_qty, ask_qty;
    int64_t last_ns, mark_ns;
    uint64_t book_sequence, last_trade_id;
    rate_t funding_last;
};
void exchange_prices_get(const struct exchange *ex, uint32_t instrument,
                         struct exchange_prices *out);
qty_t exchange_open_interest(const struct exchange *ex, uint32_t instrument);

struct exchange_totals {
    money_t deposits;     /* net */
    money_t wallets;      /* of all accounts, house included */
    money_t entry_cost;   /* sum of signed entry costs of all positions */
    money_t fees;         /* collected, liquidation fees not included */
    money_t insurance;    /* the fund: liquidation fees in, losses out; may be negative */
    money_t funding_pool; /* rounding of funding payments */
    money_t error;        /* 0: what is missing from the identity above */
};
void exchange_totals_get(const struct exchange *ex, struct exchange_totals *out);
/* Hash of everything that decides what happens next. */
uint64_t exchange_hash(const struct exchange *ex);

#endif
