/* The search of search.py over numbers, move by move the same: an order for the operations of one object.

   States and operations are numbered. What an operation does is known here if it reads, writes, swaps or
   appends; anything else is asked of Python, once for each state, and kept.
   What was taken is kept as two sets of bits: of operations whose outcome is known, where all bits are set
   up to a word and none beyond another one, and of the others. What was tried may be forgotten at any time:
   that costs time and changes no result. Each function returns what Python has to do next. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GO_ON, EXPLAINED, STUCK, ASK, FULL, NO_MEMORY };
enum { KNOWN = 1, CHANGES_NOTHING = 2 };
enum { ASKED, READS, WRITES, SWAPS, APPENDS };
enum { UNKNOWN, SUCCEEDED, FAILED };
enum { NOTHING, EMPTY }; /* the first texts */
#define NO_FIT UINT32_MAX
#define NONE UINT32_MAX

typedef struct { uint64_t key; uint32_t then; } Answer; /* key: state and sort of operation, plus one */
typedef struct { uint64_t hash, at; } Tried;            /* at: where its words begin, plus one */
typedef struct { uint64_t *words; uint32_t low, high; } Bits; /* full below `low`, empty from `high` on */

typedef struct { uint32_t does, outcome, a, b; } Form; /* a read of a or b, a write of a, a swap of a for b */
/* A text is another one and a byte more. Those that go on from it: `child`, and the siblings of that one. */
typedef struct { uint32_t parent, child, sibling, byte; } Text;

