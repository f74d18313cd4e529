/* A run's options as a small text file, key=value: readable by hand, written once. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/run.h"

struct run_options run_options_defaults(void) {
    return (struct run_options){.mode = MODE_PAPER,
                                .strategy = STRATEGY_ENSEMBLE,
                                .stray = STRAY_PROTECT,
                                .engine = session_options_defaults().engine,
                                .retrain_ns = -1,
                                .seed = 1,
                                .speed = 600,
                                .synth_symbols = 12,
                                .synth_pattern = 1.0,
                                .voters = (1U << MODEL_COUNT) - 1,
                                .port = 8001,
                                .lease_ns = LEASE_SILENT_NS,
                                .symbols_max = INSTRUMENTS_MAX};
}

/* ---- the engine's ---- */

enum status run_rule_option(struct run_options *o, const char *text) {
    for (uint32_t rule = 0; rule < ENSEMBLE_RULE_COUNT; rule++)
        if (strcmp(text, ensemble_rule_text((enum ensemble_rule)rule)) == 0) {
            o->engine.rule = rule;
            return ST_OK;
        }
    return ST_INVALID;
}

enum status run_weights_option(struct run_options *o, const char *text) {
    /* Smaller or larger, and one voter would be all or nothing: that is what --voters is for. */
    static const double least = 1e-6, most = 1e6;
    double weights[MODEL_COUNT];
    if (strcmp(text, "report") == 0) {
        ensemble_reported_weights(weights);
    } else if (strcmp(text, "equal") == 0) {
        for (uint32_t k = 0; k < MODEL_COUNT; k++) weights[k] = 1;
    } else {
        for (uint32_t k = 0; k < MODEL_COUNT; k++) {
            char *end;
            if (*text != '.' && (*text < '0' || *text > '9')) return ST_INVALID;
            if (strcspn(text, "xX") < strcspn(text, ",")) return ST_INVALID; /* hexadecimal */
            weights[k] = strtod(text, &end);
            if (!(weights[k] >= least && weights[k] <= most)) return ST_INVALID;
            if (*end != (k + 1 < MODEL_COUNT ? ',' : '\0')) return ST_INVALID;
            text = end + 1;
        }
    }
    memcpy(o->engine.weights, weights, sizeof weights); /* as given: read back it is the same run */
    return ST_OK;
}

enum status run_confidence_option(struct run_options *o, const char *text) {
    bool on = strcmp(text, "on") == 0;
    if (!on && strcmp(text, "off") != 0) return ST_INVALID;
    o->engine.strategy_confidence = on;
    return ST_OK;
}

enum status run_exit_brain_option(struct run_options *o, const char *text) {
    bool on = strcmp(text, "on") == 0;
    if (!on && strcmp(text, "off") != 0) return ST_INVALID;
    o->engine.exit_brain = on;
    return ST_OK;
}

enum status run_stray_option(struct run_options *o, const char *name) {
    for (int k = 0; k < STRAY_COUNT; k++)
        if (strcmp(name, exits_stray_text((enum exits_stray)k)) == 0) {
            o->stray = (enum exits_stray)k;
            return ST_OK;
        }
    return ST_INVALID;
}

enum status run_options_save(const struct run_options *o, const char *run_dir, struct err *err) {
    char path[RUN_PATH_SIZE + 16], temp[RUN_PATH_SIZE + 24];
    snprintf(path, sizeof path, "%s/run.txt", run_dir);
    snprintf(temp, sizeof temp, "%s.tmp", path);
    FILE *f = fopen(temp, "w");
    if (!f) return err_errno(err, ST_IO, "%s", temp);
    fprintf(f, "mode=%s\nstrategy=%s\ndata=%s\nsymbols=%s\nbus=%s\n", run_mode_text(o->mode),
            strategy_text(o->strategy), o->data, o->symbols, o->bus);
    for (uint32_t i = 0; i < o->model_count; i++) fprintf(f, "model=%s\n", o->models[i]);
    fprintf(f, "voters=");
    for (uint32_t k = 0, n = 0; k < MODEL_COUNT; k++)
        if (o->voters >> k & 1)
            fprintf(f, "%s%s", n++ ? "," : "", model_kind_text((enum model_kind)k));
    const struct session_engine *e = &o->engine;
    fprintf(f, "\nensemble_rule=%s\nensemble_weights=",
            ensemble_rule_text((enum ensemble_rule)e->rule));
    for (uint32_t k = 0; k < MODEL_COUNT; k++) fprintf(f, "%s%.17g", k ? "," : "", e->weights[k]);
    fprintf(f, "\nstrategy_confidence=%s\nexit_brain=%s\n", e->strategy_confidence ? "on" : "off",
            e->exit_brain ? "on" : "off");
    fprintf(f,
            "interval_ns=%" PRId64 "\nfrom_ns=%" PRId64 "\nto_ns=%" PRId64 "\nretrain_ns=%" PRId64
            "\nfirst_window_ns=%" PRId64 "\nwindow_ns=%" PRId64 "\nseed=%" PRIu64
            "\nspeed=%.17g\nsynth_symbols=%u\nsynth_pattern=%.17g\n",
            o->interval_ns, o->from_ns, o->to_ns, o->retrain_ns, o->first_window_ns, o->window_ns,
            o->seed, o->speed, o->synth_symbols, o->synth_pattern);
    fprintf(f, "stray=%s\n", exits_stray_text(o->stray));
    if (o->venue_url[0])
        fprintf(f,
                "venue_url=%s\nstream_url=%s\nkeys=%s\nca_file=%s\ntape=%s\nsymbols_max=%u\n"
                "wallet_start_e8=%" PRId64 "\nmarket_hash=%" PRIu64 "\n",
                o->venue_url, o->stream_url, o->keys, o->ca_file, o->tape, o->symbols_max,
                o->wallet_start.e8, o->market_hash);
    if (fclose(f) != 0 || rename(temp, path) != 0) return err_errno(err, ST_IO, "%s", path);
    return ST_OK;
}

