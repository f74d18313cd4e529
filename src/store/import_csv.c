#include "store/import_csv.h"

#include <math.h>
#include <string.h>

#include "base/numtext.h"
#include "base/tstamp.h"
#include "store/fs.h"

/* Names of the archive first, then those other tools write for the same columns. */
static const struct {
    char name[24];
    enum csv_field field;
} names[] = {
    {"open_time", CSV_OPEN_TIME},
    {"open", CSV_OPEN},
    {"high", CSV_HIGH},
    {"low", CSV_LOW},
    {"close", CSV_CLOSE},
    {"volume", CSV_VOLUME},
    {"quote_volume", CSV_QUOTE_VOLUME},
    {"quote_asset_volume", CSV_QUOTE_VOLUME},
    {"count", CSV_COUNT},
    {"number_of_trades", CSV_COUNT},
    {"taker_buy_volume", CSV_TAKER_BUY_VOLUME},
    {"taker_buy_base_volume", CSV_TAKER_BUY_VOLUME},
    {"funding_time", CSV_FUNDING_TIME},
    {"calc_time", CSV_FUNDING_TIME},
    {"funding_rate", CSV_FUNDING_RATE},
    {"last_funding_rate", CSV_FUNDING_RATE},
    {"symbol", CSV_SYMBOL},
    {"notional_floor", CSV_NOTIONAL_FLOOR},
    {"notional_cap", CSV_NOTIONAL_CAP},
    {"initial_leverage", CSV_LEVERAGE},
    {"maint_margin_ratio", CSV_MAINT_RATE},
    {"cum", CSV_MAINT_AMOUNT},
};

size_t csv_split(struct csv_text out[CSV_COLUMNS_MAX], const char *line, size_t size) {
    if (size && line[size - 1] == '\r') size--;
    size_t n = 0;
    const char *end = line + size;
    for (const char *p = line;; p++) {
        const char *comma = p == end ? NULL : memchr(p, ',', (size_t)(end - p));
        const char *stop = comma ? comma : end;
        if (n < CSV_COLUMNS_MAX) out[n] = (struct csv_text){p, (size_t)(stop - p)};
        n++;
        if (!comma) return n;
        p = comma;
    }
}

static bool has(const struct csv_layout *l, enum csv_field first, enum csv_field last) {
    for (int f = (int)first; f <= (int)last; f++)
        if (l->at[f] < 0) return false;
    return true;
}

static const char *detect_headerless(struct csv_layout *out, size_t columns, bool funding) {
    if (columns == 12) {
        static const int8_t at[] = {0, 1, 2, 3, 4, 5, 7, 8, 9};
        out->kind = CSV_KLINES;
        memcpy(&out->at[CSV_OPEN_TIME], at, sizeof at);
        return NULL;
    }
    if (columns == 3 && funding) {
        out->kind = CSV_FUNDING;
        out->at[CSV_FUNDING_TIME] = 0;
        out->at[CSV_FUNDING_RATE] = 2;
        return NULL;
    }
    return "no header, and not the 12 columns of klines";
}

static void read_header(struct csv_layout *out, const struct csv_text *fields, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (fields[i].size == strlen(names[k].name) &&
                memcmp(fields[i].data, names[k].name, fields[i].size) == 0 &&
                out->at[names[k].field] < 0)
                out->at[names[k].field] = (int8_t)i;
}

