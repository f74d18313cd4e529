#include "walk/trials.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "store/fs.h"

enum { LINE_SIZE = 160 };

const char *walk_trial_kind_text(enum walk_trial_kind kind) {
    switch (kind) {
    case WALK_TRIAL_MODEL:
        return "model";
    case WALK_TRIAL_RUN:
        return "run";
    case WALK_TRIAL_RULE:
        return "rule";
    case WALK_TRIAL_KINDS:
        break;
    }
    return "unknown";
}

struct list {
    struct walk_trial *items;
    size_t count, capacity;
};

static enum status push(struct list *l, const struct walk_trial *t, struct err *err) {
    if (l->count == l->capacity) {
        size_t more = l->capacity ? 2 * l->capacity : 256;
        struct walk_trial *items = realloc(l->items, more * sizeof *items);
        if (!items) return err_set(err, ST_NO_MEMORY, "%zu trials: out of memory", more);
        l->items = items;
        l->capacity = more;
    }
    l->items[l->count++] = *t;
    return ST_OK;
}

static struct walk_trial *find(const struct list *l, const struct walk_trial *t) {
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].kind == t->kind && l->items[i].id == t->id) return &l->items[i];
    return NULL;
}

static bool kind_of(enum walk_trial_kind *out, const struct json_text *text) {
    for (int k = 0; k < WALK_TRIAL_KINDS; k++)
        if (json_text_is(text, walk_trial_kind_text((enum walk_trial_kind)k))) {
            *out = (enum walk_trial_kind)k;
            return true;
        }
    return false;
}

static bool id_of(uint64_t *out, const struct json_text *text) {
    *out = 0;
    if (text->size != 16) return false;
    for (size_t i = 0; i < 16; i++) {
        char c = text->data[i];
        bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'f')) return false;
        *out = *out << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    return true;
}

static bool parse(struct walk_trial *out, const char *line, size_t size) {
    struct json_reader r;
    struct json_text key, text;
    bool kind = false, id = false;
    *out = (struct walk_trial){.sharpe = NAN};
    json_reader_init(&r, line, size);
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (json_text_is(&key, "kind")) {
            text = json_string(&r);
            kind = kind_of(&out->kind, &text);
        } else if (json_text_is(&key, "id")) {
            text = json_string(&r);
            id = id_of(&out->id, &text);
        } else if (json_text_is(&key, "periods")) {
            int64_t n = json_i64(&r);
            out->periods = n > 0 ? (uint64_t)n : 0;
        } else if (json_text_is(&key, "sharpe") && json_peek(&r) != JSON_NULL) {
            out->sharpe = json_f64(&r);
        } else {
            json_skip(&r);
        }
    }
    return json_finish(&r) == ST_OK && kind && id;
}

