#include "venue/binance/orders.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/tstamp.h"

enum { CODE_CANCEL_UNKNOWN = -2011, ABSENT_ORDINARY = 2, ABSENT_ALGO = 3 };

/* Between two "does not exist": those of the algo service have been seen to lag by seconds. */
#define ABSENT_AGAIN_NS      (300 * NS_PER_MS)
#define ABSENT_ALGO_AGAIN_NS (1500 * NS_PER_MS)
#define ORPHAN_LIFE_NS       (2 * NS_PER_SECOND)

void binance_orders_init(struct orders *os,
                         void (*tell)(void *context, const struct venue_event *event),
                         void *context) {
    memset(os, 0, sizeof *os);
    os->tell = tell;
    os->context = context;
    os->grace_ns = ORDER_GRACE_NS;
}

/* ---- the table ---- */

static uint32_t client_bucket(const char *client_id) {
    return (uint32_t)(hash64(client_id, strlen(client_id)) % ORDERS_MAX);
}

static uint32_t id_bucket(uint64_t order_id) {
    return (uint32_t)(hash64(&order_id, sizeof order_id) % ORDERS_MAX);
}

struct order *binance_orders_find(struct orders *os, const char *client_id) {
    if (client_id[0] == '\0') return NULL;
    for (uint32_t at1 = os->by_client1[client_bucket(client_id)]; at1;
         at1 = os->slots[at1 - 1].next_client1)
        if (strcmp(os->slots[at1 - 1].client_id, client_id) == 0) return &os->slots[at1 - 1];
    return NULL;
}

struct order *binance_orders_find_id(struct orders *os, uint64_t order_id) {
    if (order_id == 0) return NULL;
    for (uint32_t at1 = os->by_id1[id_bucket(order_id)]; at1; at1 = os->slots[at1 - 1].next_id1)
        if (os->slots[at1 - 1].order_id == order_id) return &os->slots[at1 - 1];
    return NULL;
}

struct order *binance_orders_find_row(struct orders *os, const struct rest_order *row) {
    struct order *o = binance_orders_find(os, row->client_id);
    return o ? o : binance_orders_find_id(os, row->order_id);
}

static void unlink_client(struct orders *os, struct order *o) {
    uint32_t *at1 = &os->by_client1[client_bucket(o->client_id)];
    while (*at1 != binance_order_slot(os, o) + 1) at1 = &os->slots[*at1 - 1].next_client1;
    *at1 = o->next_client1;
}

static void unlink_id(struct orders *os, struct order *o) {
    if (o->order_id == 0) return;
    uint32_t *at1 = &os->by_id1[id_bucket(o->order_id)];
    while (*at1 != binance_order_slot(os, o) + 1) at1 = &os->slots[*at1 - 1].next_id1;
    *at1 = o->next_id1;
    o->order_id = 0;
}

static void link_id(struct orders *os, struct order *o, uint64_t order_id) {
    if (order_id == 0 || order_id == o->order_id) return;
    unlink_id(os, o);
    o->order_id = order_id;
    uint32_t *bucket = &os->by_id1[id_bucket(order_id)];
    o->next_id1 = *bucket;
    *bucket = binance_order_slot(os, o) + 1;
}

static uint32_t take_slot(struct orders *os) {
    if (os->fresh < ORDERS_MAX) return os->fresh++;
    if (os->ended_count == 0) return ORDERS_MAX;
    uint32_t slot = os->ended[os->ended_head];
    os->ended_head = (os->ended_head + 1) % ORDERS_MAX;
    os->ended_count--;
    unlink_client(os, &os->slots[slot]);
    unlink_id(os, &os->slots[slot]);
    return slot;
}

struct order *binance_orders_add(struct orders *os, const char *client_id, uint32_t instrument) {
    struct order *old = binance_orders_find(os, client_id);
    ASSERT(!old || old->phase == PHASE_ENDED);
    uint32_t slot = take_slot(os);
    if (slot == ORDERS_MAX) return NULL;
    struct order *o = &os->slots[slot];
    memset(o, 0, sizeof *o);
    size_t size = strlen(client_id);
    ASSERT(size < sizeof o->client_id);
    memcpy(o->client_id, client_id, size);
    o->instrument = instrument;
    o->phase = PHASE_ASKED;
    o->serial = ++os->serial_next;
    o->active_at = os->active_count;
    os->active[os->active_count++] = slot;
    /* In front: found before an ended one of the same name. */
    uint32_t *bucket = &os->by_client1[client_bucket(client_id)];
    o->next_client1 = *bucket;
    *bucket = slot + 1;
    return o;
}

