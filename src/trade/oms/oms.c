#include "trade/oms/oms.h"

#include <string.h>

#include "base/assert.h"

const char *oms_leg_text(enum oms_leg leg) {
    switch (leg) {
    case LEG_ENTRY:
        return "entry";
    case LEG_STOP:
        return "stop";
    case LEG_TAKE_PROFIT:
        return "take_profit";
    case LEG_CLOSE:
        return "close";
    case LEG_TAKE_PROFIT_2:
        return "take_profit_2";
    case LEG_TAKE_PROFIT_3:
        return "take_profit_3";
    case LEG_COUNT:
        break;
    }
    return "?";
}

enum oms_leg oms_target_leg(uint32_t target) {
    static const enum oms_leg legs[OMS_TARGETS] = {LEG_TAKE_PROFIT, LEG_TAKE_PROFIT_2,
                                                   LEG_TAKE_PROFIT_3};
    ASSERT(target < OMS_TARGETS);
    return legs[target];
}

uint32_t oms_leg_target(enum oms_leg leg) {
    uint32_t target = 0;
    while (target < OMS_TARGETS && oms_target_leg(target) != leg) target++;
    return target;
}

/* No I, L, O, U: the id is read by people over telephones. */
static const char digits[33] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static const char letters[LEG_COUNT + 1] = "estcuv";

enum { RUN_DIGITS = 3, LIFE_DIGITS = 4 };

bool oms_is_ours(const char id[CLIENT_ORDER_ID_SIZE]) {
    if (id[0] != 'q' || id[14] != '-' || !memchr(letters, id[15], LEG_COUNT)) return false;
    for (int i = 1; i < 14; i++)
        if (!memchr(digits, id[i], 32)) return false;
    return memchr(digits, id[16], 32) != NULL;
}

void oms_client_order_id(char out[CLIENT_ORDER_ID_SIZE], uint64_t intent_id, enum oms_leg leg,
                         uint32_t attempt) {
    memset(out, 0, CLIENT_ORDER_ID_SIZE);
    out[0] = 'q';
    for (int i = 0; i < 13; i++) out[1 + i] = digits[(intent_id >> (60 - 5 * i)) & 31];
    out[14] = '-';
    out[15] = letters[leg];
    int shift = 0;
    while (attempt >> shift >= 32) shift += 5;
    for (char *at = out + 16; shift >= 0; shift -= 5) *at++ = digits[(attempt >> shift) & 31];
}

void oms_order_name(char out[CLIENT_ORDER_ID_SIZE], const struct oms_request *r) {
    oms_client_order_id(out, r->intent_id, r->leg, r->attempt);
    if (r->run == 0) return;
    ASSERT(r->run <= OMS_RUN_MAX && r->life <= OMS_LIFE_MAX);
    char *at = out + strlen(out);
    *at++ = '-';
    for (int i = RUN_DIGITS; i-- > 0;) *at++ = digits[(r->run >> 5 * i) & 31];
    for (int i = LIFE_DIGITS; i-- > 0;) *at++ = digits[(r->life >> 5 * i) & 31];
}

uint32_t oms_run_of(const char id[CLIENT_ORDER_ID_SIZE]) {
    const char *at = oms_is_ours(id) ? strchr(id + 16, '-') : NULL;
    uint32_t run = 0;
    if (!at || strlen(at + 1) != RUN_DIGITS + LIFE_DIGITS) return 0;
    for (int i = 1; i <= RUN_DIGITS + LIFE_DIGITS; i++) {
        const char *digit = memchr(digits, at[i], 32);
        if (!digit) return 0;
        if (i <= RUN_DIGITS) run = run << 5 | (uint32_t)(digit - digits);
    }
    return run;
}

enum oms_leg oms_leg_of(const char id[CLIENT_ORDER_ID_SIZE]) {
    const char *at = memchr(letters, id[15], LEG_COUNT);
    ASSERT(at);
    return (enum oms_leg)(at - letters);
}

enum oms_intake oms_intake(struct oms_book *book, const struct trade_intent *intent,
                           int64_t now_ns) {
    if (now_ns >= intent->expires) return OMS_STALE;
    for (uint32_t i = 0; i < OMS_LEDGER_MAX; i++)
        if (book->ledger_ids[i] == intent->intent_id && book->ledger_expires_ns[i] != 0)
            return OMS_DUPLICATE;
    uint32_t slot = book->ledger_next;
    if (book->ledger_expires_ns[slot] > now_ns) return OMS_LEDGER_FULL;
    book->ledger_ids[slot] = intent->intent_id;
    book->ledger_expires_ns[slot] = intent->expires;
    book->ledger_next = (slot + 1) % OMS_LEDGER_MAX;
    return OMS_TAKEN;
}

static bool is_live(const struct oms_order *o) {
    return o->used && !order_state_is_terminal((enum order_state)o->state);
}

