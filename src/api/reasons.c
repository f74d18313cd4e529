#include "api/reasons.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "api/put.h"
#include "base/assert.h"

/* One symbol's explanations: four models of eight features and four flips are about 5 KB. */
enum { PIECE_SIZE = 16 * 1024 };

struct place {
    size_t offset;
    enum label label;
    bool has_row; /* the engine decided on one */
    float row[FEATURE_COUNT_MAX];
};

struct source {
    bool loaded;
    uint64_t hash;
    char file[sizeof((struct view_model *)0)->file];
};

struct job {
    uv_work_t work;
    struct reasons *owner;
    struct job *next;
    void *asker;
    struct source models[MODEL_COUNT];
    char *text; /* of the answer: what was given, then what is given back */
    size_t size;
    uint32_t count;
    struct place places[];
};

struct reasons {
    uv_loop_t *loop;
    reasons_done_fn done;
    void *context;
    struct job *first, *last; /* that wait */
    uint32_t waiting;
    bool is_busy;
    /* The worker's alone. */
    struct served_model *served[MODEL_COUNT];
    char piece[PIECE_SIZE];
};

struct reasons *reasons_create(struct uv_loop_s *loop, reasons_done_fn done, void *context) {
    struct reasons *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->loop = loop;
    r->done = done;
    r->context = context;
    return r;
}

static void job_free(struct job *j) {
    free(j->text);
    free(j);
}

void reasons_destroy(struct reasons *r) {
    if (!r) return;
    ASSERT(!r->is_busy);
    reasons_stop(r);
    for (int m = 0; m < MODEL_COUNT; m++) served_model_destroy(r->served[m]);
    free(r);
}

void reasons_stop(struct reasons *r) {
    struct job *j = r->first;
    r->first = r->last = NULL;
    r->waiting = 0;
    for (struct job *next; j; j = next) {
        next = j->next;
        r->done(r->context, j->asker, NULL, 0);
        job_free(j);
    }
}

/* ---- the worker ---- */

/* The instance of this file; NULL with what stands against it. */
static struct served_model *instance(struct reasons *r, const struct source *s, int kind,
                                     struct err *err) {
    struct served_model **m = &r->served[kind];
    if (*m && served_model_hash(*m) == s->hash) return *m;
    served_model_destroy(*m);
    *m = NULL;
    if (!s->file[0]) {
        err_set(err, ST_NOT_FOUND, "where its file lies is not known");
        return NULL;
    }
    if (served_model_load(m, s->file, err) != ST_OK) return NULL;
    if (served_model_hash(*m) == s->hash) return *m;
    err_set(err, ST_MISMATCH, "the file is not any more the one that serves");
    served_model_destroy(*m);
    *m = NULL;
    return NULL;
}

