/* State and helpers shared by the files of the simulated exchange; nobody else includes this.
 *
 * Everything lives in one block: the header below, then arrays found by offset. Amounts are plain
 * int64 in e8 here (the typed structs stand at the module's border), because this code mixes
 * prices, quantities and money in 128-bit products at every step. */
#ifndef VENUE_SIMEX_SIMEX_INTERNAL_H
#define VENUE_SIMEX_SIMEX_INTERNAL_H

#include "venue/simex/simex.h"

__extension__ typedef __int128 simex_i128;

#define SIMEX_NEVER INT64_MAX
/* No order may be worth more: keeps every product of price and quantity far inside int64. */
#define SIMEX_NOTIONAL_MAX (INT64_C(10000000000) * FX_ONE)

enum {
    SIMEX_SLOTS_MAX = 64, /* bits of sx_symbol.order_mask */
    SIMEX_COMMANDS_PER_INSTRUMENT = 8,
    SIMEX_COMMANDS_BASE = 64,
    SIMEX_FUNDINGS_PER_INSTRUMENT = 26, /* a daily bar of a contract that settles hourly */
    SIMEX_CONDITIONAL_MAX = 200,        /* open conditional orders of the account (-4045) */
};
#define SIMEX_NO_INDEX UINT32_MAX

/* Why an order expired: Binance's er of ORDER_TRADE_UPDATE. Negative codes of simex.h where an
 * order is refused after it was accepted. */
enum sx_expiry {
    EXPIRY_SELF_TRADE = 1,
    EXPIRY_IOC = 2,
    EXPIRY_REDUCE_ONLY = 4,
    EXPIRY_LIQUIDATION = 5,
    EXPIRY_POSITION_GONE = 6,
    EXPIRY_DELISTED = 7,
    EXPIRY_MARKET = 9,
};

enum sx_code {
    CODE_PARAM_UNUSED = -1106,
    CODE_TIF = -1115,
    CODE_ORDER_TYPE = -1116,
    CODE_SIDE = -1117,
    CODE_SYMBOL = -1121,
    CODE_CANCEL_UNKNOWN = -2011,
    CODE_NO_MARKET = -2016,
    CODE_MARGIN = -2019,
    CODE_TRIGGERS_NOW = -2021,
    CODE_REDUCE_ONLY = -2022,
    CODE_ORDERS_MAX = -2025,
    CODE_POSITION_MAX = -2027,
    CODE_STOP_LE_ZERO = -4006,
    CODE_STOP_HIGH = -4007,
    CODE_CLIENT_ID = -4015,
    CODE_LEVERAGE = -4028,
    CODE_WORKING_TYPE = -4031,
    CODE_CONDITIONAL_MAX = -4045,
    CODE_CLIENT_ID_DUPLICATE = -4116,
    CODE_CLOSE_POSITION_EXISTS = -4130,
    CODE_BEST_PX_BAND = -4131,
    CODE_CLOSE_POSITION_QTY = -4137,
    CODE_STATUS_NO_OPENING = -4140,
    CODE_STATUS_CLOSED = -4141,
    CODE_LEVERAGE_REDUCTION = -4161,
    CODE_STOP_BAND_HIGH = -4183,
    CODE_STOP_BAND_LOW = -4184,
    CODE_FOK = -5021,
    CODE_GTX = -5022,
};

enum sx_phase {
    PHASE_FREE = 0,
    PHASE_WAITING,   /* conditional, not triggered */
    PHASE_RESTING,   /* limit order in the book */
    PHASE_IN_FLIGHT, /* market order between acknowledgement and fill, or any order being matched */
};

struct sx_order {
    char client_order_id[CLIENT_ORDER_ID_SIZE];
    uint64_t venue_order_id;
    int64_t limit_px, stop_px;
    int64_t pass_px;    /* resting: fills once the path is at or beyond this */
    int64_t assumed_px; /* what margin is reserved at */
    int64_t qty, cum_qty, cum_cost;
    int64_t match_ts;
    uint32_t symbol, flight_next; /* next order in flight: symbol * slots + slot */
    uint8_t phase, side, type, tif, working_type, reduce_only, close_position;
    uint8_t passed; /* the path went through and the bar's volume was not enough */
};

