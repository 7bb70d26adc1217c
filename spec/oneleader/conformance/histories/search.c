/* The search of search.py over numbers, move by move the same: an order for the operations of one object.

   States and operations are numbered. What an operation does to a state is asked of Python once and kept.
   What was taken is kept as two sets of bits: of operations whose outcome is known, where all bits are set
   up to a word and none beyond another one, and of the others. What was tried may be forgotten at any time:
   that costs time and changes no result. Each function returns what Python has to do next. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GO_ON, EXPLAINED, STUCK, ASK, FULL, NO_MEMORY };
enum { KNOWN = 1, CHANGES_NOTHING = 2 };
#define NO_FIT UINT32_MAX
#define NONE UINT32_MAX

typedef struct { uint64_t key; uint32_t then; } Answer; /* key: state and sort of operation, plus one */
typedef struct { uint64_t hash, at; } Tried;            /* at: where its words begin, plus one */
typedef struct { uint64_t *words; uint32_t low, high; } Bits; /* full below `low`, empty from `high` on */

typedef struct { /* the fields of `SearchState` in compiled.py */
    uint32_t size, left, depth, held, asked, at, farthest, sorts_known;
    uint64_t moves;           /* left in this turn */
    const uint32_t *sorts;    /* what each operation does */
    const uint8_t *traits;    /* KNOWN, CHANGES_NOTHING */
    uint32_t *after, *before; /* the timeline: call i, return size + i, head 2 * size */
    const uint32_t *rank;
    uint32_t *taken, *states; /* what was taken, and what was held before */
    uint32_t *bit;            /* the place of an operation in its set */
    Bits known, unknown;
    uint64_t hash;
    Answer *answers;
    uint64_t answers_mask, answers_size;
    Tried *tried;
    uint64_t tried_mask, tried_size;
    uint64_t *kept, kept_size, kept_room; /* the words of all that was tried */
    uint64_t most_bytes;
} Search;

static uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* ---------------------------------------------------------------------------------- what was answered */
static Answer *answer(const Search *s, uint64_t key) {
    uint64_t i = mixed(key) & s->answers_mask;
    while (s->answers[i].key && s->answers[i].key != key) i = (i + 1) & s->answers_mask;
    return &s->answers[i];
}

static uint64_t question(const Search *s, uint32_t state, uint32_t sort) {
    return ((uint64_t)state * s->sorts_known + sort) + 1;
}

/* Keep the answer to what was asked. */
static int learn(Search *s, uint32_t then) {
    if (2 * (s->answers_size + 1) > s->answers_mask) {
        Answer *old = s->answers;
        uint64_t size = s->answers_mask + 1;
        s->answers = calloc(2 * size, sizeof *old);
        if (!s->answers) { s->answers = old; return NO_MEMORY; }
        s->answers_mask = 2 * size - 1;
        for (uint64_t i = 0; i < size; i++)
            if (old[i].key) *answer(s, old[i].key) = old[i];
        free(old);
    }
    uint64_t key = question(s, s->held, s->asked);
    *answer(s, key) = (Answer){key, then};
    s->answers_size++;
    s->asked = NONE;
    return GO_ON;
}

/* ------------------------------------------------------------------------------------- what was taken */
static void flip(Search *s, uint32_t i) {
    Bits *b = s->traits[i] & KNOWN ? &s->known : &s->unknown;
    uint32_t word = s->bit[i] / 64;
    b->words[word] ^= 1ull << s->bit[i] % 64;
    s->hash ^= mixed(i + 1);
    if (word >= b->high) b->high = word + 1;
    while (b->high && !b->words[b->high - 1]) b->high--;
    if (word < b->low) b->low = word;
    while (b->low < b->high && !~b->words[b->low]) b->low++;
}

static void lift(Search *s, uint32_t i) {
    for (uint32_t e = i; e <= i + s->size; e += s->size) {
        s->after[s->before[e]] = s->after[e];
        s->before[s->after[e]] = s->before[e];
    }
}

static void unlift(Search *s, uint32_t i) {
    uint32_t e = i + s->size;
    s->after[s->before[e]] = s->before[s->after[e]] = e;
    s->after[s->before[i]] = s->before[s->after[i]] = i;
}

/* ------------------------------------------------------------------------------------- what was tried */
static uint64_t described(const Search *s, uint32_t state, uint64_t *words) {
    const Bits *k = &s->known, *u = &s->unknown;
    uint32_t of_known = k->high - k->low;
    words[0] = (uint64_t)state << 32 | k->low;
    words[1] = (uint64_t)of_known << 32 | u->high;
    memcpy(words + 2, k->words + k->low, of_known * sizeof *words);
    memcpy(words + 2 + of_known, u->words, u->high * sizeof *words);
    return 2 + of_known + u->high;
}

static int more_tried(Search *s) {
    Tried *old = s->tried;
    uint64_t size = s->tried_mask + 1;
    s->tried = calloc(2 * size, sizeof *old);
    if (!s->tried) { s->tried = old; return NO_MEMORY; }
    s->tried_mask = 2 * size - 1;
    for (uint64_t i = 0; i < size; i++) {
        if (!old[i].at) continue;
        uint64_t j = old[i].hash & s->tried_mask;
        while (s->tried[j].at) j = (j + 1) & s->tried_mask;
        s->tried[j] = old[i];
    }
    free(old);
    return GO_ON;
}

