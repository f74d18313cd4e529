/* quantum report: what the newest run under a state directory earned. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/run.h"

static const char usage[] =
    "usage: quantum report [--state DIR] [--run DIR] [--json]\n"
    "What the newest run earned, from its fills, net of fees and funding, beside buy-and-hold and "
    "random entries\n"
    "on the same bars. Works while the run goes on.\n"
    "  --run DIR    another run than the newest (a folder under STATE/runs)\n"
    "example: quantum report --json | jq .sharpe\n";

int cmd_report(int argc, char **argv) {
    static const struct option options[] = {{"state", required_argument, NULL, 's'},
                                            {"run", required_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *state = NULL, *run = NULL;
    bool json = false;
    char dir[RUN_PATH_SIZE], run_dir[RUN_PATH_SIZE];
    int o;
    optind = 0;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) switch (o) {
        case 's':
            state = optarg;
            break;
        case 'r':
            run = optarg;
            break;
        case 'j':
            json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return EXIT_DONE;
        default:
            return EXIT_USAGE;
        }
    if (optind < argc) {
        fprintf(stderr, "quantum report: '%s' is not an option\n", argv[optind]);
        return EXIT_USAGE;
    }
    if (run) return run_report(run, json);
    if (state_dir(dir, sizeof dir, state) != 0) return EXIT_FAILED;
    struct err err = {0};
    if (run_current(run_dir, sizeof run_dir, dir, &err) != ST_OK) {
        fprintf(stderr, "quantum: %s\n", err.text);
        return EXIT_FAILED;
    }
    return run_report(run_dir, json);
}
