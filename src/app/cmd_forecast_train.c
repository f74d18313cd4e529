/* quantum forecast train: a file to a run's folder. */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cmd_data.h"
#include "app/cmd_forecast.h"
#include "app/cmd_model.h"
#include "app/command.h"

static const char usage[] =
    "usage: quantum forecast train --model patchtst|nhits|dlinear --csv FILE [options]\n"
    "  --csv FILE         numbers in columns, plain, .gz or .zst; a first column of dates is "
    "skipped\n"
    "  --target COL       all (default), or one column by name or number: the others are not read\n"
    "  --input L          steps read (default: 336; nhits: 5 times the horizon)\n"
    "  --horizon H        steps forecast (default: 96)\n"
    "  --split S          ett, etth, ettm, or ratios as 0.7,0.1,0.2 (default: ett)\n"
    "  --params K=V,...   the network's options under its authors' names: d_model=16,n_heads=4;\n"
    "                     lists by stack: "
    "n_pool_kernel_size=8:4:1,n_theta_hidden=512x512:512x512:512x512\n"
    "  --epochs N         at most (default: patchtst 100, dlinear 10)\n"
    "  --steps N          at most (default: nhits 1000)\n"
    "  --valid-every N    steps between looks at the validation part (default: an epoch; nhits "
    "100)\n"
    "  --batch N          windows of a step (default: patchtst 128, nhits 256, dlinear 32)\n"
    "  --keep-last        train on an epoch's last batch if it is not full, too (patchtst drops "
    "it)\n"
    "  --lr X             learning rate (default: patchtst 0.0001, nhits 0.001, dlinear 0.005)\n"
    "  --schedule S       constant, script_constant, onecycle, type3, cosine, step\n"
    "                     (default: patchtst type3, nhits, dlinear step)\n"
    "  --gamma X          step: factor of a fall (default: 0.5)\n"
    "  --period N         step: steps between falls (default: a third of all; dlinear an epoch)\n"
    "  --pct-start X      onecycle: share of the rise (default: 0.3)\n"
    "  --weight-decay X   of AdamW (default: 0)     --clip X     bound of the gradient's norm (0: "
    "none)\n"
    "  --loss L           mse, mae, huber or huber:DELTA (default: mse; nhits mae)\n"
    "  --valid-loss L     what a look measures (default: as --loss)\n"
    "  --patience N       looks without a better one before it ends; 0: all (default: patchtst "
    "100,\n"
    "                     nhits 0, dlinear 3)\n"
    "  --seed S           default: 1\n"
    "  --out DIR          folder of the run (default: forecast-MODEL-NAME-L-H-sSEED here)\n"
    "  --threads N        default: 1; the outcome does not depend on it\n"
    "  --resume           go on with the run in the folder, if there is one\n"
    "  --restart          remove it and begin anew\n"
    "  --no-baseline      do not train DLinear beside it\n"
    "  --json             last line: the report as one JSON object\n"
    "example: quantum forecast train --model patchtst --csv ETTh1.csv --input 336 --horizon 96 "
    "--threads 2\n";

struct options {
    struct forecast_options run;
    const char *params, *out;
    bool json, has_model, has_epochs, has_steps, has_valid_loss, has_input;
    char dir[FORECAST_PATH_SIZE];
};

/* What is shown of a run while it goes. */
struct display {
    struct model_bar bar;
    enum forecast_phase phase;
};

/* ---- options ---- */

enum {
    OPTION_MODEL = 1,
    OPTION_CSV,
    OPTION_TARGET,
    OPTION_INPUT,
    OPTION_HORIZON,
    OPTION_SPLIT,
    OPTION_PARAMS,
    OPTION_EPOCHS,
    OPTION_STEPS,
    OPTION_VALID_EVERY,
    OPTION_BATCH,
    OPTION_KEEP_LAST,
    OPTION_LR,
    OPTION_SCHEDULE,
    OPTION_GAMMA,
    OPTION_PERIOD,
    OPTION_PCT_START,
    OPTION_WEIGHT_DECAY,
    OPTION_CLIP,
    OPTION_LOSS,
    OPTION_VALID_LOSS,
    OPTION_PATIENCE,
    OPTION_SEED,
    OPTION_OUT,
    OPTION_THREADS,
    OPTION_RESUME,
    OPTION_RESTART,
    OPTION_NO_BASELINE,
    OPTION_JSON
};

