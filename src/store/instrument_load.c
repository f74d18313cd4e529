/* A contract from the snapshot of rules, the bars and the funding rows the store has. */
#include <string.h>

#include "base/tstamp.h"
#include "store/candles.h"
#include "store/candles_format.h"
#include "store/rules.h"

/* What the bars say about prices. */
struct price_facts {
    int64_t lcd_e8, qty_lcd_e8, low_e8, high_e8;
};

static struct price_facts facts_of(const struct candles *c) {
    struct price_facts f = {c->price_lcd_e8, c->qty_lcd_e8, INT64_MAX, 0};
    bool price_unknown = f.lcd_e8 < 1, qty_unknown = f.qty_lcd_e8 < 1;
    if (price_unknown) f.lcd_e8 = FX_ONE;
    if (qty_unknown) f.qty_lcd_e8 = FX_ONE;
    for (size_t i = 0; i < c->count; i++) {
        const struct bar *b = &c->bars[i];
        if (b->low.e8 < f.low_e8) f.low_e8 = b->low.e8;
        if (b->high.e8 > f.high_e8) f.high_e8 = b->high.e8;
        if (price_unknown) {
            const int64_t px[] = {b->open.e8, b->high.e8, b->low.e8, b->close.e8};
            for (size_t k = 0; k < 4; k++) f.lcd_e8 = candles_lcd_narrow(f.lcd_e8, px[k]);
        }
        if (qty_unknown) f.qty_lcd_e8 = candles_lcd_narrow_f64(f.qty_lcd_e8, b->volume);
    }
    return f;
}

static int64_t gcd(int64_t a, int64_t b) {
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static void take_rules(struct instrument *out, const struct rules *r) {
    const struct instrument *in = &r->instrument;
    struct instrument defaults = *out;
    if (r->sources & RULES_FILTERS) {
        *out = *in;
        out->flags = (in->flags & INSTRUMENT_SYNTHETIC) | INSTRUMENT_FUNDING_ASSUMED;
        out->funding_interval_ns = defaults.funding_interval_ns;
        out->bracket_count = defaults.bracket_count;
        memcpy(out->brackets, defaults.brackets, sizeof out->brackets);
    }
    if (r->sources & RULES_BRACKETS) {
        out->bracket_count = in->bracket_count;
        memcpy(out->brackets, in->brackets, sizeof out->brackets);
    }
    if (r->sources & RULES_FUNDING) out->funding_interval_ns = in->funding_interval_ns;
}

/* Rules change over the years and the snapshot is of one day. Binance has made ticks coarser and
 * finer; a tick coarser than the bars' own decimals would make their prices illegal, so the finer
 * of the two holds (the greatest common divisor, which both are multiples of). A price limit that
 * the bars come within a factor of two of would refuse stops and targets that were legal then. */
static void fit_to_bars(struct instrument *out, const struct price_facts *f) {
    out->tick_size.e8 = gcd(out->tick_size.e8, f->lcd_e8);
    if (out->px_min.e8 > f->low_e8 / 2) out->px_min = out->tick_size;
    if (out->px_max.e8 > 0 && out->px_max.e8 / 2 < f->high_e8) out->px_max.e8 = INT64_MAX / 100;
    out->px_min.e8 = fx_snap_down(out->px_min.e8, out->tick_size.e8);
    if (out->px_min.e8 == 0) out->px_min = out->tick_size;
}

/* SETTLING or CLOSED is true of the snapshot's day; bars before the delivery date traded. */
static void fit_status(struct instrument *out, const struct candles *bars) {
    int64_t end_ns = bars->bars[bars->count - 1].open_ts_ns + bars->interval_ns;
    if (out->status != INSTRUMENT_TRADING && end_ns < out->delivery_ts_ns)
        out->status = INSTRUMENT_TRADING;
}

/* Rows in the store take the place of the assumption; their own spacing tells the interval where
 * fundingInfo (which lists only contracts that were changed) does not. */
static enum status fit_funding(struct instrument *out, const char *dir, bool interval_known,
                               struct err *err) {
    struct funding f;
    struct err why;
    enum status st = funding_open(&f, dir, out->symbol, &why);
    if (st == ST_NOT_FOUND) return ST_OK;
    if (st != ST_OK) return err_set(err, st, "%s", why.text);
    out->flags &= ~(uint32_t)INSTRUMENT_FUNDING_ASSUMED;
    if (!interval_known && f.count >= 2) {
        int64_t step = f.rows[f.count - 1].ts_ns - f.rows[f.count - 2].ts_ns;
        if (step % NS_PER_HOUR == 0 && step <= 8 * NS_PER_HOUR) out->funding_interval_ns = step;
    }
    funding_close(&f);
    return ST_OK;
}

enum status instrument_load(struct instrument *out, const char *dir, const char *symbol,
                            const struct candles *bars, struct err *err) {
    struct rules_map map;
    if (strlen(symbol) >= SYMBOL_SIZE)
        return err_set(err, ST_INVALID, "'%.40s' is not the name of a symbol", symbol);
    enum status st = rules_open(&map, dir, err);
    if (st != ST_OK) return st;
    instrument_defaults(out, symbol);
    /* The rules and the funding are the perpetual's. Spot bars of the same name are another market,
     * and mark prices, averages that they are, say nothing of a tick. */
    bool spot = bars && strcmp(bars->market, "spot") == 0;
    bool mark = bars && strcmp(bars->market, "mark") == 0;
    const struct rules *r = spot ? NULL : rules_find(&map, symbol);
    uint32_t sources = r ? r->sources : 0;
    if (r) take_rules(out, r);
    rules_close(&map);
    if (bars && bars->count && sources & RULES_FILTERS) {
        struct price_facts f = facts_of(bars);
        if (mark) f.lcd_e8 = out->tick_size.e8;
        fit_to_bars(out, &f);
        fit_status(out, bars);
    } else if (bars && bars->count) {
        struct price_facts f = facts_of(bars);
        instrument_infer(out, f.lcd_e8, f.qty_lcd_e8);
    }
    if (bars) out->flags |= bars->flags & INSTRUMENT_SYNTHETIC;
    return spot ? ST_OK : fit_funding(out, dir, sources & RULES_FUNDING, err);
}
