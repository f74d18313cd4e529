/* quantum bench NAME: figures by name, next to the peer each names. */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "bench/bench.h"

static const char usage[] =
    "usage: quantum bench NAME|all|list [--json] [--rows N] [--cols N] [--trees N] [--threads N]\n"
    "One line a figure: name, value, unit, n, and the peer measured in the same run (ratio = ours "
    "/ peer).\n"
    "--rows, --cols, --trees, --threads: for the benches of tree models; their defaults else.\n"
    "A rate is per second, a latency the p50 in ns. Run it on a quiet machine; compare ratios.\n"
    "example: quantum bench json_frame --json\n";

static const struct {
    const char *name, *about;
    enum status (*run)(struct err *err); /* or */
    enum status (*run_with)(const struct bench_parameters *p, struct err *err);
} benches[] = {
#define BENCH_ROW(name, about)            {#name, about, bench_##name, NULL},
#define BENCH_ROW_PARAMETERS(name, about) {#name, about, NULL, bench_##name},
    BENCH_TABLE(BENCH_ROW) BENCH_TABLE_PARAMETERS(BENCH_ROW_PARAMETERS)
#undef BENCH_ROW
#undef BENCH_ROW_PARAMETERS
};
enum { BENCH_COUNT = sizeof benches / sizeof *benches, COUNT_MAX = 100000000 };

static int run_one(size_t i, const struct bench_parameters *p) {
    struct err err = {0};
    enum status st = benches[i].run ? benches[i].run(&err) : benches[i].run_with(p, &err);
    if (st != ST_OK)
        fprintf(stderr, "quantum bench %s: %s\n", benches[i].name,
                err.text[0] ? err.text : status_text(st));
    return st == ST_OK ? EXIT_DONE : EXIT_FAILED;
}

/* Option o is one of the parameters; its text is optarg. */
static bool parameter_parse(struct bench_parameters *p, int o, const char *name) {
    uint32_t *out = o == 'r'   ? &p->rows
                    : o == 'c' ? &p->cols
                    : o == 't' ? &p->trees
                    : o == 'n' ? &p->threads
                               : NULL;
    if (!out) return false; /* getopt has said so */
    char *end = optarg;
    unsigned long n = optarg[0] >= '0' && optarg[0] <= '9' ? strtoul(optarg, &end, 10) : 0;
    bool good = n >= 1 && n <= COUNT_MAX && *end == 0;
    if (good)
        *out = (uint32_t)n;
    else
        fprintf(stderr, "quantum bench: --%s '%s': not a number from 1 to %d\n", name, optarg,
                COUNT_MAX);
    return good;
}

int cmd_bench(int argc, char **argv) {
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"rows", required_argument, NULL, 'r'},
                                            {"cols", required_argument, NULL, 'c'},
                                            {"trees", required_argument, NULL, 't'},
                                            {"threads", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    struct bench_parameters p = {0};
    bool has_parameters = false;
    int o, index = 0, code = EXIT_DONE;
    optind = 0;
    while ((o = getopt_long(argc, argv, "", options, &index)) != -1) switch (o) {
        case 'j':
            bench_json_set(true);
            break;
        case 'h':
            fputs(usage, stdout);
            return EXIT_DONE;
        default:
            if (!parameter_parse(&p, o, options[index].name)) return EXIT_USAGE;
            has_parameters = true;
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
            if (has_parameters && !all && !benches[i].run_with) {
                fprintf(stderr, "quantum bench %s: takes no parameters\n", benches[i].name);
                return EXIT_USAGE;
            }
            if (run_one(i, &p) != EXIT_DONE) code = EXIT_FAILED;
        }
    if (!found) {
        fprintf(stderr, "quantum bench: no figure '%s'; `quantum bench list` names them\n",
                argv[optind]);
        return EXIT_USAGE;
    }
    return code;
}
