/* The bus inside the process: streams, groups and pending entries in memory, every change of them a
 * record of an own journal. Opening replays it; a checkpoint (all that is alive, written once more)
 * lets old segments go.
 *
 * The journal's buffer survives kill -9, so a delivery counts as an attempt even if handling it kills
 * the process at once: an entry that does so five times becomes a dead letter. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/tstamp.h"
#include "kernel/bus_internal.h"
#include "kernel/journal.h"

enum {
    RECORD_VERSION = 1,
    CONSUMERS_MAX = 64,
    CHECKPOINT_BYTES = 64 << 20, /* at least so much is written between checkpoints */
    CHECKPOINT_RATIO = 4,        /* and so many times what the last checkpoint took */
};
static const uint32_t NIL = UINT32_MAX;
static const int64_t STALE_CHECK_NS = NS_PER_MINUTE;

enum record_type {
    REC_STREAM = 1,
    REC_ENTRY,
    REC_GROUP,
    REC_CONSUMER,
    REC_DELIVER,
    REC_ACK,
    REC_CHECKPOINT_BEGIN,
    REC_CHECKPOINT_END
};

struct rec_stream {
    uint32_t stream_id, dead;
    uint64_t first;
    char event_type[BUS_TYPE_SIZE];
};
struct rec_group {
    uint32_t group_id, stream_id;
    uint64_t cursor;
    char service[BUS_SERVICE_SIZE];
};
struct rec_consumer {
    uint32_t group_id, consumer;
    char name[BUS_CONSUMER_SIZE]; /* empty: deleted */
};
struct rec_deliver {
    uint32_t group_id, consumer;
    uint64_t index;
    uint32_t attempts, reserved;
};
struct rec_ack {
    uint32_t group_id, reserved;
    uint64_t index;
};
_Static_assert(sizeof(struct rec_stream) == 64 && sizeof(struct rec_group) == 48, "no padding");
_Static_assert(sizeof(struct rec_consumer) == 56 && sizeof(struct rec_deliver) == 24, "no padding");
_Static_assert(sizeof(struct rec_ack) == 16, "no padding");

/* An entry's record; the memory is used again when the entry is trimmed. */
struct slot {
    uint8_t *blob;
    uint32_t size, capacity;
};

struct stream {
    char event_type[BUS_TYPE_SIZE];
    bool dead;
    uint64_t first, next; /* entries [first, next) are there; index i is in slot i % length_max */
    struct slot *slots;
};

struct pending {
    int64_t delivered_mono_ns;
    uint32_t prev, next; /* in order of delivery, by slot */
    uint32_t attempts;
    uint16_t consumer;
    bool used;
    bool orphan; /* delivered in an earlier life of the process: nobody is working on it */
};

struct consumer {
    char name[BUS_CONSUMER_SIZE];
    int64_t seen_mono_ns;
    uint64_t pending;
};

struct group {
    struct stream *stream;
    uint32_t stream_id;
    char service[BUS_SERVICE_SIZE];
    uint64_t cursor;         /* next index never delivered */
    struct pending *pending; /* (length_max), beside the stream's slots */
    uint32_t head, tail;
    uint64_t pending_count;
    int64_t stale_check_ns;
    uint32_t consumer_count;
    struct consumer consumers[CONSUMERS_MAX];
};

struct state {
    uint64_t length_max, lost;
    struct stream *streams[BUS_STREAMS_MAX];
    struct group *groups[BUS_GROUPS_MAX];
    uint32_t stream_count, group_count;
};

struct embedded {
    struct bus base;
    struct journal *journal;
    struct state *state;
    uint32_t stream_hint, group_hint;
    uint64_t last_ms;
    uint64_t bytes, checkpoint_bytes; /* written since the last checkpoint; what that one took */
    struct bus_entry entry;           /* scratch of dead_letter */
    uint8_t record[BUS_RECORD_MAX];
};

/* --- state: the same code for live operations and replay ----------------------------------------- */

static struct state *state_create(uint64_t length_max) {
    struct state *s = calloc(1, sizeof *s);
    if (s) s->length_max = length_max;
    return s;
}

static void state_destroy(struct state *s) {
    if (!s) return;
    for (uint32_t i = 0; i < s->stream_count; i++) {
        for (uint64_t k = 0; k < s->length_max; k++) free(s->streams[i]->slots[k].blob);
        free(s->streams[i]->slots);
        free(s->streams[i]);
    }
    for (uint32_t i = 0; i < s->group_count; i++) {
        free(s->groups[i]->pending);
        free(s->groups[i]);
    }
    free(s);
}

