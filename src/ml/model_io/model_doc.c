/* One way to read JSON and UBJSON, so that a model's structure is told once. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ml/model_io/model_ubj.h"

void model_doc_init(struct model_doc *d, bool is_ubj, const char *bytes, size_t size,
                    struct err *err) {
    *d = (struct model_doc){.is_ubj = is_ubj, .err = err};
    if (is_ubj)
        model_ubj_init(&d->ubj, bytes, size);
    else
        json_reader_init(&d->json, bytes, size);
}

static enum status refuse_text(struct model_doc *d, enum status st, const char *text) {
    if (d->is_ubj)
        return err_set(d->err, st, "byte %zu: %s", (size_t)(d->ubj.cursor - d->ubj.begin), text);
    struct json_reader *r = &d->json;
    if (!r->error) r->error_offset = (size_t)(r->cursor - r->begin);
    enum status set =
        err_set(d->err, st, "line %u, byte %zu: %s", json_error_line(r), r->error_offset, text);
    if (!r->error) r->error = "refused";
    return set;
}

bool model_doc_refuse(struct model_doc *d, enum status st, const char *format, ...) {
    if (!model_doc_going(d)) return false;
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    d->st = refuse_text(d, st, text);
    return false;
}

/* A problem that the JSON reader found becomes the document's. */
static bool json_settle(struct model_doc *d) {
    if (d->st == ST_OK && d->json.error) d->st = refuse_text(d, ST_CORRUPT, d->json.error);
    return d->st == ST_OK;
}

static bool ubj_settle(struct model_doc *d, bool ok) {
    if (!ok) model_doc_refuse(d, ST_CORRUPT, "%s", d->ubj.error);
    return ok;
}

bool model_doc_going(const struct model_doc *d) {
    return d->st == ST_OK;
}

enum status model_doc_finish(struct model_doc *d) {
    if (!model_doc_going(d)) return d->st;
    if (!d->is_ubj) {
        json_finish(&d->json);
        json_settle(d);
    } else {
        while (d->ubj.cursor < d->ubj.end && *d->ubj.cursor == 'N') d->ubj.cursor++;
        if (d->ubj.cursor != d->ubj.end) model_doc_refuse(d, ST_CORRUPT, "bytes behind the model");
    }
    return d->st;
}

