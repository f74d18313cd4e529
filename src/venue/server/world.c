#include "venue/server/world.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "venue/server/world_internal.h"

enum {
    CODE_DISK = -1001,    /* "Internal error; unable to process your request. Please try again." */
    HASH_EVERY = 1 << 16, /* journal records between two hashes of the state */
    SEGMENT_BYTES = 16 << 20,
    RECORD_VERSION = 1,
};
#define SNAPSHOT_RECORDS UINT64_C(1000000)
#define SNAPSHOT_NS      (5 * NS_PER_MINUTE)

/* ---- applying: the same for an input that comes and for one that is read again ---- */

static void draw_events(struct world *w) {
    const struct exchange_event *e;
    while ((e = exchange_event_next(w->exchange)) != NULL) {
        history_event(w->history, e);
        ticks_event(w->ticks, e);
        if (!w->recovering && w->on_event) w->on_event(w->on_event_context, e);
    }
}

static void step(struct world *w, const struct exchange_input *in, int64_t ts_ns,
                 struct exchange_reply *reply) {
    if (ts_ns > w->now_ns) w->now_ns = ts_ns;
    exchange_step(w->exchange, in, w->now_ns, reply);
    if (in->kind == EXI_FUNDING && reply->code == 0) {
        struct exchange_prices prices;
        exchange_prices_get(w->exchange, in->instrument, &prices);
        ticks_funding(w->ticks, in->instrument, w->now_ns, in->rate, prices.mark);
    }
    draw_events(w);
}

static void market_act(void *context, const struct exchange_input *in, int64_t ts_ns) {
    struct world *w = context;
    step(w, in, ts_ns, &w->p->reply);
}

/* Market and timers in order of time. */
static void apply_advance(struct world *w, int64_t now_ns) {
    static const struct exchange_input TIME = {.kind = EXI_TIME};
    if (now_ns < w->now_ns) now_ns = w->now_ns;
    for (;;) {
        int64_t timer = exchange_deadline(w->exchange), until = timer < now_ns ? timer : now_ns;
        if (until < w->now_ns) until = w->now_ns;
        market_advance(w->market, w->exchange, until, market_act, w);
        if (w->now_ns < until) w->now_ns = until;
        if (exchange_deadline(w->exchange) <= w->now_ns) {
            /* One step may leave work for the next, so that its events fit their queue. */
            step(w, &TIME, w->now_ns, &w->p->reply);
        } else if (until == now_ns) {
            break;
        }
    }
    ticks_time(w->ticks, w->now_ns);
}

static void apply_filters(struct world *w, const struct record_filters *r, int64_t now_ns,
                          struct exchange_reply *reply) {
    struct exchange_input in = {.kind = EXI_FILTERS, .instrument = r->instrument};
    exchange_set_instrument(w->exchange, r->instrument, &r->rules);
    step(w, &in, now_ns, reply);
}

static void apply_switch(struct world *w, const struct record_switch *r) {
    if (r->what == SWITCH_CLASSIC)
        exchange_set_classic(w->exchange, r->on != 0);
    else if (r->what == SWITCH_SHOCK)
        market_shock(w->market, w->exchange, r->instrument, r->move_ppm);
    else
        market_stale_set(w->market, r->instrument, r->on != 0);
}

static void fed(struct world *w, uint32_t instrument, int64_t ts_ns) {
    int64_t *last = &w->p->own->fed_ns[instrument];
    if (*last < ts_ns) *last = ts_ns;
}

static enum status apply_bar(struct world *w, const struct record_bar *r) {
    enum status st = market_bar(w->market, r->instrument, &r->bar);
    if (st == ST_OK) fed(w, r->instrument, r->bar.open_ts_ns);
    return st;
}

static enum status apply_trade(struct world *w, const struct record_trade *r) {
    enum status st = market_trade(w->market, r->instrument, &r->trade);
    if (st == ST_OK) fed(w, r->instrument, r->trade.ts_ns);
    return st;
}

/* ---- journal ---- */

static enum status append(struct world *w, uint16_t type, int64_t ts_ns, const void *payload,
                          uint32_t size) {
    struct world_private *p = w->p;
    if (!p->journal) return ST_OK;
    if (p->failure.st != ST_OK) return p->failure.st;
    journal_append(p->journal, type, RECORD_VERSION, ts_ns, payload, size);
    p->stats.records++;
    return journal_failed(p->journal, &p->failure);
}

