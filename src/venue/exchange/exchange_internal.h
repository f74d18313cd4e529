/* State and helpers shared by the files of the exchange; nobody else includes this.
 *
 * Everything lives in one block: the header below, then arrays found by offset. Amounts are plain int64
 * in e8 here (the typed structs stand at the module's border), because this code mixes prices,
 * quantities and money in 128-bit products at every step. Links are index + 1, so that zeroed memory
 * is an empty state. */
#ifndef VENUE_EXCHANGE_EXCHANGE_INTERNAL_H
#define VENUE_EXCHANGE_EXCHANGE_INTERNAL_H

#include "base/assert.h"
#include "venue/exchange/exchange.h"
#include "venue/match/match.h"

__extension__ typedef __int128 ex_i128;

#define EX_NEVER INT64_MAX
/* No order may be worth more: keeps every product of price and quantity far inside int64. */
#define EX_NOTIONAL_MAX (INT64_C(10000000000) * FX_ONE)
/* Quantity at one price never passes this, so that no sum of it can overflow. */
#define EX_LEVEL_QTY_MAX (INT64_MAX / 4)

enum {
    EX_ALGOS_PER_ACCOUNT = 200, /* -4045 */
    EX_AMENDMENTS_MAX = 10000,  /* -5026 */
};

enum ex_code {
    CODE_DISCONNECTED = -1001,
    CODE_PARAM_UNUSED = -1106,
    CODE_ACCOUNT = -1109,
    CODE_TIF = -1115,
    CODE_ORDER_TYPE = -1116,
    CODE_SIDE = -1117,
    CODE_SYMBOL = -1121,
    CODE_PARAM_INVALID = -1130,
    CODE_CANCEL_UNKNOWN = -2011,
    CODE_ORDER_UNKNOWN = -2013,
    CODE_NO_MARKET = -2016,
    CODE_BALANCE = -2018,
    CODE_MARGIN = -2019,
    CODE_TRIGGERS_NOW = -2021,
    CODE_REDUCE_ONLY = -2022,
    CODE_ORDERS_MAX = -2025,
    CODE_POSITION_MAX = -2027,
    CODE_LEVERAGE_MARGIN = -2028,
    CODE_STOP_LE_ZERO = -4006,
    CODE_STOP_HIGH = -4007,
    CODE_CLIENT_ID = -4015,
    CODE_LEVERAGE = -4028,
    CODE_WORKING_TYPE = -4031,
    CODE_ALGOS_MAX = -4045,
    CODE_MARGIN_TYPE_SAME = -4046,
    CODE_MARGIN_TYPE_ORDERS = -4047,
    CODE_MARGIN_TYPE_POSITION = -4048,
    CODE_ADD_MARGIN_CROSS = -4049,
    CODE_CROSS_BALANCE = -4050,
    CODE_ISOLATED_BALANCE = -4051,
    CODE_ADD_MARGIN_FLAT = -4054,
    CODE_AMOUNT = -4055,
    CODE_MODE_SAME = -4059,
    CODE_POSITION_SIDE = -4060,
    CODE_POSITION_SIDE_MODE = -4061,
    CODE_MODE_ORDERS = -4067,
    CODE_MODE_POSITION = -4068,
    CODE_CLIENT_ID_DUPLICATE = -4116,
    CODE_TRIGGERING = -4117,
    CODE_USE_ALGO = -4120,
    CODE_CLOSE_POSITION_EXISTS = -4130,
    CODE_BEST_PX_BAND = -4131,
    CODE_CLOSE_POSITION_QTY = -4137,
    CODE_STATUS_NO_OPENING = -4140,
    CODE_STATUS_CLOSED = -4141,
    CODE_LEVERAGE_REDUCTION = -4161,
    CODE_MULTI_ISOLATED = -4167,
    CODE_MULTI_MARGIN = -4169,
    CODE_MULTI_ORDERS = -4170,
    CODE_MULTI_SAME = -4171,
    CODE_STOP_BAND_HIGH = -4183,
    CODE_STOP_BAND_LOW = -4184,
    CODE_FOK = -5021,
    CODE_GTX = -5022,
    CODE_AMEND_STATUS = -5024,
    CODE_AMEND_TYPE = -5025,
    CODE_AMEND_MAX = -5026,
    CODE_AMEND_SAME = -5027,
    CODE_AMEND_NOTIONAL = -5029,
    CODE_PRICE_MATCH = -5037,
    CODE_PRICE_MATCH_TYPE = -5038,
    CODE_STP = -5039,
    CODE_GOOD_TILL = -5040,
    CODE_NO_DEPTH = -5041,
    CODE_AMEND_REDUCE = -5047,
};

