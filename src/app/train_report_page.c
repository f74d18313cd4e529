/* The report as one HTML page, and as lines of text. Nothing is fetched: pictures, style and figures are in the page. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/train_report_internal.h"
#include "base/tstamp.h"
#include "chart/text.h"

static const char STYLE[] =
    "<style>\n"
    ":root{color-scheme:light dark;--ink:#1f2328;--soft:#57606a;--line:#d8dee4;--ground:#f6f8fa;"
    "--card:#fff;--good:#1a7f37;--bad:#b35900}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa4af;--line:#30363d;"
    "--ground:#0d1117;--card:#14181d;--good:#3fb950;--bad:#e3a14f}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:24px 18px 60px;max-width:1140px;background:var(--ground);"
    "color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',"
    "sans-serif}\n"
    "h1{font-size:26px;margin:0 0 4px}h2{font-size:20px;margin:36px 0 8px;border-top:1px solid "
    "var(--line);padding-top:20px}h3{font-size:16px;margin:20px 0 6px}\n"
    "p{margin:6px 0}.soft{color:var(--soft)}.verdict{font-weight:600}.yes{color:var(--good)}"
    ".no{color:var(--bad)}\n"
    ".wide{overflow-x:auto}\n"
    "table{border-collapse:collapse;margin:8px 0;background:var(--card);font-size:14px;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{border:1px solid var(--line);padding:3px 8px;text-align:right;white-space:nowrap}\n"
    "th:first-child,td:first-child{text-align:left}th{font-weight:600;color:var(--soft)}\n"
    "td.words,th.words{text-align:left;white-space:normal;overflow-wrap:anywhere}\n"
    "svg{display:block;max-width:100%;height:auto;margin:12px 0}\n"
    "code{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
    "overflow-wrap:anywhere}\n"
    "@page{margin:14mm}\n"
    "@media "
    "print{body{background:#fff;max-width:none;padding:0;font-size:12px}table{font-size:10px}th,"
    "td{padding:2px 4px}svg,table,h3{break-inside:avoid}"
    "h2,h3{break-after:avoid}section{break-before:page}.wide{overflow:visible}}\n"
    "</style>\n";

/* Words of a place that may hold anything. */
static void words(struct text *t, const char *s) {
    text_add_escaped(t, s, SIZE_MAX);
}

static void cell(struct text *t, const char *format, double value) {
    text_add(t, "<td>");
    if (isfinite(value))
        text_add(t, format, value);
    else
        text_add(t, "\xE2\x80\x93"); /* a dash: no answer */
    text_add(t, "</td>");
}

static void cell_words(struct text *t, const char *name, const char *s) {
    text_add(t, "<tr><td>%s</td><td class=\"words\">", name);
    words(t, s);
    text_add(t, "</td></tr>\n");
}

/* A name that begins with < stands to the left, above words. */
static void heads(struct text *t, const char *const *names, size_t count) {
    text_add(t, "<div class=\"wide\"><table>\n<tr>");
    for (size_t i = 0; i < count; i++)
        text_add(t, "<th%s>%s</th>", *names[i] == '<' ? " class=\"words\"" : "",
                 names[i] + (*names[i] == '<'));
    text_add(t, "</tr>\n");
}

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- head ---- */

static void page_head(struct text *t, const struct train_report *r) {
    char interval[16];
    tstamp_interval_format(interval, r->config->interval_ns);
    text_add(t,
             "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n"
             "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
             "content=\"width=device-width, initial-scale=1\"/>\n"
             "<title>Trained voters, %s, %zu symbols</title>\n",
             interval, r->series_count);
    text_add(t, "%s</head>\n<body>\n<h1>Trained voters</h1>\n", STYLE);
    text_add(t, "<p class=\"soft\">%zu symbols, bars of %s, seed %llu: ", r->series_count, interval,
             (unsigned long long)r->config->seed);
    for (size_t i = 0; i < r->series_count && i < 60; i++) {
        if (i) text_add(t, ", ");
        words(t, r->series[i].symbol);
    }
    text_add(t, "%s</p>\n", r->series_count > 60 ? ", \xE2\x80\xA6" : "");
}

