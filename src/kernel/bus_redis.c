/* The bus over Redis Streams.
 *
 * Two connections. Publishing is a pipeline: commands are kept, ready to send, in the outbox until
 * their reply was seen, so whatever a lost connection swallowed is sent again. Reading fetches up to
 * FETCH_COUNT entries at once and hands them out one by one; acknowledgements travel with the next
 * fetch or flush and are kept until answered (XACK twice does no harm).
 *
 * Steps that must not be torn apart by another client or a crash (give up on an entry, find out
 * whether a group fell behind the trimmed end, delete an idle consumer) are scripts in the server. */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/assert.h"
#include "base/tstamp.h"
#include "kernel/bus_internal.h"

enum {
    FETCH_COUNT = 256,
    ACKS_MAX = 2 * FETCH_COUNT, /* a fetched batch and those not yet answered */
    SEND_COUNT = 64,            /* entries collected before they are sent */
    CONFIRM_COUNT = 512,        /* entries in flight before their replies are read */
    SUBSCRIPTIONS_MAX = 128,
    PREFIX_SIZE = 320,
    FIELDS_MAX = 16, /* of a foreign entry; more is malformed anyway */
};
static const int64_t REPLY_TIMEOUT_NS = 5 * NS_PER_SECOND;
static const int64_t BLOCK_NS_MAX = 1 * NS_PER_SECOND; /* one XREADGROUP; less than the timeout */
static const int64_t RETRY_NS_MIN = 10 * NS_PER_MS, RETRY_NS_MAX = NS_PER_SECOND;
static const int64_t RESYNC_CHECK_NS = NS_PER_SECOND, STALE_CHECK_NS = NS_PER_MINUTE;

/* KEYS stream, dlq; ARGV group, id, length, then fields. Gives up only on what is still pending. */
static const char SCRIPT_DEAD[] =
    "if redis.call('XACK',KEYS[1],ARGV[1],ARGV[2])==0 then return 0 end "
    "redis.call('XADD',KEYS[2],'MAXLEN','~',ARGV[3],'*',unpack(ARGV,4)) return 1";

/* KEYS stream; ARGV group, '1' for a new group. Entries trimmed from the head so far are those ever
 * added less those there. A group that read fewer missed the difference: it goes on from the oldest
 * entry there is, with a counter that is right again. Returns how many it missed. A counter Redis
 * has lost (nil, after XDEL) is judged by ids. */
static const char SCRIPT_RESYNC[] =
    "local function map(a) local m={} for i=1,#a,2 do m[a[i]]=a[i+1] end return m end "
    "local s=map(redis.call('XINFO','STREAM',KEYS[1])) "
    "local removed=s['entries-added']-s['length'] "
    "local function before(a,b) local am,as=string.match(a,'(%d+)-(%d+)') "
    "local bm,bs=string.match(b,'(%d+)-(%d+)') am=tonumber(am) bm=tonumber(bm) "
    "return am<bm or (am==bm and tonumber(as)<tonumber(bs)) end "
    "for _,a in ipairs(redis.call('XINFO','GROUPS',KEYS[1])) do local g=map(a) "
    "if g['name']==ARGV[1] then "
    "if ARGV[2]=='1' then "
    "redis.call('XGROUP','SETID',KEYS[1],ARGV[1],'0','ENTRIESREAD',removed) return 0 end "
    "local read,missed=g['entries-read'],0 "
    "if read then missed=removed-read elseif removed>0 and s['first-entry'] and "
    "before(g['last-delivered-id'],s['first-entry'][1]) then missed=1 end "
    "if missed>0 then "
    "redis.call('XGROUP','SETID',KEYS[1],ARGV[1],'0','ENTRIESREAD',removed) return missed end "
    "return 0 end end return redis.error_reply('NOGROUP')";

/* KEYS stream; ARGV group, consumer to keep, idle ms. */
static const char SCRIPT_STALE[] =
    "local n=0 for _,a in ipairs(redis.call('XINFO','CONSUMERS',KEYS[1],ARGV[1])) do local m={} "
    "for i=1,#a,2 do m[a[i]]=a[i+1] end "
    "if m['name']~=ARGV[2] and m['pending']==0 and m['idle']>=tonumber(ARGV[3]) then "
    "redis.call('XGROUP','DELCONSUMER',KEYS[1],ARGV[1],m['name']) n=n+1 end end return n";

/* A growing block of request bytes. */
struct bytes {
    char *data;
    size_t begin, end, capacity; /* data[begin..end) is in use */
};

/* Head of the XADD of one stream, up to the value of event_type. */
struct stream {
    char event_type[BUS_TYPE_SIZE];
    char prefix[PREFIX_SIZE];
    size_t prefix_size;
};

struct group {
    char event_type[BUS_TYPE_SIZE], service[BUS_SERVICE_SIZE];
    char key[BUS_KEY_SIZE], name[BUS_KEY_SIZE], dead_key[BUS_KEY_SIZE];
    bool created; /* known to have been there: if it is missing, the broker lost it */
    uint32_t ack_count;
    char acks[ACKS_MAX][BUS_ID_SIZE];
};

struct subscription {
    struct group *group;
    char consumer[BUS_CONSUMER_SIZE];
    redisReply *batch; /* XREADGROUP's answer; entries [at, count) of it are still to hand out */
    redisReply **entries;
    size_t at, count;
    int64_t fetched_mono_ns;
    int64_t claim_check_ns, resync_check_ns, stale_check_ns; /* when to look next */
    bool recover_own; /* entries this name left pending come first, idle or not, ... */
    char recover_from[BUS_ID_SIZE + 2]; /* ... each once: "-" or "(id" of the last one handed out */
};

struct connection {
    redisContext *context;
    bool was_up;
    int64_t retry_ns, delay_ns;
};

struct redis {
    struct bus base;
    char host[128], path[256];
    int port;
    struct connection pub, sub;
    struct bytes outbox;  /* commands not confirmed, oldest first */
    uint32_t *sizes;      /* ring (outbox_max) of their lengths */
    uint32_t head, count; /* oldest in the ring; how many */
    uint32_t in_flight;   /* the first so many were sent */
    size_t in_flight_bytes;
    struct bytes request; /* of the sub connection */
    struct bus_time_cache time;
    uint32_t stream_count, group_count, subscription_count, stream_hint, subscription_hint;
    struct stream *streams[BUS_STREAMS_MAX];
    struct group *groups[BUS_GROUPS_MAX];
    struct subscription *subscriptions[SUBSCRIPTIONS_MAX];
};

