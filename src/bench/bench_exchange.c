#include "bench/bench_exchange.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "bench/bench_folder.h"

enum { ARGUMENTS_MAX = 32, READY_MAX = 1024 };

static void run_child(const char *dir, const char *const *options, int out) {
    const char *arguments[ARGUMENTS_MAX] = {"quantum",       "exchange", "--port", "0",
                                            "--print-ready", "--state",  dir};
    uint32_t n = 7;
    for (uint32_t i = 0; options && options[i] && n < ARGUMENTS_MAX - 1; i++)
        arguments[n++] = options[i];
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* a bench that is killed leaves no exchange running */
    dup2(out, 1);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 2);
    execv("/proc/self/exe", (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static enum status read_ready(struct bench_exchange *x, FILE *f, struct err *err) {
    char line[READY_MAX], url[128] = {0};
    struct json_reader r;
    struct json_text key;
    do
        if (!fgets(line, sizeof line, f))
            return err_set(err, ST_IO, "quantum exchange did not start");
    while (line[0] != '{');
    json_reader_init(&r, line, strlen(line));
    if (!json_object_begin(&r)) return err_set(err, ST_INVALID, "ready line: %s", line);
    while (json_object_next(&r, &key)) {
        struct json_text value = json_string(&r);
        size_t n;
        if (json_text_is(&key, "url")) (void)json_text_copy(url, sizeof url, &n, &value);
        if (json_text_is(&key, "api_key"))
            (void)json_text_copy(x->api_key, sizeof x->api_key, &n, &value);
        if (json_text_is(&key, "api_secret"))
            (void)json_text_copy(x->api_secret, sizeof x->api_secret, &n, &value);
    }
    const char *port = strrchr(url, ':');
    x->port = (uint16_t)(port ? strtoul(port + 1, NULL, 10) : 0);
    if (!x->port || !x->api_secret[0]) return err_set(err, ST_INVALID, "ready line: %s", line);
    return ST_OK;
}

enum status bench_exchange_start(struct bench_exchange *out, const char *const *options,
                                 struct err *err) {
    int ends[2];
    memset(out, 0, sizeof *out);
    enum status st = bench_folder_make(out->dir, sizeof out->dir, err);
    if (st != ST_OK) return st;
    if (pipe2(ends, O_CLOEXEC) != 0) return err_errno(err, ST_IO, "pipe");
    fflush(NULL);
    out->pid = fork();
    if (out->pid == 0) run_child(out->dir, options, ends[1]);
    close(ends[1]);
    FILE *f = out->pid > 0 ? fdopen(ends[0], "r") : NULL;
    st = f ? read_ready(out, f, err) : err_errno(err, ST_IO, "fork");
    if (f) fclose(f);
    if (st != ST_OK) bench_exchange_stop(out);
    return st;
}

double bench_exchange_cpu_s(const struct bench_exchange *x) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)x->pid);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f) fclose(f);
    text[n] = '\0';
    const char *p = strrchr(text, ')'); /* the name may hold anything */
    unsigned long user = 0, system = 0;
    if (!p ||
        sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return 0;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

void bench_exchange_stop(struct bench_exchange *x) {
    int status;
    if (x->pid > 0) {
        kill(x->pid, SIGKILL);
        waitpid(x->pid, &status, 0);
    }
    x->pid = 0;
    bench_folder_remove(x->dir);
}
