/* Rows 55, 57 and 63 as a page: the status report, its tables from what the running system answered at one moment. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/acceptance.h"
#include "app/page.h"
#include "base/tstamp.h"

enum { CELL_SIZE = 96 };

static const char *real_text(char out[CELL_SIZE], double value, const char *unit) {
    if (isfinite(value))
        snprintf(out, CELL_SIZE, "%.4f%s", value, unit);
    else
        snprintf(out, CELL_SIZE, "-");
    return out;
}

static const char *count_text(char out[CELL_SIZE], int64_t value) {
    snprintf(out, CELL_SIZE, "%" PRId64, value);
    return out;
}

static void row_head(struct page *p, const struct acceptance *a, int row, const char *what) {
    char title[CELL_SIZE];
    const char *fault = acceptance_fault(a, row);
    snprintf(title, sizeof title, "%s (row %d): %s", what, row, fault ? "not yet" : "shown");
    page_heading(p, title);
    if (fault) page_words(p, "Not yet: %s.", fault);
}

/* What a mark is worth: who said it, from what evidence, when. */
static void components(struct page *p, const struct acceptance *a) {
    char when[ACCEPTANCE_TIME_SIZE], age[CELL_SIZE];
    row_head(p, a, 63, "What works");
    if (a->dead[0]) return;
    page_words(p,
               "Asked of the running process at %s; a part is LIVE only if its own check found it "
               "working at that moment.",
               acceptance_time(when, a->checked_ms));
    page_table(p, 4, "part of the engine", "mark", "checked (UTC)", "evidence");
    for (uint32_t i = 0; i < a->component_count; i++)
        page_row(p, 4, a->components[i].name, acceptance_mark(&a->components[i]), when,
                 a->components[i].evidence);
    page_table_end(p);
    page_table(p, 4, "role", "mark", "last work seen (UTC)", "evidence");
    for (uint32_t i = 0; i < a->role_count; i++) {
        const struct acceptance_role *r = &a->roles[i];
        char last[ACCEPTANCE_TIME_SIZE] = "never";
        if (r->age_ms >= 0) acceptance_time(last, a->checked_ms - r->age_ms);
        snprintf(age, sizeof age, "%" PRId64 " pieces of work, state %s", r->work, r->state);
        page_row(p, 4, r->name, acceptance_role_is_live(r) ? "LIVE" : r->state, last, age);
    }
    page_table_end(p);
    page_table(p, 3, "dependency", "mark", "checked (UTC)");
    for (uint32_t i = 0; i < a->dependency_count; i++)
        page_row(p, 3, a->dependencies[i].name,
                 acceptance_is_ok(a->dependencies[i].state) ? "LIVE" : a->dependencies[i].state,
                 when);
    page_table_end(p);
}

static void test_health(struct page *p, const struct acceptance *a) {
    char ms[CELL_SIZE], code[CELL_SIZE];
    page_heading(p, "Test 1: health");
    page_words(p,
               "%s; up %.0f s, process %" PRId64 ", version %s (%s); %" PRId64
               " of %u parts of the engine loaded.",
               a->status, a->uptime_seconds, a->pid, a->version, a->commit, a->models_loaded,
               a->component_count);
    page_table(p, 3, "endpoint", "answer", "ms");
    for (int i = 0; i < ACCEPTANCE_ENDPOINTS; i++)
        page_row(p, 3, a->endpoints[i].what, count_text(code, a->endpoints[i].code),
                 count_text(ms, a->endpoints[i].took_ms));
    page_table_end(p);
}

static void test_signals(struct page *p, const struct acceptance *a) {
    char c[CELL_SIZE], v[CELL_SIZE];
    page_heading(p, "Test 2: signals");
    page_table(p, 5, "symbol", "action", "confidence", "voters", "reason");
    for (uint32_t i = 0; i < a->signal_count; i++)
        page_row(p, 5, a->asked[i].symbol, a->asked[i].action,
                 real_text(c, a->asked[i].confidence, ""), count_text(v, a->asked[i].voters),
                 a->asked[i].reason);
    page_table_end(p);
    if (isfinite(a->confidence_half))
        page_words(p, "Average confidence %.4f, n = %u, 95 %% interval +- %.4f.", a->confidence,
                   a->signal_count, a->confidence_half);
}