static const struct option long_options[] = {
    {"model", required_argument, NULL, OPTION_MODEL},
    {"csv", required_argument, NULL, OPTION_CSV},
    {"target", required_argument, NULL, OPTION_TARGET},
    {"input", required_argument, NULL, OPTION_INPUT},
    {"horizon", required_argument, NULL, OPTION_HORIZON},
    {"split", required_argument, NULL, OPTION_SPLIT},
    {"params", required_argument, NULL, OPTION_PARAMS},
    {"epochs", required_argument, NULL, OPTION_EPOCHS},
    {"steps", required_argument, NULL, OPTION_STEPS},
    {"valid-every", required_argument, NULL, OPTION_VALID_EVERY},
    {"batch", required_argument, NULL, OPTION_BATCH},
    {"keep-last", no_argument, NULL, OPTION_KEEP_LAST},
    {"lr", required_argument, NULL, OPTION_LR},
    {"schedule", required_argument, NULL, OPTION_SCHEDULE},
    {"gamma", required_argument, NULL, OPTION_GAMMA},
    {"period", required_argument, NULL, OPTION_PERIOD},
    {"pct-start", required_argument, NULL, OPTION_PCT_START},
    {"weight-decay", required_argument, NULL, OPTION_WEIGHT_DECAY},
    {"clip", required_argument, NULL, OPTION_CLIP},
    {"loss", required_argument, NULL, OPTION_LOSS},
    {"valid-loss", required_argument, NULL, OPTION_VALID_LOSS},
    {"patience", required_argument, NULL, OPTION_PATIENCE},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"out", required_argument, NULL, OPTION_OUT},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"resume", no_argument, NULL, OPTION_RESUME},
    {"restart", no_argument, NULL, OPTION_RESTART},
    {"no-baseline", no_argument, NULL, OPTION_NO_BASELINE},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, COMMAND_HELP},
    {NULL, 0, NULL, 0}};

static bool loss_parse(struct nn_loss_choice *out, const char *text) {
    double delta = 1;
    if (strcmp(text, "mse") == 0)
        out->kind = NN_MSE;
    else if (strcmp(text, "mae") == 0)
        out->kind = NN_MAE;
    else if (strcmp(text, "huber") == 0 ||
             (strncmp(text, "huber:", 6) == 0 && forecast_f64_parse(&delta, text + 6, 0, 1e6)))
        out->kind = NN_HUBER;
    else
        return false;
    out->delta = (nn_real)delta;
    return true;
}

static bool schedule_parse(enum nn_schedule_kind *out, const char *text) {
    static const char *const names[] = {"constant", "step",  "cosine",
                                        "onecycle", "type3", "script_constant"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum nn_schedule_kind)i;
            return true;
        }
    return false;
}

/* What says how long and how fast. */
static bool training_apply(struct options *o, int option) {
    struct trainer_config *t = &o->run.trainer;
    switch (option) {
    case OPTION_EPOCHS:
        o->has_epochs = true;
        return command_u32_parse(&t->epochs, optarg, 1, 1 << 20);
    case OPTION_STEPS:
        o->has_steps = true;
        return command_u64_parse(&t->steps_max, optarg, 1, 1ULL << 40);
    case OPTION_VALID_EVERY:
        return command_u64_parse(&t->valid_every, optarg, 1, 1ULL << 40);
    case OPTION_BATCH:
        return command_u32_parse(&t->batch, optarg, 1, 1 << 16);
    case OPTION_KEEP_LAST:
        t->drop_last = false;
        return true;
    case OPTION_LR:
        return forecast_f64_parse(&t->schedule.lr, optarg, 0, 10);
    case OPTION_SCHEDULE:
        return schedule_parse(&t->schedule.kind, optarg);
    case OPTION_GAMMA:
        return forecast_f64_parse(&t->schedule.gamma, optarg, 0, 1);
    case OPTION_PERIOD:
        return command_u64_parse(&t->schedule.period, optarg, 1, 1ULL << 40);
    case OPTION_PCT_START:
        return forecast_f64_parse(&t->schedule.pct_start, optarg, 0, 0.999);
    case OPTION_WEIGHT_DECAY:
        return forecast_f64_parse(&t->adam.weight_decay, optarg, -1, 10) &&
               t->adam.weight_decay >= 0;
    case OPTION_CLIP:
        return forecast_f64_parse(&t->adam.clip_norm, optarg, -1, 1e9) && t->adam.clip_norm >= 0;
    case OPTION_LOSS:
        return loss_parse(&t->loss, optarg);
    case OPTION_VALID_LOSS:
        o->has_valid_loss = true;
        return loss_parse(&t->valid_loss, optarg);
    case OPTION_PATIENCE:
        return command_u32_parse(&t->patience, optarg, 0, 1 << 20);
    case OPTION_SEED:
        return command_u64_parse(&t->seed, optarg, 0, UINT64_MAX);
    default:
        return false;
    }
}