static void verdicts(struct text *t, const struct train_report *r) {
    static const char *const names[] = {"voter", "votes", "<verdict", "<file"};
    heads(t, names, 4);
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        if (!r->models[k].model) continue;
        const struct learn_report *l = served_model_report(r->models[k].model);
        bool may = l->has_skill && !l->shuffled;
        text_add(t, "<tr><td>%s</td><td class=\"%s\">%s</td><td class=\"words\">",
                 train_entry_title(k), may ? "yes" : "no", may ? "yes" : "no");
        words(t, l->verdict);
        text_add(t, "</td><td class=\"words\"><code>");
        words(t, file_name(r->models[k].path));
        text_add(t, "</code></td></tr>\n");
    }
    text_add(t, "</table></div>\n");
}

/* ---- comparison ---- */

static void compare_scores(struct text *t, const struct train_report *r) {
    static const char *const names[] = {
        "",       "rows",         "log-loss",   "Brier",    "accuracy, %",
        "ECE, %", "by chance, %", "confidence", "deviation"};
    heads(t, names, 9);
    for (uint32_t e = 0; e < TRAIN_ENTRIES; e++) {
        const struct train_scores *s = &r->common[e];
        if (s->rows == 0) continue;
        text_add(t, "<tr data-entry=\"%s\"><td>%s</td><td>%llu</td>", train_entry_name(e),
                 train_entry_title(e), (unsigned long long)s->rows);
        cell(t, "%.5f", s->logloss);
        cell(t, "%.5f", s->brier);
        cell(t, "%.2f", 100 * s->accuracy);
        cell(t, "%.2f", 100 * reliability_ece(&s->best));
        cell(t, "%.2f", 100 * reliability_ece_chance(&s->best));
        cell(t, "%.3f", s->p_mean);
        cell(t, "%.4f", s->p_deviation);
        text_add(t, "</tr>\n");
    }
    text_add(t, "</table></div>\n");
}

static void trading_row(struct text *t, const struct train_report *r, uint32_t e) {
    const struct train_trading *d = &r->trading[e];
    text_add(t, "<tr data-trading=\"%s\"><td>%s</td>", train_entry_name(e), train_entry_title(e));
    cell(t, "%+.2f", 100 * d->total);
    cell(t, "%.2f", d->sharpe.value);
    if (isfinite(d->sharpe.value))
        text_add(t, "<td>%.2f to %.2f</td>", d->sharpe.low, d->sharpe.high);
    else
        text_add(t, "<td>\xE2\x80\x93</td>");
    cell(t, "%.2f", 100 * d->drawdown);
    text_add(t, "<td>%llu</td>", (unsigned long long)d->trades);
    cell(t, "%.2f", 100 * d->costs);
    cell(t, "%.1f", 100 * d->longs);
    cell(t, "%.1f", 100 * d->shorts);
    cell(t, "%+.2f", d->shifts ? 100 * d->random_total : (double)NAN);
    cell(t, "%.3f", d->shifts ? d->p_random : (double)NAN);
    text_add(t, "</tr>\n");
}

static void compare_trading(struct text *t, const struct train_report *r) {
    static const char *const names[] = {
        "",        "return, %", "Sharpe a year", "95 %", "drawdown, %", "trades", "costs, %",
        "long, %", "short, %",  "random, %",     "p"};
    heads(t, names, 11);
    for (uint32_t e = 0; e < TRAIN_ENTRIES; e++)
        if (r->trading[e].is_traded) trading_row(t, r, e);
    text_add(t, "</table></div>\n");
}