/* --- request bytes ------------------------------------------------------------------------------- */

static enum status bytes_reserve(struct bytes *b, size_t size) {
    if (b->end + size <= b->capacity) return ST_OK;
    if (b->begin >= b->capacity / 2 && b->begin > 0) {
        memmove(b->data, b->data + b->begin, b->end - b->begin);
        b->end -= b->begin;
        b->begin = 0;
        if (b->end + size <= b->capacity) return ST_OK;
    }
    size_t capacity = b->capacity ? b->capacity : 65536;
    while (capacity < b->end + size) capacity *= 2;
    char *data = realloc(b->data, capacity);
    if (!data) return ST_NO_MEMORY;
    b->data = data;
    b->capacity = capacity;
    return ST_OK;
}

static size_t number_format(char *out, size_t value) {
    char digits[20];
    size_t n = 0;
    do digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    for (size_t i = 0; i < n; i++) out[i] = digits[n - 1 - i];
    return n;
}

static char *put_bulk(char *p, const char *text, size_t size) {
    *p++ = '$';
    p += number_format(p, size);
    *p++ = '\r', *p++ = '\n';
    memcpy(p, text, size), p += size;
    *p++ = '\r', *p++ = '\n';
    return p;
}

enum { BULK_EXTRA = 32 }; /* "$", length, two line ends */

/* Appends one command, all arguments texts. */
static enum status command_put(struct bytes *b, size_t argc, const char *const *argv,
                               const size_t *sizes) {
    size_t need = BULK_EXTRA;
    for (size_t i = 0; i < argc; i++) need += (sizes ? sizes[i] : strlen(argv[i])) + BULK_EXTRA;
    if (bytes_reserve(b, need) != ST_OK) return ST_NO_MEMORY;
    char *p = b->data + b->end;
    *p++ = '*';
    p += number_format(p, argc);
    *p++ = '\r', *p++ = '\n';
    for (size_t i = 0; i < argc; i++) p = put_bulk(p, argv[i], sizes ? sizes[i] : strlen(argv[i]));
    b->end = (size_t)(p - b->data);
    return ST_OK;
}

/* --- connections --------------------------------------------------------------------------------- */

static enum status connection_down(struct connection *c, const char *why, struct err *err) {
    char text[128];
    snprintf(text, sizeof text, "%s", why); /* why may lie inside the context */
    if (c->context) redisFree(c->context);
    c->context = NULL;
    return err_set(err, ST_DISCONNECTED, "redis: %s", text);
}

static enum status connect_now(struct redis *r, struct connection *c, struct err *err) {
    struct timeval timeout = {REPLY_TIMEOUT_NS / NS_PER_SECOND, 0};
    redisContext *context = r->path[0] ? redisConnectUnixWithTimeout(r->path, timeout)
                                       : redisConnectWithTimeout(r->host, r->port, timeout);
    c->delay_ns = c->delay_ns ? 2 * c->delay_ns : RETRY_NS_MIN;
    if (c->delay_ns > RETRY_NS_MAX) c->delay_ns = RETRY_NS_MAX;
    c->retry_ns = tstamp_monotonic_ns() + c->delay_ns;
    if (!context) return err_set(err, ST_NO_MEMORY, "redis connection");
    if (context->err) {
        enum status st = err_set(err, ST_DISCONNECTED, "redis %s: %s",
                                 r->path[0] ? r->path : r->host, context->errstr);
        redisFree(context);
        return st;
    }
    redisSetTimeout(context, timeout);
    c->context = context;
    c->delay_ns = 0;
    if (c->was_up) r->base.stats.reconnects++;
    c->was_up = true;
    return ST_OK;
}

/* Not hiredis' own writing: that would raise SIGPIPE when the broker is gone. */
static enum status send_all(struct connection *c, const char *data, size_t size, struct err *err) {
    while (size > 0) {
        ssize_t n = send(c->context->fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return connection_down(c, n < 0 ? strerror(errno) : "nothing sent", err);
        data += n;
        size -= (size_t)n;
    }
    return ST_OK;
}

/* ST_OK with a reply to free, error replies too. */
static enum status reply_get(struct connection *c, redisReply **out, struct err *err) {
    void *reply = NULL;
    if (redisGetReply(c->context, &reply) != REDIS_OK || !reply)
        return connection_down(c, c->context->errstr[0] ? c->context->errstr : "no reply", err);
    *out = reply;
    return ST_OK;
}

static bool reply_begins(const redisReply *reply, const char *text) {
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, text, strlen(text)) == 0;
}

/* An error the server gave: ST_DISCONNECTED while it loads its files, since it is not there yet;
 * ST_NOT_FOUND if it lacks the group or its stream, also when a script came upon it. */
static enum status reply_error(const redisReply *reply, struct err *err) {
    enum status st = ST_EXTERNAL;
    if (reply_begins(reply, "LOADING")) st = ST_DISCONNECTED;
    if (strstr(reply->str, "NOGROUP") || strstr(reply->str, "no such key")) st = ST_NOT_FOUND;
    return err_set(err, st, "redis: %.200s", reply->str);
}

/* --- publishing ---------------------------------------------------------------------------------- */

static void unsent_again(struct redis *r) {
    r->in_flight = 0;
    r->in_flight_bytes = 0;
}

/* On failure everything unconfirmed counts as unsent. */
static enum status pub_failed(struct redis *r, enum status st) {
    unsent_again(r);
    return st;
}

static enum status pub_send(struct redis *r, struct err *err) {
    struct bytes *o = &r->outbox;
    size_t at = o->begin + r->in_flight_bytes;
    if (at == o->end) return ST_OK;
    enum status st = send_all(&r->pub, o->data + at, o->end - at, err);
    if (st != ST_OK) return pub_failed(r, st);
    r->in_flight = r->count;
    r->in_flight_bytes = o->end - o->begin;
    return ST_OK;
}

/* Reads replies until at most `left` entries are in flight. An error reply ends the connection: the
 * entry and all behind it are sent again in their order. */
static enum status pub_confirm(struct redis *r, uint32_t left, struct err *err) {
    while (r->in_flight > left) {
        redisReply *reply = NULL;
        enum status st = reply_get(&r->pub, &reply, err);
        if (st != ST_OK) return pub_failed(r, st);
        if (reply->type == REDIS_REPLY_ERROR) {
            st = reply_error(reply, err);
            freeReplyObject(reply);
            connection_down(&r->pub, "publishing was refused", NULL);
            return pub_failed(r, st);
        }
        freeReplyObject(reply);
        uint32_t size = r->sizes[r->head];
        r->head = (r->head + 1) % r->base.options.outbox_max;
        r->count--;
        r->in_flight--;
        r->in_flight_bytes -= size;
        r->outbox.begin += size;
        r->base.stats.outbox = r->count;
    }
    if (r->count == 0) r->outbox.begin = r->outbox.end = 0;
    return ST_OK;
}

