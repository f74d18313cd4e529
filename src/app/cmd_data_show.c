/* quantum data show: bars of one series, and its contract. */
#include "app/cmd_data.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "base/tstamp.h"
#include "store/candles.h"

static const char usage_show[] =
    "usage: quantum data show [options] SYMBOL\n"
    "  --market M      um, spot or mark (default: um)\n"
    "  --interval I    default: the smallest the store has of the symbol\n"
    "  --rows N        bars at each end (default: 3)\n"
    "  --from T        N bars from this time instead: 2024-10-28 or 2024-10-28T07:00:00Z\n"
    "  --store DIR, --state DIR   as for import\n"
    "  --json\n"
    "example: quantum data show --interval 1h --rows 5 BTCUSDT\n";

/* clang-format off */
static const struct option options_show[] = {
    {"store", required_argument, NULL, OPT_STORE}, {"state", required_argument, NULL, OPT_STATE},
    {"market", required_argument, NULL, OPT_MARKET}, {"interval", required_argument, NULL, OPT_INTERVAL},
    {"rows", required_argument, NULL, OPT_ROWS}, {"from", required_argument, NULL, OPT_FROM},
    {"json", no_argument, NULL, OPT_JSON}, {"help", no_argument, NULL, OPT_HELP}, {0}};
/* clang-format on */

struct show {
    const struct data_options *o;
    struct candles candles;
    struct instrument instrument;
    size_t begin[2], end[2]; /* two stretches of bars; the second may be empty */
};

static void choose_bars(struct show *s) {
    size_t n = s->candles.count, rows = s->o->rows;
    if (s->o->has_from) {
        size_t i = 0;
        while (i < n && s->candles.bars[i].open_ts_ns < s->o->from_ns) i++;
        s->begin[0] = i;
        s->end[0] = n - i < rows ? n : i + rows;
    } else if (n <= 2 * rows) {
        s->end[0] = n;
    } else {
        s->end[0] = rows;
        s->begin[1] = n - rows;
        s->end[1] = n;
    }
}

static void write_f64_or_null(struct json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value); /* not a number becomes null */
}

static void write_bar(struct json_writer *w, const struct bar *b) {
    json_write_object_begin(w);
    data_write_time(w, "open_time", b->open_ts_ns);
    data_write_e8(w, "open", b->open.e8);
    data_write_e8(w, "high", b->high.e8);
    data_write_e8(w, "low", b->low.e8);
    data_write_e8(w, "close", b->close.e8);
    write_f64_or_null(w, "volume", b->volume);
    write_f64_or_null(w, "quote_volume", b->quote_volume);
    write_f64_or_null(w, "taker_buy_ratio", (double)b->taker_buy_ratio);
    json_write_key(w, "count");
    if (b->trade_count == BAR_COUNT_UNKNOWN)
        json_write_null(w);
    else
        json_write_u64(w, b->trade_count);
    json_write_object_end(w);
}

