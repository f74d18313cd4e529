/* quantum drill: what must go right on the worst day, done on purpose to a running paper system and measured. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "app/ask.h"
#include "app/command.h"
#include "app/drill.h"
#include "app/operate.h"
#include "app/run.h"
#include "base/tstamp.h"

/* Of a confirmed stop, while the process lives and the venue answers. */
enum { PROTECTED_WITHIN_MS = 3000 };

static const char usage[] =
    "usage: quantum drill panic|restart|failover|naked [--state DIR | --port N] [--hang] "
    "[--timeout S] "
    "[--json]\n"
    "\n"
    "Does to a running paper system what the worst day would do, checks what must hold, and says "
    "how "
    "long it took.\n"
    "\n"
    "  panic     closes everything, verifies that neither the run nor its venue holds anything, "
    "and "
    "ends the stop\n"
    "            again if there was none before\n"
    "  restart   kill -9, then the same program with the same words in the same folder: no "
    "position, "
    "no trade may be\n"
    "            lost, doubled or changed, and all that is held must be protected\n"
    "  failover  starts a standby beside it (unless one is there), then kill -9: the standby must "
    "own the run, "
    "with\n"
    "            every position and trade as it was, the stops standing at the venue all the "
    "while; the "
    "killed one,\n"
    "            started again, must refuse. --hang: it is stopped (SIGSTOP) instead, and must be "
    "ended "
    "by the standby\n"
    "  naked     cancels a protective stop at the venue behind the run's back: another must be "
    "confirmed within 3 s\n"
    "            (for runs on quantum exchange; with the keys of the run)\n"
    "\n"
    "  --state DIR   of the run (default $QUANTUM_STATE, else the XDG data folder)\n"
    "  --port N      where it listens, instead (naked and failover need the state directory, too)\n"
    "  --timeout S   give up after S seconds (120)\n"
    "  --json        one line of figures at the end\n"
    "\n"
    "Exit code 0: PASS; 1: FAIL, or it could not be done; 2: wrong usage; 3: refused: not a paper "
    "system. There is no\n"
    "option that drills a live one.\n"
    "\n"
    "  quantum drill restart --state ~/paper\n"
    "  quantum drill panic --json | jq .flat_ms\n";

enum { OPT_STATE = 1, OPT_PORT, OPT_HANG, OPT_TIMEOUT, OPT_JSON };

static const struct option TABLE[] = {{"state", required_argument, NULL, OPT_STATE},
                                      {"port", required_argument, NULL, OPT_PORT},
                                      {"hang", no_argument, NULL, OPT_HANG},
                                      {"timeout", required_argument, NULL, OPT_TIMEOUT},
                                      {"json", no_argument, NULL, OPT_JSON},
                                      {"help", no_argument, NULL, COMMAND_HELP},
                                      {NULL, 0, NULL, 0}};

static bool apply(void *options, int option) {
    struct drill *d = options;
    switch (option) {
    case OPT_STATE:
        d->state_option = optarg;
        return *optarg != 0;
    case OPT_PORT:
        d->port_option = optarg;
        return command_u32_parse(&d->port, optarg, 1, 65535);
    case OPT_HANG:
        return d->hang = true;
    case OPT_TIMEOUT:
        return command_u32_parse(&d->timeout_s, optarg, 1, 86400);
    case OPT_JSON:
        return d->json = true;
    default:
        return false;
    }
}

/* ---- shared ---- */

int drill_failed(const struct drill *d, const struct err *err) {
    fprintf(stderr, "quantum drill %s: %s\n", d->name, err->text);
    return err->st == ST_REFUSED ? EXIT_REFUSED : EXIT_FAILED;
}

bool drill_is_over(const struct drill *d) {
    return tstamp_monotonic_ns() >= d->end_ns;
}

int64_t drill_ms_since(int64_t begin_ns) {
    return (tstamp_monotonic_ns() - begin_ns) / NS_PER_MS;
}

enum status drill_look_again(struct drill *d, struct drill_state *out, struct err *err) {
    enum status st;
    do {
        *err = (struct err){0};
        st = drill_look(out, (uint16_t)d->port, err);
        if (st == ST_OK || st == ST_FULL || st == ST_NOT_FOUND) return st;
        drill_nap();
    } while (!drill_is_over(d));
    return st;
}

