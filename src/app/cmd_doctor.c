/* quantum doctor: what stands between here and trading on a venue. Asks, changes nothing. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/run.h"
#include "base/tstamp.h"

static const char usage[] =
    "usage: quantum doctor [--mode paper|testnet|live] [--venue-url URL] --keys FILE [options]\n"
    "Checks a venue before anything is traded on it: reachable, clock, keys and what they may do "
    "(a key that may\n"
    "withdraw is refused), contracts and filters, position and margin modes, conditional orders, "
    "streams. Changes\n"
    "nothing, and says what `quantum up` with the same options would do.\n"
    "  --stream-url URL, --ca-file PEM, --symbols A,B   as for `quantum up`\n"
    "example: quantum doctor --venue-url http://127.0.0.1:8100 --keys keys.json\n";

#define LOAD_WITHIN_NS (30 * NS_PER_SECOND)

static void print_line(void *context, bool ok, const char *text) {
    (void)context;
    printf("%s  %s\n", ok ? "ok  " : "FAIL", text);
}

static int examine(const struct run_options *o) {
    static struct venue_keys keys;
    struct err err = {0};
    struct binance *client = NULL;
    int code = run_venue_keys(&keys, o, &err);
    if (code != EXIT_DONE) {
        print_line(NULL, false, err.text);
        return code;
    }
    print_line(NULL, true, "mode, URL, keys file and confirmations fit each other");
    const struct binance_options b = run_client_options(o, &keys, o->symbols, "1m");
    if (binance_create(&client, &b, &err) != ST_OK) {
        print_line(NULL, false, err.text);
        return EXIT_FAILED;
    }
    enum status loaded = binance_load(client, LOAD_WITHIN_NS, &err);
    uint32_t failed = binance_doctor(client, print_line, NULL);
    if (loaded != ST_OK && failed == 0) {
        print_line(NULL, false, err.text);
        failed = 1;
    }
    if (failed == 0)
        printf("`quantum up --mode %s --venue-url %s` would trade %u contracts on this account: "
               "one-way mode, isolated "
               "margin\n",
               run_mode_text(o->mode), o->venue_url, binance_instrument_count(client));
    else
        printf("%u check%s failed; `quantum up` would not start\n", failed, failed == 1 ? "" : "s");
    binance_destroy(client);
    return failed == 0 ? EXIT_DONE : loaded == ST_REFUSED ? EXIT_REFUSED : EXIT_FAILED;
}

static bool set_mode(struct run_options *o, const char *text) {
    for (int m = MODE_PAPER; m <= MODE_LIVE; m++)
        if (strcmp(text, run_mode_text((enum run_mode)m)) == 0) {
            o->mode = (enum run_mode)m;
            return true;
        }
    return false;
}

static bool copy(char *out, size_t size, const char *text) {
    return *text && (size_t)snprintf(out, size, "%s", text) < size;
}

int cmd_doctor(int argc, char **argv) {
    static const struct option options[] = {{"mode", required_argument, NULL, 'm'},
                                            {"venue-url", required_argument, NULL, 'u'},
                                            {"stream-url", required_argument, NULL, 's'},
                                            {"keys", required_argument, NULL, 'k'},
                                            {"ca-file", required_argument, NULL, 'c'},
                                            {"symbols", required_argument, NULL, 'y'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static struct run_options o;
    o = run_options_defaults();
    int option;
    optind = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        bool fits = false;
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_DONE;
        }
        if (option == 'm') fits = set_mode(&o, optarg);
        if (option == 'u') fits = copy(o.venue_url, sizeof o.venue_url, optarg);
        if (option == 's') fits = copy(o.stream_url, sizeof o.stream_url, optarg);
        if (option == 'k') fits = copy(o.keys, sizeof o.keys, optarg);
        if (option == 'c') fits = copy(o.ca_file, sizeof o.ca_file, optarg);
        if (option == 'y') fits = copy(o.symbols, sizeof o.symbols, optarg);
        if (!fits) {
            if (option != '?')
                fprintf(stderr, "quantum doctor: '%s' is not a value for that option\n", optarg);
            fputs("`quantum doctor --help` lists the options\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "quantum doctor: '%s' is not an option\n", argv[optind]);
        return EXIT_USAGE;
    }
    if (!o.venue_url[0] && o.mode != MODE_PAPER)
        copy(o.venue_url, sizeof o.venue_url, o.mode == MODE_LIVE ? RUN_URL_LIVE : RUN_URL_TESTNET);
    if (!o.venue_url[0]) {
        fputs("quantum doctor: which venue? --venue-url URL, or --mode testnet or live\n", stderr);
        return EXIT_USAGE;
    }
    return examine(&o);
}
