/* quantum status: what a running system says of itself, from its own /health. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "app/ask.h"
#include "app/command.h"
#include "base/json.h"

enum { ROLES_MAX = 32, REASONS_MAX = 32, TEXT_SIZE = 64 };

static const char USAGE[] =
    "usage: quantum status [--port N] [--json]\n"
    "\n"
    "Asks http://127.0.0.1:N/health (N is 8001 unless told) and prints each role with the age of "
    "its\n"
    "last work. Exit code 0: it answered; 1: nothing answers there; 2: wrong usage.\n"
    "A server with an access token is asked with the one in $QUANTUM_API_TOKEN.\n"
    "\n"
    "  quantum status\n"
    "  quantum status --port 8101 --json\n";

struct role {
    char name[TEXT_SIZE], state[TEXT_SIZE];
    int64_t age_ms, max_age_ms; /* -1: never worked / no limit */
    uint64_t work_count;
};

struct owner {
    char role[TEXT_SIZE]; /* "": the run has no lease */
    int64_t pid, epoch, age_ms, standby_pid;
};

struct summary {
    struct owner owner;
    char service[TEXT_SIZE], status[TEXT_SIZE], version[TEXT_SIZE], commit[TEXT_SIZE];
    char mode[TEXT_SIZE];
    char reasons[REASONS_MAX][256];
    struct role roles[ROLES_MAX];
    uint32_t role_count, reason_count;
    int64_t pid, models_loaded;
    double uptime_seconds;
    bool synthetic;
};

/* /health's body, inside `reply`; NULL after saying why on standard error. */
static char *health_get(char *reply, size_t size, uint16_t port) {
    char *body;
    int code = ask(reply, size, &body, "status", port, "/health", NULL);
    if (code == 200) return body;
    if (code != 0)
        fprintf(stderr, "quantum status: 127.0.0.1:%u answered %d%s\n", port, code,
                code == 401 ? ": set $QUANTUM_API_TOKEN" : "");
    return NULL;
}

/* ---- reading it ---- */

static void text_read(struct json_reader *r, char *out, size_t size) {
    struct json_text text = json_string(r);
    if (json_text_copy(out, size, NULL, &text) != ST_OK) snprintf(out, size, "?");
}

static int64_t number_or_null(struct json_reader *r) {
    if (json_peek(r) == JSON_NULL) {
        json_skip(r);
        return -1;
    }
    return json_i64(r);
}

static void role_read(struct json_reader *r, struct role *role) {
    struct json_text key;
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "name"))
            text_read(r, role->name, sizeof role->name);
        else if (json_text_is(&key, "state"))
            text_read(r, role->state, sizeof role->state);
        else if (json_text_is(&key, "age_ms"))
            role->age_ms = number_or_null(r);
        else if (json_text_is(&key, "max_age_ms"))
            role->max_age_ms = number_or_null(r);
        else if (json_text_is(&key, "work_count"))
            role->work_count = (uint64_t)json_i64(r);
        else
            json_skip(r);
    }
}

static void owner_read(struct json_reader *r, struct owner *owner) {
    struct json_text key;
    if (json_peek(r) == JSON_NULL) {
        json_skip(r);
        return;
    }
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "role"))
            text_read(r, owner->role, sizeof owner->role);
        else if (json_text_is(&key, "owner_pid"))
            owner->pid = number_or_null(r);
        else if (json_text_is(&key, "epoch"))
            owner->epoch = json_i64(r);
        else if (json_text_is(&key, "age_ms"))
            owner->age_ms = number_or_null(r);
        else if (json_text_is(&key, "standby_pid"))
            owner->standby_pid = number_or_null(r);
        else
            json_skip(r);
    }
}

static void field_read(struct summary *s, struct json_reader *r, const struct json_text *key) {
    if (json_text_is(key, "service")) {
        text_read(r, s->service, sizeof s->service);
    } else if (json_text_is(key, "status")) {
        text_read(r, s->status, sizeof s->status);
    } else if (json_text_is(key, "version")) {
        text_read(r, s->version, sizeof s->version);
    } else if (json_text_is(key, "commit")) {
        text_read(r, s->commit, sizeof s->commit);
    } else if (json_text_is(key, "mode")) {
        text_read(r, s->mode, sizeof s->mode);
    } else if (json_text_is(key, "synthetic")) {
        s->synthetic = json_bool(r);
    } else if (json_text_is(key, "pid")) {
        s->pid = json_i64(r);
    } else if (json_text_is(key, "models_loaded")) {
        s->models_loaded = json_i64(r);
    } else if (json_text_is(key, "uptime_seconds")) {
        s->uptime_seconds = json_f64(r);
    } else if (json_text_is(key, "lease")) {
        owner_read(r, &s->owner);
    } else if (json_text_is(key, "roles")) {
        json_array_begin(r);
        while (json_array_next(r)) {
            if (s->role_count == ROLES_MAX)
                json_skip(r);
            else
                role_read(r, &s->roles[s->role_count++]);
        }
    } else if (json_text_is(key, "reasons")) {
        json_array_begin(r);
        while (json_array_next(r)) {
            if (s->reason_count == REASONS_MAX)
                json_skip(r);
            else
                text_read(r, s->reasons[s->reason_count++], sizeof s->reasons[0]);
        }
    } else {
        json_skip(r);
    }
}

