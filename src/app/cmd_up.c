/* quantum up and quantum backtest: a run from start to its report. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/api.h"
#include "app/acceptance.h"
#include "app/ask.h"
#include "app/command.h"
#include "app/reporter.h"
#include "app/run.h"
#include "app/version.h"
#include "base/log.h"
#include "base/tstamp.h"

static const char up_usage[] =
    "usage: quantum up [options]\n"
    "Starts everything in one process and stays in the foreground; Ctrl-C ends it cleanly, the "
    "next start goes on.\n"
    "  --mode paper       (default) a made-up market with a planted pattern, on the embedded "
    "exchange\n"
    "                     with --venue-url: on that exchange, over its sockets\n"
    "  --mode testnet     the venue's demo environment; --mode live: real money. Both need --keys; "
    "live "
    "also needs\n"
    "                     \"mode\": \"live\" in the keys file and QUANTUM_LIVE=yes in the "
    "environment\n"
    "  --venue-url URL    http://127.0.0.1:8100 (an exchange started with `quantum exchange`); "
    "testnet "
    "and live know theirs\n"
    "  --stream-url URL   ws://HOST:PORT (default: as fits --venue-url); --ca-file PEM: of a "
    "self-signed exchange\n"
    "  --keys FILE        JSON: api_key, and api_secret or ed25519_private_key; chmod 600\n"
    "  --symbols-max N    venue: follow at most N contracts; --tape FILE: record all that is "
    "received\n"
    "  --stray RULE       venue: positions that are not ours get a stop (protect, the default), "
    "are "
    "closed (flatten),\n"
    "                     or are left alone (leave); nothing is entered beside one\n"
    "  --mode replay      candles of a store, on the embedded exchange; then the report\n"
    "  --strategy NAME    ensemble (default); momentum, random, sma_cross: labelled baselines, "
    "cost gate not applied\n"
    "  --data DIR         replay: candle store, or a folder of archive files (default "
    "STATE/store)\n"
    "  --interval I       replay: 1m 5m 15m 1h 4h (default: the one the store has)\n"
    "  --symbols A,B      replay: default every symbol with bars in the window\n"
    "  --from D, --to D   replay: UTC, --to exclusive: 2024-10-01\n"
    "  --speed max|N      market seconds per second (paper: 600, replay: max)\n"
    "  --model FILE       a model that has not seen the window; once for each voter (default: "
    "trained on earlier\n"
    "                     bars, kept in STATE/models)\n"
    "  --voters A,B       who may vote (default xgboost,lightgbm,nhits,patchtst); the other seats "
    "stay empty\n" RUN_ENGINE_HELP
    "  --retrain-every D  new models from the newest bars, tried beside those that serve, promoted "
    "when "
    "better:\n"
    "                     4h 14d ..., off (default: paper and a venue with --model 4h, replay "
    "off)\n"
    "  --seed N           of the made-up market, the training and the random rule (1)\n"
    "  --bus URL          redis://HOST:PORT or redis+unix:PATH (default: embedded)\n"
    "  --synth-symbols N  paper: contracts of the made-up market (12)\n"
    "  --synth-pattern X  paper: strength of the planted pattern, 0 none (1)\n"
    "  --steps N          end cleanly after N bars of time\n"
    "  --port N           HTTP on 127.0.0.1 (8001); --no-api: none\n"
    "  --no-baselines     no buy-and-hold and random-entry baselines at the end\n"
    "  --standby          wait beside the process that owns this run, and take it over when it "
    "ends "
    "or hangs\n"
    "  --lease-seconds N  standby: an owner whose loop has not gone round for so long hangs (10)\n"
    "  --standby-port N   standby: /health on 127.0.0.1, that says so, while it waits (none)\n"
    "  --fresh            start over; the earlier run of the same options is kept beside\n"
    "  --state DIR        everything a run keeps (default $QUANTUM_STATE, else the XDG data "
    "folder)\n"
    "  --json, --quiet\n"
    "example: quantum up --mode replay --data candles/ --strategy momentum --from 2024-07-01 --to "
    "2025-01-01\n";

static const char backtest_usage[] =
    "usage: quantum backtest [options]\n"
    "quantum up --mode replay --speed max, then the report. The options of `quantum up` apply.\n"
    "example: quantum backtest --data candles/ --strategy momentum --from 2024-07-01\n";

/* Tenths of a second: 5 s, doubled up to a minute. */
enum { AGAIN_NAPS = 50, AGAIN_NAPS_MAX = 600 };