static enum status pub_connect(struct redis *r, bool at_once, struct err *err) {
    if (r->pub.context) return ST_OK;
    if (!at_once && tstamp_monotonic_ns() < r->pub.retry_ns)
        return err_set(err, ST_DISCONNECTED, "redis: waiting to reconnect");
    unsent_again(r);
    return connect_now(r, &r->pub, err);
}

static struct stream *stream_get(struct redis *r, const char *event_type) {
    for (uint32_t k = 0; k < r->stream_count; k++) {
        uint32_t i = (r->stream_hint + k) % r->stream_count;
        if (strcmp(r->streams[i]->event_type, event_type) != 0) continue;
        r->stream_hint = i;
        return r->streams[i];
    }
    struct stream *s = r->stream_count < BUS_STREAMS_MAX ? calloc(1, sizeof *s) : NULL;
    if (!s) return NULL;
    char key[BUS_KEY_SIZE], length[24];
    snprintf(s->event_type, sizeof s->event_type, "%s", event_type);
    snprintf(key, sizeof key, "quantum:stream:%s", event_type);
    snprintf(length, sizeof length, "%" PRIu64, r->base.options.length_max);
    s->prefix_size = (size_t)snprintf(
        s->prefix, sizeof s->prefix,
        "*18\r\n$4\r\nXADD\r\n$%zu\r\n%s\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n$%zu\r\n%s\r\n$1\r\n*\r\n"
        "$10\r\nevent_type\r\n$%zu\r\n%s\r\n$7\r\npayload\r\n",
        strlen(key), key, strlen(length), length, strlen(event_type), event_type);
    ASSERT(s->prefix_size < sizeof s->prefix);
    r->streams[r->stream_count++] = s;
    return s;
}

static char *put_field(char *p, const char *name, size_t name_size, const char *value,
                       size_t size) {
    return put_bulk(put_bulk(p, name, name_size), value, size);
}

/* Puts the entry's XADD behind the outbox. */
static enum status outbox_put(struct redis *r, const struct bus_entry *entry, struct err *err) {
    const struct stream *s = stream_get(r, entry->event_type);
    if (!s) return err_set(err, ST_FULL, "bus: stream %s is one too many", entry->event_type);
    size_t need = s->prefix_size + entry->payload_size + BUS_TRACE_SIZE + BUS_SOURCE_SIZE + 400;
    if (bytes_reserve(&r->outbox, need) != ST_OK)
        return err_set(err, ST_NO_MEMORY, "bus: outbox of %" PRIu32 " entries", r->count);
    char time[BUS_TIME_SIZE], schema[24];
    bus_time_format(time, entry->ts_ns, &r->time);
    char *begin = r->outbox.data + r->outbox.end, *p = begin;
    memcpy(p, s->prefix, s->prefix_size), p += s->prefix_size;
    p = put_bulk(p, entry->payload, entry->payload_size);
    p = put_field(p, "trace_id", 8, entry->trace_id, strlen(entry->trace_id));
    p = put_field(p, "timestamp", 9, time, 30);
    p = put_field(p, "source", 6, entry->source, strlen(entry->source));
    p = put_field(p, "schema", 6, schema, number_format(schema, entry->schema));
    r->outbox.end += (size_t)(p - begin);
    r->sizes[(r->head + r->count) % r->base.options.outbox_max] = (uint32_t)(p - begin);
    r->count++;
    r->base.stats.outbox = r->count;
    return ST_OK;
}

static enum status redis_publish(struct bus *b, const struct bus_entry *entry, struct err *err) {
    struct redis *r = (struct redis *)b;
    if (r->count == b->options.outbox_max) {
        /* What is in flight may only be waiting to be looked at. */
        if (pub_connect(r, false, NULL) == ST_OK && pub_send(r, NULL) == ST_OK)
            (void)pub_confirm(r, r->in_flight / 2, NULL);
        if (r->count == b->options.outbox_max)
            return err_set(err, ST_FULL, "bus: outbox holds %" PRIu32 " unconfirmed entries",
                           r->count);
    }
    enum status st = outbox_put(r, entry, err);
    if (st != ST_OK || r->count - r->in_flight < SEND_COUNT) return st;
    /* From here on the entry is kept, so trouble with the broker is not the caller's. */
    if (pub_connect(r, false, NULL) != ST_OK || pub_send(r, NULL) != ST_OK) return ST_OK;
    if (r->in_flight > CONFIRM_COUNT) (void)pub_confirm(r, CONFIRM_COUNT / 2, NULL);
    return ST_OK;
}

static enum status pub_flush(struct redis *r, struct err *err) {
    enum status st = ST_OK;
    /* A connection that died unnoticed shows only now: once more on a new one. */
    for (int attempt = 0; attempt < 2; attempt++) {
        bool fresh = !r->pub.context;
        if (r->count == 0) return ST_OK;
        st = pub_connect(r, true, err);
        if (st == ST_OK) st = pub_send(r, err);
        if (st == ST_OK) st = pub_confirm(r, 0, err);
        if (st != ST_DISCONNECTED || fresh) break;
    }
    return st;
}

/* --- requests of the reading side ---------------------------------------------------------------- */

static enum status sub_connect(struct redis *r, struct err *err) {
    r->request.begin = r->request.end = 0;
    if (r->sub.context) return ST_OK;
    return connect_now(r, &r->sub, err);
}

static enum status sub_put(struct redis *r, size_t argc, const char *const *argv,
                           const size_t *sizes, struct err *err) {
    if (command_put(&r->request, argc, argv, sizes) == ST_OK) return ST_OK;
    return err_set(err, ST_NO_MEMORY, "bus: redis request");
}

static enum status sub_send(struct redis *r, struct err *err) {
    size_t size = r->request.end;
    r->request.end = 0;
    return send_all(&r->sub, r->request.data, size, err);
}

/* One command, one reply (to free; error replies too). */
static enum status call(struct redis *r, redisReply **out, size_t argc, const char *const *argv,
                        const size_t *sizes, struct err *err) {
    enum status st = sub_connect(r, err);
    if (st == ST_OK) st = sub_put(r, argc, argv, sizes, err);
    if (st == ST_OK) st = sub_send(r, err);
    if (st != ST_OK) return st;
    *out = NULL;
    st = reply_get(&r->sub, out, err);
    ASSERT(st != ST_OK || *out);
    return st;
}

