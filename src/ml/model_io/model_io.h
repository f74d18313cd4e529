/* Files of tree models, both ways: XGBoost's JSON and UBJSON (1.x as written by the library; the keys
 * of 2.x and 3.x after their documentation) and LightGBM's text (v3, v4). Plain, gzip or zstd, told by
 * content. What the walk relies on is proven before a model is returned.
 *
 * A LightGBM text that is read and written again is the same, byte for byte, up to "end of trees".
 *
 * best_iterations is 0, all, for every file: XGBoost's C API predicts by all trees whatever the attribute
 * best_iteration says (so does its Booster.predict), and LightGBM saves no more trees than shall be used. An
 * XGBoost model can be said in LightGBM text (numeric splits; objectives that both have): rows reach the same
 * leaves unless they hold a value of 0 < |x| <= 1e-35, which LightGBM takes for 0; margins move by float
 * rounding, at most (trees + 1) 2^-24 (|base| + sum of each tree's largest |leaf|). */
#ifndef ML_MODEL_IO_MODEL_IO_H
#define ML_MODEL_IO_MODEL_IO_H

#include "base/err.h"
#include "ml/forest/tree_model.h"

enum model_format {
    MODEL_FORMAT_AUTO = 0,
    MODEL_XGBOOST_JSON,
    MODEL_XGBOOST_UBJ,
    MODEL_LIGHTGBM_TEXT
};
const char *model_format_text(enum model_format format); /* "xgboost json" … */

/* The caller destroys *out. ST_NOT_FOUND, ST_CORRUPT (with line or byte), ST_UNSUPPORTED (a kind of model
 * that is not trees), ST_NO_MEMORY, ST_RANGE (too large). Memory stays within a small multiple of the file. */
enum status model_read(struct tree_model **out, const char *path, struct err *err);
/* From memory, which may be compressed; bytes are not kept. name stands in errors. */
enum status model_parse(struct tree_model **out, const void *bytes, size_t size, const char *name,
                        struct err *err);

/* AUTO: the dialect's own text; a name ending in .ubj: UBJSON; ending in .gz or .zst: compressed.
 * Atomic (temporary file, fsync, rename). ST_UNSUPPORTED: the model cannot be said in that format
 * without changing what it predicts (the text says what). */
enum status model_write(const struct tree_model *m, const char *path, enum model_format format,
                        struct err *err);
/* To memory, uncompressed; the caller frees *out. */
enum status model_print(char **out, size_t *size, const struct tree_model *m,
                        enum model_format format, struct err *err);

/* ---- building ---- */

/* An empty model that owns all that is added. Strings are copied. NULL: no memory. */
struct tree_model *tree_model_create(enum tree_dialect dialect, uint32_t outputs, uint32_t columns);
void tree_model_destroy(struct tree_model *m);
/* Memory that lives as long as the model, zeroed; NULL if there is none. */
void *tree_model_alloc(struct tree_model *m, size_t size);
const char *tree_model_string(struct tree_model *m, const char *text, size_t size);
/* What a tree shall have. */
struct tree_shape {
    uint32_t split_count, set_count, set_words, linear_terms;
    bool is_linear, has_ids;
};
/* The next tree, its arrays zeroed, weight and shrinkage 1; valid until the next one is added (its arrays
 * stay). NULL: no memory. */
struct tree *tree_model_add(struct tree_model *m, const struct tree_shape *shape);
/* Trees behind the first `count` are dropped (early stopping). */
void tree_model_truncate(struct tree_model *m, uint32_t count);

/* NULL if absent. */
const char *tree_model_attribute(const struct tree_model *m, const char *key);
/* Adds or replaces. key and value are printable ASCII without newline; ST_INVALID if not. */
enum status tree_model_attribute_set(struct tree_model *m, const char *key, const char *value,
                                     struct err *err);

#endif
