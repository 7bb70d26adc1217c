/* The least of all renamed images of a row. The tables are those of orbits.py. */
#include <stdint.h>
#include <string.h>

typedef struct {
    uint64_t order;
    const uint64_t (*moves)[4], *moves_at, (*maps)[6], *maps_at, *values;
} Orbits;

static void orbits_canonical(const Orbits *o, uint64_t *row) {
    uint64_t least[W];
    memcpy(least, row, sizeof least);
    for (uint64_t g = 1; g < o->order; g++) {
        uint64_t image[W] = {0};
        for (uint64_t i = o->moves_at[g]; i < o->moves_at[g + 1]; i++) {
            const uint64_t *m = o->moves[i];
            uint64_t bits = row[m[0]] & m[1];
            image[m[3]] |= bits << m[2] | bits >> (-m[2] & 63);
        }
        for (uint64_t i = o->maps_at[g]; i < o->maps_at[g + 1]; i++) {
            const uint64_t *m = o->maps[i];
            image[m[3]] |= o->values[m[5] + (row[m[0]] >> m[1] & m[2])] << m[4];
        }
        int word = 0;
        while (word < W - 1 && image[word] == least[word]) word++;
        if (image[word] < least[word]) memcpy(least, image, sizeof least);
    }
    memcpy(row, least, sizeof least);
}