static struct slot *slot_at(const struct state *s, const struct stream *stream, uint64_t index) {
    return &stream->slots[index % s->length_max];
}

static enum status apply_stream(struct state *s, const struct rec_stream *rec) {
    if (s->stream_count == BUS_STREAMS_MAX) return ST_FULL;
    struct stream *stream = calloc(1, sizeof *stream);
    struct slot *slots = calloc(s->length_max, sizeof *slots);
    if (!stream || !slots) {
        free(stream);
        free(slots);
        return ST_NO_MEMORY;
    }
    memcpy(stream->event_type, rec->event_type, sizeof stream->event_type);
    stream->dead = rec->dead != 0;
    stream->first = stream->next = rec->first;
    stream->slots = slots;
    s->streams[s->stream_count++] = stream;
    return ST_OK;
}

static enum status apply_group(struct state *s, const struct rec_group *rec) {
    if (s->group_count == BUS_GROUPS_MAX) return ST_FULL;
    struct group *g = calloc(1, sizeof *g);
    struct pending *pending = calloc(s->length_max, sizeof *pending);
    if (!g || !pending) {
        free(g);
        free(pending);
        return ST_NO_MEMORY;
    }
    memcpy(g->service, rec->service, sizeof g->service);
    g->stream_id = rec->stream_id;
    g->stream = s->streams[rec->stream_id];
    g->cursor = rec->cursor;
    g->pending = pending;
    g->head = g->tail = NIL;
    s->groups[s->group_count++] = g;
    return ST_OK;
}

static void apply_consumer(struct group *g, const struct rec_consumer *rec) {
    struct consumer *c = &g->consumers[rec->consumer];
    memcpy(c->name, rec->name, sizeof c->name);
    c->seen_mono_ns = tstamp_monotonic_ns();
    if (rec->consumer >= g->consumer_count) g->consumer_count = rec->consumer + 1;
}

/* The pending record of an index, NULL if it is not pending. */
static struct pending *pending_at(const struct state *s, const struct group *g, uint64_t index) {
    if (index < g->stream->first || index >= g->stream->next) return NULL;
    struct pending *p = &g->pending[index % s->length_max];
    return p->used ? p : NULL;
}

static void pending_remove(struct group *g, struct pending *p) {
    if (p->prev != NIL)
        g->pending[p->prev].next = p->next;
    else
        g->head = p->next;
    if (p->next != NIL)
        g->pending[p->next].prev = p->prev;
    else
        g->tail = p->prev;
    g->consumers[p->consumer].pending--;
    g->pending_count--;
    p->used = false;
}

static void apply_deliver(struct state *s, struct group *g, const struct rec_deliver *rec,
                          int64_t mono_ns) {
    struct pending *p = pending_at(s, g, rec->index);
    if (rec->index >= g->cursor) g->cursor = rec->index + 1;
    if (p) pending_remove(g, p);
    if (rec->index < g->stream->first) { /* length_max became smaller since it was written */
        s->lost++;
        return;
    }
    uint32_t at = (uint32_t)(rec->index % s->length_max);
    p = &g->pending[at];
    *p = (struct pending){.delivered_mono_ns = mono_ns,
                          .prev = g->tail,
                          .next = NIL,
                          .attempts = rec->attempts,
                          .consumer = (uint16_t)rec->consumer,
                          .used = true};
    if (g->tail != NIL)
        g->pending[g->tail].next = at;
    else
        g->head = at;
    g->tail = at;
    g->pending_count++;
    g->consumers[p->consumer].pending++;
}

static void trim_oldest(struct state *s, struct stream *stream) {
    for (uint32_t i = 0; i < s->group_count; i++) {
        struct pending *p =
            s->groups[i]->stream == stream ? pending_at(s, s->groups[i], stream->first) : NULL;
        if (!p) continue;
        pending_remove(s->groups[i], p);
        s->lost++;
    }
    stream->first++;
}

/* Appends the encoded record to its stream. ST_NO_MEMORY leaves everything as it was. */
static enum status apply_entry(struct state *s, struct stream *stream, const void *data,
                               uint32_t size) {
    struct slot *slot = slot_at(s, stream, stream->next);
    if (slot->capacity < size) {
        uint32_t capacity = (size + 63) & ~63u; /* cache lines */
        uint8_t *blob = realloc(slot->blob, capacity);
        if (!blob) return ST_NO_MEMORY;
        slot->blob = blob;
        slot->capacity = capacity;
    }
    if (stream->next - stream->first == s->length_max) trim_oldest(s, stream);
    memcpy(slot->blob, data, size);
    memcpy(slot->blob + offsetof(struct bus_record_head, group_id), &NIL, sizeof NIL);
    slot->size = size;
    stream->next++;
    return ST_OK;
}

