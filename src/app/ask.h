/* One request to the API of a running system on this machine. */
#ifndef APP_ASK_H
#define APP_ASK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { ASK_REPLY_SIZE = 256 * 1024 };

/* json: NULL a GET, else the body of a POST. Returns the HTTP code and the answer's body inside reply (ended by 0); 0,
 * having said why on standard error, if nothing answers there or not as we do. A server with an access token is asked with
 * the one in $QUANTUM_API_TOKEN. Gives up after 5 s of silence. */
int ask(char *reply, size_t size, char **body, const char *command, uint16_t port, const char *path,
        const char *json);
/* The same, and nothing said. 0: *err says why: ST_NOT_FOUND nobody listens there, ST_TIMEOUT and ST_DISCONNECTED it may
 * have heard the request, ST_RANGE it was never made. */
int ask_quietly(char *reply, size_t size, char **body, struct err *err, uint16_t port,
                const char *path, const char *json);
/* One request, as it is sent, to a server that closes the connection behind its answer. As ask_quietly. */
int ask_host(char *reply, size_t size, char **body, struct err *err, const char *host,
             uint16_t port, const char *request);
/* The field "error" of an answer into out; the whole body if there is none. */
void ask_error(char *out, size_t size, const char *body);

/* Where a run of this state directory listens: told by the run, asked by commands. port 0 from ask_port: the directory
 * knows of none. */
enum status ask_port_save(const char *run_dir, uint16_t port, struct err *err);
uint16_t ask_port(const char *state);

#endif
