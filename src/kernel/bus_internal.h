/* What the two backends of the bus share: the table of operations, checks of names, the fields of an
 * entry as text. */
#ifndef KERNEL_BUS_INTERNAL_H
#define KERNEL_BUS_INTERNAL_H

#include "kernel/bus.h"

enum { BUS_KEY_SIZE = 128, BUS_TIME_SIZE = 32, BUS_STREAMS_MAX = 128, BUS_GROUPS_MAX = 128 };

struct bus_ops {
    void (*close)(struct bus *b);
    enum status (*publish)(struct bus *b, const struct bus_entry *entry, struct err *err);
    enum status (*flush)(struct bus *b, struct err *err);
    enum status (*group)(struct bus *b, const char *event_type, const char *service,
                         struct err *err);
    enum status (*read)(struct bus *b, struct bus_entry *out, const char *event_type,
                        const char *service, const char *consumer, int64_t wait_ns,
                        struct err *err);
    enum status (*ack)(struct bus *b, const struct bus_entry *entry, const char *service,
                       struct err *err);
    enum status (*nack)(struct bus *b, const struct bus_entry *entry, const char *service,
                        const char *reason, bool is_final, struct err *err);
    enum status (*info)(struct bus *b, const char *event_type, const char *service,
                        uint64_t *length, uint64_t *pending, int64_t *oldest_pending_ns,
                        struct err *err);
    enum status (*consumers)(struct bus *b, const char *event_type, const char *service,
                             uint32_t *count, struct err *err);
    enum status (*dead_letter_next)(struct bus *b, struct bus_dead_letter *out,
                                    const char *event_type, const char *after_id, struct err *err);
};

/* First member of each backend's own struct. */
struct bus {
    const struct bus_ops *ops;
    struct bus_options options; /* url is not kept */
    struct bus_stats stats;
};

/* Names become parts of keys and log lines: 1 to size - 1 printable characters, no spaces.
 * ST_INVALID, err naming `what`. */
enum status bus_name_check(const char *what, const char *text, size_t size, struct err *err);

enum status bus_embedded_open(struct bus **out, const char *dir, const struct bus_options *options,
                              struct err *err);
/* host NULL: path is a unix socket. */
enum status bus_redis_open(struct bus **out, const char *host, int port, const char *path,
                           const struct bus_options *options, struct err *err);

/* "2024-10-28T07:00:00.123456789Z", length 30. The second's text is kept in *cache between calls
 * (zeroed at first), since entries come many a second. */
struct bus_time_cache {
    int64_t second;
    char text[24];
};
void bus_time_format(char out[BUS_TIME_SIZE], int64_t ns, struct bus_time_cache *cache);
/* Also accepts fewer decimals or none. ST_INVALID. */
enum status bus_time_parse(int64_t *out_ns, const char *text, size_t size);

/* "ms-index"; returns the length. */
size_t bus_id_format(char out[BUS_ID_SIZE], uint64_t ms, uint64_t index);
enum status bus_id_parse(uint64_t *ms, uint64_t *index, const char *text);

/* One field of a Redis entry; borrowed. */
struct bus_field {
    const char *name, *value;
    size_t name_size, value_size;
};
/* Fields of an entry to all of *out but id and attempts. Each of the six exactly once, no other;
 * event_type must be the stream's. ST_INVALID, err naming the field. */
enum status bus_fields_decode(struct bus_entry *out, const struct bus_field *fields, size_t count,
                              const char *event_type, struct err *err);

/* Embedded record of one entry or dead letter, as it stands in the journal and in memory. */
struct bus_record_head {
    uint32_t stream_id, group_id; /* group_id: of the group a dead letter ends a pending entry of */
    uint64_t index, id_ms;
    uint64_t origin_index, origin_ms;
    int64_t ts_ns;
    uint32_t schema, attempts, payload_size;
    uint8_t trace_size, source_size, service_size, reason_size;
};
enum {
    BUS_RECORD_MAX = sizeof(struct bus_record_head) + BUS_TRACE_SIZE + BUS_SOURCE_SIZE +
                     BUS_SERVICE_SIZE + BUS_REASON_SIZE + BUS_PAYLOAD_MAX
};
/* service and reason are "" for a plain entry; returns the size. */
uint32_t bus_record_encode(uint8_t out[BUS_RECORD_MAX], struct bus_record_head *head,
                           const struct bus_entry *entry, const char *service, const char *reason);
/* All of out->entry but event_type; service, reason, origin_id. ST_CORRUPT if sizes do not add up. */
enum status bus_record_decode(struct bus_record_head *head, struct bus_entry *entry, char *service,
                              char *reason, const void *data, size_t size);

#endif
