/* The bus: checks common to both backends, dispatch, and the text and record forms of an entry. */
#include "kernel/bus.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "kernel/bus_internal.h"

struct bus_options bus_options_defaults(void) {
    return (struct bus_options){.length_max = 10000,
                                .attempts_max = 5,
                                .idle_ns = 30 * NS_PER_SECOND,
                                .outbox_max = 65536,
                                .consumer_stale_ns = NS_PER_HOUR,
                                .segment_bytes = 16 << 20};
}

static enum status redis_url_open(struct bus **out, const struct bus_options *o, struct err *err) {
    char host[128];
    const char *rest = o->url + 8, *colon = strrchr(rest, ':');
    if (!colon || colon == rest || (size_t)(colon - rest) >= sizeof host)
        return err_set(err, ST_INVALID, "bus url '%s': expected redis://host:port", o->url);
    memcpy(host, rest, (size_t)(colon - rest));
    host[colon - rest] = '\0';
    char *end;
    long port = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || *end || port < 1 || port > 65535)
        return err_set(err, ST_INVALID, "bus url '%s': port is not 1..65535", o->url);
    return bus_redis_open(out, host, (int)port, NULL, o, err);
}

enum status bus_open(struct bus **out, const struct bus_options *options, struct err *err) {
    *out = NULL;
    const char *url = options->url ? options->url : "";
    if (options->length_max < 1 || options->length_max > 100000000 || options->attempts_max < 1 ||
        options->idle_ns < NS_PER_MS || options->outbox_max < 1)
        return err_set(err, ST_RANGE,
                       "bus: length_max %" PRIu64 ", attempts_max %" PRIu32 ", idle_ns %" PRId64
                       ", outbox_max %" PRIu32 ": one of them is out of range",
                       options->length_max, options->attempts_max, options->idle_ns,
                       options->outbox_max);
    if (strncmp(url, "embedded:", 9) == 0 && url[9])
        return bus_embedded_open(out, url + 9, options, err);
    if (strncmp(url, "redis+unix:", 11) == 0 && url[11])
        return bus_redis_open(out, NULL, 0, url + 11, options, err);
    if (strncmp(url, "redis://", 8) == 0) return redis_url_open(out, options, err);
    return err_set(err, ST_INVALID,
                   "bus url '%s': expected embedded:DIR, redis://host:port or redis+unix:/path",
                   url);
}

/* The rules of bus_name_check; kept apart from its words, since this runs for every entry. */
static bool name_good(const char *text, size_t size) {
    size_t n = 0;
    unsigned bad = 0;
    for (; n < size && text[n]; n++) bad |= (unsigned char)(text[n] - '!') > '~' - '!';
    return n > 0 && n < size && !bad;
}

enum status bus_name_check(const char *what, const char *text, size_t size, struct err *err) {
    if (name_good(text, size)) return ST_OK;
    size_t n = strnlen(text, size);
    if (n == 0) return err_set(err, ST_INVALID, "bus: %s is empty", what);
    if (n == size) return err_set(err, ST_INVALID, "bus: %s is longer than %zu", what, size - 1);
    return err_set(err, ST_INVALID, "bus: %s has a space or an unprintable character", what);
}

static enum status group_check(const char *event_type, const char *service, struct err *err) {
    enum status st = bus_name_check("event_type", event_type, BUS_TYPE_SIZE, err);
    return st == ST_OK ? bus_name_check("service", service, BUS_SERVICE_SIZE, err) : st;
}

void bus_close(struct bus *b) {
    b->ops->close(b);
}

enum status bus_publish(struct bus *b, const struct bus_entry *entry, struct err *err) {
    enum status st = bus_name_check("event_type", entry->event_type, BUS_TYPE_SIZE, err);
    if (st == ST_OK) st = bus_name_check("trace_id", entry->trace_id, BUS_TRACE_SIZE, err);
    if (st == ST_OK) st = bus_name_check("source", entry->source, BUS_SOURCE_SIZE, err);
    if (st != ST_OK) return st;
    if (entry->payload_size >= BUS_PAYLOAD_MAX)
        return err_set(err, ST_RANGE, "bus: payload of %s has %" PRIu32 " bytes, most is %d",
                       entry->event_type, entry->payload_size, BUS_PAYLOAD_MAX - 1);
    st = b->ops->publish(b, entry, err);
    if (st == ST_OK) b->stats.published++;
    return st;
}

