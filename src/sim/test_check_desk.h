/* A small right trader on the real exchange, for tests of the checker: it enters, asks for a stop at once, moves it as the
 * exits do (confirm, then cancel), leaves, and takes over what a hand did. Between it and the exchange stands a port, so
 * that a canary can be put in. No faults of the network: messages arrive in order, some milliseconds later. */
#ifndef SIM_TEST_CHECK_DESK_H
#define SIM_TEST_CHECK_DESK_H

#include <stdio.h>

#include "sim/canary.h"
#include "sim/check.h"
#include "trade/oms/oms.h"
#include "venue/exchange/test_exchange.h"

enum { DESK_QUEUE = 512, DESK_ORDERS = 24, DESK_SYMBOLS = 2 };

struct desk_order {
    char id[CLIENT_ORDER_ID_SIZE];
    enum oms_leg leg;
    bool used, live, accepted, cancelling;
    enum side side;
    int64_t px, qty; /* qty 0: closePosition */
};

struct desk_symbol {
    struct desk_order orders[DESK_ORDERS];
    uint64_t intent;
    uint32_t attempts;
    int64_t held, stop_px, px; /* px: last */
    bool leverage_set;
};

struct desk {
    struct tx *w;
    struct check *c;
    struct rng rng;
    struct canary canary;
    struct venue_port inner, port; /* port: what the trader has */
    struct venue_sink sink;        /* of the inner port */
    struct venue_event queue[DESK_QUEUE];
    uint32_t queued, account;
    int64_t wallet;
    struct kernel_totals totals;
    struct desk_symbol s[DESK_SYMBOLS];
    uint64_t intents, hands, refused;
    bool classic, by_hand;
};

static int64_t desk_roll(struct desk *d, int64_t low, int64_t high) {
    return low + (int64_t)rng_below(&d->rng, (uint64_t)(high - low + 1));
}
static bool desk_chance(struct desk *d, int64_t percent) {
    return desk_roll(d, 1, 100) <= percent;
}

/* ---- exchange ---- */

static void desk_queue(struct desk *d, const struct venue_event *e) {
    assert_true(d->queued < DESK_QUEUE);
    d->queue[d->queued++] = *e;
}

static void desk_order_event(struct desk *d, const struct exchange_event *e) {
    const struct exchange_order *o = &e->u.order;
    bool child = o->algo_id != 0 || o->type != o->orig_type;
    struct venue_event v = {.side = e->side,
                            .order_type = o->type,
                            .instrument_index = e->instrument,
                            .ts_event_ns = e->ts_ns,
                            .venue_order_id = o->order_id,
                            .trade_id = e->trade_id,
                            .last_px = e->px,
                            .last_qty = e->qty,
                            .cum_qty = o->cum_qty,
                            .leaves_qty = {o->orig_qty.e8 - o->cum_qty.e8},
                            .commission = e->commission,
                            .realized_pnl = e->realized,
                            .wallet = {d->wallet}};
    memcpy(v.client_order_id, o->client_order_id, CLIENT_ORDER_ID_SIZE);
    const enum venue_event_kind kinds[] = {
        [EXEC_NEW] = VENUE_ORDER_ACCEPTED,     [EXEC_CANCELED] = VENUE_ORDER_CANCELED,
        [EXEC_CALCULATED] = VENUE_LIQUIDATION, [EXEC_EXPIRED] = VENUE_ORDER_EXPIRED,
        [EXEC_TRADE] = VENUE_ORDER_TRADE,      [EXEC_AMENDMENT] = VENUE_ORDER_ACCEPTED};
    v.kind = (uint8_t)(child && e->exec == EXEC_NEW ? VENUE_ORDER_TRIGGERED : kinds[e->exec]);
    desk_queue(d, &v);
}