const char *csv_layout_detect(struct csv_layout *out, const char *line, size_t size, bool mark,
                              bool funding) {
    struct csv_text fields[CSV_COLUMNS_MAX];
    *out = (struct csv_layout){.mark = mark};
    memset(out->at, -1, sizeof out->at);
    out->columns = csv_split(fields, line, size);
    if (out->columns > CSV_COLUMNS_MAX) return "more than 32 columns";
    if (fields[0].size == 0) return "the first line is empty or begins with a comma";
    const char *fault = NULL;
    if (fields[0].data[0] >= '0' && fields[0].data[0] <= '9') {
        fault = detect_headerless(out, out->columns, funding);
    } else {
        out->has_header = true;
        read_header(out, fields, out->columns);
        if (has(out, CSV_OPEN_TIME, CSV_CLOSE))
            out->kind = CSV_KLINES;
        else if (has(out, CSV_FUNDING_TIME, CSV_FUNDING_RATE))
            out->kind = CSV_FUNDING;
        else if (has(out, CSV_SYMBOL, CSV_MAINT_AMOUNT))
            out->kind = CSV_BRACKETS;
        else
            return "neither the header of klines nor of funding nor of leverage brackets";
    }
    if (!fault && out->kind == CSV_KLINES && !mark && out->at[CSV_VOLUME] < 0)
        return "no volume column: are these mark prices? (--market mark)";
    return fault;
}

/* Plain digits with at most eight behind the point, which is nearly all there are; everything else
 * takes the long way. */
