#include "venue/server/limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/tstamp.h"

/* Addresses live in sets of 8: a set that is full gives up the one unseen for longest, banned ones last.
 * 32768 addresses at 192 bytes; one that was given up starts anew. */
enum { PEER_SETS = 4096, PEER_WAYS = 8, PEER_TEXT_SIZE = 64, ACCOUNT_SLOTS = 4096 };

static const int64_t window_ns[POOL_COUNT] = {NS_PER_MINUTE, 5 * NS_PER_MINUTE, 5 * NS_PER_MINUTE};
static const int64_t BAN_NS_FIRST = 2 * NS_PER_MINUTE, BAN_NS_MAX = 3 * NS_PER_DAY;

struct peer {
    char text[PEER_TEXT_SIZE];  /* "": free */
    int64_t window[POOL_COUNT]; /* number of the window that used[] is of */
    uint32_t used[POOL_COUNT];
    uint32_t in_spite, bans; /* refused requests of this minute; bans so far */
    int64_t in_spite_window, ban_until_ns, seen_ns;
};
struct account {
    uint32_t number; /* + 1; 0: free */
    uint32_t in_10s, in_1m;
    int64_t window_10s, window_1m;
};
struct limiter {
    struct limiter_config config;
    struct account accounts[ACCOUNT_SLOTS];
    struct peer peers[PEER_SETS][PEER_WAYS];
};

struct limiter_config limiter_config_defaults(void) {
    return (struct limiter_config){.weight_1m = 2400,
                                   .orders_10s = 300,
                                   .orders_1m = 1200,
                                   .funding_5m = 500,
                                   .data_5m = 1000,
                                   .ban_after = 10};
}

enum status limiter_create(struct limiter **out, const struct limiter_config *config,
                           struct err *err) {
    *out = calloc(1, sizeof **out);
    if (!*out) return err_set(err, ST_NO_MEMORY, "request limits");
    (*out)->config = *config;
    return ST_OK;
}

void limiter_destroy(struct limiter *l) {
    free(l);
}

const struct limiter_config *limiter_config_of(const struct limiter *l) {
    return &l->config;
}

/* Longer names are cut: two that begin alike are one. */
static const struct peer *peer_find(const struct limiter *l, const char *peer, uint64_t *set) {
    *set = hash64(peer, strnlen(peer, PEER_TEXT_SIZE - 1)) % PEER_SETS;
    for (int i = 0; i < PEER_WAYS; i++)
        if (strncmp(l->peers[*set][i].text, peer, PEER_TEXT_SIZE - 1) == 0)
            return &l->peers[*set][i];
    return NULL;
}

/* Who makes room: a free slot, else whoever is not banned, else whoever was unseen for longest. */
static struct peer *peer_replaced(struct limiter *l, uint64_t set, int64_t now_ns) {
    struct peer *chosen = &l->peers[set][0];
    for (int i = 1; i < PEER_WAYS && chosen->text[0]; i++) {
        struct peer *p = &l->peers[set][i];
        bool banned = p->ban_until_ns > now_ns, chosen_banned = chosen->ban_until_ns > now_ns;
        if (!p->text[0] || banned < chosen_banned ||
            (banned == chosen_banned && p->seen_ns < chosen->seen_ns))
            chosen = p;
    }
    return chosen;
}

static struct peer *peer_of(struct limiter *l, const char *peer, int64_t now_ns) {
    uint64_t set;
    const struct peer *found = peer_find(l, peer, &set);
    struct peer *p = found ? &l->peers[set][found - l->peers[set]] : peer_replaced(l, set, now_ns);
    if (!found) {
        memset(p, 0, sizeof *p);
        memcpy(p->text, peer, strnlen(peer, PEER_TEXT_SIZE - 1));
    }
    p->seen_ns = now_ns;
    return p;
}

/* An address that is not known is one, too. */
static const char *named(const char *peer) {
    return *peer ? peer : "?";
}

static uint32_t limit_of(const struct limiter *l, enum limit_pool pool) {
    switch (pool) {
    case POOL_WEIGHT:
        return l->config.weight_1m;
    case POOL_FUNDING:
        return l->config.funding_5m;
    case POOL_DATA:
        return l->config.data_5m;
    case POOL_COUNT:
        break;
    }
    return 0;
}

