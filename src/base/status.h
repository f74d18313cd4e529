/* Outcomes of calls that can fail because of the world (files, networks, input text).
 *
 * Our own mistakes are ASSERTs, and a "no" of the business is a value: neither is a status. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdbool.h>

/* X(name, text, retryable): the one table. Values are stable; add at the end. */
#define STATUS_TABLE(X)                                                                            \
    X(ST_OK, "ok", false)                                                                          \
    X(ST_END, "end of input", false)                                                               \
    X(ST_INVALID, "invalid input", false)                                                          \
    X(ST_RANGE, "value out of range", false)                                                       \
    X(ST_NOT_FOUND, "not found", false)                                                            \
    X(ST_EXISTS, "already exists", false)                                                          \
    X(ST_FULL, "limit reached", false)                                                             \
    X(ST_AGAIN, "not ready yet", true)                                                             \
    X(ST_STALE, "too old", false)                                                                  \
    X(ST_IO, "input/output error", true)                                                           \
    X(ST_CORRUPT, "checksum or structure does not hold", false)                                    \
    X(ST_VERSION, "format version not supported", false)                                           \
    X(ST_MISMATCH, "does not belong together", false)                                              \
    X(ST_REFUSED, "refused for safety", false)                                                     \
    X(ST_NO_MEMORY, "out of memory", false)                                                        \
    X(ST_TIMEOUT, "timed out, outcome unknown", true)                                              \
    X(ST_DISCONNECTED, "not connected", true)                                                      \
    X(ST_UNSUPPORTED, "not supported", false)                                                      \
    X(ST_INTERRUPTED, "interrupted", false)                                                        \
    X(ST_EXTERNAL, "a library reported an error", false)

enum status {
#define STATUS_ENUM(name, text, retryable) name,
    STATUS_TABLE(STATUS_ENUM)
#undef STATUS_ENUM
        ST_COUNT
};

/* Text of a status for people; never NULL. */
const char *status_text(enum status st);

/* The identifier itself, "ST_IO"; never NULL. */
const char *status_name(enum status st);

/* True if the same call may succeed later without anything being changed by hand. */
bool status_is_retryable(enum status st);

#endif
