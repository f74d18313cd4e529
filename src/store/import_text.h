/* A file's text, whatever it is packed in, as a stream of lines. Used by the importer only. */
#ifndef STORE_IMPORT_TEXT_H
#define STORE_IMPORT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { TEXT_LINE_MAX = 65536 };
#define TEXT_WHOLE_MAX ((size_t)256 << 20)

struct text;

/* zip_entry: index within a zip archive, ignored for other files. What the file is packed in is told
 * by its first bytes: zstd, gzip, zip, else plain. */
enum status text_open(struct text **out, const char *path, uint64_t zip_entry, struct err *err);
void text_close(struct text *t);

/* The next line without its end, borrowed until the next call; a byte-order mark is dropped.
 * ST_END behind the last; ST_INVALID if it is longer than TEXT_LINE_MAX or holds a zero byte;
 * ST_CORRUPT if the packing is broken or cut off. */
enum status text_line(struct text *t, const char **out_line, size_t *out_size, struct err *err);

/* All that is left, NUL ended, malloc'd; ST_RANGE above TEXT_WHOLE_MAX. */
enum status text_rest(struct text *t, char **out, size_t *out_size, struct err *err);

/* Names of the entries of a zip archive through a callback; ST_CORRUPT if it is none. */
enum status text_zip_entries(const char *path,
                             enum status (*entry)(void *context, const char *name, uint64_t index),
                             void *context, struct err *err);
#endif
