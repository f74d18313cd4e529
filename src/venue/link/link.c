#include "venue/link/link.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/tstamp.h"
#include "venue/binance/binance_internal.h"

enum { REFUSED_MAX = 256, CODE_SYMBOL_CLOSED = -4141, CODE_NOT_QUEUED = -1015 };
#define LOAD_WITHIN_NS  (60 * NS_PER_SECOND)
#define START_WITHIN_NS (120 * NS_PER_SECOND)

struct venue_link {
    struct binance *client;
    struct venue_port port;
    struct venue_sink sink; /* context NULL: nobody listens yet */
    bool is_up;
    uint32_t count;
    struct instrument *contracts; /* (count) of the run */
    uint32_t *of_client;          /* (client's count) run's number; UINT32_MAX: not of this run */
    uint32_t *of_run;             /* (count) client's number; UINT32_MAX: gone from the venue */
    /* Commands that could not leave: answered at the next poll, for the run is in the middle of something. */
    uint32_t refused_count;
    struct refusal {
        struct venue_command command;
        int32_t code;
    } refused[REFUSED_MAX];
};

static bool rules_differ(const struct instrument *a, const struct instrument *b) {
    return a->tick_size.e8 != b->tick_size.e8 || a->px_min.e8 != b->px_min.e8 ||
           a->px_max.e8 != b->px_max.e8 || a->step_size.e8 != b->step_size.e8 ||
           a->qty_min.e8 != b->qty_min.e8 || a->qty_max.e8 != b->qty_max.e8 ||
           a->market_step_size.e8 != b->market_step_size.e8 ||
           a->market_qty_min.e8 != b->market_qty_min.e8 ||
           a->market_qty_max.e8 != b->market_qty_max.e8 ||
           a->notional_min.e8 != b->notional_min.e8 || a->multiplier_up.e8 != b->multiplier_up.e8 ||
           a->multiplier_down.e8 != b->multiplier_down.e8 || a->status != b->status;
}

static void tell_rules(struct venue_link *l, uint32_t i, const struct instrument *in) {
    struct instrument_changed c = {.instrument_index = i,
                                   .status = in->status,
                                   .tick_size = in->tick_size,
                                   .px_min = in->px_min,
                                   .px_max = in->px_max,
                                   .step_size = in->step_size,
                                   .qty_min = in->qty_min,
                                   .qty_max = in->qty_max,
                                   .market_step_size = in->market_step_size,
                                   .market_qty_min = in->market_qty_min,
                                   .market_qty_max = in->market_qty_max,
                                   .notional_min = in->notional_min,
                                   .multiplier_up = in->multiplier_up,
                                   .multiplier_down = in->multiplier_down};
    memcpy(c.symbol, l->contracts[i].symbol, SYMBOL_SIZE);
    l->contracts[i] = *in;
    if (l->sink.context) l->sink.instrument(l->sink.context, &c);
}

/* ---- what the client tells ---- */

static uint32_t number_of(const struct venue_link *l, uint32_t client_number) {
    return client_number < binance_instrument_count(l->client) ? l->of_client[client_number]
                                                               : UINT32_MAX;
}

static void on_venue(void *context, const struct venue_event *event) {
    struct venue_link *l = context;
    struct venue_event e = *event;
    e.instrument_index = event->kind == VENUE_BALANCE ? 0 /* of no contract */
                                                      : number_of(l, event->instrument_index);
    if (e.instrument_index != UINT32_MAX && l->sink.context) l->sink.venue(l->sink.context, &e);
}

static void on_bar(void *context, uint32_t instrument, const struct bar *bar) {
    struct venue_link *l = context;
    uint32_t i = number_of(l, instrument);
    if (i != UINT32_MAX && l->sink.context) l->sink.bar(l->sink.context, i, bar);
}

static void on_tick(void *context, uint32_t instrument, int64_t ts_ns, uint64_t trade_id, px_t px,
                    qty_t qty) {
    struct venue_link *l = context;
    uint32_t i = number_of(l, instrument);
    const struct tick tick = {
        .ts = ts_ns, .trade_id = trade_id, .price = px, .quantity = qty_to_f64(qty)};
    if (i != UINT32_MAX && l->sink.context) l->sink.tick(l->sink.context, i, &tick);
}

static void on_instrument(void *context, uint32_t instrument, const struct instrument *in) {
    struct venue_link *l = context;
    uint32_t i = number_of(l, instrument);
    if (i != UINT32_MAX) tell_rules(l, i, in);
}

static enum binance_whose whose(void *context, const char *client_order_id) {
    static const enum binance_whose of[] = {[KERNEL_OWNER_NOBODY] = BINANCE_FOREIGN,
                                            [KERNEL_OWNER_RUN] = BINANCE_OF_RUN,
                                            [KERNEL_OWNER_OTHER_RUN] = BINANCE_OF_OTHER_RUN};
    const struct venue_link *l = context;
    return l->sink.whose ? of[l->sink.whose(l->sink.context, client_order_id)] : BINANCE_FOREIGN;
}

