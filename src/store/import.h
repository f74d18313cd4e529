/* Downloaded market data into the store: candles, mark candles, funding, contract rules.
 *
 * Files are taken as they are published: .csv, .csv.zst, .csv.gz, .zip and .json; what is packed is
 * told by content. Rows that cannot be right are skipped and reported, never repaired. All files of
 * one series (market, interval, symbol) are read before any of it is written: a symbol is merged
 * whole or not at all. */
#ifndef STORE_IMPORT_H
#define STORE_IMPORT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct import_progress {
    size_t files_done, files_total;
    uint64_t rows;
    const char *label; /* the file being read */
};

/* What a file came to; rows are those taken, problems everything said about it. */
struct import_file_result {
    const char *label;
    uint64_t rows, problems;
    bool failed;
};

/* NULL members are not called. All on the caller's thread. */
struct import_hooks {
    void *context;
    /* line is 0 where a problem belongs to no line. */
    void (*problem)(void *context, const char *label, uint64_t line, const char *text);
    void (*file)(void *context, const struct import_file_result *result);
    void (*progress)(void *context, const struct import_progress *progress);
};

struct import_options {
    const char *store;
    const char *market;                /* NULL: from the path (um, spot, mark), else um */
    int64_t interval_ns;               /* 0: from the path, else the smallest step between rows */
    uint32_t problems_max;             /* told per file; the rest is counted */
    const volatile sig_atomic_t *stop; /* may be NULL; nonzero: finish with ST_INTERRUPTED */
    struct import_hooks hooks;
};

struct import_totals {
    uint64_t files, files_failed, files_ignored; /* ignored: other kinds of file in a folder */
    uint64_t series;                             /* written or found complete */
    uint64_t bars_added, bars_equal, bars_conflicting;
    uint64_t funding_added, funding_equal, funding_conflicting;
    uint64_t contracts;          /* rows of exchangeInfo, fundingInfo, brackets by symbol */
    uint64_t gaps, bars_missing; /* holes between bars, and how many bars they are long */
    uint64_t duplicates;         /* the same time twice in one file */
    uint64_t overlaps;           /* the same time in two files */
    uint64_t rows_bad, rows_impossible, rows_off_grid, rows_unordered;
};

/* Files are read in order of series and name; folders are walked. A file that cannot be read as
 * anything is reported, counted in files_failed and does not stop the others.
 * ST_OK (look at files_failed), ST_INTERRUPTED, ST_NOT_FOUND (a path that is not there), or what
 * writing the store said. *out is valid in every case. */
enum status import_paths(struct import_totals *out, const struct import_options *options,
                         const char *const *paths, size_t count, struct err *err);

#endif