static void retire(struct orders *os, struct order *o) {
    ASSERT(o->phase != PHASE_ENDED);
    o->phase = PHASE_ENDED;
    o->query_at_ns = o->trades_at_ns = o->acked_ns = 0;
    uint32_t last = os->active[--os->active_count];
    os->active[o->active_at] = last;
    os->slots[last].active_at = o->active_at;
    os->ended[(os->ended_head + os->ended_count++) % ORDERS_MAX] = binance_order_slot(os, o);
}

/* ---- telling ---- */

static void event_init(const struct orders *os, const struct order *o, struct venue_event *e,
                       enum venue_event_kind kind, int64_t ts_ns) {
    memset(e, 0, sizeof *e);
    e->kind = (uint8_t)kind;
    e->side = o->side;
    e->order_type = o->type;
    e->instrument_index = o->instrument;
    e->ts_event_ns = ts_ns;
    e->venue_order_id = o->order_id ? o->order_id : o->algo_id;
    e->cum_qty = o->cum_qty;
    e->leaves_qty.e8 = o->order_qty.e8 > o->cum_qty.e8 ? o->order_qty.e8 - o->cum_qty.e8 : 0;
    e->avg_cost = o->cum_cost;
    e->wallet = os->wallet;
    memcpy(e->client_order_id, o->client_id, CLIENT_ORDER_ID_SIZE);
}

static void tell(struct orders *os, struct order *o, enum venue_event_kind kind, int32_t code,
                 int64_t ts_ns) {
    struct venue_event e;
    event_init(os, o, &e, kind, ts_ns);
    e.code = code;
    os->tell(os->context, &e);
}

static void seen(struct order *o, int64_t ts_ns, int64_t now_ns) {
    if (ts_ns > o->venue_ts_ns) o->venue_ts_ns = ts_ns;
    o->evidence_ns = now_ns;
    o->absent_count = 0;
}

/* The venue has it: status NEW or better. */
static void order_live(struct orders *os, struct order *o, int64_t ts_ns, int64_t now_ns) {
    seen(o, ts_ns, now_ns);
    if (o->phase == PHASE_ENDED) return;
    o->phase = PHASE_LIVE;
    if (o->told_accepted) return;
    o->told_accepted = true;
    tell(os, o, VENUE_ORDER_ACCEPTED, 0, ts_ns);
}

static void triggered(struct orders *os, struct order *o, int64_t ts_ns, int64_t now_ns) {
    order_live(os, o, ts_ns, now_ns);
    if (!o->conditional || o->told_triggered || o->phase == PHASE_ENDED) return;
    o->told_triggered = true;
    tell(os, o, VENUE_ORDER_TRIGGERED, 0, ts_ns);
}

static void want(int64_t *at_ns, int64_t ts_ns) {
    if (*at_ns == 0 || ts_ns < *at_ns) *at_ns = ts_ns;
}

/* Into the books. Who opened what is held now is known by what was held before. */
static void book(struct orders *os, struct order_symbol *s, const struct order_fill *f,
                 bool is_foreign) {
    int64_t before = s->booked.e8;
    s->booked.e8 += side_sign((enum side)f->side) * f->qty.e8;
    if (f->ts_ns > os->wallet_ns) os->wallet.e8 += f->realized_pnl.e8 - f->commission.e8;
    if (before == 0 || (before > 0) != (s->booked.e8 > 0)) s->is_foreign = is_foreign;
    if (s->booked.e8 == 0) s->is_foreign = false;
    if (f->trade_id < s->fills.highest) os->stats.late_fills++;
    if (fills_is_new(&s->fills, f->trade_id)) fills_add(&s->fills, f->trade_id);
}

