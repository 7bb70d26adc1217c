/* What libraft asks for as `struct raft_io`: a disk, a network, a clock and chance. They are here, in memory, and what they
   confirm is confirmed within the step, by `confirm_all`. */
#include <raft.h>

typedef char value[32]; /* of the register, the whole state machine */

static struct server {
    struct { raft_term term; raft_id vote; struct raft_snapshot *snapshot; raft_index first, last; struct raft_entry log[1 << 12]; } disk;
    struct raft raft;
    struct raft_io io;
    struct raft_fsm fsm;
    raft_io_tick_cb tick;
    raft_io_recv_cb receive;
    raft_time now;
    value register_;
    int is_up;
} servers[MOST];

static struct raft_message messages[1 << 16]; /* each goes by its number */
static struct { void *done, *request; struct raft_snapshot *snapshot; } pending[1 << 16]; /* to be confirmed */
static unsigned sent, asked_for, confirmed;

/* What is allocated stays as it is until the next start, so that messages can point to it. */
static char memory[1 << 28], *top = memory;

static void *allot(void *data, size_t n) {
    size_t *at = (size_t *)top;
    (void)data, *at = n, top += 16 + (n + 15) / 16 * 16;
    if (top > memory + sizeof memory - (1 << 20)) fputs("out of memory\n", stderr), exit(1);
    return memset(at + 2, 0, n);
}
static void *allot_all(void *data, size_t n, size_t each) { return allot(data, n * each); }
static void *allot_more(void *data, void *old, size_t n) {
    size_t before = old ? ((size_t *)old)[-2] : 0;
    return memcpy(allot(data, n), old ? old : "", before < n ? before : n);
}
static void *allot_aligned(void *data, size_t to, size_t n) { return (void)to, allot(data, n); }
static void keep(void *data, void *at) { (void)data, (void)at; }
static void keep_aligned(void *data, size_t to, void *at) { (void)data, (void)to, (void)at; }
static void *copy(const void *from, size_t n) { return memcpy(allot(0, n), from, n); }
static struct raft_heap heap = {0, allot, keep, allot_all, allot_more, allot_aligned, keep_aligned};

static struct raft_configuration copied(const struct raft_configuration *all) {
    return (struct raft_configuration){copy(all->servers, all->n * sizeof *all->servers), all->n};
}

static struct raft_snapshot *copy_of(const struct raft_snapshot *from) {
    struct raft_snapshot *made = copy(from, sizeof *from);
    made->configuration = copied(&from->configuration), made->bufs = copy(from->bufs, sizeof *from->bufs);
    return made;
}

static struct raft_entry *copies(const struct raft_entry *from, size_t n) {
    struct raft_entry *made = n ? copy(from, n * sizeof *from) : NULL;
    for (size_t i = 0; i < n; i++) made[i].batch = made[i].buf.base;
    return made;
}

/* --- What the library calls --- */

static struct server *of(struct raft_io *io) { return io->impl; } /* the library keeps its own in `data` */

static int later(void *done, void *request, struct raft_snapshot *snapshot) {
    pending[asked_for % (1 << 16)].done = done, pending[asked_for % (1 << 16)].request = request;
    pending[asked_for++ % (1 << 16)].snapshot = snapshot;
    return 0;
}

static int init(struct raft_io *io, raft_id id, const char *name) { return (void)io, (void)id, (void)name, 0; }
static raft_time now(struct raft_io *io) { return of(io)->now; }
static int least(struct raft_io *io, int least, int most) { return (void)io, (void)most, least; }

static int load(struct raft_io *io, raft_term *term, raft_id *vote, struct raft_snapshot **snapshot, raft_index *first,
                struct raft_entry **entries, size_t *n) {
    struct server *s = of(io);
    *term = s->disk.term, *vote = s->disk.vote, *first = s->disk.first, *n = s->disk.last + 1 - *first;
    *snapshot = s->disk.snapshot ? copy_of(s->disk.snapshot) : NULL;
    *entries = copies(s->disk.log + *first, *n);
    return 0;
}

