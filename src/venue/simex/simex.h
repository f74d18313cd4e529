/* The simulated exchange: one USDT wallet trading USD-M perpetuals against candles.
 *
 * Pure and deterministic: it knows no other time than what it is given, allocates nothing, and its
 * whole state is the one block of memory handed to simex_init (no pointers inside), so a snapshot
 * is a memcpy of simex_size() bytes.
 *
 * Use: at the start of each bar interval hand over the bar of each symbol that has one
 * (simex_bar_begin), then draw events with simex_next until it says there are none before the end
 * of the interval, submitting commands in between. Commands carry the time they left us and reach
 * the venue config.latency_ns later; answers are stamped with the venue's time.
 *
 * Model of the market inside a bar, of spread, depth, funding and liquidation: see docs/simex.md.
 * Money: wallet_start + realized_pnl - fees + funding - liquidation_fees + insurance == wallet, to
 * 1e-8, after every event (asserted), and wallet >= sum of the isolated wallets >= 0. */
#ifndef VENUE_SIMEX_SIMEX_H
#define VENUE_SIMEX_SIMEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "domain/bar.h"
#include "domain/instrument.h"
#include "domain/order.h"

struct simex;

struct simex_config {
    uint32_t instrument_count;
    const struct instrument *instruments; /* (instrument_count), copied */
    money_t wallet_start;
    int64_t interval_ns;   /* of the bars */
    int64_t latency_ns;    /* us to venue; the acknowledgement carries the venue's time */
    int64_t fill_delay_ns; /* acknowledgement to first fill of a market order */
    rate_t half_spread;    /* model: best ask = px * (1 + this), at least half a tick */
    rate_t depth_share;    /* model: quantity resting on a price level, share of the bar's volume */
    uint32_t orders_per_instrument_max;
    uint32_t leverage_default; /* 20, as on the venue */
    /* Before 2026-07-14 acknowledgements had avgPrice "0.00"; kept for old clients. The event is
     * the same (avg_cost 0): whoever writes the wire format asks simex_ack_carries_avg_px. */
    bool ack_carries_avg_px;
    uint64_t seed; /* where order and trade ids start; nothing else is random */
};
struct simex_config simex_config_defaults(void);

struct simex_position {
    qty_t qty;          /* signed: > 0 long */
    px_t entry_px;      /* quantity-weighted average, for people: money is booked from entry_cost */
    money_t entry_cost; /* exact cumulative cost of what is held, signed as qty */
    money_t isolated_wallet;
    uint32_t leverage;
    px_t mark_px, last_px, liquidation_px; /* liquidation 0 when none */
};

struct simex_account {
    money_t wallet_start, wallet;
    money_t realized_pnl, fees, funding, liquidation_fees; /* cumulative */
    money_t insurance; /* cumulative, >= 0: losses beyond the margin, paid by the venue's fund */
    money_t unrealized_pnl; /* at mark */
    money_t margin_used;    /* in the isolated wallets of positions */
    money_t available;      /* for new orders: wallet - margin_used - margin of open orders, >= 0 */
};

/* Bytes of state for this configuration, and its making in caller's memory (64-aligned). */
size_t simex_size(const struct simex_config *config);
struct simex *simex_init(void *memory, const struct simex_config *config);
size_t simex_state_size(const struct simex *sx); /* the same size, of a live one: for snapshots */
bool simex_ack_carries_avg_px(const struct simex *sx);

/* The bar of [open_ts, open_ts + interval) for one symbol, and its mark-price bar if one is known
 * (else NULL: mark follows the traded path). Must be given before time passes open_ts, and after
 * the events of the symbol's last bar were drawn (asserted). Without a bar it stands at its close. */
void simex_bar_begin(struct simex *sx, uint32_t instrument_index, const struct bar *bar,
                     const struct bar *mark);

/* Funding at ts_ns: rate per settlement, paid on the position held at that instant. At most 26 per
 * instrument may be waiting (asserted): an hourly settlement and daily bars. */
void simex_funding(struct simex *sx, uint32_t instrument_index, int64_t ts_ns, rate_t rate);

/* Queues a command; it arrives at command->ts_ns + latency. ST_FULL if the queue is full. */
enum status simex_submit(struct simex *sx, const struct venue_command *command);

/* The next event not later than until_ns; false when there is none (the clock is then until_ns).
 *
 * Fields beyond those of order.h's comments: VENUE_LEVERAGE_SET with a code is a refusal, leverage
 * then says what stands. VENUE_ORDER_EXPIRED: code > 0 is Binance's expiry reason (1 self trade, 2
 * IOC rest, 4 reduce-only, 5 liquidation, 6 closePosition without position, 7 delisted, 9 market
 * order's rest), code < 0 the reason a triggered order was refused. VENUE_LIQUIDATION: the
 * liquidation fee is in commission, and adds to liquidation_fees, not fees. VENUE_ORDER_TRADE with
 * an empty client_order_id is a settlement (simex_instrument_status). */
bool simex_next(struct simex *sx, int64_t until_ns, struct venue_event *out);

/* True while the symbol has a position, a resting order or a command on the way: only then does its
 * path inside the bar matter. */
bool simex_is_active(const struct simex *sx, uint32_t instrument_index);

void simex_position_get(const struct simex *sx, uint32_t instrument_index,
                        struct simex_position *out);
void simex_account_get(const struct simex *sx, struct simex_account *out);

/* Changes a contract's status (delisting): SETTLING refuses new exposure, CLOSED settles the
 * position at last price and expires its orders. */
void simex_instrument_status(struct simex *sx, uint32_t instrument_index,
                             enum instrument_status status);

#endif
