/* quantum forecast eval, predict: a trained network on a file. */
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
#include "base/numtext.h"
#include "base/tstamp.h"
#include "forecast/use.h"

static const char eval_usage[] =
    "usage: quantum forecast eval --run DIR|--model-file FILE --csv FILE [options]\n"
    "  --run DIR          folder of `quantum forecast train`\n"
    "  --model-file FILE  its model.safetensors alone\n"
    "  --csv FILE         data with the columns it was trained on\n"
    "  --split S          ett, etth, ettm, or ratios as 0.7,0.1,0.2 (default: that of the "
    "training)\n"
    "  --part P           test, valid or train (default: test)\n"
    "  --threads N        default: 1\n"
    "  --json             one JSON object\n"
    "example: quantum forecast eval --run forecast-patchtst-ETTh1-336-96-s1 --csv ETTh1.csv\n";
static const char predict_usage[] =
    "usage: quantum forecast predict --run DIR|--model-file FILE --csv FILE [options]\n"
    "  --run DIR          folder of `quantum forecast train`\n"
    "  --model-file FILE  its model.safetensors alone\n"
    "  --csv FILE         the forecast goes on from its last rows\n"
    "  --output FILE      CSV, in the data's own units; .gz and .zst compress (default: -)\n"
    "example: quantum forecast predict --run forecast-patchtst-ETTh1-336-96-s1 --csv ETTh1.csv\n";

struct options {
    const char *run, *model_file, *csv, *output;
    struct forecast_split split;
    bool has_split, json;
    enum forecast_part part;
    uint32_t threads;
};

enum {
    OPTION_RUN = 1,
    OPTION_MODEL_FILE,
    OPTION_CSV,
    OPTION_SPLIT,
    OPTION_PART,
    OPTION_THREADS,
    OPTION_OUTPUT,
    OPTION_JSON
};

static bool part_parse(enum forecast_part *out, const char *text) {
    for (int i = 0; i < FORECAST_PARTS; i++)
        if (strcmp(text, forecast_part_names[i]) == 0) {
            *out = (enum forecast_part)i;
            return true;
        }
    return false;
}

static bool option_apply(void *options, int option) {
    struct options *o = options;
    switch (option) {
    case OPTION_RUN:
        o->run = optarg;
        return *optarg != 0;
    case OPTION_MODEL_FILE:
        o->model_file = optarg;
        return *optarg != 0;
    case OPTION_CSV:
        o->csv = optarg;
        return *optarg != 0;
    case OPTION_SPLIT:
        o->has_split = true;
        return forecast_split_parse(&o->split, optarg);
    case OPTION_PART:
        return part_parse(&o->part, optarg);
    case OPTION_THREADS:
        return command_u32_parse(&o->threads, optarg, 1, WORKERS_MAX);
    case OPTION_OUTPUT:
        o->output = optarg;
        return *optarg != 0;
    case OPTION_JSON:
        o->json = true;
        return true;
    default:
        return false;
    }
}

/* -1: go on; else the exit code. */
static int options_read(struct options *o, int argc, char **argv, const struct option *table,
                        const char *help) {
    *o = (struct options){.part = FORECAST_TEST, .threads = 1, .output = "-"};
    const struct command_options line = {"forecast", help, table, option_apply};
    int code = command_options_read(o, &line, argc, argv);
    if (code >= 0) return code;
    if (optind < argc)
        return command_usage_error("forecast", help, "'%s' is not an option", argv[optind]);
    if (!o->csv) return command_usage_error("forecast", help, "--csv is missing");
    if (!o->run == !o->model_file)
        return command_usage_error("forecast", help, "one of --run and --model-file is needed");
    return -1;
}

/* The network's file. */
static const char *model_path(char out[FORECAST_PATH_SIZE], const struct options *o) {
    if (o->model_file) return o->model_file;
    snprintf(out, FORECAST_PATH_SIZE, "%s/model.safetensors", o->run);
    return out;
}

/* ---- eval ---- */

static bool not_interrupted(void *context) {
    (void)context;
    return !data_interrupted;
}

static void write_score(struct json_writer *w, const char *key, const struct forecast_score *s) {
    json_write_key(w, key);
    json_write_object_begin(w);
    json_write_key(w, "mse");
    json_write_f64(w, s->mse);
    json_write_key(w, "mae");
    json_write_f64(w, s->mae);
    json_write_object_end(w);
}

static void evaluation_json(struct json_writer *w, const void *subject) {
    const struct forecast_evaluation *e = subject;
    char split[FORECAST_SPLIT_TEXT_SIZE];
    json_write_object_begin(w);
    data_write_text(w, "model", forecast_kind_names[e->kind]);
    data_write_text(w, "csv", e->csv);
    data_write_text(w, "split", forecast_split_text(split, &e->split));
    data_write_text(w, "part", forecast_part_names[e->part]);
    data_write_u64(w, "input", e->input);
    data_write_u64(w, "horizon", e->horizon);
    data_write_u64(w, "channels", e->channels);
    data_write_u64(w, "windows", e->network.windows);
    json_write_key(w, "same_data");
    json_write_bool(w, e->same_data);
    write_score(w, "score", &e->network);
    write_score(w, "repeat_last", &e->repeat);
    json_write_object_end(w);
}

