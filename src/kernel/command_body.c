#include "kernel/command_body.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "kernel/kernel.h"

enum { ID_SIZE = 65 };

__attribute__((format(printf, 2, 3))) static void refuse(struct command_fault *fault,
                                                         const char *format, ...) {
    if (fault->message[0]) return; /* the first error stands */
    va_list args;
    va_start(args, format);
    vsnprintf(fault->message, sizeof fault->message, format, args);
    va_end(args);
}

static void read_text(char *out, size_t size, struct json_reader *r, struct command_fault *fault,
                      const char *field) {
    if (json_peek(r) != JSON_STRING) {
        refuse(fault, "%s must be a text", field);
        json_skip(r);
        return;
    }
    struct json_text text = json_string(r);
    size_t length = 0;
    if (r->error) return;
    if (json_text_copy(out, size, &length, &text) != ST_OK) {
        refuse(fault, "%s is longer than %zu characters", field, size - 1);
        return;
    }
    for (size_t i = 0; i < length; i++)
        if (out[i] < ' ' || out[i] > '~') {
            refuse(fault, "%s: character %zu is not printable ASCII", field, i + 1);
            return;
        }
    memset(out + length, 0, size - length);
}

/* A number; true is 1 and false 0, as people write a switch. */
static void read_value(double *out, struct json_reader *r, struct command_fault *fault) {
    enum json_type type = json_peek(r);
    if (type == JSON_TRUE || type == JSON_FALSE) {
        *out = json_bool(r) ? 1 : 0;
    } else if (type == JSON_NUMBER) {
        *out = json_f64(r);
    } else {
        refuse(fault, "value must be a number, true or false");
        json_skip(r);
    }
}

enum field { FIELD_KEY = 0, FIELD_VALUE, FIELD_SYMBOL, FIELD_BY, FIELD_ID, FIELD_COUNT };
static const char *const FIELD_NAMES[FIELD_COUNT] = {"key", "value", "symbol", "by", "id"};

/* Which fields each kind of request has; those it must have. */
static const struct {
    bool takes[FIELD_COUNT], needs[FIELD_COUNT];
    const char *key; /* NULL: as the body says */
} KINDS[COMMAND_BODY_KINDS] = {
    [COMMAND_BODY_POLICY] = {{1, 1, 0, 1, 1}, {1, 1, 0, 0, 0}, NULL},
    [COMMAND_BODY_STOP] = {{0, 1, 0, 1, 1}, {0, 1, 0, 0, 0}, KERNEL_EMERGENCY_STOP},
    [COMMAND_BODY_CLOSE] = {{0, 0, 0, 1, 1}, {0, 0, 0, 0, 0}, KERNEL_CLOSE_ALL},
    [COMMAND_BODY_RESET] = {{0, 0, 1, 1, 1}, {0, 0, 0, 0, 0}, KERNEL_BREAKER_RESET},
    [COMMAND_BODY_ANY] = {{1, 1, 1, 1, 1}, {1, 0, 0, 0, 0}, NULL},
};

static void read_field(struct operator_command *out, struct json_reader *r,
                       struct command_fault *fault, enum field field) {
    switch (field) {
    case FIELD_KEY:
        read_text(out->key, sizeof out->key, r, fault, "key");
        break;
    case FIELD_VALUE:
        read_value(&out->value, r, fault);
        break;
    case FIELD_SYMBOL:
        read_text(out->target, SYMBOL_SIZE, r, fault, "symbol");
        break;
    case FIELD_BY:
        read_text(out->given_by, sizeof out->given_by, r, fault, "by");
        break;
    case FIELD_ID: {
        char id[ID_SIZE] = "";
        read_text(id, sizeof id, r, fault, "id");
        if (id[0]) out->command_id = command_id_of(id, strlen(id));
        break;
    }
    case FIELD_COUNT:
        break;
    }
}