static void tell_fill(struct orders *os, struct order *o, const struct order_fill *f) {
    struct order_symbol *s = &os->symbols[o->instrument];
    o->cum_qty = f->cum_qty;
    o->cum_cost.e8 += money_mul_half_even(f->px, f->qty).e8;
    bool is_in_whole = s->whole_ns && f->ts_ns <= s->whole_ns;
    if (is_in_whole || fills_has(&s->fills, f->trade_id)) {
        o->told_elsewhere = true;
        os->stats.duplicates++;
        return;
    }
    book(os, s, f, false);
    struct venue_event e;
    event_init(os, o, &e, VENUE_ORDER_TRADE, f->ts_ns);
    e.side = f->side;
    e.is_maker = f->is_maker;
    e.trade_id = f->trade_id;
    e.last_px = f->px;
    e.last_qty = f->qty;
    e.commission = f->commission;
    e.realized_pnl = f->realized_pnl;
    e.mark_px = f->px;
    os->stats.fills++;
    os->tell(os->context, &e);
}

/* Ends are told once all their fills are. */
static void try_finish(struct orders *os, struct order *o, int64_t now_ns) {
    if (o->end == END_NONE || o->phase == PHASE_ENDED) return;
    if (o->cum_qty.e8 < o->end_qty.e8) {
        want(&o->trades_at_ns, now_ns + os->grace_ns);
        return;
    }
    retire(os, o);
    if (o->end == END_CANCELED) tell(os, o, VENUE_ORDER_CANCELED, o->end_code, o->end_ts_ns);
    /* The fill that would have said that it is over was told under another name. */
    if (o->end == END_EXPIRED || (o->end == END_FILLED && o->told_elsewhere))
        tell(os, o, VENUE_ORDER_EXPIRED, o->end_code, o->end_ts_ns);
    if (o->cancel != CANCEL_NONE && o->end != END_CANCELED)
        tell(os, o, VENUE_CANCEL_REJECTED, CODE_CANCEL_UNKNOWN, o->end_ts_ns);
    o->cancel = CANCEL_NONE;
}

void binance_order_ended(struct orders *os, struct order *o, enum order_end end, int32_t code,
                         qty_t cum_qty, int64_t ts_ns, int64_t now_ns) {
    order_live(os, o, ts_ns, now_ns);
    if (o->phase == PHASE_ENDED) return;
    if (o->end == END_NONE) {
        o->end = (uint8_t)end;
        o->end_code = code;
        o->end_ts_ns = ts_ns;
    }
    if (cum_qty.e8 > o->end_qty.e8) o->end_qty = cum_qty;
    if (end == END_FILLED && o->close_position) o->order_qty = o->end_qty;
    try_finish(os, o, now_ns);
}

/* ---- fills ---- */

static void hold(struct orders *os, struct order *o, const struct order_fill *f) {
    uint32_t at = 0;
    while (at < o->held_count && o->held[at].cum_qty.e8 < f->cum_qty.e8) at++;
    if (at < o->held_count && o->held[at].cum_qty.e8 == f->cum_qty.e8) {
        os->stats.duplicates++;
        return;
    }
    /* No room: the one furthest away is dropped, userTrades will bring it again. */
    if (o->held_count == ORDER_HELD_MAX) {
        if (at == ORDER_HELD_MAX) return;
        o->held_count--;
    }
    memmove(&o->held[at + 1], &o->held[at], (size_t)(o->held_count - at) * sizeof o->held[0]);
    o->held[at] = *f;
    o->held_count++;
}

static void drain(struct orders *os, struct order *o, int64_t now_ns) {
    uint32_t done = 0;
    for (; done < o->held_count; done++) {
        struct order_fill f = o->held[done];
        if (f.cum_qty.e8 <= o->cum_qty.e8) {
            os->stats.duplicates++;
            continue;
        }
        if (f.cum_qty.e8 - f.qty.e8 > o->cum_qty.e8) break;
        if (f.cum_qty.e8 - f.qty.e8 < o->cum_qty.e8) {
            os->stats.contradictions++; /* it overlaps what is told: userTrades decides */
            want(&o->trades_at_ns, now_ns);
            continue;
        }
        tell_fill(os, o, &f);
    }
    memmove(o->held, &o->held[done], (size_t)(o->held_count - done) * sizeof o->held[0]);
    o->held_count = (uint8_t)(o->held_count - done);
    if (o->held_count) want(&o->trades_at_ns, now_ns + os->grace_ns);
}

