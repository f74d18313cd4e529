#include "backtest/feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/tstamp.h"

/* The venue's own default where nothing is known: 0.01 % per 8 hours. */
#define FUNDING_ASSUMED_E8 INT64_C(10000)
#define FUNDING_ASSUMED_NS (8 * NS_PER_HOUR)

struct series {
    struct candles candles, mark;
    struct funding funding;
    const struct bar *bars; /* window, incl. warm-up */
    size_t count, mark_cursor, funding_cursor;
    bool has_mark, has_funding, ended;
};

/* What every step reads of every symbol: kept apart from the rest, for the cache's sake. */
struct cursor {
    const struct bar *next, *end;
};

struct feed {
    uint32_t n;
    bool synthetic, any_mark;
    int64_t interval_ns, start_ns, from_ns, to_ns;
    uint64_t step, step_count, hash;
    uint32_t assumed, inferred;
    struct instrument *instruments;
    struct series *series;
    struct cursor *cursors;
    struct synth_config synth_config;
    struct synth *synth;
    struct bar *synth_bars;
    uint32_t *symbols, *ended;
    const struct bar **bars, **marks;
    struct feed_funding *fundings;
    uint32_t fundings_max;   /* what one step can hold of all symbols */
    int64_t next_funding_ns; /* no recorded settlement of a living symbol is due before */
};

static enum status allocate(struct feed *f, struct err *err) {
    f->instruments = calloc(f->n, sizeof *f->instruments);
    f->series = calloc(f->n, sizeof *f->series);
    f->cursors = calloc(f->n, sizeof *f->cursors);
    f->synth_bars = calloc(f->n, sizeof *f->synth_bars);
    f->symbols = calloc(f->n, sizeof *f->symbols);
    f->ended = calloc(f->n, sizeof *f->ended);
    f->bars = calloc(f->n, sizeof(const struct bar *));
    f->marks = calloc(f->n, sizeof(const struct bar *));
    bool ok = f->instruments && f->series && f->cursors && f->synth_bars && f->symbols &&
              f->ended && f->bars && f->marks;
    return ok ? ST_OK : err_set(err, ST_NO_MEMORY, "feed of %u symbols: out of memory", f->n);
}

void feed_close(struct feed *f) {
    if (!f) return;
    for (uint32_t i = 0; f->series && i < f->n; i++) {
        candles_close(&f->series[i].candles);
        if (f->series[i].has_mark) candles_close(&f->series[i].mark);
        if (f->series[i].has_funding) funding_close(&f->series[i].funding);
    }
    free(f->instruments);
    free(f->series);
    free(f->cursors);
    free(f->synth);
    free(f->synth_bars);
    free(f->symbols);
    free(f->ended);
    free(f->bars);
    free(f->marks);
    free(f->fundings);
    free(f);
}

/* First index whose bar does not open before ts. */
static size_t lower_bound(const struct bar *bars, size_t count, int64_t ts) {
    size_t lo = 0, hi = count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (bars[mid].open_ts_ns < ts)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool listed(const char *list, const char *symbol) {
    if (!list) return true;
    size_t n = strlen(symbol);
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ",");
        if (len == n && memcmp(p, symbol, n) == 0) return true;
        p += len + (p[len] == ',');
    }
    return false;
}

/* Every name the user listed must be in the store: a typing error is not a smaller universe. */
static enum status check_listed(const char *list, const struct candles_list *have,
                                struct err *err) {
    for (const char *p = list; p && *p;) {
        size_t len = strcspn(p, ",");
        bool found = false;
        for (size_t i = 0; i < have->count && !found; i++)
            found = strlen(have->symbols[i]) == len && memcmp(have->symbols[i], p, len) == 0;
        if (!found)
            return err_set(err, ST_NOT_FOUND, "symbol %.*s is not in the store",
                           (int)(len < 40 ? len : 40), p);
        p += len + (p[len] == ',');
    }
    return ST_OK;
}