/* Behind an applied input: the state's hash and a snapshot, when they are due. */
static void afterwards(struct world *w) {
    struct world_private *p = w->p;
    if (!p->journal || p->failure.st != ST_OK) return;
    uint64_t seq = journal_last_seq(p->journal);
    if (seq >= p->hash_due) {
        uint64_t hash = exchange_hash(w->exchange);
        p->hash_due = seq + HASH_EVERY;
        append(w, RECORD_HASH, w->now_ns, &hash, sizeof hash);
    }
    if (seq >= p->snapshot_due) world_snapshot_start(w);
}

void world_snapshot_start(struct world *w) {
    struct world_private *p = w->p;
    if (!p->journal || p->failure.st != ST_OK) return;
    p->own->now_ns = w->now_ns;
    p->snapshot_due = journal_last_seq(p->journal) + p->options.snapshot_records;
    snapshot_start(p);
}

static void snapshot_when_due(struct world *w) {
    struct world_private *p = w->p;
    if (!p->journal) return;
    snapshot_reap(p, false);
    if (p->snapshot_pid || journal_last_seq(p->journal) == p->kept_seq) return;
    if (tstamp_monotonic_ns() - p->snapshot_at_ns >= p->options.snapshot_ns)
        world_snapshot_start(w);
}

void world_do(struct world *w, const struct exchange_input *in, int64_t now_ns,
              struct exchange_reply *reply) {
    if (now_ns < w->now_ns) now_ns = w->now_ns;
    if (world_deadline(w) <= now_ns) world_advance(w, now_ns);
    if (append(w, RECORD_INPUT, now_ns, in, sizeof *in) != ST_OK) {
        memset(reply, 0, sizeof *reply);
        reply->code = CODE_DISK;
        return;
    }
    step(w, in, now_ns, reply);
    afterwards(w);
}

void world_filters(struct world *w, uint32_t instrument, const struct instrument *rules,
                   int64_t now_ns, struct exchange_reply *reply) {
    struct record_filters r = {.instrument = instrument, .rules = *rules};
    if (now_ns < w->now_ns) now_ns = w->now_ns;
    if (world_deadline(w) <= now_ns) world_advance(w, now_ns);
    if (append(w, RECORD_FILTERS, now_ns, &r, sizeof r) != ST_OK) {
        memset(reply, 0, sizeof *reply);
        reply->code = CODE_DISK;
        return;
    }
    apply_filters(w, &r, now_ns, reply);
}

static void switch_now(struct world *w, const struct record_switch *r, int64_t now_ns) {
    if (now_ns < w->now_ns) now_ns = w->now_ns;
    if (world_deadline(w) <= now_ns) world_advance(w, now_ns);
    if (append(w, RECORD_SWITCH, now_ns, r, sizeof *r) != ST_OK) return;
    w->now_ns = now_ns;
    apply_switch(w, r);
}

void world_classic_set(struct world *w, bool classic_conditional, int64_t now_ns) {
    struct record_switch r = {.what = SWITCH_CLASSIC, .on = classic_conditional};
    switch_now(w, &r, now_ns);
}

void world_stale_set(struct world *w, uint32_t instrument, bool stale, int64_t now_ns) {
    ASSERT(instrument < w->p->instrument_count);
    struct record_switch r = {.what = SWITCH_STALE, .instrument = instrument, .on = stale};
    switch_now(w, &r, now_ns);
}

void world_shock(struct world *w, uint32_t instrument, int32_t move_ppm, int64_t now_ns) {
    ASSERT(instrument < w->p->instrument_count);
    struct record_switch r = {.what = SWITCH_SHOCK, .instrument = instrument, .move_ppm = move_ppm};
    switch_now(w, &r, now_ns);
}

/* Taken first, written then: what the market refused must not be offered to it again on recovery. Should the
 * disk fail in between, the world stands still from here on, so nothing came of it. */
enum status world_bar(struct world *w, uint32_t instrument, const struct bar *bar) {
    ASSERT(instrument < w->p->instrument_count);
    struct record_bar r = {.instrument = instrument, .bar = *bar};
    if (w->p->failure.st != ST_OK) return w->p->failure.st;
    enum status st = apply_bar(w, &r);
    return st == ST_OK ? append(w, RECORD_BAR, w->now_ns, &r, sizeof r) : st;
}