static volatile sig_atomic_t stop_requested;

static void on_signal(int number) {
    (void)number;
    stop_requested = 1;
}

static void catch_signals(void) {
    /* SA_RESETHAND: a second Ctrl-C ends a program that does not end by itself. */
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- options ---- */

enum {
    OPT_MODE = 1,
    OPT_STRATEGY,
    OPT_DATA,
    OPT_INTERVAL,
    OPT_SYMBOLS,
    OPT_FROM,
    OPT_TO,
    OPT_SPEED,
    OPT_MODEL,
    OPT_VOTERS,
    OPT_RULE,
    OPT_WEIGHTS,
    OPT_CONFIDENCE,
    OPT_EXIT_BRAIN,
    OPT_RETRAIN_EVERY,
    OPT_SEED,
    OPT_BUS,
    OPT_SYNTH_SYMBOLS,
    OPT_SYNTH_PATTERN,
    OPT_STEPS,
    OPT_PORT,
    OPT_VENUE_URL,
    OPT_STREAM_URL,
    OPT_KEYS,
    OPT_CA_FILE,
    OPT_TAPE,
    OPT_SYMBOLS_MAX,
    OPT_STRAY,
    OPT_STANDBY,
    OPT_STANDBY_PORT,
    OPT_LEASE,
    OPT_NO_API,
    OPT_NO_BASELINES,
    OPT_FRESH,
    OPT_STATE,
    OPT_JSON,
    OPT_QUIET,
    OPT_HELP
};

static const struct option long_options[] = {
    {"mode", required_argument, NULL, OPT_MODE},
    {"strategy", required_argument, NULL, OPT_STRATEGY},
    {"data", required_argument, NULL, OPT_DATA},
    {"interval", required_argument, NULL, OPT_INTERVAL},
    {"symbols", required_argument, NULL, OPT_SYMBOLS},
    {"from", required_argument, NULL, OPT_FROM},
    {"to", required_argument, NULL, OPT_TO},
    {"speed", required_argument, NULL, OPT_SPEED},
    {"model", required_argument, NULL, OPT_MODEL},
    {"voters", required_argument, NULL, OPT_VOTERS},
    {"ensemble-rule", required_argument, NULL, OPT_RULE},
    {"ensemble-weights", required_argument, NULL, OPT_WEIGHTS},
    {"strategy-confidence", required_argument, NULL, OPT_CONFIDENCE},
    {"exit-brain", required_argument, NULL, OPT_EXIT_BRAIN},
    {"retrain-every", required_argument, NULL, OPT_RETRAIN_EVERY},
    {"seed", required_argument, NULL, OPT_SEED},
    {"bus", required_argument, NULL, OPT_BUS},
    {"synth-symbols", required_argument, NULL, OPT_SYNTH_SYMBOLS},
    {"synth-pattern", required_argument, NULL, OPT_SYNTH_PATTERN},
    {"steps", required_argument, NULL, OPT_STEPS},
    {"port", required_argument, NULL, OPT_PORT},
    {"venue-url", required_argument, NULL, OPT_VENUE_URL},
    {"stream-url", required_argument, NULL, OPT_STREAM_URL},
    {"keys", required_argument, NULL, OPT_KEYS},
    {"ca-file", required_argument, NULL, OPT_CA_FILE},
    {"tape", required_argument, NULL, OPT_TAPE},
    {"symbols-max", required_argument, NULL, OPT_SYMBOLS_MAX},
    {"stray", required_argument, NULL, OPT_STRAY},
    {"standby", no_argument, NULL, OPT_STANDBY},
    {"standby-port", required_argument, NULL, OPT_STANDBY_PORT},
    {"lease-seconds", required_argument, NULL, OPT_LEASE},
    {"no-api", no_argument, NULL, OPT_NO_API},
    {"no-baselines", no_argument, NULL, OPT_NO_BASELINES},
    {"fresh", no_argument, NULL, OPT_FRESH},
    {"state", required_argument, NULL, OPT_STATE},
    {"json", no_argument, NULL, OPT_JSON},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0}};