int drill_verdict(const struct drill *d, const char *fault) {
    if (!d->json) {
        if (fault)
            printf("FAIL: %s\n", fault);
        else
            printf("PASS\n");
    }
    return fault ? EXIT_FAILED : EXIT_DONE;
}

void drill_json_head(const struct drill *d, const char *fault) {
    printf("{\"drill\":\"%s\",\"passed\":%s,\"fault\":", d->name, fault ? "false" : "true");
    if (fault)
        printf("\"%s\"", fault);
    else
        printf("null");
}

/* ---- panic ---- */

/* Every position of before is a trade now: trades are written with some delay. */
static enum status all_closed(struct drill *d, uint32_t *missing, struct err *err) {
    for (;;) {
        enum status st = drill_look_again(d, &d->after, err);
        if (st != ST_OK) return st;
        *missing = 0;
        for (uint32_t i = 0; i < d->before.position_count; i++) {
            const struct drill_position *p = &d->before.positions[i];
            *missing += !drill_traded(&d->after, p->symbol, p->entry_ms);
        }
        if (*missing == 0 || drill_is_over(d)) return ST_OK;
        drill_nap();
    }
}

static int drill_panic(struct drill *d, struct drill_venue *venue) {
    struct err err = {0};
    uint32_t missing = 0, at_venue = 0;
    if (!d->json)
        printf("closing %u position(s), %" PRId64 " order(s)\n", d->before.position_count,
               d->before.live_orders);
    int64_t begin = tstamp_monotonic_ns();
    if (operate_wish("drill panic", OPERATE_PANIC, d->port, "drill", d->timeout_s) != EXIT_DONE)
        return EXIT_FAILED;
    int64_t flat_ms = drill_ms_since(begin);
    if (venue && drill_venue_positions(&at_venue, venue, &err) != ST_OK)
        return drill_failed(d, &err);
    if (all_closed(d, &missing, &err) != ST_OK) return drill_failed(d, &err);
    const char *fault = at_venue > 0                  ? "the venue still shows positions"
                        : d->after.position_count > 0 ? "the run still holds something"
                        : !d->after.emergency_stop    ? "entries are not off"
                        : missing > 0                 ? "a position is neither held nor traded"
                                                      : NULL;
    if (!d->before.emergency_stop &&
        operate_wish("drill panic", OPERATE_RESUME, d->port, "drill", d->timeout_s) != EXIT_DONE)
        fault = "entries do not come on again";
    if (d->json) {
        drill_json_head(d, fault);
        printf(",\"positions\":%u,\"flat_ms\":%" PRId64
               ",\"at_venue\":%s,\"unaccounted\":%u,\"resumed\":%s}\n",
               d->before.position_count, flat_ms, venue ? "0" : "null", missing,
               d->before.emergency_stop ? "false" : "true");
    } else {
        printf("flat after %" PRId64 " ms%s; %u unaccounted for; entries %s\n", flat_ms,
               venue ? ", at the venue too" : "", missing,
               d->before.emergency_stop ? "stay off, as before" : "on again");
    }
    return drill_verdict(d, fault);
}

/* ---- restart ---- */

static enum status come_back(struct drill *d, struct err *err) {
    enum status st;
    for (;;) {
        *err = (struct err){0};
        st = drill_look(&d->after, (uint16_t)d->port, err);
        if (st == ST_OK && d->after.started_ms != d->before.started_ms && d->after.running)
            return ST_OK;
        if (st == ST_FULL || drill_is_over(d)) break;
        drill_nap();
    }
    return st == ST_OK ? err_set(err, ST_TIMEOUT, "it does not come up again") : st;
}

/* Everything held is protected, and everything is where it belongs: trades are written with some delay. */
enum status drill_settle(struct drill_settled *out, struct drill *d, struct err *err) {
    int64_t begin = tstamp_monotonic_ns();
    for (;;) {
        drill_compare(&out->was, &d->before, &d->after);
        if (drill_unprotected(&d->after) == 0 && out->protected_ms < 0)
            out->protected_ms = drill_ms_since(begin);
        bool right = out->was.lost + out->was.doubled == 0;
        if ((right && out->protected_ms >= 0) || drill_is_over(d)) return ST_OK;
        drill_nap();
        enum status st = drill_look_again(d, &d->after, err);
        if (st != ST_OK) return st;
    }
}

