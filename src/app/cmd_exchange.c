/* quantum exchange: a venue of one's own, for anybody's bots. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "app/command.h"
#include "base/json.h"
#include "base/log.h"
#include "base/tstamp.h"
#include "venue/server/server.h"

enum { PATH_BYTES = 4096, PORT_DEFAULT = 8100, HISTORY_DAYS = 14, HISTORY_DAYS_MAX = 400 };

static const char usage_head[] =
    "usage: quantum exchange [options]\n"
    "A futures exchange with the venue's REST and WebSocket interface (Binance USD-M), on this "
    "machine, for any client.\n"
    "Without options: http://127.0.0.1:8100, ten contracts with made-up liquidity on the wall "
    "clock, one account with 10,000 USDT.\n"
    "Ctrl-C ends it cleanly, kill -9 loses nothing; the next start goes on where it stood.\n"
    "  --port N, --host H   (8100, 127.0.0.1); port 0: any\n"
    "  --print-ready        one line of JSON once it serves: url, ws_url, api_key, api_secret\n"
    "  --symbols N|A,B,…    the first N contracts, or these (default 10; of a replay all)\n"
    "  --rules FILE[,…]     exchangeInfo, leverageBracket, fundingInfo as the venue serves them\n"
    "  --source S           synthetic (default); pure: orders of the users alone;\n"
    "                       candles:DIR a candle store (quantum data import), replayed from now "
    "on;\n"
    "                       trades:FILE[,…] aggregate trades as the venue publishes them "
    "(BTCUSDT-aggTrades-….csv)\n"
    "  --history-days N     candles from before the start (14)\n"
    "  --accounts FILE      JSON: [{\"name\":\"alice\",\"balance\":\"10000\",\"api_key\":\"…\","
    "\"api_secret\":\"…\"}, …]\n"
    "  --balance X          of the open account, where no file is given (10000)\n"
    "  --limits on|off      request weights and order counts are enforced (on)\n"
    "  --busy-poll US       stay awake so many microseconds after a request, for the next (100; 0: "
    "off)\n"
    "  --classic-conditional  STOP and the like on /fapi/v1/order, as before 2025-12-09\n"
    "  --ack-average        avgPrice and cumQuote in acknowledgements, as before 2026-07-14\n"
    "  --latency MS[:JITTER]  signed calls are executed so much later\n"
    "  --clock-offset S     exchange time is the wall clock plus so many seconds\n"
    "  --tls [CERT,KEY]     PEM files; none: made once and kept in the state folder\n"
    "  --tls-names A,B      more names for the certificate that is made\n"
    "  --faults SPEC        all, none, or KIND=RATE,…; with a seed: all:7. Opens the admin port\n"
    "  --admin-port N       faults at run time, /metrics, /health, on 127.0.0.1 only (0: any)\n"
    "  --volatility X       of the made-up market, standard deviation of a day's log return "
    "(0.04)\n"
    "  --seed N             of the made-up market, the latency and the faults (1)\n"
    "  --state DIR          where the exchange is kept (default $QUANTUM_STATE, else the XDG data "
    "folder)\n"
    "  --fresh              start over; the earlier exchange is kept beside\n";

static const char usage_examples[] =
    "example: quantum exchange --print-ready >ready.json &\n"
    "\n"
    "curl, with that ready.json:\n"
    "  URL=$(jq -r .url ready.json) KEY=$(jq -r .api_key ready.json) SECRET=$(jq -r .api_secret "
    "ready.json)\n"
    "  Q=\"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&newOrderRespType=RESULT&timestamp=$("
    "date +%s%3N)\"\n"
    "  S=$(printf %s \"$Q\" | openssl dgst -sha256 -hmac \"$SECRET\" | sed 's/.* //')\n"
    "  curl -s -X POST -H \"X-MBX-APIKEY: $KEY\" \"$URL/fapi/v1/order?$Q&signature=$S\"\n"
    "\n"
    "ccxt, with that ready.json, in a folder where `npm install ccxt` was run; node example.mjs:\n"
    "  import { readFileSync } from 'node:fs'\n"
    "  import ccxt from 'ccxt'\n"
    "  const r = JSON.parse(readFileSync('ready.json'))\n"
    "  const at = (path) => r.url + path\n"
    "  const exchange = new ccxt.pro.binanceusdm({\n"
    "    apiKey: r.api_key, secret: r.api_secret,\n"
    "    options: { fetchCurrencies: false, fetchMargins: false, fetchMarkets: { types: ['linear'] "
    "} "
    "},\n"
    "    urls: { api: { fapiPublic: at('/fapi/v1'), fapiPublicV2: at('/fapi/v2'), fapiPublicV3: "
    "at('/fapi/v3'),\n"
    "      fapiPrivate: at('/fapi/v1'), fapiPrivateV2: at('/fapi/v2'), fapiPrivateV3: "
    "at('/fapi/v3'),\n"
    "      fapiData: at('/futures/data'), ws: { future: r.ws_url + '/ws' } } },\n"
    "  })\n"
    "  console.log(await exchange.createOrder('BTC/USDT:USDT', 'market', 'buy', 0.01))\n"
    "  console.log((await exchange.fetchBalance()).USDT)\n"
    "  await exchange.close()\n";

enum {
    OPT_PORT = 1,
    OPT_HOST,
    OPT_READY,
    OPT_SYMBOLS,
    OPT_RULES,
    OPT_SOURCE,
    OPT_HISTORY,
    OPT_ACCOUNTS,
    OPT_BALANCE,
    OPT_LIMITS,
    OPT_BUSY_POLL,
    OPT_CLASSIC,
    OPT_ACK_AVERAGE,
    OPT_LATENCY,
    OPT_CLOCK,
    OPT_TLS,
    OPT_TLS_NAMES,
    OPT_FAULTS,
    OPT_ADMIN_PORT,
    OPT_SEED,
    OPT_VOLATILITY,
    OPT_STATE,
    OPT_FRESH,
    OPT_HELP
};

static const struct option long_options[] = {
    {"port", required_argument, NULL, OPT_PORT},
    {"host", required_argument, NULL, OPT_HOST},
    {"print-ready", no_argument, NULL, OPT_READY},
    {"symbols", required_argument, NULL, OPT_SYMBOLS},
    {"rules", required_argument, NULL, OPT_RULES},
    {"source", required_argument, NULL, OPT_SOURCE},
    {"history-days", required_argument, NULL, OPT_HISTORY},
    {"accounts", required_argument, NULL, OPT_ACCOUNTS},
    {"balance", required_argument, NULL, OPT_BALANCE},
    {"limits", required_argument, NULL, OPT_LIMITS},
    {"busy-poll", required_argument, NULL, OPT_BUSY_POLL},
    {"classic-conditional", no_argument, NULL, OPT_CLASSIC},
    {"ack-average", no_argument, NULL, OPT_ACK_AVERAGE},
    {"latency", required_argument, NULL, OPT_LATENCY},
    {"clock-offset", required_argument, NULL, OPT_CLOCK},
    {"tls", optional_argument, NULL, OPT_TLS},
    {"tls-names", required_argument, NULL, OPT_TLS_NAMES},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"admin-port", required_argument, NULL, OPT_ADMIN_PORT},
    {"seed", required_argument, NULL, OPT_SEED},
    {"volatility", required_argument, NULL, OPT_VOLATILITY},
    {"state", required_argument, NULL, OPT_STATE},
    {"fresh", no_argument, NULL, OPT_FRESH},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0}};

struct exchange_command {
    struct server_options server;
    struct listing_options listing_options;
    struct listing listing;
    struct keys keys;
    const char *accounts, *tls, *tls_names, *state;
    money_t balance;
    bool print_ready, fresh, use_tls;
    char state_dir[PATH_BYTES], dir[PATH_BYTES + 16];
    char cert[PATH_BYTES + 32], key[PATH_BYTES + 32];
    uv_loop_t loop;
    uv_signal_t signals[2];
    struct server *running;
};

/* ---- options ---- */