/* ---- lists, heaps ---- */

struct ex_link {
    uint32_t next1, prev1;
};
struct ex_ends {
    uint32_t first1, last1;
};
/* Where the link of element 0 is and how far the elements lie apart. */
struct ex_links {
    void *first;
    size_t stride;
};
#define EX_LINKS(first_element, member)                                                            \
    ((struct ex_links){&(first_element)->member, sizeof *(first_element)})

/* A node of a pairing heap. */
struct ex_node {
    int64_t key;
    uint64_t tie;
    uint32_t child1, next1, prev1, reserved;
};

/* ---- state ---- */

/* What is held on one side: leg 0 is BOTH (one-way) or LONG, leg 1 SHORT. */
struct ex_leg {
    int64_t qty, entry_cost; /* signed */
    int64_t wallet;          /* isolated */
    int64_t realized, fees;  /* fees: of what is held now, for the break-even price */
    int64_t bid_qty, ask_qty, bid_notional, ask_notional; /* resting orders that may open */
    int64_t update_ns;
};

/* One account's standing in one contract. */
struct ex_cell {
    struct ex_leg leg[2];
    int64_t upnl, im, om, mm; /* as they stand in the account's sums */
    int64_t countdown_ns;
    int64_t walk_qty[2]; /* scratch of the FOK walk numbered walk */
    uint64_t walk;
    uint32_t leverage; /* 0: the default */
    uint32_t orders, algos;
    struct ex_ends order_ends, algo_ends;
    struct ex_link of_account, of_symbol; /* while it holds a position */
    struct ex_link of_countdown;
    uint32_t dirty_next1;
    uint8_t isolated, held, dirty, counting;
    uint8_t called[2]; /* margin call told, isolated legs */
    uint8_t reserved[2];
};

struct ex_account {
    int64_t wallet, isolated; /* isolated: sum of isolated wallets */
    int64_t cross_upnl, cross_im, cross_om, cross_mm;
    int64_t isolated_upnl, isolated_im, isolated_om, isolated_mm;
    int64_t realized, fees, funding, deposits, insurance;
    int64_t fee_maker, fee_taker;
    int64_t update_ns;
    uint32_t orders, algos;
    uint32_t cross_legs, held_legs; /* legs with a position */
    uint32_t isolated_cells;        /* contracts set to isolated */
    struct ex_ends order_ends, algo_ends, cell_ends;
    uint8_t fees_set, hedge, called, reserved;
};

enum ex_feed { FEED_LAST = 0, FEED_MARK, FEED_COUNT };
enum ex_direction { DIRECTION_UP = 0, DIRECTION_DOWN };

/* Trailing orders that are active, of one price and side: nearest extreme and nearest stop, so that most
 * prints need not look at any. */
struct ex_trail {
    struct ex_ends ends;
    int64_t extreme, stop;
};

struct ex_symbol {
    int64_t tick, base; /* grid of the book: price = base + ticks * tick */
    int64_t mark, index, last, last_ns, mark_ns, funding_last;
    int64_t open_interest;
    uint64_t sequence, trade_id;
    uint32_t heap1[FEED_COUNT][2];
    struct ex_trail trail[FEED_COUNT][2]; /* [..][0] buys, [..][1] sells */
    struct ex_ends cell_ends;
    size_t book_at;
};