enum sx_path_kind { PATH_NONE = 0, PATH_LIQUIDATION, PATH_LIMIT, PATH_TRIGGER };

struct sx_symbol {
    struct bar bar; /* first line; open_ts_ns INT64_MIN until the first bar */
    /* Second line: mark-price bar and the nearest levels at which anything happens. */
    int64_t mark_open, mark_high, mark_low, mark_close;
    int64_t hi_last, lo_last, hi_mark, lo_mark;
    /* From here on only active symbols are touched. */
    uint64_t order_mask;
    int64_t qty, entry_cost, isolated_wallet, liquidation_px;
    int64_t order_margin;
    int64_t passive_ts;      /* bar that passive_used belongs to */
    int64_t passive_used[2]; /* filled as maker in it, [0] buys [1] sells */
    uint64_t trade_id_next;
    uint32_t leverage, commands;
    uint32_t next_slot;
    uint8_t next_kind; /* enum sx_path_kind */
    uint8_t settling;  /* closed, position and orders still to be wound up */
};

struct sx_funding {
    int64_t ts_ns, rate;
    uint32_t symbol, reserved;
};

struct sx_queued_command {
    int64_t arrival_ns;
    struct venue_command command;
};

/* The order being matched now; one level per event. */
struct sx_taker {
    uint32_t symbol, slot; /* slot SIMEX_NO_INDEX: a liquidation */
    uint8_t active, side;
    int64_t best, spacing, depth, level, bound;
};

/* A position and its orders being wound up, one event at a time. */
enum sx_sweep { SWEEP_NONE = 0, SWEEP_LIQUIDATION, SWEEP_SETTLEMENT };

struct simex {
    struct simex_config config; /* instruments pointer cleared */
    size_t size_bytes, instruments_at, symbols_at, next_ts_at, orders_at, commands_at, fundings_at;
    uint32_t slots, command_capacity, command_head, command_count;
    uint32_t funding_capacity, funding_count;
    uint32_t flight_head, flight_tail; /* orders in flight, in order of match_ts */
    uint32_t path_min_index, settling_count, conditional_count, sweep_symbol;
    int64_t path_min_ts;
    int64_t clock_ns;
    int64_t wallet, isolated_total, order_margin_total;
    int64_t realized_pnl, fees, funding, liquidation_fees, insurance;
    uint64_t order_id_next;
    struct sx_taker taker;
    uint8_t sweep; /* enum sx_sweep */
};

static inline struct instrument *simex_instrument(const struct simex *sx, uint32_t s) {
    return (struct instrument *)((uintptr_t)sx + sx->instruments_at) + s;
}
static inline struct sx_symbol *simex_symbol(const struct simex *sx, uint32_t s) {
    return (struct sx_symbol *)((uintptr_t)sx + sx->symbols_at) + s;
}
static inline int64_t *simex_next_ts(const struct simex *sx) {
    return (int64_t *)((uintptr_t)sx + sx->next_ts_at);
}
static inline struct sx_order *simex_order(const struct simex *sx, uint32_t s, uint32_t slot) {
    return (struct sx_order *)((uintptr_t)sx + sx->orders_at) + (size_t)s * sx->slots + slot;
}
static inline struct sx_queued_command *simex_commands(const struct simex *sx) {
    return (struct sx_queued_command *)((uintptr_t)sx + sx->commands_at);
}
static inline struct sx_funding *simex_fundings(const struct simex *sx) {
    return (struct sx_funding *)((uintptr_t)sx + sx->fundings_at);
}
static inline int64_t simex_abs(int64_t x) {
    return x < 0 ? -x : x;
}
static inline int64_t simex_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static inline int64_t simex_max(int64_t a, int64_t b) {
    return a > b ? a : b;
}
static inline int64_t simex_leaves(const struct sx_order *o) {
    return o->qty - o->cum_qty;
}
/* Lowest set bit's index; mask != 0. */
static inline uint32_t simex_bit(uint64_t mask) {
    return (uint32_t)__builtin_ctzll(mask);
}

/* ---- simex_path.c: the path inside a bar and the book around it ---- */

