/* Files as the store needs them: whole or not at all. Used by this module and the registry of models. */
#ifndef STORE_FS_H
#define STORE_FS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { STORE_PATH_SIZE = 4096 };

/* Joins "dir/a/b…"; ST_RANGE if it does not fit. */
enum status fs_path(char out[STORE_PATH_SIZE], struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* mkdir -p. */
enum status fs_make_dirs(const char *path, struct err *err);
/* All bytes, whatever the kernel returns in between. */
enum status fs_pwrite_all(int fd, const void *data, size_t size, size_t offset, const char *path,
                          struct err *err);
/* A name part that stays inside its folder: letters, digits, '_', '-', not empty. */
bool fs_is_plain_name(const char *name);
/* Read-only map of a file. ST_NOT_FOUND if there is none; an empty file maps to NULL, 0. */
enum status fs_map(void **out, size_t *out_size, const char *path, struct err *err);

/* Replaces path by the given parts, one after the other, each behind the zeros up to its offset:
 * written beside it, synced, renamed, the folder synced. A crash leaves the old file or the new. */
struct fs_part {
    const void *data;
    size_t size, offset;
};
enum status fs_replace(const char *path, const struct fs_part *parts, size_t count,
                       struct err *err);

/* Locks a folder against other writers until fs_unlock; returns the descriptor in *out. */
enum status fs_lock_dir(int *out, const char *path, struct err *err);
void fs_unlock(int fd);

#endif
