/* quantum data list and check: one row per series. */
#include "app/cmd_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "base/tstamp.h"
#include "store/candles.h"
#include "store/rules.h"

static const char usage_list[] = "usage: quantum data list [--store DIR] [--state DIR] [--json]\n"
                                 "example: quantum data list --json | jq '.series[].symbol'\n";

static const char usage_check[] =
    "usage: quantum data check [options] [SYMBOL…]\n"
    "Verifies every block's checksum, that bars are possible and in order, and counts holes.\n"
    "  --market M, --interval I   only these (default: all)\n"
    "  --store DIR, --state DIR   as for import\n"
    "  --json\n"
    "Exit code 1 if anything is damaged; holes are a fact of the source, not damage.\n"
    "example: quantum data check --interval 1h BTCUSDT\n";

/* clang-format off */
static const struct option options_list[] = {
    {"store", required_argument, NULL, OPT_STORE}, {"state", required_argument, NULL, OPT_STATE},
    {"json", no_argument, NULL, OPT_JSON}, {"help", no_argument, NULL, OPT_HELP}, {0}};
/* clang-format on */
/* clang-format off */
static const struct option options_check[] = {
    {"store", required_argument, NULL, OPT_STORE}, {"state", required_argument, NULL, OPT_STATE},
    {"market", required_argument, NULL, OPT_MARKET}, {"interval", required_argument, NULL, OPT_INTERVAL},
    {"json", no_argument, NULL, OPT_JSON}, {"help", no_argument, NULL, OPT_HELP}, {0}};
/* clang-format on */

/* ---- every series of the store, one after the other ---- */

struct series_visit {
    const struct data_options *o;
    bool (*visit)(void *context, struct candles *c, enum status st, const struct err *err);
    void *context;
};

static bool is_named(const struct data_options *o, const char *symbol) {
    for (int i = 0; i < o->name_count; i++)
        if (strcmp(o->names[i], symbol) == 0) return true;
    return o->name_count == 0;
}

static enum status visit_symbols(const struct series_visit *v, const struct candles_series *s,
                                 struct err *err) {
    struct candles_list list;
    enum status st = candles_list(&list, v->o->store, s->market, s->interval_ns, err);
    if (st != ST_OK) return st;
    for (size_t i = 0; i < list.count; i++) {
        struct candles c;
        struct err why = {0};
        if (!is_named(v->o, list.symbols[i])) continue;
        enum status opened =
            candles_open(&c, v->o->store, s->market, s->interval_ns, list.symbols[i], &why);
        bool go_on = v->visit(v->context, &c, opened, &why);
        candles_close(&c);
        if (!go_on) break;
    }
    candles_list_free(&list);
    return ST_OK;
}

static enum status visit_series(const struct series_visit *v, struct err *err) {
    struct candles_series series[CANDLES_SERIES_MAX];
    size_t count;
    enum status st = candles_series_list(series, &count, v->o->store, err);
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        if (v->o->market && strcmp(v->o->market, series[i].market) != 0) continue;
        if (v->o->interval_ns && v->o->interval_ns != series[i].interval_ns) continue;
        st = visit_symbols(v, &series[i], err);
    }
    return st;
}

/* ---- list and check: one row per series ---- */

struct series_row {
    char market[MARKET_SIZE], symbol[SYMBOL_SIZE], interval[16];
    size_t bars;
    int64_t first_ns, last_ns;
    uint32_t flags;
    uint64_t gaps, bars_missing, zero_volume;
    bool damaged;
    char text[ERR_TEXT_SIZE];
};

struct funding_row {
    char symbol[SYMBOL_SIZE];
    size_t rows;
    int64_t first_ns, last_ns;
    bool damaged;
    char text[ERR_TEXT_SIZE];
};

struct survey {
    const struct data_options *o;
    struct series_row *series;
    size_t series_count, series_capacity;
    struct funding_row *funding;
    size_t funding_count;
    size_t filters, brackets; /* contracts with them */
    bool verify, no_memory, damaged;
    char rules_text[ERR_TEXT_SIZE]; /* what is wrong with the rules file */
};

