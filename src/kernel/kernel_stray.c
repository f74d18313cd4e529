/* Fills, and positions that are not, or no longer, what a trade of ours wished for.
 *
 * What is held of a symbol is a sum of fills, whoever asked for them. While a trade is under way everything held is
 * that trade's (exits); otherwise it is `left`, and the rule says what becomes of it: taken in under a stop, closed,
 * or left alone. Where more positions are open than there is room for, it is closed without being taken in. */
#include <string.h>

#include "base/hash.h"
#include "kernel/kernel_internal.h"

static bool is_over(const struct exits_state *x) {
    return x->phase == EXITS_FLAT || x->phase == EXITS_CLEANUP;
}

static qty_t size_of(int64_t held) {
    return qty_e8(held < 0 ? -held : held);
}

static void left_set(struct kernel *k, uint32_t i, int64_t qty) {
    struct cold *c = cold_of(k, i);
    if (c->left_qty.e8 != 0) k->left_count--;
    if (qty != 0) k->left_count++;
    c->left_qty.e8 = qty;
    if (qty != 0) return;
    c->left_entry_px.e8 = 0;
    if (!c->left_waiting) return;
    c->left_waiting = 0;
    k->waiting_count--;
}

void kernel_book_money(struct kernel *k, const struct venue_event *event) {
    int64_t told = event->realized_pnl.e8 - event->commission.e8 + event->funding.e8;
    k->totals.unexplained.e8 += event->wallet.e8 - k->totals.wallet.e8 - told;
    k->totals.wallet = event->wallet;
    k->totals.realized_pnl.e8 += event->realized_pnl.e8;
    k->totals.fees.e8 += event->commission.e8;
    k->totals.funding.e8 += event->funding.e8;
}

/* ---- taking in ---- */

struct stray {
    px_t px; /* at which it is taken in: of the fill, or the last one */
    money_t fees;
    uint64_t trade_id;
    bool closes;
    const char *reason;
};

/* At whatever leverage it was made: the stop lies before the liquidation, with as much left behind it as an entry's. */
static double stop_distance(const struct kernel *k, uint32_t i, enum side side,
                            const struct stray *s) {
    double distance = k->config.exits.stray_stop_distance;
    uint32_t leverage = cold_of(k, i)->leverage;
    px_t entry_px = cold_of(k, i)->left_entry_px;
    const struct holding h = {.side = side,
                              .entry_px = entry_px.e8 > 0 ? entry_px : s->px,
                              .qty = size_of(cold_of(k, i)->left_qty.e8),
                              .leverage = leverage ? leverage : 1};
    int64_t way = side_sign(side) * (s->px.e8 - kernel_liquidation_px(k, i, &h).e8);
    double most = RISK_STOP_SHARE * (double)way / (double)s->px.e8;
    return distance < most ? distance : most > 0 ? most : 0;
}

/* The wish of a position that nobody here wished for: a stop at a stated distance, and no target. */
static struct trade_intent stray_intent(const struct kernel *k, uint32_t i, enum side side,
                                        const struct stray *s) {
    const uint64_t id_from[4] = {k->config.seed, (uint64_t)k->now_ns, i, s->trade_id};
    struct trade_intent t = {.intent_id = hash64(id_from, sizeof id_from),
                             .instrument_index = i,
                             .side = side,
                             .strategy = k->config.bot.strategy,
                             .entry_price = s->px,
                             .stop_distance = stop_distance(k, i, side, s),
                             .created = k->now_ns,
                             .expires = k->now_ns};
    memcpy(t.symbol, instrument_of(k, i)->symbol, SYMBOL_SIZE);
    return t;
}

/* It gets a trade of its own, with a stop first. The orders of the trade before may still be ending: their names are
 * another's. */
