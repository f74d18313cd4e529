#include "forecast/golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forecast/golden_internal.h"
#include "ml/nn/optim.h"

static const struct golden_class classes[] = {{"PatchTST", golden_patchtst_create},
                                              {"N-HiTS", golden_nhits_create}};

enum { PATH_SIZE = 4096, ZERO_NAMES_MAX = 512, ADAM_STEPS = 10, CONFIG_SIZE_MAX = 16 << 20 };

struct golden_case {
    char *text; /* config.json */
    struct json_text config;
    const struct golden_class *class_of;
    char (*zero)[NN_NAME_SIZE]; /* (zero_count): parameters whose true gradient is zero */
    size_t zero_count;
    struct safetensors *io, *train, *curve; /* train, curve: NULL if there is none */
    char weights_path[PATH_SIZE];
    struct network *net;
    struct workers *workers;
    struct golden_report *report;
};

double golden_bound(enum golden_part part) {
    static const double bounds[GOLDEN_PARTS] = {1e-5, 1e-5, 1e-4, 1e-5, 1e-4, 1e-4};
    return bounds[part];
}

const char *golden_part_name(enum golden_part part) {
    static const char *const names[GOLDEN_PARTS] = {"output",        "masked_output", "gradient",
                                                    "running_stats", "adam_losses",   "curve"};
    return names[part];
}

bool golden_within(const struct golden_report *report) {
    for (int i = 0; i < GOLDEN_PARTS; i++)
        if (report->parts[i].present &&
            !(report->parts[i].value <= golden_bound((enum golden_part)i)))
            return false;
    return true;
}

void golden_report_json(struct json_writer *w, const struct golden_report *report) {
    json_write_object_begin(w);
    json_write_key(w, "case");
    json_write_string(w, report->name);
    for (int i = 0; i < GOLDEN_PARTS; i++) {
        json_write_key(w, golden_part_name((enum golden_part)i));
        if (report->parts[i].present)
            json_write_f64(w, report->parts[i].value);
        else
            json_write_null(w);
    }
    json_write_object_end(w);
}

/* ---- measuring ---- */

static void note(struct golden_case *c, enum golden_part part, double value, const char *tensor) {
    struct golden_figure *f = &c->report->parts[part];
    if (!isfinite(value)) value = GOLDEN_NOT_A_NUMBER;
    if (f->present && value <= f->value) return;
    f->present = true;
    f->value = value;
    snprintf(f->tensor, sizeof f->tensor, "%s", tensor);
}

/* Largest difference and largest reference; a difference that is no number is infinite. */
static void extremes(double *difference, double *largest, const double *ours, const double *theirs,
                     size_t n) {
    *difference = *largest = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs(ours[i] - theirs[i]);
        if (isnan(d)) d = INFINITY;
        if (d > *difference) *difference = d;
        if (fabs(theirs[i]) > *largest) *largest = fabs(theirs[i]);
    }
}

static const struct safetensor *reference(const struct safetensors *file, const char *name64,
                                          const char *name32) {
    const struct safetensor *t = safetensors_find(file, name64);
    return t ? t : safetensors_find(file, name32);
}

/* ours against t; scale 0: relative to t's largest. */
static enum status compare(struct golden_case *c, enum golden_part part, const double *ours,
                           size_t n, const struct safetensor *t, double scale, struct err *err) {
    if (t->count != n)
        return err_set(err, ST_MISMATCH, "tensor %s: %zu values, the network has %zu", t->name,
                       t->count, n);
    double *theirs = malloc((n + 1) * sizeof *theirs), difference, largest;
    enum status st = theirs ? safetensor_f64(theirs, t) : ST_NO_MEMORY;
    if (st == ST_OK) {
        extremes(&difference, &largest, ours, theirs, n);
        if (scale > 0) largest = scale;
        note(c, part, difference > 0 ? difference / largest : 0, t->name);
    }
    free(theirs);
    return st == ST_OK ? ST_OK : err_set(err, st, "tensor %s", t->name);
}

