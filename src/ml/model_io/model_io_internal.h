/* What the readers and writers of model files share; not for other modules. */
#ifndef ML_MODEL_IO_MODEL_IO_INTERNAL_H
#define ML_MODEL_IO_MODEL_IO_INTERNAL_H

#include "base/json.h"
#include "ml/model_io/model_io.h"

enum {
    MODEL_COLUMNS_MAX = 1 << 22, /* a row of doubles: 32 MiB */
    MODEL_OUTPUTS_MAX = 1 << 16,
    MODEL_DEPTH_MAX = JSON_DEPTH_MAX
};

/* Adds a pair as a file states it, any bytes but NUL; false: no memory. */
bool model_attribute_add(struct tree_model *m, const char *key, size_t key_size, const char *value,
                         size_t value_size);

/* ---- documents: JSON or UBJSON, read by the same calls (model_doc.c, model_ubj.c) ---- */

/* Universal Binary JSON, pulled value by value from borrowed bytes. */
struct model_ubj {
    const unsigned char *begin, *cursor, *end;
    const char *error; /* of the call that returned false */
    char marker;       /* of the value that comes next, 0: not read yet */
    uint32_t depth;
    struct {
        bool is_object, has_count;
        char type; /* of every element, 0: each says its own */
        uint64_t left;
    } stack[MODEL_DEPTH_MAX];
};

/* The first problem sticks; every call after it returns false or zero. */
struct model_doc {
    bool is_ubj;
    struct json_reader json;
    struct model_ubj ubj;
    enum status st;
    struct err *err;
};

void model_doc_init(struct model_doc *d, bool is_ubj, const char *bytes, size_t size,
                    struct err *err);
/* Sets the problem, with the place; returns false. */
bool model_doc_refuse(struct model_doc *d, enum status st, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool model_doc_going(const struct model_doc *d);
/* Status of the whole: nothing but white space may be left. */
enum status model_doc_finish(struct model_doc *d);

enum json_type model_doc_peek(struct model_doc *d);
bool model_doc_object_begin(struct model_doc *d);
bool model_doc_object_next(struct model_doc *d, struct json_text *key);
bool model_doc_array_begin(struct model_doc *d);
bool model_doc_array_next(struct model_doc *d);
struct json_text model_doc_string(struct model_doc *d);
/* A number, or a string holding one. */
int64_t model_doc_i64(struct model_doc *d);
/* The nearest float; NaN and infinities are allowed ("NaN", "Infinity"). A number or a string. */
float model_doc_f32(struct model_doc *d);
bool model_doc_bool(struct model_doc *d);
void model_doc_skip(struct model_doc *d);

/* ---- growing text or bytes (model_out.c) ---- */

struct model_out {
    char *data;
    size_t size, capacity;
    bool no_memory; /* sticks */
};
void model_out_bytes(struct model_out *o, const void *bytes, size_t size);
void model_out_text(struct model_out *o, const char *text);
void model_out_format(struct model_out *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A document being written in either form. Objects and arrays of objects are opened and closed; arrays
 * of numbers come whole. */
struct model_sink {
    struct model_out *out;
    bool is_ubj, need_comma;
};
void model_sink_object_begin(struct model_sink *s);
void model_sink_object_end(struct model_sink *s);
/* count: elements that will follow */
void model_sink_array_begin(struct model_sink *s, size_t count);
void model_sink_array_end(struct model_sink *s);
void model_sink_key(struct model_sink *s, const char *key);
void model_sink_string(struct model_sink *s, const char *text, size_t size);
void model_sink_i64(struct model_sink *s, int64_t value);
void model_sink_f32(struct model_sink *s, float value);
void model_sink_bool(struct model_sink *s, bool value);
void model_sink_null(struct model_sink *s);
void model_sink_f32_array(struct model_sink *s, const float *values, size_t count);
void model_sink_i32_array(struct model_sink *s, const int32_t *values, size_t count);
void model_sink_i64_array(struct model_sink *s, const int64_t *values, size_t count);
void model_sink_u8_array(struct model_sink *s, const uint8_t *values, size_t count);
/* The next value of a document, of whatever kind. */
void model_sink_copy(struct model_sink *s, struct model_doc *d);

/* ---- formats ---- */

/* text has a NUL behind its size bytes. *out is NULL unless ST_OK; what the walk relies on is not yet
 * proven. */
enum status model_xgb_read(struct tree_model **out, bool is_ubj, const char *text, size_t size,
                           struct err *err);
enum status model_lgbm_read(struct tree_model **out, const char *text, size_t size,
                            struct err *err);
enum status model_xgb_print(struct model_out *o, const struct tree_model *m, bool is_ubj,
                            struct err *err);
enum status model_lgbm_print(struct model_out *o, const struct tree_model *m, struct err *err);
/* An XGBoost model said in LightGBM's terms; the caller destroys *out. ST_UNSUPPORTED: why not. */
enum status model_to_lgbm(struct tree_model **out, const struct tree_model *m, struct err *err);

/* XGBoost objectives: how a base score becomes a margin and a margin a prediction. */
enum model_link { MODEL_LINK_IDENTITY = 0, MODEL_LINK_LOGIT, MODEL_LINK_LOG };
struct model_objective {
    const char *name;
    enum model_link link;
    enum tree_transform transform;
    const char *config; /* parameters that the library wants to read, as a JSON object */
};
/* NULL: unknown. */
const struct model_objective *model_objective_find(const char *name);
/* Float margin of a base score; NAN if the link has none for it. is_clamped: as 3.1 and later, which
 * hold probabilities a little inside (0, 1). */
float model_objective_margin(const struct model_objective *o, float base_score, bool is_clamped);

#endif
