/* quantum stop, panic and resume: a running system is told, and it is waited until it says that it has done so. The command
 * has an id of its own, so that it can be given again to a system that died with it, or did not answer in time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "api/api.h"
#include "app/ask.h"
#include "app/command.h"
#include "app/operate.h"
#include "base/json.h"
#include "base/tstamp.h"

static const char stop_usage[] =
    "usage: quantum stop [--state DIR | --port N] [--by NAME] [--timeout S] [--json]\n"
    "\n"
    "Entries off, exits on: no position is opened any more; what is held keeps its stops and "
    "targets.\n"
    "It outlives a restart, and ends with `quantum resume`.\n"
    "\n"
    "  --state DIR   of the run (default $QUANTUM_STATE, else the XDG data folder)\n"
    "  --port N      where it listens, instead (default: as the run of --state says, else 8001)\n"
    "  --by NAME     who, for the record (quantum)\n"
    "  --timeout S   give up after S seconds (10)\n"
    "  --json        print the answer of /api/risk at the end\n"
    "\n"
    "Exit code 0: in force and on record; 1: not, or nothing runs there; 2: wrong usage.\n"
    "A server with an access token is asked with the one in $QUANTUM_API_TOKEN.\n"
    "\n"
    "  quantum stop --by alice\n";

static const char panic_usage[] =
    "usage: quantum panic [--state DIR | --port N] [--by NAME] [--timeout S] [--json]\n"
    "\n"
    "Closes everything at market and opens nothing any more. Waits until the run, by what the "
    "venue has\n"
    "told it, holds no position and has no order left; prints what is left if that takes longer "
    "than\n"
    "--timeout (60 s). Entries stay off until `quantum resume`.\n"
    "\n"
    "  --state DIR, --port N, --by NAME, --json: as in `quantum stop --help`\n"
    "\n"
    "Exit code 0: flat; 1: not (yet), or nothing runs there; 2: wrong usage.\n"
    "\n"
    "  quantum panic --timeout 120\n";

static const char resume_usage[] =
    "usage: quantum resume [--state DIR | --port N] [--by NAME] [--timeout S] [--json]\n"
    "\n"
    "Ends what `quantum stop` or `quantum panic` began: entries may come again, as far as limits, "
    "breakers\n"
    "and triggers allow (GET /api/risk says what does not; POST /api/breaker/reset closes "
    "breakers).\n"
    "\n"
    "  --state DIR, --port N, --by NAME, --timeout S, --json: as in `quantum stop --help`\n"
    "\n"
    "Exit code 0: in force and on record; 1: not, or nothing runs there; 2: wrong usage.\n"
    "\n"
    "  quantum resume\n";

struct operate {
    const char *name;
    const char *state, *by;
    uint32_t port, timeout_s;
    bool json, quiet;
};

enum { OPT_STATE = 1, OPT_PORT, OPT_BY, OPT_TIMEOUT, OPT_JSON };

static const struct option TABLE[] = {{"state", required_argument, NULL, OPT_STATE},
                                      {"port", required_argument, NULL, OPT_PORT},
                                      {"by", required_argument, NULL, OPT_BY},
                                      {"timeout", required_argument, NULL, OPT_TIMEOUT},
                                      {"json", no_argument, NULL, OPT_JSON},
                                      {"help", no_argument, NULL, COMMAND_HELP},
                                      {NULL, 0, NULL, 0}};

/* It goes into a text of JSON as it is. */
static bool is_name(const char *text) {
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\') return false;
    return n > 0 && n < TEXT_FIELD_SIZE;
}

static bool apply(void *options, int option) {
    struct operate *o = options;
    switch (option) {
    case OPT_STATE:
        o->state = optarg;
        return *optarg != 0;
    case OPT_PORT:
        return command_u32_parse(&o->port, optarg, 1, 65535);
    case OPT_BY:
        o->by = optarg;
        return is_name(optarg);
    case OPT_TIMEOUT:
        return command_u32_parse(&o->timeout_s, optarg, 1, 86400);
    case OPT_JSON:
        return o->json = true;
    default:
        return false;
    }
}

/* ---- what the run says ---- */

struct risk {
    bool emergency_stop, running, has_run;
    int64_t positions, live_orders, started;
    uint64_t commands_taken;
};

