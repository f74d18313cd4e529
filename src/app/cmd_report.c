/* quantum report: what the newest run under a state directory earned. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "app/acceptance.h"
#include "app/ask.h"
#include "app/command.h"
#include "app/report_page.h"
#include "app/run.h"
#include "base/tstamp.h"

static const char usage[] =
    "usage: quantum report [--state DIR] [--run DIR] [--json] [--acceptance [--port N]] [--out "
    "FILE]\n"
    "What the newest run earned, from its fills, net of fees and funding, beside buy-and-hold and "
    "random entries\n"
    "on the same bars. Works while the run goes on.\n"
    "  --run DIR    another run than the newest (a folder under STATE/runs)\n"
    "  --acceptance rows 55, 57 and 63 of the acceptance table instead, from the running system "
    "(on "
    "--port, or\n"
    "               where the run of --state says) and the run's folder: each shown, or not yet "
    "and "
    "why\n"
    "  --out FILE   as a page, HTML or Markdown by the name's ending (.html, .md), instead of "
    "text\n"
    "example: quantum report --json | jq .sharpe\n"
    "         quantum report --acceptance --out status.html\n";

struct wanted {
    const char *state, *run, *out;
    bool json, accepts;
    uint32_t port;
};

static int done(enum status st, const struct err *err) {
    if (st == ST_OK) return EXIT_DONE;
    fprintf(stderr, "quantum report: %s\n", err->text);
    return EXIT_FAILED;
}

static int acceptance(const struct wanted *o, uint32_t port) {
    static struct acceptance a;
    struct err err = {0};
    acceptance_collect(&a, o->run, (uint16_t)port);
    if (o->out) return done(acceptance_save(o->out, &a, &err), &err);
    if (o->json) return done(acceptance_print_json(&a, &err), &err);
    acceptance_print(&a);
    return EXIT_DONE;
}

static int report(const struct wanted *o) {
    static struct report r;
    struct err err = {0};
    if (!o->out) return run_report(o->run, o->json);
    enum status st = report_page_load(&r, o->run, 0, &err);
    if (st == ST_OK) st = report_page_save(o->out, &r, tstamp_wall_ns() / NS_PER_MS, &err);
    return done(st, &err);
}

enum { OPT_STATE = 1, OPT_RUN, OPT_JSON, OPT_ACCEPTANCE, OPT_PORT, OPT_OUT };

static const struct option TABLE[] = {{"state", required_argument, NULL, OPT_STATE},
                                      {"run", required_argument, NULL, OPT_RUN},
                                      {"json", no_argument, NULL, OPT_JSON},
                                      {"acceptance", no_argument, NULL, OPT_ACCEPTANCE},
                                      {"port", required_argument, NULL, OPT_PORT},
                                      {"out", required_argument, NULL, OPT_OUT},
                                      {"help", no_argument, NULL, COMMAND_HELP},
                                      {NULL, 0, NULL, 0}};

static bool apply(void *options, int option) {
    struct wanted *o = options;
    switch (option) {
    case OPT_STATE:
        o->state = optarg;
        return *optarg != 0;
    case OPT_RUN:
        o->run = optarg;
        return *optarg != 0;
    case OPT_JSON:
        return o->json = true;
    case OPT_ACCEPTANCE:
        return o->accepts = true;
    case OPT_OUT:
        o->out = optarg;
        return *optarg != 0;
    case OPT_PORT:
        return command_u32_parse(&o->port, optarg, 1, 65535);
    default:
        return false;
    }
}

int cmd_report(int argc, char **argv) {
    struct wanted o = {0};
    struct err err = {0};
    char dir[RUN_PATH_SIZE], current[RUN_PATH_SIZE];
    const struct command_options c = {
        .command = "quantum report", .help = usage, .table = TABLE, .apply = apply};
    int code = command_options_read(&o, &c, argc, argv);
    if (code >= 0) return code;
    if (optind < argc)
        return command_usage_error("quantum report", usage, "'%s' is not an option", argv[optind]);
    if (o.port && !o.accepts)
        return command_usage_error("quantum report", usage, "--port goes with --acceptance");
    if (o.out && o.json)
        return command_usage_error("quantum report", usage, "--out or --json, not both");
    if (o.run && !o.accepts) return report(&o);
    if (state_dir(dir, sizeof dir, o.state) != 0) return EXIT_FAILED;
    if (!o.run) {
        if (run_current(current, sizeof current, dir, &err) != ST_OK) {
            fprintf(stderr, "quantum: %s\n", err.text);
            return EXIT_FAILED;
        }
        o.run = current;
    }
    if (!o.accepts) return report(&o);
    if (!o.port) o.port = ask_port(dir);
    return acceptance(&o, o.port ? o.port : API_PORT_DEFAULT);
}
