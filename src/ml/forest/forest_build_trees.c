/* From trees to nodes: complete trees and ragged ones for rows, post-order and slots for blocks. */
#include "ml/forest/forest_build_internal.h"

uint32_t forest_perfect_depth(const struct tree *t) {
    uint8_t depth[FOREST_PERFECT_SPLITS] = {0};
    uint32_t most = 0;
    if (t->split_count > FOREST_PERFECT_SPLITS) return UINT32_MAX;
    for (uint32_t i = 0; i < t->split_count; i++) {
        uint32_t below = depth[i] + 1u;
        if (t->left[i] >= 0) depth[t->left[i]] = (uint8_t)below;
        if (t->right[i] >= 0) depth[t->right[i]] = (uint8_t)below;
        most = below > most ? below : most;
    }
    return most <= FOREST_PERFECT_DEPTH ? most : UINT32_MAX;
}

void forest_group_plan(struct forest_group *out, const struct tree *trees, uint32_t count,
                       uint32_t first) {
    uint32_t left = count - first, depth = 0, splits = 0;
    *out =
        (struct forest_group){.first = first, .count = left < FOREST_GROUP ? left : FOREST_GROUP};
    for (uint32_t i = 0; i < out->count; i++) {
        uint32_t d = forest_perfect_depth(&trees[first + i]);
        uint32_t n = trees[first + i].split_count;
        depth = d > depth ? d : depth;
        splits = n > splits ? n : splits;
    }
    out->is_perfect = depth != UINT32_MAX;
    out->depth = out->is_perfect ? depth : 0;
    out->has_signature = !out->is_perfect && splits <= FOREST_SIGNATURE_SPLITS;
}

/* A complete tree takes half the work a split, so it may be half empty. */
enum forest_block_kind forest_block_plan(const struct tree *t, uint32_t depth) {
    if (depth <= FOREST_PERFECT_DEPTH && (1u << depth) - 1 <= 2 * t->split_count)
        return BLOCK_PERFECT;
    return t->split_count <= FOREST_SLOTS_SPLITS ? BLOCK_SLOTS : BLOCK_WALK;
}

/* What is being written. */
struct cursor {
    uint32_t perfect, ragged, signature, leaf, block, slot, linear, term;
    uint32_t test; /* of the tree's first split */
};

/* ---- leaves ---- */

static void linear_put(struct forest_build *b, const struct tree *t, uint32_t leaf, uint32_t at,
                       struct cursor *c) {
    struct forest *f = b->f;
    uint32_t *of_leaf = (uint32_t *)forest_at(f, f->linear_of_leaf);
    struct forest_linear *linears = (struct forest_linear *)forest_at(f, f->linears);
    struct forest_term *terms = (struct forest_term *)forest_at(f, f->terms);
    of_leaf[at] = 0;
    if (!t->is_linear) return;
    struct forest_linear *l = &linears[c->linear];
    *l = (struct forest_linear){t->leaf_const[leaf], c->term, c->term};
    for (uint32_t k = t->linear_begin[leaf]; k < t->linear_begin[leaf + 1]; k++)
        terms[l->end++] =
            (struct forest_term){t->linear_coefficient[k], (uint32_t)t->linear_feature[k], 0};
    c->term = l->end;
    of_leaf[at] = ++c->linear;
}

/* A leaf's value at `count` places from `at`: complete trees repeat those that are not deep enough. */
static void leaf_put(struct forest_build *b, const struct tree *t, uint32_t leaf, uint32_t at,
                     uint32_t count, struct cursor *c) {
    struct forest *f = b->f;
    float *f32 = (float *)forest_at(f, f->leaf_values);
    double *f64 = (double *)forest_at(f, f->leaf_values);
    int32_t *ids = (int32_t *)forest_at(f, f->leaf_ids);
    uint32_t *linear = (uint32_t *)forest_at(f, f->linear_of_leaf);
    if (f->is_linear) linear_put(b, t, leaf, at, c);
    for (uint32_t i = at; i < at + count; i++) {
        if (f->dialect == TREES_XGBOOST)
            f32[i] = (float)tree_output_ref(b->m, t, leaf, NULL);
        else
            f64[i] = t->leaf_value[leaf];
        ids[i] = t->leaf_id ? t->leaf_id[leaf] : (int32_t)leaf;
        if (f->is_linear) linear[i] = linear[at];
    }
}