static void count_holes(struct series_row *row, const struct candles *c) {
    bool has_volume = strcmp(c->market, "mark") != 0;
    for (size_t i = 0; i < c->count; i++) {
        row->zero_volume += has_volume && c->bars[i].volume == 0;
        if (i == 0) continue;
        int64_t missing = (c->bars[i].open_ts_ns - c->bars[i - 1].open_ts_ns) / c->interval_ns - 1;
        row->gaps += missing > 0;
        row->bars_missing += (uint64_t)missing;
    }
}

static bool survey_series(void *context, struct candles *c, enum status st, const struct err *err) {
    struct survey *s = context;
    if (s->series_count == s->series_capacity) {
        size_t larger = s->series_capacity ? 2 * s->series_capacity : 128;
        struct series_row *grown = realloc(s->series, larger * sizeof *grown);
        if (!grown) {
            s->no_memory = true;
            return false;
        }
        s->series = grown;
        s->series_capacity = larger;
    }
    struct series_row *row = &s->series[s->series_count++];
    struct err why = *err;
    *row = (struct series_row){.bars = c->count, .flags = c->flags};
    if (st == ST_OK && s->verify) st = candles_verify(c, &why);
    if (st == ST_OK) {
        snprintf(row->market, sizeof row->market, "%s", c->market);
        snprintf(row->symbol, sizeof row->symbol, "%s", c->symbol);
        tstamp_interval_format(row->interval, c->interval_ns);
        if (c->count) {
            row->first_ns = c->bars[0].open_ts_ns;
            row->last_ns = c->bars[c->count - 1].open_ts_ns;
        }
        if (s->verify) count_holes(row, c);
    } else {
        row->damaged = s->damaged = true;
        snprintf(row->text, sizeof row->text, "%s", why.text);
    }
    return true;
}

static enum status survey_funding(struct survey *s, struct err *err) {
    struct candles_list list;
    enum status st = funding_list(&list, s->o->store, err);
    if (st != ST_OK) return st;
    s->funding = calloc(list.count ? list.count : 1, sizeof *s->funding);
    if (!s->funding) s->no_memory = true;
    for (size_t i = 0; i < list.count && s->funding; i++) {
        struct funding f;
        struct err why = {0};
        if (!is_named(s->o, list.symbols[i])) continue;
        struct funding_row *row = &s->funding[s->funding_count++];
        memcpy(row->symbol, list.symbols[i], SYMBOL_SIZE);
        if (funding_open(&f, s->o->store, row->symbol, &why) != ST_OK) {
            row->damaged = s->damaged = true;
            memcpy(row->text, why.text, sizeof row->text);
        } else if (f.count) {
            row->rows = f.count;
            row->first_ns = f.rows[0].ts_ns;
            row->last_ns = f.rows[f.count - 1].ts_ns;
        }
        funding_close(&f);
    }
    candles_list_free(&list);
    return ST_OK;
}

static void survey_rules(struct survey *s) {
    struct rules_map map;
    struct err why = {0};
    if (rules_open(&map, s->o->store, &why) != ST_OK) {
        s->damaged = true;
        memcpy(s->rules_text, why.text, sizeof s->rules_text);
        return;
    }
    for (size_t i = 0; i < map.count; i++) {
        s->filters += (map.rows[i].sources & RULES_FILTERS) != 0;
        s->brackets += (map.rows[i].sources & RULES_BRACKETS) != 0;
    }
    rules_close(&map);
}

