/* quantum bench NAME: figures by name, next to the peer each names. */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "bench/bench.h"

static const char usage[] =
    "usage: quantum bench NAME|all|list [--json]\n"
    "One line a figure: name, value, unit, n, and the peer measured in the same run (ratio = ours "
    "/ peer).\n"
    "A rate is per second, a latency the p50 in ns. Run it on a quiet machine; compare ratios.\n"
    "example: quantum bench json_frame --json\n";

static const struct {
    const char *name, *about;
    enum status (*run)(struct err *err);
} benches[] = {
#define BENCH_ROW(name, about) {#name, about, bench_##name},
    BENCH_TABLE(BENCH_ROW)
#undef BENCH_ROW
};
enum { BENCH_COUNT = sizeof benches / sizeof *benches };

static int run_one(size_t i) {
    struct err err = {0};
    enum status st = benches[i].run(&err);
    if (st != ST_OK)
        fprintf(stderr, "quantum bench %s: %s\n", benches[i].name,
                err.text[0] ? err.text : status_text(st));
    return st == ST_OK ? EXIT_DONE : EXIT_FAILED;
}

int cmd_bench(int argc, char **argv) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int o, code = EXIT_DONE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) switch (o) {
        case 'j':
            bench_json_set(true);
            break;
        case 'h':
            fputs(usage, stdout);
            return EXIT_DONE;
        default:
            return EXIT_USAGE;
        }
    if (optind + 1 != argc) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[optind], "list") == 0) {
        for (size_t i = 0; i < BENCH_COUNT; i++)
            printf("%-16s %s\n", benches[i].name, benches[i].about);
        return EXIT_DONE;
    }
    bool all = strcmp(argv[optind], "all") == 0, found = all;
    for (size_t i = 0; i < BENCH_COUNT; i++)
        if (all || strcmp(argv[optind], benches[i].name) == 0) {
            found = true;
            if (run_one(i) != EXIT_DONE) code = EXIT_FAILED;
        }
    if (!found) {
        fprintf(stderr, "quantum bench: no figure '%s'; `quantum bench list` names them\n",
                argv[optind]);
        return EXIT_USAGE;
    }
    return code;
}