static void desk_algo_event(struct desk *d, const struct exchange_event *e) {
    const struct exchange_algo *a = &e->u.algo;
    struct venue_event v = {.side = a->side,
                            .order_type = a->type,
                            .instrument_index = e->instrument,
                            .ts_event_ns = e->ts_ns,
                            .code = a->reject_code,
                            .wallet = {d->wallet}};
    memcpy(v.client_order_id, a->client_algo_id, CLIENT_ORDER_ID_SIZE);
    if (a->status == EXA_NEW)
        v.kind = VENUE_ORDER_ACCEPTED;
    else if (a->status == EXA_CANCELED)
        v.kind = VENUE_ORDER_CANCELED;
    else if (a->status == EXA_EXPIRED || a->status == EXA_REJECTED)
        v.kind = VENUE_ORDER_EXPIRED;
    else
        return;
    desk_queue(d, &v);
}

static void desk_do(struct desk *d, const struct exchange_input *in) {
    tx_do(d->w, in);
    for (uint32_t i = 0; i < d->w->events; i++) {
        const struct exchange_event *e = &d->w->event[i];
        if (d->c) check_exchange_event(d->c, e);
        if (e->account != d->account) continue;
        if (e->kind == EXE_ACCOUNT) d->wallet = e->wallet.e8;
        if (e->kind == EXE_ORDER) desk_order_event(d, e);
        if (e->kind == EXE_ALGO) desk_algo_event(d, e);
        if (e->kind == EXE_INCOME && e->income == INCOME_FUNDING_FEE) {
            const struct venue_event v = {.kind = VENUE_FUNDING,
                                          .instrument_index = e->instrument,
                                          .funding = e->amount,
                                          .wallet = {d->wallet}};
            desk_queue(d, &v);
        }
    }
}

/* ---- the port ---- */

static void desk_attach(void *context, const struct venue_sink *sink) {
    ((struct desk *)context)->sink = *sink;
}

static enum status desk_submit(void *context, const struct venue_command *m, enum venue_lane lane,
                               struct err *err) {
    struct desk *d = context;
    (void)lane, (void)err;
    bool conditional = m->order_type != ORDER_MARKET && m->order_type != ORDER_LIMIT;
    struct exchange_input in = {.account = d->account,
                                .instrument = m->instrument_index,
                                .side = m->side,
                                .type = m->order_type,
                                .price = m->limit_px,
                                .price2 = m->stop_px,
                                .qty = m->order_qty,
                                .leverage = m->leverage,
                                .reduce_only = m->reduce_only,
                                .close_position = m->close_position};
    memcpy(in.client_id, m->client_order_id, CLIENT_ORDER_ID_SIZE);
    check_command(d->c, m, d->w->now);
    bool algo = conditional && !d->classic;
    struct check_request r = {.kind = REQUEST_LEVERAGE, .instrument = m->instrument_index};
    in.kind = EXI_LEVERAGE;
    if (m->kind == COMMAND_ORDER_SUBMIT) {
        in.kind = algo ? EXI_ALGO_PLACE : EXI_ORDER_PLACE;
        r.kind = REQUEST_PLACE;
    } else if (m->kind == COMMAND_ORDER_CANCEL) {
        in.kind = algo ? EXI_ALGO_CANCEL : EXI_ORDER_CANCEL;
        r.kind = REQUEST_CANCEL;
    }
    desk_do(d, &in);
    r.code = d->w->r.code;
    r.now_ns = d->w->now;
    memcpy(r.client_order_id, m->client_order_id, CLIENT_ORDER_ID_SIZE);
    check_request(d->c, &r);
    if (r.code == 0) return ST_OK;
    d->refused++;
    struct venue_event v = {.kind = r.kind == REQUEST_CANCEL ? VENUE_CANCEL_REJECTED
                                                             : VENUE_ORDER_REJECTED,
                            .instrument_index = m->instrument_index,
                            .code = r.code};
    memcpy(v.client_order_id, m->client_order_id, CLIENT_ORDER_ID_SIZE);
    if (r.kind != REQUEST_LEVERAGE) desk_queue(d, &v);
    return ST_OK;
}

static enum status desk_poll(void *context, int64_t until_ns, struct err *err) {
    struct desk *d = context;
    (void)until_ns, (void)err;
    struct venue_event queue[DESK_QUEUE];
    uint32_t n = d->queued;
    memcpy(queue, d->queue, n * sizeof *queue);
    d->queued = 0;
    for (uint32_t i = 0; i < n; i++) d->sink.venue(d->sink.context, &queue[i]);
    return ST_OK;
}

