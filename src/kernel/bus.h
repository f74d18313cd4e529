/* The event bus: named streams, consumer groups, acknowledgement after success.
 *
 * Names: stream `quantum:stream:{event_type}`, group `quantum:group:{service}:{event_type}`,
 * dead letters `quantum:dlq:{event_type}`. Fields of an entry: event_type, payload (JSON text),
 * trace_id, timestamp (ISO 8601), source, schema (version number). One interface, two backends:
 * embedded (its own journal directory) and Redis Streams through hiredis. bus_conformance.h is the one
 * suite both pass. A bus belongs to one thread.
 *
 * Delivery is at least once: an entry not acknowledged is handed out again after idle_ns (claim), at
 * most attempts_max times, then moved to the dead-letter stream with the reason. A consumer that
 * comes back under its old name gets what it left unfinished at once. Streams have a length limit. A
 * group whose next entry was trimmed away is detected, resynchronised to the oldest entry there is,
 * and counted (bus_stats.resyncs); so is one the broker has forgotten, which is made anew.
 *
 * While the broker is away bus_publish keeps up to outbox_max entries (in order, ids given by the
 * caller's trace_id) and sends them after reconnecting; bus_read answers ST_DISCONNECTED. An entry
 * leaves the outbox only when the broker has confirmed it, so one whose confirmation was lost is sent
 * twice, with one trace_id: consumers that must act once remember trace ids.
 *
 * When what is safe: embedded, an entry survives kill -9 of the process as soon as bus_publish
 * returned, and the machine's death after bus_flush; Redis, after bus_flush, as well as its
 * appendfsync says. Acknowledgements are sent with the next read or flush. */
#ifndef KERNEL_BUS_H
#define KERNEL_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct bus;

enum {
    BUS_ID_SIZE = 48,
    BUS_TYPE_SIZE = 48,
    BUS_TRACE_SIZE = 48,
    BUS_SOURCE_SIZE = 32,
    BUS_PAYLOAD_MAX = 4096,
    BUS_SERVICE_SIZE = 32,
    BUS_CONSUMER_SIZE = 48,
    BUS_REASON_SIZE = 160
};

struct bus_entry {
    char id[BUS_ID_SIZE];           /* the backend's, "1732281600000-0" */
    char event_type[BUS_TYPE_SIZE]; /* "trade.intent" */
    char trace_id[BUS_TRACE_SIZE];
    char source[BUS_SOURCE_SIZE]; /* role that published it */
    int64_t ts_ns;
    uint32_t schema;
    uint32_t attempts; /* deliveries so far, 1 the first time */
    uint32_t payload_size;
    char payload[BUS_PAYLOAD_MAX]; /* JSON, NUL ended */
};

struct bus_options {
    const char *url;           /* "embedded:DIR" or "redis://host:port" or "redis+unix:/path" */
    uint64_t length_max;       /* entries kept per stream (approximately, on Redis): 10000 */
    uint32_t attempts_max;     /* 5 */
    int64_t idle_ns;           /* pending longer than this is claimed: 30 s */
    uint32_t outbox_max;       /* 65536 */
    int64_t consumer_stale_ns; /* a consumer silent this long that holds nothing is deleted: 1 h */
    size_t segment_bytes;      /* of the embedded one's journal: 16 MiB; 4 entries must fit */
};
struct bus_options bus_options_defaults(void);

struct bus_stats {
    uint64_t published;    /* accepted by bus_publish */
    uint64_t delivered;    /* handed out, redeliveries too */
    uint64_t acknowledged; /* acknowledgements that ended a pending entry */
    uint64_t redelivered;
    uint64_t failed;        /* bus_nack and bus_reject calls */
    uint64_t dead_lettered; /* gave up, rejected ones too */
    uint64_t rejected;      /* entries with unknown, missing, doubled or malformed fields */
    uint64_t reconnects;
    uint64_t resyncs; /* times a group was set anew since its place was gone */
    uint64_t lost;    /* entries trimmed before the group saw them, or while it held them */
    uint64_t outbox;  /* waiting for the broker's confirmation now */
};

struct bus_dead_letter {
    struct bus_entry entry;         /* id: of the dead letter; attempts: deliveries it had */
    char origin_id[BUS_ID_SIZE];    /* the entry's id in its stream */
    char service[BUS_SERVICE_SIZE]; /* whose group gave up */
    char reason[BUS_REASON_SIZE];
};

/* ST_INVALID on a URL of no known form; ST_DISCONNECTED if the broker does not answer (a broker that
 * goes away later is waited for); ST_EXISTS if another process has the embedded directory. */
enum status bus_open(struct bus **out, const struct bus_options *options, struct err *err);
/* Tries to flush; call bus_flush first to know. */
void bus_close(struct bus *b);

/* Publishes (or, broker away, keeps) one entry. entry->id and attempts are ignored. ST_FULL if the
 * outbox is full; ST_INVALID if event_type, trace_id or source is empty, too long or holds other than
 * printable characters without spaces; ST_RANGE if the payload is longer than BUS_PAYLOAD_MAX - 1. */
enum status bus_publish(struct bus *b, const struct bus_entry *entry, struct err *err);
/* Everything published so far has reached the backend and is as durable as it makes it. */
enum status bus_flush(struct bus *b, struct err *err);

/* Makes the group if it is missing (from the stream's start). */
enum status bus_group(struct bus *b, const char *event_type, const char *service, struct err *err);
/* Next entry for the group: a pending one past idle_ns first, else a new one. Waits up to wait_ns.
 * ST_OK; ST_END nothing there; ST_DISCONNECTED; ST_NOT_FOUND without bus_group before; ST_INVALID an
 * entry was not of our shape: it is now a dead letter, err says why, read on. consumer is a stable
 * name ("executor-1"). Only the bytes in use of out->payload are written. */
enum status bus_read(struct bus *b, struct bus_entry *out, const char *event_type,
                     const char *service, const char *consumer, int64_t wait_ns, struct err *err);
/* Success: the entry is done. Acknowledging twice, or what another consumer finished, does nothing. */
enum status bus_ack(struct bus *b, const struct bus_entry *entry, const char *service,
                    struct err *err);
/* Failure: redelivered once idle_ns have passed since its delivery, or, if that was attempt number
 * attempts_max, dead-lettered with reason now. */
enum status bus_nack(struct bus *b, const struct bus_entry *entry, const char *service,
                     const char *reason, struct err *err);

/* As bus_nack, but for what no later attempt could make better: dead-lettered with reason now. */
enum status bus_reject(struct bus *b, const struct bus_entry *entry, const char *service,
                       const char *reason, struct err *err);

/* Length of the stream, entries pending (delivered, not done) in the group, time in ns since the
 * oldest pending one was published (0 if none). */
enum status bus_info(struct bus *b, const char *event_type, const char *service, uint64_t *length,
                     uint64_t *pending, int64_t *oldest_pending_ns, struct err *err);
/* Consumers the group knows. */
enum status bus_consumers(struct bus *b, const char *event_type, const char *service,
                          uint32_t *count, struct err *err);
/* The first dead letter of event_type behind after_id ("" from the start); ST_END if there is none. */
enum status bus_dead_letter_next(struct bus *b, struct bus_dead_letter *out, const char *event_type,
                                 const char *after_id, struct err *err);
void bus_stats_get(const struct bus *b, struct bus_stats *out);

#endif
