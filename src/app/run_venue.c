/* A run on a venue somewhere else: keys, confirmations, and what the first start found out and every later one keeps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "app/command.h"
#include "app/run.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/tstamp.h"
#include "feature/feature.h"
#include "store/rules.h"

#define VENUE_INTERVAL NS_PER_MINUTE
enum { DAY_BARS_MARGIN = 8, KEYS_FILE_MAX = 8192 };
/* Candles from before the run, for its first training: as many as a made-up market has. Of many symbols fewer, so that no
 * more is asked for than half a minute's share of requests: 600 of 499 candles, each of weight 2. */
enum { HISTORY_BARS = 5000, HISTORY_BARS_ALL = 600 * 499 };

/* ---- what fits what ---- */

/* "https://host:port/…": the host; length 0 if it is no http URL. */
static struct json_text host_of(const char *url) {
    const char *p = strstr(url, "://");
    struct json_text host = {0};
    if (!p || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)) return host;
    host.data = p + 3;
    host.size = strcspn(host.data, ":/?#");
    return host;
}

static bool host_ends(struct json_text host, const char *tail) {
    size_t n = strlen(tail);
    return host.size >= n && strncasecmp(host.data + host.size - n, tail, n) == 0;
}

static bool host_is(struct json_text host, const char *name) {
    return host.size == strlen(name) && strncasecmp(host.data, name, host.size) == 0;
}

/* A mode is a promise about whose money it is; the URL must keep it. NULL, or what is wrong. */
static const char *url_fault(enum run_mode mode, const char *url) {
    struct json_text host = host_of(url);
    bool real = host_ends(host, "binance.com") || host_ends(host, "binancefuture.com");
    bool demo =
        host_is(host, "demo-fapi.binance.com") || host_is(host, "testnet.binancefuture.com");
    if (host.size == 0) return "is not an http:// or https:// URL";
    switch (mode) {
    case MODE_PAPER:
        return real ? "is a venue of the outside world: --mode testnet or --mode live" : NULL;
    case MODE_TESTNET:
        return real && !demo ? "is the live venue, and the mode is testnet" : NULL;
    case MODE_LIVE:
        if (demo) return "is a demo venue, and the mode is live";
        return strncmp(url, "https://", 8) == 0 ? NULL : "must be https:// for live trading";
    case MODE_REPLAY:
        break;
    }
    return "has no place in a replay";
}

static int refuse(struct err *err, const char *text, const char *about) {
    err_set(err, ST_REFUSED, "%s%s%s; nothing was started", about, about[0] ? " " : "", text);
    return EXIT_REFUSED;
}

/* ---- keys ---- */

static enum status read_keys(struct venue_keys *out, const char *path, struct err *err) {
    char text[KEYS_FILE_MAX];
    FILE *f = fopen(path, "r");
    if (!f) return err_errno(err, ST_IO, "%s", path);
    size_t n = fread(text, 1, sizeof text, f);
    bool whole = feof(f) != 0;
    fclose(f);
    if (!whole) return err_set(err, ST_INVALID, "%s: too long for a keys file", path);
    struct json_reader r;
    struct json_text key;
    json_reader_init(&r, text, n);
    enum status st = json_object_begin(&r) ? ST_OK : ST_INVALID;
    while (st == ST_OK && json_object_next(&r, &key)) {
        char *to = NULL;
        size_t size = 0;
        if (json_text_is(&key, "api_key")) {
            to = out->api_key;
            size = sizeof out->api_key;
        } else if (json_text_is(&key, "api_secret") || json_text_is(&key, "ed25519_private_key")) {
            to = out->api_secret;
            size = sizeof out->api_secret;
        } else if (json_text_is(&key, "mode")) {
            to = out->mode;
            size = sizeof out->mode;
        }
        if (!to) {
            json_skip(&r);
            continue;
        }
        struct json_text value = json_string(&r);
        if (r.error || json_text_copy(to, size, NULL, &value) != ST_OK) st = ST_INVALID;
    }
    if (st == ST_OK) st = json_finish(&r);
    explicit_bzero(text, sizeof text);
    if (st != ST_OK)
        return err_set(err, ST_INVALID, "%s: line %u: %s", path, json_error_line(&r),
                       r.error ? r.error : "not an object of short texts");
    if (!out->api_key[0] || !out->api_secret[0])
        return err_set(err, ST_INVALID,
                       "%s: api_key and api_secret (or ed25519_private_key) are needed", path);
    return ST_OK;
}

