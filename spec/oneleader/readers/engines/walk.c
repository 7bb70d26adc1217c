/* One random run; walk.py says how a step is drawn, and draws the same where there is no compiler. */

/* `Trail` in walk.py has the same fields. */
typedef struct {
    u64 dice, length;         /* the state of the random numbers; how many steps at most */
    const u64 *choices;       /* instead of random numbers, or NULL: the step wanted, or else the next */
    const u32 *action;        /* of each step; steps of an action are adjacent */
    u64 *row;                 /* the states of the run, the first one given: length + 1 rows */
    u32 *taken;               /* the step to each but the first */
    u64 *fired;               /* so far, for each action */
    uint8_t *truth, *seen;    /* witnesses: of one state, and of all */
    u64 watching;             /* whether witnesses are looked for */
    u64 steps, end;           /* results: how many steps were taken, and why no more */
    i64 broken;               /* the property that is false in the last state, or -1 */
} Trail;

enum { ENOUGH, WITHIN, DEADLOCK, CLAIM, CLASHES };

/* Splitmix64 (Steele, Lea and Flood 2014). */
static u64 dice(Trail *t) {
    u64 z = t->dice += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* How many of these steps, in order, are of the first one's action. */
static u32 alike_from(const Trail *t, const u32 *step, u32 lo, u32 n) {
    u32 hi = lo;
    while (hi < n && t->action[step[hi]] == t->action[step[lo]]) hi++;
    return hi - lo;
}

/* How likely a step's action is beside others. */
static double weight(const Trail *t, u32 step) {
    return 1.0 / (1.0 + (double)t->fired[t->action[step]]);
}

/* Which of n steps, in order, to take. */
static u32 draw(Trail *t, const u32 *step, u32 n) {
    if (t->choices) {
        u32 i = 0, wanted = t->choices[t->steps] % STEPS;
        while (i < n && step[i] < wanted) i++;
        return i % n;
    }
    double all = 0, left;
    for (u32 i = 0; i < n; i += alike_from(t, step, i, n)) all += weight(t, step[i]);
    left = (double)(dice(t) >> 11) * 0x1p-53 * all;
    for (u32 i = 0, same_; i < n; i += same_) {
        same_ = alike_from(t, step, i, n);
        left -= weight(t, step[i]);
        if (left < 0 || i + same_ == n) return i + (u32)(dice(t) % same_);
    }
    return 0; /* n is not 0 */
}

static int ascending(const void *a, const void *b) {
    return *(const u32 *)a < *(const u32 *)b ? -1 : 1;
}

static void judged(Trail *t, const u64 *row) {
    t->broken = first_false(row);
    if (!t->watching) return;
    witnessed(row, t->truth);
    for (int i = 0; i < WITNESSES; i++) t->seen[i] |= t->truth[i];
}

int trail(Trail *t, Worker *k) {
    u64 *after = k->row[0];
    static _Thread_local u32 order[STEPS + 1], at[STEPS + 1];
    for (judged(t, t->row), t->end = ENOUGH; t->steps < t->length && t->broken < 0; t->steps++) {
        u64 *row = t->row + t->steps * W;
        k->fails = k->cuts = 0, k->clash = NONE;
        u32 found = steps(k, row, after), n = 0;
        if (k->clash != NONE || k->fails) return t->end = k->fails ? CLAIM : CLASHES, 0;
        if (!found && !k->cuts) return t->end = DEADLOCK, 0;
        for (u32 j = 0; j < found; j++)
            if (!same(after + j * W, row)) at[order[n++] = k->step[j]] = j;
        if (!n) return t->end = WITHIN, 0;
        qsort(order, n, sizeof *order, ascending);
        u32 step = order[draw(t, order, n)];
        copy(row + W, after + at[step] * W);
        t->taken[t->steps] = step;
        t->fired[t->action[step]]++;
        judged(t, row + W);
    }
    return 0;
}

u64 worker_size(void) { return sizeof(Worker); }