static enum status open_series(struct feed *f, const struct feed_tape_options *o,
                               const char *symbol, bool *used, struct err *err) {
    struct series *s = &f->series[f->n];
    *used = false;
    enum status st = candles_open(&s->candles, o->store, o->market, o->interval_ns, symbol, err);
    if (st != ST_OK) return st;
    const struct candles *c = &s->candles;
    size_t first = lower_bound(c->bars, c->count, o->from_ns);
    size_t end = o->to_ns ? lower_bound(c->bars, c->count, o->to_ns) : c->count;
    if (first >= end) {
        candles_close(&s->candles);
        memset(s, 0, sizeof *s);
        return ST_OK;
    }
    size_t warm =
        lower_bound(c->bars, c->count, o->from_ns - (int64_t)o->warmup_bars * o->interval_ns);
    s->bars = c->bars + warm;
    s->count = end - warm;
    f->cursors[f->n] = (struct cursor){s->bars, s->bars + s->count};
    st = instrument_load(&f->instruments[f->n], o->store, symbol, c, err);
    if (st != ST_OK) {
        candles_close(&s->candles);
        return st;
    }
    if (c->flags & INSTRUMENT_SYNTHETIC) f->instruments[f->n].flags |= INSTRUMENT_SYNTHETIC;
    s->has_mark = candles_open(&s->mark, o->store, "mark", o->interval_ns, symbol, NULL) == ST_OK;
    s->has_funding = funding_open(&s->funding, o->store, symbol, NULL) == ST_OK;
    f->any_mark = f->any_mark || s->has_mark;
    f->assumed += !s->has_funding;
    f->inferred += (f->instruments[f->n].flags & INSTRUMENT_INFERRED) != 0;
    f->n++;
    *used = true;
    return ST_OK;
}

static void measure_tape(struct feed *f, const struct feed_tape_options *o) {
    int64_t start = INT64_MAX, end = 0;
    uint64_t h = hash64(&f->interval_ns, sizeof f->interval_ns);
    for (uint32_t i = 0; i < f->n; i++) {
        const struct series *s = &f->series[i];
        if (s->bars[0].open_ts_ns < start) start = s->bars[0].open_ts_ns;
        if (s->bars[s->count - 1].open_ts_ns > end) end = s->bars[s->count - 1].open_ts_ns;
        h = hash_chain(h, f->instruments[i].symbol, SYMBOL_SIZE);
        h = hash_chain(h, s->bars, s->count * sizeof *s->bars);
        if (s->has_funding)
            h = hash_chain(h, s->funding.rows, s->funding.count * sizeof *s->funding.rows);
        if (s->has_mark) h = hash_chain(h, s->mark.bars, s->mark.count * sizeof *s->mark.bars);
    }
    f->start_ns = start;
    f->from_ns = o->from_ns > start ? o->from_ns : start;
    f->to_ns = end + f->interval_ns;
    f->step_count = (uint64_t)((end - start) / f->interval_ns) + 1;
    f->hash = h;
}

/* Most settlements of one symbol that fall into one step. */
static uint32_t fundings_per_step(const struct feed *f, const struct series *s) {
    uint32_t most = 0;
    size_t first = 0;
    for (size_t i = 0; s->has_funding && i < s->funding.count; i++) {
        while (s->funding.rows[first].ts_ns <= s->funding.rows[i].ts_ns - f->interval_ns) first++;
        if (i - first + 1 > most) most = (uint32_t)(i - first + 1);
    }
    return most + (uint32_t)(f->interval_ns / FUNDING_ASSUMED_NS) + 1;
}

static enum status allocate_fundings(struct feed *f, struct err *err) {
    for (uint32_t i = 0; i < f->n; i++) f->fundings_max += fundings_per_step(f, &f->series[i]);
    f->fundings = calloc(f->fundings_max, sizeof *f->fundings);
    return f->fundings ? ST_OK
                       : err_set(err, ST_NO_MEMORY, "feed of %u symbols: out of memory", f->n);
}