int forecast_eval_command(int argc, char **argv) {
    static const struct option table[] = {
        {"run", required_argument, NULL, OPTION_RUN},
        {"model-file", required_argument, NULL, OPTION_MODEL_FILE},
        {"csv", required_argument, NULL, OPTION_CSV},
        {"split", required_argument, NULL, OPTION_SPLIT},
        {"part", required_argument, NULL, OPTION_PART},
        {"threads", required_argument, NULL, OPTION_THREADS},
        {"json", no_argument, NULL, OPTION_JSON},
        {"help", no_argument, NULL, COMMAND_HELP},
        {NULL, 0, NULL, 0}};
    struct options o;
    int code = options_read(&o, argc, argv, table, eval_usage);
    if (code >= 0) return code;
    char path[FORECAST_PATH_SIZE];
    struct forecast_evaluation e;
    struct err err = {0};
    data_interrupts_begin();
    enum status st =
        forecast_evaluate(&e, model_path(path, &o), o.csv, o.has_split ? &o.split : NULL, o.part,
                          o.threads, not_interrupted, NULL, &err);
    data_interrupts_end();
    if (st != ST_OK) return forecast_failed(&err);
    if (o.json) return data_print_json(evaluation_json, &e);
    printf("%s, %u -> %u, part %s: %" PRIu64 " windows of %u channel%s%s\n",
           forecast_kind_names[e.kind], e.input, e.horizon, forecast_part_names[e.part],
           e.network.windows, e.channels, e.channels == 1 ? "" : "s",
           e.same_data ? "" : "; other data than it was trained on");
    printf("%-12s %9s %9s\n%-12s %9.4f %9.4f\n%-12s %9.4f %9.4f\n", "", "MSE", "MAE",
           forecast_kind_names[e.kind], e.network.mse, e.network.mae, "last value", e.repeat.mse,
           e.repeat.mae);
    return EXIT_DONE;
}

/* ---- predict ---- */

/* A name as a CSV field. */
static enum status write_name(struct model_output *out, const char *name, struct err *err) {
    enum status st = model_output_write(out, ",", 1, err);
    if (!strpbrk(name, ",\"\r\n"))
        return st == ST_OK ? model_output_write(out, name, strlen(name), err) : st;
    if (st == ST_OK) st = model_output_write(out, "\"", 1, err);
    for (const char *p = name; *p && st == ST_OK; p++)
        st = model_output_write(out, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1, err);
    return st == ST_OK ? model_output_write(out, "\"", 1, err) : st;
}

static enum status write_rows(struct model_output *out, const struct forecast_outlook *f,
                              struct err *err) {
    enum status st = model_output_write(out, f->dates ? "date" : "step", 4, err);
    for (uint32_t c = 0; c < f->channels && st == ST_OK; c++)
        st = write_name(out, f->names[c], err);
    for (uint32_t i = 0; i < f->horizon && st == ST_OK; i++) {
        char text[NUMTEXT_SIZE + TSTAMP_TEXT_SIZE], date[TSTAMP_TEXT_SIZE];
        int n = snprintf(text, sizeof text, "\n%u", i + 1);
        if (f->dates) {
            tstamp_format(date, (int64_t)f->dates[i] * NS_PER_SECOND);
            date[10] = ' '; /* "2018-06-26 20:00:00", as the files have it */
            n = snprintf(text, sizeof text, "\n%.19s", date);
        }
        st = model_output_write(out, text, (size_t)n, err);
        for (uint32_t c = 0; c < f->channels && st == ST_OK; c++) {
            text[0] = ',';
            size_t size = numtext_f64(text + 1, f->values[i * f->channels + c]);
            st = model_output_write(out, text, size + 1, err);
        }
    }
    return st == ST_OK ? model_output_write(out, "\n", 1, err) : st;
}

int forecast_predict_command(int argc, char **argv) {
    static const struct option table[] = {
        {"run", required_argument, NULL, OPTION_RUN},
        {"model-file", required_argument, NULL, OPTION_MODEL_FILE},
        {"csv", required_argument, NULL, OPTION_CSV},
        {"output", required_argument, NULL, OPTION_OUTPUT},
        {"help", no_argument, NULL, COMMAND_HELP},
        {NULL, 0, NULL, 0}};
    struct options o;
    int code = options_read(&o, argc, argv, table, predict_usage);
    if (code >= 0) return code;
    char path[FORECAST_PATH_SIZE];
    struct forecast_outlook f;
    struct model_output *out = NULL;
    struct err err = {0};
    enum status st = forecast_predict(&f, model_path(path, &o), o.csv, &err);
    if (st != ST_OK) return forecast_failed(&err);
    st = model_output_open(&out, o.output, &err);
    if (st == ST_OK) {
        st = write_rows(out, &f, &err);
        if (st == ST_OK)
            st = model_output_commit(out, &err);
        else
            model_output_abandon(out);
    }
    forecast_outlook_free(&f);
    return st == ST_OK ? EXIT_DONE : forecast_failed(&err);
}
