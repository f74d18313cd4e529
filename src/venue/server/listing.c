#include "venue/server/listing.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/tstamp.h"
#include "store/contracts.h"

enum { DEFAULT_COUNT = 10, FILE_BYTES_MAX = 64 << 20 };

/* ---- lists of words ---- */

struct words {
    char **rows;
    size_t count;
};

static void words_free(struct words *w) {
    for (size_t i = 0; i < w->count; i++) free(w->rows[i]);
    free(w->rows);
    *w = (struct words){0};
}

static enum status words_split(struct words *out, const char *text, const char *what,
                               struct err *err) {
    *out = (struct words){0};
    for (const char *p = text;; p++) {
        size_t size = strcspn(p, ",");
        if (size == 0) {
            words_free(out);
            return err_set(err, ST_INVALID, "'%s' is not a list of %s", text, what);
        }
        char **more = realloc(out->rows, (out->count + 1) * sizeof *more);
        if (more) out->rows = more;
        char *word = more ? strndup(p, size) : NULL;
        if (!word) {
            words_free(out);
            return err_set(err, ST_NO_MEMORY, "list of %s", what);
        }
        out->rows[out->count++] = word;
        p += size;
        if (!*p) return ST_OK;
    }
}

/* ---- parts ---- */

static enum status rows_make(struct listing *l, size_t count, struct err *err) {
    if (count == 0 || count > INSTRUMENTS_MAX)
        return err_set(err, ST_INVALID, "%zu contracts: 1 to %d can be listed", count,
                       INSTRUMENTS_MAX);
    l->instruments = calloc(count, sizeof *l->instruments);
    l->start_px = calloc(count, sizeof *l->start_px);
    if (!l->instruments || !l->start_px) return err_set(err, ST_NO_MEMORY, "%zu contracts", count);
    l->count = (uint32_t)count;
    return ST_OK;
}

/* Contract and price out of the built-in table; false if it is not among the named ones. */
static bool table_find(struct instrument *out, px_t *px, const char *symbol) {
    struct instrument *all = calloc(MARKET_SYMBOLS_MAX, sizeof *all);
    px_t *prices = calloc(MARKET_SYMBOLS_MAX, sizeof *prices);
    bool found = false;
    if (all && prices) {
        market_symbols_default(all, prices, MARKET_SYMBOLS_MAX);
        for (int i = 0; i < MARKET_SYMBOLS_MAX && !found; i++) {
            if (strcmp(all[i].symbol, symbol) != 0) continue;
            *out = all[i];
            *px = prices[i];
            found = true;
        }
    }
    free(all);
    free(prices);
    return found;
}

static bool count_parse(uint32_t *out, const char *text) {
    char *end;
    if (!isdigit((unsigned char)*text)) return false;
    unsigned long n = strtoul(text, &end, 10);
    if (*end || n == 0 || n > MARKET_SYMBOLS_MAX) return false;
    *out = (uint32_t)n;
    return true;
}

/* ---- the table ---- */

static enum status from_table(struct listing *l, const char *symbols, struct err *err) {
    uint32_t count = DEFAULT_COUNT;
    struct words names = {0};
    if (!symbols || count_parse(&count, symbols)) {
        enum status st = rows_make(l, count, err);
        if (st == ST_OK) market_symbols_default(l->instruments, l->start_px, count);
        return st;
    }
    enum status st = words_split(&names, symbols, "symbols", err);
    if (st == ST_OK) st = rows_make(l, names.count, err);
    for (size_t i = 0; st == ST_OK && i < names.count; i++)
        if (!table_find(&l->instruments[i], &l->start_px[i], names.rows[i]))
            st = err_set(err, ST_NOT_FOUND,
                         "symbol '%s' is not known here (BTCUSDT … SYN%d USDT; others by --rules)",
                         names.rows[i], MARKET_SYMBOLS_MAX);
    words_free(&names);
    return st;
}

/* ---- the venue's files ---- */