/* What can be said of key and value without asking the kernel. */
static void check(const struct operator_command *c, struct command_fault *fault) {
    bool is_switch = strcmp(c->key, KERNEL_EMERGENCY_STOP) == 0;
    bool is_count = strcmp(c->key, "positions_max") == 0 || strcmp(c->key, "leverage_max") == 0;
    enum status st = kernel_command_check(c->key, c->value);
    if (st == ST_NOT_FOUND)
        refuse(fault, "there is no policy '%s'", c->key);
    else if (st != ST_OK)
        refuse(fault, "%s cannot be %g", c->key, c->value);
    else if (is_switch && c->value != 0 && c->value != 1)
        refuse(fault, "%s is 0 or 1", c->key);
    else if (is_count && c->value != floor(c->value))
        refuse(fault, "%s is a whole number", c->key);
    else if (strcmp(c->key, "confidence_min") == 0 && c->value > 1)
        refuse(fault, "confidence_min is at most 1");
}

/* Policies have a value and hold for everything; what closes and what resets has no value, and only a reset a target. */
static void check_use(const struct operator_command *c, struct command_fault *fault,
                      enum command_body_kind kind, const bool seen[FIELD_COUNT]) {
    bool is_reset = strcmp(c->key, KERNEL_BREAKER_RESET) == 0;
    bool is_act = is_reset || strcmp(c->key, KERNEL_CLOSE_ALL) == 0;
    if (is_act && kind == COMMAND_BODY_POLICY)
        refuse(fault, "'%s' has a path of its own", c->key);
    else if (!is_act && !seen[FIELD_VALUE])
        refuse(fault, "value is missing");
    else if (is_act && c->value != 1)
        refuse(fault, "value of '%s' is 1, or left out", c->key);
    else if (!is_reset && seen[FIELD_SYMBOL])
        refuse(fault, "'%s' is of no single contract", c->key);
}

static void read_all(struct operator_command *out, struct json_reader *r,
                     struct command_fault *fault, enum command_body_kind kind,
                     bool seen[FIELD_COUNT]) {
    struct json_text key;
    if (json_peek(r) != JSON_OBJECT) {
        refuse(fault, "the body must be an object");
        json_skip(r);
        return;
    }
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        int f = 0;
        while (f < FIELD_COUNT && !(KINDS[kind].takes[f] && json_text_is(&key, FIELD_NAMES[f])))
            f++;
        if (f == FIELD_COUNT) {
            refuse(fault, "a field of the body is not known here");
            json_skip(r);
            continue;
        }
        if (seen[f]) refuse(fault, "%s is given twice", FIELD_NAMES[f]);
        seen[f] = true;
        read_field(out, r, fault, (enum field)f);
    }
}

uint64_t command_id_of(const char *text, size_t size) {
    uint64_t id = hash64(text, size);
    return id ? id : 1;
}

bool command_body_decode(struct operator_command *out, struct command_fault *fault,
                         enum command_body_kind kind, const char *body, size_t size) {
    memset(out, 0, sizeof *out);
    memset(fault, 0, sizeof *fault);
    out->value = 1;
    memcpy(out->target, "all", sizeof "all");
    memcpy(out->given_by, "api", sizeof "api");
    bool seen[FIELD_COUNT] = {false};
    if (size > 0) {
        struct json_reader r;
        json_reader_init(&r, body, size);
        read_all(out, &r, fault, kind, seen);
        if (json_finish(&r) != ST_OK) {
            *fault = (struct command_fault){
                .is_syntax = true, .line = json_error_line(&r), .offset = r.error_offset};
            snprintf(fault->message, sizeof fault->message, "body is not JSON: %s",
                     r.error ? r.error : "syntax error");
            return false;
        }
    }
    for (int f = 0; f < FIELD_COUNT; f++)
        if (KINDS[kind].needs[f] && !seen[f]) refuse(fault, "%s is missing", FIELD_NAMES[f]);
    if (KINDS[kind].key)
        snprintf(out->key, sizeof out->key, "%s", KINDS[kind].key);
    else
        check_use(out, fault, kind, seen);
    if (!fault->message[0]) check(out, fault);
    return fault->message[0] == '\0';
}
