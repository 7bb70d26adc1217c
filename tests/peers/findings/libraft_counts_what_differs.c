/* libraft 0.15.0 alone (cc -w FILE -lraft): who accepts a heartbeat answers with its last index, though what it has there
   differs, and the leader counts it: an entry that it alone stores is committed. */
#include <raft.h>
#include <raft/fixture.h>
#include <stdio.h>

static int apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result) { return *result = NULL, 0; }
static struct raft_fsm fsm = {.version = 1, .apply = apply};
static void done(struct raft_apply *request, int status, void *result) {}
static struct raft_fixture f;
static struct raft_configuration all;
static struct raft_apply requests[2];

static void propose(unsigned server) { /* nobody hears of it */
    for (unsigned to = 0; to < 3; to++)
        if (to != server) raft_fixture_saturate(&f, server, to);
    struct raft_buffer value = {raft_calloc(1, 8), 8};
    raft_apply(raft_fixture_get(&f, server), &requests[server], &value, 1, done);
}

int main(void) {
    raft_fixture_initialize(&f);
    for (int i = 0; i < 3; i++) raft_fixture_grow(&f, &fsm);
    raft_fixture_configuration(&f, 3, &all);
    raft_fixture_bootstrap(&f, &all);
    raft_fixture_start(&f);

    raft_fixture_elect(&f, 0);
    propose(0);
    while (raft_state(raft_fixture_get(&f, 0)) == RAFT_LEADER) raft_fixture_step(&f); /* until it steps down */
    raft_fixture_elect(&f, 1);
    raft_fixture_desaturate(&f, 0, 1);
    raft_fixture_step_until_delivered(&f, 1, 0, 20000); /* a heartbeat; then, before it is answered: */
    propose(1);
    raft_fixture_step_until_applied(&f, 1, 2, 5000);
    struct raft *leader = raft_fixture_get(&f, 1), *old = raft_fixture_get(&f, 0), *third = raft_fixture_get(&f, 2);
    printf("a leader of term %llu has %llu committed; ", leader->current_term, leader->commit_index);
    printf("one server has entry 2 of term %llu, ", old->log.entries[old->log.front + 1].term);
    printf("the other has %llu entries\n", raft_last_index(third));
}