static bool risk_read(struct risk *out, const char *body) {
    struct json_reader r;
    struct json_text key;
    bool whole = false;
    *out = (struct risk){0};
    json_reader_init(&r, body, strlen(body));
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (json_text_is(&key, "emergency_stop")) {
            out->emergency_stop = json_bool(&r);
        } else if (json_text_is(&key, "running")) {
            out->running = json_bool(&r);
        } else if (json_text_is(&key, "positions")) {
            out->positions = json_i64(&r);
        } else if (json_text_is(&key, "live_orders")) {
            out->live_orders = json_i64(&r);
        } else if (json_text_is(&key, "started")) {
            out->started = json_i64(&r);
        } else if (json_text_is(&key, "commands_taken")) {
            out->commands_taken = (uint64_t)json_i64(&r);
            whole = true;
        } else {
            json_skip(&r);
        }
    }
    return json_finish(&r) == ST_OK && whole;
}

/* A command that was taken: its number, in the process that began then. */
struct given {
    uint64_t number;
    int64_t started;
};

static bool given_read(struct given *out, const char *body) {
    struct json_reader r;
    struct json_text key;
    *out = (struct given){0};
    json_reader_init(&r, body, strlen(body));
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (json_text_is(&key, "number"))
            out->number = (uint64_t)json_i64(&r);
        else if (json_text_is(&key, "started"))
            out->started = json_i64(&r);
        else
            json_skip(&r);
    }
    return json_finish(&r) == ST_OK && out->number > 0;
}

static void nap(void) {
    const struct timespec ts = {.tv_nsec = 50 * NS_PER_MS};
    nanosleep(&ts, NULL);
}

static int refused(const struct operate *o, int code, const char *path, const char *body) {
    char why[512];
    ask_error(why, sizeof why, body);
    fprintf(stderr, "quantum %s: 127.0.0.1:%u answered %d to %s: %s%s\n", o->name, o->port, code,
            path, why, code == 401 ? " (set $QUANTUM_API_TOKEN)" : "");
    return -1;
}

typedef bool (*done_fn)(const struct risk *r);

/* One round: gives the command unless this process has it, then looks. 1 it is done, 0 not yet, -1 it never will be. */
static int try_once(const struct operate *o, struct risk *risk, struct given *given, char *reply,
                    char **body, struct err *err, const char *path, const char *json,
                    done_fn done) {
    int code;
    if (given->number == 0) {
        code = ask_quietly(reply, ASK_REPLY_SIZE, body, err, (uint16_t)o->port, path, json);
        if (code == 0 || code == 503) return 0; /* it is asked to come again */
        if (code != 202 || !given_read(given, *body)) return refused(o, code, path, *body);
    }
    code = ask_quietly(reply, ASK_REPLY_SIZE, body, err, (uint16_t)o->port, "/api/risk", NULL);
    if (code == 0 || code == 503) return 0; /* recovering */
    if (code != 200) return refused(o, code, "/api/risk", *body);
    if (!risk_read(risk, *body)) return 0; /* nothing published yet */
    if (risk->started != given->started) {
        given->number =
            0; /* another process: whether the one before had it on record is not known */
        return 0;
    }
    if (risk->commands_taken >= given->number && done(risk)) return 1;
    return risk->running ? 0 : -2;
}

/* 1 done, 0 time is over, -1 said why, -2 the run has ended. */
static int wait_for(const struct operate *o, struct risk *risk, char *reply, char **body,
                    const char *path, const char *json, done_fn done) {
    int64_t end = tstamp_monotonic_ns() + (int64_t)o->timeout_s * NS_PER_SECOND;
    struct given given = {0};
    struct err err = {0};
    for (bool ever = false;;) {
        err = (struct err){0};
        int got = try_once(o, risk, &given, reply, body, &err, path, json, done);
        if (got != 0) return got;
        ever |= err.st == ST_OK;
        bool over = tstamp_monotonic_ns() >= end;
        bool hopeless = err.st == ST_RANGE || (err.st == ST_NOT_FOUND && !ever);
        if (err.st != ST_OK && (over || hopeless)) {
            fprintf(stderr, "quantum %s: %s\n", o->name, err.text);
            return -1;
        }
        if (over) return given.number == 0 || risk->commands_taken < given.number ? -3 : 0;
        nap();
    }
}

/* ---- the commands ---- */

static bool is_stopped(const struct risk *r) {
    return r->emergency_stop;
}
static bool is_resumed(const struct risk *r) {
    return !r->emergency_stop;
}
static bool is_flat(const struct risk *r) {
    return r->emergency_stop && r->positions == 0 && r->live_orders == 0;
}

