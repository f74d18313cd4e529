/* jansson beside base/json.h in one file, for differential tests and the bench only.
 *
 * Both took names beginning with json_. jansson's enum, its constants and json_string get other names
 * here; its json_is_… macros would read our constants, so use json_typeof with JANSSON_… instead. */
#ifndef BASE_JSON_PEER_H
#define BASE_JSON_PEER_H

#define json_type    jansson_type
#define json_string  jansson_string
#define JSON_OBJECT  JANSSON_OBJECT
#define JSON_ARRAY   JANSSON_ARRAY
#define JSON_STRING  JANSSON_STRING
#define JSON_INTEGER JANSSON_INTEGER
#define JSON_REAL    JANSSON_REAL
#define JSON_TRUE    JANSSON_TRUE
#define JSON_FALSE   JANSSON_FALSE
#define JSON_NULL    JANSSON_NULL
#include <jansson.h>
#undef json_type
#undef json_string
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_INTEGER
#undef JSON_REAL
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#include "base/json.h"

#endif