static uint32_t add_saturated(uint32_t a, uint32_t b) {
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* One more request in spite of a 429: enough of them within a minute, and the address is banned, each time
 * twice as long. */
static bool ban_is_due(struct peer *p, uint32_t ban_after, int64_t now_ns) {
    int64_t window = now_ns / NS_PER_MINUTE;
    if (p->in_spite_window != window) {
        p->in_spite_window = window;
        p->in_spite = 0;
    }
    p->in_spite = add_saturated(p->in_spite, 1);
    if (p->in_spite <= ban_after) return false;
    int64_t length = BAN_NS_FIRST;
    for (uint32_t i = 0; i < p->bans && length < BAN_NS_MAX; i++) length *= 2;
    if (length > BAN_NS_MAX) length = BAN_NS_MAX;
    p->bans = add_saturated(p->bans, 1);
    p->in_spite = 0;
    p->ban_until_ns = now_ns + length;
    return true;
}

int limiter_charge(struct limiter *l, const char *peer, enum limit_pool pool, uint32_t weight,
                   int64_t now_ns, int64_t *retry_ms) {
    ASSERT(pool < POOL_COUNT);
    struct peer *p = peer_of(l, named(peer), now_ns);
    int64_t window = now_ns / window_ns[pool];
    if (p->window[pool] != window) {
        p->window[pool] = window;
        p->used[pool] = 0;
    }
    p->used[pool] = add_saturated(p->used[pool], weight);
    *retry_ms = 0;
    if (p->ban_until_ns <= now_ns) {
        if (p->used[pool] <= limit_of(l, pool)) return 0;
        if (!ban_is_due(p, l->config.ban_after, now_ns)) {
            *retry_ms = ((window + 1) * window_ns[pool] - now_ns + NS_PER_MS - 1) / NS_PER_MS;
            return 429;
        }
    }
    *retry_ms = (p->ban_until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    return 418;
}

uint32_t limiter_weight(const struct limiter *l, const char *peer, int64_t now_ns) {
    uint64_t set;
    const struct peer *p = peer_find(l, named(peer), &set);
    return p && p->window[POOL_WEIGHT] == now_ns / NS_PER_MINUTE ? p->used[POOL_WEIGHT] : 0;
}

/* Slot of the account, or the free one where it belongs. Keys open at most KEYS_MAX accounts. */
static uint32_t account_slot(const struct limiter *l, uint32_t account) {
    uint32_t slot = (uint32_t)(hash64(&account, sizeof account) % ACCOUNT_SLOTS), n = 0;
    while (l->accounts[slot].number != account + 1 && l->accounts[slot].number != 0) {
        slot = (slot + 1) % ACCOUNT_SLOTS;
        ASSERT(++n < ACCOUNT_SLOTS);
    }
    return slot;
}

int limiter_order(struct limiter *l, uint32_t account, uint32_t orders_10s, uint32_t orders_1m,
                  int64_t now_ns, int64_t *retry_ms) {
    struct account *a = &l->accounts[account_slot(l, account)];
    int64_t window_10s = now_ns / (10 * NS_PER_SECOND), window_1m = now_ns / NS_PER_MINUTE;
    a->number = account + 1;
    if (a->window_10s != window_10s) a->in_10s = 0;
    if (a->window_1m != window_1m) a->in_1m = 0;
    a->window_10s = window_10s;
    a->window_1m = window_1m;
    a->in_10s = add_saturated(a->in_10s, orders_10s);
    a->in_1m = add_saturated(a->in_1m, orders_1m);
    int64_t until_ns = now_ns;
    if (a->in_10s > l->config.orders_10s) until_ns = (window_10s + 1) * 10 * NS_PER_SECOND;
    if (a->in_1m > l->config.orders_1m) until_ns = (window_1m + 1) * NS_PER_MINUTE;
    *retry_ms = (until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    return until_ns > now_ns ? 429 : 0;
}

void limiter_orders(const struct limiter *l, uint32_t account, int64_t now_ns, uint32_t *in_10s,
                    uint32_t *in_1m) {
    const struct account *a = &l->accounts[account_slot(l, account)];
    bool known = a->number == account + 1;
    *in_10s = known && a->window_10s == now_ns / (10 * NS_PER_SECOND) ? a->in_10s : 0;
    *in_1m = known && a->window_1m == now_ns / NS_PER_MINUTE ? a->in_1m : 0;
}
