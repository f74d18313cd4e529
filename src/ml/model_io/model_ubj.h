/* The UBJSON half of model_doc. false: error says why, cursor stands at the place. */
#ifndef ML_MODEL_IO_MODEL_UBJ_H
#define ML_MODEL_IO_MODEL_UBJ_H

#include "ml/model_io/model_io_internal.h"

void model_ubj_init(struct model_ubj *u, const char *bytes, size_t size);
/* Marker of the next value, kept until the value is read. */
bool model_ubj_peek(struct model_ubj *u, char *marker);
/* Opens an object or an array. */
bool model_ubj_begin(struct model_ubj *u, bool is_object);
/* *more: whether an element follows; key is set in objects. */
bool model_ubj_next(struct model_ubj *u, bool *more, struct json_text *key);
bool model_ubj_string(struct model_ubj *u, struct json_text *out);
/* A number of any type: its exact value, as an integer where it is of an integer type. */
bool model_ubj_number(struct model_ubj *u, bool *is_integer, int64_t *integer, double *real);
/* A value without bytes: 'Z', 'T' or 'F'. */
bool model_ubj_literal(struct model_ubj *u, char *marker);
bool model_ubj_skip(struct model_ubj *u);

#endif
