/* A running `quantum up`: killed, and started again as it was. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/drill.h"
#include "base/tstamp.h"

enum { WORDS_SIZE = 128 * 1024, WORDS_MAX = 512, PATH_SIZE = 4096 };

struct drill_process {
    pid_t pid;
    char program[PATH_SIZE], folder[PATH_SIZE];
    char arguments[WORDS_SIZE], environment[WORDS_SIZE];
    char *argv[WORDS_MAX + 1],
        *envp[WORDS_MAX]; /* argv without --fresh and --standby; room for one more */
    bool was_standby;
};

static enum status link_read(char out[PATH_SIZE], pid_t pid, const char *name, struct err *err) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    ssize_t n = readlink(path, out, PATH_SIZE - 1);
    if (n < 0) return err_errno(err, ST_NOT_FOUND, "%s", path);
    out[n] = '\0';
    return ST_OK;
}

/* The texts of the file, each ended by 0, into `text`, where they are into `words`. */
static enum status words_read(char *words[WORDS_MAX], char text[WORDS_SIZE], pid_t pid,
                              const char *name, struct err *err) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *f = fopen(path, "r");
    if (!f) return err_errno(err, ST_NOT_FOUND, "%s", path);
    size_t size = fread(text, 1, WORDS_SIZE - 1, f), count = 0;
    fclose(f);
    text[size] = '\0';
    if (size == WORDS_SIZE - 1) return err_set(err, ST_FULL, "%s is too long", path);
    for (char *p = text; p < text + size; p += strlen(p) + 1) {
        if (count + 1 == WORDS_MAX) return err_set(err, ST_FULL, "%s has too many words", path);
        words[count++] = p;
    }
    words[count] = NULL;
    return ST_OK;
}

/* Takes the word out, wherever it stands; whether it was there. */
static bool word_take(char **words, const char *word) {
    char **to = words;
    bool was_there = false;
    for (char **from = words; *from; from++) {
        if (strcmp(*from, word) == 0)
            was_there = true;
        else
            *to++ = *from;
    }
    *to = NULL;
    return was_there;
}

enum status drill_process_find(struct drill_process **out, pid_t pid, struct err *err) {
    char own[PATH_SIZE];
    *out = NULL;
    struct drill_process *p = calloc(1, sizeof *p);
    if (!p) return err_set(err, ST_NO_MEMORY, "out of memory");
    p->pid = pid;
    enum status st = pid > 1 ? link_read(p->program, pid, "exe", err)
                             : err_set(err, ST_NOT_FOUND, "it does not tell its process");
    if (st == ST_OK) st = link_read(p->folder, pid, "cwd", err);
    if (st == ST_OK) st = link_read(own, getpid(), "exe", err);
    if (st == ST_OK) st = words_read(p->argv, p->arguments, pid, "cmdline", err);
    if (st == ST_OK) st = words_read(p->envp, p->environment, pid, "environ", err);
    if (st == ST_OK && (!p->argv[0] || !p->argv[1] || strcmp(p->argv[1], "up") != 0))
        st = err_set(err, ST_REFUSED, "process %d is no quantum up", (int)pid);
    if (st == ST_OK) {
        (void)word_take(p->argv, "--fresh");
        p->was_standby = word_take(p->argv, "--standby");
    }
    const char *gone = st == ST_OK ? strstr(p->program, " (deleted)") : NULL;
    if (gone && gone[strlen(" (deleted)")] == '\0') /* another has been installed since: this one */
        memcpy(p->program, own, sizeof own);
    if (st == ST_OK)
        *out = p;
    else
        drill_process_free(p);
    return st;
}

void drill_process_free(struct drill_process *p) {
    free(p);
}

/* One that nobody has waited for yet has no program any more. */
bool drill_process_is_there(const struct drill_process *p) {
    char program[PATH_SIZE];
    return link_read(program, p->pid, "exe", NULL) == ST_OK;
}

pid_t drill_process_pid(const struct drill_process *p) {
    return p->pid;
}

enum status drill_process_halt(struct drill_process *p, struct err *err) {
    return kill(p->pid, SIGSTOP) == 0 ? ST_OK : err_errno(err, ST_IO, "stop %d", (int)p->pid);
}

enum status drill_process_kill(struct drill_process *p, struct err *err) {
    if (kill(p->pid, SIGKILL) != 0) return err_errno(err, ST_IO, "kill %d", (int)p->pid);
    int64_t end = tstamp_monotonic_ns() + 60 * NS_PER_SECOND;
    while (drill_process_is_there(p)) {
        if (tstamp_monotonic_ns() > end)
            return err_set(err, ST_TIMEOUT, "process %d does not die", (int)p->pid);
        drill_nap();
    }
    return ST_OK;
}

enum status drill_process_wait(int *out_code, struct drill_process *p, int64_t end_ns,
                               struct err *err) {
    int how;
    pid_t got;
    while ((got = waitpid(p->pid, &how, WNOHANG)) == 0) {
        if (tstamp_monotonic_ns() > end_ns)
            return err_set(err, ST_TIMEOUT, "process %d does not end", (int)p->pid);
        drill_nap();
    }
    if (got < 0) return err_errno(err, ST_IO, "wait for %d", (int)p->pid);
    *out_code = WIFEXITED(how) ? WEXITSTATUS(how) : -1;
    return ST_OK;
}

enum status drill_process_start(struct drill_process *p, enum drill_start how, const char *log_path,
                                struct err *err) {
    static char standby[] = "--standby";
    (void)word_take(p->argv, standby);
    if (how == DRILL_AS_STANDBY || (how == DRILL_AS_IT_WAS && p->was_standby)) {
        size_t n = 0;
        while (p->argv[n]) n++;
        p->argv[n] = standby;
        p->argv[n + 1] = NULL;
    }
    int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log < 0 || none < 0) {
        enum status st = err_errno(err, ST_IO, "%s", log_path);
        if (log >= 0) close(log);
        if (none >= 0) close(none);
        return st;
    }
    pid_t pid = fork();
    if (pid == 0) {
        /* It outlives the drill, and its terminal. */
        if (setsid() < 0 || chdir(p->folder) != 0 || dup2(none, 0) < 0 || dup2(log, 1) < 0 ||
            dup2(log, 2) < 0)
            _exit(127);
        execve(p->program, p->argv, p->envp);
        _exit(127);
    }
    enum status st = pid > 0 ? ST_OK : err_errno(err, ST_IO, "fork");
    close(log);
    close(none);
    if (pid > 0) p->pid = pid;
    return st;
}