static enum status text_read(char **out, size_t *size, const char *path, struct err *err) {
    FILE *f = fopen(path, "r");
    *out = NULL;
    if (!f) return err_errno(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s", path);
    char *text = malloc(FILE_BYTES_MAX);
    *size = text ? fread(text, 1, FILE_BYTES_MAX, f) : 0;
    bool bad = ferror(f) != 0, whole = feof(f) != 0;
    fclose(f);
    if (text && !bad && whole) {
        *out = text;
        return ST_OK;
    }
    free(text);
    return err_set(err, bad || !text ? ST_IO : ST_RANGE, "%s cannot be read whole", path);
}

static enum status rules_read(struct rules_list *list, const char *paths, struct err *err) {
    struct words files;
    enum status st = words_split(&files, paths, "files", err);
    for (size_t i = 0; st == ST_OK && i < files.count; i++) {
        char *text = NULL;
        size_t size = 0;
        st = text_read(&text, &size, files.rows[i], err);
        if (st == ST_OK) {
            st = contracts_parse(list, text, size, NULL, NULL, err);
            if (st != ST_OK) err_wrap(err, st, "%s", files.rows[i]);
        }
        free(text);
    }
    words_free(&files);
    return st;
}

/* Filters say nothing of a price: the table's where the contract is in it, else in the middle of the tick's decades. */
static void price_guess(struct instrument *in, px_t *px, bool own_brackets) {
    struct instrument known;
    if (table_find(&known, px, in->symbol)) {
        if (!own_brackets) {
            in->bracket_count = known.bracket_count;
            memcpy(in->brackets, known.brackets, sizeof in->brackets);
        }
    } else {
        px->e8 = in->tick_size.e8 > INT64_MAX / 20000 ? in->tick_size.e8 : in->tick_size.e8 * 20000;
    }
    if (px->e8 < 2 * in->px_min.e8) px->e8 = 2 * in->px_min.e8;
    if (in->px_max.e8 > 0 && px->e8 > in->px_max.e8 / 2) px->e8 = in->px_max.e8 / 2;
    *px = instrument_round_px(in, *px, false);
}

static bool is_wanted(const struct words *names, const char *symbol) {
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->rows[i], symbol) == 0) return true;
    return names->count == 0;
}

/* Brackets and funding intervals of the same list. */
static bool rules_complete(struct instrument *in, const struct rules_list *list) {
    bool brackets = false;
    for (size_t i = 0; i < list->count; i++) {
        const struct rules *r = &list->rows[i];
        if (strcmp(r->instrument.symbol, in->symbol) != 0) continue;
        if (r->sources & RULES_BRACKETS) {
            in->bracket_count = r->instrument.bracket_count;
            memcpy(in->brackets, r->instrument.brackets, sizeof in->brackets);
            brackets = true;
        }
        if (r->sources & RULES_FUNDING) in->funding_interval_ns = r->instrument.funding_interval_ns;
    }
    return brackets;
}

static enum status from_rules(struct listing *l, const struct listing_options *o, struct err *err) {
    struct rules_list list = {0};
    struct words names = {0};
    uint32_t most = INSTRUMENTS_MAX, count = 0;
    enum status st = rules_read(&list, o->rules, err);
    if (st == ST_OK && o->symbols && !count_parse(&most, o->symbols))
        st = words_split(&names, o->symbols, "symbols", err);
    if (st == ST_OK) st = rows_make(l, most, err);
    for (size_t i = 0; st == ST_OK && i < list.count && count < most; i++) {
        const struct rules *r = &list.rows[i];
        if (!(r->sources & RULES_FILTERS) || r->instrument.status != INSTRUMENT_TRADING ||
            !is_wanted(&names, r->instrument.symbol))
            continue;
        struct instrument *in = &l->instruments[count];
        *in = r->instrument;
        price_guess(in, &l->start_px[count++], rules_complete(in, &list));
    }
    if (st == ST_OK && (count == 0 || (names.count && count < names.count)))
        st = err_set(err, ST_NOT_FOUND, "%s: %u of the contracts asked for are in it and trading",
                     o->rules, count);
    if (st == ST_OK) l->count = count;
    rules_list_free(&list);
    words_free(&names);
    return st;
}

/* ---- candles ---- */