enum status feed_open_tape(struct feed **out, const struct feed_tape_options *options,
                           struct err *err) {
    struct candles_list list;
    enum status st =
        candles_list(&list, options->store, options->market, options->interval_ns, err);
    if (st != ST_OK) return st;
    st = check_listed(options->symbols, &list, err);
    struct feed *f = calloc(1, sizeof *f);
    if (!f && st == ST_OK) st = err_set(err, ST_NO_MEMORY, "feed: out of memory");
    if (st == ST_OK) {
        f->n = list.count < INSTRUMENTS_MAX ? (uint32_t)list.count : INSTRUMENTS_MAX;
        f->interval_ns = options->interval_ns;
        if (list.count > INSTRUMENTS_MAX)
            st =
                err_set(err, ST_FULL,
                        "%zu symbols in the store, at most %d in one run: name them with --symbols",
                        list.count, INSTRUMENTS_MAX);
        else if (f->n > 0)
            st = allocate(f, err);
        f->n = 0;
    }
    for (size_t i = 0; i < list.count && st == ST_OK; i++) {
        bool used = true;
        if (listed(options->symbols, list.symbols[i]))
            st = open_series(f, options, list.symbols[i], &used, err);
        /* Asked for by name: trading without it would not be what was asked. */
        if (st == ST_OK && !used && options->symbols)
            st = err_set(err, ST_NOT_FOUND, "symbol %s has no bars in the window", list.symbols[i]);
    }
    if (st == ST_OK && f->n == 0) {
        char a[TSTAMP_TEXT_SIZE], b[TSTAMP_TEXT_SIZE], iv[16];
        st = err_set(err, ST_NOT_FOUND,
                     "no %s bars of %s between %.10s and %.10s in %s (%zu symbols there; see "
                     "`quantum data list`)",
                     options->market, tstamp_interval_format(iv, options->interval_ns),
                     tstamp_format(a, options->from_ns),
                     options->to_ns ? tstamp_format(b, options->to_ns) : "the end", options->store,
                     list.count);
    }
    candles_list_free(&list);
    if (st == ST_OK) st = allocate_fundings(f, err);
    if (st != ST_OK) {
        feed_close(f);
        return st;
    }
    measure_tape(f, options);
    *out = f;
    return ST_OK;
}

enum status feed_open_synth(struct feed **out, const struct synth_config *config,
                            int64_t trade_from_ns, struct err *err) {
    struct feed *f = calloc(1, sizeof *f);
    if (!f) return err_set(err, ST_NO_MEMORY, "feed: out of memory");
    f->n = config->symbol_count;
    f->synthetic = true;
    f->interval_ns = config->interval_ns;
    f->start_ns = config->start_ts_ns;
    f->from_ns = trade_from_ns;
    f->synth_config = *config;
    enum status st = allocate(f, err);
    if (st == ST_OK) st = allocate_fundings(f, err);
    if (st == ST_OK && !(f->synth = aligned_alloc(64, (synth_size(config) + 63) & ~(size_t)63)))
        st = err_set(err, ST_NO_MEMORY, "feed: out of memory");
    if (st != ST_OK) {
        feed_close(f);
        return st;
    }
    synth_init(f->synth, config);
    synth_instruments(config, f->instruments);
    f->assumed = f->n;
    const uint64_t words[] = {config->seed, config->symbol_count, (uint64_t)config->interval_ns,
                              (uint64_t)config->start_ts_ns};
    const double reals[] = {config->volatility_annual, config->pattern};
    f->hash = hash_chain(hash64(words, sizeof words), reals, sizeof reals);
    for (uint32_t i = 0; i < f->n; i++)
        f->hash = hash_chain(f->hash, f->instruments[i].symbol, SYMBOL_SIZE);
    *out = f;
    return ST_OK;
}