struct up {
    struct run_options options;
    const char *state;
    bool json, help;
};

static bool whole_number(uint64_t *out, const char *text, uint64_t max) {
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || *end || *text < '0' || *text > '9' || v > max) return false;
    *out = v;
    return true;
}

static bool real_number(double *out, const char *text, double min, double max) {
    char *end;
    *out = strtod(text, &end);
    return *text && !*end && *out >= min && *out <= max;
}

static bool set_mode(struct up *u, const char *text) {
    for (int m = MODE_REPLAY; m <= MODE_LIVE; m++)
        if (strcmp(text, run_mode_text((enum run_mode)m)) == 0) {
            u->options.mode = (enum run_mode)m;
            return true;
        }
    return false;
}

/* Minutes, hours or days; at most a year. */
static bool set_retrain(struct run_options *o, const char *text) {
    static const struct {
        char unit;
        int64_t ns;
    } units[] = {{'m', NS_PER_MINUTE}, {'h', NS_PER_HOUR}, {'d', NS_PER_DAY}};
    char *end;
    o->retrain_ns = 0;
    if (strcmp(text, "off") == 0) return true;
    if (*text < '1' || *text > '9') return false;
    unsigned long count = strtoul(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (end[0] == units[i].unit && end[1] == '\0' &&
            count <= 366 * (unsigned long)(NS_PER_DAY / units[i].ns))
            o->retrain_ns = (int64_t)count * units[i].ns;
    return o->retrain_ns > 0;
}

static bool set_speed(struct run_options *o, const char *text) {
    o->speed_given = true;
    if (strcmp(text, "max") == 0) {
        o->speed = 0;
        return true;
    }
    return real_number(&o->speed, text, 1e-3, 1e9);
}

static bool copy(char *out, size_t size, const char *text) {
    return *text && (size_t)snprintf(out, size, "%s", text) < size;
}

static bool set_engine_option(struct run_options *o, int option) {
    switch (option) {
    case OPT_MODEL:
        return run_model_option(o, optarg, NULL) == ST_OK;
    case OPT_VOTERS:
        return run_voters_option(o, optarg, NULL) == ST_OK;
    case OPT_RULE:
        return run_rule_option(o, optarg) == ST_OK;
    case OPT_WEIGHTS:
        return run_weights_option(o, optarg) == ST_OK;
    case OPT_CONFIDENCE:
        return run_confidence_option(o, optarg) == ST_OK;
    case OPT_EXIT_BRAIN:
        return run_exit_brain_option(o, optarg) == ST_OK;
    default:
        return false;
    }
}

static bool set_market_option(struct up *u, int option) {
    struct run_options *o = &u->options;
    uint64_t n;
    switch (option) {
    case OPT_MODE:
        return set_mode(u, optarg);
    case OPT_STRATEGY:
        return strategy_find(&o->strategy, optarg);
    case OPT_DATA:
        return copy(o->data, sizeof o->data, optarg);
    case OPT_INTERVAL:
        return tstamp_interval_parse(&o->interval_ns, optarg) == ST_OK;
    case OPT_SYMBOLS:
        return copy(o->symbols, sizeof o->symbols, optarg);
    case OPT_FROM:
        return tstamp_parse(&o->from_ns, optarg) == ST_OK;
    case OPT_TO:
        return tstamp_parse(&o->to_ns, optarg) == ST_OK;
    case OPT_SPEED:
        return set_speed(o, optarg);
    case OPT_RETRAIN_EVERY:
        return set_retrain(o, optarg);
    case OPT_SEED:
        return whole_number(&o->seed, optarg, INT64_MAX);
    case OPT_SYNTH_SYMBOLS:
        if (!whole_number(&n, optarg, INSTRUMENTS_MAX) || n == 0) return false;
        o->synth_symbols = (uint32_t)n;
        return true;
    case OPT_SYNTH_PATTERN:
        return real_number(&o->synth_pattern, optarg, 0, 10);
    default:
        return set_engine_option(o, option);
    }
}

static bool set_venue_option(struct up *u, int option) {
    struct run_options *o = &u->options;
    uint64_t n;
    switch (option) {
    case OPT_VENUE_URL:
        return copy(o->venue_url, sizeof o->venue_url, optarg);
    case OPT_STRAY:
        return run_stray_option(o, optarg) == ST_OK;
    case OPT_STREAM_URL:
        return copy(o->stream_url, sizeof o->stream_url, optarg);
    case OPT_KEYS:
        return copy(o->keys, sizeof o->keys, optarg);
    case OPT_CA_FILE:
        return copy(o->ca_file, sizeof o->ca_file, optarg);
    case OPT_TAPE:
        return copy(o->tape, sizeof o->tape, optarg);
    case OPT_SYMBOLS_MAX:
        if (!whole_number(&n, optarg, INSTRUMENTS_MAX) || n == 0) return false;
        o->symbols_max = (uint32_t)n;
        return true;
    default:
        return set_market_option(u, option);
    }
}

static bool set_option(struct up *u, int option) {
    struct run_options *o = &u->options;
    uint64_t n;
    switch (option) {
    case OPT_BUS:
        return copy(o->bus, sizeof o->bus, optarg);
    case OPT_STEPS:
        return whole_number(&o->step_limit, optarg, INT64_MAX) && o->step_limit > 0;
    case OPT_PORT:
        if (!whole_number(&n, optarg, 65535)) return false;
        o->port = (uint16_t)n;
        return true;
    case OPT_STANDBY:
        return o->standby = true;
    case OPT_STANDBY_PORT:
        if (!whole_number(&n, optarg, 65535) || n == 0) return false;
        o->standby_port = (uint16_t)n;
        return true;
    case OPT_LEASE:
        if (!whole_number(&n, optarg, 3600) || n < 2) return false;
        o->lease_ns = (int64_t)n * NS_PER_SECOND;
        return true;
    case OPT_NO_API:
        return o->no_api = true;
    case OPT_NO_BASELINES:
        return o->no_baselines = true;
    case OPT_FRESH:
        return o->fresh = true;
    case OPT_QUIET:
        return o->quiet = true;
    case OPT_JSON:
        return u->json = true;
    case OPT_HELP:
        return u->help = true;
    case OPT_STATE:
        u->state = optarg;
        return *optarg != 0;
    default:
        return set_venue_option(u, option);
    }
}

/* -1: go on, else the exit code. */
static int read_options(struct up *u, int argc, char **argv, const char *usage) {
    int option;
    optind = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == '?') {
            fprintf(stderr, "`quantum %s --help` lists the options\n", argv[0]);
            return EXIT_USAGE;
        }
        if (!set_option(u, option)) {
            fprintf(stderr, "quantum %s: '%s' is not a value for %s\n", argv[0],
                    optarg ? optarg : "",
                    argv[optind - 1] == optarg ? argv[optind - 2] : argv[optind - 1]);
            return EXIT_USAGE;
        }
    }
    if (u->help) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    if (optind < argc) {
        fprintf(stderr, "quantum %s: '%s' is not an option; `quantum %s --help` lists them\n",
                argv[0], argv[optind], argv[0]);
        return EXIT_USAGE;
    }
    struct run_options *o = &u->options;
    if (o->standby && (o->fresh || o->mode == MODE_REPLAY)) {
        fprintf(stderr, "quantum %s: --standby goes on with a run: not with %s\n", argv[0],
                o->fresh ? "--fresh" : "--mode replay");
        return EXIT_USAGE;
    }
    if (!o->venue_url[0] && (o->mode == MODE_TESTNET || o->mode == MODE_LIVE))
        snprintf(o->venue_url, sizeof o->venue_url, "%s",
                 o->mode == MODE_LIVE ? RUN_URL_LIVE : RUN_URL_TESTNET);
    return state_dir(u->options.state, sizeof u->options.state, u->state) == 0 ? -1 : EXIT_FAILED;
}

