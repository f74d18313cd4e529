#include "venue/server/source.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/rng.h"
#include "base/tstamp.h"

enum { MINUTES_A_DAY = 1440, AHEAD_SECONDS = 10 };

struct reader { /* one file of trades */
    FILE *file;
    struct market_trade next;
    bool has_next;
};

struct source {
    const struct listing *listing;
    struct market_config market;
    uint32_t history_days;
    char path[4096];  /* of the kept shift, "" none */
    int64_t shift_ns; /* exchange time less the source's time */
    size_t *cursor;   /* (count) next bar */
    struct reader *readers;
    bool placed; /* cursors stand where the world left off */
};

/* ---- shift ---- */

static enum status shift_save(const struct source *s, struct err *err) {
    if (!s->path[0]) return ST_OK;
    FILE *f = fopen(s->path, "w");
    if (!f) return err_errno(err, ST_IO, "%s", s->path);
    bool bad = fprintf(f, "shift_ns %" PRId64 "\n", s->shift_ns) < 0 || fflush(f) != 0 ||
               fsync(fileno(f)) != 0;
    if (fclose(f) != 0 || bad) return err_errno(err, ST_IO, "%s", s->path);
    return ST_OK;
}

static enum status shift_load(struct source *s, struct err *err) {
    if (!s->path[0]) return ST_OK;
    FILE *f = fopen(s->path, "r");
    if (!f) return errno == ENOENT ? ST_OK : err_errno(err, ST_IO, "%s", s->path);
    int n = fscanf(f, "shift_ns %" SCNd64, &s->shift_ns);
    fclose(f);
    return n == 1 ? ST_OK : err_set(err, ST_CORRUPT, "%s: no shift in it", s->path);
}

enum status source_open(struct source **out, const struct listing *listing,
                        const struct market_config *market, uint32_t history_days,
                        const char *state_dir, struct err *err) {
    *out = NULL;
    struct source *s = calloc(1, sizeof *s);
    if (!s) return err_set(err, ST_NO_MEMORY, "market source");
    s->listing = listing;
    s->market = *market;
    s->history_days = history_days;
    if (state_dir) {
        int n = snprintf(s->path, sizeof s->path, "%s/replay", state_dir);
        ASSERT(n > 0 && (size_t)n < sizeof s->path);
    }
    s->cursor = calloc(listing->count, sizeof *s->cursor);
    s->readers = calloc(listing->count, sizeof *s->readers);
    enum status st =
        s->cursor && s->readers ? shift_load(s, err) : err_set(err, ST_NO_MEMORY, "market source");
    for (uint32_t i = 0; st == ST_OK && listing->trade_files && i < listing->count; i++) {
        s->readers[i].file = fopen(listing->trade_files[i], "r");
        if (!s->readers[i].file) st = err_errno(err, ST_IO, "%s", listing->trade_files[i]);
    }
    if (st == ST_OK)
        *out = s;
    else
        source_close(s);
    return st;
}

void source_close(struct source *s) {
    if (!s) return;
    for (uint32_t i = 0; s->readers && i < s->listing->count; i++)
        if (s->readers[i].file) fclose(s->readers[i].file);
    free(s->readers);
    free(s->cursor);
    free(s);
}

/* ---- a made-up past: a walk that ends where the exchange begins ---- */

static void made_bar(struct bar *b, const struct instrument *in, double from, double to,
                     double deviation, struct rng *rng) {
    double high = fmax(from, to) * exp(fabs(rng_normal(rng)) * deviation * 0.4);
    double low = fmin(from, to) * exp(-fabs(rng_normal(rng)) * deviation * 0.4);
    b->open = instrument_round_px(in, px_e8(fx_from_f64(from)), false);
    b->close = instrument_round_px(in, px_e8(fx_from_f64(to)), false);
    b->high = instrument_round_px(in, px_e8(fx_from_f64(high)), true);
    b->low = instrument_round_px(in, px_e8(fx_from_f64(low)), false);
    double quote = 50000.0 * exp(0.6 * rng_normal(rng)); /* as the flow of the market to come */
    double step = qty_to_f64(in->step_size);
    b->volume = fmax(step, floor(quote / to / step) * step);
    b->quote_volume = b->volume * to;
    b->taker_buy_ratio = (float)fmin(0.95, fmax(0.05, 0.5 + 0.08 * rng_normal(rng)));
    b->trade_count = (uint32_t)(20 + rng_below(rng, 100));
}