enum status feed_open_live(struct feed **out, const struct instrument *instruments, uint32_t count,
                           int64_t interval_ns, int64_t from_ns, uint64_t hash, struct err *err) {
    struct feed *f = calloc(1, sizeof *f);
    if (!f) return err_set(err, ST_NO_MEMORY, "feed: out of memory");
    f->n = count;
    f->interval_ns = interval_ns;
    f->start_ns = f->from_ns = from_ns;
    f->hash = hash;
    enum status st = allocate(f, err);
    if (st != ST_OK) {
        feed_close(f);
        return st;
    }
    memcpy(f->instruments, instruments, sizeof *instruments * count);
    *out = f;
    return ST_OK;
}

uint32_t feed_symbol_count(const struct feed *f) {
    return f->n;
}
const struct instrument *feed_instruments(const struct feed *f) {
    return f->instruments;
}
int64_t feed_interval_ns(const struct feed *f) {
    return f->interval_ns;
}
int64_t feed_from_ns(const struct feed *f) {
    return f->from_ns;
}
int64_t feed_to_ns(const struct feed *f) {
    return f->to_ns;
}
uint64_t feed_hash(const struct feed *f) {
    return f->hash;
}
uint64_t feed_step_count(const struct feed *f) {
    return f->step_count;
}
uint32_t feed_funding_assumed(const struct feed *f) {
    return f->assumed;
}
uint32_t feed_inferred(const struct feed *f) {
    return f->inferred;
}

bool feed_is_synthetic(const struct feed *f) {
    if (f->synthetic) return true;
    for (uint32_t i = 0; i < f->n; i++)
        if (f->instruments[i].flags & INSTRUMENT_SYNTHETIC) return true;
    return false;
}

const struct bar *feed_bars(const struct feed *f, uint32_t symbol, size_t *count) {
    ASSERT(symbol < f->n);
    *count = f->synthetic ? 0 : f->series[symbol].count;
    return f->synthetic ? NULL : f->series[symbol].bars;
}

static void add_funding(struct feed *f, uint32_t *count, uint32_t symbol, int64_t ts_ns,
                        rate_t rate) {
    ASSERT(*count < f->fundings_max);
    f->fundings[(*count)++] = (struct feed_funding){symbol, ts_ns, rate};
}

/* Settlements in (open, close]. Outside the recorded history the venue's default rate is assumed. A
 * recorded time is some milliseconds late: near the history's ends nothing is assumed beside it. */
static void fundings_of(struct feed *f, uint32_t *count, uint32_t i, int64_t open, int64_t close) {
    struct series *s = &f->series[i];
    int64_t known_from = INT64_MAX, known_to = INT64_MIN;
    if (s->has_funding) {
        const struct funding *h = &s->funding;
        known_from = h->rows[0].ts_ns - NS_PER_MINUTE;
        known_to = h->rows[h->count - 1].ts_ns + NS_PER_MINUTE;
        while (s->funding_cursor < h->count && h->rows[s->funding_cursor].ts_ns <= open)
            s->funding_cursor++;
        while (s->funding_cursor < h->count && h->rows[s->funding_cursor].ts_ns <= close) {
            add_funding(f, count, i, h->rows[s->funding_cursor].ts_ns,
                        h->rows[s->funding_cursor].rate);
            s->funding_cursor++;
        }
    }
    for (int64_t t = (open / FUNDING_ASSUMED_NS + 1) * FUNDING_ASSUMED_NS; t <= close;
         t += FUNDING_ASSUMED_NS)
        if (t < known_from || t > known_to)
            add_funding(f, count, i, t, rate_e8(FUNDING_ASSUMED_E8));
}

