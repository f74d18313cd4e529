/* Any bytes as an event: the first chooses the name from the catalogue, the rest is the payload.
 * What is accepted must be valid, and its own encoding must decode to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "kernel/events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition) {
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    uint16_t count = 0;
    while (event_info((uint16_t)(count + 1))) count++;
    must(count > 0);
    const struct event_info *info = event_info((uint16_t)(data[0] % count + 1));
    /* Exactly as long as it is, so that a read beyond its end is seen. */
    char *json = malloc(size);
    must(json != NULL);
    memcpy(json, data + 1, size - 1);
    struct event first, second;
    struct err err = {0};
    enum status st = event_decode(&first, info->name, info->version, 1, json, size - 1, &err);
    free(json);
    if (st != ST_OK) {
        must(err.text[0] != '\0');
        return 0;
    }
    must(event_validate(&first, &err) == ST_OK);
    char text[8192], again[8192];
    size_t text_size, again_size;
    must(event_encode(text, sizeof text, &text_size, &first) == ST_OK);
    must(event_decode(&second, info->name, info->version, 1, text, text_size, &err) == ST_OK);
    must(memcmp(&first.u, &second.u, first.size) == 0);
    must(event_encode(again, sizeof again, &again_size, &second) == ST_OK);
    must(again_size == text_size && memcmp(text, again, text_size) == 0);
    return 0;
}
