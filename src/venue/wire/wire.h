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

/* A key ready for use: HMAC state prepared once, or an Ed25519 key. Freed with wire_key_free. */
struct wire_key;
enum wire_key_kind { WIRE_KEY_HMAC = 1, WIRE_KEY_ED25519 };
enum status wire_key_hmac(struct wire_key **out, const char *secret, size_t size, struct err *err);
/* PEM text: a private key signs and verifies, a public key only verifies. */
enum status wire_key_ed25519(struct wire_key **out, const char *pem, size_t size, struct err *err);
enum wire_key_kind wire_key_kind_of(const struct wire_key *k);
void wire_key_free(struct wire_key *k);

/* Signature text of parts[0] ++ parts[1] (nothing between them): hex of HMAC-SHA256, or base64 of
 * Ed25519 (not percent-encoded). NUL ended; returns its length. */
size_t wire_sign(const struct wire_key *k, char out[WIRE_ED25519_TEXT_SIZE], const char *part0,
                 size_t size0, const char *part1, size_t size1);
/* True if `signature` (percent-decoded; hex in either case, or base64) fits. Constant time. */
bool wire_verify(const struct wire_key *k, const char *signature, size_t signature_size,
                 const char *part0, size_t size0, const char *part1, size_t size1);

/* The raw text without its signature=… parameter, as it must be signed: copies to out (capacity >=
 * size), returns the length. */
size_t wire_strip_signature(char *out, const char *raw, size_t size);

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
/* From a query and a form body, either may be empty; the query's value wins where both have a name. '+' is a
 * blank in neither (JSON in a body may be raw). ST_INVALID: bad percent sequence, NUL, more than
 * WIRE_PARAMS_MAX; ST_FULL: buffer. A raw '&' never occurs inside a value. */
enum status wire_params_parse(struct wire_params *out, char *buffer, size_t capacity,
                              const char *query, size_t query_size, const char *body,
                              size_t body_size);
/* From the params object of a WebSocket request: strings and numbers as text, true/false, arrays and objects as
 * raw JSON, null left out. */
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
