/* quantum report: what the newest run under a state directory earned. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "app/acceptance.h"
#include "app/ask.h"
#include "app/command.h"
#include "app/run.h"

static const char usage[] =
    "usage: quantum report [--state DIR] [--run DIR] [--json] [--acceptance [--port N]]\n"
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
    "example: quantum report --json | jq .sharpe\n"
    "         quantum report --acceptance\n";

static int acceptance(const char *run_dir, uint32_t port, bool json) {
    static struct acceptance a;
    struct err err = {0};
    acceptance_collect(&a, run_dir, (uint16_t)port);
    if (!json) {
        acceptance_print(&a);
    } else if (acceptance_print_json(&a, &err) != ST_OK) {
        fprintf(stderr, "quantum report: %s\n", err.text);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

struct wanted {
    const char *state, *run;
    bool json, accepts;
    uint32_t port;
};

enum { OPT_STATE = 1, OPT_RUN, OPT_JSON, OPT_ACCEPTANCE, OPT_PORT };

static const struct option TABLE[] = {{"state", required_argument, NULL, OPT_STATE},
                                      {"run", required_argument, NULL, OPT_RUN},
                                      {"json", no_argument, NULL, OPT_JSON},
                                      {"acceptance", no_argument, NULL, OPT_ACCEPTANCE},
                                      {"port", required_argument, NULL, OPT_PORT},
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
    if (o.run && !o.accepts) return run_report(o.run, o.json);
    if (state_dir(dir, sizeof dir, o.state) != 0) return EXIT_FAILED;
    if (!o.run) {
        if (run_current(current, sizeof current, dir, &err) != ST_OK) {
            fprintf(stderr, "quantum: %s\n", err.text);
            return EXIT_FAILED;
        }
        o.run = current;
    }
    if (!o.accepts) return run_report(o.run, o.json);
    if (!o.port) o.port = ask_port(dir);
    return acceptance(o.run, o.port ? o.port : API_PORT_DEFAULT, o.json);
}