enum status world_trade(struct world *w, uint32_t instrument, const struct market_trade *trade) {
    ASSERT(instrument < w->p->instrument_count);
    struct record_trade r = {.instrument = instrument, .trade = *trade};
    if (w->p->failure.st != ST_OK) return w->p->failure.st;
    enum status st = apply_trade(w, &r);
    return st == ST_OK ? append(w, RECORD_TRADE, w->now_ns, &r, sizeof r) : st;
}

int64_t world_fed_ns(const struct world *w, uint32_t instrument) {
    ASSERT(instrument < w->p->instrument_count);
    return w->p->own->fed_ns[instrument];
}

int64_t world_deadline(const struct world *w) {
    /* Candles close at the full minute, trade or not. */
    int64_t next = (w->now_ns / NS_PER_MINUTE + 1) * NS_PER_MINUTE;
    int64_t market = market_deadline(w->market), timer = exchange_deadline(w->exchange);
    if (market < next) next = market;
    return timer < next ? timer : next;
}

void world_advance(struct world *w, int64_t now_ns) {
    snapshot_when_due(w);
    if (now_ns < w->now_ns) now_ns = w->now_ns;
    if (w->p->options.feed && w->p->failure.st == ST_OK)
        w->p->options.feed(w->p->options.context, w, now_ns);
    if (world_deadline(w) > now_ns) return;
    if (append(w, RECORD_ADVANCE, now_ns, NULL, 0) != ST_OK) return;
    apply_advance(w, now_ns);
    afterwards(w);
}

enum status world_failed(const struct world *w, struct err *err) {
    if (err && w->p->failure.st != ST_OK) *err = w->p->failure;
    return w->p->failure.st;
}

/* ---- looking ---- */

static uint64_t symbol_hash(const char *symbol, size_t size) {
    return hash64(symbol, size);
}

int world_find(const struct world *w, const char *symbol, size_t size) {
    const struct world_private *p = w->p;
    if (size == 0 || size >= SYMBOL_SIZE) return -1;
    for (uint64_t at = symbol_hash(symbol, size);; at++) {
        uint32_t found = p->symbols[at & p->symbol_mask];
        if (found == 0) return -1;
        const char *name = exchange_instrument(w->exchange, found - 1)->symbol;
        if (memcmp(name, symbol, size) == 0 && name[size] == '\0') return (int)found - 1;
    }
}

void world_stats_get(const struct world *w, struct world_stats *out) {
    *out = w->p->stats;
    if (w->p->journal) out->journal_seq = journal_last_seq(w->p->journal);
    for (int i = 0; i < BLOCK_COUNT; i++) out->memory_bytes += w->p->blocks[i].size;
}

/* ---- opening ---- */

static enum status block_map(struct world_block *b, size_t size, struct err *err) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return err_errno(err, ST_NO_MEMORY, "%zu bytes of the exchange's state", size);
    /* Rings and tables fill up slowly: with huge pages the first byte of each would cost 2 MB. */
    (void)madvise(memory, size, MADV_NOHUGEPAGE);
    *b = (struct world_block){memory, size, size};
    return ST_OK;
}

static enum status blocks_map(struct world_private *p, struct err *err) {
    const struct world_options *o = &p->options;
    const size_t sizes[BLOCK_COUNT] = {
        [BLOCK_EXCHANGE] = exchange_size(&o->exchange),
        [BLOCK_HISTORY] = history_size(&o->history),
        [BLOCK_MARKET] = market_size(&o->market),
        [BLOCK_TICKS] = ticks_size(&o->ticks),
        [BLOCK_OWN] = sizeof(struct world_own) + sizeof(int64_t) * o->exchange.instrument_count};
    for (int i = 0; i < BLOCK_COUNT; i++) {
        enum status st = block_map(&p->blocks[i], sizes[i], err);
        if (st != ST_OK) return st;
    }
    p->own = p->blocks[BLOCK_OWN].memory;
    return ST_OK;
}

/* Blocks of a fresh world. Loading a snapshot then replaces all of it. */
static void blocks_init(struct world *w) {
    struct world_private *p = w->p;
    const struct world_options *o = &p->options;
    w->exchange = exchange_init(p->blocks[BLOCK_EXCHANGE].memory, &o->exchange);
    p->blocks[BLOCK_EXCHANGE].saved = exchange_state_size(w->exchange);
    w->history = history_init(p->blocks[BLOCK_HISTORY].memory, &o->history);
    w->market = market_init(p->blocks[BLOCK_MARKET].memory, &o->market);
    w->ticks = ticks_init(p->blocks[BLOCK_TICKS].memory, &o->ticks);
    w->now_ns = o->start_ns;
    for (uint32_t i = 0; i < p->instrument_count; i++) p->own->fed_ns[i] = INT64_MIN;
}

