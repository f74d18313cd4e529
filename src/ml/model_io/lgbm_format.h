/* LightGBM's objectives, shared by its reader and the conversion. */
#ifndef ML_MODEL_IO_LGBM_FORMAT_H
#define ML_MODEL_IO_LGBM_FORMAT_H

#include "ml/model_io/model_io_internal.h"

/* The transform that an objective line stands for ("binary sigmoid:1"). ST_UNSUPPORTED, ST_CORRUPT. */
enum status model_lgbm_objective(enum tree_transform *transform, double *sigmoid, const char *text,
                                 struct err *err);

#endif
