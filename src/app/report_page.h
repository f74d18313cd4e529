/* The report of a run as a page: what `quantum report --out` writes, and a run by itself at every fiftieth closed trade. */
#ifndef APP_REPORT_PAGE_H
#define APP_REPORT_PAGE_H

#include "backtest/report.h"

/* The report of a run's folder; trades_max as in struct report. */
enum status report_page_load(struct report *out, const char *run_dir, uint64_t trades_max,
                             struct err *err);
/* Whole or not at all; as HTML or Markdown by the ending of the name. */
enum status report_page_save(const char *path, const struct report *r, int64_t written_ms,
                             struct err *err);

#endif