static void take_in(struct kernel *k, struct kernel_out *out, uint32_t i, const struct stray *s) {
    struct cold *c = cold_of(k, i);
    struct exits_actions actions;
    struct exits_context context = kernel_exits_context(k, i);
    enum side side = c->left_qty.e8 > 0 ? SIDE_BUY : SIDE_SELL;
    qty_t qty = size_of(c->left_qty.e8);
    const struct trade_intent intent = stray_intent(k, i, side, s);
    if (c->exits.phase == EXITS_FLAT) kernel_open_add(k, i);
    left_set(k, i, 0);
    c->exits = (struct exits_state){.phase = EXITS_FLAT, .deadline_ns = INT64_MAX};
    exits_enter(&c->exits, &intent, c->leverage ? c->leverage : 1, 0);
    c->entry_qty = qty;
    hot_of(k, i)->busy = 1;
    k->totals.strays++;
    exits_fill(&actions, &c->exits, &context, side, s->px, qty, s->fees, money_e8(0), EXIT_NONE);
    kernel_tell_opened(k, out, i, s->px, qty);
    kernel_act(k, out, i, &actions, 0);
    exits_entry_ended(&actions, &c->exits, &context);
    kernel_act(k, out, i, &actions, 0);
    kernel_tell_alarm(k, out, i, s->reason, 0);
    if (!s->closes) return;
    exits_close(&actions, &c->exits, &context, EXIT_OPERATOR);
    kernel_act(k, out, i, &actions, 0);
}

/* More positions than are ever managed at once: it stays in the books, is asked to be closed, and is taken in as soon
 * as there is room if it is still there. */
static void refuse(struct kernel *k, struct kernel_out *out, uint32_t i, const struct stray *s) {
    struct cold *c = cold_of(k, i);
    if (c->left_waiting) return; /* asked already */
    enum side side = c->left_qty.e8 > 0 ? SIDE_BUY : SIDE_SELL;
    const struct trade_intent intent = stray_intent(k, i, side, s);
    const struct oms_request request = {
        .leg = LEG_CLOSE,
        .side = side_opposite(side),
        .order_type = ORDER_MARKET,
        .intent_id = intent.intent_id,
        .reduce_only = true,
        .order_qty = instrument_round_qty(instrument_of(k, i), size_of(c->left_qty.e8), true)};
    c->left_waiting = 1;
    k->waiting_count++;
    k->totals.strays_refused++;
    kernel_tell_alarm(k, out, i, "no room for a position", 0);
    if (request.order_qty.e8 > 0) kernel_submit(k, out, i, &request);
}

void kernel_take_waiting(struct kernel *k, struct kernel_out *out) {
    for (uint32_t i = 0; k->waiting_count > 0 && i < k->n; i++) {
        struct cold *c = cold_of(k, i);
        if (!c->left_waiting || (c->exits.phase == EXITS_FLAT && k->open_count == OPEN_MAX))
            continue;
        const struct stray s = {.px = hot_of(k, i)->last_px, .reason = "foreign position"};
        if (s.px.e8 > 0) take_in(k, out, i, &s);
    }
}

/* Everything was to be closed, and that of which nobody had told us yet is part of it. */
static bool is_closing_all(const struct kernel *k) {
    return k->emergency_stop && k->close_all_ns && k->now_ns - k->close_all_ns <= CLOSE_ALL_NS;
}

/* Part of a fill that belongs to no trade under way. */
static void left_fill(struct kernel *k, struct kernel_out *out, uint32_t i,
                      const struct venue_event *event, qty_t qty, bool was_ours) {
    struct cold *c = cold_of(k, i);
    int64_t before = c->left_qty.e8;
    left_set(k, i, before + (int64_t)side_sign((enum side)event->side) * qty.e8);
    int64_t now = c->left_qty.e8;
    if (now == 0) return;
    bool begins = before == 0 || (before > 0) != (now > 0);
    uint32_t rule = k->config.exits.stray;
    struct stray s = {
        .px = event->last_px,
        .fees = size_of(now).e8 == event->last_qty.e8 ? event->commission : money_e8(0),
        .trade_id = event->trade_id,
        /* What comes of a wish that has lapsed is closed; where it met somebody else's it is one
                       * position with it, and shares its stop. */
        .closes = was_ours ? begins : rule == STRAY_FLATTEN || is_closing_all(k),
        .reason = was_ours ? "late fill" : "foreign position"};
    if (!was_ours && rule == STRAY_LEAVE) {
        if (!begins) return;
        k->totals.strays_left++;
        kernel_tell_alarm(k, out, i, "foreign position left alone", 0);
    } else if (c->exits.phase == EXITS_FLAT && k->open_count == OPEN_MAX) {
        refuse(k, out, i, &s);
    } else {
        take_in(k, out, i, &s);
    }
}

