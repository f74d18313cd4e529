/* quantum forecast: the networks, outside trading. */
#include "app/cmd_forecast.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "forecast/golden.h"

static const char usage[] =
    "usage: quantum forecast train|eval|predict|check [options] ...\n"
    "  train    a network on a file, by the papers' protocol: weights, figures and pictures in a "
    "folder\n"
    "  eval     a trained network on a part of a file: MSE and MAE over every window\n"
    "  predict  what comes behind a file's last row\n"
    "  check    a network with stored weights and inputs against what its authors' code computed\n"
    "Networks: PatchTST, N-HiTS, DLinear. `quantum forecast COMMAND --help` tells more.\n"
    "example: quantum forecast train --model patchtst --csv ETTh1.csv --horizon 96 --threads 2\n";
static const char check_usage[] =
    "usage: quantum forecast check CASE_DIR [--json]\n"
    "  a network with stored weights and inputs against what its authors' code computed from "
    "them;\n"
    "  the last line of --json is one object of figures. Exit 0 within the bounds, 1 outside, 2 "
    "unreadable\n"
    "example: quantum forecast check golden/patchtst/tiny_a --json\n";

int forecast_failed(const struct err *err) {
    fprintf(stderr, "forecast: %s\n", err->text);
    return EXIT_FAILED;
}

/* ---- values of options ---- */

bool forecast_f64_parse(double *out, const char *text, double lo, double hi) {
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == 0 && isfinite(*out) && *out > lo && *out <= hi;
}

/* ---- check ---- */

static void print_report(const struct golden_report *report) {
    for (int i = 0; i < GOLDEN_PARTS; i++) {
        const struct golden_figure *f = &report->parts[i];
        const char *name = golden_part_name((enum golden_part)i);
        double bound = golden_bound((enum golden_part)i);
        if (f->present)
            printf("%-14s %9.2e of %.0e  %s  %s\n", name, f->value, bound,
                   f->value <= bound ? "ok  " : "FAIL", f->tensor);
        else
            printf("%-14s -\n", name);
    }
}

static int check(int argc, char **argv) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    bool json = false;
    int o;
    optind = 0;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (o == 'h') {
            fputs(check_usage, stdout);
            return EXIT_DONE;
        }
        if (o != 'j') return EXIT_USAGE;
        json = true;
    }
    if (optind + 1 != argc) {
        fputs(check_usage, stderr);
        return EXIT_USAGE;
    }
    static struct golden_report report;
    struct err err = {0};
    if (golden_check(&report, argv[optind], NULL, &err) != ST_OK) {
        fprintf(stderr, "quantum forecast check: %s\n", err.text);
        return EXIT_USAGE;
    }
    if (json) {
        char line[1024];
        struct json_writer w;
        json_writer_init(&w, line, sizeof line);
        golden_report_json(&w, &report);
        if (json_writer_finish(&w) != ST_OK) return EXIT_USAGE;
        puts(line);
    } else
        print_report(&report);
    return golden_within(&report) ? EXIT_DONE : EXIT_FAILED;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} subcommands[] = {{"train", forecast_train_command},
                   {"eval", forecast_eval_command},
                   {"predict", forecast_predict_command},
                   {"check", check}};

int cmd_forecast(int argc, char **argv) {
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; argc >= 2 && i < sizeof subcommands / sizeof *subcommands; i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].run(argc - 1, argv + 1);
    if (argc >= 2) fprintf(stderr, "quantum forecast: no '%s'\n", argv[1]);
    fputs(usage, stderr);
    return EXIT_USAGE;
}