static bool summary_read(struct summary *s, const char *body) {
    struct json_reader r;
    struct json_text key;
    memset(s, 0, sizeof *s);
    json_reader_init(&r, body, strlen(body));
    json_object_begin(&r);
    while (json_object_next(&r, &key)) field_read(s, &r, &key);
    return json_finish(&r) == ST_OK && strcmp(s->service, "ai-engine-service") == 0;
}

/* ---- printing it ---- */

static const char *age_text(char *out, size_t size, int64_t ms) {
    if (ms < 0)
        snprintf(out, size, "never");
    else if (ms < 120000)
        snprintf(out, size, "%.1f s", (double)ms / 1e3);
    else if (ms < 7200000)
        snprintf(out, size, "%.1f min", (double)ms / 6e4);
    else
        snprintf(out, size, "%.1f h", (double)ms / 3.6e6);
    return out;
}

static void summary_print(const struct summary *s, uint16_t port) {
    char age[32], limit[32];
    age_text(age, sizeof age, (int64_t)(1000 * s->uptime_seconds));
    printf("%s  %s  pid %lld  version %s (%s)  up %s  port %u\n", s->service, s->status,
           (long long)s->pid, s->version, s->commit, age, port);
    if (s->mode[0])
        printf("mode %s%s, %lld model(s) loaded\n", s->mode,
               s->synthetic ? ", SYNTHETIC market" : "", (long long)s->models_loaded);
    if (s->owner.role[0]) {
        age_text(age, sizeof age, s->owner.age_ms);
        printf("owner of the run: process %lld (number %lld), its loop went round %s ago; ",
               (long long)s->owner.pid, (long long)s->owner.epoch, age);
        if (s->owner.standby_pid > 0)
            printf("process %lld stands by\n", (long long)s->owner.standby_pid);
        else
            printf("nobody stands by\n");
    }
    printf("\n%-10s %-10s %12s %12s %12s  %-8s %s\n", "role", "state", "last work", "allowed",
           "pieces", "pid", "version");
    for (uint32_t i = 0; i < s->role_count; i++) {
        const struct role *r = &s->roles[i];
        age_text(age, sizeof age, r->age_ms);
        if (r->max_age_ms < 0)
            snprintf(limit, sizeof limit, "-");
        else
            age_text(limit, sizeof limit, r->max_age_ms);
        printf("%-10s %-10s %12s %12s %12llu  %-8lld %s\n", r->name, r->state, age, limit,
               (unsigned long long)r->work_count, (long long)s->pid, s->version);
    }
    for (uint32_t i = 0; i < s->reason_count; i++)
        printf("%s%s\n", i ? "  " : "\nnot OK because:\n  ", s->reasons[i]);
}

static int options_read(int argc, char **argv, uint16_t *port, bool *json) {
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "p:jh", options, NULL)) != -1;) {
        char *end;
        unsigned long value;
        switch (c) {
        case 'p':
            value = strtoul(optarg, &end, 10);
            if (*end || end == optarg || value == 0 || value > 65535) {
                fprintf(stderr, "quantum status: --port %s is not a port (1 to 65535)\n", optarg);
                return EXIT_USAGE;
            }
            *port = (uint16_t)value;
            break;
        case 'j':
            *json = true;
            break;
        case 'h':
            fputs(USAGE, stdout);
            return -1;
        default:
            fputs(USAGE, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argc) return EXIT_DONE;
    fprintf(stderr, "quantum status: %s is not expected\n%s", argv[optind], USAGE);
    return EXIT_USAGE;
}

int cmd_status(int argc, char **argv) {
    uint16_t port = API_PORT_DEFAULT;
    bool json = false;
    int usage = options_read(argc, argv, &port, &json);
    if (usage) return usage < 0 ? EXIT_DONE : usage;

    char *reply = malloc(ASK_REPLY_SIZE);
    struct summary *summary = malloc(sizeof *summary);
    int code = EXIT_FAILED;
    char *body = reply && summary ? health_get(reply, ASK_REPLY_SIZE, port) : NULL;
    if (body) {
        if (!summary_read(summary, body)) {
            fprintf(stderr, "quantum status: 127.0.0.1:%u does not answer as quantum does\n", port);
        } else {
            if (json)
                printf("%s\n", body);
            else
                summary_print(summary, port);
            code = EXIT_DONE;
        }
    }
    free(summary);
    free(reply);
    return code;
}