static bool whole_number(uint64_t *out, const char *text, uint64_t max) {
    char *end;
    if (!isdigit((unsigned char)*text)) return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *out <= max;
}

static bool real_number(double *out, const char *text, double min, double max) {
    char *end;
    *out = strtod(text, &end);
    return *text && !*end && *out >= min && *out <= max;
}

static bool set_port(uint16_t *out, const char *text) {
    uint64_t n;
    if (!whole_number(&n, text, UINT16_MAX)) return false;
    *out = (uint16_t)n;
    return true;
}

static bool set_source(struct exchange_command *x, char *text) {
    struct listing_options *o = &x->listing_options;
    o->path = NULL;
    if (strcmp(text, "synthetic") == 0) {
        o->source = MARKET_SYNTHETIC;
    } else if (strcmp(text, "pure") == 0) {
        o->source = MARKET_PURE;
    } else if (strncmp(text, "candles:", 8) == 0) {
        o->source = MARKET_CANDLES;
        o->path = text + 8;
    } else if (strncmp(text, "trades:", 7) == 0) {
        o->source = MARKET_TRADES;
        o->path = text + 7;
    } else {
        return false;
    }
    return !o->path || *o->path;
}

/* Milliseconds, with three decimals. */
static bool milliseconds(int64_t *out_ns, const char *text, size_t size) {
    int64_t e8;
    if (fx_parse(&e8, text, size) != ST_OK || e8 < 0 || e8 > 60000 * FX_ONE) return false;
    *out_ns = e8 / (FX_ONE / NS_PER_MS);
    return true;
}