static enum status symbols_make(struct world *w, struct err *err) {
    struct world_private *p = w->p;
    uint32_t size = 16;
    while (size < 4 * p->instrument_count) size *= 2;
    p->symbols = calloc(size, sizeof *p->symbols);
    if (!p->symbols) return err_set(err, ST_NO_MEMORY, "symbol table");
    p->symbol_mask = size - 1;
    for (uint32_t i = 0; i < p->instrument_count; i++) {
        const char *name = p->options.exchange.instruments[i].symbol;
        uint64_t at = symbol_hash(name, strnlen(name, SYMBOL_SIZE));
        while (p->symbols[at & p->symbol_mask]) at++;
        p->symbols[at & p->symbol_mask] = (uint16_t)(i + 1);
    }
    return ST_OK;
}

/* A record's payload; its place in the segment may not be aligned. */
union record {
    struct exchange_input input;
    struct record_bar bar;
    struct record_trade trade;
    struct record_filters filters;
    struct record_switch toggle;
    uint64_t hash;
};

static enum status record_read(union record *out, const struct journal_record *r, struct err *err) {
    static const uint32_t SIZES[] = {[RECORD_INPUT] = sizeof(struct exchange_input),
                                     [RECORD_BAR] = sizeof(struct record_bar),
                                     [RECORD_TRADE] = sizeof(struct record_trade),
                                     [RECORD_FILTERS] = sizeof(struct record_filters),
                                     [RECORD_SWITCH] = sizeof(struct record_switch),
                                     [RECORD_HASH] = sizeof(uint64_t),
                                     [RECORD_FILLER] = 0};
    if (r->version != RECORD_VERSION || r->type == 0 || r->type > RECORD_FILLER)
        return err_set(err, ST_VERSION, "record %" PRIu64 " is of type %u version %u", r->seq,
                       (unsigned)r->type, (unsigned)r->version);
    if (r->size != SIZES[r->type])
        return err_set(err, ST_CORRUPT, "record %" PRIu64 " has %" PRIu32 " bytes", r->seq,
                       r->size);
    memset(out, 0, sizeof *out);
    if (r->size) memcpy(out, r->payload, r->size);
    return ST_OK;
}

static enum status record_apply(struct world *w, const struct journal_record *r, struct err *err) {
    union record u;
    enum status st = record_read(&u, r, err);
    if (st != ST_OK) return st;
    switch ((enum world_record)r->type) {
    case RECORD_INPUT:
        step(w, &u.input, r->ts_ns, &w->p->reply);
        break;
    case RECORD_ADVANCE:
        apply_advance(w, r->ts_ns);
        break;
    case RECORD_BAR:
        st = apply_bar(w, &u.bar);
        break;
    case RECORD_TRADE:
        st = apply_trade(w, &u.trade);
        break;
    case RECORD_FILTERS:
        apply_filters(w, &u.filters, r->ts_ns, &w->p->reply);
        break;
    case RECORD_SWITCH:
        if (w->now_ns < r->ts_ns) w->now_ns = r->ts_ns;
        apply_switch(w, &u.toggle);
        break;
    case RECORD_HASH:
        if (u.hash != exchange_hash(w->exchange)) st = ST_CORRUPT;
        break;
    case RECORD_FILLER:
        break;
    }
    return st == ST_OK ? st
                       : err_set(err, ST_CORRUPT,
                                 "journal record %" PRIu64 " does not lead where it led", r->seq);
}

/* Applies the journal behind a snapshot. */
static enum status recover(struct world *w, const char *journal_dir, uint64_t seq,
                           struct err *err) {
    struct world_private *p = w->p;
    struct journal_reader *reader;
    struct journal_record record;
    if (journal_last_seq(p->journal) <= seq) return ST_OK;
    enum status st = journal_reader_open(&reader, journal_dir, seq + 1, err);
    if (st != ST_OK) return st;
    w->recovering = true;
    while ((st = journal_next(reader, &record, err)) == ST_OK) {
        st = record_apply(w, &record, err);
        if (st != ST_OK) break;
        p->stats.recovered_records++;
    }
    w->recovering = false;
    journal_reader_close(reader);
    if (st != ST_END) return st;
    uint64_t expected = journal_last_seq(p->journal) - seq;
    if (p->stats.recovered_records != expected)
        return err_set(err, ST_CORRUPT, "%" PRIu64 " of %" PRIu64 " journal records were read",
                       p->stats.recovered_records, expected);
    return ST_OK;
}

