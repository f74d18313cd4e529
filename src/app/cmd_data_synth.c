/* quantum data synth: made-up bars into the store. */
#include "app/cmd_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"
#include "store/candles.h"
#include "store/rules.h"

/* Bars made before they are written, of all symbols together: 256 MiB. */
enum { SYNTH_CHUNK_BARS = 1 << 22, SYNTH_CHUNK_MAX = 1 << 16 };

static const char usage_synth[] =
    "usage: quantum data synth [options]\n"
    "Writes made-up bars and their contracts. They are marked synthetic and never mix with real\n"
    "ones. docs/synth.md describes the market and the pattern in it.\n"
    "  --symbols N      default: 12\n"
    "  --bars N         of each symbol (default: 20160)\n"
    "  --seed N         default: 1\n"
    "  --interval I     default: 1m\n"
    "  --start T        default: 2024-01-01\n"
    "  --volatility X   a year's (default: 0.8)\n"
    "  --pattern X      strength of the planted pattern (default: 1; 0 is none)\n"
    "  --store DIR, --state DIR   as for import\n"
    "example: quantum data synth --symbols 8 --bars 50000 --seed 7\n";

/* clang-format off */
static const struct option options_synth[] = {
    {"store", required_argument, NULL, OPT_STORE}, {"state", required_argument, NULL, OPT_STATE},
    {"symbols", required_argument, NULL, OPT_SYMBOLS}, {"bars", required_argument, NULL, OPT_BARS},
    {"seed", required_argument, NULL, OPT_SEED}, {"interval", required_argument, NULL, OPT_INTERVAL},
    {"start", required_argument, NULL, OPT_START}, {"volatility", required_argument, NULL, OPT_VOLATILITY},
    {"pattern", required_argument, NULL, OPT_PATTERN}, {"help", no_argument, NULL, OPT_HELP}, {0}};
/* clang-format on */

/* Made-up bars continue a series only if they are the same where both have some: another seed's
 * would be spliced onto it. Checked before anything is written. */
static enum status check_chunk(const struct data_options *o, const char *symbol,
                               const struct bar *bars, size_t count, struct err *err) {
    struct candles c;
    enum status st = candles_open(&c, o->store, "um", o->synth.interval_ns, symbol, err);
    if (st == ST_NOT_FOUND) return ST_OK;
    if (st != ST_OK) return st;
    size_t lo = 0, hi = c.count;
    while (lo < hi) {
        size_t middle = lo + (hi - lo) / 2;
        if (c.bars[middle].open_ts_ns < bars[0].open_ts_ns)
            lo = middle + 1;
        else
            hi = middle;
    }
    for (size_t i = 0; i < count && lo + i < c.count && st == ST_OK; i++)
        if (memcmp(&c.bars[lo + i], &bars[i], sizeof *bars) != 0)
            st = err_set(err, ST_MISMATCH,
                         "%s has other bars at these times (another seed?): use another --store, "
                         "--start or --interval",
                         symbol);
    candles_close(&c);
    return st;
}

struct writer {
    const struct data_options *o;
    struct instrument *instruments; /* (symbols) */
    struct bar *chunk;              /* (symbols, chunk_bars): made for every symbol, then written */
    void *memory;                   /* the generator's */
    size_t symbols, chunk_bars;
    uint64_t added;
};

static enum status write_chunk(struct writer *w, size_t bars, struct err *err) {
    enum status st = ST_OK;
    const struct data_options *o = w->o;
    for (size_t i = 0; i < w->symbols && st == ST_OK; i++)
        st = check_chunk(o, w->instruments[i].symbol, w->chunk + i * w->chunk_bars, bars, err);
    for (size_t i = 0; i < w->symbols && st == ST_OK; i++) {
        struct candles_merge counts;
        const struct instrument *in = &w->instruments[i];
        st = candles_merge_lcd(&counts, o->store, "um", o->synth.interval_ns, in->symbol,
                               INSTRUMENT_SYNTHETIC, w->chunk + i * w->chunk_bars, bars,
                               in->step_size.e8, err);
        w->added += counts.added;
    }
    return st;
}

static enum status write_contracts(const struct writer *w, struct err *err) {
    struct rules *rules = calloc(w->symbols, sizeof *rules);
    if (!rules) return err_set(err, ST_NO_MEMORY, "contracts");
    for (size_t i = 0; i < w->symbols; i++)
        rules[i] = (struct rules){RULES_FILTERS | RULES_BRACKETS, 0, w->instruments[i]};
    enum status st = rules_merge(w->o->store, rules, w->symbols, err);
    free(rules);
    return st;
}

static enum status write_bars(struct writer *w, struct err *err) {
    struct bar now[INSTRUMENTS_MAX];
    bool tty = isatty(STDERR_FILENO);
    enum status st = ST_OK;
    struct synth *synth = synth_init(w->memory, &w->o->synth);
    for (uint64_t done = 0; done < w->o->bars && st == ST_OK;) {
        uint64_t left = w->o->bars - done;
        size_t n = left < w->chunk_bars ? (size_t)left : w->chunk_bars;
        for (size_t t = 0; t < n; t++) {
            synth_next(synth, now);
            for (size_t i = 0; i < w->symbols; i++) w->chunk[i * w->chunk_bars + t] = now[i];
        }
        st = write_chunk(w, n, err);
        done += n;
        if (tty)
            fprintf(stderr, "\r\x1b[K%llu of %llu bars", (unsigned long long)done,
                    (unsigned long long)w->o->bars);
        if (data_interrupted && st == ST_OK)
            st = err_set(err, ST_INTERRUPTED, "interrupted; run it again for the rest");
    }
    if (tty) fputs("\r\x1b[K", stderr);
    return st;
}

static enum status write_all(struct writer *w, struct err *err) {
    w->instruments = calloc(w->symbols, sizeof *w->instruments);
    w->chunk = aligned_alloc(64, w->symbols * w->chunk_bars * sizeof *w->chunk);
    w->memory = aligned_alloc(64, (synth_size(&w->o->synth) + 63) / 64 * 64);
    if (!w->instruments || !w->chunk || !w->memory)
        return err_set(err, ST_NO_MEMORY, "out of memory");
    synth_instruments(&w->o->synth, w->instruments);
    enum status st = write_bars(w, err);
    if (st != ST_OK && st != ST_INTERRUPTED) return st;
    enum status contracts = write_contracts(w, st == ST_OK ? err : NULL);
    return st == ST_OK ? contracts : st;
}

int data_synth(int argc, char **argv) {
    struct data_options o;
    int code = data_options_read(&o, argc, argv, options_synth, usage_synth);
    if (code >= 0) return code;
    if (o.name_count) return data_usage_error(usage_synth, "unexpected: ", o.names[0]);
    if (o.interval_ns) o.synth.interval_ns = o.interval_ns;
    if (o.synth.start_ts_ns % o.synth.interval_ns != 0)
        return data_usage_error(usage_synth, "--start is not on the interval's grid", "");
    struct writer w = {.o = &o, .symbols = o.synth.symbol_count};
    struct err err = {0};
    w.chunk_bars = SYNTH_CHUNK_BARS / w.symbols;
    if (w.chunk_bars > SYNTH_CHUNK_MAX) w.chunk_bars = SYNTH_CHUNK_MAX;
    data_interrupts_begin();
    enum status st = write_all(&w, &err);
    data_interrupts_end();
    free(w.memory);
    free(w.chunk);
    free(w.instruments);
    if (st != ST_OK) return data_failed(&err);
    printf("%llu synthetic bars added to %s\n", (unsigned long long)w.added, o.store);
    return EXIT_DONE;
}