static bool set_latency(struct server_options *o, const char *text) {
    size_t size = strcspn(text, ":");
    return milliseconds(&o->latency_ns, text, size) &&
           (!text[size] || milliseconds(&o->jitter_ns, text + size + 1, strlen(text + size + 1)));
}

static bool set_clock(struct server_options *o, const char *text) {
    int64_t e8;
    if (fx_parse(&e8, text, strlen(text)) != ST_OK || e8 > 1000000 * FX_ONE ||
        e8 < -1000000 * FX_ONE)
        return false;
    o->clock_offset_ns = e8 * (NS_PER_SECOND / FX_ONE);
    return true;
}

static bool set_limits(struct server_options *o, const char *text) {
    o->limits_off = strcmp(text, "off") == 0;
    return o->limits_off || strcmp(text, "on") == 0;
}

static bool set_busy_poll(struct server_options *o, const char *text) {
    uint64_t us;
    if (!whole_number(&us, text, 1000000)) return false;
    o->busy_poll_ns = (int64_t)us * 1000;
    return true;
}

static bool set_history(struct exchange_command *x, const char *text) {
    uint64_t n;
    if (!whole_number(&n, text, HISTORY_DAYS_MAX)) return false;
    x->server.history_days = x->listing_options.history_days = (uint32_t)n;
    return true;
}

static bool set_market_option(struct exchange_command *x, int option) {
    switch (option) {
    case OPT_SYMBOLS:
        x->listing_options.symbols = optarg;
        return *optarg != 0;
    case OPT_RULES:
        x->listing_options.rules = optarg;
        return *optarg != 0;
    case OPT_SOURCE:
        return set_source(x, optarg);
    case OPT_HISTORY:
        return set_history(x, optarg);
    case OPT_ACCOUNTS:
        x->accounts = optarg;
        return *optarg != 0;
    case OPT_BALANCE:
        return fx_parse(&x->balance.e8, optarg, strlen(optarg)) == ST_OK && x->balance.e8 >= 0;
    case OPT_SEED:
        return whole_number(&x->server.seed, optarg, INT64_MAX);
    case OPT_VOLATILITY:
        return real_number(&x->server.volatility_day, optarg, 0, 10);
    default:
        return false;
    }
}