void binance_order_fill(struct orders *os, struct order *o, const struct order_fill *fill,
                        int64_t now_ns) {
    if (fill->cum_qty.e8 <= o->cum_qty.e8 || o->phase == PHASE_ENDED) {
        os->stats.duplicates++;
        return;
    }
    triggered(os, o, fill->ts_ns, now_ns);
    if (fill->cum_qty.e8 > o->venue_qty.e8) o->venue_qty = fill->cum_qty;
    hold(os, o, fill);
    drain(os, o, now_ns);
    if (o->order_qty.e8 > 0 && o->cum_qty.e8 >= o->order_qty.e8 && o->end == END_NONE)
        binance_order_ended(os, o, END_FILLED, 0, o->cum_qty, fill->ts_ns, now_ns);
    else
        try_finish(os, o, now_ns);
}

/* ---- answers ---- */

void binance_order_refused(struct orders *os, struct order *o, int32_t code, int64_t ts_ns,
                           int64_t now_ns) {
    if (o->told_accepted || o->phase == PHASE_ENDED) {
        os->stats.contradictions++; /* the stream has it: what we asked twice was refused once */
        return;
    }
    seen(o, ts_ns, now_ns);
    bool cancel = o->cancel != CANCEL_NONE;
    o->cancel = CANCEL_NONE;
    retire(os, o);
    tell(os, o, VENUE_ORDER_REJECTED, code, ts_ns);
    if (cancel) tell(os, o, VENUE_CANCEL_REJECTED, CODE_CANCEL_UNKNOWN, ts_ns);
}

void binance_order_stands(struct orders *os, struct order *o, int64_t ts_ns, int64_t now_ns) {
    order_live(os, o, ts_ns, now_ns);
}

void binance_order_unknown(struct order *o, int64_t window_end_ns, int64_t now_ns) {
    if (o->phase != PHASE_ASKED) return; /* evidence came first */
    o->phase = PHASE_UNKNOWN;
    if (window_end_ns > o->window_end_ns) o->window_end_ns = window_end_ns;
    /* Asked at once: a "yes" counts at any time. */
    want(&o->query_at_ns, now_ns);
}

static void never_placed(struct orders *os, struct order *o, int64_t now_ns) {
    if (o->told_accepted || o->known_before) {
        /* Acknowledged once, or perhaps: an order that was NEW cannot be rejected any more. */
        bool cancel = o->cancel != CANCEL_NONE;
        o->cancel = CANCEL_NONE;
        retire(os, o);
        tell(os, o, VENUE_ORDER_EXPIRED, BINANCE_NEVER_PLACED, o->venue_ts_ns);
        if (cancel) tell(os, o, VENUE_CANCEL_REJECTED, CODE_CANCEL_UNKNOWN, o->venue_ts_ns);
        return;
    }
    binance_order_refused(os, o, BINANCE_NEVER_PLACED, o->venue_ts_ns, now_ns);
}

void binance_order_absent(struct orders *os, struct order *o, int64_t venue_now_ns,
                          int64_t now_ns) {
    if (o->phase == PHASE_ENDED) return;
    int64_t again_ns = o->conditional ? ABSENT_ALGO_AGAIN_NS : ABSENT_AGAIN_NS;
    int64_t next_ns = again_ns / (o->conditional ? 2 : 1);
    /* However often it is asked after, and by whom: what counts is said at intervals. */
    if (o->absent_count > 0 && now_ns - o->absent_ns < next_ns) {
        o->query_at_ns = o->absent_ns + next_ns;
        return;
    }
    if (o->conditional) o->ask_other = !o->ask_other;
    if (venue_now_ns == 0 || venue_now_ns <= o->window_end_ns) {
        o->absent_count = 0;
        want(&o->query_at_ns, now_ns + ABSENT_AGAIN_NS);
        return;
    }
    if (o->absent_count == 0) o->absent_since_ns = now_ns;
    o->absent_ns = now_ns;
    o->absent_count++;
    /* A conditional order has two places to be in: each must have said no. */
    uint32_t needed = o->conditional ? 2 * ABSENT_ALGO : ABSENT_ORDINARY;
    if (o->absent_count >= needed && now_ns - o->absent_since_ns >= again_ns) {
        never_placed(os, o, now_ns);
        return;
    }
    o->query_at_ns = now_ns + next_ns;
}

/* Why an order ended is not part of its row: the reason that its kind can have. */
static int32_t expiry_of_row(const struct rest_order *row, const struct order *o) {
    if (row->type == ORDER_MARKET) return 9;
    return o->time_in_force == TIF_IOC ? 2 : 0;
}