/* --- replay -------------------------------------------------------------------------------------- */

static enum status replay_entry(struct state *s, const struct journal_record *r) {
    struct bus_record_head h;
    struct bus_entry entry;
    enum status st = bus_record_decode(&h, &entry, NULL, NULL, r->payload, r->size);
    if (st != ST_OK) return st;
    if (h.stream_id >= s->stream_count) return ST_CORRUPT;
    struct stream *stream = s->streams[h.stream_id];
    if (h.index != stream->next) return ST_CORRUPT;
    st = apply_entry(s, stream, r->payload, r->size);
    if (st != ST_OK || h.group_id == NIL) return st;
    if (h.group_id >= s->group_count) return ST_CORRUPT;
    struct pending *p = pending_at(s, s->groups[h.group_id], h.origin_index);
    if (p) pending_remove(s->groups[h.group_id], p);
    return ST_OK;
}

static bool text_ends(const char *text, size_t size) {
    return memchr(text, '\0', size) != NULL;
}

static enum status replay_declaration(struct state *s, const struct journal_record *r) {
    struct rec_stream stream;
    struct rec_group group;
    struct rec_consumer consumer;
    switch ((enum record_type)r->type) {
    case REC_STREAM:
        if (r->size != sizeof stream) return ST_CORRUPT;
        memcpy(&stream, r->payload, sizeof stream);
        if (stream.stream_id != s->stream_count || !text_ends(stream.event_type, BUS_TYPE_SIZE))
            return ST_CORRUPT;
        return apply_stream(s, &stream);
    case REC_GROUP:
        if (r->size != sizeof group) return ST_CORRUPT;
        memcpy(&group, r->payload, sizeof group);
        if (group.group_id != s->group_count || group.stream_id >= s->stream_count ||
            !text_ends(group.service, BUS_SERVICE_SIZE))
            return ST_CORRUPT;
        return apply_group(s, &group);
    case REC_CONSUMER:
        if (r->size != sizeof consumer) return ST_CORRUPT;
        memcpy(&consumer, r->payload, sizeof consumer);
        if (consumer.group_id >= s->group_count || consumer.consumer >= CONSUMERS_MAX ||
            !text_ends(consumer.name, BUS_CONSUMER_SIZE))
            return ST_CORRUPT;
        apply_consumer(s->groups[consumer.group_id], &consumer);
        return ST_OK;
    case REC_ENTRY:
    case REC_DELIVER:
    case REC_ACK:
    case REC_CHECKPOINT_BEGIN:
    case REC_CHECKPOINT_END:
        break;
    }
    return ST_CORRUPT;
}

static enum status replay_record(struct state *s, const struct journal_record *r) {
    struct rec_deliver deliver;
    struct rec_ack ack;
    if (r->version != RECORD_VERSION) return ST_VERSION;
    switch ((enum record_type)r->type) {
    case REC_ENTRY:
        return replay_entry(s, r);
    case REC_STREAM:
    case REC_GROUP:
    case REC_CONSUMER:
        return replay_declaration(s, r);
    case REC_DELIVER:
        if (r->size != sizeof deliver) return ST_CORRUPT;
        memcpy(&deliver, r->payload, sizeof deliver);
        if (deliver.group_id >= s->group_count || deliver.consumer >= CONSUMERS_MAX ||
            deliver.index >= s->groups[deliver.group_id]->stream->next)
            return ST_CORRUPT;
        apply_deliver(s, s->groups[deliver.group_id], &deliver, 0);
        return ST_OK;
    case REC_ACK:
        if (r->size != sizeof ack) return ST_CORRUPT;
        memcpy(&ack, r->payload, sizeof ack);
        if (ack.group_id >= s->group_count) return ST_CORRUPT;
        struct pending *p = pending_at(s, s->groups[ack.group_id], ack.index);
        if (p) pending_remove(s->groups[ack.group_id], p);
        return ST_OK;
    case REC_CHECKPOINT_BEGIN:
    case REC_CHECKPOINT_END:
        break;
    }
    return ST_VERSION;
}

