/* For tests: is a text a well-formed XML document, and does all that its pictures draw lie inside their view boxes? Strict, and of the
 * part of XML that charts and pages use: elements, attributes in double quotes, the five entities, no comments, no CDATA. */
#ifndef CHART_TEST_SVG_H
#define CHART_TEST_SVG_H

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_internal.h" /* json_utf8_length */

static inline size_t svg_count(const char *text, const char *part) {
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part)) n++;
    return n;
}

enum { SVG_DEPTH_MAX = 16, SVG_NAME_MAX = 24, SVG_ATTRIBUTES_MAX = 16 };

struct svg_reader {
    const char *p, *end;
    double width, height; /* of the picture's view box; 0 until known */
    char open[SVG_DEPTH_MAX][SVG_NAME_MAX];
    int depth;
};

static inline bool svg_within(double v, double limit) {
    return v >= -0.005 && v <= limit + 0.005;
}

static inline bool svg_name(struct svg_reader *r, char out[SVG_NAME_MAX]) {
    size_t n = 0;
    while (r->p < r->end && (isalnum((unsigned char)*r->p) || *r->p == '-') && n < SVG_NAME_MAX - 1)
        out[n++] = *r->p++;
    out[n] = '\0';
    return n && isalpha((unsigned char)out[0]);
}

/* One letter of text or of an attribute; false if it must not stand there. */
static inline bool svg_letter(struct svg_reader *r) {
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
    unsigned char c = (unsigned char)*r->p;
    if (c == '&') {
        for (size_t i = 0; i < 5; i++) {
            size_t n = strlen(entities[i]);
            if (strncmp(r->p, entities[i], n) == 0) {
                r->p += n;
                return true;
            }
        }
        return false;
    }
    if (c < 0x20 && c != '\n' && c != '\t') return false;
    size_t n = c < 0x80 ? 1 : json_utf8_length(r->p, r->end);
    if (n == 3 && memcmp(r->p, "\xEF\xBF", 2) == 0 && (r->p[2] & 0x3F) >= 0x3E) return false;
    r->p += n;
    return n > 0;
}

/* Path data of M, L, H, h, V, v, Z: each point inside. */
static inline bool svg_path_inside(const char *d, size_t size, double width, double height) {
    double x = 0, y = 0;
    bool begun = false;
    for (const char *p = d, *end = d + size; p < end;) {
        char command = *p++;
        if (!strchr("MLHhVvZ", command) || (!begun && command != 'M')) return false;
        begun = true;
        double v[2] = {0, 0};
        int wanted = command == 'M' || command == 'L' ? 2 : command == 'Z' ? 0 : 1;
        for (int i = 0; i < wanted; i++) {
            char *after;
            if (p >= end || !(isdigit((unsigned char)*p) || *p == '-' || *p == ' ')) return false;
            v[i] = strtod(p, &after);
            if (after == p) return false;
            p = after;
        }
        if (wanted == 2) x = v[0], y = v[1];
        if (command == 'H') x = v[0];
        if (command == 'V') y = v[0];
        if (command == 'h') x += v[0];
        if (command == 'v') y += v[0];
        if (!svg_within(x, width) || !svg_within(y, height)) return false;
    }
    return true;
}

/* What an attribute says of places. */
static inline const char *svg_attribute(struct svg_reader *r, const char *name, const char *value,
                                        size_t size) {
    char *after;
    if (strcmp(name, "viewBox") == 0) {
        if (r->width > 0) return "a second view box";
        if (strncmp(value, "0 0 ", 4) != 0) return "view box";
        r->width = strtod(value + 4, &after);
        r->height = strtod(after, &after);
        return after == value + size && r->width > 0 && r->height > 0 ? NULL : "view box";
    }
    if (strcmp(name, "d") == 0)
        return svg_path_inside(value, size, r->width, r->height) ? NULL : "path";
    static const char *const places[] = {"x", "y", "cx", "cy", "x1", "y1", "x2", "y2"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (strcmp(name, places[i]) != 0) continue;
        if (!size || !(isdigit((unsigned char)value[0]) || value[0] == '-')) return "no number";
        double v = strtod(value, &after);
        bool upright = strchr(name, 'y') != NULL;
        if (after != value + size || !svg_within(v, upright ? r->height : r->width))
            return "outside";
    }
    return NULL;
}

static inline const char *svg_element(struct svg_reader *r) {
    char name[SVG_NAME_MAX], seen[SVG_ATTRIBUTES_MAX][SVG_NAME_MAX];
    int count = 0;
    r->p++;
    if (*r->p == '/') {
        r->p++;
        if (!svg_name(r, name) || *r->p++ != '>') return "end tag";
        if (!r->depth || strcmp(r->open[--r->depth], name) != 0) return "unbalanced";
        return NULL;
    }
    if (!svg_name(r, name)) return "tag";
    if (strcmp(name, "svg") == 0) r->width = 0;
    while (*r->p == ' ') {
        r->p++;
        if (count == SVG_ATTRIBUTES_MAX || !svg_name(r, seen[count])) return "attribute";
        for (int i = 0; i < count; i++)
            if (strcmp(seen[i], seen[count]) == 0) return "attribute twice";
        if (r->p[0] != '=' || r->p[1] != '"') return "attribute without quotes";
        r->p += 2;
        const char *value = r->p;
        while (r->p < r->end && *r->p != '"')
            if (*r->p == '<' || !svg_letter(r)) return "letter in an attribute";
        const char *problem = svg_attribute(r, seen[count++], value, (size_t)(r->p - value));
        if (problem) return problem;
        if (*r->p++ != '"') return "attribute without end";
    }
    bool closed = *r->p == '/';
    if (closed) r->p++;
    if (*r->p++ != '>') return "tag without end";
    if (closed) return NULL;
    if (r->depth == SVG_DEPTH_MAX) return "deep";
    strcpy(r->open[r->depth++], name);
    return NULL;
}

/* NULL, or what is wrong. root: "<svg", "<html" */
static inline const char *svg_document_problem(const char *text, const char *root) {
    struct svg_reader r = {.p = text, .end = text + strlen(text)};
    if (strncmp(text, root, strlen(root)) != 0) return "another root";
    do {
        if (*r.p == '<') {
            const char *problem = svg_element(&r);
            if (problem) return problem;
        } else if (!svg_letter(&r)) {
            return "letter";
        }
    } while (r.depth && r.p < r.end);
    if (r.depth) return "cut off";
    if (strcmp(r.p, "\n") != 0) return "text behind the end";
    return r.width > 0 ? NULL : "no view box";
}

static inline const char *svg_problem(const char *text) {
    return svg_document_problem(text, "<svg");
}

#define svg_check(svg)                                                                             \
    do {                                                                                           \
        const char *problem_ = svg_problem(svg);                                                   \
        if (problem_) fail_msg("%s: %s", problem_, svg);                                           \
    } while (0)

#endif
