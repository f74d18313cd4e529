/* Who may trade: API keys and what account each opens.
 *
 * File (JSON, 0600): [{"name":"alice","balance":"10000","api_key":"…","api_secret":"…"},
 *                     {"name":"bob","balance":"500","api_key":"…","ed25519_public_key":"-----BEGIN PUBLIC KEY-----…",
 *                      "permissions":["read","trade","withdraw"],"maker_fee":"0.0002","taker_fee":"0.0005"}]
 * Several rows of one name are several keys of one account; what concerns the account (balance, fees) is then
 * said by its first row alone. Permissions are read and trade unless told.
 * The open account is made when no file is given; its key is written to the state folder (0600) and shown by
 * --print-ready, so that it stays the same over restarts. Tests: test_keys.c */
#ifndef VENUE_SERVER_KEYS_H
#define VENUE_SERVER_KEYS_H

#include "base/err.h"
#include "base/fx.h"
#include "venue/wire/wire.h"

enum { KEYS_TEXT_SIZE = 72, KEYS_MAX = 256 };
enum { KEY_READ = 1, KEY_TRADE = 2, KEY_WITHDRAW = 4 };

struct key_row {
    char name[40], api_key[KEYS_TEXT_SIZE],
        api_secret[KEYS_TEXT_SIZE]; /* secret "" for a public key; both padded with NULs */
    struct wire_key *key;
    /* account: 1, 2, … in order of first appearance; whoever opens the accounts of a fresh exchange
     * opens them in that order. */
    uint32_t account, permissions;
    bool opens; /* first row of its account: balance and fees are its */
    money_t balance;
    rate_t fee_maker, fee_taker; /* e8 0, both: the contract's */
};
struct keys {
    uint32_t count;
    struct key_row rows[KEYS_MAX];
};
/* ST_INVALID with the place for a bad file. A file that others may read is loaded, and err (not NULL) then holds
 * ST_REFUSED and a warning although ST_OK is returned. */
enum status keys_load(struct keys *out, const char *path, struct err *err);
/* The same from text; `name` is for messages. */
enum status keys_parse(struct keys *out, const char *text, size_t size, const char *name,
                       struct err *err);
/* One account, "open". state_dir NULL: its key lives as long as the process. An old key keeps its balance. */
enum status keys_open_account(struct keys *out, const char *state_dir, money_t balance,
                              struct err *err);
/* Wipes secrets. */
void keys_free(struct keys *k);
/* Takes the same time for each row, whatever is asked; NULL if unknown. */
const struct key_row *keys_find(const struct keys *k, const char *api_key, size_t size);
#endif