static struct oms_order *free_slot(struct oms_book *book) {
    for (uint32_t i = 0; i < OMS_ORDERS_MAX; i++)
        if (!is_live(&book->orders[i])) return &book->orders[i];
    return NULL;
}

struct oms_order *oms_submit(struct venue_command *out, struct oms_book *book,
                             const struct oms_request *request, uint32_t instrument_index,
                             int64_t now_ns) {
    struct oms_order *o = free_slot(book);
    if (!o) return NULL;
    memset(o, 0, sizeof *o);
    o->used = 1;
    o->intent_id = request->intent_id;
    o->leg = (uint8_t)request->leg;
    o->side = (uint8_t)request->side;
    o->order_type = (uint8_t)request->order_type;
    o->attempt = request->attempt;
    o->reduce_only = request->reduce_only;
    o->close_position = request->close_position;
    o->limit_px = request->limit_px;
    o->stop_px = request->stop_px;
    o->order_qty = request->order_qty;
    o->submitted_ts_ns = now_ns;
    o->state = (uint8_t)order_state_next(ORDER_NONE, OE_SUBMIT);
    oms_order_name(o->client_order_id, request);

    memset(out, 0, sizeof *out);
    out->kind = COMMAND_ORDER_SUBMIT;
    out->side = o->side;
    out->order_type = o->order_type;
    out->working_type = WORKING_CONTRACT_PRICE;
    out->reduce_only = o->reduce_only;
    out->close_position = o->close_position;
    out->instrument_index = instrument_index;
    out->ts_ns = now_ns;
    out->limit_px = o->limit_px;
    out->stop_px = o->stop_px;
    out->order_qty = o->order_qty;
    memcpy(out->client_order_id, o->client_order_id, CLIENT_ORDER_ID_SIZE);
    return o;
}

static void write_cancel(struct venue_command *out, const struct oms_order *order,
                         uint32_t instrument_index, int64_t now_ns) {
    memset(out, 0, sizeof *out);
    out->kind = COMMAND_ORDER_CANCEL;
    out->side = order->side;
    out->order_type = order->order_type;
    out->instrument_index = instrument_index;
    out->ts_ns = now_ns;
    memcpy(out->client_order_id, order->client_order_id, CLIENT_ORDER_ID_SIZE);
}

bool oms_cancel(struct venue_command *out, struct oms_order *order, uint32_t instrument_index,
                int64_t now_ns) {
    int next = order_state_next((enum order_state)order->state, OE_CANCEL_REQUEST);
    if (next < 0) return false;
    order->state = (uint8_t)next;
    write_cancel(out, order, instrument_index, now_ns);
    return true;
}

bool oms_ask(struct venue_command *out, struct oms_order *order, uint32_t instrument_index,
             int64_t now_ns) {
    if (order->state != ORDER_PENDING_CANCEL) {
        (void)oms_timeout(order); /* illegal once it was answered: then it is just cancelled */
        return oms_cancel(out, order, instrument_index, now_ns);
    }
    write_cancel(out, order, instrument_index, now_ns);
    return true;
}

static bool is_of(const struct oms_order *o, uint64_t intent_id, enum oms_leg leg) {
    return o->leg == (uint8_t)leg && o->intent_id == intent_id && is_live(o);
}

struct oms_order *oms_live(struct oms_book *book, uint64_t intent_id, enum oms_leg leg) {
    for (uint32_t i = 0; i < OMS_ORDERS_MAX; i++)
        if (is_of(&book->orders[i], intent_id, leg)) return &book->orders[i];
    return NULL;
}

struct oms_order *oms_live_attempt(struct oms_book *book, uint64_t intent_id, enum oms_leg leg,
                                   uint32_t attempt) {
    for (uint32_t i = 0; i < OMS_ORDERS_MAX; i++) {
        struct oms_order *o = &book->orders[i];
        if (o->attempt == attempt && is_of(o, intent_id, leg)) return o;
    }
    return NULL;
}

bool oms_has_live(const struct oms_book *book) {
    for (uint32_t i = 0; i < OMS_ORDERS_MAX; i++)
        if (is_live(&book->orders[i])) return true;
    return false;
}

/* OMS_ORDERS_MAX: none. */
static uint32_t place_of(const struct oms_book *book, const char *client_order_id) {
    for (uint32_t i = 0; i < OMS_ORDERS_MAX; i++) {
        const struct oms_order *o = &book->orders[i];
        if (o->used && memcmp(o->client_order_id, client_order_id, CLIENT_ORDER_ID_SIZE) == 0)
            return i;
    }
    return OMS_ORDERS_MAX;
}

static struct oms_order *find(struct oms_book *book, const char *client_order_id) {
    uint32_t at = place_of(book, client_order_id);
    return at < OMS_ORDERS_MAX ? &book->orders[at] : NULL;
}