const char *drill_settled_fault(const struct drill_settled *r, const struct drill *d) {
    return r->was.lost > 0       ? "a position or trade is lost"
           : r->was.doubled > 0  ? "a position is there twice"
           : r->was.changed > 0  ? "a position or trade has changed"
           : r->protected_ms < 0 ? "a position has no confirmed stop"
           : d->after.emergency_stop != d->before.emergency_stop
               ? "the emergency stop is not as it was"
               : NULL;
}

static int restart_report(const struct drill *d, const struct drill_settled *r, const char *log) {
    const char *fault = drill_settled_fault(r, d);
    if (d->json) {
        drill_json_head(d, fault);
        printf(",\"positions\":%u,\"trades\":%u,\"lost\":%u,\"doubled\":%u,\"changed\":%u,"
               "\"closed\":%u,\"opened\":%u,\"down_ms\":%" PRId64 ",\"protected_ms\":%" PRId64
               ",\"pid\":%d}\n",
               d->before.position_count, d->before.trade_count, r->was.lost, r->was.doubled,
               r->was.changed, r->was.closed, r->was.opened, r->down_ms, r->protected_ms,
               (int)d->after.pid);
    } else {
        printf("up again after %" PRId64 " ms as process %d (its words: %s)\n"
               "before: %u position(s), %u trade(s); lost %u, doubled %u, changed %u; since then "
               "closed %u, opened %u\n",
               r->down_ms, (int)d->after.pid, log, d->before.position_count, d->before.trade_count,
               r->was.lost, r->was.doubled, r->was.changed, r->was.closed, r->was.opened);
        if (r->protected_ms >= 0) printf("all protected %" PRId64 " ms later\n", r->protected_ms);
    }
    return drill_verdict(d, fault);
}

static int drill_restart(struct drill *d) {
    struct err err = {0};
    struct drill_process *process;
    struct drill_settled r = {.protected_ms = -1};
    char log[RUN_PATH_SIZE + 32];
    snprintf(log, sizeof log, "%s/drill-restart.log", d->state);
    if (drill_process_find(&process, d->before.pid, &err) != ST_OK) return drill_failed(d, &err);
    if (!d->json) printf("kill -9 of process %d\n", (int)d->before.pid);
    int64_t begin = tstamp_monotonic_ns();
    enum status st = drill_process_kill(process, &err);
    if (st == ST_OK) st = drill_process_start(process, DRILL_AS_IT_WAS, log, &err);
    drill_process_free(process);
    if (st == ST_OK) st = come_back(d, &err);
    r.down_ms = drill_ms_since(begin);
    if (st == ST_OK) st = drill_settle(&r, d, &err);
    return st == ST_OK ? restart_report(d, &r, log) : drill_failed(d, &err);
}

/* ---- naked ---- */

/* A position with a confirmed stop, which the venue has, too. */
static enum status find_protected(struct drill *d, struct drill_venue *venue,
                                  struct drill_position *position, struct drill_stop *stop,
                                  struct err *err) {
    for (;;) {
        enum status st = drill_look_again(d, &d->after, err);
        if (st != ST_OK) return st;
        for (uint32_t i = 0; i < d->after.position_count; i++) {
            *position = d->after.positions[i];
            if (!position->is_protected) continue;
            st = drill_venue_stop(stop, venue, position->symbol, NULL, err);
            if (st != ST_OK || stop->id != 0) return st;
        }
        if (drill_is_over(d)) return err_set(err, ST_TIMEOUT, "nothing with a stop is held");
        drill_nap();
    }
}

static int drill_naked(struct drill *d, struct drill_venue *venue) {
    struct err err = {0};
    struct drill_position position;
    struct drill_stop stop, next = {0};
    if (find_protected(d, venue, &position, &stop, &err) != ST_OK) return drill_failed(d, &err);
    if (!d->json)
        printf("cancelling the stop of %s at %s behind its back\n", position.symbol,
               position.stop_px);
    if (drill_venue_cancel(venue, position.symbol, &stop, &err) != ST_OK)
        return drill_failed(d, &err);
    int64_t begin = tstamp_monotonic_ns(), took = -1;
    bool is_held = true;
    while (took < 0 && is_held && !drill_is_over(d)) {
        if (drill_venue_stop(&next, venue, position.symbol, &stop, &err) != ST_OK)
            return drill_failed(d, &err);
        if (next.id != 0) took = drill_ms_since(begin);
        if (took < 0) {
            if (drill_look_again(d, &d->after, &err) != ST_OK) return drill_failed(d, &err);
            is_held = drill_held(&d->after, position.symbol, position.entry_ms) != NULL;
            drill_nap();
        }
    }
    if (!is_held) took = drill_ms_since(begin);
    const char *fault = took < 0                     ? "no stop came back"
                        : took > PROTECTED_WITHIN_MS ? "it took longer than 3 s"
                                                     : NULL;
    if (d->json) {
        drill_json_head(d, fault);
        printf(",\"symbol\":\"%s\",\"protected_ms\":%" PRId64 ",\"outcome\":\"%s\"}\n",
               position.symbol, took,
               took < 0  ? "naked"
               : is_held ? "stop"
                         : "flat");
    } else if (took >= 0) {
        printf("%s after %" PRId64 " ms\n", is_held ? "a confirmed stop is there again" : "flat",
               took);
    }
    return drill_verdict(d, fault);
}