static int64_t desk_now(void *context) {
    return ((struct desk *)context)->w->now;
}

/* ---- the trader ---- */

static struct desk_order *desk_find(struct desk_symbol *s, const char *id) {
    for (uint32_t i = 0; i < DESK_ORDERS; i++)
        if (s->orders[i].used && strcmp(s->orders[i].id, id) == 0) return &s->orders[i];
    return NULL;
}

static void desk_send(struct desk *d, uint32_t i, enum oms_leg leg, enum side side, int64_t px,
                      int64_t qty) {
    struct desk_symbol *s = &d->s[i];
    struct desk_order *o = NULL;
    for (uint32_t j = 0; j < DESK_ORDERS && !o; j++)
        if (!s->orders[j].live) o = &s->orders[j];
    assert_non_null(o);
    *o = (struct desk_order){
        .used = true, .live = true, .leg = leg, .side = side, .px = px, .qty = qty};
    oms_client_order_id(o->id, s->intent, leg, leg == LEG_ENTRY ? 0 : s->attempts++);
    struct venue_command m = {.kind = COMMAND_ORDER_SUBMIT,
                              .side = (uint8_t)side,
                              .order_type = leg == LEG_STOP ? ORDER_STOP_MARKET : ORDER_MARKET,
                              .reduce_only = leg != LEG_ENTRY && qty != 0,
                              .close_position = leg == LEG_STOP && qty == 0,
                              .instrument_index = i,
                              .stop_px = {px},
                              .order_qty = {qty}};
    memcpy(m.client_order_id, o->id, CLIENT_ORDER_ID_SIZE);
    assert_int_equal(d->port.submit(d->port.context, &m, VENUE_ENTRY, NULL), ST_OK);
}

static void desk_cancel(struct desk *d, uint32_t i, struct desk_order *o) {
    struct venue_command m = {.kind = COMMAND_ORDER_CANCEL,
                              .side = (uint8_t)o->side,
                              .order_type = o->leg == LEG_STOP ? ORDER_STOP_MARKET : ORDER_MARKET,
                              .instrument_index = i};
    if (o->cancelling) return;
    o->cancelling = true;
    memcpy(m.client_order_id, o->id, CLIENT_ORDER_ID_SIZE);
    assert_int_equal(d->port.submit(d->port.context, &m, VENUE_EXIT, NULL), ST_OK);
}

static int64_t desk_tick(uint32_t i) {
    return i == BTC ? FX_ONE / 10 : FX_ONE / 100;
}

static enum side desk_out(const struct desk_symbol *s) {
    return s->held > 0 ? SIDE_SELL : SIDE_BUY;
}

/* A price `away` (per mille of px) on the losing side. */
static int64_t desk_away(const struct desk_symbol *s, uint32_t i, int64_t px, int64_t away) {
    int64_t by = px / 1000 * away;
    return fx_snap_nearest(s->held > 0 ? px - by : px + by, desk_tick(i));
}

static bool desk_is_stop(const struct desk_symbol *s, const struct desk_order *o) {
    return o->used && o->live && o->leg == LEG_STOP && !o->cancelling && o->side == desk_out(s);
}

static void desk_leave(struct desk *d, uint32_t i) {
    struct desk_symbol *s = &d->s[i];
    for (uint32_t j = 0; j < DESK_ORDERS; j++)
        if (s->orders[j].live && s->orders[j].leg == LEG_CLOSE) return;
    desk_send(d, i, LEG_CLOSE, desk_out(s), 0, s->held < 0 ? -s->held : s->held);
}

/* Whatever is held has a stop of all of it; whatever is not held has no orders. */
static void desk_tidy(struct desk *d, uint32_t i) {
    struct desk_symbol *s = &d->s[i];
    int64_t held = s->held < 0 ? -s->held : s->held;
    bool stop = false, whole = false;
    for (uint32_t j = 0; j < DESK_ORDERS; j++) {
        struct desk_order *o = &s->orders[j];
        if (!o->used || !o->live || o->leg != LEG_STOP) continue;
        if (s->held == 0 || o->side != desk_out(s))
            desk_cancel(d, i, o);
        else if (!o->cancelling)
            stop = true, whole |= o->qty == 0 || o->qty >= held;
    }
    if (s->held == 0 || whole) return;
    bool crossed = s->held > 0 ? s->px <= s->stop_px : s->px >= s->stop_px;
    if (s->stop_px && crossed) {
        d->totals.alarms++; /* it may take long, the book is thin */
        desk_leave(d, i);
        return;
    }
    if (!s->stop_px) s->stop_px = desk_away(s, i, s->px, 20);
    desk_send(d, i, LEG_STOP, desk_out(s), s->stop_px, stop ? held : 0);
}