/* A checkpoint is built beside the state it will replace, which stays if it turns out incomplete. */
static enum status replay_next(struct embedded *e, struct state **shadow, bool *started,
                               const struct journal_record *r) {
    if (r->seq == 1) *started = true;
    if (r->type == REC_CHECKPOINT_BEGIN) {
        state_destroy(*shadow);
        *shadow = state_create(e->base.options.length_max);
        return *shadow ? ST_OK : ST_NO_MEMORY;
    }
    if (r->type == REC_CHECKPOINT_END) {
        if (!*shadow) return *started ? ST_CORRUPT : ST_OK;
        state_destroy(e->state);
        e->state = *shadow;
        *shadow = NULL;
        *started = true;
        return ST_OK;
    }
    struct state *target = *shadow ? *shadow : e->state;
    /* Behind a retained-away start the first checkpoint is the beginning. */
    return *shadow || *started ? replay_record(target, r) : ST_OK;
}

static enum status checkpoint(struct embedded *e, struct err *err);

static enum status replay(struct embedded *e, const char *dir, struct err *err) {
    struct journal_reader *reader;
    struct journal_record r;
    enum status st = journal_reader_open(&reader, dir, 0, err);
    if (st != ST_OK) return st;
    struct state *shadow = NULL;
    bool started = false;
    uint64_t count = 0;
    while ((st = journal_next(reader, &r, err)) == ST_OK) {
        st = replay_next(e, &shadow, &started, &r);
        if (st != ST_OK) {
            st = err_set(err, st,
                         "bus record %" PRIu64 " of type %d, version %d, %" PRIu32 " bytes: %s",
                         r.seq, r.type, r.version, r.size, status_text(st));
            break;
        }
        e->bytes += r.size;
        count++;
    }
    journal_reader_close(reader);
    bool incomplete = shadow != NULL;
    state_destroy(shadow);
    if (st != ST_END) return st;
    if (count && !started) return err_set(err, ST_CORRUPT, "bus %s: no complete checkpoint", dir);
    for (uint32_t i = 0; i < e->state->group_count; i++) {
        struct group *g = e->state->groups[i];
        for (uint32_t at = g->head; at != NIL; at = g->pending[at].next)
            g->pending[at].orphan = true;
    }
    for (uint32_t i = 0; i < e->state->stream_count; i++) {
        const struct stream *stream = e->state->streams[i];
        if (stream->next == stream->first) continue;
        struct bus_record_head head;
        memcpy(&head, slot_at(e->state, stream, stream->next - 1)->blob, sizeof head);
        if (head.id_ms > e->last_ms) e->last_ms = head.id_ms;
    }
    e->state->lost = 0; /* told when it happened */
    /* Records that follow would be taken for a part of the incomplete checkpoint. */
    return incomplete ? checkpoint(e, err) : ST_OK;
}

/* --- writing ------------------------------------------------------------------------------------- */

static uint64_t record_append(struct embedded *e, enum record_type type, const void *data,
                              uint32_t size, int64_t ts_ns) {
    e->bytes += size;
    return journal_append(e->journal, (uint16_t)type, RECORD_VERSION, ts_ns, data, size);
}

static void checkpoint_stream(struct embedded *e, uint32_t id, int64_t now) {
    const struct stream *stream = e->state->streams[id];
    struct rec_stream rec = {.stream_id = id, .dead = stream->dead, .first = stream->first};
    memcpy(rec.event_type, stream->event_type, sizeof rec.event_type);
    record_append(e, REC_STREAM, &rec, sizeof rec, now);
    for (uint64_t i = stream->first; i < stream->next; i++) {
        const struct slot *slot = slot_at(e->state, stream, i);
        record_append(e, REC_ENTRY, slot->blob, slot->size, now);
    }
}

static void checkpoint_group(struct embedded *e, uint32_t id, int64_t now) {
    const struct group *g = e->state->groups[id];
    struct rec_group rec = {.group_id = id, .stream_id = g->stream_id, .cursor = g->cursor};
    memcpy(rec.service, g->service, sizeof rec.service);
    record_append(e, REC_GROUP, &rec, sizeof rec, now);
    for (uint32_t i = 0; i < g->consumer_count; i++) {
        struct rec_consumer c = {.group_id = id, .consumer = i};
        memcpy(c.name, g->consumers[i].name, sizeof c.name);
        record_append(e, REC_CONSUMER, &c, sizeof c, now);
    }
    for (uint32_t at = g->head; at != NIL; at = g->pending[at].next) {
        /* The index whose slot this is. */
        uint64_t length = e->state->length_max, first = g->stream->first;
        uint64_t index = first + (at + length - first % length) % length;
        struct rec_deliver d = {.group_id = id,
                                .consumer = g->pending[at].consumer,
                                .index = index,
                                .attempts = g->pending[at].attempts};
        record_append(e, REC_DELIVER, &d, sizeof d, now);
    }
}