/* ---- for rows ---- */

static void perfect_node_put(const struct forest *f, uint32_t at, uint32_t test) {
    struct forest_perfect_narrow *narrow =
        (struct forest_perfect_narrow *)forest_at(f, f->perfect_nodes);
    struct forest_perfect_wide *wide = (struct forest_perfect_wide *)forest_at(f, f->perfect_nodes);
    if (f->is_narrow)
        narrow[at] = (struct forest_perfect_narrow){(uint8_t)test, (uint8_t)(test >> 8)};
    else
        wide[at] = (struct forest_perfect_wide){.last = (uint8_t)test, .column = test >> 8};
}

static uint32_t perfect_node(const struct forest *f, uint32_t at) {
    const struct forest_perfect_narrow *narrow =
        (const struct forest_perfect_narrow *)forest_at(f, f->perfect_nodes);
    const struct forest_perfect_wide *wide =
        (const struct forest_perfect_wide *)forest_at(f, f->perfect_nodes);
    return f->is_narrow ? narrow[at].last | (uint32_t)narrow[at].column << 8
                        : wide[at].last | (uint32_t)wide[at].column << 8;
}

/* Heap position of every split and, behind them, of every leaf. A leaf that is not at the bottom stands
 * for all below it; the nodes there stay zero, whichever way they send a row. */
static void perfect_put(struct forest_build *b, const struct tree *t, const struct forest_group *g,
                        uint32_t lane, struct cursor *c) {
    uint32_t *heap = b->node_of, base = g->node + (lane << g->depth);
    uint32_t leaves = g->leaf + (lane << g->depth), bottom = 1u << g->depth;
    if (t->split_count == 0) {
        leaf_put(b, t, 0, leaves, bottom, c);
        return;
    }
    heap[0] = 1;
    for (uint32_t i = 0; i < t->split_count; i++) {
        perfect_node_put(b->f, base + heap[i], b->tests[c->test + i]);
        for (uint32_t side = 0; side < 2; side++) {
            int32_t child = side ? t->right[i] : t->left[i];
            uint32_t at = 2 * heap[i] + side, width = 1;
            if (child >= 0) {
                heap[child] = at;
                continue;
            }
            for (; at < bottom; at *= 2) width *= 2;
            leaf_put(b, t, (uint32_t)~child, leaves + at - bottom, width, c);
        }
    }
}

static void ragged_node_put(const struct forest *f, uint32_t at, uint32_t test, uint32_t delta) {
    struct forest_ragged_narrow *narrow =
        (struct forest_ragged_narrow *)forest_at(f, f->ragged_nodes);
    struct forest_ragged_wide *wide = (struct forest_ragged_wide *)forest_at(f, f->ragged_nodes);
    if (f->is_narrow)
        narrow[at] =
            (struct forest_ragged_narrow){(uint8_t)test, (uint8_t)(test >> 8), (uint16_t)delta};
    else
        wide[at] =
            (struct forest_ragged_wide){.last = (uint8_t)test, .column = test >> 8, .delta = delta};
}

/* Number of a leaf, counted from left to right: the one that is split i's child on that side. */
static uint32_t leaf_place(const struct forest_build *b, const struct tree *t, uint32_t i,
                           uint32_t side) {
    uint32_t left = t->left[i] >= 0 ? b->below_of[t->left[i]] : 1;
    return b->first_of[i] + (side ? left : 0);
}

/* Fills first_of and below_of. Parents are numbered below their children. */
static void leaves_number(const struct forest_build *b, const struct tree *t) {
    for (uint32_t i = t->split_count; i-- > 0;)
        b->below_of[i] = (t->left[i] >= 0 ? b->below_of[t->left[i]] : 1) +
                         (t->right[i] >= 0 ? b->below_of[t->right[i]] : 1);
    b->first_of[0] = 0;
    for (uint32_t i = 0; i < t->split_count; i++) {
        if (t->left[i] >= 0) b->first_of[t->left[i]] = leaf_place(b, t, i, 0);
        if (t->right[i] >= 0) b->first_of[t->right[i]] = leaf_place(b, t, i, 1);
    }
}

