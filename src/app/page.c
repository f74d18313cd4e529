#include "app/page.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/fs.h"

static const char STYLE[] =
    "<style>\n:root{color-scheme:light dark}\n"
    "body{margin:0 auto;padding:20px;max-width:1100px;font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:24px}h2{font-size:18px;margin-top:28px}\n"
    "table{border-collapse:collapse;margin:8px 0;font-variant-numeric:tabular-nums}\n"
    "th,td{border:1px solid #8886;padding:3px 8px;text-align:left;vertical-align:top}\n"
    "pre{overflow-x:auto;font-size:13px;line-height:1.35}\n</style>\n";

enum status page_format_of(enum page_format *out, const char *path, struct err *err) {
    const char *dot = strrchr(path, '.');
    if (dot && strcmp(dot, ".html") == 0)
        *out = PAGE_HTML;
    else if (dot && strcmp(dot, ".md") == 0)
        *out = PAGE_MARKDOWN;
    else
        return err_set(err, ST_INVALID, "%s: the name must end in .html or .md", path);
    return ST_OK;
}

/* In Markdown a bar ends a cell, a line ends a row, < begins HTML. */
static void words(struct page *p, const char *s) {
    if (p->format == PAGE_HTML) {
        text_add_escaped(&p->text, s, SIZE_MAX);
        return;
    }
    for (; *s; s++) {
        if (*s == '|' || *s == '<' || *s == '\\' || *s == '`' || *s == '*' || *s == '_')
            text_add_raw(&p->text, "\\", 1);
        text_add_raw(&p->text, *s == '\n' ? " " : s, 1);
    }
}

void page_begin(struct page *p, enum page_format format, const char *title) {
    *p = (struct page){.format = format};
    if (format == PAGE_MARKDOWN) {
        text_add(&p->text, "# ");
        words(p, title);
        text_add(&p->text, "\n");
        return;
    }
    text_add(&p->text, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                       "<title>");
    words(p, title);
    text_add(&p->text, "</title>\n%s</head>\n<body>\n<h1>", STYLE);
    words(p, title);
    text_add(&p->text, "</h1>\n");
}

void page_heading(struct page *p, const char *text) {
    text_add(&p->text, p->format == PAGE_HTML ? "<h2>" : "\n## ");
    words(p, text);
    text_add(&p->text, p->format == PAGE_HTML ? "</h2>\n" : "\n");
}

void page_words(struct page *p, const char *format, ...) {
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    text_add(&p->text, p->format == PAGE_HTML ? "<p>" : "\n");
    words(p, line);
    text_add(&p->text, p->format == PAGE_HTML ? "</p>\n" : "\n");
}

static void cells(struct page *p, const char *tag, int columns, va_list args) {
    text_add(&p->text, p->format == PAGE_HTML ? "<tr>" : "|");
    for (int i = 0; i < columns; i++) {
        if (p->format == PAGE_HTML)
            text_add(&p->text, "<%s>", tag);
        else
            text_add(&p->text, " ");
        words(p, va_arg(args, const char *));
        if (p->format == PAGE_HTML)
            text_add(&p->text, "</%s>", tag);
        else
            text_add(&p->text, " |");
    }
    text_add(&p->text, p->format == PAGE_HTML ? "</tr>\n" : "\n");
}

void page_table(struct page *p, int columns, ...) {
    va_list args;
    text_add(&p->text, p->format == PAGE_HTML ? "<table>\n" : "\n");
    va_start(args, columns);
    cells(p, "th", columns, args);
    va_end(args);
    if (p->format == PAGE_HTML) return;
    text_add(&p->text, "|");
    for (int i = 0; i < columns; i++) text_add(&p->text, "---|");
    text_add(&p->text, "\n");
}

void page_row(struct page *p, int columns, ...) {
    va_list args;
    va_start(args, columns);
    cells(p, "td", columns, args);
    va_end(args);
}

void page_table_end(struct page *p) {
    text_add(&p->text, p->format == PAGE_HTML ? "</table>\n" : "\n");
}

void page_lines(struct page *p, const char *lines) {
    if (p->format == PAGE_HTML) {
        text_add(&p->text, "<pre>");
        text_add_escaped(&p->text, lines, SIZE_MAX);
        text_add(&p->text, "</pre>\n");
        return;
    }
    text_add(&p->text, "\n```text\n");
    text_add_raw(&p->text, lines, strlen(lines));
    text_add(&p->text, "```\n");
}

enum status page_save(struct page *p, const char *path, struct err *err) {
    if (p->format == PAGE_HTML) text_add(&p->text, "</body>\n</html>\n");
    const struct fs_part part = {.data = p->text.data, .size = p->text.size};
    enum status st = p->text.failed ? err_set(err, ST_NO_MEMORY, "%s: out of memory", path)
                                    : fs_replace(path, &part, 1, err);
    free(p->text.data);
    p->text = (struct text){0};
    return st;
}