static void compare_notes(struct text *t, const struct train_report *r) {
    uint32_t shifts = 0;
    for (int e = 0; e < TRAIN_ENTRIES; e++)
        if (r->trading[e].shifts > shifts) shifts = r->trading[e].shifts;
    text_add(t,
             "<p class=\"soft\">The rule: an expected return beyond the round trip's cost (%.3f "
             "%%) takes its side with size 1 and holds it for %u bars from the last time it was "
             "said; each symbol has an equal part of the equity; %.3f %% are paid a side, funding "
             "is not counted, what is still held at the end stands at the last close. ",
             200 * r->cost_side, r->horizon_bars, 100 * r->cost_side);
    text_add(t,
             "Random entries: the same sides moved in time by %u different numbers of bars, "
             "with the same exposure, turnover and costs; 'random' is their median, p the share of "
             "them, itself included, that ended no lower. Momentum: the 24 h change beyond 1 "
             "%%, under the same rule. Buy and hold: equal parts, bought once. A return that "
             "these beat, or a Sharpe ratio whose interval holds zero, is evidence of "
             "nothing.</p>\n",
             shifts);
}

static enum status comparison(struct text *t, const struct train_report *r, struct err *err) {
    char from[TSTAMP_TEXT_SIZE], to[TSTAMP_TEXT_SIZE];
    text_add(t,
             "<h2>Side by side</h2>\n<p>Decisions from %.16s to %.16s UTC, %u bars: in the test "
             "parts of all, which no training, stopping or calibration has seen.</p>\n",
             tstamp_format(from, r->from_ns), tstamp_format(to, r->to_ns), r->bars);
    compare_scores(t, r);
    if (r->trained > 1 && r->voters == 0)
        text_add(t, "<p>No voter has skill: in service the pool is silent. The pool of all is "
                    "measured, it would not be asked.</p>\n");
    compare_trading(t, r);
    compare_notes(t, r);
    return train_picture_equity(t, r, TRAIN_ENTRIES, err);
}

/* ---- a model ---- */

static void window_row(struct text *t, const char *name, int64_t from_ns, int64_t to_ns,
                       size_t rows) {
    char from[TSTAMP_TEXT_SIZE], to[TSTAMP_TEXT_SIZE];
    text_add(t, "<tr><td>%s</td><td>%.16s</td><td>%.16s</td><td>%zu</td></tr>\n", name,
             tstamp_format(from, from_ns), tstamp_format(to, to_ns), rows);
}

static void model_windows(struct text *t, const struct learn_report *l) {
    static const char *const names[] = {"part", "from, UTC", "to", "rows"};
    heads(t, names, 4);
    window_row(t, "training", l->train_from_ns, l->train_to_ns, l->rows_train);
    window_row(t, "validation", l->valid_from_ns, l->valid_to_ns, l->rows_valid);
    window_row(t, "test", l->test_from_ns, l->test_to_ns, l->rows_test);
    text_add(t, "</table></div>\n");
}

static void model_figures(struct text *t, const struct train_report *r, uint32_t k) {
    static const char *const names[] = {"log-loss",    "of the prior", "skill t", "direction t",
                                        "accuracy, %", "balanced, %",  "ECE, %",  "rounds"};
    const struct learn_report *l = served_model_report(r->models[k].model);
    heads(t, names, 8);
    text_add(t, "<tr data-model=\"%s\">", model_kind_text((enum model_kind)k));
    cell(t, "%.5f", l->logloss_test);
    cell(t, "%.5f", l->logloss_prior);
    cell(t, "%.2f", l->skill_t);
    cell(t, "%.2f", l->side_t);
    cell(t, "%.2f", 100 * l->accuracy);
    cell(t, "%.2f", 100 * l->balanced_accuracy);
    cell(t, "%.2f", 100 * l->ece);
    text_add(t, "<td>%u</td></tr>\n</table></div>\n", l->rounds);
    text_add(t,
             "<p class=\"soft\">Labels in training: SELL %.1f %%, HOLD %.1f %%, BUY %.1f %%; "
             "best labels on test: %.1f, %.1f, %.1f %%.",
             100 * l->share[LABEL_SELL], 100 * l->share[LABEL_HOLD], 100 * l->share[LABEL_BUY],
             100 * l->predicted_share[LABEL_SELL], 100 * l->predicted_share[LABEL_HOLD],
             100 * l->predicted_share[LABEL_BUY]);
    if (!isnan(l->mse_path))
        text_add(t,
                 " The path's mean square error at the horizon, in volatilities: %.5f; no "
                 "change %.5f, DLinear %.5f.",
                 l->mse_path, l->mse_persistence, l->mse_dlinear);
    if (r->models[k].scores.rows != l->rows_test)
        text_add(t,
                 " Training thinned its rows: the figures above are of %zu of the test part's "
                 "rows, the pictures of all %llu.",
                 l->rows_test, (unsigned long long)r->models[k].scores.rows);
    text_add(t, "</p>\n");
}