#define CALL(r, out, err, ...)                                                                     \
    call(r, out, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *),                      \
         (const char *const[]){__VA_ARGS__}, NULL, err)

/* The integer a script answers. */
static enum status integer_take(redisReply *reply, int64_t *out, struct err *err) {
    enum status st = ST_OK;
    ASSERT(reply != NULL);
    if (reply->type == REDIS_REPLY_INTEGER)
        *out = reply->integer;
    else if (reply->type == REDIS_REPLY_ERROR)
        st = reply_error(reply, err);
    else
        st = err_set(err, ST_EXTERNAL, "redis: reply of type %d where a number was due",
                     reply->type);
    freeReplyObject(reply);
    return st;
}

/* --- groups -------------------------------------------------------------------------------------- */

static struct group *group_find(struct redis *r, const char *event_type, const char *service) {
    for (uint32_t i = 0; i < r->group_count; i++)
        if (strcmp(r->groups[i]->event_type, event_type) == 0 &&
            strcmp(r->groups[i]->service, service) == 0)
            return r->groups[i];
    return NULL;
}

static enum status group_missing(const char *event_type, const char *service, struct err *err) {
    return err_set(err, ST_NOT_FOUND, "bus: no group of %s on %s", service, event_type);
}

static enum status resync(struct redis *r, const struct group *g, bool fresh, struct err *err) {
    redisReply *reply = NULL;
    int64_t missed = 0;
    enum status st =
        CALL(r, &reply, err, "EVAL", SCRIPT_RESYNC, "1", g->key, g->name, fresh ? "1" : "0");
    if (st == ST_OK) st = integer_take(reply, &missed, err);
    if (st != ST_OK || missed == 0) return st;
    r->base.stats.resyncs++;
    r->base.stats.lost += (uint64_t)missed;
    return ST_OK;
}

/* Makes the group if it is missing. The start of a stream is its oldest entry: what was trimmed
 * before a group existed is no loss of its. */
static enum status group_create(struct redis *r, struct group *g, struct err *err) {
    redisReply *reply = NULL;
    enum status st = CALL(r, &reply, err, "XGROUP", "CREATE", g->key, g->name, "0", "MKSTREAM");
    if (st != ST_OK) return st;
    bool exists = reply_begins(reply, "BUSYGROUP");
    if (reply->type == REDIS_REPLY_ERROR && !exists) st = reply_error(reply, err);
    freeReplyObject(reply);
    if (st == ST_OK && !exists) {
        st = resync(r, g, true, err);
        if (st == ST_OK && g->created) r->base.stats.resyncs++;
    }
    if (st == ST_OK) g->created = true;
    return st;
}

static enum status redis_group(struct bus *b, const char *event_type, const char *service,
                               struct err *err) {
    struct redis *r = (struct redis *)b;
    struct group *g = group_find(r, event_type, service);
    if (!g) {
        if (r->group_count == BUS_GROUPS_MAX || !(g = calloc(1, sizeof *g)))
            return err_set(err, ST_FULL, "bus: group of %s on %s is one too many", service,
                           event_type);
        snprintf(g->event_type, sizeof g->event_type, "%s", event_type);
        snprintf(g->service, sizeof g->service, "%s", service);
        snprintf(g->key, sizeof g->key, "quantum:stream:%s", event_type);
        snprintf(g->dead_key, sizeof g->dead_key, "quantum:dlq:%s", event_type);
        snprintf(g->name, sizeof g->name, "quantum:group:%s:%s", service, event_type);
        r->groups[r->group_count++] = g;
    }
    return group_create(r, g, err);
}

static struct subscription *subscription_find(struct redis *r, const struct group *g,
                                              const char *consumer) {
    for (uint32_t k = 0; k < r->subscription_count; k++) {
        uint32_t i = (r->subscription_hint + k) % r->subscription_count;
        struct subscription *s = r->subscriptions[i];
        if (s->group != g || strcmp(s->consumer, consumer) != 0) continue;
        r->subscription_hint = i;
        return s;
    }
    return NULL;
}

static enum status subscription_get(struct redis *r, struct subscription **out, struct group *g,
                                    const char *consumer, struct err *err) {
    *out = subscription_find(r, g, consumer);
    if (*out) return ST_OK;
    enum status st = bus_name_check("consumer", consumer, BUS_CONSUMER_SIZE, err);
    if (st != ST_OK) return st;
    if (r->subscription_count == SUBSCRIPTIONS_MAX)
        return err_set(err, ST_FULL, "bus: consumer %s is one too many", consumer);
    struct subscription *s = calloc(1, sizeof *s);
    if (!s) return err_set(err, ST_NO_MEMORY, "bus: consumer %s", consumer);
    s->group = g;
    s->recover_own = true;
    snprintf(s->recover_from, sizeof s->recover_from, "-");
    snprintf(s->consumer, sizeof s->consumer, "%s", consumer);
    r->subscriptions[r->subscription_count++] = s;
    *out = s;
    return ST_OK;
}

/* --- acknowledgements ---------------------------------------------------------------------------- */

static enum status acks_put(struct redis *r, const struct group *g, struct err *err) {
    const char *argv[3 + ACKS_MAX] = {"XACK", g->key, g->name};
    for (uint32_t i = 0; i < g->ack_count; i++) argv[3 + i] = g->acks[i];
    return sub_put(r, 3 + g->ack_count, argv, NULL, err);
}

static enum status acks_confirm(struct redis *r, struct group *g, struct err *err) {
    redisReply *reply = NULL;
    int64_t count = 0;
    enum status st = reply_get(&r->sub, &reply, err);
    if (st == ST_OK) st = integer_take(reply, &count, err);
    if (st != ST_OK) return st;
    r->base.stats.acknowledged += (uint64_t)count;
    g->ack_count = 0;
    return ST_OK;
}

static enum status acks_flush(struct redis *r, struct group *g, struct err *err) {
    if (g->ack_count == 0) return ST_OK;
    enum status st = sub_connect(r, err);
    if (st == ST_OK) st = acks_put(r, g, err);
    if (st == ST_OK) st = sub_send(r, err);
    return st == ST_OK ? acks_confirm(r, g, err) : st;
}

