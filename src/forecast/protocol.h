/* A forecasting run as the papers have it: a network trained on a file's first part, chosen by the second, measured on every window of
 * the third, in a folder of its own.
 *
 * The folder holds model.safetensors (model_file.h), history.json (each look at the validation windows), report.json, report.txt and
 * pictures; while training, checkpoint and running.json. The same options, data and seed give the same bits for any number of
 * threads, cut off and gone on with or not.
 *
 * Tests    test_protocol.c; test/e2e/forecast.sh; docs/forecast.md */
#ifndef FORECAST_PROTOCOL_H
#define FORECAST_PROTOCOL_H

#include <stdio.h>

#include "base/json.h"
#include "forecast/config.h"
#include "forecast/cuts.h"

enum { FORECAST_PATH_SIZE = 4096 };

struct forecast_options {
    const char *csv;
    const char *target; /* "all", or one column: the others are then not read */
    const char *dir;    /* made if missing */
    struct forecast_config config;
    uint32_t input, horizon;
    struct forecast_split split;
    struct trainer_config
        trainer;   /* checkpoint, resume, identity and schedule.period 0 are filled in by the run */
    bool resume;   /* go on with what the folder holds; if it is finished, that is the outcome */
    bool restart;  /* remove it and begin anew; with neither, a folder with a run is ST_EXISTS */
    bool baseline; /* DLinear beside it */
    uint32_t threads;
};
/* What the authors' scripts have (docs/forecast.md names the scripts). csv, dir NULL; target "all". */
struct forecast_options forecast_options_defaults(enum forecast_kind kind);

/* The file's name without folder and endings. */
void forecast_dataset_name(char out[256], const char *path);

enum forecast_phase {
    FORECAST_READING = 0,
    FORECAST_TRAINING,
    FORECAST_SCORING,
    FORECAST_BASELINE
};
struct forecast_progress {
    enum forecast_phase phase;
    const struct trainer_state *state; /* TRAINING, BASELINE; else NULL */
    bool look;                         /* behind this step was one */
    double windows_per_second, eta_seconds;
};
/* false interrupts. */
typedef bool (*forecast_progress_fn)(void *context, const struct forecast_progress *p);

enum forecast_contender {
    FORECAST_MODEL = 0,
    FORECAST_REPEAT,
    FORECAST_LINEAR,
    FORECAST_CONTENDERS
};

struct forecast_report {
    const struct forecast_options *options; /* borrowed */
    char dataset[256];                      /* the file's name, without folder and endings */
    size_t rows, parameters;
    uint32_t channels;
    struct forecast_span spans[FORECAST_PARTS];
    struct trainer_report training;
    uint64_t steps_per_epoch;
    bool scored[FORECAST_CONTENDERS];
    struct forecast_score scores[FORECAST_CONTENDERS][FORECAST_PARTS]; /* VALID and TEST */
    double seconds;            /* of training, those before an interruption included */
    double windows_per_second; /* trained on in this process */
    double score_seconds, baseline_seconds;
    char *finished; /* report.txt of a run that was finished already: nothing else is filled in */
    char *finished_json;
};
void forecast_report_free(struct forecast_report *r);
void forecast_report_json(struct json_writer *w, const struct forecast_report *r);
void forecast_report_text(FILE *out, const struct forecast_report *r);

/* Everything: reads, trains, saves, measures, draws.
 * ST_OK; ST_INTERRUPTED (resume goes on); ST_EXISTS (the folder holds a run, or another process works in it); ST_MISMATCH (resume: a run with
 * other data or options); ST_RANGE, ST_INVALID, ST_NOT_FOUND, ST_IO, ST_CORRUPT, ST_NO_MEMORY with the reason. */
enum status forecast_run(struct forecast_report *out, const struct forecast_options *o,
                         forecast_progress_fn progress, void *context, struct err *err);

#endif