static void write_survey(struct json_writer *w, const void *subject) {
    const struct survey *s = subject;
    json_write_object_begin(w);
    data_write_text(w, "store", s->o->store);
    json_write_key(w, "series");
    json_write_array_begin(w);
    for (size_t i = 0; i < s->series_count; i++) {
        const struct series_row *r = &s->series[i];
        json_write_object_begin(w);
        if (r->damaged) {
            data_write_text(w, "damage", r->text);
        } else {
            data_write_text(w, "market", r->market);
            data_write_text(w, "interval", r->interval);
            data_write_text(w, "symbol", r->symbol);
            data_write_u64(w, "bars", r->bars);
            data_write_time(w, "first", r->first_ns);
            data_write_time(w, "last", r->last_ns);
            json_write_key(w, "synthetic");
            json_write_bool(w, r->flags & INSTRUMENT_SYNTHETIC);
            if (s->verify) {
                data_write_u64(w, "gaps", r->gaps);
                data_write_u64(w, "bars_missing", r->bars_missing);
                data_write_u64(w, "zero_volume_bars", r->zero_volume);
            }
        }
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_key(w, "funding");
    json_write_array_begin(w);
    for (size_t i = 0; i < s->funding_count; i++) {
        const struct funding_row *r = &s->funding[i];
        json_write_object_begin(w);
        data_write_text(w, "symbol", r->symbol);
        if (r->damaged) {
            data_write_text(w, "damage", r->text);
        } else {
            data_write_u64(w, "rows", r->rows);
            data_write_time(w, "first", r->first_ns);
            data_write_time(w, "last", r->last_ns);
        }
        json_write_object_end(w);
    }
    json_write_array_end(w);
    data_write_u64(w, "contracts_with_filters", s->filters);
    data_write_u64(w, "contracts_with_brackets", s->brackets);
    if (s->rules_text[0]) data_write_text(w, "contracts_damage", s->rules_text);
    json_write_object_end(w);
}

static void print_survey(const struct survey *s) {
    char first[TSTAMP_TEXT_SIZE], last[TSTAMP_TEXT_SIZE];
    if (s->series_count)
        printf("%-6s %-8s %-16s %10s  %-16s %-16s%s\n", "market", "interval", "symbol", "bars",
               "first", "last", s->verify ? "   gaps missing   zero" : "");
    for (size_t i = 0; i < s->series_count; i++) {
        const struct series_row *r = &s->series[i];
        if (r->damaged) {
            printf("DAMAGED %s\n", r->text);
            continue;
        }
        tstamp_format(first, r->first_ns);
        tstamp_format(last, r->last_ns);
        printf("%-6s %-8s %-16s %10zu  %.16s %.16s", r->market, r->interval, r->symbol, r->bars,
               first, last);
        if (s->verify)
            printf(" %6llu %7llu %6llu", (unsigned long long)r->gaps,
                   (unsigned long long)r->bars_missing, (unsigned long long)r->zero_volume);
        puts(r->flags & INSTRUMENT_SYNTHETIC ? "  synthetic" : "");
    }
    for (size_t i = 0; i < s->funding_count; i++) {
        const struct funding_row *r = &s->funding[i];
        if (r->damaged)
            printf("DAMAGED %s\n", r->text);
        else
            printf("%-15s %-16s %10zu  %.16s %.16s\n", "funding", r->symbol, r->rows,
                   tstamp_format(first, r->first_ns), tstamp_format(last, r->last_ns));
    }
    if (s->rules_text[0]) printf("DAMAGED %s\n", s->rules_text);
    printf(
        "%zu series, %zu funding histories, contracts: %zu with filters, %zu with brackets (%s)\n",
        s->series_count, s->funding_count, s->filters, s->brackets, s->o->store);
}

static int survey_run(const struct data_options *o, bool verify) {
    struct survey s = {.o = o, .verify = verify};
    struct series_visit v = {o, survey_series, &s};
    struct err err = {0};
    enum status st = visit_series(&v, &err);
    if (st == ST_OK && !o->market && !o->interval_ns) st = survey_funding(&s, &err);
    if (st == ST_OK) survey_rules(&s);
    int code = EXIT_FAILED;
    if (s.no_memory)
        fprintf(stderr, "data: out of memory\n");
    else if (st != ST_OK)
        data_failed(&err);
    else if (o->json)
        code = data_print_json(write_survey, &s);
    else {
        print_survey(&s);
        code = EXIT_DONE;
    }
    bool nothing = s.series_count == 0 && s.funding_count == 0 && o->name_count > 0;
    if (code == EXIT_DONE && nothing) {
        fprintf(stderr, "data: the store has nothing of that name\n");
        code = EXIT_FAILED;
    }
    free(s.series);
    free(s.funding);
    return code == EXIT_DONE && s.damaged ? EXIT_FAILED : code;
}

int data_list(int argc, char **argv) {
    struct data_options o;
    int code = data_options_read(&o, argc, argv, options_list, usage_list);
    if (code >= 0) return code;
    if (o.name_count) return data_usage_error(usage_list, "unexpected: ", o.names[0]);
    return survey_run(&o, false);
}

int data_check(int argc, char **argv) {
    struct data_options o;
    int code = data_options_read(&o, argc, argv, options_check, usage_check);
    return code >= 0 ? code : survey_run(&o, true);
}