static bool set_option(struct exchange_command *x, int option) {
    struct server_options *o = &x->server;
    switch (option) {
    case OPT_PORT:
        return set_port(&o->port, optarg);
    case OPT_HOST:
        o->host = optarg;
        return *optarg != 0;
    case OPT_READY:
        return x->print_ready = true;
    case OPT_LIMITS:
        return set_limits(o, optarg);
    case OPT_BUSY_POLL:
        return set_busy_poll(o, optarg);
    case OPT_CLASSIC:
        return o->classic_conditional = true;
    case OPT_ACK_AVERAGE:
        return o->ack_carries_average = true;
    case OPT_LATENCY:
        return set_latency(o, optarg);
    case OPT_CLOCK:
        return set_clock(o, optarg);
    case OPT_TLS:
        x->tls = optarg;
        return x->use_tls = true;
    case OPT_TLS_NAMES:
        x->tls_names = optarg;
        return x->use_tls = true;
    case OPT_FAULTS:
        o->faults = optarg;
        return o->admin = true;
    case OPT_ADMIN_PORT:
        o->admin = true;
        return set_port(&o->admin_port, optarg);
    case OPT_STATE:
        x->state = optarg;
        return *optarg != 0;
    case OPT_FRESH:
        return x->fresh = true;
    default:
        return set_market_option(x, option);
    }
}

/* `--tls CERT,KEY` as well as `--tls=CERT,KEY`: the word behind it is its value if it has a comma. */
static void tls_value(struct exchange_command *x, int argc, char **argv) {
    if (x->use_tls && !x->tls && optind < argc && argv[optind][0] != '-' &&
        strchr(argv[optind], ','))
        x->tls = argv[optind++];
}