bool oms_is_live(const struct oms_book *book, const char *client_order_id) {
    uint32_t at = place_of(book, client_order_id);
    return at < OMS_ORDERS_MAX && is_live(&book->orders[at]);
}

bool oms_is_found(const struct oms_order *order) {
    return order->intent_id == 0 && is_live(order);
}

struct oms_order *oms_found(struct oms_book *book, const struct venue_event *event) {
    struct oms_order *o = find(book, event->client_order_id);
    ASSERT(!o || !is_live(o));
    if (!o) o = free_slot(book);
    if (!o) return NULL;
    *o = (struct oms_order){.venue_order_id = event->venue_order_id,
                            .leg = (uint8_t)oms_leg_of(event->client_order_id),
                            .side = event->side,
                            .order_type = event->order_type,
                            .state = ORDER_NEW,
                            .used = 1,
                            /* One of the whole position has none of its own. */
                            .close_position = event->leaves_qty.e8 == 0,
                            .stop_px = event->stop_px,
                            .order_qty = {event->cum_qty.e8 + event->leaves_qty.e8},
                            .cum_qty = event->cum_qty,
                            .submitted_ts_ns = event->ts_event_ns,
                            .answered_ts_ns = event->ts_event_ns};
    memcpy(o->client_order_id, event->client_order_id, CLIENT_ORDER_ID_SIZE);
    return o;
}

static enum order_event event_of(const struct venue_event *event) {
    switch ((enum venue_event_kind)event->kind) {
    case VENUE_ORDER_ACCEPTED:
    case VENUE_ORDER_TRIGGERED:
        return OE_ACCEPTED;
    case VENUE_ORDER_REJECTED:
        return OE_REJECTED;
    case VENUE_ORDER_TRADE:
        return event->leaves_qty.e8 > 0 ? OE_FILL_PARTIAL : OE_FILL_LAST;
    case VENUE_ORDER_CANCELED:
        return OE_CANCELED;
    case VENUE_ORDER_EXPIRED:
        return OE_EXPIRED;
    case VENUE_CANCEL_REJECTED:
        return OE_CANCEL_REJECTED;
    case VENUE_LEVERAGE_SET:
    case VENUE_FUNDING:
    case VENUE_LIQUIDATION:
    case VENUE_POSITION:
    case VENUE_BALANCE:
    case VENUE_ORDER_FOUND:
        break;
    }
    return ORDER_EVENT_COUNT;
}

bool oms_foreign_fill(struct oms_book *book, uint64_t trade_id) {
    if (!fills_is_new(&book->fills, trade_id)) {
        book->duplicate_fills++;
        return false;
    }
    fills_add(&book->fills, trade_id);
    return true;
}

/* closePosition orders have no quantity of their own. */
static bool fill_is_possible(const struct oms_order *o, const struct venue_event *event) {
    if (event->last_qty.e8 <= 0 || event->last_px.e8 <= 0) return false;
    return o->close_position || event->last_qty.e8 <= o->order_qty.e8 - o->cum_qty.e8;
}

static int next_state(struct oms_order *o, enum order_event what, const struct venue_event *event) {
    if (event->kind == VENUE_ORDER_TRADE && !fill_is_possible(o, event)) return -1;
    enum order_state from = (enum order_state)o->state;
    if (what == OE_CANCEL_REJECTED && from == ORDER_PENDING_CANCEL && o->cancels_rejected++ > 0)
        from = ORDER_UNKNOWN;
    return order_state_next(from, what);
}

void oms_apply(struct oms_update *out, struct oms_book *book, const struct venue_event *event) {
    *out = (struct oms_update){0};
    enum order_event what = event_of(event);
    if (what == ORDER_EVENT_COUNT) return;
    struct oms_order *o = find(book, event->client_order_id);
    if (!o) {
        book->unknown_orders++;
        return;
    }
    out->order = o;
    out->before = out->after = (enum order_state)o->state;
    bool fill = event->kind == VENUE_ORDER_TRADE;
    if (fill && !fills_is_new(&book->fills, event->trade_id)) {
        book->duplicate_fills++;
        return;
    }
    int next = next_state(o, what, event);
    if (next < 0) {
        book->illegal_events++;
        return;
    }
    o->state = (uint8_t)next;
    out->after = (enum order_state)next;
    out->applied = true;
    if (event->venue_order_id) o->venue_order_id = event->venue_order_id;
    if (event->code) o->code = event->code;
    if (o->answered_ts_ns == 0) o->answered_ts_ns = event->ts_event_ns;
    if (fill) {
        fills_add(&book->fills, event->trade_id);
        o->cum_qty.e8 += event->last_qty.e8;
        o->cum_cost.e8 += money_mul_half_even(event->last_px, event->last_qty).e8;
    }
}

bool oms_timeout(struct oms_order *order) {
    int next = order_state_next((enum order_state)order->state, OE_TIMEOUT);
    if (next < 0) return false;
    order->state = (uint8_t)next;
    return true;
}
