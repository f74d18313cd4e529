/* quantum model show, of a registered model: where it comes from, what was decided about it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cmd_data.h"
#include "app/cmd_model.h"
#include "app/cmd_model_registry.h"
#include "app/command.h"
#include "base/tstamp.h"

static void write_hash(struct json_writer *w, const char *key, uint64_t hash) {
    char text[24];
    json_write_key(w, key);
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    if (hash)
        json_write_string(w, text);
    else
        json_write_null(w);
}

static void write_id(struct json_writer *w, const char *key, int64_t id) {
    json_write_key(w, key);
    if (id)
        json_write_i64(w, id);
    else
        json_write_null(w);
}

static void write_when(struct json_writer *w, const char *key, int64_t ts_ns) {
    if (ts_ns) {
        data_write_time(w, key, ts_ns);
        return;
    }
    json_write_key(w, key);
    json_write_null(w);
}

void model_entry_json(struct json_writer *w, const struct registry_entry *e) {
    char interval[16];
    json_write_object_begin(w);
    write_id(w, "id", e->id);
    data_write_text(w, "kind", model_kind_text(e->kind));
    data_write_text(w, "state", promotion_state_text(e->state));
    write_hash(w, "hash", e->hash);
    data_write_u64(w, "bytes", e->size);
    data_write_text(w, "interval", tstamp_interval_format(interval, e->interval_ns));
    data_write_time(w, "train_from", e->train_from_ns);
    data_write_time(w, "data_end", e->data_end_ns);
    json_write_key(w, "has_skill");
    json_write_bool(w, e->has_skill);
    write_hash(w, "parent", e->parent);
    write_id(w, "predecessor", e->predecessor);
    write_when(w, "added", e->added_ns);
    write_when(w, "served", e->served_ns);
    write_when(w, "removed", e->removed_ns);
    json_write_object_end(w);
}

bool model_registry_names(const char *text) {
    size_t size = strlen(text);
    return *text == '#' || (size > 0 && size <= 16 && strspn(text, "0123456789abcdef") == size);
}

/* ---- show ---- */

struct shown {
    struct registry_entry entry;
    char path[REGISTRY_PATH_SIZE], card[REGISTRY_CARD_SIZE];
    const char *file; /* "whole", or what is wrong with it */
    struct registry_audit_row *rows;
    size_t count, capacity;
    bool full; /* no memory */
};

static bool row_take(void *context, const struct registry_audit_row *row) {
    struct shown *s = context;
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 16;
        struct registry_audit_row *more = realloc(s->rows, capacity * sizeof *more);
        if (!more) return !(s->full = true);
        s->rows = more;
        s->capacity = capacity;
    }
    s->rows[s->count++] = *row;
    return true;
}

static enum status gather(struct shown *s, struct registry *r, const char *text, struct err *err) {
    enum status st = registry_find(r, &s->entry, text, err);
    if (st == ST_OK) st = registry_path(r, s->path, &s->entry, err);
    if (st == ST_OK) st = registry_card_read(r, s->card, s->entry.id, err);
    if (st == ST_OK) st = registry_audit(r, s->entry.id, 0, row_take, s, err);
    if (st == ST_OK && s->full) st = err_set(err, ST_NO_MEMORY, "no memory for the audit");
    if (st != ST_OK) return st;
    enum status there = registry_verify(r, &s->entry, NULL);
    s->file = s->entry.removed_ns     ? "removed"
              : there == ST_OK        ? "whole"
              : there == ST_NOT_FOUND ? "missing"
              : there == ST_CORRUPT   ? "damaged"
                                      : "unreadable";
    return ST_OK;
}

static void show_json(struct json_writer *w, const void *subject) {
    const struct shown *s = subject;
    json_write_object_begin(w);
    json_write_key(w, "entry");
    model_entry_json(w, &s->entry);
    data_write_text(w, "path", s->path);
    data_write_text(w, "file", s->file);
    json_write_key(w, "card");
    json_write_raw(w, s->card, strlen(s->card));
    json_write_key(w, "audit");
    json_write_array_begin(w);
    for (size_t i = 0; i < s->count; i++) {
        const struct registry_audit_row *row = &s->rows[i];
        json_write_object_begin(w);
        write_id(w, "id", row->id);
        data_write_time(w, "time", row->ts_ns);
        data_write_text(w, "event", row->event);
        data_write_text(w, "from", row->from);
        data_write_text(w, "to", row->to);
        data_write_text(w, "actor", row->actor);
        data_write_text(w, "reason", row->reason);
        data_write_text(w, "figures", row->figures);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

/* "training    rows_train 1000, …": a card's section, one line. */
static void print_section(struct json_reader *in, const char *name) {
    struct json_text key;
    const char *between = "";
    printf("%-12s ", name);
    json_object_begin(in);
    while (json_object_next(in, &key)) {
        struct json_text value = json_raw(in);
        bool quoted = value.size >= 2 && value.data[0] == '"';
        printf("%s%.*s %.*s", between, (int)key.size, key.data, (int)(value.size - 2 * quoted),
               value.data + quoted);
        between = ", ";
    }
    putchar('\n');
}

static void print_card(const char *card) {
    struct json_reader in;
    struct json_text key;
    json_reader_init(&in, card, strlen(card));
    json_object_begin(&in);
    while (json_object_next(&in, &key)) {
        char name[16];
        if (json_peek(&in) != JSON_OBJECT || json_text_copy(name, sizeof name, NULL, &key) != ST_OK)
            json_skip(&in);
        else
            print_section(&in, name);
    }
}

static void show_text(const struct shown *s) {
    const struct registry_entry *e = &s->entry;
    char time[TSTAMP_TEXT_SIZE];
    printf("%-12s #%" PRId64 " %s, %s\n", "registered", e->id, model_kind_text(e->kind),
           promotion_state_text(e->state));
    printf("%-12s %s: %s, %" PRIu64 " bytes\n", "file", s->path, s->file, e->size);
    if (e->predecessor) printf("%-12s #%" PRId64 "\n", "predecessor", e->predecessor);
    print_card(s->card);
    for (size_t i = 0; i < s->count; i++) {
        const struct registry_audit_row *row = &s->rows[i];
        printf("%-12s %.19s %s -> %s by %s: %s%s%s\n", i ? "" : "audit",
               tstamp_format(time, row->ts_ns), row->event, row->to, row->actor, row->reason,
               *row->figures ? "; " : "", row->figures);
    }
}

static enum status look_up(struct shown *s, const char *state, const char *text, int *code) {
    struct registry *r;
    struct err err = {0};
    *code = model_registry_open(&r, state, true, &err);
    if (*code >= 0) return ST_EXTERNAL; /* it has said why */
    enum status st =
        r ? gather(s, r, text, &err) : err_set(&err, ST_NOT_FOUND, "no model is registered yet");
    registry_close(r);
    if (st == ST_NOT_FOUND) err_wrap(&err, st, "no file %.80s", text);
    if (st != ST_OK) *code = model_failed(&err);
    return st;
}

int model_registry_show(const char *state, const char *text, bool json, char *path) {
    struct shown *s = calloc(1, sizeof *s);
    int code;
    if (!s) {
        fputs("model: no memory\n", stderr);
        return EXIT_FAILED;
    }
    if (look_up(s, state, text, &code) == ST_OK) {
        code = EXIT_DONE;
        if (path) {
            memcpy(path, s->path, sizeof s->path);
            code = -1;
        } else if (json) {
            code = data_print_json(show_json, s);
        } else {
            show_text(s);
        }
    }
    free(s->rows);
    free(s);
    return code;
}