struct ex_order {
    struct exchange_order o;
    match_handle handle; /* 0: not in the book */
    int64_t assumed_px;  /* what margin is reserved at */
    int64_t held_qty, held_notional;
    struct ex_link of_account, of_cell;
    uint32_t id_next1, client_next1;
    uint32_t algo1; /* conditional order it came from */
    uint32_t timed; /* in the heap of good-till times */
};

enum ex_place { PLACE_FREE = 0, PLACE_HEAP, PLACE_TRAIL, PLACE_FIRED, PLACE_CHILD };

struct ex_algo {
    struct exchange_algo a;
    int64_t stop; /* trailing: price that fires it now */
    struct ex_link of_account, of_cell, of_place;
    uint32_t id_next1, client_next1, skip_next1;
    uint8_t place;   /* enum ex_place */
    uint8_t classic; /* came from the ordinary endpoint: actual_order_id is its order's */
    uint8_t reserved[2];
};

/* The house's quantity at one price. */
struct ex_quote {
    match_handle handle;
    uint32_t instrument, tick, next1;
    uint32_t side; /* enum match_side */
};
#define EX_TAG_HOUSE (UINT64_C(1) << 32)

/* An order on its way from one grid of prices to another. */
struct ex_regrid {
    struct match_order order;
    int64_t px;
};

/* Slots given out: the last freed first, fresh ones in order. */
struct ex_slots {
    uint32_t capacity, fresh, free1, count;
};

struct exchange {
    struct exchange_config config; /* instruments pointer cleared */
    size_t size, state_size;
    size_t instruments_at, symbols_at, accounts_at, cells_at, orders_at, algos_at, quotes_at;
    size_t nodes_at, order_ids_at, order_clients_at, algo_ids_at, algo_clients_at, quote_heads_at;
    size_t books_at, events_at;
    uint32_t order_mask, algo_mask, quote_mask; /* of the hash tables */
    uint32_t events_capacity, events_one, event_count, event_drawn;
    struct ex_slots order_slots, algo_slots, quote_slots;
    uint32_t account_count, algos_open;
    uint32_t order_till1, algo_till1; /* heaps of good-till times */
    struct ex_ends countdowns, fired;
    uint32_t dirty_first1, dirty_last1;
    int64_t countdown_min;
    int64_t clock_ns;
    int64_t fees, insurance, funding_pool, deposits;
    uint64_t order_id_next, algo_id_next, tran_id_next, taker_id, walk;
};

