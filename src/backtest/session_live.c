/* The loop of a run whose venue is somewhere else. Nothing here can be computed again, so everything that came in is in the
 * journal: candles, ticks, the venue's word, the moments at which timers were looked at and decisions taken. A restart
 * applies those records again, in their order, and then asks the venue what became of the orders meanwhile. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backtest/live_candles.h"
#include "backtest/session_internal.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "feature/feature.h"

enum {
    LIVE_ORDERS_MAX = 512,
    LIVE_UNSENT_MAX = 2 * LIVE_ORDERS_MAX, /* each asked for, and each cancelled */
    LIVE_SNAPSHOT_BARS = 1 << 16,
    RENEW_RECORDS = 1 << 12
};
/* How long the last bars of a step are waited for once its first has come. */
#define BAR_WAIT_NS (1500 * NS_PER_MS)
#define TICK_GAP_NS NS_PER_SECOND
/* Longer than a request may take effect after it was sent (binance_options.recv_window_ms). */
#define SENT_BEFORE_NS (6 * NS_PER_SECOND)
#define POLL_NS        (100 * NS_PER_MS)
#define POLL_IDLE_NS   NS_PER_SECOND
#define BACKFILL_MAX   1500

struct session_live {
    int64_t step_open_ns;    /* of the bars being collected; 0: none yet */
    int64_t step_until_ns;   /* the step is closed then, whoever is missing */
    int64_t *tick_ns;        /* (symbols) when the last tick was taken */
    int64_t intents_from_ns; /* intents are not delivered before */
    bool connected;          /* the venue has told what became of our orders */
    /* (LIVE_UNSENT_MAX) Commands new since the journal's end, made while it was gone over or the venue told. */
    struct venue_command *unsent;
    uint32_t unsent_count;
    uint64_t bars;
};

static enum venue_lane lane_of(const struct venue_command *c) {
    if (c->kind == COMMAND_ORDER_SUBMIT &&
        (c->close_position || c->order_type == ORDER_STOP_MARKET))
        return VENUE_PROTECTION;
    if (c->kind == COMMAND_ORDER_CANCEL || c->reduce_only) return VENUE_EXIT;
    return VENUE_ENTRY;
}

static void submit(struct session *s, const struct venue_command *c) {
    enum status st = s->o.port->submit(s->o.port->context, c, lane_of(c), s->err);
    if (st != ST_OK && s->failed == ST_OK) s->failed = st;
}

void session_live_submit(struct session *s, const struct venue_command *command) {
    struct session_live *l = s->live;
    if (l->connected) {
        submit(s, command);
    } else if (l->unsent_count < LIVE_UNSENT_MAX) {
        l->unsent[l->unsent_count++] = *command;
    } else {
        s->failed =
            err_set(s->err, ST_FULL, "more than %d commands wait for the venue", LIVE_UNSENT_MAX);
    }
}

/* The venue's time, never going back. */
static int64_t now_of(const struct session *s) {
    int64_t now = s->o.port->now_ns(s->o.port->context);
    return now > s->state->last_ts_ns ? now : s->state->last_ts_ns;
}

static bool may_deliver(const struct session *s) {
    return s->live->connected && now_of(s) >= s->live->intents_from_ns;
}

void session_live_deliver(struct session *s) {
    const struct journal_record *next = session_peek(s);
    /* Before the venue has told what became of our orders, nobody knows what may be ordered. */
    if (next ? next->type == EVENT_INTENT_DELIVERED : may_deliver(s)) session_deliver(s);
}

/* ---- inputs ---- */

static struct bar bar_of(const struct kline *k) {
    return (struct bar){.open_ts_ns = k->open_ts,
                        .open = k->open,
                        .high = k->high,
                        .low = k->low,
                        .close = k->close,
                        .volume = k->volume,
                        .quote_volume = k->quote_volume,
                        .taker_buy_ratio = (float)k->taker_buy_ratio,
                        .trade_count = (uint32_t)k->count};
}

static int instrument_find(const struct session *s, const char *symbol) {
    const struct instrument *all = feed_instruments(s->o.feed);
    for (uint32_t i = 0; i < feed_symbol_count(s->o.feed); i++)
        if (strncmp(all[i].symbol, symbol, SYMBOL_SIZE) == 0) return (int)i;
    return -1;
}