void binance_order_row(struct orders *os, struct order *o, const struct rest_order *row,
                       int64_t now_ns) {
    if (o->phase == PHASE_ENDED) return;
    if (o->side == SIDE_NONE) o->side = row->side;
    if (row->order_qty.e8 > 0 && (!o->close_position || row->type <= ORDER_LIMIT))
        o->order_qty = row->order_qty;
    link_id(os, o, row->order_id);
    if (o->conditional && o->stop_px.e8 == 0) o->stop_px = row->stop_price;
    bool child = o->conditional && (row->type == ORDER_MARKET || row->type == ORDER_LIMIT);
    if (child)
        triggered(os, o, row->update_ns, now_ns);
    else
        order_live(os, o, row->update_ns, now_ns);
    if (row->cum_qty.e8 > o->venue_qty.e8) o->venue_qty = row->cum_qty;
    switch ((enum venue_status)row->status) {
    case STATUS_FILLED:
        binance_order_ended(os, o, END_FILLED, 0, row->cum_qty, row->update_ns, now_ns);
        return;
    case STATUS_CANCELED:
        binance_order_ended(os, o, END_CANCELED, 0, row->cum_qty, row->update_ns, now_ns);
        return;
    case STATUS_EXPIRED:
    case STATUS_REJECTED:
        binance_order_ended(os, o, END_EXPIRED, expiry_of_row(row, o), row->cum_qty, row->update_ns,
                            now_ns);
        return;
    case STATUS_NEW:
    case STATUS_PARTIALLY_FILLED:
    case STATUS_NONE:
        break;
    }
    if (o->venue_qty.e8 > o->cum_qty.e8) want(&o->trades_at_ns, now_ns + os->grace_ns);
}

/* What both the stream and the service say of a conditional order. */
static void algo_status(struct orders *os, struct order *o, enum algo_status status,
                        uint64_t child_id, int32_t code, int64_t ts_ns, int64_t now_ns) {
    if (child_id) link_id(os, o, child_id);
    switch (status) {
    case ALGO_NONE:
        return;
    case ALGO_NEW:
    case ALGO_TRIGGERING:
        order_live(os, o, ts_ns, now_ns);
        return;
    case ALGO_TRIGGERED:
    case ALGO_FINISHED:
        triggered(os, o, ts_ns, now_ns);
        /* FINISHED is filled or cancelled: the child says which. */
        if (o->phase != PHASE_ENDED) want(&o->query_at_ns, now_ns + os->grace_ns);
        return;
    case ALGO_CANCELED:
        binance_order_ended(os, o, END_CANCELED, 0, o->cum_qty, ts_ns, now_ns);
        return;
    case ALGO_EXPIRED:
    case ALGO_REJECTED:
        binance_order_ended(os, o, END_EXPIRED, code, o->cum_qty, ts_ns, now_ns);
        return;
    }
}

enum { EXPIRY_POSITION_GONE = 6, CODE_NEW_ORDER_REJECTED = -2010 };

void binance_order_algo_row(struct orders *os, struct order *o, const struct rest_algo *row,
                            int64_t now_ns) {
    if (o->phase == PHASE_ENDED) return;
    o->on_algo = true;
    if (o->side == SIDE_NONE) o->side = row->side;
    if (row->order_qty.e8 > 0 && o->order_id == 0) o->order_qty = row->order_qty;
    if (row->close_position) o->close_position = 1;
    if (o->stop_px.e8 == 0) o->stop_px = row->trigger_px;
    if (row->algo_id) o->algo_id = row->algo_id;
    int32_t code = row->status == ALGO_REJECTED ? CODE_NEW_ORDER_REJECTED : EXPIRY_POSITION_GONE;
    if (row->filled_qty.e8 > o->venue_qty.e8) o->venue_qty = row->filled_qty;
    algo_status(os, o, (enum algo_status)row->status, row->child_id, code, row->update_ns, now_ns);
    if (o->phase != PHASE_ENDED && o->venue_qty.e8 > o->cum_qty.e8)
        want(&o->trades_at_ns, now_ns + os->grace_ns);
}