static inline void *ex_at(const struct exchange *ex, size_t offset) {
    return (void *)((uintptr_t)ex + offset);
}
static inline struct instrument *ex_instrument(const struct exchange *ex, uint32_t s) {
    return (struct instrument *)ex_at(ex, ex->instruments_at) + s;
}
static inline struct ex_symbol *ex_symbol(const struct exchange *ex, uint32_t s) {
    return (struct ex_symbol *)ex_at(ex, ex->symbols_at) + s;
}
static inline struct match *ex_book(const struct exchange *ex, uint32_t s) {
    return (struct match *)ex_at(ex, ex_symbol(ex, s)->book_at);
}
static inline struct ex_account *ex_account(const struct exchange *ex, uint32_t a) {
    return (struct ex_account *)ex_at(ex, ex->accounts_at) + a;
}
static inline struct ex_cell *ex_cells(const struct exchange *ex) {
    return (struct ex_cell *)ex_at(ex, ex->cells_at);
}
static inline uint32_t ex_cell_index(const struct exchange *ex, uint32_t a, uint32_t s) {
    return a * ex->config.instrument_count + s;
}
static inline struct ex_cell *ex_cell(const struct exchange *ex, uint32_t a, uint32_t s) {
    return ex_cells(ex) + ex_cell_index(ex, a, s);
}
static inline struct ex_order *ex_orders(const struct exchange *ex) {
    return (struct ex_order *)ex_at(ex, ex->orders_at);
}
static inline struct ex_algo *ex_algos(const struct exchange *ex) {
    return (struct ex_algo *)ex_at(ex, ex->algos_at);
}
static inline uint32_t ex_order_index1(const struct exchange *ex, const struct ex_order *o) {
    return (uint32_t)(o - ex_orders(ex)) + 1;
}
static inline uint32_t ex_algo_index1(const struct exchange *ex, const struct ex_algo *a) {
    return (uint32_t)(a - ex_algos(ex)) + 1;
}
static inline struct ex_quote *ex_quotes(const struct exchange *ex) {
    return (struct ex_quote *)ex_at(ex, ex->quotes_at);
}
static inline struct ex_node *ex_nodes(const struct exchange *ex) {
    return (struct ex_node *)ex_at(ex, ex->nodes_at);
}
/* Heap nodes: one an order (good till), two an algo (trigger, good till). */
static inline uint32_t ex_order_node1(const struct exchange *ex, const struct ex_order *o) {
    return ex_order_index1(ex, o);
}
static inline uint32_t ex_algo_node1(const struct exchange *ex, const struct ex_algo *a) {
    return ex->order_slots.capacity + ex_algo_index1(ex, a);
}
static inline uint32_t ex_algo_till_node1(const struct exchange *ex, const struct ex_algo *a) {
    return ex->order_slots.capacity + ex->algo_slots.capacity + ex_algo_index1(ex, a);
}
static inline int64_t ex_abs(int64_t x) {
    return x < 0 ? -x : x;
}
static inline int64_t ex_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static inline int64_t ex_max(int64_t a, int64_t b) {
    return a > b ? a : b;
}
static inline int64_t ex_leaves(const struct exchange_order *o) {
    return o->orig_qty.e8 - o->cum_qty.e8;
}
static inline int64_t ex_cross_wallet(const struct ex_account *a) {
    return a->wallet - a->isolated;
}
static inline uint32_t ex_leg_of(uint8_t position_side) {
    return position_side == POSITION_SHORT;
}
/* An order that never opens: it trades no more than there is to close. */
static inline bool ex_closes(uint8_t position_side, uint8_t side) {
    return (position_side == POSITION_LONG && side == SIDE_SELL) ||
           (position_side == POSITION_SHORT && side == SIDE_BUY);
}
static inline bool ex_reduces(const struct exchange_order *o) {
    return o->reduce_only || o->close_position || ex_closes(o->position_side, o->side);
}
static inline bool ex_is_conditional(uint8_t type) {
    return type >= ORDER_STOP_MARKET;
}
static inline bool ex_has_limit(uint8_t type) {
    return type == ORDER_LIMIT || type == ORDER_STOP || type == ORDER_TAKE_PROFIT;
}
static inline enum match_side ex_book_side(uint8_t side) {
    return side == SIDE_BUY ? MATCH_BID : MATCH_ASK;
}
static inline enum match_side ex_other_side(uint8_t side) {
    return side == SIDE_BUY ? MATCH_ASK : MATCH_BID;
}
static inline int64_t ex_px_of(const struct ex_symbol *y, uint32_t tick) {
    return y->base + (int64_t)tick * y->tick;
}
/* Best price of a side of the book, 0 if it is empty. */
int64_t ex_best(const struct exchange *ex, uint32_t s, enum match_side side);

/* ---- exchange.c: events, work that is due ---- */

/* A zeroed event with kind, time, account and instrument. */
struct exchange_event *ex_event(struct exchange *ex, enum exchange_event_kind kind,
                                uint32_t account, uint32_t s);
/* The event made last; there must be one. */
struct exchange_event *ex_last_event(struct exchange *ex);
void ex_event_order(struct exchange *ex, enum exchange_exec exec, const struct exchange_order *o);
void ex_event_level(struct exchange *ex, uint32_t s, enum match_side side, uint32_t tick);
/* has leg: its position is the one that changed. s UINT32_MAX: none. */
void ex_event_account(struct exchange *ex, uint32_t account, uint32_t s, uint32_t leg,
                      enum exchange_reason reason, int64_t change);
void ex_event_income(struct exchange *ex, uint32_t account, uint32_t s, enum exchange_income type,
                     int64_t amount, uint64_t trade_id);
/* The queue is so full that work which can wait for the next input does. */
bool ex_is_busy(const struct exchange *ex);
bool ex_account_is_valid(const struct exchange *ex, uint32_t account);