static const struct bar *mark_of(struct series *s, int64_t open) {
    if (!s->has_mark) return NULL;
    while (s->mark_cursor < s->mark.count && s->mark.bars[s->mark_cursor].open_ts_ns < open)
        s->mark_cursor++;
    bool hit = s->mark_cursor < s->mark.count && s->mark.bars[s->mark_cursor].open_ts_ns == open;
    return hit ? &s->mark.bars[s->mark_cursor] : NULL;
}

static void find_next_funding(struct feed *f) {
    f->next_funding_ns = INT64_MAX;
    for (uint32_t i = 0; i < f->n; i++) {
        const struct series *s = &f->series[i];
        if (!s->has_funding || s->funding_cursor == s->funding.count ||
            f->cursors[i].next == f->cursors[i].end)
            continue;
        int64_t ts = s->funding.rows[s->funding_cursor].ts_ns;
        if (ts < f->next_funding_ns) f->next_funding_ns = ts;
    }
}

static void tape_step(struct feed *f, struct feed_step *out, int64_t open, int64_t close) {
    /* Assumed ones come on the hour, recorded ones when the venue was done with it. */
    bool settles = close / NS_PER_HOUR != open / NS_PER_HOUR || f->interval_ns >= NS_PER_HOUR ||
                   close >= f->next_funding_ns;
    for (uint32_t i = 0; i < f->n; i++) {
        struct cursor *c = &f->cursors[i];
        if (c->next == c->end) {
            if (!f->series[i].ended) {
                f->series[i].ended = true;
                f->ended[out->ended_count++] = i;
            }
            continue;
        }
        if (c->next->open_ts_ns == open) {
            f->symbols[out->count] = i;
            f->bars[out->count] = c->next;
            f->marks[out->count++] = f->any_mark ? mark_of(&f->series[i], open) : NULL;
            c->next++;
            __builtin_prefetch(c->next + 1);
        }
        if (settles) fundings_of(f, &out->funding_count, i, open, close);
    }
    if (settles) find_next_funding(f);
}

static void synth_step(struct feed *f, struct feed_step *out, int64_t open, int64_t close) {
    synth_next(f->synth, f->synth_bars);
    for (uint32_t i = 0; i < f->n; i++) {
        f->symbols[i] = i;
        f->bars[i] = &f->synth_bars[i];
        f->marks[i] = NULL;
        fundings_of(f, &out->funding_count, i, open, close);
    }
    out->count = f->n;
}

enum status feed_next(struct feed *f, struct feed_step *out) {
    if (!f->synthetic && f->step >= f->step_count) return ST_END;
    int64_t open = f->start_ns + (int64_t)f->step * f->interval_ns, close = open + f->interval_ns;
    *out = (struct feed_step){.index = f->step,
                              .open_ts_ns = open,
                              .symbols = f->symbols,
                              .bars = f->bars,
                              .marks = f->marks,
                              .fundings = f->fundings,
                              .ended = f->ended};
    if (f->synthetic)
        synth_step(f, out, open, close);
    else
        tape_step(f, out, open, close);
    f->step++;
    return ST_OK;
}

void feed_seek(struct feed *f, uint64_t step) {
    if (f->synthetic) {
        /* The generator's state is cheap to make again and is part of nobody's snapshot. */
        if (step < f->step) {
            synth_init(f->synth, &f->synth_config);
            f->step = 0;
        }
        while (f->step < step) {
            synth_next(f->synth, f->synth_bars);
            f->step++;
        }
        return;
    }
    f->step = step;
    f->next_funding_ns = 0; /* not known */
    int64_t open = f->start_ns + (int64_t)step * f->interval_ns;
    for (uint32_t i = 0; i < f->n; i++) {
        struct series *s = &f->series[i];
        f->cursors[i].next = s->bars + lower_bound(s->bars, s->count, open);
        s->mark_cursor = s->funding_cursor = 0;
        s->ended = s->bars[s->count - 1].open_ts_ns + f->interval_ns < open;
    }
}
