/* Reports nobody asks for: at every fiftieth closed trade of a run two files appear in reports/ of its folder,
 *
 *     trades-000050.html   the report of the run's first 50 closed trades: win rate with its interval, net of costs, from fills
 *     status-000050.html   what works at that moment, each mark with its check and time
 *
 * A thread of its own: it reads the journal of trades as any other reader and may ask the process's own API; the run's
 * thread only leaves a number and is never waited for. Once each: the file is there or it is not, and what a killed
 * process did not get to is written by the next (the figures are those of the first so many trades, whenever that is).
 * Written beside and renamed, status first: the trades' file is the mark that the pair is whole. What cannot be written
 * is told in the log and tried again a minute later.
 * Tests    test_reporter.c: once each over kills and restarts, no half files; reports.sh: a run and its page. */
#ifndef APP_REPORTER_H
#define APP_REPORTER_H

#include "backtest/session.h"

enum { REPORTER_EVERY = 50 };

struct reporter_options {
    const char *run_dir; /* copied */
    /* The status file; NULL none is written. On the reporter's thread. */
    enum status (*write_status)(void *context, const char *path, struct err *err);
    void *context;
};

struct reporter;
/* Makes reports/ and the thread. What is there already is told to the session again (a kill may have come between the file
 * and the word), the newest alone. */
enum status reporter_start(struct reporter **out, const struct reporter_options *o,
                           struct err *err);
/* For session_options.reports; valid until reporter_stop. */
const struct session_reports *reporter_session(struct reporter *r);
/* Writes what is due, ends the thread. NULL is fine. */
void reporter_stop(struct reporter *r);
/* "RUN/reports/trades-000050.html" */
enum status reporter_path(char *out, size_t size, const char *run_dir, const char *kind,
                          uint64_t trades, struct err *err);

#endif