/* ---- ex_index.c ---- */

void ex_list_append(struct ex_ends *ends, struct ex_links links, uint32_t index1);
void ex_list_remove(struct ex_ends *ends, struct ex_links links, uint32_t index1);
void ex_heap_push(struct exchange *ex, uint32_t *root1, uint32_t node1, int64_t key, uint64_t tie);
void ex_heap_remove(struct exchange *ex, uint32_t *root1, uint32_t node1);
/* 0: full. */
uint32_t ex_slot_take(struct ex_slots *slots, void *elements, size_t stride);
void ex_slot_give(struct ex_slots *slots, void *elements, size_t stride, uint32_t index1);
void ex_order_index(struct exchange *ex, struct ex_order *o);
void ex_order_unindex(struct exchange *ex, struct ex_order *o);
/* By id, or by client id where id is 0. s UINT32_MAX: in any contract. NULL: none. */
struct ex_order *ex_order_find(const struct exchange *ex, uint32_t account, uint32_t s, uint64_t id,
                               const char *client_id);
void ex_algo_index(struct exchange *ex, struct ex_algo *a);
void ex_algo_unindex(struct exchange *ex, struct ex_algo *a);
/* classic: among those of the ordinary endpoint, by order id. Only such as wait for their trigger. */
struct ex_algo *ex_algo_find(const struct exchange *ex, uint32_t account, uint64_t id,
                             const char *client_id, bool classic);
struct ex_quote *ex_quote_find(const struct exchange *ex, uint32_t s, enum match_side side,
                               uint32_t tick);
struct ex_quote *ex_quote_add(struct exchange *ex, uint32_t s, enum match_side side, uint32_t tick);
void ex_quote_remove(struct exchange *ex, struct ex_quote *q);

/* ---- ex_margin.c ---- */

int64_t ex_mark(const struct exchange *ex, uint32_t s); /* 0: no price yet */
uint32_t ex_leverage(const struct exchange *ex, uint32_t account, uint32_t s);
int64_t ex_notional_max(const struct instrument *in, uint32_t leverage);
int64_t ex_fee_rate(const struct exchange *ex, uint32_t account, uint32_t s, bool is_maker);
/* Recomputes what the cell adds to its account's sums. */
void ex_cell_refresh(struct exchange *ex, uint32_t account, uint32_t s);
void ex_cell_dirty(struct exchange *ex, uint32_t account, uint32_t s);
/* Margin of the cell's open orders beyond its position's, were extra added to one side of a leg. */
int64_t ex_order_margin(const struct exchange *ex, uint32_t account, uint32_t s, uint32_t leverage,
                        uint32_t leg, uint8_t side, int64_t extra);
int64_t ex_available(const struct ex_account *a);
int64_t ex_max_withdraw(const struct ex_account *a);
/* |position| that an order of this side would reduce. */
int64_t ex_reducible(const struct ex_leg *leg, uint8_t side);
int64_t ex_leg_value(const struct exchange *ex, const struct ex_leg *leg, uint32_t s);
int64_t ex_leg_upnl(const struct exchange *ex, const struct ex_leg *leg, uint32_t s);
int64_t ex_leg_im(const struct exchange *ex, uint32_t account, uint32_t s,
                  const struct ex_leg *leg);
int64_t ex_leg_mm(const struct exchange *ex, const struct ex_leg *leg, uint32_t s);

struct ex_fill {
    uint32_t account, s, leg;
    uint8_t side;
    int64_t px, qty, cost, close_qty, entry_share, realized, fee;
};
/* Books px * qty on a leg; account, s, leg, side, px, qty and fee_rate in, the rest out. The opening part of
 * an isolated leg takes its margin out of the cross wallet, never more than is there. */
void ex_fill_apply(struct exchange *ex, struct ex_fill *f, int64_t fee_rate);
/* As ex_fill_apply of a closing fill without fee, but what an isolated leg loses or gains stays in its
 * own wallet (liquidation). */
void ex_fill_apply_forced(struct exchange *ex, struct ex_fill *f);

/* ---- ex_admit.c ---- */