static void desk_fill(struct desk *d, uint32_t i, const struct venue_event *e) {
    struct desk_symbol *s = &d->s[i];
    int64_t before = s->held;
    s->held += side_sign((enum side)e->side) * e->last_qty.e8;
    s->px = e->last_px.e8;
    d->totals.wallet = e->wallet;
    d->totals.fees.e8 += e->commission.e8;
    d->totals.realized_pnl.e8 += e->realized_pnl.e8;
    bool began = before == 0 || (before > 0) != (s->held > 0);
    if (s->held == 0 || began) s->stop_px = 0;
    const struct desk_order *o = desk_find(s, e->client_order_id);
    if (s->held != 0 && began && !(o && o->leg == LEG_ENTRY)) {
        s->intent = ++d->intents << 8; /* what a hand opened is another trade */
        s->attempts = 0;
    }
}

static void desk_stop_stands(struct desk *d, uint32_t i, struct desk_order *o) {
    struct desk_symbol *s = &d->s[i];
    o->accepted = true;
    s->stop_px = o->px;
    for (uint32_t j = 0; j < DESK_ORDERS; j++) {
        struct desk_order *old = &s->orders[j];
        if (old != o && old->accepted && desk_is_stop(s, old)) desk_cancel(d, i, old);
    }
}

static void desk_told(void *context, const struct venue_event *e) {
    struct desk *d = context;
    uint32_t i = e->instrument_index;
    struct desk_symbol *s = &d->s[i];
    check_told(d->c, e, d->w->now);
    struct desk_order *o = desk_find(s, e->client_order_id);
    bool ends = e->kind == VENUE_ORDER_CANCELED || e->kind == VENUE_ORDER_EXPIRED ||
                e->kind == VENUE_ORDER_REJECTED || e->kind == VENUE_CANCEL_REJECTED;
    if (e->kind == VENUE_FUNDING) {
        d->totals.wallet = e->wallet;
        d->totals.funding.e8 += e->funding.e8;
    }
    if (e->kind == VENUE_ORDER_TRADE || e->kind == VENUE_LIQUIDATION) {
        desk_fill(d, i, e);
        ends = e->leaves_qty.e8 == 0;
    }
    if (o && e->kind == VENUE_ORDER_ACCEPTED && o->leg == LEG_STOP && !o->cancelling && s->held)
        desk_stop_stands(d, i, o);
    if (o && ends) o->live = false;
    desk_tidy(d, i);
}

/* ---- one moment ---- */

static void desk_enter(struct desk *d, uint32_t i) {
    struct desk_symbol *s = &d->s[i];
    for (uint32_t j = 0; j < DESK_ORDERS; j++)
        if (s->orders[j].live) return;
    if (!s->leverage_set || desk_chance(d, 5)) {
        const struct venue_command m = {.kind = COMMAND_LEVERAGE_SET,
                                        .instrument_index = i,
                                        .leverage = (uint32_t)desk_roll(d, 1, 5)};
        assert_int_equal(d->port.submit(d->port.context, &m, VENUE_ENTRY, NULL), ST_OK);
        s->leverage_set = true;
    }
    s->intent = ++d->intents << 8;
    s->attempts = 0;
    d->totals.signals++, d->totals.intents++, d->totals.delivered++;
    desk_send(d, i, LEG_ENTRY, desk_chance(d, 50) ? SIDE_BUY : SIDE_SELL, 0,
              desk_roll(d, 10, 40) * E8(0.001) * (i == BTC ? 1 : 25));
}

