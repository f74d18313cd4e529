/* What a run says when it is done: for people, for programs. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "forecast/protocol_internal.h"

static const char *const contender_names[FORECAST_CONTENDERS] = {"model", "repeat_last", "dlinear"};
static const char *const contender_titles[FORECAST_CONTENDERS] = {NULL, "last value", "DLinear"};
static const char *const loss_names[] = {"mse", "mae", "huber", "quantile"};

static void write_text(struct json_writer *w, const char *key, const char *text) {
    json_write_key(w, key);
    json_write_string(w, text);
}

static void write_u64(struct json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_u64(w, value);
}

static void write_f64(struct json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value);
}

/* ---- JSON ---- */

static void write_scores(struct json_writer *w, const struct forecast_report *r, int who) {
    json_write_key(w, contender_names[who]);
    json_write_object_begin(w);
    for (int part = FORECAST_VALID; part <= FORECAST_TEST; part++) {
        const struct forecast_score *s = &r->scores[who][part];
        json_write_key(w, forecast_part_names[part]);
        json_write_object_begin(w);
        write_f64(w, "mse", s->mse);
        write_f64(w, "mae", s->mae);
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

static void write_options(struct json_writer *w, const struct forecast_report *r) {
    const struct forecast_options *o = r->options;
    char params[FORECAST_CONFIG_TEXT_SIZE], split[FORECAST_SPLIT_TEXT_SIZE];
    write_text(w, "model", forecast_kind_names[o->config.kind]);
    write_text(w, "dataset", r->dataset);
    write_text(w, "target", o->target);
    write_u64(w, "input", o->input);
    write_u64(w, "horizon", o->horizon);
    write_text(w, "split", forecast_split_text(split, &o->split));
    json_write_key(w, "params");
    if (forecast_config_text(params, &o->config) == ST_OK)
        json_write_string(w, params);
    else
        json_write_null(w);
    write_u64(w, "seed", o->trainer.seed);
    write_u64(w, "batch", o->trainer.batch);
    write_f64(w, "lr", o->trainer.schedule.lr);
    write_text(w, "loss", loss_names[o->trainer.loss.kind]);
    write_u64(w, "threads", o->threads);
}

void forecast_report_json(struct json_writer *w, const struct forecast_report *r) {
    json_write_object_begin(w);
    write_options(w, r);
    write_u64(w, "rows", r->rows);
    write_u64(w, "channels", r->channels);
    write_u64(w, "parameters", r->parameters);
    json_write_key(w, "windows");
    json_write_object_begin(w);
    for (int i = 0; i < FORECAST_PARTS; i++)
        write_u64(w, forecast_part_names[i], r->spans[i].windows);
    json_write_object_end(w);
    const struct trainer_report *t = &r->training;
    write_u64(w, "epochs", t->epochs);
    write_u64(w, "steps", t->steps);
    write_u64(w, "steps_per_epoch", r->steps_per_epoch);
    write_u64(w, "best_epoch", t->looks[t->best_look].epoch);
    write_u64(w, "best_step", t->looks[t->best_look].step);
    write_f64(w, "best_valid_loss", t->best_valid_loss);
    json_write_key(w, "stopped_early");
    json_write_bool(w, t->stopped_early);
    json_write_key(w, "resumed");
    json_write_bool(w, t->resumed);
    write_f64(w, "seconds", r->seconds);
    write_f64(w, "windows_per_second", r->windows_per_second);
    write_f64(w, "score_seconds", r->score_seconds);
    write_f64(w, "baseline_seconds", r->baseline_seconds);
    write_text(w, "run", r->options->dir);
    json_write_key(w, "scores");
    json_write_object_begin(w);
    for (int who = 0; who < FORECAST_CONTENDERS; who++)
        if (r->scored[who]) write_scores(w, r, who);
    json_write_object_end(w);
    json_write_object_end(w);
}

/* ---- text ---- */

void forecast_report_text(FILE *out, const struct forecast_report *r) {
    const struct forecast_options *o = r->options;
    const struct trainer_report *t = &r->training;
    char split[FORECAST_SPLIT_TEXT_SIZE];
    fprintf(out, "run        %s\n", o->dir);
    fprintf(out, "data       %s: %zu rows, %u channel%s (%s); split %s\n", r->dataset, r->rows,
            r->channels, r->channels == 1 ? "" : "s", o->target,
            forecast_split_text(split, &o->split));
    fprintf(out, "windows    %u -> %u: %zu to train, %zu to validate, %zu to test%s\n", o->input,
            o->horizon, r->spans[0].windows, r->spans[1].windows, r->spans[2].windows,
            forecast_config_by_channel(&o->config) && r->channels > 1 ? ", of each channel" : "");
    fprintf(out,
            "training   %u epochs, %" PRIu64 " steps of %u windows; best at epoch %u, step %" PRIu64
            "%s\n",
            t->epochs, t->steps, o->trainer.batch, t->looks[t->best_look].epoch,
            t->looks[t->best_look].step, t->stopped_early ? "; stopped early" : "");
    fprintf(out, "parameters %zu; seed %" PRIu64 "\n", r->parameters, o->trainer.seed);
    fprintf(out, "time       %.1f s training (%.0f windows/s), %.1f s measuring", r->seconds,
            r->windows_per_second, r->score_seconds);
    if (r->scored[FORECAST_LINEAR]) fprintf(out, ", %.1f s DLinear", r->baseline_seconds);
    fprintf(out, "\n\n%-12s %9s %9s %11s %11s\n", "", "test MSE", "test MAE", "valid MSE",
            "valid MAE");
    for (int who = 0; who < FORECAST_CONTENDERS; who++) {
        if (!r->scored[who]) continue;
        const struct forecast_score *s = r->scores[who];
        const char *title = who ? contender_titles[who] : forecast_kind_names[o->config.kind];
        fprintf(out, "%-12s %9.4f %9.4f %11.4f %11.4f\n", title, s[FORECAST_TEST].mse,
                s[FORECAST_TEST].mae, s[FORECAST_VALID].mse, s[FORECAST_VALID].mae);
    }
}

/* ---- files ---- */

enum status run_report_write(const struct run *r, struct err *err) {
    char *text = NULL, json[FORECAST_CONFIG_TEXT_SIZE + 16384];
    size_t size;
    struct json_writer w;
    json_writer_init(&w, json, sizeof json);
    forecast_report_json(&w, r->report);
    if (json_writer_finish(&w) != ST_OK) return err_set(err, ST_RANGE, "the report is too long");
    FILE *out = open_memstream(&text, &size);
    if (!out) return err_set(err, ST_NO_MEMORY, "no memory for the report");
    forecast_report_text(out, r->report);
    enum status st = fclose(out) == 0 ? run_folder_write(&r->folder, "report.txt", text, err)
                                      : err_set(err, ST_NO_MEMORY, "no memory for the report");
    free(text);
    return st == ST_OK ? run_folder_write(&r->folder, "report.json", json, err) : st;
}

enum status run_history_write(const struct run *r, struct err *err) {
    const struct trainer_report *t = &r->report->training;
    size_t capacity = 256 + (size_t)t->look_count * 192;
    char *text = malloc(capacity);
    if (!text) return err_set(err, ST_NO_MEMORY, "no memory for the history");
    struct json_writer w;
    json_writer_init(&w, text, capacity);
    json_write_object_begin(&w);
    write_u64(&w, "best_look", t->best_look);
    json_write_key(&w, "looks");
    json_write_array_begin(&w);
    for (uint32_t i = 0; i < t->look_count; i++) {
        json_write_object_begin(&w);
        write_u64(&w, "epoch", t->looks[i].epoch);
        write_u64(&w, "step", t->looks[i].step);
        write_f64(&w, "train_loss", t->looks[i].train_loss);
        write_f64(&w, "valid_loss", t->looks[i].valid_loss);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    enum status st = json_writer_finish(&w) == ST_OK
                         ? run_folder_write(&r->folder, "history.json", text, err)
                         : err_set(err, ST_RANGE, "the history is too long");
    free(text);
    return st;
}