static enum status seed_made(struct source *s, struct world *w, uint32_t i, int64_t end_ns,
                             struct err *err) {
    const struct instrument *in = &s->listing->instruments[i];
    size_t minutes = (size_t)s->history_days * MINUTES_A_DAY;
    double *price = malloc((minutes + 1) * sizeof *price);
    if (!price) return err_set(err, ST_NO_MEMORY, "%zu minutes of history", minutes);
    struct rng root = rng_init(s->market.seed), rng = rng_split(&root, UINT64_C(1000000) + i);
    double deviation = s->market.volatility_day / sqrt(MINUTES_A_DAY);
    double low = fmax(1.05 * px_to_f64(in->px_min), 100 * px_to_f64(in->tick_size));
    double high = in->px_max.e8 > 0 ? 0.95 * px_to_f64(in->px_max) : 9e10;
    price[minutes] = px_to_f64(s->listing->start_px[i]);
    for (size_t k = minutes; k-- > 0;)
        price[k] = fmin(high, fmax(low, price[k + 1] * exp(-deviation * rng_normal(&rng))));
    for (size_t k = 0; k < minutes; k++) {
        struct bar b = {.open_ts_ns = end_ns - (int64_t)(minutes - k) * NS_PER_MINUTE};
        made_bar(&b, in, price[k], price[k + 1], deviation, &rng);
        ticks_seed(w->ticks, i, &b);
    }
    int64_t every = in->funding_interval_ns, from = end_ns - (int64_t)minutes * NS_PER_MINUTE;
    for (int64_t ts = fx_snap_up(from, every); ts <= end_ns; ts += every) {
        size_t k = (size_t)((ts - from) / NS_PER_MINUTE);
        ticks_funding(w->ticks, i, ts, rate_e8(FX_ONE / 10000),
                      instrument_round_px(in, px_e8(fx_from_f64(price[k])), false));
    }
    free(price);
    return ST_OK;
}

/* ---- the past of a replay ---- */

/* A price along a bar: open, first extreme, second extreme, close, in straight lines (docs/simex.md). */
static double along(const struct bar *b, double share) {
    bool rising = b->close.e8 >= b->open.e8;
    double corner[4] = {px_to_f64(b->open), px_to_f64(rising ? b->low : b->high),
                        px_to_f64(rising ? b->high : b->low), px_to_f64(b->close)};
    double at = share * 3;
    int k = at >= 3 ? 2 : (int)at;
    return corner[k] + (corner[k + 1] - corner[k]) * (at - k);
}

/* A longer bar as minutes of it. */
static void seed_minutes(struct source *s, struct world *w, uint32_t i, const struct bar *b) {
    const struct instrument *in = &s->listing->instruments[i];
    int64_t minutes = s->listing->interval_ns / NS_PER_MINUTE;
    for (int64_t k = 0; k < minutes; k++) {
        double from = (double)k / (double)minutes, to = (double)(k + 1) / (double)minutes;
        double high = fmax(along(b, from), along(b, to)), low = fmin(along(b, from), along(b, to));
        for (int corner = 1; corner <= 2; corner++) {
            if (corner / 3.0 < from || corner / 3.0 > to) continue;
            high = fmax(high, along(b, corner / 3.0));
            low = fmin(low, along(b, corner / 3.0));
        }
        struct bar m = *b;
        m.open_ts_ns = b->open_ts_ns + s->shift_ns + k * NS_PER_MINUTE;
        m.open = instrument_round_px(in, px_e8(fx_from_f64(along(b, from))), false);
        m.close = instrument_round_px(in, px_e8(fx_from_f64(along(b, to))), false);
        m.high = instrument_round_px(in, px_e8(fx_from_f64(high)), true);
        m.low = instrument_round_px(in, px_e8(fx_from_f64(low)), false);
        m.volume = b->volume / (double)minutes;
        m.quote_volume = b->quote_volume / (double)minutes;
        if (b->trade_count != BAR_COUNT_UNKNOWN)
            m.trade_count = (uint32_t)(b->trade_count / (uint64_t)minutes);
        if (m.open_ts_ns > 0 && bar_is_possible(&m)) ticks_seed(w->ticks, i, &m);
    }
}