enum status bus_flush(struct bus *b, struct err *err) {
    return b->ops->flush(b, err);
}

enum status bus_group(struct bus *b, const char *event_type, const char *service, struct err *err) {
    enum status st = group_check(event_type, service, err);
    return st == ST_OK ? b->ops->group(b, event_type, service, err) : st;
}

enum status bus_read(struct bus *b, struct bus_entry *out, const char *event_type,
                     const char *service, const char *consumer, int64_t wait_ns, struct err *err) {
    /* Names are checked where they are first met: groups by bus_group, consumers by the backend. */
    return b->ops->read(b, out, event_type, service, consumer, wait_ns, err);
}

enum status bus_ack(struct bus *b, const struct bus_entry *entry, const char *service,
                    struct err *err) {
    return b->ops->ack(b, entry, service, err);
}

enum status bus_nack(struct bus *b, const struct bus_entry *entry, const char *service,
                     const char *reason, struct err *err) {
    b->stats.failed++;
    return b->ops->nack(b, entry, service, reason, false, err);
}

enum status bus_reject(struct bus *b, const struct bus_entry *entry, const char *service,
                       const char *reason, struct err *err) {
    b->stats.failed++;
    return b->ops->nack(b, entry, service, reason, true, err);
}

enum status bus_info(struct bus *b, const char *event_type, const char *service, uint64_t *length,
                     uint64_t *pending, int64_t *oldest_pending_ns, struct err *err) {
    enum status st = group_check(event_type, service, err);
    if (st != ST_OK) return st;
    return b->ops->info(b, event_type, service, length, pending, oldest_pending_ns, err);
}

enum status bus_consumers(struct bus *b, const char *event_type, const char *service,
                          uint32_t *count, struct err *err) {
    enum status st = group_check(event_type, service, err);
    return st == ST_OK ? b->ops->consumers(b, event_type, service, count, err) : st;
}

enum status bus_dead_letter_next(struct bus *b, struct bus_dead_letter *out, const char *event_type,
                                 const char *after_id, struct err *err) {
    enum status st = bus_name_check("event_type", event_type, BUS_TYPE_SIZE, err);
    return st == ST_OK ? b->ops->dead_letter_next(b, out, event_type, after_id, err) : st;
}

void bus_stats_get(const struct bus *b, struct bus_stats *out) {
    *out = b->stats;
}

/* --- text forms -------------------------------------------------------------------------------- */

void bus_time_format(char out[BUS_TIME_SIZE], int64_t ns, struct bus_time_cache *cache) {
    int64_t rest = ns % NS_PER_SECOND, second = ns / NS_PER_SECOND;
    if (rest < 0) rest += NS_PER_SECOND, second--;
    if (cache->text[0] == '\0' || cache->second != second) {
        char text[TSTAMP_TEXT_SIZE];
        tstamp_format(text, second * NS_PER_SECOND);
        memcpy(cache->text, text, 19);
        cache->second = second;
    }
    memcpy(out, cache->text, 19);
    out[19] = '.';
    for (int i = 28; i >= 20; i--, rest /= 10) out[i] = (char)('0' + rest % 10);
    out[29] = 'Z';
    out[30] = '\0';
}

enum status bus_time_parse(int64_t *out_ns, const char *text, size_t size) {
    char seconds[20];
    if (size < 20 || size > 30 || text[size - 1] != 'Z' || text[10] != 'T') return ST_INVALID;
    memcpy(seconds, text, 19);
    seconds[19] = '\0';
    /* Exactly this shape: tstamp_parse is laxer about digits than what we write. */
    for (int i = 0; i < 19; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (digit == (i == 4 || i == 7 || i == 10 || i == 13 || i == 16)) return ST_INVALID;
    }
    int64_t ns, fraction = 0, unit = NS_PER_SECOND;
    enum status st = tstamp_parse(&ns, seconds);
    if (st != ST_OK) return st;
    if (size > 20) {
        if (text[19] != '.' || size == 21) return ST_INVALID;
        for (size_t i = 20; i + 1 < size; i++) {
            if (text[i] < '0' || text[i] > '9') return ST_INVALID;
            unit /= 10;
            fraction += (text[i] - '0') * unit;
        }
    }
    *out_ns = ns + fraction;
    return ST_OK;
}

