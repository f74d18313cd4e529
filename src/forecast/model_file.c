#include "forecast/model_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { NAME_MAX_SIZE = 1024, HEX_SIZE = 17 };
static const char key[] = "forecast";

/* ---- memory ---- */

static enum status room(struct forecast_model *m, uint32_t channels, struct err *err) {
    m->names = calloc(channels, sizeof *m->names);
    m->mean = calloc(channels, sizeof *m->mean);
    m->deviation = calloc(channels, sizeof *m->deviation);
    if (m->names && m->mean && m->deviation) return ST_OK;
    return err_set(err, ST_NO_MEMORY, "no memory for %u channels", channels);
}

enum status forecast_model_init(struct forecast_model *m, const struct forecast_dataset *d,
                                struct err *err) {
    enum status st = room(m, d->channels, err);
    m->channels = st == ST_OK ? d->channels : 0;
    for (uint32_t i = 0; i < m->channels && st == ST_OK; i++) {
        m->names[i] = strdup(d->names[i]);
        if (!m->names[i]) st = err_set(err, ST_NO_MEMORY, "no memory for a name");
    }
    return st;
}

void forecast_model_free(struct forecast_model *m) {
    for (uint32_t i = 0; m->names && i < m->channels; i++) free(m->names[i]);
    free(m->names);
    free(m->mean);
    free(m->deviation);
    m->names = NULL;
    m->mean = m->deviation = NULL;
}

/* ---- writing ---- */

static void write_text(struct json_writer *w, const char *name, const char *text) {
    json_write_key(w, name);
    json_write_string(w, text);
}

/* In hexadecimal: JSON's numbers do not hold 64 bits everywhere. */
static void write_hex(struct json_writer *w, const char *name, uint64_t value) {
    char hex[HEX_SIZE];
    snprintf(hex, sizeof hex, "%016" PRIx64, value);
    write_text(w, name, hex);
}