static void put_features(struct json_writer *w, const struct model_explanation *e) {
    put_array(w, "features");
    for (uint32_t i = 0; i < e->feature_count; i++) {
        json_write_object_begin(w);
        put_text(w, "name", feature_at(e->features[i].index)->name);
        put_f64(w, "value", (double)e->features[i].value);
        put_f64(w, "contribution", e->features[i].contribution);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    put_f64(w, "rest", e->rest);
}

static bool has_flip(const struct model_explanation *e, uint32_t index) {
    for (uint32_t i = 0; i < e->flip_count; i++)
        if (e->flips[i].index == index) return true;
    return false;
}

static void put_flips(struct json_writer *w, const struct model_explanation *e) {
    put_array(w, "flips");
    for (uint32_t i = 0; i < e->flip_count; i++) {
        json_write_object_begin(w);
        put_text(w, "name", feature_at(e->flips[i].index)->name);
        put_f64(w, "value", (double)e->flips[i].value);
        put_f64(w, "to", (double)e->flips[i].to);
        put_f64(w, "share_of_range", e->flips[i].share);
        put_text(w, "action", label_text((enum label)e->flips[i].label));
        json_write_object_end(w);
    }
    json_write_array_end(w);
    put_array(w, "no_flip"); /* tried, and no value of that column alone gives another answer */
    for (uint32_t i = 0; i < e->flips_tried; i++)
        if (!has_flip(e, e->features[i].index))
            json_write_string(w, feature_at(e->features[i].index)->name);
    json_write_array_end(w);
}

static void put_explanation(struct json_writer *w, struct reasons *r, const struct job *j,
                            const struct place *p, int kind) {
    static const char *const none =
        "a network reads the path of 120 bars, not columns: there is no such explanation of it";
    struct err err = {ST_OK, ""};
    struct model_explanation e;
    json_write_key(w, model_kind_text((enum model_kind)kind));
    if (!j->models[kind].loaded) {
        json_write_null(w);
        return;
    }
    json_write_object_begin(w);
    if (kind == MODEL_NHITS || kind == MODEL_PATCHTST) {
        put_text(w, "error", none);
        json_write_object_end(w);
        return;
    }
    struct served_model *m = instance(r, &j->models[kind], kind, &err);
    if (!m || served_model_explain(&e, m, p->label, p->row, &err) != ST_OK) {
        put_text(w, "error", err.text);
    } else {
        put_text(w, "label", label_text((enum label)e.label));
        put_text(w, "best", label_text((enum label)e.best));
        put_f64(w, "margin", e.margin);
        put_f64(w, "expectation", e.expectation);
        put_features(w, &e);
        put_flips(w, &e);
    }
    json_write_object_end(w);
}

/* ,"explanations":{…} or null. 0: it does not fit, which four models cannot bring about. */
static size_t piece_make(struct reasons *r, const struct job *j, const struct place *p) {
    static const char key[] = ",\"explanations\":";
    struct json_writer w;
    memcpy(r->piece, key, sizeof key - 1);
    json_writer_init(&w, r->piece + sizeof key - 1, PIECE_SIZE - sizeof key);
    if (!p->has_row) {
        json_write_null(&w);
    } else {
        json_write_object_begin(&w);
        for (int kind = 0; kind < MODEL_COUNT; kind++) put_explanation(&w, r, j, p, kind);
        json_write_object_end(&w);
    }
    ASSERT(json_writer_finish(&w) == ST_OK);
    return sizeof key - 1 + w.size;
}

static void on_work(uv_work_t *work) {
    struct job *j = work->data;
    size_t room = j->size + 1, size = 0, from = 0;
    char *out = malloc(room);
    for (uint32_t i = 0; out && i <= j->count; i++) {
        size_t to = i < j->count ? j->places[i].offset : j->size;
        memcpy(out + size, j->text + from, to - from);
        size += to - from;
        from = to;
        if (i == j->count) break;
        size_t piece = piece_make(j->owner, j, &j->places[i]);
        char *more = realloc(out, room += piece);
        if (!more) free(out);
        out = more;
        if (out) memcpy(out + size, j->owner->piece, piece);
        size += piece;
    }
    free(j->text);
    j->text = out;
    j->size = size;
}

static void next_begin(struct reasons *r);

static void on_worked(uv_work_t *work, int status) {
    struct job *j = work->data;
    struct reasons *r = j->owner;
    (void)status; /* nothing cancels it */
    r->is_busy = false;
    r->done(r->context, j->asker, j->text, j->size);
    job_free(j);
    next_begin(r);
}

static void next_begin(struct reasons *r) {
    struct job *j = r->first;
    if (r->is_busy || !j) return;
    r->first = j->next;
    if (!r->first) r->last = NULL;
    r->waiting--;
    r->is_busy = true;
    j->work.data = j;
    int failed = uv_queue_work(r->loop, &j->work, on_work, on_worked);
    ASSERT(failed == 0); /* it fails without a function alone */
}

/* ---- the loop ---- */

static void place_take(struct place *to, const struct api_explain_place *from,
                       const struct view *v) {
    const struct view_symbol *s = from->symbol;
    to->offset = from->offset;
    to->label = (enum label)s->signal.action;
    to->has_row = v->has_engine && s->decision.was_decided;
    memcpy(to->row, s->row, sizeof to->row);
}

bool reasons_add(struct reasons *r, void *asker, const char *text, size_t size,
                 const struct api_explain_places *places, const struct view *v) {
    if (r->waiting == REASONS_QUEUE_MAX) return false;
    struct job *j = calloc(1, sizeof *j + places->count * sizeof j->places[0]);
    if (j) j->text = malloc(size + 1);
    if (!j || !j->text) {
        free(j);
        return false;
    }
    memcpy(j->text, text, size);
    j->size = size;
    j->owner = r;
    j->asker = asker;
    j->count = places->count;
    for (uint32_t i = 0; i < places->count; i++) place_take(&j->places[i], &places->at[i], v);
    for (int m = 0; m < MODEL_COUNT; m++) {
        j->models[m].loaded = v->models[m].loaded != 0;
        j->models[m].hash = v->models[m].hash;
        memcpy(j->models[m].file, v->models[m].file, sizeof j->models[m].file);
    }
    if (r->last)
        r->last->next = j;
    else
        r->first = j;
    r->last = j;
    r->waiting++;
    next_begin(r);
    return true;
}