struct sx_path {
    int64_t ts[4], px[4];
};
void simex_path_last(const struct simex *sx, uint32_t s, struct sx_path *out);
void simex_path_mark(const struct simex *sx, uint32_t s, struct sx_path *out);
/* The path at ts, rounded toward minus or plus infinity to 1e-8. */
int64_t simex_path_floor(const struct sx_path *path, int64_t ts);
int64_t simex_path_ceil(const struct sx_path *path, int64_t ts);
/* First ns >= from at which the path is >= level (direction +1) or <= level (-1); SIMEX_NEVER. */
int64_t simex_path_first(const struct sx_path *path, int64_t from, int64_t level, int direction);
int64_t simex_mark_now(const struct simex *sx, uint32_t s);
/* Best ask (SIDE_BUY takes it) or bid around the path [floor, ceil] given, on tick. */
int64_t simex_best_px(const struct simex *sx, uint32_t s, enum side taker, int64_t floor,
                      int64_t ceil);
int64_t simex_best_now(const struct simex *sx, uint32_t s, enum side taker);
int64_t simex_level_spacing(const struct simex *sx, uint32_t s, int64_t best);
int64_t simex_level_depth(const struct simex *sx, uint32_t s);

/* ---- simex_account.c: positions, margin, money ---- */

struct sx_fill {
    int64_t qty, px, cost, close_qty, entry_share, release, realized, open_qty, margin, fee;
};
/* What a fill would do; true if the account can pay for the part that opens. */
bool simex_fill_plan(const struct simex *sx, uint32_t s, enum side side, int64_t qty, int64_t px,
                     int64_t fee_rate, struct sx_fill *out);
void simex_fill_apply(struct simex *sx, uint32_t s, enum side side, const struct sx_fill *fill);
/* A fill of a liquidation: the isolated wallet pays, the insurance fund pays what it cannot. */
void simex_fill_liquidate(struct simex *sx, uint32_t s, int64_t qty, int64_t px,
                          struct sx_fill *out);
/* Price at which what is left in the isolated wallet is just lost. */
int64_t simex_bankruptcy_px(const struct simex *sx, uint32_t s);
/* funding > 0 is received. */
int64_t simex_funding_apply(struct simex *sx, uint32_t s, int64_t rate);
int64_t simex_available(const struct simex *sx);
/* Margin the open orders of the symbol need beyond the position's, with one more order of
 * extra_notional on the given side (SIDE_NONE for none). */
int64_t simex_order_margin(const struct simex *sx, uint32_t s, enum side side,
                           int64_t extra_notional);
/* |position| that an order of this side would reduce. */
int64_t simex_reducible(const struct simex *sx, uint32_t s, enum side side);

/* ---- simex_order.c: admission ---- */

/* Venue's code, 0 when acceptable. */
int32_t simex_admit(const struct simex *sx, const struct venue_command *command);
/* The same for a conditional order that has just been triggered. */
int32_t simex_admit_triggered(const struct simex *sx, const struct sx_order *o);
uint32_t simex_order_find(const struct simex *sx, uint32_t s, const char *client_order_id);
bool simex_command_event(struct simex *sx, const struct venue_command *command,
                         struct venue_event *out);

/* ---- simex_match.c: schedule, matching, winding up ---- */

/* Recomputes all that follows from the symbol's orders and position: margin, bounds, next event. */
void simex_refresh(struct simex *sx, uint32_t s);
void simex_schedule(struct simex *sx, uint32_t s);
bool simex_path_event(struct simex *sx, uint32_t s, struct venue_event *out);
void simex_taker_start(struct simex *sx, uint32_t s, uint32_t slot, int64_t floor, int64_t ceil);
bool simex_taker_step(struct simex *sx, struct venue_event *out);
bool simex_sweep_step(struct simex *sx, struct venue_event *out);
void simex_order_free(struct simex *sx, uint32_t s, uint32_t slot);
void simex_event_init(const struct simex *sx, struct venue_event *out, enum venue_event_kind kind,
                      uint32_t s);
void simex_event_order(const struct simex *sx, struct venue_event *out, enum venue_event_kind kind,
                       const struct sx_order *o);

#endif