enum json_type model_doc_peek(struct model_doc *d) {
    if (!model_doc_going(d)) return JSON_NONE;
    if (!d->is_ubj) return json_peek(&d->json);
    char marker;
    if (!ubj_settle(d, model_ubj_peek(&d->ubj, &marker))) return JSON_NONE;
    switch (marker) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case 'S':
    case 'C':
    case 'H':
        return JSON_STRING;
    case 'T':
        return JSON_TRUE;
    case 'F':
        return JSON_FALSE;
    case 'Z':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

bool model_doc_object_begin(struct model_doc *d) {
    if (!model_doc_going(d)) return false;
    if (d->is_ubj) return ubj_settle(d, model_ubj_begin(&d->ubj, true));
    json_object_begin(&d->json);
    return json_settle(d);
}

bool model_doc_array_begin(struct model_doc *d) {
    if (!model_doc_going(d)) return false;
    if (d->is_ubj) return ubj_settle(d, model_ubj_begin(&d->ubj, false));
    json_array_begin(&d->json);
    return json_settle(d);
}

bool model_doc_object_next(struct model_doc *d, struct json_text *key) {
    if (!model_doc_going(d)) return false;
    if (!d->is_ubj) {
        bool next = json_object_next(&d->json, key);
        return json_settle(d) && next;
    }
    bool more = false;
    return ubj_settle(d, model_ubj_next(&d->ubj, &more, key)) && more;
}

bool model_doc_array_next(struct model_doc *d) {
    if (!model_doc_going(d)) return false;
    if (!d->is_ubj) {
        bool next = json_array_next(&d->json);
        return json_settle(d) && next;
    }
    bool more = false;
    return ubj_settle(d, model_ubj_next(&d->ubj, &more, NULL)) && more;
}

struct json_text model_doc_string(struct model_doc *d) {
    struct json_text text = {0};
    if (!model_doc_going(d)) return text;
    if (d->is_ubj) {
        ubj_settle(d, model_ubj_string(&d->ubj, &text));
    } else {
        text = json_string(&d->json);
        json_settle(d);
    }
    return model_doc_going(d) ? text : (struct json_text){0};
}

/* Integer text of a string; parameters are stored that way. */
static int64_t integer_in(struct model_doc *d, const struct json_text *text) {
    char copy[24];
    char *stop;
    if (text->escaped || text->size == 0 || text->size >= sizeof copy) {
        model_doc_refuse(d, ST_CORRUPT, "expected an integer");
        return 0;
    }
    memcpy(copy, text->data, text->size);
    copy[text->size] = '\0';
    errno = 0;
    long long value = strtoll(copy, &stop, 10);
    if (errno || *stop || (unsigned char)*copy <= ' ')
        model_doc_refuse(d, ST_CORRUPT, "expected an integer");
    return value;
}

int64_t model_doc_i64(struct model_doc *d) {
    if (!model_doc_going(d)) return 0;
    if (!d->is_ubj) {
        int64_t value = json_i64(&d->json);
        json_settle(d);
        return value;
    }
    if (model_doc_peek(d) == JSON_STRING) {
        struct json_text text = model_doc_string(d);
        return model_doc_going(d) ? integer_in(d, &text) : 0;
    }
    bool is_integer;
    int64_t integer = 0;
    double real;
    if (!ubj_settle(d, model_ubj_number(&d->ubj, &is_integer, &integer, &real))) return 0;
    if (!is_integer) model_doc_refuse(d, ST_CORRUPT, "expected an integer");
    return integer;
}

/* Float of number text, rounded once. A double in between would round twice. */
static float float_in(struct model_doc *d, const struct json_text *text) {
    char copy[64];
    char *stop;
    if (text->escaped || text->size == 0 || text->size >= sizeof copy) {
        model_doc_refuse(d, ST_CORRUPT, "expected a number");
        return 0;
    }
    memcpy(copy, text->data, text->size);
    copy[text->size] = '\0';
    float value = strtof(copy, &stop);
    /* What strtof takes beyond this: white space, hexadecimals, payloads of NaN. */
    if (*stop || copy[strspn(copy, "+-.0123456789eENaInfity")])
        model_doc_refuse(d, ST_CORRUPT, "expected a number");
    else if (isinf(value) && strpbrk(copy, "0123456789"))
        model_doc_refuse(d, ST_CORRUPT, "number beyond a float");
    return value;
}

/* XGBoost writes what JSON has no number for as bare words. */
static bool json_special(struct json_reader *r, float *out) {
    static const struct {
        const char *text;
        float value;
    } words[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
    json_peek(r); /* past white space */
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t size = strlen(words[i].text);
        if ((size_t)(r->end - r->cursor) < size || memcmp(r->cursor, words[i].text, size) != 0)
            continue;
        r->cursor += size;
        *out = words[i].value;
        return true;
    }
    return false;
}

float model_doc_f32(struct model_doc *d) {
    if (!model_doc_going(d)) return 0;
    if (model_doc_peek(d) == JSON_STRING) {
        struct json_text text = model_doc_string(d);
        return model_doc_going(d) ? float_in(d, &text) : 0;
    }
    if (!d->is_ubj) {
        float value;
        if (json_special(&d->json, &value)) return value;
        struct json_text text = json_number(&d->json);
        return json_settle(d) ? float_in(d, &text) : 0;
    }
    bool is_integer;
    int64_t integer;
    double real = 0;
    ubj_settle(d, model_ubj_number(&d->ubj, &is_integer, &integer, &real));
    if (isinf((float)real) && !isinf(real))
        model_doc_refuse(d, ST_CORRUPT, "number beyond a float");
    return (float)real;
}

bool model_doc_bool(struct model_doc *d) {
    if (!model_doc_going(d)) return false;
    if (!d->is_ubj) {
        bool value = json_bool(&d->json);
        json_settle(d);
        return value;
    }
    char marker = 'F';
    ubj_settle(d, model_ubj_literal(&d->ubj, &marker));
    if (marker == 'Z') model_doc_refuse(d, ST_CORRUPT, "expected true or false");
    return marker == 'T';
}

/* Not json_skip: XGBoost's NaN is passed over, too. Recursion is as deep as the readers let it be. */
void model_doc_skip(struct model_doc *d) {
    struct json_text key;
    if (!model_doc_going(d)) return;
    if (d->is_ubj) {
        ubj_settle(d, model_ubj_skip(&d->ubj));
        return;
    }
    float special;
    switch (json_peek(&d->json)) {
    case JSON_OBJECT:
        model_doc_object_begin(d);
        while (model_doc_object_next(d, &key)) model_doc_skip(d);
        return;
    case JSON_ARRAY:
        model_doc_array_begin(d);
        while (model_doc_array_next(d)) model_doc_skip(d);
        return;
    case JSON_NUMBER:
    case JSON_NONE:
        if (json_special(&d->json, &special)) return;
        break;
    case JSON_STRING:
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        break;
    }
    json_skip(&d->json);
    json_settle(d);
}