int run_venue_keys(struct venue_keys *out, const struct run_options *o, struct err *err) {
    struct stat sb;
    memset(out, 0, sizeof *out);
    const char *fault = url_fault(o->mode, o->venue_url);
    if (fault) return refuse(err, fault, o->venue_url);
    /* Live is asked for three times: on the command line, in the environment, in the keys file. */
    const char *env = getenv("QUANTUM_LIVE");
    if (o->mode == MODE_LIVE && (!env || strcmp(env, "yes") != 0))
        return refuse(err, "live trading also needs QUANTUM_LIVE=yes in the environment", "");
    if (!o->keys[0]) {
        err_set(err, ST_INVALID,
                "a venue needs keys: --keys FILE, JSON with api_key and api_secret");
        return EXIT_USAGE;
    }
    if (stat(o->keys, &sb) != 0) {
        err_errno(err, ST_IO, "%s", o->keys);
        return EXIT_FAILED;
    }
    if (o->mode != MODE_PAPER && (sb.st_mode & 077) != 0)
        return refuse(err, "can be read by others: chmod 600", o->keys);
    if (read_keys(out, o->keys, err) != ST_OK) return EXIT_FAILED;
    if (o->mode == MODE_LIVE && strcmp(out->mode, "live") != 0)
        return refuse(err, "does not say \"mode\": \"live\"", o->keys);
    return EXIT_DONE;
}

/* ---- what the first start found ---- */

static uint64_t market_hash(const struct run_options *o, const struct venue_keys *keys) {
    uint64_t h = hash64(o->venue_url, strlen(o->venue_url));
    h = hash_chain(h, keys->api_key, strlen(keys->api_key));
    h = hash_chain(h, o->symbols, strlen(o->symbols));
    const uint64_t max = o->symbols_max;
    return hash_chain(h, &max, sizeof max);
}

static enum status rules_load(struct instrument **out, uint32_t *count, const char *dir,
                              struct err *err) {
    struct rules_map map;
    enum status st = rules_open(&map, dir, err);
    if (st != ST_OK) return st;
    struct instrument *all = calloc(map.count ? map.count : 1, sizeof *all);
    if (!all) st = err_set(err, ST_NO_MEMORY, "contracts: out of memory");
    for (size_t i = 0; st == ST_OK && i < map.count; i++) all[i] = map.rows[i].instrument;
    *out = all;
    *count = (uint32_t)map.count;
    rules_close(&map);
    return st;
}

enum status run_open_venue_feed(struct feed **out, const struct run_options *o, const char *run_dir,
                                struct err *err) {
    struct instrument *contracts = NULL;
    uint32_t count = 0;
    enum status st = rules_load(&contracts, &count, run_dir, err);
    if (st == ST_OK)
        st = feed_open_live(out, contracts, count, o->interval_ns, o->from_ns, o->market_hash, err);
    free(contracts);
    return st;
}

static enum status rules_keep(const char *dir, const struct instrument *all, uint32_t count,
                              struct err *err) {
    struct rules *rows = calloc(count, sizeof *rows);
    if (!rows) return err_set(err, ST_NO_MEMORY, "contracts: out of memory");
    for (uint32_t i = 0; i < count; i++)
        rows[i] = (struct rules){.sources = RULES_FILTERS | RULES_BRACKETS | RULES_FUNDING,
                                 .instrument = all[i]};
    enum status st = rules_merge(dir, rows, count, err);
    free(rows);
    return st;
}

static void symbols_text(char *out, size_t size, const struct instrument *all, uint32_t count) {
    size_t at = 0;
    for (uint32_t i = 0; i < count && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i ? "," : "", all[i].symbol);
}

/* Options of the client; texts borrowed from o, keys and symbols. */
struct binance_options run_client_options(const struct run_options *o,
                                          const struct venue_keys *keys, const char *symbols,
                                          const char *interval) {
    struct binance_options b = binance_options_defaults();
    b.rest_url = o->venue_url;
    b.stream_url = o->stream_url[0] ? o->stream_url : NULL;
    b.api_key = keys->api_key;
    b.api_secret = keys->api_secret;
    b.ca_file = o->ca_file[0] ? o->ca_file : NULL;
    b.tape_file = o->tape[0] ? o->tape : NULL;
    b.symbols = symbols[0] ? symbols : NULL;
    b.symbols_max = o->symbols_max;
    b.interval = interval;
    b.seed = o->seed;
    return b;
}