/* -1: go on; else the exit code. */
static int read_options(struct exchange_command *x, int argc, char **argv) {
    int option, index = 0;
    optind = 0;
    while ((option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (option == OPT_HELP) {
            fputs(usage_head, stdout);
            for (int k = 0; k < FAULT_COUNT; k++)
                printf("%s%-18s %s\n", k ? "    " : "  kinds of faults:\n    ",
                       fault_name((enum fault)k), fault_about((enum fault)k));
            fputs(usage_examples, stdout);
            return EXIT_DONE;
        }
        if (option == '?') {
            fputs("`quantum exchange --help` lists the options\n", stderr);
            return EXIT_USAGE;
        }
        if (!set_option(x, option)) {
            fprintf(stderr, "quantum exchange: '%s' is not a value for --%s\n", optarg,
                    long_options[index].name);
            return EXIT_USAGE;
        }
        if (option == OPT_TLS) tls_value(x, argc, argv);
    }
    if (optind < argc) {
        fprintf(stderr, "quantum exchange: '%s' is not an option\n", argv[optind]);
        return EXIT_USAGE;
    }
    struct faults f;
    struct err err;
    faults_init(&f, 0);
    if (x->server.faults && faults_parse(&f, x->server.faults, &err) != ST_OK) {
        fprintf(stderr, "quantum exchange: %s\n", err.text);
        return EXIT_USAGE;
    }
    x->server.source = x->listing_options.source;
    return -1;
}

/* ---- folders ---- */

/* Another process may serve from it right now: then it must not be moved from under it. */
static enum status put_aside(const char *dir, struct err *err) {
    char path[PATH_BYTES + 64];
    struct stat st;
    if (stat(dir, &st) != 0) return ST_OK;
    snprintf(path, sizeof path, "%s/journal/lock", dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        bool held = flock(fd, LOCK_EX | LOCK_NB) != 0;
        close(fd);
        if (held) return err_set(err, ST_EXISTS, "%s: an exchange is running there", dir);
    }
    snprintf(path, sizeof path, "%s-%" PRId64, dir, tstamp_wall_ns() / NS_PER_MS);
    if (rename(dir, path) != 0) return err_errno(err, ST_IO, "%s", dir);
    return ST_OK;
}

static enum status folders_make(struct exchange_command *x, struct err *err) {
    if (state_dir(x->state_dir, sizeof x->state_dir - 16, x->state) != 0)
        return err_set(err, ST_IO, "no state folder");
    snprintf(x->dir, sizeof x->dir, "%s/exchange", x->state_dir);
    enum status st = x->fresh ? put_aside(x->dir, err) : ST_OK;
    if (st == ST_OK && mkdir(x->dir, 0755) != 0 && errno != EEXIST)
        st = err_errno(err, ST_IO, "%s", x->dir);
    x->server.state_dir = x->dir;
    return st;
}

static enum status tls_files(struct exchange_command *x, struct err *err) {
    char names[512], host[128] = "";
    if (!x->use_tls) return ST_OK;
    x->server.tls_cert_file = x->cert;
    x->server.tls_key_file = x->key;
    if (x->tls) {
        const char *comma = strchr(x->tls, ',');
        if (!comma || strlen(x->tls) >= sizeof x->cert)
            return err_set(err, ST_INVALID, "--tls takes CERT,KEY: two PEM files");
        snprintf(x->cert, sizeof x->cert, "%.*s", (int)(comma - x->tls), x->tls);
        snprintf(x->key, sizeof x->key, "%s", comma + 1);
        return ST_OK;
    }
    snprintf(x->cert, sizeof x->cert, "%s/tls-cert.pem", x->state_dir);
    snprintf(x->key, sizeof x->key, "%s/tls-key.pem", x->state_dir);
    if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
    int n = snprintf(names, sizeof names, "localhost,127.0.0.1,::1,fapi.localhost%s%s%s%s",
                     host[0] ? ",fapi." : "", host, x->tls_names ? "," : "",
                     x->tls_names ? x->tls_names : "");
    if (n < 0 || (size_t)n >= sizeof names)
        return err_set(err, ST_INVALID, "too many names for a certificate");
    return net_tls_generate(x->cert, x->key, names, err);
}

static enum status keys_make(struct exchange_command *x, struct err *err) {
    if (!x->accounts) return keys_open_account(&x->keys, x->dir, x->balance, err);
    struct err warning = {0};
    enum status st = keys_load(&x->keys, x->accounts, &warning);
    if (st == ST_OK && warning.st == ST_REFUSED)
        log_warn("exchange", "keys file", "why=\"%s\"", warning.text);
    if (st != ST_OK) *err = warning;
    return st;
}

/* ---- running ---- */

static void url_text(char *out, size_t size, const struct exchange_command *x, const char *scheme) {
    const char *host = x->server.host ? x->server.host : "127.0.0.1";
    bool v6 = strchr(host, ':') != NULL;
    if (strcmp(host, "0.0.0.0") == 0) host = "127.0.0.1";
    if (strcmp(host, "::") == 0) host = "::1";
    snprintf(out, size, "%s%s://%s%s%s:%u", scheme, x->use_tls ? "s" : "", v6 ? "[" : "", host,
             v6 ? "]" : "", server_port(x->running));
}

static void write_pair(struct json_writer *w, const char *key, const char *value) {
    json_write_key(w, key);
    json_write_string(w, value);
}

static int print_ready(const struct exchange_command *x) {
    char text[PATH_BYTES + 1024], url[300];
    const struct key_row *row = &x->keys.rows[0];
    struct json_writer w;
    json_writer_init(&w, text, sizeof text);
    json_write_object_begin(&w);
    url_text(url, sizeof url, x, "http");
    write_pair(&w, "url", url);
    url_text(url, sizeof url, x, "ws");
    write_pair(&w, "ws_url", url);
    write_pair(&w, "api_key", row->api_key);
    write_pair(&w, "api_secret", row->api_secret);
    if (x->server.admin) {
        snprintf(url, sizeof url, "http://127.0.0.1:%u", server_admin_port(x->running));
        write_pair(&w, "admin_url", url);
    }
    if (x->use_tls) write_pair(&w, "ca_file", x->cert);
    json_write_object_end(&w);
    if (json_writer_finish(&w) != ST_OK || printf("%s\n", text) < 0 || fflush(stdout) != 0)
        return EXIT_FAILED;
    return EXIT_DONE;
}

static void print_words(const struct exchange_command *x) {
    char url[300];
    url_text(url, sizeof url, x, "http");
    printf("exchange on %s: %u contracts, state in %s\n", url, x->listing.count, x->dir);
    if (x->server.admin) printf("admin on http://127.0.0.1:%u\n", server_admin_port(x->running));
    if (x->use_tls) printf("certificate %s\n", x->cert);
    if (!x->accounts)
        printf("open account: key %s, its secret in %s/open_account.json\n",
               x->keys.rows[0].api_key, x->dir);
    puts("Ctrl-C ends it; `quantum exchange --help` shows how to trade on it.");
    fflush(stdout);
}

static void on_signal(uv_signal_t *signal, int number) {
    struct exchange_command *x = signal->data;
    (void)number;
    server_stop(x->running);
    /* With its handles goes the handling: a second Ctrl-C ends a program that does not end by itself. */
    for (int i = 0; i < 2; i++) uv_close((uv_handle_t *)&x->signals[i], NULL);
}

static int serve(struct exchange_command *x, struct err *err) {
    static const int numbers[2] = {SIGINT, SIGTERM};
    enum status st = server_open(&x->running, &x->loop, &x->server, err);
    if (st != ST_OK) return st == ST_REFUSED ? EXIT_REFUSED : EXIT_FAILED;
    for (int i = 0; i < 2; i++) {
        uv_signal_init(&x->loop, &x->signals[i]);
        x->signals[i].data = x;
        uv_signal_start(&x->signals[i], on_signal, numbers[i]);
    }
    int code = EXIT_DONE;
    if (x->print_ready)
        code = print_ready(x);
    else
        print_words(x);
    if (code != EXIT_DONE) {
        err_errno(err, ST_IO, "standard output");
        on_signal(&x->signals[0], 0);
    }
    uv_run(&x->loop, UV_RUN_DEFAULT);
    if (server_free(x->running, code == EXIT_DONE ? err : NULL) != ST_OK) code = EXIT_FAILED;
    x->running = NULL;
    return code;
}

static int run(struct exchange_command *x) {
    struct err err = {0};
    int code = EXIT_FAILED;
    signal(SIGPIPE, SIG_IGN);
    enum status st = folders_make(x, &err);
    if (st == ST_OK) st = tls_files(x, &err);
    if (st == ST_OK) st = listing_make(&x->listing, &x->listing_options, &err);
    if (st == ST_OK) st = keys_make(x, &err);
    if (st == ST_OK && uv_loop_init(&x->loop) != 0) st = err_set(&err, ST_NO_MEMORY, "event loop");
    if (st == ST_OK) {
        x->server.listing = &x->listing;
        x->server.keys = &x->keys;
        code = serve(x, &err);
        uv_run(&x->loop, UV_RUN_DEFAULT); /* what a failed start left to close */
        uv_loop_close(&x->loop);
    }
    if (code != EXIT_DONE) fprintf(stderr, "quantum exchange: %s\n", err.text);
    keys_free(&x->keys);
    listing_free(&x->listing);
    return code;
}

int cmd_exchange(int argc, char **argv) {
    static struct exchange_command x;
    memset(&x, 0, sizeof x);
    x.server.port = PORT_DEFAULT;
    x.server.seed = 1;
    x.server.busy_poll_ns = NS_PER_MS / 10;
    x.server.history_days = x.listing_options.history_days = HISTORY_DAYS;
    x.server.volatility_day = market_config_defaults().volatility_day;
    x.listing_options.source = MARKET_SYNTHETIC;
    x.balance = money_e8(10000 * FX_ONE);
    int code = read_options(&x, argc, argv);
    return code >= 0 ? code : run(&x);
}