static bool option_apply(void *options, int option) {
    struct options *o = options;
    struct forecast_options *r = &o->run;
    switch (option) {
    case OPTION_MODEL: /* read before the others: it decides their defaults */
        return true;
    case OPTION_CSV:
        r->csv = optarg;
        return *optarg != 0;
    case OPTION_TARGET:
        r->target = optarg;
        return *optarg != 0;
    case OPTION_INPUT:
        o->has_input = true;
        return command_u32_parse(&r->input, optarg, 1, 1 << 16);
    case OPTION_HORIZON:
        return command_u32_parse(&r->horizon, optarg, 1, 1 << 16);
    case OPTION_SPLIT:
        return forecast_split_parse(&r->split, optarg);
    case OPTION_PARAMS:
        o->params = optarg;
        return true;
    case OPTION_OUT:
        o->out = optarg;
        return *optarg != 0;
    case OPTION_THREADS:
        return command_u32_parse(&r->threads, optarg, 1, WORKERS_MAX);
    case OPTION_RESUME:
        r->resume = true;
        return true;
    case OPTION_RESTART:
        r->restart = true;
        return true;
    case OPTION_NO_BASELINE:
        r->baseline = false;
        return true;
    case OPTION_JSON:
        o->json = true;
        return true;
    default:
        return training_apply(o, option);
    }
}

/* -1: go on; else the exit code. The model decides the others' defaults, wherever it stands. */
static int model_read(struct options *o, int argc, char **argv) {
    int option;
    enum forecast_kind kind = FORECAST_PATCHTST;
    optind = 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == COMMAND_HELP) {
            fputs(usage, stdout);
            return EXIT_DONE;
        }
        if (option != OPTION_MODEL) continue;
        o->has_model = true;
        if (!forecast_kind_parse(&kind, optarg))
            return command_usage_error("forecast", usage, "'%s' is not a value for --model",
                                       optarg);
    }
    o->run = forecast_options_defaults(kind);
    return -1;
}

static const char *option_wrong(const struct options *o) {
    if (!o->has_model) return "--model is missing";
    if (!o->run.csv) return "--csv is missing";
    if (strcmp(o->run.csv, "-") == 0 && !o->out) return "--csv - needs --out";
    if (o->run.resume && o->run.restart) return "--resume and --restart exclude each other";
    return NULL;
}

/* What depends on several options together. */
static void options_complete(struct options *o) {
    struct forecast_options *r = &o->run;
    struct trainer_config *t = &r->trainer;
    if (o->has_steps && !o->has_epochs) t->epochs = 1 << 20;
    if (o->has_epochs && !o->has_steps) t->steps_max = 0;
    if (!o->has_valid_loss) t->valid_loss = t->loss;
    if (!o->has_input && r->config.kind == FORECAST_NHITS) r->input = 5 * r->horizon;
    r->dir = o->out ? o->out : o->dir;
    if (o->out) return;
    char name[256];
    forecast_dataset_name(name, r->csv);
    snprintf(o->dir, sizeof o->dir, "forecast-%s-%s-%u-%u-s%" PRIu64,
             forecast_kind_names[r->config.kind], name, r->input, r->horizon, t->seed);
}

