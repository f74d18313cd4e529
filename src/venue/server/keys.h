/* Who may trade: API keys and what account each opens.
 *
 * File (JSON, 0600): [{"name":"alice","balance":"10000","api_key":"…","api_secret":"…"},
 *                     {"name":"bob","balance":"500","api_key":"…","ed25519_public_key":"-----BEGIN PUBLIC KEY-----…",
 *                      "permissions":["read","trade","withdraw"],"maker_fee":"0.0002","taker_fee":"0.0005"}]
 * The open account is made when no file is given; its key is written to the state folder (0600) and shown by
 * --print-ready, so that it stays the same over restarts. */
#ifndef VENUE_SERVER_KEYS_H
#define VENUE_SERVER_KEYS_H

#include "base/err.h"
#include "base/fx.h"
#include "venue/wire/wire.h"

enum { KEYS_TEXT_SIZE = 72, KEYS_MAX = 256 };
enum { KEY_READ = 1, KEY_TRADE = 2, KEY_WITHDRAW = 4 };

struct key_row {
    char name[40], api_key[KEYS_TEXT_SIZE],
        api_secret[KEYS_TEXT_SIZE]; /* secret "" for a public key */
    struct wire_key *key;
    uint32_t account, permissions;
    money_t balance;
    rate_t fee_maker, fee_taker; /* e8 0: the contract's */
};
struct keys {
    uint32_t count;
    struct key_row rows[KEYS_MAX];
};
/* ST_INVALID with the place for a bad file; ST_REFUSED-like text if others may read it is a warning only. */
enum status keys_load(struct keys *out, const char *path, struct err *err);
enum status keys_open_account(struct keys *out, const char *state_dir, money_t balance,
                              struct err *err);
void keys_free(struct keys *k);
/* Constant-time per row; NULL if unknown. */
const struct key_row *keys_find(const struct keys *k, const char *api_key, size_t size);
#endif
