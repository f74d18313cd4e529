/* Commands of the bus. Unlike policy.updated, which says what has changed, policy.command asks for a change; the two have
 * streams of their own, so that nobody obeys his own echo. An entry is acknowledged once its command is on record: one that
 * comes again after a death in between is known by its id, which is the trace id unless the payload has its own. */
#include <string.h>

#include "backtest/session_internal.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "kernel/command_body.h"

#define TYPE     "policy.command"
#define SERVICE  "risk"
#define CONSUMER "risk-1"
/* A fifth of the second in which a command is to be in force. */
#define LOOK_EVERY_NS (200 * NS_PER_MS)
#define AWAY_NS       NS_PER_SECOND
enum { SCHEMA = 1 };

enum status session_policy_open(struct session *s, struct err *err) {
    return s->o.bus_url ? bus_group(s->bus, TYPE, SERVICE, err) : ST_OK;
}

static void told(struct session *s, enum status st) {
    if (st != ST_OK && st != ST_DISCONNECTED && s->failed == ST_OK) s->failed = st;
}

void session_policy_done(struct session *s) {
    s->policy.holds = false;
    told(s, bus_ack(s->bus, &s->policy.entry, SERVICE, s->err));
}

static void reject(struct session *s, const char *why) {
    const struct bus_entry *e = &s->policy.entry;
    log_warn("kernel", "command refused", "reason=\"%s\" entry=%s trace_id=%s", why, e->id,
             e->trace_id);
    s->bus_refused++;
    told(s, bus_reject(s->bus, e, SERVICE, why, s->err));
}

static bool has_target(const struct session *s, const char *target) {
    const struct instrument *all = feed_instruments(s->o.feed);
    if (strcmp(target, "all") == 0) return true;
    for (uint32_t i = 0; i < feed_symbol_count(s->o.feed); i++)
        if (strncmp(all[i].symbol, target, SYMBOL_SIZE) == 0) return true;
    return false;
}

static bool decode(struct session *s, struct operator_command *out) {
    const struct bus_entry *e = &s->policy.entry;
    struct command_fault fault;
    if (e->schema != SCHEMA) {
        reject(s, "schema is not 1");
        return false;
    }
    if (!command_body_decode(out, &fault, COMMAND_BODY_ANY, e->payload, e->payload_size)) {
        reject(s, fault.message);
        return false;
    }
    if (!has_target(s, out->target)) {
        reject(s, "symbol is not of this run");
        return false;
    }
    if (out->command_id == 0) out->command_id = command_id_of(e->trace_id, strlen(e->trace_id));
    return true;
}

bool session_policy_next(struct session *s, struct operator_command *out) {
    struct session_policy *p = &s->policy;
    if (!s->bus || !s->o.bus_url || tstamp_monotonic_ns() < p->look_ns) return false;
    while (s->failed == ST_OK) {
        struct err why = {0};
        enum status st = bus_read(s->bus, &p->entry, TYPE, SERVICE, CONSUMER, 0, &why);
        if (st == ST_INVALID) { /* a dead letter by now */
            log_warn("kernel", "command refused", "reason=\"%s\"", why.text);
            s->bus_refused++;
        } else if (st != ST_OK) {
            bool away = st == ST_DISCONNECTED;
            if (!away && st != ST_END && st != ST_TIMEOUT)
                s->failed = err_set(s->err, st, "%s", why.text);
            p->look_ns = tstamp_monotonic_ns() + (away ? AWAY_NS : LOOK_EVERY_NS);
            return false;
        } else if (decode(s, out)) {
            p->holds = !session_was_obeyed(s, out->command_id);
            if (p->holds) return true;
            log_info("kernel", "command known", "key=%s trace_id=%s", out->key, p->entry.trace_id);
            session_policy_done(s);
        }
    }
    return false;
}
