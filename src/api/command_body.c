/* Bodies of the requests that change something: few fields, and unlike with a signal none that we do not know. Whoever
 * misspells a limit must not believe that it holds. */
#include "api/api_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/kernel.h"

__attribute__((format(printf, 2, 3))) static void refuse(struct api_refusal *refusal,
                                                         const char *format, ...) {
    if (refusal->code) return; /* the first error stands */
    refusal->code = 422;
    va_list args;
    va_start(args, format);
    vsnprintf(refusal->message, sizeof refusal->message, format, args);
    va_end(args);
}

static void read_text(char *out, size_t size, struct json_reader *r, struct api_refusal *refusal,
                      const char *field) {
    if (json_peek(r) != JSON_STRING) {
        refuse(refusal, "%s must be a text", field);
        json_skip(r);
        return;
    }
    struct json_text text = json_string(r);
    size_t length = 0;
    if (r->error) return;
    if (json_text_copy(out, size, &length, &text) != ST_OK) {
        refuse(refusal, "%s is longer than %zu characters", field, size - 1);
        return;
    }
    for (size_t i = 0; i < length; i++)
        if (out[i] < ' ' || out[i] > '~') {
            refuse(refusal, "%s: character %zu is not printable ASCII", field, i + 1);
            return;
        }
    memset(out + length, 0, size - length);
}

/* A number; true is 1 and false 0, as people write a switch. */
static void read_value(double *out, struct json_reader *r, struct api_refusal *refusal) {
    enum json_type type = json_peek(r);
    if (type == JSON_TRUE || type == JSON_FALSE) {
        *out = json_bool(r) ? 1 : 0;
    } else if (type == JSON_NUMBER) {
        *out = json_f64(r);
    } else {
        refuse(refusal, "value must be a number, true or false");
        json_skip(r);
    }
}

enum field { FIELD_KEY = 0, FIELD_VALUE, FIELD_SYMBOL, FIELD_BY, FIELD_COUNT };
static const char *const FIELD_NAMES[FIELD_COUNT] = {"key", "value", "symbol", "by"};

/* Which fields each kind of request has; those it must have. */
static const struct {
    bool takes[FIELD_COUNT], needs[FIELD_COUNT];
    const char *key; /* NULL: as the body says */
} KINDS[API_COMMAND_KINDS] = {
    [API_COMMAND_POLICY] = {{1, 1, 0, 1}, {1, 1, 0, 0}, NULL},
    [API_COMMAND_STOP] = {{0, 1, 0, 1}, {0, 1, 0, 0}, KERNEL_EMERGENCY_STOP},
    [API_COMMAND_CLOSE] = {{0, 0, 0, 1}, {0, 0, 0, 0}, KERNEL_CLOSE_ALL},
    [API_COMMAND_RESET] = {{0, 0, 1, 1}, {0, 0, 0, 0}, KERNEL_BREAKER_RESET},
};

static void read_field(struct operator_command *out, struct json_reader *r,
                       struct api_refusal *refusal, enum field field) {
    switch (field) {
    case FIELD_KEY:
        read_text(out->key, sizeof out->key, r, refusal, "key");
        break;
    case FIELD_VALUE:
        read_value(&out->value, r, refusal);
        break;
    case FIELD_SYMBOL:
        read_text(out->target, SYMBOL_SIZE, r, refusal, "symbol");
        break;
    case FIELD_BY:
        read_text(out->given_by, sizeof out->given_by, r, refusal, "by");
        break;
    case FIELD_COUNT:
        break;
    }
}

