/* What the journal's writer and reader share: the format on disk.
 *
 *   DIR/00000000000000000001.seg       plain segment, named by the sequence of its first record
 *   DIR/00000000000000000001.seg.zst   the same, closed and compressed
 *   DIR/buffer                         appended, not yet flushed (frames from offset 0)
 *   DIR/lock                           flock of the writer
 *
 * A segment is a 64-byte header and frames; all integers are little-endian. A frame is a 32-byte
 * header, the payload, and zeros up to a multiple of 8; its checksum covers everything behind itself,
 * padding too. No good frame begins with a zero checksum and size 0 seq, so preallocated zeros end
 * a segment. */
#ifndef KERNEL_JOURNAL_INTERNAL_H
#define KERNEL_JOURNAL_INTERNAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "kernel/journal.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian");

enum {
    JOURNAL_FORMAT = 1,
    JOURNAL_HEADER_BYTES = 64,
    JOURNAL_FRAME_BYTES = 32,
    JOURNAL_NAME_SIZE = 40,
    JOURNAL_DIR_SIZE = 512,
    JOURNAL_RECORD_MAX = 1 << 30 /* no frame claims more: bounds the reader's buffer */
};

struct journal_header {
    char magic[8];
    uint32_t format, header_bytes;
    uint64_t first_seq;
    uint64_t reserved[4];
    uint64_t checksum; /* of the bytes before it */
};
_Static_assert(sizeof(struct journal_header) == JOURNAL_HEADER_BYTES, "no padding");

struct journal_frame {
    uint64_t checksum; /* of the bytes behind it, to the frame's end */
    uint32_t size;     /* of the payload */
    uint16_t type, version;
    uint64_t seq;
    int64_t ts_ns;
};
_Static_assert(sizeof(struct journal_frame) == JOURNAL_FRAME_BYTES, "no padding");

static inline size_t journal_frame_size(uint32_t payload_size) {
    return JOURNAL_FRAME_BYTES + (((size_t)payload_size + 7) & ~(size_t)7);
}

/* Writes the frame to out (journal_frame_size bytes, aligned to 8). */
void journal_frame_encode(void *out, const struct journal_record *record);
/* Frame at data, of which size bytes are there. ST_OK, *out borrowed from data, *frame_size set;
 * ST_AGAIN if more bytes are needed to judge (*frame_size says how many); ST_END if zeros begin
 * here; ST_CORRUPT (and *why) if this is not record seq. */
enum status journal_frame_decode(struct journal_record *out, size_t *frame_size, const char **why,
                                 const void *data, size_t size, uint64_t seq);
void journal_header_encode(void *out, uint64_t first_seq);
/* ST_OK, ST_CORRUPT, ST_VERSION. */
enum status journal_header_decode(uint64_t *first_seq, const void *data, size_t size);

/* Segments of a directory by first sequence. A plain one hides a compressed one of the same name. */
struct journal_segment {
    uint64_t first_seq;
    bool compressed;
};
struct journal_segments {
    struct journal_segment *items;
    size_t count, capacity;
};
const char *journal_segment_name(char out[JOURNAL_NAME_SIZE], const struct journal_segment *s);
/* ST_NOT_FOUND if there is no such directory. The caller frees items. tidy: removes what a crash
 * during compression left behind. */
enum status journal_segments_list(struct journal_segments *out, int dir_fd, bool tidy,
                                  struct err *err);
enum status journal_segments_add(struct journal_segments *s, struct journal_segment item,
                                 struct err *err);

#endif
