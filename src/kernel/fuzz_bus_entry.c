/* What the bus reads back from outside itself: embedded records, the fields of a Redis entry, time
 * and id texts. The first byte says which; what is accepted must survive its own encoding. */
#include <stdlib.h>
#include <string.h>

#include "kernel/bus_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition) {
    if (!condition) abort();
}

static void record(const uint8_t *data, size_t size) {
    static struct bus_entry entry, again;
    static uint8_t out[BUS_RECORD_MAX];
    struct bus_record_head head, head_again;
    char service[BUS_SERVICE_SIZE], reason[BUS_REASON_SIZE];
    if (bus_record_decode(&head, &entry, service, reason, data, size) != ST_OK) return;
    must(entry.payload[entry.payload_size] == '\0');
    /* Names with NULs inside are shorter once encoded; then only the second round is exact. */
    uint32_t n = bus_record_encode(out, &head, &entry, service, reason);
    must(n <= size);
    must(bus_record_decode(&head_again, &again, service, reason, out, n) == ST_OK);
    must(strcmp(again.trace_id, entry.trace_id) == 0 && strcmp(again.source, entry.source) == 0);
    must(again.payload_size == entry.payload_size && again.ts_ns == entry.ts_ns);
    must(memcmp(again.payload, entry.payload, entry.payload_size) == 0);
}

/* Pairs of texts, each behind a 16-bit length. */
static void fields(const uint8_t *data, size_t size) {
    static struct bus_entry entry;
    struct bus_field list[16] = {0};
    size_t count = 0, at = 0;
    const char *texts[2] = {0};
    size_t sizes[2] = {0};
    for (int i = 0; count < 16 && size - at >= 2; i++) {
        size_t n = (size_t)data[at] | (size_t)data[at + 1] << 8;
        at += 2;
        if (n > size - at) break;
        texts[i % 2] = (const char *)data + at;
        sizes[i % 2] = n;
        at += n;
        if (i % 2) list[count++] = (struct bus_field){texts[0], texts[1], sizes[0], sizes[1]};
    }
    struct err err = {0};
    enum status st = bus_fields_decode(&entry, list, count, "trade.intent", &err);
    must(st == ST_OK || (st == ST_INVALID && err.text[0]));
    if (st != ST_OK) return;
    must(count == 6 && entry.payload_size < BUS_PAYLOAD_MAX);
    must(entry.payload[entry.payload_size] == '\0' && entry.trace_id[0]);
    must(strcmp(entry.event_type, "trade.intent") == 0);
}

static void texts(const uint8_t *data, size_t size) {
    char text[64], out[BUS_ID_SIZE], time[BUS_TIME_SIZE];
    struct bus_time_cache cache = {0};
    uint64_t ms, index, ms_again, index_again;
    int64_t ns, ns_again;
    if (size >= sizeof text) size = sizeof text - 1;
    memcpy(text, data, size);
    text[size] = '\0';
    if (bus_id_parse(&ms, &index, text) == ST_OK) {
        bus_id_format(out, ms, index);
        must(bus_id_parse(&ms_again, &index_again, out) == ST_OK);
        must(ms == ms_again && index == index_again);
    }
    if (bus_time_parse(&ns, text, size) == ST_OK) {
        bus_time_format(time, ns, &cache);
        must(bus_time_parse(&ns_again, time, strlen(time)) == ST_OK && ns == ns_again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    switch (data[0] % 3) {
    case 0:
        record(data + 1, size - 1);
        break;
    case 1:
        fields(data + 1, size - 1);
        break;
    case 2:
        texts(data + 1, size - 1);
        break;
    }
    return 0;
}