typedef struct { /* the fields of `SearchState` in compiled.py */
    uint32_t size, left, depth, held, asked, at, farthest, sorts_known, of_texts;
    uint64_t moves;           /* left in this turn */
    const uint32_t *sorts;    /* what each operation does */
    Form *forms;              /* of each sort */
    const uint8_t *appended;  /* bytes: b of them from a on */
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
    Text *texts;              /* a parent comes before its children */
    uint64_t texts_size, texts_room;
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

/* Keep the answer to a question. */
static int keep(Search *s, uint64_t key, uint32_t then) {
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
    *answer(s, key) = (Answer){key, then};
    s->answers_size++;
    return GO_ON;
}

/* ---------------------------------------------------------------------------------------------- texts */
static int room_for_texts(Search *s, uint64_t room) {
    Text *texts = realloc(s->texts, room * sizeof *texts);
    if (!texts) return NO_MEMORY;
    s->texts = texts;
    s->texts_room = room;
    return GO_ON;
}

static void adopt(Search *s, uint32_t child) {
    Text *t = &s->texts[child], *parent = &s->texts[t->parent];
    t->child = 0;
    t->sibling = parent->child;
    parent->child = child;
}

/* A text and a byte more, which is new; NO_FIT where memory ends. */
static uint32_t longer(Search *s, uint32_t from, uint8_t byte) {
    if (s->texts_size == s->texts_room && room_for_texts(s, 2 * s->texts_room)) return NO_FIT;
    s->texts[s->texts_size] = (Text){from, 0, 0, byte};
    adopt(s, s->texts_size);
    return s->texts_size++;
}

/* The text that is `from` and these bytes; NO_FIT where memory ends. */
uint32_t text(Search *s, uint32_t from, const uint8_t *bytes, uint32_t count) {
    if (from == NOTHING) from = EMPTY;
    for (; count-- && from != NO_FIT; bytes++) {
        uint32_t found = s->texts[from].child;
        while (found && s->texts[found].byte != *bytes) found = s->texts[found].sibling;
        from = found ? found : longer(s, from, *bytes);
    }
    return from;
}

static void renumber(uint32_t *text, const uint32_t *number) { *text = number[*text] - 1; }

/* Keep the texts that operations name or that were held on the way here, and what they begin with. */
static int forget_texts(Search *s) {
    uint32_t *number = calloc(s->texts_size, sizeof *number), kept = 0; /* the new one, plus one */
    if (!number) return NO_MEMORY;
    number[NOTHING] = number[EMPTY] = number[s->held] = 1;
    for (uint32_t i = 0; i < s->depth; i++) number[s->states[i]] = 1;
    for (uint32_t i = 0; i < s->sorts_known; i++)
        if (s->forms[i].does != APPENDS) number[s->forms[i].a] = number[s->forms[i].b] = 1;
    for (uint64_t i = s->texts_size; i-- > EMPTY + 1;)
        if (number[i]) number[s->texts[i].parent] = 1;
    for (uint64_t i = 0; i < s->texts_size; i++) {
        if (!number[i]) continue;
        s->texts[kept] = s->texts[i];
        if (i > EMPTY) renumber(&s->texts[kept].parent, number);
        number[i] = ++kept;
    }
    renumber(&s->held, number);
    for (uint32_t i = 0; i < s->depth; i++) renumber(&s->states[i], number);
    for (uint32_t i = 0; i < s->sorts_known; i++) {
        if (s->forms[i].does == APPENDS) continue;
        renumber(&s->forms[i].a, number);
        renumber(&s->forms[i].b, number);
    }
    free(number);
    s->texts_size = kept;
    s->texts[EMPTY].child = 0;
    for (uint32_t i = EMPTY + 1; i < kept; i++) adopt(s, i);
    uint64_t room = 64;
    while (room < 2 * kept) room *= 2;
    return room_for_texts(s, room);
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
        + (s->answers_mask + 1) * sizeof *s->answers
        + s->texts_room * sizeof *s->texts;
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
    if (!s->answers || !s->tried || !s->kept) return NO_MEMORY;
    return s->of_texts ? forget_texts(s) : GO_ON;
}

void end(Search *s) {
    free(s->answers);
    free(s->tried);
    free(s->kept);
    free(s->known.words);
    free(s->unknown.words);
    free(s->texts);
}

/* The caller has filled in the fields before `known`. */
int begin(Search *s) {
    uint32_t count[2] = {0, 0};
    for (uint32_t i = 0; i < s->size; i++) s->bit[i] = count[s->traits[i] & KNOWN]++;
    s->left = count[KNOWN];
    s->texts_size = EMPTY + 1;
    s->at = s->after[2 * s->size];
    s->farthest = s->asked = NONE;
    s->known.words = calloc(count[KNOWN] / 64 + 1, sizeof(uint64_t));
    s->unknown.words = calloc(count[0] / 64 + 1, sizeof(uint64_t));
    if (!s->known.words || !s->unknown.words || room_for_texts(s, 64)) return NO_MEMORY;
    s->texts[EMPTY] = (Text){0};
    return forget(s);
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

/* What is held after an operation of this sort; NO_FIT where it does not fit. It may have to be asked. */
static int held_after(Search *s, uint32_t sort, uint32_t *then) {
    const Form *f = &s->forms[sort];
    int is_held = s->held == f->a, fits;
    *then = s->held;
    switch (f->does) {
    case READS:
        fits = f->outcome == UNKNOWN || is_held || s->held == f->b;
        if (!fits) *then = NO_FIT;
        return GO_ON;
    case WRITES:
        *then = f->a;
        return GO_ON;
    case SWAPS:
        if (is_held) *then = f->b;
        if (f->outcome == (is_held ? FAILED : SUCCEEDED)) *then = NO_FIT;
        return GO_ON;
    case APPENDS:
        *then = text(s, s->held, s->appended + f->a, f->b);
        return *then == NO_FIT ? NO_MEMORY : GO_ON;
    }
    const Answer *known = answer(s, question(s, s->held, sort));
    if (known->key) *then = known->then;
    else s->asked = sort;
    return known->key ? GO_ON : ASK;
}

static int try_call(Search *s, uint32_t i) {
    uint32_t then;
    int now = held_after(s, s->sorts[i], &then);
    if (now != GO_ON) return now;
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
    int now = s->asked == NONE ? GO_ON : keep(s, question(s, s->held, s->asked), then);
    s->asked = NONE;
    while (s->left && s->moves && now == GO_ON) {
        now = s->at < s->size ? try_call(s, s->at) : go_back(s);
        s->moves -= now != ASK;
        if (now == GO_ON && bytes(s) > s->most_bytes) return FULL;
    }
    return now == GO_ON && !s->left ? EXPLAINED : now;
}