/* ---- what is shown ---- */

struct shown {
    const struct run *run;
    struct view_box *box;
    struct view *view;
    bool tty;
    int64_t last_line_ns;
    uint64_t trades;
};

static void show_replay(const struct shown *w, const struct session_progress *p) {
    char bar[31] = "..............................", at[TSTAMP_TEXT_SIZE];
    uint64_t full = p->step_count ? p->step * 30 / p->step_count : 0;
    memset(bar, '#', full > 30 ? 30 : (size_t)full);
    fprintf(stderr, "\r\033[K%s [%s] %3.0f %%  %.16s  %" PRIu64 " bars  %" PRIu64 " trades",
            p->recovering ? "recovering" : "replay", bar,
            p->step_count ? 100.0 * (double)p->step / (double)p->step_count : 0.0,
            tstamp_format(at, p->market_ts_ns), p->bars, p->trades);
    (void)w;
}

static void show_new_trades(struct shown *w) {
    const struct view *v = w->view;
    uint64_t fresh = v->trades - w->trades;
    w->trades = v->trades;
    if (fresh > v->trade_count) fresh = v->trade_count;
    for (uint64_t i = v->trade_count - fresh; i < v->trade_count; i++) {
        const struct trade_closed *t = &v->recent[i];
        char net[FX_TEXT_SIZE], entry[FX_TEXT_SIZE], exit_px[FX_TEXT_SIZE], at[TSTAMP_TEXT_SIZE];
        fx_format(entry, t->entry_px.e8);
        fx_format(exit_px, t->exit_px.e8);
        snprintf(net, sizeof net, "%+.2f", money_to_f64(t->net_pnl));
        fprintf(
            stderr,
            "%s%.19s  closed %s %-4s %s -> %s  %s USDT net  (%s, stop confirmed after %.0f ms)\n",
            w->tty ? "\r\033[K" : "", tstamp_format(at, t->exit_ts_ns), t->symbol,
            side_text((enum side)t->side), entry, exit_px, net,
            exit_reason_text((enum exit_reason)t->exit_reason),
            (double)t->time_to_protected_ns / 1e6);
    }
}

