/* Telling a running system what to do, and waiting until it has done so: for `quantum stop`, `panic`, `resume` and drills. */
#ifndef APP_OPERATE_H
#define APP_OPERATE_H

#include <stdint.h>

enum operate_wish { OPERATE_STOP = 0, OPERATE_RESUME, OPERATE_PANIC };

/* An exit code; what went wrong is on standard error, under the command's name. */
int operate_wish(const char *command, enum operate_wish wish, uint32_t port, const char *by,
                 uint32_t timeout_s);

#endif
