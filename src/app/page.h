/* A page of words and tables, as HTML (whole, nothing is fetched) or as Markdown: the same calls make either.
 *
 *     struct page p;
 *     page_begin(&p, PAGE_HTML, "Title");
 *     page_table(&p, 2, "figure", "value"), page_row(&p, 2, "trades", "50"), page_table_end(&p);
 *     st = page_save(&p, path, &err);     // whole or not at all; frees
 *
 * Texts are taken as they are: what HTML or a table of Markdown would read as its own is escaped. */
#ifndef APP_PAGE_H
#define APP_PAGE_H

#include "base/err.h"
#include "chart/text.h"

enum page_format { PAGE_HTML = 0, PAGE_MARKDOWN };
struct page {
    enum page_format format;
    struct text text;
};

/* By the ending of a file's name: .html, .md; ST_INVALID another. */
enum status page_format_of(enum page_format *out, const char *path, struct err *err);
void page_begin(struct page *p, enum page_format format, const char *title);
void page_heading(struct page *p, const char *text);
void page_words(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Cells are const char *. */
void page_table(struct page *p, int columns, ...);
void page_row(struct page *p, int columns, ...);
void page_table_end(struct page *p);
/* Lines as they stand. */
void page_lines(struct page *p, const char *lines);
enum status page_save(struct page *p, const char *path, struct err *err);

#endif
