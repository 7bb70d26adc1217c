/* Searching with one model compiled in. native.py puts before this text the sizes of the model (W words
   a row, STEPS, WITNESSES) and, with symmetry, SYMMETRY and the text of orbits.c; after it stand the
   functions of the model that are declared below.

   The search is exact. States are rows; the table holds, for each, the upper half of its hash and its
   number, and where halves are equal the rows are compared. A row is written before the entry that makes
   it known is swapped in: no thread reads half a row, and none waits for another. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef int64_t i64;

#ifndef FINGERPRINT_BITS
#define FINGERPRINT_BITS 32 /* fewer, in a test, make different states look alike */
#endif
#ifndef SYMMETRY
#define SYMMETRY 0
typedef void Orbits;
#define orbits_canonical(orbits, row) ((void)0)
#endif
#define BATCH 128                          /* successors looked up together: their cache misses overlap */
#define ROWS (1 + 16384 / (STEPS + 256))   /* states that a thread takes at a time */
#define SLOTS 256                          /* free rows that a thread takes at a time */
#define ROOM (ROWS * STEPS + BATCH + SLOTS) /* free rows that it may use up before it asks again */
#define RECENT 4096                        /* successors that a thread remembers */
#define NONE UINT64_MAX
#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define SWAP(x, old, new) __atomic_compare_exchange_n(&(x), &(old), new, 0, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE)
#define ADD(x, n) __atomic_fetch_add(&(x), n, __ATOMIC_RELAXED)

/* One call from Python. `Job` in native.py has the same fields. */
typedef struct {
    u64 *rows, *table;            /* states; for each a fingerprint and its number + 1, and 0 where empty */
    const Orbits *orbits;
    i64 *taken, *cut;             /* each step, how often */
    const u64 *target;            /* precede: the row sought */
    u64 *after;                   /* canonical, expand: rows, and for each its parent and its step */
    i64 *parent, *step, *number;  /* expand: where a row's successors begin; judge: which property is false */
    uint8_t *truth, *lost;        /* witness: which are true; expand: whether it is stuck, and fails */
    u64 mask, limit;              /* the table's length - 1; the most rows */
    u64 next, end, size;          /* the rows to do; all rows */
    u64 threads, idle;            /* expand: whether steps that change nothing are kept */
    u64 stuck, failed, clash;     /* results: the least such row; the first step that clashes */
    u64 found;                    /* precede: the first row with a step to the target */
} Job;

/* A thread. The first n of `row` wait to be looked up; `slot` to `end` are free rows of its own. */
typedef struct Worker {
    Job *job;
    void (*task)(struct Worker *, u64 i);
    pthread_t thread;
    u64 n, slot, end, stuck, failed, clash;
    int fails, cuts;              /* of the state expanded last, and then its steps */
    u32 step[STEPS + 1];
    i64 taken[STEPS + 1], cut[STEPS + 1];
    u64 hash[BATCH + STEPS], place[BATCH + STEPS], row[BATCH + STEPS][W];
    u64 recent[RECENT][W + 1];    /* a hash, made odd, and its row */
} Worker;

/* The model. `steps` writes the states after s to `after` and which steps lead there to k->step. */
#define FAIL k->fails = 1
#define CUT(number) (k->cuts = 1, k->cut[number]++)
#define CLASH(number) (k->clash = number < k->clash ? number : k->clash)
static u32 steps(Worker *k, const u64 *s, u64 *after);
static i64 first_false(const u64 *s);
static void witnessed(const u64 *s, uint8_t *truth);

static inline int same(const u64 *a, const u64 *b) {
    u64 differ = 0;
    for (int i = 0; i < W; i++) differ |= a[i] ^ b[i];
    return !differ;
}

static inline void copy(u64 *to, const u64 *from) {
    for (int i = 0; i < W; i++) to[i] = from[i];
}