/* What can be said of key and value without asking the kernel. */
static void check(const struct operator_command *c, struct api_refusal *refusal) {
    bool is_switch = strcmp(c->key, KERNEL_EMERGENCY_STOP) == 0;
    bool is_count = strcmp(c->key, "positions_max") == 0 || strcmp(c->key, "leverage_max") == 0;
    enum status st = kernel_command_check(c->key, c->value);
    if (st == ST_NOT_FOUND)
        refuse(refusal, "there is no policy '%s'", c->key);
    else if (st != ST_OK)
        refuse(refusal, "%s cannot be %g", c->key, c->value);
    else if (is_switch && c->value != 0 && c->value != 1)
        refuse(refusal, "%s is 0 or 1", c->key);
    else if (is_count && c->value != floor(c->value))
        refuse(refusal, "%s is a whole number", c->key);
    else if (strcmp(c->key, "confidence_min") == 0 && c->value > 1)
        refuse(refusal, "confidence_min is at most 1");
}

static void read_all(struct operator_command *out, struct json_reader *r,
                     struct api_refusal *refusal, enum api_command_kind kind,
                     bool seen[FIELD_COUNT]) {
    struct json_text key;
    if (json_peek(r) != JSON_OBJECT) {
        refuse(refusal, "the body must be an object");
        json_skip(r);
        return;
    }
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        int f = 0;
        while (f < FIELD_COUNT && !(KINDS[kind].takes[f] && json_text_is(&key, FIELD_NAMES[f])))
            f++;
        if (f == FIELD_COUNT) {
            refuse(refusal, "a field of the body is not known here");
            json_skip(r);
            continue;
        }
        if (seen[f]) refuse(refusal, "%s is given twice", FIELD_NAMES[f]);
        seen[f] = true;
        read_field(out, r, refusal, (enum field)f);
    }
}

bool api_command_decode(struct operator_command *out, struct api_refusal *refusal,
                        enum api_command_kind kind, const char *body, size_t size) {
    memset(out, 0, sizeof *out);
    memset(refusal, 0, sizeof *refusal);
    out->value = 1;
    memcpy(out->target, "all", sizeof "all");
    memcpy(out->given_by, "api", sizeof "api");
    bool seen[FIELD_COUNT] = {false};
    if (size > 0) {
        struct json_reader r;
        json_reader_init(&r, body, size);
        read_all(out, &r, refusal, kind, seen);
        if (json_finish(&r) != ST_OK) {
            *refusal = (struct api_refusal){
                .code = 400, .line = json_error_line(&r), .offset = r.error_offset};
            snprintf(refusal->message, sizeof refusal->message, "body is not JSON: %s",
                     r.error ? r.error : "syntax error");
            return false;
        }
    }
    for (int f = 0; f < FIELD_COUNT; f++)
        if (KINDS[kind].needs[f] && !seen[f]) refuse(refusal, "%s is missing", FIELD_NAMES[f]);
    if (KINDS[kind].key)
        snprintf(out->key, sizeof out->key, "%s", KINDS[kind].key);
    else if (strcmp(out->key, KERNEL_CLOSE_ALL) == 0 || strcmp(out->key, KERNEL_BREAKER_RESET) == 0)
        refuse(refusal, "'%s' has a path of its own", out->key);
    if (!refusal->code) check(out, refusal);
    return refusal->code == 0;
}

static bool has_symbol(const struct view *v, const char *symbol) {
    for (uint32_t i = 0; i < v->symbol_count; i++)
        if (strcmp(v->symbols[i].symbol, symbol) == 0) return true;
    return false;
}

bool api_command_may(struct api_refusal *refusal, const struct operator_command *command,
                     const struct api_shot *shot) {
    *refusal = (struct api_refusal){0};
    if (!shot->can_command || (shot->published && !shot->view->running)) {
        refusal->code = 409;
        snprintf(refusal->message, sizeof refusal->message, "%s",
                 shot->can_command ? "the run has ended" : "nobody here obeys commands");
    } else if (!shot->published) {
        refusal->code = 503;
        refusal->retry_after_seconds = 1;
        snprintf(refusal->message, sizeof refusal->message, "warming up: nothing published yet");
    } else if (strcmp(command->target, "all") != 0 && !has_symbol(shot->view, command->target)) {
        refusal->code = 404;
        snprintf(refusal->message, sizeof refusal->message, "symbol %s is not of this run",
                 command->target);
    }
    return refusal->code == 0;
}