static enum status redis_ack(struct bus *b, const struct bus_entry *entry, const char *service,
                             struct err *err) {
    struct redis *r = (struct redis *)b;
    uint64_t ms, index;
    if (bus_id_parse(&ms, &index, entry->id) != ST_OK)
        return err_set(err, ST_INVALID, "bus: '%.40s' is no entry id", entry->id);
    struct group *g = group_find(r, entry->event_type, service);
    if (!g) return group_missing(entry->event_type, service, err);
    if (g->ack_count == ACKS_MAX) {
        enum status st = acks_flush(r, g, err);
        if (st != ST_OK) return st;
    }
    memcpy(g->acks[g->ack_count++], entry->id, sizeof entry->id);
    return ST_OK;
}

static enum status redis_flush(struct bus *b, struct err *err) {
    struct redis *r = (struct redis *)b;
    enum status st = pub_flush(r, err);
    for (uint32_t i = 0; i < r->group_count && st == ST_OK; i++) {
        bool fresh = !r->sub.context;
        st = acks_flush(r, r->groups[i], err);
        if (st == ST_DISCONNECTED && !fresh) st = acks_flush(r, r->groups[i], err);
    }
    return st;
}

/* --- entries ------------------------------------------------------------------------------------- */

/* [id, [name, value, ...]]; the field list is nil for an entry deleted under its id. */
static bool entry_shape(const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING || reply->element[0]->len >= BUS_ID_SIZE)
        return false;
    const redisReply *fields = reply->element[1];
    if (fields->type != REDIS_REPLY_ARRAY || fields->elements % 2) return false;
    for (size_t i = 0; i < fields->elements; i++)
        if (fields->element[i]->type != REDIS_REPLY_STRING) return false;
    return true;
}

static enum status entry_decode(struct bus_entry *out, const redisReply *reply,
                                const char *event_type, struct err *err) {
    const redisReply *list = reply->element[1];
    struct bus_field fields[FIELDS_MAX];
    size_t count = list->elements / 2;
    if (count > FIELDS_MAX) return err_set(err, ST_INVALID, "%zu fields", count);
    for (size_t i = 0; i < count; i++) {
        const redisReply *name = list->element[2 * i], *value = list->element[2 * i + 1];
        fields[i] = (struct bus_field){name->str, value->str, name->len, value->len};
    }
    memcpy(out->id, reply->element[0]->str, reply->element[0]->len + 1);
    return bus_fields_decode(out, fields, count, event_type, err);
}

/* Moves the entry, its fields as they are, to the dead letters. */
static enum status dead_letter(struct redis *r, const struct group *g, const redisReply *entry,
                               uint64_t attempts, const char *reason, struct err *err) {
    enum { HEAD = 8, EXTRA = 8, FIELDS = 2 * FIELDS_MAX };
    char length[24], tries[24];
    snprintf(length, sizeof length, "%" PRIu64, r->base.options.length_max);
    snprintf(tries, sizeof tries, "%" PRIu64, attempts);
    const char *id = entry->element[0]->str;
    const char *argv[HEAD + EXTRA + FIELDS] = {"EVAL",      SCRIPT_DEAD, "2", g->key,
                                               g->dead_key, g->name,     id,  length};
    const char *extra[EXTRA] = {"reason",    reason, "service",  g->service,
                                "origin_id", id,     "attempts", tries};
    size_t sizes[HEAD + EXTRA + FIELDS], n = HEAD;
    for (size_t i = 0; i < EXTRA; i++) argv[n++] = extra[i];
    for (size_t i = 0; i < n; i++) sizes[i] = strlen(argv[i]);
    const redisReply *list = entry->element[1];
    for (size_t i = 0; i < list->elements && i < FIELDS; i++, n++) {
        argv[n] = list->element[i]->str;
        sizes[n] = list->element[i]->len;
    }
    redisReply *reply = NULL;
    int64_t moved = 0;
    enum status st = call(r, &reply, n, argv, sizes, err);
    if (st == ST_OK) st = integer_take(reply, &moved, err);
    if (st == ST_OK) r->base.stats.dead_lettered += (uint64_t)moved;
    return st;
}

/* Hands out one entry of the stream; one that is not of our shape becomes a dead letter. */
static enum status hand_out(struct redis *r, const struct group *g, struct bus_entry *out,
                            const redisReply *entry, uint32_t attempts, struct err *err) {
    struct err why = {0};
    enum status st = entry_decode(out, entry, g->event_type, &why);
    if (st == ST_OK) {
        out->attempts = attempts;
        r->base.stats.delivered++;
        if (attempts > 1) r->base.stats.redelivered++;
        return ST_OK;
    }
    why.text[BUS_REASON_SIZE - 1] = '\0';
    st = dead_letter(r, g, entry, attempts, why.text, err);
    if (st != ST_OK) return st;
    r->base.stats.rejected++;
    return err_set(err, ST_INVALID, "bus: entry %s of %s: %s", entry->element[0]->str, g->key,
                   why.text);
}

/* The one entry with this id: ST_OK with *list (to free, holding *entry); ST_END if it is gone. */
static enum status entry_fetch(struct redis *r, const struct group *g, const char *id,
                               redisReply **list, const redisReply **entry, struct err *err) {
    enum status st = CALL(r, list, err, "XRANGE", g->key, id, id);
    if (st != ST_OK) return st;
    if ((*list)->type == REDIS_REPLY_ERROR)
        st = reply_error(*list, err);
    else if ((*list)->type != REDIS_REPLY_ARRAY || (*list)->elements != 1 ||
             !entry_shape((*list)->element[0]))
        st = ST_END;
    if (st == ST_OK)
        *entry = (*list)->element[0];
    else
        freeReplyObject(*list);
    return st;
}

/* Trimmed while it was pending: nothing can be handed out or kept any more. */
static enum status pending_lost(struct redis *r, const struct group *g, const char *id,
                                struct err *err) {
    redisReply *reply = NULL;
    int64_t count = 0;
    enum status st = CALL(r, &reply, err, "XACK", g->key, g->name, id);
    if (st == ST_OK) st = integer_take(reply, &count, err);
    /* XCLAIM of a trimmed entry has already taken it from the pending ones. */
    if (st == ST_OK) r->base.stats.lost++;
    return st;
}

static enum status give_up(struct redis *r, const struct group *g, const char *id,
                           uint64_t attempts, const char *reason, struct err *err) {
    redisReply *list = NULL;
    const redisReply *entry = NULL;
    enum status st = entry_fetch(r, g, id, &list, &entry, err);
    if (st == ST_END) return pending_lost(r, g, id, err);
    if (st != ST_OK) return st;
    st = dead_letter(r, g, entry, attempts, reason, err);
    freeReplyObject(list);
    return st;
}

/* --- claiming ------------------------------------------------------------------------------------ */