static enum status checkpoint(struct embedded *e, struct err *err) {
    int64_t now = tstamp_wall_ns();
    e->bytes = 0;
    uint64_t begin = record_append(e, REC_CHECKPOINT_BEGIN, NULL, 0, now);
    for (uint32_t i = 0; i < e->state->stream_count; i++) checkpoint_stream(e, i, now);
    for (uint32_t i = 0; i < e->state->group_count; i++) checkpoint_group(e, i, now);
    record_append(e, REC_CHECKPOINT_END, NULL, 0, now);
    e->checkpoint_bytes = e->bytes;
    e->bytes = 0;
    enum status st = journal_commit(e->journal, err);
    return st == ST_OK ? journal_retain(e->journal, begin, err) : st;
}

static enum status checkpoint_if_due(struct embedded *e, struct err *err) {
    if (e->bytes < CHECKPOINT_BYTES || e->bytes < CHECKPOINT_RATIO * e->checkpoint_bytes)
        return ST_OK;
    return checkpoint(e, err);
}

static struct stream *stream_find(struct embedded *e, const char *event_type, bool dead,
                                  uint32_t *id) {
    struct state *s = e->state;
    for (uint32_t k = 0; k < s->stream_count; k++) {
        uint32_t i = (e->stream_hint + k) % s->stream_count;
        if (s->streams[i]->dead != dead || strcmp(s->streams[i]->event_type, event_type) != 0)
            continue;
        *id = e->stream_hint = i;
        return s->streams[i];
    }
    return NULL;
}

static enum status stream_get(struct embedded *e, struct stream **out, uint32_t *id,
                              const char *event_type, bool dead, struct err *err) {
    *out = stream_find(e, event_type, dead, id);
    if (*out) return ST_OK;
    struct rec_stream rec = {.stream_id = e->state->stream_count, .dead = dead, .first = 1};
    snprintf(rec.event_type, sizeof rec.event_type, "%s", event_type);
    enum status st = apply_stream(e->state, &rec);
    if (st != ST_OK) return err_set(err, st, "bus: stream %s", event_type);
    record_append(e, REC_STREAM, &rec, sizeof rec, tstamp_wall_ns());
    *id = rec.stream_id;
    *out = e->state->streams[*id];
    return ST_OK;
}

static struct group *group_find(struct embedded *e, const char *event_type, const char *service,
                                uint32_t *id) {
    struct state *s = e->state;
    for (uint32_t k = 0; k < s->group_count; k++) {
        uint32_t i = (e->group_hint + k) % s->group_count;
        struct group *g = s->groups[i];
        if (strcmp(g->stream->event_type, event_type) != 0 || strcmp(g->service, service) != 0)
            continue;
        *id = e->group_hint = i;
        return g;
    }
    return NULL;
}

static enum status group_missing(const char *event_type, const char *service, struct err *err) {
    return err_set(err, ST_NOT_FOUND, "bus: no group of %s on %s", service, event_type);
}

/* Encodes into e->record as the next of stream, applies and journals it. */
static enum status entry_append(struct embedded *e, struct stream *stream,
                                struct bus_record_head *head, const struct bus_entry *entry,
                                const char *service, const char *reason, struct err *err) {
    int64_t now = tstamp_wall_ns();
    uint64_t ms = (uint64_t)(now / NS_PER_MS);
    if (ms > e->last_ms) e->last_ms = ms; /* ids never go back, whatever the clock does */
    head->index = stream->next;
    head->id_ms = e->last_ms;
    uint32_t size = bus_record_encode(e->record, head, entry, service, reason);
    enum status st = apply_entry(e->state, stream, e->record, size);
    if (st != ST_OK) return err_set(err, st, "bus: entry of %s", stream->event_type);
    record_append(e, REC_ENTRY, e->record, size, now);
    return ST_OK;
}

static enum status embedded_publish(struct bus *b, const struct bus_entry *entry, struct err *err) {
    struct embedded *e = (struct embedded *)b;
    struct bus_record_head head = {.group_id = NIL};
    struct stream *stream;
    enum status st = stream_get(e, &stream, &head.stream_id, entry->event_type, false, err);
    if (st == ST_OK) st = entry_append(e, stream, &head, entry, "", "", err);
    if (st == ST_OK) st = checkpoint_if_due(e, err);
    b->stats.lost += e->state->lost;
    e->state->lost = 0;
    return st;
}

static enum status embedded_flush(struct bus *b, struct err *err) {
    struct embedded *e = (struct embedded *)b;
    return journal_commit(e->journal, err);
}

