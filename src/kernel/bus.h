/* The event bus: named streams, consumer groups, acknowledgement after success.
 *
 * Names: stream `quantum:stream:{event_type}`, group `quantum:group:{service}:{event_type}`,
 * dead letters `quantum:dlq:{event_type}`. Fields of an entry: event_type, payload (JSON text),
 * trace_id, timestamp (ISO 8601), source, schema (version number). One interface, two backends:
 * embedded (its own journal directory) and Redis Streams through hiredis. bus_conformance.c runs the
 * same suite over both.
 *
 * Delivery is at least once: an entry not acknowledged is handed out again after idle_ns (claim), at
 * most attempts_max times, then moved to the dead-letter stream with the reason. Streams have a
 * length limit. A group whose last-delivered id was trimmed away is detected, resynchronised to the
 * oldest entry there is, and counted (bus_stats.resyncs).
 *
 * While the broker is away bus_publish keeps up to outbox_max entries (in order, ids given by the
 * caller's trace_id) and sends them after reconnecting; bus_read answers ST_DISCONNECTED. */
#ifndef KERNEL_BUS_H
#define KERNEL_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct bus;

enum { BUS_ID_SIZE = 48, BUS_TYPE_SIZE = 48, BUS_TRACE_SIZE = 48, BUS_SOURCE_SIZE = 32, BUS_PAYLOAD_MAX = 4096 };

struct bus_entry {
    char id[BUS_ID_SIZE];           /* the backend's, "1732281600000-0" */
    char event_type[BUS_TYPE_SIZE]; /* "trade.intent" */
    char trace_id[BUS_TRACE_SIZE];
    char source[BUS_SOURCE_SIZE];   /* role that published it */
    int64_t ts_ns;
    uint32_t schema;
    uint32_t attempts;              /* deliveries so far, 1 the first time */
    uint32_t payload_size;
    char payload[BUS_PAYLOAD_MAX];  /* JSON, NUL ended */
};

struct bus_options {
    const char *url;      /* "embedded:DIR" or "redis://host:port" or "redis+unix:/path" */
    uint64_t length_max;  /* entries kept per stream (approximately, on Redis): 10000 */
    uint32_t attempts_max; /* 5 */
    int64_t idle_ns;      /* pending longer than this is claimed: 30 s */
    uint32_t outbox_max;  /* 65536 */
};
struct bus_options bus_options_defaults(void);

struct bus_stats {
    uint64_t published, delivered, acknowledged, redelivered, dead_lettered, reconnects, resyncs, outbox;
};

enum status bus_open(struct bus **out, const struct bus_options *options, struct err *err);
void bus_close(struct bus *b);

/* Publishes (or, broker away, keeps) one entry. entry->id is ignored. ST_FULL if the outbox is full. */
enum status bus_publish(struct bus *b, const struct bus_entry *entry, struct err *err);
/* Everything published so far has reached the backend and is as durable as it makes it. */
enum status bus_flush(struct bus *b, struct err *err);

/* Makes the group if it is missing (from the stream's start). */
enum status bus_group(struct bus *b, const char *event_type, const char *service, struct err *err);
/* Next entry for the group: a pending one past idle_ns first, else a new one. Waits up to wait_ns.
 * ST_OK; ST_END nothing there; ST_DISCONNECTED. consumer is a stable name ("executor-1"). */
enum status bus_read(struct bus *b, struct bus_entry *out, const char *event_type, const char *service,
                     const char *consumer, int64_t wait_ns, struct err *err);
/* Success: the entry is done. */
enum status bus_ack(struct bus *b, const struct bus_entry *entry, const char *service, struct err *err);
/* Failure: counts an attempt; redelivered later or dead-lettered with reason. */
enum status bus_nack(struct bus *b, const struct bus_entry *entry, const char *service, const char *reason, struct err *err);

/* Length of the stream, entries pending in the group, age in ns of the oldest pending (0 if none). */
enum status bus_info(struct bus *b, const char *event_type, const char *service, uint64_t *length,
                     uint64_t *pending, int64_t *oldest_pending_ns, struct err *err);
void bus_stats_get(const struct bus *b, struct bus_stats *out);

#endif