/* Fields, filters and rules that need no look at margin, position or book depth; may set price (price
 * match) and client id. *argument: what the code's text speaks of. */
int32_t ex_admit_form(struct exchange *ex, struct exchange_order *o, int64_t *argument);
/* Position side, reduceOnly, room, bracket, margin, FOK and GTX. triggered: of a conditional order. */
int32_t ex_admit_rest(struct exchange *ex, const struct exchange_order *o, bool triggered,
                      int64_t *argument);
int32_t ex_admit_enums(const struct exchange_input *in);
int32_t ex_admit_symbol(const struct exchange *ex, uint32_t account, uint32_t s);
int32_t ex_admit_good_till(const struct exchange *ex, uint8_t tif, int64_t *until_ns);
int32_t ex_admit_client_id(const char *id);
int32_t ex_admit_price_match(const struct exchange *ex, uint32_t s, uint8_t side, uint8_t mode,
                             int64_t *out_px);
int64_t ex_assumed_px(const struct exchange *ex, const struct exchange_order *o);
/* Bracket and margin of an order that rests now if its price and quantity became these. */
int32_t ex_admit_amended(struct exchange *ex, struct ex_order *order, int64_t px, int64_t qty,
                         int64_t *argument);
/* 0: not a price of the book's grid. */
uint32_t ex_tick_of(const struct ex_symbol *y, int64_t px);

/* ---- ex_order.c ---- */

void ex_order_place(struct exchange *ex, const struct exchange_input *in,
                    struct exchange_reply *reply);
void ex_order_cancel(struct exchange *ex, const struct exchange_input *in,
                     struct exchange_reply *reply);
void ex_order_amend(struct exchange *ex, const struct exchange_input *in,
                    struct exchange_reply *reply);
void ex_cancel_all(struct exchange *ex, uint32_t account, uint32_t s);
/* A new open order of this shape; NULL if there is no room. Tells NEW. */
struct ex_order *ex_order_create(struct exchange *ex, const struct exchange_order *shape);
/* Matches it, then rests or ends it; *final as it stood at the end of that. */
void ex_order_work(struct exchange *ex, struct ex_order *order, struct exchange_order *final);
/* Takes it out of everything and tells how it ended. */
void ex_order_end(struct exchange *ex, struct ex_order *order, enum exchange_order_status status,
                  enum exchange_expiry expiry, enum exchange_exec exec);
/* Brings what is reserved for it to what is left of it. */
void ex_order_hold(struct exchange *ex, struct ex_order *order);
void ex_client_id_make(char out[CLIENT_ORDER_ID_SIZE], const char *prefix, uint64_t id);

/* ---- ex_match.c ---- */

/* Somebody who takes: an order of a user, the house (order NULL), or a liquidation (forced). */
struct ex_taker {
    struct exchange_order *o;
    uint32_t account, s, leg;
    uint8_t side;
    bool is_forced, reduces;
    uint32_t limit;         /* ticks; 0: any price */
    int64_t leaves;         /* left to do */
    uint8_t stp;            /* enum venue_stp */
    uint8_t expiry, status; /* set where the rest must end whatever its kind; status EXO_NEW: no */
    int64_t bankruptcy_px;  /* is_forced */
};
void ex_match(struct exchange *ex, struct ex_taker *taker);
/* Quantity that would trade, for FOK: at most `enough`. */
int64_t ex_fillable(struct exchange *ex, const struct exchange_order *o, uint32_t limit,
                    int64_t enough);
int32_t ex_house_quote(struct exchange *ex, uint32_t s, uint8_t side, int64_t px, int64_t qty);
/* Takes a quote of the house out of the book. */
void ex_quote_drop(struct exchange *ex, uint32_t s, match_handle h, const struct match_order *m);
/* Adds a fill to an order's sums. */
void ex_order_count(struct exchange *ex, struct exchange_order *o, const struct ex_fill *f);
int32_t ex_market_print(struct exchange *ex, const struct exchange_input *in);
/* Ticks a market order of this side may walk to; 0: any. */
uint32_t ex_market_bound(const struct exchange *ex, uint32_t s, uint8_t side);
/* Tells both sides of a fill that was booked: account, execution, income. */
void ex_tell_fill(struct exchange *ex, const struct ex_fill *f, const struct exchange_order *o,
                  enum exchange_exec exec, uint64_t trade_id, bool is_maker);