static void write_instrument(struct json_writer *w, const struct instrument *in) {
    json_write_object_begin(w);
    data_write_e8(w, "tick_size", in->tick_size.e8);
    data_write_e8(w, "px_min", in->px_min.e8);
    data_write_e8(w, "px_max", in->px_max.e8);
    data_write_e8(w, "step_size", in->step_size.e8);
    data_write_e8(w, "qty_min", in->qty_min.e8);
    data_write_e8(w, "qty_max", in->qty_max.e8);
    data_write_e8(w, "market_qty_max", in->market_qty_max.e8);
    data_write_e8(w, "notional_min", in->notional_min.e8);
    data_write_u64(w, "funding_interval_hours", (uint64_t)(in->funding_interval_ns / NS_PER_HOUR));
    json_write_key(w, "inferred");
    json_write_bool(w, in->flags & INSTRUMENT_INFERRED);
    json_write_key(w, "funding_assumed");
    json_write_bool(w, in->flags & INSTRUMENT_FUNDING_ASSUMED);
    json_write_key(w, "synthetic");
    json_write_bool(w, in->flags & INSTRUMENT_SYNTHETIC);
    json_write_key(w, "brackets");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < in->bracket_count; i++) {
        const struct bracket *b = &in->brackets[i];
        json_write_object_begin(w);
        data_write_e8(w, "notional_cap", b->notional_cap.e8);
        data_write_e8(w, "maint_margin_rate", b->maint_margin_rate.e8);
        data_write_e8(w, "maint_amount", b->maint_amount.e8);
        data_write_u64(w, "leverage_max", b->leverage_max);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_show(struct json_writer *w, const void *subject) {
    const struct show *s = subject;
    char interval[16];
    json_write_object_begin(w);
    data_write_text(w, "symbol", s->candles.symbol);
    data_write_text(w, "market", s->candles.market);
    data_write_text(w, "interval", tstamp_interval_format(interval, s->candles.interval_ns));
    data_write_u64(w, "bars_total", s->candles.count);
    json_write_key(w, "bars");
    json_write_array_begin(w);
    for (int k = 0; k < 2; k++)
        for (size_t i = s->begin[k]; i < s->end[k]; i++) write_bar(w, &s->candles.bars[i]);
    json_write_array_end(w);
    json_write_key(w, "instrument");
    write_instrument(w, &s->instrument);
    json_write_object_end(w);
}

static void print_bar(const struct bar *b) {
    char at[TSTAMP_TEXT_SIZE], px[4][FX_TEXT_SIZE];
    const int64_t e8[] = {b->open.e8, b->high.e8, b->low.e8, b->close.e8};
    for (int i = 0; i < 4; i++) fx_format(px[i], e8[i]);
    printf("%.16s  %14s %14s %14s %14s  %16.8g", tstamp_format(at, b->open_ts_ns), px[0], px[1],
           px[2], px[3], b->volume);
    if (isnan(b->quote_volume))
        printf(" %16s", "-");
    else
        printf(" %16.8g", b->quote_volume);
    if (b->trade_count == BAR_COUNT_UNKNOWN)
        printf(" %8s", "-");
    else
        printf(" %8u", b->trade_count);
    if (isnan((double)b->taker_buy_ratio))
        printf(" %6s\n", "-");
    else
        printf(" %6.3f\n", (double)b->taker_buy_ratio);
}

static void print_instrument(const struct instrument *in) {
    char a[FX_TEXT_SIZE], b[FX_TEXT_SIZE], c[FX_TEXT_SIZE];
    fx_format(a, in->tick_size.e8);
    fx_format(b, in->step_size.e8);
    fx_format(c, in->notional_min.e8);
    printf("contract: tick %s, step %s, least notional %s, funding every %lld h%s%s%s\n", a, b, c,
           (long long)(in->funding_interval_ns / NS_PER_HOUR),
           in->flags & INSTRUMENT_INFERRED ? ", filters INFERRED from its bars" : "",
           in->flags & INSTRUMENT_FUNDING_ASSUMED ? ", funding ASSUMED" : "",
           in->flags & INSTRUMENT_SYNTHETIC ? ", SYNTHETIC" : "");
    fx_format(a, in->px_min.e8);
    fx_format(b, in->px_max.e8);
    printf("          price %s … %s", a, b);
    fx_format(a, in->qty_min.e8);
    fx_format(b, in->qty_max.e8);
    fx_format(c, in->market_qty_max.e8);
    printf(", quantity %s … %s (market %s)\n", a, b, c);
    for (uint32_t i = 0; i < in->bracket_count; i++) {
        const struct bracket *k = &in->brackets[i];
        fx_format(a, k->notional_cap.e8);
        fx_format(b, k->maint_margin_rate.e8);
        printf("          up to %s: %ux, maintenance %s\n", a, k->leverage_max, b);
    }
}

static int print_show(const struct show *s) {
    char interval[16];
    printf("%s %s %s: %zu bars%s\n", s->candles.market,
           tstamp_interval_format(interval, s->candles.interval_ns), s->candles.symbol,
           s->candles.count, s->candles.flags & INSTRUMENT_SYNTHETIC ? ", synthetic" : "");
    printf("%-16s  %14s %14s %14s %14s  %16s %16s %8s %6s\n", "open time", "open", "high", "low",
           "close", "volume", "quote volume", "trades", "taker");
    for (int k = 0; k < 2; k++) {
        if (k && s->end[1]) puts("…");
        for (size_t i = s->begin[k]; i < s->end[k]; i++) print_bar(&s->candles.bars[i]);
    }
    print_instrument(&s->instrument);
    return EXIT_DONE;
}

/* The smallest interval at which the store has the symbol. */
static enum status find_interval(struct data_options *o, struct err *err) {
    struct candles_series series[CANDLES_SERIES_MAX];
    size_t count;
    enum status st = candles_series_list(series, &count, o->store, err);
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        struct candles c;
        if (strcmp(series[i].market, o->market) != 0) continue;
        if (candles_open(&c, o->store, o->market, series[i].interval_ns, o->names[0], NULL) ==
            ST_NOT_FOUND)
            continue;
        candles_close(&c);
        o->interval_ns = series[i].interval_ns;
        return ST_OK;
    }
    return st == ST_OK ? err_set(err, ST_NOT_FOUND, "no %s bars of %s in %s", o->market,
                                 o->names[0], o->store)
                       : st;
}

int data_show(int argc, char **argv) {
    struct data_options o;
    int code = data_options_read(&o, argc, argv, options_show, usage_show);
    if (code >= 0) return code;
    if (o.name_count != 1) return data_usage_error(usage_show, "show takes one symbol", "");
    if (!o.market) o.market = "um";
    struct show s = {.o = &o};
    struct err err = {0};
    enum status st = o.interval_ns ? ST_OK : find_interval(&o, &err);
    if (st == ST_OK)
        st = candles_open(&s.candles, o.store, o.market, o.interval_ns, o.names[0], &err);
    if (st == ST_OK) st = instrument_load(&s.instrument, o.store, o.names[0], &s.candles, &err);
    if (st == ST_OK) {
        choose_bars(&s);
        code = o.json ? data_print_json(write_show, &s) : print_show(&s);
    } else {
        code = data_failed(&err);
    }
    candles_close(&s.candles);
    return code;
}