void binance_order_cancel_failed(struct orders *os, struct order *o, int32_t code, int64_t now_ns) {
    if (o->phase == PHASE_ENDED || o->cancel == CANCEL_NONE) return;
    o->evidence_ns = now_ns;
    o->cancel = CANCEL_NONE;
    o->cancel_tries = 0;
    tell(os, o, VENUE_CANCEL_REJECTED, code, o->venue_ts_ns);
}

/* ---- orders of others ---- */

char binance_forced_kind(const char *client_id) {
    if (strncmp(client_id, "autoclose-", 10) == 0 || strncmp(client_id, "adl_autoclose", 13) == 0)
        return 'l';
    if (strncmp(client_id, "settlement_autoclose", 20) == 0 ||
        strncmp(client_id, "delivery_autoclose", 18) == 0)
        return 's';
    return '\0';
}

/* Whether what is booked and the fill are of opposite directions. */
static bool is_against(qty_t booked, int64_t signed_qty) {
    return booked.e8 != 0 && (booked.e8 > 0) != (signed_qty > 0);
}

static struct venue_event foreign_event_of(const struct orders *os, uint32_t instrument,
                                           const struct order_fill *f, uint64_t order_id,
                                           char forced) {
    int64_t after = os->symbols[instrument].booked.e8;
    return (struct venue_event){.kind = forced == 'l' ? VENUE_LIQUIDATION : VENUE_ORDER_TRADE,
                                .side = f->side,
                                .order_type = forced ? ORDER_LIMIT : ORDER_MARKET,
                                .is_maker = f->is_maker,
                                .instrument_index = instrument,
                                .ts_event_ns = f->ts_ns,
                                .venue_order_id = order_id,
                                .trade_id = f->trade_id,
                                .last_px = f->px,
                                .last_qty = f->qty,
                                .cum_qty = f->cum_qty,
                                .leaves_qty = {after < 0 ? -after : after},
                                .avg_cost = money_mul_half_even(f->px, f->qty),
                                .commission = f->commission,
                                .realized_pnl = f->realized_pnl,
                                .wallet = os->wallet,
                                .mark_px = f->px};
}

bool binance_orders_foreign_fill(struct orders *os, uint32_t instrument,
                                 const struct order_fill *fill, uint64_t order_id,
                                 const char *client_id) {
    static const char nameless[] = "foreign";
    struct order_symbol *s = &os->symbols[instrument];
    struct order_fill f = *fill;
    if (!fills_is_new(&s->fills, f.trade_id) || f.trade_id <= s->from_trade_id ||
        f.ts_ns <= s->counted_ns) {
        os->stats.duplicates++;
        return true;
    }
    char forced = binance_forced_kind(client_id);
    bool against = is_against(s->booked, side_sign((enum side)f.side));
    if ((forced && !against) || (s->booked.e8 == 0 && f.realized_pnl.e8 != 0)) {
        os->stats.foreign_fills++;
        return false;
    }
    int64_t held = s->booked.e8 < 0 ? -s->booked.e8 : s->booked.e8;
    if (forced && f.qty.e8 > held) f.qty.e8 = held;
    book(os, s, &f, true);
    struct venue_event e = foreign_event_of(os, instrument, &f, order_id, forced);
    if (!forced) {
        const char *name = client_id[0] ? client_id : nameless;
        memcpy(e.client_order_id, name, strnlen(name, CLIENT_ORDER_ID_SIZE - 1));
    }
    os->stats.fills++;
    os->tell(os->context, &e);
    return true;
}

void binance_orders_position(struct orders *os, uint32_t instrument, qty_t qty, px_t entry_px,
                             int64_t ts_ns) {
    struct order_symbol *s = &os->symbols[instrument];
    /* More or less of the same is still his who opened it; anything else nobody here did. */
    bool same = qty.e8 != 0 && is_against(s->booked, -qty.e8);
    if (!same) s->is_foreign = qty.e8 != 0;
    s->booked = qty;
    if (ts_ns > s->counted_ns) s->counted_ns = ts_ns;
    if (ts_ns > s->whole_ns) s->whole_ns = ts_ns;
    os->stats.positions++;
    struct venue_event e = {.kind = VENUE_POSITION,
                            .side = qty.e8 > 0   ? SIDE_BUY
                                    : qty.e8 < 0 ? SIDE_SELL
                                                 : SIDE_NONE,
                            .instrument_index = instrument,
                            .ts_event_ns = ts_ns,
                            .last_px = qty.e8 != 0 ? entry_px : px_e8(0),
                            .last_qty = {qty.e8 < 0 ? -qty.e8 : qty.e8},
                            .wallet = os->wallet};
    os->tell(os->context, &e);
}

