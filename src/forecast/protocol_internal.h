/* Used by protocol*.c and run_*.c only. */
#ifndef FORECAST_PROTOCOL_INTERNAL_H
#define FORECAST_PROTOCOL_INTERNAL_H

#include "forecast/model_file.h"
#include "forecast/protocol.h"

/* ---- the folder ---- */

struct run_folder {
    const char *dir;
    int lock;
};
/* Makes and locks it. ST_EXISTS: another process works in it. */
enum status run_folder_open(struct run_folder *f, const char *dir, struct err *err);
void run_folder_close(struct run_folder *f);
/* dir/name; ST_RANGE: too long. */
enum status run_folder_path(char out[FORECAST_PATH_SIZE], const struct run_folder *f,
                            const char *name, struct err *err);
bool run_folder_has(const struct run_folder *f, const char *name);
/* A file that was there or not. */
enum status run_folder_remove(const struct run_folder *f, const char *name, struct err *err);
/* Replaced whole. */
enum status run_folder_write(const struct run_folder *f, const char *name, const char *text,
                             struct err *err);
/* The caller frees *out, NUL-ended. */
enum status run_folder_read(char **out, const struct run_folder *f, const char *name,
                            struct err *err);

/* ---- a run's parts ---- */

struct run {
    const struct forecast_options *o;
    struct forecast_report *report;
    forecast_progress_fn progress;
    void *context;
    struct run_folder folder;
    struct forecast_dataset data;
    struct forecast_model model; /* description of what is trained */
    nn_real *series;             /* (rows up to the test part's end, channels), standardised */
    struct workers *workers;
    struct forecast_cuts cuts[FORECAST_PARTS];
    struct network *net;
    /* of the training at hand */
    enum forecast_phase phase;
    uint64_t look_every, first_step;
    int64_t begin_ns;
    double seconds_before;
};

/* What is shown of a step; writes running.json at a look. */
bool run_show(void *context, const struct trainer_state *state);
bool run_go_on(void *context);
/* Losses and some windows of the test part, as SVG. */
enum status run_pictures(const struct run *r, struct err *err);
enum status run_history_write(const struct run *r, struct err *err);
enum status run_report_write(const struct run *r, struct err *err);

#endif