static enum status embedded_group(struct bus *b, const char *event_type, const char *service,
                                  struct err *err) {
    struct embedded *e = (struct embedded *)b;
    struct rec_group rec = {.group_id = e->state->group_count};
    uint32_t id;
    if (group_find(e, event_type, service, &id)) return ST_OK;
    struct stream *stream;
    enum status st = stream_get(e, &stream, &rec.stream_id, event_type, false, err);
    if (st != ST_OK) return st;
    rec.cursor = stream->first;
    snprintf(rec.service, sizeof rec.service, "%s", service);
    st = apply_group(e->state, &rec);
    if (st != ST_OK) return err_set(err, st, "bus: group of %s on %s", service, event_type);
    record_append(e, REC_GROUP, &rec, sizeof rec, tstamp_wall_ns());
    return ST_OK;
}

/* --- reading ------------------------------------------------------------------------------------- */

static void consumer_set(struct embedded *e, struct group *g, uint32_t group_id, uint32_t at,
                         const char *name) {
    struct rec_consumer rec = {.group_id = group_id, .consumer = at};
    snprintf(rec.name, sizeof rec.name, "%s", name);
    apply_consumer(g, &rec);
    record_append(e, REC_CONSUMER, &rec, sizeof rec, tstamp_wall_ns());
}

static void consumers_prune(struct embedded *e, struct group *g, uint32_t group_id,
                            const char *keep, int64_t mono_ns) {
    int64_t stale_ns = e->base.options.consumer_stale_ns;
    g->stale_check_ns = mono_ns + (stale_ns < STALE_CHECK_NS ? stale_ns : STALE_CHECK_NS);
    for (uint32_t i = 0; i < g->consumer_count; i++) {
        struct consumer *c = &g->consumers[i];
        if (!c->name[0] || c->pending || mono_ns - c->seen_mono_ns < stale_ns ||
            strcmp(c->name, keep) == 0)
            continue;
        consumer_set(e, g, group_id, i, "");
    }
}

static enum status consumer_get(struct embedded *e, struct group *g, uint32_t group_id,
                                const char *name, int64_t mono_ns, uint32_t *out, struct err *err) {
    uint32_t unused = CONSUMERS_MAX;
    if (mono_ns >= g->stale_check_ns) consumers_prune(e, g, group_id, name, mono_ns);
    for (uint32_t i = 0; i < g->consumer_count; i++) {
        if (strcmp(g->consumers[i].name, name) == 0) {
            g->consumers[i].seen_mono_ns = mono_ns;
            *out = i;
            return ST_OK;
        }
        if (!g->consumers[i].name[0] && unused == CONSUMERS_MAX) unused = i;
    }
    enum status st = bus_name_check("consumer", name, BUS_CONSUMER_SIZE, err);
    if (st != ST_OK) return st;
    if (unused == CONSUMERS_MAX) unused = g->consumer_count;
    if (unused == CONSUMERS_MAX)
        return err_set(err, ST_FULL, "bus: group of %s on %s has %d consumers", g->service,
                       g->stream->event_type, CONSUMERS_MAX);
    consumer_set(e, g, group_id, unused, name);
    *out = unused;
    return ST_OK;
}

static void entry_load(const struct embedded *e, const struct stream *stream, uint64_t index,
                       struct bus_entry *out, struct bus_record_head *head) {
    const struct slot *slot = slot_at(e->state, stream, index);
    bus_record_decode(head, out, NULL, NULL, slot->blob, slot->size);
    memcpy(out->event_type, stream->event_type, sizeof out->event_type);
}

static void deliver(struct embedded *e, struct group *g, struct rec_deliver *rec,
                    struct bus_entry *out, int64_t mono_ns) {
    struct bus_record_head head;
    apply_deliver(e->state, g, rec, mono_ns);
    record_append(e, REC_DELIVER, rec, sizeof *rec, 0);
    entry_load(e, g->stream, rec->index, out, &head);
    out->attempts = rec->attempts;
    e->base.stats.delivered++;
}

static enum status dead_letter(struct embedded *e, struct group *g, uint32_t group_id,
                               uint64_t index, const char *reason, struct err *err) {
    struct bus_record_head origin, head = {.group_id = group_id, .origin_index = index};
    struct pending *p = pending_at(e->state, g, index);
    struct stream *dead;
    entry_load(e, g->stream, index, &e->entry, &origin);
    head.origin_ms = origin.id_ms;
    e->entry.attempts = p->attempts;
    enum status st = stream_get(e, &dead, &head.stream_id, g->stream->event_type, true, err);
    if (st == ST_OK) st = entry_append(e, dead, &head, &e->entry, g->service, reason, err);
    if (st != ST_OK) return st;
    pending_remove(g, p);
    e->base.stats.dead_lettered++;
    return ST_OK;
}