static enum status model_pictures(struct text *t, const struct train_report *r, uint32_t k,
                                  struct err *err) {
    const struct train_model *m = &r->models[k];
    enum status st = train_picture_reliability(t, &m->scores, "Reliability on test rows", err);
    if (st == ST_OK) st = train_picture_confidences(t, &m->scores, "Confidences on test rows", err);
    if (st == ST_OK && m->curve.count) st = train_picture_curve(t, r, k, err);
    if (st == ST_OK && m->importance.count) st = train_picture_importance(t, r, k, err);
    if (st == ST_OK) st = train_picture_equity(t, r, k, err);
    return st;
}

static enum status model_section(struct text *t, const struct train_report *r, uint32_t k,
                                 struct err *err) {
    const struct learn_report *l = served_model_report(r->models[k].model);
    bool may = l->has_skill && !l->shuffled;
    text_add(t, "<section id=\"%s\">\n<h2>%s</h2>\n<p class=\"verdict %s\">",
             model_kind_text((enum model_kind)k), train_entry_title(k), may ? "yes" : "no");
    words(t, l->verdict);
    text_add(t, "</p>\n");
    model_windows(t, l);
    model_figures(t, r, k);
    text_add(t, "<table>\n");
    cell_words(t, "parameters", l->params);
    cell_words(t, "file", r->models[k].path);
    text_add(t, "</table>\n");
    enum status st = model_pictures(t, r, k, err);
    text_add(t, "</section>\n");
    return st;
}

static enum status pool_section(struct text *t, const struct train_report *r, uint32_t e,
                                struct err *err) {
    text_add(t,
             "<section id=\"%s\">\n<h2>%s</h2>\n<p>%s Log-opinion pool of the calibrated "
             "probabilities, equal weights.</p>\n",
             train_entry_name(e), e == TRAIN_POOL_ALL ? "Pool of all" : "Pool of those with skill",
             e == TRAIN_POOL_ALL ? "Every voter, whatever its verdict."
                                 : "What the ensemble would have said with these files.");
    enum status st =
        train_picture_reliability(t, &r->common[e], "Reliability on common test rows", err);
    if (st == ST_OK)
        st = train_picture_confidences(t, &r->common[e], "Confidences on common test rows", err);
    if (st == ST_OK) st = train_picture_equity(t, r, e, err);
    text_add(t, "</section>\n");
    return st;
}

/* JSON's letters that a document would take for its own, as JSON's escapes; they stand in its strings only. */
static void figures(struct text *t, const char *json) {
    text_add(t, "<script type=\"application/json\" id=\"figures\">");
    for (const char *p = json; *p;) {
        size_t plain = strcspn(p, "<>&");
        text_add_raw(t, p, plain);
        p += plain;
        if (*p) text_add(t, "\\u%04x", (unsigned)*p++);
    }
    text_add(t, "</script>\n");
}

enum status train_report_page(char **out, size_t *size, const struct train_report *r,
                              const char *json, struct err *err) {
    struct text t = {0};
    *out = NULL;
    *size = 0;
    page_head(&t, r);
    verdicts(&t, r);
    enum status st = comparison(&t, r, err);
    for (uint32_t k = 0; k < MODEL_COUNT && st == ST_OK; k++)
        if (r->models[k].model) st = model_section(&t, r, k, err);
    for (uint32_t e = TRAIN_POOL_SERVED; e <= TRAIN_POOL_ALL && st == ST_OK; e++)
        if (r->common[e].rows) st = pool_section(&t, r, e, err);
    figures(&t, json);
    text_add(&t, "</body>\n</html>\n");
    if (st == ST_OK && t.failed) st = err_set(err, ST_NO_MEMORY, "no memory for the page");
    if (st != ST_OK) {
        free(t.data);
        return st;
    }
    *out = t.data;
    *size = t.size;
    return ST_OK;
}

