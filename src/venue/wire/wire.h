/* What both sides of the venue's wire agree on: signatures and parameters.
 *
 * Source   Binance USD-M REST and WebSocket documentation; the facts and where each comes from are in
 *          docs/venue.md. Used by venue/server (which checks) and venue/binance (which makes). */
#ifndef VENUE_WIRE_WIRE_H
#define VENUE_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* ---- signatures ---- */

enum { WIRE_HMAC_HEX_SIZE = 65, WIRE_ED25519_TEXT_SIZE = 96 };

/* A key ready for use: HMAC state prepared once, or an Ed25519 key. Freed with wire_key_free (which
 * wipes it). Signing changes nothing in it. */
struct wire_key;
enum wire_key_kind { WIRE_KEY_HMAC = 1, WIRE_KEY_ED25519 };
/* ST_INVALID: empty secret. */
enum status wire_key_hmac(struct wire_key **out, const char *secret, size_t size, struct err *err);
/* PEM text: a private key signs and verifies, a public key only verifies. ST_INVALID: anything else, an
 * encrypted key too. */
enum status wire_key_ed25519(struct wire_key **out, const char *pem, size_t size, struct err *err);
enum wire_key_kind wire_key_kind_of(const struct wire_key *k);
void wire_key_free(struct wire_key *k); /* NULL is allowed */

/* Signature text of parts[0] ++ parts[1] (nothing between them): hex of HMAC-SHA256, or base64 of
 * Ed25519 (not percent-encoded). NUL ended; returns its length, 0 if the key can only verify or the
 * library failed. A part of size 0 may be NULL. */
size_t wire_sign(const struct wire_key *k, char out[WIRE_ED25519_TEXT_SIZE], const char *part0,
                 size_t size0, const char *part1, size_t size1);
/* True if `signature` (percent-decoded; hex in either case, or base64) fits. Constant time. */
bool wire_verify(const struct wire_key *k, const char *signature, size_t signature_size,
                 const char *part0, size_t size0, const char *part1, size_t size1);

/* The raw text (a query, or a body) without its signature=… parameter, as it must be signed: copies to
 * out (capacity >= size, may be raw itself), returns the length. The separator before it goes too, or
 * the one behind it where it comes first. */
size_t wire_strip_signature(char *out, const char *raw, size_t size);

/* ---- making a query ---- */

/* name=value pairs joined by '&', as they are signed and sent. An overflow sticks until wire_query_end
 * or wire_query_sign tells it. Names are written as they are, values percent-encoded. */
struct wire_query {
    char *out;
    size_t capacity, size;
    bool overflow;
};
void wire_query_init(struct wire_query *q, char *out, size_t capacity);
void wire_query_text(struct wire_query *q, const char *name, const char *value);
void wire_query_i64(struct wire_query *q, const char *name, int64_t value);
void wire_query_e8(struct wire_query *q, const char *name, int64_t e8); /* shortest: "12.5" */
/* NUL ends it, unsigned. ST_FULL if it did not fit. */
enum status wire_query_end(struct wire_query *q);
/* Puts &signature=… behind what is there, percent-encoded, NUL ended. ST_FULL if it did not fit,
 * ST_REFUSED if the key cannot sign. */
enum status wire_query_sign(struct wire_query *q, const struct wire_key *k);

/* ---- parameters ---- */

enum { WIRE_PARAMS_MAX = 64 };
struct wire_param {
    const char *name, *value; /* decoded, NUL ended; point into wire_params.bytes */
    uint32_t name_size, value_size;
};
struct wire_params {
    uint32_t count;
    struct wire_param items[WIRE_PARAMS_MAX];
    char *bytes; /* caller's buffer for the decoded text */
    size_t capacity, used;
};
/* From a query and a form body, either may be empty; the query's value wins where both have a name. Of
 * a name given twice in one of them both stay, and the first is found. '+' is a blank in neither
 * (JSON in a body may be raw). Empty pieces (a&&b) are left out, a name without '=' has the value "".
 * ST_INVALID: bad percent sequence, NUL, more than WIRE_PARAMS_MAX; ST_FULL: buffer (query_size +
 * body_size + 2 bytes always suffice). A raw '&' never occurs inside a value. On failure out is empty. */
enum status wire_params_parse(struct wire_params *out, char *buffer, size_t capacity,
                              const char *query, size_t query_size, const char *body,
                              size_t body_size);
/* From the params object of a WebSocket request: strings and numbers as text, true/false, arrays and objects as
 * raw JSON, null left out. ST_INVALID as above, and for what is not one object or names a key twice.
 * size + 1 bytes of buffer always suffice. */
enum status wire_params_json(struct wire_params *out, char *buffer, size_t capacity,
                             const char *json, size_t size);
/* NULL if absent. */
const struct wire_param *wire_param_find(const struct wire_params *p, const char *name);
/* The text a WebSocket request is signed over: every parameter but signature, by name in byte order,
 * k=v joined by '&', nothing encoded. ST_FULL if it does not fit. */
enum status wire_params_sorted_text(char *out, size_t capacity, size_t *size,
                                    const struct wire_params *p);
/* Percent-encodes everything but unreserved characters (RFC 3986). Returns the length, 0 if it does
 * not fit. */
size_t wire_percent_encode(char *out, size_t capacity, const char *text, size_t size);

#endif
