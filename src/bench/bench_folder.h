/* Scratch folders under TMPDIR. */
#ifndef BENCH_BENCH_FOLDER_H
#define BENCH_BENCH_FOLDER_H

#include <stddef.h>

#include "base/err.h"

/* Makes one; out (size): its path, "" on failure. */
enum status bench_folder_make(char *out, size_t size, struct err *err);
/* With all that is in it; "" is fine. */
void bench_folder_remove(const char *path);

#endif