/* ---- ex_algo.c ---- */

void ex_algo_place(struct exchange *ex, const struct exchange_input *in, bool classic,
                   struct exchange_reply *reply);
void ex_algo_cancel(struct exchange *ex, const struct exchange_input *in,
                    struct exchange_reply *reply);
void ex_algo_cancel_all(struct exchange *ex, uint32_t account, uint32_t s, bool classic);

/* ---- ex_trigger.c ---- */

void ex_algo_wait(struct exchange *ex, struct ex_algo *a);
/* Trailing and active from this price on. */
void ex_algo_wait_trail(struct exchange *ex, struct ex_algo *a, int64_t px);
/* Does this price fire (trailing: activate) it? */
bool ex_algo_is_reached(const struct exchange_algo *a, int64_t px);
void ex_algo_state(struct exchange *ex, struct ex_algo *a, enum exchange_algo_status status);
/* A price was made: what it fires is told TRIGGERING and queued. */
void ex_algo_price(struct exchange *ex, uint32_t s, enum ex_feed feed, int64_t px);
/* Executes the oldest fired one. */
void ex_algo_execute(struct exchange *ex);
/* Its child ended (filled or not). */
void ex_algo_finish(struct exchange *ex, uint32_t algo1, const struct exchange_order *child);
/* A waiting or fired one ends without a child. */
void ex_algo_end(struct exchange *ex, struct ex_algo *a, enum exchange_algo_status status,
                 int32_t code, enum exchange_expiry expiry);
/* The position of a leg is gone or turned round: what was bound to it expires. */
void ex_algo_position_gone(struct exchange *ex, uint32_t account, uint32_t s, uint32_t leg);
void ex_algo_expire_symbol(struct exchange *ex, uint32_t s, enum exchange_expiry expiry);
/* The order of the ordinary endpoint that a classic conditional order is. */
void ex_algo_as_order(const struct ex_algo *a, struct exchange_order *out);

/* ---- ex_liquidate.c ---- */

/* Looks whether the cell's or its account's margin is short, and acts. */
void ex_check_cell(struct exchange *ex, uint32_t cell1);
/* Books one fill of a liquidation order and tells it. */
void ex_forced_fill(struct exchange *ex, struct ex_taker *t, struct ex_fill *f, uint64_t trade_id);
void ex_settle_symbol(struct exchange *ex, uint32_t s);

/* ---- ex_settings.c ---- */

int32_t ex_set_leverage(struct exchange *ex, const struct exchange_input *in,
                        struct exchange_reply *reply);
int32_t ex_set_margin_type(struct exchange *ex, const struct exchange_input *in);
int32_t ex_set_position_mode(struct exchange *ex, const struct exchange_input *in);
int32_t ex_set_position_margin(struct exchange *ex, const struct exchange_input *in);
int32_t ex_set_multi_assets(const struct exchange *ex, const struct exchange_input *in);
int32_t ex_account_open(struct exchange *ex, const struct exchange_input *in,
                        struct exchange_reply *reply);
int32_t ex_deposit(struct exchange *ex, const struct exchange_input *in);
int32_t ex_set_fees(struct exchange *ex, const struct exchange_input *in);
int32_t ex_set_countdown(struct exchange *ex, const struct exchange_input *in);
void ex_countdown_min(struct exchange *ex);
int32_t ex_set_mark(struct exchange *ex, const struct exchange_input *in);
int32_t ex_funding(struct exchange *ex, const struct exchange_input *in);
int32_t ex_set_status(struct exchange *ex, const struct exchange_input *in);

/* ---- ex_look.c ---- */

void ex_position_fill(const struct exchange *ex, uint32_t account, uint32_t s, uint32_t leg,
                      bool with_liquidation_px, struct exchange_position *out);

#endif