static enum status interval_find(struct listing *l, const char *dir, struct err *err) {
    struct candles_series series[CANDLES_SERIES_MAX];
    size_t count = 0;
    enum status st = candles_series_list(series, &count, dir, err);
    if (st != ST_OK) return st;
    for (size_t i = 0; i < count; i++)
        if (strcmp(series[i].market, "um") == 0 &&
            (l->interval_ns == 0 || series[i].interval_ns < l->interval_ns))
            l->interval_ns = series[i].interval_ns;
    if (l->interval_ns) return ST_OK;
    return err_set(err, ST_NOT_FOUND, "%s: no candles of perpetuals (quantum data import)", dir);
}

static enum status candles_names(struct words *out, const struct listing *l,
                                 const struct listing_options *o, struct err *err) {
    uint32_t most = INSTRUMENTS_MAX;
    if (o->symbols && !count_parse(&most, o->symbols))
        return words_split(out, o->symbols, "symbols", err);
    struct candles_list list;
    enum status st = candles_list(&list, o->path, "um", l->interval_ns, err);
    if (st != ST_OK) return st;
    out->rows = calloc(list.count + 1, sizeof *out->rows);
    for (size_t i = 0; out->rows && i < list.count && i < most; i++) {
        out->rows[i] = strdup(list.symbols[i]);
        if (!out->rows[i]) break;
        out->count++;
    }
    candles_list_free(&list);
    return ST_OK;
}

static px_t price_at(const struct candles *c, int64_t from_ns) {
    for (size_t i = 0; i < c->count; i++)
        if (c->bars[i].open_ts_ns >= from_ns) return c->bars[i].open;
    return c->bars[c->count - 1].close;
}

static enum status from_candles(struct listing *l, const struct listing_options *o,
                                struct err *err) {
    struct words names = {0};
    int64_t first_ns = INT64_MAX;
    enum status st = interval_find(l, o->path, err);
    if (st == ST_OK) st = candles_names(&names, l, o, err);
    if (st == ST_OK) st = rows_make(l, names.count, err);
    if (st == ST_OK && !(l->candles = calloc(l->count, sizeof *l->candles)))
        st = err_set(err, ST_NO_MEMORY, "candles");
    for (uint32_t i = 0; st == ST_OK && i < l->count; i++) {
        struct candles *c = &l->candles[i];
        st = candles_open(c, o->path, "um", l->interval_ns, names.rows[i], err);
        if (st == ST_OK && c->count == 0)
            st = err_set(err, ST_NOT_FOUND, "%s: no bars of %s", o->path, names.rows[i]);
        if (st == ST_OK) st = instrument_load(&l->instruments[i], o->path, c->symbol, c, err);
        if (st != ST_OK) break;
        l->instruments[i].status = INSTRUMENT_TRADING; /* as it was then */
        if (c->bars[0].open_ts_ns < first_ns) first_ns = c->bars[0].open_ts_ns;
    }
    words_free(&names);
    if (st != ST_OK) return st;
    l->replay_from_ns = fx_snap_up(first_ns + o->history_days * NS_PER_DAY, l->interval_ns);
    for (uint32_t i = 0; i < l->count; i++)
        l->start_px[i] = price_at(&l->candles[i], l->replay_from_ns);
    return ST_OK;
}

/* ---- trades ---- */

/* The next field's end; NULL if there is none. */
static const char *field_end(const char *p) {
    size_t size = strcspn(p, ",\r\n");
    return size ? p + size : NULL;
}

bool listing_trade_parse(struct market_trade *out, const char *line) {
    enum { FIELDS = 7 };
    const char *at[FIELDS], *end[FIELDS];
    for (int i = 0; i < FIELDS; i++) {
        at[i] = line;
        end[i] = field_end(line);
        if (!end[i] || (i < FIELDS - 1 && *end[i] != ',')) return false;
        line = end[i] + 1;
    }
    char *stop;
    long long time = strtoll(at[5], &stop, 10);
    if (stop != end[5] || fx_parse(&out->px.e8, at[1], (size_t)(end[1] - at[1])) != ST_OK ||
        fx_parse(&out->qty.e8, at[2], (size_t)(end[2] - at[2])) != ST_OK)
        return false;
    /* Milliseconds have 13 digits in this century; the archives of 2025 on count microseconds. */
    bool micro = time > INT64_C(100000000000000);
    if (time <= 0 || time > INT64_C(9000000000000000)) return false;
    out->ts_ns = time * (micro ? 1000 : NS_PER_MS);
    out->buyer_is_maker = *at[6] == 't' || *at[6] == 'T' || *at[6] == '1';
    return out->px.e8 > 0 && out->qty.e8 > 0;
}