static void show_paper(struct shown *w, const struct session_progress *p) {
    int64_t now = tstamp_monotonic_ns();
    if (!view_read(w->box, w->view)) return;
    if (!p->recovering) show_new_trades(w);
    if (!w->tty && now - w->last_line_ns < 10 * NS_PER_SECOND) return;
    w->last_line_ns = now;
    char at[TSTAMP_TEXT_SIZE], market[96];
    if (w->run->options.venue_url[0])
        snprintf(market, sizeof market, "%s on %.64s", run_mode_text(w->run->options.mode),
                 w->run->options.venue_url);
    else
        snprintf(market, sizeof market, "paper, SYNTHETIC market at %gx", w->run->options.speed);
    fprintf(stderr,
            "%s%s: %.16s  equity %.2f (%+.2f) USDT  %u open, %" PRIu64 " trades, %" PRIu64
            " intents denied%s",
            w->tty ? "\r\033[K" : "", market, tstamp_format(at, p->market_ts_ns),
            money_to_f64(w->view->equity),
            money_to_f64(w->view->equity) - money_to_f64(w->view->wallet_start),
            w->view->position_count, w->view->trades, w->view->intents_denied, w->tty ? "" : "\n");
}

static void on_progress(void *context, const struct session_progress *p) {
    struct shown *w = context;
    if (w->run->options.quiet) return;
    if (w->run->options.mode != MODE_REPLAY)
        show_paper(w, p);
    else if (w->tty)
        show_replay(w, p);
}