static inline u64 mix(u64 x) {
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

static inline u64 hash(const u64 *row) {
    u64 h = 0;
    for (int i = 0; i < W; i++) h = mix((h ^ row[i]) * 0x9e3779b97f4a7c15u);
    return h;
}

/* The entry of row number i; `row_of` leads back. */
static inline u64 entry_of(u64 h, u64 i) { return (h >> 32 & ((1ull << FINGERPRINT_BITS) - 1)) << 32 | (i + 1); }
static inline u64 *row_of(const Job *job, u64 entry) { return job->rows + (u64)((u32)entry - 1) * W; }
static inline int alike(u64 entry, u64 h) { return entry >> 32 == entry_of(h, 0) >> 32; }

/* The lesser of two rows; NONE stands for no row. */
static u64 lesser(const Job *job, u64 a, u64 b) {
    if (a == NONE || b == NONE) return a == NONE ? b : a;
    for (int i = 0; i < W; i++) {
        u64 x = job->rows[a * W + i], y = job->rows[b * W + i];
        if (x != y) return x < y ? a : b;
    }
    return a;
}

/* ---- the search ---------------------------------------------------------------------------------- */

/* Enter a row of which the places before p say that it is not there. */
static void enter(Worker *k, const u64 *row, u64 h, u64 p) {
    Job *job = k->job;
    for (;; p = (p + 1) & job->mask) {
        u64 entry = LOAD(job->table[p]);
        if (!entry) {
            if (k->slot == k->end) k->end = (k->slot = ADD(job->size, SLOTS)) + SLOTS;
            copy(job->rows + k->slot * W, row);
            if (SWAP(job->table[p], entry, entry_of(h, k->slot))) {
                k->slot++;
                return;
            } /* else another thread was first, and `entry` is what it wrote */
        }
        if (alike(entry, h) && same(row_of(job, entry), row)) return;
    }
}

/* Look up the rows that wait and enter the new ones: all entries first, then the rows they name. */
static void settle(Worker *k) {
    Job *job = k->job;
    for (u64 j = 0; j < k->n; j++) {
        u64 p = k->hash[j] & job->mask, entry;
        while ((entry = LOAD(job->table[p])) && !alike(entry, k->hash[j])) p = (p + 1) & job->mask;
        if (entry) __builtin_prefetch(row_of(job, entry));
        k->place[j] = p;
    }
    for (u64 j = 0; j < k->n; j++) enter(k, k->row[j], k->hash[j], k->place[j]);
    k->n = 0;
}

/* Whether the thread has met this row not long ago: then it is known already or waits. */
static int met(Worker *k, const u64 *row, u64 h) {
    u64 *recent = k->recent[h % RECENT];
    if (recent[0] == (h | 1) && same(recent + 1, row)) return 1;
    recent[0] = h | 1;
    copy(recent + 1, row);
    return 0;
}

/* The states after row i, to `after`; how many they are. */
static u32 successors(Worker *k, u64 i, u64 *after) {
    k->fails = k->cuts = 0;
    u32 found = steps(k, k->job->rows + i * W, after);
    if (k->fails) k->failed = lesser(k->job, k->failed, i);
    else if (!found && !k->cuts && k->clash == NONE) k->stuck = lesser(k->job, k->stuck, i);
    return found;
}

static void advance_row(Worker *k, u64 i) {
    u64 first = k->n;
    u32 found = successors(k, i, k->row[first]);
    for (u32 j = 0; j < found; j++) {
        u64 *row = k->row[first + j], h;
        k->taken[k->step[j]]++;
        if (same(row, k->job->rows + i * W) || met(k, row, h = hash(row))) continue;
        if (SYMMETRY) {
            orbits_canonical(k->job->orbits, row);
            h = hash(row);
        }
        __builtin_prefetch(k->job->table + (h & k->job->mask), 1);
        copy(k->row[k->n], row);
        k->hash[k->n++] = h;
    }
    if (k->n >= BATCH) settle(k);
}

static void index_row(Worker *k, u64 i) { /* all rows are distinct: no comparing */
    Job *job = k->job;
    u64 h = hash(job->rows + i * W);
    for (u64 p = h & job->mask, empty = 0; !SWAP(job->table[p], empty, entry_of(h, i)); empty = 0)
        p = (p + 1) & job->mask;
}

static void precede_row(Worker *k, u64 i) {
    Job *job = k->job;
    if (i > LOAD(job->found)) return;
    u32 found = successors(k, i, k->row[0]);
    for (u32 j = 0; j < found; j++) {
        orbits_canonical(job->orbits, k->row[j]);
        u64 first = LOAD(job->found);
        while (same(k->row[j], job->target) && i < first && !SWAP(job->found, first, i)) {}
    }
}

/* ---- many rows at a time ------------------------------------------------------------------------- */

static void count_row(Worker *k, u64 i) {
    Job *job = k->job;
    u32 found = successors(k, i, k->row[0]);
    job->lost[2 * i] = !found && !k->cuts;
    job->lost[2 * i + 1] = k->fails;
    for (u32 j = 0; j < found; j++) {
        k->taken[k->step[j]]++;
        job->number[i] += job->idle || !same(k->row[j], job->rows + i * W);
    }
}

static void expand_row(Worker *k, u64 i) {
    Job *job = k->job;
    i64 at = job->number[i];
    u32 found = successors(k, i, k->row[0]);
    for (u32 j = 0; j < found; j++) {
        if (!job->idle && same(k->row[j], job->rows + i * W)) continue;
        orbits_canonical(job->orbits, k->row[j]);
        copy(job->after + at * W, k->row[j]);
        job->parent[at] = i;
        job->step[at++] = k->step[j];
    }
}

static void canonical_row(Worker *k, u64 i) {
    copy(k->job->after + i * W, k->job->rows + i * W);
    orbits_canonical(k->job->orbits, k->job->after + i * W);
}

static void judge_row(Worker *k, u64 i) { k->job->number[i] = first_false(k->job->rows + i * W); }
static void witness_row(Worker *k, u64 i) { witnessed(k->job->rows + i * W, k->job->truth + i * WITNESSES); }

/* ---- threads ------------------------------------------------------------------------------------- */

/* Work while there are rows to do, and room for all that every thread may find before it asks again. */
static void *work(void *worker) {
    Worker *k = worker;
    Job *job = k->job;
    while (LOAD(job->size) + job->threads * ROOM <= job->limit) {
        u64 lo = ADD(job->next, ROWS);
        for (u64 i = lo; i < lo + ROWS && i < job->end; i++) k->task(k, i);
        if (lo >= job->end) break;
    }
    settle(k);
    return NULL;
}

static int is_free(const Job *job, const Worker *all, u64 slot) {
    for (u64 i = 0; i < job->threads; i++)
        if (all[i].slot <= slot && slot < all[i].end) return 1;
    return 0;
}

/* Move the last rows into the slots that no thread has filled. */
static void close_holes(Job *job, const Worker *all) {
    u64 last = job->size;
    for (u64 i = 0; i < job->threads; i++) job->size -= all[i].end - all[i].slot;
    for (u64 i = 0; i < job->threads; i++)
        for (u64 hole = all[i].slot; hole < all[i].end && hole < job->size; hole++) {
            do last--; while (is_free(job, all, last));
            u64 h = hash(job->rows + last * W), p = h & job->mask;
            while (job->table[p] != entry_of(h, last)) p = (p + 1) & job->mask;
            job->table[p] = entry_of(h, hole);
            copy(job->rows + hole * W, job->rows + last * W);
        }
}

static void gather(Job *job, const Worker *k) {
    for (int i = 0; i < STEPS; i++) {
        job->taken[i] += k->taken[i];
        job->cut[i] += k->cut[i];
    }
    job->stuck = lesser(job, job->stuck, k->stuck);
    job->failed = lesser(job, job->failed, k->failed);
    if (k->clash < job->clash) job->clash = k->clash;
}

/* Do a task on all rows; -1 where memory is lacking. Few rows are not worth a thread. */
static int run(Job *job, void (*task)(Worker *, u64)) {
    if (job->end - job->next <= 4 * ROWS) job->threads = 1;
    Worker *all = calloc(job->threads, sizeof *all);
    u64 started = 1;
    if (!all) return -1;
    job->stuck = job->failed = job->clash = job->found = NONE;
    for (u64 i = 0; i < job->threads; i++) {
        all[i].job = job, all[i].task = task;
        all[i].stuck = all[i].failed = all[i].clash = NONE;
    }
    while (started < job->threads && !pthread_create(&all[started].thread, NULL, work, all + started)) started++;
    work(all);
    for (u64 i = 1; i < started; i++) pthread_join(all[i].thread, NULL);
    close_holes(job, all);
    for (u64 i = 0; i < job->threads; i++) gather(job, all + i);
    free(all);
    return 0;
}

int advance(Job *job) { return run(job, advance_row); }
int enter_all(Job *job) { return run(job, index_row); }
int precede(Job *job) { return run(job, precede_row); }
int count(Job *job) { return run(job, count_row); }
int expand(Job *job) { return run(job, expand_row); }
int canonical(Job *job) { return run(job, canonical_row); }
int judge(Job *job) { return run(job, judge_row); }
int witness(Job *job) { return run(job, witness_row); }
u64 room(u64 threads) { return threads * ROOM; }