static const char *link_text(enum binance_link link) {
    switch (link) {
    case LINK_DOWN:
        return "down";
    case LINK_CONNECTING:
        return "connecting";
    case LINK_UP:
        return "up";
    case LINK_STALE:
        return "stale";
    }
    return "?";
}

static void on_link(void *context, enum binance_link rest, enum binance_link market,
                    enum binance_link user) {
    struct venue_link *l = context;
    /* Orders go by one and their fate comes by the other; that the market is late is seen by its age. */
    l->is_up = rest == LINK_UP && user == LINK_UP;
    log_info("venue", "link", "rest=%s market=%s user=%s", link_text(rest), link_text(market),
             link_text(user));
}

static void on_reconciled(void *context, const struct binance_reconciliation *what) {
    (void)context;
    if (what->repaired > 0 || what->foreign_orders > 0 || what->foreign_positions > 0)
        log_warn("venue", "reconciled", "repaired=%u foreign_orders=%u foreign_positions=%u",
                 what->repaired, what->foreign_orders, what->foreign_positions);
}

/* ---- what the run asks ---- */

static void port_attach(void *context, const struct venue_sink *sink) {
    struct venue_link *l = context;
    l->sink = *sink;
    /* The run knows the contracts as they were when it began; since then they may have changed. */
    const struct instrument *now = binance_instruments(l->client);
    for (uint32_t i = 0; i < l->count; i++) {
        struct instrument gone = l->contracts[i];
        gone.status = INSTRUMENT_CLOSED;
        const struct instrument *in = l->of_run[i] == UINT32_MAX ? &gone : &now[l->of_run[i]];
        if (rules_differ(in, &l->contracts[i])) tell_rules(l, i, in);
    }
}

static enum status port_bars(void *context, uint32_t i, int64_t from_ns, int64_t to_ns,
                             struct bar *out, size_t max, size_t *count, struct err *err) {
    struct venue_link *l = context;
    *count = 0;
    if (l->of_run[i] == UINT32_MAX ||
        binance_instruments(l->client)[l->of_run[i]].status == INSTRUMENT_CLOSED)
        return ST_OK;
    return binance_bars(l->client, l->of_run[i], from_ns, to_ns, out, max, count, err);
}

static enum status port_start(void *context, const struct kernel_live_order *live,
                              uint32_t live_count, const struct kernel_held *held,
                              uint32_t held_count, struct err *err) {
    struct venue_link *l = context;
    struct binance_known *known = calloc(live_count + 1, sizeof *known);
    struct binance_held *have = calloc(held_count + 1, sizeof *have);
    size_t known_count = 0, have_count = 0;
    enum status st = known && have ? ST_OK : err_set(err, ST_NO_MEMORY, "orders: out of memory");
    for (uint32_t i = 0; i < live_count && st == ST_OK; i++) {
        uint32_t at = l->of_run[live[i].instrument_index];
        if (at == UINT32_MAX) continue; /* a contract that is gone has no orders */
        struct binance_known *k = &known[known_count++];
        memcpy(k->client_order_id, live[i].client_order_id, CLIENT_ORDER_ID_SIZE);
        k->instrument = at;
        k->order_type = live[i].order_type;
        k->cum_qty = live[i].cum_qty;
        k->last_trade_id = live[i].last_trade_id;
    }
    for (uint32_t i = 0; i < held_count && st == ST_OK; i++) {
        uint32_t at = l->of_run[held[i].instrument_index];
        if (at == UINT32_MAX) continue;
        have[have_count++] = (struct binance_held){.instrument = at,
                                                   .qty = held[i].qty,
                                                   .last_trade_id = held[i].last_trade_id,
                                                   .last_funding_ns = held[i].last_funding_ns,
                                                   .opened_ns = held[i].opened_ns,
                                                   .told_ns = held[i].told_ns};
    }
    if (st == ST_OK)
        st = binance_start(l->client, known, known_count, have, have_count, START_WITHIN_NS, err);
    free(known);
    free(have);
    return st;
}

static enum status port_submit(void *context, const struct venue_command *command,
                               enum venue_lane lane, struct err *err) {
    static const enum binance_lane lanes[] = {
        [VENUE_PROTECTION] = LANE_PROTECTION, [VENUE_EXIT] = LANE_EXIT, [VENUE_ENTRY] = LANE_ENTRY};
    struct venue_link *l = context;
    struct venue_command c = *command;
    c.instrument_index = l->of_run[command->instrument_index];
    enum status st = ST_NOT_FOUND;
    if (c.instrument_index != UINT32_MAX) st = binance_submit(l->client, &c, lanes[lane]);
    if (st == ST_OK) return ST_OK;
    log_warn("venue", "command not taken", "symbol=%s client_order_id=%s reason=\"%s\"",
             l->contracts[command->instrument_index].symbol, command->client_order_id,
             status_text(st));
    if (l->refused_count == REFUSED_MAX)
        return err_set(err, st, "more than %d commands could not be sent", REFUSED_MAX);
    l->refused[l->refused_count++] =
        (struct refusal){*command, st == ST_NOT_FOUND ? CODE_SYMBOL_CLOSED : CODE_NOT_QUEUED};
    return ST_OK;
}