/* Children stand next to each other, in the order of their parents. */
static void ragged_put(struct forest_build *b, const struct tree *t, uint32_t root, uint32_t leaf,
                       struct cursor *c) {
    const uint32_t never = 255; /* no rank is above it */
    uint32_t *at = b->node_of, *node_leaf = (uint32_t *)forest_at(b->f, b->f->node_leaf);
    uint32_t next = root + 1;
    at[0] = root;
    if (t->split_count == 0) {
        ragged_node_put(b->f, root, never, 0);
        node_leaf[root] = leaf;
        leaf_put(b, t, 0, leaf, 1, c);
    }
    for (uint32_t i = 0; i < t->split_count; i++) {
        ragged_node_put(b->f, at[i], b->tests[c->test + i], next - at[i]);
        node_leaf[at[i]] = leaf;
        for (uint32_t side = 0; side < 2; side++, next++) {
            int32_t child = side ? t->right[i] : t->left[i];
            if (child >= 0) {
                at[child] = next;
                continue;
            }
            uint32_t place = leaf + leaf_place(b, t, i, side);
            ragged_node_put(b->f, next, never, 0);
            node_leaf[next] = place;
            leaf_put(b, t, (uint32_t)~child, place, 1, c);
        }
    }
}

static void signature_put(const struct forest_build *b, const struct tree *t,
                          const struct forest_group *g, uint32_t lane, uint32_t leaf,
                          const struct cursor *c) {
    struct forest_signatures *s =
        (struct forest_signatures *)forest_at(b->f, b->f->signatures) + g->signature;
    struct forest_signature *tree = &s->tree[lane];
    s->leaf[lane] = leaf;
    memset(tree->last, 255, sizeof tree->last);
    for (uint32_t i = 0; i < t->split_count; i++) {
        tree->column[i] = (uint8_t)(b->tests[c->test + i] >> 8);
        tree->last[i] = (uint8_t)b->tests[c->test + i];
    }
    for (uint32_t k = 0; k < FOREST_SIGNATURE_NODES; k++) {
        uint32_t i = forest_signature_split(k);
        if (i >= t->split_count) continue;
        uint32_t left = leaf_place(b, t, i, 1) - b->first_of[i];
        tree->mask[k] = ~(((1u << left) - 1) << b->first_of[i]);
    }
}

/* depth: scratch (splits + 1) */
static uint32_t tree_depth(const struct tree *t, uint32_t *depth) {
    uint32_t most = 0;
    depth[0] = 0;
    for (uint32_t i = 0; i < t->split_count; i++) {
        uint32_t under = depth[i] + 1;
        if (t->left[i] >= 0) depth[t->left[i]] = under;
        if (t->right[i] >= 0) depth[t->right[i]] = under;
        most = under > most ? under : most;
    }
    return most;
}

/* ---- for blocks ---- */

static struct forest_block_node block_node(uint32_t test) {
    uint32_t offset = (test >> 8) * FOREST_LANES, limit = ((test & 255) + 1) & 255;
    ASSERT(offset <= UINT16_MAX);
    return (struct forest_block_node){(uint16_t)offset, (uint8_t)(limit ^ 128), 0};
}

/* Left, right, then the node itself. */
static void block_perfect_put(const struct forest_build *b, uint32_t base, uint32_t heap,
                              uint32_t height, struct cursor *c) {
    struct forest_block_node *nodes =
        (struct forest_block_node *)forest_at(b->f, b->f->block_nodes);
    if (height > 1) {
        block_perfect_put(b, base, 2 * heap, height - 1, c);
        block_perfect_put(b, base, 2 * heap + 1, height - 1, c);
    }
    nodes[c->block++] = block_node(perfect_node(b->f, base + heap));
}

