/* Any bytes as a segment: the header and the frames behind it are read as the reader and the repair
 * read them. Whatever is accepted must lie inside the input and encode to the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "kernel/journal_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition) {
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t seq;
    if (journal_header_decode(&seq, data, size) != ST_OK) return 0;
    size_t at = JOURNAL_HEADER_BYTES;
    for (;; seq++) {
        struct journal_record record;
        const char *why = NULL;
        size_t frame = 0;
        enum status st = journal_frame_decode(&record, &frame, &why, data + at, size - at, seq);
        if (st == ST_CORRUPT) must(why != NULL);
        if (st == ST_AGAIN) must(frame > size - at);
        if (st != ST_OK) return 0;
        must(frame <= size - at && frame == journal_frame_size(record.size));
        must((const uint8_t *)record.payload + record.size <= data + size);
        uint8_t *again = malloc(frame);
        must(again != NULL);
        journal_frame_encode(again, &record);
        /* Padding is under the checksum too, but a foreign writer may have put anything there. */
        must(memcmp(again + 8, data + at + 8, JOURNAL_FRAME_BYTES - 8 + record.size) == 0);
        free(again);
        at += frame;
    }
}