/* ---- fills ---- */

static void take_fill(struct kernel *k, struct kernel_out *out, uint32_t i,
                      const struct venue_event *event, enum exit_reason reason,
                      enum fill_of whose) {
    struct cold *c = cold_of(k, i);
    bool was_ours = whose == FILL_OF_TRADE || whose == FILL_OURS_LATE;
    /* Somebody else moves the symbol while we enter: one net direction, so our wish lapses. */
    if (c->exits.phase == EXITS_ENTERING && whose != FILL_OF_TRADE) kernel_end_life(k, out, i);
    if (is_over(&c->exits)) {
        left_fill(k, out, i, event, event->last_qty, was_ours);
        return;
    }
    int64_t held = c->exits.position_qty.e8;
    qty_t size = size_of(held);
    bool opposite = held != 0 && (held > 0) != (event->side == SIDE_BUY);
    if (!opposite || event->last_qty.e8 <= size.e8) {
        kernel_fold_fill(k, out, i, event, event->last_qty, true, reason);
        return;
    }
    /* Through flat and beyond: the end of one position and the beginning of another. */
    kernel_fold_fill(k, out, i, event, size, true, reason);
    if (!is_over(&c->exits)) kernel_end_life(k, out, i);
    left_fill(k, out, i, event, qty_e8(event->last_qty.e8 - size.e8), was_ours);
}

void kernel_fill(struct kernel *k, struct kernel_out *out, uint32_t i,
                 const struct venue_event *event, enum exit_reason reason, enum fill_of whose) {
    kernel_book_money(k, event);
    k->totals.fills++;
    take_fill(k, out, i, event, reason, whose);
}

void kernel_strange_fill(struct kernel *k, struct kernel_out *out, uint32_t i,
                         const struct venue_event *event, enum exit_reason reason,
                         enum fill_of whose) {
    if (!oms_foreign_fill(&cold_of(k, i)->book, event->trade_id)) {
        k->totals.duplicate_fills++;
        return;
    }
    if (event->last_qty.e8 <= 0 || event->last_px.e8 <= 0) {
        k->totals.illegal_events++;
        return;
    }
    struct venue_event e = *event;
    if (whose == FILL_OF_VENUE) {
        /* Liquidations and settlements only end what is held: beyond it they are of something that was never told,
         * and open nothing. */
        int64_t held = kernel_position_qty(k, i).e8;
        bool ends = held != 0 && (held > 0) != (e.side == SIDE_BUY);
        if (!ends || e.last_qty.e8 > size_of(held).e8) k->totals.forced_beyond++;
        if (!ends) {
            kernel_book_money(k, &e);
            k->totals.fills++;
            return;
        }
        if (e.last_qty.e8 > size_of(held).e8) e.last_qty = size_of(held);
    }
    kernel_fill(k, out, i, &e, reason, whose);
}

/* What is missing to it is a fill without a price and without money: taken at the last price, for that is where a stop's
 * distance counts from. Said twice it says nothing new. */
void kernel_position_told(struct kernel *k, struct kernel_out *out, uint32_t i,
                          const struct venue_event *event) {
    int64_t told = (int64_t)side_sign((enum side)event->side) * event->last_qty.e8;
    int64_t missing = told - kernel_position_qty(k, i).e8;
    struct venue_event e = *event;
    e.kind = VENUE_ORDER_TRADE;
    e.side = missing > 0 ? SIDE_BUY : SIDE_SELL;
    e.last_qty = size_of(missing);
    if (hot_of(k, i)->last_px.e8 > 0) e.last_px = hot_of(k, i)->last_px;
    if (missing == 0) return;
    if (e.last_px.e8 <= 0 || event->last_qty.e8 < 0) {
        k->totals.illegal_events++;
        return;
    }
    kernel_book_money(k, &e);
    k->totals.positions_corrected++;
    bool managed = !is_over(&cold_of(k, i)->exits);
    if (!managed) cold_of(k, i)->left_entry_px = event->last_px;
    take_fill(k, out, i, &e, EXIT_OPERATOR, FILL_FOREIGN);
    if (managed) kernel_tell_alarm(k, out, i, "position corrected", 0);
}