/* The run's beginning: as an earlier start kept it, else now. */
static enum status begin_run(struct run *run, const struct venue_keys *keys, struct err *err) {
    static char symbols[RUN_LIST_SIZE];
    static struct run_options kept;
    struct run_options *o = &run->options;
    struct instrument *contracts = NULL;
    uint32_t count = 0;
    struct err none = {0};
    bool begun = run_options_load(&kept, run->run_dir, &none) == ST_OK && kept.from_ns > 0;
    run->has_begun = begun;
    snprintf(symbols, sizeof symbols, "%s", o->symbols);
    enum status st = ST_OK;
    if (begun) {
        o->from_ns = kept.from_ns;
        o->wallet_start = kept.wallet_start;
        st = rules_load(&contracts, &count, run->run_dir, err);
        if (st == ST_OK) symbols_text(symbols, sizeof symbols, contracts, count);
    }
    char interval[16];
    tstamp_interval_format(interval, o->interval_ns);
    struct binance_options b = run_client_options(o, keys, symbols, interval);
    b.stop = run->session.stop;
    if (st == ST_OK) st = venue_link_open(&run->link, &b, begun ? contracts : NULL, count, err);
    free(contracts);
    if (st != ST_OK) return st;
    const struct instrument *all = venue_link_instruments(run->link, &count);
    if (!begun) {
        struct binance *client = venue_link_client(run->link);
        o->from_ns = binance_now_ns(client);
        o->wallet_start = binance_wallet(client);
        st = rules_keep(run->run_dir, all, count, err);
    }
    feed_close(run->session.feed);
    run->session.feed = NULL;
    if (st == ST_OK)
        st = feed_open_live(&run->session.feed, all, count, o->interval_ns, o->from_ns,
                            o->market_hash, err);
    return st;
}

/* A venue counts what is asked of it: candles for the networks only where there are some. */
static uint32_t network_bars(const struct run *run) {
    if (run->options.retrain_ns > 0) return net_history_bars(); /* whoever may come to serve */
    for (uint32_t k = 0; k < MODEL_COUNT; k++)
        if (run->session.models[k] && served_model_reads_history(run->session.models[k]))
            return net_history_bars();
    return 0;
}

int run_prepare_venue(struct run *run, struct err *err) {
    static struct venue_keys keys;
    static const struct venue_port none = {
        0}; /* until there is one: says what kind of run this is */
    struct run_options *o = &run->options;
    int code = run_venue_keys(&keys, o, err);
    if (code != EXIT_DONE) return code;
    if (!o->interval_ns) o->interval_ns = VENUE_INTERVAL;
    o->speed = 1;
    run->session.speed = 1;
    run->session.port = &none;
    struct instrument nothing;
    instrument_defaults(&nothing, "NONE");
    o->market_hash = market_hash(o, &keys);
    enum status st =
        feed_open_live(&run->session.feed, &nothing, 1, o->interval_ns, 0, o->market_hash, err);
    if (st == ST_OK) st = run_load_models(run, tstamp_wall_ns(), err);
    bool retrains = run_retrains(run);
    if (st == ST_OK && retrains) run_retrain_configure(run);
    /* The folder is named by what was asked for, so what an earlier start found is found again. */
    if (st == ST_OK && (code = run_make_dir(run)) != EXIT_DONE) return code;
    if (st == ST_OK) st = begin_run(run, &keys, err);
    if (st == ST_OK && retrains) st = run_retrain_open(run, err);
    if (st == ST_OK && (code = run_keep(run)) != EXIT_DONE) return code;
    if (st != ST_OK) return st == ST_REFUSED ? EXIT_REFUSED : EXIT_FAILED;
    int64_t day = 24 * NS_PER_HOUR / o->interval_ns;
    run->session.warmup_bars = (uint32_t)(day > 128 ? day : 128) + DAY_BARS_MARGIN;
    if (o->strategy == STRATEGY_ENSEMBLE)
        run->session.warmup_bars = feature_warmup_bars() + network_bars(run) + DAY_BARS_MARGIN;
    uint32_t share = HISTORY_BARS_ALL / feed_symbol_count(run->session.feed);
    run->session.history_bars = share < HISTORY_BARS ? share : HISTORY_BARS;
    run->session.wallet_start = o->wallet_start;
    run->session.port = venue_link_port(run->link);
    return EXIT_DONE;
}
