/* Text that grows, and letters as XML takes them. A failed allocation sticks: `failed` is looked at once, at the end.
 *
 *     struct text t = {0};
 *     text_add(&t, "<p>%d ", 3), text_add_escaped(&t, name, SIZE_MAX), text_add(&t, "</p>");
 *     … t.failed, t.data, t.size; free(t.data) */
#ifndef CHART_TEXT_H
#define CHART_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data; /* NUL ended; NULL while nothing was added */
    size_t size, capacity;
    bool failed;
};
void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Bytes as they are. */
void text_add_raw(struct text *t, const char *data, size_t size);
/* As XML text: escaped, what XML 1.0 cannot hold (and what is no UTF-8) as U+FFFD; behind `letters_max` letters an ellipsis. */
void text_add_escaped(struct text *t, const char *s, size_t letters_max);
/* Letters, for widths. */
size_t text_letters(const char *s);

#endif