/* One pending entry that may be handed out again: ST_END if there is none. */
static enum status pending_first(struct redis *r, const struct subscription *s,
                                 char id[BUS_ID_SIZE], uint64_t *attempts, struct err *err) {
    const struct group *g = s->group;
    char idle[24];
    redisReply *reply = NULL;
    snprintf(idle, sizeof idle, "%" PRId64,
             s->recover_own ? 0 : r->base.options.idle_ns / NS_PER_MS);
    const char *from = s->recover_own ? s->recover_from : "-";
    enum status st = s->recover_own ? CALL(r, &reply, err, "XPENDING", g->key, g->name, "IDLE",
                                           idle, from, "+", "1", s->consumer)
                                    : CALL(r, &reply, err, "XPENDING", g->key, g->name, "IDLE",
                                           idle, from, "+", "1");
    if (st != ST_OK) return st;
    if (reply->type == REDIS_REPLY_ERROR) {
        st = reply_error(reply, err);
    } else if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
        st = ST_END;
    } else {
        const redisReply *p = reply->element[0];
        if (p->type != REDIS_REPLY_ARRAY || p->elements != 4 ||
            p->element[0]->type != REDIS_REPLY_STRING || p->element[0]->len >= BUS_ID_SIZE ||
            p->element[3]->type != REDIS_REPLY_INTEGER) {
            st = err_set(err, ST_EXTERNAL, "redis: XPENDING answers in an unknown shape");
        } else {
            memcpy(id, p->element[0]->str, p->element[0]->len + 1);
            *attempts = (uint64_t)p->element[3]->integer;
        }
    }
    freeReplyObject(reply);
    return st;
}

/* ST_AGAIN: it went to somebody else or is gone; look for another. */
static enum status claim_one(struct redis *r, struct subscription *s, struct bus_entry *out,
                             const char *id, uint64_t attempts, struct err *err) {
    const struct group *g = s->group;
    char idle[24];
    redisReply *reply = NULL;
    snprintf(idle, sizeof idle, "%" PRId64,
             s->recover_own ? 0 : r->base.options.idle_ns / NS_PER_MS);
    enum status st = CALL(r, &reply, err, "XCLAIM", g->key, g->name, s->consumer, idle, id);
    if (st != ST_OK) return st;
    if (reply->type == REDIS_REPLY_ERROR) {
        st = reply_error(reply, err);
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
               entry_shape(reply->element[0])) {
        st = hand_out(r, g, out, reply->element[0], (uint32_t)attempts + 1, err);
    } else {
        redisReply *list;
        const redisReply *entry;
        st = entry_fetch(r, g, id, &list, &entry, err);
        if (st == ST_OK) freeReplyObject(list);
        if (st == ST_END) st = pending_lost(r, g, id, err);
        if (st == ST_OK) st = ST_AGAIN;
    }
    freeReplyObject(reply);
    return st;
}

/* A pending entry due for another attempt, if it is time to look; ST_END if there is none. */
static enum status claim(struct redis *r, struct subscription *s, struct bus_entry *out,
                         int64_t mono_ns, struct err *err) {
    if (mono_ns < s->claim_check_ns && !s->recover_own) return ST_END;
    enum status sent = acks_flush(r, s->group, err); /* what is done must not be claimed */
    if (sent != ST_OK) return sent;
    for (;;) {
        char id[BUS_ID_SIZE];
        uint64_t attempts = 0;
        enum status st = pending_first(r, s, id, &attempts, err);
        if (st == ST_END && s->recover_own) {
            s->recover_own = false;
            continue;
        }
        if (st == ST_OK && s->recover_own)
            snprintf(s->recover_from, sizeof s->recover_from, "(%s", id);
        if (st == ST_END) s->claim_check_ns = mono_ns + r->base.options.idle_ns / 8;
        if (st == ST_OK && attempts >= r->base.options.attempts_max) {
            char reason[BUS_REASON_SIZE];
            snprintf(reason, sizeof reason, "no acknowledgement after %" PRIu64 " deliveries",
                     attempts);
            st = give_up(r, s->group, id, attempts, reason, err);
            if (st == ST_OK) continue;
        }
        if (st == ST_OK) st = claim_one(r, s, out, id, attempts, err);
        if (st != ST_AGAIN) return st;
    }
}

/* --- reading ------------------------------------------------------------------------------------- */

static void batch_drop(struct subscription *s) {
    if (s->batch) freeReplyObject(s->batch);
    s->batch = NULL;
    s->at = s->count = 0;
}

/* [[stream, [entry, ...]]] or nil. */
static enum status batch_take(struct subscription *s, redisReply *reply, struct err *err) {
    if (reply->type == REDIS_REPLY_NIL) {
        freeReplyObject(reply);
        return ST_END;
    }
    const redisReply *one =
        reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 ? reply->element[0] : NULL;
    bool good = one && one->type == REDIS_REPLY_ARRAY && one->elements == 2 &&
                one->element[1]->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; good && i < one->element[1]->elements; i++)
        good = entry_shape(one->element[1]->element[i]);
    if (!good) {
        freeReplyObject(reply);
        return err_set(err, ST_EXTERNAL, "redis: XREADGROUP answers in an unknown shape");
    }
    s->batch = reply;
    s->entries = one->element[1]->element;
    s->at = 0;
    s->count = one->element[1]->elements;
    s->fetched_mono_ns = tstamp_monotonic_ns();
    return s->count ? ST_OK : ST_END;
}

/* New entries, waiting up to block_ns; acknowledgements go along. ST_NOT_FOUND: no such group. */
static enum status fetch(struct redis *r, struct subscription *s, int64_t block_ns,
                         struct err *err) {
    struct group *g = s->group;
    char count[16], block[24];
    snprintf(count, sizeof count, "%d", FETCH_COUNT);
    snprintf(block, sizeof block, "%" PRId64, (block_ns + NS_PER_MS - 1) / NS_PER_MS);
    bool acks = g->ack_count > 0, waits = block_ns > 0;
    const char *argv[11] = {"XREADGROUP", "GROUP", g->name, s->consumer, "COUNT", count};
    size_t n = 6;
    if (waits) argv[n++] = "BLOCK", argv[n++] = block;
    argv[n++] = "STREAMS", argv[n++] = g->key, argv[n++] = ">";
    batch_drop(s);
    enum status st = sub_connect(r, err);
    if (st == ST_OK && acks) st = acks_put(r, g, err);
    if (st == ST_OK) st = sub_put(r, n, argv, NULL, err);
    if (st == ST_OK) st = sub_send(r, err);
    if (st != ST_OK) return st;
    enum status ack_st = acks ? acks_confirm(r, g, err) : ST_OK;
    if (ack_st == ST_DISCONNECTED && !r->sub.context) return ack_st;
    redisReply *reply = NULL;
    st = reply_get(&r->sub, &reply, err);
    if (st != ST_OK) return st;
    if (reply->type != REDIS_REPLY_ERROR) {
        st = batch_take(s, reply, err);
        return ack_st != ST_OK ? ack_st : st;
    }
    st = reply_error(reply, err);
    freeReplyObject(reply);
    return st;
}

