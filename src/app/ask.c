#include "app/ask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/run.h"
#include "base/json.h"

enum { TIMEOUT_SECONDS = 5, REQUEST_SIZE = 2048 };

static int dial(const char *host, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    struct timeval limit = {.tv_sec = TIMEOUT_SECONDS};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* The whole answer, up to the server's close. Returns its size, -1 with errno. */
static ssize_t exchange(int fd, char *out, size_t size, const char *request) {
    size_t length = strlen(request), sent = 0, got = 0;
    while (sent < length) {
        ssize_t n = send(fd, request + sent, length - sent, MSG_NOSIGNAL);
        if (n < 0) return -1;
        sent += (size_t)n;
    }
    while (got + 1 < size) {
        ssize_t n = recv(fd, out + got, size - 1 - got, 0);
        if (n < 0) return -1;
        if (n == 0) break;
        got += (size_t)n;
    }
    out[got] = '\0';
    return (ssize_t)got;
}

/* False: it does not fit. */
static bool request_make(char out[REQUEST_SIZE], uint16_t port, const char *path,
                         const char *json) {
    const char *token = getenv("QUANTUM_API_TOKEN");
    char head[96] = "";
    if (json)
        snprintf(head, sizeof head, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                 strlen(json));
    int n = snprintf(out, REQUEST_SIZE,
                     "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n%s%s%s%s\r\n%s",
                     json ? "POST" : "GET", path, port, token ? "Authorization: Bearer " : "",
                     token ? token : "", token ? "\r\n" : "", head, json ? json : "");
    return n > 0 && n < REQUEST_SIZE;
}

int ask_host(char *reply, size_t size, char **body, struct err *err, const char *host,
             uint16_t port, const char *request) {
    int fd = dial(host, port);
    if (fd < 0) {
        err_set(err, ST_NOT_FOUND, "nothing runs on %s:%u (%s)", host, port, strerror(errno));
        return 0;
    }
    ssize_t got = exchange(fd, reply, size, request);
    int saved = errno;
    close(fd);
    char *end = got > 0 ? strstr(reply, "\r\n\r\n") : NULL;
    if (!end || strncmp(reply, "HTTP/1.", 7) != 0 || got < 12) {
        err_set(err, got < 0 ? ST_TIMEOUT : ST_DISCONNECTED,
                "%s:%u does not answer as quantum does%s%s", host, port, got < 0 ? ": " : "",
                got < 0 ? strerror(saved) : "");
        return 0;
    }
    *body = end + 4;
    return atoi(reply + 9);
}

int ask_quietly(char *reply, size_t size, char **body, struct err *err, uint16_t port,
                const char *path, const char *json) {
    char request[REQUEST_SIZE];
    if (!request_make(request, port, path, json)) {
        err_set(err, ST_RANGE, "$QUANTUM_API_TOKEN is too long");
        return 0;
    }
    int code = ask_host(reply, size, body, err, "127.0.0.1", port, request);
    if (code == 0 && err->st == ST_NOT_FOUND) {
        struct err why = *err;
        err_set(err, ST_NOT_FOUND, "%s. Start it: quantum up", why.text);
    }
    return code;
}

int ask(char *reply, size_t size, char **body, const char *command, uint16_t port, const char *path,
        const char *json) {
    struct err err = {0};
    int code = ask_quietly(reply, size, body, &err, port, path, json);
    if (code == 0) fprintf(stderr, "quantum %s: %s\n", command, err.text);
    return code;
}

void ask_error(char *out, size_t size, const char *body) {
    struct json_reader r;
    struct json_text key;
    snprintf(out, size, "%s", body);
    json_reader_init(&r, body, strlen(body));
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (!json_text_is(&key, "error")) {
            json_skip(&r);
            continue;
        }
        struct json_text text = json_string(&r);
        if (json_text_copy(out, size, NULL, &text) != ST_OK) snprintf(out, size, "?");
    }
}

/* ---- where it listens ---- */

enum status ask_port_save(const char *run_dir, uint16_t port, struct err *err) {
    char path[RUN_PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/port.txt", run_dir);
    FILE *f = fopen(path, "w");
    if (!f) return err_errno(err, ST_IO, "%s", path);
    fprintf(f, "%u\n", port);
    return fclose(f) == 0 ? ST_OK : err_errno(err, ST_IO, "%s", path);
}

uint16_t ask_port(const char *state) {
    char run_dir[RUN_PATH_SIZE], path[RUN_PATH_SIZE + 16];
    struct err err = {0};
    unsigned port = 0;
    if (run_current(run_dir, sizeof run_dir, state, &err) != ST_OK) return 0;
    snprintf(path, sizeof path, "%s/port.txt", run_dir);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    if (fscanf(f, "%5u", &port) != 1 || port > 65535) port = 0;
    fclose(f);
    return (uint16_t)port;
}