static enum status compare_reals(struct golden_case *c, enum golden_part part, const nn_real *ours,
                                 size_t n, const struct safetensor *t, double scale,
                                 struct err *err) {
    double *wide = malloc(n * sizeof *wide);
    if (!wide) return err_set(err, ST_NO_MEMORY, "tensor %s", t->name);
    for (size_t i = 0; i < n; i++) wide[i] = (double)ours[i];
    enum status st = compare(c, part, wide, n, t, scale, err);
    free(wide);
    return st;
}

/* ---- the parts ---- */

static enum status check_output(struct golden_case *c, const char *prefix, enum golden_part part,
                                struct err *err) {
    char y64[32], y32[32];
    struct nn_batch batch;
    struct golden_arrays arrays = {0};
    snprintf(y64, sizeof y64, "%sy64", prefix);
    snprintf(y32, sizeof y32, "%sy", prefix);
    const struct safetensor *t = reference(c->io, y64, y32);
    if (!t) return *prefix ? ST_OK : err_set(err, ST_NOT_FOUND, "io.safetensors: no tensor y");
    enum status st = golden_batch_io(&batch, &arrays, c->io, prefix, err);
    size_t n = st == ST_OK ? batch.n * c->net->horizon * c->net->outputs : 0;
    nn_real *y = malloc((n + 1) * sizeof *y);
    if (st == ST_OK && !y) st = err_set(err, ST_NO_MEMORY, "forecasts");
    if (st == ST_OK) {
        c->net->class_of->predict(c->net, y, &batch);
        st = compare_reals(c, part, y, n, t, 0, err);
    }
    free(y);
    golden_arrays_free(&arrays);
    return st;
}

static bool is_zero_gradient(const struct golden_case *c, const char *name) {
    for (size_t i = 0; i < c->zero_count; i++)
        if (strcmp(c->zero[i], name) == 0) return true;
    return false;
}

static const struct safetensor *gradient_of(const struct golden_case *c, const char *loss,
                                            const char *kind, const char *name) {
    char full[NN_NAME_SIZE + 24];
    snprintf(full, sizeof full, "grad%s%s.%s", loss, kind, name);
    return safetensors_find(c->train, full);
}

/* A large gradient stored as every eighth row and the sums of its rows and columns. */
static enum status compare_sampled(struct golden_case *c, const struct nn_tensor *p,
                                   const char *loss, struct err *err) {
    const struct safetensor *rows8 = gradient_of(c, loss, "_rows8", p->name),
                            *row_sums = gradient_of(c, loss, "64_rowsum", p->name),
                            *column_sums = gradient_of(c, loss, "64_colsum", p->name);
    if (!rows8 || p->rank != 2)
        return err_set(err, ST_NOT_FOUND, "train.safetensors: no gradient of %s", p->name);
    size_t rows = p->shape[0], columns = p->shape[1], kept = (rows + 7) / 8;
    double *sampled = calloc(kept * columns, sizeof *sampled),
           *by_row = calloc(rows, sizeof *by_row), *by_column = calloc(columns, sizeof *by_column);
    enum status st = sampled && by_row && by_column
                         ? ST_OK
                         : err_set(err, ST_NO_MEMORY, "gradient of %s", p->name);
    for (size_t i = 0; st == ST_OK && i < p->count; i++) {
        size_t row = i / columns, column = i % columns;
        if (row % 8 == 0) sampled[row / 8 * columns + column] = (double)p->grad[i];
        by_row[row] += (double)p->grad[i];
        by_column[column] += (double)p->grad[i];
    }
    if (st == ST_OK) st = compare(c, GOLDEN_GRADIENT, sampled, kept * columns, rows8, 0, err);
    if (st == ST_OK && row_sums) st = compare(c, GOLDEN_GRADIENT, by_row, rows, row_sums, 0, err);
    if (st == ST_OK && column_sums)
        st = compare(c, GOLDEN_GRADIENT, by_column, columns, column_sums, 0, err);
    free(sampled);
    free(by_row);
    free(by_column);
    return st;
}

static double largest_gradient(const struct nn_params *p) {
    double largest = 0;
    for (size_t i = 0; i < p->trainable_size; i++)
        if (fabs((double)p->grad[i]) > largest) largest = fabs((double)p->grad[i]);
    return largest;
}

