#include "base/status.h"

static const struct {
    const char *name;
    const char *text;
    bool retryable;
} rows[ST_COUNT] = {
#define STATUS_ROW(name, text, retryable) [name] = {#name, text, retryable},
    STATUS_TABLE(STATUS_ROW)
#undef STATUS_ROW
};

static bool known(enum status st) {
    return (unsigned)st < ST_COUNT;
}

const char *status_text(enum status st) {
    return known(st) ? rows[st].text : "unknown status";
}

const char *status_name(enum status st) {
    return known(st) ? rows[st].name : "ST_UNKNOWN";
}

bool status_is_retryable(enum status st) {
    return known(st) && rows[st].retryable;
}
