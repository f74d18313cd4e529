#include "bench/bench_redis.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench_folder.h"

static bool answers(const char *socket) {
    redisContext *c = redisConnectUnix(socket);
    redisReply *reply = c && !c->err ? redisCommand(c, "PING") : NULL;
    bool up = reply && reply->type == REDIS_REPLY_STATUS;
    if (reply) freeReplyObject(reply);
    if (c) redisFree(c);
    return up;
}

enum status bench_redis_start(struct bench_redis *out, const char *appendonly, struct err *err) {
    enum status st = bench_folder_make(out->dir, sizeof out->dir, err);
    if (st != ST_OK) return st;
    snprintf(out->socket, sizeof out->socket, "%s/s", out->dir);
    fflush(NULL);
    out->pid = fork();
    if (out->pid < 0) return err_errno(err, ST_IO, "fork");
    if (out->pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", out->socket, "--dir",
               out->dir, "--save", "", "--appendonly", appendonly, "--appendfsync", "always",
               (char *)NULL);
        _exit(127);
    }
    for (int tries = 0; tries < 2500; tries++) {
        if (answers(out->socket)) return ST_OK;
        int status;
        if (waitpid(out->pid, &status, WNOHANG) == out->pid) {
            out->pid = 0;
            break;
        }
        usleep(2000);
    }
    bench_redis_stop(out);
    return err_set(err, ST_NOT_FOUND, "redis-server does not run (Debian package redis-server)");
}

void bench_redis_stop(struct bench_redis *server) {
    int status;
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, &status, 0);
    }
    bench_folder_remove(server->dir);
}