/* One look: ST_OK with an entry, ST_END with *wake_mono_ns, when there may be one (INT64_MAX never). */
static enum status read_once(struct embedded *e, struct group *g, struct rec_deliver *rec,
                             struct bus_entry *out, int64_t mono_ns, int64_t *wake_mono_ns,
                             struct err *err) {
    struct bus *b = &e->base;
    *wake_mono_ns = INT64_MAX;
    while (g->head != NIL) {
        struct pending *p = &g->pending[g->head];
        int64_t due = p->orphan ? mono_ns : p->delivered_mono_ns + b->options.idle_ns;
        if (due > mono_ns) {
            *wake_mono_ns = due;
            break;
        }
        uint64_t length = e->state->length_max, first = g->stream->first;
        rec->index = first + (g->head + length - first % length) % length;
        if (p->attempts >= b->options.attempts_max) {
            char reason[BUS_REASON_SIZE];
            snprintf(reason, sizeof reason, "no acknowledgement after %" PRIu32 " deliveries",
                     p->attempts);
            enum status st = dead_letter(e, g, rec->group_id, rec->index, reason, err);
            if (st != ST_OK) return st;
            continue;
        }
        rec->attempts = p->attempts + 1;
        deliver(e, g, rec, out, mono_ns);
        b->stats.redelivered++;
        return ST_OK;
    }
    if (g->cursor < g->stream->first) {
        b->stats.resyncs++;
        b->stats.lost += g->stream->first - g->cursor;
        g->cursor = g->stream->first;
    }
    if (g->cursor >= g->stream->next) return ST_END;
    rec->index = g->cursor;
    rec->attempts = 1;
    deliver(e, g, rec, out, mono_ns);
    return ST_OK;
}

static enum status embedded_read(struct bus *b, struct bus_entry *out, const char *event_type,
                                 const char *service, const char *consumer, int64_t wait_ns,
                                 struct err *err) {
    struct embedded *e = (struct embedded *)b;
    struct rec_deliver rec = {0};
    struct group *g = group_find(e, event_type, service, &rec.group_id);
    if (!g) return group_missing(event_type, service, err);
    int64_t now = tstamp_monotonic_ns(), deadline = now + wait_ns, wake;
    enum status st = consumer_get(e, g, rec.group_id, consumer, now, &rec.consumer, err);
    while (st == ST_OK) {
        st = read_once(e, g, &rec, out, now, &wake, err);
        if (st != ST_END || now >= deadline) return st;
        /* Nobody else publishes here, so only time can bring something. */
        if (wake > deadline) wake = deadline;
        struct timespec until = {wake / NS_PER_SECOND, wake % NS_PER_SECOND};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        now = tstamp_monotonic_ns();
        st = ST_OK;
    }
    return st;
}

/* The group and the pending record an entry belongs to; *p is NULL if it is not pending any more. */
static enum status pending_find(struct embedded *e, const struct bus_entry *entry,
                                const char *service, struct group **g, uint32_t *group_id,
                                uint64_t *index, struct pending **p, struct err *err) {
    uint64_t ms;
    *p = NULL;
    if (bus_id_parse(&ms, index, entry->id) != ST_OK)
        return err_set(err, ST_INVALID, "bus: '%.40s' is no entry id", entry->id);
    *g = group_find(e, entry->event_type, service, group_id);
    if (!*g) return group_missing(entry->event_type, service, err);
    struct pending *found = pending_at(e->state, *g, *index);
    if (!found) return ST_OK;
    struct bus_record_head head;
    memcpy(&head, slot_at(e->state, (*g)->stream, *index)->blob, sizeof head);
    if (head.id_ms == ms) *p = found;
    return ST_OK;
}

static enum status embedded_ack(struct bus *b, const struct bus_entry *entry, const char *service,
                                struct err *err) {
    struct embedded *e = (struct embedded *)b;
    struct rec_ack rec = {0};
    struct group *g;
    struct pending *p;
    enum status st = pending_find(e, entry, service, &g, &rec.group_id, &rec.index, &p, err);
    if (st != ST_OK || !p) return st;
    pending_remove(g, p);
    record_append(e, REC_ACK, &rec, sizeof rec, 0);
    b->stats.acknowledged++;
    return ST_OK;
}

