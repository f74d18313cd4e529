/* Walks over one size of nodes. Included with
 *   WALK(name)                  the functions' names
 *   WALK_PERFECT, WALK_RAGGED   types of the nodes
 * No branch depends on a rank. */

/* Eight complete trees of a depth known to the compiler. out: numbers of the leaves' values. */
static inline __attribute__((always_inline)) void
WALK(perfect_depth)(uint32_t out[FOREST_GROUP], const WALK_PERFECT *nodes, const uint8_t *ranks,
                    uint32_t leaf, uint32_t depth) {
    size_t j0 = 1, j1 = 1, j2 = 1, j3 = 1, j4 = 1, j5 = 1, j6 = 1, j7 = 1;
#define STEP(lane)                                                                                 \
    do {                                                                                           \
        const WALK_PERFECT *node = nodes + ((size_t)lane << depth) + j##lane;                      \
        bool right = node->last < ranks[node->column];                                             \
        j##lane = kept(2 * kept(j##lane)) + right;                                                 \
    } while (0)
    for (uint32_t level = 0; level < depth; level++) {
        STEP(0);
        STEP(1);
        STEP(2);
        STEP(3);
        STEP(4);
        STEP(5);
        STEP(6);
        STEP(7);
    }
#undef STEP
    const uint32_t size = 1u << depth;
    leaf -= size;
    out[0] = leaf + (uint32_t)j0;
    out[1] = leaf + (uint32_t)j1 + size;
    out[2] = leaf + (uint32_t)j2 + 2 * size;
    out[3] = leaf + (uint32_t)j3 + 3 * size;
    out[4] = leaf + (uint32_t)j4 + 4 * size;
    out[5] = leaf + (uint32_t)j5 + 5 * size;
    out[6] = leaf + (uint32_t)j6 + 6 * size;
    out[7] = leaf + (uint32_t)j7 + 7 * size;
}

static void WALK(perfect)(uint32_t out[FOREST_GROUP], const struct forest *f,
                          const struct forest_group *g, const uint8_t *ranks) {
    const WALK_PERFECT *nodes = (const WALK_PERFECT *)forest_at(f, f->perfect_nodes) + g->node;
#define DEPTH(d)                                                                                   \
    case d:                                                                                        \
        WALK(perfect_depth)(out, nodes, ranks, g->leaf, d);                                        \
        break
    switch (g->depth) {
        DEPTH(0);
        DEPTH(1);
        DEPTH(2);
        DEPTH(3);
        DEPTH(4);
        DEPTH(5);
        DEPTH(6);
        DEPTH(7);
    }
#undef DEPTH
    _Static_assert(FOREST_PERFECT_DEPTH == 7, "a case for every depth");
}

static inline __attribute__((always_inline)) size_t
WALK(ragged_step)(size_t j, const WALK_RAGGED *nodes, const uint8_t *ranks) {
    const WALK_RAGGED *node = nodes + j;
    bool right = node->last < ranks[node->column];
    return kept(j + node->delta) + right;
}

static void WALK(ragged)(uint32_t out[FOREST_GROUP], const struct forest *f,
                         const struct forest_group *g, const uint8_t *ranks) {
    const WALK_RAGGED *nodes = (const WALK_RAGGED *)forest_at(f, f->ragged_nodes);
    const uint32_t *leaf = (const uint32_t *)forest_at(f, f->node_leaf);
    size_t j0 = g->root[0], j1 = g->root[1], j2 = g->root[2], j3 = g->root[3];
    size_t j4 = g->root[4], j5 = g->root[5], j6 = g->root[6], j7 = g->root[7];
    for (uint32_t level = 0; level < g->depth; level++) {
        j0 = WALK(ragged_step)(j0, nodes, ranks);
        j1 = WALK(ragged_step)(j1, nodes, ranks);
        j2 = WALK(ragged_step)(j2, nodes, ranks);
        j3 = WALK(ragged_step)(j3, nodes, ranks);
        j4 = WALK(ragged_step)(j4, nodes, ranks);
        j5 = WALK(ragged_step)(j5, nodes, ranks);
        j6 = WALK(ragged_step)(j6, nodes, ranks);
        j7 = WALK(ragged_step)(j7, nodes, ranks);
    }
    out[0] = leaf[j0];
    out[1] = leaf[j1];
    out[2] = leaf[j2];
    out[3] = leaf[j3];
    out[4] = leaf[j4];
    out[5] = leaf[j5];
    out[6] = leaf[j6];
    out[7] = leaf[j7];
}

/* One ragged tree, a block of rows with turned ranks, eight of them at a time. */
static void WALK(block)(uint32_t *out, const struct forest *f, const struct forest_group *g,
                        uint32_t lane, const uint8_t *ranks) {
    const WALK_RAGGED *nodes = (const WALK_RAGGED *)forest_at(f, f->ragged_nodes);
    const uint32_t *leaf = (const uint32_t *)forest_at(f, f->node_leaf);
    for (uint32_t from = 0; from < FOREST_LANES; from += FOREST_GROUP) {
        size_t j[FOREST_GROUP], moved = 1;
        for (uint32_t r = 0; r < FOREST_GROUP; r++) j[r] = g->root[lane];
        while (moved) {
            moved = 0;
            for (uint32_t r = 0; r < FOREST_GROUP; r++) {
                const WALK_RAGGED *node = nodes + j[r];
                uint8_t rank = ranks[(size_t)node->column * FOREST_LANES + from + r] ^ 128;
                moved |= node->delta;
                j[r] += node->delta + (size_t)(node->last < rank);
            }
        }
        for (uint32_t r = 0; r < FOREST_GROUP; r++) out[from + r] = leaf[j[r]];
    }
}