static void desk_move(struct desk *d, uint32_t i) {
    struct desk_symbol *s = &d->s[i];
    uint32_t stops = 0;
    bool stands = false;
    for (uint32_t j = 0; j < DESK_ORDERS; j++) {
        stops += s->orders[j].live && s->orders[j].leg == LEG_STOP;
        stands |= s->orders[j].accepted && desk_is_stop(s, &s->orders[j]);
    }
    int64_t px = desk_away(s, i, s->px, desk_roll(d, 3, 15));
    bool nearer = s->held > 0 ? px > s->stop_px : px < s->stop_px;
    if (stops == 1 && stands && nearer)
        desk_send(d, i, LEG_STOP, desk_out(s), px, s->held < 0 ? -s->held : s->held);
}

static void desk_hand(struct desk *d, uint32_t i) {
    struct exchange_position p;
    struct exchange_algo algos[16];
    struct exchange_input in = {.kind = EXI_ORDER_PLACE,
                                .account = d->account,
                                .instrument = i,
                                .type = ORDER_MARKET,
                                .side = desk_chance(d, 50) ? SIDE_BUY : SIDE_SELL,
                                .qty = QTY(0.05)};
    snprintf(in.client_id, sizeof in.client_id, "web_%llu", (unsigned long long)++d->hands);
    exchange_position_get(d->w->ex, d->account, i, POSITION_BOTH, &p);
    enum sim_fault kind = SIM_HUMAN_OPEN;
    if (p.qty.e8 != 0 && desk_chance(d, 60)) {
        kind = SIM_HUMAN_CLOSE;
        in.reduce_only = 1;
        in.side = p.qty.e8 > 0 ? SIDE_SELL : SIDE_BUY;
        if (desk_chance(d, 50)) in.qty.e8 = p.qty.e8 > 0 ? p.qty.e8 : -p.qty.e8;
    } else if (desk_chance(d, 50)) {
        if (exchange_open_algos(d->w->ex, d->account, i, algos, 16) == 0) return;
        kind = SIM_HUMAN_CANCEL;
        in.kind = EXI_ALGO_CANCEL;
        in.order_id = algos[0].algo_id;
        in.client_id[0] = '\0';
    }
    check_injected(d->c, CHECK_SIM(kind), i, d->w->now);
    desk_do(d, &in);
}

/* New prices, quotes around them, and what they fire. */
static void desk_market(struct desk *d, uint32_t i) {
    struct exchange_prices p;
    struct exchange_level l[4];
    exchange_prices_get(d->w->ex, i, &p);
    for (int side = SIDE_BUY; side <= SIDE_SELL; side++)
        for (uint32_t n = exchange_depth(d->w->ex, i, (enum side)side, l, 4, NULL); n > 0; n--) {
            const struct exchange_input in = {
                .kind = EXI_QUOTE, .instrument = i, .side = (uint8_t)side, .price = l[n - 1].px};
            desk_do(d, &in);
        }
    int64_t tick = desk_tick(i);
    int64_t px = fx_snap_nearest(p.mark.e8 + p.mark.e8 / 100000 * desk_roll(d, -250, 250), tick);
    int64_t qty = desk_chance(d, 5) ? E8(0.01) : E8(20) * (i == BTC ? 1 : 25); /* seldom thin */
    const struct exchange_input in[] = {
        {.kind = EXI_MARK, .instrument = i, .price = {px}, .price2 = {px}},
        {.kind = EXI_QUOTE, .instrument = i, .side = SIDE_BUY, .price = {px - tick}, .qty = {qty}},
        {.kind = EXI_QUOTE, .instrument = i, .side = SIDE_SELL, .price = {px + tick}, .qty = {qty}},
        {.kind = EXI_PRINT, .instrument = i, .side = SIDE_BUY, .price = {px}, .qty = QTY(0.001)},
    };
    for (size_t k = 0; k < sizeof in / sizeof *in; k++) desk_do(d, &in[k]);
    d->s[i].px = px;
}

static void desk_hear(struct desk *d) {
    for (int k = 0; k < 20 && (k == 0 || d->queued || d->canary.pending_count); k++) {
        d->w->now += desk_roll(d, 1, 20) * 1000000;
        assert_int_equal(d->port.poll(d->port.context, 0, NULL), ST_OK);
    }
}