static void fold(struct session *s, const struct kline *k) {
    int i = instrument_find(s, k->symbol);
    if (i < 0) {
        s->failed =
            err_set(s->err, ST_CORRUPT, "candle of %s, which is not of this run", k->symbol);
        return;
    }
    const struct bar bar = bar_of(k);
    uint32_t stepped;
    (void)kernel_stepped(s->kernel, &stepped);
    enum kernel_ingest got = session_bar(s, (uint32_t)i, &bar);
    if (got != KERNEL_BAR_NEW && got != KERNEL_BAR_AFTER_GAP) return;
    if (s->o.candles && !s->o.verify) {
        enum status st = live_candles_put(s->o.candles, (uint32_t)i, &bar, s->err);
        if (st != ST_OK) s->failed = st;
    }
    s->live->bars++;
    s->exchange_work++;
    s->state->bars_since_snapshot++;
    if (stepped > 0) return;
    s->live->step_open_ns = bar.open_ts_ns;
    s->live->step_until_ns = s->state->last_ts_ns + BAR_WAIT_NS;
}

static void step_close(struct session *s, const struct tape_advanced *t) {
    session_decide(s, t->close_ts);
    if (s->failed != ST_OK) return;
    session_put_equity(s, t->close_ts);
    s->state->next_step = t->step + 1;
    s->state->marked_step = s->state->next_step; /* steps are told here, one by one */
    s->live->step_open_ns = 0;
}

/* Every input, new or on record, goes through here. */
static void apply(struct session *s, const struct event *e) {
    if (e->type == EVENT_EXECUTION_RESULT) {
        session_venue(s, &e->u.venue_event, e->ts_ns);
        return;
    }
    if (e->ts_ns > s->state->last_ts_ns) s->state->last_ts_ns = e->ts_ns;
    session_record(s, e);
    if (s->failed != ST_OK) return;
    switch (e->type) {
    case EVENT_KLINE:
        fold(s, &e->u.kline);
        break;
    case EVENT_TAPE_ADVANCED:
        step_close(s, &e->u.tape_advanced);
        break;
    case EVENT_TICK: {
        int i = instrument_find(s, e->u.tick.symbol);
        if (i < 0 || !kernel_tick(s->kernel, (uint32_t)i, &e->u.tick)) break;
        s->out.count = 0;
        kernel_extreme(s->kernel, &s->out, (uint32_t)i, e->u.tick.price, e->u.tick.price,
                       e->u.tick.ts, e->ts_ns);
        session_handle(s, &s->out);
        break;
    }
    case EVENT_INSTRUMENT_CHANGED:
        kernel_instrument_rules(s->kernel, &e->u.instrument_changed);
        break;
    case EVENT_CLOCK_ADVANCED:
        s->out.count = 0;
        kernel_time(s->kernel, &s->out, e->u.clock_advanced.ts);
        session_handle(s, &s->out);
        break;
    case EVENT_OPERATOR_COMMAND:
        session_obey(s, &e->u.operator_command, s->recorded_new);
        break;
    case EVENT_EXECUTOR_STARTED:
        kernel_executor_started(s->kernel, e->ts_ns);
        break;
    case EVENT_VENUE_LINK:
        s->out.count = 0;
        kernel_link(s->kernel, &s->out, e->u.venue_link_changed.is_up != 0, e->ts_ns);
        session_handle(s, &s->out);
        break;
    default:
        s->failed = err_set(s->err, ST_CORRUPT, "%s is no input", event_info(e->type)->name);
        break;
    }
}

static void close_step(struct session *s) {
    struct event e;
    event_init(&e, EVENT_TAPE_ADVANCED, now_of(s));
    e.u.tape_advanced.step = s->state->next_step;
    e.u.tape_advanced.close_ts = s->live->step_open_ns + feed_interval_ns(s->o.feed);
    apply(s, &e);
}

static bool has_stepped(const struct session *s, uint32_t instrument) {
    uint32_t count;
    const uint32_t *stepped = kernel_stepped(s->kernel, &count);
    for (uint32_t j = 0; j < count; j++)
        if (stepped[j] == instrument) return true;
    return false;
}

static uint32_t stepped_count(const struct session *s) {
    uint32_t count;
    (void)kernel_stepped(s->kernel, &count);
    return count;
}