static int options_read(struct options *o, int argc, char **argv) {
    int code = model_read(o, argc, argv);
    if (code >= 0) return code;
    const struct command_options line = {"forecast", usage, long_options, option_apply};
    code = command_options_read(o, &line, argc, argv);
    if (code >= 0) return code;
    if (optind < argc)
        return command_usage_error("forecast", usage, "'%s' is not an option", argv[optind]);
    const char *wrong = option_wrong(o);
    if (wrong) return command_usage_error("forecast", usage, "%s", wrong);
    struct err err = {0};
    if (o->params && forecast_config_set(&o->run.config, o->params, &err) != ST_OK) {
        fprintf(stderr, "forecast: --params: %s\n", err.text);
        return EXIT_USAGE;
    }
    options_complete(o);
    return -1;
}

/* ---- progress ---- */

static void time_text(char out[32], double seconds) {
    unsigned long long s = (unsigned long long)(seconds > 0 && seconds < 1e9 ? seconds + 0.5 : 0);
    if (s >= 3600)
        snprintf(out, 32, "%lluh%02llum", s / 3600, s / 60 % 60);
    else
        snprintf(out, 32, "%llum%02llus", s / 60, s % 60);
}

static void show_look(const struct forecast_progress *p, const char *what) {
    const struct trainer_state *s = p->state;
    char eta[32];
    time_text(eta, p->eta_seconds);
    fprintf(stderr,
            "%s  epoch %u/%u  step %" PRIu64 "/%" PRIu64
            "  loss %.5f  valid %.5f  best %.5f  %.0f windows/s  %s left\n",
            what, s->epoch, s->epochs, s->step, s->steps, s->train_loss, s->valid_loss,
            s->best_valid_loss, p->windows_per_second, eta);
}

static bool show(void *context, const struct forecast_progress *p) {
    struct display *d = context;
    static const char *const names[] = {"reading", "training", "scoring", "DLinear"};
    if (p->phase != d->phase) model_bar_end(&d->bar);
    d->phase = p->phase;
    d->bar.what = names[p->phase];
    if (data_interrupted) return false;
    if (!p->state) return true;
    const struct trainer_state *s = p->state;
    if (!d->bar.is_terminal) {
        if (p->look && p->phase == FORECAST_TRAINING) show_look(p, names[p->phase]);
        return true;
    }
    char note[200], eta[32];
    time_text(eta, p->eta_seconds);
    int n = snprintf(note, sizeof note, "%u/%u  loss %.4f", s->epoch, s->epochs, s->train_loss);
    if (!isnan(s->valid_loss))
        n += snprintf(note + n, sizeof note - (size_t)n, "  valid %.4f (best %.4f)", s->valid_loss,
                      s->best_valid_loss);
    snprintf(note + n, sizeof note - (size_t)n, "  %.0f windows/s  %s left", p->windows_per_second,
             eta);
    model_bar_draw(&d->bar, (double)s->step / (double)s->steps, note);
    return true;
}

/* ---- the command ---- */

static void print_json(struct json_writer *w, const void *subject) {
    forecast_report_json(w, subject);
}

static int print_report(const struct options *o, const struct forecast_report *r) {
    if (r->finished) {
        if (!o->json) fputs(r->finished, stdout);
        if (o->json) puts(r->finished_json);
        return EXIT_DONE;
    }
    if (o->json) return data_print_json(print_json, r);
    forecast_report_text(stdout, r);
    return EXIT_DONE;
}

int forecast_train_command(int argc, char **argv) {
    struct options o = {0};
    int code = options_read(&o, argc, argv);
    if (code >= 0) return code;
    struct display d = {0};
    struct forecast_report report;
    struct err err = {0};
    model_bar_init(&d.bar, "reading");
    data_interrupts_begin();
    enum status st = forecast_run(&report, &o.run, show, &d, &err);
    data_interrupts_end();
    model_bar_end(&d.bar);
    if (st == ST_OK) {
        code = print_report(&o, &report);
    } else {
        code = forecast_failed(&err);
        if (st == ST_INTERRUPTED)
            fprintf(
                stderr,
                "forecast: what was done is kept in %s: the same command with --resume goes on\n",
                o.run.dir);
    }
    forecast_report_free(&report);
    return code;
}