static int begin(struct raft_io *io, unsigned ms, raft_io_tick_cb tick, raft_io_recv_cb receive) {
    (void)ms, of(io)->tick = tick, of(io)->receive = receive;
    return 0;
}

static int set_term(struct raft_io *io, raft_term term) { return of(io)->disk.term = term, of(io)->disk.vote = 0; }
static int set_vote(struct raft_io *io, raft_id id) { return of(io)->disk.vote = id, 0; }
static int truncate_from(struct raft_io *io, raft_index index) { return of(io)->disk.last = index - 1, 0; }

static int append(struct raft_io *io, struct raft_io_append *request, const struct raft_entry *entries, unsigned n, raft_io_append_cb done) {
    for (unsigned i = 0; i < n; i++) of(io)->disk.log[++of(io)->disk.last] = entries[i];
    return later(done, request, NULL);
}

static int bootstrap(struct raft_io *io, const struct raft_configuration *all) {
    struct server *s = of(io);
    s->disk.term = s->disk.first = s->disk.last = 1;
    s->disk.log[1] = (struct raft_entry){.term = 1, .type = RAFT_CHANGE};
    return raft_configuration_encode(all, &s->disk.log[1].buf);
}

static int put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *request, const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb done) {
    struct server *s = of(io);
    s->disk.snapshot = copy_of(snapshot);
    if (!trailing) s->disk.last = snapshot->index, s->disk.first = snapshot->index + 1; /* it replaces all */
    else if (s->disk.first + trailing <= snapshot->index) s->disk.first = snapshot->index + 1 - trailing;
    return later(done, request, NULL);
}

static int get(struct raft_io *io, struct raft_io_snapshot_get *request, raft_io_snapshot_get_cb done) {
    return later(done, request, copy_of(of(io)->disk.snapshot));
}

static int send_to(struct raft_io *io, struct raft_io_send *request, const struct raft_message *m, raft_io_send_cb done) {
    static const char *kinds[] = {"", "append", "append result", "vote", "vote result", "snapshot", "timeout now"};
    const struct raft_append_entries *all = &m->append_entries; /* all kinds begin with the term */
    const struct raft_append_entries_result *result = &m->append_entries_result;
    (void)io, messages[++sent % (1 << 16)] = *m;
    char more[64] = "";
    if (m->type == RAFT_IO_APPEND_ENTRIES) sprintf(more, " after %llu:%llu, %u entries, %llu committed", all->prev_log_index, all->prev_log_term, all->n_entries, all->leader_commit);
    if (m->type == RAFT_IO_APPEND_ENTRIES_RESULT) sprintf(more, " %llu rejected, last %llu", result->rejected, result->last_log_index);
    add(SENT, "{\"to\":\"%s\",\"message\":{\"number\":%u,\"kind\":\"%s of term %llu%s\"}}", names[m->server_id - 1], sent, kinds[m->type], all->term - 1, more);
    return later(done, request, NULL);
}

static void confirm_all(void) {
    for (; confirmed != asked_for; confirmed++) {
        unsigned i = confirmed % (1 << 16);
        if (pending[i].snapshot) ((raft_io_snapshot_get_cb)pending[i].done)(pending[i].request, pending[i].snapshot, 0);
        else if (pending[i].done) ((void (*)(void *, int))pending[i].done)(pending[i].request, 0);
    }
}

static struct raft_io io_of(struct server *s) {
    return (struct raft_io){.version = 1, .impl = s, .init = init, .load = load, .start = begin, .bootstrap = bootstrap,
        .set_term = set_term, .set_vote = set_vote, .send = send_to, .append = append, .truncate = truncate_from,
        .snapshot_put = put, .snapshot_get = get, .time = now, .random = least};
}

static void forget_all(void) { top = memory, sent = 0, raft_heap_set(&heap); }
