/* The row that stands for a row and its renamings. The tables are those of orbits.py. */
#include <stdint.h>
#include <string.h>

typedef struct {
    uint64_t slots, leaf; /* elements that are told apart; nodes of the tree from `leaf` on are renamings */
    const uint64_t (*flags)[4], *flags_end, (*choices)[5], *choices_end, *weights;
    const uint64_t *children, (*child)[2];
    const uint64_t (*moves)[4], *moves_at, (*maps)[6], *maps_at, *values;
} Orbits;

typedef struct {
    uint64_t sign[MOST_SLOTS], least[W];
    int some;
} Orbit;

static uint64_t population(uint64_t x) {
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    return ((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56;
}

/* What the row says of each element, whatever the others are called. */
static void sign(const Orbits *o, const uint64_t *row, uint64_t *sign) {
    memset(sign, 0, o->slots * sizeof *sign);
    for (const uint64_t(*f)[4] = o->flags; f < o->flags + *o->flags_end; f++) {
        uint64_t bits = row[(*f)[1]] & (*f)[2];
        if (bits) sign[(*f)[0]] += (*f)[3] * (bits & (bits - 1) ? population(bits) : 1);
    }
    for (const uint64_t(*c)[5] = o->choices; c < o->choices + *o->choices_end; c++)
        sign[(*c)[0]] += o->weights[(*c)[4] + (row[(*c)[1]] >> (*c)[2] & (*c)[3])];
}

static void rename(const Orbits *o, const uint64_t *row, uint64_t g, uint64_t *image) {
    memset(image, 0, W * sizeof *image);
    for (uint64_t i = o->moves_at[g]; i < o->moves_at[g + 1]; i++) {
        const uint64_t *m = o->moves[i];
        uint64_t bits = row[m[0]] & m[1];
        image[m[3]] |= bits << m[2] | bits >> (-m[2] & 63);
    }
    for (uint64_t i = o->maps_at[g]; i < o->maps_at[g + 1]; i++) {
        const uint64_t *m = o->maps[i];
        image[m[3]] |= o->values[m[5] + (row[m[0]] >> m[1] & m[2])] << m[4];
    }
}

/* Keep the least image of all renamings below a node that order the elements by their signatures. */
static void visit(const Orbits *o, const uint64_t *row, uint64_t node, Orbit *orbit) {
    if (node >= o->leaf) {
        uint64_t image[W];
        rename(o, row, node - o->leaf, image);
        int word = 0;
        while (word < W - 1 && image[word] == orbit->least[word]) word++;
        if (!orbit->some || image[word] < orbit->least[word]) memcpy(orbit->least, image, sizeof image);
        orbit->some = 1;
        return;
    }
    uint64_t least = UINT64_MAX;
    for (uint64_t i = o->children[node]; i < o->children[node + 1]; i++)
        if (orbit->sign[o->child[i][0]] < least) least = orbit->sign[o->child[i][0]];
    for (uint64_t i = o->children[node]; i < o->children[node + 1]; i++)
        if (orbit->sign[o->child[i][0]] == least) visit(o, row, o->child[i][1], orbit);
}

static void orbits_canonical(const Orbits *o, uint64_t *row) {
    Orbit orbit;
    orbit.some = 0;
    sign(o, row, orbit.sign);
    visit(o, row, 0, &orbit);
    memcpy(row, orbit.least, sizeof orbit.least);
}