static void on_bar(void *context, uint32_t instrument, const struct bar *bar) {
    struct session *s = context;
    if (s->failed != ST_OK) return;
    /* A step holds one bar of each symbol. */
    if (stepped_count(s) > 0 &&
        (bar->open_ts_ns > s->live->step_open_ns || has_stepped(s, instrument)))
        close_step(s);
    struct event e;
    event_init(&e, EVENT_KLINE, now_of(s));
    struct kline *k = &e.u.kline;
    memcpy(k->symbol, feed_instruments(s->o.feed)[instrument].symbol, SYMBOL_SIZE);
    k->open_ts = bar->open_ts_ns;
    k->interval = feed_interval_ns(s->o.feed);
    k->open = bar->open;
    k->high = bar->high;
    k->low = bar->low;
    k->close = bar->close;
    k->volume = bar->volume;
    k->quote_volume = bar->quote_volume;
    k->taker_buy_ratio = (double)bar->taker_buy_ratio;
    k->count = bar->trade_count;
    apply(s, &e);
    if (bar->open_ts_ns >= feed_from_ns(s->o.feed)) session_publish(s, &e);
}

static void on_venue(void *context, const struct venue_event *event) {
    struct session *s = context;
    if (s->failed == ST_OK) session_venue(s, event, now_of(s));
}

/* Prices between candles matter where something is held; once a second is enough for what they are used for. */
static void on_tick(void *context, uint32_t instrument, const struct tick *tick) {
    struct session *s = context;
    int64_t now = now_of(s);
    if (s->failed != ST_OK || kernel_position_side(s->kernel, instrument) == SIDE_NONE) return;
    if (now - s->live->tick_ns[instrument] < TICK_GAP_NS) return;
    s->live->tick_ns[instrument] = now;
    struct event e;
    event_init(&e, EVENT_TICK, now);
    e.u.tick = *tick;
    memcpy(e.u.tick.symbol, feed_instruments(s->o.feed)[instrument].symbol, SYMBOL_SIZE);
    apply(s, &e);
}

static void on_instrument(void *context, const struct instrument_changed *change) {
    struct session *s = context;
    if (s->failed != ST_OK) return;
    struct event e;
    event_init(&e, EVENT_INSTRUMENT_CHANGED, now_of(s));
    e.u.instrument_changed = *change;
    log_info("market", "rules changed", "symbol=%s status=%u", change->symbol, change->status);
    apply(s, &e);
    session_publish(s, &e);
}

static enum kernel_owner whose(void *context, const char *client_order_id) {
    const struct session *s = context;
    return kernel_order_owner(s->kernel, client_order_id);
}

/* ---- coming up ---- */

static void recover(struct session *s) {
    const struct journal_record *r;
    while (s->failed == ST_OK && (r = session_peek(s)) != NULL) {
        if (s->records_checked % RENEW_RECORDS == 0) session_renew(s);
        const struct event_info *info = event_info(r->type);
        struct event e;
        if (r->type == EVENT_INTENT_DELIVERED && s->pending_count > 0) {
            session_deliver(s);
            continue;
        }
        if (r->type == EVENT_STATE_HASH) {
            session_record_state_hash(s);
            continue;
        }
        if (!info || r->version != info->version || r->size != info->size) {
            s->failed =
                err_set(s->err, ST_VERSION,
                        "journal record %" PRIu64 " is not one this version writes", r->seq);
            return;
        }
        event_init(&e, (enum event_type)r->type, r->ts_ns);
        memcpy(&e.u, r->payload, r->size);
        uint64_t before = s->records_checked;
        if (event_validate(&e, s->err) != ST_OK) {
            s->failed = ST_CORRUPT;
            return;
        }
        apply(s, &e);
        if (s->failed == ST_OK && s->records_checked == before)
            s->failed =
                err_set(s->err, ST_CORRUPT, "journal: a %s that nothing led to", info->name);
    }
}

static void take_up(struct session *s) {
    struct event e;
    event_init(&e, EVENT_EXECUTOR_STARTED, now_of(s));
    e.u.executor_started.ts = e.ts_ns;
    apply(s, &e);
}

/* Nobody watched between the journal's last record and now: what was on its way to its stop was interrupted. On record,
 * for a later restart goes over this one too; the link is up again when it is looked at. */