/* The first trade, and the powers of ten that divide the prices and quantities of the first thousands. */
static enum status trades_look(struct market_trade *first, int64_t *px_lcd, int64_t *qty_lcd,
                               const char *path, struct err *err) {
    enum { LINES = 5000 };
    char line[512];
    struct market_trade t;
    FILE *f = fopen(path, "r");
    if (!f) return err_errno(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s", path);
    int found = 0;
    *px_lcd = *qty_lcd = FX_ONE;
    for (int i = 0; i < LINES && fgets(line, sizeof line, f); i++) {
        if (!listing_trade_parse(&t, line)) continue;
        if (found++ == 0) *first = t;
        while (t.px.e8 % *px_lcd) *px_lcd /= 10;
        while (t.qty.e8 % *qty_lcd) *qty_lcd /= 10;
    }
    fclose(f);
    return found ? ST_OK : err_set(err, ST_INVALID, "%s: no aggregate trades in it", path);
}

/* The built-in rules if there are some and the trades fit them, else what the trades show. */
static enum status trades_contract(struct instrument *out, px_t *start, int64_t *first_ns,
                                   const char *path, struct err *err) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t size = strcspn(base, "-.");
    char symbol[SYMBOL_SIZE];
    struct market_trade first = {0};
    int64_t px_lcd = 1, qty_lcd = 1;
    if (size == 0 || size >= sizeof symbol)
        return err_set(err, ST_INVALID, "%s: the file's name begins with its symbol: BTCUSDT-…",
                       path);
    memcpy(symbol, base, size);
    symbol[size] = '\0';
    enum status st = trades_look(&first, &px_lcd, &qty_lcd, path, err);
    if (st != ST_OK) return st;
    bool fits = table_find(out, start, symbol) && px_lcd % out->tick_size.e8 == 0 &&
                qty_lcd % out->step_size.e8 == 0 && first.px.e8 / 2 > out->px_min.e8 &&
                first.px.e8 < out->px_max.e8 / 2;
    if (!fits) {
        instrument_defaults(out, symbol);
        instrument_infer(out, px_lcd, qty_lcd);
    }
    *start = first.px;
    *first_ns = first.ts_ns;
    return ST_OK;
}

static enum status from_trades(struct listing *l, const struct listing_options *o,
                               struct err *err) {
    struct words files;
    enum status st = words_split(&files, o->path, "files", err);
    if (st == ST_OK) st = rows_make(l, files.count, err);
    l->replay_from_ns = INT64_MAX;
    for (uint32_t i = 0; st == ST_OK && i < l->count; i++) {
        int64_t first_ns = 0;
        st = trades_contract(&l->instruments[i], &l->start_px[i], &first_ns, files.rows[i], err);
        if (st == ST_OK && first_ns < l->replay_from_ns) l->replay_from_ns = first_ns;
    }
    if (st == ST_OK) {
        l->trade_files = files.rows;
        files = (struct words){0};
    }
    words_free(&files);
    return st;
}

/* ---- */

enum status listing_make(struct listing *out, const struct listing_options *o, struct err *err) {
    enum status st = ST_INVALID;
    *out = (struct listing){0};
    switch (o->source) {
    case MARKET_SYNTHETIC:
    case MARKET_PURE:
        st = o->rules ? from_rules(out, o, err) : from_table(out, o->symbols, err);
        break;
    case MARKET_CANDLES:
        st = from_candles(out, o, err);
        break;
    case MARKET_TRADES:
        st = from_trades(out, o, err);
        break;
    }
    if (st == ST_OK && out->interval_ns == 0) out->interval_ns = NS_PER_MINUTE;
    if (st != ST_OK) listing_free(out);
    return st;
}

void listing_free(struct listing *l) {
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->candles && l->candles[i].map) candles_close(&l->candles[i]);
        if (l->trade_files) free(l->trade_files[i]);
    }
    free(l->candles);
    free(l->trade_files);
    free(l->instruments);
    free(l->start_px);
    *l = (struct listing){0};
}
