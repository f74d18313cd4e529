#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/tstamp.h"

static const char cut_mark[] = " cut=true\n";

static _Atomic int level_min = LOG_INFO;
static _Atomic int to_stderr = 1;
static _Atomic uint64_t lost_count;
/* Guards the descriptor, and keeps a line whole where the system would split a long write. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int file_fd = -1;

void log_level_set(enum log_level level) {
    atomic_store(&level_min, (int)level);
}
void log_stderr_set(int enabled) {
    atomic_store(&to_stderr, enabled);
}
uint64_t log_lost_count(void) {
    return atomic_load(&lost_count);
}

int log_file_set(const char *path) {
    int fd = -1;
    if (path) {
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0) return -1;
    }
    pthread_mutex_lock(&mutex);
    int old = file_fd;
    file_fd = fd;
    pthread_mutex_unlock(&mutex);
    return old >= 0 ? close(old) : 0;
}

struct text {
    char *out;
    size_t size, limit;
    bool cut;
};

/* Appends bytes that belong together: all of them or none. */
static void put(struct text *t, const char *bytes, size_t size) {
    if (t->cut || size > t->limit - t->size) {
        t->cut = true;
        return;
    }
    memcpy(t->out + t->size, bytes, size);
    t->size += size;
}

static void put_escaped(struct text *t, const char *text, bool quoted) {
    static const char hex[] = "0123456789abcdef";
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '\n')
            put(t, "\\n", 2);
        else if (c == '\t')
            put(t, "\\t", 2);
        else if (c == '\r')
            put(t, "\\r", 2);
        else if (c < 0x20 || c == 0x7F)
            put(t, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
        else if (quoted && (c == '"' || c == '\\'))
            put(t, (char[]){'\\', *p}, 2);
        else
            put(t, p, 1);
    }
}

const char *log_quote(char *out, size_t out_size, const char *text) {
    ASSERT(out_size >= 3);
    struct text t = {.out = out, .limit = out_size - 2};
    put(&t, "\"", 1);
    put_escaped(&t, text, true);
    memcpy(out + t.size, "\"", 2);
    return out;
}

static void deliver(int fd, const char *line, size_t size) {
    ssize_t n;
    do n = write(fd, line, size);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)size) atomic_fetch_add(&lost_count, 1);
}

void log_write(enum log_level level, const char *role, const char *message, const char *format,
               ...) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if ((int)level < atomic_load(&level_min)) return;
    ASSERT((unsigned)level < sizeof names / sizeof *names);
    int saved = errno;
    char fields[LOG_LINE_SIZE], line[LOG_LINE_SIZE], ts[TSTAMP_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(fields, sizeof fields, format, args);
    va_end(args);
    if (wanted < 0) strcpy(fields, "format_failed=true");

    struct text t = {.out = line, .limit = sizeof line - sizeof cut_mark};
    tstamp_format(ts, tstamp_wall_ns());
    put(&t, "ts=", 3);
    put(&t, ts, strlen(ts));
    put(&t, " level=", 7);
    put(&t, names[level], strlen(names[level]));
    put(&t, " role=", 6);
    put_escaped(&t, role, false);
    put(&t, " msg=\"", 6);
    t.limit--; /* room for the closing quote, whatever is cut */
    put_escaped(&t, message, true);
    t.limit++;
    line[t.size++] = '"';
    const char *first = fields + strspn(fields, " ");
    if (*first) {
        put(&t, " ", 1);
        put_escaped(&t, first, false);
    }
    t.cut |= wanted >= (int)sizeof fields;
    const char *tail = t.cut ? cut_mark : "\n";
    size_t tail_size = strlen(tail);
    memcpy(line + t.size, tail, tail_size);

    pthread_mutex_lock(&mutex);
    if (atomic_load(&to_stderr)) deliver(STDERR_FILENO, line, t.size + tail_size);
    if (file_fd >= 0) deliver(file_fd, line, t.size + tail_size);
    pthread_mutex_unlock(&mutex);
    errno = saved;
}