/* ---- a run ---- */

struct run_reports {
    const struct run *run;
    uint16_t port; /* 0 no API */
};

static int start_api(struct api **api, const struct run *run, struct view_box *box) {
    if (run->options.no_api) return EXIT_DONE;
    struct err err = {0};
    char trades[RUN_PATH_SIZE + 32], reports[RUN_PATH_SIZE + 32];
    snprintf(trades, sizeof trades, "%s/trades.sqlite", run->run_dir);
    snprintf(reports, sizeof reports, "%s/reports", run->run_dir);
    struct api_config c = api_config_defaults();
    c.retrain_request = run->session.retrain_request;
    c.inbox = run->session.inbox;
    c.lease = run->lease;
    c.port = run->options.port;
    c.view_box = box;
    c.trades_path = trades;
    c.reports_dir = reports;
    c.version = QUANTUM_VERSION;
    c.commit = QUANTUM_COMMIT;
    if (api_start(api, &c, &err) != ST_OK) {
        fprintf(stderr, "quantum: %s (choose another with --port N, or --no-api)\n", err.text);
        return EXIT_FAILED;
    }
    if (ask_port_save(run->run_dir, api_port(*api), &err) != ST_OK) {
        fprintf(stderr, "quantum: %s\n", err.text);
        return EXIT_FAILED;
    }
    if (!run->options.quiet) fprintf(stderr, "page: http://127.0.0.1:%u/\n", api_port(*api));
    return EXIT_DONE;
}

/* The status report beside the report of trades: the process asks itself, as anybody would. */
static enum status write_status(void *context, const char *path, struct err *err) {
    static struct acceptance a; /* the reporter's thread alone */
    const struct run_reports *r = context;
    acceptance_collect(&a, r->run->run_dir, r->port);
    return acceptance_save(path, &a, err);
}

static int start_reports(struct reporter **out, struct run_reports *r, struct run *run,
                         const struct api *api) {
    struct err err = {0};
    *r = (struct run_reports){.run = run, .port = api ? api_port(api) : 0};
    const struct reporter_options o = {
        .run_dir = run->run_dir, .write_status = write_status, .context = r};
    if (run->options.mode == MODE_REPLAY) return EXIT_DONE; /* its end prints one */
    if (reporter_start(out, &o, &err) != ST_OK) {
        fprintf(stderr, "quantum: %s\n", err.text);
        return EXIT_FAILED;
    }
    run->session.reports = reporter_session(*out);
    return EXIT_DONE;
}

static enum status save_baselines(const struct run *run, uint64_t steps, struct err *err) {
    char path[RUN_PATH_SIZE + 32];
    static struct report r;
    struct tradedb *db = NULL;
    snprintf(path, sizeof path, "%s/trades.sqlite", run->run_dir);
    enum status st = tradedb_open(&db, path, false, err);
    if (st == ST_OK) st = report_load(&r, db, err);
    if (st == ST_OK && r.baseline_count == 0) {
        st = run_baselines(&r, run, steps, err);
        if (st == ST_OK) st = report_save(&r, db, err);
    }
    if (db) tradedb_close(db);
    return st;
}

static void show_end(const struct run *run, const struct session_result *r, double seconds) {
    if (run->options.quiet) return;
    fprintf(stderr,
            "%s%s at %" PRIu64 " bars, %" PRIu64
            " trades, %.2f s (%.0f bars/s); fingerprint %016" PRIx64 "\n",
            isatty(2) ? "\r\033[K" : "",
            r->complete ? "complete" : "stopped cleanly; the next start goes on", r->totals.bars,
            r->totals.trades, seconds, seconds > 0 ? (double)r->totals.bars / seconds : 0,
            r->fingerprint);
}