/* loss "": MSE, "_mae": MAE */
static enum status compare_gradients(struct golden_case *c, const char *loss, struct err *err) {
    const struct nn_params *params = &c->net->params;
    double largest = largest_gradient(params);
    for (uint32_t i = 0; i < params->count; i++) {
        const struct nn_tensor *p = &params->tensors[i];
        if (!p->trainable) continue;
        const struct safetensor *t = gradient_of(c, loss, "64", p->name);
        if (!t) t = gradient_of(c, loss, "", p->name);
        double scale = is_zero_gradient(c, p->name) ? largest : 0;
        enum status st = t ? compare_reals(c, GOLDEN_GRADIENT, p->grad, p->count, t, scale, err)
                           : compare_sampled(c, p, loss, err);
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

static enum status compare_running(struct golden_case *c, struct err *err) {
    const struct nn_params *params = &c->net->params;
    for (uint32_t i = 0; i < params->count; i++) {
        const struct nn_tensor *p = &params->tensors[i];
        char name64[NN_NAME_SIZE + 24], name32[NN_NAME_SIZE + 24];
        if (p->trainable) continue;
        snprintf(name64, sizeof name64, "bn_after1_64.%s", p->name);
        snprintf(name32, sizeof name32, "bn_after1.%s", p->name);
        const struct safetensor *t = reference(c->train, name64, name32);
        enum status st =
            t ? compare_reals(c, GOLDEN_RUNNING_STATS, p->value, p->count, t, 0, err) : ST_OK;
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

/* Weights as stored, gradients and the optimiser's memory as at birth. */
static enum status restart(struct golden_case *c, struct err *err) {
    struct nn_params *p = &c->net->params;
    size_t bytes = p->trainable_size * sizeof *p->grad;
    memset(p->grad, 0, bytes);
    memset(p->m, 0, bytes);
    memset(p->v, 0, bytes);
    return nn_params_load(p, c->weights_path, err);
}

static double step(struct golden_case *c, nn_real *y, const struct nn_batch *batch,
                   enum nn_loss kind) {
    memset(c->net->params.grad, 0, c->net->params.trainable_size * sizeof(nn_real));
    return c->net->class_of->step(c->net, y, batch, &(struct nn_loss_choice){.kind = kind}, 1);
}

static enum status check_gradients(struct golden_case *c, const struct nn_batch *batch,
                                   struct err *err) {
    size_t n = batch->n * c->net->horizon * c->net->outputs;
    nn_real *y = malloc(n * sizeof *y);
    if (!y) return err_set(err, ST_NO_MEMORY, "forecasts");
    enum status st = restart(c, err);
    if (st == ST_OK) {
        step(c, y, batch, NN_MSE);
        const struct safetensor *t = reference(c->train, "train.y64", "train.y");
        if (t) st = compare_reals(c, GOLDEN_OUTPUT, y, n, t, 0, err);
    }
    free(y);
    if (st == ST_OK) st = compare_gradients(c, "", err);
    if (st == ST_OK) st = compare_running(c, err);
    if (st != ST_OK || !safetensors_find(c->train, "train.loss_mae64")) return st;
    bool mae = false; /* larger cases keep its loss alone */
    for (uint32_t i = 0; i < safetensors_count(c->train); i++)
        mae |= strncmp(safetensors_at(c->train, i)->name, "grad_mae", strlen("grad_mae")) == 0;
    if (!mae) return ST_OK;
    st = restart(c, err);
    if (st != ST_OK) return st;
    step(c, NULL, batch, NN_MAE);
    return compare_gradients(c, "_mae", err);
}

static enum status check_adam(struct golden_case *c, const struct nn_batch *batch,
                              struct err *err) {
    const struct safetensor *t = reference(c->train, "adam10.losses64", "adam10.losses");
    double losses[ADAM_STEPS];
    struct nn_adam adam = nn_adam_defaults();
    enum status st = t ? restart(c, err) : ST_OK;
    if (!t || st != ST_OK) return st;
    for (int i = 0; i < ADAM_STEPS; i++) {
        losses[i] = step(c, NULL, batch, NN_MSE);
        nn_adam_step(&adam, &c->net->params, c->workers);
    }
    return compare(c, GOLDEN_ADAM_LOSSES, losses, ADAM_STEPS, t, 0, err);
}

static enum status run_curve(struct golden_case *c, const struct safetensor *t, enum nn_loss kind,
                             struct err *err) {
    double *losses = malloc((t->count + 1) * sizeof *losses);
    struct nn_adam adam = nn_adam_defaults();
    enum status st = losses ? restart(c, err) : err_set(err, ST_NO_MEMORY, "curve");
    for (size_t i = 0; st == ST_OK && i < t->count; i++) {
        struct nn_batch batch;
        struct golden_arrays arrays = {0};
        st = golden_batch_curve(&batch, &arrays, c->curve, i, err);
        if (st == ST_OK) {
            losses[i] = step(c, NULL, &batch, kind);
            nn_adam_step(&adam, &c->net->params, c->workers);
        }
        golden_arrays_free(&arrays);
    }
    if (st == ST_OK) st = compare(c, GOLDEN_CURVE, losses, t->count, t, 0, err);
    free(losses);
    return st;
}

static enum status check_curve(struct golden_case *c, struct err *err) {
    static const struct {
        const char *name64, *name32;
        enum nn_loss kind;
    } runs[] = {{"losses64", "losses", NN_MSE},
                {"mse.losses64", "mse.losses", NN_MSE},
                {"mae.losses64", "mae.losses", NN_MAE}};
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < sizeof runs / sizeof *runs; i++) {
        const struct safetensor *t = reference(c->curve, runs[i].name64, runs[i].name32);
        if (t) st = run_curve(c, t, runs[i].kind, err);
    }
    return st;
}

static enum status check_all(struct golden_case *c, struct err *err) {
    struct nn_batch batch;
    struct golden_arrays arrays = {0};
    enum status st = check_output(c, "", GOLDEN_OUTPUT, err);
    if (st == ST_OK) st = check_output(c, "masked.", GOLDEN_MASKED_OUTPUT, err);
    if (st == ST_OK && c->train) {
        st = golden_batch_io(&batch, &arrays, c->io, "", err);
        if (st == ST_OK) st = check_gradients(c, &batch, err);
        if (st == ST_OK) st = check_adam(c, &batch, err);
        golden_arrays_free(&arrays);
    }
    if (st == ST_OK && c->curve) st = check_curve(c, err);
    return st;
}

/* ---- reading the case ---- */

static enum status read_text(char **out, size_t *size, const char *path, struct err *err) {
    FILE *f = fopen(path, "rb");
    if (!f) return err_errno(err, ST_NOT_FOUND, "%s", path);
    enum status st = ST_NO_MEMORY;
    char *text = malloc(CONFIG_SIZE_MAX);
    if (text) {
        *size = fread(text, 1, CONFIG_SIZE_MAX, f);
        st = ferror(f) ? ST_IO : *size == CONFIG_SIZE_MAX ? ST_RANGE : ST_OK;
    }
    fclose(f);
    if (st == ST_OK)
        *out = text;
    else
        free(text);
    return st == ST_OK ? ST_OK : err_set(err, st, "%s", path);
}

static void read_zero_names(struct golden_case *c, struct json_reader *r) {
    struct json_text key;
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (!json_text_is(&key, "zero_gradient_parameters")) {
            json_skip(r);
            continue;
        }
        json_array_begin(r);
        while (json_array_next(r)) {
            struct json_text name = json_string(r);
            if (c->zero_count == ZERO_NAMES_MAX ||
                json_text_copy(c->zero[c->zero_count], NN_NAME_SIZE, NULL, &name) != ST_OK) {
                r->error = "too many names, or one too long";
                return;
            }
            c->zero_count++;
        }
    }
}

static enum status parse_config(struct golden_case *c, size_t size, const char *path,
                                struct err *err) {
    struct json_reader r;
    struct json_text key, model = {0};
    char text[32] = "";
    json_reader_init(&r, c->text, size);
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (json_text_is(&key, "case")) {
            struct json_text name = json_string(&r);
            if (json_text_copy(c->report->name, sizeof c->report->name, NULL, &name) != ST_OK)
                return err_set(err, ST_RANGE, "%s: case: too long", path);
        } else if (json_text_is(&key, "model"))
            model = json_string(&r);
        else if (json_text_is(&key, "config"))
            c->config = json_raw(&r);
        else if (json_text_is(&key, "train"))
            read_zero_names(c, &r);
        else
            json_skip(&r);
    }
    if (json_finish(&r) != ST_OK)
        return err_set(err, ST_INVALID, "%s: line %u: %s", path, json_error_line(&r), r.error);
    if (!model.data || !c->config.data)
        return err_set(err, ST_INVALID, "%s: no \"%s\"", path, model.data ? "config" : "model");
    if (json_text_copy(text, sizeof text, NULL, &model) != ST_OK) text[0] = '\0';
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strcmp(classes[i].model, text) == 0) c->class_of = &classes[i];
    return c->class_of ? ST_OK : err_set(err, ST_UNSUPPORTED, "%s: model '%s'", path, text);
}

