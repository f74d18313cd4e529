#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backtest/session_internal.h"
#include "base/log.h"
#include "base/tstamp.h"

#define SERVICE  "executor"
#define CONSUMER "executor-1"

static void set_trace(struct bus_entry *entry, const struct session *s, const struct event *event) {
    /* An intent travels under its own identity, a report under the number of its trades; anything else under the journal
     * record it is. */
    if (event->type == EVENT_TRADE_INTENT)
        snprintf(entry->trace_id, sizeof entry->trace_id, "%016" PRIx64,
                 event->u.trade_intent.intent_id);
    else if (event->type == EVENT_REPORT_WRITTEN)
        snprintf(entry->trace_id, sizeof entry->trace_id, "report-%" PRIu64,
                 event->u.report_written.trades);
    else
        snprintf(entry->trace_id, sizeof entry->trace_id, "journal-%" PRIu64,
                 s->journal ? journal_last_seq(s->journal) : 0);
}

static void send(struct session *s, const struct event *event) {
    static struct bus_entry entry; /* one kernel thread; too large for a frame in a loop */
    const struct event_info *info = event_info(event->type);
    size_t size;
    memset(&entry, 0, offsetof(struct bus_entry, payload));
    if (event_encode(entry.payload, sizeof entry.payload, &size, event) != ST_OK) {
        s->failed = err_set(s->err, ST_FULL, "event %s does not fit a bus entry", info->name);
        return;
    }
    entry.payload_size = (uint32_t)size;
    entry.ts_ns = event->ts_ns;
    entry.schema = info->version;
    snprintf(entry.event_type, sizeof entry.event_type, "%s", info->name);
    snprintf(entry.source, sizeof entry.source, "%s",
             event->type == EVENT_TRADE_INTENT ? "bot" : "kernel");
    set_trace(&entry, s, event);
    enum status st = bus_publish(s->bus, &entry, s->err);
    if (st != ST_OK) s->failed = st;
}

static bool was_delivered(const struct session *s, uint64_t intent_id) {
    for (uint32_t i = 0; i < SESSION_DELIVERED_MAX; i++)
        if (s->state->delivered[i] == intent_id) return true;
    return false;
}

static void remember(struct session *s, uint64_t intent_id) {
    s->state->delivered[s->state->delivered_next] = intent_id;
    s->state->delivered_next = (s->state->delivered_next + 1) % SESSION_DELIVERED_MAX;
}

static struct session_pending drop_pending(struct session *s, struct session_pending *p) {
    struct session_pending dropped = *p;
    for (s->pending_count--; p < &s->pending[s->pending_count]; p++) *p = p[1];
    return dropped;
}

static void acknowledge(struct session *s, const struct bus_entry *entry) {
    enum status st = bus_ack(s->bus, entry, SERVICE, s->err);
    if (st != ST_OK && st != ST_DISCONNECTED) s->failed = st;
}

/* Acknowledged only when it is done with: had we died before, it would come again and be recognised. */
static void acknowledge_pending(struct session *s, const struct session_pending *p) {
    static struct bus_entry entry; /* one kernel thread; too large for a frame in a loop */
    memset(&entry, 0, offsetof(struct bus_entry, payload));
    snprintf(entry.event_type, sizeof entry.event_type, "%s", event_info(EVENT_TRADE_INTENT)->name);
    memcpy(entry.id, p->entry_id, sizeof entry.id);
    acknowledge(s, &entry);
}

/* Intents are made and none is taken: a long catch-up before the venue is there, or a bus that stays away. A slot makes the
 * next one when its last has expired (the kernel has counted it as lost), and there are fewer slots than places here, so the
 * oldest has expired. It goes, and is not taken should it ever come. Going over the journal the same ones go again. */
static void drop_oldest(struct session *s) {
    struct session_pending dropped = drop_pending(s, &s->pending[0]);
    remember(s, dropped.intent.intent_id);
    if (dropped.arrived) acknowledge_pending(s, &dropped);
    s->intents_dropped++;
}

