/* A run has one owner: how a process becomes it, or waits until it does. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/api.h"
#include "app/command.h"
#include "app/run.h"
#include "app/version.h"
#include "base/tstamp.h"

/* What a standby says of itself, on a port of its own: its owner has the other. */
struct standby {
    struct api *api;
    struct view_box *box;
};

static void standby_close(struct standby *s) {
    api_stop(s->api);
    view_box_destroy(s->box);
    *s = (struct standby){0};
}

static enum status standby_open(struct standby *s, const struct run *run, struct err *err) {
    if (run->options.standby_port == 0 || run->options.no_api) return ST_OK;
    s->box = view_box_create();
    if (!s->box) return err_set(err, ST_NO_MEMORY, "standby: out of memory");
    struct api_config c = api_config_defaults();
    c.port = run->options.standby_port;
    c.view_box = s->box;
    c.version = QUANTUM_VERSION;
    c.commit = QUANTUM_COMMIT;
    c.lease = run->lease;
    return api_start(&s->api, &c, err);
}

static void nap(void) {
    const struct timespec ts = {.tv_nsec = LEASE_LOOK_NS};
    nanosleep(&ts, NULL);
}

static bool is_asked_to_end(const struct run *run) {
    return run->session.stop && *run->session.stop;
}

/* Looks until the lease is this process's. ST_INTERRUPTED: told to end. */
static enum status stand_by(struct run *run, struct err *err) {
    struct standby shown = {0};
    bool told = false, refusal_told = false;
    enum status st;
    for (;;) {
        *err = (struct err){0};
        st = lease_stand_by(run->lease, tstamp_monotonic_ns(), run->options.lease_ns, err);
        if (st != ST_AGAIN && st != ST_REFUSED) break;
        if (!told) {
            fprintf(stderr, "standby: %s; takes over when it ends, or is silent for %.0f s\n",
                    err->text, (double)run->options.lease_ns / 1e9);
            st = standby_open(&shown, run, err);
            if (st != ST_OK) break;
            told = true;
        } else if (st == ST_REFUSED && !refusal_told) {
            fprintf(stderr, "standby: %s\n", err->text);
            refusal_told = true;
        }
        if (is_asked_to_end(run)) {
            st = ST_INTERRUPTED;
            break;
        }
        nap();
    }
    standby_close(&shown);
    if (st == ST_OK && told) fprintf(stderr, "standby: the run is ours now\n");
    return st;
}

static enum status own_once(struct run *run, struct err *err) {
    enum status st = lease_open(&run->lease, run->run_dir, err);
    if (st != ST_OK) return st;
    st = run->options.standby ? stand_by(run, err) : lease_take(run->lease, err);
    if (st == ST_OK) return ST_OK;
    lease_close(run->lease);
    run->lease = NULL;
    return st;
}

int run_own(struct run *run) {
    struct err err = {0};
    enum status st;
    /* Stale: the folder was put aside between its opening and its locking; the next try finds the new one. */
    do st = own_once(run, &err);
    while (st == ST_STALE);
    if (st == ST_OK) return EXIT_DONE;
    if (st == ST_INTERRUPTED) return RUN_ENDED;
    if (st == ST_EXISTS) {
        fprintf(stderr,
                "quantum: %s; nothing was touched. To wait for it and take it over: quantum up "
                "--standby\n",
                err.text);
        return EXIT_REFUSED;
    }
    fprintf(stderr, "quantum: %s\n", err.text);
    return EXIT_FAILED;
}