static size_t u64_format(char *out, uint64_t value) {
    char digits[20];
    size_t n = 0;
    do digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    for (size_t i = 0; i < n; i++) out[i] = digits[n - 1 - i];
    return n;
}

size_t bus_id_format(char out[BUS_ID_SIZE], uint64_t ms, uint64_t index) {
    size_t n = u64_format(out, ms);
    out[n++] = '-';
    n += u64_format(out + n, index);
    out[n] = '\0';
    return n;
}

static bool u64_parse(uint64_t *out, const char **text) {
    const char *p = *text;
    uint64_t value = 0;
    if (*p < '0' || *p > '9') return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return false;
    }
    *out = value;
    *text = p;
    return true;
}

enum status bus_id_parse(uint64_t *ms, uint64_t *index, const char *text) {
    if (!u64_parse(ms, &text) || *text++ != '-') return ST_INVALID;
    return u64_parse(index, &text) && *text == '\0' ? ST_OK : ST_INVALID;
}

/* --- fields of an entry ------------------------------------------------------------------------ */

enum field { F_EVENT_TYPE, F_PAYLOAD, F_TRACE_ID, F_TIMESTAMP, F_SOURCE, F_SCHEMA, FIELD_COUNT };
static const char *const FIELD_NAMES[FIELD_COUNT] = {"event_type", "payload", "trace_id",
                                                     "timestamp",  "source",  "schema"};

static bool text_copy(char *out, size_t out_size, const struct bus_field *f) {
    if (f->value_size >= out_size) return false;
    memcpy(out, f->value, f->value_size);
    out[f->value_size] = '\0';
    return true;
}

/* A name must keep the rules it would be published under; a NUL inside would cut it. */
static bool name_copy(char *out, size_t out_size, const struct bus_field *f) {
    return text_copy(out, out_size, f) && name_good(out, out_size) && strlen(out) == f->value_size;
}

static bool schema_parse(uint32_t *out, const struct bus_field *f) {
    uint64_t value = 0;
    if (f->value_size == 0 || f->value_size > 10) return false;
    for (size_t i = 0; i < f->value_size; i++) {
        if (f->value[i] < '0' || f->value[i] > '9') return false;
        value = value * 10 + (uint64_t)(f->value[i] - '0');
    }
    *out = (uint32_t)value;
    return value <= UINT32_MAX;
}

static bool field_decode(struct bus_entry *out, enum field field, const struct bus_field *f) {
    switch (field) {
    case F_EVENT_TYPE:
        return name_copy(out->event_type, sizeof out->event_type, f);
    case F_PAYLOAD:
        out->payload_size = (uint32_t)f->value_size;
        return text_copy(out->payload, sizeof out->payload, f);
    case F_TRACE_ID:
        return name_copy(out->trace_id, sizeof out->trace_id, f);
    case F_TIMESTAMP:
        return bus_time_parse(&out->ts_ns, f->value, f->value_size) == ST_OK;
    case F_SOURCE:
        return name_copy(out->source, sizeof out->source, f);
    case F_SCHEMA:
        return schema_parse(&out->schema, f);
    case FIELD_COUNT:
        break;
    }
    return false;
}

/* Ours come in a fixed order, so the guess is nearly always right. */
static enum field field_find(const struct bus_field *f, size_t guess) {
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        size_t at = (guess + i) % FIELD_COUNT;
        if (strlen(FIELD_NAMES[at]) == f->name_size &&
            memcmp(FIELD_NAMES[at], f->name, f->name_size) == 0)
            return (enum field)at;
    }
    return FIELD_COUNT;
}