static int more_words(Search *s, uint64_t needed) {
    while (s->kept_room < s->kept_size + needed) {
        uint64_t *wider = realloc(s->kept, 2 * s->kept_room * sizeof *wider);
        if (!wider) return NO_MEMORY;
        s->kept = wider;
        s->kept_room *= 2;
    }
    return GO_ON;
}

/* Whether what is taken now, with this state, was tried; it is kept from now on. */
static int try_new(Search *s, uint32_t state, int *is_new) {
    uint64_t most = 2 + s->known.high - s->known.low + s->unknown.high;
    if (2 * (s->tried_size + 1) > s->tried_mask && more_tried(s)) return NO_MEMORY;
    if (more_words(s, most)) return NO_MEMORY;
    uint64_t *words = s->kept + s->kept_size, count = described(s, state, words);
    uint64_t hash = mixed(s->hash + mixed(state + 1ull));
    uint64_t i = hash & s->tried_mask;
    for (; s->tried[i].at; i = (i + 1) & s->tried_mask) {
        const uint64_t *other = s->kept + s->tried[i].at - 1;
        if (s->tried[i].hash == hash && !memcmp(other, words, 2 * sizeof *words)
            && !memcmp(other, words, count * sizeof *words)) { *is_new = 0; return GO_ON; }
    }
    s->tried[i] = (Tried){hash, s->kept_size + 1};
    s->tried_size++;
    s->kept_size += count;
    *is_new = 1;
    return GO_ON;
}

static uint64_t bytes(const Search *s) {
    return s->kept_size * sizeof *s->kept + (s->tried_mask + 1) * sizeof *s->tried
        + (s->answers_mask + 1) * sizeof *s->answers;
}

/* -------------------------------------------------------------------------------------------- the search */
/* Whatever was tried and answered. */
int forget(Search *s) {
    free(s->answers);
    free(s->tried);
    free(s->kept);
    s->answers_mask = s->tried_mask = 63;
    s->kept_room = 256;
    s->answers_size = s->tried_size = s->kept_size = 0;
    s->answers = calloc(64, sizeof *s->answers);
    s->tried = calloc(64, sizeof *s->tried);
    s->kept = malloc(256 * sizeof *s->kept);
    return s->answers && s->tried && s->kept ? GO_ON : NO_MEMORY;
}

void end(Search *s) {
    free(s->answers);
    free(s->tried);
    free(s->kept);
    free(s->known.words);
    free(s->unknown.words);
}

/* The caller has filled in the fields before `known`. */
int begin(Search *s) {
    uint32_t count[2] = {0, 0};
    for (uint32_t i = 0; i < s->size; i++) s->bit[i] = count[s->traits[i] & KNOWN]++;
    s->left = count[KNOWN];
    s->at = s->after[2 * s->size];
    s->farthest = s->asked = NONE;
    s->known.words = calloc(count[KNOWN] / 64 + 1, sizeof(uint64_t));
    s->unknown.words = calloc(count[0] / 64 + 1, sizeof(uint64_t));
    return s->known.words && s->unknown.words ? forget(s) : NO_MEMORY;
}

static void take(Search *s, uint32_t i, uint32_t then) {
    s->taken[s->depth] = i;
    s->states[s->depth++] = s->held;
    s->held = then;
    s->left -= s->traits[i] & KNOWN;
    lift(s, i);
    s->at = s->after[2 * s->size];
}

/* Back to the last operation that might have come later. */
static int go_back(Search *s) {
    uint32_t rank = s->rank[s->at];
    if (s->farthest == NONE || rank > s->rank[s->farthest]) s->farthest = s->at;
    while (s->depth) {
        uint32_t i = s->taken[--s->depth];
        s->held = s->states[s->depth];
        s->left += s->traits[i] & KNOWN;
        flip(s, i);
        unlift(s, i);
        if (s->traits[i] & CHANGES_NOTHING) continue;
        s->at = s->after[i];
        return GO_ON;
    }
    return STUCK;
}

static int try_call(Search *s, uint32_t i) {
    const Answer *known = answer(s, question(s, s->held, s->sorts[i]));
    if (!known->key) { s->asked = s->sorts[i]; return ASK; }
    uint32_t then = known->then;
    int is_new = then != NO_FIT && (s->traits[i] & KNOWN || then != s->held);
    if (is_new) {
        flip(s, i);
        if (!(s->traits[i] & CHANGES_NOTHING) && try_new(s, then, &is_new)) return NO_MEMORY;
        if (!is_new) flip(s, i);
    }
    if (is_new) take(s, i, then);
    else s->at = s->after[i];
    return GO_ON;
}

/* Go on for the moves of this turn. `then` is the answer if something was asked. */
int advance(Search *s, uint32_t then) {
    int now = s->asked == NONE ? GO_ON : learn(s, then);
    while (s->left && s->moves && now == GO_ON) {
        now = s->at < s->size ? try_call(s, s->at) : go_back(s);
        s->moves -= now != ASK;
        if (now == GO_ON && bytes(s) > s->most_bytes) return FULL;
    }
    return now == GO_ON && !s->left ? EXPLAINED : now;
}
