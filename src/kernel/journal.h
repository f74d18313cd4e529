/* Append-only journal: what the kernel was told, in order, with the checksums to trust it.
 *
 * A directory of segments. A record is framed {length, type, version, sequence, ts, checksum of all
 * of it}; sequence numbers are consecutive from 1 across segments. Appends go to a buffer;
 * journal_flush hands them to the system, journal_commit makes them durable (one fdatasync for all:
 * group commit). The open segment is preallocated; closed ones may be zstd-compressed. Opening
 * repairs a torn tail: the first record that does not check out ends the journal, is reported, and
 * nothing behind it survives. A broken record that is followed by good ones in an older segment is
 * not a torn tail: ST_CORRUPT, with file and offset.
 *
 * What survives what: the buffer is a shared mapping of a small file beside the segments, so a record
 * survives the death of the process (kill -9) as soon as journal_append returned, with no system
 * call made; the next journal_open moves it into its segment. Only a committed record survives the
 * death of the machine.
 *
 * One thread owns a journal; journal_durable_seq alone may be called from any. */
#ifndef KERNEL_JOURNAL_H
#define KERNEL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct journal;

/* The calls by which the writer changes the disk. */
enum journal_io {
    JOURNAL_WRITE = 0, /* into a segment */
    JOURNAL_SYNC,      /* of a file or of the directory */
    JOURNAL_ALLOCATE,
    JOURNAL_TRUNCATE,
    JOURNAL_RENAME,
    JOURNAL_IO_COUNT
};

/* Who watches the writer, and may make its disk a bad one: simulated crashes and the fault tests.
 *
 * append: before (the number it will get) and after each record. io: before each call; 0 lets it through,
 * an errno is what it then fails with. size is the call's (bytes to write, length of the file; 0 for sync and
 * rename) and may be lowered for a write: only so much is written, and with an errno the rest fails
 * with it. Either may be NULL. */
struct journal_probe {
    void *context;
    void (*append)(void *context, bool after, uint16_t type, uint64_t seq);
    int (*io)(void *context, enum journal_io what, size_t *size);
};

struct journal_options {
    size_t segment_bytes; /* 64 MiB */
    int compress_level;   /* zstd level for closed segments; 0 leaves them plain */
    size_t
        buffer_bytes; /* appends beyond it flush by themselves: 256 KiB (stays in the L2 cache) */
    const struct journal_probe *probe; /* borrowed as long as the journal is open; NULL: nobody */
};
struct journal_options journal_options_defaults(void);

struct journal_record {
    uint64_t seq;
    int64_t ts_ns;
    uint16_t type, version;
    uint32_t size;
    const void *payload; /* borrowed until the next read */
};

/* What opening found: the last record there is now, the bytes of a torn tail that were dropped, and
 * the records a killed process had appended but not flushed, now in their segment. */
struct journal_repair {
    uint64_t last_seq, bytes_dropped, records_recovered;
};

enum { JOURNAL_SEGMENT_MIN = 4096 }; /* smallest segment_bytes (asserted) */

/* Opens for appending, making the directory if needed, repairing a torn tail (told in *repair).
 * One writer at a time: a second gets ST_EXISTS (lock file, released by the system at process end). */
enum status journal_open(struct journal **out, struct journal_repair *repair, const char *dir,
                         const struct journal_options *options, struct err *err);
/* Commits and closes; j is gone whatever it returns. */
enum status journal_close(struct journal *j, struct err *err);

/* Buffers one record; returns its sequence number. size <= segment_bytes / 4 (asserted). An I/O error
 * is kept and returned by every later flush and commit: after a failed fdatasync the system may have
 * thrown the pages away, so nothing but opening anew tells what is on disk, and journal_durable_seq
 * stands still. Until a commit succeeded the sequence number is provisional. */
uint64_t journal_append(struct journal *j, uint16_t type, uint16_t version, int64_t ts_ns,
                        const void *payload, uint32_t size);
enum status journal_flush(struct journal *j, struct err *err);
/* That failure, without writing anything: for who must not go on once an append was in vain. */
enum status journal_failed(const struct journal *j, struct err *err);
enum status journal_commit(struct journal *j, struct err *err);
uint64_t journal_last_seq(const struct journal *j);
uint64_t journal_durable_seq(const struct journal *j);

/* Drops whole closed segments that hold only records with seq < keep_from. */
enum status journal_retain(struct journal *j, uint64_t keep_from, struct err *err);

/* Reading, while a writer may be open: sees what was flushed. from_seq 0 is the oldest record there
 * is, 1 the very first. ST_NOT_FOUND if from_seq was retained away (err says the first there is).
 * journal_next: ST_OK; ST_END nothing more yet (call again to follow a writer); ST_CORRUPT with file
 * and offset; ST_NOT_FOUND if the writer retained the rest away meanwhile; ST_IO. */
struct journal_reader;
enum status journal_reader_open(struct journal_reader **out, const char *dir, uint64_t from_seq,
                                struct err *err);
enum status journal_next(struct journal_reader *r, struct journal_record *out, struct err *err);
void journal_reader_close(struct journal_reader *r);

#endif
