/* The owner of a tree_model's memory: many small pieces, freed together. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ml/model_io/model_io_internal.h"

enum { PIECE_SIZE = 4096, ALIGNMENT = 16 };

struct piece {
    struct piece *next;
    size_t used, size;
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

/* What the caller holds is the first member. */
struct owner {
    struct tree_model model;
    struct piece *pieces; /* the first is the one that small requests are cut from */
    size_t tree_capacity, attribute_capacity;
};

static struct owner *owner_of(struct tree_model *m) {
    return (struct owner *)(void *)m;
}

struct tree_model *tree_model_create(enum tree_dialect dialect, uint32_t outputs,
                                     uint32_t columns) {
    ASSERT(outputs > 0);
    struct owner *o = calloc(1, sizeof *o);
    if (!o) return NULL;
    struct tree_model *m = &o->model;
    m->dialect = dialect;
    m->sigmoid = 1;
    m->outputs = outputs;
    m->columns = columns;
    m->trees_per_iteration = outputs;
    m->objective = "";
    m->version = "";
    m->has_linear_lines = true;
    m->base_margin = tree_model_alloc(m, outputs * sizeof *m->base_margin);
    if (!m->base_margin) {
        tree_model_destroy(m);
        return NULL;
    }
    return m;
}

void tree_model_destroy(struct tree_model *m) {
    if (!m) return;
    struct owner *o = owner_of(m);
    for (struct piece *p = o->pieces, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    free(m->trees);
    free(m->attributes);
    free(o);
}

void *tree_model_alloc(struct tree_model *m, size_t size) {
    struct owner *o = owner_of(m);
    if (size > SIZE_MAX / 2) return NULL;
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct piece *first = o->pieces;
    if (first && first->size - first->used >= size) {
        void *out = first->bytes + first->used;
        first->used += size;
        return out;
    }
    size_t room = size > PIECE_SIZE / 4 ? size : PIECE_SIZE;
    struct piece *p = calloc(1, sizeof *p + room);
    if (!p) return NULL;
    p->size = room;
    p->used = size;
    /* A large piece is full at once: it goes behind, the first keeps its room. */
    if (first && first->size - first->used > p->size - p->used) {
        p->next = first->next;
        first->next = p;
    } else {
        p->next = first;
        o->pieces = p;
    }
    return p->bytes;
}

const char *tree_model_string(struct tree_model *m, const char *text, size_t size) {
    char *out = tree_model_alloc(m, size + 1);
    if (out && size) memcpy(out, text, size);
    return out;
}

/* Cuts arrays from one block; on the first pass base is NULL and only the size is counted. */
struct cutter {
    unsigned char *base;
    size_t used;
};

static void *cut(struct cutter *c, size_t count, size_t size) {
    size_t at = c->used;
    c->used += (count * size + 7) & ~(size_t)7;
    return c->base ? c->base + at : NULL;
}

static void cut_arrays(struct cutter *c, struct tree *t, const struct tree_shape *s) {
    size_t n = s->split_count, leaves = n + 1;
    t->feature = cut(c, n, sizeof *t->feature);
    t->threshold = cut(c, n, sizeof *t->threshold);
    t->decision = cut(c, n, sizeof *t->decision);
    t->left = cut(c, n, sizeof *t->left);
    t->right = cut(c, n, sizeof *t->right);
    t->gain = cut(c, n, sizeof *t->gain);
    t->split_value = cut(c, n, sizeof *t->split_value);
    t->split_weight = cut(c, n, sizeof *t->split_weight);
    t->split_rows = cut(c, n, sizeof *t->split_rows);
    t->leaf_value = cut(c, leaves, sizeof *t->leaf_value);
    t->leaf_weight = cut(c, leaves, sizeof *t->leaf_weight);
    t->leaf_rows = cut(c, leaves, sizeof *t->leaf_rows);
    if (s->has_ids) {
        t->split_id = cut(c, n, sizeof *t->split_id);
        t->leaf_id = cut(c, leaves, sizeof *t->leaf_id);
    }
    t->set_begin = cut(c, (size_t)s->set_count + 1, sizeof *t->set_begin);
    t->set_words = cut(c, s->set_words, sizeof *t->set_words);
    if (s->is_linear) {
        t->leaf_const = cut(c, leaves, sizeof *t->leaf_const);
        t->linear_begin = cut(c, leaves + 1, sizeof *t->linear_begin);
        t->linear_feature = cut(c, s->linear_terms, sizeof *t->linear_feature);
        t->linear_coefficient = cut(c, s->linear_terms, sizeof *t->linear_coefficient);
    }
}

struct tree *tree_model_add(struct tree_model *m, const struct tree_shape *shape) {
    struct owner *o = owner_of(m);
    if (m->tree_count == o->tree_capacity) {
        size_t capacity = o->tree_capacity ? o->tree_capacity * 2 : 16;
        if (capacity > UINT32_MAX) return NULL;
        struct tree *grown = realloc(m->trees, capacity * sizeof *grown);
        if (!grown) return NULL;
        m->trees = grown;
        o->tree_capacity = capacity;
    }
    struct cutter c = {0};
    struct tree t = {0};
    cut_arrays(&c, &t, shape);
    c = (struct cutter){.base = tree_model_alloc(m, c.used)};
    if (!c.base) return NULL;
    cut_arrays(&c, &t, shape);
    t.split_count = shape->split_count;
    t.set_count = shape->set_count;
    t.is_linear = shape->is_linear;
    t.shrinkage = 1;
    t.weight = 1;
    m->trees[m->tree_count] = t;
    return &m->trees[m->tree_count++];
}

void tree_model_truncate(struct tree_model *m, uint32_t count) {
    if (count < m->tree_count) m->tree_count = count;
}

const char *tree_model_attribute(const struct tree_model *m, const char *key) {
    for (uint32_t i = 0; i < m->attribute_count; i++)
        if (strcmp(m->attributes[i].key, key) == 0) return m->attributes[i].value;
    return NULL;
}

bool model_attribute_add(struct tree_model *m, const char *key, size_t key_size, const char *value,
                         size_t value_size) {
    struct owner *o = owner_of(m);
    if (m->attribute_count == o->attribute_capacity) {
        size_t capacity = o->attribute_capacity ? o->attribute_capacity * 2 : 16;
        if (capacity > UINT32_MAX) return false;
        struct tree_attribute *grown = realloc(m->attributes, capacity * sizeof *grown);
        if (!grown) return false;
        m->attributes = grown;
        o->attribute_capacity = capacity;
    }
    struct tree_attribute a = {tree_model_string(m, key, key_size),
                               tree_model_string(m, value, value_size)};
    if (!a.key || !a.value) return false;
    m->attributes[m->attribute_count++] = a;
    return true;
}

static bool is_printable(const char *text) {
    for (; *text; text++)
        if (*text < ' ' || *text > '~') return false;
    return true;
}

enum status tree_model_attribute_set(struct tree_model *m, const char *key, const char *value,
                                     struct err *err) {
    if (!*key || !is_printable(key) || !is_printable(value))
        return err_set(err, ST_INVALID, "attribute is not printable ASCII of one line");
    /* In LightGBM's text a pair is "[key: value]". */
    if (m->dialect == TREES_LIGHTGBM && strchr(key, ':'))
        return err_set(err, ST_INVALID, "attribute %s: a colon cannot be in a key", key);
    for (uint32_t i = 0; i < m->attribute_count; i++) {
        if (strcmp(m->attributes[i].key, key) != 0) continue;
        const char *copy = tree_model_string(m, value, strlen(value));
        if (!copy) return err_set(err, ST_NO_MEMORY, "attribute %s", key);
        m->attributes[i].value = copy;
        return ST_OK;
    }
    if (!model_attribute_add(m, key, strlen(key), value, strlen(value)))
        return err_set(err, ST_NO_MEMORY, "attribute %s", key);
    return ST_OK;
}