static void test_flow(struct page *p, const struct acceptance *a) {
    const struct {
        const char *name;
        int64_t value;
    } rows[] = {{"signals", a->signals},
                {"intents", a->intents},
                {"denied by the gates", a->denied},
                {"waiting on the bus", a->lag},
                {"orders", a->orders},
                {"fills", a->fills},
                {"refused by the venue", a->rejects},
                {"closed trades", a->trades},
                {"open positions", a->positions},
                {"of them without a stop", a->unprotected}};
    char n[CELL_SIZE];
    page_heading(p, "Test 3: flow, from signal to trade");
    page_table(p, 2, "count", "since the run began");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        page_row(p, 2, rows[i].name, count_text(n, rows[i].value));
    page_table_end(p);
}

static void test_execution(struct page *p, const struct acceptance *a) {
    char when[ACCEPTANCE_TIME_SIZE], lev[CELL_SIZE], stop[CELL_SIZE];
    page_heading(p, "Test 4: the newest entries, and what became of them");
    page_table(p, 8, "entry (UTC)", "symbol", "side", "quantity", "price", "leverage", "outcome",
               "stop after, ms");
    for (uint32_t i = 0; i < a->order_count; i++) {
        const struct acceptance_order *o = &a->newest[i];
        if (o->protected_ms >= 0)
            count_text(stop, o->protected_ms);
        else
            snprintf(stop, sizeof stop, "-");
        page_row(p, 8, acceptance_time(when, o->entry_ms), o->symbol, o->side, o->qty, o->entry_px,
                 count_text(lev, o->leverage), o->outcome, stop);
    }
    page_table_end(p);
}

static void win_rate(struct page *p, const struct acceptance *a) {
    const struct report *r = &a->report;
    char x[CELL_SIZE], low[CELL_SIZE], high[CELL_SIZE];
    row_head(p, a, 57, "Win rate after 50 trades");
    if (acceptance_fault(a, 57)) return;
    page_table(p, 4, "figure", "value", "95 % from", "to");
    page_row(p, 4, "win rate", real_text(x, 100 * r->win_rate, " %"),
             real_text(low, 100 * r->win_rate_low, " %"),
             real_text(high, 100 * r->win_rate_high, " %"));
    page_row(p, 4, "expectancy", real_text(x, r->expectancy, " USDT"),
             real_text(low, r->expectancy_low, " USDT"),
             real_text(high, r->expectancy_high, " USDT"));
    page_row(p, 4, "profit factor", real_text(x, r->profit_factor, ""), "-", "-");
    page_row(p, 4, "largest drawdown", real_text(x, 100 * r->max_drawdown, " %"), "-", "-");
    page_table_end(p);
    page_words(p,
               "%" PRIu64 " closed trades, from fills, net of fees and funding; wallet less "
               "their sum: %" PRId64 "e-8.",
               r->trades, r->identity_error.e8);
}

enum status acceptance_save(const char *path, const struct acceptance *a, struct err *err) {
    struct page p;
    enum page_format format;
    char when[ACCEPTANCE_TIME_SIZE];
    enum status st = page_format_of(&format, path, err);
    if (st != ST_OK) return st;
    page_begin(&p, format, "Status report");
    page_words(&p, "Generated %s from live state; nothing is filled in.",
               acceptance_time(when, a->checked_ms));
    if (!a->dead[0])
        page_words(&p, "%s run, strategy %s%s; what was asked is %" PRId64 " ms old.", a->mode,
                   a->strategy, a->synthetic ? ", SYNTHETIC prices" : "", a->age_ms);
    components(&p, a);
    row_head(&p, a, 55, "Tests 1 to 4");
    if (!a->dead[0]) {
        test_health(&p, a);
        test_signals(&p, a);
        test_flow(&p, a);
        test_execution(&p, a);
    }
    win_rate(&p, a);
    return page_save(&p, path, err);
}