/* Power may have taken the end of the journal and left a snapshot made behind it. Its numbers must not be given out
 * a second time, and older snapshots no longer lead here. */
static enum status journal_catch_up(struct world *w, uint64_t seq, struct err *err) {
    struct world_private *p = w->p;
    if (journal_last_seq(p->journal) >= seq) return ST_OK;
    log_warn("exchange", "the journal ends before its snapshot: what was not synced is gone",
             "journal=%" PRIu64 " snapshot=%" PRIu64, journal_last_seq(p->journal), seq);
    while (journal_last_seq(p->journal) < seq) {
        enum status st = append(w, RECORD_FILLER, w->now_ns, NULL, 0);
        if (st != ST_OK) return world_failed(w, err);
    }
    return snapshot_save(p, 1, err);
}

static enum status identity_read(const struct world_private *p, char **out, struct err *err) {
    *out = NULL;
    int fd = openat(p->dir_fd, "identity", O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return ST_NOT_FOUND;
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    struct stat sb;
    if (!f || fstat(fd, &sb)) {
        enum status st = err_errno(err, ST_IO, "%s/identity", p->dir);
        if (f)
            fclose(f);
        else if (fd >= 0)
            close(fd);
        return st;
    }
    size_t size = (size_t)sb.st_size;
    char *text = calloc(1, size + 1);
    bool good = text && fread(text, 1, size, f) == size;
    fclose(f);
    if (!good) {
        free(text);
        return err_set(err, text ? ST_IO : ST_NO_MEMORY, "%s/identity", p->dir);
    }
    *out = text;
    return ST_OK;
}

/* The last thing a fresh world does: from here on it exists. */
static enum status identity_write(const struct world_private *p, struct err *err) {
    int fd = openat(p->dir_fd, "identity.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return err_errno(err, ST_IO, "%s/identity.tmp", p->dir);
    size_t size = strlen(p->identity);
    ssize_t n = write(fd, p->identity, size);
    bool good = n == (ssize_t)size && fsync(fd) == 0;
    close(fd);
    if (!good || renameat(p->dir_fd, "identity.tmp", p->dir_fd, "identity") || fsync(p->dir_fd))
        return err_errno(err, ST_IO, "%s/identity", p->dir);
    return ST_OK;
}

static enum status dir_open(struct world_private *p, struct err *err) {
    const char *dir = p->options.state_dir;
    size_t n = strlen(dir);
    if (n == 0 || n + 16 > sizeof p->dir) return err_set(err, ST_RANGE, "state folder's name");
    memcpy(p->dir, dir, n + 1);
    /* 0755, less the umask: what is secret in it is 0600. journal_open makes what is missing above. */
    if (mkdir(dir, 0755) && errno != EEXIST && errno != ENOENT)
        return err_errno(err, ST_IO, "make %s", dir);
    return ST_OK;
}

static enum status fresh(struct world *w, struct err *err) {
    struct world_private *p = w->p;
    if (p->options.prepare) p->options.prepare(p->options.context, w);
    if (!p->journal) return ST_OK;
    if (p->failure.st != ST_OK) return world_failed(w, err);
    p->own->now_ns = w->now_ns;
    enum status st = snapshot_save(p, WORLD_SNAPSHOTS_KEPT, err);
    return st == ST_OK ? identity_write(p, err) : st;
}

static enum status restart(struct world *w, const char *journal_dir, struct err *err) {
    struct world_private *p = w->p;
    uint64_t seq = 0;
    int64_t from = tstamp_monotonic_ns();
    enum status st = snapshot_load(p, &seq, err);
    if (st != ST_OK) return err_wrap(err, st == ST_NOT_FOUND ? ST_CORRUPT : st, "state %s", p->dir);
    w->now_ns = p->own->now_ns;
    p->kept_seq = seq;
    st = recover(w, journal_dir, seq, err);
    /* As old as what lies behind it: killed more often than one is due, there would never be another, and each start
     * would take longer than the last. */
    p->snapshot_at_ns = from - (w->now_ns - p->own->now_ns);
    if (st == ST_OK) st = journal_catch_up(w, seq, err);
    if (st != ST_OK) return err_wrap(err, st, "state %s", p->dir);
    log_info("exchange", "stands where it stood",
             "dir=%s snapshot=%" PRIu64 " records=%" PRIu64 " ms=%" PRId64, p->dir, seq,
             p->stats.recovered_records, (tstamp_monotonic_ns() - from) / NS_PER_MS);
    return ST_OK;
}

static enum status state_open(struct world *w, struct err *err) {
    struct world_private *p = w->p;
    char journal_dir[WORLD_DIR_SIZE + 16];
    enum status st = dir_open(p, err);
    if (st != ST_OK) return st;
    snprintf(journal_dir, sizeof journal_dir, "%s/journal", p->dir);
    struct journal_options options = journal_options_defaults();
    struct journal_repair repair;
    options.segment_bytes = SEGMENT_BYTES;
    st = journal_open(&p->journal, &repair, journal_dir, &options, err);
    if (st != ST_OK) return err_wrap(err, st, "state %s", p->dir);
    p->dir_fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dir_fd < 0) return err_errno(err, ST_IO, "open %s", p->dir);
    char *was = NULL;
    st = identity_read(p, &was, err);
    if (st == ST_NOT_FOUND) {
        /* Not made to its end: what lies in the journal was told to nobody and is behind its first snapshot. */
        return fresh(w, err);
    }
    if (st == ST_OK) st = world_identity_compare(was, p->identity, err);
    free(was);
    if (st != ST_OK) return err_wrap(err, st, "state %s", p->dir);
    return restart(w, journal_dir, err);
}

static void world_free(struct world *w) {
    struct world_private *p = w->p;
    if (p) {
        snapshot_reap(p, true);
        if (p->journal) journal_close(p->journal, NULL);
        if (p->dir_fd >= 0) close(p->dir_fd);
        for (int i = 0; i < BLOCK_COUNT; i++)
            if (p->blocks[i].memory) munmap(p->blocks[i].memory, p->blocks[i].size);
        free(p->symbols);
        free(p->identity);
        free(p);
    }
    free(w);
}

static enum status world_make(struct world *w, const struct world_options *options,
                              struct err *err) {
    struct world_private *p = w->p;
    p->options = *options;
    p->dir_fd = -1;
    p->instrument_count = options->exchange.instrument_count;
    p->snapshot_at_ns = tstamp_monotonic_ns();
    p->hash_due = p->snapshot_due = UINT64_MAX; /* until it is open */
    p->kept_seq = UINT64_MAX;
    if (p->options.snapshot_records == 0) p->options.snapshot_records = SNAPSHOT_RECORDS;
    if (p->options.snapshot_ns == 0) p->options.snapshot_ns = SNAPSHOT_NS;
    ASSERT(p->instrument_count < UINT16_MAX &&
           options->market.instrument_count == p->instrument_count &&
           options->ticks.instrument_count == p->instrument_count);
    p->identity = world_identity_text(options);
    if (!p->identity) return err_set(err, ST_NO_MEMORY, "identity of the exchange");
    p->identity_hash = hash64(p->identity, strlen(p->identity));
    enum status st = blocks_map(p, err);
    if (st == ST_OK) st = symbols_make(w, err);
    if (st != ST_OK) return st;
    blocks_init(w);
    st = options->state_dir ? state_open(w, err) : fresh(w, err);
    if (st != ST_OK || !p->journal) return st;
    p->hash_due = journal_last_seq(p->journal) + HASH_EVERY;
    p->snapshot_due = p->kept_seq + p->options.snapshot_records;
    return st;
}

enum status world_open(struct world **out, const struct world_options *options, struct err *err) {
    *out = NULL;
    struct world *w = calloc(1, sizeof *w);
    if (w) w->p = calloc(1, sizeof *w->p);
    if (!w || !w->p) {
        free(w);
        return err_set(err, ST_NO_MEMORY, "exchange");
    }
    enum status st = world_make(w, options, err);
    if (st == ST_OK)
        *out = w;
    else
        world_free(w);
    return st;
}

enum status world_close(struct world *w, struct err *err) {
    struct world_private *p = w->p;
    enum status st = p->failure.st;
    if (st != ST_OK && err) *err = p->failure;
    if (p->journal) {
        snapshot_reap(p, true);
        if (st == ST_OK && journal_last_seq(p->journal) != p->kept_seq) {
            p->own->now_ns = w->now_ns;
            st = snapshot_save(p, WORLD_SNAPSHOTS_KEPT, err);
        }
        enum status closed = journal_close(p->journal, st == ST_OK ? err : NULL);
        if (st == ST_OK) st = closed;
        p->journal = NULL;
    }
    world_free(w);
    return st;
}