void session_publish(struct session *s, const struct event *event) {
    _Static_assert((int)SESSION_PENDING_MAX > (int)RISK_POSITIONS_CEILING, "a place for each slot");
    bool intent = event->type == EVENT_TRADE_INTENT;
    if (intent) {
        if (s->pending_count == SESSION_PENDING_MAX) drop_oldest(s);
        s->pending[s->pending_count++] = (struct session_pending){.intent = event->u.trade_intent};
    }
    /* Streams nobody in this process reads stay in the kernel's journal, which has every event already;
     * a broker gets them all, for whoever listens there. */
    if (!intent && !s->o.bus_url) return;
    /* Old ground was published when it was new; what may not have been is sent by deliver_from_bus. */
    if (!s->bus || session_peek(s)) {
        s->republish = s->republish || intent;
        return;
    }
    send(s, event);
}

/* One delivered intent: told to the journal, then to the kernel, then acted upon. */
static void take_intent(struct session *s, const struct trade_intent *intent) {
    struct event e;
    event_init(&e, EVENT_INTENT_DELIVERED, s->state->last_ts_ns);
    e.u.intent_delivered.intent_id = intent->intent_id;
    session_record(s, &e);
    remember(s, intent->intent_id);
    s->out2.count = 0;
    kernel_intent(s->kernel, &s->out2, intent, s->state->last_ts_ns);
    session_handle(s, &s->out2);
}

static struct session_pending *find_pending(struct session *s, uint64_t intent_id) {
    for (uint32_t i = 0; i < s->pending_count; i++)
        if (s->pending[i].intent.intent_id == intent_id) return &s->pending[i];
    return NULL;
}

/* Straight from the publisher to the executor: without a bus, and for deliveries on record. Those come
 * in the order they had. */
static void deliver_first(struct session *s, const struct journal_record *next) {
    struct session_pending *p = NULL;
    if (next && next->type == EVENT_INTENT_DELIVERED &&
        next->size == sizeof(struct intent_delivered)) {
        struct intent_delivered d;
        memcpy(&d, next->payload, sizeof d);
        p = find_pending(s, d.intent_id);
    }
    struct session_pending taken = drop_pending(s, p ? p : &s->pending[0]);
    take_intent(s, &taken.intent);
}

static void republish_pending(struct session *s) {
    for (uint32_t i = 0; i < s->pending_count && s->failed == ST_OK; i++) {
        if (s->pending[i].arrived) continue;
        struct event e;
        event_init(&e, EVENT_TRADE_INTENT, s->pending[i].intent.created);
        e.u.trade_intent = s->pending[i].intent;
        send(s, &e);
    }
}

/* Takes what has arrived, in the order of publishing: a broker that came back hands out what it had
 * under way after what is new, and the order of orders must not depend on its health. */
static void take_arrived(struct session *s) {
    while (s->pending_count > 0 && s->pending[0].arrived && s->failed == ST_OK) {
        struct session_pending taken = drop_pending(s, &s->pending[0]);
        take_intent(s, &taken.intent);
        acknowledge_pending(s, &taken);
    }
}

/* Only what this run published and waits for is acted upon: a journal can be executed again only if
 * everything that led to an order is in it. Anything else in the stream is seen and put aside. */
