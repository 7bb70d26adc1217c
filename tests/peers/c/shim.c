/* A shim around canonical's libraft: pre-vote, check-quorum, snapshots, transfers. Indices and terms are counted from after
   the bootstrap, which is the first entry and of the first term. The protocol is that of `oneleader scaffold c`. */
#define HELLO "\"network\":\"tcp\",\"can\":[\"heartbeat\",\"propose\",\"read\",\"compact\",\"transfer\"]," \
    "\"may\":[\"step down within a term\",\"ask again\",\"leadership is handed over\",\"the commit index survives a restart\"]"
#include "lines.h.in"
#include "io.h"

static int apply(struct raft_fsm *fsm, const struct raft_buffer *given, void **result) {
    struct server *s = fsm->data;
    strcpy(s->register_, given->base), *result = NULL;
    add(APPLIED, "[%llu,\"%s\"]", s->raft.last_applied, s->register_); /* before it counts this one, and after the bootstrap */
    return 0;
}

static int take(struct raft_fsm *fsm, struct raft_buffer **buffers, unsigned *n) {
    struct server *s = fsm->data;
    raft_set_snapshot_threshold(&s->raft, 1 << 16);
    *n = 1, *buffers = allot(0, sizeof **buffers);
    **buffers = (struct raft_buffer){copy(s->register_, sizeof(value)), sizeof(value)};
    return 0;
}

static int restore(struct raft_fsm *fsm, struct raft_buffer *from) {
    memcpy(((struct server *)fsm->data)->register_, from->base, sizeof(value));
    return 0;
}

/* --- Requests --- */

static void boot(int i) {
    struct server *s = &servers[i];
    memset(&s->raft, 0, sizeof s->raft), memset(s->register_, 0, sizeof s->register_);
    raft_init(&s->raft, &s->io, &s->fsm, i + 1, names[i]);
    raft_set_pre_vote(&s->raft, true);
    raft_set_snapshot_trailing(&s->raft, 1);
    if (!s->disk.term) {
        struct raft_configuration all;
        raft_configuration_init(&all);
        for (int j = 0; j < count; j++) raft_configuration_add(&all, j + 1, names[j], RAFT_VOTER);
        raft_bootstrap(&s->raft, &all);
    }
    s->is_up = !raft_start(&s->raft);
}

static void start(int i) {
    if (!i) forget_all();
    memset(&servers[i], 0, sizeof servers[i]);
    servers[i].io = io_of(&servers[i]);
    servers[i].fsm = (struct raft_fsm){.version = 1, .data = &servers[i], .apply = apply, .snapshot = take, .restore = restore};
    boot(i);
}

static void is_committed(struct raft_apply *request, int status, void *result) {
    (void)result;
    if (!status) add(ANSWERED, "\"%s\"", (char *)request->data);
}

static void is_read(struct raft_barrier *request, int status) {
    char *value = ((struct server *)request->data)->register_;
    if (!status) add(READ, "%s", quoted(*value ? value : NULL));
}

static void propose(struct server *s, const char *value) {
    struct raft_apply *request = allot(0, sizeof *request);
    struct raft_buffer buffer = {strcpy(allot(0, 32), value), 32};
    request->data = buffer.base;
    raft_apply(&s->raft, request, &buffer, 1, is_committed);
}

static void read_register(struct server *s) {
    struct raft_barrier *request = allot(0, sizeof *request);
    request->data = s;
    raft_barrier(&s->raft, request, is_read);
}

static void receive(struct server *s, int sender, struct raft_message m) {
    m.server_id = sender + 1, m.server_address = names[sender];
    if (m.type == RAFT_IO_APPEND_ENTRIES) m.append_entries.entries = copies(m.append_entries.entries, m.append_entries.n_entries);
    if (m.type == RAFT_IO_INSTALL_SNAPSHOT) m.install_snapshot.conf = copied(&m.install_snapshot.conf);
    s->receive(&s->io, &m);
}

static void step(int i) {
    struct server *s = &servers[i];
    if (is("timeout")) s->now += s->raft.election_timeout, s->tick(&s->io);
    if (is("heartbeat") && raft_state(&s->raft) == RAFT_LEADER) s->now += s->raft.heartbeat_timeout, s->tick(&s->io);
    if (is("receive")) receive(s, number_of(asked("sender")), messages[atoi(strstr(asked("message"), "number") + 8)]);
    if (is("propose")) propose(s, asked("value"));
    if (is("read")) read_register(s);
    if (is("compact")) raft_set_snapshot_threshold(&s->raft, 1); /* with the next entry that is applied */
    if (is("transfer")) raft_transfer(&s->raft, allot(0, sizeof(struct raft_transfer)), number_of(asked("to")) + 1, NULL);
    if (is("crash")) s->is_up = 0;
    if (is("restart")) boot(i);
    confirm_all();
}

static void show(int i) {
    static const char *roles[] = {NULL, "follower", "candidate", "leader"};
    struct server *s = &servers[i];
    int role = s->is_up ? raft_state(&s->raft) : RAFT_UNAVAILABLE;
    int is_pre = role == RAFT_CANDIDATE && s->raft.candidate_state.in_pre_vote;
    raft_index first = s->disk.first > 1 ? s->disk.first : 2;
    printf("\"term\":%llu,\"voted_for\":%s,", s->disk.term - 1, quoted(s->disk.vote ? names[s->disk.vote - 1] : NULL));
    printf("\"role\":%s,\"first\":%llu,\"log\":[", quoted(is_pre ? "pre-candidate" : roles[role]), first - 1);
    for (raft_index j = first; j <= s->disk.last; j++) {
        struct raft_entry *entry = &s->disk.log[j];
        printf("%s[%llu,\"%s\"]", j > first ? "," : "", entry->term - 1, entry->type == RAFT_COMMAND ? (char *)entry->buf.base : "");
    }
    putchar(']');
    if (role != RAFT_UNAVAILABLE) printf(",\"commit\":%llu", s->raft.commit_index - 1);
    if (role != RAFT_LEADER) return;
    printf(",\"match\":{");
    for (unsigned j = 0; j < s->raft.configuration.n; j++) {
        raft_index match = s->raft.leader_state.progress[j].match_index;
        printf("%s\"%s\":%llu", j ? "," : "", s->raft.configuration.servers[j].address, match ? match - 1 : 0);
    }
    putchar('}');
}