static void desk_believe(struct desk *d) {
    qty_t positions[DESK_SYMBOLS];
    struct kernel_live_order live[DESK_SYMBOLS * DESK_ORDERS];
    uint32_t n = 0;
    for (uint32_t i = 0; i < DESK_SYMBOLS; i++) {
        positions[i].e8 = d->s[i].held;
        for (uint32_t j = 0; j < DESK_ORDERS; j++) {
            const struct desk_order *o = &d->s[i].orders[j];
            if (!o->live) continue;
            live[n] = (struct kernel_live_order){.instrument_index = i, .state = ORDER_PENDING_NEW};
            if (o->accepted && !o->cancelling) live[n].state = ORDER_NEW;
            memcpy(live[n++].client_order_id, o->id, CLIENT_ORDER_ID_SIZE);
        }
    }
    const struct check_belief b = {.now_ns = d->w->now,
                                   .positions = positions,
                                   .live = live,
                                   .live_count = n,
                                   .totals = &d->totals};
    check_belief(d->c, &b);
}

/* An empty book gives nobody a way out: it is not left standing. */
static bool desk_leaves(const struct desk *d, uint32_t i) {
    for (uint32_t j = 0; j < DESK_ORDERS; j++)
        if (d->s[i].orders[j].live && d->s[i].orders[j].leg == LEG_CLOSE) return true;
    return false;
}

static void desk_step(struct desk *d) {
    bool leaves = desk_leaves(d, BTC) || desk_leaves(d, ETH);
    d->w->now += desk_roll(d, 1, leaves ? 1000 : 5000) * 1000000;
    /* Long enough to have to agree. */
    if (!leaves && d->queued == 0 && desk_chance(d, 2)) d->w->now += 100 * SECOND;
    for (uint32_t i = 0; i < DESK_SYMBOLS; i++) {
        struct desk_symbol *s = &d->s[i];
        if (desk_leaves(d, i) || desk_chance(d, 60)) desk_market(d, i);
        if (s->held == 0 && desk_chance(d, 30)) desk_enter(d, i);
        if (s->held != 0 && desk_chance(d, 20)) desk_move(d, i);
        if (s->held != 0 && desk_chance(d, 10)) desk_leave(d, i);
        if (d->by_hand && desk_chance(d, 3)) desk_hand(d, i);
        if (desk_chance(d, 1)) {
            const struct exchange_input in = {
                .kind = EXI_FUNDING, .instrument = i, .rate = {desk_roll(d, -50000, 50000)}};
            desk_do(d, &in);
        }
    }
    desk_hear(d);
    check_time(d->c, d->w->now);
    desk_believe(d);
}

static struct desk *desk_open(enum canary_kind kind, uint64_t seed, bool classic, bool by_hand) {
    struct desk *d = calloc(1, sizeof *d);
    struct exchange_config config = exchange_config_defaults();
    assert_non_null(d);
    config.classic_conditional = classic;
    d->w = tx_open(&config);
    d->rng = rng_init(seed);
    d->classic = classic;
    d->by_hand = by_hand;
    for (uint32_t i = 0; i < DESK_SYMBOLS; i++) desk_market(d, i);
    d->account = tx_account(d->w, 100000);
    struct check_config check = check_config_defaults();
    check.account = d->account;
    check.instrument_count = DESK_SYMBOLS;
    check.wallet_start.e8 = d->wallet = d->totals.wallet.e8 = d->totals.wallet_start.e8 =
        E8(100000);
    d->c = check_create(&check);
    assert_non_null(d->c);
    check_alive(d->c, true, d->w->now);
    d->inner = (struct venue_port){.context = d,
                                   .attach = desk_attach,
                                   .submit = desk_submit,
                                   .poll = desk_poll,
                                   .now_ns = desk_now};
    canary_init(&d->canary, kind, seed);
    d->port = canary_port(&d->canary, &d->inner);
    const struct venue_sink sink = {.context = d, .venue = desk_told};
    d->port.attach(d->port.context, &sink);
    return d;
}

static void desk_close(struct desk *d) {
    check_destroy(d->c);
    tx_close(d->w);
    free(d);
}

#endif
