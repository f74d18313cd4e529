/* Commands from outside. They come when they come, so each is on record with the place in the step at which it was obeyed:
 * going over that record again, it is obeyed at that place again. Who has no answer, for a process died on either side, asks
 * again under the same id: it is on record once, whatever died when. */
#include <math.h>
#include <string.h>

#include "backtest/session_internal.h"
#include "base/log.h"

static void tell(const struct operator_command *c, enum status st) {
    if (st == ST_OK)
        log_info("kernel", "command obeyed", "key=%s target=%s value=%g by=\"%s\"", c->key,
                 c->target, c->value, c->given_by);
    else
        log_warn("kernel", "command refused", "key=%s target=%s value=%g by=\"%s\" reason=\"%s\"",
                 c->key, c->target, c->value, c->given_by, status_text(st));
}

/* Whoever asked looks at the view for it: on record first, then shown. */
static void confirm(struct session *s, const struct operator_command *c, enum status st) {
    tell(c, st);
    if (s->failed == ST_OK && s->journal) {
        enum status kept =
            s->o.durable ? journal_commit(s->journal, s->err) : journal_flush(s->journal, s->err);
        if (kept != ST_OK) s->failed = kept;
    }
    if (s->policy.holds)
        session_policy_done(s);
    else
        s->commands_taken++;
    session_show_now(s);
}

bool session_was_obeyed(const struct session *s, uint64_t command_id) {
    for (uint32_t i = 0; command_id != 0 && i < SESSION_COMMANDS_MAX; i++)
        if (s->state->commands[i] == command_id) return true;
    return false;
}

static void remember(struct session *s, uint64_t command_id) {
    if (command_id == 0) return;
    s->state->commands[s->state->commands_next] = command_id;
    s->state->commands_next = (s->state->commands_next + 1) % SESSION_COMMANDS_MAX;
}

void session_obey(struct session *s, const struct operator_command *command, bool is_new) {
    remember(s, command->command_id);
    s->out.count = 0;
    enum status st = kernel_command(s->kernel, &s->out, command, s->state->last_ts_ns);
    session_handle(s, &s->out);
    if (is_new) confirm(s, command, st);
}

static bool from_inbox(struct session *s, struct operator_command *out) {
    while (s->o.inbox && inbox_take(out, s->o.inbox)) {
        if (!session_was_obeyed(s, out->command_id)) return true;
        log_info("kernel", "command known", "key=%s by=\"%s\"", out->key, out->given_by);
        s->commands_taken++; /* it is on record: whoever asked is told so */
        session_show_now(s);
    }
    return false;
}

bool session_command_next(struct session *s, struct operator_command *out, uint64_t part) {
    if (s->failed != ST_OK || s->o.verify) return false;
    do {
        if (!from_inbox(s, out) && !session_policy_next(s, out)) return false;
        /* No record can hold it: whoever put it there did not look. It is gone, and said so. */
        if (!isfinite(out->value))
            log_warn("session", "command without a number dropped", "key=%s by=%s", out->key,
                     out->given_by);
    } while (!isfinite(out->value));
    out->step = s->state->next_step;
    out->part = part;
    return true;
}

static bool is_here(const struct session *s, const struct journal_record *r,
                    struct operator_command *out, uint64_t part) {
    if (r->type != EVENT_OPERATOR_COMMAND || r->size != sizeof *out) return false;
    memcpy(out, r->payload, sizeof *out);
    return out->step == s->state->next_step && out->part == part;
}

void session_commands(struct session *s, uint64_t part) {
    while (s->failed == ST_OK) {
        struct event e;
        event_init(&e, EVENT_OPERATOR_COMMAND, s->state->last_ts_ns);
        struct operator_command *c = &e.u.operator_command;
        if (s->reader) session_mark_take(s, s->state->last_ts_ns);
        const struct journal_record *r = session_peek(s);
        if (r ? !is_here(s, r, c, part) : !session_command_next(s, c, part)) return;
        session_record(s, &e);
        if (s->failed == ST_OK) session_obey(s, c, r == NULL);
    }
}
