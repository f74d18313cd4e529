/* quantum replay JOURNAL --verify: executes a run again from its journal and holds every record against it. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"
#include "app/run.h"
#include "base/tstamp.h"
#include "feature/feature.h"

static const char usage[] =
    "usage: quantum replay JOURNAL --verify [--data DIR]\n"
    "Executes a run again from its journal (its folder, or the journal folder inside): bars from "
    "the same data, the\n"
    "model's answers from the journal; every record must come out the same, and the state hash "
    "with it.\n"
    "  --data DIR   the candle store, if it has moved\n"
    "example: quantum replay ~/.local/share/quantum/runs/replay-momentum-0123456789abcdef "
    "--verify\n";

static int complain(const struct err *err) {
    fprintf(stderr, "quantum: %s\n", err->text);
    return EXIT_FAILED;
}

static enum status open_feed(struct feed **feed, const struct run_options *o, const char *run_dir,
                             struct err *err) {
    if (o->venue_url[0]) return run_open_venue_feed(feed, o, run_dir, err);
    if (o->mode == MODE_PAPER) return run_open_paper_feed(feed, o, err);
    return run_open_replay_feed(feed, o, err);
}

/* How much of the run that was, and why not more. */
static void show(const struct session_result *r) {
    printf("verified: %" PRIu64 " records, %" PRIu64 " steps, %" PRIu64
           " trades; state hash %016" PRIx64 "\n",
           r->records_checked, r->steps, r->totals.trades, r->state_hash);
    if (r->verified_from <= 1) return;
    printf("from record %" PRIu64 " on, as a snapshot has the state before it: ", r->verified_from);
    if (r->model_gone_seq)
        printf("the file of the model trained in record %" PRIu64 " was removed\n",
               r->model_gone_seq);
    else
        printf("the journal begins with record %" PRIu64 "\n", r->journal_first_seq);
}

static int verify(const char *run_dir, const char *data, bool json) {
    struct err err = {0};
    static struct run_options o;
    static struct run run;
    enum status st = run_options_load(&o, run_dir, &err);
    if (st != ST_OK) return complain(&err);
    if (data) snprintf(o.data, sizeof o.data, "%s", data);
    st = open_feed(&run.session.feed, &o, run_dir, &err);
    if (st != ST_OK) return complain(&err);
    struct feed *feed = run.session.feed;
    run.session = session_options_defaults();
    run.session.feed = feed;
    run.session.mode = o.mode;
    run.session.strategy = o.strategy;
    run.session.engine = o.engine;
    run.session.seed = o.seed;
    run.session.run_dir = run_dir;
    run.session.verify = true;
    static const struct venue_port nobody = {0}; /* a verification asks no venue */
    if (o.venue_url[0]) {
        run.session.port = &nobody;
        run.session.wallet_start = o.wallet_start;
    }
    run.options = o;
    if (o.strategy == STRATEGY_ENSEMBLE) {
        /* The files are asked for their barriers and hashes; their answers come from the journal. */
        st = run_load_models(&run, INT64_MAX, &err);
        snprintf(run.run_dir, sizeof run.run_dir, "%s", run_dir);
        if (st == ST_OK && o.retrain_ns > 0) {
            run_retrain_configure(&run);
            st = run_retrain_open(&run, &err);
        }
        if (st != ST_OK) return complain(&err);
    }
    struct session_result *r = calloc(1, sizeof *r);
    if (!r) return EXIT_FAILED;
    st = session_run(r, &run.session, &err);
    if (json)
        printf("{\"verified\":%s,\"first_record\":%" PRIu64 ",\"records\":%" PRIu64
               ",\"steps\":%" PRIu64 ",\"trades\":%" PRIu64 ",\"state_hash\":\"%016" PRIx64
               "\",\"fingerprint\":\"%016" PRIx64 "\"}\n",
               st == ST_OK ? "true" : "false", r->verified_from, r->records_checked, r->steps,
               r->totals.trades, r->state_hash, r->fingerprint);
    else if (st == ST_OK)
        show(r);
    free(r);
    run_release(&run);
    return st == ST_OK ? EXIT_DONE : complain(&err);
}

int cmd_replay(int argc, char **argv) {
    static const struct option options[] = {{"verify", no_argument, NULL, 'v'},
                                            {"data", required_argument, NULL, 'd'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *data = NULL;
    bool json = false, asked = false;
    int o;
    optind = 0;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) switch (o) {
        case 'v':
            asked = true;
            break;
        case 'd':
            data = optarg;
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
    if (optind + 1 != argc || !asked) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    static char dir[RUN_PATH_SIZE];
    char probe[RUN_PATH_SIZE + 16];
    snprintf(dir, sizeof dir, "%s", argv[optind]);
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') dir[--n] = '\0';
    snprintf(probe, sizeof probe, "%s/run.txt", dir);
    if (access(probe, R_OK) != 0 && n > 8 && strcmp(dir + n - 8, "/journal") == 0)
        dir[n - 8] = '\0';
    return verify(dir, data, json);
}