static int run_it(struct run *run, bool report, bool json) {
    struct err err = {0};
    struct shown shown; /* for as long as the session runs */
    struct api *api = NULL;
    struct reporter *reporter = NULL;
    struct run_reports reports;
    struct view_box *box = view_box_create();
    struct inbox *inbox = inbox_create();
    struct view *view = calloc(1, sizeof *view);
    struct session_result *result = calloc(1, sizeof *result);
    int code = EXIT_FAILED;
    if (box && inbox && view && result) {
        shown = (struct shown){.run = run, .box = box, .view = view, .tty = isatty(2) != 0};
        run->session.view_box = box;
        run->session.inbox = inbox;
        run->session.progress = on_progress;
        run->session.progress_context = &shown;
        code = start_api(&api, run, box);
        if (code == EXIT_DONE) code = start_reports(&reporter, &reports, run, api);
    }
    if (code == EXIT_DONE) {
        int64_t begin = tstamp_monotonic_ns();
        enum status st = session_run(result, &run->session, &err);
        run->failed = st;
        double seconds = (double)(tstamp_monotonic_ns() - begin) / 1e9;
        reporter_stop(reporter); /* before the API it asks, and before the baselines' own runs */
        run->session.reports = NULL;
        if (st == ST_OK) show_end(run, result, seconds);
        bool baselines = st == ST_OK && !run->options.no_baselines && !run->options.venue_url[0] &&
                         (result->complete || run->options.mode == MODE_PAPER);
        if (baselines && result->totals.bars_trading > 0)
            st = save_baselines(run, result->steps, &err);
        if (st != ST_OK) {
            fprintf(stderr, "%squantum: %s\n", isatty(2) ? "\n" : "", err.text);
            code = st == ST_REFUSED ? EXIT_REFUSED : EXIT_FAILED;
        } else if (report && result->complete)
            code = run_report(run->run_dir, json);
    }
    api_stop(api);
    view_box_destroy(box);
    inbox_destroy(inbox);
    free(view);
    free(result);
    return code;
}

/* Something may be held where nobody answers: a run that has begun is taken up again until somebody does. */
static bool is_to_be_taken_up(const struct run *run) {
    return run->has_begun && !stop_requested &&
           (run->failed == ST_DISCONNECTED || run->failed == ST_TIMEOUT ||
            run->failed == ST_EXTERNAL);
}

static void pause_before(uint32_t tries) {
    const struct timespec nap = {.tv_nsec = 100 * NS_PER_MS};
    uint32_t naps = tries < 4 ? (uint32_t)AGAIN_NAPS << tries : AGAIN_NAPS_MAX;
    fprintf(stderr, "quantum: the venue is asked again in %u s; Ctrl-C ends it\n", naps / 10);
    for (uint32_t i = 0; i < naps && !stop_requested; i++) nanosleep(&nap, NULL);
}

static int up(struct up *u) {
    static struct run run;
    int code;
    if (!u->options.speed_given && u->options.mode == MODE_REPLAY) u->options.speed = 0;
    catch_signals();
    for (uint32_t tries = 0;; tries++) {
        code = run_prepare(&run, &u->options, &stop_requested);
        if (code == EXIT_DONE) code = run_it(&run, u->options.mode == MODE_REPLAY, u->json);
        bool again = code == EXIT_FAILED && is_to_be_taken_up(&run);
        run_release(&run);
        if (!again) break;
        pause_before(tries);
        if (stop_requested) return EXIT_DONE;
    }
    return code == RUN_ENDED ? EXIT_DONE : code;
}

int cmd_up(int argc, char **argv) {
    static struct up u;
    u.options = run_options_defaults();
    int code = read_options(&u, argc, argv, up_usage);
    return code >= 0 ? code : up(&u);
}

int cmd_backtest(int argc, char **argv) {
    static struct up u;
    u.options = run_options_defaults();
    u.options.mode = MODE_REPLAY;
    u.options.no_api = true;
    int code = read_options(&u, argc, argv, backtest_usage);
    if (code >= 0) return code;
    if (u.options.mode != MODE_REPLAY) {
        fprintf(stderr, "quantum backtest: the mode is replay; for others there is `quantum up`\n");
        return EXIT_USAGE;
    }
    return up(&u);
}