void binance_orders_balance(struct orders *os, money_t wallet, money_t available, int64_t wallet_ns,
                            int64_t ts_ns) {
    bool is_news = os->wallet.e8 != wallet.e8 || os->available.e8 != available.e8;
    is_news |= !os->balance_told;
    os->balance_told = true;
    os->wallet = wallet;
    os->available = available;
    os->wallet_ns = wallet_ns;
    if (!is_news) return;
    const struct venue_event e = {
        .kind = VENUE_BALANCE, .ts_event_ns = ts_ns, .wallet = wallet, .available = available};
    os->tell(os->context, &e);
}

void binance_orders_funding(struct orders *os, uint32_t instrument, int64_t ts_ns, money_t amount) {
    struct order_symbol *s = &os->symbols[instrument];
    if (ts_ns <= s->last_funding_ns + FUNDING_SAME_NS) {
        os->stats.duplicates++;
        return;
    }
    s->last_funding_ns = ts_ns;
    if (ts_ns > os->wallet_ns) os->wallet.e8 += amount.e8;
    struct venue_event e = {.kind = VENUE_FUNDING,
                            .instrument_index = instrument,
                            .ts_event_ns = ts_ns,
                            .funding = amount,
                            .funding_rate = s->funding_rate,
                            .wallet = os->wallet};
    os->tell(os->context, &e);
}

/* ---- streams ---- */

static struct order_fill fill_of(const struct stream_order *e) {
    return (struct order_fill){.trade_id = e->trade_id,
                               .cum_qty = e->cum_qty,
                               .qty = e->last_qty,
                               .px = e->last_px,
                               .commission = e->commission,
                               .realized_pnl = e->realized_pnl,
                               .ts_ns = e->trade_ns,
                               .side = e->side,
                               .is_maker = e->is_maker};
}

static void own_event(struct orders *os, struct order *o, const struct stream_order *e,
                      int64_t now_ns) {
    if (o->phase == PHASE_ENDED) {
        os->stats.duplicates++;
        return;
    }
    o->acked_ns = 0;
    o->stream_seen = true;
    if (o->side == SIDE_NONE) o->side = e->side;
    bool child = o->conditional && (e->type == ORDER_MARKET || e->type == ORDER_LIMIT);
    if (e->order_qty.e8 > 0 && (child || !o->close_position)) o->order_qty = e->order_qty;
    link_id(os, o, e->order_id);
    if (child)
        triggered(os, o, e->trade_ns, now_ns);
    else
        order_live(os, o, e->trade_ns, now_ns);
    enum { EXPIRY_STOP_FIRED = 8 };
    switch ((enum exec_type)e->exec) {
    case EXEC_TYPE_TRADE:
    case EXEC_TYPE_CALCULATED: {
        struct order_fill f = fill_of(e);
        binance_order_fill(os, o, &f, now_ns);
        break;
    }
    case EXEC_TYPE_CANCELED:
        binance_order_ended(os, o, END_CANCELED, e->expiry, e->cum_qty, e->trade_ns, now_ns);
        break;
    case EXEC_TYPE_EXPIRED:
        /* A classic stop that fires expires as what it was and goes on under its id. */
        if (o->conditional && !child && e->expiry == EXPIRY_STOP_FIRED)
            triggered(os, o, e->trade_ns, now_ns);
        else
            binance_order_ended(os, o, END_EXPIRED, e->expiry, e->cum_qty, e->trade_ns, now_ns);
        break;
    case EXEC_TYPE_NEW:
    case EXEC_TYPE_AMENDMENT:
    case EXEC_TYPE_NONE:
        break;
    }
    if (e->status == STATUS_FILLED)
        binance_order_ended(os, o, END_FILLED, 0, e->cum_qty, e->trade_ns, now_ns);
}