static enum status consumers_prune(struct redis *r, const struct subscription *s, struct err *err) {
    char idle[24];
    redisReply *reply = NULL;
    int64_t count = 0;
    snprintf(idle, sizeof idle, "%" PRId64, r->base.options.consumer_stale_ns / NS_PER_MS);
    enum status st = CALL(r, &reply, err, "EVAL", SCRIPT_STALE, "1", s->group->key, s->group->name,
                          s->consumer, idle);
    return st == ST_OK ? integer_take(reply, &count, err) : st;
}

/* Housekeeping that is due. ST_NOT_FOUND: the group is gone. */
static enum status look_after(struct redis *r, struct subscription *s, int64_t mono_ns,
                              struct err *err) {
    enum status st = ST_OK;
    if (mono_ns >= s->resync_check_ns) {
        st = resync(r, s->group, false, err);
        s->resync_check_ns = mono_ns + RESYNC_CHECK_NS;
    }
    if (st == ST_OK && mono_ns >= s->stale_check_ns) {
        int64_t stale_ns = r->base.options.consumer_stale_ns;
        st = consumers_prune(r, s, err);
        s->stale_check_ns = mono_ns + (stale_ns < STALE_CHECK_NS ? stale_ns : STALE_CHECK_NS);
    }
    return st;
}

static enum status read_once(struct redis *r, struct subscription *s, struct bus_entry *out,
                             int64_t mono_ns, int64_t deadline, struct err *err) {
    int64_t idle_ns = r->base.options.idle_ns;
    /* Entries in hand for long may soon be claimed by another: they come back by a claim. */
    if (s->at < s->count && mono_ns - s->fetched_mono_ns > idle_ns / 2) batch_drop(s);
    enum status st = claim(r, s, out, mono_ns, err);
    if (st != ST_END) return st;
    if (s->at == s->count) {
        st = look_after(r, s, mono_ns, err);
        if (st != ST_OK) return st;
        int64_t block_ns = deadline - mono_ns, claim_ns = s->claim_check_ns - mono_ns;
        if (block_ns > claim_ns) block_ns = claim_ns;
        if (block_ns > BLOCK_NS_MAX) block_ns = BLOCK_NS_MAX;
        st = fetch(r, s, block_ns, err);
        if (st != ST_OK) return st;
    }
    return hand_out(r, s->group, out, s->entries[s->at++], 1, err);
}

static void wait_until(int64_t mono_ns) {
    struct timespec until = {mono_ns / NS_PER_SECOND, mono_ns % NS_PER_SECOND};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static enum status redis_read(struct bus *b, struct bus_entry *out, const char *event_type,
                              const char *service, const char *consumer, int64_t wait_ns,
                              struct err *err) {
    struct redis *r = (struct redis *)b;
    struct group *g = group_find(r, event_type, service);
    if (!g) return group_missing(event_type, service, err);
    struct subscription *s;
    enum status found = subscription_get(r, &s, g, consumer, err);
    if (found != ST_OK) return found;
    int64_t now = tstamp_monotonic_ns(), deadline = now + wait_ns;
    bool reconnected = false;
    /* What this process published a moment ago may be what it now waits for. */
    if (r->count > r->in_flight && pub_connect(r, false, NULL) == ST_OK) (void)pub_send(r, NULL);
    for (;;) {
        bool fresh = !r->sub.context;
        if (fresh && now < r->sub.retry_ns) {
            int64_t until = r->sub.retry_ns < deadline ? r->sub.retry_ns : deadline;
            if (until > now) wait_until(until);
            now = tstamp_monotonic_ns();
            if (now < r->sub.retry_ns)
                return err_set(err, ST_DISCONNECTED, "redis: waiting to reconnect");
        }
        enum status st = read_once(r, s, out, now, deadline, err);
        now = tstamp_monotonic_ns();
        if (st == ST_NOT_FOUND) { /* the broker came back empty */
            st = group_create(r, g, err);
            if (st == ST_OK) continue;
        }
        if (st == ST_DISCONNECTED && !fresh && !reconnected) {
            reconnected = true; /* the connection was dead already: once more on a new one */
            continue;
        }
        if (st == ST_DISCONNECTED && now < deadline) continue; /* waiting is what was asked for */
        if (st != ST_END || now >= deadline) return st;
    }
}

static enum status redis_nack(struct bus *b, const struct bus_entry *entry, const char *service,
                              const char *reason, bool is_final, struct err *err) {
    struct redis *r = (struct redis *)b;
    struct group *g = group_find(r, entry->event_type, service);
    if (!g) return group_missing(entry->event_type, service, err);
    if (!is_final && entry->attempts < b->options.attempts_max)
        return ST_OK; /* stays pending: claimed when idle */
    char shown[BUS_REASON_SIZE];
    snprintf(shown, sizeof shown, "%s", reason);
    return give_up(r, g, entry->id, entry->attempts, shown, err);
}

/* --- the rest ------------------------------------------------------------------------------------ */

static enum status redis_info(struct bus *b, const char *event_type, const char *service,
                              uint64_t *length, uint64_t *pending, int64_t *oldest_pending_ns,
                              struct err *err) {
    struct redis *r = (struct redis *)b;
    struct group *g = group_find(r, event_type, service);
    if (!g) return group_missing(event_type, service, err);
    redisReply *reply = NULL;
    int64_t count = 0;
    *length = *pending = 0;
    *oldest_pending_ns = 0;
    enum status st = CALL(r, &reply, err, "XLEN", g->key);
    if (st == ST_OK) st = integer_take(reply, &count, err);
    if (st != ST_OK) return st;
    *length = (uint64_t)count;
    st = CALL(r, &reply, err, "XPENDING", g->key, g->name);
    if (st != ST_OK) return st;
    uint64_t ms, index;
    if (reply->type == REDIS_REPLY_ERROR) {
        st = reply_error(reply, err);
    } else if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 4 ||
               reply->element[0]->type != REDIS_REPLY_INTEGER) {
        st = err_set(err, ST_EXTERNAL, "redis: XPENDING answers in an unknown shape");
    } else if (reply->element[0]->integer > 0) {
        *pending = (uint64_t)reply->element[0]->integer;
        if (reply->element[1]->type == REDIS_REPLY_STRING &&
            bus_id_parse(&ms, &index, reply->element[1]->str) == ST_OK) {
            int64_t age = tstamp_wall_ns() - (int64_t)ms * NS_PER_MS;
            *oldest_pending_ns = age > 0 ? age : 0;
        }
    }
    freeReplyObject(reply);
    return st;
}

