#include "app/report_page.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/page.h"
#include "app/run.h"
#include "base/tstamp.h"

enum { CELL_SIZE = 96 };

enum status report_page_load(struct report *out, const char *run_dir, uint64_t trades_max,
                             struct err *err) {
    char path[RUN_PATH_SIZE + 32];
    struct tradedb *db = NULL;
    snprintf(path, sizeof path, "%s/trades.sqlite", run_dir);
    enum status st = tradedb_open(&db, path, true, err);
    if (st == ST_OK) st = report_load(out, db, err);
    if (st == ST_OK) {
        out->trades_max = trades_max;
        st = report_from_db(out, db, err);
    }
    if (db) tradedb_close(db);
    return st;
}

/* One figure with its interval; a dash where there is none. */
static void figure(struct page *p, const char *name, const char *unit, double scale, double value,
                   double low, double high, const char *how) {
    char a[CELL_SIZE] = "-", b[CELL_SIZE] = "-";
    if (!isnan(value)) snprintf(a, sizeof a, "%.4f%s", scale * value, unit);
    if (!isnan(low) && !isnan(high))
        snprintf(b, sizeof b, "%.4f to %.4f%s", scale * low, scale * high, unit);
    page_row(p, 4, name, a, b, how);
}

static void figures(struct page *p, const struct report *r) {
    char a[CELL_SIZE];
    page_heading(p, "Closed trades, net of fees and funding, from fills");
    page_table(p, 4, "figure", "value", "95 % interval", "how");
    snprintf(a, sizeof a, "%" PRIu64 ", of which %" PRIu64 " won", r->trades, r->wins);
    page_row(p, 4, "closed trades", a, "-", "flat to flat; won: net result above 0");
    figure(p, "win rate", " %", 100, r->win_rate, r->win_rate_low, r->win_rate_high, "Wilson");
    figure(p, "expectancy", " USDT", 1, r->expectancy, r->expectancy_low, r->expectancy_high,
           "mean net result of a trade");
    figure(p, "in units of risk", " R", 1, r->expectancy_r, NAN, NAN,
           "net result / loss at the first stop");
    figure(p, "profit factor", "", 1, r->profit_factor, NAN, NAN, "gains / losses");
    figure(p, "Sharpe ratio", "", 1, r->sharpe.value, r->sharpe.low, r->sharpe.high,
           "daily equity, x sqrt(365); Lo 2002");
    figure(p, "largest drawdown", " %", 100, r->max_drawdown, NAN, NAN, "of the peak");
    figure(p, "of it beyond first stops", " %", 100, r->drawdown_beyond_stops, NAN, NAN,
           "gaps and slippage");
    figure(p, "fees", " USDT", 1, money_to_f64(r->fees), NAN, NAN, "paid to the venue");
    figure(p, "funding", " USDT", 1, money_to_f64(r->funding), NAN, NAN, "received > 0");
    fx_format(a, r->identity_error.e8);
    page_row(p, 4, "wallet less their sum", a, "-", "must be 0");
    page_table_end(p);
}

static enum status whole(struct page *p, const struct report *r, struct err *err) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return err_set(err, ST_NO_MEMORY, "report: out of memory");
    report_print(f, r);
    enum status st =
        fclose(f) == 0 && text ? ST_OK : err_set(err, ST_NO_MEMORY, "report: out of memory");
    if (st == ST_OK) {
        page_heading(p, "The whole report");
        page_lines(p, text);
    }
    free(text);
    return st;
}

enum status report_page_save(const char *path, const struct report *r, int64_t written_ms,
                             struct err *err) {
    struct page p;
    enum page_format format;
    char title[CELL_SIZE], at[TSTAMP_TEXT_SIZE], to[TSTAMP_TEXT_SIZE];
    enum status st = page_format_of(&format, path, err);
    if (st != ST_OK) return st;
    snprintf(title, sizeof title, "Report of %" PRIu64 " closed trades", r->trades);
    page_begin(&p, format, title);
    page_words(&p, "%s run, strategy %s; written %.19s UTC.", r->mode, r->strategy,
               tstamp_format(at, written_ms * NS_PER_MS));
    if (r->trades_max > 0)
        page_words(&p,
                   "The run's first %" PRIu64 " trades, up to %.19s UTC of market time; money up "
                   "to the last hourly point of equity before it. Counters of signals, orders and "
                   "refusals are those of the moment of writing.",
                   r->trades, tstamp_format(to, r->to_ns));
    if (r->synthetic)
        page_words(&p, "SYNTHETIC: a generator made these prices. Nothing here says anything about "
                       "a market.");
    figures(&p, r);
    st = whole(&p, r, err);
    if (st == ST_OK) return page_save(&p, path, err);
    free(p.text.data);
    return st;
}