static enum status parse_px(int64_t *out_e8, struct csv_text t, bool truncate) {
    int64_t value = 0;
    size_t i = 0, decimals = 0;
    if (t.size && t.size <= 17) {
        for (; i < t.size && t.data[i] >= '0' && t.data[i] <= '9'; i++)
            value = value * 10 + (t.data[i] - '0');
        if (i && i + 1 < t.size && t.data[i] == '.') {
            size_t point = i;
            for (i++; i < t.size && t.data[i] >= '0' && t.data[i] <= '9'; i++)
                value = value * 10 + (t.data[i] - '0');
            decimals = i - point - 1;
        }
        static const int64_t scale[] = {100000000, 10000000, 1000000, 100000, 10000,
                                        1000,      100,      10,      1};
        if (i == t.size && decimals <= 8 && value <= INT64_MAX / scale[decimals]) {
            *out_e8 = value * scale[decimals];
            return ST_OK;
        }
    }
    return truncate ? fx_parse_truncate(out_e8, t.data, t.size) : fx_parse(out_e8, t.data, t.size);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* digits [. digits] [e [sign] digits]: what numtext_parse_f64 wants checked. */
static bool is_decimal(struct csv_text t) {
    size_t i = 0, n;
    for (n = 0; i < t.size && is_digit(t.data[i]); i++) n++;
    if (!n) return false;
    if (i < t.size && t.data[i] == '.') {
        i++;
        for (n = 0; i < t.size && is_digit(t.data[i]); i++) n++;
        if (!n) return false;
    }
    if (i < t.size && (t.data[i] == 'e' || t.data[i] == 'E')) {
        i++;
        if (i < t.size && (t.data[i] == '-' || t.data[i] == '+')) i++;
        for (n = 0; i < t.size && is_digit(t.data[i]); i++) n++;
        if (!n) return false;
    }
    return i == t.size;
}

/* A number >= 0 as a double, correctly rounded: up to 2^53 over a power of ten up to 10^22 is one
 * exact division (Clinger 1990); the rest takes the long way. *out_decimals: digits behind the point
 * less trailing zeros, -1 if written with an exponent. */
static bool parse_f64(double *out, int *out_decimals, struct csv_text t) {
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                   1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    uint64_t mantissa = 0;
    int point = -1, digits = 0, last_nonzero = 0;
    size_t i = 0;
    for (; i < t.size && i < 19; i++) {
        char c = t.data[i];
        if (c == '.' && point < 0 && digits) {
            point = digits;
            continue;
        }
        if (!is_digit(c)) break;
        mantissa = mantissa * 10 + (uint64_t)(c - '0');
        digits++;
        if (c != '0') last_nonzero = digits;
    }
    bool simple = i == t.size && digits && point != digits;
    *out_decimals = point < 0 || last_nonzero < point ? 0 : last_nonzero - point;
    if (simple && mantissa <= (UINT64_C(1) << 53)) {
        *out = (double)mantissa / power[point < 0 ? 0 : digits - point];
        return true;
    }
    if (!is_decimal(t)) return false;
    *out = numtext_parse_f64(t.data, t.size);
    if (!simple) {
        const char *dot = memchr(t.data, '.', t.size);
        size_t end = t.size;
        while (end && t.data[end - 1] == '0') end--;
        *out_decimals =
            dot && end > (size_t)(dot - t.data) ? (int)(end - (size_t)(dot - t.data)) - 1 : 0;
        for (i = 0; i < t.size; i++)
            if (t.data[i] == 'e' || t.data[i] == 'E') *out_decimals = -1;
    }
    return isfinite(*out);
}

/* 2010 to 2100 in ms (1.3e12 … 4.1e12) or in us; nothing else can be meant. */
static const char *parse_stamp(int64_t *out_ns, struct csv_text t) {
    int64_t value = 0;
    if (t.size == 0 || t.size > 16) return "time is not a number of ms or us";
    for (size_t i = 0; i < t.size; i++) {
        if (!is_digit(t.data[i])) return "time is not a number of ms or us";
        value = value * 10 + (t.data[i] - '0');
    }
    static const int64_t lo_ms = INT64_C(1262304000000), hi_ms = INT64_C(4102444800000);
    if (value >= lo_ms && value < hi_ms)
        *out_ns = value * NS_PER_MS;
    else if (value >= lo_ms * 1000 && value < hi_ms * 1000)
        *out_ns = value * 1000;
    else
        return "time is neither ms nor us of a year between 2010 and 2100";
    return NULL;
}

static bool present(const struct csv_layout *l, const struct csv_text *f, enum csv_field field) {
    return l->at[field] >= 0 && f[l->at[field]].size > 0;
}

static const char *parse_volume(struct bar *out, int64_t *inout_qty_lcd_e8,
                                const struct csv_layout *l, const struct csv_text *f) {
    int decimals;
    if (!parse_f64(&out->volume, &decimals, f[l->at[CSV_VOLUME]])) return "volume is not a number";
    int64_t lcd = FX_ONE;
    if (decimals < 0) lcd = 1;
    for (; decimals > 0 && lcd > 1; decimals--) lcd /= 10;
    if (lcd < *inout_qty_lcd_e8) *inout_qty_lcd_e8 = lcd;
    return NULL;
}

static const char *parse_optional(struct bar *out, const struct csv_layout *l,
                                  const struct csv_text *f) {
    int decimals;
    double value;
    if (present(l, f, CSV_QUOTE_VOLUME) &&
        !parse_f64(&out->quote_volume, &decimals, f[l->at[CSV_QUOTE_VOLUME]]))
        return "quote volume is not a number";
    if (present(l, f, CSV_COUNT)) {
        if (!parse_f64(&value, &decimals, f[l->at[CSV_COUNT]]) || decimals != 0 ||
            value >= (double)BAR_COUNT_UNKNOWN)
            return "count is not a number of trades";
        out->trade_count = (uint32_t)value;
    }
    if (present(l, f, CSV_TAKER_BUY_VOLUME)) {
        if (!parse_f64(&value, &decimals, f[l->at[CSV_TAKER_BUY_VOLUME]]))
            return "taker-buy volume is not a number";
        if (value > out->volume) return "taker-buy volume is more than the volume";
        /* A share of nothing is not known. */
        if (out->volume > 0) out->taker_buy_ratio = (float)(value / out->volume);
    }
    return NULL;
}

const char *csv_kline(struct bar *out, int64_t *inout_qty_lcd_e8, const struct csv_layout *l,
                      const char *line, size_t size) {
    struct csv_text f[CSV_COLUMNS_MAX];
    if (csv_split(f, line, size) != l->columns)
        return "another number of columns than the first line";
    *out = (struct bar){
        .quote_volume = (double)NAN, .taker_buy_ratio = NAN, .trade_count = BAR_COUNT_UNKNOWN};
    const char *fault = parse_stamp(&out->open_ts_ns, f[l->at[CSV_OPEN_TIME]]);
    if (fault) return fault;
    if (parse_px(&out->open.e8, f[l->at[CSV_OPEN]], l->mark) != ST_OK) return "open is not a price";
    if (parse_px(&out->high.e8, f[l->at[CSV_HIGH]], l->mark) != ST_OK) return "high is not a price";
    if (parse_px(&out->low.e8, f[l->at[CSV_LOW]], l->mark) != ST_OK) return "low is not a price";
    if (parse_px(&out->close.e8, f[l->at[CSV_CLOSE]], l->mark) != ST_OK)
        return "close is not a price";
    if (l->mark) return NULL; /* its volume columns, where there are any, are zeros */
    fault = parse_volume(out, inout_qty_lcd_e8, l, f);
    return fault ? fault : parse_optional(out, l, f);
}

const char *csv_funding(struct funding_rate *out, const struct csv_layout *l, const char *line,
                        size_t size) {
    struct csv_text f[CSV_COLUMNS_MAX];
    if (csv_split(f, line, size) != l->columns)
        return "another number of columns than the first line";
    const char *fault = parse_stamp(&out->ts_ns, f[l->at[CSV_FUNDING_TIME]]);
    if (fault) return fault;
    int64_t off = out->ts_ns % NS_PER_MINUTE;
    if (off < NS_PER_SECOND)
        out->ts_ns -= off;
    else if (off > NS_PER_MINUTE - NS_PER_SECOND)
        out->ts_ns += NS_PER_MINUTE - off;
    struct csv_text rate = f[l->at[CSV_FUNDING_RATE]];
    if (fx_parse(&out->rate.e8, rate.data, rate.size) != ST_OK)
        return "funding rate is not a number of at most 8 decimals";
    if (out->rate.e8 > FX_ONE || out->rate.e8 < -FX_ONE) return "funding rate is beyond 100 %";
    return NULL;
}

/* The last cap of some contracts is beyond e8's range; no position comes near it. */
static bool parse_limit(int64_t *out_e8, struct csv_text t) {
    enum status st = parse_px(out_e8, t, true);
    if (st == ST_RANGE) *out_e8 = INT64_MAX / 100;
    return st == ST_OK || st == ST_RANGE;
}

const char *csv_bracket(char out_symbol[SYMBOL_SIZE], struct bracket *out,
                        const struct csv_layout *l, const char *line, size_t size) {
    struct csv_text f[CSV_COLUMNS_MAX];
    if (csv_split(f, line, size) != l->columns)
        return "another number of columns than the first line";
    struct csv_text symbol = f[l->at[CSV_SYMBOL]];
    if (symbol.size == 0 || symbol.size >= SYMBOL_SIZE) return "symbol is empty or too long";
    memset(out_symbol, 0, SYMBOL_SIZE);
    memcpy(out_symbol, symbol.data, symbol.size);
    if (!fs_is_plain_name(out_symbol)) return "symbol is not made of letters and digits";
    *out = (struct bracket){0};
    double leverage;
    int decimals;
    if (!parse_limit(&out->notional_floor.e8, f[l->at[CSV_NOTIONAL_FLOOR]]))
        return "notional_floor is not a number";
    if (!parse_limit(&out->notional_cap.e8, f[l->at[CSV_NOTIONAL_CAP]]))
        return "notional_cap is not a number";
    if (parse_px(&out->maint_margin_rate.e8, f[l->at[CSV_MAINT_RATE]], false) != ST_OK)
        return "maint_margin_ratio is not a number";
    if (parse_px(&out->maint_amount.e8, f[l->at[CSV_MAINT_AMOUNT]], false) != ST_OK)
        return "cum is not a number";
    if (!parse_f64(&leverage, &decimals, f[l->at[CSV_LEVERAGE]]) || decimals != 0 ||
        leverage > 1000)
        return "initial_leverage is not a whole number";
    out->leverage_max = (uint32_t)leverage;
    return NULL;
}
