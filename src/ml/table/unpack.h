/* Bytes of a file, decompressed on the way if its content is gzip or zstd. */
#ifndef ML_TABLE_UNPACK_H
#define ML_TABLE_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct unpack;

/* path "-": standard input. ST_NOT_FOUND, ST_IO. */
enum status unpack_open(struct unpack **out, const char *path, struct err *err);
/* From memory, borrowed. name stands in errors. */
enum status unpack_memory(struct unpack **out, const void *bytes, size_t size, const char *name,
                          struct err *err);
/* Up to size bytes into out; *got 0 at the end. ST_CORRUPT: broken or cut compression. */
enum status unpack_read(struct unpack *u, void *out, size_t size, size_t *got, struct err *err);
/* Bytes of the file itself read so far, and its size (0: not known, a pipe). */
uint64_t unpack_position(const struct unpack *u, uint64_t *size);
/* Whether the content is gzip or zstd. */
bool unpack_is_packed(const struct unpack *u);
void unpack_close(struct unpack *u); /* NULL: nothing */

/* All of it; the caller frees *out, which has one NUL behind. ST_RANGE: more than limit bytes. */
enum status unpack_all(char **out, size_t *size, struct unpack *u, size_t limit, struct err *err);

#endif
