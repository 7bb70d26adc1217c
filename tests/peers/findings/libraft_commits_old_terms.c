/* libraft 0.15.0 alone (cc -w FILE -lraft): a leader takes an entry of an earlier term as committed by counting who stores
   it, which Figure 8 of the Raft paper shows to be lost again (canonical/raft issue 220, mended in its pull request 336). */
#include <raft.h>
#include <raft/fixture.h>
#include <stdio.h>

static int apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result) { return *result = NULL, 0; }
static struct raft_fsm fsm = {.version = 1, .apply = apply};
static void done(struct raft_apply *request, int status, void *result) {}
static struct raft_fixture f;
static struct raft_configuration all;
static struct raft_apply request;

static void cut_off(unsigned from, int is_cut) {
    for (unsigned to = 0; to < 3; to++)
        if (to != from) (is_cut ? raft_fixture_saturate : raft_fixture_desaturate)(&f, from, to);
}

int main(void) {
    raft_fixture_initialize(&f);
    for (int i = 0; i < 3; i++) raft_fixture_grow(&f, &fsm);
    raft_fixture_configuration(&f, 3, &all);
    raft_fixture_bootstrap(&f, &all);
    raft_fixture_start(&f);
    struct raft *leader = raft_fixture_get(&f, 0);

    raft_fixture_elect(&f, 0); /* its entry reaches nobody, and it steps down */
    cut_off(0, 1);
    struct raft_buffer value = {raft_calloc(1, 8), 8};
    raft_apply(leader, &request, &value, 1, done);
    printf("a leader of term %llu appends entry %llu\n", leader->current_term, raft_last_index(leader));
    while (raft_state(raft_fixture_get(&f, 0)) == RAFT_LEADER) raft_fixture_step(&f); /* until it steps down */
    cut_off(0, 0);
    raft_fixture_elect(&f, 0); /* nothing is proposed to it now */
    raft_fixture_step_until_applied(&f, 0, 2, 20000);
    unsigned long long of = leader->log.entries[leader->log.front + leader->commit_index - 1].term;
    printf("a leader of term %llu has %llu committed, the last of term %llu\n", leader->current_term, leader->commit_index, of);
}