/* Whether it may be the child of a conditional order whose child is not known yet. */
static bool may_be_child(const struct orders *os, uint32_t instrument,
                         const struct stream_order *e) {
    for (uint32_t i = 0; i < os->active_count; i++) {
        const struct order *o = &os->slots[os->active[i]];
        if (o->conditional && o->on_algo && o->instrument == instrument && o->order_id == 0 &&
            (o->side == e->side || o->side == SIDE_NONE))
            return true;
    }
    return false;
}

static void foreign_event(struct orders *os, uint32_t instrument, const struct stream_order *e) {
    if (e->exec != EXEC_TYPE_TRADE && e->exec != EXEC_TYPE_CALCULATED) return;
    struct order_fill f = fill_of(e);
    if (!binance_orders_foreign_fill(os, instrument, &f, e->order_id, e->client_id))
        os->doubt = true;
}

void binance_orders_stream(struct orders *os, uint32_t instrument, const struct stream_order *e,
                           int64_t event_ns, int64_t now_ns) {
    struct order *o = binance_orders_find(os, e->client_id);
    if (!o || o->instrument != instrument) o = binance_orders_find_id(os, e->order_id);
    if (o && o->instrument == instrument) {
        own_event(os, o, e, now_ns);
        return;
    }
    if (!binance_forced_kind(e->client_id) && os->orphan_count < ORDER_ORPHANS_MAX &&
        may_be_child(os, instrument, e)) {
        uint32_t at = os->orphan_count++;
        os->orphans[at].until_ns = now_ns + ORPHAN_LIFE_NS;
        os->orphans[at].instrument = instrument;
        os->orphans[at].event_ns = event_ns;
        os->orphans[at].event = *e;
        return;
    }
    foreign_event(os, instrument, e);
}

static void remove_orphan(struct orders *os, uint32_t at) {
    os->orphan_count--;
    memmove(&os->orphans[at], &os->orphans[at + 1],
            (size_t)(os->orphan_count - at) * sizeof os->orphans[0]);
}

static void adopt_orphans(struct orders *os, struct order *o, int64_t now_ns) {
    for (uint32_t i = 0; i < os->orphan_count;) {
        if (os->orphans[i].event.order_id != o->order_id) {
            i++;
            continue;
        }
        struct stream_order e = os->orphans[i].event;
        remove_orphan(os, i);
        own_event(os, o, &e, now_ns);
    }
}

static int32_t code_of_reason(const struct stream_algo *e) {
    /* The texts are not a published list; what matters is that it is a refusal. */
    return e->status == ALGO_REJECTED ? CODE_NEW_ORDER_REJECTED : EXPIRY_POSITION_GONE;
}

void binance_orders_stream_algo(struct orders *os, uint32_t instrument, const struct stream_algo *e,
                                int64_t event_ns, int64_t now_ns) {
    struct order *o = binance_orders_find(os, e->client_id);
    if (!o || o->instrument != instrument) return;
    if (o->phase == PHASE_ENDED) {
        os->stats.duplicates++;
        return;
    }
    o->acked_ns = 0;
    o->stream_seen = true;
    o->on_algo = true;
    o->algo_id = e->algo_id;
    if (o->side == SIDE_NONE) o->side = e->side;
    if (e->filled_qty.e8 > o->venue_qty.e8) o->venue_qty = e->filled_qty;
    if (e->child_id && o->order_id == 0) {
        link_id(os, o, e->child_id);
        adopt_orphans(os, o, now_ns);
    }
    algo_status(os, o, (enum algo_status)e->status, e->child_id, code_of_reason(e), event_ns,
                now_ns);
    if (o->phase != PHASE_ENDED && o->venue_qty.e8 > o->cum_qty.e8)
        want(&o->trades_at_ns, now_ns + os->grace_ns);
}

int64_t binance_orders_time(struct orders *os, int64_t now_ns) {
    int64_t deadline = INT64_MAX;
    for (uint32_t i = 0; i < os->orphan_count;) {
        struct order *o = binance_orders_find_id(os, os->orphans[i].event.order_id);
        if (!o && now_ns < os->orphans[i].until_ns) {
            if (os->orphans[i].until_ns < deadline) deadline = os->orphans[i].until_ns;
            i++;
            continue;
        }
        struct stream_order e = os->orphans[i].event;
        uint32_t instrument = os->orphans[i].instrument;
        remove_orphan(os, i);
        if (o)
            own_event(os, o, &e, now_ns);
        else
            foreign_event(os, instrument, &e);
    }
    return deadline;
}