#define TEXT_ROW(member)                                                                           \
    { #member, offsetof(struct run_options, member), sizeof((struct run_options *)0)->member }
static const struct {
    const char *key;
    size_t offset, size;
} texts[] = {TEXT_ROW(data),       TEXT_ROW(symbols), TEXT_ROW(bus),     TEXT_ROW(venue_url),
             TEXT_ROW(stream_url), TEXT_ROW(keys),    TEXT_ROW(ca_file), TEXT_ROW(tape)};

static enum status apply_number(struct run_options *o, const char *key, const char *value) {
    if (strcmp(key, "interval_ns") == 0)
        o->interval_ns = strtoll(value, NULL, 10);
    else if (strcmp(key, "from_ns") == 0)
        o->from_ns = strtoll(value, NULL, 10);
    else if (strcmp(key, "to_ns") == 0)
        o->to_ns = strtoll(value, NULL, 10);
    else if (strcmp(key, "retrain_ns") == 0)
        o->retrain_ns = strtoll(value, NULL, 10);
    else if (strcmp(key, "first_window_ns") == 0)
        o->first_window_ns = strtoll(value, NULL, 10);
    else if (strcmp(key, "window_ns") == 0)
        o->window_ns = strtoll(value, NULL, 10);
    else if (strcmp(key, "seed") == 0)
        o->seed = strtoull(value, NULL, 10);
    else if (strcmp(key, "speed") == 0)
        o->speed = strtod(value, NULL);
    else if (strcmp(key, "synth_symbols") == 0)
        o->synth_symbols = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(key, "synth_pattern") == 0)
        o->synth_pattern = strtod(value, NULL);
    else if (strcmp(key, "symbols_max") == 0)
        o->symbols_max = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(key, "wallet_start_e8") == 0)
        o->wallet_start.e8 = strtoll(value, NULL, 10);
    else if (strcmp(key, "market_hash") == 0)
        o->market_hash = strtoull(value, NULL, 10);
    else
        return ST_INVALID;
    return ST_OK;
}

static enum status apply(struct run_options *o, const char *key, const char *value) {
    if (strcmp(key, "mode") == 0) {
        for (int m = MODE_REPLAY; m <= MODE_LIVE; m++)
            if (strcmp(value, run_mode_text((enum run_mode)m)) == 0) {
                o->mode = (enum run_mode)m;
                return ST_OK;
            }
        return ST_INVALID;
    }
    if (strcmp(key, "strategy") == 0)
        return strategy_find(&o->strategy, value) ? ST_OK : ST_INVALID;
    if (strcmp(key, "stray") == 0) return run_stray_option(o, value);
    if (strcmp(key, "model") == 0) return *value ? run_model_option(o, value, NULL) : ST_OK;
    if (strcmp(key, "voters") == 0) return run_voters_option(o, value, NULL);
    if (strcmp(key, "ensemble_rule") == 0) return run_rule_option(o, value);
    if (strcmp(key, "ensemble_weights") == 0) return run_weights_option(o, value);
    if (strcmp(key, "strategy_confidence") == 0) return run_confidence_option(o, value);
    if (strcmp(key, "exit_brain") == 0) return run_exit_brain_option(o, value);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(key, texts[i].key) == 0) {
            snprintf((char *)o + texts[i].offset, texts[i].size, "%s", value);
            return ST_OK;
        }
    return apply_number(o, key, value);
}

enum status run_options_load(struct run_options *o, const char *run_dir, struct err *err) {
    char path[RUN_PATH_SIZE + 16];
    static char line[RUN_LIST_SIZE + 64];
    snprintf(path, sizeof path, "%s/run.txt", run_dir);
    FILE *f = fopen(path, "r");
    if (!f) return err_errno(err, ST_NOT_FOUND, "%s", path);
    *o = run_options_defaults();
    enum status st = ST_OK;
    for (int n = 1; st == ST_OK && fgets(line, sizeof line, f); n++) {
        line[strcspn(line, "\n")] = '\0';
        char *value = strchr(line, '=');
        if (value) *value++ = '\0';
        if (!value || apply(o, line, value) != ST_OK)
            st = err_set(err, ST_INVALID, "%s: line %d: not a known key=value", path, n);
    }
    fclose(f);
    return st;
}

enum status run_current(char *out, size_t size, const char *state, struct err *err) {
    char path[RUN_PATH_SIZE + 16], name[64] = {0};
    snprintf(path, sizeof path, "%s/current", state);
    FILE *f = fopen(path, "r");
    if (!f) return err_set(err, ST_NOT_FOUND, "nothing has run under %s yet", state);
    char *got = fgets(name, sizeof name, f);
    fclose(f);
    if (!got || strchr(name, '/'))
        return err_set(err, ST_CORRUPT, "%s: not the name of a run", path);
    name[strcspn(name, "\n")] = '\0';
    snprintf(out, size, "%s/runs/%s", state, name);
    return access(out, R_OK) == 0 ? ST_OK : err_errno(err, ST_NOT_FOUND, "%s", out);
}