static enum status open_file(struct safetensors **out, const char *dir, const char *name,
                             bool optional, struct err *err) {
    char path[PATH_SIZE];
    struct err own = {0};
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return err_set(err, ST_RANGE, "path too long");
    enum status st = safetensors_open(out, path, &own);
    if (st == ST_NOT_FOUND && optional) return ST_OK;
    return st == ST_OK ? ST_OK : err_set(err, st, "%s", own.text);
}

/* Windows of the largest batch in the case. */
static size_t batch_max(const struct golden_case *c) {
    const struct safetensor *io = safetensors_find(c->io, "x"),
                            *curve = c->curve ? safetensors_find(c->curve, "xb") : NULL;
    size_t most = io && io->rank ? io->shape[0] : 0;
    return curve && curve->rank > 1 && curve->shape[1] > most ? curve->shape[1] : most;
}

static enum status open_case(struct golden_case *c, const char *dir, struct err *err) {
    char path[PATH_SIZE];
    size_t size = 0;
    if (snprintf(path, sizeof path, "%s/config.json", dir) >= (int)sizeof path ||
        snprintf(c->weights_path, PATH_SIZE, "%s/weights.safetensors", dir) >= PATH_SIZE)
        return err_set(err, ST_RANGE, "path too long");
    c->zero = malloc(ZERO_NAMES_MAX * sizeof *c->zero);
    if (!c->zero) return err_set(err, ST_NO_MEMORY, "%s", path);
    enum status st = read_text(&c->text, &size, path, err);
    if (st == ST_OK) st = parse_config(c, size, path, err);
    if (st == ST_OK) st = open_file(&c->io, dir, "io.safetensors", false, err);
    if (st == ST_OK) st = open_file(&c->train, dir, "train.safetensors", true, err);
    if (st == ST_OK) st = open_file(&c->curve, dir, "curve.safetensors", true, err);
    if (st == ST_OK && batch_max(c) == 0) st = err_set(err, ST_NOT_FOUND, "%s: no windows", dir);
    if (st == ST_OK) st = c->class_of->create(&c->net, &c->config, batch_max(c), c->workers, err);
    if (st == ST_OK) st = nn_params_load(&c->net->params, c->weights_path, err);
    return st;
}

static void close_case(struct golden_case *c) {
    if (c->net) c->net->class_of->destroy(c->net);
    safetensors_close(c->io);
    safetensors_close(c->train);
    safetensors_close(c->curve);
    free(c->zero);
    free(c->text);
}

enum status golden_check(struct golden_report *out, const char *case_dir, struct workers *workers,
                         struct err *err) {
    struct golden_case c = {.workers = workers, .report = out};
    memset(out, 0, sizeof *out);
    enum status st = open_case(&c, case_dir, err);
    if (st == ST_OK) st = check_all(&c, err);
    close_case(&c);
    return st == ST_OK ? ST_OK : err_wrap(err, st, "case %s", case_dir);
}