enum status bus_fields_decode(struct bus_entry *out, const struct bus_field *fields, size_t count,
                              const char *event_type, struct err *err) {
    unsigned seen = 0;
    for (size_t i = 0; i < count; i++) {
        enum field field = field_find(&fields[i], i);
        int shown = fields[i].name_size < 40 ? (int)fields[i].name_size : 40;
        if (field == FIELD_COUNT)
            return err_set(err, ST_INVALID, "unknown field '%.*s'", shown, fields[i].name);
        if (seen & 1u << field)
            return err_set(err, ST_INVALID, "field '%s' twice", FIELD_NAMES[field]);
        seen |= 1u << field;
        if (!field_decode(out, field, &fields[i]))
            return err_set(err, ST_INVALID, "malformed field '%s' of %zu bytes", FIELD_NAMES[field],
                           fields[i].value_size);
    }
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        if (!(seen & 1u << i))
            return err_set(err, ST_INVALID, "field '%s' missing", FIELD_NAMES[i]);
    if (strcmp(out->event_type, event_type) != 0)
        return err_set(err, ST_INVALID, "event_type '%s' in the stream of '%s'", out->event_type,
                       event_type);
    return ST_OK;
}

/* --- embedded record ---------------------------------------------------------------------------- */

_Static_assert(sizeof(struct bus_record_head) == 64, "no padding");

uint32_t bus_record_encode(uint8_t out[BUS_RECORD_MAX], struct bus_record_head *head,
                           const struct bus_entry *entry, const char *service, const char *reason) {
    head->ts_ns = entry->ts_ns;
    head->schema = entry->schema;
    head->attempts = entry->attempts;
    head->payload_size = entry->payload_size;
    head->trace_size = (uint8_t)strnlen(entry->trace_id, BUS_TRACE_SIZE - 1);
    head->source_size = (uint8_t)strnlen(entry->source, BUS_SOURCE_SIZE - 1);
    head->service_size = (uint8_t)strnlen(service, BUS_SERVICE_SIZE - 1);
    head->reason_size = (uint8_t)strnlen(reason, BUS_REASON_SIZE - 1);
    uint8_t *p = out;
    memcpy(p, head, sizeof *head), p += sizeof *head;
    memcpy(p, entry->trace_id, head->trace_size), p += head->trace_size;
    memcpy(p, entry->source, head->source_size), p += head->source_size;
    memcpy(p, service, head->service_size), p += head->service_size;
    memcpy(p, reason, head->reason_size), p += head->reason_size;
    memcpy(p, entry->payload, head->payload_size), p += head->payload_size;
    return (uint32_t)(p - out);
}

enum status bus_record_decode(struct bus_record_head *head, struct bus_entry *entry, char *service,
                              char *reason, const void *data, size_t size) {
    if (size < sizeof *head) return ST_CORRUPT;
    memcpy(head, data, sizeof *head);
    const struct bus_record_head *h = head;
    size_t total = sizeof *h + h->trace_size + h->source_size + h->service_size + h->reason_size;
    if (h->trace_size >= BUS_TRACE_SIZE || h->source_size >= BUS_SOURCE_SIZE ||
        h->service_size >= BUS_SERVICE_SIZE || h->reason_size >= BUS_REASON_SIZE ||
        h->payload_size >= BUS_PAYLOAD_MAX || total + h->payload_size != size)
        return ST_CORRUPT;
    const char *p = (const char *)data + sizeof *h;
    memcpy(entry->trace_id, p, h->trace_size), p += h->trace_size;
    entry->trace_id[h->trace_size] = '\0';
    memcpy(entry->source, p, h->source_size), p += h->source_size;
    entry->source[h->source_size] = '\0';
    if (service) memcpy(service, p, h->service_size), service[h->service_size] = '\0';
    p += h->service_size;
    if (reason) memcpy(reason, p, h->reason_size), reason[h->reason_size] = '\0';
    p += h->reason_size;
    memcpy(entry->payload, p, h->payload_size);
    entry->payload[h->payload_size] = '\0';
    entry->ts_ns = h->ts_ns;
    entry->schema = h->schema;
    entry->attempts = h->attempts;
    entry->payload_size = h->payload_size;
    bus_id_format(entry->id, h->id_ms, h->index);
    return ST_OK;
}