/* ---- text ---- */

static void print_window(const char *name, int64_t from_ns, int64_t to_ns, size_t rows) {
    char from[TSTAMP_TEXT_SIZE], to[TSTAMP_TEXT_SIZE];
    printf("  %-11s %.16s .. %.16s  %zu rows\n", name, tstamp_format(from, from_ns),
           tstamp_format(to, to_ns), rows);
}

static void print_model(const struct learn_report *r, const char *path) {
    printf("model %s\n", path);
    print_window("training", r->train_from_ns, r->train_to_ns, r->rows_train);
    print_window("validation", r->valid_from_ns, r->valid_to_ns, r->rows_valid);
    print_window("test", r->test_from_ns, r->test_to_ns, r->rows_test);
    printf("  symbols     %zu, rounds %u\n", r->symbols, r->rounds);
    printf("  parameters  %s\n", r->params);
    printf("  labels      SELL %.1f %%, HOLD %.1f %%, BUY %.1f %%\n", 100 * r->share[LABEL_SELL],
           100 * r->share[LABEL_HOLD], 100 * r->share[LABEL_BUY]);
    printf("  answers     SELL %.1f %%, HOLD %.1f %%, BUY %.1f %% (test)\n",
           100 * r->predicted_share[LABEL_SELL], 100 * r->predicted_share[LABEL_HOLD],
           100 * r->predicted_share[LABEL_BUY]);
    printf("  log-loss    %.5f, prior %.5f (test)\n", r->logloss_test, r->logloss_prior);
    printf("  skill       t %.2f overall, t %.2f in direction; both must pass 3\n", r->skill_t,
           r->side_t);
    printf("  accuracy    %.1f %%, balanced %.1f %%, calibration error %.1f %%\n",
           100 * r->accuracy, 100 * r->balanced_accuracy, 100 * r->ece);
    if (!isnan(r->mse_path))
        printf("  path        mean square error %.5f at the horizon, in volatilities; no change "
               "%.5f, DLinear %.5f\n",
               r->mse_path, r->mse_persistence, r->mse_dlinear);
    printf("%s\n", r->verdict);
    if (r->shuffled) printf("labels were shuffled: this model will not vote\n");
}

static void print_comparison(const struct train_report *r) {
    char from[TSTAMP_TEXT_SIZE], to[TSTAMP_TEXT_SIZE];
    printf("side by side, %.16s .. %.16s, %u bars, net of %.3f %% a side\n",
           tstamp_format(from, r->from_ns), tstamp_format(to, r->to_ns), r->bars,
           100 * r->cost_side);
    printf("  %-26s %9s %8s %10s %18s %9s\n", "", "log-loss", "ECE, %", "return, %", "Sharpe, 95 %",
           "p chance");
    for (uint32_t e = 0; e < TRAIN_ENTRIES; e++) {
        const struct train_trading *d = &r->trading[e];
        const struct train_scores *s = &r->common[e];
        char loss[16] = "-", ece[16] = "-", sharpe[48] = "-", chance[16] = "-";
        if (!d->is_traded) continue;
        if (s->rows) {
            snprintf(loss, sizeof loss, "%.5f", s->logloss);
            snprintf(ece, sizeof ece, "%.2f", 100 * reliability_ece(&s->best));
        }
        if (isfinite(d->sharpe.value))
            snprintf(sharpe, sizeof sharpe, "%.1f .. %.1f", d->sharpe.low, d->sharpe.high);
        if (d->shifts) snprintf(chance, sizeof chance, "%.3f", d->p_random);
        printf("  %-26s %9s %8s %+10.2f %18s %9s\n", train_entry_title(e), loss, ece,
               100 * d->total, sharpe, chance);
    }
}

void train_report_text(const struct train_report *r) {
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (r->models[k].model)
            print_model(served_model_report(r->models[k].model), r->models[k].path);
    if (r->is_measured) print_comparison(r);
}