static void tell_absence(struct session *s) {
    if (kernel_unprotected_count(s->kernel) == 0 || kernel_breaker(s->kernel)->is_down) return;
    struct event e;
    event_init(&e, EVENT_VENUE_LINK, now_of(s));
    apply(s, &e);
}

struct backfill {
    struct bar *bars;
    size_t count, next;
};

/* Candles that closed while nobody listened, of all symbols, in the order of time. */
static enum status fill_gap(struct session *s, int64_t from_ns) {
    uint32_t n = feed_symbol_count(s->o.feed);
    int64_t interval = feed_interval_ns(s->o.feed), now = now_of(s), to = now - now % interval;
    struct backfill *all = calloc(n, sizeof *all);
    enum status st = all ? ST_OK : err_set(s->err, ST_NO_MEMORY, "candles: out of memory");
    size_t most = to > from_ns ? (size_t)((to - from_ns) / interval) : 0;
    if (most > BACKFILL_MAX) {
        from_ns = to - (int64_t)BACKFILL_MAX * interval;
        most = BACKFILL_MAX;
    }
    for (uint32_t i = 0; i < n && st == ST_OK && most > 0; i++) {
        session_renew(s);
        all[i].bars = calloc(most, sizeof *all[i].bars);
        st = all[i].bars ? s->o.port->bars(s->o.port->context, i, from_ns, to, all[i].bars, most,
                                           &all[i].count, s->err)
                         : err_set(s->err, ST_NO_MEMORY, "candles: out of memory");
    }
    for (int64_t t = from_ns; st == ST_OK && t < to && s->failed == ST_OK; t += interval) {
        session_renew(s);
        for (uint32_t i = 0; i < n; i++) {
            struct backfill *b = &all[i];
            while (b->next < b->count && b->bars[b->next].open_ts_ns < t) b->next++;
            if (b->next < b->count && b->bars[b->next].open_ts_ns == t)
                on_bar(s, i, &b->bars[b->next++]);
        }
        if (stepped_count(s) > 0) close_step(s);
    }
    for (uint32_t i = 0; all && i < n; i++) free(all[i].bars);
    free(all);
    return st;
}

/* Where the store has no candles before those that are about to come, a training would have nothing to learn from (a
 * first start), or a hole (a long absence). A venue that does not tell them is no reason not to trade. */
static void fill_history(struct session *s, int64_t end_ns, bool is_first) {
    static struct bar bars[BACKFILL_MAX];
    struct live_candles *c = s->o.candles;
    int64_t interval = feed_interval_ns(s->o.feed), now = now_of(s);
    int64_t from = now - now % interval - (int64_t)s->o.history_bars * interval;
    uint64_t told = 0;
    struct err err = {0};
    enum status st = live_candles_flush(c, &err);
    for (uint32_t i = 0; i < feed_symbol_count(s->o.feed) && st == ST_OK; i++) {
        struct live_gap gap = {0};
        for (int64_t t = from; st == ST_OK && t < end_ns && !session_stopped(s); t = gap.to_ns) {
            st = live_candles_gap(&gap, c, i, t, end_ns, &err);
            if (st != ST_OK || gap.from_ns == gap.to_ns) break;
            /* What was asked for once, or nobody has: not again while positions wait for their venue. */
            if (!is_first && gap.from_ns == from) continue;
            session_renew(s);
            if (gap.to_ns > gap.from_ns + BACKFILL_MAX * interval)
                gap.to_ns = gap.from_ns + BACKFILL_MAX * interval;
            size_t count = 0;
            st = s->o.port->bars(s->o.port->context, i, gap.from_ns, gap.to_ns, bars, BACKFILL_MAX,
                                 &count, &err);
            if (st == ST_OK) st = live_candles_add(c, i, bars, count, &err);
            told += count;
        }
    }
    char text[ERR_TEXT_SIZE];
    if (st != ST_OK)
        log_warn("candles", "older candles are missing", "error=%s",
                 log_quote(text, sizeof text, err.text));
    else if (told > 0)
        log_info("candles", "older candles were asked for", "count=%" PRIu64, told);
}