static enum status redis_consumers(struct bus *b, const char *event_type, const char *service,
                                   uint32_t *count, struct err *err) {
    struct redis *r = (struct redis *)b;
    struct group *g = group_find(r, event_type, service);
    if (!g) return group_missing(event_type, service, err);
    redisReply *reply = NULL;
    enum status st = CALL(r, &reply, err, "XINFO", "CONSUMERS", g->key, g->name);
    if (st != ST_OK) return st;
    if (reply->type == REDIS_REPLY_ARRAY)
        *count = (uint32_t)reply->elements;
    else if (reply->type == REDIS_REPLY_ERROR)
        st = reply_error(reply, err);
    freeReplyObject(reply);
    return st;
}

/* A field of a dead letter as text; cut if it is too long, "" if it is missing. */
static void dead_field(const redisReply *entry, const char *name, char *out, size_t out_size) {
    const redisReply *list = entry->element[1];
    out[0] = '\0';
    for (size_t i = 0; i + 1 < list->elements; i += 2) {
        if (strcmp(list->element[i]->str, name) != 0) continue;
        size_t n = list->element[i + 1]->len;
        if (n >= out_size) n = out_size - 1;
        memcpy(out, list->element[i + 1]->str, n);
        out[n] = '\0';
        return;
    }
}

/* Dead letters may be malformed entries: whatever of them can be read is shown. */
static void dead_decode(struct bus_dead_letter *out, const redisReply *entry,
                        const char *event_type) {
    char text[40];
    struct bus_entry *e = &out->entry;
    memset(out, 0, sizeof *out);
    memcpy(e->id, entry->element[0]->str, entry->element[0]->len + 1);
    snprintf(e->event_type, sizeof e->event_type, "%s", event_type);
    dead_field(entry, "payload", e->payload, sizeof e->payload);
    e->payload_size = (uint32_t)strlen(e->payload);
    dead_field(entry, "trace_id", e->trace_id, sizeof e->trace_id);
    dead_field(entry, "source", e->source, sizeof e->source);
    dead_field(entry, "timestamp", text, sizeof text);
    if (bus_time_parse(&e->ts_ns, text, strlen(text)) != ST_OK) e->ts_ns = 0;
    dead_field(entry, "schema", text, sizeof text);
    e->schema = (uint32_t)strtoul(text, NULL, 10);
    dead_field(entry, "attempts", text, sizeof text);
    e->attempts = (uint32_t)strtoul(text, NULL, 10);
    dead_field(entry, "service", out->service, sizeof out->service);
    dead_field(entry, "reason", out->reason, sizeof out->reason);
    dead_field(entry, "origin_id", out->origin_id, sizeof out->origin_id);
}

static enum status redis_dead_letter_next(struct bus *b, struct bus_dead_letter *out,
                                          const char *event_type, const char *after_id,
                                          struct err *err) {
    struct redis *r = (struct redis *)b;
    char key[BUS_KEY_SIZE], from[BUS_ID_SIZE + 2];
    redisReply *reply = NULL;
    snprintf(key, sizeof key, "quantum:dlq:%s", event_type);
    snprintf(from, sizeof from, "%s%s", after_id[0] ? "(" : "-", after_id);
    enum status st = CALL(r, &reply, err, "XRANGE", key, from, "+", "COUNT", "1");
    if (st != ST_OK) return st;
    if (reply->type == REDIS_REPLY_ERROR)
        st = reply_error(reply, err);
    else if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        st = ST_END;
    else if (!entry_shape(reply->element[0]))
        st = err_set(err, ST_EXTERNAL, "redis: XRANGE answers in an unknown shape");
    else
        dead_decode(out, reply->element[0], event_type);
    freeReplyObject(reply);
    return st;
}

static void redis_close(struct bus *b) {
    struct redis *r = (struct redis *)b;
    if (r->pub.context || r->sub.context) (void)redis_flush(b, NULL);
    if (r->pub.context) redisFree(r->pub.context);
    if (r->sub.context) redisFree(r->sub.context);
    for (uint32_t i = 0; i < r->subscription_count; i++) {
        batch_drop(r->subscriptions[i]);
        free(r->subscriptions[i]);
    }
    for (uint32_t i = 0; i < r->group_count; i++) free(r->groups[i]);
    for (uint32_t i = 0; i < r->stream_count; i++) free(r->streams[i]);
    free(r->outbox.data);
    free(r->request.data);
    free(r->sizes);
    free(r);
}

static const struct bus_ops REDIS_OPS = {
    .close = redis_close,
    .publish = redis_publish,
    .flush = redis_flush,
    .group = redis_group,
    .read = redis_read,
    .ack = redis_ack,
    .nack = redis_nack,
    .info = redis_info,
    .consumers = redis_consumers,
    .dead_letter_next = redis_dead_letter_next,
};

enum status bus_redis_open(struct bus **out, const char *host, int port, const char *path,
                           const struct bus_options *options, struct err *err) {
    struct redis *r = calloc(1, sizeof *r);
    if (!r || !(r->sizes = calloc(options->outbox_max, sizeof *r->sizes))) {
        free(r);
        return err_set(err, ST_NO_MEMORY, "bus: outbox of %" PRIu32, options->outbox_max);
    }
    r->base.ops = &REDIS_OPS;
    r->base.options = *options;
    r->base.options.url = NULL;
    r->port = port;
    snprintf(r->host, sizeof r->host, "%s", host ? host : "");
    if (path && strlen(path) >= sizeof r->path) {
        redis_close(&r->base);
        return err_set(err, ST_RANGE, "bus: socket path of %zu bytes", strlen(path));
    }
    snprintf(r->path, sizeof r->path, "%s", path ? path : "");
    enum status st = connect_now(r, &r->pub, err);
    if (st == ST_OK) st = connect_now(r, &r->sub, err);
    if (st != ST_OK) {
        redis_close(&r->base);
        return err_wrap(err, st, "bus");
    }
    *out = &r->base;
    return ST_OK;
}