static enum status embedded_nack(struct bus *b, const struct bus_entry *entry, const char *service,
                                 const char *reason, bool is_final, struct err *err) {
    struct embedded *e = (struct embedded *)b;
    struct group *g;
    struct pending *p;
    uint32_t id;
    uint64_t index;
    enum status st = pending_find(e, entry, service, &g, &id, &index, &p, err);
    if (st != ST_OK || !p || (!is_final && p->attempts < b->options.attempts_max)) return st;
    return dead_letter(e, g, id, index, reason, err);
}

/* --- the rest ------------------------------------------------------------------------------------ */

static enum status embedded_info(struct bus *b, const char *event_type, const char *service,
                                 uint64_t *length, uint64_t *pending, int64_t *oldest_pending_ns,
                                 struct err *err) {
    struct embedded *e = (struct embedded *)b;
    uint32_t id;
    struct group *g = group_find(e, event_type, service, &id);
    if (!g) return group_missing(event_type, service, err);
    *length = g->stream->next - g->stream->first;
    *pending = g->pending_count;
    *oldest_pending_ns = 0;
    for (uint64_t i = g->stream->first; g->pending_count && i < g->stream->next; i++) {
        if (!pending_at(e->state, g, i)) continue;
        struct bus_record_head head;
        memcpy(&head, slot_at(e->state, g->stream, i)->blob, sizeof head);
        int64_t age = tstamp_wall_ns() - (int64_t)head.id_ms * NS_PER_MS;
        *oldest_pending_ns = age > 0 ? age : 0;
        break;
    }
    return ST_OK;
}

static enum status embedded_consumers(struct bus *b, const char *event_type, const char *service,
                                      uint32_t *count, struct err *err) {
    struct embedded *e = (struct embedded *)b;
    uint32_t id;
    struct group *g = group_find(e, event_type, service, &id);
    if (!g) return group_missing(event_type, service, err);
    *count = 0;
    for (uint32_t i = 0; i < g->consumer_count; i++) *count += g->consumers[i].name[0] != '\0';
    return ST_OK;
}

static enum status embedded_dead_letter_next(struct bus *b, struct bus_dead_letter *out,
                                             const char *event_type, const char *after_id,
                                             struct err *err) {
    struct embedded *e = (struct embedded *)b;
    uint64_t ms, index = 0;
    uint32_t id;
    if (after_id[0] && bus_id_parse(&ms, &index, after_id) != ST_OK)
        return err_set(err, ST_INVALID, "bus: '%.40s' is no entry id", after_id);
    const struct stream *dead = stream_find(e, event_type, true, &id);
    if (!dead || index + 1 >= dead->next) return ST_END;
    if (++index < dead->first) index = dead->first;
    const struct slot *slot = slot_at(e->state, dead, index);
    struct bus_record_head head;
    bus_record_decode(&head, &out->entry, out->service, out->reason, slot->blob, slot->size);
    memcpy(out->entry.event_type, dead->event_type, sizeof dead->event_type);
    bus_id_format(out->origin_id, head.origin_ms, head.origin_index);
    return ST_OK;
}

static void embedded_close(struct bus *b) {
    struct embedded *e = (struct embedded *)b;
    if (e->journal) journal_close(e->journal, NULL);
    state_destroy(e->state);
    free(e);
}

static const struct bus_ops EMBEDDED_OPS = {
    .close = embedded_close,
    .publish = embedded_publish,
    .flush = embedded_flush,
    .group = embedded_group,
    .read = embedded_read,
    .ack = embedded_ack,
    .nack = embedded_nack,
    .info = embedded_info,
    .consumers = embedded_consumers,
    .dead_letter_next = embedded_dead_letter_next,
};

enum status bus_embedded_open(struct bus **out, const char *dir, const struct bus_options *options,
                              struct err *err) {
    struct embedded *e = calloc(1, sizeof *e);
    if (!e || !(e->state = state_create(options->length_max))) {
        free(e);
        return err_set(err, ST_NO_MEMORY, "bus %s", dir);
    }
    e->base.ops = &EMBEDDED_OPS;
    e->base.options = *options;
    e->base.options.url = NULL;
    struct journal_options jo = journal_options_defaults();
    jo.segment_bytes = options->segment_bytes;
    enum status st = journal_open(&e->journal, NULL, dir, &jo, err);
    if (st == ST_OK) st = replay(e, dir, err);
    if (st != ST_OK) {
        embedded_close(&e->base);
        return err_wrap(err, st, "bus %s", dir);
    }
    *out = &e->base;
    return ST_OK;
}