/* What the journal says we asked for and the venue may never have heard. */
static void ask_again(struct session *s, const struct kernel_live_order *live, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (live[i].state != ORDER_PENDING_CANCEL) continue;
        struct venue_command c = {.kind = COMMAND_ORDER_CANCEL,
                                  .order_type = live[i].order_type,
                                  .instrument_index = live[i].instrument_index,
                                  .ts_ns = s->state->last_ts_ns};
        memcpy(c.client_order_id, live[i].client_order_id, CLIENT_ORDER_ID_SIZE);
        submit(s, &c);
    }
    for (uint32_t i = 0; i < feed_symbol_count(s->o.feed); i++) {
        uint32_t leverage = kernel_leverage_wanted(s->kernel, i);
        if (leverage == 0) continue;
        const struct venue_command c = {.kind = COMMAND_LEVERAGE_SET,
                                        .instrument_index = i,
                                        .leverage = leverage,
                                        .ts_ns = s->state->last_ts_ns};
        submit(s, &c);
    }
}

/* Whether what was asked for at the journal's end still waits to be sent: the venue may have told of it meanwhile, for a
 * damaged journal ends before it was. Cancels are asked for again in any case. */
static bool is_still_asked(const struct session *s, const struct venue_command *c) {
    static struct kernel_live_order live[LIVE_ORDERS_MAX];
    if (c->kind != COMMAND_ORDER_SUBMIT) return true;
    uint32_t count = kernel_live_orders(s->kernel, live, LIVE_ORDERS_MAX);
    for (uint32_t i = 0; i < count && i < LIVE_ORDERS_MAX; i++)
        if (strcmp(live[i].client_order_id, c->client_order_id) == 0)
            return live[i].state == ORDER_PENDING_NEW;
    return false;
}

static bool is_unsent(const struct session_live *l, const char *client_order_id) {
    for (uint32_t i = 0; i < l->unsent_count; i++)
        if (strcmp(l->unsent[i].client_order_id, client_order_id) == 0) return true;
    return false;
}

static enum status connect(struct session *s) {
    static struct kernel_live_order live[LIVE_ORDERS_MAX];
    struct session_live *l = s->live;
    uint32_t all = kernel_live_orders(s->kernel, live, LIVE_ORDERS_MAX), count = 0;
    if (all > LIVE_ORDERS_MAX)
        return err_set(s->err, ST_FULL, "%u orders are live, more than %d", all, LIVE_ORDERS_MAX);
    for (uint32_t i = 0; i < all; i++) /* the venue cannot know what never left */
        if (!is_unsent(l, live[i].client_order_id)) live[count++] = live[i];
    struct kernel_held held[RISK_POSITIONS_CEILING];
    session_renew(s);
    uint32_t held_count = kernel_held(s->kernel, held, RISK_POSITIONS_CEILING);
    enum status st = s->o.port->start(s->o.port->context, live, count, held, held_count, s->err);
    if (st != ST_OK || s->failed != ST_OK) return st;
    l->connected = true;
    /* What a life that the journal forgot has sent may still arrive: the wish it had is not sent beside it. */
    if (s->record_lost) l->intents_from_ns = now_of(s) + SENT_BEFORE_NS;
    for (uint32_t i = 0; i < l->unsent_count; i++)
        if (is_still_asked(s, &l->unsent[i])) submit(s, &l->unsent[i]);
    l->unsent_count = 0;
    ask_again(s, live, kernel_live_orders(s->kernel, live, LIVE_ORDERS_MAX));
    s->recovery = VIEW_RECOVERED;
    session_show_now(s);
    return s->failed;
}

/* ---- running ---- */

static void look_at_commands(struct session *s) {
    struct event e;
    event_init(&e, EVENT_OPERATOR_COMMAND, now_of(s));
    while (session_command_next(s, &e.u.operator_command, COMMAND_AT_START)) apply(s, &e);
}

static void look_at_link(struct session *s) {
    const struct venue_port *port = s->o.port;
    bool is_up = !port->is_up || port->is_up(port->context);
    if (is_up == (kernel_breaker(s->kernel)->is_down == 0)) return;
    struct event e;
    event_init(&e, EVENT_VENUE_LINK, now_of(s));
    e.u.venue_link_changed.is_up = is_up;
    apply(s, &e);
}

static void look_at_time(struct session *s) {
    int64_t now = now_of(s);
    if (kernel_deadline(s->kernel) <= now) {
        struct event e;
        event_init(&e, EVENT_CLOCK_ADVANCED, now);
        e.u.clock_advanced.ts = now;
        apply(s, &e);
    }
    uint32_t count = stepped_count(s);
    if (count > 0 && s->failed == ST_OK &&
        (count == feed_symbol_count(s->o.feed) || now >= s->live->step_until_ns))
        close_step(s);
}