static void describe(struct json_writer *w, const struct forecast_model *m, const char *params) {
    char split[FORECAST_SPLIT_TEXT_SIZE];
    json_write_object_begin(w);
    write_text(w, "model", forecast_kind_names[m->config.kind]);
    write_text(w, "params", params);
    json_write_key(w, "input");
    json_write_u64(w, m->input);
    json_write_key(w, "horizon");
    json_write_u64(w, m->horizon);
    write_text(w, "split", forecast_split_text(split, &m->split));
    write_hex(w, "seed", m->seed);
    write_hex(w, "data_hash", m->data_hash);
    write_hex(w, "identity", m->identity);
    json_write_key(w, "channels");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < m->channels; i++) {
        json_write_object_begin(w);
        write_text(w, "name", m->names[i]);
        json_write_key(w, "mean");
        json_write_f64(w, m->mean[i]);
        json_write_key(w, "std");
        json_write_f64(w, m->deviation[i]);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

enum status forecast_model_save(const struct forecast_model *m, const struct network *net,
                                const char *path, struct err *err) {
    size_t capacity = FORECAST_CONFIG_TEXT_SIZE + 4096 + m->channels * (size_t)NAME_MAX_SIZE * 2;
    char params[FORECAST_CONFIG_TEXT_SIZE], *pairs = calloc(1, sizeof key + capacity + 2);
    if (!pairs) return err_set(err, ST_NO_MEMORY, "%s: no memory", path);
    memcpy(pairs, key, sizeof key); /* "key\0value\0\0" */
    struct json_writer w;
    json_writer_init(&w, pairs + sizeof key, capacity);
    enum status st = forecast_config_text(params, &m->config);
    if (st == ST_OK) {
        describe(&w, m, params);
        st = json_writer_finish(&w);
    }
    if (st != ST_OK)
        st = err_set(err, ST_RANGE, "%s: the description is too long", path);
    else
        st = nn_params_save(&net->params, path, pairs, err);
    free(pairs);
    return st;
}

/* ---- reading ---- */

static void read_text(struct json_reader *r, char *out, size_t size) {
    struct json_text text = json_string(r);
    if (!r->error && json_text_copy(out, size, NULL, &text) != ST_OK) r->error = "text too long";
}

static uint64_t read_hex(struct json_reader *r) {
    char text[HEX_SIZE + 1], *end;
    read_text(r, text, sizeof text);
    if (r->error) return 0;
    uint64_t value = strtoull(text, &end, 16);
    if (strlen(text) != HEX_SIZE - 1 || *end) r->error = "not 16 hexadecimal digits";
    return value;
}

static uint32_t read_count(struct json_reader *r) {
    int64_t value = json_i64(r);
    if (!r->error && (value < 1 || value > 1 << 20)) r->error = "out of range";
    return r->error ? 0 : (uint32_t)value;
}

static enum status read_channel(struct json_reader *r, struct forecast_model *m, uint32_t i) {
    struct json_text name;
    char text[NAME_MAX_SIZE] = "";
    double mean = NAN, deviation = NAN;
    json_object_begin(r);
    while (json_object_next(r, &name)) {
        if (json_text_is(&name, "name"))
            read_text(r, text, sizeof text);
        else if (json_text_is(&name, "mean"))
            mean = json_f64(r);
        else if (json_text_is(&name, "std"))
            deviation = json_f64(r);
        else
            json_skip(r);
    }
    if (!r->error && !(*text && isfinite(mean) && deviation > 0)) r->error = "not a channel";
    if (r->error) return ST_CORRUPT;
    m->names[i] = strdup(text);
    m->mean[i] = mean;
    m->deviation[i] = deviation;
    m->channels = i + 1;
    return m->names[i] ? ST_OK : ST_NO_MEMORY;
}

static enum status read_channels(struct json_reader *r, struct forecast_model *m, struct err *err) {
    struct json_reader ahead = *r;
    uint32_t count = 0;
    json_array_begin(&ahead);
    while (json_array_next(&ahead)) {
        json_skip(&ahead);
        count++;
    }
    if (count == 0 || count > FORECAST_CHANNELS_MAX || m->names) {
        if (!r->error) r->error = "not a list of channels";
        return ST_CORRUPT;
    }
    enum status st = room(m, count, err);
    json_array_begin(r);
    for (uint32_t i = 0; st == ST_OK && json_array_next(r); i++) st = read_channel(r, m, i);
    return st;
}

static enum status read_fields(struct json_reader *r, struct forecast_model *m, char *params,
                               struct err *err) {
    enum status st = ST_OK;
    struct json_text name;
    char text[FORECAST_SPLIT_TEXT_SIZE];
    bool kind = false, split = false;
    json_object_begin(r);
    while (st == ST_OK && json_object_next(r, &name)) {
        if (json_text_is(&name, "model")) {
            read_text(r, text, sizeof text);
            kind = !r->error && forecast_kind_parse(&m->config.kind, text);
        } else if (json_text_is(&name, "params")) {
            read_text(r, params, FORECAST_CONFIG_TEXT_SIZE);
        } else if (json_text_is(&name, "input")) {
            m->input = read_count(r);
        } else if (json_text_is(&name, "horizon")) {
            m->horizon = read_count(r);
        } else if (json_text_is(&name, "split")) {
            read_text(r, text, sizeof text);
            split = !r->error && forecast_split_parse(&m->split, text);
        } else if (json_text_is(&name, "seed")) {
            m->seed = read_hex(r);
        } else if (json_text_is(&name, "data_hash")) {
            m->data_hash = read_hex(r);
        } else if (json_text_is(&name, "identity")) {
            m->identity = read_hex(r);
        } else if (json_text_is(&name, "channels")) {
            st = read_channels(r, m, err);
        } else {
            json_skip(r);
        }
    }
    if (st == ST_NO_MEMORY) return err_set(err, st, "no memory");
    if (json_finish(r) != ST_OK) return err_set(err, ST_CORRUPT, "description: %s", r->error);
    if (kind && split && m->input && m->horizon && m->channels) return ST_OK;
    return err_set(err, ST_CORRUPT,
                   "description: model, input, horizon, split or channels is missing or unknown");
}

static enum status read_description(struct forecast_model *m, const struct safetensors *file,
                                    struct err *err) {
    const char *text = safetensors_metadata(file, key);
    if (!text)
        return err_set(err, ST_CORRUPT,
                       "weights without a description: not a file of `quantum "
                       "forecast train`");
    struct json_reader r;
    char params[FORECAST_CONFIG_TEXT_SIZE] = "";
    json_reader_init(&r, text, strlen(text));
    enum status st = read_fields(&r, m, params, err);
    if (st != ST_OK) return st;
    m->config = forecast_config_defaults(m->config.kind);
    st = forecast_config_set(&m->config, params, err);
    forecast_config_shape(&m->config, m->input, m->horizon, m->channels);
    return st;
}

enum status forecast_model_load(struct forecast_model *m, struct network **net, size_t batch_max,
                                struct workers *workers, const char *path, struct err *err) {
    *m = (struct forecast_model){0};
    struct safetensors *file;
    enum status st = safetensors_open(&file, path, err);
    if (st != ST_OK) return st;
    st = read_description(m, file, err);
    safetensors_close(file);
    struct network *made = NULL;
    if (st == ST_OK && net)
        st = forecast_config_create(&made, &m->config, batch_max, false, m->seed, workers, err);
    if (st != ST_OK)
        err_wrap(err, st, "%s", path);
    else if (net)
        st = nn_params_load(&made->params, path, err);
    if (st == ST_OK && net) {
        *net = made;
        return ST_OK;
    }
    if (made) made->class_of->destroy(made);
    if (st != ST_OK) forecast_model_free(m);
    return st;
}