static void say(const struct operate *o, const struct risk *r, const char *body) {
    if (o->quiet) return;
    if (o->json)
        printf("%s\n", body);
    else if (strcmp(o->name, "stop") == 0)
        printf("entries are off; %" PRId64 " position(s) keep their stops. On again: quantum "
               "resume\n",
               r->positions);
    else if (strcmp(o->name, "resume") == 0)
        printf("entries are on, as far as limits and breakers allow\n");
    else
        printf("flat: no position, no order left; entries are off. On again: quantum resume\n");
}

/* What a panic has not brought home: each position by name, asked for once more. */
static void say_left(const struct operate *o, const struct risk *r, char *reply) {
    fprintf(stderr,
            "quantum panic: not flat after %u s: %" PRId64 " position(s), %" PRId64
            " order(s) left; the run goes on closing\n",
            o->timeout_s, r->positions, r->live_orders);
    char *body;
    if (ask(reply, ASK_REPLY_SIZE, &body, o->name, (uint16_t)o->port, "/api/positions", NULL) ==
        200)
        fprintf(stderr, "%s\n", body);
}

static int run(const struct operate *o, const char *path, const char *json, done_fn done) {
    char *reply = malloc(ASK_REPLY_SIZE), *body = NULL;
    struct risk risk = {0};
    int waited = reply ? wait_for(o, &risk, reply, &body, path, json, done) : -1;
    if (waited > 0)
        say(o, &risk, body);
    else if (waited == -2)
        fprintf(stderr, "quantum %s: the run has ended\n", o->name);
    else if (waited == 0 && done == is_flat)
        say_left(o, &risk, reply);
    else if (waited != -1)
        fprintf(stderr, "quantum %s: not in force after %u s\n", o->name, o->timeout_s);
    free(reply);
    return waited > 0 ? EXIT_DONE : EXIT_FAILED;
}

/* An id nobody else has. */
static void id_make(char out[24]) {
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        number = (uint64_t)tstamp_wall_ns();
    snprintf(out, 24, "%016" PRIx64, number);
}

static const struct {
    const char *path, *value; /* of the body, with its comma */
    done_fn done;
} WISHES[] = {
    [OPERATE_STOP] = {"/api/emergency_stop", "\"value\":1,", is_stopped},
    [OPERATE_RESUME] = {"/api/emergency_stop", "\"value\":0,", is_resumed},
    [OPERATE_PANIC] = {"/api/positions/close", "", is_flat},
};

static int tell(const struct operate *o, enum operate_wish wish) {
    char json[192], id[24];
    id_make(id);
    snprintf(json, sizeof json, "{%s\"by\":\"%s\",\"id\":\"%s\"}", WISHES[wish].value, o->by, id);
    return run(o, WISHES[wish].path, json, WISHES[wish].done);
}

int operate_wish(const char *command, enum operate_wish wish, uint32_t port, const char *by,
                 uint32_t timeout_s) {
    const struct operate o = {
        .name = command, .by = by, .port = port, .timeout_s = timeout_s, .quiet = true};
    return tell(&o, wish);
}

static int operate(int argc, char **argv, const char *help, uint32_t timeout_s,
                   enum operate_wish wish) {
    struct operate o = {.name = argv[0], .by = "quantum", .timeout_s = timeout_s};
    char name[32];
    snprintf(name, sizeof name, "quantum %s", argv[0]);
    const struct command_options c = {
        .command = name, .help = help, .table = TABLE, .apply = apply};
    int code = command_options_read(&o, &c, argc, argv);
    if (code >= 0) return code;
    if (optind < argc) return command_usage_error(name, help, "'%s' is not expected", argv[optind]);
    if (o.port && o.state) return command_usage_error(name, help, "--state or --port, not both");
    if (!o.port) {
        char state[4096];
        if (state_dir(state, sizeof state, o.state) != 0) return EXIT_FAILED;
        o.port = ask_port(state);
    }
    if (!o.port) o.port = API_PORT_DEFAULT;
    return tell(&o, wish);
}

int cmd_stop(int argc, char **argv) {
    return operate(argc, argv, stop_usage, 10, OPERATE_STOP);
}

int cmd_resume(int argc, char **argv) {
    return operate(argc, argv, resume_usage, 10, OPERATE_RESUME);
}

int cmd_panic(int argc, char **argv) {
    return operate(argc, argv, panic_usage, 60, OPERATE_PANIC);
}