static void seed_candles(struct source *s, struct world *w, uint32_t i, int64_t end_ns) {
    const struct candles *c = &s->listing->candles[i];
    int64_t interval = s->listing->interval_ns;
    if (interval % NS_PER_MINUTE != 0) return; /* history is kept in minutes */
    int64_t from_ns = s->listing->replay_from_ns - s->history_days * NS_PER_DAY;
    for (size_t k = 0; k < c->count; k++) {
        const struct bar *b = &c->bars[k];
        if (b->open_ts_ns < from_ns) continue;
        if (b->open_ts_ns + s->shift_ns + interval > end_ns) break;
        seed_minutes(s, w, i, b);
    }
}

enum status source_prepare(struct source *s, struct world *w, struct err *err) {
    int64_t end_ns = fx_snap_down(w->now_ns, NS_PER_MINUTE);
    enum status st = ST_OK;
    if (s->listing->candles)
        s->shift_ns = fx_snap_down(w->now_ns, s->listing->interval_ns) - s->listing->replay_from_ns;
    else if (s->listing->trade_files)
        s->shift_ns = w->now_ns - s->listing->replay_from_ns;
    for (uint32_t i = 0; st == ST_OK && i < s->listing->count; i++) {
        if (s->listing->candles)
            seed_candles(s, w, i, end_ns);
        else if (!s->listing->trade_files)
            st = seed_made(s, w, i, end_ns, err);
    }
    return st == ST_OK ? shift_save(s, err) : st;
}

/* ---- feeding ---- */

static void reader_next(struct source *s, struct reader *r) {
    char line[512];
    r->has_next = false;
    while (!r->has_next && fgets(line, sizeof line, r->file))
        r->has_next = listing_trade_parse(&r->next, line);
    if (r->has_next) r->next.ts_ns += s->shift_ns;
}

/* Behind what the world has taken already. */
static void place(struct source *s, const struct world *w) {
    for (uint32_t i = 0; i < s->listing->count; i++) {
        int64_t fed = world_fed_ns(w, i);
        if (s->listing->candles) {
            const struct candles *c = &s->listing->candles[i];
            size_t k = 0;
            while (k < c->count && (c->bars[k].open_ts_ns < s->listing->replay_from_ns ||
                                    c->bars[k].open_ts_ns + s->shift_ns <= fed))
                k++;
            s->cursor[i] = k;
        } else {
            /* Of several trades at the last moment some may be passed over; none comes twice. */
            struct reader *r = &s->readers[i];
            do reader_next(s, r);
            while (r->has_next && r->next.ts_ns <= fed);
        }
    }
    s->placed = true;
}

static void feed_bars(struct source *s, struct world *w, uint32_t i, int64_t until_ns) {
    const struct candles *c = &s->listing->candles[i];
    size_t *k = &s->cursor[i];
    int64_t interval = s->listing->interval_ns;
    /* The program was away: bars that ended long ago would only be walked through. */
    while (*k + 1 < c->count &&
           c->bars[*k + 1].open_ts_ns + s->shift_ns + interval + NS_PER_MINUTE < until_ns)
        ++*k;
    while (*k < c->count && market_hungry(w->market, i) > 0) {
        struct bar b = c->bars[*k];
        b.open_ts_ns += s->shift_ns;
        enum status st = world_bar(w, i, &b);
        if (st != ST_OK && st != ST_INVALID) return; /* the disk: told by world_failed */
        ++*k;
    }
}

static void feed_trades(struct source *s, struct world *w, uint32_t i, int64_t until_ns) {
    struct reader *r = &s->readers[i];
    while (r->has_next && r->next.ts_ns <= until_ns + AHEAD_SECONDS * NS_PER_SECOND &&
           market_hungry(w->market, i) > 0) {
        bool old = r->next.ts_ns + NS_PER_MINUTE < until_ns;
        if (!old) {
            enum status st = world_trade(w, i, &r->next);
            if (st != ST_OK && st != ST_INVALID) return;
        }
        reader_next(s, r);
    }
}

void source_feed(struct source *s, struct world *w, int64_t until_ns) {
    if (!s->listing->candles && !s->listing->trade_files) return;
    if (!s->placed) place(s, w);
    for (uint32_t i = 0; i < s->listing->count; i++) {
        if (s->listing->candles)
            feed_bars(s, w, i, until_ns);
        else
            feed_trades(s, w, i, until_ns);
    }
}
