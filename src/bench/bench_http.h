/* A client's connection over loopback: HTTP/1.1, kept open, one request and its answer at a time. */
#ifndef BENCH_BENCH_HTTP_H
#define BENCH_BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { BENCH_ANSWER_MAX = 16384 };

struct bench_link {
    int fd; /* -1: not open */
    char in[BENCH_ANSWER_MAX];
};

enum status bench_link_open(struct bench_link *l, uint16_t port, struct err *err);
bool bench_link_send(struct bench_link *l, const char *text, size_t size);
/* The whole answer, head and *body; its HTTP status, 0 if there was none within ten seconds. */
int bench_link_answer(struct bench_link *l, char **body);
/* One that was never opened is fine, if its fd is -1. */
void bench_link_close(struct bench_link *l);

#endif