static enum status read_text(struct list *l, const char *text, size_t size, const char *path,
                             struct err *err) {
    size_t line = 1;
    for (const char *at = text, *end; (end = memchr(at, '\n', size - (size_t)(at - text)));
         at = end + 1, line++) {
        struct walk_trial t;
        if (!parse(&t, at, (size_t)(end - at)))
            return err_set(err, ST_CORRUPT, "%s: line %zu is no trial", path, line);
        struct walk_trial *known = find(l, &t);
        if (known) {
            *known = t;
            continue;
        }
        enum status st = push(l, &t, err);
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

/* Whole text of an open file. */
static enum status slurp(char **out, size_t *size, int fd, const char *path, struct err *err) {
    struct stat info;
    *out = NULL;
    if (fstat(fd, &info) != 0) return err_errno(err, ST_IO, "%s", path);
    *size = (size_t)info.st_size;
    *out = malloc(*size + 1);
    if (!*out) return err_set(err, ST_NO_MEMORY, "%s: out of memory", path);
    for (size_t had = 0; had < *size;) {
        ssize_t n = pread(fd, *out + had, *size - had, (off_t)had);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return err_errno(err, ST_IO, "cannot read %s", path);
        had += (size_t)n;
    }
    return ST_OK;
}

static void sum_up(struct walk_trial_totals *out, const struct list *l) {
    double mean = 0, squares = 0;
    *out = (struct walk_trial_totals){.count = l->count, .variance = NAN};
    for (size_t i = 0; i < l->count; i++) {
        out->by_kind[l->items[i].kind]++;
        if (!isfinite(l->items[i].sharpe)) continue;
        double d = l->items[i].sharpe - mean;
        mean += d / (double)++out->known;
        squares += d * (l->items[i].sharpe - mean);
    }
    if (out->known >= 2) out->variance = squares / (double)(out->known - 1);
}

enum status walk_trials_read(struct walk_trial_totals *out, const char *path, struct err *err) {
    return walk_trials_add(out, path, NULL, 0, err);
}

static bool says_more(const struct walk_trial *known, const struct walk_trial *t) {
    if (!known) return true;
    return isfinite(t->sharpe) && (known->sharpe != t->sharpe || known->periods != t->periods);
}

static void line_of(struct json_writer *w, char out[LINE_SIZE], const struct walk_trial *t) {
    char id[20];
    snprintf(id, sizeof id, "%016" PRIx64, t->id);
    json_writer_init(w, out, LINE_SIZE);
    json_write_object_begin(w);
    json_write_key(w, "kind");
    json_write_string(w, walk_trial_kind_text(t->kind));
    json_write_key(w, "id");
    json_write_string(w, id);
    json_write_key(w, "sharpe");
    json_write_f64(w, t->sharpe);
    json_write_key(w, "periods");
    json_write_u64(w, t->periods);
    json_write_object_end(w);
}

/* The lines of what is new, behind the last whole line. */
static enum status append(struct list *l, int fd, size_t end, const char *path,
                          const struct walk_trial *trials, size_t count, struct err *err) {
    for (size_t i = 0; i < count; i++) {
        char line[LINE_SIZE + 1];
        struct json_writer w;
        struct walk_trial *known = find(l, &trials[i]);
        if (!says_more(known, &trials[i])) continue;
        line_of(&w, line, &trials[i]);
        if (json_writer_finish(&w) != ST_OK) return err_set(err, ST_FULL, "a trial's line");
        line[w.size] = '\n';
        enum status st = fs_pwrite_all(fd, line, w.size + 1, end, path, err);
        end += w.size + 1;
        if (known)
            *known = trials[i];
        else if (st == ST_OK)
            st = push(l, &trials[i], err);
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

enum status walk_trials_add(struct walk_trial_totals *out, const char *path,
                            const struct walk_trial *trials, size_t count, struct err *err) {
    struct list l = {0};
    char *text = NULL;
    size_t size = 0;
    *out = (struct walk_trial_totals){.variance = NAN};
    int fd = open(path, (count ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0666);
    if (fd < 0 && errno == ENOENT && count == 0) return ST_OK;
    if (fd < 0) return err_errno(err, ST_IO, "%s", path);
    enum status st = ST_OK;
    while (st == ST_OK && flock(fd, count ? LOCK_EX : LOCK_SH) != 0)
        if (errno != EINTR) st = err_errno(err, ST_IO, "cannot lock %s", path);
    if (st == ST_OK) st = slurp(&text, &size, fd, path, err);
    if (st == ST_OK) st = read_text(&l, text, size, path, err);
    size_t whole = size;
    while (text && whole > 0 && text[whole - 1] != '\n') whole--;
    if (st == ST_OK && count && whole < size && ftruncate(fd, (off_t)whole) != 0)
        st = err_errno(err, ST_IO, "%s", path);
    if (st == ST_OK) st = append(&l, fd, whole, path, trials, count, err);
    if (st == ST_OK) sum_up(out, &l);
    free(text);
    free(l.items);
    if (close(fd) != 0 && st == ST_OK && count) st = err_errno(err, ST_IO, "cannot close %s", path);
    return st;
}
