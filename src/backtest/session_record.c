#include <inttypes.h>
#include <string.h>

#include "backtest/session_internal.h"

const struct journal_record *session_peek(struct session *s) {
    if (!s->reader) return NULL;
    if (s->has_peeked) return &s->peeked;
    enum status st = journal_next(s->reader, &s->peeked, s->err);
    if (st == ST_OK) {
        s->has_peeked = true;
        return &s->peeked;
    }
    if (st != ST_END) {
        s->failed = st;
        return NULL;
    }
    journal_reader_close(s->reader);
    s->reader = NULL;
    s->at_end = true;
    s->recovery = s->o.port ? VIEW_ASKING : VIEW_RECOVERED;
    return NULL;
}

void session_take(struct session *s) {
    s->has_peeked = false;
    s->records_checked++;
}

void session_mark_take(struct session *s, int64_t close) {
    const struct journal_record *r = session_peek(s);
    if (!r || r->type != EVENT_TAPE_ADVANCED) return;
    struct event mark;
    event_init(&mark, EVENT_TAPE_ADVANCED, close);
    mark.u.tape_advanced.step = s->state->next_step;
    mark.u.tape_advanced.close_ts = s->state->last_ts_ns;
    if (r->size != mark.size || memcmp(r->payload, &mark.u, mark.size) != 0) return;
    s->state->marked_step = s->state->next_step;
    session_take(s);
}

static void compare(struct session *s, const struct journal_record *r, const struct event *event) {
    const struct event_info *have = event_info(event->type), *want = event_info(r->type);
    if (r->type != event->type) {
        s->failed =
            err_set(s->err, ST_CORRUPT, "journal record %" PRIu64 " is %s, the replay produced %s",
                    r->seq, want ? want->name : "of an unknown type", have->name);
    } else if (r->version != event->version || r->size != event->size || r->ts_ns != event->ts_ns ||
               memcmp(r->payload, &event->u, event->size) != 0) {
        s->failed = err_set(s->err, ST_CORRUPT,
                            "journal record %" PRIu64
                            " (%s) differs from what the replay produced (was it written by "
                            "another version? --fresh starts over and keeps it)",
                            r->seq, have->name);
    }
    session_take(s);
}

/* In vain on a disk that has failed: then the run is over, for nothing may leave that is not on record. */
static void append(struct session *s, const struct event *event) {
    journal_append(s->journal, event->type, event->version, event->ts_ns, &event->u, event->size);
    enum status st = journal_failed(s->journal, s->err);
    if (st != ST_OK) s->failed = st;
}

static void put(struct session *s, const struct event *event) {
    if (s->failed != ST_OK || s->at_end) {
        if (s->failed != ST_OK || s->o.verify) return;
    }
    const struct journal_record *r = session_peek(s);
    if (s->failed != ST_OK) return;
    s->recorded_new = !r;
    if (r)
        compare(s, r, event);
    else if (s->journal)
        append(s, event);
}

void session_record(struct session *s, const struct event *event) {
    if (!s->journal && !s->reader) return;
    if (event->type != EVENT_RUN_STARTED && s->state->marked_step != s->state->next_step) {
        /* Bars by reference: told only when something else is about to be told. */
        struct event mark;
        event_init(&mark, EVENT_TAPE_ADVANCED, event->ts_ns);
        mark.u.tape_advanced.step = s->state->next_step;
        mark.u.tape_advanced.close_ts = s->state->last_ts_ns;
        s->state->marked_step = s->state->next_step;
        put(s, &mark);
    }
    put(s, event);
}
