/* What the files of `quantum model` share: options, columns, output. One file per subcommand or two. */
#ifndef APP_CMD_MODEL_H
#define APP_CMD_MODEL_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ml/forest/forest.h"
#include "ml/table/table.h"

/* Each reads its own options; argv[0] is its name. Returns the exit code. */
int model_train_command(int argc, char **argv);
int model_predict_command(int argc, char **argv);
int model_show_command(int argc, char **argv);
int model_importance_command(int argc, char **argv);
int model_check_command(int argc, char **argv);
int model_convert_command(int argc, char **argv);
int model_add_command(int argc, char **argv);
int model_list_command(int argc, char **argv);
int model_promote_command(int argc, char **argv);
int model_rollback_command(int argc, char **argv);

/* ---- options ---- */

/* Prints err; returns EXIT_FAILED. */
int model_failed(const struct err *err);
/* "auto" "yes" "no" */
bool model_header_parse(enum table_header *out, const char *text);
/* Bytes: "500000", "512M", "8G" (powers of 1024), above 0. */
bool model_bytes_parse(uint64_t *out, const char *text);

/* ---- columns ---- */

/* Which columns of a table are features, in the order the model or the trainer wants them. */
struct model_columns {
    uint32_t count;
    uint32_t *source;   /* (count) columns of the table */
    const char **names; /* (count), borrowed; NULL: no names */
};
/* What a column that is no feature is: set those given, then find the rest. */
struct model_roles {
    bool *taken; /* (columns) */
    uint32_t columns;
    const char *const *names; /* (columns) or NULL, borrowed */
};
enum status model_roles_init(struct model_roles *r, uint32_t columns, const char *const *names,
                             struct err *err);
void model_roles_free(struct model_roles *r);
/* One column by name or number. ST_INVALID: it is something else already. */
enum status model_roles_take(uint32_t *out, struct model_roles *r, const char *option,
                             const char *name, struct err *err);
/* Columns to be left out, "a,b,c"; NULL: none. */
enum status model_roles_ignore(struct model_roles *r, const char *list, struct err *err);
/* Features are what is left, in the table's order. */
enum status model_columns_rest(struct model_columns *out, const struct model_roles *r,
                               struct err *err);
/* Features are those named, each found once among the columns not taken. */
enum status model_columns_by_name(struct model_columns *out, const struct model_roles *r,
                                  const char *const *names, uint32_t count, struct err *err);
void model_columns_free(struct model_columns *c);

/* ---- progress and output ---- */

/* A line on standard error that is written over, if that is a terminal. fraction < 0: not known. */
struct model_bar {
    bool is_terminal, drawn;
    const char *what;
    int64_t drawn_ns; /* of the monotonic clock */
};
void model_bar_init(struct model_bar *b, const char *what);
void model_bar_draw(struct model_bar *b, double fraction, const char *note);
void model_bar_end(struct model_bar *b);

/* A file that appears when it is whole (a pipe, a device or a link is written as it comes), compressed if its
 * name ends in .gz or .zst. "-": standard output. */
struct model_output;
enum status model_output_open(struct model_output **out, const char *path, struct err *err);
enum status model_output_write(struct model_output *o, const char *text, size_t size,
                               struct err *err);
/* Finishes and names the file; frees o whatever comes of it. */
enum status model_output_commit(struct model_output *o, struct err *err);
void model_output_abandon(struct model_output *o); /* NULL: nothing */

/* ---- models ---- */

/* Iterations [first, last) of "a:b", "a:" or ":b"; NULL: those the model would use. */
enum status model_iterations(uint32_t *first, uint32_t *last, const struct tree_model *m,
                             const char *text, struct err *err);
uint32_t model_iteration_count(const struct tree_model *m);
/* The caller frees *memory. */
enum status model_forest_build(struct forest **out, void **memory, const struct tree_model *m,
                               const struct forest_options *options, struct err *err);
/* A row that visits the model's own thresholds, both sides of them, and missing values. */
struct rng;
void model_row_draw(double *row, const struct tree_model *m, struct rng *rng);
/* Name of a column: the model's, else "Column_N". */
const char *model_column_name(char out[32], const struct tree_model *m, uint32_t column);

#endif
