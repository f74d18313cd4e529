/* Tapes: everything the venue sent, as it came, so that a session can be run again without a venue.
 *
 * A file is "QTAPE 1\n" and records: a header (below, little endian), the name (request line or stream path)
 * and the bytes. Secrets never get in: of requests only the line is kept, without its signature; listen keys are
 * replaced wherever they occur. A record that a crash cut short ends the tape without being an error.
 *
 * Tests    test_tape.c. */
#ifndef VENUE_BINANCE_TAPE_H
#define VENUE_BINANCE_TAPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "venue/binance/codec.h"

enum tape_kind { TAPE_REPLY = 1, TAPE_FRAME = 2 };

struct tape_header {
    uint32_t size;      /* of the bytes */
    uint16_t name_size; /* of the name */
    uint8_t kind, reserved;
    int32_t status; /* HTTP; 0 for frames; -1 connection lost, -2 not sent */
    uint32_t reserved2;
    int64_t ts_ns; /* venue's time as the client knew it, 0 before it did */
    uint64_t sum;  /* hash64 of name and bytes */
};

struct binance_tape;
enum status binance_tape_create(struct binance_tape **out, const char *path, struct err *err);
/* Flushes and closes; the first write that failed is told here. */
enum status binance_tape_close(struct binance_tape *t, struct err *err);
/* A text that must not get in (replaced by as many '*'); at most 8, of 8 bytes or more. */
void binance_tape_secret(struct binance_tape *t, const char *secret);
void binance_tape_write(struct binance_tape *t, enum tape_kind kind, int64_t ts_ns, int status,
                        const char *name, const char *bytes, size_t size);

struct binance_tape_handlers {
    void *context;
    /* A frame and what the codec made of it (st says whether it could). Borrowed. */
    void (*on_frame)(void *context, int64_t ts_ns, const char *name, enum status st,
                     const struct stream_event *event, const char *bytes, size_t size);
    /* A reply; st: ST_OK if it is JSON (code is then its refusal, 0 none). Borrowed. */
    void (*on_reply)(void *context, int64_t ts_ns, const char *name, int http, enum status st,
                     int32_t code, const char *bytes, size_t size);
};
struct binance_tape_totals {
    uint64_t frames, replies, frames_refused, replies_refused;
};
/* ST_CORRUPT: not a tape, or a record that does not hold (the ones before it were handed out). */
enum status binance_tape_replay(const char *path, const struct binance_tape_handlers *handlers,
                                struct binance_tape_totals *totals, struct err *err);

#endif