static void on_entry(struct session *s, const struct bus_entry *entry) {
    static struct event e;
    struct err why = {0};
    enum status st = event_decode(&e, entry->event_type, entry->schema, entry->ts_ns,
                                  entry->payload, entry->payload_size, &why);
    if (st != ST_OK) {
        log_warn("executor", "intent refused", "reason=\"%s\" entry=%s", why.text, entry->id);
        s->bus_refused++;
        st = bus_nack(s->bus, entry, SERVICE, why.text, s->err);
        if (st != ST_OK && st != ST_DISCONNECTED) s->failed = st;
        return;
    }
    struct session_pending *p = find_pending(s, e.u.trade_intent.intent_id);
    if (p && !p->arrived) {
        p->arrived = true;
        memcpy(p->entry_id, entry->id, sizeof p->entry_id);
        take_arrived(s);
        return;
    }
    if (p && strcmp(p->entry_id, entry->id) == 0)
        return; /* the same entry again, while it waits for its turn */
    if (p || was_delivered(s, e.u.trade_intent.intent_id)) {
        s->state->bus_duplicates++;
    } else {
        log_warn("executor", "intent refused", "reason=\"not of this run\" entry=%s trace_id=%s",
                 entry->id, entry->trace_id);
        s->bus_refused++;
    }
    acknowledge(s, entry);
}

/* wait: until everything published has come back. A run with a port has other things to do meanwhile, and asks again. */
static void deliver_from_bus(struct session *s, bool wait) {
    static struct bus_entry entry;
    int64_t waiting_since = tstamp_monotonic_ns(), patience = wait ? 50 * NS_PER_MS : 0;
    bool told = false;
    if (wait || s->waiting_since_ns == 0) s->waiting_since_ns = waiting_since;
    if (s->republish)
        republish_pending(
            s); /* published before the restart, perhaps: same identity, so twice is once */
    s->republish = false;
    while (s->pending_count > 0 && s->failed == ST_OK && !session_stopped(s)) {
        session_renew(s);
        if (!s->o.port) session_commands(s, COMMAND_BUS_AWAY);
        struct err why = {0};
        enum status st =
            bus_read(s->bus, &entry, "trade.intent", SERVICE, CONSUMER, patience, &why);
        if (st == ST_OK) {
            on_entry(s, &entry);
            waiting_since = tstamp_monotonic_ns();
        } else if (st == ST_INVALID) {
            log_warn("executor", "entry refused", "reason=\"%s\"",
                     why.text); /* a dead letter by now */
            s->bus_refused++;
        } else if (st == ST_END || st == ST_DISCONNECTED || st == ST_TIMEOUT) {
            int64_t waited = tstamp_monotonic_ns() - (wait ? waiting_since : s->waiting_since_ns);
            session_show(s); /* how long they wait is for everyone to see */
            if (st == ST_END && waited > 2 * NS_PER_SECOND) {
                /* The broker is there and the entry is not: it was lost with the broker's memory. */
                republish_pending(s);
                waiting_since = tstamp_monotonic_ns();
            } else if (!told && waited > NS_PER_SECOND) {
                log_warn("executor", "waiting for the bus", "pending=%u status=%s",
                         s->pending_count, status_name(st));
                told = true;
            }
            if (!wait) return;
        } else {
            s->failed = err_set(s->err, st, "%s", why.text);
        }
    }
}

void session_deliver(struct session *s) {
    if (s->intents_dropped > 0)
        log_warn("executor", "intents dropped",
                 "reason=\"expired before anybody could take them\" count=%" PRIu64,
                 s->intents_dropped);
    s->intents_dropped = 0;
    while (s->pending_count > 0 && s->failed == ST_OK) {
        /* An intent must not be executed before a stop that came first, however long the bus was away. */
        if (!s->o.port) session_commands(s, COMMAND_BUS_AWAY);
        const struct journal_record *next = session_peek(s);
        if (s->failed != ST_OK) return;
        if (s->o.verify && !next) return;
        /* A run with a port took others when they came: something else was told before. */
        if (s->o.port && next && next->type != EVENT_INTENT_DELIVERED) return;
        if (!s->bus || next) {
            deliver_first(s, next);
            continue;
        }
        deliver_from_bus(s, s->o.port == NULL);
        if (s->pending_count == 0) s->waiting_since_ns = 0;
        /* What a broker has not confirmed it gets again after a broken connection: keep that little. The
         * embedded bus needs no telling, and would sync a file. */
        if (s->o.bus_url && s->failed == ST_OK) (void)bus_flush(s->bus, NULL);
        return;
    }
}