static void block_slots_put(const struct forest_build *b, const struct tree *t,
                            const struct forest_group *g, struct cursor *c) {
    struct forest_slot_node *nodes = (struct forest_slot_node *)forest_at(b->f, b->f->slot_nodes);
    for (uint32_t i = 0; i < t->split_count; i++) {
        uint32_t slot[2];
        for (uint32_t side = 0; side < 2; side++) {
            int32_t child = side ? t->right[i] : t->left[i];
            if (child >= 0) {
                slot[side] = FOREST_SLOT_LEAVES + (uint32_t)child;
            } else if (!g->is_perfect) {
                slot[side] = leaf_place(b, t, i, side);
            } else { /* node_of: what perfect_put left there */
                uint32_t at = 2 * b->node_of[i] + side;
                for (; at < 1u << g->depth; at *= 2) continue;
                slot[side] = at - (1u << g->depth);
            }
            slot[side] *= FOREST_LANES;
        }
        struct forest_block_node n = block_node(b->tests[c->test + i]);
        nodes[c->slot++] =
            (struct forest_slot_node){n.offset, n.limit, 0, (uint16_t)slot[0], (uint16_t)slot[1]};
    }
}

static void block_put(struct forest_build *b, const struct tree *t, const struct forest_group *g,
                      struct forest_tree *tree, struct cursor *c) {
    uint32_t depth = forest_perfect_depth(t);
    tree->block_kind = forest_block_plan(t, depth);
    if (b->f->tile_blocks == 0) return;
    switch ((enum forest_block_kind)tree->block_kind) {
    case BLOCK_PERFECT:
        /* A tree less deep than its group has every leaf 2^shift times. In a ragged group, leaves
         * stand in the tree's order: complete trees are not made for it. */
        if (g->is_perfect) {
            tree->block_node = c->block;
            tree->block_depth = depth;
            tree->block_shift = g->depth - depth;
            if (depth) block_perfect_put(b, g->node + (tree->lane << g->depth), 1, depth, c);
            break;
        }
        tree->block_kind = BLOCK_SLOTS;
        /* fall through */
    case BLOCK_SLOTS:
        tree->block_node = c->slot;
        block_slots_put(b, t, g, c);
        break;
    case BLOCK_WALK:
        break;
    }
}

static void group_put(struct forest_build *b, struct forest_group *g, uint32_t index,
                      struct cursor *c) {
    struct forest_tree *trees = (struct forest_tree *)forest_at(b->f, b->f->trees);
    g->node = c->perfect;
    g->leaf = c->leaf;
    g->signature = c->signature;
    /* Columns of ranks are counted by now. */
    if (!b->kernels->group_leaves || b->f->rank_count > FOREST_SIGNATURE_RANKS)
        g->has_signature = 0;
    if (g->is_perfect) c->perfect += (uint32_t)FOREST_GROUP << g->depth;
    c->signature += g->has_signature;
    for (uint32_t lane = 0; lane < g->count; lane++) {
        const struct tree *t = &b->trees[g->first + lane];
        struct forest_tree *tree = &trees[g->first + lane];
        *tree = (struct forest_tree){.class_index = t->class_index,
                                     .leaf = c->leaf,
                                     .split_count = t->split_count,
                                     .group = index,
                                     .lane = lane};
        g->root[lane] = c->ragged;
        if (g->is_perfect) {
            perfect_put(b, t, g, lane, c);
            c->leaf += 1u << g->depth;
        } else {
            uint32_t depth = tree_depth(t, b->node_of);
            leaves_number(b, t);
            if (g->has_signature) signature_put(b, t, g, lane, c->leaf, c);
            ragged_put(b, t, c->ragged, c->leaf, c);
            g->depth = depth > g->depth ? depth : g->depth;
            c->ragged += 2 * t->split_count + 1;
            c->leaf += t->split_count + 1;
        }
        block_put(b, t, g, tree, c);
        c->test += t->split_count;
    }
    static const struct tree none; /* no splits: nothing is ruled out */
    for (uint32_t lane = g->count; lane < FOREST_GROUP; lane++) {
        g->root[lane] = g->root[0];
        if (g->has_signature) signature_put(b, &none, g, lane, g->leaf, c);
    }
}

void forest_build_trees(struct forest_build *b) {
    struct forest *f = b->f;
    struct forest_group *groups = (struct forest_group *)forest_at(f, f->groups);
    struct cursor c = {0};
    for (uint32_t first = 0; first < b->tree_count; first += FOREST_GROUP) {
        struct forest_group *g = &groups[f->group_count];
        forest_group_plan(g, b->trees, b->tree_count, first);
        group_put(b, g, f->group_count++, &c);
    }
}