static void tell_refused(struct venue_link *l) {
    struct refusal all[REFUSED_MAX];
    uint32_t count = l->refused_count;
    memcpy(all, l->refused, sizeof *all * count);
    l->refused_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct venue_command *c = &all[i].command;
        struct venue_event e = {.kind = c->kind == COMMAND_ORDER_SUBMIT   ? VENUE_ORDER_REJECTED
                                        : c->kind == COMMAND_ORDER_CANCEL ? VENUE_CANCEL_REJECTED
                                                                          : VENUE_LEVERAGE_SET,
                                .side = c->side,
                                .order_type = c->order_type,
                                .code = all[i].code,
                                .instrument_index = c->instrument_index,
                                .ts_event_ns = binance_now_ns(l->client),
                                .wallet = binance_wallet(l->client)};
        memcpy(e.client_order_id, c->client_order_id, CLIENT_ORDER_ID_SIZE);
        l->sink.venue(l->sink.context, &e);
    }
}

static enum status port_poll(void *context, int64_t until_ns, struct err *err) {
    struct venue_link *l = context;
    (void)err;
    if (l->refused_count > 0)
        tell_refused(l);
    else
        binance_poll(l->client, until_ns);
    return ST_OK;
}

static int64_t port_now(void *context) {
    const struct venue_link *l = context;
    return binance_now_ns(l->client);
}

static bool port_is_up(void *context) {
    const struct venue_link *l = context;
    return l->is_up;
}

/* ---- life ---- */

static enum status number_contracts(struct venue_link *l, const struct instrument *contracts,
                                    uint32_t count, struct err *err) {
    uint32_t have = binance_instrument_count(l->client);
    const struct instrument *now = binance_instruments(l->client);
    l->count = contracts ? count : have;
    l->contracts = calloc(l->count ? l->count : 1, sizeof *l->contracts);
    l->of_client = calloc(have ? have : 1, sizeof *l->of_client);
    l->of_run = calloc(l->count ? l->count : 1, sizeof *l->of_run);
    if (!l->contracts || !l->of_client || !l->of_run)
        return err_set(err, ST_NO_MEMORY, "contracts: out of memory");
    if (l->count == 0) return err_set(err, ST_NOT_FOUND, "the venue lists no contract to trade");
    memcpy(l->contracts, contracts ? contracts : now, sizeof *now * l->count);
    memset(l->of_client, 0xff, sizeof *l->of_client * have);
    for (uint32_t i = 0; i < l->count; i++) {
        l->of_run[i] = UINT32_MAX;
        for (uint32_t j = 0; j < have; j++) {
            if (strncmp(now[j].symbol, l->contracts[i].symbol, SYMBOL_SIZE) != 0) continue;
            l->of_run[i] = j;
            l->of_client[j] = i;
        }
    }
    return ST_OK;
}

enum status venue_link_open_on(struct venue_link **out, const struct binance_options *options,
                               const struct binance_ports *ports,
                               const struct instrument *contracts, uint32_t count,
                               struct err *err) {
    struct venue_link *l = calloc(1, sizeof *l);
    if (!l) {
        if (ports) ports->destroy(ports->context);
        return err_set(err, ST_NO_MEMORY, "venue: out of memory");
    }
    struct binance_options o = *options;
    o.contracts = contracts;
    o.contract_count = contracts ? count : 0;
    o.handlers = (struct binance_handlers){.context = l,
                                           .whose = whose,
                                           .on_venue = on_venue,
                                           .on_bar = on_bar,
                                           .on_tick = on_tick,
                                           .on_instrument = on_instrument,
                                           .on_link = on_link,
                                           .on_reconciled = on_reconciled};
    l->port = (struct venue_port){.context = l,
                                  .attach = port_attach,
                                  .bars = port_bars,
                                  .start = port_start,
                                  .submit = port_submit,
                                  .poll = port_poll,
                                  .now_ns = port_now,
                                  .is_up = port_is_up};
    enum status st =
        ports ? binance_create_on(&l->client, &o, ports, err) : binance_create(&l->client, &o, err);
    if (st == ST_OK) st = binance_load(l->client, LOAD_WITHIN_NS, err);
    if (st == ST_OK) st = number_contracts(l, contracts, count, err);
    if (st != ST_OK) {
        venue_link_close(l);
        return st;
    }
    *out = l;
    return ST_OK;
}

enum status venue_link_open(struct venue_link **out, const struct binance_options *options,
                            const struct instrument *contracts, uint32_t count, struct err *err) {
    return venue_link_open_on(out, options, NULL, contracts, count, err);
}

void venue_link_close(struct venue_link *l) {
    if (!l) return;
    if (l->client) binance_destroy(l->client);
    free(l->contracts);
    free(l->of_client);
    free(l->of_run);
    free(l);
}

const struct venue_port *venue_link_port(const struct venue_link *l) {
    return &l->port;
}

struct binance *venue_link_client(const struct venue_link *l) {
    return l->client;
}

const struct instrument *venue_link_instruments(const struct venue_link *l, uint32_t *count) {
    *count = l->count;
    return l->contracts;
}