static void snapshot_if_due(struct session *s) {
    if (s->state->bars_since_snapshot < LIVE_SNAPSHOT_BARS || s->failed != ST_OK) return;
    if (stepped_count(s) > 0 || s->pending_count > 0 || !s->journal) return;
    s->state->bars_since_snapshot = 0;
    s->state->snapshots++;
    session_record_state_hash(s);
    if (s->failed == ST_OK) session_save_point(s, true);
}

/* Who gives commands or looks on is served often; without them the next thing that is due is soon enough. */
static int64_t patience(const struct session *s) {
    if (s->o.inbox || s->o.view_box || s->pending_count > 0) return POLL_NS;
    int64_t due = kernel_deadline(s->kernel), now = now_of(s);
    if (stepped_count(s) > 0 && s->live->step_until_ns < due) due = s->live->step_until_ns;
    if (due - now < NS_PER_MS) return NS_PER_MS;
    return due - now < POLL_IDLE_NS ? due - now : POLL_IDLE_NS;
}

static void run(struct session *s) {
    while (s->failed == ST_OK && !session_stopped(s)) {
        session_renew(s);
        enum status st =
            s->o.port->poll(s->o.port->context, tstamp_monotonic_ns() + patience(s), s->err);
        if (st != ST_OK && s->failed == ST_OK) s->failed = st;
        if (s->failed != ST_OK) break;
        look_at_commands(s);
        look_at_link(s);
        look_at_time(s);
        if (s->pending_count > 0 && may_deliver(s)) session_deliver(s);
        snapshot_if_due(s);
        session_look_around(s, s->state->next_step);
        if (s->o.observer && s->o.observer->quiet)
            s->o.observer->quiet(s->o.observer->context, s->kernel, s->pending_count);
        if (s->o.step_limit && s->state->next_step >= s->o.step_limit) break;
    }
}

void session_live(struct session *s) {
    uint32_t n = feed_symbol_count(s->o.feed);
    struct session_live live = {.tick_ns = calloc(n, sizeof(int64_t)),
                                .unsent = calloc(LIVE_UNSENT_MAX, sizeof *live.unsent)};
    if (!live.tick_ns || !live.unsent) {
        s->failed = err_set(s->err, ST_NO_MEMORY, "live run: out of memory");
        free(live.tick_ns);
        free(live.unsent);
        return;
    }
    s->live = &live;
    s->state->marked_step = s->state->next_step;
    recover(s);
    if (s->failed == ST_OK && !s->o.verify) {
        const struct venue_sink sink = {.context = s,
                                        .venue = on_venue,
                                        .bar = on_bar,
                                        .tick = on_tick,
                                        .instrument = on_instrument,
                                        .whose = whose};
        int64_t interval = feed_interval_ns(s->o.feed), from = feed_from_ns(s->o.feed);
        int64_t warm = (int64_t)s->o.warmup_bars * interval;
        s->o.port->attach(s->o.port->context, &sink);
        take_up(s);
        tell_absence(s);
        if (stepped_count(s) > 0) close_step(s);
        /* After a restart from where it stood, else from where the features begin to be whole. */
        /* By its candles: rules told at the attach, an absence, a killed start before this one are later than those. */
        int64_t known = kernel_bars_until(s->kernel);
        int64_t begin = known ? known - 2 * interval : from - from % interval - warm;
        if (s->o.candles) {
            int64_t now = now_of(s), earliest = now - now % interval - BACKFILL_MAX * interval;
            fill_history(s, begin > earliest ? begin : earliest + 2 * interval, known == 0);
        }
        enum status st = fill_gap(s, begin);
        if (st == ST_OK && s->failed == ST_OK) st = connect(s);
        if (st != ST_OK && s->failed == ST_OK) s->failed = st;
        run(s);
        if (stepped_count(s) > 0 && s->failed == ST_OK) close_step(s);
        if (s->o.candles && s->failed == ST_OK) (void)live_candles_flush(s->o.candles, NULL);
    }
    s->live = NULL;
    free(live.tick_ns);
    free(live.unsent);
}