/* ---- which ---- */

static int prepare(struct drill *d, struct err *err) {
    bool needs_state = strcmp(d->name, "naked") == 0 || strcmp(d->name, "failover") == 0;
    if (d->port_option && !d->state_option && needs_state) {
        err_set(err, ST_INVALID, "the run's folder is needed: --state DIR");
        return EXIT_USAGE;
    }
    if (state_dir(d->state, sizeof d->state, d->state_option) != 0) {
        err_set(err, ST_NOT_FOUND, "no state directory");
        return EXIT_FAILED;
    }
    if (!d->port) d->port = ask_port(d->state);
    if (!d->port) d->port = API_PORT_DEFAULT;
    d->end_ns = tstamp_monotonic_ns() + (int64_t)d->timeout_s * NS_PER_SECOND;
    if (drill_look_again(d, &d->before, err) != ST_OK) return EXIT_FAILED;
    if (strcmp(d->before.mode, "paper") != 0) {
        err_set(err, ST_REFUSED, "the run on 127.0.0.1:%u is a %s run; only paper is drilled",
                d->port, d->before.mode);
        return EXIT_REFUSED;
    }
    if (d->before.running) return EXIT_DONE;
    err_set(err, ST_INVALID, "the run has ended");
    return EXIT_FAILED;
}

/* NULL where the run has no venue of its own, or none that can be asked; only naked cannot do without. */
static enum status venue_of(struct drill_venue **out, const struct drill *d, struct err *err) {
    char run_dir[RUN_PATH_SIZE];
    *out = NULL;
    enum status st = run_current(run_dir, sizeof run_dir, d->state, err);
    if (st == ST_OK) st = drill_venue_open(out, run_dir, err);
    return st;
}

static int drill(struct drill *d) {
    struct err err = {0};
    struct drill_venue *venue = NULL;
    int code = prepare(d, &err);
    if (code != EXIT_DONE) {
        fprintf(stderr, "quantum drill %s: %s\n", d->name, err.text);
        return code;
    }
    if (strcmp(d->name, "restart") == 0) return drill_restart(d);
    /* With a port alone nobody knows whose state directory it is. */
    bool has_state = d->state_option || !d->port_option;
    enum status st = has_state ? venue_of(&venue, d, &err) : ST_NOT_FOUND;
    bool is_naked = strcmp(d->name, "naked") == 0;
    if (is_naked && st != ST_OK) return drill_failed(d, &err);
    code = is_naked                           ? drill_naked(d, venue)
           : strcmp(d->name, "failover") == 0 ? drill_failover(d, venue)
                                              : drill_panic(d, venue);
    drill_venue_close(venue);
    return code;
}

int cmd_drill(int argc, char **argv) {
    static struct drill d; /* a megabyte of what it saw */
    const struct command_options c = {
        .command = "quantum drill", .help = usage, .table = TABLE, .apply = apply};
    d = (struct drill){.timeout_s = 120};
    int code = command_options_read(&d, &c, argc, argv);
    if (code >= 0) return code;
    if (optind + 1 != argc)
        return command_usage_error("quantum drill", usage,
                                   "one of panic, restart, failover, naked is needed");
    d.name = argv[optind];
    if (d.hang && strcmp(d.name, "failover") != 0)
        return command_usage_error("quantum drill", usage, "--hang is of failover");
    if (strcmp(d.name, "panic") != 0 && strcmp(d.name, "restart") != 0 &&
        strcmp(d.name, "failover") != 0 && strcmp(d.name, "naked") != 0)
        return command_usage_error("quantum drill", usage, "'%s' is no drill", d.name);
    return drill(&d);
}
